"""Targets of sales, and the indexes by which the board and the forecast are asked."""

import sqlalchemy as sa

from alembic import op
from crm_core.db import add_reference, log_table

revision = "deals_0003_targets"
down_revision = "deals_0002_leads"
branch_labels = None
depends_on = None

ALIVE = sa.text("deleted_at IS NULL")

BOARD = {
    "ix_deals_deal_board": ["stage_id", "stage_since", "id"],
    "ix_deals_deal_board_owner": ["owner_id", "stage_id", "stage_since", "id"],
    "ix_deals_deal_board_team": ["team_id", "stage_id", "stage_since", "id"],
}


def _key(name: str, target: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), sa.ForeignKey(f"{target}.id", ondelete="RESTRICT"))


def upgrade() -> None:
    """Make the table of targets and the indexes."""
    op.create_table(
        "deals_target",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        _key("user_id", "core_user"),
        _key("team_id", "core_team"),
        _key("group_id", "deals_group"),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("amount", sa.Numeric(19, 4), nullable=False),
        sa.UniqueConstraint("user_id", "team_id", "group_id", "month", postgresql_nulls_not_distinct=True),
        sa.CheckConstraint("num_nonnulls(user_id, team_id, group_id) = 1", name="of_one"),
        sa.CheckConstraint("extract(day FROM month) = 1", name="month"),
    )
    op.create_index(None, "deals_target", ["month"])
    log_table(op, "deals_target", "deals.target", versioned=False)
    add_reference(op, "deals", "deals_target", "user_id", kind="user")
    add_reference(op, "deals", "deals_target", "group_id", entity="deals.group")
    # Sums of columns are read from the index alone; whose a deal is stands in it, so that nobody's counts twice.
    for name, columns in BOARD.items():
        more = ["amount_base", *({"owner_id", "team_id"} - set(columns))]
        op.create_index(name, "deals_deal", columns, postgresql_include=sorted(more), postgresql_where=ALIVE)
    op.drop_index("ix_deals_deal_stage_id_stage_since_id", "deals_deal")


def downgrade() -> None:
    """Drop what was made."""
    op.create_index(None, "deals_deal", ["stage_id", "stage_since", "id"], postgresql_where=ALIVE)
    for name in BOARD:
        op.drop_index(name, "deals_deal")
    op.execute("DELETE FROM core_reference WHERE table_name = 'deals_target'")
    op.drop_table("deals_target")
