"""Runs the migrations of one distribution; called by `crm_core.migrations` only, which hands over the connection."""

from functools import cache

from alembic import context
from crm_core.db import SCHEMA, Base

config = context.config
attributes = config.attributes


@cache
def partitions() -> frozenset[str]:
    """Return the tables that are parts of others: no model describes them. Asked by autogenerate only."""
    connection = attributes["connection"]
    return frozenset(connection.exec_driver_sql("SELECT relname FROM pg_class WHERE relispartition").scalars())


def include_name(name: str | None, kind: str, parents: object) -> bool:
    """Let autogenerate see the tables of this distribution only, without partitions and custom fields' indexes."""
    if kind == "table":
        mine = bool(name) and name.startswith(attributes["prefix"]) and not name.endswith("_alembic")
        return mine and name not in partitions()
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
