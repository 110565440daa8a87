"""What stands under the bell: read, put away, and listed anew with the rights of now."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.db import changed
from crm_core.i18n import TranslationString, _
from crm_core.models.notifications import NoticeHours
from crm_core.models.work import Notification
from crm_core.notify.telling import DOMAIN


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
    count: int = 1
    accessible: bool = True
    """False: the record is no longer his to see, and nothing of it is told."""


def unread_count(session: Session, user_id: int, *, most: int = 100) -> int:
    """Return how many notifications wait to be read, counting no further than `most`; none while he wants quiet."""
    muted = sa.exists().where(NoticeHours.user_id == user_id, NoticeHours.muted_until > clock.now())
    unread = (*_due(user_id), Notification.read_at.is_(None), ~muted)
    waiting = sa.select(Notification.id).where(*unread).limit(most).subquery()
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
    mine = (*_due(user_id), Notification.bell)
    statement = sa.select(Notification).where(*mine).order_by(Notification.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(Notification.id < before)
    if since is not None:
        statement = statement.where(Notification.id > since)
    if unread:
        statement = statement.where(Notification.read_at.is_(None))
    rows = session.scalars(statement).all()
    seen = visible(gate, rows)
    return [item_of(row, seen) for row in rows]


def words(title: str, domain: str, values: Mapping[str, Any], say: Callable[[TranslationString], str]) -> str:
    """Return what a notification says; `say` translates for its reader, also what stands inside it."""
    mapping = {
        name: words(value["msgid"], value["domain"], value.get("values") or {}, say)
        if isinstance(value, dict) and "msgid" in value
        else value
        for name, value in values.items()
    }
    return say(TranslationString(title, domain=domain, mapping=mapping))


def _due(user_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Notification.user_id == user_id,
        Notification.snoozed_until.is_(None) | (Notification.snoozed_until <= clock.now()),
    )


def visible(gate: Gate, rows: Iterable[Any]) -> set[tuple[str, int]]:
    """Return which of the records that notifications are about their reader may see now."""
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


def item_of(row: Any, seen: set[tuple[str, int]]) -> Item:
    """Return a notification as its reader may know it."""
    if row.entity and row.record_id is not None and (row.entity, row.record_id) not in seen:
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
        count=row.count,
    )
