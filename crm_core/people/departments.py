"""Departments: a tree with heads, who see what their members and those below own."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core.i18n import _
from crm_core.models import Team, User
from crm_core.models.accounts import ACTIVE, DELETED
from crm_core.people.reach import Refused, require, whole
from crm_core.records import operations
from crm_core.security.permissions import DEPARTMENTS_EDIT
from crm_core.security.subject import Subject


@dataclass
class Department:
    """A department in its place in the tree."""

    team: Team
    members: int
    depth: int = 0
    head_name: str = ""
    below: list[Department] = field(default_factory=list)


def department_tree(session: Session) -> list[Department]:
    """Return all departments, each after the one above it, with the number of members and the head's name."""
    counts: dict[int | None, int] = dict(
        session.execute(
            sa.select(User.team_id, sa.func.count()).where(User.status == ACTIVE).group_by(User.team_id)
        ).all()
    )
    rows = session.execute(
        sa.select(Team, User.name).outerjoin(User, User.id == Team.head_id).order_by(sa.func.lower(Team.name), Team.id)
    ).all()
    made = {team.id: Department(team, counts.get(team.id, 0), head_name=name or "") for team, name in rows}
    top: list[Department] = []
    for each in made.values():
        above = made.get(each.team.parent_id) if each.team.parent_id else None
        (above.below if above else top).append(each)
    ordered: list[Department] = []

    def walk(level: list[Department], depth: int) -> None:
        for each in level:
            each.depth = depth
            ordered.append(each)
            walk(each.below, depth + 1)

    walk(top, 0)
    return ordered


@whole
def create_department(
    session: Session, subject: Subject, name: str, *, parent_id: int | None = None, head_id: int | None = None
) -> Team:
    """Make a department."""
    require(subject, DEPARTMENTS_EDIT)
    operations.describe(session, subject, kind="create", entity="core.team")
    team = Team(
        name=_name(session, name, parent_id), parent_id=_parent(session, parent_id), head_id=_head(session, head_id)
    )
    session.add(team)
    session.flush()
    return team


@whole
def edit_department(
    session: Session, subject: Subject, team: Team, *, name: str, parent_id: int | None, head_id: int | None
) -> None:
    """Rename or move a department, or give it another head."""
    require(subject, DEPARTMENTS_EDIT)
    if parent_id is not None and parent_id in {team.id, *_below(session, team.id)}:
        raise Refused(_("A department cannot stand below itself."), "parent_id")
    operations.describe(session, subject, kind="edit", entity="core.team", record_id=team.id)
    team.name = _name(session, name, parent_id, but=team.id)
    team.parent_id = _parent(session, parent_id)
    team.head_id = _head(session, head_id, keep=team.head_id)
    session.flush()


@whole
def delete_department(session: Session, subject: Subject, team: Team) -> None:
    """Delete a department that nothing hangs on."""
    require(subject, DEPARTMENTS_EDIT)
    if session.scalar(sa.select(Team.id).where(Team.parent_id == team.id).limit(1)):
        raise Refused(_("There are departments below it; move or delete them first."))
    if session.scalar(sa.select(User.id).where(User.team_id == team.id, User.status != DELETED).limit(1)):
        raise Refused(_("People belong to it; move them to another department first."))
    operations.describe(session, subject, kind="delete", entity="core.team", record_id=team.id, note=team.name)
    session.execute(sa.update(User).where(User.team_id == team.id).values(team_id=None))
    try:
        with session.begin_nested():
            session.delete(team)
            session.flush()
    except sa.exc.IntegrityError:
        raise Refused(_("Records belong to it; rename it, or move its records to another department first.")) from None


def _below(session: Session, team_id: int) -> set[int]:
    below = sa.select(Team.id).where(Team.parent_id == team_id).cte("below", recursive=True)
    below = below.union(sa.select(Team.id).join(below, Team.parent_id == below.c.id))
    return set(session.scalars(sa.select(below.c.id)))


def _name(session: Session, name: str, parent_id: int | None, but: int | None = None) -> str:
    name = " ".join(name.split())[:120]
    if not name:
        raise Refused(_("Fill this in."), "name")
    same = sa.select(Team.id).where(
        sa.func.lower(Team.name) == name.lower(), Team.parent_id.is_not_distinct_from(parent_id), Team.id != (but or 0)
    )
    if session.scalar(same):
        raise Refused(_("There is a department of this name."), "name")
    return name


def _parent(session: Session, parent_id: int | None) -> int | None:
    if parent_id is not None and session.get(Team, parent_id) is None:
        raise Refused(_("This department is no longer there."), "parent_id")
    return parent_id


def _head(session: Session, head_id: int | None, keep: int | None = None) -> int | None:
    if head_id is None or head_id == keep:
        return head_id
    head = session.get(User, head_id)
    if head is None or head.status != ACTIVE:
        raise Refused(_("Choose somebody whose account is active."), "head_id")
    return head_id
