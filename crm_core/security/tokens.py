"""Single-use rights to do one thing, sent in a link: they expire, and only their digest is stored."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.models import Token
from crm_core.security.secrets import hash_secret, new_secret

CONFIRM = "confirm"
"""Proves that the address of a sign-up is the person's."""

RESET = "reset"
"""Sets a new password in place of a forgotten one."""

CHANGE_ADDRESS = "change-address"
"""Proves that a new address is the person's."""

INVITE = "invite"
"""Lets an invited person make an account."""

SETUP = "setup"
"""Makes the first administrator."""

LIFETIMES: dict[str, dt.timedelta] = {
    CONFIRM: dt.timedelta(days=3),
    RESET: dt.timedelta(hours=2),
    CHANGE_ADDRESS: dt.timedelta(hours=24),
    INVITE: dt.timedelta(days=7),
    SETUP: dt.timedelta(days=7),
}

#: What no real secret is longer or shorter than; anything else is not even looked up.
_LENGTHS = range(20, 200)


def issue(
    session: Session,
    purpose: str,
    *,
    user_id: int | None = None,
    payload: dict[str, Any] | None = None,
    created_by: int | None = None,
    lifetime: dt.timedelta | None = None,
    secret: str = "",
) -> str:
    """Store a new token and return its secret, which cannot be read again later."""
    secret = secret or new_secret()
    session.add(
        Token(
            digest=hash_secret(secret),
            purpose=purpose,
            user_id=user_id,
            payload=payload or {},
            created_by=created_by,
            expires_at=clock.now() + (lifetime or LIFETIMES[purpose]),
        )
    )
    session.flush()
    return secret


def find(session: Session, purpose: str, secret: str | None) -> Token | None:
    """Return the token if it can still be used; an empty secret finds nothing, whatever the table holds."""
    if not _plausible(secret):
        return None
    return session.scalars(_usable(purpose, secret or "")).one_or_none()


def use(session: Session, purpose: str, secret: str | None) -> Token | None:
    """Use the token up and return it; of two who try at once only one gets it."""
    if not _plausible(secret):
        return None
    token = session.scalars(_usable(purpose, secret or "").with_for_update()).one_or_none()
    if token is not None:
        token.used_at = clock.now()
        session.flush()
    return token


def revoke(session: Session, purpose: str, user_id: int) -> None:
    """Make the person's unused tokens of this purpose worthless."""
    session.execute(
        sa.update(Token)
        .where(Token.purpose == purpose, Token.user_id == user_id, Token.used_at.is_(None))
        .values(used_at=clock.now())
    )


def _usable(purpose: str, secret: str) -> sa.Select[Token]:
    return sa.select(Token).where(
        Token.digest == hash_secret(secret),
        Token.purpose == purpose,
        Token.used_at.is_(None),
        Token.expires_at > clock.now(),
    )


def _plausible(secret: str | None) -> bool:
    return isinstance(secret, str) and len(secret.strip()) in _LENGTHS and secret == secret.strip()
