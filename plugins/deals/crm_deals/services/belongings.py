"""What belongs to a deal besides its lines: further parties, observers, the days that matter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crm_core import clock, notify
from crm_core.db import UNGATED, RecordRef
from crm_core.models import User
from crm_core.models.accounts import ACTIVE
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_deals import events as facts
from crm_deals.entities import DEAL
from crm_deals.i18n import _
from crm_deals.models import DateKind, Deal, DealDate, Member, Party

#: When people are reminded of a day: in the morning, by the clock of the company.
MORNING = dt.time(9)

TITLES: dict[str, str] = {
    "contract": _("Contract"),
    "invoice": _("Invoice is due"),
    "payment": _("Payment"),
    "shipment": _("Shipment"),
    "installation": _("Installation"),
    "warranty": _("End of warranty"),
    "service": _("Next service"),
}
"""Kinds of dates that ship; a title that an administrator wrote stands before them."""


def _may_change(gate: Gate, deal: Deal) -> None:
    if not gate.allows("edit", deal):
        raise saving.NotAllowed(_("You may see this record but not change it."))
    operations.describe(gate.session, gate.subject, kind="edit", entity=DEAL, record_id=deal.id)


# -- parties -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PartyLine:
    """A person or company of a deal as one may see it; the label is empty where one may not."""

    id: int
    """Of the party; 0 for the client himself."""
    ref: RecordRef
    label: str
    role: str


def add_party(gate: Gate, deal: Deal, ref: RecordRef, role: str = "") -> Party:
    """Add a person or company to a deal; said again, it changes the role."""
    _may_change(gate, deal)
    if ref.entity not in ("clients.person", "clients.company") or not gate.visible_ids(ref.entity, [ref.id]):
        raise saving.NotAllowed(_("There is no such client, or you may not see it."))
    session = gate.session
    found = session.scalars(
        sa.select(Party).where(
            Party.deal_id == deal.id, Party.record_entity == ref.entity, Party.record_id == ref.id
        )
    ).one_or_none()
    if found is None:
        found = Party(deal_id=deal.id, record_entity=ref.entity, record_id=ref.id)
        session.add(found)
    found.role = role.strip()[:200] or None
    session.flush()
    return found


def remove_party(gate: Gate, deal: Deal, party_id: int) -> None:
    """Take a person or company off a deal."""
    _may_change(gate, deal)
    gate.session.execute(sa.delete(Party).where(Party.id == party_id, Party.deal_id == deal.id))


def parties(gate: Gate, deal: Deal) -> list[PartyLine]:
    """Return the client of a deal and its further parties, with the names that one may see."""
    rows = gate.session.scalars(sa.select(Party).where(Party.deal_id == deal.id).order_by(Party.id).limit(100)).all()
    refs = [(0, RecordRef("clients.company", deal.company_id), "")] if deal.company_id else []
    if deal.person_id:
        refs.append((0, RecordRef("clients.person", deal.person_id), ""))
    refs += [(row.id, RecordRef(row.record_entity, row.record_id), row.role or "") for row in rows]
    names: dict[tuple[str, int], str] = {}
    for entity in sorted({ref.entity for _number, ref, _role in refs}):
        ids = [ref.id for _number, ref, _role in refs if ref.entity == entity]
        names |= {(entity, number): label for number, label in gate.labels(entity, ids).items()}
    return [PartyLine(number, ref, names.get((ref.entity, ref.id), ""), role) for number, ref, role in refs]


# -- observers ---------------------------------------------------------------------------------------------------------


def add_observer(gate: Gate, deal: Deal, user_id: int) -> None:
    """Let a colleague see a deal, whoever is responsible."""
    _may_change(gate, deal)
    session = gate.session
    if session.scalar(sa.select(User.status).where(User.id == user_id)) != ACTIVE:
        raise saving.NotAllowed(_("This person has no active account."))
    known = session.scalar(sa.select(Member.id).where(Member.deal_id == deal.id, Member.user_id == user_id))
    if known is None:
        session.add(Member(deal_id=deal.id, user_id=user_id))
        session.flush()


def remove_observer(gate: Gate, deal: Deal, user_id: int) -> None:
    """Let a colleague no longer watch a deal; whoever watches may stop by himself."""
    if user_id == gate.subject.user_id:
        operations.describe(gate.session, gate.subject, kind="edit", entity=DEAL, record_id=deal.id)
    else:
        _may_change(gate, deal)
    gate.session.execute(sa.delete(Member).where(Member.user_id == user_id, Member.deal_id == deal.id))


def observers(session: Any, deal_id: int) -> list[tuple[int, str, str]]:
    """Return (id, name, photo) of those who watch a deal that is open to the reader."""
    rows = session.execute(
        sa.select(User.id, User.name, User.photo)
        .join(Member, Member.user_id == User.id)
        .where(Member.deal_id == deal_id)
        .order_by(sa.func.lower(User.name))
    )
    return [(row.id, row.name, row.photo or "") for row in rows]


# -- dates -------------------------------------------------------------------------------------------------------------


def date_kinds(session: Any, *, archived: bool = False) -> list[DateKind]:
    """Return the kinds of dates in their order."""
    statement = sa.select(DateKind).order_by(DateKind.position, DateKind.id)
    if not archived:
        statement = statement.where(DateKind.archived.is_(False))
    return list(session.scalars(statement))


def kind_title(kind: DateKind) -> str:
    """Return what a kind of date is called: a message id where nobody has renamed it."""
    return kind.title or TITLES.get(kind.code or "", "") or f"№ {kind.id}"


def set_date(
    gate: Gate,
    deal: Deal,
    kind_id: int,
    day: dt.date,
    *,
    date_id: int | None = None,
    remind_days: int | None = None,
    note: str = "",
    done: bool = False,
) -> DealDate:
    """Write a day of a deal, or change one that is there; its responsible is reminded of it."""
    _may_change(gate, deal)
    session = gate.session
    if session.get(DateKind, kind_id) is None:
        raise saving.NotAllowed(_("There is no such kind of date."))
    found = session.get(DealDate, date_id) if date_id else None
    if found is None or found.deal_id != deal.id:
        found = DealDate(deal_id=deal.id)
        session.add(found)
    found.kind_id, found.day, found.remind_days = kind_id, day, remind_days
    found.note, found.done = note.strip()[:500] or None, done
    session.flush()
    _keep_next(gate, deal)
    return found


def finish_date(gate: Gate, deal: Deal, date_id: int, *, done: bool = True) -> None:
    """Say that what was to happen on a day of a deal has happened, or that it has not."""
    _may_change(gate, deal)
    found = gate.session.get(DealDate, date_id)
    if found is not None and found.deal_id == deal.id:
        found.done = done
        gate.session.flush()
        _keep_next(gate, deal)


def remove_date(gate: Gate, deal: Deal, date_id: int) -> None:
    """Take a day off a deal."""
    _may_change(gate, deal)
    gate.session.execute(sa.delete(DealDate).where(DealDate.id == date_id, DealDate.deal_id == deal.id))
    _keep_next(gate, deal)


def dates(session: Any, deal_id: int) -> list[tuple[DealDate, DateKind]]:
    """Return the days of a deal that is open to the reader: those to come first."""
    rows = session.execute(
        sa.select(DealDate, DateKind)
        .join(DateKind, DateKind.id == DealDate.kind_id)
        .where(DealDate.deal_id == deal_id)
        .order_by(DealDate.done, DealDate.day, DealDate.id)
        .limit(100)
    )
    return [(row[0], row[1]) for row in rows]


def _keep_next(gate: Gate, deal: Deal) -> None:
    session = gate.session
    nearest = session.scalar(
        sa.select(sa.func.min(DealDate.day)).where(DealDate.deal_id == deal.id, DealDate.done.is_(False))
    )
    if deal.next_date != nearest:
        saving.change(gate, gate.entity(DEAL), deal, {"next_date": nearest})
    refresh_reminders(session, [deal.id], clock.zone(gate.subject.company_zone or "UTC"))


def refresh_reminders(session: Any, deal_ids: Sequence[int], zone: dt.tzinfo) -> None:
    """Write the reminders of deals' days anew: for whoever is responsible now, of what is not done yet."""
    rows = session.execute(
        sa.select(
            DealDate.id, DealDate.day, DealDate.done, DealDate.remind_days, DateKind.remind_days.label("usual"),
            DateKind.code, DateKind.title, Deal.id.label("deal_id"), Deal.name, Deal.owner_id, Deal.deleted_at,
        )
        .join(Deal, Deal.id == DealDate.deal_id)
        .join(DateKind, DateKind.id == DealDate.kind_id)
        .where(DealDate.deal_id.in_(list(deal_ids))),
        execution_options={UNGATED: "reminders are written for the responsible, and delivered through the gate"},
    ).all()  # fmt: skip
    for deal_id in deal_ids:
        notify.forget(session, prefix=f"{facts.DATE_DUE}:{deal_id}:")
    for row in rows:
        days = row.remind_days if row.remind_days is not None else row.usual
        if row.done or row.deleted_at is not None or row.owner_id is None or days is None:
            continue
        at = dt.datetime.combine(row.day - dt.timedelta(days=days), MORNING, zone).astimezone(dt.UTC)
        notify.remind(
            session,
            [row.owner_id],
            key=f"{facts.DATE_DUE}:{row.deal_id}:{row.id}",
            at=at,
            kind=facts.DATE_DUE,
            title=_("${kind}, ${day}: ${deal}"),
            values={
                "kind": row.title or TITLES.get(row.code or "", ""),
                "day": row.day.strftime("%d.%m.%Y"),
                "deal": row.name,
            },
            entity=DEAL,
            record_id=row.deal_id,
            href=f"/deals/{row.deal_id}",
        )


def with_dates(session: Any, deal_ids: Iterable[int]) -> list[int]:
    """Return those of the deals that have days which are not done."""
    return list(
        session.scalars(
            sa.select(DealDate.deal_id)
            .where(DealDate.deal_id.in_(list(deal_ids)), DealDate.done.is_(False))
            .distinct()
        )
    )
