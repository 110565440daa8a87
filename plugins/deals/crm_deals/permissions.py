"""What roles may be granted over deals, their pipelines and the catalogue."""

from __future__ import annotations

from crm_core.security.permissions import ADMINISTRATOR, DIRECTOR, HEAD, MANAGER, MARKETER, SPECIALIST
from crm_core.specs import SCOPES, Permission
from crm_deals.i18n import _
from crm_deals.lead_permissions import LEAD_PERMISSIONS

VIEW = "deals:view"
"""See deals with all that belongs to them."""

SHORT = "shortdeals:view"
"""See short rows of deals: what, which stage, when closed; no amounts, clients' addresses or files."""

CREATE = "deals:create"
"""Make deals."""

EDIT = "deals:edit"
"""Change deals, move them along their pipeline, win and refuse them."""

DELETE = "deals:delete"
"""Move deals to the trash and bring them back."""

IMPORT = "deals:import"
"""Bring deals in from a file."""

EXPORT = "deals:export"
"""Take deals out as a file."""

ASSIGN = "deals:assign"
"""Make somebody responsible for deals, and share them."""

MERGE = "deals:merge"
"""Make one of two deals that are the same."""

DISCOUNT = "deals:discount"
"""Give discounts over the limit, and approve those that others ask for."""

OFFER = "deals:offer"
"""Make price offers of deals."""

SETTINGS = "deals:settings"
"""Edit pipelines, stages, reasons of refusal, VAT, dates and the limit of discounts."""

TARGETS = "deals:targets"
"""Set targets of sales: of people, departments and groups of products."""

FIGURES = "deals:figures"
"""See sums over deals, also of those that may not be opened."""

PIPELINES_VIEW = "pipelines:view"
"""See which pipelines, stages and reasons there are."""

PRODUCTS_VIEW = "products:view"
"""See the catalogue."""

PRODUCTS_CREATE = "products:create"
"""Add products."""

PRODUCTS_EDIT = "products:edit"
"""Change products."""

PRODUCTS_DELETE = "products:delete"
"""Move products to the trash and bring them back."""

PRODUCTS_IMPORT = "products:import"
"""Bring products in from a file."""

PRODUCTS_EXPORT = "products:export"
"""Take products out as a file."""

PRODUCTS_COST = "products:sensitive"
"""See what products cost the company."""

OBSERVER = "observer"
"""The scope of deals that one watches."""

BOUGHT = "bought"
"""The scope of short rows of deals that were won: what clients have bought and when."""

_DEALS, _CATALOGUE = _("Deals"), _("Products")
_PLAIN = ("all",)
"""A verb about no record yet: a plain yes or no."""
_OWNED = ("own", "team", "all")
_SELLERS = {ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "team", MANAGER: "own"}
_KEEPERS = dict.fromkeys((ADMINISTRATOR, DIRECTOR, SPECIALIST), "all")
_READERS = dict.fromkeys((ADMINISTRATOR, DIRECTOR, HEAD, MANAGER, MARKETER, SPECIALIST), "all")

PERMISSIONS: tuple[Permission, ...] = (
    Permission(
        name=VIEW,
        title=_("View deals"),
        group=_DEALS,
        scopes=(*SCOPES, OBSERVER),
        # The first run's choice "who sees which clients" sets the manager's scope; what he watches he sees anyway.
        default={
            ADMINISTRATOR: "all",
            DIRECTOR: "all",
            HEAD: ("team", OBSERVER),
            MANAGER: ("team", OBSERVER),
        },
    ),
    Permission(
        name=SHORT,
        title=_("View short rows of deals"),
        group=_DEALS,
        scopes=(BOUGHT, "all"),
        default={MARKETER: "all", SPECIALIST: BOUGHT},
        help=_("Without amounts, addresses and files: which deal, what was bought, which stage, when it was closed."),
    ),
    Permission(
        name=CREATE,
        title=_("Create deals"),
        group=_DEALS,
        scopes=_PLAIN,
        default=dict.fromkeys((ADMINISTRATOR, DIRECTOR, HEAD, MANAGER), "all"),
    ),
    Permission(name=EDIT, title=_("Edit, move, win and refuse deals"), group=_DEALS, scopes=SCOPES, default=_SELLERS),
    Permission(
        name=DELETE,
        title=_("Move deals to the trash and bring them back"),
        group=_DEALS,
        scopes=SCOPES,
        default=_SELLERS,
    ),
    Permission(
        name=IMPORT,
        title=_("Import deals"),
        group=_DEALS,
        scopes=_OWNED,
        default={ADMINISTRATOR: "all", HEAD: "team", MANAGER: "own"},
    ),
    Permission(name=EXPORT, title=_("Export deals"), group=_DEALS, scopes=_OWNED, default=_SELLERS),
    Permission(name=ASSIGN, title=_("Assign and share deals"), group=_DEALS, scopes=_OWNED, default=_SELLERS),
    Permission(
        name=MERGE,
        title=_("Merge doubles of deals"),
        group=_DEALS,
        scopes=_OWNED,
        default={ADMINISTRATOR: "all", HEAD: "team", MANAGER: "own"},
    ),
    Permission(
        name=DISCOUNT,
        title=_("Give and approve discounts over the limit"),
        group=_DEALS,
        scopes=_OWNED,
        default={ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "team"},
        help=_("Others ask for them; until then such a deal cannot be won and no offer of it goes out."),
    ),
    Permission(
        name=TARGETS,
        title=_("Set targets of sales"),
        group=_DEALS,
        scopes=("team", "all"),
        default={ADMINISTRATOR: "all", DIRECTOR: "all", HEAD: "team"},
        help=_("Everybody sees his own."),
    ),
    Permission(
        name=FIGURES,
        title=_("See sums of deals that may not be opened"),
        group=_DEALS,
        scopes=_OWNED,
        default={ADMINISTRATOR: "all", DIRECTOR: "all", MARKETER: "all", HEAD: "team", MANAGER: "team"},
    ),
    Permission(name=OFFER, title=_("Make price offers of deals"), group=_DEALS, scopes=SCOPES, default=_SELLERS),
    Permission(
        name=SETTINGS,
        title=_("Edit pipelines, reasons of refusal, VAT and dates of deals"),
        group=_DEALS,
        default=_KEEPERS,
    ),
    Permission(name=PIPELINES_VIEW, title=_("See pipelines and stages"), group=_DEALS, default=_READERS),
    Permission(name=PRODUCTS_VIEW, title=_("View the catalogue"), group=_CATALOGUE, default=_READERS),
    Permission(name=PRODUCTS_CREATE, title=_("Add products"), group=_CATALOGUE, default=_KEEPERS),
    Permission(name=PRODUCTS_EDIT, title=_("Edit products"), group=_CATALOGUE, default=_KEEPERS),
    Permission(
        name=PRODUCTS_DELETE,
        title=_("Move products to the trash and bring them back"),
        group=_CATALOGUE,
        default=_KEEPERS,
    ),
    Permission(name=PRODUCTS_IMPORT, title=_("Import products"), group=_CATALOGUE, default=_KEEPERS),
    Permission(name=PRODUCTS_EXPORT, title=_("Export products"), group=_CATALOGUE, default=_KEEPERS),
    Permission(
        name=PRODUCTS_COST,
        title=_("See what products cost the company"),
        group=_CATALOGUE,
        default=dict.fromkeys((ADMINISTRATOR, DIRECTOR, HEAD), "all"),
    ),
    *LEAD_PERMISSIONS,
)
