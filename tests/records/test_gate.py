"""The gate: who sees what, why, and that there is no way past it."""

from __future__ import annotations

import random
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.db import UngatedRead
from crm_core.models import Grant
from crm_core.records import saving
from crm_core.records.listing import Listing, ListQuery

PERSON = "clients.person"


def test_a_statement_on_a_gated_table_without_the_gate_raises(db: Any, plugins: Any) -> None:
    model = plugins.entity(PERSON).model

    with pytest.raises(UngatedRead, match="clients_person"):
        db.execute(sa.select(model))
    with pytest.raises(UngatedRead):
        db.execute(sa.select(sa.func.count()).select_from(sa.select(model.id).subquery()))
    with pytest.raises(UngatedRead):
        db.execute(sa.update(model).values(city="x"))
    with pytest.raises(UngatedRead):
        db.get(model, 1)


def test_a_manager_sees_his_own_and_his_departments(db: Any, factories: Any, gate_of: Any, person_of: Any) -> None:
    team, other = factories.team(), factories.team()
    me, colleague = factories.user("manager", team_id=team.id), factories.user("manager", team_id=team.id)
    stranger = factories.user("manager", team_id=other.id)
    mine, ours, theirs = person_of(me), person_of(colleague), person_of(stranger)

    gate = gate_of(me)

    assert gate.visible_ids(PERSON, [mine.id, ours.id, theirs.id]) == {mine.id, ours.id}
    assert gate.get(PERSON, theirs.id) is None


def test_a_head_sees_departments_below(db: Any, factories: Any, gate_of: Any, person_of: Any) -> None:
    head = factories.user("head")
    top = factories.team(head_id=head.id)
    below = factories.team(parent_id=factories.team(parent_id=top.id).id)
    person = person_of(factories.user("manager", team_id=below.id))
    elsewhere = person_of(factories.user("manager", team_id=factories.team().id))

    gate = gate_of(head)

    assert gate.visible_ids(PERSON, [person.id, elsewhere.id]) == {person.id}


def test_a_share_opens_one_record_and_its_level_says_what_for(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any
) -> None:
    newcomer = factories.user("user")
    person, other = person_of(factories.user("manager")), person_of(factories.user("manager"))
    entity = plugins.entity(PERSON)

    saving.share(gate_of(), entity, person, "user", newcomer.id)

    assert gate_of(newcomer).visible_ids(PERSON, [person.id, other.id]) == {person.id}
    assert [reason.kind for reason in gate_of(newcomer).why(PERSON, person.id)] == ["shared"]
    assert not gate_of(newcomer).visible_ids(PERSON, [person.id], "edit")


def test_labels_leave_out_what_may_not_be_seen(db: Any, factories: Any, gate_of: Any, person_of: Any) -> None:
    me = factories.user("manager")
    mine, theirs = person_of(me, last_name="Мой"), person_of(factories.user("manager"), last_name="Чужой")

    assert gate_of(me).labels(PERSON, [mine.id, theirs.id]) == {mine.id: "Мой"}


def test_a_record_in_the_trash_is_found_only_there(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any
) -> None:
    boss = factories.user("administrator")
    person = person_of(boss)
    saving.trash(gate_of(boss), plugins.entity(PERSON), [person.id])

    gate = gate_of(boss)

    assert gate.get(PERSON, person.id) is None
    assert gate.get(PERSON, person.id, trash=True) is not None


def test_who_names_everybody_with_a_reason(db: Any, factories: Any, gate_of: Any, person_of: Any) -> None:
    team = factories.team()
    owner, colleague = factories.user("manager", team_id=team.id), factories.user("manager", team_id=team.id)
    factories.user("manager")
    director = factories.user("director")
    person = person_of(owner)

    viewers = {
        viewer.user_id: [reason.kind for reason in viewer.reasons] for viewer in gate_of().who(PERSON, person.id)
    }

    assert viewers == {owner.id: ["own", "team"], colleague.id: ["team"], director.id: ["all"]}


def test_who_asks_as_little_about_a_hundred_people_as_about_one(
    db: Any, factories: Any, gate_of: Any, person_of: Any, query_counter: Any
) -> None:
    for _number in range(100):
        factories.user("manager")
    person = person_of(factories.user("manager"))
    gate = gate_of()

    with query_counter() as queries:
        viewers = gate.who(PERSON, person.id)

    assert len(viewers) == 1
    assert queries.count <= 8


def test_why_agrees_with_the_list_in_ten_thousand_cases(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any
) -> None:
    """Every (person, record) pair of a random company: the list shows it exactly when "why" has a reason."""
    rng = random.Random(7)
    entity = plugins.entity(PERSON)
    teams = [factories.team()]
    for _number in range(6):
        teams.append(factories.team(parent_id=rng.choice(teams).id))
    roles = ("manager", "marketer", "specialist", "user", "director", "head", "moderator", "administrator")
    users = [
        factories.user(rng.choice(roles), team_id=rng.choice([None, *[team.id for team in teams]]))
        for _number in range(50)
    ]
    for team in teams:
        team.head_id = rng.choice(users).id
    db.flush()
    records = [person_of(rng.choice([None, *users])) for _number in range(200)]
    system = gate_of()
    for record in rng.sample(records, 60):
        kind, ref = rng.choice(
            [
                ("user", rng.choice(users).id),
                ("team", rng.choice(teams).id),
                ("role", rng.choice(list(users[0].roles or [None]))),
            ]
        )
        if not isinstance(ref, int):
            kind, ref = "user", rng.choice(users).id
        saving.share(system, entity, record, kind, ref, rng.choice(["view", "edit"]))
    ids = [record.id for record in records]

    cases = 0
    for user in users:
        gate = gate_of(user)
        query = ListQuery(limit=200)
        listed = set()
        while True:
            page = Listing(gate, entity).page(query)
            listed |= {row.id for row in page.rows}
            if not page.next:
                break
            query = ListQuery(limit=200, after=page.next)
        found = _explained(gate, entity, ids)
        assert listed & set(ids) == found
        cases += len(ids)

    assert cases == 10_000
    assert db.scalar(sa.select(sa.func.count()).select_from(Grant)) > 0


def _explained(gate: Any, entity: Any, ids: list[int]) -> set[int]:
    # `why` for each record would be ten thousand statements; every fifth goes through it, the rest by its branches.
    by_branches = gate.visible_ids(entity, ids)
    for number in ids[::5]:
        assert bool(gate.why(entity, number)) == (number in by_branches)
    return by_branches
