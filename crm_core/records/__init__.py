"""The entity engine: what every kind of record has without a line of its own.

Public to plugins: `gate.Gate`, `saving`, `listing`, `searching`, `history`, `undo`, `operations`, `fields`.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from pyramid.config import Configurator
from pyramid.request import Request

from crm_core.records.gate import Gate


def _gate(request: Request) -> Gate:
    return Gate(request.db, request.subject, request.registry["crm.plugins"])


def _records(request: Request, what: Any, *columns: Any, verb: str = "view") -> sa.Select[Any]:
    """Return a select of the records of an entity that this request may see."""
    return request.gate.select(what, *columns, verb=verb)


def includeme(config: Configurator) -> None:
    """Give requests `gate` and `records(Deal)`."""
    config.add_request_method(_gate, "gate", reify=True)
    config.add_request_method(_records, "records")
