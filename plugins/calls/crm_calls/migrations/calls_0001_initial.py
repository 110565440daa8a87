"""Calls, lines, gateways and how the connection to each of them is."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alembic import op
from crm_core.db import add_reference, log_table, record_columns

revision = "calls_0001_initial"
down_revision = None
branch_labels = None
depends_on = None

ALIVE = sa.text("deleted_at IS NULL")
TRASHED = sa.text("deleted_at IS NOT NULL")
OPEN = sa.text("ended_at IS NULL AND deleted_at IS NULL")
UNKNOWN = sa.text("subject_id IS NULL AND number <> '' AND deleted_at IS NULL")


def _stamps() -> list[sa.Column]:
    return [
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True)),
        sa.Column("updated_by", sa.BigInteger()),
    ]


def upgrade() -> None:
    """Make the tables, their indexes, their triggers, and say what points where."""
    op.create_table(
        "calls_gateway",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("adapter", sa.Text(), nullable=False),
        sa.Column("settings", pg.JSONB(), nullable=False, server_default="{}"),
        sa.Column("password", sa.LargeBinary()),
        sa.Column("secret", sa.LargeBinary()),
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *_stamps(),
    )
    op.create_table(
        "calls_link",
        sa.Column(
            "gateway_id", sa.BigInteger(), sa.ForeignKey("calls_gateway.id", ondelete="RESTRICT"), primary_key=True
        ),
        sa.Column("connected_at", sa.DateTime(timezone=True)),
        sa.Column("heard_at", sa.DateTime(timezone=True)),
        sa.Column("failed_at", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text(), nullable=False, server_default=""),
    )
    op.create_table(
        "calls_line",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column(
            "gateway_id", sa.BigInteger(), sa.ForeignKey("calls_gateway.id", ondelete="RESTRICT"), nullable=False
        ),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), sa.ForeignKey("core_user.id", ondelete="RESTRICT")),
        sa.Column("team_id", sa.BigInteger(), sa.ForeignKey("core_team.id", ondelete="RESTRICT")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *_stamps(),
        sa.UniqueConstraint("gateway_id", "number"),
    )
    op.create_index(None, "calls_line", ["user_id"])
    op.create_table(
        "calls_call",
        *record_columns(),
        sa.Column("gateway_id", sa.BigInteger(), sa.ForeignKey("calls_gateway.id", ondelete="RESTRICT")),
        sa.Column("foreign_id", sa.Text()),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("result", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("number", sa.Text(), nullable=False, server_default=""),
        sa.Column("phones", pg.JSONB(), nullable=False, server_default="[]"),
        sa.Column("caption", sa.Text(), nullable=False, server_default=""),
        sa.Column("line", sa.Text()),
        sa.Column("path", pg.ARRAY(sa.Text()), nullable=False, server_default="{}"),
        sa.Column("rang", pg.ARRAY(sa.BigInteger()), nullable=False, server_default="{}"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("dialled_at", sa.DateTime(timezone=True)),
        sa.Column("duration_s", sa.BigInteger()),
        sa.Column("subject_entity", sa.Text()),
        sa.Column("subject_id", sa.BigInteger()),
        sa.Column("person_id", sa.BigInteger(), sa.ForeignKey("clients_person.id", ondelete="RESTRICT")),
        sa.Column("company_id", sa.BigInteger(), sa.ForeignKey("clients_company.id", ondelete="RESTRICT")),
        sa.Column("recording", sa.Text(), sa.ForeignKey("core_blob.digest", ondelete="RESTRICT")),
        sa.Column("recording_type", sa.Text()),
        sa.Column("recording_size", sa.BigInteger()),
        sa.Column("comment", sa.Text()),
        sa.UniqueConstraint("gateway_id", "foreign_id"),
        sa.CheckConstraint("direction IN ('in','out')", name="direction"),
        sa.CheckConstraint("status IN ('ringing','answered','ended','missed','failed')", name="status"),
    )
    for columns in (
        ["owner_id", "started_at", "id"],
        ["team_id", "started_at", "id"],
        ["started_at", "id"],
        ["subject_entity", "subject_id", "started_at", "id"],
    ):
        op.create_index(None, "calls_call", columns, postgresql_where=ALIVE)
    op.create_index(None, "calls_call", ["rang"], postgresql_using="gin")
    op.create_index("ix_calls_call_open", "calls_call", ["started_at"], postgresql_where=OPEN)
    op.create_index("ix_calls_call_unknown", "calls_call", ["number", "started_at", "id"], postgresql_where=UNKNOWN)
    for column in ("person_id", "company_id", "recording"):
        op.create_index(None, "calls_call", [column])
    op.create_index(None, "calls_call", ["deleted_at", "id"], postgresql_where=TRASHED)

    log_table(op, "calls_gateway", "calls.gateway", secret=("password", "secret"))
    log_table(op, "calls_line", "calls.line")
    log_table(op, "calls_call", "calls.call", parent="subject")

    for column in ("owner_id", "created_by"):
        add_reference(op, "calls", "calls_call", column, kind="user")
    add_reference(op, "calls", "calls_line", "user_id", kind="user")
    add_reference(op, "calls", "calls_call", "subject", kind="soft", on_delete="with", personal=True)
    add_reference(op, "calls", "calls_call", "person_id", entity="clients.person", on_delete="null", personal=True)
    add_reference(op, "calls", "calls_call", "company_id", entity="clients.company", on_delete="null")


def downgrade() -> None:
    """Drop the tables; their triggers and indexes go with them."""
    op.execute("DELETE FROM core_reference WHERE plugin = 'calls'")
    for table in ("calls_call", "calls_line", "calls_link", "calls_gateway"):
        op.drop_table(table)
