"""Accounts made from a console, by whoever may read the installation's key anyway."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.models import Role, User
from crm_core.models.accounts import ACTIVE
from crm_core.people import Refused, accounts, by_email, normal_email
from crm_core.records import operations
from crm_core.security import passwords
from crm_core.security.subject import Subject


def add_account(
    session: Session, *, email: str, name: str, password: str, roles: Sequence[str], locale: str = "ru"
) -> User:
    """Make a confirmed account with roles that ship."""
    email = normal_email(email)
    if by_email(session, email) is not None:
        raise Refused(f"There is an account with the address {email} already.")
    known = session.scalars(sa.select(Role.name).order_by(Role.position)).all()
    for role in roles:
        if role not in known:
            raise Refused(f"There is no role {role}; there are: {', '.join(known)}.")
    for problem in passwords.problems(password, email=email, name=name):
        raise Refused(problem)
    return make_account(session, email=email, name=name, password=password, roles=roles, locale=locale)


def make_account(
    session: Session, *, email: str, name: str, password: str, roles: Sequence[str], locale: str = "ru"
) -> User:
    """Make a confirmed account without asking whether its password is a good one."""
    operations.describe(session, Subject.system("crm user add"), kind="create", entity="core.user")
    user = User(
        email=email,
        name=name,
        password_hash=passwords.hash_password(password),
        status=ACTIVE,
        email_confirmed_at=clock.now(),
        locale=locale,
    )
    session.add(user)
    session.flush()
    for role in roles:
        accounts.add_role(session, user, role)
    return user
