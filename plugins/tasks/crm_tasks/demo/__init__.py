"""The tasks of the demo company: what its people had and have to do around today, and the year behind them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crm_core import clock
from crm_core.demo.context import TIME_ZONE, DemoContext
from crm_core.models import User
from crm_core.records import operations
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject
from crm_tasks.demo import words
from crm_tasks.entities import TASK, TASKS, prepare_task
from crm_tasks.models import Task
from crm_tasks.schemas import DONE, HIGH, NORMAL, OPEN, URGENT
from crm_tasks.services import reminders, series, tasks
from crm_tasks.services.recurrence import MONTHLY, WEEKLY, Rule

AFTER = ("clients", "deals")
"""Whose part of the demo is there before: tasks are about clients and deals."""

COUNT, PAST, AHEAD = 300, 60, 14
"""How many tasks about clients, how many days of them lie behind and ahead."""
YEAR, DONE_IN_YEAR = 365, 8500
"""Days of the year that lies behind, and tasks that were done in it."""
UNPLANNED = 6
"""Open deals of the manager that nobody has planned anything for."""
LATE = 6
"""Days in which something may still be open."""

_ALIVE: dict[str, Any] = {"deleted_at": None, "deleted_op": None, "tags": [], "extra": {}}


@dataclass(frozen=True)
class _Client:
    entity: str
    id: int
    owner_id: int


def fill(context: DemoContext) -> None:
    """Make tasks of the sales people about their clients, some of their own, sets, and two that repeat."""
    rows = [*_about_clients(context), *_own(context), *_handed_out(context)]
    _write(context, rows)
    _next_steps(context)
    _year(context)
    _sets(context)
    context.play()
    _remind(context)
    _repeat(context)


def _clients(context: DemoContext) -> list[_Client]:
    """Return people and companies with a responsible who is still here, if there are any to hang tasks on."""
    here = set(context.session.scalars(sa.select(User.id).where(User.status == "active")))
    found = []
    for name in ("clients.company", "clients.person"):
        entity = context.plugins.entities.get(name)
        if entity is None:
            continue
        model: Any = entity.model
        rows = context.session.execute(
            _gate(context).select(entity, model.id, model.owner_id).where(model.owner_id.in_(here)).order_by(model.id)
        )
        found += [_Client(name, row.id, row.owner_id) for row in rows]
    return found


def _about_clients(context: DemoContext) -> list[dict[str, Any]]:
    clients, random = _clients(context), context.random
    if not clients:
        return []
    rows = []
    for _number in range(COUNT):
        client = random.choice(clients)
        title, kind, hour, minutes, result = random.choice(words.CLIENT_TASKS)
        ago = random.triangular(-AHEAD, PAST, 4)
        day = _workday(context, context.today - dt.timedelta(days=round(ago)))
        rows.append(
            _row(
                context,
                title=title,
                kind=kind,
                day=day,
                hour=None if hour is None else min(17, hour + random.choice((0, 0, 1))),
                minutes=minutes,
                owner=client.owner_id,
                author=client.owner_id,
                subject=(client.entity, client.id),
                result=result,
                priority=random.choices((NORMAL, HIGH, URGENT), (85, 12, 3))[0],
                chance=0.93,
            )
        )
    return rows


def _own(context: DemoContext) -> list[dict[str, Any]]:
    rows = []
    for login in ("manager", "manager2", "manager3", "head", "marketer", "support"):
        person = context.people.get(login)
        if person is None:
            continue
        for title, kind, hour, minutes in context.random.sample(words.OWN_TASKS, 4):
            day = _workday(context, context.today + dt.timedelta(days=context.random.randint(-2, 6)))
            undated = kind == "todo" and hour is None and context.random.random() < 0.5
            rows.append(
                _row(
                    context, title=title, kind=kind, day=None if undated else day, hour=hour, minutes=minutes,
                    owner=person, author=person, chance=0.7,
                )
            )  # fmt: skip
    return rows


def _handed_out(context: DemoContext) -> list[dict[str, Any]]:
    head = context.people.get("head")
    others = [context.people[name] for name in ("manager", "manager2", "manager3") if name in context.people]
    if head is None:
        return []
    return [
        _row(
            context, title=title, kind="todo", day=_workday(context, context.today + dt.timedelta(days=place - 1)),
            hour=None, minutes=0, owner=others[place % len(others)], author=head, priority=HIGH, chance=0,
        )
        for place, title in enumerate(words.HEAD_TASKS)
    ]  # fmt: skip


def _deals(context: DemoContext) -> list[Any]:
    """Return the deals there are, known by name only, the oldest first."""
    entity = context.plugins.entities.get("deals.deal")
    if entity is None:
        return []
    model: Any = entity.model
    return list(
        context.session.execute(
            _gate(context)
            .select(entity, model.id, model.owner_id, model.created_at, model.closed_at, model.amount)
            .order_by(model.created_at, model.id)
        )
    )


def _next_steps(context: DemoContext) -> None:
    """Give every open deal a next task, but some of the manager's, the largest of them: they are to be found."""
    random = context.random
    here = set(context.session.scalars(sa.select(User.id).where(User.status == "active")))
    open_deals = [one for one in _deals(context) if one.closed_at is None and one.owner_id in here]
    mine = [one for one in open_deals if one.owner_id == context.people.get("manager")]
    forgotten = {one.id for one in sorted(mine, key=lambda one: -(one.amount or 0))[:UNPLANNED]}
    rows = []
    for deal in open_deals:
        if deal.id in forgotten:
            continue
        title, kind, hour, minutes, _result = random.choice(words.CLIENT_TASKS)
        ahead = random.choice((-2, -1, 0, 0, 1, 1, 2, 3, 5, 7, 9, 12))
        day = _workday(context, context.today + dt.timedelta(days=ahead))
        rows.append(
            _row(
                context, title=title, kind=kind, day=day, hour=hour, minutes=minutes, owner=deal.owner_id,
                author=deal.owner_id, subject=("deals.deal", deal.id), chance=0,
            )
        )  # fmt: skip
    _write(context, rows)


def _year(context: DemoContext) -> None:
    """Write down what was done in the year: a week of a person is one operation, or there would be thousands."""
    random = context.random
    clients, deals = _clients(context), _deals(context)
    here = {client.owner_id for client in clients}
    deals = [one for one in deals if one.owner_id in here]
    if not clients:
        return
    days = context.working_days(YEAR)
    weights = [weight for _day, weight in days]
    numbers = context.numbers("tasks_task", DONE_IN_YEAR)
    made: dict[tuple[int, int], list[dict[str, Any]]] = {}
    closed: dict[tuple[int, int], list[dict[str, Any]]] = {}
    indexed = []
    for number, (ago, _weight) in zip(numbers, random.choices(days, weights, k=DONE_IN_YEAR), strict=True):
        title, kind, hour, minutes, result = random.choice(words.CLIENT_TASKS)
        owner, subject, ago = _about(context, clients, deals, ago)
        row = _row(
            context, title=title, kind=kind, day=context.today - dt.timedelta(days=ago), hour=hour, minutes=minutes,
            owner=owner, author=owner, subject=subject, result=result, chance=1,
        )  # fmt: skip
        done = row.pop("_done", None)
        if done is None:
            continue
        row = {"id": number, **row}
        made.setdefault((_evening(context, row["created_at"]), owner), []).append(row)
        change = {
            "state": DONE, "completed_at": done["at"], "completed_by": owner, "progress": 100, "result": done["result"],
        }  # fmt: skip
        change["sort_at"] = prepare_task({**row, **change})["sort_at"]
        closed.setdefault((_evening(context, done["at"]), owner), []).append({"id": number, **change})
        indexed.append({**row, **change})
    for (ago, owner), rows in made.items():
        context.insert("tasks_task", rows, at=min(context.at(ago, 17, 50), context.now), by=owner, entity=TASK)
    for (ago, owner), rows in closed.items():
        context.update("tasks_task", rows, at=min(context.at(ago, 17, 55), context.now), by=owner, entity=TASK)
    context.index(TASKS, indexed)


def _about(
    context: DemoContext, clients: Sequence[_Client], deals: Sequence[Any], ago: int
) -> tuple[int, tuple[str, int], int]:
    """Return who had to do something about what, and when: deals are worked on while they are open."""
    random = context.random
    if deals and random.random() < 0.5:
        deal = random.choice(deals)
        end = min(deal.closed_at or context.now, context.now - dt.timedelta(days=1))
        if deal.created_at < end:
            moment = deal.created_at + (end - deal.created_at) * random.random()
            return deal.owner_id, ("deals.deal", deal.id), max(1, (context.now - moment).days)
    client = random.choice(clients)
    return client.owner_id, (client.entity, client.id), ago


def _evening(context: DemoContext, moment: dt.datetime) -> int:
    """Return how long ago the Friday of a moment's week was, this week its very evening."""
    day = moment.astimezone(clock.zone(TIME_ZONE)).date()
    friday = day + dt.timedelta(days=(4 - day.weekday()) % 7)
    return max(0, (context.today - (friday if friday < context.today else day)).days)


def _workday(context: DemoContext, day: dt.date) -> dt.date:
    while day.weekday() > 4:
        day += dt.timedelta(days=1)
    return day


def _row(
    context: DemoContext,
    *,
    title: str,
    kind: str,
    day: dt.date | None,
    hour: int | None,
    minutes: int,
    owner: int,
    author: int,
    subject: tuple[str, int] | None = None,
    result: str = "",
    priority: str = NORMAL,
    chance: float,
) -> dict[str, Any]:
    random = context.random
    zone = clock.zone(TIME_ZONE)
    due = None
    if day is not None:
        wall = dt.time(hour if hour is not None else 12, random.choice((0, 15, 30)) if hour is not None else 0)
        due = dt.datetime.combine(day, wall, tzinfo=zone).astimezone(dt.UTC)
    all_day = day is not None and hour is None
    over = due is not None and due < context.now
    lately = due is not None and context.now - due < dt.timedelta(days=LATE)
    done = over and (not lately or random.random() < chance)
    base = due or context.now
    created = min(base, context.now) - dt.timedelta(days=random.randint(1, 5), hours=random.randint(0, 4))
    values: dict[str, Any] = {
        "owner_id": owner,
        "team_id": context.department_of.get(owner),
        "created_by": author,
        "created_at": created,
        **_ALIVE,
        "title": title,
        "kind": kind,
        "subject_entity": subject[0] if subject else None,
        "subject_id": subject[1] if subject else None,
        "state": OPEN,
        "priority": priority,
        "due_at": due,
        "all_day": all_day,
        "zone": TIME_ZONE,
        "duration_min": minutes or None,
        "progress": 0,
        "result": None,
        "completed_at": None,
        "completed_by": None,
    }
    values |= prepare_task(values)
    if done and due is not None:
        moment = min(context.now, due + dt.timedelta(minutes=random.randint(-90, 240)))
        values["_done"] = {"at": max(moment, created + dt.timedelta(hours=1)), "result": result or None}
    return values


def _write(context: DemoContext, rows: Sequence[dict[str, Any]]) -> None:
    numbers = context.numbers("tasks_task", len(rows))
    indexed = []
    for number, row in zip(numbers, rows, strict=True):
        done = row.pop("_done", None)
        row = {"id": number, **row}
        about = {"at": row["created_at"], "by": row["created_by"], "entity": TASK, "record_id": number}
        context.insert("tasks_task", [row], **about)
        context.insert("tasks_reminder", [{"task_id": number, "minutes_before": None}], **about, joined=True)
        lines = words.CHECKLISTS.get(row["title"], ())
        if lines:
            checklist = [
                {"task_id": number, "title": line, "position": place, "done": done is not None}
                for place, line in enumerate(lines)
            ]
            context.insert("tasks_checklist_item", checklist, **about, joined=True)
        if done is not None:
            closed = {
                "state": DONE, "completed_at": done["at"], "completed_by": row["owner_id"], "progress": 100,
                "result": done["result"],
            }  # fmt: skip
            row = {**row, **closed}
            closed["sort_at"] = prepare_task(row)["sort_at"]
            context.update(
                "tasks_task", [{"id": number, **closed}], at=done["at"], by=row["owner_id"], entity=TASK,
                record_id=number,
            )  # fmt: skip
        indexed.append(row)
    context.index(TASKS, indexed)


def _sets(context: DemoContext) -> None:
    at, by = context.at(300, 11), context.people.get("head")
    for place, (name, entity, lines) in enumerate(words.SETS):
        (number,) = context.numbers("tasks_template_set", 1)
        known = entity if entity in context.plugins.entities else ""
        context.insert(
            "tasks_template_set", [{"id": number, "name": name, "entity": known, "position": place}], at=at, by=by
        )
        rows = [
            {
                "set_id": number, "title": title, "kind": kind, "due_days": days, "due_time": time,
                "assignee": assignee, "position": position,
            }
            for position, (title, kind, days, time, assignee, _role) in enumerate(lines)
        ]  # fmt: skip
        context.insert("tasks_template", rows, at=at, by=by, joined=True)


def _gate(context: DemoContext) -> Gate:
    return Gate(context.session, Subject.system("the demo company is made"), context.plugins)


def _remind(context: DemoContext) -> None:
    gate = _gate(context)
    ids = gate.session.scalars(
        gate.select(TASK, Task.id).where(Task.completed_at.is_(None), Task.due_at > context.now)
    )
    reminders.refresh(gate, list(ids))


def _repeat(context: DemoContext) -> None:
    """Let the sales meeting come every Monday, and the report on the last day of each month."""
    head = context.people.get("head")
    if head is None:
        return
    gate = _gate(context)
    operations.begin(context.session, gate.subject, kind="create", source="cli")
    monday = context.today + dt.timedelta(days=(0 - context.today.weekday()) % 7)
    zone = clock.zone(TIME_ZONE)
    for title, kind, day, hour, rule in (
        ("Планёрка отдела продаж", "meeting", monday, 9, Rule(freq=WEEKLY)),
        ("Отчёт директору за месяц", "todo", context.today, 16, Rule(freq=MONTHLY, month_day=-1)),
    ):
        due = dt.datetime.combine(day, dt.time(hour), tzinfo=zone).astimezone(dt.UTC)
        made = tasks.create(
            gate, title=title, kind=kind, due_at=due, zone=TIME_ZONE, owner_id=head, created_by=head, duration_min=60
        )
        series.begin(gate, made, rule)
