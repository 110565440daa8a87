"""Other looks at the records of a list: boards, forecasts; with the filters, search and saved views of the list.

A plugin's board fills the shapes here, which the macros of `templates/macros/boards.pt` take; moving, quick adding and
what others change meanwhile are eased by `board.js`, and every card has a link that moves it without scripts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request

from crm_core.i18n import _
from crm_core.records.listing import Listing, ListQuery
from crm_core.specs import Entity
from crm_core.views.filling import say
from crm_core.views.records import filters, lists
from crm_core.views.records.context import EntityContext
from crm_core.views.records.reading import Reader
from crm_core.views.shapes import Action, Badge, EmptyState, ListPage, Notice, PersonView, Tab


@dataclass(kw_only=True, slots=True)
class BoardCard:
    """A record on a board."""

    id: int
    column: int | str
    version: int
    order: str
    """Its place among the cards of a column: the greatest stands first."""
    title: str
    href: str
    subtitle: str = ""
    amount: str = ""
    step: str = ""
    """When the next thing is to be done, or what it is."""
    step_hint: str = ""
    """Both, on hover and for those who hear the page."""
    step_tone: str = ""
    step_icon: str = "calendar-event"
    face: PersonView | None = None
    badges: Sequence[Badge] = ()
    """What is wrong with it, in words."""
    dot: str = ""
    """Says why it is marked with a red dot; empty: it is not."""
    tone: str = ""
    move_href: str = ""
    """The page that moves it; empty where this person may not."""


@dataclass(frozen=True, kw_only=True)
class BoardColumn:
    """A column of a board."""

    id: int | str
    title: str
    color: str = "gray"
    kind: str = "open"
    cards: Sequence[BoardCard] = ()
    count: str = ""
    sum: str = ""
    hint: str = ""
    more_href: str = ""
    """Answers its next cards."""
    list_href: str = ""
    """The same records as a list."""
    add_href: str = ""
    """Answers the small form that makes a record here."""
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class BoardPage:
    """A board."""

    title: str
    entity: str
    """Whose changes it listens to."""
    columns: Sequence[BoardColumn]
    move_href: str
    """POST: `id`, `column`, `version` move a record."""
    cards_href: str
    """Answers those of the records `id` that stand on this board."""
    totals_href: str = ""
    """Answers counts and sums of the columns as JSON."""
    fold_href: str = ""
    """POST: keeps which columns are folded."""
    empty: EmptyState | None = None
    actions: Sequence[Action] = field(default_factory=tuple)


# -- the list's own tools ----------------------------------------------------------------------------------------------


def asked_query(request: Request) -> tuple[ListQuery, Any]:
    """Return what the address asks for, and what in it cannot be understood; places of lists and the trash are not."""
    query, problem = lists.read_query(request)
    return replace(query, after="", before="", trash=False), problem


def query_text(request: Request, query: ListQuery) -> str:
    """Return the query string of a look, with the saved view that it began from."""
    return filters.full_query(request, query)


def posted(request: Request, listing: Listing, query: ListQuery, url: str) -> HTTPSeeOther | None:
    """Lead to the address with what the small form of a filter has said; None where it is an ordinary address."""
    found = filters.posted_conditions(request.GET, listing)
    if not found:
        return None
    names = {one.field for one in found}
    kept = (*(one for one in query.conditions if one.field not in names), *found)
    return HTTPSeeOther(filters.address(request, url, replace(query, conditions=tuple(dict.fromkeys(kept)))))


def address(request: Request, url: str, query: ListQuery) -> str:
    """Return the address of a look with a query."""
    return filters.address(request, url, query)


def tools(
    request: Request,
    entity: Entity,
    reader: Reader,
    listing: Listing,
    query: ListQuery,
    url: str,
    *,
    search_title: Any,
    problem: Any = None,
    create_href: str = "",
    without: Collection[str] = (),
) -> ListPage:
    """Return the line of tools that lists have, leading to another look; `without` are filters that make no sense.

    The names of what filters point at must have been asked for: `want_names`.
    """
    kept = lists.read_kept(request, entity)
    active = lists.active_view(request, kept)
    notices = []
    if problem is not None:
        notices.append(
            Notice(
                title=request.translate(_("The address of this page cannot be understood.")),
                text=f" {say(request, problem)}",
                tone="warning",
                actions=[Action(title=_("Show everything"), href=url)],
            )
        )
    create = None
    if request.gate.may(entity, "create"):
        create = Action(
            title=entity.add_title or _("Add"), href=create_href or f"{entity.url}/new", icon="plus", look="primary",
            key="c", open="dialog",
        )  # fmt: skip
    return ListPage(
        title=entity.title_plural,
        columns=(),
        rows=(),
        href=url,
        entity=entity.name,
        query=query.search,
        keep=[pair for pair in filters.keep_pairs(request, query) if pair[0] != "q"],
        search_title=request.translate(search_title),
        filters=filters.chips(reader, listing, query, url),
        filter_choices=[
            one for one in filters.filter_choices(reader, listing, query, url) if one.name not in without
        ],
        clear_href=url,
        views=lists.saved_views(request, kept, url, active, query),
        view=active.name if active is not None else "",
        view_changed=active is not None and lists.differs(active, query),
        save_view_href=f"{entity.url}/views/new?{urlencode({'look': url})}&{filters.full_query(request, query)}",
        create=create,
        notices=notices,
    )


def want_names(reader: Reader, listing: Listing, query: ListQuery) -> None:
    """Note down what the filters in force point at, to be asked for with the rest."""
    filters.want_names(reader.names, listing, query)


def looks(request: Request, entity: Entity, query: ListQuery, present: str) -> list[Tab]:
    """Return the ways to look at the same records, the list first."""
    return lists.looks(request, entity, query, present)


def filter_page(request: Request, entity: Entity, url: str) -> dict[str, Any]:
    """Return the small form of the filter `name` of the address, for `crm_core:templates/records/filter.pt`."""
    listing = Listing(request.gate, entity)
    query, _problem = asked_query(request)
    reader = Reader(request)
    want_names(reader, listing, query)
    reader.names.load()
    form = filters.filter_form(reader, listing, query, url, request.matchdict["name"])
    return {"filter": form, "title": form.title, "list_title": entity.title_plural}


def import_link(request: Request, entity: Entity) -> Action | None:
    """Return the link to the import of an entity, for those who may."""
    return lists.import_action(request, EntityContext(request, entity), look="ghost")


__all__ = [
    "BoardCard",
    "BoardColumn",
    "BoardPage",
    "Reader",
    "address",
    "asked_query",
    "filter_page",
    "import_link",
    "looks",
    "posted",
    "query_text",
    "say",
    "tools",
    "want_names",
]
