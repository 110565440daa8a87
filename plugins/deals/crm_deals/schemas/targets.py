"""How changes of targets read in history."""

from __future__ import annotations

from crm_core import forms
from crm_deals.i18n import _


class TargetSchema(forms.RecordSchema):
    """A target of sales."""

    user_id = forms.user(_("Person"))
    team_id = forms.team(_("Department"))
    group_id = forms.record(_("Group of products"), "deals.group")
    month = forms.date(_("Month"))
    amount = forms.money(_("Target"))
