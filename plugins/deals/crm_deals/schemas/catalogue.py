"""The fields of products and their groups."""

from __future__ import annotations

from crm_core import forms
from crm_core.company import CURRENCIES
from crm_deals.i18n import _

PRODUCT_KINDS: forms.Choices = (("goods", _("Goods")), ("service", _("Service")))

UNITS: forms.Choices = (
    ("pcs", _("pcs")),
    ("set", _("set")),
    ("hour", _("hour")),
    ("day", _("day")),
    ("month", _("month")),
    ("year", _("year")),
    ("visit", _("visit")),
    ("m", _("m")),
    ("m2", _("m²")),
    ("m3", _("m³")),
    ("kg", _("kg")),
    ("t", _("t")),
    ("l", _("l")),
    ("km", _("km")),
)

VAT_CODES: forms.Choices = (
    ("standard", _("VAT, standard rate")),
    ("10", _("VAT 10 %")),
    ("7", _("VAT 7 %")),
    ("5", _("VAT 5 %")),
    ("0", _("VAT 0 %")),
    ("none", _("Without VAT")),
)

_MAIN, _MONEY = _("Main"), _("Money")


class GroupSchema(forms.RecordSchema):
    """A group of products."""

    name = forms.text(_("Name"), required=True, maximum=200, searched=True, sorted=True, aliases=("группа", "group"))


class ProductSchema(forms.RecordSchema):
    """A product or service."""

    name = forms.text(
        _("Name"), required=True, section=_MAIN, searched=True, maximum=300,
        aliases=("название", "наименование", "товар", "услуга", "номенклатура", "name", "product"),
    )  # fmt: skip
    sku = forms.text(
        _("Code"), section=_MAIN, searched=True, sorted=True, maximum=60,
        aliases=("артикул", "код", "sku", "article", "code"),
    )  # fmt: skip
    kind = forms.choice(
        _("Kind"), PRODUCT_KINDS, section=_MAIN, required=True, default="goods", aliases=("вид", "тип", "kind", "type")
    )
    group_id = forms.record(_("Group"), "deals.group", section=_MAIN, imported=False)
    unit = forms.choice(
        _("Unit"), UNITS, section=_MAIN, required=True, default="pcs",
        aliases=("единица", "ед.", "ед", "единица измерения", "unit"),
    )  # fmt: skip
    price = forms.money(_("Price"), section=_MONEY, sorted=True, aliases=("цена", "price"))
    currency = forms.choice(
        _("Currency"), tuple((code, code) for code in CURRENCIES), section=_MONEY, required=True, default="RUB",
        on_create=False, listed=False, aliases=("валюта", "currency"),
    )  # fmt: skip
    vat_code = forms.choice(_("VAT"), VAT_CODES, section=_MONEY, default="standard", aliases=("ндс", "vat"))
    cost = forms.money(
        _("Cost"), section=_MONEY, sensitive=True, on_create=False,
        aliases=("себестоимость", "закупочная цена", "cost"),
    )  # fmt: skip
    active = forms.boolean(_("Is sold"), section=_MAIN, default=True, on_create=False)
    description = forms.longtext(
        _("Description"), section=_MAIN, on_create=False, aliases=("описание", "description")
    )
    tags = forms.tags(_("Tags"), section=_MAIN, on_create=False)


class VatSchema(forms.RecordSchema):
    """How changes of VAT read in history."""

    code = forms.choice(_("VAT"), VAT_CODES)
    rate = forms.number(_("Rate, %"))
    since = forms.date(_("From"))
