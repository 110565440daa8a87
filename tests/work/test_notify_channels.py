"""What goes out beside the bell: by choice, in time, once, with the rights of now, and no channel waits for another."""

from __future__ import annotations

import datetime as dt
import time

import pytest
import sqlalchemy as sa

from crm_core import channels, delivery, notify
from crm_core import clock as crm_clock
from crm_core import jobs as queue
from crm_core.models.notifications import ChannelState, Notice, NoticeChoice
from crm_core.models.work import Delivery, JobRow
from crm_core.notify import Hours
from crm_core.notify.kinds import MENTIONED, SECURITY
from crm_core.specs import Channel

MONDAY = dt.datetime(2030, 3, 4, 9, 0, tzinfo=dt.UTC)  # noon in Moscow


@pytest.fixture
def noon(clock):
    clock.move_to(MONDAY)
    return clock


def tell(db, user, key="k", kind=MENTIONED, **more):
    return notify.notify(db, user.id, key=key, kind=kind, title=f"News {key}", **more)


def choose(db, user, *, kind=MENTIONED, **wanted):
    for channel, yes in wanted.items():
        db.add(NoticeChoice(user_id=user.id, kind=kind, channel=channel, wanted=yes))
    db.flush()


def send(db, jobs):
    queue.enqueue(db, channels.SEND)
    jobs.run_all()


def states(db):
    return dict(db.execute(sa.select(Notice.state, sa.func.count()).group_by(Notice.state)).all())


def test_by_default_one_letter_a_day_at_nine(db, factories, jobs, outbox, noon):
    user = factories.user()
    for key in ("one", "two"):
        tell(db, user, key)

    send(db, jobs)
    assert len(outbox) == 0
    noon.move_to(MONDAY + dt.timedelta(hours=20, minutes=59))
    send(db, jobs)
    assert len(outbox) == 0
    noon.tick(minutes=2)
    send(db, jobs)
    send(db, jobs)

    (letter,) = outbox.letters
    assert letter.recipient == user.email
    assert "News one" in letter.text
    assert "News two" in letter.text
    assert "/profile/notifications" in letter.text
    assert letter.headers["List-Unsubscribe"].endswith("/profile/notifications>")
    assert states(db) == {"told": 2}


def test_a_letter_at_once_replaces_the_letter_of_the_day(db, factories, jobs, outbox, noon):
    user = factories.user()
    choose(db, user, mail=True)
    tell(db, user)

    send(db, jobs)

    assert [letter.subject for letter in outbox] == ["News k"]
    noon.tick(days=2)
    send(db, jobs)
    assert len(outbox) == 1


def test_of_one_record_there_is_one_letter_in_five_minutes(db, factories, jobs, outbox, noon):
    user = factories.user()
    choose(db, user, mail=True)
    tell(db, user, "first")
    send(db, jobs)
    for number in range(3):
        tell(db, user, f"more {number}")
        noon.tick(minutes=1)
        send(db, jobs)
    assert len(outbox) == 1

    noon.tick(minutes=2)
    send(db, jobs)

    assert len(outbox) == 2
    assert all(f"News more {number}" in outbox.last.text for number in range(3))


def test_what_was_read_under_the_bell_is_not_told_again(db, factories, jobs, outbox, noon):
    user = factories.user()
    tell(db, user)
    notify.mark_read(db, user.id)
    noon.tick(days=1)

    send(db, jobs)

    assert len(outbox) == 0
    assert states(db) == {"dropped": 1}


def test_the_bell_may_be_off_and_the_letter_on(db, factories, jobs, outbox, noon):
    user = factories.user()
    choose(db, user, bell=False, mail=True)

    assert tell(db, user) == 1
    assert tell(db, user) == 0
    send(db, jobs)

    assert notify.unread_count(db, user.id) == 0
    assert len(outbox) == 1


def test_all_off_is_off_but_safety_comes_whatever_one_chose(db, factories, noon):
    user = factories.user()
    choose(db, user, bell=False, digest=False)
    choose(db, user, kind=SECURITY, bell=False)

    assert tell(db, user) == 0
    assert tell(db, user, "safety", kind=SECURITY) == 1
    assert notify.unread_count(db, user.id) == 1


def test_quiet_hours_are_those_of_the_reader(db, factories, jobs, outbox, noon):
    user = factories.user(time_zone="Asia/Vladivostok")  # 19:00 there
    notify.save_hours(db, user.id, Hours(quiet_from=18 * 60, quiet_to=8 * 60))
    choose(db, user, mail=True)
    tell(db, user)

    send(db, jobs)
    assert len(outbox) == 0
    assert db.scalar(sa.select(Notice.due_at)) == dt.datetime(2030, 3, 4, 22, 0, tzinfo=dt.UTC)
    noon.tick(hours=13)
    send(db, jobs)

    assert len(outbox) == 1


def test_muted_for_an_hour(db, factories, jobs, outbox, noon):
    user = factories.user()
    choose(db, user, mail=True)
    notify.mute(db, user.id, crm_clock.now() + dt.timedelta(hours=1))
    tell(db, user)
    send(db, jobs)
    assert len(outbox) == 0

    noon.tick(minutes=61)
    send(db, jobs)

    assert len(outbox) == 1


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        (Hours(), (4, 12, 0), None),
        (Hours(quiet_from=1320, quiet_to=480), (4, 12, 0), None),
        (Hours(quiet_from=1320, quiet_to=480), (4, 23, 0), (5, 8, 0)),
        (Hours(quiet_from=1320, quiet_to=480), (5, 7, 59), (5, 8, 0)),
        (Hours(quiet_from=780, quiet_to=840), (4, 13, 30), (4, 14, 0)),
        (Hours(quiet_weekends=True), (9, 12, 0), (11, 0, 0)),
        (Hours(quiet_weekends=True, quiet_from=1320, quiet_to=480), (10, 12, 0), (11, 8, 0)),
    ],
)
def test_when_one_may_be_disturbed_again(hours, now, until):
    zone = crm_clock.zone("Europe/Moscow")

    def at(parts):
        day, hour, minute = parts
        return dt.datetime(2030, 3, day, hour, minute, tzinfo=zone)

    reader = notify.Reader(user_id=1, zone="Europe/Moscow", hours=hours)

    assert notify.quiet_until(reader, at(now)) == (at(until) if until else None)


def test_the_letter_of_the_hour(db, factories, jobs, outbox, noon):
    user = factories.user()
    notify.save_hours(db, user.id, Hours(digest="hourly"))
    tell(db, user)
    noon.tick(minutes=61)

    send(db, jobs)

    assert len(outbox) == 1


def test_letters_speak_the_language_of_their_reader(db, factories, jobs, outbox, noon):
    user = factories.user(locale="ru")
    tell(db, user)
    noon.tick(days=1)

    send(db, jobs)

    assert outbox.last.subject == "Новое: 1"


def test_a_notification_that_gathers_more_is_one_row_on_top(db, factories):
    user = factories.user()
    tell(db, user, "thread", gather=True)
    tell(db, user, "other")
    tell(db, user, "thread", gather=True)

    top, below = notify.listing(db, _nothing, user.id)

    assert (top.title, top.count, below.title) == ("News thread", 2, "News other")
    notify.mark_read(db, user.id)
    tell(db, user, "thread", gather=True)
    (unread,) = notify.listing(db, _nothing, user.id, unread=True)
    assert unread.count == 1


# -- channels of plugins -----------------------------------------------------------------------------------------------


def test_a_channel_of_a_plugin_is_handed_each_message_once(db, factories, jobs, pigeon, noon):
    user = factories.user()
    choose(db, user, pigeon=True)
    tell(db, user)

    send(db, jobs)
    send(db, jobs)

    (message,) = pigeon.taken
    assert (message.address, message.title, message.account) == (f"loft {user.id}", "News k", "seed")
    assert db.scalar(sa.select(Delivery.state)) == "accepted"


def test_a_hanging_channel_is_left_after_its_time_and_others_go_on(
    db, factories, jobs, outbox, pigeon, noon, monkeypatch
):
    monkeypatch.setattr(channels, "TIMEOUT", 0.2)
    user = factories.user()
    choose(db, user, pigeon=True, mail=True)
    for number in range(4):
        tell(db, user, f"n{number}", kind=MENTIONED, entity=None)
        db.execute(sa.update(Notice).values(thread=sa.func.concat("t", Notice.notification_id)))
    pigeon.trouble = "hang"

    began = time.monotonic()
    send(db, jobs)

    assert time.monotonic() - began < 5
    assert len(outbox) == 4
    assert _ledger(db) == {"uncertain": 1, "deferred": 3}
    state = db.get(ChannelState, "pigeon")
    assert state.open_until > crm_clock.now()
    assert channels.paused_until(db, "mail") is None

    pigeon.trouble = ""
    noon.tick(minutes=6)
    send(db, jobs)
    assert _ledger(db) == {"uncertain": 1, "accepted": 3}
    assert len(pigeon.taken) == 3
    assert db.get(ChannelState, "pigeon", populate_existing=True).failures == 0


def test_a_failing_channel_pauses_longer_each_time(db, factories, jobs, pigeon, noon):
    user = factories.user()
    choose(db, user, pigeon=True)
    pigeon.trouble = "down"
    pauses = []
    tell(db, user)
    for _ in range(3):
        send(db, jobs)
        noon.tick(hours=2)
        db.execute(sa.update(JobRow).where(JobRow.state == "waiting").values(run_at=crm_clock.now()))
        db.execute(sa.update(Delivery).values(due_at=crm_clock.now()))
        jobs.run_all(check=False)
        db.expire_all()
        state = db.get(ChannelState, "pigeon")
        if state is not None and state.open_until:
            pauses.append(state.failures)

    assert pauses
    assert not pigeon.taken
    pigeon.trouble = ""
    noon.tick(hours=3)
    db.execute(sa.update(JobRow).where(JobRow.state == "waiting").values(run_at=crm_clock.now()))
    db.execute(sa.update(Delivery).values(due_at=crm_clock.now()))
    jobs.run_all()
    assert len(pigeon.taken) == 1


def test_a_channel_that_is_not_set_up_takes_nothing(db, factories, jobs, pigeon, noon):
    user = factories.user()
    choose(db, user, pigeon=True)
    pigeon.seed = None
    tell(db, user)

    send(db, jobs)

    assert not pigeon.taken
    assert _ledger(db) == {"pending": 1}


# -- fixtures ----------------------------------------------------------------------------------------------------------


class _Nothing:
    def visible_ids(self, entity, ids):
        return set()


_nothing = _Nothing()


class Pigeon:
    """A channel that can be told to fail."""

    def __init__(self):
        self.taken = []
        self.trouble = ""
        self.seed = "seed"

    def send(self, message):
        if self.trouble == "hang":
            time.sleep(2)
        if self.trouble == "down":
            raise delivery.Unreachable("down", "nobody answers")
        if self.trouble:
            raise ValueError(self.trouble)
        self.taken.append(message)

    @property
    def channel(self):
        return Channel(
            id="pigeon",
            title="Pigeon",
            send=self.send,
            address=lambda session, user_id: f"loft {user_id}",
            account=lambda session: self.seed,
        )


@pytest.fixture
def pigeon(plugins):
    bird = Pigeon()
    plugins.channels["pigeon"] = bird.channel
    yield bird
    del plugins.channels["pigeon"]


def _ledger(db):
    rows = db.execute(sa.select(Delivery.state, sa.func.count()).where(Delivery.channel == "pigeon").group_by("state"))
    return dict(rows.all())
