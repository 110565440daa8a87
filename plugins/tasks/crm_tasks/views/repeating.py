"""The editor of rules by which a task comes again."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from crm_core import clock, i18n
from crm_core.forms import InvalidValues
from crm_core.views.shapes import Choice, FieldView, FormPage, Section
from crm_tasks.entities import TASKS
from crm_tasks.i18n import _
from crm_tasks.models import Series, Task
from crm_tasks.permissions import DELETE, EDIT
from crm_tasks.services import recurrence, series
from crm_tasks.services.recurrence import DAILY, DAY_TITLES, LAST, MONTHLY, NTH_TITLES, WEEKLY, YEARLY, Rule
from crm_tasks.services.writing import zone_of
from crm_tasks.views.answers import FORM, REFUSALS, at_once, done, refused, task_of, undo_href
from crm_tasks.views.doing import choices

FREQUENCIES = (
    (DAILY, _("by days")),
    (WEEKLY, _("by weeks")),
    (MONTHLY, _("by months")),
    (YEARLY, _("by years")),
)

BY_RULE, AFTER_DONE = "rule", "done"
MODES = ((BY_RULE, _("by the calendar")), (AFTER_DONE, _("counted from the day it is done")))

ON_DAY, LAST_DAY, NTH = "day", "last", "nth"

SCOPES = (
    (series.FOLLOWING, _("This one and those after it")),
    (series.ALL, _("All that are not done")),
)

NEVER, COUNT, UNTIL = "never", "count", "until"
ENDS = ((NEVER, _("never")), (COUNT, _("after so many times")), (UNTIL, _("on a day")))


def in_words(request: Request, rule: Rule) -> str:
    """Say a rule in the reader's language."""

    def date(day: dt.date) -> str:
        # 29 February stands in leap years only, and is said with one.
        this_year = clock.today(request.formats.tz).year
        said = day.replace(year=this_year) if day.year == 2000 and (day.month, day.day) != (2, 29) else day
        return str(request.formats.date(said))

    return recurrence.words(rule, request.translate, partial(i18n.plural, request), date)


def _rule_of(request: Request, task: Task) -> tuple[Rule | None, Series | None]:
    found = request.db.get(Series, task.series_id) if task.series_id else None
    return (series.rule_of(found) if found is not None else None), found


@view_config(route_name="tasks.repeat", request_method="GET", renderer=FORM, permission=EDIT)
def editing(request: Request) -> dict[str, Any]:
    """Show how a task comes again."""
    return _editing(request, task_of(request))


@view_config(route_name="tasks.repeat", request_method="POST", renderer=FORM, permission=EDIT)
def repeat(request: Request) -> Any:
    """Let a task come again, or come again otherwise."""
    task = task_of(request)
    try:
        rule = recurrence.check(_read(request))
        old, _found = _rule_of(request, task)
        if old is None:
            series.begin(request.gate, task, rule)
        else:
            scope = str(request.POST.get("which", series.FOLLOWING))
            series.change(request.gate, task, {}, scope if scope == series.ALL else series.FOLLOWING, rule=rule)
    except REFUSALS as error:
        request.response.status_int = 422
        return _editing(request, task, error)
    words = in_words(request, recurrence.natural(rule, _local(request, task)))
    return done(request, f"{TASKS.url}/{task.id}", _("It comes again: ${rule}", mapping={"rule": words}))


def _local(request: Request, task: Task) -> dt.datetime:
    zone = zone_of(request.gate, task)
    return (task.due_at or clock.now()).astimezone(zone).replace(tzinfo=None)


def _whole(request: Request, name: str, message: Any) -> int:
    text = str(request.POST.get(name, "")).strip()
    if not text.lstrip("-").isdecimal() or len(text) > 4:
        raise InvalidValues({name: message})
    return int(text)


def _read(request: Request) -> Rule:
    posted = request.POST
    freq = str(posted.get("freq", ""))
    values: dict[str, Any] = {
        "freq": freq,
        "interval": _whole(request, "interval", _("Write a number from 1 to 365.")),
        "after_completion": posted.get("mode") == AFTER_DONE,
    }
    if freq == WEEKLY:
        days = {str(day) for day in posted.getall("days")} & set(recurrence.DAYS)
        values["days"] = tuple(sorted(days, key=recurrence.DAYS.index))
    elif freq == MONTHLY:
        by = str(posted.get("by", ON_DAY))
        if by == LAST_DAY:
            values["month_day"] = LAST
        elif by == NTH:
            nth, day = _whole(request, "nth", _("Choose from the list.")), str(posted.get("nth_day", ""))
            if nth not in NTH_TITLES or day not in DAY_TITLES:
                raise InvalidValues({"nth": _("Choose from the list.")})
            values |= {"nth": nth, "nth_day": day}
    ends = str(posted.get("ends", NEVER))
    if ends == COUNT:
        values["count"] = _whole(request, "count", _("Write how many times."))
    elif ends == UNTIL:
        try:
            values["until"] = dt.date.fromisoformat(str(posted.get("until", "")))
        except ValueError:
            raise InvalidValues({"until": _("Write a date.")}) from None
    return Rule(**values)


def _editing(request: Request, task: Task, error: Exception | None = None) -> dict[str, Any]:
    say = request.translate
    rule, _found = _rule_of(request, task)
    local = _local(request, task)
    shown = rule or Rule(freq=WEEKLY, days=(recurrence.DAYS[local.weekday()],))
    posted = request.POST if request.method == "POST" else {}
    errors = error.errors if isinstance(error, InvalidValues) else {"freq": refused(error)} if error else {}

    def field(name: str, title: Any, value: Any, **more: Any) -> FieldView:
        given = value
        if posted:
            given = request.POST.getall(name) if more.get("kind") == "choices" else str(posted.get(name, ""))
        problem = errors.get(name, "")
        more.setdefault("id", f"rp-{name.replace('_', '-')}")
        return FieldView(name=name, title=say(title), value=given, error=say(problem) if problem else "", **more)

    by = LAST_DAY if shown.month_day == LAST else NTH if shown.nth is not None else ON_DAY
    ends = COUNT if shown.count is not None else UNTIL if shown.until is not None else NEVER
    fields = [
        field("interval", _("Every"), str(shown.interval), kind="number", minimum="1", maximum="365", required=True),
        field("freq", _("How often"), shown.freq, kind="choice", choices=choices(request, FREQUENCIES), required=True),
        field(
            "days", _("On days of the week"), list(shown.days), kind="choices", wide=True,
            choices=choices(request, recurrence.SHORT_DAYS.items()), help=say(_("Of a rule by weeks.")),
        ),
        field(
            "by", _("Of a month"), by, kind="choice",
            choices=[
                Choice(value=ON_DAY, title=say(_("on day ${day}", mapping={"day": local.day}))),
                Choice(value=LAST_DAY, title=say(_("on the last day"))),
                Choice(value=NTH, title=say(_("on such a weekday"))),
            ],
        ),
        field(
            "nth", _("Which one"), str(shown.nth or 1), kind="choice",
            choices=[Choice(value=str(number), title=say(title)) for number, title in NTH_TITLES.items()],
        ),
        field(
            "nth_day", _("Day of the week"), shown.nth_day or recurrence.DAYS[local.weekday()], kind="choice",
            choices=choices(request, DAY_TITLES.items()),
        ),
        field(
            "mode", _("Counted"), AFTER_DONE if shown.after_completion else BY_RULE, kind="choice",
            choices=choices(request, MODES), required=True,
        ),
        field("ends", _("Ends"), ends, kind="choice", choices=choices(request, ENDS), required=True),
        field("count", _("How many times"), str(shown.count or ""), kind="number", minimum="1", maximum="999"),
        field("until", _("Last day"), shown.until.isoformat() if shown.until else "", kind="date"),
    ]  # fmt: skip
    if rule is not None:
        fields.append(
            field("which", _("What is changed"), series.FOLLOWING, kind="choice", choices=choices(request, SCOPES),
                  required=True)
        )  # fmt: skip
    page = FormPage(
        id="repeat",
        title=_("Repeats"),
        action=f"{TASKS.url}/{task.id}/repeat",
        submit=_("Keep the rule") if rule is not None else _("Repeat the task"),
        sections=[Section(fields=fields)],
        cancel_href=f"{TASKS.url}/{task.id}",
        intro=in_words(request, rule).capitalize() if rule is not None else "",
        wide=True,
    )
    return {"title": say(_("Repeats")), "page": page, "form_class": "tasks-repeat"}


@view_config(route_name="tasks.repeat_stop", request_method="POST", permission=EDIT)
def stop(request: Request) -> Any:
    """Let a series end with this task."""
    task = task_of(request)
    return at_once(request, task, lambda: series.stop(request.gate, task), _("It does not come again after this one."))


@view_config(route_name="tasks.repeat_skip", request_method="POST", permission=DELETE)
def skip(request: Request) -> Any:
    """Leave out one occurrence of a series."""
    task = task_of(request)
    try:
        series.skip(request.gate, task)
    except REFUSALS as error:
        return done(request, f"{TASKS.url}/{task.id}", refused(error), tone="danger")
    request.toast(_("This one is left out: ${title}", mapping={"title": task.title}), undo_href=undo_href(request))
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Redirect": "/tasks/day"})
    return HTTPSeeOther("/tasks/day")
