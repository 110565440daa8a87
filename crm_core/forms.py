"""Fields of entities, said once as a Colander schema; lists, forms, API, import and export all read them.

A plugin writes `class DealSchema(RecordSchema)` with `amount = money(_("Amount"), listed=True, sorted=True)`; each
function here makes a Colander node that carries a `FieldInfo`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

import colander
import sqlalchemy as sa

from crm_core.i18n import _

Choice = tuple[str, str]
Choices = tuple[Choice, ...]

#: Kinds whose values are JSON lists of objects with `value` and flags.
MULTI = ("phones", "emails", "messengers")


@dataclass(frozen=True, kw_only=True)
class Feed:
    """Says how imports fill in a field that no form writes, or find what a word in a cell stands for."""

    within: str = ""
    """For a link: the field of the same record that the linked one must agree with: a stage within its pipeline."""
    words: Callable[[Any], Iterable[str]] | None = None
    """(row of the linked record, or value of a choice) -> other words by which it is known."""
    empty: tuple[str, ...] = ()
    """Words that mean that nothing is filled in."""
    strict: bool = False
    """Reject a row with a word that nobody knows, however lenient the import is."""
    rest: str = ""
    """The field that keeps a word that nobody knows."""


@dataclass(frozen=True, kw_only=True)
class FieldInfo:
    """What the core knows of one field of an entity."""

    name: str = ""
    """Also the column's name and the key in the change log."""
    title: str = ""
    kind: str = "text"
    """text longtext number money date datetime choice choices bool user team record phones emails messengers tags."""
    required: bool = False
    choices: Choices = ()
    help: str = ""
    section: str = ""
    entity: str = ""
    """The entity a `record` field points at."""
    listed: bool = True
    """May be a column of a list."""
    filtered: bool = True
    sorted: bool = False
    searched: bool = False
    """Its text is found by search."""
    imported: bool = True
    exported: bool = True
    personal: bool = False
    """Personal data: part of a person's request and of erasure."""
    sensitive: bool = False
    """Shown only to those who have the entity's permission `:sensitive`."""
    readonly: bool = False
    """Derived or set by actions: shown, never a field of a form."""
    on_create: bool = True
    """Stands on the short form that makes a record."""
    aliases: tuple[str, ...] = ()
    """Other headers under which imports know it, in both languages."""
    maximum: int = 500
    """Longest text, in characters."""
    custom: bool = False
    clean: Callable[[str], Any] | None = None
    """An import's cell -> `crm_core.records.cleaning.Cleaned`; a value that is a dict fills several fields (a full name
    gives last, first and middle name), so that a read-only field may be imported too."""
    feed: Feed | None = None
    """How imports fill it in, for links to records and for what no form writes."""
    default: Any = None
    mentions: bool = False
    """A long text in which colleagues may be mentioned, who are then told."""
    roles: tuple[str, ...] = ()
    """Custom fields: roles that see it; empty: everybody."""

    def column(self, model: type) -> Any:
        """Return the SQL expression of the field: a column, or a value in `extra` for a custom field."""
        if not self.custom:
            return getattr(model, self.name)
        value = model.extra[self.name]  # type: ignore[attr-defined]
        if self.kind in ("number", "money"):
            return sa.func.crm_num(value)
        if self.kind == "bool":
            return sa.func.crm_text(value)
        return sa.func.crm_text(value)

    def value(self, record: Any) -> Any:
        """Return the value of the field of a record or of a row with the columns as attributes."""
        if self.custom:
            return (record.extra or {}).get(self.name)
        return getattr(record, self.name)


class RecordSchema(colander.MappingSchema):
    """Is the base of entities' schemas; unknown keys are refused, so that nothing undeclared is ever assigned."""

    def schema_type(self) -> colander.Mapping:
        return colander.Mapping(unknown="raise")


def fields_of(schema: type) -> dict[str, FieldInfo]:
    """Return the fields of a schema class by name, in the order in which they were written."""
    return {node.name: replace(node.crm, name=node.name) for node in schema().children if hasattr(node, "crm")}


def _node(kind: colander.SchemaType, info: FieldInfo, *validators: Any, **options: Any) -> colander.SchemaNode:
    checks = [validator for validator in validators if validator is not None]
    if not info.required:
        options.setdefault("missing", None)
    node = colander.SchemaNode(
        kind, title=info.title, description=info.help, validator=colander.All(*checks) if checks else None, **options
    )
    node.crm = info
    if info.required:
        node.missing_msg = _("Fill this in.")
    return node


class _Trimmed(colander.String):
    """Text without spaces around it; nothing but spaces is nothing. NUL, which PostgreSQL cannot keep, is taken out."""

    def deserialize(self, node: Any, cstruct: Any) -> Any:
        if cstruct is colander.null or cstruct is None:
            return colander.null
        if not isinstance(cstruct, str | int | float | Decimal):
            raise colander.Invalid(node, _("Write text here."))
        text = str(cstruct).replace("\x00", "").replace("\r\n", "\n").strip()
        return text or colander.null


def text(title: str, *, required: bool = False, maximum: int = 500, **info: Any) -> colander.SchemaNode:
    """A line of text."""
    field = FieldInfo(title=title, kind=info.pop("kind", "text"), required=required, maximum=maximum, **info)
    return _node(_Trimmed(), field, colander.Length(max=maximum, max_err=_("At most ${max} characters.")), _single_line)


def _single_line(node: Any, value: str) -> None:
    if any(ord(c) < 32 for c in value):
        raise colander.Invalid(node, _("Write this in one line."))


def longtext(title: str, *, required: bool = False, maximum: int = 20_000, **info: Any) -> colander.SchemaNode:
    """Text of several lines."""
    info.setdefault("sorted", False)
    field = FieldInfo(title=title, kind="longtext", required=required, maximum=maximum, **info)
    return _node(_Trimmed(), field, colander.Length(max=maximum, max_err=_("At most ${max} characters.")))


class _Texts(colander.SchemaType):
    """Several texts of several lines each."""

    def deserialize(self, node: Any, cstruct: Any) -> Any:
        if cstruct is colander.null or cstruct is None:
            return []
        return [str(one).strip() for one in cstruct if str(one).strip()]

    def serialize(self, node: Any, appstruct: Any) -> Any:
        return list(appstruct or ())


def texts(title: str, *, maximum: int = 20_000, **info: Any) -> colander.SchemaNode:
    """Several long texts, each from a column of its own: notes in an import."""
    return _node(_Texts(), FieldInfo(title=title, kind="texts", maximum=maximum, **info), missing=colander.drop)


class _Number(colander.SchemaType):
    """A decimal number written with point or comma, spaces between thousands allowed."""

    def deserialize(self, node: Any, cstruct: Any) -> Any:
        if cstruct is colander.null or cstruct is None or cstruct == "":
            return colander.null
        if isinstance(cstruct, bool):
            raise colander.Invalid(node, _("Write a number, like 1200.50."))
        plain = re.sub(r"[\s\u00a0\u202f]", "", str(cstruct)).replace(",", ".")
        try:
            number = Decimal(plain)
        except InvalidOperation:
            raise colander.Invalid(node, _("Write a number, like 1200.50.")) from None
        if not number.is_finite() or abs(number) >= Decimal(10) ** 15:
            raise colander.Invalid(node, _("This number is too large."))
        return number

    def serialize(self, node: Any, appstruct: Any) -> Any:
        return colander.null if appstruct in (None, colander.null) else format(appstruct, "f")


def number(
    title: str, *, required: bool = False, minimum: Any = None, maximum: Any = None, whole: bool = False, **info: Any
) -> colander.SchemaNode:
    """A number; `whole` refuses fractions."""
    field = FieldInfo(title=title, kind="number", required=required, **info)
    bounds = colander.Range(
        min=minimum, max=maximum, min_err=_("Not less than ${min}."), max_err=_("Not more than ${max}.")
    )
    node = _node(_Number(), field, bounds if minimum is not None or maximum is not None else None)
    if whole:
        node.preparer = lambda value: value if value is colander.null or value is None else _whole(node, value)
    return node


def _whole(node: Any, value: Decimal) -> int:
    if value != value.to_integral_value():
        raise colander.Invalid(node, _("Write a whole number."))
    return int(value)


def money(title: str, *, required: bool = False, minimum: Any = 0, **info: Any) -> colander.SchemaNode:
    """An amount of money in the record's currency."""
    field = FieldInfo(title=title, kind="money", required=required, **info)
    return _node(_Number(), field, colander.Range(min=minimum, min_err=_("Not less than ${min}.")))


class _Date(colander.SchemaType):
    """A calendar date, ISO or the Russian `dd.mm.yyyy`."""

    def deserialize(self, node: Any, cstruct: Any) -> Any:
        if cstruct is colander.null or cstruct is None or cstruct == "":
            return colander.null
        if isinstance(cstruct, dt.date) and not isinstance(cstruct, dt.datetime):
            return cstruct
        return self._read(node, str(cstruct).strip())

    def _read(self, node: Any, text: str) -> dt.date:
        for pattern in ("%Y-%m-%d", "%d.%m.%Y"):
            try:
                day = dt.datetime.strptime(text, pattern).date()  # noqa: DTZ007  a date has no zone
            except ValueError:
                continue
            if 1800 <= day.year <= 2200:
                return day
        raise colander.Invalid(node, _("Write a date like 24.07.2026."))

    def serialize(self, node: Any, appstruct: Any) -> Any:
        return colander.null if appstruct in (None, colander.null) else appstruct.isoformat()


def date(title: str, *, required: bool = False, **info: Any) -> colander.SchemaNode:
    """A calendar date: birthdays, closing dates."""
    return _node(_Date(), FieldInfo(title=title, kind="date", required=required, **info))


class _Instant(colander.SchemaType):
    """An instant; without a zone it is in the zone bound as `zone`, UTC otherwise."""

    def deserialize(self, node: Any, cstruct: Any) -> Any:
        if cstruct is colander.null or cstruct is None or cstruct == "":
            return colander.null
        if isinstance(cstruct, dt.datetime):
            value = cstruct
        else:
            try:
                value = dt.datetime.fromisoformat(str(cstruct).strip())
            except ValueError:
                raise colander.Invalid(node, _("Write a date and time like 24.07.2026 14:30.")) from None
        if value.tzinfo is None:
            bindings = getattr(node, "bindings", None) or {}
            value = value.replace(tzinfo=bindings.get("zone") or dt.UTC)
        return value.astimezone(dt.UTC)

    def serialize(self, node: Any, appstruct: Any) -> Any:
        return colander.null if appstruct in (None, colander.null) else appstruct.isoformat()


def datetime(title: str, *, required: bool = False, **info: Any) -> colander.SchemaNode:
    """An instant, kept in UTC."""
    return _node(_Instant(), FieldInfo(title=title, kind="datetime", required=required, **info))


def choice(title: str, choices: Iterable[Choice], *, required: bool = False, **info: Any) -> colander.SchemaNode:
    """One of a few; `choices` are (value, title)."""
    options = tuple(choices)
    field = FieldInfo(title=title, kind="choice", required=required, choices=options, **info)
    return _node(_Trimmed(), field, colander.OneOf([value for value, _title in options]))


class _Bool(colander.SchemaType):
    def deserialize(self, node: Any, cstruct: Any) -> Any:
        if cstruct is colander.null or cstruct is None:
            return colander.null
        if cstruct in (True, False):
            return bool(cstruct)
        return str(cstruct).strip().lower() in ("1", "true", "on", "yes", "да")

    def serialize(self, node: Any, appstruct: Any) -> Any:
        return colander.null if appstruct is None else appstruct


def boolean(title: str, **info: Any) -> colander.SchemaNode:
    """Yes or no."""
    return _node(_Bool(), FieldInfo(title=title, kind="bool", **info), missing=False)


class _Id(colander.SchemaType):
    def deserialize(self, node: Any, cstruct: Any) -> Any:
        if cstruct is colander.null or cstruct is None or cstruct == "":
            return colander.null
        text = str(cstruct)
        if isinstance(cstruct, bool) or not text.isdecimal() or len(text) > 18:
            raise colander.Invalid(node, _("Choose from the list."))
        return int(text)

    def serialize(self, node: Any, appstruct: Any) -> Any:
        return colander.null if appstruct is None else appstruct


def user(title: str, *, required: bool = False, **info: Any) -> colander.SchemaNode:
    """A person of the company."""
    return _node(_Id(), FieldInfo(title=title, kind="user", required=required, **info))


def team(title: str, *, required: bool = False, **info: Any) -> colander.SchemaNode:
    """A department."""
    return _node(_Id(), FieldInfo(title=title, kind="team", required=required, **info))


def record(title: str, entity: str, *, required: bool = False, **info: Any) -> colander.SchemaNode:
    """A link to a record of one entity; saving checks that its author may see it."""
    return _node(_Id(), FieldInfo(title=title, kind="record", entity=entity, required=required, **info))


class _Tags(colander.SchemaType):
    """Ids of tags; names are turned into ids before, by `records.tags`."""

    def deserialize(self, node: Any, cstruct: Any) -> Any:
        if cstruct is colander.null or cstruct is None or cstruct == "":
            return []
        values = cstruct if isinstance(cstruct, Sequence) and not isinstance(cstruct, str) else [cstruct]
        try:
            return sorted({int(value) for value in values if str(value).strip()})
        except (TypeError, ValueError):
            raise colander.Invalid(node, _("Choose from the list.")) from None

    def serialize(self, node: Any, appstruct: Any) -> Any:
        return list(appstruct or ())


def tags(title: str, **info: Any) -> colander.SchemaNode:
    """Tags of the record."""
    return _node(_Tags(), FieldInfo(title=title, kind="tags", **info), missing=colander.drop)


class _Multi(colander.SchemaType):
    """Several phones, addresses or messengers: objects with `value`, `type`, `main` and `off` (do not use)."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def deserialize(self, node: Any, cstruct: Any) -> Any:
        from crm_core.records import cleaning  # cleaning needs nothing of forms; forms are imported far more often

        if cstruct is colander.null or cstruct is None or cstruct == "":
            return []
        if not isinstance(cstruct, list):
            raise colander.Invalid(node, _("Write a list."))
        if len(cstruct) > 50:
            raise colander.Invalid(node, _("At most 50."))
        result: list[dict[str, Any]] = []
        seen: set[str] = set()
        for item in cstruct:
            entry = {"value": item} if isinstance(item, str) else dict(item)
            raw = str(entry.get("value") or "").strip()
            if not raw:
                continue
            value = self._clean(node, cleaning, raw)
            if value in seen:
                continue
            seen.add(value)
            kept: dict[str, Any] = {"value": value}
            if kind := str(entry.get("type") or "")[:40]:
                kept["type"] = kind
            for flag in ("main", "off"):
                if entry.get(flag) in (True, "1", "true", "on", 1):
                    kept[flag] = True
            result.append(kept)
        if result and not any(entry.get("main") for entry in result):
            result[0]["main"] = True
        return result

    def _clean(self, node: Any, cleaning: Any, raw: str) -> str:
        if self.kind == "messengers":
            return raw[:200]
        cleaned = cleaning.clean_email(raw) if self.kind == "emails" else cleaning.clean_phone(raw)
        # A problem with a value is a remark: the number is kept.
        if cleaned.is_refused or cleaned.value is None:
            raise colander.Invalid(node, cleaned.problem.message if cleaned.problem else _("This value is not right."))
        found = cleaned.value
        return str(found.number if self.kind == "phones" else found)

    def serialize(self, node: Any, appstruct: Any) -> Any:
        return list(appstruct or ())


def phones(title: str, **info: Any) -> colander.SchemaNode:
    """Telephone numbers, kept in E.164."""
    info.setdefault("personal", True)
    return _node(_Multi("phones"), FieldInfo(title=title, kind="phones", **info), missing=[])


def emails(title: str, **info: Any) -> colander.SchemaNode:
    """E-mail addresses, kept in lower case."""
    info.setdefault("personal", True)
    return _node(_Multi("emails"), FieldInfo(title=title, kind="emails", **info), missing=[])


def messengers(title: str, **info: Any) -> colander.SchemaNode:
    """Names in messengers and social networks."""
    info.setdefault("personal", True)
    return _node(_Multi("messengers"), FieldInfo(title=title, kind="messengers", **info), missing=[])


def checked(title: str, clean: Callable[[str], Any], **info: Any) -> colander.SchemaNode:
    """A line of text with a check of its own, the same for forms and imports: ИНН, БИК, account numbers."""
    info.setdefault("maximum", 60)

    def validate(node: Any, value: str) -> None:
        cleaned = clean(value)
        if cleaned.is_refused:
            raise colander.Invalid(node, cleaned.problem.message)

    node = text(title, clean=clean, **info)
    node.validator = colander.All(node.validator, validate)
    node.preparer = lambda value: value if value in (colander.null, None) else (clean(value).value or value)
    return node


def unflatten(items: Iterable[tuple[str, Any]], fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    """Turn a posted form into what the schema takes.

    Repeated rows come as `phones-0-value`, `phones-0-type`, `phones-0-main`, `phones-0-off` and the mark `phones-end`,
    which tells an emptied list from one that was not on the form; tags come as repeated `tags` and the mark `tags-end`.
    """
    result: dict[str, Any] = {}
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for key, value in items:
        name, _dash, rest = key.partition("-")
        info = fields.get(name)
        if info is None:
            continue
        if info.kind in MULTI:
            rows.setdefault(name, {})
            if rest != "end":
                index, _dash, attribute = rest.partition("-")
                rows[name].setdefault(index, {})[attribute or "value"] = value
        elif info.kind in ("tags", "choices"):
            result.setdefault(name, [])
            if rest != "end" and value != "":
                result[name].append(value)
        elif info.kind == "bool" and rest == "end":
            result.setdefault(name, False)
        elif not rest:
            result[name] = value
    for name, entries in rows.items():
        mains = {index for index, entry in entries.items() if entry.get("main")}
        result[name] = [{**entry, "main": index in mains} for index, entry in sorted(entries.items(), key=_by_index)]
    return result


def _by_index(item: tuple[str, Any]) -> int:
    return int(item[0]) if item[0].isdecimal() else 0


class InvalidValues(ValueError):
    """Tells which fields are wrong and why; what was typed stays with it, so that a form can show it again."""

    def __init__(self, errors: Mapping[str, str], typed: Mapping[str, Any] | None = None) -> None:
        super().__init__(", ".join(f"{name}: {message}" for name, message in errors.items()))
        self.errors = dict(errors)
        self.typed = dict(typed or {})


def validate(
    schema: type,
    values: Mapping[str, Any],
    *,
    only: Iterable[str] | None = None,
    extra: Mapping[str, FieldInfo] | None = None,
    **bindings: Any,
) -> dict[str, Any]:
    """Check values against a schema; return them typed or raise `InvalidValues` with an error per field.

    `only` leaves out all other fields (an edit in place sends one). `extra` are custom fields, returned under `extra`.
    """
    node = schema().bind(**bindings)
    wanted = None if only is None else set(only)
    custom = extra or {}
    errors: dict[str, str] = {}
    result: dict[str, Any] = {}
    known = {child.name for child in node.children}
    for name in values:
        if name not in known and name not in custom:
            errors[name] = _("There is no such field.")
    for child in node.children:
        if wanted is not None and child.name not in wanted:
            continue
        if wanted is None and child.crm.readonly:
            continue
        given = values.get(child.name, colander.null)
        try:
            value = child.deserialize(given)
        except colander.Invalid as error:
            errors[child.name] = _first_message(error)
            continue
        if value is colander.drop:
            continue
        result[child.name] = None if value is colander.null else value
    extras: dict[str, Any] = {}
    for name, info in custom.items():
        if name in values and (wanted is None or name in wanted):
            try:
                extras[name] = deserialize_custom(info, values[name], **bindings)
            except colander.Invalid as error:
                errors[name] = _first_message(error)
    if not errors and hasattr(schema, "check"):
        errors.update(schema.check(result) or {})
    if errors:
        raise InvalidValues(errors, values)
    if extras:
        result["extra"] = extras
    return result


def _first_message(error: colander.Invalid) -> Any:
    for path in error.paths():
        for part in reversed(path):
            if part.msg:
                return part.msg[0] if isinstance(part.msg, list) else part.msg
    return _("This value is not right.")


_CUSTOM_NODES: dict[str, Callable[[FieldInfo], colander.SchemaNode]] = {
    "text": lambda f: text(f.title, required=f.required),
    "longtext": lambda f: longtext(f.title, required=f.required),
    "number": lambda f: number(f.title, required=f.required),
    "money": lambda f: money(f.title, required=f.required),
    "date": lambda f: date(f.title, required=f.required),
    "datetime": lambda f: datetime(f.title, required=f.required),
    "choice": lambda f: choice(f.title, f.choices, required=f.required),
    "bool": lambda f: boolean(f.title),
    "user": lambda f: user(f.title, required=f.required),
}


def deserialize_custom(info: FieldInfo, given: Any, **bindings: Any) -> Any:
    """Check the value of a custom field and return it in its canonical JSON form."""
    value = _CUSTOM_NODES[info.kind](info).bind(**bindings).deserialize(colander.null if given is None else given)
    if value in (colander.null, colander.drop, None):
        return None
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="seconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
