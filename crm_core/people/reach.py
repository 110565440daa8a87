"""How far a permission about people reaches: which accounts, which roles, and never those with more rights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from crm_core.i18n import _
from crm_core.models import Role, RoleGrant, User, UserRole
from crm_core.models.accounts import DELETED
from crm_core.security import permissions
from crm_core.security.permissions import POWERS, scope_covers
from crm_core.security.subject import Subject

P = ParamSpec("P")
T = TypeVar("T")


class Refused(Exception):
    """Something that may not or cannot be done; the sentence tells the person what to do about it."""

    status = 422
    """What HTTP calls it."""

    def __init__(self, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.sentence, self.field = sentence, field


class Denied(Refused):
    """Something that this person has no right to do."""

    status = 403


def whole(function: Callable[Concatenate[Session, P], T]) -> Callable[Concatenate[Session, P], T]:
    """Make a service do all or nothing: what it wrote before it refused is taken back, while the page goes on."""

    @wraps(function)
    def in_savepoint(session: Session, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with session.begin_nested():
            return function(session, *args, **kwargs)

    return in_savepoint


def require(subject: Subject, permission: str) -> None:
    """Refuse one who does not hold the permission at all."""
    if not subject.may(permission):
        raise Denied(_("You do not have the right to do this."))


def reached(subject: Subject, permission: str) -> ColumnElement[bool]:
    """Return the criterion of the accounts that a permission about people reaches."""
    scopes = subject.scopes(permission)
    if "all" in scopes:
        return sa.true()
    parts: list[ColumnElement[bool]] = []
    if scopes and subject.user_id is not None:
        parts.append(User.id == subject.user_id)
    if "team" in scopes and subject.team_ids:
        parts.append(User.team_id.in_(sorted(subject.team_ids)))
    if permissions.NOT_ADMINISTRATORS in scopes:
        parts.append(~_has_power_of_administrators())
    if permissions.ROLE_USER in scopes:
        parts.append(~_has_other_role_than(permissions.USER))
    if permissions.ROLE_MODERATOR_USER in scopes:
        parts.append(~_has_other_role_than(permissions.USER, permissions.MODERATOR))
    return sa.or_(*parts) if parts else sa.false()


def _has_other_role_than(*names: str) -> ColumnElement[bool]:
    return (
        sa.select(UserRole.id)
        .join(Role, Role.id == UserRole.role_id)
        .where(UserRole.user_id == User.id, Role.name.not_in(names))
        .correlate(User)
        .exists()
    )


def _has_power_of_administrators() -> ColumnElement[bool]:
    # Whoever decides about everybody's rights is an administrator, whatever his role is called.
    return (
        sa.select(UserRole.id)
        .join(Role, Role.id == UserRole.role_id)
        .outerjoin(RoleGrant, RoleGrant.role_id == Role.id)
        .where(
            UserRole.user_id == User.id,
            sa.or_(
                Role.name == permissions.ADMINISTRATOR,
                sa.and_(
                    RoleGrant.scope == "all",
                    RoleGrant.permission.in_([permissions.RIGHTS_GRANT, permissions.RIGHTS_EDIT]),
                ),
            ),
        )
        .correlate(User)
        .exists()
    )


def reaches(session: Session, subject: Subject, permission: str, user_id: int) -> bool:
    """Tell whether the permission reaches one account."""
    if not subject.may(permission):
        return False
    statement = sa.select(User.id).where(User.id == user_id, User.status != DELETED, reached(subject, permission))
    return session.scalar(statement) is not None


def may_name(subject: Subject) -> bool:
    """Tell whether the subject may see the names of all colleagues."""
    return subject.may(permissions.USERS_NAMES) or "all" in subject.scopes(permissions.USERS_VIEW)


def grants_of(session: Session, user_id: int) -> dict[str, frozenset[str]]:
    """Return what all roles of a person together allow."""
    rows = session.execute(
        sa.select(RoleGrant.permission, sa.func.array_agg(sa.distinct(RoleGrant.scope)))
        .join(UserRole, UserRole.role_id == RoleGrant.role_id)
        .where(UserRole.user_id == user_id)
        .group_by(RoleGrant.permission)
    )
    return {permission: frozenset(scopes) for permission, scopes in rows}


def surplus(subject: Subject, grants: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return the powers over people and system among the grants that the subject does not hold himself."""
    return {
        (permission, scope)
        for permission, scopes in grants.items()
        if permission in POWERS
        for scope in ((scopes,) if isinstance(scopes, str) else scopes)
        if not scope_covers(subject.scopes(permission), scope)
    }


def require_reach(session: Session, subject: Subject, permission: str, user: User) -> None:
    """Refuse an account that the permission does not reach, and one with more rights than the subject's own."""
    if not reaches(session, subject, permission, user.id):
        raise Denied(_("Your rights do not reach this account."))
    if user.id != subject.user_id and surplus(subject, grants_of(session, user.id)):
        raise Denied(_("This person has more rights than you; ask an administrator."))


def may_reach(session: Session, subject: Subject, permission: str, user: User) -> bool:
    """Tell whether `require_reach` would let it pass; how pages know which buttons to show."""
    try:
        require_reach(session, subject, permission, user)
    except Refused:
        return False
    return True
