"""Imports that run or have run: progress, result, rejected rows, stop, the way back, the list of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPForbidden
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from crm_core import clock, jobs
from crm_core.i18n import _
from crm_core.models import ImportReject, ImportRun, JobRow, Operation, Tag, User
from crm_core.people import Refused
from crm_core.records import operations, undo, work
from crm_core.records.importing import engine, report
from crm_core.records.saving import NotAllowed
from crm_core.security.permissions import LOG_VIEW, SIGNED_IN
from crm_core.views.filling import go, post_button, say
from crm_core.views.imports import RunContext, importable
from crm_core.views.imports.begin import CRUMB, MODES, opened, steps
from crm_core.views.shapes import (
    Action,
    Badge,
    Cell,
    Column,
    EmptyState,
    Figure,
    JobView,
    KeyValue,
    ListPage,
    Notice,
    PersonView,
    Row,
)

PAGE = 50
#: Rejected rows shown on the page itself; all of them are in the download.
SHOWN = 30

RUN = "crm_core:templates/imports/run.pt"

STATES = {
    "draft": Badge(text=_("Not begun"), tone="muted"),
    "running": Badge(text=_("Running"), tone="info", icon="loader-2"),
    "done": Badge(text=_("Done"), tone="success", icon="check"),
    "stopped": Badge(text=_("Stopped"), tone="warning", icon="player-stop"),
    "failed": Badge(text=_("Failed"), tone="danger", icon="alert-circle"),
}

PUT_BACK = Badge(text=_("Put back"), tone="muted", icon="arrow-back-up")


def state_of(run: ImportRun, job: JobRow | None) -> str:
    """Return how a run stands; a job that has ended without saying so leaves a stopped or failed run."""
    if run.state != "running" or (job is not None and job.state in (jobs.WAITING, jobs.RUNNING)):
        return run.state
    return "failed" if job is not None and job.state == jobs.FAILED else "stopped"


def _job(request: Request, run: ImportRun) -> JobRow | None:
    return request.db.get(JobRow, run.job_id) if run.job_id else None


# -- one import --------------------------------------------------------------------------------------------------------


@view_config(route_name="imports.run", request_method="GET", permission=SIGNED_IN, renderer=RUN)
def show(context: RunContext, request: Request) -> Any:
    """Show how far an import is, or what came of it."""
    run, entity = context.run, context.entity(request)
    if run.state == "draft":
        return go(request, f"/imports/{run.id}/columns")
    job = _job(request, run)
    state = state_of(run, job)
    operation = request.db.get(Operation, run.operation_id) if run.operation_id else None
    back = _undo_job(request, operation)
    going_back = back is not None and back.state in (jobs.WAITING, jobs.RUNNING)
    targets = engine.targets(request.gate, entity)
    found = report.reasons(request.db, run.id) if state != "running" else []
    return {
        "title": run.file_name,
        "crumbs": [CRUMB],
        "steps": steps(5 if state == "done" else 4),
        "badge": PUT_BACK if operation is not None and operation.undone_by is not None else STATES[state],
        "poll": f"/imports/{run.id}" if state == "running" or going_back else "",
        "job": _progress(request, run, job) if state == "running" else None,
        "back_job": _back_view(request, back) if going_back and back is not None else None,
        "notices": _notices(request, run, job, state, operation, back),
        "figures": _figures(request, run, entity, state, operation),
        "rejects": _reasons(request, found, targets, rejects=True),
        "remarks": _reasons(request, found, targets, rejects=False),
        "rows": _rejected_rows(request, run, targets) if state != "running" else [],
        "downloads": _downloads(run, found),
        "actions": _actions(request, context, run, state, operation),
        "facts": _facts(request, run, entity, job, operation),
    }


def _progress(request: Request, run: ImportRun, job: JobRow | None) -> JobView:
    done, total = int(run.counts.get("rows", 0)), run.options.get("total")
    state = "waiting" if job is None or job.state == jobs.WAITING else "running"
    words = request.plural("${n} row", "${n} rows", done)
    if total:
        numbers = {"done": request.formats.number(done), "total": request.formats.number(total)}
        words = request.translate(_("${done} of ${total} rows", mapping=numbers))
    left = _time_left(request, job, done, total)
    if left:
        words += " · " + left
    if state == "waiting":
        words = request.translate(_("It begins as soon as a worker is free; this page may be closed."))
        if job is not None and job.error:
            words = request.translate(_("Something went wrong; it is tried again by itself."))
    return JobView(
        id=run.job_id or run.id,
        title=request.translate(_("Importing")),
        state=state,
        done=done,
        total=total,
        text=words,
        stop_href="" if job is not None and job.stop_asked else f"/imports/{run.id}/stop",
    )


def _time_left(request: Request, job: JobRow | None, done: int, total: int | None) -> str:
    if job is None or job.stop_asked:
        return str(request.translate(_("stopping after this batch"))) if job is not None else ""
    if not total or not done or job.started_at is None:
        return ""
    spent = (clock.now() - job.started_at).total_seconds()
    left = spent / done * (total - done)
    if left < 60:
        return str(request.translate(_("less than a minute left")))
    return str(request.plural("about ${n} minute left", "about ${n} minutes left", round(left / 60)))


def _notices(
    request: Request, run: ImportRun, job: JobRow | None, state: str, operation: Operation | None, back: JobRow | None
) -> list[Notice]:
    found = []
    if state == "failed":
        text = run.error or (job.error.strip().split("\n")[-1][:300] if job is not None else "")
        done = request.plural("${n} row was taken", "${n} rows were taken", int(run.counts.get("rows", 0)))
        title = request.translate(
            _("The import came to a halt. What was taken is kept: ${rows}.", mapping={"rows": done})
        )
        found.append(Notice(title=title, text=text, tone="danger"))
    if state == "stopped" and not (operation is not None and operation.undone_by is not None):
        found.append(Notice(text=_("Stopped. What was taken is kept; you can go on or put it back."), tone="warning"))
    going_back = back is not None and back.state in (jobs.WAITING, jobs.RUNNING)
    if operation is not None and operation.undone_by is not None and not going_back:
        found.append(_undone(request, operation))
    return found


def _undone(request: Request, operation: Operation) -> Notice:
    done = request.db.get(Operation, operation.undone_by)
    if done is None or done.state == operations.RUNNING:
        return Notice(text=_("Putting it back did not come to an end."), tone="danger")
    undone = request.plural("${n} change", "${n} changes", int(done.detail.get("undone", 0)))
    text = request.translate(_("The import was put back: ${changes}.", mapping={"changes": undone}))
    conflicts = len(done.detail.get("conflicts", ()))
    if conflicts:
        text += " " + request.plural(
            "${n} record was changed by somebody since and was left as it is.",
            "${n} records were changed by somebody since and were left as they are.",
            conflicts,
        )
    href = f"/settings/log/{done.id}"
    actions = [Action(title=_("Show"), href=href)] if request.subject.may(LOG_VIEW) else []
    return Notice(text=text, tone="warning" if conflicts else "success", actions=actions)


def _figures(request: Request, run: ImportRun, entity: Any, state: str, operation: Operation | None) -> list[Figure]:
    counts = {name: int(run.counts.get(name, 0)) for name in (*engine.OUTCOMES, "rows")}
    number = request.formats.number
    undone = operation is not None and operation.undone_by is not None
    shown = counts["created"] and not undone and request.gate.may(entity, "view")
    return [
        Figure(title=_("Rows"), value=number(counts["rows"])),
        Figure(
            title=_("Were created"),
            value=number(counts["created"]),
            tone="success" if counts["created"] else "",
            href=f"{entity.url}?f=import:is:{run.id}" if shown and state != "running" else "",
            hint=request.translate(_("Show them in the list")) if shown else "",
        ),
        Figure(title=_("Updated"), value=number(counts["updated"])),
        Figure(title=_("Nothing to change"), value=number(counts["unchanged"])),
        Figure(title=_("Rejected"), value=number(counts["rejected"]), tone="danger" if counts["rejected"] else ""),
    ]


def _reasons(request: Request, found: list[report.Reason], targets: Any, *, rejects: bool) -> list[dict[str, str]]:
    return [
        {
            "text": report.sentence(lambda text: say(request, text), one.example, targets),
            "count": request.formats.number(one.count),
        }
        for one in found
        if one.rejects == rejects
    ]


def _rejected_rows(request: Request, run: ImportRun, targets: Any) -> list[dict[str, Any]]:
    rows = request.db.execute(
        sa.select(ImportReject.row_number, ImportReject.cells, ImportReject.reasons)
        .where(ImportReject.import_id == run.id)
        .order_by(ImportReject.row_number)
        .limit(SHOWN)
    )
    return [
        {
            "number": row.row_number,
            "text": " · ".join(cell.strip() for cell in row.cells if cell.strip())[:160],
            "reasons": [report.sentence(lambda text: say(request, text), one, targets) for one in row.reasons],
        }
        for row in rows
    ]


def _downloads(run: ImportRun, found: list[report.Reason]) -> list[Action]:
    actions = []
    if run.counts.get("rejected"):
        actions.append(
            Action(title=_("Download rejected rows"), href=f"/imports/{run.id}/rejected.csv", icon="download")
        )
    if any(not one.rejects for one in found):
        actions.append(Action(title=_("Download remarks"), href=f"/imports/{run.id}/remarks.csv", icon="download"))
    return actions


def _actions(
    request: Request, context: RunContext, run: ImportRun, state: str, operation: Operation | None
) -> list[Action]:
    actions = []
    own = run.user_id == request.subject.user_id and request.gate.may(context.entity(request), "import")
    undone = operation is not None and operation.undone_by is not None
    if state in ("stopped", "failed") and own and not undone:
        actions.append(post_button(_("Continue"), f"/imports/{run.id}/start", "player-play", "primary"))
    if operation is not None and _may_undo(request, run, state, operation):
        actions.append(post_button(_("Put it back as it was"), f"/imports/{run.id}/undo", "arrow-back-up"))
    if state != "running" and importable(request):
        href = f"/imports/new?entity={run.entity}"
        actions.append(Action(title=_("Import one more file"), href=href, icon="file-import"))
    return actions


def _may_undo(request: Request, run: ImportRun, state: str, operation: Operation) -> bool:
    if state == "running" or operation.undone_by is not None:
        return False
    if not sum(int(run.counts.get(name, 0)) for name in ("created", "updated")):
        return False
    present, operation_state = operation, operation.state
    if operation_state != operations.RUNNING:
        return undo.may_undo(request.gate, present)
    # A run whose worker will not come back has left its operation open; taking it back closes it first.
    return run.user_id == request.subject.user_id or "all" in request.subject.scopes("log:undo")


def _facts(
    request: Request, run: ImportRun, entity: Any, job: JobRow | None, operation: Operation | None
) -> list[KeyValue]:
    author = request.db.scalar(sa.select(User.name).where(User.id == run.user_id)) if run.user_id else ""
    facts = [
        KeyValue(title=_("What"), value=request.translate(entity.title_plural), href=entity.url),
        KeyValue(title=_("Who"), value=author or request.translate(_("The system"))),
        KeyValue(title=_("When"), value=request.formats.datetime(run.created_at)),
    ]
    if job is not None and job.started_at is not None and job.finished_at is not None:
        seconds = max((job.finished_at - job.started_at).total_seconds(), 0.1)
        words = request.formats.number(seconds, 1)
        facts.append(KeyValue(title=_("How long"), value=request.translate(_("${n} s", mapping={"n": words}))))
    mode = run.options.get("mode", "both")
    facts.append(KeyValue(title=_("Records already there"), value=request.translate(MODES.get(mode, MODES["both"])[0])))
    tags = run.options.get("tags") or ()
    if tags:
        names = request.db.scalars(sa.select(Tag.name).where(Tag.id.in_(list(tags))).order_by(Tag.name))
        facts.append(KeyValue(title=_("Tag"), value=", ".join(names)))
    if operation is not None and request.subject.may(LOG_VIEW):
        facts.append(KeyValue(title=_("All changes"), value=f"№ {operation.id}", href=f"/settings/log/{operation.id}"))
    return facts


# -- what can be done --------------------------------------------------------------------------------------------------


@view_config(route_name="imports.stop", request_method="POST", permission=SIGNED_IN)
def stop(context: RunContext, request: Request) -> Any:
    """Ask a running import to stop after its batch; one that waits is stopped at once."""
    run = context.run
    job = _job(request, run)
    if run.state == "running" and job is not None and jobs.ask_to_stop(request.db, job.id, request.subject):
        if job.state == jobs.CANCELLED:
            run.state = "stopped"
            if run.operation_id is not None:
                operations.finish(request.db, run.operation_id, operations.STOPPED)
        request.toast(_("The import stops after the rows that it has in hand."))
    return go(request, f"/imports/{run.id}")


@view_config(route_name="imports.undo", request_method="POST", permission=SIGNED_IN)
def take_back(context: RunContext, request: Request) -> Any:
    """Put everything back as it was before the import: at once when it is little, else by a job."""
    here = f"/imports/{context.run.id}"
    run = request.db.get_one(ImportRun, context.run.id, with_for_update=True, populate_existing=True)
    operation = request.db.get(Operation, run.operation_id) if run.operation_id else None
    state = state_of(run, _job(request, run))
    if operation is None or not _may_undo(request, run, state, operation):
        request.toast(_("This import cannot be put back, or it has been already."), tone="danger")
        return go(request, here)
    if operation.state == operations.RUNNING:
        operation.state = operations.STOPPED
    if run.state == "running":
        run.state = state
    request.db.flush()
    try:
        _undo_id, job_id = work.start_undo(request.gate, operation.id)
    except NotAllowed as error:
        request.toast(error.message, tone="danger")
        return go(request, here)
    if job_id is None:
        request.toast(_("It is as it was before the import."))
    return go(request, here)


def _undo_job(request: Request, operation: Operation | None) -> JobRow | None:
    if operation is None or operation.undone_by is None:
        return None
    statement = sa.select(JobRow).where(JobRow.key == f"core.undo:{operation.undone_by}").order_by(JobRow.id.desc())
    found: JobRow | None = request.db.scalars(statement.limit(1)).first()
    return found


def _back_view(request: Request, job: JobRow) -> JobView:
    return JobView(
        id=job.id,
        title=request.translate(_("Putting it back as it was")),
        state="waiting" if job.state == jobs.WAITING else "running",
        done=job.done_units,
        total=job.total_units,
        text=request.plural("${n} change put back", "${n} changes put back", job.done_units),
    )


@view_config(route_name="imports.discard", request_method="POST", permission=SIGNED_IN)
def discard(context: RunContext, request: Request) -> Any:
    """Forget an import that was not begun."""
    if context.run.state == "draft":
        request.db.delete(context.run)
        request.toast(_("The import was not begun; nothing was changed."))
    return go(request, "/imports")


@view_config(route_name="imports.rejected", request_method="GET", permission=SIGNED_IN)
def rejected(context: RunContext, request: Request) -> Response:
    """Give the rejected rows as a file: the columns as they were, then the row and the reason."""
    run = context.run
    try:
        headers = opened(request, run).headers
    except Refused:
        widest = sa.func.max(sa.func.cardinality(ImportReject.cells))
        count = request.db.scalar(sa.select(widest).where(ImportReject.import_id == run.id)) or 0
        headers = [str(number) for number in range(1, count + 1)]
    targets = engine.targets(request.gate, context.entity(request))
    content = report.rejected_file(request.db, run.id, headers, lambda text: say(request, text), targets)
    return _file(request, run, request.translate(_("rejected")), content)


@view_config(route_name="imports.remarks", request_method="GET", permission=SIGNED_IN)
def remarks(context: RunContext, request: Request) -> Response:
    """Give what was mended or left out in rows that were taken, with the records they became."""
    run, entity = context.run, context.entity(request)
    targets = engine.targets(request.gate, entity)
    url = request.application_url + entity.url
    content = report.remarks_file(request.db, run.id, lambda text: say(request, text), targets, url)
    return _file(request, run, request.translate(_("remarks")), content)


def _file(request: Request, run: ImportRun, word: str, content: bytes) -> Response:
    stem = run.file_name.rpartition(".")[0] or run.file_name
    name = f"{stem} - {word}.csv"
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    return Response(
        body=content,
        content_type="text/csv",
        charset="utf-8",
        headerlist=[
            ("Content-Type", "text/csv; charset=utf-8"),
            ("Content-Disposition", f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "private, no-store"),
        ],
    )


# -- the list ----------------------------------------------------------------------------------------------------------


@view_config(
    route_name="imports.list",
    request_method="GET",
    permission=SIGNED_IN,
    renderer="crm_core:templates/imports/list.pt",
)
def list_imports(request: Request) -> dict[str, Any]:
    """Show one's own imports, or everybody's where one may import everything."""
    entities = request.registry["crm.plugins"].entities
    allowed = importable(request)
    subject = request.subject
    wide = [one.name for one in allowed if "all" in subject.scopes(f"{one.permission_prefix}:import")]
    mine = ImportRun.user_id == subject.user_id
    if not allowed and not request.db.scalar(sa.select(ImportRun.id).where(mine).limit(1)):
        raise HTTPForbidden(detail=request.translate(_("Your role may not import.")))
    statement = (
        sa.select(ImportRun, User.name, JobRow.state)
        .outerjoin(User, User.id == ImportRun.user_id)
        .outerjoin(JobRow, JobRow.id == ImportRun.job_id)
        .where(sa.or_(mine, ImportRun.entity.in_(wide)), ImportRun.entity.in_(list(entities)))
        # A draft is nobody's business but its author's.
        .where(sa.or_(mine, ImportRun.state != "draft"))
        .order_by(ImportRun.id.desc())
        .limit(PAGE + 1)
    )
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        statement = statement.where(ImportRun.id < int(before))
    found = request.db.execute(statement).all()
    return {
        "title": _("Imports"),
        "page": ListPage(
            title=_("Imports"),
            href="/imports",
            icon="file-import",
            selectable=False,
            columns=[
                Column(name="file", title=_("File"), kind="title"),
                Column(name="what", title=_("What"), phone=True),
                *([Column(name="who", title=_("Who"), kind="person")] if wide else []),
                Column(name="at", title=_("When"), kind="date", phone=True),
                Column(name="state", title=_("State"), kind="badge", phone=True),
                Column(name="created", title=_("Were created"), kind="number"),
                Column(name="updated", title=_("Updated"), kind="number"),
                Column(name="rejected", title=_("Rejected"), kind="number"),
            ],
            rows=[
                _row(request, run, author, state, entities[run.entity], bool(wide))
                for run, author, state in found[:PAGE]
            ],
            next_href=f"/imports?before={found[PAGE - 1][0].id}" if len(found) > PAGE else "",
            first_href="/imports" if before else "",
            create=Action(title=_("Import from a file"), href="/imports/new", icon="file-import", look="primary")
            if allowed
            else None,
            empty=EmptyState(
                title=_("Nothing has been imported yet"),
                text=_("Bring your clients from a table: what is already there is found, and all can be put back."),
                icon="file-import",
                action=Action(title=_("Import from a file"), href="/imports/new", look="primary", icon="file-import")
                if allowed
                else None,
            ),
        ),
    }


def _row(request: Request, run: ImportRun, author: str | None, job: str | None, entity: Any, with_author: bool) -> Row:
    number = request.formats.number
    who = author or request.translate(_("The system"))
    state = run.state
    if state == "running" and job not in (jobs.WAITING, jobs.RUNNING):
        state = "failed" if job == jobs.FAILED else "stopped"
    href = f"/imports/{run.id}" + ("/columns" if state == "draft" else "")
    shown = {name: number(int(run.counts[name])) if name in run.counts else "" for name in engine.OUTCOMES}
    return Row(
        id=run.id,
        href=href,
        label=run.file_name,
        cells=[
            Cell(kind="title", text=run.file_name, href=href),
            Cell(text=request.translate(entity.title_plural)),
            *([Cell(kind="person", text=who, person=PersonView.of(who, run.user_id))] if with_author else []),
            Cell(
                kind="date",
                text=request.formats.relative(run.created_at),
                hint=request.formats.datetime(run.created_at),
                datetime=run.created_at.isoformat(),
            ),
            Cell(kind="badge", badges=[STATES[state]]),
            Cell(kind="number", text=shown["created"]),
            Cell(kind="number", text=shown["updated"]),
            Cell(kind="number", text=shown["rejected"]),
        ],
    )
