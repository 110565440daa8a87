"""Facts that this plugin tells besides those of every entity."""

from __future__ import annotations

from crm_core.specs import EventType
from crm_deals.i18n import _

STAGE_CHANGED = "deals.deal.stage_changed"
"""Deals entered a stage, by whatever path; their making counts too."""

WON = "deals.deal.won"
"""Deals were won."""

LOST = "deals.deal.lost"
"""Deals were refused."""

REOPENED = "deals.deal.reopened"
"""Closed deals were opened again."""

ASSIGNED = "deals.deal.assigned_to_me"
"""Somebody became responsible for deals."""

DATE_DUE = "deals.date.due"
"""A day of a deal is near."""

DISCOUNT_ASKED = "deals.discount.asked"
"""A discount over the limit waits for approval."""

DISCOUNT_DECIDED = "deals.discount.decided"
"""A discount over the limit was approved or declined."""

EVENT_TYPES: tuple[EventType, ...] = (
    EventType(
        name=STAGE_CHANGED,
        title=_("A deal entered a stage"),
        payload=("ids", "pipeline", "stage", "from_stage", "state"),
    ),
    EventType(name=WON, title=_("A deal was won"), payload=("ids", "pipeline", "stage")),
    EventType(name=LOST, title=_("A deal was refused"), payload=("ids", "pipeline", "stage")),
    EventType(name=REOPENED, title=_("A closed deal was opened again"), payload=("ids", "pipeline", "stage")),
    EventType(name=ASSIGNED, title=_("A deal was given to me"), payload=("ids", "user_id")),
    EventType(name=DATE_DUE, title=_("A day of a deal is near"), payload=("id", "deal_id", "day")),
    EventType(name=DISCOUNT_ASKED, title=_("A discount waits for approval"), payload=("id", "percent")),
    EventType(name=DISCOUNT_DECIDED, title=_("A discount was decided on"), payload=("id", "percent", "approved")),
)
