"""Price offers of deals: each is a file, and the number that stands on it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from crm_core import clock
from crm_core.db import Base


class Offer(Base):
    """A price offer as it went out: part of its deal's record, never changed."""

    __tablename__ = "deals_offer"
    __table_args__ = (sa.UniqueConstraint("deal_id", "version"), sa.UniqueConstraint("number", "version"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    deal_id: Mapped[int] = mapped_column(sa.ForeignKey("deals_deal.id", ondelete="RESTRICT"))
    number: Mapped[int]
    """The same for all offers of a deal."""
    version: Mapped[int]
    day: Mapped[dt.date]
    valid_until: Mapped[dt.date | None]
    total: Mapped[Decimal]
    currency: Mapped[str] = mapped_column(sa.CHAR(3))
    file_id: Mapped[int] = mapped_column(sa.ForeignKey("core_file.id", ondelete="RESTRICT"))
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
