"""Sets of tasks: made by hand, and by the facts of others."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core import events
from crm_core.db import UNGATED, RecordRef
from crm_core.records import saving
from crm_core.specs import Event
from crm_tasks.entities import TASK
from crm_tasks.models import Task
from crm_tasks.services import tasks as verbs
from crm_tasks.services import templates

NOW = dt.datetime(2026, 11, 26, 9, 0, tzinfo=dt.UTC)  # a Thursday
PAST = {UNGATED: "a look at the result"}


@pytest.fixture
def admin(tasks: Any, clock: Any) -> Any:
    clock.move_to(NOW)
    return tasks.person("administrator")


@pytest.fixture
def olga(tasks: Any, factories: Any) -> Any:
    return tasks.person("manager", team_id=factories.team().id)


def make_set(tasks: Any, admin: Any, *lines: dict[str, Any], **values: Any) -> Any:
    gate = tasks.gate(admin)
    wanted = templates.save_set(gate, None, {"name": "Замер", **values})
    for line in lines:
        templates.save_line(gate, wanted, None, {"checklist": [], **line})
    return wanted


def test_a_set_is_made_with_dues_in_working_days(tasks: Any, admin: Any, olga: Any) -> None:
    wanted = make_set(
        tasks, admin,
        {"title": "Согласовать", "kind": "call", "due_days": 0},
        {"title": "Замер", "kind": "meeting", "due_days": 2, "due_time": "11:00", "checklist": ["Дальномер"]},
    )  # fmt: skip
    about = tasks.task(olga)

    made = templates.apply(tasks.gate(olga), wanted, RecordRef(TASK, about.id))

    assert [(one.title, one.owner_id, one.due_day, one.all_day) for one in made] == [
        ("Согласовать", olga.id, dt.date(2026, 11, 26), True),
        ("Замер", olga.id, dt.date(2026, 11, 30), False),
    ]
    assert made[1].due_at == dt.datetime(2026, 11, 30, 8, 0, tzinfo=dt.UTC)


def test_whose_tasks_of_a_set_are(tasks: Any, admin: Any, olga: Any, factories: Any) -> None:
    busy, idle = (tasks.person("specialist", team_id=factories.team().id) for _number in range(2))
    tasks.task(busy)
    about = tasks.task(olga)
    wanted = make_set(
        tasks, admin,
        {"title": "1", "assignee": "responsible"},
        {"title": "2", "assignee": "role", "role": "specialist"},
        {"title": "3", "assignee": "person", "user_id": busy.id},
        {"title": "4", "assignee": "starter"},
    )  # fmt: skip

    made = templates.apply(tasks.gate(admin), wanted, RecordRef(TASK, about.id))

    assert [one.owner_id for one in made] == [olga.id, idle.id, busy.id, admin.id]


def test_a_fact_of_another_plugin_starts_a_set_and_does_not_start_it_twice(
    tasks: Any, admin: Any, olga: Any, plugins: Any, db: Any
) -> None:
    if "clients.company" not in plugins.entities:
        pytest.skip("the plugin clients is off")
    fact, entity = "clients.company.created", plugins.entity("clients.company")
    make_set(tasks, admin, {"title": "Познакомиться"}, trigger_event=fact, entity=entity.name)
    company = saving.create(tasks.gate(admin), entity, {"name": "Ромашка", "owner_id": olga.id})

    def made() -> list[Task]:
        statement = sa.select(Task).where(Task.subject_entity == "clients.company", Task.subject_id == company.id)
        return list(db.scalars(statement, execution_options=PAST))

    (task,) = made()
    payload = {"ids": [company.id], "entity": "clients.company"}
    told = Event("clients.company.created", payload)
    events.fire(db, told, plugins=plugins, subject=tasks.gate(admin).subject)

    assert (task.title, task.owner_id, task.created_by) == ("Познакомиться", olga.id, admin.id)
    assert len(made()) == 1
    verbs.complete(tasks.gate(olga), task)
    events.fire(db, told, plugins=plugins, subject=tasks.gate(admin).subject)
    assert len(made()) == 2


def test_the_fact_must_tell_of_the_chosen_record(tasks: Any, admin: Any) -> None:
    wanted = make_set(
        tasks, admin, trigger_event="deals.deal.stage_changed", trigger_entity="deals.stage", trigger_id=7
    )  # fmt: skip

    assert templates.matches(wanted, {"ids": [1], "stage": 7})
    assert templates.matches(wanted, {"ids": [1], "stage_id": 7})
    assert not templates.matches(wanted, {"ids": [1], "stage": 8})
    assert not templates.matches(wanted, {"ids": [1]})


def test_who_may_edit_sets(tasks: Any, admin: Any, olga: Any) -> None:
    with pytest.raises(saving.NotAllowed):
        templates.save_set(tasks.gate(olga), None, {"name": "Мой"})
