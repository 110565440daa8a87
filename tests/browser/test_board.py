"""The board of deals, walked by mouse and by keys: drag, the menu of columns, refusal, quick adding, undo, a phone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

PHONE = {"width": 360, "height": 740}


@pytest.fixture
def board(site: Any) -> dict[str, Any]:
    """A pipeline with three deals of the manager, made through the services."""
    from crm_core.models import User
    from crm_core.records.gate import Gate
    from crm_core.security.subject import load_subject
    from crm_deals.services import create_deal
    from crm_deals.services.board import ways

    with site.database.session() as session:
        user = session.scalars(sa.select(User).where(User.email == "manager@demo.example")).one()
        subject = load_subject(session, user.id)
        assert subject is not None
        gate = Gate(session, subject, site.database.plugins)
        way = ways(gate)[0]
        stages = [stage.stage_id for stage in way.stages]
        ids = [
            create_deal(gate, name=f"Проба доски {number}", stage_id=stages[0], amount=Decimal(1000 * number)).id
            for number in (1, 2, 3)
        ]
    return {"href": f"/deals/board/{way.id}", "stages": stages, "ids": ids, "lost": way.stages[-1].stage_id}


def _column(visitor: Any, deal: int) -> int:
    found = visitor.page.evaluate(
        f"document.querySelector('[data-card=\"{deal}\"]')?.closest('[data-column]')?.dataset.column"
    )
    return int(found or 0)


def _stands(deal: int, stage: int) -> str:
    return f"document.querySelector('#column-{stage} [data-card=\"{deal}\"]:not(.is-waiting)') !== null"


def test_a_card_is_dragged_and_put_back(visit: Any, board: Any) -> None:
    visitor = visit("manager")
    visitor.go(board["href"])
    page, deal, stages = visitor.page, board["ids"][0], board["stages"]
    card = page.locator(f'[data-card="{deal}"]').bounding_box()
    there = page.locator(f'[data-cards-of="{stages[1]}"]').bounding_box()

    page.mouse.move(card["x"] + 60, card["y"] + 24)
    page.mouse.down()
    page.mouse.move(card["x"] + 110, card["y"] + 50, steps=6)
    page.mouse.move(there["x"] + 90, there["y"] + 60, steps=10)
    page.wait_for_timeout(150)
    page.mouse.up()
    visitor.until(_stands(deal, stages[1]))
    visitor.until("document.querySelector('#toasts [data-undo]') !== null")
    page.click("#toasts [data-undo]")
    visitor.until(_stands(deal, stages[0]))

    assert not visitor.problems()


def test_the_same_by_keys_alone(visit: Any, board: Any) -> None:
    visitor = visit("manager")
    visitor.go(board["href"])
    page, stages = visitor.page, board["stages"]

    page.keyboard.press("ArrowDown")
    deal = int(page.evaluate("document.activeElement.closest('[data-card]').dataset.card"))
    page.keyboard.press("ArrowDown")
    below = int(page.evaluate("document.activeElement.closest('[data-card]').dataset.card"))
    page.keyboard.press("ArrowUp")
    page.keyboard.press("m")
    page.wait_for_selector("#board-menu:popover-open")
    page.keyboard.press("3")
    visitor.until(_stands(deal, stages[2]))
    visitor.until(f"document.activeElement.closest('[data-card]')?.dataset.card === '{deal}'")
    page.keyboard.press("u")
    visitor.until(_stands(deal, stages[0]))

    assert below != deal
    assert not visitor.complaints


def test_a_refusal_asks_for_its_reason_and_goes_on(visit: Any, board: Any) -> None:
    visitor = visit("manager")
    visitor.go(board["href"])
    page, deal = visitor.page, board["ids"][1]

    page.locator(f'[data-card="{deal}"] .crm-tile-title').focus()
    page.keyboard.press("m")
    page.keyboard.press(str(len(board["stages"])))
    page.wait_for_selector("dialog[open] input[name=reason_id]")
    assert _column(visitor, deal) == board["stages"][0]
    page.locator("dialog[open] input[name=reason_id]").first.check()
    page.click("dialog[open] button.btn-primary")
    visitor.until(_stands(deal, board["lost"]))

    assert not page.query_selector("dialog[open]")
    assert not visitor.complaints


def test_a_deal_is_added_in_a_column(visit: Any, board: Any) -> None:
    visitor = visit("manager")
    visitor.go(board["href"])
    page, stage = visitor.page, board["stages"][1]

    page.click(f"#column-{stage} [data-quick-add]")
    page.wait_for_selector(f"#column-{stage} [data-quick] input[name=name]")
    page.fill(f"#column-{stage} [data-quick] input[name=name]", "Быстрая проба")
    page.fill(f"#column-{stage} [data-quick] input[name=amount]", "15400")
    page.keyboard.press("Enter")
    visitor.until(f"document.querySelector('[data-cards-of=\"{stage}\"]').innerText.includes('Быстрая проба')")

    assert not visitor.problems()


def test_what_others_move_comes_without_loading_anew(visit: Any, board: Any, site: Any) -> None:
    from crm_core.models import User
    from crm_core.records.gate import Gate
    from crm_core.security.subject import load_subject
    from crm_deals.services import move

    visitor = visit("manager")
    visitor.go(board["href"])
    deal, stage = board["ids"][2], board["stages"][3]

    with site.database.session() as session:
        boss = session.scalars(sa.select(User).where(User.email == "director@demo.example")).one()
        subject = load_subject(session, boss.id)
        assert subject is not None
        gate = Gate(session, subject, site.database.plugins)
        move(gate, gate.get("deals.deal", deal), stage)

    visitor.until(_stands(deal, stage), seconds=25)
    assert not visitor.complaints


@pytest.mark.parametrize("locale", ["ru", "en"])
def test_a_phone_shows_a_column_at_a_time(visit: Any, board: Any, locale: str) -> None:
    visitor = visit("manager", screen=PHONE, locale=locale)
    visitor.go(board["href"])
    page, stages = visitor.page, board["stages"]

    page.click(f'[data-to-column="{stages[3]}"]')
    visitor.until(f"Math.abs(document.getElementById('column-{stages[3]}').getBoundingClientRect().left) < 60")

    assert not visitor.problems()


@pytest.mark.parametrize("path", ["/deals/forecast", "/deals/targets", "{board}/as-of", "{board}"])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_pages_beside_the_board_hold_to_the_rules(visit: Any, board: Any, path: str, mode: str) -> None:
    visitor = visit("head", mode=mode)
    visitor.go(path.format(board=board["href"]))

    assert not visitor.problems()
