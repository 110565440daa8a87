"""Calls that go on, and calling by a click: what the pages' script asks for."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from crm_calls import services
from crm_calls.entities import call_icon, call_title
from crm_calls.i18n import DOMAIN, _
from crm_calls.permissions import DIAL, VIEW
from crm_calls.schemas import ANSWERED, RINGING
from crm_core.i18n import TranslationString
from crm_core.records import saving
from crm_core.security.limits import Rule
from crm_core.security.permissions import SIGNED_IN

CLICKS = Rule("calls-dial", "30 per minute")
"""Calls by a click of one person."""


@view_config(
    route_name="calls.present", request_method="GET", permission=SIGNED_IN, renderer="crm_calls:templates/present.pt"
)
def present(request: Request) -> Any:
    """Show the calls that ring or are talked at the person's line; four statements at most, two when it is quiet.

    The script of every page asks; whoever has nothing to do with calls is told so, which is no mistake of his.
    """
    if not request.subject.may(VIEW):
        return Response(status=204)
    gate = request.gate
    place = services.line_of(request.db, gate.plugins, request.subject.user_id)
    calls = services.present(gate)
    request.response.cache_control.no_store = True
    return {
        "line": place.number if place else "",
        "dials": bool(place and place.dials and request.subject.may(DIAL)),
        "calls": _shown(request, calls),
    }


def _shown(request: Request, calls: list[Any]) -> list[dict[str, Any]]:
    gate = request.gate
    labels: dict[tuple[str, int], str] = {}
    owners: dict[tuple[str, int], int | None] = {}
    for name in {call.subject_entity for call in calls if call.subject_entity in gate.plugins.entities}:
        entity = gate.entity(name)
        model: Any = entity.model
        ids = [call.subject_id for call in calls if call.subject_entity == name]
        for row in request.db.execute(
            gate.select(entity, model.id, getattr(model, entity.label).label("label"), model.owner_id).where(
                model.id.in_(ids)
            )
        ):
            labels[name, row.id], owners[name, row.id] = row.label, row.owner_id
    names = services.names_of(request.db, owners.values())
    return [_card(request, call, labels, owners, names) for call in calls]


def _card(
    request: Request,
    call: Any,
    labels: dict[tuple[str, int], str],
    owners: dict[tuple[str, int], int | None],
    names: dict[int, str],
) -> dict[str, Any]:
    say, gate = request.translate, request.gate
    key = (call.subject_entity, call.subject_id)
    label = labels.get(key, "")
    state = {
        RINGING: _("rings") if call.direction == "in" else _("calling"),
        ANSWERED: _("talking"),
    }.get(call.status, _("could not call"))
    reason = say(TranslationString(call.reason, domain=DOMAIN)) if call.reason else ""
    unknown = call.subject_id is None
    person = "clients.person" in gate.plugins.entities and gate.may("clients.person", "create")
    return {
        "id": call.id,
        "status": call.status,
        "icon": call_icon(call),
        "title": say(call_title(call)),
        "state": say(state),
        "number": call.caption,
        "name": label or (say(_("Unknown number")) if unknown else say(_("A client whom you do not see"))),
        "responsible": names.get(owners.get(key) or 0, ""),
        "reason": reason,
        "card_href": f"{gate.entity(call.subject_entity).url}/{call.subject_id}" if label else "",
        "create_href": new_client_href(call.number) if unknown and person and call.number else "",
        "call_href": f"/calls/{call.id}",
        "since": call.answered_at.isoformat() if call.answered_at else "",
    }


def new_client_href(number: str) -> str:
    """Return the form of a new person with the number filled in."""
    pairs = {"phones-0-value": number, "phones-0-main": "1", "phones-end": "1", "source": "call"}
    return f"/clients/people/new?{urlencode(pairs)}"


@view_config(route_name="calls.dial", request_method="POST", permission=DIAL)
def dial(request: Request) -> Response:
    """Have the person's telephone ring and dial a number."""
    if not request.limits.hit(CLICKS, request.subject.user_id):
        return _word(request, _("Too many calls at once: wait a minute."), "danger", 429)
    try:
        services.dial(request.gate, str(request.POST.get("number", ""))[:60])
    except saving.NotAllowed as refused:
        return _word(request, refused.message, "danger", 422)
    return _word(request, _("Pick up your telephone: it will ring and dial the number."), "info", 204)


def _word(request: Request, text: Any, tone: str, status: int) -> Response:
    told = {"crm:toast": {"text": request.translate(text), "tone": tone}}
    return Response(status=status, headers={"HX-Trigger": json.dumps(told)})
