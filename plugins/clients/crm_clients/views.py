"""Pages of this plugin's own: recording from the card, links of people and companies."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from crm_clients import services
from crm_clients.entities import COMPANIES, COMPANY, INTERACTION, PERSON, PERSONS
from crm_clients.i18n import _
from crm_clients.permissions import EDIT, INTERACTIONS_CREATE
from crm_clients.schemas import (
    CALL,
    DIRECTIONS,
    INCOMING,
    INTERACTION_KINDS,
    LETTER,
    MEETING,
    MESSAGE,
    NOTE,
    OUTCOMES,
    OUTGOING,
    REACHED,
    SMS,
    VISIT,
)
from crm_core import clock
from crm_core.db import RecordRef
from crm_core.forms import InvalidValues, unflatten
from crm_core.records import operations, quick, saving
from crm_core.records.fields import schema_fields
from crm_core.specs import Entity
from crm_core.views.shapes import Choice, FieldView, FormPage, Section

FORM = "crm_clients:templates/form.pt"


def _done(request: Request, where: str, said: str) -> Any:
    """Say that it is done, with the way back: on the card that stays open, which loads itself again, or on the next."""
    if not request.headers.get("HX-Request"):
        request.toast(said, undo_href=_undo_href(request))
        return HTTPSeeOther(where)
    told = {"text": request.translate(said), "undo_href": _undo_href(request)}
    return Response(status=204, headers={"HX-Trigger": json.dumps({"crm:toast": told, "crm:reload": {}})})


def _undo_href(request: Request) -> str:
    operation = operations.current(request.db)
    return f"/operations/{operation}/undo" if operation else ""


# -- recording ---------------------------------------------------------------------------------------------------------

#: Which fields are asked for at once, by kind; everything else can be added on the card.
ASKED: Mapping[str, tuple[str, ...]] = {
    CALL: ("text", "direction", "outcome", "next_step", "minutes", "at"),
    MEETING: ("text", "next_step", "at"),
    VISIT: ("text", "next_step", "at"),
    LETTER: ("text", "direction", "next_step", "at"),
    MESSAGE: ("text", "direction", "next_step", "at"),
    SMS: ("text", "direction", "at"),
    NOTE: ("text",),
}

SUBMIT: Mapping[str, str] = {
    CALL: _("Log the call"),
    MEETING: _("Record the meeting"),
    VISIT: _("Record the visit"),
    LETTER: _("Record the letter"),
    MESSAGE: _("Record the message"),
    SMS: _("Record the SMS"),
    NOTE: _("Add the note"),
}

RECORDED: Mapping[str, str] = {
    CALL: _("The call is in the history."),
    MEETING: _("The meeting is in the history."),
    VISIT: _("The visit is in the history."),
    LETTER: _("The letter is in the history."),
    MESSAGE: _("The message is in the history."),
    SMS: _("The SMS is in the history."),
    NOTE: _("The note is in the history."),
}


def _subject(request: Request) -> tuple[RecordRef, Entity]:
    try:
        ref = RecordRef.parse(request.params.get("subject", ""))
        entity = request.gate.entity(ref.entity)
    except (ValueError, KeyError):
        raise HTTPNotFound from None
    if not request.gate.visible_ids(entity, [ref.id]):
        raise HTTPNotFound
    return ref, entity


def _kind(request: Request) -> str:
    kind = request.matchdict["kind"]
    if kind not in ASKED:
        raise HTTPNotFound
    return str(kind)


@view_config(
    route_name="clients.interactions.record", request_method="GET", renderer=FORM, permission=INTERACTIONS_CREATE
)
def recording(request: Request) -> dict[str, Any]:
    """Show the small form by which something is recorded from a card."""
    ref, entity = _subject(request)
    return _recording_page(request, _kind(request), ref, entity)


@view_config(
    route_name="clients.interactions.record", request_method="POST", renderer=FORM, permission=INTERACTIONS_CREATE
)
def record(request: Request) -> Any:
    """Record what was said."""
    ref, entity = _subject(request)
    kind = _kind(request)
    try:
        values = _read_recording(request, kind)
        services.record_interaction(request.gate, ref, **values)
    except InvalidValues as invalid:
        request.response.status_int = 422
        return _recording_page(request, kind, ref, entity, invalid)
    return _done(request, f"{entity.url}/{ref.id}", RECORDED[kind])


def _read_recording(request: Request, kind: str) -> dict[str, Any]:
    entity = request.gate.entity(INTERACTION)
    typed = {**unflatten(request.POST.items(), schema_fields(entity.schema)), "kind": kind}
    minutes = str(request.POST.get("minutes", "")).strip().replace(",", ".")
    if minutes:
        try:
            typed["duration_s"] = round(float(minutes) * 60)
        except (ValueError, OverflowError):
            raise InvalidValues({"minutes": _("Write a number of minutes.")}, typed) from None
    typed["at"] = _instant(request, str(typed.get("at") or ""))
    if kind == NOTE and not str(typed.get("text") or "").strip():
        raise InvalidValues({"text": _("Write the note.")}, typed)
    if kind == CALL and typed.get("outcome") == "missed":
        typed.pop("duration_s", None)
    return saving.check(request.gate, entity, typed, only=typed)


def _instant(request: Request, typed: str) -> dt.datetime:
    if not typed.strip():
        return clock.now()
    try:
        at = dt.datetime.fromisoformat(typed.strip())
    except ValueError:
        raise InvalidValues({"at": _("Write a date and a time.")}, {"at": typed}) from None
    at = at if at.tzinfo else at.replace(tzinfo=request.formats.tz)
    if at > clock.now() + dt.timedelta(minutes=5):
        raise InvalidValues({"at": _("This has not happened yet.")}, {"at": typed})
    return at


def _recording_page(
    request: Request, kind: str, ref: RecordRef, entity: Entity, invalid: InvalidValues | None = None
) -> dict[str, Any]:
    errors = invalid.errors if invalid else {}
    posted = request.POST if request.method == "POST" else {}
    zone = request.formats.tz
    defaults = {
        "direction": OUTGOING if kind in (CALL, LETTER, SMS) else INCOMING,
        "outcome": REACHED,
        "at": clock.now().astimezone(zone).strftime("%Y-%m-%dT%H:%M"),
    }
    fields = [
        _recording_field(request, name, kind, str(posted.get(name, defaults.get(name, ""))), errors.get(name, ""))
        for name in ASKED[kind]
    ]
    title = dict(INTERACTION_KINDS)[kind]
    page = FormPage(
        id=f"record-{kind}",
        title=title,
        action=f"/clients/interactions/record/{kind}",
        submit=SUBMIT[kind],
        sections=[Section(fields=fields)],
        hidden=[("subject", str(ref))],
        cancel_href=f"{entity.url}/{ref.id}",
        draft=f"{INTERACTION}:{kind}:{ref}",
        wide=True,
    )
    return {"title": title, "page": page}


def _recording_field(request: Request, name: str, kind: str, value: str, error: Any) -> FieldView:
    say = request.translate
    more: dict[str, Any] = {"name": name, "value": value, "error": say(error) if error else "", "id": f"r-{name}"}
    if name == "direction":
        return FieldView(title=say(_("Direction")), kind="choice", choices=_choices(request, DIRECTIONS), **more)
    if name == "outcome":
        return FieldView(title=say(_("Outcome")), kind="choice", choices=_choices(request, OUTCOMES), **more)
    if name == "text":
        title = _("Note") if kind == NOTE else _("What was said")
        more |= {"rows": 3, "wide": True, "required": kind == NOTE, "options_href": "/options/people"}
        return FieldView(title=say(title), kind="longtext", **more)
    if name == "next_step":
        return FieldView(title=say(_("Next step")), kind="text", maxlength=500, **more)
    if name == "minutes":
        return FieldView(title=say(_("Minutes")), kind="number", minimum="0", **more)
    return FieldView(title=say(_("When")), kind="datetime", **more)


def _choices(request: Request, pairs: Any) -> list[Choice]:
    return [Choice(value=value, title=request.translate(title)) for value, title in pairs]


# -- who belongs where -------------------------------------------------------------------------------------------------


def _of(request: Request) -> Entity:
    entity: Entity = request.gate.entity(PERSON if request.matchdict["of"] == "people" else COMPANY)
    return entity


def _record(request: Request, entity: Entity) -> Any:
    record = request.gate.get(entity, int(request.matchdict["id"][:18]))
    if record is None:
        raise HTTPNotFound
    return record


@view_config(route_name="clients.link", request_method="GET", renderer=FORM, permission=EDIT)
def linking(request: Request) -> dict[str, Any]:
    """Show the form that links a person to a company, from either side."""
    return _linking_page(request, _of(request), _record(request, _of(request)))


@view_config(route_name="clients.link", request_method="POST", renderer=FORM, permission=EDIT)
def link(request: Request) -> Any:
    """Link a person to a company."""
    entity = _of(request)
    record = _record(request, entity)
    chosen = str(request.POST.get("other", ""))
    try:
        if not chosen.isdecimal() or len(chosen) > 18:
            raise InvalidValues({"other": _("Choose from the list.")})
        person = record if entity.name == PERSON else request.gate.get(PERSON, int(chosen))
        company_id = int(chosen) if entity.name == PERSON else record.id
        if person is None:
            raise InvalidValues({"other": _("There is no such client, or you may not see it.")})
        services.link(request.gate, person, company_id, str(request.POST.get("role", "")))
    except InvalidValues as invalid:
        request.response.status_int = 422
        return _linking_page(request, entity, record, invalid.errors)
    except saving.NotAllowed as refused:
        request.response.status_int = 422
        return _linking_page(request, entity, record, {"other": refused.message})
    request.toast(_("The person is linked to the company."), undo_href=_undo_href(request))
    return _back(request, f"{entity.url}/{record.id}")


def _back(request: Request, where: str) -> Any:
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Redirect": where})
    return HTTPSeeOther(where)


def _linking_page(
    request: Request, entity: Entity, record: Any, errors: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    say = request.translate
    errors = errors or {}
    of_person = entity.name == PERSON
    other = COMPANIES if of_person else PERSONS
    posted = request.POST if request.method == "POST" else {}
    title = _("Add a company of the person") if of_person else _("Add a person to the company")
    chosen = str(posted.get("other", ""))
    labels = request.gate.labels(other, [int(chosen)]) if chosen.isdecimal() and len(chosen) < 19 else {}
    fields = [
        FieldView(
            name="other",
            title=say(_("Company") if of_person else _("Person")),
            kind="record",
            required=True,
            value=chosen,
            choices=[Choice(value=str(number), title=label) for number, label in labels.items()],
            options_href=f"{other.url}/options",
            quick_href=quick.href(request.gate, other),
            error=say(errors["other"]) if "other" in errors else "",
            autofocus=True,
        ),
        FieldView(
            name="role",
            title=say(_("Role there")),
            value=str(posted.get("role", "")),
            help=say(_("Decides, pays, uses, advises…")),
            maxlength=200,
        ),
    ]
    page = FormPage(
        id="link",
        title=title,
        action=f"{entity.url}/{record.id}/link",
        submit=_("Add the company") if of_person else _("Add the person"),
        sections=[Section(fields=fields)],
        cancel_href=f"{entity.url}/{record.id}",
    )
    return {"title": title, "page": page}


@view_config(route_name="clients.unlink", request_method="POST", permission=EDIT)
def unlink(request: Request) -> Any:
    """Take a person off a company."""
    person = _record(request, PERSONS)
    _or_404(lambda: services.unlink(request.gate, person, int(request.matchdict["company"][:18])))
    request.toast(_("The person is taken off the company."), undo_href=_undo_href(request))
    return _back(request, f"{PERSONS.url}/{person.id}")


@view_config(route_name="clients.main_company", request_method="POST", permission=EDIT)
def make_main(request: Request) -> Any:
    """Make one of a person's companies the main one."""
    person = _record(request, PERSONS)
    company_id = int(request.matchdict["company"][:18])
    if not request.gate.visible_ids(COMPANY, [company_id]):
        raise HTTPNotFound
    _or_404(lambda: saving.change(request.gate, PERSONS, person, {"company_id": company_id}))
    request.toast(_("The main company is changed."), undo_href=_undo_href(request))
    return _back(request, f"{PERSONS.url}/{person.id}")


def _or_404(do: Any) -> None:
    try:
        do()
    except saving.NotAllowed:
        raise HTTPNotFound from None
