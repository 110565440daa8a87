"""Letters carry invitations."""

import sqlalchemy as sa

from alembic import op

revision = "core_0003_letter_calendar"
down_revision = "core_0002_notifications"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let a letter carry an invitation."""
    op.add_column("core_letter", sa.Column("calendar", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Forget the invitations."""
    op.drop_column("core_letter", "calendar")
