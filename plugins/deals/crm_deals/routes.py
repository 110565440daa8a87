"""The addresses of this plugin's own pages; lists, cards and forms of its entities are the core's."""

from __future__ import annotations

from pyramid.config import Configurator

_ID = r"/deals/{id:\d{1,18}}"

#: Modules of `views` whose routes are here.
ROOMS = (
    "as_of",
    "belongings",
    "board",
    "forecast",
    "lead_inbox",
    "lead_public",
    "lead_settings",
    "lines",
    "moves",
    "offers",
    "settings",
    "short",
    "targets",
)

ROUTES: tuple[tuple[str, str], ...] = (
    ("deals.short", "/deals/short"),
    ("deals.stage_card", r"/deals/stages/{id:\d{1,18}}"),
    ("deals.pipeline_card", r"/deals/pipelines/{id:\d{1,18}}"),
    ("deals.reason_card", r"/deals/reasons/{id:\d{1,18}}"),
    ("deals.product_line", r"/deals/products/line/{product:\d{1,18}}"),
    ("deals.move", _ID + "/move"),
    ("deals.close", _ID + "/{way:won|lost}"),
    ("deals.reopen", _ID + "/reopen"),
    ("deals.clone", _ID + "/clone"),
    ("deals.ask_discount", _ID + "/discount/ask"),
    ("deals.decide_discount", _ID + "/discount/{what:approve|decline}"),
    ("deals.lines", _ID + "/lines"),
    ("deals.count_lines", _ID + "/lines/count"),
    ("deals.party_new", _ID + "/parties/new"),
    ("deals.party_remove", _ID + r"/parties/{party:\d{1,18}}/remove"),
    ("deals.observer_new", _ID + "/observers/new"),
    ("deals.observer_remove", _ID + r"/observers/{user:\d{1,18}}/remove"),
    ("deals.date_new", _ID + "/dates/new"),
    ("deals.date", _ID + r"/dates/{date:\d{1,18}}"),
    ("deals.date_done", _ID + r"/dates/{date:\d{1,18}}/done"),
    ("deals.date_remove", _ID + r"/dates/{date:\d{1,18}}/remove"),
    ("deals.settings", "/settings/deals/pipelines"),
    ("deals.offer_new", _ID + "/offers/new"),
    ("deals.offer", _ID + r"/offers/{offer:\d{1,18}}/{way:open|save}"),
    ("deals.settings.order", "/settings/deals/order"),
    ("deals.settings.offers", "/settings/deals/offers"),
    ("deals.settings.offer_template", "/settings/deals/offers/template"),
    ("deals.settings.pipeline", r"/settings/deals/pipelines/{id:\d{1,18}}"),
    ("deals.settings.pipeline_delete", r"/settings/deals/pipelines/{id:\d{1,18}}/delete"),
    ("deals.settings.stage", r"/settings/deals/stages/{id:\d{1,18}}"),
    ("deals.settings.stage_delete", r"/settings/deals/stages/{id:\d{1,18}}/delete"),
    ("deals.settings.reasons", "/settings/deals/reasons"),
    ("deals.settings.dates", "/settings/deals/dates"),
    ("deals.settings.vat", "/settings/deals/vat"),
    ("deals.settings.vat_remove", r"/settings/deals/vat/{row:\d{1,18}}/remove"),
    ("deals.settings.rates", "/settings/deals/rates"),
    ("deals.settings.rate_remove", r"/settings/deals/rates/{row:\d{1,18}}/remove"),
    ("deals.settings.discounts", "/settings/deals/discounts"),
)

_BOARD = r"/deals/board/{pipeline:\d{1,18}}"
_FORECAST = r"/deals/forecast/{by:month|person|team|group}/{first:\d{4}-\d{2}}"

#: The board, the forecast and targets.
LOOKS: tuple[tuple[str, str], ...] = (
    ("deals.board_last", "/deals/board"),
    ("deals.board", _BOARD),
    ("deals.board.cards", _BOARD + "/cards"),
    ("deals.board.column", _BOARD + r"/columns/{stage:\d{1,18}}"),
    ("deals.board.totals", _BOARD + "/totals"),
    ("deals.board.filter", _BOARD + "/filter/{name:[a-z][a-z0-9_]*}"),
    ("deals.board.fold", _BOARD + "/fold"),
    ("deals.board.move", _BOARD + "/move"),
    ("deals.board.choose", _BOARD + r"/move/{id:\d{1,18}}"),
    ("deals.board.as_of", _BOARD + "/as-of"),
    ("deals.forecast_now", "/deals/forecast"),
    ("deals.forecast", _FORECAST),
    ("deals.forecast.filter", _FORECAST + "/filter/{name:[a-z][a-z0-9_]*}"),
    ("deals.targets", "/deals/targets"),
    ("deals.targets.copy", "/deals/targets/copy"),
    ("deals.board.new", _BOARD + r"/new/{stage:\d{1,18}}"),
)


_LEAD = r"/deals/leads/{id:\d{1,18}}"
_LEADS = "/settings/deals/leads"

#: Leads: what is done with them, what strangers and programs may call, settings.
LEADS: tuple[tuple[str, str], ...] = (
    ("deals.lead_take", _LEAD + "/take"),
    ("deals.lead_link", _LEAD + "/link"),
    ("deals.lead_reject", _LEAD + "/reject"),
    ("deals.lead_renew", _LEAD + "/renew"),
    ("deals.lead_figures", "/deals/leads/figures"),
    ("deals.lead_script", "/deals/f/{token:[A-Za-z0-9_-]+}.js"),
    ("deals.lead_form", "/deals/f/{token:[A-Za-z0-9_-]+}"),
    ("deals.lead_intake", "/deals/leads/in/{token:[A-Za-z0-9_-]+}"),
    ("deals.lead_settings", _LEADS),
    ("deals.lead_term", _LEADS + "/term"),
    ("deals.lead_rule_new", _LEADS + "/rules/new"),
    ("deals.lead_rule", _LEADS + r"/rules/{id:\d{1,18}}"),
    ("deals.lead_rule_move", _LEADS + r"/rules/{id:\d{1,18}}/{way:up|down}"),
    ("deals.lead_form_new", _LEADS + "/forms/new"),
    ("deals.lead_form_edit", _LEADS + r"/forms/{id:\d{1,18}}"),
    ("deals.lead_program_new", _LEADS + "/programs/new"),
    ("deals.lead_program", _LEADS + r"/programs/{id:\d{1,18}}"),
)


def includeme(config: Configurator) -> None:
    """Add the routes, the views and the words."""
    config.add_catalogue("crm_deals")
    for name, pattern in (*ROUTES, *LOOKS, *LEADS):
        config.add_route(name, pattern)
    for room in ROOMS:
        config.scan(f"crm_deals.views.{room}")
