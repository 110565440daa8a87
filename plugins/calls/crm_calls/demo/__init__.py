"""The telephony of the demo company: an exchange that tells by requests, lines of the sellers, a fortnight of calls."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa

from crm_calls.contract import BUSY, INCOMING, NO_ANSWER, OUTGOING, TALKED
from crm_calls.entities import CALL, CALLS, PERSON, prepare_call
from crm_calls.schemas import ENDED, MISSED, NOT_REACHED
from crm_core.demo.context import DemoContext
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject

COUNT, DAYS = 190, 14
LINES = (("101", "head"), ("102", "manager"), ("103", "manager2"), ("104", "manager3"), ("201", "support"))
STRANGER = "+79450009917"


def fill(context: DemoContext) -> None:
    """Write down the exchange, the lines, and calls of the last days with the clients there are."""
    gateway = context.numbers("calls_gateway", 1)[0]
    made = context.at(120, 10)
    admin = context.people["admin"]
    row: dict[str, Any] = {"id": gateway, "name": "АТС «Пример»", "adapter": "http", "settings": {}, "active": True}
    context.insert("calls_gateway", [{**row, "created_at": made}], at=made, by=admin, kind="settings")
    lines: list[dict[str, Any]] = [
        {"gateway_id": gateway, "number": number, "user_id": context.people[login], "team_id": None, "created_at": made}
        for number, login in LINES
        if login in context.people
    ]
    group: dict[str, Any] = {"gateway_id": gateway, "number": "600", "user_id": None, "created_at": made}
    lines.append({**group, "team_id": context.departments.get("Продажи")})
    context.insert("calls_line", lines, at=made, by=admin, kind="settings", joined=True)
    rows = _calls(context, gateway)
    for one in rows:
        context.insert(
            "calls_call",
            [one],
            at=one["ended_at"],
            by=None,
            kind="create",
            entity=CALL,
            record_id=one["id"],
            source="api",
        )
    context.index(CALLS, rows)


def _clients(context: DemoContext) -> list[Any]:
    person: Any = context.plugins.entities[PERSON].model
    numbers = [context.people[login] for _line, login in LINES if login in context.people]
    gate = Gate(context.session, Subject.system("demo"), context.plugins)
    columns = (person.id, person.owner_id, person.team_id, person.company_id, person.phones)
    rows = context.session.execute(
        gate.select(PERSON, *columns)
        .where(person.owner_id.in_(numbers), person.phones != sa.text("'[]'::jsonb"))
        .order_by(person.id)
    )
    return list(rows)


def _calls(context: DemoContext, gateway: int) -> list[dict[str, Any]]:
    random = context.random
    clients = _clients(context)
    line_of = {context.people[login]: number for number, login in LINES if login in context.people}
    days = context.working_days(DAYS)
    ids = context.numbers("calls_call", COUNT + 3)
    found = []
    for number in ids[:COUNT]:
        client = random.choice(clients)
        ago = random.choices([day for day, _w in days], [weight for _d, weight in days])[0]
        at = context.at(ago, random.randint(9, 17), random.randint(0, 59))
        incoming = random.random() < 0.45
        talked = random.random() < (0.88 if incoming else 0.7)
        seconds = int(random.lognormvariate(4.6, 0.8)) + 8 if talked else None
        found.append(
            _row(context, number, gateway, at, client, line_of[client.owner_id], incoming=incoming, seconds=seconds)
        )
    found += _to_be_found(context, ids[COUNT:], gateway, clients, line_of)
    return found


def _to_be_found(
    context: DemoContext, ids: list[int], gateway: int, clients: list[Any], line_of: dict[int, str]
) -> list[dict[str, Any]]:
    """Let the manager find a missed call of a client, and everybody a number that called twice and is nobody's."""
    manager = context.people["manager"]
    mine = next(one for one in clients if one.owner_id == manager)
    last = context.working_days(DAYS)[0][0]
    local = context.now.astimezone(dt.UTC)
    today = context.at(0, 9, 20)
    missed_at = today if today < local else context.at(last, 17, 40)
    missed = _row(context, ids[0], gateway, missed_at, mine, line_of[manager], incoming=True, seconds=None)
    found = [missed]
    for number, hour in zip(ids[1:], (11, 16), strict=True):
        at = context.at(last, hour, 7)
        row = _row(context, number, gateway, at, None, "600", incoming=True, seconds=None)
        row |= {"owner_id": context.people["head"], "number": STRANGER}
        row["team_id"] = context.department_of.get(context.people["head"])
        found.append(row | prepare_call(row))
    return found


def _row(
    context: DemoContext,
    number: int,
    gateway: int,
    at: dt.datetime,
    client: Any,
    line: str,
    *,
    incoming: bool,
    seconds: int | None,
) -> dict[str, Any]:
    random = context.random
    ring = random.randint(5, 24)
    talked = seconds is not None
    ended = at + dt.timedelta(seconds=ring + (seconds or 0))
    owner = client.owner_id if client is not None else None
    phones = client.phones if client is not None else []
    main = next((one["value"] for one in phones if one.get("main")), phones[0]["value"] if phones else "")
    row: dict[str, Any] = {
        "id": number,
        "owner_id": owner,
        "team_id": client.team_id if client is not None else None,
        "created_at": at,
        "created_by": None,
        "deleted_at": None,
        "deleted_op": None,
        "tags": [],
        "extra": {},
        "gateway_id": gateway,
        "foreign_id": f"demo-{number}",
        "direction": INCOMING if incoming else OUTGOING,
        "status": ENDED if talked else MISSED if incoming else NOT_REACHED,
        "result": TALKED if talked else NO_ANSWER if incoming else random.choice((NO_ANSWER, BUSY)),
        "reason": None,
        "number": main,
        "line": line,
        "path": [line] if talked else [],
        "rang": [owner] if owner is not None else [],
        "started_at": at,
        "answered_at": at + dt.timedelta(seconds=ring) if talked else None,
        "ended_at": ended,
        "dialled_at": None,
        "duration_s": seconds,
        "subject_entity": PERSON if client is not None else None,
        "subject_id": client.id if client is not None else None,
        "person_id": client.id if client is not None else None,
        "company_id": client.company_id if client is not None else None,
        "recording": None,
        "recording_type": None,
        "recording_size": None,
        "comment": None,
    }
    return row | prepare_call(row)
