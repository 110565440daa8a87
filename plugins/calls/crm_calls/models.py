"""The tables of telephony: calls, lines of people, gateways, and how the connection to each gateway is."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, composite, mapped_column

from crm_core import clock
from crm_core.db import Base, RecordMixin, RecordRef
from crm_core.models.accounts import Versioned

ALIVE = sa.text("deleted_at IS NULL")
TRASHED = sa.text("deleted_at IS NOT NULL")
OPEN = sa.text("ended_at IS NULL AND deleted_at IS NULL")
UNKNOWN = sa.text("subject_id IS NULL AND number <> '' AND deleted_at IS NULL")


class Gateway(Versioned, Base):
    """A telephone exchange or provider that tells of calls and may be asked to dial; deactivated, never deleted."""

    __tablename__ = "calls_gateway"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    name: Mapped[str]
    adapter: Mapped[str]
    """Name of the adapter that talks to it; one that is not installed leaves the gateway silent."""
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """What the adapter asks for, without passwords."""
    password: Mapped[bytes | None]
    """Of the adapter, sealed."""
    secret: Mapped[bytes | None]
    """By which the HTTP contract is signed, sealed."""
    active: Mapped[bool] = mapped_column(default=True, server_default=sa.text("true"))
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class Link(Base):
    """How the connection to a gateway is just now."""

    __tablename__ = "calls_link"

    gateway_id: Mapped[int] = mapped_column(sa.ForeignKey("calls_gateway.id", ondelete="RESTRICT"), primary_key=True)
    connected_at: Mapped[dt.datetime | None]
    heard_at: Mapped[dt.datetime | None]
    """When it last told of a call."""
    failed_at: Mapped[dt.datetime | None]
    error: Mapped[str] = mapped_column(default="", server_default="")


class Line(Versioned, Base):
    """An internal number of a gateway: a person's own, or one that rings for a department."""

    __tablename__ = "calls_line"
    __table_args__ = (sa.UniqueConstraint("gateway_id", "number"), sa.Index(None, "user_id"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    gateway_id: Mapped[int] = mapped_column(sa.ForeignKey("calls_gateway.id", ondelete="RESTRICT"))
    number: Mapped[str]
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    team_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_team.id", ondelete="RESTRICT"))
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class Call(RecordMixin, Base):
    """A call: who with whom, when, for how long, with what end; `owner_id` is who talked or is to call back."""

    __tablename__ = "calls_call"
    __table_args__ = (
        sa.UniqueConstraint("gateway_id", "foreign_id"),
        sa.Index(None, "owner_id", "started_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "team_id", "started_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "started_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "subject_entity", "subject_id", "started_at", "id", postgresql_where=ALIVE),
        sa.Index(None, "rang", postgresql_using="gin"),
        sa.Index("ix_calls_call_open", "started_at", postgresql_where=OPEN),
        sa.Index("ix_calls_call_unknown", "number", "started_at", "id", postgresql_where=UNKNOWN),
        sa.Index(None, "person_id"),
        sa.Index(None, "company_id"),
        sa.Index(None, "recording"),
        sa.Index(None, "deleted_at", "id", postgresql_where=TRASHED),
        sa.CheckConstraint("direction IN ('in','out')", name="direction"),
        sa.CheckConstraint("status IN ('ringing','answered','ended','missed','failed')", name="status"),
    )

    gateway_id: Mapped[int | None] = mapped_column(sa.ForeignKey("calls_gateway.id", ondelete="RESTRICT"))
    foreign_id: Mapped[str | None]
    """What the gateway calls it: by it the events of one call find one another."""
    direction: Mapped[str]
    status: Mapped[str]
    result: Mapped[str | None]
    """How it ended in the words of telephony: answered, no_answer, busy, cancelled, failed, lost."""
    reason: Mapped[str | None]
    """Why a call by a click did not come about."""
    number: Mapped[str] = mapped_column(default="", server_default="")
    """The other side's, E.164 where it is a real one; empty: hidden."""
    phones: Mapped[list[dict[str, Any]]] = mapped_column(default=list, server_default="[]")
    """Derived: the number as fields show it, to be called and searched."""
    caption: Mapped[str] = mapped_column(default="", server_default="")
    """Derived: the number as people write it."""
    line: Mapped[str | None]
    """The internal number that talked, or the last one that rang."""
    path: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    """Internal numbers that talked, in order: more than one is a transfer."""
    rang: Mapped[list[int]] = mapped_column(default=list, server_default="{}")
    """People on whose lines it rang."""
    started_at: Mapped[dt.datetime]
    answered_at: Mapped[dt.datetime | None]
    ended_at: Mapped[dt.datetime | None]
    dialled_at: Mapped[dt.datetime | None]
    """When the gateway was asked to dial: it is never asked twice."""
    duration_s: Mapped[int | None]
    """Of the talk itself."""
    subject_entity: Mapped[str | None]
    subject_id: Mapped[int | None]
    subject: Mapped[RecordRef | None] = composite(
        lambda entity, number: None if entity is None or number is None else RecordRef(entity, number),
        "subject_entity",
        "subject_id",
    )
    """The client."""
    person_id: Mapped[int | None] = mapped_column(sa.ForeignKey("clients_person.id", ondelete="RESTRICT"))
    company_id: Mapped[int | None] = mapped_column(sa.ForeignKey("clients_company.id", ondelete="RESTRICT"))
    recording: Mapped[str | None] = mapped_column(sa.ForeignKey("core_blob.digest", ondelete="RESTRICT"))
    recording_type: Mapped[str | None]
    recording_size: Mapped[int | None]
    comment: Mapped[str | None]
