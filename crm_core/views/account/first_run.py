"""The first visit to an empty installation: the first administrator, then the steps that can be resumed at any time."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from crm_core import company, people
from crm_core.i18n import _
from crm_core.people import FIRST_STEPS, Refused
from crm_core.security import limits, sessions
from crm_core.security.permissions import SETTINGS_EDIT
from crm_core.security.sessions import Device
from crm_core.views.account.doors import PLAIN, TOO_MANY, let_in, person_fields, plain
from crm_core.views.filling import Filling, typed
from crm_core.views.shapes import FormPage, Section


def _setup_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    form = Filling(request, refused)
    code = form.field(
        "code",
        _("Code from the console"),
        "text",
        request.GET.get("code", ""),
        required=True,
        autocomplete="off",
        help=_("The CRM printed it when it started; it works once."),
    )
    return plain(
        FormPage(
            title=_("Welcome"),
            action="/setup",
            submit=_("Create the administrator"),
            intro=_("This CRM is new. Make its first account, the administrator's."),
            errors=form.errors,
            sections=[Section(fields=[code, *person_fields(form)])],
        )
    )


@view_config(route_name="account.setup", request_method="GET", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def setup_form(request: Request) -> Any:
    """Show the form of the first administrator, while there is nobody."""
    if not people.needs_first_administrator(request.db):
        return HTTPSeeOther("/sign-in")
    return _setup_page(request)


@view_config(route_name="account.setup", request_method="POST", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def setup(request: Request) -> Any:
    """Make the first administrator and begin the first steps."""
    if not request.limits.hit(limits.TOKEN_ADDRESS, request.client_addr or ""):
        return _setup_page(request, Refused(TOO_MANY))
    try:
        user = people.make_first_administrator(
            request.db,
            request.company,
            typed(request, "code"),
            email=typed(request, "email"),
            name=typed(request, "name"),
            password=typed(request, "password"),
            address=request.application_url,
            locale=request.locale,
        )
    except Refused as refused:
        return _setup_page(request, refused)
    device = Device.of(request)
    people.note_sign_in(request.db, "in", device, user.id)
    return let_in(request, sessions.open_session(request.db, user.id, device), "/first-steps")


@view_config(
    route_name="account.first_steps",
    request_method="GET",
    permission=SETTINGS_EDIT,
    renderer="crm_core:templates/account/first_steps.pt",
)
def first_steps(request: Request) -> dict[str, Any]:
    """Show the steps, those that are done ticked; each can be done later or not at all."""
    state = request.company.get(company.FIRST_RUN) or {"done": [], "open": False}
    steps = [step for step in FIRST_STEPS if request.subject.may(step.permission)]
    done = set(state["done"])
    return {
        "title": _("First steps"),
        "steps": [(step, step.id in done) for step in steps],
        "done": sum(step.id in done for step in steps),
        "open": state["open"],
    }


@view_config(route_name="account.first_steps", request_method="POST", permission=SETTINGS_EDIT)
def mark_step(request: Request) -> Any:
    """Tick a step or untick it, or put the whole list away."""
    state = request.company.get(company.FIRST_RUN) or {"done": [], "open": True}
    done = set(state["done"])
    step = typed(request, "step")
    if step in {one.id for one in FIRST_STEPS}:
        done ^= {step}
    close = "close" in request.POST
    request.company.set(company.FIRST_RUN, {"done": sorted(done), "open": not close})
    return HTTPSeeOther("/" if close else "/first-steps")


def step_done(request: Request, step: str) -> None:
    """Tick a step of the first run because its page was used; nothing once the list is put away."""
    state = request.company.get(company.FIRST_RUN)
    if state and state["open"] and step not in state["done"]:
        request.company.set(company.FIRST_RUN, {**state, "done": sorted({*state["done"], step})})
