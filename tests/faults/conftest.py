"""The probe plugin and processes of `tests/work`, whose tests in miniature these are the large form of."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from crm_core.embedded import EmbeddedPostgres, EmbeddedValkey
from crm_core.testing.servers import Servers


def _load(name: str, path: Path) -> Any:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


_work = _load("crm_tests_work_conftest", Path(__file__).parents[1] / "work" / "conftest.py")
probe, plugins, start = _work.probe, _work.plugins, _work.start


@pytest.fixture
def own_servers():
    """A PostgreSQL and a Valkey that may be stopped without troubling other tests."""
    # Not below pytest's own folder, which it closes to the account that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="crm-faults-"))
    folder.chmod(0o755)
    postgres, valkey = EmbeddedPostgres(folder), EmbeddedValkey(folder)
    postgres.start()
    valkey.start()
    servers = Servers(postgres.url, valkey.url)
    yield servers, postgres, valkey
    valkey.stop()
    postgres.stop()
    postgres.destroy()
    shutil.rmtree(folder, ignore_errors=True)
