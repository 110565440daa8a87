"""Discounts over the limit: who gives them, who is asked, and what waits until it is decided."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from crm_core import clock, events, notify
from crm_core.models import SettingValue
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_core.security.subject import load_subject
from crm_core.specs import Event
from crm_deals import events as facts
from crm_deals.entities import DEAL
from crm_deals.i18n import _
from crm_deals.models import Deal
from crm_deals.permissions import DISCOUNT

LIMIT = "deals.discount_limit"
"""The setting: from so many percent on a discount must be approved."""
DEFAULT_LIMIT = 15


class NeedsApproval(ValueError):
    """Tells that the discount of a deal is over the limit and nobody who may has approved it."""

    def __init__(self, percent: Decimal, limit: Decimal) -> None:
        super().__init__(f"{percent} > {limit}")
        self.percent, self.limit = percent, limit


def limit(gate: Gate) -> Decimal:
    """Return the limit of discounts, in percent."""
    value = gate.session.scalar(sa.select(SettingValue.value).where(SettingValue.key == LIMIT))
    return Decimal(str(value if value is not None else DEFAULT_LIMIT))


def waits(gate: Gate, deal: Deal) -> bool:
    """Tell whether the discount of a deal is over the limit and over what was approved."""
    percent = deal.discount_total or Decimal(0)
    return percent > (deal.discount_approved or 0) and percent > limit(gate)


def require_approved(gate: Gate, deal: Deal) -> None:
    """Raise `NeedsApproval` while the discount of a deal waits: it is not won, and no offer of it goes out."""
    if waits(gate, deal):
        raise NeedsApproval(deal.discount_total or Decimal(0), limit(gate))


def settle(gate: Gate, deal: Deal, percent: Decimal | None) -> None:
    """Keep what a new discount means: whoever may give it has approved it, and a small one asks nobody."""
    if percent is None or percent <= limit(gate):
        deal.discount_asked_by = deal.discount_asked_at = None
    elif percent > (deal.discount_approved or 0) and gate.allows("discount", deal):
        _put_approval(gate, deal, percent)


def _put_approval(gate: Gate, deal: Deal, percent: Decimal) -> None:
    deal.discount_approved = percent
    deal.discount_approved_by = gate.subject.user_id
    deal.discount_approved_at = clock.now()
    deal.discount_asked_by = deal.discount_asked_at = None


def approvers(gate: Gate, deal: Deal) -> list[int]:
    """Return the people who may approve the discount of a deal."""
    found = []
    for user_id in notify.holders(gate.session, DISCOUNT):
        subject = load_subject(gate.session, user_id)
        if subject is not None and Gate(gate.session, subject, gate.plugins).allows("discount", deal):
            found.append(user_id)
    return found


def ask(gate: Gate, deal: Deal) -> list[int]:
    """Ask for the approval of a deal's discount; return whom."""
    if not gate.allows("edit", deal):
        raise saving.NotAllowed(_("You may see this record but not change it."))
    if not waits(gate, deal):
        raise saving.NotAllowed(_("This discount needs no approval."))
    people = approvers(gate, deal)
    if not people:
        raise saving.NotAllowed(_("Nobody may approve this discount. Ask an administrator."))
    operation = _describe(gate, deal)
    deal.discount_asked_by, deal.discount_asked_at = gate.subject.user_id, clock.now()
    gate.session.flush()
    notify.notify(
        gate.session,
        people,
        key=f"{facts.DISCOUNT_ASKED}:{deal.id}:{operation}",
        kind=facts.DISCOUNT_ASKED,
        title=_("A discount of ${percent} % waits for your approval: ${deal}"),
        values={"percent": plain(deal.discount_total), "deal": deal.name},
        actor=gate.subject.user_id,
        **_where(deal),
    )
    _tell(gate, facts.DISCOUNT_ASKED, deal)
    return people


def decide(gate: Gate, deal: Deal, *, approved: bool) -> None:
    """Approve the discount of a deal, or decline it; whoever asked is told."""
    if not gate.allows("discount", deal):
        raise saving.NotAllowed(_("Your role may not approve this discount."))
    operation = _describe(gate, deal)
    asked_by = deal.discount_asked_by
    if approved:
        _put_approval(gate, deal, deal.discount_total or Decimal(0))
    else:
        deal.discount_approved = deal.discount_approved_by = deal.discount_approved_at = None
        deal.discount_asked_by = deal.discount_asked_at = None
    gate.session.flush()
    if asked_by is not None:
        said = _("The discount of ${percent} % is approved: ${deal}")
        refused = _("The discount of ${percent} % is declined: ${deal}")
        notify.notify(
            gate.session,
            asked_by,
            key=f"{facts.DISCOUNT_DECIDED}:{deal.id}:{operation}",
            kind=facts.DISCOUNT_DECIDED,
            title=said if approved else refused,
            values={"percent": plain(deal.discount_total), "deal": deal.name},
            actor=gate.subject.user_id,
            **_where(deal),
        )
    _tell(gate, facts.DISCOUNT_DECIDED, deal, approved=approved)


def plain(value: Decimal | None) -> str:
    """Return a number of percent without zeros at its end."""
    return format((value or Decimal(0)).normalize(), "f")


def _describe(gate: Gate, deal: Deal) -> int:
    operations.describe(gate.session, gate.subject, kind="edit", entity=DEAL, record_id=deal.id)
    return operations.ensure(gate.session)


def _where(deal: Deal) -> dict[str, Any]:
    return {"entity": DEAL, "record_id": deal.id, "href": f"/deals/{deal.id}"}


def _tell(gate: Gate, name: str, deal: Deal, **more: object) -> None:
    payload = {"id": deal.id, "percent": plain(deal.discount_total), **more}
    events.fire(gate.session, Event(name, payload), plugins=gate.plugins, subject=gate.subject)
