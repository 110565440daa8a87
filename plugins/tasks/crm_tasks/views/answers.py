"""What the small views of this plugin answer: what was done, with the way back, or why it was not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response

from crm_core.forms import InvalidValues
from crm_core.records import operations, saving
from crm_tasks.entities import TASK, TASKS
from crm_tasks.i18n import _
from crm_tasks.models import Task
from crm_tasks.services.dependencies import Blocked

FORM = "crm_tasks:templates/form.pt"


def task_of(request: Request) -> Task:
    """Return the task that the address names, or answer 404 to whoever may not know of it."""
    task: Task | None = request.gate.get(TASK, int(request.matchdict["id"][:18]))
    if task is None:
        raise HTTPNotFound
    return task


def undo_href(request: Request) -> str:
    """Return the address that takes back what this request did."""
    operation = operations.current(request.db)
    return f"/operations/{operation}/undo" if operation else ""


def done(request: Request, where: str, said: str, *, tone: str = "success", **events: Any) -> Any:
    """Say that it is done, with the way back; the page stays where it is and asks for itself again."""
    back = undo_href(request) if tone == "success" else ""
    if not request.headers.get("HX-Request"):
        asked = events.get("crm:next")
        more = {"href": asked["href"], "href_title": request.translate(_("What next?"))} if asked else {}
        request.toast(said, tone, undo_href=back, **more)
        return HTTPSeeOther(where)
    told = {"text": request.translate(said), "undo_href": back, "tone": tone}
    return Response(status=204, headers={"HX-Trigger": json.dumps({"crm:toast": told, **events})})


def here(request: Request, task: Task) -> str:
    """Return where to go on to without scripts: the page one came from, or the card."""
    referrer = request.referrer or ""
    own = referrer.startswith(request.host_url + "/")
    return referrer if own else f"{TASKS.url}/{task.id}"


def refused(error: Exception) -> Any:
    """Return why something was refused, a message id."""
    if isinstance(error, InvalidValues):
        return next(iter(error.errors.values()))
    if isinstance(error, saving.Conflict):
        return _("Somebody changed this task a moment ago. Look at it again.")
    return error.message  # type: ignore[attr-defined]


REFUSALS = (saving.NotAllowed, saving.Conflict, Blocked, InvalidValues)


def at_once(request: Request, task: Task, do: Callable[[], Any], said: str) -> Any:
    """Do something by one click and say so, or say why not."""
    where = here(request, task)
    try:
        do()
    except REFUSALS as error:
        return done(request, where, refused(error), tone="danger")
    return done(request, where, said)
