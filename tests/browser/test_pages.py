"""Every main page, wide and on a phone, light and dark, in both languages: no complaint of the browser or of axe."""

from __future__ import annotations

from typing import Any

import pytest
from pyramid.interfaces import IRoutesMapper

PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1440, "height": 900}

EVERYBODY = [
    "/",
    "/search?q=%D0%B8%D0%B2%D0%B0%D0%BD",
    "/notifications",
    "/jobs",
    "/settings",
    "/settings/log",
    "/profile",
    "/profile/notifications",
    "/profile/password",
    "/profile/sessions",
]
RECORDS = [
    "/clients/people",
    "/clients/people?q=%D0%B8%D0%B2%D0%B0%D0%BD&f=owner_id:any:me",
    "/clients/companies",
    "/clients/people/{clients_person}",
    "/clients/companies/{clients_company}",
]
WRITERS = ["/clients/people/new", "/clients/companies/new", "/clients/people/{clients_person}/edit"]
IMPORTERS = ["/imports", "/imports/new"]
SETTERS = [
    "/first-steps",
    "/jobs?of=all",
    "/settings/company",
    "/settings/legal",
    "/settings/calendar",
    "/settings/accounts",
    "/settings/mail",
    "/settings/mailbox",
    "/settings/users",
    "/settings/users/invite",
    "/settings/departments",
    "/settings/system",
    "/settings/plugins",
]

#: Account of the demo -> pages of his role.
PAGES: dict[str, list[str]] = {
    "admin": [*EVERYBODY, *RECORDS, *WRITERS, *IMPORTERS, *SETTERS],
    "director": ["/", *RECORDS[:1]],
    "head": ["/", *RECORDS[:1], "/settings/log"],
    "manager": [*EVERYBODY, *RECORDS, *WRITERS, *IMPORTERS],
    "marketer": ["/", *RECORDS[:1]],
    "support": ["/", *RECORDS[:1], "/settings", "/settings/system"],
    "moderator": ["/", "/settings/users", "/settings/users/invite"],
    "user": [*EVERYBODY, *RECORDS[:1]],
}
STRANGER = ["/sign-in", "/sign-up", "/forgot", "/no-such-page"]


def known(site: Any, path: str) -> str | None:
    """Return the address with the numbers of records in it; None where no page stands at it."""
    for table in ("clients_person", "clients_company"):
        if f"{{{table}}}" in path:
            path = path.replace(f"{{{table}}}", str(site.id_of(table)))
    mapper = site.registry.queryUtility(IRoutesMapper)
    bare = path.partition("?")[0]
    return path if any(route.match(bare) is not None for route in mapper.get_routes()) else None


@pytest.mark.parametrize(
    ("locale", "screen", "mode"),
    [("ru", WIDE, "light"), ("en", PHONE, "dark")],
    ids=["wide-light-russian", "phone-dark-english"],
)
@pytest.mark.parametrize("who", PAGES)
def test_no_page_of_a_role_has_a_fault(visit: Any, site: Any, who: str, locale: str, screen: Any, mode: str) -> None:
    visitor = visit(who, locale=locale, screen=screen, mode=mode)
    faults: dict[str, list[str]] = {}

    for page in PAGES[who]:
        path = known(site, page)
        if path is None:
            continue
        response = visitor.go(path)
        found = visitor.problems()
        if response.status != 200:
            found.append(f"status {response.status}")
        if visitor.page.evaluate("document.documentElement.lang") != locale:
            found.append("wrong language")
        if found:
            faults[path] = found

    assert not faults, "\n".join(f"{path}\n  " + "\n  ".join(found) for path, found in faults.items())


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_no_page_before_sign_in_has_a_fault(visit: Any, mode: str) -> None:
    faults = {}

    for screen in (WIDE, PHONE):
        visitor = visit(None, screen=screen, mode=mode)
        for path in STRANGER:
            visitor.go(path)
            found = [each for each in visitor.problems() if "status of 404" not in each]
            if found:
                faults[path] = found

    assert not faults, "\n".join(f"{path}\n  " + "\n  ".join(found) for path, found in faults.items())


def test_what_floats_has_no_fault(visit: Any) -> None:
    visitor = visit("admin")
    visitor.go("/")
    page = visitor.page
    faults = []

    for open_it, close_it in (
        ('[popovertarget="create-menu"]', "Escape"),
        ('[popovertarget="face-menu"]', "Escape"),
        (".crm-bell", "Escape"),
        ("[data-palette]", "Escape"),
        ('main a[href="/home/arrange"]', "Escape"),
    ):
        page.click(open_it)
        visitor.settle()
        page.wait_for_timeout(200)
        faults += visitor.problems()
        page.keyboard.press(close_it)

    assert not faults, "\n".join(faults)


def test_the_drawer_of_a_phone_has_no_fault(visit: Any) -> None:
    visitor = visit("admin", screen=PHONE)
    visitor.go("/")

    visitor.page.click('[data-dialog="menu-drawer"]')
    visitor.page.wait_for_timeout(200)

    assert not visitor.problems()
    visitor.page.click('#menu-drawer a[href="/settings"]')
    visitor.settle()
    assert visitor.page.url.endswith("/settings")
