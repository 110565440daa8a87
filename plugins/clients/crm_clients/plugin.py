"""What this plugin adds: its table of contents."""

from __future__ import annotations

from collections.abc import Iterable

from pyramid.config import Configurator

from crm_clients import __version__, entities, events, handlers, panels, permissions, widgets
from crm_clients.entities import COMPANIES, PERSONS
from crm_clients.i18n import _
from crm_core.events import EventContext
from crm_core.hooks import hookimpl
from crm_core.specs import Entity, Event, EventType, NavItem, Panel, Permission, PluginInfo, Widget

PLUGIN = PluginInfo(
    name="clients",
    package="crm_clients",
    title=_("Clients"),
    description=_("People and companies, and what was said with them."),
    version=__version__,
    icon="address-book",
)


@hookimpl
def crm_permissions() -> Iterable[Permission]:
    """Return what roles may be granted over clients."""
    return permissions.PERMISSIONS


@hookimpl
def crm_entities() -> Iterable[Entity]:
    """Return people, companies and interactions."""
    return entities.ENTITIES


@hookimpl
def crm_event_types() -> Iterable[EventType]:
    """Return the facts that this plugin tells."""
    return events.EVENT_TYPES


@hookimpl
def crm_nav_items() -> Iterable[NavItem]:
    """Return people and companies in the menu."""
    return (
        NavItem(
            id="clients.people",
            title=PERSONS.title_plural,
            href=PERSONS.url,
            icon=PERSONS.icon,
            group="sales",
            permission=permissions.VIEW,
            order=10,
            key="p",
            words="клиенты контакты люди контрагенты клиент контакт clients contacts",
        ),
        NavItem(
            id="clients.companies",
            title=COMPANIES.title_plural,
            href=COMPANIES.url,
            icon=COMPANIES.icon,
            group="sales",
            permission=permissions.VIEW,
            order=11,
            key="k",
            words="компании организации фирмы контрагенты юрлица clients firms accounts",
        ),
    )


@hookimpl
def crm_panels() -> Iterable[Panel]:
    """Return companies of a person, people and branches of a company."""
    return panels.PANELS


@hookimpl
def crm_widgets() -> Iterable[Widget]:
    """Return blocks of the home page."""
    return widgets.WIDGETS


@hookimpl
def crm_include(config: Configurator) -> None:
    """Add this plugin's own pages."""
    config.include("crm_clients.routes")


@hookimpl
def crm_event(event: Event, context: EventContext) -> None:
    """Keep the last contact and the links of companies in step."""
    handlers.react(event, context)
