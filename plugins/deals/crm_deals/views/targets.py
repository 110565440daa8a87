"""Targets of sales: a grid of months for people, departments and groups of products."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from pyramid.request import Request
from pyramid.view import view_config

from crm_core import clock
from crm_core.records import saving
from crm_core.views.boards import say
from crm_core.views.shapes import Tab
from crm_deals.entities import DEALS
from crm_deals.i18n import _
from crm_deals.permissions import TARGETS, VIEW
from crm_deals.services import targets
from crm_deals.services.forecast import GROUP, PERSON, TEAM, month_of, months
from crm_deals.views.answers import answer, decimal, done, number, refused

ROOT = f"{DEALS.url}/targets"
_KINDS = {PERSON: _("People"), TEAM: _("Departments"), GROUP: _("Groups of products")}


def _kind(request: Request) -> str:
    kind = request.params.get("kind", PERSON)
    return kind if kind in _KINDS else PERSON


def _year(request: Request) -> int:
    return min(max(number(request.params.get("year")) or clock.today(request.formats.tz).year, 2000), 2100)


def _href(kind: str, year: int) -> str:
    return f"{ROOT}?kind={kind}&year={year}"


@view_config(
    route_name="deals.targets", request_method="GET", permission=VIEW, renderer="crm_deals:templates/targets.pt"
)
def show(request: Request) -> dict[str, Any]:
    """Show targets by month; who may set them finds fields there."""
    gate, formats, translate = request.gate, request.formats, request.translate
    kind, year = _kind(request), _year(request)
    wanted = months(dt.date(year, 1, 1), 12)
    aims = targets.aims(gate, kind)
    known = targets.read(gate, kind, [aim.id for aim in aims], wanted)
    today = month_of(clock.today(formats.tz))
    kinds = [one for one in _KINDS if one == PERSON or targets.may_set(gate)]

    def money(amount: Decimal) -> str:
        return formats.money(round(amount), request.company.currency) if amount else ""

    def typed(amount: Decimal | None) -> str:
        return "" if amount is None else formats.number(amount, 2)

    rows = [
        {
            "name": aim.name,
            "editable": aim.editable and targets.may_set(gate),
            "cells": [
                {
                    "name": f"t-{aim.id}-{month:%Y-%m}",
                    "value": typed(known.get((aim.id, month))),
                    "label": f"{aim.name}, {formats.month(month)}",
                    "here": month == today,
                }
                for month in wanted
            ],
            "total": money(sum((known.get((aim.id, month), Decimal(0)) for month in wanted), Decimal(0))),
        }
        for aim in aims
    ]
    sums = [sum((known.get((aim.id, month), Decimal(0)) for aim in aims), Decimal(0)) for month in wanted]
    return {
        "title": translate(_("Targets of sales")),
        "kind": kind,
        "year": year,
        "action": ROOT,
        "copy_href": f"{ROOT}/copy",
        "back_href": _href(kind, year - 1),
        "ahead_href": _href(kind, year + 1),
        "kinds": [Tab(title=translate(_KINDS[one]), href=_href(one, year), active=one == kind) for one in kinds],
        "months": [(formats.month(month, year=False), month == today) for month in wanted],
        "rows": rows,
        "sums": [money(one) for one in sums],
        "whole": money(sum(sums, Decimal(0))),
        "may": targets.may_set(gate) and any(row["editable"] for row in rows),
        "copies": [
            (f"month-{today:%Y-%m}", translate(_("This month as the last one"))),
            (f"month-{month_of(today, 1):%Y-%m}", translate(_("Next month as this one"))),
            (f"quarter-{_quarter(today):%Y-%m}", translate(_("This quarter as the last one"))),
            (f"quarter-{month_of(_quarter(today), 3):%Y-%m}", translate(_("Next quarter as this one"))),
        ],
        "forecast_href": f"{DEALS.url}/forecast",
        "currency": request.company.currency,
    }


def _quarter(month: dt.date) -> dt.date:
    return dt.date(month.year, (month.month - 1) // 3 * 3 + 1, 1)


@view_config(route_name="deals.targets", request_method="POST", permission=TARGETS)
def save(request: Request) -> Any:
    """Keep the grid."""
    kind, year = _kind(request), _year(request)
    amounts: dict[tuple[int, dt.date], Decimal | None] = {}
    for name, value in request.POST.items():
        parts = name.split("-")
        if len(parts) != 4 or parts[0] != "t" or not isinstance(value, str):
            continue
        text = value.strip()
        amount = decimal(text)
        if text and amount is None:
            said = _("“${text}” is not an amount; nothing was kept.", mapping={"text": text[:40]})
            return refused(request, said, _href(kind, year))
        month = _month(f"{parts[2]}-{parts[3]}")
        if month is not None and number(parts[1]):
            amounts[number(parts[1]), month] = amount or None
    try:
        changed = targets.write(request.gate, kind, amounts)
    except saving.NotAllowed as problem:
        return refused(request, say(request, problem.message), _href(kind, year))
    if not changed:
        return answer(request, _href(kind, year))
    return done(request, _("The targets are kept."), _href(kind, year))


def _month(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(f"{text}-01")
    except ValueError:
        return None


@view_config(route_name="deals.targets.copy", request_method="POST", permission=TARGETS)
def copy(request: Request) -> Any:
    """Set a month or a quarter to what the one before had."""
    kind, year = _kind(request), _year(request)
    what, _sep, text = request.POST.get("what", "").partition("-")
    month = _month(text)
    if month is None or what not in ("month", "quarter"):
        return answer(request, _href(kind, year))
    count = 3 if what == "quarter" else 1
    try:
        changed = targets.copy(request.gate, kind, months(month, count), count)
    except saving.NotAllowed as problem:
        return refused(request, say(request, problem.message), _href(kind, year))
    where = _href(kind, month.year)
    if not changed:
        return refused(request, _("There was nothing to copy, or it is the same already."), where)
    return done(request, _("The targets are copied."), where)
