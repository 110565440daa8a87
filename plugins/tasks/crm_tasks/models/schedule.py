"""Tables of the schedule: meetings and who was asked to them, days off, feeds for programs of calendars."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from crm_core import clock
from crm_core.db import Base
from crm_tasks.models.tasks import ALIVE, Task

sa.Index("ix_tasks_task_owner_id_due_at", Task.owner_id, Task.due_at, Task.id, postgresql_where=ALIVE)

#: Answers of guests, as iCalendar calls them but in small letters.
WAITED, ACCEPTED, TENTATIVE, DECLINED = "needs-action", "accepted", "tentative", "declined"
ANSWERS = (ACCEPTED, TENTATIVE, DECLINED)

VACATION, SICK, AWAY = "vacation", "sick", "away"


class Meeting(Base):
    """What the guests of a task were told: by its UID their calendars know it, by its sequence what is newer."""

    __tablename__ = "tasks_meeting"
    __table_args__ = (sa.UniqueConstraint("task_id"), sa.UniqueConstraint("uid"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    # No foreign key: taking back the making of a task must not be kept from it by letters that have gone out.
    task_id: Mapped[int]
    uid: Mapped[str]
    sequence: Mapped[int] = mapped_column(default=0, server_default="0")
    moved_sequence: Mapped[int] = mapped_column(default=0, server_default="0")
    """Since which sequence it is at this time: answers to earlier ones count no more."""
    cancelled: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    said: Mapped[str] = mapped_column(default="", server_default="")
    """Digest of what the guests were told last."""
    said_when: Mapped[str] = mapped_column(default="", server_default="")
    """When it is, as the guests were told last."""
    note: Mapped[str] = mapped_column(default="", server_default="")
    """What is written to the guests; the details of the task are for colleagues."""
    base_url: Mapped[str] = mapped_column(default="", server_default="")
    told: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """What was told to whom last: where the task and its guests are gone, this is what is called off."""
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class Guest(Base):
    """Somebody asked to a meeting: a colleague, a client's person or a plain address."""

    __tablename__ = "tasks_guest"
    __table_args__ = (
        sa.Index("uq_tasks_guest_task_id_email", "task_id", sa.text("lower(email)"), unique=True),
        sa.Index(None, "user_id", "task_id", postgresql_where=sa.text("user_id IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    task_id: Mapped[int] = mapped_column(sa.ForeignKey("tasks_task.id", ondelete="RESTRICT"))
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    client_entity: Mapped[str | None]
    client_id: Mapped[int | None]
    name: Mapped[str] = mapped_column(default="", server_default="")
    email: Mapped[str]
    answer: Mapped[str] = mapped_column(default=WAITED, server_default=WAITED)
    answered_at: Mapped[dt.datetime | None]
    told_sequence: Mapped[int] = mapped_column(default=-1, server_default="-1")
    """Of the last letter to this guest; -1: nothing was sent yet."""


class GuestKey(Base):
    """What the link of a letter to a guest opens, by its digest; one letter, one key, one meeting."""

    __tablename__ = "tasks_guest_key"
    __table_args__ = (sa.UniqueConstraint("digest"), sa.Index(None, "guest_id"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    # No foreign key: a guest may be taken off, and come back by undoing that.
    guest_id: Mapped[int]
    digest: Mapped[bytes]
    expires_at: Mapped[dt.datetime]


class DayOff(Base):
    """Days on which one person does not work."""

    __tablename__ = "tasks_day_off"
    __table_args__ = (sa.Index(None, "user_id", "ends"), sa.CheckConstraint("starts <= ends", name="order"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    starts: Mapped[dt.date]
    ends: Mapped[dt.date]
    """The last day, included."""
    kind: Mapped[str] = mapped_column(default=VACATION, server_default=VACATION)
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class Feed(Base):
    """A secret address by which a program for calendars reads one person's tasks; only its digest is here."""

    __tablename__ = "tasks_feed"
    __table_args__ = (sa.Index(None, "user_id"), sa.UniqueConstraint("digest"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    digest: Mapped[bytes]
    busy_only: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    details: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    """Whether the details of tasks are in it."""
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    read_at: Mapped[dt.datetime | None]
