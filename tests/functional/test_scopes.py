"""No side door: every address, asked by every role with other people's numbers, keeps quiet of them."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from crm_core import files
from crm_core.db import UNGATED
from crm_core.models import JobRow
from crm_core.models.records import ImportRun, SavedView
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject

CANARY = "Канарейкин"
SECRETS = (
    CANARY,
    "канарейкин",
    "kanareika@secret.example",
    "79270001122",
    "ООО Канарейка",
    "тайный разговор",
    "тайна.txt",
)

#: Roles that see less than all clients; each is tried with the clients of another department.
ROLES = ("manager", "head", "user", "moderator")

#: Addresses that only write, or that end the session the walk needs.
LEFT_OUT = ("/sign-out", "/static")


@pytest.fixture
def foreign(db: Any, plugins: Any, factories: Any, app: Any) -> dict[str, list[str]]:
    """Make a client of somebody else with all that hangs on him; return values for the placeholders of addresses."""
    owner = factories.user("manager", team_id=factories.team(name="Чужие").id, name="Чужой Менеджер")
    db.commit()
    gate = Gate(db, factories.subject(owner), plugins)
    operations.describe(db, gate.subject)
    people, companies = plugins.entity("clients.person"), plugins.entity("clients.company")
    company = saving.create(gate, companies, saving.check(gate, companies, {"name": "ООО Канарейка"}))
    person = saving.create(
        gate,
        people,
        saving.check(
            gate,
            people,
            {
                "last_name": CANARY,
                "phones": ["+79270001122"],
                "emails": ["kanareika@secret.example"],
                "company_id": company.id,
            },
        ),
    )
    interaction = plugins.entity("clients.interaction").model(
        subject_entity="clients.person",
        subject_id=person.id,
        kind="call",
        text="тайный разговор",
        summary="тайный разговор",
        owner_id=owner.id,
        team_id=owner.team_id,
    )
    db.add(interaction)
    attached = files.attach(gate, app.registry["crm.files"], "clients.person", person.id, "тайна.txt", io.BytesIO(b"x"))
    view = SavedView(entity="clients.person", name=f"{CANARY}: отбор", owner_id=owner.id, query={"q": CANARY})
    run = ImportRun(
        entity="clients.person",
        user_id=owner.id,
        file_name=f"{CANARY}.csv",
        digest=attached.digest,
        state="done",
        counts={},
    )
    job = JobRow(
        name="core.export", user_id=owner.id, title=CANARY, state="done", visible=True, result={"name": CANARY}
    )
    db.add_all([view, run, job])
    db.flush()
    operation = operations.current(db)
    saving.share(Gate(db, Subject.system("a test"), plugins), people, person, "user", owner.id)
    db.commit()
    numbers = [person.id, company.id, interaction.id, attached.id, view.id, run.id, job.id, operation, owner.id]
    return {
        "numbers": [str(number) for number in dict.fromkeys(numbers)],
        "entity": ["clients.person", "clients.company", "clients.interaction", "core.file"],
        "digest": [attached.digest],
        "field": ["last_name", "phones", "owner_id"],
        "name": ["last_name", "owner_id"],
        "panel": [panel.id for panel in plugins.panels],
        "widget": list(plugins.widgets),
    }


def addresses(app: Any, values: dict[str, list[str]]) -> Iterator[str]:
    """Yield every address of the route map, with other people's numbers in its placeholders."""
    for route in app.registry.introspector.get_category("routes") or ():
        pattern = "/" + route["introspectable"]["pattern"].lstrip("/")
        if pattern.startswith(LEFT_OUT) or "*" in pattern:
            continue
        names = re.findall(r"\{(\w+)(?::(?:[^{}]|\{[^}]*\})*)?\}", pattern)
        choices = [
            values.get(name) or (values["numbers"] if "id" in name or name in ("number", "operation") else ["1"])
            for name in names
        ]
        for chosen in itertools.islice(itertools.product(*choices), 14):
            parts = iter(chosen)
            yield re.sub(r"\{\w+(?::(?:[^{}]|\{[^}]*\})*)?\}", lambda _match, parts=parts: next(parts), pattern)


@pytest.mark.parametrize("role", ROLES)
def test_nothing_foreign_shows_anywhere(
    role: str, app: Any, testapp: Any, db: Any, login_as: Any, factories: Any, foreign: dict[str, list[str]]
) -> None:
    login_as(role, team_id=factories.team(name="Свои").id)
    leaks, asked = [], 0

    for address in addresses(app, foreign):
        # Only addresses of many records search; a number in one asks for a single record.
        searches = () if re.search(r"/\d", address) else (f"?q={quote(CANARY)}", "?q=79270001122")
        for query in ("", *searches):
            answer = testapp.get(address + query, expect_errors=True, headers={"HX-Request": "true"} if query else {})
            asked += 1
            body = answer.body.decode("utf-8", "replace")
            # What was typed into a search field comes back in it; nothing else may.
            shown = [secret for secret in SECRETS if secret in body and secret not in query]
            if quote(CANARY) in query:
                shown = [secret for secret in shown if secret not in (CANARY, "канарейкин")]
            if shown or answer.status_int >= 500:
                leaks.append((address + query, answer.status_int, shown))

    assert leaks == []
    assert asked > 100


@pytest.mark.parametrize("role", ["director", "specialist"])
def test_the_walk_would_see_a_leak(
    role: str, app: Any, testapp: Any, login_as: Any, foreign: dict[str, list[str]]
) -> None:
    """Whoever may see all finds him in the list, on the card, in search: so the walk looks where it must."""
    login_as(role)
    seen = set()

    for address in addresses(app, foreign):
        answer = testapp.get(address, expect_errors=True)
        if answer.status_int == 200 and CANARY in answer.body.decode("utf-8", "replace"):
            seen.add(address)

    person = foreign["numbers"][0]
    assert f"/clients/people/{person}" in seen
    assert "/clients/people" in seen


def test_denied_writes_change_nothing(
    app: Any, testapp: Any, db: Any, login_as: Any, factories: Any, foreign: dict[str, list[str]]
) -> None:
    """Every address is posted to by somebody who may not: whatever it answers, no foreign row differs afterwards."""
    login_as("manager", team_id=factories.team().id)
    token = re.search(r'name="csrf_token" value="([^"]+)"', testapp.get("/profile", expect_errors=True).text)
    before = _rows(db)

    for address in addresses(app, foreign):
        values = {
            "csrf_token": token.group(1) if token else "",
            "last_name": "взлом",
            "owner_id": "1",
            "ids": foreign["numbers"],
        }
        testapp.post(address, values, expect_errors=True)

    assert _rows(db) == before


def _rows(db: Any) -> dict[str, Any]:
    db.expire_all()
    return {
        table: db.execute(
            sa.text(f"SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM {table} t WHERE created_at < :late"),
            {"late": "9999-01-01"},
            execution_options={UNGATED: "a test"},
        ).scalar()
        for table in ("clients_person", "clients_company", "clients_interaction", "core_file", "core_view")
    }
