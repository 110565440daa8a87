"""What must be done before: dependencies of tasks, without circles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from crm_core.db import UNGATED
from crm_core.forms import InvalidValues
from crm_core.records import operations
from crm_core.records.gate import Gate
from crm_tasks.entities import TASKS
from crm_tasks.i18n import _
from crm_tasks.models import Dependency, Task
from crm_tasks.services.writing import about, require

#: Everybody who adds a dependency waits for the one before him, or two at once could close a circle.
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtext('crm.tasks.dependency'))")
_WHY = {UNGATED: "whether something stands in the way does not depend on who asks; names are told through the gate"}


class Blocked(RuntimeError):
    """Tells what must be done first: names of those tasks that the subject may see, and how many there are."""

    def __init__(self, names: Sequence[str], count: int) -> None:
        super().__init__(f"{count} tasks are to be done first")
        self.names = tuple(names)
        self.count = count

    @property
    def message(self) -> str:
        """What to say to the person, a message id."""
        if self.names:
            return _("First must be done: ${names}", mapping={"names": ", ".join(self.names)})
        return _("First something must be done that you may not see.")


@dataclass(frozen=True)
class Link:
    """A task that another one needs, or that needs it; the name is empty where it may not be seen."""

    id: int
    title: str
    done: bool


def add(gate: Gate, task: Task, needs_id: int) -> None:
    """Say that a task needs another one to be done first; a circle is refused, with the way it would go."""
    require(gate, task, "edit")
    session = gate.session
    if needs_id == task.id:
        raise InvalidValues({"needs": _("A task cannot wait for itself.")})
    if not gate.visible_ids(TASKS, [needs_id]):
        raise InvalidValues({"needs": _("There is no such task, or you may not see it.")})
    session.execute(_LOCK)
    reach = (
        sa.select(Dependency.needs_id.label("id")).where(Dependency.task_id == needs_id).cte("reach", recursive=True)
    )
    reach = reach.union(sa.select(Dependency.needs_id).join(reach, Dependency.task_id == reach.c.id))
    if session.scalar(sa.select(reach.c.id).where(reach.c.id == task.id).limit(1)) is not None:
        raise InvalidValues({"needs": _("That task itself waits for this one.")})
    present = sa.select(Dependency.id).where(Dependency.task_id == task.id, Dependency.needs_id == needs_id)
    if session.scalar(present) is not None:
        return
    about(gate, task)
    session.add(Dependency(task_id=task.id, needs_id=needs_id))
    session.flush()


def remove(gate: Gate, task: Task, needs_id: int) -> None:
    """Say that a task does not need another one any more."""
    require(gate, task, "edit")
    about(gate, task)
    operations.ensure(gate.session)
    gate.session.execute(
        sa.delete(Dependency).where(Dependency.task_id == task.id, Dependency.needs_id == needs_id)
    )


def blockers(gate: Gate, task_ids: Iterable[int]) -> dict[int, list[int]]:
    """Return what still stands in the way of tasks, by task; those without are left out."""
    wanted = sorted(set(task_ids))
    if not wanted:
        return {}
    needed = aliased(Task)
    rows = gate.session.execute(
        sa.select(Dependency.task_id, Dependency.needs_id)
        .join(needed, needed.id == Dependency.needs_id)
        .where(Dependency.task_id.in_(wanted), needed.completed_at.is_(None), needed.deleted_at.is_(None))
        .order_by(Dependency.id),
        execution_options=_WHY,
    )
    found: dict[int, list[int]] = {}
    for task_id, needs_id in rows:
        found.setdefault(task_id, []).append(needs_id)
    return found


def require_free(gate: Gate, task: Task) -> None:
    """Refuse while something that the task needs is not done."""
    waiting = blockers(gate, [task.id]).get(task.id)
    if waiting:
        labels = gate.labels(TASKS, waiting)
        raise Blocked([labels[number] for number in waiting if number in labels], len(waiting))


def links(gate: Gate, task: Task) -> tuple[list[Link], list[Link]]:
    """Return what a task needs and what waits for it, in one statement."""
    other = Task.__table__.alias("other")
    there = sa.case((Dependency.task_id == task.id, Dependency.needs_id), else_=Dependency.task_id)
    visible = gate.select(TASKS, Task.id).subquery()
    rows = gate.session.execute(
        sa.select(
            other.c.id, other.c.title, other.c.completed_at, (Dependency.task_id == task.id).label("needed"),
            visible.c.id.label("seen"),
        )
        .join(other, other.c.id == there)
        .outerjoin(visible, visible.c.id == other.c.id)
        .where(sa.or_(Dependency.task_id == task.id, Dependency.needs_id == task.id), other.c.deleted_at.is_(None))
        .order_by(Dependency.id),
        execution_options=_WHY,
    ).all()  # fmt: skip
    made = [(row.needed, Link(row.id, row.title if row.seen else "", row.completed_at is not None)) for row in rows]
    return [one for needed, one in made if needed], [one for needed, one in made if not needed]


__all__ = ["Blocked", "Link", "add", "blockers", "links", "remove", "require_free"]
