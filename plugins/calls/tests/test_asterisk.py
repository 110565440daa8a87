"""Asterisk: what its events mean, and the line to it with all that can go wrong there."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from typing import Any

import pytest

from crm_calls import gateways, services
from crm_calls.asterisk import AmiError, AsteriskAdapter, Connection, Exchange, parse
from crm_calls.contract import read_event

LINES = frozenset({"101", "102"})


@pytest.fixture
def scripts(fake_exchange: Any) -> Any:
    """The module with what Asterisk says of calls."""
    return sys.modules["crm_calls_exchange"]


def heard(script: Any, exchange: Exchange | None = None) -> list[tuple[Any, ...]]:
    exchange = exchange or Exchange(LINES)
    told = [event for message in script.events for event in exchange.feed({k: str(v) for k, v in message.items()})]
    for event in told:
        read_event(event)
    return [(one["event"], one["direction"], ",".join(one["lines"]), one.get("result", "")) for one in told]


def test_an_answered_call_rings_on_both_and_is_talked_on_one(scripts: Any) -> None:
    assert heard(scripts.answered()) == [
        ("started", "in", "", ""),
        ("started", "in", "101", ""),
        ("started", "in", "102", ""),
        ("answered", "in", "101", ""),
        ("ended", "in", "101", "answered"),
    ]


def test_a_missed_call_ends_without_an_answer(scripts: Any) -> None:
    assert heard(scripts.missed())[-1] == ("ended", "in", "101", "cancelled")


def test_a_transfer_goes_to_the_second_line_and_the_question_between_is_no_call(scripts: Any) -> None:
    told = heard(scripts.transferred())

    assert [one for one in told if one[0] != "started"] == [
        ("answered", "in", "101", ""),
        ("answered", "in", "102", ""),
        ("ended", "in", "102", "answered"),
    ]


@pytest.mark.parametrize(
    ("status", "cause", "result"),
    [("ANSWER", 16, "answered"), ("BUSY", 17, "busy"), ("NOANSWER", 19, "no_answer"), ("CHANUNAVAIL", 34, "failed")],
)
def test_an_outgoing_call_says_how_it_ended(scripts: Any, status: str, cause: int, result: str) -> None:
    told = heard(scripts.outgoing(status=status, cause=cause))

    assert told[0] == ("started", "out", "101", "")
    assert told[-1] == ("ended", "out", "101", result)
    assert ("answered" in [one[0] for one in told]) == (status == "ANSWER")


def test_a_call_between_colleagues_is_nobodys_business(scripts: Any) -> None:
    assert heard(scripts.between_colleagues()) == []


def test_calls_at_the_same_time_do_not_mix(scripts: Any) -> None:
    first, second = scripts.answered("1.1"), scripts.missed("2.2", "79450000099")
    second.events = [
        {key: str(value).replace("provider-00000001", "provider-00000077") for key, value in one.items()}
        for one in second.events
    ]
    exchange = Exchange(LINES)
    mixed = [one for pair in zip(first.events, second.events, strict=False) for one in pair]
    mixed += first.events[len(second.events) :]

    told = [event for one in mixed for event in exchange.feed({k: str(v) for k, v in one.items()})]

    ends = {one["call"]: one["result"] for one in told if one["event"] == "ended"}
    assert ends == {"1.1": "answered", "2.2": "cancelled"}
    assert {one["number"] for one in told if one["call"] == "2.2"} == {"79450000099"}


def test_a_cdr_tells_of_a_call_that_was_talked_while_the_connection_was_away(scripts: Any) -> None:
    cdr = {
        "Event": "Cdr", "Source": "79450000044", "Destination": "101", "Channel": "PJSIP/provider-00000001",
        "DestinationChannel": "PJSIP/101-00000002", "Disposition": "ANSWERED", "BillableSeconds": "42",
        "UniqueID": "1753.9",
    }  # fmt: skip
    exchange = Exchange(LINES)

    (event,) = exchange.feed(cdr)

    assert (event["event"], event["direction"], event["seconds"], event["lines"]) == ("ended", "in", 42, ["101"])
    heard(scripts.answered("1753.10"), exchange)
    assert exchange.feed({**cdr, "UniqueID": "1753.10"}) == []
    assert exchange.feed({**cdr, "UniqueID": "1753.11", "Disposition": "NO ANSWER"}) == []


def test_a_recording_is_told_where_the_exchange_publishes_them(scripts: Any) -> None:
    script = scripts.answered()
    value = "/var/spool/asterisk/monitor/2026/07/24/in-101-79450000044.wav"
    variable = {"Event": "VarSet", "Variable": "MIXMONITOR_FILENAME", "Value": value, "Linkedid": "1753.1"}
    script.events.insert(-2, variable)

    exchange = Exchange(LINES, "https://pbx.example.org/rec/")
    told = [event for one in script.events for event in exchange.feed({k: str(v) for k, v in one.items()})]

    assert told[-1]["recording_url"] == "https://pbx.example.org/rec/2026/07/24/in-101-79450000044.wav"


def test_nonsense_in_events_is_no_fault() -> None:
    exchange = Exchange(LINES)
    for name in ("Newchannel", "DialBegin", "DialEnd", "BridgeEnter", "Hangup", "Cdr", "VarSet", "Nothing", ""):
        assert isinstance(exchange.feed({"Event": name}), list)
    assert parse("Event: X\r\nno colon\r\nKey: a: b\r\n") == {"Event": "X", "Key": "a: b"}


# -- the line ----------------------------------------------------------------------------------------------------------


def account(exchange: Any, **settings: str) -> gateways.Account:
    values = {"host": "127.0.0.1", "port": str(exchange.port), "user": "crm", **settings}
    return gateways.Account(1, "АТС", "asterisk", values, "тайна", LINES)


def test_the_connection_is_tried_with_name_and_password(fake_exchange: Any) -> None:
    adapter = AsteriskAdapter()

    assert adapter.test(account(fake_exchange)) == "Asterisk Call Manager/9.0.0"
    assert "тайна" not in str(fake_exchange.actions)
    with pytest.raises(AmiError, match="name and password"):
        adapter.test(dataclasses.replace(account(fake_exchange), password="другая"))
    fake_exchange.close()
    with pytest.raises(AmiError, match="does not answer at this address"):
        adapter.test(account(fake_exchange))


def test_events_are_heard_and_a_broken_line_is_told(fake_exchange: Any, scripts: Any) -> None:
    stop, found = threading.Event(), []
    events = AsteriskAdapter().listen(account(fake_exchange), stop)
    assert next(events) is None
    fake_exchange.wait_for_listener()

    fake_exchange.play(*scripts.answered().events)
    until = time.monotonic() + 10
    while len(found) < 5 and time.monotonic() < until:
        event = next(events)
        if event is not None:
            found.append(event["event"])
    assert found == ["started", "started", "started", "answered", "ended"]

    fake_exchange.hang_up()
    with pytest.raises(AmiError, match=r"closed the connection|is lost"):
        list(events)


def test_nothing_can_be_smuggled_into_an_action(fake_exchange: Any) -> None:
    with Connection("127.0.0.1", fake_exchange.port) as line:
        with pytest.raises(AmiError, match="cannot be sent"):
            line.ask("Originate", Exten="101\r\nAction: Command\r\nCommand: core stop now")
        assert line.ask("Ping")["Ping"] == "Pong"
    assert [one["Action"] for one in fake_exchange.actions] == ["Ping"]


# -- the whole way -----------------------------------------------------------------------------------------------------


@pytest.fixture
def connected(db: Any, plugins: Any, factories: Any, office: Any, fake_exchange: Any) -> Any:
    """The office with its lines at the exchange of loopback."""
    from crm_calls.models import Line

    exchange = office.connect("asterisk", port=str(fake_exchange.port), plus="")
    for line in db.query(Line):
        line.gateway_id = exchange.id
    db.flush()
    office.gateway = exchange
    return office


def test_a_click_rings_ones_own_line_and_dials(connected: Any, jobs: Any, fake_exchange: Any) -> None:
    person = connected.person()

    call = services.dial(connected.gate(connected.manager), "+7 945 000-00-44")
    jobs.run_all()

    asked = fake_exchange.last("Originate")
    assert (asked["Channel"], asked["Exten"], asked["Context"]) == ("PJSIP/101", "79450000044", "from-internal")
    assert asked["ChannelId"] == call.foreign_id
    (call,) = connected.calls()
    assert (call.status, call.direction, call.person_id) == ("ringing", "out", person.id)
    assert (call.owner_id, call.dialled_at is not None) == (connected.manager.id, True)


def test_the_events_of_a_click_are_those_of_the_same_call(connected: Any, jobs: Any, scripts: Any) -> None:
    call = services.dial(connected.gate(connected.manager), "+7 945 000-00-44")
    jobs.run_all()
    script = scripts.Script(call.foreign_id).channel(scripts.A, CallerIDNum="101", Exten="")
    script.other("DialBegin", DestChannel=scripts.A, DestUniqueid=call.foreign_id, DestLinkedid=call.foreign_id)
    script.channel(scripts.TRUNK, "t.1", Exten="")
    script.dial(scripts.A, scripts.TRUNK, DialString="79450000044@provider")
    script.dialled(scripts.A, scripts.TRUNK, "ANSWER").hang(scripts.TRUNK).hang(scripts.A)

    exchange = Exchange(LINES)
    for message in script.events:
        for event in exchange.feed({k: str(v) for k, v in message.items()}):
            services.take(connected.gate(), connected.gateway.id, read_event(event))

    (only,) = connected.calls()
    assert (only.status, only.result, only.direction) == ("ended", "answered", "out")


def test_a_job_that_runs_again_does_not_ring_again(connected: Any, jobs: Any, fake_exchange: Any, plugins: Any) -> None:
    call = services.dial(connected.gate(connected.manager), "+79450000044")
    jobs.run_all()

    assert services.may_dial_now(connected.gate(), call.id) is None
    assert [one["Action"] for one in fake_exchange.actions].count("Originate") == 1


def test_what_the_exchange_refuses_is_told(connected: Any, jobs: Any, fake_exchange: Any) -> None:
    fake_exchange.refuse_originate = True
    services.dial(connected.gate(connected.manager), "+79450000044")

    jobs.run_all()

    (call,) = connected.calls()
    assert (call.status, call.result) == ("failed", "failed")
    assert call.reason == "The exchange refused to dial: may its user originate calls?"
    assert [one.id for one in services.present(connected.gate(connected.manager))] == [call.id]


def test_the_check_writes_down_what_it_found(connected: Any, jobs: Any, db: Any, fake_exchange: Any) -> None:
    from crm_calls.models import Link
    from crm_core import jobs as core_jobs

    core_jobs.enqueue(db, "calls.test", gateway_id=connected.gateway.id)
    jobs.run_all()
    link = db.get(Link, connected.gateway.id)
    assert link.connected_at is not None
    assert not link.error

    fake_exchange.close()
    core_jobs.enqueue(db, "calls.test", gateway_id=connected.gateway.id)
    jobs.run_all(check=False)
    assert db.get(Link, connected.gateway.id).error == "The exchange does not answer at this address."
