"""What is overdue: told once for each task and due, and to the head of the department when it stays so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from crm_core import clock, notify
from crm_core.db import UNGATED
from crm_core.models.accounts import Team
from crm_core.records.gate import Gate
from crm_tasks import events as facts
from crm_tasks.entities import TASK, TASKS
from crm_tasks.i18n import _
from crm_tasks.models import OverdueMark, Task
from crm_tasks.services.company import ways_of
from crm_tasks.services.writing import tell

BATCH = 500

#: Overdue for longer than this when first seen, it is marked and not told: what was brought in from another program.
TOO_OLD = dt.timedelta(days=3)

_WHY = {UNGATED: "that a task is overdue is told to whoever has it"}


def mark(gate: Gate, limit: int = BATCH) -> int:
    """Tell of tasks that have become overdue, each once for its due; return how many were looked at."""
    session, now = gate.session, clock.now()
    told = sa.exists().where(OverdueMark.task_id == Task.id, OverdueMark.due_at == Task.due_at)
    rows = session.execute(
        sa.select(Task.id, Task.title, Task.due_at, Task.owner_id, Task.subject_entity, Task.subject_id)
        .where(Task.due_at < now, Task.completed_at.is_(None), Task.deleted_at.is_(None), ~told)
        .order_by(Task.due_at, Task.id)
        .limit(limit),
        execution_options=_WHY,
    ).all()
    if not rows:
        return 0
    made = set(
        session.execute(
            pg.insert(OverdueMark)
            .values([{"task_id": row.id, "due_at": row.due_at, "told_at": now} for row in rows])
            .on_conflict_do_nothing(index_elements=["task_id", "due_at"])
            .returning(OverdueMark.task_id)
        ).scalars()
    )
    for row in rows:
        if row.id in made and row.due_at >= now - TOO_OLD:
            _tell(gate, row)
    return len(rows)


def _tell(gate: Gate, row: Any) -> None:
    payload = {
        "id": row.id,
        "due_at": row.due_at.isoformat(),
        "owner_id": row.owner_id,
        "subject_entity": row.subject_entity,
        "subject_id": row.subject_id,
    }
    tell(gate, facts.OVERDUE, payload)
    if row.owner_id is not None:
        notify.notify(
            gate.session,
            [row.owner_id],
            key=f"tasks.overdue:{row.id}:{row.due_at:%Y%m%d%H%M}",
            kind=facts.OVERDUE,
            title=_("Overdue: ${title}", mapping={"title": row.title}),
            entity=TASK,
            record_id=row.id,
            href=f"{TASKS.url}/{row.id}",
        )


def escalate(gate: Gate, limit: int = BATCH) -> int:
    """Tell heads of departments of tasks that have been overdue for as many days as the company set."""
    days = ways_of(gate).escalate_days
    if days <= 0:
        return 0
    session, now = gate.session, clock.now()
    before = now - dt.timedelta(days=days)
    rows = session.execute(
        sa.select(OverdueMark.id, Task.id.label("task_id"), Task.title, Task.due_at, Task.owner_id, Task.team_id)
        .join(Task, sa.and_(Task.id == OverdueMark.task_id, Task.due_at == OverdueMark.due_at))
        .where(
            OverdueMark.escalated_at.is_(None),
            OverdueMark.told_at < before,
            Task.completed_at.is_(None),
            Task.deleted_at.is_(None),
        )
        .order_by(OverdueMark.id)
        .limit(limit)
        .with_for_update(of=OverdueMark, skip_locked=True),
        execution_options=_WHY,
    ).all()
    if not rows:
        return 0
    heads = heads_of(gate, [row.team_id for row in rows])
    for row in rows:
        head = next((one for one in heads.get(row.team_id, ()) if one != row.owner_id), None)
        if head is None:
            continue
        payload = {
            "id": row.task_id, "due_at": row.due_at.isoformat(), "owner_id": row.owner_id, "head_id": head,
        }  # fmt: skip
        tell(gate, facts.ESCALATED, payload)
        notify.notify(
            session,
            [head],
            key=f"tasks.escalated:{row.task_id}:{row.due_at:%Y%m%d%H%M}",
            kind=facts.ESCALATED,
            title=_("Overdue for ${days} days: ${title}", mapping={"days": days, "title": row.title}),
            entity=TASK,
            record_id=row.task_id,
            href=f"{TASKS.url}/{row.task_id}",
        )
    session.execute(
        sa.update(OverdueMark).where(OverdueMark.id.in_([row.id for row in rows])).values(escalated_at=now)
    )
    return len(rows)


def heads_of(gate: Gate, team_ids: Sequence[int | None]) -> dict[int, list[int]]:
    """Return the heads of departments, nearest first, up the tree."""
    rows = gate.session.execute(sa.select(Team.id, Team.parent_id, Team.head_id)).all()
    known = {row.id: row for row in rows}
    found: dict[int, list[int]] = {}
    for team_id in {one for one in team_ids if one is not None}:
        heads: list[int] = []
        seen: set[int] = set()
        present: int | None = team_id
        while present is not None and present in known and present not in seen:
            seen.add(present)
            head = known[present].head_id
            if head is not None and head not in heads:
                heads.append(head)
            present = known[present].parent_id
        found[team_id] = heads
    return found
