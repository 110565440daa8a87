"""Browsers that are signed in: rows on the server, of which the cookie holds only a random secret."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.db import changed
from crm_core.models import UserSession
from crm_core.security.secrets import hash_secret, new_secret
from crm_core.security.subject import SignedIn

IDLE = dt.timedelta(hours=12)
ABSOLUTE = dt.timedelta(days=7)
IDLE_REMEMBERED = dt.timedelta(days=30)
ABSOLUTE_REMEMBERED = dt.timedelta(days=90)

SEEN_EVERY = dt.timedelta(minutes=5)
"""How often the row is written while a person works."""

PROOF_LASTS = dt.timedelta(minutes=15)
"""How long after the password was typed the pages that ask for it again do not ask."""


@dataclass(frozen=True)
class Device:
    """Where a request comes from, as the person will recognise it."""

    address: str
    name: str

    @classmethod
    def of(cls, request: Request) -> Device:
        """Return the device of a request."""
        return cls(address=request.client_addr or "", name=device_name(request.user_agent or ""))


def open_session(session: Session, user_id: int, device: Device, *, remember: bool = False) -> str:
    """Open a session and return the secret for the cookie; each sign-in gets a fresh one."""
    secret = new_secret()
    now = clock.now()
    session.add(
        UserSession(
            digest=hash_secret(secret),
            user_id=user_id,
            created_at=now,
            seen_at=now,
            proved_at=now,
            expires_at=_expiry(now, now, remember=remember),
            address=device.address,
            device=device.name,
            remember=remember,
        )
    )
    session.flush()
    return secret


def touch(session: Session, signed_in: SignedIn, address: str) -> None:
    """Note that the person is there, at most once in a few minutes, and move the idle limit."""
    now = clock.now()
    if now - signed_in.seen_at < SEEN_EVERY:
        return
    session.execute(
        sa.update(UserSession)
        .where(UserSession.id == signed_in.id)
        .values(
            seen_at=now,
            address=address or signed_in.address,
            expires_at=_expiry(signed_in.created_at, now, remember=signed_in.remember),
        ),
        execution_options={"synchronize_session": False},
    )


def prove(session: Session, session_id: int) -> None:
    """Note that the person has just typed the password again."""
    session.execute(sa.update(UserSession).where(UserSession.id == session_id).values(proved_at=clock.now()))


def proved_lately(signed_in: SignedIn | None) -> bool:
    """Tell whether the password was typed a short while ago."""
    return signed_in is not None and clock.now() - signed_in.proved_at < PROOF_LASTS


def end_session(session: Session, secret: str) -> None:
    """End the session of a cookie."""
    session.execute(sa.delete(UserSession).where(UserSession.digest == hash_secret(secret)))


def end_sessions(session: Session, user_id: int, *, only: int | None = None, keep: int | None = None) -> int:
    """End a person's sessions: all, one by id, or all but one; return how many there were."""
    statement = sa.delete(UserSession).where(UserSession.user_id == user_id)
    if only is not None:
        statement = statement.where(UserSession.id == only)
    if keep is not None:
        statement = statement.where(UserSession.id != keep)
    return changed(session, statement)


def open_sessions(session: Session, user_id: int) -> list[UserSession]:
    """Return a person's open sessions, the one used last first."""
    return list(
        session.scalars(
            sa.select(UserSession)
            .where(UserSession.user_id == user_id, UserSession.expires_at > clock.now())
            .order_by(UserSession.seen_at.desc(), UserSession.id.desc())
        )
    )


def forget_expired(session: Session) -> int:
    """Delete the rows of sessions that are over; a daily job calls it."""
    return changed(session, sa.delete(UserSession).where(UserSession.expires_at < clock.now()))


def cookie_name(request: Request, base: str = "crm") -> str:
    """Return the name of a cookie: bound to this host alone where the connection is encrypted."""
    return f"__Host-{base}" if request.scheme == "https" else base


def read_cookie(request: Request) -> str:
    """Return the secret that the browser holds, or nothing."""
    return request.cookies.get(cookie_name(request), "")


def set_cookie(request: Request, response: Response, secret: str, *, remember: bool) -> None:
    """Give the browser the secret of its session."""
    response.set_cookie(
        cookie_name(request),
        secret,
        max_age=ABSOLUTE_REMEMBERED if remember else None,
        path="/",
        secure=request.scheme == "https",
        httponly=True,
        samesite="Lax",
    )


def drop_cookie(request: Request, response: Response) -> None:
    """Take the secret back from the browser."""
    response.set_cookie(
        cookie_name(request), "", max_age=0, path="/", secure=request.scheme == "https", httponly=True, samesite="Lax"
    )


def device_name(agent: str) -> str:
    """Return browser and system from a User-Agent, in words a person recognises."""
    browser = _first(
        agent,
        ("YaBrowser", "Yandex"),
        ("Edg", "Edge"),
        ("OPR", "Opera"),
        ("Firefox", "Firefox"),
        ("FxiOS", "Firefox"),
        ("CriOS", "Chrome"),
        ("Chrome", "Chrome"),
        ("Safari", "Safari"),
    )
    system = _first(
        agent,
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    )
    return ", ".join(part for part in (browser, system) if part) or agent[:40]


def _first(agent: str, *pairs: tuple[str, str]) -> str:
    return next((name for mark, name in pairs if mark in agent), "")


def _expiry(created: dt.datetime, seen: dt.datetime, *, remember: bool) -> dt.datetime:
    idle, absolute = (IDLE_REMEMBERED, ABSOLUTE_REMEMBERED) if remember else (IDLE, ABSOLUTE)
    return min(created + absolute, seen + idle)
