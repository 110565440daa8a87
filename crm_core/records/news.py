"""Tells people what happens to records: who becomes responsible, who follows them, who is mentioned in their texts.

`crm_core.records.saving` calls it in the transaction that writes; only those are told who may see the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm.util import identity_key

from crm_core import clock, notify
from crm_core.db import UNGATED
from crm_core.i18n import TranslationString, _
from crm_core.models.accounts import ACTIVE
from crm_core.notify.kinds import ASSIGNED, FOLLOWED, MENTIONED, NOT_MENTIONED
from crm_core.records.fields import schema_fields
from crm_core.records.gate import Gate, user_names
from crm_core.security.subject import load_subjects
from crm_core.specs import Entity

#: Records of one event beyond which followers are told of so many, not of each.
MOST = 50

#: What followers are told of, by the fact.
_SAID = {
    "changed": _("“${name}”: changed by ${who}"),
    "assigned": _("“${name}”: somebody else is responsible now (${who})"),
    "restored": _("“${name}”: back from the trash (${who})"),
}
_ADDED = _("“${name}”: ${what} added by ${who}")


def assigned(gate: Gate, entity: Entity, ids: Sequence[int], owner_id: int | None) -> None:
    """Tell a person that he is responsible for records now; one word for all of them."""
    if not entity.tells_owner or owner_id is None or owner_id == gate.subject.user_id or not ids:
        return
    session = gate.session
    key = f"assigned:{entity.name}:{ids[0]}:{len(ids)}:{clock.now().timestamp():.3f}"
    if len(ids) == 1:
        notify.notify(
            session,
            owner_id,
            key=key,
            kind=ASSIGNED,
            title=_("You are responsible now: “${name}”"),
            values={"name": _names(gate, entity, ids).get(ids[0], "")},
            entity=entity.name,
            record_id=ids[0],
            href=f"{entity.url}/{ids[0]}",
        )
        return
    notify.notify(
        session,
        owner_id,
        key=key,
        kind=ASSIGNED,
        title=_("You are responsible now: ${what}, ${number}"),
        values={"what": entity.title_plural, "number": len(ids)},
        href=entity.url,
    )


def told(gate: Gate, entity: Entity, fact: str, ids: Sequence[int]) -> None:
    """Tell followers what happened to records they follow, or was added to them."""
    if fact == "created":
        if entity.parent and "=" not in entity.parent and len(ids) <= MOST:
            _added(gate, entity, ids)
        return
    if fact not in _SAID:
        return
    follows = notify.followed_by(gate.session, entity.name, ids)
    if follows:
        _tell(gate, entity, follows, _SAID[fact], {})


def _added(gate: Gate, entity: Entity, ids: Sequence[int]) -> None:
    model: Any = entity.model
    names, numbers = getattr(model, f"{entity.parent}_entity"), getattr(model, f"{entity.parent}_id")
    rows = gate.session.execute(
        sa.select(names, numbers).where(model.id.in_(ids), names.is_not(None)).distinct(),
        execution_options={UNGATED: "what was just written is told to those who may see what it hangs on"},
    ).all()
    # Whoever is mentioned hears that, and need not hear it twice.
    known = [gate.session.identity_map.get(identity_key(model, number)) for number in ids]
    told_already = {user for record in known if record is not None for user in mentioned_in(entity, record)}
    by_parent: dict[str, list[int]] = {}
    for name, number in rows:
        by_parent.setdefault(name, []).append(number)
    for name, parents in by_parent.items():
        parent = gate.plugins.entities.get(name)
        if parent is None:
            continue
        follows = {
            number: [user for user in users if user not in told_already]
            for number, users in notify.followed_by(gate.session, name, parents).items()
        }
        if follows:
            _tell(gate, parent, follows, _ADDED, {"what": entity.title}, also=(entity, "view"))


def _tell(
    gate: Gate,
    entity: Entity,
    follows: Mapping[int, list[int]],
    title: str,
    values: Mapping[str, Any],
    *,
    also: tuple[Entity, str] | None = None,
) -> None:
    session, actor = gate.session, gate.subject.user_id
    people = {user for users in follows.values() for user in users} - {actor}
    if not people:
        return
    names = _names(gate, entity, follows)
    who = gate.subject.name if actor is not None else _("the system")
    sees: dict[int, set[int]] = {}
    for theirs in _gates(gate, people):
        if also is None or theirs.may(*also):
            sees[theirs.subject.user_id or 0] = theirs.visible_ids(entity, follows)
    for record_id in sorted(follows):
        users = [one for one in follows[record_id] if one in people and record_id in sees.get(one, ())]
        notify.notify(
            session,
            users,
            key=f"followed:{entity.name}:{record_id}",
            kind=FOLLOWED,
            title=title,
            values={"name": names.get(record_id, ""), "who": who, **values},
            entity=entity.name,
            record_id=record_id,
            href=f"{entity.url}/{record_id}",
            gather=True,
        )


# -- mentions ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _fields(schema: type) -> tuple[str, ...]:
    return tuple(name for name, info in schema_fields(schema).items() if info.mentions)


def mentioned_in(entity: Entity, record: Any) -> set[int]:
    """Return whom the texts of a record mention."""
    found: set[int] = set()
    for name in _fields(entity.schema):
        found |= notify.mentioned(getattr(record, name))
    return found


def mentions(gate: Gate, entity: Entity, record: Any, before: Iterable[int] = ()) -> None:
    """Tell those who are newly mentioned, if they may see the record; its author hears of those who may not."""
    fresh = mentioned_in(entity, record) - set(before) - {gate.subject.user_id}
    if not fresh:
        return
    about, number = _about(gate, entity, record)
    gates = {theirs.subject.user_id: theirs for theirs in _gates(gate, fresh)}
    sees = {
        user
        for user, theirs in gates.items()
        if theirs.visible_ids(entity, [record.id]) and theirs.visible_ids(about, [number])
    }
    name = _names(gate, about, [number]).get(number, "")
    at = f"{clock.now().timestamp():.3f}"
    notify.notify(
        gate.session,
        [user for user in sees if user is not None],
        key=f"mention:{entity.name}:{record.id}:{at}",
        kind=MENTIONED,
        title=_("${who} mentions you: “${name}”"),
        values={"who": gate.subject.name, "name": name},
        entity=about.name,
        record_id=number,
        href=f"{about.url}/{number}",
        actor=gate.subject.user_id,
    )
    hidden = user_names(gate.session, sorted(fresh - sees))
    if hidden and gate.subject.user_id is not None:
        notify.notify(
            gate.session,
            gate.subject.user_id,
            key=f"mention.unseen:{entity.name}:{record.id}:{at}",
            kind=NOT_MENTIONED,
            title=_("Not told of your mention, for they may not see “${name}”: ${people}"),
            values={"name": name, "people": ", ".join(hidden.values())},
            entity=about.name,
            record_id=number,
            href=f"{about.url}/{number}",
        )


def _about(gate: Gate, entity: Entity, record: Any) -> tuple[Entity, int]:
    """Return the record that a text is about: what a note hangs on, else the record itself."""
    if entity.parent:
        if "=" in entity.parent:
            column, name = entity.parent.split("=")
            number = getattr(record, column)
        else:
            name, number = getattr(record, f"{entity.parent}_entity"), getattr(record, f"{entity.parent}_id")
        if number is not None and name in gate.plugins.entities:
            return gate.plugins.entities[name], number
    return entity, record.id


# -- who and what ------------------------------------------------------------------------------------------------------


def _gates(gate: Gate, users: Iterable[int]) -> list[Gate]:
    subjects = load_subjects(gate.session, sorted(users))
    return [Gate(gate.session, one, gate.plugins) for one in subjects if one.status == ACTIVE]


def _names(gate: Gate, entity: Entity, ids: Iterable[int]) -> dict[int, Any]:
    model: Any = entity.model
    statement = sa.select(model.id, getattr(model, entity.label)).where(model.id.in_(sorted(ids)))
    reason = "the name is told only to those who may see the record"
    rows = gate.session.execute(statement, execution_options={UNGATED: reason})
    titled: str | TranslationString = entity.title
    return {row[0]: str(row[1]) if row[1] else titled for row in rows}
