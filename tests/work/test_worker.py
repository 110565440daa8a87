"""Worker processes: nudged, without Redis, killed, asked to stop, hanging."""

from __future__ import annotations

import time
from collections import Counter

import pytest
import redis
import sqlalchemy as sa

from crm_core import jobs as queue
from crm_core import mail
from crm_core.models.work import Delivery, JobRow, Notification
from crm_core.testing.factories import Factories
from crm_core.testing.plugin import committed
from crm_core.testing.smtp import mail_sink

pytestmark = pytest.mark.slow


@pytest.fixture
def database(crm_servers, plugins, app_settings, worker_number, tmp_path):
    """A database whose sessions nudge, with a store of its own."""
    settings = {**app_settings, "redis.url": crm_servers.redis_of(15 - worker_number % 4), "crm.data": str(tmp_path)}
    with redis.Redis.from_url(settings["redis.url"]) as store:
        store.flushdb()
    with committed(crm_servers, plugins, settings, nudge=True) as database:
        yield database


@pytest.fixture
def user_id(database) -> int:
    with database.session() as session:
        return Factories(session).user().id


def state(database, job_id, *states):
    return lambda session: session.get(JobRow, job_id).state in states


def test_a_nudge_wakes_a_worker_at_once(database, start, user_id):
    worker = start("worker", database.settings)
    database.wait_until(queue.living)
    time.sleep(1.0)

    began = time.monotonic()
    with database.session() as session:
        job_id = queue.enqueue(session, "probe.note", user=user_id)
    database.wait_until(state(database, job_id, "done"), every=0.01)

    assert time.monotonic() - began < 1.0
    assert worker.stop() == 0


def test_without_redis_the_table_is_enough(database, start, user_id):
    settings = {**database.settings, "redis.url": "unix:///nowhere.sock"}
    start("worker", settings)
    with database.session() as session:
        job_id = queue.enqueue(session, "probe.note", user=user_id)

    database.wait_until(state(database, job_id, "done"))


def test_flushing_redis_loses_nothing(database, start, user_id):
    worker = start("worker", database.settings)
    with redis.Redis.from_url(database.settings["redis.url"]) as store:
        for number in range(40):
            with database.session() as session:
                queue.enqueue(session, "probe.note", text=f"n{number}", user=user_id)
            if number % 5 == 0:
                store.flushdb()

    database.wait_until(lambda session: session.scalar(count_notes()) == 40)
    with database.session() as session:
        assert session.scalars(sa.select(JobRow.fence).distinct()).all() == [1]
    assert worker.stop() == 0


def test_a_killed_worker_loses_and_doubles_nothing(database, start, user_id):
    with database.session() as session:
        job_id = queue.enqueue(session, "probe.batches", user=user_id, most=60, pause=0.05)

    for kills in range(1, 5):
        worker = start("worker", database.settings)
        database.wait_until(lambda session, goal=kills * 8: session.scalar(count_notes()) >= goal)
        worker.kill()
    start("worker", database.settings)
    database.wait_until(state(database, job_id, "done"), seconds=40)

    with database.session() as session:
        row = session.get(JobRow, job_id)
        assert row.fence == 5
        assert session.scalar(count_notes()) == 60
        assert (row.done_units, row.total_units) == (60, 60)


def test_sigterm_ends_a_worker_within_seconds_and_the_next_goes_on(database, start, user_id):
    with database.session() as session:
        job_id = queue.enqueue(session, "probe.batches", user=user_id, most=40, pause=0.05)
    worker = start("worker", database.settings)
    database.wait_until(lambda session: session.scalar(count_notes()) >= 5)

    began = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - began < 5
    with database.session() as session:
        assert session.get(JobRow, job_id).state == "waiting"

    start("worker", database.settings)
    database.wait_until(state(database, job_id, "done"))
    with database.session() as session:
        assert session.scalar(count_notes()) == 40


def test_a_job_that_hangs_takes_its_worker_down_and_is_taken_up_by_the_next(database, start):
    with database.session() as session:
        job_id = queue.enqueue(session, "probe.hang")
    worker = start("worker", database.settings)

    assert worker.process.wait(20) == 70

    start("worker", database.settings)
    database.wait_until(lambda session: session.get(JobRow, job_id).deaths >= 1)


def test_what_is_quick_does_not_wait_for_what_is_long(database, start, user_id):
    with database.session() as session:
        long_id = queue.enqueue(session, "probe.wait", seconds=30)
    start("worker", database.settings)
    database.wait_until(state(database, long_id, "running"))

    with database.session() as session:
        quick_id = queue.enqueue(session, "probe.note", user=user_id)

    database.wait_until(state(database, quick_id, "done"), seconds=8)
    with database.session() as session:
        assert session.get(JobRow, long_id).state == "running"


def test_a_schedule_process_enqueues_and_stops(database, start):
    from crm_core.models.work import Schedule

    first, second = start("schedule", database.settings), start("schedule", database.settings)
    database.wait_until(lambda session: session.get(Schedule, "probe.daily"))
    database.wait_until(lambda session: len(queue.living(session)) == 2)
    with database.session() as session:
        session.execute(sa.update(Schedule).values(next_at=queue.clock.now()))

    database.wait_until(lambda session: session.scalar(sa.select(sa.func.count()).select_from(JobRow)))
    time.sleep(2.5)

    with database.session() as session:
        names = session.scalars(sa.select(JobRow.name)).all()
        assert Counter(names).most_common(1)[0][1] == 1
    assert first.stop() == 0
    assert second.stop() == 0


def test_a_worker_killed_while_sending_loses_no_letter_and_doubles_none(database, start, tmp_path):
    log = tmp_path / "taken.log"
    with mail_sink(log=log, delay=0.02) as sink:
        settings = {
            **database.settings,
            "crm.smtp.host": "127.0.0.1",
            "crm.smtp.port": str(sink.port),
            "crm.smtp.security": "none",
        }
        queue.bind(database.factory, settings=settings, plugins=database.plugins)
        with database.session() as session:
            for number in range(120):
                mail.send(session, f"p{number}@example.com", "Subject", "Text", purpose="test", step=str(number))
        for kills in range(1, 4):
            worker = start("worker", settings)
            wait_for(lambda goal=kills * 20: len(sink.taken) >= goal)
            worker.kill()
        start("worker", settings)
        database.wait_until(nothing_open, seconds=60)

    check_ledger(database, log, most_uncertain=3 * mail.CONNECTIONS)


def check_ledger(database, log, *, most_uncertain):
    """Every accepted letter reached the server exactly once, and what may or may not have is shown."""
    taken = Counter(log.read_text().split())
    with database.session() as session:
        rows = session.execute(sa.select(Delivery.state, Delivery.foreign_id)).all()
    accepted = {row.foreign_id for row in rows if row.state == "accepted"}
    uncertain = {row.foreign_id for row in rows if row.state == "uncertain"}
    assert len(accepted) + len(uncertain) == len(rows)
    assert {taken[one] for one in accepted} == {1}
    assert all(taken[one] <= 1 for one in uncertain)
    assert set(taken) <= accepted | uncertain
    assert len(uncertain) <= most_uncertain


def nothing_open(session):
    still = sa.select(sa.func.count()).where(Delivery.state.in_(("pending", "claimed", "attempting", "deferred")))
    return session.scalar(still) == 0


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def count_notes():
    return sa.select(sa.func.count()).where(Notification.kind == "probe")
