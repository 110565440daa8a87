"""The fields of calls: lists, cards, filters and export are made of these."""

from __future__ import annotations

from crm_calls.contract import BUSY, CANCELLED, FAILED, INCOMING, LOST, NO_ANSWER, OUTGOING, TALKED
from crm_calls.i18n import _
from crm_core import forms

RINGING, ANSWERED, ENDED, MISSED, NOT_REACHED = "ringing", "answered", "ended", "missed", "failed"

DIRECTIONS: forms.Choices = ((INCOMING, _("Incoming")), (OUTGOING, _("Outgoing")))

STATUSES: forms.Choices = (
    (RINGING, _("Rings")),
    (ANSWERED, _("Being talked")),
    (ENDED, _("Talked")),
    (MISSED, _("Missed")),
    (NOT_REACHED, _("Not reached")),
)

RESULTS: forms.Choices = (
    (TALKED, _("Answered")),
    (NO_ANSWER, _("No answer")),
    (BUSY, _("Busy")),
    (CANCELLED, _("Hung up before an answer")),
    (FAILED, _("Could not be connected")),
    (LOST, _("The end was not told")),
)


class CallSchema(forms.RecordSchema):
    """A call."""

    phones = forms.phones(_("Number"), readonly=True, searched=True)
    direction = forms.choice(_("Direction"), DIRECTIONS, readonly=True)
    status = forms.choice(_("Status"), STATUSES, readonly=True)
    person_id = forms.record(_("Person"), "clients.person", readonly=True)
    company_id = forms.record(_("Company"), "clients.company", readonly=True)
    started_at = forms.datetime(_("When"), readonly=True, sorted=True)
    duration_s = forms.number(_("Talk, seconds"), readonly=True)
    result = forms.choice(_("How it ended"), RESULTS, readonly=True)
    reason = forms.text(_("Why it did not work"), readonly=True, listed=False)
    owner_id = forms.user(_("Who talked"), readonly=True)
    line = forms.text(_("Internal number"), readonly=True)
    answered_at = forms.datetime(_("Answered"), readonly=True, listed=False)
    ended_at = forms.datetime(_("Ended"), readonly=True, listed=False)
    comment = forms.longtext(_("What was said"), searched=True, personal=True)
    tags = forms.tags(_("Tags"))


class GatewaySchema(forms.RecordSchema):
    """How changes of gateways read in the log; passwords never get there."""

    name = forms.text(_("Name"))
    adapter = forms.text(_("Telephony"))
    active = forms.boolean(_("On"))


class LineSchema(forms.RecordSchema):
    """How changes of lines read in the log."""

    number = forms.text(_("Internal number"))
    user_id = forms.user(_("Whose"))
    team_id = forms.team(_("Department"))
