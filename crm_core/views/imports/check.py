"""The check of an import: what becomes of each cell, and what would become of all rows, before anything is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyramid.request import Request
from pyramid.view import view_config

from crm_core import jobs
from crm_core.i18n import _
from crm_core.models import ImportRun, JobRow
from crm_core.people import Refused
from crm_core.records import work
from crm_core.records.importing import engine, report, trying
from crm_core.records.importing.readers import Table
from crm_core.records.saving import tag_ids
from crm_core.security.permissions import SIGNED_IN
from crm_core.views.filling import go, post_button, say
from crm_core.views.imports import RunContext
from crm_core.views.imports.begin import CRUMB, opened, steps, target_title
from crm_core.views.shapes import Action, Figure, JobView, Notice

CHECK = "crm_core:templates/imports/check.pt"

#: Rows whose cells are shown as they were and as they become.
SHOWN_ROWS = 200
SHOWN_CELLS = 60


@view_config(route_name="imports.check", request_method="GET", permission=SIGNED_IN, renderer=CHECK)
def check(context: RunContext, request: Request) -> Any:
    """Show what would become of the file."""
    if context.run.state != "draft":
        return go(request, f"/imports/{context.run.id}")
    context.require_import(request)
    try:
        table = opened(request, context.run)
        options = trying.trial_options(request.db, context.run)
        if not options.mapping:
            return go(request, f"/imports/{context.run.id}/columns")
        return _check_page(context, request, table, options)
    except Refused as refused:
        request.toast(refused.sentence, tone="danger")
        return go(request, f"/imports/{context.run.id}/columns")


@view_config(route_name="imports.check", request_method="POST", permission=SIGNED_IN, renderer=CHECK)
def check_again(context: RunContext, request: Request) -> Any:
    """Try a large file once more after its check was stopped or failed."""
    context.require_import(request)
    run = request.db.get(ImportRun, context.run.id, with_for_update=True, populate_existing=True)
    if run is not None and run.state == "draft":
        work.start_check(request.db, run, request.subject.user_id)
    return go(request, f"/imports/{context.run.id}/check")


@view_config(route_name="imports.start", request_method="POST", permission=SIGNED_IN)
def start(context: RunContext, request: Request) -> Any:
    """Begin the import, or go on with one that was stopped; a second click finds it running."""
    context.require_import(request)
    here = f"/imports/{context.run.id}"
    run = request.db.get(ImportRun, context.run.id, with_for_update=True, populate_existing=True)
    # Whoever imports does it with his own rights; an administrator may look, stop and take back.
    if run is None or run.user_id != request.subject.user_id:
        request.toast(_("Only whoever began this import may go on with it."), tone="danger")
        return go(request, here)
    if run.state not in ("draft", "stopped", "failed") and not _is_dead(request, run):
        return go(request, here)
    total = None
    if run.state == "draft":
        verdict = trying.kept_verdict(run)
        _stop_check(request, run)
        options = engine.Options.from_json(run.options)
        if not options.mapping:
            return go(request, f"{here}/columns")
        ids = tag_ids(request.db, run.options.get("tag_names") or ())
        kept = {"tag_names": run.options.get("tag_names") or []}
        total = verdict.counts["rows"] if verdict is not None and verdict.whole else opened(request, run).count()
        run.options = {**kept, **replace(options, tags=tuple(sorted(ids.values()))).to_json(), "total": total}
    else:
        total = run.options.get("total")
    work.start_import(request.db, run, request.subject.user_id, total)
    return go(request, here)


def _is_dead(request: Request, run: ImportRun) -> bool:
    job = request.db.get(JobRow, run.job_id) if run.job_id else None
    return run.state == "running" and (job is None or job.state not in (jobs.WAITING, jobs.RUNNING))


def _stop_check(request: Request, run: ImportRun) -> None:
    job_id = (run.options.get(trying.CHECK) or {}).get("job")
    if job_id:
        jobs.ask_to_stop(request.db, job_id, request.subject)


def _check_page(context: RunContext, request: Request, table: Table, options: engine.Options) -> dict[str, Any]:
    run, entity = context.run, context.entity(request)
    importer = engine.Importer(request.gate, entity, table, options, work.in_languages(request.gate.plugins))
    job: JobRow | None = None
    verdict = trying.kept_verdict(run)
    first: list[Any] = []
    if verdict is None:
        first = table.sample(trying.AT_ONCE + 1)
        if len(first) <= trying.AT_ONCE:
            verdict = trying.try_out(importer, [first])
            trying.keep_verdict(run, verdict)
            # What the rows before came to is not to colour what is shown of single cells.
            importer = engine.Importer(request.gate, entity, table, options, work.in_languages(request.gate.plugins))
        else:
            job = _check_job(request, run)
    running = job is not None and job.state in (jobs.WAITING, jobs.RUNNING)
    partial = request.headers.get("HX-Request-Type") == "partial" and running
    sample = [] if partial else (first or table.sample(SHOWN_ROWS))[:SHOWN_ROWS]
    shown = trying.cell_changes(importer, sample, request.translate, SHOWN_CELLS + 1)
    return {
        "title": run.file_name,
        "crumbs": [CRUMB],
        "steps": steps(3),
        "poll": f"/imports/{run.id}/check" if running else "",
        "job": _job_view(request, run, job) if job is not None else None,
        "again": post_button(_("Check again"), f"/imports/{run.id}/check", "refresh")
        if job is not None and not running
        else None,
        "figures": _figures(request, verdict) if verdict is not None else [],
        "notices": _notices(request, verdict),
        "rejects": reason_rows(request, importer, verdict.reasons if verdict else (), rejects=True),
        "remarks": reason_rows(request, importer, verdict.reasons if verdict else (), rejects=False),
        "cells": _cell_rows(request, importer, shown[:SHOWN_CELLS]),
        "cells_more": len(shown) > SHOWN_CELLS,
        "start": Action(
            title=_button(request, verdict),
            href=f"/imports/{run.id}/start",
            method="post",
            look="primary",
            icon="file-import",
        )
        if verdict is None or _taken(verdict)
        else None,
        "back": Action(title=_("Back to the columns"), href=f"/imports/{run.id}/columns", look="ghost"),
    }


def _check_job(request: Request, run: ImportRun) -> JobRow | None:
    known = run.options.get(trying.CHECK) or {}
    number = known.get("job") if known.get("key") == trying.key_of(run) else None
    if number is None:
        number = work.start_check(request.db, run, request.subject.user_id)
    return request.db.get(JobRow, number)


def _job_view(request: Request, run: ImportRun, job: JobRow) -> JobView:
    state = {jobs.DONE: "stopped", jobs.CANCELLED: "stopped"}.get(job.state, job.state)
    return JobView(
        id=job.id,
        title=request.translate(_("Checking all rows")),
        state=state,
        done=job.done_units,
        total=job.total_units,
        text=request.plural("${n} row looked through", "${n} rows looked through", job.done_units)
        if state == "running"
        else "",
        error=request.translate(_("The check did not come to an end. You can import without it."))
        if state == "failed"
        else "",
    )


def _taken(verdict: trying.Verdict) -> int:
    return sum(verdict.counts.get(name, 0) for name in ("created", "updated", "unchanged"))


def _button(request: Request, verdict: trying.Verdict | None) -> str:
    if verdict is None:
        return str(request.translate(_("Import without waiting for the check")))
    if not verdict.whole:
        return str(request.translate(_("Import all rows")))
    return str(request.plural("Import ${n} row", "Import ${n} rows", _taken(verdict)))


def _figures(request: Request, verdict: trying.Verdict) -> list[Figure]:
    number, counts = request.formats.number, verdict.counts
    return [
        Figure(title=_("Rows"), value=number(counts["rows"])),
        Figure(
            title=_("Will be created"), value=number(counts["created"]), tone="success" if counts["created"] else ""
        ),
        Figure(title=_("Will be updated"), value=number(counts["updated"])),
        Figure(title=_("Nothing to change"), value=number(counts["unchanged"])),
        Figure(
            title=_("Will be rejected"), value=number(counts["rejected"]), tone="danger" if counts["rejected"] else ""
        ),
    ]


def _notices(request: Request, verdict: trying.Verdict | None) -> list[Notice]:
    if verdict is None:
        return []
    found = []
    if not verdict.whole:
        count = request.formats.number(verdict.counts["rows"])
        found.append(Notice(text=_("The first ${n} rows were checked; the rest is like them.", mapping={"n": count})))
    if not _taken(verdict):
        text = _("Not one row would be taken. Look at the reasons below and at the columns.")
        found.append(Notice(text=text, tone="danger"))
    elif verdict.counts["rejected"] * 2 > verdict.counts["rows"]:
        text = _("More than half of the rows would be rejected: are the columns right?")
        found.append(Notice(text=text, tone="warning"))
    return found


def reason_rows(request: Request, importer: Any, reasons: Any, *, rejects: bool) -> list[dict[str, str]]:
    """Return reasons in words with the number of rows."""
    return [
        {
            "text": report.sentence(lambda text: say(request, text), one.example, importer.targets),
            "count": request.formats.number(one.count),
        }
        for one in reasons
        if one.rejects == rejects
    ]


def _cell_rows(request: Request, importer: engine.Importer, shown: list[trying.CellChange]) -> list[dict[str, Any]]:
    rows, before = [], 0
    for one in shown:
        # The number stands once, at the first cell of its row.
        rows.append({**_cell_row(request, importer, one), "first": one.row != before})
        before = one.row
    return rows


def _cell_row(request: Request, importer: engine.Importer, one: trying.CellChange) -> dict[str, Any]:
    words = [report.sentence(lambda text: say(request, text), {**each, "field": ""}, {}) for each in one.problems]
    title = target_title(request, importer.entity, one.target, importer.targets)
    return {
        "row": one.row,
        "field": title if one.target else request.translate(_("The whole row")),
        "before": one.before[:200],
        "after": one.after[:200],
        "problems": words,
        "tone": "danger" if one.refused else "warning" if one.problems else "",
    }
