"""The tables of clients: people, companies, who works where, what was said."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, composite, mapped_column

from crm_core import clock
from crm_core.db import Base, RecordMixin, RecordRef

ALIVE = sa.text("deleted_at IS NULL")
TRASHED = sa.text("deleted_at IS NOT NULL")

Entries = list[dict[str, Any]]
"""Several phones, addresses or messengers: objects with `value`, `type`, `main` and `off`."""


def _client_indexes() -> tuple[sa.Index, ...]:
    # The gate asks by owner, by department or for all, always in the default order; trash is small and rarely opened.
    return (
        sa.Index(None, "owner_id", "name_sort", "id", postgresql_where=ALIVE),
        sa.Index(None, "team_id", "name_sort", "id", postgresql_where=ALIVE),
        sa.Index(None, "name_sort", "id", postgresql_where=ALIVE),
        sa.Index(None, "last_contact_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "owner_id", "last_contact_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "created_at", "id", postgresql_where=ALIVE),
        # Serves tags alone as well: any part of an index of this kind may be asked for.
        sa.Index(None, "owner_id", "tags", postgresql_using="gin"),
        sa.Index(None, "deleted_at", "id", postgresql_where=TRASHED),
    )


class Person(RecordMixin, Base):
    """A person: a client himself, or somebody at a company."""

    __tablename__ = "clients_person"
    __table_args__ = (*_client_indexes(), sa.Index(None, "company_id", postgresql_where=ALIVE))

    last_name: Mapped[str | None]
    first_name: Mapped[str | None]
    middle_name: Mapped[str | None]
    full_name: Mapped[str] = mapped_column(default="", server_default="")
    """Derived: surname, first name, patronymic; a phone or address where there is no name."""
    name_sort: Mapped[str] = mapped_column(sa.Text(collation="C"), default="", server_default="")
    job_title: Mapped[str | None]
    company_id: Mapped[int | None] = mapped_column(sa.ForeignKey("clients_company.id", ondelete="RESTRICT"))
    """The main one of his companies; all of them are in `clients_membership`."""
    phones: Mapped[Entries] = mapped_column(default=list, server_default="[]")
    emails: Mapped[Entries] = mapped_column(default=list, server_default="[]")
    messengers: Mapped[Entries] = mapped_column(default=list, server_default="[]")
    birthday: Mapped[dt.date | None]
    city: Mapped[str | None]
    address: Mapped[str | None]
    source: Mapped[str | None]
    status: Mapped[str | None]
    budget: Mapped[Decimal | None]
    currency: Mapped[str] = mapped_column(sa.CHAR(3), default="RUB", server_default="RUB")
    last_contact_at: Mapped[dt.datetime | None]
    """Kept by interactions: when somebody last spoke with him."""
    comment: Mapped[str | None]


class Company(RecordMixin, Base):
    """A company, an entrepreneur, or a branch of one."""

    __tablename__ = "clients_company"
    __table_args__ = (
        *_client_indexes(),
        sa.Index(None, "inn", postgresql_where=sa.text("inn IS NOT NULL")),
        sa.Index(None, "parent_id", postgresql_where=sa.text("parent_id IS NOT NULL")),
    )

    kind: Mapped[str | None]
    name: Mapped[str]
    name_sort: Mapped[str] = mapped_column(sa.Text(collation="C"), default="", server_default="")
    """Derived: without legal form and quotes, so that not all companies stand under one letter."""
    legal_name: Mapped[str | None]
    inn: Mapped[str | None]
    kpp: Mapped[str | None]
    ogrn: Mapped[str | None]
    legal_address: Mapped[str | None]
    postal_address: Mapped[str | None]
    city: Mapped[str | None]
    bank: Mapped[str | None]
    bik: Mapped[str | None]
    account: Mapped[str | None]
    corr_account: Mapped[str | None]
    signatory: Mapped[str | None]
    signatory_title: Mapped[str | None]
    signatory_grounds: Mapped[str | None]
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("clients_company.id", ondelete="RESTRICT"))
    """The head office, for a branch."""
    phones: Mapped[Entries] = mapped_column(default=list, server_default="[]")
    emails: Mapped[Entries] = mapped_column(default=list, server_default="[]")
    site: Mapped[str | None]
    source: Mapped[str | None]
    status: Mapped[str | None]
    last_contact_at: Mapped[dt.datetime | None]
    comment: Mapped[str | None]


class Membership(Base):
    """Says that a person belongs to a company, and as what; part of the person's record in history and rights."""

    __tablename__ = "clients_membership"
    __table_args__ = (sa.UniqueConstraint("person_id", "company_id"), sa.Index(None, "company_id"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("clients_person.id", ondelete="RESTRICT"))
    company_id: Mapped[int] = mapped_column(sa.ForeignKey("clients_company.id", ondelete="RESTRICT"))
    role: Mapped[str | None]
    """What he is there: director, buyer, accountant."""
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class Interaction(RecordMixin, Base):
    """A call, meeting, letter, message, visit or note: what was said, by whom, with what outcome."""

    __tablename__ = "clients_interaction"
    __table_args__ = (
        sa.Index(None, "subject_entity", "subject_id", "at", "id", postgresql_where=ALIVE),
        sa.Index(None, "owner_id", "at", "id", postgresql_where=ALIVE),
        sa.Index(None, "team_id", "at", "id", postgresql_where=ALIVE),
        sa.Index(None, "at", "id", postgresql_where=ALIVE),
        sa.Index(None, "deleted_at", "id", postgresql_where=TRASHED),
    )

    subject_entity: Mapped[str]
    subject_id: Mapped[int]
    subject: Mapped[RecordRef] = composite("subject_entity", "subject_id")
    """The record it is about: a client, and later a deal or a ticket."""
    kind: Mapped[str]
    direction: Mapped[str | None]
    at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    duration_s: Mapped[int | None]
    outcome: Mapped[str | None]
    text: Mapped[str | None] = mapped_column()
    next_step: Mapped[str | None]
    summary: Mapped[str] = mapped_column(default="", server_default="")
    """Derived: the first line of the text."""
