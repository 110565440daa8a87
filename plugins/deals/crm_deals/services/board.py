"""The board of a pipeline: the first cards of every column and the sums of columns, one statement each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from crm_core.db import UNGATED
from crm_core.records.gate import Gate
from crm_core.records.listing import Listing, ListQuery
from crm_core.specs import Entity
from crm_deals.entities import DEAL, PIPELINE, STAGE
from crm_deals.models import OPEN, Deal, Pipeline, Stage

#: Cards of a column that come at once.
PAGE = 20

_STEP_TOLD = "whether there is a next step is told to whoever sees the deal; what it is called is asked of the gate"


@dataclass(frozen=True)
class Way:
    """A pipeline with its stages, in their order."""

    id: int
    name: str
    active: bool
    stages: tuple[Any, ...]


@dataclass(frozen=True)
class Total:
    """How many deals a column has and what they are worth, in the company's currency."""

    count: int = 0
    amount: Decimal = Decimal(0)


@dataclass
class Cards:
    """The first cards of a column, and whether there are more."""

    rows: list[Any] = field(default_factory=list)
    more: bool = False


def ways(gate: Gate) -> list[Way]:
    """Return the pipelines with their stages, in one statement."""
    rows = gate.session.execute(
        sa.select(
            Pipeline.id, Pipeline.name, Pipeline.active, Stage.id.label("stage_id"), Stage.name.label("stage"),
            Stage.color, Stage.kind, Stage.rot_days, Stage.probability, Stage.mover_roles, Stage.allowed_to,
        )
        .join(Stage, Stage.pipeline_id == Pipeline.id)
        .where(gate.criterion(PIPELINE), gate.criterion(STAGE))
        .order_by(Pipeline.active.desc(), Pipeline.position, Pipeline.id, Stage.position, Stage.id)
    ).all()  # fmt: skip
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.id, []).append(row)
    return [Way(some[0].id, some[0].name, some[0].active, tuple(some)) for some in found.values()]


def next_entity(gate: Gate) -> Entity | None:
    """Return the entity whose records are next steps, if any plugin has one."""
    return next((one for one in gate.plugins.entities.values() if one.next_step is not None), None)


class Board:
    """Asks for the cards and sums of columns, for what a list query finds."""

    def __init__(self, gate: Gate, query: ListQuery, listing: Listing | None = None) -> None:
        self.gate = gate
        self.listing = listing or Listing(gate, gate.entity(DEAL))
        self.query = query

    def cards(
        self, stages: Sequence[int], *, limit: int = PAGE, after: tuple[dt.datetime, int] | None = None
    ) -> dict[int, Cards]:
        """Return the first cards of columns, those that came last first; `after` goes on in the one column asked."""
        column = sa.func.unnest(sa.literal(list(stages), pg.ARRAY(sa.BigInteger())))
        stage = column.table_valued(sa.column("stage_id", sa.BigInteger())).render_derived(name="stages")
        parts = []
        for criterion in self.listing.criteria(self.query):
            first = sa.select(Deal.id, Deal.stage_since).where(criterion, Deal.stage_id == stage.c.stage_id)
            if after is not None:
                bound = sa.tuple_(sa.literal(after[0], Deal.stage_since.type), sa.literal(after[1], sa.BigInteger()))
                first = first.where(sa.tuple_(Deal.stage_since, Deal.id) < bound)
            newest = first.order_by(Deal.stage_since.desc(), Deal.id.desc()).limit(limit + 1).lateral()
            parts.append(
                sa.select(stage.c.stage_id, newest.c.id, newest.c.stage_since).join_from(stage, newest, sa.true())
            )
        found: dict[int, Cards] = {number: Cards() for number in stages}
        for row in self._shown(_merged(parts, limit)):
            cards = found[row.stage_id]
            if len(cards.rows) < limit:
                cards.rows.append(row)
            else:
                cards.more = True
        return found

    def of(self, ids: Sequence[int], stages: Sequence[int]) -> list[Any]:
        """Return those of the deals that stand on the board."""
        picked = (
            sa.select(Deal.id, Deal.stage_since)
            .where(
                Deal.id.in_(sorted(set(ids))),
                Deal.stage_id.in_(list(stages)),
                sa.or_(*self.listing.criteria(self.query)),
            )
            .subquery("picked")
        )
        return self._shown(picked)

    def totals(self, stages: Sequence[int]) -> dict[int, Total]:
        """Return count and sum of columns, each deal once, in one statement."""
        wanted = sa.literal(list(stages), pg.ARRAY(sa.BigInteger()))
        parts = [
            sa.select(
                Deal.stage_id,
                sa.func.count().label("count"),
                sa.func.coalesce(sa.func.sum(Deal.amount_base), 0).label("amount"),
            )
            .where(criterion, Deal.stage_id == sa.any_(wanted))
            .group_by(Deal.stage_id)
            for criterion in self.listing.criteria(self.query, disjoint=True)
        ]
        found: dict[int, Total] = {number: Total() for number in stages}
        for number, count, amount in self.gate.session.execute(parts[0] if len(parts) == 1 else sa.union_all(*parts)):
            known = found[number]
            found[number] = Total(known.count + count, known.amount + Decimal(amount or 0))
        return found

    def _shown(self, picked: Any) -> list[Any]:
        columns: list[Any] = [
            Deal.id, Deal.name, Deal.stage_id, Deal.stage_since, Deal.state, Deal.version, Deal.company_id,
            Deal.person_id, Deal.amount, Deal.currency, Deal.owner_id, Deal.expected_close, Deal.last_activity_at,
        ]  # fmt: skip
        steps = next_entity(self.gate)
        source: Any = sa.join(picked, Deal, Deal.id == picked.c.id)
        if steps is not None and steps.next_step is not None:
            step = steps.next_step(DEAL, Deal.id).lateral("step")
            source = source.outerjoin(step, sa.and_(sa.true(), Deal.state == OPEN))
            columns += [step.c.id.label("step_id"), step.c.at.label("step_at")]
        else:
            columns += [sa.null().label("step_id"), sa.null().label("step_at")]
        statement = (
            sa.select(*columns)
            .select_from(source)
            .where(self.gate.alive(DEAL))
            .order_by(picked.c.stage_since.desc(), Deal.id.desc())
        )
        return list(self.gate.session.execute(statement, execution_options={UNGATED: _STEP_TOLD}))


def _merged(parts: Sequence[Any], limit: int) -> Any:
    if len(parts) == 1:
        return parts[0].subquery("picked")
    # Branches of the gate overlap, but the first cards of their union are among the first of each.
    union = sa.union(*parts).subquery("branches")
    order = (union.c.stage_since.desc(), union.c.id.desc())
    place = sa.func.row_number().over(partition_by=union.c.stage_id, order_by=order).label("place")
    ranked = sa.select(union.c.id, union.c.stage_since, place).subquery("ranked")
    return sa.select(ranked.c.id, ranked.c.stage_since).where(ranked.c.place <= limit + 1).subquery("picked")


def idle_days(row: Any, now: dt.datetime) -> int:
    """Return for how many whole days nothing has happened with a deal: no move, no talk."""
    moments = [row.stage_since, *([row.last_activity_at] if row.last_activity_at is not None else [])]
    return max(0, (now - max(moments)).days)


def is_rotting(row: Any, rot_days: Mapping[int, int | None], now: dt.datetime) -> bool:
    """Tell whether an open deal stands in its stage for longer than the stage lets it."""
    allowed = rot_days.get(row.stage_id)
    return row.state == OPEN and allowed is not None and idle_days(row, now) >= allowed
