"""Measures lists, cards, saves and searches for people who see little and much, each beside the bare query of the same
work, and prints one table: `make bench`. Figures are milliseconds of one run; read them as ratios."""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from rich.console import Console
from rich.table import Table
from sqlalchemy.orm import Session
from webtest import TestApp

from bench import company
from crm_core import settings
from crm_core.app import configure
from crm_core.cli.installation import Installation
from crm_core.jobs import environment
from crm_core.plugins import Plugins
from crm_core.records import saving
from crm_core.records.gate import Gate
from crm_core.records.listing import Condition, Listing, ListQuery
from crm_core.records.searching import find
from crm_core.security.sessions import Device, open_session
from crm_core.security.subject import load_subject

PERSON = "clients.person"
RARE, FREQUENT, COMMON = "ковалевский", "ова", "иванов"


class Meter:
    """Counts statements and times calls."""

    def __init__(self, engine: sa.Engine, rounds: int) -> None:
        self.rounds = rounds
        self.statements = 0
        self.results: list[dict[str, Any]] = []
        sa.event.listen(engine, "before_cursor_execute", self._count)

    def _count(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            self.statements += 1

    def measure(self, what: str, who: str, work: Callable[[], Any], bare: Callable[[], Any] | None = None) -> None:
        """Time the work, and the bare query beside it, in turns."""
        work()
        times, beside, most = [], [], 0
        for _number in range(self.rounds):
            self.statements = 0
            started = time.perf_counter()
            work()
            times.append((time.perf_counter() - started) * 1000)
            most = max(most, self.statements)
            if bare is not None:
                started = time.perf_counter()
                bare()
                beside.append((time.perf_counter() - started) * 1000)
        times.sort()
        self.results.append(
            {
                "what": what,
                "who": who,
                "p50": statistics.median(times),
                "p95": times[max(int(len(times) * 0.95) - 1, 0)],
                "statements": most,
                "bare": statistics.median(beside) if beside else None,
            }
        )


def services(session: Session, plugins: Plugins, meter: Meter, people: dict[str, int]) -> None:
    """Measure the engine itself, without pages."""
    entity = plugins.entity(PERSON)
    tag = session.scalar(sa.text("SELECT id FROM core_tag WHERE name = 'VIP'"))
    for viewer in company.VIEWERS:
        subject = load_subject(session, people[viewer.key])
        assert subject is not None
        gate = Gate(session, subject, plugins)
        listing = Listing(gate, entity)
        deep = _deep(listing)
        first = listing.page(ListQuery()).rows
        own = Condition("owner_id", "any", (str(first[0].owner_id) if first else "me",))
        tagged = ListQuery(conditions=(own, Condition("tags", "any", (str(tag),))))
        bare = _bare(session)
        pages = {
            "list, default order": ListQuery(),
            "list, deep page": ListQuery(after=deep),
            "list, responsible + tag": tagged,
        }
        for what, query in pages.items():
            meter.measure(what, viewer.title, partial(listing.page, query), bare)
        for name, word in (("rare", RARE), ("frequent", FREQUENT), ("a common surname", COMMON)):
            searched = partial(listing.page, ListQuery(search=word))
            meter.measure(f"search in the list, {name}", viewer.title, searched)
            everywhere = partial(find, gate, word, entities=[PERSON])
            meter.measure(f"search everywhere, {name}", viewer.title, everywhere)
        if first:
            meter.measure("record through the gate", viewer.title, partial(_fresh, gate, first[len(first) // 2].id))
    session.rollback()
    subject = load_subject(session, people["all"])
    assert subject is not None
    gate = Gate(session, subject, plugins)
    number = session.scalar(sa.text("SELECT max(id) FROM clients_person"))
    counter = iter(range(10_000_000))

    def save() -> None:
        record = gate.get(entity, int(number or 0))
        saving.change(gate, entity, record, {"comment": f"bench {next(counter)}"})
        session.commit()

    meter.measure("save", "sees all", save)


def _fresh(gate: Gate, number: int) -> Any:
    gate.session.expire_all()
    return gate.get(PERSON, number)


def _deep(listing: Listing) -> str:
    page = listing.page(ListQuery(limit=200))
    for _number in range(40):
        if not page.next:
            break
        page = listing.page(ListQuery(limit=200, after=page.next))
    return page.next


def _bare(session: Session) -> Callable[[], Any]:
    statement = sa.text(
        "SELECT id, full_name, phones, emails, status, owner_id, last_contact_at, tags FROM clients_person "
        "WHERE deleted_at IS NULL ORDER BY name_sort, id LIMIT 51"
    )
    return lambda: session.connection().execute(statement).all()


def pages(application: Any, registry: Any, meter: Meter, people: dict[str, int]) -> None:
    """Measure whole requests: session, rights, work, template."""
    factory = registry["crm.session_factory"]
    for viewer in company.VIEWERS:
        with factory() as session:
            secret = open_session(session, people[viewer.key], Device("127.0.0.1", "bench"))
            session.commit()
        browser = TestApp(application, extra_environ={"HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1"})
        browser.set_cookie("crm", secret)
        ask = partial(browser.get, status=200)
        meter.measure("page: list", viewer.title, partial(ask, "/clients/people"))
        meter.measure("page: search, frequent", viewer.title, partial(ask, "/clients/people", {"q": FREQUENT}))
        rows = browser.get("/clients/people").html.select("a[href^='/clients/people/']")
        hrefs = [row["href"] for row in rows if row["href"].rpartition("/")[2].isdecimal()]
        if hrefs:
            meter.measure("page: card", viewer.title, partial(ask, hrefs[0]))


def show(results: list[dict[str, Any]], number: int, what: str = "people") -> None:
    """Print the table."""
    table = Table(title=f"{number:,} {what}".replace(",", " "))
    for column in ("what", "who", "p50 ms", "p95 ms", "SQL", "bare ms", "ratio"):
        table.add_column(column, justify="left" if column in ("what", "who") else "right")
    for one in results:
        bare = one["bare"]
        ratio = f"{one['p50'] / bare:.1f}" if bare else ""
        table.add_row(
            one["what"], one["who"], f"{one['p50']:.1f}", f"{one['p95']:.1f}", str(one["statements"]),
            f"{bare:.2f}" if bare else "", ratio,
        )  # fmt: skip
    Console(width=120).print(table)


def main() -> None:
    """Measure on the installation that `make bench-load` filled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("var/bench"))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--no-pages", action="store_true")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with Installation.of(settings.load(data=given.data)).running() as installation:
        engine, factory, plugins = environment(installation.app_settings)
        meter = Meter(engine, given.rounds)
        with factory() as session:
            people = company.found(session)
            if not people:
                raise SystemExit("nothing to measure: make bench-load CLIENTS=1000000")
            clients = session.scalar(sa.text("SELECT reltuples::bigint FROM pg_class WHERE relname = 'clients_person'"))
            services(session, plugins, meter, people)
        if not given.no_pages:
            config = configure({**installation.app_settings, "crm.engine": engine})
            pages(config.make_wsgi_app(), config.registry, meter, people)
        engine.dispose()
    if given.json:
        print(json.dumps({"clients": clients, "results": meter.results}, ensure_ascii=False, indent=1))
    else:
        show(meter.results, int(clients or 0))


if __name__ == "__main__":
    main()
