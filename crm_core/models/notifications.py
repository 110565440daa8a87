"""Reminders, who follows what, what people chose to be told, and what of it is still to go out."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Mapped, mapped_column

from crm_core import clock
from crm_core.db import Base


class Reminder(Base):
    """Something a person will be told at an instant, once; the row stays afterwards, so that it is not told again."""

    __tablename__ = "core_reminder"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "key"),
        sa.Index("ix_core_reminder_due", "at", "id", postgresql_where=sa.text("fired_at IS NULL")),
        sa.Index("ix_core_reminder_key", "key", postgresql_ops={"key": "text_pattern_ops"}),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="CASCADE"))
    key: Mapped[str]
    at: Mapped[dt.datetime]
    kind: Mapped[str]
    title: Mapped[str]
    domain: Mapped[str]
    values: Mapped[dict[str, Any]] = mapped_column(pg.JSONB(), default=dict)
    entity: Mapped[str | None]
    record_id: Mapped[int | None]
    href: Mapped[str] = mapped_column(default="")
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    fired_at: Mapped[dt.datetime | None]


class Follow(Base):
    """A person who wants to hear what happens to a record."""

    __tablename__ = "core_follow"
    __table_args__ = (sa.Index(None, "entity", "record_id"),)

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="CASCADE"), primary_key=True)
    entity: Mapped[str] = mapped_column(primary_key=True)
    record_id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class NoticeChoice(Base):
    """One choice of a person that differs from the default: this kind of news by this channel, or not."""

    __tablename__ = "core_notice_choice"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    wanted: Mapped[bool]


class NoticeHours(Base):
    """When a person wants to be left alone, and when the letter of the day comes."""

    __tablename__ = "core_notice_hours"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="CASCADE"), primary_key=True)
    quiet_from: Mapped[int | None] = mapped_column(sa.Integer())
    """Minutes after midnight by the person's clock."""
    quiet_to: Mapped[int | None] = mapped_column(sa.Integer())
    quiet_weekends: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    digest: Mapped[str] = mapped_column(default="daily", server_default="daily")
    """`daily` or `hourly`."""
    digest_at: Mapped[int] = mapped_column(sa.Integer(), default=540, server_default="540")
    """Minutes after midnight at which the daily letter leaves."""
    muted_until: Mapped[dt.datetime | None]


class Notice(Base):
    """A notification on its way out by one channel: waiting until it may go, then told or dropped."""

    __tablename__ = "core_notice"
    __table_args__ = (
        sa.UniqueConstraint("notification_id", "channel"),
        sa.Index("ix_core_notice_due", "due_at", "id", postgresql_where=sa.text("state = 'waiting'")),
        sa.Index("ix_core_notice_waiting", "user_id", "channel", postgresql_where=sa.text("state = 'waiting'")),
        sa.Index(
            "ix_core_notice_told",
            "user_id",
            "channel",
            "thread",
            "told_at",
            postgresql_where=sa.text("told_at IS NOT NULL"),
        ),
        sa.CheckConstraint("state IN ('waiting','told','dropped')", name="state"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    # A notification that gathers more comes back on top under a new id.
    notification_id: Mapped[int] = mapped_column(
        sa.ForeignKey("core_notification.id", ondelete="CASCADE", onupdate="CASCADE")
    )
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="CASCADE"))
    channel: Mapped[str]
    thread: Mapped[str]
    """What it is about: of one thread there is at most one message in five minutes."""
    state: Mapped[str] = mapped_column(default="waiting")
    due_at: Mapped[dt.datetime]
    told_at: Mapped[dt.datetime | None]


class ChannelState(Base):
    """How a channel does: after several failures in a row nothing is tried until an instant."""

    __tablename__ = "core_channel"

    channel: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(sa.Integer(), default=0)
    open_until: Mapped[dt.datetime | None]
    """Until when nothing is tried; empty: all is well."""
    error: Mapped[str] = mapped_column(default="")
    changed_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
