"""Reminders of tasks: kept beside the task, written as the core's reminders, moved when the due moves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from crm_core import clock, notify
from crm_core.db import UNGATED
from crm_core.models.notifications import Reminder as Told
from crm_core.records import operations
from crm_core.records.gate import Gate
from crm_tasks import events as facts
from crm_tasks.entities import TASK, TASKS
from crm_tasks.i18n import DOMAIN, _
from crm_tasks.models import Reminder, Task
from crm_tasks.services.company import Ways, ways_of
from crm_tasks.services.writing import about

_WHY = {UNGATED: "reminders follow the task for whoever is to be reminded"}

#: Minutes before the due that a person may choose from.
CHOICES = (0, 5, 15, 30, 60, 120, 1440, 2880, 10080)


def prefix(task_id: int) -> str:
    """Return how the keys of all reminders of a task begin."""
    return f"tasks.task:{task_id}:"


def of(gate: Gate, task: Task) -> Sequence[Reminder]:
    """Return the reminders of a task."""
    return gate.session.scalars(sa.select(Reminder).where(Reminder.task_id == task.id).order_by(Reminder.id)).all()


def replace(gate: Gate, task: Task, minutes: Iterable[int | None], user_id: int | None = None) -> None:
    """Set when a task is reminded of, in minutes before its due; None among them: as the company does."""
    about(gate, task)
    session = gate.session
    operations.ensure(session)
    notify.forget(session, prefix=prefix(task.id))
    mine = Reminder.user_id.is_(None) if user_id is None else Reminder.user_id == user_id
    session.execute(sa.delete(Reminder).where(Reminder.task_id == task.id, mine))
    wanted = sorted({one if one is None else max(0, min(one, 525_600)) for one in minutes}, key=lambda one: one or -1)
    session.add_all(Reminder(task_id=task.id, minutes_before=one, user_id=user_id) for one in wanted)
    session.flush()
    refresh(gate, [task.id])


def instant(task: Task, minutes: int | None, ways: Ways) -> dt.datetime | None:
    """Return when a reminder comes; of a task for a whole day, counted back from the morning of that day."""
    if task.due_at is None:
        return None
    if task.all_day and task.due_day is not None:
        morning = dt.datetime.combine(task.due_day, ways.morning, tzinfo=clock.zone(task.zone or ways.zone))
        return morning.astimezone(dt.UTC) - dt.timedelta(minutes=minutes or 0)
    return task.due_at - dt.timedelta(minutes=ways.remind_minutes if minutes is None else minutes)


def begin(gate: Gate, tasks: Sequence[Task]) -> None:
    """Give tasks that have just been made the reminder that the company gives, where they have none."""
    ids = [task.id for task in tasks]
    have = set(gate.session.scalars(sa.select(Reminder.task_id).where(Reminder.task_id.in_(ids))))
    operations.ensure(gate.session)
    rows = [{"task_id": number, "minutes_before": None} for number in ids if number not in have]
    if rows:
        gate.session.execute(sa.insert(Reminder), rows)


def refresh(gate: Gate, task_ids: Sequence[int]) -> None:
    """Write the core's reminders of tasks anew: moved with the due and the assignee, none for what is done or gone."""
    session = gate.session
    ids = list(task_ids)
    tasks = {
        task.id: task for task in session.scalars(sa.select(Task).where(Task.id.in_(ids)), execution_options=_WHY)
    }
    rows = session.scalars(sa.select(Reminder).where(Reminder.task_id.in_(ids))).all()
    ways = ways_of(gate) if rows else None
    soon = clock.now() - dt.timedelta(minutes=1)
    wanted: set[tuple[str, int]] = set()
    for row in rows:
        task = tasks.get(row.task_id)
        if task is None or ways is None or task.deleted_at is not None or task.completed_at is not None:
            continue
        who, at = row.user_id or task.owner_id, instant(task, row.minutes_before, ways)
        # What would have come before now is not told late: the day's page says that it is overdue.
        if who is None or at is None or at <= soon:
            continue
        wanted.add((_key(row), who))
        notify.remind(
            session,
            [who],
            key=_key(row),
            at=at,
            kind=facts.REMINDER,
            title=_("Task: ${title}", mapping={"title": task.title}),
            entity=TASK,
            record_id=task.id,
            href=f"{TASKS.url}/{task.id}",
            domain=DOMAIN,
        )
    _forget_others(gate, [_key(row) for row in rows], wanted)
    for number in ids:
        if number not in tasks:
            notify.forget(session, prefix=prefix(number))


def _key(row: Reminder) -> str:
    return f"{prefix(row.task_id)}{row.id}"


def _forget_others(gate: Gate, keys: Sequence[str], wanted: set[tuple[str, int]]) -> None:
    # Those of whoever had it before, of what is done, and of moments that went by while the due was moved.
    if not keys:
        return
    waiting = gate.session.execute(sa.select(Told.key, Told.user_id).where(Told.key.in_(keys), Told.fired_at.is_(None)))
    stale: dict[int, list[str]] = {}
    for key, user_id in waiting:
        if (key, user_id) not in wanted:
            stale.setdefault(user_id, []).append(key)
    for user_id, some in stale.items():
        notify.forget(gate.session, keys=some, user_ids=[user_id])
