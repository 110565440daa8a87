"""Runs the migrations of one distribution; called by `crm_core.migrations` only, which hands over the connection."""

from alembic import context

from crm_core.db import SCHEMA, Base

config = context.config
attributes = config.attributes


def include_name(name: str | None, kind: str, parents: object) -> bool:
    """Let autogenerate see the tables of this distribution only, without partitions and custom fields' indexes."""
    if kind == "table":
        return bool(name) and name.startswith(attributes["prefix"]) and not name.endswith("_alembic") and "_p20" not in name
    if kind == "index":
        return not (name or "").startswith("cfx_")
    return True


def include_object(item: object, name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
    """Leave out what other distributions map."""
    return kind != "table" or bool(name and name.startswith(attributes["prefix"]))


context.configure(
    connection=attributes["connection"],
    target_metadata=Base.metadata,
    version_table=attributes["version_table"],
    version_table_schema=SCHEMA,
    include_name=include_name,
    include_object=include_object,
    transaction_per_migration=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
