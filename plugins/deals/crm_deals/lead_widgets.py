"""The block of new leads on the home page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyramid.request import Request

from crm_core import clock
from crm_core.security.permissions import ADMINISTRATOR, DIRECTOR, HEAD, MANAGER
from crm_core.specs import Widget
from crm_deals.entities import LEADS
from crm_deals.i18n import _
from crm_deals.lead_permissions import LEADS_TAKE
from crm_deals.schemas.deals import SOURCES
from crm_deals.services import leads


def waiting(request: Request) -> Mapping[str, Any]:
    """Return the leads that wait for this person or for anybody, the most urgent first."""
    sources, say = dict(SOURCES), request.translate
    return {
        "items": [
            {
                "href": f"{LEADS.url}/{row.id}",
                "label": row.caption,
                "hint": (row.text or "").strip().partition("\n")[0][:100]
                or (say(sources[row.source]) if row.source in sources else ""),
                "when": request.formats.relative(row.due_at or row.received_at),
                "exact": request.formats.datetime(row.due_at or row.received_at),
                "late": row.due_at is not None and row.due_at < clock.now(),
            }
            for row in leads.newest(request.gate)
        ],
        "all_href": f"{LEADS.url}?f=state:any:new",
        "empty": _("No lead waits."),
    }


LEAD_WIDGETS: tuple[Widget, ...] = (
    Widget(
        id="deals.new_leads",
        title=_("New leads"),
        load=waiting,
        template="crm_deals:templates/lead_widget.pt",
        permission=LEADS_TAKE,
        roles=(MANAGER, HEAD, DIRECTOR, ADMINISTRATOR),
        order=12,
    ),
)
