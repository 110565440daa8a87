"""Work outside requests: the row of `core_job` is the truth, the message in Redis only a nudge.

A view calls :func:`enqueue` in its transaction. Workers (:func:`run_worker`) take rows by `SKIP LOCKED`, keep a lease
with a heartbeat, and may commit only while their fencing number is the row's; the schedule (:func:`run_scheduler`)
enqueues what runs by the clock. rq carries the nudges and wakes workers at once; with Redis away they look at the
table instead.

A job is a batch that may safely run again: ``run(context, **arguments)`` opens its transactions by
``with context.transaction() as session:``, remembers by itself how far it is, and goes on from there.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import signal
import socket
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import redis
import sqlalchemy as sa
import structlog
from cronsim import CronSim, CronSimError
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.job import Job as RqJob
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty
from rq.worker import SimpleWorker
from sqlalchemy import event
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from crm_core import clock, notify
from crm_core.db import GuardedSession, changed, make_engine, session_factory
from crm_core.i18n import _, localizer_for, translate
from crm_core.models.settings import SettingValue
from crm_core.models.work import JobRow, Schedule
from crm_core.notify.kinds import FAULT
from crm_core.security import secrets
from crm_core.security.subject import Subject, load_subject
from crm_core.specs import Job

if TYPE_CHECKING:
    from pyramid.config import Configurator

    from crm_core.plugins import Plugins
    from crm_core.security.secrets import Secrets

log = structlog.get_logger(__name__)

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"

#: Keys of `Session.info` that :func:`bind` fills in.
NUDGER, PLUGINS, SETTINGS, SECRETS = "crm.nudger", "crm.plugins", "crm.settings", "crm.secrets"
_NUDGES = "crm.nudges"

#: First half of the advisory lock that a living worker or schedule holds; the second half is its number.
LOCK_CLASS = 0x0C12_0002

#: The queue of work that may take minutes; imports and exports declare it.
LONG = "long"

#: Queues that begin so hold one job each that goes on for ever: it waits for what comes over a line. Workers run them
#: beside everything else, each in a thread of its own; `cron` starts what has ended.
STANDING = "standing:"

LEASE = dt.timedelta(seconds=60)
HEARTBEAT_SECONDS = 10.0
SWEEP_SECONDS = 15.0
LISTEN_SECONDS = 5
POLL_WITHOUT_REDIS_SECONDS = 1.0
STOP_SECONDS = 25.0

#: Waits after a failed attempt, by its number; the last one goes on.
BACK_OFF = tuple(dt.timedelta(seconds=s) for s in (10, 60, 300, 900, 3600))
DATABASE_BACK_OFF = dt.timedelta(seconds=2)

#: How often workers may die under a job that commits nothing before it counts as what kills them.
MAX_DEATHS = 20

KEEP_DONE = dt.timedelta(days=30)
#: Work by the clock runs each minute, and what it did is of no interest after a few days.
KEEP_CLOCKWORK = dt.timedelta(days=3)
KEEP_FAILED = dt.timedelta(days=180)

LIVE_SQL = (
    "SELECT l.objid::bigint FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 "
    f"AND l.classid = {LOCK_CLASS} "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)

_CLAIM = sa.text(
    "WITH live AS MATERIALIZED ("
    + LIVE_SQL
    + """),
    picked AS (
        SELECT j.id FROM core_job j
        WHERE j.queue = ANY(:queues) AND j.name = ANY(:names) AND (CAST(:id AS bigint) IS NULL OR j.id = :id)
          AND ((j.state = 'waiting' AND j.run_at <= :now AND (j.key IS NULL OR NOT EXISTS (
                    SELECT 1 FROM core_job other WHERE other.key = j.key AND other.state = 'running')))
            OR (j.state = 'running' AND (j.lease_until < :now
                    OR split_part(j.worker, ':', -1)::bigint NOT IN (SELECT objid FROM live))))
        ORDER BY j.run_at, j.id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    UPDATE core_job SET state = 'running', fence = core_job.fence + 1, worker = :worker, lease_until = :lease,
        deaths = core_job.deaths + CASE WHEN core_job.state = 'running' THEN 1 ELSE 0 END,
        started_at = coalesce(core_job.started_at, :now)
    FROM picked WHERE core_job.id = picked.id
    RETURNING core_job.*
    """
)


class JobError(RuntimeError):
    """Something about jobs that the caller got wrong."""


class LostLease(RuntimeError):
    """Tells a job that another worker has taken it over: nothing more of it may be written here."""


class Stopped(Exception):
    """Raised by a job that ends because someone asked it to."""


class Interrupted(Exception):
    """Tells a job that its worker is going away; it will be taken up again where it stopped."""


# -- asking for work -----------------------------------------------------------------------------------------------


def enqueue(
    session: Session,
    name: str,
    *,
    key: str | None = None,
    run_at: dt.datetime | None = None,
    user_id: int | None = None,
    visible: bool | None = None,
    total: int | None = None,
    title: str = "",
    **arguments: Any,
) -> int:
    """Write down work in the caller's transaction and return the job's id; workers are nudged after the commit.

    Of equal keys only one waits: when one does, its id is returned and it is held until the caller commits, so that it
    will see what the caller wrote. Two transactions that both are first with a key wait for one another, so keys are
    for rare work.
    """
    spec = _spec(session, name)
    values: dict[str, Any] = {
        "name": name,
        "queue": spec.queue if spec else "default",
        "arguments": arguments,
        "key": key,
        "state": WAITING,
        "run_at": run_at or clock.now(),
        "max_attempts": spec.max_attempts if spec else 5,
        "visible": visible if visible is not None else bool(spec and spec.visible),
        "title": title or (spec.title if spec else ""),
        "total_units": total,
        "user_id": user_id,
    }
    job_id = _insert(session, values) if key is None else _insert_with_key(session, key, values)
    # Nobody waits for nudges about what stands: whoever runs it looks at the table.
    if values["run_at"] <= clock.now() + dt.timedelta(seconds=1) and not values["queue"].startswith(STANDING):
        session.info.setdefault(_NUDGES, []).append((values["queue"], job_id))
    return job_id


def _spec(session: Session, name: str) -> Job | None:
    plugins = session.info.get(PLUGINS)
    if plugins is None:
        return None
    try:
        spec: Job = plugins.jobs[name]
    except KeyError:
        raise JobError(f"{name!r} is not the name of a job that a plugin declares in crm_jobs") from None
    return spec


def _insert(session: Session, values: dict[str, Any]) -> int:
    return session.execute(sa.insert(JobRow).values(**values).returning(JobRow.id)).scalar_one()


def _insert_with_key(session: Session, key: str, values: dict[str, Any]) -> int:
    waiting = sa.select(JobRow.id).where(JobRow.key == key, JobRow.state == WAITING).with_for_update(read=True)
    insert = (
        pg.insert(JobRow)
        .values(**values)
        .on_conflict_do_nothing(
            index_elements=[JobRow.key], index_where=sa.text("key IS NOT NULL AND state = 'waiting'")
        )
        .returning(JobRow.id)
    )
    for _attempt in range(10):
        # The shared lock keeps workers (SKIP LOCKED) from starting it before the caller's rows can be seen.
        found = session.execute(waiting).scalar()
        if found is None:
            found = session.execute(insert).scalar()
        if found is not None:
            return found
    raise JobError(f"the job with the key {key!r} is started as fast as it is asked for")


def ask_to_stop(session: Session, job_id: int, subject: Subject) -> bool:
    """Ask a job to stop at its next batch (a waiting one is cancelled at once); False when it may not or has ended."""
    job = session.get(JobRow, job_id, with_for_update=True, populate_existing=True)
    if job is None or job.state not in (WAITING, RUNNING):
        return False
    if not (subject.is_system or subject.may("settings:edit") or (job.user_id and job.user_id == subject.user_id)):
        return False
    job.stop_asked = True
    if job.state == WAITING:
        job.state, job.finished_at = CANCELLED, clock.now()
    session.flush()
    return True


def visible_for(session: Session, user_id: int, *, recent: dt.timedelta = dt.timedelta(minutes=2)) -> list[JobRow]:
    """Return what a person sees on top of the page: his visible jobs that are under way or ended a moment ago."""
    return list(
        session.scalars(
            sa.select(JobRow)
            .where(
                JobRow.user_id == user_id,
                JobRow.visible,
                JobRow.state.in_((WAITING, RUNNING)) | (JobRow.finished_at > clock.now() - recent),
            )
            .order_by(JobRow.id.desc())
            .limit(10)
        )
    )


# -- the nudge -----------------------------------------------------------------------------------------------------


def queue_name(queue: str) -> str:
    """Return the name of the queue in Redis."""
    return f"crm:{queue}"


class Nudger:
    """Tells workers through rq that there is work; never raises and never takes longer than a moment."""

    timeout = 0.04
    pause = 5.0

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=self.timeout, socket_connect_timeout=self.timeout, retry=Retry(NoBackoff(), 0)
        )
        self._silent_until = 0.0

    def __call__(self, jobs: Sequence[tuple[str, int]]) -> None:
        """Send one nudge for each job, all of them within the bound; workers find the rest by themselves."""
        if time.monotonic() < self._silent_until:
            return
        deadline = time.monotonic() + self.timeout
        try:
            for queue, job_id in jobs:
                if time.monotonic() > deadline:
                    return
                Queue(queue_name(queue), connection=self._redis, serializer=JSONSerializer).enqueue_call(
                    "crm_core.jobs.perform", args=(job_id,), timeout=-1, result_ttl=0, failure_ttl=60, ttl=600
                )
        except Exception as error:
            self._silent_until = time.monotonic() + self.pause
            log.warning("nudge_failed", error=f"{type(error).__name__}: {error}")


@event.listens_for(GuardedSession, "after_commit")
def _nudge_after_commit(session: Session) -> None:
    # SQLAlchemy tells of released savepoints by the same event.
    if session.in_nested_transaction():
        return
    nudges = session.info.pop(_NUDGES, None)
    nudger = session.info.get(NUDGER)
    if nudges and nudger is not None:
        nudger(nudges)


@event.listens_for(GuardedSession, "after_rollback")
def _forget_nudges(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_NUDGES, None)


def bind(
    factory: sessionmaker[GuardedSession],
    *,
    settings: Mapping[str, Any],
    plugins: Plugins,
    key: Secrets | None = None,
    nudge: bool = True,
) -> None:
    """Give every session of the factory what enqueueing and mail need: settings, plugins, the key and the nudger."""
    info: dict[str, Any] = {SETTINGS: settings, PLUGINS: plugins, SECRETS: key or secrets.from_settings(settings)}
    url = settings.get("redis.url")
    if nudge and url:
        info[NUDGER] = Nudger(url)
    factory.configure(info={**(factory.kw.get("info") or {}), **info})


def includeme(config: Configurator) -> None:
    """Bind the application's sessions; comes after `crm_core.db` and `crm_core.plugins`."""
    bind(
        config.registry["crm.session_factory"],
        settings=config.get_settings(),
        plugins=config.registry["crm.plugins"],
        key=config.registry.get("crm.secrets"),
    )


# -- what a job is given -------------------------------------------------------------------------------------------


class JobContext:
    """What a job works with: transactions that are fenced, progress, the wish to stop, and on whose behalf it runs."""

    clock = clock

    def __init__(
        self,
        row: Mapping[str, Any],
        *,
        opener: Callable[[JobContext], AbstractContextManager[Session]],
        unfenced: Callable[[], AbstractContextManager[Session]],
        settings: Mapping[str, Any],
        plugins: Plugins,
        registry: Any = None,
        write_progress: Callable[[JobContext], None] | None = None,
    ) -> None:
        self.job_id: int = row["id"]
        self.name: str = row["name"]
        self.user_id: int | None = row["user_id"]
        self.fence: int = row["fence"]
        self.worker: str = row["worker"] or ""
        self.settings = settings
        self.plugins = plugins
        self.registry = registry
        """Pyramid's registry, where the worker was started with one."""
        self.result: dict[str, Any] = {}
        """What the page of the job shows in the end; written with the job's last state."""
        self.done: int = row["done_units"]
        self.total: int | None = row["total_units"]
        self.message: str = row["message"]
        self.alive_at = time.monotonic()
        self.lost = False
        self.interrupted = threading.Event()
        self.stop_seen = False
        self._stop = bool(row["stop_asked"])
        self._opener = opener
        self.unfenced = unfenced
        """Opens a session past the fence, for what is guarded by a compare-and-set of its own."""
        self._write_progress = write_progress
        self._progress_at = 0.0
        self._subject: Subject | None = None

    def transaction(self) -> AbstractContextManager[Session]:
        """Open a session whose commit counts only while this worker holds the job; raises LostLease otherwise."""
        self.alive_at = time.monotonic()
        if self.lost:
            raise LostLease(f"job {self.job_id} ({self.name}) was taken over")
        if self.interrupted.is_set():
            raise Interrupted
        return self._opener(self)

    @property
    def subject(self) -> Subject:
        """On whose behalf the job runs: the person who started it, with his rights of now, or the system."""
        if self._subject is None:
            if self.user_id is None:
                self._subject = Subject.system(f"job {self.name}")
            else:
                with self.transaction() as session:
                    found = load_subject(session, self.user_id)
                if found is None:
                    raise JobError(f"the account {self.user_id} is gone")
                self._subject = found
        return self._subject

    def fresh_subject(self) -> Subject:
        """Read the rights anew: a long job asks again before what it must not do for someone who lost them."""
        self._subject = None
        return self.subject

    @property
    def stop_asked(self) -> bool:
        """Whether someone pressed "stop"; a job that ends after having seen it counts as cancelled."""
        self.alive_at = time.monotonic()
        self.stop_seen = self.stop_seen or self._stop
        return self._stop

    @property
    def stopping(self) -> bool:
        """Whether to end at the next boundary: stop was asked, the worker goes away, or the job was taken over."""
        return self._stop or self.lost or self.interrupted.is_set()

    def check(self) -> None:
        """Raise Stopped, Interrupted or LostLease when there is a reason not to go on."""
        if self.stop_asked:
            raise Stopped
        if self.lost:
            raise LostLease(f"job {self.job_id} ({self.name}) was taken over")
        if self.interrupted.is_set():
            raise Interrupted

    def progress(self, done: int, total: int | None = None, message: str | None = None) -> None:
        """Say how far the job is; written with the next commit, or by itself twice a second at most."""
        self.alive_at = time.monotonic()
        self.done = done
        if total is not None:
            self.total = total
        if message is not None:
            self.message = message
        if self._write_progress is not None and self.alive_at - self._progress_at > 0.5:
            self._progress_at = self.alive_at
            self._write_progress(self)

    def enqueue(self, session: Session, name: str, **arguments: Any) -> int:
        """Enqueue more work in one of the job's own transactions; see :func:`enqueue`."""
        return enqueue(session, name, **arguments)


# -- the worker ----------------------------------------------------------------------------------------------------


class Presence:
    """A number that the database knows to be alive as long as this process is: a session advisory lock."""

    def __init__(self, engine: sa.Engine, kind: str = "worker") -> None:
        self.engine = engine
        self.number = random.SystemRandom().randrange(1, 2**31 - 1)
        self.name = f"{socket.gethostname()[:30]}:{os.getpid()}:{self.number}"
        self.kind = kind
        self._connection: sa.Connection | None = None
        self._lock = threading.Lock()

    def hold(self) -> sa.Connection:
        """Return the connection that holds the lock, taking it anew where the server has forgotten it."""
        with self._lock:
            if self._connection is not None and not self._connection.invalidated and not self._connection.closed:
                try:
                    self._connection.exec_driver_sql("SELECT 1")
                except DBAPIError:
                    self._drop()
                else:
                    return self._connection
            else:
                self._drop()
            # The option is taken back when a connection returns to its pool; one that was detached has none to ask.
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()
            connection.execute(
                sa.text("SELECT set_config('application_name', :name, false)"),
                {"name": f"crm-{self.kind} {self.name}"[:63]},
            )
            connection.execute(
                sa.text("SELECT pg_advisory_lock(:class, :number)"), {"class": LOCK_CLASS, "number": self.number}
            )
            self._connection = connection
            return connection

    def close(self) -> None:
        """Leave: whoever looks sees at once that this process is gone."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                # The server takes a moment to notice a closed line; an unlock is seen at once.
                self._connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None


@dataclass(frozen=True)
class Living:
    """A process that is alive now; `kind` is `worker`, `lane` (of a worker, for quick work) or `scheduler`."""

    kind: str
    name: str
    since: dt.datetime


def living(session: Session) -> list[Living]:
    """Return the workers and schedules that are alive, from the locks they hold."""
    rows = session.execute(
        sa.text(
            "SELECT a.application_name AS name, a.backend_start AS since FROM pg_stat_activity a JOIN pg_locks l "
            "ON l.pid = a.pid WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 "
            "AND l.classid = :class AND a.datname = current_database() ORDER BY a.backend_start"
        ),
        {"class": LOCK_CLASS},
    )
    result = []
    for row in rows:
        kind, _sep, name = row.name.removeprefix("crm-").partition(" ")
        result.append(Living(kind, name, row.since))
    return result


def is_alive(session: Session, worker: str) -> bool:
    """Tell whether the worker of that name still holds its lock."""
    number = worker.rpartition(":")[2]
    if not number.isdecimal():
        return False
    return bool(session.execute(sa.text(f"SELECT CAST(:n AS bigint) IN ({LIVE_SQL})"), {"n": int(number)}).scalar())


class Runner:
    """Claims jobs and runs them one by one in the thread that calls it, with a heartbeat in another."""

    def __init__(
        self,
        engine: sa.Engine,
        factory: sessionmaker[GuardedSession],
        *,
        settings: Mapping[str, Any],
        plugins: Plugins,
        registry: Any = None,
        queues: Sequence[str] | None = None,
        kind: str = "worker",
    ) -> None:
        self.engine = engine
        self.factory = factory
        self.settings = settings
        self.plugins = plugins
        self.registry = registry
        known = {"default", *(spec.queue for spec in plugins.jobs.values())}
        self.queues = list(queues or sorted(one for one in known if not one.startswith(STANDING)))
        self.presence = Presence(engine, kind)
        self.current: JobContext | None = None
        self.stopping = threading.Event()
        self._quiet = threading.Event()
        self.heart: threading.Thread | None = None
        self._direct = engine.execution_options(isolation_level="AUTOCOMMIT")

    def connect(self) -> AbstractContextManager[sa.Connection]:
        """Open a connection on which each statement is its own transaction."""
        return self._direct.connect()

    def start(self) -> None:
        """Become alive."""
        self.presence.hold()
        self.heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self.heart.start()

    def close(self) -> None:
        """Stop the heartbeat and give up the lock."""
        self._quiet.set()
        if self.heart is not None:
            self.heart.join(2)
        self.presence.close()

    def stop(self) -> None:
        """Ask running jobs to end at their next boundary and take no other."""
        self.stopping.set()
        if self.current is not None:
            self.current.interrupted.set()

    def run_due(self, limit: int | None = None) -> int:
        """Run what is due, also what dead workers left; return how many jobs."""
        count = 0
        while not self.stopping.is_set() and (limit is None or count < limit):
            if not self.run_one():
                break
            count += 1
        return count

    def run_one(self, job_id: int | None = None) -> bool:
        """Claim and run one job (that one, if given); False when there was none to claim."""
        row = self._claim(job_id)
        if row is None:
            return False
        self._run(row)
        return True

    def _claim(self, job_id: int | None) -> Mapping[str, Any] | None:
        with self.connect() as connection:
            row = (
                connection.execute(
                    _CLAIM,
                    {
                        "queues": self.queues,
                        "names": list(self.plugins.jobs),
                        "id": job_id,
                        "now": clock.now(),
                        "worker": self.presence.name,
                        "lease": clock.now() + LEASE,
                    },
                )
                .mappings()
                .one_or_none()
            )
            return None if row is None else dict(row)

    def _run(self, row: Mapping[str, Any]) -> None:
        spec = self.plugins.jobs[row["name"]]
        context = JobContext(
            row,
            opener=self._transaction,
            unfenced=self.factory.begin,
            settings=self.settings,
            plugins=self.plugins,
            registry=self.registry,
            write_progress=self._write_progress,
        )
        bound = log.bind(job=context.job_id, name=context.name, fence=context.fence)
        if row["deaths"] > MAX_DEATHS:
            self._fail(context, row, f"its worker or its connection died {row['deaths']} times without getting on")
            return
        self.current = context
        if self.stopping.is_set():
            context.interrupted.set()
        began = time.perf_counter()
        try:
            if row["user_id"] is not None and context.subject.status in ("disabled", "deleted"):
                raise Stopped
            result = spec.run(context, **row["arguments"])
            if isinstance(result, dict):
                context.result.update(result)
        except Stopped:
            self._finish(context, CANCELLED)
        except Interrupted:
            bound.info("job_interrupted")
            self._release(context, clock.now())
        except LostLease:
            bound.warning("job_lost")
        except Exception as error:
            bound.warning("job_error", error=describe(error))
            if is_disconnect(error):
                self._release(context, clock.now() + DATABASE_BACK_OFF, deaths=row["deaths"] + 1)
            else:
                self._retry_or_fail(context, row, error)
        else:
            self._finish(context, CANCELLED if context.stop_seen else DONE)
        finally:
            self.current = None
            bound.info("job_ended", seconds=round(time.perf_counter() - began, 3))

    # How a job ends. Each is one statement with the fence, tried until the database answers.

    def _finish(self, context: JobContext, state: str) -> None:
        self._write(
            context,
            state=state,
            finished_at=clock.now(),
            result=context.result or None,
            done_units=context.done,
            total_units=context.total,
            message=context.message,
            error="",
        )

    def _release(self, context: JobContext, run_at: dt.datetime, **values: Any) -> None:
        try:
            self._write(context, state=WAITING, run_at=run_at, worker=None, lease_until=None, **values)
        except IntegrityError:
            # Another with the same key waits already and will do the same work.
            self._write(context, state=CANCELLED, finished_at=clock.now(), message="superseded")

    def _retry_or_fail(self, context: JobContext, row: Mapping[str, Any], error: Exception) -> None:
        attempts = row["attempts"] + 1
        if attempts >= row["max_attempts"] or isinstance(error, JobError):
            self._fail(context, row, describe(error))
            return
        wait = dt.timedelta(seconds=1) if worth_a_retry(error) else BACK_OFF[min(attempts, len(BACK_OFF)) - 1]
        self._release(context, clock.now() + wait, attempts=attempts, error=describe(error))

    def _fail(self, context: JobContext, row: Mapping[str, Any], error: str) -> None:
        log.error("job_failed", job=context.job_id, name=context.name, error=error)
        written = self._write(context, state=FAILED, finished_at=clock.now(), attempts=row["attempts"] + 1, error=error)
        if not written:
            return
        with contextlib.suppress(DBAPIError), self.factory() as session, session.begin():
            notify.notify(
                session,
                notify.holders(session, "plugins:manage"),
                key=f"job.failed:{context.name}:{clock.today()}",
                kind=FAULT,
                title=_("The job “${name}” failed"),
                values={"name": self._in_company_language(row["title"]) or context.name},
                href="/settings/system",
            )

    def _in_company_language(self, title: str) -> str:
        # It is kept as a plain value, and no reader is known yet.
        spec = next((spec for spec in self.plugins.jobs.values() if title and spec.title == title), None)
        if spec is None:
            return title
        packages = tuple(one.info.package for one in self.plugins.loaded)
        return translate(localizer_for(self.settings.get("crm.locale") or "ru", packages=packages), spec.title)

    def _write(self, context: JobContext, **values: Any) -> bool:
        statement = (
            sa.update(JobRow)
            .where(JobRow.id == context.job_id, JobRow.fence == context.fence, JobRow.state == RUNNING)
            .values(**values)
        )
        while True:
            try:
                with self.connect() as connection:
                    return connection.execute(statement).rowcount == 1
            except (OperationalError, InterfaceError) as error:
                if self.stopping.is_set():
                    return False  # whoever comes next sees that this worker is gone
                log.warning("job_state_waits_for_database", error=describe(error))
                time.sleep(1)

    @contextlib.contextmanager
    def _transaction(self, context: JobContext) -> Iterator[Session]:
        with self.factory() as session:
            with session.begin():
                yield session
                session.flush()
                fence(session, context)
            context.alive_at = time.monotonic()

    def _write_progress(self, context: JobContext) -> None:
        with contextlib.suppress(DBAPIError), self.connect() as connection:
            self._alive(connection, context)

    def _alive(self, connection: sa.Connection, context: JobContext) -> None:
        row = connection.execute(
            sa.update(JobRow)
            .where(JobRow.id == context.job_id, JobRow.fence == context.fence, JobRow.state == RUNNING)
            .values(
                lease_until=clock.now() + LEASE,
                done_units=context.done,
                total_units=context.total,
                message=context.message,
            )
            .returning(JobRow.stop_asked)
        ).one_or_none()
        if row is None:
            context.lost = self.current is context
        elif row.stop_asked:
            context._stop = True

    def _beat(self) -> None:
        beat = 0
        while not self._quiet.wait(1.0):
            beat += 1
            context = self.current
            try:
                if context is not None:
                    if self.stopping.is_set():
                        context.interrupted.set()
                    self._watch(context)
                if context is not None or beat % HEARTBEAT_SECONDS == 0:
                    connection = self.presence.hold()
                    # "Stop" is felt within a second, the lease is renewed on the way.
                    if context is not None and self.current is context:
                        self._alive(connection, context)
            except DBAPIError as error:
                log.warning("heartbeat_missed", error=describe(error))
            except Exception:
                log.exception("heartbeat_error")

    def _watch(self, context: JobContext) -> None:
        timeout = self.plugins.jobs[context.name].timeout
        silent = time.monotonic() - context.alive_at
        if silent > timeout:
            # A thread cannot be killed, a process can: the parent starts another, which counts this as a death.
            log.error("job_hangs", job=context.job_id, name=context.name, seconds=round(silent))
            os._exit(70)


def fence(session: Session, context: JobContext) -> None:
    """Let the transaction commit only while the job is still this worker's: the row is locked until the commit."""
    row = session.execute(
        sa.update(JobRow)
        .where(JobRow.id == context.job_id, JobRow.fence == context.fence, JobRow.state == RUNNING)
        .values(
            lease_until=clock.now() + LEASE,
            deaths=0,
            done_units=context.done,
            total_units=context.total,
            message=context.message,
        )
        .returning(JobRow.stop_asked)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is None:
        context.lost = True
        raise LostLease(f"job {context.job_id} ({context.name}) was taken over")
    context._stop = context._stop or row.stop_asked


def is_disconnect(error: BaseException) -> bool:
    """Tell whether the error means that the database went away, not that the statement was wrong."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    state = getattr(error.orig, "sqlstate", None)
    return isinstance(error, OperationalError) and (not state or state[:2] == "08" or state[:3] == "57P")


def worth_a_retry(error: BaseException) -> bool:
    """Tell whether the same work may succeed at once when tried again: a deadlock, a conflict, a lock not given."""
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None) or ""
    return is_disconnect(error) or state[:2] == "40" or state == "55P03"


def describe(error: BaseException) -> str:
    """Return what is kept of an error: without the parameters of statements, which may hold people's data."""
    if isinstance(error, DBAPIError):
        text = f"{type(error.orig).__name__}: {str(error.orig).partition(chr(10))[0]}"
    else:
        text = f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = " < ".join(f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in reversed(frames))
    return f"{text[:2000]}\n{where}" if where else text[:2000]


_runner: ContextVar[Runner] = ContextVar("crm_runner")


def perform(job_id: int) -> None:
    """Run one job if it is still to be claimed; the one function that rq ever calls, inside a worker."""
    _runner.get().run_one(job_id)


class _RqWorker(SimpleWorker):
    """Is rq's worker without its endless loop: ours looks at the table in between."""

    death_penalty_class = TimerDeathPenalty

    def wait(self, seconds: int) -> tuple[RqJob, Queue] | None:
        """Wait for one nudge; None when none came."""
        try:
            return self.queue_class.dequeue_any(
                self._ordered_queues,
                seconds,
                connection=self.connection,
                job_class=self.job_class,
                serializer=self.serializer,
                death_penalty_class=self.death_penalty_class,
            )
        except DequeueTimeout:
            return None


class _Leave(BaseException):
    """Raised by the signal handler to end a wait."""


class _Signals:
    """Turns SIGTERM and SIGINT into a stop: at once while waiting, at the next boundary while working."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self.stop = stop
        self.waiting = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: Any) -> None:
        log.info("stop_asked", signal=signal.Signals(number).name)
        self.stop()
        if self.waiting:
            self.waiting = False
            raise _Leave

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        self.waiting = True
        try:
            yield
        finally:
            self.waiting = False


def run_worker(settings: Mapping[str, Any], *, registry: Any = None, queues: Sequence[str] | None = None) -> None:
    """Run jobs until SIGTERM; returns within 30 seconds of it, whatever the job does.

    With an application's registry its engine, sessions and plugins are used; otherwise they are made from the settings.
    """
    engine, factory, plugins = environment(settings, registry)
    runner = Runner(engine, factory, settings=settings, plugins=plugins, registry=registry, queues=queues)

    def stop() -> None:
        runner.stop()
        killer = threading.Timer(STOP_SECONDS, lambda: os._exit(0))
        killer.daemon = True
        killer.start()

    signals = _Signals(stop)
    _runner.set(runner)
    lanes: list[threading.Thread] = []
    try:
        with signals.interruptible():
            _patiently(runner.start)
        if LONG in runner.queues and len(runner.queues) > 1:
            lanes.append(threading.Thread(target=_quick_lane, args=(runner,), name="quick-lane", daemon=True))
        if queues is None:
            standing = sorted({spec.queue for spec in plugins.jobs.values() if spec.queue.startswith(STANDING)})
            for one in standing:
                lanes.append(threading.Thread(target=_standing_lane, args=(runner, one), name=one, daemon=True))
        for lane in lanes:
            lane.start()
        log.info("worker_started", worker=runner.presence.name, queues=runner.queues)
        _work(runner, settings.get("redis.url"), signals)
    except _Leave:
        pass
    finally:
        runner.stop()
        for lane in lanes:
            lane.join(STOP_SECONDS)
        runner.close()
        engine.dispose()
        log.info("worker_stopped", worker=runner.presence.name)


def _quick_lane(main: Runner) -> None:
    """Run what is quick while the worker is busy with an import: a reset of a password does not wait for it."""
    quick = Runner(
        main.engine,
        main.factory,
        settings=main.settings,
        plugins=main.plugins,
        registry=main.registry,
        queues=[queue for queue in main.queues if queue != LONG],
        kind="lane",
    )
    quick.stopping = main.stopping
    try:
        while not main.stopping.wait(POLL_WITHOUT_REDIS_SECONDS):
            if main.current is None:
                continue
            try:
                if quick.heart is None:
                    quick.start()
                if _is_due(quick):
                    quick.run_due()
            except DBAPIError as error:
                log.warning("worker_waits_for_database", error=describe(error))
    finally:
        quick.close()


def _standing_lane(main: Runner, queue: str) -> None:
    """Run what never ends by itself; of several workers one has it, and another takes it over when that one dies."""
    runner = Runner(
        main.engine,
        main.factory,
        settings=main.settings,
        plugins=main.plugins,
        registry=main.registry,
        queues=[queue],
        kind="standing",
    )
    runner.stopping = main.stopping
    try:
        while not main.stopping.wait(POLL_WITHOUT_REDIS_SECONDS):
            try:
                if runner.heart is None:
                    runner.start()
                runner.run_due()
            except DBAPIError as error:
                log.warning("worker_waits_for_database", error=describe(error))
    finally:
        runner.close()


def _work(runner: Runner, url: str | None, signals: _Signals) -> None:
    rq_worker: _RqWorker | None = None
    swept = 0.0
    while not runner.stopping.is_set():
        try:
            # Without nudges the table is all there is; with them it is swept for what is due by time or left behind.
            if rq_worker is None or time.monotonic() - swept > SWEEP_SECONDS or _is_due(runner):
                runner.run_due()
                swept = time.monotonic()
        except DBAPIError as error:
            log.warning("worker_waits_for_database", error=describe(error))
            with signals.interruptible():
                time.sleep(1)
            continue
        if runner.stopping.is_set():
            break
        try:
            if rq_worker is None and url:
                rq_worker = _rq_worker(url, runner)
            if rq_worker is not None:
                with signals.interruptible():
                    found = rq_worker.wait(LISTEN_SECONDS)
                if found is not None:
                    rq_worker.execute_job(*found)
                rq_worker.heartbeat()
                continue
        except redis.RedisError as error:
            if rq_worker is not None:
                log.warning("worker_without_redis", error=f"{type(error).__name__}: {error}")
            rq_worker = None
        except Exception as error:
            log.warning("nudge_unreadable", error=f"{type(error).__name__}: {error}")
            continue
        with signals.interruptible():
            time.sleep(POLL_WITHOUT_REDIS_SECONDS)
    if rq_worker is not None:
        with contextlib.suppress(redis.RedisError):
            rq_worker.register_death()


def _is_due(runner: Runner) -> bool:
    with runner.connect() as connection:
        return bool(
            connection.execute(
                sa.select(
                    sa.exists().where(
                        JobRow.state == WAITING,
                        JobRow.run_at <= clock.now(),
                        JobRow.queue.in_(runner.queues),
                        JobRow.name.in_(list(runner.plugins.jobs)),
                    )
                )
            ).scalar()
        )


def _rq_worker(url: str, runner: Runner) -> _RqWorker:
    connection = redis.Redis.from_url(
        url, socket_timeout=LISTEN_SECONDS + 5, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
    )
    connection.ping()
    worker = _RqWorker(
        [queue_name(queue) for queue in runner.queues],
        name=runner.presence.name.replace(":", "-") + f"-{uuid.uuid4().hex[:6]}",
        connection=connection,
        serializer=JSONSerializer,
        worker_ttl=LISTEN_SECONDS + 60,
        log_job_description=False,
    )
    worker.register_birth()
    return worker


def _patiently(step: Callable[[], None]) -> None:
    while True:
        try:
            step()
        except DBAPIError as error:
            log.warning("waits_for_database", error=describe(error))
            time.sleep(1)
        else:
            return


def environment(
    settings: Mapping[str, Any], registry: Any = None
) -> tuple[sa.Engine, sessionmaker[GuardedSession], Plugins]:
    """Return engine, sessions and plugins of a process without a web server."""
    if registry is not None:
        return registry["crm.engine"], registry["crm.session_factory"], registry["crm.plugins"]
    from crm_core.plugins import Plugins

    plugins = Plugins.build(tuple(str(settings.get("crm.plugins", "")).split()))
    engine = make_engine(settings["sqlalchemy.url"])
    factory = session_factory(engine)
    bind(factory, settings=settings, plugins=plugins)
    return engine, factory, plugins


# -- the schedule --------------------------------------------------------------------------------------------------


def company_zone(session: Session) -> ZoneInfo:
    """Return the company's time zone, in which jobs run by the clock."""
    name = session.scalar(sa.select(SettingValue.value).where(SettingValue.key == "company.time_zone"))
    configured = session.info.get(SETTINGS, {}).get("crm.time_zone") or "Europe/Moscow"
    try:
        return ZoneInfo(str(name or configured))
    except (KeyError, ValueError):
        log.warning("time_zone_unknown", name=name)
        return ZoneInfo(configured)


def next_run(cron: str, after: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Return when a cron line is due next after an instant, by the clock on the wall of the zone."""
    return next(CronSim(cron, after.astimezone(zone))).astimezone(dt.UTC)


def run_schedule(session: Session, plugins: Plugins) -> list[int]:
    """Enqueue what is due by the clock; two schedules at once enqueue each run once, missed runs collapse into one."""
    now = clock.now()
    zone = company_zone(session)
    specs = {spec.name: spec for spec in plugins.jobs.values() if spec.cron}
    known = dict(session.execute(sa.select(Schedule.name, Schedule.cron)).all())
    for spec in specs.values():
        if known.get(spec.name) == spec.cron:
            continue
        try:
            due = next_run(spec.cron, now, zone)
        except (CronSimError, StopIteration):
            log.error("schedule_unreadable", job=spec.name, cron=spec.cron)
            continue
        insert = pg.insert(Schedule).values(name=spec.name, cron=spec.cron, next_at=due)
        session.execute(
            insert.on_conflict_do_update(
                index_elements=[Schedule.name],
                set_={"cron": spec.cron, "next_at": due},
                where=Schedule.cron != spec.cron,
            )
        )
    due_rows = session.execute(
        sa.select(Schedule.name, Schedule.cron)
        .where(Schedule.next_at <= now, Schedule.name.in_(list(specs)))
        .with_for_update(skip_locked=True)
    ).all()
    enqueued = []
    for row in due_rows:
        job_id = enqueue(session, row.name, key=f"schedule:{row.name}")
        session.execute(
            sa.update(Schedule)
            .where(Schedule.name == row.name)
            .values(next_at=next_run(row.cron, now, zone), last_at=now, last_job=job_id)
            .execution_options(synchronize_session=False)
        )
        enqueued.append(job_id)
    return enqueued


def run_scheduler(settings: Mapping[str, Any], *, registry: Any = None) -> None:
    """Enqueue what runs by the clock until SIGTERM; any number of these may run."""
    engine, factory, plugins = environment(settings, registry)
    presence = Presence(engine, "scheduler")
    stopping = threading.Event()
    signals = _Signals(stopping.set)
    try:
        while not stopping.is_set():
            try:
                presence.hold()
                with factory() as session, session.begin():
                    run_schedule(session, plugins)
            except DBAPIError as error:
                log.warning("schedule_waits_for_database", error=describe(error))
            with signals.interruptible():
                time.sleep(1)
    except _Leave:
        pass
    finally:
        presence.close()
        engine.dispose()


# -- the core's own jobs -------------------------------------------------------------------------------------------


def clean_up(context: JobContext) -> dict[str, Any]:
    """Delete rows of jobs that ended long ago; failed ones are kept longer, for someone to read."""
    deleted = 0
    while True:
        with context.transaction() as session:
            now = clock.now()
            old = (
                sa.select(JobRow.id)
                .where(
                    (JobRow.state.in_((DONE, CANCELLED)) & (JobRow.finished_at < now - KEEP_DONE))
                    | (
                        (JobRow.state == DONE)
                        & JobRow.key.startswith("schedule:")
                        & (JobRow.finished_at < now - KEEP_CLOCKWORK)
                    )
                    | ((JobRow.state == FAILED) & (JobRow.finished_at < now - KEEP_FAILED))
                )
                .limit(5000)
            )
            count = changed(session, sa.delete(JobRow).where(JobRow.id.in_(old)))
        deleted += count
        if count < 5000:
            return {"deleted": deleted}


CLEAN_UP = "core.jobs.clean"

JOBS = (Job(name=CLEAN_UP, run=clean_up, title=_("Remove finished jobs"), cron="17 3 * * *"),)
"""The jobs of this module, for the core's `crm_jobs`."""
