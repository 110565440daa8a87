"""The verbs of settings: gateways, their secrets, the lines of people; and a gateway as its adapter sees it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm_calls.i18n import _
from crm_calls.models import Gateway, Line, Link
from crm_core import clock
from crm_core.jobs import SECRETS
from crm_core.records import operations
from crm_core.security.subject import Subject

PASSWORD, SECRET = "calls.gateway.password", "calls.gateway.secret"

CHANGED = "calls.listen"
"""The job that keeps the connections: it looks at gateways when it begins and every few seconds."""


class Refused(ValueError):
    """Tells why settings cannot be saved so: `field` and a message id."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(str(message))
        self.field = field
        self.message = message


@dataclass(frozen=True)
class Account:
    """A gateway with its password open, as its adapter sees it."""

    id: int
    name: str
    adapter: str
    settings: Mapping[str, str] = field(default_factory=dict)
    password: str = field(default="", repr=False)
    lines: frozenset[str] = frozenset()


def adapters(plugins: Any) -> dict[str, Any]:
    """Return the adapters that plugins bring, by name."""
    found: dict[str, Any] = {}
    for some in plugins.manager.hook.crm_telephony_adapters():
        for one in some or ():
            if one.name in found:
                raise LookupError(f"two plugins bring an adapter of telephony named {one.name!r}")
            found[one.name] = one
    return found


def accounts(session: Session, ids: Iterable[int] | None = None) -> list[Account]:
    """Return the gateways that are on, with their passwords open; two statements."""
    statement = sa.select(Gateway).where(Gateway.active).order_by(Gateway.id)
    if ids is not None:
        statement = statement.where(Gateway.id.in_(list(ids)))
    rows = session.scalars(statement.execution_options(populate_existing=True)).all()
    lines: dict[int, set[str]] = {}
    for gateway_id, number in session.execute(
        sa.select(Line.gateway_id, Line.number).where(Line.gateway_id.in_([row.id for row in rows]))
    ):
        lines.setdefault(gateway_id, set()).add(number)
    return [
        Account(
            row.id, row.name, row.adapter, dict(row.settings), _open(session, PASSWORD, row.password),
            frozenset(lines.get(row.id, ())),
        )
        for row in rows
    ]  # fmt: skip


def signing_secret(session: Session, gateway_id: int) -> str:
    """Return by what a gateway signs; empty where there is no such gateway, or it is off or has none."""
    row = session.execute(sa.select(Gateway.secret).where(Gateway.id == gateway_id, Gateway.active)).one_or_none()
    return _open(session, SECRET, row.secret) if row is not None else ""


def _open(session: Session, purpose: str, sealed: bytes | None) -> str:
    try:
        return str(session.info[SECRETS].unseal(purpose, sealed)) if sealed else ""
    except ValueError:
        # Sealed by another key file: the page asks for it anew, everything else works.
        return ""


def save_gateway(
    session: Session,
    subject: Subject,
    gateway: Gateway | None,
    *,
    name: str,
    adapter: Any,
    values: Mapping[str, str],
    password: str = "",
    active: bool = True,
) -> Gateway:
    """Make or change a gateway; an empty password stays as it was."""
    name = name.strip()
    if not name or len(name) > 120:
        raise Refused("name", _("Give it a name of at most 120 characters."))
    kept: dict[str, str] = {}
    for key, _title, kind, default in adapter.fields:
        value = str(values.get(key, "")).strip() or default
        if len(value) > 200 or not value.isprintable():
            raise Refused(key, _("Write at most 200 printable characters."))
        if kind == "number" and (not value.isdecimal() or not 0 < int(value) < 65536):
            raise Refused(key, _("Write a whole number from 1 to 65535."))
        if kind == "text" and not value and default == "" and key in getattr(adapter, "required", ()):
            raise Refused(key, _("Fill this in."))
        kept[key] = value
    if gateway is None and adapter.password_title and not password:
        raise Refused("password", _("Fill this in."))
    operations.describe(session, subject, kind="settings")
    if gateway is None:
        gateway = Gateway(name=name, adapter=adapter.name)
        session.add(gateway)
    gateway.name, gateway.settings, gateway.active = name, kept, active
    if password:
        gateway.password = session.info[SECRETS].seal(PASSWORD, password)
    session.flush()
    return gateway


def new_secret(session: Session, subject: Subject, gateway: Gateway) -> str:
    """Give a gateway a fresh secret to sign by and return it; it cannot be read again."""
    secret = secrets.token_urlsafe(32)
    operations.describe(session, subject, kind="settings")
    gateway.secret = session.info[SECRETS].seal(SECRET, secret)
    session.flush()
    return secret


def save_line(
    session: Session,
    subject: Subject,
    line: Line | None,
    *,
    gateway_id: int | None,
    number: str,
    user_id: int | None,
    team_id: int | None,
) -> Line:
    """Make or change an internal number: a person's, or one that rings for a department."""
    number = number.strip()
    if not number or len(number) > 40 or not all(sign.isalnum() or sign in "+*#_.-" for sign in number):
        raise Refused("number", _("Write the internal number as your telephony has it: digits and letters."))
    if gateway_id is None or session.get(Gateway, gateway_id) is None:
        raise Refused("gateway_id", _("Choose the telephony."))
    if user_id is None and team_id is None:
        raise Refused("user_id", _("Say whose number it is: a person's or a department's."))
    same = sa.select(Line.id).where(Line.gateway_id == gateway_id, Line.number == number)
    if line is not None:
        same = same.where(Line.id != line.id)
    if session.scalar(same) is not None:
        raise Refused("number", _("This number is in the list already."))
    operations.describe(session, subject, kind="settings")
    if line is None:
        line = Line()
        session.add(line)
    line.gateway_id, line.number, line.user_id, line.team_id = gateway_id, number, user_id, team_id
    session.flush()
    return line


def delete_line(session: Session, subject: Subject, line: Line) -> None:
    """Take an internal number out of the list; its calls stay."""
    operations.describe(session, subject, kind="settings")
    session.delete(line)
    session.flush()


def note_link(session: Session, gateway_id: int, **values: Any) -> None:
    """Write down how the connection to a gateway is."""
    statement = insert(Link.__table__).values(gateway_id=gateway_id, **values)
    # Nothing logs this table, so that it needs no operation: a statement of Core.
    session.connection().execute(statement.on_conflict_do_update(index_elements=["gateway_id"], set_=values))


def connected(session: Session, gateway_id: int) -> None:
    """Write down that a gateway answers."""
    note_link(session, gateway_id, connected_at=clock.now(), failed_at=None, error="")


def failed(session: Session, gateway_id: int, error: str) -> None:
    """Write down that a gateway does not answer, and why."""
    note_link(session, gateway_id, failed_at=clock.now(), error=error[:500])


def heard(session: Session, gateway_id: int) -> None:
    """Write down that a gateway told of a call."""
    note_link(session, gateway_id, heard_at=clock.now())
