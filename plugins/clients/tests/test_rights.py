"""What each role that ships may do with clients and with what was said, line by line of the table of roles."""

from __future__ import annotations

from typing import Any

import pytest

from crm_clients.entities import INTERACTION, PERSON
from crm_core.models import RoleGrant
from crm_core.people import first_run
from crm_core.records import saving
from crm_core.security.subject import load_subject

ROLES = ("administrator", "director", "head", "manager", "marketer", "specialist", "moderator", "user")

#: Permission: the scope of each role in the order of ROLES, "" for nothing.
TABLE: dict[str, tuple[str, ...]] = {
    "clients:view": ("all", "all", "team", "team", "all", "all", "", "shared"),
    "clients:create": ("all", "all", "all", "all", "", "all", "", ""),
    "clients:edit": ("all", "all", "team", "team", "", "all", "", ""),
    "clients:delete": ("all", "all", "team", "own", "", "all", "", ""),
    "clients:import": ("all", "", "team", "own", "", "all", "", ""),
    "clients:merge": ("all", "", "team", "own", "", "all", "", ""),
    "clients:export": ("all", "all", "team", "own", "", "all", "", ""),
    "clients:assign": ("all", "all", "team", "own", "", "all", "", ""),
    "interactions:view": ("parent",) * 6 + ("", "parent"),
    "interactions:create": ("all",) * 6 + ("", "shared"),
    "interactions:edit": ("own",) * 6 + ("", "shared"),
    "interactions:delete": ("all", "", "team", "own", "own", "own", "", ""),
}


@pytest.mark.parametrize("permission", TABLE)
@pytest.mark.parametrize("role", ROLES)
def test_a_fresh_installation_grants_what_the_table_says(db: Any, factories: Any, role: str, permission: str) -> None:
    subject = load_subject(db, factories.user(role).id)

    assert subject is not None
    assert "".join(subject.scopes(permission)) == TABLE[permission][ROLES.index(role)]


def test_no_permission_is_left_out_of_the_table(plugins: Any) -> None:
    declared = {name for (kind, name), plugin in plugins.source.items() if (kind, plugin) == ("permission", "clients")}

    assert declared == set(TABLE)


@pytest.fixture
def company(db: Any, factories: Any) -> Any:
    """Make a department with a manager, a department above with a head, and somebody of neither."""

    class World:
        sales = factories.team(name="Sales")
        firms = factories.team(name="Firms", parent_id=sales.id)
        support = factories.team(name="Support")
        head = factories.user("head", team_id=sales.id)
        manager = factories.user("manager", team_id=firms.id)
        colleague = factories.user("manager", team_id=firms.id)
        stranger = factories.user("manager", team_id=support.id)
        user = factories.user("user", team_id=support.id)

    World.sales.head_id = World.head.id
    db.flush()
    return World


VERBS = ("view", "edit", "delete", "assign")


@pytest.mark.parametrize(
    ("role", "of_whom", "allowed"),
    [
        ("administrator", "stranger", "view edit delete assign"),
        ("director", "stranger", "view edit delete assign"),
        ("head", "manager", "view edit delete assign"),
        ("head", "stranger", ""),
        ("manager", "manager", "view edit delete assign"),
        ("manager", "colleague", "view edit"),
        ("manager", "stranger", ""),
        ("marketer", "stranger", "view"),
        ("specialist", "stranger", "view edit delete assign"),
        ("moderator", "stranger", ""),
        ("user", "stranger", ""),
    ],
)
def test_each_role_reaches_its_own_records(
    company: Any, clients: Any, factories: Any, role: str, of_whom: str, allowed: str
) -> None:
    person = clients.person(getattr(company, of_whom))
    who = getattr(company, role, None) or factories.user(role)
    gate = clients.gate(who)

    assert [verb for verb in VERBS if gate.allows(verb, person)] == allowed.split()
    assert bool(gate.why(PERSON, person.id)) == ("view" in allowed)


def test_what_is_shared_shows_to_an_employee_without_a_role_and_only_that(company: Any, clients: Any) -> None:
    shared, other = clients.person(company.manager), clients.person(company.manager)
    gate = clients.gate()
    saving.share(gate, gate.entity(PERSON), shared, "user", company.user.id)

    mine = clients.gate(company.user)

    assert mine.visible_ids(PERSON, [shared.id, other.id]) == {shared.id}
    assert not mine.allows("edit", shared)


def test_what_was_said_is_seen_with_the_client(company: Any, clients: Any) -> None:
    person = clients.person(company.manager)
    said = clients.interaction(person, company.manager, text="Спрашивали цену")

    assert clients.gate(company.colleague).visible_ids(INTERACTION, [said.id]) == {said.id}
    assert clients.gate(company.head).visible_ids(INTERACTION, [said.id]) == {said.id}
    assert clients.gate(company.stranger).visible_ids(INTERACTION, [said.id]) == set()
    assert not clients.gate(company.colleague).allows("edit", said)
    assert clients.gate(company.manager).allows("edit", said)


def test_nobody_records_with_a_client_he_does_not_see(company: Any, clients: Any) -> None:
    person = clients.person(company.manager)

    with pytest.raises(saving.NotAllowed):
        clients.interaction(person, company.stranger)


@pytest.mark.parametrize(("choice", "scope"), [("all", "all"), ("team", "team"), ("own", "shared")])
def test_the_choice_of_the_first_run_sets_what_a_manager_sees(
    db: Any, factories: Any, plugins: Any, choice: str, scope: str
) -> None:
    from crm_core.company import Company
    from crm_core.models import Role

    admin = load_subject(db, factories.user("administrator").id)
    assert admin is not None
    first_run.set_client_access(db, admin, plugins, Company(db, plugins, None), choice)  # type: ignore[arg-type]
    db.flush()

    manager = db.query(Role).filter_by(name="manager").one()
    grants = {
        grant.permission: grant.scope
        for grant in db.query(RoleGrant).filter(RoleGrant.role_id == manager.id)
        if grant.permission.startswith("clients:")
    }
    assert (grants["clients:view"], grants["clients:edit"]) == (scope, scope)
    assert grants["clients:delete"] == "own"
