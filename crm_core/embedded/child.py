"""Starts and finds the processes that belong to an installation, so that none outlives its parent unseen."""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from pwd import struct_passwd
from typing import IO, Any

import psutil

LONGEST_SOCKET_FOLDER = 90
"""A unix socket's whole path has 107 bytes on Linux and 103 on macOS."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class EmbeddedError(RuntimeError):
    """A server of ours that does not start, with what its log says."""


def spawn(
    arguments: Sequence[str],
    *,
    cwd: Path,
    on_parent_death: signal.Signals = signal.SIGTERM,
    account: struct_passwd | None = None,
    env: Mapping[str, str] | None = None,
    output: IO[Any] | int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that gets a signal when its parent dies, whatever kills the parent.

    It leads a group of its own: Ctrl-C reaches the parent alone, which then stops its children in order, and what a
    killed child leaves behind is ended by its group.
    """
    identity: dict[str, Any] = {}
    if account is not None:
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return subprocess.Popen(
        list(arguments),
        cwd=cwd,
        env=dict(env) if env is not None else None,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        process_group=0,
        umask=0o077,
        # Runs after the change of user, which would clear the wish.
        preexec_fn=_dying_with_parent(on_parent_death),
        **identity,
    )


def _dying_with_parent(number: signal.Signals) -> Callable[[], None]:
    parent = os.getpid()

    def arrange() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arrange


def arrange_end_with_parent(number: signal.Signals) -> None:
    """Let this process get a signal when the one that started it ends."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def end_group(leader: int) -> None:
    """Kill what is left of the group of a process that has ended."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def stop_process(pid: int, signals: Sequence[tuple[signal.Signals, float]], process: Any = None) -> None:
    """Send one signal after another, each with its seconds of grace, until the process is gone."""
    for number, grace in signals:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            break
        until = time.monotonic() + grace
        while time.monotonic() < until:
            if process is not None and process.poll() is not None:
                return
            if not psutil.pid_exists(pid) or is_zombie(pid):
                return
            time.sleep(0.02)


def is_zombie(pid: int) -> bool:
    """Tell whether a process has ended and only waits to be collected."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def find(pid: int, name: str, folder: Path) -> psutil.Process | None:
    """Return the process with this number if it is the named program at work in the folder, not a later namesake."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or name not in process.name():
            return None
        return process if Path(process.cwd()).resolve() == folder.resolve() else None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def socket_folder(preferred: Path, account: struct_passwd | None = None) -> Path:
    """Return the folder of a socket, 0700: the preferred one, or one under /tmp when its path is too long."""
    owner = account.pw_uid if account else os.geteuid()
    if len(os.fsencode(preferred)) <= LONGEST_SOCKET_FOLDER:
        preferred.mkdir(mode=0o700, parents=True, exist_ok=True)
        _own(preferred, account)
        return preferred
    digest = hashlib.sha256(os.fsencode(preferred)).hexdigest()[:12]
    folder = Path("/tmp") / f"crm-{digest}"  # noqa: S108  0700 and its owner is checked
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        _own(folder, account)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner or stat.S_IMODE(status.st_mode) != 0o700:
        # Somebody else took the name; who connects reads the place from the server's own file.
        folder = Path(tempfile.mkdtemp(prefix=f"crm-{digest}-"))
        _own(folder, account)
    return folder


def _own(path: Path, account: struct_passwd | None) -> None:
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


def last_lines(path: Path, count: int = 6) -> str:
    """Return the end of a log on one line, for a message."""
    try:
        return " / ".join(path.read_text("utf-8", "replace").splitlines()[-count:])
    except OSError:
        return "its log is empty"
