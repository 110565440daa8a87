"""How values of records read in lists, on cards, in forms and in history; names of what they point at, in batches."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlalchemy as sa
from pyramid.request import Request
from sqlalchemy.dialects import postgresql as pg

from crm_core import clock, notify
from crm_core.db import Fixed
from crm_core.forms import MULTI, FieldInfo
from crm_core.i18n import _
from crm_core.models import Principal, Role, Team, User
from crm_core.models.accounts import ACTIVE
from crm_core.records import cleaning, quick
from crm_core.records.gate import Gate
from crm_core.records.settings import NEW_TAGS
from crm_core.security.permissions import SETTINGS_EDIT
from crm_core.views.shapes import COLORS, Badge, Cell, Choice, Entry, FieldView, PersonView, TextPiece

#: What several phones, addresses and messengers of a record may be.
ENTRY_TYPES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "phones": (
        ("mobile", _("mobile")),
        ("work", _("work")),
        ("home", _("home")),
        ("fax", _("fax")),
        ("other", _("other")),
    ),
    "emails": (("work", _("work")), ("personal", _("personal")), ("other", _("other"))),
    "messengers": (
        ("telegram", "Telegram"),
        ("whatsapp", "WhatsApp"),
        ("max", "MAX"),
        ("vk", _("VK")),
        ("viber", "Viber"),
        ("other", _("other")),
    ),
}

#: Colours of choices in their order, for statuses and the like that nobody has painted.
_PALETTE = ("blue", "green", "teal", "yellow", "gray", "red", "purple", "orange", "indigo", "pink")

#: Kinds of fields as the macros of forms know them.
_CONTROLS = {"inn": "text", "team": "record", "user": "user"}

#: Marks the number of a tag in a form, so that a word made of digits is still a word.
TAG_MARK = "#"

#: Offers colleagues while one types.
PEOPLE = "/options/people"

#: The value that means the reader himself in filters by people.
ME = "me"


def pieces_of(text: str) -> list[TextPiece]:
    """Return a text in pieces where it mentions somebody; none where it is plain."""
    if not notify.mentioned(text):
        return []
    return [TextPiece(text=said, user_id=user_id) for said, user_id in notify.pieces(text)]


def color_of(colour: str, number: int) -> str:
    """Return the colour of a tag: its own, else a steady one."""
    return colour if colour in COLORS else COLORS[1 + number % (len(COLORS) - 1)]


@dataclass(frozen=True)
class Person:
    """A colleague as records show him."""

    name: str
    photo: str = ""
    active: bool = True


#: Kinds of fields whose values are numbers of something that has a name.
NAMED = ("user", "team", "tags", "record")


@dataclass
class Names:
    """What ids in records are called; `want` collects them, `load` asks for all of them at once."""

    gate: Gate
    people: dict[int, Person] = field(default_factory=dict)
    teams: dict[int, str] = field(default_factory=dict)
    tags: dict[int, tuple[str, str]] = field(default_factory=dict)
    records: dict[str, dict[int, str]] = field(default_factory=dict)
    _wanted: dict[str, set[int]] = field(default_factory=dict)

    def want(self, info: FieldInfo, value: Any) -> None:
        """Note down what a value of a field points at."""
        if not value:
            return
        if info.kind in ("user", "team"):
            self.want_ids(info.kind, [value])
        elif info.kind == "tags":
            self.want_ids("tag", value)
        elif info.kind == "record":
            self.want_ids(info.entity, [value])

    def want_ids(self, kind: str, ids: Iterable[Any]) -> None:
        """Note down ids of `user`, `team`, `tag` or of an entity."""
        found = {int(one) for one in ids if one is not None and str(one).isdecimal() and len(str(one)) < 19}
        if found:
            self._wanted.setdefault(kind, set()).update(found)

    def load(self) -> Names:
        """Ask for all names noted down: one statement for people, departments and tags, one for each entity."""
        wanted, self._wanted = self._wanted, {}
        self._load_core(wanted)
        for entity, ids in wanted.items():
            if entity in self.gate.plugins.entities:
                known = self.records.setdefault(entity, {})
                missing = ids - known.keys()
                if missing and self.gate.may(entity, "view"):
                    known.update(_labels(self.gate, entity, missing))
        return self

    def _load_core(self, wanted: Mapping[str, set[int]]) -> None:
        known: dict[str, Mapping[int, Any]] = {"user": self.people, "team": self.teams, "tag": self.tags}
        asked = {kind: sorted(wanted.get(kind, set()) - names.keys()) for kind, names in known.items()}
        if not any(asked.values()):
            return
        rows: Any = _NAMES.ask(self.gate.session, **asked)
        for kind, number, name, more, state in rows:
            if kind == "user":
                self.people[number] = Person(name, more, state == ACTIVE)
            elif kind == "team":
                self.teams[number] = name
            else:
                self.tags[number] = (name, more)


def _labels(gate: Gate, name: str, ids: Iterable[int]) -> dict[int, str]:
    """Return the names of those records that may be seen; one array, since a list is planned anew each time."""
    entity = gate.entity(name)
    model: Any = entity.model
    wanted = sa.literal(sorted(ids), pg.ARRAY(sa.BigInteger()))
    statement = sa.select(model.id, getattr(model, entity.label)).where(
        model.id == sa.any_(wanted), gate.criterion(entity)
    )
    return {row[0]: row[1] for row in gate.session.execute(statement)}


#: Written as text, since it stands on every page and is always the same.
_NAMES = Fixed(
    "SELECT 'user', id, name, photo, status FROM core_user WHERE id = ANY(:user) "
    "UNION ALL SELECT 'team', id, name, '', '' FROM core_team WHERE id = ANY(:team) "
    "UNION ALL SELECT 'tag', id, name, colour, '' FROM core_tag WHERE id = ANY(:tag)"
)


def typed_value(info: FieldInfo, value: Any) -> Any:
    """Return a value as Python has it, from a record or from the JSON of the change log or of custom fields."""
    if value in (None, "") or not isinstance(value, str | int | float):
        return value
    try:
        if info.kind == "date" and isinstance(value, str):
            return dt.date.fromisoformat(value[:10])
        if info.kind == "datetime" and isinstance(value, str):
            moment = dt.datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        if info.kind in ("number", "money") and not isinstance(value, bool):
            return Decimal(str(value))
    except (ValueError, InvalidOperation):
        return value
    return value


class Reader:
    """Says values in the reader's language, with the names of what they point at."""

    def __init__(self, request: Request, names: Names | None = None) -> None:
        self.request = request
        self.gate: Gate = request.gate
        self.names = names or Names(request.gate)
        self.formats = request.formats
        self.say = request.translate
        self._cells: dict[tuple[str, Any], Cell] = {}
        self._tags: dict[tuple[int, str], Badge | None] = {}
        self._days: dict[dt.date, str] = {}
        self._today = clock.today(self.formats.tz)

    # -- plain text --------------------------------------------------------------------------------------------------

    def text(self, info: FieldInfo, value: Any, *, currency: str = "") -> str:
        """Return a value in words: for filters, history and comparisons."""
        value = typed_value(info, value)
        if value in (None, "", [], {}):
            return ""
        if info.kind in MULTI:
            return ", ".join(self._entry_text(info.kind, one) for one in value)
        if info.kind == "tags":
            return ", ".join(self.names.tags.get(one, ("", ""))[0] or self.say(_("a deleted tag")) for one in value)
        if info.kind == "user":
            return self.person(value).name
        if info.kind == "team":
            return self.names.teams.get(value, f"№ {value}")
        if info.kind == "record":
            label = self.names.records.get(info.entity, {}).get(value)
            return str(label) if label else self.say(_("No access"))
        if info.kind == "choice":
            return self.choice(info, value)
        if info.kind == "choices":
            return ", ".join(self.choice(info, one) for one in value)
        if info.kind == "bool":
            return self.say(_("Yes") if value in (True, "true", "1") else _("No"))
        if info.kind == "money" and isinstance(value, Decimal | int | float):
            return str(self.formats.money(value, currency or self.request.company.currency))
        if info.kind == "number" and isinstance(value, Decimal | int | float):
            return str(self.formats.number(value))
        if isinstance(value, dt.datetime):
            return str(self.formats.datetime(value))
        if isinstance(value, dt.date):
            return str(self.formats.date(value))
        return notify.plain(value) if info.mentions else str(value)

    def choice(self, info: FieldInfo, value: Any) -> str:
        """Return the title of one of a field's choices."""
        return str(self.say(dict(info.choices).get(value, value)))

    def person(self, number: int | None) -> PersonView:
        """Return a colleague with face or initials."""
        known = self.names.people.get(number or 0)
        name = known.name if known and known.name else self.say(_("Former colleague"))
        photo = f"/faces/{known.photo}.png" if known and known.photo else ""
        return PersonView.of(name, number, photo_href=photo, disabled=known is None or not known.active)

    def tag_badges(self, ids: Sequence[int], href: str = "") -> list[Badge]:
        """Return tags as badges; each leads to the list of what has it where `href` says how."""
        return [badge for one in ids if (badge := self._tag_badge(one, href)) is not None]

    def _tag_badge(self, number: int, href: str) -> Badge | None:
        if (number, href) not in self._tags:
            name, colour = self.names.tags.get(number, ("", ""))
            link = f"{href}{number}" if href else ""
            self._tags[number, href] = Badge(text=name, color=color_of(colour, number), href=link) if name else None
        return self._tags[number, href]

    def choice_badge(self, info: FieldInfo, value: Any) -> Badge:
        """Return one of several choices as a badge of a steady colour."""
        place = next((index for index, pair in enumerate(info.choices) if pair[0] == value), 0)
        return Badge(text=self.choice(info, value), color=_PALETTE[place % len(_PALETTE)])

    def _entry_text(self, kind: str, entry: Any) -> str:
        value = str(entry.get("value", "")) if isinstance(entry, Mapping) else str(entry)
        return cleaning.write_phone(value) if kind == "phones" else value

    # -- lists -------------------------------------------------------------------------------------------------------

    def cell(self, info: FieldInfo, value: Any, row: Any = None) -> Cell:
        """Return what stands in a list."""
        if info.kind in _REPEATED and isinstance(value, int | str):
            # The same people, statuses and companies stand in many rows.
            key = (info.name, value)
            if key not in self._cells:
                self._cells[key] = self._cell(info, value, row)
            return self._cells[key]
        return self._cell(info, value, row)

    def _cell(self, info: FieldInfo, value: Any, row: Any) -> Cell:
        if info.kind == "bool":
            return Cell(kind="bool", value=bool(value))
        if value is None or value == "" or value == [] or value == {}:
            return _EMPTY
        if info.kind in MULTI:
            return self._entries_cell(info, value)
        value = typed_value(info, value)
        if info.kind == "tags":
            badges = self.tag_badges(value)
            return Cell(kind="tags", badges=badges[:3], more=max(0, len(badges) - 3))
        if info.kind == "user":
            return Cell(kind="person", person=self.person(value))
        if info.kind == "record":
            label = self.names.records.get(info.entity, {}).get(value)
            if label is None:
                return Cell(kind="denied")
            url = self.gate.plugins.entities[info.entity].url
            return Cell(kind="record", text=label, href=f"{url}/{value}")
        if info.kind == "choice":
            if info.name == "status":
                return Cell(kind="badge", badges=[self.choice_badge(info, value)])
            return Cell(text=self.choice(info, value))
        if isinstance(value, dt.datetime):
            text, hint = self._moment(value)
            return Cell(kind="date", text=text, hint=hint, datetime=value.isoformat())
        if isinstance(value, dt.date):
            return Cell(kind="date", text=self.formats.date(value, short=True), datetime=value.isoformat())
        text = self.text(info, value, currency=getattr(row, "currency", "") or "")
        kind = info.kind if info.kind in ("number", "money") else "text"
        if kind == "text" and _is_site(info, text):
            return Cell(kind="link", text=_bare(text), href=_address(text))
        return Cell(kind=kind, text=text if len(text) < 300 else text[:299] + "…")

    def _moment(self, value: dt.datetime) -> tuple[str, str]:
        """Return a moment as lists say it, and exactly; a day far away is said once however many rows have it."""
        local = value.astimezone(self.formats.tz)
        day = local.date()
        if day not in self._days:
            self._days[day] = self.formats.date(day) if abs((self._today - day).days) >= _FAR else ""
        return self._days[day] or self.formats.relative(value), self.formats.datetime(local)

    def _entries_cell(self, info: FieldInfo, entries: Sequence[Any]) -> Cell:
        main = next((one for one in entries if one.get("main")), entries[0])
        href = "" if main.get("off") else entry_href(info.kind, main["value"], main.get("type", ""))
        return Cell(
            kind={"phones": "phone", "emails": "email"}.get(info.kind, "link"),
            text=self._entry_text(info.kind, main),
            href=href,
            more=len(entries) - 1,
            hint=", ".join(self._entry_text(info.kind, one) for one in entries) if len(entries) > 1 else "",
        )

    # -- cards -------------------------------------------------------------------------------------------------------

    def shown(self, info: FieldInfo, value: Any, record: Any = None, **more: Any) -> FieldView:
        """Return a field as it stands on a card."""
        value = typed_value(info, value)
        made: dict[str, Any] = {"name": info.name, "title": self.say(info.title), "kind": info.kind, **more}
        if info.kind == "bool":
            return FieldView(value=bool(value), **made)
        if value in (None, "", [], {}):
            return FieldView(**made)
        if info.kind in MULTI:
            return FieldView(entries=self.entries(info.kind, value), **made)
        if info.kind == "tags":
            return FieldView(badges=self.tag_badges(value), **made)
        if info.kind == "user":
            return FieldView(person=self.person(value), **made)
        if info.kind == "record":
            label = self.names.records.get(info.entity, {}).get(value)
            if label is None:
                return FieldView(hidden=True, **made)
            return FieldView(display=label, href=f"{self.gate.plugins.entities[info.entity].url}/{value}", **made)
        if info.kind == "choice" and info.name == "status":
            return FieldView(badges=[self.choice_badge(info, value)], **made)
        text = self.text(info, value, currency=getattr(record, "currency", "") or "")
        if isinstance(value, dt.datetime):
            return FieldView(display=self.formats.relative(value), hint=text, **made)
        if info.mentions:
            return FieldView(display=text, pieces=pieces_of(value), **made)
        if info.kind == "text" and _is_site(info, text):
            return FieldView(display=_bare(text), href=_address(text), **made)
        return FieldView(display=text, **made)

    def entries(self, kind: str, values: Sequence[Any]) -> list[Entry]:
        """Return phones, addresses or messengers as a card shows them."""
        titles = dict(ENTRY_TYPES.get(kind, ()))
        return [
            Entry(
                value=one["value"],
                text=self._entry_text(kind, one),
                type=one.get("type", ""),
                type_title=self.say(titles.get(one.get("type", ""), one.get("type", ""))),
                main=bool(one.get("main")),
                off=bool(one.get("off")),
                href=entry_href(kind, one["value"], one.get("type", "")),
            )
            for one in values
        ]

    # -- forms -------------------------------------------------------------------------------------------------------

    def raw(self, info: FieldInfo, value: Any) -> Any:
        """Return a value as a form posts it."""
        value = typed_value(info, value)
        if info.kind in MULTI:
            return list(value or [])
        if info.kind == "tags":
            return [f"{TAG_MARK}{one}" for one in value or []]
        if info.kind == "bool":
            return bool(value)
        if value is None:
            return ""
        if isinstance(value, dt.datetime):
            return value.astimezone(self.formats.tz).strftime("%Y-%m-%dT%H:%M")
        if isinstance(value, dt.date):
            return value.isoformat()
        if isinstance(value, Decimal):
            plain = format(value.normalize(), "f")
            return plain.replace(".", ",") if self.formats.locale == "ru" else plain
        return str(value)

    def want_raw(self, info: FieldInfo, raw: Any) -> None:
        """Note down what a posted value points at, so that the form can be shown again."""
        if info.kind in ("user", "team"):
            self.names.want_ids(info.kind, [raw])
        elif info.kind == "record":
            self.names.want_ids(info.entity, [raw])
        elif info.kind == "tags":
            self.names.want_ids("tag", [one[1:] for one in raw if str(one).startswith(TAG_MARK)])

    def control(self, info: FieldInfo, raw: Any, **more: Any) -> FieldView:
        """Return a field as it stands in a form; `raw` is the value as the form posts it."""
        made: dict[str, Any] = {
            "name": info.name,
            "title": self.say(info.title),
            "kind": _CONTROLS.get(info.kind, info.kind),
            "required": info.required,
            "help": self.say(info.help) if info.help else "",
            "maxlength": info.maximum if info.kind in ("text", "inn", "longtext") else None,
            **more,
        }
        if info.kind in MULTI:
            entries = self._typed_entries(info.kind, raw)
            return FieldView(entries=entries, entry_types=self._types(info.kind, entries), **made)
        if info.kind in ("choice", "choices"):
            choices = [Choice(value=value, title=self.say(title)) for value, title in info.choices]
            return FieldView(value=raw, choices=choices, **made)
        if info.kind == "tags":
            made.setdefault("create_title", self.say(_("Add the tag")) if may_make_tags(self.request) else "")
            choices = [self._tag_choice(one) for one in raw or ()]
            return FieldView(value=raw, choices=choices, options_href="/options/tags", **made)
        if info.kind == "user":
            person = self.names.people.get(int(raw)) if str(raw).isdecimal() else None
            choices = [Choice(value=str(raw), title=person.name)] if person else []
            return FieldView(value=raw, choices=choices, options_href=PEOPLE, **made)
        if info.kind == "team":
            team = self.names.teams.get(int(raw)) if str(raw).isdecimal() else None
            choices = [Choice(value=str(raw), title=team)] if team else []
            return FieldView(value=raw, choices=choices, options_href="/options/departments", **made)
        if info.kind == "record":
            return self._record_control(info, raw, made)
        if info.kind == "money":
            return FieldView(value=raw, currency=self.request.company.currency, **made)
        if info.kind == "longtext":
            made.setdefault("options_href", PEOPLE if info.mentions else "")
            return FieldView(value=raw, wide=True, rows=4, **made)
        return FieldView(value=raw, **made)

    def _record_control(self, info: FieldInfo, raw: Any, made: dict[str, Any]) -> FieldView:
        entity = self.gate.plugins.entities.get(info.entity)
        known = self.names.records.get(info.entity, {})
        number = int(raw) if str(raw).isdecimal() else 0
        choices = []
        if number:
            choices = [Choice(value=str(number), title=known.get(number) or self.say(_("No access")))]
        if entity is None:
            return FieldView(value=raw, choices=choices, **made)
        made.setdefault("quick_href", quick.href(self.gate, entity))
        return FieldView(value=raw, choices=choices, options_href=f"{entity.url}/options", **made)

    def _tag_choice(self, one: str) -> Choice:
        if one.startswith(TAG_MARK) and one[1:].isdecimal():
            number = int(one[1:])
            name, colour = self.names.tags.get(number, ("", ""))
            return Choice(value=one, title=name or one, color=color_of(colour, number))
        return Choice(value=one, title=one)

    def _types(self, kind: str, entries: Sequence[Entry]) -> list[Choice]:
        # What an import or a program of somebody else wrote stays as it is unless it is changed on purpose.
        known = dict(ENTRY_TYPES.get(kind, ()))
        others = dict.fromkeys(one.type for one in entries if one.type not in known)
        return [
            *(Choice(value=value, title=self.say(title)) for value, title in known.items()),
            *(Choice(value=value, title=value or "—") for value in others),
        ]

    def _typed_entries(self, kind: str, raw: Any) -> list[Entry]:
        return [
            Entry(
                value=self._entry_text(kind, one),
                type=str(one.get("type") or ""),
                main=one.get("main") in (True, "1"),
                off=one.get("off") in (True, "1"),
            )
            for one in raw or ()
            if isinstance(one, Mapping)
        ]


_EMPTY = Cell()
#: From so many days on a moment is told by its date alone.
_FAR = 7
#: Kinds of fields whose values repeat from row to row.
_REPEATED = ("user", "choice", "record", "bool")


def entry_href(kind: str, value: str, type: str = "") -> str:
    """Return where a phone, address or messenger leads."""
    if kind == "phones":
        return f"tel:{value}"
    if kind == "emails":
        return f"mailto:{value}"
    name = value.lstrip("@")
    if not name or not all(sign.isalnum() or sign in "_.-+" for sign in name):
        return ""
    if type == "telegram":
        return f"https://t.me/{name}"
    if type == "whatsapp" and name.lstrip("+").isdecimal():
        return f"https://wa.me/{name.lstrip('+')}"
    if type == "vk":
        return f"https://vk.com/{name}"
    return ""


def _is_site(info: FieldInfo, text: str) -> bool:
    if text.startswith(("http://", "https://")):
        return " " not in text
    return info.name in ("site", "website", "url") and "." in text and not any(sign in text for sign in " :/\\@")


def _address(text: str) -> str:
    return text if text.startswith(("http://", "https://")) else f"https://{text}"


def _bare(text: str) -> str:
    return text.removeprefix("https://").removeprefix("http://").rstrip("/")


def may_make_tags(request: Request) -> bool:
    """Tell whether this person may add words to the company's tags while he puts them on a record."""
    return request.company.get(NEW_TAGS) == "all" or bool(request.subject.may(SETTINGS_EDIT))


def principal_names(gate: Gate, ids: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Return (kind, name) of those with whom records are shared, in one statement; titles of roles are message ids."""
    wanted = sorted({int(one) for one in ids if one is not None})
    if not wanted:
        return {}
    name = sa.case(
        (Principal.kind == "user", sa.select(User.name).where(User.id == Principal.ref_id).scalar_subquery()),
        (Principal.kind == "team", sa.select(Team.name).where(Team.id == Principal.ref_id).scalar_subquery()),
        else_=sa.select(Role.title).where(Role.id == Principal.ref_id).scalar_subquery(),
    )
    rows = gate.session.execute(sa.select(Principal.id, Principal.kind, name).where(Principal.id.in_(wanted)))
    return {row[0]: (row[1], row[2] or "") for row in rows}


def now_in(request: Request) -> dt.datetime:
    """Return the present moment in the reader's zone."""
    return clock.now().astimezone(request.formats.tz)
