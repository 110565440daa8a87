"""Imports of real-shaped messy files: every row is accounted for, reasons are named, undo gives back the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.models.records import ImportReject, ImportRun, ImportWarning
from crm_core.records import operations, undo
from crm_core.records.importing import engine
from crm_core.records.importing.readers import open_table
from crm_core.records.work import in_languages

DATA = Path(__file__).parent.parent / "data"
PERSON = "clients.person"
FILES = ("clients_utf8_bom.csv", "clients_cp1251.csv", "clients.xlsx")


def run_file(db: Any, gate: Any, entity: Any, path: Path, batch: int = 500, **options: Any) -> ImportRun:
    """Import a file as the job does, each batch a transaction."""
    table = open_table(path)
    mapping = engine.guess(gate, entity, table, in_languages(gate.plugins))
    chosen = engine.Options(mapping=mapping, **options)
    run = ImportRun(
        entity=entity.name, user_id=gate.subject.user_id, file_name=path.name, digest="0" * 64, options=chosen.to_json()
    )
    db.add(run)
    db.flush()
    importer = engine.Importer(gate, entity, table, chosen, in_languages(gate.plugins))
    for rows in importer.batches(size=batch):
        engine.step(importer, run, rows)
        db.commit()
    operations.finish(db, run.operation_id)
    db.commit()
    return run


def hashes(db: Any) -> dict[str, dict[int, str]]:
    """Return row digests of every table an import writes."""
    found = {}
    for table in ("clients_person", "clients_company", "clients_membership"):
        ignored = "ARRAY['version', 'updated_at', 'updated_by']"
        rows = db.execute(sa.text(f"SELECT id, md5((to_jsonb(t) - {ignored})::text) FROM {table} t"))
        found[table] = {row[0]: row[1] for row in rows}
    found["core_search"] = {
        row[0]: row[1] for row in db.execute(sa.text("SELECT entity || record_id, md5(text) FROM core_search"))
    }
    return found


@pytest.mark.parametrize("name", FILES)
def test_no_row_vanishes_and_reasons_are_named(db: Any, plugins: Any, factories: Any, gate_of: Any, name: str) -> None:
    gate, entity = gate_of(factories.user("administrator")), plugins.entity(PERSON)
    total = open_table(DATA / name).count()

    run = run_file(db, gate, entity, DATA / name, lenient=False)

    counts = run.counts
    assert counts["rows"] == total
    assert counts["created"] + counts["updated"] + counts["unchanged"] + counts["rejected"] == total
    rejects = db.scalars(sa.select(ImportReject).where(ImportReject.import_id == run.id)).all()
    assert len(rejects) == counts["rejected"]
    assert all(reject.reasons and all(reason["code"] for reason in reject.reasons) for reject in rejects)
    named = {reason["field"] for reject in rejects for reason in reject.reasons}
    assert {"phones", "budget"} <= named


@pytest.mark.parametrize("name", FILES)
def test_rows_are_taken_without_their_wrong_values_which_are_listed(
    db: Any, plugins: Any, factories: Any, gate_of: Any, name: str
) -> None:
    gate, entity = gate_of(factories.user("administrator")), plugins.entity(PERSON)
    total = open_table(DATA / name).count()

    run = run_file(db, gate, entity, DATA / name)

    counts = run.counts
    assert sum(counts[outcome] for outcome in engine.OUTCOMES) == total
    assert counts["rejected"] < total / 10
    remarks = db.scalars(sa.select(ImportWarning.reasons).where(ImportWarning.import_id == run.id)).all()
    named = {reason["field"] for reasons in remarks for reason in reasons}
    assert {"phones", "emails", "budget", "clients.company:inn"} <= named


@pytest.mark.parametrize("name", FILES)
def test_undo_of_an_import_gives_back_equal_rows(
    db: Any, plugins: Any, factories: Any, gate_of: Any, name: str
) -> None:
    boss = factories.user("administrator")
    entity = plugins.entity(PERSON)
    run_file(db, gate_of(boss), entity, DATA / "clients_utf8_bom.csv")
    before = hashes(db)

    run = run_file(db, gate_of(boss), entity, DATA / name)
    assert run.counts["created"] + run.counts["updated"] + run.counts["unchanged"] > 0
    report = undo.undo(gate_of(boss), run.operation_id)

    assert report.conflicts == []
    assert hashes(db) == before


def test_the_same_file_again_changes_nothing(db: Any, plugins: Any, factories: Any, gate_of: Any) -> None:
    boss = factories.user("administrator")
    entity = plugins.entity(PERSON)
    first = run_file(db, gate_of(boss), entity, DATA / "clients_utf8_bom.csv")
    with_key = db.scalar(sa.text("SELECT count(DISTINCT record_id) FROM core_address WHERE entity = 'clients.person'"))

    second = run_file(db, gate_of(boss), entity, DATA / "clients_utf8_bom.csv")

    assert second.counts["rejected"] == first.counts["rejected"]
    assert second.counts["unchanged"] + second.counts["updated"] >= with_key
    third = run_file(db, gate_of(boss), entity, DATA / "clients_utf8_bom.csv")
    # Rows of the file that contradict one another about one record go on doing so; nothing else is written.
    assert third.counts["updated"] <= 10


def test_a_row_is_left_to_its_owner_when_one_may_not_change_it(
    db: Any, plugins: Any, factories: Any, gate_of: Any, person_of: Any, tmp_path: Path
) -> None:
    owner = factories.user("manager", name="Ольга Сергеева")
    person_of(owner, last_name="Петров", phones=["+79271234567"])
    path = tmp_path / "one.csv"
    path.write_text("ФИО;Телефон\nПетров Пётр;8 927 123-45-67\n", encoding="utf-8")

    run = run_file(db, gate_of(factories.user("manager")), plugins.entity(PERSON), path)

    reject = db.scalars(sa.select(ImportReject)).one()
    assert run.counts["rejected"] == 1
    assert reject.reasons[0]["code"] == "foreign"
    assert reject.reasons[0]["mapping"]["name"] == "Ольга Сергеева"


def test_doubles_in_the_file_become_one_and_the_second_row_fills_the_gaps(
    db: Any, plugins: Any, factories: Any, gate_of: Any, tmp_path: Path
) -> None:
    path = tmp_path / "two.csv"
    path.write_text(
        "ФИО;Телефон;E-mail;Компания;ИНН\n"
        "Петров Пётр Петрович;8 927 123-45-67;;ООО «Ромашка»;7707083893\n"
        "ПЕТРОВ ПЁТР;+7 (927) 123-45-67;petrov@example.com;ООО Ромашка;7707083893\n",
        encoding="utf-8",
    )
    boss = factories.user("administrator")

    run = run_file(db, gate_of(boss), plugins.entity(PERSON), path)

    gate = gate_of(boss)
    people = db.scalars(gate.select(PERSON)).all()
    companies = db.scalars(gate.select("clients.company")).all()
    assert {name: run.counts[name] for name in engine.OUTCOMES} == {
        "created": 1, "updated": 1, "unchanged": 0, "rejected": 0,
    }  # fmt: skip
    assert [person.emails[0]["value"] for person in people] == ["petrov@example.com"]
    assert len(companies) == 1
    assert db.execute(sa.text("SELECT person_id, company_id FROM clients_membership")).all() == [
        (people[0].id, companies[0].id)
    ]


def test_formulas_stay_text(db: Any, plugins: Any, factories: Any, gate_of: Any) -> None:
    boss = factories.user("administrator")
    run_file(db, gate_of(boss), plugins.entity(PERSON), DATA / "clients_utf8_bom.csv")

    comments = db.scalars(sa.text("SELECT comment FROM clients_person WHERE comment LIKE '=HYPERLINK%'")).all()

    assert comments


def test_a_dry_run_counts_the_same_and_leaves_nothing(db: Any, plugins: Any, factories: Any, gate_of: Any) -> None:
    boss = factories.user("administrator")
    gate, entity = gate_of(boss), plugins.entity(PERSON)
    table = open_table(DATA / "clients_utf8_bom.csv")
    options = engine.Options(mapping=engine.guess(gate, entity, table, in_languages(gate.plugins)))
    db.commit()
    savepoint = db.begin_nested()
    importer = engine.Importer(gate, entity, table, options, in_languages(gate.plugins))
    counts, notable = engine.dry_run(importer, importer.batches(size=500))
    savepoint.rollback()
    assert db.scalar(sa.text("SELECT count(*) FROM clients_person")) == 0

    run = run_file(db, gate_of(boss), entity, DATA / "clients_utf8_bom.csv")

    assert counts == run.counts
    assert len([one for one in notable if one.problems]) == counts["rejected"]
