"""Facts: told to plugins, in savepoints, without ever undoing what the user saved."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from crm_core import events
from crm_core.events import Event
from crm_core.models import Notification, User
from crm_core.security.subject import Subject

SYSTEM = Subject.system("test")


@pytest.fixture
def heard(probe):
    probe.HEARD.clear()
    return probe.HEARD


def test_a_fact_reaches_the_plugins(db, plugins, probe, heard):
    events.fire(db, Event(probe.HAPPENED, {"id": 7}), plugins=plugins, subject=SYSTEM)

    assert [(one.name, one.payload) for one in heard] == [(probe.HAPPENED, {"id": 7})]


@pytest.mark.parametrize("trouble", ["value", "sql"])
def test_a_fault_of_a_plugin_undoes_nothing_but_its_own(db, plugins, probe, heard, factories, trouble):
    admin = factories.user(role="administrator", name="Anna")

    events.fire(db, Event(probe.HAPPENED, {"trouble": trouble}), plugins=plugins, subject=SYSTEM)

    assert db.scalar(sa.select(User.name).where(User.id == admin.id)) == "Anna"
    told = db.scalars(sa.select(Notification)).one()
    assert (told.user_id, told.values["plugin"]) == (admin.id, "Probe")


def test_administrators_are_told_of_a_plugins_faults_once_a_day(db, plugins, probe, heard, factories, clock):
    factories.user(role="administrator")
    for _ in range(3):
        events.fire(db, Event(probe.HAPPENED, {"trouble": "value"}), plugins=plugins, subject=SYSTEM)
    clock.tick(dt.timedelta(days=1))
    events.fire(db, Event(probe.HAPPENED, {"trouble": "value"}), plugins=plugins, subject=SYSTEM)

    assert db.scalar(sa.select(sa.func.count()).select_from(Notification)) == 2


def test_an_error_that_is_worth_a_retry_is_raised(db, plugins, probe, heard):
    with pytest.raises(sa.exc.OperationalError):
        events.fire(db, Event(probe.HAPPENED, {"trouble": "deadlock"}), plugins=plugins, subject=SYSTEM)


def test_a_circle_of_facts_ends(db, plugins, probe, heard):
    events.fire(db, Event(probe.HAPPENED, {"trouble": "circle"}), plugins=plugins, subject=SYSTEM)

    assert len(heard) == events.DEPTH


def test_bulk_work_tells_one_fact_for_a_thousand(db, plugins, probe, heard):
    events.fire_bulk(db, probe.BULKED, range(2500), plugins=plugins, subject=SYSTEM, why="test")

    assert [len(one.payload["ids"]) for one in heard] == [1000, 1000, 500]
    assert heard[0].payload["why"] == "test"


def test_a_fact_that_nobody_declared_is_refused(db, plugins):
    with pytest.raises(LookupError, match="nothing"):
        events.fire(db, Event("probe.nothing"), plugins=plugins, subject=SYSTEM)


def test_a_payload_is_plain_data(db, plugins, probe):
    with pytest.raises(TypeError):
        events.fire(db, Event(probe.HAPPENED, {"record": object()}), plugins=plugins, subject=SYSTEM)
