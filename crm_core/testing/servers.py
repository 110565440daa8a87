"""The servers of a test run: one PostgreSQL and one Valkey, and databases made from a migrated template."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from crm_core.plugins import Plugins

DATABASE_URL, REDIS_URL = "CRM_TEST_DATABASE_URL", "CRM_TEST_REDIS_URL"

#: Key of the lock under which one process makes a template while others wait.
LOCK = 0x0C12_0009

RUN_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


@dataclass
class Servers:
    """Addresses of the run's servers and, in the process that started them, the servers themselves."""

    database_url: str
    """A database from which others can be created."""
    redis_url: str
    started: list[Any] = field(default_factory=list)
    folder: Path | None = None
    databases: list[str] = field(default_factory=list)

    @classmethod
    def start(cls) -> Servers:
        """Start both servers from their wheels, or take those that the environment names."""
        database_url, redis_url = os.environ.get(DATABASE_URL, ""), os.environ.get(REDIS_URL, "")
        servers = cls(database_url, redis_url)
        if database_url and redis_url:
            return servers
        from crm_core.embedded import EmbeddedPostgres, EmbeddedValkey

        servers.folder = Path(tempfile.mkdtemp(prefix="crm-test-"))
        servers.folder.chmod(0o755)
        if not database_url:
            postgres = EmbeddedPostgres(servers.folder, scratch=True)
            postgres.start()
            servers.started.append(postgres)
            servers.database_url = postgres.url
        if not redis_url:
            valkey = EmbeddedValkey(servers.folder, scratch=True)
            valkey.start()
            servers.started.append(valkey)
            servers.redis_url = valkey.url
        return servers

    def stop(self) -> None:
        """Drop this process's databases and stop what it started."""
        if not self.started or os.environ.get(DATABASE_URL):
            for name in list(self.databases):
                self.drop(name)
        for server in reversed(self.started):
            server.stop()
        self.started.clear()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def redis_of(self, number: int) -> str:
        """Return the address of one of the numbered stores, so that parallel processes do not meet."""
        base = self.redis_url.partition("?")[0]
        if base.startswith("unix:"):
            return f"{base}?db={number}"
        return f"{base.rsplit('/', 1)[0] if base.count('/') > 2 else base}/{number}"

    def url_of(self, name: str) -> str:
        """Return the address of a database of the server."""
        return make_url(self.database_url).set(database=name).render_as_string(hide_password=False)

    def template(self, plugins: Plugins) -> str:
        """Return the name of a database made by the migrations of these plugins; the first to ask makes it."""
        name = f"crm_template_{fingerprint(plugins)}"
        with self._admin() as connection:
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
            try:
                if self._exists(connection, name):
                    return name
                draft = f"{name}_draft"
                connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{draft}" WITH (FORCE)')
                connection.exec_driver_sql(f'CREATE DATABASE "{draft}" TEMPLATE template0{_locale(connection)}')
                fill(self.url_of(draft), plugins)
                connection.exec_driver_sql(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')
            finally:
                connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
        return name

    def clone(self, plugins: Plugins) -> str:
        """Make a database of one's own from the template and return its name."""
        template = self.template(plugins)
        name = f"crm_test_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        with self._admin() as connection:
            # Copies of one template wait for one another, and PostgreSQL would refuse instead of waiting.
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        self.databases.append(name)
        return name

    def empty(self) -> str:
        """Make an empty database, for tests of the migrations themselves, and return its name."""
        name = f"crm_test_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        with self._admin() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE template0{_locale(connection)}')
        self.databases.append(name)
        return name

    def drop(self, name: str) -> None:
        """Remove a database and whoever is connected to it."""
        for patience in range(1, 11):
            try:
                with self._admin() as connection:
                    connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
                break
            except sa.exc.ProgrammingError:
                # Autovacuum is at work in it, whom only a superuser may send away.
                if patience == 10:
                    raise
                time.sleep(0.2 * patience)
        if name in self.databases:
            self.databases.remove(name)

    @contextmanager
    def _admin(self) -> Iterator[sa.Connection]:
        engine = sa.create_engine(self.database_url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            yield connection
        engine.dispose()

    def _exists(self, connection: sa.Connection, name: str) -> bool:
        found = connection.execute(sa.text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
        return found.scalar() is not None


def _locale(connection: sa.Connection) -> str:
    version = int(connection.execute(sa.text("SHOW server_version_num")).scalar_one())
    if version >= 170000:
        return " ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
    return " ENCODING 'UTF8' LOCALE 'C.UTF-8'"


def fingerprint(plugins: Plugins) -> str:
    """Return what changes whenever a database made for these plugins would be another."""
    from crm_core import migrations

    digest = hashlib.sha256()
    for branch in migrations.branches(plugins):
        digest.update(branch.name.encode())
        for file in sorted(branch.versions.glob("*.py")):
            digest.update(file.name.encode() + file.read_bytes())
    digest.update(Path(migrations.__file__).with_name("db.py").read_bytes())
    for name, permission in sorted(plugins.permissions.items()):
        digest.update(f"{name} {sorted(permission.default.items())}".encode())
    digest.update(" ".join(plugins.roles).encode())
    return digest.hexdigest()[:16]


def fill(url: str, plugins: Plugins) -> None:
    """Bring an empty database to where an installation begins: tables by the migrations, roles by what ships."""
    from crm_core import migrations, people
    from crm_core.db import make_engine, session_factory

    migrations.upgrade(url, plugins)
    engine = make_engine(url, poolclass=sa.NullPool)
    with session_factory(engine)() as session, session.begin():
        people.sync_rights(session, plugins)
    engine.dispose()
