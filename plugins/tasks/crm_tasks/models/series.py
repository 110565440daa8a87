"""Series: tasks that come again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from crm_core import clock
from crm_core.db import Base


class Series(Base):
    """A rule by which a task comes again, in local wall time; rights are those of its tasks."""

    __tablename__ = "tasks_series"
    __table_args__ = (sa.Index(None, "active", "made_until"),)

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    rrule: Mapped[str]
    """The value of an RRULE, without COUNT or UNTIL only where it never ends."""
    starts: Mapped[str]
    """Local date and time of the first one, `2026-03-02T10:00`."""
    zone: Mapped[str]
    all_day: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    exdates: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    after_completion: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    """Whether the next one is counted from the day on which this one was done."""
    template: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """What each of them is made of: values of the task, `checklist`, `observers`, `reminders`."""
    active: Mapped[bool] = mapped_column(default=True, server_default=sa.text("true"))
    made_until: Mapped[str] = mapped_column(default="", server_default="")
    """How far occurrences were made, local."""
    owner_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="RESTRICT"))
    """On whose behalf they are made: the author."""
    created_at: Mapped[dt.datetime] = mapped_column(default=clock.now)
