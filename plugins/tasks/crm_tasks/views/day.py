"""My day, and the board by states."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import clock
from crm_core.views.shapes import Action, EmptyState, Tab
from crm_tasks.i18n import _
from crm_tasks.permissions import VIEW
from crm_tasks.schemas import CLOSED_STATES, DONE, IN_PROGRESS, OPEN, STATES, WAITING
from crm_tasks.services import days
from crm_tasks.views.reading import LineReader

COLUMNS = (OPEN, IN_PROGRESS, WAITING, DONE)


@view_config(route_name="tasks.day", request_method="GET", renderer="crm_tasks:templates/day.pt", permission=VIEW)
def my_day(request: Request) -> dict[str, Any]:
    """Show what one has to do today."""
    day = days.my_day(request.gate)
    say = request.translate
    lists = (day.overdue, day.today, day.later, day.undated, day.done)
    reader = LineReader(request)
    lines = reader.lines([task for some in lists for task in some], owners=False)
    by_id = {line.id: line for line in lines}
    titles = (_("Overdue"), _("Today"), _("In a week's time"), _("Without a date"), _("Done today"))
    groups = [
        {
            "id": name,
            "title": say(title),
            "count": len(some),
            "html": reader.html([by_id[task.id] for task in some]) if some else "",
            "open": name in ("overdue", "today", "undated"),
        }
        for name, title, some in zip(("overdue", "today", "later", "undated", "done"), titles, lists, strict=True)
        if some or name == "today"
    ]
    today = clock.today(request.formats.tz)
    return {
        "title": say(_("My day")),
        "when": request.formats.date(today),
        "groups": groups,
        "tabs": tabs(request, "day"),
        "may_create": request.subject.may("tasks:create"),
        "placeholder": say(_("tomorrow 15:00 call Ivan")),
        "empty": EmptyState(
            title=say(_("Nothing for today")),
            text=say(_("Write a line above: the day and the hour are understood.")),
            icon="sun",
        ),
        "actions": [
            Action(title=_("All tasks"), href="/tasks?f=owner_id:any:me&f=open:is:1", icon="list"),
            Action(title=_("Board"), href="/tasks/board", icon="layout-kanban"),
        ],
    }


def tabs(request: Request, active: str) -> list[Tab]:
    """Return the pages of tasks side by side."""
    say = request.translate
    return [
        Tab(title=say(title), href=href, active=name == active, icon=icon)
        for name, title, href, icon in (
            ("day", _("My day"), "/tasks/day", "sun"),
            ("list", _("List"), "/tasks?f=owner_id:any:me&f=open:is:1", "list"),
            ("board", _("Board"), "/tasks/board", "layout-kanban"),
        )
    ]


# -- the board ---------------------------------------------------------------------------------------------------------


def whose_of(request: Request) -> str:
    """Return whose tasks the board shows."""
    whose = str(request.GET.get("whose", "mine"))
    return whose if whose in ("mine", "handed_out", "team") else "mine"


@view_config(route_name="tasks.board", request_method="GET", renderer="crm_tasks:templates/board.pt", permission=VIEW)
def board(request: Request) -> dict[str, Any]:
    """Show tasks by their states."""
    whose = whose_of(request)
    say = request.translate
    found = {state: days.board(request.gate, state, whose=whose) for state in COLUMNS}
    shown = {state: tasks[: days.COLUMN] for state, tasks in found.items()}
    lines = LineReader(request).lines([task for tasks in shown.values() for task in tasks], owners=whose != "mine")
    by_id = {line.id: line for line in lines}
    columns = [
        {
            "state": state,
            "title": say(dict(STATES)[state]),
            "lines": [by_id[task.id] for task in shown[state]],
            "count": f"{len(shown[state])}{'+' if len(found[state]) > days.COLUMN else ''}",
            "more_href": _more(whose, state, found[state]),
            "note": say(_("Of the last two weeks")) if state in CLOSED_STATES else "",
        }
        for state in COLUMNS
    ]
    views = [("mine", _("Mine")), ("handed_out", _("Handed out"))]
    if request.subject.headed or "all" in request.subject.scopes(VIEW):
        views.append(("team", _("Of the department")))
    return {
        "title": say(_("Board of tasks")),
        "columns": columns,
        "tabs": tabs(request, "board"),
        "views": [
            Tab(title=say(title), href=f"/tasks/board?whose={name}", active=name == whose) for name, title in views
        ],
        "owners": whose != "mine",
        "create": Action(title=_("Add a task"), href="/tasks/new", icon="plus", look="primary", open="dialog", key="c")
        if request.subject.may("tasks:create")
        else None,
    }


@view_config(
    route_name="tasks.board_more", request_method="GET", renderer="crm_tasks:templates/column.pt", permission=VIEW
)
def board_more(request: Request) -> dict[str, Any]:
    """Answer the next part of a column."""
    whose, state = whose_of(request), request.matchdict["state"]
    if state not in COLUMNS:
        raise HTTPNotFound
    found = days.board(request.gate, state, whose=whose, after=_place(request))
    lines = LineReader(request).lines(found[: days.COLUMN], owners=whose != "mine")
    return {"lines": lines, "more_href": _more(whose, state, found), "owners": whose != "mine", "state": state}


def _more(whose: str, state: str, found: Any) -> str:
    if len(found) <= days.COLUMN:
        return ""
    last = found[days.COLUMN - 1]
    at = last.completed_at if state in CLOSED_STATES else last.sort_at
    text = base64.urlsafe_b64encode(json.dumps([at.isoformat(), last.id]).encode()).decode().rstrip("=")
    return f"/tasks/board/{state}?whose={whose}&after={text}"


def _place(request: Request) -> tuple[dt.datetime, int] | None:
    text = str(request.GET.get("after", ""))
    try:
        at, number = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return dt.datetime.fromisoformat(at), int(number)
    except (ValueError, TypeError):
        raise HTTPNotFound from None
