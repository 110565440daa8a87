"""What people are told under the bell: one row for each person and fact, told once.

:func:`notify` writes in the caller's transaction; :func:`listing` shows, asking the gate again whether the person may
still see the record a notification is about.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.db import changed
from crm_core.i18n import _
from crm_core.models.accounts import ACTIVE, RoleGrant, User, UserRole
from crm_core.models.work import Notification

DOMAIN = "crm_core"

#: People in one statement.
CHUNK = 5000


class Gate(Protocol):
    """What listing needs of `crm_core.records.gate.Gate`."""

    def visible_ids(self, entity: str, ids: Iterable[int]) -> Iterable[int]:
        """Return those of the records that the subject may see."""


@dataclass(frozen=True)
class Item:
    """A notification as its reader may see it now."""

    id: int
    kind: str
    title: str
    """A message id of `domain`, filled in by `values`."""
    domain: str
    values: Mapping[str, Any] = field(default_factory=dict)
    href: str = ""
    created_at: dt.datetime | None = None
    read_at: dt.datetime | None = None
    entity: str | None = None
    record_id: int | None = None
    accessible: bool = True
    """False: the record is no longer his to see, and nothing of it is told."""


def notify(
    session: Session,
    users: int | Iterable[int],
    *,
    key: str,
    kind: str,
    title: str,
    values: Mapping[str, Any] | None = None,
    entity: str | None = None,
    record_id: int | None = None,
    href: str = "",
    domain: str = "",
    actor: int | None = None,
) -> int:
    """Tell people a fact, each once by its key and never the one who did it (`actor`); return how many were told."""
    wanted = {users} if isinstance(users, int) else set(users)
    wanted -= {actor}
    told = 0
    row = {
        "key": key,
        "kind": kind,
        "title": str(title),
        "domain": domain or getattr(title, "domain", None) or DOMAIN,
        "values": {**(getattr(title, "mapping", None) or {}), **(values or {})},
        "entity": entity,
        "record_id": record_id,
        "href": href,
        "created_at": clock.now(),
    }
    ordered = sorted(wanted)
    for start in range(0, len(ordered), CHUNK):
        insert = pg.insert(Notification).values([{"user_id": user, **row} for user in ordered[start : start + CHUNK]])
        result = session.execute(
            insert.on_conflict_do_nothing(index_elements=[Notification.user_id, Notification.key]).returning(
                Notification.id
            )
        )
        told += len(result.all())
    return told


def holders(session: Session, permission: str) -> list[int]:
    """Return the active people who hold a permission in any scope: whom to tell of what concerns it."""
    return list(
        session.scalars(
            sa.select(User.id)
            .where(
                User.status == ACTIVE,
                User.id.in_(
                    sa.select(UserRole.user_id)
                    .join(RoleGrant, RoleGrant.role_id == UserRole.role_id)
                    .where(RoleGrant.permission == permission)
                ),
            )
            .order_by(User.id)
        )
    )


def unread_count(session: Session, user_id: int, *, most: int = 100) -> int:
    """Return how many notifications wait to be read, counting no further than `most`."""
    waiting = sa.select(Notification.id).where(*_due(user_id), Notification.read_at.is_(None)).limit(most).subquery()
    return session.scalar(sa.select(sa.func.count()).select_from(waiting)) or 0


def mark_read(session: Session, user_id: int, ids: Sequence[int] | None = None) -> int:
    """Mark notifications of the person as read, all of them when no ids are given; return how many changed."""
    statement = sa.update(Notification).where(Notification.user_id == user_id, Notification.read_at.is_(None))
    if ids is not None:
        statement = statement.where(Notification.id.in_(list(ids)))
    return changed(session, statement.values(read_at=clock.now()))


def snooze(session: Session, user_id: int, notification_id: int, until: dt.datetime) -> bool:
    """Put a notification away until an instant, when it comes back unread."""
    statement = sa.update(Notification).where(Notification.user_id == user_id, Notification.id == notification_id)
    return changed(session, statement.values(snoozed_until=until, read_at=None)) == 1


def listing(
    session: Session,
    gate: Gate,
    user_id: int,
    *,
    limit: int = 30,
    before: int | None = None,
    since: int | None = None,
    unread: bool = False,
) -> list[Item]:
    """Return notifications of a person, newest first, with access to their records asked anew.

    `before` and `since` are ids: the page after, and what came since.
    """
    statement = sa.select(Notification).where(*_due(user_id)).order_by(Notification.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(Notification.id < before)
    if since is not None:
        statement = statement.where(Notification.id > since)
    if unread:
        statement = statement.where(Notification.read_at.is_(None))
    rows = session.scalars(statement).all()
    visible = _visible(gate, rows)
    return [_item(row, visible) for row in rows]


def _due(user_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Notification.user_id == user_id,
        Notification.snoozed_until.is_(None) | (Notification.snoozed_until <= clock.now()),
    )


def _visible(gate: Gate, rows: Iterable[Notification]) -> set[tuple[str, int]]:
    wanted: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        if row.entity and row.record_id is not None:
            wanted[row.entity].add(row.record_id)
    found: set[tuple[str, int]] = set()
    for entity, ids in wanted.items():
        try:
            found.update((entity, record_id) for record_id in gate.visible_ids(entity, sorted(ids)))
        except KeyError:
            continue  # its plugin is off: nobody sees its records now
    return found


def _item(row: Notification, visible: set[tuple[str, int]]) -> Item:
    if row.entity and row.record_id is not None and (row.entity, row.record_id) not in visible:
        return Item(
            id=row.id,
            kind=row.kind,
            title=_("A record that you can no longer see"),
            domain=DOMAIN,
            created_at=row.created_at,
            read_at=row.read_at,
            accessible=False,
        )
    return Item(
        id=row.id,
        kind=row.kind,
        title=row.title,
        domain=row.domain,
        values=row.values,
        href=row.href,
        created_at=row.created_at,
        read_at=row.read_at,
        entity=row.entity,
        record_id=row.record_id,
    )
