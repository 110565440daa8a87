"""What the core makes lists, cards, forms, search, import and export of."""

from crm_core.specs import Entity
from crm_deals.entities.catalogue import GROUP, GROUPS, PRODUCT, PRODUCTS
from crm_deals.entities.deals import DEAL, DEALS, SHORT_ROWS
from crm_deals.entities.leads import LEAD, LEADS
from crm_deals.entities.pipelines import PIPELINE, PIPELINES, REASON, REASONS, STAGE, STAGES

ENTITIES: tuple[Entity, ...] = (DEALS, LEADS, PRODUCTS, GROUPS, PIPELINES, STAGES, REASONS)

__all__ = [
    "DEAL",
    "DEALS",
    "ENTITIES",
    "GROUP",
    "GROUPS",
    "LEAD",
    "LEADS",
    "PIPELINE",
    "PIPELINES",
    "PRODUCT",
    "PRODUCTS",
    "REASON",
    "REASONS",
    "SHORT_ROWS",
    "STAGE",
    "STAGES",
]
