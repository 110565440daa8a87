"""Each page of settings by role: who may open it, and that it opens."""

from __future__ import annotations

from typing import Any

import pytest

ROLES = ("administrator", "director", "head", "manager", "marketer", "specialist", "moderator", "user")

EVERYBODY = set(ROLES)
SETTERS = {"administrator", "specialist"}

#: Page -> the roles that may open it.
PAGES: dict[str, set[str]] = {
    "/settings": EVERYBODY,
    "/settings/company": SETTERS,
    "/settings/legal": SETTERS,
    "/settings/legal/0": SETTERS,
    "/settings/calendar": SETTERS,
    "/settings/accounts": SETTERS,
    "/settings/mail": SETTERS,
    "/settings/mailbox": SETTERS,
    "/settings/users": {"administrator", "director", "head", "specialist", "moderator", "user"},
    "/settings/users/invite": {"administrator", "specialist", "moderator"},
    "/settings/departments": SETTERS,
    "/settings/roles": SETTERS,
    "/settings/log": EVERYBODY,
    "/settings/system": {"administrator", "director", "specialist"},
    "/settings/plugins": SETTERS,
    "/profile": EVERYBODY,
    "/profile/password": EVERYBODY,
    "/profile/sessions": EVERYBODY,
    "/first-steps": SETTERS,
    "/colleagues": EVERYBODY,
}


@pytest.mark.parametrize("role", ROLES)
def test_each_page_of_settings_opens_for_the_roles_that_may_and_for_no_other(
    testapp: Any, login_as: Any, role: str
) -> None:
    login_as(role)

    opened = {page: testapp.get(page, expect_errors=True).status_int for page in PAGES}

    assert opened == {page: 200 if role in roles else 403 for page, roles in PAGES.items()}


@pytest.mark.parametrize("page", PAGES)
def test_nobody_sees_a_page_before_signing_in(testapp: Any, factories: Any, page: str) -> None:
    factories.user("administrator")

    answer = testapp.get(page, headers={"Accept": "text/html"})

    assert answer.status_int == 303
    assert answer.location.startswith("http://localhost/sign-in")
