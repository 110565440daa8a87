"""What every command needs of an installation: its servers running, its tables current, a session on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker

from crm_core.embedded import EmbeddedPostgres, EmbeddedValkey
from crm_core.plugins import Plugins
from crm_core.settings import ConfigurationError, Settings

OLDEST_POSTGRES = 150000


@dataclass
class Installation:
    """The servers of an installation, those of its own and those it carries along."""

    settings: Settings
    postgres: EmbeddedPostgres | None
    valkey: EmbeddedValkey | None

    @classmethod
    def of(cls, settings: Settings) -> Installation:
        """Return the installation of the settings; nothing is started."""
        return cls(
            settings,
            EmbeddedPostgres(settings.data_dir) if settings.database_url is None else None,
            EmbeddedValkey(settings.data_dir) if settings.redis_url is None else None,
        )

    @property
    def database_url(self) -> str:
        """The address of the database, whoever runs it."""
        if self.postgres is not None:
            return self.postgres.url
        assert self.settings.database_url is not None
        return self.settings.database_url

    @property
    def app_settings(self) -> dict[str, Any]:
        """What the application and the workers take."""
        return self.settings.for_app(self.database_url, self.valkey.url if self.valkey else None)

    def start(self) -> None:
        """Start the embedded servers that do not run."""
        for server in (self.postgres, self.valkey):
            if server is not None:
                server.start()

    def stop(self) -> None:
        """Stop the embedded servers that this process started."""
        for server in (self.valkey, self.postgres):
            if server is not None:
                server.stop()

    @contextmanager
    def running(self) -> Iterator[Installation]:
        """Run the servers for one command; where ``crm serve`` runs they are found and left running."""
        try:
            self.start()
            yield self
        finally:
            self.stop()

    @contextmanager
    def engine(self) -> Iterator[sa.Engine]:
        """Give an engine for one command."""
        from crm_core.db import make_engine

        check_database(self.settings, self.database_url)
        engine = make_engine(self.database_url, poolclass=sa.NullPool)
        try:
            yield engine
        finally:
            engine.dispose()

    @contextmanager
    def session(self) -> Iterator[tuple[Session, Plugins]]:
        """Give a session on current tables, with the plugins; committed at the end."""
        from crm_core.jobs import environment

        check_database(self.settings, self.database_url)
        engine, factory, plugins = environment(self.app_settings)
        try:
            require_current(engine, plugins)
            with factory() as session, session.begin():
                yield session, plugins
        finally:
            engine.dispose()


def plugins_of(settings: Settings) -> Plugins:
    """Return the plugins that are on, checked and in order."""
    return Plugins.build(settings.plugins)


def require_current(engine: sa.Engine, plugins: Plugins) -> None:
    """Refuse tables that are behind the code."""
    from crm_core import migrations

    with engine.connect() as connection:
        migrations.require_current(connection, plugins)


def check_database(settings: Settings, url: str) -> None:
    """Refuse a database that cannot serve, in one sentence; the embedded one is made right."""
    parsed = make_url(url)
    shown = parsed.render_as_string()
    try:
        with psycopg.connect(
            parsed.set(drivername="postgresql").render_as_string(hide_password=False), connect_timeout=10
        ) as connection:
            version = connection.info.server_version
            row = connection.execute(
                "SELECT current_setting('server_encoding'), datcollate, datctype FROM pg_database "
                "WHERE datname = current_database()"
            ).fetchone()
            assert row is not None
            encoding, collation, kind = row
            # To a database of another encoding these letters cannot even be sent.
            lowered = connection.execute("SELECT lower('ЁЖ')").fetchone() if encoding == "UTF8" else None
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(
            "sqlalchemy.url",
            shown,
            f"the database does not answer ({reason})",
            f"start the server, or mend the address in {settings.ini}",
        ) from None
    if version < OLDEST_POSTGRES:
        raise ConfigurationError(
            "sqlalchemy.url", shown, f"PostgreSQL {version // 10000} is too old", "use version 15 or newer"
        )
    # Under a plain C character type trigram indexes find no Cyrillic word, although lower() of the provider works.
    if lowered is None or lowered[0] != "ёж" or kind in ("C", "POSIX"):
        raise ConfigurationError(
            "sqlalchemy.url",
            shown,
            f"the database was made with encoding {encoding}, collation {collation} and character type {kind}, "
            "which do not know Russian letters",
            "make it anew: CREATE DATABASE crm TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'",
        )


def upgrade(settings: Settings, url: str, plugins: Plugins) -> list[str]:
    """Bring the tables to what the code expects and hand new permissions to their default roles."""
    from crm_core import migrations
    from crm_core.jobs import environment
    from crm_core.people import sync_rights

    changed = migrations.upgrade(url, plugins)
    engine, factory, plugins = environment({**settings.for_app(url), "redis.url": ""})
    with factory() as session, session.begin():
        sync_rights(session, plugins)
    engine.dispose()
    return changed


def make_sessions(app_settings: dict[str, Any]) -> tuple[sa.Engine, sessionmaker[Any], Plugins]:
    """Return engine, sessions and plugins on running servers."""
    from crm_core.jobs import environment

    return environment(app_settings)
