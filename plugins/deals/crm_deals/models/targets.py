"""What is to be sold: an amount for a person, a department or a group of products, month by month."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from crm_core.db import Base


class Target(Base):
    """An amount to be won in a month, in the company's currency."""

    __tablename__ = "deals_target"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "team_id", "group_id", "month", postgresql_nulls_not_distinct=True),
        sa.CheckConstraint("num_nonnulls(user_id, team_id, group_id) = 1", name="of_one"),
        sa.CheckConstraint("extract(day FROM month) = 1", name="month"),
        sa.Index(None, "month"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    team_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_team.id", ondelete="RESTRICT"))
    group_id: Mapped[int | None] = mapped_column(sa.ForeignKey("deals_group.id", ondelete="RESTRICT"))
    month: Mapped[dt.date]
    """Its first day."""
    amount: Mapped[Decimal]
