"""The verbs of tasks, without a request."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core import events
from crm_core.db import UNGATED, RecordRef
from crm_core.forms import InvalidValues
from crm_core.models.notifications import Reminder as Told
from crm_core.models.work import Notification
from crm_core.records import operations, saving, timeline, undo
from crm_core.specs import Event
from crm_tasks import events as facts
from crm_tasks.entities import TASK, TASKS, next_step
from crm_tasks.models import Delegation, Observer, Task
from crm_tasks.services import checklist, dependencies, missed, overdue, reminders
from crm_tasks.services import tasks as verbs

NOW = dt.datetime(2026, 11, 23, 9, 0, tzinfo=dt.UTC)  # Monday noon in Moscow
PAST = {UNGATED: "a look at the result"}


@pytest.fixture(autouse=True)
def _noon(clock: Any) -> None:
    clock.move_to(NOW)


@pytest.fixture
def team(factories: Any) -> Any:
    return factories.team()


@pytest.fixture
def olga(tasks: Any, team: Any) -> Any:
    return tasks.person("manager", team_id=team.id, name="Ольга")


@pytest.fixture
def ivan(tasks: Any, team: Any) -> Any:
    return tasks.person("manager", team_id=team.id, name="Иван")


@pytest.fixture
def anna(tasks: Any, team: Any, db: Any) -> Any:
    head = tasks.person("head", team_id=team.id, name="Анна")
    team.head_id = head.id
    db.flush()
    return head


def told(db: Any, user: Any, kind: str) -> list[Notification]:
    return list(db.scalars(sa.select(Notification).where(Notification.user_id == user.id, Notification.kind == kind)))


def waiting(db: Any, task: Task) -> list[Told]:
    start = reminders.prefix(task.id)
    return list(db.scalars(sa.select(Told).where(Told.key.startswith(start), Told.fired_at.is_(None))))


# -- making and rights -------------------------------------------------------------------------------------------------


def test_a_task_is_made_for_oneself_with_the_usual_reminder(tasks: Any, olga: Any, db: Any) -> None:
    due = NOW + dt.timedelta(hours=3)

    task = tasks.task(olga, title="Позвонить", due_at=due)

    assert (task.owner_id, task.created_by, task.state, task.zone) == (olga.id, olga.id, "open", "Europe/Moscow")
    assert task.due_day == dt.date(2026, 11, 23)
    (reminder,) = waiting(db, task)
    assert (reminder.user_id, reminder.at) == (olga.id, due - dt.timedelta(minutes=15))


def test_a_task_for_the_whole_day_is_due_at_its_end_and_reminds_in_the_morning(
    tasks: Any, olga: Any, db: Any
) -> None:
    task = tasks.task(olga, due_at=NOW + dt.timedelta(days=1), all_day=True)

    assert task.due_at == dt.datetime(2026, 11, 24, 20, 59, 59, tzinfo=dt.UTC)
    assert task.due_day == dt.date(2026, 11, 24)
    (reminder,) = waiting(db, task)
    assert reminder.at == dt.datetime(2026, 11, 24, 6, 0, tzinfo=dt.UTC)


def test_a_manager_gives_tasks_within_his_department_only(tasks: Any, olga: Any, ivan: Any, factories: Any) -> None:
    stranger = tasks.person("manager", team_id=factories.team().id)

    assert tasks.task(olga, ivan).owner_id == ivan.id
    with pytest.raises(saving.NotAllowed):
        tasks.task(olga, stranger)


def test_somebody_without_a_role_makes_tasks_for_himself_and_completes_them(tasks: Any, olga: Any, team: Any) -> None:
    user = tasks.person("user", team_id=team.id)
    own = tasks.task(user)
    given = tasks.task(olga, user)

    with pytest.raises(saving.NotAllowed):
        tasks.task(user, olga)
    verbs.complete(tasks.gate(user), given)
    with pytest.raises(saving.NotAllowed):
        verbs.postpone(tasks.gate(user), own, "tomorrow")

    assert given.state == "done"


def test_who_sees_a_task(tasks: Any, olga: Any, ivan: Any, anna: Any, team: Any, factories: Any) -> None:
    watcher = tasks.person("marketer", team_id=factories.team().id)
    stranger = tasks.person("manager", team_id=factories.team().id)
    colleague = tasks.person("manager", team_id=team.id)
    task = tasks.task(olga, ivan, observers=[watcher.id])

    def sees(user: Any) -> bool:
        return task.id in tasks.gate(user).visible_ids(TASK, [task.id])

    seen = {name: sees(user) for name, user in {
        "author": olga, "assignee": ivan, "head": anna, "observer": watcher, "colleague": colleague,
        "stranger": stranger, "director": tasks.person("director"), "administrator": tasks.person("administrator"),
    }.items()}  # fmt: skip

    assert seen == {
        "author": True, "assignee": True, "head": True, "observer": True, "colleague": False, "stranger": False,
        "director": True, "administrator": True,
    }  # fmt: skip
    kinds = {reason.kind for reason in tasks.gate(watcher).why(TASK, task.id)}
    assert kinds == {"named:observer"}


@pytest.mark.parametrize(
    ("role", "verb", "author", "assignee", "other"),
    [
        ("administrator", "edit", True, True, True),
        ("director", "edit", True, True, False),
        ("head", "edit", True, True, True),
        ("manager", "edit", True, False, False),
        ("manager", "complete", True, True, False),
        ("manager", "delete", True, False, False),
        ("user", "edit", False, False, False),
        ("user", "complete", False, True, False),
        ("user", "delete", False, False, False),
        ("moderator", "edit", True, False, False),
    ],
)
def test_verbs_of_roles(
    tasks: Any, team: Any, db: Any, ivan: Any, olga: Any, role: str, verb: str, author: bool, assignee: bool,
    other: bool,
) -> None:
    person = tasks.person(role, team_id=team.id)
    if role == "head":
        team.head_id = person.id
    system = tasks.gate()
    made = {
        "author": verbs.create(system, title="1", owner_id=ivan.id, created_by=person.id),
        "assignee": verbs.create(system, title="2", owner_id=person.id, created_by=olga.id),
        "other": verbs.create(system, title="3", owner_id=ivan.id, created_by=olga.id),
    }
    gate = tasks.gate(person)

    allowed = {name: gate.allows(verb, task, TASKS) for name, task in made.items()}

    assert allowed == {"author": author, "assignee": assignee, "other": other}


def test_a_bulk_assignment_reaches_only_whom_one_may_give_tasks(
    tasks: Any, olga: Any, ivan: Any, factories: Any
) -> None:
    stranger = tasks.person("manager", team_id=factories.team().id)
    task = tasks.task(olga)
    gate = tasks.gate(olga)

    with pytest.raises(InvalidValues):
        saving.assign(gate, TASKS, [task.id], stranger.id)
    assert saving.assign(gate, TASKS, [task.id], ivan.id).changed == (task.id,)


# -- doing -------------------------------------------------------------------------------------------------------------


def test_a_task_is_done_with_its_result_and_reminds_no_more(tasks: Any, olga: Any, db: Any) -> None:
    task = tasks.task(olga, due_at=NOW + dt.timedelta(hours=3))
    heard: list[Any] = []
    tasks.session.info["heard"] = heard

    verbs.complete(tasks.gate(olga), task, "Договорились о встрече")

    assert (task.state, task.progress, task.result) == ("done", 100, "Договорились о встрече")
    assert (task.completed_at, task.completed_by) == (NOW, olga.id)
    assert waiting(db, task) == []


def test_the_assignee_gives_the_next_step_while_completing(tasks: Any, olga: Any, db: Any) -> None:
    subject = RecordRef(TASK, tasks.task(olga).id)
    task = tasks.task(olga, subject=subject)
    gate = tasks.gate(olga)

    alone = verbs.complete(gate, task)
    verbs.reopen(gate, task)
    outcome = verbs.complete(gate, task, then={"title": "Перезвонить", "kind": "call"})

    assert alone.needs_next
    assert not outcome.needs_next
    assert outcome.next_step is not None
    assert outcome.next_step.subject == subject


def test_completing_is_taken_back_by_undo(tasks: Any, olga: Any, db: Any, clock: Any) -> None:
    task = tasks.task(olga, due_at=NOW + dt.timedelta(hours=3))
    number = task.id
    gate = tasks.gate(olga)
    operation = operations.begin(db, gate.subject, kind="edit")
    verbs.complete(gate, task, "Готово")

    undo_id = undo.start(gate, operation)
    report = undo.step(gate, undo_id)

    db.expire_all()
    again = gate.get(TASK, number)
    assert report.conflicts == []
    assert (again.state, again.completed_at, again.result) == ("open", None, None)
    assert len(waiting(db, again)) == 1


def test_the_board_moves_tasks_by_the_verbs(tasks: Any, olga: Any) -> None:
    task = tasks.task(olga)
    gate = tasks.gate(olga)

    states = []
    for state in ("in_progress", "waiting", "done", "open"):
        verbs.set_state(gate, task, state)
        states.append((task.state, task.completed_at is not None))

    assert states == [("in_progress", False), ("waiting", False), ("done", True), ("open", False)]
    assert task.start_at == NOW


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("tomorrow", dt.datetime(2026, 11, 24, 11, 30, tzinfo=dt.UTC)),
        ("working_day", dt.datetime(2026, 11, 24, 11, 30, tzinfo=dt.UTC)),
        ("week", dt.datetime(2026, 11, 30, 11, 30, tzinfo=dt.UTC)),
        (dt.date(2027, 3, 1), dt.datetime(2027, 3, 1, 11, 30, tzinfo=dt.UTC)),
    ],
)
def test_postponing_keeps_the_hour_and_moves_the_reminder(
    tasks: Any, olga: Any, db: Any, to: Any, expected: dt.datetime
) -> None:
    task = tasks.task(olga, due_at=dt.datetime(2026, 11, 20, 11, 30, tzinfo=dt.UTC))

    verbs.postpone(tasks.gate(olga), task, to)

    assert task.due_at == expected
    (reminder,) = waiting(db, task)
    assert reminder.at == expected - dt.timedelta(minutes=15)


def test_the_next_working_day_leaves_out_the_weekend(tasks: Any, olga: Any, clock: Any) -> None:
    clock.move_to(dt.datetime(2026, 11, 27, 9, 0, tzinfo=dt.UTC))
    task = tasks.task(olga, due_at=dt.datetime(2026, 11, 27, 7, 0, tzinfo=dt.UTC))

    verbs.postpone(tasks.gate(olga), task, "working_day")

    assert task.due_at == dt.datetime(2026, 11, 30, 7, 0, tzinfo=dt.UTC)


def test_wall_time_stays_when_clocks_move(tasks: Any, olga: Any, clock: Any, db: Any) -> None:
    olga.time_zone = "Europe/Berlin"
    clock.move_to(dt.datetime(2026, 10, 24, 8, 0, tzinfo=dt.UTC))  # the night after, summer time ends
    task = tasks.task(olga, due_at=dt.datetime(2026, 10, 24, 8, 30, tzinfo=dt.UTC))

    verbs.postpone(tasks.gate(olga), task, "tomorrow")

    assert task.due_at == dt.datetime(2026, 10, 25, 9, 30, tzinfo=dt.UTC)


def test_a_task_goes_from_hand_to_hand_with_a_trace(tasks: Any, olga: Any, ivan: Any, anna: Any, db: Any) -> None:
    task = tasks.task(anna, olga, title="Замер", due_at=NOW + dt.timedelta(hours=5))

    verbs.reassign(tasks.gate(olga), task, ivan.id, "Я в отпуске")

    (step,) = db.scalars(sa.select(Delegation).where(Delegation.task_id == task.id)).all()
    assert (step.from_id, step.to_id, step.by_id, step.note) == (olga.id, ivan.id, olga.id, "Я в отпуске")
    assert db.scalars(sa.select(Observer.user_id).where(Observer.task_id == task.id)).all() == [olga.id]
    assert [one.entity for one in told(db, ivan, facts.GIVEN)] == [TASK]
    assert {one.user_id for one in waiting(db, task)} == {ivan.id}
    assert tasks.gate(olga).visible_ids(TASK, [task.id]) == {task.id}


# -- checklist, subtasks, dependencies ---------------------------------------------------------------------------------


def test_progress_comes_from_checklist_and_subtasks_unless_set_by_hand(tasks: Any, olga: Any, db: Any) -> None:
    gate = tasks.gate(olga)
    task = tasks.task(olga, checklist=["Один", "Два"])
    part = tasks.task(olga, parent_id=task.id)
    lines = checklist.lines(gate, task)
    seen = []

    checklist.tick(gate, task, lines[0].id, True)
    seen.append(task.progress)
    verbs.set_progress(gate, part, 50)
    seen.append(task.progress)
    verbs.complete(gate, part)
    seen.append(task.progress)
    verbs.set_progress(gate, task, 10)
    checklist.tick(gate, task, lines[1].id, True)
    seen.append(task.progress)
    verbs.set_progress(gate, task, None)
    seen.append(task.progress)

    assert seen == [33, 50, 67, 10, 100]


def test_dependencies_make_no_circle_and_a_blocked_task_says_by_what(tasks: Any, olga: Any) -> None:
    gate = tasks.gate(olga)
    first, second, third = (tasks.task(olga, title=title) for title in ("Замер", "Проект", "Монтаж"))
    dependencies.add(gate, second, first.id)
    dependencies.add(gate, third, second.id)

    for needs in (third.id, first.id):
        with pytest.raises(InvalidValues):
            dependencies.add(gate, first, needs)
    with pytest.raises(dependencies.Blocked) as blocked:
        verbs.start(gate, third)
    assert blocked.value.names == ("Проект",)

    verbs.complete(gate, first)
    verbs.complete(gate, second)
    assert verbs.complete(gate, third).task.state == "done"


def test_what_blocks_is_not_named_to_whoever_may_not_see_it(tasks: Any, olga: Any, ivan: Any) -> None:
    secret = tasks.task(olga, title="Тайна")
    task = tasks.task(olga, ivan)
    dependencies.add(tasks.gate(olga), task, secret.id)

    with pytest.raises(dependencies.Blocked) as blocked:
        verbs.complete(tasks.gate(ivan), task)

    assert (blocked.value.names, blocked.value.count) == ((), 1)
    needed, _waiting = dependencies.links(tasks.gate(ivan), task)
    assert [(one.id, one.title) for one in needed] == [(secret.id, "")]


# -- of records --------------------------------------------------------------------------------------------------------


def test_the_next_step_is_the_earliest_open_task(tasks: Any, olga: Any, db: Any) -> None:
    about = tasks.task(olga)
    subject = RecordRef(TASK, about.id)
    late = tasks.task(olga, subject=subject, due_at=NOW + dt.timedelta(days=2))
    soon = tasks.task(olga, subject=subject, due_at=NOW + dt.timedelta(days=1))
    statement = next_step(TASK, sa.literal(about.id))

    first = db.execute(statement, execution_options=PAST).one()
    verbs.complete(tasks.gate(olga), soon)
    second = db.execute(statement, execution_options=PAST).one()

    assert (first.id, first.at) == (soon.id, soon.due_at)
    assert second.id == late.id


def test_a_done_task_stands_in_the_timeline_of_its_record_and_an_open_one_does_not(tasks: Any, olga: Any) -> None:
    subject = RecordRef(TASK, tasks.task(olga).id)
    done, _open = tasks.task(olga, subject=subject, title="Сделано"), tasks.task(olga, subject=subject)
    gate = tasks.gate(olga)
    verbs.complete(gate, done, "Хорошо")

    moments = timeline.page(gate, subject).items

    assert [(one.record.id, one.entry.text) for one in moments] == [(done.id, "Сделано")]


def test_tasks_go_to_the_trash_with_their_record_and_come_back(tasks: Any, olga: Any) -> None:
    about = tasks.task(olga)
    task = tasks.task(olga, subject=RecordRef(TASK, about.id))
    gate = tasks.gate(olga)
    other = tasks.task(olga)

    # Tasks hang on anything, also on tasks of another kind of work; the core sees to it for every entity alike.
    saving.trash(gate, TASKS, [other.id])
    assert gate.get(TASK, other.id) is None
    saving.restore(gate, TASKS, [other.id])
    assert gate.get(TASK, other.id) is not None
    assert gate.get(TASK, task.id) is not None


# -- by itself ---------------------------------------------------------------------------------------------------------


def test_overdue_is_told_once_for_each_due_and_the_head_hears_of_it_later(
    tasks: Any, olga: Any, anna: Any, db: Any, clock: Any
) -> None:
    task = tasks.task(olga, title="Отчёт", due_at=NOW + dt.timedelta(hours=1))
    system = tasks.gate()

    def run() -> tuple[int, int]:
        return overdue.mark(system), overdue.escalate(system)

    assert run() == (0, 0)
    clock.tick(hours=2)
    assert [run(), run()] == [(1, 0), (0, 0)]
    assert len(told(db, olga, facts.OVERDUE)) == 1
    clock.tick(days=3, minutes=1)
    assert [run(), run()] == [(0, 1), (0, 0)]
    assert len(told(db, anna, facts.ESCALATED)) == 1
    verbs.postpone(tasks.gate(olga), task, "tomorrow")
    clock.tick(days=2)
    assert run() == (1, 0)
    assert len(told(db, olga, facts.OVERDUE)) == 2


def test_a_missed_call_becomes_one_task_of_the_responsible(tasks: Any, olga: Any, ivan: Any, db: Any) -> None:
    about = tasks.task(olga)
    payload = {
        "id": 17, "entity": TASK, "record_id": about.id, "user_id": ivan.id, "number": "+78125555555",
        "at": NOW.isoformat(),
    }  # fmt: skip
    system = tasks.gate()

    task = missed.call_back(system, payload)
    again = missed.call_back(system, payload)

    assert task is not None
    assert again is None
    assert (task.kind, task.owner_id, task.priority) == ("call", olga.id, "high")
    assert task.subject == RecordRef(TASK, about.id)
    assert task.due_at == NOW + dt.timedelta(minutes=15)
    assert "+78125555555" in task.title
    assert len(told(db, olga, facts.GIVEN)) == 1


def test_a_missed_call_of_an_unknown_number_goes_to_whoever_was_called(tasks: Any, ivan: Any) -> None:
    payload = {"id": 18, "entity": None, "record_id": None, "user_id": ivan.id, "number": "+79990000000", "at": None}

    task = missed.call_back(tasks.gate(), payload)

    assert task is not None
    assert (task.owner_id, task.subject) == (ivan.id, None)


def test_the_fact_of_another_plugin_is_heard_by_its_name(tasks: Any, olga: Any, db: Any, plugins: Any) -> None:
    if facts.MISSED_CALL not in plugins.event_types:
        pytest.skip("the plugin calls is off")
    gate = tasks.gate()
    payload = {"id": 19, "entity": None, "record_id": None, "user_id": olga.id, "number": "1", "at": NOW.isoformat()}

    events.fire(db, Event(facts.MISSED_CALL, payload), plugins=plugins, subject=gate.subject)

    made = db.scalars(sa.select(Task).where(Task.origin == "calls.call:19"), execution_options=PAST).one()
    assert made.owner_id == olga.id


def test_reminders_of_ones_own_replace_the_usual_one(tasks: Any, olga: Any, db: Any) -> None:
    due = NOW + dt.timedelta(days=3)
    task = tasks.task(olga, due_at=due, remind=[60, 1440])

    assert {one.at for one in waiting(db, task)} == {due - dt.timedelta(hours=1), due - dt.timedelta(days=1)}
    reminders.replace(tasks.gate(olga), task, [])
    assert waiting(db, task) == []
    saving.trash(tasks.gate(olga), TASKS, [task.id])
    assert waiting(db, task) == []
