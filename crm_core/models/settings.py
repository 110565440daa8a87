"""Settings of the company, preferences of people, states of plugins."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Mapped, mapped_column

from crm_core import clock
from crm_core.db import Base
from crm_core.models.accounts import Versioned


class SettingValue(Versioned, Base):
    """A setting that differs from its default."""

    __tablename__ = "core_setting"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    value: Mapped[Any] = mapped_column(pg.JSONB())
    secret: Mapped[bytes | None]
    """A sealed value (AES-GCM by the key file) instead of `value`; never in the change log."""


class Preference(Base):
    """How one person wants one thing to be: columns of a list, a folded menu."""

    __tablename__ = "core_preference"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("core_user.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(pg.JSONB())


class PluginState(Base):
    """What is known of a plugin whose tables are here: also when it is off or its package is gone."""

    __tablename__ = "core_plugin"

    name: Mapped[str] = mapped_column(primary_key=True)
    package: Mapped[str]
    title: Mapped[str] = mapped_column(default="")
    version: Mapped[str] = mapped_column(default="")
    requires: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    state: Mapped[str] = mapped_column(default="on")
    """`on`, `off`, `archived` or `purged`."""
    changed_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
    archive: Mapped[str] = mapped_column(default="", server_default="")
