"""Measures the import of people with their companies: rows a second into an empty and into a filled database.

Run: ``python bench/bench_import.py [ROWS] [--profile]``. The file is made as messy as those that people bring: names in
every order, phones with 8 and +7 and several in a cell, wrong e-mails, companies that repeat, doubles.
"""

from __future__ import annotations

import cProfile
import csv
import pstats
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from crm_core.cli.importing import import_file
from crm_core.db import make_engine, session_factory
from crm_core.files import Store
from crm_core.plugins import Plugins
from crm_core.settings import installed_plugins
from crm_core.testing.factories import Factories
from crm_core.testing.servers import Servers

HEADERS = (
    "ФИО", "Компания", "ИНН", "Телефон", "E-mail", "Дата рождения", "Город", "Теги", "Источник", "Бюджет",
    "Комментарий",
)  # fmt: skip
SURNAMES = (
    "Иванов", "Петров", "Сидоров", "Кузнецов", "Смирнов", "Попов", "Васильев", "Соколов", "Михайлов",
    "Новиков", "Фёдоров", "Морозов", "Волков",
)  # fmt: skip
NAMES = (
    "Иван", "Пётр", "Сергей", "Андрей", "Алексей", "Дмитрий", "Максим", "Евгений", "Николай", "Павел",
    "Роман", "Олег", "Юрий", "Артём", "Глеб",
)  # fmt: skip
PATRONYMICS = (
    "Иванович", "Петрович", "Сергеевич", "Андреевич", "Алексеевич", "Дмитриевич", "Максимович", "Евгеньевич",
    "Николаевич",
)  # fmt: skip
CITIES = (
    "Москва", "Казань", "Самара", "Уфа", "Пермь", "Тверь", "Омск", "Томск", "Тула", "Орёл",
)  # fmt: skip


def inn(number: int) -> str:
    """Return a ten-digit ИНН with its check digit."""
    digits = [int(sign) for sign in f"{770000000 + number:09d}"]
    check = sum(a * b for a, b in zip((2, 4, 10, 3, 5, 9, 4, 6, 8), digits, strict=True)) % 11 % 10
    return "".join(map(str, digits)) + str(check)


def write(path: Path, count: int, seed: int = 7) -> None:
    """Write a messy file of so many rows."""
    pick = random.Random(seed)
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADERS)
        for number in range(count):
            writer.writerow(row(pick, number, count))


def row(pick: random.Random, number: int, count: int) -> list[str]:
    """Return one row; one in thirty repeats the phone of another."""
    parts = [pick.choice(SURNAMES), pick.choice(NAMES), pick.choice(PATRONYMICS)]
    name = " ".join(parts) if pick.random() < 0.8 else " ".join((*parts[1:], parts[0])).upper()
    digits = f"9{(number if pick.random() > 0.03 else pick.randrange(count)) + 100_000_000:09d}"
    usual = f"8 ({digits[:3]}) {digits[3:6]}-{digits[6:8]}-{digits[8:]}"
    phone = pick.choice((f"+7{digits}", usual, digits, f"7{digits}"))
    if pick.random() < 0.1:
        phone += f"; 8 912 {number % 1000:03d}-{number // 1000 % 100:02d}-{pick.randrange(100):02d}"
    mail = "" if pick.random() < 0.4 else f"p{number}@example.net" if pick.random() < 0.95 else "нет"
    company = pick.randrange(max(count // 6, 1))
    firm = f"ООО «Фирма {company}»" if pick.random() < 0.6 else ""
    born = f"{pick.randrange(1, 29):02d}.{pick.randrange(1, 13):02d}.{pick.randrange(1950, 2005)}"
    return [
        name, firm, inn(company) if firm and pick.random() < 0.9 else "", phone, mail,
        born if pick.random() < 0.6 else "", pick.choice(CITIES), pick.choice(("", "VIP", "опт, VIP", "розница")),
        pick.choice(("Сайт", "Звонок", "Выставка", "")),
        pick.choice(("", "15000", "1 200,50", "99 999,00", "abc")), pick.choice(("", "перезвонить", "=1+1")),
    ]  # fmt: skip


def main() -> None:
    """Import twice - the second time everything is there already - and print the figures."""
    arguments = [one for one in sys.argv[1:] if not one.startswith("--")]
    count = int(arguments[0]) if arguments else 20_000
    plugins = Plugins.build(tuple(installed_plugins()))
    servers = Servers.start()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clients.csv"
        write(path, count)
        engine = make_engine(servers.url_of(servers.clone(plugins)))
        factory = session_factory(engine)
        try:
            with factory() as session, session.begin():
                Factories(session).user("administrator")
            from crm_core import jobs

            jobs.bind(factory, settings={"redis.url": "", "crm.data": folder, **_key(folder)}, plugins=plugins)
            for title in ("new records", "the same file again", "dry run"):
                _measure(title, factory, plugins, Path(folder), path, dry=title == "dry run")
        finally:
            engine.dispose()
            servers.stop()


def _key(folder: str) -> dict[str, str]:
    from crm_core.testing.plugin import make_settings

    return {name: value for name, value in make_settings(Path(folder), "", "").items() if "key" in name}


def _measure(title: str, factory, plugins, folder: Path, path: Path, dry: bool) -> None:  # type: ignore[no-untyped-def]
    profiler = cProfile.Profile() if "--profile" in sys.argv else None
    began, used = time.perf_counter(), _cpu()
    if profiler:
        profiler.enable()
    outcome = import_file(factory, plugins, Store(folder / "files"), path, "clients.person", dry=dry)
    if profiler:
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(35)
    seconds, busy = time.perf_counter() - began, _cpu() - used
    counts = outcome.counts
    told = ", ".join(f"{counts[name]} {name}" for name in ("created", "updated", "unchanged", "rejected"))
    print(f"{title}: {counts['rows']} rows, {told}")
    print(f"  {counts['rows'] / seconds:,.0f} rows/s; of {seconds:.1f} s, {busy:.1f} s are this process's own")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
