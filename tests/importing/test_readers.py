"""What is read out of files: every row, under its own number, in whatever shape it comes."""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
import struct
import zipfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_core.records.importing import readers
from crm_core.records.importing.readers import Limits, Table, TableError, open_table

DATA = Path(__file__).parent.parent / "data"
HEADERS = [
    "ФИО",
    "Компания",
    "ИНН",
    "Телефон",
    "E-mail",
    "Дата рождения",
    "Город",
    "Теги",
    "Источник",
    "Бюджет",
    "Комментарий",
]
RUSSIAN_TEXT = (
    "ФИО;Телефон;Город\r\nЕршов Поликарп Ефимович;8-922-006-0816;Кяхта\r\nПРОХОРОВА НОННА;+79927145533;Ярославль\r\n"
)


def table(tmp_path: Path, content: str | bytes, name: str = "clients.csv", **said: object) -> Table:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_table(path, **said)


def seen(found: Table) -> list[tuple[int, tuple[object, ...], str | None]]:
    return [(row.number, row.cells, row.problem.code if row.problem else None) for row in found.rows()]


def refused(tmp_path: Path, content: bytes, name: str = "clients.csv", **said: object) -> TableError:
    with pytest.raises(TableError) as caught:
        list(table(tmp_path, content, name, **said).rows())
    return caught.value


# --- The files of clients ---


@pytest.mark.parametrize(
    ("name", "file_format", "encoding", "delimiter", "rows", "blank"),
    [
        ("clients_cp1251.csv", "csv", "cp1251", ";", 3151, 1099),
        ("clients_utf8_bom.csv", "csv", "utf-8-sig", ",", 1500, 1099),
        ("clients.xlsx", "xlsx", None, None, 1500, 1002),
    ],
)
def test_no_row_of_a_client_file_vanishes(name, file_format, encoding, delimiter, rows, blank):
    found = open_table(DATA / name)

    assert (found.format, found.encoding, found.delimiter) == (file_format, encoding, delimiter)
    assert found.headers == HEADERS
    read = list(found.rows())
    assert len(read) == rows == found.count()
    assert {len(row.cells) for row in read} == {len(HEADERS)}
    assert [(row.number, row.problem.code) for row in read if row.problem] == [(blank, "row_blank")]


def test_both_csv_files_and_the_workbook_tell_the_same():
    with_bom = [row.texts() for row in open_table(DATA / "clients_utf8_bom.csv").rows()]
    workbook = [row.texts() for row in open_table(DATA / "clients.xlsx").rows()]
    russian = [row.texts() for row in open_table(DATA / "clients_cp1251.csv").rows()]

    assert with_bom == workbook
    assert Counter(map(tuple, with_bom)) <= Counter(map(tuple, russian))


def test_rows_carry_the_number_of_the_line_where_they_begin():
    lines = (DATA / "clients_cp1251.csv").read_bytes().decode("cp1251").split("\n")

    for row in open_table(DATA / "clients_cp1251.csv").rows():
        assert lines[row.number - 1].startswith(str(row.cells[0]))


def test_an_old_workbook_is_read_with_its_types():
    found = open_table(DATA / "clients.xls")

    assert (found.format, found.sheets, found.headers) == (
        "xls",
        ("Клиенты",),
        ["ФИО", "Телефон", "Дата рождения", "Бюджет"],
    )
    assert seen(found) == [
        (2, ("Ершов Поликарп Ефимович", 79771248600, dt.date(1965, 7, 24), 1200.5), None),
        (3, ("Прохорова Нонна Рубеновна", "8-922-006-0816", "", "1 200,50"), None),
    ]
    assert next(found.rows()).texts()[1:] == ["79771248600", "1965-07-24", "1200.5"]


def test_reading_may_go_on_after_a_row():
    found = open_table(DATA / "clients_cp1251.csv")
    rows = list(found.rows())

    assert list(found.rows(after=rows[1999].number)) == rows[2000:]
    assert found.sample(3) == rows[:3]


# --- Encodings and delimiters ---


@pytest.mark.parametrize(
    ("encoding", "detected"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("cp1251", "cp1251"),
        ("koi8-r", "koi8-r"),
        ("cp866", "cp866"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
    ],
)
def test_the_encoding_is_found(tmp_path, encoding, detected):
    found = table(tmp_path, RUSSIAN_TEXT.encode(encoding))

    assert found.encoding == detected
    assert found.headers == ["ФИО", "Телефон", "Город"]
    assert [row.cells[2] for row in found.rows()] == ["Кяхта", "Ярославль"]


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "cp866"])
def test_one_russian_word_far_down_is_enough(tmp_path, encoding):
    text = "name;city\r\n" + "Ivan;Moscow\r\n" * 100_000 + "Иван Петров;Москва\r\n"

    assert table(tmp_path, text.encode(encoding)).encoding == encoding


def test_a_spoilt_byte_in_a_good_file_spoils_its_row_only(tmp_path):
    content = RUSSIAN_TEXT.encode() + b"\xff\xd0;1;2\r\n" + "Анна;3;4\r\n".encode()

    found = table(tmp_path, content)

    assert found.encoding == "utf-8"
    assert [problem for _number, _cells, problem in seen(found)] == [None, None, "row_encoding", None]


def test_the_encoding_may_be_said_by_hand(tmp_path):
    content = RUSSIAN_TEXT.encode("koi8-r")

    assert table(tmp_path, content, encoding="koi8-r").headers[0] == "ФИО"
    assert table(tmp_path, content, encoding="cp1251").headers[0] != "ФИО"
    assert refused(tmp_path, content, encoding="klingon").code == "encoding"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path, delimiter):
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerows([["ФИО", "Бюджет", "Теги"], ["Анна", "1 200,50", "опт, VIP"], ["Олег", "1,5", "опт; розница"]] * 5)

    found = table(tmp_path, buffer.getvalue())

    assert found.delimiter == delimiter
    assert found.headers == ["ФИО", "Бюджет", "Теги"]


def test_commas_without_quotes_do_not_hide_the_semicolon(tmp_path):
    found = table(tmp_path, "ФИО;Бюджет;Теги\n" + "Анна;1,50;опт\nОлег;2,50\n" * 5)

    assert found.delimiter == ";"
    assert Counter(problem for _number, _cells, problem in seen(found)) == {None: 5, "row_width": 5}


def test_the_hint_of_excel_is_followed(tmp_path):
    found = table(tmp_path, "sep=;\r\nФИО;Город\r\nАнна;Москва\r\n")

    assert (found.delimiter, found.headers) == (";", ["ФИО", "Город"])
    assert seen(found) == [(3, ("Анна", "Москва"), None)]


def test_one_column_is_a_table(tmp_path):
    found = table(tmp_path, "Телефон\n89161234567\n89261234567\n")

    assert found.headers == ["Телефон"]
    assert [row.cells for row in found.rows()] == [("89161234567",), ("89261234567",)]


# --- Rows ---


def test_a_row_of_another_width_is_named_and_not_moved(tmp_path):
    found = table(tmp_path, "a;b;c\n1;2;3\n1;2\n1;2;3;4\n1;2;3;;\n")

    assert seen(found) == [
        (2, ("1", "2", "3"), None),
        (3, ("1", "2"), "row_width"),
        (4, ("1", "2", "3", "4"), "row_width"),
        (5, ("1", "2", "3"), None),
    ]


def test_an_unclosed_quote_swallows_no_row(tmp_path):
    found = table(tmp_path, 'a;b;c\n1;"ООО Ромашка;3\n4;5;6\n7;8;9\n')

    assert seen(found) == [
        (2, ("1", '"ООО Ромашка', "3"), "row_quotes"),
        (3, ("4", "5", "6"), None),
        (4, ("7", "8", "9"), None),
    ]


def test_two_unclosed_quotes_do_not_close_each_other(tmp_path):
    found = table(tmp_path, 'a;b;c\n1;"x;3\n4;5;6\n7;"y;9\n10;11;12\n')

    assert [(number, problem) for number, _cells, problem in seen(found)] == [
        (2, "row_quotes"),
        (3, None),
        (4, "row_quotes"),
        (5, None),
    ]


def test_a_quote_inside_a_word_is_a_sign_like_others(tmp_path):
    found = table(tmp_path, 'a;b;c\n1;труба 5";3\n4;5;6\n"ООО ""Ромашка""";b;c\n"ООО "Роза"";b;c\n')

    rows = list(found.rows())
    assert [row.problem for row in rows] == [None] * 4
    assert rows[0].cells == ("1", 'труба 5"', "3")
    assert rows[2].cells[0] == 'ООО "Ромашка"'


def test_lines_inside_quotes_are_one_row(tmp_path):
    found = table(tmp_path, 'a;b\n1;"первая\r\nвторая; третья"\n2;x\n')

    assert seen(found) == [(2, ("1", "первая\r\nвторая; третья"), None), (4, ("2", "x"), None)]


def test_a_quote_never_closed_costs_no_memory(tmp_path):
    found = table(tmp_path, 'a;b\n1;"x\n' + "2;y\n" * 5000)

    rows = seen(found)
    assert len(rows) == 5001
    assert rows[0][2] == "row_quotes"
    assert all(problem is None for _number, _cells, problem in rows[1:])


def test_empty_rows_are_rows_only_when_something_follows(tmp_path):
    found = table(tmp_path, "a;b\n1;2\n\n;\n3;4\n;\n\n\n")

    assert [(number, problem) for number, _cells, problem in seen(found)] == [
        (2, None),
        (3, "row_blank"),
        (4, "row_blank"),
        (5, None),
        (6, "row_blank"),
    ]


def test_what_our_export_disarmed_comes_back(tmp_path):
    found = table(tmp_path, "a;b\n'=1+1;'+79161234567\n'тихо';x\n")

    assert [row.cells for row in found.rows()] == [("=1+1", "+79161234567"), ("'тихо'", "x")]


def test_repeated_and_empty_headers_get_names_of_their_own(tmp_path):
    found = table(tmp_path, "Телефон;;телефон; Имя \n1;2;3;4\n")

    assert found.headers == ["Телефон", "B", "телефон (2)", "Имя"]


def test_a_title_above_the_table_is_not_its_header(tmp_path):
    found = table(tmp_path, "Список клиентов;;\n;;\nФИО;Телефон;Город\nАнна;1;Москва\nОлег;2;Омск\n")

    assert (found.headers, found.header_row) == (["ФИО", "Телефон", "Город"], 3)
    assert [number for number, _cells, _problem in seen(found)] == [4, 5]


def test_a_table_without_header_has_letters(tmp_path):
    found = table(tmp_path, "Анна;1\nОлег;2\n", header_row=0)

    assert found.headers == ["A", "B"]
    assert len(list(found.rows())) == 2


CELLS = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufffd\ufeff"), max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS, CELLS).filter(lambda cells: any(cell.strip() for cell in cells)), max_size=8))
def test_what_is_written_properly_is_read_unchanged(tmp_path, rows):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=";").writerows([("Имя", "Телефон", "Город"), *rows])

    found = table(tmp_path, buffer.getvalue(), encoding="utf-8", delimiter=";", header_row=1)

    assert [row.cells for row in found.rows()] == [tuple(map(readers.restore_formula, cells)) for cells in rows]
    assert all(row.problem is None for row in found.rows())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("ab;\",\n'", min_size=1, max_size=60))
def test_no_line_is_lost_whatever_stands_in_it(tmp_path, text):
    found = table(tmp_path, "a;b;c\n1;2;3\n" + text, delimiter=";", header_row=1)

    rows = list(found.rows())
    letters = Counter(character for character in text if character in "ab")
    read = Counter(character for row in rows[1:] for cell in row.texts() for character in cell if character in "ab")
    assert read == letters


# --- Workbooks ---


def workbook(tmp_path: Path, fill, name: str = "clients.xlsx") -> Path:
    path = tmp_path / name
    with xlsxwriter.Workbook(path) as book:
        fill(book)
    return path


def test_types_of_a_workbook_are_kept_and_numbers_are_whole_again(tmp_path):
    def fill(book):
        sheet = book.add_worksheet("Клиенты")
        day, moment = book.add_format({"num_format": "dd.mm.yyyy"}), book.add_format({"num_format": "dd.mm.yyyy hh:mm"})
        sheet.write_row(2, 1, ["ФИО", "Телефон", "День", "Миг", "Сумма", "Да", "Формула"])
        sheet.write_row(3, 1, ["'=1+1", 79771248600.0])
        sheet.write_datetime(3, 3, dt.datetime(1965, 7, 24), day)
        sheet.write_datetime(3, 4, dt.datetime(2026, 11, 23, 15, 4), moment)
        sheet.write_number(3, 5, 1200.5)
        sheet.write_boolean(3, 6, True)
        sheet.write_formula(3, 7, '=HYPERLINK("http://example.com","жми")', None, "жми")
        sheet.write_string(5, 1, "Анна")
        sheet.write_string(9, 1, "")

    found = open_table(workbook(tmp_path, fill))

    assert found.header_row == 3
    assert seen(found) == [
        (
            4,
            ("=1+1", 79771248600, dt.date(1965, 7, 24), dt.datetime(2026, 11, 23, 15, 4), 1200.5, True, "жми"),
            None,
        ),
        (5, ("",) * 7, "row_blank"),
        (6, ("Анна", *[""] * 6), None),
    ]


def test_the_first_filled_sheet_is_taken_unless_another_is_named(tmp_path):
    def fill(book):
        book.add_worksheet("Пусто")
        for title in ("Клиенты", "Архив"):
            sheet = book.add_worksheet(title)
            sheet.write_row(0, 0, ["ФИО", "Город"])
            sheet.write_row(1, 0, [title, "Омск"])

    path = workbook(tmp_path, fill)

    assert open_table(path).sheet == "Клиенты"
    assert open_table(path).sheets == ("Пусто", "Клиенты", "Архив")
    assert next(open_table(path, sheet="Архив").rows()).cells[0] == "Архив"
    with pytest.raises(TableError, match="no sheet"):
        open_table(path, sheet="Иное")


def ods(rows: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "META-INF/manifest.xml",
            '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        )
        archive.writestr(
            "content.xml",
            '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
            'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
            'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
            f'<table:table table:name="Клиенты">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    return buffer.getvalue()


def ods_cell(text: str, more: str = "") -> str:
    return f'<table:table-cell office:value-type="string" {more}><text:p>{text}</text:p></table:table-cell>'


def test_an_ods_is_read(tmp_path):
    rows = (
        f"<table:table-row>{ods_cell('ФИО')}{ods_cell('Телефон')}</table:table-row>"
        f"<table:table-row>{ods_cell('Анна')}"
        '<table:table-cell office:value-type="float" office:value="79771248600"/></table:table-row>'
        '<table:table-row table:number-rows-repeated="1048574"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row>'
    )

    found = table(tmp_path, ods(rows), "clients.ods")

    assert (found.format, found.headers) == ("ods", ["ФИО", "Телефон"])
    assert seen(found) == [(2, ("Анна", 79771248600), None)]


# --- Business cards ---


def test_business_cards_are_a_table_too():
    found = open_table(DATA / "contacts.vcf")
    rows = list(found.rows())

    assert (found.format, found.headers[:5]) == ("vcf", ["ФИО", "Компания", "Должность", "Телефон", "E-mail"])
    assert len(rows) == 200
    assert not [row for row in rows if row.problem]
    assert (rows[3].number, rows[3].cells[:4]) == (
        22,
        ("тов. Сафонов Милен Ефимович", "ИП «Лазарев, Лебедев и Дроздов»", "", "8-941-554-9173"),
    )


def test_old_and_folded_cards_are_read(tmp_path):
    found = table(
        tmp_path,
        "BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=D0=95=D1=80=D1=88=D0=BE=\n=D0=B2;=D0=9E"
        "\nitem1.TEL;CELL:89161234567\nTEL;WORK:84951234567\nNOTE:один\\, два\\nтри\n  четыре\n"
        "PHOTO;ENCODING=b:AAAA\n BBBB:CCCC\nADR:;;Ленина 5;Омск;;644000;\n"
        "END:VCARD\nBEGIN:VCARD\nFN:Анна\nBEGIN:VCARD\nFN:Олег\nEND:VCARD\n",
        "contacts.vcf",
    )

    first, broken, last = found.rows()
    assert first.cells[0] == "Ершов О"
    assert first.cells[3] == "89161234567\n84951234567"
    assert first.cells[6] == "Ленина 5, Омск, 644000"
    assert first.cells[9] == "один, два\nтри четыре"
    assert (broken.number, broken.cells[0], broken.problem.code) == (13, "Анна", "card_unclosed")
    assert (last.number, last.cells[0], last.problem) == (15, "Олег", None)


# --- What is refused ---


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "file_empty"),
        (b"\r\n\r\n", "no_rows"),
        (b"%PDF-1.7 ...", "not_a_table"),
        (b"\x89PNG\r\n\x1a\n", "not_a_table"),
        (b"<html><table><tr><td>1</td></tr></table></html>", "web_page"),
        (bytes(range(256)) * 20, "unreadable"),
        (b"PK\x03\x04 broken", "unreadable"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 2000, "unreadable"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_words(tmp_path, content, reason):
    assert refused(tmp_path, content).code == reason


def test_an_archive_is_no_table(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("clients.csv", "a;b")

    assert refused(tmp_path, buffer.getvalue(), "clients.zip").code == "not_a_table"


def test_sizes_have_limits(tmp_path):
    small = Limits(file_bytes=100, workbook_bytes=50, line_chars=30, columns=3)

    assert refused(tmp_path, b"a;b\n" * 50, limits=small).code == "file_too_large"
    assert refused(tmp_path, b"a;b\n" + b"x" * 60, limits=small).code == "line_too_long"
    assert refused(tmp_path, b"a;b;c;d\n1;2;3;4\n", limits=small).code == "too_many_columns"
    with pytest.raises(TableError) as caught:
        open_table(DATA / "clients.xlsx", limits=Limits(workbook_bytes=1000))
    assert caught.value.code == "file_too_large"


def test_a_workbook_that_unpacks_beyond_all_measure_is_refused(tmp_path):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet>" + " " * 5_000_000)

    with pytest.raises(TableError) as caught:
        open_table(path, limits=Limits(unpacked_bytes=1_000_000))

    assert caught.value.code == "unpacks_too_large"


def test_a_declared_size_is_not_believed(tmp_path):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", " " * 5_000_000)
    content = path.read_bytes().replace(struct.pack("<I", 5_000_000), struct.pack("<I", 10))
    path.write_bytes(content)

    with pytest.raises(TableError) as caught:
        open_table(path, limits=Limits(unpacked_bytes=1_000_000))

    assert caught.value.code == "unpacks_too_large"


def test_two_cells_in_far_corners_are_refused(tmp_path):
    def fill(book):
        sheet = book.add_worksheet()
        sheet.write(0, 0, "ФИО")
        sheet.write(1_048_575, 16_383, "x")

    with pytest.raises(TableError) as caught:
        open_table(workbook(tmp_path, fill))

    assert caught.value.code == "unpacks_too_large"


def test_a_cell_repeated_a_thousand_million_times_is_refused(tmp_path):
    repeated = ods_cell("x", 'table:number-columns-repeated="16384"')
    rows = f'<table:table-row table:number-rows-repeated="1048576">{repeated}</table:table-row>'

    assert refused(tmp_path, ods(rows), "clients.ods").code == "unpacks_too_large"


@pytest.mark.parametrize("name", ["clients.xlsx", "clients.xls"])
def test_a_damaged_workbook_gives_words_and_never_a_crash(tmp_path, name):
    original = (DATA / name).read_bytes()
    chance = random.Random(7)

    for _turn in range(40):
        damaged = bytearray(original)
        for _spot in range(20):
            damaged[chance.randrange(8, len(damaged))] = chance.randrange(256)
        if chance.random() < 0.5:
            damaged = damaged[: chance.randrange(600, len(damaged))]
        (tmp_path / name).write_bytes(damaged)
        with suppress(TableError):
            list(open_table(tmp_path / name).rows())
