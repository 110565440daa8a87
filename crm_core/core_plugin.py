"""What the core itself answers to the hooks: its table of contents, by the same door as every plugin's."""

from __future__ import annotations

from collections.abc import Iterable

import crm_core
from crm_core import channels, company, files, jobs, mail, notify, settings_pages
from crm_core.hooks import hookimpl
from crm_core.i18n import _
from crm_core.people import jobs as people_jobs
from crm_core.records import settings as records_settings
from crm_core.records import work
from crm_core.security import permissions
from crm_core.specs import (
    Channel,
    Entity,
    EventType,
    Job,
    NavItem,
    Permission,
    PluginInfo,
    Role,
    Setting,
    SettingsPage,
    Widget,
)
from crm_core.views.home import widgets

PLUGIN = PluginInfo(
    name="core",
    package="crm_core",
    title=_("Core"),
    description=_("Accounts, roles, records, storage, jobs and the shell of the pages."),
    version=crm_core.__version__,
    migrations=False,
    icon="building",
)


@hookimpl
def crm_permissions() -> Iterable[Permission]:
    """Return the core's permissions."""
    return (*permissions.PERMISSIONS, *files.PERMISSIONS)


@hookimpl
def crm_roles() -> Iterable[Role]:
    """Return the roles that ship."""
    return permissions.ROLES


@hookimpl
def crm_entities() -> Iterable[Entity]:
    """Return the core's own kinds of records."""
    return (files.FILE,)


@hookimpl
def crm_event_types() -> Iterable[EventType]:
    """Return what the core tells people of."""
    return notify.KINDS


@hookimpl
def crm_channels() -> Iterable[Channel]:
    """Return the channel that everybody has: mail."""
    return channels.CHANNELS


@hookimpl
def crm_jobs() -> Iterable[Job]:
    """Return what the core does outside requests."""
    return (*jobs.JOBS, *notify.JOBS, *mail.JOBS, *channels.JOBS, *work.JOBS, *people_jobs.JOBS)


@hookimpl
def crm_settings() -> Iterable[Setting | SettingsPage]:
    """Return the company's settings and the core's pages of settings."""
    return (*company.SETTINGS, *settings_pages.PAGES, *records_settings.SETTINGS)


@hookimpl
def crm_nav_items() -> Iterable[NavItem]:
    """Return the core's entries of the menu."""
    return (
        NavItem(
            id="settings",
            title=_("Settings"),
            href="/settings",
            icon="settings",
            group="settings",
            order=90,
            key="s",
            words="настройки параметры",
        ),
        NavItem(
            id="users",
            title=_("Users"),
            href="/settings/users",
            icon="users",
            group="settings",
            permission=permissions.USERS_INVITE,
            order=20,
            words="пользователи сотрудники",
        ),
        NavItem(
            id="log",
            title=_("Log of operations"),
            href="/settings/log",
            icon="history",
            group="settings",
            permission=permissions.LOG_UNDO,
            order=30,
            words="журнал аудит откат",
        ),
    )


@hookimpl
def crm_widgets() -> Iterable[Widget]:
    """Return the core's blocks of the home page."""
    return widgets.WIDGETS
