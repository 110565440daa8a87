"""Pipelines and their stages: the ways that deals go."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Mapped, mapped_column

from crm_core.db import Base, RecordMixin

OPEN, WON, LOST = "open", "won", "lost"
"""What a stage means for its deals."""


class Pipeline(RecordMixin, Base):
    """A way from a first talk to money: its stages stand in an order."""

    __tablename__ = "deals_pipeline"
    __table_args__ = (
        sa.Index(None, "owner_id", "position", "id"),
        sa.Index(None, "team_id", "position", "id"),
    )

    name: Mapped[str]
    position: Mapped[int] = mapped_column(default=0, server_default="0")
    active: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    """Whether new deals may enter it; what is inside stays."""
    currency: Mapped[str | None] = mapped_column(sa.CHAR(3))
    """Of its new deals; empty: the company's."""


class Stage(RecordMixin, Base):
    """A stage of a pipeline, with the rules of entering it."""

    __tablename__ = "deals_stage"
    __table_args__ = (
        sa.Index(None, "owner_id", "place", "id"),
        sa.Index(None, "team_id", "place", "id"),
        sa.Index(None, "pipeline_id", "position", "id"),
        sa.CheckConstraint("kind IN ('open','won','lost')", name="kind"),
        sa.CheckConstraint("probability BETWEEN 0 AND 100", name="probability"),
    )

    pipeline_id: Mapped[int] = mapped_column(sa.ForeignKey("deals_pipeline.id", ondelete="RESTRICT"))
    name: Mapped[str]
    title: Mapped[str] = mapped_column(default="", server_default="")
    """Derived: the name, with the pipeline's where there are several."""
    position: Mapped[int] = mapped_column(default=0, server_default="0")
    place: Mapped[int] = mapped_column(default=0, server_default="0")
    """Derived: the order among the stages of all pipelines."""
    probability: Mapped[int] = mapped_column(default=0, server_default="0")
    color: Mapped[str] = mapped_column(default="gray", server_default="gray")
    kind: Mapped[str] = mapped_column(default=OPEN, server_default=OPEN)
    rot_days: Mapped[int | None]
    """After so many days without a move a deal here is told to be stuck."""
    required_fields: Mapped[list[str]] = mapped_column(pg.JSONB(), default=list, server_default="[]")
    """Fields of a deal that must be filled in to enter."""
    allowed_to: Mapped[list[int] | None] = mapped_column(pg.JSONB(none_as_null=True))
    """Stages one may move to from here; None: any. Refusing is possible from everywhere."""
    mover_roles: Mapped[list[str] | None] = mapped_column(pg.JSONB(none_as_null=True))
    """Roles that may move deals here; None: whoever may edit the deal."""
