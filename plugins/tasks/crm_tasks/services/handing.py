"""The trace of a task from hand to hand, written whatever way it went: by the card, in bulk, by undo."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from crm_core import clock, notify
from crm_core.db import UNGATED
from crm_core.models import Operation
from crm_core.models.log import Change
from crm_core.records import operations
from crm_core.records.gate import Gate
from crm_tasks import events as facts
from crm_tasks.entities import TASK, TASKS
from crm_tasks.i18n import _
from crm_tasks.models import Delegation, Observer, Task
from crm_tasks.services.writing import tell

_WHY = {UNGATED: "who has a task is told to him and to nobody else"}


def follow(gate: Gate, task_ids: Sequence[int]) -> None:
    """Write down which of the tasks changed hands in this operation, tell whoever has them now, and the fact."""
    session = gate.session
    session.flush()
    operation = operations.current(session)
    if operation is None:
        return
    kind, opener = session.execute(
        sa.select(Operation.kind, Operation.user_id).where(Operation.id == operation)
    ).one()
    actor = gate.subject.user_id if gate.subject.user_id is not None else opener
    was, now = Change.before["owner_id"].astext, Change.after["owner_id"].astext
    rows = session.execute(
        sa.select(Change.record_id, was.label("was"), now.label("now"))
        .where(
            Change.operation_id == operation,
            Change.entity == TASK,
            Change.action == "update",
            Change.record_id.in_(list(task_ids)),
            Change.after.has_key("owner_id"),
        )
        .order_by(Change.id)
    ).all()
    if not rows:
        return
    if kind == "undo":
        # What was taken back never happened: its step of the way is gone, and no other one is made of it.
        tell_given(gate, [row.record_id for row in rows], actor)
        return
    at = clock.now()
    made = session.execute(
        pg.insert(Delegation)
        .values(
            [
                {
                    "task_id": row.record_id, "operation_id": operation, "at": at, "by_id": actor,
                    "from_id": _number(row.was), "to_id": _number(row.now),
                }
                for row in rows
            ]
        )
        .on_conflict_do_nothing(index_elements=["task_id", "operation_id"])
        .returning(Delegation.task_id, Delegation.from_id, Delegation.to_id)
    ).all()  # fmt: skip
    _watch_on(gate, [(row.task_id, row.from_id) for row in made if row.from_id == actor])
    for row in made:
        tell(
            gate,
            facts.REASSIGNED,
            {"id": row.task_id, "from_id": row.from_id, "to_id": row.to_id, "user_id": actor},
        )
    tell_given(gate, [row.task_id for row in made], actor)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _watch_on(gate: Gate, pairs: Sequence[tuple[int, int | None]]) -> None:
    """Let whoever gave away what he was given go on watching it."""
    rows = [{"task_id": task_id, "user_id": user_id} for task_id, user_id in pairs if user_id is not None]
    if rows:
        gate.session.execute(pg.insert(Observer).values(rows).on_conflict_do_nothing())


def tell_given(gate: Gate, task_ids: Sequence[int], actor: int | None) -> None:
    """Tell people that they were given tasks, each of them once for each time."""
    session = gate.session
    operation = operations.current(session) or 0
    tasks = session.execute(
        sa.select(Task.id, Task.title, Task.owner_id, Task.created_by).where(
            Task.id.in_(list(task_ids)), Task.completed_at.is_(None), Task.deleted_at.is_(None)
        ),
        execution_options=_WHY,
    )
    for row in tasks:
        if row.owner_id is not None and row.owner_id != actor:
            notify.notify(
                session,
                [row.owner_id],
                key=f"tasks.given:{row.id}:{operation}",
                kind=facts.GIVEN,
                title=_("You were given a task: ${title}", mapping={"title": row.title}),
                entity=TASK,
                record_id=row.id,
                href=f"{TASKS.url}/{row.id}",
                actor=actor,
            )
