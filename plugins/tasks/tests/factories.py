"""Makers of tasks with the least that is valid."""

from __future__ import annotations

from itertools import count
from typing import Any

from sqlalchemy.orm import Session

from crm_core.models import User
from crm_core.plugins import Plugins
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject, load_subject
from crm_core.testing.factories import Factories
from crm_tasks.models import Task
from crm_tasks.services import tasks

_numbers = count(1)


class Tasks:
    """Makes tasks in one session; without an author the system makes them."""

    def __init__(self, session: Session, plugins: Plugins, factories: Factories) -> None:
        self.session, self.plugins, self.factories = session, plugins, factories

    def gate(self, user: User | None = None) -> Gate:
        """Return the gate of a person, or of the system."""
        self.session.flush()
        subject = Subject.system("tests") if user is None else load_subject(self.session, user.id)
        assert subject is not None
        return Gate(self.session, subject, self.plugins)

    def person(self, role: str = "manager", **values: Any) -> User:
        """Make somebody of a role."""
        return self.factories.user(role, **values)

    def task(self, author: User | None = None, owner: User | None = None, **values: Any) -> Task:
        """Make a task."""
        values.setdefault("title", f"Дело {next(_numbers)}")
        if owner is not None:
            values["owner_id"] = owner.id
        return tasks.create(self.gate(author), **values)
