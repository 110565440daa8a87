"""Rules: that they agree with recurring-ical-events, keep wall time over every move of the clocks, and read well.

`CRM_RULES=5000` asks for as many generated rules; the suite takes three hundred.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import re
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events
import sqlalchemy as sa

from crm_core import i18n
from crm_core.db import UNGATED
from crm_core.forms import InvalidValues
from crm_core.records import saving
from crm_tasks.entities import TASK
from crm_tasks.models import Series, Task
from crm_tasks.services import recurrence, series
from crm_tasks.services import tasks as verbs
from crm_tasks.services.recurrence import DAILY, DAYS, LAST, MONTHLY, WEEKLY, YEARLY, Rule

RULES = int(os.environ.get("CRM_RULES", "300"))
ZONES = (
    "Europe/Moscow", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Auckland",
)  # fmt: skip
PAST = {UNGATED: "a look at the result"}
NOW = dt.datetime(2026, 11, 23, 9, 0, tzinfo=dt.UTC)


def generated(chance: random.Random) -> tuple[Rule, dt.datetime, str]:
    """Return a rule as the editor could give it, with its first moment."""
    freq = chance.choice((DAILY, WEEKLY, MONTHLY, YEARLY))
    values: dict[str, Any] = {"freq": freq, "interval": chance.choice((1, 1, 1, 2, 3, 5))}
    if freq == WEEKLY and chance.random() < 0.8:
        values["days"] = tuple(sorted(chance.sample(DAYS, chance.randint(1, 4)), key=DAYS.index))
    if freq == MONTHLY:
        way = chance.random()
        if way < 0.3:
            values["month_day"] = LAST
        elif way < 0.6:
            values |= {"nth": chance.choice((1, 2, 3, 4, LAST)), "nth_day": chance.choice(DAYS)}
        elif way < 0.8:
            values["month_day"] = chance.randint(1, 31)
    end = chance.random()
    day = dt.date(2025, 1, 1) + dt.timedelta(days=chance.randrange(900))
    # Not in the hours that clocks skip: what comes of those is tried apart.
    wall = dt.time(chance.randint(5, 23), chance.choice((0, 15, 30, 45)))
    wished = dt.datetime.combine(day, wall)
    rule = recurrence.natural(recurrence.check(Rule(**values)), wished)
    starts = recurrence.first_at(rule, wished)
    if end < 0.3:
        values["count"] = chance.randint(1, 40)
    elif end < 0.6:
        values["until"] = starts.date() + dt.timedelta(days=chance.randint(0, 700))
    whole = recurrence.natural(Rule(**values), wished)
    return whole, starts, chance.choice(ZONES)


def by_the_other_library(rule: Rule, starts: dt.datetime, zone: str, exdates: list[str], last: dt.date) -> list[Any]:
    """Count the same rule out with recurring-ical-events."""
    tz = ZoneInfo(zone)
    text = rule.text()
    until = re.search(r"UNTIL=(\d{8}T\d{6})", text)
    if until:
        local = dt.datetime.strptime(until[1], "%Y%m%dT%H%M%S").replace(tzinfo=tz)
        text = text.replace(until[1], local.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ"))
    event = icalendar.Event()
    event.add("uid", "1")
    event.add("dtstamp", NOW)
    event.add("dtstart", starts.replace(tzinfo=tz))
    event.add("rrule", icalendar.vRecur.from_ical(text))
    for one in exdates:
        event.add("exdate", recurrence.from_key(one).replace(tzinfo=tz))
    calendar = icalendar.Calendar()
    calendar.add_component(event)
    found = recurring_ical_events.of(calendar).between(starts.date(), last)
    return sorted(one["DTSTART"].dt.astimezone(dt.UTC) for one in found)


def test_generated_rules_agree_with_recurring_ical_events() -> None:
    chance = random.Random(20261123)
    for number in range(RULES):
        rule, starts, zone = generated(chance)
        last = starts.date() + dt.timedelta(days=chance.choice((60, 400, 800)))
        end = dt.datetime.combine(last, dt.time()) - dt.timedelta(minutes=1)
        whole = recurrence.between(rule.text(), starts, starts, end)
        exdates = [recurrence.key(one) for one in whole if chance.random() < 0.1]

        ours = [
            recurrence.instant(one, ZoneInfo(zone))
            for one in recurrence.between(rule.text(), starts, starts, end, exdates)
        ]

        theirs = by_the_other_library(rule, starts, zone, exdates, last)
        assert ours == theirs, f"rule {number}: {rule.text()} from {starts} in {zone}"
        assert recurrence.read(rule.text()) == rule


@pytest.mark.parametrize(
    ("zone", "starts", "offsets"),
    [
        ("Europe/Berlin", dt.datetime(2026, 3, 28, 10), [1, 2, 2]),
        ("Europe/Berlin", dt.datetime(2026, 10, 24, 10), [2, 1, 1]),
        ("America/New_York", dt.datetime(2026, 3, 7, 10), [-5, -4, -4]),
        ("Europe/Moscow", dt.datetime(2026, 3, 28, 10), [3, 3, 3]),
    ],
)
def test_wall_time_stays_over_moves_of_clocks(zone: str, starts: dt.datetime, offsets: list[int]) -> None:
    found = recurrence.between("FREQ=DAILY", starts, starts, starts + dt.timedelta(days=2))

    instants = [recurrence.instant(one, ZoneInfo(zone)) for one in found]

    assert [one.astimezone(ZoneInfo(zone)).hour for one in instants] == [10, 10, 10]
    assert [(10 - one.hour) for one in instants] == offsets


def test_an_hour_that_clocks_skip_comes_the_same_while_later() -> None:
    skipped = dt.datetime(2026, 3, 29, 2, 30)

    found = recurrence.instant(skipped, ZoneInfo("Europe/Berlin"))

    assert found.astimezone(ZoneInfo("Europe/Berlin")).replace(tzinfo=None) == dt.datetime(2026, 3, 29, 3, 30)


def test_a_rule_that_never_comes_is_refused() -> None:
    rule = Rule(freq=YEARLY, month=2, month_day=30)

    with pytest.raises(InvalidValues):
        recurrence.first_at(rule, dt.datetime(2026, 1, 1, 10))


@pytest.mark.parametrize(
    ("rule", "russian", "english"),
    [
        (Rule(freq=DAILY), "каждый день", "every day"),
        (Rule(freq=DAILY, interval=3), "каждые 3 дня", "every 3 days"),
        (Rule(freq=WEEKLY, days=DAYS[:5]), "по будням", "on weekdays"),
        (Rule(freq=WEEKLY, days=("MO",)), "каждую неделю по понедельникам", "every week on Mondays"),
        (
            Rule(freq=WEEKLY, interval=2, days=("MO", "TH"), count=10),
            "каждые 2 недели по пн, чт, 10 раз",
            "every 2 weeks on Mon, Thu, 10 times",
        ),
        (Rule(freq=MONTHLY, month_day=15), "каждый месяц 15-го числа", "every month on day 15"),
        (Rule(freq=MONTHLY, month_day=LAST), "каждый месяц в последний день", "every month on the last day"),
        (
            Rule(freq=MONTHLY, nth=2, nth_day="WE"),
            "каждый месяц во вторую среду",
            "every month on the second Wednesday",
        ),
        (
            Rule(freq=DAILY, interval=5, after_completion=True),
            "через 5 дней после выполнения",
            "5 days after it is done",
        ),
    ],
)
def test_rules_in_words(rule: Rule, russian: str, english: str) -> None:
    for locale, expected in (("ru", russian), ("en", english)):
        speaker = i18n.localizer_for(locale, packages=("crm_tasks",))
        formats = i18n.Formats(locale)
        said = recurrence.words(rule, partial(i18n.translate, speaker), partial(i18n.plural, speaker), formats.date)
        assert said == expected


# -- series ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def olga(tasks: Any, factories: Any, clock: Any) -> Any:
    clock.move_to(NOW)
    return tasks.person("manager", team_id=factories.team().id, name="Ольга")


def of_series(db: Any, number: int | None, *, alive: bool = True) -> list[Task]:
    statement = sa.select(Task).where(Task.series_id == number).order_by(Task.occurrence)
    if alive:
        statement = statement.where(Task.deleted_at.is_(None))
    return list(db.scalars(statement, execution_options=PAST))


WEEKLY_CALL = {"title": "Планёрка", "kind": "meeting", "due_at": dt.datetime(2026, 11, 24, 7, 0, tzinfo=dt.UTC)}


def test_a_series_is_made_up_to_the_horizon_each_occurrence_once(tasks: Any, olga: Any, db: Any, clock: Any) -> None:
    task = tasks.task(olga, rule=Rule(freq=WEEKLY), checklist=["Повестка"], remind=[60], **WEEKLY_CALL)
    found = db.get(Series, task.series_id)

    again = series.fill(tasks.gate(olga), found)
    clock.tick(days=7)
    more = series.fill(tasks.gate(), found)

    made = of_series(db, task.series_id)
    assert found.rrule == "FREQ=WEEKLY;BYDAY=TU"
    assert again == []
    assert len(more) == 1
    assert [one.occurrence for one in made] == [
        f"{dt.date(2026, 11, 24) + dt.timedelta(weeks=n)}T10:00" for n in range(len(made))
    ]
    assert {(one.owner_id, one.created_by, one.title) for one in made} == {(olga.id, olga.id, "Планёрка")}


def test_this_one_alone_is_changed(tasks: Any, olga: Any, db: Any) -> None:
    task = tasks.task(olga, rule=Rule(freq=WEEKLY), **WEEKLY_CALL)
    second = of_series(db, task.series_id)[1]

    series.change(tasks.gate(olga), second, {"title": "Итоги месяца"})

    titles = [one.title for one in of_series(db, task.series_id)]
    assert titles.count("Итоги месяца") == 1
    assert titles[1] == "Итоги месяца"


def test_all_are_changed_with_those_to_come(tasks: Any, olga: Any, db: Any, clock: Any) -> None:
    task = tasks.task(olga, rule=Rule(freq=WEEKLY), **WEEKLY_CALL)

    series.change(tasks.gate(olga), task, {"title": "Летучка"}, series.ALL)
    clock.tick(days=14)
    series.fill(tasks.gate(), db.get(Series, task.series_id))

    assert {one.title for one in of_series(db, task.series_id)} == {"Летучка"}


def test_this_and_following_move_to_another_hour(tasks: Any, olga: Any, db: Any) -> None:
    task = tasks.task(olga, rule=Rule(freq=WEEKLY), **WEEKLY_CALL)
    old = task.series_id
    third = of_series(db, old)[2]
    moved = third.due_at + dt.timedelta(hours=2)

    series.change(tasks.gate(olga), third, {"due_at": moved}, series.FOLLOWING)

    before, after = of_series(db, old), of_series(db, third.series_id)
    assert [one.occurrence[-5:] for one in before] == ["10:00", "10:00"]
    assert third.series_id != old
    assert {one.occurrence[-5:] for one in after} == {"12:00"}
    assert after[0].id == third.id
    assert series.fill(tasks.gate(), db.get(Series, old)) == []


def test_a_new_rule_for_all_begins_with_the_first_not_done(tasks: Any, olga: Any, db: Any) -> None:
    task = tasks.task(olga, rule=Rule(freq=WEEKLY), **WEEKLY_CALL)
    gate = tasks.gate(olga)
    verbs.complete(gate, task)
    second = of_series(db, task.series_id)[1]

    series.change(gate, second, {}, series.ALL, rule=Rule(freq=WEEKLY, interval=2))

    after = of_series(db, second.series_id)
    days = [recurrence.from_key(one.occurrence).date() for one in after]
    assert days[:2] == [dt.date(2026, 12, 1), dt.date(2026, 12, 15)]


def test_one_is_left_out_and_does_not_come_again(tasks: Any, olga: Any, db: Any) -> None:
    task = tasks.task(olga, rule=Rule(freq=DAILY), **WEEKLY_CALL)
    second = of_series(db, task.series_id)[1]
    gate = tasks.gate(olga)

    series.skip(gate, second)
    series.fill(tasks.gate(), db.get(Series, task.series_id))

    assert gate.get(TASK, second.id) is None
    assert second.occurrence not in [one.occurrence for one in of_series(db, task.series_id)]


def test_a_stopped_series_comes_no_more(tasks: Any, olga: Any, db: Any, clock: Any) -> None:
    task = tasks.task(olga, rule=Rule(freq=DAILY), **WEEKLY_CALL)
    second = of_series(db, task.series_id)[1]

    series.stop(tasks.gate(olga), second)
    clock.tick(days=40)
    series.fill(tasks.gate(), db.get(Series, task.series_id))

    assert [one.id for one in of_series(db, task.series_id)] == [task.id, second.id]


def test_after_completion_the_next_one_is_counted_from_the_day_it_was_done(
    tasks: Any, olga: Any, db: Any, clock: Any
) -> None:
    rule = Rule(freq=DAILY, interval=10, after_completion=True)
    task = tasks.task(olga, rule=rule, **WEEKLY_CALL)
    gate = tasks.gate(olga)
    assert len(of_series(db, task.series_id)) == 1
    clock.tick(days=5)

    outcome = verbs.complete(gate, task)
    verbs.reopen(gate, task)
    again = verbs.complete(gate, task)

    assert outcome.following is not None
    assert outcome.following.due_at == dt.datetime(2026, 12, 8, 7, 0, tzinfo=dt.UTC)
    assert again.following is None
    assert len(of_series(db, task.series_id)) == 2


def test_done_beyond_the_horizon_the_next_one_is_made_at_once(tasks: Any, olga: Any, db: Any) -> None:
    task = tasks.task(olga, rule=Rule(freq=YEARLY), **WEEKLY_CALL)

    outcome = verbs.complete(tasks.gate(olga), task)

    assert outcome.following is not None
    assert outcome.following.due_at == dt.datetime(2027, 11, 24, 7, 0, tzinfo=dt.UTC)


def test_a_number_of_times_is_kept_when_a_series_is_split(tasks: Any, olga: Any, db: Any) -> None:
    task = tasks.task(olga, rule=Rule(freq=DAILY, count=5), **WEEKLY_CALL)
    third = of_series(db, task.series_id)[2]

    series.change(tasks.gate(olga), third, {"due_at": third.due_at + dt.timedelta(hours=1)}, series.FOLLOWING)

    assert len(of_series(db, task.series_id)) + len(of_series(db, third.series_id)) == 5


def test_a_deleted_occurrence_stays_deleted(tasks: Any, olga: Any, db: Any) -> None:
    task = tasks.task(olga, rule=Rule(freq=DAILY), **WEEKLY_CALL)
    second = of_series(db, task.series_id)[1]

    saving.trash(tasks.gate(olga), tasks.gate(olga).entity(TASK), [second.id])
    found = db.get(Series, task.series_id)
    found.made_until = ""
    db.flush()

    with pytest.raises(sa.exc.IntegrityError), db.begin_nested():
        series.fill(tasks.gate(), found)


def test_a_series_without_reminders_stays_without(tasks: Any, olga: Any, db: Any) -> None:
    from crm_core.models.notifications import Reminder as Told

    tasks.task(olga, rule=Rule(freq=DAILY), remind=[], **WEEKLY_CALL)

    assert db.scalar(sa.select(sa.func.count()).select_from(Told)) == 0
