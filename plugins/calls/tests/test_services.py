"""What becomes of what telephony tells: who called, whose the call is, what follows from it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from crm_calls import services
from crm_calls.contract import ContractError
from crm_core import clock, events
from crm_core.records import saving

KNOWN, STRANGER = "+79450000044", "+79450000099"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Keep the facts of calls that were told."""
    found: list[Any] = []
    real = events.fire

    def fire(session: Any, event: Any, **more: Any) -> None:
        if event.name.startswith("calls.") and not event.name.endswith((".created", ".changed")):
            found.append((event.name, dict(event.payload)))
        real(session, event, **more)

    monkeypatch.setattr(events, "fire", fire)
    return found


def names(told: list[Any]) -> list[str]:
    return [name.rpartition(".")[2] for name, _payload in told]


# -- who calls ---------------------------------------------------------------------------------------------------------


def test_a_client_is_found_by_any_way_of_writing_the_number(office: Any) -> None:
    person = office.person()

    call = office.tell("started", number="8 (945) 000-00-44", line="101")

    assert (call.number, call.caption) == (KNOWN, "+7 945 000-00-44")
    assert (call.subject_entity, call.subject_id, call.person_id) == ("clients.person", person.id, person.id)
    assert (call.owner_id, call.rang, call.status) == (office.manager.id, [office.manager.id], "ringing")


def test_of_several_with_one_number_it_is_the_one_last_spoken_with(office: Any, db: Any) -> None:
    old, recent, never = office.person(), office.person(owner=office.colleague), office.person()
    for person, days in ((old, 30), (recent, 2)):
        person.last_contact_at = clock.now() - dt.timedelta(days=days)
    db.flush()

    caller = services.who_called(db, office.plugins, KNOWN)

    assert caller is not None
    assert (caller.ref.id, caller.owner_id) == (recent.id, office.colleague.id)
    assert never.id not in (caller.ref.id,)


def test_clients_in_the_trash_call_no_more(office: Any, db: Any) -> None:
    person = office.person()
    saving.trash(office.gate(), office.plugins.entities["clients.person"], [person.id])

    assert services.who_called(db, office.plugins, KNOWN) is None


def test_a_hidden_or_short_number_is_nobody_and_no_fault(office: Any, told: list[Any]) -> None:
    hidden = office.missed("h", number="")
    short = office.missed("s", number="0611")

    assert (hidden.number, hidden.caption, hidden.phones) == ("", "—", [])
    assert short.number == "0611"
    assert [payload["number"] for name, payload in told if name == "calls.number.unknown"] == ["0611"]


# -- a call's life -----------------------------------------------------------------------------------------------------


def test_a_call_is_answered_and_over(office: Any, told: list[Any]) -> None:
    person = office.person()

    call = office.talked(line="101", seconds=90)

    assert (call.status, call.result, call.line, call.path) == ("ended", "answered", "101", ["101"])
    assert 89 <= call.duration_s <= 91
    assert names(told) == ["started", "answered", "ended"]
    ended = told[-1][1]
    assert (ended["entity"], ended["record_id"], ended["answered"]) == ("clients.person", person.id, True)
    assert (ended["user_id"], ended["direction"]) == (office.manager.id, "in")


def test_an_answered_call_is_the_last_contact_and_an_edit_of_a_note_keeps_it(office: Any, db: Any) -> None:
    from crm_core.db import RecordRef

    person = office.person()
    call = office.talked(line="101")
    db.refresh(person)
    assert person.last_contact_at == call.started_at

    office.missed("later", line="101")
    db.refresh(person)
    assert person.last_contact_at == call.started_at

    # What clients do when an interaction changes.
    from importlib import import_module

    import_module("crm_clients.services").refresh_contacts(db, [RecordRef("clients.person", person.id)])
    db.refresh(person)
    assert person.last_contact_at == call.started_at


def test_a_missed_call_is_his_who_is_responsible_for_the_client(office: Any, told: list[Any]) -> None:
    person = office.person(owner=office.colleague)

    call = office.missed(line="101")

    assert (call.status, call.owner_id) == ("missed", office.colleague.id)
    assert names(told) == ["started", "ended", "missed"]
    missed = told[-1][1]
    assert missed == {
        "id": call.id,
        "entity": "clients.person",
        "record_id": person.id,
        "user_id": office.colleague.id,
        "number": KNOWN,
        "at": call.started_at.isoformat(),
        "direction": "in",
    }


def test_whoever_is_to_call_back_finds_it_under_the_bell_once(office: Any, db: Any) -> None:
    from crm_core.models.work import Notification

    person = office.person(owner=office.colleague)
    office.missed(line="101")
    office.tell("ended", "m1", line="101", result="no_answer")

    rows = db.scalars(sa.select(Notification).where(Notification.user_id == office.colleague.id)).all()
    assert [(row.kind, row.values) for row in rows if row.kind != "core.record.assigned"] == [
        ("calls.call.missed", {"name": person.full_name})
    ]
    assert not db.scalars(sa.select(Notification).where(Notification.user_id == office.manager.id)).all()


@pytest.mark.parametrize(
    ("line", "whose"), [("102", "colleague"), ("600", "head"), ("999", None)], ids=["person", "group", "unknown line"]
)
def test_a_missed_call_of_a_stranger_goes_by_the_line(
    office: Any, told: list[Any], line: str, whose: str | None
) -> None:
    call = office.missed(line=line, number=STRANGER)

    assert call.owner_id == (getattr(office, whose).id if whose else None)
    assert names(told) == ["started", "ended", "missed", "unknown"]
    assert told[-1][1] == {
        "id": call.id,
        "number": STRANGER,
        "at": call.started_at.isoformat(),
        "user_id": call.owner_id,
        "answered": False,
    }


def test_a_disabled_responsible_gets_no_missed_calls(office: Any, db: Any) -> None:
    office.person(owner=office.colleague)
    office.colleague.status = "disabled"
    db.flush()

    assert office.missed(line="101").owner_id == office.manager.id


def test_a_group_rings_for_all_of_it_and_is_his_who_answers(office: Any) -> None:
    office.tell("started", lines=("101", "102"), number=STRANGER, ago=9)
    call = office.tell("answered", line="102", number=STRANGER)

    assert sorted(call.rang) == sorted([office.manager.id, office.colleague.id])
    assert (call.owner_id, call.status) == (office.colleague.id, "answered")


def test_a_transfer_makes_it_the_call_of_the_second(office: Any) -> None:
    office.tell("started", line="101", ago=60)
    office.tell("answered", line="101", ago=50)
    office.tell("answered", line="102", ago=20)
    call = office.tell("ended", result="answered")

    assert (call.path, call.owner_id, call.line) == (["101", "102"], office.colleague.id, "102")
    assert call.duration_s == 50


def test_an_outgoing_call_without_an_answer_is_not_missed(office: Any, told: list[Any]) -> None:
    office.tell("started", direction="out", line="101", ago=20)
    call = office.tell("ended", direction="out", result="busy")

    assert (call.status, call.result, call.owner_id) == ("failed", "busy", office.manager.id)
    assert names(told) == ["started", "ended"]


# -- twice, late, in any order -----------------------------------------------------------------------------------------


def test_the_same_event_twice_changes_and_tells_nothing_more(office: Any, told: list[Any]) -> None:
    call = office.missed(line="101")
    before, facts = call.version, list(told)

    office.tell("started", "m1", line="101")
    office.tell("ended", "m1", line="101", result="no_answer")

    assert len(office.calls()) == 1
    assert office.calls()[0].version == before
    assert told == facts


def test_the_end_may_come_before_the_answer(office: Any, told: list[Any]) -> None:
    office.tell("ended", line="101", result="answered", seconds=30, ago=0)
    office.tell("answered", line="101", ago=31)
    call = office.tell("started", line="101", ago=40)

    assert (call.status, call.duration_s, call.owner_id) == ("ended", 30, office.manager.id)
    assert call.answered_at is not None
    assert names(told).count("ended") == 1
    assert "missed" not in names(told)


def test_a_late_answer_does_not_open_what_was_missed(office: Any, told: list[Any]) -> None:
    office.missed("c1", line="101")
    call = office.tell("answered", line="101", ago=5)

    assert call.status == "missed"
    assert "answered" not in names(told)


def test_the_first_event_must_say_the_direction(office: Any) -> None:
    with pytest.raises(ContractError, match="direction"):
        office.tell("answered", direction="")


def test_calls_that_nobody_ended_are_ended(office: Any) -> None:
    office.tell("started", "r", line="101", ago=7200)
    office.tell("answered", "t", line="101", ago=50_000)
    office.tell("started", "fresh", line="101", ago=60)

    assert services.end_forgotten(office.gate()) == 2
    by_name = {call.foreign_id: call for call in office.calls()}
    assert (by_name["r"].status, by_name["r"].result) == ("missed", "lost")
    assert (by_name["t"].status, by_name["t"].duration_s) == ("ended", None)
    assert by_name["fresh"].status == "ringing"


def test_a_client_who_is_made_later_gets_the_calls_of_his_number(office: Any) -> None:
    office.missed("a", number=STRANGER)
    office.talked("b", number=STRANGER, line="101")

    person = office.person(STRANGER)

    assert {call.subject_id for call in office.calls()} == {person.id}
    assert services.unknown_numbers(office.gate()) == []


# -- who sees what -----------------------------------------------------------------------------------------------------


def test_each_sees_his_calls_those_of_his_clients_and_those_that_rang_for_him(office: Any) -> None:
    office.person(owner=office.stranger)
    of_client = office.missed("client", line="999")
    rang = office.missed("rang", number=STRANGER, lines=("101", "102"))

    def seen(user: Any) -> set[int]:
        return office.gate(user).visible_ids("calls.call", [of_client.id, rang.id])

    assert seen(office.stranger) == {of_client.id}
    assert seen(office.manager) == {rang.id}
    assert seen(office.colleague) == {rang.id}
    assert seen(office.head) == {rang.id}
    assert seen(office.admin) == {of_client.id, rang.id}
    assert {reason.kind for reason in office.gate(office.colleague).why("calls.call", rang.id)} == {"named:rang"}


def test_figures_are_counted_within_the_right_and_in_one_statement(office: Any, query_counter: Any) -> None:
    office.talked("a", line="101", seconds=60)
    office.talked("b", line="101", seconds=30)
    office.missed("c", line="101", number=STRANGER)
    office.tell("started", "d", direction="out", line="102", ago=9)
    office.tell("ended", "d", direction="out", line="102", result="no_answer")
    since, until = clock.now() - dt.timedelta(days=1), clock.now() + dt.timedelta(days=1)
    gates = {name: office.gate(getattr(office, name)) for name in ("manager", "head", "stranger", "admin")}

    with query_counter() as queries:
        figures = services.by_person(gates["head"], since, until)

    assert queries.count == 1
    mine = next(one for one in figures if one.user_id == office.manager.id)
    assert (mine.incoming, mine.answered, mine.missed, mine.outgoing, mine.talks) == (3, 2, 1, 0, 2)
    assert 89 <= mine.seconds <= 92
    assert {one.user_id for one in figures} == {office.manager.id, office.colleague.id}
    assert {one.user_id for one in services.by_person(gates["manager"], since, until)} == {office.manager.id}
    assert services.by_person(gates["stranger"], since, until) == []
    assert services.total(services.by_person(gates["admin"], since, until)).incoming == 3


def test_unknown_numbers_are_gathered_within_the_right(office: Any, query_counter: Any) -> None:
    office.missed("a", number=STRANGER, line="101")
    office.missed("b", number=STRANGER, line="101")
    office.missed("c", number="+79450000098", line="102")
    gate = office.gate(office.manager)

    with query_counter() as queries:
        found = services.unknown_numbers(gate)

    assert queries.count == 1
    assert [(one.number, one.calls, one.missed) for one in found] == [(STRANGER, 2, 2)]
    assert len(services.unknown_numbers(office.gate(office.head))) == 2


def test_a_call_is_in_the_clients_timeline_with_its_recording_for_those_who_may(office: Any, db: Any) -> None:
    from crm_core.db import RecordRef
    from crm_core.records import timeline

    person = office.person()
    call = office.talked(line="101")
    digest = "0" * 64
    db.execute(sa.text("INSERT INTO core_blob (digest, size, created_at) VALUES (:d, 5, now())"), {"d": digest})
    call.recording, call.recording_type, call.recording_size = digest, "audio/mpeg", 5
    db.flush()

    page = timeline.page(office.gate(office.manager), RecordRef("clients.person", person.id))

    (moment,) = (one for one in page.items if one.entity.name == "calls.call")
    assert moment.entry.files[0].href == f"/calls/{call.id}/recording"
    assert services.recording_of(office.gate(office.manager), call.id) is not None
    assert services.recording_of(office.gate(office.colleague), call.id) is None
    assert services.recording_of(office.gate(office.stranger), call.id) is None


# -- by a click --------------------------------------------------------------------------------------------------------


def test_who_has_no_line_that_dials_is_told_so(office: Any) -> None:
    with pytest.raises(saving.NotAllowed, match="no internal number"):
        services.dial(office.gate(office.manager), KNOWN)
    with pytest.raises(saving.NotAllowed, match="no telephone number"):
        services.dial(office.gate(office.manager), "javascript:1")
