"""A mail server on loopback that keeps what it takes and misbehaves on request."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as SmtpSession

#: What a script answers to make the server hang up instead of answering.
HANG_UP = "hang up"


@dataclass
class Taken:
    """One letter whose content reached the server."""

    sender: str
    recipients: list[str]
    content: bytes

    @property
    def message_id(self) -> str:
        """Its Message-ID."""
        found = re.search(rb"^Message-ID: (\S+)", self.content, re.M | re.I)
        return found.group(1).decode() if found else ""


@dataclass
class MailSink:
    """A server that takes letters; `on_recipient` and `on_content` may answer otherwise or hang up."""

    on_recipient: Callable[[str], str | None] = lambda _address: None
    on_content: Callable[[Taken], str | None] = lambda _taken: None
    log: Path | None = None
    """Where Message-IDs are appended as content arrives, for those who outlive the test process."""
    delay: float = 0.0
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # What aiosmtpd calls.

    async def handle_RCPT(
        self, server: SMTP, _session: SmtpSession, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take or refuse a recipient."""
        answer = self.on_recipient(address)
        if answer == HANG_UP:
            _hang_up(server)
            return "421 bye"
        if answer is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: SmtpSession, envelope: Envelope) -> str:
        """Keep the content, then answer, refuse or hang up."""
        content = envelope.content or b""
        taken = Taken(
            envelope.mail_from or "",
            list(envelope.rcpt_tos),
            content if isinstance(content, bytes) else content.encode(),
        )
        with self._lock:
            self.taken.append(taken)
            if self.log is not None:
                with self.log.open("a") as file:
                    file.write(taken.message_id + "\n")
        if self.delay:
            await asyncio.sleep(self.delay)
        answer = self.on_content(taken)
        if answer == HANG_UP:
            _hang_up(server)
            return "421 bye"
        return answer or "250 Taken"


def _hang_up(server: SMTP) -> None:
    # Aborted, not closed: the client must see a lost line, not a last word.
    transport: Any = server.transport
    transport.abort()


class _Counting(SMTP):
    sink: MailSink

    def connection_made(self, transport: Any) -> None:
        self.sink.connections += 1
        super().connection_made(transport)


@contextmanager
def mail_sink(**options: Any) -> Iterator[MailSink]:
    """Run a mail server on a free port of loopback."""
    sink = MailSink(**options)

    class Server(Controller):
        def factory(self) -> SMTP:
            server = _Counting(self.handler, enable_SMTPUTF8=False, data_size_limit=None)
            server.sink = sink
            return server

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        sink.port = probe.getsockname()[1]
    controller = Server(sink, hostname="127.0.0.1", port=sink.port, ready_timeout=10)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()
        time.sleep(0.01)
