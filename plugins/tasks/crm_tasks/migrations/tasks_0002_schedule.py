"""The schedule: meetings and their guests, days off, feeds."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alembic import op
from crm_core.db import add_reference, log_table

revision = "tasks_0002_schedule"
down_revision = "tasks_0001_initial"
branch_labels = None
depends_on = None

WHEN = sa.DateTime(timezone=True)
ALIVE = sa.text("deleted_at IS NULL")


def _id() -> sa.Column:
    return sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True)


def _user(name: str, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), sa.ForeignKey("core_user.id", ondelete="RESTRICT"), nullable=nullable)


def _flag(name: str) -> sa.Column:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text("false"))


def _word(name: str, default: str = "") -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)


def _number(name: str, default: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=default)


def upgrade() -> None:
    """Make the tables, their indexes, their triggers, and say what points where."""
    op.create_index(
        "ix_tasks_task_owner_id_due_at", "tasks_task", ["owner_id", "due_at", "id"], postgresql_where=ALIVE
    )
    op.create_table(
        "tasks_meeting",
        _id(),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        _number("sequence", "0"),
        _number("moved_sequence", "0"),
        _flag("cancelled"),
        _word("said"),
        _word("said_when"),
        _word("note"),
        _word("base_url"),
        sa.Column("told", pg.JSONB(), nullable=False, server_default="{}"),
        sa.Column("created_at", WHEN, nullable=False),
        sa.UniqueConstraint("task_id"),
        sa.UniqueConstraint("uid"),
    )
    op.create_table(
        "tasks_guest",
        _id(),
        sa.Column("task_id", sa.BigInteger(), sa.ForeignKey("tasks_task.id", ondelete="RESTRICT"), nullable=False),
        _user("user_id"),
        sa.Column("client_entity", sa.Text()),
        sa.Column("client_id", sa.BigInteger()),
        _word("name"),
        sa.Column("email", sa.Text(), nullable=False),
        _word("answer", "needs-action"),
        sa.Column("answered_at", WHEN),
        _number("told_sequence", "-1"),
    )
    op.create_index(
        "uq_tasks_guest_task_id_email", "tasks_guest", ["task_id", sa.text("lower(email)")], unique=True
    )
    op.create_index(None, "tasks_guest", ["user_id", "task_id"], postgresql_where=sa.text("user_id IS NOT NULL"))
    op.create_table(
        "tasks_guest_key",
        _id(),
        sa.Column("guest_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", WHEN, nullable=False),
        sa.UniqueConstraint("digest"),
    )
    op.create_index(None, "tasks_guest_key", ["guest_id"])
    op.create_table(
        "tasks_day_off",
        _id(),
        _user("user_id", nullable=False),
        sa.Column("starts", sa.Date(), nullable=False),
        sa.Column("ends", sa.Date(), nullable=False),
        _word("kind", "vacation"),
        _user("created_by"),
        sa.Column("created_at", WHEN, nullable=False),
        sa.CheckConstraint("starts <= ends", name="order"),
    )
    op.create_index(None, "tasks_day_off", ["user_id", "ends"])
    op.create_table(
        "tasks_feed",
        _id(),
        _user("user_id", nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        _flag("busy_only"),
        _flag("details"),
        sa.Column("created_at", WHEN, nullable=False),
        sa.Column("read_at", WHEN),
        sa.UniqueConstraint("digest"),
    )
    op.create_index(None, "tasks_feed", ["user_id"])

    log_table(op, "tasks_guest", "tasks.guest", parent="task_id=tasks.task", versioned=False)
    log_table(op, "tasks_day_off", "tasks.day_off", versioned=False)
    for table, column in (
        ("tasks_guest", "user_id"),
        ("tasks_day_off", "user_id"),
        ("tasks_day_off", "created_by"),
        ("tasks_feed", "user_id"),
    ):
        add_reference(op, "tasks", table, column, kind="user")
    add_reference(op, "tasks", "tasks_guest", "client", kind="soft", on_delete="null", personal=True)
    add_reference(op, "tasks", "tasks_guest", "task_id", entity="tasks.task", on_delete="with")


def downgrade() -> None:
    """Drop the tables; their triggers and indexes go with them."""
    tables = ("tasks_feed", "tasks_day_off", "tasks_guest_key", "tasks_guest", "tasks_meeting")
    names = ", ".join(f"'{table}'" for table in tables)
    op.execute(f"DELETE FROM core_reference WHERE plugin = 'tasks' AND table_name IN ({names})")
    for table in tables:
        op.drop_table(table)
    op.drop_index("ix_tasks_task_owner_id_due_at", "tasks_task")
