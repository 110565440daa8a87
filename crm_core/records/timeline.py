"""The timeline of a record: everything that hangs on it, of every plugin, newest first.

An entity stands in it by saying `parent="subject"` (the prefix of a `RecordRef`) and `timeline=True`; how it reads is
its `entry`. One short statement for each such entity, merged here; a page begins where the last one ended.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from crm_core.db import RecordRef
from crm_core.records.gate import Gate
from crm_core.specs import Entity, TimelineEntry

PAGE = 30


@dataclass(frozen=True)
class Moment:
    """One record in a timeline: the row itself, when it was, how it reads."""

    entity: Entity
    record: Any
    at: dt.datetime
    entry: TimelineEntry
    ref: RecordRef
    """What it hangs on: in the timeline of several records it tells which."""


@dataclass(frozen=True)
class Moments:
    """A part of a timeline and where the next part begins; empty: nowhere."""

    items: tuple[Moment, ...]
    next: str = ""


def entities(gate: Gate) -> list[Entity]:
    """Return the entities that stand in timelines and may be read."""
    return [
        one
        for one in gate.plugins.entities.values()
        if one.timeline and hung_by(one) and (one.parent or one.moment) and gate.may(one, "view")
    ]


def hung_by(entity: Entity) -> str:
    """Return the prefix of the `RecordRef` by which records of an entity hang on others; empty where they do not."""
    return entity.hangs or ("" if "=" in entity.parent else entity.parent)


def page(
    gate: Gate,
    refs: RecordRef | Sequence[RecordRef],
    *,
    kinds: Iterable[str] = (),
    after: str = "",
    limit: int = PAGE,
) -> Moments:
    """Return what hangs on one record, or on several, that the subject may see, newest first.

    A record's entity may say whose timelines stand in its own (`Entity.together`); what hangs on those is shown by the
    same rules.
    `kinds` narrows it to entities by name, or to values of an entity's `kind`: `clients.interaction:call`.
    """
    wanted = _together(gate, [refs] if isinstance(refs, RecordRef) else list(refs))
    if not wanted:
        return Moments(())
    narrowed: dict[str, set[str]] = {}
    for one in kinds:
        name, _colon, kind = one.partition(":")
        narrowed.setdefault(name, set()).update({kind} if kind else ())
    place = _read(after)
    found: list[Moment] = []
    for entity in entities(gate):
        if not narrowed or entity.name in narrowed:
            found.extend(_of(gate, entity, wanted, narrowed.get(entity.name, set()), place, limit))
    found.sort(key=lambda moment: (-moment.at.timestamp(), moment.entity.name, -moment.record.id))
    shown = tuple(found[:limit])
    return Moments(shown, _write(shown[-1]) if len(found) > limit else "")


def _together(gate: Gate, refs: Sequence[RecordRef]) -> list[RecordRef]:
    found = dict.fromkeys(refs)
    for ref in refs:
        entity = gate.plugins.entities.get(ref.entity)
        if entity is not None and entity.together is not None:
            found.update(dict.fromkeys(entity.together(gate.session, ref.id)))
    return list(found)


def _of(
    gate: Gate, entity: Entity, refs: Sequence[RecordRef], kinds: set[str], place: tuple[Any, ...] | None, limit: int
) -> list[Moment]:
    model: Any = entity.model
    at = instant(entity)
    prefix = hung_by(entity)
    names, numbers = getattr(model, f"{prefix}_entity"), getattr(model, f"{prefix}_id")
    by_entity: dict[str, list[int]] = {}
    for ref in refs:
        by_entity.setdefault(ref.entity, []).append(ref.id)
    hangs = sa.or_(*(sa.and_(names == name, numbers.in_(ids)) for name, ids in by_entity.items()))
    statement = sa.select(model).where(hangs, gate.criterion(entity)).order_by(at.desc(), model.id.desc())
    if entity.moment:
        statement = statement.where(at.is_not(None))
    if kinds and hasattr(model, "kind"):
        statement = statement.where(model.kind.in_(kinds))
    if place is not None:
        statement = statement.where(_beyond(entity, at, model.id, place))
    return [
        Moment(
            entity,
            record,
            getattr(record, at.key),
            entity.entry(record) if entity.entry else TimelineEntry(title=_label(entity, record), icon=entity.icon),
            RecordRef(getattr(record, names.key), getattr(record, numbers.key)),
        )
        for record in gate.session.scalars(statement.limit(limit + 1))
    ]


def instant(entity: Entity) -> Any:
    """Return the column that says when a record was: its moment, or what it is ordered by where that is an instant."""
    if entity.moment:
        return getattr(entity.model, entity.moment)
    column = getattr(entity.model, entity.sort)
    return column if isinstance(column.type, sa.DateTime) else entity.model.created_at  # type: ignore[attr-defined]


def _beyond(entity: Entity, at: Any, number: Any, place: tuple[Any, ...]) -> ColumnElement[bool]:
    instant, name, last = place
    if entity.name < name:
        return at < instant
    if entity.name > name:
        return at <= instant
    return sa.tuple_(at, number) < sa.tuple_(
        sa.literal(instant, sa.DateTime(timezone=True)), sa.literal(last, sa.BigInteger())
    )


def _label(entity: Entity, record: Any) -> str:
    return str(getattr(record, entity.label) or entity.title)


def place_of(moment: Moment) -> str:
    """Return where the timeline goes on after a moment: for whoever shows fewer than a page."""
    return _write(moment)


def _write(last: Moment) -> str:
    text = json.dumps([last.at.isoformat(), last.entity.name, last.record.id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(text: str) -> tuple[dt.datetime, str, int] | None:
    if not text:
        return None
    try:
        at, name, number = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return dt.datetime.fromisoformat(at), str(name), int(number)
    except (ValueError, TypeError):
        return None
