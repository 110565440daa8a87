"""Accounts, the change log, records' companions, jobs and deliveries: the tables every installation has."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alembic import op
from crm_core.db import add_reference, log_table

revision = "core_0001_initial"
down_revision = None
branch_labels = None
depends_on = None

#: The change log is written by the database itself, so that Core statements, cascades and plugins that are off are
#: caught too. Statements are parted by lines of two dashes.
FUNCTIONS = """
CREATE SEQUENCE core_change_id_seq OWNED BY core_change.id
--
CREATE TABLE core_change_other PARTITION OF core_change DEFAULT
--
CREATE FUNCTION core_no_operation() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a write to a logged table without an operation'
        USING ERRCODE = 'CRM01', HINT = 'begin one: crm_core.records.operations.begin(session, ...)';
END $$
--
CREATE FUNCTION core_stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NEW;
    END IF;
    NEW.version := nextval('crm.core_change_id_seq');
    NEW.updated_at := coalesce(nullif(current_setting('crm.at', true), '')::timestamptz, clock_timestamp());
    NEW.updated_by := nullif(current_setting('crm.actor', true), '')::bigint;
    RETURN NEW;
END $$
--
CREATE FUNCTION core_fields(whole jsonb, hidden text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(whole -> 'extra') = 'object' THEN (whole - hidden - 'extra') || (whole -> 'extra')
        ELSE whole - hidden END
$$
--
CREATE FUNCTION core_present(fields jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_object_agg(key, value) FROM jsonb_each(fields) WHERE value <> 'null'::jsonb
$$
--
CREATE FUNCTION core_change_digest(
    salt text, operation bigint, entity text, record bigint, action text, before jsonb, after jsonb
) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(convert_to(jsonb_build_array(salt, operation, entity, record, action, before, after)::text, 'UTF8'))
$$
--
CREATE FUNCTION core_parent_columns(spec text, OUT entity_column text, OUT entity text, OUT id_column text)
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN spec = '@' THEN 'entity' WHEN spec = '' OR spec LIKE '%=%' THEN NULL ELSE spec || '_entity' END,
        CASE WHEN spec LIKE '%=%' THEN split_part(spec, '=', 2) END,
        CASE WHEN spec = '@' THEN 'record_id' WHEN spec = '' THEN NULL
            WHEN spec LIKE '%=%' THEN split_part(spec, '=', 1)
            ELSE spec || '_id' END
$$
--
CREATE FUNCTION core_log_insert() RETURNS trigger LANGUAGE plpgsql SET search_path = crm, public AS $$
DECLARE
    operation bigint := nullif(current_setting('crm.operation', true), '')::bigint;
    instant timestamptz := coalesce(nullif(current_setting('crm.at', true), '')::timestamptz, clock_timestamp());
    hidden text[] := string_to_array(TG_ARGV[2], ',');
    parent record;
BEGIN
    SELECT * INTO parent FROM core_parent_columns(TG_ARGV[1]);
    INSERT INTO core_change (id, at, operation_id, entity, record_id, parent_entity, parent_id, action, before, after,
        xid, salt, digest)
    SELECT id, instant, operation, TG_ARGV[0], record, parent_entity, parent_id, 'insert', NULL, after,
        pg_current_xact_id()::text::bigint, salt,
        core_change_digest(salt, operation, TG_ARGV[0], record, 'insert', NULL, after)
    FROM (
        SELECT coalesce((j ->> 'version')::bigint, nextval('core_change_id_seq')) AS id, (j ->> 'id')::bigint AS record,
            coalesce(parent.entity, j ->> parent.entity_column) AS parent_entity,
            (j ->> parent.id_column)::bigint AS parent_id, core_present(core_fields(j, hidden)) AS after,
            gen_random_uuid()::text AS salt, coalesce(operation, core_no_operation())
        FROM (SELECT to_jsonb(n) AS j FROM new_rows n OFFSET 0) AS rows
        OFFSET 0
    ) AS changes;
    RETURN NULL;
END $$
--
CREATE FUNCTION core_log_delete() RETURNS trigger LANGUAGE plpgsql SET search_path = crm, public AS $$
DECLARE
    operation bigint := nullif(current_setting('crm.operation', true), '')::bigint;
    instant timestamptz := coalesce(nullif(current_setting('crm.at', true), '')::timestamptz, clock_timestamp());
    hidden text[] := string_to_array(TG_ARGV[2], ',');
    parent record;
BEGIN
    SELECT * INTO parent FROM core_parent_columns(TG_ARGV[1]);
    INSERT INTO core_change (id, at, operation_id, entity, record_id, parent_entity, parent_id, action, before, after,
        xid, salt, digest)
    SELECT id, instant, operation, TG_ARGV[0], record, parent_entity, parent_id, 'delete', before, NULL,
        pg_current_xact_id()::text::bigint, salt,
        core_change_digest(salt, operation, TG_ARGV[0], record, 'delete', before, NULL)
    FROM (
        SELECT nextval('core_change_id_seq') AS id, (j ->> 'id')::bigint AS record,
            coalesce(parent.entity, j ->> parent.entity_column) AS parent_entity,
            (j ->> parent.id_column)::bigint AS parent_id, core_present(core_fields(j, hidden)) AS before,
            gen_random_uuid()::text AS salt, coalesce(operation, core_no_operation())
        FROM (SELECT to_jsonb(o) AS j FROM old_rows o OFFSET 0) AS rows
        OFFSET 0
    ) AS changes;
    RETURN NULL;
END $$
--
CREATE FUNCTION core_log_update() RETURNS trigger LANGUAGE plpgsql SET search_path = crm, public AS $$
DECLARE
    operation bigint := nullif(current_setting('crm.operation', true), '')::bigint;
    instant timestamptz := coalesce(nullif(current_setting('crm.at', true), '')::timestamptz, clock_timestamp());
    hidden text[] := string_to_array(TG_ARGV[2], ',');
    parent record;
BEGIN
    SELECT * INTO parent FROM core_parent_columns(TG_ARGV[1]);
    INSERT INTO core_change (id, at, operation_id, entity, record_id, parent_entity, parent_id, action, before, after,
        xid, salt, digest)
    SELECT id, instant, operation, TG_ARGV[0], record, parent_entity, parent_id, 'update', before, after,
        pg_current_xact_id()::text::bigint, salt,
        core_change_digest(salt, operation, TG_ARGV[0], record, 'update', before, after)
    FROM (
        SELECT coalesce((rows.j ->> 'version')::bigint, nextval('core_change_id_seq')) AS id,
            (rows.j ->> 'id')::bigint AS record,
            coalesce(parent.entity, rows.j ->> parent.entity_column) AS parent_entity,
            (rows.j ->> parent.id_column)::bigint AS parent_id, diff.before, diff.after,
            gen_random_uuid()::text AS salt,
            coalesce(operation, core_no_operation())
        FROM (
            SELECT to_jsonb(n) AS j, core_fields(to_jsonb(o), hidden) AS was, core_fields(to_jsonb(n), hidden) AS now
            FROM old_rows o JOIN new_rows n ON n.id = o.id OFFSET 0
        ) AS rows
        CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(key, coalesce(rows.was -> key, 'null')) AS before,
                jsonb_object_agg(key, coalesce(rows.now -> key, 'null')) AS after
            FROM jsonb_object_keys(rows.was || rows.now) AS key
            WHERE coalesce(rows.was -> key, 'null') <> coalesce(rows.now -> key, 'null')
        ) AS diff
        WHERE diff.after IS NOT NULL
        OFFSET 0
    ) AS changes;
    RETURN NULL;
END $$
--
CREATE FUNCTION core_change_partition(month date) RETURNS void LANGUAGE plpgsql SET search_path = crm, public AS $$
DECLARE
    name text := 'core_change_p' || to_char(month, 'YYYYMM');
BEGIN
    IF to_regclass('crm.' || name) IS NULL
        AND NOT EXISTS (SELECT 1 FROM core_change_other WHERE at >= month AND at < month + interval '1 month') THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF core_change FOR VALUES FROM (%L) TO (%L)',
            name, month, (month + interval '1 month')::date);
    END IF;
END $$
--
CREATE FUNCTION core_bump_rights() RETURNS trigger LANGUAGE plpgsql SET search_path = crm, public AS $$
BEGIN
    UPDATE core_rights_epoch SET epoch = epoch + 1 WHERE id = 1;
    RETURN NULL;
END $$
--
CREATE FUNCTION crm_num(value jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN (value #>> '{}')::numeric END
$$
--
CREATE FUNCTION crm_text(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'string' THEN value #>> '{}' END
$$
--
INSERT INTO core_rights_epoch (id, epoch) VALUES (1, 1)
"""


def upgrade() -> None:
    """Make the tables, then the functions, then the triggers that need both."""
    op.create_table(
        "core_address",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("main", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_address"),
    )
    op.create_index("ix_core_address_entity_record_id", "core_address", ["entity", "record_id"], unique=False)
    op.create_index("ix_core_address_kind_value", "core_address", ["kind", "value"], unique=False)
    op.create_table(
        "core_blob",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_core_blob"),
    )
    op.create_table(
        "core_change",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operation_id", sa.BigInteger(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("parent_entity", sa.Text(), nullable=True),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("before", pg.JSONB(), nullable=True),
        sa.Column("after", pg.JSONB(), nullable=True),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", "at", name="pk_core_change"),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index(
        "ix_core_change_block", "core_change", ["block"], unique=False, postgresql_where=sa.text("block IS NOT NULL")
    )
    op.create_index("ix_core_change_entity_record_id_id", "core_change", ["entity", "record_id", "id"], unique=False)
    op.create_index("ix_core_change_operation_id_id", "core_change", ["operation_id", "id"], unique=False)
    op.create_index(
        "ix_core_change_parent_entity_parent_id_id",
        "core_change",
        ["parent_entity", "parent_id", "id"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_index(
        "ix_core_change_unsealed", "core_change", ["id"], unique=False, postgresql_where=sa.text("block IS NULL")
    )
    op.create_table(
        "core_default_grant",
        sa.Column("permission", sa.Text(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("permission", name="pk_core_default_grant"),
    )
    op.create_table(
        "core_field",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("help", sa.Text(), server_default="", nullable=False),
        sa.Column("section", sa.Text(), server_default="", nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="50", nullable=False),
        sa.Column("options", pg.JSONB(), server_default="{}", nullable=False),
        sa.Column("required", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_unique", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("indexed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("replaces", sa.Text(), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.FetchedValue(), nullable=True),
        sa.Column("updated_by", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_core_field"),
        sa.UniqueConstraint("key", name="uq_core_field_key"),
    )
    op.create_index("ix_core_field_entity", "core_field", ["entity"], unique=False)
    op.create_table(
        "core_import_preset",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("header_digest", sa.Text(), nullable=False),
        sa.Column("options", pg.JSONB(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_import_preset"),
        sa.UniqueConstraint("entity", "header_digest", name="uq_core_import_preset_entity_header_digest"),
    )
    op.create_table(
        "core_letter",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("headers", pg.JSONB(), nullable=False),
        sa.Column("local", sa.Boolean(), nullable=False),
        sa.Column("secret", sa.Boolean(), nullable=False),
        sa.Column("empty_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_core_letter"),
    )
    op.create_index("ix_core_letter_created_at", "core_letter", ["created_at"], unique=False)
    op.create_table(
        "core_merged",
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("into_id", sa.BigInteger(), nullable=False),
        sa.Column("operation_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "record_id", name="pk_core_merged"),
    )
    op.create_table(
        "core_plugin",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("requires", pg.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archive", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_core_plugin"),
    )
    op.create_table(
        "core_principal",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ref_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_principal"),
        sa.UniqueConstraint("kind", "ref_id", name="uq_core_principal_kind_ref_id"),
    )
    op.create_table(
        "core_reference",
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=True),
        sa.Column("on_delete", sa.Text(), nullable=False),
        sa.Column("personal", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", "column_name", name="pk_core_reference"),
    )
    op.create_table(
        "core_rights_epoch",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_rights_epoch"),
    )
    op.create_table(
        "core_role",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("ships", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="50", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.FetchedValue(), nullable=True),
        sa.Column("updated_by", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_core_role"),
        sa.UniqueConstraint("name", name="uq_core_role_name"),
    )
    op.create_table(
        "core_schedule",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_job", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_core_schedule"),
    )
    op.create_table(
        "core_seal",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_seal"),
    )
    op.create_table(
        "core_search",
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sort", sa.Text(collation="C"), server_default="", nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=True),
        sa.Column("team_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("entity", "record_id", name="pk_core_search"),
    )
    op.create_index(
        "ix_core_search_trigram",
        "core_search",
        ["text"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"text": "gin_trgm_ops"},
    )
    op.create_table(
        "core_setting",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", pg.JSONB(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.FetchedValue(), nullable=True),
        sa.Column("updated_by", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_core_setting"),
        sa.UniqueConstraint("key", name="uq_core_setting_key"),
    )
    op.create_table(
        "core_tag",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("colour", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.FetchedValue(), nullable=True),
        sa.Column("updated_by", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_core_tag"),
    )
    op.create_index("uq_core_tag_name", "core_tag", [sa.literal_column("lower(name)")], unique=True)
    op.create_table(
        "core_team",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("head_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.FetchedValue(), nullable=True),
        sa.Column("updated_by", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=True),
        sa.ForeignKeyConstraint(
            ["head_id"], ["core_user.id"], name="fk_core_team_head_id", ondelete="RESTRICT", use_alter=True
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["core_team.id"], name="fk_core_team_parent_id", ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name="pk_core_team"),
    )
    op.create_table(
        "core_grant",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("principal_id", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("level IN ('view','edit')", name="ck_core_grant_level"),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["core_principal.id"], name="fk_core_grant_principal_id", ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_core_grant"),
        sa.UniqueConstraint("entity", "record_id", "principal_id", name="uq_core_grant_entity_record_id_principal_id"),
    )
    op.create_index(
        "ix_core_grant_principal_id_entity_record_id",
        "core_grant",
        ["principal_id", "entity", "record_id"],
        unique=False,
    )
    op.create_table(
        "core_role_grant",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        sa.Column("permission", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["core_role.id"], name="fk_core_role_grant_role_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_core_role_grant"),
        sa.UniqueConstraint("role_id", "permission", "scope", name="uq_core_role_grant_role_id_permission_scope"),
    )
    op.create_table(
        "core_user",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("email_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("theme", sa.Text(), nullable=False),
        sa.Column("job_title", sa.Text(), server_default="", nullable=False),
        sa.Column("phone", sa.Text(), server_default="", nullable=False),
        sa.Column("photo", sa.Text(), server_default="", nullable=False),
        sa.Column("team_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.FetchedValue(), nullable=True),
        sa.Column("updated_by", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=True),
        sa.CheckConstraint(
            "status IN ('unconfirmed','pending','active','disabled','deleted')", name="ck_core_user_status"
        ),
        sa.ForeignKeyConstraint(["team_id"], ["core_team.id"], name="fk_core_user_team_id", ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name="pk_core_user"),
    )
    op.create_index(
        "uq_core_user_email",
        "core_user",
        [sa.literal_column("lower(email)")],
        unique=True,
        postgresql_where=sa.text("email <> ''"),
    )
    op.create_table(
        "core_delivery",
        sa.Column("letter_id", sa.BigInteger(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("payload", pg.JSONB(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address_digest", sa.LargeBinary(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.Column("foreign_id", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["letter_id"], ["core_letter.id"], name="fk_core_delivery_letter_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_delivery_user_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_core_delivery"),
        sa.UniqueConstraint(
            "purpose", "step", "channel", "address_digest", name="uq_core_delivery_purpose_step_channel_address_digest"
        ),
    )
    op.create_index(
        "ix_core_delivery_due",
        "core_delivery",
        ["due_at", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending','deferred')"),
    )
    op.create_index(
        "ix_core_delivery_open",
        "core_delivery",
        ["state", "claimed_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('claimed','attempting')"),
    )
    op.create_table(
        "core_favourite",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("href", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=True),
        sa.Column("record_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_favourite_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_core_favourite"),
        sa.UniqueConstraint("user_id", "href", name="uq_core_favourite_user_id_href"),
    )
    op.create_table(
        "core_file",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("subject_entity", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.FetchedValue(), nullable=True),
        sa.Column("updated_by", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_op", sa.BigInteger(), nullable=True),
        sa.Column("tags", pg.ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
        sa.Column("extra", pg.JSONB(), server_default="{}", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=True),
        sa.Column("team_id", sa.BigInteger(), nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["core_user.id"], name="fk_core_file_created_by", ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["digest"], ["core_blob.digest"], name="fk_core_file_digest", ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["owner_id"], ["core_user.id"], name="fk_core_file_owner_id", ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["team_id"], ["core_team.id"], name="fk_core_file_team_id", ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name="pk_core_file"),
    )
    op.create_index("ix_core_file_digest", "core_file", ["digest"], unique=False)
    op.create_index("ix_core_file_owner_id_id", "core_file", ["owner_id", "id"], unique=False)
    op.create_index(
        "ix_core_file_subject_entity_subject_id_id", "core_file", ["subject_entity", "subject_id", "id"], unique=False
    )
    op.create_table(
        "core_import",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("options", pg.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("operation_id", sa.BigInteger(), nullable=True),
        sa.Column("done_rows", sa.BigInteger(), nullable=False),
        sa.Column("counts", pg.JSONB(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_import_user_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_core_import"),
    )
    op.create_index("ix_core_import_user_id_created_at", "core_import", ["user_id", "created_at"], unique=False)
    op.create_table(
        "core_job",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("arguments", pg.JSONB(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("max_attempts", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("deaths", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("stop_asked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("done_units", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_units", sa.BigInteger(), nullable=True),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("result", pg.JSONB(), nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("visible", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('waiting','running','done','failed','cancelled')", name="ck_core_job_state"),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_job_user_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_core_job"),
    )
    op.create_index(
        "ix_core_job_due",
        "core_job",
        ["queue", "run_at", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('waiting','running')"),
    )
    op.create_index("ix_core_job_finished", "core_job", ["finished_at"], unique=False)
    op.create_index("ix_core_job_user_id_id", "core_job", ["user_id", "id"], unique=False)
    op.create_index(
        "uq_core_job_key",
        "core_job",
        ["key"],
        unique=True,
        postgresql_where=sa.text("key IS NOT NULL AND state = 'waiting'"),
    )
    op.create_table(
        "core_notification",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("values", pg.JSONB(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=True),
        sa.Column("record_id", sa.BigInteger(), nullable=True),
        sa.Column("href", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("snoozed_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_notification_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_core_notification"),
        sa.UniqueConstraint("user_id", "key", name="uq_core_notification_user_id_key"),
    )
    op.create_index(
        "ix_core_notification_unread",
        "core_notification",
        ["user_id", "id"],
        unique=False,
        postgresql_where=sa.text("read_at IS NULL"),
    )
    op.create_index("ix_core_notification_user_id_id", "core_notification", ["user_id", "id"], unique=False)
    op.create_table(
        "core_operation",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=True),
        sa.Column("record_id", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", pg.JSONB(), server_default="{}", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("undoes_id", sa.BigInteger(), nullable=True),
        sa.Column("undone_by", sa.BigInteger(), nullable=True),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("state IN ('running','done','stopped')", name="ck_core_operation_state"),
        sa.ForeignKeyConstraint(["undoes_id"], ["core_operation.id"], name="fk_core_operation_undoes_id"),
        sa.ForeignKeyConstraint(["undone_by"], ["core_operation.id"], name="fk_core_operation_undone_by"),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_operation_user_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_core_operation"),
    )
    op.create_index("ix_core_operation_at", "core_operation", ["at"], unique=False)
    op.create_index("ix_core_operation_user_id_at", "core_operation", ["user_id", "at"], unique=False)
    op.create_table(
        "core_preference",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", pg.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_preference_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_core_preference"),
    )
    op.create_table(
        "core_session",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("remember", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_session_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_core_session"),
        sa.UniqueConstraint("digest", name="uq_core_session_digest"),
    )
    op.create_index("ix_core_session_user_id", "core_session", ["user_id"], unique=False)
    op.create_table(
        "core_sign_in",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_sign_in_user_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_core_sign_in"),
    )
    op.create_index("ix_core_sign_in_at", "core_sign_in", ["at"], unique=False)
    op.create_index("ix_core_sign_in_user_id_at", "core_sign_in", ["user_id", "at"], unique=False)
    op.create_table(
        "core_snapshot",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("rights_epoch", sa.BigInteger(), nullable=False),
        sa.Column("query", pg.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_snapshot_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_core_snapshot"),
    )
    op.create_index("ix_core_snapshot_entity_at", "core_snapshot", ["entity", "at"], unique=False)
    op.create_table(
        "core_token",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("payload", pg.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_token_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_core_token"),
        sa.UniqueConstraint("digest", name="uq_core_token_digest"),
    )
    op.create_index("ix_core_token_user_id", "core_token", ["user_id"], unique=False)
    op.create_table(
        "core_user_role",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["core_role.id"], name="fk_core_user_role_role_id", ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name="fk_core_user_role_user_id", ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name="pk_core_user_role"),
        sa.UniqueConstraint("user_id", "role_id", name="uq_core_user_role_user_id_role_id"),
    )
    op.create_index("ix_core_user_role_role_id", "core_user_role", ["role_id"], unique=False)
    op.create_table(
        "core_view",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=True),
        sa.Column("query", pg.JSONB(), nullable=False),
        sa.Column("shared", sa.Text(), nullable=False),
        sa.Column("team_id", sa.BigInteger(), nullable=True),
        sa.Column("pinned", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="50", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.FetchedValue(), nullable=True),
        sa.Column("updated_by", sa.BigInteger(), server_default=sa.FetchedValue(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["core_user.id"], name="fk_core_view_owner_id", ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["team_id"], ["core_team.id"], name="fk_core_view_team_id", ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name="pk_core_view"),
    )
    op.create_index("ix_core_view_entity", "core_view", ["entity"], unique=False)
    op.create_table(
        "core_import_reject",
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("cells", pg.ARRAY(sa.Text()), nullable=False),
        sa.Column("reasons", pg.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["core_import.id"], name="fk_core_import_reject_import_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "row_number", name="pk_core_import_reject"),
    )
    op.create_table(
        "core_import_warning",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=True),
        sa.Column("reasons", pg.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["core_import.id"], name="fk_core_import_warning_import_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_core_import_warning"),
    )
    op.create_index(
        "ix_core_import_warning_import_id_row_number", "core_import_warning", ["import_id", "row_number"], unique=False
    )
    op.create_table(
        "core_snapshot_row",
        sa.Column("snapshot_id", sa.BigInteger(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("sort", sa.Text(), nullable=False),
        sa.Column("row", pg.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["core_snapshot.id"], name="fk_core_snapshot_row_snapshot_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("snapshot_id", "record_id", name="pk_core_snapshot_row"),
    )
    op.create_index(
        "ix_core_snapshot_row_snapshot_id_sort_record_id",
        "core_snapshot_row",
        ["snapshot_id", "sort", "record_id"],
        unique=False,
    )
    op.create_foreign_key("fk_core_team_head_id", "core_team", "core_user", ["head_id"], ["id"], ondelete="RESTRICT")
    for statement in FUNCTIONS.split("\n--\n"):
        op.execute(statement)
    op.execute(
        "SELECT core_change_partition((date_trunc('month', now()) + make_interval(months => n))::date) "
        "FROM generate_series(-14, 14) AS n"
    )
    log_table(op, "core_user", "core.user", secret=["password_hash"])
    log_table(op, "core_team", "core.team")
    log_table(op, "core_role", "core.role")
    log_table(op, "core_role_grant", "core.role_grant", parent="role_id=core.role", versioned=False)
    log_table(op, "core_user_role", "core.user_role", parent="user_id=core.user", versioned=False)
    log_table(op, "core_grant", "core.grant", parent="@", versioned=False)
    log_table(op, "core_tag", "core.tag")
    log_table(op, "core_field", "core.field")
    log_table(op, "core_file", "core.file", parent="subject")
    log_table(op, "core_view", "core.view")
    log_table(op, "core_setting", "core.setting", secret=["secret"])
    for table in ("core_role", "core_role_grant", "core_user_role", "core_team", "core_grant"):
        op.execute(
            f"CREATE TRIGGER core_rights AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION core_bump_rights()"
        )
    op.execute(
        "CREATE TRIGGER core_rights AFTER UPDATE OF team_id, status ON core_user "
        "FOR EACH STATEMENT EXECUTE FUNCTION core_bump_rights()"
    )
    add_reference(op, "core", "core_file", "subject", kind="soft", on_delete="with")
    add_reference(op, "core", "core_grant", "@", kind="soft", on_delete="with")


def downgrade() -> None:
    """Drop everything, in the order in which nothing is needed any more."""
    op.execute("DROP SEQUENCE core_change_id_seq CASCADE")
    op.drop_constraint("fk_core_team_head_id", "core_team")
    op.drop_index("ix_core_snapshot_row_snapshot_id_sort_record_id", table_name="core_snapshot_row")
    op.drop_table("core_snapshot_row")
    op.drop_index("ix_core_import_warning_import_id_row_number", table_name="core_import_warning")
    op.drop_table("core_import_warning")
    op.drop_table("core_import_reject")
    op.drop_index("ix_core_view_entity", table_name="core_view")
    op.drop_table("core_view")
    op.drop_index("ix_core_user_role_role_id", table_name="core_user_role")
    op.drop_table("core_user_role")
    op.drop_index("ix_core_token_user_id", table_name="core_token")
    op.drop_table("core_token")
    op.drop_index("ix_core_snapshot_entity_at", table_name="core_snapshot")
    op.drop_table("core_snapshot")
    op.drop_index("ix_core_sign_in_user_id_at", table_name="core_sign_in")
    op.drop_index("ix_core_sign_in_at", table_name="core_sign_in")
    op.drop_table("core_sign_in")
    op.drop_index("ix_core_session_user_id", table_name="core_session")
    op.drop_table("core_session")
    op.drop_table("core_preference")
    op.drop_index("ix_core_operation_user_id_at", table_name="core_operation")
    op.drop_index("ix_core_operation_at", table_name="core_operation")
    op.drop_table("core_operation")
    op.drop_index("ix_core_notification_user_id_id", table_name="core_notification")
    op.drop_index(
        "ix_core_notification_unread", table_name="core_notification", postgresql_where=sa.text("read_at IS NULL")
    )
    op.drop_table("core_notification")
    op.drop_index(
        "uq_core_job_key", table_name="core_job", postgresql_where=sa.text("key IS NOT NULL AND state = 'waiting'")
    )
    op.drop_index("ix_core_job_user_id_id", table_name="core_job")
    op.drop_index("ix_core_job_finished", table_name="core_job")
    op.drop_index("ix_core_job_due", table_name="core_job", postgresql_where=sa.text("state IN ('waiting','running')"))
    op.drop_table("core_job")
    op.drop_index("ix_core_import_user_id_created_at", table_name="core_import")
    op.drop_table("core_import")
    op.drop_index("ix_core_file_subject_entity_subject_id_id", table_name="core_file")
    op.drop_index("ix_core_file_owner_id_id", table_name="core_file")
    op.drop_index("ix_core_file_digest", table_name="core_file")
    op.drop_table("core_file")
    op.drop_table("core_favourite")
    op.drop_index(
        "ix_core_delivery_open",
        table_name="core_delivery",
        postgresql_where=sa.text("state IN ('claimed','attempting')"),
    )
    op.drop_index(
        "ix_core_delivery_due", table_name="core_delivery", postgresql_where=sa.text("state IN ('pending','deferred')")
    )
    op.drop_table("core_delivery")
    op.drop_index("uq_core_user_email", table_name="core_user", postgresql_where=sa.text("email <> ''"))
    op.drop_table("core_user")
    op.drop_table("core_role_grant")
    op.drop_index("ix_core_grant_principal_id_entity_record_id", table_name="core_grant")
    op.drop_table("core_grant")
    op.drop_table("core_team")
    op.drop_index("uq_core_tag_name", table_name="core_tag")
    op.drop_table("core_tag")
    op.drop_table("core_setting")
    op.drop_index(
        "ix_core_search_trigram",
        table_name="core_search",
        postgresql_using="gin",
        postgresql_ops={"text": "gin_trgm_ops"},
    )
    op.drop_table("core_search")
    op.drop_table("core_seal")
    op.drop_table("core_schedule")
    op.drop_table("core_role")
    op.drop_table("core_rights_epoch")
    op.drop_table("core_reference")
    op.drop_table("core_principal")
    op.drop_table("core_plugin")
    op.drop_table("core_merged")
    op.drop_index("ix_core_letter_created_at", table_name="core_letter")
    op.drop_table("core_letter")
    op.drop_table("core_import_preset")
    op.drop_index("ix_core_field_entity", table_name="core_field")
    op.drop_table("core_field")
    op.drop_table("core_default_grant")
    op.drop_index("ix_core_change_unsealed", table_name="core_change", postgresql_where=sa.text("block IS NULL"))
    op.drop_index(
        "ix_core_change_parent_entity_parent_id_id",
        table_name="core_change",
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.drop_index("ix_core_change_operation_id_id", table_name="core_change")
    op.drop_index("ix_core_change_entity_record_id_id", table_name="core_change")
    op.drop_index("ix_core_change_block", table_name="core_change", postgresql_where=sa.text("block IS NOT NULL"))
    op.drop_table("core_change")
    op.drop_table("core_blob")
    op.drop_index("ix_core_address_kind_value", table_name="core_address")
    op.drop_index("ix_core_address_entity_record_id", table_name="core_address")
    op.drop_table("core_address")
    for name in (
        "core_log_insert()",
        "core_log_update()",
        "core_log_delete()",
        "core_stamp()",
        "core_bump_rights()",
        "core_change_partition(date)",
        "core_fields(jsonb, text[])",
        "core_present(jsonb)",
        "core_parent_columns(text)",
        "core_change_digest(text, bigint, text, bigint, text, jsonb, jsonb)",
        "core_no_operation()",
        "crm_num(jsonb)",
        "crm_text(jsonb)",
    ):
        op.execute(f"DROP FUNCTION {name} CASCADE")
