"""What no file of the product may do, whoever writes it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, Source, files

#: Rooms without a meaning collect everything.
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}

#: Who may read records past the gate: the engine itself, and services that keep what is derived.
UNGATED_HOMES = ("crm_core/db.py", "crm_core/files.py", "crm_core/records/", "plugins/")

#: Names of things that belong to a request, a job or a test, never to a module.
LIVING = {
    "Session",
    "sessionmaker",
    "scoped_session",
    "create_engine",
    "make_engine",
    "PluginManager",
    "Redis",
    "Configurator",
}


def test_rooms_have_names() -> None:
    found = [
        path for home in ("crm_core", "plugins", "themes", "tests", "bench") for path in (ROOT / home).rglob("*.py")
    ]

    assert not [
        str(path.relative_to(ROOT)) for path in found if path.stem in NAMELESS and "node_modules" not in path.parts
    ]


def test_records_are_read_past_the_gate_in_few_places_and_with_a_reason(sources: list[Source]) -> None:
    assert not list(_past_the_gate(sources))


def _past_the_gate(sources: list[Source]) -> Iterator[str]:
    for source in sources:
        if source.is_test:
            continue
        for node in ast.walk(source.tree):
            for place, reason in _ungated(node):
                if not source.name.startswith(UNGATED_HOMES):
                    yield f"{source.name}:{place} reads past the gate; only {', '.join(UNGATED_HOMES)} may"
                elif source.name.startswith("plugins/") and "/services" not in source.name:
                    yield f"{source.name}:{place} reads past the gate; in a plugin only its services may"
                elif isinstance(reason, ast.Constant) and not (isinstance(reason.value, str) and " " in reason.value):
                    yield f"{source.name}:{place} reads past the gate without a sentence that says why"


def _ungated(node: ast.AST) -> Iterator[tuple[int, ast.expr]]:
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if (isinstance(key, ast.Name) and key.id == "UNGATED") or (
                isinstance(key, ast.Constant) and key.value == "crm_ungated"
            ):
                yield node.lineno, value
    if isinstance(node, ast.keyword) and node.arg == "crm_ungated":
        yield node.value.lineno, node.value


def test_only_the_gate_gives_its_mark(sources: list[Source]) -> None:
    assert [source.name for source in sources if "mark_gated(" in source.text] == [
        "crm_core/db.py",
        "crm_core/records/gate.py",
    ]


@pytest.mark.parametrize("forbidden", ["pickle", "marshal", "shelve", "dill"])
def test_nothing_is_pickled(sources: list[Source], forbidden: str) -> None:
    assert not [s.name for s in sources for module, _line in s.imports() if module.partition(".")[0] == forbidden]


def test_queues_write_json() -> None:
    """Rq pickles unless it is told otherwise, each time."""
    text = (ROOT / "crm_core/jobs.py").read_text("utf-8")
    made = re.findall(r"(?<!class )\b(?:Queue|_RqWorker|RqJob\.create)\((?:[^()]|\([^()]*\))*\)", text)

    assert made
    assert not [call for call in made if "serializer=JSONSerializer" not in call]


def test_no_module_holds_a_session_a_registry_or_a_plugin_manager(sources: list[Source]) -> None:
    assert not list(_living(sources))


def _living(sources: list[Source]) -> Iterator[str]:
    for source in sources:
        for node in source.tree.body:
            if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
                continue
            for call in ast.walk(node.value):
                if isinstance(call, ast.Call) and getattr(call.func, "id", getattr(call.func, "attr", "")) in LIVING:
                    yield f"{source.name}:{node.lineno} makes {ast.unparse(call.func)} for the whole process"


def test_nothing_is_evaluated(sources: list[Source]) -> None:
    assert not [
        f"{source.name}:{node.lineno}"
        for source in sources
        if not source.is_test
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec")
    ]


#: Paths that a developer's machine has and others have not.
MACHINE_PATH = re.compile(r"^/(?:root|work|mnt|opt|srv|Users|workspace)/.")


def test_nothing_reads_outside_the_repository(sources: list[Source]) -> None:
    tests = [
        Source(path, str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in files("*.py", ("tests", "bench"))
    ]

    assert not list(_machine_paths([*sources, *tests]))
    assert not list(_climbs_out([*sources, *tests]))


def _climbs_out(sources: list[Source]) -> Iterator[str]:
    for source in sources:
        depth = len(Path(source.name).parts) - 1
        for match in re.finditer(r"__file__\)[^\n]*?\.parents\[(\d+)\]", source.text):
            if int(match.group(1)) > depth:
                yield f"{source.name} climbs out of the tree: {match.group()}"


def _machine_paths(sources: list[Source]) -> Iterator[str]:
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and MACHINE_PATH.match(node.value):
                yield f"{source.name}:{node.lineno} names {node.value!r}, which only one machine has"


def test_templates_set_no_styles_and_run_no_foreign_script() -> None:
    assert not list(_loose_markup())


def _loose_markup() -> Iterator[str]:
    for path in files("*.pt", ("crm_core", "plugins", "themes", "tests")):
        text = path.read_text("utf-8")
        where = path.relative_to(ROOT)
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(r"""\sstyle\s*=|tal:attributes="[^"]*\bstyle\s""", line):
                yield f"{where}:{number} sets a style on an element: the content policy drops it"
            if re.search(r"\son[a-z]+\s*=\s*[\"']", line):
                yield f"{where}:{number} has a handler in an attribute: the content policy drops it"
            if re.search(r"hx-on|hx-vals=.js:|hx-trigger=.[^\"']*\[|href=.javascript:", line):
                yield f"{where}:{number} needs eval, which the content policy refuses"
        for tag in re.findall(r"<script\b[^>]*>", text):
            if "nonce=" not in tag:
                yield f"{where} has a script without nonce: {tag}"
        if re.search(r"<style\b", text):
            yield f"{where} has a style sheet inside: the content policy drops it"
        if "load:" in text:
            yield f"{where} loads a template by a relative path, past the themes"


def test_scripts_of_ours_need_no_eval() -> None:
    scripts = [*(ROOT / "crm_core/frontend/src").glob("*.js"), *(ROOT / "plugins").glob("*/crm_*/static/**/*.js")]
    assert scripts

    assert not [
        str(path.relative_to(ROOT))
        for path in scripts
        if re.search(r"\beval\(|new Function\(", path.read_text("utf-8"))
    ]


def test_plugins_specs_hold_no_markup(sources: list[Source]) -> None:
    """Specs name a template; HTML is written there."""
    assert not [
        f"{source.name}:{node.lineno}"
        for source in sources
        if source.name.startswith("plugins/") and not source.is_test
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.search(r"</?(div|span|a|p|b|td)\b[^>]*>", node.value)
    ]
