"""Deals and what belongs to them: lines, parties, observers, dates, and the history of their stages."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, composite, mapped_column

from crm_core import clock
from crm_core.db import Base, RecordMixin, RecordRef

ALIVE = sa.text("deleted_at IS NULL")
OPEN_ALIVE = sa.text("deleted_at IS NULL AND state = 'open'")
TRASHED = sa.text("deleted_at IS NOT NULL")

#: Written by a trigger when the statement does not say it, so that it is right by whatever path a deal is written.
_KEPT: dict[str, Any] = {"server_default": sa.FetchedValue(), "server_onupdate": sa.FetchedValue()}


class Deal(RecordMixin, Base):
    """Something that is being sold to a client.

    The trigger `deals_stamp` keeps what follows from the stage (`pipeline_id state stage_since closed_at`), the
    amount of a deal with lines, the amount in the company's currency, and gives a nameless one the client's name.
    """

    __tablename__ = "deals_deal"
    __table_args__ = (
        sa.Index(None, "owner_id", "created_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "team_id", "created_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "created_at", "id", postgresql_where=ALIVE),
        sa.Index(
            "ix_deals_deal_board", "stage_id", "stage_since", "id",
            postgresql_include=["amount_base", "owner_id", "team_id"], postgresql_where=ALIVE,
        ),
        sa.Index(
            "ix_deals_deal_board_owner", "owner_id", "stage_id", "stage_since", "id",
            postgresql_include=["amount_base", "team_id"], postgresql_where=ALIVE,
        ),
        sa.Index(
            "ix_deals_deal_board_team", "team_id", "stage_id", "stage_since", "id",
            postgresql_include=["amount_base", "owner_id"], postgresql_where=ALIVE,
        ),
        sa.Index(None, "pipeline_id", "created_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "owner_id", "expected_close", "id", postgresql_where=OPEN_ALIVE),
        sa.Index(None, "expected_close", "id", postgresql_where=OPEN_ALIVE),
        sa.Index(None, "closed_at", "id", postgresql_where=sa.text("closed_at IS NOT NULL AND deleted_at IS NULL")),
        sa.Index(None, "company_id", "created_at", postgresql_where=sa.text("company_id IS NOT NULL")),
        sa.Index(None, "person_id", "created_at", postgresql_where=sa.text("person_id IS NOT NULL")),
        sa.Index(None, "owner_id", "tags", postgresql_using="gin"),
        sa.Index(None, "deleted_at", "id", postgresql_where=TRASHED),
        sa.Index(None, "external_id", postgresql_where=sa.text("external_id IS NOT NULL")),
        sa.CheckConstraint("state IN ('open','won','lost')", name="state"),
        sa.CheckConstraint("vat_mode IN ('included','on_top','none')", name="vat_mode"),
    )  # fmt: skip

    name: Mapped[str] = mapped_column(**_KEPT)
    name_sort: Mapped[str] = mapped_column(sa.Text(collation="C"), **_KEPT)
    pipeline_id: Mapped[int] = mapped_column(sa.ForeignKey("deals_pipeline.id", ondelete="RESTRICT"), **_KEPT)
    stage_id: Mapped[int] = mapped_column(sa.ForeignKey("deals_stage.id", ondelete="RESTRICT"), **_KEPT)
    stage_since: Mapped[dt.datetime] = mapped_column(**_KEPT)
    state: Mapped[str] = mapped_column(**_KEPT)
    probability: Mapped[int] = mapped_column(**_KEPT)
    """In percent: the stage's, until somebody knows better."""
    company_id: Mapped[int | None] = mapped_column(sa.ForeignKey("clients_company.id", ondelete="RESTRICT"))
    person_id: Mapped[int | None] = mapped_column(sa.ForeignKey("clients_person.id", ondelete="RESTRICT"))
    amount: Mapped[Decimal | None] = mapped_column(**_KEPT)
    currency: Mapped[str] = mapped_column(sa.CHAR(3), **_KEPT)
    amount_base: Mapped[Decimal | None] = mapped_column(**_KEPT)
    """In the company's currency at the rate of the day; None where no rate is known."""
    vat_mode: Mapped[str] = mapped_column(default="included", server_default="included")
    vat_amount: Mapped[Decimal | None]
    discount_percent: Mapped[Decimal | None] = mapped_column(sa.Numeric(5, 2))
    """On the whole, after the discounts of lines."""
    discount_total: Mapped[Decimal | None] = mapped_column(sa.Numeric(5, 2))
    """Kept by lines: all discounts together, in percent of what the prices say."""
    lines_total: Mapped[Decimal | None]
    """Kept by lines: their sum; None where there are none, and the amount is written by hand."""
    discount_approved: Mapped[Decimal | None] = mapped_column(sa.Numeric(5, 2))
    """Up to how many percent somebody who may has approved."""
    discount_approved_by: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    discount_approved_at: Mapped[dt.datetime | None]
    discount_asked_by: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    discount_asked_at: Mapped[dt.datetime | None]
    """When approval was asked for; empty again once it is decided."""
    expected_close: Mapped[dt.date | None]
    closed_at: Mapped[dt.datetime | None] = mapped_column(**_KEPT)
    reason_id: Mapped[int | None] = mapped_column(sa.ForeignKey("deals_reason.id", ondelete="RESTRICT"), **_KEPT)
    reason_note: Mapped[str | None] = mapped_column(**_KEPT)
    source: Mapped[str | None]
    lead_id: Mapped[int | None]
    """The lead it was made of."""
    last_activity_at: Mapped[dt.datetime | None]
    """Kept by what is said with the client: when something last happened."""
    next_date: Mapped[dt.date | None]
    """Kept by dates: the earliest that is not done."""
    comment: Mapped[str | None]
    external_id: Mapped[str | None]
    """Its number in the program it came from: a second file finds it again."""


class Line(Base):
    """A product or service of a deal: part of its record."""

    __tablename__ = "deals_line"
    __table_args__ = (sa.Index(None, "deal_id", "position", "id"), sa.Index(None, "product_id"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    deal_id: Mapped[int] = mapped_column(sa.ForeignKey("deals_deal.id", ondelete="RESTRICT"))
    product_id: Mapped[int | None] = mapped_column(sa.ForeignKey("deals_product.id", ondelete="RESTRICT"))
    name: Mapped[str]
    unit: Mapped[str] = mapped_column(default="pcs", server_default="pcs")
    quantity: Mapped[Decimal] = mapped_column(sa.Numeric(15, 3))
    price: Mapped[Decimal]
    discount_percent: Mapped[Decimal] = mapped_column(sa.Numeric(5, 2), default=Decimal(0), server_default="0")
    vat_code: Mapped[str | None]
    vat_rate: Mapped[Decimal | None] = mapped_column(sa.Numeric(5, 2))
    """The rate of the deal's day, in percent."""
    total: Mapped[Decimal]
    """To be paid for it: with all discounts, and VAT where it comes on top."""
    vat: Mapped[Decimal] = mapped_column(default=Decimal(0), server_default="0")
    """The VAT within the total."""
    position: Mapped[int] = mapped_column(default=0, server_default="0")


class Party(Base):
    """A further person or company of a deal, and as what: part of its record."""

    __tablename__ = "deals_party"
    __table_args__ = (
        sa.UniqueConstraint("deal_id", "record_entity", "record_id"),
        sa.Index(None, "record_entity", "record_id"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    deal_id: Mapped[int] = mapped_column(sa.ForeignKey("deals_deal.id", ondelete="RESTRICT"))
    record_entity: Mapped[str]
    record_id: Mapped[int]
    record: Mapped[RecordRef] = composite("record_entity", "record_id")
    role: Mapped[str | None]


class Member(Base):
    """A colleague who looks on: he sees the deal, whoever is responsible. Part of its record."""

    __tablename__ = "deals_member"
    __table_args__ = (sa.UniqueConstraint("deal_id", "user_id"), sa.Index(None, "user_id", "deal_id"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    deal_id: Mapped[int] = mapped_column(sa.ForeignKey("deals_deal.id", ondelete="RESTRICT"))
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    kind: Mapped[str] = mapped_column(default="observer", server_default="observer")


class DealDate(Base):
    """A day that matters for a deal: its contract, payment, end of warranty. Part of its record."""

    __tablename__ = "deals_date"
    __table_args__ = (
        sa.Index(None, "deal_id", "day"),
        sa.Index(None, "day", postgresql_where=sa.text("NOT done")),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    deal_id: Mapped[int] = mapped_column(sa.ForeignKey("deals_deal.id", ondelete="RESTRICT"))
    kind_id: Mapped[int] = mapped_column(sa.ForeignKey("deals_date_kind.id", ondelete="RESTRICT"))
    day: Mapped[dt.date]
    remind_days: Mapped[int | None]
    done: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    note: Mapped[str | None]


class StageChange(Base):
    """A move of a deal, its making included: written by the trigger `deals_log_stages`, whoever moves it and how.

    It is history itself, so no change log is kept of it and undo leaves it alone: a move taken back is one more move.
    """

    __tablename__ = "deals_stage_change"
    __table_args__ = (
        sa.Index(None, "deal_id", "at", "id"),
        sa.Index(None, "to_stage_id", "at"),
        sa.Index(None, "pipeline_id", "at"),
        sa.Index(None, "at"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    deal_id: Mapped[int] = mapped_column(sa.ForeignKey("deals_deal.id", ondelete="RESTRICT"))
    pipeline_id: Mapped[int] = mapped_column(sa.ForeignKey("deals_pipeline.id", ondelete="RESTRICT"))
    from_stage_id: Mapped[int | None] = mapped_column(sa.ForeignKey("deals_stage.id", ondelete="RESTRICT"))
    to_stage_id: Mapped[int] = mapped_column(sa.ForeignKey("deals_stage.id", ondelete="RESTRICT"))
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    amount_base: Mapped[Decimal | None]
    seconds: Mapped[int | None]
    """How long it had been in the stage it left."""
    operation_id: Mapped[int | None]
    told: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Whether other plugins have been told of it."""
