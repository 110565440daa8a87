"""Targets of sales: who may see and set which, a grid of months, and copying what was before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from crm_core.models import Role, RoleGrant, Team, User, UserRole
from crm_core.models.accounts import ACTIVE
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_deals.entities import PIPELINE
from crm_deals.i18n import _
from crm_deals.models import ProductGroup, Target
from crm_deals.permissions import EDIT, TARGETS
from crm_deals.services.forecast import GROUP, PERSON, TEAM, month_of

COLUMNS: Mapping[str, Any] = {PERSON: Target.user_id, TEAM: Target.team_id, GROUP: Target.group_id}
MOST = Decimal(10) ** 14


@dataclass(frozen=True)
class Aim:
    """Something that has targets: a person, a department, a group of products."""

    id: int
    name: str
    editable: bool


def may_set(gate: Gate) -> bool:
    """Tell whether the subject may set targets of anybody."""
    return gate.subject.is_system or bool(gate.subject.scopes(TARGETS))


def aims(gate: Gate, kind: str) -> list[Aim]:
    """Return whose targets the subject may see: everybody his own, heads their departments', directors all."""
    subject = gate.subject
    scopes = subject.scopes(TARGETS)
    everything = subject.is_system or "all" in scopes
    teams = sorted(subject.team_ids) if "team" in scopes else []
    if kind == PERSON:
        selling = (
            sa.select(UserRole.user_id)
            .join(Role, Role.id == UserRole.role_id)
            .join(RoleGrant, RoleGrant.role_id == Role.id)
            .where(RoleGrant.permission == EDIT)
        )
        with_target = sa.select(Target.user_id).where(Target.user_id.is_not(None))
        statement = sa.select(User.id, User.name).where(
            sa.or_(sa.and_(User.status == ACTIVE, User.id.in_(selling)), User.id.in_(with_target))
        )
        if not everything:
            statement = statement.where(sa.or_(User.id == subject.user_id, User.team_id.in_(teams)))
        rows = gate.session.execute(statement.order_by(User.name, User.id))
        return [Aim(row.id, row.name, everything or bool(teams)) for row in rows]
    if kind == TEAM:
        named = sa.select(Team.id, Team.name).order_by(Team.name, Team.id)
        if not everything:
            named = named.where(Team.id.in_(teams))
        return [Aim(row.id, row.name, True) for row in gate.session.execute(named)]
    if not everything:
        return []
    groups = gate.session.execute(
        gate.select("deals.group", ProductGroup.id, ProductGroup.name).order_by(ProductGroup.name_sort)
    )
    return [Aim(row.id, row.name, True) for row in groups]


def read(gate: Gate, kind: str, ids: Iterable[int], months: Sequence[dt.date]) -> dict[tuple[int, dt.date], Decimal]:
    """Return targets by whose they are and the month."""
    column = COLUMNS[kind]
    rows = gate.session.execute(
        sa.select(column, Target.month, Target.amount).where(column.in_(list(ids)), Target.month.in_(list(months)))
    )
    return {(row[0], row[1]): row[2] for row in rows}


def write(gate: Gate, kind: str, amounts: Mapping[tuple[int, dt.date], Decimal | None]) -> int:
    """Set targets (None takes one away) of whom the subject may; return how many differ from what was."""
    allowed = {aim.id for aim in aims(gate, kind) if aim.editable}
    if not may_set(gate) or any(number not in allowed for number, _month in amounts):
        raise saving.NotAllowed(_("You may not set these targets."))
    if not amounts:
        return 0
    session, column = gate.session, COLUMNS[kind]
    known = read(gate, kind, {number for number, _month in amounts}, sorted({month for _number, month in amounts}))
    differing = {
        key: amount for key, amount in amounts.items() if (amount or None) != known.get(key) and _fits(amount)
    }
    if not differing:
        return 0
    operations.describe(session, gate.subject, kind="edit", entity=PIPELINE, note="targets")
    operations.ensure(session)
    gone = [key for key, amount in differing.items() if not amount]
    if gone:
        session.execute(
            sa.delete(Target).where(sa.tuple_(column, Target.month).in_(gone)).execution_options(
                synchronize_session=False
            )
        )
    made = [
        {column.key: number, "month": month, "amount": amount}
        for (number, month), amount in differing.items()
        if amount
    ]
    if made:
        insert = pg.insert(Target).values(made)
        session.execute(
            insert.on_conflict_do_update(
                index_elements=["user_id", "team_id", "group_id", "month"], set_={"amount": insert.excluded.amount}
            )
        )
    return len(differing)


def _fits(amount: Decimal | None) -> bool:
    if amount is not None and (amount < 0 or amount >= MOST):
        raise saving.NotAllowed(_("A target is an amount of nothing or more."))
    return True


def copy(gate: Gate, kind: str, months: Sequence[dt.date], back: int) -> int:
    """Set targets of months to what they were so many months before; where nothing was, nothing changes."""
    ids = [aim.id for aim in aims(gate, kind) if aim.editable]
    before = read(gate, kind, ids, [month_of(month, -back) for month in months])
    return write(
        gate, kind, {(number, month_of(month, back)): amount for (number, month), amount in before.items()}
    )


# -- what a month is to bring ------------------------------------------------------------------------------------------


def own(gate: Gate, months: Sequence[dt.date]) -> dict[dt.date, Decimal]:
    """Return one's own targets."""
    if gate.subject.user_id is None:
        return {}
    found = read(gate, PERSON, [gate.subject.user_id], months)
    return {month: amount for (_number, month), amount in found.items()}


def whole(gate: Gate, months: Sequence[dt.date]) -> dict[dt.date, Decimal]:
    """Return what is to be sold by all whom the subject may set targets of.

    A department's target is the one that was set, else the sum of the departments below it and of its people.
    """
    scopes = gate.subject.scopes(TARGETS)
    everything = gate.subject.is_system or "all" in scopes
    if not everything and "team" not in scopes:
        return {}
    parents = {row.id: row.parent_id for row in gate.session.execute(sa.select(Team.id, Team.parent_id))}
    rows = gate.session.execute(
        sa.select(Target.team_id, Target.user_id, User.team_id.label("of"), Target.month, Target.amount)
        .outerjoin(User, User.id == Target.user_id)
        .where(Target.month.in_(list(months)), Target.group_id.is_(None))
    ).all()
    visible = set(parents) if everything else set(gate.subject.team_ids)
    tops = [team for team in visible if parents.get(team) not in visible]
    found: dict[dt.date, Decimal] = {}
    for month in months:
        teams = {row.team_id: row.amount for row in rows if row.month == month and row.team_id is not None}
        people: dict[int | None, Decimal] = {}
        for row in rows:
            if row.month == month and row.user_id is not None:
                people[row.of] = people.get(row.of, Decimal(0)) + row.amount
        amount = sum((_of_team(team, teams, people, parents) for team in tops), Decimal(0))
        if everything:
            amount += people.get(None, Decimal(0))
        if amount:
            found[month] = amount
    return found


def _of_team(
    team: int, teams: Mapping[int, Decimal], people: Mapping[int | None, Decimal], parents: Mapping[int, int | None]
) -> Decimal:
    if team in teams:
        return teams[team]
    below = (one for one, parent in parents.items() if parent == team)
    return sum((_of_team(one, teams, people, parents) for one in below), people.get(team, Decimal(0)))
