"""Lines of a deal: quantity, price, discounts, VAT of the deal's day; their totals make its amount."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import sqlalchemy as sa

from crm_core import clock
from crm_core.db import UNGATED
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_deals.entities import DEAL, PRODUCT
from crm_deals.i18n import _
from crm_deals.models import Deal, Line, Product, VatRate
from crm_deals.services import discounts

KOPECK = Decimal("0.01")
HUNDRED = Decimal(100)
NO_VAT = "none"
MOST_LINES = 300


@dataclass(frozen=True)
class DraftLine:
    """A line as it is typed: everything that is not counted."""

    name: str
    quantity: Decimal
    price: Decimal
    discount_percent: Decimal = Decimal(0)
    unit: str = "pcs"
    vat_code: str | None = None
    product_id: int | None = None

    @classmethod
    def of(cls, line: Any) -> DraftLine:
        """Return what was typed of a line."""
        return cls(
            name=line.name,
            quantity=line.quantity,
            price=line.price,
            discount_percent=line.discount_percent,
            unit=line.unit,
            vat_code=line.vat_code,
            product_id=line.product_id,
        )


@dataclass(frozen=True)
class Counted:
    """A line with what is to be paid for it and the VAT in that."""

    line: DraftLine
    gross: Decimal
    """As the prices say, without discounts."""
    rate: Decimal | None
    vat: Decimal
    total: Decimal


@dataclass(frozen=True)
class Totals:
    """What the lines of a deal come to; `total` is the sum of the lines' totals, to the kopeck."""

    lines: tuple[Counted, ...]
    gross: Decimal
    discount: Decimal
    vat: Decimal
    total: Decimal

    @property
    def discount_percent(self) -> Decimal:
        """All discounts together, in percent of what the prices say."""
        return money(self.discount * HUNDRED / self.gross) if self.gross else Decimal(0)


def money(value: Decimal) -> Decimal:
    """Round to kopecks, halves up."""
    return value.quantize(KOPECK, ROUND_HALF_UP)


@dataclass(frozen=True)
class VatTable:
    """The dated table of VAT, read once."""

    rates: tuple[tuple[str, dt.date, Decimal | None], ...]

    @classmethod
    def read(cls, session: Any) -> VatTable:
        """Read the table."""
        rows = session.execute(sa.select(VatRate.code, VatRate.since, VatRate.rate).order_by(VatRate.since))
        return cls(tuple((row.code, row.since, row.rate) for row in rows))

    def rate(self, code: str | None, day: dt.date) -> Decimal | None:
        """Return the rate of a code on a day, in percent; None: without VAT."""
        found: Decimal | None = None
        for known, since, rate in self.rates:
            if known == code and since <= day:
                found = rate
        return found


def totals(
    lines: Iterable[DraftLine],
    vat_mode: str,
    day: dt.date,
    table: VatTable,
    discount_percent: Decimal | None = None,
) -> Totals:
    """Count lines: each is rounded to kopecks, and the whole is their sum.

    `discount_percent` is on the whole, after the discounts of lines. With `included` the VAT is taken out of the
    total, with `on_top` it is added to it.
    """
    whole = Decimal(discount_percent or 0)
    counted = [_count(line, vat_mode, day, table, whole) for line in lines]
    nets = sum((one.total - one.vat if vat_mode == "on_top" else one.total for one in counted), Decimal(0))
    gross = sum((one.gross for one in counted), Decimal(0))
    return Totals(
        lines=tuple(counted),
        gross=gross,
        discount=gross - nets,
        vat=sum((one.vat for one in counted), Decimal(0)),
        total=sum((one.total for one in counted), Decimal(0)),
    )


def _count(line: DraftLine, vat_mode: str, day: dt.date, table: VatTable, whole: Decimal) -> Counted:
    gross = money(line.quantity * line.price)
    net = money(gross * (HUNDRED - line.discount_percent) / HUNDRED * (HUNDRED - whole) / HUNDRED)
    rate = None if vat_mode == NO_VAT else table.rate(line.vat_code or NO_VAT, day)
    if not rate:
        return Counted(line, gross, rate, Decimal(0), net)
    if vat_mode == "on_top":
        vat = money(net * rate / HUNDRED)
        return Counted(line, gross, rate, vat, net + vat)
    return Counted(line, gross, rate, money(net * rate / (HUNDRED + rate)), net)


def day_of(deal: Deal, zone: dt.tzinfo) -> dt.date:
    """Return the day whose VAT a deal has: when it was closed, else when it is expected to be, but not in the past."""
    if deal.closed_at is not None:
        return deal.closed_at.astimezone(zone).date()
    today = clock.now().astimezone(zone).date()
    return max(deal.expected_close, today) if deal.expected_close else today


def zone_of(subject: Any) -> dt.tzinfo:
    """Return the zone in which the days of deals begin: the company's, whoever looks."""
    return clock.zone(subject.company_zone or "UTC")


def of_deal(session: Any, deal_id: int) -> list[Line]:
    """Return the lines of a deal that is open to the reader, in their order."""
    return list(session.scalars(sa.select(Line).where(Line.deal_id == deal_id).order_by(Line.position, Line.id)))


def set_lines(
    gate: Gate,
    deal: Deal,
    drafts: Sequence[DraftLine],
    *,
    vat_mode: str | None = None,
    discount_percent: Decimal | None = None,
    keep_discount: bool = True,
) -> Totals:
    """Make these the lines of a deal, with its VAT mode and the discount on the whole; its amount follows.

    `keep_discount=False` takes `discount_percent` as it is, also where it is None.
    """
    session = gate.session
    entity = gate.entity(DEAL)
    if not gate.allows("edit", deal, entity):
        raise saving.NotAllowed(_("You may see this record but not change it."))
    if len(drafts) > MOST_LINES:
        raise saving.NotAllowed(_("At most ${n} lines.", mapping={"n": MOST_LINES}))
    drafts = [_of_catalogue(gate, draft) for draft in drafts]
    operations.describe(session, gate.subject, kind="edit", entity=entity.name, record_id=deal.id)
    session.flush()
    session.refresh(deal, with_for_update=True)
    if vat_mode is not None:
        deal.vat_mode = vat_mode
    if discount_percent is not None or not keep_discount:
        deal.discount_percent = discount_percent
    counted = totals(
        drafts, deal.vat_mode, day_of(deal, zone_of(gate.subject)), VatTable.read(session),
        deal.discount_percent,
    )  # fmt: skip
    _write(session, deal, counted)
    discounted = _kept(deal, counted)
    discounts.settle(gate, deal, discounted["discount_total"])
    saving.change(gate, entity, deal, discounted)
    return counted


def _of_catalogue(gate: Gate, draft: DraftLine) -> DraftLine:
    if draft.product_id is not None and not gate.visible_ids(PRODUCT, [draft.product_id]):
        return replace(draft, product_id=None)
    return draft


def _kept(deal: Deal, counted: Totals) -> dict[str, Any]:
    if not counted.lines:
        return {"lines_total": None, "vat_amount": None, "discount_total": deal.discount_percent}
    return {
        "lines_total": counted.total,
        "amount": counted.total,
        "vat_amount": counted.vat,
        "discount_total": counted.discount_percent,
    }


def _write(session: Any, deal: Deal, counted: Totals) -> None:
    """Write lines in their places, so that the history tells what was changed and not that all were made anew."""
    present = of_deal(session, deal.id)
    for place, one in enumerate(counted.lines):
        row = present[place] if place < len(present) else Line(deal_id=deal.id)
        if place >= len(present):
            session.add(row)
        wanted: Mapping[str, Any] = {
            "product_id": one.line.product_id,
            "name": one.line.name,
            "unit": one.line.unit,
            "quantity": one.line.quantity,
            "price": one.line.price,
            "discount_percent": one.line.discount_percent,
            "vat_code": one.line.vat_code,
            "vat_rate": one.rate,
            "total": one.total,
            "vat": one.vat,
            "position": place,
        }
        for name, value in wanted.items():
            if getattr(row, name) != value:
                setattr(row, name, value)
    for row in present[len(counted.lines) :]:
        session.delete(row)
    session.flush()


def recount(session: Any, deal_ids: Sequence[int], zone: dt.tzinfo) -> list[int]:
    """Count deals with lines anew after their day or currency changed; return those whose amount is another one."""
    ungated = {UNGATED: "amounts follow the lines, whoever may see the deal"}
    deals = session.scalars(
        sa.select(Deal).where(Deal.id.in_(list(deal_ids)), Deal.lines_total.is_not(None)), execution_options=ungated
    ).all()
    if not deals:
        return []
    table = VatTable.read(session)
    rows: dict[int, list[Line]] = {}
    ids = [deal.id for deal in deals]
    for row in session.scalars(sa.select(Line).where(Line.deal_id.in_(ids)).order_by(Line.position, Line.id)):
        rows.setdefault(row.deal_id, []).append(row)
    changed = []
    for deal in deals:
        drafts = [DraftLine.of(row) for row in rows.get(deal.id, ())]
        counted = totals(drafts, deal.vat_mode, day_of(deal, zone), table, deal.discount_percent)
        if not counted.lines or (counted.total, counted.vat) == (deal.lines_total, deal.vat_amount):
            continue
        _write(session, deal, counted)
        for name, value in _kept(deal, counted).items():
            setattr(deal, name, value)
        changed.append(deal.id)
    session.flush()
    return changed


def product_line(gate: Gate, product_id: int, quantity: Decimal = Decimal(1)) -> DraftLine | None:
    """Return a line of a product at its price; None where there is no such product."""
    product: Product | None = gate.get(PRODUCT, product_id)
    if product is None:
        return None
    return DraftLine(
        name=product.name,
        quantity=quantity,
        price=product.price or Decimal(0),
        unit=product.unit,
        vat_code=product.vat_code,
        product_id=product.id,
    )
