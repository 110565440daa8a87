"""Settings of the company: typed values over the defaults that plugins declare, secrets sealed by the key file.

Views take `request.company`; jobs make `Company(session, plugins, secrets)`. A key that nobody declares is refused, so
that a misspelled one is found at once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

import holidays
import sqlalchemy as sa
from pyramid.config import Configurator
from pyramid.request import Request
from sqlalchemy.orm import Session

from crm_core.i18n import _
from crm_core.models import SettingValue
from crm_core.plugins import Plugins
from crm_core.security.policy import reading_session
from crm_core.security.secrets import Secrets, Unsealable
from crm_core.settings import Smtp
from crm_core.specs import Setting

NAME, LOGO, ACCENT = "company.name", "company.logo", "company.accent"
CURRENCY, TIME_ZONE, LOCALE = "company.currency", "company.time_zone", "company.locale"
ADDRESS, LEGAL_ENTITIES, CALENDAR = "company.address", "company.legal_entities", "company.calendar"
SIGN_UP, CLIENT_ACCESS, FIRST_RUN = "accounts.sign_up", "accounts.client_access", "company.first_run"
MAIL_HOST, MAIL_PORT, MAIL_SECURITY = "mail.host", "mail.port", "mail.security"
MAIL_USER, MAIL_PASSWORD, MAIL_SENDER = "mail.user", "mail.password", "mail.sender"

OPEN, APPROVAL, INVITATION, CLOSED = "open", "approval", "invitation", "closed"

#: Names that are not shown before sign-in come nowhere near this list.
CURRENCIES = ("RUB", "BYN", "KZT", "UZS", "AMD", "GEL", "KGS", "AZN", "TRY", "CNY", "AED", "EUR", "USD")

#: Settings that the ini may give a first value.
_IN_INI = {LOCALE: "crm.locale", CURRENCY: "crm.currency", TIME_ZONE: "crm.time_zone"}

SETTINGS: tuple[Setting, ...] = (
    Setting(key=NAME, title=_("Name of the company"), default="CRM"),
    Setting(key=LOGO, title=_("Logo"), kind="image", default="", help=_("PNG, JPEG or WebP; shown above the menu.")),
    Setting(
        key=ACCENT,
        title=_("Accent colour"),
        kind="choice",
        default="indigo",
        choices=(
            ("indigo", _("Indigo")),
            ("blue", _("Blue")),
            ("teal", _("Teal")),
            ("green", _("Green")),
            ("purple", _("Purple")),
            ("pink", _("Pink")),
            ("red", _("Red")),
            ("orange", _("Orange")),
            ("graphite", _("Graphite")),
        ),
    ),
    Setting(
        key=CURRENCY,
        title=_("Currency"),
        kind="choice",
        default="RUB",
        choices=tuple((code, code) for code in CURRENCIES),
        help=_("Amounts in other currencies are also kept in this one, at the rate of the day."),
    ),
    Setting(key=TIME_ZONE, title=_("Time zone"), kind="choice", default="Europe/Moscow"),
    Setting(
        key=LOCALE,
        title=_("Language"),
        kind="choice",
        default="ru",
        choices=(("ru", "Русский"), ("en", "English")),
        help=_("For letters and for people who have not chosen theirs."),
    ),
    Setting(
        key=ADDRESS,
        title=_("Address of this CRM"),
        default="",
        help=_("Links in letters begin with it: https://crm.example.com"),
    ),
    Setting(
        key=SIGN_UP,
        title=_("Who may sign up"),
        kind="choice",
        page="accounts",
        default=APPROVAL,
        choices=(
            (OPEN, _("Anybody")),
            (APPROVAL, _("Anybody; somebody here approves")),
            (INVITATION, _("Only by invitation")),
            (CLOSED, _("Nobody: accounts are made by invitations of administrators")),
        ),
        help=_("A new account has the role of an employee without a role."),
    ),
    Setting(
        key=CLIENT_ACCESS,
        title=_("Which clients managers see"),
        kind="choice",
        page="accounts",
        default="team",
        choices=(
            ("all", _("Everybody sees all clients")),
            ("team", _("Everybody sees the clients of his department")),
            ("own", _("Everybody sees his own clients")),
        ),
        help=_("Sets what the role of a manager may see of clients and deals."),
    ),
    Setting(key=LEGAL_ENTITIES, title=_("Own legal entities"), kind="json", default=(), page="legal"),
    Setting(key=CALENDAR, title=_("Working calendar"), kind="json", default=None, page="calendar"),
    Setting(key=FIRST_RUN, title=_("First steps"), kind="json", default=None, page="first-run"),
    Setting(key=MAIL_HOST, title=_("Mail server"), default="", page="mail"),
    Setting(key=MAIL_PORT, title=_("Port"), kind="number", default=465, page="mail", minimum=1, maximum=65535),
    Setting(
        key=MAIL_SECURITY,
        title=_("Encryption"),
        kind="choice",
        default="tls",
        page="mail",
        choices=(("tls", "SSL/TLS"), ("starttls", "STARTTLS"), ("none", _("None"))),
    ),
    Setting(key=MAIL_USER, title=_("Login"), default="", page="mail"),
    Setting(key=MAIL_PASSWORD, title=_("Password of the application"), kind="secret", default="", page="mail"),
    Setting(key=MAIL_SENDER, title=_("Letters come from"), kind="text", default="", page="mail"),
)


@dataclass(frozen=True)
class WorkingCalendar:
    """The days and hours in which the company works."""

    days: frozenset[int] = frozenset(range(5))
    """Of the week, Monday is 0."""
    start: dt.time = dt.time(9)
    end: dt.time = dt.time(18)
    country: str = "RU"
    """Whose public holidays are kept; empty: none."""
    off: frozenset[dt.date] = field(default_factory=frozenset)
    on: frozenset[dt.date] = field(default_factory=frozenset)
    hours: Mapping[int, tuple[dt.time, dt.time]] = field(default_factory=dict)
    """Of weekdays whose hours are others than `start` to `end`."""
    break_min: int = 60
    """Minutes of the day that are not worked: lunch."""
    short_eves: bool = True
    """Whether the day before a public holiday is an hour shorter."""

    def is_working_day(self, day: dt.date) -> bool:
        """Tell whether people work on the day."""
        if day in self.on or day in self.off:
            return day in self.on
        rest, moved = _production_calendar(self.country, day.year)
        return day in moved or (day.weekday() in self.days and day not in rest)

    def hours_of(self, day: dt.date) -> tuple[dt.time, dt.time] | None:
        """Return from when to when people work on the day; None on a day off."""
        if not self.is_working_day(day):
            return None
        start, end = self.hours.get(day.weekday(), (self.start, self.end))
        if self.is_eve(day):
            shorter = dt.datetime.combine(day, end) - dt.timedelta(hours=1)
            end = max(start, shorter.time()) if shorter.date() == day else start
        return start, end

    def minutes_of(self, day: dt.date) -> int:
        """Return how many minutes are worked on the day, without the break."""
        hours = self.hours_of(day)
        if hours is None:
            return 0
        start, end = hours
        whole = (end.hour - start.hour) * 60 + end.minute - start.minute
        return max(0, whole - self.break_min) if whole > 4 * 60 else max(0, whole)

    def is_eve(self, day: dt.date) -> bool:
        """Tell whether the day is worked and the next one is a public holiday."""
        after = day + dt.timedelta(days=1)
        return self.short_eves and after in _feasts(self.country, after.year) and self.is_working_day(day)

    def as_value(self) -> dict[str, Any]:
        """Return the calendar as it is stored."""
        return {
            "days": sorted(self.days),
            "start": self.start.strftime("%H:%M"),
            "end": self.end.strftime("%H:%M"),
            "country": self.country,
            "off": sorted(day.isoformat() for day in self.off),
            "on": sorted(day.isoformat() for day in self.on),
            "hours": {
                str(day): [start.strftime("%H:%M"), end.strftime("%H:%M")]
                for day, (start, end) in sorted(self.hours.items())
            },
            "break_min": self.break_min,
            "short_eves": self.short_eves,
        }

    @classmethod
    def of_value(cls, value: Mapping[str, Any] | None) -> WorkingCalendar:
        """Read a calendar as it was stored; nothing is the ordinary week."""
        if not value:
            return cls()
        return cls(
            days=frozenset(value["days"]),
            start=dt.time.fromisoformat(value["start"]),
            end=dt.time.fromisoformat(value["end"]),
            country=value["country"],
            off=frozenset(map(dt.date.fromisoformat, value["off"])),
            on=frozenset(map(dt.date.fromisoformat, value["on"])),
            hours={
                int(day): (dt.time.fromisoformat(start), dt.time.fromisoformat(end))
                for day, (start, end) in value.get("hours", {}).items()
            },
            break_min=int(value.get("break_min", 60)),
            short_eves=bool(value.get("short_eves", True)),
        )


@lru_cache(maxsize=64)
def _production_calendar(country: str, year: int) -> tuple[frozenset[dt.date], frozenset[dt.date]]:
    """Return the days off of a country's year, and those days of a weekend to which work was transferred."""
    if not country:
        return frozenset(), frozenset()
    found = holidays.country_holidays(country, years=year)
    days = frozenset(found)
    return days, frozenset(day for day in getattr(found, "weekend_workdays", ()) if day.year == year) - days


@lru_cache(maxsize=64)
def _feasts(country: str, year: int) -> frozenset[dt.date]:
    """Return the public holidays themselves, without the days off that were transferred to elsewhere in the year."""
    if not country:
        return frozenset()
    found = holidays.country_holidays(country, years=year, language="en_US", observed=False)
    return frozenset(day for day, name in found.items() if "observed" not in name and "substituted" not in name.lower())


class Company:
    """Reads and writes settings within one session."""

    def __init__(
        self,
        session: Session,
        plugins: Plugins,
        secrets: Secrets,
        *,
        base_url: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> None:
        self._session, self._plugins, self._secrets = session, plugins, secrets
        self._base_url = base_url
        self._values: Mapping[str, Any] | None = values

    def get(self, key: str) -> Any:
        """Return the value of a setting, or its default."""
        spec = self.spec(key)
        if spec.kind == "secret":
            return self._secret(key)
        value = self._known().get(key)
        return self._default(spec) if value is None else value

    def is_set(self, key: str) -> bool:
        """Tell whether a setting was ever given a value; how pages show that there is a password."""
        if self.spec(key).kind != "secret":
            return self._known().get(key) is not None
        return bool(self._secret(key))

    def set(self, key: str, value: Any) -> None:
        """Give a setting a value; None puts the default back."""
        spec = self.spec(key)
        row = self._session.scalars(sa.select(SettingValue).where(SettingValue.key == key)).one_or_none()
        if row is None:
            row = SettingValue(key=key, value=None)
            self._session.add(row)
        if spec.kind == "secret":
            row.secret = self._secrets.seal("setting:" + key, value) if value else None
            row.value = bool(value)
        else:
            row.value = value
        self._session.flush()
        self._values = None

    def spec(self, key: str) -> Setting:
        """Return what is declared of a setting; KeyError for an unknown one."""
        return self._plugins.settings[key]

    @property
    def name(self) -> str:
        """The company's name."""
        return str(self.get(NAME))

    @property
    def currency(self) -> str:
        """The company's currency."""
        return str(self.get(CURRENCY))

    @property
    def time_zone(self) -> str:
        """The company's time zone."""
        return str(self.get(TIME_ZONE))

    @property
    def locale(self) -> str:
        """The language of letters to those who have not chosen one."""
        return str(self.get(LOCALE))

    @property
    def calendar(self) -> WorkingCalendar:
        """The company's working calendar."""
        return WorkingCalendar.of_value(self.get(CALENDAR))

    @property
    def base_url(self) -> str:
        """What links in letters begin with: the ini's address, or the one set in the browser."""
        return (self._base_url or str(self.get(ADDRESS))).rstrip("/")

    def mail_account(self) -> Smtp | None:
        """Return the mail server that an administrator set in the browser; None when he set none."""
        host = self.get(MAIL_HOST)
        if not host:
            return None
        return Smtp(
            host=host,
            port=int(self.get(MAIL_PORT)),
            security=self.get(MAIL_SECURITY),
            user=self.get(MAIL_USER),
            password=self.get(MAIL_PASSWORD),
            sender=self.get(MAIL_SENDER),
        )

    def _default(self, spec: Setting) -> Any:
        # What the ini says counts until somebody chooses otherwise in the browser.
        ini = self._session.info.get("crm.settings", {})
        return ini.get(_IN_INI.get(spec.key, ""), "") or spec.default

    def _known(self) -> Mapping[str, Any]:
        if self._values is None:
            self._values = read_values(self._session)
        return self._values

    def _secret(self, key: str) -> str:
        sealed = self._session.scalar(sa.select(SettingValue.secret).where(SettingValue.key == key))
        try:
            return self._secrets.unseal("setting:" + key, sealed) if sealed else ""
        except Unsealable:
            # Another key file: the rest of the application works, and the page asks for the password anew.
            return ""


def read_values(session: Session) -> dict[str, Any]:
    """Return all settings that have a value, without secrets."""
    rows = session.execute(sa.select(SettingValue.key, SettingValue.value).where(SettingValue.secret.is_(None)))
    return {row.key: row.value for row in rows}


def zones() -> list[str]:
    """Return the time zones that may be chosen: places, no abbreviations."""
    return sorted(
        zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix", "right"))
    )


def _of_request(request: Request) -> Company:
    registry = request.registry
    version = request.subject.settings_version
    cached_version, values = registry.get("crm.company_values", (None, None))
    if version < 0 or version != cached_version:
        with reading_session(request) as session:
            values = read_values(session)
        if version >= 0:
            registry["crm.company_values"] = (version, values)
    base_url = registry.settings.get("crm.base_url", "")
    return Company(request.db, registry["crm.plugins"], registry["crm.secrets"], base_url=base_url, values=values)


def includeme(config: Configurator) -> None:
    """Give requests `company`."""
    config.add_request_method(_of_request, "company", reify=True)
