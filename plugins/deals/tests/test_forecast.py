"""The forecast and targets: sums by month and by whom, under the gate; who sets targets; copying; the home page."""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from crm_core.records import saving
from crm_core.records.listing import ListQuery
from crm_deals.services import move, targets
from crm_deals.services.forecast import GROUP, KINDS, MONTH, PERSON, TEAM, beyond, forecast, months
from crm_deals.services.lines import set_lines

ZONE = ZoneInfo("Europe/Samara")
FIRST = dt.date(2026, 11, 1)


@pytest.fixture(autouse=True)
def _november(clock: Any) -> None:
    clock.move_to(dt.datetime(2026, 11, 10, 9, tzinfo=dt.UTC))


def _deal(deals: Any, owner: Any, amount: int, day: dt.date | None, probability: int = 50, **more: Any) -> Any:
    return deals.deal(owner, amount=Decimal(amount), expected_close=day, probability=probability, **more)


def test_open_deals_stand_in_their_month_by_probability(deals: Any, seller: Any) -> None:
    _deal(deals, seller, 1000, dt.date(2026, 11, 20), 50)
    _deal(deals, seller, 400, dt.date(2026, 12, 31), 25)
    _deal(deals, seller, 70, dt.date(2026, 10, 5))
    _deal(deals, seller, 9, None)

    found = forecast(deals.gate(seller), ListQuery(), MONTH, FIRST, 3, ZONE)

    november, december, january = (found.rows[month] for month in months(FIRST, 3))
    assert (november.open, november.weighted) == (Decimal(1000), Decimal(500))
    assert (december.open, december.weighted) == (Decimal(400), Decimal(100))
    assert january.open_count == 0
    assert (found.overdue.open, found.undated.open) == (Decimal(70), Decimal(9))


def test_what_is_won_counts_in_the_month_it_was_closed(deals: Any, seller: Any) -> None:
    deal = _deal(deals, seller, 300, dt.date(2027, 1, 10))
    gate = deals.gate(seller)
    won = next(stage for stage in deals.stages().values() if stage.kind == "won")
    move(gate, gate.get("deals.deal", deal.id), won.id)

    found = forecast(deals.gate(seller), ListQuery(), MONTH, FIRST, 3, ZONE)

    assert found.rows[FIRST].won == Decimal(300)
    assert found.total().open == 0
    assert found.total().best == Decimal(300)


def test_every_way_to_tell_sums_apart_has_the_same_total(deals: Any, seller: Any, boss: Any) -> None:
    line = sys.modules["crm_deals_factories"].line

    with_lines = _deal(deals, seller, 0, dt.date(2026, 11, 20))
    gate = deals.gate(seller)
    group = saving.create(deals.gate(), deals.plugins.entity("deals.group"), {"name": "Кондиционеры"})
    product = deals.product(group_id=group.id)
    set_lines(gate, gate.get("deals.deal", with_lines.id), [line(1000, product_id=product.id), line(500)])
    _deal(deals, boss, 77, dt.date(2026, 12, 1))

    totals = {kind: forecast(deals.gate(boss), ListQuery(), kind, FIRST, 3, ZONE) for kind in KINDS}

    assert len({found.total().open for found in totals.values()}) == 1
    assert totals[GROUP].rows[group.id].open == Decimal(1000)
    assert set(totals[PERSON].rows) == {seller.id, boss.id}


def test_scope_own_holds_and_the_rest_is_told_only_as_a_figure(deals: Any, seller: Any, factories: Any) -> None:
    role = factories.role(("deals:view", "own"), ("pipelines:view", "all"))
    figures = factories.role(("deals:view", "own"), ("deals:figures", "all"), ("pipelines:view", "all"))
    poor, rich = factories.user(role.name), factories.user(figures.name)
    _deal(deals, seller, 1000, dt.date(2026, 11, 20))
    _deal(deals, rich, 5, dt.date(2026, 11, 21))

    assert forecast(deals.gate(poor), ListQuery(), MONTH, FIRST, 3, ZONE).total().open_count == 0
    assert beyond(deals.gate(poor), ListQuery(), FIRST, 3, ZONE) is None
    assert forecast(deals.gate(rich), ListQuery(), MONTH, FIRST, 3, ZONE).total().open == Decimal(5)
    rest = beyond(deals.gate(rich), ListQuery(), FIRST, 3, ZONE)
    assert rest is not None
    assert (rest.open_count, rest.open) == (1, Decimal(1000))


def test_targets_are_set_by_those_who_may(deals: Any, seller: Any, boss: Any, factories: Any) -> None:
    stranger = factories.user("manager", team_id=factories.team().id)
    key = (seller.id, FIRST)

    assert targets.write(deals.gate(boss), PERSON, {key: Decimal(500)}) == 1
    with pytest.raises(saving.NotAllowed):
        targets.write(deals.gate(seller), PERSON, {key: Decimal(1)})
    with pytest.raises(saving.NotAllowed):
        targets.write(deals.gate(boss), PERSON, {(stranger.id, FIRST): Decimal(1)})
    assert targets.own(deals.gate(seller), [FIRST]) == {FIRST: Decimal(500)}
    assert [aim.id for aim in targets.aims(deals.gate(seller), PERSON)] == [seller.id]
    assert {aim.id for aim in targets.aims(deals.gate(boss), PERSON)} == {seller.id, boss.id}


def test_a_department_without_a_target_is_the_sum_of_its_people(
    deals: Any, seller: Any, boss: Any, factories: Any
) -> None:
    director = factories.user("director")
    gate = deals.gate(director)
    targets.write(gate, PERSON, {(seller.id, FIRST): Decimal(500), (boss.id, FIRST): Decimal(200)})

    assert targets.whole(deals.gate(boss), [FIRST]) == {FIRST: Decimal(700)}
    targets.write(deals.gate(director), TEAM, {(seller.team_id, FIRST): Decimal(1000)})
    assert targets.whole(deals.gate(director), [FIRST]) == {FIRST: Decimal(1000)}


def test_targets_are_copied_from_the_month_and_the_quarter_before(deals: Any, seller: Any, boss: Any) -> None:
    october, july = dt.date(2026, 10, 1), dt.date(2026, 7, 1)
    targets.write(deals.gate(boss), PERSON, {(seller.id, october): Decimal(90), (seller.id, july): Decimal(70)})

    assert targets.copy(deals.gate(boss), PERSON, [FIRST], 1) == 1
    assert targets.copy(deals.gate(boss), PERSON, months(october, 3), 3) == 1
    known = targets.read(deals.gate(boss), PERSON, [seller.id], [october, FIRST])
    assert known == {(seller.id, october): Decimal(70), (seller.id, FIRST): Decimal(90)}


def test_the_grid_is_kept_copied_and_taken_back(
    deals: Any, seller: Any, boss: Any, login_as: Any, testapp: Any
) -> None:
    login_as(boss)
    page = testapp.get("/deals/targets?year=2026")
    form = page.forms[-1] if isinstance(page.forms, list) else next(
        one for one in page.forms.values() if f"t-{seller.id}-2026-10" in one.fields
    )
    form[f"t-{seller.id}-2026-10"] = "1 500 000"
    form.submit(status=303)
    kept = testapp.get("/deals/targets?year=2026")
    assert targets.read(deals.gate(boss), PERSON, [seller.id], [dt.date(2026, 10, 1)])
    copy = next(one for one in kept.forms.values() if one.action.endswith("/copy"))
    copied = copy.submit("what", value="month-2026-11", status=303).follow()
    assert targets.read(deals.gate(boss), PERSON, [seller.id], [FIRST]) == {(seller.id, FIRST): Decimal(1500000)}

    undo = next(one for one in copied.forms.values() if one.action.endswith("/undo"))
    undo.submit(status=303)

    assert targets.read(deals.gate(boss), PERSON, [seller.id], [FIRST]) == {}


def test_pages_serve_and_a_manager_begins_with_his_own(
    deals: Any, seller: Any, boss: Any, login_as: Any, testapp: Any
) -> None:
    _deal(deals, seller, 1000, dt.date(2026, 11, 20))
    targets.write(deals.gate(boss), PERSON, {(seller.id, FIRST): Decimal(5000)})
    deals.session.commit()
    login_as(seller)

    page = testapp.get("/deals/forecast", status=303).follow()

    assert "owner_id" in page.request.query_string
    assert "5,000" in page.text
    for kind in KINDS:
        testapp.get(f"/deals/forecast/{kind}/2026-11")
    testapp.get(f"/deals/board/{deals.pipeline().id}/as-of?day=2026-11-09")
    for block in ("deals.my_pipeline", "deals.month"):
        testapp.get(f"/home/widgets/{block}")
    login_as(boss)
    testapp.get("/home/widgets/deals.team")
    drill = testapp.get("/deals/forecast/month/2026-11").html.select_one('td a[href^="/deals?f=state"]')["href"]
    assert "1,000" in testapp.get(drill).text
