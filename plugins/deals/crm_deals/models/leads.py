"""Leads, where they come from (forms of the site, programs), and the rules by which somebody is to answer them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from crm_core import clock
from crm_core.db import Base, RecordMixin
from crm_core.models.accounts import Versioned

ALIVE = sa.text("deleted_at IS NULL")
WAITING = sa.text("state = 'new' AND deleted_at IS NULL")
TRASHED = sa.text("deleted_at IS NOT NULL")

NEW, TAKEN, LINKED, REJECTED = "new", "taken", "linked", "rejected"
"""A lead waits, became a deal, belongs to a client who was there already, or was nothing."""

ROUND, LEAST, PERSON = "round", "least", "person"
"""How a rule chooses: in turn, who has the least to do, always the same."""

Entries = list[dict[str, Any]]


class LeadForm(Versioned, Base):
    """A form that stands on the company's site or at an address of ours; closed, never deleted."""

    __tablename__ = "deals_lead_form"
    __table_args__ = (sa.UniqueConstraint("token"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    token: Mapped[str]
    """Names it in its public address."""
    name: Mapped[str]
    title: Mapped[str] = mapped_column(default="", server_default="")
    intro: Mapped[str] = mapped_column(default="", server_default="")
    button: Mapped[str] = mapped_column(default="", server_default="")
    fields: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """Asked for, by name: `optional` or `required`."""
    consent_text: Mapped[str]
    consent_version: Mapped[int] = mapped_column(default=1, server_default="1")
    """Rises with every other text, so that it is known what each person has agreed to."""
    thanks_text: Mapped[str] = mapped_column(default="", server_default="")
    thanks_url: Mapped[str] = mapped_column(default="", server_default="")
    sites: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    """Origins whose pages may show it in a frame."""
    source: Mapped[str] = mapped_column(default="site", server_default="site")
    pipeline_id: Mapped[int | None] = mapped_column(sa.ForeignKey("deals_pipeline.id", ondelete="RESTRICT"))
    locale: Mapped[str] = mapped_column(default="", server_default="")
    active: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class LeadIntake(Versioned, Base):
    """A program that sends leads and signs them; switched off, never deleted."""

    __tablename__ = "deals_lead_intake"
    __table_args__ = (sa.UniqueConstraint("token"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    token: Mapped[str]
    name: Mapped[str]
    secret: Mapped[bytes | None]
    """By which messages are signed, sealed."""
    source: Mapped[str] = mapped_column(default="site", server_default="site")
    pipeline_id: Mapped[int | None] = mapped_column(sa.ForeignKey("deals_pipeline.id", ondelete="RESTRICT"))
    active: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class LeadRule(Versioned, Base):
    """Says who is to answer leads of a kind, and how soon; the first rule that fits counts."""

    __tablename__ = "deals_lead_rule"
    __table_args__ = (sa.CheckConstraint("way IN ('round','least','person')", name="way"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    position: Mapped[int] = mapped_column(default=0, server_default="0")
    source: Mapped[str | None]
    form_id: Mapped[int | None] = mapped_column(sa.ForeignKey("deals_lead_form.id", ondelete="RESTRICT"))
    intake_id: Mapped[int | None] = mapped_column(sa.ForeignKey("deals_lead_intake.id", ondelete="RESTRICT"))
    way: Mapped[str] = mapped_column(default=ROUND, server_default=ROUND)
    user_ids: Mapped[list[int]] = mapped_column(default=list, server_default="{}")
    term_minutes: Mapped[int] = mapped_column(default=30, server_default="30")
    """Of working time, in which somebody is to react."""
    active: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class LeadTurn(Base):
    """Whose turn it was last by a rule; nothing that a person would want back, so nothing logs it."""

    __tablename__ = "deals_lead_turn"

    rule_id: Mapped[int] = mapped_column(sa.ForeignKey("deals_lead_rule.id", ondelete="RESTRICT"), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))


class Lead(RecordMixin, Base):
    """A raw request from outside; `owner_id` is who is to answer it, nobody where no rule says."""

    __tablename__ = "deals_lead"
    __table_args__ = (
        sa.UniqueConstraint("key"),
        sa.Index(None, "owner_id", "received_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "team_id", "received_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "received_at", "id", postgresql_where=ALIVE),
        sa.Index("ix_deals_lead_waiting", "due_at", "id", postgresql_where=WAITING),
        sa.Index("ix_deals_lead_waiting_of", "owner_id", "received_at", "id", postgresql_where=WAITING),
        sa.Index(None, "state", "received_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "person_id", postgresql_where=sa.text("person_id IS NOT NULL")),
        sa.Index(None, "company_id", postgresql_where=sa.text("company_id IS NOT NULL")),
        sa.Index(None, "deal_id", postgresql_where=sa.text("deal_id IS NOT NULL")),
        sa.Index(None, "owner_id", "tags", postgresql_using="gin"),
        sa.Index(None, "deleted_at", "id", postgresql_where=TRASHED),
        sa.CheckConstraint("state IN ('new','taken','linked','rejected')", name="state"),
    )

    caption: Mapped[str] = mapped_column(default="", server_default="")
    """Derived: the name, the company, a phone or an address."""
    name: Mapped[str | None]
    company: Mapped[str | None]
    phones: Mapped[Entries] = mapped_column(default=list, server_default="[]")
    emails: Mapped[Entries] = mapped_column(default=list, server_default="[]")
    text: Mapped[str | None]
    source: Mapped[str | None]
    form_id: Mapped[int | None] = mapped_column(sa.ForeignKey("deals_lead_form.id", ondelete="RESTRICT"))
    intake_id: Mapped[int | None] = mapped_column(sa.ForeignKey("deals_lead_intake.id", ondelete="RESTRICT"))
    pipeline_id: Mapped[int | None] = mapped_column(sa.ForeignKey("deals_pipeline.id", ondelete="RESTRICT"))
    utm: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """Where it came from as the page told: `utm_source`, ..., `page`, `referrer`."""
    consent_text: Mapped[str | None]
    consent_version: Mapped[int | None]
    consent_at: Mapped[dt.datetime | None]
    consent_address: Mapped[str | None]
    """The network address from which he agreed."""
    key: Mapped[str | None]
    """The same for the same request, should it come again."""
    digest: Mapped[str | None]
    """Of a program's message: another one under the same key is a fault of that program."""
    received_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    state: Mapped[str] = mapped_column(default=NEW, server_default=NEW)
    reason: Mapped[str | None]
    reason_note: Mapped[str | None]
    due_at: Mapped[dt.datetime | None]
    first_reaction_at: Mapped[dt.datetime | None]
    answerable_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    """Who was to react when somebody did."""
    late_minutes: Mapped[int | None]
    """Of working time between the term and the first reaction; 0: in time."""
    person_id: Mapped[int | None] = mapped_column(sa.ForeignKey("clients_person.id", ondelete="RESTRICT"))
    company_id: Mapped[int | None] = mapped_column(sa.ForeignKey("clients_company.id", ondelete="RESTRICT"))
    deal_id: Mapped[int | None] = mapped_column(sa.ForeignKey("deals_deal.id", ondelete="RESTRICT"))


__all__ = [
    "LEAST",
    "LINKED",
    "NEW",
    "PERSON",
    "REJECTED",
    "ROUND",
    "TAKEN",
    "Lead",
    "LeadForm",
    "LeadIntake",
    "LeadRule",
    "LeadTurn",
]
