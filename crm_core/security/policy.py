"""Who asks, and whether he may: Pyramid's security policy over sessions, roles and the gate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.security import Allowed, Denied
from sqlalchemy.orm import Session

from crm_core.models import accounts
from crm_core.security import sessions
from crm_core.security.permissions import SIGNED_IN
from crm_core.security.secrets import hash_secret
from crm_core.security.subject import ANONYMOUS, SignedIn, Subject, load_signed_in


class SessionPolicy:
    """Answers Pyramid's questions; every view asks it, for every view has a permission."""

    def identity(self, request: Request) -> Subject | None:
        """Return the person who asks, with all his rights; None before sign-in."""
        subject: Subject = request.subject
        return None if subject is ANONYMOUS else subject

    def authenticated_userid(self, request: Request) -> int | None:
        """Return the id of the account that asks."""
        return request.subject.user_id

    def permits(self, request: Request, context: Any, permission: str) -> Allowed | Denied:
        """Tell whether the permission is held, and reaches the record when the context has one."""
        subject: Subject = request.subject
        if subject is ANONYMOUS or subject.status != accounts.ACTIVE:
            return Denied("nobody is signed in")
        if permission == SIGNED_IN:
            return Allowed("signed in")
        if not subject.may(permission):
            return Denied(f"no role of this account has {permission}")
        record = getattr(context, "record", None)
        if record is not None and not request.gate.allows(permission, record):
            return Denied(f"{permission} does not reach this record")
        return Allowed(f"{permission} is held")

    def remember(self, request: Request, userid: int, **options: Any) -> list[tuple[str, str]]:
        """Refuse: sign-in opens a session by `crm_core.security.sessions`, which needs more than an id."""
        raise NotImplementedError("use crm_core.security.sessions.open_session")

    def forget(self, request: Request, **options: Any) -> list[tuple[str, str]]:
        """Return the header that takes the cookie back."""
        sessions.drop_cookie(request, request.response)
        return [("Set-Cookie", value) for value in request.response.headers.getall("Set-Cookie")]


def find_signed_in(request: Request) -> tuple[SignedIn | None, Subject]:
    """Return the open session of the request and its person; nobody when there is none."""
    ready = request.environ.get("crm.subject")
    if ready is not None:
        return None, ready
    secret = sessions.read_cookie(request)
    if not secret:
        return None, ANONYMOUS
    with reading_session(request) as db:
        found = load_signed_in(db, hash_secret(secret))
        if found is None:
            return None, ANONYMOUS
        sessions.touch(db, found[0], request.client_addr or "")
    return found


@contextmanager
def reading_session(request: Request) -> Iterator[Session]:
    """Open the request's session, or a short one of its own once the request's transaction is over."""
    # Pages of errors are made after the request's transaction is over; they get a short one of their own.
    if "app.dbsession" in request.environ or request.environ.get("tm.active"):
        yield request.db
        return
    with request.registry["crm.session_factory"]() as session:
        yield session
        session.commit()


def includeme(config: Configurator) -> None:
    """Set the policy and the permission of views that name none; give requests `subject` and `signed_in`."""
    config.add_request_method(find_signed_in, "_found_session", reify=True)
    config.add_request_method(lambda request: request._found_session[0], "signed_in", reify=True)
    config.add_request_method(lambda request: request._found_session[1], "subject", reify=True)
    config.set_security_policy(SessionPolicy())
    config.set_default_permission(SIGNED_IN)
