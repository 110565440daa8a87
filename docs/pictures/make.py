"""Makes the pictures of the documentation from a running demo: `make demo`, then `python docs/pictures/make.py`.

A Chromium is looked for as the browser tests do; CRM_CHROMIUM names another.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent

#: Name, account, page, width, height, colour scheme. `first:` opens the first record of a list.
PICTURES = (
    ("people", "manager", "/clients/people", 1440, 860, "light"),
    ("card", "manager", "first:/clients/people", 1440, 980, "light"),
    ("board", "head", "/deals/board", 1600, 900, "light"),
    ("deal", "manager", "first:/deals?f=owner_id:any:me", 1440, 1000, "light"),
    ("leads", "head", "/deals/leads?f=state:any:new", 1440, 860, "light"),
    ("forecast", "head", "/deals/forecast", 1440, 860, "light"),
    ("day", "manager", "/tasks/day", 1440, 860, "light"),
    ("schedule", "manager", "/tasks/schedule", 1440, 900, "light"),
    ("home-dark", "head", "/", 1440, 860, "dark"),
    ("phone", "manager", "/clients/people", 390, 780, "light"),
    ("roles", "admin", "/settings/roles", 1440, 860, "light"),
)


def main(address: str) -> None:
    """Take every picture."""
    program = os.environ.get("CRM_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        for name, account, path, width, height, scheme in PICTURES:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                locale="ru-RU",
                timezone_id="Europe/Samara",
            )
            page = context.new_page()
            sign_in(page, address, account)
            open_page(page, address, path)
            page.screenshot(path=HERE / f"{name}.png")
            shrink(HERE / f"{name}.png")
            print(f"{name}.png: {page.title()}")
            context.close()
        browser.close()


def shrink(path: Path) -> None:
    """Keep 256 colours: pages have few, and pictures stay in the history for ever."""
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def sign_in(page: Any, address: str, account: str) -> None:
    """Come in as one of the demo's people."""
    page.goto(f"{address}/sign-in")
    page.fill("[name=email]", f"{account}@demo.example")
    page.fill("[name=password]", "demo")
    page.press("[name=password]", "Enter")
    page.wait_for_url(lambda url: "/sign-in" not in url)


def open_page(page: Any, address: str, path: str) -> None:
    """Open a page, or the first record of a list, and wait until its parts have come."""
    if path.startswith("first:"):
        listed = path.removeprefix("first:")
        page.goto(f"{address}{listed}")
        hrefs = page.locator("main table a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
        card = re.compile(re.escape(listed.partition("?")[0]) + r"/\d+(\?.*)?")
        path = next(href for href in hrefs if card.fullmatch(href or "")).partition("?")[0]
    page.goto(f"{address}{path}")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(400)


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://127.0.0.1:6543")
