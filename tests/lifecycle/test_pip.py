"""A plugin comes and goes by pip: a new one, built as a wheel, in an environment of its own, on a real installation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crm_core.testing.servers import Servers

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@dataclass
class Environment:
    """A virtual environment that sees our packages and has its own `crm`."""

    folder: Path
    ini: Path

    def run(self, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Python of the environment."""
        done = subprocess.run(
            [str(self.folder / "bin/python"), "-W", "ignore", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", "CRM_CONFIG": str(self.ini)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if ok:
            assert done.returncode == 0, f"{arguments}\n{done.stdout[-5000:]}\n{done.stderr[-3000:]}"
        return done

    def crm(self, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command line of the environment."""
        return self.run("-m", "crm_core.cli", *arguments, ok=ok)

    def list(self, plugins: str) -> None:
        """Write the line of plugins."""
        from crm_core.settings import write_setting

        write_setting(self.ini, "crm.plugins", plugins)

    def states(self) -> dict[str, str]:
        """Return what `crm plugin list` says of each plugin."""
        return {row["name"]: row["state"] for row in json.loads(self.crm("plugin", "list", "--json").stdout)}


def test_a_new_plugin_lives_and_leaves_by_pip(environment: Environment, tmp_path: Path) -> None:
    # A stranger writes a plugin, builds its wheel and installs it.
    environment.crm("plugin", "new", "contracts", "--title", "Contracts", "--into", str(tmp_path / "crm-contracts"))
    pip = ("-m", "pip", "--disable-pip-version-check", "--no-input", "-q")
    wheels = tmp_path / "wheels"
    environment.run(
        *pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(tmp_path / "crm-contracts")
    )
    [wheel] = wheels.glob("crm_contracts-*.whl")
    environment.run(*pip, "install", "--no-deps", "--no-index", str(wheel))
    assert environment.states()["contracts"] == "new"

    # Its tests, with the conformance kit among them, pass on what is installed.
    done = environment.run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--crm-plugins", "contracts"),
        str(tmp_path / "crm-contracts/tests"),
    )
    assert " passed" in done.stdout
    assert " skipped" not in done.stdout

    # One line of the ini, one upgrade: it stands in the menu, and its page opens.
    environment.list("contracts")
    assert "behind the code; run: crm db upgrade" in environment.crm("audit", "verify", ok=False).stderr
    environment.crm("db", "upgrade")
    assert environment.states()["contracts"] == "on"
    page = environment.run("-c", OPEN, str(environment.ini), "/contracts").stdout
    assert "200 OK" in page.splitlines()
    assert 'href="/contracts"' in page

    # Uninstalled without warning: what lists it says what is missing; without the line the rest starts, tables kept.
    environment.run(*pip, "uninstall", "-y", "crm-contracts")
    refused = environment.crm("plugin", "check", ok=False)
    assert refused.returncode == 78
    [sentence] = refused.stderr.strip().splitlines()
    assert sentence.startswith("crm: crm.plugins = contracts: no plugin of this name is installed")
    assert environment.states()["contracts"] == "missing"
    environment.list("")
    environment.crm("plugin", "check")
    environment.crm("db", "upgrade")
    assert environment.states()["contracts"] == "gone"
    assert "package missing, tables kept" in environment.crm("plugin", "list").stdout

    # Installed and listed once more, everything is there again.
    environment.run(*pip, "install", "--no-deps", "--no-index", str(wheel))
    environment.list("contracts")
    environment.crm("db", "upgrade")
    assert environment.states()["contracts"] == "on"
    assert "1 entry" in environment.run("-c", COUNT, str(environment.ini)).stdout


#: Opens a page as the first administrator and prints its status and its text.
OPEN = """
import sys
import transaction
from crm_core import settings as reading
from crm_core.app import main
from crm_core.cli.people import add_account
from crm_core.db import make_engine, session_factory
from crm_core.models import User
from crm_core.plugins import Plugins
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_core.security.sessions import Device, open_session
from crm_core.security.subject import load_subject
from webtest import TestApp
import sqlalchemy as sa

settings = reading.load(sys.argv[1])
app = TestApp(main({}, **settings.for_app()), extra_environ={"HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1"})
with app.app.registry["crm.session_factory"]() as session, session.begin():
    who = {"email": "ann@example.com", "name": "Ann", "password": "a long enough phrase", "locale": "en"}
    add_account(session, **who, roles=["administrator"])
    user = session.scalar(sa.select(User).where(User.email == "ann@example.com"))
    secret = open_session(session, user.id, Device("127.0.0.1", "Test"))
    plugins = app.app.registry["crm.plugins"]
    subject = load_subject(session, user.id)
    operations.describe(session, subject)
    gate = Gate(session, subject, plugins)
    entity = plugins.entity("contracts.entry")
    saving.create(gate, entity, saving.check(gate, entity, {"name": "The first"}))
app.set_cookie("crm", secret)
answer = app.get(sys.argv[2], status="*")
print(answer.status)
print(answer.text)
"""

COUNT = """
import sys
from crm_core import settings as reading
from crm_core.db import make_engine
engine = make_engine(reading.load(sys.argv[1]).database_url)
with engine.connect() as connection:
    print(connection.exec_driver_sql("SELECT count(*) FROM contracts_entry").scalar(), "entry")
"""


@pytest.fixture
def environment(crm_servers: Servers, tmp_path: Path, worker_number: int) -> Iterator[Environment]:
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", str(folder)], check=True, timeout=120)
    # An environment made from an environment sees the machine's packages, not those beside the tests.
    [site] = folder.glob("lib/python*/site-packages")
    (site / "beside.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    name = crm_servers.empty()
    ini = tmp_path / "data" / "crm.ini"
    ini.parent.mkdir()
    ini.write_text(
        "[app:main]\nuse = egg:crm-core#main\ncrm.plugins =\ncrm.locale = en\n"
        f"sqlalchemy.url = {crm_servers.url_of(name).replace('%', '%%')}\n"
        f"redis.url = {crm_servers.redis_of(worker_number).replace('%', '%%')}\n",
        "utf-8",
    )
    made = Environment(folder, ini)
    made.crm("init")
    yield made
    crm_servers.drop(name)


def test_the_environment_is_one(environment: Environment) -> None:
    told: dict[str, Any] = json.loads(
        environment.run("-c", "import json, sys; print(json.dumps({'at': sys.prefix}))").stdout
    )

    assert told["at"] == str(environment.folder)
