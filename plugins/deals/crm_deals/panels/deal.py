"""Blocks on the card of a deal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyramid.request import Request

from crm_core import clock
from crm_core.records.gate import user_names
from crm_core.views.shapes import Action, Badge
from crm_deals.i18n import _
from crm_deals.models import Deal
from crm_deals.schemas import UNITS
from crm_deals.services import belongings, lines
from crm_deals.services import deals as services


def lines_of(request: Request, deal: Deal) -> Mapping[str, Any]:
    """Return the products of a deal, with what they come to."""
    found = lines.of_deal(request.db, deal.id)
    formats, say = request.formats, request.translate
    units = dict(UNITS)
    may_edit = request.gate.allows("edit", deal)
    return {
        "empty": _("No products yet: the amount is written by hand."),
        "items": [
            {
                "label": one.name,
                "hint": " · ".join(
                    filter(
                        None,
                        (
                            f"{formats.number(one.quantity)} {say(units.get(one.unit, one.unit))}"
                            f" × {formats.money(one.price, deal.currency)}",
                            f"−{formats.number(one.discount_percent)} %" if one.discount_percent else "",
                        ),
                    )
                ),
                "total": formats.money(one.total, deal.currency),
                "href": f"/deals/products/{one.product_id}" if one.product_id else "",
            }
            for one in found
        ],
        "count": len(found),
        "total": formats.money(deal.lines_total, deal.currency) if deal.lines_total is not None else "",
        "vat": formats.money(deal.vat_amount, deal.currency) if deal.vat_amount else "",
        "discount": formats.number(deal.discount_total) if found and deal.discount_total else "",
        "edit_href": f"/deals/{deal.id}/lines" if may_edit and found else "",
    }


def parties(request: Request, deal: Deal) -> Mapping[str, Any]:
    """Return the client of a deal and its further parties."""
    found = belongings.parties(request.gate, deal)
    may_edit = request.gate.allows("edit", deal)
    entities = request.gate.plugins.entities
    items = []
    for one in found:
        entity = entities.get(one.ref.entity)
        actions = []
        if may_edit and one.id:
            actions.append(
                Action(
                    title=_("Take off"), icon="unlink", method="post", part=True,
                    href=f"/deals/{deal.id}/parties/{one.id}/remove",
                )
            )  # fmt: skip
        items.append(
            {
                "label": one.label or request.translate(_("No access")),
                "hint": one.role or (request.translate(_("Client")) if not one.id else ""),
                "href": f"{entity.url}/{one.ref.id}" if entity is not None and one.label else "",
                "icon": entity.icon if entity is not None else "user",
                "actions": actions,
            }
        )
    return {"empty": _("Nobody yet."), "items": items, "count": len(found)}


def dates(request: Request, deal: Deal) -> Mapping[str, Any]:
    """Return the days that matter for a deal."""
    found = belongings.dates(request.db, deal.id)
    may_edit = request.gate.allows("edit", deal)
    today = clock.today(request.formats.tz)
    say, formats = request.translate, request.formats
    items = []
    for one, kind in found:
        href = f"/deals/{deal.id}/dates/{one.id}"
        actions = []
        if may_edit:
            actions = [
                Action(
                    title=_("Not done yet") if one.done else _("Done"), icon="check", method="post", part=True,
                    href=f"{href}/done",
                ),
                Action(title=_("Change"), icon="pencil", href=href, open="dialog"),
                Action(title=_("Take off"), icon="trash", method="post", part=True, href=f"{href}/remove"),
            ]  # fmt: skip
        late = not one.done and one.day < today
        badge = None
        if one.done:
            badge = Badge(text=say(_("done")), tone="success")
        elif late:
            badge = Badge(text=say(_("passed")), tone="danger")
        items.append(
            {
                "label": say(belongings.kind_title(kind)),
                "hint": one.note or "",
                "aside": formats.date(one.day),
                "icon": "calendar-event",
                "badge": badge,
                "actions": actions,
            }
        )
    return {
        "empty": _("No dates yet: contract, payment, shipment, end of warranty…"),
        "items": items,
        "count": len(items),
    }


def observers(request: Request, deal: Deal) -> Mapping[str, Any] | None:
    """Return who watches a deal."""
    found = belongings.observers(request.db, deal.id)
    may_edit = request.gate.allows("edit", deal)
    items = []
    for number, name, _photo in found:
        actions = []
        if may_edit or number == request.subject.user_id:
            actions.append(
                Action(
                    title=_("No longer an observer"), icon="eye-off", method="post", part=True,
                    href=f"/deals/{deal.id}/observers/{number}/remove",
                )
            )  # fmt: skip
        items.append({"label": name, "hint": "", "icon": "eye", "actions": actions})
    return {"empty": _("Nobody: only those see it who may see such deals."), "items": items, "count": len(items)}


def stays(request: Request, deal: Deal) -> Mapping[str, Any]:
    """Return how long the deal was in which stage, and who put it there."""
    found = services.stays(request.gate, deal)
    names = user_names(request.db, [stay.user_id for stay in found])
    items = [
        {
            "label": stay.title,
            "hint": " · ".join(
                filter(None, (request.formats.relative(stay.since), names.get(stay.user_id or 0, "")))
            ),
            "aside": "" if stay.current and deal.state != "open" else lasted(request, stay.seconds),
            "icon": "point-filled" if stay.current else "point",
            "actions": (),
        }
        for stay in found
    ]
    return {"empty": "", "items": items}


def lasted(request: Request, seconds: int) -> str:
    """Return how long something took, in the largest unit that says enough."""
    days, rest = divmod(seconds, 86_400)
    if days:
        return str(request.plural("${n} day", "${n} days", days, domain="crm_deals"))
    hours, rest = divmod(rest, 3600)
    if hours:
        return str(request.plural("${n} hour", "${n} hours", hours, domain="crm_deals"))
    return str(request.plural("${n} minute", "${n} minutes", rest // 60, domain="crm_deals"))
