"""Price offers: what stands in one, its number, the file it becomes."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from typing import Any

import sqlalchemy as sa

from crm_core import clock, company, files
from crm_core.db import UNGATED
from crm_core.i18n import Formats
from crm_core.models import User
from crm_core.models.records import File
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_core.typesetting import make_pdf, make_pictures
from crm_deals.entities import DEAL
from crm_deals.i18n import _
from crm_deals.models import Deal
from crm_deals.models.offers import Offer
from crm_deals.schemas import UNITS
from crm_deals.services import discounts, lines

KEY = "deals.offer"
"""The setting that keeps how offers look."""

COLUMNS: tuple[tuple[str, str], ...] = (
    ("number", _("No.")),
    ("sku", _("Code")),
    ("name", _("Name")),
    ("quantity", _("Quantity")),
    ("unit", _("Unit")),
    ("price", _("Price")),
    ("discount", _("Discount")),
    ("vat", _("VAT")),
    ("total", _("Total")),
)
"""Columns of the table; the name and the total always stand in it."""

ALWAYS = ("name", "total")

_LOCK = 0x0DEA_0FFE

#: Accent of the company's colours on paper.
_ACCENTS: Mapping[str, str] = {
    "indigo": "#3c48af",
    "blue": "#1d5fa8",
    "teal": "#0b6e6b",
    "green": "#2b6e35",
    "purple": "#6b3fa0",
    "pink": "#a5326f",
    "red": "#a83232",
    "orange": "#a85413",
    "graphite": "#3a4250",
}


@dataclass(frozen=True)
class Look:
    """How offers look, as an administrator has set it."""

    title: str = "Коммерческое предложение"
    intro: str = "Благодарим за обращение. Предлагаем рассмотреть следующие товары и услуги."
    closing: str = "Цены действительны до указанной даты при наличии товара на складе. Будем рады ответить на вопросы."
    columns: tuple[str, ...] = ("number", "name", "quantity", "unit", "price", "discount", "total")
    valid_days: int = 14
    signatory: str = ""
    """Empty: of the legal entity."""
    signatory_title: str = "Директор"
    requisites: str = ""
    """Besides those of the legal entity."""
    with_logo: bool = True
    template: str = ""
    """Source in typst; empty: ours."""

    @classmethod
    def of_value(cls, value: Mapping[str, Any] | None) -> Look:
        """Read what `as_value` wrote; what it does not say is as it ships."""
        known = {one.name for one in fields(cls)}
        kept = {name: one for name, one in (value or {}).items() if name in known}
        if "columns" in kept:
            kept["columns"] = tuple(kept["columns"])
        return cls(**kept)

    def as_value(self) -> dict[str, Any]:
        """Return plain data for the setting."""
        data = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**data, "columns": list(self.columns)}


def own_template() -> str:
    """Return the template that ships."""
    return resources.files("crm_deals").joinpath("templates/offer.typ").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Paper:
    """What offers are made with besides the deal: the company, its language, its store of files."""

    company: Any
    store: files.Store
    say: Callable[[Any], str]
    """Says message ids in the company's language."""
    look: Look = field(default_factory=Look)

    @property
    def formats(self) -> Formats:
        """Return how the company writes money and dates."""
        return Formats(self.company.locale, self.company.time_zone)


def look_of(settings: Any) -> Look:
    """Return how the company's offers look."""
    return Look.of_value(settings.get(KEY))


class NothingToOffer(ValueError):
    """Tells that a deal has no products, so that an offer of it would be empty."""


# -- making ------------------------------------------------------------------------------------------------------------


def make_offer(
    gate: Gate,
    deal: Deal,
    paper: Paper,
    *,
    valid_until: dt.date | None = None,
    intro: str | None = None,
    seller: int = 0,
) -> Offer:
    """Make a price offer of a deal: a PDF that hangs on it, under its number and the next version.

    Raise `NeedsApproval` while a discount over the limit waits, `NothingToOffer` without products.
    """
    if not gate.allows("offer", deal):
        raise saving.NotAllowed(_("Your role may not make offers of this deal."))
    discounts.require_approved(gate, deal)
    session = gate.session
    if deal.lines_total is None:
        raise NothingToOffer(deal.name)
    session.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    number, version = _next(session, deal.id)
    today = clock.today(lines.zone_of(gate.subject))
    until = valid_until or today + dt.timedelta(days=paper.look.valid_days)
    if intro is not None:
        paper = replace(paper, look=replace(paper.look, intro=intro))
    label = f"{number}-{version}"
    data = document(gate, deal, paper, label=label, day=today, valid_until=until, seller=seller)
    made = make_pdf(paper.look.template or own_template(), data, pictures_of(paper))
    operations.describe(session, gate.subject, kind="file", entity=DEAL, record_id=deal.id)
    name = f"{paper.say(_('Offer'))} {label}.pdf"
    stored = files.attach(gate, paper.store, DEAL, deal.id, name, io.BytesIO(made))
    found = Offer(
        deal_id=deal.id,
        number=number,
        version=version,
        day=today,
        valid_until=until,
        total=deal.lines_total,
        currency=deal.currency,
        file_id=stored.id,
        created_by=gate.subject.user_id,
    )
    session.add(found)
    session.flush()
    return found


def _next(session: Any, deal_id: int) -> tuple[int, int]:
    row = session.execute(
        sa.select(Offer.number, sa.func.max(Offer.version)).where(Offer.deal_id == deal_id).group_by(Offer.number)
    ).first()
    if row is not None:
        return row[0], row[1] + 1
    return (session.scalar(sa.select(sa.func.max(Offer.number))) or 0) + 1, 1


@dataclass(frozen=True)
class Made:
    """An offer of a deal with the file it is."""

    offer: Offer
    file_name: str
    size: int

    @property
    def label(self) -> str:
        """Return its number with its version."""
        return f"{self.offer.number}-{self.offer.version}"


def offers_of(gate: Gate, deal_id: int) -> list[Made]:
    """Return the offers of a deal that is open to the reader, the newest first; those in the trash are left out."""
    rows = gate.session.execute(
        sa.select(Offer, File.name, File.size)
        .join(File, File.id == Offer.file_id)
        .where(Offer.deal_id == deal_id, gate.criterion(files.FILE))
        .order_by(Offer.version.desc())
        .limit(50)
    )
    return [Made(row[0], row[1], row[2]) for row in rows]


# -- what stands in one ------------------------------------------------------------------------------------------------


def pictures_of(paper: Paper) -> dict[str, bytes]:
    """Return the company's logo as the template reads it, where there is one and it is wanted."""
    digest = str(paper.company.get(company.LOGO) or "")
    if not digest or not paper.look.with_logo:
        return {}
    try:
        return {"logo.png": paper.store.path(digest).read_bytes()}
    except (OSError, ValueError):
        return {}


def document(
    gate: Gate, deal: Deal, paper: Paper, *, label: str, day: dt.date, valid_until: dt.date | None, seller: int = 0
) -> dict[str, Any]:
    """Return what the template reads: everything as it is written, in the company's language."""
    rows = lines.of_deal(gate.session, deal.id)
    table = lines.VatTable.read(gate.session)
    counted = lines.totals(
        [lines.DraftLine.of(row) for row in rows], deal.vat_mode, lines.day_of(deal, lines.zone_of(gate.subject)),
        table, deal.discount_percent,
    )  # fmt: skip
    skus = _skus(gate, [row.product_id for row in rows if row.product_id is not None])
    frame = _frame(paper, label, day, valid_until, seller)
    if not counted.discount:
        frame["columns"] = [one for one in frame["columns"] if one["name"] != "discount"]
    return {
        **frame,
        "subject": deal.name,
        "client": _client(gate, deal),
        "manager": _manager(gate, deal),
        "rows": [
            _row(paper, deal, place, one, skus) for place, one in enumerate(counted.lines, 1)
        ],
        "totals": _totals(paper, deal, counted),
        "total": paper.formats.money(counted.total, deal.currency),
    }


def _frame(paper: Paper, label: str, day: dt.date, valid_until: dt.date | None, seller: int) -> dict[str, Any]:
    say, look = paper.say, paper.look
    entities: Sequence[Mapping[str, Any]] = paper.company.get(company.LEGAL_ENTITIES) or ()
    legal = dict(entities[seller]) if 0 <= seller < len(entities) else {"name": paper.company.name}
    shown = [(name, str(say(title))) for name, title in COLUMNS if name in look.columns or name in ALWAYS]
    return {
        "title": look.title,
        "number": label,
        "day": _long_date(paper, day),
        "valid_until": _long_date(paper, valid_until) if valid_until else "",
        "company": paper.company.name,
        "logo": bool(pictures_of(paper)),
        "accent": _ACCENTS.get(str(paper.company.get(company.ACCENT)), _ACCENTS["indigo"]),
        "lang": paper.company.locale,
        "intro": look.intro,
        "closing": look.closing,
        "seller": {
            "name": legal.get("name", ""),
            "requisites": _requisites(paper, legal),
            "signatory": look.signatory or legal.get("signatory", ""),
            "signatory_title": look.signatory_title,
        },
        "columns": [{"name": name, "title": title} for name, title in shown],
        "words": {
            name: str(say(message))
            for name, message in {
                "number": _("No."),
                "of": _("of"),
                "to": _("To"),
                "subject": _("Subject"),
                "valid": _("Valid until"),
                "manager": _("Your manager"),
                "page": _("Page"),
                "total": _("To be paid"),
            }.items()
        },
    }


def _long_date(paper: Paper, day: dt.date) -> str:
    return day.strftime("%d.%m.%Y") if paper.company.locale == "ru" else day.strftime("%d %B %Y")


def _requisites(paper: Paper, legal: Mapping[str, Any]) -> list[str]:
    say = paper.say
    titles = (
        ("inn", _("INN")), ("kpp", _("KPP")), ("ogrn", _("OGRN")), ("address", ""), ("account", _("Account")),
        ("bank", ""), ("bik", _("BIK")), ("correspondent", _("Correspondent account")),
    )  # fmt: skip
    found = [f"{say(title)} {legal[name]}".strip() for name, title in titles if legal.get(name)]
    return [*found, *(line.strip() for line in paper.look.requisites.splitlines() if line.strip())]


def _client(gate: Gate, deal: Deal) -> dict[str, str]:
    names = {}
    for name, entity, number in (
        ("company", "clients.company", deal.company_id),
        ("person", "clients.person", deal.person_id),
    ):
        if number is not None and entity in gate.plugins.entities:
            names[name] = gate.labels(entity, [number]).get(number, "")
    return {"company": names.get("company", ""), "person": names.get("person", "")}


def _manager(gate: Gate, deal: Deal) -> dict[str, str]:
    found = gate.session.get(User, deal.owner_id) if deal.owner_id else None
    if found is None:
        return {"name": "", "job": "", "phone": "", "email": ""}
    return {"name": found.name, "job": found.job_title or "", "phone": found.phone or "", "email": found.email or ""}


def _skus(gate: Gate, ids: Sequence[int]) -> dict[int, str]:
    from crm_deals.models import Product

    if not ids:
        return {}
    rows = gate.session.execute(
        sa.select(Product.id, Product.sku).where(Product.id.in_(list(ids))),
        execution_options={UNGATED: "codes of products that stand in lines of a deal that is open"},
    )
    return {row.id: row.sku or "" for row in rows}


def _row(paper: Paper, deal: Deal, place: int, one: lines.Counted, skus: Mapping[int, str]) -> dict[str, str]:
    formats, say = paper.formats, paper.say
    unit = dict(UNITS).get(one.line.unit, one.line.unit)
    net = one.total - one.vat if deal.vat_mode == "on_top" else one.total
    # With the discount on the whole, so that the row agrees with its total.
    discount = lines.money((one.gross - net) * 100 / one.gross) if one.gross else 0
    return {
        "number": str(place),
        "sku": skus.get(one.line.product_id or 0, ""),
        "name": one.line.name,
        "quantity": formats.number(one.line.quantity),
        "unit": str(say(unit)),
        "price": formats.money(one.line.price, deal.currency),
        "discount": f"{formats.number(discount)} %" if discount else "",
        "vat": "—" if one.rate is None else f"{formats.number(one.rate)} %",
        "total": formats.money(one.total, deal.currency),
    }


def _totals(paper: Paper, deal: Deal, counted: lines.Totals) -> list[dict[str, str]]:
    formats, say = paper.formats, paper.say
    found = []
    if counted.discount:
        found.append((_("Without discounts"), formats.money(counted.gross, deal.currency)))
        found.append((_("Discount"), "−" + formats.money(counted.discount, deal.currency)))
    if deal.vat_mode == "on_top" and counted.vat:
        found.append((_("VAT on top"), formats.money(counted.vat, deal.currency)))
    elif counted.vat:
        found.append((_("VAT within"), formats.money(counted.vat, deal.currency)))
    else:
        found.append((_("VAT"), str(say(_("Without VAT")))))
    return [{"title": str(say(title)), "value": value} for title, value in found]


# -- trying a template -------------------------------------------------------------------------------------------------


def sample(paper: Paper) -> dict[str, Any]:
    """Return an invented offer, for a preview of the template."""
    formats, say = paper.formats, paper.say
    today = clock.today(paper.company.time_zone)
    rows = [
        {
            "number": str(place), "sku": sku, "name": name, "quantity": formats.number(count),
            "unit": str(say(_("pcs"))),
            "price": formats.money(price), "discount": discount, "vat": "22 %", "total": formats.money(total),
        }
        for place, (sku, name, count, price, discount, total) in enumerate(
            (
                ("SPL-12", "Сплит-система 3,5 кВт, настенная", 4, 64900, "10 %", 233640),
                ("MNT-01", "Монтаж сплит-системы с трассой до 5 м", 4, 14000, "", 56000),
                ("SRV-12", "Годовое обслуживание", 1, 48000, "", 48000),
            ),
            1,
        )
    ]  # fmt: skip
    until = today + dt.timedelta(days=paper.look.valid_days)
    return {
        **_frame(paper, "128-1", today, until, 0),
        "subject": "Кондиционирование офиса",
        "client": {"company": "ООО «Пример»", "person": "Анна Сергеевна Ершова"},
        "manager": {"name": "Пётр Журавлёв", "job": "Менеджер", "phone": "+7 846 200-00-00", "email": "p@demo.example"},
        "rows": rows,
        "totals": [
            {"title": str(say(_("Without discounts"))), "value": formats.money(363600)},
            {"title": str(say(_("Discount"))), "value": "−" + formats.money(25960)},
            {"title": str(say(_("VAT within"))), "value": formats.money(60885.25)},
        ],
        "total": formats.money(337640),
    }


def preview(paper: Paper) -> list[bytes]:
    """Return the pages of an invented offer as pictures."""
    return make_pictures(paper.look.template or own_template(), sample(paper), pictures_of(paper))
