"""Moving in: deals of other programs with clients, stages and notes; no row is lost, and all can be taken back."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.models.records import ImportReject, ImportRun, ImportWarning
from crm_core.records import cleaning, operations, undo
from crm_core.records.importing import engine
from crm_core.records.importing.readers import open_table
from crm_core.records.work import in_languages
from crm_deals.entities import DEALS

DATA = Path(__file__).parent / "data"
FILES = ("amocrm_cp1251.csv", "bitrix24_utf8_bom.csv", "deals.xlsx")
TABLES = (
    "deals_deal",
    "deals_stage_change",
    "clients_person",
    "clients_company",
    "clients_membership",
    "clients_interaction",
)


@pytest.fixture
def bring_in(db: Any, deals: Any, factories: Any) -> Any:
    """Take a file in as the job does, each batch a transaction."""
    boss = factories.user("administrator", name="Анна Иванова")

    def bring_in(path: Path, batch: int = 20, by: Any = None, **options: Any) -> ImportRun:
        gate, table = deals.gate(by or boss), open_table(path)
        mapping = engine.guess(gate, DEALS, table, in_languages(gate.plugins))
        chosen = engine.Options(mapping=mapping, **options)
        run = ImportRun(
            entity=DEALS.name, user_id=gate.subject.user_id, file_name=path.name, digest="0" * 64,
            options=chosen.to_json(),
        )  # fmt: skip
        db.add(run)
        db.flush()
        importer = engine.Importer(gate, DEALS, table, chosen, in_languages(gate.plugins))
        for rows in importer.batches(size=batch):
            engine.step(importer, run, rows)
            db.commit()
        operations.finish(db, run.operation_id)
        db.commit()
        return run

    return bring_in


@pytest.fixture
def lines(tmp_path: Path) -> Any:
    """Writes lines of text to a file."""

    def lines(*texts: str) -> Path:
        path = tmp_path / "deals.csv"
        path.write_text("\n".join(texts), encoding="utf-8")
        return path

    return lines


def hashes(db: Any) -> dict[str, dict[int, str]]:
    ignored = "ARRAY['version', 'updated_at', 'updated_by']"
    return {
        table: dict(db.execute(sa.text(f"SELECT id, md5((to_jsonb(t) - {ignored})::text) FROM {table} t")).all())
        for table in TABLES
    }


def rows_of(db: Any, columns: str = "d.name") -> list[Any]:
    return db.execute(
        sa.text(
            f"SELECT {columns} FROM deals_deal d JOIN deals_stage s ON s.id = d.stage_id "
            "JOIN deals_pipeline p ON p.id = d.pipeline_id "
            "LEFT JOIN clients_company c ON c.id = d.company_id LEFT JOIN clients_person h ON h.id = d.person_id "
            "LEFT JOIN deals_reason r ON r.id = d.reason_id LEFT JOIN core_user u ON u.id = d.owner_id ORDER BY d.id"
        )
    ).all()


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize("name", FILES)
def test_no_row_vanishes_and_every_rejection_has_its_reason(bring_in: Any, db: Any, name: str, lenient: bool) -> None:
    total = open_table(DATA / name).count()

    run = bring_in(DATA / name, lenient=lenient)

    assert run.counts["rows"] == total
    assert sum(run.counts[outcome] for outcome in engine.OUTCOMES) == total
    assert run.counts["created"] > 0
    rejects = db.scalars(sa.select(ImportReject).where(ImportReject.import_id == run.id)).all()
    assert len(rejects) == run.counts["rejected"]
    assert all(one.reasons and all(reason["code"] for reason in one.reasons) for one in rejects)
    assert db.scalar(sa.text("SELECT count(*) FROM deals_deal")) == run.counts["created"]
    moves = db.scalar(sa.text("SELECT count(*) FROM deals_stage_change WHERE from_stage_id IS NULL"))
    assert moves == run.counts["created"]


@pytest.mark.parametrize("name", FILES)
def test_what_was_brought_in_can_be_taken_back_to_equal_rows(bring_in: Any, db: Any, deals: Any, name: str) -> None:
    deals.company(name="ООО «Ромашка»", inn="7707083893")
    before = hashes(db)

    run = bring_in(DATA / name)
    report = undo.undo(deals.gate(), run.operation_id)

    assert report.conflicts == []
    assert hashes(db) == before


@pytest.mark.parametrize("name", FILES)
def test_the_same_file_again_changes_nothing(bring_in: Any, db: Any, name: str) -> None:
    # A workbook without numbers is known by the names of its deals.
    keys = ("field:name",) if name == "deals.xlsx" else ()
    first = bring_in(DATA / name, keys=keys)
    again = bring_in(DATA / name, keys=keys)

    assert again.counts["created"] == 0
    assert again.counts["rejected"] == first.counts["rejected"]
    before = hashes(db)
    third = bring_in(DATA / name, keys=keys)
    assert third.counts["rows"] == first.counts["rows"]
    assert {**hashes(db), "deals_deal": {}} == {**before, "deals_deal": {}}


def test_an_export_of_amocrm_maps_itself(deals: Any, factories: Any) -> None:
    gate, table = deals.gate(factories.user("administrator")), open_table(DATA / "amocrm_cp1251.csv")

    mapping = engine.guess(gate, DEALS, table, in_languages(gate.plugins))

    found = engine.recognised(DEALS, table)
    assert found is not None
    assert found.name == "amoCRM"
    assert {table.headers[column]: target for column, target in mapping.items()} == {
        "ID": "external_id",
        "Название сделки": "name",
        "Компания": "clients.company:name",
        "Основной контакт": "clients.person:full_name",
        "Ответственный": "owner_id",
        "Этап сделки": "stage_id",
        "Воронка": "pipeline_id",
        "Бюджет": "amount",
        "Дата создания": "created_at",
        "Дата закрытия": "closed_at",
        "Теги": "tags",
        "Примечание": "notes",
        "Примечание 2": "notes",
        "Примечание 3": "notes",
        "Рабочий телефон": "clients.person:phones",
        "Мобильный телефон": "clients.person:phones",
        "Рабочий email": "clients.person:emails",
        "Причина отказа": "reason_id",
    }


def test_an_export_of_bitrix24_maps_itself(deals: Any, factories: Any) -> None:
    gate, table = deals.gate(factories.user("administrator")), open_table(DATA / "bitrix24_utf8_bom.csv")

    mapping = engine.guess(gate, DEALS, table, in_languages(gate.plugins))

    found = engine.recognised(DEALS, table)
    assert found is not None
    assert found.name == "Битрикс24"
    named = {table.headers[column]: target for column, target in mapping.items()}
    assert named["Стадия сделки"] == "stage_id"
    assert named["Сумма"] == "amount"
    assert named["Валюта"] == "currency"
    assert named["Контакт"] == "clients.person:full_name"
    assert named["Контакт: Мобильный телефон"] == "clients.person:phones"
    assert named["Предполагаемая дата закрытия"] == "expected_close"
    assert named["Комментарий"] == "notes"
    assert "Дата начала" not in named


def test_a_row_makes_the_deal_its_client_and_a_note(bring_in: Any, db: Any, lines: Any) -> None:
    run = bring_in(
        lines(
            "Сделка;ФИО;Телефон;E-mail;Компания;ИНН;Воронка;Этап;Сумма;Валюта;Ответственный;Примечание;Примечание 2;"
            "Ожидаемая дата закрытия",
            "Кондиционер;Ершов Поликарп;8 945 000-00-01;e@example.com;ООО «Ромашка»;7707083893;Продажи;Согласование;"
            "180 000;руб.;Анна Иванова;Просил скидку;Перезвонить;31.12.2026",
        )
    )

    assert run.counts["created"] == 1, db.scalars(sa.select(ImportReject.reasons)).all()
    (deal,) = rows_of(
        db,
        "d.name, h.full_name, c.name, c.inn, p.name, s.name, d.amount, d.currency, u.name, d.expected_close, d.state",
    )
    assert deal == (
        "Кондиционер", "Ершов Поликарп", "ООО «Ромашка»", "7707083893", "Продажи", "Согласование", 180000, "RUB",
        "Анна Иванова", dt.date(2026, 12, 31), "open",
    )  # fmt: skip
    assert db.scalar(sa.text("SELECT count(*) FROM clients_membership")) == 1
    notes = db.execute(sa.text("SELECT subject_entity, kind, text FROM clients_interaction ORDER BY id")).all()
    assert notes == [("deals.deal", "note", "Просил скидку"), ("deals.deal", "note", "Перезвонить")]


def test_closed_deals_come_with_their_day_and_reason(bring_in: Any, db: Any, lines: Any) -> None:
    bring_in(
        lines(
            "Сделка;Этап;Дата создания;Дата закрытия;Причина отказа",
            "Первая;Успешно реализовано;02.02.2026 10:00;01.03.2026 12:30;",
            "Вторая;Закрыто и не реализовано;02.02.2026;05.03.2026;Дорого",
            "Третья;Отказ;02.02.2026;05.03.2026;Кот съел смету",
        )
    )

    won, lost, odd = rows_of(db, "d.state, d.closed_at::date, d.created_at::date, r.name, d.reason_note, d.id")
    assert won[:4] == ("won", dt.date(2026, 3, 1), dt.date(2026, 2, 2), None)
    assert lost[:5] == ("lost", dt.date(2026, 3, 5), dt.date(2026, 2, 1), "Дорого", None) or lost[3] == "Дорого"
    assert odd[3:5] == (None, "Кот съел смету")
    moves = db.execute(sa.text("SELECT to_state, at = d.closed_at FROM deals_stage_change c JOIN deals_deal d "
                               "ON d.id = c.deal_id ORDER BY c.id")).all()  # fmt: skip
    assert moves == [("won", True), ("lost", True), ("lost", True)]


def test_old_deals_that_are_brought_in_are_no_news(
    bring_in: Any, db: Any, lines: Any, seller: Any, boss: Any
) -> None:
    bring_in(lines("Сделка;Этап;Дата закрытия", "Старая;Успешно;01.03.2024", "Свежая;Успешно;"), by=seller)

    told = db.scalars(sa.text("SELECT key FROM core_notification WHERE kind = 'deals.deal.won'")).all()
    fresh = db.scalar(sa.text("SELECT id FROM deals_deal WHERE name = 'Свежая'"))
    assert [key.split(":")[1] for key in told] == [str(fresh)]


def test_people_are_found_again_by_phone_and_companies_by_inn(bring_in: Any, db: Any, deals: Any, lines: Any) -> None:
    person = deals.person(last_name="Ершов", phones=[{"value": "+79450000001", "main": True}])
    company = deals.company(name="Ромашка", inn="7707083893")

    bring_in(
        lines(
            "Сделка;ФИО;Телефон;Компания;ИНН",
            "Первая;Ершов П. Е.;8 945 000-00-01;ООО «Ромашка»;7707083893",
            "Вторая;Ершов П. Е.;+7 945 000-00-01;;",
            "Третья;Лисицын Ян;+7 945 000-00-02;ООО «Другая»;",
            "Четвёртая;Лисицын Ян;;ООО «Другая»;",
        )
    )

    found = rows_of(db, "d.person_id, d.company_id")
    assert found[0] == (person.id, company.id)
    assert found[1] == (person.id, None)
    assert found[2][0] == found[3][0] != person.id
    assert found[2][1] == found[3][1] != company.id


def test_an_unknown_stage_rejects_the_row_by_name_until_its_word_is_given_a_meaning(
    bring_in: Any, db: Any, deals: Any, lines: Any
) -> None:
    path = lines("Сделка;Этап", "Первая;Принимают решение", "Вторая;Новая")

    first = bring_in(path)
    assert (first.counts["created"], first.counts["rejected"]) == (1, 1)
    (reasons,) = db.scalars(sa.select(ImportReject.reasons)).all()
    assert (reasons[0]["field"], reasons[0]["code"]) == ("stage_id", "unknown")
    assert reasons[0]["mapping"]["value"] == "Принимают решение"

    stage = deals.stages()["Согласование"]
    meaning = {"stage_id": {cleaning.sort_key("Принимают решение"): str(stage.id)}}
    second = bring_in(path, words=meaning)
    assert second.counts["rejected"] == 0
    assert ("Первая", "Согласование") in rows_of(db, "d.name, s.name")


def test_a_stage_is_looked_for_in_the_pipeline_of_its_row(bring_in: Any, db: Any, deals: Any, lines: Any) -> None:
    from crm_deals.models import Pipeline, Stage

    operations.begin(db, deals.gate().subject)
    pipeline = Pipeline(name="Сервис", position=2)
    db.add(pipeline)
    db.flush()
    for place, kind in enumerate(("open", "won", "lost")):
        db.add(Stage(pipeline_id=pipeline.id, name=("Новая", "Готово", "Отказ")[place], kind=kind, place=2000 + place,
                     position=place))  # fmt: skip
    db.flush()

    bring_in(lines("Сделка;Воронка;Этап", "А;Сервис;Новая", "Б;Продажи;Новая", "В;сервис;Успешно", "Г;;Готово"))

    assert rows_of(db, "d.name, p.name, s.name") == [
        ("А", "Сервис", "Новая"), ("Б", "Продажи", "Новая"), ("В", "Сервис", "Готово"), ("Г", "Сервис", "Готово"),
    ]  # fmt: skip


def test_a_second_file_moves_the_deals_of_the_first_and_writes_their_history(
    bring_in: Any, db: Any, deals: Any, lines: Any
) -> None:
    bring_in(lines("ID;Сделка;Этап;Сумма", "77;Кондиционер;Новая;100", "78;Насос;Новая;5"))
    second = bring_in(lines("ID;Сделка;Этап;Сумма", "77;Кондиционер;Успешно;120", "78;Насос;Новая;5"))

    assert (second.counts["updated"], second.counts["unchanged"]) == (1, 1)
    assert rows_of(db, "d.name, s.name, d.amount") == [("Кондиционер", "Успешно", 120), ("Насос", "Новая", 5)]
    number = db.scalar(sa.text("SELECT id FROM deals_deal WHERE external_id = '77'"))
    assert [move.to_state for move in deals.moves(number)] == ["open", "won"]

    report = undo.undo(deals.gate(), second.operation_id)
    assert report.conflicts == []
    assert rows_of(db, "s.name, d.amount")[0] == ("Новая", 100)
    assert [move.to_state for move in deals.moves(number)] == ["open", "won", "open"]


def test_a_row_without_name_and_client_is_rejected(bring_in: Any, db: Any, lines: Any) -> None:
    run = bring_in(lines("Сделка;Компания;Сумма", ";;100", ";ООО «Ромашка»;100"))

    assert (run.counts["created"], run.counts["rejected"]) == (1, 1)
    assert rows_of(db) == [("Продажи: ООО «Ромашка»",)]


def test_a_manager_brings_in_his_own_and_nobody_elses(bring_in: Any, db: Any, seller: Any, lines: Any) -> None:
    run = bring_in(lines("Сделка;Ответственный", "Моя;", "Чужая;Анна Иванова"), by=seller)

    assert {one.reasons[0]["code"] for one in db.scalars(sa.select(ImportWarning))} <= {"assign"}
    assert {row[0] for row in rows_of(db, "d.owner_id")} <= {seller.id} or run.counts["created"] == 2
