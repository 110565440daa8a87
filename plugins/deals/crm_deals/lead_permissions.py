"""What roles may be granted over leads."""

from __future__ import annotations

from crm_core.security.permissions import ADMINISTRATOR, DIRECTOR, HEAD, MANAGER, MARKETER, SPECIALIST
from crm_core.specs import SCOPES, Permission
from crm_deals.i18n import _

LEADS_VIEW = "leads:view"
"""See leads."""

LEADS_CREATE = "leads:create"
"""Write leads down by hand."""

LEADS_TAKE = "leads:take"
"""Take leads, link them to clients, reject them."""

LEADS_EDIT = "leads:edit"
"""Change what is written in leads."""

LEADS_DELETE = "leads:delete"
"""Move leads to the trash and bring them back."""

LEADS_ASSIGN = "leads:assign"
"""Make somebody responsible for leads, and share them."""

LEADS_EXPORT = "leads:export"
"""Take leads out as a file."""

LEADS_FIGURES = "leads:figures"
"""See who answers how fast."""

UNASSIGNED = "unassigned"
"""The scope of leads for which nobody is responsible."""

_LEADS = _("Leads")
_OWNED = ("own", "team", "all")
_WORKED: dict[str, str | tuple[str, ...]] = {
    ADMINISTRATOR: "all",
    DIRECTOR: "all",
    HEAD: "team",
    MANAGER: ("team", UNASSIGNED),
}
_HEADS: dict[str, str | tuple[str, ...]] = {ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "team"}

LEAD_PERMISSIONS: tuple[Permission, ...] = (
    Permission(
        name=LEADS_VIEW,
        title=_("View leads"),
        group=_LEADS,
        scopes=(*SCOPES, UNASSIGNED),
        default={**_WORKED, MARKETER: "all", SPECIALIST: "all"},
    ),
    Permission(
        name=LEADS_CREATE,
        title=_("Write leads down by hand"),
        group=_LEADS,
        default=dict.fromkeys((ADMINISTRATOR, DIRECTOR, HEAD, MANAGER), "all"),
    ),
    Permission(
        name=LEADS_TAKE,
        title=_("Take, link and reject leads"),
        group=_LEADS,
        scopes=(*_OWNED, UNASSIGNED),
        default=_WORKED,
        help=_("To take a lead also asks for the right to create clients and deals."),
    ),
    Permission(
        name=LEADS_EDIT, title=_("Change leads"), group=_LEADS, scopes=(*SCOPES, UNASSIGNED), default=_WORKED
    ),
    Permission(
        name=LEADS_DELETE,
        title=_("Move leads to the trash and bring them back"),
        group=_LEADS,
        scopes=(*_OWNED, UNASSIGNED),
        default=_HEADS,
    ),
    Permission(
        name=LEADS_ASSIGN,
        title=_("Hand out and share leads"),
        group=_LEADS,
        scopes=(*_OWNED, UNASSIGNED),
        default={**_HEADS, MANAGER: "own"},
    ),
    Permission(name=LEADS_EXPORT, title=_("Export leads"), group=_LEADS, scopes=_OWNED, default=_HEADS),
    Permission(
        name=LEADS_FIGURES,
        title=_("See who answers leads how fast"),
        group=_LEADS,
        scopes=_OWNED,
        default={**_HEADS, MANAGER: "own"},
    ),
)
