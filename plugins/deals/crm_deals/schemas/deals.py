"""The fields of deals and of what belongs to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_core import forms
from crm_core.company import CURRENCIES
from crm_deals import moving
from crm_deals.i18n import _
from crm_deals.models import LOST, OPEN, WON
from crm_deals.schemas.catalogue import UNITS, VAT_CODES

STATES: forms.Choices = ((OPEN, _("In work")), (WON, _("Won")), (LOST, _("Refused")))

VAT_MODES: forms.Choices = (
    ("included", _("VAT is in the prices")),
    ("on_top", _("VAT comes on top")),
    ("none", _("Without VAT")),
)

SOURCES: forms.Choices = (
    ("site", _("Site")),
    ("call", _("Call")),
    ("letter", _("Letter")),
    ("advertising", _("Advertising")),
    ("exhibition", _("Exhibition")),
    ("recommendation", _("Recommendation")),
    ("social", _("Social networks")),
    ("partner", _("Partner")),
    ("cold", _("Cold call")),
    ("campaign", _("Campaign")),
    ("repeat", _("Came again")),
    ("other", _("Other")),
)

_MAIN, _MONEY, _DATES, _WORK = _("Main"), _("Money"), _("Dates"), _("Work with the deal")
_KEPT: dict[str, Any] = {"readonly": True, "imported": False, "on_create": False}


class DealSchema(forms.RecordSchema):
    """A deal."""

    company_id = forms.record(_("Company"), "clients.company", section=_MAIN, imported=False)
    person_id = forms.record(_("Contact person"), "clients.person", section=_MAIN, imported=False)
    amount = forms.money(
        _("Amount"), section=_MAIN, sorted=True, help=_("Of a deal with products it is their sum."),
        aliases=("сумма", "бюджет", "сумма сделки", "amount", "budget", "value"),
    )  # fmt: skip
    pipeline_id = forms.record(
        _("Pipeline"), "deals.pipeline", section=_MAIN, feed=forms.Feed(strict=True),
        aliases=("воронка", "направление", "направление сделки", "pipeline", "funnel"),
    )  # fmt: skip
    expected_close = forms.date(
        _("Expected close"), section=_MAIN, sorted=True,
        aliases=("ожидаемая дата", "дата закрытия план", "планируемая дата закрытия", "expected close", "close date"),
    )  # fmt: skip
    name = forms.text(
        _("Name"), section=_MAIN, searched=True, sorted=True, maximum=300,
        help=_("Empty: the pipeline's and the client's."),
        aliases=("название", "сделка", "название сделки", "name", "deal", "deal name", "title"),
    )  # fmt: skip
    stage_id = forms.record(
        _("Stage"), "deals.stage", section=_MAIN, readonly=True, on_create=False,
        feed=forms.Feed(within="pipeline_id", words=moving.words_of_stage, strict=True),
        aliases=("этап", "этап сделки", "стадия", "стадия сделки", "статус сделки", "статус", "stage", "deal stage"),
    )  # fmt: skip
    state = forms.choice(_("State"), STATES, section=_MAIN, **_KEPT)
    owner_id = forms.user(
        _("Responsible"), section=_WORK, on_create=False,
        aliases=("ответственный", "менеджер", "responsible", "owner", "manager"),
    )  # fmt: skip
    probability = forms.number(
        _("Probability, %"), section=_MONEY, whole=True, minimum=0, maximum=100, sorted=True, on_create=False,
        imported=False,
    )  # fmt: skip
    currency = forms.choice(
        _("Currency"), tuple((code, code) for code in CURRENCIES), section=_MONEY, on_create=False, listed=False,
        feed=forms.Feed(words=moving.words_of_currency), aliases=("валюта", "currency"),
    )  # fmt: skip
    amount_base = forms.money(_("Amount in the company's currency"), section=_MONEY, sorted=True, **_KEPT)
    vat_amount = forms.money(_("VAT in the amount"), section=_MONEY, **_KEPT)
    discount_total = forms.number(_("Discount, %"), section=_MONEY, sorted=True, **_KEPT)
    next_date = forms.date(_("Nearest date"), section=_DATES, sorted=True, **_KEPT)
    stage_since = forms.datetime(_("In the stage since"), section=_DATES, sorted=True, **_KEPT)
    last_activity_at = forms.datetime(_("Last activity"), section=_DATES, sorted=True, **_KEPT)
    created_at = forms.datetime(
        _("Created"), section=_DATES, sorted=True, readonly=True, on_create=False, feed=forms.Feed(),
        aliases=("дата создания", "создана", "создано", "created at", "date created"),
    )  # fmt: skip
    closed_at = forms.datetime(
        _("Closed"), section=_DATES, sorted=True, readonly=True, on_create=False,
        feed=forms.Feed(empty=moving.NOT_CLOSED), aliases=("дата закрытия", "закрыта", "closed at", "date closed"),
    )  # fmt: skip
    reason_id = forms.record(
        _("Reason of refusal"), "deals.reason", section=_WORK, readonly=True, on_create=False,
        feed=forms.Feed(rest="reason_note", empty=moving.NOTHING_SAID),
        aliases=("причина отказа", "причина закрытия", "loss reason", "lost reason"),
    )  # fmt: skip
    reason_note = forms.text(
        _("About the refusal"), section=_WORK, readonly=True, on_create=False, feed=forms.Feed(),
        aliases=("комментарий к отказу", "пояснение отказа"),
    )  # fmt: skip
    source = forms.choice(
        _("Source"), SOURCES, section=_WORK, sorted=True, on_create=False,
        feed=forms.Feed(words=moving.words_of_source, empty=moving.NOTHING_SAID),
        aliases=("источник", "откуда", "канал", "source", "lead source"),
    )  # fmt: skip
    tags = forms.tags(_("Tags"), section=_WORK, on_create=False, aliases=("теги", "тег", "метки", "tags"))
    comment = forms.longtext(
        _("Comment"), section=_WORK, on_create=False, aliases=("комментарий", "описание", "comment", "description")
    )
    external_id = forms.text(
        _("Number in another program"), section=_WORK, on_create=False, listed=False, maximum=100,
        help=_("By it a file of deals finds them again."),
        aliases=("id", "ид", "номер сделки", "id сделки", "внешний код", "external id", "deal id"),
    )  # fmt: skip

    @staticmethod
    def check(values: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for something to call the deal by."""
        if "name" not in values or values["name"]:
            return {}
        if "company_id" in values and not (values.get("company_id") or values.get("person_id")):
            return {"company_id": _("Choose a client, or give the deal a name.")}
        if "company_id" not in values and "person_id" not in values:
            return {"name": _("Fill this in.")}
        return {}


class DealImportSchema(forms.RecordSchema):
    """What a file of deals may tell besides their fields."""

    notes = forms.texts(
        _("Notes"),
        aliases=("примечание", "примечания", "заметка", "заметки", "история", "note", "notes"),
    )  # fmt: skip


class ShortSchema(forms.RecordSchema):
    """What is told of a deal to those who see short rows: no amounts and nobody's addresses."""

    name = forms.text(_("Name"), sorted=True, readonly=True)
    company_id = forms.record(_("Company"), "clients.company", readonly=True)
    person_id = forms.record(_("Contact person"), "clients.person", readonly=True)
    pipeline_id = forms.record(_("Pipeline"), "deals.pipeline", readonly=True)
    stage_id = forms.record(_("Stage"), "deals.stage", readonly=True)
    state = forms.choice(_("State"), STATES, readonly=True)
    source = forms.choice(_("Source"), SOURCES, readonly=True)
    created_at = forms.datetime(_("Created"), sorted=True, readonly=True)
    closed_at = forms.datetime(_("Closed"), sorted=True, readonly=True)


class LineSchema(forms.RecordSchema):
    """A line of a deal."""

    product_id = forms.record(_("Product"), "deals.product")
    name = forms.text(_("Name"), required=True, maximum=300)
    unit = forms.choice(_("Unit"), UNITS)
    quantity = forms.number(_("Quantity"), required=True)
    price = forms.money(_("Price"), required=True)
    discount_percent = forms.number(_("Discount, %"), minimum=0, maximum=100)
    vat_code = forms.choice(_("VAT"), VAT_CODES)
    total = forms.money(_("Total"))


class OfferSchema(forms.RecordSchema):
    """How making of offers reads in history."""

    number = forms.number(_("No."))
    version = forms.number(_("Version"))
    valid_until = forms.date(_("Valid until"))
    total = forms.money(_("Total"))


class PartySchema(forms.RecordSchema):
    """How changes of parties read in history."""

    role = forms.text(_("Role"))


class MemberSchema(forms.RecordSchema):
    """How changes of observers read in history."""

    user_id = forms.user(_("Observer"))


class DateSchema(forms.RecordSchema):
    """How changes of dates read in history."""

    day = forms.date(_("Day"))
    done = forms.boolean(_("Done"))
    remind_days = forms.number(_("Remind days before"))
    note = forms.text(_("Note"))
