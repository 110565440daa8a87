"""Exports a list as CSV or XLSX: what the query finds, in the columns shown, through the gate.

Text that a spreadsheet would run as a formula is defused by an apostrophe; feeding the file in again restores it.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import xlsxwriter

from crm_core import notify
from crm_core.forms import MULTI, FieldInfo
from crm_core.i18n import _
from crm_core.models.records import Tag
from crm_core.records import cleaning
from crm_core.records.gate import Gate, user_names
from crm_core.records.listing import Listing, ListQuery
from crm_core.specs import Entity

FORMATS = ("csv", "xlsx")

#: What stands above the columns that a file of rejected rows has beside its own: the row's number and the reason.
REPORT_TITLES = (_("Row of the file"), _("Why it was rejected"))
REMARK_TITLE, RECORD_TITLE = _("What was mended or left out"), _("Record")
BATCH = 1000

Translate = Callable[[Any], str]


def columns(gate: Gate, entity: Entity, names: Iterable[str] | None = None) -> list[FieldInfo]:
    """Return the fields that go out: those named, or all that may, in the order of the form."""
    fields = Listing(gate, entity).fields
    wanted = list(names) if names is not None else list(fields)
    return [fields[name] for name in wanted if name in fields and fields[name].exported]


def rows(
    gate: Gate, entity: Entity, query: ListQuery, fields: Sequence[FieldInfo], translate: Translate
) -> Iterator[tuple[int, list[Any]]]:
    """Yield (id, cells) of what the query finds and the subject may export, in order of id, batch by batch."""
    listing = Listing(gate, entity)
    after = 0
    while ids := listing.ids(query, verb="export", after_id=after, limit=BATCH):
        yield from rows_of(gate, entity, ids, fields, translate, trash=query.trash)
        after = ids[-1]


def rows_of(
    gate: Gate,
    entity: Entity,
    ids: Sequence[int],
    fields: Sequence[FieldInfo],
    translate: Translate,
    *,
    trash: bool = False,
) -> Iterator[tuple[int, list[Any]]]:
    """Yield (id, cells) of records whose ids came through the gate with the right to export."""
    found = Listing(gate, entity).rows(ids, [info.name for info in fields], trash=trash)
    labels = _labels(gate, fields, found)
    for row in found:
        yield row.id, [_cell(info, info.value(row), labels, translate, gate.subject.zone) for info in fields]


def _labels(gate: Gate, fields: Sequence[FieldInfo], found: Sequence[Any]) -> dict[str, Mapping[int, str]]:
    labels: dict[str, Mapping[int, str]] = {}
    people = {info.value(row) for info in fields if info.kind == "user" for row in found}
    if people:
        labels["user"] = user_names(gate.session, people)
    tags = {tag for info in fields if info.kind == "tags" for row in found for tag in info.value(row) or ()}
    if tags:
        labels["tags"] = dict(gate.session.execute(sa.select(Tag.id, Tag.name).where(Tag.id.in_(tags))).all())
    for info in fields:
        if info.kind == "record" and info.entity in gate.plugins.entities:
            labels[info.entity] = gate.labels(info.entity, [info.value(row) for row in found])
    return labels


def _cell(info: FieldInfo, value: Any, labels: Mapping[str, Mapping[int, str]], translate: Translate, zone: str) -> Any:
    if value in (None, "", [], {}):
        return ""
    if info.kind in MULTI:
        return "; ".join(entry["value"] for entry in value)
    if info.kind == "tags":
        return ", ".join(labels.get("tags", {}).get(tag, "") for tag in value)
    if info.kind == "user":
        return labels.get("user", {}).get(value, "")
    if info.kind == "record":
        return labels.get(info.entity, {}).get(value, "")
    if info.kind == "choice":
        return translate(dict(info.choices).get(value, value))
    if isinstance(value, dt.datetime):
        from zoneinfo import ZoneInfo

        return value.astimezone(ZoneInfo(zone)).replace(tzinfo=None, microsecond=0)
    return notify.plain(value) if info.mentions else value


def write_csv(path: Path, headers: Sequence[str], cells: Iterable[Sequence[Any]]) -> int:
    """Write UTF-8 with a signature and semicolons, as Russian Excel opens it; return the number of rows."""
    count = 0
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow(headers)
        for row in cells:
            writer.writerow([_plain(value) for value in row])
            count += 1
    return count


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, dt.datetime):
        return value.strftime("%d.%m.%Y %H:%M")
    if isinstance(value, dt.date):
        return value.strftime("%d.%m.%Y")
    if isinstance(value, Decimal):
        return format(value.normalize(), "f").replace(".", ",")
    if isinstance(value, str):
        # A telephone number begins with a plus; it runs nothing, and phones must stay phones.
        return value if value[:1] == "+" and value[1:].replace("; +", "").isdigit() else cleaning.defuse_formula(value)
    return str(value)


def write_xlsx(path: Path, headers: Sequence[str], cells: Iterable[Sequence[Any]]) -> int:
    """Write a sheet with real numbers and dates; text stays text whatever it looks like."""
    count = 0
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(str(path), options) as book:
        sheet = book.add_worksheet()
        bold = book.add_format({"bold": True})
        day = book.add_format({"num_format": "dd.mm.yyyy"})
        instant = book.add_format({"num_format": "dd.mm.yyyy hh:mm"})
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, max(len(headers) - 1, 0), 22)
        for column, header in enumerate(headers):
            sheet.write_string(0, column, header, bold)
        for count, row in enumerate(cells, 1):
            for column, value in enumerate(row):
                if value == "" or value is None:
                    continue
                if isinstance(value, bool):
                    sheet.write_boolean(count, column, value)
                elif isinstance(value, dt.datetime):
                    sheet.write_datetime(count, column, value, instant)
                elif isinstance(value, dt.date):
                    sheet.write_datetime(count, column, dt.datetime.combine(value, dt.time()), day)
                elif isinstance(value, int | float | Decimal):
                    sheet.write_number(count, column, float(value))
                else:
                    sheet.write_string(count, column, str(value)[:32_000])
    return count


def rejected_csv(
    headers: Sequence[str], found: Iterable[tuple[int, Sequence[str], str]], titles: Sequence[str] = ("#", "?")
) -> bytes:
    """Return rejected rows of an import as a file to mend and feed in again: the columns, then the reason."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=";")
    writer.writerow([*headers, *titles])
    for number, cells, reason in found:
        # The cells go out defused like every export; the reader of imports takes the apostrophes off again.
        padded = [*cells, *[""] * (len(headers) - len(cells))]
        writer.writerow([*(_plain(cell) for cell in padded), number, _plain(reason)])
    return b"\xef\xbb\xbf" + stream.getvalue().encode()
