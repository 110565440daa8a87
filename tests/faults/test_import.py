"""PostgreSQL restarted, Valkey flushed and stopped, the worker killed, in the middle of an import of a real file."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from crm_core import files
from crm_core.models.log import Operation
from crm_core.models.records import ImportReject, ImportRun
from crm_core.models.work import JobRow
from crm_core.plugins import Plugins
from crm_core.records import work
from crm_core.records.gate import Gate
from crm_core.records.importing import engine
from crm_core.records.importing.readers import open_table
from crm_core.security.subject import load_subject
from crm_core.testing.factories import Factories
from crm_core.testing.plugin import committed

pytestmark = pytest.mark.slow

PERSON = "clients.person"
ROWS = 6_000


def write_file(path: Path) -> None:
    """Write people with companies: one in fifty has no name and no address, one in forty stands twice."""
    lines = ["ФИО;Телефон;Почта;Компания;Комментарий"]
    for n in range(ROWS):
        same = n - 1 if n % 40 == 39 else n
        if n % 50 == 7:
            lines.append(";12;не почта;;строка с ошибкой")
            continue
        phone = f"+7 927 {same // 10000:03} {same // 100 % 100:02} {same % 100:02}"
        lines.append(f"Фамилия{same:05} Имя;{phone};p{same}@example.com;ООО Фирма {n % 300};")
    path.write_text("\n".join(lines), encoding="utf-8")


WORKER = """
import json, sys
from crm_core import jobs
from crm_core.db import make_engine, session_factory
from crm_core.plugins import Plugins

settings = json.loads(sys.argv[1])
plugins = Plugins.build(("clients",))
engine = make_engine(settings["sqlalchemy.url"])
factory = session_factory(engine)
jobs.bind(factory, settings=settings, plugins=plugins)
registry = {"crm.engine": engine, "crm.session_factory": factory, "crm.plugins": plugins}
jobs.run_worker(settings, registry=registry)
"""


@pytest.fixture(scope="session")
def plugins():
    return Plugins.build(("clients",))


@pytest.fixture
def start_worker():
    """Start workers that end with the test."""
    running = []

    def start(database):
        settings = database.settings
        with open(f"{settings['crm.data']}/worker.log", "ab") as log:
            command = [sys.executable, "-c", WORKER, json.dumps(settings)]
            running.append(subprocess.Popen(command, stdout=log, stderr=log))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait(10)


def begin(database, path):
    with database.session() as session:
        boss = Factories(session).user("administrator")
        session.flush()
        with path.open("rb") as stream:
            digest, _size = files.store(session, work.files_of(database.settings), stream)
        gate = Gate(session, load_subject(session, boss.id), database.plugins)
        table = open_table(path)
        mapping = engine.guess(gate, database.plugins.entity(PERSON), table, work.in_languages(database.plugins))
        run = ImportRun(
            entity=PERSON,
            user_id=boss.id,
            file_name=path.name,
            digest=digest,
            options=engine.Options(mapping=mapping).to_json(),
        )
        session.add(run)
        session.flush()
        return run.id, work.start_import(session, run, boss.id)


def asked(database, question):
    """Ask until the database answers."""
    while True:
        try:
            with database.session() as session:
                return question(session)
        except DBAPIError:
            time.sleep(0.2)


def rows_done(database, run_id):
    return asked(database, lambda session: session.get_one(ImportRun, run_id).counts.get("rows", 0))


def wait_rows(database, run_id, goal):
    deadline = time.monotonic() + 120
    while rows_done(database, run_id) < goal:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finish(database, job_id, seconds=180):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = asked(database, lambda session: session.get_one(JobRow, job_id).state)
        if state in ("done", "failed"):
            return state
        time.sleep(0.3)
    raise AssertionError("the import did not end")


def result_of(database, run_id):
    """Return what an import left: its counts and all that it made, without what differs from run to run."""
    with database.session() as session:
        run = session.get_one(ImportRun, run_id)
        people = session.execute(
            sa.text(
                "SELECT p.full_name, p.phones::text, p.emails::text, c.name FROM clients_person p "
                "LEFT JOIN clients_company c ON c.id = p.company_id ORDER BY 1, 2, 3, 4"
            )
        ).all()
        companies = session.execute(sa.text("SELECT name FROM clients_company ORDER BY 1")).scalars().all()
        rejects = session.scalars(sa.select(ImportReject.row_number).order_by(ImportReject.row_number)).all()
        changes = session.execute(
            sa.text("SELECT entity, before IS NULL, count(*) FROM core_change GROUP BY 1, 2 ORDER BY 1, 2")
        ).all()
        imports = session.scalar(sa.select(sa.func.count()).select_from(Operation).where(Operation.kind == "import"))
        return dict(run.counts), people, companies, rejects, changes, imports


def test_servers_and_workers_that_fall_in_the_middle_of_an_import(
    own_servers, plugins, app_settings, start_worker, tmp_path
):
    servers, postgres, valkey = own_servers
    path = tmp_path / "people.csv"
    write_file(path)

    def installation(number):
        settings = {**app_settings, "redis.url": servers.redis_of(number), "crm.data": str(tmp_path)}
        return committed(servers, plugins, settings, nudge=True)

    with installation(1) as quiet:
        run_id, job_id = begin(quiet, path)
        start_worker(quiet)
        assert finish(quiet, job_id) == "done"
        expected = result_of(quiet, run_id)

    with installation(2) as database:
        run_id, job_id = begin(database, path)
        worker = start_worker(database)
        wait_rows(database, run_id, ROWS // 6)
        postgres.stop()
        time.sleep(0.5)
        postgres.start()
        database.engine.dispose()
        wait_rows(database, run_id, ROWS // 3)
        redis.Redis.from_url(database.settings["redis.url"]).flushall()
        valkey.stop()
        valkey.start()
        wait_rows(database, run_id, ROWS // 2)
        worker.kill()
        worker.wait(10)
        start_worker(database)
        wait_rows(database, run_id, ROWS * 2 // 3)
        postgres.stop()
        postgres.start()
        database.engine.dispose()
        assert finish(database, job_id) == "done"

        assert result_of(database, run_id) == expected
        assert expected[0]["rows"] == ROWS
        assert sum(expected[0][outcome] for outcome in engine.OUTCOMES) == ROWS
