"""The files of the tree, for the tests of the law."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Where the code of the product is; tools and data of an installation are elsewhere.
HOMES = ("crm_core", "plugins", "themes")
MADE_BY_TOOLS = {"node_modules", "dist", "build", "__pycache__", "frontend", "static", "_alembic"}


@dataclass(frozen=True)
class Source:
    """One file of Python."""

    path: Path
    name: str
    """Relative to the root."""
    text: str

    @property
    def tree(self) -> ast.Module:
        """The file as the compiler reads it."""
        return _parsed(self.path)

    @property
    def is_test(self) -> bool:
        """Whether the file is a test or what tests stand on."""
        return "/tests/" in f"/{self.name}" or self.name.startswith("crm_core/testing/")

    def imports(self) -> Iterator[tuple[str, int]]:
        """Yield (module, line) of every import; `from a import b` gives `a.b`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def files(pattern: str, homes: tuple[str, ...] = HOMES) -> list[Path]:
    """Return the files of the product that people wrote."""
    return [
        path
        for home in homes
        for path in sorted((ROOT / home).rglob(pattern))
        if not MADE_BY_TOOLS & set(path.relative_to(ROOT).parts)
    ]


def python_sources() -> list[Source]:
    """Return every file of Python of the core, the plugins and the themes."""
    return [Source(path, str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in files("*.py")]


#: Python's own modules, which are nobody's library.
STANDARD = sys.stdlib_module_names
