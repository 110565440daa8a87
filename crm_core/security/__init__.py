"""Who may do what, and how the application is sure who asks."""

from __future__ import annotations

from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    """Include the rooms in the order in which they need one another."""
    config.include("crm_core.security.secrets")
    config.include("crm_core.security.limits")
    config.include("crm_core.security.policy")
    config.include("crm_core.security.csrf")
    config.include("crm_core.security.content")
