"""The change log: operations, the changes the database itself writes down, and the seals over them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from crm_core import clock
from crm_core.db import Base

#: States of an operation; one of many transactions is `running` until its last batch.
RUNNING, DONE, STOPPED = "running", "done", "stopped"


class Operation(Base):
    """Who changed something, when, from where and why: the unit that is shown in history and undone."""

    __tablename__ = "core_operation"
    __table_args__ = (
        sa.Index(None, "at"),
        sa.Index(None, "user_id", "at"),
        sa.CheckConstraint("state IN ('running','done','stopped')", name="state"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="SET NULL"))
    """Nobody for what the system does by itself."""
    kind: Mapped[str]
    """What was done: `create`, `edit`, `delete`, `restore`, `bulk`, `import`, `undo`, `settings`, ..."""
    source: Mapped[str] = mapped_column(default="web")
    """From where: `web`, `api`, `job`, `cli`, `migration`."""
    entity: Mapped[str | None]
    record_id: Mapped[int | None]
    """The record it was about, when it was one."""
    note: Mapped[str] = mapped_column(default="", server_default="")
    """What is shown of it besides: a file's name, a reason."""
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    state: Mapped[str] = mapped_column(default=DONE)
    undoes_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_operation.id"))
    undone_by: Mapped[int | None] = mapped_column(sa.ForeignKey("core_operation.id"))
    address: Mapped[str] = mapped_column(default="", server_default="")


class Change(Base):
    """What one operation did to one record: the fields that differ, before and after, by field name.

    Rows are written by triggers only; `id` is the `version` the record has after the change.
    """

    __tablename__ = "core_change"
    __table_args__ = (
        sa.Index(None, "entity", "record_id", "id"),
        sa.Index(None, "parent_entity", "parent_id", "id", postgresql_where=sa.text("parent_id IS NOT NULL")),
        sa.Index(None, "operation_id", "id"),
        sa.Index("ix_core_change_unsealed", "id", postgresql_where=sa.text("block IS NULL")),
        sa.Index(None, "block", postgresql_where=sa.text("block IS NOT NULL")),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(primary_key=True)
    operation_id: Mapped[int]
    entity: Mapped[str]
    record_id: Mapped[int]
    parent_entity: Mapped[str | None]
    parent_id: Mapped[int | None]
    action: Mapped[str]
    """`insert`, `update` or `delete`."""
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    xid: Mapped[int]
    salt: Mapped[str | None]
    digest: Mapped[bytes]
    block: Mapped[int | None]


class Seal(Base):
    """A block of committed changes closed by a chained digest; altering, removing or adding a row breaks it."""

    __tablename__ = "core_seal"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    rows: Mapped[int]
    digest: Mapped[bytes]
    """SHA-256 over the previous seal's digest and those of the rows in order of id."""
