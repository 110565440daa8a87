"""What is done with many records at once: those chosen on the page, or everything that the list finds."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyramid.httpexceptions import HTTPBadRequest, HTTPForbidden, HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response

from crm_core import clock
from crm_core.files import store
from crm_core.forms import FieldInfo, InvalidValues
from crm_core.i18n import _, plural
from crm_core.jobs import enqueue
from crm_core.models import JobRow
from crm_core.records import exporting, operations, work
from crm_core.records.listing import Listing, ListQuery, QueryError
from crm_core.views.filling import say
from crm_core.views.records.context import EntityContext
from crm_core.views.records.editing import take_tags, undo_href
from crm_core.views.records.lists import read_kept, shown_columns
from crm_core.views.records.reading import Reader
from crm_core.views.shapes import Choice, FieldView, FormPage, Section

#: As many records are changed within the request; more become a job that goes on when the page is closed.
AT_ONCE = 500
#: As many rows are written into a file within the request.
EXPORT_AT_ONCE = 1000

#: Actions with the verbs they need.
VERBS = {"assign": "assign", "tag": "edit", "trash": "delete", "restore": "delete", "export": "export"}


@dataclass(frozen=True)
class Chosen:
    """The records that are meant: their ids, or everything that a list finds."""

    ids: tuple[int, ...]
    query: ListQuery | None = None

    @property
    def everything(self) -> bool:
        """Whether all that the list finds is meant."""
        return self.query is not None


def _action(context: EntityContext, request: Request) -> str:
    name = str(request.matchdict["action"])
    if name not in VERBS:
        raise HTTPNotFound
    if not context.may(VERBS[name]):
        raise HTTPForbidden
    return name


def read_chosen(context: EntityContext, request: Request, params: Any, action: str) -> Chosen:
    """Return what is meant by the parameters; a list that cannot be understood means nothing at all."""
    if params.get("everything") == "1":
        try:
            query = ListQuery.parse(params)
        except QueryError:
            raise HTTPBadRequest from None
        query = replace(query, after="", before="", trash=action == "restore")
        return Chosen((), query)
    ids = [int(one) for one in params.getall("ids") if one.isdecimal() and len(one) < 19]
    return Chosen(tuple(dict.fromkeys(ids[:1000])))


def _reached(context: EntityContext, request: Request, chosen: Chosen, action: str, limit: int) -> list[int]:
    """Return the ids that the verb reaches, at most `limit` + 1 of everything."""
    verb = VERBS[action]
    if chosen.query is not None:
        try:
            return Listing(request.gate, context.entity).ids(chosen.query, verb=verb, limit=limit + 1)
        except QueryError:
            raise HTTPBadRequest from None
    return sorted(request.gate.visible_ids(context.entity, chosen.ids, verb, trash=action == "restore"))


# -- the small form ----------------------------------------------------------------------------------------------------


def show(context: EntityContext, request: Request) -> dict[str, Any]:
    """Show the small form of a bulk action."""
    action = _action(context, request)
    chosen = read_chosen(context, request, request.GET, action)
    return _page(context, request, action, chosen, request.GET)


_TITLES = {
    "assign": _("Assign"),
    "tag": _("Tags"),
    "trash": _("Move to the trash"),
    "restore": _("Put back from the trash"),
    "export": _("Export"),
}


def _page(
    context: EntityContext,
    request: Request,
    action: str,
    chosen: Chosen,
    params: Any,
    errors: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    most = EXPORT_AT_ONCE if action == "export" else AT_ONCE
    reached = len(_reached(context, request, chosen, action, most))
    plenty = reached > most
    count = request.formats.number(most if plenty else reached)
    how_many = request.translate(_("more than ${n}", mapping={"n": count})) if plenty else count
    left = 0 if chosen.everything else len(chosen.ids) - reached
    hidden = [("ids", str(one)) for one in chosen.ids]
    if chosen.query is not None:
        hidden = [("everything", "1"), *_pairs(chosen.query)]
    notes = [request.translate(_("Records: ${n}", mapping={"n": how_many}))]
    if left:
        notes.append(request.translate(_("Left alone, for you may not: ${n}", mapping={"n": left})))
    if plenty:
        notes.append(request.translate(_("This goes on in the background, also when the page is closed.")))
    form = FormPage(
        id="bulk",
        title=_TITLES[action],
        action=f"{context.entity.url}/bulk/{action}",
        submit=_submit(action),
        intro=". ".join(notes),
        sections=[Section(fields=_fields(context, request, action, params, errors or {}))],
        hidden=hidden,
        cancel_href=context.entity.url + ("?trash=1" if action == "restore" else ""),
        danger=action == "trash",
    )
    return {"form": form, "more": (), "more_open": False, "title": _TITLES[action], "nothing": not reached}


def _pairs(query: ListQuery) -> list[tuple[str, str]]:
    from urllib.parse import parse_qsl

    return parse_qsl(query.query_string())


def _submit(action: str) -> Any:
    return {
        "assign": _("Make responsible"),
        "tag": _("Change the tags"),
        "trash": _("Move to the trash"),
        "restore": _("Put back"),
        "export": _("Make the file"),
    }[action]


def _fields(
    context: EntityContext, request: Request, action: str, params: Any, errors: Mapping[str, Any]
) -> list[FieldView]:
    reader = Reader(request)
    say_ = request.translate

    def error(name: str) -> str:
        return say(request, errors[name]) if name in errors else ""

    if action == "assign":
        raw = str(params.get("owner_id", ""))
        reader.names.want_ids("user", [raw])
        reader.names.load()
        info = FieldInfo(name="owner_id", title=_("Responsible"), kind="user", required=True)
        return [reader.control(info, raw, error=error("owner_id"), help=say_(_("The records move to his department.")))]
    if action == "tag":
        return [
            reader.control(
                FieldInfo(name=name, title=title, kind="tags"), params.getall(name), error=error(name), **more
            )
            for name, title, more in (
                ("add", _("Put on"), {}),
                ("remove", _("Take off"), {"create_title": ""}),
            )
        ]
    if action == "export":
        formats = [
            Choice(value="xlsx", title=say_(_("Excel (XLSX)"))),
            Choice(value="csv", title=say_(_("CSV, as Excel opens it"))),
        ]
        columns = [
            Choice(value="shown", title=say_(_("As in the list"))),
            Choice(value="all", title=say_(_("All fields"))),
        ]
        return [
            FieldView(name="format", title=say_(_("File")), kind="radio", value="xlsx", choices=formats),
            FieldView(name="columns", title=say_(_("Columns")), kind="radio", value="shown", choices=columns),
        ]
    return []


# -- doing it ----------------------------------------------------------------------------------------------------------


def do(context: EntityContext, request: Request) -> Any:
    """Do it: at once with a few records, as a job with many."""
    action = _action(context, request)
    chosen = read_chosen(context, request, request.POST, action)
    if action == "export":
        return _export(context, request, chosen)
    entity = context.entity
    try:
        values = _values(context, request, action)
    except InvalidValues as invalid:
        request.response.status_int = 422
        return _page(context, request, action, chosen, request.POST, invalid.errors)
    ids = _reached(context, request, chosen, action, AT_ONCE)
    where = _back(context, chosen, action)
    if not ids:
        request.toast(_("None of these records is within your reach."), tone="warning")
        return _close(request, where)
    if chosen.query is not None and len(ids) > AT_ONCE:
        query = {**chosen.query.to_json(), **({"trash": True} if action == "restore" else {})}
        work.start_bulk(request.db, request.subject.user_id, entity.name, query, action, values)
        request.toast(_("It goes on in the background; how far it is stands above."), tone="info")
        return _close(request, where)
    try:
        outcome = work.ACTIONS[action](request.gate, entity, ids, values)
    except InvalidValues as invalid:
        request.response.status_int = 422
        return _page(context, request, action, chosen, request.POST, invalid.errors)
    refused = outcome.refused + (0 if chosen.everything else len(chosen.ids) - len(ids))
    text = _done(request, action, len(outcome.changed))
    if refused:
        text = f"{text} {request.translate(_('Left alone: ${n}', mapping={'n': refused}))}"
    request.toast(text, undo_href=undo_href(request))
    return _close(request, where)


def _back(context: EntityContext, chosen: Chosen, action: str) -> str:
    text = chosen.query.query_string() if chosen.query is not None else "trash=1" if action == "restore" else ""
    return context.entity.url + (f"?{text}" if text else "")


def _done(request: Request, action: str, number: int) -> str:
    if action == "assign":
        text = plural(
            request, "${n} record has a new responsible person.", "${n} records have a new responsible person.", number
        )
    elif action == "tag":
        text = plural(request, "Tags changed on ${n} record.", "Tags changed on ${n} records.", number)
    elif action == "trash":
        text = plural(request, "${n} record is in the trash.", "${n} records are in the trash.", number)
    else:
        text = plural(request, "${n} record is back.", "${n} records are back.", number)
    return text


def _values(context: EntityContext, request: Request, action: str) -> dict[str, Any]:
    """Return the checked arguments of an action; plain data, for a job keeps them."""
    if action == "assign":
        text = str(request.POST.get("owner_id", ""))
        if not text.isdecimal() or len(text) > 18:
            raise InvalidValues({"owner_id": _("Choose from the list.")})
        return {"owner_id": int(text)}
    if action == "tag":
        infos = {name: FieldInfo(name=name, title=name, kind="tags") for name in ("add", "remove")}
        raw = {name: [one for one in request.POST.getall(name) if one] for name in infos}
        if not raw["add"] and not raw["remove"]:
            raise InvalidValues({"add": _("Choose at least one tag.")})
        operations.describe(request.db, request.subject, kind="tag", entity=context.entity.name)
        values = take_tags(request, raw, infos)
        return {name: [int(one) for one in values[name] if str(one).isdecimal()] for name in infos}
    return {}


# -- export ------------------------------------------------------------------------------------------------------------


def _export(context: EntityContext, request: Request, chosen: Chosen) -> Any:
    entity = context.entity
    format = str(request.POST.get("format", "xlsx"))
    if format not in exporting.FORMATS:
        raise HTTPBadRequest
    listing = Listing(request.gate, entity)
    columns: list[str] | None = None
    if request.POST.get("columns") != "all":
        query = chosen.query or ListQuery()
        columns = [entity.label, *shown_columns(listing, query, read_kept(request, entity))]
    ids = _reached(context, request, chosen, "export", EXPORT_AT_ONCE)
    if not ids:
        request.toast(_("None of these records is within your reach."), tone="warning")
        return _close(request, entity.url)
    if chosen.query is not None and len(ids) > EXPORT_AT_ONCE:
        enqueue(
            request.db,
            "core.export",
            user_id=request.subject.user_id,
            visible=True,
            title=request.translate(entity.title_plural),
            entity=entity.name,
            query=chosen.query.to_json(),
            format=format,
            columns=columns,
        )
        request.toast(_("The file is being made; you will be told when it is ready."), tone="info")
        return _close(request, _back(context, chosen, "export"))
    href, count = _export_now(context, request, ids, format, columns)
    text = plural(request, "The file is ready: ${n} row", "The file is ready: ${n} rows", count)
    request.toast(text, href=href, href_title=request.translate(_("Download")))
    return _close(request, _back(context, chosen, "export"))


def _close(request: Request, where: str) -> Any:
    # A dialog closes and the page beneath takes the toast in; without scripts the list comes again.
    return Response(status=204) if request.headers.get("HX-Request") else HTTPSeeOther(where)


def _export_now(
    context: EntityContext, request: Request, ids: Sequence[int], format: str, columns: list[str] | None
) -> tuple[str, int]:
    entity, say_ = context.entity, request.translate
    fields = exporting.columns(request.gate, entity, columns)
    cells = (row for _id, row in exporting.rows_of(request.gate, entity, ids, fields, say_))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"export.{format}"
        write = exporting.write_xlsx if format == "xlsx" else exporting.write_csv
        count = write(path, [say_(info.title) for info in fields], cells)
        with path.open("rb") as stream:
            digest, size = store(request.db, request.file_store, stream, limit=1 << 31)
    operations.begin(
        request.db, request.subject, kind="export", entity=entity.name, detail={"rows": count, "format": format}
    )
    name = f"{say_(entity.title_plural)} {clock.today(request.formats.tz).isoformat()}.{format}"
    now = clock.now()
    job = JobRow(
        name="core.export",
        queue="default",
        state="done",
        user_id=request.subject.user_id,
        title=say_(entity.title_plural),
        started_at=now,
        finished_at=now,
        result={"digest": digest, "size": size, "rows": count, "format": format, "name": name},
    )
    request.db.add(job)
    request.db.flush()
    return f"/exports/{job.id}", count
