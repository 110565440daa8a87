"""What an administrator may set of deals: one page with tabs, and the limit of discounts."""

from __future__ import annotations

from crm_core.specs import Setting, SettingsPage
from crm_deals.i18n import _
from crm_deals.permissions import SETTINGS as MAY_SET
from crm_deals.services.discounts import DEFAULT_LIMIT, LIMIT

SETTINGS: tuple[Setting | SettingsPage, ...] = (
    SettingsPage(
        id="deals",
        title=_("Deals: pipelines and lists"),
        permission=MAY_SET,
        icon="coins",
        href="/settings/deals",
        description=_("Pipelines and stages, reasons of refusal, dates, VAT, rates of currencies, discounts"),
        order=30,
        words="воронки этапы стадии причины отказа ндс курсы валют скидки даты pipelines stages vat",
    ),
    Setting(
        key=LIMIT,
        title=_("Discounts over so many percent must be approved"),
        kind="number",
        default=DEFAULT_LIMIT,
        page="deals",
        minimum=0,
        maximum=100,
    ),
)
