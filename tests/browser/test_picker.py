"""Pickers of records: what is not found is made at once, without leaving the form."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

from .conftest import PHONE, WIDE

OFFERED = """
[...document.querySelectorAll('.ts-dropdown')].filter((each) => each.offsetParent).map((each) => each.innerText).join()
""".strip()


def write(visitor: Any, field: str, text: str) -> None:
    """Type into the picker of a field, until it says what there is."""
    page = visitor.page
    page.locator(f"{field} + .ts-wrapper .ts-control").click()
    page.keyboard.type(text)
    visitor.until(f"({OFFERED}).includes('«{text}»')")


def chosen(visitor: Any, field: str) -> str:
    visitor.until(f"document.querySelector('{field}').value !== ''")
    return str(visitor.page.locator(f"{field} + .ts-wrapper .item").inner_text())


@pytest.mark.parametrize("screen", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_deal_with_a_new_company_and_a_new_person_is_made_in_one_form(
    visit: Any, site: Any, screen: dict[str, int]
) -> None:
    visitor = visit("manager", screen=screen)
    visitor.go("/deals/new")
    page = visitor.page
    name = f"Поляна {screen['width']}"
    page.fill("#f-amount", "15400")

    write(visitor, "#f-company_id", name)
    problems = visitor.problems()
    page.keyboard.press("Enter")
    assert chosen(visitor, "#f-company_id") == name
    write(visitor, "#f-person_id", f"Ухов Кузьма +7 927 555-44-{screen['width'] % 100:02}")
    page.locator(".ts-dropdown .create:visible").click()
    assert chosen(visitor, "#f-person_id") == "Ухов Кузьма"
    amount = page.input_value("#f-amount")
    page.click('main button[type="submit"]')
    page.wait_for_url(re.compile(r"/deals/\d+$"))
    visitor.settle()

    assert amount == "15400"
    assert name in page.inner_text("main")
    assert not problems + visitor.problems()
    with site.database.session() as session:
        row = session.execute(
            sa.text(
                "SELECT person.phones, person.company_id = deal.company_id FROM deals_deal AS deal "
                "JOIN clients_person AS person ON person.id = deal.person_id ORDER BY deal.id DESC LIMIT 1"
            )
        ).one()
    assert row[0][0]["value"].startswith("+792755544")
    assert row[1]


def test_where_more_is_needed_the_short_form_opens_over_the_dialog_and_nothing_is_lost(visit: Any) -> None:
    visitor = visit("manager", locale="en")
    visitor.go("/deals")
    page = visitor.page
    page.evaluate("import('crm/ui').then(({ openDialog }) => openDialog('/deals/new'))")
    page.wait_for_selector("#dialog[open] #f-amount")
    page.fill("#f-amount", "777")

    page.locator("#f-company_id + .ts-wrapper .ts-control").click()
    page.keyboard.type("7707083893")
    page.wait_for_selector(".ts-dropdown .create:visible")
    assert page.inner_text(".ts-dropdown .create:visible") == "Create “7707083893”"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#q-f-name")
    inn = page.input_value("#q-f-inn")
    page.keyboard.press("Escape")
    visitor.until("!document.getElementById('q-f-name')")
    kept = page.input_value("#f-company_id-ts-control")
    page.locator(".ts-dropdown .create:visible").click()
    page.fill("#q-f-name", "Glade")
    page.locator("#q-new-record button[type=submit]").click()

    assert (inn, kept) == ("7707083893", "7707083893")
    assert chosen(visitor, "#f-company_id") == "Glade"
    assert page.input_value("#f-amount") == "777"
    assert page.locator("#dialog[open]").count() == 1


def test_a_person_brings_his_company(visit: Any, site: Any) -> None:
    with site.database.session() as session:
        person, company = session.execute(
            sa.text(
                "SELECT person.full_name, company.name FROM clients_person AS person "
                "JOIN clients_company AS company ON company.id = person.company_id "
                "WHERE person.deleted_at IS NULL AND company.deleted_at IS NULL ORDER BY person.id LIMIT 1"
            )
        ).one()
    visitor = visit("admin")
    visitor.go("/deals/new")
    page = visitor.page

    write(visitor, "#f-person_id", person)
    page.keyboard.press("Enter")

    assert chosen(visitor, "#f-person_id") == person
    assert chosen(visitor, "#f-company_id") == company


def test_a_company_is_made_in_the_place_of_a_value_and_saved_by_the_next_enter(visit: Any, site: Any) -> None:
    visitor = visit("admin")
    visitor.go(f"/clients/people/{site.id_of('clients_person')}")
    page = visitor.page

    page.click("[data-field=company_id] .crm-edit", force=True)
    visitor.until("document.activeElement.id === 'e-company_id-ts-control'")
    page.keyboard.type("Новейшая фирма")
    visitor.until(f"({OFFERED}).includes('«Новейшая фирма»')")
    page.keyboard.press("Enter")
    made = chosen_within(visitor, "Новейшая фирма")
    page.keyboard.press("Enter")
    visitor.until("!document.querySelector('[data-field=company_id] form')")

    assert made
    assert page.inner_text("[data-field=company_id]").strip() == "Новейшая фирма"


def chosen_within(visitor: Any, name: str) -> bool:
    """Wait until a field edited in its place holds what was made."""
    visitor.until(f"document.querySelector('[data-field] .ts-wrapper .item')?.innerText === '{name}'")
    return True
