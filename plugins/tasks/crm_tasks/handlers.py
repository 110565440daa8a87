"""What follows from facts: reminders and the trace of tasks, tasks for missed calls, sets of tasks."""

from __future__ import annotations

from crm_core.events import EventContext
from crm_core.records import operations
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject
from crm_core.specs import Event
from crm_tasks import events as facts
from crm_tasks.entities import TASK
from crm_tasks.services import beginning, handing, invitations, missed, reminders, templates


def react(event: Event, context: EventContext) -> None:
    """Do what follows from a fact, if anything."""
    gate = Gate(context.session, context.subject, context.plugins)
    if event.name == facts.MISSED_CALL:
        maker = Gate(context.session, Subject.system("a missed call becomes a task"), context.plugins)
        missed.call_back(maker, event.payload)
        operations.describe(context.session, context.subject)
    elif event.name == f"{TASK}.created":
        beginning.follow(gate, event.payload["ids"])
    elif event.name in (f"{TASK}.changed", f"{TASK}.assigned"):
        handing.follow(gate, event.payload["ids"])
        reminders.refresh(gate, event.payload["ids"])
        invitations.follow(gate, event.payload["ids"])
    elif event.name in (f"{TASK}.trashed", f"{TASK}.restored"):
        reminders.refresh(gate, event.payload["ids"])
        invitations.follow(gate, event.payload["ids"])
    elif not event.name.startswith("tasks."):
        templates.react(gate, event)
