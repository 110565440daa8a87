"""Undo: takes an operation back from the change log, as an operation of its own.

Each change is compared field by field with the present: what nobody touched since goes back, what somebody did is a
conflict and is left alone. Changes are taken in reverse, in batches that commit; work that stops goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from crm_core.db import UNGATED
from crm_core.i18n import _
from crm_core.models.accounts import User
from crm_core.models.log import DONE, RUNNING, Change, Operation
from crm_core.records import index, operations
from crm_core.records.gate import Gate
from crm_core.records.saving import BATCH, NotAllowed, tell
from crm_core.security.administrators import DECIDING, administrator_left
from crm_core.specs import Entity

#: As many changes as a request takes back by itself; more become a job with progress.
AT_ONCE = 500

#: Records of the core that anyone may take back with the record they hang on.
_HARMLESS = ("core.grant", "core.file", "core.tag", "core.view")

#: Clients and tickets, for those who may undo others' work on these alone.
_CLIENTS_TICKETS = ("clients.", "support.")


@dataclass
class Report:
    """What an undo did so far: changes taken back, and fields left alone with both values."""

    operation_id: int
    undone: int = 0
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0
    finished: bool = False


@dataclass(frozen=True)
class _Table:
    name: str
    columns: frozenset[str]
    hidden: tuple[str, ...]


def may_undo(gate: Gate, operation: Operation) -> bool:
    """Tell whether the subject may take this operation back: his own, or others' by the permission `log:undo`."""
    if operation.undone_by is not None or operation.state == RUNNING:
        return False
    subject = gate.subject
    if subject.is_system or (operation.user_id is not None and operation.user_id == subject.user_id):
        return True
    scopes = subject.scopes("log:undo")
    if "all" in scopes:
        return True
    if "team" in scopes and operation.user_id is not None:
        author_team = gate.session.scalar(sa.select(User.team_id).where(User.id == operation.user_id))
        if author_team in subject.team_ids:
            return True
    return "clients_tickets" in scopes and (operation.entity or "").startswith(_CLIENTS_TICKETS)


def start(gate: Gate, operation_id: int) -> int:
    """Begin taking an operation back; return the new operation, `running` until `step` has finished it."""
    session = gate.session
    operation = session.get(Operation, operation_id, with_for_update=True)
    if operation is None or not may_undo(gate, operation):
        raise NotAllowed(_("This operation cannot be taken back, or it has been already."))
    undo_id = operations.begin(
        session,
        gate.subject,
        kind="undo",
        entity=operation.entity,
        record_id=operation.record_id,
        note=operation.note,
        undoes_id=operation_id,
        state=RUNNING,
    )
    operation.undone_by = undo_id
    session.flush()
    return undo_id


def undo(gate: Gate, operation_id: int) -> Report:
    """Take a small operation back within this transaction; for large ones use the job `core.undo`."""
    undo_id = start(gate, operation_id)
    while True:
        report = step(gate, undo_id)
        if report.finished:
            return report


def size(session: Session, operation_id: int, most: int = AT_ONCE) -> int:
    """Return the number of changes of an operation, counted to `most` + 1."""
    inner = sa.select(Change.id).where(Change.operation_id == operation_id).limit(most + 1).subquery()
    return session.scalar(sa.select(sa.func.count()).select_from(inner)) or 0


def step(gate: Gate, undo_id: int, batch: int = BATCH) -> Report:
    """Take the next batch back within this transaction, remembering how far it is; safe to call again after a crash."""
    session = gate.session
    operation = session.get(Operation, undo_id, with_for_update=True)
    if operation is None or operation.undoes_id is None:
        raise LookupError(f"operation {undo_id} takes nothing back")
    detail = dict(operation.detail)
    report = Report(undo_id, detail.get("undone", 0), list(detail.get("conflicts", [])), detail.get("refused", 0))
    if operation.state != RUNNING:
        report.finished = True
        return report
    operations.resume(session, undo_id)
    query = sa.select(Change).where(Change.operation_id == operation.undoes_id).order_by(Change.id.desc()).limit(batch)
    if detail.get("cursor"):
        query = query.where(Change.id < detail["cursor"])
    changes = list(session.scalars(query))
    report.finished = len(changes) < batch
    if changes:
        _take_back_safely(gate, changes, report)
        detail["cursor"] = changes[-1].id
    detail |= {"undone": report.undone, "refused": report.refused, "conflicts": report.conflicts[:1000]}
    operation.detail = detail
    if report.finished:
        operation.state = DONE
    session.flush()
    return report


def _take_back_safely(gate: Gate, changes: Sequence[Change], report: Report) -> None:
    if not any(change.entity in DECIDING for change in changes):
        _take_back(gate, changes, report)
        return
    undone = report.undone
    with gate.session.begin_nested() as savepoint:
        _take_back(gate, changes, report)
        if not administrator_left(gate.session):
            # Not even by undo may the last one who manages rights go.
            savepoint.rollback()
            report.undone, report.refused = undone, report.refused + len(changes)


def logged_tables(session: Session) -> dict[str, _Table]:
    """Return the logged tables by entity, read from their triggers, so that those of plugins that are off are known."""
    rows = session.execute(
        sa.text(
            "SELECT c.relname, encode(t.tgargs, 'escape') AS arguments, "
            "ARRAY(SELECT a.attname FROM pg_attribute a "
            "WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) "
            "AS columns FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "WHERE t.tgname = 'core_log_insert' AND c.relnamespace = 'crm'::regnamespace"
        )
    )
    found = {}
    for name, arguments, columns in rows:
        entity, _parent, hidden = arguments.split("\\000")[:3]
        found[entity] = _Table(name, frozenset(columns), tuple(hidden.split(",")))
    return found


def _take_back(gate: Gate, changes: Sequence[Change], report: Report) -> None:
    tables = logged_tables(gate.session)
    touched: dict[str, set[int]] = {}
    for group in _rounds(changes):
        first = group[0]
        table = tables.get(first.entity)
        ids = [change.id for change in group]
        if table is None or not _allowed(gate, first.entity):
            report.refused += len(ids)
            continue
        allowed = _reachable(gate, group)
        report.refused += len(group) - len(allowed)
        if not allowed:
            continue
        done = _apply(gate.session, table, first.action, allowed, report)
        touched.setdefault(first.entity, set()).update(done)
    gate.session.expire_all()
    for entity, ids_touched in touched.items():
        if entity in gate.plugins.entities:
            index.refresh_ids(gate.session, gate.plugins.entities[entity], ids_touched)
            found = gate.plugins.entities[entity]

            tell(gate, found, "changed", sorted(ids_touched))


def _rounds(changes: Sequence[Change]) -> Iterable[list[Change]]:
    # Neighbours of one kind go together; a record that comes twice begins a new round, for order matters then.
    group: list[Change] = []
    seen: set[int] = set()
    for change in changes:
        if group and ((change.entity, change.action) != (group[0].entity, group[0].action) or change.record_id in seen):
            yield group
            group, seen = [], set()
        group.append(change)
        seen.add(change.record_id)
    if group:
        yield group


def _allowed(gate: Gate, entity: str) -> bool:
    if gate.subject.is_system or not entity.startswith("core.") or entity in _HARMLESS:
        return True
    needed = "settings:edit" if entity in ("core.setting", "core.field") else "rights:edit"
    return "all" in gate.subject.scopes(needed)


def _reachable(gate: Gate, group: Sequence[Change]) -> list[Change]:
    entity = gate.plugins.entities.get(group[0].entity)
    if entity is None or gate.subject.is_system:
        return list(group)
    ids = {change.record_id for change in group}
    if group[0].action == "delete":
        # There is no record to ask about; what it belonged to, or who had it, was in the log's row.
        return [change for change in group if gate.may(entity, "create")]
    verb = "edit" if gate.may(entity, "edit") else "view"
    visible = gate.visible_ids(entity, ids, verb) | gate.visible_ids(entity, ids, verb, trash=True)
    if group[0].action == "insert":
        model: Any = entity.model
        present = set(
            gate.session.scalars(
                sa.select(model.id).where(model.id.in_(sorted(ids))),
                execution_options={UNGATED: "only whether they are there"},
            )
        )
        own = set(
            gate.session.scalars(
                sa.select(model.id).where(model.id.in_(sorted(ids)), model.created_by == gate.subject.user_id),
                execution_options={UNGATED: "whoever made a record may take its making back"},
            )
        )
        visible |= own | (ids - present)
    if group[0].action == "update":
        # Whoever gave a record away may take it back, though he does not see it any more.
        visible |= {change.record_id for change in group if _was_within_reach(gate, entity, change.before or {})}
    return [change for change in group if change.record_id in visible]


def _was_within_reach(gate: Gate, entity: Entity, before: Mapping[str, Any]) -> bool:
    """Tell whether a record was one's own, or of one's department, before the change that gave it to somebody else."""
    subject, scopes = gate.subject, gate.subject.scopes(f"{entity.permission_prefix}:edit")
    if before.get("owner_id") is not None and before["owner_id"] == subject.user_id:
        return bool(scopes & {"own", "shared", "team", "all"})
    return "team" in scopes and before.get("team_id") in subject.team_ids


def _apply(session: Session, table: _Table, action: str, changes: Sequence[Change], report: Report) -> set[int]:
    ids = [change.id for change in changes]
    if action == "delete":
        done = _insert_again(session, table, ids, report)
    else:
        verdicts = _compare(session, table, ids, action)
        clashes = {row.id: row for row in verdicts if row.clash}
        for row in clashes.values():
            _report_clash(report, changes[0].entity, row)
        if action == "insert":
            clean = [row for row in verdicts if not row.clash and row.present]
            done = _delete(session, table, changes[0].entity, clean, report)
        else:
            done = _update(session, table, [row for row in verdicts if row.same and row.present], report)
    report.undone += len(done)
    return done


def _hidden(table: _Table) -> str:
    return "ARRAY[" + ",".join(f"'{name}'" for name in table.hidden) + "]::text[]"


def _compare(session: Session, table: _Table, ids: list[int], action: str) -> Sequence[Any]:
    # For a record that was made, every field of today's counts; for one that was changed, those that were changed.
    keys = "c.after" if action == "update" else "(coalesce(present.fields, '{}') || c.after)"
    ignored = "" if action == "update" else f" AND key <> ALL({_derived(table)})"
    return session.execute(
        sa.text(
            f"""
            SELECT c.id, c.record_id, present.fields IS NOT NULL AS present, c.before, c.after,
                ARRAY(SELECT key FROM jsonb_object_keys({keys}) AS key WHERE coalesce(present.fields -> key, 'null')
                    = coalesce(c.after -> key, 'null')) AS same,
                ARRAY(SELECT key FROM jsonb_object_keys({keys}) AS key WHERE present.fields IS NOT NULL
                    AND coalesce(present.fields -> key, 'null') <> coalesce(c.after -> key, 'null'){ignored}) AS clash,
                present.fields AS fields
            FROM core_change c
            LEFT JOIN LATERAL (
                SELECT core_fields(to_jsonb(t), {_hidden(table)}) AS fields FROM {table.name} t WHERE t.id = c.record_id
            ) AS present ON true
            WHERE c.id = ANY(:ids)
            """
        ),
        {"ids": ids},
    ).all()


def _derived(table: _Table) -> str:
    # Kept by others about the record: they do not make it a changed one.
    return "ARRAY['last_contact_at']" if "last_contact_at" in table.columns else "ARRAY[]::text[]"


def _report_clash(report: Report, entity: str, row: Any) -> None:
    if len(report.conflicts) < 1000:
        report.conflicts.append(
            {
                "entity": entity,
                "id": row.record_id,
                "fields": {
                    name: {"was": (row.before or {}).get(name), "is": (row.fields or {}).get(name)}
                    for name in row.clash
                },
            }
        )


def _update(session: Session, table: _Table, rows: Sequence[Any], report: Report) -> set[int]:
    groups: dict[tuple[str, ...], list[Any]] = {}
    for row in rows:
        groups.setdefault(tuple(sorted(row.same)), []).append(row)
    done: set[int] = set()
    for names, members in groups.items():
        sets = [f'"{name}" = p."{name}"' for name in names if name in table.columns]
        custom = [name for name in names if name not in table.columns]
        if custom:
            listed = ",".join(f"'{name}'" for name in custom if name.replace("_", "").isalnum())
            sets.append(
                f"extra = (t.extra - ARRAY[{listed}]::text[]) || coalesce((SELECT jsonb_object_agg(key, value) "
                f"FROM jsonb_each(c.before) WHERE key = ANY(ARRAY[{listed}]::text[]) AND value <> 'null'), '{{}}')"
            )
        if not sets:
            continue
        statement = sa.text(
            f"UPDATE {table.name} t SET {', '.join(sets)} FROM core_change c, "
            f"LATERAL jsonb_populate_record(NULL::{table.name}, c.before) p "
            "WHERE c.id = ANY(:ids) AND t.id = c.record_id"
        )
        done |= _each(session, statement, members, report, table)
    return done


def _delete(session: Session, table: _Table, entity: str, rows: Sequence[Any], report: Report) -> set[int]:
    if not rows:
        return set()
    busy = _pointed_at(session, entity, [row.record_id for row in rows])
    for row in rows:
        if row.record_id in busy and len(report.conflicts) < 1000:
            report.conflicts.append(
                {"entity": entity, "id": row.record_id, "fields": {}, "used_by": busy[row.record_id]}
            )
    free = [row for row in rows if row.record_id not in busy]
    statement = sa.text(f"DELETE FROM {table.name} t USING core_change c WHERE c.id = ANY(:ids) AND t.id = c.record_id")
    return _each(session, statement, free, report, table)


def _pointed_at(session: Session, entity: str, ids: list[int]) -> dict[int, str]:
    # Foreign keys refuse by themselves; soft links would be left pointing at nothing.
    busy: dict[int, str] = {}
    for reference in session.execute(
        sa.text(
            "SELECT table_name, column_name FROM core_reference "
            "WHERE kind = 'soft' AND to_regclass(table_name) IS NOT NULL"
        )
    ):
        prefix = "" if reference.column_name == "@" else f"{reference.column_name}_"
        number = "record_id" if reference.column_name == "@" else f"{prefix}id"
        found = session.execute(
            sa.text(
                f"SELECT DISTINCT {number} FROM {reference.table_name} "
                f"WHERE {prefix}entity = :entity AND {number} = ANY(:ids)"
            ),
            {"entity": entity, "ids": ids},
        )
        busy.update(dict.fromkeys(found.scalars(), reference.table_name))
    return busy


def _insert_again(session: Session, table: _Table, ids: list[int], report: Report) -> set[int]:
    columns = ", ".join(f'"{name}"' for name in sorted(table.columns))
    extra = (
        "coalesce((SELECT jsonb_object_agg(key, value) FROM jsonb_each(c.before) "
        f"WHERE key <> ALL(ARRAY[{','.join(repr(name) for name in sorted(table.columns))}])), '{{}}')"
    )
    values = ", ".join(
        extra if name == "extra" else "0" if name == "version" else f'p."{name}"' for name in sorted(table.columns)
    )
    statement = sa.text(
        f"INSERT INTO {table.name} ({columns}) SELECT {values} FROM core_change c, "
        f"LATERAL jsonb_populate_record(NULL::{table.name}, c.before) p WHERE c.id = ANY(:ids)"
        f" AND NOT EXISTS (SELECT 1 FROM {table.name} t WHERE t.id = c.record_id)"
    )
    rows = session.execute(sa.select(Change.id, Change.record_id).where(Change.id.in_(ids)).order_by(Change.id)).all()
    return _each(session, statement, rows, report, table)


def _each(session: Session, statement: Any, rows: Sequence[Any], report: Report, table: _Table) -> set[int]:
    """Run the statement for all rows at once; where a key forbids it, one by one, leaving alone those it forbids."""
    if not rows:
        return set()
    try:
        with session.begin_nested():
            session.execute(statement, {"ids": [row.id for row in rows]})
    except IntegrityError as error:
        if not isinstance(error.orig, ForeignKeyViolation | UniqueViolation):
            raise
        if len(rows) == 1:
            if len(report.conflicts) < 1000:
                report.conflicts.append(
                    {"entity": table.name, "id": rows[0].record_id, "fields": {}, "used_by": _constraint(error)}
                )
            return set()
        half = len(rows) // 2
        return _each(session, statement, rows[:half], report, table) | _each(
            session, statement, rows[half:], report, table
        )
    return {row.record_id for row in rows}


def _constraint(error: IntegrityError) -> str:
    diagnostics = getattr(error.orig, "diag", None)
    return str(getattr(diagnostics, "table_name", "") or getattr(diagnostics, "constraint_name", ""))
