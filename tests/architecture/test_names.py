"""Names tell whose a thing is: tables, routes, addresses and permissions begin with the plugin's own."""

from __future__ import annotations

from typing import Any

from tests.architecture.conftest import View

#: Addresses of the core are words of their own; a plugin's are its name, or its name under settings and API.
SHARED_PREFIXES = ("settings", "api")


def test_tables_begin_with_the_name_of_their_plugin(plugins: Any) -> None:
    from crm_core.db import Base

    owners = {one.info.package: one.info.name for one in plugins.loaded}

    assert not [
        f"{mapper.class_.__name__}: {mapper.local_table.name}"
        for mapper in Base.registry.mappers
        if (owner := owners.get(mapper.class_.__module__.partition(".")[0]))
        and not mapper.local_table.name.startswith(f"{owner}_")
    ]


def test_tables_in_the_database_belong_to_a_plugin(db: Any, plugins: Any) -> None:
    import sqlalchemy as sa

    names = [one.info.name for one in plugins.loaded]
    tables = db.scalars(sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'crm'")).all()

    assert len(tables) > 20
    assert not [table for table in tables if table.partition("_")[0] not in names]


def test_each_distribution_has_a_version_table_of_its_own(db: Any, plugins: Any) -> None:
    import sqlalchemy as sa

    from crm_core import migrations

    branches = migrations.branches(plugins)

    assert len({branch.version_table for branch in branches}) == len(branches)
    for branch in branches:
        assert db.scalar(sa.text("SELECT to_regclass(:name)"), {"name": branch.version_table})


def test_ids_of_migrations_are_readable(plugins: Any) -> None:
    from crm_core import migrations

    for branch in migrations.branches(plugins):
        for file in branch.versions.glob("*.py"):
            assert file.stem.startswith(f"{branch.name}_"), file.name
            assert f'revision = "{file.stem}"' in file.read_text("utf-8")


def test_routes_and_addresses_of_plugins_carry_their_name(
    views: list[View], route_patterns: dict[str, str], plugins: Any
) -> None:
    owners = {one.info.package: one.info.name for one in plugins.loaded if one.info.name != "core"}
    wrong = []
    for view in views:
        owner = owners.get(view.package)
        if owner is None or not view.route:
            continue
        if not view.route.startswith(f"{owner}."):
            wrong.append(f"route {view.route} of {owner}")
        first, _slash, rest = route_patterns[view.route].lstrip("/").partition("/")
        if first in SHARED_PREFIXES:
            first = rest.partition("/")[0]
        if first != owner:
            wrong.append(f"address {route_patterns[view.route]} of {owner}")

    assert not wrong


def test_the_core_takes_no_address_of_a_plugin(route_patterns: dict[str, str], views: list[View], plugins: Any) -> None:
    names = {one.info.name for one in plugins.loaded} - {"core"}
    # Lists, cards and forms of records are the core's and live where their entity says.
    core = {view.route for view in views if view.package == "crm_core" and not view.route.startswith("records.")}

    assert not [
        f"{route}: {route_patterns[route]}"
        for route in core - {""}
        if route_patterns[route].strip("/").partition("/")[0] in names
    ]


def test_records_live_under_the_name_of_their_plugin(plugins: Any) -> None:
    for entity in plugins.entities.values():
        owner = plugins.source["entity", entity.name]
        assert owner == "core" or f"{entity.url}/".startswith(f"/{owner}/"), entity.name


def test_what_plugins_declare_carries_their_name(plugins: Any) -> None:
    wrong = []
    for (kind, name), owner in plugins.source.items():
        if owner == "core":
            continue
        if kind in ("entity", "event", "job") and not name.startswith(f"{owner}."):
            wrong.append(f"{kind} {name} of {owner}")
        if kind == "permission":
            prefixes = {
                entity.permission_prefix for entity in plugins.entities.values() if entity.name.startswith(f"{owner}.")
            }
            prefix = name.partition(":")[0]
            # A narrower view of the same records ends in the name: `shortdeals:view`.
            if prefix not in prefixes and not prefix.endswith(owner):
                wrong.append(f"permission {name} of {owner}")

    assert not wrong


def test_entities_of_two_plugins_share_no_permission(plugins: Any) -> None:
    homes: dict[str, set[str]] = {}
    for entity in plugins.entities.values():
        homes.setdefault(entity.permission_prefix, set()).add(entity.name.partition(".")[0])

    assert not {prefix: owners for prefix, owners in homes.items() if len(owners) > 1}
