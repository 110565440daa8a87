"""The next step of deals: the earliest thing still to do about each, of whatever plugin provides such things."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from crm_core.db import UNGATED
from crm_core.records.gate import Gate
from crm_core.specs import Entity
from crm_deals.entities import DEAL
from crm_deals.models import Deal


@dataclass(frozen=True)
class NextStep:
    """The next step of a deal; the label is empty where the reader may not see the record itself."""

    entity: str
    id: int
    at: dt.datetime | None
    label: str = ""
    href: str = ""


def provider(gate: Gate) -> Entity | None:
    """Return the entity whose records are next steps; None where no such plugin is on."""
    return next((one for one in gate.plugins.entities.values() if one.next_step is not None), None)


def next_steps(gate: Gate, deal_ids: Sequence[int]) -> dict[int, NextStep]:
    """Return the next steps of deals that are open to the reader, in two statements; those without one are left out."""
    entity = provider(gate)
    if entity is None or entity.next_step is None or not deal_ids:
        return {}
    step = entity.next_step(DEAL, Deal.id).lateral("step")
    rows = gate.session.execute(
        sa.select(Deal.id, step.c.id, step.c.at).select_from(Deal).join(step, sa.true()).where(
            Deal.id.in_(list(deal_ids))
        ),
        execution_options={UNGATED: "the deals came through the gate, and names of what is to do are asked of it"},
    ).all()  # fmt: skip
    labels = gate.labels(entity, [row[1] for row in rows])
    return {
        row[0]: NextStep(
            entity.name, row[1], row[2], labels.get(row[1], ""), f"{entity.url}/{row[1]}" if row[1] in labels else ""
        )
        for row in rows
    }
