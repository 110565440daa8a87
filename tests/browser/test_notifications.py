"""Mentions, following and the bell, in the browser."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from crm_core import notify
from crm_core.models import User


def test_a_colleague_is_mentioned_by_keys_and_hears_of_it(visit: Any, site: Any) -> None:
    visitor = visit("admin")
    number = site.id_of("clients_person")
    visitor.go(f"/clients/people/{number}")
    page = visitor.page
    with site.database.session() as session:
        director = session.execute(sa.select(User.id, User.name).where(User.email == "director@demo.example")).one()

    page.click(".crm-composer-prompt")
    page.wait_for_selector("textarea[data-mentions]")
    area = page.locator(".crm-composer-body textarea[data-mentions]")
    area.click()
    page.keyboard.type(f"Спросить у @{director.name.split()[0]}")
    page.wait_for_selector(".crm-mentions:popover-open [role=option]")
    problems = visitor.problems()
    page.keyboard.press("Enter")
    page.keyboard.type("про скидку")
    assert area.input_value() == f"Спросить у @{director.name} про скидку"
    page.click('.crm-composer-body button[type="submit"]')
    visitor.until("document.querySelector('#timeline .crm-mention')")

    assert page.inner_text("#timeline .crm-mention >> nth=0") == f"@{director.name}"
    with site.database.session() as session:
        assert notify.unread_count(session, director.id) >= 1
    assert not problems
    assert not visitor.problems()


def test_the_bell_is_read_put_away_and_quiet(visit: Any, site: Any) -> None:
    visitor = visit("director")
    with site.database.session() as session:
        me = session.scalar(sa.select(User.id).where(User.email == "director@demo.example"))
        for number in range(2):
            notify.notify(session, me, key=f"browser:{number}", kind="probe", title=f"News {number}", href="/")
    visitor.go("/")
    page = visitor.page

    page.click(".crm-bell")
    page.wait_for_selector("dialog .crm-news")
    problems = visitor.problems()
    item = page.locator("dialog .crm-news-item", has_text="News 0")
    item.locator("form[action='/notifications/read'] button").click()
    visitor.until("![...document.querySelectorAll('dialog .is-unread')].some((e) => e.innerText.includes('News 0'))")
    page.click("dialog [popovertarget=quiet-menu]")
    page.locator("dialog #quiet-menu button").first.click()
    visitor.until("document.querySelector('dialog .crm-notice form[action=\"/notifications/mute\"]')")
    visitor.until("document.querySelector('[data-unread]').hidden")

    assert not problems
    assert not visitor.problems()
    visitor.go("/profile/notifications")
    assert not visitor.problems()
