"""What this plugin adds: its table of contents."""

from __future__ import annotations

from collections.abc import Iterable

from crm_clients import __version__, entities, events, handlers, permissions
from crm_clients.i18n import _
from crm_core.events import EventContext
from crm_core.hooks import hookimpl
from crm_core.specs import Entity, Event, EventType, Permission, PluginInfo

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
def crm_event(event: Event, context: EventContext) -> None:
    """Keep the last contact and the links of companies in step."""
    handlers.react(event, context)
