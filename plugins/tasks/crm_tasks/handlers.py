"""What follows from facts: reminders and the trace of tasks, tasks for missed calls, sets of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from crm_core.db import UNGATED
from crm_core.events import EventContext
from crm_core.models import User
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject
from crm_core.specs import Event
from crm_tasks import events as facts
from crm_tasks.entities import TASK, TASKS
from crm_tasks.models import Task
from crm_tasks.services import handing, invitations, missed, reminders, templates
from crm_tasks.services.company import ways_of

_WHY = {UNGATED: "what stands beside a task follows it, whoever made it"}


def react(event: Event, context: EventContext) -> None:
    """Do what follows from a fact, if anything."""
    gate = Gate(context.session, context.subject, context.plugins)
    if event.name == facts.MISSED_CALL:
        maker = Gate(context.session, Subject.system("a missed call becomes a task"), context.plugins)
        missed.call_back(maker, event.payload)
        operations.describe(context.session, context.subject)
    elif event.name == f"{TASK}.created":
        _created(gate, event.payload["ids"])
    elif event.name in (f"{TASK}.changed", f"{TASK}.assigned"):
        handing.follow(gate, event.payload["ids"])
        reminders.refresh(gate, event.payload["ids"])
        invitations.follow(gate, event.payload["ids"])
    elif event.name in (f"{TASK}.trashed", f"{TASK}.restored"):
        reminders.refresh(gate, event.payload["ids"])
        invitations.follow(gate, event.payload["ids"])
    elif not event.name.startswith("tasks."):
        templates.react(gate, event)


def _created(gate: Gate, ids: Sequence[int]) -> None:
    session = gate.session
    tasks = list(session.scalars(sa.select(Task).where(Task.id.in_(list(ids))), execution_options=_WHY))
    _give_zones(gate, [task for task in tasks if not task.zone])
    reminders.begin(gate, tasks)
    reminders.refresh(gate, ids)
    handing.tell_given(gate, ids, gate.subject.user_id)


def _give_zones(gate: Gate, tasks: Sequence[Any]) -> None:
    """Say in which zone tasks were meant that came by a form or a file."""
    if not tasks:
        return
    authors = {task.created_by for task in tasks if task.created_by is not None}
    rows = gate.session.execute(sa.select(User.id, User.time_zone).where(User.id.in_(authors)))
    zones = {row.id: row.time_zone for row in rows}
    company = ways_of(gate).zone
    for task in tasks:
        task.zone = zones.get(task.created_by) or company
        saving.derive(TASKS, task)
    gate.session.flush()
