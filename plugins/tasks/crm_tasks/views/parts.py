"""What stands beside a task on its card: checklist, dependencies, observers, reminders."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from pyramid.request import Request
from pyramid.view import view_config

from crm_core.forms import InvalidValues
from crm_core.records.gate import user_names
from crm_core.views.shapes import Choice, FieldView, FormPage, Section
from crm_tasks.entities import TASKS
from crm_tasks.i18n import _
from crm_tasks.models import Observer, Task
from crm_tasks.permissions import COMPLETE, EDIT, VIEW
from crm_tasks.services import checklist, dependencies, reminders, tasks
from crm_tasks.services.writing import require
from crm_tasks.views.answers import FORM, REFUSALS, at_once, done, refused, task_of
from crm_tasks.views.making import reminder_choices


def _number(text: Any) -> int:
    text = str(text)
    if not text.isdecimal() or len(text) > 18:
        raise InvalidValues({"": _("Choose from the list.")})
    return int(text)


# -- checklist ---------------------------------------------------------------------------------------------------------


@view_config(route_name="tasks.checklist", request_method="POST", permission=COMPLETE)
def add_lines(request: Request) -> Any:
    """Add lines to the checklist."""
    task = task_of(request)
    text = str(request.POST.get("title", ""))
    return at_once(request, task, lambda: checklist.add(request.gate, task, text), _("The checklist is kept."))


@view_config(route_name="tasks.checklist_tick", request_method="POST", permission=COMPLETE)
def tick(request: Request) -> Any:
    """Tick a line, or take the tick off."""
    task = task_of(request)
    number, done_ = int(request.matchdict["item"][:18]), request.POST.get("done") == "1"
    said = _("Ticked off.") if done_ else _("The tick is taken off.")
    return at_once(request, task, lambda: checklist.tick(request.gate, task, number, done_), said)


@view_config(route_name="tasks.checklist_remove", request_method="POST", permission=COMPLETE)
def remove_line(request: Request) -> Any:
    """Take a line off the checklist."""
    task = task_of(request)
    number = int(request.matchdict["item"][:18])
    return at_once(request, task, lambda: checklist.remove(request.gate, task, number), _("The line is taken off."))


# -- dependencies ------------------------------------------------------------------------------------------------------


@view_config(route_name="tasks.needs", request_method="GET", renderer=FORM, permission=EDIT)
def needing(request: Request) -> dict[str, Any]:
    """Ask which task must be done first."""
    return _needing(request, task_of(request))


@view_config(route_name="tasks.needs", request_method="POST", renderer=FORM, permission=EDIT)
def need(request: Request) -> Any:
    """Say which task must be done first."""
    task = task_of(request)
    try:
        dependencies.add(request.gate, task, _number(request.POST.get("needs", "")))
    except REFUSALS as error:
        request.response.status_int = 422
        return _needing(request, task, refused(error))
    return done(request, f"{TASKS.url}/{task.id}", _("The task waits for the other one."))


def _needing(request: Request, task: Task, error: Any = None) -> dict[str, Any]:
    say = request.translate
    field = FieldView(
        name="needs", title=say(_("What must be done first")), kind="record", required=True, autofocus=True,
        options_href=f"{TASKS.url}/options", error=say(error) if error else "", wide=True, id="n-needs",
    )  # fmt: skip
    page = FormPage(
        id="needs",
        title=_("What must be done first"),
        action=f"{TASKS.url}/{task.id}/needs",
        submit=_("Wait for this task"),
        sections=[Section(fields=[field])],
        cancel_href=f"{TASKS.url}/{task.id}",
    )
    return {"title": say(page.title), "page": page}


@view_config(route_name="tasks.needs_remove", request_method="POST", permission=EDIT)
def need_no_more(request: Request) -> Any:
    """Say that the task does not wait for another one any more."""
    task = task_of(request)
    number = int(request.matchdict["other"][:18])
    said = _("The task does not wait for it any more.")
    return at_once(request, task, lambda: dependencies.remove(request.gate, task, number), said)


# -- observers ---------------------------------------------------------------------------------------------------------


@view_config(route_name="tasks.observers", request_method="GET", renderer=FORM, permission=VIEW)
def observing(request: Request) -> dict[str, Any]:
    """Ask who watches a task."""
    return _observing(request, task_of(request))


@view_config(route_name="tasks.observers", request_method="POST", renderer=FORM, permission=VIEW)
def observe(request: Request) -> Any:
    """Set who watches a task."""
    task = task_of(request)
    try:
        wanted = [_number(value) for value in request.POST.getall("observers") if value]
        tasks.observe(request.gate, task, wanted)
    except REFUSALS as error:
        request.response.status_int = 422
        return _observing(request, task, refused(error))
    return done(request, f"{TASKS.url}/{task.id}", _("The observers are kept."))


def _observing(request: Request, task: Task, error: Any = None) -> dict[str, Any]:
    say = request.translate
    present = list(request.db.scalars(sa.select(Observer.user_id).where(Observer.task_id == task.id)))
    names = user_names(request.db, present)
    field = FieldView(
        name="observers", title=say(_("Observers")), kind="records", wide=True, options_href="/options/people",
        value=[str(number) for number in present], id="o-observers", error=say(error) if error else "",
        choices=[Choice(value=str(number), title=name) for number, name in names.items()],
        help=say(_("They see the task and are told of it; they do not do it.")),
    )  # fmt: skip
    page = FormPage(
        id="observers",
        title=_("Observers"),
        action=f"{TASKS.url}/{task.id}/observers",
        submit=_("Keep the observers"),
        sections=[Section(fields=[field])],
        cancel_href=f"{TASKS.url}/{task.id}",
    )
    return {"title": say(page.title), "page": page}


# -- reminders ---------------------------------------------------------------------------------------------------------


@view_config(route_name="tasks.reminders", request_method="GET", renderer=FORM, permission=COMPLETE)
def reminding(request: Request) -> dict[str, Any]:
    """Ask when one is reminded of a task."""
    return _reminding(request, task_of(request))


@view_config(route_name="tasks.reminders", request_method="POST", renderer=FORM, permission=COMPLETE)
def remind(request: Request) -> Any:
    """Set when one is reminded of a task."""
    task = task_of(request)
    try:
        require(request.gate, task, "complete")
        usual = ["usual"] if "usual" in request.POST.getall("remind") else []
        chosen = [_number(value) for value in request.POST.getall("remind") if value and value != "usual"]
        reminders.replace(request.gate, task, [*chosen, *(None for _one in usual)])
    except REFUSALS as error:
        request.response.status_int = 422
        return _reminding(request, task, refused(error))
    return done(request, f"{TASKS.url}/{task.id}", _("The reminders are kept."))


def _reminding(request: Request, task: Task, error: Any = None) -> dict[str, Any]:
    say = request.translate
    present = ["usual" if row.minutes_before is None else str(row.minutes_before)
               for row in reminders.of(request.gate, task) if row.user_id is None]  # fmt: skip
    options = [Choice(value="usual", title=say(_("As usual"))), *reminder_choices(request)[:-1]]
    field = FieldView(
        name="remind", title=say(_("Remind")), kind="choices", wide=True, choices=options, value=present,
        error=say(error) if error else "", id="r-remind",
        help=say(_("Nothing chosen: no reminder. For the whole day it is counted back from the morning.")),
    )  # fmt: skip
    page = FormPage(
        id="reminders",
        title=_("Reminders"),
        action=f"{TASKS.url}/{task.id}/reminders",
        submit=_("Keep the reminders"),
        sections=[Section(fields=[field])],
        cancel_href=f"{TASKS.url}/{task.id}",
    )
    return {"title": say(page.title), "page": page}
