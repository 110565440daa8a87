"""The addresses of this plugin's own pages; lists, cards and forms of its entities are the core's."""

from __future__ import annotations

from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    """Add the routes, the views and the words."""
    config.add_catalogue("crm_deals")
