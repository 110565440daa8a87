"""Imports a file from a console: the same engine, report and undo as in the browser, without a worker."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from crm_core.cli.installation import Installation, check_database, make_sessions, require_current
from crm_core.files import Store, store
from crm_core.models import ImportRun, Role, User, UserRole
from crm_core.models.accounts import ACTIVE
from crm_core.plugins import Plugins
from crm_core.records import operations
from crm_core.records.gate import Gate
from crm_core.records.importing import engine, report
from crm_core.records.importing.readers import TableError, open_table
from crm_core.records.saving import NotAllowed
from crm_core.records.work import files_of, in_languages, speaker
from crm_core.security.permissions import ADMINISTRATOR
from crm_core.security.subject import Subject, load_subject
from crm_core.specs import Entity

#: The largest file that is read, bytes; the same as in the browser.
LIMIT = 200 * 1024 * 1024

#: Exit code of a file, entity or account with which nothing can be begun.
UNREADABLE = 2


class ImportRefused(Exception):
    """Says why an import does not begin."""


@dataclass
class Outcome:
    """What came of an import."""

    counts: dict[str, int]
    seconds: float
    dry: bool = False
    run_id: int | None = None
    rejected_file: str = ""
    mapping: dict[str, str] = field(default_factory=dict)
    """Header of each column to what it is taken as, empty for those that are left out."""
    reasons: list[report.Reason] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        rows = self.counts.get("rows", 0)
        return {
            "rows": rows,
            **{name: self.counts.get(name, 0) for name in engine.OUTCOMES},
            "remarks": self.counts.get("remarks", 0),
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(rows / self.seconds) if self.seconds else 0,
            "rejected_file": self.rejected_file or None,
            "dry_run": self.dry,
            "import": self.run_id,
            "mapping": self.mapping,
            "reasons": [
                {"field": one.field, "code": one.code, "count": one.count, "rejects": one.rejects, "example": one.text}
                for one in self.reasons
            ],
        }


def subject_of(session: Session, email: str | None) -> Subject:
    """Return on whose behalf the console imports: the account named, else the first administrator, else the system."""
    statement = sa.select(User.id).where(User.status == ACTIVE).order_by(User.id).limit(1)
    if email:
        found = session.scalar(statement.where(sa.func.lower(User.email) == email.strip().lower()))
        if found is None:
            raise ImportRefused(f"there is no active account with the address {email}")
    else:
        found = session.scalar(
            statement.join(UserRole, UserRole.user_id == User.id)
            .join(Role, Role.id == UserRole.role_id)
            .where(Role.name == ADMINISTRATOR)
        )
    subject = load_subject(session, found) if found is not None else None
    return subject or Subject.system("crm import")


def options_of(
    gate: Gate, entity: Entity, table: Any, plugins: Plugins, *, mode: str, keys: Sequence[str], lenient: bool
) -> engine.Options:
    """Guess what the columns are and check what was asked for."""
    known = [f"{rule.kind}:{rule.field}" for rule in entity.doubles]
    chosen = []
    for key in keys:
        found = [one for one in known if key in (one, *one.split(":"))]
        if not found:
            raise ImportRefused(f"--key {key}: {entity.name} is found again by {', '.join(known) or 'nothing'}")
        chosen += found
    mapping = engine.guess(gate, entity, table, in_languages(plugins))
    if not mapping:
        raise ImportRefused(f"no column of {table.path.name} was recognised: {', '.join(table.headers)}")
    words = engine.remembered_words(gate.session, entity, table)
    return engine.Options(mapping=mapping, mode=mode, keys=tuple(chosen), lenient=lenient, words=words)


def import_file(
    factory: sessionmaker[Any],
    plugins: Plugins,
    folder: Store,
    path: Path,
    entity_name: str,
    *,
    email: str | None = None,
    mode: str = "both",
    keys: Sequence[str] = (),
    lenient: bool = True,
    dry: bool = False,
    reading: dict[str, Any] | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Outcome:
    """Take a file in, a transaction for each batch; the run is kept and can be looked at and undone in the browser."""
    if entity_name not in plugins.entities or not plugins.entity(entity_name).importable:
        known = ", ".join(sorted(name for name, one in plugins.entities.items() if one.importable))
        raise ImportRefused(f"{entity_name} cannot be imported; choose one of: {known or 'none'}")
    entity = plugins.entity(entity_name)
    table = open_table(path, **(reading or {}))
    began = time.perf_counter()
    with factory() as session, session.begin():
        subject = subject_of(session, email)
        gate = Gate(session, subject, plugins)
        options = options_of(gate, entity, table, plugins, mode=mode, keys=keys, lenient=lenient)
        options = replace(options, **(reading or {}))
        importer = engine.Importer(gate, entity, table, options, in_languages(plugins))
        if dry:
            counts, notable = engine.dry_run(importer, importer.batches(), progress=progress)
            outcome = Outcome(counts, time.perf_counter() - began, dry=True)
            outcome.reasons = report.reasons_of(notable)
            session.rollback()
        else:
            operations.describe(session, subject, source="cli")
            run = ImportRun(
                entity=entity.name,
                user_id=subject.user_id,
                file_name=path.name,
                state="running",
                options=options.to_json(),
            )
            with path.open("rb") as stream:
                run.digest, _size = store(session, folder, stream, limit=LIMIT)
            session.add(run)
            session.flush()
            run_id = run.id
    say = speaker(subject.locale or "ru", plugins)
    if not dry:
        outcome = _take_in(factory, plugins, importer, subject, run_id, progress)
        outcome.seconds = time.perf_counter() - began
        with factory() as session:
            outcome.reasons = report.reasons(session, run_id)
            if outcome.counts.get("rejected"):
                target = path.with_name(path.name + ".rejected.csv")
                target.write_bytes(report.rejected_file(session, run_id, table.headers, say, importer.targets))
                outcome.rejected_file = str(target)
    for one in outcome.reasons:
        one.text = report.sentence(say, one.example, importer.targets)
    outcome.mapping = {header: options.mapping.get(column, "") for column, header in enumerate(table.headers)}
    return outcome


def _take_in(
    factory: sessionmaker[Any],
    plugins: Plugins,
    importer: engine.Importer,
    subject: Subject,
    run_id: int,
    progress: Callable[[int], None],
) -> Outcome:
    state, counts = "stopped", {}
    try:
        for rows in importer.batches():
            with factory() as session, session.begin():
                run = session.get_one(ImportRun, run_id, with_for_update=True)
                counts = engine.step(importer.using(Gate(session, subject, plugins)), run, rows, source="cli")
            progress(counts["rows"])
        state = "done"
    finally:
        # Ctrl-C leaves a stopped run that can be taken back or gone on with in the browser.
        with factory() as session, session.begin():
            run = session.get_one(ImportRun, run_id)
            run.state = state
            if run.operation_id is not None:
                ended = operations.DONE if state == "done" else operations.STOPPED
                operations.finish(session, run.operation_id, ended, counts=run.counts)
            engine.remember_mapping(session, importer.entity, importer.table, importer.options)
    return Outcome(dict(counts), 0.0, run_id=run_id)


# -- the command -------------------------------------------------------------------------------------------------------

_WORDS = {
    "created": "created",
    "updated": "changed",
    "unchanged": "nothing to change",
    "rejected": "rejected",
}


def run_command(installation: Installation, path: Path, entity: str, *, as_json: bool, **options: Any) -> int:
    """Import a file into an installation whose servers run, tell what came of it and return the exit code."""
    check_database(installation.settings, installation.database_url)
    database, factory, plugins = make_sessions(installation.app_settings)
    try:
        require_current(database, plugins)
        folder = files_of(installation.app_settings)
        with _bar(path, options, quiet=as_json) as progress:
            outcome = import_file(factory, plugins, folder, path, entity, progress=progress, **options)
    except (TableError, ImportRefused, NotAllowed) as error:
        _complain(str(error.args[-1] if isinstance(error, TableError) else error), as_json)
        return UNREADABLE
    finally:
        database.dispose()
    if as_json:
        click.echo(json.dumps(outcome.as_json(), ensure_ascii=False, indent=2))
    else:
        _tell(outcome)
    return 0


@contextmanager
def _bar(path: Path, options: dict[str, Any], *, quiet: bool) -> Iterator[Callable[[int], None]]:
    if quiet or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # Reading a workbook twice for the sake of a bar would cost more than it tells.
    total = open_table(path, **options["reading"]).count() if path.stat().st_size < 20_000_000 else None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(path.name, total=total)
        yield lambda done: bar.update(task, completed=done)


def _complain(sentence: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"error": sentence}, ensure_ascii=False))
    else:
        click.echo(f"crm: {sentence}", err=True)


def _tell(outcome: Outcome) -> None:
    data = outcome.as_json()
    click.echo("What would become of the rows:" if outcome.dry else "What became of the rows:")
    for name, word in _WORDS.items():
        click.echo(f"  {data[name]:>9,}  {word}")
    click.echo(f"  {data['rows']:>9,}  in all; {data['seconds']:.1f} s, {data['rows_per_second']:,} rows a second")
    left_out = [header for header, target in outcome.mapping.items() if not target]
    if left_out:
        click.echo(f"Columns left out: {', '.join(left_out)}")
    for rejects, title in ((True, "Rejected because of:"), (False, "Mended or left out in rows that were taken:")):
        found = [one for one in outcome.reasons if one.rejects == rejects]
        if found:
            click.echo(title)
        for one in found:
            click.echo(f"  {one.count:>9,}  {one.text}")
    if outcome.rejected_file:
        click.echo(f"Rejected rows with their reasons: {outcome.rejected_file}; mend them and import that file.")
    if outcome.run_id is not None:
        click.echo(f"To look at it or take it back: /imports/{outcome.run_id} in the browser.")


__all__ = ["ImportRefused", "Outcome", "import_file", "run_command", "subject_of"]
