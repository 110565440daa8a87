"""Fetches a recording from an address that telephony names, and never anything of our own network by it.

The name is resolved once and the connection goes to the address that was checked, so that a name that changes its mind
leads nowhere; redirects are not followed; size and time have ends. An administrator may name hosts inside the network.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from tempfile import SpooledTemporaryFile
from typing import IO
from urllib.parse import urlsplit

CONNECT_SECONDS, TOTAL_SECONDS = 10.0, 300.0
CHUNK = 256 * 1024

_NETWORKS = tuple(
    ipaddress.ip_network(one)
    # Ways to say an address of the inside by one of the outside: NAT64, 6to4, Teredo.
    for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


class FetchError(RuntimeError):
    """Tells why an address is not fetched, or what its host answered."""


def is_public(address: str) -> bool:
    """Tell whether an address is one of the open internet."""
    try:
        found: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif any(found in network for network in _NETWORKS):
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved and not found.is_unspecified


def allowed_hosts(text: str) -> frozenset[tuple[str, int | None]]:
    """Read the hosts inside the network that an administrator allows, one `host` or `host:port` a line."""
    found: set[tuple[str, int | None]] = set()
    for line in text.replace(",", "\n").splitlines():
        name, _colon, port = line.strip().lower().rpartition(":")
        if name and port.isdecimal():
            found.add((name, int(port)))
        elif line.strip():
            found.add((line.strip().lower(), None))
    return frozenset(found)


def fetch(url: str, *, limit: int, allowed: Iterable[tuple[str, int | None]] = ()) -> IO[bytes]:
    """Return what is at an address, at most `limit` bytes of it; FetchError for anything else."""
    scheme, host, port, path = _parts(url)
    known = set(allowed)
    inside = (host, None) in known or (host, port) in known
    if not inside and port != {"http": 80, "https": 443}[scheme]:
        raise FetchError(f"port {port} is not the ordinary one of {scheme}")
    address = _resolve(host, port, inside=inside)
    until = time.monotonic() + TOTAL_SECONDS
    connection = _Pinned(scheme, host, port, address)
    try:
        connection.request(
            "GET", path, headers={"User-Agent": "crm-calls", "Accept": "audio/*, application/octet-stream"}
        )
        answer = connection.getresponse()
        if answer.status != 200:
            raise FetchError(f"{host} answered {answer.status}")
        length = answer.getheader("Content-Length", "")
        if length.isdecimal() and int(length) > limit:
            raise FetchError(f"it has {length} bytes, more than {limit}")
        return _read(answer, limit, until)
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(f"{host}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _parts(url: str) -> tuple[str, str, int, str]:
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise FetchError("the address has signs that addresses do not have")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise FetchError("the address cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise FetchError("the address must begin with https:// or http://")
    if "@" in parts.netloc:
        raise FetchError("the address must not hold a name or password")
    host = (parts.hostname or "").rstrip(".").lower()
    if not host:
        raise FetchError("the address names no host")
    path = parts.path or "/"
    return (
        parts.scheme,
        host,
        port or {"http": 80, "https": 443}[parts.scheme],
        path + (f"?{parts.query}" if parts.query else ""),
    )


def _resolve(host: str, port: int, *, inside: bool) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError(f"there is no host {host}") from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    # One bad address among good ones is enough: whoever rules the name chooses which is asked.
    if not inside and not all(is_public(one) for one in addresses):
        raise FetchError(f"{host} is a host of an inner network, which no administrator has allowed")
    return addresses[0]


class _Pinned(http.client.HTTPConnection):
    """A connection to the address that was checked, under the name that was asked for."""

    def __init__(self, scheme: str, host: str, port: int, address: str) -> None:
        super().__init__(host, port, timeout=CONNECT_SECONDS)
        self._scheme, self._address = scheme, address

    def connect(self) -> None:
        """Connect to the pinned address; certificates are checked against the name."""
        plain = socket.create_connection((self._address, self.port), CONNECT_SECONDS)
        if self._scheme == "https":
            self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)
        else:
            self.sock = plain


def _read(answer: http.client.HTTPResponse, limit: int, until: float) -> IO[bytes]:
    kept: IO[bytes] = SpooledTemporaryFile(max_size=4 * 1024 * 1024)  # noqa: SIM115
    size = 0
    while chunk := answer.read1(CHUNK):
        size += len(chunk)
        if size > limit:
            kept.close()
            raise FetchError(f"it is larger than {limit} bytes")
        if time.monotonic() > until:
            kept.close()
            raise FetchError(f"it took longer than {TOTAL_SECONDS:.0f} s")
        kept.write(chunk)
    kept.seek(0)
    return kept
