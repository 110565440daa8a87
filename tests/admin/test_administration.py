"""Administration as people do it: accounts, departments, roles, the company, mail, plugins, the log, the system."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core import company, people
from crm_core.company import Company
from crm_core.models import JobRow, Operation, Role, SettingValue, Team, User
from crm_core.models.accounts import ACTIVE, DELETED, DISABLED, PENDING
from crm_core.people.rights import role_grants


def token(testapp: Any) -> str:
    return str(testapp.get("/profile").forms["form"]["csrf_token"].value)


def post(testapp: Any, path: str, values: dict[str, Any] | None = None, **options: Any) -> Any:
    return testapp.post(path, {"csrf_token": token(testapp), **(values or {})}, **options)


def settings(db: Any, app: Any, plugins: Any) -> Company:
    return Company(db, plugins, app.registry["crm.secrets"])


# -- users ---------------------------------------------------------------------------------------------------------


def names(page: Any) -> set[str]:
    return {a.get_text(strip=True) for a in page.html.select("table a") if "/settings/users/" in (a.get("href") or "")}


def test_the_list_of_users_is_filtered_by_name_state_role_and_department(
    testapp: Any, db: Any, factories: Any, login_as: Any
) -> None:
    login_as("administrator", name="Boss")
    team = factories.team(name="Sales")
    factories.user("manager", name="Anna 100%", team_id=team.id)
    factories.user("marketer", name="Boris", status=DISABLED)
    factories.user("user", name="Pending", status=PENDING)

    def listed(query: str) -> str:
        return testapp.get("/settings/users?" + query).html.find("table", class_="crm-table").get_text(" ")

    assert "Anna" in listed("q=anna")
    assert "Boris" not in listed("q=anna")
    assert "Anna" in listed("q=100%25")
    assert "Boris" in listed(f"status={DISABLED}")
    assert "Pending" not in listed(f"team={team.id}")
    manager = db.scalar(sa.select(Role.id).where(Role.name == "manager"))
    assert "Anna" in listed(f"role={manager}")
    for odd in ("q=%25", "page=0", "page=abc", "role=99999999999999999999", "team=-1", "status=x"):
        assert testapp.get("/settings/users?" + odd).status_int == 200


def test_an_account_without_a_role_sees_only_itself(testapp: Any, factories: Any, login_as: Any) -> None:
    other = factories.user("manager", name="Somebody Else")
    me = login_as("user", name="Myself")

    page = testapp.get("/settings/users")

    assert "Myself" in page
    assert "Somebody Else" not in page
    assert testapp.get(f"/settings/users/{me.id}").status_int == 200
    assert testapp.get(f"/settings/users/{other.id}", expect_errors=True).status_int == 404
    assert [one["title"] for one in testapp.get("/colleagues").json] == ["Myself"]


def test_a_manager_gets_names_of_colleagues_and_nothing_more(testapp: Any, factories: Any, login_as: Any) -> None:
    factories.user("manager", name="Colleague", email="hidden@example.com")
    login_as("manager")

    found = testapp.get("/colleagues?q=coll")

    assert [one["title"] for one in found.json] == ["Colleague"]
    assert "hidden@example.com" not in found.text


def test_posting_every_column_changes_only_what_the_form_has(
    testapp: Any, db: Any, factories: Any, login_as: Any
) -> None:
    login_as("administrator")
    user = factories.user("manager")
    db.flush()
    before = {c.name: getattr(user, c.name) for c in User.__table__.columns}

    post(
        testapp, f"/settings/users/{user.id}", {**dict.fromkeys(before, "7"), "team_id": "", "name": "New"}, status=303
    )

    after = {c.name: getattr(db.get_one(User, user.id), c.name) for c in User.__table__.columns}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"name", "job_title", "phone", "version", "updated_at", "updated_by"}


@pytest.mark.parametrize(
    ("actor", "target", "verb", "outcome"),
    [
        ("administrator", "manager", "disable", 303),
        ("specialist", "manager", "disable", 303),
        ("specialist", "administrator", "disable", 403),
        ("moderator", "user", "disable", 303),
        ("moderator", "manager", "disable", 403),
        ("director", "user", "disable", 403),
        ("head", "user", "end-sessions", 403),
    ],
)
def test_who_may_disable_whom(
    testapp: Any, db: Any, factories: Any, login_as: Any, actor: str, target: str, verb: str, outcome: int
) -> None:
    factories.user("administrator")
    login_as(actor)
    user = factories.user(target)
    operations = db.scalar(sa.select(sa.func.count()).select_from(Operation))

    post(testapp, f"/settings/users/{user.id}/{verb}", status=outcome)

    if outcome == 303:
        assert db.get_one(User, user.id).status == DISABLED
    else:
        assert db.get_one(User, user.id).status == ACTIVE
        assert db.scalar(sa.select(sa.func.count()).select_from(Operation)) == operations, "nothing was written"


def test_roles_that_one_may_not_hand_out_stay_as_they_are(testapp: Any, db: Any, factories: Any, login_as: Any) -> None:
    factories.user("administrator")
    login_as("specialist")
    user = factories.user("manager")
    ids = {role.name: role.id for role in people.roles_by_position(db)}

    post(
        testapp,
        f"/settings/users/{user.id}/roles",
        {"roles": [str(ids["moderator"]), str(ids["administrator"])]},
        status=403,
    )
    post(testapp, f"/settings/users/{user.id}/roles", {"roles": [str(ids["moderator"])]}, status=303)

    assert {role.name for role in db.get_one(User, user.id).roles} == {"manager", "moderator"}


def test_a_deleted_account_hands_its_records_over_and_leaves_its_history(
    testapp: Any, db: Any, factories: Any, login_as: Any, plugins: Any
) -> None:
    admin = login_as("administrator")
    leaver, heir = factories.user("manager", name="Petr Leaver"), factories.user("manager")
    team = factories.team(head_id=leaver.id)
    db.execute(
        sa.text(
            "INSERT INTO core_view (entity, name, owner_id, query, shared, created_at) VALUES "
            "('x.y', 'Shared', :user, '{}', 'all', now()), ('x.y', 'Private', :user, '{}', '', now())"
        ),
        {"user": leaver.id},
    )
    db.commit()

    page = testapp.get(f"/settings/users/{leaver.id}/delete")
    form = page.forms["form"]
    form["heir"], form["typed"] = str(heir.id), "Petr"
    assert form.submit(status=422).html.find(id="f-typed-error")
    form["typed"] = "Petr Leaver"
    form.submit(status=303)

    gone = db.get_one(User, leaver.id)
    assert (gone.status, gone.email, gone.password_hash, gone.roles) == (DELETED, "", None, [])
    assert gone.name == f"Former employee {gone.id}"
    assert db.get_one(Team, team.id).head_id is None
    owners = db.execute(sa.text("SELECT name, owner_id FROM core_view")).all()
    assert [(row.name, row.owner_id) for row in owners] == [("Shared", heir.id)]
    operation = db.scalars(sa.select(Operation).where(Operation.kind == "delete")).one()
    assert (operation.user_id, operation.record_id) == (admin.id, leaver.id)
    assert testapp.get(f"/settings/users/{leaver.id}", expect_errors=True).status_int == 404


def test_approving_and_declining_a_sign_up(testapp: Any, db: Any, factories: Any, login_as: Any, outbox: Any) -> None:
    login_as("moderator")
    one = factories.user("user", status=PENDING, email="one@example.com")
    two = factories.user("user", status=PENDING, email="two@example.com")

    post(testapp, f"/settings/users/{one.id}/approve", status=303)
    post(testapp, f"/settings/users/{two.id}/reject", status=303)

    assert db.get_one(User, one.id).status == ACTIVE
    assert (db.get_one(User, two.id).status, db.get_one(User, two.id).email) == (DELETED, "")
    assert [letter.recipient for letter in outbox] == ["one@example.com", "two@example.com"]


@pytest.mark.parametrize("along", [True, False])
def test_with_another_department_records_go_along_or_stay(
    testapp: Any, db: Any, factories: Any, login_as: Any, along: bool
) -> None:
    login_as("administrator")
    old, new = factories.team(), factories.team()
    user = factories.user("manager", team_id=old.id)
    db.execute(
        sa.text(
            "INSERT INTO core_view (entity, name, owner_id, team_id, query, shared, created_at) "
            "VALUES ('x.y', 'Mine', :user, :team, '{}', 'team', now())"
        ),
        {"user": user.id, "team": old.id},
    )
    form = testapp.get(f"/settings/users/{user.id}").forms["profile-form"]
    form["team_id"], form["move_records"] = str(new.id), along
    form.submit(status=303)

    assert db.get_one(User, user.id).team_id == new.id
    assert db.scalar(sa.text("SELECT team_id FROM core_view")) == (new.id if along else old.id)


def test_not_even_undo_takes_the_last_administrator_away(
    testapp: Any, db: Any, factories: Any, login_as: Any, plugins: Any
) -> None:
    first = login_as("administrator")
    second = factories.user("user")
    ids = {role.name: role.id for role in people.roles_by_position(db)}
    roles = {"roles": [str(ids["administrator"]), str(ids["user"])]}
    post(testapp, f"/settings/users/{second.id}/roles", roles, status=303)
    promoted = db.scalars(
        sa.select(Operation).where(Operation.kind == "rights", Operation.record_id == second.id)
    ).one()
    login_as(second)
    post(testapp, f"/settings/users/{first.id}/disable", status=303)

    post(testapp, f"/operations/{promoted.id}/undo", expect_errors=True)

    assert "administrator" in {role.name for role in db.get_one(User, second.id).roles}
    assert db.get_one(Operation, promoted.id).undone_by is not None, "it was tried"


# -- departments ---------------------------------------------------------------------------------------------------


def test_departments_form_a_tree_without_circles(testapp: Any, db: Any, factories: Any, login_as: Any) -> None:
    login_as("specialist")
    head = factories.user("head", name="The Head")
    form = testapp.get("/settings/departments").forms["form"]
    form["name"], form["head_id"] = "Sales", str(head.id)
    form.submit(status=303)
    top = db.scalars(sa.select(Team)).one()
    form = testapp.get("/settings/departments").forms["form"]
    form["name"], form["parent_id"] = "Firms", str(top.id)
    form.submit(status=303)
    below = db.scalars(sa.select(Team).where(Team.name == "Firms")).one()

    page = testapp.get("/settings/departments")
    assert "The Head" in page
    answer = post(testapp, f"/settings/departments/{top.id}", {"name": "Sales", "parent_id": str(below.id)}, status=422)
    assert "below itself" in answer
    assert factories.subject(head).team_ids == {top.id, below.id}
    post(testapp, f"/settings/departments/{top.id}/delete", status=422)
    post(testapp, f"/settings/departments/{below.id}/delete", status=303)
    assert db.scalars(sa.select(Team.name)).all() == ["Sales"]


# -- roles ---------------------------------------------------------------------------------------------------------


def test_the_matrix_says_in_words_what_each_role_may(testapp: Any, login_as: Any) -> None:
    login_as("administrator")

    rows = {
        row.th.get_text(strip=True): [cell.get_text(" ", strip=True) for cell in row.find_all("td")]
        for row in testapp.get("/settings/roles").html.select("tbody tr")
        if row.td
    }

    assert rows["Disable access"][:1] == ["All"]
    assert rows["Disable access"][5] == "All but administrators"
    assert rows["Disable access"][6] == "Employees without a role"
    assert rows["Delete accounts"][0] == "Yes"


def test_a_role_of_ones_own_is_made_filled_given_and_deleted(
    testapp: Any, db: Any, factories: Any, login_as: Any
) -> None:
    login_as("administrator")
    form = testapp.get("/settings/roles").forms["form"]
    form["title"], form["like"] = "Trainee", str(db.scalar(sa.select(Role.id).where(Role.name == "moderator")))
    form.submit(status=303)
    role = db.scalars(sa.select(Role).where(Role.title == "Trainee")).one()
    assert role_grants(db, role.id)["users:invite"] == {"role_user"}

    page = testapp.get(f"/settings/roles/{role.id}")
    form = next(form for form in page.forms.values() if "p:log:view" in form.fields)
    form["p:log:view"] = "team"
    form["p:users:approve"] = False
    form.submit(status=303)

    grants = role_grants(db, role.id)
    assert "team" in grants["log:view"]
    assert "users:approve" not in grants
    user = factories.user(None)
    db.execute(sa.text("INSERT INTO core_user_role (user_id, role_id) VALUES (:u, :r)"), {"u": user.id, "r": role.id})
    assert "Somebody has this role" in post(testapp, f"/settings/roles/{role.id}/delete", status=422)
    db.execute(sa.text("DELETE FROM core_user_role WHERE user_id = :u"), {"u": user.id})
    post(testapp, f"/settings/roles/{role.id}/delete", status=303)
    shipped = db.scalar(sa.select(Role.id).where(Role.name == "user"))
    assert "cannot be deleted" in post(testapp, f"/settings/roles/{shipped}/delete", status=422)


def test_saving_a_shipped_role_as_it_is_changes_nothing(testapp: Any, db: Any, login_as: Any) -> None:
    login_as("administrator")
    for role in people.roles_by_position(db):
        before = role_grants(db, role.id)
        page = testapp.get(f"/settings/roles/{role.id}")
        form = next(form for form in page.forms.values() if "p:log:view" in form.fields)

        form.submit(status=303)

        assert role_grants(db, role.id) == before, role.name


def test_a_specialist_edits_two_roles_and_sees_the_others(testapp: Any, db: Any, login_as: Any) -> None:
    login_as("specialist")
    ids = {role.name: role.id for role in people.roles_by_position(db)}

    assert "Save the role" in testapp.get(f"/settings/roles/{ids['moderator']}")
    page = testapp.get(f"/settings/roles/{ids['manager']}")
    assert "Save the role" not in page
    post(testapp, f"/settings/roles/{ids['manager']}", {"p:clients:view": "all"}, status=403)
    post(testapp, "/settings/roles", {"title": "Mine"}, status=403)


# -- the company ---------------------------------------------------------------------------------------------------


def test_the_company_is_saved_and_shown_and_its_changes_are_in_the_log(
    testapp: Any, db: Any, app: Any, plugins: Any, login_as: Any
) -> None:
    user = login_as("specialist")
    form = testapp.get("/settings/company").forms["form"]
    form["company.name"], form["company.currency"], form["company.time_zone"] = "Климат", "BYN", "Asia/Omsk"
    form.submit(status=303)

    found = settings(db, app, plugins)
    assert (found.name, found.currency, found.time_zone) == ("Климат", "BYN", "Asia/Omsk")
    assert "Климат" in testapp.get("/settings")
    operation = db.scalars(sa.select(Operation).where(Operation.kind == "settings")).one()
    assert (operation.user_id, operation.address) == (user.id, "127.0.0.1")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("company.name", " "),
        ("company.currency", "XXX"),
        ("company.time_zone", "Mars/Base"),
        ("company.address", "evil"),
    ],
)
def test_what_is_wrong_with_the_company_is_said(testapp: Any, db: Any, login_as: Any, field: str, value: str) -> None:
    login_as("administrator")
    form = testapp.get("/settings/company").forms["form"]
    form[field].force_value(value)

    answer = form.submit(status=422)

    assert answer.html.find(id=f"f-{field.replace('.', '-')}-error")
    assert db.scalars(sa.select(SettingValue)).all() == []


def test_own_legal_entities_are_added_changed_and_removed(
    testapp: Any, db: Any, app: Any, plugins: Any, login_as: Any
) -> None:
    login_as("administrator")
    form = testapp.get("/settings/legal/0").forms["form"]
    form["name"], form["inn"] = "ООО «Климат»", "12345"
    assert form.submit(status=422).html.find(id="f-inn-error")
    form["inn"] = "6312 345 678"
    form.submit(status=303)

    assert settings(db, app, plugins).get(company.LEGAL_ENTITIES) == [{"name": "ООО «Климат»", "inn": "6312345678"}]
    assert "6312345678" in testapp.get("/settings/legal")
    post(testapp, "/settings/legal/0", {"remove": "1"}, status=303)
    assert settings(db, app, plugins).get(company.LEGAL_ENTITIES) == []


def test_the_working_calendar_knows_holidays_and_transfers(
    testapp: Any, db: Any, app: Any, plugins: Any, login_as: Any
) -> None:
    import datetime as dt

    login_as("administrator")
    form = testapp.get("/settings/calendar").forms["form"]
    form["off"], form["on"] = "31.12.2026", "28.11.2026\n"
    form.submit(status=303)

    calendar = settings(db, app, plugins).calendar
    assert calendar.is_working_day(dt.date(2026, 11, 28))
    assert not calendar.is_working_day(dt.date(2026, 12, 31))
    assert not calendar.is_working_day(dt.date(2027, 1, 1))
    assert not calendar.is_working_day(dt.date(2026, 11, 29))
    form = testapp.get("/settings/calendar").forms["form"]
    form["hours_4"], form["break_min"] = "9:00 – 16:45", "45"
    form.submit(status=303)

    calendar = settings(db, app, plugins).calendar
    assert calendar.hours_of(dt.date(2026, 11, 27)) == (dt.time(9), dt.time(16, 45))
    assert calendar.minutes_of(dt.date(2026, 11, 27)) == 7 * 60
    assert calendar.hours_of(dt.date(2026, 11, 3)) == (dt.time(9), dt.time(17)), "the eve of a holiday is shorter"
    assert calendar.is_working_day(dt.date(2025, 11, 1)), "work was transferred to this Saturday"
    assert not calendar.is_working_day(dt.date(2025, 11, 3)), "and the day off to this Monday"
    form = testapp.get("/settings/calendar").forms["form"]
    form["hours_4"] = "all day"
    assert "Write hours such as" in form.submit(status=422)
    form = testapp.get("/settings/calendar").forms["form"]
    form["off"] = "soon"
    assert "is not a date" in form.submit(status=422)


@pytest.mark.parametrize(("choice", "scope"), [("all", "all"), ("team", "team"), ("own", "shared")])
def test_who_sees_which_clients_sets_the_managers_role(
    testapp: Any, db: Any, login_as: Any, plugins: Any, choice: str, scope: str
) -> None:
    if "clients:view" not in plugins.permissions:
        pytest.skip("the plugin clients is off")
    login_as("administrator")
    form = testapp.get("/settings/accounts").forms["form"]
    form["accounts.client_access"] = choice
    form.submit(status=303)

    manager = db.scalar(sa.select(Role.id).where(Role.name == "manager"))
    assert scope in role_grants(db, manager)["clients:view"]
    assert len(role_grants(db, manager)["clients:view"] & {"own", "shared", "team", "all"}) == 1
    head = db.scalar(sa.select(Role.id).where(Role.name == "head"))
    assert role_grants(db, head)["clients:view"] == {"team"}


# -- mail ----------------------------------------------------------------------------------------------------------


def test_the_mail_account_is_sealed_and_its_password_never_shown(
    testapp: Any, db: Any, app: Any, plugins: Any, login_as: Any
) -> None:
    login_as("administrator")
    form = testapp.get("/settings/mail?preset=Mail.ru").forms["form"]
    assert form["mail.host"].value == "smtp.mail.ru"
    form["mail.user"], form["mail.password"] = "crm@klimat.example", "CANARY-5511"
    form["mail.sender"] = "Klimat <crm@klimat.example>"
    form.submit(status=303)

    account = settings(db, app, plugins).mail_account()
    assert (account.host, account.port, account.security, account.password) == (
        "smtp.mail.ru",
        465,
        "tls",
        "CANARY-5511",
    )
    assert "CANARY" not in testapp.get("/settings/mail").text
    form = testapp.get("/settings/mail").forms["form"]
    form["mail.port"] = "587"
    form.submit(status=303)
    assert settings(db, app, plugins).mail_account().password == "CANARY-5511", "an empty field keeps it"


def test_a_test_letter_tells_what_came_of_it(testapp: Any, db: Any, login_as: Any, jobs: Any) -> None:
    login_as("administrator")
    testapp.get("/settings/mail").forms["test-form"].submit(status=303)
    jobs.run_all()

    assert "It stayed in the local mailbox" in testapp.get("/settings/mail")


def test_links_that_give_access_are_read_in_the_mailbox_by_administrators_only(
    testapp: Any, db: Any, factories: Any, login_as: Any, jobs: Any, outbox: Any
) -> None:
    admin = factories.user("administrator")
    form = testapp.get("/forgot").forms["form"]
    form["email"] = admin.email
    form.submit()
    jobs.run_all()
    link = outbox.link(admin.email)
    number = outbox.last.id

    login_as("specialist")
    assert testapp.get("/settings/mailbox").status_int == 200
    page = testapp.get(f"/settings/mailbox/{number}")
    assert link not in page
    assert "only administrators read it" in page
    login_as(admin)
    assert link in testapp.get(f"/settings/mailbox/{number}")


# -- plugins -------------------------------------------------------------------------------------------------------


def test_the_page_of_plugins_shows_states_what_each_adds_and_the_line(
    testapp: Any, login_as: Any, plugins: Any
) -> None:
    login_as("specialist")

    page = testapp.get("/settings/plugins")

    assert "crm.plugins = " in page
    for name in plugins.names()[1:]:
        assert page.html.find(id=f"plugin-{name}")
    assert "Switch off and restart" not in page


def test_switching_a_plugin_writes_the_line_and_asks_for_a_restart(
    testapp: Any, login_as: Any, plugins: Any, app_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from crm_core import restart

    if "clients" not in plugins.names():
        pytest.skip("the plugin clients is off")
    ini = Path(app_settings["crm.ini"])
    ini.write_text("[app:main]\ncrm.plugins = " + " ".join(plugins.names()[1:]) + "\n", "utf-8")
    asked: list[Path] = []
    monkeypatch.setattr(restart, "is_served", lambda folder: True)
    monkeypatch.setattr(restart, "request_restart", asked.append)
    login_as("administrator")
    assert "Switch off and restart" in testapp.get("/settings/plugins")
    dependants = [one.info.name for one in plugins.loaded if "clients" in one.info.requires]

    answer = post(testapp, "/settings/plugins/clients", {"to": "off"}, expect_errors=True)

    if dependants:
        assert answer.status_int == 422
        assert asked == []
    else:
        assert answer.status_int == 303
        assert "clients" not in ini.read_text("utf-8")
        assert len(asked) == 1
    login_as("specialist")
    post(testapp, "/settings/plugins/clients", {"to": "off"}, status=403)
    ini.unlink()


# -- the log and the system ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("viewer", "seen"),
    [
        ("administrator", {"administrator", "manager", "user", "viewer"}),
        ("director", {"administrator", "manager", "user", "viewer"}),
        ("head", {"manager", "viewer"}),
        ("manager", {"viewer"}),
        ("specialist", {"manager", "user", "viewer"}),
        ("moderator", {"user", "viewer"}),
        ("user", {"viewer"}),
    ],
)
def test_the_log_shows_the_operations_that_a_role_may_see(
    testapp: Any, db: Any, factories: Any, login_as: Any, viewer: str, seen: set[str]
) -> None:
    team = factories.team()
    who = {role: factories.user(role) for role in ("administrator", "manager", "user")}
    who["manager"].team_id = team.id
    who["viewer"] = login_as(viewer, team_id=team.id)
    db.flush()
    made = {name: factories.make(Operation, user_id=user.id, kind="edit") for name, user in who.items()}

    page = testapp.get("/settings/log")
    shown = {name for name, one in made.items() if f'href="/settings/log/{one.id}"' in page.text}

    assert shown == seen
    for name, one in made.items():
        status = testapp.get(f"/settings/log/{one.id}", expect_errors=True).status_int
        assert status == (200 if name in seen else 404), name


def test_the_log_is_filtered_by_who_what_and_when(
    testapp: Any, db: Any, factories: Any, login_as: Any, clock: Any
) -> None:
    import datetime as dt

    me = login_as("administrator")
    clock.move_to(dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC))
    old = factories.make(Operation, user_id=me.id, kind="import")
    clock.move_to(dt.datetime(2026, 5, 6, 12, tzinfo=dt.UTC))
    new = factories.make(Operation, user_id=me.id, kind="undo")
    login_as(me)

    def shown(query: str) -> set[int]:
        text = testapp.get("/settings/log?" + query).text
        return {one.id for one in (old, new) if f'href="/settings/log/{one.id}"' in text}

    assert shown("kind=import") == {old.id}
    assert shown("since=2026-05-05") == {new.id}
    assert shown("until=2026-05-04") == {old.id}
    assert shown(f"user={me.id}") == {old.id, new.id}
    assert shown("since=yesterday&user=x&before=zzz") == {old.id, new.id}


def test_an_operation_opens_its_changes(testapp: Any, db: Any, factories: Any, login_as: Any) -> None:
    login_as("administrator")
    user = factories.user("manager", name="Before")
    post(testapp, f"/settings/users/{user.id}", {"name": "Afterwards", "team_id": ""}, status=303)
    operation = db.scalars(sa.select(Operation).where(Operation.record_id == user.id)).one()

    page = testapp.get(f"/settings/log/{operation.id}")

    assert "Before" in page
    assert "Afterwards" in page


def test_the_state_of_the_system_hides_errors_from_those_who_see_only_its_health(
    testapp: Any, db: Any, factories: Any, login_as: Any
) -> None:
    factories.make(JobRow, name="core.seal", state="failed", error="SecretError: CANARY-9911", title="CANARY title")

    login_as("director")
    assert "CANARY" not in testapp.get("/settings/system")
    login_as("administrator")
    page = testapp.get("/settings/system")
    assert "CANARY-9911" in page
    assert "PostgreSQL" in page
