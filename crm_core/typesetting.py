"""Makes PDF of a typst template: in a process of its own that sees one folder, no network, and ends in time.

A template is written by people, so it is run as something foreign: what it can read is what stands in `files`, and what
it can use up is bounded. Whoever asks gets the document or the lines that are wrong, in words.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crm_core.i18n import _

#: Seconds a document may take, and bytes it may have; the memory of the process is bounded too.
SECONDS = 10
MOST_BYTES = 20 * 1024 * 1024

#: Characters of a template, at most.
MOST_SOURCE = 200_000

_SAFE_NAME = re.compile(r"[a-z0-9_]{1,40}\.[a-z0-9]{1,5}")
_PLACE = re.compile(r" \(searched at [^)]*\)")
_ERROR = re.compile(r"^error: (?P<message>.+?)$(?:\s*┌─ (?P<file>\S+?):(?P<line>\d+):(?P<column>\d+))?", re.M | re.S)


@dataclass(frozen=True)
class Mistake:
    """Something wrong in a template: what, and in which line; 0 where no line is known."""

    line: int
    message: str


class TypesettingError(ValueError):
    """Tells why there is no document: mistakes by line, or that it took too long; `message` is a message id."""

    def __init__(self, message: str, mistakes: tuple[Mistake, ...] = ()) -> None:
        super().__init__("; ".join(f"{one.line}: {one.message}" for one in mistakes) or str(message))
        self.message = message
        self.mistakes = mistakes


def make_pdf(source: str, data: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> bytes:
    """Return the PDF of a template; it reads `data` by `json("data.json")` and the files by their names."""
    return _compile(source, data, files or {}, "pdf")[0]


def make_pictures(source: str, data: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> list[bytes]:
    """Return the pages of a template as PNG, for a preview."""
    return _compile(source, data, files or {}, "png")


def _compile(source: str, data: Mapping[str, Any], files: Mapping[str, bytes], kind: str) -> list[bytes]:
    if len(source) > MOST_SOURCE:
        raise TypesettingError(_("The template is longer than ${n} characters.", mapping={"n": MOST_SOURCE}))
    with tempfile.TemporaryDirectory(prefix="crm-typst-") as name:
        folder = Path(name)
        root, out = folder / "root", folder / "out"
        root.mkdir()
        out.mkdir()
        for file, content in files.items():
            if not _SAFE_NAME.fullmatch(file):
                raise ValueError(f"{file} is no name of a file of a template")
            (root / file).write_bytes(content)
        (root / "data.json").write_text(json.dumps(data, ensure_ascii=False, default=str), encoding="utf-8")
        (root / "main.typ").write_text(source, encoding="utf-8")
        _run(root, out, kind)
        return [path.read_bytes() for path in sorted(out.iterdir(), key=lambda path: (len(path.name), path.name))]


def _run(root: Path, out: Path, kind: str) -> None:
    # No package of templates is ever fetched: a proxy that nobody answers at stands before the network.
    nowhere = "http://127.0.0.1:9"
    environment = {
        "PATH": "",
        "HOME": str(root.parent),
        **{name: nowhere for one in ("http_proxy", "https_proxy", "all_proxy") for name in (one, one.upper())},
    }
    program = Path(__file__).with_name("typesetter.py")
    command = [sys.executable, "-I", str(program), str(root), str(out), kind, str(SECONDS), str(MOST_BYTES)]
    try:
        done = subprocess.run(
            command, env=environment, cwd=root, capture_output=True, timeout=SECONDS + 5, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise TypesettingError(_("The document took longer than ${n} seconds.", mapping={"n": SECONDS})) from None
    if done.returncode == 0:
        return
    if done.returncode == 3:
        raise TypesettingError(_("The template has mistakes."), mistakes(done.stdout.decode("utf-8", "replace")))
    if done.returncode == 4:
        raise TypesettingError(_("The document is larger than ${n} MB.", mapping={"n": MOST_BYTES // 1024 // 1024}))
    if done.returncode in (-9, -24):
        raise TypesettingError(_("The document took longer than ${n} seconds.", mapping={"n": SECONDS}))
    raise TypesettingError(_("The document could not be made: the template asks for too much."))


def mistakes(told: str) -> tuple[Mistake, ...]:
    """Return the mistakes that typst tells of, with the lines of the template."""
    found = [
        Mistake(
            int(one["line"]) if one["file"] == "main.typ" else 0,
            _PLACE.sub("", one["message"].strip().splitlines()[0]),
        )
        for one in (match.groupdict() for match in _ERROR.finditer(told))
    ]
    return tuple(dict.fromkeys(found)) or (Mistake(0, told.strip()[:300]),)
