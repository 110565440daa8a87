"""Lists, cards and forms of records, walked like a person does."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def person_of(db: Any, plugins: Any, factories: Any) -> Any:
    """Make a person whom somebody owns."""
    from crm_core.records import operations, saving
    from crm_core.records.gate import Gate
    from crm_core.security.subject import Subject

    def person_of(owner: Any = None, **values: Any) -> Any:
        db.commit()
        gate = Gate(db, Subject.system("a test"), plugins)
        operations.describe(db, gate.subject)
        values.setdefault("last_name", "Ivanov")
        entity = plugins.entity("clients.person")
        checked = saving.check(gate, entity, values)
        checked["owner_id"] = owner.id if owner is not None else None
        record = saving.create(gate, entity, checked)
        db.commit()
        return record

    return person_of


def test_a_list_shows_what_one_may_see_and_opens_a_card(testapp: Any, login_as: Any, person_of: Any) -> None:
    me = login_as("manager")
    person_of(me, last_name="Petrova", first_name="Anna", phones=["+7 846 200-01-00"])

    page = testapp.get("/clients/people")
    card = page.click("Petrova Anna")

    assert "+7 846 200-01-00" in page.text
    assert "Petrova Anna" in card.html.find("h1").text
