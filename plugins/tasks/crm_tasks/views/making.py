"""Making tasks: the small form from any card, the line of my day, sets, and whom one may give tasks to."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import clock
from crm_core.db import RecordRef
from crm_core.forms import InvalidValues, unflatten
from crm_core.models.accounts import ACTIVE, User
from crm_core.records import saving
from crm_core.records.fields import schema_fields
from crm_core.records.gate import user_names
from crm_core.records.listing import like
from crm_core.views.shapes import Choice, FieldView, FormPage, Section
from crm_tasks.entities import TASK, TASKS
from crm_tasks.i18n import _
from crm_tasks.models import TemplateSet
from crm_tasks.permissions import CREATE
from crm_tasks.schemas import CALL, KINDS, LETTER, MEETING, NORMAL, PRIORITIES, TODO
from crm_tasks.services import tasks, templates
from crm_tasks.services.reminders import CHOICES
from crm_tasks.views.answers import FORM, REFUSALS, done, refused, undo_href
from crm_tasks.views.doing import choices, next_values
from crm_tasks.views.reading import LineReader

#: Asks the page for itself again.
RELOAD: dict[str, Any] = {"crm:reload": {}}

SUBMIT = {
    TODO: _("Add the task"),
    CALL: _("Plan the call"),
    MEETING: _("Plan the meeting"),
    LETTER: _("Plan the letter"),
}

MADE = {
    TODO: _("The task is added: ${title}"),
    CALL: _("The call is planned: ${title}"),
    MEETING: _("The meeting is planned: ${title}"),
    LETTER: _("The letter is planned: ${title}"),
}

#: What a task is called where nobody wrote it; what there is to do with a client is mostly to call.
TITLES = {CALL: _("Call"), MEETING: _("Meeting"), LETTER: _("Letter")}

NO_REMINDER, USUAL = "no", ""


def subject_of(request: Request, *, required: bool = False) -> tuple[RecordRef | None, str]:
    """Return the record that a task is about and where its card is; 404 where it may not be known of."""
    text = str(request.params.get("subject", ""))
    if not text and not required:
        return None, TASKS.url
    try:
        ref = RecordRef.parse(text)
        entity = request.gate.entity(ref.entity)
    except (ValueError, KeyError):
        raise HTTPNotFound from None
    if not request.gate.visible_ids(entity, [ref.id]):
        raise HTTPNotFound
    return ref, f"{entity.url}/{ref.id}"


def _kind(request: Request) -> str:
    kind = request.matchdict.get("kind") or str(request.POST.get("kind", "")) or TODO
    if kind not in dict(KINDS):
        raise HTTPNotFound
    return kind


@view_config(route_name="tasks.new", request_method="GET", renderer=FORM, permission=CREATE)
@view_config(route_name="tasks.new_kind", request_method="GET", renderer=FORM, permission=CREATE)
def making(request: Request) -> dict[str, Any]:
    """Show the small form by which a task is made."""
    return _making(request, _kind(request))


@view_config(route_name="tasks.new", request_method="POST", renderer=FORM, permission=CREATE)
@view_config(route_name="tasks.new_kind", request_method="POST", renderer=FORM, permission=CREATE)
def make(request: Request) -> Any:
    """Make a task."""
    kind = _kind(request)
    ref, where = subject_of(request)
    try:
        values, remind = _read(request, kind)
        parent = _parent(request)
        if parent:
            values["parent_id"], where = parent, f"{TASKS.url}/{parent}"
        task = tasks.create(request.gate, subject=ref, remind=remind, **values)
    except REFUSALS as error:
        request.response.status_int = 422
        return _making(request, kind, error)
    said = _said(request, task.kind, task.title)
    if request.headers.get("HX-Request") or ref is not None or values.get("parent_id"):
        return done(request, where, said, **RELOAD)
    request.toast(said, undo_href=undo_href(request))
    return HTTPSeeOther(f"{TASKS.url}/{task.id}")


def _said(request: Request, kind: str, title: str) -> str:
    return request.translate(MADE[kind], mapping={"title": title})


def _parent(request: Request) -> int | None:
    text = str(request.params.get("parent", ""))
    if not text.isdecimal() or len(text) > 18:
        return None
    if not request.gate.visible_ids(TASK, [int(text)]):
        raise HTTPNotFound
    return int(text)


def _read(request: Request, kind: str) -> tuple[dict[str, Any], list[int] | None]:
    posted = request.POST
    typed = {
        name: value
        for name, value in unflatten(posted.items(), schema_fields(TASKS.schema)).items()
        if name in ("title", "priority", "owner_id", "text", "place", "duration_min")
    }
    typed["kind"] = kind
    if not str(typed.get("title") or "").strip() and kind in TITLES:
        typed["title"] = request.translate(TITLES[kind])
    values = saving.check(request.gate, TASKS, typed, only=typed)
    values |= _due(request)
    remind = str(posted.get("remind", USUAL))
    if remind == NO_REMINDER:
        return values, []
    return values, [int(remind)] if remind.isdecimal() and len(remind) < 7 else None


def _due(request: Request) -> dict[str, Any]:
    day, hour = str(request.POST.get("day", "")).strip(), str(request.POST.get("time", "")).strip()
    if not day and not hour:
        return {}
    zone = request.formats.tz
    try:
        date = dt.date.fromisoformat(day) if day else clock.today(zone)
        if not hour:
            return {"due_at": dt.datetime.combine(date, dt.time(12), tzinfo=zone), "all_day": True}
        wall = dt.time.fromisoformat(hour)
    except ValueError:
        raise InvalidValues({"day": _("Write a date and a time.")}) from None
    return {"due_at": dt.datetime.combine(date, wall, tzinfo=zone).astimezone(dt.UTC), "all_day": False}


def _making(request: Request, kind: str, error: Exception | None = None) -> dict[str, Any]:
    say = request.translate
    ref, cancel = subject_of(request)
    posted = request.POST if request.method == "POST" else {}
    errors = error.errors if isinstance(error, InvalidValues) else {"title": refused(error)} if error else {}
    names = user_names(request.db, [request.subject.user_id])

    def field(name: str, title: Any, value: Any = "", **more: Any) -> FieldView:
        problem = errors.get(name, "")
        return FieldView(
            name=name, title=say(title), value=str(posted.get(name, value)), id=f"t-{name}",
            error=say(problem) if problem else "", **more,
        )  # fmt: skip

    tomorrow = clock.today(request.formats.tz) + dt.timedelta(days=1)
    owner = str(posted.get("owner_id", request.subject.user_id or ""))
    owner_names = user_names(request.db, [int(owner)]) if owner.isdecimal() and len(owner) < 19 else names
    fields = [
        field(
            "title", _("What is to be done"), maxlength=300, required=kind == TODO, wide=True, autofocus=True,
            placeholder=say(TITLES[kind]) if kind in TITLES else "",
        ),
        field("day", _("Day"), tomorrow.isoformat() if ref is not None else "", kind="date"),
        field("time", _("Time"), kind="time", help=say(_("Empty: any time of that day."))),
        field(
            "owner_id", _("Assignee"), request.subject.user_id or "", kind="user", options_href="/tasks/people",
            choices=[Choice(value=str(number), title=name) for number, name in owner_names.items()],
        ),
        field("priority", _("Priority"), NORMAL, kind="choice", choices=choices(request, PRIORITIES)),
        field(
            "remind", _("Reminder"), kind="choice", choices=reminder_choices(request), placeholder=say(_("As usual"))
        ),
    ]  # fmt: skip
    if kind == MEETING:
        fields.append(field("place", _("Place"), maxlength=300))
        fields.append(field("duration_min", _("Duration, minutes"), "60", kind="number", minimum="0"))
    fields.append(field("text", _("Details"), kind="longtext", rows=2, wide=True))
    hidden = [(name, str(request.params[name])) for name in ("subject", "parent") if request.params.get(name)]
    after = request.params.get("after")
    title = _("What next?") if after else dict(KINDS)[kind] if kind != TODO else TASKS.add_title
    page = FormPage(
        id=f"task-{kind}",
        title=say(title),
        action=f"{TASKS.url}/new/{kind}",
        submit=SUBMIT[kind],
        sections=[Section(fields=fields)],
        hidden=hidden,
        cancel_href=cancel,
        draft=f"{TASK}:{kind}:{ref or ''}",
        intro=say(_("Nothing is left to be done here. What comes next?")) if after else "",
    )
    return {"title": say(title), "page": page}


def reminder_choices(request: Request) -> list[Choice]:
    """Return when one may be reminded, in words."""
    say = request.translate
    titles = {
        0: _("at the due time"), 5: _("5 minutes before"), 15: _("15 minutes before"), 30: _("half an hour before"),
        60: _("an hour before"), 120: _("2 hours before"), 1440: _("a day before"), 2880: _("2 days before"),
        10080: _("a week before"),
    }  # fmt: skip
    return [
        *(Choice(value=str(minutes), title=say(titles[minutes])) for minutes in CHOICES),
        Choice(value=NO_REMINDER, title=say(_("not at all"))),
    ]


@view_config(route_name="tasks.quick", request_method="POST", permission=CREATE)
def quick(request: Request) -> Any:
    """Make a task of one line: "tomorrow 15:00 call Ivan"."""
    line = str(request.POST.get("line", "")).strip()[:400]
    where = "/tasks/day"
    if not line:
        return done(request, where, _("Write what is to be done."), tone="danger")
    ref, _href = subject_of(request)
    try:
        values = next_values(request, line)
        if "due_at" not in values and request.POST.get("today"):
            noon = dt.datetime.combine(clock.today(request.formats.tz), dt.time(12), tzinfo=request.formats.tz)
            values |= {"due_at": noon, "all_day": True}
        task = tasks.create(request.gate, subject=ref, **values)
    except REFUSALS as error:
        return done(request, where, refused(error), tone="danger")
    due, _exact = LineReader(request).due(task)
    said = _("Added: ${title}, ${due}", mapping={"title": task.title, "due": due}) if due else None
    return done(request, where, said or _("Added: ${title}", mapping={"title": task.title}))


@view_config(route_name="tasks.people", request_method="GET", renderer="json", permission=CREATE)
def people(request: Request) -> dict[str, Any]:
    """Offer those to whom one may give tasks."""
    subject = request.subject
    scopes = subject.scopes(CREATE)
    statement = sa.select(User.id, User.name, User.job_title, User.photo).where(User.status == ACTIVE)
    if "all" not in scopes:
        mine = User.id == subject.user_id
        wide = "team" in scopes and subject.team_ids
        statement = statement.where(sa.or_(mine, User.team_id.in_(sorted(subject.team_ids))) if wide else mine)
    typed = str(request.GET.get("q", "")).replace("\x00", "").strip().lower()[:200]
    if typed:
        statement = statement.where(sa.func.lower(User.name).like(f"%{like(typed)}%"))
    rows = request.db.execute(statement.order_by(sa.func.lower(User.name)).limit(50))
    return {
        "items": [
            {
                "value": str(row.id), "title": row.name, "hint": row.job_title or "",
                "photo_href": f"/faces/{row.photo}.png" if row.photo else "",
            }
            for row in rows
        ]
    }  # fmt: skip


# -- sets --------------------------------------------------------------------------------------------------------------


@view_config(route_name="tasks.apply", request_method="GET", renderer=FORM, permission=CREATE)
def applying(request: Request) -> dict[str, Any]:
    """Offer the sets of tasks that may be started from a record."""
    return _applying(request)


@view_config(route_name="tasks.apply", request_method="POST", renderer=FORM, permission=CREATE)
def apply(request: Request) -> Any:
    """Make the tasks of a set for a record."""
    ref, where = subject_of(request, required=True)
    chosen = str(request.POST.get("set", ""))
    wanted = request.db.get(TemplateSet, int(chosen)) if chosen.isdecimal() and len(chosen) < 19 else None
    if wanted is None or not wanted.active:
        request.response.status_int = 422
        return _applying(request, _("Choose from the list."))
    try:
        made = templates.apply(request.gate, wanted, ref)
    except REFUSALS as error:
        request.response.status_int = 422
        return _applying(request, refused(error))
    said = request.plural("${n} task is added.", "${n} tasks are added.", len(made), domain="crm_tasks")
    return done(request, where, said, **RELOAD)


def _applying(request: Request, error: Any = None) -> dict[str, Any]:
    say = request.translate
    ref, cancel = subject_of(request, required=True)
    assert ref is not None
    sets = templates.sets_for(request.gate, ref.entity)
    field = FieldView(
        name="set", title=say(_("Set of tasks")), kind="radio", required=True, wide=True,
        choices=[Choice(value=str(one.id), title=one.name) for one in sets],
        value=str(sets[0].id) if len(sets) == 1 else "", error=say(error) if error else "",
        help="" if sets else say(_("There are no sets yet: they are made in the settings.")),
    )  # fmt: skip
    page = FormPage(
        id="apply",
        title=_("Add a set of tasks"),
        action="/tasks/apply",
        submit=_("Add these tasks"),
        sections=[Section(fields=[field])],
        hidden=[("subject", str(ref))],
        cancel_href=cancel,
    )
    return {"title": say(_("Add a set of tasks")), "page": page}
