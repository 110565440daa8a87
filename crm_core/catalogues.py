"""The translation catalogues of every package of the tree: extract, translate, compile, check.

Run as ``python -m crm_core.i18n extract|translate|compile|check``. A package is a folder with ``__init__.py``; its
domain is its name. Texts are found in Python (``_("...")``, ``plural(...)``) and in Chameleon templates
(``i18n:translate``, ``i18n:attributes``, and the same calls inside expressions). Russian texts come in as a JSON file,
so that many people may work on one catalogue without touching its file by hand.
"""

from __future__ import annotations

import argparse
import ast
import fcntl
import html
import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

LOCALES = ("ru", "en")
ROOT = Path(__file__).resolve().parent.parent

# Fixed, for a date in the head of a file would make every merge a conflict.
_HEADER_DATE = datetime(2026, 1, 1, tzinfo=UTC)
_SKIPPED_FOLDERS = {"tests", "testing_templates", "node_modules", "__pycache__", "migrations", "static", "frontend"}

Key = tuple[str | None, str]
"""Context and message id."""


@dataclass
class Used:
    """A text that the code shows to people."""

    domain: str | None
    msgid: str
    plural: str | None = None
    context: str | None = None
    default: str | None = None
    where: str = ""

    @property
    def key(self) -> Key:
        """The key of its entry in a catalogue."""
        return (self.context, self.msgid)


@dataclass
class Found:
    """What a walk through files gave: texts, and places that can never be translated."""

    used: list[Used] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


# Packages


def packages() -> dict[str, Path]:
    """Return the packages of this tree with their folders: the core, the plugins, the themes."""
    folders = {"crm_core": Path(__file__).resolve().parent}
    for pattern in ("plugins/*/crm_*", "themes/*/crm_*"):
        for folder in sorted(ROOT.glob(pattern)):
            if (folder / "__init__.py").is_file():
                folders[folder.name] = folder
    return folders


def package_folder(name: str) -> Path:
    """Return the folder of a package by its name or path, without importing it."""
    if name in packages():
        return packages()[name]
    if Path(name, "__init__.py").is_file():
        return Path(name).resolve()
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"i18n: there is no package {name!r}; give its import name or the path of its folder")
    return Path(next(iter(spec.submodule_search_locations)))


def _selected(names: Sequence[str]) -> dict[str, Path]:
    if not names:
        return packages()
    return {folder.name: folder for folder in map(package_folder, names)}


# Extraction


def extract_package(folder: Path) -> Found:
    """Find every text of a package, each with the domain it belongs to."""
    found = Found()
    for path in sorted(_sources(folder)):
        where = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
        source = path.read_text("utf-8")
        if path.suffix == ".py":
            extract_python(source, folder.name, where, found)
        else:
            extract_template(source, folder.name, where, found)
    return found


def _sources(folder: Path) -> Iterator[Path]:
    for parent, names, files in os.walk(folder):
        names[:] = [name for name in names if name not in _SKIPPED_FOLDERS]
        yield from (Path(parent, name) for name in files if name.endswith((".py", ".pt")))


def extract_python(source: str, package: str, where: str, found: Found) -> None:
    """Find the calls of ``_`` and ``plural`` in a module."""
    tree = ast.parse(source)
    domains = {"_": package}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "crm_core.i18n":
            domains.update({name.asname or name.name: "crm_core" for name in node.names if name.name == "_"})
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and node.value.args:
            function, first = node.value.func, node.value.args[0]
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            if name == "TranslationStringFactory" and isinstance(first, ast.Constant):
                domains.update({t.id: str(first.value) for t in node.targets if isinstance(t, ast.Name)})
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            _extract_call(node, domains, package, f"{where}:{node.lineno}", found)


def _extract_call(node: ast.Call, domains: dict[str, str], package: str, where: str, found: Found) -> None:
    function = node.func
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    keywords = {k.arg: k.value for k in node.keywords if k.arg}
    if isinstance(function, ast.Name) and name in domains and node.args:
        text = _literal(node.args[0])
        if text is None:
            if isinstance(node.args[0], ast.JoinedStr | ast.BinOp):
                found.problems.append(f"{where}: the text of {name}() is put together; use ${{name}} and mapping")
            return
        context, default = _literal(keywords.get("context")), _literal(keywords.get("default"))
        found.used.append(Used(domains[name], text, None, context, default, where))
    elif name in ("plural", "pluralize"):
        texts = [t for t in map(_literal, node.args[:3]) if t is not None]
        if len(texts) >= 2:
            domain = _literal(keywords.get("domain")) or ("crm_core" if name == "plural" else package)
            positional = node.args[4:5] if isinstance(function, ast.Name) else node.args[3:4]
            domain = (_literal(positional[0]) if positional else None) or domain
            found.used.append(Used(domain, texts[0], texts[1], where=where))


def _literal(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


_CALL = re.compile(r"(?<![\w.])(?:request\.)?(_|plural)\s*\(")


def extract_template(source: str, package: str, where: str, found: Found) -> None:
    """Find the texts of a Chameleon template."""
    from chameleon.exc import TemplateError

    reader = _template_reader()
    try:
        reader(source, package, where, found)
    except TemplateError as error:
        found.problems.append(f"{where}: the template does not parse: {str(error).splitlines()[0]}")
    for match in _CALL.finditer(source):
        call = _balanced_call(html.unescape(source[match.start() : match.start() + 1000]))
        if call is not None:
            line = source.count("\n", 0, match.start()) + 1
            _extract_call(call, {"_": package}, package, f"{where}:{line}", found)


def _balanced_call(text: str) -> ast.Call | None:
    for match in re.finditer(r"\)", text):
        try:
            node = ast.parse(text[: match.end()], mode="eval").body
        except SyntaxError:
            continue
        return node if isinstance(node, ast.Call) else None
    return None


@cache
def _template_reader() -> Any:
    from chameleon.namespaces import I18N_NS, METAL_NS, TAL_NS
    from chameleon.program import ElementProgram
    from chameleon.zpt.program import MacroProgram

    whitespace = re.compile(r"\s+")
    expression = re.compile(r"(?<!\$)\$\{")
    special = {I18N_NS, METAL_NS, TAL_NS}

    class Reader(ElementProgram):
        """Collects the translated elements and attributes of a template, with the domain in force."""

        DEFAULT_NAMESPACES = MacroProgram.DEFAULT_NAMESPACES

        def __init__(self, source: str, package: str, where: str, found: Found) -> None:
            self.where, self.found = where, found
            super().__init__(source, filename=where)
            self.walk(self.body, None, None)

        def visit(self, kind: str, args: Any) -> Any:
            return kind, args

        def walk(self, nodes: Iterable[Any], domain: str | None, context: str | None) -> None:
            for kind, args in nodes:
                if kind == "element":
                    self.element(args[0], args[2], domain, context)
                elif kind in ("start_tag", "empty_tag"):
                    self.element(args[0], [], domain, context)

        def element(self, start: Any, children: Any, domain: str | None, context: str | None) -> None:
            attributes = start["ns_attrs"]
            domain = attributes.get((I18N_NS, "domain"), domain)
            context = attributes.get((I18N_NS, "context"), context)
            line = f"{self.where}:{self.line(start)}"
            self.attributes(start, domain, context, line)
            msgid = attributes.get((I18N_NS, "translate"))
            dynamic = (TAL_NS, "content") in attributes or (TAL_NS, "replace") in attributes
            if msgid is not None and not dynamic:
                text = self.text(children, line)
                if msgid:
                    self.use(str(msgid), domain, context, line, default=text)
                elif text:
                    self.use(text, domain, context, line)
            self.walk(children, domain, context)

        def attributes(self, start: Any, domain: str | None, context: str | None, line: str) -> None:
            clause = start["ns_attrs"].get((I18N_NS, "attributes"))
            if not clause:
                return
            plain = {attribute["name"]: str(attribute["value"] or "") for attribute in start["attrs"]}
            computed = str(start["ns_attrs"].get((TAL_NS, "attributes"), ""))
            for part in filter(None, (part.strip() for part in str(clause).split(";"))):
                name, _, msgid = part.partition(" ")
                if msgid:
                    self.use(msgid.strip(), domain, context, line, default=plain.get(name))
                elif name in plain:
                    text = whitespace.sub(" ", plain[name]).strip()
                    if expression.search(text):
                        if not re.fullmatch(r"\$\{.*\}", text):
                            self.found.problems.append(f"{line}: {name} mixes text and expression, no catalogue has it")
                    elif text:
                        self.use(text, domain, context, line)
                elif not re.search(rf"(^|;)\s*{re.escape(name)}\s", computed):
                    self.found.problems.append(f"{line}: i18n:attributes names {name}, which the element does not have")

        def text(self, children: Any, line: str) -> str | None:
            parts: list[str] = []
            for kind, args in children:
                if kind == "text":
                    parts.append(str(args[0]))
                elif kind in ("element", "start_tag", "empty_tag"):
                    parts.append(self.inner(kind, args, line))
            text = whitespace.sub(" ", "".join(parts)).strip()
            bare = re.sub(r"\x00\$\{[^}]*\}", "", text)
            if expression.search(bare):
                if re.fullmatch(r"\$\{.*\}", bare) and text == bare:
                    return None
                self.found.problems.append(f"{line}: an expression inside a translated text; give it i18n:name")
                return None
            text = text.replace("\x00", "")
            # A text made of one named part only has nothing to translate.
            return None if re.fullmatch(r"(\$\{[^}]*\}\s*)*", text) else text

        def inner(self, kind: str, args: Any, line: str) -> str:
            start = args[0]
            name = start["ns_attrs"].get((I18N_NS, "name"))
            if name:
                return f"\x00${{{name}}}"
            if any(namespace in special for namespace, _ in start["ns_attrs"]):
                self.found.problems.append(f"{line}: a computed element inside a translated text; give it i18n:name")
                return ""
            attributes = "".join(
                f"{a['space']}{a['name']}{a['eq'] or ''}{a['quote']}{a['value'] or ''}{a['quote']}"
                for a in start["attrs"]
            )
            opening = f"{start['prefix']}{start['name']}{attributes}{start['suffix']}"
            if kind != "element":
                return opening
            end, children = args[1], args[2]
            inside = "".join(
                str(a[0]) if k == "text" else self.inner(k, a, line)
                for k, a in children
                if k in ("text", "element", "start_tag", "empty_tag")
            )
            return opening + inside + (f"{end['prefix']}{end['name']}{end['suffix']}" if end else "")

        def use(
            self, msgid: str, domain: str | None, context: str | None, line: str, default: str | None = None
        ) -> None:
            if domain is None:
                self.found.problems.append(f"{line}: {msgid!r} has no i18n:domain, it would never be translated")
                return
            self.found.used.append(Used(str(domain), msgid, None, context and str(context), default, line))

        @staticmethod
        def line(start: Any) -> int:
            token = start["name"]
            return str(token.source).count("\n", 0, token.pos) + 1 if getattr(token, "source", None) else 0

    return Reader


# Catalogues


def catalogue_path(folder: Path, locale: str) -> Path:
    """Return the text catalogue of a package in a language."""
    return folder / "locale" / locale / "LC_MESSAGES" / f"{folder.name}.po"


def read_catalogue(folder: Path, locale: str) -> Catalog:
    """Read a catalogue; a missing one is empty."""
    path = catalogue_path(folder, locale)
    empty = Catalog(
        locale=locale,
        domain=folder.name,
        project=folder.name,
        version="0.1",
        charset="utf-8",
        creation_date=_HEADER_DATE,
        revision_date=_HEADER_DATE,
        fuzzy=False,
        header_comment=f"# {folder.name}: written by `python -m crm_core.i18n`, never by hand.",
    )
    if path.is_file():
        with path.open("rb") as file:
            for message in read_po(file, locale=locale, domain=folder.name, abort_invalid=True):
                if message.id:
                    empty.add(message.id, message.string, flags=message.flags, context=message.context)
    return empty


def write_catalogue(folder: Path, locale: str, catalogue: Catalog) -> None:
    """Write a catalogue whole or not at all, sorted so that two branches seldom meet in one line."""
    path = catalogue_path(folder, locale)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    for message in catalogue:
        # Babel takes `${n}` for a format of Python's own.
        message.flags -= {"python-format", "python-brace-format"}
    with fresh.open("wb") as file:
        write_po(file, catalogue, width=0, no_location=True, sort_output=True)
    text = fresh.read_text("utf-8")
    fresh.write_text(
        re.sub(r'"(Generated-By|Last-Translator|Language-Team|Report-Msgid-Bugs-To): [^"]*"\n', "", text), "utf-8"
    )
    fresh.replace(path)


def _entries(catalogue: Catalog) -> dict[Key, Message]:
    return {(m.context, m.id[0] if isinstance(m.id, list | tuple) else m.id): m for m in catalogue if m.id}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    (folder / "locale").mkdir(exist_ok=True)
    with (folder / "locale" / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def extract(names: Sequence[str] = (), prune: bool = False) -> int:
    """Put every text of the tree into its catalogues; with ``prune`` take out those no code shows any more."""
    by_domain, problems = _collect()
    folders = _selected(names)
    for package, folder in folders.items():
        used = by_domain.get(package, {})
        if not used and not (folder / "locale").is_dir():
            continue
        with _locked(folder):
            for locale in LOCALES:
                catalogue = read_catalogue(folder, locale)
                present = _entries(catalogue)
                for key, text in used.items():
                    _put(catalogue, present.get(key), text, locale)
                if prune:
                    for key in present.keys() - used.keys():
                        catalogue.delete(key[1], context=key[0])
                write_catalogue(folder, locale, catalogue)
        print(f"{package}: {len(used)} texts")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 0


def _put(catalogue: Catalog, present: Message | None, text: Used, locale: str) -> None:
    wanted_id = (text.msgid, text.plural) if text.plural else text.msgid
    if present is not None and (not text.plural or isinstance(present.id, list | tuple)):
        return
    string: Any = ("",) * catalogue.num_plurals if text.plural else ""
    if locale == "en":
        string = (text.msgid, text.plural) if text.plural else (text.default or text.msgid)
    elif present is not None and not isinstance(present.id, list | tuple):
        catalogue.delete(text.msgid, context=text.context)
    catalogue.add(wanted_id, string, context=text.context)


def _collect() -> tuple[dict[str, dict[Key, Used]], list[str]]:
    by_domain: dict[str, dict[Key, Used]] = {}
    problems: list[str] = []
    for folder in packages().values():
        found = extract_package(folder)
        problems += found.problems
        for text in found.used:
            if text.domain is None:
                continue
            known = by_domain.setdefault(text.domain, {})
            # The plural entry answers for the singular alone as well.
            if text.key not in known or (text.plural and not known[text.key].plural):
                known[text.key] = text
    return by_domain, problems


def translate(package: str, source: Path, quietly: bool = False) -> int:
    """Merge Russian texts from a JSON file into a package's catalogues; English gets the message ids.

    The file is ``{"Save": "Сохранить", "__plurals__": [{"msgid", "plural", "ru": [one, few, many]}]}``; a context goes
    before the message id, parted by ``\\u0004``.
    """
    texts = json.loads(source.read_text("utf-8"))
    plurals = texts.pop("__plurals__", [])
    folder = package_folder(package)
    faults = [f"{source}: {m!r} is not a text" for m, t in texts.items() if not isinstance(t, str) or not t.strip()]
    faults += [
        f"{source}: {entry['msgid']!r} needs three Russian forms, not {len(entry['ru'])}"
        for entry in plurals
        if len(entry["ru"]) != 3 or not all(entry["ru"])
    ]
    if faults:
        print("\n".join(faults), file=sys.stderr)
        return 1
    with _locked(folder):
        russian, english = read_catalogue(folder, "ru"), read_catalogue(folder, "en")
        for text, string in texts.items():
            context, _, msgid = text.rpartition("\x04")
            present = _entries(russian).get((context or None, msgid))
            if present is not None and isinstance(present.id, list | tuple):
                continue
            russian.delete(msgid, context=context or None)
            russian.add(msgid, string, context=context or None)
            if (context or None, msgid) not in _entries(english):
                english.add(msgid, msgid, context=context or None)
        for entry in plurals:
            both = (entry["msgid"], entry["plural"])
            for catalogue, strings in ((russian, tuple(entry["ru"])), (english, tuple(entry.get("en") or both))):
                catalogue.delete(entry["msgid"])
                catalogue.add(both, strings)
        write_catalogue(folder, "ru", russian)
        write_catalogue(folder, "en", english)
    if not quietly:
        print(f"{folder.name}: {len(texts) + len(plurals)} texts merged")
    return 0


def compile_stale(locale_folder: Path, force: bool = False) -> int:
    """Compile the catalogues of one ``locale`` folder whose text is newer; return how many.

    A folder that cannot be written (an installed wheel) carries its compiled catalogues already.
    """
    done = 0
    for source in sorted(locale_folder.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if not force and target.is_file() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
            continue
        if not os.access(source.parent, os.W_OK):
            continue
        stamp = source.stat().st_mtime_ns
        with source.open("rb") as file:
            catalogue = read_po(file, locale=source.parent.parent.name, domain=source.stem)
        fresh = target.with_suffix(f".{os.getpid()}.new")
        with fresh.open("wb") as file:
            write_mo(file, catalogue)
        # The text's own time, so that a text written while we compiled counts as newer.
        os.utime(fresh, ns=(stamp, stamp))
        fresh.replace(target)
        done += 1
    return done


def compile_all(names: Sequence[str] = (), force: bool = False) -> int:
    """Compile what is stale in the given packages, or in all of the tree."""
    for folder in _selected(names).values():
        done = compile_stale(folder / "locale", force)
        if done:
            print(f"{folder.name}: {done} catalogues compiled")
    return 0


def check(names: Sequence[str] = (), strict: bool = False) -> int:
    """Say what is missing, wrong or dead in the catalogues; fail on missing and wrong, and on dead when strict."""
    by_domain, problems = _collect()
    folders = _selected(names)
    everything = packages() | folders
    dead: list[str] = []
    for domain, texts in by_domain.items():
        if domain not in everything:
            text = next(iter(texts.values()))
            problems.append(f"{text.where}: the domain {domain!r} belongs to no package")
    for package, folder in folders.items():
        if package not in packages():
            used = {text.key: text for text in extract_package(folder).used if text.domain == package}
        else:
            used = by_domain.get(package, {})
        for locale in LOCALES:
            present = _entries(read_catalogue(folder, locale))
            for key, text in used.items():
                problems += _faults(package, locale, text, present.get(key))
            dead += [f"{package}: {locale}: dead: {key[1]!r}" for key in sorted(present.keys() - used.keys(), key=str)]
    for line in dead:
        print(line)
    for line in problems:
        print(line, file=sys.stderr)
    print(f"{len(problems)} problems, {len(dead)} dead entries in {len(folders)} packages")
    return 1 if problems or (strict and dead) else 0


def _faults(package: str, locale: str, text: Used, entry: Message | None) -> Iterator[str]:
    head = f"{package}: {locale}: {text.msgid!r} ({text.where})"
    if entry is None or not entry.string or (isinstance(entry.string, str) and not entry.string.strip()):
        yield f"{head}: missing"
        return
    if entry.fuzzy:
        yield f"{head}: unsure (fuzzy)"
    strings = list(entry.string) if isinstance(entry.string, list | tuple) else [entry.string]
    if text.plural:
        forms = 3 if locale == "ru" else 2
        if not isinstance(entry.id, list | tuple) or len(strings) != forms or not all(strings):
            yield f"{head}: needs {forms} plural forms"
            return
    wanted = _placeholders(text.default or text.msgid) | _placeholders(text.plural or "")
    for string in strings:
        if _placeholders(string) - wanted:
            yield f"{head}: wants {', '.join(sorted(_placeholders(string) - wanted))}, which nobody gives"
        if not text.plural and wanted - _placeholders(string):
            yield f"{head}: leaves out {', '.join(sorted(wanted - _placeholders(string)))}"


def _placeholders(text: str) -> set[str]:
    return set(re.findall(r"\$\{([a-zA-Z][-a-zA-Z0-9_]*)\}", text))


def main(argv: Sequence[str] | None = None) -> int:
    """Answer ``python -m crm_core.i18n``."""
    parser = argparse.ArgumentParser(prog="python -m crm_core.i18n", description="Translation catalogues.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("extract", help="put every text of the code into the catalogues")
    one.add_argument("--prune", action="store_true", help="take out texts that no code shows")
    one.add_argument("packages", nargs="*")
    one = commands.add_parser("translate", help="merge Russian texts from a JSON file")
    one.add_argument("package")
    one.add_argument("file", type=Path)
    one = commands.add_parser("compile", help="compile what is stale")
    one.add_argument("--force", action="store_true")
    one.add_argument("packages", nargs="*")
    one = commands.add_parser("check", help="fail when a text lacks a form in a language")
    one.add_argument("--strict", action="store_true", help="fail on dead entries too")
    one.add_argument("packages", nargs="*")
    given = parser.parse_args(argv)
    if given.command == "extract":
        return extract(given.packages, given.prune)
    if given.command == "translate":
        return translate(given.package, given.file)
    if given.command == "compile":
        return compile_all(given.packages, given.force)
    return check(given.packages, given.strict)
