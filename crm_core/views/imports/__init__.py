"""Import in the browser: choose a file, say what its columns are, see what would become of it, watch, take it back."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden, HTTPNotFound
from pyramid.request import Request

from crm_core.i18n import _
from crm_core.models import ImportRun
from crm_core.specs import Entity


def importable(request: Request) -> list[Entity]:
    """Return what this person may import, in the order of the menu."""
    entities = request.registry["crm.plugins"].entities.values()
    return [one for one in entities if one.importable and request.gate.may(one, "import")]


def may_see(request: Request, run: ImportRun) -> bool:
    """Tell whether this person may know of an import: his own, or anybody's where he may import everything."""
    entity = request.registry["crm.plugins"].entities.get(run.entity)
    if entity is None or request.subject.user_id is None:
        return False
    if run.user_id == request.subject.user_id:
        return True
    if run.state == "draft":
        return False
    return "all" in request.subject.scopes(f"{entity.permission_prefix}:import")


class RunContext:
    """One import that whoever asks may know of."""

    run: ImportRun

    def __init__(self, request: Request) -> None:
        # Before sign-in nothing is told; the permission of the view then leads to the door.
        if request.subject.user_id is None:
            return
        number = request.matchdict["id"]
        found = request.db.get(ImportRun, int(number)) if len(number) < 19 else None
        if found is None or not may_see(request, found):
            raise HTTPNotFound
        self.run = found

    def entity(self, request: Request) -> Entity:
        """Return what is imported."""
        found: Entity = request.registry["crm.plugins"].entity(self.run.entity)
        return found

    def require_import(self, request: Request) -> None:
        """Refuse whoever has lost the right to import since he began."""
        if not request.gate.may(self.entity(request), "import"):
            raise HTTPForbidden(detail=request.translate(_("Your role may not import.")))


def includeme(config: Configurator) -> None:
    """Add the routes and views of these pages."""
    config.add_route("imports.list", "/imports")
    config.add_route("imports.new", "/imports/new")
    for name, path in (
        ("run", ""),
        ("columns", "/columns"),
        ("words", "/words"),
        ("check", "/check"),
        ("start", "/start"),
        ("stop", "/stop"),
        ("undo", "/undo"),
        ("discard", "/discard"),
        ("rejected", "/rejected.csv"),
        ("remarks", "/remarks.csv"),
    ):
        _route(config, name, path)
    for room in ("begin", "words", "check", "runs"):
        config.scan(f"crm_core.views.imports.{room}")


def _route(config: Any, name: str, path: str) -> None:
    config.add_route(f"imports.{name}", f"/imports/{{id:[0-9]+}}{path}", factory=RunContext)
