"""Takes the tables of a switched-off plugin out of an installation: into an archive, or for good.

A plugin is off when its name is out of ``crm.plugins``; its tables stay and are kept up to date. *Archived* means that
they were also written to a file. *Purged* means that they are gone; the change log keeps what happened.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from crm_core import clock
from crm_core.db import SCHEMA, session_factory
from crm_core.records import operations
from crm_core.security.subject import Subject
from crm_core.settings import ConfigurationError, Settings

KEPT = frozenset({"core_change", "core_operation", "core_seal", "core_reference", "core_plugin"})
"""Tables of the core whose rows about a purged plugin stay: what happened, happened."""


@dataclass(frozen=True)
class Holdings:
    """What of a plugin is in the database."""

    name: str
    state: str
    tables: dict[str, int]
    """Its own tables with their numbers of rows."""
    shared: dict[tuple[str, str], int] = field(default_factory=dict)
    """(table of the core, its column that names an entity) -> rows about the plugin's records."""
    dependants: tuple[str, ...] = ()
    """Plugins with tables that may point into these."""


def holdings(connection: sa.Connection, name: str) -> Holdings:
    """Return what is there of a plugin; refuse a name that has no tables here."""
    row = connection.execute(sa.text("SELECT state FROM core_plugin WHERE name = :name"), {"name": name}).one_or_none()
    if row is None:
        known = connection.execute(sa.text("SELECT name FROM core_plugin ORDER BY name")).scalars()
        raise ConfigurationError(
            "NAME", name, "nothing is known of such a plugin", f"known: {', '.join(known) or 'none'}"
        )
    tables = {
        table: _count(connection, f'SELECT count(*) FROM {SCHEMA}."{table}"') for table in _tables(connection, name)
    }
    shared = {}
    for table, column in _shared(connection):
        number = _count(
            connection,
            f'SELECT count(*) FROM {SCHEMA}."{table}" WHERE starts_with("{column}", :prefix)',
            prefix=f"{name}.",
        )
        if number:
            shared[table, column] = number
    dependants = connection.execute(
        sa.text("SELECT name FROM core_plugin WHERE state <> 'purged' AND :name = ANY(requires) ORDER BY name"),
        {"name": name},
    ).scalars()
    return Holdings(name, row.state, tables, shared, tuple(dependants))


def require_off(settings: Settings, name: str) -> None:
    """Refuse to touch the tables of a plugin that is on."""
    if name in settings.plugins:
        raise ConfigurationError(
            "crm.plugins", name, "is on", f"take it out of the line in {settings.ini} and restart first"
        )


def archive(engine: sa.Engine, settings: Settings, name: str) -> Path:
    """Write the tables of a plugin that is off to a file in the data folder, note it as archived, return the file."""
    require_off(settings, name)
    folder = settings.data_dir / "archives"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{name}-{clock.now():%Y%m%d-%H%M%S}.zip"
    fresh = path.with_suffix(".new")
    try:
        # One snapshot, so that rows which point at one another stay together.
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
            held = holdings(connection, name)
            _write_archive(connection, held, fresh)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    fresh.replace(path)
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE core_plugin SET state = 'archived', archive = :path, changed_at = :now WHERE name = :name"),
            {"path": str(path), "now": clock.now(), "name": name},
        )
    return path


def _write_archive(connection: sa.Connection, held: Holdings, path: Path) -> None:
    info = connection.execute(sa.text("SELECT * FROM core_plugin WHERE name = :name"), {"name": held.name}).one()
    queries = {f"tables/{table}.csv": f'SELECT * FROM {SCHEMA}."{table}"' for table in held.tables}
    for table, column in held.shared:
        # COPY takes no parameters; the name came out of core_plugin and is quoted.
        prefix = held.name.replace("'", "''")
        queries[f"shared/{table}.csv"] = (
            f'SELECT * FROM {SCHEMA}."{table}" WHERE starts_with("{column}", \'{prefix}.\')'
        )
    digests: dict[str, dict[str, Any]] = {}
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        cursor = connection.connection.cursor()
        for name, query in queries.items():
            digest, size = hashlib.sha256(), 0
            copy = cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)")
            with copy as rows, archive.open(name, "w", force_zip64=True) as entry:
                for chunk in rows:
                    digest.update(chunk)
                    size += len(chunk)
                    entry.write(chunk)
            digests[name] = {"sha256": digest.hexdigest(), "bytes": size}
        manifest = {
            "plugin": held.name,
            "package": info.package,
            "version": info.version,
            "requires": list(info.requires),
            "written_at": clock.now().isoformat(),
            "rows": {**held.tables, **{table: number for (table, _column), number in held.shared.items()}},
            "files": digests,
        }
        archive.writestr("manifest.json", json.dumps(manifest, ensure_ascii=False, indent=2))


def purge(engine: sa.Engine, settings: Settings, name: str) -> Holdings:
    """Drop the tables of a plugin that is off, and what the core keeps about its records; return what is gone."""
    require_off(settings, name)
    with session_factory(engine)() as session, session.begin():
        held = holdings(session.connection(), name)
        require_no_dependants(held)
        operations.begin(session, Subject.system("crm plugin purge"), kind="purge", source="console", note=name)
        connection = session.connection()
        connection.execute(sa.text("SET LOCAL lock_timeout = '10s'"))
        for table, column in held.shared:
            connection.execute(
                sa.text(f'DELETE FROM {SCHEMA}."{table}" WHERE starts_with("{column}", :prefix)'),
                {"prefix": f"{name}."},
            )
        if held.tables:
            # Together and without CASCADE: they may point at one another, and whoever else points at them stops this.
            names = ", ".join(f'{SCHEMA}."{table}"' for table in held.tables)
            try:
                connection.execute(sa.text(f"DROP TABLE {names}"))
            except DBAPIError as error:
                reason = str(error.orig).strip().splitlines()[0]
                raise ConfigurationError(
                    "NAME", name, f"its tables cannot be dropped ({reason})", "see who uses them"
                ) from None
        connection.execute(sa.text("DELETE FROM core_reference WHERE plugin = :name"), {"name": name})
        connection.execute(
            sa.text("UPDATE core_plugin SET state = 'purged', changed_at = :now WHERE name = :name"),
            {"now": clock.now(), "name": name},
        )
    return held


def require_no_dependants(held: Holdings) -> None:
    """Refuse while a plugin that requires this one has tables."""
    if held.dependants:
        raise ConfigurationError(
            "NAME",
            held.name,
            f"these plugins require it and have tables: {', '.join(held.dependants)}",
            f"purge them first: crm plugin purge {held.dependants[0]}",
        )


def _tables(connection: sa.Connection, name: str) -> Sequence[str]:
    return (
        connection.execute(
            sa.text(
                "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname = :schema AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
                "AND starts_with(c.relname, :prefix) ORDER BY c.relname"
            ),
            {"schema": SCHEMA, "prefix": f"{name}_"},
        )
        .scalars()
        .all()
    )


def _shared(connection: sa.Connection) -> list[tuple[str, str]]:
    rows = connection.execute(
        sa.text(
            "SELECT c.table_name, c.column_name FROM information_schema.columns c "
            "JOIN information_schema.tables t USING (table_schema, table_name) WHERE c.table_schema = :schema "
            "AND t.table_type = 'BASE TABLE' AND starts_with(c.table_name, 'core_') "
            "AND c.column_name IN ('entity', 'subject_entity') ORDER BY c.table_name"
        ),
        {"schema": SCHEMA},
    )
    return [
        (row.table_name, row.column_name)
        for row in rows
        if not any(row.table_name == kept or row.table_name.startswith(f"{kept}_") for kept in KEPT)
    ]


def _count(connection: sa.Connection, query: str, **values: Any) -> int:
    return int(connection.execute(sa.text(query), values).scalar_one())
