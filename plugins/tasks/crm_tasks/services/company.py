"""What the services ask of the company: its settings and its working calendar, without a request."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from crm_core.company import CALENDAR, TIME_ZONE, WorkingCalendar, read_values
from crm_core.records.gate import Gate

REMIND_MINUTES, MORNING = "tasks.remind_minutes", "tasks.morning"
ESCALATE_DAYS, HORIZON_DAYS, CALL_BACK_MINUTES = "tasks.escalate_days", "tasks.horizon_days", "tasks.call_back_minutes"

#: Days without work in a row, before somebody must have emptied the calendar.
_LONGEST_REST = 60


@dataclass(frozen=True)
class Ways:
    """How this company works with tasks."""

    calendar: WorkingCalendar
    zone: str
    remind_minutes: int
    morning: dt.time
    escalate_days: int
    horizon_days: int
    call_back_minutes: int


def ways_of(gate: Gate) -> Ways:
    """Read the company's settings of tasks and its calendar, in one statement."""
    values = read_values(gate.session)

    def get(key: str) -> Any:
        found = values.get(key)
        return gate.plugins.settings[key].default if found is None else found

    return Ways(
        calendar=WorkingCalendar.of_value(values.get(CALENDAR)),
        zone=str(get(TIME_ZONE)),
        remind_minutes=int(get(REMIND_MINUTES)),
        morning=_time(str(get(MORNING))),
        escalate_days=int(get(ESCALATE_DAYS)),
        horizon_days=int(get(HORIZON_DAYS)),
        call_back_minutes=int(get(CALL_BACK_MINUTES)),
    )


def _time(text: str) -> dt.time:
    try:
        return dt.time.fromisoformat(text)
    except ValueError:
        return dt.time(9)


def working_day_after(calendar: WorkingCalendar, day: dt.date, days: int = 1) -> dt.date:
    """Return the working day so many working days after a day; 0: the day itself, or the next one with work."""
    left = days
    if days == 0:
        left, day = 1, day - dt.timedelta(days=1)
    rest = 0
    while left > 0:
        day += dt.timedelta(days=1)
        if calendar.is_working_day(day):
            left, rest = left - 1, 0
        else:
            rest += 1
            if rest > _LONGEST_REST:
                return day
    return day
