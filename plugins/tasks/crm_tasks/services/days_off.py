"""Days on which one person does not work: vacation, illness, away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from crm_core import clock
from crm_core.forms import InvalidValues
from crm_core.models import User
from crm_core.models.accounts import ACTIVE
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_tasks.i18n import _
from crm_tasks.models import DayOff
from crm_tasks.models.schedule import AWAY, SICK, VACATION
from crm_tasks.permissions import EDIT

KINDS: Sequence[tuple[str, str]] = (
    (VACATION, _("Vacation")),
    (SICK, _("Sick leave")),
    (AWAY, _("Away")),
)

#: Longer leaves are written as several.
MOST_DAYS = 400


def away(gate: Gate, people: Sequence[int], first: dt.date, last: dt.date) -> Sequence[DayOff]:
    """Return the days off of people that touch some days; why they are off, `kept` lets some know."""
    return gate.session.scalars(
        sa.select(DayOff)
        .where(DayOff.user_id.in_(people), DayOff.ends >= first, DayOff.starts <= last)
        .order_by(DayOff.starts, DayOff.id)
        .limit(1000)
    ).all()


def coming(gate: Gate, user_id: int) -> Sequence[DayOff]:
    """Return the days off of a person that are not long past."""
    since = clock.today(gate.subject.zone) - dt.timedelta(days=60)
    return away(gate, [user_id], since, dt.date(9000, 1, 1))


def kept(gate: Gate, user_ids: Iterable[int]) -> set[int]:
    """Return those people whose days off the subject may write and know the reason of: himself, whom he heads, all."""
    subject, wanted = gate.subject, set(user_ids)
    if "all" in subject.scopes(EDIT):
        return wanted
    found = wanted & {subject.user_id}
    others = wanted - found
    if others and subject.headed:
        below = sa.select(User.id).where(User.id.in_(others), User.team_id.in_(sorted(subject.headed)))
        found |= set(gate.session.scalars(below))
    return {one for one in found if one is not None}


def keeps(gate: Gate, user_id: int) -> bool:
    """Tell whether the subject may write the days off of a person, and know their reason."""
    return user_id in kept(gate, [user_id])


def _require(gate: Gate, user_id: int) -> None:
    if not keeps(gate, user_id):
        raise saving.NotAllowed(_("Days off are written by the person himself and by his head."))
    if gate.session.scalar(sa.select(User.status).where(User.id == user_id)) != ACTIVE:
        raise InvalidValues({"user_id": _("This person has no active account.")})


def add(gate: Gate, user_id: int, starts: dt.date, ends: dt.date, kind: str = VACATION) -> DayOff:
    """Write days off; `InvalidValues` for days that make no sense or are off already."""
    _require(gate, user_id)
    if ends < starts:
        raise InvalidValues({"ends": _("The last day is before the first.")})
    if (ends - starts).days > MOST_DAYS:
        raise InvalidValues({"ends": _("This is too long.")})
    if kind not in dict(KINDS):
        raise InvalidValues({"kind": _("Choose from the list.")})
    if away(gate, [user_id], starts, ends):
        raise InvalidValues({"starts": _("Some of these days are off already.")})
    operations.describe(gate.session, gate.subject, kind="edit", entity="tasks.day_off")
    made = DayOff(user_id=user_id, starts=starts, ends=ends, kind=kind, created_by=gate.subject.user_id)
    gate.session.add(made)
    gate.session.flush()
    operations.about(gate.session, "tasks.day_off", made.id)
    return made


def remove(gate: Gate, one: DayOff) -> None:
    """Take days off back."""
    _require(gate, one.user_id)
    operations.describe(gate.session, gate.subject, kind="edit", entity="tasks.day_off", record_id=one.id)
    gate.session.delete(one)
    gate.session.flush()
