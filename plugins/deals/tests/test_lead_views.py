"""The inbox of leads and its settings, walked as a person does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.models import Operation, User
from crm_deals.models import Deal, Lead, LeadForm, LeadIntake, LeadRule
from crm_deals.services import leads

ANY = {"crm_ungated": "a look at the result"}


@pytest.fixture
def manager(factories: Any, login_as: Any) -> User:
    """Sign in a manager of a department."""
    return login_as(factories.user("manager", team_id=factories.team().id, name="Ольга"))


@pytest.fixture
def make(deals: Any) -> Any:
    """Makes a lead of nobody."""

    def make(**values: Any) -> Lead:
        deals.session.commit()
        gate = leads.inbox(deals.session, deals.plugins, source="test")
        values = {"name": "Анна Петрова", "phones": ["+79270001122"], "source": "site", **values}
        return leads.receive(gate, **values).lead

    return make


def get(db: Any, number: int) -> Lead:
    db.expire_all()
    return db.get(Lead, number, execution_options=ANY)


def post(testapp: Any, page: Any, href: str, values: Any = (), **more: Any) -> Any:
    token = page.html.select_one("meta[name=csrf-token]")["content"]
    return testapp.post(href, [*dict(values).items(), ("csrf_token", token)], **more)


def test_a_lead_is_taken_from_its_row_and_put_back_by_undo(testapp: Any, manager: User, make: Any, db: Any) -> None:
    lead = make()
    page = testapp.get("/deals/leads?f=state:any:new")
    assert page.html.select_one(f'form[action="/deals/leads/{lead.id}/take"] [data-row-key=a]')

    post(testapp, page, f"/deals/leads/{lead.id}/take", status=303)

    assert get(db, lead.id).state == "taken"
    operation = db.scalars(sa.select(Operation.id).order_by(Operation.id.desc()).limit(1)).one()
    post(testapp, page, f"/operations/{operation}/undo", status="*")
    lead = get(db, lead.id)
    assert (lead.state, lead.owner_id, lead.deal_id) == ("new", None, None)
    alive = sa.select(sa.func.count()).select_from(Deal).where(Deal.deleted_at.is_(None))
    assert db.scalar(alive, execution_options=ANY) == 0


def test_whoever_comes_second_is_told_who_was_faster(
    testapp: Any, manager: User, make: Any, deals: Any, factories: Any
) -> None:
    lead = make()
    page = testapp.get("/deals/leads")
    faster = factories.user("manager", name="Борис", team_id=factories.team().id)
    leads.take(deals.gate(faster), lead)
    deals.session.commit()

    answer = post(testapp, page, f"/deals/leads/{lead.id}/take", status=303).follow()

    assert "Борис" in answer
    testapp.get(f"/deals/leads/{lead.id}", status=404)


def test_the_card_shows_who_probably_asks_and_links_in_one_click(
    testapp: Any, manager: User, make: Any, deals: Any, db: Any
) -> None:
    person = deals.person(manager, last_name="Петрова", phones=[{"value": "+79270001122", "main": True}])
    lead = make()
    page = testapp.get(f"/deals/leads/{lead.id}")
    panel = testapp.get(f"/deals/leads/{lead.id}/panels/deals.lead_clients")
    assert "Петрова" in panel
    assert "+7" in testapp.get(f"/deals/leads/{lead.id}/link")

    post(testapp, page, f"/deals/leads/{lead.id}/link", {"client": f"clients.person:{person.id}"}, status=303)

    assert (get(db, lead.id).state, get(db, lead.id).person_id) == ("linked", person.id)
    assert "Анна" in testapp.get(f"/clients/people/{person.id}/panels/deals.leads_of_person")


def test_a_lead_is_rejected_with_a_reason(testapp: Any, manager: User, make: Any, db: Any) -> None:
    lead = make()
    form = testapp.get(f"/deals/leads/{lead.id}/reject").forms["lead-reject"]
    form["reason"] = "profile"

    form.submit(status=303)

    assert (get(db, lead.id).state, get(db, lead.id).reason) == ("rejected", "profile")
    told = testapp.get(f"/deals/leads/{lead.id}/timeline").html.select_one("main").get_text(" ", strip=True)
    assert "Reason of rejection" in told
    assert "Not what we do" in told
    post(testapp, testapp.get("/deals/leads"), f"/deals/leads/{lead.id}/renew", status=303)
    assert get(db, lead.id).state == "new"


def test_who_only_sees_leads_cannot_take_them(testapp: Any, login_as: Any, make: Any, db: Any) -> None:
    lead = make()
    login_as("marketer")
    page = testapp.get("/deals/leads")

    assert "/take" not in page
    post(testapp, page, f"/deals/leads/{lead.id}/take", status=403)
    assert get(db, lead.id).state == "new"


def test_the_inbox_is_drawn_with_few_statements_and_marks_late_ones(
    testapp: Any, manager: User, make: Any, clock: Any, query_counter: Any, login_as: Any
) -> None:
    clock.move_to(dt.datetime(2026, 3, 16, 8, tzinfo=dt.UTC))
    login_as(manager)
    for _number in range(5):
        make()
    clock.tick(hours=2)
    testapp.get("/deals/leads?f=state:any:new")

    with query_counter() as few:
        page = testapp.get("/deals/leads?f=state:any:new")
    for _number in range(20):
        make()
    with query_counter() as many:
        testapp.get("/deals/leads?f=state:any:new")

    assert len(page.html.select("td .crm-badge.is-danger")) == 5
    assert many.count == few.count
    assert many.count <= 14, "\n".join(many.statements)


def test_figures_are_counted_as_far_as_the_viewer_may(testapp: Any, login_as: Any, make: Any, deals: Any) -> None:
    one = deals.factories.user("manager", name="Борис")
    leads.take(deals.gate(one), make())
    login_as("director")

    assert "Борис" in testapp.get("/deals/leads/figures")
    assert "<html" not in testapp.get("/deals/leads/figures", headers={"HX-Request-Type": "partial"})
    login_as("marketer")
    testapp.get("/deals/leads/figures", status=403)


def test_the_home_page_shows_leads_that_wait(testapp: Any, manager: User, make: Any) -> None:
    make(text="Кондиционер в офис")

    assert "Кондиционер в офис" in testapp.get("/home/widgets/deals.new_leads")


def test_the_menu_leads_to_those_that_wait_and_is_lit_on_all_of_them(testapp: Any, manager: User) -> None:
    page = testapp.get("/deals/leads?f=state:any:rejected")

    link = page.html.select_one('.crm-nav a[href="/deals/leads?f=state:any:new"]')
    assert link["aria-current"] == "page"


def test_a_lead_is_written_down_by_hand(testapp: Any, manager: User, db: Any) -> None:
    form = testapp.get("/deals/leads/new").forms["new-record"]
    form["name"] = "Иван"

    form.submit(status=303)

    (lead,) = db.scalars(sa.select(Lead), execution_options=ANY)
    assert (lead.name, lead.owner_id) == ("Иван", manager.id)


# -- settings ----------------------------------------------------------------------------------------------------------


def test_an_administrator_makes_a_form_a_rule_and_a_program(
    testapp: Any, login_as: Any, factories: Any, db: Any
) -> None:
    seller = factories.user("manager", name="Борис")
    login_as("administrator")
    form = testapp.get("/settings/deals/leads/forms/new").forms["lead-form"]
    form["sites"] = "klimat.example"
    form.submit(status=303).follow()
    (made,) = db.scalars(sa.select(LeadForm))
    assert made.sites == ["https://klimat.example"]
    page = testapp.get(f"/settings/deals/leads/forms/{made.id}")
    assert f"/deals/f/{made.token}.js" in page

    page = testapp.get("/settings/deals/leads/rules/new")
    values = {
        "way": "round", "user_ids": str(seller.id), "term_minutes": "15", "active": "1", "form_id": str(made.id),
    }  # fmt: skip
    post(testapp, page, "/settings/deals/leads/rules/new", values, status=303)
    (rule,) = db.scalars(sa.select(LeadRule))
    assert (rule.user_ids, rule.term_minutes, rule.form_id) == ([seller.id], 15, made.id)

    program = testapp.get("/settings/deals/leads/programs/new").forms["lead-program"]
    program["name"] = "Сайт"
    shown = program.submit(status=200)
    secret = shown.html.select_one("code.leads-code").text
    (intake,) = db.scalars(sa.select(LeadIntake))
    assert len(secret) > 30
    assert secret not in testapp.get(f"/settings/deals/leads/programs/{intake.id}")
    home = testapp.get("/settings/deals/leads")
    assert "Борис" in home
    post(testapp, home, "/settings/deals/leads/term", {"term": "45"}, status=303)
    post(testapp, home, f"/settings/deals/leads/rules/{rule.id}", {"remove": "1"}, status=303)
    assert db.scalars(sa.select(LeadRule)).all() == []
    operation = db.scalars(sa.select(Operation.id).order_by(Operation.id.desc()).limit(1)).one()
    post(testapp, home, f"/operations/{operation}/undo", status="*")
    assert [one.user_ids for one in db.scalars(sa.select(LeadRule))] == [[seller.id]]


def test_settings_of_leads_are_for_those_who_set_deals(testapp: Any, manager: User) -> None:
    testapp.get("/settings/deals/leads", status=403)
