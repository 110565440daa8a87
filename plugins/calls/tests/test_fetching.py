"""Recordings are fetched from the open internet alone, and from hosts that an administrator named."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from crm_calls import fetching
from crm_calls.fetching import FetchError, allowed_hosts, fetch, is_public

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\x00" * 1000


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a",
        "http://127.1/a",
        "http://0.0.0.0/a",
        "http://0x7f.0.0.1/a",
        "http://2130706433/a",
        "http://0177.0.0.1/a",
        "http://localhost/a",
        "http://localhost./a",
        "http://10.0.0.8/a",
        "http://192.168.1.1/a",
        "http://172.16.0.1/a",
        "http://100.64.0.1/a",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/a",
        "http://[::]/a",
        "http://[::ffff:127.0.0.1]/a",
        "http://[fd00::1]/a",
        "http://[fe80::1]/a",
        "http://[64:ff9b::7f00:1]/a",
        "http://[2002:7f00:1::]/a",
        "http://224.0.0.1/a",
        "http://user:pass@203.0.113.5/a",
        "http://93.184.216.34:6379/a",
        "http://93.184.216.34:25/a",
        "https://93.184.216.34:80/a",
        "file:///etc/passwd",
        "gopher://93.184.216.34/a",
        "ftp://93.184.216.34/a",
        "//93.184.216.34/a",
        "http://",
        "http:///a",
        "http://exa mple.org/a",
        "http://example.org\\@127.0.0.1/a",
        "http://example.org/\r\nX: y",
        "http://example。org/a",
        "http://[::1/a",
        "http://93.184.216.34:99999/a",
    ],
)
def test_nothing_of_the_inner_network_is_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(fetching.socket, "create_connection", lambda *a, **_k: asked.append(a))

    with pytest.raises(FetchError):
        fetch(url, limit=1000)

    assert asked == []


def test_public_addresses_are_public() -> None:
    assert is_public("93.184.216.34")
    assert is_public("2606:2800:220:1:248:1893:25c8:1946")
    assert not is_public("nonsense")


def test_one_bad_address_among_good_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80)) for one in ("93.184.216.34", "127.0.0.1")]
    monkeypatch.setattr(fetching.socket, "getaddrinfo", lambda *_a, **_k: both)

    with pytest.raises(FetchError, match="inner network"):
        fetch("http://rebind.example.org/a", limit=1000)


def test_a_name_is_resolved_once_and_the_connection_goes_where_it_was_checked(
    monkeypatch: pytest.MonkeyPatch, server: Any
) -> None:
    answers = iter(["93.184.216.34", "127.0.0.1"])
    asked: list[Any] = []

    def resolve(*_a: Any, **_k: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), 80))]

    def connect(address: Any, *more: Any, **options: Any) -> Any:
        asked.append(address)
        made = socket.socket()
        made.connect(("127.0.0.1", server.server_port))
        return made

    monkeypatch.setattr(fetching.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(fetching.socket, "create_connection", connect)

    with fetch("http://rebind.example.org/a.wav", limit=5000) as found:
        assert found.read() == WAV
    assert asked == [("93.184.216.34", 80)]
    assert server.hosts == ["rebind.example.org"]


def test_a_host_that_an_administrator_named_is_asked(server: Any) -> None:
    allowed = allowed_hosts(f"pbx.local\n127.0.0.1:{server.server_port}\n")

    with fetch(f"http://127.0.0.1:{server.server_port}/a.wav", limit=5000, allowed=allowed) as found:
        assert found.read() == WAV
    with pytest.raises(FetchError):
        fetch(f"http://127.0.0.1:{server.server_port + 1}/a.wav", limit=5000, allowed=allowed)


@pytest.mark.parametrize(
    ("path", "why"),
    [("/redirect", "answered 302"), ("/missing", "answered 404"), ("/large", "more than"), ("/endless", "larger than")],
)
def test_redirects_and_floods_are_not_followed(server: Any, path: str, why: str) -> None:
    allowed = allowed_hosts("127.0.0.1")

    with pytest.raises(FetchError, match=why):
        fetch(f"http://127.0.0.1:{server.server_port}{path}", limit=5000, allowed=allowed)


def test_a_job_fetches_and_keeps_the_recording(office: Any, jobs: Any, db: Any, server: Any, app_settings: Any) -> None:
    from crm_calls import services
    from crm_calls.jobs import HOSTS
    from crm_core import jobs as core_jobs
    from crm_core.company import Company
    from crm_core.records import operations

    call = office.talked(line="101")
    operations.begin(db, kind="settings")
    Company(db, office.plugins, db.info[core_jobs.SECRETS]).set(HOSTS, "127.0.0.1")
    url = f"http://127.0.0.1:{server.server_port}/a.wav"
    core_jobs.enqueue(db, services.FETCH, call_id=call.id, url=url)

    jobs.run_all()

    (kept,) = office.calls()
    assert (kept.recording_type, kept.recording_size) == ("audio/wav", len(WAV))


@pytest.fixture
def server() -> Iterator[Any]:
    """A server of loopback with a recording, a redirect and floods."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.hosts.append(self.headers["Host"])  # type: ignore[attr-defined]
            answers: dict[str, Callable[[], None]] = {
                "/a.wav": lambda: self._say(200, WAV),
                "/redirect": lambda: self._say(302, b"", Location="http://169.254.169.254/"),
                "/large": lambda: self._say(200, b"x", **{"Content-Length": "999999"}),
                "/endless": self._flood,
            }
            answers.get(self.path, lambda: self._say(404, b""))()

        def _say(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            headers.setdefault("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _flood(self) -> None:
            self.send_response(200)
            self.end_headers()
            for _number in range(100):
                try:
                    self.wfile.write(b"x" * 1000)
                except OSError:
                    return

        def log_message(self, *_arguments: Any) -> None:
            """Keep quiet."""

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.hosts = []  # type: ignore[attr-defined]
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()
