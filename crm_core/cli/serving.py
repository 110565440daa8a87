"""``crm serve``: one parent that runs the servers, the pages, the workers and the schedule of an installation.

Why not supervisor: its programs outlive a supervisord that is killed, it cannot wait until the database answers before
the migrations run and the web server starts, and it finds no orphans of the run before. This needs all three:

* a child gets a signal when the parent dies, whatever kills it, and leads a process group, so that what it leaves
  behind is ended with it;
* each child is noted in ``DATA/run`` with the time it started; the next start ends what is still there, and never a
  stranger that got the number since;
* a child that ends is started again, at once and then with growing pauses;
* a touched ``DATA/run/restart`` (the administrator's page of plugins) or SIGHUP starts web, workers and schedule anew
  with the settings read again, and only if those would start at all.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import IO, Any

import psutil

from crm_core.cli.installation import Installation, check_database, plugins_of, require_current, upgrade
from crm_core.embedded.child import EmbeddedError, arrange_end_with_parent, end_group, spawn
from crm_core.restart import RESTART, RESTART_ERROR
from crm_core.settings import ConfigurationError, Settings, load
from crm_core.themes import load_chain

EX_CONFIG = 78
"""How a child ends when a setting is wrong: starting it again would not help."""

BACK_OFF = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_SECONDS = 60.0
"""A child that lived this long begins again without a pause."""
STOP_SECONDS = 8.0
START_SECONDS = 60.0
FIRST_PAGE_SECONDS = 180.0
"""Compiling the templates for the first time takes a slow machine long."""
TEMPLATE_SECONDS = 60 * 24 * 3600.0
"""How long a compiled template is kept."""
STOPPING = "stopping"
PATIENCE_SECONDS = 1.5
"""How long a predecessor that was just told to stop may need to say so."""


@dataclass
class Child:
    """One process of ours that is kept running."""

    name: str
    arguments: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    not_before: float = 0.0


class Parent:
    """Keeps the processes of one installation running until it is told to stop."""

    def __init__(self, settings: Settings, say: Callable[[str], None] = print) -> None:
        self.settings = settings
        self.installation = Installation.of(settings)
        self.children: list[Child] = []
        self.say = say
        self.stopping = False
        self.hurry = False
        self.has_terminal = os.isatty(0)
        self.lock: IO[str] | None = None
        self.reload = False
        self.interruptible = False
        """Whether a wish to stop may break off what is being done: filling a demo, not ending processes."""
        self.failures: dict[str, tuple[int, float]] = {}

    # Start

    def run(self, prepare: Callable[[Installation], list[str]]) -> int:
        """Start everything, say what ``prepare`` returned once the pages answer, watch until told to stop."""
        with self._only_one():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, self._take_signal)
            try:
                self._end_orphans()
                self._require_port()
                self._forget_old_templates()
                self.installation.start()
                self._note_servers()
                self.interruptible = True
                words = prepare(self.installation)
                self.interruptible = False
                self.children = self._web_and_workers()
                for child in self.children:
                    self._start(child)
                self._await_pages()
                for line in words:
                    self.say(line)
                self._watch()
            except _Stopped:
                pass
            finally:
                self._stop_everything()
        return 0

    def _take_signal(self, number: int, _frame: Any) -> None:
        if number == signal.SIGHUP and not self._lost_terminal():
            self.reload = True
            return
        # Asked twice, the children are not waited for.
        self.hurry = self.stopping
        self.stopping = True
        if self.interruptible:
            self.interruptible = False
            raise _Stopped

    def _lost_terminal(self) -> bool:
        """Tell whether the hang-up came from a closed terminal and not from somebody who wants a restart."""
        if not self.has_terminal:
            return False
        try:
            os.tcgetpgrp(0)
        except OSError:
            return True
        return False

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        run = self.settings.run_dir
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (run / "lock").open("a+") as file:
            self._take_lock(file)
            self.lock = file
            self._write_lock(f"process {os.getpid()}, {self.settings.address}")
            yield

    def _take_lock(self, file: IO[str]) -> None:
        """Take the lock of the folder, waiting for a predecessor only while it is on its way out."""
        begun = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip()
                waited = time.monotonic() - begun
                if waited < (START_SECONDS if holder == STOPPING else PATIENCE_SECONDS):
                    time.sleep(0.05)
                    continue
                raise ConfigurationError(
                    "--data",
                    self.settings.data_dir,
                    f"this installation runs already ({holder})",
                    "stop that one first, or choose another folder",
                ) from None
            return

    def _write_lock(self, text: str) -> None:
        if self.lock is not None:
            self.lock.truncate(0)
            self.lock.write(text)
            self.lock.flush()

    def _require_port(self) -> None:
        settings = self.settings
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, settings.port))
            except OSError as error:
                raise ConfigurationError(
                    "crm.port",
                    f"{settings.host}:{settings.port}",
                    f"cannot be listened on ({error.strerror})",
                    f"choose another port: --port {settings.port + 1} (make: PORT={settings.port + 1})",
                ) from None

    def _forget_old_templates(self) -> None:
        for path in (self.settings.data_dir / "cache" / "templates").glob("*"):
            with contextlib.suppress(OSError):
                if path.is_file() and time.time() - path.stat().st_mtime > TEMPLATE_SECONDS:
                    path.unlink()

    def _web_and_workers(self) -> list[Child]:
        settings = self.settings
        place = ["--config", str(settings.ini), "--data", str(settings.data_dir)]
        base = [sys.executable, "-m", "crm_core.cli", *place]
        web = [*base, "web", "--host", settings.host, "--port", str(settings.port)]
        workers = [Child(f"worker-{n + 1}", [*base, "worker"]) for n in range(settings.job_workers)]
        return [Child("web", web), *workers, Child("schedule", [*base, "schedule"])]

    def _start(self, child: Child) -> None:
        templates = self.settings.data_dir / "cache" / "templates"
        templates.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Compiling the templates takes seconds; named by their content, they can be kept for the next start.
        env = {"CHAMELEON_CACHE": str(templates), **os.environ, "CRM_SERVE": str(os.getpid())}
        child.process = spawn(child.arguments, cwd=self.settings.data_dir, env=env)
        child.started = time.monotonic()
        self._note(child.name, child.process.pid)

    def _await_pages(self) -> None:
        web = self.children[0]
        until = time.monotonic() + FIRST_PAGE_SECONDS
        while time.monotonic() < until:
            self._heed_stop()
            assert web.process is not None
            if web.process.poll() is not None:
                raise ChildFailed(web.process.returncode)
            host = "127.0.0.1" if self.settings.host == "0.0.0.0" else self.settings.host  # noqa: S104
            with contextlib.suppress(OSError), socket.create_connection((host, self.settings.port), 1):
                return
            time.sleep(0.05)
        raise EmbeddedError("the web server does not answer; the lines above say why")

    # Watch

    def _watch(self) -> None:
        asked = self._restart_asked()
        while True:
            self._heed_stop()
            if self.reload or self._restart_asked() != asked:
                asked, self.reload = self._restart_asked(), False
                self._restart()
            self._revive_servers()
            for child in self.children:
                self._revive(child)
            time.sleep(0.2)

    def _heed_stop(self) -> None:
        if self.stopping:
            raise _Stopped

    def _revive(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is not None:
            code = child.process.poll()
            if code is None:
                return
            end_group(child.process.pid)
            if now - child.started > STEADY_SECONDS:
                child.failures = 0
            pause = BACK_OFF[min(child.failures, len(BACK_OFF) - 1)]
            child.failures += 1
            child.not_before = now + pause
            child.process = None
            self._complain(f"{child.name} ended ({_ending(code)}), started again" + _after(pause))
        if child.process is None and now >= child.not_before:
            self._start(child)

    def _revive_servers(self) -> None:
        for name, server in (("PostgreSQL", self.installation.postgres), ("Valkey", self.installation.valkey)):
            if server is None or server.process is None or server.process.poll() is None:
                continue
            failures, not_before = self.failures.get(name, (0, 0.0))
            if time.monotonic() < not_before:
                continue
            pause = BACK_OFF[min(failures + 1, len(BACK_OFF) - 1)]
            self.failures[name] = (failures + 1, time.monotonic() + pause)
            code = server.process.returncode
            end_group(server.process.pid)
            self._complain(f"{name} ended ({_ending(code)}), started again")
            try:
                server.start()
                self._note_servers()
            except (EmbeddedError, OSError) as error:
                self._complain(str(error))

    def _restart_asked(self) -> int:
        try:
            return (self.settings.run_dir / RESTART).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _restart(self) -> None:
        """Read the settings again and start web, workers and schedule anew; on a mistake the present ones stay."""
        failure = self.settings.run_dir / RESTART_ERROR
        try:
            fresh = load(self.settings.ini, self.settings.data_dir)
            fresh = replace(fresh, host=self.settings.host, port=self.settings.port, base_url=fresh.base_url)
            plugins = plugins_of(fresh)
            if self.installation.postgres is not None:
                upgrade(fresh, self.installation.database_url, plugins)
            self._try_application()
        except (ConfigurationError, ChildFailed) as error:
            failure.write_text(f"{error}\n", "utf-8")
            self._complain(f"not restarted: {error}")
            return
        failure.unlink(missing_ok=True)
        self.say("Restarting with the settings read again.")
        self._stop_children()
        self.settings = fresh
        self.installation.settings = fresh
        self.children = self._web_and_workers()
        for child in self.children:
            self._start(child)

    def _try_application(self) -> None:
        """Assemble the application in a process of its own, for what is imported stays imported."""
        settings = self.settings
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "crm_core.cli",
                "--config",
                str(settings.ini),
                "--data",
                str(settings.data_dir),
                "try",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise ChildFailed(done.returncode, lines[-1] if lines else "")

    # Stop

    def _stop_everything(self) -> None:
        self.interruptible = False
        self.stopping = True
        self._write_lock(STOPPING)
        self._stop_children()
        self.installation.stop()
        for path in self.settings.run_dir.glob("*.pid"):
            path.unlink(missing_ok=True)

    def _stop_children(self) -> None:
        living = [child.process for child in self.children if child.process is not None]
        for process in living:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        until = time.monotonic() + STOP_SECONDS
        while any(p.poll() is None for p in living) and time.monotonic() < until and not self.hurry:
            time.sleep(0.02)
        for process in living:
            # A job that is cut off here is taken up again: the row is the truth.
            end_group(process.pid)
            process.wait()
        for child in self.children:
            child.process = None

    # Notes for the next start

    def _note(self, name: str, pid: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            note = {"pid": pid, "started": psutil.Process(pid).create_time()}
            (self.settings.run_dir / f"{name}.pid").write_text(json.dumps(note), "utf-8")

    def _note_servers(self) -> None:
        for name, server in (("postgres", self.installation.postgres), ("valkey", self.installation.valkey)):
            if server is not None and server.process is not None:
                self._note(name, server.process.pid)

    def _end_orphans(self) -> None:
        """End what a killed parent left; its servers end in their own time and are waited for by their start."""
        for path in sorted(self.settings.run_dir.glob("*.pid")):
            with contextlib.suppress(OSError, ValueError, KeyError, psutil.Error):
                note = json.loads(path.read_text("utf-8"))
                process = psutil.Process(note["pid"])
                if abs(process.create_time() - note["started"]) < 0.01:
                    self._end_orphan(path.stem, process)
            path.unlink(missing_ok=True)

    def _end_orphan(self, name: str, process: psutil.Process) -> None:
        # PostgreSQL must write its checkpoint; a fast shutdown loses nothing.
        process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(STOP_SECONDS if name != "postgres" else START_SECONDS)
        if name not in ("postgres", "valkey"):
            end_group(process.pid)

    def _complain(self, line: str) -> None:
        print(f"crm: {line}", file=sys.stderr, flush=True)


class ChildFailed(Exception):
    """A process of ours that ended while it should have started."""

    def __init__(self, code: int, line: str = "") -> None:
        self.code = code
        super().__init__(line or f"a process ended while starting ({_ending(code)})")


class _Stopped(BaseException):
    """Somebody asked to stop."""


def _ending(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"code {code}"


def _after(pause: float) -> str:
    return f" in {pause:g} s" if pause else ""


def make_ready(installation: Installation) -> list[str]:
    """Check the servers, bring the tables up to date, fill the demo, and return what the console says."""
    settings = installation.settings
    plugins = plugins_of(settings)
    load_chain(settings.theme)
    check_database(settings, installation.database_url)
    if installation.postgres is not None:
        upgrade(settings, installation.database_url, plugins)
    from crm_core.cli.welcome import welcome
    from crm_core.jobs import environment

    engine, factory, plugins = environment(installation.app_settings)
    try:
        require_current(engine, plugins)
        return welcome(settings, factory, plugins)
    finally:
        engine.dispose()


def end_with_parent_process() -> None:
    """End this process when the one that started it is killed: ``make`` must not leave a company running."""
    arrange_end_with_parent(signal.SIGTERM)
