"""The tasks of one person's day, and the lists of the home page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from crm_core import clock
from crm_core.records.gate import Gate
from crm_tasks.entities import TASK
from crm_tasks.models import Task

MOST = 300


@dataclass(frozen=True)
class Day:
    """What stands on one's day."""

    overdue: Sequence[Task] = ()
    today: Sequence[Task] = ()
    later: Sequence[Task] = ()
    """In the week that follows."""
    undated: Sequence[Task] = ()
    done: Sequence[Task] = ()
    counts: dict[str, int] = field(default_factory=dict)


def my_day(gate: Gate) -> Day:
    """Return the day of the subject: overdue, today, the week after, without a date, done today; in one statement."""
    subject, now = gate.subject, clock.now()
    start = clock.start_of_day(clock.today(subject.zone), subject.zone)
    end = clock.start_of_day(clock.today(subject.zone) + dt.timedelta(days=1), subject.zone)
    week = end + dt.timedelta(days=7)
    rows = gate.session.scalars(
        gate.select(TASK)
        .where(
            Task.owner_id == subject.user_id,
            sa.or_(
                sa.and_(Task.completed_at.is_(None), sa.or_(Task.due_at < week, Task.due_at.is_(None))),
                Task.completed_at >= start,
            ),
        )
        .order_by(Task.sort_at, Task.id)
        .limit(MOST)
    ).all()
    opened = [task for task in rows if task.completed_at is None]
    dated = [task for task in opened if task.due_at is not None]
    return Day(
        overdue=[task for task in dated if _due(task) < now],
        today=[task for task in dated if now <= _due(task) < end],
        later=[task for task in dated if _due(task) >= end],
        undated=[task for task in opened if task.due_at is None],
        done=sorted((task for task in rows if task.completed_at is not None), key=_done_at, reverse=True),
    )


def _due(task: Task) -> dt.datetime:
    assert task.due_at is not None
    return task.due_at


def _done_at(task: Task) -> dt.datetime:
    assert task.completed_at is not None
    return task.completed_at


def overdue_of_team(gate: Gate, limit: int = 8) -> Sequence[Any]:
    """Return who of the subject's departments has how many overdue tasks, the most first."""
    count = sa.func.count().label("n")
    statement = (
        gate.select(TASK, Task.owner_id, count, sa.func.min(Task.due_at).label("oldest"))
        .where(
            Task.due_at < clock.now(),
            Task.completed_at.is_(None),
            Task.owner_id.is_not(None),
            Task.owner_id != gate.subject.user_id,
        )
        .group_by(Task.owner_id)
        .order_by(count.desc(), Task.owner_id)
        .limit(limit)
    )
    if "all" not in gate.subject.scopes("tasks:view"):
        statement = statement.where(Task.team_id.in_(sorted(gate.subject.team_ids)))
    return gate.session.execute(statement).all()


def handed_out(gate: Gate, limit: int = 8) -> Sequence[Task]:
    """Return what the subject gave to others and is not done, the earliest due first."""
    mine = gate.subject.user_id
    statement = gate.select(TASK).where(
        Task.created_by == mine, Task.owner_id.is_distinct_from(mine), Task.completed_at.is_(None)
    )
    return gate.session.scalars(statement.order_by(Task.sort_at, Task.id).limit(limit)).all()


#: Closed tasks that a column of the board still shows, in days.
LATELY = 14
COLUMN = 50


def board(gate: Gate, state: str, *, whose: str = "mine", after: tuple[dt.datetime, int] | None = None) -> list[Task]:
    """Return a part of one column of the board, one more than `COLUMN` where it goes on."""
    closed = state in ("done", "cancelled")
    statement = gate.select(TASK).where(Task.state == state)
    if whose == "mine":
        statement = statement.where(Task.owner_id == gate.subject.user_id)
    elif whose == "handed_out":
        statement = statement.where(
            Task.created_by == gate.subject.user_id, Task.owner_id.is_distinct_from(gate.subject.user_id)
        )
    elif whose == "team":
        statement = statement.where(Task.team_id.in_(sorted(gate.subject.team_ids)))
    column = Task.completed_at if closed else Task.sort_at
    if closed:
        statement = statement.where(Task.completed_at >= clock.now() - dt.timedelta(days=LATELY))
    if after is not None:
        pair = sa.tuple_(column, Task.id)
        place = sa.tuple_(sa.literal(after[0], sa.DateTime(timezone=True)), sa.literal(after[1], sa.BigInteger()))
        statement = statement.where(pair < place if closed else pair > place)
    order = (column.desc(), Task.id.desc()) if closed else (column, Task.id)
    return list(gate.session.scalars(statement.order_by(*order).limit(COLUMN + 1)))
