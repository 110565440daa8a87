"""The demo company: one account a role, with a password that everybody knows, on this machine only.

What the company does is filled in by the plugins that are on: a plugin names its function in ``PluginInfo.demo``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.orm import sessionmaker

from crm_core.plugins import Plugins
from crm_core.security import permissions

log = structlog.get_logger(__name__)

PASSWORD = "demo"  # noqa: S105  known to everybody, served on loopback only


@dataclass(frozen=True)
class DemoAccount:
    """One account of the demo."""

    email: str
    name: str
    role: str
    shown_as: str


ACCOUNTS = (
    DemoAccount("admin@demo.example", "Алексей Админов", permissions.ADMINISTRATOR, "administrator"),
    DemoAccount("director@demo.example", "Дарья Директорова", permissions.DIRECTOR, "director"),
    DemoAccount("head@demo.example", "Геннадий Главный", permissions.HEAD, "head of sales"),
    DemoAccount("manager@demo.example", "Мария Менеджерова", permissions.MANAGER, "manager"),
    DemoAccount("marketer@demo.example", "Марк Маркетологов", permissions.MARKETER, "marketer"),
    DemoAccount("support@demo.example", "София Поддержкина", permissions.SPECIALIST, "support specialist"),
    DemoAccount("moderator@demo.example", "Модест Модераторов", permissions.MODERATOR, "moderator"),
    DemoAccount("user@demo.example", "Юлия Юзерова", permissions.USER, "employee without a role"),
)


def fill(factory: sessionmaker[Any], plugins: Plugins) -> bool:
    """Make the accounts and let the plugins fill the company; False where there are accounts already."""
    from crm_core.cli.people import make_account
    from crm_core.people import needs_first_administrator

    with factory() as session, session.begin():
        if not needs_first_administrator(session):
            return False
        for account in ACCOUNTS:
            make_account(session, email=account.email, name=account.name, password=PASSWORD, roles=[account.role])
    for one in plugins.loaded:
        place = getattr(one.info, "demo", "")
        if place:
            module, _, function = place.partition(":")
            getattr(importlib.import_module(module), function)(factory)
            log.info("demo_filled", plugin=one.info.name)
    return True
