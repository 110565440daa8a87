"""Every mistake in the ini stops `crm serve` with one sentence that names the setting and the remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.testing.servers import Servers

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("lines", "begins", "remedy"),
    [
        (
            "crm.plugins = clinets",
            "crm.plugins = clinets: no plugin of this name is installed",
            "did you mean clients?",
        ),
        ("crm.plugins = clients clients", "crm.plugins = clients: is listed twice", "name each plugin once"),
        (
            "crm.plugins = needy",
            "crm.plugins = needy: it requires clients, which the line does not list",
            "add clients",
        ),
        (
            "crm.plugins = broken",
            "crm.plugins = broken: its module crm_broken.plugin cannot be imported",
            "take the name",
        ),
        (
            "crm.plugins = old",
            "crm.plugins = old: it was written for version 0 of the plugin contract",
            "install a release",
        ),
        ("crm.pluggins = clients", "crm.pluggins = clients: there is no such setting", "did you mean crm.plugins?"),
        (
            "crm.theme = nothing",
            "crm.theme = nothing: no theme of this name is installed",
            "another of contrast, default",
        ),
        (
            "sqlalchemy.url = sqlite:///x.db",
            "sqlalchemy.url = sqlite:///x.db: only PostgreSQL will do",
            "postgresql+psycopg://",
        ),
        (
            "sqlalchemy.url = postgresql+psycopg://crm:hush@127.0.0.1:9/crm",
            "sqlalchemy.url = postgresql+psycopg://crm:***@127.0.0.1:9/crm: the database does not answer",
            "start the server, or mend the address",
        ),
        ("redis.url = http://x", "redis.url = http://x: is not the address of a Redis", "redis://host:6379/0"),
        ("crm.port = none", "crm.port = none: is not a number that fits", "write a number from 1 to 65535"),
        ("", "sqlalchemy.url = core (at nothing, needs core_", "run: crm db upgrade"),
    ],
)
def test_a_mistake_is_one_sentence(serve: Callable[..., Any], empty: str, lines: str, begins: str, remedy: str) -> None:
    if "sqlalchemy.url" not in lines:
        lines += f"\nsqlalchemy.url = {empty}"

    done = serve(lines)

    told = done.stderr.strip().splitlines()
    assert done.returncode == 78, done.stdout + done.stderr
    assert len(told) == 1, done.stderr
    assert told[0].startswith(f"crm: {begins}")
    assert remedy in told[0]
    assert "hush" not in told[0]
    assert told[0].endswith(".")


@pytest.mark.parametrize(
    "made_with",
    ["ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'", "ENCODING 'UTF8' LOCALE_PROVIDER libc LOCALE 'C'"],
)
def test_a_database_that_knows_no_russian_letters_is_refused(
    serve: Callable[..., Any], crm_servers: Servers, made_with: str
) -> None:
    name = f"crm_test_wrong_{os.getpid()}"
    with crm_servers._admin() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE template0 {made_with}')
    try:
        done = serve(f"sqlalchemy.url = {crm_servers.url_of(name)}")
    finally:
        crm_servers.drop(name)

    [sentence] = done.stderr.strip().splitlines()
    assert done.returncode == 78
    assert sentence.startswith("crm: sqlalchemy.url = postgresql")
    assert "which do not know Russian letters; make it anew: CREATE DATABASE crm TEMPLATE template0" in sentence


def test_a_plugin_whose_tables_are_behind_is_named(
    serve: Callable[..., Any], crm_servers: Servers, plugins: Any
) -> None:
    name = crm_servers.clone(plugins)
    url = crm_servers.url_of(name)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE crm.clients_alembic SET version_num = 'clients_0000_before'")
    engine.dispose()
    try:
        done = serve(f"crm.plugins = clients\nsqlalchemy.url = {url}")
    finally:
        crm_servers.drop(name)

    [sentence] = done.stderr.strip().splitlines()
    assert done.returncode == 78
    assert "clients (at clients_0000_before, needs clients_0001_initial): the tables are behind the code" in sentence
    assert sentence.endswith("run: crm db upgrade.")


@pytest.fixture
def empty(crm_servers: Servers) -> Iterator[str]:
    name = crm_servers.empty()
    yield crm_servers.url_of(name)
    crm_servers.drop(name)


@pytest.fixture
def serve(tmp_path: Path, crm_servers: Servers, worker_number: int) -> Callable[..., Any]:
    """Start an installation with some lines in its ini, and three more plugins that pip seems to have installed."""
    for name, text in PLUGINS.items():
        folder = tmp_path / "site" / f"crm_{name}"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
        (folder / "plugin.py").write_text(dedent(text))
        metadata = tmp_path / "site" / f"crm_{name}-1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: crm-{name}\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(f"[crm.plugins]\n{name} = crm_{name}.plugin\n")

    def serve(lines: str) -> Any:
        ini = tmp_path / "crm.ini"
        redis = "" if "redis.url" in lines else f"redis.url = {crm_servers.redis_of(worker_number)}\n"
        ini.write_text(f"[app:main]\nuse = egg:crm-core#main\n{lines}\n{redis}".replace("%2F", "%%2F"), "utf-8")
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "crm_core.cli", "serve", "--config", str(ini)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path / "site")])},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return serve


PLUGINS = {
    "needy": """
        from crm_core.specs import PluginInfo
        PLUGIN = PluginInfo(name="needy", package="crm_needy", title="Needy", requires=("clients",), migrations=False)
    """,
    "broken": "import nowhere_to_be_found\n",
    "old": """
        from crm_core.specs import PluginInfo
        PLUGIN = PluginInfo(name="old", package="crm_old", title="Old", core_api=0, migrations=False)
    """,
}
