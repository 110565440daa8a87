"""What telephony tells of calls, and how it proves that it is itself: the HTTP contract and every adapter's events.

One event says all that is known of the call by then, so that events may come twice, late and in any order. README.md
shows the contract with examples. Standard library only.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from crm_core import clock

STARTED, ANSWERED, ENDED, RECORDING = "started", "answered", "ended", "recording"
EVENTS = (STARTED, ANSWERED, ENDED, RECORDING)

INCOMING, OUTGOING = "in", "out"

TALKED, NO_ANSWER, BUSY, CANCELLED, FAILED, LOST = "answered", "no_answer", "busy", "cancelled", "failed", "lost"
RESULTS = (TALKED, NO_ANSWER, BUSY, CANCELLED, FAILED, LOST)

TIMESTAMP, SIGNATURE = "X-CRM-Timestamp", "X-CRM-Signature"

#: Seconds by which the sender's clock may differ, and for which a message that somebody overheard could be sent again.
WINDOW = 300
#: Bytes of an event, and of an event with its recording.
MAX_EVENT = 64 * 1024
MAX_RECORDING = 50 * 1024 * 1024

_OLDEST = dt.timedelta(days=31)
_AHEAD = dt.timedelta(minutes=10)


class ContractError(ValueError):
    """Tells which part of an event cannot be taken and why; in English, for whoever programs the other side."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


@dataclass(frozen=True, kw_only=True)
class CallEvent:
    """One thing that happened to a call."""

    event: str
    call: str
    """What the gateway calls the call: the same in all its events."""
    at: dt.datetime
    direction: str = ""
    number: str = ""
    """The other side's, in any usual way of writing; empty: hidden."""
    lines: tuple[str, ...] = ()
    """Internal numbers: those that ring, or the one that answered."""
    result: str = ""
    seconds: int | None = None
    """Of talk."""
    recording_url: str = ""


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a message: what goes into the header."""
    return "sha256=" + hmac.digest(secret.encode(), timestamp.encode() + b"." + body, "sha256").hex()


def is_signed(secret: str, timestamp: str, signature: str, chunks: Any, now: float) -> bool:
    """Tell whether a message of these chunks was signed with the secret a moment ago."""
    if not secret or not timestamp.isascii() or not timestamp.isdecimal() or len(timestamp) > 12:
        return False
    mac = hmac.new(secret.encode(), timestamp.encode() + b".", hashlib.sha256)
    for chunk in chunks:
        mac.update(chunk)
    same = hmac.compare_digest(("sha256=" + mac.hexdigest()).encode(), signature.strip().encode("utf-8", "replace"))
    return same and abs(now - int(timestamp)) <= WINDOW


def read_event(data: Any) -> CallEvent:
    """Read one event from what its JSON says; ContractError names the part that is wrong."""
    if not isinstance(data, Mapping):
        raise ContractError("body", "must be a JSON object")
    event = _word(data, "event", EVENTS)
    call = _text(data, "call", 120)
    if not call:
        raise ContractError("call", "is required: what your side calls the call")
    lines = data.get("lines", data.get("line") or [])
    if isinstance(lines, str):
        lines = [lines]
    if not isinstance(lines, list | tuple) or len(lines) > 100 or not all(isinstance(one, str) for one in lines):
        raise ContractError("lines", "must be internal numbers as texts, at most 100")
    for one in lines:
        if not one.strip() or len(one) > 40 or not one.isprintable():
            raise ContractError("lines", "an internal number has 1 to 40 printable characters")
    url = _text(data, "recording_url", 2000)
    if url and urlsplit(url).scheme not in ("http", "https"):
        raise ContractError("recording_url", "must begin with https:// or http://")
    return CallEvent(
        event=event,
        call=call,
        at=_instant(data.get("at")),
        direction=_word(data, "direction", (INCOMING, OUTGOING), optional=True),
        number=_text(data, "number", 60),
        lines=tuple(one.strip() for one in lines),
        result=_word(data, "result", RESULTS, optional=event != ENDED),
        seconds=_seconds(data.get("seconds")),
        recording_url=url,
    )


def _text(data: Mapping[str, Any], name: str, longest: int) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise ContractError(name, f"must be a text of at most {longest} printable characters")
    return value.strip()


def _word(data: Mapping[str, Any], name: str, words: tuple[str, ...], *, optional: bool = False) -> str:
    value = data.get(name)
    if optional and value in (None, ""):
        return ""
    if not isinstance(value, str) or value not in words:
        raise ContractError(name, f"must be one of {', '.join(words)}")
    return value


def _instant(value: Any) -> dt.datetime:
    now = clock.now()
    if value is None:
        return now
    if not isinstance(value, str):
        raise ContractError("at", "must be a text like 2026-07-24T10:15:00+04:00")
    try:
        at = dt.datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise ValueError
        at = at.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise ContractError("at", "must be an instant with its zone, like 2026-07-24T10:15:00+04:00") from None
    if not now - _OLDEST <= at <= now + _AHEAD:
        raise ContractError("at", "is more than 31 days ago or lies ahead: look at the clock of your side")
    return at


def _seconds(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 864_000:
        raise ContractError("seconds", "must be a whole number of seconds")
    return value
