"""Leads come in once, are handed out fairly, and exactly one person takes each."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core import events
from crm_core.company import WorkingCalendar
from crm_core.db import RecordRef
from crm_core.models import Notification
from crm_core.models.accounts import DISABLED
from crm_core.records import saving
from crm_core.records.gate import Gate
from crm_core.records.listing import Listing, ListQuery
from crm_core.specs import Event
from crm_deals.models import Deal, Lead, LeadRule
from crm_deals.models.leads import LEAST, ROUND
from crm_deals.services import lead_rules, leads
from crm_deals.services.worktime import WorkTime

ANY = {"crm_ungated": "a look at the result"}
MONDAY = dt.datetime(2026, 3, 16, 8, tzinfo=dt.UTC)  # 11:00 in Moscow


@pytest.fixture
def outside(deals: Any) -> Any:
    """The gate by which requests from outside come."""
    return lambda: leads.inbox(deals.session, deals.plugins, source="test")


@pytest.fixture
def make(deals: Any, outside: Any) -> Any:
    """Makes a lead; of nobody unless it says whose."""

    def make(**values: Any) -> Lead:
        deals.session.commit()
        values = {"name": "Анна Петрова", "phones": ["+7 927 000-11-22"], "source": "site", **values}
        return leads.receive(outside(), **values).lead

    return make


def rule(factories: Any, *people: Any, way: str = ROUND, **values: Any) -> LeadRule:
    return factories.make(LeadRule, way=way, user_ids=[one.id for one in people], **values)


def seen(deals: Any, user: Any) -> set[int]:
    listing = Listing(deals.gate(user), deals.plugins.entity("deals.lead"))
    return {row.id for row in listing.page(ListQuery()).rows}


# -- coming in ---------------------------------------------------------------------------------------------------------


def test_the_same_request_again_is_the_same_lead(make: Any, outside: Any, db: Any) -> None:
    first = make(key="form:1:abc")

    again = leads.receive(outside(), key="form:1:abc", name="Анна Петрова")

    assert (again.fresh, again.lead.id) == (False, first.id)
    assert db.scalar(sa.select(sa.func.count()).select_from(Lead), execution_options=ANY) == 1


def test_a_phone_that_is_none_is_kept_in_the_text(make: Any) -> None:
    lead = make(phones=["звоните Маше"], emails=["anna@example.com"], text="Кондиционер")

    assert lead.phones == []
    assert [one["value"] for one in lead.emails] == ["anna@example.com"]
    assert lead.text == "Кондиционер\nзвоните Маше"


def test_a_lead_is_to_be_answered_in_minutes_of_working_time(make: Any, clock: Any) -> None:
    clock.move_to(dt.datetime(2026, 3, 13, 14, 50, tzinfo=dt.UTC))  # Friday 17:50 in Moscow

    lead = make()

    assert lead.due_at == dt.datetime(2026, 3, 16, 6, 20, tzinfo=dt.UTC)  # Monday 9:20


def test_working_minutes_leave_nights_and_weekends_out() -> None:
    work = WorkTime(WorkingCalendar(), "Europe/Moscow")
    friday = dt.datetime(2026, 3, 13, 14, 30, tzinfo=dt.UTC)

    assert work.minutes(friday, dt.datetime(2026, 3, 16, 6, 30, tzinfo=dt.UTC)) == 60
    assert work.minutes(friday, friday) == 0
    assert work.after(friday, 31) == dt.datetime(2026, 3, 16, 6, 1, tzinfo=dt.UTC)


def test_a_number_of_nobody_is_a_lead_once_for_a_call(deals: Any, seller: Any, db: Any) -> None:
    gate = deals.gate()
    payload = {"id": 7, "number": "+79270001122", "at": "2026-03-16T08:00:00+00:00", "user_id": seller.id}
    event = next(iter(["calls.number.unknown"]))
    if event not in deals.plugins.event_types:
        pytest.skip("telephony is off")

    for _time in range(2):
        events.fire(db, Event(event, payload), plugins=gate.plugins, subject=gate.subject)

    lead = db.scalars(sa.select(Lead), execution_options=ANY).one()
    assert (lead.source, lead.owner_id, lead.phones[0]["value"]) == ("call", seller.id, "+79270001122")


def test_a_lead_written_down_by_hand_has_a_term_too(deals: Any, seller: Any) -> None:
    gate = deals.gate(seller)

    lead = saving.create(gate, gate.entity("deals.lead"), {"name": "Иван"})

    assert (lead.owner_id, lead.state, lead.caption) == (seller.id, "new", "Иван")
    assert lead.due_at is not None


# -- handing out -------------------------------------------------------------------------------------------------------


def test_leads_go_in_turn_and_past_whoever_has_left(make: Any, factories: Any, db: Any) -> None:
    people = [factories.user("manager") for _ in range(3)]
    rule(factories, *people)

    first = [make().owner_id for _ in range(4)]
    people[2].status = DISABLED
    db.flush()
    then = [make().owner_id for _ in range(3)]

    a, b, c = (one.id for one in people)
    assert first == [a, b, c, a]
    assert then == [b, a, b]


def test_a_lead_goes_to_whoever_has_the_least_to_do(make: Any, factories: Any, deals: Any) -> None:
    busy, idle = factories.user("manager"), factories.user("manager")
    for _ in range(3):
        deals.deal(busy)
    rule(factories, busy, idle, way=LEAST)

    owners = [make().owner_id for _ in range(4)]

    assert owners[:3] == [idle.id] * 3
    assert owners[3] in (busy.id, idle.id)


def test_the_first_rule_that_fits_counts(make: Any, factories: Any) -> None:
    site, call = factories.user("manager"), factories.user("manager")
    rule(factories, call, position=1, source="call", term_minutes=5)
    rule(factories, site, position=2)

    assert make(source="call").owner_id == call.id
    assert make(source="site").owner_id == site.id


def test_whoever_is_to_answer_is_told_and_without_one_all_who_could(
    make: Any, factories: Any, seller: Any, db: Any
) -> None:
    lead = make()
    assert db.scalars(sa.select(Notification.kind).where(Notification.user_id == seller.id)).all() == [
        "deals.lead.received"
    ]
    rule(factories, seller)

    mine = make()

    told = db.scalars(sa.select(Notification).where(Notification.kind == "deals.lead.handed")).all()
    assert [(one.user_id, one.record_id) for one in told] == [(seller.id, mine.id)]
    assert lead.owner_id is None


def test_heads_hear_once_of_a_lead_that_waits_too_long(
    make: Any, factories: Any, seller: Any, boss: Any, deals: Any, clock: Any, db: Any
) -> None:
    clock.move_to(MONDAY)
    rule(factories, seller, term_minutes=10)
    lead = make()
    clock.tick(minutes=11)

    assert lead_rules.tell_late(deals.gate())[0] == 2
    assert lead_rules.tell_late(deals.gate())[0] == 0

    told = db.scalars(sa.select(Notification.user_id).where(Notification.kind == "deals.lead.late")).all()
    assert set(told) == {seller.id, boss.id}
    assert db.get(Lead, lead.id, execution_options=ANY).state == "new"


# -- taking ------------------------------------------------------------------------------------------------------------


def test_taking_makes_client_and_deal_in_one_operation_and_undo_takes_all_back(
    make: Any, deals: Any, seller: Any, db: Any
) -> None:
    lead = make(company="ООО «Ромашка»", text="Нужен кондиционер")
    gate = deals.gate(seller)

    taken = leads.take(gate, lead)

    assert (lead.state, lead.owner_id, lead.deal_id, taken.found) == ("taken", seller.id, taken.deal.id, False)
    assert (taken.deal.owner_id, taken.deal.source, taken.deal.comment) == (seller.id, "site", "Нужен кондиционер")
    person = gate.get("clients.person", lead.person_id)
    assert (person.last_name, person.first_name, person.phones[0]["value"]) == ("Петрова", "Анна", "+79270001122")
    assert gate.get("clients.company", lead.company_id).name == "ООО «Ромашка»"
    assert person.company_id == lead.company_id


def test_taking_finds_the_client_by_his_phone(make: Any, deals: Any, seller: Any) -> None:
    known = deals.person(seller, phones=[{"value": "+79270001122", "main": True}])
    lead = make(name="Аня")

    taken = leads.take(deals.gate(seller), lead)

    assert taken.found
    assert (lead.person_id, taken.deal.person_id) == (known.id, known.id)


def test_taking_does_not_make_a_double_of_a_client_of_somebody_else(
    make: Any, deals: Any, seller: Any, factories: Any
) -> None:
    other = factories.user("manager", team_id=factories.team().id, name="Ольга")
    deals.person(other, phones=[{"value": "+79270001122", "main": True}])
    lead = make()

    with pytest.raises(leads.ClientElsewhere) as elsewhere:
        leads.take(deals.gate(seller), lead)

    assert elsewhere.value.responsible == "Ольга"
    assert leads.take(deals.gate(seller), lead, anew=True).found is False


def test_the_second_who_takes_a_lead_sees_who_was_faster(make: Any, deals: Any, seller: Any, factories: Any) -> None:
    faster = factories.user("manager", name="Борис", team_id=seller.team_id)
    lead = make()
    leads.take(deals.gate(faster), lead)

    with pytest.raises(leads.Gone) as gone:
        leads.take(deals.gate(seller), lead)

    assert gone.value.by == "Борис"


def test_late_minutes_are_kept_with_who_was_to_answer(
    make: Any, deals: Any, factories: Any, seller: Any, boss: Any, clock: Any
) -> None:
    clock.move_to(MONDAY)
    rule(factories, seller, term_minutes=10)
    lead = make()
    clock.tick(minutes=35)

    leads.take(deals.gate(boss), lead)

    assert (lead.late_minutes, lead.answerable_id, lead.owner_id) == (25, seller.id, boss.id)
    (mine,) = leads.speeds(deals.gate(boss))
    assert (mine.user_id, mine.answered, mine.late, mine.late_minutes) == (seller.id, 1, 1, 25)


def test_a_lead_is_linked_to_a_client_without_a_deal(make: Any, deals: Any, seller: Any, db: Any) -> None:
    person = deals.person(seller)
    lead = make()

    leads.link(deals.gate(seller), lead, RecordRef("clients.person", person.id))

    assert (lead.state, lead.person_id, lead.deal_id) == ("linked", person.id, None)
    assert db.scalar(sa.select(sa.func.count()).select_from(Deal), execution_options=ANY) == 0


def test_a_rejected_lead_keeps_its_reason_and_may_wait_again(make: Any, deals: Any, seller: Any) -> None:
    lead = make()

    leads.reject(deals.gate(seller), lead, "spam", "реклама")
    assert (lead.state, lead.reason, lead.reason_note, lead.owner_id) == ("rejected", "spam", "реклама", seller.id)
    leads.renew(deals.gate(seller), lead)

    assert (lead.state, lead.reason) == ("new", None)


# -- rights ------------------------------------------------------------------------------------------------------------


def test_roles_see_the_leads_that_are_theirs_to_see(
    make: Any, deals: Any, seller: Any, boss: Any, factories: Any
) -> None:
    other = factories.user("manager", team_id=factories.team().id)
    rule(factories, seller, source="call")
    rule(factories, other, source="letter")
    nobodys, mine, others = make().id, make(source="call").id, make(source="letter").id
    by_role = {name: factories.user(name) for name in ("administrator", "director", "marketer", "specialist", "user")}

    assert seen(deals, seller) == {nobodys, mine}
    assert seen(deals, other) == {nobodys, others}
    assert seen(deals, boss) == {mine}
    for name in ("administrator", "director", "marketer", "specialist"):
        assert seen(deals, by_role[name]) == {nobodys, mine, others}, name
    assert seen(deals, by_role["user"]) == set()
    lead = deals.gate(by_role["marketer"]).get("deals.lead", mine)
    with pytest.raises(saving.NotAllowed):
        leads.take(deals.gate(by_role["marketer"]), lead)


# -- all at once -------------------------------------------------------------------------------------------------------


def test_of_many_who_take_a_lead_at_once_exactly_one_gets_it(committed_db: Any) -> None:
    from crm_core.testing.factories import Factories

    with committed_db.session() as session:
        makers = Factories(session)
        people = [makers.user("manager").id for _ in range(4)]
        lead_id = leads.receive(
            leads.inbox(session, committed_db.plugins, source="test"), name="Анна", phones=["+79270001122"]
        ).lead.id
    outcome: list[str] = []

    def take(user_id: int) -> None:
        from crm_core.security.subject import load_subject

        try:
            with committed_db.session() as session:
                gate = Gate(session, load_subject(session, user_id), committed_db.plugins)
                lead = gate.get("deals.lead", lead_id)
                if lead is None:
                    outcome.append("gone")
                    return
                barrier.wait(timeout=20)
                leads.take(gate, lead)
            outcome.append("taken")
        except leads.Gone:
            outcome.append("gone")

    barrier = threading.Barrier(len(people))
    threads = [threading.Thread(target=take, args=(one,)) for one in people]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)

    assert sorted(outcome) == ["gone", "gone", "gone", "taken"]
    with committed_db.session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Deal), execution_options=ANY) == 1


def test_turns_are_fair_when_leads_come_at_once(committed_db: Any) -> None:
    from crm_core.testing.factories import Factories

    with committed_db.session() as session:
        makers = Factories(session)
        people = [makers.user("manager").id for _ in range(3)]
        makers.make(LeadRule, way=ROUND, user_ids=people)

    def bring(number: int) -> None:
        for part in range(3):
            with committed_db.session() as session:
                gate = leads.inbox(session, committed_db.plugins, source="test")
                # The same key twice from two threads is one lead all the same.
                leads.receive(gate, key=f"k:{number // 2}:{part}", name=f"Лид {number}")

    threads = [threading.Thread(target=bring, args=(number,)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)

    with committed_db.session() as session:
        counts = dict(
            session.execute(
                sa.select(Lead.owner_id, sa.func.count()).group_by(Lead.owner_id), execution_options=ANY
            ).all()
        )
    assert counts == dict.fromkeys(people, 3)


