"""What an import of deals does beside their rows: links to clients, notes of their history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from crm_core import clock
from crm_core.db import UNGATED
from crm_deals.models import Deal

NOTES = "clients.interaction"
"""What a note becomes, by name: where the plugin of clients is off, there is no such thing."""


def link_clients(session: Any, column: str, pairs: Iterable[tuple[int, int]]) -> None:
    """Give deals their companies or people, (deal, client), leaving those that have one."""
    wanted = sorted(set(pairs))
    if not wanted:
        return
    table = Deal.__table__
    array = pg.ARRAY(sa.BigInteger())
    deals, clients = zip(*wanted, strict=True)
    given = sa.select(
        sa.func.unnest(sa.cast(list(deals), array)).label("deal_id"),
        sa.func.unnest(sa.cast(list(clients), array)).label("client_id"),
    ).subquery()
    session.execute(
        sa.update(table)
        .where(table.c.id == given.c.deal_id, table.c[column].is_(None))
        .values({column: given.c.client_id}),
        execution_options={UNGATED: "whoever calls this has got the deals through the gate"},
    )


def keep_notes(importer: Any, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
    """Make notes of a file's rows notes in the history of their deals; one that is there already is not made again."""
    gate = importer.gate
    entity = gate.plugins.entities.get(NOTES)
    noted = [(number, text) for number, values in rows for text in values.get("notes") or ()]
    if not noted or entity is None or not gate.may(entity, "create"):
        return
    model = entity.model
    known = {
        (row[0], row[1])
        for row in gate.session.execute(
            sa.select(model.subject_id, model.text).where(
                model.subject_entity == importer.entity.name,
                model.subject_id.in_({number for number, _text in noted}),
                model.deleted_at.is_(None),
            ),
            execution_options={UNGATED: "only whether the same note is there already"},
        )
    }
    fresh = [one for one in dict.fromkeys(noted) if one not in known]
    now = clock.now()
    importer.insert(
        entity,
        [
            {
                "subject_entity": importer.entity.name,
                "subject_id": number,
                "kind": "note",
                "at": now,
                "text": text,
            }
            for number, text in fresh
        ],
    )
