"""`crm serve` keeps everything running, whatever is killed, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from crm_core.restart import is_served, request_restart, restart_error
from crm_core.settings import create, write_setting


class Served:
    """A running `crm serve` and what it said."""

    def __init__(self, data: Path, port: int) -> None:
        self.data, self.port = data, port
        self.lines: list[str] = []
        command = [sys.executable, "-m", "crm_core.cli", "serve", "--data", str(data), "--port", str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def started(self) -> Served:
        eventually(lambda: "Ctrl-C" in self.text or self.process.poll() is not None, 180)
        assert self.process.poll() is None, self.text
        return self

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def children(self) -> dict[str, psutil.Process]:
        notes = {path.stem: json.loads(path.read_text()) for path in (self.data / "run").glob("*.pid")}
        return {name: psutil.Process(note["pid"]) for name, note in notes.items()}

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def test_what_is_killed_comes_back_and_nothing_is_left_after_ctrl_c(data: Path, port: int) -> None:
    served = Served(data, port).started()
    assert re.search(r"^ {6}[a-z0-9]{6}(-[a-z0-9]{6}){4}$", served.text, re.M)
    assert is_served(data)

    for name in ("postgres", "valkey", "web", "worker-1", "schedule"):
        before = served.children()[name]
        before.kill()
        eventually(lambda name=name, before=before: served.children()[name].pid != before.pid, 60)
        eventually(served.answers, 60)

    family = served.family()
    begun = time.monotonic()
    assert served.stop() == 0
    assert time.monotonic() - begun < 10
    assert [process for process in family if process.is_running()] == []
    assert list((data / "run").glob("*.pid")) == []
    assert not is_served(data)


def test_a_killed_parent_takes_its_children_along_and_the_next_start_serves(data: Path, port: int) -> None:
    first = Served(data, port).started()
    family = first.family()

    first.stop(signal.SIGKILL)
    second = Served(data, port).started()

    assert second.answers()
    assert [process for process in family if process.is_running()] == []
    second.stop(signal.SIGTERM)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_killed_parent_leaves_no_process(data: Path, port: int) -> None:
    served = Served(data, port).started()
    family = served.family()

    served.stop(signal.SIGKILL)

    eventually(lambda: not any(process.is_running() for process in family), 15)


def test_a_wish_to_restart_is_followed_only_when_the_settings_are_right(data: Path, port: int) -> None:
    served = Served(data, port).started()
    before = served.children()["web"]

    write_setting(data / "crm.ini", "crm.plugins", "nonsense")
    assert request_restart(data)
    eventually(lambda: restart_error(data) != "", 60)
    assert "nonsense" in restart_error(data)
    assert served.children()["web"].pid == before.pid
    assert served.answers()

    write_setting(data / "crm.ini", "crm.plugins", "")
    assert request_restart(data)
    eventually(lambda: served.children()["web"].pid != before.pid, 90)
    eventually(served.answers, 60)
    assert restart_error(data) == ""
    served.stop()


def test_a_second_start_says_what_runs_already(data: Path, port: int) -> None:
    served = Served(data, port).started()

    same_folder = Served(data, port + 1)
    same_port = Served(data.with_name("other"), port)

    assert same_folder.process.wait(30) == 78
    assert same_port.process.wait(30) == 78
    for one in (same_folder, same_port):
        one.reader.join(5)
        assert one.process.stdout is not None
        one.process.stdout.close()
    assert "this installation runs already" in same_folder.text
    assert f"--port {port + 1}" in same_port.text
    assert "Traceback" not in same_folder.text + same_port.text
    served.stop()


def eventually(happened: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if happened():
                return
        except (OSError, psutil.Error, ValueError):
            pass
        time.sleep(0.05)
    raise AssertionError(f"it did not happen within {seconds} s")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    create(folder)
    write_setting(folder / "crm.ini", "crm.plugins", "")
    yield folder
    for path in (folder, folder.with_name("other")):
        home = path / "postgres"
        if home.is_symlink():
            # Under root the cluster stands where the account of the server can reach it.
            import shutil

            shutil.rmtree(home.resolve(), ignore_errors=True)


@pytest.fixture
def port() -> int:
    base = 20000 + os.getpid() % 20000
    for number in range(base, base + 200, 2):
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", number))
                second.bind(("127.0.0.1", number + 1))
            except OSError:
                continue
            return number
    raise AssertionError("no port is free")
