"""Facts: what happened is told to every plugin that wants to know, inside the transaction that made it happen.

Each handler (`crm_event`) runs in a savepoint of its own, so that a plugin's fault never undoes what the user saved.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy.orm import Session

from crm_core import clock, jobs, notify
from crm_core.db import to_json
from crm_core.i18n import _
from crm_core.notify.kinds import FAULT
from crm_core.specs import Event, EventType

if TYPE_CHECKING:
    from crm_core.plugins import Plugins
    from crm_core.security.subject import Subject

__all__ = ["BULK", "Event", "EventContext", "EventType", "fire", "fire_bulk"]

log = structlog.get_logger(__name__)

#: Ids in one event of bulk work.
BULK = 1000

#: Facts that handlers make of facts, before someone must be going round in a circle.
DEPTH = 8
_DEPTH = "crm.event_depth"


@dataclass(frozen=True)
class EventContext:
    """What a handler works with; there is no request, for facts also come from jobs."""

    session: Session
    subject: Subject
    plugins: Plugins

    @property
    def now(self) -> dt.datetime:
        """The present moment."""
        return clock.now()

    def enqueue(self, name: str, **arguments: Any) -> int:
        """Enqueue work that runs once the fact is committed; see `crm_core.jobs.enqueue`."""
        return jobs.enqueue(self.session, name, **arguments)

    def fire(self, event: Event) -> None:
        """Tell a fact that follows from this one."""
        fire(self.session, event, plugins=self.plugins, subject=self.subject)


def fire(session: Session, event: Event, *, plugins: Plugins, subject: Subject) -> None:
    """Tell a fact to every handler, requirements first; a handler's fault is logged and told to administrators.

    Errors of the database that go away when the whole transaction is tried again are raised.
    """
    if event.name not in plugins.event_types:
        raise LookupError(f"{event.name!r} is not declared in any plugin's crm_event_types")
    to_json(event.payload)  # TypeError for what is not plain data
    depth = session.info.get(_DEPTH, 0)
    if depth >= DEPTH:
        log.error("event_circle", fact=event.name, depth=depth)
        return
    context = EventContext(session, subject, plugins)
    session.info[_DEPTH] = depth + 1
    try:
        for implementation in reversed(plugins.manager.hook.crm_event.get_hookimpls()):
            given = {"event": event, "context": context}
            arguments = {name: given[name] for name in implementation.argnames if name in given}
            try:
                with session.begin_nested():
                    implementation.function(**arguments)
            except Exception as error:
                if jobs.worth_a_retry(error) or isinstance(error, jobs.LostLease):
                    raise
                _report(session, plugins, implementation.plugin_name, event, error)
    finally:
        session.info[_DEPTH] = depth


def fire_bulk(
    session: Session, name: str, ids: Iterable[int], *, plugins: Plugins, subject: Subject, **payload: Any
) -> None:
    """Tell one fact about many records: an event for each thousand, with `ids` in its payload."""
    for chunk in _chunks(ids):
        fire(session, Event(name, {"ids": chunk, **payload}), plugins=plugins, subject=subject)


def _chunks(ids: Iterable[int]) -> Iterator[Sequence[int]]:
    rest = iter(ids)
    while chunk := list(islice(rest, BULK)):
        yield chunk


def _report(session: Session, plugins: Plugins, plugin: str, event: Event, error: Exception) -> None:
    log.error("plugin_fault", plugin=plugin, fact=event.name, error=jobs.describe(error))
    notify.notify(
        session,
        notify.holders(session, "plugins:manage"),
        key=f"plugin.fault:{plugin}:{clock.today()}",
        kind=FAULT,
        title=_("The plugin “${plugin}” failed to react to “${fact}”"),
        values={"plugin": str(plugins.info(plugin).title), "fact": event.name},
        href="/settings/plugins",
    )
