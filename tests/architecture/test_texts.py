"""Words and numbers that stand in several places agree: languages, versions, documentation."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest

import crm_core
from crm_core import catalogues
from crm_core.testing.conformance import __all__ as KIT
from tests.architecture.tree import ROOT

DISTRIBUTIONS = sorted(path.parent for home in ("plugins", "themes") for path in (ROOT / home).glob("*/setup.cfg"))


def setup(folder: Path) -> configparser.ConfigParser:
    """Return what a distribution says to setuptools."""
    parser = configparser.ConfigParser()
    parser.read(folder / "setup.cfg", "utf-8")
    return parser


def test_both_languages_are_complete(capsys: Any) -> None:
    faults = catalogues.check()

    assert not faults, capsys.readouterr().out


def test_versions_agree(plugins: Any) -> None:
    first = (ROOT / "CHANGELOG.md").read_text("utf-8").partition("\n## ")[2].split()[0]

    assert crm_core.__version__ == first
    assert setup(ROOT)["metadata"]["version"] == "attr: crm_core.__version__"
    for one in plugins.loaded:
        if one.installed is not None:
            assert one.info.version == one.installed.version


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_each_distribution_is_made_alike(folder: Path) -> None:
    said = setup(folder)
    [package] = [path.parent for path in folder.glob("crm_*/__init__.py")]
    kind = folder.parent.name
    points = dict(line.split(" = ") for line in said["options.entry_points"][f"crm.{kind}"].strip().splitlines())

    assert said["metadata"]["version"] == f"attr: {package.name}.__version__"
    assert said["options"]["packages"] == "find_namespace:"
    assert "crm-core" in said["options"]["install_requires"].split()
    assert points == {folder.name: f"{package.name}.{kind.removesuffix('s')}"}
    assert (package / "py.typed").is_file()
    assert "[build-system]" in (folder / "pyproject.toml").read_text("utf-8")
    assert "[project]" not in (folder / "pyproject.toml").read_text("utf-8")
    assert (folder / "README.md").read_text("utf-8").count("\n") >= 3


@pytest.mark.parametrize("folder", [f for f in DISTRIBUTIONS if f.parent.name == "plugins"], ids=lambda f: f.name)
def test_each_plugin_takes_the_conformance_kit(folder: Path) -> None:
    tests = "\n".join(path.read_text("utf-8") for path in (folder / "tests").rglob("*.py"))

    assert "from crm_core.testing.conformance import *" in tests
    assert f'return "{folder.name}"' in tests
    assert len([name for name in KIT if name.startswith("test_")]) >= 10


def test_each_folder_has_its_readme() -> None:
    for folder in (ROOT, ROOT / "plugins", ROOT / "themes", ROOT / "docs", *DISTRIBUTIONS):
        assert (folder / "README.md").is_file(), folder


def test_the_readme_of_plugins_is_true() -> None:
    """Names that the page lists are those of the code."""
    import dataclasses
    import inspect

    from crm_core import db, forms, specs
    from crm_core.records import gate, saving
    from crm_core.testing import plugin
    from crm_core.testing.conformance import PUBLIC

    text = " ".join((ROOT / "plugins/README.md").read_text("utf-8").split())

    def words(start: str, end: str) -> set[str]:
        [found] = re.findall(rf"{re.escape(start)}(.*?){re.escape(end)}", text)
        return set(re.findall(r"[a-z][a-z0-9_.]*", found.replace("`", "")))

    makers = {
        name
        for name, one in vars(forms).items()
        if inspect.isfunction(one)
        and not name.startswith("_")
        and one.__module__ == forms.__name__
        and "SchemaNode" in str(inspect.signature(one).return_annotation)
    }
    assert words("Makers of fields in `crm_core.forms`: ", ". Each") == makers
    assert words("Each takes what `FieldInfo` has: ", ". `prepare") <= {
        f.name for f in dataclasses.fields(forms.FieldInfo)
    }
    assert words("may import** of the core: ", ", and") == set(PUBLIC) - {"views.shapes", "views.boards"}
    table = re.search(r"\| of `Entity` \| is for \|(.*?)## Tables", text)
    assert table
    named = {
        word
        for row in table[1].split("| |")
        for word in re.findall(r"`([a-z_]+)`", row.split("|")[0] or row.split("|")[1])
    }
    assert named <= {f.name for f in dataclasses.fields(specs.Entity)}
    assert words("is the only way to records: ", " for one's own joins") - {
        "what",
        "columns",
        "verb",
        "view",
        "record",
    } <= set(dir(gate.Gate))
    assert words("`crm_core.records.saving` writes: ", ", each asking") - {
        "gate",
        "entity",
        "values",
        "checked",
    } <= set(dir(saving))
    for function in (db.record_columns, db.log_table, db.add_reference):
        assert f"`{function.__name__}(" in text
    assert words("(entry point `pytest11`): ", ", on a real") <= set(dir(plugin))


#: A link of Markdown to a file of the tree.
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize(
    "document",
    sorted(
        str(path.relative_to(ROOT))
        for path in (
            *ROOT.glob("*.md"),
            *(ROOT / "docs").rglob("*.md"),
            *(ROOT / "plugins").glob("**/README.md"),
            *(ROOT / "themes").glob("**/README.md"),
        )
        if "node_modules" not in path.parts
    ),
)
def test_links_of_documents_lead_somewhere(document: str) -> None:
    path = ROOT / document

    assert not [link for link in LINK.findall(path.read_text("utf-8")) if not (path.parent / link).exists()]


def test_every_setting_of_the_ini_is_documented_and_the_other_way_round() -> None:
    settings = (ROOT / "crm_core/settings.py").read_text("utf-8")
    known = set(re.findall(r'"((?:crm\.[a-z_.]+|sqlalchemy\.url|redis\.url))"', settings)) - {"crm.ini", "crm.plugins."}
    known = {
        key for key in known if re.search(rf'(?:text|number|flag|words|choice|path)\(\s*"{re.escape(key)}"', settings)
    }
    described = (ROOT / "docs/ru/settings.md").read_text("utf-8")
    told = set(re.findall(r"^\| `([a-z._]+)`", described, re.M))

    assert len(known) > 15
    assert told == known


def test_every_command_is_documented() -> None:
    from crm_core.cli.commands import crm

    told = (ROOT / "docs/ru/commands.md").read_text("utf-8")
    commands = []
    for name, command in crm.commands.items():
        if command.hidden:
            continue
        below = getattr(command, "commands", None)
        commands += [f"crm {name} {one}" for one in below] if below else [f"crm {name}"]

    assert not [command for command in commands if f"`{command}" not in told]
