"""The tables of deals, one module for each part of the work."""

from crm_deals.models.catalogue import DateKind, LossReason, Product, ProductGroup, Rate, VatRate
from crm_deals.models.deals import Deal, DealDate, Line, Member, Party, StageChange
from crm_deals.models.leads import Lead, LeadForm, LeadIntake, LeadRule, LeadTurn
from crm_deals.models.offers import Offer
from crm_deals.models.pipelines import LOST, OPEN, WON, Pipeline, Stage
from crm_deals.models.targets import Target

__all__ = [
    "LOST",
    "OPEN",
    "WON",
    "DateKind",
    "Deal",
    "DealDate",
    "Lead",
    "LeadForm",
    "LeadIntake",
    "LeadRule",
    "LeadTurn",
    "Line",
    "LossReason",
    "Member",
    "Offer",
    "Party",
    "Pipeline",
    "Product",
    "ProductGroup",
    "Rate",
    "Stage",
    "StageChange",
    "Target",
    "VatRate",
]
