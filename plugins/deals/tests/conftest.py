"""What tests of deals share: a maker of deals in the test's session."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest


def _factories() -> Any:
    # The folder is no package, so that plugins' tests of one name do not meet.
    name = "crm_deals_factories"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("factories.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def deals(db: Any, plugins: Any, factories: Any) -> Any:
    """Makes deals, clients and products as somebody, and gates for anybody."""
    return _factories().Deals(db, plugins, factories)


@pytest.fixture
def seller(factories: Any) -> Any:
    """A manager of a department."""
    return factories.user("manager", team_id=factories.team().id)


@pytest.fixture
def boss(factories: Any, seller: Any) -> Any:
    """The head of the seller's department."""
    from crm_core.models import Team

    head = factories.user("head", team_id=seller.team_id)
    factories.session.get(Team, seller.team_id).head_id = head.id
    factories.session.flush()
    return head
