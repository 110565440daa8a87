"""What this plugin adds: its table of contents."""

from __future__ import annotations

from collections.abc import Iterable

from pyramid.config import Configurator

from crm_calls import __version__, asterisk, entities, events, handlers, hookspecs, jobs, panels, permissions
from crm_calls.entities import CALLS
from crm_calls.i18n import _
from crm_core.events import EventContext
from crm_core.hooks import hookimpl
from crm_core.specs import (
    Entity,
    Event,
    EventType,
    Job,
    NavItem,
    Panel,
    Permission,
    PluginInfo,
    Setting,
    SettingsPage,
)

PLUGIN = PluginInfo(
    name="calls",
    package="crm_calls",
    title=_("Telephony"),
    description=_("Who calls, calls by a click, missed calls, recordings."),
    version=__version__,
    requires=("clients",),
    hookspecs=hookspecs,
    assets=("calls.js", "calls.css"),
    icon="phone",
)


@hookimpl
def crm_permissions() -> Iterable[Permission]:
    """Return what roles may be granted over calls."""
    return permissions.PERMISSIONS


@hookimpl
def crm_entities() -> Iterable[Entity]:
    """Return calls."""
    return entities.ENTITIES


@hookimpl
def crm_event_types() -> Iterable[EventType]:
    """Return the facts that this plugin tells."""
    return events.EVENT_TYPES


@hookimpl
def crm_nav_items() -> Iterable[NavItem]:
    """Return calls, numbers of nobody, and who called how much."""
    return (
        NavItem(
            id="calls.list",
            title=CALLS.title_plural,
            href=CALLS.url,
            icon=CALLS.icon,
            group="sales",
            permission=permissions.VIEW,
            order=40,
            key="z",
            words="звонки телефония вызовы пропущенные calls telephony",
        ),
        NavItem(
            id="calls.unknown",
            title=_("Unknown numbers"),
            href="/calls/unknown",
            icon="phone-incoming",
            group="sales",
            permission=permissions.VIEW,
            order=41,
            words="неизвестные номера звонки unknown numbers",
        ),
        NavItem(
            id="calls.report",
            title=_("Report on calls"),
            href="/calls/report",
            icon="phone-call",
            group="reports",
            permission=permissions.FIGURES,
            order=40,
            words="отчёт по звонкам звонки по сотрудникам calls report",
        ),
    )


@hookimpl
def crm_panels() -> Iterable[Panel]:
    """Return the recording on the card of a call."""
    return panels.PANELS


@hookimpl
def crm_settings() -> Iterable[Setting | SettingsPage]:
    """Return the page of telephony and what it keeps."""
    return (
        SettingsPage(
            id="calls",
            title=_("Telephony"),
            permission=permissions.SETTINGS,
            icon="phone",
            href="/settings/calls/gateways",
            description=_("Exchanges and providers, internal numbers of people, recordings"),
            order=24,
            words="телефония атс asterisk звонки номера sip",
        ),
        Setting(
            key=jobs.HOSTS,
            title=_("Hosts inside the network that may hold recordings"),
            kind="longtext",
            default="",
            page="calls",
            help=_("One a line, host or host:port. All other addresses of the inner network are refused."),
        ),
    )


@hookimpl
def crm_jobs() -> Iterable[Job]:
    """Return what telephony does outside requests."""
    return jobs.JOBS


@hookimpl
def crm_include(config: Configurator) -> None:
    """Add this plugin's own pages."""
    config.include("crm_calls.routes")


@hookimpl
def crm_event(event: Event, context: EventContext) -> None:
    """Put calls of numbers that were nobody's on the clients that get them."""
    handlers.react(event, context)


@hookimpl
def crm_telephony_adapters() -> Iterable[hookspecs.Adapter]:
    """Return Asterisk and signed requests."""
    return asterisk.ADAPTERS
