"""The wish to start web, workers and schedule anew, put down as a file that ``crm serve`` watches."""

from __future__ import annotations

import fcntl
from pathlib import Path

RESTART = "restart"
RESTART_ERROR = "restart.error"


def request_restart(data_dir: Path) -> bool:
    """Ask the running ``crm serve`` for a restart with the settings read again; False where none runs."""
    if not is_served(data_dir):
        return False
    (data_dir / "run" / RESTART_ERROR).unlink(missing_ok=True)
    (data_dir / "run" / RESTART).touch()
    return True


def restart_error(data_dir: Path) -> str:
    """Return why the last wish to restart was not followed, or nothing."""
    try:
        return (data_dir / "run" / RESTART_ERROR).read_text("utf-8").strip()
    except OSError:
        return ""


def is_served(data_dir: Path) -> bool:
    """Tell whether a ``crm serve`` runs on this data folder."""
    try:
        with (data_dir / "run" / "lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
