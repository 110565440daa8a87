"""What will be sold: open deals by the month they are expected to close in, beside what is won and what was to be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from crm_core import clock
from crm_core.db import UNGATED
from crm_core.records.gate import Gate
from crm_core.records.listing import Listing, ListQuery
from crm_deals.entities import DEAL
from crm_deals.models import OPEN, WON, Deal, Line, Product

#: By what sums are told apart.
MONTH, PERSON, TEAM, GROUP = "month", "person", "team", "group"
KINDS = (MONTH, PERSON, TEAM, GROUP)

_PARTS_TOLD = "sums of deals by the groups of what is sold in them; the deals came through the gate"


@dataclass
class Sums:
    """What is open, what of it is likely, and what is won."""

    open_count: int = 0
    open: Decimal = Decimal(0)
    weighted: Decimal = Decimal(0)
    won_count: int = 0
    won: Decimal = Decimal(0)

    def add(self, other: Sums) -> None:
        """Take other sums into these."""
        self.open_count += other.open_count
        self.open += other.open
        self.weighted += other.weighted
        self.won_count += other.won_count
        self.won += other.won

    @property
    def best(self) -> Decimal:
        """What it is if everything goes well."""
        return self.won + self.open

    @property
    def likely(self) -> Decimal:
        """What is won, and what of the rest is likely."""
        return self.won + self.weighted


@dataclass
class Forecast:
    """Sums by month or by whatever is asked, with what stands outside of the months."""

    rows: dict[Any, Sums] = field(default_factory=dict)
    overdue: Sums = field(default_factory=Sums)
    """Open deals that were to close before the first month."""
    undated: Sums = field(default_factory=Sums)
    """Open deals of which nobody has said when they close."""

    def total(self) -> Sums:
        """Return everything within the months."""
        made = Sums()
        for row in self.rows.values():
            made.add(row)
        return made


def month_of(day: dt.date, ahead: int = 0) -> dt.date:
    """Return the first day of a month, so many months ahead."""
    index = day.year * 12 + day.month - 1 + ahead
    return dt.date(index // 12, index % 12 + 1, 1)


def months(first: dt.date, count: int) -> list[dt.date]:
    """Return the first days of so many months."""
    return [month_of(first, ahead) for ahead in range(count)]


def forecast(
    gate: Gate, query: ListQuery, by: str, first: dt.date, count: int, zone: dt.tzinfo, *, verb: str = "view"
) -> Forecast:
    """Return the sums of what a list query finds, through the gate; one statement."""
    listing = Listing(gate, gate.entity(DEAL))
    return _read(gate, listing.criteria(query, verb=verb, disjoint=True), by, first, count, zone)


def beyond(gate: Gate, query: ListQuery, first: dt.date, count: int, zone: dt.tzinfo) -> Sums | None:
    """Return the sums of deals that count for this person's figures but may not be opened; None where there are none.

    Only those who hold `deals:figures` are told.
    """
    scopes = gate.subject.scopes("deals:view")
    if not gate.may(DEAL, "figures") or "all" in scopes:
        return None
    listing = Listing(gate, gate.entity(DEAL))
    seen = sa.or_(*listing.criteria(query))
    hidden = [
        sa.and_(criterion, seen.is_not(sa.true()))
        for criterion in listing.criteria(query, verb="figures", disjoint=True)
    ]
    found = _read(gate, hidden, MONTH, first, count, zone).total()
    return found if found.open_count or found.won_count else None


def _read(
    gate: Gate, criteria: Sequence[Any], by: str, first: dt.date, count: int, zone: dt.tzinfo
) -> Forecast:
    last = month_of(first, count)
    start, end = clock.start_of_day(first, str(zone)), clock.start_of_day(last, str(zone))
    parts = []
    for criterion in criteria:
        is_open = sa.and_(criterion, Deal.state == OPEN)
        if by == MONTH:
            key: Any = sa.cast(sa.func.date_trunc("month", Deal.expected_close), sa.Date())
            is_open = sa.and_(is_open, sa.or_(Deal.expected_close.is_(None), Deal.expected_close < last))
            won_key: Any = sa.cast(
                sa.func.date_trunc("month", sa.func.timezone(str(zone), Deal.closed_at)), sa.Date()
            )
        else:
            key = won_key = {PERSON: Deal.owner_id, TEAM: Deal.team_id, GROUP: Product.group_id}[by]
            is_open = sa.and_(is_open, Deal.expected_close >= first, Deal.expected_close < last)
        won = sa.and_(criterion, Deal.state == WON, Deal.closed_at >= start, Deal.closed_at < end)
        parts += [_sums(by, OPEN, key, is_open), _sums(by, WON, won_key, won)]
    made = Forecast()
    if by == MONTH:
        made.rows = {month: Sums() for month in months(first, count)}
    rows = gate.session.execute(sa.union_all(*parts), execution_options={UNGATED: _PARTS_TOLD})
    for state, key, number, amount, weighted in rows:
        sums = Sums(number, amount, weighted) if state == OPEN else Sums(won_count=number, won=amount)
        if by != MONTH or key in made.rows:
            made.rows.setdefault(key, Sums()).add(sums)
        else:
            (made.undated if key is None else made.overdue).add(sums)
    return made


def _sums(by: str, state: str, key: Any, criterion: Any) -> Any:
    amount: Any = Deal.amount_base
    source: Any = Deal.__table__
    if by == GROUP:
        # A deal with products is what its lines are; one without is of no group.
        amount = sa.case(
            (Line.id.is_(None), Deal.amount_base),
            else_=Line.total * Deal.amount_base / sa.func.nullif(Deal.amount, 0),
        )
        source = source.outerjoin(Line.__table__, Line.deal_id == Deal.id)
        source = source.outerjoin(Product.__table__, Product.id == Line.product_id)
    return (
        sa.select(
            sa.literal(state, sa.Text()).label("state"),
            key.label("key"),
            sa.func.count(sa.distinct(Deal.id) if by == GROUP else sa.text("*")).label("number"),
            sa.func.coalesce(sa.func.sum(amount), 0).label("amount"),
            sa.func.coalesce(sa.func.sum(amount * Deal.probability / sa.literal_column("100.0")), 0).label("weighted"),
        )
        .select_from(source)
        .where(criterion)
        .group_by(sa.literal_column("2"))
    )
