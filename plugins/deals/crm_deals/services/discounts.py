"""Discounts over the limit: who gives them, who is asked, and what waits until it is decided."""

from __future__ import annotations

from decimal import Decimal

import sqlalchemy as sa

from crm_core import clock
from crm_core.models import SettingValue
from crm_core.records.gate import Gate
from crm_deals.models import Deal

LIMIT = "deals.discount_limit"
"""The setting: from so many percent on a discount must be approved."""
DEFAULT_LIMIT = 15


def limit(gate: Gate) -> Decimal:
    """Return the limit of discounts, in percent."""
    value = gate.session.scalar(sa.select(SettingValue.value).where(SettingValue.key == LIMIT))
    return Decimal(str(value if value is not None else DEFAULT_LIMIT))


def waits(gate: Gate, deal: Deal) -> bool:
    """Tell whether the discount of a deal is over the limit and over what was approved."""
    percent = deal.discount_total or Decimal(0)
    if percent <= (deal.discount_approved or 0):
        return False
    return percent > limit(gate)


def settle(gate: Gate, deal: Deal, percent: Decimal | None) -> None:
    """Keep what a new discount means: whoever may give it has approved it, and a smaller one asks nobody."""
    if percent is None or percent <= limit(gate):
        deal.discount_asked_by = deal.discount_asked_at = None
        return
    if percent > (deal.discount_approved or 0) and gate.allows("discount", deal):
        deal.discount_approved = percent
        deal.discount_approved_by = gate.subject.user_id
        deal.discount_approved_at = clock.now()
        deal.discount_asked_by = deal.discount_asked_at = None


def require_approved(gate: Gate, deal: Deal) -> None:
    """Raise `NeedsApproval` while the discount of a deal waits: it is not won, and no offer of it goes out."""
    if waits(gate, deal):
        from crm_deals.services.deals import NeedsApproval  # deals know of discounts

        raise NeedsApproval(deal.discount_total, limit(gate))
