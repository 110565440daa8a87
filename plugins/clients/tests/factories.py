"""Makers of clients with the least that is valid."""

from __future__ import annotations

from itertools import count
from typing import Any

from sqlalchemy.orm import Session

from crm_clients.entities import COMPANIES, PERSONS
from crm_clients.models import Company, Interaction, Person
from crm_clients.services import record_interaction
from crm_core.db import RecordRef
from crm_core.models import User
from crm_core.plugins import Plugins
from crm_core.records import saving
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject, load_subject
from crm_core.testing.factories import Factories

_numbers = count(1)


class Clients:
    """Makes clients in one session; without an author the system makes them."""

    def __init__(self, session: Session, plugins: Plugins, factories: Factories) -> None:
        self.session, self.plugins, self.factories = session, plugins, factories

    def gate(self, user: User | None = None) -> Gate:
        """Return the gate of a person, or of the system."""
        self.session.flush()
        subject = Subject.system("tests") if user is None else load_subject(self.session, user.id)
        assert subject is not None
        return Gate(self.session, subject, self.plugins)

    def person(self, owner: User | None = None, **values: Any) -> Person:
        """Make a person."""
        number = next(_numbers)
        values.setdefault("last_name", f"Тестов{number}")
        values.setdefault("first_name", "Иван")
        return saving.create(self.gate(), PERSONS, {**values, "owner_id": owner and owner.id})

    def company(self, owner: User | None = None, **values: Any) -> Company:
        """Make a company."""
        values.setdefault("name", f"ООО «Тест {next(_numbers)}»")
        return saving.create(self.gate(), COMPANIES, {**values, "owner_id": owner and owner.id})

    def interaction(self, client: Person | Company, by: User | None = None, **values: Any) -> Interaction:
        """Record that somebody spoke with a client."""
        entity = "clients.person" if isinstance(client, Person) else "clients.company"
        values.setdefault("kind", "call")
        return record_interaction(self.gate(by), RecordRef(entity, client.id), **values)


def phone(number: str) -> list[dict[str, Any]]:
    """Return the phones of somebody with one number."""
    return [{"value": number, "main": True}]
