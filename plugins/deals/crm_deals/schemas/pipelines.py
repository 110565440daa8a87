"""The fields of pipelines, stages, reasons of refusal and kinds of dates; they are edited on pages of settings."""

from __future__ import annotations

from crm_core import forms
from crm_deals.i18n import _
from crm_deals.models import LOST, OPEN, WON

STAGE_KINDS: forms.Choices = ((OPEN, _("In work")), (WON, _("Won")), (LOST, _("Refused")))


class PipelineSchema(forms.RecordSchema):
    """A pipeline."""

    name = forms.text(_("Name"), required=True, maximum=100, searched=True)
    position = forms.number(_("Order"), whole=True, sorted=True)
    active = forms.boolean(_("Takes new deals"))
    currency = forms.text(_("Currency"), maximum=3)


class StageSchema(forms.RecordSchema):
    """A stage."""

    title = forms.text(_("Stage"), readonly=True, searched=True)
    name = forms.text(_("Name"), required=True, maximum=100)
    pipeline_id = forms.record(_("Pipeline"), "deals.pipeline")
    kind = forms.choice(_("Means"), STAGE_KINDS)
    probability = forms.number(_("Probability, %"), whole=True, minimum=0, maximum=100)
    color = forms.text(_("Colour"))
    rot_days = forms.number(_("Stuck after days"), whole=True, minimum=1, maximum=999)
    position = forms.number(_("Order"), whole=True)


class ReasonSchema(forms.RecordSchema):
    """A reason of refusal."""

    name = forms.text(_("Name"), required=True, maximum=200, searched=True)
    position = forms.number(_("Order"), whole=True)


class DateKindSchema(forms.RecordSchema):
    """How changes of kinds of dates read in history."""

    title = forms.text(_("Name"))
    remind_days = forms.number(_("Remind days before"))
    archived = forms.boolean(_("No longer offered"))


class RateSchema(forms.RecordSchema):
    """How changes of rates of currencies read in history."""

    currency = forms.text(_("Currency"))
    since = forms.date(_("From"))
    rate = forms.number(_("Rate"))
