"""The engine's jobs: imports, exports, bulk work, undo, and the care of the change log."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock, notify
from crm_core.files import Store, store
from crm_core.i18n import _, localizer_for, translate
from crm_core.jobs import LONG, JobContext, enqueue
from crm_core.models.log import Operation
from crm_core.models.records import ImportRun
from crm_core.notify.kinds import EXPORTED, IMPORTED
from crm_core.plugins import Plugins
from crm_core.records import exporting, operations, saving, sealing, undo
from crm_core.records.gate import Gate
from crm_core.records.importing import engine, trying
from crm_core.records.importing.readers import TableError
from crm_core.records.listing import Listing, ListQuery
from crm_core.specs import Job


def speaker(locale: str, plugins: Plugins) -> Callable[[Any], str]:
    """Return a function that says messages in one language: for jobs, which have no request."""
    return partial(translate, localizer_for(locale or "ru", packages=[one.info.package for one in plugins.loaded]))


def in_languages(plugins: Plugins) -> Callable[[str, Any], str]:
    """Return a function that says a message in a language by its name."""
    return lambda locale, message: speaker(locale, plugins)(message)


def files_of(settings: Mapping[str, Any]) -> Store:
    """Return the store of files of an installation."""
    return Store(Path(settings.get("crm.data", "var")) / "files")


# -- imports -----------------------------------------------------------------------------------------------------------


def start_import(session: Session, run: ImportRun, user_id: int | None, total: int | None = None) -> int:
    """Enqueue an import (or what is left of a stopped one) and return the number of the job."""
    run.state = "running"
    run.error = ""
    run.job_id = enqueue(
        session,
        "core.import",
        key=f"core.import:{run.id}",
        user_id=user_id,
        visible=True,
        total=total,
        title=run.file_name,
        run_id=run.id,
    )
    session.flush()
    return run.job_id


def start_check(session: Session, run: ImportRun, user_id: int | None) -> int:
    """Enqueue the trying of a large file, of which nothing is written but what was found out."""
    job_id = enqueue(
        session,
        "core.import_check",
        key=f"core.import_check:{run.id}",
        user_id=user_id,
        visible=True,
        title=run.file_name,
        run_id=run.id,
        options=trying.key_of(run),
    )
    run.options = {**run.options, trying.CHECK: {"key": trying.key_of(run), "job": job_id}}
    session.flush()
    return job_id


def run_check(context: JobContext, run_id: int, options: str) -> None:
    """Find out what would become of all rows of a file."""
    with context.transaction() as session:
        run = session.get(ImportRun, run_id)
        if run is None or run.state != "draft" or trying.key_of(run) != options:
            return
        gate = Gate(session, context.subject, context.plugins)
        table = engine.open_run(files_of(context.settings), run)
        chosen = trying.trial_options(session, run)
        importer = engine.Importer(
            gate, context.plugins.entity(run.entity), table, chosen, in_languages(context.plugins)
        )
        total = min(table.count(), trying.MOST)

        def tell(done: int) -> None:
            context.check()
            context.progress(done, total)

        verdict = trying.try_out(importer, importer.batches(), progress=tell)
    with context.transaction() as session:
        run = session.get(ImportRun, run_id, with_for_update=True)
        # Somebody may have chosen otherwise meanwhile.
        if run is not None and trying.key_of(run) == options:
            trying.keep_verdict(run, verdict)
    context.result = {"href": f"/imports/{run_id}/check"}


def run_import(context: JobContext, run_id: int) -> None:
    """Take a file in, batch by batch; goes on where a crashed or stopped run was."""
    subject = context.subject
    folder = files_of(context.settings)
    with context.transaction() as session:
        run = session.get(ImportRun, run_id)
        if run is None or run.state != "running":
            return
        try:
            table = engine.open_run(folder, run)
            gate = Gate(session, subject, context.plugins)
            importer = engine.Importer(
                gate,
                context.plugins.entity(run.entity),
                table,
                engine.Options.from_json(run.options),
                in_languages(context.plugins),
            )
        except (TableError, saving.NotAllowed, KeyError, OSError) as error:
            locale = subject.locale or str(context.settings.get("crm.locale", ""))
            gone = _("The file is no longer kept: choose it once more.")
            message = gone if isinstance(error, OSError) else getattr(error, "message", str(error))
            run.state, run.error = "failed", speaker(locale, context.plugins)(message)
            return
        after = run.done_rows
        rows_before = int(run.counts.get("rows", 0))
    done = rows_before
    stopped = False
    for rows in importer.batches(after):
        if context.stop_asked:
            stopped = True
            break
        with context.transaction() as session:
            run = session.get_one(ImportRun, run_id, with_for_update=True)
            counts = engine.step(importer.using(Gate(session, subject, context.plugins)), run, rows)
        done = counts["rows"]
        context.progress(done)
    with context.transaction() as session:
        run = session.get_one(ImportRun, run_id)
        run.state = "stopped" if stopped else "done"
        if run.operation_id is not None:
            operations.finish(
                session, run.operation_id, operations.STOPPED if stopped else operations.DONE, counts=run.counts
            )
        engine.remember_mapping(session, context.plugins.entity(run.entity), table, importer.options)
        context.result = {"counts": run.counts, "href": f"/imports/{run.id}"}
        if context.user_id is not None:
            notify.notify(
                session,
                context.user_id,
                key=f"import:{run.id}:{run.done_rows}:{run.state}",
                kind=IMPORTED,
                title=_("Import of “${file}”: ${created} created, ${updated} updated, ${rejected} rejected"),
                values={"file": run.file_name, **{name: run.counts.get(name, 0) for name in engine.OUTCOMES}},
                href=f"/imports/{run.id}",
            )


# -- exports -----------------------------------------------------------------------------------------------------------


def run_export(
    context: JobContext, entity: str, query: dict[str, Any], format: str, columns: list[str] | None = None
) -> None:
    """Write a list to a file that its author downloads from his notifications; the operation is logged."""
    subject = context.subject
    found = context.plugins.entity(entity)
    say = speaker(subject.locale, context.plugins)
    with tempfile.TemporaryDirectory() as folder, context.transaction() as session:
        gate = Gate(session, subject, context.plugins)
        if not gate.may(found, "export"):
            raise saving.NotAllowed(_("Your role may not export."))
        listed = ListQuery.from_json(query)
        fields = exporting.columns(gate, found, columns)
        path = Path(folder) / f"export.{format}"
        cells = _counted(context, exporting.rows(gate, found, listed, fields, say))
        write = exporting.write_xlsx if format == "xlsx" else exporting.write_csv
        count = write(path, [say(info.title) for info in fields], cells)
        with path.open("rb") as stream:
            digest, size = store(session, files_of(context.settings), stream, limit=1 << 31)
        operations.begin(
            session, subject, kind="export", source="job", entity=entity, detail={"rows": count, "format": format}
        )
        context.result = {
            "digest": digest,
            "size": size,
            "rows": count,
            "format": format,
            "name": f"{say(found.title_plural)} {clock.today(subject.zone).isoformat()}.{format}",
            "href": f"/exports/{context.job_id}",
        }
        if context.user_id is not None:
            notify.notify(
                session,
                context.user_id,
                key=f"export:{context.job_id}",
                kind=EXPORTED,
                title=_("The export is ready: ${rows} rows"),
                values={"rows": count},
                href=f"/exports/{context.job_id}",
            )


def _counted(context: JobContext, rows: Any) -> Any:
    for number, (_record_id, cells) in enumerate(rows, 1):
        if number % 1000 == 0:
            context.check()
            context.progress(number)
        yield cells


# -- bulk work ---------------------------------------------------------------------------------------------------------

#: Actions over many records: name -> (gate, entity, ids, arguments) -> outcome.
ACTIONS: dict[str, Any] = {
    "assign": lambda gate, entity, ids, values: saving.assign(gate, entity, ids, int(values["owner_id"])),
    "tag": lambda gate, entity, ids, values: saving.tag(
        gate, entity, ids, values.get("add", ()), values.get("remove", ())
    ),
    "trash": lambda gate, entity, ids, _values: saving.trash(gate, entity, ids),
    "restore": lambda gate, entity, ids, _values: saving.restore(gate, entity, ids),
    "set": lambda gate, entity, ids, values: saving.set_values(gate, entity, ids, values),
}
VERBS = {"assign": "assign", "tag": "edit", "trash": "delete", "restore": "delete", "set": "edit"}


def run_bulk(context: JobContext, entity: str, query: dict[str, Any], action: str, values: dict[str, Any]) -> None:
    """Do one thing to everything a list finds: one operation of many transactions, in order of id."""
    subject = context.subject
    found = context.plugins.entity(entity)
    listed = ListQuery.from_json(query)
    if query.get("trash"):
        from dataclasses import replace

        listed = replace(listed, trash=True)
    operation_id = context.result.get("operation")
    after = changed = 0
    while not context.stop_asked:
        with context.transaction() as session:
            gate = Gate(session, subject, context.plugins)
            operation_id = operation_id or _bulk_operation(session, context, entity, action)
            detail = session.get_one(Operation, operation_id).detail
            after, changed = detail.get("after", 0), detail.get("changed", 0)
            ids = Listing(gate, found).ids(listed, verb=VERBS[action], after_id=after, limit=saving.BATCH)
            if not ids:
                break
            operations.resume(session, operation_id)
            changed += len(ACTIONS[action](gate, found, ids, values).changed)
            operations.finish(session, operation_id, operations.RUNNING, after=ids[-1], changed=changed)
        context.progress(changed)
    with context.transaction() as session:
        if operation_id is not None:
            operations.finish(session, operation_id, operations.STOPPED if context.stop_asked else operations.DONE)
        context.result = {"operation": operation_id, "changed": changed, "href": f"/operations/{operation_id}"}


def _bulk_operation(session: Session, context: JobContext, entity: str, action: str) -> int:
    # A job that was taken over goes on with the operation it began.
    known = session.scalar(
        sa.select(Operation.id).where(
            Operation.kind == "bulk", Operation.detail["job"].astext == str(context.job_id), Operation.entity == entity
        )
    )
    return known or operations.begin(
        session,
        context.subject,
        kind="bulk",
        source="job",
        entity=entity,
        detail={"job": context.job_id, "action": action},
        state=operations.RUNNING,
    )


def start_bulk(
    session: Session, user_id: int | None, entity: str, query: dict[str, Any], action: str, values: dict[str, Any]
) -> int:
    """Enqueue bulk work over everything a query finds."""
    return enqueue(
        session, "core.bulk", user_id=user_id, visible=True, entity=entity, query=query, action=action, values=values
    )


# -- undo --------------------------------------------------------------------------------------------------------------


def start_undo(gate: Gate, operation_id: int) -> tuple[int, int | None]:
    """Take an operation back at once when it is small, else as a job; return (undo operation, job or None)."""
    if undo.size(gate.session, operation_id) <= undo.AT_ONCE:
        return undo.undo(gate, operation_id).operation_id, None
    undo_id = undo.start(gate, operation_id)
    job = enqueue(
        gate.session,
        "core.undo",
        key=f"core.undo:{undo_id}",
        user_id=gate.subject.user_id,
        visible=True,
        total=undo.size(gate.session, operation_id, most=10_000_000),
        undo_id=undo_id,
    )
    return undo_id, job


def run_undo(context: JobContext, undo_id: int) -> None:
    """Take a large operation back, batch by batch; goes on where it was."""
    while True:
        with context.transaction() as session:
            report = undo.step(Gate(session, context.subject, context.plugins), undo_id)
        context.progress(report.undone)
        if report.finished:
            break
        context.check()
    context.result = {
        "undone": report.undone,
        "conflicts": len(report.conflicts),
        "refused": report.refused,
        "href": f"/operations/{undo_id}",
    }


# -- the change log ----------------------------------------------------------------------------------------------------


def run_seal(context: JobContext) -> None:
    """Seal committed changes until none is left."""
    while True:
        with context.transaction() as session:
            sealed = sealing.seal(session)
        if sealed < sealing.BLOCK:
            return


def run_partitions(context: JobContext) -> None:
    """Make the partitions of the change log for the coming months."""
    with context.transaction() as session:
        month = clock.today().replace(day=1)
        for _number in range(15):
            session.execute(sa.text("SELECT core_change_partition(:month)"), {"month": month})
            month = (month + dt.timedelta(days=32)).replace(day=1)


JOBS = (
    Job(name="core.import", run=run_import, queue=LONG, title=_("Import"), max_attempts=20, visible=True),
    Job(
        name="core.import_check",
        run=run_check,
        queue=LONG,
        title=_("Check of a file before its import"),
        max_attempts=3,
        visible=True,
    ),
    Job(name="core.export", run=run_export, queue=LONG, title=_("Export to a file"), max_attempts=3, visible=True),
    Job(name="core.bulk", run=run_bulk, queue=LONG, title=_("Bulk change"), max_attempts=20, visible=True),
    Job(name="core.undo", run=run_undo, queue=LONG, title=_("Undo"), max_attempts=20, visible=True),
    Job(name="core.seal", run=run_seal, title=_("Sealing of the change log"), cron="* * * * *"),
    Job(name="core.partitions", run=run_partitions, title=_("Partitions of the change log"), cron="20 3 * * *"),
)

__all__ = ["ACTIONS", "JOBS", "run_import", "start_bulk", "start_import", "start_undo"]
