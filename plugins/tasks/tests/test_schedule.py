"""The schedule: where things stand, what a drag does, who learns what of whom, how much everybody has."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from crm_core.company import WorkingCalendar
from crm_core.forms import InvalidValues
from crm_core.models import User, UserRole
from crm_core.records import saving
from crm_tasks.models import Task
from crm_tasks.services import days_off, schedule
from crm_tasks.services.recurrence import DAILY, WEEKLY, Rule

MOSCOW, BERLIN = ZoneInfo("Europe/Moscow"), ZoneInfo("Europe/Berlin")
MONDAY = dt.date(2026, 3, 2)
NOON = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)
SECRET = "Переговоры о слиянии"


def at(hour: int, minute: int = 0, *, day: int = 2, zone: Any = dt.UTC) -> dt.datetime:
    return dt.datetime(2026, 3, day, hour, minute, tzinfo=zone)


def week(gate: Any, *people: User, first: int = 2) -> schedule.Calendar:
    ids = schedule.people_of(gate, [one.id for one in people])
    return schedule.calendar(gate, ids, at(0, day=first), at(0, day=first + 7))


# -- where it stands ---------------------------------------------------------------------------------------------------


def test_a_task_stands_where_it_is_due_and_lasts_as_long_as_it_says() -> None:
    meeting = Task(kind="meeting", due_at=at(10), zone="UTC", all_day=False, state="open")
    call = Task(kind="call", due_at=at(10), zone="UTC", all_day=False, state="open", duration_min=15)
    period = Task(kind="todo", start_at=at(9), due_at=at(11), zone="UTC", all_day=False, state="open")

    assert schedule.span(meeting).end == at(11)
    assert schedule.span(call).end == at(10, 15)
    assert (schedule.span(period).start, schedule.span(period).end) == (at(9), at(11))
    assert all(schedule.occupies(one) for one in (meeting, call, period))


def test_a_whole_day_is_the_day_of_its_own_zone_and_keeps_nobody_busy() -> None:
    task = Task(kind="meeting", due_at=at(20, 59, day=3), due_day=dt.date(2026, 3, 3), zone="Europe/Moscow",
                all_day=True, state="open")  # fmt: skip

    where = schedule.span(task)

    assert (where.first, where.last) == (dt.date(2026, 3, 3), dt.date(2026, 3, 3))
    assert where.start == dt.datetime(2026, 3, 2, 21, tzinfo=dt.UTC)
    assert not schedule.occupies(task)


def test_weeks_of_work_do_not_keep_a_person_from_meetings() -> None:
    task = Task(kind="todo", start_at=at(9), due_at=at(9, day=13), zone="UTC", all_day=False, state="open")

    assert not schedule.occupies(task)


# -- moving ------------------------------------------------------------------------------------------------------------


def test_a_drag_moves_and_a_pull_stretches(tasks: Any, clock: Any) -> None:
    clock.move_to(NOON)
    me = tasks.person()
    task = tasks.task(me, kind="meeting", due_at=at(15))

    schedule.move(tasks.gate(me), task, at(16, day=4), at(17, day=4))
    assert (task.due_at, task.duration_min) == (at(16, day=4), None)

    schedule.move(tasks.gate(me), task, at(16, day=4), at(18, day=4))
    assert (task.due_at, task.duration_min) == (at(16, day=4), 120)


def test_a_task_becomes_one_for_the_whole_day_and_back(tasks: Any, clock: Any) -> None:
    clock.move_to(NOON)
    me = tasks.person(time_zone="Europe/Moscow")
    task = tasks.task(me, kind="todo", due_at=at(15))

    schedule.move(tasks.gate(me), task, at(0, day=5), at(0, day=6), all_day=True)
    assert (task.all_day, task.due_day) == (True, dt.date(2026, 3, 5))

    schedule.move(tasks.gate(me), task, at(9, day=5), None)
    assert (task.all_day, task.due_at, task.duration_min) == (False, at(9, day=5), 30)


def test_who_was_first_wins_and_the_other_hears_of_it(tasks: Any, clock: Any) -> None:
    clock.move_to(NOON)
    me = tasks.person()
    task = tasks.task(me, kind="meeting", due_at=at(15))
    seen = task.version
    schedule.move(tasks.gate(me), task, at(16), at(17), version=seen)

    with pytest.raises(saving.Conflict):
        schedule.move(tasks.gate(me), task, at(18), at(19), version=seen)


def test_an_assignee_does_not_move_what_he_was_given(tasks: Any, factories: Any, clock: Any) -> None:
    clock.move_to(NOON)
    team = factories.team()
    head, me = tasks.person("head", team_id=team.id), tasks.person(team_id=team.id)
    task = tasks.task(head, me, kind="meeting", due_at=at(15))

    with pytest.raises(saving.NotAllowed):
        schedule.move(tasks.gate(me), task, at(16), at(17))
    assert [one.editable for one in week(tasks.gate(me)).entries] == [False]
    assert [one.editable for one in week(tasks.gate(head), me).entries] == [True]


@pytest.mark.parametrize(("which", "hours"), [("this", [9, 11, 9]), ("following", [9, 11, 11]), ("all", [11, 11, 11])])
def test_of_a_series_one_those_after_it_or_all_are_moved(
    tasks: Any, clock: Any, which: str, hours: list[int]
) -> None:
    clock.move_to(at(6))
    me = tasks.person(time_zone="UTC")
    tasks.task(me, kind="call", due_at=at(9), rule=Rule(freq=DAILY, count=3))
    second = week(tasks.gate(me)).entries[1]
    task = tasks.gate(me).get(Task, second.task.id)

    schedule.move(tasks.gate(me), task, at(11, day=3), at(11, 30, day=3), which=which)

    shown = week(tasks.gate(me))
    starts = sorted([*(one.span.start for one in shown.entries), *(one.span.start for one in shown.ahead)])
    assert [one.hour for one in starts] == hours
    assert [one.day for one in starts] == [2, 3, 4]


def test_repeated_meetings_keep_their_hour_when_clocks_change(tasks: Any, clock: Any) -> None:
    clock.move_to(dt.datetime(2026, 3, 20, tzinfo=dt.UTC))
    me = tasks.person(time_zone="Europe/Berlin")
    due = dt.datetime(2026, 3, 25, 10, tzinfo=BERLIN)
    tasks.task(me, kind="meeting", due_at=due, zone="Europe/Berlin", rule=Rule(freq=WEEKLY, days=("WE",)))

    start = dt.datetime(2026, 3, 23, tzinfo=dt.UTC)
    shown = schedule.calendar(tasks.gate(me), [me.id], start, start + dt.timedelta(days=90))

    found = sorted([*(one.span.start for one in shown.entries), *(one.span.start for one in shown.ahead)])
    assert len(found) == 13, "those that are made, and those still to be"
    assert shown.ahead
    assert {one.astimezone(BERLIN).hour for one in found} == {10}
    assert {one.astimezone(dt.UTC).hour for one in found} == {8, 9}


# -- who learns what ---------------------------------------------------------------------------------------------------


def test_of_what_one_may_not_see_one_learns_that_somebody_is_busy_and_nothing_else(
    testapp: Any, tasks: Any, factories: Any, login_as: Any, clock: Any
) -> None:
    clock.move_to(NOON)
    other = tasks.person(team_id=factories.team().id)
    me = tasks.person(team_id=factories.team().id)
    tasks.task(other, kind="meeting", title=SECRET, place="Сейф", text="Тайна", due_at=at(15))
    tasks.task(other, kind="meeting", title=SECRET, due_at=at(15, 30))

    shown = week(tasks.gate(me), other)
    login_as(me)
    answers = [
        testapp.get(f"/tasks/schedule/events?start=2026-03-02&end=2026-03-09&people={other.id}"),
        testapp.get(f"/tasks/schedule?view=agenda&date=2026-03-02&people-end=1&people={other.id}"),
        testapp.get(f"/tasks/schedule/free?date=2026-03-02&people={other.id}"),
    ]

    assert shown.entries == []
    assert [(one.user_id, one.start, one.end) for one in shown.busy] == [(other.id, at(15), at(16, 30))]
    for answer in answers:
        assert SECRET not in answer.text
        assert "Сейф" not in answer.text
        assert "Тайна" not in answer.text
    busy = [one for one in answers[0].json["events"] if one.get("tone") == "busy"]
    assert [one["title"] for one in busy] == ["Busy"]


def test_a_head_sees_the_titles_of_his_department_and_of_no_other(tasks: Any, factories: Any, clock: Any) -> None:
    clock.move_to(NOON)
    team = factories.team()
    head = tasks.person("head", team_id=team.id)
    mine, stranger = tasks.person(team_id=team.id), tasks.person(team_id=factories.team().id)
    tasks.task(mine, title="Своё", kind="meeting", due_at=at(15))
    tasks.task(stranger, title=SECRET, kind="meeting", due_at=at(15))

    shown = week(tasks.gate(head), mine, stranger)

    assert [one.task.title for one in shown.entries] == ["Своё"]
    assert {one.user_id for one in shown.busy} == {stranger.id}


def test_without_the_right_to_names_one_looks_into_ones_own_calendar_only(tasks: Any, factories: Any) -> None:
    role = factories.role(("tasks:view", "own"))
    me, other = factories.user(None), tasks.person()
    factories.make(UserRole, user_id=me.id, role_id=role.id)

    assert schedule.people_of(tasks.gate(me), [other.id]) == [me.id]


def test_the_load_is_for_heads_and_counts_their_department_only(
    testapp: Any, tasks: Any, factories: Any, login_as: Any, clock: Any
) -> None:
    clock.move_to(NOON)
    team = factories.team()
    head, mine = tasks.person("head", team_id=team.id), tasks.person(team_id=team.id)
    stranger = tasks.person(team_id=factories.team().id)
    tasks.task(mine, kind="meeting", due_at=at(15), duration_min=90)
    tasks.task(mine, kind="call", due_at=at(7))
    tasks.task(stranger, kind="meeting", due_at=at(15))
    days_off.add(tasks.gate(mine), mine.id, dt.date(2026, 3, 3), dt.date(2026, 3, 4), days_off.SICK)

    found = schedule.load(tasks.gate(head), MONDAY, working=WorkingCalendar(), zone="UTC")

    row = next(one for one in found if one.user_id == mine.id)
    assert stranger.id not in {one.user_id for one in found}
    assert (row.days[0].planned_min, row.days[0].working_min, row.days[0].count) == (120, 480, 2)
    assert (row.days[1].away, row.days[1].working_min) == (True, 0)
    assert row.overdue == 1
    with pytest.raises(saving.NotAllowed):
        schedule.load(tasks.gate(mine), MONDAY, working=WorkingCalendar(), zone="UTC")
    login_as(mine)
    testapp.get("/tasks/schedule?view=load", status=403)


# -- free time ---------------------------------------------------------------------------------------------------------


def test_suggested_times_are_free_for_all_within_working_hours(tasks: Any, clock: Any) -> None:
    clock.move_to(at(5))
    me, other = tasks.person(time_zone="UTC"), tasks.person()
    tasks.task(me, kind="meeting", due_at=at(9), duration_min=120)
    tasks.task(other, kind="meeting", due_at=at(12), duration_min=120)
    days_off.add(tasks.gate(other), other.id, dt.date(2026, 3, 3), dt.date(2026, 3, 3))

    found = schedule.free(
        tasks.gate(me), [me.id, other.id], MONDAY, working=WorkingCalendar(), zone="UTC", minutes=60, days=3
    )

    assert [one.day.day for one in found] == [2, 3, 4]
    assert [start.hour for start, _end in found[0].slots] == [11, 14, 15, 16, 17]
    assert found[1].slots == [], "one of them is off"
    assert found[2].slots[0] == (at(9, day=4), at(10, day=4))


def test_weekends_holidays_and_their_transfers_are_no_days_to_meet(tasks: Any, clock: Any) -> None:
    clock.move_to(dt.datetime(2025, 10, 30, 5, tzinfo=dt.UTC))
    me = tasks.person(time_zone="UTC")

    found = schedule.free(tasks.gate(me), [me.id], dt.date(2025, 10, 31), working=WorkingCalendar(), zone="UTC", days=3)

    assert [one.day for one in found] == [dt.date(2025, 10, 31), dt.date(2025, 11, 1), dt.date(2025, 11, 5)]


# -- days off ----------------------------------------------------------------------------------------------------------


def test_days_off_are_written_by_oneself_and_ones_head_and_their_reason_is_theirs(
    testapp: Any, tasks: Any, factories: Any, login_as: Any, clock: Any
) -> None:
    clock.move_to(NOON)
    team = factories.team()
    head, me = tasks.person("head", team_id=team.id), tasks.person(team_id=team.id)
    team.head_id = head.id
    colleague = tasks.person(team_id=team.id)
    days_off.add(tasks.gate(head), me.id, dt.date(2026, 3, 4), dt.date(2026, 3, 6), days_off.SICK)

    with pytest.raises(saving.NotAllowed):
        days_off.add(tasks.gate(colleague), me.id, MONDAY, MONDAY)
    with pytest.raises(InvalidValues):
        days_off.add(tasks.gate(me), me.id, dt.date(2026, 3, 6), dt.date(2026, 3, 9))
    href = f"/tasks/schedule/events?start=2026-03-02&end=2026-03-09&people={me.id}"
    login_as(colleague)
    assert "Sick leave" not in testapp.get(href).text
    assert "Away" in testapp.get(href).text
    testapp.get(f"/tasks/schedule/days-off?user={me.id}", status=404)
    login_as(head)
    assert "Sick leave" in testapp.get(href).text


def test_days_off_are_written_on_their_page_and_taken_back(testapp: Any, tasks: Any, login_as: Any, clock: Any) -> None:
    clock.move_to(NOON)
    login_as(tasks.person())
    form = testapp.get("/tasks/schedule/days-off").forms["days-off"]
    form["starts"], form["ends"] = "2026-03-10", "2026-03-09"
    assert "The last day is before the first." in form.submit(status=422)
    form["ends"] = "2026-03-12"

    page = form.submit(status=303).follow()

    assert "Vacation" in page
    removed = next(one for one in page.forms.values() if one.action.endswith("/remove")).submit(status=303).follow()
    assert "No days off are written" in removed


# -- the pages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["month", "week", "day", "agenda"])
def test_every_view_serves_and_is_remembered(testapp: Any, tasks: Any, login_as: Any, clock: Any, view: str) -> None:
    clock.move_to(NOON)
    me = login_as(tasks.person())
    tasks.task(me, kind="meeting", title="Встреча у клиента", due_at=at(15))

    page = testapp.get(f"/tasks/schedule?view={view}")

    assert "Встреча у клиента" in page, "without scripts it is a list"
    assert f'"view": "{view}"' in testapp.get("/tasks/schedule").html.select_one("[data-schedule]")["data-config"]


def test_times_are_those_of_the_readers_zone(testapp: Any, tasks: Any, login_as: Any, clock: Any) -> None:
    clock.move_to(NOON)
    me = login_as(tasks.person(time_zone="Asia/Vladivostok"))
    tasks.task(me, kind="meeting", due_at=at(15))

    events = testapp.get("/tasks/schedule/events?start=2026-03-02&end=2026-03-09").json["events"]

    item = next(one for one in events if one.get("kind") == "meeting")
    assert (item["start"], item["end"]) == ("2026-03-03T01:00:00", "2026-03-03T02:00:00")
    rest = [one["start"] for one in events if one.get("rest")]
    assert rest == ["2026-03-07", "2026-03-08"]


def test_a_drag_is_answered_with_a_way_back(testapp: Any, tasks: Any, login_as: Any, clock: Any, db: Any) -> None:
    clock.move_to(NOON)
    me = login_as(tasks.person(time_zone="UTC"))
    task = tasks.task(me, kind="meeting", due_at=at(15))
    token = testapp.get("/tasks/schedule").html.select_one('meta[name="csrf-token"]')["content"]
    values = {"start": "2026-03-04T10:00:00", "end": "2026-03-04T11:00:00", "version": str(task.version)}

    answer = testapp.post(f"/tasks/schedule/{task.id}/move", values, headers={"X-CSRF-Token": token}, status=204)

    assert "/undo" in answer.headers["HX-Trigger"]
    db.refresh(task)
    assert task.due_at == at(10, day=4)
    testapp.post(f"/tasks/schedule/{task.id}/move", values, headers={"X-CSRF-Token": token}, status=204)
    stale = {**values, "start": "2026-03-05T10:00:00", "end": "2026-03-05T11:00:00"}
    testapp.post(f"/tasks/schedule/{task.id}/move", stale, headers={"X-CSRF-Token": token}, status=409)


def test_a_click_in_a_slot_plans_at_that_hour(testapp: Any, tasks: Any, login_as: Any, clock: Any, db: Any) -> None:
    clock.move_to(NOON)
    me = login_as(tasks.person(time_zone="Europe/Moscow"))
    form = testapp.get("/tasks/schedule/new?start=2026-03-04T10:00&minutes=45").forms["plan-form"]
    form["title"], form["kind"] = "Показать каталог", "meeting"

    form.submit(status=303)

    entry = week(tasks.gate(me)).entries[0]
    assert (entry.task.title, entry.task.kind, entry.task.duration_min) == ("Показать каталог", "meeting", 45)
    assert entry.span.start == dt.datetime(2026, 3, 4, 10, tzinfo=MOSCOW)


def test_what_stands_in_calendars_costs_the_same_for_one_and_for_many(
    tasks: Any, factories: Any, clock: Any, query_counter: Any
) -> None:
    clock.move_to(at(6))
    team = factories.team()
    head = tasks.person("head", team_id=team.id)
    people = [tasks.person(team_id=team.id) for _ in range(4)]
    tasks.task(people[0], kind="call", due_at=at(9), rule=Rule(freq=DAILY, count=4))

    def counted() -> int:
        gate = tasks.gate(head)
        ids = [head.id, *(one.id for one in people)]
        with query_counter() as counter:
            schedule.calendar(gate, ids, at(0), at(0, day=9))
        return int(counter.count)

    few = counted()
    for one in people:
        for hour in range(8):
            tasks.task(one, kind="meeting", due_at=at(8 + hour))

    assert counted() == few
    assert few <= 6
