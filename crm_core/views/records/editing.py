"""Forms of records: making one, changing one, one field in its place; the second saver, doubles, the double click."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPBadRequest, HTTPForbidden, HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid_retry import RetryableException

from crm_core.db import to_json
from crm_core.forms import MULTI, FieldInfo, InvalidValues, unflatten
from crm_core.i18n import _
from crm_core.models.log import Change, Operation
from crm_core.records import doubles, operations, saving
from crm_core.records import quick as quickly
from crm_core.records.fields import all_fields
from crm_core.specs import Entity
from crm_core.views.filling import safe_next, say
from crm_core.views.records.context import EntityContext, RecordContext
from crm_core.views.records.filters import by_section
from crm_core.views.records.reading import TAG_MARK, Names, Reader, may_make_tags
from crm_core.views.shapes import ConflictField, ConflictPage, FieldView, FormPage, Section

FIELD = "crm_core:templates/records/field.pt"
FIELD_EDIT = "crm_core:templates/records/field_edit.pt"
CONFLICT = "crm_core:templates/records/conflict.pt"
FORM = "crm_core:templates/records/form.pt"

#: Words of tags that one form may add.
_MOST_TAGS = 30

#: Characters of what is typed into a picker that are read.
_LONGEST_TYPED = 300


class Overtaken(RetryableException):
    """Tells that a record was saved by somebody else in the middle of this request, which is then done once more."""


def fields_of(request: Request, entity: Entity) -> dict[str, FieldInfo]:
    """Return the fields of an entity that this person may know of."""
    return all_fields(request.db, entity, request.subject)


def editable(context: EntityContext, fields: Mapping[str, FieldInfo]) -> dict[str, FieldInfo]:
    """Return the fields that may be written by hand; who is responsible only by those who may assign."""
    may_assign = context.allows("assign") if isinstance(context, RecordContext) else context.may("assign")
    return {name: info for name, info in fields.items() if not info.readonly and (name != "owner_id" or may_assign)}


# -- what is posted ----------------------------------------------------------------------------------------------------


def read_raw(items: Iterable[tuple[str, Any]], fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    """Return posted values by field as the form sends them; files and fields that are not known are left out."""
    return unflatten(((key, value) for key, value in items if isinstance(value, str)), fields)


def take_tags(request: Request, raw: dict[str, Any], fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    """Turn words among the tags into tags, made where this person may; return values that can be checked."""
    values = dict(raw)
    for name, info in fields.items():
        if info.kind != "tags" or name not in values:
            continue
        ids = [one[1:] for one in values[name] if one.startswith(TAG_MARK)]
        words = [" ".join(one.split()) for one in values[name] if not one.startswith(TAG_MARK) and one.strip()]
        if len(words) > _MOST_TAGS:
            raise InvalidValues({name: _("At most ${n} new tags at once.", mapping={"n": _MOST_TAGS})}, raw)
        made = saving.tag_ids(request.db, words, make=may_make_tags(request))
        missing = [word for word in words if word[:60].lower() not in made]
        if missing:
            sentence = _("There is no tag “${tag}”, and only administrators add new ones.", mapping={"tag": missing[0]})
            raise InvalidValues({name: sentence}, raw)
        values[name] = [*ids, *made.values()]
    return values


def check(request: Request, entity: Entity, raw: dict[str, Any], fields: Mapping[str, FieldInfo], **more: Any) -> Any:
    """Return checked values of what was posted; InvalidValues with what was typed."""
    try:
        return saving.check(request.gate, entity, take_tags(request, raw, fields), **more)
    except InvalidValues as invalid:
        raise InvalidValues(invalid.errors, raw) from None


def undo_href(request: Request) -> str:
    """Return where what this request did is taken back; empty when it did nothing."""
    operation = operations.current(request.db)
    return f"/operations/{operation}/undo" if operation else ""


# -- the form ----------------------------------------------------------------------------------------------------------


def new(context: EntityContext, request: Request) -> dict[str, Any]:
    """Show the short form that makes a record; what the address says is filled in already."""
    fields = editable(context, fields_of(request, context.entity))
    raw = {name: info.default for name, info in fields.items() if info.default is not None}
    raw |= read_raw(request.GET.items(), fields)
    return _new_page(context, request, fields, raw)


def create(context: EntityContext, request: Request) -> Any:
    """Make a record; a form that was sent twice makes it once."""
    entity = context.entity
    fields = editable(context, fields_of(request, entity))
    raw = read_raw(request.POST.items(), fields)
    token = str(request.POST.get("token", ""))[:64]
    made = _made_before(request, entity, token)
    if made is not None:
        return _after_create(request, entity, made)
    try:
        detail = {"form": token} if token else {}
        operations.describe(request.db, request.subject, kind="create", entity=entity.name, detail=detail)
        values = check(request, entity, _with_defaults(fields, raw), fields)
        record = saving.create(request.gate, entity, values)
    except InvalidValues as invalid:
        request.response.status_int = 422
        return _new_page(context, request, fields, raw, invalid.errors)
    except saving.NotAllowed as refused:
        request.response.status_int = 422
        return _new_page(context, request, fields, raw, {"": refused.message})
    label = str(getattr(record, entity.label) or f"№ {record.id}")
    request.toast(_("Added: ${name}", mapping={"name": label}), undo_href=undo_href(request))
    return _after_create(request, entity, record.id)


def quick(context: EntityContext, request: Request) -> Response:
    """Make a record of what was typed into a picker and answer its number and name.

    Where a name is not enough, answer the short form, filled in; it is sent here too.
    """
    entity = context.entity
    fields = editable(context, fields_of(request, entity))
    typed = request.POST.get("text")
    if typed is None:
        raw = read_raw(request.POST.items(), fields)
    else:
        raw = quickly.values_of(entity, fields, str(typed).replace("\x00", "")[:_LONGEST_TYPED])
        for info, number in quickly.beside(request.gate, entity, request.POST.getall("near")) if raw else ():
            if info.name in fields and info.on_create:
                raw.setdefault(info.name, str(number))
    errors: Mapping[str, Any]
    try:
        operations.describe(request.db, request.subject, kind="create", entity=entity.name)
        values = check(request, entity, _with_defaults(fields, raw), fields)
        record = saving.create(request.gate, entity, values)
    except InvalidValues as invalid:
        errors = invalid.errors
    except saving.NotAllowed as refused:
        errors = {"": refused.message}
    else:
        label = str(getattr(record, entity.label) or f"№ {record.id}")
        told = {
            "text": request.translate(_("Added: ${name}", mapping={"name": label})),
            "undo_href": undo_href(request),
        }
        answer = Response(json_body={"value": str(record.id), "title": label})
        answer.headers["HX-Trigger"] = json.dumps({"crm:toast": told})
        return answer
    defaults = {name: info.default for name, info in fields.items() if info.default is not None}
    page = _new_page(context, request, fields, defaults | raw, errors)
    page["form"] = replace(page["form"], action=f"{entity.url}/quick", draft="", hidden=())
    if typed is not None:
        # Nobody has filled in this form yet; what is missing is told beside the fields.
        page["form"] = replace(page["form"], errors=())
    response = render_to_response(FORM, page, request=request)
    response.status_int = 422
    return response


def _with_defaults(fields: Mapping[str, FieldInfo], raw: Mapping[str, Any]) -> dict[str, Any]:
    # A field that was not on the form takes its default, not nothing.
    return {
        **{name: info.default for name, info in fields.items() if info.default is not None and not info.on_create},
        **{name: value for name, value in raw.items() if value != "" or name not in fields or fields[name].required},
    }


def _after_create(request: Request, entity: Entity, number: int) -> Any:
    where = f"{entity.url}/{number}"
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Redirect": where})
    return HTTPSeeOther(where)


def _made_before(request: Request, entity: Entity, token: str) -> int | None:
    """Return the record that this very form has made already; two that come at once wait for one another."""
    if not token:
        return None
    lock = int.from_bytes(token.encode()[:7].ljust(7, b"\0"), "big")
    request.db.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock})
    found = request.db.scalar(
        sa.select(Operation.record_id)
        .where(
            Operation.user_id == request.subject.user_id,
            Operation.entity == entity.name,
            Operation.kind == "create",
            Operation.detail["form"].astext == token,
        )
        .order_by(Operation.at.desc())
        .limit(1)
    )
    return found if found is not None and request.gate.visible_ids(entity, [found]) else None


def _new_page(
    context: EntityContext,
    request: Request,
    fields: Mapping[str, FieldInfo],
    raw: Mapping[str, Any],
    errors: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    entity = context.entity
    errors = errors or {}
    reader = Reader(request)
    for name, value in raw.items():
        reader.want_raw(fields[name], value)
    if "owner_id" in fields and not raw.get("owner_id"):
        raw = {**raw, "owner_id": str(request.subject.user_id)}
        reader.names.want_ids("user", [request.subject.user_id])
    reader.names.load()
    now = [info for info in fields.values() if info.required or info.on_create]
    later = [info for info in fields.values() if info not in now]
    title = entity.add_title or _("New: ${thing}", mapping={"thing": request.translate(entity.title)})
    form = FormPage(
        id="new-record",
        title=title,
        action=f"{entity.url}/new",
        submit=entity.add_title or _("Add"),
        sections=[Section(fields=_controls(reader, entity, now, raw, errors, first=True))],
        cancel_href=entity.url,
        errors=_errors(request, fields, errors),
        hidden=[("token", str(request.POST.get("token") or secrets.token_urlsafe(18)))],
        draft=f"new:{entity.name}",
        wide=len(now) > 6,
    )
    more = [
        Section(title=request.translate(section), fields=_controls(reader, entity, members, raw, errors))
        for section, members in by_section(later)
    ]
    told = [info.name for info in later if info.name != "owner_id" and info.default != raw.get(info.name)]
    opened = any(name in errors or raw.get(name) not in (None, "", []) for name in told)
    return {"form": form, "more": more, "more_open": opened, "title": title}


def edit(context: RecordContext, request: Request) -> dict[str, Any]:
    """Show the form with all fields of a record."""
    fields = editable(context, fields_of(request, context.entity))
    reader = Reader(request)
    raw = {name: reader.raw(info, info.value(context.item)) for name, info in fields.items()}
    return _edit_page(context, request, fields, raw, version=context.item.version)


def update(context: RecordContext, request: Request) -> Any:
    """Save the form with all fields."""
    fields = editable(context, fields_of(request, context.entity))
    posted = read_raw(request.POST.items(), fields)
    version = _version(request)
    _describe(request, context)
    try:
        values = check(request, context.entity, posted, {name: fields[name] for name in posted}, only=posted)
        changed = _save(request, context, values, version)
    except InvalidValues as invalid:
        request.response.status_int = 422
        return _edit_page(context, request, fields, posted, invalid.errors, version=version)
    except saving.NotAllowed as refused:
        request.response.status_int = 422
        return _edit_page(context, request, fields, posted, {"": refused.message}, version=version)
    except saving.Conflict as conflict:
        return _conflict_response(request, context, conflict, values)
    if changed:
        request.toast(_("Saved: ${name}", mapping={"name": context.label}), undo_href=undo_href(request))
    return HTTPSeeOther(back_of(request) or context.href)


def back_of(request: Request) -> str:
    """Return the page from which a record that hangs on another was opened; empty where that is not told."""
    back = request.params.get("back", "")
    return safe_next(back) if back else ""


def _describe(request: Request, context: RecordContext) -> None:
    # Before anything is written: a new tag belongs to the same operation.
    operations.describe(request.db, request.subject, kind="edit", entity=context.entity.name, record_id=context.item.id)


def _edit_page(
    context: RecordContext,
    request: Request,
    fields: Mapping[str, FieldInfo],
    raw: Mapping[str, Any],
    errors: Mapping[str, Any] | None = None,
    *,
    version: int | None,
) -> dict[str, Any]:
    errors = errors or {}
    reader = Reader(request)
    for name, value in raw.items():
        reader.want_raw(fields[name], value)
    reader.names.load()
    form = FormPage(
        id="edit-record",
        title=context.label,
        action=f"{context.href}/edit",
        submit=_("Save the changes"),
        sections=[
            Section(
                title=request.translate(section),
                fields=_controls(reader, context.entity, members, raw, errors, exclude=context.item.id),
            )
            for section, members in by_section(fields.values())
        ],
        cancel_href=back_of(request) or context.href,
        errors=_errors(request, fields, errors),
        hidden=[
            ("version", str(version or context.item.version)),
            *([("back", back)] if (back := back_of(request)) else []),
        ],
        draft=f"edit:{context.entity.name}:{context.item.id}",
        wide=True,
    )
    return {"form": form, "more": (), "more_open": False, "title": context.label}


def _controls(
    reader: Reader,
    entity: Entity,
    infos: Iterable[FieldInfo],
    raw: Mapping[str, Any],
    errors: Mapping[str, Any],
    *,
    first: bool = False,
    exclude: int | None = None,
) -> list[FieldView]:
    checked = _checked_fields(entity, reader)
    href = f"{entity.url}/doubles" + (f"?{urlencode({'exclude': exclude})}" if exclude else "")
    made = []
    for place, info in enumerate(infos):
        error = say(reader.request, errors[info.name]) if info.name in errors else ""
        empty: Any = [] if info.kind in (*MULTI, "tags", "choices") else ""
        made.append(
            reader.control(
                info,
                raw.get(info.name, empty),
                error=error,
                check_href=href if info.name in checked else "",
                autofocus=first and place == 0,
            )
        )
    return made


def _checked_fields(entity: Entity, reader: Reader) -> set[str]:
    """Return the fields whose values tell a double; a derived name is typed in the fields it is made of."""
    from crm_core.records.fields import schema_fields

    fields = schema_fields(entity.schema)
    found: set[str] = set()
    for rule in entity.doubles:
        info = fields.get(rule.field)
        if info is None:
            continue
        if not info.readonly:
            found.add(info.name)
        else:
            found.update(
                one.name
                for one in fields.values()
                if one.kind == "text" and one.personal and one.section == info.section and not one.readonly
            )
    return found


def _errors(request: Request, fields: Mapping[str, FieldInfo], errors: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (f"f-{name}" if name else "", _named(request, fields, name, say(request, message)))
        for name, message in errors.items()
    ]


def _named(request: Request, fields: Mapping[str, FieldInfo], name: str, message: str) -> str:
    return f"{request.translate(fields[name].title)}: {message}" if name in fields else message


# -- saving, and the second saver --------------------------------------------------------------------------------------


def _version(request: Request) -> int | None:
    text = str(request.POST.get("version", ""))
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _save(request: Request, context: RecordContext, values: dict[str, Any], version: int | None) -> bool:
    """Save checked values; fields that the person left as he found them never overwrite what others wrote meanwhile.

    Such fields are taken out of `values`; raise `Conflict` about the rest.
    """
    before = context.item.version
    try:
        saving.change(request.gate, context.entity, context.item, values, version=version)
    except saving.Conflict as conflict:
        if not conflict.theirs:
            # Somebody saved between our read and this write: the whole request is done again on what there is now.
            raise Overtaken from conflict
        untouched = _untouched(request, context, conflict, version or 0)
        for name in untouched:
            values.pop(name, None)
            (values.get("extra") or {}).pop(name, None)
        theirs = {name: value for name, value in conflict.theirs.items() if name not in untouched}
        if theirs:
            mine = {name: conflict.mine[name] for name in theirs}
            raise saving.Conflict(conflict.record, theirs, mine, conflict.by) from None
        saving.change(request.gate, context.entity, context.item, values)
    return bool(context.item.version != before or operations.current(request.db))


def _untouched(request: Request, context: RecordContext, conflict: saving.Conflict, version: int) -> set[str]:
    """Return the fields in conflict whose value is the one the form was shown with."""
    rows = request.db.execute(
        sa.select(Change.before, Change.after)
        .where(Change.entity == context.entity.name, Change.record_id == context.item.id, Change.id > version)
        .order_by(Change.id)
    )
    first: dict[str, Any] = {}
    for before, after in rows:
        for name in after or {}:
            first.setdefault(name, (before or {}).get(name))
    found = set()
    for name, mine in conflict.mine.items():
        if name in first and _same(first[name], mine):
            found.add(name)
    return found


def _same(logged: Any, value: Any) -> bool:
    plain = json.loads(to_json(value))
    if logged == plain or (logged in (None, "", [], {}) and plain in (None, "", [], {})):
        return True
    try:
        return float(logged) == float(plain)
    except (TypeError, ValueError):
        return False


def _conflict_response(
    request: Request, context: RecordContext, conflict: saving.Conflict, values: Mapping[str, Any]
) -> Response:
    fields = fields_of(request, context.entity)
    reader = Reader(request)
    names: Names = reader.names
    for side in (conflict.theirs, conflict.mine):
        for name, value in side.items():
            names.want(fields[name], value)
    names.want_ids("user", [conflict.by])
    names.load()
    flat = {**{name: value for name, value in values.items() if name != "extra"}, **(values.get("extra") or {})}
    rest = {name: value for name, value in flat.items() if name not in conflict.theirs}
    at = request.db.scalar(
        sa.select(Change.at)
        .where(Change.entity == context.entity.name, Change.record_id == context.item.id)
        .order_by(Change.id.desc())
        .limit(1)
    )
    page = ConflictPage(
        title=context.label,
        action=f"{context.href}/resolve",
        who=reader.person(conflict.by) if conflict.by else None,
        when=request.formats.relative(at),
        fields=[
            ConflictField(
                name=name,
                title=request.translate(fields[name].title),
                theirs=reader.text(fields[name], theirs),
                yours=reader.text(fields[name], conflict.mine[name]),
                value=to_json(conflict.mine[name]),
            )
            for name, theirs in conflict.theirs.items()
        ],
        hidden=[("version", str(context.item.version)), ("rest", to_json(rest))],
        cancel_href=context.href,
    )
    response = render_to_response(CONFLICT, {"conflict": page}, request=request)
    response.status_int = 409
    return response


def resolve(context: RecordContext, request: Request) -> Any:
    """Save what was chosen of two versions."""
    fields = editable(context, fields_of(request, context.entity))
    try:
        wanted = json.loads(str(request.POST.get("rest", "{}")))
        for name in fields:
            if request.POST.get(f"keep-{name}") == "yours":
                wanted[name] = json.loads(str(request.POST.get(name, "null")))
        if not isinstance(wanted, dict):
            raise ValueError
    except ValueError:
        raise HTTPBadRequest from None
    raw = {name: value for name, value in wanted.items() if name in fields}
    try:
        values = saving.check(request.gate, context.entity, raw, only=raw)
        _save(request, context, values, _version(request))
    except InvalidValues as invalid:
        request.response.status_int = 422
        reader = Reader(request)
        shown = {name: reader.raw(fields[name], value) for name, value in raw.items()}
        page = _edit_page(context, request, fields, shown, invalid.errors, version=_version(request))
        response = render_to_response(FORM, page, request=request)
        response.status_int = 422
        return response
    except saving.NotAllowed:
        raise HTTPForbidden from None
    except saving.Conflict as conflict:
        return _conflict_response(request, context, conflict, values)
    request.toast(_("Saved: ${name}", mapping={"name": context.label}), undo_href=undo_href(request))
    return HTTPSeeOther(context.href)


# -- one field in its place --------------------------------------------------------------------------------------------


def _field(context: RecordContext, request: Request) -> FieldInfo:
    info = editable(context, fields_of(request, context.entity)).get(request.matchdict["field"])
    if info is None:
        raise HTTPNotFound
    return info


def edit_field(context: RecordContext, request: Request) -> dict[str, Any]:
    """Show the control of one field in the place of its value."""
    info = _field(context, request)
    reader = Reader(request)
    return _edit_field(context, reader, info, reader.raw(info, info.value(context.item)))


def _edit_field(
    context: RecordContext, reader: Reader, info: FieldInfo, raw: Any, error: Any = None, version: int | None = None
) -> dict[str, Any]:
    reader.want_raw(info, raw)
    reader.names.load()
    field = reader.control(
        info,
        raw,
        id=f"e-{info.name}",
        error=say(reader.request, error) if error else "",
        edit_href=f"{context.href}/fields/{info.name}",
        version=version or context.item.version,
        autofocus=True,
    )
    return {"field": field, "title": field.title, "back": context.href}


def save_field(context: RecordContext, request: Request) -> Any:
    """Save one field and answer its value as the card shows it."""
    from crm_core.views.records import cards

    info = _field(context, request)
    raw = read_raw(request.POST.items(), {info.name: info})
    if info.name not in raw:
        raise HTTPBadRequest
    version = _version(request)
    _describe(request, context)
    try:
        values = check(request, context.entity, raw, {info.name: info}, only=[info.name])
        changed = _save(request, context, values, version)
    except (InvalidValues, saving.NotAllowed) as problem:
        message = problem.errors.get(info.name) if isinstance(problem, InvalidValues) else problem.message
        if message is None and isinstance(problem, InvalidValues):
            message = next(iter(problem.errors.values()))
        page = _edit_field(context, Reader(request), info, raw[info.name], message, version)
        response = render_to_response(FIELD_EDIT, page, request=request)
        response.status_int = 422
        return response
    except saving.Conflict as conflict:
        return _conflict_response(request, context, conflict, values)
    if not request.headers.get("HX-Request"):
        return HTTPSeeOther(context.href)
    card = cards.card_page(context, request, whole=False)
    shown = next((one for one in cards.shown_fields(card) if one.name == info.name), None)
    if shown is None:
        raise HTTPNotFound
    response = render_to_response(FIELD, {"field": shown, "card": card}, request=request)
    if changed:
        text = request.translate(_("Saved: ${name}", mapping={"name": shown.title}))
        told = {"text": text, "undo_href": undo_href(request)}
        response.headers["HX-Trigger"] = json.dumps({"crm:toast": told, "crm:timeline": {}})
    return response


# -- doubles -----------------------------------------------------------------------------------------------------------


def show_doubles(context: EntityContext, request: Request) -> dict[str, Any]:
    """Tell which records are probably the one that is being typed."""
    fields = fields_of(request, context.entity)
    values = read_raw(request.GET.items(), {name: info for name, info in fields.items() if info.kind != "tags"})
    exclude = request.GET.get("exclude", "")
    number = int(exclude) if exclude.isdecimal() and len(exclude) < 19 else None
    return {"doubles": doubles.probable(request.gate, context.entity, values, exclude=number)}
