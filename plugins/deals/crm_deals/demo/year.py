"""A year of deals of the demo company: who sold what to whom, how far it went, and what is there to be found."""

from __future__ import annotations

import datetime as dt
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from crm_core import clock
from crm_core.demo.context import TIME_ZONE, DemoContext
from crm_core.records import cleaning
from crm_deals.demo import catalogue, words
from crm_deals.demo.pipelines import EQUIPMENT, PIPELINES, SERVICE, TURNKEY
from crm_deals.entities import DEAL, DEALS
from crm_deals.services import belongings
from crm_deals.services.lines import DraftLine, VatTable, totals

YEAR = 365
LEFT = 12
"""Days ago: when one of the managers left."""
WAITING = 3
"""Deals whose discount waits for approval."""
DONE_OF_PLAN = Decimal("0.92")
IDLE_AMOUNT, IDLE_DAYS = Decimal(2_800_000), 21


@dataclass(frozen=True)
class Way:
    """How deals of a pipeline go: how many, how often they are won, what they bring, how long they take."""

    pipeline: str
    count: int
    won: float
    average: int
    spread: float
    days: tuple[int, int]


WAYS = (
    Way(EQUIPMENT, 700, 0.45, 180_000, 0.65, (6, 48)),
    Way(TURNKEY, 180, 0.35, 1_100_000, 0.5, (35, 120)),
    Way(SERVICE, 260, 0.70, 95_000, 0.4, (12, 60)),
)


@dataclass
class _Client:
    company_id: int | None
    person_id: int | None
    name: str
    owner_id: int
    made: dt.datetime


@dataclass
class _Deal:
    way: Way
    client: _Client
    row: dict[str, Any]
    lines: list[dict[str, Any]]
    moves: list[tuple[int, str]]
    """(days ago, stage) after the first one."""
    end: str = ""
    cost: Decimal = Decimal(0)
    reason: str = ""


@dataclass
class _Year:
    context: DemoContext
    stages: Mapping[str, Mapping[str, int]]
    pipelines: Mapping[str, int]
    reasons: Mapping[str, int]
    products: Sequence[Mapping[str, Any]]
    vat: VatTable
    tags: Mapping[str, int]
    days: list[tuple[int, float]]
    by_group: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    deals: list[_Deal] = field(default_factory=list)


def fill_year(context: DemoContext, stages: Mapping[str, Mapping[str, int]], products: Sequence[Any]) -> None:
    """Write down a year of deals: their lines, moves, dates, and the targets of the people who sell."""
    clients = _clients(context)
    if not clients or "manager" not in context.people:
        return
    # What the year stands on is there before it, so that pipelines and reasons can be read by name.
    context.play()
    year = _Year(
        context,
        stages,
        _by_name(context, "deals_pipeline"),
        _by_name(context, "deals_reason"),
        products,
        VatTable.read(context.session),
        context.tags(words.TAGS),
        context.working_days(YEAR),
    )
    for product in products:
        year.by_group.setdefault(_group(product), []).append(product)
    _make_deals(year, clients)
    _make_idle(year, clients)
    _make_discounts(year)
    _number(year)
    _write(year)
    _dates(year)
    _targets(year)
    context.index(DEALS, [one.row for one in year.deals])
    context.play()
    _remind(year)


def _by_name(context: DemoContext, table: str) -> dict[str, int]:
    rows = context.session.execute(sa.text(f"SELECT name, id FROM {table} WHERE deleted_at IS NULL"))
    return {row[0]: row[1] for row in rows}


def _group(product: Mapping[str, Any]) -> str:
    code = str(product["sku"]).partition("-")[0]
    groups = {one[1].partition("-")[0]: one[0] for one in catalogue.products()}
    return groups[code]


def _clients(context: DemoContext) -> list[_Client]:
    """Return whom the year's deals are with, the oldest first: firms with somebody there, and private people."""
    rows = context.session.execute(
        sa.text(
            "SELECT p.id AS person_id, p.company_id, coalesce(c.name, p.full_name) AS name, "
            "coalesce(c.owner_id, p.owner_id) AS owner_id, greatest(p.created_at, c.created_at) AS made "
            "FROM clients_person p LEFT JOIN clients_company c ON c.id = p.company_id "
            "WHERE p.deleted_at IS NULL AND coalesce(c.owner_id, p.owner_id) IS NOT NULL ORDER BY made, p.id"
        )
    )
    return [_Client(row.company_id, row.person_id, row.name, row.owner_id, row.made) for row in rows]


# -- the deals ---------------------------------------------------------------------------------------------------------


def _make_deals(year: _Year, clients: Sequence[_Client]) -> None:
    context, random = year.context, year.context.random
    known = [one.made for one in clients]
    homes = [place for place, one in enumerate(clients) if one.company_id is None]
    firms = [place for place, one in enumerate(clients) if one.company_id is not None]
    for way in WAYS:
        for _number in range(way.count):
            ago = random.choices([day for day, _w in year.days], [weight for _d, weight in year.days])[0]
            pool = homes if way.pipeline == EQUIPMENT and random.random() < 0.3 else firms
            until = bisect_right(known, context.at(ago, 9))
            met = pool[: bisect_right(pool, until - 1)] or pool[:50]
            client = clients[random.choice(met)]
            year.deals.append(_deal(year, way, client, ago))


def _owner(year: _Year, client: _Client, ago: int) -> int:
    people = year.context.people
    if client.owner_id == people.get("left") and ago <= LEFT + 20:
        return people["head"]
    return client.owner_id


def _deal(year: _Year, way: Way, client: _Client, ago: int) -> _Deal:
    context, random = year.context, year.context.random
    owner = _owner(year, client, ago)
    made = context.at(ago, random.randint(9, 16), random.randint(0, 59))
    lines = _lines(year, way, owner)
    titles = {TURNKEY: words.TURNKEY, SERVICE: words.SERVICE}.get(
        way.pipeline, words.EQUIPMENT if client.company_id else words.HOMES
    )
    name = f"{random.choice(titles)}: {client.name}"
    first = next(iter(year.stages[way.pipeline]))
    moves, end, reason = _path(year, way, ago)
    discount = _discount(year, owner)
    row: dict[str, Any] = {
        "owner_id": owner,
        "team_id": context.department_of.get(owner),
        "created_at": made,
        "created_by": owner,
        "deleted_at": None,
        "deleted_op": None,
        "tags": sorted(year.tags[one] for one in random.sample(list(words.TAGS), random.choice((0, 0, 0, 1)))),
        "extra": {},
        "name": name,
        "name_sort": cleaning.sort_key(name),
        "pipeline_id": year.pipelines[way.pipeline],
        "stage_id": year.stages[way.pipeline][first],
        "stage_since": made,
        "company_id": client.company_id,
        "person_id": client.person_id,
        "currency": "RUB",
        "vat_mode": "included",
        "discount_percent": discount or None,
        "source": random.choices([one for one, _n in words.SOURCES], [count for _one, count in words.SOURCES])[0],
        "expected_close": context.today - dt.timedelta(days=ago - way.days[1] + random.randint(-5, 20)),
        "last_activity_at": made,
        "comment": None,
    }
    found = _Deal(way, client, row, lines, moves, end, reason=reason)
    _price(year, found)
    return found


def _path(year: _Year, way: Way, ago: int) -> tuple[list[tuple[int, str]], str, str]:
    """Return the moves of a deal, how it ended if it did, and why it was refused."""
    random = year.context.random
    open_stages = [stage[0] for stage in PIPELINES[way.pipeline] if stage[3] == "open"]
    won = random.random() < way.won
    end = "Успешно" if won else "Отказ"
    length = random.randint(*way.days)
    count = len(open_stages) if won else random.randint(1, len(open_stages) - 1)
    # The deals of the last weeks are the ones that are still open; few lie about for longer.
    if length >= ago and random.random() < 0.9:
        length = max(length, ago + 5)
    lying = random.random() < 0.035
    cuts = sorted(random.random() for _place in range(count))
    times = [*(ago - round(length * cut) for cut in cuts[1:]), ago - length]
    way_on = [*open_stages[1:count], end]
    moves: list[tuple[int, str]] = []
    before = ago
    for at, stage in zip(times, way_on, strict=True):
        when = _workday(year, min(at, before - 1))
        if when is None or (lying and stage == end and ago < 150):
            return moves, "", ""
        moves.append((when, stage))
        before = when
    if won:
        return moves, end, ""
    reason = random.choices([one for one, _n in words.REASONS], [count for _one, count in words.REASONS])[0]
    return moves, end, reason


def _workday(year: _Year, ago: int) -> int | None:
    """Return the working day that began so long ago or is next after that; None for the future."""
    while ago > 0:
        day = year.context.today - dt.timedelta(days=ago)
        if day.weekday() < 5:
            return ago
        ago -= 1
    return None


def _discount(year: _Year, owner: int) -> Decimal:
    random, people = year.context.random, year.context.people
    if owner == people.get("manager2"):
        # He sells most of all, and gives away what is earned by it.
        return Decimal(random.choice((7, 9, 10, 12, 13, 14, 15)))
    return Decimal(random.choices((0, 2, 3, 5, 7), (55, 10, 12, 15, 8))[0])


# -- what is in them ---------------------------------------------------------------------------------------------------

_SHELVES = {
    EQUIPMENT: (catalogue.SPLIT, catalogue.SUPPLY, catalogue.BOILERS, catalogue.HUMIDITY, catalogue.FILTERS),
    TURNKEY: (catalogue.VRF, catalogue.SUPPLY, catalogue.BOILERS),
}


def _lines(year: _Year, way: Way, owner: int) -> list[dict[str, Any]]:
    random = year.context.random
    if way.pipeline == SERVICE:
        contracts = [one for one in year.by_group[catalogue.CARE] if str(one["sku"]).startswith("GD-")]
        found = [(random.choices(contracts, (42, 35, 17, 6))[0], 1)]
        if random.random() < 0.25:
            found.append((random.choice([one for one in year.by_group[catalogue.CARE] if one["unit"] == "pcs"]), 2))
        return [_line(product, quantity) for product, quantity in found]
    mean = math.log(way.average * 1.07) - way.spread**2 / 2
    target = math.exp(random.gauss(mean, way.spread))
    if owner == year.context.people.get("manager2"):
        target *= 1.35
    shelf = [one for group in _SHELVES[way.pipeline] for one in year.by_group[group]]
    chosen: dict[int, list[Any]] = {}
    left = target * (0.8 if way.pipeline == TURNKEY else 0.86)
    while left > target * 0.12 and len(chosen) < 7:
        fitting = sorted((one for one in shelf if float(one["price"]) <= left), key=lambda one: one["price"])
        if not fitting:
            break
        product = random.choice(fitting[len(fitting) // 2 :])
        quantity = max(1, min(6, int(left / float(product["price"]) * random.uniform(0.5, 1))))
        chosen.setdefault(product["id"], [product, 0])[1] += quantity
        left -= float(product["price"]) * quantity
    found = [(product, quantity) for product, quantity in chosen.values()]
    works = sorted(year.by_group[catalogue.WORK], key=lambda one: one["price"])
    for product in random.sample(works[-8:] if way.pipeline == TURNKEY else works[3:10], 2):
        rest = target - sum(float(one["price"]) * number for one, number in found)
        found.append((product, max(1, min(20, int(rest / 2 / float(product["price"]) or 1)))))
    return [_line(product, quantity) for product, quantity in found]


def _line(product: Mapping[str, Any], quantity: int) -> dict[str, Any]:
    return {"product": product, "quantity": Decimal(quantity)}


def _price(year: _Year, deal: _Deal) -> None:
    """Count the lines of a deal with the VAT of its day and put what they come to into its row."""
    if not deal.lines:
        return
    ended = deal.moves[-1][0] if deal.end else None
    today = year.context.today
    day = today - dt.timedelta(days=ended) if ended is not None else max(deal.row["expected_close"], today)
    drafts = [
        DraftLine(
            name=one["product"]["name"], quantity=one["quantity"], price=one["product"]["price"],
            unit=one["product"]["unit"], vat_code=one["product"]["vat_code"], product_id=one["product"]["id"],
        )
        for one in deal.lines
    ]  # fmt: skip
    counted = totals(drafts, "included", day, year.vat, deal.row["discount_percent"])
    for place, (one, line) in enumerate(zip(deal.lines, counted.lines, strict=True)):
        one["row"] = {
            "product_id": line.line.product_id, "name": line.line.name, "unit": line.line.unit,
            "quantity": line.line.quantity, "price": line.line.price, "discount_percent": Decimal(0),
            "vat_code": line.line.vat_code, "vat_rate": line.rate, "total": line.total, "vat": line.vat,
            "position": place,
        }  # fmt: skip
    deal.row |= {
        "lines_total": counted.total,
        "amount": counted.total,
        "vat_amount": counted.vat,
        "discount_total": counted.discount_percent,
    }
    deal.cost = sum((one["product"]["cost"] * one["quantity"] for one in deal.lines), Decimal(0))


# -- to be found -------------------------------------------------------------------------------------------------------


def _make_idle(year: _Year, clients: Sequence[_Client]) -> None:
    """Let a deal of 2.8 million lie idle for three weeks while it is nearly agreed upon."""
    context = year.context
    manager = context.people["manager"]
    way = WAYS[1]
    client = next(one for one in clients if one.owner_id == manager and one.company_id is not None)
    deal = _deal(year, way, client, 88)
    deal.lines, deal.end, deal.reason = [], "", ""
    names = [stage[0] for stage in PIPELINES[TURNKEY]]
    days = (80, 66, 47, 29)
    deal.moves = [(_workday(year, ago) or 1, stage) for ago, stage in zip(days, names[1:5], strict=True)]
    deal.row |= {
        "name": f"{words.BIG}",
        "name_sort": cleaning.sort_key(words.BIG),
        "owner_id": manager,
        "team_id": context.department_of.get(manager),
        "created_by": manager,
        "lines_total": None,
        "amount": IDLE_AMOUNT,
        "vat_amount": None,
        "discount_percent": None,
        "discount_total": None,
        "last_activity_at": context.at(IDLE_DAYS, 15, 20),
        "expected_close": context.today + dt.timedelta(days=12),
        "tags": [year.tags["крупная"]],
        "comment": "Договор у юристов клиента, ждём протокол разногласий.",
    }
    year.deals.append(deal)


def _make_discounts(year: _Year) -> None:
    """Let some have got discounts over the limit, approved by the head, and a few wait for it."""
    context, random = year.context, year.context.random
    head, plain = context.people["head"], {context.people.get("manager"), context.people.get("manager3")}
    ended = [one for one in year.deals if one.end == "Успешно" and one.lines]
    for deal in random.sample(ended, 26):
        percent = Decimal(random.choice((16, 17, 18, 20, 22, 25)))
        deal.row["discount_percent"] = percent
        _price(year, deal)
        approved = max(deal.moves[-1][0] + 1, 1)
        deal.row |= {
            "discount_approved": percent, "discount_approved_by": head, "discount_approved_at": context.at(approved, 13)
        }  # fmt: skip
    late = [one for one in year.deals if not one.end and one.lines and one.row["owner_id"] in plain and one.moves]
    for deal in late[:WAITING]:
        deal.row["discount_percent"] = Decimal(random.choice((17, 18, 20)))
        _price(year, deal)
        deal.row |= {
            "discount_asked_by": deal.row["owner_id"],
            "discount_asked_at": context.now - dt.timedelta(hours=random.randint(3, 40)),
        }


# -- writing -----------------------------------------------------------------------------------------------------------

_ASKED = (
    "lines_total", "amount", "vat_amount", "discount_total", "discount_approved", "discount_approved_by",
    "discount_approved_at", "discount_asked_by", "discount_asked_at",
)  # fmt: skip


def _number(year: _Year) -> None:
    year.deals.sort(key=lambda one: one.row["created_at"])
    ids = year.context.numbers("deals_deal", len(year.deals))
    for deal, number in zip(year.deals, ids, strict=True):
        deal.row = {"id": number, **dict.fromkeys(_ASKED), **deal.row}


def _write(year: _Year) -> None:
    """Write deals as they were made, half a day of a person at a time, and their moves likewise.

    One operation each would be six thousand of them, and a minute.
    """
    context = year.context
    made: dict[tuple[dt.datetime, int], list[_Deal]] = {}
    moves: dict[tuple[dt.datetime, int], list[dict[str, Any]]] = {}
    for deal in year.deals:
        by = deal.row["created_by"]
        local = deal.row["created_at"].astimezone(clock.zone(TIME_ZONE))
        ago = (context.today - local.date()).days
        at = context.at(ago, 13 if local.hour < 13 else 17, 0)
        made.setdefault((at, by), []).append(deal)
        for when, stage in deal.moves:
            last = stage == deal.end
            at = context.at(when, (11, 16)[deal.row["id"] % 2], 5 + by % 50)
            moves.setdefault((at, _actor(year, deal, when)), []).append(
                {
                    "id": deal.row["id"],
                    "stage_id": year.stages[deal.way.pipeline][stage],
                    "reason_id": year.reasons.get(deal.reason) if last and deal.reason else None,
                    "reason_note": _note(year, deal) if last and deal.reason else None,
                    "last_activity_at": deal.row["last_activity_at"] if deal.row["name"] == words.BIG else at,
                }
            )
    for (at, by), deals in made.items():
        one = {"record_id": deals[0].row["id"]} if len(deals) == 1 else {}
        context.insert("deals_deal", [deal.row for deal in deals], at=at, by=by, entity=DEAL, **one)
        lines = [{"deal_id": deal.row["id"], **line["row"]} for deal in deals for line in deal.lines]
        context.insert("deals_line", lines, at=at, by=by, joined=True)
    for (at, by), rows in moves.items():
        one = {"record_id": rows[0]["id"]} if len(rows) == 1 else {}
        context.update("deals_deal", rows, at=at, by=by, entity=DEAL, **one)


def _actor(year: _Year, deal: _Deal, when: int) -> int:
    people = year.context.people
    owner: int = deal.row["owner_id"]
    return people["head"] if owner == people.get("left") and when <= LEFT else owner


def _note(year: _Year, deal: _Deal) -> str | None:
    random = year.context.random
    return random.choice(words.REFUSALS[deal.reason]) if random.random() < 0.7 else None


def _dates(year: _Year) -> None:
    """Write the days that matter: of what was won, and of what is about to be paid."""
    context, random = year.context, year.context.random
    found = context.session.execute(sa.text("SELECT code, id FROM deals_date_kind WHERE code IS NOT NULL"))
    kinds = {row.code: row.id for row in found}
    written: dict[tuple[int, int], list[dict[str, Any]]] = {}
    nearest: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for deal in year.deals:
        ahead = _days_of(deal, random)
        if not ahead:
            continue
        begun = deal.moves[-1][0]
        key = (begun, _actor(year, deal, begun))
        days = []
        for code, offset in ahead:
            day = context.today - dt.timedelta(days=begun - offset)
            days.append({"deal_id": deal.row["id"], "kind_id": kinds[code], "day": day, "done": day < context.today})
        written.setdefault(key, []).extend(days)
        coming = [one["day"] for one in days if not one["done"]]
        if coming:
            nearest.setdefault(key, []).append({"id": deal.row["id"], "next_date": min(coming)})
    for (ago, by), rows in written.items():
        at = context.at(ago, 17, 40)
        context.insert("deals_date", rows, at=at, by=by, kind="edit", entity=DEAL)
        context.update("deals_deal", nearest.get((ago, by), ()), at=at, by=by, joined=True)


def _days_of(deal: _Deal, random: Any) -> Sequence[tuple[str, int]]:
    if deal.end == "Успешно":
        return {
            EQUIPMENT: (("payment", 0), ("shipment", random.randint(2, 9)), ("warranty", 365)),
            TURNKEY: (("contract", -30), ("installation", 5), ("warranty", 730), ("service", 182)),
            SERVICE: (("contract", 0), ("service", random.randint(60, 180))),
        }[deal.way.pipeline]
    if not deal.end and deal.moves and deal.moves[-1][1] in ("Счёт выставлен", "Договор подписан", "Аванс получен"):
        return (("invoice", deal.moves[-1][0] + random.randint(1, 9)),)
    return ()


def _targets(year: _Year) -> None:
    """Set the targets of the year: in the present month 92 % of all of it is won, before that more or less."""
    context, random = year.context, year.context.random
    won: dict[tuple[int, dt.date], Decimal] = {}
    for deal in year.deals:
        if deal.end == "Успешно":
            day = context.today - dt.timedelta(days=deal.moves[-1][0])
            key = (deal.row["owner_id"], day.replace(day=1))
            won[key] = won.get(key, Decimal(0)) + deal.row["amount"]
    month = context.today.replace(day=1)
    months = [month]
    while len(months) < 13:
        months.append((months[-1] - dt.timedelta(days=1)).replace(day=1))
    sellers = [context.people[one] for one in ("manager", "manager2", "manager3", "head") if one in context.people]
    head = context.people["head"]
    for day in months:
        shares = {one: won.get((one, day), Decimal(0)) for one in sellers}
        part = DONE_OF_PLAN if day == month else Decimal(random.choice((88, 95, 101, 104, 110))) / 100
        wanted = {one: _round(max(amount, Decimal(300_000)) / part) for one, amount in shares.items()}
        everything = sum((amount for (_who, when), amount in won.items() if when == day), Decimal(0))
        rows = [
            {"user_id": one, "team_id": None, "group_id": None, "month": day, "amount": amount}
            for one, amount in wanted.items()
        ]
        team = context.departments.get("Продажи")
        if team is not None:
            rows.append(
                {"user_id": None, "team_id": team, "group_id": None, "month": day,
                 "amount": max(Decimal(1_000_000), everything / part).quantize(Decimal(1))}
            )  # fmt: skip
        at = context.at((context.today - day).days + 3, 10, 30)
        context.insert("deals_target", rows, at=at, by=head, entity=DEAL, note="План продаж")


def _round(amount: Decimal) -> Decimal:
    return (amount / 10_000).quantize(Decimal(1)) * 10_000


def _remind(year: _Year) -> None:
    soon = year.context.today + dt.timedelta(days=35)
    ids = year.context.session.scalars(
        sa.text(
            "SELECT DISTINCT deal_id FROM deals_date WHERE NOT done AND day > :today AND day < :soon ORDER BY deal_id"
        ),
        {"today": year.context.today + dt.timedelta(days=2), "soon": soon},
    )
    belongings.refresh_reminders(year.context.session, list(ids), clock.zone(TIME_ZONE))

