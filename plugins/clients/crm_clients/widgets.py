"""Blocks of the home page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyramid.request import Request

from crm_clients import services
from crm_clients.entities import PERSONS, interaction_entry
from crm_clients.i18n import _
from crm_clients.permissions import INTERACTIONS_VIEW, VIEW
from crm_core.security.permissions import DIRECTOR, HEAD, MANAGER, SPECIALIST
from crm_core.specs import Widget

DAYS = 30


def forgotten(request: Request) -> Mapping[str, Any]:
    """Return one's own people whom nobody has spoken with for a month."""
    rows = services.forgotten(request.gate, DAYS)
    return {
        "items": [
            {
                "href": f"{PERSONS.url}/{row.id}",
                "label": row.full_name,
                "hint": request.formats.relative(row.last_contact_at),
                "exact": request.formats.datetime(row.last_contact_at),
            }
            for row in rows
        ],
        "empty": _("Everybody has been spoken with lately."),
        "all_href": f"{PERSONS.url}?f=owner_id:any:me&f=no_contact:is:{DAYS}",
    }


def latest(request: Request) -> Mapping[str, Any]:
    """Return what one recorded last, with whom."""
    rows = services.latest(request.gate)
    labels: dict[tuple[str, int], str] = {}
    for entity in {row.subject_entity for row in rows}:
        if entity in request.gate.plugins.entities:
            ids = [row.subject_id for row in rows if row.subject_entity == entity]
            labels |= {(entity, number): label for number, label in request.gate.labels(entity, ids).items()}
    items = []
    for row in rows:
        label = labels.get((row.subject_entity, row.subject_id))
        if label is None:
            continue
        entry = interaction_entry(row)
        items.append(
            {
                "href": f"{request.gate.entity(row.subject_entity).url}/{row.subject_id}",
                "label": label,
                "icon": entry.icon,
                "title": entry.title,
                "text": row.summary,
                "when": request.formats.relative(row.at),
                "exact": request.formats.datetime(row.at),
            }
        )
    return {"items": items, "empty": _("Nothing yet. Calls and notes are recorded on the card of a client.")}


WIDGETS: tuple[Widget, ...] = (
    Widget(
        id="clients.forgotten",
        title=_("My clients without contact for 30 days"),
        load=forgotten,
        template="crm_clients:templates/forgotten.pt",
        permission=VIEW,
        roles=(HEAD, MANAGER, DIRECTOR),
        order=30,
    ),
    Widget(
        id="clients.latest",
        title=_("What I recorded last"),
        load=latest,
        template="crm_clients:templates/latest.pt",
        permission=INTERACTIONS_VIEW,
        roles=(HEAD, MANAGER, SPECIALIST),
        order=40,
    ),
)
