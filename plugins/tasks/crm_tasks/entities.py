"""What the core makes lists, cards, forms, search, import and export of: tasks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from crm_core import clock
from crm_core.specs import Composer, Entity, Filter, ListTab, NamedScope, Part, RecordAction, TimelineEntry
from crm_tasks.i18n import _
from crm_tasks.models import Observer, Task
from crm_tasks.permissions import AUTHOR, OBSERVER
from crm_tasks.schemas import (
    CALL,
    CLOSED_STATES,
    DONE,
    ICONS,
    LETTER,
    MEETING,
    NORMAL,
    OPEN,
    TODO,
    ChecklistSchema,
    DayOffSchema,
    DelegationSchema,
    DependencySchema,
    GuestSchema,
    ObserverSchema,
    ReminderSchema,
    SeriesSchema,
    TaskSchema,
    TemplateSchema,
    TemplateSetSchema,
)

TASK = "tasks.task"

#: Where tasks without a due stand in the order, and behind them those that are done.
NO_DUE = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)
CLOSED = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)


def end_of_day(day: dt.date, zone: str) -> dt.datetime:
    """Return the last second of a day in a zone: the due of what may be done at any time of it."""
    return clock.start_of_day(day + dt.timedelta(days=1), zone) - dt.timedelta(seconds=1)


def prepare_task(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the day of the due, the due of what may be done all day, and the place in the order."""
    state = row.get("state") or OPEN
    zone = row.get("zone") or "UTC"
    due: dt.datetime | None = row.get("due_at")
    all_day = bool(row.get("all_day")) and due is not None
    day = due.astimezone(clock.zone(zone)).date() if due is not None else None
    if all_day and day is not None:
        due = end_of_day(day, zone)
    return {
        "kind": row.get("kind") or TODO,
        "priority": row.get("priority") or NORMAL,
        "all_day": all_day,
        "due_at": due,
        "due_day": day,
        "sort_at": CLOSED if state in CLOSED_STATES else due or NO_DUE,
    }


# -- who sees it -------------------------------------------------------------------------------------------------------


def _authored(model: Any, subject: Any) -> Any:
    return model.created_by == subject.user_id


def _observed(model: Any, subject: Any) -> Any:
    return model.id.in_(sa.select(Observer.task_id).where(Observer.user_id == subject.user_id))


SCOPES: tuple[NamedScope, ...] = (
    NamedScope(name=AUTHOR, title=_("Those one gave out"), sentence=_("gave out the task"), criterion=_authored),
    NamedScope(name=OBSERVER, title=_("Those one watches"), sentence=_("watches the task"), criterion=_observed),
)


# -- filters -----------------------------------------------------------------------------------------------------------


def _is_open(model: Any, wanted: bool, _context: Any) -> Any:
    return model.completed_at.is_(None) if wanted else model.completed_at.is_not(None)


def _overdue(model: Any, wanted: bool, context: Any) -> Any:
    late = sa.and_(model.completed_at.is_(None), model.due_at < context.now)
    return late if wanted else sa.not_(sa.func.coalesce(late, sa.false()))


def _today(model: Any, wanted: bool, context: Any) -> Any:
    start = clock.start_of_day(context.today, context.subject.zone)
    end = clock.start_of_day(context.today + dt.timedelta(days=1), context.subject.zone)
    inside = sa.and_(model.completed_at.is_(None), model.due_at >= start, model.due_at < end)
    return inside if wanted else sa.not_(sa.func.coalesce(inside, sa.false()))


def _handed_out(model: Any, wanted: bool, context: Any) -> Any:
    mine = context.subject.user_id
    out = sa.and_(model.created_by == mine, model.owner_id.is_distinct_from(mine))
    return out if wanted else sa.not_(sa.func.coalesce(out, sa.false()))


def _of_team(model: Any, wanted: bool, context: Any) -> Any:
    inside = model.team_id.in_(sorted(context.subject.team_ids))
    return inside if wanted else sa.not_(sa.func.coalesce(inside, sa.false()))


def _about_record(model: Any, wanted: bool, _context: Any) -> Any:
    return model.subject_id.is_not(None) if wanted else model.subject_id.is_(None)


FILTERS: tuple[Filter, ...] = (
    Filter(name="open", title=_("Still to be done"), kind="bool", criterion=_is_open, sentence=_("Still to be done")),
    Filter(name="today", title=_("Due today"), kind="bool", criterion=_today, sentence=_("Due today")),
    Filter(name="overdue", title=_("Overdue"), kind="bool", criterion=_overdue, sentence=_("Overdue")),
    Filter(
        name="handed_out", title=_("Handed out by me"), kind="bool", criterion=_handed_out,
        sentence=_("Handed out by me"),
    ),
    Filter(name="team", title=_("Of my department"), kind="bool", criterion=_of_team, sentence=_("Of my department")),
    Filter(
        name="about", title=_("About a record"), kind="bool", criterion=_about_record, sentence=_("About a record")
    ),
)  # fmt: skip


# -- what others ask ---------------------------------------------------------------------------------------------------


def next_step(entity: str, number: Any) -> Any:
    """Return a select of `id` and `at` of the earliest task still to be done for a record, correlated to its id."""
    task = Task.__table__.alias("next_task")
    return (
        sa.select(task.c.id, task.c.due_at.label("at"))
        .where(
            task.c.subject_entity == entity,
            task.c.subject_id == number,
            task.c.deleted_at.is_(None),
            task.c.completed_at.is_(None),
        )
        .order_by(task.c.sort_at, task.c.id)
        .limit(1)
    )


#: Whole phrases: a text within a text would stay as it is in every language.
_DONE_TITLES: Mapping[str, str] = {
    TODO: _("Task done"),
    CALL: _("Task done: a call"),
    MEETING: _("Task done: a meeting"),
    LETTER: _("Task done: a letter"),
}


def task_entry(row: Any) -> TimelineEntry:
    """Return how a finished task stands in the timeline of its record."""
    facts: tuple[tuple[str, Any, str], ...] = ((_("Result"), row.result, "text"),) if row.result else ()
    return TimelineEntry(
        kind=row.kind,
        icon=ICONS.get(row.kind, "checkbox"),
        title=_DONE_TITLES.get(row.kind, _("Task done")) if row.state == DONE else _("Task cancelled"),
        text=row.title,
        tone="success" if row.state == DONE else "muted",
        facts=facts,
    )


def _composer(kind: str, title: str, key: str = "") -> Composer:
    href = f"/tasks/new/{kind}?subject={{subject}}"
    return Composer(id=f"task-{kind}", title=title, icon=ICONS[kind], key=key, href=href)


def _actions(gate: Any, ids: Sequence[int]) -> Mapping[int, Sequence[RecordAction]]:
    from crm_tasks.services.acting import actions  # services are written with this entity

    return actions(gate, ids)


def _may_give(gate: Any, user_id: int) -> bool:
    from crm_tasks.services.writing import may_give

    return may_give(gate, user_id)


def _heads(subject: Any) -> bool:
    return bool(subject.headed) or "all" in subject.scopes("tasks:view")


TABS: tuple[ListTab, ...] = (
    ListTab(id="today", title=_("Today"), query="f=owner_id:any:me&f=today:is:1"),
    ListTab(id="overdue", title=_("Overdue"), query="f=owner_id:any:me&f=overdue:is:1"),
    ListTab(id="mine", title=_("Mine"), query="f=owner_id:any:me&f=open:is:1"),
    ListTab(id="handed_out", title=_("Handed out"), query="f=handed_out:is:1&f=open:is:1"),
    ListTab(id="team", title=_("Of the department"), query="f=team:is:1&f=open:is:1", shown=_heads),
)

TASKS = Entity(
    name=TASK,
    title=_("Task"),
    title_plural=_("Tasks"),
    model=Task,
    schema=TaskSchema,
    permission_prefix="tasks",
    url="/tasks",
    icon="checkbox",
    add_title=_("Add a task"),
    about=_("What is to be done, by whom and by when: calls, meetings, letters, everything else."),
    label="title",
    sort="sort_at",
    hint=("kind", "due_at"),
    head=("due_at", "priority", "progress"),
    columns=("due_at", "owner_id", "priority", "kind", "state"),
    scopes=SCOPES,
    filters=FILTERS,
    parts=(
        Part(name="tasks.checklist_item", title=_("Checklist"), schema=ChecklistSchema),
        Part(name="tasks.observer", title=_("Observer"), schema=ObserverSchema),
        Part(name="tasks.dependency", title=_("Dependency"), schema=DependencySchema),
        Part(name="tasks.reminder", title=_("Reminder"), schema=ReminderSchema),
        Part(name="tasks.guest", title=_("Guest"), schema=GuestSchema),
        Part(name="tasks.day_off", title=_("Days off"), schema=DayOffSchema),
        Part(name="tasks.series", title=_("Repetition"), schema=SeriesSchema),
        Part(name="tasks.template_set", title=_("Set of tasks"), schema=TemplateSetSchema),
        Part(name="tasks.template", title=_("Task of the set"), schema=TemplateSchema),
        Part(name="tasks.delegation", title=_("Delegation"), schema=DelegationSchema),
    ),
    prepare=prepare_task,
    hangs="subject",
    moment="completed_at",
    entry=task_entry,
    composer=(
        _composer(TODO, _("Task"), "t"),
        _composer(CALL, _("Plan a call")),
        _composer(MEETING, _("Plan a meeting")),
        _composer(LETTER, _("Plan a letter")),
    ),
    next_step=next_step,
    actions=_actions,
    tabs=TABS,
    owners=_may_give,
    tells_owner=False,
    own_pages=("new",),
)

ENTITIES: tuple[Entity, ...] = (TASKS,)

__all__ = ["CALL", "ENTITIES", "LETTER", "MEETING", "TASK", "TASKS", "next_step", "prepare_task", "task_entry"]
