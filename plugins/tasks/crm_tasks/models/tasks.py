"""Tasks, and what stands beside them: checklist, observers, dependencies, reminders, the trace of delegation."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from crm_core import clock
from crm_core.db import Base, RecordMixin, RecordRef

ALIVE = sa.text("deleted_at IS NULL")
TRASHED = sa.text("deleted_at IS NOT NULL")
OPEN_ALIVE = sa.text("deleted_at IS NULL AND completed_at IS NULL")


class Task(RecordMixin, Base):
    """Something to be done by somebody (`owner_id`), asked for by somebody (`created_by`), perhaps about a record."""

    __tablename__ = "tasks_task"
    __table_args__ = (
        sa.Index(None, "owner_id", "sort_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "team_id", "sort_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "created_by", "sort_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "sort_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "subject_entity", "subject_id", "completed_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "subject_entity", "subject_id", "sort_at", "id", postgresql_where=OPEN_ALIVE),
        sa.Index(None, "owner_id", "completed_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "due_at", "id", postgresql_where=OPEN_ALIVE),
        sa.Index(None, "parent_id", postgresql_where=sa.text("parent_id IS NOT NULL")),
        sa.Index(
            "uq_tasks_task_series_id_occurrence",
            "series_id",
            "occurrence",
            unique=True,
            postgresql_where=sa.text("series_id IS NOT NULL"),
        ),
        sa.Index("uq_tasks_task_origin", "origin", unique=True, postgresql_where=sa.text("origin IS NOT NULL")),
        sa.Index(None, "owner_id", "tags", postgresql_using="gin"),
        sa.Index(None, "deleted_at", "id", postgresql_where=TRASHED),
    )

    title: Mapped[str]
    kind: Mapped[str] = mapped_column(default="todo", server_default="todo")
    subject_entity: Mapped[str | None]
    subject_id: Mapped[int | None]
    state: Mapped[str] = mapped_column(default="open", server_default="open")
    priority: Mapped[str] = mapped_column(default="normal", server_default="normal")
    start_at: Mapped[dt.datetime | None]
    due_at: Mapped[dt.datetime | None]
    """The instant by which it is to be done; of a task for a whole day, the last second of that day in `zone`."""
    all_day: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    due_day: Mapped[dt.date | None]
    """Derived: the day on which it is due, as the wall calendar of `zone` says."""
    zone: Mapped[str] = mapped_column(default="", server_default="")
    """In which the due was meant: where clocks move, wall time stays."""
    duration_min: Mapped[int | None]
    progress: Mapped[int] = mapped_column(default=0, server_default="0")
    progress_by_hand: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    """Whether somebody set the progress himself, so that checklist and subtasks do not."""
    result: Mapped[str | None]
    completed_at: Mapped[dt.datetime | None]
    """When it was done or cancelled."""
    completed_by: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("tasks_task.id", ondelete="RESTRICT"))
    series_id: Mapped[int | None] = mapped_column(sa.ForeignKey("tasks_series.id", ondelete="RESTRICT"))
    occurrence: Mapped[str | None]
    """Which one of its series: the local date and time that the rule gave, whatever it was moved to since."""
    template_id: Mapped[int | None] = mapped_column(sa.ForeignKey("tasks_template.id", ondelete="SET NULL"))
    origin: Mapped[str | None]
    """What it was made for, where that makes one only: `calls.call:17`."""
    place: Mapped[str | None]
    text: Mapped[str | None]
    sort_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    """Derived: the due; far away without one, farther when it is done."""

    @property
    def subject(self) -> RecordRef | None:
        """The record it is about, if any."""
        if self.subject_entity is None or self.subject_id is None:
            return None
        return RecordRef(self.subject_entity, self.subject_id)


class ChecklistItem(Base):
    """A line of the checklist of a task."""

    __tablename__ = "tasks_checklist_item"
    __table_args__ = (sa.Index(None, "task_id", "position", "id"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    task_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks_task.id", ondelete="RESTRICT"))
    title: Mapped[str]
    done: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    position: Mapped[int] = mapped_column(default=0, server_default="0")


class Observer(Base):
    """Somebody who watches a task: he sees it and is told of it."""

    __tablename__ = "tasks_observer"
    __table_args__ = (sa.UniqueConstraint("task_id", "user_id"), sa.Index(None, "user_id", "task_id"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    task_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks_task.id", ondelete="RESTRICT"))
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))


class Dependency(Base):
    """Says that a task cannot be begun before another one is done."""

    __tablename__ = "tasks_dependency"
    __table_args__ = (
        sa.UniqueConstraint("task_id", "needs_id"),
        sa.Index(None, "needs_id"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    task_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks_task.id", ondelete="RESTRICT"))
    needs_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks_task.id", ondelete="RESTRICT"))


class Reminder(Base):
    """When somebody is reminded of a task, counted back from its due."""

    __tablename__ = "tasks_reminder"
    __table_args__ = (sa.Index(None, "task_id"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    task_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks_task.id", ondelete="RESTRICT"))
    minutes_before: Mapped[int | None]
    """None: as the company set it; for a whole day, counted back from the morning of that day."""
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    """None: whoever is to do it."""


class Delegation(Base):
    """The trace of a task from hand to hand."""

    __tablename__ = "tasks_delegation"
    __table_args__ = (sa.Index(None, "task_id", "id"), sa.UniqueConstraint("task_id", "operation_id"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    task_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks_task.id", ondelete="RESTRICT"))
    operation_id: Mapped[int]
    """The operation in which it went; one step of the way for each."""
    from_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    to_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    by_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    note: Mapped[str | None]


class OverdueMark(Base):
    """Remembers that people were told that a task is overdue: once for each due."""

    __tablename__ = "tasks_overdue_mark"
    __table_args__ = (sa.UniqueConstraint("task_id", "due_at"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    # No foreign key: it says what was told, and must not keep a task from being taken back.
    task_id: Mapped[int]
    due_at: Mapped[dt.datetime]
    told_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    escalated_at: Mapped[dt.datetime | None]
