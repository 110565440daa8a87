"""Facts that this plugin tells besides those of every entity."""

from __future__ import annotations

from crm_core.specs import EventType
from crm_deals.i18n import _
from crm_deals.permissions import DISCOUNT, VIEW

STAGE_CHANGED = "deals.deal.stage_changed"
"""Deals entered a stage, by whatever path; their making counts too."""

WON = "deals.deal.won"
"""Deals were won."""

LOST = "deals.deal.lost"
"""Deals were refused."""

REOPENED = "deals.deal.reopened"
"""Closed deals were opened again."""

DATE_DUE = "deals.date.due"
"""A day of a deal is near."""

DISCOUNT_ASKED = "deals.discount.asked"
"""A discount over the limit waits for approval."""

DISCOUNT_DECIDED = "deals.discount.decided"
"""A discount over the limit was approved or declined."""

_DEALS = _("Deals")

EVENT_TYPES: tuple[EventType, ...] = (
    EventType(
        name=STAGE_CHANGED,
        title=_("A deal entered a stage"),
        payload=("ids", "pipeline", "stage", "from_stage", "state"),
    ),
    EventType(
        name=WON,
        title=_("A deal of my department was won"),
        payload=("ids", "pipeline", "stage"),
        notify=("bell",),
        group=_DEALS,
        icon="trophy",
        told_to=VIEW,
    ),
    EventType(
        name=LOST,
        title=_("A deal of my department was refused"),
        payload=("ids", "pipeline", "stage"),
        group=_DEALS,
        icon="thumb-down",
        told_to=VIEW,
    ),
    EventType(name=REOPENED, title=_("A closed deal was opened again"), payload=("ids", "pipeline", "stage")),
    EventType(
        name=DATE_DUE,
        title=_("A day of my deal is near"),
        payload=("id", "deal_id", "day"),
        notify=("bell",),
        group=_DEALS,
        icon="calendar-due",
        told_to=VIEW,
    ),
    EventType(
        name=DISCOUNT_ASKED,
        title=_("A discount waits for my approval"),
        payload=("id", "percent"),
        notify=("bell",),
        group=_DEALS,
        icon="discount",
        told_to=DISCOUNT,
    ),
    EventType(
        name=DISCOUNT_DECIDED,
        title=_("My discount was approved or declined"),
        payload=("id", "percent", "approved"),
        notify=("bell",),
        group=_DEALS,
        icon="discount-check",
        told_to=VIEW,
    ),
)
