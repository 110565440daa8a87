"""Assembles the application: the one page that lists every include, in order."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.router import Router


def main(global_config: dict[str, Any] | None, **settings: Any) -> Router:
    """Return the WSGI application for the settings of an ini file."""
    return configure(settings).make_wsgi_app()


def configure(settings: dict[str, Any]) -> Configurator:
    """Return a configurator with everything included and committed."""
    settings.setdefault("tm.manager_hook", "pyramid_tm.explicit_manager")
    # Who asks is found out by the first view that needs it, where an error can still be shown as a page.
    settings.setdefault("tm.annotate_user", "false")
    settings.setdefault("retry.attempts", "3")
    config = Configurator(settings=settings)

    config.include("pyramid_tm")
    config.include("pyramid_retry")
    config.include("pyramid_chameleon")
    config.include("crm_core.db")
    # The plugin host comes before whatever asks it what there is.
    config.include("crm_core.plugins")
    config.include("crm_core.i18n")
    config.include("crm_core.security")
    config.include("crm_core.company")
    config.include("crm_core.jobs")
    config.include("crm_core.files")
    config.include("crm_core.records")
    config.include("crm_core.assets")
    config.include("crm_core.views")
    config.include("crm_core.plugins.include_plugins")
    # A theme covers what the core and the plugins have said, so it comes last.
    config.include("crm_core.themes")
    return config
