"""The table of a deal's lines: edited in its place, counted by the server while one types."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_core.forms import InvalidValues, validate
from crm_core.records import saving
from crm_core.records.gate import Gate
from crm_core.views.shapes import Choice
from crm_deals.entities import PRODUCT, PRODUCTS
from crm_deals.i18n import _
from crm_deals.models import Deal
from crm_deals.permissions import EDIT, PRODUCTS_VIEW
from crm_deals.schemas import UNITS, VAT_CODES, VAT_MODES, LineSchema
from crm_deals.services import discounts, lines
from crm_deals.views.answers import choices, deal_of, decimal, done, href_of, number

PAGE = "crm_deals:templates/lines.pt"
_ROW = re.compile(r"line-(\d{1,4})-([a-z_]+)")
_BLANK = 1
_TYPED = ("name", "unit", "quantity", "price", "discount_percent", "vat_code")


@view_config(route_name="deals.lines", request_method="GET", permission=EDIT, renderer=PAGE)
def editing(request: Request) -> dict[str, Any]:
    """Show the lines of a deal as a table to write in."""
    deal = deal_of(request)
    rows = [_row_of(request, line) for line in lines.of_deal(request.db, deal.id)]
    return _page(request, deal, rows, deal.vat_mode, _plain(deal.discount_percent))


@view_config(route_name="deals.lines", request_method="POST", permission=EDIT, renderer=PAGE)
def save(request: Request) -> Any:
    """Save the lines; the amount of the deal follows."""
    deal = deal_of(request)
    rows = _posted(request)
    mode, percent = _whole(request)
    try:
        drafts = _read(request.gate, rows)
        counted = lines.set_lines(
            request.gate, deal, drafts, vat_mode=mode, discount_percent=percent, keep_discount=False
        )
    except (InvalidValues, saving.NotAllowed) as problem:
        request.response.status_int = 422
        errors = problem.errors if isinstance(problem, InvalidValues) else {"": problem.message}
        return _page(request, deal, rows, mode, str(request.POST.get("discount", "")), errors)
    total = request.formats.money(counted.total, deal.currency)
    return done(request, _("The lines are saved; the amount is ${total}.", mapping={"total": total}), href_of(deal))


@view_config(route_name="deals.count_lines", request_method="POST", permission=EDIT, renderer="json")
def count(request: Request) -> dict[str, Any]:
    """Count lines as they are typed; nothing is saved."""
    deal = deal_of(request)
    rows = _posted(request)
    mode, percent = _whole(request)
    drafts: dict[str, lines.DraftLine] = {}
    for row in rows:
        try:
            drafts[row["index"]] = _draft(request.gate, row, named=False)
        except InvalidValues:
            continue
    return _counted(request, deal, drafts, mode, percent)


@view_config(route_name="deals.product_line", request_method="GET", permission=PRODUCTS_VIEW, renderer="json")
def product(request: Request) -> dict[str, Any]:
    """Answer what a product puts into a line."""
    found = lines.product_line(request.gate, number(request.matchdict["product"]))
    if found is None:
        raise HTTPNotFound
    return {"price": _plain(found.price), "unit": found.unit, "vat_code": found.vat_code or "none"}


def _counted(
    request: Request, deal: Deal, drafts: Mapping[str, lines.DraftLine], mode: str, percent: Decimal | None
) -> dict[str, Any]:
    table = lines.VatTable.read(request.db)
    zone = lines.zone_of(request.subject)
    counted = lines.totals(drafts.values(), mode, lines.day_of(deal, zone), table, percent)
    money = request.formats.money
    over = counted.discount_percent > discounts.limit(request.gate) and counted.discount_percent > (
        deal.discount_approved or 0
    )
    return {
        "lines": {
            index: money(one.total, deal.currency) for index, one in zip(drafts, counted.lines, strict=True)
        },
        "gross": money(counted.gross, deal.currency),
        "discount": money(counted.discount, deal.currency) if counted.discount else "",
        "percent": discounts.plain(counted.discount_percent),
        "vat": money(counted.vat, deal.currency) if counted.vat else "",
        "total": money(counted.total, deal.currency),
        "over": str(
            request.translate(
                _("The discount is over the limit of ${n} % and must be approved.", mapping={
                    "n": discounts.plain(discounts.limit(request.gate))
                })
            )
        )
        if over
        else "",
    }  # fmt: skip


def _whole(request: Request) -> tuple[str, Decimal | None]:
    mode = str(request.POST.get("vat_mode", "included"))
    percent = decimal(request.POST.get("discount"))
    if percent is not None and not 0 <= percent <= 100:
        percent = None
    return mode if mode in dict(VAT_MODES) else "included", percent


def _posted(request: Request) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key, value in request.POST.items():
        told = _ROW.fullmatch(key)
        if told is not None and isinstance(value, str):
            found.setdefault(told[1], {"index": told[1]})[told[2]] = value.strip()
    rows = [row for row in found.values() if row.get("item") or row.get("price")]
    return rows[: lines.MOST_LINES + 1]


def _read(gate: Gate, rows: Sequence[Mapping[str, Any]]) -> list[lines.DraftLine]:
    drafts: list[lines.DraftLine] = []
    errors: dict[str, Any] = {}
    for row in rows:
        try:
            drafts.append(_draft(gate, row))
        except InvalidValues as invalid:
            errors |= {f"line-{row['index']}-{name}": message for name, message in invalid.errors.items()}
    if errors:
        raise InvalidValues(errors)
    return drafts


def _draft(gate: Gate, row: Mapping[str, Any], *, named: bool = True) -> lines.DraftLine:
    """Read a row: `item` is the number of a product that one may see, or words."""
    item = str(row.get("item") or "")
    product_id = number(item)
    name = gate.labels(PRODUCT, [product_id]).get(product_id, "") if product_id and named else ""
    typed = {
        "name": name or item or ("" if named else "…"),
        "unit": row.get("unit") or "pcs",
        "quantity": row.get("quantity") or "1",
        "price": row.get("price") or "0",
        "discount_percent": row.get("discount_percent") or "0",
        "vat_code": row.get("vat_code") or "none",
    }
    values = validate(LineSchema, typed, only=_TYPED)
    if not 0 < values["quantity"] < 10**9:
        raise InvalidValues({"quantity": _("More than nothing.")})
    return lines.DraftLine(
        name=values["name"],
        quantity=values["quantity"].quantize(Decimal("0.001")),
        price=values["price"].quantize(Decimal("0.0001")),
        discount_percent=values["discount_percent"].quantize(Decimal("0.01")),
        unit=values["unit"],
        vat_code=values["vat_code"],
        product_id=product_id if name else None,
    )


def _plain(value: Decimal | None) -> str:
    return "" if value is None else format(value.normalize(), "f")


def _row_of(request: Request, line: Any) -> dict[str, Any]:
    return {
        "index": str(line.position),
        "item": str(line.product_id or line.name),
        "label": line.name,
        "unit": line.unit,
        "quantity": _plain(line.quantity),
        "price": _plain(line.price),
        "discount_percent": _plain(line.discount_percent) if line.discount_percent else "",
        "vat_code": line.vat_code or "none",
        "total": request.formats.money(line.total),
    }


def _page(
    request: Request,
    deal: Deal,
    rows: Sequence[Mapping[str, Any]],
    mode: str,
    percent: str,
    errors: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    errors = errors or {}
    say = request.translate
    ids = [number(row.get("item")) for row in rows if number(row.get("item"))]
    labels = request.gate.labels(PRODUCT, ids) if request.subject.may(PRODUCTS_VIEW) else {}
    shown = [_shown(row, labels, errors, say) for row in rows]
    free = 1 + max((int(row["index"]) for row in rows), default=-1)
    blank = {"index": str(free), "item": "", "unit": "pcs", "quantity": "1", "vat_code": "standard"}
    drafts: dict[str, lines.DraftLine] = {}
    for row in rows:
        try:
            drafts[row["index"]] = _draft(request.gate, row, named=False)
        except InvalidValues:
            continue
    return {
        "title": _("Products and services of the deal"),
        "deal": deal,
        "action": f"{href_of(deal)}/lines",
        "count_href": f"{href_of(deal)}/lines/count",
        "product_href": f"{PRODUCTS.url}/line/",
        "options_href": f"{PRODUCTS.url}/options" if request.subject.may(PRODUCTS_VIEW) else "",
        "cancel_href": href_of(deal),
        "rows": [*shown, *([_shown(blank, {}, {}, say)] if not rows else [])],
        "blank": _shown({**blank, "index": "0000"}, {}, {}, say),
        "next": str(free + (0 if rows else _BLANK)),
        "units": choices(request, UNITS),
        "codes": _codes(request, deal),
        "modes": choices(request, VAT_MODES),
        "mode": mode,
        "percent": percent,
        "totals": _counted(request, deal, drafts, mode, decimal(percent)),
        "errors": [str(say(message)) for name, message in errors.items() if not name],
        "currency": deal.currency,
    }


def _codes(request: Request, deal: Deal) -> list[Choice]:
    """Return the kinds of VAT with the rates of the deal's day."""
    table, day = lines.VatTable.read(request.db), lines.day_of(deal, lines.zone_of(request.subject))
    found = []
    for code, title in VAT_CODES:
        rate = table.rate(code, day)
        told = title if rate is None else _("VAT ${n} %", mapping={"n": discounts.plain(rate)})
        found.append(Choice(value=code, title=str(request.translate(told))))
    return found


def _shown(row: Mapping[str, Any], labels: Mapping[int, str], errors: Mapping[str, Any], say: Any) -> dict[str, Any]:
    item = str(row.get("item") or "")
    label = labels.get(number(item)) or row.get("label") or item
    return {
        "index": row["index"],
        "choice": Choice(value=item, title=str(label)) if item else None,
        "unit": row.get("unit") or "pcs",
        "quantity": row.get("quantity", ""),
        "price": row.get("price", ""),
        "discount_percent": row.get("discount_percent", ""),
        "vat_code": row.get("vat_code") or "none",
        "total": row.get("total", ""),
        "errors": [
            str(say(message)) for name, message in errors.items() if name.startswith(f"line-{row['index']}-")
        ],
    }
