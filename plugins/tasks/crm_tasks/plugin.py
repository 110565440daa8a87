"""What this plugin adds: its table of contents."""

from __future__ import annotations

from collections.abc import Iterable

from pyramid.config import Configurator

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
    Widget,
)
from crm_tasks import __version__, entities, events, handlers, jobs, panels, permissions, settings, widgets
from crm_tasks.i18n import _

PLUGIN = PluginInfo(
    name="tasks",
    package="crm_tasks",
    title=_("Tasks"),
    description=_("Who does what by when, on any record."),
    version=__version__,
    icon="checkbox",
    assets=("tasks.js", "tasks.css", "schedule.js", "schedule.css"),
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
def crm_nav_items() -> Iterable[NavItem]:
    """Return my day, the schedule and the list of tasks in the menu."""
    return (
        NavItem(
            id="tasks.day",
            title=_("My day"),
            href="/tasks/day",
            icon="sun",
            group="home",
            permission=permissions.VIEW,
            order=20,
            key="m",
            words="мой день сегодня дела на сегодня today",
        ),
        NavItem(
            id="tasks.schedule",
            title=_("Schedule"),
            href="/tasks/schedule",
            icon="calendar",
            group="home",
            permission=permissions.VIEW,
            order=21,
            key="r",
            words="расписание календарь встречи занятость отпуск загрузка calendar meetings",
        ),
        NavItem(
            id="tasks.list",
            title=_("Tasks"),
            href="/tasks",
            icon="checkbox",
            group="sales",
            permission=permissions.VIEW,
            order=30,
            key="t",
            words="задачи дела поручения напоминания todo tasks",
        ),
    )


@hookimpl
def crm_panels() -> Iterable[Panel]:
    """Return tasks of every record, and what stands beside a task."""
    return panels.PANELS


@hookimpl
def crm_widgets() -> Iterable[Widget]:
    """Return blocks of the home page."""
    return widgets.WIDGETS


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
