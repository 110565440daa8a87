"""Writes records: make, change, trash, bring back, assign, tag, share; one of them or thousands.

Every function takes the gate, so that what may not be written cannot be; values come checked by `forms.validate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from crm_core import clock, events
from crm_core.db import UNGATED
from crm_core.forms import FieldInfo, InvalidValues, validate
from crm_core.i18n import _
from crm_core.models.accounts import ACTIVE, User
from crm_core.models.records import Grant, Tag
from crm_core.records import index, news, operations
from crm_core.records.fields import all_fields, custom_fields, schema_fields
from crm_core.records.gate import Gate, principal_id
from crm_core.specs import Entity

#: Rows in one transaction of bulk work: a statement over all of them would make others wait for seconds.
BATCH = 2000


class NotAllowed(PermissionError):
    """Tells that the subject may not do this with this record; `message` is a message id."""

    def __init__(self, message: str) -> None:
        super().__init__(str(message))
        self.message = message


class Conflict(RuntimeError):
    """Tells that somebody saved the record first: `mine` and `theirs` by field, and the version there is now."""

    def __init__(self, record: Any, theirs: Mapping[str, Any], mine: Mapping[str, Any], by: int | None) -> None:
        super().__init__("the record was changed by somebody else meanwhile")
        self.record = record
        self.theirs = dict(theirs)
        self.mine = dict(mine)
        self.by = by


@dataclass(frozen=True)
class Outcome:
    """What bulk work did: ids changed, and ids left alone because the subject may not."""

    changed: tuple[int, ...]
    refused: int = 0


def check(
    gate: Gate, entity: Entity, values: Mapping[str, Any], *, only: Iterable[str] | None = None
) -> dict[str, Any]:
    """Check values as they come from a form or the API for this subject; raise `InvalidValues`.

    Fields that the subject may not know of are unknown to him here too, and links must lead to what he may see.
    """
    known = all_fields(gate.session, entity, gate.subject)
    hidden = schema_fields(entity.schema).keys() - known.keys()
    errors = {name: _("There is no such field.") for name in values if name in hidden}
    errors.update(
        {name: _("This cannot be changed by hand.") for name in values if name in known and known[name].readonly}
    )
    if errors:
        raise InvalidValues(errors, values)
    custom = {name: info for name, info in custom_fields(gate.session, entity).items() if name in known}
    wanted = only
    if wanted is None and hidden:
        wanted = [name for name, info in known.items() if not info.readonly]
    clean = validate(entity.schema, values, only=wanted, extra=custom, zone=clock.zone(gate.subject.zone))
    _check_links(gate, known, clean, values)
    return clean


def _check_links(
    gate: Gate, fields: Mapping[str, FieldInfo], clean: Mapping[str, Any], typed: Mapping[str, Any]
) -> None:
    errors: dict[str, str] = {}
    for name, value in clean.items():
        info = fields.get(name)
        if info is None or not value:
            continue
        if info.kind == "record" and (
            info.entity not in gate.plugins.entities or not gate.visible_ids(info.entity, [value])
        ):
            errors[name] = _("There is no such record, or you may not see it.")
        elif info.kind == "user":
            status = gate.session.scalar(sa.select(User.status).where(User.id == value))
            if status != ACTIVE:
                errors[name] = _("This person has no active account.")
        elif info.kind == "tags":
            known = set(gate.session.scalars(sa.select(Tag.id).where(Tag.id.in_(value))))
            if set(value) - known:
                errors[name] = _("There is no such tag.")
    if errors:
        raise InvalidValues(errors, typed)


def create(gate: Gate, entity: Entity, values: Mapping[str, Any], *, kind: str = "create") -> Any:
    """Make a record of checked values; its owner is the subject unless the values say otherwise."""
    session = gate.session
    if not gate.may(entity, "create"):
        raise NotAllowed(_("Your role may not create this."))
    values = dict(values)
    owner = values.pop("owner_id", None) or gate.subject.user_id
    if owner != gate.subject.user_id and not gate.may(entity, "assign"):
        raise NotAllowed(_("Your role may not make somebody else responsible."))
    _require_owner(gate, entity, owner)
    record = entity.model(owner_id=owner, team_id=team_of(session, owner), created_by=gate.subject.user_id)
    operations.describe(session, gate.subject, kind=kind, entity=entity.name)
    _assign(record, values)
    derive(entity, record)
    session.add(record)
    session.flush()
    operations.about(session, entity.name, record.id)
    index.refresh(session, entity, [index.row_of(record)], fresh=True)
    tell(gate, entity, "created", [record.id])
    news.assigned(gate, entity, [record.id], owner)
    news.mentions(gate, entity, record)
    return record


def change(gate: Gate, entity: Entity, record: Any, values: Mapping[str, Any], *, version: int | None = None) -> Any:
    """Change a record by checked values; `version` is the one its author saw.

    Raise `NotAllowed`, or `Conflict` when a field in `values` was changed by somebody since that version; changes of
    other fields do not get in one another's way.
    """
    session = gate.session
    if not gate.allows("edit", record, entity):
        raise NotAllowed(_("You may see this record but not change it."))
    values = dict(values)
    mentioned, responsible = news.mentioned_in(entity, record), record.owner_id
    if version is not None and version != record.version:
        _refuse_overwriting(gate, entity, record, values, version)
    owner = values.pop("owner_id", record.owner_id)
    if owner != record.owner_id:
        if not gate.allows("assign", record, entity):
            raise NotAllowed(_("Your role may not make somebody else responsible."))
        _require_owner(gate, entity, owner)
        record.owner_id, record.team_id = owner, team_of(session, owner)
    operations.describe(session, gate.subject, kind="edit", entity=entity.name, record_id=record.id)
    _assign(record, values)
    derive(entity, record)
    if not session.is_modified(record):
        return record
    try:
        session.flush()
    except StaleDataError:
        # Between our read and this write somebody else saved; the transaction is of no more use for writing.
        raise Conflict(record, {}, values, None) from None
    index.refresh(session, entity, [index.row_of(record)])
    tell(gate, entity, "changed", [record.id])
    if record.owner_id != responsible:
        news.assigned(gate, entity, [record.id], record.owner_id)
    news.mentions(gate, entity, record, mentioned)
    return record


def _require_owner(gate: Gate, entity: Entity, user_id: int | None) -> None:
    if user_id is None or entity.owners is None or gate.subject.is_system:
        return
    if not entity.owners(gate, user_id):
        raise InvalidValues({"owner_id": _("You may not make this person responsible.")})


def _refuse_overwriting(gate: Gate, entity: Entity, record: Any, values: dict[str, Any], version: int) -> None:
    from crm_core.records.history import changes_since  # history reads what this module writes

    changed, by = changes_since(gate.session, entity, record.id, version)
    extra = values.get("extra") or {}
    flat = {**{name: value for name, value in values.items() if name != "extra"}, **extra}
    fields = all_fields(gate.session, entity, gate.subject)
    clash = {}
    for name in changed:
        if name in flat and name in fields:
            present = fields[name].value(record)
            if present != flat[name]:
                clash[name] = present
    if clash:
        raise Conflict(record, clash, {name: flat[name] for name in clash}, by)


def _assign(record: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name == "extra":
            merged = {**(record.extra or {}), **value}
            record.extra = {key: one for key, one in merged.items() if one is not None}
        elif getattr(record, name) != value:
            setattr(record, name, value)


def derive(entity: Entity, record: Any) -> None:
    """Set the derived columns of a record from its values."""
    if entity.prepare is None:
        return
    for name, value in entity.prepare(index.row_of(record)).items():
        if getattr(record, name) != value:
            setattr(record, name, value)


def team_of(session: Session, user_id: int | None) -> int | None:
    """Return the department of a person, which his records belong to."""
    if user_id is None:
        return None
    return session.scalar(sa.select(User.team_id).where(User.id == user_id))


# -- many at once ------------------------------------------------------------------------------------------------------


def reach(gate: Gate, entity: Entity, ids: Iterable[int], verb: str, *, trash: bool = False) -> Outcome:
    """Return which of the ids the verb reaches."""
    wanted = set(ids)
    allowed = gate.visible_ids(entity, wanted, verb, trash=trash)
    return Outcome(tuple(sorted(allowed)), len(wanted) - len(allowed))


def trash(gate: Gate, entity: Entity, ids: Iterable[int]) -> Outcome:
    """Move records to the trash with what belongs to them; everything comes back by `restore` or undo."""
    outcome = reach(gate, entity, ids, "delete")
    if not outcome.changed:
        return outcome
    session = gate.session
    operations.describe(session, gate.subject, kind="delete", entity=entity.name, **_one(outcome.changed))
    operation = operations.ensure(session)
    now = clock.now()
    for batch in _batches(outcome.changed):
        _trash(gate, entity, batch, now, operation)
        index.drop(session, entity, batch)
        tell(gate, entity, "trashed", batch)
    return outcome


def _trash(gate: Gate, entity: Entity, ids: Sequence[int], now: Any, operation: int) -> None:
    for owned in _owned(gate, entity):
        table = owned.model.__table__  # type: ignore[attr-defined]
        gate.session.execute(
            sa.update(table)
            .where(_belongs(owned, table, entity, ids), table.c.deleted_at.is_(None))
            .values(deleted_at=now, deleted_op=operation),
            execution_options={UNGATED: "what belongs to a record goes with it"},
        )
    table = entity.model.__table__  # type: ignore[attr-defined]
    gate.session.execute(
        sa.update(table).where(table.c.id.in_(ids)).values(deleted_at=now, deleted_op=operation),
        execution_options={UNGATED: "the ids came through the gate"},
    )
    _expire(gate.session, entity)


def restore(gate: Gate, entity: Entity, ids: Iterable[int]) -> Outcome:
    """Bring records back from the trash, with what went there together with them."""
    outcome = reach(gate, entity, ids, "delete", trash=True)
    if not outcome.changed:
        return outcome
    session = gate.session
    operations.describe(session, gate.subject, kind="restore", entity=entity.name, **_one(outcome.changed))
    table = entity.model.__table__  # type: ignore[attr-defined]
    for batch in _batches(outcome.changed):
        trashed_by = sa.select(table.c.deleted_op).where(table.c.id.in_(batch))
        for owned in _owned(gate, entity):
            theirs = owned.model.__table__  # type: ignore[attr-defined]
            session.execute(
                sa.update(theirs)
                .where(_belongs(owned, theirs, entity, batch), theirs.c.deleted_op.in_(trashed_by))
                .values(deleted_at=None, deleted_op=None),
                execution_options={UNGATED: "what belongs to a record comes back with it"},
            )
        session.execute(
            sa.update(table).where(table.c.id.in_(batch)).values(deleted_at=None, deleted_op=None),
            execution_options={UNGATED: "the ids came through the gate"},
        )
        _expire(session, entity)
        index.refresh_ids(session, entity, batch)
        tell(gate, entity, "restored", batch)
    return outcome


def _owned(gate: Gate, entity: Entity) -> list[Entity]:
    names = {*entity.owns}
    return [
        one
        for one in gate.plugins.entities.values()
        if one.name in names
        or (one.name != entity.name and (one.hangs or (one.parent and "=" not in one.parent and one.timeline)))
    ]


def _belongs(owned: Entity, table: sa.FromClause, entity: Entity, ids: Sequence[int]) -> Any:
    if "=" in owned.parent:
        column, parent = owned.parent.split("=")
        return table.c[column].in_(ids) if parent == entity.name else sa.false()
    prefix = owned.hangs or owned.parent
    return sa.and_(table.c[f"{prefix}_entity"] == entity.name, table.c[f"{prefix}_id"].in_(ids))


def assign(gate: Gate, entity: Entity, ids: Iterable[int], owner_id: int) -> Outcome:
    """Make somebody responsible for records; they move to his department."""
    if gate.session.scalar(sa.select(User.status).where(User.id == owner_id)) != ACTIVE:
        raise InvalidValues({"owner_id": _("This person has no active account.")})
    _require_owner(gate, entity, owner_id)
    values = {"owner_id": owner_id, "team_id": team_of(gate.session, owner_id)}
    outcome = _update_many(gate, entity, ids, "assign", values, "assigned")
    news.assigned(gate, entity, outcome.changed, owner_id)
    return outcome


def tag(gate: Gate, entity: Entity, ids: Iterable[int], add: Iterable[int] = (), remove: Iterable[int] = ()) -> Outcome:
    """Put tags on records and take tags off."""
    table = entity.model.__table__  # type: ignore[attr-defined]
    array = table.c.tags.type
    added, removed = sa.cast(sorted(set(add)), array), sa.cast(sorted(set(remove)), array)
    kept = sa.select(sa.func.unnest(table.c.tags.op("||")(added)).label("tag")).correlate(table).subquery()
    merged = sa.select(sa.func.coalesce(sa.func.array_agg(sa.distinct(kept.c.tag)), sa.cast([], array))).where(
        kept.c.tag != sa.all_(removed) if remove else sa.true()
    )
    return _update_many(gate, entity, ids, "edit", {"tags": merged.scalar_subquery()}, "changed")


def set_values(gate: Gate, entity: Entity, ids: Iterable[int], values: Mapping[str, Any]) -> Outcome:
    """Set checked values of plain fields on many records."""
    plain = {name: value for name, value in values.items() if name not in ("extra", "owner_id")}
    if "owner_id" in values:
        return assign(gate, entity, ids, values["owner_id"])
    if values.get("extra"):
        table = entity.model.__table__  # type: ignore[attr-defined]
        plain["extra"] = table.c.extra.op("||")(sa.cast(values["extra"], table.c.extra.type))
    return _update_many(gate, entity, ids, "edit", plain, "changed", derive_again=True)


def _update_many(
    gate: Gate,
    entity: Entity,
    ids: Iterable[int],
    verb: str,
    values: Mapping[str, Any],
    fact: str,
    *,
    derive_again: bool = False,
) -> Outcome:
    outcome = reach(gate, entity, ids, verb)
    if not outcome.changed:
        return outcome
    session = gate.session
    operations.describe(
        session,
        gate.subject,
        kind="edit" if len(outcome.changed) == 1 else "bulk",
        entity=entity.name,
        **_one(outcome.changed),
    )
    operations.ensure(session)
    table = entity.model.__table__  # type: ignore[attr-defined]
    for batch in _batches(outcome.changed):
        session.execute(
            sa.update(table).where(table.c.id.in_(batch)).values(**values),
            execution_options={UNGATED: "the ids came through the gate"},
        )
        _expire(session, entity)
        if derive_again and entity.prepare is not None:
            rederive(session, entity, batch)
        index.refresh_ids(session, entity, batch)
        tell(gate, entity, fact, batch)
    return outcome


def rederive(session: Session, entity: Entity, ids: Sequence[int]) -> None:
    """Compute derived columns of records anew after a write past `change`, where they differ."""
    if entity.prepare is None:
        return
    table = entity.model.__table__  # type: ignore[attr-defined]
    rows = session.execute(
        sa.select(table).where(table.c.id.in_(ids)), execution_options={UNGATED: "derived columns follow the record"}
    )
    for row in rows:
        present = dict(row._mapping)
        derived = entity.prepare(present)
        if any(present[name] != value for name, value in derived.items()):
            session.execute(
                sa.update(table).where(table.c.id == present["id"]).values(**derived),
                execution_options={UNGATED: "derived columns follow the record"},
            )


def _expire(session: Session, entity: Entity) -> None:
    for one in session.identity_map.values():
        if isinstance(one, entity.model):
            session.expire(one)


def _batches(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))


def _one(ids: Sequence[int]) -> dict[str, Any]:
    return {"record_id": ids[0]} if len(ids) == 1 else {}


def tell(gate: Gate, entity: Entity, fact: str, ids: Sequence[int]) -> None:
    """Tell a fact that every entity has (`created`, `changed`, ...) about records."""
    name = f"{entity.name}.{fact}"
    events.fire_bulk(gate.session, name, ids, plugins=gate.plugins, subject=gate.subject, entity=entity.name)
    news.told(gate, entity, fact, ids)


# -- sharing -----------------------------------------------------------------------------------------------------------


def share(gate: Gate, entity: Entity, record: Any, kind: str, ref_id: int, level: str = "view") -> None:
    """Share a record with a person, department or role; sharing again changes the level."""
    if not gate.allows("assign", record, entity):
        raise NotAllowed(_("Your role may not share this record."))
    session = gate.session
    principal = principal_id(session, kind, ref_id)
    operations.describe(session, gate.subject, kind="share", entity=entity.name, record_id=record.id)
    found = session.scalar(
        sa.select(Grant).where(
            Grant.entity == entity.name, Grant.record_id == record.id, Grant.principal_id == principal
        )
    )
    if found is None:
        found = Grant(entity=entity.name, record_id=record.id, principal_id=principal, created_by=gate.subject.user_id)
        session.add(found)
    found.level = level
    session.flush()


def unshare(gate: Gate, entity: Entity, record: Any, grant_id: int) -> None:
    """Take a share back."""
    if not gate.allows("assign", record, entity):
        raise NotAllowed(_("Your role may not share this record."))
    found = gate.session.get(Grant, grant_id)
    if found is not None and (found.entity, found.record_id) == (entity.name, record.id):
        operations.describe(gate.session, gate.subject, kind="share", entity=entity.name, record_id=record.id)
        gate.session.delete(found)
        gate.session.flush()


# -- tags --------------------------------------------------------------------------------------------------------------


def tag_ids(session: Session, names: Iterable[str], *, make: bool = True) -> dict[str, int]:
    """Return tags by lower-case name, making those that are missing; one statement to read, one to write."""
    wanted = {name.strip()[:60].lower(): name.strip()[:60] for name in names if name and name.strip()}
    if not wanted:
        return {}
    lower = sa.func.lower(Tag.name)
    found = {row[1].lower(): row[0] for row in session.execute(sa.select(Tag.id, Tag.name).where(lower.in_(wanted)))}
    missing = [name for key, name in wanted.items() if key not in found]
    if missing and make:
        operations.ensure(session)
        from sqlalchemy.dialects.postgresql import insert

        session.execute(insert(Tag.__table__).values([{"name": name} for name in missing]).on_conflict_do_nothing())
        found = {
            row[1].lower(): row[0] for row in session.execute(sa.select(Tag.id, Tag.name).where(lower.in_(wanted)))
        }
    return found
