"""Writes a new plugin: ``crm plugin new NAME``. The files under ``plugin/`` are what it is made of.

In them ``@name@``, ``@Name@``, ``@title@`` are filled in; a file's name loses its ``.in``, and ``package`` becomes the
import name.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from crm_core import catalogues
from crm_core.settings import ConfigurationError

SOURCE = Path(__file__).parent / "plugin"
TAKEN = frozenset({"core", "crm", "admin", "settings", "api", "files", "search", "static", "test", "tests"})

RUSSIAN = {
    "Entry": "Запись",
    "Entries": "Записи",
    "Name": "Название",
    "Description": "Описание",
    "Due date": "Срок",
    "Responsible": "Ответственный",
    "Tags": "Теги",
    "View entries": "Видеть записи",
    "Create entries": "Создавать записи",
    "Edit entries": "Изменять записи",
    "Move entries to the trash and bring them back": "Перемещать записи в корзину и возвращать",
    "Import entries": "Импортировать записи",
    "Export entries": "Экспортировать записи",
    "Assign and share entries": "Назначать ответственных и открывать доступ",
    "Keeps entries: a beginning to make something of.": "Хранит записи: начало, из которого можно сделать своё.",
}


def write_plugin(name: str, title: str = "", title_ru: str = "", into: Path | None = None) -> Path:
    """Write a plugin with one entity, its migration, both languages and passing tests; return its folder."""
    if not re.fullmatch(r"[a-z][a-z0-9]{1,29}", name) or name in TAKEN:
        raise ConfigurationError(
            "NAME", name, "cannot be a plugin's name", "choose another of 2 to 30 lower-case letters and digits"
        )
    title = title or name.capitalize()
    folder = into or (Path("plugins", name) if Path("plugins").is_dir() else Path(f"crm-{name}"))
    if folder.exists() and any(folder.iterdir()):
        raise ConfigurationError("--into", folder, "exists and is not empty", "choose another folder")
    package = f"crm_{name}"
    words = {"name": name, "Name": name.capitalize(), "title": title}
    for source in sorted(SOURCE.rglob("*.in")):
        inside = source.relative_to(SOURCE).as_posix().removesuffix(".in")
        target = folder / _filled(inside, words).replace("package", package, 1)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_filled(source.read_text("utf-8"), words), "utf-8")
    _translate(folder / package, {**RUSSIAN, title: title_ru or title})
    return folder.resolve()


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub(r"@(\w+)@", lambda match: words[match[1]], text)


def _translate(package: Path, russian: dict[str, str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(russian, file, ensure_ascii=False)
        file.flush()
        catalogues.translate(str(package), Path(file.name), quietly=True)
    catalogues.compile_stale(package / "locale")
