"""One line typed in a hurry: «завтра 15:00 позвонить Ивану», "fri 3pm call Ivan !" becomes kind, day, hour and title.

Pure: the words of both languages are understood whatever the page speaks. What is not a date stays in the title.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace

from crm_tasks.schemas import CALL, HIGH, LETTER, MEETING, NORMAL, TODO, URGENT


@dataclass(frozen=True)
class Phrase:
    """What a line says."""

    title: str
    kind: str = TODO
    day: dt.date | None = None
    time: dt.time | None = None
    priority: str = NORMAL


_WEEKDAYS = {
    0: r"понедельник(?:а|у)?|пн|monday|mon",
    1: r"вторник(?:а|у)?|вт|tuesday|tue",
    2: r"сред[аеуы]|ср|wednesday|wed",
    3: r"четверг(?:а|у)?|чт|thursday|thu",
    4: r"пятниц[аеуы]|пт|friday|fri",
    5: r"суббот[аеуы]|сб|saturday|sat",
    6: r"воскресень[еяю]|вс|sunday|sun",
}

_MONTHS = (
    r"январ[яь]|янв|january|jan", r"феврал[яь]|фев|february|feb", r"март[а]?|мар|march|mar",
    r"апрел[яь]|апр|april|apr", r"ма[яй]|may", r"июн[яь]|june|jun", r"июл[яь]|july|jul", r"август[а]?|авг|august|aug",
    r"сентябр[яь]|сен|september|sep", r"октябр[яь]|окт|october|oct", r"ноябр[яь]|ноя|november|nov",
    r"декабр[яь]|дек|december|dec",
)  # fmt: skip
_MONTH = "|".join(f"(?P<m{n}>{words})" for n, words in enumerate(_MONTHS, 1))

_UNITS = {
    "day": r"дн(?:я|ей)|день|days?",
    "week": r"недел[юиь]|недели|weeks?",
    "month": r"месяц(?:а|ев)?|months?",
    "hour": r"час(?:а|ов)?|hours?",
    "minute": r"минут[уы]?|мин|minutes?|min",
}
_UNIT = "|".join(f"(?P<{name}>{words})" for name, words in _UNITS.items())

#: A word ends where no letter or digit follows; `\b` alone would break "15:00" and "24.07".
_START, _END = r"(?<![\w.:])", r"(?![\w:])"

_KINDS = (
    (CALL, r"(?:по|пере)?звони(?:ть)?|набрать|звонок|созвон\w*|call|phone|ring"),
    (MEETING, r"встреч[аиу]|встретиться|встретить|совещание|переговоры|показ|визит|meeting|meet|visit"),
    (LETTER, r"письмо|написать|ответить|отправить|выслать|letter|e-?mail|mail|write|reply|send"),
)

_DAY_PARTS = (
    (r"утром|in the morning", dt.time(9)),
    (r"в обед|at noon|at lunch", dt.time(13)),
    (r"днём|днем|in the afternoon", dt.time(15)),
    (r"вечером|in the evening|tonight", dt.time(18)),
)


def read(line: str, now: dt.datetime) -> Phrase:
    """Read a line at a local moment; a day that is not told is left open, an hour alone means today or tomorrow."""
    said = Phrase(title=" ".join(line.split()))
    for step in (_priority, _relative, _date, _weekday, _time, _day_part):
        said = step(said, now)
    if said.time is not None and said.day is None:
        passed = said.time <= now.time()
        said = replace(said, day=now.date() + dt.timedelta(days=1 if passed else 0))
    said = replace(said, title=_tidy(said.title), kind=_kind(said.title))
    return said if said.title else replace(said, title=_tidy(" ".join(line.split())))


def _tidy(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip(" ,;–—-")
    return text[:1].upper() + text[1:]


def _kind(text: str) -> str:
    first = [(match.start(), kind) for kind, words in _KINDS if (match := _find(words, text))]
    return min(first)[1] if first else TODO


def _find(pattern: str, text: str) -> re.Match[str] | None:
    return re.search(f"{_START}(?:{pattern}){_END}", text, re.IGNORECASE)


def _without(said: Phrase, match: re.Match[str], **found: object) -> Phrase:
    rest = f"{said.title[: match.start()]} {said.title[match.end() :]}"
    return replace(said, title=" ".join(rest.split()), **found)  # type: ignore[arg-type]


def _priority(said: Phrase, _now: dt.datetime) -> Phrase:
    match = _find(r"срочно|urgent(?:ly)?|asap", said.title)
    if match:
        return _without(said, match, priority=URGENT)
    marks = re.search(r"(?:^|\s)(!{1,3})(?:\s|$)|(!{2,3})$", said.title)
    if marks:
        return _without(said, marks, priority=URGENT if "!!" in marks.group(0) else HIGH)
    return said


def _relative(said: Phrase, now: dt.datetime) -> Phrase:
    today = now.date()
    for words, days in (
        (r"послезавтра|(?:the )?day after tomorrow", 2),
        (r"завтра|tomorrow", 1),
        (r"сегодня|today", 0),
    ):
        if match := _find(words, said.title):
            return _without(said, match, day=today + dt.timedelta(days=days))
    if match := _find(r"(?:на )?следующ(?:ей|ую) недел[еюи]|next week", said.title):
        return _without(said, match, day=today + dt.timedelta(days=7 - today.weekday()))
    match = _find(rf"(?:через|in)\s+(?:(?P<n>\d{{1,3}}|a|an)\s+)?(?P<half>пол)?(?:{_UNIT})", said.title)
    if match is None:
        return said
    n = int(match["n"]) if match["n"] and match["n"].isdecimal() else 1
    if match["hour"] or match["minute"]:
        minutes = n * (60 if match["hour"] else 1) // (2 if match["half"] else 1)
        at = now + dt.timedelta(minutes=minutes)
        return _without(said, match, day=at.date(), time=at.time().replace(second=0, microsecond=0))
    if match["month"]:
        return _without(said, match, day=_months_on(today, n))
    return _without(said, match, day=today + dt.timedelta(days=n * (7 if match["week"] else 1)))


def _months_on(day: dt.date, n: int) -> dt.date:
    index = day.year * 12 + day.month - 1 + n
    year, month = index // 12, index % 12 + 1
    for last in (day.day, 30, 29, 28):
        try:
            return dt.date(year, month, last)
        except ValueError:
            continue
    return dt.date(year, month, 28)


def _date(said: Phrase, now: dt.datetime) -> Phrase:
    if said.day is not None:
        return said
    today = now.date()
    iso = _find(r"(?P<y>20\d\d)-(?P<m>\d\d)-(?P<d>\d\d)", said.title)
    if iso and (day := _day(int(iso["y"]), int(iso["m"]), int(iso["d"]))):
        return _without(said, iso, day=day)
    dotted = _find(r"(?:до |к |by |on )?(?P<d>\d{1,2})\.(?P<m>\d{1,2})(?:\.(?P<y>\d{4}|\d{2}))?", said.title)
    if dotted and (day := _nearest(dotted["y"], int(dotted["m"]), int(dotted["d"]), today)):
        return _without(said, dotted, day=day)
    for pattern in (
        rf"(?:до |к |by |on )?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:{_MONTH})(?:\s+(?P<y>20\d\d))?",
        rf"(?:by |on )?(?:{_MONTH})\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<y>20\d\d))?",
    ):
        match = _find(pattern, said.title)
        if match and (day := _nearest(match["y"], _month_of(match), int(match["d"]), today)):
            return _without(said, match, day=day)
    return said


def _month_of(match: re.Match[str]) -> int:
    return next(n for n in range(1, 13) if match[f"m{n}"])


def _day(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


def _nearest(year: str | None, month: int, day: int, today: dt.date) -> dt.date | None:
    if year:
        found = _day(int(year) + (2000 if len(year) == 2 else 0), month, day)
        # A whole date that went by is no due: it belongs to what is to be done, the bill of 12.11.2025.
        return found if found is None or found >= today else None
    found = _day(today.year, month, day)
    # A day that went by lately is a slip of the pen less often than next year's.
    return _day(today.year + 1, month, day) if found is not None and found < today else found


def _weekday(said: Phrase, now: dt.datetime) -> Phrase:
    if said.day is not None:
        return said
    for number, words in _WEEKDAYS.items():
        match = _find(rf"(?:(?:во?|до|к|on|by|next|this)\s+)?(?:(?P<next>следующ\w+|next)\s+)?(?:{words})", said.title)
        if match is None:
            continue
        ahead = (number - now.weekday() - 1) % 7 + 1
        return _without(said, match, day=now.date() + dt.timedelta(days=ahead))
    return said


def _time(said: Phrase, _now: dt.datetime) -> Phrase:
    if said.time is not None:
        return said
    for pattern in (
        r"(?:(?:в|к|до|at|by)\s+)?(?P<h>\d{1,2})[:.](?P<min>\d{2})(?!\.\d)\s*(?P<half>am|pm)?",
        r"(?:(?:в|к|до|at|by)\s+)?(?P<h>\d{1,2})()\s*(?P<half>am|pm)",
        r"(?:в|к|at)\s+(?P<h>\d{1,2})(?:\s*(?:час(?:а|ов)?|ч))?()(?P<half>\s+(?:утра|дня|вечера))?",
    ):
        match = _find(pattern, said.title)
        if match is None:
            continue
        hour, minute = int(match["h"]), int(match.groupdict().get("min") or 0)
        half = (match["half"] or "").strip().lower()
        if half in ("pm", "дня", "вечера") and hour < 12:
            hour += 12
        elif half == "am" and hour == 12:
            hour = 0
        if hour < 24 and minute < 60:
            return _without(said, match, time=dt.time(hour, minute))
    return said


def _day_part(said: Phrase, _now: dt.datetime) -> Phrase:
    if said.time is not None:
        return said
    for words, time in _DAY_PARTS:
        if match := _find(words, said.title):
            return _without(said, match, time=time)
    return said
