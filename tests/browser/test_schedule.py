"""The schedule in the browser: a meeting planned, dragged and put back, keys, an invitation answered by its guest."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.models.work import Letter

_TODAY = dt.datetime.now(dt.UTC).date()

#: A Wednesday some months ahead, of which the demo company plans nothing.
DAY = (_TODAY + dt.timedelta(days=142 - _TODAY.weekday())).isoformat()

PLACE = """
title => {
  const found = [...document.querySelectorAll(".sched-event")].find((each) => each.innerText.includes(title));
  if (!found) return null;
  const box = found.getBoundingClientRect();
  return [box.x, box.y, box.width, box.height];
}
"""


def plan(visitor: Any, title: str, hour: str = "10:00", minutes: str = "60") -> None:
    """Plan a meeting by the form that `n` opens."""
    page = visitor.page
    page.keyboard.press("n")
    page.wait_for_selector("#dialog[open] #plan-title")
    page.fill("#plan-title", title)
    page.fill("#plan-start", f"{DAY}T{hour}")
    page.fill("#plan-minutes", minutes)
    page.click('#dialog form#plan-form button[type="submit"]')
    page.wait_for_selector("#toasts [data-undo]")
    visitor.until(f"document.querySelector('.sched-box').innerText.includes('{title}')")


def saved(site: Any, title: str) -> Any:
    """Return the row of a task."""
    with site.database.session() as session:
        statement = sa.text("SELECT id, due_at, duration_min FROM tasks_task WHERE title = :title")
        return session.execute(statement, {"title": title}).one()


def test_a_meeting_is_planned_dragged_and_put_back(visit: Any, site: Any) -> None:
    visitor = visit("manager")
    visitor.go(f"/tasks/schedule?view=week&date={DAY}")
    page = visitor.page
    plan(visitor, "Замер у Лосева")
    problems = visitor.problems()
    before = saved(site, "Замер у Лосева")

    page.evaluate("document.querySelectorAll('#toasts > *').forEach((each) => each.remove())")
    x, y, width, height = page.evaluate(PLACE, "Замер у Лосева")
    page.mouse.move(x + width / 2, y + 10)
    page.mouse.down()
    column = page.evaluate("(document.querySelector('.crm-calendar').getBoundingClientRect().width - 80) / 7")
    page.mouse.move(x + width / 2 + column, y + height + 10, steps=12)
    page.wait_for_timeout(150)
    page.mouse.up()
    page.wait_for_selector("#toasts [data-undo]")
    visitor.settle()
    after = saved(site, "Замер у Лосева")
    assert (after.due_at - before.due_at).days == 1
    assert after.due_at.hour == before.due_at.hour + 1
    assert after.duration_min == before.duration_min

    page.keyboard.press("u")
    visitor.until("document.querySelectorAll('#toasts [data-undo]').length === 0")
    visitor.settle()
    assert saved(site, "Замер у Лосева").due_at == before.due_at
    assert not problems
    assert not visitor.problems()


def test_the_views_change_by_keys_and_are_remembered(visit: Any) -> None:
    visitor = visit("head")
    visitor.go(f"/tasks/schedule?view=week&date={DAY}")
    page = visitor.page
    current = "document.querySelector('.sched-bar [aria-current]').innerText.trim()"

    for pressed, title in (("m", "Месяц"), ("d", "День"), ("a", "Список"), ("w", "Неделя")):
        page.keyboard.press(pressed)
        visitor.until(f"{current} === '{title}'")
    page.keyboard.press("ArrowRight")
    visitor.until(f"new URL(location.href).searchParams.get('date') > '{DAY}'")
    page.keyboard.press("t")
    visitor.until(f"new URL(location.href).searchParams.get('date') < '{DAY}'")
    page.keyboard.press("m")
    visitor.settle()
    problems = visitor.problems()
    visitor.go("/tasks/schedule")

    assert page.evaluate(current) == "Месяц"
    assert not problems


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_page_of_the_schedule_is_in_order(visit: Any, mode: str) -> None:
    visitor = visit("head", mode=mode)
    found = {}
    for path in (
        "?view=week", "?view=month", "?view=day", "?view=agenda", "?view=load", "/free", "/days-off", "/feed",
    ):  # fmt: skip
        visitor.go(f"/tasks/schedule{path}")
        found[path] = visitor.problems()

    assert not {path: problems for path, problems in found.items() if problems}


def test_a_phone_shows_the_agenda_first(visit: Any) -> None:
    visitor = visit("manager", screen={"width": 390, "height": 844})
    visitor.go("/tasks/schedule")

    visitor.until("document.querySelector('.sched-bar [aria-current]')?.innerText.trim() === 'Список'")
    assert not visitor.problems()


def test_a_guest_answers_and_the_organiser_sees_it(visit: Any, site: Any) -> None:
    visitor = visit("manager")
    visitor.go(f"/tasks/schedule?view=week&date={DAY}")
    page = visitor.page
    plan(visitor, "Показ каталога", hour="15:00")
    number = saved(site, "Показ каталога").id
    visitor.go(f"/tasks/{number}/guests")
    page.fill("#guests-emails", "guest@client.example")
    page.click('main form#guests button[type="submit"]')
    page.wait_for_url(f"**/tasks/{number}")
    with site.database.session() as session:
        letter = session.scalars(sa.select(Letter).where(Letter.recipient == "guest@client.example")).one()
    found = re.search(r"/tasks/invitation/\S+", letter.text)
    assert found is not None

    guest = visit(None)
    guest.go(found.group())
    problems = guest.problems()
    guest.page.click('#answer button[value="accepted"]')
    guest.page.wait_for_load_state("networkidle")
    said = guest.page.inner_text("main")
    visitor.go(f"/tasks/{number}")
    visitor.until("document.body.innerText.includes('Будет')")

    assert "Будет" in said
    assert not problems
    assert not guest.problems()
    assert not visitor.problems()
