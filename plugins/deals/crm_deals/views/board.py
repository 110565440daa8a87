"""The board of a pipeline: columns of cards, moved by dragging or by keys, with the filters and views of the list."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from sqlalchemy.dialects import postgresql as pg
from webob.multidict import MultiDict

from crm_core import clock
from crm_core.forms import InvalidValues, unflatten
from crm_core.i18n import plural
from crm_core.models import Preference
from crm_core.records import operations, saving
from crm_core.records.listing import Listing, ListQuery, QueryError, cursor_at
from crm_core.views import boards
from crm_core.views.boards import BoardCard, BoardColumn, BoardPage, Reader, say
from crm_core.views.shapes import Action, Badge, Choice, EmptyState, FieldView, PersonView
from crm_deals import services
from crm_deals.entities import DEAL, DEALS
from crm_deals.i18n import _
from crm_deals.models import LOST, OPEN, WON
from crm_deals.permissions import CREATE, EDIT, VIEW
from crm_deals.services import board, discounts
from crm_deals.services.deals import entry_fields
from crm_deals.views.answers import FORM, deal_of, errors_of, field, form_page, number
from crm_deals.views.moves import overtaken

ROOT = f"{DEALS.url}/board"
PREFERENCE = "board:deals.deal"

_END_OF_DAY = (23, 59)

#: Fields that a quick deal asks for.
QUICK = ("name", "company_id", "person_id", "amount")


# -- which pipeline, which view ----------------------------------------------------------------------------------------


def _kept(request: Request) -> Mapping[str, Any]:
    value = request.db.scalar(
        sa.select(Preference.value).where(Preference.user_id == request.subject.user_id, Preference.key == PREFERENCE)
    )
    return value if isinstance(value, dict) else {}


def _keep(request: Request, known: Mapping[str, Any], **changes: Any) -> None:
    wanted = {**known, **changes}
    if wanted == known or request.subject.user_id is None:
        return
    insert = pg.insert(Preference).values(user_id=request.subject.user_id, key=PREFERENCE, value=wanted)
    request.db.execute(
        insert.on_conflict_do_update(index_elements=["user_id", "key"], set_={"value": insert.excluded.value})
    )


def way_of(request: Request, ways: Sequence[board.Way]) -> board.Way:
    """Return the pipeline of the address, or 404."""
    wanted = number(request.matchdict.get("pipeline"))
    for way in ways:
        if way.id == wanted:
            return way
    raise HTTPNotFound


@view_config(route_name="deals.board_last", request_method="GET", permission=VIEW)
def last(request: Request) -> Any:
    """Lead to the pipeline and the view that this person looked at last."""
    kept, ways = _kept(request), board.ways(request.gate)
    wanted = number(request.GET.get("pipeline")) or kept.get("pipeline")
    way = next((one for one in ways if one.id == wanted), ways[0] if ways else None)
    if way is None:
        return HTTPSeeOther(DEALS.url)
    given = [(name, value) for name, value in request.GET.items() if name != "pipeline"]
    query = boards.query_text(request, ListQuery.parse(MultiDict(given))) if given else str(kept.get("query", ""))
    return HTTPSeeOther(f"{ROOT}/{way.id}?{query}" if query else f"{ROOT}/{way.id}")


# -- the page ----------------------------------------------------------------------------------------------------------


@view_config(
    route_name="deals.board", request_method="GET", permission=VIEW, renderer="crm_deals:templates/board.pt"
)
def show(request: Request) -> Any:
    """Show the board of a pipeline."""
    gate = request.gate
    ways = board.ways(gate)
    way = way_of(request, ways)
    url = f"{ROOT}/{way.id}"
    query, problem = boards.asked_query(request)
    listing = Listing(gate, DEALS)
    if problem is None and (there := boards.posted(request, listing, query, url)) is not None:
        return there
    kept = _kept(request)
    asked = board.Board(gate, query, listing)
    stages = [stage.stage_id for stage in way.stages]
    try:
        found, totals = asked.cards(stages), asked.totals(stages)
    except QueryError as error:
        problem, query = error.message, ListQuery()
        asked = board.Board(gate, query, listing)
        found, totals = asked.cards(stages), asked.totals(stages)
    text = boards.query_text(request, query)
    if problem is None:
        _keep(request, kept, pipeline=way.id, query=text)
    else:
        request.response.status_int = 400
    reader = Reader(request)
    boards.want_names(reader, listing, query)
    drawing = Drawing(request, reader, way, text)
    cards = drawing.cards([row for one in found.values() for row in one.rows])
    folded = set(kept.get("folded", ()))
    return {
        "page": boards.tools(
            request, DEALS, reader, listing, query, url, search_title=_("Search among deals"), problem=problem,
            create_href=f"{DEALS.url}/new?pipeline_id={way.id}", without=("pipeline_id", "stage_id"),
        ),
        "ways": [
            Action(title=one.name, href=f"{ROOT}/{one.id}?{text}" if text else f"{ROOT}/{one.id}", active=one is way)
            for one in ways
        ],
        "looks": boards.looks(request, DEALS, query, "board"),
        "as_of_href": f"{url}/as-of",
        "board": BoardPage(
            title=way.name,
            entity=DEAL,
            columns=[
                drawing.column(stage, cards, found[stage.stage_id], totals[stage.stage_id], stage.stage_id in folded)
                for stage in way.stages
            ],
            move_href=f"{url}/move",
            cards_href=drawing.at("cards"),
            totals_href=drawing.at("totals"),
            fold_href=f"{url}/fold",
            empty=_empty(request, query, any(one.count for one in totals.values()), way),
        ),
    }


def _empty(request: Request, query: ListQuery, anything: bool, way: board.Way) -> EmptyState | None:
    if anything:
        return None
    if query.conditions or query.search:
        return EmptyState(
            title=_("Nothing found"),
            text=_("No deal of this pipeline fits this search and these filters."),
            icon="search",
            action=Action(title=_("Show the whole board"), href=f"{ROOT}/{way.id}"),
        )
    if not request.gate.may(DEAL, "create"):
        return EmptyState(
            title=_("There are no deals here yet"), text=_("What is opened to you will stand here."),
            icon="layout-kanban",
        )  # fmt: skip
    return EmptyState(
        title=_("There are no deals here yet"),
        text=_("Make the first one: who it is for and how much. Then drag it along the stages as the work goes on."),
        icon="layout-kanban",
        action=Action(
            title=DEALS.add_title, href=f"{DEALS.url}/new?pipeline_id={way.id}", icon="plus", look="primary",
            open="dialog",
        ),
        link=boards.import_link(request, DEALS),
    )  # fmt: skip


# -- drawing -----------------------------------------------------------------------------------------------------------


class Drawing:
    """Says what stands on a card and above a column, with the names of what cards point at asked at once."""

    def __init__(self, request: Request, reader: Reader, way: board.Way, query: str) -> None:
        self.request, self.reader, self.way = request, reader, way
        self.gate, self.formats = request.gate, request.formats
        self.url = f"{ROOT}/{way.id}"
        self.query = query
        self.currency: str = request.company.currency
        self.now = clock.now()
        self.today = clock.today(self.formats.tz)
        self.rot = {stage.stage_id: stage.rot_days for stage in way.stages}
        self.steps = board.next_entity(self.gate)
        self.movable = self.gate.may(DEAL, "edit")
        self.no_step = self.reader.say(_("No next task"))
        # The same amounts and days stand on many cards, and each takes a while to be written.
        self.money = cache(self.formats.money)
        self.day = cache(partial(self.formats.date, short=True))
        self.idle = cache(self._idle)
        self.late = cache(self._late)

    def at(self, path: str, **more: Any) -> str:
        """Return an address under this board that keeps its filters."""
        parts = [*(f"{name}={value}" for name, value in more.items()), *([self.query] if self.query else [])]
        return f"{self.url}/{path}" + (f"?{'&'.join(parts)}" if parts else "")

    def cards(self, rows: Sequence[Any]) -> dict[int, list[BoardCard]]:
        """Return the cards of rows by their columns."""
        names = self.reader.names
        names.want_ids("clients.company", [row.company_id for row in rows])
        names.want_ids("clients.person", [row.person_id for row in rows if row.company_id is None])
        names.want_ids("user", [row.owner_id for row in rows])
        if self.steps is not None:
            names.want_ids(self.steps.name, [row.step_id for row in rows])
        names.load()
        faces: dict[int, PersonView] = {}
        found: dict[int, list[BoardCard]] = {}
        for row in rows:
            if row.owner_id is not None and row.owner_id not in faces:
                faces[row.owner_id] = self.reader.person(row.owner_id)
            found.setdefault(row.stage_id, []).append(self._card(row, faces.get(row.owner_id)))
        return found

    def _card(self, row: Any, face: PersonView | None) -> BoardCard:
        step, hint, step_tone, icon = self._step(row)
        badges = self._badges(row)
        return BoardCard(
            id=row.id,
            column=row.stage_id,
            version=row.version,
            order=order_of(row),
            title=row.name,
            href=f"{DEALS.url}/{row.id}",
            subtitle=self._client(row),
            amount=self.money(row.amount, row.currency) if row.amount is not None else "",
            step=step,
            step_hint=hint,
            step_tone=step_tone,
            step_icon=icon,
            face=face,
            badges=badges,
            dot=self.no_step
            if self.steps is not None and row.state == OPEN and row.step_id is None
            else "",
            tone="warning" if any(one.icon == "hourglass-high" for one in badges) else "",
            move_href=f"{self.url}/move/{row.id}" if self.movable else "",
        )

    def _client(self, row: Any) -> str:
        for entity, value in (("clients.company", row.company_id), ("clients.person", row.person_id)):
            if value is not None:
                known = self.reader.names.records.get(entity, {}).get(value)
                return known or self.reader.say(_("No access"))
        return ""

    def _step(self, row: Any) -> tuple[str, str, str, str]:
        if row.state != OPEN or row.step_id is None or self.steps is None:
            return "", "", "", "calendar-event"
        title = self.reader.names.records.get(self.steps.name, {}).get(row.step_id) or self.reader.say(_("Task"))
        if row.step_at is None:
            return title, "", "", "checkbox"
        local = row.step_at.astimezone(self.formats.tz)
        if local.date() != self.today:
            when = self.day(local.date())
        elif (local.hour, local.minute) == _END_OF_DAY:
            # A task of the whole day is due when the day ends.
            when = self.reader.say(_("today"))
        else:
            when = self.formats.time(row.step_at)
        tone = "danger" if row.step_at < self.now else ("accent" if local.date() == self.today else "")
        return when, f"{when}: {title}", tone, "calendar-event"

    def _badges(self, row: Any) -> list[Badge]:
        found: list[Badge] = []
        if row.state != OPEN:
            return found
        if board.is_rotting(row, self.rot, self.now):
            found.append(self.idle(board.idle_days(row, self.now)))
        if row.expected_close is not None and row.expected_close < self.today:
            found.append(self.late(row.expected_close))
        return found

    def _idle(self, days: int) -> Badge:
        text = plural(self.request, "idle for ${n} day", "idle for ${n} days", days, domain="crm_deals")
        return Badge(text=text, tone="warning", icon="hourglass-high")

    def _late(self, day: dt.date) -> Badge:
        text = self.reader.say(_("was to close on ${day}", mapping={"day": self.day(day)}))
        return Badge(text=text, tone="danger", icon="calendar-x")

    def column(
        self, stage: Any, cards: Mapping[int, Sequence[BoardCard]], found: board.Cards, total: board.Total, folded: bool
    ) -> BoardColumn:
        """Return a column with its first cards."""
        keep = f"&{self.query}" if self.query else ""
        likely = _("Probability ${n} %", mapping={"n": stage.probability})
        number = stage.stage_id
        return BoardColumn(
            id=number,
            title=stage.stage,
            color=stage.color,
            kind=stage.kind,
            cards=cards.get(number, ()),
            count=self.formats.number(total.count),
            sum=self.sum(total),
            hint=self.reader.say(likely) if stage.kind == OPEN else "",
            more_href=self.more(number, found),
            list_href=f"{DEALS.url}?f=stage_id:any:{number}{keep}",
            add_href=f"{self.url}/new/{number}"
            if stage.kind == OPEN and self.way.active and self.gate.may(DEAL, "create")
            else "",
            folded=folded,
        )

    def sum(self, total: board.Total) -> str:
        """Return what a column is worth."""
        return self.formats.money(round(total.amount), self.currency) if total.amount else ""

    def more(self, stage: int, found: board.Cards) -> str:
        """Return where the next cards of a column are."""
        if not found.more:
            return ""
        last = found.rows[-1]
        return self.at(f"columns/{stage}", after=cursor_at(last.stage_since, last.id))


def order_of(row: Any) -> str:
    """Return the place of a card in its column as text that sorts: the greatest stands first."""
    return f"{row.stage_since.astimezone(dt.UTC):%Y%m%d%H%M%S%f}.{row.id:012d}"


# -- parts of the page -------------------------------------------------------------------------------------------------


def _drawing(request: Request) -> tuple[board.Way, board.Board, Drawing]:
    way = way_of(request, board.ways(request.gate))
    query, problem = boards.asked_query(request)
    if problem is not None:
        raise HTTPNotFound
    try:
        asked = board.Board(request.gate, query)
        asked.listing.criteria(query)
    except QueryError:
        raise HTTPNotFound from None
    return way, asked, Drawing(request, Reader(request), way, boards.query_text(request, query))


CARDS = "crm_deals:templates/cards.pt"


@view_config(route_name="deals.board.cards", request_method="GET", permission=VIEW, renderer=CARDS)
def some_cards(request: Request) -> dict[str, Any]:
    """Show those of some deals that stand on this board: what was changed meanwhile."""
    way, asked, drawing = _drawing(request)
    ids = [number(text) for text in request.GET.getall("id")[:200]]
    rows = asked.of([one for one in ids if one], [stage.stage_id for stage in way.stages])
    return {"columns": drawing.cards(rows), "more_href": "", "title": way.name}


@view_config(route_name="deals.board.column", request_method="GET", permission=VIEW, renderer=CARDS)
def more_cards(request: Request) -> dict[str, Any]:
    """Show the next cards of a column."""
    way, asked, drawing = _drawing(request)
    stage = number(request.matchdict["stage"])
    if stage not in [one.stage_id for one in way.stages]:
        raise HTTPNotFound
    found = asked.cards([stage], after=_place(request.GET.get("after", "")), limit=2 * board.PAGE)[stage]
    return {"columns": drawing.cards(found.rows), "more_href": drawing.more(stage, found), "title": way.name}


def _place(text: str) -> tuple[dt.datetime, int] | None:
    import base64

    if not text:
        return None
    try:
        value, last = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return dt.datetime.fromisoformat(value), int(last)
    except (ValueError, TypeError):
        raise HTTPNotFound from None


@view_config(route_name="deals.board.totals", request_method="GET", permission=VIEW, renderer="json")
def totals(request: Request) -> dict[str, Any]:
    """Tell counts and sums of the columns."""
    way, asked, drawing = _drawing(request)
    found = asked.totals([stage.stage_id for stage in way.stages])
    return {
        str(stage): {"count": request.formats.number(total.count), "sum": drawing.sum(total)}
        for stage, total in found.items()
    }


@view_config(
    route_name="deals.board.filter",
    request_method="GET",
    permission=VIEW,
    renderer="crm_core:templates/records/filter.pt",
)
def show_filter(request: Request) -> dict[str, Any]:
    """Show the small form of one filter."""
    return boards.filter_page(request, DEALS, f"{ROOT}/{number(request.matchdict['pipeline'])}")


@view_config(route_name="deals.board.fold", request_method="POST", permission=VIEW)
def fold(request: Request) -> Response:
    """Keep which columns are folded."""
    kept = _kept(request)
    stage, folded = number(request.POST.get("column")), set(kept.get("folded", ()))
    if stage:
        folded = folded | {stage} if request.POST.get("folded") == "1" else folded - {stage}
        _keep(request, kept, folded=sorted(folded))
    return Response(status=204)


# -- moving ------------------------------------------------------------------------------------------------------------


@view_config(route_name="deals.board.move", request_method="POST", permission=EDIT, renderer="json")
def move(request: Request) -> dict[str, Any]:
    """Move a deal; tell what is still to be asked, or who was first."""
    request.matchdict["id"] = str(number(request.POST.get("id")))
    deal = deal_of(request, "view")
    stage, version = number(request.POST.get("column")), number(request.POST.get("version")) or None
    try:
        moved = services.move(request.gate, deal, stage, version=version)
    except (services.NeedsFields, services.NeedsReason):
        return {"moved": False, "ask": f"{DEALS.url}/{deal.id}/move?stage={stage}"}
    except services.NeedsApproval as needs:
        values = {"percent": discounts.plain(needs.percent), "limit": discounts.plain(needs.limit)}
        return _stays(
            request,
            _("The discount of ${percent} % is over the limit of ${limit} % and waits for approval.", mapping=values),
        )
    except saving.Conflict as conflict:
        return _stays(request, overtaken(request, conflict.record))
    except saving.NotAllowed as problem:
        return _stays(request, say(request, problem.message))
    if not moved.moved:
        return {"moved": False}
    operation = operations.current(request.db)
    name = {"deal": deal.name, "stage": moved.stage.name}
    said = {
        WON: _("Won: “${deal}”", mapping=name),
        LOST: _("Refused: “${deal}”", mapping=name),
    }.get(moved.stage.kind, _("“${deal}” is in “${stage}” now", mapping=name))
    return {
        "moved": True,
        "version": deal.version,
        "toast": {
            "text": request.translate(said),
            "undo_href": f"/operations/{operation}/undo" if operation else "",
        },
    }


def _stays(request: Request, said: Any) -> dict[str, Any]:
    return {"moved": False, "toast": {"text": request.translate(said), "tone": "warning"}}


@view_config(route_name="deals.board.choose", request_method="GET", permission=EDIT, renderer=FORM)
def choose(request: Request) -> dict[str, Any]:
    """Show the columns a deal can be moved to, for browsers without scripts."""
    deal = deal_of(request)
    way = way_of(request, board.ways(request.gate))
    stages = [Choice(value=str(stage.stage_id), title=stage.stage) for stage in way.stages]
    return form_page(
        request,
        id="move-deal",
        title=_("Move the deal"),
        action=f"{DEALS.url}/{deal.id}/move",
        submit=_("Move the deal"),
        fields=[
            FieldView(
                name="stage", title=request.translate(_("Stage")), kind="radio", value=str(deal.stage_id),
                choices=stages, required=True,
            )
        ],
        hidden=[("version", str(deal.version))],
        cancel=f"{ROOT}/{way.id}",
        intro=deal.name,
    )  # fmt: skip


# -- quick deals -------------------------------------------------------------------------------------------------------


@view_config(route_name="deals.board.new", request_method="GET", permission=CREATE, renderer=FORM)
def quick(request: Request) -> dict[str, Any]:
    """Show the small form that makes a deal in a column."""
    way, stage = _column(request)
    return _quick(request, way, stage)


@view_config(route_name="deals.board.new", request_method="POST", permission=CREATE, renderer=FORM)
def make(request: Request) -> Any:
    """Make a deal in a column."""
    way, stage = _column(request)
    names = _quick_names(request, stage)
    known = {name: info for name, info in entry_fields(request.gate).items() if name in names}
    typed = unflatten(((key, value) for key, value in request.POST.items() if isinstance(value, str)), known)
    try:
        values = saving.check(request.gate, DEALS, typed, only=names)
        missing = [name for name in names[len(QUICK) :] if values.get(name) in (None, "", [])]
        if missing:
            raise InvalidValues({name: _("Fill this in.") for name in missing}, typed)
        deal = services.create_deal(request.gate, stage_id=stage.stage_id, **values)
    except (InvalidValues, saving.NotAllowed) as problem:
        return _quick(request, way, stage, errors_of(problem))
    operation = operations.current(request.db)
    said = _("The deal is made: ${deal}", mapping={"deal": deal.name})
    undo = f"/operations/{operation}/undo" if operation else ""
    if not request.headers.get("HX-Request"):
        request.toast(said, undo_href=undo)
        return HTTPSeeOther(f"{ROOT}/{way.id}")
    told = {"text": request.translate(said), "undo_href": undo}
    return Response(
        status=204, headers={"HX-Trigger": json.dumps({"crm:toast": told, "crm:board": {"ids": [deal.id]}})}
    )


def _column(request: Request) -> tuple[board.Way, Any]:
    way = way_of(request, board.ways(request.gate))
    stage = next((one for one in way.stages if one.stage_id == number(request.matchdict["stage"])), None)
    if stage is None or stage.kind != OPEN:
        raise HTTPNotFound
    return way, stage


def _quick_names(request: Request, stage: Any) -> list[str]:
    from crm_deals.models import Stage

    wanted = request.gate.select("deals.stage", Stage.required_fields).where(Stage.id == stage.stage_id)
    needed = request.db.scalar(wanted)
    known = entry_fields(request.gate)
    return [*QUICK, *(name for name in needed or () if name in known and name not in QUICK)]


def _quick(
    request: Request, way: board.Way, stage: Any, errors: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    known = entry_fields(request.gate)
    posted = request.POST if request.method == "POST" else {}
    errors = errors or {}
    names = _quick_names(request, stage)
    fields = [
        field(
            request, known[name], str(posted.get(name, "")), errors.get(name, ""), id=f"q{stage.stage_id}-{name}",
            required=name not in QUICK, autofocus=name == "name", help="",
        )
        for name in names
        if name in known
    ]  # fmt: skip
    return form_page(
        request,
        id=f"quick-{stage.stage_id}",
        title=_("A deal in “${stage}”", mapping={"stage": stage.stage}),
        action=f"{ROOT}/{way.id}/new/{stage.stage_id}",
        submit=DEALS.add_title,
        fields=fields,
        cancel=f"{ROOT}/{way.id}",
        errors=errors,
    )
