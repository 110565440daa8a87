"""The feed: what a program for calendars reads is what stands in the schedule, and nothing of anybody else's."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events
import sqlalchemy as sa

from crm_core.models import User
from crm_core.models.accounts import DISABLED
from crm_tasks import ics
from crm_tasks.models import Feed, Task
from crm_tasks.services import feed, invitations, schedule
from crm_tasks.services import tasks as verbs
from crm_tasks.services.recurrence import WEEKLY, Rule

BERLIN = ZoneInfo("Europe/Berlin")
NOON = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)
SECRET = "Чужая тайна"


@pytest.fixture
def me(tasks: Any, clock: Any) -> User:
    """Somebody in Berlin."""
    clock.move_to(NOON)
    return tasks.person(time_zone="Europe/Berlin")


def read(testapp: Any, secret: str, **options: Any) -> Any:
    return testapp.get(f"/tasks/feed/{secret}.ics", **options)


def events(answer: Any) -> dict[str, Any]:
    return {str(one["UID"]): one for one in icalendar.Calendar.from_ical(answer.body).walk("VEVENT")}


def test_the_feed_says_what_the_schedule_says(testapp: Any, tasks: Any, me: User, db: Any) -> None:
    due = dt.datetime(2026, 3, 10, 10, tzinfo=BERLIN)
    task = tasks.task(me, kind="meeting", title="Встреча; важная", place="Офис", text="Подробности", due_at=due)
    tasks.task(me, kind="todo", title="Отчёт", due_at=due, all_day=True)
    secret = feed.issue(tasks.gate(me))

    answer = read(testapp, secret)
    found = events(answer)

    assert answer.content_type == "text/calendar"
    one = found[f"task-{task.id}@crm-tasks"]
    assert (str(one["SUMMARY"]), str(one["LOCATION"])) == ("Встреча; важная", "Офис")
    assert (one.decoded("DTSTART"), one.decoded("DTEND")) == (due, due + dt.timedelta(hours=1))
    assert "Подробности" not in answer.text
    whole = next(each for each in found.values() if str(each["SUMMARY"]) == "Отчёт")
    assert whole.decoded("DTSTART") == dt.date(2026, 3, 10)
    assert str(whole["TRANSP"]) == "TRANSPARENT"

    schedule.move(tasks.gate(me), task, due + dt.timedelta(days=1), due + dt.timedelta(days=1, hours=2))
    moved = events(read(testapp, secret))[f"task-{task.id}@crm-tasks"]
    assert moved.decoded("DTSTART") == due + dt.timedelta(days=1)
    assert int(moved["SEQUENCE"]) > int(one["SEQUENCE"])

    verbs.cancel(tasks.gate(me), tasks.gate(me).get(Task, task.id))
    assert f"task-{task.id}@crm-tasks" not in events(read(testapp, secret))


def test_what_comes_again_keeps_its_hour_over_the_change_of_clocks(testapp: Any, tasks: Any, me: User) -> None:
    due = dt.datetime(2026, 3, 4, 10, tzinfo=BERLIN)
    tasks.task(me, kind="call", title="Созвон", due_at=due, zone="Europe/Berlin", rule=Rule(freq=WEEKLY, days=("WE",)))

    answer = read(testapp, feed.issue(tasks.gate(me)))

    calendar = icalendar.Calendar.from_ical(answer.body)
    shown = recurring_ical_events.of(calendar).between(dt.date(2026, 3, 1), dt.date(2026, 6, 1))
    starts = sorted(one.decoded("DTSTART") for one in shown)
    assert len(starts) == 13
    assert {(one.weekday(), one.hour) for one in starts} == {(2, 10)}
    # Read by the zone that the feed brings along, not by ours.
    zone = calendar.walk("VTIMEZONE")[0].to_tz()
    walls = [one.replace(tzinfo=zone).astimezone(dt.UTC).hour for one in starts]
    assert set(walls) == {8, 9}
    assert len(events(answer)) == len(set(events(answer)))


def test_an_occurrence_is_the_same_thing_before_and_after_it_is_made(
    testapp: Any, tasks: Any, me: User, clock: Any, db: Any
) -> None:
    from crm_tasks.models import Series
    from crm_tasks.services import series

    due = dt.datetime(2026, 3, 4, 10, tzinfo=BERLIN)
    tasks.task(me, kind="call", due_at=due, rule=Rule(freq=WEEKLY, days=("WE",), count=20))
    secret = feed.issue(tasks.gate(me))
    before = {uid: one.decoded("DTSTART") for uid, one in events(read(testapp, secret)).items()}

    series.fill(tasks.gate(), db.scalars(sa.select(Series)).one(), until=dt.date(2026, 5, 30))

    assert {uid: one.decoded("DTSTART") for uid, one in events(read(testapp, secret)).items()} == before
    assert len(before) == 20


def test_nothing_of_anybody_elses_is_in_it(testapp: Any, tasks: Any, factories: Any, me: User) -> None:
    head = tasks.person("head", team_id=factories.team().id)
    other = tasks.person(team_id=head.team_id)
    director = tasks.person("director")
    tasks.task(other, title=SECRET, kind="meeting", due_at=NOON + dt.timedelta(days=1))
    mine = tasks.task(me, kind="meeting", due_at=NOON + dt.timedelta(days=2))
    verbs.observe(tasks.gate(me), mine, [other.id])

    for somebody in (me, head, director):
        answer = read(testapp, feed.issue(tasks.gate(somebody)))
        assert SECRET not in answer.text
    assert events(read(testapp, feed.issue(tasks.gate(other)))).keys() != set()


def test_busy_only_says_nothing_but_when(testapp: Any, tasks: Any, me: User) -> None:
    tasks.task(me, title="Переговоры", place="Банк", kind="meeting", due_at=NOON + dt.timedelta(days=1))
    tasks.task(me, title="Дело на день", due_at=NOON + dt.timedelta(days=1), all_day=True)

    answer = read(testapp, feed.issue(tasks.gate(me), busy_only=True))

    found = list(events(answer).values())
    assert [str(one["CLASS"]) for one in found] == ["PRIVATE"]
    assert "Переговоры" not in answer.text
    assert "Банк" not in answer.text


def test_details_are_there_when_asked_for(testapp: Any, tasks: Any, me: User) -> None:
    tasks.task(me, kind="meeting", text="Взять рулетку", due_at=NOON + dt.timedelta(days=1))

    assert "Взять рулетку" in read(testapp, feed.issue(tasks.gate(me), details=True)).text


def test_an_unchanged_feed_is_not_sent_twice(testapp: Any, tasks: Any, me: User, clock: Any) -> None:
    tasks.task(me, kind="meeting", due_at=NOON + dt.timedelta(days=1))
    secret = feed.issue(tasks.gate(me))
    first = read(testapp, secret)
    clock.tick(minutes=20)

    again = read(testapp, secret, headers={"If-None-Match": first.headers["ETag"]}, status=304)

    assert again.body == b""
    tasks.task(me, kind="meeting", due_at=NOON + dt.timedelta(days=1))
    read(testapp, secret, headers={"If-None-Match": first.headers["ETag"]}, status=200)


def test_the_address_dies_when_it_is_revoked_or_its_owner_may_not_sign_in(
    testapp: Any, tasks: Any, me: User, db: Any
) -> None:
    old = feed.issue(tasks.gate(me))
    new = feed.issue(tasks.gate(me))
    assert len(new) >= 22, "128 bits and more"
    assert new.encode() not in b"".join(db.scalars(sa.select(Feed.digest)))
    read(testapp, old, status=404)
    read(testapp, new)

    me.status = DISABLED
    db.flush()
    read(testapp, new, status=404)


def test_the_page_gives_the_address_once(testapp: Any, tasks: Any, me: User, login_as: Any) -> None:
    login_as(me)
    page = testapp.get("/tasks/schedule/feed").forms["feed-form"].submit()
    address = page.html.select_one("#feed-address")["value"]

    assert "/tasks/feed/" in address
    assert address not in testapp.get("/tasks/schedule/feed").text
    read(testapp, address.rpartition("/")[2].removesuffix(".ics"))
    form = testapp.get("/tasks/schedule/feed").forms["feed-form"]
    form.submit("revoke", value="1", status=303)
    read(testapp, address.rpartition("/")[2].removesuffix(".ics"), status=404)


def test_one_feed_is_not_read_without_end(testapp: Any, tasks: Any, me: User) -> None:
    secret = feed.issue(tasks.gate(me))

    answers = [read(testapp, secret, status="*").status_int for _ in range(70)]

    assert 429 in answers
    assert answers[:50] == [200] * 50


def test_a_meeting_is_one_thing_in_the_letter_and_in_the_feed(testapp: Any, tasks: Any, me: User, db: Any) -> None:
    task = tasks.task(me, kind="meeting", due_at=NOON + dt.timedelta(days=1))
    invitations.add(tasks.gate(me), task, email="guest@client.example")
    invitations.send(tasks.gate(me), task, "https://crm.example.com")

    found = events(read(testapp, feed.issue(tasks.gate(me))))

    meeting = invitations.meeting_of(db, task.id)
    assert meeting is not None
    assert list(found) == [meeting.uid]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_the_zones_that_go_along_tell_the_time_that_the_clocks_told(zone: str) -> None:
    start = dt.datetime(2026, 3, 1, 12, tzinfo=ZoneInfo(zone))
    one = ics.Happening(uid="1@x", title="x", start=start, end=start, zone=zone, stamp=NOON)
    found = icalendar.Calendar.from_ical(ics.feed("x", [one])).walk("VTIMEZONE")[0].to_tz()

    instants = [dt.datetime(2026, 1, 2, tzinfo=dt.UTC) + dt.timedelta(hours=n) for n in range(0, 24 * 700, 3)]
    for instant in instants:
        wall = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert wall.replace(tzinfo=found).utcoffset() == wall.replace(tzinfo=ZoneInfo(zone)).utcoffset(), wall
