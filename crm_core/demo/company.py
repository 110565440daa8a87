"""The core's part of the demo: who works in the company, in which departments, with what rights."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crm_core import company
from crm_core.demo.context import TIME_ZONE, DemoContext
from crm_core.models import Role
from crm_core.models.accounts import ACTIVE, DISABLED, PENDING
from crm_core.security import passwords, permissions

PASSWORD = "demo"  # noqa: S105  known to everybody, served on loopback only

FIRMS, HOMES = "Продажи фирмам", "Продажи частным клиентам"
#: Departments: name, the one above, its head.
DEPARTMENTS: tuple[tuple[str, str, str], ...] = (
    ("Дирекция", "", "director"),
    ("Продажи", "", "head"),
    (FIRMS, "Продажи", ""),
    (HOMES, "Продажи", ""),
    ("Маркетинг", "", ""),
    ("Сервис", "", "support"),
    ("Инженеры", "Сервис", ""),
    ("Склад и закупки", "", ""),
    ("Офис", "", ""),
)


@dataclass(frozen=True)
class DemoAccount:
    """One person of the demo company."""

    login: str
    name: str
    role: str
    shown_as: str
    department: str
    job_title: str
    status: str = ACTIVE
    came: int = 430
    """Days ago."""

    @property
    def email(self) -> str:
        """The address one signs in with."""
        return f"{self.login}@demo.example"


ACCOUNTS = (
    DemoAccount(
        "admin",
        "Сергей Ветров",
        permissions.ADMINISTRATOR,
        "administrator",
        "Офис",
        "Системный администратор",
        came=440,
    ),
    DemoAccount("director", "Елена Соколовская", permissions.DIRECTOR, "director", "Дирекция", "Директор"),
    DemoAccount("head", "Андрей Лазарев", permissions.HEAD, "head of sales", "Продажи", "Руководитель отдела продаж"),
    DemoAccount("manager", "Ольга Минина", permissions.MANAGER, "manager", FIRMS, "Менеджер по работе с фирмами"),
    DemoAccount("marketer", "Вера Ильина", permissions.MARKETER, "marketer", "Маркетинг", "Маркетолог"),
    DemoAccount(
        "support", "Павел Громов", permissions.SPECIALIST, "support specialist", "Сервис", "Технический специалист"
    ),
    DemoAccount("moderator", "Нина Белова", permissions.MODERATOR, "moderator", "Офис", "Офис-менеджер"),
    DemoAccount("user", "Тимур Садыков", permissions.USER, "employee without a role", "Склад и закупки", "Кладовщик"),
)
"""One account for each role; the console shows them."""

OTHERS = (
    DemoAccount("manager2", "Игорь Панин", permissions.MANAGER, "", FIRMS, "Менеджер по работе с фирмами"),
    DemoAccount("manager3", "Анна Чернова", permissions.MANAGER, "", HOMES, "Менеджер по частным клиентам", came=380),
    DemoAccount("engineer", "Роман Дубов", permissions.USER, "", "Инженеры", "Сервисный инженер", came=300),
    DemoAccount("left", "Максим Рябов", permissions.MANAGER, "", FIRMS, "Менеджер по работе с фирмами", DISABLED),
    DemoAccount("newcomer", "Дарья Новикова", permissions.DIRECTOR, "", "Офис", "Помощник директора", came=3),
    DemoAccount("waiting", "Кирилл Осин", permissions.USER, "", "", "", PENDING, came=1),
)
"""Two more managers, an engineer, one who left, a newcomer with a role too many, a sign-up that waits."""

LEGAL_ENTITY = {
    "name": "ООО «Климат-Пример»",
    "inn": "0063101026",
    "kpp": "006301001",
    "address": "443000, г. Самара, ул. Примерная, д. 1, офис 10",
    "signatory": "Соколовская Елена Викторовна",
    "grounds": "устава",
    "vat": "Без НДС",
}


def fill_company(context: DemoContext) -> None:
    """Make departments, people, roles of people and the settings of the company."""
    roles = {row[0]: row[1] for row in context.session.execute(sa.select(Role.name, Role.id))}
    people = (*ACCOUNTS, *OTHERS)
    context.people.update(zip((one.login for one in people), context.numbers("core_user", len(people)), strict=True))
    names = [name for name, _above, _head in DEPARTMENTS]
    context.departments.update(zip(names, context.numbers("core_team", len(names)), strict=True))
    admin = context.people["admin"]
    start = context.at(440, 9)
    # Everybody knows it, so one hash serves all.
    hashed = passwords.hash_password(PASSWORD)

    first = {**_user(context, ACCOUNTS[0], hashed, start), "team_id": None}
    context.insert("core_user", [first], at=start, by=None, kind="setup",
                   entity="core.user", record_id=admin)  # fmt: skip
    context.insert("core_user_role", [_role(context, ACCOUNTS[0], roles)], at=start, by=None, kind="setup",
                   entity="core.user", record_id=admin)  # fmt: skip
    _settings(context, start + dt.timedelta(minutes=20))
    made = start + dt.timedelta(minutes=40)
    for name, above, _head in DEPARTMENTS:
        row = {"id": context.departments[name], "name": name, "parent_id": context.departments.get(above),
               "created_at": made}  # fmt: skip
        context.insert("core_team", [row], at=made, by=admin, entity="core.team", record_id=row["id"])
        made += dt.timedelta(minutes=1)
    # The administrator came before there was a department to put him into.
    context.update("core_user", [{"id": admin, "team_id": context.department_of[admin]}], at=made, by=admin,
                   entity="core.user", record_id=admin)  # fmt: skip
    for place, one in enumerate(people[1:]):
        number = context.people[one.login]
        came = context.at(one.came, 10 if one.came > 5 else 9, 2 * place)
        # Who signed up by himself made his own account.
        by = None if one.status == PENDING else admin
        context.insert("core_user", [_user(context, one, hashed, came)], at=came, by=by,
                       kind="sign-up" if one.status == PENDING else "create", entity="core.user",
                       record_id=number)  # fmt: skip
        context.insert("core_user_role", [_role(context, one, roles)], at=came, by=by, kind="rights",
                       entity="core.user", record_id=number)  # fmt: skip
    heads = [
        {"id": context.departments[name], "head_id": context.people[head]} for name, _above, head in DEPARTMENTS if head
    ]
    context.update("core_team", heads, at=context.at(430, 12), by=admin, entity="core.team")
    left = context.people["left"]
    context.update("core_user", [{"id": left, "status": DISABLED}], at=context.at(12, 18), by=admin,
                   entity="core.user", record_id=left, note="Уволился")  # fmt: skip


def _user(context: DemoContext, one: DemoAccount, hashed: str, came: dt.datetime) -> dict[str, Any]:
    number = context.people[one.login]
    department = context.departments.get(one.department)
    context.department_of[number] = department
    return {
        "id": number,
        "email": one.email,
        "name": one.name,
        # Who left was active until he did.
        "status": ACTIVE if one.status == DISABLED else one.status,
        "password_hash": hashed,
        "email_confirmed_at": came,
        "locale": "",
        "time_zone": "",
        "theme": "auto",
        "job_title": one.job_title,
        "phone": "",
        "photo": "",
        "team_id": department,
        "created_at": came,
        "created_by": None if one.status == PENDING or one is ACCOUNTS[0] else context.people["admin"],
    }


def _role(context: DemoContext, one: DemoAccount, roles: dict[str, int]) -> dict[str, Any]:
    return {"user_id": context.people[one.login], "role_id": roles[one.role]}


def _settings(context: DemoContext, at: dt.datetime) -> None:
    values: dict[str, Any] = {
        company.NAME: "Климат-Пример",
        company.TIME_ZONE: TIME_ZONE,
        company.LEGAL_ENTITIES: [LEGAL_ENTITY],
        company.SIGN_UP: company.APPROVAL,
    }
    rows = [{"key": key, "value": value} for key, value in values.items()]
    context.insert("core_setting", rows, at=at, by=context.people["admin"], kind="settings", entity="core.setting")
