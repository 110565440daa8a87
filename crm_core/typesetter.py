"""The process in which a template is set: run by path, so that it loads nothing of the application.

It is given a folder to read, one to write, and what it may use up; `typesetting` starts it.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path
from typing import Any

import typst

MEMORY = 1536 * 1024 * 1024

#: Dots per inch of a picture of a page.
PICTURE_DPI = 96.0


def main(root: str, out: str, kind: str, seconds: int, most_bytes: int) -> int:
    """Compile `main.typ` of a folder; 0 done, 3 with the mistakes on standard output, 4 too large."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes * 2, most_bytes * 2))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    nothing = Path(root).parent / "nothing"
    nothing.mkdir()
    options: dict[str, Any] = {
        "root": root,
        "ignore_system_fonts": True,
        "package_path": str(nothing),
        "package_cache_path": str(nothing),
        "format": kind,
    }
    if kind == "png":
        options["ppi"] = PICTURE_DPI
    try:
        made = typst.compile(str(Path(root) / "main.typ"), **options)
    except typst.TypstError as error:
        sys.stdout.buffer.write(error.diagnostic.encode())
        return 3
    pages = made if isinstance(made, list) else [made]
    if sum(map(len, pages)) > most_bytes:
        return 4
    for number, page in enumerate(pages):
        (Path(out) / f"{number}.{kind}").write_bytes(page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
