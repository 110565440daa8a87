"""What follows from facts: calls of numbers that were nobody's go to the clients that get these numbers."""

from __future__ import annotations

from crm_calls import services
from crm_core.events import EventContext
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject
from crm_core.specs import Event

_VERBS = frozenset({"created", "changed", "restored"})


def react(event: Event, context: EventContext) -> None:
    """Do what follows from a fact, if anything."""
    name, _dot, verb = event.name.rpartition(".")
    entity = context.plugins.entities.get(name)
    if entity is None or verb not in _VERBS or not entity.phones:
        return
    gate = Gate(context.session, Subject.system("calls follow the client"), context.plugins)
    services.know_clients(gate, name, event.payload["ids"])
