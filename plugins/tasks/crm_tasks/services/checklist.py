"""The checklist of a task: whoever may do the task ticks it, and whoever may change the task writes it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from crm_core.forms import InvalidValues
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_tasks.entities import TASKS
from crm_tasks.i18n import _
from crm_tasks.models import ChecklistItem, Task
from crm_tasks.services import progress
from crm_tasks.services.writing import REFUSED, about, require

MOST = 100


def lines(gate: Gate, task: Task) -> Sequence[ChecklistItem]:
    """Return the lines in their order."""
    return gate.session.scalars(
        sa.select(ChecklistItem)
        .where(ChecklistItem.task_id == task.id)
        .order_by(ChecklistItem.position, ChecklistItem.id)
        .limit(MOST)
    ).all()


def _require_writing(gate: Gate, task: Task) -> None:
    # Whoever does the work may divide it.
    if not (gate.allows("edit", task, TASKS) or gate.allows("complete", task, TASKS)):
        raise saving.NotAllowed(REFUSED["edit"])


def add(gate: Gate, task: Task, text: str) -> list[ChecklistItem]:
    """Add a line, or several, one from each line of the text."""
    _require_writing(gate, task)
    wanted = [line.strip()[:300] for line in text.splitlines() if line.strip()]
    if not wanted:
        raise InvalidValues({"title": _("Write what is to be ticked.")})
    session = gate.session
    count, last = session.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.max(ChecklistItem.position), 0)).where(
            ChecklistItem.task_id == task.id
        )
    ).one()
    if count + len(wanted) > MOST:
        raise InvalidValues({"title": _("At most ${n} lines.", mapping={"n": MOST})})
    about(gate, task)
    made = [ChecklistItem(task_id=task.id, title=line, position=last + place + 1) for place, line in enumerate(wanted)]
    session.add_all(made)
    session.flush()
    progress.refresh(gate, task.id)
    return made


def tick(gate: Gate, task: Task, item_id: int, done: bool) -> None:
    """Tick a line, or take the tick off."""
    require(gate, task, "complete")
    item = _line(gate, task, item_id)
    about(gate, task)
    item.done = done
    gate.session.flush()
    progress.refresh(gate, task.id)


def remove(gate: Gate, task: Task, item_id: int) -> None:
    """Take a line off."""
    _require_writing(gate, task)
    item = _line(gate, task, item_id)
    about(gate, task)
    gate.session.delete(item)
    gate.session.flush()
    progress.refresh(gate, task.id)


def arrange(gate: Gate, task: Task, order: Sequence[int]) -> None:
    """Put the lines into an order."""
    _require_writing(gate, task)
    about(gate, task)
    operations.ensure(gate.session)
    places = {number: place for place, number in enumerate(order)}
    for item in lines(gate, task):
        item.position = places.get(item.id, len(places))
    gate.session.flush()


def _line(gate: Gate, task: Task, item_id: int) -> ChecklistItem:
    item = gate.session.get(ChecklistItem, item_id)
    if item is None or item.task_id != task.id:
        raise saving.NotAllowed(_("This line is gone."))
    return item
