"""The subject: on whose behalf something is done, with everything that rights are decided from.

Views take it from `request.subject`; jobs name theirs by `load_subject(session, user_id)` or `Subject.system(reason)`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.db import Fixed
from crm_core.models import accounts

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Subject:
    """A person (or the system) with his roles merged: permission to the scopes in which he has it."""

    user_id: int | None
    name: str = ""
    email: str = ""
    status: str = accounts.ACTIVE
    team_id: int | None = None
    team_ids: frozenset[int] = frozenset()
    """His department and, where he is a head, those he heads and all below them."""
    headed: frozenset[int] = frozenset()
    role_ids: frozenset[int] = frozenset()
    roles: frozenset[str] = frozenset()
    principal_ids: frozenset[int] = frozenset()
    shares: Mapping[str, int] | None = None
    """How many records of each entity are shared with him; None where that was not asked."""
    grants: Mapping[str, frozenset[str]] = field(default_factory=dict)
    locale: str = ""
    time_zone: str = ""
    """His own choice; empty: the company's."""
    company_zone: str = ""
    theme: str = "auto"
    photo: str = ""
    epoch: int = 0
    settings_version: int = -1
    """The newest change of the company's settings, so that their cached values are known to be true."""
    system_reason: str = ""

    @classmethod
    def system(cls, reason: str) -> Subject:
        """Return the subject of what the application does by itself; that it does is logged with the reason."""
        if not reason.strip():
            raise ValueError("the system must say why it acts")
        log.debug("system_subject", reason=reason)
        return cls(user_id=None, name="system", system_reason=reason)

    @property
    def is_system(self) -> bool:
        """Whether this is the application itself, which may everything."""
        return bool(self.system_reason)

    @property
    def zone(self) -> str:
        """The time zone in which the person's days begin and end: his own, else the company's."""
        return self.time_zone or self.company_zone or "UTC"

    def scopes(self, permission: str) -> frozenset[str]:
        """Return the scopes in which the permission is held; empty means not at all."""
        if self.is_system:
            return frozenset({"all"})
        return self.grants.get(permission, frozenset())

    def has_shares(self, entity: str) -> bool:
        """Tell whether anything of an entity may be shared with him: where nothing is, the gate need not look."""
        if not self.principal_ids:
            return False
        return self.shares is None or bool(self.shares.get(entity))

    def may(self, permission: str) -> bool:
        """Tell whether the permission is held in any scope; which records it reaches is the gate's to say."""
        return not permission or bool(self.scopes(permission))


ANONYMOUS = Subject(user_id=None, name="", status="anonymous")

_RIGHTS_SQL = """
    below AS (
        SELECT t.id FROM core_team t, me WHERE t.head_id = me.id
        UNION SELECT t.id FROM core_team t JOIN below b ON t.parent_id = b.id
    ),
    my_roles AS (
        SELECT r.id, r.name FROM core_role r JOIN core_user_role ur ON ur.role_id = r.id, me WHERE ur.user_id = me.id
    ),
    my_principals AS (SELECT p.id FROM core_principal p, me WHERE (p.kind = 'user' AND p.ref_id = me.id)
        OR (p.kind = 'team' AND (p.ref_id = me.team_id OR p.ref_id IN (SELECT id FROM below)))
        OR (p.kind = 'role' AND p.ref_id IN (SELECT id FROM my_roles)))
    SELECT me.id, me.name, me.email, me.status, me.team_id, me.locale, me.time_zone, me.theme, me.photo,
        ARRAY(SELECT id FROM below) AS headed,
        ARRAY(SELECT id FROM my_roles) AS role_ids,
        ARRAY(SELECT name FROM my_roles) AS roles,
        (SELECT jsonb_object_agg(permission, scopes) FROM (
            SELECT g.permission, jsonb_agg(DISTINCT g.scope) AS scopes
            FROM core_role_grant g JOIN my_roles r ON r.id = g.role_id GROUP BY g.permission) x) AS grants,
        ARRAY(SELECT id FROM my_principals) AS principals,
        (SELECT jsonb_object_agg(entity, n) FROM (SELECT g.entity, count(*) AS n FROM core_grant g
            WHERE g.principal_id IN (SELECT id FROM my_principals) GROUP BY g.entity) x) AS shares,
        (SELECT epoch FROM core_rights_epoch WHERE id = 1) AS epoch,
        coalesce((SELECT value #>> '{}' FROM core_setting WHERE key = 'company.time_zone'), 'Europe/Moscow')
            AS company_zone,
        (SELECT coalesce(max(version), 0) FROM core_setting) AS settings_version
    """

_SUBJECT_SQL = Fixed(f"WITH RECURSIVE me AS (SELECT * FROM core_user WHERE id = :user), {_RIGHTS_SQL} FROM me")

#: The session of a cookie, its person and his rights: all that a page needs to know who asks, in one statement.
_SESSION_SQL = Fixed(
    f"""
    WITH RECURSIVE door AS (SELECT * FROM core_session WHERE digest = :digest AND expires_at > :now),
    me AS (SELECT u.* FROM core_user u JOIN door ON door.user_id = u.id WHERE u.status = 'active'), {_RIGHTS_SQL},
        door.id AS session_id, door.created_at AS session_created_at, door.seen_at AS session_seen_at,
        door.proved_at AS session_proved_at, door.remember AS session_remember, door.address AS session_address
    FROM me, door
    """
)


def load_subject(session: Session, user_id: int) -> Subject | None:
    """Read a person with all his rights in one statement; None when there is no such account."""
    row = _SUBJECT_SQL.ask(session, user=user_id).one_or_none()
    return None if row is None else _subject(row)


def load_subjects(session: Session, user_ids: list[int] | None = None) -> list[Subject]:
    """Read several people (all active ones) with their rights in four statements: for "who may see this"."""
    users = session.execute(
        sa.select(accounts.User.__table__).where(
            accounts.User.status == accounts.ACTIVE if user_ids is None else accounts.User.id.in_(user_ids)
        )
    ).all()
    teams = session.execute(sa.select(accounts.Team.id, accounts.Team.parent_id, accounts.Team.head_id)).all()
    roles: dict[int, list[Any]] = {}
    for row in session.execute(
        sa.select(accounts.UserRole.user_id, accounts.Role.id, accounts.Role.name).join(
            accounts.Role, accounts.Role.id == accounts.UserRole.role_id
        )
    ):
        roles.setdefault(row.user_id, []).append(row)
    grants: dict[int, dict[str, set[str]]] = {}
    for grant in session.execute(sa.select(accounts.RoleGrant.__table__)):
        grants.setdefault(grant.role_id, {}).setdefault(grant.permission, set()).add(grant.scope)
    principals = {
        (row.kind, row.ref_id): row.id for row in session.execute(sa.select(accounts.Principal.__table__)).all()
    }
    return [_assembled(user, teams, roles.get(user.id, []), grants, principals) for user in users]


def _assembled(user: Any, teams: Any, roles: Any, grants: Any, principals: Any) -> Subject:
    headed: set[int] = {team.id for team in teams if team.head_id == user.id}
    while True:
        below = {team.id for team in teams if team.parent_id in headed} - headed
        if not below:
            break
        headed |= below
    merged: dict[str, set[str]] = {}
    for role in roles:
        for permission, scopes in grants.get(role.id, {}).items():
            merged.setdefault(permission, set()).update(scopes)
    team_ids = headed | ({user.team_id} if user.team_id else set())
    keys = [("user", user.id), *(("team", t) for t in team_ids), *(("role", role.id) for role in roles)]
    return Subject(
        user_id=user.id,
        name=user.name,
        email=user.email,
        status=user.status,
        team_id=user.team_id,
        team_ids=frozenset(team_ids),
        headed=frozenset(headed),
        role_ids=frozenset(role.id for role in roles),
        roles=frozenset(role.name for role in roles),
        principal_ids=frozenset(principals[key] for key in keys if key in principals),
        grants={name: frozenset(scopes) for name, scopes in merged.items()},
        locale=user.locale,
        time_zone=user.time_zone,
    )


@dataclass(frozen=True)
class SignedIn:
    """A session that is open: which row it is, and how long ago the person was seen and proved who he is."""

    id: int
    created_at: dt.datetime
    seen_at: dt.datetime
    proved_at: dt.datetime
    remember: bool
    address: str


def load_signed_in(session: Session, digest: bytes) -> tuple[SignedIn, Subject] | None:
    """Read the session of a cookie with its person and all his rights in one statement; None when it is not open."""
    row = _SESSION_SQL.ask(session, digest=digest, now=clock.now()).one_or_none()
    if row is None:
        return None
    signed_in = SignedIn(
        id=row.session_id,
        created_at=row.session_created_at,
        seen_at=row.session_seen_at,
        proved_at=row.session_proved_at,
        remember=row.session_remember,
        address=row.session_address,
    )
    return signed_in, _subject(row)


def _subject(row: Any) -> Subject:
    headed = frozenset(row.headed)
    return Subject(
        user_id=row.id,
        name=row.name,
        email=row.email,
        status=row.status,
        team_id=row.team_id,
        team_ids=headed | ({row.team_id} if row.team_id else set()),
        headed=headed,
        role_ids=frozenset(row.role_ids),
        roles=frozenset(row.roles),
        principal_ids=frozenset(row.principals),
        shares=row.shares or {},
        grants={name: frozenset(scopes) for name, scopes in (row.grants or {}).items()},
        locale=row.locale,
        time_zone=row.time_zone,
        company_zone=row.company_zone,
        theme=row.theme,
        photo=row.photo,
        epoch=row.epoch or 0,
        settings_version=row.settings_version,
    )


def raise_rights_epoch(session: Session) -> None:
    """Say that rights changed, in the transaction that changes them; what is cached from rights is then stale."""
    session.execute(sa.text("UPDATE core_rights_epoch SET epoch = epoch + 1 WHERE id = 1"))
