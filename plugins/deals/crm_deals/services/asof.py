"""A pipeline as it stood on a day, from the typed history of stages, and what has moved since."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from crm_core.records.gate import Gate
from crm_deals.entities import DEAL
from crm_deals.models import LOST, WON, Deal, StageChange
from crm_deals.services.board import Total

PAGE = 50


@dataclass
class Since:
    """A column then and now, and how it came to be so."""

    then: Total = field(default_factory=Total)
    now: Total = field(default_factory=Total)
    came: Total = field(default_factory=Total)
    left: Total = field(default_factory=Total)


@dataclass
class Stood:
    """A pipeline as it stood, and what became of it."""

    stages: dict[int, Since] = field(default_factory=dict)
    fresh: Total = field(default_factory=Total)
    """What came into the pipeline since."""
    gone: Total = field(default_factory=Total)
    """What left it for another one."""
    won: Total = field(default_factory=Total)
    lost: Total = field(default_factory=Total)


def _plus(total: Total, count: int, amount: Decimal | None) -> Total:
    return Total(total.count + count, total.amount + (amount or Decimal(0)))


def _then(gate: Gate, pipeline_id: int, instant: dt.datetime) -> Any:
    """Return the deals that may be seen and were or are in the pipeline, each with where it stood."""
    was_there = sa.select(StageChange.deal_id).where(
        StageChange.pipeline_id == pipeline_id, StageChange.at < instant
    )
    last = (
        sa.select(StageChange.pipeline_id, StageChange.to_stage_id, StageChange.to_state, StageChange.amount_base)
        .where(StageChange.deal_id == Deal.id, StageChange.at < instant)
        .order_by(StageChange.at.desc(), StageChange.id.desc())
        .limit(1)
        .lateral("stood")
    )
    there = last.c.pipeline_id == pipeline_id
    return (
        gate.select(
            DEAL,
            Deal.id, Deal.name, Deal.company_id, Deal.person_id, Deal.owner_id, Deal.stage_id, Deal.state,
            (Deal.pipeline_id == pipeline_id).label("is_here"),
            Deal.amount_base.label("amount_now"),
            sa.case((there, last.c.to_stage_id)).label("then_stage"),
            sa.case((there, last.c.to_state)).label("then_state"),
            sa.case((there, last.c.amount_base)).label("then_amount"),
        )
        .join(last, sa.true(), isouter=True)
        .where(sa.or_(Deal.pipeline_id == pipeline_id, Deal.id.in_(was_there)))
        .subquery("deals")
    )  # fmt: skip


def stood(gate: Gate, pipeline_id: int, stages: Sequence[int], instant: dt.datetime) -> Stood:
    """Return the columns then and now, and what was won, lost, came and left between; one statement."""
    deals = _then(gate, pipeline_id, instant)
    keys = (deals.c.then_stage, deals.c.then_state, deals.c.stage_id, deals.c.state, deals.c.is_here)
    rows = gate.session.execute(
        sa.select(
            *keys,
            sa.func.count().label("number"),
            sa.func.sum(deals.c.then_amount).label("then_amount"),
            sa.func.sum(deals.c.amount_now).label("amount_now"),
        ).group_by(*keys)
    )
    made = Stood({number: Since() for number in stages})
    for row in rows:
        was, present = row.then_stage, row.stage_id if row.is_here else None
        if was == present is None:
            continue
        if was in made.stages:
            column = made.stages[was]
            column.then = _plus(column.then, row.number, row.then_amount)
            if was != present:
                column.left = _plus(column.left, row.number, row.then_amount)
        if present in made.stages:
            column = made.stages[present]
            column.now = _plus(column.now, row.number, row.amount_now)
            if was != present:
                column.came = _plus(column.came, row.number, row.amount_now)
        if was is None:
            made.fresh = _plus(made.fresh, row.number, row.amount_now)
        if present is None:
            made.gone = _plus(made.gone, row.number, row.then_amount)
        if row.state == WON and row.then_state != WON:
            made.won = _plus(made.won, row.number, row.amount_now)
        if row.state == LOST and row.then_state != LOST:
            made.lost = _plus(made.lost, row.number, row.amount_now)
    return made


def page(
    gate: Gate, pipeline_id: int, instant: dt.datetime, *, stage: int | None = None, after: int = 0, limit: int = PAGE
) -> tuple[list[Any], int]:
    """Return deals that stood in the pipeline (in a column), and after which the next page begins (0: nowhere)."""
    deals = _then(gate, pipeline_id, instant)
    statement = sa.select(deals).where(deals.c.then_stage.is_not(None))
    if stage is not None:
        statement = statement.where(deals.c.then_stage == stage)
    if after:
        statement = statement.where(deals.c.id < after)
    rows = list(gate.session.execute(statement.order_by(deals.c.id.desc()).limit(limit + 1)))
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else 0
