"""Talks to Asterisk by its manager interface (AMI): hears of calls and asks it to dial.

Why a small reader of our own: the known library (panoramisk) is asyncio's and saw its last release in 2021, while AMI
is lines of `Key: value`, read here by the thread that waits for them. What events mean is in :class:`Exchange`, which
knows no socket.
"""

from __future__ import annotations

import contextlib
import hashlib
import select
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from crm_calls.contract import (
    ANSWERED,
    BUSY,
    CANCELLED,
    ENDED,
    FAILED,
    INCOMING,
    NO_ANSWER,
    OUTGOING,
    RECORDING,
    STARTED,
    TALKED,
)
from crm_calls.hookspecs import Account
from crm_calls.i18n import _

CONNECT_SECONDS = 10.0
PING_SECONDS = 10.0
SILENT_SECONDS = 35.0
MOST_BYTES = 256 * 1024
#: Calls that are over and still known, so that their CDRs are recognised.
KEPT = 2000

Message = Mapping[str, str]


class AmiError(RuntimeError):
    """Tells why the exchange does not do as it is asked; the text is a message id."""


class Connection:
    """A line to the manager interface, used by one thread."""

    def __init__(self, host: str, port: int) -> None:
        try:
            self._socket = socket.create_connection((host, port), CONNECT_SECONDS)
        except OSError as error:
            raise AmiError(_("The exchange does not answer at this address.")) from error
        self._buffer = b""
        self._waiting: list[Message] = []
        self._number = 0
        self.heard_at = time.monotonic()
        self.greeting = self._greeting()

    def close(self) -> None:
        """Leave without a word."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def login(self, user: str, password: str, events: str = "off") -> None:
        """Sign in without sending the password itself."""
        challenge = self.ask("Challenge", AuthType="MD5")
        key = hashlib.md5((challenge.get("Challenge", "") + password).encode(), usedforsecurity=False).hexdigest()
        answer = self.ask("Login", AuthType="MD5", Username=user, Key=key, Events=events)
        if answer.get("Response") != "Success":
            raise AmiError(_("The exchange does not accept this name and password."))

    def ask(self, action: str, seconds: float = CONNECT_SECONDS, **fields: str) -> Message:
        """Send an action and return its response; events that come meanwhile wait to be read."""
        number = self.send(action, **fields)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            message = self._next(until - time.monotonic())
            if message is None:
                continue
            if message.get("ActionID") == number and "Response" in message:
                return message
            self._waiting.append(message)
        raise AmiError(_("The exchange does not answer."))

    def send(self, action: str, **fields: str) -> str:
        """Send an action and return its number."""
        self._number += 1
        number = f"crm-{self._number}"
        lines = [("Action", action), ("ActionID", number), *fields.items()]
        for _key, value in lines:
            # A line of one's own in a value would be an action of one's own.
            if not value.isprintable():
                raise AmiError(_("This cannot be sent to the exchange."))
        text = "".join(f"{key}: {value}\r\n" for key, value in lines) + "\r\n"
        try:
            self._socket.sendall(text.encode())
        except OSError as error:
            raise AmiError(_("The connection to the exchange is lost.")) from error
        return number

    def read(self, seconds: float) -> Message | None:
        """Return the next message, or None when none came in so many seconds."""
        if self._waiting:
            return self._waiting.pop(0)
        return self._next(seconds)

    def _greeting(self) -> str:
        until = time.monotonic() + CONNECT_SECONDS
        while b"\n" not in self._buffer:
            if time.monotonic() > until:
                self.close()
                raise AmiError(_("Whatever answers at this address is no manager interface of Asterisk."))
            self._fill(until - time.monotonic())
        line, self._buffer = self._buffer.split(b"\n", 1)
        greeting = line.decode("utf-8", "replace").strip()
        if "Call Manager" not in greeting:
            self.close()
            raise AmiError(_("Whatever answers at this address is no manager interface of Asterisk."))
        return greeting

    def _next(self, seconds: float) -> Message | None:
        until = time.monotonic() + seconds
        while b"\r\n\r\n" not in self._buffer:
            left = until - time.monotonic()
            if left <= 0:
                return None
            self._fill(left)
        raw, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        return parse(raw.decode("utf-8", "replace"))

    def _fill(self, seconds: float) -> None:
        try:
            ready, _w, _x = select.select([self._socket], [], [], max(seconds, 0))
            if not ready:
                return
            chunk = self._socket.recv(65536)
        except (OSError, ValueError) as error:
            raise AmiError(_("The connection to the exchange is lost.")) from error
        if not chunk:
            raise AmiError(_("The exchange closed the connection."))
        self._buffer += chunk
        self.heard_at = time.monotonic()
        if len(self._buffer) > MOST_BYTES and b"\r\n\r\n" not in self._buffer:
            raise AmiError(_("Whatever answers at this address is no manager interface of Asterisk."))


def parse(text: str) -> Message:
    """Read one message: lines of `Key: value`; of a key that comes twice the last one counts."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            found[key.strip()] = value.strip()
    return found


# -- what events mean --------------------------------------------------------------------------------------------------

_DIAL_RESULTS = {
    "BUSY": BUSY,
    "NOANSWER": NO_ANSWER,
    "CANCEL": CANCELLED,
    "CONGESTION": FAILED,
    "CHANUNAVAIL": FAILED,
}
_CAUSES = {"17": BUSY, "18": NO_ANSWER, "19": NO_ANSWER, "1": FAILED, "34": FAILED, "38": FAILED}
_NOBODY = frozenset({"", "<unknown>", "anonymous", "unknown", "unavailable", "restricted", "s"})


@dataclass
class _Talk:
    """A call as the exchange has it: all channels with one Linkedid."""

    id: str
    direction: str
    number: str = ""
    line: str = ""
    told: bool = False
    internal: bool = False
    talker: str = ""
    result: str = ""
    recording: str = ""
    channels: set[str] = field(default_factory=set)


class Exchange:
    """Turns events of channels into events of calls between a line of ours and the world outside."""

    def __init__(self, lines: frozenset[str], recordings_url: str = "") -> None:
        self.lines = lines
        self.recordings_url = recordings_url.rstrip("/")
        self._talks: dict[str, _Talk] = {}
        self._over: OrderedDict[str, None] = OrderedDict()

    def feed(self, message: Message) -> list[dict[str, Any]]:
        """Take one message and return what it says of calls, as events of the contract."""
        take = _HANDLERS.get(message.get("Event", ""))
        return take(self, message) if take is not None else []

    def _talk_of(self, message: Message) -> _Talk | None:
        return self._talks.get(message.get("Linkedid") or message.get("DestLinkedid") or message.get("Uniqueid") or "")

    def _inner(self, channel: str) -> str:
        """Return the line of a channel, `PJSIP/101-0000001f`; empty for the world outside."""
        name = channel.partition("/")[2].rpartition("-")[0]
        return name if name in self.lines else ""

    def _event(self, talk: _Talk, event: str, line: str = "", **more: Any) -> dict[str, Any]:
        return {
            "event": event,
            "call": talk.id,
            "direction": talk.direction,
            "number": talk.number,
            "lines": [line] if line else [],
            **more,
        }

    def _new_channel(self, message: Message) -> list[dict[str, Any]]:
        channel, unique = message.get("Channel", ""), message.get("Uniqueid", "")
        linked = message.get("Linkedid") or unique
        talk = self._talks.get(linked)
        if talk is not None:
            talk.channels.add(unique)
            return []
        if channel.startswith("Local/") or linked != unique or linked in self._over:
            return []
        line = self._inner(channel)
        if line:
            exten = message.get("Exten", "")
            number = "" if exten in self.lines or exten.lower() in _NOBODY else exten
            self._talks[linked] = _Talk(linked, OUTGOING, number, line, channels={unique})
            return []
        number = message.get("CallerIDNum", "")
        talk = _Talk(linked, INCOMING, "" if number.lower() in _NOBODY else number, told=True, channels={unique})
        self._talks[linked] = talk
        return [self._event(talk, STARTED)]

    def _dial_begin(self, message: Message) -> list[dict[str, Any]]:
        talk = self._talk_of(message)
        if talk is None:
            return []
        other = message.get("DestUniqueid", "")
        if other == talk.id:
            # Asterisk rings the one who clicked on a number.
            return []
        talk.channels.add(other)
        line = self._inner(message.get("DestChannel", ""))
        if talk.direction == INCOMING:
            if not line:
                return []
            talk.line = line
            return [self._event(talk, STARTED, line)]
        if line:
            talk.internal = not talk.told
            return []
        if talk.told:
            return []
        talk.told, talk.internal = True, False
        talk.number = talk.number or _dialled(message)
        return [self._event(talk, STARTED, talk.line)]

    def _dial_end(self, message: Message) -> list[dict[str, Any]]:
        talk = self._talk_of(message)
        if talk is None:
            return []
        status = message.get("DialStatus", "")
        line = self._inner(message.get("DestChannel", ""))
        if status != "ANSWER":
            if message.get("DestUniqueid") != talk.id:
                talk.result = _DIAL_RESULTS.get(status, talk.result)
            return []
        if talk.direction == INCOMING:
            return self._talks_now(talk, line) if line else []
        return [] if line or not talk.told else self._talks_now(talk, talk.line)

    def _bridge_enter(self, message: Message) -> list[dict[str, Any]]:
        talk = self._talk_of(message)
        line = self._inner(message.get("Channel", ""))
        if talk is None:
            return []
        talk.channels.add(message.get("Uniqueid", ""))
        if not line or not talk.told:
            return []
        # A queue answers without DialEnd; whoever comes into the bridge later was put through to.
        if talk.direction == OUTGOING and not talk.talker:
            return []
        if talk.direction == INCOMING and not talk.talker and message.get("BridgeNumChannels", "2") < "2":
            return []
        return self._talks_now(talk, line)

    def _talks_now(self, talk: _Talk, line: str) -> list[dict[str, Any]]:
        if talk.talker == line:
            return []
        talk.talker = line
        return [self._event(talk, ANSWERED, line)]

    def _hangup(self, message: Message) -> list[dict[str, Any]]:
        unique = message.get("Uniqueid", "")
        talks = [one for one in self._talks.values() if unique in one.channels]
        found: list[dict[str, Any]] = []
        for talk in talks:
            talk.channels.discard(unique)
            if unique == talk.id and not talk.talker and not talk.result:
                talk.result = _CAUSES.get(message.get("Cause", ""), CANCELLED)
            if not talk.channels:
                found += self._over_now(talk)
        return found

    def _over_now(self, talk: _Talk) -> list[dict[str, Any]]:
        del self._talks[talk.id]
        self._over[talk.id] = None
        while len(self._over) > KEPT:
            self._over.popitem(last=False)
        ours = talk.id.startswith("crm-")
        if talk.internal or not (talk.told or ours):
            return []
        result = TALKED if talk.talker else talk.result or NO_ANSWER
        found = [self._event(talk, ENDED, talk.talker or talk.line, result=result)]
        if talk.recording and talk.talker and self.recordings_url:
            url = f"{self.recordings_url}/{quote(talk.recording)}"
            found.append(self._event(talk, RECORDING, recording_url=url))
        return found

    def _cdr(self, message: Message) -> list[dict[str, Any]]:
        """Take the exchange's own account of a call whose other events were missed: the connection was away."""
        number = message.get("UniqueID", "")
        if not number or number in self._over or number in self._talks or message.get("Disposition") != "ANSWERED":
            return []
        inner = self._inner(message.get("Channel", ""))
        other = self._inner(message.get("DestinationChannel", ""))
        if bool(inner) == bool(other):
            return []
        talk = _Talk(number, OUTGOING, message.get("Destination", ""), inner)
        if other:
            talk = _Talk(number, INCOMING, message.get("Source", ""), other)
        seconds = message.get("BillableSeconds", "")
        more = {"seconds": int(seconds)} if seconds.isdecimal() else {}
        return [self._event(talk, ENDED, talk.line, result=TALKED, **more)]

    def _variable(self, message: Message) -> list[dict[str, Any]]:
        talk = self._talk_of(message)
        if talk is not None and message.get("Variable") == "MIXMONITOR_FILENAME":
            # The server's folder means nothing to us: what counts is the file beneath the published one.
            talk.recording = message.get("Value", "").rpartition("/monitor/")[2].lstrip("/")
        return []


def _dialled(message: Message) -> str:
    """Return the number in what was dialled: `79450000044@trunk`, `trunk/79450000044`, `79450000044`."""
    text = message.get("DialString", "")
    parts = [part for part in text.replace("@", "/").split("/") if part.lstrip("+").isdigit()]
    return max(parts, key=len) if parts else message.get("DestCallerIDNum", "")


_HANDLERS = {
    "Newchannel": Exchange._new_channel,
    "DialBegin": Exchange._dial_begin,
    "DialEnd": Exchange._dial_end,
    "BridgeEnter": Exchange._bridge_enter,
    "Hangup": Exchange._hangup,
    "Cdr": Exchange._cdr,
    "VarSet": Exchange._variable,
}


# -- the adapter -------------------------------------------------------------------------------------------------------


class AsteriskAdapter:
    """Asterisk, FreePBX and the like."""

    name = "asterisk"
    title = "Asterisk (AMI)"
    about = _(
        "Asterisk, FreePBX and what is made of them. In manager.conf make a user with read = call,cdr,dialplan and "
        "write = originate, open to the address of this CRM alone."
    )
    fields = (
        ("host", _("Address of the exchange"), "text", ""),
        ("port", _("Port"), "number", "5038"),
        ("user", _("Name in manager.conf"), "text", ""),
        ("channel", _("Channel of an internal number"), "text", "PJSIP/{line}"),
        ("context", _("Context that dials out"), "text", "from-internal"),
        ("plus", _("What is dialled for “+”"), "text", ""),
        ("recordings_url", _("Address of recordings, if the exchange publishes them"), "text", ""),
    )
    required = ("host", "user")
    password_title = _("Password in manager.conf")
    listens = True
    dials = True

    def _connect(self, account: Account) -> Connection:
        return Connection(account.settings.get("host", ""), int(account.settings.get("port") or 5038))

    def listen(self, account: Account, stop: threading.Event) -> Iterator[Mapping[str, Any] | None]:
        """Yield events of calls until told to stop; None when connected, and while nothing happens."""
        recordings = account.settings.get("recordings_url", "")
        exchange = Exchange(account.lines, recordings)
        with self._connect(account) as line:
            line.login(
                account.settings.get("user", ""), account.password, "call,cdr,dialplan" if recordings else "call,cdr"
            )
            yield None
            asked_at = time.monotonic()
            while not stop.is_set():
                message = line.read(0.5)
                if message is None:
                    now = time.monotonic()
                    if now - asked_at > PING_SECONDS:
                        line.send("Ping")
                        asked_at = now
                    if now - line.heard_at > SILENT_SECONDS:
                        raise AmiError(_("The exchange does not answer."))
                    yield None
                    continue
                yield from exchange.feed(message)

    def originate(self, account: Account, line: str, number: str, call: str) -> None:
        """Ring the line, then dial the number from it."""
        settings = account.settings
        digits = settings.get("plus", "") + number[1:] if number.startswith("+") else number
        with self._connect(account) as connection:
            connection.login(settings.get("user", ""), account.password)
            answer = connection.ask(
                "Originate",
                Channel=(settings.get("channel") or "PJSIP/{line}").replace("{line}", line),
                ChannelId=call,
                Context=settings.get("context") or "from-internal",
                Exten=digits,
                Priority="1",
                CallerID=line,
                Timeout="30000",
                Async="true",
            )
            if answer.get("Response") != "Success":
                raise AmiError(_("The exchange refused to dial: may its user originate calls?"))

    def test(self, account: Account) -> str:
        """Sign in and return how the exchange greets."""
        with self._connect(account) as connection:
            connection.login(account.settings.get("user", ""), account.password)
            connection.ask("Ping")
            return connection.greeting


class HttpAdapter:
    """Any telephony that can send signed requests: it tells of calls by itself and dials nothing."""

    name = "http"
    title = _("Signed requests (HTTP)")
    about = _("Any telephony or program that can send requests: the contract is in the README of this plugin.")
    fields: tuple[tuple[str, str, str, str], ...] = ()
    password_title = ""
    listens = False
    dials = False

    def listen(self, account: Account, stop: threading.Event) -> Iterator[Mapping[str, Any] | None]:
        """Refuse: events come by requests."""
        raise NotImplementedError

    def originate(self, account: Account, line: str, number: str, call: str) -> None:
        """Refuse: nothing is known of how it dials."""
        raise NotImplementedError

    def test(self, account: Account) -> str:
        """Return nothing: the other side connects."""
        return ""


ADAPTERS: tuple[Any, ...] = (AsteriskAdapter(), HttpAdapter())
