"""Reminders, followers, choices of notifications and what is to go out by channels."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alembic import op

revision = "core_0002_notifications"
down_revision = "core_0001_initial"
branch_labels = None
depends_on = None

WHEN = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and let a notification gather several facts."""
    op.add_column("core_notification", sa.Column("count", sa.Integer(), server_default="1", nullable=False))
    op.add_column("core_notification", sa.Column("bell", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.create_table(
        "core_reminder",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", WHEN, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("values", pg.JSONB(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=True),
        sa.Column("record_id", sa.BigInteger(), nullable=True),
        sa.Column("href", sa.Text(), nullable=False),
        sa.Column("created_at", WHEN, nullable=False),
        sa.Column("fired_at", WHEN, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_reminder_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_core_reminder"),
        sa.UniqueConstraint("user_id", "key", name="uq_core_reminder_user_id_key"),
    )
    op.create_index(
        "ix_core_reminder_due", "core_reminder", ["at", "id"], postgresql_where=sa.text("fired_at IS NULL")
    )
    op.create_index("ix_core_reminder_key", "core_reminder", ["key"], postgresql_ops={"key": "text_pattern_ops"})
    op.create_table(
        "core_follow",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", WHEN, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_follow_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "entity", "record_id", name="pk_core_follow"),
    )
    op.create_index("ix_core_follow_entity_record_id", "core_follow", ["entity", "record_id"])
    op.create_table(
        "core_notice_choice",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["core_user.id"], name="fk_core_notice_choice_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "kind", "channel", name="pk_core_notice_choice"),
    )
    op.create_table(
        "core_notice_hours",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("quiet_from", sa.Integer(), nullable=True),
        sa.Column("quiet_to", sa.Integer(), nullable=True),
        sa.Column("quiet_weekends", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("digest", sa.Text(), server_default="daily", nullable=False),
        sa.Column("digest_at", sa.Integer(), server_default="540", nullable=False),
        sa.Column("muted_until", WHEN, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_notice_hours_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name="pk_core_notice_hours"),
    )
    op.create_table(
        "core_notice",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("notification_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", WHEN, nullable=False),
        sa.Column("told_at", WHEN, nullable=True),
        sa.CheckConstraint("state IN ('waiting','told','dropped')", name="ck_core_notice_state"),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["core_notification.id"],
            name="fk_core_notice_notification_id",
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_notice_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_core_notice"),
        sa.UniqueConstraint("notification_id", "channel", name="uq_core_notice_notification_id_channel"),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index("ix_core_notice_due", "core_notice", ["due_at", "id"], postgresql_where=waiting)
    op.create_index("ix_core_notice_waiting", "core_notice", ["user_id", "channel"], postgresql_where=waiting)
    op.create_index(
        "ix_core_notice_told",
        "core_notice",
        ["user_id", "channel", "thread", "told_at"],
        postgresql_where=sa.text("told_at IS NOT NULL"),
    )
    op.create_table(
        "core_channel",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", WHEN, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("changed_at", WHEN, nullable=False),
        sa.PrimaryKeyConstraint("channel", name="pk_core_channel"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "core_channel",
        "core_notice",
        "core_notice_hours",
        "core_notice_choice",
        "core_follow",
        "core_reminder",
    ):
        op.drop_table(table)
    op.drop_column("core_notification", "bell")
    op.drop_column("core_notification", "count")
