"""What is particular to importing clients: full names, companies in the same row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm_clients.entities import COMPANIES, PERSONS
from crm_core.models.records import ImportRun
from crm_core.records.importing import engine
from crm_core.records.importing.readers import open_table


@pytest.fixture
def bring_in(db: Any, clients: Any, factories: Any, tmp_path: Path) -> Any:
    """Import lines of text as an administrator, each column mapped to what its header says."""

    def bring_in(entity: Any, *lines: str, **options: Any) -> Any:
        path = tmp_path / "clients.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        table = open_table(path)
        gate = clients.gate(factories.user("administrator"))
        mapping = engine.guess(gate, entity, table, _say(gate.plugins))
        chosen = engine.Options(mapping=mapping, **options)
        run = ImportRun(
            entity=entity.name, user_id=gate.subject.user_id, file_name=path.name, digest="0" * 64,
            options=chosen.to_json(),
        )  # fmt: skip
        db.add(run)
        db.flush()
        importer = engine.Importer(gate, entity, table, chosen, _say(gate.plugins))
        for rows in importer.batches():
            engine.step(importer, run, rows)
            db.commit()
        return run

    return bring_in


def _say(plugins: Any) -> Any:
    from crm_core.records.work import in_languages

    return in_languages(plugins)


def _people(db: Any) -> list[Any]:
    return db.execute(
        sa.text(
            "SELECT p.full_name, p.last_name, p.first_name, p.middle_name, c.name AS company, c.inn, c.kind, p.status, "
            "(SELECT count(*) FROM clients_membership m WHERE m.person_id = p.id) AS links "
            "FROM clients_person p LEFT JOIN clients_company c ON c.id = p.company_id ORDER BY p.id"
        )
    ).all()


def test_a_full_name_is_taken_apart_and_the_company_of_the_row_is_made_and_linked(bring_in: Any, db: Any) -> None:
    bring_in(PERSONS, "ФИО;Компания;ИНН;Телефон", "ЕРШОВ ПОЛИКАРП ЕФИМОВИЧ;ромашка ооо;7707083893;8 945 000-00-01")

    (person,) = _people(db)
    assert person[:4] == ("Ершов Поликарп Ефимович", "Ершов", "Поликарп", "Ефимович")
    assert person[4:] == ("ООО «ромашка»", "7707083893", "ooo", "new", 1)


def test_one_company_of_many_rows_is_made_once(bring_in: Any, db: Any) -> None:
    bring_in(
        PERSONS,
        "ФИО;Компания;ИНН;Телефон",
        "Ершов Поликарп;ООО «Ромашка»;7707083893;+79450000001",
        "Белов Иван;Ромашка, ООО;;+79450000002",
        "Орлова Анна;;7707083893;+79450000003",
    )

    assert [one.company for one in _people(db)] == ["ООО «Ромашка»"] * 3
    assert db.scalar(sa.text("SELECT count(*) FROM clients_company")) == 1


def test_companies_of_one_name_and_different_inn_are_two(bring_in: Any, clients: Any, db: Any) -> None:
    clients.company(name="ООО «Ромашка»", inn="7707083893")

    bring_in(
        PERSONS,
        "ФИО;Компания;ИНН;Телефон",
        "Ершов Поликарп;ООО «Ромашка»;0063101026;+79450000001",
        "Белов Иван;ООО «Лютик»;0063101033;+79450000002",
        "Орлова Анна;ООО «Лютик»;0063101040;+79450000003",
    )

    assert [one.inn for one in _people(db)] == ["0063101026", "0063101033", "0063101040"]


def test_companies_are_imported_by_inn_and_changed_by_the_second_file(bring_in: Any, db: Any) -> None:
    bring_in(COMPANIES, "Название;ИНН;КПП;Город", "ООО «Ромашка»;7707083893;773601001;Самара")
    second = bring_in(COMPANIES, "Название;ИНН;Сайт", "ООО «Ромашка»;7707083893;https://romashka.example")

    assert second.counts["updated"] == 1
    row = db.execute(sa.text("SELECT name, inn, kpp, city, site FROM clients_company")).one()
    assert tuple(row) == ("ООО «Ромашка»", "7707083893", "773601001", "Самара", "https://romashka.example")


def test_wrong_requisites_are_named(bring_in: Any, db: Any) -> None:
    run = bring_in(COMPANIES, "Название;ИНН", "ООО «Ромашка»;7707083894", "ООО «Лютик»;7707083893", lenient=False)

    assert (run.counts["created"], run.counts["rejected"]) == (1, 1)
    reasons = db.scalar(sa.text("SELECT reasons FROM core_import_reject"))
    assert [(reason["field"], reason["code"]) for reason in reasons] == [("inn", "inn_checksum")]
