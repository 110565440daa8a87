"""Working time: when so many minutes of it have passed, and how much of it lies between two instants."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crm_core import clock
from crm_core.company import CALENDAR, TIME_ZONE, WorkingCalendar, read_values
from crm_core.records.gate import Gate

#: Days without work in a row, before somebody must have emptied the calendar.
_LONGEST_REST = 60


@dataclass(frozen=True)
class WorkTime:
    """The company's working hours in its zone."""

    calendar: WorkingCalendar
    zone: str

    def after(self, start: dt.datetime, minutes: int) -> dt.datetime:
        """Return the instant at which so many minutes of work have passed."""
        left = dt.timedelta(minutes=minutes)
        at = start
        for begin, end in self._spans(start):
            at = max(begin, start)
            if end - at >= left:
                return at + left
            left -= max(end - at, dt.timedelta())
        return at + left

    def minutes(self, start: dt.datetime, end: dt.datetime) -> int:
        """Return the minutes of work between two instants, a begun one as a whole."""
        if end <= start:
            return 0
        seconds = 0.0
        for begin, finish in self._spans(start):
            if begin >= end:
                break
            seconds += max(0.0, (min(finish, end) - max(begin, start)).total_seconds())
        return int(-(-seconds // 60))

    def _spans(self, start: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        zone = clock.zone(self.zone)
        day, rest = start.astimezone(zone).date(), 0
        while rest < _LONGEST_REST:
            hours = self.calendar.hours_of(day)
            rest = rest + 1 if hours is None else 0
            if hours is not None:
                begin, end = (dt.datetime.combine(day, one, tzinfo=zone).astimezone(dt.UTC) for one in hours)
                if end > start:
                    yield begin, end
            day += dt.timedelta(days=1)


def of_company(gate: Gate) -> WorkTime:
    """Read the company's working time, in one statement."""
    return of_values(read_values(gate.session), gate.plugins)


def of_values(values: Any, plugins: Any) -> WorkTime:
    """Return the working time that these settings say."""
    zone = values.get(TIME_ZONE) or plugins.settings[TIME_ZONE].default
    return WorkTime(WorkingCalendar.of_value(values.get(CALENDAR)), str(zone))
