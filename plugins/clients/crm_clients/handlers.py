"""What follows from facts: the last contact, and links to main companies."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crm_clients import services
from crm_clients.entities import INTERACTION, PERSON
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


def _people_changed(event: Event, context: EventContext) -> None:
    services.link_main_companies(context.session, event.payload["ids"])


HANDLERS: Mapping[str, Callable[[Event, EventContext], None]] = {
    **dict.fromkeys((f"{INTERACTION}.{verb}" for verb in ("changed", "trashed", "restored")), _interactions_changed),
    f"{PERSON}.created": _people_changed,
    f"{PERSON}.changed": _people_changed,
}
