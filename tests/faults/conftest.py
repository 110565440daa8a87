"""The probe plugin and processes of `tests/work`, whose tests in miniature these are the large form of."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any


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
