"""How every plugin of an installation stands, for `crm plugin list`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from crm_core.cli.installation import Installation
from crm_core.embedded.child import EmbeddedError
from crm_core.plugins import discover
from crm_core.settings import ConfigurationError, Settings

_SENTENCES = {
    "on": "on",
    "missing": "listed, but its package is missing: install it with pip or take the name out of the line",
    "off": "off, tables kept",
    "archived": "off, archived, tables kept",
    "purged": "purged",
    "new": "installed, never on",
    "gone": "package missing, tables kept",
    "unknown": "off (the database does not answer, so its tables are not known of)",
}


@dataclass(frozen=True)
class KnownPlugin:
    """One plugin that is installed, listed or has tables."""

    name: str
    version: str | None
    distribution: str | None
    state: str
    archive: str = ""

    @property
    def sentence(self) -> str:
        """How it stands, in words."""
        where = f": {self.archive}" if self.archive and self.state in ("archived", "purged", "gone") else ""
        return _SENTENCES[self.state] + where

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; `on` and `missing` are what programs ask for most."""
        return {**asdict(self), "on": self.state in ("on", "missing"), "missing": self.state in ("missing", "gone")}


def known_plugins(settings: Settings) -> list[KnownPlugin]:
    """Return the plugins in the order of the line, then the others by name."""
    installed, remembered = discover(), _remembered(settings)
    others = sorted((installed.keys() | (remembered or {}).keys()) - set(settings.plugins) - {"core"})
    rows = []
    for name in (*settings.plugins, *others):
        package = installed.get(name)
        state, archive = (remembered or {}).get(name, ("", ""))
        if name in settings.plugins:
            state = "on" if package else "missing"
        elif remembered is None:
            state = "unknown"
        elif package is None:
            state = state if state == "purged" else "gone"
        elif not state:
            state = "new"
        elif state == "on":
            # It was on at the last start; the line has changed since.
            state = "off"
        rows.append(
            KnownPlugin(
                name, package.version if package else None, package.distribution if package else None, state, archive
            )
        )
    return rows


def _remembered(settings: Settings) -> dict[str, tuple[str, str]] | None:
    """Return what the database knows of plugins; None when it does not answer."""
    installation = Installation.of(settings)
    if installation.postgres is not None and not (installation.postgres.cluster / "PG_VERSION").is_file():
        # Never started: asking is no reason to make a database.
        return {}
    try:
        with installation.running(), installation.engine() as engine, engine.connect() as connection:
            if connection.execute(sa.text("SELECT to_regclass('core_plugin')")).scalar() is None:
                return {}
            rows = connection.execute(sa.text("SELECT name, state, archive FROM core_plugin"))
            return {row.name: (row.state, row.archive) for row in rows}
    except (sa.exc.DBAPIError, EmbeddedError, ConfigurationError):
        return None
