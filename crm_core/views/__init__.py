"""Pages of the core: each view takes what came, asks a service and returns a shape."""

from __future__ import annotations

from importlib.util import find_spec

from pyramid.config import Configurator

#: The rooms, in the order in which their routes are matched: fixed addresses before patterns.
ROOMS = (
    "account", "admin", "home", "search", "live", "notifications", "jobs", "files", "imports", "operations", "api",
    "records", "errors",
)  # fmt: skip


def includeme(config: Configurator) -> None:
    """Include every room."""
    for room in ROOMS:
        if find_spec(f"crm_core.views.{room}") is not None:
            config.include(f"crm_core.views.{room}")
