"""What the tests of the law look at: the files of the tree and the assembled application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.architecture.tree import Source, python_sources


@pytest.fixture(scope="session")
def sources() -> list[Source]:
    """Every file of Python of the core, the plugins and the themes."""
    return python_sources()


@dataclass(frozen=True)
class View:
    """A view of the assembled application, as Pyramid's introspector knows it."""

    route: str
    callable: str
    methods: tuple[str, ...]
    permission: str | None
    """None when the view names none and lives by the default."""
    package: str


@pytest.fixture(scope="session")
def views(app: Any) -> list[View]:
    """Every view of the application with all its plugins; pages of errors and static files are no views of ours."""
    found = []
    for item in app.registry.introspector.get_category("views"):
        view = item["introspectable"]
        if view.get("exception_only") or view["derived_callable"] is None:
            continue
        function = view["callable"]
        module = getattr(function, "__module__", None) or type(function).__module__
        if not module.startswith("crm_"):
            continue
        said = [one["value"] for one in item["related"] if one.category_name == "permissions"]
        methods = view.get("request_methods") or ()
        found.append(
            View(
                view["route_name"] or view["name"],
                f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}",
                (methods,) if isinstance(methods, str) else tuple(methods),
                str(said[0]) if said else None,
                module.partition(".")[0],
            )
        )
    return found


@pytest.fixture(scope="session")
def route_patterns(app: Any) -> dict[str, str]:
    """The address of every route by its name."""
    return {
        item["introspectable"]["name"]: item["introspectable"]["pattern"]
        for item in app.registry.introspector.get_category("routes")
    }
