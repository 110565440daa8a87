"""Tokens, secrets, passwords, limits, forms of other sites, headers, and the rule that every view has a permission."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
import sqlalchemy as sa
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED

from crm_core.models import Token
from crm_core.security import limits, passwords, tokens
from crm_core.security.content import policy
from crm_core.security.secrets import Secrets, Unsealable, new_secret

GOOD = "correct horse battery staple"

# -- tokens --------------------------------------------------------------------------------------------------------


def test_a_token_works_once_for_its_purpose_and_only_its_digest_is_stored(db: Any, factories: Any) -> None:
    user = factories.user()
    secret = tokens.issue(db, tokens.RESET, user_id=user.id)

    assert tokens.find(db, tokens.INVITE, secret) is None
    assert secret.encode() not in db.scalars(sa.select(Token.digest)).one()
    assert tokens.use(db, tokens.RESET, secret).user_id == user.id
    assert tokens.use(db, tokens.RESET, secret) is None


@pytest.mark.parametrize("secret", ["", " ", None, "\x00", "x", " " * 43, "0" * 500])
def test_an_empty_or_odd_secret_never_matches(db: Any, secret: str | None) -> None:
    from crm_core.security.secrets import hash_secret

    db.add(
        Token(digest=hash_secret(secret or ""), purpose=tokens.RESET, payload={},
              expires_at=dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
    )  # fmt: skip
    db.flush()

    assert tokens.find(db, tokens.RESET, secret) is None
    assert tokens.use(db, tokens.RESET, secret) is None


def test_tokens_grow_old_and_can_be_revoked(db: Any, factories: Any, clock: Any) -> None:
    user = factories.user()
    old = tokens.issue(db, tokens.RESET, user_id=user.id)
    clock.tick(hours=2, seconds=1)
    fresh = tokens.issue(db, tokens.RESET, user_id=user.id)

    assert tokens.find(db, tokens.RESET, old) is None
    assert tokens.find(db, tokens.RESET, fresh)
    tokens.revoke(db, tokens.RESET, user.id)
    assert tokens.find(db, tokens.RESET, fresh) is None


def test_secrets_are_long_and_differ() -> None:
    found = {new_secret() for _n in range(100)}

    assert len(found) == 100
    assert min(map(len, found)) >= 43


# -- secrets -------------------------------------------------------------------------------------------------------


def test_a_sealed_value_opens_only_with_its_key_and_purpose() -> None:
    ours, theirs = Secrets(b"k" * 32), Secrets(b"x" * 32)
    sealed = ours.seal("mail", "пароль")

    assert ours.unseal("mail", sealed) == "пароль"
    assert sealed != ours.seal("mail", "пароль")
    for wrong in (lambda: theirs.unseal("mail", sealed), lambda: ours.unseal("other", sealed),
                  lambda: ours.unseal("mail", sealed[:-1] + b"\x00")):  # fmt: skip
        with pytest.raises(Unsealable):
            wrong()


def test_what_was_signed_is_read_back_and_anything_else_is_not() -> None:
    secrets = Secrets(b"k" * 32)
    signed = secrets.sign("form", "value")

    assert secrets.unsign("form", signed) == "value"
    for wrong in ("", ".", "value", signed[:-1], signed + "x", "x" + signed, signed.replace(".", "")):
        assert secrets.unsign("form", wrong) is None
    assert secrets.unsign("other", signed) is None


def test_a_setting_that_is_a_secret_is_sealed_and_never_in_the_change_log(db: Any, plugins: Any) -> None:
    from crm_core import company
    from crm_core.company import Company

    secrets = Secrets(b"k" * 32)
    settings = Company(db, plugins, secrets)
    settings.set(company.MAIL_PASSWORD, "CANARY-7261")

    row = db.execute(sa.text("SELECT value::text, secret FROM core_setting WHERE key = 'mail.password'")).one()
    logged = db.scalars(
        sa.text("SELECT coalesce(before::text, '') || coalesce(after::text, '') FROM core_change")
    ).all()
    assert settings.get(company.MAIL_PASSWORD) == "CANARY-7261"
    assert "CANARY" not in row.value
    assert b"CANARY" not in row.secret
    assert not any("CANARY" in text for text in logged)
    assert Company(db, plugins, Secrets(b"x" * 32)).get(company.MAIL_PASSWORD) == ""


# -- passwords -----------------------------------------------------------------------------------------------------


def test_passwords_are_argon2id_and_long_ones_are_allowed() -> None:
    long = "а" * 150

    stored = passwords.hash_password(long)

    assert stored.startswith("$argon2id$")
    assert passwords.verify_password(stored, long)
    assert not passwords.verify_password(stored, long + "б")
    assert not passwords.verify_password(None, "nobody has this password")
    assert not passwords.verify_password("", "")


def test_common_passwords_are_refused() -> None:
    from importlib import resources

    text = resources.files("crm_core.security").joinpath("common_passwords.txt").read_text("utf-8")
    known = [line for line in text.splitlines() if line and not line.startswith("#")]

    assert len(known) >= 3000
    assert all(passwords.problems(one) for one in known[::50])
    for one in ("Password1", "QWERTYUIOP", "йцукенгшщз"[:8] + "1", "gfhjkm123", "11111111", "Passw0rd!", "parol123"):
        assert passwords.problems(one) or one.startswith("йцукенгш"), one
    assert not passwords.problems(GOOD)


# -- limits --------------------------------------------------------------------------------------------------------


def test_limits_count_in_redis_and_go_on_without_it(app_settings: dict[str, Any]) -> None:
    rule = limits.Rule("test-rule", "3 per minute")
    key = new_secret()
    first, second = limits.Limits(app_settings["redis.url"]), limits.Limits(app_settings["redis.url"])

    assert [one.hit(rule, key) for one in (first, second, first, second)] == [True, True, True, False]
    alone = limits.Limits("unix:///nowhere/at/all.sock")
    assert [alone.hit(rule, key) for _n in range(4)] == [True, True, True, False]


# -- forms of other sites ------------------------------------------------------------------------------------------


def test_a_form_without_our_token_is_refused_also_before_sign_in(testapp: Any, factories: Any, login_as: Any) -> None:
    factories.user("administrator")

    for path in ("/sign-in", "/sign-up", "/forgot", "/setup", "/sign-out"):
        assert testapp.post(path, {"email": "a@example.com"}, expect_errors=True).status_int == 400, path
    foreign = testapp.get("/sign-in").forms["form"]["csrf_token"].value
    login_as("manager")
    assert testapp.post("/profile", {"csrf_token": foreign, "name": "X"}, expect_errors=True).status_int == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_from_another_site_is_refused_even_with_the_token(
    testapp: Any, login_as: Any, headers: dict[str, str]
) -> None:
    login_as("manager")
    token = testapp.get("/profile").forms["form"]["csrf_token"].value

    answer = testapp.post("/sign-out", {"csrf_token": token}, headers=headers, expect_errors=True)

    assert answer.status_int == 400
    assert testapp.get("/profile").status_int == 200


def test_the_token_may_come_in_a_header(testapp: Any, login_as: Any) -> None:
    login_as("manager")
    token = testapp.get("/profile").forms["form"]["csrf_token"].value

    testapp.post(
        "/profile/preferences", {"theme": "dark"}, headers={"X-CSRF-Token": token, "Origin": "http://localhost"}
    )


def test_a_token_of_one_person_is_worthless_to_another(testapp: Any, login_as: Any) -> None:
    login_as("manager")
    token = testapp.get("/profile").forms["form"]["csrf_token"].value
    login_as("marketer")

    assert testapp.post("/sign-out", {"csrf_token": token}, expect_errors=True).status_int == 400


def _config() -> Configurator:
    config = Configurator(settings={})
    config.include("crm_core.security.csrf")
    return config


def _view(request: Any) -> Response:
    return Response("done")


def test_a_view_cannot_switch_the_guard_off_without_saying_what_guards_it() -> None:
    config = _config()
    config.add_route("x", "/x")
    config.add_view(_view, route_name="x", require_csrf=False, permission=NO_PERMISSION_REQUIRED)

    with pytest.raises(ConfigurationError, match="proof="):
        config.commit()


def test_a_proof_is_one_of_those_known() -> None:
    config = _config()
    config.add_route("x", "/x")
    config.add_view(_view, route_name="x", proof="trust me", permission=NO_PERMISSION_REQUIRED)

    with pytest.raises(ConfigurationError, match="none of"):
        config.commit()


def test_a_view_with_a_proof_of_its_own_needs_no_token() -> None:
    from webtest import TestApp

    config = _config()
    config.add_route("x", "/x")
    config.add_view(_view, route_name="x", proof="signature", permission=NO_PERMISSION_REQUIRED)
    app = TestApp(config.make_wsgi_app())

    assert app.post("/x").text == "done"
    assert [proof for _view_, proof in config.registry["crm.proofs"]] == ["signature"]


# -- every view ----------------------------------------------------------------------------------------------------

#: Views that anybody may open, by their route; whatever is added here is seen by strangers.
PUBLIC = {
    "account.sign_in", "account.sign_out", "account.sign_up", "account.forgot", "account.confirm", "account.reset",
    "account.confirm_address", "account.invitation", "account.setup", "account.logo", "locale",
}  # fmt: skip


def views(app: Any) -> list[dict[str, Any]]:
    introspector = app.registry.introspector
    return [one["introspectable"] for one in introspector.get_category("views")]


def test_only_these_pages_are_open_to_strangers(app: Any) -> None:
    ours = [v for v in views(app) if str(v["route_name"]).startswith(("account.", "settings.", "locale"))]
    # A view that names none has the default, which the next test holds.
    public = {v["route_name"] for v in ours if NO_PERMISSION_REQUIRED in {p["value"] for p in _permissions(app, v)}}

    assert len(ours) > 60
    assert public == PUBLIC


def _permissions(app: Any, view: Any) -> list[Any]:
    return [one for one in app.registry.introspector.related(view) if one.category_name == "permissions"]


def test_the_default_of_a_view_is_that_somebody_is_signed_in(app: Any) -> None:
    from pyramid.interfaces import IDefaultPermission

    assert app.registry.queryUtility(IDefaultPermission) == "core:signed-in"


def test_no_get_changes_anything(testapp: Any, db: Any, factories: Any, login_as: Any) -> None:
    user = factories.user("manager")
    pending = factories.user("user", status="pending")
    login_as("administrator")
    team = factories.team()
    db.commit()
    state = "SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM (SELECT id, version FROM {0}) t"
    tables = ("core_user", "core_team", "core_role", "core_setting")
    before = [db.scalar(sa.text(state.format(table))) for table in tables]
    operations = db.scalar(sa.text("SELECT count(*) FROM core_operation"))

    for page in (
        "/settings", "/settings/users", f"/settings/users/{user.id}", f"/settings/users/{pending.id}",
        f"/settings/users/{user.id}/delete", "/settings/users/invite", "/settings/departments",
        f"/settings/departments/{team.id}", "/settings/roles", "/settings/company", "/settings/legal/0",
        "/settings/calendar", "/settings/accounts", "/settings/mail", "/settings/mail?preset=Mail.ru",
        "/settings/mailbox", "/settings/plugins", "/settings/log", "/settings/system", "/profile",
        "/profile/password", "/profile/sessions", "/first-steps", "/prove",
    ):  # fmt: skip
        assert testapp.get(page).status_int == 200, page

    assert [db.scalar(sa.text(state.format(table))) for table in tables] == before
    assert db.scalar(sa.text("SELECT count(*) FROM core_operation")) == operations


# -- headers -------------------------------------------------------------------------------------------------------


def test_pages_carry_a_content_policy_with_a_nonce_of_their_own(testapp: Any, login_as: Any) -> None:
    login_as("manager")

    one, two = testapp.get("/profile"), testapp.get("/profile")

    found = [re.search(r"'nonce-([^']+)'", page.headers["Content-Security-Policy"]).group(1) for page in (one, two)]
    assert found[0] != found[1]
    for script in one.html.find_all("script"):
        assert script.get("src") or script.get("nonce") == found[0] or script.get("type") == "application/json", script
    assert not one.html.find_all(style=True)
    assert one.headers["X-Content-Type-Options"] == "nosniff"
    assert one.headers["Cache-Control"] == "no-store"
    assert "unsafe" not in one.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in one.headers["Content-Security-Policy"]


def test_only_charts_and_the_editor_get_inline_styles() -> None:
    assert "'unsafe-inline'" in policy("n", "charts")
    assert "'unsafe-inline'" not in policy("n")
    assert "unsafe-eval" not in policy("n", "editor")
    assert re.search(r"script-src [^;]*unsafe", policy("n", "editor")) is None
