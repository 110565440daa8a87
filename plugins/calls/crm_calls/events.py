"""Facts that this plugin tells besides those of every entity."""

from __future__ import annotations

from crm_calls.i18n import _
from crm_calls.permissions import VIEW
from crm_core.specs import EventType

STARTED = "calls.call.started"
"""A call began to ring, or somebody dialled."""

ANSWERED = "calls.call.answered"
"""Somebody took the receiver."""

ENDED = "calls.call.ended"
"""A call is over, talked or not."""

MISSED = "calls.call.missed"
"""Nobody answered an incoming call; told once, to whoever is to call back."""

UNKNOWN = "calls.number.unknown"
"""An incoming call from a number that no client has is over."""

_CALL = ("id", "entity", "record_id", "user_id", "number", "at", "direction")

EVENT_TYPES: tuple[EventType, ...] = (
    EventType(name=STARTED, title=_("A call began"), payload=_CALL),
    EventType(name=ANSWERED, title=_("A call was answered"), payload=_CALL),
    EventType(name=ENDED, title=_("A call is over"), payload=(*_CALL, "answered", "seconds")),
    EventType(
        name=MISSED,
        title=_("A call was missed"),
        payload=_CALL,
        notify=("bell",),
        group=_("Calls"),
        icon="phone-x",
        told_to=VIEW,
    ),
    EventType(
        name=UNKNOWN,
        title=_("Somebody called whom we do not know"),
        payload=("id", "number", "at", "user_id", "answered"),
    ),
)
