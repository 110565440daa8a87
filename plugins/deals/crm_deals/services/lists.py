"""Small lists of the settings: reasons of refusal, kinds of dates, VAT by day, rates of currencies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from crm_core import clock
from crm_core.company import CURRENCIES
from crm_core.db import UNGATED
from crm_core.forms import InvalidValues
from crm_core.records import operations
from crm_core.records.gate import Gate
from crm_deals.entities import PIPELINE, REASON
from crm_deals.i18n import _
from crm_deals.models import DateKind, Deal, LossReason, Product, Rate, VatRate
from crm_deals.schemas import VAT_CODES
from crm_deals.services.pipelines import require

_ANY = {UNGATED: "settings are of the company, and the permission to edit them was asked for"}


def _write(gate: Gate, entity: str = PIPELINE) -> int:
    require(gate)
    operations.describe(gate.session, gate.subject, kind="settings", entity=entity)
    return operations.ensure(gate.session)


def put_into_groups(session: Any, pairs: Iterable[tuple[int, int]]) -> None:
    """Put imported products into their groups, leaving those that are in one."""
    table = Product.__table__
    for product, group in pairs:
        session.execute(
            sa.update(table).where(table.c.id == product, table.c.group_id.is_(None)).values(group_id=group),
            execution_options={UNGATED: "whoever calls this has got the products through the gate"},
        )


def reasons(session: Any) -> list[LossReason]:
    """Return the reasons of refusal in their order."""
    return list(
        session.scalars(
            sa.select(LossReason)
            .where(LossReason.deleted_at.is_(None))
            .order_by(LossReason.position, LossReason.id),
            execution_options=_ANY,
        )
    )


def save_reasons(gate: Gate, rows: Sequence[tuple[int | None, str]]) -> None:
    """Save the reasons of refusal in this order: (id, name), a new one without an id; one without a name goes.

    Deals keep the reason that was taken off the list.
    """
    operation = _write(gate, REASON)
    session = gate.session
    known = {reason.id: reason for reason in reasons(session)}
    kept: set[int] = set()
    for place, (number, name) in enumerate(rows, 1):
        name = name.strip()[:200]
        reason = known.get(number or 0)
        if not name:
            continue
        if reason is None:
            reason = LossReason(created_by=gate.subject.user_id)
            session.add(reason)
        else:
            kept.add(reason.id)
        reason.name, reason.position = name, place
    for number, reason in known.items():
        if number not in kept:
            reason.deleted_at, reason.deleted_op = clock.now(), operation
    if not [one for one in rows if one[1].strip()]:
        raise InvalidValues({"": _("Keep at least one reason: deals are not refused without.")})
    session.flush()


def reason_counts(session: Any) -> dict[int, int]:
    """Return how many deals were refused for each reason."""
    rows = session.execute(
        sa.select(Deal.reason_id, sa.func.count()).where(Deal.reason_id.is_not(None)).group_by(Deal.reason_id),
        execution_options={UNGATED: "numbers for whoever edits reasons; no deal is told of"},
    )
    return {row[0]: row[1] for row in rows}


def save_date_kinds(gate: Gate, rows: Sequence[tuple[int | None, str, int | None, bool]]) -> None:
    """Save the kinds of dates in this order: (id, title, days of reminder, offered)."""
    _write(gate)
    session = gate.session
    known = {kind.id: kind for kind in session.scalars(sa.select(DateKind))}
    for place, (number, title, remind_days, offered) in enumerate(rows, 1):
        kind = known.get(number or 0)
        title = title.strip()[:100]
        if kind is None:
            if not title:
                continue
            kind = DateKind()
            session.add(kind)
        if remind_days is not None and not 0 <= remind_days <= 365:
            raise InvalidValues({"": _("Remind from 0 to 365 days before.")})
        kind.title = title or None
        kind.remind_days, kind.archived, kind.position = remind_days, not offered, place
    session.flush()


def vat_rates(session: Any) -> list[VatRate]:
    """Return the rates of VAT by code and day."""
    order = {code: place for place, (code, _title) in enumerate(VAT_CODES)}
    return sorted(session.scalars(sa.select(VatRate)), key=lambda row: (order.get(row.code, 99), row.since))


def add_vat_rate(gate: Gate, code: str, rate: Decimal | None, since: dt.date) -> VatRate:
    """Let a rate of VAT hold from a day on; said again of the same day, it changes the rate."""
    _write(gate)
    if code not in dict(VAT_CODES) or code == "none":
        raise InvalidValues({"code": _("Choose from the list.")})
    if rate is None or not 0 <= rate <= 100:
        raise InvalidValues({"rate": _("A rate is from 0 to 100.")})
    session = gate.session
    found = session.scalars(sa.select(VatRate).where(VatRate.code == code, VatRate.since == since)).one_or_none()
    if found is None:
        found = VatRate(code=code, since=since)
        session.add(found)
    found.rate = rate
    session.flush()
    return found


def remove_vat_rate(gate: Gate, number: int) -> None:
    """Take a rate off the table; the first of each code stays."""
    _write(gate)
    session = gate.session
    found = session.get(VatRate, number)
    if found is None:
        return
    first = session.scalar(sa.select(sa.func.min(VatRate.since)).where(VatRate.code == found.code))
    if found.since == first:
        raise InvalidValues({"": _("The first rate of a kind stays.")})
    session.delete(found)
    session.flush()


def rates(session: Any) -> list[Rate]:
    """Return the rates of currencies, the newest first."""
    return list(session.scalars(sa.select(Rate).order_by(Rate.currency, Rate.since.desc()).limit(500)))


def add_rate(gate: Gate, currency: str, rate: Decimal | None, since: dt.date) -> Rate:
    """Let a currency be worth so much from a day on; said again of the same day, it changes the rate."""
    _write(gate)
    if currency not in CURRENCIES:
        raise InvalidValues({"currency": _("Choose from the list.")})
    if rate is None or rate <= 0:
        raise InvalidValues({"rate": _("A rate is more than nothing.")})
    session = gate.session
    found = session.scalars(sa.select(Rate).where(Rate.currency == currency, Rate.since == since)).one_or_none()
    if found is None:
        found = Rate(currency=currency, since=since)
        session.add(found)
    found.rate = rate
    session.flush()
    return found


def remove_rate(gate: Gate, number: int) -> None:
    """Take a rate of a currency off the table; amounts that were counted with it stay."""
    _write(gate)
    gate.session.execute(sa.delete(Rate).where(Rate.id == number))
