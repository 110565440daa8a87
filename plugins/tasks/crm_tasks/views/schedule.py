"""The schedule: month, week, day, agenda; its things by range, moved by a drag, made by a click; days off; the load."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPForbidden, HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from crm_core import clock
from crm_core.forms import InvalidValues
from crm_core.models import Team, User
from crm_core.models.accounts import ACTIVE
from crm_core.people import may_name
from crm_core.records.gate import user_names
from crm_core.views.shapes import Action, Choice, FieldView, FormPage, PersonView, Section, Tab
from crm_tasks.i18n import _
from crm_tasks.models import DayOff
from crm_tasks.permissions import CREATE, EDIT, VIEW
from crm_tasks.schemas import CALL, CLOSED_STATES, DONE, ICONS, KINDS, LETTER, MEETING, STATES, TODO
from crm_tasks.services import days_off, invitations, schedule, series, tasks
from crm_tasks.views.answers import FORM, REFUSALS, done, refused, task_of, undo_href

PAGE = "crm_tasks:templates/schedule.pt"

TITLES = {
    schedule.MONTH: _("Month"),
    schedule.WEEK: _("Week"),
    schedule.DAY: _("Day"),
    schedule.AGENDA: _("Agenda"),
    schedule.LOAD: _("Load of the team"),
}

#: The colours of kinds; a sign and a word tell the same.
TONES = {CALL: "info", MEETING: "accent", LETTER: "warning", TODO: "plain"}


# -- what the address says ---------------------------------------------------------------------------------------------


def day_of(request: Request, name: str = "date") -> dt.date:
    """Return the day that the address names, or today at the reader's place."""
    text = str(request.params.get(name, ""))[:10]
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return clock.today(request.formats.tz)
    return day if 1990 <= day.year <= 2200 else clock.today(request.formats.tz)


def numbers(values: Sequence[str]) -> list[int]:
    """Return the ids among what the address or a form holds."""
    parts = [part for value in values for part in str(value).split(",")]
    return [int(part) for part in parts if part.isdecimal() and len(part) <= 18]


def _wall(request: Request, at: dt.datetime) -> str:
    return at.astimezone(request.formats.tz).replace(tzinfo=None).isoformat(timespec="seconds")


def _instant(request: Request, text: str) -> dt.datetime:
    """Read a wall time of the reader's zone."""
    try:
        local = dt.datetime.fromisoformat(text.strip()[:19]).replace(tzinfo=None)
    except ValueError:
        raise InvalidValues({"start": _("Write a date and a time.")}) from None
    if not 1990 <= local.year <= 2200:
        raise InvalidValues({"start": _("This day is too far away.")})
    return local.replace(tzinfo=request.formats.tz).astimezone(dt.UTC)


# -- the page ----------------------------------------------------------------------------------------------------------


def _view_of(request: Request, kept: Mapping[str, Any]) -> str:
    asked = str(request.params.get("view", ""))
    view = asked if asked in schedule.VIEWS else str(kept.get("view", schedule.WEEK))
    if view == schedule.LOAD and not schedule.may_see_load(request.gate):
        if asked == view:
            raise HTTPForbidden
        view = schedule.WEEK
    return view if view in schedule.VIEWS else schedule.WEEK


def _people(request: Request, kept: Mapping[str, Any]) -> list[int]:
    if "people" in request.params or "people-end" in request.params:
        wanted = numbers(request.params.getall("people"))
    else:
        wanted = [one for one in kept.get("people", ()) if isinstance(one, int)]
    return schedule.people_of(request.gate, wanted)


def _tabs(request: Request, view: str, day: dt.date) -> list[Tab]:
    shown = [one for one in schedule.VIEWS if one != schedule.LOAD or schedule.may_see_load(request.gate)]
    return [
        Tab(
            title=TITLES[one],
            href=f"/tasks/schedule?view={one}&date={day.isoformat()}",
            active=one == view,
        )
        for one in shown
    ]


def _menu(request: Request) -> list[Action]:
    return [
        Action(title=_("When is everybody free"), href="/tasks/schedule/free", icon="users"),
        Action(title=_("Days off"), href="/tasks/schedule/days-off", icon="beach"),
        Action(title=_("In the calendar of my phone"), href="/tasks/schedule/feed", icon="calendar-share"),
    ]


@view_config(route_name="tasks.schedule", request_method="GET", renderer=PAGE, permission=VIEW)
def page(request: Request) -> Any:
    """Show the schedule; without scripts it is the agenda of a fortnight."""
    kept = schedule.remembered(request.gate)
    view, day = _view_of(request, kept), day_of(request)
    if "view" in request.params or "people-end" in request.params:
        schedule.remember(request.gate, view=view, people=_people(request, kept)[1:])
    if view == schedule.LOAD:
        return _load_page(request, day)
    people = _people(request, kept)
    names = user_names(request.db, people)
    return {
        "title": _("Schedule"),
        "view": view,
        "tabs": _tabs(request, view, day),
        "actions": _actions(request),
        "menu_items": _menu(request),
        "day": day.isoformat(),
        "today": clock.today(request.formats.tz).isoformat(),
        "previous_href": f"/tasks/schedule?view={view}&date={_step(view, day, -1).isoformat()}",
        "next_href": f"/tasks/schedule?view={view}&date={_step(view, day, 1).isoformat()}",
        "field": FieldView(
            name="people",
            title=request.translate(_("Colleagues")),
            kind="records",
            options_href="/options/people",
            placeholder=request.translate(_("Whose calendars to see beside mine")),
            value=[str(one) for one in people[1:]],
            choices=[Choice(value=str(one), title=names.get(one, "?"), selected=True) for one in people[1:]],
        )
        if may_name(request.subject)
        else None,
        "config": json.dumps(_config(request, view, day, people), ensure_ascii=False),
        "days": _agenda(request, people, day, 14),
        "load": None,
    }


def _actions(request: Request) -> list[Action]:
    if not request.subject.may(CREATE):
        return []
    return [
        Action(title=_("Plan"), href="/tasks/schedule/new", icon="plus", look="primary", open="dialog", id="plan"),
    ]


def _step(view: str, day: dt.date, by: int) -> dt.date:
    if view == schedule.MONTH:
        month = day.year * 12 + day.month - 1 + by
        return dt.date(month // 12, month % 12 + 1, 1)
    return day + dt.timedelta(days=by * (1 if view == schedule.DAY else 14 if view == schedule.AGENDA else 7))


def _config(request: Request, view: str, day: dt.date, people: Sequence[int]) -> dict[str, Any]:
    working = request.company.calendar
    hours = [working.hours.get(one, (working.start, working.end)) for one in sorted(working.days)]
    say = request.translate
    first = min((start for start, _end in hours), default=dt.time(9))
    last = max((end for _start, end in hours), default=dt.time(18))
    return {
        "view": view,
        "date": day.isoformat(),
        "now": _wall(request, clock.now()),
        "people": list(people),
        "create": request.subject.may(CREATE),
        "scroll": f"{max(0, first.hour - 1):02}:00:00",
        "hours": [
            {
                "daysOfWeek": [(one + 1) % 7],
                "startTime": f"{working.hours.get(one, (working.start, working.end))[0]:%H:%M}",
                "endTime": f"{working.hours.get(one, (working.start, working.end))[1]:%H:%M}",
            }
            for one in sorted(working.days)
        ],
        "until": f"{last:%H:%M}",
        "words": {
            "which": say(_("Which of the repeated tasks?")),
            "this": say(_("Only this one")),
            "following": say(_("This one and those after it")),
            "all": say(_("All that are still to be done")),
            "plan": say(_("Plan")),
            "cancel": say(_("Leave as it was")),
            "more": say(_("more")),
            "none": say(_("Nothing is planned.")),
            "all_day": say(_("All day")),
            "cut": say(_("There is more than can be shown at once: choose fewer days or people.")),
        },
    }


def _agenda(request: Request, people: Sequence[int], first: dt.date, days: int) -> list[dict[str, Any]]:
    """Return the days of the agenda as HTML needs them: what is shown where scripts are off."""
    zone = request.formats.tz
    start = clock.start_of_day(first, zone)
    end = clock.start_of_day(first + dt.timedelta(days=days), zone)
    shown = schedule.calendar(request.gate, people, start, end)
    kinds = dict(KINDS)
    found: dict[dt.date, list[dict[str, Any]]] = {}
    names = user_names(request.db, people) if len(people) > 1 else {}
    for entry in shown.entries:
        where, task = entry.span, entry.task
        begins = where.first if where.all_day and where.first else where.start.astimezone(zone).date()
        ends = where.last if where.all_day and where.last else (where.end - dt.timedelta(seconds=1)).astimezone(zone)
        last = ends.date() if isinstance(ends, dt.datetime) else ends
        item = {
            "time": request.translate(_("All day"))
            if where.all_day
            else f"{request.formats.time(where.start)}–{request.formats.time(where.end)}",
            "title": task.title,
            "href": f"/tasks/{task.id}",
            "icon": ICONS.get(task.kind, "checkbox"),
            "kind": kinds.get(task.kind, task.kind),
            "closed": task.state in CLOSED_STATES,
            "who": ", ".join(names.get(one, "") for one in entry.people) if len(people) > 1 else "",
        }
        at = max(begins, first)
        while at <= min(last, first + dt.timedelta(days=days - 1)):
            found.setdefault(at, []).append({**item, "start": where.start})
            at += dt.timedelta(days=1)
    for one in shown.busy:
        at = one.start.astimezone(zone).date()
        found.setdefault(at, []).append(
            {
                "time": f"{request.formats.time(one.start)}–{request.formats.time(one.end)}",
                "title": request.translate(_("Busy")), "href": "", "icon": "lock", "kind": "", "closed": False,
                "who": names.get(one.user_id, ""), "start": one.start,
            }
        )  # fmt: skip
    working = request.company.calendar
    return [
        {
            "title": request.formats.date(day),
            "weekday": request.translate(WEEKDAYS[day.weekday()]),
            "off": not working.is_working_day(day),
            "items": sorted(items, key=lambda item: item["start"]),
        }
        for day, items in sorted(found.items())
    ]


WEEKDAYS = (
    _("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday"),
)  # fmt: skip

SHORT = (_("Mo"), _("Tu"), _("We"), _("Th"), _("Fr"), _("Sa"), _("Su"))


# -- things by range ---------------------------------------------------------------------------------------------------


@view_config(route_name="tasks.schedule.events", request_method="GET", renderer="json", permission=VIEW)
def events(request: Request) -> dict[str, Any]:
    """Answer what stands in the calendars of the chosen people from one day to another, in the reader's wall time."""
    zone = request.formats.tz
    first, last = day_of(request, "start"), day_of(request, "end")
    last = min(max(last, first + dt.timedelta(days=1)), first + dt.timedelta(days=schedule.MOST_DAYS))
    people = schedule.people_of(request.gate, numbers(request.params.getall("people")))
    start, end = clock.start_of_day(first, zone), clock.start_of_day(last, zone)
    shown = schedule.calendar(request.gate, people, start, end)
    names = user_names(request.db, people) if len(people) > 1 else {}
    known = days_off.kept(request.gate, {one.user_id for one in shown.off})
    items = [
        *(_task_item(request, entry, names) for entry in shown.entries),
        *(_ahead_item(request, one, names) for one in shown.ahead),
        *(_busy_item(request, n, one, names) for n, one in enumerate(shown.busy)),
        *(_off_item(request, one, names, known) for one in shown.off),
        *_rest_items(request, first, last),
    ]
    return {"events": items, "cut": shown.cut}


def _place(request: Request, where: schedule.Span) -> dict[str, Any]:
    if where.all_day and where.first and where.last:
        return {
            "start": where.first.isoformat(),
            "end": (where.last + dt.timedelta(days=1)).isoformat(),
            "allDay": True,
        }
    if where.end - where.start > dt.timedelta(days=1):
        # Days on end would fill whole columns: it stands above them, and is moved on its card.
        zone = request.formats.tz
        last = where.end.astimezone(zone).date() + dt.timedelta(days=1)
        return {"start": where.start.astimezone(zone).date().isoformat(), "end": last.isoformat(), "allDay": True}
    return {"start": _wall(request, where.start), "end": _wall(request, where.end), "allDay": False}


def _who(names: Mapping[int, str], ids: Sequence[int]) -> str:
    return ", ".join(names[one] for one in ids if one in names)


def _task_item(request: Request, entry: schedule.Entry, names: Mapping[int, str]) -> dict[str, Any]:
    task = entry.task
    long = not entry.span.all_day and entry.span.end - entry.span.start > dt.timedelta(days=1)
    closed = task.state in CLOSED_STATES
    late = not closed and task.due_at < clock.now()
    words = [dict(KINDS).get(task.kind, task.kind), *([dict(STATES)[task.state]] if task.state in dict(STATES) else [])]
    return {
        "id": f"task-{task.id}",
        "number": task.id,
        "title": task.title,
        **_place(request, entry.span),
        "href": f"/tasks/{task.id}",
        "editable": entry.editable and not closed and not long,
        "kind": task.kind,
        "tone": TONES.get(task.kind, "plain"),
        "icon": "circle-check" if task.state == DONE else "alarm" if late else ICONS.get(task.kind, "checkbox"),
        "told": ", ".join(str(request.translate(one)) for one in (*words, *([_("overdue")] if late else ()))),
        "closed": closed,
        "late": late,
        "version": task.version,
        "series": task.series_id is not None,
        "place": task.place or "",
        "who": _who(names, entry.people),
        "mine": request.subject.user_id in entry.people,
    }


def _ahead_item(request: Request, one: schedule.Ahead, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": f"series-{one.series_id}-{one.occurrence}",
        "title": one.title,
        **_place(request, one.span),
        "kind": one.kind,
        "tone": TONES.get(one.kind, "plain"),
        "icon": "repeat",
        "told": request.translate(_("Will come again; it can be changed nearer to the day.")),
        "ahead": True,
        "editable": False,
        "who": _who(names, [one.owner_id]),
        "mine": one.owner_id == request.subject.user_id,
    }


def _busy_item(request: Request, n: int, one: schedule.Busy, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": f"busy-{one.user_id}-{n}",
        "title": request.translate(_("Busy")),
        "start": _wall(request, one.start),
        "end": _wall(request, one.end),
        "allDay": False,
        "tone": "busy",
        "icon": "lock",
        "told": "",
        "editable": False,
        "who": _who(names, [one.user_id]),
        "mine": False,
    }


def _off_item(request: Request, one: DayOff, names: Mapping[int, str], known: set[int]) -> dict[str, Any]:
    # Why somebody is off is between him and his head.
    title = dict(days_off.KINDS)[one.kind] if one.user_id in known else _("Away")
    return {
        "id": f"off-{one.id}",
        "title": request.translate(title),
        "start": one.starts.isoformat(),
        "end": (one.ends + dt.timedelta(days=1)).isoformat(),
        "allDay": True,
        "tone": "off",
        "icon": "beach",
        "told": "",
        "editable": False,
        "who": _who(names, [one.user_id]),
        "mine": one.user_id == request.subject.user_id,
    }


def _rest_items(request: Request, first: dt.date, last: dt.date) -> list[dict[str, Any]]:
    """Return the days on which the company rests, for shading."""
    working = request.company.calendar
    return [
        {"start": day.isoformat(), "allDay": True, "display": "background", "rest": True, "id": f"rest-{day}"}
        for day in (first + dt.timedelta(days=n) for n in range((last - first).days))
        if not working.is_working_day(day)
    ]


# -- moving ------------------------------------------------------------------------------------------------------------


@view_config(route_name="tasks.schedule.move", request_method="POST", permission=EDIT)
def move(request: Request) -> Response:
    """Put a task elsewhere, as it was dragged or stretched; 409 where somebody was there first."""
    task = task_of(request)
    posted = request.POST
    try:
        all_day = posted.get("all_day") == "1"
        start, end = _read_place(request, all_day)
        version = str(posted.get("version", ""))
        schedule.move(
            request.gate, task, start, end, all_day=all_day, which=str(posted.get("which") or series.THIS),
            version=int(version) if version.isdecimal() and len(version) <= 18 else None,
        )  # fmt: skip
    except REFUSALS as error:
        told = {"text": request.translate(refused(error)), "tone": "danger"}
        return Response(status=409, headers={"HX-Trigger": json.dumps({"crm:toast": told})})
    where = schedule.span(task)
    if where.all_day and where.first:
        when = request.formats.date(where.first)
    else:
        when = request.formats.datetime(where.start)
    said = request.translate(_("“${title}” is now ${when}", mapping={"title": task.title, "when": when}))
    told = {"text": said, "undo_href": undo_href(request)}
    return Response(status=204, headers={"HX-Trigger": json.dumps({"crm:toast": told})})


def _read_place(request: Request, all_day: bool) -> tuple[dt.datetime, dt.datetime | None]:
    start, end = str(request.POST.get("start", "")), str(request.POST.get("end", ""))
    if not all_day:
        return _instant(request, start), _instant(request, end) if end else None
    # Whole days are dates; no zone may turn them into their neighbours.
    days = []
    for text in (start, end or start):
        try:
            days.append(dt.datetime.combine(dt.date.fromisoformat(text[:10]), dt.time(), tzinfo=dt.UTC))
        except ValueError:
            raise InvalidValues({"start": _("Write a date.")}) from None
    return days[0], days[1] if end else None


@view_config(route_name="tasks.schedule.look", request_method="POST", permission=VIEW)
def look(request: Request) -> Response:
    """Remember which view the person looks at."""
    view = str(request.POST.get("view", ""))
    if view in schedule.VIEWS:
        schedule.remember(request.gate, view=view)
    return Response(status=204)


# -- making ------------------------------------------------------------------------------------------------------------


@view_config(route_name="tasks.schedule.new", request_method="GET", renderer=FORM, permission=CREATE)
def planning(request: Request) -> dict[str, Any]:
    """Show the small form that plans something at the chosen hour."""
    return _planning_page(request)


@view_config(route_name="tasks.schedule.new", request_method="POST", renderer=FORM, permission=CREATE)
def plan(request: Request) -> Any:
    """Plan it; colleagues who are to come get their invitations."""
    try:
        values = _read_plan(request)
        guests = numbers(request.POST.getall("guests"))
        task = tasks.create(request.gate, **values)
        if guests:
            for one in guests:
                if one != task.owner_id:
                    invitations.add(request.gate, task, user_id=one)
            invitations.send(request.gate, task, base_url(request))
    except REFUSALS as error:
        request.response.status_int = 422
        return _planning_page(request, error)
    when = request.formats.datetime(task.due_at) if not task.all_day else request.formats.date(task.due_day)
    said = _("Planned: ${title}, ${when}", mapping={"title": task.title, "when": when})
    return done(request, "/tasks/schedule", said)


def base_url(request: Request) -> str:
    """Return what links in letters begin with."""
    return str(request.company.base_url or request.application_url)


def _read_plan(request: Request) -> dict[str, Any]:
    posted = request.POST
    kind = str(posted.get("kind", TODO))
    if kind not in dict(KINDS):
        raise InvalidValues({"kind": _("Choose from the list.")})
    title = " ".join(str(posted.get("title", "")).split())[:300]
    if not title and kind == TODO:
        raise InvalidValues({"title": _("Write what is to be done.")})
    all_day = posted.get("all_day") == "1"
    due = _instant(request, str(posted.get("start", "")))
    minutes = str(posted.get("minutes", "")).strip()
    if minutes and (not minutes.isdecimal() or not 0 < int(minutes[:6]) <= 1440):
        raise InvalidValues({"minutes": _("Write a number of minutes up to a day.")})
    owner = numbers([posted.get("owner_id", "")])
    return {
        "title": title or str(request.translate(dict(KINDS)[kind])),
        "kind": kind,
        "due_at": due,
        "all_day": all_day,
        "duration_min": int(minutes) if minutes and not all_day else None,
        "owner_id": owner[0] if owner else None,
        "place": " ".join(str(posted.get("place", "")).split())[:300] or None,
    }


def _soon(request: Request) -> dt.datetime:
    """Return the next whole hour at which people work."""
    working = request.company.calendar
    at = clock.now().astimezone(request.formats.tz).replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1)
    for day in (at.date() + dt.timedelta(days=n) for n in range(30)):
        hours = working.hours_of(day)
        if hours is None or (day == at.date() and at.time() >= hours[1]):
            continue
        first = dt.datetime.combine(day, hours[0], tzinfo=at.tzinfo)
        return max(first, at)
    return at


def _planning_page(request: Request, error: Exception | None = None) -> dict[str, Any]:
    errors: Mapping[str, Any] = error.errors if isinstance(error, InvalidValues) else {}
    params = request.params
    start = str(params.get("start") or _soon(request).strftime("%Y-%m-%dT%H:%M"))[:16]
    all_day = params.get("all_day") == "1"
    if len(start) == 10:
        start += "T09:00"
    minutes = str(params.get("minutes", ""))
    owner = (numbers([params.get("owner_id", "")]) or [request.subject.user_id or 0])[0]
    guests = numbers(params.getall("guests"))
    names = user_names(request.db, {owner, *guests})
    say = request.translate

    def field(name: str, title: Any, kind: str, value: Any = "", **more: Any) -> FieldView:
        told = errors.get(name)
        return FieldView(
            name=name, title=say(title), kind=kind, value=value, id=f"plan-{name}",
            error=say(told) if told else "", **more,
        )  # fmt: skip

    kind = str(params.get("kind", MEETING if guests else TODO))
    fields = [
        field("title", _("What is to be done"), "text", str(params.get("title", "")), maxlength=300, autofocus=True,
              wide=True),
        field("kind", _("Kind"), "choice", kind,
              choices=[Choice(value=one, title=say(title), selected=one == kind) for one, title in KINDS]),
        field("start", _("When"), "datetime", start, required=True),
        field("minutes", _("Duration, minutes"), "number", minutes, minimum="5", maximum="1440"),
        field("all_day", _("Any time of that day"), "bool", all_day),
        field("owner_id", _("Assignee"), "user", str(owner), options_href="/tasks/people",
              choices=[Choice(value=str(owner), title=names.get(owner, "?"), selected=True)]),
        field("place", _("Place"), "text", str(params.get("place", "")), maxlength=300),
        field("guests", _("Invite colleagues"), "records", [str(one) for one in guests], wide=True,
              options_href="/options/people", help=say(_("They get a letter with the invitation.")),
              choices=[Choice(value=str(one), title=names.get(one, "?"), selected=True) for one in guests]),
    ]  # fmt: skip
    general = "" if errors or error is None else say(refused(error))
    page = FormPage(
        id="plan-form",
        title=_("Plan"),
        action="/tasks/schedule/new",
        submit=_("Put into the calendar"),
        errors=[("", general)] if general else [],
        sections=[Section(fields=fields)],
        cancel_href="/tasks/schedule",
        wide=True,
    )
    return {"title": _("Plan"), "page": page}


# -- the load ----------------------------------------------------------------------------------------------------------


def _hours(request: Request, minutes: int) -> str:
    return str(request.formats.number(round(minutes / 60, 1)))


def _load_page(request: Request, day: dt.date) -> dict[str, Any]:
    first = day - dt.timedelta(days=day.weekday())
    team = next(iter(numbers([request.params.get("team", "")])), None)
    zone = request.subject.zone
    people = schedule.load(request.gate, first, working=request.company.calendar, zone=zone, team_id=team)
    every = "all" in request.subject.scopes(VIEW)
    statement = sa.select(Team.id, Team.name).order_by(sa.func.lower(Team.name)).limit(200)
    if not every:
        statement = statement.where(Team.id.in_(sorted(request.subject.team_ids)))
    teams = request.db.execute(statement).all()
    today = clock.today(request.formats.tz)
    days = [first + dt.timedelta(days=n) for n in range(7)]
    query = f"&team={team}" if team else ""
    return {
        "title": _("Schedule"),
        "view": schedule.LOAD,
        "tabs": _tabs(request, schedule.LOAD, day),
        "actions": _actions(request),
        "menu_items": _menu(request),
        "day": first.isoformat(),
        "today": today.isoformat(),
        "previous_href": f"/tasks/schedule?view=load&date={(first - dt.timedelta(days=7)).isoformat()}{query}",
        "next_href": f"/tasks/schedule?view=load&date={(first + dt.timedelta(days=7)).isoformat()}{query}",
        "field": None,
        "config": "",
        "days": [],
        "load": {
            "range": f"{request.formats.date(days[0])} – {request.formats.date(days[-1])}",
            "teams": [(row.id, row.name, row.id == team) for row in teams] if len(teams) > 1 else [],
            "head": [
                {
                    "title": request.translate(SHORT[one.weekday()]),
                    "date": request.formats.date(one, short=True),
                    "rest": not request.company.calendar.is_working_day(one),
                    "today": one == today,
                }
                for one in days
            ],
            "rows": [_load_row(request, one) for one in people],
        },
    }


def _load_row(request: Request, one: schedule.Load) -> dict[str, Any]:
    planned = sum(day.planned_min for day in one.days)
    working = sum(day.working_min for day in one.days)
    return {
        "person": PersonView.of(one.name, one.user_id),
        "href": f"/tasks/schedule?view=week&date={one.days[0].day.isoformat()}&people-end=1&people={one.user_id}",
        "overdue": one.overdue,
        "overdue_href": f"/tasks?f=overdue:is:1&f=owner_id:any:{one.user_id}",
        "total": _hours(request, planned),
        "of": _hours(request, working),
        "cells": [_load_cell(request, day) for day in one.days],
    }


def _load_cell(request: Request, day: schedule.LoadDay) -> dict[str, Any]:
    share = day.planned_min / day.working_min if day.working_min else (1.5 if day.planned_min else 0)
    tone = "danger" if share > 1 else "warning" if share > 0.8 else "success"
    word = _("too much") if share > 1 else _("full") if share > 0.8 else ""
    return {
        "away": day.away,
        "rest": not day.working_min and not day.away,
        "planned": _hours(request, day.planned_min) if day.planned_min else "",
        "working": _hours(request, day.working_min),
        "tone": tone,
        "word": word if day.planned_min else "",
        "part": min(100, round(share * 100)),
        "count": day.count,
    }


# -- when everybody is free --------------------------------------------------------------------------------------------


@view_config(
    route_name="tasks.schedule.free", request_method="GET", renderer="crm_tasks:templates/free.pt", permission=VIEW
)
def free(request: Request) -> dict[str, Any]:
    """Show when the chosen people are free on the next working days, and suggest times."""
    people = schedule.people_of(request.gate, numbers(request.params.getall("people")))
    minutes = (numbers([request.params.get("minutes", "")]) or [60])[0]
    minutes = min(max(15, minutes), 480)
    first = max(day_of(request), clock.today(request.formats.tz))
    working, zone = request.company.calendar, request.subject.zone
    days = schedule.free(request.gate, people, first, working=working, zone=zone, minutes=minutes)
    names = user_names(request.db, people)
    query = "".join(f"&guests={one}" for one in people if one != request.subject.user_id)
    suggested = [
        {
            "title": f"{request.formats.date(start)}, {request.formats.time(start)}–{request.formats.time(end)}",
            "href": f"/tasks/schedule/new?start={_wall(request, start)[:16]}&minutes={minutes}&kind=meeting{query}",
        }
        for day in days
        for start, end in day.slots[:3]
    ]
    return {
        "title": _("When is everybody free"),
        "people_field": FieldView(
            name="people",
            title=request.translate(_("Who is to come, besides me")),
            kind="records",
            id="free-people",
            options_href="/options/people",
            value=[str(one) for one in people if one != request.subject.user_id],
            choices=[
                Choice(value=str(one), title=names.get(one, "?"), selected=True)
                for one in people
                if one != request.subject.user_id
            ],
        ),
        "minutes": minutes,
        "first": first.isoformat(),
        "suggested": suggested[:9],
        "may_create": request.subject.may(CREATE),
        "days": [_free_day(request, day, people, names) for day in days],
    }


def _free_day(
    request: Request, day: schedule.FreeDay, people: Sequence[int], names: Mapping[int, str]
) -> dict[str, Any]:
    step = dt.timedelta(minutes=30)
    cells: list[dt.datetime] = []
    at = day.start
    while at < day.end and len(cells) < 48:
        cells.append(at)
        at += step
    taken = _("busy")
    return {
        "title": f"{request.translate(WEEKDAYS[day.day.weekday()])}, {request.formats.date(day.day)}",
        "hours": [
            request.formats.time(one) if one.astimezone(request.formats.tz).minute == 0 else "" for one in cells
        ],
        "rows": [
            {
                "name": names.get(one, "?"),
                "away": one in day.away,
                "cells": [
                    {
                        "busy": one in day.away or any(a < cell + step and b > cell for a, b in day.busy.get(one, ())),
                        "title": f"{request.formats.time(cell)} {request.translate(taken)}",
                    }
                    for cell in cells
                ],
            }
            for one in people
        ],
        "slots": len(day.slots),
    }


# -- days off ----------------------------------------------------------------------------------------------------------


def _whose(request: Request) -> User:
    wanted = numbers([request.params.get("user", "")])
    number = wanted[0] if wanted else request.subject.user_id or 0
    user = request.db.get(User, number)
    if user is None or user.status != ACTIVE or not days_off.keeps(request.gate, number):
        raise HTTPNotFound
    return user


@view_config(
    route_name="tasks.schedule.days_off", request_method="GET", renderer="crm_tasks:templates/days_off.pt",
    permission=VIEW,
)  # fmt: skip
def list_days_off(request: Request) -> dict[str, Any]:
    """Show the days off of a person: one's own, or those of somebody one heads."""
    return _days_off_page(request, _whose(request))


@view_config(
    route_name="tasks.schedule.days_off", request_method="POST", renderer="crm_tasks:templates/days_off.pt",
    permission=VIEW,
)  # fmt: skip
def add_days_off(request: Request) -> Any:
    """Write days off."""
    user = _whose(request)
    try:
        days = []
        for name in ("starts", "ends"):
            try:
                days.append(dt.date.fromisoformat(str(request.POST.get(name) or request.POST.get("starts", ""))[:10]))
            except ValueError:
                raise InvalidValues({name: _("Write a date.")}) from None
        days_off.add(request.gate, user.id, days[0], days[1], str(request.POST.get("kind", "")))
    except REFUSALS as error:
        request.response.status_int = 422
        return _days_off_page(request, user, error)
    request.toast(_("The days off are written."), undo_href=undo_href(request))
    return HTTPSeeOther(f"/tasks/schedule/days-off?user={user.id}")


@view_config(route_name="tasks.schedule.day_off_remove", request_method="POST", permission=VIEW)
def remove_days_off(request: Request) -> Any:
    """Take days off back."""
    one = request.db.get(DayOff, int(request.matchdict["number"]))
    if one is None or not days_off.keeps(request.gate, one.user_id):
        raise HTTPNotFound
    where = f"/tasks/schedule/days-off?user={one.user_id}"
    days_off.remove(request.gate, one)
    request.toast(_("The days off are taken back."), undo_href=undo_href(request))
    return HTTPSeeOther(where)


def _days_off_page(request: Request, user: User, error: Exception | None = None) -> dict[str, Any]:
    errors: Mapping[str, Any] = error.errors if isinstance(error, InvalidValues) else {}
    say, posted = request.translate, request.POST if request.method == "POST" else {}
    kind = str(posted.get("kind", days_off.KINDS[0][0]))

    def field(name: str, title: Any, kind_: str, **more: Any) -> FieldView:
        told = errors.get(name)
        return FieldView(
            name=name, title=say(title), kind=kind_, value=str(posted.get(name, "")), id=f"off-{name}",
            error=say(told) if told else "", **more,
        )  # fmt: skip

    general = "" if errors or error is None else say(refused(error))
    mine = user.id == request.subject.user_id
    staff = []
    if request.subject.headed or "all" in request.subject.scopes(EDIT):
        statement = sa.select(User.id, User.name).where(User.status == ACTIVE)
        if "all" not in request.subject.scopes(EDIT):
            statement = statement.where(User.team_id.in_(sorted(request.subject.headed)))
        staff = [
            (row.id, row.name, row.id == user.id)
            for row in request.db.execute(statement.order_by(sa.func.lower(User.name)).limit(300))
        ]
    return {
        "title": _("My days off") if mine else _("Days off: ${name}", mapping={"name": user.name}),
        "staff": staff,
        "items": [
            {
                "title": say(dict(days_off.KINDS)[one.kind]),
                "when": request.formats.date(one.starts)
                if one.starts == one.ends
                else f"{request.formats.date(one.starts)} – {request.formats.date(one.ends)}",
                "remove_href": f"/tasks/schedule/days-off/{one.id}/remove",
            }
            for one in days_off.coming(request.gate, user.id)
        ],
        "page": FormPage(
            id="days-off",
            title=_("Add days off"),
            action=f"/tasks/schedule/days-off?user={user.id}",
            submit=_("Write the days off"),
            errors=[("", general)] if general else [(f"off-{name}", say(told)) for name, told in errors.items()],
            sections=[
                Section(
                    fields=[
                        field("starts", _("First day"), "date", required=True),
                        field("ends", _("Last day"), "date"),
                        field(
                            "kind", _("Why"), "choice",
                            choices=[
                                Choice(value=one, title=say(title), selected=one == kind)
                                for one, title in days_off.KINDS
                            ],
                            help=say(_("Only the person and his heads see it; others see that he is away.")),
                        ),
                    ]
                )
            ],
        ),
    }  # fmt: skip
