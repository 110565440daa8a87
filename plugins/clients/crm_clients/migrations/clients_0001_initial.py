"""People, companies, who belongs where, and what was said."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alembic import op
from crm_core.db import add_reference, log_table, record_columns

revision = "clients_0001_initial"
down_revision = None
branch_labels = None
depends_on = None

ALIVE = sa.text("deleted_at IS NULL")
TRASHED = sa.text("deleted_at IS NOT NULL")
TABLES = ("clients_company", "clients_person", "clients_interaction")


def upgrade() -> None:
    """Make the tables, their indexes, their triggers, and say what points where."""
    op.create_table(
        "clients_company",
        *record_columns(),
        sa.Column("kind", sa.Text()),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_sort", sa.Text(collation="C"), nullable=False, server_default=""),
        sa.Column("legal_name", sa.Text()),
        sa.Column("inn", sa.Text()),
        sa.Column("kpp", sa.Text()),
        sa.Column("ogrn", sa.Text()),
        sa.Column("legal_address", sa.Text()),
        sa.Column("postal_address", sa.Text()),
        sa.Column("city", sa.Text()),
        sa.Column("bank", sa.Text()),
        sa.Column("bik", sa.Text()),
        sa.Column("account", sa.Text()),
        sa.Column("corr_account", sa.Text()),
        sa.Column("signatory", sa.Text()),
        sa.Column("signatory_title", sa.Text()),
        sa.Column("signatory_grounds", sa.Text()),
        sa.Column("parent_id", sa.BigInteger(), sa.ForeignKey("clients_company.id", ondelete="RESTRICT")),
        sa.Column("phones", pg.JSONB(), nullable=False, server_default="[]"),
        sa.Column("emails", pg.JSONB(), nullable=False, server_default="[]"),
        sa.Column("site", sa.Text()),
        sa.Column("source", sa.Text()),
        sa.Column("status", sa.Text()),
        sa.Column("last_contact_at", sa.DateTime(timezone=True)),
        sa.Column("comment", sa.Text()),
    )
    op.create_table(
        "clients_person",
        *record_columns(),
        sa.Column("last_name", sa.Text()),
        sa.Column("first_name", sa.Text()),
        sa.Column("middle_name", sa.Text()),
        sa.Column("full_name", sa.Text(), nullable=False, server_default=""),
        sa.Column("name_sort", sa.Text(collation="C"), nullable=False, server_default=""),
        sa.Column("job_title", sa.Text()),
        sa.Column("company_id", sa.BigInteger(), sa.ForeignKey("clients_company.id", ondelete="RESTRICT")),
        sa.Column("phones", pg.JSONB(), nullable=False, server_default="[]"),
        sa.Column("emails", pg.JSONB(), nullable=False, server_default="[]"),
        sa.Column("messengers", pg.JSONB(), nullable=False, server_default="[]"),
        sa.Column("birthday", sa.Date()),
        sa.Column("city", sa.Text()),
        sa.Column("address", sa.Text()),
        sa.Column("source", sa.Text()),
        sa.Column("status", sa.Text()),
        sa.Column("budget", sa.Numeric(19, 4)),
        sa.Column("currency", sa.CHAR(3), nullable=False, server_default="RUB"),
        sa.Column("last_contact_at", sa.DateTime(timezone=True)),
        sa.Column("comment", sa.Text()),
    )
    op.create_table(
        "clients_membership",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column(
            "person_id", sa.BigInteger(), sa.ForeignKey("clients_person.id", ondelete="RESTRICT"), nullable=False
        ),
        sa.Column(
            "company_id", sa.BigInteger(), sa.ForeignKey("clients_company.id", ondelete="RESTRICT"), nullable=False
        ),
        sa.Column("role", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("person_id", "company_id"),
    )
    op.create_index(None, "clients_membership", ["company_id"])
    op.create_table(
        "clients_interaction",
        *record_columns(),
        sa.Column("subject_entity", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text()),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_s", sa.BigInteger()),
        sa.Column("outcome", sa.Text()),
        sa.Column("text", sa.Text()),
        sa.Column("next_step", sa.Text()),
        sa.Column("summary", sa.Text(), nullable=False, server_default=""),
    )
    for table in ("clients_company", "clients_person"):
        for columns in (
            ["owner_id", "name_sort", "id"],
            ["team_id", "name_sort", "id"],
            ["name_sort", "id"],
            ["last_contact_at", "id"],
            ["owner_id", "last_contact_at", "id"],
            ["created_at", "id"],
        ):
            op.create_index(None, table, columns, postgresql_where=ALIVE)
        op.create_index(None, table, ["owner_id", "tags"], postgresql_using="gin")
        op.create_index(None, table, ["deleted_at", "id"], postgresql_where=TRASHED)
    op.create_index(None, "clients_company", ["inn"], postgresql_where=sa.text("inn IS NOT NULL"))
    op.create_index(None, "clients_company", ["parent_id"], postgresql_where=sa.text("parent_id IS NOT NULL"))
    op.create_index(None, "clients_person", ["company_id"], postgresql_where=ALIVE)
    for columns in (
        ["subject_entity", "subject_id", "at", "id"],
        ["owner_id", "at", "id"],
        ["team_id", "at", "id"],
        ["at", "id"],
    ):
        op.create_index(None, "clients_interaction", columns, postgresql_where=ALIVE)
    op.create_index(None, "clients_interaction", ["deleted_at", "id"], postgresql_where=TRASHED)

    log_table(op, "clients_company", "clients.company")
    log_table(op, "clients_person", "clients.person")
    log_table(op, "clients_membership", "clients.membership", parent="person_id=clients.person", versioned=False)
    log_table(op, "clients_interaction", "clients.interaction", parent="subject")

    for table in TABLES:
        for column in ("owner_id", "created_by"):
            add_reference(op, "clients", table, column, kind="user")
    add_reference(op, "clients", "clients_company", "parent_id", entity="clients.company", on_delete="null")
    add_reference(op, "clients", "clients_person", "company_id", entity="clients.company", on_delete="null")
    add_reference(
        op, "clients", "clients_membership", "person_id", entity="clients.person", on_delete="with", personal=True
    )
    add_reference(op, "clients", "clients_membership", "company_id", entity="clients.company", on_delete="with")
    add_reference(op, "clients", "clients_interaction", "subject", kind="soft", on_delete="with", personal=True)


def downgrade() -> None:
    """Drop the tables; their triggers and indexes go with them."""
    op.execute("DELETE FROM core_reference WHERE plugin = 'clients'")
    for table in ("clients_interaction", "clients_membership", "clients_person", "clients_company"):
        op.drop_table(table)
