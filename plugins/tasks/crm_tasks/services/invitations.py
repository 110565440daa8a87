"""Meetings: who is asked, what they are told by letter, and what they answer.

A letter carries the invitation for programs of calendars and a link that opens this one meeting to this one guest.
What changes about a meeting is told to those who were asked, by the facts of the task, whoever changed it and how.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock, mail, notify
from crm_core.company import read_values
from crm_core.db import UNGATED, RecordRef
from crm_core.forms import InvalidValues
from crm_core.i18n import Formats, localizer_for, translate
from crm_core.models import User
from crm_core.models.accounts import ACTIVE
from crm_core.people import may_name
from crm_core.people.letters import as_page
from crm_core.records import operations
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject
from crm_tasks import events as facts
from crm_tasks import ics
from crm_tasks.entities import TASK, TASKS
from crm_tasks.i18n import DOMAIN, _
from crm_tasks.models import Guest, GuestKey, Meeting, Observer, Task
from crm_tasks.models.schedule import ACCEPTED, ANSWERS, DECLINED, TENTATIVE, WAITED
from crm_tasks.schemas import CANCELLED
from crm_tasks.services.schedule import Span, span
from crm_tasks.services.writing import about, require

MOST_GUESTS = 50

#: After the end of a meeting its links still say what it was.
LINGER = dt.timedelta(days=14)

_WHY = {UNGATED: "the guest of a meeting reads that meeting by the key of his letter, and its guests are told of it"}

ANSWER_WORDS = {
    WAITED: _("No answer yet"),
    ACCEPTED: _("Will come"),
    TENTATIVE: _("Perhaps"),
    DECLINED: _("Will not come"),
}

_TOLD = {
    ACCEPTED: _("${guest} will come: ${title}"),
    TENTATIVE: _("${guest} will perhaps come: ${title}"),
    DECLINED: _("${guest} will not come: ${title}"),
}


def guests_of(gate: Gate, task_id: int) -> Sequence[Guest]:
    """Return those who were asked to a meeting that the subject may see."""
    return gate.session.scalars(sa.select(Guest).where(Guest.task_id == task_id).order_by(Guest.id)).all()


def meeting_of(session: Session, task_id: int) -> Meeting | None:
    """Return what the guests of a task were told, if anything."""
    return session.scalars(sa.select(Meeting).where(Meeting.task_id == task_id)).one_or_none()


# -- who ---------------------------------------------------------------------------------------------------------------


def add(gate: Gate, task: Task, *, user_id: int | None = None, ref: RecordRef | None = None, email: str = "") -> Guest:
    """Put somebody on the list of a meeting: a colleague, a client's person or an address; nothing is sent yet."""
    require(gate, task, "edit")
    session = gate.session
    name = ""
    if user_id is not None:
        user = session.get(User, user_id) if may_name(gate.subject) or user_id == gate.subject.user_id else None
        if user is None or user.status != ACTIVE:
            raise InvalidValues({"user_id": _("This person has no active account.")})
        name, email = user.name, user.email
    elif ref is not None:
        name, email = _client(gate, ref)
    try:
        email = mail.check_address(email.strip())
    except mail.BadLetter:
        raise InvalidValues({"email": _("Write an e-mail address.")}) from None
    present = guests_of(gate, task.id)
    if any(one.email.lower() == email.lower() for one in present):
        raise InvalidValues({"email": _("This guest is on the list already.")})
    if len(present) >= MOST_GUESTS:
        raise InvalidValues({"email": _("A meeting has ${most} guests at most.", mapping={"most": MOST_GUESTS})})
    if user_id is not None and user_id == task.owner_id:
        raise InvalidValues({"user_id": _("The meeting is in the calendar of the assignee already.")})
    about(gate, task)
    guest = Guest(
        task_id=task.id, user_id=user_id, name=name, email=email,
        client_entity=ref.entity if ref else None, client_id=ref.id if ref else None,
    )  # fmt: skip
    session.add(guest)
    if user_id is not None:
        _let_see(session, task, user_id)
    session.flush()
    return guest


def _let_see(session: Session, task: Task, user_id: int) -> None:
    watches = sa.select(Observer.id).where(Observer.task_id == task.id, Observer.user_id == user_id)
    if user_id != task.owner_id and session.scalar(watches) is None:
        session.add(Observer(task_id=task.id, user_id=user_id))


def _client(gate: Gate, ref: RecordRef) -> tuple[str, str]:
    """Return the name and the main address of a client whom the subject may see."""
    entity = gate.plugins.entities.get(ref.entity)
    record = gate.get(entity, ref.id) if entity is not None and entity.emails else None
    if entity is None or record is None:
        raise InvalidValues({"client": _("There is no such record, or you may not see it.")})
    entries = [one for one in getattr(record, entity.emails) or () if one.get("value") and not one.get("off")]
    entries.sort(key=lambda one: not one.get("main"))
    if not entries:
        raise InvalidValues({"client": _("This client has no e-mail address.")})
    return str(getattr(record, entity.label) or ""), str(entries[0]["value"])


def remove(gate: Gate, task: Task, guest_id: int) -> None:
    """Take somebody off the list; whoever got a letter gets another one that he is not expected."""
    require(gate, task, "edit")
    session = gate.session
    guest = session.get(Guest, guest_id)
    if guest is None or guest.task_id != task.id:
        return
    about(gate, task)
    meeting = meeting_of(session, task.id)
    if meeting is not None and guest.told_sequence >= 0 and not meeting.cancelled:
        _write(gate, task, meeting, guest, cancel=True)
    session.execute(sa.delete(GuestKey).where(GuestKey.guest_id == guest.id))
    session.delete(guest)
    session.flush()


# -- telling them ------------------------------------------------------------------------------------------------------


def send(gate: Gate, task: Task, base_url: str, note: str | None = None) -> int:
    """Send the invitation to those guests who do not have it as it is now; return how many letters left."""
    require(gate, task, "edit")
    if task.due_at is None:
        raise InvalidValues({"due_at": _("Say when the meeting is.")})
    session = gate.session
    about(gate, task)
    operations.ensure(session)
    meeting = meeting_of(session, task.id)
    if meeting is None:
        domain = base_url.partition("://")[2].partition("/")[0].partition(":")[0] or "crm"
        meeting = Meeting(task_id=task.id, uid=f"meeting-{secrets.token_hex(12)}@{domain}")
        session.add(meeting)
    meeting.base_url = base_url
    if note is not None:
        meeting.note = note.strip()[:2000]
    session.flush()
    return _bring_up_to_date(gate, task, meeting)


def follow(gate: Gate, task_ids: Iterable[int]) -> None:
    """Tell the guests of tasks what has changed about them, if anything that concerns guests has."""
    session = gate.session
    ids = list(task_ids)
    meetings = session.scalars(sa.select(Meeting).where(Meeting.task_id.in_(ids)).with_for_update()).all()
    if not meetings:
        return
    tasks = {
        task.id: task
        for task in session.scalars(
            sa.select(Task).where(Task.id.in_([one.task_id for one in meetings])), execution_options=_WHY
        )
    }
    for meeting in meetings:
        task = tasks.get(meeting.task_id)
        if task is not None:
            _bring_up_to_date(gate, task, meeting)
        elif not meeting.cancelled:
            _call_off(session, meeting)


def _call_off(session: Session, meeting: Meeting) -> None:
    """Tell the guests of a task that was taken back, as if it had never been, by what is left: what they were told."""
    meeting.cancelled = True
    meeting.sequence += 1
    told, values = meeting.told, read_values(session)
    if not told:
        return
    read = dt.date.fromisoformat if told["all_day"] else dt.datetime.fromisoformat
    for email, name in told["guests"].items():
        off = ics.Happening(
            uid=meeting.uid, title=told["title"], start=read(told["start"]), end=read(told["end"]),
            zone=told["zone"], stamp=clock.now(), sequence=meeting.sequence, status=ics.CANCELLED,
            guests=(ics.Party(email=email, name=name),),
        )  # fmt: skip
        locale = str(values.get("company.locale") or session.info.get("crm.settings", {}).get("crm.locale") or "ru")
        localizer = localizer_for(locale, packages=("crm_core", DOMAIN))
        subject = translate(localizer, _("Cancelled: ${title}", mapping={"title": told["title"]}))
        text = translate(localizer, _("The meeting will not take place, or you are not expected any more."))
        mail.send(
            session, email, " ".join(subject.split())[:300], text + "\n", as_page([text, told["title"]], locale=locale),
            purpose="tasks.invitation", step=f"{meeting.id}:gone:{email}:{meeting.sequence}", calendar=ics.cancel(off),
        )  # fmt: skip
    session.flush()


def _note(meeting: Meeting, told: ics.Happening, guest: Guest, *, cancel: bool) -> None:
    guests = {email: name for email, name in meeting.told.get("guests", {}).items() if email != guest.email}
    meeting.told = {
        "title": told.title,
        "start": told.start.isoformat(),
        "end": told.end.isoformat(),
        "all_day": not isinstance(told.start, dt.datetime),
        "zone": told.zone,
        "guests": guests if cancel else {**guests, guest.email: guest.name},
    }


def _bring_up_to_date(gate: Gate, task: Task, meeting: Meeting) -> int:
    session = gate.session
    off = task.deleted_at is not None or task.state == CANCELLED or task.due_at is None
    guests = session.scalars(sa.select(Guest).where(Guest.task_id == task.id).order_by(Guest.id)).all()
    if off:
        if meeting.cancelled:
            return 0
        meeting.cancelled = True
        meeting.sequence += 1
        told = [guest for guest in guests if guest.told_sequence >= 0]
        for guest in told:
            _write(gate, task, meeting, guest, cancel=True)
        session.flush()
        return len(told)
    when, said = _when(task), _said(task, meeting)
    moved = meeting.said_when not in ("", when) or meeting.cancelled
    if meeting.said and (meeting.said != said or moved):
        meeting.sequence += 1
        if moved:
            meeting.moved_sequence = meeting.sequence
    meeting.said, meeting.said_when, meeting.cancelled = said, when, False
    written = 0
    for guest in guests:
        if guest.told_sequence == meeting.sequence:
            continue
        if moved and guest.answer != WAITED:
            guest.answer, guest.answered_at = WAITED, None
        _write(gate, task, meeting, guest, cancel=False)
        written += 1
    session.flush()
    return written


def _when(task: Task) -> str:
    where = span(task)
    return f"{where.first}/{where.last}" if where.all_day else f"{where.start.isoformat()}/{where.end.isoformat()}"


def _said(task: Task, meeting: Meeting) -> str:
    text = "\x1f".join((task.title, _when(task), task.place or "", meeting.note, task.zone))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def happening(task: Task, meeting: Meeting, organizer: User | None, guest: Guest | None = None) -> ics.Happening:
    """Return a meeting as its guests' calendars get it: without what is written for colleagues."""
    where: Span = span(task)
    return ics.Happening(
        uid=meeting.uid,
        title=task.title,
        start=where.first if where.all_day and where.first else where.start,
        end=where.last if where.all_day and where.last else where.end,
        zone=task.zone,
        stamp=clock.now(),
        sequence=meeting.sequence,
        place=task.place or "",
        text=meeting.note,
        organizer=ics.Party(email=organizer.email, name=organizer.name) if organizer is not None else None,
        guests=(ics.Party(email=guest.email, name=guest.name, answer=guest.answer),) if guest is not None else (),
    )


def _organizer(session: Session, task: Task) -> User | None:
    return session.get(User, task.created_by or task.owner_id) if task.created_by or task.owner_id else None


def _write(gate: Gate, task: Task, meeting: Meeting, guest: Guest, *, cancel: bool) -> None:
    session = gate.session
    organizer = _organizer(session, task)
    values = read_values(session)
    told = happening(task, meeting, organizer, guest)
    locale = _locale(session, guest, values)
    localizer = localizer_for(locale, packages=("crm_core", DOMAIN))

    def say(text: Any) -> str:
        return translate(localizer, text)

    if cancel:
        told = replace(told, status=ics.CANCELLED, sequence=max(told.sequence, guest.told_sequence + 1))
        calendar, link, until = ics.cancel(told), "", None
        subject = say(_("Cancelled: ${title}", mapping={"title": task.title}))
    else:
        calendar, until = ics.request(told), span(task).end + LINGER
        link = f"{meeting.base_url}/tasks/invitation/{_new_key(session, guest, until)}"
        changed = guest.told_sequence >= 0
        subject = say(
            _("Changed: ${title}", mapping={"title": task.title})
            if changed
            else _("Invitation: ${title}", mapping={"title": task.title})
        )
    when = said_when(task, Formats(locale, task.zone or "UTC", localizer))
    lines = [task.title, when, *([task.place] if task.place else [])]
    if organizer is not None and organizer.name:
        lines.append(say(_("Organised by ${name}", mapping={"name": organizer.name})))
    if cancel:
        lines.insert(0, say(_("The meeting will not take place, or you are not expected any more.")))
    elif meeting.note:
        lines += ["", meeting.note]
    button = say(_("Answer: will you come?"))
    text = "\n".join(lines) + (f"\n\n{button}\n{link}\n" if link else "\n")
    mail.send(
        session,
        guest.email,
        " ".join(subject.split())[:300],
        text,
        as_page(lines, button, link, locale=locale),
        purpose="tasks.invitation",
        step=f"{meeting.id}:{guest.id}:{meeting.sequence}:{'off' if cancel else 'on'}:{secrets.token_hex(4)}",
        secret=bool(link),
        empty_at=until,
        user_id=guest.user_id,
        calendar=calendar,
    )
    guest.told_sequence = meeting.sequence
    _note(meeting, told, guest, cancel=cancel)


def _locale(session: Session, guest: Guest, values: Any) -> str:
    own = session.scalar(sa.select(User.locale).where(User.id == guest.user_id)) if guest.user_id else ""
    return own or str(values.get("company.locale") or session.info.get("crm.settings", {}).get("crm.locale") or "ru")


def said_when(task: Task, formats: Formats) -> str:
    """Return when a meeting is, in words, with the zone: guests may live in another one."""
    where = span(task)
    if where.all_day and where.first and where.last:
        first, last = formats.date(where.first), formats.date(where.last)
        return first if first == last else f"{first} – {last}"
    start, end = (one.astimezone(formats.tz) for one in (where.start, where.end))
    offset = start.strftime("%z")
    zone = f"UTC{offset[:3]}:{offset[3:]}" if offset else "UTC"
    if start.date() == end.date():
        return f"{formats.date(start)}, {formats.time(start)}–{formats.time(end)} ({zone})"
    return f"{formats.datetime(start)} – {formats.datetime(end)} ({zone})"


# -- their answers -----------------------------------------------------------------------------------------------------


def _new_key(session: Session, guest: Guest, until: dt.datetime) -> str:
    secret = secrets.token_urlsafe(32)
    expires = max(until, clock.now() + dt.timedelta(days=1))
    session.add(GuestKey(guest_id=guest.id, digest=digest_of(secret), expires_at=expires))
    session.flush()
    return secret


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret: of 256 random bits one round is enough."""
    return hashlib.sha256(secret.encode()).digest()


@dataclass(frozen=True)
class Invited:
    """What the key of a letter opens."""

    guest: Guest
    task: Task
    meeting: Meeting
    organizer: str

    @property
    def off(self) -> bool:
        """Whether there is nothing to answer any more."""
        return self.meeting.cancelled


def opened(session: Session, secret: str) -> Invited | None:
    """Return the meeting that a key opens; None for one that is wrong, expired or of a guest taken off."""
    if not 40 <= len(secret) <= 50:
        return None
    guest = session.scalars(
        sa.select(Guest)
        .join(GuestKey, GuestKey.guest_id == Guest.id)
        .where(GuestKey.digest == digest_of(secret), GuestKey.expires_at > clock.now())
    ).one_or_none()
    if guest is None:
        return None
    task = session.scalars(
        sa.select(Task).where(Task.id == guest.task_id, Task.due_at.is_not(None)), execution_options=_WHY
    ).one_or_none()
    meeting = meeting_of(session, guest.task_id)
    if task is None or meeting is None:
        return None
    organizer = _organizer(session, task)
    return Invited(guest, task, meeting, organizer.name if organizer is not None else "")


def answer(session: Session, plugins: Any, invited: Invited, said: str) -> None:
    """Take the answer of a guest, and tell the organiser."""
    if said not in ANSWERS:
        raise InvalidValues({"answer": _("Choose from the list.")})
    if invited.off:
        raise InvalidValues({"answer": _("The meeting was cancelled.")})
    guest, task = invited.guest, invited.task
    if guest.answer == said:
        return
    subject = Subject.system("a guest answered to an invitation")
    operations.describe(session, subject, kind="edit", source="web", entity=TASKS.name, record_id=task.id)
    guest.answer, guest.answered_at = said, clock.now()
    session.flush()
    whom = {one for one in (task.created_by, task.owner_id) if one is not None} - {guest.user_id}
    notify.notify(
        session,
        whom,
        key=f"tasks.invitation:{guest.id}:{invited.meeting.sequence}:{said}:{clock.now():%Y%m%d%H%M}",
        kind=facts.ANSWERED,
        title=_TOLD[said],
        values={"guest": guest.name or guest.email, "title": task.title},
        entity=TASK,
        record_id=task.id,
        href=f"{TASKS.url}/{task.id}",
        domain=DOMAIN,
    )


TAKEN, STALE, STRANGE = "taken", "stale", "strange"


def apply_reply(session: Session, plugins: Any, data: bytes, sender: str = "") -> str:
    """Take an answer as a guest's program sends it by mail; tell what became of it.

    `taken`; `stale`: the answer is to an earlier time of the meeting, or it was cancelled; `strange`: it is no answer,
    or of nobody who was asked, or `sender`, where known, is somebody else.
    """
    try:
        found = ics.read_reply(data)
    except ics.Unreadable:
        return STRANGE
    if sender and sender.strip().lower() != found.email.lower():
        return STRANGE
    meeting = session.scalars(sa.select(Meeting).where(Meeting.uid == found.uid)).one_or_none()
    if meeting is None:
        return STRANGE
    guest = session.scalars(
        sa.select(Guest).where(Guest.task_id == meeting.task_id, sa.func.lower(Guest.email) == found.email.lower())
    ).one_or_none()
    task = session.scalars(sa.select(Task).where(Task.id == meeting.task_id), execution_options=_WHY).one_or_none()
    if guest is None or task is None or found.answer not in ANSWERS:
        return STRANGE
    if meeting.cancelled or not meeting.moved_sequence <= found.sequence <= meeting.sequence:
        return STALE
    organizer = _organizer(session, task)
    answer(session, plugins, Invited(guest, task, meeting, organizer.name if organizer else ""), found.answer)
    return TAKEN


__all__ = [
    "ANSWER_WORDS",
    "STALE",
    "STRANGE",
    "TAKEN",
    "Invited",
    "add",
    "answer",
    "apply_reply",
    "digest_of",
    "follow",
    "guests_of",
    "happening",
    "meeting_of",
    "opened",
    "remove",
    "said_when",
    "send",
]
