"""What the core itself answers to the hooks: its table of contents, by the same door as every plugin's."""

from __future__ import annotations

from collections.abc import Iterable

import crm_core
from crm_core import files, jobs, mail
from crm_core.hooks import hookimpl
from crm_core.i18n import _
from crm_core.records import work
from crm_core.security import permissions
from crm_core.specs import Entity, Job, Permission, PluginInfo, Role

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
def crm_jobs() -> Iterable[Job]:
    """Return what the core does outside requests."""
    return (*jobs.JOBS, *mail.JOBS, *work.JOBS)
