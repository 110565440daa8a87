"""What roles may be granted over clients and over what was said with them."""

from __future__ import annotations

from crm_clients.i18n import _
from crm_core.records.gate import WITH_PARENT
from crm_core.security.permissions import ADMINISTRATOR, DIRECTOR, HEAD, MANAGER, MARKETER, SPECIALIST, USER
from crm_core.specs import SCOPES, Permission

VIEW = "clients:view"
"""See people and companies."""

CREATE = "clients:create"
"""Make people and companies."""

EDIT = "clients:edit"
"""Change them, put tags on them, link them to one another."""

DELETE = "clients:delete"
"""Move them to the trash and bring them back."""

IMPORT = "clients:import"
"""Bring them in from a file; they become those of whoever the scope reaches."""

MERGE = "clients:merge"
"""Make one of two that are the same."""

EXPORT = "clients:export"
"""Take them out as a file."""

ASSIGN = "clients:assign"
"""Make somebody responsible for them, and share them."""

INTERACTIONS_VIEW = "interactions:view"
"""Read what was said with clients."""

INTERACTIONS_CREATE = "interactions:create"
"""Record a call, a meeting, a note."""

INTERACTIONS_EDIT = "interactions:edit"
"""Mend what was recorded."""

INTERACTIONS_DELETE = "interactions:delete"
"""Delete what was recorded."""

_CLIENTS, _HISTORY = _("Clients"), _("What was said with clients")
_PLAIN = ("all",)
"""A verb about no record yet: a plain yes or no."""

PERMISSIONS: tuple[Permission, ...] = (
    Permission(
        name=VIEW,
        title=_("View clients"),
        group=_CLIENTS,
        scopes=SCOPES,
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: "all",
            HEAD: "team",
            # The first run's choice "who sees which clients" sets the manager's scopes of this and of editing.
            MANAGER: "team",
            MARKETER: "all",
            SPECIALIST: "all",
            USER: "shared",
        },
    ),
    Permission(
        name=CREATE,
        title=_("Create clients"),
        group=_CLIENTS,
        scopes=_PLAIN,
        default={ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "all", MANAGER: "all", SPECIALIST: "all"},
    ),
    Permission(
        name=EDIT,
        title=_("Edit clients"),
        group=_CLIENTS,
        scopes=SCOPES,
        default={ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "team", MANAGER: "team", SPECIALIST: "all"},
    ),
    Permission(
        name=DELETE,
        title=_("Move clients to the trash and bring them back"),
        group=_CLIENTS,
        scopes=SCOPES,
        default={ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "team", MANAGER: "own", SPECIALIST: "all"},
    ),
    Permission(
        name=IMPORT,
        title=_("Import clients"),
        group=_CLIENTS,
        scopes=("own", "team", "all"),
        default={ADMINISTRATOR: "all", HEAD: "team", MANAGER: "own", SPECIALIST: "all"},
        help=_("Imported clients become those of whoever the scope reaches."),
    ),
    Permission(
        name=MERGE,
        title=_("Merge doubles of clients"),
        group=_CLIENTS,
        scopes=("own", "team", "all"),
        default={ADMINISTRATOR: "all", HEAD: "team", MANAGER: "own", SPECIALIST: "all"},
    ),
    Permission(
        name=EXPORT,
        title=_("Export clients"),
        group=_CLIENTS,
        scopes=("own", "team", "all"),
        # A marketer exports segments, without what he may not see: that right is of the plugin that has segments.
        default={ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "team", MANAGER: "own", SPECIALIST: "all"},
    ),
    Permission(
        name=ASSIGN,
        title=_("Assign and share clients"),
        group=_CLIENTS,
        scopes=("own", "team", "all"),
        default={ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "team", MANAGER: "own", SPECIALIST: "all"},
    ),
    Permission(
        name=INTERACTIONS_VIEW,
        title=_("Read what was said with clients"),
        group=_HISTORY,
        scopes=(WITH_PARENT, *SCOPES),
        default=dict.fromkeys((ADMINISTRATOR, DIRECTOR, HEAD, MANAGER, MARKETER, SPECIALIST, USER), WITH_PARENT),
        help=_("“With the record” shows it to whoever sees the client."),
    ),
    Permission(
        name=INTERACTIONS_CREATE,
        title=_("Record calls, meetings and notes"),
        group=_HISTORY,
        scopes=("shared", "all"),
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: "all",
            HEAD: "all",
            MANAGER: "all",
            MARKETER: "all",
            SPECIALIST: "all",
            USER: "shared",
        },
        help=_("With clients whom one sees."),
    ),
    Permission(
        name=INTERACTIONS_EDIT,
        title=_("Edit what was recorded"),
        group=_HISTORY,
        scopes=SCOPES,
        default={
            ADMINISTRATOR: "own",
            DIRECTOR: "own",
            HEAD: "own",
            MANAGER: "own",
            MARKETER: "own",
            SPECIALIST: "own",
            USER: "shared",
        },
    ),
    Permission(
        name=INTERACTIONS_DELETE,
        title=_("Delete what was recorded"),
        group=_HISTORY,
        scopes=SCOPES,
        default={ADMINISTRATOR: "all", HEAD: "team", MANAGER: "own", MARKETER: "own", SPECIALIST: "own"},
    ),
)
