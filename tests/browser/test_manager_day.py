"""A manager's day, walked as he walks it: the first deal from the door on, and then everything a day is made of."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from crm_core import clock as clocks
from crm_core.demo.company import PASSWORD
from crm_core.models import User
from crm_core.records.gate import Gate
from crm_core.security.subject import load_subject

from .conftest import WIDE

PHONE = {"width": 390, "height": 844}
MOST_CLICKS = 12

WORDS = {
    "ru": {
        "sign_in": "Войти", "deals": "Сделки", "add": "Создать сделку", "company": "Компания", "amount": "Сумма",
        "next": "Что дальше?", "tomorrow": "завтра", "board": "Доска",
    },
    "en": {"next": "What next?", "tomorrow": "tomorrow", "board": "Board"},
}  # fmt: skip


def manager_gate(site: Any, session: Any) -> Gate:
    user = session.scalars(sa.select(User).where(User.email == "manager@demo.example")).one()
    subject = load_subject(session, user.id)
    assert subject is not None
    return Gate(session, subject, site.database.plugins)


def tomorrow() -> dt.date:
    return dt.datetime.now(ZoneInfo("Europe/Samara")).date() + dt.timedelta(days=1)


def one(site: Any, statement: str, **values: Any) -> Any:
    """Ask the database for one row or none."""
    with site.database.session() as session:
        return session.execute(sa.text(statement), values).one_or_none()


# -- the first deal ----------------------------------------------------------------------------------------------------


@dataclass
class Hand:
    """The only way by which this test clicks; typing is free, and so are the keys that typing ends with."""

    visitor: Any
    clicks: int = 0

    def click(self, where: Any) -> None:
        """Click once, and count."""
        self.clicks += 1
        where.click()

    def type(self, text: str) -> None:
        """Type where the caret is."""
        self.visitor.page.keyboard.type(text)


def test_the_first_deal_takes_no_more_than_twelve_clicks_from_the_door(visit: Any, site: Any) -> None:
    visitor, words = visit(None), WORDS["ru"]
    page, hand = visitor.page, Hand(visitor)
    visitor.go("/sign-in")

    # Whoever comes for the first time points at every field, also at those where the caret is already.
    hand.click(page.locator("main input[name=email]"))
    hand.type("manager@demo.example")
    hand.click(page.locator("main input[name=password]"))
    hand.type(PASSWORD)
    hand.click(page.locator("main form").get_by_role("button", name=words["sign_in"], exact=True))
    page.wait_for_selector(".crm-side")
    hand.click(page.locator(".crm-side").get_by_role("link", name=words["deals"], exact=True))
    page.wait_for_url("**/deals*")
    hand.click(page.locator(".crm-head-actions").get_by_role("link", name=words["add"]))
    page.wait_for_selector("#dialog[open] #f-company_id + .ts-wrapper")
    hand.click(page.locator("#f-company_id + .ts-wrapper .ts-control"))
    hand.type("Пекарня «Первая»")
    page.wait_for_selector(".ts-dropdown .create:visible")
    hand.click(page.locator(".ts-dropdown .create:visible"))
    visitor.until("document.querySelector('#f-company_id').value !== ''")
    hand.click(page.locator("#f-amount"))
    hand.type("240000")
    hand.click(page.locator("#dialog").get_by_role("button", name=words["add"]))
    page.wait_for_url(re.compile(r"/deals/\d+"))
    deal = int(page.url.partition("/deals/")[2].partition("?")[0])
    page.wait_for_selector("#panel-tasks-of")
    hand.click(page.locator(".crm-panel-place:has(#panel-tasks-of) .crm-panel-add"))
    page.wait_for_selector("#dialog[open] [name=title]")
    hand.type("Позвонить и договориться о замере")
    hand.click(page.locator("#dialog[open] form button[type=submit]"))
    visitor.until("document.getElementById('panel-tasks-of')?.innerText.includes('Позвонить и договориться')")
    visitor.settle()

    assert hand.clicks <= MOST_CLICKS
    made = one(
        site,
        "SELECT company.name, deal.amount, task.title, task.due_day FROM deals_deal AS deal "
        "JOIN clients_company AS company ON company.id = deal.company_id "
        "JOIN tasks_task AS task ON task.subject_entity = 'deals.deal' AND task.subject_id = deal.id "
        "WHERE deal.id = :deal",
        deal=deal,
    )
    assert tuple(made) == ("Пекарня «Первая»", 240000, "Позвонить и договориться о замере", tomorrow())
    assert not visitor.problems()


# -- the day -----------------------------------------------------------------------------------------------------------


@dataclass
class Day:
    """What waits for the manager in the morning."""

    board: str
    stages: list[int]
    deals: list[int]
    names: list[str]
    lead: int


@pytest.fixture
def day(site: Any, request: pytest.FixtureRequest) -> Day:
    """A lead that waits and two deals in the first column of the second pipeline."""
    from crm_deals.services import create_deal, leads
    from crm_deals.services.board import ways

    mark = f"{request.node.callspec.id}".replace("-", " ")
    with site.database.session() as session:
        gate = manager_gate(site, session)
        way = ways(gate)[-1]
        stages = [stage.stage_id for stage in way.stages]
        names = [f"День {mark} {number}" for number in (1, 2)]
        deals = [create_deal(gate, name=name, stage_id=stages[0], amount=1000).id for name in names]
        lead = leads.receive(
            gate, key=f"day:{mark}", owner_id=gate.subject.user_id, name=f"Утренняя Заявка {mark}", source="site",
            phones=[f"+7 927 888-{len(mark):02}-{ord(mark[0]) % 100:02}"],
        ).lead  # fmt: skip
        return Day(f"/deals/board/{way.id}", stages, deals, names, lead.id)


def stands(deal: int, stage: int) -> str:
    return f"document.querySelector('#column-{stage} [data-card=\"{deal}\"]:not(.is-waiting)') !== null"


def clear(visitor: Any) -> None:
    visitor.page.evaluate("document.querySelectorAll('#toasts > *').forEach((each) => each.remove())")


def drag(visitor: Any, deal: int, stage: int) -> None:
    page = visitor.page
    card = page.locator(f'[data-card="{deal}"]').bounding_box()
    there = page.locator(f'[data-cards-of="{stage}"]').bounding_box()
    page.mouse.move(card["x"] + 60, card["y"] + 24)
    page.mouse.down()
    page.mouse.move(card["x"] + 110, card["y"] + 50, steps=6)
    page.mouse.move(there["x"] + 90, there["y"] + 60, steps=10)
    page.wait_for_timeout(150)
    page.mouse.up()


def choose(visitor: Any, deal: int, number: int, *, wide: bool) -> None:
    """Move a card by its menu: by keys, or by a finger."""
    page = visitor.page
    if wide:
        page.locator(f'[data-card="{deal}"] .crm-tile-title').focus()
        page.keyboard.press("m")
        page.wait_for_selector("#board-menu:popover-open")
        page.keyboard.press(str(number))
    else:
        page.locator(f'[data-card="{deal}"] [data-move-card]').click()
        page.wait_for_selector("#board-menu:popover-open")
        page.locator("#board-menu [role=menuitem]").nth(number - 1).click()


@pytest.mark.parametrize(("locale", "screen"), [("ru", WIDE), ("en", PHONE)], ids=["ru-wide", "en-phone"])
def test_the_day_of_a_manager(visit: Any, site: Any, day: Day, locale: str, screen: dict[str, int]) -> None:
    visitor, words, wide = visit("manager", locale=locale, screen=screen), WORDS[locale], screen is WIDE
    page = visitor.page
    page.set_default_timeout(10_000)

    _board_is_remembered(visitor, day, words)
    _lead_becomes_a_deal(visitor, site, day)
    _card_is_added_in_a_column(visitor, site, day)
    _card_is_moved_and_put_back(visitor, site, day, wide=wide)
    _refusal_asks_for_its_reason(visitor, site, day, wide=wide)
    _deal_gets_its_next_task_and_loses_the_dot(visitor, site, day)
    _task_is_found_in_the_schedule_done_and_followed(visitor, site, day, words)
    _reminder_comes_to_the_bell(visitor, site, day)

    visitor.go(f"/search?q={day.names[0].replace(' ', '+')}")
    assert page.locator(f'main a[href^="/deals/{day.deals[0]}"]').count() > 0
    visitor.go("/imports/new?entity=deals.deal")
    assert page.locator('main input[type="file"]').count() == 1
    assert not visitor.problems()


def _board_is_remembered(visitor: Any, day: Day, words: dict[str, str]) -> None:
    page = visitor.page
    visitor.go(day.board)
    visitor.go("/deals")
    page.locator(".crm-looks").get_by_role("link", name=words["board"]).click()
    page.wait_for_url(f"**{day.board}*")
    visitor.settle()
    assert not visitor.problems()


def _lead_becomes_a_deal(visitor: Any, site: Any, day: Day) -> None:
    page = visitor.page
    visitor.go(f"/deals/leads/{day.lead}")
    assert not visitor.problems()
    page.locator(f'main form[action="/deals/leads/{day.lead}/take"] button').first.click()
    page.locator('#toasts a[href^="/deals/"]').first.click()
    page.wait_for_url(re.compile(r"/deals/\d+"))
    visitor.settle()
    taken = one(site, "SELECT state, deal_id, person_id FROM deals_lead WHERE id = :id", id=day.lead)
    assert taken.state == "taken"
    assert taken.person_id
    assert page.url.partition("?")[0].endswith(f"/deals/{taken.deal_id}")
    assert "Утренняя" in page.inner_text("main")


def _card_is_added_in_a_column(visitor: Any, site: Any, day: Day) -> None:
    page, stage, name = visitor.page, day.stages[0], f"{day.names[0]} быстрая"
    visitor.go(day.board)
    page.click(f"#column-{stage} [data-quick-add]")
    page.wait_for_selector(f"#column-{stage} [data-quick] input[name=name]")
    page.fill(f"#column-{stage} [data-quick] input[name=name]", name)
    page.fill(f"#column-{stage} [data-quick] input[name=amount]", "15400")
    page.keyboard.press("Enter")
    visitor.until(f"document.querySelector('[data-cards-of=\"{stage}\"]').innerText.includes('{name}')")
    added = one(site, "SELECT stage_id, amount FROM deals_deal WHERE name = :name", name=name)
    assert tuple(added) == (stage, 15400)


def _card_is_moved_and_put_back(visitor: Any, site: Any, day: Day, *, wide: bool) -> None:
    page, deal = visitor.page, day.deals[0]
    visitor.go(day.board)
    clear(visitor)
    if wide:
        drag(visitor, deal, day.stages[1])
    else:
        choose(visitor, deal, 2, wide=False)
    visitor.until(stands(deal, day.stages[1]))
    page.wait_for_selector("#toasts [data-undo]")
    page.click("#toasts [data-undo]")
    visitor.until(stands(deal, day.stages[0]))
    visitor.settle()
    assert one(site, "SELECT stage_id FROM deals_deal WHERE id = :id", id=deal).stage_id == day.stages[0]
    assert not visitor.problems()


def _refusal_asks_for_its_reason(visitor: Any, site: Any, day: Day, *, wide: bool) -> None:
    page, deal = visitor.page, day.deals[1]
    visitor.go(day.board)
    choose(visitor, deal, len(day.stages), wide=wide)
    page.wait_for_selector("dialog[open] input[name=reason_id]")
    assert not visitor.problems()
    page.locator("dialog[open] input[name=reason_id]").first.check()
    page.click("dialog[open] button.btn-primary")
    visitor.until("!document.querySelector('dialog[open]')")
    visitor.settle()
    row = one(site, "SELECT state, reason_id FROM deals_deal WHERE id = :id", id=deal)
    assert row.state == "lost"
    assert row.reason_id


def _deal_gets_its_next_task_and_loses_the_dot(visitor: Any, site: Any, day: Day) -> None:
    page, deal = visitor.page, day.deals[0]
    visitor.go(day.board)
    assert page.locator(f'[data-card="{deal}"] .crm-tile-dot').count() == 1
    page.click(f'[data-card="{deal}"] .crm-tile-title')
    page.wait_for_url(f"**/deals/{deal}*")
    visitor.settle()
    if page.locator("#tab-right").is_visible():  # a phone shows a part of the card at a time
        page.click("#tab-right")
    page.click(".crm-panel-place:has(#panel-tasks-of) .crm-panel-add")
    page.wait_for_selector("#dialog[open] [name=title]")
    page.fill("#dialog [name=title]", f"Замер {day.names[0]}")
    assert page.input_value("#dialog [name=day]") == tomorrow().isoformat()
    page.fill("#dialog [name=time]", "11:00")
    assert not visitor.problems()
    page.click("#dialog form button[type=submit]")
    visitor.until(f"document.getElementById('panel-tasks-of')?.textContent.includes('Замер {day.names[0]}')")
    visitor.go(day.board)
    assert page.locator(f'[data-card="{deal}"] .crm-tile-dot').count() == 0


def _task_is_found_in_the_schedule_done_and_followed(visitor: Any, site: Any, day: Day, words: dict[str, str]) -> None:
    page, title = visitor.page, f"Замер {day.names[0]}"
    visitor.go(f"/tasks/schedule?view=agenda&date={tomorrow().isoformat()}")
    visitor.until(f"document.querySelector('main').innerText.includes('{title}')")
    task = one(site, "SELECT id FROM tasks_task WHERE title = :title", title=title).id
    visitor.go(f"/tasks/{task}")
    page.click("[popovertarget=card-menu]")
    page.click(f'#card-menu a[href="/tasks/{task}/complete"]')
    page.wait_for_selector("#dialog[open] [name=result]")
    page.fill("#dialog [name=result]", "Замер сделан")
    # The dialog asks what comes next, so that the deal does not stay without a step.
    assert words["next"] in page.inner_text("#dialog")
    page.fill("#dialog [name=next]", f"{words['tomorrow']} Счёт {day.names[0]}")
    page.click("#dialog form button[type=submit]")
    visitor.until("!document.querySelector('#dialog[open]')")
    visitor.settle()
    done = one(site, "SELECT state, result FROM tasks_task WHERE id = :id", id=task)
    after = one(site, "SELECT subject_id FROM tasks_task WHERE title = :title", title=f"Счёт {day.names[0]}")
    assert (done.state, done.result) == ("done", "Замер сделан")
    assert after.subject_id == day.deals[0]
    visitor.go(f"/deals/{day.deals[0]}")
    visitor.until("document.getElementById('timeline').textContent.includes('Замер сделан')")


def _reminder_comes_to_the_bell(visitor: Any, site: Any, day: Day) -> None:
    from crm_core.notify import reminders
    from crm_tasks.services import tasks

    page, title = visitor.page, f"Напомнить {day.names[0]}"
    with site.database.session() as session:
        gate = manager_gate(site, session)
        tasks.create(gate, title=title, kind="call", due_at=clocks.now() + dt.timedelta(seconds=302), remind=[5])
    visitor.until("true")
    page.wait_for_timeout(2500)
    with site.database.session() as session:
        reminders.fire_due(session)
    visitor.go("/")
    assert page.inner_text("[data-unread]").strip() not in ("", "0")
    page.click(".crm-bell")
    page.wait_for_selector("#side-sheet[open] .crm-news")
    assert title in page.inner_text("#side-sheet")
    assert not visitor.problems()
