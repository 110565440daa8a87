"""This plugin's own pages, walked as a person does."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.models import User
from crm_deals import services
from crm_deals.models import Deal, Line
from crm_deals.services import belongings, lines

ANY = {"crm_ungated": "a look at the result"}


@pytest.fixture
def manager(factories: Any, login_as: Any) -> User:
    """Sign in a manager of a department."""
    return login_as(factories.user("manager", team_id=factories.team().id))


def get(db: Any, number: int) -> Deal:
    db.expire_all()
    return db.get(Deal, number, execution_options=ANY)


# -- making and the card -----------------------------------------------------------------------------------------------


def test_a_deal_is_made_with_client_and_amount_and_named_by_itself(
    testapp: Any, manager: User, deals: Any, db: Any
) -> None:
    company = deals.company(manager, name="Кофейня на Волжской")
    form = testapp.get(f"/deals/new?company_id={company.id}").forms["new-record"]
    form["amount"] = "15 400,50"

    answer = form.submit(status=303)

    deal = db.scalars(sa.select(Deal), execution_options=ANY).one()
    assert answer.location.endswith(f"/deals/{deal.id}")
    assert (deal.name, deal.amount) == ("Продажи: Кофейня на Волжской", Decimal("15400.5"))
    page = answer.follow()
    assert "Кофейня на Волжской" in page
    assert "Новая" in page.html.select_one("[aria-current=step]").text


def test_a_deal_without_client_and_name_is_refused(testapp: Any, manager: User) -> None:
    form = testapp.get("/deals/new").forms["new-record"]

    assert "Choose a client, or give the deal a name." in form.submit(status=422)


def test_the_card_is_drawn_with_few_statements(
    testapp: Any, manager: User, deals: Any, query_counter: Any
) -> None:
    deal = deals.deal(manager, company_id=deals.company(manager).id)
    lines.set_lines(deals.gate(manager), deal, [lines.DraftLine("Блок", Decimal(1), Decimal(100))])
    href = f"/deals/{deal.id}"
    testapp.get(href)

    with query_counter() as queries:
        page = testapp.get(href)

    assert queries.count <= 16, queries.statements
    for panel in ("lines", "parties", "dates", "observers", "stays"):
        with query_counter() as queries:
            assert "could not be loaded" not in testapp.get(f"{href}/panels/deals.{panel}")
        assert queries.count <= 8, (panel, queries.statements)
    assert "Won" in page


def test_the_list_asks_the_same_for_many_deals_as_for_one(
    testapp: Any, manager: User, deals: Any, query_counter: Any
) -> None:
    deals.deal(manager, company_id=deals.company(manager).id)
    testapp.get("/deals")
    with query_counter() as few:
        testapp.get("/deals")
    for _n in range(8):
        deals.deal(manager, company_id=deals.company(manager).id)

    with query_counter() as many:
        testapp.get("/deals")

    assert many.count <= few.count


# -- moving ------------------------------------------------------------------------------------------------------------


def move(testapp: Any, page: Any, title: str, **more: Any) -> Any:
    step = next(one for one in page.html.select(".crm-way-step form") if title in one.text)
    values = {one["name"]: one["value"] for one in step.select("input[type=hidden]")}
    return testapp.post(step["action"], {**values, **more})


def test_a_click_on_the_bar_moves_the_deal_and_can_be_taken_back(
    testapp: Any, manager: User, deals: Any, db: Any
) -> None:
    deal = deals.deal(manager)
    page = testapp.get(f"/deals/{deal.id}")

    page = move(testapp, page, "Согласование").follow()

    assert "Согласование" in page.html.select_one("[aria-current=step]").text
    undo = page.html.select_one("[data-undo]")
    token = page.html.select_one("meta[name=csrf-token]")["content"]
    testapp.post(undo["data-undo"], {"csrf_token": token})
    assert get(db, deal.id).stage_id == deals.stages()["Новая"].id


def test_whoever_comes_second_is_told_who_was_first(
    testapp: Any, manager: User, deals: Any, db: Any, factories: Any
) -> None:
    deal = deals.deal(manager)
    head = factories.user("director", name="Ольга Первая")
    page = testapp.get(f"/deals/{deal.id}")
    services.move(deals.gate(head), deal, deals.stages()["КП отправлено"].id)
    db.commit()

    page = move(testapp, page, "Согласование").follow()

    assert "Ольга Первая" in page
    assert get(db, deal.id).stage_id == deals.stages()["КП отправлено"].id
    assert [one.to_stage_id for one in deals.moves(deal)] == [
        deals.stages()["Новая"].id,
        deals.stages()["КП отправлено"].id,
    ]


def test_a_stage_asks_for_what_is_empty(testapp: Any, manager: User, deals: Any, db: Any) -> None:
    stage = deals.stages()["КП отправлено"]
    stage.required_fields = ["amount"]
    deal = deals.deal(manager)
    page = testapp.get(f"/deals/{deal.id}")
    link = next(one for one in page.html.select(".crm-way-step a") if "КП отправлено" in one.text)
    form = testapp.get(link["href"]).forms["move-deal"]
    assert "Fill this in." in form.submit(status=422)
    form["amount"] = "100"

    form.submit(status=303)

    assert (get(db, deal.id).stage_id, get(db, deal.id).amount) == (stage.id, 100)


def test_a_deal_is_refused_with_a_reason_and_opened_again(testapp: Any, manager: User, deals: Any, db: Any) -> None:
    deal = deals.deal(manager)
    form = testapp.get(f"/deals/{deal.id}/lost").forms["move-deal"]
    assert "Choose the reason." in form.submit(status=422)
    form["reason_id"] = str(deals.reason().id)

    page = form.submit(status=303).follow()

    assert get(db, deal.id).state == "lost"
    reopen = next(one for one in page.html.select("form") if one["action"].endswith("/reopen"))
    token = reopen.select_one("[name=csrf_token]")["value"]
    testapp.post(reopen["action"], {"csrf_token": token}, status=303)
    assert get(db, deal.id).state == "open"


def test_a_deal_is_won_with_one_click(testapp: Any, manager: User, deals: Any, db: Any) -> None:
    deal = deals.deal(manager)
    page = testapp.get(f"/deals/{deal.id}")
    form = next(one for one in page.html.select("form") if one["action"].endswith("/won"))
    values = {one["name"]: one["value"] for one in form.select("input[type=hidden]")}

    testapp.post(form["action"], values, status=303)

    assert get(db, deal.id).state == "won"


def test_a_copy_is_made_from_the_menu(testapp: Any, manager: User, deals: Any, db: Any) -> None:
    deal = deals.deal(manager, amount=Decimal(5))
    page = testapp.get(f"/deals/{deal.id}")
    form = next(one for one in page.html.select("form") if one["action"].endswith("/clone"))

    answer = testapp.post(form["action"], {"csrf_token": form.select_one("[name=csrf_token]")["value"]}, status=303)

    assert not answer.location.endswith(f"/{deal.id}")
    assert len(db.scalars(sa.select(Deal), execution_options=ANY).all()) == 2


def test_deals_of_others_are_not_known_of_and_what_one_only_sees_cannot_be_moved(
    testapp: Any, manager: User, deals: Any, factories: Any
) -> None:
    foreign = deals.deal(factories.user("manager", team_id=factories.team().id))
    colleagues = deals.deal(factories.user("manager", team_id=manager.team_id))

    testapp.get(f"/deals/{foreign.id}", status=404)
    testapp.get(f"/deals/{foreign.id}/lost", status=404)
    testapp.get(f"/deals/{colleagues.id}", status=200)
    testapp.get(f"/deals/{colleagues.id}/lost", status=403)
    testapp.get(f"/deals/{colleagues.id}/lines", status=403)


# -- lines -------------------------------------------------------------------------------------------------------------


def test_lines_are_written_and_counted(testapp: Any, manager: User, deals: Any, db: Any) -> None:
    deal = deals.deal(manager)
    product = deals.product(name="Кондиционер", price=Decimal(38000))
    page = testapp.get(f"/deals/{deal.id}/lines")
    token = page.html.select_one("[name=csrf_token]")["value"]
    values = {
        "csrf_token": token, "vat_mode": "included", "discount": "",
        "line-0-item": str(product.id), "line-0-quantity": "2", "line-0-price": "38 000", "line-0-unit": "pcs",
        "line-0-discount_percent": "10", "line-0-vat_code": "standard",
        "line-1-item": "Монтаж", "line-1-quantity": "1", "line-1-price": "14000,50", "line-1-unit": "visit",
        "line-1-discount_percent": "", "line-1-vat_code": "none",
    }  # fmt: skip

    counted = testapp.post(f"/deals/{deal.id}/lines/count", values).json
    assert not db.scalars(sa.select(Line)).all()
    testapp.post(f"/deals/{deal.id}/lines", values, status=303)

    rows = lines.of_deal(db, deal.id)
    assert [(row.name, row.total, row.product_id) for row in rows] == [
        ("Кондиционер", 68400, product.id),
        ("Монтаж", Decimal("14000.50"), None),
    ]
    assert get(db, deal.id).amount == Decimal("82400.50")
    assert "82,400.50" in counted["total"].replace("\u00a0", " ")
    panel = testapp.get(f"/deals/{deal.id}/panels/deals.lines")
    assert "Кондиционер" in panel
    assert "Кондиционер" in testapp.get(f"/deals/{deal.id}/lines")


def test_a_wrong_line_is_told_and_nothing_typed_is_lost(testapp: Any, manager: User, deals: Any) -> None:
    deal = deals.deal(manager)
    token = testapp.get(f"/deals/{deal.id}/lines").html.select_one("[name=csrf_token]")["value"]
    values = {"csrf_token": token, "line-0-item": "Труба", "line-0-quantity": "много", "line-0-price": "1"}

    answer = testapp.post(f"/deals/{deal.id}/lines", values, status=422)

    assert "Труба" in answer
    assert answer.forms["lines"]["line-0-quantity"].value == "много"


def test_a_discount_over_the_limit_is_asked_for_and_approved_on_the_card(
    testapp: Any, manager: User, deals: Any, db: Any, factories: Any, login_as: Any
) -> None:
    director = factories.user("director")
    deal = deals.deal(manager)
    lines.set_lines(
        deals.gate(manager), deal, [lines.DraftLine("Блок", Decimal(1), Decimal(100), Decimal(20))]
    )
    page = testapp.get(f"/deals/{deal.id}")
    assert "over the limit" in page
    token = page.html.select_one("meta[name=csrf-token]")["content"]
    won = testapp.post(f"/deals/{deal.id}/won", {"csrf_token": token}).follow()
    assert "has not been approved" in won
    assert get(db, deal.id).state == "open"
    testapp.post(f"/deals/{deal.id}/discount/ask", {"csrf_token": token}, status=303)
    testapp.post(f"/deals/{deal.id}/discount/approve", {"csrf_token": token}, status=403)

    login_as(director)
    token = testapp.get(f"/deals/{deal.id}").html.select_one("meta[name=csrf-token]")["content"]
    testapp.post(f"/deals/{deal.id}/discount/approve", {"csrf_token": token}, status=303)

    assert get(db, deal.id).discount_approved == 20


# -- what belongs to a deal --------------------------------------------------------------------------------------------


def test_parties_observers_and_dates_are_added_from_the_card(
    testapp: Any, manager: User, deals: Any, db: Any, factories: Any
) -> None:
    deal, person = deals.deal(manager), deals.person(manager)
    watcher = factories.user("manager", name="Наблюдатель Н.", team_id=factories.team().id)
    db.commit()
    form = testapp.get(f"/deals/{deal.id}/parties/new").forms["party"]
    form["person"].force_value(str(person.id))
    form["role"] = "Решает"
    form.submit(status=303)
    form = testapp.get(f"/deals/{deal.id}/observers/new").forms["observer"]
    form["user_id"].force_value(str(watcher.id))
    form.submit(status=303)
    form = testapp.get(f"/deals/{deal.id}/dates/new").forms["date"]
    form["kind_id"] = str(belongings.date_kinds(db)[0].id)
    form["day"] = "2099-12-01"
    form.submit(status=303)

    assert "Решает" in testapp.get(f"/deals/{deal.id}/panels/deals.parties")
    assert "Наблюдатель Н." in testapp.get(f"/deals/{deal.id}/panels/deals.observers")
    panel = testapp.get(f"/deals/{deal.id}/panels/deals.dates")
    assert "Contract" in panel
    assert str(get(db, deal.id).next_date) == "2099-12-01"
    done = next(one for one in panel.html.select("form") if one["action"].endswith("/done"))
    testapp.post(done["action"], {"csrf_token": done.select_one("[name=csrf_token]")["value"]}, status=303)
    assert get(db, deal.id).next_date is None


def test_deals_stand_on_the_cards_of_clients_and_products(testapp: Any, manager: User, deals: Any) -> None:
    company, product = deals.company(manager), deals.product()
    deal = deals.deal(manager, name="Кондиционеры в зал", company_id=company.id)
    lines.set_lines(deals.gate(manager), deal, [lines.product_line(deals.gate(manager), product.id)])

    assert "Кондиционеры в зал" in testapp.get(f"/clients/companies/{company.id}/panels/deals.of_company")
    assert "Кондиционеры в зал" in testapp.get(f"/deals/products/{product.id}/panels/deals.of_product")


# -- short rows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "sees"), [("marketer", True), ("specialist", False)])
def test_short_rows_tell_no_amounts(
    testapp: Any, deals: Any, login_as: Any, factories: Any, role: str, sees: bool
) -> None:
    seller = factories.user("manager")
    company = deals.company(seller)
    opened = deals.deal(seller, name="В работе", company_id=company.id, amount=Decimal(777_123))
    won = deals.deal(seller, name="Проданное", company_id=company.id)
    lines.set_lines(deals.gate(seller), won, [lines.DraftLine("Чиллер", Decimal(1), Decimal(777_123))])
    services.win(deals.gate(seller), won)
    login_as(role)

    page = testapp.get("/deals/short")
    panel = testapp.get(f"/clients/companies/{company.id}/panels/deals.short_of_company")

    for shown in (page, panel):
        assert "777" not in shown.html.select_one("main, ul, body").text.replace("\u00a0", "").replace(" ", "")
        assert "Чиллер" in shown
        assert ("В работе" in shown) is sees
    for href in (f"/deals/{opened.id}", f"/deals/{won.id}", "/deals", f"/deals/{won.id}/lines", "/deals/count"):
        assert testapp.get(href, status="*").status_int in (403, 404), href
    testapp.get("/deals/short?sort=amount")
    assert "Проданное" in testapp.get("/deals/short?f=amount:between:1,2")


# -- settings ----------------------------------------------------------------------------------------------------------


def test_a_pipeline_is_made_from_a_template_and_its_stages_are_ordered(
    testapp: Any, login_as: Any, deals: Any, db: Any
) -> None:
    login_as("specialist")
    form = testapp.get("/settings/deals/pipelines").forms["new-pipeline"]
    form["name"] = "Монтаж"
    form["template"] = "project"
    page = form.submit(status=303).follow()
    form = page.forms["pipeline"]
    keys = [one.value for one in form.fields["order"]]
    order = [keys[1], keys[0], *keys[2:]]
    token = form["csrf_token"].value
    values = [("csrf_token", token), ("name", "Монтаж под ключ"), ("active", "1")]
    for key in order:
        values.append(("order", key))
        for name in ("name", "probability", "color", "kind", "rot_days"):
            values.append((f"stage-{key}-{name}", form[f"stage-{key}-{name}"].value))
    values += [("order", "new7"), ("stage-new7-name", "Сдача"), ("stage-new7-probability", "97")]
    values += [("stage-new7-kind", "open"), ("stage-new7-color", "pink")]

    testapp.post(form.action, values, status=303)

    found = deals.stages(int(form.action.rpartition("/")[2]))
    assert [str(stage.id) for stage in found.values()][:2] == order[:2]
    assert list(found)[-1] == "Сдача"
    assert found["Сдача"].title == "Сдача · Монтаж под ключ"


def test_a_stage_with_deals_does_not_vanish_its_deals_go_where_is_said(
    testapp: Any, login_as: Any, deals: Any, db: Any
) -> None:
    deal = deals.deal()
    stages = deals.stages()
    first, second = stages["Новая"], stages["Потребность выявлена"]
    login_as("director")
    form = testapp.get(f"/settings/deals/stages/{first.id}/delete").forms["delete-stage"]
    form.submit(status=422)
    form["move_to"] = str(second.id)

    form.submit(status=303)

    assert get(db, deal.id).stage_id == second.id
    assert "Новая" not in deals.stages()
    assert deals.moves(deal)[-1].to_stage_id == second.id
    assert "Новая" in [stay.title for stay in services.deals.stays(deals.gate(), deal)]


def test_rules_of_a_stage_are_saved(testapp: Any, login_as: Any, deals: Any, db: Any) -> None:
    stages = deals.stages()
    stage = stages["КП отправлено"]
    login_as("administrator")
    page = testapp.get(f"/settings/deals/stages/{stage.id}")
    token = page.forms["rules"]["csrf_token"].value
    testapp.post(
        f"/settings/deals/stages/{stage.id}",
        [
            ("csrf_token", token), ("required_fields", "amount"), ("required_fields", "nonsense"),
            ("allowed_to", str(stages["Согласование"].id)), ("mover_roles", "head"),
        ],
        status=303,
    )  # fmt: skip

    db.expire_all()
    assert (stage.required_fields, stage.mover_roles) == (["amount"], ["head"])
    assert stage.allowed_to == [stages["Согласование"].id]


def test_lists_of_the_settings_are_edited(testapp: Any, login_as: Any, deals: Any, db: Any) -> None:
    login_as("administrator")
    for page in ("reasons", "dates"):
        form = testapp.get(f"/settings/deals/{page}").forms["rows"]
        name = "name" if page == "reasons" else "title"
        form[f"row-new0000-{name}"] = "Новое в списке"
        assert "Новое в списке" in form.submit(status=303).follow()
    form = testapp.get("/settings/deals/vat").forms["vat"]
    form["since"] = "2030-01-01"
    form["rate"] = "25"
    assert "25" in form.submit(status=303).follow()
    form = testapp.get("/settings/deals/rates").forms["rate"]
    form["currency"] = "EUR"
    form["since"] = "2026-01-01"
    form["rate"] = "98,5"
    assert "98.5" in form.submit(status=303).follow()
    form = testapp.get("/settings/deals/discounts").forms["discounts"]
    form["limit"] = "12,5"
    assert form.submit(status=303).follow().forms["discounts"]["limit"].value == "12.5"


@pytest.mark.parametrize("role", ["manager", "head", "marketer", "moderator", "user"])
def test_settings_are_for_those_who_may(testapp: Any, login_as: Any, role: str) -> None:
    login_as(role)

    for page in ("/pipelines", "/reasons", "/dates", "/vat", "/rates", "/discounts"):
        assert testapp.get(f"/settings/deals{page}", status="*").status_int in (403, 404)


def test_the_catalogue_is_kept_by_those_who_may_and_costs_are_hidden(
    testapp: Any, login_as: Any, deals: Any
) -> None:
    product = deals.product(cost=Decimal(12_345))
    login_as("manager")
    testapp.get("/deals/products/new", status=403)
    assert "12,345" not in testapp.get(f"/deals/products/{product.id}")

    login_as("director")
    assert "12,345" in testapp.get(f"/deals/products/{product.id}")
    testapp.get("/deals/products/new", status=200)


def test_names_of_stages_lead_to_their_deals(testapp: Any, manager: User, deals: Any) -> None:
    stage = deals.stages()["Новая"]

    assert testapp.get(f"/deals/stages/{stage.id}", status=303).location.endswith(f"/deals?f=stage_id:any:{stage.id}")
    assert json.dumps(testapp.get("/deals/stages/options?q=").json)
