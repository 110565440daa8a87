"""Telling people a fact: a row under the bell, once for each person and key, and what goes out by other channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.i18n import TranslationString
from crm_core.models.accounts import ACTIVE, RoleGrant, User, UserRole
from crm_core.models.notifications import Notice
from crm_core.models.work import Notification
from crm_core.notify.choices import BELL, DIGEST, channels_of, next_digest, readers
from crm_core.specs import EventType

DOMAIN = "crm_core"

#: People in one statement.
CHUNK = 5000

#: The plugins of a session, as `crm_core.jobs.bind` keeps them.
_PLUGINS = "crm.plugins"

_NEXT_ID = sa.text("nextval('core_notification_id_seq')")


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
    gather: bool = False,
    count: int = 1,
) -> int:
    """Tell people a fact, each once by its key and never the one who did it (`actor`); return how many were told.

    `kind` is the name of an `EventType`, which says by which channels unless a person chose otherwise. With `gather`
    a fact of a known key comes back on top, unread, and counts `${count}` on until it is read.
    """
    wanted = {users} if isinstance(users, int) else set(users)
    wanted -= {actor}
    row = written(
        key=key, title=title, values=values, entity=entity, record_id=record_id, href=href, domain=domain, count=count
    )
    ordered = sorted(one for one in wanted if one is not None)
    told = 0
    for start in range(0, len(ordered), CHUNK):
        chunk = ordered[start : start + CHUNK]
        told += tell(session, kind, [{"user_id": user, **row} for user in chunk], gather=gather)
    return told


def written(
    *,
    key: str,
    title: str,
    values: Mapping[str, Any] | None = None,
    entity: str | None = None,
    record_id: int | None = None,
    href: str = "",
    domain: str = "",
    count: int = 1,
) -> dict[str, Any]:
    """Return what is kept of a fact, whoever it is told to."""
    said = {**(getattr(title, "mapping", None) or {}), **(values or {})}
    return {
        "key": key,
        "title": str(title),
        "domain": domain or getattr(title, "domain", None) or DOMAIN,
        "values": {name: _plain(value) for name, value in said.items()},
        "entity": entity,
        "record_id": record_id,
        "href": href,
        "count": count,
    }


def _plain(value: Any) -> Any:
    # What is to be translated for each reader is kept as what it is.
    if isinstance(value, TranslationString):
        mapping = {name: _plain(one) for name, one in (value.mapping or {}).items()}
        return {"msgid": str(value), "domain": value.domain or DOMAIN, "values": mapping}
    return value


def tell(
    session: Session, kind: str, rows: Sequence[dict[str, Any]], *, gather: bool = False, silent: bool = False
) -> int:
    """Write rows of one kind, each with its `user_id`; `silent` ones are read already and go nowhere else."""
    spec = _spec(session, kind)
    found = {one.user_id: one for one in readers(session, {row["user_id"] for row in rows}, kind)}
    channels = {user: channels_of(spec, reader.wanted) for user, reader in found.items()}
    now = clock.now()
    ready = []
    for row in rows:
        ways = channels.get(row["user_id"])
        if not ways:
            continue
        bell = BELL in ways
        read = None if bell and not silent else now
        ready.append({**row, "kind": kind, "created_at": now, "bell": bell, "read_at": read})
    if not ready:
        return 0
    fresh = session.execute(_insert(ready, gather)).all()
    if not silent:
        _send_later(session, fresh, found, channels)
    return len(fresh)


def _insert(rows: list[dict[str, Any]], gather: bool) -> Any:
    insert = pg.insert(Notification).values(rows)
    same = [Notification.user_id, Notification.key]
    if gather:
        new = insert.excluded
        count = sa.case((Notification.read_at.is_(None), Notification.count + new.count), else_=new.count)
        # Under a new id it stands where news stand; a page is a range of ids.
        again = {
            "id": _NEXT_ID,
            "count": count,
            "snoozed_until": None,
            **{name: new[name] for name in ("title", "domain", "values", "href", "created_at", "bell", "read_at")},
        }
        written = insert.on_conflict_do_update(index_elements=same, set_=again)
    else:
        written = insert.on_conflict_do_nothing(index_elements=same)
    return written.returning(Notification.id, Notification.user_id, Notification.entity, Notification.record_id,
                             Notification.kind).execution_options(synchronize_session=False)  # fmt: skip


def _send_later(session: Session, fresh: Sequence[Any], found: Mapping[int, Any], channels: Mapping[int, Any]) -> None:
    now = clock.now()
    rows = [
        {
            "notification_id": one.id,
            "user_id": one.user_id,
            "channel": channel,
            "thread": f"{one.entity}:{one.record_id}" if one.entity else one.kind,
            "state": "waiting",
            "due_at": next_digest(found[one.user_id], now) if channel == DIGEST else now,
        }
        for one in fresh
        for channel in sorted(channels[one.user_id] - {BELL})
    ]
    for start in range(0, len(rows), CHUNK):
        insert = pg.insert(Notice).values(rows[start : start + CHUNK])
        session.execute(
            insert.on_conflict_do_update(
                index_elements=[Notice.notification_id, Notice.channel],
                set_={"state": "waiting", "due_at": insert.excluded.due_at},
                where=Notice.state != "waiting",
            )
        )


def _spec(session: Session, kind: str) -> EventType | None:
    plugins = session.info.get(_PLUGINS)
    return plugins.event_types.get(kind) if plugins is not None else None


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
