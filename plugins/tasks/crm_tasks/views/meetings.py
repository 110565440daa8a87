"""Meetings: the list of guests on the card of a task, and the page that a guest opens from his letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther, HTTPTooManyRequests
from pyramid.request import Request
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from crm_core import clock
from crm_core.db import RecordRef
from crm_core.forms import InvalidValues
from crm_core.people import may_name
from crm_core.security.limits import Rule
from crm_core.views.shapes import Choice, FieldView, FormPage, Section
from crm_tasks.i18n import _
from crm_tasks.models import Guest, Task
from crm_tasks.models.schedule import ACCEPTED, DECLINED, TENTATIVE, WAITED
from crm_tasks.permissions import EDIT
from crm_tasks.services import acting, invitations, schedule
from crm_tasks.views.answers import FORM, REFUSALS, done, refused, task_of
from crm_tasks.views.schedule import base_url, numbers

KEYS = Rule("tasks-invitation", "120 per 10 minutes")
"""Pages of invitations opened from one address."""

TONES = {ACCEPTED: "success", TENTATIVE: "warning", DECLINED: "danger", WAITED: "muted"}
SIGNS = {ACCEPTED: "check", TENTATIVE: "question-mark", DECLINED: "x", WAITED: "clock"}

_INVITATION = "crm_tasks:templates/invitation.pt"


# -- on the card -------------------------------------------------------------------------------------------------------


def panel(request: Request, task: Task) -> Mapping[str, Any] | None:
    """Return who was asked to a meeting and what they answered."""
    guests = invitations.guests_of(request.gate, task.id)
    rights = acting.rights(request.gate, [task.id]).get(task.id)
    may_write = bool(rights is not None and rights.edit)
    if not guests and not may_write:
        return None
    meeting = invitations.meeting_of(request.db, task.id) if guests else None
    waiting = [one for one in guests if meeting is None or one.told_sequence != meeting.sequence]
    return {
        "guests": [_guest(request, one) for one in guests],
        "may_write": may_write,
        "href": f"/tasks/{task.id}/guests",
        "unsent": len(waiting) if task.due_at is not None and task.completed_at is None else 0,
        "undated": task.due_at is None,
        "count": len(guests) or None,
    }


def _guest(request: Request, one: Guest) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name or one.email,
        "hint": one.email if one.name else "",
        "answer": request.translate(invitations.ANSWER_WORDS[one.answer]) if one.told_sequence >= 0 else "",
        "tone": TONES[one.answer],
        "sign": SIGNS[one.answer],
        "when": request.formats.datetime(one.answered_at) if one.answered_at else "",
    }


@view_config(route_name="tasks.guests", request_method="GET", renderer=FORM, permission=EDIT)
def inviting(request: Request) -> dict[str, Any]:
    """Show the form by which guests are put on the list and asked."""
    return _inviting_page(request, task_of(request))


@view_config(route_name="tasks.guests", request_method="POST", renderer=FORM, permission=EDIT)
def invite(request: Request) -> Any:
    """Put guests on the list and send their letters; without names, send to those who have none yet."""
    task = task_of(request)
    posted = request.POST
    try:
        with request.db.begin_nested():
            for number in numbers(posted.getall("colleagues")):
                invitations.add(request.gate, task, user_id=number)
            for client in posted.getall("clients"):
                if client:
                    invitations.add(request.gate, task, ref=_ref(str(client)))
            for email in str(posted.get("emails", "")).replace(",", " ").replace(";", " ").split()[:50]:
                invitations.add(request.gate, task, email=email)
            note = str(posted["note"]) if "note" in posted else None
            sent = invitations.send(request.gate, task, base_url(request), note)
    except REFUSALS as error:
        request.response.status_int = 422
        return _inviting_page(request, task, error)
    said = _("Invitations sent: ${count}", mapping={"count": sent}) if sent else _("Everybody is asked already.")
    # Letters have left: there is no way back that guests would not have to hear of.
    return done(request, f"/tasks/{task.id}", said, tone="info")


def _ref(text: str) -> RecordRef:
    try:
        return RecordRef.parse(text)
    except ValueError:
        raise InvalidValues({"clients": _("Choose from the list.")}) from None


@view_config(route_name="tasks.guest_remove", request_method="POST", permission=EDIT)
def take_off(request: Request) -> Any:
    """Take a guest off the list; he is told."""
    task = task_of(request)
    try:
        invitations.remove(request.gate, task, int(request.matchdict["guest"]))
    except REFUSALS as error:
        return done(request, f"/tasks/{task.id}", refused(error), tone="danger")
    return done(request, f"/tasks/{task.id}", _("The guest is taken off."), tone="info")


def _inviting_page(request: Request, task: Task, error: Exception | None = None) -> dict[str, Any]:
    errors: Mapping[str, Any] = error.errors if isinstance(error, InvalidValues) else {}
    first = next(iter(errors.values()), None) if errors else (refused(error) if error is not None else None)
    posted = request.POST if request.method == "POST" else {}
    meeting = invitations.meeting_of(request.db, task.id)
    say = request.translate
    fields = []
    if may_name(request.subject):
        fields.append(
            FieldView(name="colleagues", title=say(_("Colleagues")), kind="records", id="guests-colleagues",
                      options_href="/options/people", wide=True)
        )  # fmt: skip
    if offered := _subject_guest(request, task):
        fields.append(
            FieldView(name="clients", title=say(_("Client")), kind="choice", id="guests-clients", wide=True,
                      choices=[Choice(value="", title=say(_("Do not invite"))), offered])
        )  # fmt: skip
    fields += [
        FieldView(name="emails", title=say(_("Other addresses")), kind="text", id="guests-emails", wide=True,
                  value=str(posted.get("emails", "")), placeholder="name@example.com",
                  help=say(_("Several with a space or a comma between them.")), error=say(first) if first else ""),
        FieldView(name="note", title=say(_("A word to the guests")), kind="longtext", id="guests-note", wide=True,
                  value=str(posted.get("note", meeting.note if meeting is not None else "")),
                  help=say(_("The details of the task are for colleagues and are not sent."))),
    ]  # fmt: skip
    page = FormPage(
        id="guests",
        title=_("Invite to the meeting"),
        action=f"/tasks/{task.id}/guests",
        submit=_("Send the invitations"),
        errors=[("guests-emails", say(first))] if first else [],
        sections=[Section(fields=fields)],
        cancel_href=f"/tasks/{task.id}",
        wide=True,
    )
    return {"title": _("Invite to the meeting"), "page": page}


def _subject_guest(request: Request, task: Task) -> Choice | None:
    """Offer the client whom the task is about, where he has an address."""
    ref = task.subject
    entity = request.gate.plugins.entities.get(ref.entity) if ref is not None else None
    if ref is None or entity is None or not entity.emails:
        return None
    record = request.gate.get(entity, ref.id)
    entries = [one for one in (getattr(record, entity.emails) or ()) if one.get("value")] if record is not None else []
    if record is None or not entries:
        return None
    return Choice(value=str(ref), title=f"{getattr(record, entity.label)} · {entries[0]['value']}")


# -- the guest's page --------------------------------------------------------------------------------------------------


def _opened(request: Request) -> invitations.Invited:
    if not request.limits.hit(KEYS, request.client_addr):
        raise HTTPTooManyRequests
    invited = invitations.opened(request.db, request.matchdict["secret"])
    if invited is None:
        raise HTTPNotFound
    return invited


@view_config(
    route_name="tasks.invitation", request_method="GET", renderer=_INVITATION, permission=NO_PERMISSION_REQUIRED
)
def invitation(request: Request) -> dict[str, Any]:
    """Show a guest the meeting to which he was asked; looking at it answers nothing."""
    return _invitation_page(request, _opened(request))


@view_config(
    route_name="tasks.invitation", request_method="POST", renderer=_INVITATION, permission=NO_PERMISSION_REQUIRED
)
def answer(request: Request) -> Any:
    """Take the guest's answer."""
    invited = _opened(request)
    try:
        plugins = request.registry["crm.plugins"]
        invitations.answer(request.db, plugins, invited, str(request.POST.get("answer", "")))
    except InvalidValues as invalid:
        request.response.status_int = 422
        return {**_invitation_page(request, invited), "error": next(iter(invalid.errors.values()))}
    return HTTPSeeOther(request.path)


def _invitation_page(request: Request, invited: invitations.Invited) -> dict[str, Any]:
    task, meeting = invited.task, invited.meeting
    # Nobody else's page may show it, and it tells nobody where it was opened from.
    request.response.headers["Cache-Control"] = "no-store"
    request.response.headers["Referrer-Policy"] = "no-referrer"
    request.response.headers["X-Robots-Tag"] = "noindex"
    zone = task.zone or "UTC"
    formats = type(request.formats)(request.locale_name, zone, request.localizer)
    past = schedule.span(task).end < clock.now()
    return {
        "title": task.title,
        "when": invitations.said_when(task, formats),
        "zone": zone,
        "place": task.place or "",
        "organizer": invited.organizer,
        "note": meeting.note,
        "off": invited.off,
        "past": past,
        "said": request.translate(invitations.ANSWER_WORDS[invited.guest.answer]),
        "present": invited.guest.answer,
        "waited": invited.guest.answer == WAITED,
        "answers": [
            (ACCEPTED, _("I will come"), "check"),
            (TENTATIVE, _("Perhaps"), "question-mark"),
            (DECLINED, _("I will not come"), "x"),
        ],
        "error": "",
    }
