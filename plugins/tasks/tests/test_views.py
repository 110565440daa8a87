"""Pages of tasks, walked as a person does."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.db import UNGATED
from crm_core.models import User
from crm_tasks.models import ChecklistItem, Delegation, Dependency, Observer, Series, Task, TemplateSet

NOW = dt.datetime(2026, 11, 23, 9, 0, tzinfo=dt.UTC)
PAST = {UNGATED: "a look at the result"}
PART = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _noon(clock: Any) -> None:
    clock.move_to(NOW)


@pytest.fixture
def team(factories: Any) -> Any:
    return factories.team()


@pytest.fixture
def olga(factories: Any, login_as: Any, team: Any) -> User:
    """Sign in a manager of a department."""
    return login_as(factories.user("manager", team_id=team.id, name="Ольга Минина"))


def token(testapp: Any) -> str:
    return testapp.get("/tasks/day").html.select_one('meta[name="csrf-token"]')["content"]


def post(testapp: Any, href: str, values: Any = (), **options: Any) -> Any:
    pairs = [*(values.items() if isinstance(values, dict) else values), ("csrf_token", token(testapp))]
    return testapp.post(href, pairs, headers=PART, **options)


def said(answer: Any) -> dict[str, Any]:
    return json.loads(answer.headers["HX-Trigger"])


def fresh(db: Any, task: Task) -> Task:
    db.expire_all()
    return db.scalars(sa.select(Task).where(Task.id == task.id), execution_options=PAST).one()


def test_my_day_shows_what_is_to_be_done(testapp: Any, olga: User, tasks: Any) -> None:
    tasks.task(olga, title="Вчерашнее", due_at=NOW - dt.timedelta(days=1))
    tasks.task(olga, title="Сегодняшнее", due_at=NOW + dt.timedelta(hours=2))
    tasks.task(olga, title="Когда-нибудь")

    page = testapp.get("/tasks/day")

    groups = {one["id"]: one.get_text(" ", strip=True) for one in page.html.select(".tasks-group")}
    assert "Вчерашнее" in groups["group-overdue"]
    assert "Сегодняшнее" in groups["group-today"]
    assert "Когда-нибудь" in groups["group-undated"]


def test_a_day_of_many_tasks_asks_no_more_than_one_of_few(
    testapp: Any, olga: User, tasks: Any, query_counter: Any
) -> None:
    tasks.task(olga, due_at=NOW + dt.timedelta(hours=1))
    testapp.get("/tasks/day")
    with query_counter() as few:
        testapp.get("/tasks/day")
    for number in range(20):
        tasks.task(olga, due_at=NOW + dt.timedelta(minutes=number))

    with query_counter() as many:
        testapp.get("/tasks/day")
    with query_counter() as board:
        testapp.get("/tasks/board")
    with query_counter() as listed:
        testapp.get("/tasks")

    assert many.count <= few.count + 1
    assert board.count < 20
    assert listed.count < 20


def test_a_line_becomes_a_task(testapp: Any, olga: User, db: Any) -> None:
    answer = post(testapp, "/tasks/quick", {"line": "завтра 15:00 позвонить Ивану", "today": "1"})

    task = db.scalars(sa.select(Task), execution_options=PAST).one()
    assert answer.status_int == 204
    assert (task.title, task.kind, task.owner_id) == ("Позвонить Ивану", "call", olga.id)
    assert task.due_at == dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
    assert said(answer)["crm:toast"]["undo_href"]


def test_a_line_without_a_day_is_for_today(testapp: Any, olga: User, db: Any) -> None:
    post(testapp, "/tasks/quick", {"line": "купить бумагу", "today": "1"})

    task = db.scalars(sa.select(Task), execution_options=PAST).one()
    assert (task.all_day, task.due_day) == (True, dt.date(2026, 11, 23))


def test_one_click_completes_and_the_toast_takes_it_back(testapp: Any, olga: User, tasks: Any, db: Any) -> None:
    task = tasks.task(olga, due_at=NOW)

    answer = post(testapp, f"/tasks/{task.id}/complete")

    assert answer.status_int == 204
    assert fresh(db, task).state == "done"
    assert said(answer)["crm:toast"]["undo_href"].startswith("/operations/")


def test_after_the_last_task_of_a_record_one_is_asked_what_comes_next(
    testapp: Any, olga: User, tasks: Any, db: Any
) -> None:
    from crm_core.db import RecordRef

    about = tasks.task(olga)
    task = tasks.task(olga, subject=RecordRef("tasks.task", about.id))

    href = said(post(testapp, f"/tasks/{task.id}/complete"))["crm:next"]["href"]
    form = testapp.get(href).forms["task-todo"]
    form["title"] = "Перезвонить"
    form["time"] = "15:00"
    form.submit()

    made = db.scalars(sa.select(Task).where(Task.title == "Перезвонить"), execution_options=PAST).one()
    assert (made.subject_id, made.due_at) == (about.id, dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC))


def test_a_result_and_the_next_step_are_written_while_completing(testapp: Any, olga: User, tasks: Any, db: Any) -> None:
    from crm_core.db import RecordRef

    about = tasks.task(olga)
    task = tasks.task(olga, subject=RecordRef("tasks.task", about.id))
    form = testapp.get(f"/tasks/{task.id}/complete").forms["complete"]
    form["result"] = "Ждут смету"
    form["next"] = "в пятницу отправить смету"

    form.submit()

    made = db.scalars(sa.select(Task).where(Task.title == "Отправить смету"), execution_options=PAST).one()
    assert (fresh(db, task).result, made.due_day, made.kind) == ("Ждут смету", dt.date(2026, 11, 27), "letter")


def test_postponing_by_one_click_and_to_a_day_of_ones_own(testapp: Any, olga: User, tasks: Any, db: Any) -> None:
    task = tasks.task(olga, due_at=NOW)

    post(testapp, f"/tasks/{task.id}/postpone/tomorrow")
    tomorrow = fresh(db, task).due_at
    page = testapp.get(f"/tasks/{task.id}/postpone")
    form = page.forms["postpone"]
    form["day"], form["time"] = "2026-12-31", "18:30"
    form.submit()

    assert tomorrow == NOW + dt.timedelta(days=1)
    assert fresh(db, task).due_at == dt.datetime(2026, 12, 31, 15, 30, tzinfo=dt.UTC)


def test_a_task_is_given_to_a_colleague(
    testapp: Any, olga: User, tasks: Any, db: Any, team: Any, factories: Any
) -> None:
    ivan = factories.user("manager", team_id=team.id, name="Иван")
    stranger = factories.user("manager", team_id=factories.team().id, name="Пётр")
    task = tasks.task(olga)

    offered = [one["title"] for one in testapp.get("/tasks/people").json["items"]]
    refused = post(testapp, f"/tasks/{task.id}/reassign", {"user": stranger.id}, status=422)
    post(testapp, f"/tasks/{task.id}/reassign", {"user": ivan.id, "note": "Отпуск"})

    assert offered == ["Иван", "Ольга Минина"]
    assert "may not give" in refused.text
    assert fresh(db, task).owner_id == ivan.id
    assert db.scalars(sa.select(Delegation.note)).all() == ["Отпуск"]


def test_the_card_has_its_blocks(testapp: Any, olga: User, tasks: Any, db: Any, team: Any, factories: Any) -> None:
    ivan = factories.user("manager", team_id=team.id, name="Иван")
    task, first = tasks.task(olga, title="Монтаж", checklist=["Стремянка"]), tasks.task(olga, title="Проект")
    tasks.task(olga, title="Часть", parent_id=task.id)
    href = f"/tasks/{task.id}"

    post(testapp, f"{href}/needs", {"needs": first.id})
    post(testapp, f"{href}/observers", [("observers", str(ivan.id))])
    post(testapp, f"{href}/checklist", {"title": "Ключ"})
    line = db.scalars(sa.select(ChecklistItem.id).where(ChecklistItem.title == "Стремянка")).one()
    post(testapp, f"{href}/checklist/{line}", {"done": "1"})
    card = testapp.get(href)
    blocks = {
        name: testapp.get(f"{href}/panels/tasks.{name}").html.get_text(" ", strip=True)
        for name in ("checklist", "parts", "needs", "people", "when")
    }

    assert "Монтаж" in card.text
    assert "Ключ" in blocks["checklist"]
    assert "1/2" in blocks["checklist"]
    assert "Часть" in blocks["parts"]
    assert "Проект" in blocks["needs"]
    assert "Иван" in blocks["people"]
    assert "as usual" not in blocks["when"]
    assert fresh(db, task).progress == 33
    assert db.scalar(sa.select(sa.func.count()).select_from(Observer)) == 1

    blocked = post(testapp, f"{href}/complete")
    post(testapp, f"{href}/needs/{first.id}/remove")
    assert "Проект" in said(blocked)["crm:toast"]["text"]
    assert fresh(db, task).state == "open"
    assert db.scalar(sa.select(sa.func.count()).select_from(Dependency)) == 0


def test_the_editor_of_rules(testapp: Any, olga: User, tasks: Any, db: Any) -> None:
    task = tasks.task(olga, title="Планёрка", due_at=NOW + dt.timedelta(days=1))
    form = testapp.get(f"/tasks/{task.id}/repeat").forms["repeat"]
    form["freq"], form["interval"], form["ends"], form["count"] = "WEEKLY", "2", "count", "3"

    answer = form.submit(headers=PART)

    found = db.scalars(sa.select(Series)).one()
    assert found.rrule == "FREQ=WEEKLY;INTERVAL=2;COUNT=3;BYDAY=TU"
    assert "every 2 weeks on Tuesdays, 3 times" in said(answer)["crm:toast"]["text"]
    again = testapp.get(f"/tasks/{task.id}/repeat").forms["repeat"]
    again["interval"] = "0"
    assert again.submit(status=422, headers=PART)
    post(testapp, f"/tasks/{task.id}/repeat/stop")
    db.refresh(found)
    assert not found.active


def test_the_board_moves_a_task(testapp: Any, olga: User, tasks: Any, db: Any) -> None:
    task = tasks.task(olga, title="Двигаем")

    page = testapp.get("/tasks/board")
    post(testapp, f"/tasks/{task.id}/state", {"state": "waiting"})

    assert "Двигаем" in page.html.select_one('[data-state="open"]').text
    assert fresh(db, task).state == "waiting"
    assert "Двигаем" in testapp.get("/tasks/board").html.select_one('[data-state="waiting"]').text


def test_the_list_has_its_tabs_and_what_can_be_done_from_a_row(
    testapp: Any, login_as: Any, factories: Any, tasks: Any, db: Any, team: Any
) -> None:
    head = login_as(factories.user("head", team_id=team.id))
    team.head_id = head.id
    db.flush()
    tasks.task(head, title="Своё")

    page = testapp.get("/tasks?f=owner_id:any:me&f=open:is:1")

    tabs = {one.find(string=True, recursive=False).strip(): one for one in page.html.select(".crm-tabs .crm-tab")}
    assert list(tabs) == ["Today", "Overdue", "Mine", "Handed out", "Of the department"]
    assert tabs["Mine"]["aria-current"] == "page"
    counted = [one["data-count"] for one in page.html.select(".crm-tabs [data-count]")]
    assert [testapp.get(href).text.strip() for href in counted][2] == "1"
    keys = [one["data-row-key"] for one in page.html.select("tbody tr [data-row-key]")]
    assert keys == ["d", "t", "p", "r"]


def test_strangers_get_nothing(testapp: Any, olga: User, tasks: Any, factories: Any) -> None:
    other = factories.user("manager", team_id=factories.team().id)
    task = tasks.task(other)

    for page in ("", "/complete", "/postpone", "/reassign", "/repeat", "/panels/tasks.checklist"):
        testapp.get(f"/tasks/{task.id}{page}", status=404)
    post(testapp, f"/tasks/{task.id}/complete", status=404)


def test_sets_of_tasks_are_made_in_the_settings(
    testapp: Any, login_as: Any, factories: Any, db: Any, olga: User, tasks: Any
) -> None:
    about = tasks.task(olga)
    login_as(factories.user("administrator"))
    form = testapp.get("/settings/tasks/sets/new").forms["set"]
    form["name"] = "Новый клиент"
    form.submit(headers=PART)
    wanted = db.scalars(sa.select(TemplateSet)).one()
    form = testapp.get(f"/settings/tasks/sets/{wanted.id}/lines/new").forms["line"]
    form["title"], form["due_days"] = "Познакомиться", "1"
    form["checklist"] = "Один\nДва"
    form.submit(headers=PART)
    page = testapp.get("/settings/tasks/sets")
    form = testapp.get(f"/tasks/apply?subject=tasks.task:{about.id}").forms["apply"]
    form["set"] = str(wanted.id)
    form.submit(headers=PART)

    assert "Познакомиться" in page.text
    made = db.scalars(sa.select(Task).where(Task.title == "Познакомиться"), execution_options=PAST).one()
    assert (made.owner_id, made.due_day, made.template_id is not None) == (olga.id, dt.date(2026, 11, 24), True)


def test_who_may_not_edit_sets(testapp: Any, olga: User) -> None:
    testapp.get("/settings/tasks/sets", status=403)


def test_blocks_of_the_home_page_and_of_other_records(testapp: Any, login_as: Any, factories: Any, tasks: Any, db: Any,
                                                      team: Any, plugins: Any) -> None:
    from crm_core.db import RecordRef
    from crm_core.records import saving

    head = factories.user("head", team_id=team.id)
    team.head_id = head.id
    ivan = factories.user("manager", team_id=team.id, name="Иван")
    tasks.task(head, ivan, title="Поручение", due_at=NOW - dt.timedelta(days=2))
    tasks.task(head, title="Своё", due_at=NOW + dt.timedelta(hours=1))
    login_as(head)

    shown = {name: testapp.get(f"/home/widgets/tasks.{name}").text for name in ("today", "team", "handed_out")}

    assert "Своё" in shown["today"]
    assert "Иван" in shown["team"]
    assert "Поручение" in shown["handed_out"]
    if "clients.company" in plugins.entities:
        company = saving.create(tasks.gate(head), plugins.entity("clients.company"), {"name": "Ромашка"})
        tasks.task(head, title="Позвонить в Ромашку", subject=RecordRef("clients.company", company.id))
        panel = testapp.get(f"/clients/companies/{company.id}/panels/tasks.of")
        card = testapp.get(f"/clients/companies/{company.id}")
        assert "Позвонить в Ромашку" in panel.text
        assert f"/tasks/new/call?subject=clients.company%3A{company.id}" in card.text
