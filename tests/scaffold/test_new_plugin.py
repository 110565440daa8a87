"""A plugin that `crm plugin new` writes is a good one from its first minute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crm_core import catalogues, scaffold
from crm_core.settings import ConfigurationError

ROOT = Path(__file__).parents[2]


def test_a_new_plugin_passes_its_own_tests(tmp_path: Path) -> None:
    folder = scaffold.write_plugin("contracts", title="Contracts", title_ru="Договоры", into=tmp_path / "crm-contracts")
    _pretend_installed(folder, "contracts")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--crm-plugins", "contracts", str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " skipped" not in done.stdout


def test_a_new_plugin_keeps_the_rules_of_code(tmp_path: Path) -> None:
    folder = scaffold.write_plugin("contracts", into=tmp_path / "crm-contracts")

    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "ruff.toml"), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_both_languages_are_complete(tmp_path: Path) -> None:
    folder = scaffold.write_plugin("contracts", title="Contracts", title_ru="Договоры", into=tmp_path / "new")

    assert catalogues.check([str(folder / "crm_contracts")], strict=True) == 0
    assert "Договоры" in catalogues.catalogue_path(folder / "crm_contracts", "ru").read_text("utf-8")


@pytest.mark.parametrize("name", ["core", "Deals", "my-plugin", "x", "9lives"])
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be a plugin's name"):
        scaffold.write_plugin(name, into=tmp_path / "new")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")

    with pytest.raises(ConfigurationError, match="not empty"):
        scaffold.write_plugin("contracts", into=tmp_path)


def _pretend_installed(folder: Path, name: str) -> None:
    """Write what pip would, so that the plugin is found on the path without installing anything."""
    metadata = folder / f"crm_{name}-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: crm-{name}\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text(f"[crm.plugins]\n{name} = crm_{name}.plugin\n")
