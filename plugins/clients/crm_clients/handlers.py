"""What follows from facts: the last contact, and links to main companies."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crm_clients import services
from crm_clients.entities import CLIENTS, INTERACTION, PERSON
from crm_core.db import RecordRef
from crm_core.events import EventContext
from crm_core.specs import Event


def react(event: Event, context: EventContext) -> None:
    """Do what follows from a fact, if anything."""
    handler = HANDLERS.get(event.name)
    if handler is not None:
        handler(event, context)


def _interactions_changed(event: Event, context: EventContext) -> None:
    refs = services.subjects_of(context.session, event.payload["ids"])
    services.refresh_contacts(context.session, refs)


def _call_ended(event: Event, context: EventContext) -> None:
    entity, number = event.payload.get("entity"), event.payload.get("record_id")
    if event.payload.get("answered") and entity in CLIENTS and number:
        services.refresh_contacts(context.session, [RecordRef(entity, number)])


def _people_changed(event: Event, context: EventContext) -> None:
    services.link_main_companies(context.session, event.payload["ids"])


HANDLERS: Mapping[str, Callable[[Event, EventContext], None]] = {
    **dict.fromkeys((f"{INTERACTION}.{verb}" for verb in ("changed", "trashed", "restored")), _interactions_changed),
    # Told by telephony, where there is one.
    "calls.call.ended": _call_ended,
    f"{PERSON}.created": _people_changed,
    f"{PERSON}.changed": _people_changed,
}
