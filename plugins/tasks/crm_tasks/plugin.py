"""What this plugin adds: its table of contents."""

from __future__ import annotations

from collections.abc import Iterable

from pyramid.config import Configurator

from crm_core.events import EventContext
from crm_core.hooks import hookimpl
from crm_core.specs import Entity, Event, EventType, Job, Permission, PluginInfo, Setting, SettingsPage
from crm_tasks import __version__, entities, events, handlers, jobs, permissions, settings
from crm_tasks.i18n import _

PLUGIN = PluginInfo(
    name="tasks",
    package="crm_tasks",
    title=_("Tasks"),
    description=_("Who does what by when, on any record."),
    version=__version__,
    icon="checkbox",
)


@hookimpl
def crm_permissions() -> Iterable[Permission]:
    """Return what roles may be granted over tasks."""
    return permissions.PERMISSIONS


@hookimpl
def crm_entities() -> Iterable[Entity]:
    """Return the task."""
    return entities.ENTITIES


@hookimpl
def crm_event_types() -> Iterable[EventType]:
    """Return the facts that this plugin tells."""
    return events.EVENT_TYPES


@hookimpl
def crm_settings() -> Iterable[Setting | SettingsPage]:
    """Return how the company works with tasks."""
    return settings.SETTINGS


@hookimpl
def crm_jobs() -> Iterable[Job]:
    """Return what is done by the clock."""
    return jobs.JOBS


@hookimpl
def crm_event(event: Event, context: EventContext) -> None:
    """Keep what stands beside tasks in step, and make tasks of facts."""
    handlers.react(event, context)


@hookimpl
def crm_include(config: Configurator) -> None:
    """Add this plugin's own pages."""
    config.include("crm_tasks.routes")
