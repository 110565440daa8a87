"""The list of any entity: filters, order, search inside, pages, columns, saved views, the bulk bar, the trash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pyramid.httpexceptions import HTTPForbidden, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from webob.multidict import MultiDict

from crm_core.db import Fixed
from crm_core.forms import FieldInfo
from crm_core.i18n import _
from crm_core.models import Preference
from crm_core.records.listing import COUNT_TO, Listing, ListQuery, QueryError
from crm_core.specs import Entity
from crm_core.views.filling import go, say
from crm_core.views.records import filters
from crm_core.views.records.cards import card_href, record_actions
from crm_core.views.records.context import EntityContext
from crm_core.views.records.reading import NAMED, Reader
from crm_core.views.shapes import Action, Cell, Column, EmptyState, ListPage, Notice, PersonView, Row, SavedView, Tab

#: Columns that stay on a phone beside the first.
_ON_PHONE = 2
#: Columns of these kinds are sorted with the newest or largest first.
_FALLING = ("date", "datetime", "number", "money")


@dataclass(frozen=True)
class Kept:
    """What a person has kept of a list: columns, and the views he may use."""

    columns: tuple[str, ...]
    views: tuple[Any, ...]


#: Written as text, since it stands on every list and is always the same.
_KEPT = Fixed(
    "SELECT id, name, owner_id, query, shared, pinned, position FROM core_view WHERE entity = :entity "
    "AND (owner_id = :user OR shared = 'all' OR (shared = 'team' AND team_id = ANY(:teams))) "
    "UNION ALL SELECT 0, '', user_id, value, '', false, 0 FROM core_preference WHERE user_id = :user AND key = :key"
)


def columns_key(entity: Entity) -> str:
    """Return the key of the preference that holds the columns of a list."""
    return f"columns:{entity.name}"


def read_kept(request: Request, entity: Entity) -> Kept:
    """Read columns and saved views of a list, in one statement."""
    subject = request.subject
    values = {
        "user": subject.user_id,
        "teams": sorted(subject.team_ids),
        "entity": entity.name,
        "key": columns_key(entity),
    }
    chosen: tuple[str, ...] = ()
    found = []
    for one in _KEPT.ask(request.db, **values):
        if one.id == 0:
            chosen = tuple(str(name) for name in one.query) if isinstance(one.query, list) else ()
        else:
            found.append(one)
    return Kept(chosen, tuple(sorted(found, key=lambda one: (one.position, one.name.lower(), one.id))))


# -- the page ----------------------------------------------------------------------------------------------------------


def show_list(context: EntityContext, request: Request) -> Any:
    """Show a page of the records of an entity."""
    listing = Listing(request.gate, context.entity)
    query, problem = read_query(request)
    if query.trash and not context.may("delete"):
        raise HTTPForbidden
    posted = filters.posted_conditions(request.GET, listing)
    if posted and not problem:
        fields = {one.field for one in posted}
        kept = tuple(one for one in query.conditions if one.field not in fields or _repeats(one, posted))
        wanted = replace(query, conditions=_unique((*kept, *posted)))
        return HTTPSeeOther(filters.address(request, context.entity.url, wanted))
    present = filters.full_query(request, query, after="", before="")
    return {
        "page": _dressed(request, context, list_page(request, context, listing, query, problem)),
        "filters_href": f"{context.entity.url}/filters?{present}",
    }


def _repeats(one: Any, posted: Sequence[Any]) -> bool:
    # A second filter by the same field narrows further; only the form that opened it replaces it, and that form
    # leaves its own condition out of what it keeps.
    return one not in posted


def _unique(conditions: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(conditions))


def read_query(request: Request) -> tuple[ListQuery, Any]:
    """Return the list that the address asks for, and what in it cannot be understood."""
    try:
        return ListQuery.parse(request.GET), None
    except QueryError as error:
        return ListQuery(trash=request.GET.get("trash") == "1"), error.message


def _dressed(request: Request, context: EntityContext, page: ListPage) -> ListPage:
    dress = context.entity.dress_list
    return page if dress is None else dress(request, page)


def list_page(
    request: Request, context: EntityContext, listing: Listing, query: ListQuery, problem: Any = None
) -> ListPage:
    """Return a page of a list with everything around it."""
    entity = context.entity
    kept = read_kept(request, entity)
    names = shown_columns(listing, query, kept)
    try:
        page = listing.page(query, names)
    except QueryError as error:
        problem = error.message
        query = ListQuery(trash=query.trash)
        page = listing.page(query, names)
    if problem is not None:
        request.response.status_int = 400
    reader = Reader(request)
    infos = [listing.fields[name] for name in names]
    for info in infos:
        if info.kind in NAMED:
            for row in page.rows:
                reader.names.want(info, info.value(row))
    filters.want_names(reader.names, listing, query)
    reader.names.load()
    acts = {} if query.trash else record_actions(request, entity, [row.id for row in page.rows], in_row=True)
    rows = [_row(reader, context, query, row, infos, acts.get(row.id, ())) for row in page.rows]
    url = entity.url

    def at(**changes: Any) -> str:
        text = filters.full_query(request, query, **{"after": "", "before": "", **changes})
        return f"{url}?{text}" if text else url

    active = active_view(request, kept)
    present = filters.full_query(request, query, after="", before="")
    asked = bool(query.conditions or query.search)
    return ListPage(
        title=_("Trash: ${things}", mapping={"things": request.translate(entity.title_plural)})
        if query.trash
        else entity.title_plural,
        entity=entity.name,
        icon=entity.icon,
        href=f"{url}?trash=1" if query.trash else url,
        columns=_columns(reader, listing, query, names, at),
        rows=rows,
        query=query.search,
        keep=[pair for pair in filters.keep_pairs(request, query) if pair[0] != "q"],
        search_title=request.translate(_("Name, phone, address"))
        if entity.phones
        else request.translate(_("Search in the list")),
        filters=filters.chips(reader, listing, query, url),
        filter_choices=filters.filter_choices(reader, listing, query, url),
        clear_href=f"{url}?trash=1" if query.trash else url,
        tabs=[] if query.trash else _tabs(request, entity, query),
        looks=[] if query.trash else looks(request, entity, query),
        views=[] if query.trash else saved_views(request, kept, url, active, query),
        view=active.name if active is not None else "",
        view_changed=active is not None and differs(active, query),
        save_view_href="" if query.trash else f"{url}/views/new?{present}",
        columns_href=f"{url}/columns",
        first_href=at() if query.after or query.before else "",
        previous_href=at(before=page.previous) if page.previous else "",
        next_href=at(after=page.next) if page.next else "",
        count_href=f"{url}/count?{present}" if rows else "",
        bulk=_bulk(context, query),
        bulk_all_title=request.translate(_("Everything this list finds")) if page.next or page.previous else "",
        create=None if query.trash else create_action(context),
        actions=_actions(request, context, query),
        notices=_notices(request, context, query, problem),
        empty=_empty(context, query, asked),
    )


def shown_columns(listing: Listing, query: ListQuery, kept: Kept) -> list[str]:
    """Return the columns to show beside the name: the address's, the person's own, else the entity's."""
    for names in (query.columns, kept.columns, listing.entity.columns, tuple(listing.fields)[:6]):
        found = [
            name
            for name in dict.fromkeys(names)
            if name in listing.fields and listing.fields[name].listed and name != listing.entity.label
        ]
        if found:
            return found
    return []


def _columns(reader: Reader, listing: Listing, query: ListQuery, names: Sequence[str], at: Any) -> list[Column]:
    entity = listing.entity
    label = listing.fields.get(entity.label)
    own_key = entity.sort not in listing.fields
    made = [
        Column(
            name=entity.label,
            title=reader.say(label.title if label is not None else entity.title),
            kind="title",
            **_sorting(query, entity.sort if own_key else "", at, default=own_key, falling=entity.descending),
        )
    ]
    rest = [name for name, info in listing.fields.items() if info.listed and name not in (entity.label, *names)]
    for place, name in enumerate((*names, *rest)):
        info = listing.fields[name]
        default = name == entity.sort
        made.append(
            Column(
                name=name,
                title=reader.say(info.title),
                kind=info.kind,
                shown=place < len(names),
                phone=place < _ON_PHONE,
                help=reader.say(info.help) if info.help else "",
                **_sorting(
                    query,
                    name if info.sorted else "",
                    at,
                    default=default,
                    falling=entity.descending if default else info.kind in _FALLING,
                ),
            )
        )
    return made


def _sorting(query: ListQuery, name: str, at: Any, *, default: bool, falling: bool) -> dict[str, Any]:
    if not name:
        return {}
    if query.sort == name:
        descending = query.descending
    elif not query.sort and default:
        descending = falling
    else:
        return {"sort_href": at(sort=name, descending=falling)}
    return {"sort_href": at(sort=name, descending=not descending), "sorted": "desc" if descending else "asc"}


def looks(request: Request, entity: Entity, query: ListQuery, present: str = "") -> list[Tab]:
    """Return the ways to look at what a list finds, the list itself first; none where it is the only one."""
    others = [one for one in entity.looks if not one.permission or request.subject.may(one.permission)]
    if not others:
        return []
    say_ = request.translate
    ways = [("", say_(_("List")), "list", entity.url)]
    ways += [(one.id, say_(one.title), one.icon, one.href) for one in others]
    text = filters.full_query(request, query, after="", before="")
    return [
        Tab(title=title, href=f"{href}?{text}" if text else href, active=name == present, icon=icon)
        for name, title, icon, href in ways
    ]


def _tabs(request: Request, entity: Entity, query: ListQuery) -> list[Tab]:
    """Return the lists that everybody has; the present one is that whose filters and order are these."""
    here = (frozenset(query.conditions), query.sort, query.descending, query.search)
    found = []
    for tab in entity.tabs:
        if tab.shown is not None and not tab.shown(request.subject):
            continue
        there = ListQuery.parse(MultiDict(parse_qsl(tab.query)))
        same = here == (frozenset(there.conditions), there.sort, there.descending, there.search)
        found.append(
            Tab(
                title=request.translate(tab.title),
                href=f"{entity.url}?{there.query_string()}",
                active=same,
                count_href=f"{entity.url}/count?{there.query_string()}" if tab.count else "",
            )
        )
    return found


def _row(
    reader: Reader,
    context: EntityContext,
    query: ListQuery,
    row: Any,
    infos: Sequence[FieldInfo],
    actions: Sequence[Action] = (),
) -> Row:
    entity = context.entity
    label = str(row.label or f"№ {row.id}")
    href = card_href(entity, row.id, query)
    face = PersonView.of(label, row.id) if entity.person else None
    return Row(
        id=row.id,
        href=href,
        label=label,
        side_href=href,
        edit_href=f"{entity.url}/{row.id}/edit" if context.may("edit") and not query.trash else "",
        actions=actions,
        cells=[
            Cell(kind="title", text=label, person=face),
            *(reader.cell(info, info.value(row), row) for info in infos),
        ],
    )


def create_action(context: EntityContext, **more: Any) -> Action | None:
    """Return the button that makes a record, for those who may."""
    entity = context.entity
    # What hangs on a record is made from the card of that record.
    if not context.may("create") or (entity.parent and "=" not in entity.parent):
        return None
    more.setdefault("open", "dialog")
    return Action(
        title=entity.add_title or _("Add"), href=f"{entity.url}/new", icon="plus", look="primary", key="c", **more
    )


def has_route(request: Request, name: str) -> bool:
    """Tell whether the application has a route, so that nothing leads to a room that is not there."""
    from pyramid.interfaces import IRoutesMapper

    return request.registry.getUtility(IRoutesMapper).get_route(name) is not None


def import_action(request: Request, context: EntityContext, look: str = "") -> Action | None:
    """Return the link to the import of this entity, for those who may."""
    if not context.entity.importable or not context.may("import") or not has_route(request, "imports.new"):
        return None
    query = urlencode({"entity": context.entity.name})
    return Action(title=_("Bring in from a file"), href=f"/imports/new?{query}", icon="file-import", look=look)


def _actions(request: Request, context: EntityContext, query: ListQuery) -> list[Action]:
    url = context.entity.url
    found = []
    if query.trash:
        return [Action(title=_("Back to the list"), href=url, icon="list")]
    if (brought := import_action(request, context)) is not None:
        found.append(brought)
    if context.may("export"):
        text = filters.full_query(request, query, after="", before="")
        found.append(
            Action(
                title=_("Export what the list finds"),
                href=f"{url}/bulk/export?everything=1&{text}",
                icon="file-export",
                open="dialog",
            )
        )
    if context.may("delete"):
        found.append(Action(title=_("Trash"), href=f"{url}?trash=1", icon="trash"))
    return found


def _bulk(context: EntityContext, query: ListQuery) -> list[Action]:
    url = context.entity.url
    if query.trash:
        return [Action(title=_("Put back"), href=f"{url}/bulk/restore", icon="restore")]
    found = []
    if context.may("assign"):
        found.append(Action(title=_("Assign"), href=f"{url}/bulk/assign", icon="user-check"))
    if context.may("edit"):
        found.append(Action(title=_("Tags"), href=f"{url}/bulk/tag", icon="tags"))
    if context.may("export"):
        found.append(Action(title=_("Export"), href=f"{url}/bulk/export", icon="file-export"))
    if context.may("delete"):
        found.append(Action(title=_("Move to the trash"), href=f"{url}/bulk/trash", icon="trash", look="danger"))
    return found


def _notices(request: Request, context: EntityContext, query: ListQuery, problem: Any) -> list[Notice]:
    found = []
    if problem is not None:
        found.append(
            Notice(
                title=request.translate(_("The address of this list cannot be understood.")),
                text=f" {say(request, problem)}",
                tone="warning",
                actions=[Action(title=_("Show the whole list"), href=context.entity.url)],
            )
        )
    if query.trash:
        found.append(
            Notice(
                text=request.translate(_("What is deleted waits here and can be put back with everything it had.")),
                tone="info",
                actions=[Action(title=_("Back to the list"), href=context.entity.url)],
            )
        )
    return found


def _empty(context: EntityContext, query: ListQuery, asked: bool) -> EmptyState:
    entity, url = context.entity, context.entity.url
    if query.trash:
        return EmptyState(
            title=_("The trash is empty"), icon="trash", action=Action(title=_("Back to the list"), href=url)
        )
    if asked:
        return EmptyState(
            title=_("Nothing found"),
            text=_("No record fits this search and these filters."),
            icon="search",
            action=Action(title=_("Show the whole list"), href=url),
        )
    say_ = context.request.translate
    create, link = create_action(context), import_action(context.request, context, look="ghost")
    what = say_(entity.about) if entity.about else say_(_("There is nothing here yet."))
    if create is not None and link is not None:
        what += " " + say_(_("Add the first one or bring in a file: a table from Excel, 1C or another program."))
    elif create is None:
        what += " " + say_(_("What is opened to you will stand here."))
    return EmptyState(title=entity.title_plural, text=what, icon=entity.icon, action=create, link=link)


# -- saved views in the heading ----------------------------------------------------------------------------------------


def active_view(request: Request, kept: Kept) -> Any:
    """Return the saved view that the address names, if the person may use it."""
    number = request.GET.get("view", "")
    return next((one for one in kept.views if str(one.id) == number), None)


def differs(view: Any, query: ListQuery) -> bool:
    """Tell whether a list is another one than a saved view keeps."""
    try:
        return ListQuery.from_json(view.query).to_json() != query.to_json()
    except QueryError:
        return True


def view_href(url: str, view: Any) -> str:
    """Return the address of a saved view: whole, so that it can be sent to a colleague."""
    try:
        text = ListQuery.from_json(view.query).query_string()
    except QueryError:
        text = ""
    return f"{url}?view={view.id}" + (f"&{text}" if text else "")


def saved_views(request: Request, kept: Kept, url: str, active: Any, query: ListQuery) -> list[SavedView]:
    """Return the saved views of a list as its menu shows them."""
    present = filters.full_query(request, query, after="", before="")
    shared = {"team": _("the department"), "all": _("everybody")}
    return [
        SavedView(
            id=one.id,
            title=one.name,
            href=view_href(url, one),
            active=active is not None and active.id == one.id,
            shared=request.translate(shared[one.shared]) if one.shared in shared else "",
            icon="pinned" if one.pinned else "",
            actions=[
                Action(title=_("Change the view"), href=f"{url}/views/{one.id}?{present}", icon="pencil", open="dialog")
            ]
            if one.owner_id == request.subject.user_id
            else [],
        )
        for one in kept.views
    ]


# -- beside the page ---------------------------------------------------------------------------------------------------


def count(context: EntityContext, request: Request) -> Response:
    """Answer how many records the list finds, after the page has been shown."""
    query, _problem = read_query(request)
    if query.trash and not context.may("delete"):
        raise HTTPForbidden
    try:
        found = Listing(request.gate, context.entity).count(query)
    except QueryError:
        return Response("")
    number = request.formats.number(min(found, COUNT_TO))
    text = request.translate(_("more than ${n}", mapping={"n": number})) if found > COUNT_TO else number
    return Response(text, content_type="text/html", charset="utf-8")


def show_filter(context: EntityContext, request: Request) -> dict[str, Any]:
    """Show the small form of one filter."""
    listing = Listing(request.gate, context.entity)
    query, _problem = read_query(request)
    reader = Reader(request)
    filters.want_names(reader.names, listing, query)
    reader.names.load()
    form = filters.filter_form(reader, listing, query, context.entity.url, request.matchdict["name"])
    return {"filter": form, "title": form.title, "list_title": context.entity.title_plural}


def show_filters(context: EntityContext, request: Request) -> dict[str, Any]:
    """Show all filters as links, for browsers without scripts."""
    listing = Listing(request.gate, context.entity)
    query, _problem = read_query(request)
    choices = filters.filter_choices(Reader(request), listing, query, context.entity.url)
    return {"choices": choices, "title": _("Filters"), "back": filters.address(request, context.entity.url, query)}


def keep_columns(context: EntityContext, request: Request) -> Any:
    """Keep the columns of a list for this person; a list whose address names columns gets them there."""
    listing = Listing(request.gate, context.entity)
    chosen = [
        name
        for name in dict.fromkeys(request.POST.getall("column"))
        if name in listing.fields and listing.fields[name].listed
    ]
    keep = [
        (name.removeprefix("keep-"), value)
        for name, value in request.POST.items()
        if name.startswith("keep-") and isinstance(value, str)
    ]
    if any(name == "cols" for name, _value in keep):
        keep = [(name, ",".join(chosen) if name == "cols" else value) for name, value in keep]
    else:
        key = {"user_id": request.subject.user_id, "key": columns_key(context.entity)}
        found = request.db.get(Preference, (key["user_id"], key["key"]))
        if found is None:
            request.db.add(Preference(**key, value=chosen))
        else:
            found.value = chosen
        request.db.flush()
    return go(request, context.entity.url + (f"?{urlencode(keep)}" if keep else ""))


__all__ = ["count", "keep_columns", "list_page", "show_filter", "show_filters", "show_list"]
