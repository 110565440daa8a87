"""What the core makes lists, cards, forms, search, import and export of: people, companies, interactions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from crm_clients.i18n import _
from crm_clients.models import Company, Interaction, Membership, Person
from crm_clients.schemas import (
    CALL,
    INTERACTION_KINDS,
    KIND_OF_FORM,
    MEETING,
    NEW,
    NOTE,
    OUTCOMES,
    CompanySchema,
    InteractionSchema,
    PersonSchema,
)
from crm_core import forms, notify
from crm_core.db import RecordRef
from crm_core.records import cleaning
from crm_core.specs import Composer, DoubleRule, Entity, Filter, ImportLink, Part, TimelineEntry

PERSON, COMPANY, INTERACTION = "clients.person", "clients.company", "clients.interaction"
CLIENTS = (PERSON, COMPANY)
MEMBERSHIP = "clients.membership"

SUMMARY = 120


def prepare_person(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a person is called and sorted by: his name, else a phone or address."""
    name = " ".join(part for part in (row.get("last_name"), row.get("first_name"), row.get("middle_name")) if part)
    if not name:
        name = next((entry["value"] for key in ("phones", "emails") for entry in (row.get(key) or ())), "")
    return {
        "full_name": name,
        "name_sort": cleaning.sort_key(name),
        "currency": row.get("currency") or "RUB",
        "status": row.get("status") or NEW,
    }


def prepare_company(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the key a company is sorted and compared by, and the kind its name tells when none is chosen."""
    cleaned = cleaning.clean_company_name(row.get("name")).value
    form, bare = (cleaned.form, cleaned.name) if cleaned else ("", row.get("name") or "")
    return {
        "name_sort": cleaning.sort_key(bare),
        "kind": row.get("kind") or (KIND_OF_FORM.get(form, "other") if form else None),
        "status": row.get("status") or NEW,
    }


def prepare_interaction(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the line by which an interaction is named in lists."""
    lines = (notify.plain(row.get("text")) or row.get("next_step") or "").strip().splitlines()
    first = lines[0].strip() if lines else ""
    return {"summary": first if len(first) <= SUMMARY else first[: SUMMARY - 1].rstrip() + "…"}


def link_companies(session: Any, pairs: Any, _context: Any = None) -> None:
    """Link people to companies, set-wise; a person without a main company gets this one."""
    from crm_clients.services import link_pairs

    link_pairs(session, pairs)


def people_of_company(session: Any, company_id: int) -> list[RecordRef]:
    """Return the people of a company: what was said with them concerns it."""
    ids = session.scalars(
        sa.select(Membership.person_id).where(Membership.company_id == company_id).order_by(Membership.id).limit(100)
    )
    return [RecordRef(PERSON, number) for number in ids]


def _no_contact(model: Any, days: int, context: Any) -> Any:
    before = context.now - dt.timedelta(days=days)
    return sa.or_(model.last_contact_at < before, model.last_contact_at.is_(None))


def _contact_within(model: Any, days: int, context: Any) -> Any:
    return model.last_contact_at >= context.now - dt.timedelta(days=days)


def _has_phone(model: Any, wanted: bool, _context: Any) -> Any:
    empty = model.phones == sa.cast(sa.literal("[]", sa.Text), model.phones.type)
    return sa.not_(empty) if wanted else empty


def _of_company(model: Any, wanted: bool, _context: Any) -> Any:
    linked = sa.exists().where(Membership.person_id == model.id)
    return linked if wanted else sa.not_(linked)


def _branch(model: Any, wanted: bool, _context: Any) -> Any:
    return model.parent_id.is_not(None) if wanted else model.parent_id.is_(None)


CONTACT_FILTERS: tuple[Filter, ...] = (
    Filter(
        name="no_contact",
        title=_("No contact for N days"),
        kind="days",
        criterion=_no_contact,
        sentence=_("No contact for more than ${value} days"),
    ),
    Filter(
        name="contact_within",
        title=_("Contact within N days"),
        kind="days",
        criterion=_contact_within,
        sentence=_("Contact within ${value} days"),
    ),
    Filter(name="has_phone", title=_("Has a phone"), kind="bool", criterion=_has_phone, sentence=_("Has a phone")),
)

_ICONS = {
    "call": "phone",
    "meeting": "users",
    "letter": "mail",
    "sms": "message",
    "message": "message-circle",
    "visit": "map-pin",
    "note": "note",
}

_TITLES = {
    ("call", "in"): _("Incoming call"),
    ("call", "out"): _("Outgoing call"),
    ("letter", "in"): _("Incoming letter"),
    ("letter", "out"): _("Outgoing letter"),
    ("sms", "in"): _("Incoming SMS"),
    ("sms", "out"): _("Outgoing SMS"),
    ("message", "in"): _("Incoming message"),
    ("message", "out"): _("Outgoing message"),
}


def interaction_title(kind: str, direction: str | None, outcome: str | None = None) -> Any:
    """Return what an interaction is in words: "Incoming call"."""
    if kind == CALL and outcome == "missed":
        return _("Missed call") if direction == "in" else _("Call without an answer")
    return _TITLES.get((kind, direction or "")) or dict(INTERACTION_KINDS).get(kind, kind)


def interaction_entry(row: Any) -> TimelineEntry:
    """Return how an interaction stands in a timeline."""
    facts: list[tuple[str, Any, str]] = []
    if row.outcome and row.outcome != "missed":
        facts.append((_("Outcome"), dict(OUTCOMES).get(row.outcome, row.outcome), "text"))
    if row.duration_s:
        facts.append((_("Duration"), row.duration_s, "seconds"))
    if row.next_step:
        facts.append((_("Next step"), row.next_step, "text"))
    return TimelineEntry(
        kind=row.kind,
        icon="phone-x" if row.outcome == "missed" else _ICONS.get(row.kind, "message"),
        title=interaction_title(row.kind, row.direction, row.outcome),
        text=row.text or "",
        tone="danger" if row.outcome == "missed" else "",
        facts=tuple(facts),
    )


class MembershipSchema(forms.RecordSchema):
    """How changes of who belongs where read in history."""

    company_id = forms.record(_("Company"), COMPANY)
    role = forms.text(_("Role there"))


PERSONS = Entity(
    name=PERSON,
    title=_("Person"),
    title_plural=_("People"),
    model=Person,
    schema=PersonSchema,
    permission_prefix="clients",
    url="/clients/people",
    icon="user",
    add_title=_("Add a person"),
    about=_("People you talk to: clients, and those who work at companies."),
    label="full_name",
    sort="name_sort",
    hint=("phones", "job_title", "city"),
    head=("last_contact_at", "budget", "birthday"),
    columns=("company_id", "phones", "status", "owner_id", "last_contact_at", "tags"),
    owns=(INTERACTION,),
    parts=(Part(name=MEMBERSHIP, title=_("Company of a person"), schema=MembershipSchema),),
    filters=(
        *CONTACT_FILTERS,
        Filter(
            name="of_company", title=_("Works at a company"), kind="bool", criterion=_of_company,
            sentence=_("Works at a company"),
        ),
    ),
    doubles=(
        DoubleRule(kind="phone", field="phones", title=_("the same phone"), weight=80),
        DoubleRule(kind="email", field="emails", title=_("the same e-mail"), weight=80),
        DoubleRule(kind="name", field="full_name", title=_("the same name"), weight=50),
    ),
    prepare=prepare_person,
    phones="phones",
    emails="emails",
    person=True,
    import_links=(
        ImportLink(
            entity=COMPANY,
            title=_("Company of the person"),
            fields=("name", "inn", "kpp", "kind", "site"),
            keys=("inn", "name_sort"),
            column="company_id",
            link=link_companies,
        ),
    ),
)  # fmt: skip

COMPANIES = Entity(
    name=COMPANY,
    title=_("Company"),
    title_plural=_("Companies"),
    model=Company,
    schema=CompanySchema,
    permission_prefix="clients",
    url="/clients/companies",
    icon="building",
    add_title=_("Add a company"),
    about=_("Companies you sell to, with their requisites, people and branches."),
    label="name",
    sort="name_sort",
    hint=("inn", "city", "phones"),
    head=("last_contact_at", "inn", "source"),
    columns=("inn", "phones", "status", "owner_id", "last_contact_at", "tags"),
    owns=(INTERACTION,),
    filters=(
        *CONTACT_FILTERS,
        Filter(name="branch", title=_("Is a branch"), kind="bool", criterion=_branch, sentence=_("Is a branch")),
    ),
    doubles=(
        DoubleRule(kind="field", field="inn", title=_("the same INN"), weight=90),
        DoubleRule(kind="phone", field="phones", title=_("the same phone"), weight=70),
        DoubleRule(kind="email", field="emails", title=_("the same e-mail"), weight=70),
        DoubleRule(kind="name", field="name", title=_("the same name"), weight=60),
    ),
    prepare=prepare_company,
    together=people_of_company,
    phones="phones",
    emails="emails",
)

INTERACTIONS = Entity(
    name=INTERACTION,
    title=_("Interaction"),
    title_plural=_("Interactions"),
    model=Interaction,
    schema=InteractionSchema,
    permission_prefix="interactions",
    url="/clients/interactions",
    icon="message-circle",
    label="summary",
    sort="at",
    descending=True,
    hint=("kind",),
    columns=("kind", "direction", "at", "outcome", "owner_id", "next_step"),
    parent="subject",
    prepare=prepare_interaction,
    importable=False,
    searchable=False,
    in_menu=False,
    timeline=True,
    entry=interaction_entry,
    composer=(
        Composer(
            id="call", title=_("Log a call"), icon="phone", key="l",
            href="/clients/interactions/record/call?subject={subject}",
        ),
        Composer(
            id="note", title=_("Add a note"), icon="note", key="n",
            href="/clients/interactions/record/note?subject={subject}",
        ),
        Composer(
            id="meeting", title=_("Meeting"), icon="users",
            href="/clients/interactions/record/meeting?subject={subject}",
        ),
        Composer(
            id="letter", title=_("Letter"), icon="mail", href="/clients/interactions/record/letter?subject={subject}"
        ),
        Composer(
            id="message", title=_("Message"), icon="message-circle",
            href="/clients/interactions/record/message?subject={subject}",
        ),
        Composer(
            id="visit", title=_("Visit"), icon="map-pin", href="/clients/interactions/record/visit?subject={subject}"
        ),
    ),
)  # fmt: skip

ENTITIES: tuple[Entity, ...] = (PERSONS, COMPANIES, INTERACTIONS)

__all__ = [
    "CALL",
    "CLIENTS",
    "COMPANIES",
    "COMPANY",
    "ENTITIES",
    "INTERACTION",
    "INTERACTIONS",
    "MEETING",
    "MEMBERSHIP",
    "NOTE",
    "PERSON",
    "PERSONS",
    "interaction_entry",
    "interaction_title",
    "prepare_company",
    "prepare_interaction",
    "prepare_person",
]
