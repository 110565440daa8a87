"""Reads the change log: the history of a record, of an operation, and what changed since a version."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core.models.accounts import User
from crm_core.models.log import Change, Operation
from crm_core.records.fields import all_fields, schema_fields
from crm_core.records.gate import Gate
from crm_core.specs import Entity, Part

#: Columns every record has that tell a reader something, and what they are called are in the entity's schema or here.
SHOWN_ALWAYS = ("owner_id", "tags", "deleted_at")


@dataclass(frozen=True)
class Difference:
    """One field of one change: before and after as the log keeps them (JSON)."""

    field: str
    title: str
    kind: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Entry:
    """One operation as it touched one record (and what hangs on it)."""

    operation: Operation
    by: str
    at: dt.datetime
    action: str
    entity: str
    record_id: int
    differences: tuple[Difference, ...]
    change_id: int = 0


@dataclass
class HistoryPage:
    """Entries, newest first, and where the next page begins (0: nowhere)."""

    entries: list[Entry] = field(default_factory=list)
    next: int = 0


def of_record(gate: Gate, entity: Entity, record_id: int, *, before: int = 0, limit: int = 50) -> HistoryPage:
    """Return the history of a record that the caller has got through the gate, with that of what hangs on it.

    What hangs on it is shown only where the subject may see it; fields he may not know of are left out.
    """
    session = gate.session
    own = sa.select(Change.id, Change.at).where(Change.entity == entity.name, Change.record_id == record_id)
    hanging = sa.select(Change.id, Change.at).where(
        Change.parent_entity == entity.name,
        Change.parent_id == record_id,
        Change.entity.in_(
            [one.name for one in gate.plugins.entities.values() if gate.may(one, "view")]
            + [part.name for part in entity.parts]
            + ["core.grant"]
        ),
    )
    parts = []
    for part in (own, hanging):
        bounded = part.where(Change.id < before) if before else part
        parts.append(sa.select(bounded.order_by(Change.id.desc()).limit(limit + 1).subquery()))
    ids = sa.union_all(*parts).subquery()
    rows = session.execute(
        sa.select(Change, Operation, User.name)
        .join(ids, sa.and_(ids.c.id == Change.id, ids.c.at == Change.at))
        .join(Operation, Operation.id == Change.operation_id)
        .outerjoin(User, User.id == Operation.user_id)
        .order_by(Change.id.desc())
        .limit(limit + 1)
    ).all()
    page = HistoryPage(next=rows[limit - 1][0].id if len(rows) > limit else 0)
    visible = _visible_children(gate, entity, [row[0] for row in rows])
    for change, operation, name in rows[:limit]:
        if change.entity != entity.name and (change.entity, change.record_id) not in visible:
            continue
        differences = tuple(_differences(gate, change))
        if differences or change.action != "update":
            page.entries.append(
                Entry(
                    operation,
                    name or "",
                    change.at,
                    _action(change),
                    change.entity,
                    change.record_id,
                    differences,
                    change.id,
                )
            )
    return page


def _visible_children(gate: Gate, entity: Entity, changes: Sequence[Change]) -> set[tuple[str, int]]:
    wanted: dict[str, set[int]] = {}
    for change in changes:
        if change.entity != entity.name:
            wanted.setdefault(change.entity, set()).add(change.record_id)
    visible: set[tuple[str, int]] = set()
    for name, ids in wanted.items():
        if name in gate.plugins.entities:
            found = gate.visible_ids(name, ids) | gate.visible_ids(name, ids, trash=True)
            visible.update((name, one) for one in found)
        else:
            visible.update((name, one) for one in ids)
    return visible


def _action(change: Change) -> str:
    if change.action != "update":
        return change.action
    after: Mapping[str, Any] = change.after or {}
    if "deleted_at" in after:
        return "trash" if after["deleted_at"] else "restore"
    return "update"


def _differences(gate: Gate, change: Change) -> list[Difference]:
    entity = gate.plugins.entities.get(change.entity)
    before, after = change.before or {}, change.after or {}
    part = _part(gate, change.entity) if entity is None else None
    if part is not None:
        return [
            Difference(name, info.title, info.kind, before.get(name), after.get(name))
            for name, info in schema_fields(part.schema).items()
            if before.get(name) != after.get(name)
        ]
    if entity is None:
        return [
            Difference(name, name, "text", before.get(name), after.get(name))
            for name in sorted(before.keys() | after.keys())
            if name in ("level", "principal_id")
        ]
    fields = all_fields(gate.session, entity, gate.subject)
    result = []
    for name in [*fields, *sorted((before.keys() | after.keys()) - fields.keys())]:
        if name not in before and name not in after:
            continue
        info = fields.get(name)
        # What is derived follows from what is told beside it: a full name from its parts, the last contact from a call.
        if info is None or (info.readonly and info.feed is None):
            continue
        if before.get(name) in (None, [], {}, "") and after.get(name) in (None, [], {}, ""):
            continue
        result.append(Difference(name, info.title, info.kind, before.get(name), after.get(name)))
    return result


def _part(gate: Gate, name: str) -> Part | None:
    return next((part for one in gate.plugins.entities.values() for part in one.parts if part.name == name), None)


def changes_since(session: Session, entity: Entity, record_id: int, version: int) -> tuple[set[str], int | None]:
    """Return the fields changed since a version, and who changed one last."""
    rows = session.execute(
        sa.select(Change.after, Operation.user_id)
        .join(Operation, Operation.id == Change.operation_id)
        .where(Change.entity == entity.name, Change.record_id == record_id, Change.id > version)
        .order_by(Change.id)
    ).all()
    names: set[str] = set()
    for after, _by in rows:
        names.update(after or {})
    return names, rows[-1][1] if rows else None


def as_of(session: Session, entity: Entity, record_id: int, instant: dt.datetime) -> dict[str, Any] | None:
    """Return the logged fields of a record as they stood at an instant; None before it was made.

    Values are those of the log (JSON); the caller has got the record through the gate.
    """
    rows = session.execute(
        sa.select(Change.action, Change.after)
        .where(Change.entity == entity.name, Change.record_id == record_id, Change.at <= instant)
        .order_by(Change.id)
    ).all()
    state: dict[str, Any] | None = None
    for action, after in rows:
        if action == "delete":
            state = None
        else:
            state = {**(state or {}), **(after or {})}
    return state


def operations_page(
    gate: Gate,
    *,
    user_id: int | None = None,
    kind: str = "",
    entity: str = "",
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    before: int = 0,
    limit: int = 50,
    users: Any = None,
) -> list[tuple[Operation, str]]:
    """Return operations with their authors' names, newest first; `users` is one more criterion."""
    statement = (
        sa.select(Operation, User.name)
        .outerjoin(User, User.id == Operation.user_id)
        .order_by(Operation.id.desc())
        .limit(limit)
    )
    for criterion in (
        Operation.user_id == user_id if user_id is not None else None,
        Operation.kind == kind if kind else None,
        Operation.entity == entity if entity else None,
        Operation.at >= since if since else None,
        Operation.at < until if until else None,
        Operation.id < before if before else None,
        users,
    ):
        if criterion is not None:
            statement = statement.where(criterion)
    return [(row[0], row[1] or "") for row in gate.session.execute(statement)]


def of_operation(gate: Gate, operation_id: int, *, after: int = 0, limit: int = 100) -> list[Change]:
    """Return the changes of one operation in order of id, those of records that the subject may see."""
    changes = list(
        gate.session.scalars(
            sa.select(Change)
            .where(Change.operation_id == operation_id, Change.id > after)
            .order_by(Change.id)
            .limit(limit)
        )
    )
    wanted: dict[str, set[int]] = {}
    for change in changes:
        wanted.setdefault(change.entity, set()).add(change.record_id)
    visible: set[tuple[str, int]] = set()
    for name, ids in wanted.items():
        if name in gate.plugins.entities:
            seen = gate.visible_ids(name, ids) | gate.visible_ids(name, ids, trash=True)
            visible.update((name, one) for one in seen)
        elif gate.subject.scopes("log:view") & {"all"} or gate.subject.is_system:
            visible.update((name, one) for one in ids)
    return [change for change in changes if (change.entity, change.record_id) in visible]


def describe_change(gate: Gate, change: Change) -> list[Difference]:
    """Return the fields of a change that the subject may know of."""
    return _differences(gate, change)
