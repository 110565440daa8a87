"""Which field a column is taken for."""

from __future__ import annotations

from pathlib import Path

import pytest

from crm_core.records.importing.guess import (
    GuessField,
    export_mapping,
    guess_mapping,
    header_digest,
    is_like,
    known_export,
)
from crm_core.records.importing.readers import open_table
from crm_core.specs import KnownExport

DATA = Path(__file__).parent.parent / "data"
FIELDS = (
    GuessField("name", ("ФИО", "Full name"), "person_name"),
    GuessField("last_name", ("Фамилия", "Last name")),
    GuessField("first_name", ("Имя", "First name")),
    GuessField("middle_name", ("Отчество", "Middle name")),
    GuessField("company", ("Компания", "Company"), "company_name"),
    GuessField("company_inn", ("ИНН", "INN"), "inn"),
    GuessField("kpp", ("КПП", "KPP")),
    GuessField("phones", ("Телефоны", "Phones"), "phone", multiple=True),
    GuessField("emails", ("Адреса почты", "E-mails"), "email"),
    GuessField("birthday", ("День рождения", "Birthday"), "birthday"),
    GuessField("city", ("Город", "City")),
    GuessField("address", ("Адрес", "Address")),
    GuessField("legal_address", ("Юридический адрес", "Legal address")),
    GuessField("tags", ("Метки", "Tags")),
    GuessField("source", ("Источник", "Source")),
    GuessField("budget", ("Бюджет", "Budget"), "money"),
    GuessField("note", ("Заметка", "Note")),
    GuessField("owner_id", ("Ответственный", "Responsible")),
)


def guessed(headers: list[str], rows=()) -> dict[str, str]:
    return {headers[index]: guess.field for index, guess in guess_mapping(headers, FIELDS, rows).items()}


@pytest.mark.parametrize("name", ["clients.xlsx", "clients_cp1251.csv", "clients_utf8_bom.csv"])
def test_every_column_of_a_client_file_finds_its_field(name):
    found = open_table(DATA / name)

    assert guessed(found.headers, [row.cells for row in found.sample()]) == {
        "ФИО": "name",
        "Компания": "company",
        "ИНН": "company_inn",
        "Телефон": "phones",
        "E-mail": "emails",
        "Дата рождения": "birthday",
        "Город": "city",
        "Теги": "tags",
        "Источник": "source",
        "Бюджет": "budget",
        "Комментарий": "note",
    }


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Тел.", "phones"),
        ("Моб.", "phones"),
        ("Мобильный телефон", "phones"),
        ("Рабочий телефон (контакт)", "phones"),
        ("Телефон 2", "phones"),
        ("Телефно", "phones"),
        ("phone", "phones"),
        ("mobile_phone", "phones"),
        ("E-MAIL", "emails"),
        ("Эл. почта", "emails"),
        ("Почта", "emails"),
        ("Организация", "company"),
        ("Контрагент", "company"),
        ("Ф.И.О.", "name"),
        ("Контактное лицо", "name"),
        ("фамилия", "last_name"),
        ("LastName", "last_name"),
        ("Отчество", "middle_name"),
        ("ИНН организации", "company_inn"),
        ("Дата рожд.", "birthday"),
        ("DOB", "birthday"),
        ("Тэги", "tags"),
        ("Менеджер", "owner_id"),
        ("Отвественный", "owner_id"),
        ("Примечание", "note"),
        ("Юр. адрес", "legal_address"),
        ("Адрес", "address"),
        ("Сумма сделки", "budget"),
    ],
)
def test_a_header_is_understood_in_both_languages_and_with_slips(header, field):
    assert guessed([header]) == {header: field}


@pytest.mark.parametrize("header", ["Цвет", "X", "", "Ёлка", "Почтальон"])
def test_an_unknown_header_is_not_guessed(header):
    assert guessed([header]) == {}


def test_a_field_is_given_once_unless_it_takes_several():
    assert guessed(["Телефон", "Телефон 2", "Почта", "E-mail"]) == {
        "Телефон": "phones",
        "Телефон 2": "phones",
        "Почта": "emails",
    }


def test_contents_tell_what_headers_do_not():
    found = open_table(DATA / "clients_cp1251.csv")
    letters = list("ABCDEFGHIJK")

    mapping = guess_mapping(letters, FIELDS, [row.cells for row in found.sample(40)])

    assert {letters[index]: guess.field for index, guess in mapping.items()} == {
        "A": "name",
        "B": "company",
        "C": "company_inn",
        "D": "phones",
        "E": "emails",
        "F": "birthday",
    }
    assert {guess.why for guess in mapping.values()} == {"contents"}


def test_a_column_called_first_name_may_hold_whole_names():
    assert guessed(["Имя"], [["Ершов Поликарп Ефимович"], ["Нонна Рубеновна Прохорова"]]) == {"Имя": "name"}
    assert guessed(["Имя"], [["Поликарп"], ["Нонна"]]) == {"Имя": "first_name"}


def test_contents_do_not_overrule_a_clear_header():
    assert guessed(["Источник"], [["89161234567"], ["89261234567"]]) == {"Источник": "source"}


def test_likeness_counts_filled_cells_only():
    assert is_like("phone", ["89161234567", "", "нет", None]) == 0.5
    assert is_like("phone", ["", None]) is None
    assert is_like("text", ["x"]) is None


def test_the_digest_of_headers_is_the_same_for_the_same_words():
    assert header_digest(["ФИО", "Тел."]) == header_digest(["фио", " тел"])
    assert header_digest(["ФИО", "Тел."]) != header_digest(["Тел.", "ФИО"])
    assert header_digest(["а", "б"]) != header_digest(["а б"])


AMO = KnownExport(
    name="amo", signs=("Название сделки", "Этап сделки"),
    columns={"ID": "number", "Название сделки": "name", "Примечание": "notes", "Кем создана": ""},
)  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        (["ID", "Название сделки", "Этап сделки"], "amo"),
        (["название  СДЕЛКИ", "этап сделки "], "amo"),
        (["Название сделки", "Стадия"], None),
        ([], None),
    ],
)
def test_an_export_is_known_by_its_headers(headers: list[str], name: str | None) -> None:
    found = known_export(headers, [AMO])

    assert (found.name if found else None) == name


def test_a_known_export_settles_its_columns_and_leaves_out_what_it_says() -> None:
    headers = ["ID", "Название сделки", "Примечание", "Примечание 2", "Кем создана", "Своё поле"]

    assert export_mapping(headers, AMO) == {0: "number", 1: "name", 2: "notes", 3: "notes", 4: ""}
