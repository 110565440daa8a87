"""The core's permissions, their scopes in words, and the order among scopes.

Public to plugins: a view names a constant from here or from its plugin's own `permissions.py`, never a bare string.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crm_core.i18n import _
from crm_core.specs import Permission, Role

SIGNED_IN = "core:signed-in"
"""Held by every active account; it is the default of every view that names no other."""

USERS_VIEW = "users:view"
"""See accounts with their addresses, roles and states."""

USERS_NAMES = "users:names"
"""See names and faces of colleagues, as in a list of whom to choose."""

USERS_INVITE = "users:invite"
"""Invite people by link or letter."""

USERS_EDIT = "users:edit"
"""Edit profiles of accounts."""

USERS_APPROVE = "users:approve"
"""Approve or reject those who signed up by themselves."""

USERS_DISABLE = "users:disable"
"""Disable and enable access."""

USERS_DELETE = "users:delete"
"""Delete an account: hand over its records, disable it and make it nameless."""

RIGHTS_GRANT = "rights:grant"
"""Grant roles to people."""

RIGHTS_EDIT = "rights:edit"
"""Edit what a role may."""

RIGHTS_EXPLAIN = "rights:explain"
"""Ask why someone may see a record and who can see it."""

DEPARTMENTS_EDIT = "departments:edit"
"""Edit departments and their heads."""

SETTINGS_EDIT = "settings:edit"
"""Edit the company, mail, working calendar, sources, tags and custom fields."""

PLUGINS_VIEW = "plugins:view"
"""See plugins and what each adds."""

PLUGINS_MANAGE = "plugins:manage"
"""Switch plugins on and off, archive and purge them."""

PREFERENCES_EDIT = "preferences:edit"
"""Change one's own preferences."""

LOG_VIEW = "log:view"
"""See the log of operations."""

LOG_UNDO = "log:undo"
"""Take back operations of others; one's own may always be taken back."""

VIEWS_SHARE = "views:share"
"""Share saved views: with the department or with all."""

SYSTEM_VIEW = "system:view"
"""See the state of the system."""

POWERS = frozenset(
    {
        USERS_INVITE,
        USERS_EDIT,
        USERS_APPROVE,
        USERS_DISABLE,
        USERS_DELETE,
        RIGHTS_GRANT,
        RIGHTS_EDIT,
        DEPARTMENTS_EDIT,
        SETTINGS_EDIT,
        PLUGINS_MANAGE,
    }
)
"""Power over people and over the system: who holds more of it is "someone with more rights"."""

ADMINISTRATOR, DIRECTOR, HEAD, MANAGER = "administrator", "director", "head", "manager"
MARKETER, SPECIALIST, MODERATOR, USER = "marketer", "specialist", "moderator", "user"

ROLE_USER = "role_user"
"""Reaches accounts (and roles) of employees without a role, and oneself."""

ROLE_MODERATOR_USER = "role_moderator_user"
"""Reaches the roles of moderators and of employees without a role."""

NOT_ADMINISTRATORS = "not_administrators"
"""Reaches all accounts but those of administrators."""

HEALTH = "health"
"""Reaches versions, servers and queues, not errors and addresses."""

CLIENTS_TICKETS = "clients_tickets"
"""Reaches operations on clients and tickets."""

SCOPE_TITLES: dict[str, str] = {
    "own": _("Own only"),
    "shared": _("Own and shared"),
    "team": _("Own department"),
    "all": _("All"),
    "parent": _("With the record it belongs to"),
    ROLE_USER: _("Employees without a role"),
    ROLE_MODERATOR_USER: _("Moderators and employees without a role"),
    NOT_ADMINISTRATORS: _("All but administrators"),
    HEALTH: _("Health only"),
    CLIENTS_TICKETS: _("Clients and tickets"),
}

#: Which narrower scopes a scope contains; `all` contains every one.
_CONTAINS: Mapping[str, frozenset[str]] = {
    "shared": frozenset({"own"}),
    "team": frozenset({"own", "shared"}),
    ROLE_USER: frozenset({"own"}),
    ROLE_MODERATOR_USER: frozenset({"own", ROLE_USER}),
    NOT_ADMINISTRATORS: frozenset({"own", ROLE_USER, ROLE_MODERATOR_USER}),
}


def scope_covers(held: Iterable[str], wanted: str) -> bool:
    """Tell whether one who holds a permission in these scopes holds it in the wanted one."""
    return any(scope in ("all", wanted) or wanted in _CONTAINS.get(scope, ()) for scope in held)


ROLES: tuple[Role, ...] = (
    Role(
        name=ADMINISTRATOR,
        title=_("Administrator"),
        description=_("Accounts, rights, settings and plugins; sees everything."),
        order=10,
    ),
    Role(
        name=DIRECTOR,
        title=_("Director"),
        description=_("Sees everything, sets targets and approves; changes no settings."),
        order=20,
    ),
    Role(
        name=HEAD,
        title=_("Head of a department"),
        description=_("Works with what his department and those below it own."),
        order=30,
    ),
    Role(name=MANAGER, title=_("Manager"), description=_("Leads clients and deals."), order=40),
    Role(
        name=MARKETER,
        title=_("Marketer"),
        description=_("Sends letters and SMS and follows what they bring."),
        order=50,
    ),
    Role(
        name=SPECIALIST,
        title=_("Support specialist"),
        description=_("Helps clients, keeps the base of clients and the settings."),
        order=60,
    ),
    Role(name=MODERATOR, title=_("Moderator"), description=_("Takes care of new accounts only."), order=70),
    Role(
        name=USER,
        title=_("Employee without a role"),
        description=_("A new account; sees what is shared with it."),
        order=80,
    ),
)
"""The roles that ship, in the order in which pages show them."""

_EVERYBODY = (ADMINISTRATOR, DIRECTOR, HEAD, MANAGER, MARKETER, SPECIALIST, MODERATOR, USER)
_ACCOUNTS, _RIGHTS, _SETTINGS, _LOG = _("Accounts"), _("Rights"), _("Settings"), _("Log and lists")

PERMISSIONS: tuple[Permission, ...] = (
    Permission(
        name=USERS_VIEW,
        title=_("View accounts"),
        group=_ACCOUNTS,
        scopes=("own", "all"),
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: "all",
            HEAD: "all",
            SPECIALIST: "all",
            MODERATOR: "all",
            USER: "own",
        },
    ),
    Permission(
        name=USERS_NAMES,
        title=_("See the names of colleagues"),
        group=_ACCOUNTS,
        default={MANAGER: "all", MARKETER: "all"},
        help=_("Enough to choose a colleague; addresses and roles stay hidden."),
    ),
    Permission(
        name=USERS_INVITE,
        title=_("Create and invite accounts"),
        group=_ACCOUNTS,
        scopes=(ROLE_USER, "all"),
        default={ADMINISTRATOR: "all", SPECIALIST: "all", MODERATOR: ROLE_USER},
    ),
    Permission(
        name=USERS_EDIT,
        title=_("Edit profiles"),
        group=_ACCOUNTS,
        scopes=("own", ROLE_USER, NOT_ADMINISTRATORS, "all"),
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: "own",
            HEAD: "own",
            MANAGER: "own",
            MARKETER: "own",
            SPECIALIST: NOT_ADMINISTRATORS,
            MODERATOR: ROLE_USER,
            USER: "own",
        },
    ),
    Permission(
        name=USERS_APPROVE,
        title=_("Approve sign-ups"),
        group=_ACCOUNTS,
        default={ADMINISTRATOR: "all", SPECIALIST: "all", MODERATOR: "all"},
    ),
    Permission(
        name=USERS_DISABLE,
        title=_("Disable access"),
        group=_ACCOUNTS,
        scopes=(ROLE_USER, NOT_ADMINISTRATORS, "all"),
        default={ADMINISTRATOR: "all", SPECIALIST: NOT_ADMINISTRATORS, MODERATOR: ROLE_USER},
    ),
    Permission(
        name=USERS_DELETE,
        title=_("Delete accounts"),
        group=_ACCOUNTS,
        default={ADMINISTRATOR: "all"},
        help=_("Records are handed over, the name goes, history stays."),
    ),
    Permission(
        name=RIGHTS_GRANT,
        title=_("Grant roles to people"),
        group=_RIGHTS,
        scopes=(ROLE_USER, ROLE_MODERATOR_USER, "all"),
        default={ADMINISTRATOR: "all", SPECIALIST: ROLE_MODERATOR_USER, MODERATOR: ROLE_USER},
        help=_("Nobody grants what he does not have himself."),
    ),
    Permission(
        name=RIGHTS_EDIT,
        title=_("Edit what a role may"),
        group=_RIGHTS,
        scopes=(ROLE_MODERATOR_USER, "all"),
        default={ADMINISTRATOR: "all", SPECIALIST: ROLE_MODERATOR_USER},
    ),
    Permission(
        name=RIGHTS_EXPLAIN,
        title=_("Ask why, and who can see a record"),
        group=_RIGHTS,
        scopes=("own", "team", "all"),
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: "all",
            HEAD: "team",
            MANAGER: "own",
            MARKETER: "own",
            SPECIALIST: "all",
        },
    ),
    Permission(
        name=DEPARTMENTS_EDIT,
        title=_("Edit departments"),
        group=_SETTINGS,
        default={ADMINISTRATOR: "all", SPECIALIST: "all"},
    ),
    Permission(
        name=SETTINGS_EDIT,
        title=_("Edit settings of the company"),
        group=_SETTINGS,
        default={ADMINISTRATOR: "all", SPECIALIST: "all"},
        help=_("Company, mail, working calendar, sources, tags, custom fields."),
    ),
    Permission(
        name=PLUGINS_VIEW,
        title=_("View plugins"),
        group=_SETTINGS,
        default={ADMINISTRATOR: "all", SPECIALIST: "all"},
    ),
    Permission(
        name=PLUGINS_MANAGE,
        title=_("Switch plugins on and off, archive and purge them"),
        group=_SETTINGS,
        default={ADMINISTRATOR: "all"},
    ),
    Permission(
        name=PREFERENCES_EDIT,
        title=_("Change one's own preferences"),
        group=_SETTINGS,
        scopes=("own",),
        default=dict.fromkeys(_EVERYBODY, "own"),
    ),
    Permission(
        name=SYSTEM_VIEW,
        title=_("See the state of the system"),
        group=_SETTINGS,
        scopes=(HEALTH, "all"),
        default={ADMINISTRATOR: "all", DIRECTOR: HEALTH, SPECIALIST: HEALTH},
    ),
    Permission(
        name=LOG_VIEW,
        title=_("View the log of operations"),
        group=_LOG,
        scopes=("own", "team", ROLE_USER, NOT_ADMINISTRATORS, "all"),
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: "all",
            HEAD: "team",
            MANAGER: "own",
            MARKETER: "own",
            SPECIALIST: NOT_ADMINISTRATORS,
            MODERATOR: ROLE_USER,
            USER: "own",
        },
    ),
    Permission(
        name=LOG_UNDO,
        title=_("Take back operations of others"),
        group=_LOG,
        scopes=(CLIENTS_TICKETS, "team", "all"),
        default={ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "team", SPECIALIST: CLIENTS_TICKETS},
    ),
    Permission(
        name=VIEWS_SHARE,
        title=_("Share saved views"),
        group=_LOG,
        scopes=("team", "all"),
        default={ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "team", SPECIALIST: "all"},
    ),
)
"""What the core lets roles be granted, with the roles that have it at first."""
