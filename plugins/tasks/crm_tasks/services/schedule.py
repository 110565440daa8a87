"""The schedule: what stands in whose calendar, moved by a drag, and when people are free.

A task stands where it is due and lasts as long as it says; one that says when it begins stands from then to its due.
Tasks come through the gate; of what the subject may not see he learns that somebody is busy, and nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from crm_core import clock
from crm_core.company import WorkingCalendar
from crm_core.db import UNGATED
from crm_core.forms import InvalidValues
from crm_core.models import Preference, User
from crm_core.models.accounts import ACTIVE
from crm_core.people import may_name
from crm_core.records import saving
from crm_core.records.gate import Gate
from crm_tasks import events as facts
from crm_tasks.entities import TASK, TASKS, end_of_day
from crm_tasks.i18n import _
from crm_tasks.models import DayOff, Guest, Series, Task
from crm_tasks.models.schedule import DECLINED
from crm_tasks.schemas import CALL, CANCELLED, MEETING
from crm_tasks.services import recurrence, series
from crm_tasks.services.acting import holds
from crm_tasks.services.days_off import away
from crm_tasks.services.writing import about, tell

MONTH, WEEK, DAY, AGENDA, LOAD = "month", "week", "day", "agenda", "load"
VIEWS = (MONTH, WEEK, DAY, AGENDA, LOAD)

PREFERENCE = "tasks.schedule"

#: Things in one answer; a month of ten busy people has fewer.
MOST = 1500
MOST_PEOPLE = 12
MOST_DAYS = 100
MOST_SERIES = 200

ONE_DAY = dt.timedelta(days=1)
QUARTER = dt.timedelta(minutes=15)

#: Minutes that a thing takes where nobody said.
USUAL: Mapping[str, int] = {MEETING: 60}
USUAL_OTHER = 30

_WHY = {UNGATED: "that a colleague is busy, without what with, is known to all who may know his name"}


@dataclass(frozen=True)
class Span:
    """From when to when something stands in a calendar; of whole days, `last` is included."""

    start: dt.datetime
    end: dt.datetime
    all_day: bool = False
    first: dt.date | None = None
    last: dt.date | None = None


def usual_minutes(kind: str) -> int:
    """Return how long such a thing takes where nobody said."""
    return USUAL.get(kind, USUAL_OTHER)


def span(task: Any) -> Span:
    """Return where a task with a due stands in a calendar."""
    zone = clock.zone(task.zone or "UTC")
    start, due = task.start_at, task.due_at
    begun = start is not None and start < due
    if task.all_day:
        last = task.due_day or due.astimezone(zone).date()
        first = min(start.astimezone(zone).date(), last) if begun else last
        return Span(clock.start_of_day(first, zone), clock.start_of_day(last + ONE_DAY, zone), True, first, last)
    if begun:
        return Span(start, due)
    minutes = task.duration_min or usual_minutes(task.kind)
    return Span(due, due + min(dt.timedelta(minutes=minutes), ONE_DAY))


def occupies(task: Any) -> bool:
    """Tell whether a task keeps a person from meeting others: it has an hour, and an end in sight."""
    if task.all_day or task.state == CANCELLED:
        return False
    if not (task.kind in (MEETING, CALL) or task.duration_min or task.start_at is not None):
        return False
    where = span(task)
    return where.end - where.start <= ONE_DAY


# -- reading -----------------------------------------------------------------------------------------------------------

_COLUMNS = (
    Task.id, Task.title, Task.kind, Task.state, Task.priority, Task.owner_id, Task.start_at, Task.due_at,
    Task.all_day, Task.due_day, Task.zone, Task.duration_min, Task.series_id, Task.occurrence, Task.version, Task.place,
    Task.updated_at, Task.created_at,
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One task in a calendar."""

    task: Any
    """Its row: id, title, kind, state, priority, owner_id, version, series_id, place."""
    span: Span
    editable: bool = False
    people: tuple[int, ...] = ()
    """Which of those asked for it belongs to: the assignee and guests."""


@dataclass(frozen=True)
class Busy:
    """Somebody is busy; with what, is not told."""

    user_id: int
    start: dt.datetime
    end: dt.datetime


@dataclass(frozen=True)
class Ahead:
    """A time at which a task will come again, before it is made."""

    series_id: int
    title: str
    kind: str
    owner_id: int
    occurrence: str
    span: Span
    zone: str


@dataclass(frozen=True)
class Calendar:
    """What stands in the calendars of some people."""

    entries: Sequence[Entry] = ()
    busy: Sequence[Busy] = ()
    ahead: Sequence[Ahead] = ()
    off: Sequence[DayOff] = ()
    cut: bool = False
    """Whether there was more than may be told at once."""


def people_of(gate: Gate, wanted: Iterable[int]) -> list[int]:
    """Return those of some people into whose calendars the subject may look, himself first."""
    me = gate.subject.user_id
    others = list(dict.fromkeys(one for one in wanted if one != me))[:MOST_PEOPLE]
    mine = [me] if me is not None else []
    if not others or not may_name(gate.subject):
        return mine
    active = set(gate.session.scalars(sa.select(User.id).where(User.id.in_(others), User.status == ACTIVE)))
    return [*mine, *(one for one in others if one in active)]


def _standing(start: dt.datetime, end: dt.datetime) -> Any:
    # A day more on either side: whole days are those of another zone, and what began before may last.
    return sa.and_(Task.due_at >= start - ONE_DAY, sa.func.coalesce(Task.start_at, Task.due_at) < end + ONE_DAY)


def _asked_to(gate: Gate, people: Sequence[int]) -> dict[int, list[int]]:
    """Return meetings to which some of the people were asked and did not decline."""
    rows = gate.session.execute(
        sa.select(Guest.task_id, Guest.user_id)
        .where(Guest.user_id.in_(people), Guest.answer != DECLINED)
        .order_by(Guest.task_id.desc())
        .limit(MOST)
    )
    found: dict[int, list[int]] = {}
    for row in rows:
        found.setdefault(row.task_id, []).append(row.user_id)
    return found


def _within(where: Span, start: dt.datetime, end: dt.datetime) -> bool:
    margin = ONE_DAY if where.all_day else dt.timedelta()
    return where.start < end + margin and where.end > start - margin


def calendar(
    gate: Gate,
    people: Sequence[int],
    start: dt.datetime,
    end: dt.datetime,
    *,
    days: int = MOST_DAYS,
    most: int = MOST,
) -> Calendar:
    """Return what stands in the calendars of people between two instants, in five statements at most."""
    end = min(end, start + dt.timedelta(days=days))
    asked = _asked_to(gate, people)
    mine = sa.or_(Task.owner_id.in_(people), Task.id.in_(sorted(asked))) if asked else Task.owner_id.in_(people)
    rows = gate.session.execute(
        gate.select(TASK, *_COLUMNS, sa.type_coerce(holds(gate, "edit"), sa.Boolean()).label("editable"))
        .where(mine, _standing(start, end))
        .order_by(Task.due_at, Task.id)
        .limit(most + 1)
    ).all()
    entries = []
    for row in rows[:most]:
        where = span(row)
        if _within(where, start, end):
            with_whom = [one for one in people if one == row.owner_id or one in asked.get(row.id, ())]
            entries.append(Entry(row, where, bool(row.editable), tuple(with_whom)))
    others = [one for one in people if one != gate.subject.user_id]
    return Calendar(
        entries=entries,
        busy=_busy_unseen(gate, others, {row.id for row in rows}, asked, start, end) if others else (),
        ahead=_ahead(gate, people, start, end),
        off=away(gate, people, start.date(), end.date()),
        cut=len(rows) > most,
    )


def _busy_unseen(
    gate: Gate,
    people: Sequence[int],
    seen: set[int],
    asked: Mapping[int, Sequence[int]],
    start: dt.datetime,
    end: dt.datetime,
) -> list[Busy]:
    return [
        Busy(user_id, start, end)
        for user_id, spans in _busy(gate, people, asked, start, end, without=seen).items()
        for start, end in spans
    ]


def _busy(
    gate: Gate,
    people: Sequence[int],
    asked: Mapping[int, Sequence[int]],
    start: dt.datetime,
    end: dt.datetime,
    *,
    without: Iterable[int] = (),
) -> dict[int, list[tuple[dt.datetime, dt.datetime]]]:
    """Return when people are busy, what touches made one, so that nobody counts what they do."""
    columns = (
        Task.id, Task.owner_id, Task.kind, Task.state, Task.start_at, Task.due_at, Task.all_day, Task.due_day,
        Task.zone, Task.duration_min,
    )  # fmt: skip
    theirs = {number: set(whom) & set(people) for number, whom in asked.items()}
    meetings = sorted(number for number, whom in theirs.items() if whom)
    mine = sa.or_(Task.owner_id.in_(people), Task.id.in_(meetings)) if meetings else Task.owner_id.in_(people)
    rows = gate.session.execute(
        sa.select(*columns)
        .where(mine, _standing(start, end), Task.deleted_at.is_(None), Task.state != CANCELLED)
        .order_by(Task.due_at)
        .limit(MOST * 2),
        execution_options=_WHY,
    )
    seen = set(without)
    found: dict[int, list[tuple[dt.datetime, dt.datetime]]] = {one: [] for one in people}
    for row in rows:
        if row.id in seen or not occupies(row):
            continue
        where = span(row)
        if not _within(where, start, end):
            continue
        for one in {row.owner_id, *theirs.get(row.id, ())} & set(people):
            found[one].append((where.start, where.end))
    return {one: _merged(spans) for one, spans in found.items()}


def _merged(spans: Iterable[tuple[dt.datetime, dt.datetime]]) -> list[tuple[dt.datetime, dt.datetime]]:
    found: list[tuple[dt.datetime, dt.datetime]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _ahead(gate: Gate, people: Sequence[int], start: dt.datetime, end: dt.datetime) -> list[Ahead]:
    """Return when tasks come again that are not made yet, of series of which the subject sees a task."""
    if end <= clock.now():
        return []
    owner = sa.cast(Series.template["owner_id"].astext, sa.BigInteger())
    rows = gate.session.scalars(
        sa.select(Series)
        .where(
            Series.active,
            ~Series.after_completion,
            owner.in_(people),
            Series.id.in_(gate.select(TASK, Task.series_id).where(Task.series_id.is_not(None))),
        )
        .order_by(Series.id)
        .limit(MOST_SERIES)
    ).all()
    found = []
    for one in rows:
        zone = clock.zone(one.zone)
        first = start.astimezone(zone).replace(tzinfo=None) - ONE_DAY
        if one.made_until:
            first = max(first, recurrence.from_key(one.made_until) + dt.timedelta(minutes=1))
        last = end.astimezone(zone).replace(tzinfo=None)
        starts = recurrence.from_key(one.starts)
        for local in recurrence.between(one.rrule, starts, first, last, one.exdates) if first < last else ():
            where = _of_series(one, local)
            if _within(where, start, end):
                values = one.template
                found.append(
                    Ahead(
                        one.id, str(values.get("title", "")), str(values.get("kind", "")), int(values["owner_id"]),
                        recurrence.key(local), where, one.zone,
                    )
                )  # fmt: skip
    return found[:MOST]


def _of_series(one: Series, local: dt.datetime) -> Span:
    zone = clock.zone(one.zone)
    if one.all_day:
        day = local.date()
        return Span(clock.start_of_day(day, zone), clock.start_of_day(day + ONE_DAY, zone), True, day, day)
    due = recurrence.instant(local, zone)
    lead = one.template.get("lead_s")
    if lead:
        return Span(due - dt.timedelta(seconds=lead), due)
    minutes = one.template.get("duration_min") or usual_minutes(str(one.template.get("kind", "")))
    return Span(due, due + min(dt.timedelta(minutes=minutes), ONE_DAY))


# -- moving ------------------------------------------------------------------------------------------------------------


def moved(task: Any, start: dt.datetime, end: dt.datetime | None, *, all_day: bool, zone: str) -> dict[str, Any]:
    """Return the values of a task that was put elsewhere in a calendar; `end` of whole days is the day after."""
    before = span(task)
    own = task.zone or zone
    if all_day:
        first = start.date()
        last = max(first, (end - ONE_DAY).date()) if end is not None else first
        begins = clock.start_of_day(first, own) if last > first else None
        return {"due_at": end_of_day(last, own), "all_day": True, "start_at": begins}
    if end is None or end <= start:
        kept = before.end - before.start if not task.all_day else dt.timedelta(minutes=usual_minutes(task.kind))
        end = start + kept
    period = not task.all_day and task.start_at is not None and task.start_at < task.due_at
    if period:
        return {"due_at": end, "all_day": False, "start_at": start}
    values: dict[str, Any] = {"due_at": start, "all_day": False}
    if task.start_at is not None:
        values["start_at"] = None
    if end - start != before.end - before.start or task.all_day:
        values["duration_min"] = max(5, round((end - start) / dt.timedelta(minutes=1)))
    return values


def move(
    gate: Gate,
    task: Task,
    start: dt.datetime,
    end: dt.datetime | None,
    *,
    all_day: bool = False,
    version: int | None = None,
    which: str = series.THIS,
) -> Task:
    """Put a task elsewhere: moved, stretched, made a thing of the whole day; of a series this one, those after or all.

    Raise `saving.NotAllowed`, `saving.Conflict` where somebody put it elsewhere meanwhile.
    """
    if task.due_at is None:
        raise InvalidValues({"due_at": _("The task has no due.")})
    if not dt.timedelta(days=-3700) < start - clock.now() < dt.timedelta(days=3700):
        raise InvalidValues({"due_at": _("This day is too far away.")})
    was = task.due_at
    values = moved(task, start, end, all_day=all_day, zone=gate.subject.zone)
    if which not in (series.THIS, series.FOLLOWING, series.ALL):
        raise InvalidValues({"which": _("Choose from the list.")})
    if task.series_id is None or which == series.THIS:
        about(gate, task)
        saving.change(gate, TASKS, task, values, version=version)
    else:
        if version is not None and version != task.version:
            raise saving.Conflict(task, {}, values, task.updated_by)
        task = series.change(gate, task, values, which)
    if task.due_at != was:
        tell(
            gate,
            facts.POSTPONED,
            {
                "id": task.id,
                "was": was.isoformat(),
                "due_at": task.due_at.isoformat() if task.due_at else None,
                "user_id": gate.subject.user_id,
            },
        )
    return task


# -- when everybody is free --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FreeDay:
    """One working day: its hours, when each is busy, and when all have time."""

    day: dt.date
    start: dt.datetime
    end: dt.datetime
    busy: Mapping[int, Sequence[tuple[dt.datetime, dt.datetime]]]
    away: frozenset[int]
    slots: Sequence[tuple[dt.datetime, dt.datetime]]


def free(
    gate: Gate,
    people: Sequence[int],
    first: dt.date,
    *,
    working: WorkingCalendar,
    zone: str,
    minutes: int = 60,
    days: int = 5,
) -> list[FreeDay]:
    """Return the next working days with the times at which all the people are free, in four statements."""
    wanted: list[dt.date] = []
    day = first
    while len(wanted) < days and day < first + dt.timedelta(days=60):
        if working.hours_of(day) is not None:
            wanted.append(day)
        day += ONE_DAY
    if not wanted:
        return []
    start, end = clock.start_of_day(wanted[0], zone), clock.start_of_day(wanted[-1] + ONE_DAY, zone)
    busy = _busy(gate, people, _asked_to(gate, people), start, end)
    for one in _ahead_of_all(gate, people, start, end):
        busy[one.owner_id] = _merged([*busy[one.owner_id], (one.span.start, one.span.end)])
    off = away(gate, people, wanted[0], wanted[-1])
    long = dt.timedelta(minutes=max(5, min(minutes, 24 * 60)))
    return [_free_day(one, working, zone, people, busy, off, long) for one in wanted]


def _ahead_of_all(gate: Gate, people: Sequence[int], start: dt.datetime, end: dt.datetime) -> list[Ahead]:
    return [one for one in _ahead(gate, people, start, end) if not one.span.all_day and one.owner_id in people]


def _free_day(
    day: dt.date,
    working: WorkingCalendar,
    zone: str,
    people: Sequence[int],
    busy: Mapping[int, Sequence[tuple[dt.datetime, dt.datetime]]],
    off: Sequence[DayOff],
    long: dt.timedelta,
) -> FreeDay:
    hours = working.hours_of(day) or (dt.time(9), dt.time(9))
    start, end = (dt.datetime.combine(day, hour, tzinfo=clock.zone(zone)).astimezone(dt.UTC) for hour in hours)
    gone = frozenset(one.user_id for one in off if one.starts <= day <= one.ends)
    here = {
        one: [(max(a, start), min(b, end)) for a, b in busy.get(one, ()) if a < end and b > start] for one in people
    }
    taken = _merged(pair for pairs in here.values() for pair in pairs)
    slots: list[tuple[dt.datetime, dt.datetime]] = []
    if not gone & set(people):
        at, now = start, clock.now()
        while at + long <= end:
            clash = next((b for a, b in taken if a < at + long and b > at), None)
            if clash is not None:
                at = max(at + QUARTER, _next_quarter(clash))
                continue
            if at >= now:
                slots.append((at, at + long))
            at += max(long, 2 * QUARTER) if at >= now else QUARTER
    return FreeDay(day, start, end, here, gone, slots)


def _next_quarter(at: dt.datetime) -> dt.datetime:
    over = (at - dt.datetime(2000, 1, 1, tzinfo=dt.UTC)) % QUARTER
    return at if not over else at + QUARTER - over


# -- how much everybody has --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoadDay:
    """What one person has on one day."""

    day: dt.date
    planned_min: int = 0
    working_min: int = 0
    count: int = 0
    away: bool = False


@dataclass(frozen=True)
class Load:
    """How much one person has."""

    user_id: int
    name: str
    days: Sequence[LoadDay]
    overdue: int = 0


def may_see_load(gate: Gate) -> bool:
    """Tell whether the subject may look at how much others have: heads of departments and those who see all tasks."""
    scopes = gate.subject.scopes(f"{TASKS.permission_prefix}:view")
    return "all" in scopes or ("team" in scopes and bool(gate.subject.team_ids))


def load(
    gate: Gate,
    first: dt.date,
    *,
    working: WorkingCalendar,
    zone: str,
    team_id: int | None = None,
    days: int = 7,
    most: int = 100,
) -> list[Load]:
    """Return the hours planned and worked of the people of the subject's departments by day, in four statements."""
    if not may_see_load(gate):
        raise saving.NotAllowed(_("Only heads of departments see how much others have."))
    every = "all" in gate.subject.scopes(f"{TASKS.permission_prefix}:view")
    who = sa.select(User.id, User.name).where(User.status == ACTIVE)
    if not every:
        who = who.where(User.team_id.in_(sorted(gate.subject.team_ids)))
    if team_id is not None:
        who = who.where(User.team_id == team_id)
    people = gate.session.execute(who.order_by(sa.func.lower(User.name), User.id).limit(most)).all()
    ids = [row.id for row in people]
    span_days = [first + dt.timedelta(days=n) for n in range(days)]
    start, end = clock.start_of_day(first, zone), clock.start_of_day(span_days[-1] + ONE_DAY, zone)
    local = sa.cast(sa.func.timezone(zone, Task.due_at), sa.Date())
    day = sa.case((Task.all_day, Task.due_day), else_=local)
    worked = sa.func.extract("epoch", Task.due_at - Task.start_at) / 60
    minutes = sa.func.coalesce(
        Task.duration_min,
        sa.case(
            (sa.and_(~Task.all_day, Task.start_at < Task.due_at, worked <= 24 * 60), worked),
            (Task.kind == MEETING, USUAL[MEETING]),
            else_=USUAL_OTHER,
        ),
    )
    planned = gate.session.execute(
        gate.select(TASK, Task.owner_id, day.label("day"), sa.func.sum(minutes).label("minutes"), sa.func.count())
        .where(
            Task.owner_id.in_(ids), Task.due_at >= start - ONE_DAY, Task.due_at < end + ONE_DAY,
            Task.state != CANCELLED,
        )
        .group_by(Task.owner_id, sa.literal_column("2"))
    ).all()  # fmt: skip
    late = gate.session.execute(
        gate.select(TASK, Task.owner_id, sa.func.count())
        .where(Task.owner_id.in_(ids), Task.completed_at.is_(None), Task.due_at < clock.now())
        .group_by(Task.owner_id)
    ).all()
    overdue = {row[0]: row[1] for row in late}
    has = {(row.owner_id, row.day): (round(row.minutes or 0), row[3]) for row in planned}
    gone = {
        (one.user_id, one.starts + dt.timedelta(days=n))
        for one in away(gate, ids, first, span_days[-1])
        for n in range((one.ends - one.starts).days + 1)
    }
    return [
        Load(
            user_id=row.id,
            name=row.name,
            overdue=overdue.get(row.id, 0),
            days=[
                LoadDay(
                    day=one,
                    planned_min=has.get((row.id, one), (0, 0))[0],
                    count=has.get((row.id, one), (0, 0))[1],
                    working_min=0 if (row.id, one) in gone else working.minutes_of(one),
                    away=(row.id, one) in gone,
                )
                for one in span_days
            ],
        )
        for row in people
    ]


# -- what one looked at last -------------------------------------------------------------------------------------------


def remembered(gate: Gate) -> dict[str, Any]:
    """Return the view and the people that the subject looked at last."""
    value = gate.session.scalar(
        sa.select(Preference.value).where(Preference.user_id == gate.subject.user_id, Preference.key == PREFERENCE)
    )
    return dict(value) if isinstance(value, dict) else {}


def remember(gate: Gate, **values: Any) -> None:
    """Keep the view, or the people, for the next time."""
    before = remembered(gate)
    after = {**before, **values}
    if after == before:
        return
    statement = pg.insert(Preference).values(user_id=gate.subject.user_id, key=PREFERENCE, value=after)
    gate.session.execute(statement.on_conflict_do_update(index_elements=["user_id", "key"], set_={"value": after}))
