"""Every question that the core asks its plugins. Each is asked once at start, unless it says otherwise.

The signatures with examples are in `plugins/README.md`; a test keeps the two equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from crm_core.hooks import hookspec

if TYPE_CHECKING:
    from pyramid.config import Configurator

    from crm_core.events import EventContext
    from crm_core.specs import (
        Channel,
        Entity,
        Event,
        EventType,
        Job,
        NavItem,
        Panel,
        Permission,
        Role,
        Setting,
        SettingsPage,
        Widget,
    )


@hookspec
def crm_permissions() -> Iterable[Permission]:  # type: ignore[empty-body]
    """Return what roles may be granted; new ones go to their default roles once, when they first appear."""


@hookspec
def crm_roles() -> Iterable[Role]:  # type: ignore[empty-body]
    """Return roles that ship; a role that exists already is left as the administrator made it."""


@hookspec
def crm_entities() -> Iterable[Entity]:  # type: ignore[empty-body]
    """Return the kinds of records."""


@hookspec
def crm_event_types() -> Iterable[EventType]:  # type: ignore[empty-body]
    """Return the facts this plugin tells by `events.fire`."""


@hookspec
def crm_nav_items() -> Iterable[NavItem]:  # type: ignore[empty-body]
    """Return entries of the menu."""


@hookspec
def crm_widgets() -> Iterable[Widget]:  # type: ignore[empty-body]
    """Return blocks of the home page."""


@hookspec
def crm_panels() -> Iterable[Panel]:  # type: ignore[empty-body]
    """Return blocks of record cards, also of other plugins' records."""


@hookspec
def crm_settings() -> Iterable[Setting | SettingsPage]:  # type: ignore[empty-body]
    """Return settings of the company and pages of settings."""


@hookspec
def crm_jobs() -> Iterable[Job]:  # type: ignore[empty-body]
    """Return work that runs outside requests, on demand or by the clock."""


@hookspec
def crm_channels() -> Iterable[Channel]:  # type: ignore[empty-body]
    """Return ways by which notifications reach people, beside the bell."""


@hookspec
def crm_include(config: Configurator) -> None:
    """Add routes, views and request methods; called with a configurator of the plugin's own package."""


@hookspec
def crm_event(event: Event, context: EventContext) -> None:
    """React to a fact, in a savepoint of its own; called in the transaction that made the fact."""
