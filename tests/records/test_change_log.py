"""The change log: the database writes it whatever way a row is changed, and nobody alters it unseen."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from crm_core.db import UNGATED
from crm_core.models import Change, User
from crm_core.records import operations, sealing
from crm_core.testing.factories import Factories

PERSON = "clients.person"


def changes(db: Any) -> list[tuple[str, str, Any, Any]]:
    """Return what the log holds of people, in order."""
    return [
        (change.action, change.entity, change.before, change.after)
        for change in db.scalars(sa.select(Change).where(Change.entity == PERSON).order_by(Change.id))
    ]


def test_writes_past_the_orm_are_logged_too(db: Any, plugins: Any, factories: Any, person_of: Any) -> None:
    person_of(factories.user("manager"), city="Самара")
    table = plugins.entity(PERSON).model.__table__

    db.execute(sa.update(table).values(city="Казань"), execution_options={UNGATED: "a test"})
    operations.ensure(db)
    db.execute(sa.text("UPDATE clients_person SET city = 'Уфа'"))
    db.execute(sa.text("DELETE FROM clients_person"))

    log = changes(db)
    assert [entry[0] for entry in log] == ["insert", "update", "update", "delete"]
    assert log[1][2:] == ({"city": "Самара"}, {"city": "Казань"})
    assert log[2][2:] == ({"city": "Казань"}, {"city": "Уфа"})
    assert log[3][2]["city"] == "Уфа"


def test_a_write_without_an_operation_is_refused(committed_db: Any) -> None:
    with committed_db.session() as db:
        Factories(db).user("manager")

    with pytest.raises(DatabaseError, match="without an operation"), committed_db.session() as db:
        db.execute(sa.text("UPDATE core_user SET name = 'x'"))


def test_what_did_not_change_is_not_logged(db: Any, factories: Any, person_of: Any) -> None:
    person = person_of(factories.user("manager"), city="Самара")
    count, version = len(changes(db)), person.version

    operations.ensure(db)
    db.execute(sa.text("UPDATE clients_person SET city = city"))

    db.refresh(person)
    assert (len(changes(db)), person.version) == (count, version)


def test_secrets_and_search_text_are_never_in_the_log(db: Any, factories: Any) -> None:
    factories.user("manager", password_hash="$argon2id$secret")

    after = db.scalars(sa.select(Change.after).where(Change.entity == "core.user")).all()

    assert after
    assert not any("password_hash" in (one or {}) for one in after)


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [
        ("""UPDATE core_change SET after = after || '{"city": "Москва"}' WHERE id = :id""", "altered"),
        ("DELETE FROM core_change WHERE id = :id", "removed"),
        (
            "INSERT INTO core_change SELECT id + 1000000, at, operation_id, entity, record_id, parent_entity, "
            "parent_id, action, before, after, xid, NULL, digest, block FROM core_change WHERE id = :id",
            "inserted",
        ),
    ],
)
def test_verify_finds_an_altered_removed_and_inserted_row(committed_db: Any, tampering: str, problem: str) -> None:
    with committed_db.session() as db:
        user = Factories(db).user("manager")
    with committed_db.session() as db:
        db.get_one(User, user.id).name = "Другое имя"
    sealed = 1
    while sealed:
        with committed_db.session() as db:
            sealed = sealing.seal(db)
    with committed_db.session() as db:
        assert sealing.verify(db).sound
        one = db.scalar(sa.text("SELECT id FROM core_change WHERE block IS NOT NULL ORDER BY id LIMIT 1 OFFSET 1"))
        db.execute(sa.text(tampering), {"id": one})

    with committed_db.session() as db:
        verdict = sealing.verify(db)

    assert problem in {finding.problem for finding in verdict.findings}


def test_a_sound_log_may_hold_instants_long_past(committed_db: Any) -> None:
    """A demo company's year, or data brought over from elsewhere, is written today."""
    from crm_core import clock

    with clock.frozen() as hands, committed_db.session() as db:
        hands.tick(days=-400)
        Factories(db).user("manager")
    with committed_db.session() as db:
        assert sealing.seal(db)

    with committed_db.session() as db:
        assert sealing.verify(db).sound
