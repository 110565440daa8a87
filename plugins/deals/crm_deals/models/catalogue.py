"""What is sold and how it is counted: products, VAT, rates of currencies, kinds of dates, reasons of refusal."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from crm_core.db import Base, RecordMixin

ALIVE = sa.text("deleted_at IS NULL")


class ProductGroup(RecordMixin, Base):
    """A group of the catalogue."""

    __tablename__ = "deals_group"
    __table_args__ = (
        sa.Index(None, "owner_id", "name_sort", "id"),
        sa.Index(None, "team_id", "name_sort", "id"),
    )

    name: Mapped[str]
    name_sort: Mapped[str] = mapped_column(sa.Text(collation="C"), default="", server_default="")


class Product(RecordMixin, Base):
    """Something that is sold: goods or a service."""

    __tablename__ = "deals_product"
    __table_args__ = (
        sa.Index(None, "owner_id", "name_sort", "id", postgresql_where=ALIVE),
        sa.Index(None, "team_id", "name_sort", "id", postgresql_where=ALIVE),
        sa.Index(None, "name_sort", "id", postgresql_where=ALIVE),
        sa.Index(None, "group_id", "name_sort", "id", postgresql_where=ALIVE),
        sa.Index(None, "sku", postgresql_where=sa.text("sku IS NOT NULL")),
    )

    name: Mapped[str]
    name_sort: Mapped[str] = mapped_column(sa.Text(collation="C"), default="", server_default="")
    sku: Mapped[str | None]
    kind: Mapped[str] = mapped_column(default="goods", server_default="goods")
    unit: Mapped[str] = mapped_column(default="pcs", server_default="pcs")
    price: Mapped[Decimal | None]
    currency: Mapped[str] = mapped_column(sa.CHAR(3), default="RUB", server_default="RUB")
    cost: Mapped[Decimal | None]
    vat_code: Mapped[str | None]
    group_id: Mapped[int | None] = mapped_column(sa.ForeignKey("deals_group.id", ondelete="RESTRICT"))
    active: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    description: Mapped[str | None]


class VatRate(Base):
    """A rate of VAT from a day on."""

    __tablename__ = "deals_vat_rate"
    __table_args__ = (sa.UniqueConstraint("code", "since"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    code: Mapped[str]
    title: Mapped[str] = mapped_column(default="", server_default="")
    """Of the company's own; empty: what the code is called."""
    rate: Mapped[Decimal | None] = mapped_column(sa.Numeric(5, 2))
    """In percent; None: without VAT."""
    since: Mapped[dt.date]
    position: Mapped[int] = mapped_column(default=0, server_default="0")


class Rate(Base):
    """What one unit of a currency is worth in the company's currency, from a day on."""

    __tablename__ = "deals_rate"
    __table_args__ = (sa.UniqueConstraint("currency", "since"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    currency: Mapped[str] = mapped_column(sa.CHAR(3))
    since: Mapped[dt.date]
    rate: Mapped[Decimal] = mapped_column(sa.Numeric(19, 8))


class DateKind(Base):
    """A kind of date that a deal may have: contract, payment, end of warranty."""

    __tablename__ = "deals_date_kind"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    code: Mapped[str | None] = mapped_column(unique=True)
    """Of a kind that ships, whose title is translated while nobody changed it."""
    title: Mapped[str | None]
    position: Mapped[int] = mapped_column(default=0, server_default="0")
    remind_days: Mapped[int | None]
    """So many days before it the responsible is reminded; None: not at all."""
    archived: Mapped[bool] = mapped_column(default=False, server_default=sa.false())


class LossReason(RecordMixin, Base):
    """Why deals are refused."""

    __tablename__ = "deals_reason"
    __table_args__ = (
        sa.Index(None, "owner_id", "position", "id"),
        sa.Index(None, "team_id", "position", "id"),
    )

    name: Mapped[str]
    position: Mapped[int] = mapped_column(default=0, server_default="0")
