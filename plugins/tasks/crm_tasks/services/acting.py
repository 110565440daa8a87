"""What may be done with tasks at once, from a row of a list or from the head of the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from crm_core.records.gate import NEVER, Gate
from crm_core.specs import RecordAction
from crm_tasks.entities import TASKS
from crm_tasks.i18n import _
from crm_tasks.models import Task
from crm_tasks.schemas import CLOSED_STATES, IN_PROGRESS

DONE = RecordAction(
    id="done", title=_("Mark as done"), icon="check", href="/tasks/{id}/complete", key="d", look="primary"
)
WITH_RESULT = RecordAction(
    id="result", title=_("Mark as done, with a result"), icon="checks", href="/tasks/{id}/complete", method="get",
    key="w", in_row=False, in_menu=True,
)  # fmt: skip
START = RecordAction(
    id="start", title=_("Begin"), icon="player-play", href="/tasks/{id}/start", in_row=False, in_menu=True
)
REOPEN = RecordAction(id="reopen", title=_("Take up again"), icon="arrow-back-up", href="/tasks/{id}/reopen")
TOMORROW = RecordAction(
    id="tomorrow", title=_("To tomorrow"), icon="arrow-right", href="/tasks/{id}/postpone/tomorrow", key="t",
    in_menu=True,
)
POSTPONE = RecordAction(
    id="postpone", title=_("Postpone"), icon="clock-pause", href="/tasks/{id}/postpone", method="get", key="p"
)
REASSIGN = RecordAction(
    id="reassign", title=_("Give to somebody"), icon="user-check", href="/tasks/{id}/reassign", method="get", key="r",
    in_menu=True,
)

VERBS = ("complete", "edit", "assign")


def holds(gate: Gate, verb: str) -> Any:
    """Return the SQL that tells whether a verb reaches a task."""
    branches = gate.branches(TASKS, verb)
    return sa.or_(*(branch.criterion for branch in branches)) if branches else NEVER


def rights(gate: Gate, ids: Sequence[int]) -> dict[int, Any]:
    """Return the state of tasks and which verbs reach them, in one statement: `complete`, `edit`, `assign`."""
    if not ids:
        return {}
    columns = [sa.type_coerce(holds(gate, verb), sa.Boolean()).label(verb) for verb in VERBS]
    rows = gate.session.execute(
        sa.select(Task.id, Task.state, *columns).where(Task.id.in_(list(ids)), gate.criterion(TASKS))
    )
    return {row.id: row for row in rows}


def actions(gate: Gate, ids: Sequence[int]) -> Mapping[int, Sequence[RecordAction]]:
    """Return what may be done at once with tasks."""
    return {number: of(row) for number, row in rights(gate, ids).items()}


def of(row: Any) -> tuple[RecordAction, ...]:
    """Return what may be done with one task, from its row of `rights`."""
    if row.state in CLOSED_STATES:
        return (REOPEN,) if row.complete else ()
    found: list[RecordAction] = []
    if row.complete:
        found += [DONE, WITH_RESULT]
        if row.state != IN_PROGRESS:
            found.append(START)
    if row.edit:
        found += [TOMORROW, POSTPONE]
    if row.assign:
        found.append(REASSIGN)
    return tuple(found)
