"""What happened to a record: the one timeline of everything, the history of changes, the record as of a day."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from pyramid.i18n import TranslationString
from pyramid.request import Request

from crm_core import clock, files
from crm_core.db import RecordRef
from crm_core.forms import FieldInfo
from crm_core.i18n import _
from crm_core.models.log import RUNNING, Operation
from crm_core.records import history, timeline
from crm_core.records.fields import schema_fields
from crm_core.specs import Entity
from crm_core.views.records.cards import facts_of, file_view
from crm_core.views.records.context import RecordContext
from crm_core.views.records.editing import fields_of
from crm_core.views.records.filters import by_section
from crm_core.views.records.reading import Reader, pieces_of, principal_names, typed_value
from crm_core.views.shapes import (
    Action,
    ChangeView,
    EmptyState,
    FileView,
    PartView,
    PersonView,
    Section,
    Tab,
    TimelineItem,
    TimelinePage,
)

PAGE = 30
CHANGES = "changes"
GRANT = "core.grant"

_LEVELS = {"view": _("may see"), "edit": _("may change")}


@dataclass(frozen=True)
class _Group:
    """What one operation did to one record, however many rows of the log that took."""

    operation: Operation
    at: dt.datetime
    by: str
    action: str
    entity: str
    record_id: int
    differences: tuple[history.Difference, ...]
    last_id: int
    others: tuple[_Group, ...] = ()
    """What the same operation did alike to other parts of the same record."""

    @property
    def members(self) -> tuple[_Group, ...]:
        """All of them, in the order in which they were made."""
        return tuple(sorted((self, *self.others), key=lambda one: one.record_id))


# -- the timeline ------------------------------------------------------------------------------------------------------


def show_timeline(context: RecordContext, request: Request) -> dict[str, Any]:
    """Answer a part of the timeline; without scripts it is a page of its own."""
    kind = request.GET.get("kind", "")
    after, before = _read_place(request.GET.get("after", ""))
    return {
        "timeline": timeline_page(context, request, kind, after, before),
        "title": context.label,
        "heading": _("History"),
        "back": context.href,
    }


def timeline_page(
    context: RecordContext, request: Request, kind: str = "", after: str = "", before: int = 0
) -> TimelinePage:
    """Return what hangs on a record and what was changed in it, merged, newest first."""
    entity, gate = context.entity, request.gate
    ref = RecordRef(entity.name, context.item.id)
    hanging = {one.name: one for one in timeline.entities(gate)}
    moments = timeline.Moments(())
    if kind != CHANGES and after != "-":
        kinds = [kind] if kind in hanging else []
        moments = timeline.page(gate, ref, kinds=kinds, after=after, limit=PAGE)
    changes = history.HistoryPage()
    if kind in ("", CHANGES) and before >= 0:
        changes = history.of_record(gate, entity, context.item.id, before=before, limit=PAGE)
    # What hangs on the record stands here itself; of its own and of its parts the changes do.
    groups = _folded(
        entity,
        [
            one
            for one in _grouped(changes.entries)
            if one.entity not in gate.plugins.entities or one.entity == entity.name
        ],
    )
    merged: list[tuple[dt.datetime, Any]] = [(one.at, one) for one in moments.items] + [(one.at, one) for one in groups]
    merged.sort(key=lambda pair: pair[0], reverse=True)
    # Only what lies after the later of the two ends is known to be whole.
    ends = []
    if moments.next:
        ends.append(moments.items[-1].at)
    if changes.next and changes.entries:
        ends.append(changes.entries[-1].at)
    horizon = max(ends, default=None)
    shown = [one for at, one in merged if horizon is None or at >= horizon]
    reader = Reader(request)
    _want(reader, entity, shown)
    reader.names.load()
    items = _with_days(reader, _items(context, reader, shown))
    more = _more(context, kind, shown, moments, changes, groups, (after, before))
    return TimelinePage(
        items=items,
        more_href=more,
        kinds=_kinds(context, hanging.values(), kind) if not after and not before else (),
        empty=EmptyState(
            title=_("Nothing yet"), text=_("Calls, letters, notes and changes will stand here."), icon="history"
        ),
    )


def _kinds(context: RecordContext, hanging: Iterable[Entity], kind: str) -> list[Tab]:
    url = f"{context.href}/timeline"
    found = [Tab(title=_("Everything"), href=url, active=not kind)]
    for one in sorted(hanging, key=lambda one: one.name.startswith("core.")):
        href = f"{url}?{urlencode({'kind': one.name})}"
        found.append(Tab(title=one.title_plural, href=href, active=kind == one.name))
    found.append(Tab(title=_("Changes"), href=f"{url}?kind={CHANGES}", active=kind == CHANGES))
    return found


def _more(
    context: RecordContext,
    kind: str,
    shown: Sequence[Any],
    moments: timeline.Moments,
    changes: history.HistoryPage,
    groups: Sequence[_Group],
    place: tuple[str, int],
) -> str:
    """Return where the timeline goes on: each of its two sources from what it has not shown yet."""
    told = [one for one in shown if isinstance(one, timeline.Moment)]
    written = [one for one in shown if isinstance(one, _Group)]
    after, before = "-", -1
    if len(told) < len(moments.items):
        after = timeline.place_of(told[-1]) if told else place[0]
    elif moments.next:
        after = moments.next
    if len(written) < len(groups):
        before = written[-1].last_id if written else place[1]
    elif changes.next:
        before = changes.next
    if (after, before) == ("-", -1):
        return ""
    text = base64.urlsafe_b64encode(json.dumps([after, before]).encode()).decode().rstrip("=")
    return f"{context.href}/timeline?{urlencode({'after': text, **({'kind': kind} if kind else {})})}"


def _read_place(text: str) -> tuple[str, int]:
    if not text:
        return "", 0
    try:
        after, before = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return str(after), int(before)
    except (ValueError, TypeError):
        return "", 0


def _grouped(entries: Sequence[history.Entry]) -> list[_Group]:
    found: dict[tuple[Any, ...], _Group] = {}
    for one in entries:
        key = (one.operation.id, one.entity, one.record_id)
        known = found.get(key)
        if known is None:
            found[key] = _Group(
                one.operation, one.at, one.by, one.action, one.entity, one.record_id, one.differences, one.change_id
            )
            continue
        # Entries come newest first: the older one says what was before.
        merged = {difference.field: difference for difference in one.differences}
        for difference in known.differences:
            older = merged.get(difference.field)
            merged[difference.field] = replace(difference, before=older.before) if older else difference
        action = one.action if one.action in ("insert", "delete") else known.action
        found[key] = replace(known, differences=tuple(merged.values()), action=action, last_id=one.change_id)
    return list(found.values())


def _folded(entity: Entity, groups: Sequence[_Group]) -> list[_Group]:
    """Put together what one operation did alike to several parts of a record: ten lines added are one thing done."""
    found: dict[tuple[Any, ...], _Group] = {}
    for one in groups:
        alone = one.entity in (entity.name, GRANT)
        key = (one.operation.id, one.entity, one.action, one.record_id if alone else 0)
        known = found.get(key)
        found[key] = one if known is None else replace(known, others=(*known.others, one), last_id=one.last_id)
    return list(found.values())


def _want(reader: Reader, entity: Entity, shown: Sequence[Any]) -> None:
    for one in shown:
        if isinstance(one, timeline.Moment):
            reader.names.want_ids("user", [one.record.owner_id])
        else:
            reader.names.want_ids("user", [one.operation.user_id])
            infos = infos_of(reader, one.entity)
            for difference in (each for member in one.members for each in member.differences):
                info = infos.get(difference.field)
                if info is not None:
                    reader.names.want(info, difference.before)
                    reader.names.want(info, difference.after)


def infos_of(reader: Reader, name: str) -> Mapping[str, FieldInfo]:
    """Return the fields of an entity, or of a part of one, by name."""
    plugins = reader.gate.plugins
    if name in plugins.entities:
        return fields_of(reader.request, plugins.entities[name])
    for entity in plugins.entities.values():
        for part in entity.parts:
            if part.name == name:
                return schema_fields(part.schema)
    return {}


def _items(context: RecordContext, reader: Reader, shown: Sequence[Any]) -> list[TimelineItem]:
    told = [one for one in shown if isinstance(one, timeline.Moment)]
    may = {
        (verb, name): reader.gate.visible_ids(name, [one.record.id for one in told if one.entity.name == name], verb)
        for name in {one.entity.name for one in told}
        for verb in (("delete",) if name == files.FILE.name else ("edit", "delete"))
        if reader.gate.may(name, verb)
    }
    may |= _may_open(reader, told)
    principals = principal_names(
        reader.gate,
        [
            value
            for one in shown
            if isinstance(one, _Group) and one.entity == GRANT
            for difference in one.differences
            if difference.field == "principal_id"
            for value in (difference.before, difference.after)
        ],
    )
    found = []
    for one in shown:
        if isinstance(one, timeline.Moment):
            found.append(_moment_item(context, reader, one, may))
        else:
            found.append(change_item(context, reader, one, principals))
    return found


def _may_open(reader: Reader, told: Sequence[timeline.Moment]) -> dict[tuple[str, str], set[int]]:
    """Return for each permission that things beside entries ask for, by entity, the records over which it is held."""
    wanted: dict[tuple[str, str], set[int]] = {}
    for one in told:
        for attachment in one.entry.files:
            if attachment.permission and reader.request.subject.may(attachment.permission):
                wanted.setdefault((attachment.permission, one.entity.name), set()).add(one.record.id)
    for (permission, name), ids in list(wanted.items()):
        prefix, _colon, verb = permission.partition(":")
        if prefix == reader.gate.entity(name).permission_prefix:
            wanted[permission, name] = reader.gate.visible_ids(name, ids, verb)
    return wanted


def _when(reader: Reader, at: dt.datetime) -> dict[str, Any]:
    return {
        "when": reader.formats.time(at),
        "when_exact": reader.formats.datetime(at),
        "when_machine": at.isoformat(),
        "day": _day(reader, at),
    }


def _day(reader: Reader, at: dt.datetime) -> str:
    day = at.astimezone(reader.formats.tz).date()
    days = (clock.today(reader.formats.tz) - day).days
    text = reader.formats.relative(day) if days in (0, 1) else reader.formats.date(day)
    return str(text[:1].upper() + text[1:])


def _with_days(reader: Reader, items: Sequence[TimelineItem]) -> list[TimelineItem]:
    """Keep the heading of a day only where it begins."""
    found: list[TimelineItem] = []
    last = ""
    for item in items:
        found.append(item if item.day != last else replace(item, day=""))
        last = item.day
    return found


def _moment_item(
    context: RecordContext, reader: Reader, moment: timeline.Moment, may: Mapping[tuple[str, str], set[int]]
) -> TimelineItem:
    entity, record, entry = moment.entity, moment.record, moment.entry
    who = reader.person(record.owner_id) if record.owner_id else None
    number = f"{entity.name.replace('.', '-')}-{record.id}"
    made: dict[str, Any] = {"id": number, "who": who, **_when(reader, moment.at)}
    deletable = record.id in may.get(("delete", entity.name), ())
    if entity.name == files.FILE.name:
        view = file_view(reader.request, record, context.href, deletable=deletable)
        return TimelineItem(icon="paperclip", title=reader.say(_("File attached")), files=[view], **made)
    actions = []
    href = f"{entity.url}/{record.id}"
    if record.id in may.get(("edit", entity.name), ()):
        actions.append(Action(title=_("Edit"), href=f"{href}/edit?back={context.href}", icon="pencil", open="dialog"))
    if deletable:
        actions.append(
            Action(
                title=_("Move to the trash"),
                href=f"{href}/delete",
                icon="trash",
                method="post",
                look="danger",
                values={"back": context.href},
            )
        )
    attached = [
        FileView(id=f"{number}-{place}", name=reader.say(one.title), href=one.href, icon=one.icon)
        for place, one in enumerate(entry.files)
        if not one.permission or record.id in may.get((one.permission, entity.name), ())
    ]
    return TimelineItem(
        icon=entry.icon,
        title=reader.say(entry.title),
        text=entry.text,
        pieces=pieces_of(entry.text),
        files=attached,
        tone=entry.tone,
        href=href,
        facts=facts_of(reader, entry.facts),
        actions=actions,
        **made,
    )


# -- changes in words --------------------------------------------------------------------------------------------------

_ACTIONS = {
    "insert": (_("made this record"), "plus"),
    "update": (_("changed fields"), "pencil"),
    "trash": (_("moved it to the trash"), "trash"),
    "restore": (_("put it back from the trash"), "restore"),
    "delete": (_("removed it"), "trash"),
}

#: Fields of a part that name it.
_NAMES = ("name", "title")
#: Names of parts in one line, and changed fields that need not be folded away.
_FEW = 3

_KINDS = {
    "import": _("by an import"),
    "bulk": _("together with others"),
    "merge": _("by a merge"),
}


def change_item(
    context: RecordContext, reader: Reader, one: _Group, principals: Mapping[int, tuple[str, str]]
) -> TimelineItem:
    """Return what one operation changed as a line of the timeline."""
    say = reader.say
    title, icon = _ACTIONS.get(one.action, (one.action, "pencil"))
    words = say(title)
    changes: list[ChangeView] = []
    parts: list[PartView] = []
    if one.entity == GRANT:
        words, icon = _share_words(reader, one, principals), "share"
    else:
        infos = infos_of(reader, one.entity)
        part = one.entity != context.entity.name
        if not part:
            changes = [] if one.action == "insert" else change_views(reader, infos, one.differences)
        else:
            parts = [_part_view(reader, infos, each) for each in one.members]
            if len(parts) == 1 and one.action == "update" and len(parts[0].changes) <= _FEW:
                parts, changes = [], list(parts[0].changes)
            titles = {part.name: part.title for part in context.entity.parts}
            titles |= {name: entity.title for name, entity in reader.gate.plugins.entities.items()}
            thing = {"thing": say(titles.get(one.entity, one.entity))}
            if one.action == "insert":
                words = say(_("added: ${thing}", mapping=thing))
            elif one.action == "delete":
                words = say(_("took off: ${thing}", mapping=thing))
            else:
                words = say(_("changed: ${thing}", mapping=thing))
            if len(parts) > 1:
                words = f"{words} ({len(parts)})"
            icon = "link" if one.action != "delete" else "unlink"
    if one.operation.kind == "undo":
        words, icon = say(_("put it back as it was")), "arrow-back-up"
    elif one.operation.kind in _KINDS:
        words = f"{words} {say(_KINDS[one.operation.kind])}"
    who = reader.person(one.operation.user_id) if one.operation.user_id else PersonView.of(say(_("The system")))
    return TimelineItem(
        id=f"change-{one.operation.id}-{one.last_id}",
        icon=icon,
        title=words,
        who=who,
        changes=changes,
        parts=parts,
        parts_title=_part_names(reader, parts),
        small=True,
        actions=_undo_actions(reader, one),
        **_when(reader, one.at),
    )


def _part_view(reader: Reader, infos: Mapping[str, FieldInfo], one: _Group) -> PartView:
    """Return a part that was added, changed or taken off: by its name, else by what it begins with."""
    changes = change_views(reader, infos, one.differences)
    if one.action == "update":
        return PartView(changes=changes)
    titles = {reader.say(infos[name].title) for name in _NAMES if name in infos}
    said = [change.after or change.before for change in changes if change.title in titles]
    said = said[:1] or [change.after or change.before for change in changes[:2]]
    return PartView(title=" · ".join(said), changes=changes)


def _part_names(reader: Reader, parts: Sequence[PartView]) -> str:
    """Return what the line says under which the fields of parts are folded away."""
    names = [part.title for part in parts if part.title]
    if not names:
        return reader.say(_("Details"))
    return ", ".join(names[:_FEW]) + (", …" if len(names) > _FEW else "")


def change_views(
    reader: Reader, infos: Mapping[str, FieldInfo], differences: Iterable[history.Difference]
) -> list[ChangeView]:
    """Return changed fields from what to what, in the reader's words."""
    found = []
    for one in differences:
        info = infos.get(one.field) or FieldInfo(name=one.field, title=one.title, kind=one.kind)
        before, after = reader.text(info, one.before), reader.text(info, one.after)
        if before != after:
            found.append(ChangeView(title=reader.say(info.title or one.title), before=before, after=after))
    return found


def _share_words(reader: Reader, one: _Group, principals: Mapping[int, tuple[str, str]]) -> str:
    values = {difference.field: difference for difference in one.differences}
    principal = values.get("principal_id")
    number = (principal.after or principal.before) if principal is not None else None
    kind, name = principals.get(number or 0, ("", ""))
    who = reader.say(TranslationString(name, domain="crm_core")) if kind == "role" else name
    if one.action == "delete":
        return reader.say(_("no longer shares it with ${who}", mapping={"who": who}))
    level = values["level"].after if "level" in values else "view"
    if not who:
        return reader.say(_("changed a share: ${level}", mapping={"level": reader.say(_LEVELS.get(level, level))}))
    values_said = {"who": who, "level": reader.say(_LEVELS.get(level, level))}
    return reader.say(_("shared it with ${who}: ${level}", mapping=values_said))


def _undo_actions(reader: Reader, one: _Group) -> list[Action]:
    operation, subject = one.operation, reader.gate.subject
    if operation.undone_by is not None or operation.state == RUNNING or operation.kind == "import":
        return []
    # Whether the department reaches the author is asked when it is done; here an own operation or the right is enough.
    if operation.user_id != subject.user_id and not subject.may("log:undo"):
        return []
    return [
        Action(
            title=_("Put it back as it was"),
            href=f"/operations/{operation.id}/undo",
            icon="arrow-back-up",
            method="post",
        )
    ]


# -- the history -------------------------------------------------------------------------------------------------------


def show_history(context: RecordContext, request: Request) -> dict[str, Any]:
    """Show every change of a record: who, when, from what to what, with the way back."""
    before = request.GET.get("before", "")
    found = history.of_record(
        request.gate,
        context.entity,
        context.item.id,
        before=int(before) if before.isdecimal() and len(before) < 19 else 0,
        limit=PAGE,
    )
    groups = _folded(context.entity, _grouped(found.entries))
    reader = Reader(request)
    _want(reader, context.entity, groups)
    reader.names.load()
    items = []
    for group, item in zip(groups, _items(context, reader, groups), strict=True):
        if group.action == "insert" and group.entity == context.entity.name:
            item = replace(item, changes=change_views(reader, infos_of(reader, group.entity), group.differences))
        items.append(replace(item, small=True))
    return {
        "title": context.label,
        "heading": _("History of changes"),
        "back": context.href,
        "part_only": bool(before) and request.headers.get("HX-Request-Type") == "partial",
        "timeline": TimelinePage(
            items=_with_days(reader, items),
            more_href=f"{context.href}/history?before={found.next}" if found.next else "",
            empty=EmptyState(title=_("Nothing yet"), icon="history"),
        ),
    }


# -- as of a day -------------------------------------------------------------------------------------------------------


def show_as_of(context: RecordContext, request: Request) -> dict[str, Any]:
    """Show a record as it stood at the end of a day."""
    reader = Reader(request)
    today = clock.today(reader.formats.tz)
    day = _read_day(request.GET.get("date", ""), today)
    instant = clock.start_of_day(day + dt.timedelta(days=1), reader.formats.tz) - dt.timedelta(microseconds=1)
    then = history.as_of(request.db, context.entity, context.item.id, instant)
    fields = fields_of(request, context.entity)
    for name, info in fields.items():
        reader.names.want(info, info.value(context.item))
        reader.names.want(info, (then or {}).get(name))
    reader.names.load()
    sections, changed = [], []
    for title, members in by_section(fields.values()) if then is not None else ():
        views = []
        for info in members:
            if info.readonly and info.name == context.entity.label:
                continue
            value = typed_value(info, (then or {}).get(info.name))
            view = reader.shown(info, value)
            views.append(view)
            was, now = reader.text(info, value), reader.text(info, info.value(context.item))
            if was != now:
                changed.append(ChangeView(title=reader.say(info.title), before=was, after=now))
        sections.append(Section(title=reader.say(title) if title else "", fields=views))
    return {
        "title": context.label,
        "back": context.href,
        "day": day.isoformat(),
        "day_text": reader.formats.date(day),
        "today": today.isoformat(),
        "sections": sections,
        "changed": changed,
        "there": then is not None,
        "made": reader.formats.date(context.item.created_at),
        "action": f"{context.href}/as-of",
    }


def _read_day(text: str, today: dt.date) -> dt.date:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return today - dt.timedelta(days=30)
    return min(max(day, dt.date(2000, 1, 1)), today)
