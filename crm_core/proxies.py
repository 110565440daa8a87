"""Decides whom a request comes from: what a proxy says counts only when the proxy is ours.

WebOb believes any ``X-Forwarded-For``, so that anyone could choose the address by which sign-ins are limited. Here the
header is read from its trusted end and then removed, whoever sent it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]

FORWARDED = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
)


class TrustedProxies:
    """Wraps the application; knows the networks of our own proxies."""

    def __init__(self, application: Application, proxies: Sequence[str]) -> None:
        self.application = application
        self.networks = [ipaddress.ip_network(proxy, strict=False) for proxy in proxies]

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if self.trusts(environ.get("REMOTE_ADDR", "")):
            # The last one that is not ours; what stands before it the client may have invented.
            for address in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
                address = address.strip()
                if not _is_address(address):
                    break
                environ["REMOTE_ADDR"] = address
                if not self.trusts(address):
                    break
            scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").split(",")[-1].strip().lower()
            if scheme in ("http", "https"):
                environ["wsgi.url_scheme"] = scheme
        for name in FORWARDED:
            environ.pop(name, None)
        return self.application(environ, start_response)

    def trusts(self, address: str) -> bool:
        """Tell whether an address is one of our proxies."""
        if not _is_address(address):
            return False
        return any(ipaddress.ip_address(address) in network for network in self.networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
