"""Tables: migrations and models are equal, go down and up again; every record is gated, logged and guarded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from crm_core import migrations
from crm_core.db import Base, UngatedRead, gated_tables, make_engine

LOGGED = ("core_log_insert", "core_log_update", "core_log_delete")

#: Tables of the core whose changes are not in the change log, and why.
UNLOGGED = {
    **dict.fromkeys(("core_operation", "core_change", "core_seal"), "they are the change log"),
    **dict.fromkeys(
        ("core_search", "core_address", "core_principal", "core_rights_epoch"), "derived from other tables"
    ),
    **dict.fromkeys(("core_snapshot", "core_snapshot_row", "core_merged"), "made from the change log and from records"),
    **dict.fromkeys(("core_session", "core_token"), "secrets, and gone soon"),
    **dict.fromkeys(("core_sign_in", "core_notification"), "each row is a fact that nobody changes"),
    **dict.fromkeys(
        ("core_job", "core_schedule", "core_delivery", "core_letter"), "each row says itself what became of it"
    ),
    **dict.fromkeys(("core_import", "core_import_reject", "core_import_warning"), "an import is an operation itself"),
    **dict.fromkeys(("core_import_preset", "core_preference", "core_favourite"), "how one person wants a page to be"),
    **dict.fromkeys(("core_follow", "core_notice_choice", "core_notice_hours"), "what one person wants to be told"),
    **dict.fromkeys(("core_reminder", "core_notice", "core_channel"), "each row says itself what became of it"),
    "core_blob": "contents by their digest; files, which name them, are logged",
    "core_default_grant": "remembers what was handed out once; the grants are logged",
    "core_reference": "written by migrations",
    "core_plugin": "written at start",
    "deals_lead_turn": "whose turn it was last, which nobody would take back",
    "tasks_overdue_mark": "remembers what was told",
    "deals_stage_change": "is the history of moves itself, one more row for each",
    "tasks_meeting": "what guests were told last, written by the letters; the guests themselves are logged",
    "tasks_guest_key": "opens a letter's answer and is made anew with each letter",
    "tasks_feed": "a secret address by its digest; it is revoked, never put back",
    "calls_link": "how the connection to a gateway is just now",
}


@pytest.fixture(scope="module")
def empty(crm_servers: Any, plugins: Any) -> Iterator[str]:
    name = crm_servers.empty()
    yield crm_servers.url_of(name)
    crm_servers.drop(name)


def test_every_branch_equals_its_models_goes_down_and_up_again(empty: str, plugins: Any) -> None:
    migrations.upgrade(empty, plugins)
    engine = make_engine(empty, poolclass=sa.NullPool)
    names = [branch.name for branch in migrations.branches(plugins)]
    first = {name: _differences(engine, f"{name}_") for name in names}

    for name in reversed(names):
        migrations.downgrade(empty, plugins, name)
    with engine.connect() as connection:
        left = [table for table in sa.inspect(connection).get_table_names() if not table.endswith("_alembic")]
        routines = connection.execute(
            sa.text("SELECT proname FROM pg_proc WHERE pronamespace = 'crm'::regnamespace")
        ).scalars()
        left += [f"{name}()" for name in routines]
    migrations.upgrade(empty, plugins)
    second = {name: _differences(engine, f"{name}_") for name in names}
    engine.dispose()

    assert not any(first.values())
    assert not left
    assert second == first


def _differences(engine: sa.Engine, prefix: str) -> list[Any]:
    """Compare models with the database as `crm db revision` does: partitions and indexes of custom fields aside."""

    with engine.connect() as connection:
        # Months of the change log are tables of their own that no model describes.
        partitions = set(connection.execute(sa.text("SELECT relname FROM pg_class WHERE relispartition")).scalars())

    def include(name: str | None, kind: str, parents: Any) -> bool:
        table = str(name if kind == "table" else parents.get("table_name"))
        mine = table.startswith(prefix) and not table.endswith("_alembic") and table not in partitions
        return kind == "schema" or (mine and not (kind == "index" and str(name).startswith("cfx_")))

    def include_object(_item: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        return kind != "table" or bool(name and name.startswith(prefix))

    with engine.connect() as connection:
        options = {"include_name": include, "include_object": include_object, "compare_type": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)


def test_every_gated_table_has_the_triggers_of_the_log(db: Any, plugins: Any) -> None:
    gated = gated_tables()

    assert len(gated) >= 1
    for table in gated:
        assert {"core_stamp", *LOGGED} <= _triggers(db, table.name), f"{table.name}: call log_table in its migration"


def test_triggers_and_entities_agree(db: Any, plugins: Any) -> None:
    """What a trigger calls a row is what its entity, or a part of one, is called."""
    rows = db.execute(
        sa.text(
            "SELECT c.relname, t.tgargs FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "WHERE t.tgname = 'core_log_update' AND NOT t.tgisinternal AND t.tgparentid = 0"
        )
    ).all()
    said = {table: bytes(arguments).split(b"\0")[0].decode() for table, arguments in rows}
    wanted = {entity.model.__table__.name: entity.name for entity in plugins.entities.values()}  # type: ignore[attr-defined]
    parts = {part.name for entity in plugins.entities.values() for part in entity.parts}

    for table, name in wanted.items():
        assert said.get(table) == name
    for table, name in said.items():
        if table not in wanted and not table.startswith("core_"):
            assert name in parts, f"{table} is logged as {name}, which is neither an entity nor a part of one"


def test_the_table_of_an_entity_is_gated(plugins: Any) -> None:
    gated = gated_tables()

    assert all(entity.model.__table__ in gated for entity in plugins.entities.values())
    assert {table.name for table in gated} <= {entity.model.__table__.name for entity in plugins.entities.values()}


def test_the_guard_refuses_every_gated_table(db: Any, plugins: Any) -> None:
    for table in gated_tables():
        for statement in (
            sa.select(table),
            sa.select(sa.func.count()).select_from(table),
            sa.select(sa.literal(1)).where(sa.exists(sa.select(table.c.id))),
            sa.update(table).values(deleted_at=None),
            sa.delete(table),
        ):
            with pytest.raises(UngatedRead):
                db.execute(statement)


def test_every_other_table_is_logged_or_says_why_not(db: Any, plugins: Any) -> None:
    mapped = {mapper.local_table.name for mapper in Base.registry.mappers if isinstance(mapper.local_table, sa.Table)}
    mine = {name for name in mapped if name.partition("_")[0] in {one.info.name for one in plugins.loaded}}
    unlogged = {name for name in mine if not set(LOGGED) <= _triggers(db, name)}

    assert not unlogged - UNLOGGED.keys(), "log_table in the migration, or a reason above"
    assert not {name for name in UNLOGGED if name in mine} - unlogged, "these are logged after all"


def test_no_foreign_key_deletes_records_along(db: Any, plugins: Any) -> None:
    gated = {table.name for table in gated_tables()}

    assert not [
        f"{table.name}.{key.parent.name} -> {key.column.table.name}"
        for table in Base.metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name in gated and (key.ondelete or "").upper() == "CASCADE"
    ]


def test_every_link_to_a_record_is_known_to_the_core(db: Any, plugins: Any) -> None:
    """Without its row in core_reference, a merge or an erasure would leave a link behind."""
    known = {tuple(row) for row in db.execute(sa.text("SELECT table_name, column_name FROM core_reference"))}
    gated = gated_tables()
    missing = [
        f"{table.name}.{key.parent.name}"
        for table in Base.metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table in gated and (table.name, key.parent.name) not in known
    ]

    assert not missing


def test_every_default_order_is_indexed_for_each_branch_of_the_gate(plugins: Any) -> None:
    missing = []
    for entity in plugins.entities.values():
        if entity.parent:
            continue
        table = entity.model.__table__
        leading = {tuple(column.name for column in index.columns)[:3] for index in table.indexes}
        missing += [
            f"{table.name} ({first}, {entity.sort}, id)"
            for first in ("owner_id", "team_id")
            if (first, entity.sort, "id") not in leading
        ]

    assert not missing


def _triggers(db: Any, table: str) -> set[str]:
    return set(
        db.scalars(
            sa.text("SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:name) AND NOT tgisinternal"),
            {"name": table},
        )
    )
