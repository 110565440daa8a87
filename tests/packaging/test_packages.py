"""What pip will get: the lock says where nothing comes from, and wheels carry every file."""

from __future__ import annotations

import configparser
import fnmatch
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-node.lock")
DISTRIBUTIONS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/setup.cfg"))]
DISTRIBUTIONS += sorted(path.parent for path in ROOT.glob("themes/*/setup.cfg"))


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_hashes_and_names_no_address(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")

    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert "==" in block.splitlines()[0]
        assert "--hash=sha256:" in block


def test_what_is_required_is_locked() -> None:
    locked = {_plain(line.split("==")[0]) for line in (ROOT / LOCKS[0]).read_text("utf-8").splitlines() if "==" in line}

    for line in (ROOT / "requirements.in").read_text("utf-8").splitlines():
        name = re.match(r"[\w.-]+", line.partition("#")[0].strip())
        assert name is None or _plain(name[0]) in locked, line


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_every_file_of_a_package_goes_into_its_wheel(folder: Path) -> None:
    config = configparser.ConfigParser()
    config.read(folder / "setup.cfg", "utf-8")
    package = next(path.name for path in folder.glob("crm_*") if (path / "__init__.py").is_file())
    patterns = config["options.package_data"][package].split()
    listed = subprocess.run(
        ["git", "ls-files", package], cwd=folder, capture_output=True, text=True, check=False
    ).stdout.splitlines()

    missing = [
        name
        for name in (line.removeprefix(f"{package}/") for line in listed)
        if not name.endswith(".py")
        and not name.startswith("frontend/")
        and name != "_alembic"
        and not any(fnmatch.fnmatch(name, pattern.replace("**", "*")) for pattern in patterns)
    ]

    assert missing == []


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_versions_agree(folder: Path) -> None:
    package = next(path for path in folder.glob("crm_*") if (path / "__init__.py").is_file())
    versions = re.findall(r'^__version__ = "([^"]+)"$', (package / "__init__.py").read_text("utf-8"), re.M)

    assert versions == re.findall(
        r'^__version__ = "([^"]+)"$', (ROOT / "crm_core/__init__.py").read_text("utf-8"), re.M
    )


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
