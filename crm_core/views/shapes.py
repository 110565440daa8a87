"""What pages are made of: frozen dataclasses that views return and the macros of `templates/macros` take.

A shape holds finished facts - texts, addresses, flags - so that a template decides looks and nothing else. Every text
may be a plain string or a translation string; whatever has a `href` works as a plain link when scripts are off.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

TONES = ("", "accent", "success", "warning", "danger", "info", "muted")
"""Meanings of colour; a template always says the same with a word or an icon too."""

FIELD_KINDS = (
    "text", "longtext", "number", "money", "percent", "date", "datetime", "time", "choice", "choices", "radio", "tags",
    "bool", "record", "records", "user", "phones", "emails", "messengers", "addresses", "email", "phone", "url",
    "password", "code", "file", "image", "color", "hidden", "secret", "static",
)  # fmt: skip
"""Kinds of fields that the macro `control` can draw."""

CELL_KINDS = (
    "text", "title", "number", "money", "percent", "date", "badge", "person", "bool", "tags", "phone", "email", "link",
    "record", "progress", "denied",
)  # fmt: skip
"""Kinds of cells that the macro `list_table` can draw."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """A thing a person can do: a link, a form of one button, or a page opened in a dialog or side sheet."""

    title: str
    href: str
    icon: str = ""
    method: str = "get"
    """`post` makes a form of one button with the CSRF token."""
    look: str = ""
    """`primary`, `danger`, `ghost` or nothing."""
    open: str = "page"
    """`page`, `dialog` or `side`: where what it answers is shown."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Hidden fields of the form."""
    key: str = ""
    """The keyboard key that does the same."""
    hint: str = ""
    confirm: str = ""
    """A name that must be typed before it is done; only for what cannot be undone."""
    confirm_text: str = ""
    """What will happen, told above the name to be typed."""
    disabled: str = ""
    """Why it cannot be done now; the button is shown greyed with this text."""
    active: bool = False
    id: str = ""
    part: bool = False
    """With `post`: what it answers says what was done, and the page stays where it is."""


# Not frozen, since a page makes hundreds of these and a frozen one takes four times as long.
@dataclass(kw_only=True, slots=True)
class Badge:
    """A word with a colour: a status, a stage, a tag."""

    text: str
    tone: str = ""
    icon: str = ""
    href: str = ""
    color: str = ""
    """One of the names of `COLORS`, for tags and stages that people paint."""
    hint: str = ""


COLORS = ("gray", "red", "orange", "yellow", "green", "teal", "blue", "indigo", "purple", "pink")
"""Colours that people may give to tags and stages; each is readable in light and dark."""


@dataclass(kw_only=True, slots=True)
class PersonView:
    """A user as others see him: face or initials, name, where his page is."""

    name: str
    id: int | None = None
    initials: str = ""
    photo_href: str = ""
    href: str = ""
    hint: str = ""
    color: str = "gray"
    disabled: bool = False

    @staticmethod
    def of(name: str, id: int | None = None, **more: Any) -> PersonView:
        """Make a person with initials and a steady colour from the name."""
        color = COLORS[1 + (id if id is not None else sum(map(ord, name))) % (len(COLORS) - 1)]
        return PersonView(name=name, id=id, **{"initials": _initials(name), "color": color, **more})


@lru_cache(maxsize=20_000)
def _initials(name: str) -> str:
    words = [word for word in name.split() if word[:1].isalpha()]
    return "".join(word[0] for word in words[:2]).upper() or "?"


@dataclass(kw_only=True, slots=True)
class TextPiece:
    """A part of a text: plain, or the name of a colleague whom it mentions."""

    text: str
    user_id: int | None = None


# --- the shell -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class NavItem:
    """An entry of the menu, a favourite or a saved view."""

    title: str
    href: str
    icon: str = "point"
    id: str = ""
    active: bool = False
    count: int | None = None
    key: str = ""
    """The letter after `g`."""
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class NavGroup:
    """A group of the menu."""

    id: str
    title: str
    items: Sequence[NavItem]
    open: bool = True


@dataclass(frozen=True, kw_only=True)
class JobView:
    """Long work and how far it is."""

    id: int | str
    title: str
    state: str
    """`waiting`, `running`, `done`, `failed` or `stopped`."""
    done: int = 0
    total: int | None = None
    text: str = ""
    """"1 200 of 5 000, about two minutes left"."""
    href: str = ""
    stop_href: str = ""
    poll_href: str = ""
    """Answers the macro `job` of this job again, while it runs."""
    result: str = ""
    error: str = ""
    actions: Sequence[Action] = ()

    @property
    def percent(self) -> int | None:
        """Part done in hundredths, None while the whole is unknown."""
        if self.state == "done":
            return 100
        return min(100, self.done * 100 // self.total) if self.total else None

    @property
    def running(self) -> bool:
        """Whether it still goes on."""
        return self.state in ("waiting", "running")


@dataclass(frozen=True, kw_only=True)
class Toast:
    """A short word that something is done, with the way back."""

    text: str
    tone: str = "success"
    undo_href: str = ""
    """POST address that takes it back; shows "Put it back as it was"."""
    href: str = ""
    href_title: str = ""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A line or two above the content that stays until it is no longer true."""

    text: str
    title: str = ""
    tone: str = "info"
    actions: Sequence[Action] = ()


@dataclass(frozen=True, kw_only=True)
class Shell:
    """All that stands around a page; made by the core for every page of a person who has signed in."""

    person: PersonView
    groups: Sequence[NavGroup] = ()
    favourites: Sequence[NavItem] = ()
    saved_views: Sequence[NavItem] = ()
    create: Sequence[Action] = ()
    bottom: Sequence[NavItem] = ()
    """At most four on a phone; the fifth opens the whole menu."""
    company: str = "CRM"
    logo_href: str = ""
    home_href: str = "/"
    search_href: str = "/search"
    palette_href: str = "/search/palette"
    live_href: str = ""
    live_since: str = ""
    jobs: Sequence[JobView] = ()
    jobs_href: str = ""
    bell_href: str = ""
    unread: int = 0
    profile: Sequence[Action] = ()
    preferences_href: str = ""
    """POST address that keeps `theme` or `locale`."""
    sign_out_href: str = "/sign-out"
    demo: str = ""
    """The sentence of the demo banner, empty outside the demo."""
    notices: Sequence[Notice] = ()
    toasts: Sequence[Toast] = ()


@dataclass(frozen=True, kw_only=True)
class Tab:
    """One of several pages side by side."""

    title: str
    href: str
    active: bool = False
    count: int | None = None
    icon: str = ""
    count_href: str = ""
    """Answers the count after the first paint."""


@dataclass(frozen=True, kw_only=True)
class Crumb:
    """A step of the way here."""

    title: str
    href: str = ""


@dataclass(frozen=True, kw_only=True)
class EmptyState:
    """What a page says when there is nothing: what it is for, one button, one link."""

    title: str
    text: str = ""
    icon: str = "inbox"
    action: Action | None = None
    link: Action | None = None


@dataclass(frozen=True, kw_only=True)
class KeyValue:
    """One line of a table of facts."""

    title: str
    value: Any = ""
    href: str = ""
    badge: Badge | None = None
    hint: str = ""


# --- lists ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a list."""

    name: str
    title: str
    kind: str = "text"
    sort_href: str = ""
    sorted: str = ""
    """`asc`, `desc` or nothing."""
    help: str = ""
    shown: bool = True
    phone: bool = False
    """Whether it stays on a phone; the first always does."""

    @property
    def numeric(self) -> bool:
        """Whether it is set to the right."""
        return self.kind in ("number", "money", "percent")


@dataclass(kw_only=True, slots=True)
class Cell:
    """What stands in one place of a list."""

    kind: str = "text"
    text: Any = ""
    """What is shown, already written in the reader's language."""
    href: str = ""
    hint: str = ""
    """Shown on hover: the exact date."""
    person: PersonView | None = None
    badges: Sequence[Badge] = ()
    more: int = 0
    """How many more there are than shown."""
    icon: str = ""
    value: Any = None
    tone: str = ""
    datetime: str = ""
    """Machine form of a date."""


@dataclass(kw_only=True, slots=True)
class Row:
    """A row of a list."""

    id: int | str
    href: str
    label: str
    cells: Sequence[Cell]
    side_href: str = ""
    """What the side sheet shows."""
    edit_href: str = ""
    tone: str = ""
    actions: Sequence[Action] = ()
    """What can be done with it at once; their keys do it to the row one stands on."""


@dataclass(frozen=True, kw_only=True)
class FilterChip:
    """A filter in force, read as a sentence: "Responsible: me"."""

    title: str
    value: str = ""
    remove_href: str = ""
    edit_href: str = ""
    """Answers the small form of this filter."""
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class FilterChoice:
    """A filter that can be added."""

    title: str
    edit_href: str
    name: str = ""
    group: str = ""
    icon: str = ""


@dataclass(frozen=True, kw_only=True)
class FilterForm:
    """The small form of one filter: how the value is compared, and the value."""

    title: str
    name: str
    action: str
    """GET address of the list; the other filters are in `keep`."""
    operators: Sequence[tuple[str, str]]
    """Value and word: "is", "is not", "between", "is empty"."""
    operator: str
    fields: Sequence[FieldView]
    keep: Sequence[tuple[str, str]] = ()
    remove_href: str = ""
    target: str = "#list"


@dataclass(frozen=True, kw_only=True)
class SavedView:
    """A list with its filters, sort and columns under a name."""

    id: int | str
    title: str
    href: str
    active: bool = False
    shared: str = ""
    """With whom, in words."""
    icon: str = ""
    actions: Sequence[Action] = ()


@dataclass(frozen=True, kw_only=True)
class ListPage:
    """A list: one line of tools, the table, the bulk bar."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    href: str
    """Address of the list without query."""
    entity: str = ""
    icon: str = ""
    query: str = ""
    """What is searched inside."""
    keep: Sequence[tuple[str, str]] = ()
    """The other parameters of the present address, kept by the search form."""
    search_title: str = ""
    filters: Sequence[FilterChip] = ()
    filter_choices: Sequence[FilterChoice] = ()
    clear_href: str = ""
    tabs: Sequence[Tab] = ()
    """Lists that everybody has."""
    looks: Sequence[Tab] = ()
    """The same records as a list, on a board."""
    views: Sequence[SavedView] = ()
    view: str = ""
    """Title of the saved view in force."""
    view_changed: bool = False
    save_view_href: str = ""
    columns_href: str = ""
    """POST address of the chooser of columns."""
    first_href: str = ""
    previous_href: str = ""
    next_href: str = ""
    count_href: str = ""
    """Answers the count after the first paint."""
    count_text: str = ""
    bulk: Sequence[Action] = ()
    bulk_all_title: str = ""
    """Offers to take all that the filter finds, beyond this page."""
    create: Action | None = None
    actions: Sequence[Action] = ()
    """The menu of the list: import, export, trash."""
    groups: Sequence[Action] = ()
    group: str = ""
    notices: Sequence[Notice] = ()
    empty: EmptyState | None = None
    dense: bool = True
    """Rows of 36 px; otherwise 48."""
    selectable: bool = True
    note: str = ""
    """A line beneath: "3 more, not open to you"."""
    below: PanelFrame | None = None
    """A block under the table, loaded after the first paint."""

    @property
    def shown(self) -> list[Column]:
        """The columns that are shown."""
        return [column for column in self.columns if column.shown]

    @property
    def acting(self) -> bool:
        """Whether anything can be done with its rows at once."""
        return any(row.actions for row in self.rows)

    @property
    def laid(self) -> list[tuple[Row, list[tuple[Cell, str, str]]]]:
        """The rows with, for each cell, its classes and how it is drawn: a list is most of what is drawn at all."""
        columns = self.shown
        return [
            (row, [(cell, _cell_css(cell, columns[n], n == 0), _drawn_as(cell, n)) for n, cell in enumerate(row.cells)])
            for row in self.rows
        ]


def _cell_css(cell: Cell, column: Column, first: bool) -> str:
    found = ["is-title"] if first else []
    if cell.kind in ("number", "money", "percent"):
        found.append("is-num")
    if column.phone:
        found.append("is-phone")
    if cell.tone:
        found.append(f"is-{cell.tone}")
    if not (cell.text or cell.person or cell.badges or cell.kind in ("bool", "denied", "progress")):
        found.append("is-empty")
    return " ".join(found)


def _drawn_as(cell: Cell, place: int) -> str:
    if place == 0:
        return "first"
    if not (cell.text or cell.person or cell.badges or cell.kind in ("bool", "denied", "progress")):
        return "text"
    if cell.kind in ("badge", "tags"):
        return "badges"
    if cell.kind in ("person", "date", "bool", "denied", "progress"):
        return cell.kind
    return "rich" if cell.href or cell.icon or cell.more else "text"


# --- fields and forms ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of the values a field may have."""

    value: str
    title: str
    hint: str = ""
    color: str = ""
    photo_href: str = ""
    group: str = ""
    selected: bool = False


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One of several phones, addresses or messengers of a record."""

    value: str = ""
    type: str = ""
    main: bool = False
    off: bool = False
    """Do not use."""
    href: str = ""
    text: str = ""
    """As people write it."""
    type_title: str = ""
    note: str = ""
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class FieldView:
    """A field of a card or form.

    Several entries (`phones`, `emails`, `messengers`, `addresses`) are posted as `<name>-<n>-value`, `-type`, and
    `-main`, `-off` when ticked, with the mark `<name>-end`; `choices`, `tags`, `records` as the same name several
    times and the mark; `bool` as `1` or nothing and the mark; `money` as `<name>` and, with several currencies,
    `<name>-currency`.
    """

    name: str
    title: str
    kind: str = "text"
    value: Any = ""
    """As the control needs it: text, ISO date, id; a sequence of texts for several; True or False for `bool`."""
    display: Any = ""
    """As people read it."""
    pieces: Sequence[TextPiece] = ()
    """A long text that mentions somebody, in pieces."""
    required: bool = False
    readonly: bool = False
    help: str = ""
    error: str = ""
    placeholder: str = ""
    choices: Sequence[Choice] = ()
    """Of `choice` and the like; for pickers only the chosen ones."""
    options_href: str = ""
    """GET address that answers `[{"value", "title", "hint", ...}]` for `?q=`."""
    create_title: str = ""
    """Whether a picker or tags may add what is not there, and the word for it."""
    quick_href: str = ""
    """POST address that makes the record whose name is typed into a picker (`crm_core.records.quick.href`)."""
    entries: Sequence[Entry] = ()
    entry_types: Sequence[Choice] = ()
    currency: str = "RUB"
    currencies: Sequence[str] = ()
    unit: str = ""
    minimum: str = ""
    maximum: str = ""
    step: str = ""
    maxlength: int | None = None
    rows: int = 3
    autocomplete: str = ""
    autofocus: bool = False
    href: str = ""
    """Where the shown value leads: a record, a site, tel:, mailto:."""
    badges: Sequence[Badge] = ()
    person: PersonView | None = None
    edit_href: str = ""
    """GET answers the control in place, POST saves it; empty when the person may not edit it."""
    hidden: bool = False
    """Hidden by rights: shows "no access" and never a value."""
    check_href: str = ""
    """GET address that answers a remark while one types: probable doubles."""
    wide: bool = False
    accept: str = ""
    multiple: bool = False
    id: str = ""
    version: int | str = ""
    icon: str = ""
    hint: str = ""

    @property
    def dom_id(self) -> str:
        """The id of its control in the page."""
        return self.id or "f-" + self.name.replace(":", "-").replace(".", "-")

    @property
    def described_by(self) -> str:
        """The ids of its help and error."""
        parts = [f"{self.dom_id}-help"] if self.help else []
        if self.error:
            parts.append(f"{self.dom_id}-error")
        return " ".join(parts)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        if self.kind == "bool":
            return False
        return not (self.display or self.badges or self.entries or self.person)

    @property
    def selected(self) -> frozenset[str]:
        """The chosen values as text."""
        value = self.value
        if value is None or value == "":
            return frozenset()
        if isinstance(value, (list, tuple, set, frozenset)):
            return frozenset(str(item) for item in value)
        return frozenset([str(value)])

    @property
    def options(self) -> list[Choice]:
        """The choices with the chosen ones marked."""
        chosen = self.selected
        return [replace(choice, selected=choice.selected or choice.value in chosen) for choice in self.choices]

    @property
    def groups(self) -> list[tuple[str, list[Choice]]]:
        """The choices by group, in their order."""
        found: dict[str, list[Choice]] = {}
        for choice in self.options:
            found.setdefault(choice.group, []).append(choice)
        return list(found.items())


@dataclass(frozen=True, kw_only=True)
class Section:
    """Fields that belong together."""

    title: str = ""
    fields: Sequence[FieldView] = ()
    id: str = ""
    text: str = ""
    open: bool = True
    fold: bool = False
    """Whether it can be folded."""


@dataclass(frozen=True, kw_only=True)
class FormPage:
    """A form: only what must be said now."""

    title: str
    action: str
    submit: str
    """Tells what will happen: "Create the deal"."""
    sections: Sequence[Section]
    cancel_href: str = ""
    intro: str = ""
    errors: Sequence[tuple[str, str]] = ()
    """(id of the control or nothing, sentence) of each thing to mend."""
    hidden: Sequence[tuple[str, str]] = ()
    draft: str = ""
    """Key under which what is typed is kept in the browser until saved."""
    danger: bool = False
    more: Sequence[Action] = ()
    """Other buttons of the same form: name and value in `values`."""
    crumbs: Sequence[Crumb] = ()
    notices: Sequence[Notice] = ()
    wide: bool = False
    id: str = "form"
    doubles_href: str = ""

    @property
    def multipart(self) -> bool:
        """Whether it carries files."""
        return any(each.kind in ("file", "image") for section in self.sections for each in section.fields)


# --- cards ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One of the numbers that matter."""

    title: str
    value: str
    hint: str = ""
    tone: str = ""
    href: str = ""
    change: str = ""
    """"+12 % to last month"."""


@dataclass(frozen=True, kw_only=True)
class PanelFrame:
    """A block of a card whose content is loaded after the first paint."""

    id: str
    title: str
    href: str
    count: str = ""
    icon: str = ""
    create: Action | None = None
    open: bool = True


@dataclass(frozen=True, kw_only=True)
class ChangeView:
    """A field as it was and as it became."""

    title: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, kw_only=True)
class FileView:
    """A file that hangs on a record."""

    id: int | str
    name: str
    href: str
    size: str = ""
    hint: str = ""
    icon: str = "file"
    preview_href: str = ""
    actions: Sequence[Action] = ()


@dataclass(frozen=True, kw_only=True)
class PartView:
    """A part of a record that was added, changed or taken off: a line of a deal."""

    title: str = ""
    changes: Sequence[ChangeView] = ()


@dataclass(frozen=True, kw_only=True)
class TimelineItem:
    """Something that happened to a record."""

    id: str
    icon: str
    title: str
    """"Olga logged a call"; the name of who stands before it when `who` is given."""
    when: str
    """Short and human."""
    when_exact: str = ""
    when_machine: str = ""
    who: PersonView | None = None
    text: str = ""
    pieces: Sequence[TextPiece] = ()
    """A text that mentions somebody, in pieces; shown instead of `text`."""
    html: str = ""
    """Cleaned HTML of a letter; shown instead of `text`."""
    href: str = ""
    tone: str = ""
    badges: Sequence[Badge] = ()
    facts: Sequence[KeyValue] = ()
    changes: Sequence[ChangeView] = ()
    parts: Sequence[PartView] = ()
    """Folded away beneath `parts_title`."""
    parts_title: str = ""
    files: Sequence[FileView] = ()
    actions: Sequence[Action] = ()
    day: str = ""
    """Heading of the day when it is the first of that day."""
    small: bool = False
    """One line, for changes of fields."""


@dataclass(frozen=True, kw_only=True)
class TimelinePage:
    """A part of a timeline."""

    items: Sequence[TimelineItem]
    more_href: str = ""
    empty: EmptyState | None = None
    kinds: Sequence[Tab] = ()


@dataclass(frozen=True, kw_only=True)
class ComposerKind:
    """One thing that can be recorded from a card: a note, a call."""

    id: str
    title: str
    icon: str
    href: str
    """Answers its form."""
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of the way that a record goes: a stage of a deal."""

    title: str
    state: str = ""
    """`done`, `current` or nothing for what may come."""
    action: Action | None = None
    """Puts the record there; None where that may not be done."""
    color: str = ""
    icon: str = ""
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class CardPage:
    """A card of a record."""

    title: str
    entity_title: str
    list_href: str
    list_title: str
    id: int | str = ""
    entity: str = ""
    icon: str = ""
    person: PersonView | None = None
    """Face or initials in the head, where the record is a person or company."""
    subtitle: str = ""
    status: FieldView | None = None
    responsible: FieldView | None = None
    figures: Sequence[Figure] = ()
    main: Action | None = None
    actions: Sequence[Action] = ()
    """Buttons beside the main one."""
    menu: Sequence[Action] = ()
    """The same on every card: history, as of, who sees this, share, move to the trash."""
    sections: Sequence[Section] = ()
    composer: Sequence[ComposerKind] = ()
    timeline_href: str = ""
    timeline: TimelinePage | None = None
    panels: Sequence[PanelFrame] = ()
    tabs: Sequence[Tab] = ()
    notices: Sequence[Notice] = ()
    tags: FieldView | None = None
    version: int | str = ""
    favourite: Action | None = None
    follow: Action | None = None
    previous_href: str = ""
    next_href: str = ""
    live: str = ""
    """Key of this record among what /live tells of."""
    steps: Sequence[Step] = ()
    """Its way, as a bar beneath the head."""


@dataclass(frozen=True, kw_only=True)
class ConflictField:
    """A field that two people changed."""

    name: str
    title: str
    theirs: str
    yours: str
    value: str = ""
    """What is posted when yours is kept."""


@dataclass(frozen=True, kw_only=True)
class ConflictPage:
    """Both versions of a record that somebody else saved meanwhile."""

    title: str
    action: str
    who: PersonView | None
    when: str
    fields: Sequence[ConflictField]
    hidden: Sequence[tuple[str, str]] = ()
    cancel_href: str = ""


@dataclass(frozen=True, kw_only=True)
class WhyLine:
    """One reason for which a person sees a record."""

    text: str
    person: PersonView | None = None
    href: str = ""
    icon: str = "eye"
    granted: bool = True


# --- search --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PaletteItem:
    """A line of the palette: go, find or do."""

    title: str
    href: str
    icon: str = "arrow-right"
    hint: str = ""
    keys: str = ""
    open: str = "page"
    method: str = "get"


@dataclass(frozen=True, kw_only=True)
class PaletteGroup:
    """Lines of the palette of one kind."""

    title: str
    items: Sequence[PaletteItem]
    more_href: str = ""


@dataclass(frozen=True, kw_only=True)
class LinkCard:
    """A door to a page, with a word about what is behind it."""

    title: str
    href: str
    text: str = ""
    icon: str = "settings"
    badge: Badge | None = None


@dataclass(frozen=True, kw_only=True)
class LinkGroup:
    """Doors that belong together."""

    title: str
    items: Sequence[LinkCard]
