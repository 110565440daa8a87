"""What pickers offer while one types: records through the gate, colleagues, departments, tags."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from pyramid.request import Request

from crm_core import people
from crm_core.i18n import _
from crm_core.models import Tag, Team, User
from crm_core.models.accounts import ACTIVE
from crm_core.records import cleaning, searching
from crm_core.records.listing import Listing, ListQuery, like
from crm_core.views.records.context import EntityContext
from crm_core.views.records.reading import ME, TAG_MARK, color_of

_MOST = 20


def _typed(request: Request) -> str:
    return str(request.GET.get("q", "")).replace("\x00", "").strip()[:200]


def records(context: EntityContext, request: Request) -> dict[str, Any]:
    """Offer records of an entity: those found by what is typed, else the first in its order."""
    entity, typed = context.entity, _typed(request)
    if typed:
        found = searching.find(request.gate, typed, entities=[entity.name], limit=_MOST)
        return {"items": [{"value": str(one.id), "title": one.label, "hint": _hint(one.hint)} for one in found]}
    page = Listing(request.gate, entity).page(ListQuery(limit=_MOST), ())
    return {"items": [{"value": str(row.id), "title": str(row.label or f"№ {row.id}")} for row in page.rows]}


def _hint(text: str) -> str:
    return " · ".join(cleaning.write_phone(part) if part.startswith("+") else part for part in text.split(" · "))


def colleagues(request: Request) -> dict[str, Any]:
    """Offer colleagues with an active account; whoever may not know names is offered himself."""
    typed = _typed(request).lower()
    statement = sa.select(User.id, User.name, User.job_title, User.photo).where(User.status == ACTIVE)
    if not people.may_name(request.subject):
        statement = statement.where(User.id == request.subject.user_id)
    if typed:
        statement = statement.where(sa.func.lower(User.name).like(f"%{like(typed)}%"))
    items = [
        {
            "value": str(row.id),
            "title": row.name,
            "hint": row.job_title,
            "photo_href": f"/faces/{row.photo}.png" if row.photo else "",
        }
        for row in request.db.execute(statement.order_by(sa.func.lower(User.name)).limit(50))
    ]
    me = request.translate(_("me"))
    if request.GET.get("me") == "1" and (not typed or me.startswith(typed)):
        items.insert(0, {"value": ME, "title": me, "hint": request.subject.name, "photo_href": ""})
    return {"items": items}


def departments(request: Request) -> dict[str, Any]:
    """Offer departments."""
    statement = sa.select(Team.id, Team.name)
    if typed := _typed(request).lower():
        statement = statement.where(sa.func.lower(Team.name).like(f"%{like(typed)}%"))
    rows = request.db.execute(statement.order_by(sa.func.lower(Team.name)).limit(100))
    return {"items": [{"value": str(row.id), "title": row.name} for row in rows]}


def tags(request: Request) -> dict[str, Any]:
    """Offer tags; filters take their numbers as they are, forms with a mark."""
    mark = "" if request.GET.get("plain") == "1" else TAG_MARK
    statement = sa.select(Tag.id, Tag.name, Tag.colour)
    if typed := _typed(request).lower():
        statement = statement.where(sa.func.lower(Tag.name).like(f"%{like(typed)}%"))
    rows = request.db.execute(statement.order_by(sa.func.lower(Tag.name)).limit(100))
    return {
        "items": [
            {"value": f"{mark}{row.id}", "title": row.name, "color": color_of(row.colour, row.id)} for row in rows
        ]
    }
