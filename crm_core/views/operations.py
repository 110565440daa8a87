"""Operations from wherever they are told of: the way back of a toast, and the page that tells what was done."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from crm_core.i18n import _
from crm_core.models.log import Operation
from crm_core.records import operations, saving, work
from crm_core.views.filling import safe_next, say


def _operation(request: Request) -> Operation:
    found = request.db.get(Operation, int(request.matchdict["id"]))
    if found is None:
        raise HTTPNotFound
    return found


@view_config(route_name="operations.show", request_method="GET")
def show(request: Request) -> Any:
    """Lead to the operation in the log, which shows it as far as this person may see it."""
    return HTTPSeeOther(f"/settings/log/{_operation(request).id}")


@view_config(route_name="operations.undo", request_method="POST")
def undo(request: Request) -> Any:
    """Take an operation back: one's own, or another's by the right to; the engine decides what of it may go back."""
    found = _operation(request)
    operations.describe(request.db, request.subject)
    try:
        undo_id, job = work.start_undo(request.gate, found.id)
    except saving.NotAllowed as refused:
        if not _may_know(request, found):
            raise HTTPNotFound from None
        return _answer(request, found, {"text": say(request, refused.message), "tone": "warning"})
    if job is not None:
        told = {"text": request.translate(_("It is being put back; how far it is stands above.")), "tone": "info"}
        return _answer(request, found, told)
    return _answer(request, found, _told(request, undo_id))


def _may_know(request: Request, found: Operation) -> bool:
    return found.user_id == request.subject.user_id or bool(request.subject.scopes("log:view"))


def _told(request: Request, undo_id: int) -> dict[str, str]:
    """Return what came of it: put back, or what was left alone since somebody changed it meanwhile."""
    detail = request.db.get_one(Operation, undo_id).detail
    undone, left = detail.get("undone", 0), len(detail.get("conflicts", ())) + detail.get("refused", 0)
    if not left:
        return {"text": request.translate(_("It is as it was before.")), "tone": "info"}
    href = f"/operations/{undo_id}"
    more = {"tone": "warning", "href": href, "href_title": request.translate(_("What was left"))}
    if not undone:
        return {"text": request.translate(_("Nothing was put back: it was changed since, or is used.")), **more}
    text = request.translate(_("Not all was put back: ${n} were changed since.", mapping={"n": left}))
    return {"text": text, **more}


def _answer(request: Request, found: Operation, told: dict[str, str]) -> Any:
    entity = request.registry["crm.plugins"].entities.get(found.entity or "")
    here = urlsplit(request.referrer or "").path
    back = safe_next(here) if here else "/"
    gone = False
    if entity is not None and found.record_id is not None:
        card = f"{entity.url}/{found.record_id}"
        gone = (here == card or here.startswith(card + "/")) and not request.gate.visible_ids(entity, [found.record_id])
        if gone:
            back = entity.url
    if not request.headers.get("HX-Request") or gone:
        more = {name: value for name, value in told.items() if name != "text"}
        request.toast(told["text"], **more)
        if gone and request.headers.get("HX-Request"):
            return Response(status=204, headers={"HX-Redirect": back})
        return HTTPSeeOther(back)
    return Response(status=204, headers={"HX-Trigger": json.dumps({"crm:toast": told})})


def includeme(config: Configurator) -> None:
    """Add the addresses of operations."""
    config.add_route("operations.undo", r"/operations/{id:\d{1,18}}/undo")
    config.add_route("operations.show", r"/operations/{id:\d{1,18}}")
    config.scan(__name__)
