"""The fields of entities as the core reads them: those of the schema, and those made in the browser."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy.orm import Session

from crm_core.db import Fixed
from crm_core.forms import FieldInfo, fields_of
from crm_core.security.subject import Subject
from crm_core.specs import Entity

#: Where a request or job keeps the custom fields it has read.
_CACHE = "crm.custom_fields"


#: Written as text, since every page asks it and it is always the same.
_CUSTOM = Fixed(
    "SELECT entity, key, title, kind, required, help, section, options, indexed FROM core_field "
    "WHERE deleted_at IS NULL ORDER BY entity, position, id"
)


@lru_cache(maxsize=256)
def schema_fields(schema: type) -> dict[str, FieldInfo]:
    """Return the fields of a schema class; computed once, for classes do not change."""
    return fields_of(schema)


def custom_fields(session: Session, entity: Entity) -> dict[str, FieldInfo]:
    """Return the entity's fields made in the browser, by key; one statement for all entities of a session."""
    if _CACHE not in session.info:
        rows = _CUSTOM.ask(session)
        known: dict[str, dict[str, FieldInfo]] = {}
        for row in rows:
            known.setdefault(row.entity, {})[row.key] = FieldInfo(
                name=row.key,
                title=row.title,
                kind=row.kind,
                required=row.required,
                help=row.help,
                section=row.section,
                choices=tuple((value, title) for value, title in row.options.get("choices", ())),
                sorted=row.indexed,
                on_create=row.required,
                custom=True,
                roles=tuple(row.options.get("roles", ())),
            )
        session.info[_CACHE] = known
    found: dict[str, FieldInfo] = session.info[_CACHE].get(entity.name, {})
    return found


def all_fields(session: Session, entity: Entity, subject: Subject | None = None) -> dict[str, FieldInfo]:
    """Return the fields a subject may know of (all of them without one), in the order of forms."""
    result = dict(schema_fields(entity.schema))
    result.update(custom_fields(session, entity))
    if subject is None or subject.is_system:
        return result
    open_sensitive = subject.may(f"{entity.permission_prefix}:sensitive")
    return {
        name: info
        for name, info in result.items()
        if (not info.sensitive or open_sensitive) and (not info.roles or subject.roles & set(info.roles))
    }


def searched_fields(entity: Entity) -> list[FieldInfo]:
    """Return the fields whose text is found by search."""
    return [info for info in schema_fields(entity.schema).values() if info.searched]


def values_of(record: Any, fields: Iterable[FieldInfo]) -> dict[str, Any]:
    """Return the values of the fields of a record or row, by name."""
    return {info.name: info.value(record) for info in fields}
