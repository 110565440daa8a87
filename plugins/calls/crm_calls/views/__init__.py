"""Pages of telephony: what exchanges tell, calls that go on, unknown numbers, figures, settings."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response

from crm_core.records import operations


def go(request: Request, where: str) -> Any:
    """Send the browser to another page after something was done."""
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Redirect": where})
    return HTTPSeeOther(where)


def undo_href(request: Request) -> str:
    """Return where what this request did is taken back; empty when it did nothing."""
    operation = operations.current(request.db)
    return f"/operations/{operation}/undo" if operation else ""
