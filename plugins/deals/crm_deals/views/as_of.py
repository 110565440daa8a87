"""The board as it stood on a day, with what has moved since."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from pyramid.request import Request
from pyramid.view import view_config

from crm_core import clock
from crm_core.views.boards import Reader
from crm_core.views.shapes import Badge, Cell, Column, Figure, Row
from crm_deals.entities import DEALS
from crm_deals.i18n import _
from crm_deals.permissions import VIEW
from crm_deals.services import asof, board
from crm_deals.views.answers import day as read_day
from crm_deals.views.answers import number
from crm_deals.views.board import ROOT, way_of


@view_config(
    route_name="deals.board.as_of", request_method="GET", permission=VIEW, renderer="crm_deals:templates/as_of.pt"
)
def show(request: Request) -> dict[str, Any]:
    """Show a pipeline as it stood in the evening of a day."""
    gate, formats, say = request.gate, request.formats, request.translate
    way = way_of(request, board.ways(gate))
    today = clock.today(formats.tz)
    day = min(read_day(request.GET.get("day")) or today - dt.timedelta(days=7), today)
    instant = min(clock.start_of_day(day + dt.timedelta(days=1), formats.tz), clock.now())
    stages = {stage.stage_id: stage for stage in way.stages}
    chosen = number(request.GET.get("stage")) or None
    stood = asof.stood(gate, way.id, list(stages), instant)
    rows, further = asof.page(
        gate, way.id, instant, stage=chosen if chosen in stages else None, after=number(request.GET.get("after"))
    )
    url = f"{ROOT}/{way.id}/as-of"

    def at(**more: Any) -> str:
        return f"{url}?{urlencode({'day': day.isoformat(), **more})}"

    def money(total: board.Total) -> str:
        return formats.money(round(total.amount), request.company.currency)

    def figure(title: Any, total: board.Total, tone: str = "") -> Figure:
        return Figure(title=say(title), value=formats.number(total.count), change=money(total), tone=tone)

    return {
        "title": say(_("${pipeline} on ${day}", mapping={"pipeline": way.name, "day": formats.date(day)})),
        "action": url,
        "day": day.isoformat(),
        "today": today.isoformat(),
        "board_href": f"{ROOT}/{way.id}",
        "shortcuts": [
            (say(title), f"{url}?day={today - dt.timedelta(days=back)}", day == today - dt.timedelta(days=back))
            for title, back in (
                (_("yesterday"), 1), (_("a week ago"), 7), (_("a month ago"), 30), (_("a quarter ago"), 91),
            )
        ],
        "figures": [
            figure(_("Came since"), stood.fresh),
            figure(_("Won since"), stood.won, "success"),
            figure(_("Refused since"), stood.lost, "danger"),
            figure(_("Left for other pipelines"), stood.gone),
        ],
        "columns": [
            {
                "title": stage.stage,
                "color": stage.color,
                "href": at(stage=stage.stage_id),
                "active": stage.stage_id == chosen,
                **{
                    name: (formats.number(total.count), money(total) if total.count else "")
                    for name, total in (
                        ("then", stood.stages[stage.stage_id].then),
                        ("came", stood.stages[stage.stage_id].came),
                        ("left", stood.stages[stage.stage_id].left),
                        ("now", stood.stages[stage.stage_id].now),
                    )
                },
            }
            for stage in way.stages
        ],
        "all_href": at(),
        "chosen": stages[chosen].stage if chosen in stages else "",
        "table_columns": [
            Column(name="name", title=say(_("Deal"))),
            Column(name="client", title=say(_("Client"))),
            Column(name="then", title=say(_("Stood in"))),
            Column(name="amount", title=say(_("Amount then")), kind="money"),
            Column(name="now", title=say(_("Now in"))),
            Column(name="owner", title=say(_("Responsible"))),
        ],
        "table_rows": _rows(request, rows, stages),
        "next_href": at(after=further, **({"stage": chosen} if chosen else {})) if further else "",
    }  # fmt: skip


def _rows(request: Request, rows: Any, stages: Any) -> list[Row]:
    reader = Reader(request)
    names, formats = reader.names, request.formats
    names.want_ids("clients.company", [row.company_id for row in rows])
    names.want_ids("clients.person", [row.person_id for row in rows if row.company_id is None])
    names.want_ids("user", [row.owner_id for row in rows])
    names.want_ids("deals.stage", [row.stage_id for row in rows if row.stage_id not in stages])
    names.load()

    def stage(number: int) -> list[Badge]:
        known = stages.get(number)
        if known is not None:
            return [Badge(text=known.stage, color=known.color)]
        return [Badge(text=names.records.get("deals.stage", {}).get(number, ""))]

    def client(row: Any) -> str:
        for entity, value in (("clients.company", row.company_id), ("clients.person", row.person_id)):
            if value is not None:
                return names.records.get(entity, {}).get(value) or reader.say(_("No access"))
        return ""

    return [
        Row(
            id=row.id,
            href=f"{DEALS.url}/{row.id}",
            label=row.name,
            cells=[
                Cell(text=row.name),
                Cell(text=client(row)),
                Cell(badges=stage(row.then_stage)),
                Cell(
                    text=formats.money(row.then_amount, request.company.currency)
                    if row.then_amount is not None
                    else ""
                ),
                Cell(badges=stage(row.stage_id) if row.stage_id != row.then_stage or not row.is_here else ()),
                Cell(person=reader.person(row.owner_id) if row.owner_id is not None else None),
            ],
        )
        for row in rows
    ]
