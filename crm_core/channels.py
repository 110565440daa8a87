"""What notifications send out beside the bell: letters at once, the letter of the day, and the channels of plugins.

A job by the clock takes what is due of `core_notice`, person by person, asks the gate again what he may still see,
leaves him alone in his quiet hours, and gathers what is about one record. A channel that is `inside` (mail) writes in
that same transaction; what talks to a foreign host goes through `core_delivery` in a job of its own for each channel,
so that one that fails or hangs keeps nobody waiting: half a minute for an answer, and after failures a pause.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session

from crm_core import clock, delivery, jobs, mail, notify
from crm_core.db import changed
from crm_core.delivery import ACCEPTED, DEFERRED, FAILED, UNCERTAIN, Outcome, Sender, Unreachable
from crm_core.i18n import _, localizer_for, translate
from crm_core.models.accounts import ACTIVE, User
from crm_core.models.notifications import ChannelState, Notice, Reminder
from crm_core.models.work import Delivery, Notification
from crm_core.notify import DIGEST, MAIL, Reader
from crm_core.people.letters import sheet
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject, load_subject
from crm_core.specs import Channel, Job, Outgoing, OutgoingLine

if TYPE_CHECKING:
    from crm_core.jobs import JobContext
    from crm_core.plugins import Plugins

log = structlog.get_logger(__name__)

SEND, HAND_OVER, CLEAN = "core.notify.send", "core.notify.channel", "core.notify.clean"

PURPOSE = "notice"

#: Of one record there is at most one message by one channel in this time; what comes meanwhile is gathered.
GAP = dt.timedelta(minutes=5)

#: A channel that does not answer within this hangs.
TIMEOUT = 30.0

#: Failures in a row after which a channel is left alone, and for how long at first; each time twice as long.
FAILURES = 3
PAUSE, LONGEST_PAUSE = dt.timedelta(minutes=1), dt.timedelta(hours=1)

#: Lines of one message; the rest is counted.
MOST_LINES = 50

SETTINGS_PATH = "/profile/notifications"

KEEP_TOLD = dt.timedelta(days=30)
KEEP_READ = dt.timedelta(days=400)


# -- what is due ---------------------------------------------------------------------------------------------------


def send_due(context: JobContext) -> dict[str, Any]:
    """Send out what is due, person by person."""
    after = told = 0
    while True:
        context.check()
        with context.transaction() as session:
            user_id = session.scalar(_next_person(context.plugins, after))
            if user_id is None:
                break
            told += send_to(session, context.plugins, user_id)
        after = user_id
    return {"told": told}


def _next_person(plugins: Plugins, after: int) -> sa.Select[Any]:
    return (
        sa.select(Notice.user_id)
        .where(
            Notice.state == "waiting",
            Notice.due_at <= clock.now(),
            Notice.channel.in_([*plugins.channels, DIGEST]),
            Notice.user_id > after,
        )
        .order_by(Notice.user_id)
        .limit(1)
    )


@dataclass(frozen=True)
class _Due:
    """A notice with its notification."""

    id: int
    channel: str
    thread: str
    row: Any


def send_to(session: Session, plugins: Plugins, user_id: int) -> int:
    """Send out what is due to one person, in the caller's transaction; return how many notices were told."""
    # Two at once would tear apart what belongs into one letter.
    lock = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended('core.notice', :user))")
    if not session.scalar(lock, {"user": user_id}):
        return 0
    now = clock.now()
    due = _due(session, plugins, user_id, now)
    found = notify.readers(session, [user_id])
    subject = load_subject(session, user_id)
    if not found or subject is None or not due:
        _settle(session, due, "dropped")
        return 0
    reader = found[0]
    # What was read under the bell need not be told again.
    _settle(session, [one for one in due if one.row.bell and one.row.read_at is not None], "dropped")
    due = [one for one in due if not (one.row.bell and one.row.read_at is not None)]
    quiet = notify.quiet_until(reader, now)
    if quiet is not None:
        waits = [one for one in due if not _mandatory(plugins, one)]
        _put_off(session, waits, quiet)
        due = [one for one in due if _mandatory(plugins, one)]
    seen = notify.visible(Gate(session, subject, plugins), [one.row for one in due])
    hidden = [one for one in due if one.row.entity and (one.row.entity, one.row.record_id) not in seen]
    _settle(session, hidden, "dropped")
    due = [one for one in due if one not in hidden]
    told = 0
    for name, some in _by_message(due):
        told += _send(session, plugins, subject, reader, name, some, now)
    return told


def _due(session: Session, plugins: Plugins, user_id: int, now: dt.datetime) -> list[_Due]:
    rows = session.execute(
        sa.select(Notice.id, Notice.channel, Notice.thread, Notification.__table__)
        .join(Notification, Notification.id == Notice.notification_id)
        .where(
            Notice.user_id == user_id,
            Notice.state == "waiting",
            Notice.due_at <= now,
            Notice.channel.in_([*plugins.channels, DIGEST]),
        )
        .order_by(Notice.notification_id)
        .with_for_update(of=Notice.__table__)
    ).all()
    return [_Due(row[0], row[1], row[2], _Row(row[3:])) for row in rows]


class _Row:
    """A notification's columns as attributes."""

    def __init__(self, values: Sequence[Any]) -> None:
        for column, value in zip(Notification.__table__.columns, values, strict=True):
            setattr(self, column.name, value)


def _mandatory(plugins: Plugins, one: _Due) -> bool:
    spec = plugins.event_types.get(one.row.kind)
    return spec is not None and spec.mandatory


def _by_message(due: Iterable[_Due]) -> list[tuple[str, list[_Due]]]:
    found: dict[tuple[str, str], list[_Due]] = defaultdict(list)
    for one in due:
        found[one.channel, "" if one.channel == DIGEST else one.thread].append(one)
    return [(channel, some) for (channel, _thread), some in found.items()]


def _send(
    session: Session,
    plugins: Plugins,
    subject: Subject,
    reader: Reader,
    name: str,
    some: list[_Due],
    now: dt.datetime,
) -> int:
    channel = plugins.channels.get(MAIL if name == DIGEST else name)
    if channel is None:
        _settle(session, some, "dropped")
        return 0
    pause = paused_until(session, channel.id)
    gap = _last_told(session, reader.user_id, name, some[0].thread) if name != DIGEST else None
    later = max((at for at in (pause, gap + GAP if gap else None) if at is not None and at > now), default=None)
    if later is not None:
        _put_off(session, some, later)
        return 0
    try:
        with session.begin_nested():
            address = channel.address(session, reader.user_id)
            if address:
                _hand(session, plugins, subject, channel, address, some, digest=name == DIGEST)
    except Exception as error:
        if jobs.worth_a_retry(error) or isinstance(error, jobs.LostLease):
            raise
        log.error("channel_fault", channel=channel.id, error=jobs.describe(error))
        _failed(session, channel.id, f"{type(error).__name__}: {error}")
        _put_off(session, some, now + GAP)
        return 0
    if channel.inside and address:
        worked(session, channel.id)
    _settle(session, some, "told" if address else "dropped")
    return len(some) if address else 0


def _hand(
    session: Session,
    plugins: Plugins,
    subject: Subject,
    channel: Channel,
    address: str,
    some: list[_Due],
    *,
    digest: bool,
) -> None:
    rows = [one.row for one in some]
    if channel.inside:
        channel.send(message(session, plugins, subject, channel, address, rows, digest=digest))
        return
    delivery.add(
        session,
        Delivery,
        purpose=PURPOSE,
        step=_key(channel, rows),
        channel=channel.id,
        address=address,
        address_digest=delivery.address_digest(session.info[jobs.SECRETS], channel.id, address),
        user_id=subject.user_id,
        foreign_id="",
        payload={"notifications": [row.id for row in rows]},
        due_at=clock.now(),
        created_at=clock.now(),
    )
    jobs.enqueue(session, HAND_OVER, key=f"{HAND_OVER}:{channel.id}", channel=channel.id)


def _key(channel: Channel, rows: Sequence[Any]) -> str:
    # Under a new id a notification that gathered more is a new message; the same message has the same key.
    ids = sorted(row.id for row in rows)
    return f"{channel.id}:{rows[0].user_id}:{ids[0]}-{ids[-1]}:{len(ids)}"


def _last_told(session: Session, user_id: int, channel: str, thread: str) -> dt.datetime | None:
    return session.scalar(
        sa.select(sa.func.max(Notice.told_at)).where(
            Notice.user_id == user_id, Notice.channel == channel, Notice.thread == thread, Notice.told_at.is_not(None)
        )
    )


def _settle(session: Session, some: Iterable[_Due], state: str) -> None:
    ids = [one.id for one in some]
    if ids:
        values: dict[str, Any] = {"state": state}
        if state == "told":
            values["told_at"] = clock.now()
        changed(session, sa.update(Notice).where(Notice.id.in_(ids)).values(**values))


def _put_off(session: Session, some: Iterable[_Due], until: dt.datetime) -> None:
    ids = [one.id for one in some]
    if ids:
        changed(session, sa.update(Notice).where(Notice.id.in_(ids)).values(due_at=until))


# -- what it says --------------------------------------------------------------------------------------------------


def message(
    session: Session,
    plugins: Plugins,
    subject: Subject,
    channel: Channel,
    address: str,
    rows: Sequence[Any],
    *,
    digest: bool = False,
    account: Any = None,
) -> Outgoing:
    """Return what a channel tells a person: rows of notifications that he may see, in his language."""
    settings = session.info.get(jobs.SETTINGS, {})
    base = str(settings.get("crm.base_url") or "").rstrip("/")
    locale = subject.locale or str(settings.get("crm.locale") or "ru")
    packages = tuple(one.info.package for one in plugins.loaded if one.installed is not None)
    localizer = localizer_for(locale, packages=packages)
    lines = []
    for row in rows[:MOST_LINES]:
        text = notify.words(
            row.title, row.domain, {"count": row.count, **row.values}, lambda said: translate(localizer, said)
        )
        lines.append(
            OutgoingLine(text=text, href=f"{base}/notifications/{row.id}" if row.href else "", at=row.created_at)
        )
    if digest:
        title = translate(localizer, _("What is new: ${count}", mapping={"count": len(rows)}))
    else:
        title = lines[-1].text
    single = len(rows) == 1
    return Outgoing(
        key=_key(channel, rows),
        user_id=subject.user_id or 0,
        address=address,
        locale=locale,
        title=" ".join(title.split())[:200],
        lines=tuple(lines),
        href=lines[0].href if single and lines[0].href else f"{base}/notifications",
        settings_href=base + SETTINGS_PATH,
        digest=digest,
        account=account,
        session=session if channel.inside else None,
    )


# -- the core's own channel: mail ----------------------------------------------------------------------------------


def mail_address(session: Session, user_id: int) -> str:
    """Return the address of an active account."""
    statement = sa.select(User.email).where(User.id == user_id, User.status == ACTIVE)
    return session.scalar(statement) or ""


def write_letter(message: Outgoing) -> None:
    """Write the letter of a notification, or of the day, in the transaction that counts it as told."""
    localizer = localizer_for(message.locale)

    def say(text: str) -> str:
        return translate(localizer, text)

    foot = say(_("You choose what comes by mail, and when, in your profile:"))
    open_it = say(_("Open in the CRM"))
    text = "\n\n".join(f"{line.text}\n{line.href}" if line.href else line.text for line in message.lines)
    mail.send(
        message.session,
        message.address,
        message.title,
        f"{text}\n\n--\n{foot}\n{message.settings_href}\n",
        sheet(_html(message, open_it, foot), message.locale),
        purpose=PURPOSE,
        step=message.key,
        user_id=message.user_id,
        headers={"List-Unsubscribe": f"<{message.settings_href}>"},
    )


def _html(message: Outgoing, open_it: str, foot: str) -> str:
    # Letters are read by programs that know no style sheets.
    parts = []
    for line in message.lines:
        said = escape(line.text)
        if line.href and len(message.lines) > 1:
            said = f'<a href="{escape(line.href)}" style="color:#4338ca;text-decoration:none">{said}</a>'
        parts.append(f'<p style="margin:0 0 12px">{said}</p>')
    parts.append(
        f'<p style="margin:20px 0 16px"><a href="{escape(message.href)}" style="display:inline-block;padding:10px 18px;'
        f'background:#4f46e5;color:#ffffff;border-radius:6px;text-decoration:none">{escape(open_it)}</a></p>'
        f'<p style="margin:0;color:#667085;font-size:13px">{escape(foot)} '
        f'<a href="{escape(message.settings_href)}" style="color:#667085">{escape(message.settings_href)}</a></p>'
    )
    return "".join(parts)


CHANNELS = (
    Channel(
        id=MAIL,
        title=_("Letter at once"),
        send=write_letter,
        address=mail_address,
        inside=True,
        icon="mail",
        order=10,
    ),
)
"""The channels of the core, for its `crm_channels`."""


# -- channels that talk to foreign hosts ---------------------------------------------------------------------------


@dataclass
class _Health:
    """How a channel does during one run; it is broken after a hang, or after failures in a row."""

    failures: int
    error: str = ""
    hung: bool = False
    worked: bool = False

    @property
    def broken(self) -> bool:
        return self.hung or self.failures >= FAILURES

    def fail(self, error: str, *, hung: bool = False) -> None:
        self.failures, self.error, self.hung = self.failures + 1, error, self.hung or hung


class _Line:
    """Hands messages to a channel of a plugin, each with a time-out; a `delivery.Transport`."""

    def __init__(self, channel: Channel, health: _Health) -> None:
        self.channel, self.health = channel, health

    def open(self) -> None:
        """Refuse while the channel is broken."""
        if self.health.broken:
            raise Unreachable("paused", self.health.error)

    def send(self, message: Outgoing) -> Outcome:
        """Hand over one message; what gives no answer in time is left to itself and counts as uncertain."""
        if self.health.broken:
            return Outcome(DEFERRED, "paused", self.health.error, soon=True)
        said: list[Any] = []
        # A thread that hangs cannot be ended; a daemon does not keep the worker from ending.
        name = f"channel-{self.channel.id}"
        thread = threading.Thread(target=self._run, args=(message, said), name=name, daemon=True)
        thread.start()
        thread.join(TIMEOUT)
        if not said:
            self.health.fail(f"no answer within {TIMEOUT:.0f} s", hung=True)
            return Outcome(UNCERTAIN, "timeout", self.health.error)
        error = said[0]
        if error is None:
            self.health.failures, self.health.worked = 0, True
            return Outcome(ACCEPTED)
        self.health.fail(f"{type(error).__name__}: {error}")
        if isinstance(error, Unreachable):
            return Outcome(DEFERRED, error.code, error.answer, soon=True)
        return Outcome(UNCERTAIN, "fault", self.health.error[:500])

    def _run(self, message: Outgoing, said: list[Any]) -> None:
        try:
            self.channel.send(message)
        except Exception as error:
            said.append(error)
        else:
            said.append(None)

    def close(self) -> None:
        """Have nothing to close: a channel keeps its own connections."""


def hand_over(context: JobContext, channel: str) -> dict[str, Any]:
    """Hand what waits for a channel of a plugin over to it, unless it is left alone for a while."""
    spec = context.plugins.channels.get(channel)
    if spec is None or spec.inside:
        return {}
    with context.transaction() as session:
        pause = paused_until(session, channel)
        account = spec.account(session) if spec.account is not None else None
        state = session.get(ChannelState, channel)
        health = _Health(state.failures if state is not None and pause is None else 0)
        # After a pause one failure is enough for the next.
        health.failures = min(health.failures, FAILURES - 1)
        if pause is not None:
            jobs.enqueue(session, HAND_OVER, key=f"{HAND_OVER}:{channel}:later", run_at=pause, channel=channel)
            return {"paused": True}
        if spec.account is not None and account is None:
            return {"account": False}
    mine = (Delivery.channel == channel, Delivery.purpose == PURPOSE)

    def prepare(session: Session, ids: Sequence[int]) -> Mapping[int, Any]:
        return _prepared(session, context.plugins, spec, account, ids)

    counts = Sender(
        context, Delivery, transport=lambda: _Line(spec, health), prepare=prepare, choose=mine, connections=1
    ).run()
    with context.transaction() as session:
        if health.broken:
            _failed(session, channel, health.error, failures=max(health.failures, FAILURES))
        elif health.failures:
            _failed(session, channel, health.error)
        elif health.worked:
            worked(session, channel)
        due = delivery.next_due(session, Delivery, *mine)
        if due is not None:
            again = max(due, paused_until(session, channel) or due, clock.now() + dt.timedelta(seconds=5))
            jobs.enqueue(session, HAND_OVER, key=f"{HAND_OVER}:{channel}:later", run_at=again, channel=channel)
    return {"accepted": counts.accepted, "uncertain": counts.uncertain}


def _prepared(
    session: Session, plugins: Plugins, channel: Channel, account: Any, ids: Sequence[int]
) -> Mapping[int, Any]:
    """Say each message with the rights of now, a moment before it is handed over."""
    found: dict[int, Any] = {}
    rows = session.execute(
        sa.select(Delivery.id, Delivery.user_id, Delivery.address, Delivery.payload).where(Delivery.id.in_(ids))
    ).all()
    for row in rows:
        subject = load_subject(session, row.user_id) if row.user_id is not None else None
        news = session.execute(
            sa.select(Notification.__table__)
            .where(Notification.id.in_(row.payload.get("notifications", ())))
            .order_by(Notification.id)
        ).all()
        if subject is not None and subject.status == ACTIVE:
            seen = notify.visible(Gate(session, subject, plugins), news)
            news = [one for one in news if not one.entity or (one.entity, one.record_id) in seen]
            if news and row.address:
                found[row.id] = message(session, plugins, subject, channel, row.address, news, account=account)
                continue
        found[row.id] = Outcome(FAILED, "gone", "its reader may no longer see it")
    return found


# -- the circuit breaker -------------------------------------------------------------------------------------------


def paused_until(session: Session, channel: str) -> dt.datetime | None:
    """Return until when a channel is left alone; None when it may be tried."""
    until = session.scalar(sa.select(ChannelState.open_until).where(ChannelState.channel == channel))
    return until if until is not None and until > clock.now() else None


def worked(session: Session, channel: str) -> None:
    """Write down that a channel does well again."""
    changed(
        session,
        sa.update(ChannelState)
        .where(ChannelState.channel == channel, ChannelState.failures > 0)
        .values(failures=0, open_until=None, error="", changed_at=clock.now()),
    )


def _failed(session: Session, channel: str, error: str, *, failures: int = 1) -> None:
    """Count failures of a channel; after several in a row it is left alone, each time twice as long."""
    now = clock.now()
    insert = pg.insert(ChannelState).values(channel=channel, failures=failures, error=error[:500], changed_at=now)
    count = session.scalar(
        insert.on_conflict_do_update(
            index_elements=[ChannelState.channel],
            set_={
                "failures": ChannelState.failures + failures,
                "error": insert.excluded.error,
                "changed_at": now,
            },
        )
        .returning(ChannelState.failures)
        .execution_options(synchronize_session=False)
    )
    if count is not None and count >= FAILURES:
        pause = min(PAUSE * 2 ** min(count // FAILURES - 1, 10), LONGEST_PAUSE)
        changed(session, sa.update(ChannelState).where(ChannelState.channel == channel).values(open_until=now + pause))
        log.warning("channel_paused", channel=channel, failures=count, error=error, seconds=pause.total_seconds())


# -- cleaning ------------------------------------------------------------------------------------------------------


def clean(context: JobContext) -> dict[str, Any]:
    """Take away what was told long ago."""
    now = clock.now()
    with context.transaction() as session:
        gone = changed(
            session, sa.delete(Notice).where(Notice.state != "waiting", Notice.due_at < now - KEEP_TOLD)
        )
        changed(session, sa.delete(Notification).where(Notification.read_at < now - KEEP_READ))
        changed(session, sa.delete(Reminder).where(Reminder.fired_at < now - KEEP_READ))
    return {"deleted": gone}


JOBS = (
    Job(name=SEND, run=send_due, title=_("Send notifications"), cron="* * * * *"),
    Job(name=HAND_OVER, run=hand_over, title=_("Hand notifications to a channel"), max_attempts=20),
    Job(name=CLEAN, run=clean, title=_("Remove old notifications"), cron="47 3 * * *"),
)
"""The jobs of this module, for the core's `crm_jobs`."""
