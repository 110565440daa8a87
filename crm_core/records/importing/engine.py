"""Imports a table into an entity: clean, find who is already there, make or change, set by set, undoable, resumable.

Every row ends as created, updated, unchanged or rejected; nothing vanishes. A batch is one transaction of one running
operation: rows, links, rejects, counts and the place in the file are committed together, so that a stop or a crash
anywhere goes on with the next row and nothing is done twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.db import UNGATED, to_json
from crm_core.forms import MULTI, Feed, FieldInfo
from crm_core.i18n import _
from crm_core.models.accounts import ACTIVE, User
from crm_core.models.records import Address, ImportPreset, ImportReject, ImportRun, ImportWarning
from crm_core.records import cleaning, index, operations
from crm_core.records.cleaning import Cleaned, Problem
from crm_core.records.fields import all_fields, schema_fields
from crm_core.records.gate import Gate, user_names
from crm_core.records.importing.guess import (
    GuessField,
    export_mapping,
    guess_mapping,
    header_digest,
    known_export,
)
from crm_core.records.importing.readers import Row, Table, open_table
from crm_core.records.saving import NotAllowed, tag_ids, team_of, tell
from crm_core.specs import DoubleRule, Entity, ImportLink, KnownExport

#: Rows in one transaction.
BATCH = 2000

#: What becomes of rows whose record is there already.
MODES = ("both", "create", "update", "skip")

#: Kinds of fields that a cell can fill.
IMPORTED_KINDS = frozenset(
    [
        "text",
        "longtext",
        "number",
        "money",
        "date",
        "datetime",
        "choice",
        "bool",
        "user",
        "phones",
        "emails",
        "messengers",
        "tags",
        "inn",
        "texts",
    ]
)

#: Kinds of fields that several columns may fill: «Телефон 1», «Телефон 2».
SEVERAL = frozenset(("phones", "emails", "texts"))

#: Kinds whose cells are words for something that is there: a word that nobody knows can be given a meaning.
WORDS = frozenset(("choice", "user", "record"))

#: Records that a cell may name, at most: what there is more of is linked by `ImportLink`.
MOST_WORDS = 5000

_NO_FEED = Feed()

#: Among the keys of a row, the one of `DoubleRule.kind` "name"; a field may be called so too.
_BY_NAME = "by name"
_GUESSED_KINDS = {"phones": "phone", "emails": "email"}

Counts = dict[str, int]
OUTCOMES = ("created", "updated", "unchanged", "rejected")


@dataclass(frozen=True)
class Options:
    """What was chosen for an import; kept as JSON with the run."""

    mapping: Mapping[int, str] = field(default_factory=dict)
    """Column number (from 0) to target: a field's name, or `entity:field` of a record in the same row."""
    mode: str = "both"
    """`both` make and change, `create` always make, `update` change only, `skip` leave those that are there."""
    keys: tuple[str, ...] = ()
    """Rules by which a record is found again (`DoubleRule.kind:field`), in order; empty: the entity's strong ones."""
    lenient: bool = True
    """Take a row without its wrong values instead of rejecting it; what was left out is named in the report."""
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Target to what words of its cells mean: word as `cleaning.sort_key` writes it, to a value; empty: nothing."""
    owner_id: int | None = None
    tags: tuple[int, ...] = ()
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    header_row: int | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Options:
        """Read what `to_json` wrote; unknown keys are left out, so that old presets stay readable."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        known["mapping"] = {int(column): target for column, target in data.get("mapping", {}).items()}
        for name in ("keys", "tags"):
            known[name] = tuple(data.get(name) or ())
        return cls(**known)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data["mapping"] = {str(column): target for column, target in self.mapping.items()}
        data["words"] = {target: dict(words) for target, words in self.words.items()}
        return {**data, "keys": list(self.keys), "tags": list(self.tags)}


@dataclass
class Planned:
    """A row on its way: its values by field, those of linked records, what is wrong with it and what becomes of it."""

    row: Row
    values: dict[str, Any] = field(default_factory=dict)
    links: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[dict[str, Any]] = field(default_factory=list)
    outcome: str = ""
    record_id: int | None = None
    linked: dict[str, int] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    """What stands in cells that name records, by field."""
    draft: dict[str, Any] | None = None
    """The row that would be made, where an import is only tried."""

    def refuse(self, name: str, problem: Problem) -> None:
        """Note why the row cannot be taken."""
        self.problems.append({"field": name, **problem.as_json()})

    def remark(self, name: str, problem: Problem) -> None:
        """Note what was mended or left out."""
        self.remarks.append({"field": name, **problem.as_json()})


class Batch(list[Row]):
    """Rows of one transaction, with what their cells were cleaned into while the batch before was written."""

    planned: list[Planned] | None = None


def targets(gate: Gate, entity: Entity) -> dict[str, FieldInfo]:
    """Return what columns can be mapped to: the entity's fields and those of records in the same row."""
    found = {
        name: info
        for name, info in all_fields(gate.session, entity, gate.subject).items()
        if info.imported
        and (info.kind in IMPORTED_KINDS or info.clean or (info.kind == "record" and info.feed))
        and (not info.readonly or info.clean or info.feed)
    }
    if entity.import_schema is not None:
        found.update(schema_fields(entity.import_schema))
    for link in entity.import_links:
        other = gate.plugins.entities.get(link.entity)
        if other is None:
            continue
        fields = all_fields(gate.session, other, gate.subject)
        found.update({f"{link.entity}:{name}": fields[name] for name in link.fields if name in fields})
    return found


def guess(gate: Gate, entity: Entity, table: Table, translate: Callable[[str, Any], str]) -> dict[int, str]:
    """Return the likeliest target of each column; `translate(locale, message)` says titles in both languages.

    What was chosen the last time for the same headers wins.
    """
    known = targets(gate, entity)
    preset = gate.session.scalar(
        sa.select(ImportPreset.options).where(
            ImportPreset.entity == entity.name, ImportPreset.header_digest == header_digest(table.headers)
        )
    )
    if preset:
        mapping = Options.from_json(preset).mapping
        return {column: target for column, target in mapping.items() if target in known}
    export = known_export(table.headers, entity.known_exports)
    settled = export_mapping(table.headers, export) if export is not None else {}
    settled = {column: target for column, target in settled.items() if not target or target in known}
    taken = {target for target in settled.values() if target and known[target].kind not in SEVERAL}
    fields = []
    for name, info in known.items():
        titles = [translate(locale, info.title) for locale in ("ru", "en")]
        if ":" in name:
            other = next(link for link in entity.import_links if link.entity == name.partition(":")[0])
            whose = [translate(locale, other.title) for locale in ("ru", "en")]
            is_label = other.fields and name.endswith(f":{other.fields[0]}")
            titles = (
                [f"{title} {of}" for title in titles for of in whose] + (whose if is_label else []) + list(info.aliases)
            )
        else:
            titles += list(info.aliases)
        if name in taken:
            continue
        kind = _GUESSED_KINDS.get(info.kind, info.kind)
        fields.append(GuessField(name, tuple(dict.fromkeys(titles)), kind, multiple=info.kind in SEVERAL))
    # A column that is settled already is guessed as nothing, so that it takes no field away.
    headers = ["" if column in settled else header for column, header in enumerate(table.headers)]
    sample = [
        ["" if column in settled else cell for column, cell in enumerate(row.cells)] for row in table.sample(50)
    ]
    guessed = guess_mapping(headers, fields, sample)
    found = {**{column: one.field for column, one in guessed.items()}, **settled}
    return {column: found[column] for column in sorted(found) if found[column]}


def recognised(entity: Entity, table: Table) -> KnownExport | None:
    """Return whose export the file is, if its headers tell."""
    return known_export(table.headers, entity.known_exports)


def remembered_words(session: Session, entity: Entity, table: Table) -> dict[str, dict[str, str]]:
    """Return what words of such a file were said to mean the last time."""
    preset = session.scalar(
        sa.select(ImportPreset.options).where(
            ImportPreset.entity == entity.name, ImportPreset.header_digest == header_digest(table.headers)
        )
    )
    return dict((preset or {}).get("words") or {})


class Importer:
    """Imports the rows of one table for one subject, batch by batch, each in a transaction of the caller's."""

    def __init__(
        self, gate: Gate, entity: Entity, table: Table, options: Options, translate: Callable[[str, Any], str]
    ) -> None:
        if not gate.may(entity, "import"):
            raise NotAllowed(_("Your role may not import."))
        self.entity, self.table, self.options, self.translate = entity, table, options, translate
        self.gate = gate
        self.model: Any = entity.model
        self.targets = targets(gate, entity)
        self.mapping = [
            (column, name, self.targets[name]) for column, name in options.mapping.items() if name in self.targets
        ]
        self.rules = self._rules()
        self.may_create = gate.may(entity, "create") and options.mode != "update"
        self._choices: dict[str, dict[str, str]] = {}
        self._records: dict[str, dict[str, list[tuple[int, Any]]]] = {}
        self._shown: dict[str, str] = {}
        self._users: dict[str, int] | None = None
        # What an import that is only tried remembers of the rows before.
        self._seen: dict[tuple[str, Any], Planned] = {}
        self._drafts: dict[int, dict[str, Any]] = {}
        self._new_tags: dict[str, int] = {}
        self._blank: dict[str, Any] | None = None
        if any(info.kind == "user" for _column, _name, info in self.mapping):
            # Cells are cleaned in a thread beside the transactions, which asks the database nothing.
            self._read_users()
        for _column, _name, info in self.mapping:
            if info.kind == "record":
                self._read_records(info)

    def using(self, gate: Gate) -> Importer:
        """Go on in another transaction."""
        self.gate = gate
        return self

    def batches(self, after: int = 0, size: int = BATCH) -> Iterator[Batch]:
        """Read the rows after a row number in batches; the next is read while the caller writes this."""
        rows = self.table.rows(after)
        with ThreadPoolExecutor(1, "import") as ahead:
            coming = ahead.submit(self._read_batch, rows, size)
            while batch := coming.result():
                coming = ahead.submit(self._read_batch, rows, size)
                yield batch

    def _read_batch(self, rows: Iterator[Row], size: int) -> Batch:
        batch = Batch(islice(rows, size))
        batch.planned = [self.clean(row) for row in batch]
        return batch

    def _planned(self, rows: Sequence[Row]) -> list[Planned]:
        # What a batch was cleaned into is used up by the first try; a second one begins with the cells again.
        ready = rows.planned if isinstance(rows, Batch) else None
        if ready is None:
            return [self.clean(row) for row in rows]
        assert isinstance(rows, Batch)
        rows.planned = None
        return ready

    def run(self, rows: Sequence[Row]) -> list[Planned]:
        """Take one batch in: clean, match, write; return every row with its outcome."""
        planned = self._planned(rows)
        self._resolve_tags(planned)
        open_rows = [one for one in planned if not one.problems]
        self._match(open_rows)
        self._link(open_rows)
        self._create([one for one in open_rows if one.outcome == "created"])
        self._update([one for one in open_rows if one.outcome == "matched"])
        self._finish_links(open_rows)
        if self.entity.after_import is not None:
            done = [(one.record_id, one.values) for one in open_rows if one.record_id is not None and not one.problems]
            self.entity.after_import(self, done)
        for one in planned:
            if one.problems:
                one.outcome = "rejected"
        return planned

    # -- trying ----------------------------------------------------------------------------------------------------

    def plan(self, rows: Sequence[Row]) -> list[Planned]:
        """Say what would become of a batch; nothing is written, and the batches before are borne in mind."""
        planned = self._planned(rows)
        self._plan_tags(planned)
        open_rows = [one for one in planned if not one.problems]
        self._match(open_rows, self._seen)
        self._read_drafts({one.record_id for one in open_rows if one.record_id is not None})
        in_batch = {id(one) for one in open_rows}
        for one in open_rows:
            if one.problems:
                continue
            if one.outcome == "created":
                one.draft = self._fresh(one.values)
                continue
            first: Planned = one.values.pop("__first", one)
            if first is not one and id(first) in in_batch:
                self._remark_double(one, first)
            row = first.draft if first.record_id is None else self._drafts.get(first.record_id)
            one.outcome = "unchanged"
            if row is not None and self.options.mode != "skip" and self._lay_over(row, one):
                one.outcome = "updated"
        for one in planned:
            if one.problems:
                one.outcome = "rejected"
        return planned

    def _plan_tags(self, planned: Sequence[Planned]) -> None:
        names = {tag.lower() for one in planned if not one.problems for tag in one.values.get("tags") or ()}
        ids = tag_ids(self.gate.session, names, make=False) if names else {}
        for name in names - ids.keys():
            ids[name] = self._new_tags.setdefault(name, -1 - len(self._new_tags))
        self._put_tags(planned, ids)

    def _read_drafts(self, ids: set[int]) -> None:
        wanted = sorted(ids - self._drafts.keys())
        if not wanted:
            return
        table = self.model.__table__
        statement = sa.select(table).where(table.c.id.in_(wanted))
        options = {UNGATED: "the ids came through the gate"}
        for found in self.gate.session.execute(statement, execution_options=options):
            self._drafts[found.id] = dict(found._mapping)

    def _fresh(self, values: Mapping[str, Any]) -> dict[str, Any]:
        table = self.model.__table__
        if self._blank is None:
            self._blank = {**dict.fromkeys(table.c.keys()), **_defaults(table), "tags": []}
        row = {**self._blank, **{name: value for name, value in values.items() if name in table.c}}
        row["extra"] = {name: value for name, value in values.items() if name.startswith("cf_")}
        row["owner_id"] = row["owner_id"] or self.options.owner_id or self.gate.subject.user_id
        if self.entity.prepare is not None:
            row.update(self.entity.prepare(row))
        return row

    # -- cleaning --------------------------------------------------------------------------------------------------

    def clean(self, row: Row) -> Planned:
        """Clean the cells of a row; nothing is read from the database but names of people, once."""
        planned = Planned(row)
        if row.problem is not None:
            planned.refuse("", row.problem)
            return planned
        for column, name, info in self.mapping:
            if column >= len(row.cells):
                continue
            cell = row.cells[column]
            if cell is None or cell == "":
                continue
            entity, colon, plain = name.rpartition(":")
            values = planned.links.setdefault(entity, {}) if colon else planned.values
            self._clean_cell(planned, values, plain, name, info, cell)
        self._find_records(planned)
        for name, info in self.targets.items():
            missing = info.required and ":" not in name and not planned.values.get(name)
            if missing and not self._filled_otherwise(planned) and not planned.problems:
                message = _("“${field}” is not filled in", mapping={"field": info.title})
                planned.refuse(name, Problem("required", message))
        if not any(planned.values.values()) and not planned.problems:
            planned.refuse("", Problem("nothing", _("Nothing in this row can be taken: no mapped column is filled in")))
        return planned

    def try_cells(self, row: Row) -> Iterator[tuple[str, FieldInfo, Any, Planned]]:
        """Clean each filled cell of a row by itself: its target, field, content, and what came of it."""
        for column, name, info in self.mapping:
            cell = row.cells[column] if column < len(row.cells) else None
            if cell is None or cell == "":
                continue
            tried = Planned(row)
            entity, colon, plain = name.rpartition(":")
            values = tried.links.setdefault(entity, {}) if colon else tried.values
            self._clean_cell(tried, values, plain, name, info, cell)
            if tried.words:
                self._find_records(tried, row)
            yield name, info, cell, tried

    def _filled_otherwise(self, planned: Planned) -> bool:
        # A row that changes a record need not repeat what the record has.
        return self.options.mode == "update"

    def _clean_cell(
        self, planned: Planned, values: dict[str, Any], name: str, target: str, info: FieldInfo, cell: Any
    ) -> None:
        if info.kind in ("phones", "emails"):
            self._clean_several(planned, values, name, target, info, cell)
            return
        feed = info.feed or _NO_FEED
        if feed.empty and cleaning.sort_key(cleaning.tidy(cleaning.cell_text(cell))) in feed.empty:
            return
        if info.kind == "record":
            planned.words[name] = cleaning.tidy(cleaning.cell_text(cell))
            return
        cleaned = self._said(target, info, cell) or self._cleaned(info, cell)
        if cleaned.problem is not None:
            if not cleaned.is_refused:
                planned.remark(target, cleaned.problem)
            elif self.options.lenient and not feed.strict:
                planned.remark(target, cleaned.problem)
                return
            else:
                planned.refuse(target, cleaned.problem)
                return
        value = cleaned.value
        if value is None:
            return
        if info.kind == "texts":
            values[name] = [*values.get(name, ()), value]
        elif isinstance(value, dict):
            for part, one in value.items():
                if one and not values.get(part):
                    values[part] = one
        else:
            values[name] = _canonical(info, value) if info.custom else value

    def _clean_several(
        self, planned: Planned, values: dict[str, Any], name: str, target: str, info: FieldInfo, cell: Any
    ) -> None:
        found: list[Cleaned[Any]] = list(
            cleaning.clean_phones(cell) if info.kind == "phones" else cleaning.clean_emails(cell)
        )
        entries: list[dict[str, Any]] = list(values.get(name) or ())
        known = {entry["value"] for entry in entries}
        for cleaned in found:
            if cleaned.problem is not None:
                if cleaned.is_refused and not self.options.lenient:
                    planned.refuse(target, cleaned.problem)
                    continue
                planned.remark(target, cleaned.problem)
            if cleaned.value is None:
                continue
            value = cleaned.value.number if info.kind == "phones" else cleaned.value
            if value in known:
                continue
            known.add(value)
            entry: dict[str, Any] = {"value": value}
            if not entries:
                entry["main"] = True
            entries.append(entry)
        if entries:
            values[name] = entries

    def _cleaned(self, info: FieldInfo, cell: Any) -> Cleaned[Any]:
        kind = info.kind
        if info.clean is not None:
            return info.clean(cell)
        if kind in ("text", "inn"):
            return cleaning.clean_text(cell, max_length=info.maximum)
        if kind in ("longtext", "texts"):
            return cleaning.clean_text(cell, multiline=True, max_length=info.maximum)
        if kind == "money":
            return cleaning.clean_money(cell)
        if kind == "number":
            return cleaning.clean_number(cell)
        if kind == "date":
            return cleaning.clean_date(cell, birthday=info.name == "birthday")
        if kind == "datetime":
            return cleaning.clean_datetime(cell, self.gate.subject.zone)
        if kind == "bool":
            return cleaning.clean_bool(cell)
        if kind == "tags":
            return cleaning.clean_tags(cell)
        if kind == "choice":
            return self._clean_choice(info, cell)
        if kind == "user":
            return self._clean_user(cell)
        if kind == "messengers":
            text = cleaning.clean_text(cell, max_length=200)
            return Cleaned([{"value": text.value, "main": True}]) if text.value else text
        return cleaning.clean_text(cell, max_length=info.maximum)

    def _clean_choice(self, info: FieldInfo, cell: Any) -> Cleaned[str]:
        text = cleaning.clean_text(cell).value
        if not text:
            return Cleaned(None)
        known = self._choices.get(info.name)
        if known is None:
            known = {}
            more = (info.feed or _NO_FEED).words
            for choice, title in info.choices:
                titles = (self.translate(locale, title) for locale in ("ru", "en"))
                for word in (choice, *titles, *(more(choice) if more is not None else ())):
                    known[cleaning.sort_key(word)] = choice
            self._choices[info.name] = known
        value = known.get(cleaning.sort_key(text))
        if value is None:
            shown = self._shown_choices(info)
            problem = Problem(
                "choice",
                _("“${value}” is not among the choices: ${choices}", mapping={"value": text[:80], "choices": shown}),
            )
            return Cleaned(None, False, problem, text)
        return Cleaned(value)

    def _said(self, target: str, info: FieldInfo, cell: Any) -> Cleaned[Any] | None:
        """Return what the word of a cell was said to mean, if somebody said it."""
        said = self.options.words.get(target)
        if not said or info.kind not in WORDS:
            return None
        meaning = said.get(cleaning.sort_key(cleaning.tidy(cleaning.cell_text(cell))))
        if meaning is None:
            return None
        if info.kind == "choice":
            return Cleaned(meaning if meaning in dict(info.choices) else None)
        number = int(meaning) if meaning.isdecimal() else None
        if info.kind == "user" and number is not None:
            if number not in self._read_users().values():
                return None
            if number != self.gate.subject.user_id and not self.gate.may(self.entity, "assign"):
                return None
        return Cleaned(number)

    def _read_records(self, info: FieldInfo) -> dict[str, list[tuple[int, Any]]]:
        """Read the records that cells of a field may name: word to (id, what they must agree with), in their order."""
        if info.name in self._records:
            return self._records[info.name]
        feed = info.feed or _NO_FEED
        known: dict[str, list[tuple[int, Any]]] = {}
        other = self.gate.plugins.entities.get(info.entity)
        if other is not None:
            for row in self.gate.session.scalars(self.gate.select(other).limit(MOST_WORDS)):
                within = getattr(row, feed.within) if feed.within else None
                words = [getattr(row, other.label), getattr(row, "name", ""), *(feed.words(row) if feed.words else ())]
                for word in dict.fromkeys(cleaning.sort_key(cleaning.tidy(one)) for one in words if one):
                    known.setdefault(word, []).append((row.id, within))
        self._records[info.name] = known
        return known

    def _find_records(self, planned: Planned, row: Row | None = None) -> None:
        """Put the records into a row that its cells name; the narrower after what they must agree with."""
        named = [info for _column, name, info in self.mapping if name in planned.words]
        for info in sorted(named, key=lambda one: bool(one.feed and one.feed.within)):
            feed = info.feed or _NO_FEED
            word = planned.words[info.name]
            said = self._said(info.name, info, word)
            if said is not None:
                if said.value is not None:
                    planned.values[info.name] = said.value
                continue
            within = planned.values.get(feed.within) if feed.within else None
            if within is None and row is not None and feed.within:
                within = self._beside(feed.within, row)
            candidates = self._records[info.name].get(cleaning.sort_key(word), [])
            found = next((number for number, agrees in candidates if within is None or agrees == within), None)
            if found is not None:
                planned.values[info.name] = found
                continue
            problem = Problem(
                "unknown", _("“${value}” is not known here: say what it means", mapping={"value": word[:80]})
            )
            if feed.strict or not self.options.lenient:
                planned.refuse(info.name, problem)
                continue
            planned.remark(info.name, problem)
            if feed.rest and not planned.values.get(feed.rest):
                planned.values[feed.rest] = word

    def _beside(self, name: str, row: Row) -> Any:
        # Where a cell is tried by itself, what it must agree with stands in another cell of its row.
        for column, target, info in self.mapping:
            if target == name and column < len(row.cells) and info.kind == "record":
                tried = Planned(row)
                tried.words[name] = cleaning.tidy(cleaning.cell_text(row.cells[column]))
                self._find_records(tried)
                return tried.values.get(name)
        return None

    def unknown_words(self, rows: Iterable[Row]) -> dict[str, dict[str, int]]:
        """Return the words of cells that nobody knows, with the number of their rows: target to word to number."""
        found: dict[str, dict[str, int]] = {}
        columns = [one for one in self.mapping if one[2].kind in WORDS and ":" not in one[1]]
        if not columns:
            return found
        for row in rows:
            if row.problem is not None:
                continue
            tried = Planned(row)
            for column, name, info in columns:
                cell = row.cells[column] if column < len(row.cells) else None
                if cell is None or cell == "":
                    continue
                self._clean_cell(tried, tried.values, name, name, info, cell)
            self._find_records(tried)
            for problem in (*tried.problems, *tried.remarks):
                if problem["code"] not in ("choice", "user", "unknown"):
                    continue
                column = next(number for number, name, _info in columns if name == problem["field"])
                words = found.setdefault(problem["field"], {})
                word = cleaning.tidy(cleaning.cell_text(row.cells[column]))
                words[word] = words.get(word, 0) + 1
        return found

    def _shown_choices(self, info: FieldInfo) -> str:
        if info.name not in self._shown:
            locale = self.gate.subject.locale or "ru"
            self._shown[info.name] = ", ".join(self.translate(locale, title) for _value, title in info.choices[:12])
        return self._shown[info.name]

    def _read_users(self) -> dict[str, int]:
        if self._users is None:
            rows = self.gate.session.execute(sa.select(User.id, User.name, User.email).where(User.status == ACTIVE))
            known: dict[str, int] = {}
            for number, name, email in rows:
                known[cleaning.sort_key(name)] = number
                if email:
                    known[email.lower()] = number
            self._users = known
        return self._users

    def _clean_user(self, cell: Any) -> Cleaned[int]:
        text = cleaning.clean_text(cell).value
        if not text:
            return Cleaned(None)
        found = self._read_users().get(cleaning.sort_key(text))
        if found is None:
            return Cleaned(
                None, False, Problem("user", _("Nobody here is called “${value}”", mapping={"value": text[:80]})), text
            )
        if found != self.gate.subject.user_id and not self.gate.may(self.entity, "assign"):
            return Cleaned(None, False, Problem("assign", _("Your role may not make somebody else responsible.")), text)
        return Cleaned(found)

    def _resolve_tags(self, planned: Sequence[Planned]) -> None:
        names = {tag for one in planned if not one.problems for tag in one.values.get("tags") or ()}
        self._put_tags(planned, tag_ids(self.gate.session, names) if names else {})

    def _put_tags(self, planned: Sequence[Planned], ids: Mapping[str, int]) -> None:
        for one in planned:
            if "tags" in one.values or self.options.tags:
                given = {ids[tag.lower()] for tag in one.values.get("tags") or () if tag.lower() in ids}
                one.values["tags"] = sorted(given | set(self.options.tags))

    # -- finding who is there --------------------------------------------------------------------------------------

    def _rules(self) -> list[DoubleRule]:
        if self.options.mode == "create":
            return []
        wanted = set(self.options.keys)
        rules = [
            rule
            for rule in self.entity.doubles
            if (f"{rule.kind}:{rule.field}" in wanted if wanted else rule.weight > 50)
        ]
        return sorted(rules, key=lambda rule: -rule.weight)

    def _match(self, rows: list[Planned], seen: dict[tuple[str, Any], Planned] | None = None) -> None:
        """Find each row's record, in the database or among the rows before it, and set its outcome."""
        found = self._stored(rows)
        ids = {number for numbers in found.values() for number in numbers}
        editable = self.gate.visible_ids(self.entity, ids, "edit") if ids else set()
        seen = {} if seen is None else seen
        hidden = self._owners(ids - editable)
        for one in rows:
            keys = self._keys(one)
            match = next((number for key in keys for number in sorted(found.get(key, ())) if number in editable), None)
            first = next((seen[key] for key in keys if key in seen), None)
            foreign = next((number for key in keys for number in found.get(key, ()) if number in hidden), None)
            if match is not None:
                one.record_id, one.outcome = match, "matched"
            elif first is not None:
                one.outcome = "again"
                one.values["__first"] = first
            elif foreign is not None:
                one.refuse(
                    "",
                    Problem(
                        "foreign",
                        _(
                            "Such a record exists already and you may not change it; responsible: ${name}",
                            mapping={"name": hidden[foreign]},
                        ),
                    ),
                )
                continue
            elif self.may_create and self._is_nameless(one):
                one.refuse("", Problem("nameless", _("Neither a name nor whom it is about is filled in")))
                continue
            elif self.may_create:
                one.outcome = "created"
            else:
                one.refuse("", Problem("missing", _("There is no such record to change")))
                continue
            for key in keys:
                seen.setdefault(key, first or one)

    def _is_nameless(self, one: Planned) -> bool:
        """Tell whether nothing of a row says what the record would be called."""
        info = self.targets.get(self.entity.label)
        if info is None or info.required or info.clean is not None or one.values.get(self.entity.label):
            return False
        return not any(any(values.values()) for values in one.links.values())

    def _keys(self, one: Planned) -> list[tuple[str, Any]]:
        keys: list[tuple[str, Any]] = []
        for rule in self.rules:
            value = one.values.get(rule.field)
            if not value:
                continue
            if rule.kind in ("phone", "email"):
                keys.extend((rule.kind, entry["value"]) for entry in value)
            elif rule.kind == "field":
                keys.append((rule.field, value))
        name = self._name_key(one)
        if name:
            keys.append((_BY_NAME, name))
        return keys

    def _name_key(self, one: Planned) -> str:
        if not any(rule.kind == "name" for rule in self.rules) or self.entity.prepare is None:
            return ""
        return str(self.entity.prepare(one.values).get(self.entity.sort) or "")

    def _stored(self, rows: Sequence[Planned]) -> dict[tuple[str, Any], set[int]]:
        wanted: dict[str, set[Any]] = {}
        for one in rows:
            for kind, value in self._keys(one):
                wanted.setdefault(kind, set()).add(value)
        found: dict[tuple[str, Any], set[int]] = {}
        session = self.gate.session
        for kind, values in wanted.items():
            if kind in ("phone", "email"):
                statement = sa.select(Address.value, Address.record_id).where(
                    Address.entity == self.entity.name, Address.kind == kind, Address.value.in_(values)
                )
            else:
                column = getattr(self.model, self.entity.sort if kind == _BY_NAME else kind)
                statement = sa.select(column, self.model.id).where(column.in_(values), self.model.deleted_at.is_(None))
            options = {UNGATED: "a double is a double whoever may see it; what is done with it goes through the gate"}
            for value, number in session.execute(statement, execution_options=options):
                found.setdefault((kind, value), set()).add(number)
        return found

    def _owners(self, ids: Iterable[int]) -> dict[int, str]:
        wanted = sorted(ids)
        if not wanted:
            return {}
        statement = sa.select(self.model.id, self.model.owner_id).where(
            self.model.id.in_(wanted), self.model.deleted_at.is_(None)
        )
        options = {UNGATED: "only who is responsible for a record in the way"}
        found = self.gate.session.execute(statement, execution_options=options)
        owners: dict[int, int | None] = {row[0]: row[1] for row in found}
        names = user_names(self.gate.session, owners.values())
        return {number: names.get(owner or 0, "—") for number, owner in owners.items()}

    # -- writing ---------------------------------------------------------------------------------------------------

    def _create(self, rows: Sequence[Planned]) -> None:
        for link in self.entity.import_links:
            for one in rows:
                if link.column and link.entity in one.linked:
                    one.values[link.column] = one.linked[link.entity]
        made = self.insert(self.entity, [one.values for one in rows], self.options.owner_id)
        for one, number in zip(rows, made, strict=True):
            one.record_id = number

    def insert(self, entity: Entity, values: Sequence[Mapping[str, Any]], owner_id: int | None = None) -> list[int]:
        """Make records of cleaned values in one statement; return their ids in order."""
        if not values:
            return []
        session = self.gate.session
        table = entity.model.__table__  # type: ignore[attr-defined]
        subject = self.gate.subject
        default_owner = owner_id or subject.user_id
        owners = {one.get("owner_id") or default_owner for one in values}
        if owners != {subject.user_id} and not self.gate.may(entity, "assign"):
            raise NotAllowed(_("Your role may not make somebody else responsible."))
        teams = {owner: team_of(session, owner) for owner in owners}
        ids = (
            session.execute(
                sa.text("SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)"),
                {"table": table.name, "count": len(values)},
            )
            .scalars()
            .all()
        )
        now = clock.now()
        defaults = _defaults(table)
        rows = []
        for number, one in zip(ids, values, strict=True):
            plain = {name: value for name, value in one.items() if name in table.c and not name.startswith("__")}
            owner = one.get("owner_id") or default_owner
            row = {**defaults, "tags": [], **plain, "id": number, "owner_id": owner, "team_id": teams[owner]}
            row["extra"] = {name: value for name, value in one.items() if name.startswith("cf_")}
            row["created_at"], row["created_by"] = plain.get("created_at") or now, subject.user_id
            if entity.prepare is not None:
                row.update(entity.prepare(row))
            rows.append(row)
        columns = [name for name in _names(table) if name not in ("version", "updated_at", "updated_by")]
        operations.ensure(session)
        session.execute(
            sa.text(
                f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {', '.join(columns)} "
                f"FROM jsonb_populate_recordset(NULL::{table.name}, CAST(:rows AS jsonb))"
            ),
            {"rows": to_json([{name: row.get(name) for name in columns} for row in rows])},
        )
        index.refresh(session, entity, rows, fresh=True)
        tell(self.gate, entity, "created", ids)
        return list(ids)

    def _update(self, rows: Sequence[Planned]) -> None:
        """Change matched records by what the rows say; several rows of one record are laid one over another."""
        by_id: dict[int, list[Planned]] = {}
        for one in rows:
            assert one.record_id is not None
            by_id.setdefault(one.record_id, []).append(one)
        if not by_id:
            return
        session = self.gate.session
        table = self.model.__table__
        statement = sa.select(table).where(table.c.id.in_(sorted(by_id)))
        options = {UNGATED: "the ids came through the gate"}
        changed: list[dict[str, Any]] = []
        for found in session.execute(statement, execution_options=options):
            row = dict(found._mapping)
            before = dict(row)
            for one in by_id[row["id"]]:
                one.outcome = "unchanged"
                if self.options.mode != "skip" and self._lay_over(row, one):
                    one.outcome = "updated"
            if self.entity.prepare is not None:
                row.update(self.entity.prepare(row))
            if row != before:
                changed.append(row)
        if changed:
            self._write(table, changed)

    def _write(self, table: Any, rows: list[dict[str, Any]]) -> None:
        fixed = {"id", "version", "updated_at", "updated_by", "created_at", "created_by", "deleted_at", "deleted_op"}
        columns = [name for name in _names(table) if name not in fixed]
        operations.ensure(self.gate.session)
        self.gate.session.execute(
            sa.text(
                f"UPDATE {table.name} t SET {', '.join(f'{name} = p.{name}' for name in columns)} "
                f"FROM jsonb_populate_recordset(NULL::{table.name}, CAST(:rows AS jsonb)) p WHERE t.id = p.id"
            ),
            {"rows": to_json([{name: row[name] for name in ("id", *columns)} for row in rows])},
        )
        index.refresh(self.gate.session, self.entity, rows)
        ids = [row["id"] for row in rows]
        tell(self.gate, self.entity, "changed", ids)

    def _lay_over(self, row: dict[str, Any], one: Planned) -> bool:
        changed = False
        for name, value in one.values.items():
            if name.startswith("__") or value in (None, "", [], {}):
                continue
            if name.startswith("cf_"):
                if row["extra"].get(name) != value:
                    row["extra"] = {**row["extra"], name: value}
                    changed = True
                continue
            if name not in row:
                continue
            present = row[name]
            merged = _merged(present, value)
            if name == "owner_id" and not self.gate.may(self.entity, "assign"):
                continue
            if merged != present:
                row[name] = merged
                changed = True
        return changed

    # -- records in the same row -----------------------------------------------------------------------------------

    def _link(self, rows: Sequence[Planned]) -> None:
        """Find or make the records that stand in the same rows: a person's company."""
        for link in self.entity.import_links:
            other = self.gate.plugins.entities.get(link.entity)
            with_link = [one for one in rows if one.links.get(link.entity) and not one.problems]
            if other is not None and with_link:
                self._link_one(link, other, with_link)

    def _link_one(self, link: ImportLink, other: Entity, rows: Sequence[Planned]) -> None:
        keyed = [(one, self._link_keys(link, other, one.links[link.entity])) for one in rows]
        known = self._known_links(link, other, [keys for _one, keys in keyed])
        drafts: list[dict[str, Any]] = []
        missing: _Candidates = {}
        waiting: list[tuple[Planned, int]] = []
        may_assign = self.gate.may(other, "assign")
        for one, keys in keyed:
            if not keys:
                continue
            draft = dict(one.links[link.entity])
            if may_assign and one.values.get("owner_id"):
                draft["owner_id"] = one.values["owner_id"]
            number = _same(link.keys, keys, known)
            if number is not None:
                one.linked[link.entity] = number
            elif self.gate.may(other, "create"):
                place = _same(link.keys, keys, missing)
                if place is None:
                    place = len(drafts)
                    drafts.append(draft)
                    for key, values in keys.items():
                        for value in values:
                            missing.setdefault((key, value), []).append((place, keys))
                else:
                    # What this row knows besides fills the gaps of the first.
                    drafts[place] = {**draft, **drafts[place]}
                waiting.append((one, place))
            else:
                one.remark(
                    link.entity,
                    Problem("link", _("Not linked: there is no such record, and your role may not make one")),
                )
        made = self.insert(other, drafts, self.options.owner_id)
        for one, place in waiting:
            one.linked[link.entity] = made[place]

    def _known_links(self, link: ImportLink, other: Entity, keyed: Sequence[_Keys]) -> _Candidates:
        """Return the records that may be meant, by each of their keys."""
        model: Any = other.model
        columns = [getattr(model, name) for name in link.keys]
        session, visible = self.gate.session, self.gate.criterion(other, "view")
        known: _Candidates = {}
        for name in link.keys:
            wanted = {value for keys in keyed for value in keys.get(name, ())}
            if not wanted:
                continue
            kind = _GUESSED_KINDS.get(name)
            statement = sa.select(model.id, *columns).where(visible).order_by(model.id)
            if kind is not None:
                addressed = sa.select(Address.record_id).where(
                    Address.entity == other.name, Address.kind == kind, Address.value.in_(wanted)
                )
                statement = statement.where(model.id.in_(addressed))
            else:
                statement = statement.where(getattr(model, name).in_(wanted))
            for number, *found in session.execute(statement):
                present = {key: _key_values(value) for key, value in zip(link.keys, found, strict=True) if value}
                for value in present.get(name, frozenset()) & wanted:
                    known.setdefault((name, value), []).append((number, present))
        return known

    def _link_keys(self, link: ImportLink, other: Entity, values: Mapping[str, Any]) -> _Keys:
        derived = other.prepare(values) if other.prepare is not None else {}
        keys: _Keys = {}
        for name in link.keys:
            value = derived.get(name) or values.get(name)
            if value:
                keys[name] = _key_values(value)
        return keys

    def _finish_links(self, rows: Sequence[Planned]) -> None:
        for one in rows:
            if one.outcome == "again":
                self._finish_again(one)
        self._update_again([one for one in rows if one.outcome == "again"])
        for link in self.entity.import_links:
            pairs = [
                (one.record_id, one.linked[link.entity])
                for one in rows
                if one.record_id is not None and link.entity in one.linked and self.options.mode != "skip"
            ]
            if pairs:
                link.link(self.gate.session, sorted(set(pairs)), self.gate)
            self._link_among(link, rows)

    def _link_among(self, link: ImportLink, rows: Sequence[Planned]) -> None:
        """Link the linked records of one row with one another where their entity says how: a person and a company."""
        other = self.gate.plugins.entities.get(link.entity)
        if other is None or self.options.mode == "skip":
            return
        for inner in other.import_links:
            pairs = {
                (one.linked[link.entity], one.linked[inner.entity])
                for one in rows
                if link.entity in one.linked and inner.entity in one.linked
            }
            if pairs:
                editable = self.gate.visible_ids(other, {first for first, _second in pairs}, "edit")
                inner.link(self.gate.session, sorted(pair for pair in pairs if pair[0] in editable), self.gate)

    def _finish_again(self, one: Planned) -> None:
        first: Planned = one.values.pop("__first")
        one.record_id = first.record_id
        self._remark_double(one, first)

    def _remark_double(self, one: Planned, first: Planned) -> None:
        one.remark("", Problem("double", _("The same as row ${row} of the file", mapping={"row": first.row.number})))

    def _update_again(self, rows: list[Planned]) -> None:
        for one in rows:
            one.outcome = "matched" if one.record_id is not None else "unchanged"
        self._update([one for one in rows if one.record_id is not None])


#: Key to values of a record: a company has one INN, a person several phones.
_Keys = dict[str, frozenset[Any]]
_Candidates = dict[tuple[str, Any], list[tuple[int, _Keys]]]


def _key_values(value: Any) -> frozenset[Any]:
    if isinstance(value, list):
        return frozenset(entry["value"] for entry in value)
    return frozenset((value,))


def _same(names: Sequence[str], keys: _Keys, candidates: _Candidates) -> int | None:
    """Return the first candidate with an equal key, best key first, whose better keys are not different ones.

    Two companies of one name with different numbers are two; a person may well have another phone with the same
    address. What the row knows of the candidate is remembered.
    """
    for place, name in enumerate(names):
        better = () if name in MULTI else names[:place]
        for value in sorted(keys.get(name, ())):
            for number, known in candidates.get((name, value), ()):
                if any(one in keys and one in known and not keys[one] & known[one] for one in better):
                    continue
                for key, values in keys.items():
                    fresh = values - known.get(key, frozenset())
                    if fresh and (key in MULTI or key not in known):
                        known[key] = known.get(key, frozenset()) | fresh
                        for one in fresh:
                            candidates.setdefault((key, one), []).append((number, known))
                return number
    return None


def _names(table: Any) -> list[str]:
    return [column.name for column in table.columns]


def _defaults(table: sa.FromClause) -> dict[str, Any]:
    # A set-wise insert names every column, so Python-side scalar defaults are filled in here; empty lists likewise.
    values: dict[str, Any] = {}
    for column in table.c:
        default = column.default
        if default is not None and getattr(default, "is_scalar", False):
            values[column.name] = default.arg
        elif not column.nullable and default is not None and getattr(default, "is_callable", False):
            values[column.name] = default.arg(None)
        elif not column.nullable and column.server_default is not None and hasattr(column.server_default, "arg"):
            text = str(getattr(column.server_default.arg, "text", column.server_default.arg))
            values[column.name] = json.loads(text) if text in ("[]", "{}", "false", "true") else text
    return values


def _merged(present: Any, value: Any) -> Any:
    if isinstance(value, list) and isinstance(present, list):
        if value and isinstance(value[0], dict):
            known = {entry["value"] for entry in present}
            fresh = [{k: v for k, v in entry.items() if k != "main"} for entry in value if entry["value"] not in known]
            return [*present, *(fresh if present else value)]
        return sorted(set(present) | set(value))
    if isinstance(present, Decimal) and isinstance(value, Decimal) and present == value:
        return present
    return value


def _canonical(info: FieldInfo, value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


# -- the run -----------------------------------------------------------------------------------------------------------


def count(counts: Mapping[str, int], planned: Iterable[Planned]) -> Counts:
    """Return the counts with those of a batch added."""
    total = {name: int(counts.get(name, 0)) for name in (*OUTCOMES, "rows", "remarks")}
    for one in planned:
        total[one.outcome] += 1
        total["rows"] += 1
        total["remarks"] += bool(one.remarks)
    return total


def keep_report(session: Session, run: ImportRun, planned: Sequence[Planned]) -> None:
    """Write down rejected rows as they were, and remarks on those taken."""
    rejects = [
        {"import_id": run.id, "row_number": one.row.number, "cells": one.row.texts(), "reasons": one.problems}
        for one in planned
        if one.outcome == "rejected"
    ]
    if rejects:
        session.execute(sa.insert(ImportReject.__table__), rejects)
    remarks = [
        {"import_id": run.id, "row_number": one.row.number, "record_id": one.record_id, "reasons": one.remarks}
        for one in planned
        if one.remarks and one.outcome != "rejected"
    ]
    if remarks:
        session.execute(sa.insert(ImportWarning.__table__), remarks)


def remember_mapping(session: Session, entity: Entity, table: Table, options: Options) -> None:
    """Keep how the columns of such a file were mapped, for the next one."""
    from sqlalchemy.dialects.postgresql import insert

    statement = insert(ImportPreset.__table__).values(
        entity=entity.name,
        header_digest=header_digest(table.headers),
        options={"mapping": options.to_json()["mapping"], "words": options.to_json()["words"]},
        updated_at=clock.now(),
    )
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["entity", "header_digest"],
            set_={"options": statement.excluded.options, "updated_at": statement.excluded.updated_at},
        )
    )


def step(importer: Importer, run: ImportRun, rows: Sequence[Row], *, source: str = "job") -> Counts:
    """Take one batch of a run in, within the caller's transaction, with its report, counts and place."""
    session = importer.gate.session
    if run.operation_id is None:
        run.operation_id = operations.begin(
            session,
            importer.gate.subject,
            kind="import",
            source=source,
            entity=run.entity,
            note=run.file_name,
            detail={"import": run.id},
            state=operations.RUNNING,
        )
    else:
        operations.resume(session, run.operation_id)
    planned = importer.run(rows)
    run.counts = count(run.counts, planned)
    run.done_rows = rows[-1].number
    keep_report(session, run, planned)
    session.flush()
    return run.counts


def dry_run(
    importer: Importer, rows: Iterable[Sequence[Row]], *, progress: Callable[[int], None] | None = None
) -> tuple[Counts, list[Planned]]:
    """Say what an import would do, writing nothing; return the counts and the rows worth a look."""
    counts: Counts = {}
    notable: list[Planned] = []
    for batch in rows:
        planned = importer.plan(batch)
        counts = count(counts, planned)
        notable.extend(one for one in planned if one.problems or one.remarks)
        if progress is not None:
            progress(counts["rows"])
    return counts, notable


def open_run(folder: Any, run: ImportRun) -> Table:
    """Open the uploaded file of a run as its options say."""
    options = Options.from_json(run.options)
    path: Path = folder.path(run.digest)
    return open_table(
        path,
        name=run.file_name,
        encoding=options.encoding,
        delimiter=options.delimiter,
        sheet=options.sheet,
        header_row=options.header_row,
    )
