"""Undo: everything goes back, except what somebody changed since; row hashes prove it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.models import Operation
from crm_core.records import operations, saving, undo

PERSON = "clients.person"


def row_hashes(db: Any, table: str = "clients_person") -> dict[int, str]:
    """Return a digest of each row, without version, stamps and derived columns."""
    db.flush()
    rows = db.execute(
        sa.text(
            f"SELECT id, md5((to_jsonb(t) - ARRAY['version', 'updated_at', 'updated_by', 'last_contact_at'])::text) "
            f"FROM {table} t"
        )
    )
    return dict(rows.all())


def test_a_change_goes_back_field_by_field(db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any) -> None:
    me = factories.user("manager")
    entity, person = plugins.entity(PERSON), person_of(me, city="Самара", comment="а")
    before = row_hashes(db)
    db.commit()
    saving.change(gate_of(me), entity, person, {"city": "Казань", "comment": "б"})
    operation = operations.current(db)
    db.commit()

    report = undo.undo(gate_of(me), operation)

    assert (report.undone, report.conflicts) == (1, [])
    assert row_hashes(db) == before


def test_what_somebody_changed_since_is_left_alone_and_told(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any
) -> None:
    me = factories.user("manager")
    entity, person = plugins.entity(PERSON), person_of(me, city="Самара", comment="а")
    db.commit()
    saving.change(gate_of(me), entity, person, {"city": "Казань", "comment": "б"})
    operation = operations.current(db)
    db.commit()
    saving.change(gate_of(me), entity, person, {"city": "Уфа"})
    db.commit()

    report = undo.undo(gate_of(me), operation)

    db.refresh(person)
    assert (person.city, person.comment) == ("Уфа", "а")
    assert report.conflicts == [{"entity": PERSON, "id": person.id, "fields": {"city": {"was": "Самара", "is": "Уфа"}}}]


def test_making_and_trashing_go_back_and_forth(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any
) -> None:
    me = factories.user("manager")
    entity, empty = plugins.entity(PERSON), row_hashes(db)
    gate = gate_of(me)
    person = saving.create(gate, entity, saving.check(gate, entity, {"last_name": "Новый"}))
    made = operations.current(db)
    full = row_hashes(db)
    db.commit()

    report = undo.undo(gate_of(me), made)
    db.commit()
    assert row_hashes(db) == empty
    undo.undo(gate_of(me), report.operation_id)
    db.commit()
    assert row_hashes(db) == full

    saving.trash(gate_of(me), entity, [person.id])
    trashed = operations.current(db)
    db.commit()
    undo.undo(gate_of(me), trashed)
    assert row_hashes(db) == full


def test_a_bulk_change_of_thousands_goes_back_batch_by_batch(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any
) -> None:
    boss, heir = factories.user("administrator"), factories.user("manager")
    ids = [person_of(boss, last_name=f"Иванов {number}").id for number in range(30)]
    entity, before = plugins.entity(PERSON), row_hashes(db)
    db.commit()
    saving.assign(gate_of(boss), entity, ids, heir.id)
    operation = operations.current(db)
    db.commit()

    undo_id = undo.start(gate_of(boss), operation)
    db.commit()
    steps = 0
    while not undo.step(gate_of(boss), undo_id, batch=7).finished:
        steps += 1
        db.commit()

    assert steps == 4
    assert row_hashes(db) == before


def test_an_operation_is_taken_back_once_and_only_by_those_who_may(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any
) -> None:
    me, other = factories.user("manager"), factories.user("manager")
    entity, person = plugins.entity(PERSON), person_of(me)
    db.commit()
    saving.change(gate_of(me), entity, person, {"city": "Казань"})
    operation = operations.current(db)
    db.commit()

    with pytest.raises(saving.NotAllowed):
        undo.undo(gate_of(other), operation)
    undo.undo(gate_of(me), operation)
    with pytest.raises(saving.NotAllowed):
        undo.undo(gate_of(me), operation)
    assert db.get(Operation, operation).undone_by is not None


def test_a_record_that_others_point_at_is_not_unmade(db: Any, plugins: Any, factories: Any, gate_of: Any) -> None:
    me = factories.user("manager")
    gate, entity = gate_of(me), plugins.entity(PERSON)
    person = saving.create(gate, entity, saving.check(gate, entity, {"last_name": "Новый"}))
    made = operations.current(db)
    db.commit()
    interaction = plugins.entity("clients.interaction").model
    operations.describe(db, gate.subject)
    db.add(interaction(subject_entity=PERSON, subject_id=person.id, kind="call", owner_id=me.id))
    db.commit()

    report = undo.undo(gate_of(me), made)

    assert report.conflicts[0]["used_by"] == "clients_interaction"
    assert gate_of(me).get(PERSON, person.id) is not None
