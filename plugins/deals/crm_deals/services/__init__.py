"""The verbs of deals: (gate, ...) -> decisions; no request, no HTTP."""

from crm_deals.services.deals import (
    Moved,
    NeedsFields,
    NeedsReason,
    clone,
    create_deal,
    move,
    refuse,
    reopen,
    win,
)
from crm_deals.services.discounts import NeedsApproval

__all__ = [
    "Moved",
    "NeedsApproval",
    "NeedsFields",
    "NeedsReason",
    "clone",
    "create_deal",
    "move",
    "refuse",
    "reopen",
    "win",
]
