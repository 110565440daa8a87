"""What browsers are told about our pages: where scripts and styles may come from, and what else is forbidden."""

from __future__ import annotations

import secrets
from typing import Any

from pyramid.config import Configurator
from pyramid.events import NewResponse
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request

#: What a view may ask for by `csp=`; both need styles inside elements, neither eval.
KINDS = ("charts", "editor")

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


def policy(nonce: str, kind: str = "", *, https: bool = False) -> str:
    """Return the content policy of a page."""
    style = "'self' 'unsafe-inline'" if kind in KINDS else "'self'"
    parts = [
        "default-src 'self'",
        f"script-src 'self' 'nonce-{nonce}'",
        f"style-src {style}",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-src 'self'",
        "frame-ancestors 'none'",
    ]
    if https:
        parts.append("upgrade-insecure-requests")
    return "; ".join(parts)


def csp_view(view: Any, info: Any) -> Any:
    """Note on the request which content policy its page wants."""
    kind = info.options.get("csp")
    if not kind:
        return view
    if kind not in KINDS:
        raise ConfigurationError(f"view {info.original_view!r}: csp={kind!r} is none of {', '.join(KINDS)}")
    info.registry.setdefault("crm.csp_views", []).append((info.original_view, kind))

    def noting(context: Any, request: Request) -> Any:
        request.csp_kind = kind
        return view(context, request)

    return noting


csp_view.options = ("csp",)  # type: ignore[attr-defined]


def add_headers(event: NewResponse) -> None:
    """Put the headers on every response that does not say otherwise itself."""
    request, response = event.request, event.response
    headers = response.headers
    for name, value in _ALWAYS.items():
        headers.setdefault(name, value)
    https = request.scheme == "https"
    headers.setdefault("Content-Security-Policy", policy(request.csp_nonce, request.csp_kind, https=https))
    if https:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if response.content_type == "text/html" and "Cache-Control" not in headers:
        # Nothing of a person's pages may be shown by the "back" button after he signed out.
        headers["Cache-Control"] = "no-store"


def includeme(config: Configurator) -> None:
    """Give requests `csp_nonce`, views the option `csp`, and responses their headers."""
    config.add_request_method(lambda request: secrets.token_urlsafe(16), "csp_nonce", reify=True)
    config.add_request_method(lambda request: "", "csp_kind", reify=True)
    config.add_view_deriver(csp_view, "csp")
    config.add_subscriber(add_headers, NewResponse)
