"""Says what came of an import: reasons with their counts, and rejected rows as a file to mend and feed in again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core.forms import FieldInfo
from crm_core.i18n import TranslationString
from crm_core.models.records import ImportReject, ImportWarning
from crm_core.records import exporting
from crm_core.records.importing.guess import strip_report_columns

Say = Callable[[Any], str]

#: Rows that are read at a time for a download.
CHUNK = 1000


@dataclasses.dataclass
class Reason:
    """Why rows were rejected, or what was mended or left out in those that were taken, with the number of rows."""

    field: str
    code: str
    count: int
    rejects: bool
    example: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    text: str = ""


def sentence(say: Say, reason: Mapping[str, Any], targets: Mapping[str, FieldInfo]) -> str:
    """Return a kept problem in the reader's language, with the name of the field before it."""
    values = dict(reason.get("mapping") or {})
    info = targets.get(reason.get("field", ""))
    if info is not None and "field" in values:
        values["field"] = say(info.title)
    message = TranslationString(
        reason["msgid"], domain=reason.get("domain"), default=reason.get("default"), mapping=values or None
    )
    text = say(message)
    return text if info is None or "field" in values else f"{say(info.title)}: {text}"


def reasons(session: Session, run_id: int, most: int = 30) -> list[Reason]:
    """Return the reasons of a run, those of rejected rows first, the commonest first."""
    found: list[Reason] = []
    for model, rejects in ((ImportReject, True), (ImportWarning, False)):
        value = sa.column("value", model.reasons.type)
        each = sa.func.jsonb_array_elements(model.reasons).table_valued(value, name="r")
        name, code = each.c.value["field"].astext, each.c.value["code"].astext
        statement = (
            sa.select(name, code, sa.func.count(), sa.func.min(sa.cast(each.c.value, sa.Text)))
            .select_from(model)
            .join(each, sa.true())
            .where(model.import_id == run_id)
            .group_by(name, code)
            .order_by(sa.func.count().desc(), name, code)
            .limit(most)
        )
        for one in session.execute(statement):
            found.append(Reason(one[0], one[1], one[2], rejects, _plain(one[3])))
    return found


def _plain(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def tally(found: dict[tuple[bool, str, str], Reason], planned: Iterable[Any]) -> None:
    """Add the reasons of rows to those counted before."""
    for one in planned:
        rejects = one.outcome == "rejected"
        for problem in one.problems if rejects else one.remarks:
            key = (rejects, problem["field"], problem["code"])
            found.setdefault(key, Reason(problem["field"], problem["code"], 0, rejects, problem)).count += 1


def ordered(found: Mapping[Any, Reason], most: int = 30) -> list[Reason]:
    """Return counted reasons, those of rejected rows first, the commonest first."""
    return sorted(found.values(), key=lambda one: (not one.rejects, -one.count))[:most]


def reasons_of(planned: Iterable[Any], most: int = 30) -> list[Reason]:
    """Return the reasons of rows that were only tried."""
    found: dict[tuple[bool, str, str], Reason] = {}
    tally(found, planned)
    return ordered(found, most)


def rejected_file(
    session: Session, run_id: int, headers: Sequence[str], say: Say, targets: Mapping[str, FieldInfo]
) -> bytes:
    """Return the rejected rows as they were, each with its number and the reason in the reader's language."""
    kept = strip_report_columns(headers)

    def rows() -> Iterator[tuple[int, Sequence[str], str]]:
        for one in _in_order(session, ImportReject, run_id):
            text = "; ".join(sentence(say, reason, targets) for reason in one.reasons)
            # A row that is longer than the header keeps its cells, so that it can be seen what is wrong with it.
            cells = one.cells if len(one.cells) > len(headers) else one.cells[: len(kept)]
            yield one.row_number, cells, text

    return exporting.rejected_csv(kept, rows(), tuple(say(title) for title in exporting.REPORT_TITLES))


def remarks_file(session: Session, run_id: int, say: Say, targets: Mapping[str, FieldInfo], url: str) -> bytes:
    """Return what was mended or left out in rows that were taken: row, record, remark."""

    def rows() -> Iterator[tuple[int, Sequence[str], str]]:
        for one in _in_order(session, ImportWarning, run_id):
            text = "; ".join(sentence(say, reason, targets) for reason in one.reasons)
            yield one.row_number, [f"{url}/{one.record_id}" if one.record_id else ""], text

    titles = tuple(say(title) for title in (*exporting.REPORT_TITLES[:1], exporting.REMARK_TITLE))
    return exporting.rejected_csv([say(exporting.RECORD_TITLE)], rows(), titles)


def _in_order(session: Session, model: Any, run_id: int) -> Iterator[Any]:
    keys = (model.row_number, model.id) if hasattr(model, "id") else (model.row_number,)
    columns = [column for column in model.__table__.c if column.name != "import_id"]
    after: tuple[int, ...] | None = None
    while True:
        statement = sa.select(*columns).where(model.import_id == run_id).order_by(*keys).limit(CHUNK)
        if after is not None:
            statement = statement.where(sa.tuple_(*keys) > sa.tuple_(*after))
        found = session.execute(statement).all()
        yield from found
        if len(found) < CHUNK:
            return
        after = tuple(getattr(found[-1], key.key) for key in keys)
