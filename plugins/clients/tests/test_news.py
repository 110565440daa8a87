"""News of clients: responsibility, followers, mentions; told to those who may see the client, while they may."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from crm_clients import services
from crm_clients.entities import INTERACTIONS, PERSON, PERSONS
from crm_clients.models import Person
from crm_core import channels, notify
from crm_core import jobs as queue
from crm_core.db import UNGATED, RecordRef
from crm_core.models.notifications import Notice, NoticeChoice
from crm_core.models.work import Delivery
from crm_core.records import saving
from crm_core.records.gate import Gate
from crm_core.security.subject import load_subject
from crm_core.specs import Channel

MANAGER = "manager"


def test_whoever_becomes_responsible_is_told_and_nobody_of_what_he_did_himself(db, people, gate_of):
    me, other, person = people
    gate = gate_of(me)

    saving.change(gate, PERSONS, person, {"owner_id": other.id})

    (news,) = notify.listing(db, gate_of(other), other.id)
    assert (news.kind, news.values["name"], news.href) == (
        "core.record.assigned",
        person.full_name,
        f"/clients/people/{person.id}",
    )
    assert notify.listing(db, gate, me.id) == []


def test_many_records_at_once_are_one_word(db, people, gate_of):
    me, other, person = people
    second = saving.create(gate_of(me), PERSONS, {"last_name": "Второй"})

    saving.assign(gate_of(me), PERSONS, [person.id, second.id], other.id)

    (news,) = notify.listing(db, gate_of(other), other.id)
    assert news.values["number"] == 2
    assert news.href == "/clients/people"


def test_followers_hear_of_changes_in_one_row_that_counts(db, people, gate_of):
    me, other, person = people
    notify.follow(db, other.id, PERSON, person.id)
    notify.follow(db, me.id, PERSON, person.id)

    for name in ("Алексей", "Андрей", "Антон"):
        saving.change(gate_of(me), PERSONS, person, {"first_name": name})

    (news,) = notify.listing(db, gate_of(other), other.id)
    assert (news.kind, news.count, news.values["who"]) == ("core.followed.changed", 3, me.name)
    assert notify.listing(db, gate_of(me), me.id) == []


def test_followers_hear_of_notes(db, people, gate_of):
    me, other, person = people
    notify.follow(db, other.id, PERSON, person.id)

    _note(gate_of(me), person, "Перезвонить")

    (news,) = notify.listing(db, gate_of(other), other.id)
    assert news.entity == PERSON
    assert news.values["what"]["msgid"] == INTERACTIONS.title


def test_whoever_may_no_longer_see_a_record_hears_nothing_of_it(db, people, gate_of):
    me, other, person = people
    notify.follow(db, other.id, PERSON, person.id)
    _take_away(db, other)

    saving.change(gate_of(me), PERSONS, person, {"first_name": "Андрей"})

    assert notify.listing(db, gate_of(other), other.id) == []


def test_a_mention_tells_who_may_see_and_the_author_of_who_may_not(db, people, gate_of, factories):
    me, other, person = people
    stranger = factories.user(role=None, name="Чужой Человек")
    text = f"Спросите {notify.token(other.name, other.id)} и {notify.token(stranger.name, stranger.id)}"

    note = _note(gate_of(me), person, text)

    (news,) = notify.listing(db, gate_of(other), other.id)
    assert (news.kind, news.entity, news.record_id) == ("core.mentioned", PERSON, person.id)
    (word,) = notify.listing(db, gate_of(me), me.id)
    assert (word.kind, word.values["people"]) == ("core.mentioned.unseen", "Чужой Человек")
    assert notify.listing(db, gate_of(stranger), stranger.id) == []

    saving.change(gate_of(me), INTERACTIONS, note, {"text": text + " ещё раз"})
    assert len(notify.listing(db, gate_of(other), other.id)) == 1


def test_nothing_of_a_client_leaks_in_letters_once_the_right_is_gone(db, people, gate_of, run, outbox, clock):
    _me, other, person = people
    db.add(NoticeChoice(user_id=other.id, kind="core.mentioned", channel="mail", wanted=True))
    about: dict[str, Any] = {"title": "News", "entity": PERSON, "record_id": person.id}
    notify.notify(db, other.id, key="at once", kind="core.mentioned", **about)
    notify.notify(db, other.id, key="of the day", kind="core.record.assigned", **about)
    _take_away(db, other)

    run(channels.SEND)
    clock.tick(days=1)
    run(channels.SEND)

    assert len(outbox) == 0
    assert set(db.scalars(sa.select(Notice.state))) == {"dropped"}


def test_rights_are_asked_again_a_moment_before_a_channel_is_told(db, people, gate_of, jobs, plugins, pigeon):
    _me, other, person = people
    db.add(NoticeChoice(user_id=other.id, kind="core.mentioned", channel="pigeon", wanted=True))
    notify.notify(
        db, other.id, key="k", kind="core.mentioned", title="News", entity=PERSON, record_id=person.id
    )
    assert channels.send_to(db, plugins, other.id) == 1
    _take_away(db, other)

    jobs.run_all()

    assert pigeon == []
    assert db.scalar(sa.select(Delivery.state).where(Delivery.channel == "pigeon")) == "failed"


# -- fixtures ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def gate_of(db, plugins):
    return lambda user: Gate(db, load_subject(db, user.id), plugins)


@pytest.fixture
def people(db, factories, gate_of):
    """Two managers of a department and a client of the first."""
    team = factories.team()
    me = factories.user(role=MANAGER, team_id=team.id, name="Ольга Орлова")
    other = factories.user(role=MANAGER, team_id=team.id, name="Иван Петров")
    person = saving.create(gate_of(me), PERSONS, {"last_name": "Иванов", "first_name": "Пётр"})
    return me, other, person


@pytest.fixture
def run(db, jobs):
    def run(name):
        queue.enqueue(db, name)
        jobs.run_all()

    return run


@pytest.fixture
def pigeon(plugins):
    taken: list[Any] = []
    plugins.channels["pigeon"] = Channel(
        id="pigeon", title="Pigeon", send=taken.append, address=lambda session, user_id: "loft"
    )
    yield taken
    del plugins.channels["pigeon"]


def _note(gate, person, text):
    return services.record_interaction(gate, RecordRef(PERSON, person.id), kind="note", text=text)


def _take_away(db, user):
    """Move somebody out of his department."""
    db.execute(sa.text("UPDATE core_user SET team_id = NULL WHERE id = :id"), {"id": user.id})
    db.execute(
        sa.update(Person.__table__).where(Person.owner_id == user.id).values(owner_id=None),
        execution_options={UNGATED: "a test"},
    )
