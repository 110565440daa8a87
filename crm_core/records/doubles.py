"""Probable doubles of a record while it is typed, by the rules its entity declares.

Candidates are looked for among all records, for a double of a client one may not see is a double all the same; what is
told of such a one is that it exists and who is responsible, and only where a phone, an address or a number is equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from rapidfuzz import fuzz

from crm_core.db import UNGATED
from crm_core.forms import MULTI
from crm_core.models.records import Address, SearchText
from crm_core.records import cleaning
from crm_core.records.fields import schema_fields
from crm_core.records.gate import Gate, user_names
from crm_core.specs import DoubleRule, Entity

#: Names at least so alike, of 100, are worth a look; equal ones count in full.
ALIKE = 84
#: Names of this many candidates are compared.
CANDIDATES = 200
_ANYBODY = {UNGATED: "a double must be noticed also among records one may not see"}


@dataclass(frozen=True)
class Double:
    """A record that is probably the same; of one that may not be seen the label is empty."""

    entity: str
    id: int | None
    label: str
    hint: str
    url: str
    likelihood: int
    reasons: tuple[str, ...]
    visible: bool
    responsible: str = ""


@dataclass
class _Candidate:
    id: int
    weight: int = 0
    reasons: tuple[str, ...] = ()
    strong: bool = False

    def add(self, rule: DoubleRule, share: float = 1.0) -> None:
        if rule.title not in self.reasons:
            self.weight += round(rule.weight * share)
            self.reasons = (*self.reasons, rule.title)
            self.strong = self.strong or rule.kind != "name"


def probable(
    gate: Gate, entity: Entity, values: Mapping[str, Any], *, exclude: int | None = None, limit: int = 5
) -> list[Double]:
    """Return the likeliest doubles of what is typed, best first; `values` are raw, by field.

    Phones and addresses may be texts or lists of entries; what cannot be understood yet is passed over.
    """
    found: dict[int, _Candidate] = {}
    _by_address(gate, entity, values, found)
    for rule in entity.doubles:
        if rule.kind == "field":
            _by_field(gate, entity, rule, values.get(rule.field), found)
        elif rule.kind == "name":
            _by_name(gate, entity, rule, values, found)
    found.pop(exclude or 0, None)
    best = sorted(found.values(), key=lambda one: (-one.weight, one.id))[: limit * 4]
    return _shown(gate, entity, best)[:limit]


def _texts(value: Any) -> list[str]:
    if not value:
        return []
    if isinstance(value, str):
        return [value]
    return [str(entry.get("value") or "") if isinstance(entry, Mapping) else str(entry) for entry in value]


def _by_address(gate: Gate, entity: Entity, values: Mapping[str, Any], found: dict[int, _Candidate]) -> None:
    wanted: dict[tuple[str, str], DoubleRule] = {}
    for rule in entity.doubles:
        if rule.kind not in ("phone", "email"):
            continue
        for text in _texts(values.get(rule.field)):
            if rule.kind == "phone":
                wanted.update({("phone", c.value.number): rule for c in cleaning.clean_phones(text) if c.value})
            else:
                wanted.update({("email", c.value): rule for c in cleaning.clean_emails(text) if c.value})
    if not wanted:
        return
    rows = gate.session.execute(
        sa.select(Address.record_id, Address.kind, Address.value)
        .where(Address.entity == entity.name, sa.tuple_(Address.kind, Address.value).in_(list(wanted)))
        .limit(CANDIDATES)
    )
    for number, kind, value in rows:
        found.setdefault(number, _Candidate(number)).add(wanted[kind, value])


def _by_field(gate: Gate, entity: Entity, rule: DoubleRule, value: Any, found: dict[int, _Candidate]) -> None:
    info = schema_fields(entity.schema)[rule.field]
    text = value.strip() if isinstance(value, str) else ""
    if info.clean is not None and text:
        text = str(info.clean(text).value or "")
    if not text:
        return
    model: Any = entity.model
    rows = gate.session.scalars(
        sa.select(model.id).where(getattr(model, rule.field) == text, model.deleted_at.is_(None)).limit(CANDIDATES),
        execution_options=_ANYBODY,
    )
    for number in rows:
        found.setdefault(number, _Candidate(number)).add(rule)


def _by_name(
    gate: Gate, entity: Entity, rule: DoubleRule, values: Mapping[str, Any], found: dict[int, _Candidate]
) -> None:
    model: Any = entity.model
    fields = schema_fields(entity.schema)
    whole = {
        name: value
        for name, value in values.items()
        if isinstance(value, str) and name in fields and fields[name].kind not in MULTI
    }
    derived = entity.prepare(whole) if entity.prepare is not None else {}
    typed = str(derived.get(entity.sort) or cleaning.sort_key(str(values.get(rule.field) or "")))
    words = [word for word in typed.split() if len(word) >= 3 and not any(char.isdigit() for char in word)]
    # One word of a person's name is shared by thousands.
    if not words or (entity.person and len(words) < 2):
        return
    pieces = [word[: max(3, len(word) - 2)] for word in words]
    # Through the trigram index: begun words in any order, so that another ending is no other name.
    names = sa.select(SearchText.record_id).where(
        SearchText.entity == entity.name, *(SearchText.text.contains(piece, autoescape=True) for piece in pieces)
    )
    key = getattr(model, entity.sort)
    # Two short queries and not one with OR, which would read the whole table.
    parts = [
        sa.select(model.id, key).where(criterion, model.deleted_at.is_(None)).limit(CANDIDATES).subquery()
        for criterion in (key == typed, model.id.in_(names.limit(CANDIDATES)))
    ]
    rows = gate.session.execute(sa.union(*(sa.select(part) for part in parts)), execution_options=_ANYBODY)
    for number, name in rows:
        alike = 100.0 if name == typed else _alike(typed, name, entity.person)
        if alike >= ALIKE:
            found.setdefault(number, _Candidate(number)).add(rule, alike / 100)


def _alike(typed: str, name: str, person: bool) -> float:
    # One of two people is often known without the patronymic; a company with one word more is another company.
    if person and len(typed.split()) != len(name.split()):
        return fuzz.token_set_ratio(typed, name) * 0.9
    return fuzz.token_sort_ratio(typed, name)


def _shown(gate: Gate, entity: Entity, candidates: Sequence[_Candidate]) -> list[Double]:
    ids = [one.id for one in candidates]
    if not ids:
        return []
    model: Any = entity.model
    hints = [getattr(model, name) for name in entity.hint]
    seen = {
        row[0]: row
        for row in gate.session.execute(
            sa.select(model.id, getattr(model, entity.label), *hints).where(model.id.in_(ids), gate.criterion(entity))
        )
    }
    hidden = [one.id for one in candidates if one.id not in seen and one.strong]
    owners = _owners(gate, model, hidden)
    result = []
    for one in candidates:
        likelihood = min(one.weight, 100)
        if one.id in seen:
            row = seen[one.id]
            hint = " · ".join(_plain(value) for value in row[2:] if value)
            url = f"{entity.url}/{one.id}"
            result.append(Double(entity.name, one.id, str(row[1]), hint, url, likelihood, one.reasons, True))
        elif one.id in owners:
            result.append(Double(entity.name, None, "", "", "", likelihood, one.reasons, False, owners[one.id]))
    return result


def _owners(gate: Gate, model: Any, ids: Iterable[int]) -> dict[int, str]:
    wanted = list(ids)
    if not wanted:
        return {}
    rows = gate.session.execute(
        sa.select(model.id, model.owner_id).where(model.id.in_(wanted), model.deleted_at.is_(None)),
        execution_options=_ANYBODY,
    ).all()
    names = user_names(gate.session, [row[1] for row in rows])
    return {number: names.get(owner, "") for number, owner in rows}


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return str(value[0].get("value", "")) if value and isinstance(value[0], dict) else ""
    return str(value)
