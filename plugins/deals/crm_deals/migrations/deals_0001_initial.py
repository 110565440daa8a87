"""Pipelines, products, deals and what belongs to them, with what a fresh installation begins with."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alembic import op
from crm_core.db import add_reference, log_table, record_columns

revision = "deals_0001_initial"
down_revision = None
branch_labels = None
depends_on = None

ALIVE = sa.text("deleted_at IS NULL")
OPEN_ALIVE = sa.text("deleted_at IS NULL AND state = 'open'")
TRASHED = sa.text("deleted_at IS NOT NULL")

RECORDS = {
    "deals_pipeline": "deals.pipeline",
    "deals_stage": "deals.stage",
    "deals_reason": "deals.reason",
    "deals_group": "deals.group",
    "deals_product": "deals.product",
    "deals_deal": "deals.deal",
}

#: What follows from a deal's stage, lines, client and currency is written here, so that it is right by whatever path
#: the deal is: form, import, bulk work, undo. What the statement itself says is left as it says.
STAMP = """
CREATE FUNCTION deals_stamp() RETURNS trigger LANGUAGE plpgsql SET search_path = crm, public AS $$
DECLARE
    instant timestamptz := coalesce(nullif(current_setting('crm.at', true), '')::timestamptz, clock_timestamp());
    fresh boolean := TG_OP = 'INSERT';
    base text;
    stage record;
BEGIN
    IF NEW.stage_id IS NULL OR (NOT fresh AND NEW.pipeline_id IS DISTINCT FROM OLD.pipeline_id
            AND NEW.stage_id IS NOT DISTINCT FROM OLD.stage_id) THEN
        SELECT s.id INTO NEW.stage_id FROM deals_stage s JOIN deals_pipeline p ON p.id = s.pipeline_id
        WHERE s.deleted_at IS NULL AND p.deleted_at IS NULL AND (NEW.pipeline_id IS NULL OR p.id = NEW.pipeline_id)
        ORDER BY p.active DESC, p.position, p.id, s.kind <> 'open', s.position, s.id LIMIT 1;
    END IF;
    IF fresh OR NEW.stage_id IS DISTINCT FROM OLD.stage_id THEN
        SELECT pipeline_id, kind, probability INTO stage FROM deals_stage WHERE id = NEW.stage_id;
        NEW.pipeline_id := stage.pipeline_id;
        NEW.state := stage.kind;
        IF fresh THEN
            NEW.probability := coalesce(NEW.probability, stage.probability);
            NEW.stage_since := coalesce(NEW.stage_since, NEW.closed_at, instant);
            NEW.closed_at := CASE WHEN stage.kind <> 'open' THEN coalesce(NEW.closed_at, NEW.stage_since) END;
        ELSE
            IF NEW.probability IS NOT DISTINCT FROM OLD.probability THEN
                NEW.probability := stage.probability;
            END IF;
            IF NEW.stage_since IS NOT DISTINCT FROM OLD.stage_since THEN
                NEW.stage_since := instant;
            END IF;
            IF stage.kind = 'open' THEN
                NEW.closed_at := NULL;
            ELSIF NEW.closed_at IS NOT DISTINCT FROM OLD.closed_at THEN
                NEW.closed_at := NEW.stage_since;
            END IF;
        END IF;
    END IF;
    IF NEW.state <> 'lost' THEN
        NEW.reason_id := NULL;
        NEW.reason_note := NULL;
    END IF;
    IF coalesce(NEW.name, '') = '' THEN
        NEW.name := coalesce(
            (SELECT nullif(name, '') FROM clients_company WHERE id = NEW.company_id),
            (SELECT nullif(full_name, '') FROM clients_person WHERE id = NEW.person_id));
        NEW.name := concat_ws(': ', (SELECT name FROM deals_pipeline WHERE id = NEW.pipeline_id), NEW.name);
    END IF;
    NEW.name_sort := translate(lower(NEW.name), 'ё', 'е');
    IF NEW.lines_total IS NOT NULL THEN
        NEW.amount := NEW.lines_total;
    END IF;
    base := coalesce((SELECT value #>> '{}' FROM core_setting WHERE key = 'company.currency'), 'RUB');
    IF NEW.currency IS NULL THEN
        NEW.currency := coalesce((SELECT currency FROM deals_pipeline WHERE id = NEW.pipeline_id), base);
    END IF;
    IF fresh OR (NEW.amount, NEW.currency, NEW.closed_at) IS DISTINCT FROM (OLD.amount, OLD.currency, OLD.closed_at)
    THEN
        NEW.amount_base := CASE WHEN NEW.currency = base THEN NEW.amount ELSE round(NEW.amount * (
            SELECT rate FROM deals_rate
            WHERE currency = NEW.currency AND since <= coalesce(NEW.closed_at, instant)::date
            ORDER BY since DESC LIMIT 1), 2) END;
    END IF;
    RETURN NEW;
END $$
"""

LOG_STAGES = """
CREATE FUNCTION deals_log_stages() RETURNS trigger LANGUAGE plpgsql SET search_path = crm, public AS $$
DECLARE
    instant timestamptz := coalesce(nullif(current_setting('crm.at', true), '')::timestamptz, clock_timestamp());
    actor bigint := nullif(current_setting('crm.actor', true), '')::bigint;
    operation bigint := nullif(current_setting('crm.operation', true), '')::bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO deals_stage_change (deal_id, pipeline_id, to_stage_id, to_state, at, user_id, amount_base,
            operation_id)
        SELECT n.id, n.pipeline_id, n.stage_id, n.state, n.stage_since, actor, n.amount_base, operation
        FROM new_rows n ORDER BY n.id;
    ELSE
        INSERT INTO deals_stage_change (deal_id, pipeline_id, from_stage_id, to_stage_id, from_state, to_state, at,
            user_id, amount_base, seconds, operation_id)
        SELECT n.id, n.pipeline_id, o.stage_id, n.stage_id, o.state, n.state, instant, actor, n.amount_base,
            greatest(0, extract(epoch FROM instant - coalesce(
                (SELECT max(at) FROM deals_stage_change c WHERE c.deal_id = n.id), o.stage_since)))::bigint, operation
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE n.stage_id IS DISTINCT FROM o.stage_id ORDER BY n.id;
    END IF;
    RETURN NULL;
END $$
"""

#: A deal is deleted for good only when its making is taken back, or with the plugin; its moves were never there then.
FORGET_STAGES = """
CREATE FUNCTION deals_forget_stages() RETURNS trigger LANGUAGE plpgsql SET search_path = crm, public AS $$
BEGIN
    DELETE FROM deals_stage_change WHERE deal_id = OLD.id;
    RETURN OLD;
END $$
"""

TRIGGERS = (
    "CREATE TRIGGER deals_stamp BEFORE INSERT OR UPDATE ON deals_deal FOR EACH ROW EXECUTE FUNCTION deals_stamp()",
    "CREATE TRIGGER deals_log_stages_insert AFTER INSERT ON deals_deal REFERENCING NEW TABLE AS new_rows "
    "FOR EACH STATEMENT EXECUTE FUNCTION deals_log_stages()",
    "CREATE TRIGGER deals_log_stages_update AFTER UPDATE ON deals_deal REFERENCING OLD TABLE AS old_rows "
    "NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION deals_log_stages()",
    "CREATE TRIGGER deals_forget_stages BEFORE DELETE ON deals_deal FOR EACH ROW "
    "EXECUTE FUNCTION deals_forget_stages()",
)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True)


def _key(name: str, target: str, *, nullable: bool = True) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), sa.ForeignKey(f"{target}.id", ondelete="RESTRICT"), nullable=nullable)


def upgrade() -> None:
    """Make the tables, their indexes and triggers, and what a fresh installation begins with."""
    _make_pipelines()
    _make_catalogue()
    _make_deals()
    _make_parts()
    for statement in (STAMP, LOG_STAGES, FORGET_STAGES, *TRIGGERS):
        op.execute(statement)
    _log()
    _begin()


def _make_pipelines() -> None:
    op.create_table(
        "deals_pipeline",
        *record_columns(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("currency", sa.CHAR(3)),
    )
    op.create_table(
        "deals_stage",
        *record_columns(),
        _key("pipeline_id", "deals_pipeline", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False, server_default=""),
        sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("place", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("probability", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("color", sa.Text(), nullable=False, server_default="gray"),
        sa.Column("kind", sa.Text(), nullable=False, server_default="open"),
        sa.Column("rot_days", sa.BigInteger()),
        sa.Column("required_fields", pg.JSONB(), nullable=False, server_default="[]"),
        sa.Column("allowed_to", pg.JSONB()),
        sa.Column("mover_roles", pg.JSONB()),
        sa.CheckConstraint("kind IN ('open','won','lost')", name="kind"),
        sa.CheckConstraint("probability BETWEEN 0 AND 100", name="probability"),
    )
    op.create_index(None, "deals_stage", ["pipeline_id", "position", "id"])
    op.create_table(
        "deals_reason",
        *record_columns(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"),
    )
    for table, sort in (("deals_pipeline", "position"), ("deals_stage", "place"), ("deals_reason", "position")):
        op.create_index(None, table, ["owner_id", sort, "id"])
        op.create_index(None, table, ["team_id", sort, "id"])


def _make_catalogue() -> None:
    op.create_table(
        "deals_group",
        *record_columns(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_sort", sa.Text(collation="C"), nullable=False, server_default=""),
    )
    op.create_index(None, "deals_group", ["owner_id", "name_sort", "id"])
    op.create_index(None, "deals_group", ["team_id", "name_sort", "id"])
    op.create_table(
        "deals_product",
        *record_columns(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_sort", sa.Text(collation="C"), nullable=False, server_default=""),
        sa.Column("sku", sa.Text()),
        sa.Column("kind", sa.Text(), nullable=False, server_default="goods"),
        sa.Column("unit", sa.Text(), nullable=False, server_default="pcs"),
        sa.Column("price", sa.Numeric(19, 4)),
        sa.Column("currency", sa.CHAR(3), nullable=False, server_default="RUB"),
        sa.Column("cost", sa.Numeric(19, 4)),
        sa.Column("vat_code", sa.Text()),
        _key("group_id", "deals_group"),
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("description", sa.Text()),
    )
    for columns in (
        ["owner_id", "name_sort", "id"],
        ["team_id", "name_sort", "id"],
        ["name_sort", "id"],
        ["group_id", "name_sort", "id"],
    ):
        op.create_index(None, "deals_product", columns, postgresql_where=ALIVE)
    op.create_index(None, "deals_product", ["sku"], postgresql_where=sa.text("sku IS NOT NULL"))
    op.create_table(
        "deals_vat_rate",
        _id(),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False, server_default=""),
        sa.Column("rate", sa.Numeric(5, 2)),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"),
        sa.UniqueConstraint("code", "since"),
    )
    op.create_table(
        "deals_rate",
        _id(),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("rate", sa.Numeric(19, 8), nullable=False),
        sa.UniqueConstraint("currency", "since"),
    )
    op.create_table(
        "deals_date_kind",
        _id(),
        sa.Column("code", sa.Text(), unique=True),
        sa.Column("title", sa.Text()),
        sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("remind_days", sa.BigInteger()),
        sa.Column("archived", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def _make_deals() -> None:
    op.create_table(
        "deals_deal",
        *record_columns(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_sort", sa.Text(collation="C"), nullable=False),
        _key("pipeline_id", "deals_pipeline", nullable=False),
        _key("stage_id", "deals_stage", nullable=False),
        sa.Column("stage_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("probability", sa.BigInteger(), nullable=False),
        _key("company_id", "clients_company"),
        _key("person_id", "clients_person"),
        sa.Column("amount", sa.Numeric(19, 4)),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("amount_base", sa.Numeric(19, 4)),
        sa.Column("vat_mode", sa.Text(), nullable=False, server_default="included"),
        sa.Column("vat_amount", sa.Numeric(19, 4)),
        sa.Column("discount_percent", sa.Numeric(5, 2)),
        sa.Column("discount_total", sa.Numeric(5, 2)),
        sa.Column("lines_total", sa.Numeric(19, 4)),
        sa.Column("discount_approved", sa.Numeric(5, 2)),
        _key("discount_approved_by", "core_user"),
        sa.Column("discount_approved_at", sa.DateTime(timezone=True)),
        _key("discount_asked_by", "core_user"),
        sa.Column("discount_asked_at", sa.DateTime(timezone=True)),
        sa.Column("expected_close", sa.Date()),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        _key("reason_id", "deals_reason"),
        sa.Column("reason_note", sa.Text()),
        sa.Column("source", sa.Text()),
        sa.Column("lead_id", sa.BigInteger()),
        sa.Column("last_activity_at", sa.DateTime(timezone=True)),
        sa.Column("next_date", sa.Date()),
        sa.Column("comment", sa.Text()),
        sa.CheckConstraint("state IN ('open','won','lost')", name="state"),
        sa.CheckConstraint("vat_mode IN ('included','on_top','none')", name="vat_mode"),
    )
    for columns in (
        ["owner_id", "created_at", "id"],
        ["team_id", "created_at", "id"],
        ["created_at", "id"],
        ["stage_id", "stage_since", "id"],
        ["pipeline_id", "created_at", "id"],
    ):
        op.create_index(None, "deals_deal", columns, postgresql_where=ALIVE)
    op.create_index(None, "deals_deal", ["owner_id", "expected_close", "id"], postgresql_where=OPEN_ALIVE)
    op.create_index(None, "deals_deal", ["expected_close", "id"], postgresql_where=OPEN_ALIVE)
    op.create_index(
        None,
        "deals_deal",
        ["closed_at", "id"],
        postgresql_where=sa.text("closed_at IS NOT NULL AND deleted_at IS NULL"),
    )
    for column in ("company_id", "person_id"):
        op.create_index(
            None, "deals_deal", [column, "created_at"], postgresql_where=sa.text(f"{column} IS NOT NULL")
        )
    op.create_index(None, "deals_deal", ["owner_id", "tags"], postgresql_using="gin")
    op.create_index(None, "deals_deal", ["deleted_at", "id"], postgresql_where=TRASHED)


def _make_parts() -> None:
    op.create_table(
        "deals_line",
        _id(),
        _key("deal_id", "deals_deal", nullable=False),
        _key("product_id", "deals_product"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False, server_default="pcs"),
        sa.Column("quantity", sa.Numeric(15, 3), nullable=False),
        sa.Column("price", sa.Numeric(19, 4), nullable=False),
        sa.Column("discount_percent", sa.Numeric(5, 2), nullable=False, server_default="0"),
        sa.Column("vat_code", sa.Text()),
        sa.Column("vat_rate", sa.Numeric(5, 2)),
        sa.Column("total", sa.Numeric(19, 4), nullable=False),
        sa.Column("vat", sa.Numeric(19, 4), nullable=False, server_default="0"),
        sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.create_index(None, "deals_line", ["deal_id", "position", "id"])
    op.create_index(None, "deals_line", ["product_id"])
    op.create_table(
        "deals_party",
        _id(),
        _key("deal_id", "deals_deal", nullable=False),
        sa.Column("record_entity", sa.Text(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text()),
        sa.UniqueConstraint("deal_id", "record_entity", "record_id"),
    )
    op.create_index(None, "deals_party", ["record_entity", "record_id"])
    op.create_table(
        "deals_member",
        _id(),
        _key("deal_id", "deals_deal", nullable=False),
        _key("user_id", "core_user", nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, server_default="observer"),
        sa.UniqueConstraint("deal_id", "user_id"),
    )
    op.create_index(None, "deals_member", ["user_id", "deal_id"])
    op.create_table(
        "deals_date",
        _id(),
        _key("deal_id", "deals_deal", nullable=False),
        _key("kind_id", "deals_date_kind", nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("remind_days", sa.BigInteger()),
        sa.Column("done", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("note", sa.Text()),
    )
    op.create_index(None, "deals_date", ["deal_id", "day"])
    op.create_index(None, "deals_date", ["day"], postgresql_where=sa.text("NOT done"))
    op.create_table(
        "deals_stage_change",
        _id(),
        _key("deal_id", "deals_deal", nullable=False),
        _key("pipeline_id", "deals_pipeline", nullable=False),
        _key("from_stage_id", "deals_stage"),
        _key("to_stage_id", "deals_stage", nullable=False),
        sa.Column("from_state", sa.Text()),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _key("user_id", "core_user"),
        sa.Column("amount_base", sa.Numeric(19, 4)),
        sa.Column("seconds", sa.BigInteger()),
        sa.Column("operation_id", sa.BigInteger()),
        sa.Column("told", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    for columns in (["deal_id", "at", "id"], ["to_stage_id", "at"], ["pipeline_id", "at"], ["at"]):
        op.create_index(None, "deals_stage_change", columns)


def _log() -> None:
    for table, entity in RECORDS.items():
        log_table(op, table, entity)
        for column in ("owner_id", "created_by"):
            add_reference(op, "deals", table, column, kind="user")
    for table, part in (
        ("deals_line", "deals.line"),
        ("deals_party", "deals.party"),
        ("deals_member", "deals.member"),
        ("deals_date", "deals.date"),
    ):
        log_table(op, table, part, parent="deal_id=deals.deal", versioned=False)
        add_reference(op, "deals", table, "deal_id", entity="deals.deal", on_delete="with")
    for table, part in (
        ("deals_vat_rate", "deals.vat"),
        ("deals_rate", "deals.rate"),
        ("deals_date_kind", "deals.date_kind"),
    ):
        log_table(op, table, part, versioned=False)
    for table, column, entity in (
        ("deals_stage", "pipeline_id", "deals.pipeline"),
        ("deals_product", "group_id", "deals.group"),
        ("deals_deal", "pipeline_id", "deals.pipeline"),
        ("deals_deal", "stage_id", "deals.stage"),
        ("deals_deal", "reason_id", "deals.reason"),
        ("deals_line", "product_id", "deals.product"),
        ("deals_stage_change", "pipeline_id", "deals.pipeline"),
        ("deals_stage_change", "from_stage_id", "deals.stage"),
        ("deals_stage_change", "to_stage_id", "deals.stage"),
    ):
        add_reference(op, "deals", table, column, entity=entity)
    add_reference(op, "deals", "deals_stage_change", "deal_id", entity="deals.deal", on_delete="with")
    add_reference(op, "deals", "deals_deal", "company_id", entity="clients.company", on_delete="null")
    add_reference(op, "deals", "deals_deal", "person_id", entity="clients.person", on_delete="null", personal=True)
    add_reference(op, "deals", "deals_party", "record", kind="soft", on_delete="with", personal=True)
    for table, column in (
        ("deals_deal", "discount_approved_by"),
        ("deals_deal", "discount_asked_by"),
        ("deals_member", "user_id"),
        ("deals_stage_change", "user_id"),
    ):
        add_reference(op, "deals", table, column, kind="user")


#: Names are data, which an administrator changes; Russian comes first.
STAGES = (
    ("Новая", 10, "blue", "open", 7),
    ("Потребность выявлена", 30, "teal", "open", 7),
    ("КП отправлено", 50, "purple", "open", 10),
    ("Согласование", 70, "orange", "open", 10),
    ("Счёт выставлен", 90, "yellow", "open", 7),
    ("Успешно", 100, "green", "won", None),
    ("Отказ", 0, "red", "lost", None),
)
REASONS = ("Дорого", "Выбрали другого", "Перенесли", "Нет ответа", "Нет в наличии")
VAT = (
    ("standard", "2019-01-01", 20),
    ("standard", "2026-01-01", 22),
    ("10", "2004-01-01", 10),
    ("7", "2025-01-01", 7),
    ("5", "2025-01-01", 5),
    ("0", "2001-01-01", 0),
    ("none", "2001-01-01", None),
)
DATES = (
    ("contract", None),
    ("invoice", 1),
    ("payment", 1),
    ("shipment", 2),
    ("installation", 2),
    ("warranty", 30),
    ("service", 30),
)


def _begin() -> None:
    run = op.get_bind().execute
    operation = run(
        sa.text(
            "INSERT INTO core_operation (at, kind, source, note, detail, state, address) "
            "VALUES (now(), 'setup', 'migration', 'deals', '{}', 'done', '') RETURNING id"
        )
    ).scalar_one()
    run(
        sa.text(
            "SELECT set_config('crm.operation', :id, true), set_config('crm.at', now()::text, true), "
            "set_config('crm.actor', '', true)"
        ),
        {"id": str(operation)},
    )
    pipeline = run(
        sa.text("INSERT INTO deals_pipeline (name, position, created_at) VALUES ('Продажи', 1, now()) RETURNING id")
    ).scalar_one()
    for place, (name, probability, color, kind, rot) in enumerate(STAGES, 1):
        run(
            sa.text(
                "INSERT INTO deals_stage (pipeline_id, name, title, position, place, probability, color, kind, "
                "rot_days, created_at) VALUES (:pipeline, :name, :name, :place, 1000 + :place, :probability, :color, "
                ":kind, :rot, now())"
            ),
            {
                "pipeline": pipeline,
                "name": name,
                "place": place,
                "probability": probability,
                "color": color,
                "kind": kind,
                "rot": rot,
            },
        )
    for place, name in enumerate(REASONS, 1):
        run(
            sa.text("INSERT INTO deals_reason (name, position, created_at) VALUES (:name, :place, now())"),
            {"name": name, "place": place},
        )
    for place, (code, since, rate) in enumerate(VAT, 1):
        run(
            sa.text(
                "INSERT INTO deals_vat_rate (code, since, rate, position) "
                "VALUES (:code, CAST(:since AS date), :rate, :place)"
            ),
            {"code": code, "since": since, "rate": rate, "place": place},
        )
    for place, (code, remind) in enumerate(DATES, 1):
        run(
            sa.text("INSERT INTO deals_date_kind (code, position, remind_days) VALUES (:code, :place, :remind)"),
            {"code": code, "place": place, "remind": remind},
        )


def downgrade() -> None:
    """Drop the tables and functions; triggers and indexes go with them."""
    op.execute("DELETE FROM core_reference WHERE plugin = 'deals'")
    for table in (
        "deals_stage_change",
        "deals_date",
        "deals_member",
        "deals_party",
        "deals_line",
        "deals_deal",
        "deals_date_kind",
        "deals_rate",
        "deals_vat_rate",
        "deals_product",
        "deals_group",
        "deals_reason",
        "deals_stage",
        "deals_pipeline",
    ):
        op.drop_table(table)
    for name in ("deals_stamp", "deals_log_stages", "deals_forget_stages"):
        op.execute(f"DROP FUNCTION {name}()")
