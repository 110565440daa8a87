"""The keyboard alone: Ctrl-K, the map of keys, create, going places, the bell, folding, what changes in place."""

from __future__ import annotations

from typing import Any


def test_the_first_stop_leads_past_the_menu(visit: Any) -> None:
    visitor = visit("manager")
    visitor.go("/")

    visitor.page.keyboard.press("Tab")
    skip = visitor.page.evaluate("document.activeElement.getAttribute('href')")
    visitor.page.keyboard.press("Enter")

    assert skip == "#main"
    assert visitor.page.evaluate("document.activeElement.id") == "main"


def test_ctrl_k_finds_a_place_and_goes_there(visit: Any) -> None:
    visitor = visit("admin")
    visitor.go("/")
    page = visitor.page

    page.keyboard.press("Control+k")
    page.keyboard.type("пользов")
    page.keyboard.press("Enter")
    page.wait_for_url("**/settings/users")

    assert not visitor.complaints


def test_ctrl_k_finds_a_client_typed_in_the_wrong_layout(visit: Any) -> None:
    visitor = visit("manager")
    visitor.go("/")
    page = visitor.page

    page.keyboard.press("Control+k")
    page.keyboard.type("fdltt")  # «авдее»
    visitor.until("document.getElementById('palette-list').innerText.includes('Авдее')")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")

    assert page.get_attribute("#palette input", "aria-activedescendant")


def test_ctrl_k_changes_the_colours(visit: Any) -> None:
    visitor = visit("head")
    visitor.go("/")
    page = visitor.page

    page.keyboard.press("Control+k")
    page.keyboard.type("темное")
    page.wait_for_selector('#palette a[href$="theme=dark"]')
    page.click('#palette a[href$="theme=dark"]')
    visitor.settle()

    assert page.get_attribute("html", "data-mode") == "dark"
    assert page.get_attribute("html", "data-bs-theme") == "dark"
    assert page.url.rstrip("/") == visitor.site.url


def test_the_map_of_keys_opens_and_closes(visit: Any) -> None:
    visitor = visit("manager")
    visitor.go("/")
    page = visitor.page

    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")
    page.keyboard.press("Escape")

    assert not page.query_selector("#keys[open]")


def test_create_opens_by_a_key_and_is_walked_by_arrows(visit: Any) -> None:
    visitor = visit("manager")
    visitor.go("/")
    page = visitor.page

    page.keyboard.press("c")
    page.wait_for_selector("#create-menu:popover-open")
    page.focus("#create-menu a")
    page.keyboard.press("ArrowDown")

    assert page.evaluate("document.activeElement.closest('#create-menu') !== null")


def test_two_letters_go_to_a_module(visit: Any) -> None:
    visitor = visit("manager")
    visitor.go("/")
    page = visitor.page

    page.keyboard.press("g")
    page.keyboard.press("k")
    page.wait_for_url("**/clients/companies*")
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.wait_for_url(visitor.site.url + "/")


def test_the_bell_opens_beside_the_page_and_gives_the_focus_back(visit: Any) -> None:
    visitor = visit("manager")
    visitor.go("/")
    page = visitor.page

    page.focus(".crm-bell")
    page.keyboard.press("Enter")
    page.wait_for_selector("#side-sheet[open]")
    title = page.inner_text("#side-title")
    page.keyboard.press("Escape")

    assert title == "Уведомления"
    assert page.evaluate("document.activeElement.classList.contains('crm-bell')")


def test_reading_all_in_the_side_sheet_takes_the_number_off_the_bell(visit: Any, site: Any) -> None:
    from crm_core import notify
    from crm_core.models import User

    visitor = visit("director")
    with site.database.session() as session:
        me = session.query(User.id).filter(User.email == "director@demo.example").scalar()
        notify.notify(session, me, key="browser", kind="reminder", title="Позвонить клиенту")
    visitor.go("/")
    page = visitor.page
    assert page.inner_text("[data-unread]") != ""

    page.click(".crm-bell")
    page.wait_for_selector("#side-sheet .crm-news")
    page.click('#side-sheet form[action="/notifications/read"]:not(.crm-news form) button')
    visitor.until("document.querySelector('[data-unread]').hidden")

    assert page.query_selector("#side-sheet[open]")
    assert not visitor.complaints


def test_the_menu_stays_folded(visit: Any) -> None:
    visitor = visit("manager")
    visitor.go("/")
    page = visitor.page

    page.focus("[data-fold]")
    page.keyboard.press("Enter")
    visitor.go("/jobs")

    assert page.get_attribute("html", "data-side") == "narrow"
    assert not visitor.problems()


def test_home_is_arranged_in_a_dialog(visit: Any) -> None:
    visitor = visit("head")
    visitor.go("/")
    page = visitor.page
    before = page.locator("main [data-frame]").count()

    page.click('main a[href="/home/arrange"]')
    page.wait_for_selector("#dialog[open] [name=widget]")
    page.locator("#dialog [name=widget]:checked").first.uncheck()
    page.click('#dialog button[type="submit"]:not([name])')
    page.wait_for_selector("#toasts .crm-toast")
    visitor.settle()

    assert page.locator("main [data-frame]").count() == before - 1
    assert not visitor.problems()


def test_news_reaches_a_page_that_stays_open(visit: Any, site: Any) -> None:
    from crm_core import notify
    from crm_core.models import User

    visitor = visit("marketer")
    visitor.go("/")
    with site.database.session() as session:
        me = session.query(User.id).filter(User.email == "marketer@demo.example").scalar()
        notify.notify(session, me, key="browser-live", kind="reminder", title="Проверить рассылку")

    visitor.until("!document.querySelector('[data-unread]').hidden", seconds=20)

    assert not visitor.complaints


def test_a_card_shows_what_a_colleague_changes(visit: Any, site: Any) -> None:
    from crm_core.models import User
    from crm_core.records import saving
    from crm_core.records.gate import Gate
    from crm_core.security.subject import load_subject

    number = site.id_of("clients_person")
    visitor = visit("admin")
    visitor.go(f"/clients/people/{number}")
    with site.database.session() as session:
        other = session.query(User.id).filter(User.email == "director@demo.example").scalar()
        gate = Gate(session, load_subject(session, other), site.database.plugins)
        entity = gate.entity("clients.person")
        saving.change(gate, entity, gate.get(entity, number), {"job_title": "Начальник всего"})

    visitor.until("document.querySelector('main').innerText.includes('Начальник всего')", seconds=20)

    assert not visitor.complaints
