"""The fields of leads, and of the forms, programs and rules as history tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_core import forms
from crm_deals.i18n import _
from crm_deals.models.leads import LEAST, LINKED, NEW, PERSON, REJECTED, ROUND, TAKEN
from crm_deals.schemas.deals import SOURCES

LEAD_STATES: forms.Choices = (
    (NEW, _("New")),
    (TAKEN, _("Taken")),
    (LINKED, _("Linked to a client")),
    (REJECTED, _("Rejected")),
)

REASONS: forms.Choices = (
    ("spam", _("Spam")),
    ("wrong", _("Wrong number or address")),
    ("profile", _("Not what we do")),
    ("double", _("The same request again")),
    ("silent", _("Does not answer")),
    ("other", _("Other")),
)
"""Why a lead is rejected."""

WAYS: forms.Choices = (
    (ROUND, _("In turn")),
    (LEAST, _("Who has the least to do")),
    (PERSON, _("Always the same person")),
)

_WHO, _WORK, _FROM = _("Who asks"), _("Work with the lead"), _("Where it came from")
_KEPT: dict[str, Any] = {"readonly": True, "imported": False, "on_create": False}
#: Written by what is done with a lead, and told by its history.
_TOLD: dict[str, Any] = {**_KEPT, "feed": forms.Feed()}


class LeadSchema(forms.RecordSchema):
    """A lead."""

    name = forms.text(_("Person's name"), section=_WHO, searched=True, personal=True, maximum=200)
    phones = forms.phones(_("Phones"), section=_WHO, searched=True, personal=True)
    emails = forms.emails(_("E-mail"), section=_WHO, searched=True, personal=True)
    company = forms.text(_("Company"), section=_WHO, searched=True, maximum=300)
    text = forms.longtext(_("Request"), section=_WHO, searched=True, personal=True, maximum=10_000)
    source = forms.choice(_("Source"), SOURCES, section=_FROM, sorted=True)
    state = forms.choice(_("State"), LEAD_STATES, section=_WORK, sorted=True, **_TOLD)
    owner_id = forms.user(_("Responsible"), section=_WORK, on_create=False)
    received_at = forms.datetime(_("Received"), section=_WORK, sorted=True, **_KEPT)
    due_at = forms.datetime(_("Answer by"), section=_WORK, sorted=True, **_KEPT)
    first_reaction_at = forms.datetime(_("First reaction"), section=_WORK, sorted=True, **_KEPT)
    late_minutes = forms.number(
        _("Late by, min"), section=_WORK, sorted=True, help=_("Minutes of working time after the term."), **_KEPT
    )
    answerable_id = forms.user(_("Was to answer"), section=_WORK, **_KEPT)
    pipeline_id = forms.record(_("Pipeline"), "deals.pipeline", section=_WORK, imported=False, on_create=False)
    deal_id = forms.record(_("Deal"), "deals.deal", section=_WORK, **_TOLD)
    person_id = forms.record(_("Client person"), "clients.person", section=_WORK, **_TOLD)
    company_id = forms.record(_("Client company"), "clients.company", section=_WORK, **_TOLD)
    reason = forms.choice(_("Reason of rejection"), REASONS, section=_WORK, **_TOLD)
    reason_note = forms.text(_("About the rejection"), section=_WORK, **_TOLD)
    tags = forms.tags(_("Tags"), section=_WORK, on_create=False)

    @staticmethod
    def check(values: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for something by which whoever asks can be reached or known."""
        wanted = ("name", "phones", "emails", "company", "text")
        if not all(name in values for name in wanted) or any(values[name] for name in wanted):
            return {}
        return {"name": _("Write at least a name, a phone or what is asked for.")}


class LeadFormSchema(forms.RecordSchema):
    """How changes of forms read in history."""

    name = forms.text(_("Name"))
    title = forms.text(_("Heading"))
    consent_text = forms.longtext(_("Consent"))
    consent_version = forms.number(_("Version of the consent"))
    active = forms.boolean(_("Is open"))


class LeadIntakeSchema(forms.RecordSchema):
    """How changes of programs that send leads read in history."""

    name = forms.text(_("Name"))
    active = forms.boolean(_("Is on"))


class LeadRuleSchema(forms.RecordSchema):
    """How changes of rules read in history."""

    position = forms.number(_("Order"))
    way = forms.choice(_("Who"), WAYS)
    term_minutes = forms.number(_("Term, minutes"))
    active = forms.boolean(_("Is on"))
