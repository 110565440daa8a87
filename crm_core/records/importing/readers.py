"""Reads tables out of files: CSV in any usual encoding, XLSX, XLS, ODS and vCard, row by row and without losing one.

The engine of import, the preview and the command line call :func:`open_table`. A row that cannot be trusted (too many
or too few cells, an unclosed quote, bytes of another encoding, nothing in it) is given out like any other, with a
:class:`~crm_core.records.cleaning.Problem`, so that it ends among the rejected and neither shifts nor vanishes.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import io
import itertools
import quopri
import re
import string
import struct
import zipfile
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from xml.parsers import expat

import python_calamine

from crm_core.i18n import TranslationString, _
from crm_core.records.cleaning import Cell, Problem, cell_text, restore_formula, tidy

__all__ = ["DELIMITERS", "ENCODINGS", "FORMATS", "Limits", "Row", "Table", "TableError", "open_table"]

ENCODINGS = ("utf-8", "utf-8-sig", "cp1251", "koi8-r", "cp866", "utf-16")
"""Encodings a person may choose by hand when the guess is wrong."""

DELIMITERS = (",", ";", "\t", "|")
"""Signs between cells that are looked for."""

FORMATS = ("csv", "xlsx", "xls", "ods", "vcf")
"""What can be read."""


class TableError(Exception):
    """Says why a file cannot be read as a table, in a sentence for the person who gave it."""

    def __init__(self, code: str, message: TranslationString) -> None:
        super().__init__(code, message.interpolate())
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Limits:
    """Holds how large a file may be before it is refused, so that none fills memory or disk."""

    file_bytes: int = 200 * 1024 * 1024
    workbook_bytes: int = 50 * 1024 * 1024
    unpacked_bytes: int = 600 * 1024 * 1024
    sheet_cells: int = 10_000_000
    columns: int = 1_000
    line_chars: int = 1_000_000
    record_lines: int = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one row: its number as the person's own editor or Excel shows it, its cells, and what is wrong with it."""

    number: int
    cells: tuple[Cell, ...]
    problem: Problem | None = None

    @property
    def is_blank(self) -> bool:
        """Tell whether nothing is written in any cell."""
        return not any(cell_text(cell).strip() for cell in self.cells)

    def texts(self) -> list[str]:
        """Return the cells as a person sees them."""
        return [cell_text(cell) for cell in self.cells]


class _Source(Protocol):
    """A file opened in its own way: it gives raw rows, first to last, as often as it is asked."""

    def raw_rows(self) -> Iterator[Row]: ...


@dataclass(frozen=True, slots=True)
class Table:
    """Holds what was found in a file; :meth:`rows` reads it anew each time."""

    path: Path
    format: str
    encoding: str | None
    delimiter: str | None
    sheet: str | None
    sheets: tuple[str, ...]
    headers: list[str]
    header_row: int
    _source: _Source = field(repr=False)

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Give the rows below the header, those with a number above ``after``; empty ones at the end are no rows."""
        width = len(self.headers)
        blanks: list[Row] = []
        for row in self._source.raw_rows():
            if row.number <= self.header_row or row.number <= after:
                continue
            if row.problem is None:
                row = _fitted(row, width)
            # «;;;;» was written by somebody, an empty line or a coloured empty row of Excel was not.
            unwritten = self.format != "csv" or len(row.cells) <= 1
            if unwritten and row.problem is not None and row.problem.code == "row_blank":
                blanks.append(row)
                continue
            if blanks:
                yield from blanks
                blanks.clear()
            yield row

    def sample(self, count: int = 20) -> list[Row]:
        """Return the first rows, for the preview and for guessing what the columns are."""
        return list(itertools.islice(self.rows(), count))

    def count(self) -> int:
        """Count the rows, reading the file once."""
        return sum(1 for _row in self.rows())


def open_table(
    path: Path,
    *,
    name: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    header_row: int | None = None,
    limits: Limits | None = None,
) -> Table:
    """Open a file as a table, finding out whatever is not said: format, encoding, delimiter, sheet, header.

    ``name`` is what the person calls the file (``path`` may be a temporary one); ``header_row`` 0 says that there is no
    header and the columns are called A, B, C. Raises :class:`TableError`.
    """
    limits = limits or Limits()
    name = name or path.name
    size = path.stat().st_size
    if size == 0:
        raise TableError("file_empty", _("The file “${name}” is empty", mapping={"name": name}))
    if size > limits.file_bytes:
        raise _too_large(name, size, limits.file_bytes)
    file_format = _format_of(path, name)
    if file_format not in ("csv", "vcf") and size > limits.workbook_bytes:
        raise _too_large(name, size, limits.workbook_bytes)
    if file_format == "csv":
        return _open_csv(path, name, encoding, delimiter, header_row, limits)
    if file_format == "vcf":
        return _open_cards(path, name, encoding, limits)
    return _open_workbook(path, name, file_format, sheet, header_row, limits)


def _too_large(name: str, size: int, limit: int) -> TableError:
    return TableError(
        "file_too_large",
        _(
            "The file “${name}” has ${size} MB, at most ${limit} can be read: split it or save it as CSV",
            mapping={"name": name, "size": -(-size // 1024**2), "limit": limit // 1024**2},
        ),
    )


# --- What kind of file it is ---

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FOREIGN_MAGIC = {
    b"%PDF": "PDF",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"Rar!": "RAR",
    b"7z\xbc\xaf": "7z",
    b"\x1f\x8b": "gzip",
    b"{\\rtf": "RTF",
}


def _format_of(path: Path, name: str) -> str:
    with path.open("rb") as stream:
        head = stream.read(4096)
    if head.startswith(b"PK"):
        return _zip_format(path, name)
    if head.startswith(_OLE):
        return "xls"
    for magic, kind in _FOREIGN_MAGIC.items():
        if head.startswith(magic):
            raise TableError(
                "not_a_table",
                _(
                    "“${name}” is a ${kind} file, not a table: give CSV, XLSX, XLS or ODS",
                    mapping={"name": name, "kind": kind},
                ),
            )
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<html", b"<!doctype", b"<table", b"<?xml", b"<meta")):
        raise TableError(
            "web_page",
            _(
                "“${name}” is a web page under the name of a table: open it in Excel and save it as XLSX",
                mapping={"name": name},
            ),
        )
    if start.startswith(b"begin:vcard"):
        return "vcf"
    if b"\x00" in head and _utf_16(head) is None:
        raise _unreadable(name)
    return "csv"


def _zip_format(path: Path, name: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "xl/workbook.xml" in names:
                return "xlsx"
            if "content.xml" in names and "mimetype" in names:
                with archive.open("mimetype") as stream:
                    if b"spreadsheet" in stream.read(200):
                        return "ods"
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, RuntimeError, ValueError, EOFError) as error:
        raise _unreadable(name) from error
    if "xl/workbook.bin" in names:
        raise TableError("xlsb", _("“${name}” is a binary workbook (XLSB): save it as XLSX", mapping={"name": name}))
    raise TableError(
        "not_a_table", _("“${name}” is an archive, not a table: unpack it and give the table", mapping={"name": name})
    )


def _locked(name: str) -> TableError:
    return TableError(
        "password", _("“${name}” is protected by a password: save it without one", mapping={"name": name})
    )


def _unreadable(name: str) -> TableError:
    return TableError(
        "unreadable", _("“${name}” is damaged or not a table: give CSV, XLSX, XLS or ODS", mapping={"name": name})
    )


# --- Headers and rows of every format ---


def _fitted(row: Row, width: int) -> Row:
    """Mark a row that has not as many cells as the header; cells are never cut off or moved to fit."""
    cells = row.cells
    count = len(cells)
    if count == width:
        if any(cells) and not row.is_blank:
            return row
    elif count > width and not any(cells[width:]):
        cells = cells[:width]
        row = Row(row.number, cells)
        if not row.is_blank:
            return row
    if row.is_blank and (count <= 1 or count >= width):
        return Row(row.number, cells, Problem("row_blank", _("The row is empty")))
    return Row(
        row.number,
        cells,
        Problem(
            "row_width",
            _("The row has ${count} cells, the header has ${width}", mapping={"count": count, "width": width}),
        ),
    )


def _find_header(rows: Iterable[Row], name: str) -> Row:
    """Choose the first row that fills most of the width: titles of a report stand above it and fill one cell."""
    first = [row for row in itertools.islice(rows, 20) if not row.is_blank]
    if not first:
        raise TableError("no_rows", _("There is nothing in “${name}”", mapping={"name": name}))
    filled = [sum(1 for cell in row.cells if cell_text(cell).strip()) for row in first]
    # Twenty rows say where the bulk of the table is; a lone wide row among them must not push the header down.
    usual = sorted(filled)[len(filled) // 2]
    for row, count in zip(first, filled, strict=True):
        if count * 2 > usual and (count > 1 or usual <= 2):
            return row
    return first[0]


def _header_names(cells: Sequence[Cell]) -> list[str]:
    """Return names for the columns: a repeated one gets a number, an empty one the letter Excel gives the column."""
    texts = [tidy(restore_formula(cell_text(cell))) for cell in cells]
    while len(texts) > 1 and not texts[-1]:
        texts.pop()
    seen: Counter[str] = Counter()
    names = []
    for index, text in enumerate(texts):
        text = text or _column_letter(index)
        seen[text.lower()] += 1
        names.append(text if seen[text.lower()] == 1 else f"{text} ({seen[text.lower()]})")
    return names


def _column_letter(index: int) -> str:
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _headers(
    source: _Source, header_row: int | None, name: str, limits: Limits, skip: int = 0
) -> tuple[list[str], int]:
    """Return the names of the columns and the number of the row where they end."""
    if header_row == 0:
        first = next((row for row in source.raw_rows() if not row.is_blank), None)
        if first is None:
            raise TableError("no_rows", _("There is nothing in “${name}”", mapping={"name": name}))
        return [_column_letter(index) for index in range(len(first.cells))], skip
    if header_row is None:
        header = _find_header(source.raw_rows(), name)
    else:
        found = next((row for row in source.raw_rows() if row.number >= header_row), None)
        if found is None:
            raise TableError("no_header", _("“${name}” has no row ${row}", mapping={"name": name, "row": header_row}))
        header = found
    if len(header.cells) > limits.columns:
        raise TableError(
            "too_many_columns",
            _(
                "“${name}” has ${count} columns, at most ${limit} can be read",
                mapping={"name": name, "count": len(header.cells), "limit": limits.columns},
            ),
        )
    return _header_names(header.cells), header.number


# --- CSV: encoding ---

_SAMPLE_BYTES = 256 * 1024
_CHUNK = 1024 * 1024
_RUSSIAN_LETTERS = {
    letter: weight
    for weight, letters in ((9, "оеаи"), (6, "нтсрвл"), (3, "кмдпуя"), (1, "ыьгзбчйхжшюцщэфё"), (-6, "ъ"))
    for letter in letters
}
_CYRILLIC_WORD = re.compile(r"[а-яё]+|[А-ЯЁ][а-яё]*|[А-ЯЁ]{2,}")


def _utf_16(head: bytes) -> str | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = head[0:2000:2].count(0), head[1:2000:2].count(0)
    half = max(1, min(len(head), 2000) // 2)
    if odd > half * 0.3 and even == 0:
        return "utf-16-le"
    if even > half * 0.3 and odd == 0:
        return "utf-16-be"
    return None


def detect_encoding(path: Path) -> str:
    """Find the encoding of a text: UTF-8 if the whole file agrees, else the one that reads most like Russian."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    if wide := _utf_16(head):
        return wide
    signed = head.startswith(codecs.BOM_UTF8)
    good, bad, sample = _utf_8_verdict(path)
    # A few spoilt bytes in a good UTF-8 file are a fault of rows, not of the file.
    if bad == 0 or good > 20 * bad:
        return "utf-8-sig" if signed else "utf-8"
    return max(("cp1251", "koi8-r", "cp866"), key=lambda name: _russian_score(sample.decode(name, "replace")))


def _utf_8_verdict(path: Path) -> tuple[int, int, bytes]:
    """Count the letters outside ASCII that are right and wrong as UTF-8, and collect lines that have such."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    good = bad = 0
    sample = bytearray()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            if chunk.isascii() and not decoder.getstate()[0]:
                continue
            if len(sample) < _SAMPLE_BYTES:
                lines = (line for line in chunk.split(b"\n") if not line.isascii())
                for line in lines:
                    sample += line + b"\n"
                    if len(sample) >= _SAMPLE_BYTES:
                        break
            text = decoder.decode(chunk)
            broken = text.count("\ufffd")
            bad += broken
            good += len(text.encode("utf-8", "replace")) - len(text) - 2 * broken
        bad += decoder.decode(b"", True).count("\ufffd")
    return good, bad, bytes(sample[:_SAMPLE_BYTES])


def _russian_score(text: str) -> int:
    """Weigh a text as Russian: frequent letters, and words written in one case or with a capital only at the start."""
    score = 0
    for letter, count in Counter(text.lower()).items():
        if letter in _RUSSIAN_LETTERS:
            score += _RUSSIAN_LETTERS[letter] * count
        elif letter == "\ufffd" or "\x80" <= letter <= "\x9f":
            score -= 20 * count
        elif letter > "\x7f":
            score -= 2 * count
    words = _CYRILLIC_WORD.findall(text)
    return score + sum(3 * (len(word) - 3) for word in words)


# --- CSV: rows ---


@dataclass(frozen=True, slots=True)
class _Csv:
    path: Path
    encoding: str
    delimiter: str
    skip: int
    limits: Limits
    name: str

    def raw_rows(self) -> Iterator[Row]:
        with self.path.open("r", encoding=self.encoding, errors="replace", newline="") as stream:
            lines = _Lines(stream, self.limits, self.name)
            for _line in range(self.skip):
                lines.drop()
            yield from _records(lines, self.delimiter)


def _line_too_long(name: str) -> TableError:
    return TableError("line_too_long", _("“${name}” has a line too long for a table", mapping={"name": name}))


class _Lines:
    """Gives lines to the CSV parser, remembers those of the present record and takes back the unused.

    The parser takes a further line only inside quotes; so when the lines end in the middle of a record, a quote in it
    was never closed.
    """

    def __init__(self, stream: io.TextIOBase, limits: Limits, name: str) -> None:
        self._stream = stream
        self._limits = limits
        self._name = name
        self._returned: deque[str] = deque()
        self.number = 0
        self.taken: list[str] = []
        self.is_cut = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= self._limits.record_lines:
            self.is_cut = True
            raise StopIteration
        line = self._read()
        if not line:
            self.is_cut = bool(self.taken)
            raise StopIteration
        self.taken.append(line)
        return line

    def _read(self) -> str:
        if self._returned:
            return self._returned.popleft()
        try:
            line = self._stream.readline(self._limits.line_chars)
        except UnicodeError as error:
            raise _unreadable(self._name) from error
        if len(line) >= self._limits.line_chars:
            raise _line_too_long(self._name)
        return line

    def begin(self) -> None:
        """Start the next record."""
        self.number += len(self.taken)
        self.taken = []
        self.is_cut = False

    def keep_first(self) -> str:
        """End the record after its first line; the others are read again."""
        first, *rest = self.taken
        self._returned.extendleft(reversed(rest))
        self.taken = [first]
        self.is_cut = False
        return first

    def drop(self) -> None:
        """Leave out one line."""
        self.begin()
        next(self, None)


def _records(lines: _Lines, delimiter: str) -> Iterator[Row]:
    # Strict, or a quote closed in the middle of a later row would swallow the rows between without a word.
    parser = csv.reader(lines, delimiter=delimiter, strict=True)
    width = 0
    while True:
        lines.begin()
        try:
            cells = next(parser)
            is_broken = lines.is_cut or (len(lines.taken) > 1 and width > 0 and len(cells) != width)
        except StopIteration:
            return
        except csv.Error:
            cells, is_broken = [], True
        number = lines.number + 1
        if is_broken:
            yield _mended(lines.keep_first(), number, delimiter, width)
            continue
        width = width or (len(cells) if len(cells) > 1 else 0)
        yield _raw_row(number, cells)


def _mended(line: str, number: int, delimiter: str, width: int) -> Row:
    """Read a line whose quotes are not in order; it counts as good only if it then has the width of the others."""
    line = line.rstrip("\r\n")
    if line.count('"') % 2 == 0:
        with_quotes = next(csv.reader([line], delimiter=delimiter), [])
        if len(with_quotes) == width:
            return _raw_row(number, with_quotes)
    row = _raw_row(number, line.split(delimiter))
    problem = Problem("row_quotes", _("A quotation mark is opened in the row and not closed"))
    return Row(row.number, row.cells, row.problem or problem)


def _raw_row(number: int, cells: list[str]) -> Row:
    problem = None
    joined = "".join(cells)
    if "\ufffd" in joined:
        problem = Problem("row_encoding", _("The row has bytes of another encoding"))
    if "'" in joined:
        return Row(number, tuple(map(restore_formula, cells)), problem)
    return Row(number, tuple(cells), problem)


def _open_csv(
    path: Path, name: str, encoding: str | None, delimiter: str | None, header_row: int | None, limits: Limits
) -> Table:
    encoding = encoding or detect_encoding(path)
    try:
        codecs.lookup(encoding)
        with path.open("r", encoding=encoding, errors="replace", newline="") as stream:
            first_lines = [stream.readline(limits.line_chars) for _line in range(60)]
    except (LookupError, UnicodeError) as error:
        raise TableError(
            "encoding", _("“${name}” cannot be read as ${encoding}", mapping={"name": name, "encoding": encoding})
        ) from error
    if encoding == "utf-8" and first_lines[0].startswith("\ufeff"):
        encoding = "utf-8-sig"
        first_lines[0] = first_lines[0][1:]
    said = re.fullmatch(r"\"?sep=(.)\"?\s*", first_lines[0], re.IGNORECASE)
    skip = 1 if said else 0
    delimiter = delimiter or (said[1] if said else _detect_delimiter(first_lines[skip:]))
    source = _Csv(path, encoding, delimiter, skip, limits, name)
    headers, row = _headers(source, header_row, name, limits, skip)
    return Table(path, "csv", encoding, delimiter, None, (), headers, row, source)


def _detect_delimiter(lines: Sequence[str]) -> str:
    """Choose the sign by which most rows have the same number of cells, the more the better."""
    text = "".join(lines)
    best, best_score = ",", 0.0
    for sign in DELIMITERS:
        try:
            widths = [len(cells) for cells in csv.reader(io.StringIO(text, newline=""), delimiter=sign) if cells]
        except csv.Error:
            continue
        if not widths:
            continue
        width, count = Counter(widths).most_common(1)[0]
        score = count / len(widths) * (width - 1) ** 0.5
        if widths[0] == 1:
            # A comma of sums stands in every row but the header.
            score /= 2
        if score > best_score:
            best, best_score = sign, score
    return best


# --- Business cards (vCard) ---

_CARD_COLUMNS = {
    "FN": "ФИО",
    "ORG": "Компания",
    "TITLE": "Должность",
    "TEL": "Телефон",
    "EMAIL": "E-mail",
    "BDAY": "Дата рождения",
    "ADR": "Адрес",
    "URL": "Сайт",
    "CATEGORIES": "Теги",
    "NOTE": "Комментарий",
}
"""Properties of a card and the headers they stand under."""

_CARD_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CARD_CHARSET = re.compile(r"CHARSET=\"?([\w\-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Cards:
    path: Path
    encoding: str
    limits: Limits
    name: str

    def raw_rows(self) -> Iterator[Row]:
        yield Row(0, tuple(_CARD_COLUMNS.values()))
        with self.path.open("r", encoding=self.encoding, errors="replace", newline=None) as stream:
            number = 0
            lines: list[str] = []
            wanted, is_wanted = {"N", *_CARD_COLUMNS}, False
            for line_number, line in enumerate(self._unfolded(stream), start=1):
                mark = line.strip().upper()
                if mark in ("BEGIN:VCARD", "END:VCARD") and lines:
                    if mark == "BEGIN:VCARD":
                        yield self._card(number, lines, is_closed=False)
                        number, lines = line_number, [line]
                    else:
                        yield self._card(number, lines, is_closed=True)
                        lines = []
                elif mark == "BEGIN:VCARD":
                    number, lines = line_number, [line]
                elif lines:
                    # A photograph is thousands of folded lines, and of no use to a table.
                    if line[:1] not in (" ", "\t") and ":" in line:
                        is_wanted = _card_key(line) in wanted
                    if is_wanted and len(lines) < self.limits.record_lines:
                        lines.append(line)
            if lines:
                yield self._card(number, lines, is_closed=False)

    def _unfolded(self, stream: io.TextIOBase) -> Iterator[str]:
        """Give lines as they stand: a card joins the folded ones itself, for their numbers must stay true."""
        while line := stream.readline(self.limits.line_chars):
            if len(line) >= self.limits.line_chars:
                raise TableError(
                    "line_too_long", _("“${name}” has a line too long for a table", mapping={"name": self.name})
                )
            yield line.rstrip("\n")

    def _card(self, number: int, lines: Sequence[str], is_closed: bool) -> Row:
        values: dict[str, list[str]] = {key: [] for key in _CARD_COLUMNS}
        parts = ""
        for line in _joined_lines(lines):
            label, _colon, value = line.partition(":")
            key, details = _card_key(line), label.partition(";")[2]
            if key == "N":
                parts = " ".join(_card_parts(_card_text(value, details))[:3])
            elif key in values and value:
                text = _card_text(value, details)
                if key in ("ORG", "ADR"):
                    text = ", ".join(part for part in _card_parts(text) if part)
                values[key].append(_CARD_ESCAPE.sub(lambda match: "\n" if match[1] in "nN" else match[1], text).strip())
        if not values["FN"] and parts:
            values["FN"].append(parts)
        row = _raw_row(number, ["\n".join(filter(None, found)) for found in values.values()])
        if row.problem is None and not is_closed:
            return Row(number, row.cells, Problem("card_unclosed", _("The card has no end")))
        return row


def _card_key(line: str) -> str:
    """Return the property of a line: ``item1.TEL;CELL:…`` is a ``TEL``."""
    return re.split("[:;]", line, maxsplit=1)[0].rpartition(".")[2].upper()


def _joined_lines(lines: Sequence[str]) -> list[str]:
    """Join the folded lines of a card: those after it that begin with a space, or follow a soft line break."""
    joined: list[str] = []
    for line in lines:
        if joined and line[:1] in (" ", "\t"):
            joined[-1] += line[1:]
        elif joined and joined[-1].endswith("=") and "QUOTED-PRINTABLE" in joined[-1].partition(":")[0].upper():
            joined[-1] = joined[-1][:-1] + line
        else:
            joined.append(line)
    return joined


def _card_text(value: str, details: str) -> str:
    if "QUOTED-PRINTABLE" not in details.upper():
        return value
    charset = _CARD_CHARSET.search(details)
    content = quopri.decodestring(value.encode("ascii", "ignore"))
    try:
        return content.decode(charset[1] if charset else "utf-8", "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


def _card_parts(text: str) -> list[str]:
    """Split a value at the semicolons that are not escaped."""
    return [part.strip() for part in re.split(r"(?<!\\);", text)]


def _open_cards(path: Path, name: str, encoding: str | None, limits: Limits) -> Table:
    source = _Cards(path, encoding or detect_encoding(path), limits, name)
    if next(itertools.islice(source.raw_rows(), 1, None), None) is None:
        raise TableError("no_rows", _("There is nothing in “${name}”", mapping={"name": name}))
    return Table(path, "vcf", source.encoding, None, None, (), list(_CARD_COLUMNS.values()), 0, source)


# --- Workbooks ---


@dataclass(frozen=True, slots=True)
class _Sheet:
    path: Path
    sheet: str
    name: str

    def raw_rows(self) -> Iterator[Row]:
        with _opened(self.path, self.name) as workbook:
            sheet = workbook.get_sheet_by_name(self.sheet)
            # Rows come from the first line of the sheet on, columns only from the first that is filled.
            rows = sheet.iter_rows() if sheet.height else iter(())
        for number, cells in enumerate(rows, start=1):
            yield Row(number, tuple(map(_typed, cells)))


def _typed(cell: Cell) -> Cell:
    if isinstance(cell, str):
        return restore_formula(cell) if cell[:1] == "'" else cell
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return int(cell)
    if isinstance(cell, dt.datetime) and cell.time() == dt.time():
        return cell.date()
    return cell


@contextmanager
def _opened(path: Path, name: str) -> Iterator[python_calamine.CalamineWorkbook]:
    """Open a workbook and turn what the reader says about a damaged one into our own words."""
    try:
        with python_calamine.CalamineWorkbook.from_path(path) as workbook:
            yield workbook
    except (TableError, GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except python_calamine.PasswordError as error:
        raise _locked(name) from error
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise _unreadable(name) from error
    except BaseException as error:
        # A panic of the reader comes as a BaseException of its own, with no public name to catch it by.
        if type(error).__name__ == "PanicException":
            raise _unreadable(name) from error
        raise


def _open_workbook(
    path: Path, name: str, file_format: str, sheet: str | None, header_row: int | None, limits: Limits
) -> Table:
    if file_format != "xls":
        _refuse_bombs(path, name, file_format, limits)
    with _opened(path, name) as workbook:
        sheets = tuple(
            found.name
            for found in workbook.sheets_metadata
            if found.typ == python_calamine.SheetTypeEnum.WorkSheet
            and found.visible == python_calamine.SheetVisibleEnum.Visible
        ) or tuple(workbook.sheet_names)
        if not sheets:
            raise TableError("no_rows", _("There is nothing in “${name}”", mapping={"name": name}))
        if sheet is not None and sheet not in workbook.sheet_names:
            raise TableError("no_sheet", _("“${name}” has no sheet “${sheet}”", mapping={"name": name, "sheet": sheet}))
        chosen = sheet or sheets[0]
        if sheet is None and len(sheets) > 1:
            chosen = next((one for one in sheets if workbook.get_sheet_by_name(one).height > 0), chosen)
    source = _Sheet(path, chosen, name)
    headers, row = _headers(source, header_row, name, limits)
    return Table(path, file_format, None, None, chosen, sheets, headers, row, source)


_REFERENCE = re.compile(rb"""\br=["']([A-Za-z]{1,3}[0-9]{1,7})["']""")
_ROW_NUMBER = re.compile(rb"""<(?:\w+:)?row\b[^>]*?\br=["']([0-9]{1,7})["']""")
_LETTERS = string.ascii_letters.encode()
_NO_REFERENCE = re.compile(rb"<(?:\w+:)?c(?:>|\s(?![^>]*\br=))")


def _refuse_bombs(path: Path, name: str, file_format: str, limits: Limits) -> None:
    """Refuse a workbook that would unpack, or spread its cells, beyond the limits.

    The reader holds the whole rectangle of a sheet in memory, so that two cells in far corners cost as much as all
    between them; and the sizes written in an archive may lie. So the parts are really unpacked and looked through.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > 5_000 or sum(entry.compress_size for entry in entries) > path.stat().st_size:
                raise _bomb(name)
            left = limits.unpacked_bytes
            for entry in entries:
                watch: Callable[[bytes], None] | None = None
                if file_format == "xlsx":
                    # Any part may be named as a sheet by the workbook, whatever it is called.
                    watch = _XlsxWatch(name, limits).feed
                elif file_format == "ods" and entry.filename == "content.xml":
                    watch = _OdsWatch(name, limits).feed
                for piece in _unpacked(path, entry, name):
                    left -= len(piece)
                    if left < 0:
                        raise _bomb(name)
                    if watch is not None:
                        watch(piece)
    except (zipfile.BadZipFile, zlib.error, OSError, struct.error, expat.ExpatError, EOFError) as error:
        raise _unreadable(name) from error


def _bomb(name: str) -> TableError:
    return TableError(
        "unpacks_too_large",
        _("“${name}” becomes too large when unpacked: save only the needed rows and columns", mapping={"name": name}),
    )


def _unpacked(path: Path, entry: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    """Unpack an entry by its own stream, for the size it declares need not be true."""
    if entry.flag_bits & 1:
        raise _locked(name)
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _unreadable(name)
    with path.open("rb") as stream:
        stream.seek(entry.header_offset)
        local = stream.read(30)
        name_length, extra_length = struct.unpack("<HH", local[26:30])
        stream.seek(name_length + extra_length, 1)
        left = entry.compress_size
        if entry.compress_type == zipfile.ZIP_STORED:
            while left > 0 and (piece := stream.read(min(_CHUNK, left))):
                left -= len(piece)
                yield piece
            return
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        while not inflate.eof:
            packed = inflate.unconsumed_tail
            if not packed:
                packed = stream.read(min(_CHUNK, left))
                left -= len(packed)
                if not packed:
                    return
            yield inflate.decompress(packed, _CHUNK)


class _XlsxWatch:
    """Looks through the XML of a sheet for the rectangle that its cells span."""

    def __init__(self, name: str, limits: Limits) -> None:
        self._name = name
        self._limits = limits
        self._tail = b""
        self._columns: set[bytes] = set()
        self._last_row = 0
        self._unnamed = 0

    def feed(self, piece: bytes) -> None:
        data = self._tail + piece
        cut = data.rfind(b"<") if len(data) > len(self._tail) else 0
        data, self._tail = (data[:cut], data[cut:]) if cut > 0 and len(data) - cut < 4096 else (data, b"")
        found = _REFERENCE.findall(data)
        if found:
            together = b" ".join(found)
            self._columns.update(together.translate(None, b"0123456789").split())
            self._last_row = max(self._last_row, *map(int, set(together.translate(None, _LETTERS).split())))
        numbers = _ROW_NUMBER.findall(data)
        if numbers:
            self._last_row = max(self._last_row, *map(int, numbers))
        if data.count(b"<c") + data.count(b":c") > len(found):
            self._unnamed += len(_NO_REFERENCE.findall(data))
        width = max((_column_number(column) for column in self._columns), default=0)
        if width * self._last_row > self._limits.sheet_cells or self._unnamed > self._limits.sheet_cells:
            raise _bomb(self._name)


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


class _OdsWatch:
    """Counts the cells of an ODS sheet with its repetitions, for one cell may stand there a thousand million times."""

    def __init__(self, name: str, limits: Limits) -> None:
        self._name = name
        self._limits = limits
        self._parser = expat.ParserCreate(namespace_separator=None)
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.EntityDeclHandler = self._entity
        self._row_repeat = 1
        self._width = 0
        self._column = 0
        self._rows = 0
        self._filled_rows = 0

    def feed(self, piece: bytes) -> None:
        self._parser.Parse(piece, False)

    def _entity(self, *_declaration: object) -> None:
        raise _bomb(self._name)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        local = tag.rpartition(":")[2]
        if local == "table":
            self._rows = self._filled_rows = self._width = 0
        elif local == "table-row":
            self._row_repeat = _repetition(attributes.get("table:number-rows-repeated"))
            self._column = 0
        elif local in ("table-cell", "covered-table-cell"):
            self._column += _repetition(attributes.get("table:number-columns-repeated"))
            if any(key.endswith("value-type") for key in attributes):
                self._width = max(self._width, self._column)
                self._filled_rows = self._rows + self._row_repeat
                if self._width * self._filled_rows > self._limits.sheet_cells:
                    raise _bomb(self._name)

    def _end(self, tag: str) -> None:
        if tag.rpartition(":")[2] == "table-row":
            self._rows += self._row_repeat


def _repetition(text: str | None) -> int:
    return int(text) if text and text.isdigit() and len(text) < 10 else 1
