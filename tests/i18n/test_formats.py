"""How numbers, money, dates and sizes look to a reader."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from crm_core import catalogues, clock
from crm_core.i18n import Formats

NOW = datetime(2026, 11, 23, 20, 19, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "russian", "english"),
    [(15400, "15 400 ₽", "₽15,400"), ("1200.5", "1 200,50 ₽", "₽1,200.50"), (None, "", ""), (-3, "-3 ₽", "-₽3")],
)
def test_money_has_no_empty_hundredths(amount, russian: str, english: str) -> None:
    assert Formats("ru").money(amount).replace("\xa0", " ") == russian
    assert Formats("en").money(amount) == english


def test_numbers_follow_the_language() -> None:
    assert Formats("ru").number(1234567.89) == "1\xa0234\xa0567,89"
    assert Formats("en").number(1234567.89, 0) == "1,234,568"
    assert Formats("ru").percent(0.456, 1) == "45,6\xa0%"
    assert Formats("ru").filesize(1_400_000) == "1,4 МБ"


def test_a_date_shows_its_year_only_when_it_is_another() -> None:
    with clock.frozen(NOW):
        assert Formats("ru").date(date(2026, 11, 23)) == "23 ноября"
        assert Formats("ru").date(date(2025, 11, 23)) == "23 ноября 2025"
        assert Formats("ru", "Europe/Samara").date(NOW) == "24 ноября"
        assert Formats("ru", "Europe/Samara").datetime(NOW) == "24 ноября 2026, 00:19"


def test_a_moment_is_told_from_now() -> None:
    with clock.frozen(NOW) as hands:
        formats = Formats("ru")
        assert formats.relative(NOW) == "только что"
        assert formats.relative(NOW - timedelta(minutes=5)) == "5 минут назад"
        assert formats.relative(NOW - timedelta(days=1)) == "вчера"
        assert formats.relative(NOW.date() + timedelta(days=3)) == "через 3 дня"
        assert formats.relative(NOW + timedelta(days=30)) == "23 декабря"
        hands.tick(minutes=3)
        assert formats.relative(NOW) == "3 минуты назад"


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"), clock.frozen(datetime(2026, 1, 1)):
        pass


@pytest.fixture(autouse=True, scope="module")
def compiled() -> None:
    catalogues.compile_all(["crm_core"])
