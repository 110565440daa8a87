"""The plugin is what the core expects of every plugin."""

from __future__ import annotations

import pytest

from crm_core.testing.conformance import *  # noqa: F403


@pytest.fixture(scope="session")
def crm_plugin_name() -> str:
    """Say which plugin the kit checks."""
    return "calls"
