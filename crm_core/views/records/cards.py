"""The card of any record: head, fields by sections, panels of plugins, files, what can be done with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote

import sqlalchemy as sa
import structlog
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy.dialects.postgresql import insert
from webob.multidict import MultiDict

from crm_core import files
from crm_core.forms import FieldInfo
from crm_core.i18n import _
from crm_core.models.records import Favourite, File
from crm_core.records import saving
from crm_core.records.listing import Listing, ListQuery, QueryError, cursor_at
from crm_core.records.timeline import hung_by
from crm_core.specs import Entity, Panel
from crm_core.views.filling import post_button
from crm_core.views.records.context import RecordContext
from crm_core.views.records.editing import back_of, editable, fields_of, undo_href
from crm_core.views.records.filters import by_section
from crm_core.views.records.following import follow_action
from crm_core.views.records.reading import Reader
from crm_core.views.shapes import (
    Action,
    CardPage,
    ComposerKind,
    FieldView,
    Figure,
    FileView,
    KeyValue,
    Notice,
    PanelFrame,
    PersonView,
    Section,
)

log = structlog.get_logger(__name__)

STATUS, OWNER, TAGS = "status", "owner_id", "tags"
FILES_PANEL = "files"

#: The parameter that carries the list from which a card was opened, so that "next" is the next one there.
LIST = "list"


def show_card(context: RecordContext, request: Request) -> dict[str, Any]:
    """Show a record with everything around it."""
    return {"card": card_page(context, request), "context": context}


def card_page(context: RecordContext, request: Request, *, whole: bool = True) -> CardPage:
    """Return the card; `whole` leaves nothing out, otherwise only what a saved field may have changed."""
    entity, record = context.entity, context.item
    fields = fields_of(request, entity)
    reader = Reader(request)
    for info in fields.values():
        reader.names.want(info, info.value(record))
    parent = _want_parent(reader, entity, record)
    reader.names.load()
    shown = {
        name: _shown(reader, context, info, may_write=name in editable(context, fields))
        for name, info in fields.items()
    }
    head = {STATUS, OWNER, TAGS, entity.label if fields.get(entity.label, _NONE).readonly else ""}
    card = CardPage(
        title=context.label,
        id=record.id,
        entity=entity.name,
        entity_title=entity.title,
        list_href=_list_href(request, context),
        list_title=entity.title_plural,
        icon=entity.icon,
        person=PersonView.of(context.label, record.id) if entity.person or entity.phones else None,
        subtitle=_subtitle(reader, entity, fields, record),
        status=shown.get(STATUS),
        responsible=shown.get(OWNER),
        tags=_tags(request, context, shown),
        figures=_figures(reader, entity, fields, record),
        sections=_sections(request, fields, shown, head, parent),
        version=record.version,
        live=f"{entity.name}:{record.id}",
    )
    if not whole:
        return card
    card = _around(context, request, card)
    return entity.dress(request, record, card) if entity.dress is not None else card


_NONE = FieldInfo()

#: Marks what stands in the menu of a card until the card is put together.
IN_MENU = "in-menu"


def shown_fields(card: CardPage) -> Iterable[FieldView]:
    """Return every field of a card, wherever it stands."""
    for one in (card.status, card.responsible, card.tags):
        if one is not None:
            yield one
    for section in card.sections:
        yield from section.fields


def _shown(reader: Reader, context: RecordContext, info: FieldInfo, *, may_write: bool) -> FieldView:
    edit_href = f"{context.href}/fields/{info.name}" if may_write and context.allows("edit") else ""
    wide = info.kind in ("longtext", "phones", "emails", "messengers")
    return reader.shown(info, info.value(context.item), context.item, edit_href=edit_href, wide=wide)


def _tags(request: Request, context: RecordContext, shown: Mapping[str, FieldView]) -> FieldView | None:
    tags = shown.get(TAGS)
    if tags is None or (tags.is_empty and not tags.edit_href):
        return None
    ids = context.item.tags or []
    badges = [
        replace(badge, href=f"{context.entity.url}?f=tags%3Aany%3A{number}")
        for badge, number in zip(tags.badges, ids, strict=False)
    ]
    return replace(tags, badges=badges, placeholder=request.translate(_("Add a tag")))


def _subtitle(reader: Reader, entity: Entity, fields: Mapping[str, FieldInfo], record: Any) -> str:
    parts = [
        reader.text(fields[name], fields[name].value(record))
        for name in entity.hint
        if name in fields and fields[name].kind not in ("phones", "emails", "messengers")
    ]
    return " · ".join(part for part in parts if part)


def _figures(reader: Reader, entity: Entity, fields: Mapping[str, FieldInfo], record: Any) -> list[Figure]:
    found = []
    for name in entity.head:
        info = fields.get(name)
        if info is None:
            continue
        field = reader.shown(info, info.value(record), record)
        text = str(field.display or "") or ", ".join(str(badge.text) for badge in field.badges)
        if not text and field.person is not None:
            text = field.person.name
        found.append(Figure(title=reader.say(info.title), value=text or "—", hint=field.hint, href=field.href))
    return found


def _sections(
    request: Request,
    fields: Mapping[str, FieldInfo],
    shown: Mapping[str, FieldView],
    head: set[str],
    parent: FieldView | None,
) -> list[Section]:
    found = []
    for place, (title, members) in enumerate(by_section(fields.values())):
        views = [shown[info.name] for info in members if info.name not in head]
        if place == 0 and parent is not None:
            views.insert(0, parent)
        if not views:
            continue
        filled = any(not view.is_empty or view.hidden for view in views)
        found.append(
            Section(
                id=f"section-{place}",
                title=request.translate(title) if title else "",
                fields=views,
                fold=place > 0 and bool(title),
                open=filled or place < 2,
            )
        )
    return found


def _want_parent(reader: Reader, entity: Entity, record: Any) -> FieldView | None:
    prefix = hung_by(entity)
    if not prefix:
        return None
    name, number = getattr(record, f"{prefix}_entity"), getattr(record, f"{prefix}_id")
    above = reader.gate.plugins.entities.get(name)
    if above is None:
        return None
    label = reader.gate.labels(above, [number]).get(number)
    made: dict[str, Any] = {"name": prefix, "title": reader.say(above.title), "kind": "record"}
    return FieldView(display=label, href=f"{above.url}/{number}", **made) if label else FieldView(hidden=True, **made)


# -- around the fields -------------------------------------------------------------------------------------------------


def _around(context: RecordContext, request: Request, card: CardPage) -> CardPage:
    entity, href = context.entity, context.href
    there = request.GET.get(LIST, "")
    among = f"?{LIST}={quote(there, safe='')}" if there else ""
    stands_alone = not entity.parent or "=" in entity.parent
    composer = _composer(request, context) if stands_alone and not context.trashed else []
    main = None
    if composer:
        first = composer[0]
        main = Action(title=first.title, href=first.href, icon=first.icon, look="primary", open="dialog")
    at_once = record_actions(request, entity, [context.item.id]).get(context.item.id, []) if not context.trashed else []
    actions = [action for action in at_once if action.id != IN_MENU]
    if any(action.look == "primary" for action in actions):
        main = None
    if context.allows("edit"):
        actions.append(Action(title=_("Edit all"), href=f"{href}/edit", icon="pencil", open="dialog"))
    return replace(
        card,
        main=main,
        actions=actions,
        menu=[replace(action, id="") for action in at_once if action.id == IN_MENU] + _menu(request, context),
        composer=composer,
        timeline_href=f"{href}/timeline",
        panels=[] if context.trashed else _panels(request, context),
        notices=_notices(request, context),
        favourite=Action(
            title=_("Take out of favourites") if context.favourite else _("Add to favourites"),
            href=f"{href}/favourite",
            icon="star-filled" if context.favourite else "star",
            method="post",
            look="ghost",
        ),
        follow=None if context.trashed else follow_action(context),
        # Which ones these are is asked when somebody goes there: a card is opened far more often than left so.
        previous_href=f"{href}/previous{among}",
        next_href=f"{href}/next{among}",
    )


def record_actions(
    request: Request, entity: Entity, ids: Sequence[int], *, in_row: bool = False
) -> dict[int, list[Action]]:
    """Return what may be done at once with records, as buttons."""
    if entity.actions is None or not ids:
        return {}
    return {
        number: [
            Action(
                id=one.id if in_row else IN_MENU if one.in_menu else "",
                title=one.title,
                icon=one.icon,
                href=one.href.replace("{id}", str(number)),
                method=one.method,
                open="dialog" if one.method == "get" else "page",
                look=one.look,
                key=one.key,
                part=True,
            )
            for one in found
            if one.in_row or not in_row
        ]
        for number, found in entity.actions(request.gate, ids).items()
    }


def _menu(request: Request, context: RecordContext) -> list[Action]:
    href = context.href
    found = [
        Action(title=_("History of changes"), href=f"{href}/history", icon="history"),
        Action(title=_("As of a date…"), href=f"{href}/as-of", icon="calendar-time"),
        Action(title=_("Who sees this"), href=f"{href}/access", icon="eye", open="dialog"),
        Action(title=_("Who follows this"), href=f"{href}/follow", icon="bell-ringing", open="dialog"),
    ]
    if context.allows("assign"):
        found.append(Action(title=_("Share"), href=f"{href}/share", icon="share", open="dialog"))
    if context.allows("delete") and not context.trashed:
        found.append(
            Action(title=_("Move to the trash"), href=f"{href}/delete", icon="trash", method="post", look="danger")
        )
    return found


def _notices(request: Request, context: RecordContext) -> list[Notice]:
    if not context.trashed:
        return []
    when = request.formats.relative(context.item.deleted_at)
    return [
        Notice(
            title=request.translate(_("This record is in the trash.")),
            text=" " + request.translate(_("Deleted: ${when}", mapping={"when": when})),
            tone="warning",
            actions=[post_button(_("Put back"), f"{context.href}/restore", "restore", "primary")]
            if context.allows("delete")
            else [],
        )
    ]


def _composer(request: Request, context: RecordContext) -> list[ComposerKind]:
    subject = f"{context.entity.name}:{context.item.id}"
    return [
        ComposerKind(
            id=one.id, title=one.title, icon=one.icon, key=one.key, href=one.href.replace("{subject}", quote(subject))
        )
        for entity in request.registry["crm.plugins"].entities.values()
        if request.gate.may(entity, "create")
        for one in entity.composer
    ]


# -- where it stands among others --------------------------------------------------------------------------------------


def _list_query(request: Request) -> ListQuery:
    try:
        return ListQuery.parse(MultiDict(parse_qsl(request.GET.get(LIST, ""))))
    except QueryError:
        return ListQuery()


def _list_href(request: Request, context: RecordContext) -> str:
    url = context.entity.url
    if context.trashed:
        return f"{url}?trash=1"
    text = _list_query(request).query_string(after="", before="")
    return f"{url}?{text}" if text else url


def step(context: RecordContext, request: Request) -> Any:
    """Go to the record before or after this one in the list from which the card was opened."""
    entity = context.entity
    query = replace(_list_query(request), limit=1, trash=context.trashed, before="", after="")
    listing = Listing(request.gate, entity)
    info = listing.fields.get(query.sort) if query.sort and query.sort != entity.sort else None
    value = info.value(context.item) if info is not None else getattr(context.item, entity.sort)
    here = cursor_at(value, context.item.id)
    forward = request.matchdict["way"] == "next"
    try:
        rows = listing.page(replace(query, after=here) if forward else replace(query, before=here), ()).rows
    except QueryError:
        rows = []
    if rows:
        return HTTPSeeOther(card_href(entity, rows[0].id, query))
    request.toast(
        _("This is the last one of the list.") if forward else _("This is the first one of the list."), "info"
    )
    return HTTPSeeOther(card_href(entity, context.item.id, query))


def card_href(entity: Entity, number: int, query: ListQuery) -> str:
    """Return the address of a card; with the list it was opened from, where that is not simply all records."""
    text = replace(query, columns=(), after="", before="", trash=False).query_string()
    return f"{entity.url}/{number}" + (f"?{LIST}={quote(text, safe='')}" if text else "")


# -- panels ------------------------------------------------------------------------------------------------------------


def _frame_id(panel_id: str) -> str:
    return panel_id.replace(".", "-")


def _panels(request: Request, context: RecordContext) -> list[PanelFrame]:
    found = []
    for panel in request.registry["crm.plugins"].panels_for(context.entity.name):
        if not request.subject.may(panel.permission):
            continue
        create = None
        if panel.create_href and context.allows("edit"):
            href = panel.create_href.replace("{entity}", context.entity.name).replace("{id}", str(context.item.id))
            create = Action(title=_("Add"), href=href, icon="plus", open="dialog")
        found.append(
            PanelFrame(
                id=_frame_id(panel.id), title=panel.title, href=f"{context.href}/panels/{panel.id}", create=create
            )
        )
    if request.subject.may("files:view") and context.entity.name != files.FILE.name:
        found.append(
            PanelFrame(id=FILES_PANEL, title=_("Files"), href=f"{context.href}/panels/{FILES_PANEL}", icon="paperclip")
        )
    return found


def show_panel(context: RecordContext, request: Request) -> Response:
    """Answer the content of a panel; a plugin's fault is told in its place and harms nothing else."""
    name = request.matchdict["panel"]
    if name == FILES_PANEL:
        if not request.subject.may("files:view"):
            raise HTTPNotFound
        return _answer(request, name, files_panel(context, request), "crm_core:templates/records/files.pt")
    panels = request.registry["crm.plugins"].panels_for(context.entity.name)
    panel = next((one for one in panels if one.id == name), None)
    if panel is None or not request.subject.may(panel.permission):
        raise HTTPNotFound
    try:
        # What a panel's fault did to the transaction ends with its savepoint.
        with request.db.begin_nested():
            return _answer(request, name, _load(request, context, panel), panel.template)
    except Exception:
        log.exception("panel_failed", panel=panel.id, entity=context.entity.name, record=context.item.id)
        return _answer(request, name, {}, "crm_core:templates/records/panel_failed.pt")


def _load(request: Request, context: RecordContext, panel: Panel) -> dict[str, Any] | None:
    found = panel.load(request, context.item)
    return None if found is None else dict(found)


def _answer(request: Request, name: str, values: dict[str, Any] | None, template: str) -> Response:
    if values is None:
        return Response('<div data-nothing=""></div>', content_type="text/html", charset="utf-8")
    html = render(template, values, request=request)
    number = values.get("count")
    if number is not None:
        # The count stands in the heading of the panel, which was there before it was known.
        text = request.formats.number(number)
        html += f'<span class="crm-count" id="count-{_frame_id(name)}" hx-swap-oob="true">{text}</span>'
    return Response(html, content_type="text/html", charset="utf-8")


def files_panel(context: RecordContext, request: Request) -> dict[str, Any]:
    """Return the files of a record."""
    entity = context.entity
    rows = request.db.execute(
        sa.select(File.id, File.name, File.size, File.content_type, File.created_at, File.owner_id)
        .where(File.subject_entity == entity.name, File.subject_id == context.item.id)
        .where(request.gate.criterion(files.FILE))
        .order_by(File.id.desc())
        .limit(100)
    ).all()
    may_delete = request.gate.visible_ids(files.FILE, [row.id for row in rows], "delete") if rows else set()
    return {
        "files": [file_view(request, row, context.href, deletable=row.id in may_delete) for row in rows],
        "count": len(rows),
        "attach_href": f"/files/of/{entity.name}/{context.item.id}"
        if context.allows("edit") or not request.gate.may(entity, "edit")
        else "",
        "next": context.href,
    }


_FILE_ICONS = {
    "image/": "photo",
    "audio/": "volume",
    "application/pdf": "file-type-pdf",
    "application/zip": "file-zip",
    "application/vnd.openxmlformats-officedocument.spreadsheetml": "file-spreadsheet",
    "text/plain": "file-text",
}


def file_view(request: Request, row: Any, back: str, *, deletable: bool) -> FileView:
    """Return a file as panels and timelines show it."""
    icon = next((name for prefix, name in _FILE_ICONS.items() if row.content_type.startswith(prefix)), "file")
    actions = [Action(title=_("Download"), href=f"/files/{row.id}", icon="download")]
    if deletable:
        actions.append(
            Action(
                title=_("Move to the trash"),
                href=f"/files/{row.id}/delete",
                icon="trash",
                method="post",
                look="danger",
                values={"next": back},
            )
        )
    return FileView(
        id=row.id,
        name=row.name,
        href=f"/files/{row.id}",
        size=request.formats.filesize(row.size),
        hint=request.formats.datetime(row.created_at),
        icon=icon,
        actions=actions,
    )


# -- what is done with it ----------------------------------------------------------------------------------------------


def delete(context: RecordContext, request: Request) -> Any:
    """Move a record to the trash."""
    if context.trashed:
        return HTTPSeeOther(context.entity.url)
    saving.trash(request.gate, context.entity, [context.item.id])
    request.toast(_("In the trash: ${name}", mapping={"name": context.label}), undo_href=undo_href(request))
    return HTTPSeeOther(back_of(request) or context.entity.url)


def restore(context: RecordContext, request: Request) -> Any:
    """Bring a record back from the trash."""
    if context.trashed:
        saving.restore(request.gate, context.entity, [context.item.id])
        request.toast(_("Put back: ${name}", mapping={"name": context.label}), undo_href=undo_href(request))
    return HTTPSeeOther(context.href)


def favourite(context: RecordContext, request: Request) -> Any:
    """Put a record among one's favourites, or take it out."""
    if context.favourite:
        request.db.execute(
            sa.delete(Favourite).where(
                Favourite.user_id == request.subject.user_id,
                Favourite.entity == context.entity.name,
                Favourite.record_id == context.item.id,
            )
        )
        request.toast(_("Out of favourites"))
    else:
        values = {
            "user_id": request.subject.user_id,
            "href": context.href,
            "title": context.label,
            "entity": context.entity.name,
            "record_id": context.item.id,
        }
        request.db.execute(insert(Favourite).values(**values).on_conflict_do_nothing())
        request.toast(_("Among favourites, in the menu at the left"))
    return HTTPSeeOther(context.href)


def facts_of(reader: Reader, pairs: Iterable[tuple[str, Any, str]]) -> list[KeyValue]:
    """Return the facts of a timeline entry in words."""
    found = []
    for title, value, kind in pairs:
        if kind == "seconds":
            text = duration(reader, int(value))
        else:
            text = reader.say(value) if isinstance(value, str) else reader.text(FieldInfo(kind=kind), value)
        found.append(KeyValue(title=reader.say(title), value=text))
    return found


def duration(reader: Reader, seconds: int) -> str:
    """Return how long something took: "4 min 20 s"."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = []
    if hours:
        parts.append(reader.say(_("${n} h", mapping={"n": hours})))
    if minutes:
        parts.append(reader.say(_("${n} min", mapping={"n": minutes})))
    if left and not hours:
        parts.append(reader.say(_("${n} s", mapping={"n": left})))
    return " ".join(parts) or reader.say(_("${n} s", mapping={"n": 0}))


__all__ = ["card_page", "delete", "favourite", "restore", "show_card", "show_panel", "shown_fields"]
