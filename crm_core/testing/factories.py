"""Makers of the core's records with the least that is valid; plugins bring factories of their own."""

from __future__ import annotations

from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core.models import Notification, Principal, Role, RoleGrant, Team, User, UserRole
from crm_core.security.subject import Subject, load_subject

_numbers = count(1)


class Factories:
    """Makes records in one session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def make(self, model: type, **values: Any) -> Any:
        """Add one row of any model and flush it."""
        row = model(**values)
        self.session.add(row)
        self.session.flush()
        return row

    def user(self, role: str | None = "manager", **values: Any) -> User:
        """Make an active account with one role (a short name of those that ship), or with none."""
        number = next(_numbers)
        values.setdefault("name", f"Person {number}")
        values.setdefault("email", f"person{number}@example.com")
        user = self.make(User, **values)
        if role is not None:
            self.give_role(user, role)
        return user

    def give_role(self, user: User, role: str) -> None:
        """Give a role to an account."""
        role_id = self.session.scalar(sa.select(Role.id).where(Role.name == role))
        if role_id is None:
            known = ", ".join(sorted(self.session.scalars(sa.select(Role.name))))
            raise LookupError(f"there is no role {role!r}; there are: {known}")
        self.make(UserRole, user_id=user.id, role_id=role_id)

    def team(self, **values: Any) -> Team:
        """Make a department."""
        values.setdefault("name", f"Department {next(_numbers)}")
        return self.make(Team, **values)

    def role(self, *grants: tuple[str, str], **values: Any) -> Role:
        """Make a role with (permission, scope) pairs."""
        number = next(_numbers)
        values.setdefault("name", f"role-{number}")
        values.setdefault("title", f"Role {number}")
        role = self.make(Role, **values)
        for permission, scope in grants:
            self.make(RoleGrant, role_id=role.id, permission=permission, scope=scope)
        return role

    def principal(self, kind: str, ref_id: int) -> Principal:
        """Return the principal of a person, department or role."""
        found = self.session.scalar(sa.select(Principal).where(Principal.kind == kind, Principal.ref_id == ref_id))
        return found or self.make(Principal, kind=kind, ref_id=ref_id)

    def notification(self, user: User, **values: Any) -> Notification:
        """Make a notification for a person."""
        number = next(_numbers)
        values.setdefault("key", f"key-{number}")
        values.setdefault("kind", "test")
        values.setdefault("title", "Something happened")
        return self.make(Notification, user_id=user.id, **values)

    def subject(self, user: User) -> Subject:
        """Return the subject of an account, with its rights of now."""
        self.session.flush()
        found = load_subject(self.session, user.id)
        assert found is not None
        return found
