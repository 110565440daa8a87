"""When something last happened with a deal: kept by what is said with its client or about itself."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa

from crm_core.db import UNGATED
from crm_core.records import operations
from crm_deals.entities import DEAL
from crm_deals.models import OPEN, Deal

_COLUMNS = {"clients.company": "company_id", "clients.person": "person_id"}


def happened(session: Any, entity: str, number: int, at: str) -> None:
    """Keep that something happened at an instant: with a deal, or with the client of open deals."""
    table = Deal.__table__
    when = dt.datetime.fromisoformat(at)
    if entity == DEAL:
        which = table.c.id == number
    elif entity in _COLUMNS:
        which = sa.and_(table.c[_COLUMNS[entity]] == number, table.c.state == OPEN, table.c.deleted_at.is_(None))
    else:
        return
    operations.ensure(session)
    session.execute(
        sa.update(table)
        .where(which, sa.or_(table.c.last_activity_at.is_(None), table.c.last_activity_at < when))
        .values(last_activity_at=when),
        execution_options={UNGATED: "the last activity is kept for whoever may see the deal"},
    )
    for one in session.identity_map.values():
        if isinstance(one, Deal):
            session.expire(one, ["last_activity_at", "version"])
