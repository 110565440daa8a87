"""Languages: message ids, the locale of a request, plural forms, and numbers and dates as people write them.

Code imports ``_`` (domain ``crm_core``) from here; a plugin makes its own with
``TranslationStringFactory("crm_<name>")``. Message ids are English.
The catalogues are kept by :mod:`crm_core.catalogues` (``python -m crm_core.i18n``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from babel import Locale
from babel import dates as babel_dates
from babel import numbers as babel_numbers
from pyramid.i18n import Localizer, TranslationString, TranslationStringFactory, make_localizer
from pyramid.interfaces import ILocalizer, ITranslationDirectories

from crm_core import clock

if TYPE_CHECKING:
    from pyramid.config import Configurator
    from pyramid.registry import Registry
    from pyramid.request import Request

__all__ = [
    "LOCALES",
    "Formats",
    "Localizer",
    "TranslationString",
    "TranslationStringFactory",
    "_",
    "add_catalogue",
    "localizer_for",
    "plural",
    "translate",
]

LOCALES = ("ru", "en")
"""The languages that every package speaks completely."""

LOCALE_COOKIE = "crm_locale"
"""Keeps the language chosen before sign-in."""

_ = TranslationStringFactory("crm_core")


class HasLocalizer(Protocol):
    """A request, or whatever else carries a localizer."""

    localizer: Localizer


def translate(speaker: Localizer | HasLocalizer, text: Any, mapping: Mapping[str, object] | None = None) -> str:
    """Return a text in the language of a localizer or request; a plain string comes back as it is."""
    localizer = _localizer(speaker)
    if text is None:
        return ""
    return str(localizer.translate(text, mapping=dict(mapping) if mapping else None))


def plural(
    speaker: Localizer | HasLocalizer,
    singular: str,
    plural: str,
    n: int,
    domain: str = "crm_core",
    mapping: Mapping[str, object] | None = None,
) -> str:
    """Return the form of a text that fits the number, with ``${n}`` written the way the language writes numbers."""
    localizer = _localizer(speaker)
    values = {"n": Formats(localizer.locale_name).number(n), **(mapping or {})}
    return str(localizer.pluralize(singular, plural, n, domain=domain, mapping=values))


def localizer_for(locale: str, registry: Registry | None = None, packages: Iterable[str] = ()) -> Localizer:
    """Return a localizer without a request: of the application's catalogues or of packages'."""
    if registry is None:
        return _packages_localizer(locale, ("crm_core", *sorted(set(packages) - {"crm_core"})))
    localizer = registry.queryUtility(ILocalizer, name=locale)
    if localizer is None:
        localizer = make_localizer(locale, registry.queryUtility(ITranslationDirectories, default=[]))
        registry.registerUtility(localizer, ILocalizer, name=locale)
    return localizer


def _localizer(speaker: Localizer | HasLocalizer) -> Localizer:
    return speaker if isinstance(speaker, Localizer) else speaker.localizer


@lru_cache(maxsize=32)
def _packages_localizer(locale: str, packages: tuple[str, ...]) -> Localizer:
    from crm_core import catalogues

    folders = [catalogues.package_folder(package) / "locale" for package in packages]
    for folder in folders:
        if folder.is_dir():
            catalogues.compile_stale(folder)
    return make_localizer(locale, [str(folder) for folder in folders if folder.is_dir()])


class Formats:
    """Writes numbers, money, dates and sizes the way a language writes them, in one time zone."""

    def __init__(self, locale: str = "ru", tz: str = "UTC", localizer: Localizer | None = None) -> None:
        self.locale = locale
        self.tz = clock.zone(tz)
        self._babel = _babel_locale(locale)
        self._localizer = localizer

    def number(self, value: int | float | Decimal | None, digits: int | None = None) -> str:
        """Write a number with groups: ``1 234 567,89``; at most ``digits`` after the separator (three by default)."""
        if value is None:
            return ""
        pattern = "#,##0.###" if digits is None else "#,##0" + ("." + "#" * digits if digits else "")
        return babel_numbers.format_decimal(value, pattern, locale=self._babel)

    def money(self, amount: int | float | Decimal | None, currency: str = "RUB") -> str:
        """Write money without empty hundredths: ``15 400 ₽``, ``1 200,50 ₽``."""
        if amount is None:
            return ""
        exact = Decimal(str(amount)).quantize(Decimal("0.01"))
        pattern = self._babel.currency_formats["standard"].pattern
        if exact == exact.to_integral_value():
            pattern = pattern.replace(".00", "")
        text = babel_numbers.format_currency(
            exact, currency, pattern, locale=self._babel, currency_digits=False, group_separator=True
        )
        return text.replace("RUB\xa0", "₽").replace("RUB", "₽")

    def percent(self, value: float | Decimal | None, digits: int = 0) -> str:
        """Write a share as a percentage: 0.45 is ``45 %`` in Russian and ``45%`` in English."""
        if value is None:
            return ""
        fraction = "." + "#" * digits if digits else ""
        pattern = self._babel.percent_formats[None].pattern.replace("##0", "##0" + fraction)
        return babel_numbers.format_percent(value, pattern, locale=self._babel)

    def filesize(self, size: int | None) -> str:
        """Write a number of bytes in the unit that fits: ``1,4 МБ``."""
        if size is None:
            return ""
        if size < 1000:
            return self._say(_("${n} B", mapping={"n": self.number(size)}))
        units = (_("${n} KB"), _("${n} MB"), _("${n} GB"), _("${n} TB"))
        amount, index = size / 1000, 0
        while amount >= 999.5 and index < len(units) - 1:
            amount, index = amount / 1000, index + 1
        return self._say(TranslationString(units[index], mapping={"n": self.number(amount, 1 if amount < 10 else 0)}))

    def date(self, value: dt.date | dt.datetime | None, short: bool = False) -> str:
        """Write a date: ``23 ноября``, with the year when it is not this one; ``short`` shortens the month."""
        if value is None:
            return ""
        day = self._day(value)
        pattern = "d MMM" if short else "d MMMM"
        if day.year != clock.today(self.tz).year:
            pattern += " y"
        return _date_text(day, pattern, self.locale)

    def month(self, value: dt.date, *, year: bool = True) -> str:
        """Write a month by itself: ``Ноябрь 2026``, or ``Нояб.`` for the head of a column."""
        text = _date_text(value, "LLLL y" if year else "LLL", self.locale)
        return text[:1].upper() + text[1:]

    def time(self, value: dt.datetime | None) -> str:
        """Write the time of day in the reader's zone: ``15:04``."""
        return "" if value is None else f"{value.astimezone(self.tz):%H:%M}"

    def datetime(self, value: dt.datetime | None) -> str:
        """Write the exact moment in the reader's zone: ``23 ноября 2026, 15:04``."""
        if value is None:
            return ""
        return f"{_date_text(self._day(value), 'd MMMM y', self.locale)}, {self.time(value)}"

    def relative(self, value: dt.date | dt.datetime | None) -> str:
        """Write how far a moment is from now: ``5 минут назад``, ``вчера``, ``через 3 дня``; a week away, the date."""
        if value is None:
            return ""
        days = (self._day(value) - clock.today(self.tz)).days
        if isinstance(value, dt.datetime):
            seconds = (value - clock.now()).total_seconds()
            if abs(seconds) < 45:
                return self._say(_("just now"))
            if abs(seconds) < 3600 or (days == 0 and abs(seconds) < 86400):
                return self._delta(dt.timedelta(seconds=seconds))
        if days == 0:
            return self._say(_("today"))
        if days == -1:
            return self._say(_("yesterday"))
        if days == 1:
            return self._say(_("tomorrow"))
        return self._delta(dt.timedelta(days=days)) if abs(days) < 7 else self.date(value)

    def _delta(self, delta: dt.timedelta) -> str:
        # The threshold keeps «59 минут» from becoming «1 час».
        return babel_dates.format_timedelta(delta, add_direction=True, threshold=1.0, locale=self._babel)

    def _day(self, value: dt.date | dt.datetime) -> dt.date:
        return value.astimezone(self.tz).date() if isinstance(value, dt.datetime) else value

    def _say(self, text: TranslationString) -> str:
        return translate(self._localizer or localizer_for(self.locale), text)


@lru_cache(maxsize=4096)
def _date_text(day: dt.date, pattern: str, locale: str) -> str:
    # A page of a list says some hundred dates, and the same ones to everybody.
    return babel_dates.format_date(day, pattern, locale=_babel_locale(locale))


@lru_cache(maxsize=8)
def _babel_locale(locale: str) -> Locale:
    return Locale.parse(locale)


def add_catalogue(config: Configurator, package: str) -> None:
    """Add the catalogues of a package to the application, compiled anew where the text is newer."""
    from crm_core import catalogues

    folder = catalogues.package_folder(package) / "locale"
    if folder.is_dir():
        catalogues.compile_stale(folder)
        config.add_translation_dirs(str(folder))


def negotiate_locale(request: Request) -> str:
    """Choose the language of a request: the person's, the cookie's, the browser's, the company's."""
    # An error page sets the attribute first, so that a broken database is not asked who the person is.
    wanted = getattr(request, "_LOCALE_", None) or _of_person(request, "locale") or request.cookies.get(LOCALE_COOKIE)
    if wanted in LOCALES:
        return str(wanted)
    company = getattr(request, "company", None)
    default = company.locale if company else request.registry.settings.get("crm.locale", "ru")
    # Without an explicit order of preference the header says nothing, and `lookup` would answer with any of ours.
    if request.accept_language:
        return request.accept_language.lookup(LOCALES, default=default)
    return default


def _request_formats(request: Request) -> Formats:
    company = getattr(request, "company", None)
    default = company.time_zone if company else request.registry.settings.get("crm.time_zone", "Europe/Moscow")
    tz = _of_person(request, "time_zone") or default
    return Formats(request.locale, tz, request.localizer)


def _of_person(request: Request, name: str) -> str | None:
    person = getattr(request, "identity", None)
    return getattr(person, name, None) or getattr(getattr(person, "user", None), name, None)


def includeme(config: Configurator) -> None:
    """Give requests ``locale``, ``formats``, ``translate`` and ``plural``, and load the core's catalogues."""
    config.set_locale_negotiator(negotiate_locale)
    add_catalogue(config, "colander")
    add_catalogue(config, "crm_core")
    config.add_directive("add_catalogue", add_catalogue)
    config.add_request_method(lambda request: request.locale_name, "locale", reify=True)
    config.add_request_method(_request_formats, "formats", reify=True)
    config.add_request_method(translate, "translate")
    config.add_request_method(plural, "plural")


if __name__ == "__main__":
    from crm_core.catalogues import main

    raise SystemExit(main())
