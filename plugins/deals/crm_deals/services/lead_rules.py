"""Who is to answer a lead and how soon: rules in order; and who hears of leads that wait too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session

from crm_core import clock, notify
from crm_core.db import UNGATED
from crm_core.models.accounts import ACTIVE, User
from crm_core.records.gate import Gate
from crm_deals import events as facts
from crm_deals.entities import LEAD
from crm_deals.i18n import _
from crm_deals.lead_permissions import LEADS_TAKE
from crm_deals.models import OPEN, Deal, Lead, LeadRule, LeadTurn
from crm_deals.models.leads import LEAST, NEW, PERSON
from crm_deals.services.closing import heads_of_departments

TERM = "deals.lead_term"
"""The setting that says in how many minutes of working time a lead is answered when no rule says so."""

#: Leads looked at in one go of the clock.
BATCH = 500

_LOAD = {UNGATED: "whoever has the least to do is counted for everybody alike"}


@dataclass(frozen=True)
class Choice:
    """Who is to answer (None: nobody yet), in how many minutes of work, by which rule."""

    user_id: int | None
    term_minutes: int
    rule_id: int | None = None


def choose(
    gate: Gate,
    settings: Mapping[str, Any],
    *,
    source: str | None = None,
    form_id: int | None = None,
    intake_id: int | None = None,
    take_turn: bool = True,
) -> Choice:
    """Return what the first rule that fits says; a rule none of whose people works here any more is passed over.

    While this transaction lasts nobody else chooses by the same rule, so that turns are fair however many leads come
    at once. Without `take_turn` only the term is asked for.
    """
    session = gate.session
    rules = session.scalars(sa.select(LeadRule).where(LeadRule.active).order_by(LeadRule.position, LeadRule.id)).all()
    term: int | None = None
    for rule in rules:
        if not _fits(rule, source, form_id, intake_id):
            continue
        term = rule.term_minutes if term is None else term
        if not take_turn:
            break
        session.execute(sa.select(LeadRule.id).where(LeadRule.id == rule.id).with_for_update())
        people = _active(session, rule.user_ids)
        if people:
            return Choice(_pick(session, rule, people), rule.term_minutes, rule.id)
    default = settings.get(TERM)
    if default is None:
        default = gate.plugins.settings[TERM].default
    return Choice(None, int(default) if term is None else term)


def _fits(rule: LeadRule, source: str | None, form_id: int | None, intake_id: int | None) -> bool:
    return (
        (rule.source is None or rule.source == source)
        and (rule.form_id is None or rule.form_id == form_id)
        and (rule.intake_id is None or rule.intake_id == intake_id)
    )


def _active(session: Session, ids: Sequence[int]) -> list[int]:
    if not ids:
        return []
    there = set(session.scalars(sa.select(User.id).where(User.id.in_(list(ids)), User.status == ACTIVE)))
    return [one for one in ids if one in there]


def _pick(session: Session, rule: LeadRule, people: Sequence[int]) -> int:
    if rule.way == PERSON or len(people) == 1:
        return people[0]
    last = session.scalar(sa.select(LeadTurn.user_id).where(LeadTurn.rule_id == rule.id))
    order = _after(list(rule.user_ids), last)
    waiting = [one for one in order if one in people]
    if rule.way == LEAST:
        load = _loads(session, waiting)
        chosen = min(waiting, key=lambda one: load.get(one, 0))
    else:
        chosen = waiting[0]
    turn = pg.insert(LeadTurn.__table__).values(rule_id=rule.id, user_id=chosen)
    # Nothing logs this table, so that it needs no operation: a statement of Core.
    session.connection().execute(
        turn.on_conflict_do_update(index_elements=["rule_id"], set_={"user_id": turn.excluded.user_id})
    )
    return chosen


def _after(people: list[int], last: int | None) -> list[int]:
    if last not in people:
        return people
    place = people.index(last) + 1
    return people[place:] + people[:place]


def _loads(session: Session, people: Sequence[int]) -> dict[int, int]:
    """Return how much each has to do: open deals and new leads."""
    ids = list(people)
    both = sa.union_all(
        sa.select(Deal.owner_id.label("user_id")).where(
            Deal.owner_id.in_(ids), Deal.state == OPEN, Deal.deleted_at.is_(None)
        ),
        sa.select(Lead.owner_id).where(Lead.owner_id.in_(ids), Lead.state == NEW, Lead.deleted_at.is_(None)),
    ).subquery()
    rows = session.execute(
        sa.select(both.c.user_id, sa.func.count()).group_by(both.c.user_id), execution_options=_LOAD
    )
    return {row[0]: row[1] for row in rows}


def tell_late(gate: Gate, after: int = 0) -> tuple[int, int]:
    """Tell of leads that wait longer than they should: who is to answer and the heads above him, each once.

    Return how many were told and the id to go on after; 0: these were all.
    """
    session = gate.session
    rows = session.execute(
        sa.select(Lead.id, Lead.caption, Lead.owner_id, Lead.team_id, Lead.due_at)
        .where(Lead.state == NEW, Lead.due_at < clock.now(), Lead.deleted_at.is_(None), Lead.id > after)
        .order_by(Lead.id)
        .limit(BATCH),
        execution_options={UNGATED: "terms run for everybody's leads, and the bell asks the gate again"},
    ).all()
    if not rows:
        return 0, 0
    heads = heads_of_departments(session)
    anybody = notify.holders(session, LEADS_TAKE) if any(row.owner_id is None for row in rows) else []
    told = 0
    for row in rows:
        people = {row.owner_id, *heads.get(row.team_id, ())} if row.owner_id is not None else set(anybody)
        told += notify.notify(
            session,
            people,
            key=f"{facts.LEAD_LATE}:{row.id}:{row.due_at:%Y%m%d%H%M}",
            kind=facts.LEAD_LATE,
            title=_("A lead waits longer than it should: ${lead}"),
            values={"lead": row.caption},
            entity=LEAD,
            record_id=row.id,
            href=f"/deals/leads/{row.id}",
        )
    return told, rows[-1].id if len(rows) == BATCH else 0
