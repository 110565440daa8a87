"""Meetings and their guests: letters, answers by the link and by mail, and that both sides' calendars say the same."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
import sqlalchemy as sa

from crm_core.forms import InvalidValues
from crm_core.models import Notification, User
from crm_core.models.work import Letter
from crm_core.records import operations, saving, undo
from crm_tasks import ics
from crm_tasks.models import Guest, Meeting, Task
from crm_tasks.models.schedule import ACCEPTED, DECLINED, TENTATIVE, WAITED
from crm_tasks.services import invitations, schedule
from crm_tasks.services import tasks as verbs

BERLIN = ZoneInfo("Europe/Berlin")
NOON = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)
DUE = dt.datetime(2026, 3, 27, 10, 0, tzinfo=BERLIN)
GUEST = "guest@client.example"
BASE = "https://crm.example.com"


class Side:
    """The calendar of a guest: it keeps what letters tell it, as programs for calendars do."""

    def __init__(self, db: Any, email: str = GUEST) -> None:
        self.db, self.email = db, email
        self.events: dict[str, Any] = {}
        self.read = 0

    def letters(self) -> list[Letter]:
        self.db.flush()
        return list(self.db.scalars(sa.select(Letter).where(Letter.recipient == self.email).order_by(Letter.id)))

    def sync(self) -> dict[str, Any]:
        for letter in self.letters()[self.read :]:
            self.read += 1
            calendar = icalendar.Calendar.from_ical(letter.calendar)
            event = calendar.walk("VEVENT")[0]
            present = self.events.get(str(event["UID"]))
            assert present is None or int(event["SEQUENCE"]) >= int(present["SEQUENCE"])
            if str(calendar["METHOD"]) == "CANCEL":
                assert str(event["STATUS"]) == "CANCELLED"
                self.events.pop(str(event["UID"]), None)
            else:
                self.events[str(event["UID"])] = event
        return self.events

    def only(self) -> Any:
        events = list(self.sync().values())
        assert len(events) == 1
        return events[0]

    def link(self) -> str:
        found = re.search(r"/tasks/invitation/\S+", self.letters()[-1].text)
        assert found is not None
        return found.group()

    def reply(self, answer: str) -> bytes:
        event = self.only()
        told = ics.Happening(
            uid=str(event["UID"]), title=str(event["SUMMARY"]), start=event.decoded("DTSTART"),
            end=event.decoded("DTEND"), stamp=NOON, sequence=int(event["SEQUENCE"]),
        )  # fmt: skip
        return ics.reply(told, ics.Party(email=self.email.upper(), answer=answer)).encode()


@pytest.fixture
def me(tasks: Any, clock: Any) -> User:
    """Somebody who calls meetings, in Berlin."""
    clock.move_to(NOON)
    return tasks.person(time_zone="Europe/Berlin")


@pytest.fixture
def meeting(tasks: Any, me: User) -> Task:
    """A meeting to which a client was asked by letter."""
    task = tasks.task(me, kind="meeting", title="Замер, объект", place="Ленина, 5", text="Торг до 10 %", due_at=DUE)
    gate = tasks.gate(me)
    invitations.add(gate, task, email=GUEST)
    assert invitations.send(gate, task, BASE, "Возьмите план") == 1
    return task


def guest_of(db: Any, task: Task) -> Guest:
    return db.scalars(sa.select(Guest).where(Guest.task_id == task.id)).one()


# -- round trips -------------------------------------------------------------------------------------------------------


def test_what_is_made_moved_and_cancelled_here_is_the_same_there(
    tasks: Any, me: User, meeting: Task, db: Any
) -> None:
    side = Side(db)
    event = side.only()
    assert (str(event["SUMMARY"]), str(event["LOCATION"])) == ("Замер, объект", "Ленина, 5")
    assert event.decoded("DTSTART") == DUE
    assert str(event["DTSTART"].params["TZID"]) == "Europe/Berlin"
    assert event.decoded("DTEND") - event.decoded("DTSTART") == dt.timedelta(hours=1)
    uid = str(event["UID"])

    # Over the change of the clocks: the wall says the same, the instant is another.
    later = dt.datetime(2026, 3, 30, 10, 0, tzinfo=BERLIN)
    schedule.move(tasks.gate(me), meeting, later, later + dt.timedelta(hours=2))
    event = side.only()
    assert (str(event["UID"]), int(event["SEQUENCE"])) == (uid, 1)
    assert event.decoded("DTSTART") == later
    assert event.decoded("DTEND") == later + dt.timedelta(hours=2)
    assert event.decoded("DTSTART").hour == 10

    saving.trash(tasks.gate(me), tasks.gate(me).entity("tasks.task"), [meeting.id])
    assert side.sync() == {}

    saving.restore(tasks.gate(me), tasks.gate(me).entity("tasks.task"), [meeting.id])
    event = side.only()
    assert (str(event["UID"]), int(event["SEQUENCE"])) == (uid, 3)

    task = tasks.gate(me).get(Task, meeting.id)
    verbs.cancel(tasks.gate(me), task)
    assert side.sync() == {}


def test_what_guests_do_not_see_tells_them_nothing(tasks: Any, me: User, meeting: Task, db: Any) -> None:
    side = Side(db)
    side.sync()

    saving.change(tasks.gate(me), tasks.gate(me).entity("tasks.task"), meeting, {"priority": "high", "text": "Скидка"})

    assert len(side.letters()) == 1
    assert all("Торг" not in one.text + one.calendar + one.html for one in side.letters())
    assert "Возьмите план" in side.letters()[0].text


@pytest.mark.parametrize("said", [ACCEPTED, TENTATIVE, DECLINED])
def test_an_answer_by_mail_is_the_answer_here(meeting: Task, db: Any, plugins: Any, me: User, said: str) -> None:
    side = Side(db)

    assert invitations.apply_reply(db, plugins, side.reply(said), GUEST) == invitations.TAKEN

    assert guest_of(db, meeting).answer == said
    told = db.scalars(sa.select(Notification).where(Notification.user_id == me.id)).all()
    assert [one.kind for one in told] == ["tasks.invitation.answered"]


def test_answers_to_an_earlier_time_of_strangers_and_of_nobody_count_for_nothing(
    tasks: Any, meeting: Task, db: Any, plugins: Any, me: User
) -> None:
    side = Side(db)
    early = side.reply(ACCEPTED)
    later = DUE + dt.timedelta(days=1)
    schedule.move(tasks.gate(me), meeting, later, later + dt.timedelta(hours=1))
    present = side.reply(ACCEPTED)

    assert invitations.apply_reply(db, plugins, early) == invitations.STALE
    assert invitations.apply_reply(db, plugins, present, "other@client.example") == invitations.STRANGE
    stranger = Side(db, GUEST)
    stranger.sync()
    stranger.email = "other@client.example"
    assert invitations.apply_reply(db, plugins, stranger.reply(ACCEPTED)) == invitations.STRANGE
    assert invitations.apply_reply(db, plugins, b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR") == "strange"
    assert invitations.apply_reply(db, plugins, b"\xff\x00 no calendar") == invitations.STRANGE
    assert invitations.apply_reply(db, plugins, b"x" * 1_000_000) == invitations.STRANGE
    assert guest_of(db, meeting).answer == WAITED
    assert invitations.apply_reply(db, plugins, present, GUEST) == invitations.TAKEN


def test_a_new_time_asks_anew_a_new_place_does_not(tasks: Any, me: User, meeting: Task, db: Any, plugins: Any) -> None:
    side = Side(db)
    invitations.apply_reply(db, plugins, side.reply(ACCEPTED))
    entity = tasks.gate(me).entity("tasks.task")

    saving.change(tasks.gate(me), entity, meeting, {"place": "Мира, 7"})
    assert str(side.only()["LOCATION"]) == "Мира, 7"
    assert guest_of(db, meeting).answer == ACCEPTED

    later = DUE + dt.timedelta(days=1)
    schedule.move(tasks.gate(me), meeting, later, later + dt.timedelta(hours=1))
    assert guest_of(db, meeting).answer == WAITED


def test_who_is_taken_off_is_told_that_he_is_not_expected(tasks: Any, me: User, meeting: Task, db: Any) -> None:
    side = Side(db)
    side.sync()
    link = side.link()

    invitations.remove(tasks.gate(me), meeting, guest_of(db, meeting).id)

    assert side.sync() == {}
    assert invitations.opened(db, link.rpartition("/")[2]) is None


def test_a_meeting_taken_back_as_if_it_had_never_been_is_called_off(tasks: Any, me: User, db: Any) -> None:
    db.commit()
    task = tasks.task(me, kind="meeting", title="Ошибка", due_at=DUE)
    invitations.add(tasks.gate(me), task, email=GUEST)
    invitations.send(tasks.gate(me), task, BASE)
    number, made = task.id, operations.current(db)
    db.commit()
    side = Side(db)
    assert str(side.only()["SUMMARY"]) == "Ошибка"

    undo.undo(tasks.gate(me), made)

    assert tasks.gate(me).get(Task, number) is None
    assert side.sync() == {}


def test_a_whole_day_has_no_hour(tasks: Any, me: User, db: Any) -> None:
    task = tasks.task(me, kind="meeting", title="Выставка", due_at=DUE, all_day=True)
    gate = tasks.gate(me)
    invitations.add(gate, task, email=GUEST)
    invitations.send(gate, task, BASE)

    event = Side(db).only()

    assert event.decoded("DTSTART") == dt.date(2026, 3, 27)
    assert event.decoded("DTEND") == dt.date(2026, 3, 28)


# -- by the link -------------------------------------------------------------------------------------------------------


def test_a_guest_answers_by_the_link_of_his_letter_without_signing_in(
    testapp: Any, meeting: Task, db: Any, me: User
) -> None:
    link = Side(db).link()

    page = testapp.get(link)
    assert "Замер, объект" in page
    assert "Торг" not in page
    assert guest_of(db, meeting).answer == WAITED, "looking is no answer: programs look before people do"

    answered = page.forms["answer"].submit("answer", value=ACCEPTED, status=303).follow()

    assert guest_of(db, meeting).answer == ACCEPTED
    assert "Will come" in answered
    assert db.scalar(sa.select(sa.func.count()).where(Notification.user_id == me.id)) == 1


def test_a_key_opens_one_meeting_to_one_guest_for_a_while(
    testapp: Any, tasks: Any, me: User, meeting: Task, db: Any, clock: Any
) -> None:
    link = Side(db).link()
    secret = link.rpartition("/")[2]
    assert len(secret) >= 43, "256 bits"
    assert secret.encode() not in b"".join(db.scalars(sa.text("SELECT digest FROM tasks_guest_key")))
    assert "noindex" in testapp.get(link).headers["X-Robots-Tag"]

    testapp.get(link[:-1] + ("A" if link[-1] != "A" else "B"), status=404)
    verbs.cancel(tasks.gate(me), meeting)
    page = testapp.get(link)
    assert "The meeting was cancelled." in page
    assert "answer" not in page.forms
    clock.move_to(DUE + dt.timedelta(days=30))
    testapp.get(link, status=404)


def test_an_answer_needs_the_form(testapp: Any, meeting: Task, db: Any) -> None:
    link = Side(db).link()

    testapp.post(link, {"answer": ACCEPTED}, status=[400, 403])

    assert guest_of(db, meeting).answer == WAITED


# -- who may invite, and whom ------------------------------------------------------------------------------------------


def test_a_colleague_who_is_asked_sees_the_meeting_in_his_calendar_until_he_declines(
    tasks: Any, me: User, db: Any, plugins: Any, factories: Any
) -> None:
    colleague = tasks.person(team_id=factories.team().id)
    task = tasks.task(me, kind="meeting", due_at=DUE)
    invitations.add(tasks.gate(me), task, user_id=colleague.id)
    invitations.send(tasks.gate(me), task, BASE)

    def shown() -> list[int]:
        found = schedule.calendar(tasks.gate(colleague), [colleague.id], DUE, DUE + dt.timedelta(days=1))
        return [one.task.id for one in found.entries]

    assert shown() == [task.id]
    side = Side(db, colleague.email)
    assert invitations.apply_reply(db, plugins, side.reply(DECLINED)) == invitations.TAKEN
    assert shown() == []


def test_only_who_may_edit_the_task_invites(tasks: Any, me: User, meeting: Task, factories: Any) -> None:
    other = tasks.person()
    verbs.observe(tasks.gate(me), meeting, [other.id])

    with pytest.raises(saving.NotAllowed):
        invitations.add(tasks.gate(other), meeting, email="x@client.example")
    with pytest.raises(InvalidValues):
        invitations.add(tasks.gate(me), meeting, email=GUEST.upper())
    with pytest.raises(InvalidValues):
        invitations.add(tasks.gate(me), meeting, email="a@b.example\r\nBcc: c@d.example")


def test_the_form_of_the_card_invites(testapp: Any, tasks: Any, me: User, db: Any, login_as: Any) -> None:
    login_as(me)
    task = tasks.task(me, kind="meeting", due_at=DUE)
    form = testapp.get(f"/tasks/{task.id}/guests").forms["guests"]
    form["emails"] = "one@client.example, two@client.example"
    form.submit(status=303)

    assert {one.email for one in invitations.guests_of(tasks.gate(me), task.id)} == {
        "one@client.example", "two@client.example",
    }  # fmt: skip
    assert invitations.meeting_of(db, task.id) is not None
    form = testapp.get(f"/tasks/{task.id}/guests").forms["guests"]
    form["emails"] = "nobody"
    assert "Write an e-mail address." in form.submit(status=422)
    stored = db.scalars(sa.select(Meeting).where(Meeting.task_id == task.id)).one()
    assert stored.sequence == 0
