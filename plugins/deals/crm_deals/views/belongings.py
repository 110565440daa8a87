"""What belongs to a deal, from its card: parties, observers, dates."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_core.db import RecordRef
from crm_core.forms import FieldInfo
from crm_core.records import saving
from crm_core.views.shapes import FieldView
from crm_deals.i18n import _
from crm_deals.models import DealDate
from crm_deals.permissions import EDIT, VIEW
from crm_deals.services import belongings
from crm_deals.views.answers import (
    FORM,
    choices,
    day,
    deal_of,
    done,
    errors_of,
    field,
    form_page,
    href_of,
    number,
    refused,
)

_ENTITIES = {"person": "clients.person", "company": "clients.company"}


# -- parties -----------------------------------------------------------------------------------------------------------


@view_config(route_name="deals.party_new", request_method="GET", permission=EDIT, renderer=FORM)
def adding_party(request: Request) -> dict[str, Any]:
    """Show the form that adds a person or company to a deal."""
    return _party_page(request)


@view_config(route_name="deals.party_new", request_method="POST", permission=EDIT, renderer=FORM)
def add_party(request: Request) -> Any:
    """Add a person or company to a deal."""
    deal = deal_of(request)
    refs = [RecordRef(_ENTITIES[name], number(request.POST.get(name))) for name in _ENTITIES]
    refs = [ref for ref in refs if ref.id]
    if not refs:
        return _party_page(request, {"person": _("Choose a person or a company.")})
    try:
        for ref in refs:
            belongings.add_party(request.gate, deal, ref, str(request.POST.get("role", "")))
    except saving.NotAllowed as problem:
        return _party_page(request, errors_of(problem))
    return done(request, _("Added to the deal."), href_of(deal))


def _party_page(request: Request, errors: Any = None) -> dict[str, Any]:
    deal = deal_of(request)
    errors = errors or {}
    posted = request.POST if request.method == "POST" else {}
    fields = [
        field(
            request,
            FieldInfo(name=name, title=title, kind="record", entity=_ENTITIES[name]),
            str(posted.get(name, "")),
            errors.get(name, ""),
            autofocus=name == "person",
        )
        for name, title in (("person", _("Person")), ("company", _("Company")))
    ]
    fields.append(
        FieldView(
            name="role",
            title=request.translate(_("Role in the deal")),
            value=str(posted.get("role", "")),
            help=request.translate(_("Decides, pays, receives, installs…")),
            maxlength=200,
        )
    )
    return form_page(
        request,
        id="party",
        title=_("Add a person or company"),
        action=f"{href_of(deal)}/parties/new",
        submit=_("Add to the deal"),
        fields=fields,
        cancel=href_of(deal),
        errors=errors,
    )


@view_config(route_name="deals.party_remove", request_method="POST", permission=EDIT)
def remove_party(request: Request) -> Any:
    """Take a person or company off a deal."""
    deal = deal_of(request)
    belongings.remove_party(request.gate, deal, number(request.matchdict["party"]))
    return done(request, _("Taken off the deal."), href_of(deal))


# -- observers ---------------------------------------------------------------------------------------------------------


@view_config(route_name="deals.observer_new", request_method="GET", permission=EDIT, renderer=FORM)
def adding_observer(request: Request) -> dict[str, Any]:
    """Show the form that lets a colleague watch a deal."""
    return _observer_page(request)


@view_config(route_name="deals.observer_new", request_method="POST", permission=EDIT, renderer=FORM)
def add_observer(request: Request) -> Any:
    """Let a colleague watch a deal."""
    deal = deal_of(request)
    chosen = number(request.POST.get("user_id"))
    if not chosen:
        return _observer_page(request, {"user_id": _("Choose from the list.")})
    try:
        belongings.add_observer(request.gate, deal, chosen)
    except saving.NotAllowed as problem:
        return _observer_page(request, {"user_id": problem.message})
    return done(request, _("He sees the deal now."), href_of(deal))


def _observer_page(request: Request, errors: Any = None) -> dict[str, Any]:
    deal = deal_of(request)
    errors = errors or {}
    info = FieldInfo(name="user_id", title=_("Colleague"), kind="user", required=True)
    value = str(request.POST.get("user_id", "")) if request.method == "POST" else ""
    return form_page(
        request,
        id="observer",
        title=_("Add an observer"),
        action=f"{href_of(deal)}/observers/new",
        submit=_("Let him watch the deal"),
        fields=[field(request, info, value, errors.get("user_id", ""), autofocus=True)],
        intro=_("An observer sees the deal with all that belongs to it, and changes nothing."),
        cancel=href_of(deal),
        errors=errors,
    )


@view_config(route_name="deals.observer_remove", request_method="POST", permission=VIEW)
def remove_observer(request: Request) -> Any:
    """Let a colleague, or oneself, no longer watch a deal."""
    deal = deal_of(request, "view")
    try:
        belongings.remove_observer(request.gate, deal, number(request.matchdict["user"]))
    except saving.NotAllowed as problem:
        return refused(request, problem.message, href_of(deal))
    where = href_of(deal) if request.gate.visible_ids("deals.deal", [deal.id]) else "/deals"
    return done(request, _("No longer an observer."), where, go=where == "/deals")


# -- dates -------------------------------------------------------------------------------------------------------------


def _date(request: Request, deal_id: int) -> DealDate | None:
    chosen = number(request.matchdict.get("date"))
    if not chosen:
        return None
    found = request.db.get(DealDate, chosen)
    if found is None or found.deal_id != deal_id:
        raise HTTPNotFound
    return found


@view_config(route_name="deals.date_new", request_method="GET", permission=EDIT, renderer=FORM)
@view_config(route_name="deals.date", request_method="GET", permission=EDIT, renderer=FORM)
def writing_date(request: Request) -> dict[str, Any]:
    """Show the form of a day of a deal."""
    return _date_page(request)


@view_config(route_name="deals.date_new", request_method="POST", permission=EDIT, renderer=FORM)
@view_config(route_name="deals.date", request_method="POST", permission=EDIT, renderer=FORM)
def write_date(request: Request) -> Any:
    """Write a day of a deal."""
    deal = deal_of(request)
    present = _date(request, deal.id)
    when = day(request.POST.get("day"))
    kind_id = number(request.POST.get("kind_id"))
    typed = str(request.POST.get("remind_days", "")).strip()
    errors: dict[str, Any] = {}
    if when is None:
        errors["day"] = _("Write a date.")
    if not kind_id:
        errors["kind_id"] = _("Choose from the list.")
    if typed and (not typed.isdecimal() or int(typed) > 365):
        errors["remind_days"] = _("Remind from 0 to 365 days before.")
    if errors or when is None:
        return _date_page(request, errors)
    try:
        belongings.set_date(
            request.gate,
            deal,
            kind_id,
            when,
            date_id=present.id if present is not None else None,
            remind_days=int(typed) if typed else None,
            note=str(request.POST.get("note", "")),
            done=present.done if present is not None else False,
        )
    except saving.NotAllowed as problem:
        return _date_page(request, errors_of(problem))
    return done(request, _("The date is written; its day will be reminded of."), href_of(deal))


def _date_page(request: Request, errors: Any = None) -> dict[str, Any]:
    deal = deal_of(request)
    present = _date(request, deal.id)
    errors = errors or {}
    say = request.translate
    posted: Any = request.POST if request.method == "POST" else {}
    if present is not None and not posted:
        posted = {
            "kind_id": present.kind_id,
            "day": present.day.isoformat(),
            "remind_days": "" if present.remind_days is None else present.remind_days,
            "note": present.note or "",
        }
    kinds = [(kind.id, belongings.kind_title(kind)) for kind in belongings.date_kinds(request.db)]
    return form_page(
        request,
        id="date",
        title=_("Change the date") if present is not None else _("Add a date"),
        action=f"{href_of(deal)}/dates/{present.id if present is not None else 'new'}",
        submit=_("Save the date") if present is not None else _("Add the date"),
        fields=[
            FieldView(
                name="kind_id",
                title=say(_("What happens")),
                kind="choice",
                required=True,
                value=str(posted.get("kind_id", "")),
                choices=choices(request, kinds),
                error=say(errors["kind_id"]) if "kind_id" in errors else "",
            ),
            FieldView(
                name="day",
                title=say(_("Day")),
                kind="date",
                required=True,
                value=str(posted.get("day", "")),
                error=say(errors["day"]) if "day" in errors else "",
            ),
            FieldView(
                name="remind_days",
                title=say(_("Remind days before")),
                kind="number",
                value=str(posted.get("remind_days", "")),
                minimum="0",
                help=say(_("Empty: as is usual for this kind.")),
                error=say(errors["remind_days"]) if "remind_days" in errors else "",
            ),
            FieldView(name="note", title=say(_("Note")), value=str(posted.get("note", "")), maxlength=500),
        ],
        cancel=href_of(deal),
        errors=errors,
    )


@view_config(route_name="deals.date_done", request_method="POST", permission=EDIT)
def finish_date(request: Request) -> Any:
    """Say that what was to happen on a day has happened, or that it has not."""
    deal = deal_of(request)
    present = _date(request, deal.id)
    assert present is not None
    belongings.finish_date(request.gate, deal, present.id, done=not present.done)
    return done(request, _("Done.") if present.done else _("Not done yet."), href_of(deal))


@view_config(route_name="deals.date_remove", request_method="POST", permission=EDIT)
def remove_date(request: Request) -> Any:
    """Take a day off a deal."""
    deal = deal_of(request)
    belongings.remove_date(request.gate, deal, number(request.matchdict["date"]))
    return done(request, _("The date is taken off."), href_of(deal))
