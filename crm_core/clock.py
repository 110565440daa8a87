"""The only source of the present moment: aware UTC, and movable in tests.

Everything that stores or compares time asks :func:`now`, never ``datetime.now`` and never the database's ``now()``,
so that a test can stand at any instant and one transaction sees one time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

_frozen: datetime | None = None


def now() -> datetime:
    """Return the present moment as an aware datetime in UTC."""
    return _frozen if _frozen is not None else datetime.now(UTC)


def today(tz: str | tzinfo = UTC) -> date:
    """Return the date it is now in the given time zone."""
    return now().astimezone(zone(tz)).date()


def zone(tz: str | tzinfo) -> tzinfo:
    """Return the time zone for an IANA name; a ready zone is returned as it is."""
    return ZoneInfo(tz) if isinstance(tz, str) else tz


def start_of_day(day: date, tz: str | tzinfo = UTC) -> datetime:
    """Return the instant at which a calendar day begins in a zone, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone(tz)).astimezone(UTC)


class FrozenClock:
    """The hands of a stopped clock, given by :func:`frozen`."""

    def move_to(self, instant: datetime) -> None:
        """Stand at another instant."""
        global _frozen
        _frozen = _aware(instant)

    def tick(self, delta: timedelta | None = None, **parts: float) -> datetime:
        """Go forward by a timedelta or by its parts (``minutes=5``) and return the new moment."""
        self.move_to(now() + (delta if delta is not None else timedelta(**parts)))
        return now()


@contextmanager
def frozen(instant: datetime | None = None) -> Iterator[FrozenClock]:
    """Stop the clock for a test, at an instant or at the present one.

    The hands are module-level and not a context variable because worker threads of a test must see them too.
    """
    global _frozen
    before = _frozen
    _frozen = _aware(instant) if instant is not None else now()
    try:
        yield FrozenClock()
    finally:
        _frozen = before


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"clock: {instant!r} has no time zone; give an aware datetime")
    return instant.astimezone(UTC)
