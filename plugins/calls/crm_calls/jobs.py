"""Telephony outside requests: keep the connections, dial, fetch recordings, end what nobody ended."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from crm_calls import gateways, services
from crm_calls.contract import MAX_RECORDING, ContractError, read_event
from crm_calls.fetching import FetchError, allowed_hosts, fetch
from crm_calls.gateways import Account
from crm_calls.i18n import _
from crm_core import files
from crm_core.company import Company
from crm_core.jobs import SECRETS, STANDING, JobContext, JobError
from crm_core.records import saving
from crm_core.specs import Job

log = structlog.get_logger(__name__)

LISTEN, TEST, SWEEP = gateways.CHANGED, "calls.test", "calls.sweep"
HOSTS = "calls.recording_hosts"

#: Seconds between looks at whether gateways were changed.
LOOK_SECONDS = 5.0
BACK_OFF = (1.0, 2.0, 5.0, 10.0, 30.0)
_CONNECTED, _FAILED, _EVENT = "connected", "failed", "event"


class _Listener(threading.Thread):
    """Keeps the connection to one gateway and puts what it tells into the inbox."""

    def __init__(self, account: Account, adapter: Any, inbox: queue.Queue[tuple[int, str, Any]]) -> None:
        super().__init__(name=f"calls-{account.id}", daemon=True)
        self.account, self.adapter, self.inbox = account, adapter, inbox
        self.stop = threading.Event()

    def run(self) -> None:
        failures = 0
        while not self.stop.is_set():
            try:
                fresh = True
                for event in self.adapter.listen(self.account, self.stop):
                    if fresh:
                        fresh, failures = False, 0
                        self._put(_CONNECTED, None)
                    if event is not None:
                        self._put(_EVENT, event)
            except Exception as error:  # whatever ends a connection, it is made again
                log.warning("telephony_lost", gateway=self.account.id, error=f"{type(error).__name__}: {error}")
                self._put(_FAILED, str(error) or type(error).__name__)
            self.stop.wait(BACK_OFF[min(failures, len(BACK_OFF) - 1)])
            failures += 1

    def _put(self, kind: str, what: Any) -> None:
        while not self.stop.is_set():
            with contextlib.suppress(queue.Full):
                self.inbox.put((self.account.id, kind, what), timeout=0.5)
                return


def listen(context: JobContext) -> dict[str, Any]:
    """Keep a connection to every gateway that listens, for as long as there are any; events are taken one by one."""
    inbox: queue.Queue[tuple[int, str, Any]] = queue.Queue(maxsize=1000)
    listeners: dict[int, _Listener] = {}
    taken, looked = 0, -LOOK_SECONDS
    try:
        while True:
            context.check()
            if time.monotonic() - looked >= LOOK_SECONDS:
                looked = time.monotonic()
                _tend(context, listeners, inbox)
                if not listeners:
                    return {"taken": taken}
            with contextlib.suppress(queue.Empty):
                gateway_id, kind, what = inbox.get(timeout=0.5)
                _note(context, gateway_id, kind, what)
                taken += kind == _EVENT
    finally:
        for one in listeners.values():
            one.stop.set()


def _tend(context: JobContext, listeners: dict[int, _Listener], inbox: queue.Queue[tuple[int, str, Any]]) -> None:
    known = gateways.adapters(context.plugins)
    with context.transaction() as session:
        found = gateways.accounts(session)
    wanted = {one.id: one for one in found if one.adapter in known and known[one.adapter].listens}
    for number, listener in list(listeners.items()):
        if wanted.get(number) != listener.account:
            listener.stop.set()
            del listeners[number]
    for number, account in wanted.items():
        if number not in listeners:
            listeners[number] = _Listener(account, known[account.adapter], inbox)
            listeners[number].start()


def _note(context: JobContext, gateway_id: int, kind: str, what: Any) -> None:
    if kind == _EVENT:
        _take(context, gateway_id, what)
        return
    with context.transaction() as session:
        if kind == _CONNECTED:
            gateways.connected(session, gateway_id)
        else:
            gateways.failed(session, gateway_id, what)


def _take(context: JobContext, gateway_id: int, told: Mapping[str, Any]) -> None:
    try:
        event = read_event(told)
    except ContractError as error:
        log.warning("telephony_event_refused", gateway=gateway_id, error=str(error))
        return
    for _attempt in range(3):
        try:
            with context.transaction() as session:
                services.take(services.telephony(session, context.plugins), gateway_id, event)
                gateways.heard(session, gateway_id)
        except saving.Conflict:
            continue  # somebody wrote down what was said just then
        except ContractError as error:
            log.info("telephony_event_alone", gateway=gateway_id, error=str(error))
        return


def originate(context: JobContext, call_id: int) -> dict[str, Any]:
    """Ask a gateway to dial, once: a job that is run again after a crash does not ring a second time."""
    with context.transaction() as session:
        call = services.may_dial_now(services.telephony(session, context.plugins), call_id)
        if call is None:
            return {}
        found = gateways.accounts(session, [call.gateway_id or 0])
        line, number, name = call.line or "", call.number, call.foreign_id or ""
    known = gateways.adapters(context.plugins)
    try:
        if not found or found[0].adapter not in known:
            raise JobError(_("This telephony is switched off."))
        known[found[0].adapter].originate(found[0], line, number, name)
    except Exception as error:
        log.warning("telephony_not_dialled", call=call_id, error=f"{type(error).__name__}: {error}")
        with context.transaction() as session:
            services.not_dialled(services.telephony(session, context.plugins), call_id, str(error))
    return {}


def fetch_recording(context: JobContext, call_id: int, url: str) -> dict[str, Any]:
    """Fetch the recording of a call and keep it."""
    with context.transaction() as session:
        hosts = Company(session, context.plugins, session.info[SECRETS]).get(HOSTS)
        call = services.call_by_id(session, call_id)
        if call is None or call.recording:
            return {}
    try:
        stream = fetch(url, limit=MAX_RECORDING, allowed=allowed_hosts(str(hosts)))
    except FetchError as error:
        # An exchange may need a moment to publish what it has just recorded.
        log.warning("recording_not_fetched", call=call_id, error=str(error))
        raise
    with stream, context.transaction() as session:
        gate = services.telephony(session, context.plugins)
        call = services.call_by_id(session, call_id)
        if call is not None:
            store = files.Store(Path(context.settings.get("crm.data", "var")) / "files")
            services.keep_recording(gate, store, call, stream, limit=MAX_RECORDING)
    return {}


def test(context: JobContext, gateway_id: int) -> dict[str, Any]:
    """Connect to a gateway and write down what it said."""
    with context.transaction() as session:
        found = gateways.accounts(session, [gateway_id])
    known = gateways.adapters(context.plugins)
    if not found or found[0].adapter not in known:
        raise JobError(_("This telephony is switched off."))
    try:
        said = known[found[0].adapter].test(found[0])
    except Exception as error:
        with context.transaction() as session:
            gateways.failed(session, gateway_id, str(error) or type(error).__name__)
        raise JobError(str(error)) from error
    with context.transaction() as session:
        gateways.connected(session, gateway_id)
    return {"said": said}


def sweep(context: JobContext) -> dict[str, Any]:
    """End calls whose end nobody told."""
    with context.transaction() as session:
        return {"ended": services.end_forgotten(services.telephony(session, context.plugins))}


JOBS: tuple[Job, ...] = (
    Job(
        name=LISTEN, run=listen, title=_("Keep the connection to telephony"), queue=f"{STANDING}calls",
        cron="*/5 * * * *",
    ),
    Job(name=services.ORIGINATE, run=originate, title=_("Call by a click"), max_attempts=1),
    Job(name=services.FETCH, run=fetch_recording, title=_("Fetch the recording of a call"), timeout=400),
    Job(name=TEST, run=test, title=_("Check of telephony"), max_attempts=1, visible=True),
    Job(name=SWEEP, run=sweep, title=_("End calls whose end nobody told"), cron="*/10 * * * *"),
)  # fmt: skip
