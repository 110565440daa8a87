"""What becomes of the values people write into files and forms."""

from __future__ import annotations

import datetime as dt
import json
import math
import string
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.i18n import localizer_for, translate
from crm_core.records import cleaning as c

TODAY = dt.date(2026, 11, 23)
RUSSIAN = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
WORDS = st.text(RUSSIAN + RUSSIAN.upper() + string.ascii_letters + "-'’. ,«»\"()", max_size=60)


def code(cleaned: c.Cleaned[object]) -> str | None:
    return cleaned.problem.code if cleaned.problem else None


# --- Telephones ---


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("79771248600", "+79771248600"),
        ("8-922-006-0816", "+79220060816"),
        ("8 (992) 621-58-81", "+79926215881"),
        ("+7 945 339 71 25", "+79453397125"),
        ("9944352539", "+79944352539"),
        ("+79158588281", "+79158588281"),
        ("8(495)123-45-67", "+74951234567"),
        ("8 800 555 35 35", "+78005553535"),
        ("+8 916 123 45 67", "+79161234567"),
        ("+7 (8) 916 123-45-67", "+79161234567"),
        ("8 930 700 11 22", "+79307001122"),
        ("79771248600.0", "+79771248600"),
        (79771248600.0, "+79771248600"),
        (79771248600, "+79771248600"),
        ("'+79161234567", "+79161234567"),
        ("+7\u00a0916\u00a0123\u201145\u201167", "+79161234567"),
        ("+1 212 555 0123", "+12125550123"),
        ("+375 29 123-45-67", "+375291234567"),
        ("8 10 49 30 123456", "+4930123456"),
        ("8 707 123 45 67", "+77071234567"),
    ],
)
def test_a_telephone_is_read_however_it_is_written(written, number):
    cleaned = c.clean_phone(written)

    assert cleaned.value is not None
    assert cleaned.value.number == number
    assert cleaned.problem is None
    assert cleaned.changed == (written != number)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("нет", "phone_missing"),
        ("-", "phone_missing"),
        ("позвонить после 18", "phone_missing"),
        ("доб. 12", "phone_only_extension"),
        ("доб.12", "phone_only_extension"),
        ("123", "phone_too_short"),
        ("123-45-67", "phone_too_short"),
        ("7.97713E+10", "phone_shortened"),
        ("+7 000 000 00 00", "phone_invalid"),
        ("+7 916 123 45 67 89 01 23", "phone_too_long"),
        ("9" * 5000, "phone_missing"),
    ],
)
def test_what_is_no_telephone_is_refused_with_the_reason(written, reason):
    [cleaned] = c.clean_phones(written)

    assert cleaned.is_refused
    assert code(cleaned) == reason


@pytest.mark.parametrize(
    ("cell", "phones"),
    [
        ("+79927145533; 8 (912) 527-76-26", ["+79927145533", "+79125277626"]),
        ("79267674954;+79959029496", ["+79267674954", "+79959029496"]),
        ("8-935-531-1150 / 8-919-170-3764", ["+79355311150", "+79191703764"]),
        ("8-900-487-0125, 89499717554", ["+79004870125", "+79499717554"]),
        ("89161234567\n89261234567", ["+79161234567", "+79261234567"]),
        ("89161234567 и 89261234567", ["+79161234567", "+79261234567"]),
        ("8 916 123 45 67 89261234567", ["+79161234567", "+79261234567"]),
        ("89161234567, +7 916 123-45-67", ["+79161234567"]),
        ("", []),
        ("   ", []),
        (None, []),
    ],
)
def test_several_telephones_of_one_cell_are_told_apart(cell, phones):
    cleaned = c.clean_phones(cell)

    assert [one.value.number for one in cleaned if one.value] == phones
    assert all(one.problem is None for one in cleaned)


@pytest.mark.parametrize(
    ("cell", "phone"),
    [
        ("8 (495) 123-45-67, доб. 12", c.Phone("+74951234567", "12")),
        ("8 (495) 123-45-67 (доб. 012)", c.Phone("+74951234567", "012")),
        ("8 (495) 123-45-67 вн.5", c.Phone("+74951234567", "5")),
        ("+44 20 7946 0958 ext 7", c.Phone("+442079460958", "7")),
        ("+79990001122 звонил", c.Phone("+79990001122", "", "звонил")),
        ("89161234567, звонить после 18", c.Phone("+79161234567", "", "звонить после 18")),
        ("моб. 89161234567", c.Phone("+79161234567", "", "моб")),
    ],
)
def test_extensions_and_words_stay_with_their_number(cell, phone):
    [cleaned] = c.clean_phones(cell)

    assert cleaned.value == phone
    assert cleaned.changed


def test_a_bad_number_beside_a_good_one_is_named_and_the_good_one_kept():
    good, bad = c.clean_phones("8 (495) 123-45-67/68")

    assert good.value == c.Phone("+74951234567")
    assert bad.is_refused


@given(st.integers(9_000_000_000, 9_999_999_999))
def test_a_cleaned_telephone_stays_as_it_is(number):
    first = c.clean_phone(str(number))

    if first.value is not None:
        again = c.clean_phone(first.value.number)
        assert again.value == first.value
        assert not again.changed


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_telephones(text):
    for cleaned in c.clean_phones(text):
        assert (cleaned.value is None) == (cleaned.problem is not None)


# --- Addresses ---


@pytest.mark.parametrize(
    ("cell", "addresses"),
    [
        ("SVETLANAZIKOVA@EXAMPLE.NET", ["svetlanazikova@example.net"]),
        ("ivan.petrov+crm@mail.example.ru", ["ivan.petrov+crm@mail.example.ru"]),
        ("Иван Петров <ivan@example.ru>", ["ivan@example.ru"]),
        ("mailto:ivan@example.ru?subject=x", ["ivan@example.ru"]),
        ("ivan@example.ru.", ["ivan@example.ru"]),
        ("ivan@пример.рф", ["ivan@пример.рф"]),
        ("a@b.ru, c@d.ru; e@f.ru", ["a@b.ru", "c@d.ru", "e@f.ru"]),
        ("a@b.ru c@d.ru", ["a@b.ru", "c@d.ru"]),
        ("A@b.ru, a@B.ru", ["a@b.ru"]),
        ("", []),
    ],
)
def test_addresses_are_read_and_written_small(cell, addresses):
    cleaned = c.clean_emails(cell)

    assert [one.value for one in cleaned] == addresses
    assert all(one.problem is None for one in cleaned)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("ivan@", "email_no_domain"),
        ("@mail.ru", "email_no_name"),
        ("a b@c.ru", "email_space"),
        ("нет почты", "email_no_at"),
        ("ivan@mаil.ru", "email_mixed"),  # the second letter of the domain is Russian
        ("a@@b.ru", "email_two_at"),
        ("ivan@mail", "email_no_zone"),
        ("ivan@mail..ru", "email_invalid"),
        ("ivan@-mail.ru", "email_invalid"),
        ("ivan..petrov@mail.ru", "email_invalid"),
        ("ivan@127.0.0.1", "email_invalid"),
        ("a" * 65 + "@mail.ru", "email_invalid"),
        ("a" * 2000 + "@mail.ru", "email_invalid"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(written, reason):
    [cleaned] = c.clean_emails(written)

    assert cleaned.is_refused
    assert code(cleaned) == reason


def test_an_address_in_russian_letters_is_kept_with_a_remark():
    cleaned = c.clean_email("почта@пример.рф")

    assert cleaned.value == "почта@пример.рф"
    assert code(cleaned) == "email_not_latin"
    assert not cleaned.is_refused


@given(st.emails())
def test_a_cleaned_address_stays_as_it_is(address):
    cleaned = c.clean_email(address)

    if cleaned.value is not None:
        assert c.clean_email(cleaned.value).value == cleaned.value


# --- Names of persons ---


@pytest.mark.parametrize(
    ("written", "last", "first", "middle", "title"),
    [
        ("  Третьякова Наина Аскольдовна ", "Третьякова", "Наина", "Аскольдовна", ""),
        ("ЕРШОВ ПОЛИКАРП ЕФИМОВИЧ", "Ершов", "Поликарп", "Ефимович", ""),
        ("Нонна Рубеновна Прохорова", "Прохорова", "Нонна", "Рубеновна", ""),
        ("БОРИСЛАВ ЕФСТАФЬЕВИЧ КОПЫЛОВ", "Копылов", "Борислав", "Ефстафьевич", ""),
        ("тов. Сафонов Милен Ефимович", "Сафонов", "Милен", "Ефимович", "тов."),
        ("Г-ЖА КАПУСТИНА ОКСАНА ЕГОРОВНА", "Капустина", "Оксана", "Егоровна", "г-жа"),
        ("ТОВ. ТИХОНОВА АГАТА ДАНИЛОВНА", "Тихонова", "Агата", "Даниловна", "тов."),
        ("Gary Sweeney", "Sweeney", "Gary", "", ""),
        ("Sweeney, Gary", "Sweeney", "Gary", "", ""),
        ("Mr. Jackson Burns MD", "Burns", "Jackson", "", "Mr. MD"),
        ("Dr. Danielle Burns", "Burns", "Danielle", "", "Dr."),
        ("Ivanov Ivan Ivanovich", "Ivanov", "Ivan", "Ivanovich", ""),
        ("Petrova Anna", "Petrova", "Anna", "", ""),
        ("Роман Аркадьевич Абрамович", "Абрамович", "Роман", "Аркадьевич", ""),
        ("Абрамович Роман Аркадьевич", "Абрамович", "Роман", "Аркадьевич", ""),
        ("Иванов И.П.", "Иванов", "И.", "П.", ""),
        ("И. П. Иванов", "Иванов", "И.", "П.", ""),
        ("гусейнов мамед гусейн оглы", "Гусейнов", "Мамед", "Гусейн оглы", ""),
        ("Вернер фон Браун", "фон Браун", "Вернер", "", ""),
        ("О'КОННОР ДЖОН", "О'Коннор", "Джон", "", ""),
        ("САЛТЫКОВ-ЩЕДРИН МИХАИЛ ЕВГРАФОВИЧ", "Салтыков-Щедрин", "Михаил", "Евграфович", ""),
        ("Иванова (Петрова) Мария Сергеевна", "Иванова (Петрова)", "Мария", "Сергеевна", ""),
        ("Петров - Водкин Кузьма Сергеевич", "Петров-Водкин", "Кузьма", "Сергеевич", ""),
        ("Иван Петрович", "", "Иван", "Петрович", ""),
        ("Анна Иванова", "Иванова", "Анна", "", ""),
        ("Иванова Анна", "Иванова", "Анна", "", ""),
        ("Ольга", "", "Ольга", "", ""),
        ("Иванов", "Иванов", "", "", ""),
        ("СЕМЁНОВ АРТЁМ", "Семёнов", "Артём", "", ""),
        ("иВАНОВ иВАН", "Иванов", "Иван", "", ""),
        ("Cидоров Иван", "Сидоров", "Иван", "", ""),  # the first letter was Latin
        ("МакДональд Рональд", "МакДональд", "Рональд", "", ""),
        ("ИП Иванов Иван Иванович", "Иванов", "Иван", "Иванович", "ИП"),
    ],
)
def test_a_name_is_taken_apart_in_any_order(written, last, first, middle, title):
    cleaned = c.clean_person_name(written)

    assert cleaned.value == c.PersonName(last, first, middle, title)
    assert cleaned.problem is None


@pytest.mark.parametrize(
    ("written", "reason", "is_refused"),
    [
        ("12345", "name_no_letters", True),
        ("-", "name_no_letters", True),
        ("Иван 2", "name_odd", False),
        ("ООО Ромашка", "name_is_company", False),
        ("я" * 300, "name_too_long", True),
    ],
)
def test_an_odd_name_is_remarked_on(written, reason, is_refused):
    cleaned = c.clean_person_name(written)

    assert code(cleaned) == reason
    assert cleaned.is_refused == is_refused


def test_an_empty_name_is_nothing():
    assert c.clean_person_name("  ") == c.Cleaned(None)


@given(WORDS)
def test_no_letter_of_a_name_is_lost(text):
    cleaned = c.clean_person_name(text)

    if cleaned.value is not None and not cleaned.value.title:
        letters = sorted(character.lower() for character in c.tidy(text) if character.isalpha())
        kept = sorted(character.lower() for character in cleaned.value.full if character.isalpha())
        if not any(character in c._LOOKALIKE_LATIN for character in text):
            assert kept == letters


@given(
    st.lists(
        st.sampled_from(["Ершов", "Поликарп", "Ефимович", "Нонна", "Прохорова", "Ильинична"]), min_size=1, max_size=3
    )
)
def test_capitals_of_a_cleaned_name_stay(words):
    name = c.clean_person_name(" ".join(words).upper()).value

    assert name is not None
    assert {*name.full.split()} == {*words}


# --- Names of companies ---


@pytest.mark.parametrize(
    ("written", "name", "form", "full"),
    [
        ("ООО «Котов»", "Котов", "ООО", "ООО «Котов»"),
        ("ИП «Лазарев, Лебедев и Дроздов»", "Лазарев, Лебедев и Дроздов", "ИП", "ИП Лазарев, Лебедев и Дроздов"),
        ("«Томскнефть» ВНК", "«Томскнефть» ВНК", "", "«Томскнефть» ВНК"),
        ("Ромашка, ООО", "Ромашка", "ООО", "ООО «Ромашка»"),
        ('Общество с ограниченной  ответственностью "Ромашка"', "Ромашка", "ООО", "ООО «Ромашка»"),
        ('ООО "Торговый дом "Ромашка""', 'Торговый дом "Ромашка"', "ООО", 'ООО «Торговый дом "Ромашка"»'),
        ("Acme Inc.", "Acme", "Inc", "Acme Inc"),
        ("Рога и Копыта L.L.C.", "Рога и Копыта", "LLC", "Рога и Копыта LLC"),
        ("ВТБ", "ВТБ", "", "ВТБ"),
        ("АО", "АО", "", "АО"),
        ("Аоки", "Аоки", "", "Аоки"),
        ("Данон  (Danone)", "Данон (Danone)", "", "Данон (Danone)"),
        ("ООО«Ромашка»", "Ромашка", "ООО", "ООО «Ромашка»"),
    ],
)
def test_a_company_is_its_name_and_its_form(written, name, form, full):
    cleaned = c.clean_company_name(written)

    assert cleaned.value == c.CompanyName(name, form)
    assert cleaned.value.full == full
    assert cleaned.changed == (written != full)


def test_ways_to_write_one_company_have_one_key():
    ways = ["ООО «Ромашка-Ёлка»", 'ооо "РОМАШКА - ЕЛКА"', "Ромашка Елка, ООО", "Ромашка Ёлка"]

    assert {c.company_key(way) for way in ways} == {"ромашкаелка"}


@given(WORDS)
def test_a_cleaned_company_stays_as_it_is(text):
    cleaned = c.clean_company_name(text).value

    if cleaned is not None:
        assert cleaned.name
        assert c.company_key(cleaned.full) == c.company_key(c.clean_company_name(cleaned.full).value.full)


# --- Dates ---


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("24.07.1965", dt.date(1965, 7, 24)),
        ("4.7.1965", dt.date(1965, 7, 4)),
        ("1985-10-17", dt.date(1985, 10, 17)),
        ("08/01/69", dt.date(1969, 1, 8)),
        ("21/03/05", dt.date(2005, 3, 21)),
        ("24-07-1965", dt.date(1965, 7, 24)),
        ("12/25/1984", dt.date(1984, 12, 25)),
        ("24 июля 1965", dt.date(1965, 7, 24)),
        ("24 июля 1965 г.", dt.date(1965, 7, 24)),
        ("1 Мая 2001 года", dt.date(2001, 5, 1)),
        ("July 24, 1965", dt.date(1965, 7, 24)),
        ("24 Jul 1965", dt.date(1965, 7, 24)),
        ("24071965", dt.date(1965, 7, 24)),
        ("19650724", dt.date(1965, 7, 24)),
        ("24.07.1965 00:00:00", dt.date(1965, 7, 24)),
        ("1965-07-24T10:00:00Z", dt.date(1965, 7, 24)),
        (dt.datetime(1965, 7, 24, 10), dt.date(1965, 7, 24)),
        (dt.date(1965, 7, 24), dt.date(1965, 7, 24)),
        (23947, dt.date(1965, 7, 24)),
        (23947.5, dt.date(1965, 7, 24)),
        ("29.02.2000", dt.date(2000, 2, 29)),
    ],
)
def test_a_birthday_is_read_however_it_is_written(written, date):
    assert c.clean_date(written, birthday=True, today=TODAY).value == date


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("31.02.1990", "date_impossible"),
        ("29.02.1900", "date_impossible"),
        ("00.00.0000", "date_impossible"),
        ("24.11.2026", "date_future"),
        ("01.01.1812", "date_out_of_range"),
        ("1965", "date_unknown"),
        ("24.07", "date_unknown"),
        ("сегодня", "date_unknown"),
        ("24 юля 1965", "date_unknown"),
        (math.inf, "date_unknown"),
        (True, "date_unknown"),
    ],
)
def test_an_impossible_birthday_is_refused_with_the_reason(written, reason):
    cleaned = c.clean_date(written, birthday=True, today=TODAY)

    assert cleaned.is_refused
    assert code(cleaned) == reason


def test_two_digits_of_a_year_are_behind_for_a_birthday_and_near_for_another_date():
    assert c.clean_date("05.06.30", birthday=True, today=TODAY).value == dt.date(1930, 6, 5)
    assert c.clean_date("05.06.30", today=TODAY).value == dt.date(2030, 6, 5)
    assert c.clean_date("24.11.26", birthday=True, today=TODAY).value == dt.date(1926, 11, 24)


@given(st.dates(dt.date(1900, 1, 1), TODAY))
def test_every_day_is_read_from_all_its_forms(day):
    for form in ("%d.%m.%Y", "%Y-%m-%d", "%d/%m/%Y", "%Y%m%d"):
        assert c.clean_date(day.strftime(form), birthday=True, today=TODAY).value == day


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_dates(text):
    c.clean_date(text)
    c.clean_datetime(text)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("23.11.2026 15:04", dt.datetime(2026, 11, 23, 12, 4, tzinfo=dt.UTC)),
        ("2026-11-23T15:04:05+05:00", dt.datetime(2026, 11, 23, 10, 4, 5, tzinfo=dt.UTC)),
        ("2026-11-23T15:04:05Z", dt.datetime(2026, 11, 23, 15, 4, 5, tzinfo=dt.UTC)),
        ("23.11.2026", dt.datetime(2026, 11, 22, 21, 0, tzinfo=dt.UTC)),
        (dt.datetime(2026, 11, 23, 15, 4), dt.datetime(2026, 11, 23, 12, 4, tzinfo=dt.UTC)),
        (46349.5, dt.datetime(2026, 11, 23, 9, 0, tzinfo=dt.UTC)),
    ],
)
def test_a_moment_is_local_until_it_says_otherwise(written, moment):
    assert c.clean_datetime(written, "Europe/Moscow").value == moment


# --- Money and numbers ---


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("1 200,50", "1200.50"),
        ("99 999,00", "99999.00"),
        ("15000", "15000"),
        ("1\u00a0200,50", "1200.50"),
        ("1\u202f200,50 ₽", "1200.50"),
        ("1,200.50", "1200.50"),
        ("1.200,50", "1200.50"),
        ("1'200.50", "1200.50"),
        ("1,200,500", "1200500"),
        ("0,125", "0.125"),
        ("1.5", "1.5"),
        ("15 тыс. руб.", "15000"),
        ("1,5 млн ₽", "1500000"),
        ("₽ 1200", "1200"),
        ("1200-00", "1200"),
        ("100 р.", "100"),
        (15000, "15000"),
        (15000.0, "15000"),
        (1200.5, "1200.5"),
        (0.1 + 0.2, "0.3000"),
    ],
)
def test_an_amount_is_read_however_it_is_written(written, amount):
    cleaned = c.clean_money(written)

    assert cleaned.value == Decimal(amount)
    assert cleaned.problem is None


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("abc", "money_not_number"),
        ("-5", "number_negative"),
        (-5, "number_negative"),
        ("(1 200)", "number_negative"),
        ("1e3", "number_shortened"),
        ("$100", "money_currency"),
        ("12,34,56", "money_not_number"),
        ("1.2.3", "money_not_number"),
        ("9" * 16, "number_too_large"),
        (math.nan, "money_not_number"),
        (math.inf, "money_not_number"),
        (True, "money_not_number"),
        ("1" * 3000, "money_not_number"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_reason(written, reason):
    cleaned = c.clean_money(written)

    assert cleaned.is_refused
    assert code(cleaned) == reason


def test_one_comma_before_three_digits_is_read_as_thousands_with_a_remark():
    cleaned = c.clean_money("1,200")

    assert cleaned.value == 1200
    assert code(cleaned) == "number_ambiguous"


@given(st.decimals(0, 10**14, places=2, allow_nan=False))
def test_an_amount_written_by_us_is_read_back(amount):
    russian = f"{amount:,.2f}".replace(",", "\u00a0").replace(".", ",")

    assert c.clean_money(russian).value == amount
    assert c.clean_money(f"{amount:.2f}").value == amount


@given(st.text("0123456789.,' -+₽тысрубe()", max_size=40))
def test_no_text_breaks_the_reading_of_amounts(text):
    cleaned = c.clean_money(text)

    assert cleaned.value is None or cleaned.value.is_finite()


def test_a_number_may_be_negative_and_must_be_whole_when_asked():
    assert c.clean_number("-1 200,5").value == Decimal("-1200.5")
    assert c.clean_number("7", integer=True).value == 7
    assert code(c.clean_number("7,5", integer=True)) == "number_not_whole"
    assert code(c.clean_number("5 руб")) == "number_not_number"


# --- Requisites ---


@pytest.mark.parametrize(
    ("clean", "written", "value"),
    [
        (c.clean_inn, "7707083893", "7707083893"),
        (c.clean_inn, "ИНН 7707 083893", "7707083893"),
        (c.clean_inn, 7707083893.0, "7707083893"),
        (c.clean_inn, 500100732259, "500100732259"),
        (c.clean_inn, "100000004", "0100000004"),
        (c.clean_kpp, "770701001", "770701001"),
        (c.clean_kpp, "7707AB001", "7707AB001"),
        (c.clean_ogrn, "1027700132195", "1027700132195"),
        (c.clean_ogrn, "304500116000157", "304500116000157"),
        (c.clean_bik, "044525225", "044525225"),
        (c.clean_bik, 44525225, "044525225"),
        (c.clean_account, "4070 2810 9000 0000 0001", "40702810900000000001"),
    ],
)
def test_requisites_are_read(clean, written, value):
    assert clean(written).value == value


@pytest.mark.parametrize(
    ("clean", "written", "reason"),
    [
        (c.clean_inn, "7707083894", "inn_checksum"),
        (c.clean_inn, "500100732258", "inn_checksum"),
        (c.clean_inn, "0000000000", "inn_checksum"),
        (c.clean_inn, "12345", "inn_length"),
        (c.clean_inn, "77070838AB", "inn_not_digits"),
        (c.clean_kpp, "77070100", None),
        (c.clean_kpp, "7707010", "kpp_invalid"),
        (c.clean_ogrn, "1027700132196", "ogrn_checksum"),
        (c.clean_ogrn, "102770013219", "ogrn_length"),
        (c.clean_bik, "994525225", "bik_invalid"),
        (c.clean_account, "407028109", "account_length"),
        (c.clean_account, 4.07028109e19, "account_shortened"),
    ],
)
def test_wrong_requisites_are_refused_with_the_reason(clean, written, reason):
    assert code(clean(written)) == reason


def test_an_account_is_checked_against_its_bank():
    assert c.clean_account("30101810400000000225", "044525225", correspondent=True).value
    assert code(c.clean_account("30101810500000000225", "044525225", correspondent=True)) == "account_checksum"
    keyed = next(
        account
        for account in (f"407028109{end:011d}" for end in range(10, 20))
        if c.clean_account(account, "044525225").value
    )
    spoilt = keyed[:-1] + str((int(keyed[-1]) + 1) % 10)
    assert code(c.clean_account(spoilt, "044525225")) == "account_checksum"


@given(st.integers(10**8, 10**9 - 1))
def test_one_changed_digit_of_an_inn_is_found(start):
    digits = str(start)
    inn = digits + str(c._check_digit(digits, c._INN_WEIGHTS_10))
    changed = inn[:9] + str((int(inn[9]) + 1) % 10)

    assert c.clean_inn(inn).value == inn
    assert code(c.clean_inn(changed)) == "inn_checksum"


def test_inn_and_kpp_of_one_cell_are_split():
    assert c.split_inn_kpp("7707083893 / 770701001") == ("7707083893", "770701001")
    assert c.split_inn_kpp("7707083893") == ("7707083893", "")


# --- Texts, tags, yes and no ---


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("  опт \u00a0 VIP ", "опт VIP"),
        ("нуль\x00байт\x07", "нульбайт"),
        ("и\u0306", "й"),
        ("при\u00adвет\u200b", "привет"),
        ("слева\u202eнаправо", "слеванаправо"),
        ("строка\r\nещё", "строка ещё"),
        ('клиент "Ромашка" — ёлки', 'клиент "Ромашка" — ёлки'),
        ('=HYPERLINK("http://example.com";"жми")', '=HYPERLINK("http://example.com";"жми")'),
    ],
)
def test_a_text_loses_what_cannot_be_seen(written, text):
    assert c.clean_text(written).value == text


def test_lines_of_a_comment_stay_lines():
    assert c.clean_text("первая строка \r\n\r\n\r\n\r\n вторая", multiline=True).value == "первая строка\n\nвторая"


def test_a_text_too_long_or_damaged_is_named():
    assert code(c.clean_text("абв", max_length=2)) == "text_too_long"
    assert code(c.clean_text("аб\ufffd")) == "text_damaged"
    assert c.clean_text("аб\ufffd").value == "аб\ufffd"


@given(st.text(max_size=80), st.booleans())
def test_a_tidy_text_stays_as_it_is(text, multiline):
    once = c.tidy(text, multiline)

    assert c.tidy(once, multiline) == once
    assert "\x00" not in once
    once.encode()


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("опт, VIP", ("опт", "VIP")),
        ("опт; Опт | #новый\nопт", ("опт", "новый")),
        (" , ", None),
    ],
)
def test_tags_are_split_and_kept_once(cell, tags):
    assert c.clean_tags(cell).value == tags


@pytest.mark.parametrize(
    ("cell", "value"),
    [("Да", True), ("нет", False), ("yes", True), ("0", False), (1, True), (False, False), ("", None)],
)
def test_yes_and_no_are_read_in_both_languages(cell, value):
    assert c.clean_bool(cell).value is value
    assert code(c.clean_bool("может быть")) == "bool_unknown"


# --- Searching, layouts, formulas ---


def test_the_sort_key_is_small_and_without_yo():
    assert c.sort_key("ЁЛКИ Ёжик") == "елки ежик"
    assert c.sort_key("İΣ") == "iσ"


def test_search_compares_words_without_signs():
    assert c.normalise_search("ООО «Ёлки-2»,  a.B@c.ru") == "ооо елки-2 a.b@c.ru"


@pytest.mark.parametrize(
    ("typed", "meant"), [("bdfy", "иван"), ("шмфт", "ivan"), ("~krb", "Ёлки"), ("Gtnhjd", "Петров")]
)
def test_the_other_layout_is_undone(typed, meant):
    assert c.switch_layout(typed) == meant


@given(st.text("абвгдежзийклмнопрстуфхцчшщъыьэюя", min_size=1))
def test_switching_the_layout_twice_gives_the_word_back(text):
    assert c.switch_layout(text).translate(c._TO_CYRILLIC) == text


def test_russian_is_written_in_latin():
    assert c.transliterate("Щукин Юлия, объезд") == "Shchukin Yuliya, obezd"


@pytest.mark.parametrize("text", ["=1+1", "+7916", "-5", "@x", "\tx", "\rx", "=HYPERLINK()", "'=1", "''-1"])
def test_a_formula_is_disarmed_and_given_back(text):
    disarmed = c.defuse_formula(text)

    assert disarmed == "'" + text
    assert c.restore_formula(disarmed) == text


@given(st.text())
def test_any_text_survives_export_and_import(text):
    assert c.restore_formula(c.defuse_formula(text)) == text
    assert not c.looks_like_formula(c.defuse_formula(text))


def test_an_ordinary_text_is_not_touched_by_export():
    assert c.defuse_formula("'тихо'") == "'тихо'"
    assert c.restore_formula("'тихо'") == "'тихо'"


# --- Problems ---


def test_a_problem_is_stored_and_said_later_in_the_readers_language():
    problem = c.clean_inn("7707083894").problem

    stored = json.loads(json.dumps(problem.as_json()))

    assert c.Problem.from_json(stored) == problem
    assert translate(localizer_for("en"), c.Problem.from_json(stored).message) == (
        "INN “7707083894” has a wrong control digit"
    )
    assert translate(localizer_for("ru"), c.Problem.from_json(stored).message) == (
        "ИНН «7707083894»: неверная контрольная цифра"
    )
