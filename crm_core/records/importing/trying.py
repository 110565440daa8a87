"""Tries an import before it runs: what becomes of each cell, and what would become of all rows, writing nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from crm_core.forms import MULTI, FieldInfo
from crm_core.i18n import _
from crm_core.models.records import ImportRun
from crm_core.records import cleaning
from crm_core.records.importing import engine, report
from crm_core.records.importing.readers import Row
from crm_core.records.saving import tag_ids

#: A file with fewer rows is tried while the page is made; a larger one by a job.
AT_ONCE = 3000

#: Rows that are tried at most: what the first of them come to is remembered until the last.
MOST = 100_000

#: Where a run keeps what was found out, beside its options.
CHECK = "check"


@dataclass(frozen=True)
class CellChange:
    """A cell as it stands in the file and as it would be kept, with what is wrong with it."""

    row: int
    target: str
    before: str
    after: str
    problems: tuple[Mapping[str, Any], ...] = ()
    refused: bool = False


@dataclass(frozen=True)
class Verdict:
    """What would become of all rows."""

    counts: Mapping[str, int]
    reasons: tuple[report.Reason, ...]
    whole: bool = True
    """False: only the first rows were tried."""

    def as_json(self) -> dict[str, Any]:
        """Return plain data to keep with the run."""
        return {"counts": dict(self.counts), "reasons": [asdict(one) for one in self.reasons], "whole": self.whole}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """Rebuild a verdict that `as_json` has kept."""
        reasons = tuple(report.Reason(**one) for one in data["reasons"])
        return cls(data["counts"], reasons, data.get("whole", True))


def cell_changes(
    importer: engine.Importer, rows: Iterable[Row], say: Callable[[Any], str], most: int = 300
) -> list[CellChange]:
    """Return the cells that would be kept otherwise than they stand in the file, or not at all, in their order."""
    found: list[CellChange] = []
    for row in rows:
        if row.problem is not None:
            found.append(CellChange(row.number, "", _joined(row), "", ({"field": "", **row.problem.as_json()},), True))
        else:
            found.extend(_of_row(importer, row, say))
        if len(found) >= most:
            break
    return found[:most]


def _joined(row: Row) -> str:
    return " · ".join(text for text in row.texts() if text.strip())[:200]


def _of_row(importer: engine.Importer, row: Row, say: Callable[[Any], str]) -> Iterable[CellChange]:
    for target, info, cell, tried in importer.try_cells(row):
        before = cleaning.cell_text(cell)
        values = next(iter(tried.links.values())) if tried.links else tried.values
        after = _shown(info, values, before, say)
        problems = tuple({**one, "field": target} for one in (*tried.problems, *tried.remarks))
        if problems or not _same(info, before, after):
            yield CellChange(row.number, target, before, after, problems, refused=bool(tried.problems))


def _same(info: FieldInfo, before: str, after: str) -> bool:
    if info.kind in ("choice", "user", "record", "tags", "bool"):
        return cleaning.sort_key(cleaning.tidy(before)) == cleaning.sort_key(after)
    if info.kind in ("money", "number"):
        return _number(before) == _number(after) is not None
    return before == after


def _number(text: str) -> Decimal | None:
    try:
        return Decimal("".join(text.split()).replace(",", "."))
    except ArithmeticError:
        return None


def _shown(info: FieldInfo, values: Mapping[str, Any], before: str, say: Callable[[Any], str]) -> str:
    if not values:
        return ""
    value = values.get(info.name)
    if value is None:
        # A full name fills three fields.
        return " ".join(str(part) for part in values.values())
    if info.kind in MULTI:
        return "; ".join(entry["value"] for entry in value)
    if info.kind in ("user", "record"):
        return cleaning.tidy(before)
    if info.kind == "choice":
        return say(dict(info.choices).get(value, value))
    return written(value, say)


def written(value: Any, say: Callable[[Any], str]) -> str:
    """Return a value as it could stand in a file."""
    if isinstance(value, bool):
        return say(_("Yes") if value else _("No"))
    if isinstance(value, dt.datetime):
        return value.strftime("%d.%m.%Y %H:%M")
    if isinstance(value, dt.date):
        return value.strftime("%d.%m.%Y")
    if isinstance(value, Decimal):
        return format(value, "f").replace(".", ",") if value % 1 else str(int(value))
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def trial_options(session: Session, run: ImportRun) -> engine.Options:
    """Return the options of a run with the tags for all rows, of which new ones are not made yet."""
    options = engine.Options.from_json(run.options)
    names = run.options.get("tag_names") or ()
    known = tag_ids(session, names, make=False)
    # A number that no tag has stands for one that will be made.
    return replace(options, tags=tuple(known.get(name.lower(), -1000 - n) for n, name in enumerate(names)))


def key_of(run: ImportRun) -> str:
    """Return the key of what would be imported and how: a verdict holds while it is the same."""
    chosen = {name: value for name, value in run.options.items() if name != CHECK}
    text = json.dumps([run.entity, run.digest, chosen], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def kept_verdict(run: ImportRun) -> Verdict | None:
    """Return what was found out about the run with the options of now, if it was."""
    data = run.options.get(CHECK) or {}
    return Verdict.from_json(data) if data.get("key") == key_of(run) and "counts" in data else None


def keep_verdict(run: ImportRun, verdict: Verdict) -> None:
    """Keep a verdict with the run."""
    run.options = {**run.options, CHECK: {"key": key_of(run), **verdict.as_json()}}


def try_out(
    importer: engine.Importer,
    batches: Iterable[Sequence[Row]],
    *,
    most: int = MOST,
    progress: Callable[[int], None] = lambda _done: None,
) -> Verdict:
    """Find out what would become of the rows; nothing is written."""
    counts: engine.Counts = {}
    reasons: dict[tuple[bool, str, str], report.Reason] = {}
    whole = True
    for batch in batches:
        if counts.get("rows", 0) >= most:
            whole = False
            break
        planned = importer.plan(batch)
        counts = engine.count(counts, planned)
        report.tally(reasons, planned)
        progress(counts["rows"])
    return Verdict(engine.count(counts, ()), tuple(report.ordered(reasons)), whole)
