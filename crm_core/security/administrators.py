"""The last administrator: whoever manages everybody's rights must never be nobody."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core.models import Role, RoleGrant, User, UserRole
from crm_core.models.accounts import ACTIVE
from crm_core.security.permissions import ADMINISTRATOR, RIGHTS_EDIT, RIGHTS_GRANT

#: Entities of the change log whose rows decide who is an administrator.
DECIDING = frozenset({"core.user", "core.role", "core.role_grant", "core.user_role"})


def administrator_left(session: Session) -> bool:
    """Tell whether somebody active is an administrator, and somebody active manages all rights.

    Every change of roles and states raises the rights epoch by a trigger; that row is the lock that makes two such
    changes wait for one another, so that the second sees what the first did.
    """
    session.flush()
    session.execute(sa.text("SELECT epoch FROM core_rights_epoch WHERE id = 1 FOR UPDATE"))
    manages = (
        sa.select(UserRole.user_id)
        .join(User, User.id == UserRole.user_id)
        .join(RoleGrant, RoleGrant.role_id == UserRole.role_id)
        .where(User.status == ACTIVE, RoleGrant.scope == "all", RoleGrant.permission.in_([RIGHTS_GRANT, RIGHTS_EDIT]))
        .group_by(UserRole.user_id)
        .having(sa.func.count(sa.distinct(RoleGrant.permission)) == 2)
        .limit(1)
    )
    administers = (
        sa.select(UserRole.user_id)
        .join(User, User.id == UserRole.user_id)
        .join(Role, Role.id == UserRole.role_id)
        .where(User.status == ACTIVE, Role.name == ADMINISTRATOR)
        .limit(1)
    )
    return session.scalar(manages) is not None and session.scalar(administers) is not None
