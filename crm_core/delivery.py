"""The delivery machine: everything that goes out is a row of a ledger, sent once or shown as uncertain.

A ledger is a table of `crm_core.models.work.DeliveryMixin`: `core_delivery` for single letters, notifications and
webhooks, a plugin's own for its mass. States:

    pending -> claimed -> attempting -> accepted | deferred | failed | uncertain
    deferred -> claimed ...            accepted -> delivered | bounced | complained

A row is `attempting`, and that is committed, before the first byte of its content leaves; so what a crash leaves in
that state may or may not have gone and becomes `uncertain`, which no machine ever sends again. Every transition is a
compare-and-set on state and claim, and outcomes are written in the transaction that marks the next window of rows.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from crm_core import clock, jobs
from crm_core.db import changed

if TYPE_CHECKING:
    from crm_core.jobs import JobContext
    from crm_core.security.secrets import Secrets

log = structlog.get_logger(__name__)

PENDING, CLAIMED, ATTEMPTING = "pending", "claimed", "attempting"
ACCEPTED, DEFERRED, FAILED, UNCERTAIN = "accepted", "deferred", "failed", "uncertain"
DELIVERED, BOUNCED, COMPLAINED = "delivered", "bounced", "complained"

#: Which states follow which; the machine moves no other way.
TRANSITIONS: Mapping[str, frozenset[str]] = {
    PENDING: frozenset({CLAIMED, FAILED}),
    CLAIMED: frozenset({PENDING, ATTEMPTING, DEFERRED, ACCEPTED, FAILED}),
    ATTEMPTING: frozenset({ACCEPTED, DEFERRED, FAILED, UNCERTAIN}),
    DEFERRED: frozenset({CLAIMED, FAILED}),
    UNCERTAIN: frozenset({PENDING, ACCEPTED, DELIVERED, BOUNCED, FAILED}),
    ACCEPTED: frozenset({DELIVERED, BOUNCED, COMPLAINED}),
    DELIVERED: frozenset({BOUNCED, COMPLAINED}),
    FAILED: frozenset({PENDING}),
    BOUNCED: frozenset(),
    COMPLAINED: frozenset(),
}

#: Rows taken at once, and the most that may be under way at once.
CHUNK = 200
MOST_CONNECTIONS = 10

CLAIM_LEASE = dt.timedelta(seconds=120)

#: A whole conversation about one row ends within this; twice this and nobody can still be holding it.
HARD_TIMEOUT = dt.timedelta(seconds=300)

#: Waits after the n-th temporary refusal; the last one goes on until the row is three days old.
BACK_OFF = tuple(dt.timedelta(minutes=m) for m in (5, 15, 60, 240, 720))
GIVE_UP_AFTER = dt.timedelta(hours=72)
LEAST_ATTEMPTS = 6

#: Waits after a server could not be reached at all or the line dropped before anything was sent.
CONNECT_BACK_OFF = tuple(dt.timedelta(minutes=m) for m in (1, 2, 5, 15, 60))

#: Seconds in which outcomes wait for a database that is away.
SETTLE_TRIES = 20

#: A mapped class with `DeliveryMixin`.
Ledger = Any


@dataclass(frozen=True)
class Outcome:
    """What came of one attempt."""

    state: str
    code: str = ""
    answer: str = ""
    foreign_id: str = ""
    soon: bool = False
    """For `deferred`: nothing was sent and nothing refused, so it may be tried again soon."""

    @classmethod
    def by_code(cls, code: int, answer: str, foreign_id: str = "") -> Outcome:
        """Read a three-digit answer as SMTP means it: 2xx taken, 4xx later, anything else never."""
        state = ACCEPTED if 200 <= code < 300 else DEFERRED if 400 <= code < 500 else FAILED
        return cls(state, str(code), answer, foreign_id)


class Unreachable(Exception):
    """No connection could be made: nothing was sent of any row."""

    def __init__(self, code: str, answer: str) -> None:
        self.code, self.answer = code, answer
        super().__init__(f"{code}: {answer}")


class Transport(Protocol):
    """One connection to what takes messages; used by one thread at a time."""

    def open(self) -> None:
        """Connect and sign in; raise Unreachable."""

    def send(self, message: Any) -> Outcome:
        """Hand over one message. What raises instead of answering counts as uncertain."""

    def close(self) -> None:
        """Hang up."""


@dataclass
class Counts:
    """What one run of a sender did."""

    accepted: int = 0
    deferred: int = 0
    failed: int = 0
    uncertain: int = 0
    refused: int = 0
    unreachable: str = ""

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        setattr(self, outcome.state, getattr(self, outcome.state) + 1)

    @property
    def total(self) -> int:
        """How many rows came to an outcome."""
        return self.accepted + self.deferred + self.failed + self.uncertain


def normalise_address(channel: str, address: str) -> str:
    """Return the form by which an address is the same address."""
    text = unicodedata.normalize("NFKC", address).strip()
    if channel != "email":
        return text
    local, at, domain = text.rpartition("@")
    with contextlib.suppress(UnicodeError):
        domain = domain.encode("idna").decode("ascii")
    return f"{local}{at}{domain}".lower()


def address_digest(secrets: Secrets, channel: str, address: str) -> bytes:
    """Return the HMAC that stands for an address in ledgers, also once the address itself is erased."""
    return secrets.digest("address", f"{channel}:{normalise_address(channel, address)}")


def add(session: Session, ledger: Ledger, **values: Any) -> int | None:
    """Write a pending row; None when its (purpose, step, channel, address) is there already."""
    statement = pg.insert(ledger).values(**values).on_conflict_do_nothing().returning(ledger.id)
    return session.execute(statement).scalar()


def move(
    session: Session,
    ledger: Ledger,
    delivery_id: int,
    before: str | Iterable[str],
    after: str,
    *,
    claim: str | None = None,
    **values: Any,
) -> bool:
    """Move one row from a state to another; False when it is in neither of the states, or another's by now."""
    states = [before] if isinstance(before, str) else list(before)
    wrong = [state for state in states if after not in TRANSITIONS[state]]
    if wrong:
        raise ValueError(f"a delivery does not go from {wrong[0]} to {after}")
    statement = sa.update(ledger).where(ledger.id == delivery_id, ledger.state.in_(states))
    if claim is not None:
        statement = statement.where(ledger.claim == claim)
    if after not in (CLAIMED, ATTEMPTING):
        values.setdefault("claim", None)
    return changed(session, statement.values(state=after, **values)) == 1


def resend(session: Session, ledger: Ledger, delivery_id: int) -> bool:
    """Send again what is uncertain or failed: a person's decision, never the machine's."""
    return move(
        session,
        ledger,
        delivery_id,
        (UNCERTAIN, FAILED),
        PENDING,
        due_at=clock.now(),
        finished_at=None,
        attempts=0,
        created_at=clock.now(),
        code="resend",
    )


def confirm(session: Session, ledger: Ledger, foreign_id: str, after: str, **values: Any) -> bool:
    """Take a later report about a message by its foreign id; one that comes twice or too late changes nothing."""
    if after not in (DELIVERED, BOUNCED, COMPLAINED):
        raise ValueError(f"{after} is not what a later report says")
    before = [state for state, following in TRANSITIONS.items() if after in following]
    reported = (ledger.foreign_id == foreign_id, ledger.foreign_id != "", ledger.state.in_(before))
    return changed(session, sa.update(ledger).where(*reported).values(state=after, **values)) > 0


def counts(session: Session, ledger: Ledger, *criteria: ColumnElement[bool]) -> dict[str, int]:
    """Return how many rows are in each state; figures are always derived, never kept."""
    rows = session.execute(sa.select(ledger.state, sa.func.count()).where(*criteria).group_by(ledger.state))
    return dict(rows.all())


def recover(session: Session, ledger: Ledger) -> tuple[int, int]:
    """Settle what dead workers left: claims go back, attempts become uncertain; return how many of each."""
    now = clock.now()
    live = sa.text(f"split_part(split_part(claim, '/', 1), ':', -1)::bigint NOT IN ({jobs.LIVE_SQL})")
    released = changed(
        session,
        sa.update(ledger)
        .where(ledger.state == CLAIMED, (ledger.claimed_at < now - CLAIM_LEASE) | live)
        .values(state=PENDING, claim=None, claimed_at=None),
    )
    uncertain = changed(
        session,
        sa.update(ledger)
        .where(ledger.state == ATTEMPTING, (ledger.attempted_at < now - 2 * HARD_TIMEOUT) | live)
        # The claim stays: should its owner live after all, it may still say what came of the row.
        .values(
            state=UNCERTAIN,
            finished_at=now,
            code="interrupted",
            answer="the sender died while this was under way",
        ),
    )
    if released or uncertain:
        log.warning("deliveries_recovered", ledger=ledger.__tablename__, released=released, uncertain=uncertain)
    return released, uncertain


def next_due(session: Session, ledger: Ledger, *criteria: ColumnElement[bool]) -> dt.datetime | None:
    """Return when there is something to do next: a row is due, or what someone holds has run out; None for nothing."""
    when = sa.case(
        (ledger.state == CLAIMED, ledger.claimed_at + CLAIM_LEASE),
        (ledger.state == ATTEMPTING, ledger.attempted_at + 2 * HARD_TIMEOUT),
        else_=ledger.due_at,
    )
    unfinished = ledger.state.in_((PENDING, DEFERRED, CLAIMED, ATTEMPTING))
    return session.scalar(sa.select(sa.func.min(when)).where(unfinished, *criteria))


class Sender:
    """Sends what is due of a ledger, inside a job: claim a chunk, prepare it, send window by window.

    `prepare(session, ids)` returns for each id the message to hand to the transport, or an `Outcome` that settles the
    row unsent. `allowed` is read in the very statement that marks rows as attempting: suppression, consent, pause.
    `choose` narrows which rows are this sender's. A window is as many rows as there are connections.
    """

    def __init__(
        self,
        context: JobContext,
        ledger: Ledger,
        *,
        transport: Callable[[], Transport],
        prepare: Callable[[Session, Sequence[int]], Mapping[int, Any]],
        choose: Sequence[ColumnElement[bool]] = (),
        allowed: ColumnElement[bool] | None = None,
        connections: int = 1,
        chunk: int = CHUNK,
    ) -> None:
        self.context = context
        self.ledger = ledger
        self.transport = transport
        self.prepare = prepare
        self.choose = tuple(choose)
        self.allowed = allowed
        self.connections = max(1, min(connections, MOST_CONNECTIONS))
        # No more than can be sent before the claim runs out, should each take a few seconds.
        self.chunk = max(1, min(chunk, self.connections * 20))
        # A claim names the worker, so that anyone can ask the database whether it is still alive.
        self.claim = f"{context.worker or 'nobody:0'}/{uuid.uuid4().hex[:12]}"
        self.counts = Counts()
        self._lines: list[Transport] = []
        self._pool: ThreadPoolExecutor | None = None
        self._results: dict[int, Outcome] = {}
        self._known: dict[int, tuple[int, dt.datetime]] = {}
        self._write_statement = _write_statement(ledger)

    def run(self) -> Counts:
        """Send until nothing is due, the job is to end or the server cannot be reached."""
        with self.context.transaction() as session:
            recover(session, self.ledger)
        try:
            while not self.context.stopping:
                ids = self._claim_chunk()
                if not ids:
                    break
                if not self._send_chunk(ids):
                    break
        finally:
            try:
                self._flush()
            finally:
                self._hang_up()
        return self.counts

    def _claim_chunk(self) -> list[int]:
        ledger = self.ledger
        with self.context.transaction() as session:
            due = (
                sa.select(ledger.id)
                .where(ledger.state.in_((PENDING, DEFERRED)), ledger.due_at <= clock.now(), *self.choose)
                .order_by(ledger.due_at, ledger.id)
                .limit(self.chunk)
                .with_for_update(skip_locked=True)
                .cte("due")
            )
            rows = session.execute(
                sa.update(ledger)
                .where(ledger.id.in_(sa.select(due.c.id)))
                .values(state=CLAIMED, claim=self.claim, claimed_at=clock.now())
                .returning(ledger.id)
                .execution_options(synchronize_session=False)
            ).scalars()
            return sorted(rows)

    def _send_chunk(self, ids: Sequence[int]) -> bool:
        with self.context.transaction() as session:
            prepared = self.prepare(session, ids)
            settled = {i: prepared[i] for i in ids if isinstance(prepared.get(i), Outcome)}
            gone = {i: Outcome(FAILED, "gone", "there is nothing to send") for i in ids if prepared.get(i) is None}
            self._write(session, {**settled, **gone}, (CLAIMED,))
        messages = {i: prepared[i] for i in ids if i not in settled and i not in gone}
        if not messages:
            return True
        try:
            self._open(min(self.connections, len(messages)))
        except Unreachable as error:
            self._put_off(messages, error)
            return False
        waiting = list(messages)
        while waiting:
            if self.context.stopping:
                break
            size = len(self._lines)
            window, waiting = waiting[:size], waiting[size:]
            marked = self._mark(window)
            self._send_window({i: messages[i] for i in marked})
            if any(outcome.soon for outcome in self._results.values()):
                self._hang_up()
                break
        self._flush()
        return True

    def _mark(self, window: Sequence[int]) -> list[int]:
        """Write the outcomes of the last window and mark this one, in one transaction."""
        ledger = self.ledger
        with self.context.transaction() as session:
            self._write(session, self._results, (ATTEMPTING, UNCERTAIN))
            mark = sa.update(ledger).where(ledger.id.in_(window), ledger.state == CLAIMED, ledger.claim == self.claim)
            if self.allowed is not None:
                mark = mark.where(self.allowed)
            rows = session.execute(
                mark.values(state=ATTEMPTING, attempted_at=clock.now(), attempts=ledger.attempts + 1)
                .returning(ledger.id, ledger.attempts, ledger.created_at)
                .execution_options(synchronize_session=False)
            ).all()
            marked = sorted(row[0] for row in rows)
            refused = set(window) - set(marked)
            if refused:
                self.counts.refused += changed(
                    session,
                    sa.update(ledger)
                    .where(ledger.id.in_(refused), ledger.state == CLAIMED, ledger.claim == self.claim)
                    .values(state=FAILED, claim=None, code="not-allowed", finished_at=clock.now()),
                )
        # Only now are they committed, so only now may the outcomes be forgotten.
        self._results = {}
        self._known = {row[0]: (row[1], row[2]) for row in rows}
        return marked

    def _flush(self) -> None:
        """Write the last outcomes and give back what is still claimed, whatever ended the loop."""
        self._settle(self._results, (ATTEMPTING, UNCERTAIN))
        self._results = {}

    def _settle(self, results: Mapping[int, Outcome], before: Sequence[str], *, attempted: bool = False) -> None:
        """Write what only this process knows, past the job's fence: each row is guarded by its own claim."""
        ledger = self.ledger
        give_back = (
            sa.update(ledger)
            .where(ledger.state == CLAIMED, ledger.claim == self.claim)
            .values(state=PENDING, claim=None, claimed_at=None)
        )
        for again in range(SETTLE_TRIES):
            try:
                with self.context.unfenced() as session:
                    self._write(session, results, before, attempted=attempted)
                    changed(session, give_back)
            except DBAPIError as error:
                if not jobs.worth_a_retry(error) or again == SETTLE_TRIES - 1:
                    raise
                log.warning("outcomes_wait_for_database", error=jobs.describe(error))
                time.sleep(1)
            else:
                return

    def _send_window(self, messages: Mapping[int, Any]) -> None:
        pairs = list(zip(messages.items(), self._lines, strict=False))
        if len(pairs) == 1:
            (delivery_id, message), line = pairs[0]
            self._results[delivery_id] = self._attempt(line, message)
        elif pairs:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.connections, thread_name_prefix="sender")
            futures = {i: self._pool.submit(self._attempt, line, message) for (i, message), line in pairs}
            self._results.update({i: future.result() for i, future in futures.items()})
        for outcome in self._results.values():
            self.counts.add(outcome)

    def _attempt(self, line: Transport, message: Any) -> Outcome:
        try:
            return line.send(message)
        except Exception as error:
            # Whatever it was, the content may have gone.
            log.error("transport_fault", error=jobs.describe(error))
            return Outcome(UNCERTAIN, "fault", f"{type(error).__name__}: {error}"[:500])

    def _open(self, number: int) -> None:
        while len(self._lines) < number:
            line = self.transport()
            try:
                line.open()
            except Unreachable:
                if not self._lines:
                    raise
                return  # fewer connections than wished for are enough
            self._lines.append(line)

    def _hang_up(self) -> None:
        for line in self._lines:
            with contextlib.suppress(Exception):
                line.close()
        self._lines = []
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _put_off(self, messages: Iterable[int], error: Unreachable) -> None:
        self.counts.unreachable = str(error)
        outcome = Outcome(DEFERRED, error.code, error.answer, soon=True)
        self._settle(dict.fromkeys(messages, outcome), (CLAIMED,), attempted=True)

    def _write(
        self, session: Session, results: Mapping[int, Outcome], before: Sequence[str], *, attempted: bool = False
    ) -> None:
        """Write outcomes set-wise; `attempted` counts an attempt that was not marked, for no line could be had."""
        if not results:
            return
        ledger, now = self.ledger, clock.now()
        unknown = [delivery_id for delivery_id in results if delivery_id not in self._known]
        if unknown:
            found = session.execute(
                sa.select(ledger.id, ledger.attempts, ledger.created_at).where(ledger.id.in_(unknown))
            )
            self._known.update({row.id: (row.attempts, row.created_at) for row in found})
        columns: dict[str, list[Any]] = {name: [] for name in _RESULT_COLUMNS}
        for delivery_id, outcome in results.items():
            if delivery_id not in self._known:
                continue
            attempts, created = self._known[delivery_id]
            attempts += 1 if attempted else 0
            state, due = outcome.state, now
            if state == DEFERRED:
                if attempts >= LEAST_ATTEMPTS and now - created >= GIVE_UP_AFTER:
                    state = FAILED
                else:
                    waits = CONNECT_BACK_OFF if outcome.soon else BACK_OFF
                    due = now + waits[max(0, min(attempts, len(waits)) - 1)]
            columns["id"].append(delivery_id)
            columns["state"].append(state)
            columns["code"].append(outcome.code[:60])
            columns["answer"].append(outcome.answer[:2000].replace("\0", ""))
            columns["foreign_id"].append(outcome.foreign_id)
            columns["due_at"].append(due)
            columns["attempts"].append(attempts)
        written = session.execute(
            self._write_statement, {**columns, "before": list(before), "claim": self.claim, "now": now}
        ).rowcount  # type: ignore[attr-defined]
        for delivery_id in results:
            self._known.pop(delivery_id, None)
        if written != len(results):
            log.warning("deliveries_were_taken", ledger=ledger.__tablename__, outcomes=len(results), written=written)


_RESULT_COLUMNS = ("id", "state", "code", "answer", "foreign_id", "due_at", "attempts")


def _write_statement(ledger: Ledger) -> sa.TextClause:
    """Return the statement that writes a window's outcomes: arrays, so that its text is the same for any number.

    What someone has declared uncertain meanwhile is not put back among what is to be sent.
    """
    table = sa.inspect(ledger).local_table
    name = table.fullname
    return sa.text(
        f"UPDATE {name} d SET state = n.state, claim = NULL, code = n.code, answer = n.answer, "
        "foreign_id = coalesce(nullif(n.foreign_id, ''), d.foreign_id), due_at = n.due_at, attempts = n.attempts, "
        "finished_at = CASE WHEN n.state = 'deferred' THEN NULL ELSE CAST(:now AS timestamptz) END "
        "FROM unnest(CAST(:id AS bigint[]), CAST(:state AS text[]), CAST(:code AS text[]), CAST(:answer AS text[]), "
        "CAST(:foreign_id AS text[]), CAST(:due_at AS timestamptz[]), CAST(:attempts AS bigint[])) "
        "AS n(id, state, code, answer, foreign_id, due_at, attempts) "
        "WHERE d.id = n.id AND d.state = ANY(:before) AND d.claim = :claim "
        "AND (d.state <> 'uncertain' OR n.state <> 'deferred')"
    )
