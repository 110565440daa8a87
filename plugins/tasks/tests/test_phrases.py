"""Lines typed in a hurry."""

from __future__ import annotations

import datetime as dt

import pytest

from crm_tasks.services.phrases import Phrase, read

NOW = dt.datetime(2026, 11, 23, 12, 0)  # a Monday


def day(month: int, number: int, year: int = 2026) -> dt.date:
    return dt.date(year, month, number)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("завтра 15:00 позвонить Ивану", Phrase("Позвонить Ивану", "call", day(11, 24), dt.time(15))),
        ("в пятницу в 10 встреча с Ромашкой", Phrase("Встреча с Ромашкой", "meeting", day(11, 27), dt.time(10))),
        ("через 2 дня отправить КП", Phrase("Отправить КП", "letter", day(11, 25))),
        ("позвонить через полчаса", Phrase("Позвонить", "call", day(11, 23), dt.time(12, 30))),
        ("к 1 марта подготовить отчёт", Phrase("Подготовить отчёт", "todo", day(3, 1, 2027))),
        ("завтра утром позвонить маме срочно", Phrase("Позвонить маме", "call", day(11, 24), dt.time(9), "urgent")),
        ("на следующей неделе показ", Phrase("Показ", "meeting", day(11, 30))),
        ("10:00 планёрка", Phrase("Планёрка", "todo", day(11, 24), dt.time(10))),
        ("25.12 поздравить", Phrase("Поздравить", "todo", day(12, 25))),
        ("fri 3pm call Ivan !", Phrase("Call Ivan", "call", day(11, 27), dt.time(15), "high")),
        ("tomorrow at 9:30 send the offer", Phrase("Send the offer", "letter", day(11, 24), dt.time(9, 30))),
        ("in 3 days write to Anna", Phrase("Write to Anna", "letter", day(11, 26))),
        ("May 5 renew the contract", Phrase("Renew the contract", "todo", day(5, 5, 2027))),
        ("call John next monday at 5pm", Phrase("Call John", "call", day(11, 30), dt.time(17))),
        ("купить бумагу", Phrase("Купить бумагу")),
        ("позвонить 8 812 555-55-55", Phrase("Позвонить 8 812 555-55-55", "call")),
        ("оплатить счёт 15 от 12.11.2025", Phrase("Оплатить счёт 15 от 12.11.2025")),
        ("версия 2.0 проверить", Phrase("Версия 2.0 проверить")),
        ("завтра", Phrase("Завтра", "todo", day(11, 24))),
    ],
)
def test_a_line_becomes_kind_day_hour_and_title(line: str, said: Phrase) -> None:
    assert read(line, NOW) == said
