"""The demo company: what is in it, that it is the same each time, and that it is made once."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from crm_clients import services
from crm_clients.entities import COMPANIES, COMPANY, PERSON, PERSONS
from crm_core import demo
from crm_core.db import UNGATED
from crm_core.models import User
from crm_core.models.log import Operation
from crm_core.people import sync_rights
from crm_core.records import cleaning, doubles, history, undo
from crm_core.records.gate import Gate
from crm_core.security.subject import load_subject

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def filled(crm_servers: Any, plugins: Any) -> Any:
    """Fill one database for all these tests; none of them writes to it and commits."""
    from crm_core.db import make_engine, session_factory

    name = crm_servers.clone(plugins)
    engine = make_engine(crm_servers.url_of(name))
    factory = session_factory(engine)
    with factory() as session, session.begin():
        sync_rights(session, plugins)
    assert demo.fill(factory, plugins)
    yield factory
    engine.dispose()
    crm_servers.drop(name)


@pytest.fixture
def session(filled: Any) -> Any:
    """Look at the demo; whatever a test changes is rolled back."""
    with filled() as session:
        yield session
        session.rollback()


def _gate(session: Any, plugins: Any, login: str) -> Gate:
    user = session.scalars(sa.select(User).where(User.email == f"{login}@demo.example")).one()
    subject = load_subject(session, user.id)
    assert subject is not None
    return Gate(session, subject, plugins)


def _count(session: Any, statement: str) -> int:
    return int(session.scalar(sa.text(statement)) or 0)


def test_a_second_start_changes_nothing(filled: Any, plugins: Any) -> None:
    assert demo.fill(filled, plugins) is False


def test_an_installation_with_accounts_of_its_own_is_left_alone(committed_db: Any, factories: Any) -> None:
    with committed_db.session() as session:
        session.add(User(email="own@example.com", name="Own"))

    assert demo.fill(committed_db.factory, committed_db.plugins) is False


def test_there_are_as_many_clients_and_calls_as_the_company_has(session: Any) -> None:
    assert _count(session, "SELECT count(*) FROM clients_company") == 900
    assert _count(session, "SELECT count(*) FROM clients_person") == 2401
    assert _count(session, "SELECT count(*) FROM clients_person WHERE company_id IS NULL") == 701
    assert 21_500 <= _count(session, "SELECT count(*) FROM clients_interaction") <= 22_500


def test_everything_that_looks_real_is_right_and_belongs_to_nobody(session: Any) -> None:
    for inn in session.scalars(sa.text("SELECT inn FROM clients_company WHERE inn IS NOT NULL")):
        assert cleaning.clean_inn(inn).value == inn
        assert inn.startswith("0063")
    values = session.execute(sa.text("SELECT DISTINCT kind, value FROM core_address")).all()
    for kind, value in values:
        if kind == "email":
            assert value.endswith(".example")
            assert cleaning.clean_email(value).value == value
        else:
            assert value.startswith(("+7945", "+7946", "+7947", "+78460"))
    for value in [value for kind, value in values if kind == "phone"][:50]:
        cleaned = cleaning.clean_phone(value).value
        assert cleaned is not None
        assert cleaned.number == value


def test_every_row_is_in_the_change_log_and_every_operation_has_its_date(session: Any) -> None:
    rows = _count(session, "SELECT count(*) FROM core_change WHERE entity = 'clients.person' AND action = 'insert'")
    assert rows == 2401
    late = "SELECT count(*) FROM core_operation WHERE id > 1 AND at > now() + interval '1 minute'"
    assert _count(session, late) == 0
    backwards = """
        SELECT count(*) FROM (SELECT at, lag(at) OVER (ORDER BY id) AS before FROM core_operation
            WHERE kind NOT IN ('demo', 'rights') AND entity LIKE 'clients.%') o WHERE at < before
    """
    assert _count(session, backwards) == 0


def test_derived_columns_are_what_saving_would_make_them(session: Any) -> None:
    for entity in (PERSONS, COMPANIES):
        table = entity.model.__table__  # type: ignore[attr-defined]
        rows = session.execute(sa.select(table).limit(300), execution_options={UNGATED: "a look at the demo"})
        for row in rows:
            values = dict(row._mapping)
            assert entity.prepare is not None
            assert {name: values[name] for name in entity.prepare(values)} == entity.prepare(values)


def test_the_last_contact_is_what_counting_again_would_give(session: Any) -> None:
    from crm_core.db import RecordRef
    from crm_core.records import operations
    from crm_core.security.subject import Subject

    before = dict(session.execute(sa.text("SELECT id, last_contact_at FROM clients_person")).all())
    operations.begin(session, Subject.system("a test"))
    services.refresh_contacts(session, [RecordRef(PERSON, number) for number in before])

    assert dict(session.execute(sa.text("SELECT id, last_contact_at FROM clients_person")).all()) == before


def test_the_manager_finds_forgotten_clients_a_missed_call_and_a_double(session: Any, plugins: Any) -> None:
    gate = _gate(session, plugins, "manager")

    assert services.forgotten(gate)
    missed = session.scalar(
        sa.text(
            "SELECT count(*) FROM core_notification n JOIN core_user u ON u.id = n.user_id "
            "WHERE u.email = 'manager@demo.example' AND n.key LIKE 'clients.missed:%'"
        )
    )
    assert missed == 1
    twice = (
        session.execute(
            sa.text(
                "SELECT value FROM core_address "
                "WHERE entity = 'clients.person' AND kind = 'phone' AND value LIKE '+79%' "
                "GROUP BY value HAVING count(*) > 1"
            )
        )
        .scalars()
        .all()
    )
    assert len(twice) == 1
    assert len(doubles.probable(gate, PERSONS, {"phones": twice[0]})) == 2


def test_the_administrator_takes_back_a_mass_edit_of_240_rows(session: Any, plugins: Any) -> None:
    gate = _gate(session, plugins, "admin")
    operation = session.scalars(sa.select(Operation).where(Operation.kind == "bulk", Operation.entity == COMPANY)).one()
    former = "SELECT count(*) FROM clients_company WHERE status = 'former'"
    before = _count(session, former)

    report = undo.undo(gate, operation.id)

    assert (report.undone, report.conflicts, report.refused) == (240, [], 0)
    assert _count(session, former) == before - 240


def test_a_newcomer_sees_too_much_and_the_reason_is_told(session: Any, plugins: Any) -> None:
    gate = _gate(session, plugins, "admin")
    number = session.scalar(sa.text("SELECT min(id) FROM clients_person"))

    viewers = {viewer.name: viewer for viewer in gate.who(PERSON, number)}

    assert "Дарья Новикова" in viewers
    assert viewers["Дарья Новикова"].reasons[0].kind == "all"
    assert "Максим Рябов" not in viewers


def test_who_left_still_has_clients_to_hand_over(session: Any) -> None:
    left = "SELECT count(*) FROM clients_company c JOIN core_user u ON u.id = c.owner_id WHERE u.status = 'disabled'"

    assert _count(session, left) > 50


def test_an_employee_without_a_role_sees_what_was_shared(session: Any, plugins: Any) -> None:
    gate = _gate(session, plugins, "user")

    assert session.scalar(sa.select(sa.func.count()).select_from(gate.select(COMPANY).subquery())) == 5


def test_the_history_of_a_card_reads_as_if_people_had_worked_here(session: Any, plugins: Any) -> None:
    gate = _gate(session, plugins, "admin")
    number = session.scalar(
        sa.text(
            "SELECT c.record_id FROM core_change c JOIN core_operation o ON o.id = c.operation_id "
            "WHERE o.kind = 'edit' AND c.entity = 'clients.company' LIMIT 1"
        )
    )

    entries = history.of_record(gate, COMPANIES, number).entries

    assert entries[-1].action == "insert"
    assert any(entry.action == "update" and entry.by and entry.differences[0].field == "status" for entry in entries)
