"""Finds an installation, reads its ini file and says in one sentence what is wrong with it.

An installation is a data folder with ``crm.ini`` in it, or an ini file elsewhere that names its data folder. The
command line, the tests and the web application all come through :func:`load`;
the application gets :meth:`Settings.for_app`.
"""

from __future__ import annotations

import base64
import configparser
import difflib
import importlib.metadata
import ipaddress
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LOCALES = ("ru", "en")
SECTION = "app:main"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ConfigurationError(Exception):
    """A setting that stops the start: which one, the value seen, what is wrong with it, what to do."""

    def __init__(self, setting: str, value: object, problem: str, remedy: str) -> None:
        self.setting, self.value, self.problem, self.remedy = setting, value, problem, remedy
        seen = f" = {value}" if value not in (None, "") else ""
        super().__init__(f"{setting}{seen}: {problem}; {remedy}.")


@dataclass(frozen=True)
class Smtp:
    """The mail server of the ini file; an administrator may name another in the browser."""

    host: str
    port: int = 587
    security: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""


@dataclass(frozen=True)
class Settings:
    """Everything an installation says about itself, checked and typed."""

    data_dir: Path
    ini: Path
    database_url: str | None = field(default=None, repr=False)
    """None starts the embedded PostgreSQL."""
    redis_url: str | None = field(default=None, repr=False)
    """None starts the embedded Valkey."""
    plugins: tuple[str, ...] = ()
    theme: str = "default"
    demo: bool = False
    locale: str = "ru"
    currency: str = "RUB"
    time_zone: str = "Europe/Moscow"
    host: str = "127.0.0.1"
    port: int = 6543
    base_url: str = ""
    secret_key_file: Path = Path("secret.key")
    smtp: Smtp | None = None
    workers: int = 2
    threads: int = 4
    job_workers: int = 1
    trusted_proxies: tuple[str, ...] = ()
    development: bool = False
    log_level: str = "info"
    raw: Mapping[str, str] = field(default_factory=dict, repr=False)
    """All lines of the section, for what plugins and Pyramid read themselves."""

    @property
    def embedded(self) -> bool:
        """Whether the database is ours to start."""
        return self.database_url is None

    @property
    def run_dir(self) -> Path:
        """The folder of pid files and of the wish to restart."""
        return self.data_dir / "run"

    @property
    def address(self) -> str:
        """The address where a browser on this machine finds the application."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '[::]') else host}:{self.port}"  # noqa: S104  compared only

    def for_app(self, database_url: str | None = None, redis_url: str | None = None) -> dict[str, Any]:
        """Return what ``crm_core.app.main`` takes, with the addresses of running embedded servers filled in."""
        values: dict[str, Any] = dict(self.raw)
        values.update(
            {
                "sqlalchemy.url": self.database_url or database_url or "",
                "redis.url": self.redis_url or redis_url or "",
                "crm.ini": str(self.ini),
                "crm.data": str(self.data_dir),
                "crm.plugins": " ".join(self.plugins),
                "crm.theme": self.theme,
                "crm.demo": "true" if self.demo else "false",
                "crm.locale": self.locale,
                "crm.currency": self.currency,
                "crm.time_zone": self.time_zone,
                "crm.base_url": self.base_url,
                "crm.secret_key_file": str(self.secret_key_file),
                "crm.trusted_proxies": " ".join(self.trusted_proxies),
                "crm.development": "true" if self.development else "false",
                "pyramid.reload_templates": "true" if self.development else "false",
                "pyramid.default_locale_name": self.locale,
            }
        )
        return values

    def secret(self) -> bytes:
        """Return the 32 bytes of the key file; the first call makes it, readable by the owner only."""
        path = self.secret_key_file
        try:
            text = path.read_text("ascii")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            text = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                return self.secret()
            with os.fdopen(handle, "w") as file:
                file.write(text + "\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                "crm.secret_key_file",
                path,
                f"cannot be read ({error})",
                "give it to the user who runs the CRM",
            ) from None
        try:
            key = base64.urlsafe_b64decode(text.strip())
        except ValueError:
            key = b""
        if len(key) != 32:
            raise ConfigurationError(
                "crm.secret_key_file",
                path,
                "is not a key",
                "put back the file of this installation; without it stored passwords of mail accounts cannot be read",
            )
        return key


def load(config: str | Path | None = None, data: str | Path | None = None, **overrides: Any) -> Settings:
    """Read the installation that the arguments or the environment name; ``overrides`` are fields that win."""
    ini, data_dir = locate(config, data)
    if not ini.is_file():
        if config or os.environ.get("CRM_CONFIG"):
            raise ConfigurationError("--config", ini, "there is no such file", "begin from etc/crm.ini")
        raise ConfigurationError(
            "--data", data_dir, "holds no installation", f"make one: crm init --data {data_dir}, or name another folder"
        )
    return read(ini, data_dir, **overrides)


def locate(config: str | Path | None = None, data: str | Path | None = None) -> tuple[Path, Path | None]:
    """Return the ini file and, where it is named apart, the data folder."""
    config = config or os.environ.get("CRM_CONFIG") or None
    data = data or os.environ.get("CRM_DATA") or None
    if config:
        return Path(config).resolve(), Path(data).resolve() if data else None
    folder = Path(data or "var").resolve()
    if not data and not (folder / "crm.ini").is_file() and (folder / "demo" / "crm.ini").is_file():
        # Who only ever ran the demo means the demo.
        folder = folder / "demo"
    return folder / "crm.ini", folder


def create(data: str | Path | None = None, demo: bool = False, **overrides: Any) -> Settings:
    """Make the data folder and its ini file where they are missing, and read them.

    A folder that exists keeps its permissions; a new one is for its owner only.
    """
    ini, folder = locate(None, data)
    if folder is None or ini.is_file():
        return read(ini, folder, **overrides)
    _make_folder(folder)
    text = FIRST_INI.format(plugins=" ".join(installed_plugins()), demo="true" if demo else "false")
    fresh = ini.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(ini)
    return read(ini, folder, **overrides)


def _make_folder(folder: Path) -> None:
    """Make a data folder and what is missing above it, closed to others; what exists keeps its permissions.

    Under root others may pass through, though not look: the database's account must reach its cluster inside.
    """
    if folder.exists():
        return
    _make_folder(folder.parent)
    folder.mkdir()
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


def installed_plugins() -> list[str]:
    """Return the names of all installed plugins, without importing any."""
    return sorted({entry.name for entry in importlib.metadata.entry_points(group="crm.plugins")} - {"core"})


def read(ini: Path, data_dir: Path | None = None, **overrides: Any) -> Settings:
    """Read and check one ini file."""
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(ini.read_text("utf-8"), str(ini))
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError("--config", ini, f"cannot be read ({reason})", "mend that line") from None
    except OSError as error:
        raise ConfigurationError("--config", ini, f"cannot be read ({error.strerror})", "look at its owner") from None
    if not parser.has_section(SECTION):
        raise ConfigurationError("--config", ini, f"has no section [{SECTION}]", "begin from etc/crm.ini")
    # `%%` and `%(here)s` are what PasteDeploy makes of them; a lone percent sign of a password stays.
    raw = {
        key: value.strip().replace("%(here)s", str(ini.parent)).replace("%%", "%")
        for key, value in parser.items(SECTION)
    }
    return _check(_Reader(raw, ini), data_dir, overrides)


class _Reader:
    """Takes values out of the section one by one and complains in the words of the setting."""

    def __init__(self, raw: dict[str, str], ini: Path) -> None:
        self.raw, self.ini = raw, ini
        self.known: set[str] = set()

    def text(self, key: str, default: str = "") -> str:
        self.known.add(key)
        return self.raw.get(key, "") or default

    def words(self, key: str) -> tuple[str, ...]:
        return tuple(self.text(key).replace(",", " ").split())

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.text(key, "true" if default else "false").lower()
        if value not in ("true", "false", "yes", "no", "on", "off", "1", "0"):
            self.fail(key, "is neither true nor false", "write true or false")
        return value in ("true", "yes", "on", "1")

    def number(self, key: str, default: int, least: int, most: int) -> int:
        value = self.text(key, str(default))
        if not value.isdecimal() or not least <= int(value) <= most:
            self.fail(key, "is not a number that fits", f"write a number from {least} to {most}")
        return int(value)

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.text(key, default)
        if value not in choices:
            self.fail(key, "is not one of the values", f"write {' or '.join(choices)}")
        return value

    def path(self, key: str, default: Path) -> Path:
        value = self.text(key)
        return (self.ini.parent / value).resolve() if value else default

    def fail(self, key: str, problem: str, remedy: str) -> NoReturn:
        raise ConfigurationError(key, self.raw.get(key, ""), problem, f"{remedy} in {self.ini}")


def _check(reader: _Reader, data_dir: Path | None, overrides: Mapping[str, Any]) -> Settings:
    text, number = reader.text, reader.number
    stated = reader.path("crm.data", reader.ini.parent)
    data_dir = data_dir or stated
    currency = text("crm.currency", "RUB").upper()
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha():
        reader.fail("crm.currency", "is not a currency", "write its three letters, as RUB")
    time_zone = text("crm.time_zone", "Europe/Moscow")
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        reader.fail("crm.time_zone", "is not a time zone", "write an IANA name, as Europe/Samara,")
    settings = Settings(
        data_dir=data_dir,
        ini=reader.ini,
        database_url=_database_url(reader),
        redis_url=_redis_url(reader),
        plugins=reader.words("crm.plugins"),
        theme=text("crm.theme", "default"),
        demo=reader.flag("crm.demo"),
        locale=reader.choice("crm.locale", "ru", LOCALES),
        currency=currency,
        time_zone=time_zone,
        host=text("crm.host", "127.0.0.1"),
        port=number("crm.port", 6543, 1, 65535),
        base_url=text("crm.base_url").rstrip("/"),
        secret_key_file=reader.path("crm.secret_key_file", data_dir / "secret.key"),
        smtp=_smtp(reader),
        workers=number("crm.workers", 2, 1, 256),
        threads=number("crm.threads", 4, 1, 256),
        job_workers=number("crm.job_workers", 1, 1, 256),
        trusted_proxies=_proxies(reader),
        development=reader.flag("crm.development"),
        log_level=reader.choice("crm.log_level", "info", ("debug", "info", "warning", "error")),
        raw=reader.raw,
    )
    _refuse_unknown(reader)
    settings = replace(settings, **{key: value for key, value in overrides.items() if value is not None})
    if not settings.base_url:
        settings = replace(settings, base_url=settings.address)
    elif not settings.base_url.startswith(("http://", "https://")):
        reader.fail("crm.base_url", "is not an address", "write it whole, as https://crm.example.org,")
    if settings.demo and settings.host not in LOOPBACK:
        raise ConfigurationError(
            "crm.host",
            settings.host,
            "the demo company has known passwords and is served on this machine only",
            f"write crm.host = 127.0.0.1 or crm.demo = false in {settings.ini}",
        )
    if settings.demo and not _is_loopback_url(settings.base_url):
        raise ConfigurationError(
            "crm.base_url",
            settings.base_url,
            "the demo company has known passwords and is served on this machine only",
            f"take the line out or write crm.demo = false in {settings.ini}",
        )
    return settings


def _is_loopback_url(url: str) -> bool:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname in LOOPBACK


def _database_url(reader: _Reader) -> str | None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    url = reader.text("sqlalchemy.url")
    if not url:
        return None
    remedy = "write postgresql+psycopg://user:password@host/database, or take the line out for the embedded one,"
    shown = url.split("@")[-1] if "@" in url else url
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError("sqlalchemy.url", shown, "is not an address", f"{remedy} in {reader.ini}") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername != "postgresql+psycopg":
        raise ConfigurationError(
            "sqlalchemy.url", parsed.render_as_string(), "only PostgreSQL will do", f"{remedy} in {reader.ini}"
        )
    if not parsed.database:
        raise ConfigurationError(
            "sqlalchemy.url", parsed.render_as_string(), "names no database", f"{remedy} in {reader.ini}"
        )
    return parsed.render_as_string(hide_password=False)


def _redis_url(reader: _Reader) -> str | None:
    url = reader.text("redis.url")
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        shown = url.split("@")[-1]
        raise ConfigurationError(
            "redis.url",
            shown,
            "is not the address of a Redis",
            f"write redis://host:6379/0, or take the line out for the embedded one, in {reader.ini}",
        )
    return url or None


def _smtp(reader: _Reader) -> Smtp | None:
    host = reader.text("crm.smtp.host")
    security = reader.choice("crm.smtp.security", "starttls", ("starttls", "tls", "none"))
    port = reader.number("crm.smtp.port", 465 if security == "tls" else 587, 1, 65535)
    user, sender = reader.text("crm.smtp.user"), reader.text("crm.smtp.sender")
    password, file = reader.text("crm.smtp.password"), reader.text("crm.smtp.password_file")
    if file:
        try:
            password = (reader.ini.parent / file).read_text("utf-8").strip()
        except OSError as error:
            reader.fail("crm.smtp.password_file", f"cannot be read ({error.strerror})", "name a readable file")
    return Smtp(host, port, security, user, password, sender) if host else None


def _proxies(reader: _Reader) -> tuple[str, ...]:
    proxies = reader.words("crm.trusted_proxies")
    for proxy in proxies:
        try:
            ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            reader.fail("crm.trusted_proxies", f"{proxy!r} is not an IP address", "write addresses or networks")
    return proxies


def _refuse_unknown(reader: _Reader) -> None:
    for key in reader.raw:
        if key.startswith("crm.") and key not in reader.known and key.count(".") < 3:
            near = difflib.get_close_matches(key, reader.known, 1)
            hint = f"did you mean {near[0]}? Mend it" if near else "take the line out"
            reader.fail(key, "there is no such setting", f"{hint}")


def write_setting(ini: Path, key: str, value: str) -> None:
    """Write one line of the application's section, leaving every other line, the mode and the owner as they are."""
    lines = ini.read_text("utf-8").splitlines()
    start = next((i for i, line in enumerate(lines) if line.strip() == f"[{SECTION}]"), None)
    if start is None:
        raise ConfigurationError("--config", ini, f"has no section [{SECTION}]", "begin from etc/crm.ini")
    end = next((i for i in range(start + 1, len(lines)) if lines[i].lstrip().startswith("[")), len(lines))
    line = f"{key} = {value}"
    place = next((i for i in range(start + 1, end) if _is_line_of(lines[i], key)), None)
    if place is None:
        while end > start + 1 and not lines[end - 1].strip():
            end -= 1
        lines.insert(end, line)
    else:
        after = place + 1
        # A value may run on over indented lines.
        while after < end and lines[after][:1].isspace() and lines[after].strip():
            after += 1
        lines[place:after] = [line]
    status = ini.stat()
    fresh = ini.with_name(ini.name + ".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, status.st_mode & 0o777)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    if os.geteuid() == 0:
        os.chown(fresh, status.st_uid, status.st_gid)
    fresh.replace(ini)


def _is_line_of(line: str, key: str) -> bool:
    name, separator, _ = line.partition("=")
    return bool(separator) and name.strip() == key


FIRST_INI = """\
# Settings of this installation; every line is explained in etc/crm.ini of the source tree.
# PostgreSQL and Valkey are the embedded ones, in this folder, as long as no sqlalchemy.url and redis.url stand here.

[app:main]
use = egg:crm-core#main

# What is on. Take a name out to switch a plugin off: its data stays.
crm.plugins = {plugins}
crm.theme = default

# Accounts with known passwords, on this machine only.
crm.demo = {demo}

crm.locale = ru
crm.currency = RUB
crm.time_zone = Europe/Moscow

# How much the console says: debug, info, warning, error.
crm.log_level = warning
"""
