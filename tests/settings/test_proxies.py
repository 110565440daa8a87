"""An address counts only when a proxy of ours vouches for it."""

from __future__ import annotations

from typing import Any

import pytest

from crm_core.proxies import TrustedProxies


def seen(proxies: list[str], **environ: Any) -> dict[str, Any]:
    result: dict[str, Any] = {}

    def application(given: dict[str, Any], _start: Any) -> list[bytes]:
        result.update(given)
        return []

    TrustedProxies(application, proxies)({"wsgi.url_scheme": "http", **environ}, None)
    return result


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("203.0.113.9", "127.0.0.1", "203.0.113.9"),
    ],
)
def test_the_last_address_that_is_not_ours_is_the_clients(remote: str, forwarded: str, address: str) -> None:
    environ = seen(["10.0.0.0/24"], REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR=forwarded)

    assert environ["REMOTE_ADDR"] == address
    assert "HTTP_X_FORWARDED_FOR" not in environ


def test_only_our_proxy_says_that_the_line_is_encrypted() -> None:
    ours = seen(["10.0.0.1"], REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_PROTO="https")
    theirs = seen(["10.0.0.1"], REMOTE_ADDR="10.0.0.3", HTTP_X_FORWARDED_PROTO="https")

    assert ours["wsgi.url_scheme"] == "https"
    assert theirs["wsgi.url_scheme"] == "http"
