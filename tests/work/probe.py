"""A plugin made of small jobs and handlers, and a worker process that has it: `python probe.py worker SETTINGS`."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import sqlalchemy as sa

from crm_core import clock
from crm_core.hooks import hookimpl
from crm_core.jobs import JobContext
from crm_core.models.work import Notification
from crm_core.plugins import Loaded, Plugins
from crm_core.specs import Event, EventType, Job, PluginInfo

PLUGIN = PluginInfo(name="probe", package="probe", title="Probe", migrations=False)
HAPPENED, BULKED = "probe.thing.happened", "probe.thing.bulked"


def note(context: JobContext, text: str = "noted", user: int = 0) -> dict[str, Any]:
    """Tell the first person something, which a test can look for."""
    with context.transaction() as session:
        _write(session, text, user)
    return {"said": text}


def _write(session: Any, text: str, user: int) -> None:
    session.execute(
        sa.insert(Notification).values(user_id=user, key=text, kind="probe", title=text, created_at=clock.now())
    )


def fail(context: JobContext) -> None:
    """Fail."""
    raise ValueError("this job always fails")


def batches(context: JobContext, user: int, most: int, pause: float = 0.0) -> None:
    """Write one row a batch and go on from where it was, as every long job does."""
    with context.transaction() as session:
        begun = session.scalar(
            sa.select(sa.func.count()).where(Notification.user_id == user, Notification.kind == "probe")
        )
    for number in range(begun or 0, most):
        context.check()
        with context.transaction() as session:
            _write(session, f"batch {number}", user)
            context.progress(number + 1, most)
            time.sleep(pause)


def wait(context: JobContext, seconds: float = 60.0) -> None:
    """Do nothing for a while, looking whether someone wants it to stop."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        context.check()
        time.sleep(0.02)


def chain(context: JobContext, left: int) -> None:
    """Enqueue itself again."""
    if left:
        with context.transaction() as session:
            context.enqueue(session, "probe.chain", left=left - 1)


def hang(context: JobContext) -> None:
    """Give no sign of life."""
    time.sleep(120)


@hookimpl
def crm_jobs() -> tuple[Job, ...]:
    return (
        Job(name="probe.note", run=note, title="Note"),
        Job(name="probe.fail", run=fail, max_attempts=3),
        Job(name="probe.batches", run=batches, visible=True, queue="long"),
        Job(name="probe.wait", run=wait, queue="long"),
        Job(name="probe.chain", run=chain),
        Job(name="probe.hang", run=hang, timeout=2),
        Job(name="probe.daily", run=note, cron="0 9 * * *"),
    )


@hookimpl
def crm_event_types() -> tuple[EventType, ...]:
    return (
        EventType(name=HAPPENED, title="Something happened", payload=("id",)),
        EventType(name=BULKED, title="Many happened", payload=("ids",)),
    )


HEARD: list[Event] = []


@hookimpl
def crm_event(event: Event, context: Any) -> None:
    HEARD.append(event)
    trouble = event.payload.get("trouble")
    if trouble == "value":
        context.session.execute(sa.text("UPDATE core_user SET name = 'spoilt'"))
        raise ValueError("the plugin is wrong")
    if trouble == "sql":
        context.session.execute(sa.text("SELECT 1/0"))
    if trouble == "deadlock":
        context.session.execute(sa.text("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$"))
    if trouble == "circle":
        context.fire(event)


def build(names: tuple[str, ...] = ()) -> Plugins:
    """Return a host with this plugin on."""
    return Plugins.build(names, extra=[Loaded(PLUGIN, sys.modules[__name__])])


def main() -> None:
    """Be a worker (or a schedule) until told to stop."""
    from crm_core import jobs
    from crm_core.db import make_engine, session_factory

    settings = json.loads(sys.argv[2])
    plugins = build(tuple(settings["crm.plugins"].replace("probe", "").split()))
    engine = make_engine(settings["sqlalchemy.url"])
    factory = session_factory(engine)
    jobs.bind(factory, settings=settings, plugins=plugins)
    registry = {"crm.engine": engine, "crm.session_factory": factory, "crm.plugins": plugins}
    run = jobs.run_worker if sys.argv[1] == "worker" else jobs.run_scheduler
    print("ready", os.getpid(), flush=True)
    run(settings, registry=registry)


if __name__ == "__main__":
    main()
