"""This plugin's own pages, walked as a person does."""

from __future__ import annotations

from typing import Any

import pytest

from crm_clients import services
from crm_clients.entities import PERSON
from crm_clients.models import Interaction
from crm_core.models import User


@pytest.fixture
def manager(factories: Any, login_as: Any) -> User:
    """Sign in a manager of a department."""
    user = factories.user("manager", team_id=factories.team().id)
    return login_as(user)


def _phone(number: str) -> list[dict[str, Any]]:
    return [{"value": number, "main": True}]


def test_a_call_is_recorded_from_the_card(testapp: Any, manager: User, clients: Any, db: Any) -> None:
    person = clients.person(manager)
    page = testapp.get(f"/clients/interactions/record/call?subject={PERSON}:{person.id}")
    form = page.forms["record-call"]
    form["text"] = "Просит приехать на замер"
    form["next_step"] = "Назначить замер"
    form["minutes"] = "2,5"

    answer = form.submit()

    assert answer.status_int == 303
    assert answer.location.endswith(f"/clients/people/{person.id}")
    said = db.query(Interaction).execution_options(crm_ungated="a look at the result").one()
    assert (said.kind, said.direction, said.outcome, said.duration_s) == ("call", "out", "reached", 150)
    assert (said.owner_id, said.next_step) == (manager.id, "Назначить замер")
    db.refresh(person)
    assert person.last_contact_at == said.at


def test_a_part_of_a_page_gets_no_page_back(testapp: Any, manager: User, clients: Any) -> None:
    person = clients.person(manager)
    href = f"/clients/interactions/record/note?subject={PERSON}:{person.id}"
    page = testapp.get(href, headers={"HX-Request": "true", "HX-Request-Type": "partial"})
    assert "crm-side" not in page.text
    form = page.forms["record-note"]
    form["text"] = "Ключи на вахте"

    answer = form.submit(headers={"HX-Request": "true"})

    assert answer.status_int == 204


def test_an_empty_note_is_refused_beside_the_field_and_nothing_typed_is_lost(
    testapp: Any, manager: User, clients: Any
) -> None:
    person = clients.person(manager)
    form = testapp.get(f"/clients/interactions/record/note?subject={PERSON}:{person.id}").forms["record-note"]

    answer = form.submit(status=422)

    assert "Write the note." in answer

    form = testapp.get(f"/clients/interactions/record/call?subject={PERSON}:{person.id}").forms["record-call"]
    form["text"] = "Долго говорили"
    form["minutes"] = "много"
    answer = form.submit(status=422)
    assert "Write a number of minutes." in answer
    assert answer.forms["record-call"]["text"].value == "Долго говорили"


def test_the_time_is_read_in_the_zone_of_the_company_and_the_future_is_refused(
    testapp: Any, manager: User, clients: Any, db: Any
) -> None:
    import datetime as dt

    person = clients.person(manager)
    href = f"/clients/interactions/record/meeting?subject={PERSON}:{person.id}"
    form = testapp.get(href).forms["record-meeting"]
    form["at"] = "2026-01-15T10:30"
    form.submit(status=303)
    said = db.query(Interaction).execution_options(crm_ungated="a look at the result").one()
    assert said.at == dt.datetime(2026, 1, 15, 7, 30, tzinfo=dt.UTC)

    form = testapp.get(href).forms["record-meeting"]
    form["at"] = "2099-01-15T10:30"
    assert "This has not happened yet." in form.submit(status=422)


@pytest.mark.parametrize("kind", ["meeting", "visit", "letter", "message", "sms"])
def test_each_kind_has_its_form(testapp: Any, manager: User, clients: Any, kind: str) -> None:
    company = clients.company(manager)
    form = testapp.get(f"/clients/interactions/record/{kind}?subject=clients.company:{company.id}").forms[
        f"record-{kind}"
    ]
    form["text"] = "Показали образцы"

    assert form.submit().status_int == 303


@pytest.mark.parametrize(
    "href",
    [
        "/clients/interactions/record/call?subject=clients.person:{id}",
        "/clients/people/{id}/link",
    ],
)
def test_clients_of_others_are_not_known_of(
    testapp: Any, manager: User, clients: Any, factories: Any, href: str
) -> None:
    foreign = clients.person(factories.user("manager", team_id=factories.team().id))

    testapp.get(href.format(id=foreign.id), status=404)


@pytest.mark.parametrize(
    "href",
    [
        "/clients/interactions/record/call",
        "/clients/interactions/record/call?subject=x",
        "/clients/interactions/record/call?subject=nothing.here:1",
        "/clients/interactions/record/dance?subject=clients.person:1",
        "/clients/people/999999999999999999999999/link",
    ],
)
def test_nonsense_is_not_found(testapp: Any, manager: User, href: str) -> None:
    testapp.get(href, status=404)


def test_a_double_is_told_while_typing(testapp: Any, manager: User, clients: Any, factories: Any) -> None:
    mine = clients.person(manager, last_name="Двойной", phones=_phone("+79450000044"))
    theirs = factories.user("manager", team_id=factories.team().id, name="Игорь Панин")
    clients.person(theirs, last_name="Тайный", phones=_phone("+79450000045"))

    page = testapp.get("/clients/people/doubles", {"field": "phones-0-value", "phones-0-value": "8 945 000-00-44"})
    hidden = testapp.get("/clients/people/doubles", {"phones-0-value": "8 945 000-00-45"})
    nothing = testapp.get("/clients/people/doubles", {"phones-0-value": "8 945 0"})

    assert f"/clients/people/{mine.id}" in page
    assert "Тайный" not in hidden
    assert "Игорь Панин" in hidden
    assert f"/clients/people/{mine.id}" not in nothing


def test_a_person_is_linked_to_a_company_from_either_side_and_taken_off(
    testapp: Any, manager: User, clients: Any
) -> None:
    person = clients.person(manager)
    first, second = clients.company(manager), clients.company(manager)

    form = testapp.get(f"/clients/people/{person.id}/link").forms["link"]
    form["other"].force_value(str(first.id))
    form["role"] = "решает"
    form.submit(status=303)
    form = testapp.get(f"/clients/companies/{second.id}/link").forms["link"]
    form["other"].force_value(str(person.id))
    form.submit(status=303)

    linked = services.companies_of(clients.gate(manager), person)
    assert [(one.id, one.role, one.main) for one in linked] == [(first.id, "решает", True), (second.id, "", False)]

    token = form["csrf_token"].value
    testapp.post(f"/clients/people/{person.id}/main/{second.id}", {"csrf_token": token}, status=303)
    testapp.post(f"/clients/people/{person.id}/unlink/{first.id}", {"csrf_token": token}, status=303)
    linked = services.companies_of(clients.gate(manager), person)
    assert [(one.id, one.main) for one in linked] == [(second.id, True)]


def test_linking_to_nothing_is_refused(testapp: Any, manager: User, clients: Any, factories: Any) -> None:
    person = clients.person(manager)
    foreign = clients.company(factories.user("manager", team_id=factories.team().id))
    form = testapp.get(f"/clients/people/{person.id}/link").forms["link"]

    assert "Choose from the list." in form.submit(status=422)
    form["other"].force_value(str(foreign.id))
    assert foreign.name not in form.submit(status=422)


def test_a_picker_finds_companies_by_a_part_of_the_name(testapp: Any, manager: User, clients: Any) -> None:
    company = clients.company(manager, name="ООО «Северный ветер»")

    answer = testapp.get("/clients/companies/options", {"q": "ветер сев"})

    assert [(one["value"], one["title"]) for one in answer.json["items"]] == [(str(company.id), company.name)]


def test_a_moderator_has_none_of_this(testapp: Any, login_as: Any, clients: Any) -> None:
    person = clients.person()
    login_as("moderator")

    record = f"/clients/interactions/record/note?subject={PERSON}:{person.id}"
    for href in (f"/clients/people/{person.id}/link", record):
        testapp.get(href, status=403)


# -- blocks of cards and of the home page ------------------------------------------------------------------------------


@pytest.fixture
def as_manager(app_request: Any, manager: User, clients: Any) -> Any:
    """Return a request of the manager, for what is loaded into pages."""
    app_request.environ["crm.subject"] = clients.gate(manager).subject
    return app_request


def _render(request: Any, spec: Any, loaded: Any) -> str:
    from pyramid.renderers import render

    return render(spec.template, dict(loaded), request)


def test_the_blocks_of_a_card_take_two_statements_at_most(
    as_manager: Any, manager: User, clients: Any, plugins: Any, query_counter: Any
) -> None:
    company = clients.company(manager)
    person = clients.person(manager, company_id=company.id, phones=_phone("+79450000050"))
    clients.company(manager, parent_id=company.id, name="Филиал в Сызрани")
    records = {"clients.person": person, "clients.company": company}
    pages = {}

    for entity, record in records.items():
        for panel in plugins.panels_for(entity):
            if not panel.id.startswith("clients."):
                continue
            with query_counter() as queries:
                loaded = panel.load(as_manager, record)
            assert queries.count <= 2, panel.id
            pages[panel.id] = _render(as_manager, panel, loaded)

    assert company.name in pages["clients.person_companies"]
    assert f'action="/clients/people/{person.id}/unlink/{company.id}"' in pages["clients.person_companies"]
    assert person.full_name in pages["clients.company_people"]
    assert "tel:+79450000050" in pages["clients.company_people"]
    assert "Филиал в Сызрани" in pages["clients.company_branches"]


def test_a_company_without_branches_has_no_such_block(as_manager: Any, manager: User, clients: Any) -> None:
    from crm_clients import panels

    assert panels.branches(as_manager, clients.company(manager)) is None


def test_the_home_page_tells_of_forgotten_clients_and_the_latest_records(
    as_manager: Any, manager: User, clients: Any, plugins: Any
) -> None:
    import datetime as dt

    from crm_core import clock

    forgotten, fresh = clients.person(manager, last_name="Забытый"), clients.person(manager, last_name="Свежий")
    clients.interaction(forgotten, manager, at=clock.now() - dt.timedelta(days=50), text="Давно говорили")
    clients.interaction(fresh, manager, text="Только что")

    first = plugins.widgets["clients.forgotten"]
    page = _render(as_manager, first, first.load(as_manager))
    assert forgotten.full_name in page
    assert fresh.full_name not in page
    second = plugins.widgets["clients.latest"]
    page = _render(as_manager, second, second.load(as_manager))
    assert page.index("Только что") < page.index("Давно говорили")
