"""What tests of tasks share: a maker of tasks in the test's session."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest


def _factories() -> Any:
    # The folder is no package, so that plugins' tests of one name do not meet.
    name = "crm_tasks_factories"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("factories.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def tasks(db: Any, plugins: Any, factories: Any) -> Any:
    """Makes tasks as somebody, and gates for anybody."""
    return _factories().Tasks(db, plugins, factories)
