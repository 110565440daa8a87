"""The conformance kit: what every plugin must do, as tests that any plugin takes over in two lines.

In the plugin's own tests::

    from crm_core.testing.conformance import *  # noqa: F403

    @pytest.fixture(scope="session")
    def crm_plugin_name():
        return "deals"

or, for any installed plugin: ``pytest --pyargs crm_core.testing.conformance --crm-plugin deals``. A plugin whose tables
cannot be filled by guessing (`fill_tables`) gives rows of its own by a fixture `sample_rows(connection)`.
"""

from __future__ import annotations

import ast
import datetime as dt
import importlib
import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

if TYPE_CHECKING:
    from crm_core.plugins import Loaded, Plugins
    from crm_core.testing.servers import Servers

__all__ = [
    "conformance_database",
    "conformance_plugins",
    "crm_plugin_name",
    "sample_rows",
    "test_each_gated_table_has_its_triggers_and_is_guarded",
    "test_each_view_declares_its_permission",
    "test_foreign_keys_keep_what_others_own",
    "test_it_imports_no_other_plugin_and_no_private_room",
    "test_it_says_what_it_is",
    "test_its_names_carry_its_prefix",
    "test_its_specs_hold_together",
    "test_its_texts_are_there_in_both_languages",
    "test_migrations_go_up_and_down_and_up_and_equal_the_models",
    "test_switched_off_and_on_again_nothing_is_lost",
]

#: Rooms of the core that plugins may import.
PUBLIC = (
    "hooks",
    "specs",
    "db",
    "clock",
    "events",
    "records",
    "jobs",
    "delivery",
    "mail",
    "forms",
    "notify",
    "files",
    "people",
    "company",
    "settings",
    "models",
    "security.limits",
    "security.permissions",
    "security.subject",
    "i18n",
    "testing",
    "typesetting",
    "demo",
    "views.boards",
    "views.shapes",
)


# -- which plugin --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def crm_plugin_name(request: pytest.FixtureRequest) -> str:
    """The plugin that is checked; override it, or give `--crm-plugin`."""
    given = request.config.getoption("--crm-plugin", None)
    if not given:
        pytest.skip("say which plugin by --crm-plugin NAME or by a fixture crm_plugin_name")
    return str(given)


@pytest.fixture(scope="session")
def conformance_plugins(crm_plugin_name: str) -> Plugins:
    """A host with the plugin, what it requires, and nothing else."""
    return _alone(crm_plugin_name)


def _alone(name: str) -> Plugins:
    from crm_core.plugins import Plugins, discover

    installed = discover()
    name = next((one.name for one in installed.values() if name in (one.name, one.package)), name)
    assert name in installed, f"no plugin {name!r} is installed: pip install it first (entry point group crm.plugins)"
    names: list[str] = []

    def add(one: str) -> None:
        if one not in names:
            for needed in importlib.import_module(installed[one].module).PLUGIN.requires:
                add(needed)
            names.append(one)

    add(name)
    return Plugins.build(names)


def _one(plugins: Plugins, name: str) -> Loaded:
    return next(one for one in plugins.loaded if name in (one.info.name, one.info.package))


def _folder(one: Loaded) -> Path:
    from crm_core.plugins import locate

    folder = locate(one.info.package)
    assert folder is not None
    return folder


def _tables(one: Loaded) -> list[sa.Table]:
    from crm_core.db import Base

    return [
        mapper.local_table
        for mapper in Base.registry.mappers
        if mapper.class_.__module__.partition(".")[0] == one.info.package and isinstance(mapper.local_table, sa.Table)
    ]


# -- what it says of itself ----------------------------------------------------------------------------------------


def test_it_says_what_it_is(conformance_plugins: Plugins, crm_plugin_name: str) -> None:
    one = _one(conformance_plugins, crm_plugin_name)

    assert re.fullmatch(r"[a-z][a-z0-9]{1,30}", one.info.name), "the name is a short lower-case word"
    assert one.installed is not None
    assert one.installed.name == one.info.name
    assert one.installed.package == one.info.package
    assert str(one.info.title).strip()
    assert str(one.info.description).strip(), "administrators read the description beside the switch"
    assert one.info.version == one.installed.version, "PluginInfo.version is the distribution's"
    root = ast.parse((_folder(one) / "__init__.py").read_text("utf-8"))
    imports = [node for node in ast.walk(root) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert all(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in imports), (
        "the package's __init__ imports nothing"
    )
    assert (_folder(one) / "py.typed").is_file()


def test_its_names_carry_its_prefix(conformance_plugins: Plugins, crm_plugin_name: str, tmp_path: Path) -> None:
    one = _one(conformance_plugins, crm_plugin_name)
    name = one.info.name
    own = [key for (kind, key), source in conformance_plugins.source.items() if source == name and kind != "permission"]
    wrong = [
        *(f"table {table.name}" for table in _tables(one) if not table.name.startswith(f"{name}_")),
        *(
            f"{kind} {key}"
            for (kind, key), source in conformance_plugins.source.items()
            if source == name
            and kind in ("entity", "event", "job", "setting", "panel", "widget")
            and not key.startswith((f"{name}.", f"{name}:", f"{name}-"))
            and key != name
        ),
    ]
    for route, pattern, module in _routes(conformance_plugins, tmp_path):
        if module == one.info.package or route.partition(".")[0] == name:
            if not route.startswith(f"{name}."):
                wrong.append(f"route {route}")
            if not pattern.lstrip("/").startswith((name, f"settings/{name}", f"api/{name}")):
                wrong.append(f"URL {pattern} of route {route}")

    assert not wrong, "these names do not begin with the plugin's: " + ", ".join(wrong)
    assert len(own) == len(set(own))


def test_its_specs_hold_together(conformance_plugins: Plugins, crm_plugin_name: str) -> None:
    from crm_core.jobs import next_run

    plugins = conformance_plugins
    one = _one(plugins, crm_plugin_name)
    name = one.info.name
    wrong: list[str] = []

    def mine(kind: str) -> set[str]:
        return {key for (of, key), source in plugins.source.items() if of == kind and source == name}

    def permission(what: str, wanted: str) -> None:
        if wanted and wanted not in plugins.permissions and not wanted.startswith("core:"):
            wrong.append(f"{what} wants the permission {wanted!r}, which nobody declares")

    for key in mine("permission"):
        declared = plugins.permissions[key]
        for role, scopes in declared.default.items():
            if role not in plugins.roles:
                wrong.append(f"permission {key} goes to the role {role!r}, which does not ship")
            for scope in (scopes,) if isinstance(scopes, str) else scopes:
                if scope not in declared.scopes:
                    wrong.append(f"permission {key} goes to {role} in the scope {scope!r}, which it does not have")
    for key in mine("entity"):
        wrong += _entity_faults(plugins, plugins.entities[key])
    for key in mine("job"):
        job = plugins.jobs[key]
        if job.cron:
            next_run(job.cron, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.UTC)
    for item in plugins.nav_items:
        if item.id in mine("nav"):
            permission(f"menu entry {item.id}", item.permission)
            if not item.href.startswith("/"):
                wrong.append(f"menu entry {item.id} leads to {item.href!r}")
    for panel in plugins.panels:
        if panel.id in mine("panel"):
            permission(f"panel {panel.id}", panel.permission)
            wrong += _template_faults(one, panel.template)
            if panel.entity != "*" and panel.entity.partition(".")[0] == name and panel.entity not in plugins.entities:
                wrong.append(f"panel {panel.id} stands on {panel.entity}, which does not exist")
    for key in mine("widget"):
        permission(f"widget {key}", plugins.widgets[key].permission)
        wrong += _template_faults(one, plugins.widgets[key].template)
    for key in mine("settings page"):
        permission(f"settings page {key}", plugins.settings_pages[key].permission)
    for key in mine("setting"):
        if plugins.settings[key].page not in plugins.settings_pages:
            wrong.append(f"setting {key} stands on the page {plugins.settings[key].page!r}, which does not exist")

    assert not wrong, "\n".join(wrong)


def _entity_faults(plugins: Plugins, entity: Any) -> Iterator[str]:
    table = entity.model.__table__
    for column in {entity.label, entity.sort}:
        if column not in table.c:
            yield f"entity {entity.name}: its table has no column {column!r}"
    if not getattr(entity.model, "__gated__", False):
        yield f"entity {entity.name}: its model is not gated (use RecordMixin)"
    if entity.sort in table.c:
        leading = {tuple(column.name for column in index.columns)[:3] for index in table.indexes}
        for first in ("owner_id", "team_id"):
            if not entity.parent and (first, entity.sort, "id") not in leading:
                yield f"entity {entity.name}: there is no index on ({first}, {entity.sort}, id)"
    for owned in entity.owns:
        if owned.partition(".")[0] == entity.name.partition(".")[0] and owned not in plugins.entities:
            yield f"entity {entity.name} owns {owned}, which does not exist"


def _template_faults(one: Loaded, template: str) -> Iterator[str]:
    from pyramid.path import AssetResolver

    if template and not AssetResolver(one.info.package).resolve(template).exists():
        yield f"there is no template {template}"


# -- what it imports -----------------------------------------------------------------------------------------------


def test_it_imports_no_other_plugin_and_no_private_room(conformance_plugins: Plugins, crm_plugin_name: str) -> None:
    one = _one(conformance_plugins, crm_plugin_name)
    folder = _folder(one)
    wrong = []
    for file in sorted(folder.rglob("*.py")):
        inside = file.relative_to(folder)
        for module, line in _imports(file):
            head, _dot, rest = module.partition(".")
            if head.startswith("crm_") and head not in ("crm_core", one.info.package):
                wrong.append(f"{inside}:{line} imports the plugin {head}")
            if head == "crm_core" and rest and not _is_public(rest):
                wrong.append(f"{inside}:{line} imports the core's private room {module}")

    assert not wrong, "\n".join(wrong)


def _is_public(room: str) -> bool:
    return any(room == one or room.startswith(f"{one}.") for one in PUBLIC)


def _imports(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module.partition(".")[0] == "crm_core":
                # What is named may itself be the room: from crm_core.security import permissions.
                yield from ((f"{node.module}.{name.name}", node.lineno) for name in node.names)
            else:
                yield node.module, node.lineno


# -- texts ---------------------------------------------------------------------------------------------------------


def test_its_texts_are_there_in_both_languages(conformance_plugins: Plugins, crm_plugin_name: str, capsys: Any) -> None:
    from crm_core import catalogues

    faults = catalogues.check([str(_folder(_one(conformance_plugins, crm_plugin_name)))])

    assert not faults, capsys.readouterr().out


# -- views ---------------------------------------------------------------------------------------------------------


def _configured(plugins: Plugins, folder: Path) -> Any:
    from crm_core.app import configure
    from crm_core.testing.plugin import make_settings

    # Nothing connects: an engine waits for its first statement.
    settings = make_settings(folder, "", " ".join(plugins.names()[1:]))
    engine = sa.create_engine("postgresql+psycopg://nobody@/nothing?host=/nowhere", poolclass=sa.NullPool)
    config = configure({**settings, "crm.engine": engine, "crm.plugin_host": plugins})
    config.commit()
    return config


def _routes(plugins: Plugins, folder: Path) -> list[tuple[str, str, str]]:
    config = _configured(plugins, folder)
    result = []
    for item in config.introspector.get_category("routes") or ():
        route = item["introspectable"]
        views = [one for one in item["related"] if one.category_name == "views"]
        modules = {_package_of(view["callable"]) for view in views}
        result.append((route["name"], route["pattern"], modules.pop() if len(modules) == 1 else ""))
    return result


def _package_of(callable_: Any) -> str:
    return (getattr(callable_, "__module__", None) or type(callable_).__module__).partition(".")[0]


def test_each_view_declares_its_permission(conformance_plugins: Plugins, crm_plugin_name: str, tmp_path: Path) -> None:
    one = _one(conformance_plugins, crm_plugin_name)
    config = _configured(conformance_plugins, tmp_path)
    silent, unknown = [], []
    for item in config.introspector.get_category("views") or ():
        view = item["introspectable"]
        if _package_of(view["callable"]) != one.info.package or view.get("exception_only"):
            continue
        said = [related["value"] for related in item["related"] if related.category_name == "permissions"]
        what = f"{view.get('route_name')} {view['callable']!r}"
        if not said:
            silent.append(what)
        unknown += [
            f"{what}: {permission}"
            for permission in said
            if isinstance(permission, str)
            and permission not in conformance_plugins.permissions
            and not permission.startswith(("core:", "__"))
        ]

    assert not silent, "these views name no permission:\n" + "\n".join(silent)
    assert not unknown, "these views name a permission that nobody declares:\n" + "\n".join(unknown)


# -- tables --------------------------------------------------------------------------------------------------------


@pytest.fixture
def conformance_database(crm_servers: Servers, conformance_plugins: Plugins) -> Iterator[str]:
    """The address of a database of one's own, made by the migrations of the plugin and what it requires."""
    name = crm_servers.clone(conformance_plugins)
    yield crm_servers.url_of(name)
    crm_servers.drop(name)


def test_migrations_go_up_and_down_and_up_and_equal_the_models(
    crm_servers: Servers, conformance_plugins: Plugins, crm_plugin_name: str
) -> None:
    from crm_core import migrations
    from crm_core.db import make_engine

    one = _one(conformance_plugins, crm_plugin_name)
    if not one.info.migrations:
        assert not _tables(one), "it has tables, so it needs migrations"
        return
    name = crm_servers.empty()
    url = crm_servers.url_of(name)
    prefix = f"{one.info.name}_"
    engine = make_engine(url, poolclass=sa.NullPool)
    try:
        migrations.upgrade(url, conformance_plugins)
        first = _differences(engine, prefix)
        migrations.downgrade(url, conformance_plugins, one.info.name)
        with engine.connect() as connection:
            left = [
                table
                for table in sa.inspect(connection).get_table_names()
                if table.startswith(prefix) and not table.endswith("_alembic")
            ]
            references = connection.execute(
                sa.text("SELECT table_name FROM core_reference WHERE table_name LIKE :prefix"), {"prefix": f"{prefix}%"}
            ).scalars()
            left += [f"core_reference: {table}" for table in references]
        migrations.upgrade(url, conformance_plugins)
        second = _differences(engine, prefix)
    finally:
        engine.dispose()
        crm_servers.drop(name)

    assert not first, f"models and migrations differ: {first}"
    assert not left, f"the way down leaves something: {left}"
    assert not second, f"after down and up models and migrations differ: {second}"


def _differences(engine: sa.Engine, prefix: str) -> list[Any]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from crm_core.db import Base

    def include_name(name: str | None, kind: str, _parents: Any) -> bool:
        if kind == "table":
            return bool(name) and str(name).startswith(prefix) and not str(name).endswith("_alembic")
        return not (kind == "index" and (name or "").startswith("cfx_"))

    def include_object(_item: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        return kind != "table" or bool(name and name.startswith(prefix))

    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": include_name, "include_object": include_object, "compare_type": True},
        )
        return compare_metadata(context, Base.metadata)


def test_each_gated_table_has_its_triggers_and_is_guarded(
    conformance_database: str, conformance_plugins: Plugins, crm_plugin_name: str
) -> None:
    from crm_core.db import UngatedRead, gated_tables, make_engine, session_factory

    one = _one(conformance_plugins, crm_plugin_name)
    gated = [table for table in _tables(one) if table in gated_tables()]
    engine = make_engine(conformance_database, poolclass=sa.NullPool)
    missing = []
    with session_factory(engine)() as session:
        for table in gated:
            triggers = set(
                session.execute(
                    sa.text("SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(:name) AND NOT tgisinternal"),
                    {"name": table.name},
                ).scalars()
            )
            wanted = {"core_stamp", "core_log_insert", "core_log_update", "core_log_delete"}
            missing += [f"{table.name}: {name}" for name in sorted(wanted - triggers)]
            with pytest.raises(UngatedRead):
                session.execute(sa.select(table))
    engine.dispose()

    assert not missing, "these triggers are missing (log_table in the migration): " + ", ".join(missing)
    models: set[Any] = {sa.inspect(entity.model).local_table for entity in conformance_plugins.entities.values()}
    assert not [table.name for table in gated if table not in models], "a gated table without an entity cannot be read"


def test_foreign_keys_keep_what_others_own(
    conformance_database: str, conformance_plugins: Plugins, crm_plugin_name: str
) -> None:
    from crm_core.db import gated_tables, make_engine

    one = _one(conformance_plugins, crm_plugin_name)
    name = one.info.name
    allowed = {name, "core", *one.info.requires}
    gated = {table.name for table in gated_tables()}
    engine = make_engine(conformance_database, poolclass=sa.NullPool)
    with engine.connect() as connection:
        known = set(connection.execute(sa.text("SELECT table_name, column_name FROM core_reference")).all())
    engine.dispose()
    known_names = {(row[0], row[1]) for row in known}
    wrong = []
    for table in _tables(one):
        for key in table.foreign_keys:
            target, column = key.column.table.name, key.parent.name
            if target.partition("_")[0] not in allowed:
                wrong.append(f"{table.name}.{column} points into {target}, whose plugin is not in requires")
            if not target.startswith(f"{name}_") and (key.ondelete or "").upper() == "CASCADE":
                wrong.append(f"{table.name}.{column} deletes with {target}: use RESTRICT or SET NULL")
            if (target in gated or target == "core_user") and (table.name, column) not in known_names:
                wrong.append(f"{table.name}.{column} is not in core_reference (add_reference in the migration)")

    assert not wrong, "\n".join(wrong)


# -- off and on ----------------------------------------------------------------------------------------------------


@pytest.fixture
def sample_rows(conformance_plugins: Plugins, crm_plugin_name: str) -> Callable[[sa.Connection], None]:
    """Put at least one row into each table of the plugin; by guessing, unless a plugin overrides this."""
    one = _one(conformance_plugins, crm_plugin_name)
    return lambda connection: fill_tables(connection, _tables(one))


def test_switched_off_and_on_again_nothing_is_lost(
    conformance_database: str,
    conformance_plugins: Plugins,
    crm_plugin_name: str,
    sample_rows: Callable[[sa.Connection], None],
    tmp_path: Path,
) -> None:
    from crm_core import migrations
    from crm_core.db import make_engine, session_factory
    from crm_core.plugins import Plugins
    from crm_core.records import operations
    from crm_core.security.subject import Subject

    one = _one(conformance_plugins, crm_plugin_name)
    tables = _tables(one)
    engine = make_engine(conformance_database, poolclass=sa.NullPool)
    with session_factory(engine)() as session, session.begin():
        operations.begin(session, Subject.system("conformance"), kind="import", source="job")
        sample_rows(session.connection())
    before = row_hashes(engine, tables)
    assert all(count for count, _digest in before.values()), f"a table stayed empty: {before}"

    others = [name for name in conformance_plugins.names()[1:] if name != one.info.name]
    migrations.upgrade(conformance_database, Plugins.build(others))
    serves = _serve_apart(conformance_database, others, one.info.package, tmp_path)
    during = row_hashes(engine, tables)
    migrations.upgrade(conformance_database, conformance_plugins)
    after = row_hashes(engine, tables)
    with engine.connect() as connection:
        state = connection.execute(
            sa.text("SELECT state FROM core_plugin WHERE name = :name"), {"name": one.info.name}
        ).scalar()
    engine.dispose()

    assert serves == {"status": True, "imported": False}, "without the plugin the application does not serve its pages"
    assert during == before
    assert after == before
    assert state == "on"


def row_hashes(engine: sa.Engine, tables: Iterable[sa.Table]) -> dict[str, tuple[int, str]]:
    """Return count and digest of the rows of each table, past the gate, for nothing is shown of them."""
    result = {}
    with engine.connect() as connection:
        for table in tables:
            keys = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
            row = connection.execute(
                sa.text(
                    f"SELECT count(*), coalesce(md5(string_agg(md5(t::text), '' ORDER BY {keys})), '') "
                    f'FROM "{table.name}" t'
                )
            ).one()
            result[table.name] = (row[0], row[1])
    return result


_APART = """
import json, sys, warnings
warnings.simplefilter("ignore")
settings = json.loads(sys.argv[1])
from crm_core.app import main
from webtest import TestApp
answer = TestApp(main({}, **settings)).get("/", status="*")
print("RESULT " + json.dumps({"status": answer.status_int < 500, "imported": sys.argv[2] in sys.modules}))
"""


def _serve_apart(url: str, plugins: list[str], package: str, folder: Path) -> dict[str, bool]:
    from crm_core.testing.plugin import make_settings

    settings = {**make_settings(folder, "", " ".join(plugins)), "sqlalchemy.url": url}
    done = subprocess.run(
        [sys.executable, "-c", _APART, json.dumps(settings), package],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.search(r"^RESULT (.*)$", done.stdout, re.M)
    assert found, f"the application does not start without the plugin:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    result: dict[str, bool] = json.loads(found.group(1))
    return result


def fill_tables(connection: sa.Connection, tables: list[sa.Table], rows: int = 3) -> None:
    """Put a few rows into each table, guessing values from types, foreign keys and checks."""
    user_id = connection.execute(
        sa.text(
            "INSERT INTO core_user (email, name, status, locale, time_zone, theme, created_at) "
            "VALUES ('conformance@example.com', 'Conformance', 'active', '', '', 'auto', :now) RETURNING id"
        ),
        {"now": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)},
    ).scalar_one()
    made: dict[str, list[int]] = {"core_user": [user_id]}
    for table in sa.schema.sort_tables(tables):
        for number in range(1, rows + 1):
            values = {
                column.name: _guess(table, column, number, made) for column in table.columns if _must_be_given(column)
            }
            row = connection.execute(sa.insert(table).values(values).returning(*table.primary_key.columns)).one()
            made.setdefault(table.name, []).append(row[0])


def _must_be_given(column: sa.Column[Any]) -> bool:
    given = column.server_default is not None or column.identity is not None
    return not (column.nullable or given)


def _guess(table: sa.Table, column: sa.Column[Any], number: int, made: dict[str, list[int]]) -> Any:
    for key in column.foreign_keys:
        found = made.get(key.column.table.name)
        return found[(number - 1) % len(found)] if found else None
    for constraint in table.constraints:
        if isinstance(constraint, sa.CheckConstraint):
            said = re.search(rf"\b{column.name}\b\s+IN\s*\(\s*'([^']+)'", str(constraint.sqltext))
            if said:
                return said.group(1)
    kind = column.type
    if isinstance(kind, sa.Boolean):
        return False
    if isinstance(kind, sa.Integer | sa.Numeric):
        return number
    if isinstance(kind, sa.DateTime):
        return dt.datetime(2026, 1, number, tzinfo=dt.UTC)
    if isinstance(kind, sa.Date):
        return dt.date(2026, 1, number)
    if isinstance(kind, sa.ARRAY):
        return []
    if isinstance(kind, sa.JSON):
        return {}
    if isinstance(kind, sa.LargeBinary):
        return f"row {number}".encode()
    return f"{table.name}.row-{number}"[: getattr(kind, "length", None) or 100]
