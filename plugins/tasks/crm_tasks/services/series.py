"""Series of tasks: begun from a task, made ahead by a job and when one is done, changed in part or whole.

Each occurrence is one task, known in its series by the local date and time the rule gave; the database keeps it single.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from crm_core import clock, notify
from crm_core.db import UNGATED
from crm_core.models.accounts import ACTIVE, User
from crm_core.records import index, saving
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject
from crm_tasks.entities import TASKS, end_of_day
from crm_tasks.i18n import _
from crm_tasks.models import ChecklistItem, Observer, Reminder, Series, Task
from crm_tasks.services import recurrence
from crm_tasks.services.company import ways_of
from crm_tasks.services.recurrence import Rule, from_key, key
from crm_tasks.services.reminders import prefix
from crm_tasks.services.writing import about, require, write_unasked, zone_of

THIS, FOLLOWING, ALL = "this", "following", "all"

#: What every occurrence takes over from the series.
_TAKEN = (
    "title", "kind", "priority", "duration_min", "place", "text", "owner_id", "subject_entity", "subject_id", "tags",
)  # fmt: skip
_WHY = {UNGATED: "occurrences of a series are one thing: whoever may change one may change those after it"}

#: Occurrences that one run makes of one series.
MOST_AT_ONCE = 400


def begin(gate: Gate, task: Task, rule: Rule) -> Series:
    """Make a task the first of a series; its due becomes the first moment of the rule."""
    require(gate, task, "edit")
    rule = recurrence.check(rule)
    zone = zone_of(gate, task)
    wished = _wall(task, zone)
    rule = recurrence.natural(rule, wished)
    first = recurrence.first_at(rule, wished)
    session = gate.session
    about(gate, task)
    series = Series(
        rrule=rule.text(),
        starts=key(first),
        zone=str(zone),
        all_day=task.all_day or task.due_at is None,
        after_completion=rule.after_completion,
        template=_template_of(gate, task),
        made_until=key(first),
        owner_id=task.created_by or task.owner_id,
    )
    session.add(series)
    session.flush()
    values = {"series_id": series.id, "occurrence": key(first), **_due(series, first)}
    write_unasked(gate, task, values)
    fill(gate, series)
    return series


def _wall(task: Task, zone: Any) -> dt.datetime:
    """Return when a task is due by the wall clock; one without a due begins today."""
    if task.due_at is None:
        return dt.datetime.combine(clock.today(zone), dt.time())
    local = task.due_at.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
    return dt.datetime.combine(local.date(), dt.time()) if task.all_day else local


def _due(series: Series, local: dt.datetime) -> dict[str, Any]:
    if series.all_day:
        return {"due_at": end_of_day(local.date(), series.zone), "all_day": True, "zone": series.zone}
    return {
        "due_at": recurrence.instant(local, clock.zone(series.zone)), "all_day": False, "zone": series.zone,
    }  # fmt: skip


def _template_of(gate: Gate, task: Task) -> dict[str, Any]:
    session = gate.session
    values: dict[str, Any] = {name: getattr(task, name) for name in _TAKEN}
    lines = session.scalars(
        sa.select(ChecklistItem.title)
        .where(ChecklistItem.task_id == task.id)
        .order_by(ChecklistItem.position, ChecklistItem.id)
    )
    values["checklist"] = list(lines)
    values["observers"] = list(session.scalars(sa.select(Observer.user_id).where(Observer.task_id == task.id)))
    rows = session.execute(
        sa.select(Reminder.minutes_before, Reminder.user_id).where(Reminder.task_id == task.id).order_by(Reminder.id)
    )
    values["reminders"] = [[row.minutes_before, row.user_id] for row in rows]
    start, due = task.start_at, task.due_at
    values["lead_s"] = round((due - start).total_seconds()) if start is not None and due is not None else None
    return values


def rule_of(series: Series) -> Rule:
    """Return the rule of a series as a person chooses it."""
    return recurrence.read(series.rrule, after_completion=series.after_completion)


# -- making ------------------------------------------------------------------------------------------------------------


def fill(gate: Gate, series: Series, *, until: dt.date | None = None) -> list[Task]:
    """Make the occurrences of a series up to the horizon (or a day), each that is not there yet."""
    if series.after_completion or not series.active:
        return []
    session = gate.session
    # Two who make the same ones wait for each other here; the unique key would stop the second anyway.
    session.refresh(series, with_for_update=True)
    horizon = until or clock.today(series.zone) + dt.timedelta(days=ways_of(gate).horizon_days)
    last = dt.datetime.combine(horizon, dt.time(23, 59))
    starts, done = from_key(series.starts), series.made_until
    wanted: list[dt.datetime] = []
    for local in recurrence.occurrences(series.rrule, starts, series.exdates):
        if local > last or len(wanted) >= MOST_AT_ONCE:
            break
        if key(local) > done:
            wanted.append(local)
    else:
        series.active = False
    made = _make_all(gate, series, wanted)
    if made:
        series.made_until = made[-1].occurrence or done
    session.flush()
    return made


def next_of(gate: Gate, series: Series) -> Task | None:
    """Make the next occurrence of a series however far it is, so that something always stands ahead."""
    if not series.active or series.after_completion:
        return None
    starts = from_key(series.starts)
    for local in recurrence.occurrences(series.rrule, starts, series.exdates):
        if key(local) > series.made_until:
            made = _make(gate, series, local)
            series.made_until = key(local)
            gate.session.flush()
            return made
    series.active = False
    gate.session.flush()
    return None


def _make(gate: Gate, series: Series, local: dt.datetime) -> Task:
    return _make_all(gate, series, [local])[0]


def _make_all(gate: Gate, series: Series, moments: Sequence[dt.datetime]) -> list[Task]:
    """Make occurrences set-wise on behalf of the author; the right to it was asked when the series was begun."""
    if not moments:
        return []
    session = gate.session
    template = dict(series.template)
    lines, observers = template.pop("checklist", []), template.pop("observers", [])
    reminders, lead = template.pop("reminders", None), template.pop("lead_s", None)
    owner = _still_here(gate, template.pop("owner_id", None), series.owner_id)
    common = {
        **template, "owner_id": owner, "team_id": saving.team_of(session, owner), "created_by": series.owner_id,
        "series_id": series.id,
    }  # fmt: skip
    made = []
    for local in moments:
        task = Task(**common, **_due(series, local), occurrence=key(local))
        if lead is not None and task.due_at is not None:
            task.start_at = task.due_at - dt.timedelta(seconds=lead)
        saving.derive(TASKS, task)
        made.append(task)
    session.add_all(made)
    session.flush()
    for task in made:
        session.add_all(ChecklistItem(task_id=task.id, title=line, position=n) for n, line in enumerate(lines))
        session.add_all(Observer(task_id=task.id, user_id=one) for one in observers)
        session.add_all(Reminder(task_id=task.id, minutes_before=one[0], user_id=one[1]) for one in reminders or ())
    session.flush()
    index.refresh(session, TASKS, [index.row_of(task) for task in made], fresh=True)
    maker = Gate(session, Subject.system("a series goes on"), gate.plugins)
    ids = [task.id for task in made]
    saving.tell(maker, TASKS, "created", ids)
    if reminders == []:
        # Whoever wants no reminder of these gets none of the company's either.
        session.execute(sa.delete(Reminder).where(Reminder.task_id.in_(ids)))
        for number in ids:
            notify.forget(session, prefix=prefix(number))
    return made


def _still_here(gate: Gate, *ids: int | None) -> int | None:
    for one in ids:
        if one is not None and gate.session.scalar(sa.select(User.status).where(User.id == one)) == ACTIVE:
            return one
    return next((one for one in ids if one is not None), None)


def go_on(gate: Gate, task: Task) -> Task | None:
    """Make what comes after a task that was done, where nothing of its series is ahead."""
    if task.series_id is None:
        return None
    series = gate.session.get(Series, task.series_id, with_for_update=True)
    if series is None or not series.active:
        return None
    if not series.after_completion:
        return None if _open_after(gate, series, task.occurrence or "") else next_of(gate, series)
    rule = rule_of(series)
    made = gate.session.scalar(
        sa.select(sa.func.count()).select_from(Task).where(Task.series_id == series.id), execution_options=_WHY
    )
    wall = from_key(series.starts).time()
    local = recurrence.after_done(rule, wall, clock.today(series.zone))
    over = rule.count is not None and (made or 0) >= rule.count
    if over or (rule.until is not None and local.date() > rule.until):
        series.active = False
        gate.session.flush()
        return None
    if _there(gate, series, key(local)):
        # Done, taken up again and done once more on the same day: the next one is there already.
        return None
    following = _make(gate, series, local)
    series.made_until = key(local)
    gate.session.flush()
    return following


def _there(gate: Gate, series: Series, occurrence: str) -> bool:
    statement = sa.select(Task.id).where(Task.series_id == series.id, Task.occurrence == occurrence)
    return gate.session.scalar(statement, execution_options=_WHY) is not None


def _open_after(gate: Gate, series: Series, occurrence: str, *, inclusive: bool = False) -> list[Task]:
    place = Task.occurrence >= occurrence if inclusive else Task.occurrence > occurrence
    statement = sa.select(Task).where(
        Task.series_id == series.id, place, Task.completed_at.is_(None), Task.deleted_at.is_(None)
    )
    return list(gate.session.scalars(statement.order_by(Task.occurrence), execution_options=_WHY))


# -- changing ----------------------------------------------------------------------------------------------------------


def change(
    gate: Gate, task: Task, values: Mapping[str, Any], which: str = THIS, *, rule: Rule | None = None
) -> Task:
    """Change an occurrence alone, it and those after it, or all that are still to be done.

    `values` are checked values of the task; a new due of "following" and "all" moves the hour (and the weekday,
    where the rule has one) of the others. A new rule makes another series from here, or from the first one not done.
    """
    if task.series_id is None or which == THIS:
        saving.change(gate, TASKS, task, values)
        return task
    require(gate, task, "edit")
    session = gate.session
    series = session.get(Series, task.series_id, with_for_update=True)
    if series is None:
        saving.change(gate, TASKS, task, values)
        return task
    first = task
    if which == ALL:
        ahead = _open_after(gate, series, "")
        first = ahead[0] if ahead else task
    moved = _moved(gate, task, values)
    if rule is None and moved is None:
        plain = {name: value for name, value in values.items() if name not in ("due_at", "all_day")}
        if which == ALL or first.occurrence == series.starts:
            _apply(gate, _open_after(gate, series, first.occurrence or "", inclusive=True), plain)
            if task.completed_at is not None:
                saving.change(gate, TASKS, task, plain)
            series.template = {**series.template, **{k: v for k, v in plain.items() if k in _TAKEN}}
            session.flush()
            return task
    return _split(gate, series, first, task, values, rule, moved)


def _moved(gate: Gate, task: Task, values: Mapping[str, Any]) -> dt.timedelta | None:
    due = values.get("due_at", task.due_at)
    if due is None or task.due_at is None:
        return None
    if due == task.due_at and values.get("all_day", task.all_day) == task.all_day:
        return None
    zone = zone_of(gate, task)
    was = task.due_at.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
    now = due.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
    return now - was


def _apply(gate: Gate, tasks: Sequence[Task], values: Mapping[str, Any]) -> None:
    values = dict(values)
    owner = values.pop("owner_id", None)
    for one in tasks:
        changed = dict(values)
        if owner is not None and owner != one.owner_id:
            changed |= {"owner_id": owner, "team_id": saving.team_of(gate.session, owner)}
        write_unasked(gate, one, changed)


def _split(
    gate: Gate,
    series: Series,
    first: Task,
    task: Task,
    values: Mapping[str, Any],
    rule: Rule | None,
    moved: dt.timedelta | None,
) -> Task:
    """End a series before `first` and begin another one with it; those after it are made anew."""
    session = gate.session
    about(gate, task)
    old = rule_of(series)
    later = [one for one in _open_after(gate, series, first.occurrence or "") if one.id != first.id]
    left = _count_left(series, first, old)
    _end_before(gate, series, first.occurrence or key(_wall(first, clock.zone(series.zone))))
    if later:
        _put_away(gate, later)
    changed = dict(values)
    # The first of the new series stands where its own place in the rule is, moved as this one was.
    place = from_key(first.occurrence) if first.occurrence else _wall(first, clock.zone(series.zone))
    place += moved or dt.timedelta()
    shown = {**_due(series, place), "all_day": bool(changed.get("all_day", series.all_day))}
    changed.pop("due_at", None)
    owner = changed.pop("owner_id", None)
    if owner is not None and owner != first.owner_id:
        changed |= {"owner_id": owner, "team_id": saving.team_of(session, owner)}
    write_unasked(gate, first, {**changed, **shown, "series_id": None, "occurrence": None})
    begin(gate, first, rule if rule is not None else _shifted(old, moved, left))
    return first


def _shifted(rule: Rule, moved: dt.timedelta | None, left: int | None) -> Rule:
    """Return the rule as it goes on after a move: the weekdays go along, and so does what is left of the number."""
    days = rule.days
    if moved is not None and days:
        shift = round(moved / dt.timedelta(days=1)) if abs(moved) >= dt.timedelta(hours=12) else 0
        names = recurrence.DAYS
        days = tuple(sorted((names[(names.index(day) + shift) % 7] for day in days), key=names.index))
    day_moved = moved is not None and abs(moved) >= dt.timedelta(hours=12)
    if day_moved and rule.freq in (recurrence.MONTHLY, recurrence.YEARLY):
        return replace(rule, month_day=None, nth=None, nth_day="", month=None, count=left)
    return replace(rule, days=days, count=left)


def _count_left(series: Series, first: Task, rule: Rule) -> int | None:
    if rule.count is None:
        return None
    before = 0
    for local in recurrence.occurrences(series.rrule, from_key(series.starts)):
        if key(local) >= (first.occurrence or ""):
            break
        before += 1
    return max(1, rule.count - before)


def _end_before(gate: Gate, series: Series, occurrence: str) -> None:
    end = from_key(occurrence)
    if occurrence <= series.starts:
        series.active = False
    else:
        # COUNT and UNTIL never stand together; what was made is kept, whatever the rule says now.
        last = end - dt.timedelta(minutes=1)
        series.rrule = replace(rule_of(series), count=None, until=last.date()).text()
        if last.date() == end.date():
            series.exdates = [*series.exdates, occurrence]
        series.active = False
    gate.session.flush()


def _put_away(gate: Gate, tasks: Sequence[Task]) -> None:
    maker = Gate(gate.session, Subject.system("a series was changed"), gate.plugins)
    saving.trash(maker, TASKS, [one.id for one in tasks])
    about(gate, tasks[0])


def skip(gate: Gate, task: Task) -> None:
    """Leave out one occurrence; it goes to the trash and does not come again."""
    require(gate, task, "delete")
    if task.series_id is not None and task.occurrence:
        series = gate.session.get(Series, task.series_id)
        if series is not None and task.occurrence not in series.exdates:
            about(gate, task)
            series.exdates = [*series.exdates, task.occurrence]
            gate.session.flush()
    saving.trash(gate, TASKS, [task.id])


def stop(gate: Gate, task: Task) -> None:
    """Let a series end with this occurrence: those after it go to the trash."""
    require(gate, task, "edit")
    if task.series_id is None:
        raise saving.NotAllowed(_("This task does not repeat."))
    series = gate.session.get(Series, task.series_id, with_for_update=True)
    if series is None:
        return
    about(gate, task)
    later = _open_after(gate, series, task.occurrence or "")
    series.active = False
    if task.occurrence and not series.after_completion:
        series.rrule = replace(rule_of(series), count=None, until=from_key(task.occurrence).date()).text()
    gate.session.flush()
    if later:
        _put_away(gate, later)


# -- the job -----------------------------------------------------------------------------------------------------------


def due_to_be_filled(gate: Gate, after_id: int = 0, limit: int = 100) -> list[int]:
    """Return series that may have something to be made up to the horizon, in order of id."""
    # A day more, for series in zones where it is tomorrow already.
    horizon = clock.today() + dt.timedelta(days=ways_of(gate).horizon_days + 1)
    statement = sa.select(Series.id).where(
        Series.active, ~Series.after_completion, Series.id > after_id, Series.made_until < horizon.isoformat()
    )
    return list(gate.session.scalars(statement.order_by(Series.id).limit(limit)))
