"""The verbs of a task: make, do, finish, take up again, postpone, give away, cancel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crm_core import clock
from crm_core.db import UNGATED, RecordRef
from crm_core.forms import InvalidValues
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_tasks import events as facts
from crm_tasks.entities import TASK, TASKS, end_of_day
from crm_tasks.i18n import _
from crm_tasks.models import ChecklistItem, Delegation, Observer, Task
from crm_tasks.schemas import CANCELLED, CLOSED_STATES, DONE, IN_PROGRESS, OPEN, WAITING
from crm_tasks.services import dependencies, progress, reminders, series
from crm_tasks.services.company import Ways, ways_of, working_day_after
from crm_tasks.services.recurrence import Rule
from crm_tasks.services.writing import about, require, require_give, tell, write, write_unasked, zone_of

TOMORROW, WORKING_DAY, WEEK = "tomorrow", "working_day", "week"


# -- making ------------------------------------------------------------------------------------------------------------


def create(
    gate: Gate,
    *,
    subject: RecordRef | None = None,
    checklist: Iterable[str] = (),
    observers: Iterable[int] = (),
    remind: Sequence[int] | None = None,
    rule: Rule | None = None,
    **values: Any,
) -> Task:
    """Make a task about a record that the subject sees, or about none.

    `values` are those of `TaskSchema`, checked, and columns such as `zone` and `origin`. `remind` are minutes before
    the due; None reminds as the company does, nothing in it: not at all. A `rule` makes it the first of a series.
    """
    if subject is not None and (
        subject.entity not in gate.plugins.entities or not gate.visible_ids(subject.entity, [subject.id])
    ):
        raise saving.NotAllowed(_("There is no such record, or you may not see it."))
    owner = values.get("owner_id") or gate.subject.user_id
    require_give(gate, owner)
    if values.get("parent_id") and not gate.visible_ids(TASKS, [values["parent_id"]]):
        raise saving.NotAllowed(_("There is no such task, or you may not see it."))
    values.setdefault("zone", gate.subject.zone)
    if subject is not None:
        values |= {"subject_entity": subject.entity, "subject_id": subject.id}
    task: Task = saving.create(gate, TASKS, values)
    session = gate.session
    session.add_all(
        ChecklistItem(task_id=task.id, title=line.strip()[:300], position=place)
        for place, line in enumerate(line for line in checklist if line.strip())
    )
    session.add_all(Observer(task_id=task.id, user_id=one) for one in sorted({*observers} - {owner}))
    session.flush()
    if remind is not None:
        reminders.replace(gate, task, remind)
    if task.parent_id:
        progress.refresh(gate, task.parent_id)
    if rule is not None:
        series.begin(gate, task, rule)
    return task


# -- doing -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Completed:
    """What completing a task led to."""

    task: Task
    following: Task | None = None
    """The next one of its series, where completing made it."""
    next_step: Task | None = None
    """What the person said he does next with the same record."""
    needs_next: bool = False
    """Whether nothing is left to be done with its record: one should ask what comes next."""


def complete(
    gate: Gate,
    task: Task,
    result: str | None = None,
    *,
    then: Mapping[str, Any] | None = None,
    version: int | None = None,
) -> Completed:
    """Finish a task with what came of it; `then` are the values of what is done next with the same record.

    Raise `dependencies.Blocked` while something that it needs is not done.
    """
    require(gate, task, "complete")
    if task.state in CLOSED_STATES:
        return Completed(task)
    dependencies.require_free(gate, task)
    now = clock.now()
    late = task.due_at is not None and task.due_at < now
    values: dict[str, Any] = {
        "state": DONE,
        "completed_at": now,
        "completed_by": gate.subject.user_id,
        "progress": 100,
        "result": (result or "").strip() or task.result,
    }
    write(gate, task, values, verb="complete", version=version)
    if task.parent_id:
        progress.refresh(gate, task.parent_id)
    tell(
        gate,
        facts.COMPLETED,
        {
            "id": task.id,
            "kind": task.kind,
            "subject_entity": task.subject_entity,
            "subject_id": task.subject_id,
            "user_id": gate.subject.user_id,
            "result": task.result,
            "late": late,
        },
    )
    following = series.go_on(gate, task)
    made = None
    if then:
        made = create(gate, **{"subject": task.subject, **then})
        about(gate, task)
    return Completed(task, following, made, needs_next=made is None and _nothing_left(gate, task))


def _nothing_left(gate: Gate, task: Task) -> bool:
    if task.subject is None or task.subject_entity not in gate.plugins.entities:
        return False
    left = sa.select(Task.id).where(
        Task.subject_entity == task.subject_entity,
        Task.subject_id == task.subject_id,
        Task.completed_at.is_(None),
        Task.deleted_at.is_(None),
    )
    options = {UNGATED: "only whether anything is left to be done with the record"}
    return gate.session.scalar(left.limit(1), execution_options=options) is None


def cancel(gate: Gate, task: Task, reason: str | None = None) -> Task:
    """Say that a task need not be done any more."""
    values = {
        "state": CANCELLED,
        "completed_at": clock.now(),
        "completed_by": gate.subject.user_id,
        "result": (reason or "").strip() or task.result,
    }
    write(gate, task, values, verb="edit")
    if task.parent_id:
        progress.refresh(gate, task.parent_id)
    return task


def reopen(gate: Gate, task: Task) -> Task:
    """Take up a task that was done or cancelled."""
    require(gate, task, "complete")
    if task.state not in CLOSED_STATES:
        return task
    values = {"state": OPEN, "completed_at": None, "completed_by": None}
    write(gate, task, values, verb="complete")
    progress.refresh(gate, task.id)
    if task.parent_id:
        progress.refresh(gate, task.parent_id)
    tell(
        gate,
        facts.REOPENED,
        {"id": task.id, "subject_entity": task.subject_entity, "subject_id": task.subject_id},
    )
    return task


def start(gate: Gate, task: Task) -> Task:
    """Begin a task; what it needs must be done."""
    return set_state(gate, task, IN_PROGRESS)


def wait(gate: Gate, task: Task) -> Task:
    """Put a task aside: somebody else is awaited."""
    return set_state(gate, task, WAITING)


def set_state(gate: Gate, task: Task, state: str, *, version: int | None = None) -> Task:
    """Bring a task into a state, by the verb that leads there: what the board does."""
    if state == task.state:
        return task
    if state == DONE:
        return complete(gate, task, version=version).task
    if state == CANCELLED:
        return cancel(gate, task)
    if task.state in CLOSED_STATES:
        reopen(gate, task)
    if state == IN_PROGRESS:
        dependencies.require_free(gate, task)
    values: dict[str, Any] = {"state": state}
    if state == IN_PROGRESS and task.start_at is None:
        values["start_at"] = clock.now()
    write(gate, task, values, verb="complete", version=version)
    return task


def set_progress(gate: Gate, task: Task, percent: int | None) -> Task:
    """Say how far a task is, in percent; None leaves it to checklist and subtasks."""
    if percent is not None and not 0 <= percent <= 100:
        raise InvalidValues({"progress": _("Write a number from 0 to 100.")})
    if percent is None:
        write(gate, task, {"progress_by_hand": False}, verb="complete")
        progress.refresh(gate, task.id)
    else:
        write(gate, task, {"progress": percent, "progress_by_hand": True}, verb="complete")
    if task.parent_id:
        progress.refresh(gate, task.parent_id)
    return task


# -- when --------------------------------------------------------------------------------------------------------------


def postponed(task: Task, to: str | dt.date | dt.datetime, *, zone: Any, ways: Ways) -> tuple[dt.datetime, bool]:
    """Return the due to which a task would be postponed, and whether it is for the whole day.

    A day keeps the hour at which it was due, as the wall clock says it.
    """
    if isinstance(to, dt.datetime):
        return to, False
    today = clock.today(zone)
    if to == TOMORROW:
        day = today + dt.timedelta(days=1)
    elif to == WORKING_DAY:
        day = working_day_after(ways.calendar, today)
    elif to == WEEK:
        day = today + dt.timedelta(days=7)
    elif isinstance(to, dt.date):
        day = to
    else:
        raise InvalidValues({"to": _("Choose from the list.")})
    if task.due_at is None or task.all_day:
        return end_of_day(day, str(zone)), True
    wall = task.due_at.astimezone(zone).time()
    return dt.datetime.combine(day, wall, tzinfo=zone).astimezone(dt.UTC), False


def postpone(gate: Gate, task: Task, to: str | dt.date | dt.datetime, *, version: int | None = None) -> Task:
    """Move the due: `tomorrow`, the next `working_day`, in a `week`, to a day or an instant; reminders move along."""
    was = task.due_at
    due, all_day = postponed(task, to, zone=zone_of(gate, task), ways=ways_of(gate))
    values: dict[str, Any] = {"due_at": due, "all_day": all_day}
    if task.start_at is not None and was is not None and task.start_at <= was:
        values["start_at"] = task.start_at + (due - was)
    if write(gate, task, values, verb="edit", version=version):
        payload = {
            "id": task.id,
            "was": was.isoformat() if was else None,
            "due_at": due.isoformat(),
            "user_id": gate.subject.user_id,
        }
        tell(gate, facts.POSTPONED, payload)
    return task


# -- who ---------------------------------------------------------------------------------------------------------------


def reassign(gate: Gate, task: Task, user_id: int, note: str = "") -> Task:
    """Give a task to somebody else; the trace keeps from whom, to whom and why."""
    if user_id == task.owner_id:
        return task
    require(gate, task, "assign")
    require_give(gate, user_id)
    number = task.id
    saving.assign(gate, TASKS, [number], user_id)
    session = gate.session
    if note.strip():
        operation = operations.ensure(session)
        session.execute(
            sa.update(Delegation)
            .where(Delegation.task_id == number, Delegation.operation_id == operation)
            .values(note=note.strip()[:500])
        )
    session.refresh(task)
    return task


def observe(gate: Gate, task: Task, user_ids: Iterable[int]) -> None:
    """Set who watches a task."""
    wanted = {*user_ids} - {task.owner_id}
    present = set(gate.session.scalars(sa.select(Observer.user_id).where(Observer.task_id == task.id)))
    if wanted == present:
        return
    if not (wanted ^ present <= {gate.subject.user_id} and gate.visible_ids(TASKS, [task.id])):
        require(gate, task, "edit")
    about(gate, task)
    operations.ensure(gate.session)
    gone = present - wanted
    if gone:
        gate.session.execute(sa.delete(Observer).where(Observer.task_id == task.id, Observer.user_id.in_(gone)))
    gate.session.add_all(Observer(task_id=task.id, user_id=one) for one in sorted(wanted - present))
    gate.session.flush()


def trace(gate: Gate, task: Task) -> Sequence[Delegation]:
    """Return the way of a task from hand to hand, oldest first."""
    return gate.session.scalars(
        sa.select(Delegation).where(Delegation.task_id == task.id).order_by(Delegation.id).limit(100)
    ).all()


def open_of(gate: Gate, ref: RecordRef, limit: int = 20) -> Sequence[Task]:
    """Return what is still to be done for a record, the earliest first."""
    statement = gate.select(TASK).where(
        Task.subject_entity == ref.entity, Task.subject_id == ref.id, Task.completed_at.is_(None)
    )
    return gate.session.scalars(statement.order_by(Task.sort_at, Task.id).limit(limit)).all()


__all__ = [
    "TOMORROW",
    "WEEK",
    "WORKING_DAY",
    "Completed",
    "cancel",
    "complete",
    "create",
    "observe",
    "open_of",
    "postpone",
    "postponed",
    "reassign",
    "reopen",
    "set_progress",
    "set_state",
    "start",
    "trace",
    "wait",
    "write_unasked",
]
