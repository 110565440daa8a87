"""How a task is written by those who may do it without being allowed to edit it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm.exc import StaleDataError

from crm_core import clock, events
from crm_core.models import User
from crm_core.records import index, operations, saving
from crm_core.records.gate import Gate
from crm_core.specs import Event
from crm_tasks.entities import TASKS
from crm_tasks.i18n import _
from crm_tasks.models import Task

REFUSED: Mapping[str, str] = {
    "edit": _("You may see this task but not change it."),
    "complete": _("This task is not yours to do."),
    "assign": _("This task is not yours to give away."),
    "delete": _("You may see this task but not delete it."),
}


def require(gate: Gate, task: Task, verb: str) -> None:
    """Refuse where the verb does not reach the task."""
    if not gate.allows(verb, task, TASKS):
        raise saving.NotAllowed(REFUSED[verb])


def about(gate: Gate, task: Task, kind: str = "edit") -> None:
    """Say that what is written next is about this task."""
    operations.describe(gate.session, gate.subject, kind=kind, entity=TASKS.name, record_id=task.id)


def write(gate: Gate, task: Task, values: Mapping[str, Any], *, verb: str, version: int | None = None) -> bool:
    """Change a task by values of its columns; tell whether anything changed.

    Raise `saving.NotAllowed` where the verb does not reach it, `saving.Conflict` where somebody was there first.
    """
    require(gate, task, verb)
    if version is not None and version != task.version:
        raise saving.Conflict(task, {}, values, task.updated_by)
    about(gate, task)
    return write_unasked(gate, task, values)


def write_unasked(gate: Gate, task: Task, values: Mapping[str, Any]) -> bool:
    """Change a task by what follows from something else that was allowed."""
    session = gate.session
    for name, value in values.items():
        if getattr(task, name) != value:
            setattr(task, name, value)
    saving.derive(TASKS, task)
    if not session.is_modified(task):
        return False
    try:
        session.flush()
    except StaleDataError:
        raise saving.Conflict(task, {}, values, None) from None
    index.refresh(session, TASKS, [index.row_of(task)])
    saving.tell(gate, TASKS, "changed", [task.id])
    return True


def tell(gate: Gate, name: str, payload: Mapping[str, Any]) -> None:
    """Tell a fact of this plugin."""
    events.fire(gate.session, Event(name, payload), plugins=gate.plugins, subject=gate.subject)


def zone_of(gate: Gate, task: Task) -> Any:
    """Return the zone in which the task was meant."""
    return clock.zone(task.zone or gate.subject.zone)


def may_give(gate: Gate, user_id: int) -> bool:
    """Tell whether the subject may make somebody do something: himself, those of his departments, or anybody."""
    scopes = gate.subject.scopes("tasks:create")
    if "all" in scopes:
        return True
    if user_id == gate.subject.user_id:
        return bool(scopes)
    if "team" not in scopes or not gate.subject.team_ids:
        return False
    team = gate.session.scalar(sa.select(User.team_id).where(User.id == user_id))
    return team in gate.subject.team_ids


def require_give(gate: Gate, user_id: int | None) -> None:
    """Refuse to give a task to somebody whom the subject may not give any."""
    if user_id is not None and not may_give(gate, user_id):
        raise saving.NotAllowed(_("You may not give tasks to this person."))
