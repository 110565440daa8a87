"""The plugin is what the core expects of every plugin."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from crm_core.testing.conformance import *  # noqa: F403
from crm_core.testing.conformance import fill_tables


@pytest.fixture(scope="session")
def crm_plugin_name() -> str:
    """Say which plugin the kit checks."""
    return "deals"


@pytest.fixture
def sample_rows() -> Callable[[sa.Connection], None]:
    """Fill the tables, with files for offers; a target is of one of three, which no guess can know."""
    from crm_core.db import Base

    tables = [
        table
        for table in Base.metadata.sorted_tables
        if table.name in ("core_blob", "core_file")
        or (table.name.startswith("deals_") and table.name != "deals_target")
    ]

    def fill(connection: sa.Connection) -> None:
        fill_tables(connection, tables)
        connection.execute(
            sa.text(
                "INSERT INTO deals_target (user_id, month, amount) "
                "SELECT min(id), DATE '2026-01-01', 1000000 FROM core_user"
            )
        )

    return fill
