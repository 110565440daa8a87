"""What roles may be granted over calls, their recordings and telephony itself."""

from __future__ import annotations

from crm_calls.i18n import _
from crm_core.records.gate import WITH_PARENT
from crm_core.security.permissions import ADMINISTRATOR, DIRECTOR, HEAD, MANAGER, MARKETER, SPECIALIST
from crm_core.specs import SCOPES, Permission

VIEW = "calls:view"
"""See calls: one's own, those that rang on one's line, those of the clients one sees."""

EDIT = "calls:edit"
"""Write down what was said in a call."""

DELETE = "calls:delete"
"""Move calls to the trash and bring them back."""

EXPORT = "calls:export"
"""Take calls out as a file."""

DIAL = "calls:dial"
"""Call by a click on a number."""

LISTEN = "calls:listen"
"""Listen to recordings."""

FIGURES = "calls:figures"
"""See who called how much."""

SETTINGS = "calls:settings"
"""Connect telephony and give people their numbers."""

RANG = "rang"
"""Scope: it rang on one's own line."""

_CALLS = _("Calls")
_PLAIN = ("all",)

PERMISSIONS: tuple[Permission, ...] = (
    Permission(
        name=VIEW,
        title=_("View calls"),
        group=_CALLS,
        scopes=(*SCOPES, WITH_PARENT, RANG),
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: "all",
            HEAD: ("team", RANG, WITH_PARENT),
            MANAGER: ("own", RANG, WITH_PARENT),
            MARKETER: ("own", RANG, WITH_PARENT),
            SPECIALIST: "all",
        },
    ),
    Permission(
        name=EDIT,
        title=_("Write down what was said in a call"),
        group=_CALLS,
        scopes=SCOPES,
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
        name=DELETE,
        title=_("Move calls to the trash and bring them back"),
        group=_CALLS,
        scopes=SCOPES,
        default={ADMINISTRATOR: "all"},
    ),
    Permission(
        name=EXPORT,
        title=_("Export calls"),
        group=_CALLS,
        scopes=("own", "team", "all"),
        default={ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "team", SPECIALIST: "all"},
    ),
    Permission(
        name=DIAL,
        title=_("Call by a click on a number"),
        group=_CALLS,
        scopes=_PLAIN,
        default=dict.fromkeys((ADMINISTRATOR, DIRECTOR, HEAD, MANAGER, MARKETER, SPECIALIST), "all"),
    ),
    Permission(
        name=LISTEN,
        title=_("Listen to recordings of calls"),
        group=_CALLS,
        scopes=("own", "team", "all"),
        default={ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "team", MANAGER: "own", SPECIALIST: "all"},
    ),
    Permission(
        name=FIGURES,
        title=_("See who called how much"),
        group=_CALLS,
        scopes=("own", "team", "all"),
        default={ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "team", MANAGER: "own"},
    ),
    Permission(
        name=SETTINGS,
        title=_("Connect telephony and give people their numbers"),
        group=_CALLS,
        scopes=_PLAIN,
        default={ADMINISTRATOR: "all", SPECIALIST: "all"},
    ),
)
