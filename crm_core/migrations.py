"""Brings the database's tables to what the installed code expects: one branch and version table per distribution.

Installed plugins that are switched off are upgraded too, from what `core_plugin` remembers of them, without importing
them; a plugin whose package is gone keeps its tables as they are.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import structlog
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

from alembic import command
from crm_core import clock
from crm_core.db import SCHEMA, make_engine
from crm_core.plugins import Installed, Plugins, discover, locate
from crm_core.settings import ConfigurationError

log = structlog.get_logger(__name__)

#: Key of the session advisory lock that keeps two upgrades apart.
LOCK = 0x0C12_0001
LOCK_TIMEOUTS = 5


@dataclass(frozen=True)
class Branch:
    """The migrations of one distribution."""

    name: str
    versions: Path
    requires: tuple[str, ...] = ()
    package: str = ""
    title: str = ""
    version: str = ""
    on: bool = True

    @property
    def version_table(self) -> str:
        return f"{self.name}_alembic"


@dataclass(frozen=True)
class BranchState:
    """Where the tables of one distribution stand: revision in the database and newest in the code."""

    name: str
    current: str | None
    head: str | None
    package_missing: bool = False

    @property
    def behind(self) -> bool:
        return not self.package_missing and self.current != self.head


def script_folder() -> Path:
    """Return the folder of `env.py`: beside the packages in a checkout, inside the package in a wheel."""
    here = Path(__file__).parent
    for folder in (here.parent / "alembic", here / "_alembic"):
        if (folder / "env.py").is_file():
            return folder
    raise ConfigurationError("installation", str(here), "the folder alembic is missing", "install crm-core again")


def branches(plugins: Plugins, connection: sa.Connection | None = None) -> list[Branch]:
    """Return the branches in the order of requirements: core, listed plugins, then those off that have tables."""
    result = [Branch("core", script_folder() / "versions", package="crm_core")]
    for one in plugins.loaded:
        info = one.info
        folder = locate(info.package)
        if info.name == "core" or not info.migrations or folder is None:
            continue
        result.append(
            Branch(info.name, folder / "migrations", info.requires, info.package, info.title, info.version, on=True)
        )
    if connection is not None:
        result.extend(_off(connection, {branch.name for branch in result}, discover()))
    return result


def _off(connection: sa.Connection, listed: set[str], installed: dict[str, Installed]) -> Iterator[Branch]:
    if not sa.inspect(connection).has_table("core_plugin", schema=SCHEMA):
        return
    rows = connection.execute(
        sa.text("SELECT name, package, title, version, requires FROM core_plugin WHERE state <> 'purged' ORDER BY name")
    ).all()
    waiting = [row for row in rows if row.name not in listed and row.name in installed]
    done = set(listed)
    while waiting:
        ready = [row for row in waiting if set(row.requires) <= done]
        if not ready:
            return
        for row in ready:
            folder = locate(row.package)
            if folder is not None and (folder / "migrations").is_dir():
                yield Branch(
                    row.name, folder / "migrations", tuple(row.requires), row.package, row.title, row.version, False
                )
            done.add(row.name)
        waiting = [row for row in waiting if row.name not in done]


def _config(branch: Branch, connection: sa.Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(script_folder()))
    config.set_main_option("version_locations", str(branch.versions))
    config.set_main_option("path_separator", "newline")
    config.attributes.update(connection=connection, version_table=branch.version_table, prefix=f"{branch.name}_")
    return config


def head(branch: Branch) -> str | None:
    """Return the newest revision in the code of the branch."""
    return ScriptDirectory.from_config(_config(branch, None)).get_current_head()


def upgrade(url: str, plugins: Plugins, *, target: str = "head") -> list[str]:
    """Bring every branch to its head; return the names of those that changed."""
    changed: list[str] = []
    engine = make_engine(url, poolclass=sa.NullPool)
    with engine.connect() as lock, _locked(lock):
        with engine.begin() as connection:
            _prepare(connection)
        with engine.connect() as connection:
            todo = branches(plugins, connection)
        for branch in todo:
            with engine.connect() as connection:
                before = current_revision(connection, branch)
            _patiently(engine, branch, target)
            with engine.begin() as connection:
                if before != current_revision(connection, branch):
                    changed.append(branch.name)
        with engine.begin() as connection:
            remember(connection, plugins)
    engine.dispose()
    return changed


def downgrade(url: str, plugins: Plugins, name: str, target: str = "base") -> None:
    """Take one branch back; for tests and for `crm plugin purge`."""
    engine = make_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        branch = next(b for b in branches(plugins, connection) if b.name == name)
    with engine.connect() as connection:
        command.downgrade(_config(branch, connection), target)
        connection.commit()
    engine.dispose()


def states(connection: sa.Connection, plugins: Plugins) -> list[BranchState]:
    """Return how every branch stands, also of plugins whose package is gone."""
    known = branches(plugins, connection)
    result = [BranchState(b.name, current_revision(connection, b), head(b)) for b in known]
    if sa.inspect(connection).has_table("core_plugin", schema=SCHEMA):
        installed = discover()
        gone = connection.execute(sa.text("SELECT name FROM core_plugin WHERE state <> 'purged'")).scalars()
        names = {b.name for b in known}
        result.extend(
            BranchState(name, None, None, package_missing=True)
            for name in gone
            if name not in names and name not in installed
        )
    return result


def current_revision(connection: sa.Connection, branch: Branch) -> str | None:
    """Return the revision of the branch in the database; None before its first migration."""
    if not sa.inspect(connection).has_table(branch.version_table, schema=SCHEMA):
        return None
    table = sa.table(branch.version_table, sa.column("version_num"), schema=SCHEMA)
    return connection.execute(sa.select(table.c.version_num)).scalar()


def require_current(connection: sa.Connection, plugins: Plugins) -> None:
    """Refuse to start on tables that are behind the code, naming the command."""
    behind = [state for state in states(connection, plugins) if state.behind]
    if behind:
        names = ", ".join(f"{s.name} (at {s.current or 'nothing'}, needs {s.head})" for s in behind)
        raise ConfigurationError("sqlalchemy.url", names, "the tables are behind the code", "run: crm db upgrade")


def revision(url: str, plugins: Plugins, name: str, message: str) -> Path:
    """Write a new migration of one distribution, filled in by comparing its models with the database."""
    engine = make_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        branch = next((b for b in branches(plugins, connection) if b.name == name), None)
        if branch is None:
            raise ConfigurationError("BRANCH", name, "no distribution of this name is on", "see: crm plugin list")
        count = len(list(branch.versions.glob("[a-z]*_[0-9]*.py")))
        slug = "_".join("".join(c if c.isalnum() else " " for c in message.lower()).split())[:40]
        script = command.revision(
            _config(branch, connection), message, autogenerate=True, rev_id=f"{name}_{count + 1:04d}_{slug}"
        )
    engine.dispose()
    path = Path(script.path)  # type: ignore[union-attr]
    final = path.with_name(f"{script.revision}.py")  # type: ignore[union-attr]
    path.rename(final)
    return final


def remember(connection: sa.Connection, plugins: Plugins) -> None:
    """Write down which plugins are on and which are off, so that their tables are cared for either way."""
    listed = {one.info.name for one in plugins.loaded}
    for one in plugins.loaded:
        info = one.info
        if info.name == "core":
            continue
        connection.execute(
            sa.text(
                "INSERT INTO core_plugin (name, package, title, version, requires, state, changed_at) "
                "VALUES (:name, :package, :title, :version, :requires, 'on', :now) ON CONFLICT (name) DO UPDATE SET "
                "package = excluded.package, title = excluded.title, version = excluded.version, "
                "requires = excluded.requires, state = 'on', archive = '', "
                "changed_at = CASE WHEN core_plugin.state = 'on' THEN core_plugin.changed_at "
                "ELSE excluded.changed_at END"
            ),
            {
                "name": info.name,
                "package": info.package,
                "title": str(info.title),
                "version": info.version,
                "requires": list(info.requires),
                "now": clock.now(),
            },
        )
    connection.execute(
        sa.text("UPDATE core_plugin SET state = 'off', changed_at = :now WHERE state = 'on' AND name <> ALL(:listed)"),
        {"listed": sorted(listed), "now": clock.now()},
    )


def _prepare(connection: sa.Connection) -> None:
    connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    for extension in ("pg_trgm", "btree_gin"):
        connection.execute(sa.text(f"CREATE EXTENSION IF NOT EXISTS {extension} SCHEMA public"))
    encoding, upper = connection.execute(sa.text("SELECT current_setting('server_encoding'), lower('ЁЖ')")).one()
    if encoding != "UTF8" or upper != "ёж":
        raise ConfigurationError(
            "sqlalchemy.url",
            f"encoding {encoding}, lower('ЁЖ') = {upper}",
            "the database cannot tell Russian capitals from small letters",
            "make it anew: CREATE DATABASE crm TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin "
            "BUILTIN_LOCALE 'C.UTF-8' (PostgreSQL 17 or later; before: LOCALE 'C.UTF-8')",
        )


@contextlib.contextmanager
def _locked(connection: sa.Connection) -> Iterator[None]:
    # A session lock on a connection of its own: migrations commit in between and build indexes outside transactions.
    connection = connection.execution_options(isolation_level="AUTOCOMMIT")
    connection.execute(sa.text("SET lock_timeout = '120s'"))
    connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
    try:
        yield
    finally:
        connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})


def _patiently(engine: sa.Engine, branch: Branch, target: str) -> None:
    for attempt in range(1, LOCK_TIMEOUTS + 1):
        try:
            with engine.connect() as connection:
                connection.execute(sa.text("SET lock_timeout = '3s'"))
                connection.commit()
                command.upgrade(_config(branch, connection), target)
                connection.commit()
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", "") != "55P03" or attempt == LOCK_TIMEOUTS:
                raise
            log.warning("migration_waits_for_lock", branch=branch.name, attempt=attempt)
            time.sleep(attempt)
        else:
            return
