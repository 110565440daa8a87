"""Keeps what is derived from records in step with them: search text and addresses, for one record or for thousands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm_core.db import UNGATED
from crm_core.models.records import Address, SearchText
from crm_core.records.searching import search_text
from crm_core.specs import Entity

ADDRESS_KINDS = (("phones", "phone"), ("emails", "email"))


def row_of(record: Any) -> dict[str, Any]:
    """Return the columns of a mapped record by name."""
    return {column.key: getattr(record, column.key) for column in sa.inspect(type(record)).column_attrs}


def search_row(entity: Entity, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of `core_search` for a record's full row."""
    return {
        "entity": entity.name,
        "record_id": row["id"],
        "text": search_text(entity, row),
        "owner_id": row.get("owner_id"),
        "team_id": row.get("team_id"),
    }


def address_rows(entity: Entity, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of `core_address` for a record's full row."""
    result = []
    for attribute, kind in ADDRESS_KINDS:
        name = getattr(entity, attribute)
        for entry in (row.get(name) or ()) if name else ():
            result.append(
                {
                    "entity": entity.name,
                    "record_id": row["id"],
                    "kind": kind,
                    "value": entry["value"],
                    "main": bool(entry.get("main")),
                }
            )
    return result


def refresh(session: Session, entity: Entity, rows: Sequence[Mapping[str, Any]], *, fresh: bool = False) -> None:
    """Write search text and addresses of the rows anew; `fresh` says that the records have none yet."""
    if not rows:
        return
    ids = [row["id"] for row in rows]
    texts = [search_row(entity, row) for row in rows]
    addresses = [found for row in rows for found in address_rows(entity, row)]
    if fresh:
        session.execute(sa.insert(SearchText.__table__), texts)
    else:
        statement = insert(SearchText.__table__)
        table = SearchText.__table__
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["entity", "record_id"],
                set_={name: statement.excluded[name] for name in ("text", "owner_id", "team_id")},
                where=sa.or_(
                    table.c.text != statement.excluded.text,
                    table.c.owner_id.is_distinct_from(statement.excluded.owner_id),
                    table.c.team_id.is_distinct_from(statement.excluded.team_id),
                ),
            ),
            texts,
        )
        session.execute(
            sa.delete(Address.__table__).where(Address.entity == entity.name, Address.record_id.in_(ids))
        )
    if addresses:
        session.execute(sa.insert(Address.__table__), addresses)


def refresh_ids(session: Session, entity: Entity, ids: Iterable[int]) -> None:
    """Do the same for records by id, whether or not they are in the trash; gone ones lose their entries."""
    model: Any = entity.model
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), 2000):
        batch = wanted[start : start + 2000]
        statement = sa.select(model.__table__).where(model.id.in_(batch))
        rows = [
            dict(row._mapping)
            for row in session.execute(statement, execution_options={UNGATED: "the index is derived from every record"})
        ]
        gone = set(batch) - {row["id"] for row in rows}
        if gone:
            drop(session, entity, gone)
        refresh(session, entity, rows)


def drop(session: Session, entity: Entity, ids: Iterable[int]) -> None:
    """Forget records that are gone for good."""
    wanted = list(ids)
    session.execute(
        sa.delete(SearchText.__table__).where(SearchText.entity == entity.name, SearchText.record_id.in_(wanted))
    )
    session.execute(sa.delete(Address.__table__).where(Address.entity == entity.name, Address.record_id.in_(wanted)))
