"""What stands around pages: menu by rights, home page, search, notifications, jobs, live answers, pages of errors."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core import clock, notify
from crm_core.models import Favourite, JobRow, Operation, Preference
from crm_core.models.records import SavedView
from crm_core.records import saving
from crm_core.records.gate import Gate
from crm_core.security import passwords
from crm_core.specs import Widget
from crm_core.views import search
from crm_core.views.home.page import given_name

ROLES = ("administrator", "director", "head", "manager", "marketer", "specialist", "moderator", "user")
HTML = {"Accept": "text/html"}


@pytest.fixture
def person(db: Any, factories: Any, plugins: Any) -> Any:
    """Make a client who belongs to somebody."""

    def make(owner: Any, **values: Any) -> int:
        gate = Gate(db, factories.subject(owner), plugins)
        values.setdefault("last_name", "Иванова")
        values.setdefault("first_name", "Мария")
        made = saving.create(gate, plugins.entity("clients.person"), values)
        db.commit()
        return int(made.id)

    return make


def menu(page: Any) -> list[str]:
    return [link["href"] for link in page.html.select(".crm-side .crm-nav a")]


# -- the menu ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_a_home_page_with_a_menu_of_pages_that_open(testapp: Any, login_as: Any, role: str) -> None:
    login_as(role)

    page = testapp.get("/", headers=HTML)

    links = menu(page)
    assert links[0] == "/"
    for href in {*links, *(link["href"] for link in page.html.select("#face-menu a, .crm-bottom a"))}:
        assert testapp.get(href, headers=HTML).status_int == 200, href


def test_the_menu_marks_where_one_is(testapp: Any, login_as: Any) -> None:
    login_as("administrator")

    page = testapp.get("/settings/users", headers=HTML)

    assert [link["href"] for link in page.html.select(".crm-side a[aria-current]")] == ["/settings/users"]


def test_an_empty_group_of_the_menu_is_left_out(testapp: Any, login_as: Any) -> None:
    login_as("administrator")

    page = testapp.get("/", headers=HTML)

    assert all(group.select("a") for group in page.html.select(".crm-side details"))


def test_a_moderator_may_invite_and_not_create_clients(testapp: Any, login_as: Any) -> None:
    login_as("moderator")

    page = testapp.get("/", headers=HTML)

    # A task for oneself is open to everybody.
    made = {link["href"] for link in page.html.select("#create-menu a")}
    assert made - {"/tasks/new"} == {"/settings/users/invite"}


def test_favourites_and_views_are_those_that_may_be_seen(
    testapp: Any, db: Any, login_as: Any, factories: Any, person: Any
) -> None:
    me, other = login_as("manager"), factories.user("manager")
    mine, foreign = person(me), person(other, last_name="Чужая")
    factories.make(
        Favourite, user_id=me.id, href=f"/clients/people/{mine}", title="old", entity="clients.person", record_id=mine
    )
    factories.make(
        Favourite,
        user_id=me.id,
        href=f"/clients/people/{foreign}",
        title="secret",
        entity="clients.person",
        record_id=foreign,
    )
    factories.make(SavedView, entity="clients.person", name="Мои новые", owner_id=me.id)
    factories.make(SavedView, entity="clients.person", name="Чужой вид", owner_id=other.id)

    page = testapp.get("/", headers=HTML)

    assert [link.text.strip() for link in page.html.select("#nav-favourites a")] == ["Иванова Мария"]
    assert "Чужой вид" not in page.text
    assert "secret" not in page.text
    assert "Мои новые" in page.html.select_one("#nav-views").text


def test_the_shell_costs_few_statements(
    testapp: Any, login_as: Any, factories: Any, person: Any, query_counter: Any
) -> None:
    me = login_as("manager")
    number = person(me)
    factories.make(
        Favourite, user_id=me.id, href=f"/clients/people/{number}", title="", entity="clients.person", record_id=number
    )
    testapp.get("/jobs", headers=HTML)

    with query_counter() as queries:
        testapp.get("/profile/sessions", headers=HTML)
    around = [
        one for one in queries.statements if "core_favourite" in one or "clients_person" in one or "door AS" in one
    ]

    assert len(around) <= 3
    assert queries.count <= 5, queries.statements


def test_the_language_before_sign_in_is_kept_in_the_browser(testapp: Any, factories: Any) -> None:
    factories.user("administrator")

    testapp.get("/locale?locale=ru&back=/sign-in").follow()

    assert testapp.get("/sign-in", headers={"Accept-Language": "en"}).html.html["lang"] == "ru"
    assert testapp.get("/locale?locale=ru&back=//evil.example").location == "http://localhost/"


# -- home ----------------------------------------------------------------------------------------------------------


def test_a_person_is_greeted_by_the_given_name() -> None:
    assert given_name("Иванов Пётр Сергеевич") == "Пётр"
    assert given_name("Ольга Минина") == "Ольга"
    assert given_name("") == ""


def test_every_block_of_the_home_page_answers(testapp: Any, login_as: Any, person: Any) -> None:
    for role in ROLES:
        me = login_as(role)
        if role == "manager":
            person(me)
        for frame in testapp.get("/", headers=HTML).html.select("[data-frame]"):
            answer = testapp.get(frame["hx-get"], headers={"HX-Request-Type": "partial"})
            assert "Number for the administrator" not in answer.text, (role, frame["hx-get"])
            assert "<html" not in answer.text


def test_a_block_of_others_is_not_there(testapp: Any, login_as: Any) -> None:
    login_as("user")

    assert testapp.get("/home/widgets/core.waiting", expect_errors=True).status_int == 404


def test_a_fault_of_a_block_stays_in_its_frame(
    testapp: Any, login_as: Any, plugins: Any, monkeypatch: Any, db: Any
) -> None:
    def broken(request: Any) -> Any:
        request.db.execute(sa.text("SELECT no_such_column"))

    login_as("manager")
    bad = Widget(id="core.bad", title="Bad", load=broken, template="crm_core:templates/home/news.pt")
    monkeypatch.setitem(plugins.widgets, "core.bad", bad)

    answer = testapp.get("/home/widgets/core.bad")

    assert "Number for the administrator" in answer.text
    assert testapp.get("/home/widgets/core.news").status_int == 200


def test_the_home_page_is_arranged_and_forgotten(testapp: Any, db: Any, login_as: Any) -> None:
    me = login_as("manager")
    page = testapp.get("/home/arrange", headers=HTML)
    token = page.html.select_one('meta[name="csrf-token"]')["content"]

    testapp.post("/home/arrange", [("csrf_token", token), ("widget", "core.latest"), ("widget", "core.news")])
    frames = [frame["hx-get"] for frame in testapp.get("/", headers=HTML).html.select("[data-frame]")]
    testapp.post("/home/arrange", {"csrf_token": token, "reset": "1"})

    assert frames == ["/home/widgets/core.latest", "/home/widgets/core.news"]
    assert db.get(Preference, (me.id, "home")) is None


def test_an_empty_installation_says_what_to_begin_with(testapp: Any, login_as: Any, person: Any) -> None:
    me = login_as("administrator")

    empty = testapp.get("/", headers=HTML)
    person(me)
    later = testapp.get("/", headers=HTML)

    assert "/settings/users/invite" in [link["href"] for link in empty.html.select("main .crm-link-card")]
    assert not later.html.select("main .crm-link-card")


def test_a_sign_up_that_waits_stands_on_the_home_page(testapp: Any, login_as: Any, factories: Any) -> None:
    login_as("moderator")
    factories.user("user", status="pending", name="Waits Here")

    answer = testapp.get("/home/widgets/core.waiting")

    assert "Waits Here" in answer.text
    assert "/approve" in answer.text


# -- search --------------------------------------------------------------------------------------------------------


def palette(testapp: Any, text: str) -> dict[str, str]:
    answer = testapp.get("/search/palette", {"q": text}, headers={"HX-Request-Type": "partial"})
    return {link["href"]: " ".join(link.text.split()) for link in answer.html.select(".crm-palette-item")}


@pytest.mark.parametrize("typed", ["мария ивано", "Иванова Мария", "bdfyjdf", "ivanova@", "200-01-77", "2000177"])
def test_a_client_is_found_by_any_part(testapp: Any, login_as: Any, person: Any, typed: str) -> None:
    me = login_as("manager")
    number = person(
        me, phones=[{"value": "+78462000177", "main": True}], emails=[{"value": "ivanova@primer.example", "main": True}]
    )

    assert f"/clients/people/{number}" in palette(testapp, typed)
    assert f"/clients/people/{number}" in testapp.get("/search", {"q": typed}, headers=HTML).text


def test_a_foreign_client_is_not_found(testapp: Any, login_as: Any, factories: Any, person: Any) -> None:
    person(factories.user("manager"))
    login_as("manager")

    assert not [href for href in palette(testapp, "Иванова") if href.startswith("/clients/people/")]
    assert "Иванова Мария" not in testapp.get("/search", {"q": "Иванова"}, headers=HTML).text


@pytest.mark.parametrize(
    ("typed", "href"),
    [
        ("дашборд", "/"),
        ("dashboard", "/"),
        ("контрагенты", "/clients/people"),
        ("Контрагент", "/clients/companies"),
        ("плагины", "/settings/plugins"),
        ("журнал", "/settings/log"),
        (";ehyfk", "/settings/log"),
        ("roles", "/settings/roles"),
        ("роли", "/settings/roles"),
    ],
)
def test_the_palette_leads_from_words_to_places(testapp: Any, login_as: Any, typed: str, href: str) -> None:
    login_as("administrator", locale="ru")

    assert href in palette(testapp, typed)


@pytest.mark.parametrize("typed", ["тикет", "тикеты", "бэкап", "неразобранное", "канбан", "стадия", "заявка"])
def test_a_word_that_is_not_ours_is_answered_with_ours(testapp: Any, login_as: Any, typed: str) -> None:
    login_as("administrator", locale="ru")

    assert any("Здесь это называется" in text for text in palette(testapp, typed).values())


def test_the_palette_offers_only_what_one_may(testapp: Any, login_as: Any) -> None:
    login_as("user", locale="ru")

    found = palette(testapp, "роли")

    assert "/settings/roles" not in found


def test_commands_are_found(testapp: Any, login_as: Any) -> None:
    login_as("manager", locale="ru")

    assert "/profile/preferences?theme=dark" in palette(testapp, "темн")
    assert "/sign-out" in palette(testapp, "выйти")
    assert palette(testapp, "")


def test_every_alias_is_told_by_its_own_word() -> None:
    for alias in search.ALIASES:
        assert search.alias_of(alias.stems[0]) is not None


# -- notifications -------------------------------------------------------------------------------------------------


def test_notifications_are_read_put_away_and_followed(testapp: Any, db: Any, login_as: Any, factories: Any) -> None:
    me = login_as("manager")
    first = factories.notification(me, title="One happened", href="/profile")
    second = factories.notification(me, title="Two happened")
    page = testapp.get("/notifications", headers=HTML)
    token = page.html.select_one('meta[name="csrf-token"]')["content"]
    assert page.html.select_one("[data-unread]").text == "2"

    answer = testapp.get(f"/notifications/{first.id}")
    testapp.post(f"/notifications/{second.id}/snooze", {"csrf_token": token})
    later = testapp.get("/notifications", headers=HTML)

    assert answer.location == "http://localhost/profile"
    assert "Two happened" not in later.html.select_one("main").text
    assert notify.unread_count(db, me.id) == 0


def test_reading_news_is_no_operation(testapp: Any, db: Any, login_as: Any, factories: Any) -> None:
    me = login_as("manager")
    factories.notification(me)
    token = testapp.get("/", headers=HTML).html.select_one('meta[name="csrf-token"]')["content"]
    before = db.scalar(sa.select(sa.func.count()).select_from(Operation))

    testapp.post("/notifications/read", {"csrf_token": token})

    assert db.scalar(sa.select(sa.func.count()).select_from(Operation)) == before


def test_the_side_sheet_gets_the_list_anew_with_the_count(testapp: Any, login_as: Any, factories: Any) -> None:
    me = login_as("manager")
    factories.notification(me)
    token = testapp.get("/", headers=HTML).html.select_one('meta[name="csrf-token"]')["content"]

    answer = testapp.post("/notifications/read", {"csrf_token": token}, headers={"HX-Request-Type": "partial"})

    assert json.loads(answer.headers["HX-Trigger"]) == {"crm:live": {"unread": 0}}
    assert not answer.html.select(".is-unread")


def test_nothing_is_told_of_a_record_that_is_no_longer_open(
    testapp: Any, login_as: Any, factories: Any, person: Any
) -> None:
    number = person(factories.user("manager"))
    me = login_as("manager")
    factories.notification(
        me, title="Secret client", entity="clients.person", record_id=number, href=f"/clients/people/{number}"
    )

    page = testapp.get("/notifications", headers=HTML)

    assert "Secret client" not in page.text
    assert f"/clients/people/{number}" not in page.text


def test_foreign_notifications_are_not_there(testapp: Any, login_as: Any, factories: Any) -> None:
    foreign = factories.notification(factories.user("manager"))
    login_as("administrator")
    token = testapp.get("/", headers=HTML).html.select_one('meta[name="csrf-token"]')["content"]

    # As one that is gone: what gathers more news comes back under another number, which an older letter does not know.
    assert testapp.get(f"/notifications/{foreign.id}").location == "http://localhost/notifications"
    assert foreign.read_at is None
    answer = testapp.post(f"/notifications/{foreign.id}/snooze", {"csrf_token": token}, expect_errors=True)
    assert answer.status_int == 404


# -- jobs ----------------------------------------------------------------------------------------------------------


def job(factories: Any, user: Any, **values: Any) -> JobRow:
    values.setdefault("name", "core.import")
    values.setdefault("state", "running")
    values.setdefault("visible", True)
    values.setdefault("done_units", 1200)
    values.setdefault("total_units", 5000)
    values.setdefault("title", "clients.csv")
    values.setdefault("started_at", clock.now() - dt.timedelta(minutes=1))
    return factories.make(JobRow, user_id=user.id, **values)


def test_running_work_stands_on_top_and_can_be_stopped(testapp: Any, db: Any, login_as: Any, factories: Any) -> None:
    me = login_as("manager")
    row = job(factories, me)

    page = testapp.get("/jobs", headers=HTML)
    line = testapp.get(f"/jobs/{row.id}", headers={"HX-Request-Type": "partial"})
    token = page.html.select_one('meta[name="csrf-token"]')["content"]
    testapp.post(f"/jobs/{row.id}/stop", {"csrf_token": token})

    assert "clients.csv" in page.html.select_one("[data-jobs]").text
    assert "1,200 of 5,000" in line.text
    assert "left" in line.text
    assert "<html" not in line.text
    assert db.get(JobRow, row.id).stop_asked


def test_jobs_of_others_are_for_administrators(testapp: Any, login_as: Any, factories: Any) -> None:
    row = job(
        factories, factories.user("manager", name="Olga Other"), state="failed", error="Trace\nValueError: broken"
    )

    login_as("manager")
    assert testapp.get(f"/jobs/{row.id}", expect_errors=True).status_int == 404
    assert "Olga Other" not in testapp.get("/jobs?of=all", headers=HTML).text
    login_as("administrator")
    page = testapp.get("/jobs?of=all", headers=HTML)
    assert "Olga Other" in page.text
    assert "ValueError: broken" in page.text


# -- live ----------------------------------------------------------------------------------------------------------


def live(testapp: Any, since: str) -> dict[str, Any]:
    answer = testapp.get("/live", {"since": since}, headers={"HX-Request": "true", "Accept": "application/json"})
    return dict(answer.json)


def since_of(testapp: Any) -> str:
    return str(testapp.get("/", headers=HTML).html.select_one('meta[name="crm-live"]')["data-since"])


def test_live_tells_of_changed_records_that_may_be_seen(
    testapp: Any, login_as: Any, factories: Any, person: Any
) -> None:
    other = factories.user("manager")
    me = login_as("manager")
    since = since_of(testapp)
    mine, foreign = person(me), person(other)

    told = live(testapp, since)

    people = {change["id"] for change in told["changes"] if change["kind"] == "clients.person"}
    assert mine in people
    assert foreign not in people
    assert not live(testapp, told["since"])["changes"]


def test_live_tells_of_the_end_of_a_job_once(testapp: Any, db: Any, login_as: Any, factories: Any) -> None:
    me = login_as("manager")
    row = job(factories, me)
    since = since_of(testapp)

    running = live(testapp, since)
    row.state, row.finished_at, row.result = "done", clock.now(), {"counts": {"created": 7}}
    db.commit()
    ended = live(testapp, running["since"])
    after = live(testapp, ended["since"])

    assert running["jobs"][0]["percent"] == 24
    assert not running["toasts"]
    assert "created: 7" in ended["toasts"][0]["text"]
    assert not ended["jobs"]
    assert not after["toasts"]


def test_live_is_cheap(testapp: Any, login_as: Any, person: Any, query_counter: Any, factories: Any) -> None:
    me = login_as("head")
    since = since_of(testapp)
    person(me)
    factories.notification(me)

    with query_counter() as queries:
        told = live(testapp, since)

    assert told["unread"] == 1
    assert queries.count <= 3, queries.statements


@pytest.mark.parametrize("since", ["", "x", "1.2", "-1.0.", "1.2.3-x", "9" * 40 + ".1."])
def test_live_begins_now_where_the_place_cannot_be_read(testapp: Any, login_as: Any, person: Any, since: str) -> None:
    me = login_as("manager")
    person(me)

    told = live(testapp, since)

    assert told["since"].count(".") == 2
    assert since == "1.2.3-x" or not told["changes"]


def test_live_answers_strangers_with_401(testapp: Any, factories: Any) -> None:
    factories.user("administrator")

    answer = testapp.get("/live", headers={"HX-Request": "true"}, expect_errors=True)

    assert answer.status_int == 401


# -- errors --------------------------------------------------------------------------------------------------------


def test_a_page_that_is_not_there_says_so_inside_the_shell(testapp: Any, login_as: Any) -> None:
    login_as("manager")

    page = testapp.get("/no-such-page", headers=HTML, expect_errors=True)

    assert page.status_int == 404
    assert page.html.select_one("[data-error-message]")
    assert page.html.select_one(".crm-side")


def test_what_one_may_not_do_is_told_and_strangers_are_asked_to_sign_in(
    testapp: Any, login_as: Any, factories: Any
) -> None:
    factories.user("administrator")
    stranger = testapp.get("/settings/roles", headers=HTML)
    login_as("user")

    page = testapp.get("/settings/roles", headers=HTML, expect_errors=True)

    assert stranger.location.endswith("/sign-in?next=/settings/roles")
    assert page.status_int == 403
    assert "Ask your administrator" in page.text


def test_a_stale_form_says_what_to_do(testapp: Any, login_as: Any) -> None:
    login_as("user")

    page = testapp.post("/profile", {"csrf_token": "old"}, headers=HTML, expect_errors=True)

    assert page.status_int == 400
    assert "Load the page again" in page.text


def test_a_mistake_of_ours_has_a_number(testapp: Any, login_as: Any, monkeypatch: Any, capsys: Any) -> None:
    login_as("administrator")

    def broken(*_arguments: Any, **_options: Any) -> Any:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(notify, "listing", broken)

    page = testapp.get("/notifications", headers=HTML, expect_errors=True)
    number = page.html.select_one("main code").text
    asked = testapp.get("/notifications", headers={"Accept": "application/json"}, expect_errors=True)

    assert page.status_int == 500
    assert len(number) == 9
    assert "a mistake of ours" not in page.text
    assert page.html.select_one(".crm-side")
    assert asked.json["number"]


def test_a_broken_database_is_told_without_asking_it(testapp: Any, login_as: Any, monkeypatch: Any) -> None:
    login_as("administrator")

    def broken(*_arguments: Any, **_options: Any) -> Any:
        raise RuntimeError("the database is away")

    monkeypatch.setattr("crm_core.security.policy.load_signed_in", broken)
    monkeypatch.setattr("crm_core.company.read_values", broken)

    page = testapp.get("/profile", headers=HTML, expect_errors=True)

    assert page.status_int == 500
    assert page.html.select_one("main code")
    assert not page.html.select(".crm-side")


def test_the_demo_says_that_it_is_one(testapp: Any, app: Any, login_as: Any, monkeypatch: Any) -> None:
    login_as("manager", password_hash=passwords.hash_password("demo demo demo"))
    monkeypatch.setitem(app.registry.settings, "crm.demo", "true")

    page = testapp.get("/", headers=HTML)

    assert "An invented company" in page.html.select_one(".crm-demo").text
