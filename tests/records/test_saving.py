"""Making, changing, trashing, bringing back; who may, and what happens when two save at once."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.forms import InvalidValues
from crm_core.models import Change, SearchText
from crm_core.models.records import Address
from crm_core.records import history, saving

PERSON = "clients.person"


def test_a_new_record_belongs_to_its_maker_and_is_found(db: Any, plugins: Any, factories: Any, gate_of: Any) -> None:
    team = factories.team()
    me = factories.user("manager", team_id=team.id)
    gate, entity = gate_of(me), plugins.entity(PERSON)

    values = saving.check(
        gate, entity, {"last_name": "Ёлкин", "phones": ["8 927 123-45-67"], "emails": ["A@B.example"]}
    )
    person = saving.create(gate, entity, values)

    assert (person.owner_id, person.team_id, person.created_by) == (me.id, team.id, me.id)
    assert person.phones == [{"value": "+79271234567", "main": True}]
    assert "елкин" in db.scalar(sa.select(SearchText.text).where(SearchText.record_id == person.id))
    found = set(db.execute(sa.select(Address.kind, Address.value).where(Address.record_id == person.id)))
    assert found == {("phone", "+79271234567"), ("email", "a@b.example")}


def test_unknown_and_engine_fields_are_refused(db: Any, plugins: Any, factories: Any, gate_of: Any) -> None:
    gate = gate_of(factories.user("manager"))

    for name in ("id", "version", "created_by", "team_id", "deleted_at", "extra", "is_admin", "name_sort"):
        with pytest.raises(InvalidValues):
            saving.check(gate, plugins.entity(PERSON), {"last_name": "Иванов", name: 1})


def test_wrong_values_are_told_by_field_and_nothing_typed_is_lost(
    db: Any, plugins: Any, factories: Any, gate_of: Any
) -> None:
    gate = gate_of(factories.user("manager"))
    typed = {"last_name": "Иванов", "phones": ["123"], "emails": ["not an address"], "birthday": "35.13.2020"}

    with pytest.raises(InvalidValues) as caught:
        saving.check(gate, plugins.entity(PERSON), typed)

    assert set(caught.value.errors) == {"phones", "emails", "birthday"}
    assert caught.value.typed == typed


def test_a_viewer_may_not_change(db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any) -> None:
    person = person_of(factories.user("manager"))
    gate = gate_of(factories.user("marketer"))

    with pytest.raises(saving.NotAllowed):
        saving.change(gate, plugins.entity(PERSON), person, {"city": "Самара"})


def test_the_second_saver_of_the_same_field_sees_both_versions(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any
) -> None:
    me = factories.user("manager")
    entity, person = plugins.entity(PERSON), person_of(me, city="Самара")
    seen = person.version
    saving.change(gate_of(me), entity, person, {"city": "Казань"}, version=seen)

    with pytest.raises(saving.Conflict) as caught:
        saving.change(gate_of(me), entity, person, {"city": "Уфа"}, version=seen)

    assert caught.value.theirs == {"city": "Казань"}
    assert caught.value.mine == {"city": "Уфа"}
    assert caught.value.by == me.id


def test_changes_of_different_fields_do_not_hinder_one_another(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any
) -> None:
    me = factories.user("manager")
    entity, person = plugins.entity(PERSON), person_of(me, city="Самара")
    seen = person.version
    saving.change(gate_of(me), entity, person, {"city": "Казань"}, version=seen)

    saving.change(gate_of(me), entity, person, {"comment": "звонить утром"}, version=seen)

    assert (person.city, person.comment) == ("Казань", "звонить утром")


def test_the_version_is_the_id_of_the_last_change(db: Any, factories: Any, person_of: Any) -> None:
    person = person_of(factories.user("manager"))

    newest = db.scalar(sa.select(sa.func.max(Change.id)).where(Change.entity == PERSON, Change.record_id == person.id))

    assert person.version == newest


def test_assigning_moves_a_record_to_the_department_of_its_new_owner(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any
) -> None:
    team = factories.team()
    boss, heir = factories.user("administrator"), factories.user("manager", team_id=team.id)
    person = person_of(boss)

    outcome = saving.assign(gate_of(boss), plugins.entity(PERSON), [person.id], heir.id)

    db.refresh(person)
    assert outcome.changed == (person.id,)
    assert (person.owner_id, person.team_id) == (heir.id, team.id)
    assert db.scalar(sa.select(SearchText.owner_id).where(SearchText.record_id == person.id)) == heir.id


def test_bulk_tags_touch_only_what_one_may_change(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any
) -> None:
    me = factories.user("manager")
    mine, theirs = person_of(me), person_of(factories.user("manager"))
    gate = gate_of(me)
    tag = saving.tag_ids(db, ["VIP"])["vip"]

    outcome = saving.tag(gate, plugins.entity(PERSON), [mine.id, theirs.id], add=[tag])

    db.refresh(mine)
    assert (outcome.changed, outcome.refused) == ((mine.id,), 1)
    assert mine.tags == [tag]
    saving.tag(gate, plugins.entity(PERSON), [mine.id], remove=[tag])
    db.refresh(mine)
    assert mine.tags == []


def test_history_tells_what_changed_by_whom(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any
) -> None:
    me = factories.user("manager", name="Ольга")
    entity, person = plugins.entity(PERSON), person_of(me, city="Самара")
    saving.change(gate_of(me), entity, person, {"city": "Казань"})

    entry = history.of_record(gate_of(me), entity, person.id).entries[0]

    assert (entry.by, entry.action) == ("Ольга", "update")
    assert [(d.field, d.before, d.after) for d in entry.differences] == [("city", "Самара", "Казань")]


def test_as_of_gives_the_fields_of_that_instant(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any, clock: Any
) -> None:
    me = factories.user("manager")
    entity, person = plugins.entity(PERSON), person_of(me, city="Самара")
    before = clock.tick(minutes=1)
    clock.tick(minutes=1)
    db.commit()
    saving.change(gate_of(me), entity, person, {"city": "Казань"})

    state = history.as_of(db, entity, person.id, before)

    assert state is not None
    assert state["city"] == "Самара"
