"""The embedded Valkey keeps what it was told, on a socket that only its owner can reach."""

from __future__ import annotations

import signal
import stat
from pathlib import Path

import psutil
import redis

from crm_core.embedded import EmbeddedValkey


def test_what_was_written_survives_a_stop(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    server.start()
    with redis.from_url(server.url) as client:
        client.set("kept", "yes")
    server.stop()

    server.start()
    try:
        with redis.from_url(server.url) as client:
            assert client.get("kept") == b"yes"
            assert client.config_get("port")["port"] == "0"
        assert stat.S_IMODE(server.socket_path.parent.stat().st_mode) == 0o700
    finally:
        server.stop()
    assert not server.running


def test_it_comes_back_after_a_kill_and_on_a_long_path(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / ("long" * 25))
    server.start()
    try:
        assert server.process is not None
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        assert not server.running

        server.start()

        assert server.running
        assert len(str(server.socket_path)) < 100
        first = server.process
        assert first is not None
    finally:
        server.stop()
    assert not psutil.pid_exists(first.pid)


def test_who_comes_second_does_not_stop_it(tmp_path: Path) -> None:
    server, second = EmbeddedValkey(tmp_path, scratch=True), EmbeddedValkey(tmp_path, scratch=True)
    server.start()
    try:
        second.start()
        second.stop()

        assert server.running
    finally:
        server.stop()
