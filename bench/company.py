"""The people of the measured company: who sees nothing, fifty, 2 %, a third, all, and five thousand shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core.models import Role, Team, User, UserRole
from crm_core.records import operations
from crm_core.security.subject import Subject

SHARES = 5000


@dataclass(frozen=True)
class Viewer:
    """Someone on whose behalf is measured, and what part of the base he is meant to see."""

    key: str
    title: str
    role: str


VIEWERS = (
    Viewer("none", "sees none", "manager"),
    Viewer("fifty", "sees 50", "manager"),
    Viewer("two", "sees 2 %", "manager"),
    Viewer("third", "sees 30 %", "head"),
    Viewer("all", "sees all", "director"),
    Viewer("shares", "sees 5,000 shares", "user"),
    Viewer("mixed", "sees 2 % and 5,000 shares", "manager"),
)


def address(key: str) -> str:
    """Return the address by which a viewer is found again."""
    return f"bench-{key}@bench.example"


def found(session: Session) -> dict[str, int]:
    """Return the viewers' ids by key; empty before the load."""
    rows = session.execute(sa.select(User.email, User.id).where(User.email.like("bench-%@bench.example")))
    return {row[0].split("@")[0].removeprefix("bench-"): row[1] for row in rows}


def make(session: Session) -> dict[str, Any]:
    """Make departments and people; return whom the rows are dealt out to, with their parts in thousandths."""
    operations.begin(session, Subject.system("the load of the benchmark"), kind="load", source="cli")
    roles = {row[0]: row[1] for row in session.execute(sa.select(Role.name, Role.id))}
    people: dict[str, User] = {}
    for viewer in VIEWERS:
        people[viewer.key] = User(email=address(viewer.key), name=f"Bench {viewer.title}", status="active")
    session.add_all(people.values())
    session.flush()
    for viewer in VIEWERS:
        session.add(UserRole(user_id=people[viewer.key].id, role_id=roles[viewer.role]))
    top = Team(name="Bench, a third", head_id=people["third"].id)
    session.add(top)
    session.flush()
    parts: list[tuple[int, int | None, int]] = []
    for number in range(10):
        team = Team(name=f"Bench below {number}", parent_id=top.id)
        session.add(team)
        session.flush()
        parts += [(_worker(session, f"t{number}-{one}", team.id), team.id, 10) for one in range(3)]
    two = Team(name="Bench, two in a hundred")
    mixed = Team(name="Bench, mixed")
    session.add_all([two, mixed])
    session.flush()
    people["two"].team_id, people["mixed"].team_id = two.id, mixed.id
    parts += [(people["two"].id, two.id, 10), (_worker(session, "two-colleague", two.id), two.id, 10)]
    parts += [(people["mixed"].id, mixed.id, 20)]
    for number in range(33):
        team = Team(name=f"Bench elsewhere {number}")
        session.add(team)
        session.flush()
        parts.append((_worker(session, f"e{number}", team.id), team.id, 20))
    session.flush()
    return {"people": {key: user.id for key, user in people.items()}, "parts": parts}


def parts(session: Session) -> list[tuple[int, int | None, int]]:
    """Return whom rows are dealt out to in a company that is there, with their parts in thousandths."""
    found = session.execute(
        sa.select(User.id, User.team_id, User.email)
        .where(User.email.like("%@bench.example"), User.team_id.is_not(None))
        .order_by(User.id)
    )
    wide = ("worker-e", "bench-mixed")
    return [(row.id, row.team_id, 20 if row.email.startswith(wide) else 10) for row in found]


def _worker(session: Session, key: str, team_id: int) -> int:
    user = User(email=f"worker-{key}@bench.example", name=f"Worker {key}", status="active", team_id=team_id)
    session.add(user)
    session.flush()
    return user.id
