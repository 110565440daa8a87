"""The roles that ship, line by line: what a fresh installation grants to each, and how far it reaches."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from crm_core import people
from crm_core.models import Role, RoleGrant, User
from crm_core.people.reach import may_reach
from crm_core.people.rights import role_grants
from crm_core.security import permissions as p
from crm_core.security.permissions import POWERS, scope_covers

A, D, H, M, K, T, O, U = (  # noqa: E741  the letters of the table
    "administrator",
    "director",
    "head",
    "manager",
    "marketer",
    "specialist",
    "moderator",
    "user",
)
ROLES = (A, D, H, M, K, T, O, U)
NAMES = "names"

#: One line of the table each: what, and the scope of A D H M K T O U ("" is nothing).
TABLE: list[tuple[str, str, tuple[str, ...]]] = [
    ("accounts: view", p.USERS_VIEW, ("all", "all", "all", NAMES, NAMES, "all", "all", "own")),
    ("accounts: create, invite", p.USERS_INVITE, ("all", "", "", "", "", "all", "role_user", "")),
    (
        "accounts: edit profile",
        p.USERS_EDIT,
        ("all", "own", "own", "own", "own", "not_administrators", "role_user", "own"),
    ),
    ("accounts: approve sign-up", p.USERS_APPROVE, ("all", "", "", "", "", "all", "all", "")),
    ("accounts: disable access", p.USERS_DISABLE, ("all", "", "", "", "", "not_administrators", "role_user", "")),
    ("accounts: delete", p.USERS_DELETE, ("all", "", "", "", "", "", "", "")),
    ("rights: grant a role", p.RIGHTS_GRANT, ("all", "", "", "", "", "role_moderator_user", "role_user", "")),
    ("rights: edit what a role may", p.RIGHTS_EDIT, ("all", "", "", "", "", "role_moderator_user", "", "")),
    ("rights: ask why, who can see", p.RIGHTS_EXPLAIN, ("all", "all", "team", "own", "own", "all", "", "")),
    ("departments: edit", p.DEPARTMENTS_EDIT, ("all", "", "", "", "", "all", "", "")),
    ("settings: company, mail, calendar, tags, fields", p.SETTINGS_EDIT, ("all", "", "", "", "", "all", "", "")),
    ("settings: plugins, view", p.PLUGINS_VIEW, ("all", "", "", "", "", "all", "", "")),
    ("settings: plugins, toggle, archive, purge", p.PLUGINS_MANAGE, ("all", "", "", "", "", "", "", "")),
    ("settings: own preferences", p.PREFERENCES_EDIT, ("own",) * 8),
    ("reports: system", p.SYSTEM_VIEW, ("all", "health", "", "", "", "health", "", "")),
    ("log: view", p.LOG_VIEW, ("all", "all", "team", "own", "own", "not_administrators", "role_user", "own")),
    ("log: undo others' operations", p.LOG_UNDO, ("all", "all", "team", "", "", "clients_tickets", "", "")),
    ("saved views: share", p.VIEWS_SHARE, ("all", "all", "team", "", "", "all", "", "")),
]


@pytest.mark.parametrize(("line", "permission", "scopes"), TABLE, ids=[line for line, _p, _s in TABLE])
def test_a_fresh_installation_grants_exactly_this(db: Any, line: str, permission: str, scopes: tuple[str, ...]) -> None:
    granted = {role: role_grants(db, _role(db, role).id) for role in ROLES}

    found = {
        role: NAMES
        if permission == p.USERS_VIEW and p.USERS_NAMES in granted[role]
        else ",".join(sorted(granted[role].get(permission, ())))
        for role in ROLES
    }

    assert found == dict(zip(ROLES, scopes, strict=True))


def test_every_permission_of_the_core_stands_in_the_table(db: Any) -> None:
    declared = {permission.name for permission in p.PERMISSIONS}

    assert declared - {p.USERS_NAMES} == {permission for _line, permission, _scopes in TABLE}


def test_nothing_of_the_core_is_granted_that_no_line_names(db: Any) -> None:
    ours = {permission.name for permission in p.PERMISSIONS}
    named = {permission for _line, permission, _scopes in TABLE} | {p.USERS_NAMES}

    assert set(db.scalars(sa.select(RoleGrant.permission))) & ours <= named


#: (who acts, permission, the roles of the accounts that it reaches); one's own account apart.
REACH = [
    (A, p.USERS_EDIT, set(ROLES)),
    (D, p.USERS_EDIT, set()),
    (M, p.USERS_EDIT, set()),
    (T, p.USERS_EDIT, set(ROLES) - {A}),
    (O, p.USERS_EDIT, {U}),
    (U, p.USERS_EDIT, set()),
    (A, p.USERS_DISABLE, set(ROLES)),
    (T, p.USERS_DISABLE, set(ROLES) - {A}),
    (O, p.USERS_DISABLE, {U}),
    (H, p.USERS_DISABLE, set()),
    (A, p.USERS_DELETE, set(ROLES)),
    (T, p.USERS_DELETE, set()),
    (A, p.USERS_VIEW, set(ROLES)),
    (H, p.USERS_VIEW, set(ROLES)),
    (O, p.USERS_VIEW, set(ROLES)),
    (M, p.USERS_VIEW, set()),
    (U, p.USERS_VIEW, set()),
    (T, p.LOG_VIEW, set(ROLES) - {A}),
    (O, p.LOG_VIEW, {U}),
]


@pytest.mark.parametrize(("actor", "permission", "reached"), REACH)
def test_a_permission_about_people_reaches_these_accounts(
    db: Any, factories: Any, actor: str, permission: str, reached: set[str]
) -> None:
    subject = factories.subject(factories.user(actor))
    others = {role: factories.user(role) for role in ROLES}

    found = {role for role, user in others.items() if people.reaches(db, subject, permission, user.id)}

    assert found == reached


@pytest.mark.parametrize("actor", [A, D, H, M, K, T, O, U])
def test_everybody_edits_his_own_profile(db: Any, factories: Any, actor: str) -> None:
    user = factories.user(actor)

    assert may_reach(db, factories.subject(user), p.USERS_EDIT, user)


@pytest.mark.parametrize(
    ("actor", "grants"), [(A, set(ROLES)), (T, {O, U}), (O, {U}), (D, set()), (H, set()), (U, set())]
)
def test_who_may_hand_out_which_roles(db: Any, factories: Any, plugins: Any, actor: str, grants: set[str]) -> None:
    subject = factories.subject(factories.user(actor))

    found = {role.name for role in people.grantable_roles(db, subject, plugins) if role.ships}

    assert found == grants


@pytest.mark.parametrize(("actor", "edits"), [(A, set(ROLES)), (T, {O, U}), (O, set()), (D, set())])
def test_who_may_edit_which_roles(db: Any, factories: Any, actor: str, edits: set[str]) -> None:
    subject = factories.subject(factories.user(actor))

    from crm_core.people.rights import may_edit_role

    assert {role.name for role in people.roles_by_position(db) if may_edit_role(subject, role)} == edits


# -- never ---------------------------------------------------------------------------------------------------------


def test_a_custom_role_with_the_right_to_grant_cannot_hand_out_more_than_it_has(
    db: Any, factories: Any, plugins: Any
) -> None:
    weak = factories.role((p.RIGHTS_GRANT, "all"), (p.USERS_VIEW, "all"))
    actor = factories.user(None)
    _give(db, actor, weak)
    subject = factories.subject(actor)
    target = factories.user("user")

    with pytest.raises(people.Refused):
        people.set_roles(db, subject, plugins, target, [_role(db, A).id, _role(db, U).id])


def test_nobody_adds_to_a_role_what_he_does_not_have(db: Any, factories: Any, plugins: Any) -> None:
    subject = factories.subject(factories.user(T))
    role = _role(db, O)
    wanted = {**role_grants(db, role.id), p.USERS_DELETE: {"all"}}

    with pytest.raises(people.Refused, match="cannot grant"):
        people.set_role_grants(db, subject, plugins, role, wanted)


def test_nobody_widens_a_role_that_he_has_himself(db: Any, factories: Any, plugins: Any) -> None:
    editor = factories.role((p.RIGHTS_EDIT, "all"), (p.RIGHTS_GRANT, "all"))
    user = factories.user(None)
    _give(db, user, editor)
    factories.user(A)
    subject = factories.subject(user)

    with pytest.raises(people.Refused, match="widens"):
        people.set_role_grants(db, subject, plugins, editor, {**role_grants(db, editor.id), p.USERS_EDIT: {"all"}})


def test_a_specialist_cannot_make_himself_a_moderator_to_gain_rights(db: Any, factories: Any, plugins: Any) -> None:
    user = factories.user(O)
    subject = factories.subject(user)

    with pytest.raises(people.Refused):
        people.set_roles(db, subject, plugins, user, [_role(db, O).id, _role(db, T).id])


def test_an_account_with_more_rights_is_out_of_reach_whatever_the_scope(db: Any, factories: Any) -> None:
    strange = factories.role((p.USERS_EDIT, "all"), (p.USERS_DISABLE, "all"))
    actor = factories.user(None)
    _give(db, actor, strange)
    subject = factories.subject(actor)
    boss = factories.user(A)

    assert people.surplus(subject, {p.USERS_DELETE: {"all"}}) == {(p.USERS_DELETE, "all")}
    for act in (people.disable, lambda s, who, user: people.update_profile(s, who, user, name="Taken over")):
        with pytest.raises(people.Refused, match="more rights"):
            act(db, subject, boss)


def test_the_last_administrator_keeps_role_rights_and_access(db: Any, factories: Any, plugins: Any) -> None:
    admin = factories.user(A)
    subject = factories.subject(admin)
    role = _role(db, A)

    with pytest.raises(people.Refused, match="nobody who manages"):
        people.set_roles(db, subject, plugins, admin, [_role(db, U).id])
    with pytest.raises(people.Refused, match="nobody who manages"):
        people.set_role_grants(
            db, subject, plugins, role, {k: v for k, v in role_grants(db, role.id).items() if k != p.RIGHTS_EDIT}
        )
    system = factories.subject(factories.user(A))
    people.disable(db, system, admin)
    db.flush()

    assert db.get_one(User, admin.id).status == "disabled"
    assert {r.name for r in admin.roles} <= {A}


def test_two_administrators_do_not_take_the_right_from_each_other(committed_db: Any) -> None:
    import threading

    from crm_core.models import UserRole
    from crm_core.security.subject import load_subject

    with committed_db.session() as session:
        role = session.scalars(sa.select(Role).where(Role.name == A)).one().id
        ids = []
        for number in (1, 2):
            user = User(name=f"Admin {number}", email=f"a{number}@example.com")
            session.add(user)
            session.flush()
            session.add(UserRole(user_id=user.id, role_id=role))
            ids.append(user.id)
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def disable(actor: int, target: int) -> None:
        try:
            with committed_db.session() as session:
                subject = load_subject(session, actor)
                assert subject is not None
                start.wait(10)
                people.disable(session, subject, session.get_one(User, target))
            outcomes.append("done")
        except people.Refused:
            outcomes.append("refused")

    threads = [threading.Thread(target=disable, args=pair) for pair in (ids, ids[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(outcomes) == ["done", "refused"]


def test_taking_a_default_right_away_sticks(db: Any, factories: Any, plugins: Any) -> None:
    subject = factories.subject(factories.user(A))
    role = _role(db, H)
    left = {name: scopes for name, scopes in role_grants(db, role.id).items() if name != p.VIEWS_SHARE}
    people.set_role_grants(db, subject, plugins, role, left)

    people.sync_rights(db, plugins)

    assert p.VIEWS_SHARE not in role_grants(db, role.id)


def test_rights_of_a_plugin_that_is_off_stay_when_a_role_is_saved(db: Any, factories: Any, plugins: Any) -> None:
    subject = factories.subject(factories.user(A))
    role = _role(db, M)
    db.add(RoleGrant(role_id=role.id, permission="gone:view", scope="all"))
    db.flush()

    people.set_role_grants(db, subject, plugins, role, {})

    assert role_grants(db, role.id) == {"gone:view": {"all"}}


def test_a_change_of_rights_raises_the_epoch(db: Any, factories: Any, plugins: Any) -> None:
    admin = factories.user(A)
    subject = factories.subject(admin)
    user = factories.user(U)
    before = factories.subject(user).epoch

    people.set_roles(db, subject, plugins, user, [_role(db, M).id])

    assert factories.subject(user).epoch > before


def test_scopes_contain_one_another() -> None:
    assert scope_covers({"all"}, "role_user")
    assert scope_covers({"team"}, "shared")
    assert not scope_covers({"own"}, "shared")
    assert not scope_covers({"role_user"}, "all")
    assert {permission.name for permission in p.PERMISSIONS} >= POWERS


def _role(db: Any, name: str) -> Role:
    return db.scalars(sa.select(Role).where(Role.name == name)).one()


def _give(db: Any, user: User, role: Role) -> None:
    from crm_core.models import UserRole

    db.add(UserRole(user_id=user.id, role_id=role.id))
    db.flush()
