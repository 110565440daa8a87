"""Blocks of cards: what belongs to a deal, deals of clients and of products. A few statements each."""

from __future__ import annotations

from crm_core.specs import Panel
from crm_deals.entities import DEAL, PRODUCT
from crm_deals.i18n import _
from crm_deals.panels import deal, others
from crm_deals.panels.leads import LEAD_PANELS
from crm_deals.permissions import SHORT, VIEW
from crm_deals.views import offers

_T = "crm_deals:templates/"

PANELS: tuple[Panel, ...] = (
    Panel(
        id="deals.lines",
        title=_("Products"),
        entity=DEAL,
        load=deal.lines_of,
        template=_T + "panel_lines.pt",
        permission=VIEW,
        order=10,
        create_href="/deals/{id}/lines",
    ),
    Panel(
        id="deals.offers",
        title=_("Offers"),
        entity=DEAL,
        load=offers.panel,
        template=_T + "panel_items.pt",
        permission=VIEW,
        order=11,
        create_href="/deals/{id}/offers/new",
    ),
    Panel(
        id="deals.parties",
        title=_("Client and parties"),
        entity=DEAL,
        load=deal.parties,
        template=_T + "panel_items.pt",
        permission=VIEW,
        order=12,
        create_href="/deals/{id}/parties/new",
    ),
    Panel(
        id="deals.dates",
        title=_("Dates"),
        entity=DEAL,
        load=deal.dates,
        template=_T + "panel_items.pt",
        permission=VIEW,
        order=14,
        create_href="/deals/{id}/dates/new",
    ),
    Panel(
        id="deals.observers",
        title=_("Observers"),
        entity=DEAL,
        load=deal.observers,
        template=_T + "panel_items.pt",
        permission=VIEW,
        order=60,
        create_href="/deals/{id}/observers/new",
    ),
    Panel(
        id="deals.stays",
        title=_("Stages"),
        entity=DEAL,
        load=deal.stays,
        template=_T + "panel_items.pt",
        permission=VIEW,
        order=70,
    ),
    *(
        Panel(
            id=f"deals.of_{name}",
            title=_("Deals"),
            entity=f"clients.{name}",
            load=others.of_client,
            template=_T + "panel_items.pt",
            permission=VIEW,
            order=5,
            create_href="/deals/new?" + name + "_id={id}",
        )
        for name in ("person", "company")
    ),
    *(
        Panel(
            id=f"deals.short_of_{name}",
            title=_("Deals in short"),
            entity=f"clients.{name}",
            load=others.short_of_client,
            template=_T + "panel_items.pt",
            permission=SHORT,
            order=5,
        )
        for name in ("person", "company")
    ),
    Panel(
        id="deals.of_product",
        title=_("Deals with it"),
        entity=PRODUCT,
        load=others.of_product,
        template=_T + "panel_items.pt",
        permission=VIEW,
        order=10,
    ),
    *LEAD_PANELS,
)

__all__ = ["PANELS"]
