"""Facts that this plugin tells besides those of every entity, and those of others that it hears."""

from __future__ import annotations

from crm_core.specs import EventType
from crm_tasks.i18n import _

COMPLETED = "tasks.task.completed"
"""A task was done; `result` is what came of it."""

REOPENED = "tasks.task.reopened"
"""A task that was done was taken up again."""

POSTPONED = "tasks.task.postponed"
"""The due of a task moved."""

REASSIGNED = "tasks.task.reassigned"
"""A task went from one person to another."""

OVERDUE = "tasks.task.overdue"
"""A task was not done by its due: told once for each due."""

REMINDER = "tasks.task.reminder"
"""The time to be reminded of a task has come."""

GIVEN = "tasks.task.given"
"""A task was given to somebody: told to him alone."""

ESCALATED = "tasks.task.escalated"
"""A task is overdue for so long that the head of the department is told."""

ANSWERED = "tasks.invitation.answered"
"""A guest answered to an invitation: told to whoever asked him."""

MISSED_CALL = "calls.call.missed"
"""Heard, never told: somebody called and nobody answered."""

_GROUP = _("Tasks")

EVENT_TYPES: tuple[EventType, ...] = (
    EventType(
        name=COMPLETED,
        title=_("A task was done"),
        payload=("id", "kind", "subject_entity", "subject_id", "user_id", "result", "late"),
        group=_GROUP,
        icon="checkbox",
    ),
    EventType(name=REOPENED, title=_("A task was taken up again"), payload=("id", "subject_entity", "subject_id")),
    EventType(name=POSTPONED, title=_("A task was postponed"), payload=("id", "was", "due_at", "user_id")),
    EventType(name=REASSIGNED, title=_("A task was given to somebody"), payload=("id", "from_id", "to_id", "user_id")),
    EventType(
        name=OVERDUE,
        title=_("A task is overdue"),
        payload=("id", "due_at", "owner_id", "subject_entity", "subject_id"),
        notify=("bell",),
        group=_GROUP,
        icon="alarm",
    ),
    EventType(name=REMINDER, title=_("Reminders of tasks"), notify=("bell",), group=_GROUP, icon="alarm"),
    EventType(name=GIVEN, title=_("A task was given to me"), notify=("bell",), group=_GROUP, icon="checkbox"),
    EventType(
        name=ESCALATED,
        title=_("A task of my department is overdue for days"),
        payload=("id", "due_at", "owner_id", "head_id"),
        notify=("bell",),
        group=_GROUP,
        icon="alert-triangle",
    ),
    EventType(
        name=ANSWERED, title=_("A guest answered to an invitation"), notify=("bell",), group=_GROUP, icon="calendar"
    ),
)
