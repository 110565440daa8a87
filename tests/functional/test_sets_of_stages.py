"""A stage of deals starts a set of tasks: when somebody moves a deal there, not when a file brings one or undo does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.db import UNGATED
from crm_core.models.log import Operation
from crm_core.models.records import ImportRun
from crm_core.records import operations, undo
from crm_core.records.gate import Gate
from crm_core.records.importing import engine
from crm_core.records.importing.readers import open_table
from crm_core.records.work import in_languages

pytest.importorskip("crm_deals")
pytest.importorskip("crm_tasks")

from crm_deals.entities import DEALS
from crm_deals.models import Pipeline, Stage
from crm_deals.services import create_deal
from crm_tasks.models import Task
from crm_tasks.services import tasks as verbs
from crm_tasks.services import templates

_LOOK = {UNGATED: "a look at the result"}


@pytest.fixture(autouse=True)
def _both(plugins: Any) -> None:
    if not {"deals.deal", "tasks.task"} <= set(plugins.entities):
        pytest.skip("deals or tasks are off")


@pytest.fixture
def stages(db: Any) -> list[Any]:
    """The stages of the first pipeline."""
    pipeline = db.scalars(sa.select(Pipeline.id).order_by(Pipeline.position, Pipeline.id), execution_options=_LOOK)
    return list(
        db.scalars(
            sa.select(Stage).where(Stage.pipeline_id == pipeline.first()).order_by(Stage.position),
            execution_options=_LOOK,
        )
    )


@pytest.fixture
def manager(factories: Any) -> Any:
    """A manager of a department."""
    return factories.user("manager", team_id=factories.team().id)


@pytest.fixture
def waiting(db: Any, plugins: Any, factories: Any, stages: Any) -> Any:
    """A set of two tasks that the third stage starts."""
    gate = Gate(db, factories.subject(factories.user("administrator", name="Анна Иванова")), plugins)
    wanted = templates.save_set(
        gate,
        None,
        {
            "name": "Замер",
            "entity": "deals.deal",
            "trigger_event": "deals.deal.stage_changed",
            "trigger_entity": "deals.stage",
            "trigger_id": stages[2].id,
        },
    )
    for title, kind in (("Согласовать время", "call"), ("Провести замер", "meeting")):
        templates.save_line(gate, wanted, None, {"title": title, "kind": kind, "checklist": []})
    db.commit()
    return wanted


def made(db: Any) -> list[tuple[str, int, int]]:
    """Return the tasks that stand at deals: title, whose, of which deal."""
    rows = db.execute(
        sa.select(Task.title, Task.owner_id, Task.subject_id)
        .where(Task.subject_entity == "deals.deal", Task.deleted_at.is_(None))
        .order_by(Task.id),
        execution_options=_LOOK,
    )
    return [tuple(row) for row in rows]


def deal_of(db: Any, plugins: Any, factories: Any, manager: Any, stage: Any) -> Any:
    gate = Gate(db, factories.subject(manager), plugins)
    deal = create_deal(gate, name="Сделка с замером", stage_id=stage.id)
    db.commit()
    return deal


def to_stage(testapp: Any, deal: Any, stage: Any) -> Any:
    """Move a card as the script of the board does."""
    page = testapp.get(f"/deals/board/{stage.pipeline_id}")
    board = page.html.select_one("[data-board]")
    token = page.html.select_one("input[name=csrf_token]")["value"]
    return testapp.post(
        board["data-moving"],
        {"csrf_token": token, "id": deal.id, "column": stage.id, "version": deal.version},
    )


def test_a_card_that_is_moved_there_starts_the_set_once(
    testapp: Any, login_as: Any, db: Any, plugins: Any, factories: Any, manager: Any, stages: Any, waiting: Any
) -> None:
    deal = deal_of(db, plugins, factories, manager, stages[0])
    login_as(manager)

    to_stage(testapp, deal, stages[1])
    assert made(db) == []
    to_stage(testapp, deal, stages[2])
    started = made(db)
    to_stage(testapp, deal, stages[1])
    to_stage(testapp, deal, stages[2])

    assert started == [
        ("Согласовать время", manager.id, deal.id),
        ("Провести замер", manager.id, deal.id),
    ]
    assert made(db) == started


def test_what_undo_puts_back_starts_nothing_anew(
    testapp: Any, login_as: Any, db: Any, plugins: Any, factories: Any, manager: Any, stages: Any, waiting: Any
) -> None:
    deal = deal_of(db, plugins, factories, manager, stages[2])
    first = [number for (number,) in db.execute(sa.select(Task.id), execution_options=_LOOK)]
    gate = Gate(db, factories.subject(manager), plugins)
    for number in first:
        verbs.complete(gate, gate.get("tasks.task", number))
    db.commit()
    login_as(manager)
    to_stage(testapp, deal, stages[1])
    moved = db.scalar(sa.select(sa.func.max(Operation.id)))

    undo.undo(Gate(db, factories.subject(manager), plugins), moved)
    db.commit()

    assert Gate(db, factories.subject(manager), plugins).get("deals.deal", deal.id).stage_id == stages[2].id
    assert len(first) == 2
    assert len(made(db)) == 2


def test_what_a_file_brings_to_the_stage_starts_nothing(
    db: Any, plugins: Any, factories: Any, stages: Any, waiting: Any, tmp_path: Path
) -> None:
    path = tmp_path / "deals.csv"
    path.write_text(f"Название сделки;Этап сделки\nСтарая сделка;{stages[2].name}\nДругая;{stages[2].name}\n", "utf-8")
    gate, table = Gate(db, factories.subject(factories.user("administrator")), plugins), open_table(path)
    chosen = engine.Options(mapping=engine.guess(gate, DEALS, table, in_languages(plugins)))
    run = ImportRun(
        entity=DEALS.name, user_id=gate.subject.user_id, file_name=path.name, digest="0" * 64, options=chosen.to_json()
    )
    db.add(run)
    db.flush()
    importer = engine.Importer(gate, DEALS, table, chosen, in_languages(plugins))
    for rows in importer.batches(size=20):
        engine.step(importer, run, rows)
        db.commit()
    operations.finish(db, run.operation_id)
    db.commit()

    there = sa.text("SELECT count(*) FROM deals_deal WHERE stage_id = :stage")
    assert run.counts["created"] == 2
    assert db.scalar(there, {"stage": stages[2].id}) == 2
    assert made(db) == []
