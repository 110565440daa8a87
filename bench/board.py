"""What the board, its moves and the forecast cost over 200,000 deals: part of `make bench`."""

from __future__ import annotations

import argparse
import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session
from webtest import TestApp

from bench import company, load_deals
from bench.__main__ import Meter, show
from crm_core import settings
from crm_core.app import configure
from crm_core.cli.installation import Installation
from crm_core.jobs import environment
from crm_core.plugins import Plugins
from crm_core.records.gate import Gate
from crm_core.records.listing import ListQuery
from crm_core.security.sessions import Device, open_session
from crm_core.security.subject import load_subject
from crm_deals import services
from crm_deals.models import Deal
from crm_deals.services.board import Board, ways


def parts(session: Session, plugins: Plugins, meter: Meter, people: dict[str, int]) -> None:
    """Measure the cards of a board, its sums and a move, without pages; sums are checked against plain SQL."""
    pipeline = load_deals.pipelines(session)[0]
    for viewer in company.VIEWERS:
        subject = load_subject(session, people[viewer.key])
        assert subject is not None
        gate = Gate(session, subject, plugins)
        if not gate.may("deals.deal", "view"):
            continue
        way = next(one for one in ways(gate) if one.id == pipeline)
        stages = [stage.stage_id for stage in way.stages]
        asked = Board(gate, ListQuery())
        meter.measure("board: cards", viewer.title, partial(asked.cards, stages))
        meter.measure("board: sums", viewer.title, partial(asked.totals, stages))
        if viewer.key == "all":
            _check(session, asked, pipeline, stages)
    subject = load_subject(session, people["all"])
    assert subject is not None
    gate = Gate(session, subject, plugins)
    way = next(one for one in ways(gate) if one.id == pipeline)
    stages = [stage.stage_id for stage in way.stages]
    deal = session.scalars(gate.select("deals.deal").where(Deal.stage_id == stages[0]).limit(1)).one()
    turn = iter(range(10_000_000))

    def move() -> None:
        services.move(gate, deal, stages[1 + next(turn) % 4], version=deal.version)
        session.commit()

    meter.measure("board: move", "sees all", move)


def _check(session: Session, asked: Board, pipeline: int, stages: list[int]) -> None:
    plain = session.connection().execute(
        sa.text(
            "SELECT stage_id, count(*), sum(amount_base) FROM deals_deal "
            "WHERE pipeline_id = :pipeline AND deleted_at IS NULL GROUP BY stage_id"
        ),
        {"pipeline": pipeline},
    )
    expected = {row[0]: (row[1], row[2]) for row in plain}
    found = {number: (total.count, total.amount) for number, total in asked.totals(stages).items()}
    assert found == expected, "the sums of the board are not those of SQL"


def pages(application: Any, registry: Any, meter: Meter, people: dict[str, int]) -> None:
    """Measure whole requests: the first paint of the board, its sums, the forecast."""
    factory = registry["crm.session_factory"]
    for viewer in company.VIEWERS:
        with factory() as session:
            secret = open_session(session, people[viewer.key], Device("127.0.0.1", "bench"))
            pipeline = load_deals.pipelines(session)[0]
            session.commit()
        browser = TestApp(application, extra_environ={"HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1"})
        browser.set_cookie("crm", secret)
        url = f"/deals/board/{pipeline}"
        if browser.get(url, expect_errors=True).status_int != 200:
            continue
        ask = partial(browser.get, status=200)
        meter.measure("page: board", viewer.title, partial(ask, url))
        meter.measure("page: board, sums", viewer.title, partial(ask, f"{url}/totals"))
        meter.measure("page: forecast", viewer.title, partial(ask, "/deals/forecast/month/2026-11"))


def main() -> None:
    """Measure on the installation that `make bench-load` filled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("var/bench"))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with Installation.of(settings.load(data=given.data)).running() as installation:
        engine, factory, plugins = environment(installation.app_settings)
        meter = Meter(engine, given.rounds)
        with factory() as session:
            people = company.found(session)
            if not people or not load_deals.loaded(session):
                raise SystemExit("nothing to measure: make bench-load")
            deals = session.scalar(sa.text("SELECT reltuples::bigint FROM pg_class WHERE relname = 'deals_deal'"))
            parts(session, plugins, meter, people)
        config = configure({**installation.app_settings, "crm.engine": engine})
        pages(config.make_wsgi_app(), config.registry, meter, people)
        engine.dispose()
    if given.json:
        print(json.dumps({"deals": deals, "results": meter.results}, ensure_ascii=False, indent=1))
    else:
        show(meter.results, int(deals or 0), "deals")


if __name__ == "__main__":
    main()
