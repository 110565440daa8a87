"""The feed: one's own tasks as a calendar to subscribe to, by an address that nobody can guess."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.i18n import localizer_for, translate
from crm_core.models.accounts import ACTIVE
from crm_core.records.gate import Gate
from crm_core.security.subject import load_subject
from crm_tasks import ics
from crm_tasks.entities import TASK
from crm_tasks.i18n import DOMAIN, _
from crm_tasks.models import Feed, Meeting, Task
from crm_tasks.permissions import VIEW
from crm_tasks.schemas import CANCELLED, DONE, KINDS
from crm_tasks.services import schedule
from crm_tasks.services.invitations import digest_of

PAST, FUTURE = dt.timedelta(days=90), dt.timedelta(days=365)

#: Programs ask every quarter of an hour or so; when one asked is noted no more often.
_NOTED = dt.timedelta(hours=1)


def of(session: Session, user_id: int) -> Feed | None:
    """Return the feed of a person, if he has one."""
    return session.scalars(sa.select(Feed).where(Feed.user_id == user_id).order_by(Feed.id.desc()).limit(1)).first()


def issue(gate: Gate, *, busy_only: bool = False, details: bool = False) -> str:
    """Give the subject a new address and return its secret, which cannot be read again; an older one dies."""
    session = gate.session
    secret = secrets.token_urlsafe(32)
    revoke(gate)
    feed = Feed(
        user_id=gate.subject.user_id, digest=digest_of(secret), busy_only=busy_only, details=details and not busy_only
    )
    session.add(feed)
    session.flush()
    return secret


def revoke(gate: Gate) -> None:
    """Make the address of the subject worthless."""
    gate.session.execute(sa.delete(Feed).where(Feed.user_id == gate.subject.user_id))


def found(session: Session, secret: str) -> Feed | None:
    """Return the feed that a secret opens."""
    if not 40 <= len(secret) <= 50:
        return None
    return session.scalars(sa.select(Feed).where(Feed.digest == digest_of(secret))).one_or_none()


def read(session: Session, plugins: object, feed: Feed) -> bytes | None:
    """Return the calendar of whoever the feed belongs to; None once he may not sign in or see tasks any more."""
    subject = load_subject(session, feed.user_id)
    if subject is None or subject.status != ACTIVE or not subject.may(VIEW):
        return None
    now = clock.now()
    if feed.read_at is None or now - feed.read_at > _NOTED:
        session.execute(sa.update(Feed).where(Feed.id == feed.id).values(read_at=now))
    gate = Gate(session, subject, plugins)  # type: ignore[arg-type]
    localizer = localizer_for(subject.locale or "ru", packages=("crm_core", DOMAIN))
    name = translate(localizer, _("Tasks: ${name}", mapping={"name": subject.name}))
    busy = translate(localizer, _("Busy"))
    kinds = {kind: translate(localizer, title) for kind, title in KINDS}
    start = clock.start_of_day((now - PAST).astimezone(clock.zone(subject.zone)).date(), subject.zone)
    return ics.feed(name, happenings(gate, feed, start, now + FUTURE, busy, kinds))


def happenings(
    gate: Gate, feed: Feed, start: dt.datetime, end: dt.datetime, busy: str, kinds: dict[str, str]
) -> list[ics.Happening]:
    """Return what stands in the subject's own calendar: tasks, meetings asked to, and what comes again."""
    found: list[ics.Happening] = []
    me = [gate.subject.user_id] if gate.subject.user_id is not None else []
    shown = schedule.calendar(gate, me, start, end, days=(end - start).days + 1, most=5 * schedule.MOST)
    ids = [entry.task.id for entry in shown.entries]
    uids = _uids(gate, ids)
    texts = _texts(gate, ids) if feed.details else {}
    for entry in shown.entries:
        task = entry.task
        occupied = schedule.occupies(task)
        if task.state == CANCELLED or (feed.busy_only and not occupied):
            continue
        uid, sequence = uids.get(task.id) or (_uid(task.series_id, task.occurrence, task.id), task.version)
        done = "✓ " if task.state == DONE else ""
        title = busy if feed.busy_only else f"{done}{task.title}"
        found.append(
            _happening(
                uid, title, entry.span, task.zone, task.updated_at or task.created_at, busy=occupied,
                place="" if feed.busy_only else task.place or "", text=texts.get(task.id, ""),
                categories=() if feed.busy_only else (kinds.get(task.kind, task.kind),),
                private=feed.busy_only, sequence=sequence,
            )
        )  # fmt: skip
    for one in shown.ahead:
        if feed.busy_only and one.span.all_day:
            continue
        found.append(
            _happening(
                _uid(one.series_id, one.occurrence, 0), busy if feed.busy_only else one.title, one.span, one.zone,
                dt.datetime(2020, 1, 1, tzinfo=dt.UTC), busy=not one.span.all_day, private=feed.busy_only,
                categories=() if feed.busy_only else (kinds.get(one.kind, one.kind),),
            )
        )  # fmt: skip
    return found


def _happening(
    uid: str, title: str, where: schedule.Span, zone: str, stamp: dt.datetime, *, busy: bool, place: str = "",
    text: str = "", categories: tuple[str, ...] = (), private: bool = False, sequence: int = 0,
) -> ics.Happening:  # fmt: skip
    whole = where.all_day and where.first is not None and where.last is not None
    return ics.Happening(
        uid=uid, title=title, zone=zone or "UTC", stamp=stamp, busy=busy, place=place, text=text,
        categories=categories, private=private, sequence=sequence,
        start=where.first if whole and where.first else where.start,
        end=where.last if whole and where.last else where.end,
    )  # fmt: skip


def _uid(series_id: int | None, occurrence: str | None, task_id: int) -> str:
    # An occurrence is the same thing before and after it is made a task.
    return f"series-{series_id}-{occurrence}@crm-tasks" if series_id else f"task-{task_id}@crm-tasks"


def _uids(gate: Gate, ids: list[int]) -> dict[int, tuple[str, int]]:
    """Return by what guests' calendars know meetings, so that an invitation and the feed are one thing."""
    rows = gate.session.execute(
        sa.select(Meeting.task_id, Meeting.uid, Meeting.sequence).where(Meeting.task_id.in_(ids))
    )
    return {row.task_id: (row.uid, row.sequence) for row in rows}


def _texts(gate: Gate, ids: list[int]) -> dict[int, str]:
    rows = gate.session.execute(
        gate.select(TASK, Task.id, Task.text).where(Task.id.in_(ids), Task.text.is_not(None), Task.text != "")
    )
    return {row.id: row.text for row in rows}


def etag(content: bytes) -> str:
    """Return what tells one content from another."""
    return hashlib.sha256(content).hexdigest()[:32]
