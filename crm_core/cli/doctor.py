"""``crm doctor``: looks at an installation from outside and says what is wrong and what to do."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import redis
import sqlalchemy as sa

from crm_core.cli.installation import Installation, check_database, plugins_of
from crm_core.embedded.child import EmbeddedError
from crm_core.plugins import Plugins
from crm_core.restart import is_served, restart_error
from crm_core.settings import ConfigurationError, Settings, load

LEAST_DISK = 2**30
"""Below this PostgreSQL may stop in the middle of a day."""

MARKS = {"well": "ok     ", "note": "note   ", "wrong": "WRONG  "}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    state: str
    """``well``, ``note`` or ``wrong``."""
    subject: str
    text: str

    def line(self) -> str:
        """Return the line for a console."""
        return f"{MARKS[self.state]}{self.subject}: {self.text}"

    def as_dict(self) -> dict[str, str]:
        """Return the finding for JSON."""
        return asdict(self)


def examine(config: Path | None, data: Path | None) -> list[Finding]:
    """Look at everything, as far as what was found before lets one look further."""
    try:
        settings = load(config, data)
    except ConfigurationError as error:
        return [Finding("wrong", "configuration", str(error))]
    findings = [Finding("well", "configuration", f"{settings.ini}, data in {settings.data_dir}")]
    findings += _folders(settings)
    findings += _assets()
    plugins: Plugins | None = None
    try:
        plugins = plugins_of(settings)
        findings.append(Finding("well", "plugins", ", ".join(plugins.names()) or "none is on"))
    except ConfigurationError as error:
        findings.append(Finding("wrong", "plugins", str(error)))
    findings += _process(settings)
    installation = Installation.of(settings)
    try:
        with installation.running():
            findings += _servers(installation, plugins)
    except EmbeddedError as error:
        findings.append(Finding("wrong", "database", str(error)))
    return findings


def _folders(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.data_dir).free
    text = f"{free / 2**30:.1f} GB free in {settings.data_dir}"
    if free < LEAST_DISK:
        yield Finding("wrong", "disk", f"{text}; make room, below 1 GB the database may stop")
    else:
        yield Finding("well", "disk", text)
    if not os.access(settings.data_dir, os.W_OK):
        yield Finding("wrong", "data folder", f"{settings.data_dir} cannot be written; run as its owner")
    try:
        settings.secret()
        mode = stat.S_IMODE(settings.secret_key_file.stat().st_mode)
        if mode & 0o077:
            yield Finding(
                "wrong",
                "key",
                f"{settings.secret_key_file} can be read by others; run: chmod 600 {settings.secret_key_file}",
            )
        else:
            yield Finding("well", "key", f"{settings.secret_key_file}; keep a copy of it apart from the backups")
    except ConfigurationError as error:
        yield Finding("wrong", "key", str(error))
    if settings.base_url.startswith("http://") and not settings.demo and "127.0.0.1" not in settings.base_url:
        yield Finding("note", "crm.base_url", f"{settings.base_url} is not encrypted; put nginx with TLS before it")


def _assets() -> Iterator[Finding]:
    from crm_core import assets, catalogues

    if not assets.DIST.is_dir():
        yield Finding("wrong", "assets", "the bundle of scripts and styles is missing; run: make assets")
    core = Path(catalogues.__file__).parent / "locale"
    if not list(core.glob("ru/LC_MESSAGES/*.mo")):
        yield Finding("wrong", "translations", "the compiled catalogues are missing; run: make assets")


def _process(settings: Settings) -> Iterator[Finding]:
    if is_served(settings.data_dir):
        yield Finding("well", "processes", f"crm serve runs, {settings.base_url}")
        failure = restart_error(settings.data_dir)
        if failure:
            yield Finding("wrong", "restart", f"the last restart was refused: {failure}")
    else:
        yield Finding("note", "processes", "crm serve does not run on this folder; the servers were started to look")


def _servers(installation: Installation, plugins: Plugins | None) -> Iterator[Finding]:
    settings = installation.settings
    try:
        check_database(settings, installation.database_url)
    except ConfigurationError as error:
        yield Finding("wrong", "database", str(error))
        return
    from crm_core.db import make_engine

    engine = make_engine(installation.database_url, poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            yield from _database(connection)
            yield from _tables(connection, plugins)
        with engine.connect() as connection:
            if sa.inspect(connection).has_table("core_job", schema="crm"):
                yield from _queue(connection)
    finally:
        engine.dispose()
    yield from _redis(installation)


def _database(connection: sa.Connection) -> Iterator[Finding]:
    row = connection.execute(
        sa.text(
            "SELECT current_setting('server_version') AS version, datlocprovider AS provider, datcollate, datctype, "
            "pg_size_pretty(pg_database_size(datname)) AS size FROM pg_database WHERE datname = current_database()"
        )
    ).one()
    providers = {"b": "builtin", "c": "libc", "i": "icu"}
    yield Finding("well", "database", f"PostgreSQL {row.version}, {row.size}")
    yield Finding(
        "well",
        "collation",
        f"provider {providers.get(row.provider, row.provider)}, {row.datcollate}, letters by {row.datctype}",
    )
    synchronous = connection.execute(sa.text("SHOW synchronous_commit")).scalar_one()
    if synchronous == "off":
        yield Finding("wrong", "synchronous_commit", "is off: a crash would lose what was saved; set it to on")


def _tables(connection: sa.Connection, plugins: Plugins | None) -> Iterator[Finding]:
    from crm_core import migrations

    if plugins is None:
        return
    states = migrations.states(connection, plugins)
    behind = [state for state in states if state.behind]
    for state in behind:
        yield Finding("wrong", "tables", f"{state.name} stands at {state.current or 'nothing'}; run: crm db upgrade")
    for state in states:
        if state.package_missing:
            yield Finding("note", "tables", f"{state.name} has tables but is not installed; they are kept")
    if not behind:
        yield Finding("well", "tables", "current: " + ", ".join(s.name for s in states if not s.package_missing))


def _queue(connection: sa.Connection) -> Iterator[Finding]:
    row = connection.execute(
        sa.text(
            "SELECT count(*) FILTER (WHERE state = 'waiting' AND run_at <= now()) AS due, "
            "count(*) FILTER (WHERE state = 'running') AS running, "
            "count(*) FILTER (WHERE state = 'failed' AND finished_at > now() - interval '1 day') AS failed, "
            "extract(epoch FROM now() - min(run_at) FILTER (WHERE state = 'waiting' AND run_at <= now())) AS age "
            "FROM crm.core_job"
        )
    ).one()
    text = f"{row.due} due, {row.running} running"
    if row.age is not None and row.age > 300:
        yield Finding(
            "wrong", "queue", f"{text}, the oldest waits {int(row.age // 60)} minutes; is a worker running? crm worker"
        )
    else:
        yield Finding("well", "queue", text)
    if row.failed:
        yield Finding("note", "queue", f"{row.failed} jobs failed within a day; see the state of the system")


def _redis(installation: Installation) -> Iterator[Finding]:
    url = installation.app_settings["redis.url"]
    try:
        with redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
            version: dict[str, Any] = client.info("server")
        name = version.get("valkey_version") or version.get("redis_version")
        yield Finding("well", "redis", f"version {name}")
    except redis.RedisError as error:
        yield Finding(
            "wrong",
            "redis",
            f"redis.url does not answer ({error}); start it, jobs run late without it but none is lost",
        )
