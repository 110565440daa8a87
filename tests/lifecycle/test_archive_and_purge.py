"""A plugin that is off can be archived and purged, and nothing of the others is touched."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core import lifecycle, migrations
from crm_core.db import make_engine, session_factory
from crm_core.plugins import Plugins, discover
from crm_core.records import operations
from crm_core.security.subject import Subject
from crm_core.settings import ConfigurationError, Settings, create

pytestmark = pytest.mark.skipif("clients" not in discover(), reason="needs an installed plugin with tables")


def test_an_archive_holds_every_row_and_the_tables_stay(engine: sa.Engine, settings: Settings) -> None:
    path = lifecycle.archive(engine, settings, "clients")

    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        rows = list(csv.DictReader(io.StringIO(archive.read("tables/clients_company.csv").decode())))
    assert [row["name"] for row in rows] == ["Кофейня на Волжской"]
    assert manifest["rows"]["clients_company"] == 1
    assert manifest["files"]["tables/clients_company.csv"]["sha256"]
    assert path.stat().st_mode & 0o077 == 0
    with engine.connect() as connection:
        held = lifecycle.holdings(connection, "clients")
    assert held.state == "archived"
    assert held.tables["clients_company"] == 1


def test_a_purge_drops_its_tables_and_keeps_what_happened(engine: sa.Engine, settings: Settings) -> None:
    with engine.connect() as connection:
        changes = _changes(connection)
        others = [t for t in sa.inspect(connection).get_table_names(schema="crm") if not t.startswith("clients_")]

    lifecycle.purge(engine, settings, "clients")

    with engine.connect() as connection:
        held = lifecycle.holdings(connection, "clients")
        assert held.tables == {}
        assert held.shared == {}
        assert held.state == "purged"
        assert _changes(connection) == changes
        assert sorted(sa.inspect(connection).get_table_names(schema="crm")) == sorted(others)


def test_a_purged_plugin_can_be_had_again(engine: sa.Engine, settings: Settings, url: str) -> None:
    lifecycle.purge(engine, settings, "clients")

    migrations.upgrade(url, Plugins.build(("clients",)))

    with engine.connect() as connection:
        assert lifecycle.holdings(connection, "clients").tables["clients_company"] == 0


def test_a_plugin_that_is_on_is_left_alone(engine: sa.Engine, settings: Settings) -> None:
    on = replace(settings, plugins=("clients",))

    for verb in (lifecycle.archive, lifecycle.purge):
        with pytest.raises(ConfigurationError, match="take it out of the line"):
            verb(engine, on, "clients")


def test_a_dependant_with_tables_stops_a_purge(engine: sa.Engine, settings: Settings) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO core_plugin (name, package, title, version, requires, state, changed_at) "
                "VALUES ('deals', 'crm_deals', '', '1', '{clients}', 'off', now())"
            )
        )

    with pytest.raises(ConfigurationError, match="purge them first: crm plugin purge deals"):
        lifecycle.purge(engine, settings, "clients")

    with engine.connect() as connection:
        assert "clients_company" in lifecycle.holdings(connection, "clients").tables


def test_an_unknown_name_is_told(engine: sa.Engine, settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match=r"known: clients"):
        lifecycle.archive(engine, settings, "cleints")


def _changes(connection: sa.Connection) -> int:
    return int(connection.execute(sa.text("SELECT count(*) FROM core_change")).scalar_one())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return create(tmp_path / "data", plugins=())


@pytest.fixture
def url(crm_servers: Any) -> Iterator[str]:
    name = crm_servers.clone(Plugins.build(("clients",)))
    yield crm_servers.url_of(name)
    crm_servers.drop(name)


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = make_engine(url, poolclass=sa.NullPool)
    with session_factory(engine)() as session, session.begin():
        operations.begin(session, Subject.system("test"), kind="create")
        session.execute(
            sa.text(
                "INSERT INTO clients_company (name, name_sort, created_at, version) "
                "VALUES ('Кофейня на Волжской', 'кофейня на волжской', now(), 0)"
            )
        )
    yield engine
    engine.dispose()
