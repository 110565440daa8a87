"""Loads deals over three pipelines of eight stages, set-wise and through the triggers, beside what `bench.load` made.

`python -m bench.load_deals --data DIR --deals 200000`; part of `make bench-load`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import sqlalchemy as sa
from rich.progress import Progress
from sqlalchemy.orm import Session

from bench import company
from crm_core import settings
from crm_core.cli.installation import Installation, plugins_of, upgrade
from crm_core.jobs import environment
from crm_core.records import operations
from crm_core.security.subject import Subject

CHUNK = 20_000
PIPELINES = ("Bench: equipment", "Bench: turnkey", "Bench: service")
#: Name, probability, colour, kind, days until it rots, parts of a hundred of the deals that stand there.
STAGES = (
    ("Request", 10, "blue", "open", 7, 8),
    ("Need", 20, "teal", "open", 7, 7),
    ("Choice", 40, "indigo", "open", 10, 6),
    ("Offer", 50, "purple", "open", 10, 6),
    ("Agreement", 70, "orange", "open", 10, 5),
    ("Invoice", 90, "yellow", "open", 7, 3),
    ("Won", 100, "green", "won", None, 35),
    ("Lost", 0, "red", "lost", None, 30),
)

DEALS = sa.text(
    """
    INSERT INTO deals_deal (id, name, stage_id, amount, currency, owner_id, team_id, created_by, created_at,
        stage_since, expected_close, last_activity_at, person_id)
    SELECT n, 'Deal ' || n, stages[1 + n * 7907 % array_length(stages, 1)], (n % 900 + 1) * 1000, 'RUB',
        owners[slot], teams[slot], owners[slot], at, at + make_interval(hours => (n % 200)::int),
        (at + make_interval(days => (n % 120)::int))::date, at + make_interval(hours => (n % 150)::int),
        people[1 + n % greatest(array_length(people, 1), 1)]
    FROM (
        SELECT n, stages, owners, teams, people, 1 + (n * 7919 % array_length(owners, 1)) AS slot,
            CAST(:now AS timestamptz) - make_interval(mins => (n * 13 % 525600)::int) AS at
        FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n,
            (SELECT CAST(:stages AS bigint[]) AS stages, CAST(:owners AS bigint[]) AS owners,
                CAST(:teams AS bigint[]) AS teams, CAST(:people AS bigint[]) AS people) AS given
    ) AS dealt
    """
)
SEARCH = sa.text(
    """
    INSERT INTO core_search (entity, record_id, text, sort, owner_id, team_id)
    SELECT 'deals.deal', id, name_sort, name_sort, owner_id, team_id FROM deals_deal WHERE id BETWEEN :first AND :last
    """
)


def loaded(session: Session) -> bool:
    """Tell whether the deals of the benchmark are there."""
    return bool(session.scalar(sa.text("SELECT count(*) FROM deals_pipeline WHERE name LIKE 'Bench: %'")))


def pipelines(session: Session) -> list[int]:
    """Return the pipelines of the benchmark."""
    return list(session.scalars(sa.text("SELECT id FROM deals_pipeline WHERE name LIKE 'Bench: %' ORDER BY id")))


def _make_stages(session: Session) -> list[int]:
    """Make pipelines and stages; return every stage as often as its part of the deals."""
    dealt: list[int] = []
    run = session.connection().execute
    for place, name in enumerate(PIPELINES, 10):
        pipeline = run(
            sa.text(
                "INSERT INTO deals_pipeline (name, position, created_at) VALUES (:name, :place, now()) RETURNING id"
            ),
            {"name": name, "place": place},
        ).scalar_one()
        for position, (stage, probability, color, kind, rot, part) in enumerate(STAGES, 1):
            number = run(
                sa.text(
                    "INSERT INTO deals_stage (pipeline_id, name, title, position, place, probability, color, kind, "
                    "rot_days, created_at) VALUES (:pipeline, :name, :name, :position, :place, :probability, :color, "
                    ":kind, :rot, now()) RETURNING id"
                ),
                {
                    "pipeline": pipeline, "name": stage, "position": position, "place": place * 1000 + position,
                    "probability": probability, "color": color, "kind": kind, "rot": rot,
                },
            ).scalar_one()  # fmt: skip
            dealt += [number] * part
    return dealt


def load(session: Session, deals: int) -> float:
    """Load so many deals and commit in chunks; return the seconds it took."""
    started = time.monotonic()
    made = company.parts(session)
    owners = [owner for owner, _team, part in made for _number in range(part)]
    teams = [team for _owner, team, part in made for _number in range(part)]
    operations.begin(session, Subject.system("the load of the benchmark"), kind="load", source="cli")
    stages = _make_stages(session)
    session.commit()
    people = list(session.scalars(sa.text("SELECT id FROM clients_person ORDER BY id LIMIT 5000"))) or None
    first_id = session.scalar(sa.text("SELECT coalesce(max(id), 0) + 1 FROM deals_deal")) or 1
    values = {"stages": stages, "owners": owners, "teams": teams, "people": people}
    with Progress() as progress:
        task = progress.add_task("deals", total=deals)
        for first in range(first_id, first_id + deals, CHUNK):
            last = min(first + CHUNK, first_id + deals) - 1
            operations.begin(session, Subject.system("the load of the benchmark"), kind="load", source="cli")
            now = session.scalar(sa.text("SELECT now()"))
            session.connection().execute(DEALS, {**values, "first": first, "last": last, "now": now})
            session.connection().execute(SEARCH, {"first": first, "last": last})
            session.commit()
            progress.update(task, advance=last - first + 1)
    session.connection().execute(
        sa.text("SELECT setval(pg_get_serial_sequence('deals_deal', 'id'), (SELECT max(id) FROM deals_deal))")
    )
    session.commit()
    session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
    for table in ("deals_deal", "deals_stage_change", "core_search", "core_change"):
        session.connection().execute(sa.text(f"VACUUM (ANALYZE) {table}"))
    return time.monotonic() - started


def main() -> None:
    """Load into the installation of the benchmark, after its people."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deals", type=int, default=200_000)
    parser.add_argument("--data", type=Path, default=Path("var/bench"))
    given = parser.parse_args()
    ready = (given.data / "crm.ini").is_file()
    installation = Installation.of(settings.load(data=given.data) if ready else settings.create(given.data))
    with installation.running():
        upgrade(installation.settings, installation.database_url, plugins_of(installation.settings))
        engine, factory, _plugins = environment(installation.app_settings)
        with factory() as session:
            if loaded(session):
                print("the deals are loaded already; remove the folder to load others")
                return
            if not company.found(session):
                company.make(session)
                session.commit()
            seconds = load(session, given.deals)
        engine.dispose()
    print(f"{given.deals} deals in {seconds:.0f} s: {given.deals / seconds:.0f} a second")


if __name__ == "__main__":
    main()
