"""The forecast: by month, person, department or group of products, beside targets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import clock
from crm_core.i18n import plural
from crm_core.records.listing import Condition, Listing, ListQuery, QueryError
from crm_core.views import boards
from crm_core.views.boards import Reader
from crm_core.views.shapes import Figure, Tab
from crm_deals.entities import DEALS
from crm_deals.i18n import _
from crm_deals.models import OPEN, WON
from crm_deals.permissions import VIEW
from crm_deals.services import targets
from crm_deals.services.forecast import GROUP, KINDS, MONTH, PERSON, TEAM, Sums, beyond, forecast, month_of, months

ROOT = f"{DEALS.url}/forecast"
COUNT = 6
MINE = Condition("owner_id", "any", ("me",))

_TITLES = {MONTH: _("By month"), PERSON: _("By person"), TEAM: _("By department"), GROUP: _("By group of products")}
_HEADS = {MONTH: _("Month"), PERSON: _("Person"), TEAM: _("Department"), GROUP: _("Group of products")}


@dataclass(frozen=True)
class Bar:
    """A row as a picture: parts of a width of 100."""

    won: float
    weighted: float
    best: float
    target: float | None
    said: str


@view_config(route_name="deals.forecast_now", request_method="GET", permission=VIEW)
def begin(request: Request) -> Any:
    """Lead to the forecast of the coming months; those who set nobody's targets begin with their own deals."""
    query, _problem = boards.asked_query(request)
    text = boards.query_text(request, query)
    if not text and not targets.may_set(request.gate):
        text = ListQuery(conditions=(MINE,)).query_string()
    first = month_of(clock.today(request.formats.tz))
    return HTTPSeeOther(f"{ROOT}/{MONTH}/{first:%Y-%m}" + (f"?{text}" if text else ""))


@view_config(
    route_name="deals.forecast", request_method="GET", permission=VIEW, renderer="crm_deals:templates/forecast.pt"
)
def show(request: Request) -> Any:
    """Show the forecast."""
    gate, say, formats = request.gate, request.translate, request.formats
    by, first = request.matchdict["by"], _first(request)
    url = f"{ROOT}/{by}/{first:%Y-%m}"
    query, problem = boards.asked_query(request)
    listing = Listing(gate, DEALS)
    if problem is None and (there := boards.posted(request, listing, query, url)) is not None:
        return there
    try:
        found = forecast(gate, query, by, first, COUNT, formats.tz)
    except QueryError as error:
        problem, query = error.message, ListQuery()
        found = forecast(gate, query, by, first, COUNT, formats.tz)
    if problem is not None:
        request.response.status_int = 400
    reader = Reader(request)
    boards.want_names(reader, listing, query)
    want = {PERSON: "user", TEAM: "team", GROUP: "deals.group"}.get(by)
    if want is not None:
        reader.names.want_ids(want, found.rows)
    reader.names.load()
    aims = _targets(request, by, query, months(first, COUNT))
    if want is not None:
        for key in aims.keys() - found.rows.keys():
            reader.names.want_ids(want, [key])
            found.rows[key] = Sums()
        reader.names.load()
    text = boards.query_text(request, query)
    keep = f"?{text}" if text else ""
    total = found.total()
    whole = sum(aims.values(), Decimal(0)) if aims else None
    # Months and people without a target neither help nor hinder those that have one.
    aimed = Sums()
    for key in aims:
        aimed.add(found.rows.get(key, Sums()))
    rows = _rows(request, reader, by, found.rows, aims, first, query)
    more = beyond(gate, query, first, COUNT, formats.tz)
    return {
        "page": boards.tools(
            request, DEALS, reader, listing, query, url, search_title=_("Search among deals"), problem=problem
        ),
        "looks": boards.looks(request, DEALS, query, "forecast"),
        "title": say(_("Forecast")),
        "period": _period(request, first),
        "back_href": f"{ROOT}/{by}/{month_of(first, -3):%Y-%m}{keep}",
        "ahead_href": f"{ROOT}/{by}/{month_of(first, 3):%Y-%m}{keep}",
        "kinds": [
            Tab(title=say(_TITLES[kind]), href=f"{ROOT}/{kind}/{first:%Y-%m}{keep}", active=kind == by)
            for kind in KINDS
        ],
        "whose": [
            Tab(title=say(_("All that I see")), href=boards.address(request, url, _whose(query, mine=False)),
                active=MINE not in query.conditions),
            Tab(title=say(_("Mine")), href=boards.address(request, url, _whose(query, mine=True)),
                active=MINE in query.conditions),
        ],
        "targets_href": f"{DEALS.url}/targets",
        "may_set": targets.may_set(gate),
        "figures": _figures(request, total, whole, aimed),
        "head": say(_HEADS[by]),
        "rows": rows,
        "total": _row(request, say(_("Total")), total, whole, ("", ""), Decimal(0), aimed),
        "with_targets": whole is not None,
        "outside": [
            (say(title), _count(request, sums.open_count), _money(request, sums.open), href)
            for title, sums, href in (
                (
                    _("Were to close earlier and are still open"), found.overdue,
                    _drill(query, OPEN, expected_close=("", (first - dt.timedelta(days=1)).isoformat())),
                ),
                (_("Nobody has said when they close"), found.undated, _drill(query, OPEN, "expected_close:empty")),
            )
            if sums.open_count
        ],
        "more": _beyond(request, more),
        "empty": not (total.open_count or total.won_count or whole),
    }  # fmt: skip


def _first(request: Request) -> dt.date:
    try:
        year, month = (int(part) for part in request.matchdict["first"].split("-"))
        return dt.date(year, month, 1)
    except ValueError:
        raise HTTPNotFound from None


def _whose(query: ListQuery, *, mine: bool) -> ListQuery:
    rest = tuple(one for one in query.conditions if one.field != "owner_id")
    return replace(query, conditions=(MINE, *rest) if mine else rest)


def _targets(request: Request, by: str, query: ListQuery, wanted: Sequence[dt.date]) -> Mapping[Any, Decimal]:
    """Return targets by row; none where what is asked is not what a target is about."""
    gate = request.gate
    if query.search or query.conditions not in ((), (MINE,)):
        return {}
    mine = query.conditions == (MINE,)
    if by == MONTH:
        return targets.own(gate, wanted) if mine else targets.whole(gate, wanted)
    if mine and by != PERSON:
        return {}
    aims = [aim.id for aim in targets.aims(gate, by) if not mine or aim.id == gate.subject.user_id]
    found: dict[int, Decimal] = {}
    for (number, _month), amount in targets.read(gate, by, aims, wanted).items():
        found[number] = found.get(number, Decimal(0)) + amount
    return found


def _rows(
    request: Request,
    reader: Reader,
    by: str,
    found: Mapping[Any, Sums],
    aims: Mapping[Any, Decimal],
    first: dt.date,
    query: ListQuery,
) -> list[dict[str, Any]]:
    keys = sorted(found) if by == MONTH else sorted(found, key=lambda key: -found[key].likely)
    most = max([one.best for one in found.values()] + list(aims.values()) + [Decimal(1)])
    last = month_of(first, COUNT) - dt.timedelta(days=1)
    rows = []
    for key in keys:
        low, high = (key, month_of(key, 1) - dt.timedelta(days=1)) if by == MONTH else (first, last)
        between = (low.isoformat(), high.isoformat())
        extra = () if by == MONTH else ((f"owner_id:any:{key}" if key is not None else "owner_id:empty"),)
        hrefs = ("", "")
        if by in (MONTH, PERSON):
            hrefs = (
                _drill(query, WON, *extra, closed_at=between),
                _drill(query, OPEN, *extra, expected_close=between),
            )
        rows.append(_row(request, _name(request, reader, by, key), found[key], aims.get(key), hrefs, most))
    return rows


def _name(request: Request, reader: Reader, by: str, key: Any) -> str:
    if by == MONTH:
        return request.formats.month(key)
    if key is None:
        said = {PERSON: _("Nobody is responsible"), TEAM: _("Without a department"), GROUP: _("Without products")}
        return str(request.translate(said[by]))
    if by == PERSON:
        return reader.person(key).name
    if by == TEAM:
        return reader.names.teams.get(key, f"№ {key}")
    return reader.names.records.get("deals.group", {}).get(key) or request.translate(_("No access"))


def _period(request: Request, first: dt.date) -> str:
    last = request.formats.month(month_of(first, COUNT - 1))
    # In Russian months are written small within a sentence.
    return f"{request.formats.month(first)} – {last.lower() if request.formats.locale == 'ru' else last}"


def _drill(query: ListQuery, state: str, *conditions: str, **between: tuple[str, str]) -> str:
    """Return the list behind a number."""
    spans = (f"{name}:between:{','.join(pair)}" for name, pair in between.items())
    wanted = [f"state:any:{state}", *conditions, *spans]
    text = urlencode([("f", one) for one in wanted])
    kept = replace(query, sort="", columns=()).query_string()
    return f"{DEALS.url}?{text}" + (f"&{kept}" if kept else "")


def _money(request: Request, amount: Decimal | None) -> str:
    return "" if amount is None else str(request.formats.money(round(amount), request.company.currency))


def _count(request: Request, number: int) -> str:
    return plural(request, "${n} deal", "${n} deals", number, domain="crm_deals")


def _row(
    request: Request,
    title: str,
    sums: Sums,
    target: Decimal | None,
    hrefs: tuple[str, str],
    most: Decimal,
    aimed: Sums | None = None,
) -> dict[str, Any]:
    aimed = aimed or sums
    gap = None if target is None else target - aimed.likely
    enough = _("reached") if target is not None and aimed.won >= target else _("is enough")
    scale = float(100 / most) if most else 0.0
    bar = None
    if most:
        bar = Bar(
            won=round(float(sums.won) * scale, 2),
            weighted=round(float(sums.likely) * scale, 2),
            best=round(float(sums.best) * scale, 2),
            target=None if target is None else round(float(target) * scale, 2),
            said=", ".join(
                f"{request.translate(word)} {_money(request, amount)}"
                for word, amount in (
                    (_("Won"), sums.won), (_("Forecast"), sums.likely), (_("Best case"), sums.best),
                    (_("Target"), target),
                )
                if amount is not None
            ),
        )  # fmt: skip
    return {
        "title": title,
        "target": _money(request, target),
        "won": _money(request, sums.won) if sums.won_count else "",
        "won_count": _count(request, sums.won_count) if sums.won_count else "",
        "won_href": hrefs[0],
        "weighted": _money(request, sums.weighted) if sums.open_count else "",
        "open_count": _count(request, sums.open_count) if sums.open_count else "",
        "open_href": hrefs[1],
        "likely": _money(request, sums.likely),
        "best": _money(request, sums.best),
        "gap": "" if gap is None else (_money(request, gap) if gap > 0 else request.translate(enough)),
        "gap_tone": "" if gap is None else ("is-danger" if gap > 0 else "is-success"),
        "bar": bar,
    }


def _figures(request: Request, total: Sums, target: Decimal | None, aimed: Sums) -> list[Figure]:
    say = request.translate
    made = [
        Figure(title=say(_("Won")), value=_money(request, total.won), change=_count(request, total.won_count)),
        Figure(
            title=say(_("Forecast")), value=_money(request, total.likely),
            change=say(_("won, and open by probability")),
        ),
        Figure(title=say(_("Best case")), value=_money(request, total.best), change=_count(request, total.open_count)),
    ]  # fmt: skip
    if target is not None:
        gap = target - aimed.likely
        made.insert(0, Figure(title=say(_("Target")), value=_money(request, target),
                              change=request.formats.percent(aimed.won / target) if target else ""))  # fmt: skip
        made.append(
            Figure(
                title=say(_("Gap to the target")) if gap > 0 else say(_("Over the target")),
                value=_money(request, abs(gap)),
                tone="danger" if gap > 0 else "success",
            )
        )
    return made


def _beyond(request: Request, sums: Sums | None) -> str:
    if sums is None:
        return ""
    number = sums.open_count + sums.won_count
    values = {"count": _count(request, number), "sum": _money(request, sums.best)}
    return str(request.translate(_("${count} more worth ${sum}: no access", mapping=values)))


@view_config(
    route_name="deals.forecast.filter",
    request_method="GET",
    permission=VIEW,
    renderer="crm_core:templates/records/filter.pt",
)
def show_filter(request: Request) -> dict[str, Any]:
    """Show the small form of one filter."""
    return boards.filter_page(request, DEALS, f"{ROOT}/{request.matchdict['by']}/{_first(request):%Y-%m}")
