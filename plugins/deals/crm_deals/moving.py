"""Moving in from another program: what its words mean here, and whose export a file is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from crm_core.specs import KnownExport
from crm_deals.models import LOST, WON

_STAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        WON: (
            "Успешно реализовано", "Сделка успешна", "Успешно", "Успешная сделка", "Выиграна", "Выиграно", "Успех",
            "Closed - won", "Closed won", "Won",
        ),
        LOST: (
            "Закрыто и не реализовано", "Сделка провалена", "Провалена", "Проиграна", "Проиграно", "Отказ",
            "Анализ причины провала", "Анализ провала", "Closed - lost", "Closed lost", "Lost",
        ),
    }
)  # fmt: skip

_CURRENCIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "RUB": ("₽", "руб", "руб.", "р.", "рубль", "рубли", "российский рубль", "RUR"),
        "USD": ("$", "доллар", "доллар США", "US Dollar"),
        "EUR": ("€", "евро", "Euro"),
        "BYN": ("белорусский рубль",),
        "KZT": ("тенге", "казахстанский тенге"),
        "CNY": ("юань", "китайский юань"),
    }
)

_SOURCES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "site": ("Веб-сайт", "С сайта", "CRM-форма", "Форма на сайте", "Web site", "Website"),
        "call": ("Звонок", "Входящий звонок", "Обратный звонок", "Телефон"),
        "letter": ("Электронная почта", "E-mail", "Почта"),
        "recommendation": ("По рекомендации", "Рекомендация", "Сарафанное радио"),
        "social": ("Соцсети", "Социальные сети", "ВКонтакте", "Telegram"),
        "repeat": ("Повторная продажа", "Существующий клиент", "Повторный"),
        "exhibition": ("Выставка",),
        "other": ("Другое",),
    }
)

NOTHING_SAID = ("не выбран", "не выбрано", "не указан", "не указано", "не указана", "нет", "-", "—")
NOT_CLOSED = ("не закрыта", "не закрыто", *NOTHING_SAID)


def words_of_stage(stage: Any) -> Iterable[str]:
    """Return what other programs call the stages that end a pipeline."""
    return _STAGES.get(stage.kind, ())


def words_of_currency(code: str) -> Iterable[str]:
    """Return how people write a currency."""
    return _CURRENCIES.get(code, ())


def words_of_source(code: str) -> Iterable[str]:
    """Return what other programs call a source."""
    return _SOURCES.get(code, ())


_PERSON, _COMPANY = "clients.person", "clients.company"

_AMO_CONTACTS = {
    header: f"{_PERSON}:{field}"
    for field, titles in {
        "phones": ("Рабочий телефон", "Рабочий прямой телефон", "Мобильный телефон", "Домашний телефон",
                   "Другой телефон"),
        "emails": ("Рабочий email", "Личный email", "Другой email"),
        "job_title": ("Должность",),
    }.items()
    for title in titles
    for header in (title, f"{title} (контакт)", f"{title} контакта")
}  # fmt: skip

_AMO = KnownExport(
    name="amoCRM",
    signs=("Название сделки", "Этап сделки", "Основной контакт"),
    columns={
        "ID": "external_id",
        "Название сделки": "name",
        "Бюджет": "amount",
        "Ответственный": "owner_id",
        "Этап сделки": "stage_id",
        "Воронка": "pipeline_id",
        "Дата создания": "created_at",
        "Дата закрытия": "closed_at",
        "Теги": "tags",
        "Теги сделки": "tags",
        "Примечание": "notes",
        "Причина отказа": "reason_id",
        "Основной контакт": f"{_PERSON}:full_name",
        "Компания": f"{_COMPANY}:name",
        "Название компании": f"{_COMPANY}:name",
        "ИНН": f"{_COMPANY}:inn",
        "Рабочий телефон (компания)": f"{_COMPANY}:phones",
        "Рабочий email (компания)": f"{_COMPANY}:emails",
        **_AMO_CONTACTS,
        "Источник": "source",
        "Компания контакта": "",
        "Кем создана": "",
        "Дата редактирования": "",
        "Кем редактирована": "",
        "Ближайшая задача": "",
    },
)

_BITRIX = KnownExport(
    name="Битрикс24",
    signs=("Название", "Стадия сделки", "Сумма"),
    columns={
        "ID": "external_id",
        "Название": "name",
        "Название сделки": "name",
        "Воронка": "pipeline_id",
        "Направление сделки": "pipeline_id",
        "Стадия сделки": "stage_id",
        "Сумма": "amount",
        "Валюта": "currency",
        "Ответственный": "owner_id",
        "Контакт": f"{_PERSON}:full_name",
        "Контакт: Имя": f"{_PERSON}:first_name",
        "Контакт: Фамилия": f"{_PERSON}:last_name",
        "Контакт: Отчество": f"{_PERSON}:middle_name",
        "Контакт: Должность": f"{_PERSON}:job_title",
        **{
            f"Контакт: {title}": f"{_PERSON}:phones"
            for title in ("Рабочий телефон", "Мобильный телефон", "Домашний телефон", "Другой телефон", "Телефон")
        },
        **{
            f"Контакт: {title}": f"{_PERSON}:emails"
            for title in ("Рабочий e-mail", "Частный e-mail", "Другой e-mail", "E-mail")
        },
        "Компания": f"{_COMPANY}:name",
        "Компания: Название компании": f"{_COMPANY}:name",
        "Компания: ИНН": f"{_COMPANY}:inn",
        "ИНН": f"{_COMPANY}:inn",
        "Компания: Рабочий телефон": f"{_COMPANY}:phones",
        "Компания: Рабочий e-mail": f"{_COMPANY}:emails",
        "Дата создания": "created_at",
        "Дата начала": "",
        "Предполагаемая дата закрытия": "expected_close",
        "Дата завершения": "closed_at",
        "Дата закрытия": "closed_at",
        "Источник": "source",
        "Комментарий": "notes",
        "Теги": "tags",
        "Тип": "",
        "Вероятность": "",
        "Сделка закрыта": "",
        "Кем создана": "",
        "Кем изменена": "",
        "Дата изменения": "",
    },
)

EXPORTS: tuple[KnownExport, ...] = (_AMO, _BITRIX)
