"""Jobs, schedules, deliveries, letters and notifications: what happens outside requests."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Mapped, mapped_column

from crm_core import clock
from crm_core.db import Base


class JobRow(Base):
    """A piece of work that will be done: the row is the truth, the message in Redis only a nudge."""

    __tablename__ = "core_job"
    __table_args__ = (
        sa.Index(
            "ix_core_job_due", "queue", "run_at", "id", postgresql_where=sa.text("state IN ('waiting','running')")
        ),
        sa.Index(
            "uq_core_job_key", "key", unique=True, postgresql_where=sa.text("key IS NOT NULL AND state = 'waiting'")
        ),
        sa.Index(None, "user_id", "id"),
        sa.Index("ix_core_job_finished", "finished_at"),
        sa.CheckConstraint("state IN ('waiting','running','done','failed','cancelled')", name="state"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    name: Mapped[str]
    queue: Mapped[str] = mapped_column(default="default")
    arguments: Mapped[dict[str, Any]] = mapped_column(default=dict)
    key: Mapped[str | None]
    """Of equal keys only one waits."""
    state: Mapped[str] = mapped_column(default="waiting")
    run_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=5)
    lease_until: Mapped[dt.datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    """Rises with each claim; a worker whose number is old may not commit."""
    worker: Mapped[str | None]
    deaths: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often its worker died since it last committed anything."""
    stop_asked: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    done_units: Mapped[int] = mapped_column(default=0, server_default="0")
    total_units: Mapped[int | None]
    message: Mapped[str] = mapped_column(default="", server_default="")
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str] = mapped_column(default="", server_default="")
    title: Mapped[str] = mapped_column(default="", server_default="")
    visible: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    started_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]


class Schedule(Base):
    """When a job that runs by the clock ran last and is due next."""

    __tablename__ = "core_schedule"

    name: Mapped[str] = mapped_column(primary_key=True)
    cron: Mapped[str]
    next_at: Mapped[dt.datetime]
    last_at: Mapped[dt.datetime | None]
    last_job: Mapped[int | None]


class DeliveryMixin:
    """Columns of a ledger of what goes out; states and the sender's loop are in `crm_core.delivery`."""

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    purpose: Mapped[str]
    step: Mapped[str] = mapped_column(default="")
    channel: Mapped[str]
    address_digest: Mapped[bytes]
    """HMAC of the normalised address: kept when the address itself is erased."""
    address: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="pending")
    claim: Mapped[str | None]
    claimed_at: Mapped[dt.datetime | None]
    attempted_at: Mapped[dt.datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    finished_at: Mapped[dt.datetime | None]
    code: Mapped[str] = mapped_column(default="", server_default="")
    answer: Mapped[str] = mapped_column(default="", server_default="")
    foreign_id: Mapped[str] = mapped_column(default="", server_default="")
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class Delivery(DeliveryMixin, Base):
    """A single letter, notification or webhook on its way."""

    __tablename__ = "core_delivery"
    __table_args__ = (
        sa.UniqueConstraint("purpose", "step", "channel", "address_digest"),
        sa.Index("ix_core_delivery_due", "due_at", "id", postgresql_where=sa.text("state IN ('pending','deferred')")),
        sa.Index(
            "ix_core_delivery_open",
            "state",
            "claimed_at",
            postgresql_where=sa.text("state IN ('claimed','attempting')"),
        ),
    )

    letter_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_letter.id", ondelete="SET NULL"))
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="SET NULL"))
    payload: Mapped[dict[str, Any]] = mapped_column(pg.JSONB(), default=dict)


class Letter(Base):
    """A letter as it was written; without a mail server this table is the local mailbox that administrators read."""

    __tablename__ = "core_letter"
    __table_args__ = (sa.Index(None, "created_at"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    recipient: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]
    html: Mapped[str] = mapped_column(default="")
    calendar: Mapped[str] = mapped_column(default="", server_default="")
    """An invitation as iCalendar, read by programs for calendars; its METHOD says what they do with it."""
    sender: Mapped[str] = mapped_column(default="")
    headers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    local: Mapped[bool] = mapped_column(default=False)
    """Whether it stayed here because no mail server is set."""
    secret: Mapped[bool] = mapped_column(default=False)
    """Whether it carries a link that gives access: its body is emptied once used or expired."""
    empty_at: Mapped[dt.datetime | None]
    """When the body of a secret letter is emptied."""
    read_at: Mapped[dt.datetime | None]


class Notification(Base):
    """Something a person should know, under the bell."""

    __tablename__ = "core_notification"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "key"),
        sa.Index("ix_core_notification_unread", "user_id", "id", postgresql_where=sa.text("read_at IS NULL")),
        sa.Index(None, "user_id", "id"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="CASCADE"))
    key: Mapped[str]
    """Unique for the person: the same fact is told once."""
    kind: Mapped[str]
    title: Mapped[str]
    """A message id; `values` fill it in, in the reader's language."""
    domain: Mapped[str] = mapped_column(default="crm_core")
    values: Mapped[dict[str, Any]] = mapped_column(pg.JSONB(), default=dict)
    entity: Mapped[str | None]
    record_id: Mapped[int | None]
    href: Mapped[str] = mapped_column(default="")
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    read_at: Mapped[dt.datetime | None]
    snoozed_until: Mapped[dt.datetime | None]
    count: Mapped[int] = mapped_column(sa.Integer(), default=1, server_default="1")
    """How many facts it gathers since it was read last."""
    bell: Mapped[bool] = mapped_column(default=True, server_default=sa.text("true"))
    """Whether it stands under the bell; False: it only goes out by other channels."""
