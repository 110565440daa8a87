"""Blocks of the home page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyramid.request import Request

from crm_core.records.gate import user_names
from crm_core.security.permissions import DIRECTOR, HEAD
from crm_core.specs import Widget
from crm_core.views.shapes import PersonView
from crm_tasks.entities import TASKS
from crm_tasks.i18n import _
from crm_tasks.models import Task
from crm_tasks.permissions import VIEW
from crm_tasks.services import days
from crm_tasks.views.reading import LineReader

MOST = 10


def _html(request: Request, found: Sequence[Task], *, owners: bool) -> str:
    reader = LineReader(request)
    return reader.html(reader.lines(found, owners=owners), owners=owners, acting=False) if found else ""


def my_day(request: Request) -> Mapping[str, Any]:
    """Return what is overdue and what is to be done today."""
    day = days.my_day(request.gate)
    found = [*day.overdue, *day.today]
    return {
        "html": _html(request, found[:MOST], owners=False),
        "more": max(0, len(found) - MOST),
        "empty": _("Nothing for today."),
        "all_href": "/tasks/day",
        "all_title": _("My day"),
    }


def handed_out(request: Request) -> Mapping[str, Any] | None:
    """Return what one gave to others."""
    found = days.handed_out(request.gate)
    if not found and "own" in request.subject.scopes("tasks:create") and not request.subject.may("tasks:assign"):
        return None
    return {
        "html": _html(request, found, owners=True),
        "more": 0,
        "empty": _("Nothing is handed out."),
        "all_href": f"{TASKS.url}?f=handed_out:is:1&f=open:is:1",
        "all_title": _("Everything handed out"),
    }


def team(request: Request) -> Mapping[str, Any] | None:
    """Return who of one's people has how many overdue tasks."""
    if not (request.subject.headed or "all" in request.subject.scopes(VIEW)):
        return None
    rows = days.overdue_of_team(request.gate)
    names = user_names(request.db, [row.owner_id for row in rows])
    formats = request.formats
    return {
        "rows": [
            {
                "person": PersonView.of(names[row.owner_id], row.owner_id),
                "count": row.n,
                "oldest": formats.relative(row.oldest),
                "exact": formats.datetime(row.oldest),
                "href": f"{TASKS.url}?f=owner_id:any:{row.owner_id}&f=overdue:is:1",
            }
            for row in rows
            if row.owner_id in names
        ],
        "empty": _("Nothing is overdue in the department."),
    }


WIDGETS: tuple[Widget, ...] = (
    Widget(
        id="tasks.today", title=_("My day"), load=my_day, template="crm_tasks:templates/widget.pt", permission=VIEW,
        order=5,
    ),
    Widget(
        id="tasks.team", title=_("Overdue in the department"), load=team, template="crm_tasks:templates/team.pt",
        permission=VIEW, roles=(HEAD, DIRECTOR), order=15,
    ),
    Widget(
        id="tasks.handed_out", title=_("Handed out"), load=handed_out, template="crm_tasks:templates/widget.pt",
        permission=VIEW, order=20,
    ),
)  # fmt: skip
