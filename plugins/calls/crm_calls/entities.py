"""What the core makes lists, cards, export, history and the client's timeline of: calls."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from crm_calls.contract import INCOMING, TALKED
from crm_calls.i18n import _
from crm_calls.models import Call
from crm_calls.permissions import LISTEN, RANG
from crm_calls.schemas import (
    ANSWERED,
    ENDED,
    MISSED,
    NOT_REACHED,
    RESULTS,
    RINGING,
    CallSchema,
    GatewaySchema,
    LineSchema,
)
from crm_core.records import cleaning
from crm_core.specs import Attachment, Entity, Filter, NamedScope, Part, TimelineEntry

CALL = "calls.call"
PERSON, COMPANY = "clients.person", "clients.company"

HIDDEN = "—"


def prepare_call(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the number as fields show it and as people write it."""
    number = row.get("number") or ""
    return {
        "phones": [{"value": number, "main": True}] if number else [],
        "caption": cleaning.write_phone(number) if number else HIDDEN,
    }


def call_title(row: Any) -> Any:
    """Return what a call is in words: "Missed call"."""
    if row.status == MISSED:
        return _("Missed call")
    if row.status == NOT_REACHED:
        return _("Call without an answer")
    return _("Incoming call") if row.direction == INCOMING else _("Outgoing call")


def call_icon(row: Any) -> str:
    """Return the sign of a call."""
    if row.status in (MISSED, NOT_REACHED):
        return "phone-x"
    return "phone-incoming" if row.direction == INCOMING else "phone-outgoing"


def call_entry(row: Any) -> TimelineEntry:
    """Return how a call stands in the timeline of its client, with its recording for those who may listen."""
    facts: list[tuple[str, Any, str]] = [(_("Number"), row.caption, "text")]
    if row.duration_s:
        facts.append((_("Duration"), row.duration_s, "seconds"))
    if row.result and row.result != TALKED:
        facts.append((_("How it ended"), dict(RESULTS).get(row.result, row.result), "text"))
    if len(row.path) > 1:
        facts.append((_("Put through"), " → ".join(row.path), "text"))
    files: tuple[Attachment, ...] = ()
    if row.recording:
        href = f"/calls/{row.id}/recording"
        files = (Attachment(title=_("Recording"), href=href, icon="headphones", permission=LISTEN),)
    return TimelineEntry(
        kind=row.direction,
        icon=call_icon(row),
        title=call_title(row),
        text=row.comment or "",
        tone="danger" if row.status == MISSED else "",
        facts=tuple(facts),
        files=files,
    )


def _rang(model: Any, subject: Any) -> Any:
    return model.rang.contains([subject.user_id or 0])


def _unknown(model: Any, wanted: bool, _context: Any) -> Any:
    return model.subject_id.is_(None) if wanted else model.subject_id.is_not(None)


def _with_recording(model: Any, wanted: bool, _context: Any) -> Any:
    return model.recording.is_not(None) if wanted else model.recording.is_(None)


def _longer(model: Any, value: str, _context: Any) -> Any:
    minutes = int(value) if value.isdecimal() and len(value) < 5 else 0
    return model.duration_s >= minutes * 60


def talks(model: Any) -> tuple[Any, Any]:
    """Say which calls were a talk with their client, and when."""
    return model.started_at, model.answered_at.is_not(None)


CALLS = Entity(
    name=CALL,
    title=_("Call"),
    title_plural=_("Calls"),
    model=Call,
    schema=CallSchema,
    permission_prefix="calls",
    url="/calls",
    icon="phone",
    about=_(
        "Calls that your telephony tells of: who called, who talked, what was missed. "
        "An administrator connects it in the settings."
    ),
    label="caption",
    sort="started_at",
    descending=True,
    hint=("direction",),
    head=("started_at", "duration_s", "result"),
    columns=("person_id", "direction", "status", "owner_id", "started_at", "duration_s"),
    parent="subject",
    scopes=(
        NamedScope(
            name=RANG, title=_("rang on his own line"), sentence=_("It rang on the person's line"), criterion=_rang
        ),
    ),
    filters=(
        Filter(
            name="unknown", title=_("Number of no client"), kind="bool", criterion=_unknown,
            sentence=_("Number of no client"),
        ),
        Filter(
            name="recorded", title=_("Has a recording"), kind="bool", criterion=_with_recording,
            sentence=_("Has a recording"),
        ),
        Filter(
            name="longer", title=_("Talk of N minutes or longer"), kind="text", criterion=_longer,
            sentence=_("Talk of ${value} minutes or longer"),
        ),
    ),
    parts=(
        Part(name="calls.gateway", title=_("Telephony"), schema=GatewaySchema),
        Part(name="calls.line", title=_("Internal number"), schema=LineSchema),
    ),
    prepare=prepare_call,
    importable=False,
    searchable=False,
    in_menu=False,
    entry=call_entry,
    contact=talks,
    tells_owner=False,
)  # fmt: skip

ENTITIES: tuple[Entity, ...] = (CALLS,)

#: A call that nobody ends is forgotten by telephony after this long: rings an hour, talks half a day.
RINGS, TALKS = dt.timedelta(hours=1), dt.timedelta(hours=12)


def is_open(row: Any) -> bool:
    """Tell whether a call still goes on."""
    return row.status in (RINGING, ANSWERED)


__all__ = ["ANSWERED", "CALL", "CALLS", "COMPANY", "ENDED", "ENTITIES", "PERSON", "RINGS", "TALKS"]
