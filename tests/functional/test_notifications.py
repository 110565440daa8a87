"""The bell, one's own choices of notifications, and following, as a person walks through them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core import clock as crm_clock
from crm_core import notify
from crm_core.models.notifications import NoticeChoice
from crm_core.models.work import Notification
from crm_core.notify.kinds import MENTIONED, SECURITY

HTML = {"Accept": "text/html"}
PAGE = "/profile/notifications"


def test_news_of_one_record_stand_together(testapp: Any, me: Any, client: Any, factories: Any) -> None:
    about = {"entity": "clients.person", "record_id": client.id, "href": f"/clients/people/{client.id}"}
    for title in ("First", "Second"):
        factories.notification(me, title=title, **about)
    factories.notification(me, title="Alone")

    page = testapp.get("/notifications", headers=HTML)

    (group,) = page.html.select(".crm-news-group")
    assert group.select_one(".crm-news-head a")["href"] == f"/clients/people/{client.id}"
    assert [item.get_text() for item in group.select(".crm-news-text > a")] == ["Second", "First"]
    assert len(page.html.select(".crm-news > li")) == 2

    testapp.post("/notifications/read", [("csrf_token", token(page)), *(("id", one["value"]) for one in
                 group.select(".crm-news-head input[name=id]"))])  # fmt: skip
    page = testapp.get("/notifications?show=unread", headers=HTML)
    assert page.html.select_one(".crm-news-text").get_text(strip=True).startswith("Unread:Alone")


def test_one_is_put_away_until_tomorrow_morning(testapp: Any, me: Any, factories: Any, db: Any, clock: Any) -> None:
    one = factories.notification(me)
    page = testapp.get("/notifications", headers=HTML)

    testapp.post(f"/notifications/{one.id}/snooze", {"csrf_token": token(page), "until": "tomorrow"})

    tomorrow = crm_clock.today("Europe/Moscow") + dt.timedelta(days=1)
    morning = crm_clock.start_of_day(tomorrow, "Europe/Moscow") + dt.timedelta(hours=9)
    assert db.get(Notification, one.id).snoozed_until == morning
    assert "Something happened" not in testapp.get("/notifications", headers=HTML).text
    testapp.post(
        f"/notifications/{one.id}/snooze", {"csrf_token": token(page), "until": "never"}, status=400, headers=HTML
    )


def test_quiet_for_an_hour_and_the_bell_counts_nothing(testapp: Any, me: Any, factories: Any, clock: Any) -> None:
    factories.notification(me)
    page = testapp.get("/notifications", headers=HTML)

    page = testapp.post("/notifications/mute", {"csrf_token": token(page), "until": "hour"}).follow(headers=HTML)

    assert page.html.select_one(".crm-notice form[action='/notifications/mute']")
    assert testapp.get("/live").json["unread"] == 0
    clock.tick(minutes=61)
    assert testapp.get("/live").json["unread"] == 1

    testapp.post("/notifications/mute", {"csrf_token": token(page), "until": "tomorrow"})
    testapp.post("/notifications/mute", {"csrf_token": token(page), "until": "off"})
    assert testapp.get("/live").json["unread"] == 1


def test_choices_are_kept_where_they_differ_and_can_be_put_back(testapp: Any, me: Any, db: Any) -> None:
    form = testapp.get(PAGE, headers=HTML).forms[form_number(testapp)]
    tick(form, f"{MENTIONED}|mail", on=True)
    tick(form, f"{MENTIONED}|bell", on=False)
    form["quiet_from"], form["quiet_to"], form["digest_at"] = "22:00", "08:30", "10:15"

    form.submit().follow(headers=HTML)

    kept = {(row.kind, row.channel): row.wanted for row in db.scalars(sa.select(NoticeChoice))}
    assert kept == {(MENTIONED, "mail"): True, (MENTIONED, "bell"): False}
    hours = notify.hours_of(db, me.id)
    assert (hours.quiet_from, hours.quiet_to, hours.digest_at) == (1320, 510, 615)

    form = testapp.get(PAGE, headers=HTML).forms[form_number(testapp)]
    assert box(form, f"{MENTIONED}|mail").checked
    assert not box(form, f"{MENTIONED}|digest").checked
    form.submit("reset").follow(headers=HTML)
    assert db.scalars(sa.select(NoticeChoice)).all() == []


def test_safety_cannot_be_switched_off_and_others_kinds_are_not_asked_about(testapp: Any, me: Any) -> None:
    page = testapp.get(PAGE, headers=HTML)

    assert page.html.select_one(f"input[value='{SECURITY}|bell']").has_attr("disabled")
    assert not page.html.select("input[value='core.system.fault|bell']")


@pytest.mark.parametrize(("begin", "end", "field"), [("22:00", "", "quiet_to"), ("25:99", "08:00", "quiet_from")])
def test_hours_that_make_no_sense_are_refused(testapp: Any, me: Any, begin: str, end: str, field: str) -> None:
    form = testapp.get(PAGE, headers=HTML).forms[form_number(testapp)]
    form["quiet_from"], form["quiet_to"] = begin, end

    page = form.submit(expect_errors=True, headers=HTML)

    assert page.status_int == 422
    assert page.html.select_one(f"#f-{field}-error")


def test_a_change_of_password_is_told_under_the_bell(db: Any, factories: Any) -> None:
    from crm_core.people.accounts import _warn

    user = factories.user()
    _warn(db, user, "The password of your account was changed")

    assert db.scalar(sa.select(Notification.kind).where(Notification.user_id == user.id)) == SECURITY


def test_following_begins_and_ends_on_the_card(testapp: Any, me: Any, client: Any, db: Any) -> None:
    href = f"/clients/people/{client.id}"
    page = testapp.get(href, headers=HTML)

    page = testapp.post(f"{href}/follow", {"csrf_token": token(page)}).follow(headers=HTML)
    assert notify.followers(db, "clients.person", client.id) == [me.id]
    assert me.name in testapp.get(f"{href}/follow", headers=HTML).text

    testapp.post(f"{href}/follow", {"csrf_token": token(page)})
    assert notify.followers(db, "clients.person", client.id) == []


def test_who_may_not_see_a_record_cannot_follow_it(testapp: Any, client: Any, login_as: Any) -> None:
    login_as("manager")

    assert testapp.get(f"/clients/people/{client.id}/follow", expect_errors=True, headers=HTML).status_int == 404


def test_a_mention_reads_as_a_name_on_the_card(testapp: Any, me: Any, client: Any, db: Any, factories: Any) -> None:
    from crm_clients import services
    from crm_core.db import RecordRef

    other = factories.user(name="Иван Петров")
    text = f"Спросить у {notify.token(other.name, other.id)} цену"
    services.record_interaction(gate(testapp, db, me), RecordRef("clients.person", client.id), kind="note", text=text)

    page = testapp.get(f"/clients/people/{client.id}/timeline", headers=HTML)

    assert page.html.select_one(".crm-mention").get_text() == "@Иван Петров"
    assert "user:" not in page.text
    editor = testapp.get(f"/clients/interactions/record/note?subject=clients.person:{client.id}", headers=HTML)
    assert editor.html.select_one("textarea[name=text]")["data-mentions"] == "/options/people"


# -- fixtures ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def me(login_as: Any) -> Any:
    return login_as("manager", name="Ольга Орлова")


@pytest.fixture
def client(db: Any, me: Any, testapp: Any) -> Any:
    from crm_clients.entities import PERSONS
    from crm_core.records import saving

    return saving.create(gate(testapp, db, me), PERSONS, {"last_name": "Иванов", "first_name": "Пётр"})


@pytest.fixture(autouse=True)
def _clients_are_on(plugins: Any) -> None:
    if "clients.person" not in plugins.entities:
        pytest.skip("the plugin of clients is off")


def gate(testapp: Any, db: Any, user: Any) -> Any:
    from crm_core.records.gate import Gate
    from crm_core.security.subject import load_subject

    return Gate(db, load_subject(db, user.id), testapp.app.registry["crm.plugins"])


def token(page: Any) -> str:
    return str(page.html.select_one('meta[name="csrf-token"]')["content"])


def form_number(testapp: Any) -> int:
    forms = testapp.get(PAGE, headers=HTML).forms
    return next(number for number, form in forms.items() if isinstance(number, int) and "digest_at" in form.fields)


def box(form: Any, value: str) -> Any:
    return next(one for one in form.fields["on"] if one._value == value)


def tick(form: Any, value: str, *, on: bool) -> None:
    box(form, value).checked = on

