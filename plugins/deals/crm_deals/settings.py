"""What an administrator may set of deals: one page with tabs, and the limit of discounts."""

from __future__ import annotations

from crm_core.specs import Setting, SettingsPage
from crm_deals.i18n import _
from crm_deals.permissions import SETTINGS as MAY_SET
from crm_deals.services import lead_rules, offers
from crm_deals.services.discounts import DEFAULT_LIMIT, LIMIT

SETTINGS: tuple[Setting | SettingsPage, ...] = (
    SettingsPage(
        id="deals",
        title=_("Deals: pipelines and lists"),
        permission=MAY_SET,
        icon="coins",
        href="/settings/deals/pipelines",
        description=_("Pipelines and stages, reasons of refusal, dates, VAT, rates of currencies, discounts"),
        order=30,
        words="воронки этапы стадии причины отказа ндс курсы валют скидки даты pipelines stages vat",
    ),
    SettingsPage(
        id="deals-offers",
        title=_("Price offers"),
        permission=MAY_SET,
        icon="file-text",
        href="/settings/deals/offers",
        description=_("Texts, columns, validity, who signs; the template"),
        order=31,
        words="коммерческое предложение кп шаблон оферта offer template pdf",
    ),
    Setting(key=offers.KEY, title=_("Price offers"), kind="json", default=None, page="deals-offers"),
    Setting(
        key=LIMIT,
        title=_("Discounts over so many percent must be approved"),
        kind="number",
        default=DEFAULT_LIMIT,
        page="deals",
        minimum=0,
        maximum=100,
    ),
    SettingsPage(
        id="deals-leads",
        title=_("Leads"),
        permission=MAY_SET,
        icon="inbox",
        href="/settings/deals/leads",
        description=_("Who answers them and how soon, forms of the site, programs that send them"),
        order=32,
        words="лиды заявки формы с сайта распределение вебхук неразобранное leads web forms webhook",
    ),
    Setting(
        key=lead_rules.TERM,
        title=_("Minutes of working time to answer when no rule says so"),
        kind="number",
        default=30,
        page="deals-leads",
        minimum=1,
        maximum=10_000,
    ),
)
