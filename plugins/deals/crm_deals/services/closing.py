"""Who is told that deals were won or refused: the heads of the departments they belong to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from crm_core import clock, notify
from crm_core.db import UNGATED
from crm_core.models import Team
from crm_deals.entities import DEAL
from crm_deals.events import WON
from crm_deals.i18n import _
from crm_deals.models import Deal

#: More deals at once are bulk work, of which nobody wants a word for each.
MOST = 20

#: What was closed longer ago was brought in from elsewhere, and is no news.
NEWS = dt.timedelta(days=2)


def tell_heads(context: Any, ids: Sequence[int], fact: str) -> None:
    """Tell the heads of the deals' departments and of those above; whoever closed a deal himself knows."""
    if len(ids) > MOST:
        return
    session = context.session
    rows = session.execute(
        sa.select(Deal.id, Deal.name, Deal.team_id, Deal.closed_at).where(
            Deal.id.in_(list(ids)), Deal.closed_at > clock.now() - NEWS
        ),
        execution_options={UNGATED: "heads see what their departments own, and the bell asks the gate again"},
    ).all()
    heads = heads_of_departments(session)
    title = _("The deal is won: ${deal}") if fact == WON else _("The deal is refused: ${deal}")
    for row in rows:
        notify.notify(
            session,
            heads.get(row.team_id, ()),
            key=f"{fact}:{row.id}:{row.closed_at:%Y%m%d%H%M%S}",
            kind=fact,
            title=title,
            values={"deal": row.name},
            entity=DEAL,
            record_id=row.id,
            href=f"/deals/{row.id}",
            actor=context.subject.user_id,
        )


def heads_of_departments(session: Any) -> Mapping[int, set[int]]:
    """Return the heads of each department: its own and those of the departments above it."""
    teams = {row.id: row for row in session.execute(sa.select(Team.id, Team.parent_id, Team.head_id))}
    found: dict[int, set[int]] = {}
    for number in teams:
        heads: set[int] = set()
        seen: set[int] = set()
        above: int | None = number
        while above is not None and above in teams and above not in seen:
            seen.add(above)
            row: Any = teams[above]
            if row.head_id is not None:
                heads.add(row.head_id)
            above = row.parent_id
        found[number] = heads
    return found
