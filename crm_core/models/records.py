"""What stands beside records of every entity: search text, addresses, shares, tags, files, views, imports."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Mapped, mapped_column

from crm_core import clock
from crm_core.db import Base, RecordMixin
from crm_core.models.accounts import Versioned


class SearchText(Base):
    """What a record is found by, with its owner and department, so that search needs no other table."""

    __tablename__ = "core_search"
    __table_args__ = (
        sa.Index("ix_core_search_trigram", "text", postgresql_using="gin", postgresql_ops={"text": "gin_trgm_ops"}),
    )

    entity: Mapped[str] = mapped_column(primary_key=True)
    record_id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    sort: Mapped[str] = mapped_column(sa.Text(collation="C"), default="", server_default="")
    """The record's default sort key, so that what is found can be ordered here; records in the trash have no row."""
    owner_id: Mapped[int | None]
    team_id: Mapped[int | None]


class Address(Base):
    """A telephone number or e-mail address of a record in its normal form: how callers and doubles are found."""

    __tablename__ = "core_address"
    __table_args__ = (sa.Index(None, "kind", "value"), sa.Index(None, "entity", "record_id"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    entity: Mapped[str]
    record_id: Mapped[int]
    kind: Mapped[str]
    """`phone` (E.164) or `email` (lower case)."""
    value: Mapped[str]
    main: Mapped[bool] = mapped_column(default=False)


class Grant(Base):
    """Shares one record with a person, a department or a role."""

    __tablename__ = "core_grant"
    __table_args__ = (
        sa.UniqueConstraint("entity", "record_id", "principal_id"),
        sa.Index(None, "principal_id", "entity", "record_id"),
        sa.CheckConstraint("level IN ('view','edit')", name="level"),
    )

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    entity: Mapped[str]
    record_id: Mapped[int]
    principal_id: Mapped[int] = mapped_column(sa.ForeignKey("core_principal.id", ondelete="RESTRICT"))
    level: Mapped[str] = mapped_column(default="view")
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    created_by: Mapped[int | None]


class Tag(Versioned, Base):
    """A word put on records; records hold the ids, so that a tag can be renamed."""

    __tablename__ = "core_tag"
    __table_args__ = (sa.Index("uq_core_tag_name", sa.text("lower(name)"), unique=True),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    name: Mapped[str]
    colour: Mapped[str] = mapped_column(default="", server_default="")


class CustomField(Versioned, Base):
    """A field made in the browser; its values are in `extra` of the records under `key`."""

    __tablename__ = "core_field"
    __table_args__ = (sa.UniqueConstraint("key"), sa.Index(None, "entity"))

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    entity: Mapped[str]
    key: Mapped[str]
    """`cf_<number>`: never used again, a changed type makes a new one."""
    kind: Mapped[str]
    title: Mapped[str]
    help: Mapped[str] = mapped_column(default="", server_default="")
    section: Mapped[str] = mapped_column(default="", server_default="")
    position: Mapped[int] = mapped_column(default=50, server_default="50")
    options: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    required: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    is_unique: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    indexed: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    replaces: Mapped[str | None]
    deleted_at: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class Blob(Base):
    """A stored content, once, under its digest; the bytes are in the data folder."""

    __tablename__ = "core_blob"

    digest: Mapped[str] = mapped_column(primary_key=True)
    """SHA-256 in hexadecimal."""
    size: Mapped[int]
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class File(RecordMixin, Base):
    """A file on a record; seen by those who see the record."""

    __tablename__ = "core_file"
    __table_args__ = (
        sa.Index(None, "subject_entity", "subject_id", "id"),
        sa.Index(None, "owner_id", "id"),
        sa.Index(None, "digest"),
    )

    name: Mapped[str]
    digest: Mapped[str] = mapped_column(sa.ForeignKey("core_blob.digest", ondelete="RESTRICT"))
    size: Mapped[int]
    content_type: Mapped[str]
    """Found from the content, never believed from the sender."""
    subject_entity: Mapped[str]
    subject_id: Mapped[int]


class SavedView(Versioned, Base):
    """A list as someone wants to see it again: filters, order, columns."""

    __tablename__ = "core_view"
    __table_args__ = (sa.Index(None, "entity"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    entity: Mapped[str]
    name: Mapped[str]
    owner_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    query: Mapped[dict[str, Any]] = mapped_column(default=dict)
    shared: Mapped[str] = mapped_column(default="")
    """Empty: own; `team`: the department's; `all`: everybody's."""
    team_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_team.id", ondelete="RESTRICT"))
    pinned: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    position: Mapped[int] = mapped_column(default=50, server_default="50")
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)


class Favourite(Base):
    """A record or page that someone keeps in the menu."""

    __tablename__ = "core_favourite"
    __table_args__ = (sa.UniqueConstraint("user_id", "href"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="CASCADE"))
    href: Mapped[str]
    title: Mapped[str]
    entity: Mapped[str | None]
    record_id: Mapped[int | None]


class Reference(Base):
    """Says that a column of a table points at records; kept while the table is, also when its plugin is off."""

    __tablename__ = "core_reference"

    table_name: Mapped[str] = mapped_column(primary_key=True)
    column_name: Mapped[str] = mapped_column(primary_key=True)
    plugin: Mapped[str]
    kind: Mapped[str]
    entity: Mapped[str | None]
    on_delete: Mapped[str]
    personal: Mapped[bool] = mapped_column(default=False)


class Merged(Base):
    """Where a record went that was merged into another, so that old links and numbers still lead on."""

    __tablename__ = "core_merged"

    entity: Mapped[str] = mapped_column(primary_key=True)
    record_id: Mapped[int] = mapped_column(primary_key=True)
    into_id: Mapped[int]
    operation_id: Mapped[int]


class Snapshot(Base):
    """A list as it stood at an instant, made once by a job and then paged like any list."""

    __tablename__ = "core_snapshot"
    __table_args__ = (sa.Index(None, "entity", "at"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    entity: Mapped[str]
    at: Mapped[dt.datetime]
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="CASCADE"))
    rights_epoch: Mapped[int]
    query: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    state: Mapped[str] = mapped_column(default="running")


class SnapshotRow(Base):
    """One record of a snapshot, whole."""

    __tablename__ = "core_snapshot_row"
    __table_args__ = (sa.Index(None, "snapshot_id", "sort", "record_id"),)

    snapshot_id: Mapped[int] = mapped_column(sa.ForeignKey("core_snapshot.id", ondelete="CASCADE"), primary_key=True)
    record_id: Mapped[int] = mapped_column(primary_key=True)
    sort: Mapped[str]
    row: Mapped[dict[str, Any]]


class ImportRun(Base):
    """An import of a file: what was chosen, how far it is, what came of it."""

    __tablename__ = "core_import"
    __table_args__ = (sa.Index(None, "user_id", "created_at"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    entity: Mapped[str]
    user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    file_name: Mapped[str]
    digest: Mapped[str]
    """The uploaded content among the files."""
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Format, encoding, delimiter, sheet, mapping of columns, mode, key, owner, tag."""
    state: Mapped[str] = mapped_column(default="draft")
    """`draft`, `running`, `done`, `stopped` or `failed`."""
    job_id: Mapped[int | None]
    operation_id: Mapped[int | None]
    done_rows: Mapped[int] = mapped_column(default=0)
    """Rows whose outcome is committed: where to go on after a stop."""
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    error: Mapped[str] = mapped_column(default="")


class ImportReject(Base):
    """A row that was not taken, as it was, with the reasons."""

    __tablename__ = "core_import_reject"

    import_id: Mapped[int] = mapped_column(sa.ForeignKey("core_import.id", ondelete="CASCADE"), primary_key=True)
    row_number: Mapped[int] = mapped_column(primary_key=True)
    cells: Mapped[list[str]] = mapped_column(pg.ARRAY(sa.Text()))
    reasons: Mapped[list[dict[str, Any]]]
    """Each with `field`, `code`, `message` and `values`."""


class ImportWarning(Base):
    """Something that was mended or left out in a row that was taken."""

    __tablename__ = "core_import_warning"
    __table_args__ = (sa.Index(None, "import_id", "row_number"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    import_id: Mapped[int] = mapped_column(sa.ForeignKey("core_import.id", ondelete="CASCADE"))
    row_number: Mapped[int]
    record_id: Mapped[int | None]
    reasons: Mapped[list[dict[str, Any]]]


class ImportPreset(Base):
    """How columns were mapped the last time a file had these headers."""

    __tablename__ = "core_import_preset"
    __table_args__ = (sa.UniqueConstraint("entity", "header_digest"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    entity: Mapped[str]
    header_digest: Mapped[str]
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    updated_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
