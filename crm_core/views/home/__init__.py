"""The home page: what each role needs to see first, in blocks of the core and of plugins that one may arrange."""

from __future__ import annotations

from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    """Add the addresses of the home page, and the shell around every page."""
    config.include("crm_core.views.shell")
    config.add_route("home", "/")
    config.add_route("home.widget", "/home/widgets/{id:[a-z0-9_.-]+}")
    config.add_route("home.arrange", "/home/arrange")
    config.scan("crm_core.views.home.page")
