"""Plugins: which are installed, what each adds, and the line of the ini that says which are on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import migrations, plugins, restart
from crm_core.i18n import _
from crm_core.models import PluginState
from crm_core.people import Refused
from crm_core.plugins import Installed, PluginError, Plugins
from crm_core.security.permissions import PLUGINS_MANAGE, PLUGINS_VIEW
from crm_core.settings import write_setting
from crm_core.views.account.doors import proved
from crm_core.views.admin.index import CRUMB
from crm_core.views.filling import go, post_button, say, typed
from crm_core.views.shapes import Action, Badge, KeyValue, Notice

PAGE = "crm_core:templates/admin/plugins.pt"

_STATES = {
    "on": Badge(text=_("On"), tone="success"),
    "off": Badge(text=_("Off, data kept"), tone="muted"),
    "new": Badge(text=_("Installed, never on"), tone="info"),
    "archived": Badge(text=_("Archived"), tone="warning"),
    "purged": Badge(text=_("Purged"), tone="muted"),
    "missing": Badge(text=_("Package missing, data kept"), tone="danger"),
}

#: What a plugin may declare, in words.
_KINDS = (
    ("entity", _("Records")),
    ("permission", _("Rights")),
    ("role", _("Roles")),
    ("nav", _("Pages in the menu")),
    ("settings page", _("Pages of settings")),
    ("setting", _("Settings")),
    ("panel", _("Blocks on cards")),
    ("widget", _("Blocks on the home page")),
    ("event", _("Facts")),
    ("job", _("Jobs")),
)


def _data(request: Request) -> Path:
    return Path(request.registry.settings.get("crm.data", "var"))


def _listed(request: Request) -> list[str]:
    host: Plugins = request.registry["crm.plugins"]
    return [name for name in host.names() if name != "core"]


def _may_write(request: Request) -> bool:
    ini = request.registry.settings.get("crm.ini", "")
    # A fresh file replaces the old one, so the folder must be ours too.
    writable = bool(ini) and os.access(ini, os.W_OK) and os.access(Path(ini).parent, os.W_OK)
    return request.subject.may(PLUGINS_MANAGE) and writable and restart.is_served(_data(request))


def _tables(request: Request, name: str) -> list[str]:
    prefix = name.replace("_", "\\_") + "\\_%"
    rows = request.db.scalars(
        sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'crm' AND tablename LIKE :prefix ORDER BY 1"),
        {"prefix": prefix},
    )
    return [row for row in rows if not row.endswith("_alembic")]


def _adds(request: Request, host: Plugins, name: str) -> list[KeyValue]:
    texts: dict[str, dict[str, str]] = {
        "entity": {one.name: one.title_plural for one in host.entities.values()},
        "permission": {one.name: one.title for one in host.permissions.values()},
        "role": {one.name: one.title for one in host.roles.values()},
        "nav": {one.id: one.title for one in host.nav_items},
        "settings page": {one.id: one.title for one in host.settings_pages.values()},
        "setting": {one.key: one.title for one in host.settings.values()},
        "panel": {one.id: one.title for one in host.panels},
        "widget": {one.id: one.title for one in host.widgets.values()},
        "event": {one.name: one.title for one in host.event_types.values()},
        "job": {one.name: one.title or one.name for one in host.jobs.values()},
    }
    found = []
    for kind, title in _KINDS:
        mine = [key for (what, key), source in host.source.items() if what == kind and source == name]
        if mine:
            words = dict.fromkeys(request.translate(texts[kind].get(key, key)) for key in mine)
            found.append(KeyValue(title=title, value=", ".join(words)))
    return found


def _cards(request: Request) -> list[dict[str, Any]]:
    host: Plugins = request.registry["crm.plugins"]
    on, installed = _listed(request), plugins.discover()
    known = {row.name: row for row in request.db.scalars(sa.select(PluginState))}
    may = _may_write(request)
    cards = []
    for name in [*on, *sorted((installed.keys() | known.keys()) - set(on) - {"core"})]:
        row, package = known.get(name), installed.get(name)
        state = _state(name in on, row, package)
        tables = _tables(request, name)
        info = host.info(name) if name in on else None
        facts = _adds(request, host, name) if info else []
        if tables:
            facts.append(KeyValue(title=_("Tables"), value=", ".join(tables)))
        if info and info.requires:
            facts.append(KeyValue(title=_("Requires"), value=", ".join(info.requires)))
        dependants = [one.info.name for one in host.loaded if name in one.info.requires]
        if dependants:
            facts.append(KeyValue(title=_("Required by"), value=", ".join(dependants)))
        cards.append(
            {
                "name": name,
                "title": (info.title if info else row.title if row and row.title else name),
                "text": info.description if info else "",
                "icon": info.icon if info else "puzzle",
                "version": package.version if package else row.version if row else "",
                "badge": _STATES[state],
                "facts": facts,
                "line": "crm.plugins = " + " ".join(_toggled(on, name)),
                "line_title": _("To switch it off, the line in the ini is")
                if name in on
                else _("To switch it on, the line in the ini is"),
                "commands": _commands(name, state),
                "action": _toggle(name, state, dependants) if may else None,
            }
        )
    return cards


def _state(on: bool, row: PluginState | None, package: Installed | None) -> str:
    if on:
        return "on"
    if package is None:
        return row.state if row is not None and row.state in ("archived", "purged") else "missing"
    if row is None:
        return "new"
    return "off" if row.state == "on" else row.state


def _toggled(on: list[str], name: str) -> list[str]:
    return [one for one in on if one != name] if name in on else [*on, name]


def _commands(name: str, state: str) -> list[str]:
    if state == "off":
        return [f"crm plugin archive {name}", f"crm plugin purge {name}"]
    if state == "archived":
        return [f"crm plugin purge {name}"]
    return []


def _toggle(name: str, state: str, dependants: list[str]) -> Action | None:
    if state == "missing":
        return None
    on = state == "on"
    refused = _("Switch off first: ${names}", mapping={"names": ", ".join(dependants)}) if dependants else ""
    return post_button(
        _("Switch off and restart") if on else _("Switch on and restart"),
        f"/settings/plugins/{name}",
        "power",
        "" if on else "primary",
        values={"to": "off" if on else "on"},
        disabled=refused,
    )


def _page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    notices = []
    if error := restart.restart_error(_data(request)):
        notices.append(Notice(title=_("The last restart did not work"), text=error, tone="danger"))
    if refused is not None:
        notices.append(Notice(text=say(request, refused.sentence), tone="danger"))
        request.response.status_int = refused.status
    if request.subject.may(PLUGINS_MANAGE) and not _may_write(request):
        notices.append(
            Notice(
                text=_(
                    "Plugins are switched by the line crm.plugins of the ini and a restart; this page can do both "
                    "when the CRM runs under “crm serve” and may write the file."
                ),
            )
        )
    host: Plugins = request.registry["crm.plugins"]
    return {
        "title": _("Plugins"),
        "crumbs": [CRUMB],
        "notices": notices,
        "present": "crm.plugins = " + " ".join(_listed(request)),
        "ini": request.registry.settings.get("crm.ini", ""),
        "plugins": _cards(request),
        "core": _adds(request, host, "core"),
        "branches": [
            KeyValue(title=one.name, value=one.current or "")
            for one in migrations.states(request.db.connection(), host)
            if one.current
        ],
    }


@view_config(route_name="settings.plugins", request_method="GET", permission=PLUGINS_VIEW, renderer=PAGE)
def page(request: Request) -> dict[str, Any]:
    """Show the plugins, on or off, and what each adds."""
    return _page(request)


@view_config(route_name="settings.plugin_toggle", request_method="POST", permission=PLUGINS_MANAGE, renderer=PAGE)
@proved
def toggle(request: Request) -> Any:
    """Write the line of plugins and ask `crm serve` for a restart; what would not start is refused here."""
    name, on = request.matchdict["name"], _listed(request)
    if name not in plugins.discover() and name not in on:
        raise HTTPNotFound
    wanted = [one for one in on if one != name] + ([name] if typed(request, "to") == "on" else [])
    try:
        if not _may_write(request):
            raise Refused(_("This page may not write the ini; change the line there and restart."))
        if wanted != on:
            try:
                Plugins.build(wanted)
            except PluginError as error:
                raise Refused(str(error)) from error
            write_setting(Path(request.registry.settings["crm.ini"]), "crm.plugins", " ".join(wanted))
            restart.request_restart(_data(request))
    except Refused as refused:
        return _page(request, refused)
    request.toast(_("The line is written; the CRM starts anew, which takes some seconds."), tone="info")
    return go(request, "/settings/plugins")
