"""Workers killed at random points, Valkey flushed and stopped, PostgreSQL restarted, in the middle of mail and of jobs.

`CRM_FAULTS=200` makes the matrix as large as one likes; a run of the suite does a handful of points.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from crm_core import jobs as queue
from crm_core import mail
from crm_core.models.work import Delivery, JobRow, Notification
from crm_core.testing.factories import Factories
from crm_core.testing.plugin import committed
from crm_core.testing.smtp import HANG_UP, mail_sink

pytestmark = pytest.mark.slow

POINTS = int(os.environ.get("CRM_FAULTS", "6"))
LETTERS = max(150, POINTS * 15)

OPEN = ("pending", "claimed", "attempting", "deferred")


@contextmanager
def installation(servers, plugins, app_settings, folder, sink=None):
    settings = {**app_settings, "redis.url": servers.redis_of(14), "crm.data": str(folder)}
    if sink is not None:
        settings |= {
            "crm.smtp.host": "127.0.0.1",
            "crm.smtp.port": str(sink.port),
            "crm.smtp.security": "none",
        }
    with committed(servers, plugins, settings, nudge=True) as database:
        yield database


def write_letters(database, number=LETTERS):
    for start in range(0, number, 50):
        with database.session() as session:
            for n in range(start, min(start + 50, number)):
                mail.send(session, f"p{n}@example.com", "Subject", "Text", purpose="test", step=str(n))


def finish(database, seconds=120):
    """Wait until no letter is open, asking again for those put off, as the clock would."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with database.session() as session:
                left = session.scalar(sa.select(sa.func.count()).where(Delivery.state.in_(OPEN)))
                if not left:
                    return
                session.execute(
                    sa.update(Delivery).where(Delivery.state == "deferred").values(due_at=queue.clock.now())
                )
                session.execute(sa.update(JobRow).where(JobRow.state == "waiting").values(run_at=queue.clock.now()))
        except DBAPIError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"{left} letters are still open")


def check_ledger(database, log, *, most_uncertain):
    taken = Counter(log.read_text().split())
    with database.session() as session:
        rows = session.execute(sa.select(Delivery.state, Delivery.foreign_id)).all()
    accepted = {row.foreign_id for row in rows if row.state == "accepted"}
    uncertain = {row.foreign_id for row in rows if row.state == "uncertain"}
    assert len(accepted) + len(uncertain) == len(rows)
    assert {taken[one] for one in accepted} == {1}
    assert max(taken.values()) == 1
    assert set(taken) <= accepted | uncertain
    assert len(uncertain) <= most_uncertain


def test_killed_at_random_points_of_a_mail_job(crm_servers, plugins, app_settings, start, tmp_path):
    log = tmp_path / "taken.log"
    with (
        mail_sink(log=log, delay=0.005) as sink,
        installation(crm_servers, plugins, app_settings, tmp_path, sink) as database,
    ):
        write_letters(database)
        for _ in range(POINTS):
            worker = start("worker", database.settings)
            seen = len(sink.taken)
            wait_for(lambda seen=seen: len(sink.taken) > seen or len(sink.taken) >= LETTERS)
            time.sleep(random.random() * 0.1)
            worker.kill()
        start("worker", database.settings)
        finish(database)

        check_ledger(database, log, most_uncertain=POINTS * mail.CONNECTIONS)


def test_lines_that_drop_at_random(crm_servers, plugins, app_settings, start, tmp_path):
    log = tmp_path / "taken.log"
    dice = random.Random(7)
    with mail_sink(log=log) as sink, installation(crm_servers, plugins, app_settings, tmp_path, sink) as database:
        sink.on_recipient = lambda _address: HANG_UP if dice.random() < 0.1 else None
        sink.on_content = lambda _taken: HANG_UP if dice.random() < 0.1 else None
        write_letters(database)
        start("worker", database.settings)
        finish(database)

        check_ledger(database, log, most_uncertain=LETTERS)
        with database.session() as session:
            uncertain = session.scalar(sa.select(sa.func.count()).where(Delivery.state == "uncertain"))
        assert 0 < uncertain < LETTERS * 0.3


def test_postgresql_restarted_in_the_middle_of_mail_and_of_a_job(own_servers, plugins, app_settings, start, tmp_path):
    servers, postgres, _valkey = own_servers
    log = tmp_path / "taken.log"
    with (
        mail_sink(log=log, delay=0.01) as sink,
        installation(servers, plugins, app_settings, tmp_path, sink) as database,
    ):
        with database.session() as session:
            user_id = Factories(session).user().id
            job_id = queue.enqueue(session, "probe.batches", user=user_id, most=150, pause=0.02)
        write_letters(database)
        first, second = start("worker", database.settings), start("worker", database.settings)
        for goal in (20, 60):
            wait_for(lambda goal=goal: len(sink.taken) >= goal)
            postgres.stop()
            time.sleep(0.5)
            postgres.start()
            database.engine.dispose()
        finish(database)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with database.session() as session:
                if session.get(JobRow, job_id).state == "done":
                    break
            time.sleep(0.3)

        with database.session() as session:
            assert session.get(JobRow, job_id).state == "done"
            notes = session.scalar(sa.select(sa.func.count()).where(Notification.kind == "probe"))
            assert notes == 150
        check_ledger(database, log, most_uncertain=2 * 2 * mail.CONNECTIONS)
        assert first.process.poll() is None
        assert second.process.poll() is None


def test_valkey_flushed_and_stopped_in_the_middle_of_mail(own_servers, plugins, app_settings, start, tmp_path):
    servers, _postgres, valkey = own_servers
    log = tmp_path / "taken.log"
    with (
        mail_sink(log=log, delay=0.01) as sink,
        installation(servers, plugins, app_settings, tmp_path, sink) as database,
    ):
        write_letters(database, LETTERS // 2)
        worker = start("worker", database.settings)
        wait_for(lambda: len(sink.taken) >= 20)
        valkey.stop()
        began = time.monotonic()
        with database.session() as session:
            mail.send(session, "late@example.com", "Subject", "Text", purpose="test", step="late")
        assert time.monotonic() - began < 0.3
        finish(database)
        valkey.start()
        with database.session() as session:
            mail.send(session, "later@example.com", "Subject", "Text", purpose="test", step="later")
        finish(database)

        check_ledger(database, log, most_uncertain=0)
        assert worker.stop() == 0


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
