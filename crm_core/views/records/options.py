"""What pickers offer while one types: records through the gate, colleagues, departments, tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from pyramid.request import Request

from crm_core import people
from crm_core.i18n import _
from crm_core.models import Tag, Team, User
from crm_core.models.accounts import ACTIVE
from crm_core.records import cleaning, quick, searching
from crm_core.records.fields import all_fields
from crm_core.records.listing import Listing, ListQuery, like
from crm_core.specs import Entity
from crm_core.views.records.context import EntityContext
from crm_core.views.records.reading import ME, TAG_MARK, color_of

_MOST = 20


def _typed(request: Request) -> str:
    return str(request.GET.get("q", "")).replace("\x00", "").strip()[:200]


def records(context: EntityContext, request: Request) -> dict[str, Any]:
    """Offer records of an entity: those found by what is typed, else the first in its order."""
    entity, typed = context.entity, _typed(request)
    if "of" in request.GET:
        return {"links": _links(request, entity, request.GET["of"])}
    if typed:
        found = searching.find(request.gate, typed, entities=[entity.name], limit=_MOST)
        return {"items": [{"value": str(one.id), "title": one.label, "hint": _hint(one.hint)} for one in found]}
    near = _near(request, entity)
    page = Listing(request.gate, entity).page(ListQuery(limit=_MOST), ())
    items = {str(row.id): str(row.label or f"№ {row.id}") for row in (*near, *page.rows)}
    return {"items": [{"value": number, "title": title} for number, title in list(items.items())[:_MOST]]}


def _near(request: Request, entity: Entity) -> Sequence[Any]:
    """Return records that are linked with what is chosen beside this picker: the people of the company."""
    gate = request.gate
    model: Any = entity.model
    criteria = [info.column(model) == number for info, number in quick.beside(gate, entity, request.GET.getall("near"))]
    if not criteria:
        return []
    sort = getattr(model, entity.sort)
    statement = sa.select(model.id, getattr(model, entity.label).label("label")).where(
        gate.criterion(entity), sa.or_(*criteria)
    )
    found: Sequence[Any] = gate.session.execute(
        statement.order_by(sort.desc() if entity.descending else sort, model.id).limit(_MOST)
    ).all()
    return found


def _links(request: Request, entity: Entity, of: str) -> dict[str, dict[str, str]]:
    """Return what a record is linked with, by the address that offers such ones, as far as it may be seen."""
    gate = request.gate
    infos = [
        info
        for info in all_fields(gate.session, entity, gate.subject).values()
        if info.kind == "record" and not info.custom and info.entity in gate.plugins.entities
    ]
    if not infos or not of.isdecimal() or len(of) > 18:
        return {}
    model: Any = entity.model
    row = gate.session.execute(
        sa.select(*(info.column(model) for info in infos)).where(model.id == int(of), gate.criterion(entity))
    ).one_or_none()
    found: dict[str, dict[str, str]] = {}
    for info, number in zip(infos, row or (), strict=False):
        other = gate.plugins.entities[info.entity]
        if number is None or other is entity or not gate.may(other, "view"):
            continue
        for value, title in gate.labels(other, [number]).items():
            found.setdefault(f"{other.url}/options", {"value": str(value), "title": str(title)})
    return found


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
