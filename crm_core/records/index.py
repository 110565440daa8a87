"""Keeps what is derived from records in step with them: search text and addresses, for one record or for thousands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core.db import UNGATED, to_json
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
        "sort": str(row.get(entity.sort) or ""),
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
    """Write search text and addresses of the rows anew; `fresh` says that the records have none yet.

    Records in the trash are not found and are nobody's doubles, so they lose theirs.
    """
    trashed = [row["id"] for row in rows if row.get("deleted_at") is not None]
    if trashed:
        drop(session, entity, trashed)
        rows = [row for row in rows if row.get("deleted_at") is None]
    if not rows:
        return
    texts = to_json([search_row(entity, row) for row in rows])
    addresses = [found for row in rows for found in address_rows(entity, row)]
    if fresh:
        session.execute(_INSERT_TEXTS, {"rows": texts})
    else:
        session.execute(_WRITE_TEXTS, {"rows": texts})
        ids = [row["id"] for row in rows]
        session.execute(sa.delete(Address.__table__).where(Address.entity == entity.name, Address.record_id.in_(ids)))
    if addresses:
        session.execute(_INSERT_ADDRESSES, {"rows": to_json(addresses)})


# One statement with its rows as JSON: a row a parameter set is several times slower.
_TEXTS = (
    "INSERT INTO core_search (entity, record_id, text, sort, owner_id, team_id) "
    "SELECT entity, record_id, text, sort, owner_id, team_id "
    "FROM jsonb_populate_recordset(NULL::core_search, CAST(:rows AS jsonb))"
)
_INSERT_TEXTS = sa.text(_TEXTS)
_WRITE_TEXTS = sa.text(
    _TEXTS + " ON CONFLICT (entity, record_id) DO UPDATE SET text = excluded.text, sort = excluded.sort, "
    "owner_id = excluded.owner_id, team_id = excluded.team_id "
    "WHERE (core_search.text, core_search.sort, core_search.owner_id, core_search.team_id) "
    "IS DISTINCT FROM (excluded.text, excluded.sort, excluded.owner_id, excluded.team_id)"
)
_INSERT_ADDRESSES = sa.text(
    "INSERT INTO core_address (entity, record_id, kind, value, main) SELECT entity, record_id, kind, value, main "
    "FROM jsonb_populate_recordset(NULL::core_address, CAST(:rows AS jsonb))"
)


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
