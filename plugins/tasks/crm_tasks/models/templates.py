"""Sets of tasks that are made together, by hand or by a fact."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from crm_core.db import Base


class TemplateSet(Base):
    """A set of tasks, and what starts it by itself."""

    __tablename__ = "tasks_template_set"
    __table_args__ = (sa.Index(None, "trigger_event"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    name: Mapped[str]
    entity: Mapped[str] = mapped_column(default="", server_default="")
    """For records of which entity it is offered; empty: any."""
    trigger_event: Mapped[str] = mapped_column(default="", server_default="")
    """The name of a fact that starts it; empty: by hand only."""
    trigger_entity: Mapped[str | None]
    trigger_id: Mapped[int | None]
    """The record that the fact must tell of beside its own: the stage of `deals.deal.stage_changed`."""
    active: Mapped[bool] = mapped_column(default=True, server_default=sa.text("true"))
    position: Mapped[int] = mapped_column(default=0, server_default="0")


class Template(Base):
    """One task of a set."""

    __tablename__ = "tasks_template"
    __table_args__ = (sa.Index(None, "set_id", "position", "id"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    set_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks_template_set.id", ondelete="RESTRICT"))
    title: Mapped[str]
    kind: Mapped[str] = mapped_column(default="todo", server_default="todo")
    priority: Mapped[str] = mapped_column(default="normal", server_default="normal")
    due_days: Mapped[int] = mapped_column(default=0, server_default="0")
    """Working days from the day on which the set is started."""
    due_time: Mapped[str] = mapped_column(default="", server_default="")
    """`15:00`; empty: any time of that day."""
    duration_min: Mapped[int | None]
    assignee: Mapped[str] = mapped_column(default="responsible", server_default="responsible")
    """`responsible` for the record, `starter`, `role` or `person`."""
    role: Mapped[str | None]
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    text: Mapped[str | None]
    checklist: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    position: Mapped[int] = mapped_column(default=0, server_default="0")
