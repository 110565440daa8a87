"""Reminders due within a minute while workers are killed and Valkey is flushed: each told exactly once, none late.

A run of the suite kills a few times; `make faults` (`CRM_FAULTS=20`) is the whole proof and prints what it saw.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import time

import pytest
import redis
import sqlalchemy as sa

from crm_core import clock, notify
from crm_core import jobs as queue
from crm_core.models.notifications import Reminder
from crm_core.models.work import Notification
from crm_core.testing.factories import Factories
from crm_core.testing.plugin import committed

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("CRM_FAULTS", "4"))
REMINDERS = 1000 if KILLS >= 20 else 200
PEOPLE = 10
KIND = "probe.reminder"

#: All are due within this, from a moment after the start.
SPREAD = min(55.0, KILLS * 1.5)


def test_workers_killed_and_valkey_flushed_while_reminders_are_due(
    crm_servers, plugins, app_settings, start, tmp_path
):
    settings = {**app_settings, "redis.url": crm_servers.redis_of(13), "crm.data": str(tmp_path)}
    dice = random.Random(11)
    with committed(crm_servers, plugins, settings, nudge=True) as database:
        first = clock.now() + dt.timedelta(seconds=3)
        with database.session() as session:
            users = [Factories(session).user().id for _ in range(PEOPLE)]
            for number in range(REMINDERS // PEOPLE):
                # Half of them at one instant, as meetings are; the rest anywhere in the minute.
                at = first + dt.timedelta(seconds=SPREAD / 2 if number % 2 else dice.random() * SPREAD)
                notify.remind(session, users, key=f"k{number}", at=at, kind=KIND, title="Call", href="/")
            queue.enqueue(session, notify.FIRE)
        start("scheduler", database.settings)
        killed = 0
        end = time.monotonic() + 3 + SPREAD
        while killed < KILLS:
            worker = start("worker", database.settings)
            rest = max(0.0, end - time.monotonic()) / (KILLS - killed)
            time.sleep(0.7 + dice.random() * rest)
            worker.kill()
            with redis.Redis.from_url(database.settings["redis.url"]) as store:
                store.flushdb()
            killed += 1
        start("worker", database.settings)
        start("worker", database.settings)
        database.wait_until(_all_told, seconds=120, every=0.2)
        time.sleep(1)

        with database.session() as session:
            rows = session.execute(
                sa.select(Notification.user_id, Notification.key, Notification.created_at, Reminder.at)
                .join(
                    Reminder,
                    (Reminder.user_id == Notification.user_id)
                    & Notification.key.startswith(sa.func.concat("reminder:", Reminder.key, ":")),
                )
                .where(Notification.kind == KIND)
            ).all()
            told = session.scalar(sa.select(sa.func.count()).where(Notification.kind == KIND))
    once = {(row.user_id, row.key) for row in rows}
    late = max((row.created_at - row.at).total_seconds() for row in rows)
    print(
        f"\nreminders {REMINDERS}, told {told}, lost {REMINDERS - len(once)}, doubled {told - len(once)}; "
        f"worker killed {killed} times, Valkey flushed {killed} times; the latest came after {late:.1f} s"
    )
    assert told == len(rows) == len(once) == REMINDERS
    assert late <= 60


def _all_told(session):
    return not session.scalar(sa.select(sa.func.count()).where(Reminder.fired_at.is_(None)))
