"""Facts that this plugin tells besides those of every entity."""

from __future__ import annotations

from crm_core.specs import EventType
from crm_deals.i18n import _
from crm_deals.lead_permissions import LEADS_TAKE, LEADS_VIEW
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

LEAD_RECEIVED = "deals.lead.received"
"""A request came from outside, or was written down."""

LEAD_TAKEN = "deals.lead.taken"
"""A lead became a deal."""

LEAD_LINKED = "deals.lead.linked"
"""A lead was found to be the request of a client who was there."""

LEAD_REJECTED = "deals.lead.rejected"
"""A lead was nothing."""

LEAD_HANDED = "deals.lead.handed"
"""A person is to answer a lead."""

LEAD_LATE = "deals.lead.late"
"""A lead waits longer than it should."""

_DEALS, _LEADS = _("Deals"), _("Leads")

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
        icon="percentage",
        told_to=VIEW,
    ),
    EventType(
        name=LEAD_RECEIVED,
        title=_("A new lead that is nobody's"),
        payload=("id", "source", "owner_id", "form_id"),
        notify=("bell",),
        group=_LEADS,
        icon="inbox",
        told_to=LEADS_TAKE,
    ),
    EventType(
        name=LEAD_TAKEN,
        title=_("A lead was taken"),
        payload=("id", "deal_id", "person_id", "company_id", "user_id"),
    ),
    EventType(name=LEAD_LINKED, title=_("A lead was linked to a client"), payload=("id", "entity", "record_id")),
    EventType(name=LEAD_REJECTED, title=_("A lead was rejected"), payload=("id", "reason")),
    EventType(
        name=LEAD_HANDED,
        title=_("A lead is mine to answer"),
        payload=("id", "user_id"),
        notify=("bell",),
        group=_LEADS,
        icon="inbox",
        told_to=LEADS_VIEW,
    ),
    EventType(
        name=LEAD_LATE,
        title=_("A lead of mine or of my department waits too long"),
        payload=("id", "owner_id"),
        notify=("bell",),
        group=_LEADS,
        icon="alarm",
        told_to=LEADS_VIEW,
    ),
)
