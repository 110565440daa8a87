"""What is done with a task by a click or a key: finish, begin, postpone, give away."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pyramid.request import Request
from pyramid.view import view_config

from crm_core import clock
from crm_core.forms import InvalidValues
from crm_core.views.shapes import Action, Choice, FieldView, FormPage, Section
from crm_tasks.entities import TASKS
from crm_tasks.i18n import _
from crm_tasks.models import Task
from crm_tasks.permissions import ASSIGN, COMPLETE, EDIT
from crm_tasks.schemas import STATES
from crm_tasks.services import phrases, tasks
from crm_tasks.services.company import ways_of
from crm_tasks.services.writing import zone_of
from crm_tasks.views.answers import FORM, REFUSALS, at_once, done, here, refused, task_of
from crm_tasks.views.reading import LineReader

# -- finishing ---------------------------------------------------------------------------------------------------------


@view_config(route_name="tasks.complete", request_method="GET", renderer=FORM, permission=COMPLETE)
def completing(request: Request) -> dict[str, Any]:
    """Ask what came of a task and what is done next."""
    return _completing(request, task_of(request))


@view_config(route_name="tasks.complete", request_method="POST", renderer=FORM, permission=COMPLETE)
def complete(request: Request) -> Any:
    """Finish a task; where nothing is left to be done with its record, ask what comes next."""
    task = task_of(request)
    asked = "result" in request.POST
    where = here(request, task)
    try:
        following = str(request.POST.get("next", "")).strip()
        then = next_values(request, following) if following else None
        outcome = tasks.complete(request.gate, task, str(request.POST.get("result", "")), then=then)
    except REFUSALS as error:
        if asked:
            request.response.status_int = 422
            return _completing(request, task, refused(error))
        return done(request, where, refused(error), tone="danger")
    events: dict[str, Any] = {}
    if outcome.needs_next and request.subject.may("tasks:create"):
        events = {"crm:next": {"href": f"/tasks/new/todo?subject={task.subject}&after={task.id}"}}
    said = _("Done: ${title}", mapping={"title": task.title})
    if outcome.following is not None:
        due, _exact = LineReader(request).due(outcome.following)
        said = _("Done: ${title}. The next one: ${due}", mapping={"title": task.title, "due": due})
    return done(request, where, said, **events)


def next_values(request: Request, line: str) -> dict[str, Any]:
    """Return the values of a task typed in one line."""
    zone = request.formats.tz
    said = phrases.read(line, clock.now().astimezone(zone).replace(tzinfo=None))
    if not said.title:
        raise InvalidValues({"next": _("Write what is to be done.")})
    values: dict[str, Any] = {"title": said.title[:300], "kind": said.kind, "priority": said.priority}
    if said.day is not None and said.time is not None:
        values["due_at"] = dt.datetime.combine(said.day, said.time, tzinfo=zone).astimezone(dt.UTC)
    elif said.day is not None:
        values |= {"due_at": dt.datetime.combine(said.day, dt.time(12), tzinfo=zone), "all_day": True}
    return values


def _completing(request: Request, task: Task, error: Any = None) -> dict[str, Any]:
    say = request.translate
    posted = request.POST if request.method == "POST" else {}
    fields = [
        FieldView(
            name="result", title=say(_("What came of it")), kind="longtext", rows=3, wide=True, autofocus=True,
            value=str(posted.get("result", task.result or "")), error=say(error) if error else "",
        ),
    ]  # fmt: skip
    if task.subject is not None and request.subject.may("tasks:create"):
        fields.append(
            FieldView(
                name="next", title=say(_("What next?")), value=str(posted.get("next", "")), maxlength=300, wide=True,
                placeholder=say(_("tomorrow 15:00 call back")),
                help=say(_("Becomes a task about the same record. Leave it empty if nothing is left to be done.")),
            )
        )  # fmt: skip
    page = FormPage(
        id="complete",
        title=task.title,
        action=f"{TASKS.url}/{task.id}/complete",
        submit=_("Mark as done"),
        sections=[Section(fields=fields)],
        cancel_href=f"{TASKS.url}/{task.id}",
    )
    return {"title": task.title, "page": page}


@view_config(route_name="tasks.reopen", request_method="POST", permission=COMPLETE)
def reopen(request: Request) -> Any:
    """Take up a task again."""
    task = task_of(request)
    return at_once(request, task, lambda: tasks.reopen(request.gate, task), _("The task is taken up again."))


@view_config(route_name="tasks.start", request_method="POST", permission=COMPLETE)
def start(request: Request) -> Any:
    """Begin a task."""
    task = task_of(request)
    return at_once(request, task, lambda: tasks.start(request.gate, task), _("The task is in progress."))


@view_config(route_name="tasks.wait", request_method="POST", permission=COMPLETE)
def wait(request: Request) -> Any:
    """Put a task aside until somebody else has done something."""
    task = task_of(request)
    return at_once(request, task, lambda: tasks.wait(request.gate, task), _("The task waits."))


@view_config(route_name="tasks.cancel", request_method="POST", permission=EDIT)
def cancel(request: Request) -> Any:
    """Say that a task need not be done."""
    task = task_of(request)
    return at_once(request, task, lambda: tasks.cancel(request.gate, task), _("The task is cancelled."))


@view_config(route_name="tasks.state", request_method="POST", permission=COMPLETE)
def change_state(request: Request) -> Any:
    """Bring a task into the state of the column it was moved to."""
    task = task_of(request)
    state = str(request.POST.get("state", ""))
    titles = dict(STATES)

    def move() -> None:
        if state not in titles:
            raise InvalidValues({"state": _("There is no such state.")})
        tasks.set_state(request.gate, task, state)

    title = request.translate(titles.get(state, ""))
    return at_once(request, task, move, _("${title}: ${state}", mapping={"title": task.title, "state": title}))


@view_config(route_name="tasks.progress", request_method="POST", permission=COMPLETE)
def set_progress(request: Request) -> Any:
    """Say how far a task is; nothing leaves it to checklist and subtasks."""
    task = task_of(request)
    typed = str(request.POST.get("progress", "")).strip().rstrip("%").strip()

    def write() -> None:
        if typed and not (typed.isdecimal() and len(typed) <= 3):
            raise InvalidValues({"progress": _("Write a number from 0 to 100.")})
        tasks.set_progress(request.gate, task, int(typed) if typed else None)

    return at_once(request, task, write, _("The progress is kept."))


# -- when --------------------------------------------------------------------------------------------------------------


@view_config(
    route_name="tasks.postpone", request_method="GET", renderer="crm_tasks:templates/postpone.pt", permission=EDIT
)
def postponing(request: Request) -> dict[str, Any]:
    """Offer where to postpone a task: tomorrow, the next working day, in a week, a day of one's own."""
    return _postponing(request, task_of(request))


@view_config(
    route_name="tasks.postpone", request_method="POST", renderer="crm_tasks:templates/postpone.pt", permission=EDIT
)
def postpone(request: Request) -> Any:
    """Move the due to a day or moment of one's own."""
    task = task_of(request)
    try:
        tasks.postpone(request.gate, task, read_moment(request, task))
    except REFUSALS as error:
        request.response.status_int = 422
        return _postponing(request, task, refused(error))
    return _postponed(request, task)


@view_config(route_name="tasks.postpone_to", request_method="POST", permission=EDIT)
def postpone_to(request: Request) -> Any:
    """Move the due by one click."""
    task = task_of(request)
    try:
        tasks.postpone(request.gate, task, request.matchdict["to"])
    except REFUSALS as error:
        return done(request, here(request, task), refused(error), tone="danger")
    return _postponed(request, task)


def _postponed(request: Request, task: Task) -> Any:
    due, _exact = LineReader(request).due(task)
    said = _("Postponed: ${title}, ${due}", mapping={"title": task.title, "due": due})
    return done(request, here(request, task), said)


def read_moment(request: Request, task: Task) -> dt.date | dt.datetime:
    """Read a posted day and hour; without an hour the one it had stays."""
    day, hour = str(request.POST.get("day", "")).strip(), str(request.POST.get("time", "")).strip()
    try:
        date = dt.date.fromisoformat(day)
        if not hour:
            return date
        zone = zone_of(request.gate, task)
        return dt.datetime.combine(date, dt.time.fromisoformat(hour), tzinfo=zone).astimezone(dt.UTC)
    except ValueError:
        raise InvalidValues({"day": _("Write a date and a time.")}) from None


def _postponing(request: Request, task: Task, error: Any = None) -> dict[str, Any]:
    say, reader = request.translate, LineReader(request)
    ways, zone = ways_of(request.gate), zone_of(request.gate, task)
    choices = []
    for place, (to, title) in enumerate(
        (
            (tasks.TOMORROW, _("Tomorrow")),
            (tasks.WORKING_DAY, _("Next working day")),
            (tasks.WEEK, _("In a week")),
        ),
        1,
    ):
        due, all_day = tasks.postponed(task, to, zone=zone, ways=ways)
        day = reader.day(due.astimezone(zone).date())
        hint = day if all_day else f"{day}, {request.formats.time(due)}"
        choices.append(
            Action(
                title=say(title), href=f"{TASKS.url}/{task.id}/postpone/{to}", method="post", part=True, hint=hint,
                key=str(place),
            )
        )  # fmt: skip
    local = (task.due_at or clock.now()).astimezone(zone)
    posted = request.POST if request.method == "POST" else {}
    page = FormPage(
        id="postpone",
        title=_("Postpone"),
        action=f"{TASKS.url}/{task.id}/postpone",
        submit=_("Postpone to this day"),
        sections=[
            Section(
                fields=[
                    FieldView(
                        name="day", title=say(_("Day")), kind="date", required=True, id="pp-day",
                        value=str(posted.get("day", local.date().isoformat())), error=say(error) if error else "",
                    ),
                    FieldView(
                        name="time", title=say(_("Time")), kind="time", id="pp-time",
                        value=str(posted.get("time", "" if task.all_day or not task.due_at else f"{local:%H:%M}")),
                    ),
                ]
            )
        ],
        cancel_href=f"{TASKS.url}/{task.id}",
    )  # fmt: skip
    return {"title": say(_("Postpone: ${title}", mapping={"title": task.title})), "page": page, "choices": choices}


# -- who ---------------------------------------------------------------------------------------------------------------


@view_config(route_name="tasks.reassign", request_method="GET", renderer=FORM, permission=ASSIGN)
def reassigning(request: Request) -> dict[str, Any]:
    """Ask to whom a task is given."""
    return _reassigning(request, task_of(request))


@view_config(route_name="tasks.reassign", request_method="POST", renderer=FORM, permission=ASSIGN)
def reassign(request: Request) -> Any:
    """Give a task to somebody else."""
    task = task_of(request)
    chosen = str(request.POST.get("user", ""))
    title, where = task.title, here(request, task)
    try:
        if not chosen.isdecimal() or len(chosen) > 18:
            raise InvalidValues({"user": _("Choose from the list.")})
        tasks.reassign(request.gate, task, int(chosen), str(request.POST.get("note", "")))
    except REFUSALS as error:
        request.response.status_int = 422
        return _reassigning(request, task, refused(error))
    return done(request, where, _("Given away: ${title}", mapping={"title": title}))


def _reassigning(request: Request, task: Task, error: Any = None) -> dict[str, Any]:
    say = request.translate
    posted = request.POST if request.method == "POST" else {}
    fields = [
        FieldView(
            name="user", title=say(_("To whom")), kind="user", required=True, options_href="/tasks/people",
            autofocus=True, error=say(error) if error else "", id="ra-user",
        ),
        FieldView(
            name="note", title=say(_("Why")), value=str(posted.get("note", "")), maxlength=500, wide=True,
            help=say(_("Stands in the way of the task from hand to hand.")),
        ),
    ]  # fmt: skip
    page = FormPage(
        id="reassign",
        title=_("Give to somebody"),
        action=f"{TASKS.url}/{task.id}/reassign",
        submit=_("Give the task"),
        sections=[Section(fields=fields)],
        cancel_href=f"{TASKS.url}/{task.id}",
    )
    return {"title": say(_("Give to somebody: ${title}", mapping={"title": task.title})), "page": page}


def choices(request: Request, pairs: Any) -> list[Choice]:
    """Return choices in the reader's language."""
    return [Choice(value=value, title=request.translate(title)) for value, title in pairs]


__all__ = ["choices", "next_values", "read_moment"]
