"""Fixtures come from `crm_core.testing.plugin`, by its entry point or, from a bare checkout, by name."""

from __future__ import annotations

import importlib.metadata
import socket
from typing import Any

import pytest

if not any(point.name == "crm" for point in importlib.metadata.entry_points(group="pytest11")):
    pytest_plugins = ["crm_core.testing.plugin"]

LOOPBACK = ("127.", "localhost", "::1")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX and not str(address[0]).startswith(LOOPBACK):
            raise AssertionError(f"a test tried to reach {address!r}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
