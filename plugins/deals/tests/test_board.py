"""The board: what stands in its columns and for whom, what it is worth, moves, quick deals, another day."""

from __future__ import annotations

import datetime as dt
import threading
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core import clock as clocks
from crm_core.records import saving
from crm_core.records.gate import Gate
from crm_core.records.listing import Condition, ListQuery
from crm_core.security.subject import Subject, load_subject
from crm_core.testing.factories import Factories
from crm_deals.models import Deal, StageChange
from crm_deals.services import create_deal, move
from crm_deals.services.board import PAGE, Board, idle_days, is_rotting, ways


def _board(deals: Any, who: Any = None, query: ListQuery | None = None) -> tuple[Board, list[int]]:
    gate = deals.gate(who)
    way = next(one for one in ways(gate) if one.id == deals.pipeline().id)
    return Board(gate, query or ListQuery()), [stage.stage_id for stage in way.stages]


def _seen(found: Any) -> set[int]:
    return {row.id for cards in found.values() for row in cards.rows}


@pytest.fixture
def three(deals: Any, seller: Any, factories: Any) -> dict[str, Any]:
    """A deal of the seller, one of a colleague of his department, one of another department."""
    colleague = factories.user("manager", team_id=seller.team_id)
    stranger = factories.user("manager", team_id=factories.team().id)
    return {
        "own": deals.deal(seller, amount=Decimal(100)),
        "team": deals.deal(colleague, amount=Decimal(20)),
        "far": deals.deal(stranger, amount=Decimal(3)),
    }


def test_a_manager_sees_his_department_and_the_sums_hold(deals: Any, seller: Any, three: Any) -> None:
    board, stages = _board(deals, seller)

    seen, totals = _seen(board.cards(stages)), board.totals(stages)

    assert seen == {three["own"].id, three["team"].id}
    assert sum(total.count for total in totals.values()) == 2
    assert sum(total.amount for total in totals.values()) == Decimal(120)


def test_scope_own_holds_on_cards_sums_and_pages(
    deals: Any, factories: Any, three: Any, login_as: Any, testapp: Any
) -> None:
    role = factories.role(("deals:view", "own"), ("pipelines:view", "all"), ("deals:edit", "own"))
    who = factories.user(role.name)
    mine = deals.deal(who, name="Только моя", amount=Decimal(7))
    board, stages = _board(deals, who)

    assert _seen(board.cards(stages)) == {mine.id}
    assert sum(total.amount for total in board.totals(stages).values()) == Decimal(7)

    login_as(who)
    page = testapp.get(f"/deals/board/{deals.pipeline().id}")
    assert "Только моя" in page.text
    assert three["own"].name not in page.text
    others = testapp.get(f"/deals/board/{deals.pipeline().id}/cards?id={three['far'].id}&id={mine.id}")
    assert f'data-card="{mine.id}"' in others.text
    assert f'data-card="{three["far"].id}"' not in others.text


def test_sums_equal_sql_in_every_scope(deals: Any, seller: Any, boss: Any, factories: Any, three: Any) -> None:
    from crm_deals.models import Member

    deals.session.add(Member(deal_id=three["far"].id, user_id=boss.id))
    saving.share(deals.gate(), deals.plugins.entity("deals.deal"), three["far"], "user", boss.id)
    deals.session.flush()
    director = factories.user("director")
    for who in (seller, boss, director):
        board, stages = _board(deals, who)
        gate = board.gate
        plain = {
            row[0]: (row[1], row[2])
            for row in deals.session.execute(
                sa.select(Deal.stage_id, sa.func.count(), sa.func.coalesce(sa.func.sum(Deal.amount_base), 0))
                .where(gate.criterion("deals.deal"))
                .group_by(Deal.stage_id)
            )
        }

        found = {key: (total.count, total.amount) for key, total in board.totals(stages).items() if total.count}

        assert found == plain


def test_filters_and_search_are_those_of_the_list(deals: Any, seller: Any) -> None:
    small, large = deals.deal(seller, amount=Decimal(10)), deals.deal(seller, amount=Decimal(1000), name="Чиллер")
    wanted = ListQuery(conditions=(Condition("amount", "between", ("500", "")),))
    board, stages = _board(deals, seller, wanted)
    named, _stages = _board(deals, seller, ListQuery(search="чиллер"))

    assert _seen(board.cards(stages)) == {large.id}
    assert sum(total.count for total in board.totals(stages).values()) == 1
    assert _seen(named.cards(stages)) == {large.id}
    assert small.id not in _seen(named.cards(stages))


def test_a_long_column_is_walked_without_a_gap(deals: Any, seller: Any) -> None:
    made = {deals.deal(seller).id for _number in range(2 * PAGE + 3)}
    board, stages = _board(deals, seller)
    seen: list[int] = []
    after = None
    while True:
        found = board.cards([stages[0]], after=after)[stages[0]]
        seen += [row.id for row in found.rows]
        if not found.more:
            break
        after = (found.rows[-1].stage_since, found.rows[-1].id)

    assert len(seen) == len(set(seen))
    assert set(seen) == made


def test_the_page_asks_few_statements_however_many_cards(
    deals: Any, seller: Any, login_as: Any, testapp: Any, query_counter: Any
) -> None:
    company = deals.company(seller)
    for _number in range(3):
        deals.deal(seller, company_id=company.id)
    login_as(seller)
    url = f"/deals/board/{deals.pipeline().id}"
    testapp.get(url)
    with query_counter() as few:
        testapp.get(url)
    for _number in range(30):
        deals.deal(seller, company_id=deals.company(seller).id)
    with query_counter() as many:
        testapp.get(url)

    assert many.count < 20
    assert many.count <= few.count + 1


def test_a_card_is_moved_and_the_way_back_is_offered(deals: Any, seller: Any, login_as: Any, testapp: Any) -> None:
    deal = deals.deal(seller, name="Приточка")
    stages = list(deals.stages().values())
    login_as(seller)
    url = f"/deals/board/{deals.pipeline().id}"
    token = testapp.get(url).html.select_one('meta[name="csrf-token"]')["content"]

    answer = testapp.post(
        f"{url}/move",
        {"id": deal.id, "column": stages[1].id, "version": deal.version},
        headers={"X-CSRF-Token": token},
    ).json

    assert answer["moved"]
    assert answer["toast"]["undo_href"].endswith("/undo")
    deals.session.expire_all()
    assert deals.session.get(Deal, deal.id, execution_options={"crm_ungated": "test"}).stage_id == stages[1].id


def test_a_stage_that_asks_for_something_is_asked_about(
    deals: Any, seller: Any, login_as: Any, testapp: Any
) -> None:
    deal = deals.deal(seller)
    lost = next(stage for stage in deals.stages().values() if stage.kind == "lost")
    login_as(seller)
    url = f"/deals/board/{deals.pipeline().id}"
    token = testapp.get(url).html.select_one('meta[name="csrf-token"]')["content"]

    answer = testapp.post(
        f"{url}/move", {"id": deal.id, "column": lost.id}, headers={"X-CSRF-Token": token}
    ).json

    assert not answer["moved"]
    assert answer["ask"] == f"/deals/{deal.id}/move?stage={lost.id}"
    assert "reason_id" in testapp.get(answer["ask"]).text


def test_who_comes_second_is_told_who_was_first(
    deals: Any, seller: Any, factories: Any, login_as: Any, testapp: Any
) -> None:
    deal = deals.deal(seller)
    seen, stages = deal.version, list(deals.stages().values())
    first = factories.user("director", name="Ольга Первая")
    gate = deals.gate(first)
    move(gate, gate.get("deals.deal", deal.id), stages[2].id)
    deals.session.commit()
    login_as(seller)
    url = f"/deals/board/{deals.pipeline().id}"
    token = testapp.get(url).html.select_one('meta[name="csrf-token"]')["content"]

    answer = testapp.post(
        f"{url}/move", {"id": deal.id, "column": stages[1].id, "version": seen}, headers={"X-CSRF-Token": token}
    ).json

    assert not answer["moved"]
    assert "Ольга Первая" in answer["toast"]["text"]
    assert stages[2].name in answer["toast"]["text"]


def test_somebody_elses_deal_cannot_be_moved(deals: Any, seller: Any, three: Any, login_as: Any, testapp: Any) -> None:
    stages = list(deals.stages().values())
    login_as(seller)
    url = f"/deals/board/{deals.pipeline().id}"
    token = testapp.get(url).html.select_one('meta[name="csrf-token"]')["content"]
    form = {"column": stages[1].id}

    answer = testapp.post(f"{url}/move", {"id": three["team"].id, **form}, headers={"X-CSRF-Token": token}).json

    assert not answer["moved"]
    assert answer["toast"]["tone"] == "warning"
    testapp.post(f"{url}/move", {"id": three["far"].id, **form}, headers={"X-CSRF-Token": token}, status=404)


def test_a_quick_deal_stands_in_its_column(deals: Any, seller: Any, login_as: Any, testapp: Any) -> None:
    company = deals.company(seller, name="Кофейня на Волжской")
    stage = list(deals.stages().values())[1]
    login_as(seller)
    page = testapp.get(f"/deals/board/{deals.pipeline().id}/new/{stage.id}")
    form = page.forms[f"quick-{stage.id}"]
    form["company_id"].force_value(str(company.id))
    form["amount"] = "15 400"
    form.submit(status=303)

    deal = deals.session.scalars(deals.gate(seller).select("deals.deal").where(Deal.stage_id == stage.id)).one()

    assert (deal.company_id, deal.amount, deal.owner_id) == (company.id, Decimal(15400), seller.id)


def test_the_last_pipeline_and_view_are_remembered(deals: Any, seller: Any, login_as: Any, testapp: Any) -> None:
    deals.deal(seller)
    login_as(seller)
    url = f"/deals/board/{deals.pipeline().id}?f=owner_id%3Aany%3Ame"
    testapp.get(url)

    assert testapp.get("/deals/board", status=303).location.endswith(url)


def test_an_empty_board_says_what_to_do(deals: Any, seller: Any, login_as: Any, testapp: Any) -> None:
    login_as(seller)

    page = testapp.get(f"/deals/board/{deals.pipeline().id}")

    assert page.html.select_one(".crm-board-empty a[href^='/deals/new']")


def test_idle_days_count_from_the_last_thing_that_happened() -> None:
    class Row:
        state, stage_id = "open", 1
        stage_since = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
        last_activity_at: dt.datetime | None = None

    now = dt.datetime(2026, 11, 13, 1, tzinfo=dt.UTC)
    row = Row()

    assert idle_days(row, now) == 12
    assert is_rotting(row, {1: 7}, now)
    assert not is_rotting(row, {1: None}, now)
    row.last_activity_at = now - dt.timedelta(days=2)
    assert idle_days(row, now) == 2
    assert not is_rotting(row, {1: 7}, now)


def test_a_board_of_another_day_tells_what_moved(deals: Any, seller: Any, clock: Any) -> None:
    from crm_deals.services import asof

    clock.move_to(dt.datetime(2026, 11, 1, 9, tzinfo=dt.UTC))
    old, won = deals.deal(seller, amount=Decimal(100)), deals.deal(seller, amount=Decimal(50))
    stages = list(deals.stages().values())
    evening = clocks.now() + dt.timedelta(hours=12)
    clock.move_to(dt.datetime(2026, 11, 10, 9, tzinfo=dt.UTC))
    gate = deals.gate(seller)
    move(gate, gate.get("deals.deal", old.id), stages[1].id)
    move(gate, gate.get("deals.deal", won.id), next(one.id for one in stages if one.kind == "won"))
    fresh = deals.deal(seller, amount=Decimal(7))

    gate = deals.gate(seller)
    stood = asof.stood(gate, deals.pipeline().id, [stage.id for stage in stages], evening)
    rows, further = asof.page(gate, deals.pipeline().id, evening)

    first, second = stood.stages[stages[0].id], stood.stages[stages[1].id]
    assert (first.then.count, first.then.amount, first.left.count, first.now.count) == (2, Decimal(150), 2, 1)
    assert (second.then.count, second.came.count, second.now.amount) == (0, 1, Decimal(100))
    assert (stood.won.count, stood.fresh.count, stood.lost.count) == (1, 1, 0)
    assert {row.id for row in rows} == {old.id, won.id}
    assert fresh.id not in {row.id for row in rows}
    assert further == 0


def test_two_who_move_a_deal_at_once_do_not_undo_one_another(committed_db: Any) -> None:
    with committed_db.session() as session:
        plugins = committed_db.plugins
        makers = Factories(session)
        people = [makers.user("director", name=name) for name in ("Первая", "Вторая")]
        numbers = [user.id for user in people]
        gate = Gate(session, Subject.system("tests"), plugins)
        deal_id = create_deal(gate, name="Спорная").id
        way = ways(gate)[0]
        stages = [stage.stage_id for stage in way.stages]
        session.commit()
    ready = threading.Barrier(2)
    told: dict[int, str] = {}

    def work(place: int) -> None:
        with committed_db.session() as session:
            subject = load_subject(session, numbers[place])
            assert subject is not None
            gate = Gate(session, subject, plugins)
            deal = gate.get("deals.deal", deal_id)
            seen = deal.version
            ready.wait(10)
            try:
                move(gate, deal, stages[1 + place], version=seen)
                session.commit()
                told[place] = "moved"
            except saving.Conflict as conflict:
                told[place] = f"late after {conflict.by}"
                session.rollback()

    threads = [threading.Thread(target=work, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    winner = next(place for place, word in told.items() if word == "moved")
    assert told == {winner: "moved", 1 - winner: f"late after {numbers[winner]}"}
    with committed_db.session() as session:
        history = session.execute(
            sa.select(StageChange.to_stage_id, StageChange.user_id)
            .where(StageChange.deal_id == deal_id)
            .order_by(StageChange.id)
        ).all()
    assert [row.to_stage_id for row in history] == [stages[0], stages[1 + winner]]
    assert history[-1].user_id == numbers[winner]


def test_a_view_saved_on_the_board_leads_back_to_it(deals: Any, seller: Any, login_as: Any, testapp: Any) -> None:
    deals.deal(seller)
    login_as(seller)
    url = f"/deals/board/{deals.pipeline().id}"
    page = testapp.get(f"{url}?f=owner_id%3Aany%3Ame")
    form = testapp.get(page.html.select_one('a[href^="/deals/views/new"]')["href"]).forms["saved-view"]
    form["name"] = "Мои на доске"

    landed = form.submit(status=303).location

    assert f"{url}?view=" in landed
    assert "Мои на доске" in testapp.get(landed).text
