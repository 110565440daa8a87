"""The verbs of clients: record what was said, link people to companies, keep the last contact."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session

from crm_clients import events as facts
from crm_clients.entities import CLIENTS, COMPANY, INTERACTION, PERSON
from crm_clients.i18n import _
from crm_clients.models import Company, Interaction, Membership, Person
from crm_clients.schemas import MISSED, NOTE
from crm_core import clock, events
from crm_core.db import UNGATED, RecordRef
from crm_core.jobs import PLUGINS
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_core.specs import Event

MODELS: Mapping[str, Any] = {PERSON: Person, COMPANY: Company}


# -- what was said -----------------------------------------------------------------------------------------------------


def record_interaction(gate: Gate, subject: RecordRef, **values: Any) -> Interaction:
    """Record what was said with a client (or about any record) whom the subject sees.

    `values` are those of `InteractionSchema`, checked; `kind` is required and `at` is now unless said.
    """
    if subject.entity not in gate.plugins.entities or not gate.visible_ids(subject.entity, [subject.id]):
        raise saving.NotAllowed(_("There is no such client, or you may not see it."))
    entity = gate.entity(INTERACTION)
    values["at"] = values.get("at") or clock.now()
    values |= {"subject_entity": subject.entity, "subject_id": subject.id}
    interaction: Interaction = saving.create(gate, entity, values)
    refresh_contacts(gate.session, [subject])
    payload = {
        "id": interaction.id,
        "kind": interaction.kind,
        "direction": interaction.direction,
        "subject_entity": subject.entity,
        "subject_id": subject.id,
        "at": interaction.at.isoformat(),
    }
    events.fire(gate.session, Event(facts.INTERACTION_RECORDED, payload), plugins=gate.plugins, subject=gate.subject)
    return interaction


def refresh_contacts(session: Session, refs: Iterable[RecordRef]) -> None:
    """Compute anew when somebody last spoke with clients; a company is spoken with through its people too.

    Notes are no contact, and neither is a call that nobody answered.
    """
    people = sorted({ref.id for ref in refs if ref.entity == PERSON})
    companies = {ref.id for ref in refs if ref.entity == COMPANY}
    if people:
        companies.update(session.scalars(sa.select(Membership.company_id).where(Membership.person_id.in_(people))))
        person = Person.__table__.c.id
        _refresh(session, Person, people, _latest(session, PERSON, person.table, lambda number: number == person))
    if companies:
        company = Company.__table__.c.id
        own = _latest(session, COMPANY, company.table, lambda number: number == company)
        members = sa.select(Membership.person_id).where(Membership.company_id == company)
        through_people = _latest(session, PERSON, company.table, lambda number: number.in_(members))
        _refresh(session, Company, sorted(companies), sa.func.greatest(own, through_people))


def contact(model: Any) -> tuple[Any, Any]:
    """Say which interactions were a talk with their client, and when."""
    return model.at, sa.and_(model.kind != NOTE, model.outcome.is_distinct_from(MISSED))


def _latest(session: Session, entity: str, table: Any, of: Callable[[Any], Any]) -> Any:
    """Return when one last spoke with a client, also by what other plugins keep: a call on the telephone."""
    plugins = session.info.get(PLUGINS)
    kinds: list[tuple[Any, str, Any]] = [(Interaction, "subject", contact)]
    for one in plugins.entities.values() if plugins is not None else ():
        if one.contact is not None and one.model is not Interaction and one.parent and "=" not in one.parent:
            kinds.append((one.model, one.parent, one.contact))
    found = []
    for model, prefix, talks in kinds:
        at, was_talk = talks(model)
        hangs = getattr(model, f"{prefix}_entity") == entity, of(getattr(model, f"{prefix}_id"))
        latest = sa.select(sa.func.max(at)).where(model.deleted_at.is_(None), *hangs, was_talk)
        found.append(latest.correlate(table).scalar_subquery())
    return found[0] if len(found) == 1 else sa.func.greatest(*found)


def _refresh(session: Session, model: Any, ids: Sequence[int], latest: Any) -> None:
    table = model.__table__
    session.flush()
    operations.ensure(session)
    session.execute(
        sa.update(table)
        .where(table.c.id.in_(ids), table.c.last_contact_at.is_distinct_from(latest))
        .values(last_contact_at=latest),
        execution_options={UNGATED: "the last contact is kept for whoever may see the client"},
    )
    _expire(session, model, ids)


def _expire(session: Session, model: Any, ids: Iterable[int]) -> None:
    wanted = set(ids)
    for one in session.identity_map.values():
        if isinstance(one, model) and one.id in wanted:
            session.expire(one)


def subjects_of(session: Session, interaction_ids: Sequence[int]) -> list[RecordRef]:
    """Return what interactions hang on."""
    rows = session.execute(
        sa.select(Interaction.subject_entity, Interaction.subject_id)
        .where(Interaction.id.in_(interaction_ids), Interaction.subject_entity.in_(CLIENTS))
        .distinct(),
        execution_options={UNGATED: "the last contact is kept for whoever may see the client"},
    )
    return [RecordRef(*row) for row in rows]


# -- people of companies -----------------------------------------------------------------------------------------------


def link_pairs(session: Session, pairs: Iterable[tuple[int, int]]) -> None:
    """Link people to companies, set-wise: (person, company); who has no main company gets the first of them."""
    wanted = sorted(set(pairs))
    if not wanted:
        return
    now = clock.now()
    operations.ensure(session)
    session.execute(
        pg.insert(Membership.__table__)
        .from_select(
            ["person_id", "company_id", "created_at"],
            sa.select(
                sa.column("person_id"), sa.column("company_id"), sa.literal(now, sa.DateTime(timezone=True))
            ).select_from(_pairs(wanted)),
        )
        .on_conflict_do_nothing()
    )
    table = Person.__table__
    first = _pairs(list({person: (person, company) for person, company in reversed(wanted)}.values()))
    session.execute(
        sa.update(table)
        .where(table.c.id == first.c.person_id, table.c.company_id.is_(None))
        .values(company_id=first.c.company_id),
        execution_options={UNGATED: "whoever calls this has got the people through the gate"},
    )
    _expire(session, Person, [person for person, _company in wanted])


def _pairs(pairs: Sequence[tuple[int, int]]) -> Any:
    array = pg.ARRAY(sa.BigInteger())
    people, companies = zip(*pairs, strict=True)
    return (
        sa.func.unnest(sa.cast(list(people), array), sa.cast(list(companies), array))
        .table_valued(sa.column("person_id", sa.BigInteger()), sa.column("company_id", sa.BigInteger()))
        .render_derived("pairs")
    )


def link_main_companies(session: Session, person_ids: Sequence[int]) -> None:
    """Make sure that the main company of each person is among his companies."""
    person = Person.__table__
    missing = (
        sa.select(person.c.id, person.c.company_id)
        .outerjoin(
            Membership.__table__,
            sa.and_(Membership.person_id == person.c.id, Membership.company_id == person.c.company_id),
        )
        .where(person.c.id.in_(person_ids), person.c.company_id.is_not(None), Membership.id.is_(None))
    )
    found = session.execute(missing, execution_options={UNGATED: "links follow the record"})
    link_pairs(session, [(row[0], row[1]) for row in found])


def link(gate: Gate, person: Person, company_id: int, role: str | None = None) -> Membership:
    """Say that a person belongs to a company, and as what; said again, it changes the role."""
    _require_edit(gate, person)
    if not gate.visible_ids(COMPANY, [company_id]):
        raise saving.NotAllowed(_("There is no such company, or you may not see it."))
    session = gate.session
    operations.describe(session, gate.subject, kind="edit", entity=PERSON, record_id=person.id)
    link_pairs(session, [(person.id, company_id)])
    found = session.scalars(
        sa.select(Membership).where(Membership.person_id == person.id, Membership.company_id == company_id)
    ).one()
    if role is not None:
        found.role = role.strip()[:200] or None
        session.flush()
    _tell(gate, facts.LINKED, person.id, company_id)
    return found


def unlink(gate: Gate, person: Person, company_id: int) -> None:
    """Take a person off a company; another one of his becomes the main one where this was it."""
    _require_edit(gate, person)
    session = gate.session
    operations.describe(session, gate.subject, kind="edit", entity=PERSON, record_id=person.id)
    session.execute(sa.delete(Membership).where(Membership.person_id == person.id, Membership.company_id == company_id))
    if person.company_id == company_id:
        person.company_id = session.scalar(
            sa.select(Membership.company_id).where(Membership.person_id == person.id).order_by(Membership.id).limit(1)
        )
        session.flush()
    _tell(gate, facts.UNLINKED, person.id, company_id)


def _require_edit(gate: Gate, person: Person) -> None:
    if not gate.allows("edit", person):
        raise saving.NotAllowed(_("You may see this client but not change it."))


def _tell(gate: Gate, name: str, person_id: int, company_id: int) -> None:
    payload = {"person_id": person_id, "company_id": company_id}
    events.fire(gate.session, Event(name, payload), plugins=gate.plugins, subject=gate.subject)


@dataclass(frozen=True)
class Linked:
    """A person of a company, or a company of a person; the name is empty where it may not be seen."""

    id: int
    label: str
    role: str
    main: bool
    phones: Sequence[Mapping[str, Any]] = ()
    job_title: str = ""


def companies_of(gate: Gate, person: Person) -> list[Linked]:
    """Return the companies of a person, the main one first; those one may not see keep their place without a name."""
    company = Company.__table__
    visible = sa.select(Company.id, Company.name, Company.phones).where(gate.criterion(COMPANY)).subquery()
    rows = gate.session.execute(
        sa.select(Membership.company_id, Membership.role, visible.c.name, visible.c.phones)
        .join(company, company.c.id == Membership.company_id)
        .outerjoin(visible, visible.c.id == Membership.company_id)
        .where(Membership.person_id == person.id, company.c.deleted_at.is_(None))
        .order_by(Membership.company_id != sa.func.coalesce(person.company_id, 0), Membership.id)
        .limit(50)
    )
    return [
        Linked(row.company_id, row.name or "", row.role or "", row.company_id == person.company_id, row.phones or ())
        for row in rows
    ]


def people_of(gate: Gate, company: Company, limit: int = 50) -> list[Linked]:
    """Return the people of a company whom one may see, by name."""
    rows = gate.session.execute(
        sa.select(Person.id, Person.full_name, Person.phones, Person.job_title, Person.company_id, Membership.role)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.company_id == company.id, gate.criterion(PERSON))
        .order_by(Person.name_sort, Person.id)
        .limit(limit)
    )
    return [
        Linked(row.id, row.full_name, row.role or "", row.company_id == company.id, row.phones, row.job_title or "")
        for row in rows
    ]


def branches_of(gate: Gate, company: Company, limit: int = 50) -> list[Linked]:
    """Return the branches of a company that one may see."""
    rows = gate.session.execute(
        sa.select(Company.id, Company.name, Company.city, Company.phones)
        .where(Company.parent_id == company.id, gate.criterion(COMPANY))
        .order_by(Company.name_sort, Company.id)
        .limit(limit)
    )
    return [Linked(row.id, row.name, row.city or "", False, row.phones) for row in rows]


# -- for the home page -------------------------------------------------------------------------------------------------


def forgotten(gate: Gate, days: int = 30, limit: int = 8) -> list[Any]:
    """Return one's own people whom nobody has spoken with for so many days, the longest first."""
    before = clock.now() - dt.timedelta(days=days)
    return list(
        gate.session.execute(
            gate.select(PERSON, Person.id, Person.full_name, Person.last_contact_at, Person.phones, Person.company_id)
            .where(Person.owner_id == gate.subject.user_id, Person.last_contact_at < before)
            .order_by(Person.last_contact_at, Person.id)
            .limit(limit)
        )
    )


def latest(gate: Gate, limit: int = 8) -> list[Interaction]:
    """Return what one recorded last."""
    return list(
        gate.session.scalars(
            sa.select(Interaction)
            .where(Interaction.owner_id == gate.subject.user_id, gate.criterion(INTERACTION))
            .order_by(Interaction.at.desc(), Interaction.id.desc())
            .limit(limit)
        )
    )
