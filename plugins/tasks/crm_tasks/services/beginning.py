"""What follows from the making of a task, whatever way it came: by a form, a file, a rule, a fact."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from crm_core.db import UNGATED
from crm_core.models import User
from crm_core.records import saving
from crm_core.records.gate import Gate
from crm_tasks.entities import TASKS
from crm_tasks.models import Task
from crm_tasks.services import handing, reminders
from crm_tasks.services.company import ways_of

_WHY = {UNGATED: "what stands beside a task follows it, whoever made it"}


def follow(gate: Gate, ids: Sequence[int]) -> None:
    """Give tasks that have just been made, whatever way, their zone and reminder, and tell whoever is to do them."""
    session = gate.session
    tasks = list(session.scalars(sa.select(Task).where(Task.id.in_(list(ids))), execution_options=_WHY))
    _give_zones(gate, [task for task in tasks if not task.zone])
    reminders.begin(gate, tasks)
    reminders.refresh(gate, ids)
    handing.tell_given(gate, ids, gate.subject.user_id)


def _give_zones(gate: Gate, tasks: Sequence[Task]) -> None:
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
