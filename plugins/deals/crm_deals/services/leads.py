"""Leads: raw requests come in, somebody takes, links or rejects each, once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock, events, notify
from crm_core.company import read_values
from crm_core.db import UNGATED, RecordRef
from crm_core.forms import InvalidValues
from crm_core.models.accounts import ACTIVE, User
from crm_core.records import cleaning, doubles, index, operations, saving
from crm_core.records.fields import schema_fields
from crm_core.records.gate import Gate, user_names
from crm_core.security.subject import Subject
from crm_core.specs import Event, RecordAction
from crm_deals import events as facts
from crm_deals.entities import DEAL, LEAD
from crm_deals.i18n import _
from crm_deals.lead_permissions import LEADS_TAKE
from crm_deals.models import Deal, Lead
from crm_deals.models.leads import LINKED, NEW, REJECTED, TAKEN
from crm_deals.schemas.leads import REASONS
from crm_deals.services import lead_rules, worktime
from crm_deals.services.deals import create_deal

COMPANY, CLIENT = "clients.company", "clients.person"

_HIS = {UNGATED: "the lead is open, and what is asked does not depend on who asks"}

#: Doubles at least so likely are the client himself: the same phone or address.
SURE = 70

UTM_KEYS = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term", "page", "referrer")


class Gone(RuntimeError):
    """Tells that somebody was faster: who, and what became of the lead."""

    def __init__(self, lead: Lead, by: str) -> None:
        super().__init__(f"the lead {lead.id} is {lead.state} already")
        self.lead = lead
        self.by = by

    @property
    def message(self) -> Any:
        """Return what to say to whoever came second."""
        words = {
            TAKEN: _("${who} has taken this lead already.", mapping={"who": self.by}),
            LINKED: _("${who} has linked this lead to a client already.", mapping={"who": self.by}),
            REJECTED: _("${who} has rejected this lead already.", mapping={"who": self.by}),
        }
        return words.get(self.lead.state, _("This lead waits again."))


class ClientElsewhere(RuntimeError):
    """Tells that the client is there, but somebody else's, so that taking the lead would make a double."""

    def __init__(self, responsible: str) -> None:
        super().__init__("the client is somebody else's")
        self.responsible = responsible


@dataclass(frozen=True)
class Received:
    """A lead that came; `fresh` is false where the same request had come before."""

    lead: Lead
    fresh: bool = True


@dataclass(frozen=True)
class Taken:
    """What became of a lead that was taken."""

    lead: Lead
    deal: Deal
    found: bool
    """Whether the client was there already."""


# -- they come ---------------------------------------------------------------------------------------------------------


def inbox(session: Session, plugins: Any, *, source: str, address: str = "") -> Gate:
    """Return the gate by which requests from outside are written down; say where from."""
    subject = Subject.system("requests from outside become leads")
    operations.describe(session, subject, kind="create", entity=LEAD, source=source, address=address)
    return Gate(session, subject, plugins)


def receive(
    gate: Gate,
    *,
    key: str | None = None,
    owner_id: int | None = None,
    received_at: dt.datetime | None = None,
    **values: Any,
) -> Received:
    """Write a request down and hand it to whoever is to answer it; the same `key` again is the same lead.

    `values` are columns of `Lead`; phones and addresses are lists of entries or of texts. What cannot be understood
    as a phone or an address is kept in the text: nothing that was sent is lost.
    """
    session = gate.session
    if key is not None:
        # Of two that come at once the second waits here, and then finds the first.
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"deals.lead:{key}", 0))))
        known = session.scalars(sa.select(Lead).where(Lead.key == key), execution_options=_HIS).one_or_none()
        if known is not None:
            return Received(known, fresh=False)
    entity = gate.entity(LEAD)
    values = _readable(values)
    at = received_at or clock.now()
    settings = read_values(session)
    choice = lead_rules.choose(
        gate, settings, source=values.get("source"), form_id=values.get("form_id"), intake_id=values.get("intake_id")
    )
    owner = owner_id if owner_id is not None and _is_active(session, owner_id) else choice.user_id
    due = worktime.of_values(settings, gate.plugins).after(at, choice.term_minutes)
    lead: Lead = saving.create(
        gate,
        entity,
        {**values, "key": key, "owner_id": owner, "received_at": at, "due_at": due, "state": NEW},
    )
    payload = {"id": lead.id, "source": lead.source, "owner_id": owner, "form_id": lead.form_id}
    _tell(gate, facts.LEAD_RECEIVED, payload)
    if owner is not None:
        handed(gate, [lead.id])
    else:
        notify.notify(
            session,
            notify.holders(session, LEADS_TAKE),
            key="deals.leads.unassigned",
            kind=facts.LEAD_RECEIVED,
            title=_("New leads wait for somebody: ${count}"),
            href=f"{entity.url}?f=state:any:new",
            actor=gate.subject.user_id,
            gather=True,
        )
    return Received(lead)


def handed(gate: Gate, ids: Sequence[int]) -> None:
    """Tell people that leads were handed to them."""
    rows = gate.session.execute(
        sa.select(Lead.id, Lead.owner_id, Lead.caption, Lead.due_at).where(
            Lead.id.in_(list(ids)), Lead.owner_id.is_not(None), Lead.state == NEW
        ),
        execution_options=_HIS,
    ).all()
    for row in rows[:20]:
        notify.notify(
            gate.session,
            row.owner_id,
            key=f"{facts.LEAD_HANDED}:{row.id}:{row.owner_id}",
            kind=facts.LEAD_HANDED,
            title=_("A lead for you: ${lead}"),
            values={"lead": row.caption},
            entity=LEAD,
            record_id=row.id,
            href=f"/deals/leads/{row.id}",
            actor=gate.subject.user_id,
        )


def _readable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with phones and addresses as fields keep them; the rest of these goes into the text."""
    result = {name: value for name, value in values.items() if value not in (None, "")}
    lost: list[str] = []
    for name, clean in (("phones", cleaning.clean_phones), ("emails", cleaning.clean_emails)):
        entries: list[dict[str, Any]] = []
        for one in result.pop(name, None) or ():
            text = str(one.get("value") or "") if isinstance(one, Mapping) else str(one)
            found = [cleaned for cleaned in clean(text) if cleaned.value]
            if not found and text.strip():
                lost.append(text.strip()[:200])
            for cleaned in found:
                value = cleaned.value.number if name == "phones" else cleaned.value  # type: ignore[union-attr]
                if all(entry["value"] != value for entry in entries):
                    entries.append({"value": value, "main": not entries})
        result[name] = entries
    if lost:
        result["text"] = "\n".join(part for part in (result.get("text"), *lost) if part)
    return result


def _is_active(session: Session, user_id: int) -> bool:
    return session.scalar(sa.select(User.id).where(User.id == user_id, User.status == ACTIVE)) is not None


def complete(gate: Gate, ids: Sequence[int]) -> None:
    """Give leads that were written down by hand their term, and tell that they came."""
    session = gate.session
    fresh = session.scalars(
        sa.select(Lead).where(Lead.id.in_(list(ids)), Lead.due_at.is_(None), Lead.state == NEW), execution_options=_HIS
    ).all()
    if not fresh:
        return
    settings = read_values(session)
    work = worktime.of_values(settings, gate.plugins)
    for lead in fresh:
        choice = lead_rules.choose(gate, settings, source=lead.source, take_turn=False)
        lead.due_at = work.after(lead.received_at, choice.term_minutes)
    session.flush()
    for lead in fresh:
        payload = {"id": lead.id, "source": lead.source, "owner_id": lead.owner_id, "form_id": None}
        _tell(gate, facts.LEAD_RECEIVED, payload)


# -- somebody reacts ---------------------------------------------------------------------------------------------------


def take(
    gate: Gate,
    lead: Lead,
    *,
    pipeline_id: int | None = None,
    client: RecordRef | None = None,
    anew: bool = False,
) -> Taken:
    """Take a lead: find its client or make one, and open a deal, all in one transaction.

    `client` says whose request it is, `anew` that he is new whatever looks like him. Raise `Gone` when somebody was
    faster, `ClientElsewhere` when the client is one whom the taker may not see, `saving.NotAllowed`.
    """
    _lock(gate, lead, "take")
    if not gate.may(DEAL, "create"):
        raise saving.NotAllowed(_("Your role may not create deals."))
    person_id, company_id, found = _client(gate, lead, client, anew)
    deal = create_deal(
        gate,
        person_id=person_id,
        company_id=company_id,
        pipeline_id=pipeline_id or lead.pipeline_id,
        source=lead.source,
        comment=lead.text,
        lead_id=lead.id,
        **({} if person_id or company_id else {"name": lead.caption}),
    )
    _react(gate, lead, TAKEN, person_id=person_id, company_id=company_id, deal_id=deal.id)
    payload = {"id": lead.id, "deal_id": deal.id, "person_id": person_id, "company_id": company_id}
    _tell(gate, facts.LEAD_TAKEN, {**payload, "user_id": gate.subject.user_id})
    return Taken(lead, deal, found)


def link(gate: Gate, lead: Lead, client: RecordRef) -> Lead:
    """Say that a lead is the request of a client who is there, without a new deal."""
    _lock(gate, lead, "take")
    if client.entity not in (COMPANY, CLIENT) or not gate.visible_ids(client.entity, [client.id]):
        raise saving.NotAllowed(_("There is no such client, or you may not see it."))
    whom = {"person_id": client.id} if client.entity == CLIENT else {"company_id": client.id}
    _react(gate, lead, LINKED, **whom)
    _tell(gate, facts.LEAD_LINKED, {"id": lead.id, "entity": client.entity, "record_id": client.id})
    return lead


def reject(gate: Gate, lead: Lead, reason: str, note: str = "") -> Lead:
    """Say that a lead is nothing, and why."""
    if reason not in dict(REASONS):
        raise InvalidValues({"reason": _("Choose a reason.")}, {"reason": reason})
    _lock(gate, lead, "take")
    _react(gate, lead, REJECTED, reason=reason, reason_note=note.strip()[:500] or None)
    _tell(gate, facts.LEAD_REJECTED, {"id": lead.id, "reason": reason})
    return lead


def renew(gate: Gate, lead: Lead) -> Lead:
    """Let a rejected or linked lead wait again; how fast the first reaction was stays known."""
    gate.session.flush()
    gate.session.refresh(lead, with_for_update=True)
    if lead.state not in (REJECTED, LINKED):
        raise Gone(lead, user_names(gate.session, [lead.owner_id]).get(lead.owner_id or 0, ""))
    if not gate.allows("take", lead):
        raise saving.NotAllowed(_("You may see this lead but not work with it."))
    _write(gate, lead, {"state": NEW, "reason": None, "reason_note": None, "person_id": None, "company_id": None})
    return lead


def _lock(gate: Gate, lead: Lead, verb: str) -> None:
    session = gate.session
    # Two who react at once wait for one another here, and the second sees what the first has done.
    session.flush()
    session.refresh(lead, with_for_update=True)
    if lead.state != NEW or lead.deleted_at is not None:
        raise Gone(lead, who_reacted(session, lead))
    if not gate.allows(verb, lead):
        raise saving.NotAllowed(_("You may see this lead but not work with it."))


def who_reacted(session: Session, lead: Lead) -> str:
    """Return the name of who has reacted to a lead."""
    return user_names(session, [lead.owner_id]).get(lead.owner_id or 0, "")


def whereabouts(gate: Gate, lead_id: int) -> Gone | None:
    """Return who was faster with a lead that was nobody's, for those who could have taken it."""
    if "unassigned" not in gate.subject.scopes(LEADS_TAKE):
        return None
    lead = gate.session.scalars(
        sa.select(Lead).where(Lead.id == lead_id, Lead.state != NEW, Lead.deleted_at.is_(None)),
        execution_options={UNGATED: "whoever could take it a moment ago is told who has"},
    ).one_or_none()
    return Gone(lead, who_reacted(gate.session, lead)) if lead is not None else None


def _react(gate: Gate, lead: Lead, state: str, **values: Any) -> None:
    now = clock.now()
    me = gate.subject.user_id
    if lead.first_reaction_at is None:
        late = worktime.of_company(gate).minutes(lead.due_at, now) if lead.due_at is not None else 0
        values |= {"first_reaction_at": now, "late_minutes": late, "answerable_id": lead.owner_id or me}
    if me is not None and (lead.owner_id is None or state != REJECTED):
        values |= {"owner_id": me, "team_id": saving.team_of(gate.session, me)}
    _write(gate, lead, {**values, "state": state})


def _write(gate: Gate, lead: Lead, values: Mapping[str, Any]) -> None:
    session, entity = gate.session, gate.entity(LEAD)
    operations.describe(session, gate.subject, kind="edit", entity=LEAD, record_id=lead.id)
    for name, value in values.items():
        setattr(lead, name, value)
    saving.derive(entity, lead)
    session.flush()
    # Making the client and the deal was part of this.
    operations.about(session, LEAD, lead.id, kind="edit")
    index.refresh(session, entity, [index.row_of(lead)])
    saving.tell(gate, entity, "changed", [lead.id])


def _tell(gate: Gate, name: str, payload: Mapping[str, Any]) -> None:
    events.fire(gate.session, Event(name, payload), plugins=gate.plugins, subject=gate.subject)


# -- whose request it is -----------------------------------------------------------------------------------------------


def probable_clients(gate: Gate, lead: Lead, limit: int = 5) -> list[doubles.Double]:
    """Return clients who probably are the one who asks, the likeliest first."""
    addresses = {name: [entry["value"] for entry in getattr(lead, name)] for name in ("phones", "emails")}
    found: list[doubles.Double] = []
    if gate.may(CLIENT, "view"):
        found += doubles.probable(gate, gate.entity(CLIENT), {**addresses, **_name_of(lead)}, limit=limit)
        found += doubles.probable(gate, gate.entity(COMPANY), {**addresses, "name": lead.company or ""}, limit=limit)
    return sorted(found, key=lambda one: -one.likelihood)[:limit]


def _name_of(lead: Lead) -> dict[str, str]:
    cleaned = cleaning.clean_person_name(lead.name or "").value
    if cleaned is None:
        return {"first_name": lead.name or ""} if lead.name else {}
    names = {"last_name": cleaned.last, "first_name": cleaned.first, "middle_name": cleaned.middle}
    return {name: value for name, value in names.items() if value}


def _client(
    gate: Gate, lead: Lead, chosen: RecordRef | None, anew: bool
) -> tuple[int | None, int | None, bool]:
    """Return the person, the company, and whether the client was there."""
    if chosen is not None:
        if chosen.entity not in (COMPANY, CLIENT) or not gate.visible_ids(chosen.entity, [chosen.id]):
            raise saving.NotAllowed(_("There is no such client, or you may not see it."))
        if chosen.entity == CLIENT:
            return chosen.id, _company_of(gate, chosen.id), True
        return None, chosen.id, True
    likely = [] if anew else probable_clients(gate, lead)
    sure = [one for one in likely if one.likelihood >= SURE]
    hidden = next((one for one in sure if not one.visible), None)
    person = next((one.id for one in sure if one.visible and one.entity == CLIENT), None)
    company = next((one.id for one in sure if one.visible and one.entity == COMPANY), None)
    if person is not None:
        return person, company or _company_of(gate, person), True
    if hidden is not None and company is None:
        raise ClientElsewhere(hidden.responsible)
    if company is None and lead.company and not anew:
        company = _same_company(gate, lead.company)
    found = company is not None
    if company is None and lead.company:
        company = _make(gate, COMPANY, {"name": lead.company, "source": lead.source}).id
    if lead.name or not company:
        person = _make(
            gate,
            CLIENT,
            {
                **(_name_of(lead) or {"first_name": None if lead.phones or lead.emails else lead.caption}),
                "phones": lead.phones,
                "emails": lead.emails,
                "company_id": company,
                "source": lead.source,
            },
        ).id
    return person, company, found


def _company_of(gate: Gate, person_id: int) -> int | None:
    model: Any = gate.entity(CLIENT).model
    company = gate.session.scalar(gate.select(CLIENT, model.company_id).where(model.id == person_id))
    return company if company is not None and gate.visible_ids(COMPANY, [company]) else None


def _same_company(gate: Gate, name: str) -> int | None:
    entity = gate.entity(COMPANY)
    model: Any = entity.model
    key = entity.prepare({"name": name})["name_sort"] if entity.prepare is not None else name
    if not key:
        return None
    return gate.session.scalar(
        gate.select(COMPANY, model.id).where(model.name_sort == key).order_by(model.id).limit(1)
    )


def _make(gate: Gate, name: str, values: Mapping[str, Any]) -> Any:
    entity = gate.entity(name)
    if not gate.may(entity, "create"):
        raise saving.NotAllowed(_("Your role may not create clients. Link the lead to one who is there."))
    fields = schema_fields(entity.schema)
    known = {key: value for key, value in values.items() if value not in (None, "", [])}
    source = fields.get("source")
    if source is None or known.get("source") not in dict(source.choices):
        known.pop("source", None)
    return saving.create(gate, entity, known)


# -- what may be done, what is late ------------------------------------------------------------------------------------


def actions(gate: Gate, ids: Sequence[int]) -> dict[int, Sequence[RecordAction]]:
    """Return what may be done with leads at once; one statement."""
    if not gate.may(LEAD, "take"):
        return {}
    rows = gate.session.execute(
        sa.select(Lead.id, Lead.state).where(
            Lead.id.in_(list(ids)), Lead.state != TAKEN, gate.criterion(LEAD, "take")
        )
    ).all()
    takes = gate.may(DEAL, "create")
    return {row.id: _OF_NEW[0 if takes else 1 :] if row.state == NEW else _OF_CLOSED for row in rows}


_OF_NEW = (
    RecordAction(
        id="take", title=_("Take"), icon="hand-grab", href="/deals/leads/{id}/take", key="a", look="primary"
    ),
    RecordAction(
        id="link", title=_("Link to a client"), icon="link", href="/deals/leads/{id}/link", method="get", key="b"
    ),
    RecordAction(
        id="reject", title=_("Reject"), icon="ban", href="/deals/leads/{id}/reject", method="get", key="r"
    ),
)  # fmt: skip
_OF_CLOSED = (
    RecordAction(
        id="renew", title=_("Let it wait again"), icon="arrow-back-up", href="/deals/leads/{id}/renew", in_row=False
    ),
)


def overdue(gate: Gate, ids: Iterable[int]) -> dict[int, dt.datetime]:
    """Return those of the leads (which came through the gate) that wait longer than they should, with their terms."""
    rows = gate.session.execute(
        sa.select(Lead.id, Lead.due_at).where(
            Lead.id.in_(list(ids)), Lead.state == NEW, Lead.due_at < clock.now()
        ),
        execution_options=_HIS,
    )
    return {row.id: row.due_at for row in rows}


@dataclass(frozen=True)
class Speed:
    """How one person answers: leads answered, late ones, minutes late on average, and those that wait too long now."""

    user_id: int | None
    answered: int = 0
    late: int = 0
    late_minutes: int = 0
    worst_minutes: int = 0
    waiting: int = 0
    overdue: int = 0


def speeds(gate: Gate, days: int = 30) -> list[Speed]:
    """Return who answered how fast in the last days, as far as the viewer may count; two statements."""
    now = clock.now()
    late = Lead.late_minutes > 0
    reached = gate.criterion(LEAD, "figures")
    answered = gate.session.execute(
        sa.select(
            Lead.answerable_id,
            sa.func.count(),
            sa.func.count().filter(late),
            sa.func.coalesce(sa.func.avg(Lead.late_minutes).filter(late), 0),
            sa.func.coalesce(sa.func.max(Lead.late_minutes), 0),
        )
        .where(Lead.first_reaction_at >= now - dt.timedelta(days=days), reached)
        .group_by(Lead.answerable_id)
    )
    found = {row[0]: Speed(row[0], row[1], row[2], round(row[3]), row[4]) for row in answered}
    waiting = gate.session.execute(
        sa.select(Lead.owner_id, sa.func.count(), sa.func.count().filter(Lead.due_at < now))
        .where(Lead.state == NEW, reached)
        .group_by(Lead.owner_id)
    )
    for user, waits, over in waiting:
        known = found.get(user, Speed(user))
        found[user] = Speed(user, known.answered, known.late, known.late_minutes, known.worst_minutes, waits, over)
    return sorted(found.values(), key=lambda one: (one.user_id is None, -one.overdue, -one.late, -one.answered))


def newest(gate: Gate, limit: int = 6) -> list[Any]:
    """Return the leads that wait, those of oneself and of nobody first by their terms; for the home page."""
    mine = sa.or_(Lead.owner_id == gate.subject.user_id, Lead.owner_id.is_(None))
    return list(
        gate.session.execute(
            gate.select(LEAD, Lead.id, Lead.caption, Lead.text, Lead.source, Lead.due_at, Lead.received_at)
            .where(Lead.state == NEW, mine)
            .order_by(Lead.due_at.nulls_last(), Lead.id)
            .limit(limit)
        )
    )
