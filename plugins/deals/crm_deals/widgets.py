"""Blocks of the home page: one's own pipeline, the month against its target, the department's month."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pyramid.request import Request

from crm_core import clock
from crm_core.records.gate import user_names
from crm_core.records.listing import Condition, ListQuery
from crm_core.security.permissions import DIRECTOR, HEAD, MANAGER
from crm_core.specs import Widget
from crm_deals.i18n import _
from crm_deals.models import OPEN
from crm_deals.permissions import VIEW
from crm_deals.services import board, targets
from crm_deals.services.forecast import MONTH, PERSON, Sums, forecast, month_of

MINE = ListQuery(conditions=(Condition("owner_id", "any", ("me",)),))


def _money(request: Request, amount: Decimal) -> str:
    return str(request.formats.money(round(amount), request.company.currency))


def my_pipeline(request: Request) -> Mapping[str, Any] | None:
    """Return one's own open deals by stage."""
    ways = board.ways(request.gate)
    stages = [stage for way in ways for stage in way.stages if stage.kind == OPEN]
    totals = board.Board(request.gate, MINE).totals([stage.stage_id for stage in stages])
    most = max((total.amount for total in totals.values()), default=Decimal(0)) or Decimal(1)
    rows = []
    for way in ways:
        mine = [(stage, totals[stage.stage_id]) for stage in way.stages if stage.kind == OPEN]
        found = [(stage, total) for stage, total in mine if total.count]
        if not found:
            continue
        rows.append(
            {
                "title": way.name,
                "count": request.formats.number(sum(total.count for _stage, total in found)),
                "sum": _money(request, sum((total.amount for _stage, total in found), Decimal(0))),
                "width": None,
                "href": f"/deals/board?pipeline={way.id}&f=owner_id:any:me",
            }
        )
        rows += [
            {
                "title": stage.stage,
                "count": request.formats.number(total.count),
                "sum": _money(request, total.amount),
                "width": round(float(total.amount / most) * 100, 1),
                "href": f"/deals?f=owner_id:any:me&f=stage_id:any:{stage.stage_id}",
            }
            for stage, total in found
        ]
    return {
        "rows": rows,
        "empty": _("You have no open deals."),
        "more_href": "/deals/board?f=owner_id:any:me",
        "more": _("To the board"),
    }


def my_month(request: Request) -> Mapping[str, Any] | None:
    """Return what this month brings against the target: the company's or department's, else one's own."""
    gate, zone = request.gate, request.formats.tz
    first = month_of(clock.today(zone))
    leads = targets.may_set(gate)
    query = ListQuery() if leads else MINE
    sums = forecast(gate, query, MONTH, first, 1, zone).total()
    target = (targets.whole(gate, [first]) if leads else targets.own(gate, [first])).get(first)
    return {
        "month": _facts(request, sums, target),
        "href": f"/deals/forecast/month/{first:%Y-%m}" + ("" if leads else "?f=owner_id:any:me"),
        "may_set": leads,
    }


def _facts(request: Request, sums: Sums, target: Decimal | None) -> dict[str, Any]:
    most = max(sums.best, target or Decimal(0), Decimal(1))
    scale = 100 / most
    return {
        "won": _money(request, sums.won),
        "likely": _money(request, sums.likely),
        "target": _money(request, target) if target else "",
        "part": request.formats.percent(sums.won / target) if target else "",
        "gap": _money(request, target - sums.likely) if target and target > sums.likely else "",
        "won_width": round(float(sums.won * scale), 1),
        "likely_width": round(float(sums.likely * scale), 1),
        "target_at": round(float(target * scale), 1) if target else None,
    }


def team_month(request: Request) -> Mapping[str, Any] | None:
    """Return what each person of those one leads brings this month."""
    gate, zone = request.gate, request.formats.tz
    if not targets.may_set(gate):
        return None
    first = month_of(clock.today(zone))
    found = forecast(gate, ListQuery(), PERSON, first, 1, zone)
    aims = targets.read(gate, PERSON, [aim.id for aim in targets.aims(gate, PERSON)], [first])
    amounts = {number: amount for (number, _month), amount in aims.items()}
    people = {number for number in {*found.rows, *amounts} if number is not None}
    names = user_names(request.db, people)
    rows = [
        {"name": names.get(number, ""), **_facts(request, found.rows.get(number, Sums()), amounts.get(number))}
        for number in sorted(people, key=lambda one: -found.rows.get(one, Sums()).likely)[:12]
    ]
    return {
        "rows": rows,
        "empty": _("Nobody has deals that close this month."),
        "href": f"/deals/forecast/person/{first:%Y-%m}",
    }


WIDGETS: tuple[Widget, ...] = (
    Widget(
        id="deals.my_pipeline",
        title=_("My pipeline"),
        load=my_pipeline,
        template="crm_deals:templates/widget_pipeline.pt",
        permission=VIEW,
        roles=(MANAGER, HEAD),
        order=12,
    ),
    Widget(
        id="deals.month",
        title=_("Forecast and target of the month"),
        load=my_month,
        template="crm_deals:templates/widget_month.pt",
        permission=VIEW,
        roles=(MANAGER, HEAD, DIRECTOR),
        order=14,
    ),
    Widget(
        id="deals.team",
        title=_("The department's month"),
        load=team_month,
        template="crm_deals:templates/widget_team.pt",
        permission=VIEW,
        roles=(HEAD, DIRECTOR),
        order=16,
    ),
)
