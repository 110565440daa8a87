"""Tasks, what stands beside them, series and sets."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alembic import op
from crm_core.db import add_reference, log_table, record_columns

revision = "tasks_0001_initial"
down_revision = None
branch_labels = None
depends_on = None

ALIVE = sa.text("deleted_at IS NULL")
TRASHED = sa.text("deleted_at IS NOT NULL")
OPEN_ALIVE = sa.text("deleted_at IS NULL AND completed_at IS NULL")


def _id() -> sa.Column:
    return sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True)


def _user(name: str, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), sa.ForeignKey("core_user.id", ondelete="RESTRICT"), nullable=nullable)


def _task(name: str = "task_id") -> sa.Column:
    return sa.Column(name, sa.BigInteger(), sa.ForeignKey("tasks_task.id", ondelete="RESTRICT"), nullable=False)


def _flag(name: str, default: str) -> sa.Column:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text(default))


def _word(name: str, default: str) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)


def upgrade() -> None:
    """Make the tables, their indexes, their triggers, and say what points where."""
    op.create_table(
        "tasks_series",
        _id(),
        sa.Column("rrule", sa.Text(), nullable=False),
        sa.Column("starts", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        _flag("all_day", "false"),
        sa.Column("exdates", pg.ARRAY(sa.Text()), nullable=False, server_default="{}"),
        _flag("after_completion", "false"),
        sa.Column("template", pg.JSONB(), nullable=False, server_default="{}"),
        _flag("active", "true"),
        _word("made_until", ""),
        _user("owner_id"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(None, "tasks_series", ["active", "made_until"])
    op.create_table(
        "tasks_template_set",
        _id(),
        sa.Column("name", sa.Text(), nullable=False),
        _word("entity", ""),
        _word("trigger_event", ""),
        sa.Column("trigger_entity", sa.Text()),
        sa.Column("trigger_id", sa.BigInteger()),
        _flag("active", "true"),
        sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.create_index(None, "tasks_template_set", ["trigger_event"])
    op.create_table(
        "tasks_template",
        _id(),
        sa.Column(
            "set_id", sa.BigInteger(), sa.ForeignKey("tasks_template_set.id", ondelete="RESTRICT"), nullable=False
        ),
        sa.Column("title", sa.Text(), nullable=False),
        _word("kind", "todo"),
        _word("priority", "normal"),
        sa.Column("due_days", sa.BigInteger(), nullable=False, server_default="0"),
        _word("due_time", ""),
        sa.Column("duration_min", sa.BigInteger()),
        _word("assignee", "responsible"),
        sa.Column("role", sa.Text()),
        _user("user_id"),
        sa.Column("text", sa.Text()),
        sa.Column("checklist", pg.ARRAY(sa.Text()), nullable=False, server_default="{}"),
        sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.create_index(None, "tasks_template", ["set_id", "position", "id"])
    op.create_table(
        "tasks_task",
        *record_columns(),
        sa.Column("title", sa.Text(), nullable=False),
        _word("kind", "todo"),
        sa.Column("subject_entity", sa.Text()),
        sa.Column("subject_id", sa.BigInteger()),
        _word("state", "open"),
        _word("priority", "normal"),
        sa.Column("start_at", sa.DateTime(timezone=True)),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        _flag("all_day", "false"),
        sa.Column("due_day", sa.Date()),
        _word("zone", ""),
        sa.Column("duration_min", sa.BigInteger()),
        sa.Column("progress", sa.BigInteger(), nullable=False, server_default="0"),
        _flag("progress_by_hand", "false"),
        sa.Column("result", sa.Text()),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        _user("completed_by"),
        sa.Column("parent_id", sa.BigInteger(), sa.ForeignKey("tasks_task.id", ondelete="RESTRICT")),
        sa.Column("series_id", sa.BigInteger(), sa.ForeignKey("tasks_series.id", ondelete="RESTRICT")),
        sa.Column("occurrence", sa.Text()),
        sa.Column("template_id", sa.BigInteger(), sa.ForeignKey("tasks_template.id", ondelete="SET NULL")),
        sa.Column("origin", sa.Text()),
        sa.Column("place", sa.Text()),
        sa.Column("text", sa.Text()),
        sa.Column("sort_at", sa.DateTime(timezone=True), nullable=False),
    )
    for columns in (
        ["owner_id", "sort_at", "id"],
        ["team_id", "sort_at", "id"],
        ["created_by", "sort_at", "id"],
        ["sort_at", "id"],
        ["subject_entity", "subject_id", "completed_at", "id"],
        ["owner_id", "completed_at", "id"],
    ):
        op.create_index(None, "tasks_task", columns, postgresql_where=ALIVE)
    for columns in (["subject_entity", "subject_id", "sort_at", "id"], ["due_at", "id"]):
        op.create_index(None, "tasks_task", columns, postgresql_where=OPEN_ALIVE)
    op.create_index(None, "tasks_task", ["parent_id"], postgresql_where=sa.text("parent_id IS NOT NULL"))
    op.create_index(
        "uq_tasks_task_series_id_occurrence",
        "tasks_task",
        ["series_id", "occurrence"],
        unique=True,
        postgresql_where=sa.text("series_id IS NOT NULL"),
    )
    op.create_index(
        "uq_tasks_task_origin", "tasks_task", ["origin"], unique=True, postgresql_where=sa.text("origin IS NOT NULL")
    )
    op.create_index(None, "tasks_task", ["owner_id", "tags"], postgresql_using="gin")
    op.create_index(None, "tasks_task", ["deleted_at", "id"], postgresql_where=TRASHED)
    op.create_table(
        "tasks_checklist_item",
        _id(),
        _task(),
        sa.Column("title", sa.Text(), nullable=False),
        _flag("done", "false"),
        sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.create_index(None, "tasks_checklist_item", ["task_id", "position", "id"])
    op.create_table(
        "tasks_observer", _id(), _task(), _user("user_id", nullable=False), sa.UniqueConstraint("task_id", "user_id")
    )
    op.create_index(None, "tasks_observer", ["user_id", "task_id"])
    op.create_table(
        "tasks_dependency",
        _id(),
        _task(),
        _task("needs_id"),
        sa.UniqueConstraint("task_id", "needs_id"),
    )
    op.create_index(None, "tasks_dependency", ["needs_id"])
    op.create_table("tasks_reminder", _id(), _task(), sa.Column("minutes_before", sa.BigInteger()), _user("user_id"))
    op.create_index(None, "tasks_reminder", ["task_id"])
    op.create_table(
        "tasks_delegation",
        _id(),
        _task(),
        sa.Column("operation_id", sa.BigInteger(), nullable=False),
        _user("from_id"),
        _user("to_id"),
        _user("by_id"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text()),
        sa.UniqueConstraint("task_id", "operation_id"),
    )
    op.create_index(None, "tasks_delegation", ["task_id", "id"])
    op.create_table(
        "tasks_overdue_mark",
        _id(),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("escalated_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("task_id", "due_at"),
    )

    log_table(op, "tasks_task", "tasks.task")
    log_table(op, "tasks_series", "tasks.series", versioned=False)
    log_table(op, "tasks_template_set", "tasks.template_set", versioned=False)
    log_table(op, "tasks_template", "tasks.template", versioned=False)
    for table, entity in (
        ("tasks_checklist_item", "tasks.checklist_item"),
        ("tasks_observer", "tasks.observer"),
        ("tasks_dependency", "tasks.dependency"),
        ("tasks_reminder", "tasks.reminder"),
        ("tasks_delegation", "tasks.delegation"),
    ):
        log_table(op, table, entity, parent="task_id=tasks.task", versioned=False)

    for table, column in (
        ("tasks_task", "owner_id"),
        ("tasks_task", "created_by"),
        ("tasks_task", "completed_by"),
        ("tasks_series", "owner_id"),
        ("tasks_template", "user_id"),
        ("tasks_observer", "user_id"),
        ("tasks_reminder", "user_id"),
        ("tasks_delegation", "from_id"),
        ("tasks_delegation", "to_id"),
        ("tasks_delegation", "by_id"),
    ):
        add_reference(op, "tasks", table, column, kind="user")
    add_reference(op, "tasks", "tasks_task", "subject", kind="soft", on_delete="with", personal=True)
    add_reference(op, "tasks", "tasks_task", "parent_id", entity="tasks.task", on_delete="null")
    for table, column in (
        ("tasks_checklist_item", "task_id"),
        ("tasks_observer", "task_id"),
        ("tasks_dependency", "task_id"),
        ("tasks_dependency", "needs_id"),
        ("tasks_reminder", "task_id"),
        ("tasks_delegation", "task_id"),
    ):
        add_reference(op, "tasks", table, column, entity="tasks.task", on_delete="with")


def downgrade() -> None:
    """Drop the tables; their triggers and indexes go with them."""
    op.execute("DELETE FROM core_reference WHERE plugin = 'tasks'")
    for table in (
        "tasks_overdue_mark",
        "tasks_delegation",
        "tasks_reminder",
        "tasks_dependency",
        "tasks_observer",
        "tasks_checklist_item",
        "tasks_task",
        "tasks_template",
        "tasks_template_set",
        "tasks_series",
    ):
        op.drop_table(table)
