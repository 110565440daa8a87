"""How lines of a deal stand in its timeline and history: told in one line, their fields folded away."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from crm_core.models import User
from crm_deals.services import lines


@pytest.fixture
def manager(factories: Any, login_as: Any) -> User:
    """Sign in a manager of a department."""
    return login_as(factories.user("manager", team_id=factories.team().id))


def events(page: Any) -> list[Any]:
    return [one for one in page.html.select(".crm-event") if one.select_one(".crm-parts")]


@pytest.mark.parametrize("where", ["timeline", "history"])
def test_lines_added_at_once_are_one_event_that_names_them(
    testapp: Any, manager: User, deals: Any, db: Any, where: str
) -> None:
    deal = deals.deal(manager)
    drafts = [lines.DraftLine(name, Decimal(1), Decimal(100)) for name in ("Блок", "Труба", "Монтаж", "Выезд")]
    lines.set_lines(deals.gate(manager), deal, drafts)
    db.commit()

    (event,) = events(testapp.get(f"/deals/{deal.id}/{where}"))

    fold = event.select_one("details.crm-parts")
    assert "added: Line of a deal (4)" in event.select_one(".crm-event-title").text
    assert fold.get("open") is None
    assert fold.select_one("summary").text.strip() == "Блок, Труба, Монтаж, …"
    assert [one.text for one in fold.select("strong")] == ["Блок", "Труба", "Монтаж", "Выезд"]
    assert "Price" in fold.select_one("ul").text
    assert event.select("article > div > ul.crm-changes") == []


def test_one_line_is_told_by_its_name(testapp: Any, manager: User, deals: Any, db: Any) -> None:
    deal = deals.deal(manager)
    gate = deals.gate(manager)
    lines.set_lines(gate, deal, [lines.DraftLine("Блок", Decimal(1), Decimal(100))])
    db.commit()

    (event,) = events(testapp.get(f"/deals/{deal.id}/timeline"))

    title = event.select_one(".crm-event-title").text
    assert "added: Line of a deal" in title
    assert "(1)" not in title
    assert event.select_one("summary").text.strip() == "Блок"
