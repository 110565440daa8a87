"""Rules by which a task comes again: how they are chosen, written as RRULE, read, said in words and counted out.

All of it is wall time: a rule knows no zone, so that ten in the morning stays so whatever the clocks do.
The only module that knows dateutil.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dateutil import rrule as _rrule
from dateutil.relativedelta import relativedelta

from crm_core.forms import InvalidValues
from crm_tasks.i18n import _

DAILY, WEEKLY, MONTHLY, YEARLY = "DAILY", "WEEKLY", "MONTHLY", "YEARLY"
FREQUENCIES = (DAILY, WEEKLY, MONTHLY, YEARLY)

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

#: The last day of a month, the last such weekday of it.
LAST = -1

#: Occurrences that a person may ask for by number.
MOST_TIMES = 999

_CODES = {DAILY: _rrule.DAILY, WEEKLY: _rrule.WEEKLY, MONTHLY: _rrule.MONTHLY, YEARLY: _rrule.YEARLY}
#: How many steps of a rule may find nothing before it is taken for one that never comes: 29 February, at worst.
_PATIENCE = 200


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a task comes again, as a person chooses it."""

    freq: str
    interval: int = 1
    days: tuple[str, ...] = ()
    """Of the week."""
    month_day: int | None = None
    """Of a month, -1 is the last."""
    nth: int | None = None
    """With `nth_day`: the first, second … or last such weekday of a month."""
    nth_day: str = ""
    month: int | None = None
    """Of a year."""
    count: int | None = None
    until: dt.date | None = None
    """The last day on which it may come."""
    after_completion: bool = False
    """Counted from the day on which the last one was done."""

    def text(self) -> str:
        """Return the rule as the value of an RRULE; its end is in local time."""
        parts = [f"FREQ={self.freq}"]
        if self.interval != 1:
            parts.append(f"INTERVAL={self.interval}")
        if self.count is not None:
            parts.append(f"COUNT={self.count}")
        if self.until is not None:
            parts.append(f"UNTIL={self.until:%Y%m%d}T235959")
        if self.month is not None:
            parts.append(f"BYMONTH={self.month}")
        if self.nth is not None:
            parts.append(f"BYDAY={self.nth}{self.nth_day}")
        elif self.days:
            parts.append(f"BYDAY={','.join(self.days)}")
        if self.month_day is not None:
            parts.append(f"BYMONTHDAY={self.month_day}")
        return ";".join(parts)


def read(text: str, *, after_completion: bool = False) -> Rule:
    """Read what `Rule.text` wrote, or an RRULE of the same kind from elsewhere; ValueError for anything else."""
    found: dict[str, Any] = {}
    for part in text.removeprefix("RRULE:").split(";"):
        name, _sign, value = part.partition("=")
        if name == "FREQ" and value in FREQUENCIES:
            found["freq"] = value
        elif name == "INTERVAL":
            found["interval"] = int(value)
        elif name == "COUNT":
            found["count"] = int(value)
        elif name == "UNTIL":
            found["until"] = dt.date(int(value[:4]), int(value[4:6]), int(value[6:8]))
        elif name == "BYMONTH":
            found["month"] = int(value)
        elif name == "BYMONTHDAY":
            found["month_day"] = int(value)
        elif name == "BYDAY":
            _read_days(value, found)
        elif name not in ("WKST", ""):
            raise ValueError(f"{text!r} is not a rule that we know")
    if "freq" not in found:
        raise ValueError(f"{text!r} is not a rule that we know")
    return Rule(**found, after_completion=after_completion)


def _read_days(value: str, found: dict[str, Any]) -> None:
    days = value.split(",")
    if all(day in DAYS for day in days):
        found["days"] = tuple(sorted(days, key=DAYS.index))
    elif len(days) == 1 and days[0][-2:] in DAYS:
        found["nth"], found["nth_day"] = int(days[0][:-2]), days[0][-2:]
    else:
        raise ValueError(f"{value!r} are not days that we know")


def check(rule: Rule) -> Rule:
    """Return the rule as it is kept; `InvalidValues` tells what in it makes no sense."""
    errors: dict[str, Any] = {}
    if rule.freq not in FREQUENCIES:
        errors["freq"] = _("Choose how often it comes.")
    if not 1 <= rule.interval <= 365:
        errors["interval"] = _("Write a number from 1 to 365.")
    if rule.count is not None and not 1 <= rule.count <= MOST_TIMES:
        errors["count"] = _("Write a number from 1 to ${n}.", mapping={"n": MOST_TIMES})
    if rule.month_day is not None and not (rule.month_day == LAST or 1 <= rule.month_day <= 31):
        errors["month_day"] = _("Write a day of the month.")
    if errors:
        raise InvalidValues(errors)
    if rule.after_completion:
        return Rule(
            freq=rule.freq, interval=rule.interval, count=rule.count, until=rule.until, after_completion=True
        )
    return rule


def natural(rule: Rule, starts: dt.datetime) -> Rule:
    """Return the rule with what the first occurrence says where the person said nothing: its weekday, its day."""
    if rule.after_completion:
        return rule
    if rule.freq == WEEKLY and not rule.days:
        return replace(rule, days=(DAYS[starts.weekday()],))
    if rule.freq == MONTHLY and rule.month_day is None and rule.nth is None:
        return replace(rule, month_day=starts.day)
    if rule.freq == YEARLY and rule.month is None:
        return replace(rule, month=starts.month, month_day=starts.day)
    return rule


# -- counting out ------------------------------------------------------------------------------------------------------


def occurrences(rule: str, starts: dt.datetime, exdates: Iterable[str] = ()) -> Iterator[dt.datetime]:
    """Count out the local dates and times of a rule from its first, leaving out those in `exdates`."""
    left_out = set(exdates)
    # dateutil's own UNTIL and COUNT are those of the standard; without a zone nothing is moved.
    for found in _rrule.rrulestr(rule, dtstart=starts):
        if key(found) not in left_out:
            yield found


def between(
    rule: str, starts: dt.datetime, first: dt.datetime, last: dt.datetime, exdates: Iterable[str] = ()
) -> list[dt.datetime]:
    """Return the occurrences from one local moment to another, both included."""
    left_out = set(exdates)
    found = _rrule.rrulestr(rule, dtstart=starts).between(first, last, inc=True)
    return [one for one in found if key(one) not in left_out]


def first_at(rule: Rule, wished: dt.datetime) -> dt.datetime:
    """Return the first moment of the rule at or after the one a person wished for."""
    if rule.after_completion:
        return wished
    found = _rrule.rrulestr(replace(rule, count=None, until=None).text(), dtstart=wished, cache=False)
    for place, one in enumerate(found):
        if one >= wished:
            return one
        if place > _PATIENCE:
            break
    raise InvalidValues({"freq": _("This never comes.")})


def after_done(rule: Rule, wall: dt.time, day: dt.date) -> dt.datetime:
    """Return when the next one comes after one was done on a day."""
    steps = {
        DAILY: relativedelta(days=rule.interval),
        WEEKLY: relativedelta(weeks=rule.interval),
        MONTHLY: relativedelta(months=rule.interval),
        YEARLY: relativedelta(years=rule.interval),
    }
    return dt.datetime.combine(day + steps[rule.freq], wall)


def key(local: dt.datetime) -> str:
    """Return what an occurrence is known by in its series."""
    return local.strftime("%Y-%m-%dT%H:%M")


def from_key(text: str) -> dt.datetime:
    """Read a key."""
    return dt.datetime.strptime(text, "%Y-%m-%dT%H:%M")  # noqa: DTZ007  wall time has no zone


def instant(local: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Return the instant of a wall time in a zone; where clocks skip it, the same while later."""
    return local.replace(tzinfo=zone).astimezone(dt.UTC)


# -- in words ----------------------------------------------------------------------------------------------------------

_EVERY = {
    DAILY: _("every day"),
    WEEKLY: _("every week"),
    MONTHLY: _("every month"),
    YEARLY: _("every year"),
}

DAY_TITLES = {
    "MO": _("Monday"), "TU": _("Tuesday"), "WE": _("Wednesday"), "TH": _("Thursday"), "FR": _("Friday"),
    "SA": _("Saturday"), "SU": _("Sunday"),
}  # fmt: skip

SHORT_DAYS = {
    "MO": _("Mon"), "TU": _("Tue"), "WE": _("Wed"), "TH": _("Thu"), "FR": _("Fri"), "SA": _("Sat"), "SU": _("Sun"),
}  # fmt: skip

NTH_TITLES = {1: _("the first"), 2: _("the second"), 3: _("the third"), 4: _("the fourth"), LAST: _("the last")}

#: Whole phrases, for Russian has three genders of weekdays.
_NTH_DAY = {
    (1, "MO"): _("on the first Monday"), (1, "TU"): _("on the first Tuesday"), (1, "WE"): _("on the first Wednesday"),
    (1, "TH"): _("on the first Thursday"), (1, "FR"): _("on the first Friday"), (1, "SA"): _("on the first Saturday"),
    (1, "SU"): _("on the first Sunday"),
    (2, "MO"): _("on the second Monday"), (2, "TU"): _("on the second Tuesday"),
    (2, "WE"): _("on the second Wednesday"), (2, "TH"): _("on the second Thursday"),
    (2, "FR"): _("on the second Friday"), (2, "SA"): _("on the second Saturday"), (2, "SU"): _("on the second Sunday"),
    (3, "MO"): _("on the third Monday"), (3, "TU"): _("on the third Tuesday"), (3, "WE"): _("on the third Wednesday"),
    (3, "TH"): _("on the third Thursday"), (3, "FR"): _("on the third Friday"), (3, "SA"): _("on the third Saturday"),
    (3, "SU"): _("on the third Sunday"),
    (4, "MO"): _("on the fourth Monday"), (4, "TU"): _("on the fourth Tuesday"),
    (4, "WE"): _("on the fourth Wednesday"), (4, "TH"): _("on the fourth Thursday"),
    (4, "FR"): _("on the fourth Friday"), (4, "SA"): _("on the fourth Saturday"), (4, "SU"): _("on the fourth Sunday"),
    (LAST, "MO"): _("on the last Monday"), (LAST, "TU"): _("on the last Tuesday"),
    (LAST, "WE"): _("on the last Wednesday"), (LAST, "TH"): _("on the last Thursday"),
    (LAST, "FR"): _("on the last Friday"),
    (LAST, "SA"): _("on the last Saturday"), (LAST, "SU"): _("on the last Sunday"),
}  # fmt: skip

_ON_DAY = {
    "MO": _("on Mondays"), "TU": _("on Tuesdays"), "WE": _("on Wednesdays"), "TH": _("on Thursdays"),
    "FR": _("on Fridays"), "SA": _("on Saturdays"), "SU": _("on Sundays"),
}  # fmt: skip

_WORKING = DAYS[:5]


def words(
    rule: Rule,
    say: Callable[[Any], str],
    plural: Callable[..., str],
    date: Callable[[dt.date], str],
) -> str:
    """Say a rule in the reader's language: "every 2 weeks on Mon, Thu, 10 times".

    `say` translates a message id, `plural(singular, plural, n, domain=...)` counts, `date` writes a day.
    """
    parts = [_how_often(rule, say, plural)]
    if rule.after_completion:
        parts[0] = say(_("${often} after it is done", mapping={"often": parts[0]}))
    else:
        parts += _on_which(rule, say, date)
    text = " ".join(parts)
    if rule.count is not None:
        text += ", " + plural("${n} time", "${n} times", rule.count, domain="crm_tasks")
    if rule.until is not None:
        text += ", " + say(_("until ${day}", mapping={"day": date(rule.until)}))
    return text


def _how_often(rule: Rule, say: Callable[[Any], str], plural: Callable[..., str]) -> str:
    n = rule.interval
    if rule.after_completion:
        return {
            DAILY: lambda: plural("${n} day", "${n} days", n, domain="crm_tasks"),
            WEEKLY: lambda: plural("${n} week", "${n} weeks", n, domain="crm_tasks"),
            MONTHLY: lambda: plural("${n} month", "${n} months", n, domain="crm_tasks"),
            YEARLY: lambda: plural("${n} year", "${n} years", n, domain="crm_tasks"),
        }[rule.freq]()
    if n == 1:
        if rule.freq == WEEKLY and rule.days == _WORKING:
            return say(_("on weekdays"))
        return say(_EVERY[rule.freq])
    return {
        DAILY: lambda: plural("every ${n} day", "every ${n} days", n, domain="crm_tasks"),
        WEEKLY: lambda: plural("every ${n} week", "every ${n} weeks", n, domain="crm_tasks"),
        MONTHLY: lambda: plural("every ${n} month", "every ${n} months", n, domain="crm_tasks"),
        YEARLY: lambda: plural("every ${n} year", "every ${n} years", n, domain="crm_tasks"),
    }[rule.freq]()


def _on_which(rule: Rule, say: Callable[[Any], str], date: Callable[[dt.date], str]) -> list[str]:
    if rule.freq == WEEKLY and rule.days and not (rule.interval == 1 and rule.days == _WORKING):
        if len(rule.days) == 1:
            return [say(_ON_DAY[rule.days[0]])]
        return [say(_("on ${days}", mapping={"days": ", ".join(say(SHORT_DAYS[day]) for day in rule.days)}))]
    if rule.nth is not None:
        return [say(_NTH_DAY[(rule.nth, rule.nth_day)])]
    if rule.freq == MONTHLY and rule.month_day is not None:
        if rule.month_day == LAST:
            return [say(_("on the last day"))]
        return [say(_("on day ${day}", mapping={"day": rule.month_day}))]
    if rule.freq == YEARLY and rule.month is not None and rule.month_day is not None and rule.month_day > 0:
        # A leap year, so that 29 February has a day to be said by.
        return [date(dt.date(2000, rule.month, rule.month_day))]
    return []


def editor_days() -> Sequence[tuple[str, str]]:
    """Return the weekdays to choose from, Monday first."""
    return tuple(SHORT_DAYS.items())
