"""Leads: the inbox of raw requests; list, card, form and search follow from this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from crm_core.records import cleaning
from crm_core.specs import DoubleRule, Entity, Filter, ListTab, NamedScope, Part, RecordAction
from crm_deals.i18n import _
from crm_deals.lead_permissions import UNASSIGNED
from crm_deals.models.leads import NEW, Lead
from crm_deals.schemas.leads import LeadFormSchema, LeadIntakeSchema, LeadRuleSchema, LeadSchema

LEAD = "deals.lead"


def prepare_lead(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a lead is called: the name, the company, a phone or an address, else the first words."""
    first = (row.get("text") or "").strip().partition("\n")[0][:80]
    addresses = [
        cleaning.write_phone(entry["value"]) if key == "phones" else entry["value"]
        for key in ("phones", "emails")
        for entry in (row.get(key) or ())
    ]
    caption = row.get("name") or row.get("company") or next(iter(addresses), "") or first
    return {"caption": caption, "state": row.get("state") or NEW}


def _unassigned(model: Any, _subject: Any) -> Any:
    return model.owner_id.is_(None)


def _late(model: Any, wanted: bool, context: Any) -> Any:
    criterion = sa.or_(
        sa.and_(model.state == NEW, model.due_at < context.now), sa.func.coalesce(model.late_minutes, 0) > 0
    )
    return criterion if wanted else sa.not_(sa.func.coalesce(criterion, sa.false()))


def _overdue(model: Any, wanted: bool, context: Any) -> Any:
    criterion = sa.and_(model.state == NEW, model.due_at < context.now)
    return criterion if wanted else sa.not_(sa.func.coalesce(criterion, sa.false()))


def _nobodys(model: Any, wanted: bool, _context: Any) -> Any:
    return model.owner_id.is_(None) if wanted else model.owner_id.is_not(None)


def _actions(gate: Any, ids: Sequence[int]) -> Mapping[int, Sequence[RecordAction]]:
    from crm_deals.services.leads import actions  # services are written with this entity

    return actions(gate, ids)


NEW_ONES = "f=state:any:new"

LEADS = Entity(
    name=LEAD,
    title=_("Lead"),
    title_plural=_("Leads"),
    model=Lead,
    schema=LeadSchema,
    permission_prefix="leads",
    url="/deals/leads",
    icon="inbox",
    add_title=_("Add a lead"),
    about=_("New requests from the site, letters and calls. Take one, and it becomes a deal with its client."),
    label="caption",
    sort="received_at",
    descending=True,
    hint=("phones", "source"),
    head=("received_at", "due_at", "source"),
    columns=("text", "due_at", "phones", "source", "owner_id", "received_at", "state"),
    scopes=(
        NamedScope(
            name=UNASSIGNED,
            title=_("Those of nobody"),
            sentence=_("nobody is responsible for it"),
            criterion=_unassigned,
        ),
    ),
    filters=(
        Filter(name="late", title=_("Answered late or not at all"), kind="bool", criterion=_late,
               sentence=_("Answered late or not at all")),
        Filter(name="overdue", title=_("Waits longer than it should"), kind="bool", criterion=_overdue,
               sentence=_("Waits longer than it should")),
        Filter(name="nobodys", title=_("Nobody is responsible"), kind="bool", criterion=_nobodys,
               sentence=_("Nobody is responsible")),
    ),
    doubles=(
        DoubleRule(kind="phone", field="phones", title=_("the same phone"), weight=80),
        DoubleRule(kind="email", field="emails", title=_("the same e-mail"), weight=80),
    ),
    parts=(
        Part(name="deals.lead_form", title=_("Form of leads"), schema=LeadFormSchema),
        Part(name="deals.lead_intake", title=_("Program that sends leads"), schema=LeadIntakeSchema),
        Part(name="deals.lead_rule", title=_("Rule of leads"), schema=LeadRuleSchema),
    ),
    prepare=prepare_lead,
    phones="phones",
    emails="emails",
    actions=_actions,
    tabs=(
        ListTab(id="new", title=_("New ones"), query=NEW_ONES),
        ListTab(id="late", title=_("Overdue"), query="f=overdue:is:1"),
        ListTab(id="taken", title=_("Taken ones"), query="f=state:any:taken,linked"),
        ListTab(id="rejected", title=_("Rejected ones"), query="f=state:any:rejected"),
    ),
    tells_owner=False,
    importable=False,
)  # fmt: skip
