"""The probe plugin is on, and worker processes with it can be started and killed."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crm_core.plugins import Plugins

PROBE = Path(__file__).with_name("probe.py")


def _load_probe() -> Any:
    known = sys.modules.get("probe")
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location("probe", PROBE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["probe"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def probe() -> Any:
    return _load_probe()


@pytest.fixture(scope="session")
def plugins(probe: Any) -> Plugins:
    return probe.build()


class Process:
    """A worker or schedule in a process of its own."""

    def __init__(self, kind: str, settings: dict[str, Any]) -> None:
        root = str(PROBE.parents[2])
        # What it says goes to a file: a full pipe would stop it.
        self.log = open(f"{settings['crm.data']}/{kind}.log", "ab")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, str(PROBE), kind, json.dumps(settings)],
            env={**os.environ, "PYTHONPATH": root},
            stdout=self.log,
            stderr=self.log,
            text=False,
        )

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self, seconds: float = 30) -> int:
        """Ask it to end and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Start processes that end with the test: `start("worker", settings)`."""
    running: list[Process] = []

    def start(kind: str, settings: dict[str, Any]) -> Process:
        process = Process(kind, settings)
        running.append(process)
        return process

    yield start
    for process in running:
        if process.process.poll() is None:
            process.kill()
        process.log.close()
