"""The verbs of calls: take what telephony tells, find who calls, dial, keep recordings, count."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session

from crm_calls import events as facts
from crm_calls.contract import ANSWERED as TOOK_RECEIVER
from crm_calls.contract import ENDED as HUNG_UP
from crm_calls.contract import (
    FAILED,
    INCOMING,
    LOST,
    NO_ANSWER,
    OUTGOING,
    RECORDING,
    STARTED,
    TALKED,
    CallEvent,
    ContractError,
)
from crm_calls.entities import CALL, CALLS, COMPANY, PERSON, RINGS, TALKS
from crm_calls.gateways import adapters
from crm_calls.i18n import _
from crm_calls.models import Call, Gateway, Line
from crm_calls.permissions import DIAL, FIGURES, LISTEN
from crm_calls.schemas import ANSWERED, ENDED, MISSED, NOT_REACHED, RINGING
from crm_core import clock, events, files, jobs, notify
from crm_core.db import UNGATED, RecordRef
from crm_core.models.accounts import ACTIVE, Team, User
from crm_core.models.records import Address
from crm_core.records import cleaning, operations, saving
from crm_core.records.gate import Gate, user_names
from crm_core.security.subject import Subject, load_subject
from crm_core.specs import Event

FETCH, ORIGINATE = "calls.fetch", "calls.originate"

_OURS: Mapping[str, Any] = {UNGATED: "telephony tells of every call, whoever may see it"}
_ANYBODY: Mapping[str, Any] = {UNGATED: "who calls is found among all clients; his name is shown through the gate"}


def telephony(session: Session, plugins: Any, *, source: str = "job") -> Gate:
    """Return the gate by which telephony writes; say where from."""
    subject = Subject.system("telephony")
    operations.describe(session, subject, kind="edit", entity=CALL, source=source)
    return Gate(session, subject, plugins)


# -- who is it ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Caller:
    """A client whose number it is: of several the one last spoken with."""

    ref: RecordRef
    owner_id: int | None
    company_id: int | None


def plain_number(text: str) -> str:
    """Return a number in E.164; what is none, an internal number or a short one, without decoration."""
    cleaned = cleaning.clean_phone(text).value if text.strip() else None
    if cleaned is not None:
        return str(cleaned.number)
    return "".join(sign for sign in text if sign.isascii() and (sign.isdigit() or sign in "+*#"))[:32]


def who_called(session: Session, plugins: Any, number: str) -> Caller | None:
    """Return the client with a number; one statement for the index and one for each kind of client found."""
    if not number:
        return None
    rows = session.execute(
        sa.select(Address.entity, Address.record_id).where(Address.kind == "phone", Address.value == number).limit(200)
    )
    by_entity: dict[str, list[int]] = {}
    for entity, record_id in rows:
        if entity in plugins.entities:
            by_entity.setdefault(entity, []).append(record_id)
    best: tuple[Any, ...] | None = None
    for name, ids in by_entity.items():
        model = plugins.entities[name].model
        company = getattr(model, "company_id", sa.null())
        contact = getattr(model, "last_contact_at", sa.null())
        found = session.execute(
            sa.select(model.id, model.owner_id, company.label("company_id"), contact.label("contact"))
            .where(model.id.in_(ids), model.deleted_at.is_(None))
            .order_by(sa.desc("contact").nulls_last(), model.id.desc())
            .limit(1),
            execution_options=_ANYBODY,
        ).one_or_none()
        if found is None:
            continue
        caller = Caller(RecordRef(name, found[0]), found[1], found[0] if name == COMPANY else found[2])
        # Of a person and his company with one number it is the person who calls.
        rank = (found[3] or dt.datetime.min.replace(tzinfo=dt.UTC), name == PERSON, found[0])
        if best is None or rank > best[0]:
            best = (rank, caller)
    return best[1] if best else None


@dataclass(frozen=True)
class _Lines:
    """Who sits at the lines of an event."""

    users: tuple[int, ...] = ()
    team_id: int | None = None
    head_id: int | None = None
    """Of the department whose line it is."""


def _people_of(session: Session, gateway_id: int, numbers: Iterable[str]) -> _Lines:
    wanted = list(numbers)
    if not wanted:
        return _Lines()
    rows = session.execute(
        sa.select(Line.number, Line.user_id, Line.team_id, Team.head_id, User.status)
        .outerjoin(Team, Team.id == Line.team_id)
        .outerjoin(User, User.id == Line.user_id)
        .where(Line.gateway_id == gateway_id, Line.number.in_(wanted))
        .order_by(Line.id)
    ).all()
    active = [row for row in rows if row.user_id is not None and row.status == ACTIVE]
    team = next((row for row in rows if row.team_id is not None), None)
    return _Lines(
        tuple(dict.fromkeys(row.user_id for row in active)),
        team.team_id if team else None,
        team.head_id if team else None,
    )


# -- what telephony tells ----------------------------------------------------------------------------------------------


def take(gate: Gate, gateway_id: int, event: CallEvent) -> Call:
    """Take one event of a call; a second time, late or in another order it makes nothing worse.

    ContractError where the call is not known yet and the event does not say its direction.
    """
    session = gate.session
    key = f"calls:{gateway_id}:{event.call}"
    session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
    call = session.scalars(
        sa.select(Call)
        .where(Call.gateway_id == gateway_id, Call.foreign_id == event.call)
        .execution_options(populate_existing=True, **_OURS)
    ).one_or_none()
    lines = _people_of(session, gateway_id, event.lines)
    if call is None:
        call = _begin(gate, gateway_id, event, lines)
    elif event.number and not call.number:
        _know_number(gate, call, event.number)
    if event.event == STARTED:
        _rings(gate, call, lines)
    elif event.event == TOOK_RECEIVER:
        _answered(gate, call, event, lines)
    elif event.event == HUNG_UP:
        _ended(gate, call, event, lines)
    if event.recording_url and not call.recording:
        jobs.enqueue(session, FETCH, key=f"{FETCH}:{call.id}", call_id=call.id, url=event.recording_url)
    elif event.event == RECORDING and not event.recording_url and not call.recording:
        raise ContractError("recording_url", "is required, or a part “file” with the recording itself")
    return call


def _client_values(caller: Caller | None) -> dict[str, Any]:
    if caller is None:
        return {}
    return {
        "subject_entity": caller.ref.entity,
        "subject_id": caller.ref.id,
        "person_id": caller.ref.id if caller.ref.entity == PERSON else None,
        "company_id": caller.company_id,
    }


def _begin(gate: Gate, gateway_id: int, event: CallEvent, lines: _Lines) -> Call:
    if not event.direction:
        raise ContractError("direction", "is required in the first event of a call: in or out")
    session = gate.session
    number = plain_number(event.number)
    caller = who_called(session, gate.plugins, number)
    owner = lines.users[0] if len(lines.users) == 1 or (lines.users and event.direction == OUTGOING) else None
    if owner is None and event.direction == INCOMING and caller is not None:
        owner = caller.owner_id
    values: dict[str, Any] = {
        "gateway_id": gateway_id,
        "foreign_id": event.call,
        "direction": event.direction,
        "status": RINGING,
        "number": number,
        "line": event.lines[0] if event.lines else None,
        "rang": list(lines.users),
        "started_at": event.at,
        "owner_id": owner,
        **_client_values(caller),
    }
    if owner is None and lines.team_id is not None:
        values["team_id"] = lines.team_id
    call: Call = saving.create(gate, CALLS, values)
    _tell(gate, facts.STARTED, call)
    return call


def _know_number(gate: Gate, call: Call, text: str) -> None:
    number = plain_number(text)
    caller = who_called(gate.session, gate.plugins, number)
    _change(gate, call, {"number": number, **_client_values(caller)})


def _change(gate: Gate, call: Call, values: dict[str, Any]) -> None:
    differing = {name: value for name, value in values.items() if getattr(call, name) != value}
    if differing:
        saving.change(gate, CALLS, call, differing)


def _rings(gate: Gate, call: Call, lines: _Lines) -> None:
    fresh = [one for one in lines.users if one not in call.rang]
    if call.status == RINGING and fresh:
        _change(gate, call, {"rang": [*call.rang, *fresh]})


def _answered(gate: Gate, call: Call, event: CallEvent, lines: _Lines) -> None:
    line = event.lines[0] if event.lines else None
    if call.ended_at is not None:
        # It came late: what is over stays over, only what was not known is filled in.
        if call.status == ENDED and call.answered_at is None:
            seconds = call.duration_s
            if seconds is None:
                seconds = max(0, round((call.ended_at - event.at).total_seconds()))
            values: dict[str, Any] = {"answered_at": event.at, "duration_s": seconds}
            _change(gate, call, {**values, **_talker(call, line, lines)})
        return
    values = _talker(call, line, lines)
    first = call.answered_at is None
    if first:
        values |= {"answered_at": event.at, "status": ANSWERED}
    _change(gate, call, values)
    if first:
        _tell(gate, facts.ANSWERED, call)


def _talker(call: Call, line: str | None, lines: _Lines) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if line is not None and (not call.path or call.path[-1] != line):
        # A second line is a transfer: the call is then of whoever talks now.
        values |= {"line": line, "path": [*call.path, line]}
        if lines.users:
            values["owner_id"] = lines.users[0]
    return values


def _ended(gate: Gate, call: Call, event: CallEvent, lines: _Lines) -> None:
    if call.ended_at is not None:
        return
    talked = event.result == TALKED
    at = max(event.at, call.started_at)
    values: dict[str, Any] = {"ended_at": at, "result": event.result}
    if talked:
        since = call.answered_at
        seconds = event.seconds
        if seconds is None and since is not None:
            seconds = max(0, round((at - since).total_seconds()))
        if since is None and seconds is not None:
            values["answered_at"] = max(at - dt.timedelta(seconds=seconds), call.started_at)
        values |= {"status": ENDED, "duration_s": seconds}
        if event.lines:
            values |= _talker(call, event.lines[-1], lines)
    else:
        values["status"] = MISSED if call.direction == INCOMING else NOT_REACHED
    if call.subject_id is None:
        # Somebody may have made the client while they talked.
        values |= _client_values(who_called(gate.session, gate.plugins, call.number))
    if values["status"] == MISSED:
        values |= _who_calls_back(gate, call, lines, values)
    _change(gate, call, values)
    _tell(gate, facts.ENDED, call, answered=talked, seconds=call.duration_s or 0)
    if call.status == MISSED:
        _tell(gate, facts.MISSED, call)
        _notify_of_missed(gate, call)
    if call.direction == INCOMING and call.subject_id is None and call.number:
        payload = {
            "id": call.id,
            "number": call.number,
            "at": call.started_at.isoformat(),
            "user_id": call.owner_id,
            "answered": talked,
        }
        events.fire(gate.session, Event(facts.UNKNOWN, payload), plugins=gate.plugins, subject=gate.subject)


def _notify_of_missed(gate: Gate, call: Call) -> None:
    subject = load_subject(gate.session, call.owner_id) if call.owner_id is not None else None
    if subject is None:
        return
    name = ""
    if call.subject_entity in gate.plugins.entities and call.subject_id is not None:
        # By the rights of whoever reads it: the line may be of somebody who does not see this client.
        reader = Gate(gate.session, subject, gate.plugins)
        name = reader.labels(call.subject_entity, [call.subject_id]).get(call.subject_id, "")
    notify.notify(
        gate.session,
        [call.owner_id or 0],
        key=f"{facts.MISSED}:{call.id}",
        kind=facts.MISSED,
        title=_("Missed call: ${name}"),
        values={"name": name or call.caption},
        entity=CALL,
        record_id=call.id,
        href=f"{CALLS.url}/{call.id}",
    )


def _who_calls_back(gate: Gate, call: Call, lines: _Lines, values: Mapping[str, Any]) -> dict[str, Any]:
    """Say whose a missed call is: the client's responsible, else of the line, else the head of its department."""
    session = gate.session
    entity = values.get("subject_entity") or call.subject_entity
    number = values.get("subject_id") or call.subject_id
    owner = None
    if entity in gate.plugins.entities and number:
        model: Any = gate.plugins.entities[entity].model
        owner = session.scalar(
            sa.select(model.owner_id)
            .join(User, User.id == model.owner_id)
            .where(model.id == number, User.status == ACTIVE),
            execution_options=_ANYBODY,
        )
    head, team = lines.head_id, lines.team_id
    if owner is None and not lines.users and not call.rang and call.line and call.gateway_id is not None:
        again = _people_of(session, call.gateway_id, [call.line])
        lines, head, team = again, again.head_id, again.team_id
    for one in (*lines.users, *call.rang, head):
        if owner is None and one is not None:
            owner = one
    found: dict[str, Any] = {}
    if owner is not None and owner != call.owner_id:
        found["owner_id"] = owner
    elif owner is None and call.owner_id is None and team is not None:
        found["team_id"] = team
    return found


def _tell(gate: Gate, name: str, call: Call, **more: Any) -> None:
    payload = {
        "id": call.id,
        "entity": call.subject_entity,
        "record_id": call.subject_id,
        "user_id": call.owner_id,
        "number": call.number,
        "at": call.started_at.isoformat(),
        "direction": call.direction,
        **more,
    }
    events.fire(gate.session, Event(name, payload), plugins=gate.plugins, subject=gate.subject)


def end_forgotten(gate: Gate, limit: int = 200) -> int:
    """End calls whose end nobody told: the connection was away, or the exchange was restarted; return how many."""
    now = clock.now()
    rows = gate.session.scalars(
        sa.select(Call)
        .where(
            Call.ended_at.is_(None),
            Call.deleted_at.is_(None),
            sa.or_(
                sa.and_(Call.status == RINGING, Call.started_at < now - RINGS),
                Call.started_at < now - TALKS,
            ),
        )
        .order_by(Call.started_at)
        .limit(limit),
        execution_options=_OURS,
    ).all()
    for call in rows:
        result = TALKED if call.answered_at is not None else LOST
        # How long they talked is not known; nothing is better than a wrong figure.
        event = CallEvent(event=HUNG_UP, call=call.foreign_id or "", at=now, result=result, seconds=None)
        _ended(gate, call, event, _Lines())
        if call.answered_at is not None:
            _change(gate, call, {"duration_s": None, "result": LOST})
    return len(rows)


def know_clients(gate: Gate, entity: str, ids: Sequence[int]) -> int:
    """Put earlier calls of numbers that were nobody's on the clients that have these numbers now."""
    owned = gate.plugins.entities.get(entity)
    if owned is None or not owned.phones:
        return 0
    session = gate.session
    pairs = sa.select(Address.record_id, Address.value).where(
        Address.entity == entity, Address.kind == "phone", Address.record_id.in_(ids)
    )
    numbers = {value: record_id for record_id, value in session.execute(pairs)}
    if not numbers:
        return 0
    rows = session.scalars(
        sa.select(Call)
        .where(Call.number.in_(numbers), Call.subject_id.is_(None), Call.deleted_at.is_(None))
        .limit(1000),
        execution_options=_OURS,
    ).all()
    for call in rows:
        caller = who_called(session, gate.plugins, call.number)
        if caller is not None:
            _change(gate, call, _client_values(caller))
    return len(rows)


# -- calling -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A person's own line, and whether its telephony can be asked to dial."""

    gateway_id: int
    number: str
    dials: bool


def line_of(session: Session, plugins: Any, user_id: int | None) -> Place | None:
    """Return the line of a person: one that can dial, if he has one."""
    if user_id is None:
        return None
    known = adapters(plugins)
    rows = session.execute(
        sa.select(Line.gateway_id, Line.number, Gateway.adapter)
        .join(Gateway, Gateway.id == Line.gateway_id)
        .where(Line.user_id == user_id, Gateway.active)
        .order_by(Line.id)
    ).all()
    places = [Place(row[0], row[1], bool(row[2] in known and known[row[2]].dials)) for row in rows]
    return next((one for one in places if one.dials), places[0] if places else None)


def dial(gate: Gate, text: str) -> Call:
    """Have a person's telephone ring and connect him with a number; the gateway is asked by a job."""
    if not gate.subject.may(DIAL):
        raise saving.NotAllowed(_("Your role may not call by a click."))
    number = plain_number(text)
    if len(number.lstrip("+")) < 3:
        raise saving.NotAllowed(_("This is no telephone number."))
    place = line_of(gate.session, gate.plugins, gate.subject.user_id)
    if place is None or not place.dials:
        raise saving.NotAllowed(_("You have no internal number that could dial. An administrator gives you one."))
    system = Gate(gate.session, Subject.system("a call by a click"), gate.plugins)
    event = CallEvent(
        event=STARTED,
        call=f"crm-{secrets.token_hex(12)}",
        at=clock.now(),
        direction=OUTGOING,
        number=number,
        lines=(place.number,),
    )
    call = take(system, place.gateway_id, event)
    jobs.enqueue(gate.session, ORIGINATE, call_id=call.id)
    return call


def may_dial_now(gate: Gate, call_id: int) -> Call | None:
    """Take the right to ask the gateway, once: None for a call that was dialled already or is over."""
    call = gate.session.scalars(
        sa.select(Call).where(Call.id == call_id).with_for_update().execution_options(**_OURS)
    ).one_or_none()
    if call is None or call.dialled_at is not None or call.status != RINGING:
        return None
    _change(gate, call, {"dialled_at": clock.now()})
    return call


def not_dialled(gate: Gate, call_id: int, reason: str) -> None:
    """Write down that the gateway did not dial, and why."""
    call = gate.session.scalars(sa.select(Call).where(Call.id == call_id).execution_options(**_OURS)).one()
    if call.ended_at is None:
        _change(gate, call, {"reason": reason[:500]})
        _ended(gate, call, CallEvent(event=HUNG_UP, call="", at=clock.now(), result=FAILED), _Lines())


# -- recordings --------------------------------------------------------------------------------------------------------

_SOUNDS: tuple[tuple[bytes, int, str], ...] = (
    (b"ID3", 0, "audio/mpeg"),
    (b"OggS", 0, "audio/ogg"),
    (b"fLaC", 0, "audio/flac"),
    (b"ftyp", 4, "audio/mp4"),
    (b"#!AMR", 0, "audio/amr"),
    (b"\x1a\x45\xdf\xa3", 0, "audio/webm"),
)


def sound_type(head: bytes) -> str:
    """Return the type that a recording itself shows; FileError for what is no sound."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "audio/mpeg"
    for signature, place, kind in _SOUNDS:
        if head[place : place + len(signature)] == signature:
            return kind
    raise files.FileError(_("This is no sound: WAV, MP3, OGG, FLAC, M4A or WebM are taken."))


def keep_recording(gate: Gate, store: files.Store, call: Call, stream: IO[bytes], *, limit: int) -> None:
    """Keep the recording of a call; a second one of the same call is left aside."""
    if call.recording:
        return
    kind = sound_type(stream.read(64))
    stream.seek(0)
    digest, size = files.store(gate.session, store, stream, limit=limit)
    _change(gate, call, {"recording": digest, "recording_type": kind, "recording_size": size})


def recording_of(gate: Gate, call_id: int) -> Call | None:
    """Return a call with a recording that the subject may listen to."""
    call: Call | None = gate.get(CALLS, call_id)
    if call is None or not call.recording or not gate.allows(LISTEN, call):
        return None
    return call


def call_by_id(session: Session, call_id: int) -> Call | None:
    """Return a call for a job that works for telephony."""
    return session.scalars(sa.select(Call).where(Call.id == call_id), execution_options=_OURS).one_or_none()


# -- now, unknown, figures ---------------------------------------------------------------------------------------------


def present(gate: Gate, limit: int = 4) -> list[Call]:
    """Return the calls that go on at the subject's own line or in his name, the newest first."""
    user = gate.subject.user_id or 0
    now = clock.now()
    mine = sa.or_(Call.rang.contains([user]), Call.owner_id == user)
    goes_on = sa.and_(
        Call.ended_at.is_(None),
        sa.or_(
            sa.and_(Call.status == RINGING, Call.started_at > now - dt.timedelta(minutes=5), mine),
            sa.and_(Call.status == ANSWERED, Call.started_at > now - TALKS, Call.owner_id == user),
        ),
    )
    # A call by a click that did not come about is told for a moment.
    failed = sa.and_(Call.owner_id == user, Call.reason.is_not(None), Call.ended_at > now - dt.timedelta(seconds=30))
    return list(
        gate.session.scalars(
            sa.select(Call)
            .where(Call.started_at > now - TALKS, sa.or_(goes_on, failed), gate.criterion(CALLS))
            .order_by(Call.started_at.desc(), Call.id.desc())
            .limit(limit)
        )
    )


@dataclass(frozen=True)
class UnknownNumber:
    """A number that called and is no client's."""

    number: str
    last_at: dt.datetime
    calls: int
    missed: int
    owner_id: int | None
    last_id: int


def unknown_numbers(
    gate: Gate, *, days: int = 90, limit: int = 50, offset_at: dt.datetime | None = None
) -> list[UnknownNumber]:
    """Return numbers without a client among the calls that the subject may see, the last caller first."""
    last = sa.func.max(Call.started_at)
    newest = sa.func.array_agg(pg.aggregate_order_by(Call.id, Call.started_at.desc()))
    owner = sa.func.array_agg(pg.aggregate_order_by(Call.owner_id, Call.started_at.desc()))
    statement = (
        sa.select(
            Call.number,
            last.label("last_at"),
            sa.func.count().label("calls"),
            sa.func.count().filter(Call.status == MISSED).label("missed"),
            newest[1].label("last_id"),
            owner[1].label("owner_id"),
        )
        .where(
            Call.subject_id.is_(None),
            Call.number != "",
            Call.direction == INCOMING,
            Call.started_at > clock.now() - dt.timedelta(days=days),
            gate.criterion(CALLS),
        )
        .group_by(Call.number)
        .order_by(last.desc(), Call.number)
        .limit(limit)
    )
    if offset_at is not None:
        statement = statement.having(last < offset_at)
    return [
        UnknownNumber(row.number, row.last_at, row.calls, row.missed, row.owner_id, row.last_id)
        for row in gate.session.execute(statement)
    ]


@dataclass(frozen=True)
class Figures:
    """What one person talked in a time; None: calls that are nobody's."""

    user_id: int | None
    incoming: int = 0
    answered: int = 0
    missed: int = 0
    outgoing: int = 0
    reached: int = 0
    seconds: int = 0

    @property
    def talks(self) -> int:
        """How many calls were talked."""
        return self.answered + self.reached


def by_person(gate: Gate, since: dt.datetime, until: dt.datetime) -> list[Figures]:
    """Return the figures of each person whose calls the subject may count; one statement."""
    count = sa.func.count()
    incoming, outgoing = Call.direction == INCOMING, Call.direction == OUTGOING
    talked = Call.answered_at.is_not(None)
    rows = gate.session.execute(
        sa.select(
            Call.owner_id,
            count.filter(incoming),
            count.filter(incoming, talked),
            count.filter(Call.status == MISSED),
            count.filter(outgoing),
            count.filter(outgoing, talked),
            sa.func.coalesce(sa.func.sum(Call.duration_s), 0),
        )
        .where(
            Call.started_at >= since,
            Call.started_at < until,
            Call.ended_at.is_not(None),
            gate.criterion(CALLS, FIGURES.partition(":")[2]),
        )
        .group_by(Call.owner_id)
    )
    found = [Figures(row[0], *(int(value or 0) for value in row[1:])) for row in rows]
    return sorted(found, key=lambda one: (-(one.incoming + one.outgoing), one.user_id or 0))


def total(figures: Iterable[Figures]) -> Figures:
    """Return the sum of several people's figures."""
    some = list(figures)
    names = ("incoming", "answered", "missed", "outgoing", "reached", "seconds")
    return Figures(None, **{name: sum(getattr(one, name) for one in some) for name in names})


def names_of(session: Session, ids: Iterable[int | None]) -> dict[int, str]:
    """Return the names of colleagues, in one statement."""
    return user_names(session, ids)


__all__ = [
    "NO_ANSWER",
    "Caller",
    "Figures",
    "Place",
    "UnknownNumber",
    "by_person",
    "dial",
    "end_forgotten",
    "keep_recording",
    "know_clients",
    "line_of",
    "may_dial_now",
    "not_dialled",
    "plain_number",
    "present",
    "recording_of",
    "take",
    "telephony",
    "unknown_numbers",
    "who_called",
]
