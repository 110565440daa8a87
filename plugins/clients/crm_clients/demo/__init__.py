"""The clients of the demo company: 900 firms, 2,400 people, 22,000 calls, letters and meetings of a year."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from crm_clients import schemas
from crm_clients.demo import numbers, words
from crm_clients.entities import (
    COMPANIES,
    COMPANY,
    INTERACTION,
    PERSON,
    PERSONS,
    prepare_company,
    prepare_interaction,
    prepare_person,
)
from crm_clients.i18n import _
from crm_core import clock, notify
from crm_core.demo.company import FIRMS, HOMES
from crm_core.demo.context import TIME_ZONE, DemoContext
from crm_core.records import cleaning
from crm_core.records.gate import principal_id

FIRMS_COUNT, BRANCHES, PEOPLE, PRIVATE, INTERACTIONS = 870, 30, 2400, 700, 22_000
YEAR = 365
IMPORTED = 428
"""Days ago: when the old base was brought in."""
LEFT = 12
"""Days ago: when one of the managers left."""
ILL = (62, 75)
"""Days ago: when another one was ill."""
MISTAKEN = 240
DAILY = 45
"""Days in which calls were written down each evening."""

_ALIVE = {"deleted_at": None, "deleted_op": None}


@dataclass
class _Client:
    """A client on the way into the journal: its row, and what chooses its calls."""

    entity: str
    row: dict[str, Any]
    made: dt.datetime
    by: int
    weight: float
    company: _Client | None = None
    last: dt.datetime | None = None


@dataclass
class _Demo:
    context: DemoContext
    tags: dict[str, int]
    phones: set[str] = field(default_factory=set)
    companies: list[_Client] = field(default_factory=list)
    people: list[_Client] = field(default_factory=list)


def fill(context: DemoContext) -> None:
    """Write down the clients, the year behind them, and what is there to be found."""
    demo = _Demo(context, context.tags(words.TAGS))
    _make_companies(demo)
    _make_people(demo)
    _write_clients(demo)
    _make_interactions(demo)
    _make_edits(demo)
    _make_to_be_found(demo)
    context.index(COMPANIES, [one.row for one in demo.companies])
    context.index(PERSONS, [one.row for one in demo.people])


# -- who they are ------------------------------------------------------------------------------------------------------


def _owner(demo: _Demo, *, private: bool) -> int | None:
    chances = (
        [("manager3", 74), ("manager", 8), ("left", 10), ("head", 4), ("", 4)]
        if private
        else [("manager", 38), ("manager2", 36), ("left", 12), ("head", 8), ("director", 2), ("", 4)]
    )
    login = _pick(demo, chances)
    return demo.context.people[login] if login else None


def _pick(demo: _Demo, chances: Sequence[tuple[str, int]]) -> str:
    return demo.context.random.choices([one for one, _n in chances], [number for _one, number in chances])[0]


def _moment(demo: _Demo, oldest: int = YEAR) -> dt.datetime:
    days = _days(demo.context, oldest)
    ago = demo.context.random.choices([day for day, _w in days], [weight for _d, weight in days])[0]
    return demo.context.at(ago, demo.context.random.randint(9, 17), demo.context.random.randint(0, 59))


_DAYS: dict[tuple[dt.date, int], list[tuple[int, float]]] = {}


def _days(context: DemoContext, oldest: int) -> list[tuple[int, float]]:
    key = (context.today, oldest)
    if key not in _DAYS:
        _DAYS[key] = context.working_days(oldest)
    return _DAYS[key]


def _came(demo: _Demo, owner: int | None, share_imported: float, after: dt.datetime | None = None) -> tuple[Any, int]:
    """Return when a client was made and by whom: brought in with the old base, or met in the year."""
    context, people = demo.context, demo.context.people
    if after is None and context.random.random() < share_imported:
        return context.at(IMPORTED, 15), people["admin"]
    made = _moment(demo)
    if after is not None and made < after:
        made = after + dt.timedelta(minutes=context.random.randint(3, 50))
    if owner == people["left"] and made > context.at(LEFT + 1, 12):
        made = context.at(LEFT + 20, 12)
    return made, owner or people["head"]


def _status(demo: _Demo) -> str:
    return _pick(demo, [("active", 38), ("regular", 27), ("new", 15), ("paused", 9), ("former", 7), ("unsuitable", 4)])


def _some_tags(demo: _Demo) -> list[int]:
    random = demo.context.random
    count = random.choices((0, 1, 2), (55, 33, 12))[0]
    return sorted(demo.tags[name] for name in random.sample(list(demo.tags), count))


def _base(demo: _Demo, number: int, owner: int | None, made: dt.datetime, by: int) -> dict[str, Any]:
    return {
        "id": number,
        "owner_id": owner,
        "team_id": demo.context.department_of.get(owner or 0),
        "created_at": made,
        "created_by": by,
        "tags": _some_tags(demo),
        "extra": {},
        "source": _pick(demo, words.SOURCES),
        "status": _status(demo),
        "last_contact_at": None,
        "comment": None,
        **_ALIVE,
    }


def _make_companies(demo: _Demo) -> None:
    context, random = demo.context, demo.context.random
    names = [(trade, kind, place) for trade, kind in words.TRADES for place in words.PLACES]
    random.shuffle(names)
    ids = context.numbers("clients_company", FIRMS_COUNT + BRANCHES)
    for place, number in enumerate(ids[:FIRMS_COUNT]):
        trade, kind, where = names[place]
        owner = _owner(demo, private=False)
        made, by = _came(demo, owner, 0.58)
        row = {**_base(demo, number, owner, made, by), **_requisites(demo, place, trade, kind, where)}
        row["parent_id"] = None
        demo.companies.append(_Client(COMPANY, row | prepare_company(row), made, by, random.expovariate(1)))
    heads = random.sample([one for one in demo.companies if one.row["kind"] in ("ooo", "ao", "pao")], BRANCHES)
    for head, number in zip(heads, ids[FIRMS_COUNT:], strict=True):
        city = random.choice(words.CITIES[1:])[0]
        made, by = _came(demo, head.row["owner_id"], 0.3, after=head.made)
        row = {
            **head.row,
            **_base(demo, number, head.row["owner_id"], made, by),
            "name": f"{head.row['name']}, филиал {city}",
            "city": city,
            "parent_id": head.row["id"],
            "kpp": head.row["kpp"] and head.row["kpp"][:4] + "43001",
            "phones": [_phone(numbers.landline(random, demo.phones), "work")],
            "emails": [],
            "site": None,
            "postal_address": _address(demo, city),
        }
        demo.companies.append(_Client(COMPANY, row | prepare_company(row), made, by, random.expovariate(1)))


def _requisites(demo: _Demo, place: int, trade: str, kind: str, where: str) -> dict[str, Any]:
    random = demo.context.random
    name = f"{trade} {where}"
    city = _pick(demo, words.CITIES)
    last, first, middle, _female = _name(demo)
    alone = kind in ("ip", "self_employed")
    title = where.strip("«»") if where.startswith("«") else name
    legal = {
        "ip": f"ИП {last} {first} {middle}",
        "self_employed": f"{last} {first} {middle}",
        "ooo": f"ООО «{title}»",
        "ao": f"АО «{title}»",
        "pao": f"ПАО «{title}»",
    }[kind]
    year = random.randint(2003, 2023)
    filled = random.random() < 0.8
    host = cleaning.transliterate(cleaning.sort_key(name)).replace(" ", "-")
    host = "".join(sign for sign in host if sign.isalnum() or sign == "-").strip("-")
    return {
        "kind": kind,
        "name": name,
        "legal_name": legal,
        "inn": (numbers.inn_of_trader if alone else numbers.inn_of_firm)(10_103 + place) if filled else None,
        "kpp": None if alone or not filled else "006301001",
        "ogrn": None if not filled else (numbers.ogrnip if alone else numbers.ogrn)(place + 1, year),
        "legal_address": _address(demo, city) if filled else None,
        "postal_address": _address(demo, city),
        "city": city,
        "bank": "Банк «Пример»" if filled else None,
        "bik": numbers.BIK if filled else None,
        "account": numbers.account(place + 1) if filled else None,
        "corr_account": numbers.correspondent_account() if filled else None,
        "signatory": f"{last} {first} {middle}" if filled else None,
        "signatory_title": None if alone or not filled else "Директор",
        "signatory_grounds": None if not filled else "ОГРНИП" if alone else "устава",
        "phones": [_phone(numbers.landline(random, demo.phones), "work")],
        "emails": [_mail(f"info@{host}.example", "work")] if random.random() < 0.7 else [],
        "site": f"https://{host}.example" if random.random() < 0.5 else None,
    }


def _address(demo: _Demo, city: str) -> str:
    random = demo.context.random
    return f"г. {city}, ул. {random.choice(words.STREETS)}, д. {random.randint(1, 180)}"


def _mail(address: str, kind: str) -> dict[str, Any]:
    return {"value": address, "type": kind, "main": True}


def _phone(number: str, kind: str) -> dict[str, Any]:
    return {"value": number, "type": kind, "main": True}


def _name(demo: _Demo) -> tuple[str, str, str, bool]:
    random = demo.context.random
    female = random.random() < 0.48
    last = random.choice(words.SURNAMES)[female]
    first = random.choice(words.WOMEN if female else words.MEN)
    return last, first, random.choice(words.PATRONYMICS)[female], female


def _make_people(demo: _Demo) -> None:
    context, random = demo.context, demo.context.random
    ids = context.numbers("clients_person", PEOPLE)
    for place, number in enumerate(ids):
        company = None
        if place < PEOPLE - PRIVATE:
            # Everybody has somebody; some have many.
            company = demo.companies[place] if place < len(demo.companies) else random.choice(demo.companies)
        owner = company.row["owner_id"] if company else _owner(demo, private=True)
        if company is not None and (company.made == context.at(IMPORTED, 15) and random.random() < 0.7):
            made, by = company.made, company.by
        else:
            made, by = _came(demo, owner, 0.5, after=company.made if company else None)
        row = {**_base(demo, number, owner, made, by), **_person(demo, number, company)}
        client = _Client(PERSON, row | prepare_person(row), made, by, random.expovariate(1), company)
        demo.people.append(client)


def _person(demo: _Demo, number: int, company: _Client | None) -> dict[str, Any]:
    random = demo.context.random
    last, first, middle, _female = _name(demo)
    login = f"{cleaning.transliterate(first[0]).lower()}.{cleaning.transliterate(last).lower()}".replace("'", "")
    phones = [_phone(numbers.mobile(random, demo.phones), "mobile")]
    if company is not None and random.random() < 0.25:
        phones.append({"value": company.row["phones"][0]["value"], "type": "work"})
    elif random.random() < 0.06:
        phones.append({"value": numbers.mobile(random, demo.phones), "type": "mobile", "off": True})
    host = "pochta.example"
    if company is not None and company.row["emails"]:
        host = company.row["emails"][0]["value"].partition("@")[2]
    mail = f"{login}{number if host == 'pochta.example' else ''}@{host}"
    born = demo.context.today - dt.timedelta(days=random.randint(23 * 365, 68 * 365))
    city = company.row["city"] if company else _pick(demo, words.CITIES)
    return {
        "last_name": last,
        "first_name": first,
        "middle_name": middle if random.random() < 0.85 else None,
        "job_title": random.choice(words.JOBS) if company else None,
        "company_id": company.row["id"] if company else None,
        "phones": phones,
        "emails": [_mail(mail, "work" if company else "home")] if random.random() < 0.72 else [],
        "messengers": [{"value": f"@{login.replace('.', '_')}", "type": "telegram"}] if random.random() < 0.3 else [],
        "birthday": born if random.random() < 0.35 else None,
        "city": city,
        "address": None if company else _address(demo, city),
        "budget": random.choice((40, 60, 85, 120, 180, 250, 400, 650)) * 1000 if random.random() < 0.3 else None,
    }


# -- how they came -----------------------------------------------------------------------------------------------------


def _write_clients(demo: _Demo) -> None:
    """Write down who made which clients when: the old base as an import, the others day by day."""
    context = demo.context
    made: dict[tuple[dt.datetime, int], dict[str, list[_Client]]] = {}
    imported_at, evening = context.at(IMPORTED, 15), _evenings(context, _days(context, YEAR))
    for one in (*demo.companies, *demo.people):
        # Somebody's clients of one evening are one operation, else there would be thousands.
        day = one.made
        if day != imported_at:
            ago = (context.today - day.astimezone(clock.zone(TIME_ZONE)).date()).days
            day = context.at(evening.get(ago, ago), 17, 0)
        made.setdefault((day, one.by), {}).setdefault(one.entity, []).append(one)
    for (at, by), clients in made.items():
        imported = at == imported_at
        step: dict[str, Any] = {"kind": "import", "note": "Клиенты из 1С.xlsx", "source": "job"} if imported else {}
        companies, people = clients.get(COMPANY, []), clients.get(PERSON, [])
        alone = [*companies, *people]
        step["entity"] = PERSON if people else COMPANY
        if len(alone) == 1:
            step["record_id"] = alone[0].row["id"]
        context.insert("clients_company", [_fresh(one) for one in companies], at=at, by=by, **step)
        context.insert("clients_person", [_fresh(one) for one in people], at=at, by=by, **step, joined=bool(companies))
        context.insert("clients_membership", _memberships(demo, people), at=at, by=by, joined=True)


def _fresh(client: _Client) -> dict[str, Any]:
    return client.row


def _memberships(demo: _Demo, people: Sequence[_Client]) -> list[dict[str, Any]]:
    random = demo.context.random
    return [
        {
            "person_id": one.row["id"],
            "company_id": one.company.row["id"],
            "role": random.choice(words.ROLES) if random.random() < 0.5 else None,
            "created_at": one.made,
        }
        for one in people
        if one.company is not None
    ]


# -- a year ------------------------------------------------------------------------------------------------------------


def _make_interactions(demo: _Demo) -> None:
    """Write down a year of calls and letters, more in the season, none on holidays."""
    context, random = demo.context, demo.context.random
    clients = sorted((*demo.people, *demo.companies), key=lambda one: one.made)
    # Every seventh has not been heard of for long.
    weights = list(accumulate(0.0 if place % 7 == 0 else 0.3 + one.weight for place, one in enumerate(clients)))
    known = [one.made for one in clients]
    days = _days(context, YEAR)
    total = sum(weight for _day, weight in days)
    by_group: dict[tuple[int, int], list[dict[str, Any]]] = {}
    evening = _evenings(context, days)
    for ago, weight in days:
        count = round(INTERACTIONS * weight / total)
        until = bisect_right(known, context.at(ago, 9))
        if until == 0:
            continue
        for client in random.choices(clients[:until], cum_weights=weights[:until], k=count):
            who = _who(demo, client, ago)
            by_group.setdefault((evening[ago], who), []).append(_interaction(demo, client, ago, who))
    ids = iter(context.numbers("clients_interaction", sum(map(len, by_group.values()))))
    for (ago, who), rows in by_group.items():
        rows.sort(key=lambda row: row["at"])
        for row in rows:
            row["id"] = next(ids)
        at = max(rows[-1]["created_at"], context.at(ago, 17, 59))
        context.insert("clients_interaction", rows, at=at, by=who, entity=INTERACTION)


def _evenings(context: DemoContext, days: Sequence[tuple[int, float]]) -> dict[int, int]:
    """Return when the calls of a day were written down: that evening, long ago by the end of the week.

    Each evening is an operation, and this makes thousands of them hundreds.
    """
    weeks: dict[tuple[int, int], int] = {}
    for ago, _weight in days:
        year, week, _day = (context.today - dt.timedelta(days=ago)).isocalendar()
        weeks[year, week] = min(ago, weeks.get((year, week), ago))
    result = {}
    for ago, _weight in days:
        year, week, _day = (context.today - dt.timedelta(days=ago)).isocalendar()
        result[ago] = ago if ago <= DAILY else weeks[year, week]
    return result


def _who(demo: _Demo, client: _Client, ago: int) -> int:
    people, random = demo.context.people, demo.context.random
    owner = client.row["owner_id"]
    if random.random() < 0.09:
        return people["engineer"] if ago < 295 and random.random() < 0.4 else people["support"]
    ill = owner == people["manager2"] and ILL[0] <= ago <= ILL[1]
    absent = (owner == people["left"] and ago <= LEFT) or (owner == people["manager3"] and ago > 378)
    return people["head"] if owner is None or ill or absent else owner


_KINDS = (
    ("call", "in", 22), ("call", "out", 30), ("letter", "in", 8), ("letter", "out", 10), ("message", "in", 7),
    ("message", "out", 4), ("meeting", None, 5), ("visit", None, 5), ("sms", "out", 3), ("note", None, 6),
)  # fmt: skip
_SENTENCES: dict[tuple[str, str | None], Sequence[str]] = {
    ("call", "in"): words.CALLS_IN,
    ("call", "out"): words.CALLS_OUT,
    ("letter", "in"): words.LETTERS_IN,
    ("letter", "out"): words.LETTERS_OUT,
    ("message", "in"): words.MESSAGES,
    ("message", "out"): words.MESSAGES[1:3],
    ("meeting", None): words.MEETINGS,
    ("visit", None): words.VISITS,
    ("sms", "out"): words.SMS,
    ("note", None): words.NOTES,
}
_KIND_WEIGHTS = [number for _kind, _direction, number in _KINDS]


def _interaction(demo: _Demo, client: _Client, ago: int, who: int) -> dict[str, Any]:
    context, random = demo.context, demo.context.random
    kind, direction, _n = random.choices(_KINDS, _KIND_WEIGHTS)[0]
    at = context.at(ago, random.randint(9, 17), random.randint(0, 59))
    outcome = None
    if kind == "call":
        outcome = random.choices(("reached", "agreed", "call_back", "missed", "refused"), (58, 14, 12, 12, 4))[0]
    missed = outcome == schemas.MISSED
    sentence = random.choice(_SENTENCES[kind, direction])
    next_step = random.choice(words.NEXT_STEPS) if random.random() < 0.18 else None
    row: dict[str, Any] = {
        "id": 0,
        **_subject(client),
        "kind": kind,
        "direction": direction,
        "at": at,
        "duration_s": random.randint(35, 840) if kind == "call" and not missed else None,
        "outcome": outcome,
        "text": None if missed else sentence.format(what=random.choice(words.EQUIPMENT), area=random.randint(14, 320)),
        "next_step": None if missed or kind == schemas.NOTE else next_step,
        **_written(demo, who, at),
    }
    if kind != schemas.NOTE and not missed:
        _spoken(client, at)
    return row | prepare_interaction(row)


def _subject(client: _Client) -> dict[str, Any]:
    return {"subject_entity": client.entity, "subject_id": client.row["id"]}


def _written(demo: _Demo, who: int, at: dt.datetime) -> dict[str, Any]:
    return {
        "owner_id": who,
        "team_id": demo.context.department_of.get(who),
        "created_at": at,
        "created_by": who,
        "tags": [],
        "extra": {},
        **_ALIVE,
    }


def _spoken(client: _Client, at: dt.datetime) -> None:
    for one in (client, client.company):
        if one is not None and (one.last is None or one.last < at):
            one.last = at


def _make_edits(demo: _Demo) -> None:
    """Write down changes of a year: how new clients became regular ones."""
    context, random = demo.context, demo.context.random
    for one in random.sample(demo.companies, 220) + random.sample(demo.people, 180):
        if one.row["status"] == schemas.NEW or one.row["owner_id"] in (None, context.people["left"]):
            continue
        at = one.made + (context.at(2, 12) - one.made) * random.random()
        final = one.row["status"]
        if at <= one.made:
            continue
        # The journal keeps the very row, so it is given the status of its first day here.
        table = "clients_company" if one.entity == COMPANY else "clients_person"
        context.update(
            table, [{"id": one.row["id"], "status": final}], at=at, by=one.row["owner_id"], entity=one.entity,
            record_id=one.row["id"],
        )  # fmt: skip
        one.row["status"] = schemas.NEW


# -- to be found -------------------------------------------------------------------------------------------------------


def _make_to_be_found(demo: _Demo) -> None:
    _missed_call(demo)
    _unfinished_double(demo)
    _last_contacts(demo)
    _mistaken_edit(demo)
    _shares(demo)
    _views(demo)


def _missed_call(demo: _Demo) -> None:
    """Let somebody have called this morning whom nobody has called back."""
    context = demo.context
    manager = context.people["manager"]
    local = context.now.astimezone(clock.zone(TIME_ZONE))
    today = local.weekday() < 5 and local.hour >= 10
    at = context.at(0, 9, 12) if today else context.at(_days(context, 14)[0][0], 17, 52)
    mine = [one for one in demo.people if one.row["owner_id"] == manager and "VIP" in _tag_names(demo, one)]
    client = max(mine, key=lambda one: one.weight)
    row = {
        "id": context.numbers("clients_interaction", 1)[0],
        **_subject(client),
        "kind": schemas.CALL,
        "direction": schemas.INCOMING,
        "at": at,
        "duration_s": None,
        "outcome": schemas.MISSED,
        "text": None,
        "next_step": "Перезвонить",
        **_written(demo, manager, at),
        "created_by": None,
    }
    context.insert("clients_interaction", [row | prepare_interaction(row)], at=at, by=None, entity=INTERACTION,
                   record_id=row["id"], source="job")  # fmt: skip
    notify.notify(
        context.session,
        [manager],
        key=f"clients.missed:{row['id']}",
        kind="client",
        title=_("Missed call: ${client}"),
        values={"client": client.row["full_name"]},
        href=f"{PERSONS.url}/{client.row['id']}",
    )


def _tag_names(demo: _Demo, client: _Client) -> set[str]:
    return {name for name, number in demo.tags.items() if number in client.row["tags"]}


def _unfinished_double(demo: _Demo) -> None:
    """Let one woman be there twice, with one telephone: two managers met her."""
    context = demo.context
    first = next(one for one in demo.people if one.row["owner_id"] == context.people["manager"] and one.company is None)
    number = context.numbers("clients_person", 1)[0]
    owner = context.people["manager2"]
    made = context.at(_days(context, 14)[1][0], 11, 26)
    row = {
        **first.row,
        "id": number,
        "owner_id": owner,
        "team_id": context.department_of.get(owner),
        "created_at": made,
        "created_by": owner,
        "middle_name": None,
        "phones": [dict(first.row["phones"][0])],
        "emails": [],
        "messengers": [],
        "birthday": None,
        "address": None,
        "tags": [],
        "source": "call",
        "status": schemas.NEW,
        "budget": None,
        "comment": "Просила перезвонить насчёт кондиционера.",
    }
    row |= prepare_person(row)
    context.insert("clients_person", [row], at=made, by=owner, entity=PERSON, record_id=number)
    demo.people.append(_Client(PERSON, row, made, owner, 0))


def _last_contacts(demo: _Demo) -> None:
    at = demo.context.now - dt.timedelta(minutes=5)
    for table, clients in (("clients_person", demo.people), ("clients_company", demo.companies)):
        rows = [{"id": one.row["id"], "last_contact_at": one.last} for one in clients if one.last is not None]
        demo.context.update(table, rows, at=at, by=None, kind="bulk", source="job", note="Последний контакт")


def _mistaken_edit(demo: _Demo) -> None:
    """Let the head of sales have called 240 working clients former ones: an edit to take back."""
    context = demo.context
    teams = {context.departments[name] for name in ("Продажи", FIRMS, HOMES)}
    chosen = [
        one
        for one in demo.companies
        if one.row["team_id"] in teams and one.row["status"] in (schemas.ACTIVE, schemas.REGULAR)
    ][:MISTAKEN]
    rows = [{"id": one.row["id"], "status": schemas.FORMER} for one in chosen]
    at = context.at(_days(context, 14)[0][0], 17, 41)
    context.update("clients_company", rows, at=at, by=context.people["head"], kind="bulk", entity=COMPANY, note="")


def _shares(demo: _Demo) -> None:
    """Let those without a role see the clients they work for."""
    context = demo.context
    for login, count in (("engineer", 14), ("user", 5)):
        principal = principal_id(context.session, "user", context.people[login])
        chosen = context.random.sample([one for one in demo.companies if one.row["owner_id"]], count)
        head = context.people["head"]
        at = context.at(20, 11, 5)
        rows = [
            {
                "entity": COMPANY,
                "record_id": one.row["id"],
                "principal_id": principal,
                "level": "view",
                "created_at": at,
                "created_by": head,
            }
            for one in chosen
        ]
        context.insert("core_grant", rows, at=at, by=head, kind="share", entity=COMPANY)


def _views(demo: _Demo) -> None:
    context = demo.context
    head = context.people["head"]
    at = context.at(200, 10, 15)
    rows = [
        {"entity": entity, "name": name, "owner_id": head, "query": query, "shared": "all", "team_id": None,
         "created_at": at}
        for entity, name, query in (
            (PERSON, "Нет контакта больше 30 дней", {"f": ["owner_id:any:me", "no_contact:is:30"]}),
            (PERSON, "Новые за неделю", {"f": ["created_at:period:last7"], "sort": "-created_at"}),
            (COMPANY, "Постоянные клиенты", {"f": ["status:any:regular"]}),
            (COMPANY, "VIP", {"f": [f"tags:any:{demo.tags['VIP']}"]}),
        )
    ]  # fmt: skip
    context.insert("core_view", rows, at=at, by=head, entity="core.view")
