"""People who sign in, their departments, roles and sessions."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crm_core import clock
from crm_core.db import Base

#: States of an account, in the order in which they usually come.
UNCONFIRMED, PENDING, ACTIVE, DISABLED, DELETED = "unconfirmed", "pending", "active", "disabled", "deleted"


class Versioned:
    """Columns that the stamp trigger keeps: the id of the last change, when it was and by whom."""

    version: Mapped[int] = mapped_column(server_default=sa.FetchedValue(), server_onupdate=sa.FetchedValue())
    updated_at: Mapped[dt.datetime | None] = mapped_column(server_default=sa.FetchedValue())
    updated_by: Mapped[int | None] = mapped_column(server_default=sa.FetchedValue())


class Team(Versioned, Base):
    """A department; its head sees what its members and those of departments below own."""

    __tablename__ = "core_team"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    name: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_team.id", ondelete="RESTRICT"))
    head_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("core_user.id", ondelete="RESTRICT", use_alter=True, name="fk_core_team_head_id")
    )
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)

    head: Mapped[User | None] = relationship(foreign_keys=[head_id])
    parent: Mapped[Team | None] = relationship(remote_side=[id])


class User(Versioned, Base):
    """An account; deleting one makes it nameless and leaves its row, so that history keeps its author."""

    __tablename__ = "core_user"
    __table_args__ = (
        sa.Index("uq_core_user_email", sa.text("lower(email)"), unique=True, postgresql_where=sa.text("email <> ''")),
        sa.CheckConstraint("status IN ('unconfirmed','pending','active','disabled','deleted')", name="status"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    email: Mapped[str] = mapped_column(default="")
    name: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(default=ACTIVE)
    password_hash: Mapped[str | None]
    email_confirmed_at: Mapped[dt.datetime | None]
    locale: Mapped[str] = mapped_column(default="")
    time_zone: Mapped[str] = mapped_column(default="")
    theme: Mapped[str] = mapped_column(default="auto")
    job_title: Mapped[str] = mapped_column(default="", server_default="")
    phone: Mapped[str] = mapped_column(default="", server_default="")
    photo: Mapped[str] = mapped_column(default="", server_default="")
    """Digest of the re-encoded picture among the files, or empty."""
    team_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_team.id", ondelete="RESTRICT"))
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    created_by: Mapped[int | None]

    team: Mapped[Team | None] = relationship(foreign_keys=[team_id])
    roles: Mapped[list[Role]] = relationship(secondary="core_user_role", viewonly=True, order_by="Role.position")


class Role(Versioned, Base):
    """A set of permissions; a person may have several, and what any of them allows is allowed."""

    __tablename__ = "core_role"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    """Short name of a role that ships (`manager`), or made from the title of one's own."""
    title: Mapped[str]
    """A message id for roles that ship, plain text for one's own."""
    description: Mapped[str] = mapped_column(default="", server_default="")
    ships: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    position: Mapped[int] = mapped_column(default=50, server_default="50")


class RoleGrant(Base):
    """One permission of one role in one scope."""

    __tablename__ = "core_role_grant"
    __table_args__ = (sa.UniqueConstraint("role_id", "permission", "scope"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    role_id: Mapped[int] = mapped_column(sa.ForeignKey("core_role.id", ondelete="CASCADE"))
    permission: Mapped[str]
    scope: Mapped[str]


class DefaultGrant(Base):
    """Remembers that a permission was once handed to its default roles, so that taking it away sticks."""

    __tablename__ = "core_default_grant"

    permission: Mapped[str] = mapped_column(primary_key=True)
    granted_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class UserRole(Base):
    """Gives a role to a person."""

    __tablename__ = "core_user_role"
    __table_args__ = (sa.UniqueConstraint("user_id", "role_id"), sa.Index(None, "role_id"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    role_id: Mapped[int] = mapped_column(sa.ForeignKey("core_role.id", ondelete="RESTRICT"))


class Principal(Base):
    """Someone records can be shared with: a person, a department or a role."""

    __tablename__ = "core_principal"
    __table_args__ = (sa.UniqueConstraint("kind", "ref_id"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    kind: Mapped[str]
    """`user`, `team` or `role`."""
    ref_id: Mapped[int]


class RightsEpoch(Base):
    """One row that rises with every change of roles, departments or shares; what is cached from rights carries it."""

    __tablename__ = "core_rights_epoch"

    id: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(default=1)


class UserSession(Base):
    """A browser that is signed in; the cookie holds a secret of which only the digest is here."""

    __tablename__ = "core_session"
    __table_args__ = (sa.Index(None, "user_id"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="CASCADE"))
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    seen_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[dt.datetime]
    proved_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    """When the person last typed the password; some pages ask again after a while."""
    address: Mapped[str] = mapped_column(default="")
    device: Mapped[str] = mapped_column(default="")
    remember: Mapped[bool] = mapped_column(default=False)


class Token(Base):
    """A single-use right to do one thing, sent in a letter or link: confirm, reset, invite, change address."""

    __tablename__ = "core_token"
    __table_args__ = (sa.Index(None, "user_id"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    purpose: Mapped[str]
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="CASCADE"))
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    created_by: Mapped[int | None]
    expires_at: Mapped[dt.datetime]
    used_at: Mapped[dt.datetime | None]


class SignInEvent(Base):
    """A sign-in, a failed try, a sign-out: what the person and the administrator see of the account's safety."""

    __tablename__ = "core_sign_in"
    __table_args__ = (sa.Index(None, "user_id", "at"), sa.Index(None, "at"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="SET NULL"))
    kind: Mapped[str]
    address: Mapped[str] = mapped_column(default="")
    device: Mapped[str] = mapped_column(default="")
