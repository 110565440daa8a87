"""Rows of deals beside clients and products: for blocks of cards, one statement each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from crm_core.db import UNGATED, RecordRef
from crm_core.records.gate import Gate
from crm_deals.entities import DEAL, SHORT_ROWS
from crm_deals.models import OPEN, Deal, Line, Party, Stage

MOST = 30


def of_client(gate: Gate, entity: str, number: int, limit: int = MOST) -> Sequence[Any]:
    """Return the deals of a client that one may see, as client or as a further party: open ones first."""
    column = Deal.company_id if entity == "clients.company" else Deal.person_id
    party = sa.select(Party.deal_id).where(Party.record_entity == entity, Party.record_id == number)
    return gate.session.execute(
        sa.select(
            Deal.id, Deal.name, Deal.amount, Deal.currency, Deal.state, Deal.expected_close, Deal.closed_at,
            Stage.name.label("stage"), Stage.color,
        )
        .join(Stage, Stage.id == Deal.stage_id)
        .where(sa.or_(column == number, Deal.id.in_(party)), gate.criterion(DEAL), gate.criterion("deals.stage"))
        .order_by(Deal.state != OPEN, Deal.created_at.desc(), Deal.id.desc())
        .limit(limit)
    ).all()  # fmt: skip


def short_of_client(gate: Gate, entity: str, number: int, limit: int = MOST) -> Sequence[Any]:
    """Return short rows of a client's deals: what was bought and when, without amounts."""
    column = Deal.company_id if entity == "clients.company" else Deal.person_id
    bought = (
        sa.select(sa.func.string_agg(Line.name, sa.literal(", ")))
        .where(Line.deal_id == Deal.id)
        .correlate(Deal)
        .scalar_subquery()
    )
    return gate.session.execute(
        sa.select(Deal.id, Deal.name, Deal.state, Deal.created_at, Deal.closed_at, bought.label("bought"))
        .where(column == number, gate.criterion(SHORT_ROWS))
        .order_by(Deal.created_at.desc(), Deal.id.desc())
        .limit(limit)
    ).all()


def bought(gate: Gate, deal_ids: Sequence[int]) -> dict[int, str]:
    """Return what was bought in deals that are open to the reader, in words."""
    if not deal_ids:
        return {}
    rows = gate.session.execute(
        sa.select(Line.deal_id, sa.func.string_agg(Line.name, sa.literal(", ")))
        .where(Line.deal_id.in_(list(deal_ids)))
        .group_by(Line.deal_id)
    )
    return {row[0]: row[1] for row in rows}


def of_product(gate: Gate, product_id: int, limit: int = MOST) -> Sequence[Any]:
    """Return the deals with a product that one may see, the newest first."""
    return gate.session.execute(
        sa.select(Deal.id, Deal.name, Deal.state, Deal.closed_at, Line.quantity, Line.unit, Line.total, Deal.currency)
        .join(Line, Line.deal_id == Deal.id)
        .where(Line.product_id == product_id, gate.criterion(DEAL))
        .order_by(Deal.created_at.desc(), Deal.id.desc())
        .limit(limit)
    ).all()


def clients_of(session: Any, deal_id: int) -> list[RecordRef]:
    """Return the company and the person of a deal: what was said with them is part of its history."""
    row = session.execute(
        sa.select(Deal.company_id, Deal.person_id).where(Deal.id == deal_id),
        execution_options={UNGATED: "the card of the deal is open, and the timeline asks the gate for the rest"},
    ).one_or_none()
    if row is None:
        return []
    pairs = (("clients.company", row.company_id), ("clients.person", row.person_id))
    return [RecordRef(entity, number) for entity, number in pairs if number is not None]
