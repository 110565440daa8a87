"""Leads, the forms and programs that bring them, and the rules by which they are handed out."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alembic import op
from crm_core.db import add_reference, log_table, record_columns

revision = "deals_0002_leads"
down_revision = "deals_0001_initial"
branch_labels = None
depends_on = None

ALIVE = sa.text("deleted_at IS NULL")
WAITING = sa.text("state = 'new' AND deleted_at IS NULL")
TRASHED = sa.text("deleted_at IS NOT NULL")


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True)


def _key(name: str, target: str, **more: object) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), sa.ForeignKey(f"{target}.id", ondelete="RESTRICT"), **more)


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)


def _stamps() -> list[sa.Column]:
    return [
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True)),
        sa.Column("updated_by", sa.BigInteger()),
    ]


def upgrade() -> None:
    """Make the tables, their indexes, their triggers, and say what points where."""
    op.create_table(
        "deals_lead_form",
        _id(),
        _text("token"),
        _text("name"),
        _text("title", ""),
        _text("intro", ""),
        _text("button", ""),
        sa.Column("fields", pg.JSONB(), nullable=False, server_default="{}"),
        _text("consent_text"),
        sa.Column("consent_version", sa.BigInteger(), nullable=False, server_default="1"),
        _text("thanks_text", ""),
        _text("thanks_url", ""),
        sa.Column("sites", pg.ARRAY(sa.Text()), nullable=False, server_default="{}"),
        _text("source", "site"),
        _key("pipeline_id", "deals_pipeline"),
        _text("locale", ""),
        *_stamps(),
        sa.UniqueConstraint("token"),
    )
    op.create_table(
        "deals_lead_intake",
        _id(),
        _text("token"),
        _text("name"),
        sa.Column("secret", sa.LargeBinary()),
        _text("source", "site"),
        _key("pipeline_id", "deals_pipeline"),
        *_stamps(),
        sa.UniqueConstraint("token"),
    )
    op.create_table(
        "deals_lead_rule",
        _id(),
        sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("source", sa.Text()),
        _key("form_id", "deals_lead_form"),
        _key("intake_id", "deals_lead_intake"),
        _text("way", "round"),
        sa.Column("user_ids", pg.ARRAY(sa.BigInteger()), nullable=False, server_default="{}"),
        sa.Column("term_minutes", sa.BigInteger(), nullable=False, server_default="30"),
        *_stamps(),
        sa.CheckConstraint("way IN ('round','least','person')", name="way"),
    )
    op.create_table(
        "deals_lead_turn",
        _key("rule_id", "deals_lead_rule", primary_key=True),
        _key("user_id", "core_user", nullable=False),
    )
    _make_leads()
    log_table(op, "deals_lead_form", "deals.lead_form")
    log_table(op, "deals_lead_intake", "deals.lead_intake", secret=("secret",))
    log_table(op, "deals_lead_rule", "deals.lead_rule")
    log_table(op, "deals_lead", "deals.lead")
    for table, column in (
        ("deals_lead", "owner_id"),
        ("deals_lead", "created_by"),
        ("deals_lead", "answerable_id"),
        ("deals_lead_turn", "user_id"),
    ):
        add_reference(op, "deals", table, column, kind="user")
    for table in ("deals_lead", "deals_lead_form", "deals_lead_intake"):
        add_reference(op, "deals", table, "pipeline_id", entity="deals.pipeline")
    add_reference(op, "deals", "deals_lead", "person_id", entity="clients.person", on_delete="null", personal=True)
    add_reference(op, "deals", "deals_lead", "company_id", entity="clients.company", on_delete="null")
    add_reference(op, "deals", "deals_lead", "deal_id", entity="deals.deal", on_delete="null")


def _make_leads() -> None:
    op.create_table(
        "deals_lead",
        *record_columns(),
        _text("caption", ""),
        sa.Column("name", sa.Text()),
        sa.Column("company", sa.Text()),
        sa.Column("phones", pg.JSONB(), nullable=False, server_default="[]"),
        sa.Column("emails", pg.JSONB(), nullable=False, server_default="[]"),
        sa.Column("text", sa.Text()),
        sa.Column("source", sa.Text()),
        _key("form_id", "deals_lead_form"),
        _key("intake_id", "deals_lead_intake"),
        _key("pipeline_id", "deals_pipeline"),
        sa.Column("utm", pg.JSONB(), nullable=False, server_default="{}"),
        sa.Column("consent_text", sa.Text()),
        sa.Column("consent_version", sa.BigInteger()),
        sa.Column("consent_at", sa.DateTime(timezone=True)),
        sa.Column("consent_address", sa.Text()),
        sa.Column("key", sa.Text()),
        sa.Column("digest", sa.Text()),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        _text("state", "new"),
        sa.Column("reason", sa.Text()),
        sa.Column("reason_note", sa.Text()),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("first_reaction_at", sa.DateTime(timezone=True)),
        _key("answerable_id", "core_user"),
        sa.Column("late_minutes", sa.BigInteger()),
        _key("person_id", "clients_person"),
        _key("company_id", "clients_company"),
        _key("deal_id", "deals_deal"),
        sa.UniqueConstraint("key"),
        sa.CheckConstraint("state IN ('new','taken','linked','rejected')", name="state"),
    )
    for columns in (
        ["owner_id", "received_at", "id"],
        ["team_id", "received_at", "id"],
        ["received_at", "id"],
        ["state", "received_at", "id"],
    ):
        op.create_index(None, "deals_lead", columns, postgresql_where=ALIVE)
    op.create_index("ix_deals_lead_waiting", "deals_lead", ["due_at", "id"], postgresql_where=WAITING)
    op.create_index(
        "ix_deals_lead_waiting_of", "deals_lead", ["owner_id", "received_at", "id"], postgresql_where=WAITING
    )
    for column in ("person_id", "company_id", "deal_id"):
        op.create_index(None, "deals_lead", [column], postgresql_where=sa.text(f"{column} IS NOT NULL"))
    op.create_index(None, "deals_lead", ["owner_id", "tags"], postgresql_using="gin")
    op.create_index(None, "deals_lead", ["deleted_at", "id"], postgresql_where=TRASHED)


def downgrade() -> None:
    """Drop the tables; their triggers and indexes go with them."""
    op.execute("DELETE FROM core_reference WHERE plugin = 'deals' AND table_name LIKE 'deals_lead%'")
    for table in ("deals_lead", "deals_lead_turn", "deals_lead_rule", "deals_lead_intake", "deals_lead_form"):
        op.drop_table(table)
