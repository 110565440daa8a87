"""Blocks about leads: who probably asks and where a lead came from, on its card; requests of a client, on his."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyramid.request import Request

from crm_core.specs import Panel
from crm_core.views.shapes import Action, Badge, KeyValue
from crm_deals.entities.leads import LEAD
from crm_deals.i18n import _
from crm_deals.lead_permissions import LEADS_VIEW
from crm_deals.models import Lead, LeadForm, LeadIntake
from crm_deals.models.leads import LINKED, NEW, REJECTED, TAKEN
from crm_deals.schemas.deals import SOURCES
from crm_deals.schemas.leads import LEAD_STATES
from crm_deals.services import leads

_T = "crm_deals:templates/"
_TONES = {NEW: "accent", TAKEN: "success", LINKED: "info", REJECTED: "muted"}

_UTM_TITLES = {
    "page": _("Page"),
    "referrer": _("Came from"),
}


def clients_of(request: Request, lead: Any) -> Mapping[str, Any] | None:
    """Return clients who probably are the one who asks, with a button that links each."""
    if lead.state != NEW:
        return None
    say = request.translate
    found = leads.probable_clients(request.gate, lead)
    may = request.gate.allows("take", lead)
    items = []
    for one in found:
        why = ", ".join(str(say(reason)) for reason in one.reasons)
        known = one.visible and one.id is not None
        items.append(
            {
                "label": one.label if known else say(_("A client of ${who}", mapping={"who": one.responsible or "—"})),
                "hint": f"{one.hint} · {why}" if one.hint else why,
                "href": one.url if known else "",
                "icon": "building" if one.entity == leads.COMPANY else "user",
                "likelihood": one.likelihood,
                "actions": [
                    Action(
                        title=say(_("Take for this client")), href=f"/deals/leads/{lead.id}/take", icon="hand-grab",
                        method="post", values={"client": f"{one.entity}:{one.id}"},
                    ),
                    Action(
                        title=say(_("Link")), href=f"/deals/leads/{lead.id}/link", icon="link", method="post",
                        values={"client": f"{one.entity}:{one.id}"},
                    ),
                ]
                if may and known
                else [],
            }
        )  # fmt: skip
    return {"items": items, "count": len(items), "empty": _("Nobody like this is among the clients.")}


def whence(request: Request, lead: Any) -> Mapping[str, Any]:
    """Return where a lead came from and what its author agreed to."""
    say = request.translate
    facts = []
    if lead.form_id is not None and (form := request.db.get(LeadForm, lead.form_id)) is not None:
        facts.append(KeyValue(title=say(_("Form")), value=form.name))
    if lead.intake_id is not None and (intake := request.db.get(LeadIntake, lead.intake_id)) is not None:
        facts.append(KeyValue(title=say(_("Program")), value=intake.name))
    for name, value in sorted((lead.utm or {}).items()):
        facts.append(KeyValue(title=str(say(_UTM_TITLES.get(name, name))), value=str(value)))
    if lead.consent_at is not None:
        facts.append(KeyValue(title=say(_("Consent given")), value=request.formats.datetime(lead.consent_at)))
        if lead.consent_version is not None:
            facts.append(KeyValue(title=say(_("Version of the consent")), value=str(lead.consent_version)))
        if lead.consent_address:
            facts.append(KeyValue(title=say(_("Network address")), value=lead.consent_address))
    return {"facts": facts, "consent": lead.consent_text or ""}


def of_client(request: Request, client: Any) -> Mapping[str, Any] | None:
    """Return the requests of a client."""
    entity = request.gate.plugins.entity_of(type(client)).name
    column = Lead.person_id if entity == leads.CLIENT else Lead.company_id
    rows = request.db.execute(
        request.gate.select(LEAD, Lead.id, Lead.caption, Lead.text, Lead.source, Lead.state, Lead.received_at)
        .where(column == client.id)
        .order_by(Lead.received_at.desc(), Lead.id.desc())
        .limit(20)
    ).all()
    if not rows:
        return None
    states, sources = dict(LEAD_STATES), dict(SOURCES)
    say = request.translate
    return {
        "items": [
            {
                "label": (row.text or "").strip().partition("\n")[0][:120] or row.caption,
                "hint": " · ".join(
                    [str(say(sources[row.source]))] * (row.source in sources)
                    + [str(request.formats.relative(row.received_at))]
                ),
                "href": f"/deals/leads/{row.id}",
                "icon": "inbox",
                "badge": Badge(text=say(states[row.state]), tone=_TONES[row.state]),
                "actions": [],
            }
            for row in rows
        ],
        "count": len(rows),
        "empty": "",
    }


LEAD_PANELS: tuple[Panel, ...] = (
    Panel(
        id="deals.lead_clients", title=_("Probably it is"), entity=LEAD, load=clients_of,
        template=_T + "lead_clients.pt", permission=LEADS_VIEW, order=5,
    ),
    Panel(
        id="deals.lead_whence", title=_("Where it came from"), entity=LEAD, load=whence,
        template=_T + "lead_whence.pt", permission=LEADS_VIEW, order=10,
    ),
    *(
        Panel(
            id=f"deals.leads_of_{name}", title=_("Leads"), entity=f"clients.{name}", load=of_client,
            template=_T + "lead_clients.pt", permission=LEADS_VIEW, order=20,
        )
        for name in ("person", "company")
    ),
)  # fmt: skip

__all__ = ["LEAD_PANELS"]
