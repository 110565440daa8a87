"""Reminders: told at their instant, once, whoever sweeps and whatever is killed; what is missed long comes as one."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from crm_core import clock as crm_clock
from crm_core import jobs as queue
from crm_core import notify
from crm_core.models.notifications import Reminder
from crm_core.models.work import JobRow, Notification
from crm_core.testing.factories import Factories
from crm_core.testing.plugin import committed

HOUR = dt.timedelta(hours=1)


def remind(db, user, key="tasks:1", after=HOUR, **more):
    at = crm_clock.now() + after
    return notify.remind(db, user.id, key=key, at=at, kind="probe.reminder", title="Call ${name}", **more)


def told(db, user):
    rows = db.scalars(sa.select(Notification).where(Notification.user_id == user.id).order_by(Notification.id))
    return [(row.title, row.read_at is None) for row in rows]


def test_a_reminder_is_told_at_its_instant_and_once(db, factories, clock):
    user = factories.user()
    remind(db, user, values={"name": "Olga"})

    assert notify.fire_due(db) == 0
    clock.tick(hours=1)
    assert notify.fire_due(db) == 1
    assert notify.fire_due(db) == 0

    assert told(db, user) == [("Call ${name}", True)]


def test_the_same_reminder_written_anew_is_not_told_again_but_a_moved_one_is(db, factories, clock):
    user = factories.user()
    at = crm_clock.now() + HOUR

    def write(at):
        notify.remind(db, [user.id], key="tasks:1", at=at, kind="probe.reminder", title="Call")

    write(at)
    clock.tick(hours=1)
    notify.fire_due(db)
    write(at)
    assert notify.fire_due(db) == 0

    write(at + HOUR)
    clock.tick(hours=1)
    assert notify.fire_due(db) == 1
    assert len(told(db, user)) == 2


def test_forgotten_reminders_are_not_told_and_told_ones_leave_their_trace(db, factories, clock):
    user = factories.user()
    at = crm_clock.now() + HOUR
    for key in ("tasks:1:a", "tasks:1:b", "tasks:12:a", "tasks:2"):
        notify.remind(db, user.id, key=key, at=at, kind="probe.reminder", title=key)

    assert notify.forget(db, prefix="tasks:1:") == 2
    assert notify.forget(db, key="tasks:2") == 1
    clock.tick(hours=1)
    assert notify.fire_due(db) == 1
    assert notify.forget(db, prefix="tasks:") == 0
    notify.remind(db, user.id, key="tasks:12:a", at=at, kind="probe.reminder", title="again")

    assert notify.fire_due(db) == 0
    assert told(db, user) == [("tasks:12:a", True)]


def test_what_was_missed_for_a_day_comes_as_one_word_and_nothing_is_lost(db, factories, clock):
    user, other = factories.user(), factories.user()
    for number in range(7):
        remind(db, user, key=f"tasks:{number}")
    remind(db, other, key="tasks:other")
    remind(db, user, key="fresh", after=dt.timedelta(hours=30))
    clock.tick(hours=31)

    assert notify.fire_due(db, limit=3) == 3
    while notify.fire_due(db, limit=3):
        pass

    mine = told(db, user)
    assert sum(unread for _title, unread in mine) == 2
    assert [title for title, unread in mine if unread] == ["Missed reminders: ${count}", "Call ${name}"] or [
        title for title, unread in mine if unread
    ] == ["Call ${name}", "Missed reminders: ${count}"]
    assert len(mine) == 9
    digest = db.scalars(
        sa.select(Notification).where(Notification.user_id == user.id, Notification.kind == "core.reminders.missed")
    ).one()
    assert digest.count == 7
    assert len(told(db, other)) == 2


def test_what_lay_long_back_when_it_was_written_is_not_told(db, factories):
    user = factories.user()

    remind(db, user, after=dt.timedelta(days=-40))

    assert notify.fire_due(db) == 0
    assert told(db, user) == []


def test_a_reminder_without_a_zone_is_refused(db, factories):
    with pytest.raises(ValueError, match="no time zone"):
        notify.remind(db, factories.user().id, key="k", at=dt.datetime(2030, 1, 1), kind="k", title="t")


def test_nobody_is_reminded_whose_account_is_closed(db, factories, clock):
    user = factories.user(status="disabled")
    remind(db, user)
    clock.tick(hours=2)

    assert notify.fire_due(db) == 1
    assert told(db, user) == []


def test_the_job_tells_what_is_due_and_looks_ahead(db, factories, jobs, clock):
    user = factories.user()
    remind(db, user, key="now")
    remind(db, user, key="soon", after=HOUR + dt.timedelta(seconds=20))
    clock.tick(hours=1)

    queue.enqueue(db, notify.FIRE)
    jobs.run_all()

    assert len(told(db, user)) == 1
    next_run = db.scalar(sa.select(JobRow.run_at).where(JobRow.key == f"{notify.FIRE}:next"))
    assert next_run == crm_clock.now() + dt.timedelta(seconds=20)


@pytest.mark.slow
def test_eight_sweepers_at_once_lose_and_double_nothing(crm_servers, plugins, app_settings):
    with committed(crm_servers, plugins, app_settings) as database:
        with database.session() as session:
            users = [Factories(session).user().id for _ in range(5)]
            at = crm_clock.now()
            for number in range(80):
                notify.remind(session, users, key=f"k{number}", at=at, kind="probe.reminder", title="Call")

        def sweep(_number):
            count = 0
            while True:
                with database.session() as session:
                    some = notify.fire_due(session, limit=17)
                count += some
                if not some:
                    return count

        with ThreadPoolExecutor(8) as pool:
            counts = list(pool.map(sweep, range(8)))

        with database.session() as session:
            assert session.scalar(sa.select(sa.func.count()).where(Notification.kind == "probe.reminder")) == 400
            assert session.scalar(sa.select(sa.func.count()).where(Reminder.fired_at.is_(None))) == 0
        assert sum(counts) == 400
