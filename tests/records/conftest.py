"""Clients of several owners, as a ground for the tests of the entity engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject


@pytest.fixture
def gate_of(db: Any, plugins: Any, factories: Any) -> Callable[..., Gate]:
    """Return the gate of an account, or of the system."""

    def gate_of(user: Any = None) -> Gate:
        # One transaction is one operation: what others did before ends here.
        db.commit()
        subject = Subject.system("a test") if user is None else factories.subject(user)
        operations.describe(db, subject)
        return Gate(db, subject, plugins)

    return gate_of


@pytest.fixture
def person_of(db: Any, plugins: Any, gate_of: Callable[..., Gate]) -> Callable[..., Any]:
    """Make a person that somebody owns."""
    entity = plugins.entity("clients.person")

    def person_of(owner: Any = None, **values: Any) -> Any:
        gate = gate_of()
        values.setdefault("last_name", "Иванов")
        checked = saving.check(gate, entity, values)
        checked["owner_id"] = owner.id if owner is not None else None
        return saving.create(gate, entity, checked)

    return person_of
