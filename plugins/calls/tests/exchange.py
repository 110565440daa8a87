"""An exchange of loopback that speaks AMI as Asterisk does: greeting, challenge, log-in, events, Originate."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from collections.abc import Callable
from typing import Any

USER, PASSWORD = "crm", "тайна"
CHALLENGE = "840415273"


class FakeExchange:
    """Answers any number of connections; events are sent to those that asked for them."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        self.actions: list[dict[str, str]] = []
        self.listeners: list[socket.socket] = []
        self.on_originate: Callable[[dict[str, str]], None] | None = None
        self.refuse_originate = False
        self.closing = False
        self._sockets: list[socket.socket] = []
        self._listening = threading.Condition()

    def start(self) -> None:
        """Begin to answer."""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Go away, as a machine that is switched off does."""
        self.closing = True
        with contextlib.suppress(OSError):
            # A thread that waits in accept() would keep the port open.
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Break all connections; new ones are answered."""
        with self._listening:
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._sockets.clear()
            self.listeners.clear()

    def wait_for_listener(self, seconds: float = 15) -> None:
        """Wait until somebody hears events."""
        with self._listening:
            assert self._listening.wait_for(lambda: self.listeners, seconds), "nobody listens"

    def play(self, *events: dict[str, Any]) -> None:
        """Send events to all who listen, in pieces as networks deliver them."""
        data = b"".join(self._encode(event) for event in events)
        for listener in list(self.listeners):
            for start in range(0, len(data), 700):
                listener.sendall(data[start : start + 700])

    def last(self, action: str) -> dict[str, str]:
        """Return the newest action of a name."""
        return next(one for one in reversed(self.actions) if one.get("Action") == action)

    def _accept(self) -> None:
        while not self.closing:
            try:
                connection, _address = self.server.accept()
            except OSError:
                return
            self._sockets.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(b"Asterisk Call Manager/9.0.0\r\n")
            buffer = b""
            while chunk := connection.recv(4096):
                buffer += chunk
                while b"\r\n\r\n" in buffer:
                    raw, buffer = buffer.split(b"\r\n\r\n", 1)
                    pairs = (line.partition(": ") for line in raw.decode().split("\r\n"))
                    self._answer(connection, {key: value for key, _sep, value in pairs})
        with self._listening:
            if connection in self.listeners:
                self.listeners.remove(connection)

    def _answer(self, connection: socket.socket, action: dict[str, str]) -> None:
        self.actions.append(action)
        number = {"ActionID": action.get("ActionID", "")}
        name = action.get("Action")
        if name == "Challenge":
            self._send(connection, {"Response": "Success", **number, "Challenge": CHALLENGE})
        elif name == "Login":
            right = hashlib.md5((CHALLENGE + PASSWORD).encode(), usedforsecurity=False).hexdigest()
            if action.get("Username") != USER or action.get("Key") != right:
                self._send(connection, {"Response": "Error", **number, "Message": "Authentication failed"})
                return
            self._send(connection, {"Response": "Success", **number, "Message": "Authentication accepted"})
            self._send(connection, {"Event": "FullyBooted", "Privilege": "system,all", "Status": "Fully Booted"})
            if action.get("Events", "off") != "off":
                with self._listening:
                    self.listeners.append(connection)
                    self._listening.notify_all()
        elif name == "Originate":
            if self.refuse_originate:
                self._send(connection, {"Response": "Error", **number, "Message": "Permission denied"})
                return
            self._send(connection, {"Response": "Success", **number, "Message": "Originate successfully queued"})
            if self.on_originate is not None:
                self.on_originate(action)
        elif name == "Ping":
            self._send(connection, {"Response": "Success", **number, "Ping": "Pong"})

    def _send(self, connection: socket.socket, message: dict[str, Any]) -> None:
        connection.sendall(self._encode(message))

    @staticmethod
    def _encode(message: dict[str, Any]) -> bytes:
        return ("".join(f"{key}: {value}\r\n" for key, value in message.items()) + "\r\n").encode()


# -- what Asterisk says of calls ---------------------------------------------------------------------------------------


class Script:
    """Writes down the events of one call in the order in which Asterisk sends them."""

    def __init__(self, linked: str, trunk: str = "PJSIP/provider-00000001") -> None:
        self.linked, self.trunk = linked, trunk
        self.events: list[dict[str, Any]] = []
        self.unique: dict[str, str] = {}

    def channel(self, channel: str, unique: str = "", **more: Any) -> Script:
        """Begin a channel; the first one is the call."""
        self.unique[channel] = unique or self.linked
        return self._add(
            "Newchannel", Channel=channel, ChannelState="0", ChannelStateDesc="Down", **self._of(channel), **more
        )

    def dial(self, source: str, to: str, **more: Any) -> Script:
        """Begin to ring another channel."""
        return self._add("DialBegin", Channel=source, **self._of(source), **self._dest(to), **more)

    def dialled(self, source: str, to: str, status: str) -> Script:
        """End ringing it."""
        return self._add("DialEnd", Channel=source, **self._of(source), **self._dest(to), DialStatus=status)

    def bridge(self, channel: str, many: int = 2, linked: str = "") -> Script:
        """Bring a channel into a talk."""
        of = {**self._of(channel), "Linkedid": linked or self.linked}
        return self._add("BridgeEnter", BridgeUniqueid="b-1", BridgeNumChannels=many, Channel=channel, **of)

    def hang(self, channel: str, cause: int = 16, linked: str = "") -> Script:
        """End a channel."""
        of = {**self._of(channel), "Linkedid": linked or self.linked}
        return self._add("Hangup", Channel=channel, **of, **{"Cause": cause, "Cause-txt": "…"})

    def other(self, event: str, **fields: Any) -> Script:
        """Say anything else."""
        return self._add(event, **fields)

    def _add(self, event: str, **fields: Any) -> Script:
        self.events.append({"Event": event, "Privilege": "call,all", **fields})
        return self

    def _of(self, channel: str) -> dict[str, str]:
        return {"Uniqueid": self.unique[channel], "Linkedid": self.linked}

    def _dest(self, channel: str) -> dict[str, str]:
        return {"DestChannel": channel, "DestUniqueid": self.unique[channel], "DestLinkedid": self.linked}


TRUNK, A, B = "PJSIP/provider-00000001", "PJSIP/101-00000002", "PJSIP/102-00000003"


def incoming(linked: str = "1753.1", number: str = "79450000044") -> Script:
    """Begin a call from outside."""
    return Script(linked).channel(TRUNK, CallerIDNum=number, Exten="78462000100", Context="from-trunk")


def answered(linked: str = "1753.1", number: str = "79450000044") -> Script:
    """A call that rings on two lines and is talked on the first."""
    script = incoming(linked, number)
    script.channel(A, f"{linked}.a", CallerIDNum="101", Exten="").channel(B, f"{linked}.b", CallerIDNum="102", Exten="")
    script.dial(TRUNK, A, DialString="101").dial(TRUNK, B, DialString="102")
    script.dialled(TRUNK, B, "CANCEL").dialled(TRUNK, A, "ANSWER").hang(B, 26)
    return script.bridge(A, 1).bridge(TRUNK, 2).hang(A).hang(TRUNK)


def missed(linked: str = "1753.2", number: str = "79450000044") -> Script:
    """A call that rings and is given up."""
    script = incoming(linked, number).channel(A, f"{linked}.a", CallerIDNum="101", Exten="")
    return script.dial(TRUNK, A, DialString="101").dialled(TRUNK, A, "CANCEL").hang(A, 26).hang(TRUNK, 16)


def transferred(linked: str = "1753.3") -> Script:
    """A call that 101 takes, asks 102 and puts it through."""
    script = incoming(linked).channel(A, f"{linked}.a", CallerIDNum="101", Exten="")
    script.dial(TRUNK, A, DialString="101").dialled(TRUNK, A, "ANSWER").bridge(A, 1).bridge(TRUNK, 2)
    asks = Script(f"{linked}9")
    asks.channel("PJSIP/101-00000009", CallerIDNum="101", Exten="102").channel(B, f"{linked}.b", Exten="")
    asks.dial("PJSIP/101-00000009", B, DialString="102").dialled("PJSIP/101-00000009", B, "ANSWER")
    script.events += asks.events
    script.unique[B] = f"{linked}.b"
    script.other("AttendedTransfer", Result="Success", OrigTransfererLinkedid=linked)
    asks.events.clear()
    asks.hang("PJSIP/101-00000009")
    script.events += asks.events
    return script.bridge(B, 2).hang(A).hang(B).hang(TRUNK)


def outgoing(linked: str = "1753.4", status: str = "ANSWER", cause: int = 16) -> Script:
    """A call that 101 dials."""
    script = Script(linked).channel(A, CallerIDNum="101", Exten="89450000044", Context="from-internal")
    script.channel(TRUNK, f"{linked}.t", CallerIDNum="", Exten="")
    script.dial(A, TRUNK, DialString="89450000044@provider").dialled(A, TRUNK, status)
    if status == "ANSWER":
        script.bridge(A, 1).bridge(TRUNK, 2)
    return script.hang(TRUNK, cause).hang(A, cause)


def between_colleagues(linked: str = "1753.5") -> Script:
    """A call inside the house, which is nobody's business."""
    script = Script(linked).channel(A, CallerIDNum="101", Exten="102").channel(B, f"{linked}.b", Exten="")
    return script.dial(A, B, DialString="102").dialled(A, B, "ANSWER").bridge(A, 1).bridge(B, 2).hang(A).hang(B)
