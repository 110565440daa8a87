"""Short rows of deals, for those who may know what is sold but neither amounts nor addresses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyramid.request import Request
from pyramid.view import view_config

from crm_core.records.listing import Listing, ListQuery, QueryError
from crm_core.views.shapes import Badge, Cell, Column, EmptyState, ListPage, Row
from crm_deals.entities import SHORT_ROWS, STAGE
from crm_deals.i18n import _
from crm_deals.permissions import SHORT
from crm_deals.schemas import STATES
from crm_deals.services import rows as deal_rows

_COLUMNS = ("name", "company_id", "person_id", "stage_id", "state", "created_at", "closed_at")
_TONES = {"won": "success", "lost": "danger"}


@view_config(route_name="deals.short", permission=SHORT, renderer="crm_deals:templates/list.pt")
def short_rows(request: Request) -> dict[str, Any]:
    """Show short rows of deals."""
    listing = Listing(request.gate, SHORT_ROWS)
    try:
        query = ListQuery.parse(request.GET)
        # Neither search nor other people's filters: what can be asked of hidden fields tells them.
        query = replace(query, search="", columns=(), trash=False)
        page = listing.page(query, _COLUMNS)
    except QueryError:
        query = ListQuery()
        page = listing.page(query, _COLUMNS)
    say, formats, gate = request.translate, request.formats, request.gate
    names = {
        entity: gate.labels(entity, [getattr(row, column) for row in page.rows])
        for entity, column in (("clients.company", "company_id"), ("clients.person", "person_id"), (STAGE, "stage_id"))
    }
    bought = deal_rows.bought(gate, [row.id for row in page.rows])
    states = dict(STATES)
    titles = (_("Deal"), _("Client"), _("What was sold"), _("Stage"), _("State"), _("Created"), _("Closed"))
    rows = []
    for row in page.rows:
        company, person = names["clients.company"].get(row.company_id), names["clients.person"].get(row.person_id)
        client = company or person or ""
        href = ""
        if company:
            href = f"/clients/companies/{row.company_id}"
        elif person:
            href = f"/clients/people/{row.person_id}"
        rows.append(
            Row(
                id=row.id,
                href=href,
                label=row.name,
                cells=[
                    Cell(text=row.name, kind="title"),
                    Cell(text=client, href=href),
                    Cell(text=bought.get(row.id, "")[:200]),
                    Cell(text=names[STAGE].get(row.stage_id, "")),
                    Cell(
                        kind="badge",
                        badges=[Badge(text=say(states.get(row.state, row.state)), tone=_TONES.get(row.state, ""))],
                    ),
                    Cell(kind="date", text=formats.relative(row.created_at), hint=formats.datetime(row.created_at)),
                    Cell(
                        kind="date",
                        text=formats.relative(row.closed_at) if row.closed_at else "",
                        hint=formats.datetime(row.closed_at) if row.closed_at else "",
                    ),
                ],
            )
        )
    shown = ListPage(
        title=say(SHORT_ROWS.title_plural),
        columns=[Column(name=f"c{n}", title=say(title), phone=n < 3) for n, title in enumerate(titles)],
        rows=rows,
        href=SHORT_ROWS.url,
        icon=SHORT_ROWS.icon,
        first_href=SHORT_ROWS.url if query.after or query.before else "",
        next_href=f"{SHORT_ROWS.url}?{query.query_string(after=page.next, before='')}" if page.next else "",
        previous_href=f"{SHORT_ROWS.url}?{query.query_string(before=page.previous, after='')}"
        if page.previous
        else "",
        selectable=False,
        empty=EmptyState(title=say(_("No deals here")), text=say(_("What is sold will stand here.")), icon="coins"),
    )
    return {"title": shown.title, "page": shown}
