"""What tests of telephony share: a company with lines, a gateway, and clients with numbers."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest


def _load(name: str) -> Any:
    # The folder is no package, so that plugins' tests of one name do not meet.
    full = f"crm_calls_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[full] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(autouse=True)
def others_keep_still(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other plugins make of calls, a task or a lead, is tested with the whole application."""
    for implementation in plugins.manager.hook.crm_event.get_hookimpls():
        if implementation.plugin_name not in ("core", "clients", "calls"):
            monkeypatch.setattr(implementation, "function", lambda event, context: None)


@pytest.fixture
def office(db: Any, plugins: Any, factories: Any) -> Any:
    """A department with a head and two managers, their lines, a gateway that signs, and its clients."""
    return _load("factories").Office(db, plugins, factories)


@pytest.fixture
def fake_exchange() -> Any:
    """An exchange of loopback that speaks AMI as Asterisk does."""
    server = _load("exchange").FakeExchange()
    server.start()
    yield server
    server.close()
