"""The ways that deals of the demo company go."""

from __future__ import annotations

WON, LOST = ("Успешно", 100, "green", "won", None), ("Отказ", 0, "red", "lost", None)

EQUIPMENT, TURNKEY, SERVICE = "Оборудование", "Монтаж под ключ", "Сервисные договоры"

Stage = tuple[str, int, str, str, int | None]
"""Name, probability, colour, meaning, days after which a deal is stuck."""

PIPELINES: dict[str, tuple[Stage, ...]] = {
    EQUIPMENT: (
        ("Новый запрос", 10, "blue", "open", 3),
        ("Потребность выявлена", 25, "indigo", "open", 7),
        ("Подбор и расчёт", 40, "teal", "open", 7),
        ("КП отправлено", 55, "purple", "open", 10),
        ("Согласование", 70, "orange", "open", 14),
        ("Счёт выставлен", 85, "yellow", "open", 10),
        ("Оплачено", 95, "pink", "open", 14),
        WON,
        LOST,
    ),
    TURNKEY: (
        ("Заявка на замер", 10, "blue", "open", 3),
        ("Замер назначен", 20, "indigo", "open", 7),
        ("Замер выполнен", 35, "teal", "open", 7),
        ("Смета и КП", 50, "purple", "open", 10),
        ("Договор согласуется", 65, "orange", "open", 14),
        ("Аванс получен", 85, "yellow", "open", 14),
        ("Монтаж", 90, "pink", "open", 30),
        ("Акт подписан", 98, "gray", "open", 10),
        WON,
        LOST,
    ),
    SERVICE: (
        ("Срок через 60 дней", 40, "blue", "open", 14),
        ("Предложение отправлено", 55, "purple", "open", 14),
        ("Согласование", 75, "orange", "open", 14),
        ("Договор подписан", 95, "yellow", "open", 10),
        WON,
        LOST,
    ),
}

#: What a stage asks for on entry, by pipeline and name.
ASKED: dict[tuple[str, str], list[str]] = {
    (EQUIPMENT, "КП отправлено"): ["amount"],
    (EQUIPMENT, "Счёт выставлен"): ["amount", "expected_close"],
    (TURNKEY, "Договор согласуется"): ["amount", "expected_close"],
}
