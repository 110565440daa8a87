"""Search: what records are found by, how typed words are understood, and the answer of Ctrl-K.

Words are found in any order and in any part; `ё` equals `е`; a word typed in the wrong keyboard layout is also tried in
the right one; telephone numbers are found by any run of their digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from crm_core import notify
from crm_core.forms import MULTI
from crm_core.models.records import SearchText
from crm_core.records import cleaning
from crm_core.records.fields import searched_fields
from crm_core.specs import Entity

if TYPE_CHECKING:
    from crm_core.records.gate import Branch, Gate

MAX_WORDS = 6
#: Trigrams need three characters; shorter words are looked for at the beginning of the sort key.
SHORT = 3
#: Rows that a search for frequent text looks through before it gathers all that match.
WALK = 5_000
#: From so many matches on, records shared with somebody are looked up one by one.
MANY_MATCHES = 2_000
#: Under so many records no way of searching is slow.
SMALL = 20_000
#: The part of all records above which a text counts as frequent.
FREQUENT = 0.02


@dataclass(frozen=True)
class Found:
    """One record found: enough to show it and to go there."""

    entity: str
    id: int
    label: str
    hint: str
    url: str


def search_text(entity: Entity, row: Mapping[str, Any]) -> str:
    """Return what the record is found by, from a full row of its values; pure, so that imports can call it."""
    parts: list[str] = [str(row.get(entity.label) or "")]
    for info in searched_fields(entity):
        value = row.get(info.name)
        if not value or info.name == entity.label:
            continue
        if info.kind == "phones":
            parts.extend(_digits(entry["value"]) for entry in value)
        elif info.kind in MULTI:
            parts.extend(entry["value"] for entry in value)
        else:
            parts.append(notify.plain(value) if info.mentions else str(value))
    return cleaning.sort_key(" ".join(parts))[:4000]


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def words(text: str) -> list[str]:
    """Return the words of a typed search, normalised; digits with telephone punctuation make one word."""
    text = cleaning.sort_key(text.replace("\x00", ""))
    phone = _digits(text)
    if len(phone) >= SHORT and re.fullmatch(r"[\d\s()+\-.]+", text):
        return [_as_stored(phone)]
    return [word for word in re.split(r"[\s,;]+", text) if word][:MAX_WORDS]


def _as_stored(digits: str) -> str:
    # Numbers are kept as +7...; a person types 8 for it.
    if len(digits) == 11 and digits.startswith("8"):
        return "7" + digits[1:]
    return digits


def variants(text: str) -> list[list[str]]:
    """Return the readings of a typed search: as it is and, when that differs, in the other keyboard layout."""
    plain = words(text)
    other = words(cleaning.switch_layout(text))
    readable = bool(re.search(r"[^\W\d_]", text))
    return [plain, other] if readable and other != plain else [plain]


def match_criterion(
    gate: Gate, entity: Entity, text: str, owner: tuple[str, Sequence[int]] | None = None
) -> ColumnElement[bool]:
    """Return the criterion "the record is found by this text"; `owner` narrows it to a branch of the gate."""
    model: Any = entity.model
    readings = variants(text)
    if not any(readings):
        return sa.true()
    if not is_long(text):
        # Too short for trigrams: the beginning of the name, by the index of the default order.
        short = [getattr(model, entity.sort).startswith(" ".join(reading), autoescape=True) for reading in readings]
        return sa.or_(*short)
    found = sa.select(SearchText.record_id).where(SearchText.entity == entity.name, matches(text))
    if owner is not None:
        found = found.where(_is_one_of(getattr(SearchText, owner[0]), owner[1]))
    inside: ColumnElement[bool] = model.id.in_(found)
    return inside


def is_long(text: str) -> bool:
    """Tell whether a text has a word long enough for trigrams."""
    return any(len(word) >= SHORT for reading in variants(text) for word in reading)


def matches(text: str, column: Any = SearchText.text) -> ColumnElement[bool]:
    """Return the criterion on `core_search` for all readings at once: as an OR of joins none could use the index."""
    return sa.or_(
        *(
            sa.and_(*(column.contains(word, autoescape=True) for word in reading))
            for reading in variants(text)
            if reading
        )
    )


def is_frequent(session: Session, text: str) -> bool:
    """Tell by the planner's statistics whether more than a fiftieth of all records have the text."""
    rows, total = _expected(session, text)
    return total >= SMALL and rows > total * FREQUENT


def _expected(session: Session, text: str) -> tuple[float, float]:
    """Return how many records the planner thinks have the text, and how many there are; asked once for a page."""
    if not is_long(text):
        return 0, 0
    known: dict[str, tuple[float, float]] = session.info.setdefault("crm.search.expected", {})
    if text not in known:
        connection = session.connection()
        total = session.scalar(sa.text("SELECT reltuples FROM pg_class WHERE oid = 'core_search'::regclass")) or 0
        if total < SMALL:
            # Any way is fast here, and statistics of a small table tell little.
            return 0, total
        compiled = sa.select(SearchText.record_id).where(matches(text)).compile(connection.engine)
        plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {compiled}", compiled.params).scalar_one()
        known[text] = (plan[0]["Plan"]["Plan Rows"], total)
    return known[text]


def _is_one_of(column: Any, values: Sequence[int]) -> ColumnElement[bool]:
    only: ColumnElement[bool] = column == values[0] if len(values) == 1 else column.in_(values)
    return only


def owner_of(gate: Gate, branch: str) -> tuple[str, Sequence[int]] | None:
    """Return the column of `core_search` that a branch of the gate narrows, with its values."""
    if branch == "own" and gate.subject.user_id is not None:
        return "owner_id", [gate.subject.user_id]
    if branch == "team":
        return "team_id", sorted(gate.subject.team_ids)
    return None


def index_matches(gate: Gate, entity: Entity, branch: Branch, text: str) -> sa.Select[Any]:
    """Return a select of (record id, sort key) of what a branch of the gate reaches and the text finds.

    It asks `core_search` alone, which holds who owns each record; records in the trash are not there.
    """
    columns = SearchText.record_id.label("id"), SearchText.sort.label("sort_value")
    if branch.ids is not None and _expected(gate.session, text)[0] > MANY_MATCHES:
        # Few are shared, many match: look up those that are shared, then read their text, never the other way.
        inside = (
            sa.select(SearchText.record_id, SearchText.sort, SearchText.text)
            .where(SearchText.entity == entity.name, SearchText.record_id.in_(branch.ids))
            .offset(0)
            .subquery("shared")
        )
        text_of = matches(text, inside.c.text)
        return sa.select(inside.c.record_id.label("id"), inside.c.sort.label("sort_value")).where(text_of)
    statement: Any = sa.select(*columns).where(SearchText.entity == entity.name, matches(text))
    owner = owner_of(gate, branch.kind)
    if owner is not None:
        return statement.where(_is_one_of(getattr(SearchText, owner[0]), owner[1]))
    if branch.kind == "all":
        return statement
    if branch.ids is not None:
        return statement.where(SearchText.record_id.in_(branch.ids))
    model: Any = entity.model
    return statement.where(SearchText.record_id.in_(sa.select(model.id).where(gate.alive(entity), branch.criterion)))


def _first_matches(gate: Gate, entity: Entity, branch: Branch, text: str) -> sa.Select[Any]:
    """Return a select of what the text finds among the first rows of a branch: enough of it where very many match."""
    if branch.ids is not None:
        return index_matches(gate, entity, branch, text)
    model: Any = entity.model
    rows = sa.select(model.id, getattr(model, entity.sort).label("sort_value"))
    ahead = rows.where(gate.alive(entity), branch.criterion).limit(WALK).subquery()
    inside = sa.exists().where(SearchText.entity == entity.name, SearchText.record_id == ahead.c.id, matches(text))
    return sa.select(ahead.c.id, ahead.c.sort_value).where(inside.is_(sa.true()))


def find(gate: Gate, text: str, *, entities: Iterable[str] = (), limit: int = 8) -> list[Found]:
    """Return records of all entities (or of those named) found by the text, best first, `limit` of each entity.

    One statement for each entity that the subject may see: nothing of what he may not see is looked at.
    """
    if not any(variants(text)):
        return []
    wanted = set(entities)
    result: list[Found] = []
    for entity in gate.plugins.entities.values():
        if (wanted and entity.name not in wanted) or not (entity.searchable or wanted):
            continue
        if gate.may(entity, "view"):
            result.extend(_find_in(gate, entity, text, limit))
    return result


def _find_in(gate: Gate, entity: Entity, text: str, limit: int) -> list[Found]:
    model: Any = entity.model
    label = getattr(model, entity.label)
    hints = [getattr(model, name) for name in entity.hint]
    branches = gate.branches(entity)
    if not branches:
        return []
    alive = gate.alive(entity)
    if is_long(text):
        parts: list[Any] = [index_matches(gate, entity, branch, text).limit(limit * 3) for branch in branches]
        if is_frequent(gate.session, text):
            first = [_first_matches(gate, entity, branch, text).limit(limit * 3) for branch in branches]
            found = sa.union(*(sa.select(one.subquery()) for one in first)).subquery()
            ids = gate.session.scalars(sa.select(found.c[0])).all()
            if len(ids) >= limit:
                parts = [sa.select(model.id, getattr(model, entity.sort)).where(alive, model.id.in_(ids))]
    else:
        short = match_criterion(gate, entity, text)
        parts = [
            sa.select(model.id, getattr(model, entity.sort)).where(alive, branch.criterion, short).limit(limit * 3)
            for branch in branches
        ]
    found = sa.union(*(sa.select(one.subquery()) for one in parts)).subquery()
    statement = sa.select(model.id, label.label("label"), *hints).where(model.id.in_(sa.select(found.c[0])), alive)
    rows = gate.session.execute(statement).all()
    typed = " ".join(variants(text)[0])
    ranked = sorted(rows, key=lambda row: (_rank(typed, cleaning.sort_key(str(row[1] or ""))), str(row[1] or "")))
    return [
        Found(
            entity.name,
            row[0],
            str(row[1] or ""),
            " · ".join(_hint(value) for value in row[2:] if value),
            f"{entity.url}/{row[0]}",
        )
        for row in ranked[:limit]
    ]


def _rank(typed: str, label: str) -> int:
    if label.startswith(typed):
        return 0
    return 1 if typed in label else 2


def _hint(value: Any) -> str:
    if isinstance(value, list):
        return str(value[0].get("value", "")) if value and isinstance(value[0], dict) else ""
    return str(value)
