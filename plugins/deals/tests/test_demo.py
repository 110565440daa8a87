"""The year of deals in the demo company: its figures, and what is there to be found."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core import clock, demo
from crm_core.people import sync_rights

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def filled(crm_servers: Any, plugins: Any) -> Any:
    """Fill one database for all these tests, which only read it."""
    from crm_core.db import make_engine, session_factory

    name = crm_servers.clone(plugins)
    engine = make_engine(crm_servers.url_of(name))
    factory = session_factory(engine)
    with factory() as session, session.begin():
        sync_rights(session, plugins)
    assert demo.fill(factory, plugins)
    with factory() as session:
        yield session
    engine.dispose()
    crm_servers.drop(name)


def rows(session: Any, statement: str) -> list[Any]:
    return session.execute(sa.text(statement)).all()


def one(session: Any, statement: str) -> Any:
    return session.scalar(sa.text(statement))


def test_a_year_of_deals_is_won_and_refused_as_such_firms_do(filled: Any) -> None:
    found = {
        row.name: row
        for row in rows(
            filled,
            "SELECT p.name, count(*) AS deals, 100.0 * count(*) FILTER (WHERE state = 'won') / "
            "nullif(count(*) FILTER (WHERE state <> 'open'), 0) AS won, avg(amount) AS average "
            "FROM deals_deal d JOIN deals_pipeline p ON p.id = d.pipeline_id GROUP BY p.name",
        )
    }

    wanted = (("Оборудование", 700, 45, 180_000), ("Монтаж под ключ", 181, 35, 1_100_000),
              ("Сервисные договоры", 260, 70, 95_000))  # fmt: skip
    for name, count, won, average in wanted:
        assert abs(found[name].deals - count) <= 3
        assert abs(float(found[name].won) - won) < 10
        assert abs(float(found[name].average) - average) < average * 0.15
    turnover = one(filled, "SELECT sum(amount) FROM deals_deal WHERE state = 'won'")
    assert Decimal(110_000_000) < turnover < Decimal(180_000_000)


def test_every_deal_has_gone_its_way_and_nothing_lies_in_the_future(filled: Any) -> None:
    assert one(filled, "SELECT count(*) FROM deals_stage_change WHERE at > now()") == 0
    assert one(filled, "SELECT count(*) FROM deals_deal d WHERE NOT EXISTS "
                       "(SELECT 1 FROM deals_stage_change c WHERE c.deal_id = d.id AND c.from_stage_id IS NULL)") == 0
    assert one(filled, "SELECT count(*) FROM deals_deal WHERE state = 'lost' AND reason_id IS NULL") == 0
    assert one(filled, "SELECT count(*) FROM deals_deal d WHERE lines_total IS NOT NULL AND lines_total <> "
                       "(SELECT sum(total) FROM deals_line l WHERE l.deal_id = d.id)") == 0  # fmt: skip


def test_reasons_of_refusal_are_as_usual(filled: Any) -> None:
    found = {
        row[0]: float(row[1])
        for row in rows(
            filled,
            "SELECT r.name, 100.0 * count(*) / sum(count(*)) OVER () FROM deals_deal d "
            "JOIN deals_reason r ON r.id = d.reason_id GROUP BY r.name",
        )
    }

    for name, share in (("Дорого", 31), ("Выбрали другого", 24), ("Перенесли", 18), ("Нет ответа", 17)):
        assert abs(found[name] - share) < 6


def test_what_a_manager_and_a_director_are_to_find(filled: Any, plugins: Any) -> None:
    idle = rows(filled, "SELECT last_activity_at, state FROM deals_deal WHERE amount = 2800000")
    assert len(idle) == 1
    assert clock.now() - idle[0].last_activity_at > dt.timedelta(days=20)
    assert one(filled, "SELECT count(*) FROM deals_deal WHERE discount_total > 15") >= 20
    assert one(filled, "SELECT count(*) FROM deals_deal WHERE discount_asked_at IS NOT NULL") == 3
    people = rows(
        filled,
        "SELECT u.email, sum(d.amount) AS turnover, 1 - sum(l.cost) / sum(d.amount) AS margin FROM deals_deal d "
        "JOIN core_user u ON u.id = d.owner_id JOIN (SELECT deal_id, sum(l.quantity * p.cost) AS cost "
        "FROM deals_line l JOIN deals_product p ON p.id = l.product_id GROUP BY deal_id) l ON l.deal_id = d.id "
        "WHERE d.state = 'won' GROUP BY u.email",
    )
    best = max(people, key=lambda row: row.turnover)
    assert best.email == "manager2@demo.example"
    assert best.margin == min(row.margin for row in people)
    if "tasks.task" in plugins.entities:
        without = rows(
            filled,
            "SELECT u.email, count(*) FROM deals_deal d JOIN core_user u ON u.id = d.owner_id WHERE d.state = 'open' "
            "AND u.status = 'active' AND NOT EXISTS (SELECT 1 FROM tasks_task t WHERE t.subject_entity = 'deals.deal' "
            "AND t.subject_id = d.id AND t.completed_at IS NULL) GROUP BY u.email",
        )
        assert [tuple(row) for row in without] == [("manager@demo.example", 6)]
        assert 8_000 < one(filled, "SELECT count(*) FROM tasks_task") < 10_000


def test_the_plan_of_the_month_is_nearly_reached(filled: Any) -> None:
    month = clock.today("Europe/Samara").replace(day=1)
    won = filled.scalar(
        sa.text(
            "SELECT sum(amount) FROM deals_deal WHERE state = 'won' "
            "AND (closed_at AT TIME ZONE 'Europe/Samara')::date >= :month"
        ),
        {"month": month},
    )
    target = filled.scalar(
        sa.text("SELECT amount FROM deals_target WHERE team_id IS NOT NULL AND month = :month"), {"month": month}
    )

    assert target is not None
    if won and won > 1_000_000:
        assert abs(won / target - Decimal("0.92")) < Decimal("0.01")


def test_a_year_of_leads_has_come_and_some_wait(filled: Any) -> None:
    found = {row.state: row.leads for row in rows(filled, "SELECT state, count(*) AS leads FROM deals_lead GROUP BY 1")}

    assert sum(found.values()) == 2400
    assert found["taken"] > 700
    assert found["linked"] > 450
    assert found["rejected"] > 900
    assert found["new"] == 18
    assert one(filled, "SELECT count(*) FROM deals_lead WHERE source = 'exhibition'") == 62
    assert one(filled, "SELECT count(*) FROM deals_lead WHERE state = 'new' AND owner_id IS NULL") >= 3
    # Who reacted did so after the lead had come, and what became a deal is known from both sides.
    assert not one(filled, "SELECT count(*) FROM deals_lead WHERE first_reaction_at < received_at")
    assert not one(
        filled,
        "SELECT count(*) FROM deals_lead l LEFT JOIN deals_deal d ON d.lead_id = l.id AND d.id = l.deal_id "
        "WHERE (l.state = 'taken') <> (d.id IS NOT NULL)",
    )
