"""Lists: filters, order, search inside, keyset pages and counts of any entity, through the gate.

A `ListQuery` is what an address, a saved view or the API says; `page` answers it in one statement: per branch of the
gate a short ordered query with a limit, their union, and the columns that are shown.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.sql.elements import ColumnElement

from crm_core import clock
from crm_core.db import to_json
from crm_core.forms import MULTI, FieldInfo
from crm_core.i18n import _
from crm_core.models.log import Change
from crm_core.models.records import ImportRun, SearchText
from crm_core.records.fields import all_fields
from crm_core.records.gate import NEVER, Branch, Gate
from crm_core.records.searching import WALK, index_matches, is_frequent, is_long, match_criterion, matches, owner_of
from crm_core.specs import Entity, Filter

PAGE = 50
MAX_PAGE = 200
COUNT_TO = 10_000

#: Which questions may be asked of a field of each kind; the first is the usual one.
OPERATORS: dict[str, tuple[str, ...]] = {
    "text": ("has", "is", "not", "empty", "filled"),
    "inn": ("is", "has", "empty", "filled"),
    "longtext": ("has", "empty", "filled"),
    "number": ("between", "is", "empty", "filled"),
    "money": ("between", "is", "empty", "filled"),
    "date": ("between", "period", "empty", "filled"),
    "datetime": ("between", "period", "empty", "filled"),
    "choice": ("any", "none", "empty", "filled"),
    "choices": ("any", "none", "empty", "filled"),
    "bool": ("is",),
    "user": ("any", "none", "empty", "filled"),
    "team": ("any", "none", "empty", "filled"),
    "record": ("any", "empty", "filled"),
    "tags": ("any", "all", "none", "empty", "filled"),
    "phones": ("has", "empty", "filled"),
    "emails": ("has", "empty", "filled"),
    "messengers": ("has", "empty", "filled"),
}

#: Operators as words of a sentence: "Responsible: me", "Name contains Smith".
OPERATOR_TITLES: dict[str, str] = {
    "has": _("contains"),
    "is": _("is"),
    "not": _("is not"),
    "any": _("any of"),
    "all": _("all of"),
    "none": _("none of"),
    "between": _("from … to"),
    "period": _("in the period"),
    "empty": _("is empty"),
    "filled": _("is filled in"),
}

PERIODS: dict[str, str] = {
    "today": _("today"),
    "yesterday": _("yesterday"),
    "week": _("this week"),
    "month": _("this month"),
    "quarter": _("this quarter"),
    "year": _("this year"),
    "last7": _("last 7 days"),
    "last30": _("last 30 days"),
    "next7": _("next 7 days"),
    "next30": _("next 30 days"),
}


class QueryError(ValueError):
    """Tells what in a list's address cannot be understood; `message` is a message id with a mapping."""

    def __init__(self, message: str) -> None:
        super().__init__(str(message))
        self.message = message


@dataclass(frozen=True)
class Condition:
    """One filter: a field (or a filter of the entity), an operator, values as text."""

    field: str
    op: str
    values: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read `field:op:value,value`; commas and backslashes inside values are escaped by a backslash."""
        name, _sep, rest = text.partition(":")
        op, sep, tail = rest.partition(":")
        if not name or not op:
            raise QueryError(_("The filter “${text}” cannot be understood.", mapping={"text": text[:100]}))
        return cls(name, op, tuple(_split(tail)) if sep else ())

    def __str__(self) -> str:
        tail = ",".join(value.replace("\\", "\\\\").replace(",", "\\,") for value in self.values)
        return f"{self.field}:{self.op}:{tail}" if self.values else f"{self.field}:{self.op}"


def _split(text: str) -> list[str]:
    parts, current, escaped = [], "", False
    for char in text:
        if escaped:
            current, escaped = current + char, False
        elif char == "\\":
            escaped = True
        elif char == ",":
            parts.append(current)
            current = ""
        else:
            current += char
    parts.append(current)
    return parts


@dataclass(frozen=True)
class ListQuery:
    """What is asked of a list; equal to what its address says."""

    conditions: tuple[Condition, ...] = ()
    search: str = ""
    sort: str = ""
    descending: bool = False
    columns: tuple[str, ...] = ()
    after: str = ""
    before: str = ""
    limit: int = PAGE
    trash: bool = False

    @classmethod
    def parse(cls, params: Any) -> ListQuery:
        """Read a query string (a MultiDict): f, q, sort, cols, after, before, limit, trash."""
        sort = params.get("sort", "")
        limit = params.get("limit", "")
        return cls(
            conditions=tuple(Condition.parse(text) for text in params.getall("f") if text),
            search=params.get("q", "").strip()[:200],
            sort=sort.lstrip("-"),
            descending=sort.startswith("-"),
            columns=tuple(name for name in params.get("cols", "").split(",") if name),
            after=params.get("after", ""),
            before=params.get("before", ""),
            limit=min(int(limit), MAX_PAGE) if limit.isdecimal() and int(limit) else PAGE,
            trash=params.get("trash") == "1",
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ListQuery:
        """Read what `to_json` wrote: a saved view."""
        return cls(
            conditions=tuple(Condition.parse(text) for text in data.get("f", ())),
            search=data.get("q", ""),
            sort=data.get("sort", "").lstrip("-"),
            descending=data.get("sort", "").startswith("-"),
            columns=tuple(data.get("cols", ())),
        )

    def to_json(self) -> dict[str, Any]:
        """Return what makes the same list again, without the place in it."""
        data: dict[str, Any] = {}
        if self.conditions:
            data["f"] = [str(condition) for condition in self.conditions]
        if self.search:
            data["q"] = self.search
        if self.sort:
            data["sort"] = ("-" if self.descending else "") + self.sort
        if self.columns:
            data["cols"] = list(self.columns)
        return data

    def query_string(self, **changes: Any) -> str:
        """Return the query string of this list, changed so: the address to send to a colleague."""
        query = replace(self, **changes) if changes else self
        pairs: list[tuple[str, str]] = [("f", str(condition)) for condition in query.conditions]
        for key, value in (
            ("q", query.search),
            ("sort", ("-" if query.descending else "") + query.sort if query.sort else ""),
            ("cols", ",".join(query.columns)),
            ("after", query.after),
            ("before", query.before),
            ("trash", "1" if query.trash else ""),
        ):
            if value:
                pairs.append((key, value))
        return urlencode(pairs)


@dataclass(frozen=True)
class Page:
    """One page: rows with the columns as attributes, and the cursors of its neighbours."""

    rows: Sequence[Any]
    next: str = ""
    previous: str = ""


@dataclass(frozen=True)
class FilterContext:
    """What criteria of an entity's own filters may ask."""

    subject: Any
    now: dt.datetime
    today: dt.date


def _made_by_import(model: Any, value: str, _context: FilterContext) -> ColumnElement[bool]:
    number = int(value) if value.isdecimal() and len(value) < 19 else 0
    operation = sa.select(ImportRun.operation_id).where(ImportRun.id == number).scalar_subquery()
    return model.id.in_(
        sa.select(Change.record_id).where(
            Change.operation_id == operation,
            Change.entity == sa.select(ImportRun.entity).where(ImportRun.id == number).scalar_subquery(),
            Change.action == "insert",
        )
    )


#: Filters of every entity that are led to by links and stand in no menu.
_FOR_ALL = (
    Filter(
        name="import",
        title=_("Made by an import"),
        kind="text",
        criterion=_made_by_import,
        sentence=_("Made by import no. ${value}"),
    ),
)


@dataclass
class _Plan:
    entity: Entity
    model: Any
    fields: dict[str, FieldInfo]
    sort: FieldInfo | None
    order: Any
    descending: bool
    nullable: bool
    criteria: list[ColumnElement[bool]] = field(default_factory=list)


class Listing:
    """Answers list queries of one entity for one gate."""

    def __init__(self, gate: Gate, entity: Entity) -> None:
        self.gate = gate
        self.entity = entity
        self.model: Any = entity.model
        self.fields = all_fields(gate.session, entity, gate.subject)
        self.own_filters = {one.name: one for one in (*entity.filters, *_FOR_ALL)}

    def page(self, query: ListQuery, columns: Iterable[str] | None = None) -> Page:
        """Return the rows of a page in one statement; each has `id`, the label, `version` and the columns."""
        plan = self._plan(query)
        backwards = bool(query.before)
        cursor = _read_cursor(query.before or query.after)
        wanted = self.column_names(query) if columns is None else list(columns)
        if query.search and not query.trash and is_frequent(self.gate.session, query.search):
            page = self._walked(plan, query, cursor, backwards, wanted)
            if page is not None:
                return page
        if self._found_in_index(plan, query):
            inner = self._gathered(plan, query, cursor, backwards)
        else:
            inner = self._keyset(plan, query, cursor, backwards)
        return self._shown(plan, query, inner, cursor, backwards, wanted)

    def _shown(
        self,
        plan: _Plan,
        query: ListQuery,
        inner: Any,
        cursor: tuple[Any, int] | None,
        backwards: bool,
        wanted: list[str],
    ) -> Page:
        shown = self._columns(plan, wanted)
        alive = self.gate.alive(self.entity, trash=query.trash)
        ahead = plan.descending != backwards
        statement = (
            sa.select(*shown, inner.c.sort_value)
            .join_from(inner, self.model, self.model.id == inner.c.id)
            .where(alive)
            .order_by(*_order(inner.c.sort_value, inner.c.id, ahead, plan.nullable))
        )
        rows = list(self.gate.session.execute(statement))
        more = len(rows) > query.limit
        rows = rows[: query.limit]
        if backwards:
            rows.reverse()
        has_next, has_previous = (bool(cursor), more) if backwards else (more, bool(cursor))
        return Page(
            rows,
            next=_write_cursor(rows[-1].sort_value, rows[-1].id) if rows and has_next else "",
            previous=_write_cursor(rows[0].sort_value, rows[0].id) if rows and has_previous else "",
        )

    def count(self, query: ListQuery, limit: int = COUNT_TO) -> int:
        """Return how many records the query finds, at most `limit` + 1."""
        plan = self._plan(query)
        parts = [sa.select(self.model.id).where(*criteria).limit(limit + 1) for criteria in self._branches(plan, query)]
        if not parts:
            return 0
        union = parts[0].subquery() if len(parts) == 1 else sa.union(*(_limited(one) for one in parts)).subquery()
        found = self.gate.session.scalar(sa.select(sa.func.count()).select_from(union)) or 0
        return min(int(found), limit + 1)

    def ids(self, query: ListQuery, *, verb: str = "view", after_id: int = 0, limit: int | None = None) -> list[int]:
        """Return ids in their order, whatever the query's own: batches of bulk work and exports."""
        plan = self._plan(query)
        parts = [
            sa.select(self.model.id.label("id"))
            .where(*criteria, self.model.id > after_id)
            .order_by(self.model.id)
            .limit(limit)
            for criteria in self._branches(plan, query, verb)
        ]
        if not parts:
            return []
        union = sa.union(*(_limited(one) for one in parts)).subquery()
        return list(self.gate.session.scalars(sa.select(union.c.id).order_by(union.c.id).limit(limit)))

    def column_names(self, query: ListQuery) -> list[str]:
        """Return the columns to show: those asked for, else the entity's, that exist and may be seen."""
        names = query.columns or self.entity.columns or tuple(self.fields)[:6]
        return [name for name in names if name in self.fields and self.fields[name].listed]

    def rows(self, ids: Sequence[int], columns: Iterable[str], *, trash: bool = False) -> Sequence[Any]:
        """Return the rows of ids that a query of this gate gave, in order of id."""
        plan_columns = self._columns(None, list(columns))
        return list(
            self.gate.session.execute(
                sa.select(*plan_columns)
                .where(self.model.id.in_(list(ids)), self.gate.alive(self.entity, trash=trash))
                .order_by(self.model.id)
            )
        )

    def criteria(self, query: ListQuery, *, verb: str = "view", disjoint: bool = False) -> list[ColumnElement[bool]]:
        """Return what a query finds as one criterion per branch of the gate, for boards and sums asked past a page.

        Branches overlap: a page takes the first rows of each and drops what comes twice. `disjoint` ones do not, so
        that sums count every record once.
        """
        plan = self._plan(query)
        found: list[ColumnElement[bool]] = []
        before: list[ColumnElement[bool]] = []
        branches = self.gate.branches(self.entity, verb)
        for branch, criteria in zip(branches, self._branches(plan, query, verb), strict=True):
            others = [sa.or_(*before).is_not(sa.true())] if disjoint and before else []
            before.append(branch.criterion)
            found.append(sa.and_(*criteria, *others))
        return found or [sa.and_(self.gate.alive(self.entity, trash=query.trash), NEVER)]

    # -- search ----------------------------------------------------------------------------------------------------

    def _found_in_index(self, plan: _Plan, query: ListQuery) -> bool:
        """Tell whether `core_search` alone can answer: default order, nothing but the text asked."""
        text = isinstance(plan.order.type, sa.Text)
        return (
            bool(query.search)
            and is_long(query.search)
            and plan.sort is None
            and text
            and not (plan.criteria or query.trash)
        )

    def _gathered(self, plan: _Plan, query: ListQuery, cursor: tuple[Any, int] | None, backwards: bool) -> Any:
        """Gather what matches in the search index and order it there, without touching the records themselves."""
        ahead = plan.descending != backwards
        parts = [self._gathered_part(branch, query, cursor, ahead) for branch in self.gate.branches(self.entity)]
        return self._united(plan, query, parts, ahead)

    def _gathered_part(self, branch: Branch, query: ListQuery, cursor: tuple[Any, int] | None, ahead: bool) -> Any:
        found = index_matches(self.gate, self.entity, branch, query.search).subquery()
        statement = sa.select(found.c.id, found.c.sort_value)
        if cursor is not None:
            statement = statement.where(_beyond(found.c.sort_value, found.c.id, cursor, ahead, False))
        return statement.order_by(*_order(found.c.sort_value, found.c.id, ahead, False)).limit(query.limit + 1)

    def _walked(
        self, plan: _Plan, query: ListQuery, cursor: tuple[Any, int] | None, backwards: bool, wanted: list[str]
    ) -> Page | None:
        """Look through the first rows of the order for text that many have; None where that did not fill the page."""
        ahead = plan.descending != backwards
        parts = []
        in_index = self._found_in_index(plan, query)
        branches = self.gate.branches(self.entity)
        for branch, criteria in zip(branches, self._branches(plan, replace(query, search="")), strict=True):
            if in_index and branch.ids is not None:
                parts.append(self._gathered_part(branch, query, cursor, ahead))
                continue
            statement = sa.select(self.model.id.label("id"), plan.order.label("sort_value")).where(*criteria)
            if cursor is not None:
                statement = statement.where(_beyond(plan.order, self.model.id, cursor, ahead, plan.nullable))
            ordered = (
                statement.order_by(*_order(plan.order, self.model.id, ahead, plan.nullable)).limit(WALK).subquery()
            )
            found = sa.exists().where(
                SearchText.entity == self.entity.name, SearchText.record_id == ordered.c.id, matches(query.search)
            )
            # IS TRUE keeps the planner from making a join of it that gathers all.
            parts.append(
                sa.select(ordered.c.id, ordered.c.sort_value)
                .where(found.is_(sa.true()))
                .order_by(*_order(ordered.c.sort_value, ordered.c.id, ahead, plan.nullable))
                .limit(query.limit + 1)
            )
        if not parts:
            return None
        page = self._shown(plan, query, self._united(plan, query, parts, ahead), cursor, backwards, wanted)
        full = bool(page.previous if backwards else page.next)
        if full or self.count(replace(query, search="", after="", before=""), limit=WALK) < WALK:
            return page
        return None

    # -- how -------------------------------------------------------------------------------------------------------

    def _plan(self, query: ListQuery) -> _Plan:
        sort = None
        if query.sort and query.sort != self.entity.sort:
            sort = self.fields.get(query.sort)
            if sort is None or not (sort.sorted or sort.name in ("created_at", "id")):
                raise QueryError(_("The list cannot be sorted by “${field}”.", mapping={"field": query.sort}))
        if sort is None:
            order, nullable = getattr(self.model, self.entity.sort), False
            descending = query.descending if query.sort else self.entity.descending
        else:
            order = sort.column(self.model)
            nullable = bool(sort.custom or getattr(order.property.columns[0], "nullable", True))
            descending = query.descending
        plan = _Plan(self.entity, self.model, self.fields, sort, order, descending, nullable)
        plan.criteria = [self._criterion(condition) for condition in query.conditions]
        return plan

    def _branches(self, plan: _Plan, query: ListQuery, verb: str = "view") -> list[list[ColumnElement[bool]]]:
        alive = self.gate.alive(self.entity, trash=query.trash)
        result = []
        for branch in self.gate.branches(self.entity, verb):
            plain = not plan.criteria and not query.search
            criterion = branch.walk if plain and branch.walk is not None else branch.criterion
            criteria = [alive, criterion, *plan.criteria]
            if query.search:
                owner = owner_of(self.gate, branch.kind)
                criteria.append(match_criterion(self.gate, self.entity, query.search, owner))
            result.append(criteria)
        return result

    def _keyset(self, plan: _Plan, query: ListQuery, cursor: tuple[Any, int] | None, backwards: bool) -> Any:
        ahead = plan.descending != backwards
        order = plan.order
        parts = []
        for criteria in self._branches(plan, query):
            statement = sa.select(self.model.id.label("id"), order.label("sort_value")).where(*criteria)
            if cursor is not None:
                statement = statement.where(_beyond(order, self.model.id, cursor, ahead, plan.nullable))
            parts.append(statement.order_by(*_order(order, self.model.id, ahead, plan.nullable)).limit(query.limit + 1))
        return self._united(plan, query, parts, ahead)

    def _united(self, plan: _Plan, query: ListQuery, parts: list[Any], ahead: bool) -> Any:
        if not parts:
            return (
                sa.select(self.model.id.label("id"), plan.order.label("sort_value"))
                .where(self.gate.alive(self.entity, trash=query.trash), NEVER)
                .subquery("page")
            )
        if len(parts) == 1:
            return parts[0].subquery("page")
        # Branches overlap, but the first rows of their union are among the first of each, so little is compared.
        union = sa.union(*(_limited(one) for one in parts)).subquery("branches")
        return (
            sa.select(union.c.id, union.c.sort_value)
            .order_by(*_order(union.c.sort_value, union.c.id, ahead, plan.nullable))
            .limit(query.limit + 1)
            .subquery("page")
        )

    def _columns(self, plan: _Plan | None, names: list[str]) -> list[Any]:
        model = self.model
        shown: dict[str, Any] = {
            "id": model.id,
            "label": getattr(model, self.entity.label).label("label"),
            "version": model.version,
            "owner_id": model.owner_id,
            "deleted_at": model.deleted_at,
        }
        for name in names:
            info = self.fields[name]
            if info.custom:
                shown["extra"] = model.extra
            elif name not in shown:
                shown[name] = getattr(model, name)
        return list(shown.values())

    def _criterion(self, condition: Condition) -> ColumnElement[bool]:
        own = self.own_filters.get(condition.field)
        if own is not None:
            context = FilterContext(self.gate.subject, clock.now(), clock.today(self.gate.subject.zone))
            return own.criterion(self.model, _own_value(own.kind, condition), context)
        info = self.fields.get(condition.field)
        if info is None or not info.filtered:
            raise QueryError(_("The list cannot be filtered by “${field}”.", mapping={"field": condition.field}))
        if condition.op not in OPERATORS.get(info.kind, ()):
            raise QueryError(
                _("“${field}” cannot be asked so.", mapping={"field": f"{condition.field}:{condition.op}"})
            )
        return criterion(info, self.model, condition, self.gate.subject)


def _limited(statement: Any) -> Any:
    # An ordered, limited select inside a union needs parentheses, which a subquery gives.
    return sa.select(statement.subquery())


def _order(sort: Any, record_id: Any, descending: bool, nullable: bool) -> list[Any]:
    if descending:
        return [sort.desc().nulls_last() if nullable else sort.desc(), record_id.desc()]
    return [sort.asc().nulls_last() if nullable else sort.asc(), record_id.asc()]


def _beyond(sort: Any, record_id: Any, cursor: tuple[Any, int], descending: bool, nullable: bool) -> Any:
    value, number = cursor
    after_id = record_id < number if descending else record_id > number
    if value is None:
        return sa.and_(sort.is_(None), after_id)
    bound = (
        sa.cast(sa.literal(value), sort.type) if not isinstance(sort.type, sa.Text) else sa.literal(value, sort.type)
    )
    if not nullable:
        pair, place = sa.tuple_(sort, record_id), sa.tuple_(bound, sa.literal(number, sa.BigInteger()))
        return pair < place if descending else pair > place
    further = sort < bound if descending else sort > bound
    return sa.or_(further, sa.and_(sort == bound, after_id), sort.is_(None))


def cursor_at(value: Any, number: int) -> str:
    """Return the cursor of a record by the value it is sorted by, to ask what stands around it."""
    return _write_cursor(value, number)


def _write_cursor(value: Any, number: int) -> str:
    return base64.urlsafe_b64encode(to_json([value, number]).encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[Any, int] | None:
    if not text:
        return None
    try:
        value, number = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if isinstance(value, list | dict) or not isinstance(number, int):
            raise ValueError
    except (ValueError, TypeError):
        raise QueryError(_("This page of the list cannot be found; open the list again.")) from None
    return value, number


def like(text: str) -> str:
    """Return the text with the signs that LIKE would read as wildcards escaped."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def criterion(info: FieldInfo, model: Any, condition: Condition, subject: Any) -> ColumnElement[bool]:
    """Return the SQL of one condition on one field; QueryError where its values make no sense."""
    column = info.column(model)
    op, values = condition.op, condition.values
    if op in ("empty", "filled"):
        empty = _is_empty(info, column)
        return empty if op == "empty" else sa.not_(empty)
    if not values or not any(values):
        raise QueryError(_("Say what “${field}” should be.", mapping={"field": info.title}))
    if info.kind in MULTI:
        return sa.cast(column, sa.Text).ilike(f"%{like(_digits(values[0]) if info.kind == 'phones' else values[0])}%")
    if info.kind == "tags":
        ids = sa.cast(_numbers(info, values), pg.ARRAY(sa.BigInteger()))
        if op == "all":
            return column.contains(ids)
        overlap = column.overlap(ids)
        return sa.not_(overlap) if op == "none" else overlap
    if info.kind in ("user", "team", "record"):
        numbers = _numbers(info, [str(subject.user_id) if value == "me" else value for value in values])
        inside = column.in_(numbers)
        return sa.or_(sa.not_(inside), column.is_(None)) if op == "none" else inside
    if info.kind in ("choice", "choices"):
        inside = column.in_(list(values))
        return sa.or_(sa.not_(inside), column.is_(None)) if op == "none" else inside
    if info.kind == "bool":
        return sa.func.coalesce(column, sa.false()).is_(values[0] in ("1", "true", "yes"))
    if info.kind in ("number", "money"):
        return _between(column, [_decimal(info, value) for value in (*values, "")[:2]], op)
    if info.kind in ("date", "datetime"):
        return _in_dates(info, column, condition, subject)
    if op == "has":
        return column.ilike(f"%{like(values[0])}%")
    equal = sa.func.lower(column) == values[0].lower()
    return sa.or_(sa.not_(equal), column.is_(None)) if op == "not" else equal


def _is_empty(info: FieldInfo, column: Any) -> ColumnElement[bool]:
    if info.kind == "tags":
        return sa.func.cardinality(column) == 0
    if info.kind in MULTI:
        return sa.or_(column.is_(None), column == sa.cast(sa.literal("[]", sa.Text), pg.JSONB))
    if info.kind in ("text", "longtext", "inn", "choice"):
        return sa.or_(column.is_(None), column == "")
    return column.is_(None)


def _between(column: Any, bounds: Sequence[Any], op: str) -> ColumnElement[bool]:
    low, high = bounds
    if op == "is":
        return column == low
    parts = []
    if low is not None:
        parts.append(column >= low)
    if high is not None:
        parts.append(column <= high)
    return sa.and_(*parts) if parts else sa.true()


def _in_dates(info: FieldInfo, column: Any, condition: Condition, subject: Any) -> ColumnElement[bool]:
    today = clock.today(subject.zone)
    low: dt.date | None
    high: dt.date | None
    if condition.op == "period":
        low, high = period(condition.values[0], today)
    else:
        given = (*condition.values, "")
        low, high = _day(info, given[0]), _day(info, given[1])
    if info.kind == "date":
        if info.custom:
            return _between(column, [day and day.isoformat() for day in (low, high)], "between")
        return _between(column, (low, high), "between")
    start = None if low is None else clock.start_of_day(low, subject.zone)
    end = None if high is None else clock.start_of_day(high + dt.timedelta(days=1), subject.zone)
    parts = ([column >= start] if start else []) + ([column < end] if end else [])
    return sa.and_(*parts) if parts else sa.true()


def period(name: str, today: dt.date) -> tuple[dt.date, dt.date]:
    """Return the first and last day of a named period."""
    day = dt.timedelta(days=1)
    month = today.replace(day=1)
    quarter = dt.date(today.year, (today.month - 1) // 3 * 3 + 1, 1)
    if name == "today":
        return today, today
    if name == "yesterday":
        return today - day, today - day
    if name == "week":
        start = today - day * today.weekday()
        return start, start + day * 6
    if name == "month":
        return month, _next_month(month, 1) - day
    if name == "quarter":
        return quarter, _next_month(quarter, 3) - day
    if name == "year":
        return dt.date(today.year, 1, 1), dt.date(today.year, 12, 31)
    if name in ("last7", "last30"):
        return today - day * int(name[4:]), today
    if name in ("next7", "next30"):
        return today, today + day * int(name[4:])
    raise QueryError(_("There is no period “${name}”.", mapping={"name": name}))


def _next_month(first: dt.date, months: int) -> dt.date:
    index = first.year * 12 + first.month - 1 + months
    return dt.date(index // 12, index % 12 + 1, 1)


def _numbers(info: FieldInfo, values: Iterable[str]) -> list[int]:
    try:
        return [int(value) for value in values if value]
    except ValueError:
        raise QueryError(_("“${field}” is chosen from a list.", mapping={"field": info.title})) from None


def _decimal(info: FieldInfo, value: str) -> Decimal | None:
    if not value.strip():
        return None
    try:
        return Decimal(value.replace(" ", "").replace("\u00a0", "").replace(",", "."))
    except InvalidOperation:
        raise QueryError(_("“${field}” is a number.", mapping={"field": info.title})) from None


def _day(info: FieldInfo, value: str) -> dt.date | None:
    if not value.strip():
        return None
    for pattern in ("%Y-%m-%d", "%d.%m.%Y"):
        try:
            return dt.datetime.strptime(value.strip(), pattern).date()  # noqa: DTZ007  a date has no zone
        except ValueError:
            continue
    raise QueryError(_("“${field}” is a date.", mapping={"field": info.title}))


def _digits(text: str) -> str:
    digits = "".join(char for char in text if char.isdigit())
    if len(digits) == 11 and digits.startswith("8"):
        digits = "7" + digits[1:]
    return digits or text


def _own_value(kind: str, condition: Condition) -> Any:
    value = condition.values[0] if condition.values else ""
    if kind == "days":
        if not value.isdecimal() or len(value) > 5:
            raise QueryError(_("Say the number of days."))
        return int(value)
    if kind == "bool":
        return value in ("", "1", "true", "yes")
    return value if kind != "choice" else condition.values
