"""Blocks of cards: tasks of any record; what stands beside a task. Two statements each at most, and the names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from pyramid.request import Request

from crm_core.db import RecordRef
from crm_core.records.gate import user_names
from crm_core.specs import Panel
from crm_core.views.shapes import Action, PersonView
from crm_tasks.entities import TASK, TASKS
from crm_tasks.i18n import _
from crm_tasks.models import Delegation, Observer, Series, Task
from crm_tasks.permissions import VIEW
from crm_tasks.services import acting, checklist, dependencies, reminders, series, tasks
from crm_tasks.views.making import reminder_choices
from crm_tasks.views.meetings import panel as guests
from crm_tasks.views.reading import LineReader
from crm_tasks.views.repeating import in_words

_T = "crm_tasks:templates/"


def of_record(request: Request, record: Any) -> Mapping[str, Any] | None:
    """Return what is still to be done for a record."""
    entity = request.gate.plugins.entity_of(type(record))
    if entity.name == TASK:
        return None
    ref = RecordRef(entity.name, record.id)
    found = tasks.open_of(request.gate, ref)
    return {
        "html": lines_html(request, found),
        "count": len(found),
        "empty": _("Nothing is to be done."),
        "sets": Action(
            title=_("Add a set of tasks"), href=f"/tasks/apply?subject={ref}", icon="list-check", open="dialog"
        )
        if request.subject.may("tasks:create")
        else None,
    }


def lines_html(request: Request, found: Sequence[Task]) -> str:
    """Return tasks as lines with their assignees, or nothing."""
    reader = LineReader(request)
    return reader.html(reader.lines(found, subjects=False), owners=True, subjects=False, acting=False) if found else ""


def _rights(request: Request, task: Task) -> Any:
    return acting.rights(request.gate, [task.id])[task.id]


def lines(request: Request, task: Task) -> Mapping[str, Any]:
    """Return the checklist of a task and how far it is."""
    rights = _rights(request, task)
    found = checklist.lines(request.gate, task)
    done = sum(1 for one in found if one.done)
    return {
        "task": task,
        "items": found,
        "may_tick": rights.complete,
        "may_write": rights.complete or rights.edit,
        "progress": task.progress,
        "by_hand": task.progress_by_hand,
        "href": f"{TASKS.url}/{task.id}",
        "done": f"{done}/{len(found)}" if found else "",
        "count": len(found) or None,
    }


def parts(request: Request, task: Task) -> Mapping[str, Any]:
    """Return the subtasks of a task, and what it is part of."""
    found = request.db.scalars(
        request.gate.select(TASK).where(Task.parent_id == task.id).order_by(Task.sort_at, Task.id).limit(50)
    ).all()
    return {
        "html": lines_html(request, found),
        "count": len(found) or None,
        "empty": _("No subtasks."),
        "sets": None,
    }


def needs(request: Request, task: Task) -> Mapping[str, Any]:
    """Return what a task waits for and what waits for it."""
    needed, waiting = dependencies.links(request.gate, task)
    return {
        "needed": needed,
        "waiting": waiting,
        "href": f"{TASKS.url}/{task.id}",
        "url": TASKS.url,
        "may_write": _rights(request, task).edit,
        "count": len(needed) + len(waiting) or None,
    }


def people(request: Request, task: Task) -> Mapping[str, Any]:
    """Return who watches a task and its way from hand to hand."""
    watching = list(request.db.scalars(sa.select(Observer.user_id).where(Observer.task_id == task.id).limit(50)))
    way = request.db.scalars(
        sa.select(Delegation).where(Delegation.task_id == task.id).order_by(Delegation.id).limit(50)
    ).all()
    ids = {*watching, *(one for step in way for one in (step.from_id, step.to_id, step.by_id))}
    names = user_names(request.db, ids)
    formats = request.formats
    return {
        "observers": [PersonView.of(names[number], number) for number in watching if number in names],
        "way": [
            {
                "from": names.get(step.from_id or 0, "—"),
                "to": names.get(step.to_id or 0, "—"),
                "note": step.note or "",
                "when": formats.relative(step.at),
                "exact": formats.datetime(step.at),
            }
            for step in way
        ],
        "count": len(watching) or None,
    }


def _post(title: str, href: str, icon: str) -> Action:
    return Action(title=title, href=href, icon=icon, method="post", part=True)


def when(request: Request, task: Task) -> Mapping[str, Any]:
    """Return when one is reminded of a task, and how it comes again."""
    say = request.translate
    rows = reminders.of(request.gate, task)
    titles = {choice.value: choice.title for choice in reminder_choices(request)}
    said = [
        say(_("as usual")) if row.minutes_before is None
        else titles.get(str(row.minutes_before))
        or request.plural("${n} minute before", "${n} minutes before", row.minutes_before, domain="crm_tasks")
        for row in rows
    ]  # fmt: skip
    found = request.db.get(Series, task.series_id) if task.series_id else None
    rights = _rights(request, task)
    href = f"{TASKS.url}/{task.id}"
    actions = []
    if rights.edit:
        actions.append(
            Action(
                title=_("Change how it repeats") if found is not None else _("Repeat…"), href=f"{href}/repeat",
                icon="repeat", open="dialog",
            )
        )  # fmt: skip
        if found is not None and found.active:
            actions.append(_post(_("Repeat no more"), f"{href}/repeat/stop", "player-stop"))
        if found is not None:
            actions.append(_post(_("Leave this one out"), f"{href}/repeat/skip", "trash"))
    return {
        "reminders": said,
        "dated": task.due_at is not None,
        "edit": Action(title=_("Reminders"), href=f"{href}/reminders", icon="bell", open="dialog")
        if rights.complete
        else None,
        "rule": in_words(request, series.rule_of(found)) if found is not None else "",
        "stopped": found is not None and not found.active and not found.after_completion,
        "actions": actions,
    }


PANELS: tuple[Panel, ...] = (
    Panel(
        id="tasks.of", title=_("Tasks"), entity="*", load=of_record, template=_T + "of.pt", permission=VIEW, order=5,
        create_href="/tasks/new?subject={entity}:{id}",
    ),
    Panel(
        id="tasks.checklist", title=_("Checklist and progress"), entity=TASK, load=lines, template=_T + "checklist.pt",
        permission=VIEW, order=10,
    ),
    Panel(
        id="tasks.parts", title=_("Subtasks"), entity=TASK, load=parts, template=_T + "of.pt", permission=VIEW,
        order=20, create_href="/tasks/new?parent={id}",
    ),
    Panel(
        id="tasks.when", title=_("Reminders and repetition"), entity=TASK, load=when, template=_T + "when.pt",
        permission=VIEW, order=30,
    ),
    Panel(
        id="tasks.needs", title=_("Must be done first"), entity=TASK, load=needs, template=_T + "needs.pt",
        permission=VIEW, order=40, create_href="/tasks/{id}/needs",
    ),
    Panel(
        id="tasks.guests", title=_("Guests of the meeting"), entity=TASK, load=guests, template=_T + "guests.pt",
        permission=VIEW, order=15, create_href="/tasks/{id}/guests",
    ),
    Panel(
        id="tasks.people", title=_("Observers and the way of the task"), entity=TASK, load=people,
        template=_T + "people.pt", permission=VIEW, order=50, create_href="/tasks/{id}/observers",
    ),
)  # fmt: skip
