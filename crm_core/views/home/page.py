"""The page itself: a greeting, first steps where there is nothing yet, frames of blocks, and their order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from pyramid.httpexceptions import HTTPNotFound
from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from sqlalchemy.dialects import postgresql as pg

from crm_core import clock, company
from crm_core.i18n import _
from crm_core.models import Preference
from crm_core.plugins import Plugins
from crm_core.records.gate import Gate
from crm_core.security import permissions
from crm_core.specs import Widget
from crm_core.views.errors import new_number, will_be_retried
from crm_core.views.filling import go
from crm_core.views.shapes import Action, LinkCard, LinkGroup, PanelFrame
from crm_core.views.shell import create_actions, import_action

log = structlog.get_logger(__name__)

PREFERENCE = "home"
MOST_WIDGETS = 40

_PATRONYMICS = ("вич", "вна", "чна", "ьич")


def given_name(name: str) -> str:
    """Return the name by which a person is greeted; ФИО of three words is told by its patronymic."""
    words = name.split()
    if len(words) == 3 and words[2].lower().endswith(_PATRONYMICS):
        return words[1]
    return words[0] if words else ""


def greeting(request: Request) -> str:
    """Return a greeting for the time of day at the reader's place."""
    hour = clock.now().astimezone(request.formats.tz).hour
    words = (
        _("Good night, ${name}") if hour < 5 else _("Good morning, ${name}") if hour < 12
        else _("Good afternoon, ${name}") if hour < 18 else _("Good evening, ${name}")
    )  # fmt: skip
    return request.translate(words, {"name": given_name(request.subject.name)}).rstrip(", ")


# -- which blocks --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """A block that the person may have, and whether he has it."""

    widget: Widget
    shown: bool


def allowed(request: Request) -> list[Widget]:
    """Return the blocks that the person may see, in the order of their plugins."""
    plugins: Plugins = request.registry["crm.plugins"]
    found = [widget for widget in plugins.widgets.values() if request.subject.may(widget.permission)]
    return sorted(found, key=lambda widget: (widget.order, widget.id))


def arranged(request: Request) -> list[Choice]:
    """Return the blocks as the person arranged them; those that came since stand where their plugin wants them."""
    kept = request.db.scalar(
        sa.select(Preference.value).where(Preference.user_id == request.subject.user_id, Preference.key == PREFERENCE)
    )
    shown: list[str] = list(kept.get("shown", ())) if isinstance(kept, dict) else []
    hidden = set(kept.get("hidden", ())) if isinstance(kept, dict) else set()
    place = {name: index for index, name in enumerate(shown)}
    known: list[Choice] = []
    fresh: list[Choice] = []
    for widget in allowed(request):
        usual = not widget.roles or bool(set(widget.roles) & request.subject.roles)
        choice = Choice(widget, widget.id in place or (usual and widget.id not in hidden))
        (known if widget.id in place else fresh).append(choice)
    known.sort(key=lambda choice: place[choice.widget.id])
    if not known:
        return fresh
    # Each newcomer stands before the first arranged block that is meant to come later than it.
    for choice in fresh:
        order = choice.widget.order
        at = next((i for i, other in enumerate(known) if other.widget.order > order), len(known))
        known.insert(at, choice)
    return known


def has_records(gate: Gate) -> bool:
    """Tell whether there is any record of the menu that the subject may see."""
    parts = []
    for entity in gate.plugins.entities.values():
        if entity.in_menu and not entity.parent and gate.may(entity, "view"):
            model: Any = entity.model
            parts.append(gate.select(entity, model.id).limit(1))
    if not parts:
        return False
    statement = sa.select(sa.union_all(*(sa.select(one.subquery()) for one in parts)).subquery().c.id).limit(1)
    return gate.session.scalar(statement) is not None


def first_doors(request: Request) -> list[LinkCard]:
    """Return what to begin with while there is nothing to look at, as far as the person may do it."""
    subject = request.subject
    found: list[LinkCard] = []
    if (bring := import_action(request)) is not None:
        found.append(
            LinkCard(
                title=_("Bring in your clients"),
                text=_("A table from Excel or another CRM, checked before it goes in."),
                href=bring.href,
                icon=bring.icon,
            )
        )
    for action in create_actions(request)[:2]:
        if action.open == "dialog":
            text = _("By hand; only a name is needed to begin with.")
            found.append(LinkCard(title=_("Create: ${what}", mapping={"what": action.title.lower()}), text=text,
                                  href=action.href, icon=action.icon))  # fmt: skip
    if subject.may(permissions.USERS_INVITE):
        found.append(
            LinkCard(
                title=_("Invite colleagues"),
                text=_("A link to copy is enough; mail need not work yet."),
                href="/settings/users/invite",
                icon="user-plus",
            )
        )
    found.append(
        LinkCard(
            title=_("Tell about yourself"),
            text=_("Name, photo, language, light or dark."),
            href="/profile",
            icon="user-circle",
        )
    )
    return found


@view_config(route_name="home", request_method="GET", renderer="crm_core:templates/home/home.pt")
def home(request: Request) -> dict[str, Any]:
    """Show the home page; its blocks come after the first paint."""
    frames = [
        (
            PanelFrame(
                id=choice.widget.id.replace(".", "-"),
                title=request.translate(choice.widget.title),
                href=f"/home/widgets/{choice.widget.id}",
            ),
            choice.widget.wide,
        )
        for choice in arranged(request)
        if choice.shown
    ]
    empty = not has_records(request.gate)
    formats = request.formats
    steps = request.company.get(company.FIRST_RUN) or {}
    return {
        "title": _("Home"),
        "greeting": greeting(request),
        "today": request.translate(
            _("Today is ${weekday}, ${date}"),
            {"weekday": _weekday(request), "date": formats.date(clock.today(formats.tz))},
        ),
        "frames": frames,
        "doors": [LinkGroup(title=_("What to begin with"), items=first_doors(request))] if empty else [],
        "alone": empty and not _may_begin(request),
        "steps_href": "/first-steps" if steps.get("open") and request.subject.may(permissions.SETTINGS_EDIT) else "",
        "actions": [
            Action(title=_("Arrange"), href="/home/arrange", icon="adjustments-horizontal", look="ghost", open="dialog")
        ],
    }


def _may_begin(request: Request) -> bool:
    plugins: Plugins = request.registry["crm.plugins"]
    return any(request.subject.may(f"{entity.permission_prefix}:create") for entity in plugins.entities.values()
               if entity.in_menu and not entity.parent) or request.subject.may(permissions.USERS_INVITE)  # fmt: skip


def _weekday(request: Request) -> str:
    names = (
        _("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday"),
    )  # fmt: skip
    said = request.translate(names[clock.today(request.formats.tz).weekday()])
    return said if request.locale == "en" else said.lower()


# -- one block -----------------------------------------------------------------------------------------------------


def _find(request: Request, widgets: Iterable[Widget]) -> Widget:
    wanted = request.matchdict["id"]
    found = next((widget for widget in widgets if widget.id == wanted), None)
    if found is None:
        raise HTTPNotFound
    return found


@view_config(route_name="home.widget", request_method="GET")
def show_widget(request: Request) -> Response:
    """Answer the content of one block; a fault of it is told in its frame and stays there."""
    widget = _find(request, allowed(request))
    try:
        with request.db.begin_nested():
            values = widget.load(request)
        if values is None:
            return Response('<span data-nothing="" hidden></span>')
        return Response(render(widget.template, dict(values), request=request))
    except Exception as error:
        if will_be_retried(request, error):
            raise
        number = new_number()
        log.error("widget_failed", widget=widget.id, number=number, exc_info=error)
        return Response(render("crm_core:templates/home/fault.pt", {"error_number": number}, request=request))


# -- the order -----------------------------------------------------------------------------------------------------


@view_config(route_name="home.arrange", request_method="GET", renderer="crm_core:templates/home/arrange.pt")
def arrange_form(request: Request) -> dict[str, Any]:
    """Show the blocks with a tick at those that are shown, to be put in order."""
    return {"title": _("Arrange the home page"), "choices": arranged(request)}


@view_config(route_name="home.arrange", request_method="POST", permission=permissions.PREFERENCES_EDIT)
def arrange(request: Request) -> Any:
    """Keep which blocks are shown and in which order, or forget it."""
    user_id = request.subject.user_id
    if "reset" in request.POST:
        statement = sa.delete(Preference).where(Preference.user_id == user_id, Preference.key == PREFERENCE)
        request.db.execute(statement, execution_options={"synchronize_session": False})
        request.toast(_("The home page is as at first."))
        return go(request, "/")
    known = [widget.id for widget in allowed(request)]
    shown = [name for name in dict.fromkeys(request.POST.getall("widget")) if name in known][:MOST_WIDGETS]
    value = {"shown": shown, "hidden": [name for name in known if name not in shown]}
    insert = pg.insert(Preference).values(user_id=user_id, key=PREFERENCE, value=value)
    request.db.execute(insert.on_conflict_do_update(index_elements=["user_id", "key"], set_={"value": value}))
    request.toast(_("The home page is arranged."))
    return go(request, "/")
