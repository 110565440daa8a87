"""The addresses of this plugin's own pages; lists, cards and forms of its entities are the core's."""

from __future__ import annotations

from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    """Add the routes, the views and the words."""
    config.add_catalogue("crm_clients")
    config.add_route("clients.interactions.record", "/clients/interactions/record/{kind:[a-z]+}")
    config.add_route("clients.link", r"/clients/{of:people|companies}/{id:\d+}/link")
    config.add_route("clients.unlink", r"/clients/people/{id:\d+}/unlink/{company:\d+}")
    config.add_route("clients.main_company", r"/clients/people/{id:\d+}/main/{company:\d+}")
    config.scan("crm_clients.views")
