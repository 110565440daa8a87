"""Invitations: a link, by letter or to be copied, that lets a person make his own account and password."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.i18n import _
from crm_core.models import Role, Team, Token, User, UserRole
from crm_core.models.accounts import ACTIVE, UNCONFIRMED
from crm_core.people import letters
from crm_core.people.accounts import _check_password, _locale, _person_name, add_role, by_email, normal_email
from crm_core.people.reach import Denied, Refused, require, whole
from crm_core.people.rights import grantable_roles
from crm_core.plugins import Plugins
from crm_core.records import operations
from crm_core.security import passwords, permissions, tokens
from crm_core.security.subject import Subject, load_subject


@dataclass(frozen=True)
class Invitation:
    """An invitation that nobody has used yet."""

    token: Token
    role: Role | None
    team: Team | None
    by_name: str


@whole
def invite(
    session: Session,
    subject: Subject,
    plugins: Plugins,
    post: letters.Post,
    *,
    email: str = "",
    role_id: int | None = None,
    team_id: int | None = None,
) -> str:
    """Make an invitation, send it when there is an address, and return its secret for the link to copy."""
    require(subject, permissions.USERS_INVITE)
    role = _role(session, subject, plugins, role_id)
    if team_id is not None and session.get(Team, team_id) is None:
        raise Refused(_("This department is no longer there."), "team_id")
    email = normal_email(email) if email.strip() else ""
    if email and (known := by_email(session, email)) is not None and known.status != UNCONFIRMED:
        raise Refused(_("There is an account with this address already."), "email")
    secret = tokens.issue(
        session,
        tokens.INVITE,
        payload={"email": email, "role": role.id, "team": team_id},
        created_by=subject.user_id,
    )
    if email:
        post.write(
            session,
            letters.INVITATION,
            email,
            purpose="accounts.invitation",
            step=tokens.new_secret()[:16],
            path=f"/token/invite/{secret}",
            who=subject.name,
        )
    return secret


def _role(session: Session, subject: Subject, plugins: Plugins, role_id: int | None) -> Role:
    if role_id is None:
        role = session.scalars(sa.select(Role).where(Role.name == permissions.USER)).one()
    else:
        found = session.get(Role, role_id)
        if found is None:
            raise Refused(_("One of these roles is no longer there."), "role_id")
        role = found
    scopes = subject.scopes(permissions.USERS_INVITE)
    if "all" not in scopes and role.name != permissions.USER:
        raise Denied(_("You may invite only employees without a role."), "role_id")
    if role.name != permissions.USER and role.id not in {one.id for one in grantable_roles(session, subject, plugins)}:
        raise Denied(_("You may not grant or take away the role “${role}”.", mapping={"role": role.title}), "role_id")
    return role


def invitation(session: Session, secret: str) -> Token:
    """Return an invitation that can still be used."""
    token = tokens.find(session, tokens.INVITE, secret)
    if token is None:
        raise Refused(_("This invitation was used already or is too old. Ask for a new one."))
    return token


@whole
def accept_invitation(
    session: Session, plugins: Plugins, secret: str, *, email: str, name: str, password: str, locale: str = ""
) -> User:
    """Make the account of an invited person with the role that was promised, if who promised may still give it."""
    token = invitation(session, secret)
    promised = token.payload["email"]
    email, name = promised or normal_email(email), _person_name(name)
    _check_password(password, email, name)
    known = by_email(session, email)
    if known is not None and not (known.status == UNCONFIRMED and promised):
        raise Refused(_("There is an account with this address already; sign in with it."), "email")
    if tokens.use(session, tokens.INVITE, secret) is None:
        raise Refused(_("This invitation was used already or is too old. Ask for a new one."))
    operations.describe(
        session,
        Subject.system("invitation accepted"),
        kind="invitation",
        entity="core.user",
        detail={"invited_by": token.created_by},
    )
    user = known or User(email=email)
    user.name, user.password_hash, user.status = name, passwords.hash_password(password), ACTIVE
    user.locale = user.locale or _locale(locale)
    # A link that came by letter proves the address; one that was copied does not.
    user.email_confirmed_at = clock.now() if promised else None
    user.team_id = token.payload["team"] if token.payload["team"] and session.get(Team, token.payload["team"]) else None
    user.created_by = token.created_by
    session.add(user)
    session.flush()
    session.execute(sa.delete(UserRole).where(UserRole.user_id == user.id))
    role = session.get(Role, token.payload["role"])
    if role is not None and _still_promised(session, plugins, token, role):
        session.add(UserRole(user_id=user.id, role_id=role.id))
    else:
        add_role(session, user, permissions.USER)
    session.flush()
    return user


def _still_promised(session: Session, plugins: Plugins, token: Token, role: Role) -> bool:
    if token.created_by is None:
        return True
    giver = load_subject(session, token.created_by)
    if giver is None or giver.status != ACTIVE or not giver.may(permissions.USERS_INVITE):
        return False
    return role.name == permissions.USER or role.id in {one.id for one in grantable_roles(session, giver, plugins)}


def open_invitations(session: Session, subject: Subject) -> list[Invitation]:
    """Return the invitations that can still be used: all of them, or one's own for a narrower right."""
    require(subject, permissions.USERS_INVITE)
    statement = sa.select(Token).where(
        Token.purpose == tokens.INVITE, Token.used_at.is_(None), Token.expires_at > clock.now()
    )
    if "all" not in subject.scopes(permissions.USERS_INVITE):
        statement = statement.where(Token.created_by == subject.user_id)
    found = session.scalars(statement.order_by(Token.id.desc()).limit(200)).all()
    roles = {role.id: role for role in session.scalars(sa.select(Role))}
    teams = {team.id: team for team in session.scalars(sa.select(Team))}
    givers = {one.created_by for one in found if one.created_by}
    names = dict(session.execute(sa.select(User.id, User.name).where(User.id.in_(givers))).all()) if givers else {}
    return [
        Invitation(
            one, roles.get(one.payload["role"]), teams.get(one.payload["team"]), names.get(one.created_by or 0, "")
        )
        for one in found
    ]


@whole
def withdraw_invitation(session: Session, subject: Subject, token_id: int) -> None:
    """Make an invitation worthless."""
    if token_id not in {one.token.id for one in open_invitations(session, subject)}:
        raise Refused(_("This invitation is no longer there."))
    session.execute(sa.update(Token).where(Token.id == token_id).values(used_at=clock.now()))


__all__ = ["Invitation", "accept_invitation", "invitation", "invite", "open_invitations", "withdraw_invitation"]
