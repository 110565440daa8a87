"""What the console says when an installation has started: the demo's accounts, or a one-time code."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import sessionmaker

from crm_core.plugins import Plugins
from crm_core.settings import Settings


def welcome(settings: Settings, factory: sessionmaker[Any], plugins: Plugins) -> list[str]:
    """Return the lines that the console shows once the pages answer."""
    if settings.demo:
        return _demo(settings, factory, plugins)
    from crm_core.people import first_code

    with factory() as session, session.begin():
        code = first_code(session)
    if code is None:
        return ["", f"  The CRM is at {settings.base_url}", "  Ctrl-C stops it.", ""]
    return [
        "",
        f"  The CRM is at {settings.base_url}",
        "  Nobody has an account yet. The first visit makes the administrator with this code:",
        "",
        f"      {code}",
        "",
        "  It works once; a new start shows a new one. Ctrl-C stops the CRM.",
        "",
    ]


def _demo(settings: Settings, factory: sessionmaker[Any], plugins: Plugins) -> list[str]:
    from crm_core import demo

    demo.fill(factory, plugins)
    width = max(len(account.email) for account in demo.ACCOUNTS)
    return [
        "",
        f"  The demo company is at {settings.base_url}",
        f"  Sign in with the password “{demo.PASSWORD}” as:",
        "",
        *(f"      {account.email:{width}}  {account.shown_as}" for account in demo.ACCOUNTS),
        "",
        "  Ctrl-C stops it; the data stays.",
        "",
    ]
