"""A real worker keeps the connection: a missed call is told within seconds, a broken line is mended, a killed worker
is followed by the next."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from crm_calls.models import Call, Line, Link
from crm_core import jobs
from crm_core.db import UNGATED
from crm_core.records import operations
from crm_core.security.subject import Subject
from crm_core.testing.factories import Factories

pytestmark = pytest.mark.slow

_WORKER = """
import json, sys
from crm_core.jobs import run_worker
run_worker(json.loads(sys.argv[1]))
"""


@pytest.fixture
def start(committed_db: Any, tmp_path: Any) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start workers on the database of the test."""
    running: list[subprocess.Popen[bytes]] = []
    settings = {key: value for key, value in committed_db.settings.items() if isinstance(value, str)}

    def start() -> subprocess.Popen[bytes]:
        log = (tmp_path / "worker.log").open("ab")
        command = [sys.executable, "-W", "ignore", "-c", _WORKER, json.dumps(settings)]
        running.append(subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ}))
        log.close()
        return running[-1]

    yield start
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait(10)


@pytest.fixture
def connected(committed_db: Any, fake_exchange: Any) -> Any:
    """An office whose exchange is the one of loopback."""
    factory = sys.modules["crm_calls_exchange"]
    assert factory
    import importlib.util
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("crm_calls_office", Path(__file__).with_name("factories.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with committed_db.session() as session:
        operations.begin(session, Subject.system("tests"), kind="settings", source="job")
        office = module.Office(session, committed_db.plugins, Factories(session))
        exchange = office.connect("asterisk", port=str(fake_exchange.port))
        for line in session.scalars(sa.select(Line)):
            line.gateway_id = exchange.id
        session.flush()
        office.person()
        found = {"gateway": exchange.id, "manager": office.manager.id}
        jobs.enqueue(session, "calls.listen", key="schedule:calls.listen")
    return found


def _call(foreign_id: str, status: str) -> Callable[[Any], Any]:
    def asked(session: Any) -> Any:
        return session.scalars(
            sa.select(Call).where(Call.foreign_id == foreign_id, Call.status == status),
            execution_options={UNGATED: "a look at the result"},
        ).one_or_none()

    return asked


def test_a_missed_call_is_told_within_five_seconds(
    committed_db: Any, start: Any, connected: Any, fake_exchange: Any
) -> None:
    scripts = sys.modules["crm_calls_exchange"]
    start()
    fake_exchange.wait_for_listener(30)

    began = time.monotonic()
    fake_exchange.play(*scripts.missed("9.1").events)
    call = committed_db.wait_until(_call("9.1", "missed"))

    assert time.monotonic() - began < 5
    assert call.owner_id == connected["manager"]
    assert call.person_id is not None


def test_the_connection_is_made_again_and_a_killed_worker_is_followed_by_the_next(
    committed_db: Any, start: Any, connected: Any, fake_exchange: Any
) -> None:
    scripts = sys.modules["crm_calls_exchange"]
    worker = start()
    fake_exchange.wait_for_listener(30)
    fake_exchange.hang_up()
    committed_db.wait_until(
        lambda session: session.scalar(sa.select(Link.failed_at).where(Link.gateway_id == connected["gateway"]))
    )

    fake_exchange.wait_for_listener()
    fake_exchange.play(*scripts.answered("9.2").events)
    committed_db.wait_until(_call("9.2", "ended"))
    with committed_db.session() as session:
        assert session.get(Link, connected["gateway"]).failed_at is None

    worker.send_signal(signal.SIGKILL)
    worker.wait(10)
    fake_exchange.hang_up()
    start()
    fake_exchange.wait_for_listener(30)
    fake_exchange.play(*scripts.missed("9.3").events)
    committed_db.wait_until(_call("9.3", "missed"))


def test_two_workers_hear_every_call_once_and_other_work_goes_on(
    committed_db: Any, start: Any, connected: Any, fake_exchange: Any
) -> None:
    scripts = sys.modules["crm_calls_exchange"]
    workers = [start(), start()]
    fake_exchange.wait_for_listener(30)
    with committed_db.session() as session:
        other = jobs.enqueue(session, "calls.sweep")
    committed_db.wait_until(lambda session: session.get(jobs.JobRow, other).state == "done")
    time.sleep(1.5)

    assert len(fake_exchange.listeners) == 1
    fake_exchange.play(*scripts.outgoing("9.4").events)
    committed_db.wait_until(_call("9.4", "ended"))
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert [worker.wait(25) for worker in workers] == [0, 0]
    assert time.monotonic() - began < 12
