"""Measures how many rows a second the readers and the cleaning of an import manage.

Run with files: ``python bench/bench_cleaning.py tests/data/clients_cp1251.csv``; without any it takes the samples.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crm_core.records import cleaning
from crm_core.records.importing.readers import open_table

CLEANERS: tuple[Callable[[Any], object], ...] = (
    cleaning.clean_person_name,
    cleaning.clean_company_name,
    cleaning.clean_inn,
    cleaning.clean_phones,
    cleaning.clean_emails,
    lambda cell: cleaning.clean_date(cell, birthday=True),
    cleaning.clean_text,
    cleaning.clean_tags,
    cleaning.clean_text,
    cleaning.clean_money,
    lambda cell: cleaning.clean_text(cell, multiline=True),
)


def measure(path: Path) -> None:
    """Read and clean a file three times and print the best of each."""
    read = clean = 0.0
    count = 0
    for _turn in range(3):
        started = time.perf_counter()
        rows = list(open_table(path).rows())
        opened = time.perf_counter()
        for row in rows:
            for cleaner, cell in zip(CLEANERS, row.cells, strict=False):
                cleaner(cell)
        done = time.perf_counter()
        count = len(rows)
        read = max(read, count / (opened - started))
        clean = max(clean, count / (done - opened))
    print(f"{path.name}: {count} rows, reading {read:,.0f} rows/s, cleaning {clean:,.0f} rows/s")


if __name__ == "__main__":
    folder = Path(__file__).parent.parent / "tests" / "data"
    for name in sys.argv[1:] or sorted(str(path) for path in folder.glob("clients*")):
        measure(Path(name))
