"""The addresses of this plugin's own pages; lists, cards and forms of its entities are the core's."""

from __future__ import annotations

from pyramid.config import Configurator

_ID = r"/deals/{id:\d{1,18}}"

#: Modules of `views` whose routes are here.
ROOMS = ("belongings", "board", "lines", "moves", "settings", "short")

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
    ("deals.settings.order", "/settings/deals/order"),
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
    ("deals.board.new", _BOARD + r"/new/{stage:\d{1,18}}"),
)


def includeme(config: Configurator) -> None:
    """Add the routes, the views and the words."""
    config.add_catalogue("crm_deals")
    for name, pattern in (*ROUTES, *LOOKS):
        config.add_route(name, pattern)
    for room in ROOMS:
        config.scan(f"crm_deals.views.{room}")
