"""The application starts and serves with no plugin, with each alone (and what it requires), each pair, and all."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from crm_core.plugins import discover
from crm_core.settings import installed_plugins
from crm_core.testing.plugin import make_settings

#: Starts the application with some plugins in a process of its own and walks through what a visitor sees first.
SERVE = """
import json, sys, warnings
warnings.simplefilter("ignore")
settings = json.loads(sys.argv[1])
from crm_core.app import main
from webtest import TestApp
app = main({}, **settings)
browser = TestApp(app, extra_environ={"HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1"})
found = {"sign_in": browser.get("/sign-in", status="*").status_int}
browser.set_cookie("crm", settings["cookie"])
for path in ("/", "/settings", "/settings/plugins", "/settings/roles", *json.loads(sys.argv[2])):
    found[path] = browser.get(path, status="*").status_int
packages = (m for m in sys.modules if m.startswith("crm_") and "." not in m and not m.startswith("crm_theme"))
found["imported"] = sorted(packages)
print("RESULT " + json.dumps(found))
"""


def closure(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the plugins with those they require, requirements first."""
    installed, result = discover(), []

    def add(name: str) -> None:
        if name not in result:
            for needed in importlib.import_module(installed[name].module).PLUGIN.requires:
                add(needed)
            result.append(name)

    for name in names:
        add(name)
    return tuple(result)


INSTALLED = installed_plugins()
CHOICES = sorted(
    {closure(names) for names in [(), *((one,) for one in INSTALLED), *combinations(INSTALLED, 2), tuple(INSTALLED)]}
)


@pytest.mark.parametrize("names", CHOICES, ids=lambda names: "+".join(names) or "none")
def test_it_starts_and_serves(names: tuple[str, ...], ground: dict[str, Any], plugins: Any, tmp_path: Path) -> None:
    mine = [item for item in plugins.nav_items if plugins.source["nav", item.id] in names]
    # An administrator has no narrower view of what he sees whole.
    pages = [
        item.href
        for item in mine
        if not item.permission or "administrator" in plugins.permissions[item.permission].default
    ]
    settings = {**make_settings(tmp_path, "", " ".join(names)), **ground}

    done = subprocess.run(
        [sys.executable, "-c", SERVE, json.dumps(settings), json.dumps(pages)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stderr[-4000:]
    found = json.loads(lines[0].removeprefix("RESULT "))

    # What is off is not even imported.
    installed = discover()
    assert found.pop("imported") == sorted({"crm_core", *(installed[name].package for name in names)})
    assert found == dict.fromkeys(["sign_in", "/", "/settings", "/settings/plugins", "/settings/roles", *pages], 200)


@pytest.fixture(scope="module")
def ground(crm_servers: Any, plugins: Any) -> Iterator[dict[str, Any]]:
    """A database with the tables of all plugins and an administrator who is signed in."""
    import sqlalchemy as sa

    from crm_core.db import make_engine, session_factory
    from crm_core.security.sessions import Device, open_session
    from crm_core.testing.factories import Factories

    name = crm_servers.clone(plugins)
    engine = make_engine(crm_servers.url_of(name), poolclass=sa.NullPool)
    with session_factory(engine)() as session, session.begin():
        user = Factories(session).user(role="administrator")
        cookie = open_session(session, user.id, Device("127.0.0.1", "Test"))
    engine.dispose()
    yield {"sqlalchemy.url": crm_servers.url_of(name), "cookie": cookie}
    crm_servers.drop(name)
