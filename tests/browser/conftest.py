"""A Chromium that looks at the assembled application with the demo company in it, as people of each role do.

The browser is the machine's own (`CRM_CHROMIUM` names another); without one these tests are skipped, unless
CRM_REQUIRE_BROWSER says that they must run. axe comes from the folder of the front end, where npm put it.
"""

from __future__ import annotations

import os
import shutil
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
import sqlalchemy as sa

from crm_core import assets, demo
from crm_core.models import User
from crm_core.security.sessions import Device, open_session
from crm_core.testing.plugin import CommittedDatabase, committed

AXE = assets.FRONTEND / "node_modules" / "axe-core" / "axe.min.js"
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}

#: What the page itself says of a content policy that it broke.
_WATCH = """
window.__refused = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.__refused.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


def _missing(what: str) -> None:
    if os.environ.get("CRM_REQUIRE_BROWSER", "") not in ("", "0"):
        pytest.fail(f"{what}, and CRM_REQUIRE_BROWSER is set")
    pytest.skip(what)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


# -- the application -----------------------------------------------------------------------------------------------


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _Threads(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


@dataclass
class Site:
    """The application on a port of loopback, and its database."""

    url: str
    database: CommittedDatabase
    registry: Any

    def secret_of(self, login: str) -> str:
        """Open a session for an account of the demo and return what its cookie holds."""
        with self.database.session() as session:
            user = session.scalars(sa.select(User).where(User.email == f"{login}@demo.example")).one()
            return open_session(session, user.id, Device("127.0.0.1", "Browser test"))

    def id_of(self, table: str) -> int:
        """Return the number of a record that everybody's pages may show."""
        with self.database.session() as session:
            # The one with most on its card, so that the card has something to show.
            statement = sa.text(
                f"SELECT id FROM {table} WHERE deleted_at IS NULL ORDER BY last_contact_at DESC NULLS LAST, id LIMIT 1"
            )
            return int(session.execute(statement).scalar_one())


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the browser is."""
    named = os.environ.get("CRM_CHROMIUM")
    for place in (named, "chromium", "chromium-browser", "google-chrome", "chrome"):
        found = shutil.which(place) if place else None
        if found:
            return found
    _missing("no Chromium was found on PATH (CRM_CHROMIUM names one)")
    raise AssertionError


@pytest.fixture(scope="session")
def axe_source() -> str:
    """The script of axe."""
    if not AXE.is_file():
        _missing(f"{AXE} is missing: `make assets` installs it")
    return AXE.read_text("utf-8")


@pytest.fixture(scope="session")
def site(chromium: str, crm_servers: Any, plugins: Any, app_settings: dict[str, Any]) -> Iterator[Site]:
    """The demo company, served."""
    try:
        assets.build(say=lambda _text: None)
    except assets.AssetsError as error:
        _missing(str(error))
    with committed(crm_servers, plugins, app_settings) as database:
        demo.fill(database.factory, plugins)
        app = database.app(**{"crm.demo": "true", "crm.locale": "ru", "crm.base_url": ""})
        server = make_server("127.0.0.1", 0, app, server_class=_Threads, handler_class=_Quiet)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield Site(f"http://127.0.0.1:{server.server_port}", database, app.registry)
        finally:
            server.shutdown()
            server.server_close()
            thread.join(5)


# -- the browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """One browser for all tests."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@dataclass
class Visitor:
    """A person at a screen: goes to pages and notes everything that the browser complains of."""

    page: Any
    site: Site
    axe: str
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> Any:
        """Open a page and wait until everything on it has come."""
        response = self.page.goto(self.site.url + path)
        self.settle()
        return response

    def settle(self) -> None:
        """Wait until nothing moves."""
        self.page.wait_for_load_state("networkidle")
        self.until("!document.querySelector('.crm-bar.is-on')")

    def until(self, question: str, seconds: float = 10) -> None:
        """Wait until a question to the page is answered with yes; Playwright's own way to ask needs eval."""
        deadline = time.monotonic() + seconds
        while not self.page.evaluate(question):
            assert time.monotonic() < deadline, f"never came true: {question}"
            self.page.wait_for_timeout(50)

    def problems(self) -> list[str]:
        """Return what is wrong with the page that is shown: complaints, content policy, axe, sideways scrolling."""
        found = [*self.complaints, *(f"content policy: {each}" for each in self.page.evaluate("window.__refused"))]
        self.complaints.clear()
        too_wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if too_wide > 0:
            found.append(f"scrolls sideways by {too_wide} px: {self.page.evaluate(_WIDEST)}")
        self.page.evaluate(self.axe)
        report = self.page.evaluate(
            "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})", AXE_TAGS
        )
        for violation in report["violations"]:
            for node in violation["nodes"][:4]:
                found.append(
                    f"axe {violation['id']}: {node['target']} {node['html'][:160]} ({node['failureSummary'][:200]})"
                )
        return found


_WIDEST = """
[...document.querySelectorAll("body *")]
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
  .filter((each) => !each.closest(".crm-table-scroll, .crm-scroll, .crm-tools, dialog"))
  .slice(0, 3).map((each) => each.outerHTML.slice(0, 120)).join(" | ")
"""


@pytest.fixture
def visit(browser: Any, site: Site, axe_source: str) -> Iterator[Callable[..., Visitor]]:
    """Sit somebody down at a screen: `visit("manager", locale="en", screen=PHONE, mode="dark")`."""
    opened = []

    def visit(who: str | None, *, locale: str = "ru", screen: dict[str, int] = WIDE, mode: str = "light") -> Visitor:
        context = browser.new_context(
            viewport=screen, color_scheme=mode, locale={"ru": "ru-RU", "en": "en-GB"}[locale],
            has_touch=screen is PHONE, reduced_motion="reduce",
        )  # fmt: skip
        opened.append(context)
        context.add_init_script(_WATCH)
        cookies = [{"name": "crm_locale", "value": locale, "url": site.url}]
        if who is not None:
            cookies.append({"name": "crm", "value": site.secret_of(who), "url": site.url})
        context.add_cookies(cookies)
        page = context.new_page()
        visitor = Visitor(page, site, axe_source)
        page.on("console", lambda said: said.type == "error" and visitor.complaints.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: visitor.complaints.append(f"script: {error}"))
        return visitor

    yield visit
    for context in opened:
        context.close()
