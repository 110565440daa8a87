"""The demo company: an invented firm with people, clients and a year behind it, on this machine only.

`fill` makes the core's part (accounts, departments, roles, settings); a plugin adds its own by a module
`<package>.demo` with a function `fill(context)`; whose part it hangs on it names in `AFTER`. All dates are relative to
today, all choices come from a fixed seed.
"""

from __future__ import annotations

import importlib
import importlib.util

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, sessionmaker

from crm_core.db import GuardedSession
from crm_core.demo.company import ACCOUNTS, PASSWORD, DemoAccount, fill_company
from crm_core.demo.context import DemoContext
from crm_core.models.log import Operation
from crm_core.plugins import Plugins
from crm_core.records import operations
from crm_core.security.subject import Subject

log = structlog.get_logger(__name__)

__all__ = ["ACCOUNTS", "PASSWORD", "DemoAccount", "DemoContext", "fill"]

#: Kind of the operation by which a part of the demo is known to be there.
KIND = "demo"
_LOCK = 0x0C12_0003


def fill(factory: sessionmaker[GuardedSession], plugins: Plugins) -> bool:
    """Make what is not there yet of the core's and every listed plugin's part; tell whether there was anything to do.

    All of it is one transaction, so that a start that was broken off begins anew. A plugin that is listed later is
    filled in then. An installation with accounts of its own is left alone.
    """
    with factory() as session, session.begin():
        session.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        done = set(session.scalars(sa.select(Operation.note).where(Operation.kind == KIND)))
        if not done and _in_use(session):
            return False
        wanted = [name for name in plugins.names() if name not in done and (name == "core" or _module(plugins, name))]
        if not wanted:
            return False
        context = DemoContext(session, plugins)
        for name in _in_order(plugins, wanted):
            if name == "core":
                fill_company(context)
            else:
                context.read_company()
                importlib.import_module(_module(plugins, name)).fill(context)
            context.play()
            operations.begin(session, Subject.system("demo"), kind=KIND, source="cli", note=name)
            log.info("demo_filled", plugin=name)
    return True


def _in_order(plugins: Plugins, wanted: list[str]) -> list[str]:
    """Return the parts so that each comes after those it names in `AFTER`, else as they were."""
    after = {
        name: set(getattr(importlib.import_module(_module(plugins, name)), "AFTER", ())) & set(wanted)
        for name in wanted
        if name != "core"
    }
    found: list[str] = []
    left = list(wanted)
    while left:
        # Whoever waits for one another is filled in the order of the list.
        ready = next((name for name in left if after.get(name, set()) <= set(found)), left[0])
        left.remove(ready)
        found.append(ready)
    return found


def _module(plugins: Plugins, name: str) -> str:
    package = plugins.info(name).package
    return f"{package}.demo" if importlib.util.find_spec(f"{package}.demo") is not None else ""


def _in_use(session: Session) -> bool:
    return session.scalar(sa.text("SELECT EXISTS (SELECT 1 FROM core_user)")) or False
