"""Facts that this plugin tells besides those of every entity."""

from __future__ import annotations

from crm_clients.i18n import _
from crm_core.specs import EventType

INTERACTION_RECORDED = "clients.interaction.recorded"
"""A call, meeting, letter, message, visit or note was recorded."""

LINKED = "clients.membership.linked"
"""A person was linked to a company."""

UNLINKED = "clients.membership.unlinked"
"""A person was taken off a company."""

EVENT_TYPES: tuple[EventType, ...] = (
    EventType(
        name=INTERACTION_RECORDED,
        title=_("Something was said with a client"),
        payload=("id", "kind", "direction", "subject_entity", "subject_id", "at"),
    ),
    EventType(name=LINKED, title=_("A person was linked to a company"), payload=("person_id", "company_id")),
    EventType(name=UNLINKED, title=_("A person was taken off a company"), payload=("person_id", "company_id")),
)
