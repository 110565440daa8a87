"""Price offers of deals, and the number a deal had in the program it came from."""

import sqlalchemy as sa

from alembic import op
from crm_core.db import add_reference, log_table

revision = "deals_0004_offers"
down_revision = "deals_0003_targets"
branch_labels = None
depends_on = None


def _key(name: str, target: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), sa.ForeignKey(f"{target}.id", ondelete="RESTRICT"), nullable=nullable)


def upgrade() -> None:
    """Add the number of another program and make the table of offers."""
    op.add_column("deals_deal", sa.Column("external_id", sa.Text()))
    op.create_index(None, "deals_deal", ["external_id"], postgresql_where=sa.text("external_id IS NOT NULL"))
    op.create_table(
        "deals_offer",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        _key("deal_id", "deals_deal"),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date()),
        sa.Column("total", sa.Numeric(19, 4), nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        _key("file_id", "core_file"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _key("created_by", "core_user", nullable=True),
        sa.UniqueConstraint("deal_id", "version"),
        sa.UniqueConstraint("number", "version"),
    )
    log_table(op, "deals_offer", "deals.offer", parent="deal_id=deals.deal", versioned=False)
    add_reference(op, "deals", "deals_offer", "deal_id", entity="deals.deal", on_delete="with")
    add_reference(op, "deals", "deals_offer", "file_id", entity="core.file", on_delete="with")
    add_reference(op, "deals", "deals_offer", "created_by", kind="user")


def downgrade() -> None:
    """Drop what was made."""
    op.execute("DELETE FROM core_reference WHERE table_name = 'deals_offer'")
    op.drop_table("deals_offer")
    op.drop_column("deals_deal", "external_id")
