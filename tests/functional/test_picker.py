"""Pickers of records: what they offer beside what is typed, and what is made at once where nothing is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.db import UNGATED
from crm_core.models.log import Operation
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject

PEOPLE, COMPANIES = "/clients/people", "/clients/companies"
OPEN = {UNGATED: "a test"}


def test_a_name_becomes_a_person_with_the_parts_of_his_name(testapp: Any, me: Any, rows: Any) -> None:
    answer = make(testapp, PEOPLE, "Иванов Пётр Сергеевич")

    (person,) = rows("clients.person")
    assert answer.json == {"value": str(person.id), "title": "Иванов Пётр Сергеевич"}
    assert (person.last_name, person.first_name, person.middle_name) == ("Иванов", "Пётр", "Сергеевич")
    assert person.owner_id == me.id


def test_a_phone_and_an_address_go_where_they_belong(testapp: Any, me: Any, rows: Any) -> None:
    make(testapp, PEOPLE, "Иванов Пётр, 8 (846) 200-01-00 Petr@Example.com")
    make(testapp, PEOPLE, "+7 927 200-01-00")

    named, nameless = sorted(rows("clients.person"), key=lambda row: row.id)
    assert (named.last_name, named.first_name) == ("Иванов", "Пётр")
    assert [one["value"] for one in named.phones] == ["+78462000100"]
    assert [one["value"] for one in named.emails] == ["petr@example.com"]
    assert [one["value"] for one in nameless.phones] == ["+79272000100"]
    assert nameless.last_name is None


def test_a_company_has_its_kind_and_tax_number_of_what_is_typed(testapp: Any, me: Any, rows: Any) -> None:
    make(testapp, COMPANIES, "ООО «Ветер» 7707083893")

    (company,) = rows("clients.company")
    assert (company.name, company.kind, company.inn) == ("ООО «Ветер»", "ooo", "7707083893")


def test_what_is_made_can_be_taken_back_by_itself(testapp: Any, me: Any, db: Any, rows: Any) -> None:
    answer = make(testapp, COMPANIES, "Ветер")

    told = json.loads(answer.headers["HX-Trigger"])["crm:toast"]
    operation = db.scalars(sa.select(Operation).order_by(Operation.id.desc())).first()
    assert told["undo_href"] == f"/operations/{operation.id}/undo"
    assert (operation.kind, operation.entity, operation.user_id) == ("create", "clients.company", me.id)
    testapp.post(told["undo_href"], {"csrf_token": token(testapp)})
    assert rows("clients.company") == []


def test_a_person_made_beside_a_company_works_there_where_it_may_be_seen(
    testapp: Any, me: Any, factories: Any, record_of: Any, rows: Any
) -> None:
    other = factories.user("manager", team_id=factories.team().id)
    company, hidden = (record_of("clients.company", owner, name="Wind") for owner in (me, other))

    for number in (company.id, hidden.id):
        near = f"{COMPANIES}/options:{number}"
        testapp.post(f"{PEOPLE}/quick", {"text": "Ivanov Petr", "near": near, "csrf_token": token(testapp)})

    works = {person.company_id for person in rows("clients.person")}
    assert works == {company.id, None}


def test_where_a_name_is_not_enough_the_short_form_comes_filled_in(testapp: Any, me: Any, rows: Any) -> None:
    page = make(testapp, COMPANIES, "7707083893", status=422)

    form = page.forms["new-record"]
    assert form.action == f"{COMPANIES}/quick"
    assert form["inn"].value == "7707083893"
    assert "is-invalid" in page.html.select_one("#f-name")["class"]
    assert page.html.select_one(".crm-errors") is None

    form["name"] = "Ветер"
    assert form.submit().json["title"] == "Ветер"
    assert [row.inn for row in rows("clients.company")] == ["7707083893"]


@pytest.mark.parametrize("typed", ["", "   ", ",;", "\x00"])
def test_nothing_typed_makes_nothing(testapp: Any, me: Any, rows: Any, typed: str) -> None:
    make(testapp, PEOPLE, typed, status=422)

    assert rows("clients.person") == []


def test_without_the_token_of_the_session_nothing_is_made(testapp: Any, me: Any, rows: Any) -> None:
    testapp.post(f"{PEOPLE}/quick", {"text": "Ivanov Petr"}, status=400)

    assert rows("clients.person") == []


def test_whoever_may_not_create_is_neither_offered_nor_answered(
    testapp: Any, login_as: Any, factories: Any, rows: Any
) -> None:
    seeing = [("clients:view", "all"), ("deals:view", "all"), ("deals:create", "all")]
    makes, sees = factories.role(*seeing, ("clients:create", "all")), factories.role(*seeing)

    login_as(makes.name)
    offered = testapp.get("/deals/new").html.select_one("#f-company_id")
    login_as(sees.name)
    refused = testapp.get("/deals/new").html.select_one("#f-company_id")

    assert offered["data-quick"] == f"{COMPANIES}/quick"
    assert refused.get("data-quick") is None
    assert refused["data-options"] == f"{COMPANIES}/options"
    make(testapp, COMPANIES, "Ветер", status=403)
    make(testapp, PEOPLE, "Ivanov Petr", status=403)
    assert rows("clients.company") == rows("clients.person") == []


def test_settings_of_others_are_not_made_in_passing(testapp: Any, login_as: Any) -> None:
    login_as("administrator")

    picker = testapp.get("/deals/new").html.select_one("#f-pipeline_id")

    assert picker.get("data-quick") is None
    testapp.post("/deals/pipelines/quick", {"text": "Other", "csrf_token": token(testapp)}, status=404)


def test_filters_offer_only_what_is_there(testapp: Any, me: Any) -> None:
    picker = testapp.get(f"{PEOPLE}/filter/company_id").html.select_one("[data-options]")

    assert picker.get("data-quick") is None


def test_a_person_tells_his_company_as_far_as_it_may_be_seen(
    testapp: Any, me: Any, factories: Any, record_of: Any
) -> None:
    other = factories.user("manager", team_id=factories.team().id)
    company = record_of("clients.company", me, name="Wind")
    hidden = record_of("clients.company", other, name="Hidden")
    person = record_of("clients.person", me, last_name="Adams", company_id=company.id)
    worker = record_of("clients.person", me, last_name="Baker", company_id=hidden.id)
    foreign = record_of("clients.person", other, last_name="Clark", company_id=company.id)

    def links(number: Any) -> Any:
        return testapp.get(f"{PEOPLE}/options", {"of": str(number)}).json["links"]

    assert links(person.id) == {f"{COMPANIES}/options": {"value": str(company.id), "title": "Wind"}}
    assert links(worker.id) == links(foreign.id) == links("x") == links(10**17) == {}


def test_the_people_of_the_company_beside_come_first(testapp: Any, me: Any, factories: Any, record_of: Any) -> None:
    other = factories.user("manager", team_id=factories.team().id)
    company = record_of("clients.company", me, name="Wind")
    record_of("clients.person", me, last_name="Adams")
    record_of("clients.person", me, last_name="Young", company_id=company.id)
    record_of("clients.person", other, last_name="Hidden", company_id=company.id)

    def titles(**query: str) -> list[str]:
        return [one["title"] for one in testapp.get(f"{PEOPLE}/options", query).json["items"]]

    assert titles(near=f"{COMPANIES}/options:{company.id}") == ["Young", "Adams"]
    assert titles(near=f"{COMPANIES}/options:x") == titles(near="nonsense") == titles() == ["Adams", "Young"]


# -- fixtures ----------------------------------------------------------------------------------------------------------


def token(testapp: Any) -> str:
    return str(testapp.get("/").html.find("meta", attrs={"name": "csrf-token"})["content"])


def make(testapp: Any, where: str, text: str, status: int = 200) -> Any:
    return testapp.post(f"{where}/quick", {"text": text}, headers={"X-CSRF-Token": token(testapp)}, status=status)


@pytest.fixture
def me(login_as: Any, factories: Any) -> Any:
    """A manager who is signed in, of a department of his own."""
    return login_as("manager", team_id=factories.team().id)


@pytest.fixture
def rows(db: Any, plugins: Any) -> Callable[[str], list[Any]]:
    """All records of an entity that are not in the trash."""

    def rows(name: str) -> list[Any]:
        db.commit()
        model = plugins.entities[name].model
        return list(db.scalars(sa.select(model).where(model.deleted_at.is_(None)), execution_options=OPEN))

    return rows


@pytest.fixture
def record_of(db: Any, plugins: Any) -> Callable[..., Any]:
    """Make a record that somebody owns."""

    def record_of(of: str, owner: Any, **values: Any) -> Any:
        db.commit()
        gate = Gate(db, Subject.system("a test"), plugins)
        operations.describe(db, gate.subject)
        record = saving.create(gate, plugins.entities[of], {**values, "owner_id": owner.id})
        db.commit()
        return record

    return record_of
