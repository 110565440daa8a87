"""Turns what people type and files contain into values fit to store, and says in words what it could not take.

Import, forms and the API call these functions; they know neither the database nor the web. Every ``clean_*`` answers
with :class:`Cleaned`: a value, whether the person would see a difference, and a :class:`Problem` if there is one.
A problem *with* a value is a remark (the value is kept); a problem *without* a value means that the text is refused.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Generic, TypeVar

import phonenumbers

from crm_core import clock
from crm_core.i18n import TranslationString, _

__all__ = [
    "Cell",
    "Cleaned",
    "CompanyName",
    "PersonName",
    "Phone",
    "Problem",
    "cell_text",
    "clean_account",
    "clean_bik",
    "clean_bool",
    "clean_company_name",
    "clean_date",
    "clean_datetime",
    "clean_email",
    "clean_emails",
    "clean_inn",
    "clean_kpp",
    "clean_money",
    "clean_number",
    "clean_ogrn",
    "clean_person_name",
    "clean_phone",
    "clean_phones",
    "clean_tags",
    "clean_text",
    "company_key",
    "defuse_formula",
    "looks_like_formula",
    "looks_like_patronymic_name",
    "normalise_search",
    "restore_formula",
    "sort_key",
    "split_inn_kpp",
    "switch_layout",
    "tidy",
    "transliterate",
]

Cell = str | int | float | bool | Decimal | dt.datetime | dt.date | dt.time | dt.timedelta | None
"""What a cell of a table may hold: CSV gives text only, spreadsheets give types."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """Says what is wrong with a value: a code for programs, a sentence for the person who can mend it."""

    code: str
    message: TranslationString

    def as_json(self) -> dict[str, Any]:
        """Return plain data to store, so that the sentence can be said later in the reader's language."""
        return {
            "code": self.code,
            "msgid": str(self.message),
            "domain": self.message.domain,
            "default": self.message.default,
            "mapping": {name: str(value) for name, value in (self.message.mapping or {}).items()},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Problem:
        """Rebuild a problem that :meth:`as_json` has stored."""
        message = TranslationString(
            data["msgid"], domain=data.get("domain"), default=data.get("default"), mapping=data.get("mapping") or None
        )
        return cls(data["code"], message)


@dataclass(frozen=True, slots=True)
class Cleaned(Generic[T]):
    """Holds what became of one value; an empty one is ``Cleaned(None)``."""

    value: T | None
    changed: bool = False
    problem: Problem | None = None
    source: str = ""

    @property
    def is_refused(self) -> bool:
        """Tell whether something was written that cannot be stored."""
        return self.value is None and self.problem is not None


_EMPTY: Cleaned[Any] = Cleaned(None)
_LONGEST = 1000
"""No cell that holds telephones, addresses, a date or a number is longer: a book in it is refused unread."""


def _refuse(code: str, message: TranslationString, source: str) -> Cleaned[Any]:
    return Cleaned(None, False, Problem(code, message), source)


def _quote(text: str) -> str:
    """Return a text short enough to be shown inside a sentence."""
    return text if len(text) <= 80 else text[:79] + "…"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- Text ---

_SPACES = re.compile(r"[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    r"\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)
_LINE_ENDS = re.compile(r"\r\n|[\r\x85\u2028\u2029]")
_ORDINARY = re.compile(r"(?:[\x21-\x7eА-Яа-яЁё«»№—–]+(?: [\x21-\x7eА-Яа-яЁё«»№—–]+)*)?")
_BLANK_LINES = re.compile(r"\n{3,}")


def cell_text(cell: Cell) -> str:
    """Return a cell as the text a person sees: a telephone kept by Excel as ``79771248600.0`` is ``79771248600``."""
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, float):
        if not math.isfinite(cell):
            return str(cell)
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e21 else format(Decimal(repr(cell)), "f")
    if isinstance(cell, Decimal):
        return format(cell, "f")
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(" ")
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    return str(cell)


def tidy(text: str, multiline: bool = False) -> str:
    """Return a text in NFC without control and invisible characters, without stray spaces."""
    if _ORDINARY.fullmatch(text):
        return text
    text = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = _SPACES.sub(" ", text)
    if not multiline:
        return " ".join(text.split())
    return _BLANK_LINES.sub("\n\n", "\n".join(line.strip() for line in text.split("\n"))).strip()


def clean_text(cell: Cell, multiline: bool = False, max_length: int | None = None) -> Cleaned[str]:
    """Clean a plain text; what looks like a formula stays the text it is."""
    source = cell_text(cell)
    text = tidy(source, multiline)
    if not text:
        return _EMPTY
    if max_length is not None and len(text) > max_length:
        return _refuse(
            "text_too_long",
            _(
                "The text has ${length} characters, at most ${limit} fit",
                mapping={"length": len(text), "limit": max_length},
            ),
            source,
        )
    problem = None
    if "\ufffd" in text:
        problem = Problem("text_damaged", _("“${value}” has damaged characters", mapping={"value": _quote(text)}))
    return Cleaned(text, text != source, problem, source)


def clean_tags(cell: Cell, max_length: int = 100) -> Cleaned[tuple[str, ...]]:
    """Split tags at commas, semicolons, bars and line ends; one tag is kept once, whatever its case."""
    source = cell_text(cell)
    tags: dict[str, str] = {}
    for part in re.split(r"[,;|\n\r]", source):
        tag = tidy(part).lstrip("#").strip()
        if tag:
            tags.setdefault(sort_key(tag), tag)
    if not tags:
        return _EMPTY
    for tag in tags.values():
        if len(tag) > max_length:
            return _refuse("tag_too_long", _("The tag “${value}” is too long", mapping={"value": _quote(tag)}), source)
    return Cleaned(tuple(tags.values()), ", ".join(tags.values()) != source.strip(), None, source)


_TRUE = _words("1 да д yes y true t истина правда on вкл + v x х ✓ ✔ есть")
_FALSE = _words("0 нет н no n false f ложь off выкл - – — none")


def clean_bool(cell: Cell) -> Cleaned[bool]:
    """Read yes and no in both languages."""
    if isinstance(cell, bool):
        return Cleaned(cell, source=cell_text(cell))
    source = cell_text(cell)
    text = tidy(source).lower()
    if not text:
        return _EMPTY
    if text in _TRUE:
        return Cleaned(True, source=source)
    if text in _FALSE:
        return Cleaned(False, source=source)
    return _refuse("bool_unknown", _("“${value}” is neither yes nor no", mapping={"value": _quote(source)}), source)


# --- Searching and sorting ---


def sort_key(text: str) -> str:
    """Return the key texts sort by: the twin of SQL ``translate(lower(x), 'ё', 'е')``."""
    if "\u0130" in text or "\u03a3" in text:
        # The database maps one character to one; Python makes two of İ and looks at the neighbours of Σ.
        text = text.replace("\u0130", "i").replace("\u03a3", "\u03c3")
    return text.lower().replace("ё", "е")


_NOT_SEARCHED = re.compile(r"[^\w@.+\-]+")


def normalise_search(text: str) -> str:
    """Return a text as search compares it: lower case, е for ё, no quotes or other signs, single spaces."""
    return " ".join(_NOT_SEARCHED.sub(" ", sort_key(unicodedata.normalize("NFKC", text))).split())


_QWERTY = "`qwertyuiop[]asdfghjkl;'zxcvbnm,./~QWERTYUIOP{}ASDFGHJKL:\"ZXCVBNM<>?@#$^&"
_JCUKEN = 'ёйцукенгшщзхъфывапролджэячсмитьбю.ЁЙЦУКЕНГШЩЗХЪФЫВАПРОЛДЖЭЯЧСМИТЬБЮ,"№;:?'
_TO_CYRILLIC = str.maketrans(_QWERTY, _JCUKEN)
_TO_LATIN = str.maketrans(_JCUKEN, _QWERTY)
_CYRILLIC_LETTER = re.compile(r"[а-яё]", re.IGNORECASE)
_LATIN_LETTER = re.compile(r"[a-z]", re.IGNORECASE)


def switch_layout(text: str) -> str:
    """Return what would stand there had the keyboard's other layout been on: ``bdfy`` is ``иван``."""
    cyrillic, latin = len(_CYRILLIC_LETTER.findall(text)), len(_LATIN_LETTER.findall(text))
    return text.translate(_TO_LATIN if cyrillic > latin else _TO_CYRILLIC)


_TRANSLITERATION = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
        "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh shch - y - e yu ya".replace("-", "").split(" "),
        strict=True,
    )
)
_TRANSLITERATE = {ord(letter): latin for letter, latin in _TRANSLITERATION.items()} | {
    ord(letter.upper()): latin.capitalize() for letter, latin in _TRANSLITERATION.items()
}


def transliterate(text: str) -> str:
    """Write Russian letters in Latin ones: ``Щукин`` is ``Shchukin``."""
    return text.translate(_TRANSLITERATE)


# --- Formulas ---

_DANGEROUS = "=+-@\t\r\n＝＋－＠"
_FORMULA = re.compile(rf"'*[{re.escape(_DANGEROUS)}]")
_DEFUSED = re.compile(rf"'+[{re.escape(_DANGEROUS)}]")


def looks_like_formula(text: str) -> bool:
    """Tell whether a spreadsheet could take the text for a formula."""
    return bool(text) and text[0] in _DANGEROUS


def defuse_formula(text: str) -> str:
    """Return a text for export that no spreadsheet will compute; :func:`restore_formula` gives it back unchanged."""
    return "'" + text if _FORMULA.match(text) else text


def restore_formula(text: str) -> str:
    """Take away the apostrophe that :func:`defuse_formula` has put before a text."""
    return text[1:] if text[:1] == "'" and _DEFUSED.match(text) else text


# --- Telephones ---


@dataclass(frozen=True, slots=True)
class Phone:
    """Holds one telephone number in E.164, with its extension and the words that stood beside it."""

    number: str
    extension: str = ""
    note: str = ""


_RUSSIAN_MOBILE = re.compile(
    r"(?:\+?7|8)?[\s\-(]{0,3}(9(?:[0-24-9]\d|3[1-9]))[\s\-)]{0,3}(\d{3})[\s\-]?(\d\d)[\s\-]?(\d\d)", re.ASCII
)
_EXTENSION = re.compile(
    r"[,;\s]*(?:\(\s*)?(?:доб(?:авочный|ав)?|вн(?:утр(?:енний)?)?|ext(?:ension)?|#)[\s.:№]*(\d{1,7})(?!\d)(?:\s*\))?",
    re.IGNORECASE,
)
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eеEЕ][+-]?\d+")
_WHOLE_FLOAT = re.compile(r"(\d+)[.,]0")
_WORDS = re.compile(r"[^\W\d_][^\d+()]*")
_NO_VALUE = _words("- -- --- – — нет none no n/a na нету отсутствует неизвестно неизвестен нд н/д x х . 0")
_PHONE_SEPARATOR = re.compile(r"[;,/|\n\r]+|\s+(?:и|или|and|or)\s+", re.IGNORECASE)
_FAX = re.compile(r"\b(?:т|тел)\.?\s*/\s*(?:ф|факс)\b\.?", re.IGNORECASE)
_RUN_TOGETHER = re.compile(r"(?:\+7|8|7)?[\s\-(]*\d{3}[\s\-)]*\d{3}[\s\-]?\d\d[\s\-]?\d\d(?!\d)")
_NUMBER_PART = re.compile(r"[+\d][\d\s().\-–—‑]*")


def clean_phone(cell: Cell, region: str = "RU") -> Cleaned[Phone]:
    """Read one telephone number written in any usual way into E.164."""
    source = cell_text(cell)
    if region == "RU" and (match := _RUSSIAN_MOBILE.fullmatch(source)):
        number = "+7" + "".join(match.groups())
        return Cleaned(Phone(number), number != source, None, source)
    text = tidy(restore_formula(source))
    if not text:
        return _EMPTY
    if len(text) > _LONGEST:
        return _refuse("phone_missing", _("“${value}” is not a phone number", mapping={"value": _quote(text)}), source)
    phone, problem = _read_phone(text, region)
    if phone is None:
        return Cleaned(None, False, problem, source)
    return Cleaned(phone, phone != Phone(source), problem, source)


def clean_phones(cell: Cell, region: str = "RU") -> list[Cleaned[Phone]]:
    """Read all telephone numbers of a cell, each with its own verdict; a number written twice is given once."""
    source = cell_text(cell)
    if region == "RU" and (match := _RUSSIAN_MOBILE.fullmatch(source)):
        number = "+7" + "".join(match.groups())
        return [Cleaned(Phone(number), number != source, None, source)]
    text = tidy(restore_formula(source), multiline=True)
    if not text:
        return []
    if len(text) > _LONGEST:
        return [clean_phone(text, region)]
    found: list[Cleaned[Phone]] = []
    for chunk in _phone_chunks(text):
        one = clean_phone(chunk, region)
        last = found[-1] if found else None
        if last is not None and last.value is not None and one.value is None and one.problem is not None:
            joined = _join_remark(last, chunk)
            if joined is not None:
                found[-1] = joined
                continue
        if one.value is None and one.problem is None:
            continue
        if one.value is not None and any(other.value and other.value.number == one.value.number for other in found):
            continue
        found.append(one)
    if len(found) == 1 and found[0].value is not None and found[0].source != source:
        only = found[0]
        found = [Cleaned(only.value, only.value != Phone(source), only.problem, source)]
    return found


def _phone_chunks(text: str) -> list[str]:
    text = _FAX.sub("тел. ", text)
    # An extension stays with its number, whatever stands between them.
    text = _EXTENSION.sub(lambda match: f" доб. {match[1]}", text)
    if text.lower() in _NO_VALUE:
        return [text]
    chunks: list[str] = []
    for chunk in _PHONE_SEPARATOR.split(text):
        chunk = chunk.strip()
        if not chunk:
            continue
        together = _RUN_TOGETHER.findall(chunk) if sum(map(str.isdigit, chunk)) >= 20 else []
        if together and sum(len(re.findall(r"\d", part)) for part in together) == len(re.findall(r"\d", chunk)):
            chunks.extend(part.strip() for part in together)
        else:
            chunks.append(chunk)
    return chunks or [text]


def _join_remark(last: Cleaned[Phone], chunk: str) -> Cleaned[Phone] | None:
    """Add words that follow a number to it, as «звонить после 18» does; a short bare number is no remark."""
    if last.value is None or chunk.lower() in _NO_VALUE:
        return None
    if len(re.findall(r"\d", chunk)) > 4 or not re.search(r"[^\W\d_]", chunk):
        return None
    note = f"{last.value.note}, {chunk}" if last.value.note else chunk
    return Cleaned(Phone(last.value.number, last.value.extension, note), True, last.problem, last.source)


@lru_cache(maxsize=20_000)
def _read_phone(text: str, region: str) -> tuple[Phone | None, Problem | None]:
    shown = {"value": _quote(text)}
    if text.lower() in _NO_VALUE:
        return None, Problem("phone_missing", _("“${value}” is not a phone number", mapping=shown))
    if _SCIENTIFIC.fullmatch(text):
        return None, Problem(
            "phone_shortened",
            _(
                "“${value}” was shortened by the spreadsheet and has lost digits: make the column a text one",
                mapping=shown,
            ),
        )
    rest, extension = text, ""
    if match := _EXTENSION.search(rest):
        extension, rest = match[1], rest[: match.start()] + " " + rest[match.end() :]
        if not re.search(r"\d", rest):
            return None, Problem(
                "phone_only_extension", _("“${value}” is an extension without a phone number", mapping=shown)
            )
    if match := _WHOLE_FLOAT.fullmatch(rest):
        rest = match[1]
    note = tidy(" ".join(part.strip(" .,:;-–—()") for part in _WORDS.findall(rest)))
    candidates = _NUMBER_PART.findall(_WORDS.sub("|", rest))
    digits = re.sub(r"\D", "", max(candidates, key=len, default=""))
    others = [candidate for candidate in candidates if re.sub(r"\D", "", candidate) != digits]
    if len(digits) < 5 and (note or not digits):
        return None, Problem("phone_missing", _("“${value}” is not a phone number", mapping=shown))
    if others or len(candidates) > 1:
        note = tidy(
            _NUMBER_PART.sub(lambda match: "" if re.sub(r"\D", "", match[0]) == digits else match[0], rest)
        ).strip(" .,:;-–—()")
    international = max(candidates, key=len).lstrip().startswith("+")
    written = _mend_russian(digits, international) if region == "RU" else ("+" + digits if international else digits)
    return _check_number(written, region, extension, note, shown)


def _mend_russian(digits: str, international: bool) -> str:
    """Give a Russian number its country code where people leave it out, double it or write +8 for it."""
    if len(digits) == 10 and digits[0] in "3489":
        return "+7" + digits
    if len(digits) == 11 and digits[0] in "78" and not (international and digits[0] == "8" and digits[1] != "9"):
        return "+7" + digits[1:]
    if len(digits) == 12 and digits[:2] in ("78", "77") and digits[2] == "9":
        return "+7" + digits[2:]
    return "+" + digits if international else digits


def _check_number(
    written: str, region: str, extension: str, note: str, shown: dict[str, str]
) -> tuple[Phone | None, Problem | None]:
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.TOO_LONG:
            return None, Problem(
                "phone_too_long", _("“${value}” has too many digits for a phone number", mapping=shown)
            )
        return None, Problem("phone_invalid", _("There is no phone number “${value}”", mapping=shown))
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible == phonenumbers.ValidationResult.TOO_LONG:
        return None, Problem("phone_too_long", _("“${value}” has too many digits for a phone number", mapping=shown))
    if possible in (phonenumbers.ValidationResult.TOO_SHORT, phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY):
        return None, Problem(
            "phone_too_short", _("“${value}” has too few digits: is the area code missing?", mapping=shown)
        )
    if not phonenumbers.is_valid_number(number):
        return None, Problem("phone_invalid", _("There is no phone number “${value}”", mapping=shown))
    return Phone(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), extension, note), None


@lru_cache(maxsize=20_000)
def write_phone(number: str) -> str:
    """Return a number in E.164 the way people write it: +7 846 200-01-00; anything else as it is."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return number
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL))


# --- E-mail addresses ---

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u00a1-\uffff]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_PLAIN_EMAIL = re.compile(
    r"[a-z0-9_+\-]+(?:\.[a-z0-9_+\-]+)*@(?:[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", re.ASCII
)
_DOMAIN_LABEL = re.compile(r"(?!-)[a-z0-9\-]{1,63}(?<!-)")
_ANGLE = re.compile(r"[^<>]*<\s*([^<>]+?)\s*>")
_HAS_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
_HAS_LATIN = re.compile(r"[A-Za-z]")


def clean_email(cell: Cell) -> Cleaned[str]:
    """Check one address and write it in lower case."""
    source = cell_text(cell)
    if len(source) <= 64 and _PLAIN_EMAIL.fullmatch(source):
        return Cleaned(source, False, None, source)
    text = tidy(restore_formula(source))
    if not text:
        return _EMPTY
    if len(text) > _LONGEST:
        return _refuse(
            "email_invalid", _("“${value}” is not an e-mail address", mapping={"value": _quote(text)}), source
        )
    address = text
    if match := _ANGLE.fullmatch(address):
        address = match[1]
    if address[:7].lower() == "mailto:":
        address = address[7:].split("?")[0]
    address = address.strip(" \t<>\"'«».,;:").lower()
    problem = _email_problem(address, text)
    if problem is not None:
        return Cleaned(None, False, problem, source)
    if _HAS_CYRILLIC.search(address.rpartition("@")[0]):
        problem = Problem(
            "email_not_latin",
            _(
                "“${value}” has Russian letters before the @: few mail servers deliver there, check the address",
                mapping={"value": _quote(address)},
            ),
        )
    return Cleaned(address, address != source, problem, source)


def clean_emails(cell: Cell) -> list[Cleaned[str]]:
    """Read all addresses of a cell, each with its own verdict."""
    source = cell_text(cell)
    if len(source) <= 64 and _PLAIN_EMAIL.fullmatch(source):
        return [Cleaned(source, False, None, source)]
    text = tidy(restore_formula(source), multiline=True)
    if len(text) > _LONGEST:
        return [clean_email(text)]
    parts = [part.strip() for part in re.split(r"[,;|\n]+", text) if part.strip()]
    for separator in ("/", None):
        # «a b@c.ru» is one broken address and not a good one with a lost word, so every piece must have its own @.
        parts = [
            piece
            for part in parts
            for piece in (part.split(separator) if all("@" in piece for piece in part.split(separator)) else [part])
        ]
    found: dict[str, Cleaned[str]] = {}
    for part in parts:
        one = clean_email(part)
        if one.value is not None or one.problem is not None:
            found.setdefault(one.value or part, one)
    if len(found) == 1:
        return [
            Cleaned(one.value, one.value is not None and one.value != source, one.problem, source)
            for one in found.values()
        ]
    return list(found.values())


def _email_problem(address: str, text: str) -> Problem | None:
    shown = {"value": _quote(text)}
    if "@" not in address:
        return Problem("email_no_at", _("“${value}” is not an e-mail address", mapping=shown))
    local, _at, domain = address.rpartition("@")
    if not local:
        return Problem("email_no_name", _("“${value}” has nothing before the @", mapping=shown))
    if not domain:
        return Problem("email_no_domain", _("“${value}” has nothing after the @", mapping=shown))
    if re.search(r"\s", address):
        return Problem("email_space", _("“${value}” has a space inside the address", mapping=shown))
    if "@" in local:
        return Problem("email_two_at", _("“${value}” has more than one @", mapping=shown))
    if _mixes_alphabets(local) or any(_mixes_alphabets(label) for label in domain.split(".")):
        return Problem("email_mixed", _("“${value}” mixes Latin and Russian letters that look alike", mapping=shown))
    if "." not in domain:
        return Problem("email_no_zone", _("“${value}” has no zone such as .ru after the @", mapping=shown))
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        ascii_domain = ""
    labels = ascii_domain.split(".")
    well_formed = (
        _LOCAL.fullmatch(local)
        and all(_DOMAIN_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
        and len(labels[-1]) >= 2
        and len(local.encode()) <= 64
        and len(local.encode()) + 1 + len(ascii_domain) <= 254
    )
    return None if well_formed else Problem("email_invalid", _("“${value}” is not an e-mail address", mapping=shown))


def _mixes_alphabets(text: str) -> bool:
    return bool(_HAS_CYRILLIC.search(text) and _HAS_LATIN.search(text))


# --- Names of persons ---


@dataclass(frozen=True, slots=True)
class PersonName:
    """Holds the parts of a person's name; what is not known is empty."""

    last: str = ""
    first: str = ""
    middle: str = ""
    title: str = ""

    @property
    def full(self) -> str:
        """Return surname, first name and patronymic in one line, without the title."""
        return " ".join(part for part in (self.last, self.first, self.middle) if part)


_GIVEN_NAMES = _words(
    """
    александр алексей анатолий андрей антон аркадий арсений артем артур богдан борис вадим валентин валерий василий
    виктор виталий влад владимир владислав всеволод вячеслав геннадий георгий герман глеб григорий давид даниил
    данил данила демид денис дмитрий евгений егор ефим захар иван игнат игорь илья иннокентий иосиф кирилл климент
    константин лев леонид лука макар максим марат марк мартин матвей мирон михаил назар никита николай олег остап
    павел петр платон потап прохор родион роман ростислав руслан савелий святослав семен сергей станислав степан
    тарас тимофей тимур трофим федор феликс филипп фома эдуард эльдар эмиль юрий яков ян ярослав ринат рустам рамиль
    ильдар ахмед магомед наум никифор кузьма клим ермолай спиридон сила агата агафья аделина аида алена алина алиса
    алла альбина анастасия ангелина анжела анжелика анна антонина арина варвара василиса вера вероника виктория
    виолетта галина дарья диана евгения евдокия екатерина елена елизавета жанна зинаида зоя иванна инга инна ирина
    камилла карина кира клавдия кристина ксения лариса лидия лилия любовь людмила майя маргарита марина мария
    мирослава надежда наина наталия наталья нелли ника нина нонна оксана олеся ольга полина прасковья раиса регина
    римма роза светлана серафима снежана софия софья таисия тамара татьяна ульяна фаина фекла эвелина элеонора элина
    эльвира эмилия эмма юлия яна ярославна гульнара эльмира алия айгуль
    """
)
_GIVEN_NAMES_LATIN = frozenset(transliterate(name) for name in _GIVEN_NAMES)
_PATRONYMIC = re.compile(
    r"(?:[а-яё]{2,}(?:[оеё]вич|[оеё]вна|инична|ична)|ильич|кузьмич|лукич|никитич|савв?ич|фомич|фокич|сил[иы]ч|акимыч"
    r"|[а-яё-]+\s(?:оглы|кызы|углы|гызы|улы)"
    r"|[a-z]{2,}(?:[oe]vich|[oe]vna|ichna))",
    re.IGNORECASE,
)
_SURNAME = re.compile(
    r".*(?:[оеё]в|[оеё]ва|[иы]н|[иы]на|[сц]кий|[сц]кой|[сц]кая|[оы]й|ая|енко|[уюч]к|[иы]х|ян|янц|дзе|швили|айло|айте"
    r"|ov|ova|ev|eva|sky|skiy|skaya|enko)",
    re.IGNORECASE,
)
_INITIALS = re.compile(r"[A-ZА-ЯЁ]\.-?(?:\s?[A-ZА-ЯЁ]\.)?", re.IGNORECASE)
_HONORIFICS = {
    "тов": "тов.", "товарищ": "тов.", "г-н": "г-н", "г-жа": "г-жа", "господин": "г-н", "госпожа": "г-жа", "гр": "гр.",
    "гр-н": "гр-н", "гр-ка": "гр-ка", "гражданин": "гр-н", "гражданка": "гр-ка", "проф": "проф.", "профессор": "проф.",
    "акад": "акад.", "академик": "акад.", "д-р": "д-р", "доктор": "д-р", "ип": "ИП", "mr": "Mr.", "mrs": "Mrs.",
    "ms": "Ms.", "miss": "Miss", "mx": "Mx.", "dr": "Dr.", "prof": "Prof.", "sir": "Sir", "madam": "Madam",
}  # fmt: skip
_SUFFIXES = {
    "md": "MD", "phd": "PhD", "ph.d": "PhD", "dds": "DDS", "dvm": "DVM", "jr": "Jr.", "sr": "Sr.", "ii": "II",
    "iii": "III", "iv": "IV", "esq": "Esq.", "mba": "MBA", "к.т.н": "к.т.н.", "д.т.н": "д.т.н.", "к.м.н": "к.м.н.",
    "д.м.н": "д.м.н.", "к.э.н": "к.э.н.", "д.э.н": "д.э.н.",
}  # fmt: skip
_PARTICLES = _words(
    """
    фон ван де дер ди дю да ла ле эль аль бен ибн von van de der di du da la le el al bin ibn
    """
)
_AFTER_PATRONYMIC = _words("оглы кызы углы гызы улы")
_LOOKALIKE_LATIN = "ABCEHKMOPTXYaceopxy"
_LOOKALIKES = str.maketrans(_LOOKALIKE_LATIN, "АВСЕНКМОРТХУасеорху")
_NAME_DASH = re.compile(r"\s*[‐‑–—]\s*|(?<=\w)\s+-\s+(?=\w)")
_ODD_IN_NAME = re.compile(r"[@\d]")
_NAME_PARTS = re.compile(r"([-'’ ])")


def clean_person_name(cell: Cell) -> Cleaned[PersonName]:
    """Take a full name apart, in whatever order it is written, and give it its capitals.

    The patronymic shows the order; without one, endings of surnames and known given names do. Honorifics and degrees
    go to the title.
    """
    source = cell_text(cell)
    text = tidy(source)
    if not text:
        return _EMPTY
    if not any(character.isalpha() for character in text):
        return _refuse("name_no_letters", _("“${value}” is not a name", mapping={"value": _quote(text)}), source)
    if len(text) > 200:
        return _refuse("name_too_long", _("“${value}” is too long for a name", mapping={"value": _quote(text)}), source)
    remark = _name_remark(text)
    if remark is not None and remark.code == "name_is_company":
        return Cleaned(PersonName(last=text), text != source, remark, source)
    tokens, titles = _without_titles(_NAME_DASH.sub("-", text).replace("`", "'"))
    if not tokens:
        return Cleaned(PersonName(first=text), False, None, source)
    last_first = len(tokens) > 1 and tokens[0].endswith(",")
    tokens = [_proper(_mend_lookalikes(token.strip(",;"))) for token in tokens if token.strip(",;")]
    name = _arrange(_grouped(tokens), last_first)
    name = PersonName(name.last, name.first, name.middle, " ".join(titles))
    return Cleaned(name, " ".join([*titles, *tokens]) != source, remark, source)


def looks_like_patronymic_name(text: str) -> bool:
    """Tell whether a text is two to four words of which one is a patronymic, as only names of persons are."""
    words = tidy(text).split()
    return 2 <= len(words) <= 5 and any(_PATRONYMIC.fullmatch(word) for word in words)


def _name_remark(text: str) -> Problem | None:
    if _ODD_IN_NAME.search(text):
        return Problem("name_odd", _("“${value}” has characters unusual for a name", mapping={"value": _quote(text)}))
    form = _LEADING_FORM.match(text)
    if form and _FORMS.get(_form_key(form[1])) != "ИП":
        return Problem("name_is_company", _("“${value}” looks like a company", mapping={"value": _quote(text)}))
    return None


def _without_titles(text: str) -> tuple[list[str], list[str]]:
    tokens, titles = text.split(), []
    while tokens and (title := _HONORIFICS.get(tokens[0].rstrip(".,").lower())) and len(tokens) > 1:
        titles.append(title)
        tokens.pop(0)
    suffixes: list[str] = []
    while len(tokens) > 1 and (suffix := _SUFFIXES.get(tokens[-1].strip(".,").lower())):
        suffixes.insert(0, suffix)
        tokens.pop()
        tokens[-1] = tokens[-1].rstrip(",")
    return tokens, titles + suffixes


def _mend_lookalikes(token: str) -> str:
    """Turn Latin letters inside a Russian word into the Russian ones they are mistaken for."""
    if token.isascii() or not _mixes_alphabets(token):
        return token
    return token if set(_LATIN_LETTER.findall(token)) - set(_LOOKALIKE_LATIN) else token.translate(_LOOKALIKES)


def _proper(token: str) -> str:
    """Give a word of a name its capital letter; a word of mixed case is left as its owner writes it."""
    if token.istitle() and "'" not in token and "’" not in token:
        return token
    if "." in token:
        return token.upper() if _INITIALS.fullmatch(token) else token
    one_case = (token.isupper() and sum(map(str.isalpha, token)) > 1) or token.islower()
    slipped = len(token) > 2 and token[0].islower() and token[1:].isupper()
    if not (one_case or slipped):
        return token
    lower = token.lower()
    if lower in _AFTER_PATRONYMIC or lower in _PARTICLES:
        return lower
    return "".join(part[:1].upper() + part[1:] for part in _NAME_PARTS.split(lower))


def _grouped(tokens: list[str]) -> list[str]:
    """Join what belongs together: «фон Браун», «Гусейн оглы», «Иванова (Петрова)», «И. П.»."""
    if len(tokens) < 3:
        return tokens
    groups: list[str] = []
    particle = ""
    for index, token in enumerate(tokens):
        lower = token.lower()
        if groups and (lower in _AFTER_PATRONYMIC or token.startswith("(")):
            groups[-1] += " " + token
        elif token.islower() and lower in _PARTICLES and index + 1 < len(tokens):
            particle += token + " "
        elif groups and _INITIALS.fullmatch(token) and _INITIALS.fullmatch(groups[-1]):
            groups[-1] += " " + token
        else:
            groups.append(particle + token)
            particle = ""
    return groups


def _arrange(words: list[str], last_first: bool) -> PersonName:
    count = len(words)
    if count == 1:
        only = words[0]
        is_surname = _SURNAME.fullmatch(only) and not _is_given(only)
        return PersonName(last=only) if is_surname else PersonName(first=only)
    for index in (0, count - 1):
        if _INITIALS.fullmatch(words[index]):
            initials = [letter + "." for letter in re.findall(r"\w", words[index])]
            rest = words[1:] if index == 0 else words[:-1]
            return PersonName(" ".join(rest), initials[0], "".join(initials[1:]))
    for index, word in enumerate(words):
        if index and word.split(" ")[0].lower() in _PARTICLES and " " in word:
            return PersonName(word, words[0], " ".join(words[1:index] + words[index + 1 :]))
    patronymics = [index for index, word in enumerate(words) if _PATRONYMIC.fullmatch(word)]
    if patronymics and not (patronymics == [0] and count > 2):
        return _arrange_around(words, patronymics)
    if count == 2:
        first, second = words
        if last_first or _second_is_given(first, second):
            return PersonName(first, second)
        return PersonName(second, first)
    if last_first or _HAS_CYRILLIC.search(words[0]) or _second_is_given(words[0], words[1]):
        if not last_first and _is_given(words[0]) and not _is_given(words[1]):
            return PersonName(words[-1], words[0], " ".join(words[1:-1]))
        return PersonName(words[0], words[1], " ".join(words[2:]))
    return PersonName(words[-1], words[0], " ".join(words[1:-1]))


def _arrange_around(words: list[str], patronymics: list[int]) -> PersonName:
    count = len(words)
    # Surnames such as Абрамович look like patronymics: a true one follows a given name.
    middle = patronymics[-1]
    if len(patronymics) > 1 and patronymics[-1] == patronymics[-2] + 1 and not _is_given(words[middle - 1]):
        middle = patronymics[-2] if patronymics[-2] > 0 else patronymics[-1]
    if middle == 0:
        return PersonName(words[0], words[1])
    if count == 2:
        return PersonName(first=words[0], middle=words[1])
    if middle == 1 and patronymics[:2] == [0, 1]:
        return PersonName(words[0], " ".join(words[2:]), words[1])
    return PersonName(" ".join(words[: middle - 1] + words[middle + 1 :]), words[middle - 1], words[middle])


@lru_cache(maxsize=10_000)
def _is_given(word: str) -> bool:
    key = sort_key(word)
    return key in _GIVEN_NAMES or key in _GIVEN_NAMES_LATIN


def _second_is_given(first: str, second: str) -> bool:
    """Tell whether two words stand as surname and name, and not as name and surname."""
    if _is_given(first) != _is_given(second):
        return _is_given(second)
    first_ends, second_ends = bool(_SURNAME.fullmatch(first)), bool(_SURNAME.fullmatch(second))
    if first_ends != second_ends:
        return first_ends
    return bool(_HAS_CYRILLIC.search(first))


# --- Names of companies ---


@dataclass(frozen=True, slots=True)
class CompanyName:
    """Holds a company's name without its legal form and outer quotes, and the form (ООО, ИП, АО…)."""

    name: str
    form: str = ""

    @property
    def full(self) -> str:
        """Return the name as it is written in documents: ``ООО «Ромашка»``."""
        if not self.form:
            return self.name
        if self.form in _FOREIGN_FORMS:
            return f"{self.name} {self.form}"
        return f"{self.form} {self.name}" if self.form == "ИП" else f"{self.form} «{self.name}»"


_LONG_FORMS = {
    "общество с ограниченной ответственностью": "ООО",
    "общество с дополнительной ответственностью": "ОДО",
    "открытое акционерное общество": "ОАО",
    "закрытое акционерное общество": "ЗАО",
    "публичное акционерное общество": "ПАО",
    "непубличное акционерное общество": "АО",
    "акционерное общество": "АО",
    "российское акционерное общество": "РАО",
    "научно-производственное объединение": "НПО",
    "индивидуальный предприниматель": "ИП",
    "федеральное государственное унитарное предприятие": "ФГУП",
    "государственное унитарное предприятие": "ГУП",
    "муниципальное унитарное предприятие": "МУП",
    "федеральное государственное бюджетное учреждение": "ФГБУ",
    "государственное бюджетное учреждение": "ГБУ",
    "муниципальное бюджетное учреждение": "МБУ",
    "автономная некоммерческая организация": "АНО",
    "некоммерческая организация": "НКО",
    "товарищество собственников жилья": "ТСЖ",
    "товарищество с ограниченной ответственностью": "ТОО",
    "крестьянское (фермерское) хозяйство": "КФХ",
    "крестьянское фермерское хозяйство": "КФХ",
    "самозанятый": "самозанятый",
    "самозанятая": "самозанятый",
}
_SHORT_FORMS = _words(
    """
    ООО ОДО ОАО ЗАО ПАО НАО АО РАО НПО НПП ИП ЧП ПБОЮЛ ФГУП ГУП МУП ФГБУ ФГАУ ФГБОУ ГБОУ МБОУ ГБУ МБУ МКУ АНО НКО
    ТСЖ СНТ ТСН ТОО КФХ ФКУ ГКУ
    """
)
_FOREIGN = _words("LLC LTD INC GMBH JSC PJSC OJSC CJSC LLP PLC CORP AG SA BV OY AB SRL")
_FOREIGN_SHOWN = {"LTD": "Ltd", "INC": "Inc", "GMBH": "GmbH", "CORP": "Corp", "OY": "Oy"}
_FOREIGN_FORMS = frozenset(_FOREIGN_SHOWN.get(form, form) for form in _FOREIGN)
_FORMS = (
    _LONG_FORMS
    | {form.lower(): "ИП" if form == "ПБОЮЛ" else form for form in _SHORT_FORMS}
    | {form.lower(): _FOREIGN_SHOWN.get(form, form) for form in _FOREIGN}
)
_RUSSIAN_FORMS = "|".join(
    [re.escape(form).replace(r"\ ", r"\s+") for form in sorted(_LONG_FORMS, key=len, reverse=True)]
    + sorted(_SHORT_FORMS)
)
_LEADING_FORM = re.compile(rf"({_RUSSIAN_FORMS})(?=[\s\"«“„'(]|$)[\s.,:]*", re.IGNORECASE)
_DOT = r"\.?"
_TRAILING_FORM = re.compile(
    rf"[\s,]+\(?({_RUSSIAN_FORMS}|{'|'.join(_DOT.join(form) for form in sorted(_FOREIGN))})\.?\)?",
    re.IGNORECASE,
)
_OPENING, _CLOSING = "«\"“„'‘‹", "»\"”“'’›"


def _form_key(form: str) -> str:
    return " ".join(form.lower().replace(".", "").split())


@lru_cache(maxsize=20_000)
def _split_company(text: str) -> CompanyName:
    name, form = text, ""
    if match := _LEADING_FORM.match(name):
        form, name = _FORMS[_form_key(match[1])], name[match.end() :]
    elif match := re.search(_TRAILING_FORM.pattern + r"$", name, re.IGNORECASE):
        form, name = _FORMS[_form_key(match[1])], name[: match.start()]
    name = _unquoted(name.strip(" ,"))
    return CompanyName(name, form) if name else CompanyName(_unquoted(text))


def _unquoted(name: str) -> str:
    """Take off quotes that hold the whole name, and not those of «Томскнефть» ВНК."""
    while len(name) > 2 and name[0] in _OPENING and name[-1] in _CLOSING:
        inner = name[1:-1]
        depth = 0
        for character in inner:
            depth += (character in "«“„") - (character in "»”")
            if depth < 0:
                return name
        if name[0] in "\"'" and inner.count(name[0]) % 2:
            return name
        name = inner.strip()
    return name


def clean_company_name(cell: Cell) -> Cleaned[CompanyName]:
    """Take a company's name apart into the name proper and its legal form."""
    source = cell_text(cell)
    text = tidy(source)
    if not text:
        return _EMPTY
    if not any(character.isalnum() for character in text):
        return _refuse("company_no_letters", _("“${value}” is not a name", mapping={"value": _quote(text)}), source)
    if len(text) > 500:
        return _refuse("name_too_long", _("“${value}” is too long for a name", mapping={"value": _quote(text)}), source)
    name = _split_company(text)
    return Cleaned(name, name.full != source, None, source)


def company_key(text: str) -> str:
    """Return the key by which two ways to write one company are equal: no form, quotes, signs or case."""
    return re.sub(r"[\W_]+", "", sort_key(_split_company(tidy(text)[:_LONGEST]).name))


# --- Dates ---

_DMY = re.compile(r"(\d{1,2})\s?([./\-])\s?(\d{1,2})\s?[./\-]\s?(\d{4}|\d{2})(?:\s?г(?:ода?)?\.?)?")
_YMD = re.compile(r"(\d{4})([./\-])(\d{1,2})[./\-](\d{1,2})")
_EIGHT = re.compile(r"(\d{4})(\d\d)(\d\d)")
_DAY_MONTH_WORD = re.compile(
    r"(\d{1,2})(?:-?(?:го|е|st|nd|rd|th))?[\s.\-]+([а-яёa-z]{3,})[.,]?[\s\-]+(\d{4}|\d{2})(?:\s?г(?:ода?)?\.?)?", re.I
)
_MONTH_WORD_DAY = re.compile(r"([а-яёa-z]{3,})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})", re.IGNORECASE)
_TIME_AFTER = re.compile(r"[\sTт,]+(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?\s*(Z|[+\-]\d\d:?\d\d)?$")
_MONTHS = {
    "янв": 1, "фев": 2, "мар": 3, "апр": 4, "май": 5, "мая": 5, "маи": 5, "июн": 6, "июл": 7, "авг": 8, "сен": 9,
    "окт": 10, "ноя": 11, "дек": 12, "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8,
    "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_EXCEL_DAY_ZERO = dt.date(1899, 12, 30)


def clean_date(cell: Cell, birthday: bool = False, today: dt.date | None = None) -> Cleaned[dt.date]:
    """Read a date in any usual form; a birthday must be neither in the future nor before 1900.

    Day comes before month, as people here write; only where that cannot be (``12/25/1984``) the month comes first.
    """
    source = cell_text(cell)
    today = today or clock.today()
    if isinstance(cell, dt.datetime):
        return _checked_date(cell.date(), False, birthday, today, source)
    if isinstance(cell, dt.date):
        return _checked_date(cell, False, birthday, today, source)
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return _excel_date(cell, birthday, today, source)
    text = tidy(source)
    if not text:
        return _EMPTY
    if len(text) > _LONGEST:
        return _refuse("date_unknown", _("“${value}” is not a date", mapping={"value": _quote(text)}), source)
    return _read_date(_TIME_AFTER.sub("", text), text, birthday, today, source)


def _read_date(text: str, shown: str, birthday: bool, today: dt.date, source: str) -> Cleaned[dt.date]:
    if match := _DMY.fullmatch(text):
        day, sign, month, year = int(match[1]), match[2], int(match[3]), _year(match[4], birthday, today)
        if month > 12 >= day:
            day, month = month, day
        usual = sign == "." and len(match[4]) == 4 and match[0][-1].isdigit()
        return _made_date(year, month, day, not usual, birthday, today, source)
    if match := _YMD.fullmatch(text):
        return _made_date(int(match[1]), int(match[3]), int(match[4]), match[2] != "-", birthday, today, source)
    if match := _DAY_MONTH_WORD.fullmatch(text):
        number = _MONTHS.get(match[2][:3].lower())
        if number:
            return _made_date(_year(match[3], birthday, today), number, int(match[1]), True, birthday, today, source)
    if match := _MONTH_WORD_DAY.fullmatch(text):
        number = _MONTHS.get(match[1][:3].lower())
        if number:
            return _made_date(int(match[3]), number, int(match[2]), True, birthday, today, source)
    if match := _EIGHT.fullmatch(text):
        if 1900 <= int(match[1]) <= 2200 and int(match[2]) <= 12:
            return _made_date(int(match[1]), int(match[2]), int(match[3]), True, birthday, today, source)
        return _made_date(int(text[4:]), int(text[2:4]), int(text[:2]), True, birthday, today, source)
    if re.fullmatch(r"\d{5}(?:[.,]\d+)?", text):
        return _excel_date(float(text.replace(",", ".")), birthday, today, source)
    return _refuse("date_unknown", _("“${value}” is not a date", mapping={"value": _quote(shown)}), source)


def _year(text: str, birthday: bool, today: dt.date) -> int:
    """Give two digits their century: a birthday lies behind, another date at most twenty years ahead."""
    if len(text) == 4:
        return int(text)
    year = today.year - today.year % 100 + int(text)
    return year - 100 if year > today.year + (0 if birthday else 20) else year


def _made_date(
    year: int, month: int, day: int, changed: bool, birthday: bool, today: dt.date, source: str
) -> Cleaned[dt.date]:
    try:
        value = dt.date(year, month, day)
    except ValueError:
        return _refuse(
            "date_impossible", _("There is no such day as “${value}”", mapping={"value": _quote(source)}), source
        )
    if birthday and value > today and re.search(r"(?<!\d)\d\d(?:\s?г\S*)?$", source.strip()):
        value = value.replace(year=value.year - 100)
    return _checked_date(value, changed, birthday, today, source)


def _checked_date(value: dt.date, changed: bool, birthday: bool, today: dt.date, source: str) -> Cleaned[dt.date]:
    if birthday and value > today:
        return _refuse(
            "date_future", _("The birthday “${value}” is in the future", mapping={"value": _quote(source)}), source
        )
    if not 1900 <= value.year <= (today.year if birthday else 2200):
        return _refuse(
            "date_out_of_range",
            _("The year of “${value}” is hardly right", mapping={"value": _quote(source)}),
            source,
        )
    return Cleaned(value, changed, None, source)


def _excel_date(days: int | float, birthday: bool, today: dt.date, source: str) -> Cleaned[dt.date]:
    if math.isfinite(days) and 1 <= days < 150_000:
        return _checked_date(_EXCEL_DAY_ZERO + dt.timedelta(days=int(days)), True, birthday, today, source)
    return _refuse("date_unknown", _("“${value}” is not a date", mapping={"value": _quote(source)}), source)


def clean_datetime(cell: Cell, tz: str | dt.tzinfo = dt.UTC, today: dt.date | None = None) -> Cleaned[dt.datetime]:
    """Read a moment; one without a zone is local to ``tz``, one without a time is midnight. The answer is in UTC."""
    if isinstance(cell, dt.datetime):
        local = cell if cell.tzinfo else cell.replace(tzinfo=clock.zone(tz))
        return Cleaned(local.astimezone(dt.UTC), source=cell_text(cell))
    source = cell_text(cell)
    text = tidy(source)[:_LONGEST] if isinstance(cell, str) else ""
    match = _TIME_AFTER.search(text)
    day = clean_date(text[: match.start()] if match else cell, today=today)
    if day.value is None:
        return Cleaned(None, False, day.problem, source)
    zone: dt.tzinfo = clock.zone(tz)
    time = dt.time()
    if match:
        try:
            time = dt.time(int(match[1]), int(match[2]), int(match[3] or 0))
        except ValueError:
            return _refuse(
                "time_impossible", _("There is no such time as “${value}”", mapping={"value": _quote(text)}), source
            )
        if match[4]:
            zone = dt.datetime.strptime(match[4].replace("Z", "+0000"), "%z").tzinfo or dt.UTC
    elif isinstance(cell, float):
        minutes, seconds = divmod(round(cell % 1 * 86400) % 86400, 60)
        time = dt.time(minutes // 60, minutes % 60, seconds)
    return Cleaned(dt.datetime.combine(day.value, time, zone).astimezone(dt.UTC), day.changed, None, source)


# --- Money and numbers ---

_CURRENCIES = {
    "₽": "RUB", "р": "RUB", "руб": "RUB", "рубль": "RUB", "рублей": "RUB", "рубля": "RUB", "rub": "RUB", "rur": "RUB",
    "$": "USD", "usd": "USD", "долл": "USD", "€": "EUR", "eur": "EUR", "евро": "EUR", "₸": "KZT", "kzt": "KZT",
    "тенге": "KZT", "тг": "KZT", "byn": "BYN", "£": "GBP", "gbp": "GBP", "cny": "CNY", "¥": "CNY",
}  # fmt: skip
_MULTIPLIERS = {
    "тыс": 10**3, "тысяч": 10**3, "тысячи": 10**3, "т": 10**3, "k": 10**3, "к": 10**3, "млн": 10**6, "миллион": 10**6,
    "миллиона": 10**6, "миллионов": 10**6, "mln": 10**6, "m": 10**6, "млрд": 10**9, "bn": 10**9,
}  # fmt: skip
_AMOUNT = re.compile(
    r"(?P<before>[^\W\d_]+|[₽$€₸£¥])?\.?\s*(?P<sign>[-+−–]?)\s*(?P<digits>\d[\d\s.,'’]*)\s*(?P<after>.*)", re.DOTALL
)
_PLAIN_AMOUNT = re.compile(r"-?\d{1,15}(?:[.,]\d{1,2})?", re.ASCII)
_GROUPED_AMOUNT = re.compile(r"-?\d{1,3}(?:[ \u00a0\u202f]\d{3}){0,4}(?:[.,]\d{1,2})?", re.ASCII)
_MONEY_STEP = Decimal("0.0001")


def clean_money(cell: Cell, currency: str | None = "RUB", allow_negative: bool = False) -> Cleaned[Decimal]:
    """Read an amount: ``1 200,50``, ``1,200.50``, ``15 тыс. ₽``. Another currency than the given one is refused."""
    return _clean_amount(cell, currency, allow_negative, money=True)


def clean_number(cell: Cell, integer: bool = False, allow_negative: bool = True) -> Cleaned[Decimal]:
    """Read a number with a comma or a point, with or without spaces between thousands."""
    number = _clean_amount(cell, None, allow_negative, money=False)
    if integer and number.value is not None and number.value != number.value.to_integral_value():
        return _refuse(
            "number_not_whole",
            _("“${value}” is not a whole number", mapping={"value": _quote(number.source)}),
            number.source,
        )
    return number


def _clean_amount(cell: Cell, currency: str | None, allow_negative: bool, money: bool) -> Cleaned[Decimal]:
    source = cell_text(cell)
    shown = {"value": _quote(source)}
    changed = False
    remark: Problem | None = None
    if isinstance(cell, bool):
        return _not_a_number(shown, source, money)
    if isinstance(cell, int | float | Decimal):
        try:
            value = Decimal(source)
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite():
            return _not_a_number(shown, source, money)
    elif _PLAIN_AMOUNT.fullmatch(source) or _GROUPED_AMOUNT.fullmatch(source):
        value = Decimal("".join(source.split()).replace(",", "."))
    else:
        text = tidy(restore_formula(source))
        if not text:
            return _EMPTY
        if _SCIENTIFIC.fullmatch(text):
            return _refuse(
                "number_shortened", _("“${value}” is a shortened number: write it in full", mapping=shown), source
            )
        parts = _amount_parts(text) if len(text) <= _LONGEST else None
        if parts is None or (not money and parts.currency):
            return _not_a_number(shown, source, money)
        if parts.currency and currency and parts.currency != currency:
            return _refuse(
                "money_currency",
                _(
                    "“${value}” is in ${found}, expected ${expected}",
                    mapping=shown | {"found": parts.currency, "expected": currency},
                ),
                source,
            )
        value, changed = parts.value, parts.changed
        if parts.ambiguous:
            remark = Problem(
                "number_ambiguous",
                _("“${value}” was read as ${number}", mapping=shown | {"number": format(value, "f")}),
            )
    if value < 0 and not allow_negative:
        return _refuse("number_negative", _("“${value}” is less than zero", mapping=shown), source)
    if abs(value) >= Decimal(10) ** 15:
        return _refuse("number_too_large", _("“${value}” is too large a number", mapping=shown), source)
    if money and value != value.quantize(_MONEY_STEP):
        value, changed = value.quantize(_MONEY_STEP), True
    return Cleaned(value, changed, remark, source)


def _not_a_number(shown: dict[str, str], source: str, money: bool) -> Cleaned[Any]:
    if money:
        return _refuse("money_not_number", _("“${value}” is not an amount of money", mapping=shown), source)
    return _refuse("number_not_number", _("“${value}” is not a number", mapping=shown), source)


@dataclass(frozen=True, slots=True)
class _Amount:
    value: Decimal
    currency: str
    changed: bool
    ambiguous: bool


def _amount_parts(text: str) -> _Amount | None:
    bracketed = text.startswith("(") and text.endswith(")")
    match = _AMOUNT.fullmatch(text[1:-1].strip() if bracketed else text)
    if match is None:
        return None
    words = [word for word in re.split(r"[\s.\-=—]+", f"{match['before'] or ''} {match['after']}".lower()) if word]
    money, multiplier = "", 1
    for word in words:
        if word in _CURRENCIES and not money:
            money = _CURRENCIES[word]
        elif word in _MULTIPLIERS and multiplier == 1:
            multiplier = _MULTIPLIERS[word]
        elif word == "00" and match["after"].lstrip().startswith("-"):
            continue  # «1200-00» is how accountants write roubles and kopecks
        else:
            return None
    digits = re.sub(r"[\s'’]", "", match["digits"]).rstrip(".,")
    plain, ambiguous = _decimal_point(digits)
    if plain is None:
        return None
    value = Decimal(plain) * multiplier
    if bracketed or (match["sign"] in "-−–" and match["sign"]):
        value = -value
    return _Amount(value, money, bool(words or bracketed or ambiguous or ("," in digits and "." in digits)), ambiguous)


def _decimal_point(digits: str) -> tuple[str | None, bool]:
    """Tell a decimal sign from a sign between thousands; three digits after a single sign are taken for thousands."""
    commas, points = digits.count(","), digits.count(".")
    if commas and points:
        decimal = "," if digits.rfind(",") > digits.rfind(".") else "."
        other = "." if decimal == "," else ","
        if digits.count(decimal) > 1 or not re.fullmatch(
            rf"\d{{1,3}}(?:{re.escape(other)}\d{{3}})+", digits.split(decimal)[0]
        ):
            return None, False
        return digits.replace(other, "").replace(decimal, "."), False
    sign = "," if commas else "."
    if commas + points > 1:
        grouped = re.fullmatch(rf"\d{{1,3}}(?:{re.escape(sign)}\d{{3}})+", digits)
        return (digits.replace(sign, ""), False) if grouped else (None, False)
    if re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", digits):
        return digits.replace(sign, ""), True
    return digits.replace(",", "."), False


# --- Requisites ---

_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015.]+")
_INN_WEIGHTS_10 = (2, 4, 10, 3, 5, 9, 4, 6, 8)
_INN_WEIGHTS_11 = (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
_INN_WEIGHTS_12 = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)


def _code_text(cell: Cell, label: str) -> tuple[str, str]:
    """Return a code without spaces, its own name before it and the ``.0`` of a spreadsheet, and the source."""
    source = cell_text(cell)
    if source.isdigit() and source.isascii():
        return source, source
    text = tidy(restore_formula(source))
    if match := _WHOLE_FLOAT.fullmatch(text):
        text = match[1]
    text = re.sub(rf"^(?:{label})\s*[:№]?\s*", "", text, flags=re.IGNORECASE)
    return _SEPARATORS.sub("", text).upper(), source


def _check_digit(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False)) % 11 % 10


def _inn_is_right(digits: str) -> bool:
    if len(digits) == 10:
        return int(digits[9]) == _check_digit(digits, _INN_WEIGHTS_10) and int(digits) != 0
    return (
        len(digits) == 12
        and int(digits[10]) == _check_digit(digits, _INN_WEIGHTS_11)
        and int(digits[11]) == _check_digit(digits, _INN_WEIGHTS_12)
        and int(digits) != 0
    )


def clean_inn(cell: Cell) -> Cleaned[str]:
    """Check a ИНН by its control digits; a leading zero that a spreadsheet has eaten is put back."""
    text, source = _code_text(cell, "инн|inn")
    if not text:
        return _EMPTY
    shown = {"value": _quote(source)}
    if not (text.isdigit() and text.isascii()):
        return _refuse("inn_not_digits", _("INN “${value}” must have digits only", mapping=shown), source)
    if len(text) in (9, 11) and _inn_is_right("0" + text):
        text = "0" + text
    if len(text) not in (10, 12):
        return _refuse(
            "inn_length",
            _("INN “${value}” has ${count} digits, not 10 or 12", mapping=shown | {"count": len(text)}),
            source,
        )
    if not _inn_is_right(text):
        return _refuse("inn_checksum", _("INN “${value}” has a wrong control digit", mapping=shown), source)
    return Cleaned(text, text != source, None, source)


def split_inn_kpp(text: str) -> tuple[str, str]:
    """Split the «ИНН/КПП» that some programs write into one cell."""
    inn, _slash, kpp = text.replace("\\", "/").partition("/")
    return inn.strip(), kpp.strip()


def clean_kpp(cell: Cell) -> Cleaned[str]:
    """Check the shape of a КПП."""
    text, source = _code_text(cell, "кпп|kpp")
    if not text:
        return _EMPTY
    if len(text) == 8 and text.isdigit():
        text = "0" + text
    if not re.fullmatch(r"[0-9]{4}[0-9A-Z]{2}[0-9]{3}", text):
        return _refuse(
            "kpp_invalid", _("KPP “${value}” must have nine digits", mapping={"value": _quote(source)}), source
        )
    return Cleaned(text, text != source, None, source)


def clean_ogrn(cell: Cell) -> Cleaned[str]:
    """Check an ОГРН (13 digits) or ОГРНИП (15) by its control digit."""
    text, source = _code_text(cell, "огрнип|огрн|ogrnip|ogrn")
    if not text:
        return _EMPTY
    shown = {"value": _quote(source)}
    if not re.fullmatch(r"[0-9]{13}|[0-9]{15}", text):
        return _refuse("ogrn_length", _("OGRN “${value}” must have 13 or 15 digits", mapping=shown), source)
    if int(text[:-1]) % (11 if len(text) == 13 else 13) % 10 != int(text[-1]) or int(text) == 0:
        return _refuse("ogrn_checksum", _("OGRN “${value}” has a wrong control digit", mapping=shown), source)
    return Cleaned(text, text != source, None, source)


def clean_bik(cell: Cell) -> Cleaned[str]:
    """Check the shape of a bank's БИК."""
    text, source = _code_text(cell, "бик|bik")
    if not text:
        return _EMPTY
    if len(text) == 8 and text.isdigit():
        text = "0" + text
    if not re.fullmatch(r"[0-2][0-9]{8}", text, re.ASCII) or int(text) == 0:
        return _refuse(
            "bik_invalid", _("BIK “${value}” must have nine digits", mapping={"value": _quote(source)}), source
        )
    return Cleaned(text, text != source, None, source)


def clean_account(cell: Cell, bik: str | None = None, correspondent: bool = False) -> Cleaned[str]:
    """Check an account of 20 digits, and its control digit where the bank's БИК is known."""
    text, source = _code_text(cell, r"р/с|к/с|р/сч|корр?\.?\s*счет|расч\.?\s*счет|счет")
    if not text:
        return _EMPTY
    shown = {"value": _quote(source)}
    if not re.fullmatch(r"[0-9]{20}", text):
        if _SCIENTIFIC.fullmatch(source.strip()) or isinstance(cell, float):
            return _refuse(
                "account_shortened",
                _(
                    "“${value}” was shortened by the spreadsheet and has lost digits: make the column a text one",
                    mapping=shown,
                ),
                source,
            )
        return _refuse("account_length", _("Account “${value}” must have 20 digits", mapping=shown), source)
    if isinstance(cell, float):
        return _refuse(
            "account_shortened",
            _(
                "“${value}” was shortened by the spreadsheet and has lost digits: make the column a text one",
                mapping=shown,
            ),
            source,
        )
    if bik and re.fullmatch(r"[0-9]{9}", bik):
        # Accounts of the central bank's own offices carry no number of a bank in their control key.
        of_central_bank = correspondent or bik[6:] in ("000", "001", "002")
        keyed = ("0" + bik[4:6] if of_central_bank else bik[6:]) + text
        if sum(int(digit) * weight for digit, weight in zip(keyed, (7, 1, 3) * 8, strict=False)) % 10:
            return _refuse(
                "account_checksum",
                _("Account “${value}” does not belong to the bank with BIK ${bik}", mapping=shown | {"bik": bik}),
                source,
            )
    return Cleaned(text, text != source, None, source)
