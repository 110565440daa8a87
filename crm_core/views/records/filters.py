"""Filters of lists: chips that read as sentences, the small form of each, and what that form posts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from pyramid.httpexceptions import HTTPNotFound
from pyramid.i18n import TranslationString
from pyramid.request import Request

from crm_core.forms import FieldInfo
from crm_core.i18n import _
from crm_core.records.listing import OPERATOR_TITLES, OPERATORS, PERIODS, Condition, Listing, ListQuery
from crm_core.specs import Filter
from crm_core.views.records.reading import ME, Names, Reader
from crm_core.views.shapes import Choice, FieldView, FilterChip, FilterChoice, FilterForm

#: Filters that most lists are asked by come first.
_OFTEN = ("owner_id", "status", "tags", "last_contact_at", "created_at", "company_id")

_ICONS = {
    "user": "user",
    "team": "hierarchy-2",
    "tags": "tags",
    "date": "calendar",
    "datetime": "calendar",
    "money": "coins",
    "number": "hash",
    "choice": "list",
    "record": "link",
    "phones": "phone",
    "emails": "mail",
    "bool": "checkbox",
    "days": "clock-hour-4",
}

_PICKED = ("user", "team", "record", "tags", "choice", "choices")
_BETWEEN = ("number", "money")
_DATED = ("date", "datetime")


def full_query(request: Request, query: ListQuery, **changes: Any) -> str:
    """Return the query string of a list, changed so, with the saved view that it began from."""
    text = query.query_string(**changes)
    view = request.GET.get("view", "")
    if view.isdecimal():
        text = "&".join(part for part in (f"view={view}", text) if part)
    return text


def address(request: Request, url: str, query: ListQuery, **changes: Any) -> str:
    """Return the address of a list, changed so and at its beginning."""
    text = full_query(request, query, **{"after": "", "before": "", **changes})
    return f"{url}?{text}" if text else url


# -- chips -------------------------------------------------------------------------------------------------------------


def want_names(names: Names, listing: Listing, query: ListQuery) -> None:
    """Note down what the filters in force point at."""
    for condition in query.conditions:
        info = listing.fields.get(condition.field)
        if info is not None and info.kind in ("user", "team", "record", "tags"):
            names.want_ids({"tags": "tag", "record": info.entity}.get(info.kind, info.kind), condition.values)


def chips(reader: Reader, listing: Listing, query: ListQuery, url: str) -> list[FilterChip]:
    """Return the filters in force, each with the way to change it and to take it off."""
    found = []
    for place, condition in enumerate(query.conditions):
        rest = query.conditions[:place] + query.conditions[place + 1 :]
        title, value = sentence(reader, listing, condition)
        keep = full_query(reader.request, query, after="", before="")
        known = condition.field in listing.fields or any(one.name == condition.field for one in listing.entity.filters)
        found.append(
            FilterChip(
                title=title,
                value=value,
                name=condition.field,
                remove_href=address(reader.request, url, query, conditions=rest),
                edit_href=f"{url}/filter/{condition.field}?at={place}&{keep}" if known else "",
            )
        )
    return found


def sentence(reader: Reader, listing: Listing, condition: Condition) -> tuple[str, str]:
    """Return a filter as a sentence: what stands before the colon, and the value."""
    own = listing.own_filters.get(condition.field)
    if own is not None:
        return _own_sentence(reader, own, condition)
    info = listing.fields.get(condition.field)
    if info is None:
        return condition.field, ", ".join(condition.values)
    return reader.say(info.title), _value_sentence(reader, info, condition)


def _own_sentence(reader: Reader, own: Filter, condition: Condition) -> tuple[str, str]:
    value = condition.values[0] if condition.values else ""
    if own.kind == "bool" and value not in ("", "1", "true", "yes"):
        return reader.say(own.title), reader.say(_("no"))
    if own.kind == "choice":
        titles = dict(own.choices)
        return reader.say(own.title), ", ".join(reader.say(titles.get(one, one)) for one in condition.values)
    if not own.sentence:
        return reader.say(own.title), value
    if isinstance(own.sentence, TranslationString):
        said = TranslationString(own.sentence, mapping={"value": value})
        return reader.say(said), ""
    return own.sentence.replace("${value}", value), ""


def _value_sentence(reader: Reader, info: FieldInfo, condition: Condition) -> str:
    say, op, values = reader.say, condition.op, condition.values
    if op in ("empty", "filled"):
        return say(OPERATOR_TITLES[op])
    if op == "period":
        return say(PERIODS.get(values[0], values[0])) if values else ""
    if op == "between":
        low, high = (*(_plain(reader, info, one) for one in values), "", "")[:2]
        if low and high:
            return low if low == high else f"{low} – {high}"
        if low:
            return say(_("from ${value}", mapping={"value": low}))
        return say(_("to ${value}", mapping={"value": high}))
    words = [_plain(reader, info, one) for one in values]
    if op == "any":
        return ", ".join(words)
    if op == "is":
        return words[0] if words else ""
    joined = ", ".join(words)
    return f"{say(OPERATOR_TITLES.get(op, op))} {joined}"


def _plain(reader: Reader, info: FieldInfo, value: str) -> str:
    if not value:
        return ""
    if info.kind == "user" and value == ME:
        return reader.say(_("me"))
    if info.kind in ("user", "team", "record") and value.isdecimal():
        return reader.text(info, int(value))
    if info.kind == "tags" and value.isdecimal():
        return reader.text(info, [int(value)])
    if info.kind in ("choice", "choices"):
        return reader.choice(info, value)
    if info.kind == "datetime":
        return reader.text(replace(info, kind="date"), value)
    if info.kind in ("text", "longtext"):
        return f"«{value}»" if reader.formats.locale == "ru" else f"“{value}”"
    return reader.text(info, value)


# -- what may be asked -------------------------------------------------------------------------------------------------


def filter_choices(reader: Reader, listing: Listing, query: ListQuery, url: str) -> list[FilterChoice]:
    """Return the filters that can be added: what is asked often first, then the fields by their sections."""
    say = reader.say
    keep = full_query(reader.request, query, after="", before="")
    fields = [info for info in listing.fields.values() if info.filtered and info.kind in OPERATORS]
    often = [info for name in _OFTEN for info in fields if info.name == name]
    rest = [info for info in fields if info not in often]

    def choice(name: str, title: str, kind: str, group: str) -> FilterChoice:
        icon = _ICONS.get(kind, "filter")
        return FilterChoice(name=name, title=title, group=group, icon=icon, edit_href=f"{url}/filter/{name}?{keep}")

    first = say(_("Often"))
    found = [choice(info.name, say(info.title), info.kind, first) for info in often]
    found += [choice(own.name, say(own.title), own.kind, first) for own in listing.entity.filters]
    for section, members in by_section(rest):
        group = say(section) if section else say(_("Other"))
        found += [choice(info.name, say(info.title), info.kind, group) for info in members]
    return found


def by_section(fields: Iterable[FieldInfo]) -> list[tuple[str, list[FieldInfo]]]:
    """Return fields by their sections, both in the order in which they first come."""
    found: dict[str, list[FieldInfo]] = {}
    for info in fields:
        found.setdefault(info.section, []).append(info)
    return list(found.items())


# -- the form of one filter --------------------------------------------------------------------------------------------


def filter_form(reader: Reader, listing: Listing, query: ListQuery, url: str, name: str) -> FilterForm:
    """Return the small form of one filter; with `at` in the address it changes the one that stands there."""
    request = reader.request
    at = request.GET.get("at", "")
    place = int(at) if at.isdecimal() and int(at) < len(query.conditions) else None
    present = query.conditions[place] if place is not None else None
    if present is not None and present.field != name:
        present = None
    rest = tuple(one for one in query.conditions if one is not present)
    own = next((one for one in listing.entity.filters if one.name == name), None)
    info = listing.fields.get(name)
    if own is None and (info is None or not info.filtered or info.kind not in OPERATORS):
        raise HTTPNotFound
    made: dict[str, Any] = {
        "name": name,
        "action": url,
        "keep": keep_pairs(request, replace(query, conditions=rest)),
        "remove_href": address(request, url, query, conditions=rest) if present else "",
    }
    if own is not None:
        value = present.values if present else ()
        fields = [_own_field(reader, own, value)]
        return FilterForm(title=reader.say(own.title), operators=(), operator="own", fields=fields, **made)
    assert info is not None
    operators = _operators(info)
    operator = _shown_operator(info, present.op if present else operators[0])
    return FilterForm(
        title=reader.say(info.title),
        operators=[(op, _operator_title(reader, info, op)) for op in operators],
        operator=operator,
        fields=_fields(reader, info, present),
        **made,
    )


def keep_pairs(request: Request, query: ListQuery) -> list[tuple[str, str]]:
    """Return the parameters of a list at its beginning, for the hidden fields of its forms."""
    from urllib.parse import parse_qsl

    return parse_qsl(full_query(request, query, after="", before=""))


def _operators(info: FieldInfo) -> list[str]:
    found = list(OPERATORS[info.kind])
    if info.kind in _DATED:
        found.remove("period")
    if info.kind in _BETWEEN:
        found.remove("is")
    return found


def _shown_operator(info: FieldInfo, op: str) -> str:
    if info.kind in _DATED and op == "period":
        return "between"
    if info.kind in _BETWEEN and op == "is":
        return "between"
    return op


def _operator_title(reader: Reader, info: FieldInfo, op: str) -> str:
    if op == "between":
        return reader.say(_("within"))
    return reader.say(OPERATOR_TITLES[op])


def _fields(reader: Reader, info: FieldInfo, present: Condition | None) -> list[FieldView]:
    say, name = reader.say, info.name
    values = present.values if present and present.op not in ("empty", "filled") else ()
    if info.kind in _DATED:
        chosen = present is not None and present.op == "period"
        low, high = ("", "") if chosen else (*values, "", "")[:2]
        return [
            FieldView(
                name=f"{name}-period",
                id=f"filter-{name}-period",
                title=say(_("Period")),
                kind="choice",
                value=values[0] if chosen and values else "",
                placeholder=say(_("between dates")),
                choices=[Choice(value=one, title=say(title)) for one, title in PERIODS.items()],
            ),
            FieldView(name=f"{name}-from", id=f"filter-{name}-from", title=say(_("Since")), kind="date", value=low),
            FieldView(name=f"{name}-to", id=f"filter-{name}-to", title=say(_("Till")), kind="date", value=high),
        ]
    if info.kind in _BETWEEN:
        low, high = (*values, *values, "")[:2] if present and present.op == "is" else (*values, "", "")[:2]
        return [
            FieldView(
                name=f"{name}-from", id=f"filter-{name}-from", title=say(_("Not less than")), kind="number", value=low
            ),
            FieldView(
                name=f"{name}-to", id=f"filter-{name}-to", title=say(_("Not more than")), kind="number", value=high
            ),
        ]
    made: dict[str, Any] = {"name": name, "id": f"filter-{name}", "title": say(info.title)}
    if info.kind == "bool":
        yes_no = [Choice(value="1", title=say(_("Yes"))), Choice(value="0", title=say(_("No")))]
        return [FieldView(kind="radio", value=values[0] if values else "1", choices=yes_no, **made)]
    if info.kind in _PICKED:
        return [_picker(reader, info, values, made)]
    return [FieldView(kind="text", value=values[0] if values else "", **made)]


def _picker(reader: Reader, info: FieldInfo, values: Sequence[str], made: dict[str, Any]) -> FieldView:
    if info.kind in ("choice", "choices"):
        choices = [Choice(value=one, title=reader.say(title)) for one, title in info.choices]
        return FieldView(kind="choices", value=tuple(values), choices=choices, **made)
    entity = reader.gate.plugins.entities.get(info.entity)
    href = {
        "user": "/options/people?me=1",
        "team": "/options/departments",
        "tags": "/options/tags?plain=1",
        "record": f"{entity.url}/options" if entity else "",
    }[info.kind]
    chosen = [Choice(value=one, title=_plain(reader, info, one)) for one in values]
    return FieldView(kind="records", value=tuple(values), choices=chosen, options_href=href, **made)


def _own_field(reader: Reader, own: Filter, values: Sequence[str]) -> FieldView:
    say = reader.say
    made: dict[str, Any] = {"name": own.name, "id": f"filter-{own.name}", "title": say(own.title)}
    first = values[0] if values else ""
    if own.kind == "days":
        return FieldView(kind="number", value=first or "30", unit=say(_("days")), **made)
    if own.kind == "bool":
        yes_no = [Choice(value="1", title=say(_("Yes"))), Choice(value="0", title=say(_("No")))]
        return FieldView(kind="radio", value="0" if first == "0" else "1", choices=yes_no, **made)
    if own.kind == "choice":
        choices = [Choice(value=one, title=say(title)) for one, title in own.choices]
        return FieldView(kind="choices", value=tuple(values), choices=choices, **made)
    return FieldView(kind="date" if own.kind == "date" else "text", value=first, **made)


# -- what the form posts -----------------------------------------------------------------------------------------------


def posted_conditions(params: Any, listing: Listing) -> list[Condition]:
    """Return the filters that small forms of filters say in a query string; none when it is an ordinary address."""
    found: list[Condition] = []
    own = {one.name: one for one in listing.entity.filters}
    names = dict.fromkeys(key.partition("-")[0] for key in params if key.partition("-")[0] in {**listing.fields, **own})
    for name in names:
        if name in own:
            values = tuple(one for one in params.getall(name) if one)
            if values:
                found.append(Condition(name, "is", values))
        elif (condition := _posted(params, listing.fields[name])) is not None:
            found.append(condition)
    return found


def _posted(params: Any, info: FieldInfo) -> Condition | None:
    name = info.name
    op = params.get(f"{name}-op") or _operators(info)[0]
    if op in ("empty", "filled"):
        return Condition(name, op)
    if info.kind in _DATED or info.kind in _BETWEEN:
        period = params.get(f"{name}-period", "")
        low, high = params.get(f"{name}-from", "").strip(), params.get(f"{name}-to", "").strip()
        if low or high:
            return Condition(name, "between", (low, high))
        return Condition(name, "period", (period,)) if period else None
    values = tuple(one.strip() for one in params.getall(name) if one.strip())
    return Condition(name, op, values) if values else None
