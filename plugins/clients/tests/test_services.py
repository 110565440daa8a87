"""People, companies and what was said with them, without a browser."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from crm_clients import services
from crm_clients.entities import COMPANIES, COMPANY, INTERACTION, PERSON, PERSONS
from crm_clients.models import Membership
from crm_core import clock as crm_clock
from crm_core.db import RecordRef
from crm_core.forms import InvalidValues
from crm_core.records import doubles, history, operations, saving, timeline, undo
from crm_core.records.listing import Condition, Listing, ListQuery


def _phone(number: str) -> list[dict[str, Any]]:
    return [{"value": number, "main": True}]


# -- names and requisites ----------------------------------------------------------------------------------------------


def test_a_person_is_called_by_all_parts_of_the_name_and_sorted_without_yo(clients: Any) -> None:
    person = clients.person(last_name="Фёдоров", first_name="Пётр", middle_name="Ильич")

    assert person.full_name == "Фёдоров Пётр Ильич"
    assert person.name_sort == "федоров петр ильич"


def test_a_person_without_a_name_is_called_by_the_phone(clients: Any) -> None:
    person = clients.person(last_name=None, first_name=None, phones=_phone("+79450000001"))

    assert person.full_name == "+79450000001"


def test_a_company_sorts_without_its_legal_form_which_tells_its_kind(clients: Any) -> None:
    company = clients.company(name="ООО «Ромашка»")

    assert (company.name_sort, company.kind) == ("ромашка", "ooo")


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("inn", "7707083893", "7707083893"),
        ("inn", "ИНН 7707 083 893", "7707083893"),
        ("kpp", "773601001", "773601001"),
        ("ogrn", "1027700132195", "1027700132195"),
        ("bik", "044525225", "044525225"),
        ("account", "4070 2810 8000 0000 0077", "40702810800000000077"),
        ("corr_account", "30101810400000000225", "30101810400000000225"),
    ],
)
def test_requisites_are_cleaned(clients: Any, field: str, value: str, kept: str) -> None:
    values = saving.check(clients.gate(), COMPANIES, {"name": "Ромашка", field: value})

    assert values[field] == kept


@pytest.mark.parametrize(
    ("field", "value"),
    [("inn", "7707083894"), ("kpp", "12"), ("ogrn", "1027700132196"), ("bik", "9"), ("account", "407"), ("name", " ")],
)
def test_wrong_requisites_are_refused_with_the_field(clients: Any, field: str, value: str) -> None:
    with pytest.raises(InvalidValues) as refused:
        saving.check(clients.gate(), COMPANIES, {"name": "Ромашка", field: value})

    assert set(refused.value.errors) == {field}


def test_an_account_must_fit_the_bank(clients: Any) -> None:
    with pytest.raises(InvalidValues) as refused:
        saving.check(
            clients.gate(), COMPANIES, {"name": "Ромашка", "bik": "044525225", "account": "40702810800000000071"}
        )

    assert set(refused.value.errors) == {"account"}


def test_phones_and_addresses_are_kept_in_one_form_with_type_main_and_do_not_use(clients: Any) -> None:
    typed = [{"value": "8 (945) 000-00-01", "type": "work"}, {"value": "+79450000002", "off": "1"}]
    values = saving.check(clients.gate(), PERSONS, {"last_name": "Иванов", "phones": typed, "emails": ["A@B.example"]})

    assert values["phones"] == [
        {"value": "+79450000001", "type": "work", "main": True},
        {"value": "+79450000002", "off": True},
    ]
    assert values["emails"] == [{"value": "a@b.example", "main": True}]


def test_a_person_must_be_called_something(clients: Any) -> None:
    with pytest.raises(InvalidValues):
        saving.check(clients.gate(), PERSONS, {"city": "Самара"})


# -- what was said -----------------------------------------------------------------------------------------------------


def test_a_call_moves_the_last_contact_of_the_person_and_of_his_company(clients: Any, db: Any) -> None:
    company = clients.company()
    person = clients.person(company_id=company.id)
    at = crm_clock.now() - dt.timedelta(hours=2)

    clients.interaction(person, at=at, text="Договорились о замере\nна среду")

    assert person.last_contact_at == at
    assert company.last_contact_at == at


@pytest.mark.parametrize("values", [{"kind": "note", "text": "Ключи на вахте"}, {"kind": "call", "outcome": "missed"}])
def test_notes_and_calls_without_an_answer_are_no_contact(clients: Any, values: dict[str, Any]) -> None:
    person = clients.person()

    clients.interaction(person, **values)

    assert person.last_contact_at is None


def test_an_older_call_written_down_later_moves_nothing_back(clients: Any) -> None:
    person = clients.person()
    now = crm_clock.now()
    clients.interaction(person, at=now)

    clients.interaction(person, at=now - dt.timedelta(days=9))

    assert person.last_contact_at == now


def test_the_last_contact_follows_when_a_call_goes_to_the_trash_and_comes_back(clients: Any) -> None:
    person = clients.person()
    now = crm_clock.now()
    earlier = clients.interaction(person, at=now - dt.timedelta(days=9))
    latest = clients.interaction(person, at=now)
    gate = clients.gate()

    saving.trash(gate, gate.entity(INTERACTION), [latest.id])
    assert person.last_contact_at == earlier.at

    saving.restore(gate, gate.entity(INTERACTION), [latest.id])
    assert person.last_contact_at == now


def test_undoing_a_recorded_call_takes_the_last_contact_back(clients: Any, db: Any) -> None:
    person = clients.person()
    db.commit()
    clients.interaction(person)
    operation = operations.current(db)
    db.commit()

    report = undo.undo(clients.gate(), operation)
    db.refresh(person)

    assert not report.conflicts
    assert person.last_contact_at is None


def test_an_interaction_is_named_by_the_first_line_and_told_in_words(clients: Any) -> None:
    said = clients.interaction(clients.person(), direction="in", text="Спрашивают цену\nи сроки")

    entry = clients.gate().entity(INTERACTION).entry(said)

    assert said.summary == "Спрашивают цену"
    assert (str(entry.title), entry.icon) == ("Incoming call", "phone")


# -- lists -------------------------------------------------------------------------------------------------------------


def test_no_contact_for_days_finds_those_never_spoken_with_too(clients: Any) -> None:
    now = crm_clock.now()
    fresh, old, never = clients.person(), clients.person(), clients.person()
    clients.interaction(fresh, at=now - dt.timedelta(days=3))
    clients.interaction(old, at=now - dt.timedelta(days=40))
    listing = Listing(clients.gate(), PERSONS)

    def found(name: str) -> set[int]:
        page = listing.page(ListQuery(conditions=(Condition(name, "is", ("30",)),), limit=200))
        return {row.id for row in page.rows} & {fresh.id, old.id, never.id}

    assert found("no_contact") == {old.id, never.id}
    assert found("contact_within") == {fresh.id}


def test_a_list_and_a_card_take_few_statements(clients: Any, factories: Any, query_counter: Any, db: Any) -> None:
    team = factories.team()
    manager = factories.user("manager", team_id=team.id)
    for _number in range(5):
        person = clients.person(manager, company_id=clients.company(manager).id)
        clients.interaction(person, manager)
    number = person.id
    gate = clients.gate(manager)
    Listing(gate, PERSONS)
    db.expunge_all()

    with query_counter() as queries:
        Listing(gate, PERSONS).page(ListQuery())
    assert queries.count == 1

    with query_counter() as queries:
        card = gate.get(PERSON, number)
        services.companies_of(gate, card)
    assert queries.count == 2

    with query_counter() as queries:
        timeline.page(gate, RecordRef(PERSON, number))
    assert queries.count <= len(timeline.entities(gate))


# -- who belongs where -------------------------------------------------------------------------------------------------


def test_the_main_company_is_among_the_companies(clients: Any) -> None:
    company = clients.company()
    person = clients.person(company_id=company.id)

    linked = services.companies_of(clients.gate(), person)

    assert [(one.id, one.main) for one in linked] == [(company.id, True)]
    assert [one.id for one in services.people_of(clients.gate(), company)] == [person.id]


def test_a_person_may_belong_to_several_companies_with_a_role_in_each(clients: Any) -> None:
    first, second = clients.company(), clients.company()
    person = clients.person(company_id=first.id)
    gate = clients.gate()

    services.link(gate, person, second.id, "платит")
    services.link(gate, person, second.id, "решает")

    assert [(one.id, one.role, one.main) for one in services.companies_of(gate, person)] == [
        (first.id, "", True),
        (second.id, "решает", False),
    ]


def test_taking_the_main_company_off_makes_another_one_the_main(clients: Any) -> None:
    first, second = clients.company(), clients.company()
    person = clients.person(company_id=first.id)
    gate = clients.gate()
    services.link(gate, person, second.id)

    services.unlink(gate, person, first.id)

    assert person.company_id == second.id
    assert [one.id for one in services.companies_of(gate, person)] == [second.id]


def test_links_show_in_the_history_of_the_person_and_can_be_taken_back(clients: Any, db: Any) -> None:
    person, company = clients.person(), clients.company()
    db.commit()
    gate = clients.gate()
    services.link(gate, person, company.id, "решает")
    operation = operations.current(db)
    db.commit()

    entries = history.of_record(gate, PERSONS, person.id).entries
    told = {(entry.entity, difference.field): difference.after for entry in entries for difference in entry.differences}
    assert told["clients.membership", "company_id"] == company.id
    assert told[PERSON, "company_id"] == company.id

    undo.undo(gate, operation)
    db.refresh(person)
    assert person.company_id is None
    assert db.scalar(sa.select(sa.func.count()).select_from(Membership).where(Membership.person_id == person.id)) == 0


def test_a_company_one_may_not_see_keeps_its_place_without_a_name(clients: Any, factories: Any) -> None:
    mine = factories.user("manager", team_id=factories.team().id)
    theirs = clients.company(factories.user("manager", team_id=factories.team().id))
    person = clients.person(mine, company_id=theirs.id)

    linked = services.companies_of(clients.gate(mine), person)

    assert [(one.id, one.label) for one in linked] == [(theirs.id, "")]


def test_pairs_are_linked_set_wise_and_twice_is_once(clients: Any, db: Any, query_counter: Any) -> None:
    people = [clients.person() for _number in range(3)]
    first, second = clients.company(), clients.company()
    pairs = [(people[0].id, first.id), (people[0].id, second.id), (people[1].id, first.id), (people[2].id, second.id)]

    with query_counter() as queries:
        services.link_pairs(db, pairs)
        services.link_pairs(db, pairs)

    assert queries.count <= 8
    for person in people:
        db.refresh(person)
    assert [person.company_id for person in people] == [first.id, first.id, second.id]
    assert db.scalar(sa.select(sa.func.count()).select_from(Membership)) == 4


# -- doubles -----------------------------------------------------------------------------------------------------------


def test_a_double_is_noticed_by_phone_however_it_is_typed(clients: Any) -> None:
    person = clients.person(phones=_phone("+79450000017"))

    found = doubles.probable(clients.gate(), PERSONS, {"phones": [{"value": "8 945 000-00-17"}]})

    assert [(one.id, one.label, one.visible) for one in found] == [(person.id, person.full_name, True)]


@pytest.mark.parametrize(
    ("typed", "noticed"),
    [
        ({"last_name": "Кузнецова", "first_name": "Марина", "middle_name": "Сергеевна"}, True),
        ({"last_name": "Кузнецова", "first_name": "Марина"}, True),
        ({"last_name": "Кузнецов", "first_name": "Марина", "middle_name": "Сергеевна"}, True),
        ({"last_name": "Марина", "first_name": "Кузнецова", "middle_name": "Сергеевна"}, True),
        ({"last_name": "Кузнецова"}, False),
        ({"last_name": "Кузьмина", "first_name": "Мария"}, False),
    ],
)
def test_names_are_alike_in_any_order_and_with_slips(clients: Any, typed: dict[str, str], noticed: bool) -> None:
    clients.person(last_name="Кузнецова", first_name="Марина", middle_name="Сергеевна")

    assert bool(doubles.probable(clients.gate(), PERSONS, typed)) == noticed


def test_a_company_is_noticed_by_inn_and_by_its_name_without_the_form(clients: Any) -> None:
    company = clients.company(name="ООО «Ромашка»", inn="7707083893")
    gate = clients.gate()

    by_inn = doubles.probable(gate, COMPANIES, {"name": "Другая", "inn": "7707 083893"})
    by_name = doubles.probable(gate, COMPANIES, {"name": "Ромашка, ООО"})

    assert [one.id for one in by_inn] == [company.id]
    assert [one.id for one in by_name] == [company.id]
    assert by_inn[0].likelihood > by_name[0].likelihood


def test_of_a_client_one_may_not_see_only_the_responsible_is_told(clients: Any, factories: Any) -> None:
    theirs = factories.user("manager", team_id=factories.team().id, name="Игорь Панин")
    mine = factories.user("manager", team_id=factories.team().id)
    clients.person(theirs, last_name="Тайный", phones=_phone("+79450000018"))

    found = doubles.probable(clients.gate(mine), PERSONS, {"phones": "+79450000018"})
    by_name = doubles.probable(clients.gate(mine), PERSONS, {"last_name": "Тайный", "first_name": "Иван"})

    assert [(one.id, one.label, one.visible, one.responsible) for one in found] == [(None, "", False, "Игорь Панин")]
    assert by_name == []


def test_a_record_is_no_double_of_itself_and_the_trash_is_left_alone(clients: Any) -> None:
    person = clients.person(phones=_phone("+79450000019"))
    gate = clients.gate()

    assert doubles.probable(gate, PERSONS, {"phones": "+79450000019"}, exclude=person.id) == []

    saving.trash(gate, PERSONS, [person.id])
    assert doubles.probable(gate, PERSONS, {"phones": "+79450000019"}) == []


# -- timeline ----------------------------------------------------------------------------------------------------------


def test_a_timeline_is_newest_first_and_pages_on_where_it_ended(clients: Any) -> None:
    person = clients.person()
    now = crm_clock.now()
    said = [clients.interaction(person, at=now - dt.timedelta(hours=hours)).id for hours in range(7)]
    gate, ref = clients.gate(), RecordRef(PERSON, person.id)

    first = timeline.page(gate, ref, limit=4)
    second = timeline.page(gate, ref, limit=4, after=first.next)

    assert [moment.record.id for moment in (*first.items, *second.items)] == said
    assert second.next == ""


def test_a_timeline_can_be_narrowed_to_calls_and_shows_only_what_may_be_seen(clients: Any, factories: Any) -> None:
    manager = factories.user("manager", team_id=factories.team().id)
    stranger = factories.user("manager", team_id=factories.team().id)
    person = clients.person(manager)
    call = clients.interaction(person, manager)
    clients.interaction(person, manager, kind="note", text="Ключи на вахте")
    ref = RecordRef(PERSON, person.id)

    calls = timeline.page(clients.gate(manager), ref, kinds=[f"{INTERACTION}:call"])

    assert [moment.record.id for moment in calls.items] == [call.id]
    assert timeline.page(clients.gate(stranger), ref).items == ()


def test_what_was_said_with_its_people_stands_in_the_timeline_of_a_company(clients: Any, factories: Any) -> None:
    manager = factories.user("manager", team_id=factories.team().id)
    company = clients.company(manager)
    mine, theirs = clients.person(manager, company_id=company.id), clients.person(company_id=company.id)
    with_company, with_person = clients.interaction(company, manager), clients.interaction(mine, manager)
    clients.interaction(theirs)

    found = timeline.page(clients.gate(manager), RecordRef(COMPANY, company.id)).items

    assert {moment.record.id for moment in found} == {with_company.id, with_person.id}
    assert {moment.ref for moment in found} == {RecordRef(COMPANY, company.id), RecordRef(PERSON, mine.id)}


def test_what_was_said_goes_to_the_trash_with_the_client_and_comes_back(clients: Any, db: Any) -> None:
    company = clients.company()
    said = clients.interaction(company)
    gate = clients.gate()

    saving.trash(gate, COMPANIES, [company.id])
    db.refresh(said)
    assert said.deleted_at is not None

    saving.restore(gate, COMPANIES, [company.id])
    db.refresh(said)
    assert said.deleted_at is None
    assert gate.visible_ids(COMPANY, [company.id]) == {company.id}
