"""How far a task is: from its checklist and its subtasks, unless somebody said it himself."""

from __future__ import annotations

import sqlalchemy as sa

from crm_core.db import UNGATED
from crm_core.records.gate import Gate
from crm_tasks.models import ChecklistItem, Task
from crm_tasks.schemas import CANCELLED, DONE
from crm_tasks.services.writing import write_unasked

_WHY = {UNGATED: "progress follows from the parts of the task, whoever may see them"}

#: How deep subtasks are followed upwards.
_DEPTH = 10


def of(gate: Gate, task_id: int) -> int | None:
    """Return the progress that checklist and subtasks make, in percent; None where there is neither."""
    lines = sa.select(
        sa.func.count(), sa.func.count().filter(ChecklistItem.done) * 100
    ).where(ChecklistItem.task_id == task_id)
    parts = sa.select(
        sa.func.count(), sa.func.coalesce(sa.func.sum(sa.case((Task.state == DONE, 100), else_=Task.progress)), 0)
    ).where(Task.parent_id == task_id, Task.deleted_at.is_(None), Task.state != CANCELLED)
    rows = gate.session.execute(sa.union_all(lines, parts), execution_options=_WHY).all()
    count, points = sum(row[0] for row in rows), sum(int(row[1]) for row in rows)
    return round(points / count) if count else None


def refresh(gate: Gate, task_id: int, depth: int = _DEPTH) -> None:
    """Compute the progress of a task anew, and of those it is part of."""
    statement = sa.select(Task).where(Task.id == task_id, Task.deleted_at.is_(None))
    task = gate.session.scalars(statement, execution_options=_WHY).one_or_none()
    if task is None or task.progress_by_hand or task.state == DONE:
        return
    found = of(gate, task_id)
    if found is None:
        # Without parts there is nothing to count, and what was said before may stand; but what was done is not.
        found = task.progress if task.progress < 100 else 0
    if write_unasked(gate, task, {"progress": found}) and task.parent_id and depth > 1:
        refresh(gate, task.parent_id, depth - 1)
