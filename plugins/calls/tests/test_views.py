"""Pages of telephony, walked as people do: calls that ring, a click on a number, unknown numbers, figures, settings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crm_calls import gateways, services
from crm_calls.models import Gateway, Line
from crm_core.records.gate import Gate
from crm_core.security.subject import load_subject

KNOWN, STRANGER = "+79450000044", "+79450000099"


@pytest.fixture
def russian(office: Any, db: Any) -> None:
    """Let everybody of the office read Russian."""
    for one in (office.manager, office.colleague, office.head, office.admin, office.stranger):
        one.locale = "ru"
    db.flush()


def _form(page: Any, action: str) -> Any:
    return next(one for one in page.forms.values() if one.action.partition("?")[0] == action)


# -- what rings --------------------------------------------------------------------------------------------------------


def test_who_calls_is_shown_while_it_rings(testapp: Any, login_as: Any, office: Any) -> None:
    person = office.person()
    office.tell("started", line="101")
    login_as(office.manager)

    page = testapp.get("/calls/present")

    assert person.full_name in page
    assert "Олег Первый" in page
    assert f'href="/clients/people/{person.id}"' in page
    assert 'data-status="ringing"' in page
    assert page.headers["Cache-Control"] == "no-store"
    office.tell("ended", line="101", result="no_answer")
    assert "data-call" not in testapp.get("/calls/present")


def test_it_rings_only_where_it_rings(testapp: Any, login_as: Any, office: Any) -> None:
    office.person()
    office.tell("started", line="101")

    for user in (office.colleague, office.stranger, office.admin):
        login_as(user)
        assert "data-call" not in testapp.get("/calls/present")


def test_a_client_whom_one_does_not_see_stays_nameless(testapp: Any, login_as: Any, office: Any) -> None:
    person = office.person(owner=office.stranger, last_name="Секретов")
    office.tell("started", line="101")
    login_as(office.manager)

    page = testapp.get("/calls/present")

    assert "A client whom you do not see" in page
    assert "Секретов" not in page
    assert f"/clients/people/{person.id}" not in page
    assert "/clients/people/new" not in page


def test_an_unknown_number_offers_to_make_a_client_with_it(testapp: Any, login_as: Any, office: Any) -> None:
    office.tell("started", line="101", number=STRANGER)
    login_as(office.manager)

    page = testapp.get("/calls/present")
    link = page.html.select_one('a[href^="/clients/people/new"]') if hasattr(page, "html") else None
    assert link is not None
    form = _form(testapp.get(link["href"]), "/clients/people/new")

    assert form["phones-0-value"].value.replace(" ", "").replace("-", "") == STRANGER
    form["last_name"] = "Новенький"
    form.submit(status=303)
    (call,) = office.calls()
    assert call.person_id is not None


def test_the_pop_up_costs_few_statements(testapp: Any, login_as: Any, office: Any, query_counter: Any) -> None:
    for number in range(3):
        person_number = f"+7945000014{number}"
        office.person(person_number)
        office.tell("started", f"c{number}", line="101", number=person_number)
    login_as(office.manager)
    testapp.get("/calls/present")

    part = {"HX-Request": "true", "HX-Request-Type": "partial"}
    with query_counter() as busy:
        testapp.get("/calls/present", headers=part)
    login_as(office.stranger)
    with query_counter() as calm:
        testapp.get("/calls/present", headers=part)

    # One of each tells who asks.
    assert busy.count <= 5, busy.statements
    assert calm.count <= 3, calm.statements


def test_it_speaks_russian(testapp: Any, login_as: Any, office: Any, russian: None) -> None:
    office.tell("started", line="101", number=STRANGER)
    login_as(office.manager)

    page = testapp.get("/calls/present")

    assert "Неизвестный номер" in page
    assert "Создать клиента" in page
    assert "Входящий звонок" in page


def test_strangers_and_those_without_the_right_see_nothing(testapp: Any, login_as: Any, office: Any) -> None:
    assert testapp.get("/calls/present", status="*").status_int in (303, 401, 403)
    login_as("moderator")
    for href in ("/calls", "/calls/unknown", "/calls/report", "/settings/calls/gateways"):
        testapp.get(href, status=403)
    assert testapp.get("/calls/present", status=204).body == b""


# -- a click -----------------------------------------------------------------------------------------------------------


def _token(testapp: Any) -> dict[str, str]:
    page = testapp.get("/calls/unknown")
    return {"X-CSRF-Token": page.html.select_one('meta[name="csrf-token"]')["content"]}


def test_a_click_dials_from_ones_own_line(testapp: Any, login_as: Any, office: Any, db: Any) -> None:
    exchange = office.connect("asterisk")
    office.line("102x", office.manager)
    for line in db.query(Line):
        line.gateway_id = exchange.id
    db.flush()
    login_as(office.manager)
    headers = _token(testapp)

    answer = testapp.post("/calls/dial", {"number": "+7 945 000-00-44"}, headers=headers, status=204)

    assert "Pick up" in json.loads(answer.headers["HX-Trigger"])["crm:toast"]["text"]
    (call,) = office.calls()
    assert (call.direction, call.number, call.owner_id) == ("out", KNOWN, office.manager.id)
    assert len(office.jobs("calls.originate")) == 1
    assert 'data-dials="1"' in testapp.get("/calls/present")


def test_a_click_without_a_line_says_what_is_missing(testapp: Any, login_as: Any, office: Any) -> None:
    login_as(office.manager)

    answer = testapp.post("/calls/dial", {"number": KNOWN}, headers=_token(testapp), status=422)

    assert "no internal number" in json.loads(answer.headers["HX-Trigger"])["crm:toast"]["text"]
    assert office.calls() == []
    testapp.post("/calls/dial", {"number": KNOWN}, status=400)


# -- lists and figures -------------------------------------------------------------------------------------------------


def test_the_list_shows_clients_by_the_gate(testapp: Any, login_as: Any, office: Any) -> None:
    mine, theirs = (
        office.person(last_name="Видимов"),
        office.person(STRANGER, owner=office.stranger, last_name="Тайнов"),
    )
    office.talked("a", line="101", number=KNOWN)
    office.missed("b", lines=("101",), number=STRANGER)
    login_as(office.manager)

    page = testapp.get("/calls")

    assert mine.full_name in page
    assert "Тайнов" not in page
    assert theirs.id
    card = testapp.get(page.html.select_one("a.crm-first")["href"])
    assert card.html.select_one('a[href^="tel:+7945"]') is not None


def test_the_card_of_a_call_takes_what_was_said(testapp: Any, login_as: Any, office: Any) -> None:
    office.person()
    call = office.talked(line="101")
    login_as(office.manager)
    form = _form(testapp.get(f"/calls/{call.id}/edit"), f"/calls/{call.id}/edit")
    assert set(form.fields) & {"number", "status", "started_at", "owner_id"} == set()
    form["comment"] = "Просит счёт"

    form.submit(status=303)

    assert office.calls()[0].comment == "Просит счёт"
    login_as(office.colleague)
    testapp.get(f"/calls/{call.id}/edit", status=404 if office.colleague.team_id != office.manager.team_id else "*")


def test_the_timeline_of_the_client_has_the_call_and_its_recording(
    testapp: Any, login_as: Any, office: Any, db: Any, app: Any
) -> None:
    import io

    person = office.person()
    call = office.talked(line="101")
    sound = io.BytesIO(b"ID3" + b"\x00" * 100)
    services.keep_recording(office.gate(), app.registry["crm.files"], call, sound, limit=1000)
    login_as(office.manager)

    page = testapp.get(f"/clients/people/{person.id}/timeline")
    assert "Incoming call" in page
    assert f'href="/calls/{call.id}/recording"' in page
    panel = testapp.get(f"/calls/{call.id}/panels/calls.recording")
    assert "<audio" in panel

    # A colleague sees the client and the call, and does not listen to others.
    login_as(office.colleague)
    page = testapp.get(f"/clients/people/{person.id}/timeline")
    assert "Incoming call" in page
    assert "/recording" not in page


def test_unknown_numbers_stand_until_somebody_makes_a_client(testapp: Any, login_as: Any, office: Any) -> None:
    login_as(office.manager)
    assert "No unknown numbers" in testapp.get("/calls/unknown")
    office.missed("a", line="101", number=STRANGER)
    office.missed("b", line="101", number=STRANGER)

    page = testapp.get("/calls/unknown")

    assert "+7 945 000-00-99" in page
    assert "2 calls" in page
    assert 'href="tel:+79450000099"' in page
    office.person(STRANGER)
    assert "No unknown numbers" in testapp.get("/calls/unknown")


def test_the_report_counts_what_the_viewer_may(testapp: Any, login_as: Any, office: Any, russian: None) -> None:
    office.talked("a", line="101", seconds=125)
    office.missed("b", line="102", number=STRANGER)
    login_as(office.head)

    page = testapp.get("/calls/report")

    assert "Олег Первый" in page
    assert "Анна Вторая" in page
    assert "Всего" in page
    assert "2:05" in page
    login_as(office.manager)
    page = testapp.get("/calls/report?since=2000-01-01&until=nonsense")
    assert "Анна Вторая" not in page
    login_as(office.stranger)
    assert "За эти дни звонков нет" in testapp.get("/calls/report")


def test_a_figure_leads_to_its_calls(testapp: Any, login_as: Any, office: Any) -> None:
    office.talked("a", line="101")
    office.missed("b", line="101", number=STRANGER)
    login_as(office.head)
    link = testapp.get("/calls/report").html.select_one("td.is-danger a")

    page = testapp.get(link["href"])

    assert len(page.html.select("tbody tr")) == 1
    assert "+7 945 000-00-99" in page


@pytest.mark.parametrize(
    "query", ["since=x&until=y", "since=2999-01-01", "since=1999-01-01&until=2999-12-31", "until=1"]
)
def test_days_that_make_no_sense_are_no_fault(testapp: Any, login_as: Any, office: Any, query: str) -> None:
    login_as(office.head)

    testapp.get(f"/calls/report?{query}")
    testapp.get("/calls/unknown?before=x")


# -- settings ----------------------------------------------------------------------------------------------------------


def test_an_exchange_is_connected_and_its_password_is_never_shown(
    testapp: Any, login_as: Any, office: Any, db: Any
) -> None:
    login_as(office.admin)
    page = testapp.get("/settings/calls/gateways")
    assert "АТС" in page
    form = testapp.get("/settings/calls/gateways/new/asterisk").forms["form"]
    assert form["port"].value == "5038"
    form["name"] = "Главная"

    refused = form.submit(status=422)
    assert "Fill this in." in refused
    assert refused.forms["form"]["name"].value == "Главная"

    form["host"], form["user"], form["password"] = "10.0.0.5", "crm", "очень тайно"
    form.submit(status=303)
    gateway = db.query(Gateway).filter_by(name="Главная").one()
    (account,) = gateways.accounts(db, [gateway.id])
    assert (account.password, account.settings["host"], gateway.active) == ("очень тайно", "10.0.0.5", True)
    assert "очень тайно".encode() not in gateway.password
    assert [job.key for job in office.jobs("calls.listen")] == ["schedule:calls.listen"]
    page = testapp.get(f"/settings/calls/gateways/{gateway.id}")
    assert "очень тайно" not in page
    form = page.forms["form"]
    form["name"] = "Главная АТС"
    form.submit(status=303)
    (account,) = gateways.accounts(db, [gateway.id])
    assert (account.name, account.password) == ("Главная АТС", "очень тайно")


def test_secrets_are_shown_once_and_never_logged(testapp: Any, login_as: Any, office: Any, db: Any) -> None:
    import sqlalchemy as sa

    from crm_core.models.log import Change

    login_as(office.admin)
    page = testapp.get(f"/settings/calls/gateways/{office.gateway.id}")
    assert f"/calls/in/{office.gateway.id}" in page
    form = next(one for one in page.forms.values() if one.action.endswith("/secret"))

    shown = form.submit().html.select_one("#secret").get_text()

    assert gateways.signing_secret(db, office.gateway.id) == shown
    assert shown not in testapp.get(f"/settings/calls/gateways/{office.gateway.id}")
    for change in db.scalars(sa.select(Change).where(Change.entity == "calls.gateway")):
        assert not {"secret", "password"} & {*(change.before or {}), *(change.after or {})}


def test_lines_are_given_changed_and_taken_away(testapp: Any, login_as: Any, office: Any, db: Any) -> None:
    login_as(office.admin)
    form = testapp.get("/settings/calls/lines/new").forms["form"]
    form["number"] = "105"
    assert "Say whose number it is" in form.submit(status=422)
    form["user_id"] = str(office.stranger.id)
    form.submit(status=303)
    line = db.query(Line).filter_by(number="105").one()
    assert line.user_id == office.stranger.id

    form = testapp.get(f"/settings/calls/lines/{line.id}").forms["form"]
    form["number"] = "101"
    assert "in the list already" in form.submit(status=422)
    form["number"] = "106"
    form.submit(status=303)
    page = testapp.get(f"/settings/calls/lines/{line.id}")
    next(one for one in page.forms.values() if one.action.endswith("/delete")).submit(status=303)
    assert db.query(Line).filter_by(number="106").count() == 0


def test_the_connection_is_tried_by_a_job_and_hosts_are_kept(testapp: Any, login_as: Any, office: Any, db: Any) -> None:
    exchange = office.connect("asterisk")
    login_as(office.admin)
    page = testapp.get("/settings/calls/gateways")
    form = next(one for one in page.forms.values() if one.action.endswith(f"/{exchange.id}/test"))

    form.submit(status=303)

    assert office.jobs("calls.test")[0].arguments == {"gateway_id": exchange.id}
    form = testapp.get("/settings/calls/gateways").forms["hosts"]
    form["hosts"] = "pbx.local:8080"
    form.submit(status=303)
    assert testapp.get("/settings/calls/gateways").forms["hosts"]["hosts"].value == "pbx.local:8080"


@pytest.mark.parametrize(
    "href",
    [
        "/calls",
        "/calls/unknown",
        "/calls/report",
        "/settings/calls/gateways",
        "/settings/calls/gateways/new/asterisk",
        "/settings/calls/gateways/new/http",
        "/settings/calls/lines/new",
    ],
)
def test_every_page_is_there_in_both_languages(testapp: Any, login_as: Any, office: Any, db: Any, href: str) -> None:
    office.missed("a", line="101", number=STRANGER)
    login_as(office.admin)
    english = testapp.get(href)
    office.admin.locale = "ru"
    db.flush()

    russian = testapp.get(href)

    def words(page: Any) -> str:
        return str(page.html.select_one("main").get_text(" ", strip=True))

    assert words(english) != words(russian)
    assert "${" not in russian


def test_settings_are_for_those_who_may(testapp: Any, login_as: Any, office: Any, db: Any) -> None:
    for role, status in (("specialist", 200), ("manager", 403), ("head", 403), ("director", 403)):
        login_as(role)
        testapp.get("/settings/calls/gateways", status=status)
    subject = load_subject(db, office.manager.id)
    assert subject is not None
    assert not Gate(db, subject, office.plugins).subject.may("calls:settings")
