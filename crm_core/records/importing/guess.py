"""Guesses which field each column of a file is, from its header in either language and from what stands below it.

The first page of an import calls :func:`guess_mapping` and remembers what the person corrects under
:func:`header_digest`, so that the next file of the same shape needs no question.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz

from crm_core.records.cleaning import (
    Cell,
    cell_text,
    clean_account,
    clean_date,
    clean_emails,
    clean_inn,
    clean_money,
    clean_ogrn,
    clean_phones,
    looks_like_patronymic_name,
    sort_key,
)
from crm_core.specs import KnownExport

__all__ = [
    "Guess",
    "GuessField",
    "export_mapping",
    "guess_mapping",
    "header_digest",
    "is_like",
    "known_export",
    "strip_report_columns",
]

REPORT_COLUMNS = frozenset(("row of the file", "why it was rejected", "строка файла", "почему отклонена", "#", "?"))
"""What our own file of rejected rows has above its last two columns, in both languages; a test compares."""


@dataclass(frozen=True, slots=True)
class GuessField:
    """Describes a field a column may go to: its name, its titles in both languages, and the kind of its values.

    ``kind`` is one of the kinds that contents can betray (``phone email person_name company_name date birthday money
    inn kpp ogrn bik account text``); any other is taken as text. ``multiple`` lets several columns go to one field.
    """

    name: str
    titles: tuple[str, ...]
    kind: str = "text"
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class Guess:
    """Holds the field guessed for a column, how sure it is from 0 to 1, and why: header, similar or contents."""

    field: str
    score: float
    why: str


_SYNONYMS = """
person_name: фио, ф и о, полное имя, имя и фамилия, фамилия имя отчество, фамилия имя, контакт, контактное лицо,
    клиент, контакт полное имя, сотрудник, full name, name, contact, contact name, contact person, person
last_name: фамилия, фам, last name, lastname, surname, family name
first_name: имя, имя контакта, first name, firstname, given name, forename
middle_name: отчество, отч, второе имя, patronymic, middle name, middlename
title: обращение, титул, salutation, honorific
company: компания, организация, фирма, предприятие, юрлицо, юр лицо, юридическое лицо, наименование,
    наименование организации, название, название компании, контрагент, наименование контрагента, место работы,
    компания контакта, company, company name, organization, organisation, employer, account, account name, business
legal_form: форма собственности, организационно правовая форма, опф, правовая форма, legal form
position: должность, пост, position, job title, job
inn: инн, инн организации, инн компании, инн контрагента, inn, tax id, taxpayer id, tin, vat id
kpp: кпп, kpp
ogrn: огрн, огрнип, огрн огрнип, ogrn, ogrnip
bik: бик, бик банка, bik, bic
account: р с, р сч, рс, расчетный счет, расч счет, номер счета, счет, bank account, account number,
    settlement account
correspondent_account: к с, к сч, кс, корсчет, корр счет, корреспондентский счет, correspondent account
bank: банк, наименование банка, bank, bank name
phone: телефон, тел, телефоны, тел моб, моб, моб тел, мобильный, мобильный телефон, сотовый, сот, номер телефона,
    рабочий телефон, рабочий, раб тел, домашний телефон, контактный телефон, номер, телефон контакта, phone, phones,
    telephone, tel, mobile, mobile phone, cell, cell phone, phone number, work phone, home phone
email: e mail, email, e mails, emails, емейл, имейл, мейл, эл почта, электронная почта, почта,
    адрес электронной почты, эл адрес,
    рабочий email, рабочий e mail, mail, email address, e mail address, work email
website: сайт, веб сайт, web сайт, адрес сайта, www, site, website, web site, url, homepage
birthday: дата рождения, день рождения, др, д р, рожден, дата рожд, birthday, birth date, birthdate, date of birth,
    dob
city: город, нас пункт, населенный пункт, г, city, town
region: регион, область, край, субъект, region, state, province
country: страна, country
postcode: индекс, почтовый индекс, zip, zip code, postcode, postal code
address: адрес, адрес доставки, фактический адрес, факт адрес, address, street address, street
legal_address: юридический адрес, юр адрес, legal address, registered address
postal_address: почтовый адрес, postal address, mailing address
tags: теги, тэги, метки, тег, тэг, метка, ярлыки, группа, группы, tags, tag, labels, label
source: источник, канал, откуда, откуда узнали, источник клиента, рекламный канал, source, lead source, channel
status: статус, состояние, стадия, status, state of client
kind: тип, вид, тип клиента, категория, type, kind, category
budget: бюджет, сумма, сумма сделки, стоимость, цена, budget, amount, sum, price, value
comment: комментарий, комментарии, примечание, примечания, заметка, заметки, описание, доп информация, коммент,
    comment, comments, note, notes, remark, description
owner: ответственный, менеджер, куратор, ответственный менеджер, кто ведет, owner, responsible, manager,
    assigned to, assignee
department: отдел, подразделение, department, team
created: дата создания, создан, дата добавления, создано, created, created at, date created
telegram: телеграм, телеграмм, telegram, tg
whatsapp: ватсап, вотсап, whatsapp, wa
gender: пол, gender, sex
external_id: id, ид, код, внешний код, внешний id, код клиента, external id, external key, code
"""
"""Words people write above columns, without signs and with е for ё; the words of one line mean the same."""

_WORDS: dict[str, tuple[str, ...]] = {
    group: tuple(word.strip() for word in words.split(","))
    for group, _colon, words in (line.partition(":") for line in _SYNONYMS.replace("\n    ", " ").strip().split("\n"))
}
_GROUPS: dict[str, str] = {word: group for group, words in _WORDS.items() for word in words}
_KINDS = {"company_name": "company"}
_EXACT, _SYNONYM, _CONTENTS = 1.0, 0.95, 0.6
_SIMILAR = 84.0
"""Below this likeness of two headers, of 100, they are different words."""


@lru_cache(maxsize=4096)
def _plain(header: str) -> str:
    """Return a header in small letters without signs and without a number at its end."""
    text = re.sub(r"(?<=[a-zа-я])(?=[A-ZА-Я])", " ", header)
    text = re.sub(r"[\W_]+", " ", sort_key(text)).strip()
    return re.sub(r"\s*\d+$", "", text) or text


def strip_report_columns(headers: Sequence[str]) -> list[str]:
    """Return the headers without the two columns that our own file of rejected rows adds at the end."""
    count = len(headers)
    while count and len(headers) - count < 2 and sort_key(headers[count - 1]).strip() in REPORT_COLUMNS:
        count -= 1
    return list(headers[:count])


def header_digest(headers: Sequence[str]) -> str:
    """Return the key under which a mapping of these columns is remembered: signs, case and ё make no difference."""
    kept = strip_report_columns(headers)
    joined = "\x1f".join(re.sub(r"[\W_]+", " ", sort_key(header)).strip() for header in kept)
    return hashlib.sha256(joined.encode("utf-8", "replace")).hexdigest()[:32]


def known_export(headers: Sequence[str], exports: Iterable[KnownExport]) -> KnownExport | None:
    """Return whose export has these headers, the one with most of them when there are several."""
    plain = {_plain(header) for header in headers}
    found = [one for one in exports if all(_plain(sign) in plain for sign in one.signs)]
    return max(found, key=lambda one: len(plain & {_plain(header) for header in one.columns}), default=None)


def export_mapping(headers: Sequence[str], export: KnownExport) -> dict[int, str]:
    """Return the target of each column that a known export has; empty for those it leaves out."""
    exact = {_signless(header): target for header, target in export.columns.items()}
    numbered = {_plain(header): target for header, target in export.columns.items()}
    found: dict[int, str] = {}
    for column, header in enumerate(headers):
        target = exact.get(_signless(header), numbered.get(_plain(header)))
        if target is not None:
            found[column] = target
    return found


def _signless(header: str) -> str:
    return re.sub(r"[\W_]+", " ", sort_key(header)).strip()


def guess_mapping(
    headers: Sequence[str], fields: Sequence[GuessField], sample_rows: Iterable[Sequence[Cell]] = ()
) -> dict[int, Guess]:
    """Return the guessed field of each column that has one; a field is given twice only if it allows that."""
    rows = list(itertools.islice(sample_rows, 50))
    headers = strip_report_columns(headers)
    columns = [[row[index] for row in rows if index < len(row)] for index in range(len(headers))]
    offers: list[tuple[float, int, int, str]] = []
    for index, header in enumerate(headers):
        for order, target in enumerate(fields):
            score, why = _by_header(_plain(header), target)
            if target.kind in _DETECTORS and columns[index]:
                likeness = is_like(target.kind, columns[index])
                if _is_full_name_under_a_part(_plain(header), target, likeness):
                    score, why = _EXACT + 0.01, "contents"
                elif score and likeness is not None:
                    # Contents decide between columns whose headers say the same, and never against a clear header.
                    score = min(1.0, score - 0.04 + 0.04 * likeness)
                elif likeness is not None and likeness >= 0.6 and not _means_something_else(_plain(header), target):
                    score, why = _CONTENTS * likeness, "contents"
            if score > 0:
                offers.append((score, index, order, why))
    offers.sort(key=lambda offer: (-offer[0], offer[1], offer[2]))
    mapping: dict[int, Guess] = {}
    taken: set[int] = set()
    for score, index, order, why in offers:
        target = fields[order]
        if index in mapping or (order in taken and not target.multiple):
            continue
        mapping[index] = Guess(target.name, round(min(score, 1.0), 2), why)
        taken.add(order)
    return dict(sorted(mapping.items()))


def _titles(target: GuessField) -> list[str]:
    return [_plain(title) for title in (*target.titles, target.name)]


def _groups_of(target: GuessField) -> list[str]:
    """Return the meanings of a field, which its titles tell; its name is for programs and may mean anything."""
    found = [_GROUPS[title] for title in map(_plain, target.titles) if title in _GROUPS]
    kind = _KINDS.get(target.kind, target.kind)
    return list(dict.fromkeys(found)) or [kind] * (kind in _WORDS)


def _by_header(header: str, target: GuessField) -> tuple[float, str]:
    if not header:
        return 0.0, ""
    titles = _titles(target)
    if header in titles:
        # The main title counts more than an alias, so that «Имя» prefers the field that is called so.
        return (_EXACT if header == titles[0] else _EXACT - 0.01), "header"
    groups = _groups_of(target)
    if _GROUPS.get(header) in groups:
        return _SYNONYM - 0.01 * groups.index(_GROUPS[header]), "header"
    if header in _GROUPS or len(header) < 4:
        return 0.0, ""
    words = [*titles, *(word for group in groups for word in _WORDS[group])]
    best = max((_likeness(header, word) for word in words if len(word) >= 4), default=0.0)
    return (0.9 * best / 100, "similar") if best >= _SIMILAR else (0.0, "")


def _likeness(header: str, word: str) -> float:
    """Compare two headers: a slip of the key costs little, and a header may hold all words of a title and one more."""
    whole = fuzz.ratio(header, word)
    if len(word) >= 5 and f" {word} " in f" {header} ":
        whole = max(whole, 92.0 if header.startswith(word) else 88.0)
    return float(whole)


def _is_full_name_under_a_part(header: str, target: GuessField, likeness: float | None) -> bool:
    """Tell whether a column called «Имя» or «Фамилия» holds whole names, as it often does."""
    is_part = _GROUPS.get(header) in ("first_name", "last_name")
    return target.kind == "person_name" and is_part and likeness is not None and likeness >= 0.6


def _means_something_else(header: str, target: GuessField) -> bool:
    """Tell whether a header is a known word for another thing: then contents that look alike prove nothing."""
    group = _GROUPS.get(header)
    return group is not None and group not in _groups_of(target)


# --- Contents ---

_DATE = re.compile(r"\d{1,4}[./\-]\d{1,2}[./\-]\d{1,4}.*|\d{1,2}\s+\w{3,}\s+\d{4}.*")
_COMPANY = re.compile(r"(?:ООО|ОАО|ЗАО|ПАО|АО|ИП|НПО|РАО)[\s«\"].+|.+\s(?:LLC|Ltd|Inc|GmbH)\.?")
_DETECTORS: dict[str, Callable[[Cell], bool]] = {
    "phone": lambda cell: any(one.value is not None for one in clean_phones(cell)) and not _is_inn(cell),
    "email": lambda cell: any(one.value is not None for one in clean_emails(cell)),
    "inn": lambda cell: _is_inn(cell),
    "ogrn": lambda cell: clean_ogrn(cell).value is not None,
    "account": lambda cell: clean_account(cell).value is not None,
    "birthday": lambda cell: _is_date(cell) and clean_date(cell, birthday=True).value is not None,
    "date": lambda cell: _is_date(cell) and clean_date(cell).value is not None,
    "money": lambda cell: len(cell_text(cell)) < 10 and clean_money(cell).value is not None,
    "person_name": lambda cell: looks_like_patronymic_name(cell_text(cell)),
    "company_name": lambda cell: bool(_COMPANY.fullmatch(cell_text(cell).strip())),
}


def is_like(kind: str, cells: Iterable[Cell]) -> float | None:
    """Return which part of the filled cells looks like values of a kind; nothing when there is nothing to judge by."""
    detector = _DETECTORS.get(kind)
    filled = [cell for cell in cells if cell_text(cell).strip()]
    if detector is None or not filled:
        return None
    return sum(map(detector, filled)) / len(filled)


def _is_inn(cell: Cell) -> bool:
    return clean_inn(cell).value is not None


def _is_date(cell: Cell) -> bool:
    return not isinstance(cell, str | int | float) or (isinstance(cell, str) and bool(_DATE.fullmatch(cell.strip())))
