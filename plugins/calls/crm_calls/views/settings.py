"""Settings of telephony: gateways, their secrets and states, internal numbers of people, hosts of recordings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_calls import gateways, jobs
from crm_calls.gateways import Refused
from crm_calls.i18n import DOMAIN, _
from crm_calls.models import Gateway, Line, Link
from crm_calls.permissions import SETTINGS
from crm_calls.views import go
from crm_core import jobs as core_jobs
from crm_core.i18n import TranslationString
from crm_core.models.accounts import ACTIVE, Team, User
from crm_core.records import operations
from crm_core.records.gate import user_names
from crm_core.views.shapes import Action, Badge, Choice, Crumb, EmptyState, FieldView, FormPage, Section

LIST, FORM = "crm_calls:templates/gateways.pt", "crm_calls:templates/form.pt"
HERE = "/settings/calls/gateways"


def _crumbs(request: Request, *, inside: bool = False) -> list[Crumb]:
    found = [Crumb(title=request.translate(_("Settings")), href="/settings")]
    return [*found, Crumb(title=request.translate(_("Telephony")), href=HERE)] if inside else found


def _typed(request: Request, name: str) -> str:
    value = request.POST.get(name, "")
    return value.replace("\x00", "").strip() if isinstance(value, str) else ""


def _number(request: Request, name: str) -> int | None:
    value = _typed(request, name)
    return int(value) if value.isdecimal() and len(value) < 19 else None


def _post(title: Any, href: str, icon: str = "", look: str = "") -> Action:
    return Action(title=title, href=href, icon=icon, look=look, method="post")


# -- the page ----------------------------------------------------------------------------------------------------------


@view_config(route_name="calls.gateways", request_method="GET", permission=SETTINGS, renderer=LIST)
def show(request: Request) -> dict[str, Any]:
    """Show what is connected and who has which number."""
    known = gateways.adapters(request.gate.plugins)
    rows = request.db.execute(
        sa.select(Gateway, Link).outerjoin(Link, Link.gateway_id == Gateway.id).order_by(Gateway.id)
    ).all()
    lines = request.db.scalars(sa.select(Line).order_by(Line.gateway_id, Line.number)).all()
    names = user_names(request.db, [line.user_id for line in lines])
    teams = {row[0]: row[1] for row in request.db.execute(sa.select(Team.id, Team.name))}
    titles = {gateway.id: gateway.name for gateway, _link in rows}
    say = request.translate
    return {
        "title": _("Telephony"),
        "crumbs": _crumbs(request),
        "gateways": [_gateway_item(request, gateway, link, known.get(gateway.adapter)) for gateway, link in rows],
        "adapters": [
            {"title": say(one.title), "about": say(one.about), "href": f"{HERE}/new/{one.name}"}
            for one in known.values()
        ],
        "lines": [
            {
                "number": line.number,
                "gateway": titles.get(line.gateway_id, ""),
                "who": names.get(line.user_id or 0, "") or teams.get(line.team_id or 0, ""),
                "team": line.user_id is None,
                "href": f"/settings/calls/lines/{line.id}",
            }
            for line in lines
        ],
        "add_line": Action(title=_("Add an internal number"), href="/settings/calls/lines/new", icon="plus")
        if rows
        else None,
        "empty": EmptyState(
            title=_("No telephony yet"),
            text=_(
                "Connect an exchange: missed calls become visible, clients are recognised, numbers dial by a click."
            ),
            icon="phone",
        ),
        "hosts": _hosts_page(request),
    }


def _gateway_item(request: Request, gateway: Gateway, link: Link | None, adapter: Any) -> dict[str, Any]:
    say = request.translate
    if not gateway.active:
        badge, hint = Badge(text=say(_("Off")), tone="muted"), ""
    elif adapter is None:
        badge, hint = Badge(text=say(_("Not installed")), tone="danger", icon="alert-triangle"), gateway.adapter
    elif link is not None and link.failed_at is not None:
        badge = Badge(text=say(_("Does not answer")), tone="danger", icon="alert-triangle")
        hint = say(TranslationString(link.error, domain=DOMAIN))
    elif link is not None and (link.connected_at or link.heard_at):
        badge, hint = Badge(text=say(_("Works")), tone="success", icon="circle-check"), ""
    else:
        badge, hint = Badge(text=say(_("Nothing heard yet")), tone="muted"), ""
    heard = ""
    if link is not None and link.heard_at is not None:
        ago = request.formats.relative(link.heard_at)
        heard = say(_("Last call told ${when}", mapping={"when": ago}))
    actions = []
    if adapter is not None and gateway.active and (adapter.listens or adapter.dials):
        actions.append(_post(_("Check the connection"), f"{HERE}/{gateway.id}/test", "plug-connected"))
    return {
        "name": gateway.name,
        "href": f"{HERE}/{gateway.id}",
        "adapter": say(adapter.title) if adapter is not None else gateway.adapter,
        "badge": badge,
        "hint": hint,
        "heard": heard,
        "actions": actions,
    }


# -- one gateway -------------------------------------------------------------------------------------------------------


def _gateway(request: Request) -> Gateway:
    found = request.db.get(Gateway, int(request.matchdict["id"]))
    if found is None:
        raise HTTPNotFound
    return found


def _adapter(request: Request, name: str) -> Any:
    found = gateways.adapters(request.gate.plugins).get(name)
    if found is None:
        raise HTTPNotFound
    return found


def _gateway_page(
    request: Request, adapter: Any, gateway: Gateway | None, refused: Refused | None = None, secret: str = ""
) -> dict[str, Any]:
    say = request.translate
    posted = request.method == "POST" and "name" in request.POST
    kept: Mapping[str, Any] = gateway.settings if gateway is not None else {}

    def field(name: str, title: Any, value: str, kind: str = "text", **more: Any) -> FieldView:
        error = say(refused.message) if refused is not None and refused.field == name else ""
        typed = _typed(request, name) if posted and kind != "password" else value
        return FieldView(name=name, title=say(title), kind=kind, value=typed, error=error, **more)

    fields = [field("name", _("Name"), gateway.name if gateway else say(adapter.title), required=True, maxlength=120)]
    for name, title, kind, default in adapter.fields:
        required = name in getattr(adapter, "required", ())
        fields.append(
            field(name, title, str(kept.get(name, default)), "text" if kind == "number" else kind, required=required)
        )
    if adapter.password_title:
        is_set = gateway is not None and gateway.password is not None
        fields.append(
            field(
                "password", adapter.password_title, "", "password", required=not is_set,
                placeholder="••••••••" if is_set else "", autocomplete="new-password",
            )
        )  # fmt: skip
    active = (_typed(request, "active") == "1") if posted else gateway is None or gateway.active
    fields.append(FieldView(name="active", title=say(_("On")), kind="bool", value=active))
    if refused is not None:
        request.response.status_int = 422
    title = gateway.name if gateway else say(adapter.title)
    page = FormPage(
        title=title,
        intro=say(adapter.about),
        action=f"{HERE}/{gateway.id}" if gateway else f"{HERE}/new/{adapter.name}",
        submit=_("Save the telephony") if gateway else _("Connect the telephony"),
        sections=[Section(fields=fields)],
        errors=[(f"f-{refused.field}", say(refused.message))] if refused is not None else (),
        cancel_href=HERE,
        crumbs=_crumbs(request, inside=True),
    )
    return {
        "title": title,
        "page": page,
        "actions": (),
        "contract": _contract(request, gateway, secret) if gateway is not None else None,
    }


def _contract(request: Request, gateway: Gateway, secret: str) -> dict[str, Any]:
    base = request.company.base_url or request.application_url
    return {
        "address": f"{base.rstrip('/')}/calls/in/{gateway.id}",
        "secret": secret,
        "is_set": gateway.secret is not None,
        "renew": _post(
            _("Make a new secret") if gateway.secret is not None else _("Make a secret"),
            f"{HERE}/{gateway.id}/secret",
            "key",
        ),
    }


@view_config(route_name="calls.gateway_new", request_method="GET", permission=SETTINGS, renderer=FORM)
def new(request: Request) -> dict[str, Any]:
    """Show the form of a new gateway."""
    return _gateway_page(request, _adapter(request, request.matchdict["adapter"]), None)


@view_config(route_name="calls.gateway_new", request_method="POST", permission=SETTINGS, renderer=FORM)
def create(request: Request) -> Any:
    """Make a gateway."""
    return _save(request, _adapter(request, request.matchdict["adapter"]), None)


@view_config(route_name="calls.gateway", request_method="GET", permission=SETTINGS, renderer=FORM)
def edit(request: Request) -> dict[str, Any]:
    """Show the form of a gateway."""
    gateway = _gateway(request)
    return _gateway_page(request, _adapter(request, gateway.adapter), gateway)


@view_config(route_name="calls.gateway", request_method="POST", permission=SETTINGS, renderer=FORM)
def save(request: Request) -> Any:
    """Save a gateway; what keeps the connections sees it within seconds."""
    gateway = _gateway(request)
    return _save(request, _adapter(request, gateway.adapter), gateway)


def _save(request: Request, adapter: Any, gateway: Gateway | None) -> Any:
    try:
        saved = gateways.save_gateway(
            request.db,
            request.subject,
            gateway,
            name=_typed(request, "name"),
            adapter=adapter,
            values={name: _typed(request, name) for name, _title, _kind, _default in adapter.fields},
            password=_typed(request, "password"),
            active=_typed(request, "active") == "1",
        )
    except Refused as refused:
        return _gateway_page(request, adapter, gateway, refused)
    if adapter.listens:
        core_jobs.enqueue(request.db, jobs.LISTEN, key=f"schedule:{jobs.LISTEN}")
    request.toast(_("The telephony is saved."))
    return go(request, HERE if gateway is not None or adapter.listens else f"{HERE}/{saved.id}")


@view_config(route_name="calls.gateway_secret", request_method="POST", permission=SETTINGS, renderer=FORM)
def renew_secret(request: Request) -> dict[str, Any]:
    """Make a fresh secret to sign by and show it, once."""
    gateway = _gateway(request)
    secret = gateways.new_secret(request.db, request.subject, gateway)
    request.response.cache_control.no_store = True
    return _gateway_page(request, _adapter(request, gateway.adapter), gateway, secret=secret)


@view_config(route_name="calls.gateway_test", request_method="POST", permission=SETTINGS)
def check(request: Request) -> Any:
    """Have the connection tried by a job; its word comes to this page."""
    gateway = _gateway(request)
    core_jobs.enqueue(
        request.db, jobs.TEST, key=f"{jobs.TEST}:{gateway.id}", user_id=request.subject.user_id, gateway_id=gateway.id
    )
    request.toast(_("The connection is being tried."), tone="info")
    return go(request, HERE)


# -- internal numbers --------------------------------------------------------------------------------------------------


def _line(request: Request) -> Line:
    found = request.db.get(Line, int(request.matchdict["id"]))
    if found is None:
        raise HTTPNotFound
    return found


def _line_page(request: Request, line: Line | None, refused: Refused | None = None) -> dict[str, Any]:
    say = request.translate
    posted = request.method == "POST"
    systems = request.db.execute(sa.select(Gateway.id, Gateway.name).order_by(Gateway.id)).all()
    people = request.db.execute(
        sa.select(User.id, User.name)
        .where(sa.or_(User.status == ACTIVE, User.id == (line.user_id if line else None)))
        .order_by(sa.func.lower(User.name))
    ).all()
    teams = request.db.execute(sa.select(Team.id, Team.name).order_by(sa.func.lower(Team.name))).all()

    def field(name: str, title: Any, value: Any, kind: str = "text", pairs: Any = (), **more: Any) -> FieldView:
        error = say(refused.message) if refused is not None and refused.field == name else ""
        typed = _typed(request, name) if posted else "" if value is None else str(value)
        choices = [Choice(value=str(number), title=text) for number, text in pairs]
        return FieldView(name=name, title=say(title), kind=kind, value=typed, error=error, choices=choices, **more)

    first = systems[0][0] if len(systems) == 1 else None
    fields = [
        field("number", _("Internal number"), line.number if line else "", required=True, maxlength=40, autofocus=True),
        field("gateway_id", _("Telephony"), line.gateway_id if line else first, "choice", systems, required=True),
        field("user_id", _("Whose"), line.user_id if line else None, "choice", people),
        field(
            "team_id", _("Department"), line.team_id if line else None, "choice", teams,
            help=say(
                _("For a number that rings for all: missed calls go to the head where nobody else is responsible.")
            ),
        ),
    ]  # fmt: skip
    if refused is not None:
        request.response.status_int = 422
    title = _("Internal number ${number}", mapping={"number": line.number}) if line else _("New internal number")
    page = FormPage(
        title=say(title),
        action=f"/settings/calls/lines/{line.id}" if line else "/settings/calls/lines/new",
        submit=_("Save the number") if line else _("Add the number"),
        sections=[Section(fields=fields)],
        errors=[(f"f-{refused.field}", say(refused.message))] if refused is not None else (),
        cancel_href=HERE,
        crumbs=_crumbs(request, inside=True),
    )
    actions = (
        [_post(_("Take the number away"), f"/settings/calls/lines/{line.id}/delete", "trash", "danger")] if line else ()
    )
    return {"title": say(title), "page": page, "actions": actions, "contract": None}


@view_config(route_name="calls.line_new", request_method="GET", permission=SETTINGS, renderer=FORM)
def new_line(request: Request) -> dict[str, Any]:
    """Show the form of a new internal number."""
    return _line_page(request, None)


@view_config(route_name="calls.line_new", request_method="POST", permission=SETTINGS, renderer=FORM)
def create_line(request: Request) -> Any:
    """Add an internal number."""
    return _save_line(request, None)


@view_config(route_name="calls.line", request_method="GET", permission=SETTINGS, renderer=FORM)
def edit_line(request: Request) -> dict[str, Any]:
    """Show the form of an internal number."""
    return _line_page(request, _line(request))


@view_config(route_name="calls.line", request_method="POST", permission=SETTINGS, renderer=FORM)
def update_line(request: Request) -> Any:
    """Save an internal number."""
    return _save_line(request, _line(request))


def _save_line(request: Request, line: Line | None) -> Any:
    try:
        gateways.save_line(
            request.db,
            request.subject,
            line,
            gateway_id=_number(request, "gateway_id"),
            number=_typed(request, "number"),
            user_id=_number(request, "user_id"),
            team_id=_number(request, "team_id"),
        )
    except Refused as refused:
        return _line_page(request, line, refused)
    request.toast(_("The internal number is saved."))
    return go(request, HERE)


@view_config(route_name="calls.line_delete", request_method="POST", permission=SETTINGS)
def delete_line(request: Request) -> Any:
    """Take an internal number away; its calls stay."""
    gateways.delete_line(request.db, request.subject, _line(request))
    request.toast(_("The internal number is taken away."))
    return go(request, HERE)


# -- recordings --------------------------------------------------------------------------------------------------------


def _hosts_page(request: Request) -> FormPage:
    spec = request.company.spec(jobs.HOSTS)
    field = FieldView(
        name="hosts",
        title=request.translate(spec.title),
        kind="longtext",
        value=request.company.get(jobs.HOSTS),
        help=request.translate(spec.help),
        rows=3,
        maxlength=2000,
    )
    return FormPage(
        id="hosts",
        title=_("Recordings"),
        action="/settings/calls/recordings",
        submit=_("Save the hosts"),
        sections=[Section(fields=[field])],
    )


@view_config(route_name="calls.recordings", request_method="POST", permission=SETTINGS)
def save_hosts(request: Request) -> Any:
    """Save which hosts inside the network may hold recordings."""
    operations.describe(request.db, request.subject, kind="settings")
    request.company.set(jobs.HOSTS, _typed(request, "hosts")[:2000])
    request.toast(_("The hosts are saved."))
    return go(request, HERE)
