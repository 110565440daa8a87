"""Reminders: rows that become notifications at their instant, each exactly once, whatever is killed meanwhile.

A job by the clock turns what is due into notifications, in the transaction that marks it as told; several may run at
once, for they skip one another's rows.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.db import changed
from crm_core.i18n import _
from crm_core.models.notifications import Reminder
from crm_core.notify.kinds import MISSED
from crm_core.notify.telling import CHUNK, notify, tell, written
from crm_core.specs import Job

if TYPE_CHECKING:
    from crm_core.jobs import JobContext

FIRE = "core.notify.reminders"

#: Reminders turned into notifications in one transaction.
BATCH = 500

#: What could not be told for so long is told in one word for all of it.
TOO_LATE = dt.timedelta(hours=24)

#: How far one run looks ahead, so that a reminder comes at its second and not at the next full minute.
AHEAD = dt.timedelta(seconds=60)


def remind(
    session: Session,
    user_ids: int | Iterable[int],
    *,
    key: str,
    at: dt.datetime,
    kind: str,
    title: str,
    values: Mapping[str, Any] | None = None,
    entity: str | None = None,
    record_id: int | None = None,
    href: str = "",
    domain: str = "",
) -> int:
    """Let people be told at an instant; return how many reminders were written or changed.

    The same key moves the reminder. One that was told is told again only when `at` changes; an instant that lay more
    than a day back when it was first asked for is not told at all.
    """
    if at.tzinfo is None:
        raise ValueError(f"remind: {at!r} has no time zone; give an aware datetime")
    users = sorted({user_ids} if isinstance(user_ids, int) else set(user_ids))
    row = written(
        key=key, title=title, values=values, entity=entity, record_id=record_id, href=href, domain=domain
    )
    del row["count"]
    now = clock.now()
    gone = now if at < now - TOO_LATE else None
    row |= {"at": at.astimezone(dt.UTC), "kind": kind, "created_at": now, "fired_at": gone}
    count = 0
    for start in range(0, len(users), CHUNK):
        insert = pg.insert(Reminder).values([{"user_id": user, **row} for user in users[start : start + CHUNK]])
        new = insert.excluded
        again: dict[str, Any] = {name: new[name] for name in row if name not in ("key", "created_at", "fired_at")}
        again["fired_at"] = sa.case((Reminder.at == new.at, Reminder.fired_at), else_=new.fired_at)
        count += len(
            session.execute(
                insert.on_conflict_do_update(index_elements=[Reminder.user_id, Reminder.key], set_=again)
                .returning(Reminder.id)
                .execution_options(synchronize_session=False)
            ).all()
        )
    return count


def forget(
    session: Session,
    *,
    key: str | None = None,
    keys: Iterable[str] = (),
    prefix: str | None = None,
    user_ids: Iterable[int] | None = None,
) -> int:
    """Take away reminders that have not been told yet, by key, keys or the beginning of the key; return how many.

    Those that were told stay, so that the same reminder written anew is not told a second time.
    """
    names = [*keys, *([key] if key is not None else ())]
    found: list[sa.ColumnElement[bool]] = []
    if names:
        found.append(Reminder.key.in_(names))
    if prefix:
        found.append(Reminder.key.startswith(prefix, autoescape=True))
    if not found:
        return 0
    statement = sa.delete(Reminder).where(sa.or_(*found), Reminder.fired_at.is_(None))
    if user_ids is not None:
        statement = statement.where(Reminder.user_id.in_(list(user_ids)))
    return changed(session, statement)


def fire_due(session: Session, *, limit: int = BATCH) -> int:
    """Turn reminders that are due into notifications, in the caller's transaction; return how many were due."""
    now = clock.now()
    table = Reminder.__table__
    rows = session.execute(
        sa.select(table)
        .where(table.c.fired_at.is_(None), table.c.at <= now)
        .order_by(table.c.at, table.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return 0
    in_time: dict[str, list[dict[str, Any]]] = defaultdict(list)
    late: dict[str, list[dict[str, Any]]] = defaultdict(list)
    missed: Counter[int] = Counter()
    for row in rows:
        told = {
            "user_id": row.user_id,
            "key": f"reminder:{row.key}:{row.at:%Y%m%d%H%M%S}",
            "title": row.title,
            "domain": row.domain,
            "values": row.values,
            "entity": row.entity,
            "record_id": row.record_id,
            "href": row.href,
            "count": 1,
        }
        if row.at < now - TOO_LATE:
            late[row.kind].append(told)
            missed[row.user_id] += 1
        else:
            in_time[row.kind].append(told)
    for kind, some in sorted(in_time.items()):
        tell(session, kind, some)
    for kind, some in sorted(late.items()):
        tell(session, kind, some, silent=True)
    for user, count in sorted(missed.items()):
        notify(
            session,
            user,
            key=f"reminders.missed:{clock.today()}",
            kind=MISSED,
            title=_("Missed reminders: ${count}"),
            href="/notifications",
            gather=True,
            count=count,
        )
    session.execute(
        sa.update(Reminder)
        .where(Reminder.id.in_([row.id for row in rows]))
        .values(fired_at=now)
        .execution_options(synchronize_session=False)
    )
    return len(rows)


def fire(context: JobContext) -> dict[str, Any]:
    """Tell every reminder that is due, and come again when the next one is before the next full minute."""
    count = 0
    while True:
        context.check()
        with context.transaction() as session:
            some = fire_due(session)
        count += some
        context.progress(count)
        if not some:
            break
    with context.transaction() as session:
        now = clock.now()
        soon = session.scalar(
            sa.select(sa.func.min(Reminder.at)).where(Reminder.fired_at.is_(None), Reminder.at <= now + AHEAD)
        )
        if soon is not None:
            context.enqueue(session, FIRE, key=f"{FIRE}:next", run_at=max(soon, now))
    return {"told": count}


JOBS = (Job(name=FIRE, run=fire, title=_("Tell reminders that are due"), cron="* * * * *", max_attempts=50),)
"""The jobs of this module, for the core's `crm_jobs`."""
