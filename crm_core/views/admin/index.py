"""The front page of settings, and pages that are nothing but the settings a plugin declares."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPForbidden, HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_core.i18n import _
from crm_core.people import Refused
from crm_core.plugins import Plugins
from crm_core.records import operations
from crm_core.security.subject import Subject
from crm_core.specs import Setting, SettingsPage
from crm_core.views.filling import Filling, choices, go, typed
from crm_core.views.shapes import Crumb, FieldView, FormPage, LinkCard, LinkGroup, Section

FORM = "crm_core:templates/admin/form.pt"

#: Groups of the front page by the order of their pages.
_GROUPS = ((40, _("Company")), (60, _("People and rights")), (80, _("System")), (10_000, _("Modules")))

CRUMB = Crumb(title=_("Settings"), href="/settings")


def pages_for(plugins: Plugins, subject: Subject) -> list[SettingsPage]:
    """Return the settings pages that the subject may open, in their order."""
    found = [page for page in plugins.settings_pages.values() if subject.may(page.permission)]
    return sorted(found, key=lambda page: (page.order, page.id))


def page_href(page: SettingsPage) -> str:
    """Return where a page of settings lives."""
    return page.href or f"/settings/{page.id}"


@view_config(route_name="settings.index", request_method="GET", renderer="crm_core:templates/admin/index.pt")
def index(request: Request) -> dict[str, Any]:
    """Show the settings pages that this person may open."""
    groups: list[LinkGroup] = []
    rest = pages_for(request.registry["crm.plugins"], request.subject)
    for limit, title in _GROUPS:
        mine = [page for page in rest if page.order < limit]
        rest = [page for page in rest if page.order >= limit]
        if mine:
            items = [
                LinkCard(title=page.title, href=page_href(page), text=page.description, icon=page.icon) for page in mine
            ]
            groups.append(LinkGroup(title=title, items=items))
    return {"title": _("Settings"), "groups": groups}


def describe(request: Request, **plan: Any) -> None:
    """Say that what follows changes settings, and who does it."""
    operations.describe(request.db, request.subject, kind="settings", address=request.client_addr or "", **plan)


def setting_field(form: Filling, spec: Setting, value: Any) -> FieldView:
    """Return the field of one setting."""
    kind = {"secret": "password"}.get(spec.kind, spec.kind)
    more: dict[str, Any] = {"help": spec.help}
    if spec.kind == "choice":
        more["choices"] = choices(spec.choices)
    if spec.kind == "number":
        more["minimum"] = "" if spec.minimum is None else str(spec.minimum)
        more["maximum"] = "" if spec.maximum is None else str(spec.maximum)
    if spec.kind == "secret":
        more |= {"placeholder": "••••••••" if value else "", "autocomplete": "new-password"}
        value = ""
    return form.field(spec.key, spec.title, kind, value, **more)


def read_setting(request: Request, spec: Setting) -> Any:
    """Return the posted value of one setting; Refused names the field."""
    if spec.kind == "bool":
        return spec.key in request.POST
    text = typed(request, spec.key).strip()
    if spec.kind == "number":
        try:
            number = int(text)
        except ValueError:
            raise Refused(_("Write a number."), spec.key) from None
        if (spec.minimum is not None and number < spec.minimum) or (spec.maximum is not None and number > spec.maximum):
            raise Refused(
                _("Write a number from ${least} to ${most}.", mapping={"least": spec.minimum, "most": spec.maximum}),
                spec.key,
            )
        return number
    if spec.kind == "choice" and text not in {value for value, _title in spec.choices}:
        raise Refused(_("Choose one from the list."), spec.key)
    if len(text) > 5000:
        raise Refused(_("This is too long."), spec.key)
    return text


def save_settings(request: Request, specs: list[Setting]) -> None:
    """Save the posted values of several settings; an empty secret stays as it was."""
    values = {spec.key: read_setting(request, spec) for spec in specs}
    describe(request)
    for spec in specs:
        value = values[spec.key]
        if spec.kind == "secret" and not value:
            continue
        if spec.kind == "secret" or value != request.company.get(spec.key):
            request.company.set(spec.key, value)


def _declared(request: Request) -> tuple[SettingsPage, list[Setting]]:
    plugins: Plugins = request.registry["crm.plugins"]
    page = plugins.settings_pages.get(request.matchdict["page"])
    if page is None or page.href:
        raise HTTPNotFound
    if not request.subject.may(page.permission):
        raise HTTPForbidden
    return page, [spec for spec in plugins.settings.values() if spec.page == page.id]


def _page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    page, specs = _declared(request)
    form = Filling(request, refused)
    fields = [setting_field(form, spec, request.company.get(spec.key)) for spec in specs]
    return {
        "title": page.title,
        "page": FormPage(
            title=page.title,
            intro=page.description,
            action=request.path,
            submit=_("Save the settings"),
            errors=form.errors,
            crumbs=[CRUMB],
            sections=[Section(fields=fields)],
        ),
    }


@view_config(route_name="settings.page", request_method="GET", renderer=FORM)
def declared_form(request: Request) -> dict[str, Any]:
    """Show a page made of the settings that a plugin declares; the page's own permission is asked inside."""
    return _page(request)


@view_config(route_name="settings.page", request_method="POST", renderer=FORM)
def declared(request: Request) -> Any:
    """Save a page made of settings that a plugin declares."""
    _info, specs = _declared(request)
    try:
        save_settings(request, specs)
    except Refused as refused:
        return _page(request, refused)
    request.toast(_("The settings are saved."))
    return go(request, request.path)
