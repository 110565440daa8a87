"""A call that nobody took becomes work, across plugins: told by telephony over HTTP, whichever of them are on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from webtest import TestApp

from crm_core.models.work import Notification
from crm_core.notify.kinds import FAULT
from crm_core.plugins import Plugins
from crm_core.records import saving
from crm_core.records.gate import Gate
from crm_core.security.sessions import Device, open_session
from crm_core.security.subject import Subject
from crm_core.testing.factories import Factories
from crm_core.testing.plugin import CommittedDatabase, committed

pytest.importorskip("crm_calls")

from crm_calls import gateways
from crm_calls.asterisk import ADAPTERS
from crm_calls.contract import SIGNATURE, TIMESTAMP, sign

KNOWN, STRANGER = "8 945 000-00-44", "8 945 000-00-99"

EVERYTHING = ("clients", "deals", "tasks", "calls")
NO_TASKS = ("clients", "deals", "calls")
NO_DEALS = ("clients", "tasks", "calls")
ALONE = ("clients", "calls")


@dataclass
class Company:
    """An installation with one manager, his client, and a telephone exchange."""

    database: CommittedDatabase
    browser: TestApp
    manager: int = 0
    colleague: int = 0
    client: int = 0
    gateway: int = 0
    secret: str = ""

    def tell(self, event: str, call: str, number: str, **more: Any) -> dict[str, Any]:
        """Tell an event as an exchange does: signed, of a call that rings at the colleague's."""
        body = json.dumps(
            {"event": event, "call": call, "direction": "in", "number": number, "lines": ["102"], **more}
        ).encode()
        stamp = str(int(time.time()))
        headers = {"Content-Type": "application/json", TIMESTAMP: stamp, SIGNATURE: sign(self.secret, stamp, body)}
        answer: dict[str, Any] = self.browser.post(f"/calls/in/{self.gateway}", body, headers=headers).json
        return answer

    def miss(self, number: str, call: str = "77.1") -> dict[str, Any]:
        """Let a call ring until its caller gives up; the exchange tells the end of it three times."""
        self.tell("started", call, number)
        for _time in range(3):
            answer = self.tell("ended", call, number, result="no_answer")
        self.work()
        return answer

    def work(self) -> None:
        """Do what was enqueued."""
        runner = self.database.runner()
        runner.start()
        runner.run_due()
        runner.close()

    def rows(self, statement: str) -> list[Any]:
        """Ask the database."""
        with self.database.session() as session:
            return list(session.execute(sa.text(statement)).all())

    def tasks(self) -> list[Any]:
        """Return the tasks there are."""
        return self.rows("SELECT id, owner_id, kind, priority, subject_entity, subject_id, title FROM tasks_task")

    def leads(self) -> list[Any]:
        """Return the leads there are."""
        return self.rows("SELECT id, source, state, owner_id, phones FROM deals_lead")

    def news(self) -> list[Notification]:
        """Return what stands in the bells."""
        with self.database.session() as session:
            found = list(session.scalars(sa.select(Notification).order_by(Notification.id)))
            session.expunge_all()
            return found

    def faults(self) -> list[Notification]:
        """Return what administrators were told of plugins that failed, which would go unseen otherwise."""
        return [one for one in self.news() if one.kind == FAULT]

    def sign_in(self, user: int) -> None:
        """Let somebody sit down at the browser."""
        with self.database.session() as session:
            self.browser.set_cookie("crm", open_session(session, user, Device("127.0.0.1", "Test")))


@pytest.fixture
def company(
    request: pytest.FixtureRequest, crm_servers: Any, crm_plugin_names: tuple[str, ...], app_settings: dict[str, Any]
) -> Iterator[Company]:
    """An installation where the plugins of the parameter are on."""
    names: tuple[str, ...] = request.param
    if missing := set(names) - set(crm_plugin_names):
        pytest.skip(f"these plugins are off: {', '.join(sorted(missing))}")
    plugins = Plugins.build(names)
    with committed(crm_servers, plugins, {**app_settings, "crm.plugins": " ".join(names)}) as database:
        app = database.app(**{"crm.locale": "ru", "crm.base_url": ""})
        found = Company(database, TestApp(app, extra_environ={"HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1"}))
        with database.session() as session:
            _furnish(found, session, plugins)
        yield found


def _furnish(company: Company, session: Any, plugins: Plugins) -> None:
    factories, system = Factories(session), Subject.system("tests")
    team = factories.team(name="Продажи")
    manager = factories.user("manager", team_id=team.id, name="Олег Первый", locale="ru")
    colleague = factories.user("manager", team_id=team.id, name="Анна Вторая", locale="ru")
    factories.user("administrator", name="Админ")
    http = next(one for one in ADAPTERS if one.name == "http")
    gateway = gateways.save_gateway(session, system, None, name="АТС", adapter=http, values={}, password="")
    company.secret = gateways.new_secret(session, system, gateway)
    gateways.save_line(session, system, None, gateway_id=gateway.id, number="102", user_id=colleague.id, team_id=None)
    gate = Gate(session, system, plugins)
    person = saving.create(
        gate,
        gate.entity("clients.person"),
        {"last_name": "Звонков", "phones": [{"value": "+79450000044", "main": True}], "owner_id": manager.id},
    )
    company.manager, company.colleague = manager.id, colleague.id
    company.client, company.gateway = person.id, gateway.id


@pytest.mark.parametrize("company", [EVERYTHING, NO_DEALS], indirect=True, ids=["everything", "no deals"])
def test_a_missed_call_of_a_client_is_a_task_of_his_responsible_once(company: Company) -> None:
    answer = company.miss(KNOWN)

    (task,) = company.tasks()
    assert (answer["status"], answer["known"]) == ("missed", True)
    assert (task.owner_id, task.kind, task.priority) == (company.manager, "call", "high")
    assert (task.subject_entity, task.subject_id) == ("clients.person", company.client)
    assert "79450000044" in "".join(one for one in task.title if one.isdigit())
    news = [one for one in company.news() if one.user_id == company.manager]
    assert len([one for one in news if one.kind == "calls.call.missed"]) == 1
    assert not company.faults()

    company.sign_in(company.manager)
    assert task.title in company.browser.get("/tasks/day").text
    assert "Перезвонить" in task.title
    card = company.browser.get(f"/clients/people/{company.client}").html
    panel = card.select_one("#panel-tasks-of [hx-get]")["hx-get"]
    assert task.title in company.browser.get(panel).text


@pytest.mark.parametrize("company", [EVERYTHING, NO_TASKS], indirect=True, ids=["everything", "no tasks"])
def test_a_call_from_a_number_of_nobody_is_one_lead(company: Company) -> None:
    answer = company.miss(STRANGER)

    (lead,) = company.leads()
    assert answer["status"] == "missed"
    assert (lead.source, lead.state) == ("call", "new")
    assert lead.phones[0]["value"] == "+79450000099"
    assert not company.faults()

    company.sign_in(company.colleague)
    assert "945" in company.browser.get("/deals/leads").text


@pytest.mark.parametrize("company", [NO_TASKS, ALONE], indirect=True, ids=["no tasks", "alone"])
def test_without_tasks_a_missed_call_is_news_and_nothing_breaks(company: Company) -> None:
    company.miss(KNOWN)

    assert [one.user_id for one in company.news() if one.kind == "calls.call.missed"] == [company.manager]
    assert not company.faults()
    company.sign_in(company.manager)
    for path in ("/", f"/clients/people/{company.client}", "/calls", "/notifications"):
        assert company.browser.get(path).status_int == 200


@pytest.mark.parametrize("company", [NO_DEALS, ALONE], indirect=True, ids=["no deals", "alone"])
def test_without_deals_a_number_of_nobody_makes_no_lead_and_nothing_breaks(company: Company) -> None:
    company.miss(STRANGER)

    assert not company.faults()
    company.sign_in(company.colleague)
    for path in ("/", "/calls", "/notifications"):
        assert company.browser.get(path).status_int == 200
    assert company.rows("SELECT status FROM calls_call")[0].status == "missed"


@pytest.mark.parametrize("company", [EVERYTHING], indirect=True, ids=["everything"])
def test_a_second_missed_call_is_a_task_of_its_own_and_a_talk_is_none(company: Company) -> None:
    company.miss(KNOWN, "77.1")
    company.miss(KNOWN, "77.2")
    company.tell("started", "77.3", KNOWN)
    company.tell("answered", "77.3", KNOWN)
    company.tell("ended", "77.3", KNOWN, result="answered", seconds=42)
    company.work()

    assert len(company.tasks()) == 2
    assert not company.faults()
