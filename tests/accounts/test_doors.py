"""Getting in and out: sign-up, sign-in, forgotten passwords, invitations, the first administrator, one's profile."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image

from crm_core import company, people
from crm_core.company import Company
from crm_core.models import SignInEvent, User, UserSession
from crm_core.models.accounts import ACTIVE, DISABLED, PENDING, UNCONFIRMED
from crm_core.security import passwords, sessions

GOOD = "correct horse battery staple"
OTHER = "seventeen quiet umbrellas"


def path(link: str) -> str:
    return link.removeprefix("http://localhost")


def make(factories: Any, role: str = "manager", **values: Any) -> User:
    return factories.user(role, password_hash=passwords.hash_password(GOOD), **values)


def sign_in(testapp: Any, email: str, password: str = GOOD, **more: Any) -> Any:
    form = testapp.get("/sign-in").forms["form"]
    form["email"], form["password"] = email, password
    for name, value in more.items():
        form[name] = value
    return form.submit(expect_errors=True)


@pytest.fixture
def policy(db: Any, plugins: Any, app: Any) -> Any:
    """Say who may sign up."""

    def set_policy(choice: str) -> None:
        Company(db, plugins, app.registry["crm.secrets"]).set(company.SIGN_UP, choice)
        db.commit()

    return set_policy


# -- sign-up -------------------------------------------------------------------------------------------------------


def sign_up(testapp: Any, email: str = "new@example.com", password: str = GOOD, name: str = "Anna New") -> Any:
    form = testapp.get("/sign-up").forms["form"]
    form["name"], form["email"], form["password"] = name, email, password
    return form.submit(expect_errors=True)


def test_who_signs_up_confirms_his_address_and_waits_for_approval(
    testapp: Any, db: Any, factories: Any, outbox: Any, jobs: Any, login_as: Any
) -> None:
    admin = factories.user("administrator")

    assert "Look into your mail" in sign_up(testapp)
    user = people.by_email(db, "new@example.com")
    assert user.status == UNCONFIRMED
    page = testapp.get(path(outbox.link("new@example.com")))
    assert people.by_email(db, "new@example.com").status == UNCONFIRMED, "opening a link changes nothing"
    assert "somebody here approves" in page.forms["form"].submit().text
    assert people.by_email(db, "new@example.com").status == PENDING
    assert "waits for approval" in sign_in(testapp, "new@example.com").text

    login_as(admin)
    csrf = testapp.get("/profile").forms["form"]["csrf_token"].value
    testapp.post(f"/settings/users/{user.id}/approve", {"csrf_token": csrf}, status=303)
    testapp.reset()

    assert sign_in(testapp, "new@example.com").status_int == 303
    assert "approved" in outbox.to("new@example.com")[-1].text
    assert [role.name for role in people.by_email(db, "new@example.com").roles] == ["user"]


def test_with_open_sign_up_a_confirmed_account_is_active(
    testapp: Any, db: Any, factories: Any, outbox: Any, policy: Any
) -> None:
    factories.user("administrator")
    policy(company.OPEN)

    sign_up(testapp)
    testapp.get(path(outbox.link())).forms["form"].submit()

    assert people.by_email(db, "new@example.com").status == ACTIVE


@pytest.mark.parametrize("choice", [company.INVITATION, company.CLOSED])
def test_without_open_sign_up_nobody_signs_up(testapp: Any, db: Any, factories: Any, policy: Any, choice: str) -> None:
    factories.user("administrator")
    form = testapp.get("/sign-up").forms["form"]
    policy(choice)

    form["name"], form["email"], form["password"] = "X", "x@example.com", GOOD
    answer = form.submit(expect_errors=True)

    assert answer.status_int == 422
    assert people.by_email(db, "x@example.com") is None
    assert "by invitation" in testapp.get("/sign-up").text


def test_signing_up_with_a_known_address_looks_the_same_and_tells_its_owner(
    testapp: Any, db: Any, factories: Any, outbox: Any
) -> None:
    known = make(factories, email="known@example.com")

    fresh = sign_up(testapp, "fresh@example.com")
    taken = sign_up(testapp, "known@example.com")

    assert fresh.text.replace("fresh@", "known@").count("known@example.com") == taken.text.count("known@example.com")
    assert fresh.status_int == taken.status_int == 200
    assert "already" in outbox.to("known@example.com")[0].text
    assert "/token/" not in outbox.to("known@example.com")[0].text
    assert passwords.verify_password(db.get_one(User, known.id).password_hash, GOOD)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", "a@b@c"),
        ("name", "  "),
        ("name", "http://spam.example"),
        ("password", "short"),
        ("password", "password123"),
        ("password", "qwerty123456"),
        ("password", "anna new 1"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field_and_nothing_else_is_lost(
    testapp: Any, db: Any, factories: Any, field: str, value: str
) -> None:
    factories.user("administrator")
    typed = {"name": "Anna New", "email": "anna@example.com", "password": GOOD, field: value}

    answer = sign_up(testapp, typed["email"], typed["password"], typed["name"])

    assert answer.status_int == 422
    assert answer.html.find(id=f"f-{field}-error")
    form = answer.forms["form"]
    kept = {name: form[name].value for name in ("name", "email") if name != field}
    assert kept == {name: typed[name] for name in kept}
    assert form["password"].value == ""
    assert db.scalar(sa.select(sa.func.count()).select_from(User)) == 1


# -- sign-in -------------------------------------------------------------------------------------------------------


def test_signing_in_opens_the_page_that_was_asked_for(testapp: Any, factories: Any) -> None:
    user = make(factories)
    way = testapp.get("/profile/sessions?x=1")

    form = way.follow().forms["form"]
    form["email"], form["password"] = user.email.upper(), GOOD
    answer = form.submit()

    assert answer.location == "http://localhost/profile/sessions?x=1"


@pytest.mark.parametrize(
    "place",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "https:evil.example",
        "\\\\evil.example",
        "/a\r\nX: y",
        "javascript:alert(1)",
        "/\t/evil.example",
        "http://localhost@evil.example",
    ],
)
def test_nobody_is_sent_to_another_site(testapp: Any, factories: Any, place: str) -> None:
    user = make(factories)
    token = testapp.get("/sign-in").forms["form"]["csrf_token"].value

    answer = testapp.post(
        "/sign-in", {"email": user.email, "password": GOOD, "next": place, "csrf_token": token}, status=303
    )

    assert answer.location == "http://localhost/"


def test_wrong_passwords_and_unknown_addresses_get_one_answer(testapp: Any, factories: Any) -> None:
    user = make(factories)
    disabled = make(factories, status=DISABLED)

    answers = [
        sign_in(testapp, email, password)
        for email, password in ((user.email, "wrong password"), ("nobody@example.com", GOOD), (disabled.email, GOOD))
    ]

    said = {answer.html.find(class_="crm-errors").get_text(" ", strip=True) for answer in answers}
    assert len(said) == 1
    assert {answer.status_int for answer in answers} == {422}


def test_an_unknown_address_costs_as_much_work_as_a_wrong_password(
    db: Any, factories: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes the time is the hash; a clock would only measure how busy the machine is."""
    from crm_core.security import passwords

    user = make(factories)
    device = sessions.Device("127.0.0.1", "Test")
    hasher, costs = passwords._hasher, []

    class Counting:
        def verify(self, stored: str, password: str) -> bool:
            costs.append(stored.rpartition("$")[0].rpartition("$")[0])
            return hasher.verify(stored, password)

        def __getattr__(self, name: str) -> Any:
            return getattr(hasher, name)

    monkeypatch.setattr(passwords, "_hasher", Counting())

    def work(email: str) -> list[str]:
        costs.clear()
        people.sign_in(db, email, "wrong password", device)
        return list(costs)

    known, unknown = work(user.email), work("nobody@example.com")

    assert len(known) == 1
    assert known[0].startswith("$argon2id$")
    assert unknown == known


def test_each_sign_in_gets_a_fresh_session_and_ends_the_one_before(testapp: Any, db: Any, factories: Any) -> None:
    user = make(factories)
    sign_in(testapp, user.email)
    first = testapp.cookies["crm"]

    token = testapp.get("/profile").forms["form"]["csrf_token"].value
    testapp.post("/sign-in", {"email": user.email, "password": GOOD, "csrf_token": token}, status=303)

    assert testapp.cookies["crm"] != first
    assert db.scalar(sa.select(sa.func.count()).select_from(UserSession)) == 1


def test_the_cookie_is_out_of_reach_of_scripts_and_bound_to_the_host(testapp: Any, factories: Any) -> None:
    user = make(factories)

    plain = sign_in(testapp, user.email).headers["Set-Cookie"]
    testapp.reset()
    secure = {"wsgi.url_scheme": "https", "HTTP_HOST": "localhost"}
    form = testapp.get("/sign-in", extra_environ=secure).forms["form"]
    form["email"], form["password"], form["remember"] = user.email, GOOD, True
    encrypted = form.submit(extra_environ={**secure, "HTTP_ORIGIN": "https://localhost"}).headers.getall("Set-Cookie")

    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    cookie = next(one for one in encrypted if one.startswith("__Host-crm="))
    assert "secure" in cookie.lower()
    assert "Max-Age" in cookie
    assert "Domain" not in cookie


def test_sessions_end_when_idle_and_at_last_in_any_case(
    testapp: Any, factories: Any, clock: Any, login_as: Any
) -> None:
    user = make(factories)
    login_as(user)
    for _hours in range(5):
        clock.tick(hours=11)
        assert testapp.get("/profile").status_int == 200
    clock.tick(hours=13)
    assert testapp.get("/profile").status_int == 303

    login_as(user)
    for _hours in range(14):
        clock.tick(hours=11)
        testapp.get("/profile")
    clock.tick(hours=11)
    clock.tick(hours=4)
    assert testapp.get("/profile").status_int == 303


def test_signing_out_ends_the_session(testapp: Any, db: Any, login_as: Any) -> None:
    login_as("manager")
    token = testapp.get("/profile").forms["form"]["csrf_token"].value

    testapp.post("/sign-out", {"csrf_token": token}, status=303)

    assert db.scalar(sa.select(sa.func.count()).select_from(UserSession)) == 0
    assert testapp.get("/profile").status_int == 303


def test_too_many_tries_are_refused_even_with_the_right_password(testapp: Any, factories: Any) -> None:
    user = make(factories)

    for _try in range(8):
        sign_in(testapp, user.email, "wrong password")
    answer = sign_in(testapp, user.email)

    assert answer.status_int == 422
    assert "Too many tries" in answer.text


def test_strangers_cannot_lock_a_person_out(testapp: Any, db: Any, factories: Any) -> None:
    user = make(factories)
    db.add(SignInEvent(kind="in", address="10.0.0.7", device="", user_id=user.id))
    token = testapp.get("/sign-in").forms["form"]["csrf_token"].value
    for number in range(65):
        testapp.post(
            "/sign-in",
            {"email": user.email, "password": "wrong password", "csrf_token": token},
            extra_environ={"REMOTE_ADDR": f"192.0.2.{number}"},
            status=422,
        )

    def outcome(address: str) -> int:
        return testapp.post(
            "/sign-in",
            {
                "email": user.email,
                "password": GOOD,
                "csrf_token": testapp.get("/sign-in").forms["form"]["csrf_token"].value,
            },
            extra_environ={"REMOTE_ADDR": address},
            expect_errors=True,
        ).status_int

    assert outcome("198.51.100.1") == 422
    assert outcome("10.0.0.7") == 303


def test_a_disabled_account_is_out_at_once(testapp: Any, db: Any, factories: Any, login_as: Any) -> None:
    admin = factories.subject(factories.user("administrator"))
    user = login_as("manager")
    assert testapp.get("/profile").status_int == 200

    people.disable(db, admin, user)

    assert testapp.get("/profile").status_int == 303
    assert db.scalar(sa.select(sa.func.count()).select_from(UserSession).where(UserSession.user_id == user.id)) == 0


def test_a_disabled_account_is_out_even_if_a_session_row_were_left(testapp: Any, db: Any, login_as: Any) -> None:
    user = login_as("manager")
    user.status = DISABLED
    db.flush()

    assert testapp.get("/profile").status_int == 303


# -- a forgotten password ------------------------------------------------------------------------------------------


def forgot(testapp: Any, email: str) -> Any:
    form = testapp.get("/forgot").forms["form"]
    form["email"] = email
    return form.submit(expect_errors=True)


def test_a_forgotten_password_is_replaced_by_a_link_that_works_once(
    testapp: Any, db: Any, factories: Any, outbox: Any, jobs: Any, login_as: Any
) -> None:
    user = make(factories)
    login_as(user)
    testapp.reset()

    forgot(testapp, user.email)
    jobs.run_all()
    link = path(outbox.link(user.email))
    form = testapp.get(link).forms["form"]
    form["password"] = OTHER
    assert form.submit().status_int == 303

    assert passwords.verify_password(db.get_one(User, user.id).password_hash, OTHER)
    assert db.scalar(sa.select(sa.func.count()).select_from(UserSession)) == 1, "older sessions ended"
    testapp.reset()
    assert testapp.get(link, expect_errors=True).status_int == 410
    assert "changed" in outbox.to(user.email)[-1].text


def test_a_link_of_a_forgotten_password_grows_old(
    testapp: Any, factories: Any, outbox: Any, jobs: Any, clock: Any
) -> None:
    user = make(factories)
    forgot(testapp, user.email)
    jobs.run_all()

    clock.tick(hours=2, minutes=1)

    assert testapp.get(path(outbox.link(user.email)), expect_errors=True).status_int == 410


def test_forgetting_answers_the_same_for_strangers_and_sends_them_nothing(
    testapp: Any, factories: Any, outbox: Any, jobs: Any
) -> None:
    user = make(factories)

    known, unknown = forgot(testapp, user.email), forgot(testapp, "nobody@example.com")
    jobs.run_all()

    assert known.html.find("main").get_text() == unknown.html.find("main").get_text()
    assert [letter.recipient for letter in outbox] == [user.email]


def test_letters_to_one_address_are_limited(testapp: Any, factories: Any, outbox: Any, jobs: Any) -> None:
    user = make(factories)

    answers = [forgot(testapp, user.email).status_int for _try in range(6)]

    assert answers == [200] * 4 + [422] * 2


def test_links_begin_with_the_configured_address_whatever_host_was_asked(
    testapp: Any, factories: Any, outbox: Any, jobs: Any
) -> None:
    user = make(factories)
    host = {"HTTP_HOST": "evil.example"}
    form = testapp.get("/forgot", extra_environ=host).forms["form"]
    form["email"] = user.email

    form.submit(extra_environ=host)
    jobs.run_all()

    assert outbox.link(user.email).startswith("http://localhost/")


# -- invitations ---------------------------------------------------------------------------------------------------


def invite(testapp: Any, **values: str) -> Any:
    form = testapp.get("/settings/users/invite").forms["form"]
    for name, value in values.items():
        form[name] = value
    return form.submit(expect_errors=True)


def role_id(db: Any, name: str) -> str:
    from crm_core.models import Role

    return str(db.scalar(sa.select(Role.id).where(Role.name == name)))


def test_an_invitation_by_link_makes_an_account_with_the_promised_role_and_department(
    testapp: Any, db: Any, factories: Any, login_as: Any, outbox: Any
) -> None:
    login_as("administrator")
    team = factories.team(name="Sales")

    page = invite(testapp, role_id=role_id(db, "manager"), team_id=str(team.id))
    link = page.html.find(id="f-link")["value"]
    testapp.reset()
    form = testapp.get(path(link)).forms["form"]
    form["name"], form["email"], form["password"] = "Olga Invited", "olga@example.com", GOOD
    assert form.submit().status_int == 303

    user = people.by_email(db, "olga@example.com")
    assert (user.status, user.team_id, [role.name for role in user.roles]) == (ACTIVE, team.id, ["manager"])
    assert len(outbox) == 0
    testapp.reset()
    assert testapp.get(path(link), expect_errors=True).status_int == 410


def test_an_invitation_by_letter_fixes_the_address(testapp: Any, db: Any, login_as: Any, outbox: Any) -> None:
    login_as("administrator")
    invite(testapp, email="Petr@Example.com")
    testapp.reset()

    page = testapp.get(path(outbox.link("petr@example.com")))
    token = page.forms["form"]["csrf_token"].value
    testapp.post(
        page.request.path,
        {"csrf_token": token, "name": "Petr", "email": "other@example.com", "password": GOOD},
        status=303,
    )

    assert people.by_email(db, "other@example.com") is None
    assert people.by_email(db, "petr@example.com").status == ACTIVE


def test_a_moderator_invites_only_employees_without_a_role(testapp: Any, db: Any, login_as: Any) -> None:
    login_as("moderator")
    token = testapp.get("/settings/users/invite").forms["form"]["csrf_token"].value

    answer = testapp.post(
        "/settings/users/invite", {"csrf_token": token, "role_id": role_id(db, "administrator")}, status=403
    )

    assert "only employees without a role" in answer.text


def test_an_invitation_loses_its_role_when_its_giver_lost_the_right(
    testapp: Any, db: Any, factories: Any, login_as: Any
) -> None:
    boss = factories.subject(factories.user("administrator"))
    giver = login_as("administrator")
    link = invite(testapp, role_id=role_id(db, "administrator")).html.find(id="f-link")["value"]
    people.disable(db, boss, giver)
    testapp.reset()

    form = testapp.get(path(link)).forms["form"]
    form["name"], form["email"], form["password"] = "Late", "late@example.com", GOOD
    form.submit()

    assert [role.name for role in people.by_email(db, "late@example.com").roles] == ["user"]


def test_a_withdrawn_invitation_is_worthless(testapp: Any, db: Any, login_as: Any) -> None:
    login_as("administrator")
    page = invite(testapp)
    link = page.html.find(id="f-link")["value"]
    form = next(one for one in page.forms.values() if str(one.action).endswith("/withdraw"))

    form.submit(status=303)
    testapp.reset()

    assert testapp.get(path(link), expect_errors=True).status_int == 410


# -- the first administrator ---------------------------------------------------------------------------------------


def setup(testapp: Any, code: str) -> Any:
    form = testapp.get("/setup").forms["form"]
    form["code"], form["name"], form["email"], form["password"] = code, "First", "first@example.com", GOOD
    return form.submit(expect_errors=True)


def test_the_first_visit_makes_the_first_administrator(testapp: Any, db: Any) -> None:
    code = people.first_code(db)
    assert testapp.get("/sign-in").location == "http://localhost/setup"

    assert setup(testapp, "wrong-code-wrong-code-wrong").status_int == 422
    answer = setup(testapp, code.upper())

    assert answer.location == "http://localhost/first-steps"
    assert [role.name for role in people.by_email(db, "first@example.com").roles] == ["administrator"]
    page = answer.follow()
    assert "Tell about the company" in page
    assert people.first_code(db) is None
    testapp.reset()
    assert testapp.get("/setup").status_int == 303


def test_only_the_newest_code_works(testapp: Any, db: Any) -> None:
    old = people.first_code(db)
    people.first_code(db)

    assert setup(testapp, old).status_int == 422


def test_the_first_steps_are_ticked_as_their_pages_are_used_and_can_be_put_away(testapp: Any, db: Any) -> None:
    setup(testapp, people.first_code(db))
    form = testapp.get("/settings/company").forms["form"]
    form["company.name"] = "Klimat"
    form.submit().follow()

    page = testapp.get("/first-steps")

    assert page.html.find("progress")["value"] == "1"
    assert "Klimat" in page
    away = next(form for form in page.forms.values() if "close" in form.fields)
    assert away.submit("close").location == "http://localhost/"


# -- one's own account ---------------------------------------------------------------------------------------------


def test_a_profile_is_saved_and_only_what_the_form_has(testapp: Any, db: Any, login_as: Any) -> None:
    user = login_as("manager", password_hash=passwords.hash_password(GOOD))
    before = {c.name: getattr(user, c.name) for c in User.__table__.columns}
    token = testapp.get("/profile").forms["form"]["csrf_token"].value
    everything = dict.fromkeys(before, "1") | {"roles": "1", "role": "administrator", "is_admin": "1"}

    testapp.post(
        "/profile",
        everything | {"csrf_token": token, "name": "Olga", "locale": "ru", "time_zone": "Asia/Omsk", "theme": "dark"},
        status=303,
    )

    after = {c.name: getattr(db.get_one(User, user.id), c.name) for c in User.__table__.columns}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {
        "name", "locale", "time_zone", "theme", "job_title", "phone", "version", "updated_at", "updated_by"
    }  # fmt: skip
    assert [role.name for role in db.get_one(User, user.id).roles] == ["manager"]


def test_a_photo_is_encoded_anew_and_shown_only_to_those_signed_in(testapp: Any, db: Any, login_as: Any) -> None:
    user = login_as("manager")
    picture = io.BytesIO()
    Image.new("RGB", (600, 400), "red").save(picture, "JPEG", comment=b"<script>alert(1)</script>")
    token = testapp.get("/profile").forms["form"]["csrf_token"].value

    testapp.post(
        "/profile/photo", {"csrf_token": token}, upload_files=[("photo", "me.php", picture.getvalue())], status=303
    )

    digest = db.get_one(User, user.id).photo
    shown = testapp.get(f"/faces/{digest}.png")
    assert shown.content_type == "image/png"
    assert b"script" not in shown.body
    assert Image.open(io.BytesIO(shown.body)).size == (256, 256)
    testapp.reset()
    assert testapp.get(f"/faces/{digest}.png").status_int == 303


@pytest.mark.parametrize("body", [b"<svg onload=alert(1)>", b"", b"GIF89a but not really"])
def test_what_is_no_picture_is_refused(testapp: Any, db: Any, login_as: Any, body: bytes) -> None:
    user = login_as("manager")
    token = testapp.get("/profile").forms["form"]["csrf_token"].value

    testapp.post("/profile/photo", {"csrf_token": token}, upload_files=[("photo", "x.png", body)], status=422)

    assert db.get_one(User, user.id).photo == ""


def test_changing_the_password_needs_the_old_one_and_ends_other_sessions(
    testapp: Any, db: Any, factories: Any, login_as: Any
) -> None:
    user = make(factories)
    login_as(user)
    sessions.open_session(db, user.id, sessions.Device("10.0.0.9", "Other"))
    form = testapp.get("/profile/password").forms["password-form"]
    form["old"], form["password"] = "not the old one", OTHER
    assert form.submit(status=422).html.find(id="f-old-error")

    form["old"] = GOOD
    form.submit(status=303)

    assert passwords.verify_password(db.get_one(User, user.id).password_hash, OTHER)
    assert db.scalar(sa.select(sa.func.count()).select_from(UserSession)) == 1
    assert testapp.get("/profile").status_int == 200


def test_a_new_address_counts_once_its_letter_was_answered(
    testapp: Any, db: Any, factories: Any, login_as: Any, outbox: Any
) -> None:
    user = make(factories, email="old@example.com")
    login_as(user)
    form = testapp.get("/profile/password").forms["address-form"]
    form["email"], form["password"] = "brand-new@example.com", GOOD

    form.submit(status=303)
    assert db.get_one(User, user.id).email == "old@example.com"
    testapp.get(path(outbox.link("brand-new@example.com"))).forms["form"].submit()

    assert db.get_one(User, user.id).email == "brand-new@example.com"
    assert "brand-new@example.com" in outbox.to("old@example.com")[-1].text


def test_a_taken_address_is_not_given_away(testapp: Any, db: Any, factories: Any, login_as: Any, outbox: Any) -> None:
    make(factories, email="taken@example.com")
    user = make(factories)
    login_as(user)
    form = testapp.get("/profile/password").forms["address-form"]
    form["email"], form["password"] = "taken@example.com", GOOD

    form.submit(status=303)

    assert "/token/" not in outbox.to("taken@example.com")[0].text


def test_one_ends_ones_own_sessions_and_nobody_elses(testapp: Any, db: Any, factories: Any, login_as: Any) -> None:
    user, other = login_as("manager"), make(factories)
    sessions.open_session(db, user.id, sessions.Device("10.0.0.9", "Phone"))
    sessions.open_session(db, other.id, sessions.Device("10.0.0.8", "Theirs"))
    db.flush()
    rows = {row.device: row.id for row in db.scalars(sa.select(UserSession))}
    page = testapp.get("/profile/sessions")
    assert "Phone" in page
    assert "Theirs" not in page
    token = page.forms[0]["csrf_token"].value

    testapp.post(f"/profile/sessions/{rows['Theirs']}/end", {"csrf_token": token}, status=303)
    testapp.post(f"/profile/sessions/{rows['Phone']}/end", {"csrf_token": token}, status=303)

    assert {row.device for row in db.scalars(sa.select(UserSession))} == {"Test", "Theirs"}


def test_pages_that_change_rights_ask_for_the_password_again(
    testapp: Any, db: Any, factories: Any, login_as: Any, clock: Any
) -> None:
    admin = make(factories, "administrator")
    login_as(admin)
    victim = factories.user("manager")
    clock.tick(dt.timedelta(minutes=16))

    answer = testapp.get(f"/settings/users/{victim.id}/delete", status=303)
    form = answer.follow().forms["form"]
    form["password"] = "wrong password"
    assert form.submit(status=422)
    form["password"] = GOOD
    back = form.submit(status=303)

    assert back.location == f"http://localhost/settings/users/{victim.id}/delete"
    assert back.follow().status_int == 200
