"""Deals on the cards of clients and products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyramid.request import Request

from crm_core.views.shapes import Badge
from crm_deals.i18n import _
from crm_deals.permissions import VIEW
from crm_deals.schemas import STATES, UNITS
from crm_deals.services import rows

_STATE_TONES = {"won": "success", "lost": "danger"}


def of_client(request: Request, client: Any) -> Mapping[str, Any]:
    """Return the deals of a person or company."""
    entity = request.gate.plugins.entity_of(type(client)).name
    found = rows.of_client(request.gate, entity, client.id)
    formats = request.formats
    return {
        "empty": _("No deals yet."),
        "items": [
            {
                "label": row.name,
                "hint": _when(request, row),
                "href": f"/deals/{row.id}",
                "icon": "coins",
                "aside": formats.money(row.amount, row.currency) if row.amount is not None else "",
                "badge": Badge(text=row.stage, color=row.color),
                "actions": (),
            }
            for row in found
        ],
        "count": len(found),
    }


def _when(request: Request, row: Any) -> str:
    if row.closed_at is not None:
        return str(request.formats.relative(row.closed_at))
    return str(request.formats.date(row.expected_close)) if row.expected_close else ""


def short_of_client(request: Request, client: Any) -> Mapping[str, Any] | None:
    """Return what a client has bought and when, without amounts; whoever sees deals has the other block."""
    if request.subject.may(VIEW):
        return None
    entity = request.gate.plugins.entity_of(type(client)).name
    found = rows.short_of_client(request.gate, entity, client.id)
    states = dict(STATES)
    say = request.translate
    return {
        "empty": _("No deals yet."),
        "items": [
            {
                "label": row.bought or row.name,
                "hint": request.formats.relative(row.closed_at or row.created_at),
                "icon": "coins",
                "badge": Badge(text=say(states.get(row.state, row.state)), tone=_STATE_TONES.get(row.state, "")),
                "actions": (),
            }
            for row in found
        ],
        "count": len(found),
    }


def of_product(request: Request, product: Any) -> Mapping[str, Any]:
    """Return the deals with a product."""
    found = rows.of_product(request.gate, product.id)
    units, states = dict(UNITS), dict(STATES)
    say, formats = request.translate, request.formats
    return {
        "empty": _("In no deal yet."),
        "items": [
            {
                "label": row.name,
                "hint": f"{formats.number(row.quantity)} {say(units.get(row.unit, row.unit))}",
                "href": f"/deals/{row.id}",
                "icon": "coins",
                "aside": formats.money(row.total, row.currency),
                "badge": Badge(text=say(states.get(row.state, row.state)), tone=_STATE_TONES.get(row.state, "")),
                "actions": (),
            }
            for row in found
        ],
        "count": len(found),
    }
