"""Keeps other sites from acting in a person's name: tokens, the origin of a request, views with proofs of their own.

The token is derived from the secret of the session; before sign-in, from a random value in a cookie of its own, signed
by the key, so that sign-in forms are guarded too. A view whose caller proves itself otherwise says how by `proof=`.
"""

from __future__ import annotations

import base64
import hmac
from typing import Any
from urllib.parse import urlsplit

from pyramid.config import Configurator
from pyramid.csrf import bytes_
from pyramid.exceptions import BadCSRFOrigin, ConfigurationError
from pyramid.interfaces import ICSRFStoragePolicy
from pyramid.request import Request
from zope.interface import implementer

from crm_core.security import sessions
from crm_core.security.secrets import new_secret

PROOFS = ("signed-url", "bearer", "basic", "signature", "public-form")
"""How a view that changes something may know its caller when no cookie says who he is."""

FIELD = "csrf_token"
HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@implementer(ICSRFStoragePolicy)
class DerivedTokens:
    """Derives the token from what the cookie holds; nothing is stored."""

    def get_csrf_token(self, request: Request) -> str:
        """Return the token for the forms of this page."""
        return _token(request, request._csrf_basis)

    def new_csrf_token(self, request: Request) -> str:
        """Return a token on a fresh basis, as after sign-in."""
        request.__dict__["_csrf_basis"] = _fresh_basis(request)
        return self.get_csrf_token(request)

    def check_csrf_token(self, request: Request, supplied_token: str) -> bool:
        """Tell whether the token that came belongs to the cookie that came."""
        basis = _cookie_basis(request)
        if not basis or not supplied_token:
            return False
        return hmac.compare_digest(bytes_(supplied_token), bytes_(_token(request, basis)))


def _token(request: Request, basis: str) -> str:
    return base64.urlsafe_b64encode(request.secrets.digest("csrf", basis)).rstrip(b"=").decode()


def _cookie_basis(request: Request) -> str:
    if request.signed_in is not None:
        return sessions.read_cookie(request)
    return request.secrets.unsign("form", request.cookies.get(sessions.cookie_name(request, "crm-form"), "")) or ""


def _basis(request: Request) -> str:
    return _cookie_basis(request) or _fresh_basis(request)


def _fresh_basis(request: Request) -> str:
    basis = new_secret()

    def give(request: Request, response: Any) -> None:
        response.set_cookie(
            sessions.cookie_name(request, "crm-form"),
            request.secrets.sign("form", basis),
            path="/",
            secure=request.scheme == "https",
            httponly=True,
            samesite="Lax",
        )

    request.add_response_callback(give)
    return basis


def foreign_origin(request: Request) -> str:
    """Return the foreign site that a request comes from; empty when it comes from our own pages or tells nothing."""
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        return request.headers.get("Origin") or "another site"
    origin = request.headers.get("Origin") or ""
    if not origin and request.scheme == "https":
        origin = request.referrer or ""
    if not origin:
        return ""
    ours = {_site(request.host_url), _site(request.registry.settings.get("crm.base_url", "") or request.host_url)}
    return "" if _site(origin) in ours else origin


def _site(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = None
    try:
        port = parts.port
    except ValueError:
        return "", url, None
    return parts.scheme, parts.hostname or "", port or {"http": 80, "https": 443}.get(parts.scheme)


def origin_view(view: Any, info: Any) -> Any:
    """Refuse unsafe requests that another site sent; a deriver under which CSRF tokens are then compared."""
    if info.options.get("proof"):
        return view

    def guarded(context: Any, request: Request) -> Any:
        if request.method not in SAFE_METHODS and not request.exception and (foreign := foreign_origin(request)):
            raise BadCSRFOrigin(f"the form was sent from {foreign}, not from a page of this CRM")
        return view(context, request)

    return guarded


def proof_view(view: Any, info: Any) -> Any:
    """Take a view out of the CSRF check when it says how its caller proves himself; refuse one that only opts out."""
    proof = info.options.get("proof")
    if proof is not None:
        if proof not in PROOFS:
            raise ConfigurationError(f"view {info.original_view!r}: proof={proof!r} is none of {', '.join(PROOFS)}")
        info.registry.setdefault("crm.proofs", []).append((info.original_view, proof))
        info.options["require_csrf"] = False
    elif info.options.get("require_csrf") is False and not info.exception_only:
        raise ConfigurationError(
            f"view {info.original_view!r} switches CSRF off without saying what guards it instead: give it proof="
        )
    return view


origin_view.options = ("proof",)  # type: ignore[attr-defined]
proof_view.options = ("proof",)  # type: ignore[attr-defined]


def includeme(config: Configurator) -> None:
    """Demand a token and our own origin of every unsafe request."""
    config.set_csrf_storage_policy(DerivedTokens())
    config.set_default_csrf_options(require_csrf=True, token=FIELD, header=HEADER, check_origin=False)
    config.add_request_method(_basis, "_csrf_basis", reify=True)
    # Derivers run from the outermost in; this one must change the options before Pyramid's own reads them.
    config.add_view_deriver(proof_view, "proof", under="csrf_view", over="rendered_view")
    config.add_view_deriver(origin_view, "origin", over="csrf_view", under="secured_view")
