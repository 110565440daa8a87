"""The fields of deals, pipelines and products: forms, lists, import and export are made of these."""

from crm_deals.schemas.catalogue import PRODUCT_KINDS, UNITS, VAT_CODES, GroupSchema, ProductSchema, VatSchema
from crm_deals.schemas.deals import (
    SOURCES,
    STATES,
    VAT_MODES,
    DateSchema,
    DealImportSchema,
    DealSchema,
    LineSchema,
    MemberSchema,
    PartySchema,
    ShortSchema,
)
from crm_deals.schemas.leads import LEAD_STATES, LeadFormSchema, LeadIntakeSchema, LeadRuleSchema, LeadSchema
from crm_deals.schemas.pipelines import (
    STAGE_KINDS,
    DateKindSchema,
    PipelineSchema,
    RateSchema,
    ReasonSchema,
    StageSchema,
)
from crm_deals.schemas.targets import TargetSchema

__all__ = [
    "LEAD_STATES",
    "PRODUCT_KINDS",
    "SOURCES",
    "STAGE_KINDS",
    "STATES",
    "UNITS",
    "VAT_CODES",
    "VAT_MODES",
    "DateKindSchema",
    "DateSchema",
    "DealImportSchema",
    "DealSchema",
    "GroupSchema",
    "LeadFormSchema",
    "LeadIntakeSchema",
    "LeadRuleSchema",
    "LeadSchema",
    "LineSchema",
    "MemberSchema",
    "PartySchema",
    "PipelineSchema",
    "ProductSchema",
    "RateSchema",
    "ReasonSchema",
    "ShortSchema",
    "StageSchema",
    "TargetSchema",
    "VatSchema",
]
