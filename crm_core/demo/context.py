"""What parts of the demo are filled with: a journal of writes that are played in the order of their dates.

So the change log, the log of operations and the histories on cards read as if people had worked here for a year, while
the rows go in by thousands in one statement each.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.db import to_json
from crm_core.models.accounts import Team, User
from crm_core.plugins import Plugins
from crm_core.records import index
from crm_core.specs import Entity

TIME_ZONE = "Europe/Samara"

#: How much is going on in each month of the year, January first.
SEASON = (0.55, 0.8, 1, 1.2, 1.3, 1.6, 1.5, 1, 1, 1.15, 0.95, 0.95)

_PLAY = """
DO $play$
DECLARE
    step record;
    operation bigint;
BEGIN
    FOR step IN SELECT * FROM demo_step ORDER BY at, n LOOP
        IF NOT step.joined THEN
            INSERT INTO core_operation (at, user_id, kind, source, entity, record_id, note, detail, state, address)
            VALUES (step.at, step.actor, step.kind, step.source, step.entity, step.record_id, step.note, '{}', 'done',
                '')
            RETURNING id INTO operation;
            PERFORM set_config('crm.operation', operation::text, true), set_config('crm.at', step.at::text, true),
                set_config('crm.actor', coalesce(step.actor::text, ''), true);
        END IF;
        IF step.change THEN
            EXECUTE format('UPDATE %I t SET (%s) = (SELECT %s FROM jsonb_populate_record(NULL::%I, r.row)) '
                'FROM demo_row r WHERE r.step = $1 AND t.id = (r.row ->> ''id'')::bigint',
                step.target, step.columns, step.columns, step.target) USING step.n;
        ELSE
            EXECUTE format('INSERT INTO %I (%s) SELECT %s FROM demo_row r, jsonb_populate_record(NULL::%I, r.row) '
                'WHERE r.step = $1 ORDER BY r.n', step.target, step.columns, step.columns, step.target) USING step.n;
        END IF;
    END LOOP;
END $play$
"""


@dataclass
class _Step:
    at: dt.datetime
    by: int | None
    kind: str
    source: str
    entity: str | None
    record_id: int | None
    note: str
    table: str
    change: bool
    joined: bool
    rows: Sequence[Mapping[str, Any]]


@dataclass
class DemoContext:
    """Carries the session, the clock, a seeded generator and the people of the demo to those who fill it."""

    session: Session
    plugins: Plugins
    now: dt.datetime = field(default_factory=clock.now)
    random: random.Random = field(default_factory=lambda: random.Random(20))
    people: dict[str, int] = field(default_factory=dict)
    """Account by the part of its address before `@`."""
    departments: dict[str, int] = field(default_factory=dict)
    department_of: dict[int, int | None] = field(default_factory=dict)
    """Person to department."""
    _steps: list[_Step] = field(default_factory=list)
    _indexed: list[tuple[Entity, Sequence[Mapping[str, Any]]]] = field(default_factory=list)

    @property
    def today(self) -> dt.date:
        """The date it is in the company's zone."""
        return self.now.astimezone(clock.zone(TIME_ZONE)).date()

    def at(self, days_ago: float, hour: int = 12, minute: int = 0) -> dt.datetime:
        """Return an instant of a day so long ago, in the company's working time."""
        day = self.today - dt.timedelta(days=int(days_ago))
        local = dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=clock.zone(TIME_ZONE))
        return local.astimezone(dt.UTC)

    def working_days(self, days: int) -> list[tuple[int, float]]:
        """Return the working days of the last so many as (days ago, weight), with season and holidays."""
        found = []
        for ago in range(1, days + 1):
            day = self.today - dt.timedelta(days=ago)
            holiday = (day.month == 1 and day.day <= 8) or (day.month == 5 and day.day in (1, 2, 3, 8, 9, 10))
            if day.weekday() < 5 and not holiday:
                found.append((ago, SEASON[day.month - 1]))
        return found

    def numbers(self, table: str, count: int) -> list[int]:
        """Take so many ids of a table in advance, for rows that point at one another."""
        statement = sa.text("SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)")
        return list(self.session.scalars(statement, {"table": table, "count": count}))

    def insert(
        self, table: str, rows: Sequence[Mapping[str, Any]], *, at: dt.datetime, by: int | None, **step: Any
    ) -> None:
        """Write rows down that somebody made at an instant: one operation; all rows have the same columns.

        `joined=True` adds them to the operation written down just before, at the same instant.
        """
        self._add(table, rows, at, by, change=False, **{"kind": "create", **step})

    def update(
        self, table: str, rows: Sequence[Mapping[str, Any]], *, at: dt.datetime, by: int | None, **step: Any
    ) -> None:
        """Write down that somebody changed rows, each given by its `id` and the columns that change."""
        self._add(table, rows, at, by, change=True, **{"kind": "edit", **step})

    def index(self, entity: Entity, rows: Iterable[Mapping[str, Any]]) -> None:
        """Let records be found by search and address once they are written."""
        self._indexed.append((entity, list(rows)))

    def _add(
        self,
        table: str,
        rows: Sequence[Mapping[str, Any]],
        at: dt.datetime,
        by: int | None,
        *,
        change: bool,
        kind: str,
        source: str = "web",
        entity: str | None = None,
        record_id: int | None = None,
        note: str = "",
        joined: bool = False,
    ) -> None:
        if rows:
            self._steps.append(_Step(at, by, kind, source, entity, record_id, note, table, change, joined, rows))

    def play(self) -> None:
        """Write everything in the order of its dates, then what search needs."""
        if not self._steps:
            return
        steps = sorted(self._steps, key=lambda step: step.at)
        self._steps = []
        run = self.session.execute
        run(sa.text("DROP TABLE IF EXISTS demo_row, demo_step"))
        run(sa.text("CREATE TEMP TABLE demo_row (step int, n int, row jsonb) ON COMMIT DROP"))
        run(
            sa.text(
                "CREATE TEMP TABLE demo_step (n int, at timestamptz, actor bigint, kind text, source text, "
                "entity text, record_id bigint, note text, target text, change boolean, joined boolean, columns text) "
                "ON COMMIT DROP"
            )
        )
        cursor: Any = self.session.connection().connection.cursor()
        with cursor.copy("COPY demo_row (step, n, row) FROM STDIN") as copy:
            for number, step in enumerate(steps):
                for place, row in enumerate(step.rows):
                    copy.write_row((number, place, to_json(row)))
        with cursor.copy("COPY demo_step FROM STDIN") as copy:
            for number, step in enumerate(steps):
                columns = [name for name in step.rows[0] if not (step.change and name == "id")]
                if not all(name.replace("_", "").isalnum() for name in columns):
                    raise ValueError(f"columns of {step.table}: {columns}")
                copy.write_row(
                    (number, step.at, step.by, step.kind, step.source, step.entity, step.record_id, step.note,
                     step.table, step.change, step.joined, ", ".join(f'"{name}"' for name in columns))
                )  # fmt: skip
        run(sa.text("CREATE INDEX ON demo_row (step)"))
        run(sa.text("ANALYZE demo_row"))
        # Nothing is known yet of tables that are being filled, and a scan of them for each step would take minutes.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(_PLAY)
        cursor.execute("SET LOCAL enable_seqscan = on")
        indexed, self._indexed = self._indexed, []
        for entity, rows in indexed:
            index.refresh(self.session, entity, rows, fresh=True)

    def read_company(self) -> None:
        """Read who there is, for a plugin that is filled in later than the core."""
        if self.people:
            return
        for user in self.session.scalars(sa.select(User).where(User.email.like("%@demo.example")).order_by(User.id)):
            self.people[user.email.partition("@")[0]] = user.id
            self.department_of[user.id] = user.team_id
        self.departments = {row[0]: row[1] for row in self.session.execute(sa.select(Team.name, Team.id))}

    def tags(self, names: Mapping[str, str]) -> dict[str, int]:
        """Return tags by name, made with their colours where they are missing."""
        from crm_core.models.records import Tag

        known = {row[0]: row[1] for row in self.session.execute(sa.select(Tag.name, Tag.id))}
        missing = [name for name in names if name not in known]
        made = dict(zip(missing, self.numbers("core_tag", len(missing)), strict=True)) if missing else {}
        rows = [{"id": made[name], "name": name, "colour": names[name]} for name in missing]
        self.insert("core_tag", rows, at=self.at(425, 10), by=self.people.get("admin"), entity="core.tag")
        return known | made
