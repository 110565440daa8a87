"""The deals of the demo company: its ways of selling and its catalogue; the year of deals stands on them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from crm_core.demo.context import DemoContext
from crm_core.records import cleaning
from crm_deals.demo import catalogue, leads, pipelines, year
from crm_deals.entities import GROUPS, PRODUCTS

BEGUN = 420
"""Days ago: when the company began to work with this program."""

_ALIVE = {"deleted_at": None, "deleted_op": None}


def fill(context: DemoContext) -> None:
    """Write down pipelines, the catalogue and a year of deals."""
    stages = make_pipelines(context)
    products = make_catalogue(context)
    year.fill_year(context, stages, products)
    leads.fill(context)


def _record(at: Any, by: int | None, **values: Any) -> dict[str, Any]:
    return {"owner_id": None, "team_id": None, "created_at": at, "created_by": by, **_ALIVE, **values}


def make_pipelines(context: DemoContext) -> dict[str, dict[str, int]]:
    """Write down the pipelines in place of the one of a fresh installation; return stages by pipeline and name."""
    at, by = context.at(BEGUN, 9), context.people.get("admin")
    session = context.session
    old = list(session.scalars(sa.text("SELECT id FROM deals_pipeline ORDER BY id")))
    old_stages = list(session.scalars(sa.text("SELECT id FROM deals_stage ORDER BY id")))
    numbers = context.numbers("deals_pipeline", len(pipelines.PIPELINES))
    rows = [
        _record(at, by, id=number, name=name, position=place, active=True)
        for place, (number, name) in enumerate(zip(numbers, pipelines.PIPELINES, strict=True), 1)
    ]
    context.insert("deals_pipeline", rows, at=at, by=by, entity="deals.pipeline")
    made: dict[str, dict[str, int]] = {}
    stages: list[dict[str, Any]] = []
    for pipeline in rows:
        way = pipelines.PIPELINES[pipeline["name"]]
        ids = context.numbers("deals_stage", len(way))
        made[pipeline["name"]] = {stage[0]: number for stage, number in zip(way, ids, strict=True)}
        for place, (number, (name, probability, color, kind, rot_days)) in enumerate(zip(ids, way, strict=True), 1):
            stages.append(
                _record(
                    at,
                    by,
                    id=number,
                    pipeline_id=pipeline["id"],
                    name=name,
                    title=f"{name} · {pipeline['name']}",
                    position=place,
                    place=pipeline["position"] * 1000 + place,
                    probability=probability,
                    color=color,
                    kind=kind,
                    rot_days=rot_days,
                    required_fields=pipelines.ASKED.get((pipeline["name"], name), []),
                )
            )
    context.insert("deals_stage", stages, at=at, by=by, joined=True)
    gone = {"deleted_at": at}
    context.update("deals_stage", [{"id": one, **gone} for one in old_stages], at=at, by=by, joined=True)
    context.update("deals_pipeline", [{"id": one, **gone} for one in old], at=at, by=by, joined=True)
    return made


def make_catalogue(context: DemoContext) -> list[dict[str, Any]]:
    """Write down groups and products; return the rows of products."""
    at, by = context.at(BEGUN, 10), context.people.get("admin")
    ids = context.numbers("deals_group", len(catalogue.GROUPS))
    groups = dict(zip(catalogue.GROUPS, ids, strict=True))
    group_rows = [
        _record(at, by, id=number, name=name, name_sort=cleaning.sort_key(name)) for name, number in groups.items()
    ]
    context.insert("deals_group", group_rows, at=at, by=by, entity="deals.group", source="import")
    found = list(catalogue.products())
    numbers = context.numbers("deals_product", len(found))
    rows = [
        _record(
            at,
            by,
            id=number,
            name=name,
            name_sort=cleaning.sort_key(name),
            sku=sku,
            kind=kind,
            unit=unit,
            price=catalogue.money(price),
            currency="RUB",
            cost=catalogue.money(cost),
            vat_code=catalogue.vat_code(group),
            group_id=groups[group],
            active=True,
        )
        for number, (group, sku, name, kind, unit, price, cost) in zip(numbers, found, strict=True)
    ]
    context.insert("deals_product", rows, at=at, by=by, entity="deals.product", source="import")
    context.index(GROUPS, group_rows)
    context.index(PRODUCTS, rows)
    return rows
