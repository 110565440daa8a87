"""What hooks return: frozen dataclasses, the vocabulary between the core and its plugins.

A spec is data: it names templates, routes and permissions, and the core decides what a person gets to see of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: The version of the contract in this module and in `hookspecs`; plugins say which they were written for.
CORE_API = 1

#: Scopes in which a permission may be granted, narrowest first; an entity may add its own.
SCOPES = ("own", "shared", "team", "all")


@dataclass(frozen=True, kw_only=True)
class PluginInfo:
    """Says what a plugin is; the module of its entry point holds one as `PLUGIN`."""

    name: str
    """Short name, the same as the entry point's: prefix of its tables, routes, permissions and event names."""
    package: str
    """Import name, `crm_deals`; also the translation domain."""
    title: str
    description: str = ""
    version: str = "0"
    core_api: int = CORE_API
    requires: tuple[str, ...] = ()
    """Names of plugins whose tables this one points at by foreign keys."""
    migrations: bool = True
    """Whether the package has a folder `migrations`."""
    hookspecs: Any = None
    """A module with hook specifications of its own, for plugins of this plugin."""
    assets: tuple[str, ...] = ()
    """Front-end files in `static/`, plain ES modules and CSS, loaded on every page."""
    icon: str = "puzzle"


@dataclass(frozen=True, kw_only=True)
class Permission:
    """Declares one thing that a role may do."""

    name: str
    title: str
    group: str
    scopes: tuple[str, ...] = ("all",)
    """In which scopes it can be granted; `("all",)` makes it a plain yes or no."""
    default: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    """Roles that get it, once, when it first appears: role name to scope or scopes."""
    help: str = ""


@dataclass(frozen=True, kw_only=True)
class Role:
    """Declares a role that ships."""

    name: str
    title: str
    description: str = ""
    order: int = 50


@dataclass(frozen=True, kw_only=True)
class NamedScope:
    """A scope of an entity's own, such as `unassigned`: one SQL criterion and one sentence that explains it."""

    name: str
    title: str
    sentence: str
    """Explains the branch of one record: "Nobody is responsible for it"."""
    criterion: Callable[[Any, Any], Any]
    """(model, subject) -> SQL criterion."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A filter of an entity that is not simply a field: "no contact for N days"."""

    name: str
    title: str
    kind: str
    """`days`, `bool`, `choice`, `date` or `text`: how the value is asked for and read."""
    criterion: Callable[[Any, Any, Any], Any]
    """(model, value, context) -> SQL criterion; context has `subject`, `now` and `today`."""
    sentence: str = ""
    """What the chip says, with ${value}."""
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class DoubleRule:
    """Says how a probable double of a record is recognised while it is typed or imported."""

    kind: str
    """`phone`, `email` (looked up among addresses), `field` (equal value) or `name` (equal sort key)."""
    field: str
    title: str
    weight: int = 50
    """Of 100; the sum of the rules that hold is shown as likelihood."""


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """Something to open beside an entry of a timeline: the recording of a call."""

    title: str
    href: str
    icon: str = "file"
    permission: str = ""
    """Shown to those who hold it, over that very record where it is one of the entity's own."""


@dataclass(frozen=True, kw_only=True)
class TimelineEntry:
    """How a record stands in the timeline of what it hangs on."""

    title: str
    icon: str = "circle"
    text: str = ""
    kind: str = ""
    """By which the timeline can be narrowed, beside the entity itself."""
    tone: str = ""
    """One of the meanings of colour: `success warning danger info muted`, or none."""
    facts: tuple[tuple[str, Any, str], ...] = ()
    """(title, value, kind): kinds as those of fields, and `seconds`; a value may be a message id."""
    files: tuple[Attachment, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Composer:
    """Something that can be recorded from the card of a record in two clicks: a call, a note."""

    id: str
    title: str
    icon: str
    href: str
    """Answers its form; `{subject}` in it becomes `entity:id` of the card's record."""
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class RecordAction:
    """Something that can be done with a record at once, from its row in a list and from the head of its card."""

    id: str
    title: str
    icon: str
    href: str
    """With `{id}` for the number of the record."""
    method: str = "post"
    """`get` opens a small form in a dialog."""
    key: str = ""
    """The key that does it to the row one stands on, and on the card."""
    look: str = ""
    """`primary` for what is done most."""
    in_row: bool = True
    """Whether it stands in lists too; otherwise on the card alone."""
    in_menu: bool = False
    """Whether it stands in the menu of the card instead of beside the name."""


@dataclass(frozen=True, kw_only=True)
class ListTab:
    """A list under a name that everybody has, beside the views that people save: "Overdue"."""

    id: str
    title: str
    query: str
    """The query string of the list: `f=overdue:is:1&sort=due_at`."""
    shown: Callable[[Any], bool] | None = None
    """(subject) -> whether it is for him; None: for all."""
    count: bool = True
    """Whether its records are counted, after the first paint."""


@dataclass(frozen=True, kw_only=True)
class ListLook:
    """Another way to look at the records of a list: a board, a forecast. The filters go along."""

    id: str
    title: str
    icon: str
    href: str
    permission: str = ""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A logged table without a card of its own whose rows are part of a record: its changes stand in that history."""

    name: str
    """As `log_table` calls it."""
    title: str
    schema: type
    """Names the fields, subclass of `crm_core.forms.RecordSchema`."""


@dataclass(frozen=True, kw_only=True)
class Entity:
    """Says all about a kind of record once; lists, cards, forms, API, import, history and undo follow from it."""

    name: str
    """`clients.person`: the plugin's name, a dot, the noun."""
    title: str
    """One of them: "Person"."""
    title_plural: str
    model: type
    schema: type
    """Subclass of `crm_core.forms.RecordSchema`."""
    permission_prefix: str
    """`clients` makes the permissions `clients:view`, `:create`, `:edit`, `:delete`, `:export`, `:import` and so on."""
    url: str
    """Where its list lives, `/clients/people`; a record is at `/clients/people/7`."""
    icon: str = "file"
    add_title: str = ""
    """What the button says that makes one: "Add a person"; empty: just "Add"."""
    about: str = ""
    """What these records are for, in a sentence or two: said by a list that has none yet."""
    label: str = "name"
    """The column that names a record."""
    sort: str = "name_sort"
    """The NOT NULL column of the default order; every gated table has (owner_id, sort, id) and (team_id, sort, id)."""
    descending: bool = False
    hint: tuple[str, ...] = ()
    """Fields shown beside the label in search and pickers."""
    head: tuple[str, ...] = ()
    """Fields shown as the card's three numbers that matter."""
    columns: tuple[str, ...] = ()
    """Columns of a fresh list."""
    parent: str = ""
    """For a subordinate: the prefix of its `RecordRef`, or `column=entity`; it is then seen with its parent."""
    owns: tuple[str, ...] = ()
    """Entities whose records go to the trash and come back with this one."""
    scopes: tuple[NamedScope, ...] = ()
    filters: tuple[Filter, ...] = ()
    doubles: tuple[DoubleRule, ...] = ()
    prepare: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    """Full row of field values -> derived columns (sort key, full name); pure, for imports call it a million times."""
    phones: str = ""
    emails: str = ""
    person: bool = False
    """Its records are people, whose data the law on personal data protects."""
    parts: tuple[Part, ...] = ()
    importable: bool = True
    hangs: str = ""
    """For a record with rights of its own that is about another one: the prefix of its `RecordRef`. It goes to the
    trash and comes back with what it is about."""
    moment: str = ""
    """With `hangs`: the instant at which it stands in that record's timeline; while it is empty, it does not."""
    actions: Callable[[Any, Sequence[int]], Mapping[int, Sequence[RecordAction]]] | None = None
    """(gate, ids of records that may be seen) -> what may be done with each at once, in two statements at most."""
    tabs: tuple[ListTab, ...] = ()
    """Lists that everybody has, as tabs above the list."""
    looks: tuple[ListLook, ...] = ()
    """Other ways to look at its records, offered beside the list."""
    owners: Callable[[Any, int], bool] | None = None
    """(gate, user id) -> whether the subject may make this person responsible; None: anybody, where he may assign."""
    timeline: bool = True
    """For a subordinate by `RecordRef`: whether it stands in the timeline of its parent, at the instant in `sort`."""
    together: Callable[[Any, int], Iterable[Any]] | None = None
    """(session, record id) -> `RecordRef`s whose timelines stand in that of the record too: a company's people."""
    entry: Callable[[Any], TimelineEntry] | None = None
    """Row -> how it stands in a timeline; None: by its label."""
    composer: tuple[Composer, ...] = ()
    """What of it can be recorded from the card of its parent, for those who hold `:create`."""
    next_step: Callable[[str, Any], Any] | None = None
    """(entity, id column) -> SELECT of `id` and `at` of the earliest of these still to do for that record, one row,
    correlated: what a card or a board calls its next step."""
    contact: Callable[[Any], tuple[Any, Any]] | None = None
    """For a subordinate by `RecordRef`: (model) -> (instant, criterion) of those that were a talk with what they hang
    on: whoever keeps the last contact of a client counts them."""
    tells_owner: bool = True
    """Whether the core tells a person that somebody made him responsible; False: its plugin does so itself."""
    dress: Callable[[Any, Any, Any], Any] | None = None
    """(request, record, `CardPage`) -> the page with what is special to these records: steps of their way, notices,
    other figures; a few statements at most."""
    dress_list: Callable[[Any, Any], Any] | None = None
    """(request, `ListPage`) -> the list with what is special to these records: marks of rows, a block below it."""
    own_pages: tuple[str, ...] = ()
    """Pages of the core's (`list`, `new`, `card`) that the plugin makes itself, at the same address."""
    searchable: bool = True
    in_menu: bool = True
    import_links: tuple[ImportLink, ...] = ()
    import_schema: type | None = None
    """Further columns of an import that are no fields of the record, subclass of `crm_core.forms.RecordSchema`."""
    after_import: Callable[[Any, Sequence[tuple[int, Mapping[str, Any]]]], None] | None = None
    """(importer, pairs of record id and the values of its row) -> what `import_schema` asks for: notes become
    interactions. Within the batch's transaction, `importer.insert` makes records of any entity set-wise."""
    known_exports: tuple[KnownExport, ...] = ()
    """Files of other programs that are recognised by their headers."""


@dataclass(frozen=True, kw_only=True)
class KnownExport:
    """A file as another program writes it: its columns need not be guessed."""

    name: str
    """As people know the program."""
    signs: tuple[str, ...]
    """Headers that all stand in such a file; case, signs and a number at the end make no difference."""
    columns: Mapping[str, str]
    """Header to target: a field's name or `entity:field`; an empty one leaves the column out."""


@dataclass(frozen=True, kw_only=True)
class ImportLink:
    """A record of another entity that may stand in the same row of an import: the person's company."""

    entity: str
    title: str
    fields: tuple[str, ...]
    """Fields of the linked entity that a row may hold; the first is its label."""
    keys: tuple[str, ...]
    """Fields by which it is found again, best first; phones and addresses are looked up among those of records."""
    column: str = ""
    """The column of a new record that holds its main link, so that it is written at once."""
    link: Callable[[Any, Sequence[tuple[int, int]], Any], None]
    """(session, pairs of (record id, linked id), context) makes the links, set-wise, leaving those that are there."""


@dataclass(frozen=True, kw_only=True)
class EventType:
    """Declares a fact that may happen, for those who want to be told of it."""

    name: str
    title: str
    payload: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    """Channels by which people are told of it unless they choose otherwise: `bell`, `mail` (a letter at once), `digest`
    (the daily letter) and those of `crm_channels`; empty without a `group`: nobody is told by itself."""
    mandatory: bool = False
    """Whether it is told whatever people choose, quiet hours or not: what concerns the safety of the account."""
    group: str = ""
    """Under which heading it stands among the choices of notifications; with one it may be chosen even if `notify` is
    empty."""
    icon: str = "bell"
    told_to: str = ""
    """The permission of those who are ever told of it; others are not asked about it."""


@dataclass(frozen=True, kw_only=True)
class OutgoingLine:
    """One thing that a channel tells."""

    text: str
    """In the reader's language."""
    href: str = ""
    """Whole address, from `https:` on."""
    at: Any = None


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """What a channel hands over to one person: a heading and one line or several of one record."""

    key: str
    """The same for the same message, should it ever be offered twice."""
    user_id: int
    address: str
    """What `Channel.address` answered."""
    locale: str
    title: str
    lines: tuple[OutgoingLine, ...]
    href: str = ""
    """Where the record is, or the list of notifications."""
    settings_href: str = ""
    """Where the person chooses what comes by which channel."""
    digest: bool = False
    account: Any = None
    """What `Channel.account` answered."""
    session: Any = None
    """For a channel that is `inside`: the transaction in which it writes."""


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A way by which notifications reach people, beside the bell."""

    id: str
    title: str
    send: Callable[[Outgoing], Any]
    """Hands one message over. Raise `crm_core.delivery.Unreachable` where nothing was sent and it may be tried later;
    whatever else it raises, or half a minute without an answer, counts as uncertain and is not sent again."""
    address: Callable[[Any, int], str]
    """(session, user id) -> where the person is reached by it; empty: not at all."""
    account: Callable[[Any], Any] | None = None
    """(session) -> what `send` needs of the settings; None: the channel is not set up, and nothing goes out by it."""
    inside: bool = False
    """Whether `send` only writes rows, in the transaction that counts the notification as told; all others talk to a
    foreign host outside any transaction."""
    icon: str = "send"
    order: int = 50


@dataclass(frozen=True, kw_only=True)
class NavItem:
    """An entry of the menu."""

    id: str
    title: str
    href: str
    icon: str
    group: str
    """One of `home sales marketing support reports settings`."""
    permission: str = ""
    order: int = 50
    key: str = ""
    """The letter that follows `g` on the keyboard."""
    words: str = ""
    """Other words by which Ctrl-K finds it, separated by spaces."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A block of a plugin on the card of an entity, loaded after the first paint, two statements at most."""

    id: str
    title: str
    entity: str
    """The entity on whose card it stands, or `*` for any."""
    load: Callable[[Any, Any], Mapping[str, Any] | None]
    """(request, record) -> variables of the template; None hides the panel."""
    template: str
    permission: str = ""
    order: int = 50
    create_href: str = ""
    """Where "+" leads, with {entity} and {id}."""


@dataclass(frozen=True, kw_only=True)
class Widget:
    """A block of a plugin on the home page."""

    id: str
    title: str
    load: Callable[[Any], Mapping[str, Any] | None]
    template: str
    permission: str = ""
    roles: tuple[str, ...] = ()
    """On whose home page it stands at first; empty: everybody's."""
    order: int = 50
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of the company that an administrator changes in the browser."""

    key: str
    title: str
    kind: str = "text"
    """As the kinds of fields: text, number, bool, choice, longtext, secret, email, image."""
    default: Any = None
    page: str = "company"
    help: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, kw_only=True)
class SettingsPage:
    """A page of settings: a title, who may open it and, unless it is made of `Setting`s, where it lives."""

    id: str
    title: str
    permission: str
    icon: str = "settings"
    href: str = ""
    """Empty: the core shows its `Setting`s as a form at /settings/<id>."""
    description: str = ""
    order: int = 50
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Declares work that runs outside a request."""

    name: str
    run: Callable[..., Any]
    """(context, **arguments); see `crm_core.jobs.JobContext`."""
    title: str = ""
    queue: str = "default"
    max_attempts: int = 5
    timeout: int = 300
    """Seconds without a heartbeat after which another worker may take it over."""
    cron: str = ""
    """When it runs by itself, five fields, in the company's time zone."""
    visible: bool = False
    """Whether the person who started it sees its progress on top of every page."""


@dataclass(frozen=True)
class Event:
    """A fact that happened: plain data only, so that it can be told to anyone, later."""

    name: str
    payload: Mapping[str, Any] = field(default_factory=dict)


Specs = Iterable[Any]
