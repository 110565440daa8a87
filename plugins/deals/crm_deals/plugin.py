"""What this plugin adds: its table of contents."""

from __future__ import annotations

from collections.abc import Iterable

from pyramid.config import Configurator

from crm_core.events import EventContext
from crm_core.hooks import hookimpl
from crm_core.specs import (
    Entity,
    Event,
    EventType,
    Job,
    NavItem,
    Panel,
    Permission,
    PluginInfo,
    Setting,
    SettingsPage,
    Widget,
)
from crm_deals import __version__, card, entities, events, handlers, panels, permissions, settings
from crm_deals.entities import DEALS, LEADS, PRODUCTS
from crm_deals.entities.leads import NEW_ONES
from crm_deals.i18n import _
from crm_deals.lead_jobs import LEAD_JOBS
from crm_deals.lead_permissions import LEADS_VIEW
from crm_deals.lead_widgets import LEAD_WIDGETS
from crm_deals.views import lead_inbox
from crm_deals.widgets import WIDGETS

PLUGIN = PluginInfo(
    name="deals",
    package="crm_deals",
    title=_("Deals"),
    description=_("Pipelines, stages and products: what is being sold, and how far it is."),
    version=__version__,
    requires=("clients",),
    assets=("lines.js", "deals.css", "leads.css", "sums.css"),
    icon="coins",
)


@hookimpl
def crm_permissions() -> Iterable[Permission]:
    """Return what roles may be granted over deals."""
    return permissions.PERMISSIONS


@hookimpl
def crm_entities() -> Iterable[Entity]:
    """Return deals, products, pipelines and stages."""
    return lead_inbox.dressed(card.dressed(entities.ENTITIES))


@hookimpl
def crm_event_types() -> Iterable[EventType]:
    """Return the facts that this plugin tells."""
    return events.EVENT_TYPES


@hookimpl
def crm_nav_items() -> Iterable[NavItem]:
    """Return deals and the catalogue in the menu."""
    return (
        NavItem(
            id="deals.list",
            title=DEALS.title_plural,
            href=DEALS.url,
            icon=DEALS.icon,
            group="sales",
            permission=permissions.VIEW,
            order=5,
            key="d",
            words="сделки продажи воронка стадия этап канбан deals sales pipeline",
        ),
        NavItem(
            id="deals.short",
            title=entities.SHORT_ROWS.title_plural,
            href=entities.SHORT_ROWS.url,
            icon=DEALS.icon,
            group="sales",
            permission=permissions.SHORT,
            order=6,
            words="сделки продажи что куплено deals sales bought",
        ),
        NavItem(
            id="deals.leads",
            title=LEADS.title_plural,
            href=f"{LEADS.url}?{NEW_ONES}",
            icon=LEADS.icon,
            group="sales",
            permission=LEADS_VIEW,
            order=4,
            key="l",
            words="лиды заявки неразобранное запросы обращения с сайта leads requests inbox",
        ),
        NavItem(
            id="deals.products",
            title=PRODUCTS.title_plural,
            href=PRODUCTS.url,
            icon=PRODUCTS.icon,
            group="sales",
            permission=permissions.PRODUCTS_VIEW,
            order=30,
            words="товары услуги каталог прайс номенклатура products catalogue price list",
        ),
    )


@hookimpl
def crm_panels() -> Iterable[Panel]:
    """Return what belongs to a deal, and deals of clients and products."""
    return panels.PANELS


@hookimpl
def crm_widgets() -> Iterable[Widget]:
    """Return blocks of the home page."""
    return (*WIDGETS, *LEAD_WIDGETS)


@hookimpl
def crm_jobs() -> Iterable[Job]:
    """Return work by the clock."""
    return LEAD_JOBS


@hookimpl
def crm_settings() -> Iterable[Setting | SettingsPage]:
    """Return the page of settings of deals, and the limit of discounts."""
    return settings.SETTINGS


@hookimpl
def crm_include(config: Configurator) -> None:
    """Add this plugin's own pages."""
    config.include("crm_deals.routes")


@hookimpl
def crm_event(event: Event, context: EventContext) -> None:
    """Tell of moves, and keep what follows from facts."""
    handlers.react(event, context)
