"""What an administrator gets from a console: whole sentences, JSON for programs, exit codes that tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crm_core.embedded import EmbeddedPostgres, EmbeddedValkey
from crm_core.settings import create, write_setting


def crm(*words: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("CRM_")}
    return subprocess.run(
        [sys.executable, "-m", "crm_core.cli", *words],
        input=given,
        env={**env, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installation_is_made_examined_and_given_an_account(data: Path) -> None:
    place = ("--data", str(data))

    assert crm("init", *place).returncode == 0
    assert crm("db", "upgrade", *place).stdout == "All tables are current.\n"
    heads = json.loads(crm("db", "current", "--json", *place).stdout)
    assert [row["name"] for row in heads if row["behind"]] == []

    findings: list[dict[str, Any]] = json.loads(crm("doctor", "--json", *place).stdout)
    assert {"configuration", "disk", "key", "plugins", "database", "collation", "tables", "queue", "redis"} <= {
        finding["subject"] for finding in findings
    }
    assert [finding for finding in findings if finding["state"] == "wrong" and finding["subject"] != "assets"] == []

    arguments = ("user", "add", "olga@example.org", "--name", "Ольга", "--role", "manager", "--password-stdin", *place)
    made = crm(*arguments, given="четыре синих кита\n")
    assert made.stdout == "olga@example.org may sign in as manager.\n", made.stderr
    again = crm(*arguments, given="четыре синих кита\n")
    assert again.returncode == 1
    assert "There is an account with the address olga@example.org already." in again.stderr

    sound = crm("audit", "verify", *place)
    assert sound.returncode == 0
    assert "Nothing was tampered with." in sound.stdout


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("crm.plugins", "nonsense", "crm.plugins = nonsense: no plugin of this name is installed;"),
        ("sqlalchemy.url", "sqlite:///x", "sqlalchemy.url = sqlite:///x: only PostgreSQL will do;"),
        ("sqlalchemy.url", "postgresql://127.0.0.1:1/crm", "the database does not answer"),
        ("crm.prot", "80", "crm.prot = 80: there is no such setting; did you mean crm.port?"),
    ],
)
def test_a_mistake_in_the_ini_stops_the_start_with_one_sentence(data: Path, key: str, value: str, says: str) -> None:
    write_setting(data / "crm.ini", key, value)

    done = crm("serve", "--port", "39999", "--data", str(data))

    assert done.returncode == 78
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_tables_behind_the_code_stop_the_start_on_ones_own_server(data: Path, crm_servers: Any) -> None:
    name = crm_servers.empty()
    write_setting(data / "crm.ini", "sqlalchemy.url", crm_servers.url_of(name))
    write_setting(data / "crm.ini", "redis.url", crm_servers.redis_url)

    done = crm("serve", "--port", "39999", "--data", str(data))

    crm_servers.drop(name)
    assert done.returncode == 78
    assert "run: crm db upgrade" in done.stderr
    assert not (data / "postgres").exists()
    assert not (data / "valkey").exists()


def test_a_database_that_knows_no_russian_letters_stops_the_start(data: Path, crm_servers: Any) -> None:
    import psycopg
    from sqlalchemy.engine import make_url

    url = make_url(crm_servers.database_url).set(drivername="postgresql")
    name = f"plain_c_{os.getpid()}"
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER libc LOCALE 'C'")
    write_setting(data / "crm.ini", "sqlalchemy.url", crm_servers.url_of(name))
    write_setting(data / "crm.ini", "redis.url", crm_servers.redis_url)

    done = crm("db", "upgrade", "--data", str(data))

    crm_servers.drop(name)
    assert done.returncode == 78
    assert "which do not know Russian letters; make it anew: CREATE DATABASE" in done.stderr


def test_plugins_are_listed_for_programs(data: Path) -> None:
    write_setting(data / "crm.ini", "crm.plugins", "ghost")

    rows = json.loads(crm("plugin", "list", "--json", CRM_DATA=str(data)).stdout)

    assert {row["name"]: row["state"] for row in rows}["ghost"] == "missing"


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    create(folder)
    write_setting(folder / "crm.ini", "crm.plugins", "")
    yield folder
    EmbeddedValkey(folder).stop()
    if (folder / "postgres").exists():
        EmbeddedPostgres(folder).destroy()
