"""Makes of a few typed words what a record of an entity can be made of: pickers offer it where nothing is found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from crm_core.forms import FieldInfo
from crm_core.records import cleaning
from crm_core.records.fields import all_fields, schema_fields
from crm_core.records.gate import Gate
from crm_core.specs import Entity

_EMAIL = re.compile(r"[^\s,;<>()]+@[^\s,;<>()]+\.[^\s,;<>()]+")
_PHONE = re.compile(r"\+?\d[\d\s()\-.]{5,}\d")
_MOST_NEAR = 5
#: What is left around a phone or an address that was taken out.
_AROUND = " \t\n,;<>()-–—"


def is_nameable(entity: Entity) -> bool:
    """Tell whether a record of the entity can be begun with its name alone, on the form that the core makes."""
    if "new" in entity.own_pages or not entity.in_menu or (entity.parent and "=" not in entity.parent):
        return False
    info = schema_fields(entity.schema).get(entity.label)
    return info is not None and info.kind == "text" and (info.clean is not None or not info.readonly)


def href(gate: Gate, entity: Entity) -> str:
    """Return where a picker of the entity's records makes a new one; empty where this person may not."""
    allowed = is_nameable(entity) and gate.may(entity, "view") and gate.may(entity, "create")
    return f"{entity.url}/quick" if allowed else ""


def values_of(entity: Entity, fields: Mapping[str, FieldInfo], text: str) -> dict[str, Any]:
    """Return raw values by field of what is typed: phones, addresses and a tax number go where they belong.

    The rest is the name, read as an import reads it. `fields` are those that this person may write.
    """
    values: dict[str, Any] = {}
    rest = " ".join(text.split())
    if entity.emails in fields:
        rest = _take(rest, _EMAIL, _email, values, entity.emails)
    rest = _take_number(fields, rest, values)
    if entity.phones in fields:
        rest = _take(rest, _PHONE, _phone, values, entity.phones)
    rest = rest.strip(_AROUND)
    if rest:
        values |= _named(entity, fields, rest)
    return values


def beside(gate: Gate, entity: Entity, near: Iterable[str]) -> list[tuple[FieldInfo, int]]:
    """Return what a record of the entity would be linked with by what is chosen beside its picker.

    `near` are addresses of pickers' options with the number of what is chosen: `/clients/companies/options:7`.
    """
    found = []
    fields = all_fields(gate.session, entity, gate.subject)
    for one in list(near)[:_MOST_NEAR]:
        address, _colon, number = one.rpartition(":")
        if not number.isdecimal() or len(number) > 18:
            continue
        for info in fields.values():
            other = gate.plugins.entities.get(info.entity) if info.kind == "record" and not info.custom else None
            if other is not None and address == f"{other.url}/options" and gate.visible_ids(other, [int(number)]):
                found.append((info, int(number)))
    return found


def _take(text: str, pattern: re.Pattern[str], read: Any, values: dict[str, Any], name: str) -> str:
    def replace(match: re.Match[str]) -> str:
        value = read(match.group())
        if value is None:
            return match.group()
        values.setdefault(name, []).append({"value": value})
        return " "

    return " ".join(pattern.sub(replace, text).split())


def _email(text: str) -> str | None:
    cleaned = cleaning.clean_email(text.strip(".:"))
    return cleaned.value if cleaned.problem is None else None


def _phone(text: str) -> str | None:
    cleaned = cleaning.clean_phone(text)
    return cleaned.value.number if cleaned.value is not None and cleaned.problem is None else None


def _take_number(fields: Mapping[str, FieldInfo], text: str, values: dict[str, Any]) -> str:
    """Take out a tax number: ten or twelve digits whose last ones agree with the rest."""
    info = next((one for one in fields.values() if one.kind == "inn" and one.clean is not None), None)
    if info is None:
        return text
    for word in re.findall(r"(?<![\d+])(?:\d{12}|\d{10})(?!\d)", text):
        cleaned = info.clean(word) if info.clean is not None else None
        if cleaned is not None and cleaned.value and cleaned.problem is None:
            values[info.name] = word
            return " ".join(text.replace(word, " ").split())
    return text


def _named(entity: Entity, fields: Mapping[str, FieldInfo], text: str) -> dict[str, Any]:
    label = schema_fields(entity.schema)[entity.label]
    value: Any = text
    if label.clean is not None:
        cleaned = label.clean(text)
        value = text if cleaned.is_refused or cleaned.value is None else cleaned.value
    found = value if isinstance(value, Mapping) else {label.name: value}
    return {name: one for name, one in found.items() if name in fields}
