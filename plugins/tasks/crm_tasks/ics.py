"""Writes and reads iCalendar: feeds, invitations, answers to them. The one module that knows `icalendar`.

What goes in and comes out is plain data, so that neither services nor tests need the library's own objects.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import icalendar

PRODUCT = "-//CRM//Tasks//EN"

REQUEST, CANCEL, REPLY, PUBLISH = "REQUEST", "CANCEL", "REPLY", "PUBLISH"

CONFIRMED, TENTATIVE, CANCELLED = "CONFIRMED", "TENTATIVE", "CANCELLED"

#: Longer than any answer to an invitation.
MOST_BYTES = 256 * 1024

_ANSWERS = {"ACCEPTED": "accepted", "TENTATIVE": "tentative", "DECLINED": "declined", "NEEDS-ACTION": "needs-action"}
_UTC = ("", "UTC", "Etc/UTC")


class Unreadable(ValueError):
    """Tells that some bytes are not what they were taken for."""


@dataclass(frozen=True, kw_only=True)
class Party:
    """Somebody who takes part."""

    email: str
    name: str = ""
    answer: str = "needs-action"


@dataclass(frozen=True, kw_only=True)
class Happening:
    """One thing in a calendar. Dates without a time are whole days, `end` is the last of them, included."""

    uid: str
    title: str
    start: dt.datetime | dt.date
    end: dt.datetime | dt.date
    zone: str = "UTC"
    """In which its wall time is meant: programs keep to it when clocks change."""
    stamp: dt.datetime
    sequence: int = 0
    place: str = ""
    text: str = ""
    href: str = ""
    status: str = CONFIRMED
    busy: bool = True
    private: bool = False
    categories: tuple[str, ...] = ()
    organizer: Party | None = None
    guests: tuple[Party, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a guest's program for calendars answered to an invitation."""

    uid: str
    sequence: int
    email: str
    answer: str
    comment: str = ""


def feed(name: str, happenings: Iterable[Happening]) -> bytes:
    """Return a calendar to subscribe to; the same happenings are the same bytes."""
    calendar = _calendar(PUBLISH)
    calendar.add("X-WR-CALNAME", name)
    calendar.add("NAME", name)
    calendar.add("REFRESH-INTERVAL", dt.timedelta(minutes=30), parameters={"VALUE": "DURATION"})
    calendar.add("X-PUBLISHED-TTL", "PT30M")
    return _written(calendar, happenings)


def request(happening: Happening) -> str:
    """Return an invitation, or the news of an invitation sent before."""
    return _written(_calendar(REQUEST), [happening]).decode()


def cancel(happening: Happening) -> str:
    """Return the word that a meeting will not be."""
    return _written(_calendar(CANCEL), [happening]).decode()


def reply(happening: Happening, guest: Party, comment: str = "") -> str:
    """Return what a guest's program answers; how tests speak as one."""
    calendar = _calendar(REPLY)
    event = _event(happening)
    event.pop("ATTENDEE", None)
    event.add("ATTENDEE", _address(guest, asked=False), encode=False)
    if comment:
        event.add("COMMENT", comment)
    calendar.add_component(event)
    return str(calendar.to_ical().decode())


def read_reply(data: bytes) -> Answer:
    """Read the answer of a guest; `Unreadable` for anything else."""
    if len(data) > MOST_BYTES:
        raise Unreadable("this is too long for an answer")
    try:
        calendar = icalendar.Calendar.from_ical(data)
    except (ValueError, KeyError, IndexError) as error:
        raise Unreadable("this is no iCalendar") from error
    if str(calendar.get("METHOD", "")).upper() != REPLY:
        raise Unreadable("this is no answer to an invitation")
    events = calendar.walk("VEVENT")
    if len(events) != 1:
        raise Unreadable("an answer is about one meeting")
    event = events[0]
    attendees = event.get("ATTENDEE")
    attendees = attendees if isinstance(attendees, list) else [attendees] if attendees is not None else []
    if len(attendees) != 1:
        raise Unreadable("an answer is of one guest")
    answer = _ANSWERS.get(str(attendees[0].params.get("PARTSTAT", "")).upper())
    uid, email = str(event.get("UID", "")), _bare(str(attendees[0]))
    if answer is None or not uid or not email:
        raise Unreadable("the answer does not say who answers what")
    try:
        sequence = int(event.get("SEQUENCE", 0))
    except (TypeError, ValueError):
        raise Unreadable("the sequence of the answer is no number") from None
    return Answer(uid=uid, sequence=sequence, email=email, answer=answer, comment=str(event.get("COMMENT", ""))[:500])


def _bare(address: str) -> str:
    return address[7:].strip() if address.lower().startswith("mailto:") else address.strip()


# -- writing -----------------------------------------------------------------------------------------------------------


def _calendar(method: str) -> icalendar.Calendar:
    calendar = icalendar.Calendar()
    calendar.add("PRODID", PRODUCT)
    calendar.add("VERSION", "2.0")
    calendar.add("CALSCALE", "GREGORIAN")
    calendar.add("METHOD", method)
    return calendar


def _written(calendar: icalendar.Calendar, happenings: Iterable[Happening]) -> bytes:
    zones: dict[str, list[int]] = {}
    events = []
    for one in happenings:
        events.append(_event(one))
        if isinstance(one.start, dt.datetime) and _known(one.zone) not in _UTC:
            zones.setdefault(_known(one.zone), []).append(one.start.year)
    for zone, years in sorted(zones.items()):
        calendar.add_component(_timezone(zone, min(years), max(years)))
    for event in events:
        calendar.add_component(event)
    return bytes(calendar.to_ical())


@lru_cache(maxsize=128)
def _timezone(name: str, first: int, last: int) -> icalendar.Timezone:
    """Return how the clocks of a zone went and will go in some years.

    Not the library's own way: it says the hour at which summer time begins by the clock after the change, where the
    standard wants the one before it.
    """
    zone = ZoneInfo(name)
    made = icalendar.Timezone()
    made.add("TZID", name)
    start = dt.datetime(first - 1, 1, 1, tzinfo=dt.UTC)
    onsets: dict[tuple[dt.timedelta, dt.timedelta, str, bool], list[dt.datetime]] = {}
    before = _offset(start, zone)
    _note(onsets, before, before, zone, start)
    for day in range((dt.datetime(last + 2, 1, 1, tzinfo=dt.UTC) - start).days):
        low, high = start + dt.timedelta(days=day), start + dt.timedelta(days=day + 1)
        after = _offset(high, zone)
        if after == _offset(low, zone):
            continue
        while high - low > dt.timedelta(seconds=1):
            middle = low + (high - low) // 2
            low, high = (middle, high) if _offset(middle, zone) == before else (low, middle)
        _note(onsets, before, after, zone, high.replace(microsecond=0))
        before = after
    for (was, now, short, summer), instants in onsets.items():
        part = icalendar.TimezoneDaylight() if summer else icalendar.TimezoneStandard()
        walls = [(instant + was).replace(tzinfo=None) for instant in instants]
        part.add("DTSTART", walls[0])
        if walls[1:]:
            part.add("RDATE", walls[1:])
        part.add("TZNAME", short)
        part.add("TZOFFSETFROM", was)
        part.add("TZOFFSETTO", now)
        made.add_component(part)
    return made


def _offset(instant: dt.datetime, zone: ZoneInfo) -> dt.timedelta:
    return instant.astimezone(zone).utcoffset() or dt.timedelta()


def _note(
    onsets: dict[tuple[dt.timedelta, dt.timedelta, str, bool], list[dt.datetime]],
    was: dt.timedelta,
    now: dt.timedelta,
    zone: ZoneInfo,
    instant: dt.datetime,
) -> None:
    local = instant.astimezone(zone)
    onsets.setdefault((was, now, local.tzname() or "", bool(local.dst())), []).append(instant)


@lru_cache(maxsize=512)
def _known(zone: str) -> str:
    try:
        return ZoneInfo(zone).key if zone else "UTC"
    except (ZoneInfoNotFoundError, ValueError):
        return "UTC"


def _event(one: Happening) -> icalendar.Event:
    event = icalendar.Event()
    event.add("UID", one.uid)
    event.add("DTSTAMP", one.stamp.astimezone(dt.UTC).replace(microsecond=0))
    event.add("SUMMARY", one.title)
    if isinstance(one.start, dt.datetime) and isinstance(one.end, dt.datetime):
        zone = ZoneInfo(_known(one.zone)) if _known(one.zone) not in _UTC else dt.UTC
        event.add("DTSTART", one.start.astimezone(zone))
        event.add("DTEND", one.end.astimezone(zone))
    else:
        event.add("DTSTART", one.start)
        # A calendar's whole days end before the day that is named.
        event.add("DTEND", one.end + dt.timedelta(days=1))
    event.add("SEQUENCE", one.sequence)
    event.add("STATUS", one.status)
    event.add("TRANSP", "OPAQUE" if one.busy else "TRANSPARENT")
    for name, value in (("LOCATION", one.place), ("DESCRIPTION", one.text), ("URL", one.href)):
        if value:
            event.add(name, value)
    if one.private:
        event.add("CLASS", "PRIVATE")
    if one.categories:
        event.add("CATEGORIES", list(one.categories))
    if one.organizer is not None:
        organizer = icalendar.vCalAddress(f"mailto:{one.organizer.email}")
        if one.organizer.name:
            organizer.params["CN"] = icalendar.vText(one.organizer.name)
        event["ORGANIZER"] = organizer
    for guest in one.guests:
        event.add("ATTENDEE", _address(guest, asked=True), encode=False)
    return event


def _address(guest: Party, *, asked: bool) -> icalendar.vCalAddress:
    address = icalendar.vCalAddress(f"mailto:{guest.email}")
    if guest.name:
        address.params["CN"] = icalendar.vText(guest.name)
    address.params["CUTYPE"] = icalendar.vText("INDIVIDUAL")
    address.params["ROLE"] = icalendar.vText("REQ-PARTICIPANT")
    address.params["PARTSTAT"] = icalendar.vText(guest.answer.upper())
    if asked:
        address.params["RSVP"] = icalendar.vText("TRUE")
    return address


__all__ = [
    "CANCEL",
    "CANCELLED",
    "CONFIRMED",
    "PUBLISH",
    "REPLY",
    "REQUEST",
    "TENTATIVE",
    "Answer",
    "Happening",
    "Party",
    "Unreadable",
    "cancel",
    "feed",
    "read_reply",
    "reply",
    "request",
]
