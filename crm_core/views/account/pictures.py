"""Faces of people and the company's logo: pictures that we encoded ourselves."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.response import FileResponse
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from crm_core import company
from crm_core.models import User


def _picture(request: Request, digest: str, *, public: bool) -> Any:
    try:
        path = request.file_store.path(digest)
    except ValueError:
        raise HTTPNotFound from None
    if not path.is_file():
        raise HTTPNotFound
    response = FileResponse(str(path), request=request, content_type="image/png")
    # Addresses hold the digest, so what stands at one never changes.
    response.headers["Cache-Control"] = f"{'public' if public else 'private'}, max-age=86400"
    return response


@view_config(route_name="account.face", request_method="GET")
def face(request: Request) -> Any:
    """Show somebody's photo to whoever is signed in."""
    digest = request.matchdict["digest"]
    if request.db.scalar(sa.select(User.id).where(User.photo == digest).limit(1)) is None:
        raise HTTPNotFound
    return _picture(request, digest, public=False)


@view_config(route_name="account.logo", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def logo(request: Request) -> Any:
    """Show the company's logo, also on the sign-in page."""
    return _picture(request, str(request.company.get(company.LOGO)), public=True)
