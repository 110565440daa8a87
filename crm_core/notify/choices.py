"""What people choose to be told, by which channel, and when they want to be left alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.db import changed
from crm_core.models.notifications import Notice, NoticeChoice, NoticeHours
from crm_core.specs import EventType

#: The row under the bell, a letter at once, the letter of the day; plugins add channels of their own.
BELL, MAIL, DIGEST = "bell", "mail", "digest"

DAILY, HOURLY = "daily", "hourly"

#: What one is told by, if nobody has said anything about a kind.
UNSAID = frozenset({BELL})

DAY = 24 * 60


@dataclass(frozen=True, kw_only=True)
class Hours:
    """When a person wants to be left alone, and when the letter of the day comes; minutes after midnight."""

    quiet_from: int | None = None
    quiet_to: int | None = None
    quiet_weekends: bool = False
    digest: str = DAILY
    digest_at: int = 9 * 60
    muted_until: dt.datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A person with an active account who is to be told something: his clock, hours and choices of one kind."""

    user_id: int
    zone: str
    hours: Hours = field(default_factory=Hours)
    wanted: Mapping[str, bool] = field(default_factory=dict)


_READERS = sa.text(
    """
    SELECT u.id, coalesce(nullif(u.time_zone, ''), s.value #>> '{}', 'Europe/Moscow') AS zone,
        h.user_id AS has_hours, h.quiet_from, h.quiet_to, h.quiet_weekends, h.digest, h.digest_at, h.muted_until,
        (SELECT jsonb_object_agg(c.channel, c.wanted) FROM core_notice_choice c
            WHERE c.user_id = u.id AND c.kind = :kind) AS wanted
    FROM core_user u
    LEFT JOIN core_notice_hours h ON h.user_id = u.id
    LEFT JOIN core_setting s ON s.key = 'company.time_zone'
    WHERE u.id = ANY(:users) AND u.status = 'active'
    ORDER BY u.id
    """
)


def readers(session: Session, users: Iterable[int], kind: str = "") -> list[Reader]:
    """Return those of the people whose accounts are active, with what they chose for a kind, in one statement."""
    wanted = sorted(set(users))
    if not wanted:
        return []
    rows = session.execute(_READERS, {"users": wanted, "kind": kind})
    return [
        Reader(user_id=row.id, zone=row.zone, hours=_hours(row) if row.has_hours else Hours(), wanted=row.wanted or {})
        for row in rows
    ]


def _hours(row: Any) -> Hours:
    return Hours(
        quiet_from=row.quiet_from,
        quiet_to=row.quiet_to,
        quiet_weekends=row.quiet_weekends,
        digest=row.digest,
        digest_at=row.digest_at,
        muted_until=row.muted_until,
    )


def choosable(spec: EventType) -> bool:
    """Tell whether a fact is one that people are told of, so that it stands among their choices."""
    return bool(spec.notify or spec.group)


def channels_of(spec: EventType | None, wanted: Mapping[str, bool] | None = None) -> frozenset[str]:
    """Return by which channels a kind is told to who chose so; what is mandatory is told whatever one chooses."""
    default = frozenset(spec.notify) if spec is not None and choosable(spec) else UNSAID
    wanted = wanted or {}
    found = (default | {name for name, yes in wanted.items() if yes}) - {
        name for name, yes in wanted.items() if not yes
    }
    if spec is not None and spec.mandatory:
        found |= default
    # A letter at once says it all; the letter of the day need not say it again.
    return found - {DIGEST} if MAIL in found else found


def quiet_until(reader: Reader, now: dt.datetime) -> dt.datetime | None:
    """Return when a person may be disturbed again; None when now is as good as any time."""
    hours, zone, at = reader.hours, clock.zone(reader.zone), now
    for _step in range(6):
        before = at
        if hours.muted_until is not None and hours.muted_until > at:
            at = hours.muted_until
        local = at.astimezone(zone)
        minutes = local.hour * 60 + local.minute
        if hours.quiet_weekends and local.weekday() >= 5:
            at = clock.start_of_day(local.date() + dt.timedelta(days=7 - local.weekday()), zone)
            continue
        begin, end = hours.quiet_from, hours.quiet_to
        if begin is not None and end is not None and begin != end:
            if begin < end and begin <= minutes < end:
                at = _at(local.date(), end, zone)
            elif begin > end and minutes >= begin:
                at = _at(local.date() + dt.timedelta(days=1), end, zone)
            elif begin > end and minutes < end:
                at = _at(local.date(), end, zone)
        if at == before:
            break
    return at if at > now else None


def next_digest(reader: Reader, now: dt.datetime) -> dt.datetime:
    """Return when the next letter of the day (or of the hour) leaves for a person."""
    zone = clock.zone(reader.zone)
    local = now.astimezone(zone)
    if reader.hours.digest == HOURLY:
        return now.replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1)
    today = _at(local.date(), reader.hours.digest_at, zone)
    return today if today > now else _at(local.date() + dt.timedelta(days=1), reader.hours.digest_at, zone)


def _at(day: dt.date, minutes: int, zone: dt.tzinfo) -> dt.datetime:
    hour, minute = divmod(min(minutes, DAY - 1), 60)
    return dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(dt.UTC)


# -- one's own choices ---------------------------------------------------------------------------------------------


def hours_of(session: Session, user_id: int) -> Hours:
    """Return the hours a person chose."""
    found = session.execute(sa.select(NoticeHours.__table__).where(NoticeHours.user_id == user_id)).one_or_none()
    return _hours(found) if found is not None else Hours()


def save_hours(session: Session, user_id: int, hours: Hours) -> None:
    """Keep the hours of a person; what waits for his next digest leaves by the new time."""
    values = {
        "quiet_from": hours.quiet_from,
        "quiet_to": hours.quiet_to,
        "quiet_weekends": hours.quiet_weekends,
        "digest": hours.digest,
        "digest_at": hours.digest_at,
        "muted_until": hours.muted_until,
    }
    insert = pg.insert(NoticeHours).values(user_id=user_id, **values)
    session.execute(insert.on_conflict_do_update(index_elements=[NoticeHours.user_id], set_=values))
    for reader in readers(session, [user_id]):
        changed(
            session,
            sa.update(Notice)
            .where(Notice.user_id == user_id, Notice.channel == DIGEST, Notice.state == "waiting")
            .values(due_at=next_digest(reader, clock.now())),
        )


def mute(session: Session, user_id: int, until: dt.datetime | None) -> None:
    """Leave a person alone until an instant; None ends it."""
    insert = pg.insert(NoticeHours).values(user_id=user_id, muted_until=until, quiet_weekends=False)
    session.execute(
        insert.on_conflict_do_update(index_elements=[NoticeHours.user_id], set_={"muted_until": until})
    )


def save_choices(
    session: Session,
    user_id: int,
    specs: Iterable[EventType],
    chosen: Mapping[str, Iterable[str]],
    known: Iterable[str],
) -> None:
    """Keep by which of the known channels a person is told each kind; only what differs from the default is kept."""
    names = list(known)
    kinds = {spec.name: spec for spec in specs}
    session.execute(
        sa.delete(NoticeChoice)
        .where(NoticeChoice.user_id == user_id, NoticeChoice.kind.in_(list(kinds)), NoticeChoice.channel.in_(names))
        .execution_options(synchronize_session=False)
    )
    rows = []
    for kind, spec in kinds.items():
        default, wanted = frozenset(spec.notify), set(chosen.get(kind, ()))
        for channel in names:
            if spec.mandatory and channel in default:
                continue
            if (channel in default) != (channel in wanted):
                rows.append({"user_id": user_id, "kind": kind, "channel": channel, "wanted": channel in wanted})
    if rows:
        session.execute(sa.insert(NoticeChoice), rows)


def choices_of(session: Session, user_id: int) -> dict[str, dict[str, bool]]:
    """Return what a person chose: kind to channel to yes or no, where it differs from the default."""
    found: dict[str, dict[str, bool]] = {}
    rows = session.execute(
        sa.select(NoticeChoice.kind, NoticeChoice.channel, NoticeChoice.wanted).where(NoticeChoice.user_id == user_id)
    )
    for kind, channel, wanted in rows:
        found.setdefault(kind, {})[channel] = wanted
    return found
