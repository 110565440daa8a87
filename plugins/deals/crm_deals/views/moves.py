"""A deal on its way: move it along the bar of stages, win, refuse, open again, copy, approve its discount."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_core.forms import InvalidValues, unflatten
from crm_core.records import saving
from crm_core.records.gate import user_names
from crm_core.views.shapes import FieldView
from crm_deals import services
from crm_deals.entities import DEALS, STAGE
from crm_deals.i18n import _
from crm_deals.models import LOST, WON, Deal, Stage
from crm_deals.permissions import CREATE, DISCOUNT, EDIT
from crm_deals.services import discounts, lists
from crm_deals.services.deals import closing_stage, entry_fields, last_move, missing_fields
from crm_deals.views.answers import (
    FORM,
    answer,
    choices,
    deal_of,
    done,
    errors_of,
    field,
    form_page,
    href_of,
    number,
    number_or_none,
    refused,
)


def _target(request: Request, deal: Deal) -> Stage:
    wanted = request.matchdict.get("way")
    if wanted in (WON, LOST):
        return closing_stage(request.gate, deal, wanted)
    stage = request.gate.get(STAGE, number(request.params.get("stage")))
    if stage is None:
        raise HTTPNotFound
    found: Stage = stage
    return found


@view_config(route_name="deals.move", request_method="GET", permission=EDIT, renderer=FORM)
@view_config(route_name="deals.close", request_method="GET", permission=EDIT, renderer=FORM)
def asking(request: Request) -> dict[str, Any]:
    """Show what a stage asks for on entry: fields that are empty, the reason of a refusal."""
    deal = deal_of(request)
    return _asking(request, deal, _target(request, deal))


@view_config(route_name="deals.move", request_method="POST", permission=EDIT, renderer=FORM)
@view_config(route_name="deals.close", request_method="POST", permission=EDIT, renderer=FORM)
def move(request: Request) -> Any:
    """Move a deal; what the stage asks for is asked, and whoever comes second is told who was first."""
    deal = deal_of(request)
    target = _target(request, deal)
    version = number_or_none(request.POST.get("version"))
    try:
        values = _filled(request, deal, target)
        moved = services.move(
            request.gate,
            deal,
            target.id,
            version=version,
            values=values,
            reason_id=number_or_none(request.POST.get("reason_id")),
            reason_note=str(request.POST.get("reason_note", "")),
        )
    except (services.NeedsFields, services.NeedsReason) as needs:
        return _ask_further(request, deal, target, needs)
    except services.NeedsApproval as needs:
        return refused(request, _not_approved(needs), href_of(deal))
    except saving.Conflict as conflict:
        return refused(request, overtaken(request, conflict.record), href_of(deal))
    except (InvalidValues, saving.NotAllowed) as problem:
        if isinstance(problem, saving.NotAllowed) and "asked" not in request.POST:
            return refused(request, problem.message, href_of(deal))
        return _asking(request, deal, target, errors_of(problem))
    if not moved.moved:
        return answer(request, href_of(deal))
    return done(request, _said(moved), href_of(deal))


def _said(moved: services.Moved) -> Any:
    if moved.stage.kind == WON:
        return _("The deal is won: ${deal}", mapping={"deal": moved.deal.name})
    if moved.stage.kind == LOST:
        return _("The deal is refused: ${deal}", mapping={"deal": moved.deal.name})
    return _("The deal is in the stage “${stage}” now.", mapping={"stage": moved.stage.name})


def _not_approved(needs: services.NeedsApproval) -> Any:
    values = {"percent": discounts.plain(needs.percent), "limit": discounts.plain(needs.limit)}
    return _(
        "The discount of ${percent} % is over the limit of ${limit} % and has not been approved. Ask for approval.",
        mapping=values,
    )


def overtaken(request: Request, deal: Deal) -> Any:
    """Return who moved a deal first, where to and when, in words."""
    last = last_move(request.db, deal.id)
    if last is None:
        return _("Somebody has changed this deal meanwhile.")
    who = user_names(request.db, [last.user_id]).get(last.user_id or 0) or request.translate(_("Somebody"))
    stage = request.gate.labels(STAGE, [last.to_stage_id]).get(last.to_stage_id, "")
    return _(
        "${who} has moved this deal already: to “${stage}”, ${when}. Your move was not made.",
        mapping={"who": who, "stage": stage, "when": request.formats.relative(last.at)},
    )


def _filled(request: Request, deal: Deal, target: Stage) -> dict[str, Any]:
    known = entry_fields(request.gate)
    wanted = {name: info for name, info in known.items() if name in target.required_fields and name in request.POST}
    typed = unflatten(((key, value) for key, value in request.POST.items() if isinstance(value, str)), wanted)
    typed = {name: value for name, value in typed.items() if value not in ("", [])}
    if not typed:
        return {}
    return saving.check(request.gate, DEALS, typed, only=typed)


def _ask_further(request: Request, deal: Deal, target: Stage, needs: Exception) -> Any:
    if "asked" not in request.POST:
        # It came from a button; the form is a page of its own, or a dialog.
        return answer(request, f"{href_of(deal)}/move?stage={target.id}", go=True)
    if isinstance(needs, services.NeedsReason):
        return _asking(request, deal, target, {"reason_id": _("Choose the reason.")})
    assert isinstance(needs, services.NeedsFields)
    return _asking(request, deal, target, {name: _("Fill this in.") for name in needs.fields})


def _asking(request: Request, deal: Deal, target: Stage, errors: Any = None) -> dict[str, Any]:
    errors = errors or {}
    posted = request.POST if request.method == "POST" else {}
    known = entry_fields(request.gate)
    names = [name for name in target.required_fields if name in known and name in posted]
    names += [name for name in missing_fields(request.gate, deal, target, {}) if name not in names]
    fields = [
        field(request, known[name], str(posted.get(name, "")), errors.get(name, ""), required=True) for name in names
    ]
    if target.kind == LOST:
        reasons = [(reason.id, reason.name) for reason in lists.reasons(request.db)]
        say = request.translate
        fields = [
            FieldView(
                name="reason_id",
                title=say(_("Reason of refusal")),
                kind="radio" if len(reasons) <= 8 else "choice",
                required=True,
                value=str(posted.get("reason_id", "")),
                choices=choices(request, reasons),
                error=say(errors["reason_id"]) if "reason_id" in errors else "",
            ),
            FieldView(
                name="reason_note",
                title=say(_("In words, if there is something to add")),
                value=str(posted.get("reason_note", "")),
                maxlength=500,
            ),
            *fields,
        ]
    titles = {LOST: _("Refusal"), WON: _("Won: ${deal}", mapping={"deal": deal.name})}
    submits = {LOST: _("Refuse the deal"), WON: _("Win the deal")}
    return form_page(
        request,
        id="move-deal",
        title=titles.get(target.kind, _("To the stage “${stage}”", mapping={"stage": target.name})),
        action=f"{href_of(deal)}/move",
        submit=submits.get(target.kind, _("Move the deal")),
        fields=fields,
        hidden=[
            ("stage", str(target.id)),
            ("version", str(posted.get("version") or deal.version)),
            ("asked", "1"),
        ],
        cancel=href_of(deal),
        errors=errors,
        intro="" if fields else _("Nothing more is asked for this stage."),
    )


@view_config(route_name="deals.reopen", request_method="POST", permission=EDIT)
def reopen(request: Request) -> Any:
    """Open a closed deal again, in the stage it was closed from."""
    deal = deal_of(request)
    try:
        moved = services.reopen(request.gate, deal, version=number_or_none(request.POST.get("version")))
    except saving.NotAllowed as problem:
        return refused(request, problem.message, href_of(deal))
    except saving.Conflict as conflict:
        return refused(request, overtaken(request, conflict.record), href_of(deal))
    except services.NeedsFields as needs:
        return _ask_further(request, deal, needs.stage, needs)
    said = _("The deal is open again, in the stage “${stage}”.", mapping={"stage": moved.stage.name})
    return done(request, said, href_of(deal))


@view_config(route_name="deals.clone", request_method="POST", permission=CREATE)
def clone(request: Request) -> Any:
    """Make a copy of a deal and go there."""
    deal = deal_of(request, "view")
    copy = services.clone(request.gate, deal)
    return done(request, _("This is the copy: ${deal}", mapping={"deal": copy.name}), href_of(copy), go=True)


@view_config(route_name="deals.ask_discount", request_method="POST", permission=EDIT)
def ask_discount(request: Request) -> Any:
    """Ask for the approval of a discount over the limit."""
    deal = deal_of(request)
    try:
        discounts.ask(request.gate, deal)
    except saving.NotAllowed as problem:
        return refused(request, problem.message, href_of(deal))
    return done(request, _("Those who may approve the discount are told."), href_of(deal))


@view_config(route_name="deals.decide_discount", request_method="POST", permission=DISCOUNT)
def decide_discount(request: Request) -> Any:
    """Approve a discount over the limit, or decline it."""
    deal = deal_of(request, "discount")
    approved = request.matchdict["what"] == "approve"
    discounts.decide(request.gate, deal, approved=approved)
    return done(
        request, _("The discount is approved.") if approved else _("The discount is declined."), href_of(deal)
    )

