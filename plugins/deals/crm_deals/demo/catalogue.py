"""The catalogue of the demo company: 120 products and services of a firm that sells ventilation and heating."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

SPLIT, VRF, SUPPLY, BOILERS, HUMIDITY, FILTERS, PARTS, WORK, CARE = (
    "Сплит-системы",
    "Мультизональные системы (VRF)",
    "Приточные установки",
    "Котлы и отопление",
    "Увлажнители",
    "Фильтры",
    "Материалы для монтажа",
    "Монтаж и выезды",
    "Обслуживание",
)
GROUPS = (SPLIT, VRF, SUPPLY, BOILERS, HUMIDITY, FILTERS, PARTS, WORK, CARE)

GOODS, SERVICE = "goods", "service"

Product = tuple[str, str, str, str, str, int, int]
"""Group, code, name, kind, unit, price, cost; both in roubles."""

_MAKES = ("Волгаклимат", "Северный ветер", "Аэромера")


def products() -> Iterator[Product]:
    """Return the catalogue, the same each time."""
    yield from _splits()
    yield from _systems()
    yield from _heating()
    yield from _small()
    yield from _services()


def _splits() -> Iterator[Product]:
    for place, make in enumerate(_MAKES):
        for size, price in ((7, 38), (9, 44), (12, 52), (18, 79), (24, 104), (36, 152), (48, 190)):
            cost = price * (640 + 20 * place)
            yield SPLIT, f"SP-{place + 1}{size:02}", f"Сплит-система {make} {size}", GOODS, "pcs", price * 1000, cost


def _systems() -> Iterator[Product]:
    for power, price in (
        (22, 400), (28, 470), (33, 540), (40, 640), (45, 730), (50, 810), (56, 900), (68, 1080), (80, 1260), (90, 1400),
        (100, 1600),
    ):  # fmt: skip
        name = f"Наружный блок VRF Аэромера {power} кВт"
        yield VRF, f"VRF-{power}", name, GOODS, "pcs", price * 1000, price * 690
    for kind, price in (("настенный", 46), ("кассетный", 68), ("канальный", 74), ("напольный", 62)):
        yield VRF, f"VRI-{price}", f"Внутренний блок VRF {kind}", GOODS, "pcs", price * 1000, price * 680
    for flow, price in (
        (500, 210), (800, 260), (1200, 320), (2000, 410), (3000, 520), (4500, 640), (6000, 760), (8000, 900),
    ):  # fmt: skip
        name = f"Приточная установка Северный ветер {flow} м³/ч"
        yield SUPPLY, f"PU-{flow}", name, GOODS, "pcs", price * 1000, price * 710
    for flow, price in ((350, 86), (600, 118), (1000, 164)):
        name = f"Вентилятор канальный {flow} м³/ч с автоматикой"
        yield SUPPLY, f"VK-{flow}", name, GOODS, "set", price * 1000, price * 650


def _heating() -> Iterator[Product]:
    for power, price in ((12, 58), (18, 66), (24, 74), (30, 92), (40, 128), (60, 196), (80, 264), (100, 338)):
        yield BOILERS, f"KT-{power}", f"Котёл газовый Волгаклимат {power} кВт", GOODS, "pcs", price * 1000, price * 720
    for power, price in ((6, 24), (9, 28), (12, 33), (18, 46)):
        yield BOILERS, f"KE-{power}", f"Котёл электрический {power} кВт", GOODS, "pcs", price * 1000, price * 700
    for name, code, price in (
        ("Бак косвенного нагрева 150 л", "BK-150", 62), ("Бак косвенного нагрева 200 л", "BK-200", 78),
        ("Насос циркуляционный 25-60", "NC-60", 14), ("Насос циркуляционный 32-80", "NC-80", 22),
        ("Комнатный термостат с расписанием", "TR-7", 6), ("Группа безопасности", "GB-1", 4),
    ):  # fmt: skip
        yield BOILERS, code, name, GOODS, "pcs", price * 1000, price * 660
    for litres, price in ((4, 34), (8, 52), (15, 84), (25, 126), (45, 198)):
        name = f"Увлажнитель паровой {litres} кг/ч"
        yield HUMIDITY, f"UV-{litres}", name, GOODS, "pcs", price * 1000, price * 690


def _small() -> Iterator[Product]:
    for grade in ("G4", "M5", "F7", "F9", "H13"):
        for size, price in (("300×300", 900), ("592×592", 2100)):
            factor = 1 + ("G4", "M5", "F7", "F9", "H13").index(grade)
            cost = price * factor // 2
            code = f"FL-{grade}-{size[:3]}"
            yield FILTERS, code, f"Фильтр {grade} {size}", GOODS, "pcs", price * factor, cost
    for code, name, unit, price in (
        ("MT-14", "Труба медная 1/4″ в изоляции", "m", 540), ("MT-38", "Труба медная 3/8″ в изоляции", "m", 720),
        ("MT-12", "Труба медная 1/2″ в изоляции", "m", 910), ("KB-5", "Кабель межблочный 5×1,5", "m", 165),
        ("DR-16", "Шланг дренажный 16 мм", "m", 95), ("KR-450", "Кронштейн наружного блока 450 мм", "set", 1450),
        ("KR-600", "Кронштейн наружного блока 600 мм", "set", 2250), ("ND-1", "Насос дренажный", "pcs", 5900),
        ("ZK-1", "Зимний комплект до −40 °C", "set", 8900), ("VD-250", "Воздуховод круглый 250 мм", "m", 980),
        ("VD-400", "Воздуховод прямоугольный 400×200", "m2", 1650),
        ("RS-600", "Решётка потолочная 600×600", "pcs", 2700),
        ("KL-250", "Клапан обратный 250 мм", "pcs", 3400), ("SH-1000", "Шумоглушитель 1000 мм", "pcs", 7800),
        ("FR-32", "Хладагент R32", "kg", 3100), ("FR-410", "Хладагент R410A", "kg", 3600),
    ):  # fmt: skip
        yield PARTS, code, name, GOODS, unit, price, price * 6 // 10


def _services() -> Iterator[Product]:
    for code, name, unit, price in (
        ("ZM-1", "Замер и подбор на объекте", "visit", 2500), ("VZ-1", "Выезд инженера по городу", "visit", 1900),
        ("VZ-2", "Выезд инженера в область", "km", 45), ("MN-07", "Монтаж сплит-системы до 3,5 кВт", "pcs", 14000),
        ("MN-18", "Монтаж сплит-системы до 7 кВт", "pcs", 19500),
        ("MN-36", "Монтаж сплит-системы свыше 7 кВт", "pcs", 28000),
        ("MN-PU", "Монтаж приточной установки", "pcs", 84000), ("MN-VRF", "Монтаж системы VRF, блок", "pcs", 36000),
        ("MN-KT", "Монтаж и обвязка котла", "pcs", 42000), ("PN-1", "Пусконаладка", "pcs", 12500),
        ("SV-1", "Проект вентиляции", "m2", 160), ("DM-1", "Демонтаж оборудования", "pcs", 6500),
        ("ST-1", "Штробление стен", "m", 850), ("PD-1", "Подъём оборудования на этаж", "pcs", 1800),
    ):  # fmt: skip
        yield WORK, code, name, SERVICE, unit, price, price * 55 // 100
    for code, name, unit, price in (
        ("TO-1", "ТО сплит-системы", "pcs", 4800), ("TO-2", "ТО приточной установки", "pcs", 9800),
        ("TO-3", "ТО котла", "pcs", 6900), ("ZP-1", "Заправка хладагентом", "kg", 4200),
        ("DG-1", "Диагностика неисправности", "visit", 3200), ("RM-1", "Ремонт, нормо-час", "hour", 2600),
        ("GD-1", "Годовой договор обслуживания: дом", "year", 48000),
        ("GD-2", "Годовой договор обслуживания: офис", "year", 96000),
        ("GD-3", "Годовой договор обслуживания: магазин", "year", 144000),
        ("GD-4", "Годовой договор обслуживания: производство", "year", 240000),
    ):  # fmt: skip
        yield CARE, code, name, SERVICE, unit, price, price * 50 // 100


def vat_code(group: str) -> str:
    """Return the VAT of a group: everything has the standard rate here."""
    return "standard"


def money(value: int) -> Decimal:
    """Return whole roubles as the database keeps money."""
    return Decimal(value)
