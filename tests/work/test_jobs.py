"""Jobs: enqueueing, claiming, fences, ends, back-off."""

from __future__ import annotations

import datetime as dt
import threading
import time

import pytest
import sqlalchemy as sa

from crm_core import jobs as queue
from crm_core.models.work import JobRow, Notification, Schedule
from crm_core.security.subject import Subject

SYSTEM = Subject.system("test")


def test_enqueue_writes_a_row_in_the_callers_transaction(db, jobs):
    with db.begin_nested() as savepoint:
        queue.enqueue(db, "probe.note", user=1)
        savepoint.rollback()
    kept = queue.enqueue(db, "probe.note", user=2)

    assert [(row.id, row.arguments) for row in jobs.rows()] == [(kept, {"user": 2})]


def test_an_unknown_name_is_refused_at_once(db):
    with pytest.raises(queue.JobError, match="nothing"):
        queue.enqueue(db, "probe.nothing")


def test_a_job_does_its_work_and_its_result_stays(db, jobs, factories):
    user = factories.user()
    job_id = queue.enqueue(db, "probe.note", text="hello", user=user.id)

    assert jobs.run_all() == 1

    row = db.get_one(JobRow, job_id)
    assert (row.state, row.result) == ("done", {"said": "hello"})
    assert db.scalar(sa.select(Notification.key).where(Notification.user_id == user.id)) == "hello"


def test_of_equal_keys_only_one_waits(db, jobs):
    first = queue.enqueue(db, "probe.note", key="k", user=1)
    second = queue.enqueue(db, "probe.note", key="k", user=1)

    assert first == second
    assert len(jobs.rows()) == 1


def test_a_failing_job_is_tried_again_later_and_then_fails_for_good(db, jobs, clock, factories):
    factories.user(role="administrator")
    job_id = queue.enqueue(db, "probe.fail")

    for wait in (dt.timedelta(), *queue.BACK_OFF[:2]):
        clock.tick(wait)
        assert jobs.run_all(check=False) == 1

    row = db.get_one(JobRow, job_id)
    assert (row.state, row.attempts) == ("failed", 3)
    assert "this job always fails" in row.error
    assert jobs.run_all(check=False) == 0
    assert db.scalars(sa.select(Notification.title)).all() == ["The job “${name}” failed"]


def test_a_job_enqueues_more_work(db, jobs):
    queue.enqueue(db, "probe.chain", left=3)

    assert jobs.run_all() == 4


def test_work_for_later_waits(db, jobs, clock):
    queue.enqueue(db, "probe.chain", left=0, run_at=clock.tick() + dt.timedelta(hours=1))

    assert jobs.run_all() == 0
    clock.tick(hours=1)
    assert jobs.run_all() == 1


def test_a_waiting_job_is_cancelled_at_once_by_who_started_it_and_nobody_else(db, jobs, factories):
    mine, other = factories.user(), factories.user()
    job_id = queue.enqueue(db, "probe.batches", user_id=mine.id, user=mine.id, most=3)

    assert not queue.ask_to_stop(db, job_id, factories.subject(other))
    assert queue.ask_to_stop(db, job_id, factories.subject(mine))

    assert jobs.run_all() == 0
    assert db.get_one(JobRow, job_id).state == "cancelled"


def test_a_job_of_someone_whose_access_ended_is_not_done(db, jobs, factories):
    user = factories.user()
    job_id = queue.enqueue(db, "probe.note", user_id=user.id, user=user.id)
    user.status = "disabled"
    db.flush()

    jobs.run_all()

    assert db.get_one(JobRow, job_id).state == "cancelled"
    assert db.scalars(sa.select(Notification)).all() == []


def test_finished_rows_go_after_thirty_days_and_failed_ones_stay_longer(db, jobs, clock, factories):
    for state in ("done", "failed", "cancelled"):
        factories.make(JobRow, name="probe.note", state=state, finished_at=queue.clock.now())
    clock.tick(days=31)
    queue.enqueue(db, queue.CLEAN_UP)

    jobs.run_all()

    assert sorted(row.state for row in jobs.rows("probe.note")) == ["failed"]


# -- with commits ---------------------------------------------------------------------------------------------------


def test_a_claim_is_refused_once_another_worker_has_taken_over(committed_db, user_id):
    with committed_db.session() as session:
        queue.enqueue(session, "probe.batches", user=user_id, most=2)
    first, second = committed_db.runner(), committed_db.runner()
    row = first._claim(None)
    context = queue.JobContext(
        row,
        opener=first._transaction,
        unfenced=first.factory.begin,
        settings={},
        plugins=committed_db.plugins,
    )

    # The first holds no lock, as if it had died: the second takes over and finishes.
    second.start()
    second.run_due()

    with pytest.raises(queue.LostLease), context.transaction() as session:
        session.execute(
            sa.insert(Notification).values(
                user_id=user_id, key="late", kind="probe", title="late", created_at=queue.clock.now()
            )
        )
    second.close()
    with committed_db.session() as session:
        keys = session.scalars(sa.select(Notification.key).order_by(Notification.id)).all()
        assert keys == ["batch 0", "batch 1"]
        job = session.scalars(sa.select(JobRow)).one()
        assert (job.state, job.fence) == ("done", 2)


def test_a_living_worker_keeps_its_job(committed_db, user_id):
    with committed_db.session() as session:
        queue.enqueue(session, "probe.note", user=user_id)
    first, second = committed_db.runner(), committed_db.runner()
    first.start()
    assert first._claim(None) is not None

    assert second._claim(None) is None
    with committed_db.session() as session:
        assert [one.kind for one in queue.living(session)] == ["worker"]
        assert queue.is_alive(session, first.presence.name)
        assert not queue.is_alive(session, second.presence.name)

    first.close()
    assert second._claim(None) is not None


def test_two_runners_share_the_work_and_nothing_is_done_twice(committed_db, user_id):
    with committed_db.session() as session:
        for number in range(60):
            queue.enqueue(session, "probe.note", text=f"n{number}", user=user_id)
    runners = [committed_db.runner() for _ in range(3)]
    for runner in runners:
        runner.start()
    threads = [threading.Thread(target=runner.run_due) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for runner in runners:
        runner.close()

    with committed_db.session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Notification)) == 60
        assert session.scalars(sa.select(JobRow.state).distinct()).all() == ["done"]
        assert session.scalars(sa.select(JobRow.fence).distinct()).all() == [1]


def test_stop_reaches_a_running_job_within_two_seconds(committed_db):
    with committed_db.session() as session:
        job_id = queue.enqueue(session, "probe.wait")
    runner = committed_db.runner()
    runner.start()
    thread = threading.Thread(target=runner.run_due)
    thread.start()
    committed_db.wait_until(lambda session: session.get(JobRow, job_id).state == "running")
    with committed_db.session() as session:
        queue.ask_to_stop(session, job_id, SYSTEM)

    began = time.monotonic()
    thread.join(10)

    assert time.monotonic() - began < 2.5
    runner.close()
    with committed_db.session() as session:
        assert session.get(JobRow, job_id).state == "cancelled"


def test_a_worker_that_goes_away_gives_its_job_back_without_counting_it(committed_db):
    with committed_db.session() as session:
        job_id = queue.enqueue(session, "probe.wait")
    runner = committed_db.runner()
    runner.start()
    thread = threading.Thread(target=runner.run_due)
    thread.start()
    committed_db.wait_until(lambda session: session.get(JobRow, job_id).state == "running")

    runner.stop()
    thread.join(10)
    runner.close()

    with committed_db.session() as session:
        row = session.get(JobRow, job_id)
        assert (row.state, row.attempts, row.deaths) == ("waiting", 0, 0)


def test_a_keyed_job_is_not_started_before_its_caller_commits(committed_db, user_id):
    with committed_db.session() as session:
        waiting = queue.enqueue(session, "probe.note", key="k", user=user_id)
    runner = committed_db.runner()

    with committed_db.session() as session:
        assert queue.enqueue(session, "probe.note", key="k", user=user_id) == waiting
        assert runner._claim(None) is None
    assert runner._claim(None) is not None


def test_work_of_a_plugin_that_is_off_waits(committed_db):
    with committed_db.session() as session:
        session.execute(
            sa.insert(JobRow).values(name="gone.thing", arguments={}, state="waiting", run_at=queue.clock.now())
        )
    runner = committed_db.runner()

    assert runner.run_due() == 0


def test_the_nudge_comes_after_the_commit_and_never_after_a_rollback(committed_db):
    nudges: list[list[tuple[str, int]]] = []
    committed_db.factory.configure(info={**committed_db.factory.kw["info"], queue.NUDGER: nudges.append})

    with committed_db.factory() as session:
        queue.enqueue(session, "probe.chain", left=0)
        with session.begin_nested():
            queue.enqueue(session, "probe.chain", left=0)
        assert nudges == []
        session.rollback()
        session.commit()
        assert nudges == []
        job_id = queue.enqueue(session, "probe.chain", left=0)
        session.commit()

    assert nudges == [[("default", job_id)]]


def test_a_request_nudges_once_its_transaction_is_committed_and_not_when_it_is_doomed(committed_db):
    import transaction

    from crm_core.db import make_session

    nudges: list[list[tuple[str, int]]] = []
    committed_db.factory.configure(info={**committed_db.factory.kw["info"], queue.NUDGER: nudges.append})
    manager = transaction.TransactionManager(explicit=True)

    manager.begin()
    queue.enqueue(make_session(committed_db.factory, manager), "probe.chain", left=0)
    manager.abort()
    assert nudges == []

    manager.begin()
    session = make_session(committed_db.factory, manager)
    job_id = queue.enqueue(session, "probe.chain", left=0)
    with session.begin_nested():
        pass
    assert nudges == []
    manager.commit()

    assert nudges == [[("default", job_id)]]


def test_a_nudge_to_nobody_is_short_and_silent():
    nudger = queue.Nudger("unix:///nowhere/at/all.sock")

    began = time.monotonic()
    nudger([("default", 1)])

    assert time.monotonic() - began < 0.1


def test_a_nudge_to_a_server_that_hangs_takes_no_longer_than_a_moment(tmp_path):
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        nudger = queue.Nudger(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")

        began = time.monotonic()
        nudger([("default", number) for number in range(20)])

        assert time.monotonic() - began < 0.2


# -- the schedule ---------------------------------------------------------------------------------------------------


def test_the_schedule_runs_by_the_clock_of_the_company_and_collapses_what_was_missed(db, jobs, clock, plugins):
    clock.move_to(dt.datetime(2026, 3, 2, 4, 0, tzinfo=dt.UTC))
    assert queue.run_schedule(db, plugins) == []
    assert db.get_one(Schedule, "probe.daily").next_at == dt.datetime(2026, 3, 2, 6, 0, tzinfo=dt.UTC)

    clock.tick(days=3)
    due = queue.run_schedule(db, plugins)
    again = queue.run_schedule(db, plugins)

    assert len(jobs.rows("probe.daily")) == 1
    assert due
    assert again == []


def test_two_schedules_enqueue_each_run_once(committed_db):
    from crm_core import clock

    with committed_db.session() as session:
        queue.run_schedule(session, committed_db.plugins)
        session.execute(sa.update(Schedule).values(next_at=clock.now() - dt.timedelta(minutes=1)))
    barrier = threading.Barrier(2)

    def run() -> None:
        barrier.wait()
        with committed_db.session() as session:
            queue.run_schedule(session, committed_db.plugins)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with committed_db.session() as session:
        names = session.scalars(sa.select(JobRow.name)).all()
        assert sorted(names) == sorted(spec.name for spec in committed_db.plugins.jobs.values() if spec.cron)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        # Clocks go forward at 2:00 on 29 March 2026 in Berlin: 9:00 stays 9:00.
        ("2026-03-28T08:30:00+00:00", "2026-03-29T07:00:00+00:00"),
        ("2026-10-24T08:30:00+00:00", "2026-10-25T08:00:00+00:00"),
    ],
)
def test_the_schedule_keeps_the_hour_on_the_wall(after, expected):
    from zoneinfo import ZoneInfo

    found = queue.next_run("0 9 * * *", dt.datetime.fromisoformat(after), ZoneInfo("Europe/Berlin"))

    assert found == dt.datetime.fromisoformat(expected)


@pytest.fixture
def user_id(committed_db) -> int:
    from crm_core.testing.factories import Factories

    with committed_db.session() as session:
        return Factories(session).user().id
