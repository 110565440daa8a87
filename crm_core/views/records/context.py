"""Contexts of the generic pages: an entity, or one of its records that the person may know of."""

from __future__ import annotations

from functools import partial
from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPForbidden, HTTPNotFound, HTTPSeeOther
from pyramid.request import Request

from crm_core.models.notifications import Follow
from crm_core.models.records import Favourite, Merged
from crm_core.records.gate import NEVER, Gate
from crm_core.specs import Entity

#: What a card offers beside reading, asked together with the record.
VERBS = ("edit", "delete", "assign", "export")


class EntityContext:
    """The entity of a page of many records."""

    def __init__(self, request: Request, entity: Entity) -> None:
        self.request = request
        self.entity = entity

    def may(self, verb: str) -> bool:
        """Tell whether the verb is held for the entity in any scope."""
        return bool(self.request.gate.may(self.entity, verb))


class RecordContext(EntityContext):
    """A record that this person may see, with what he may do with it; 404 for everyone else.

    One statement asks for the record, the verbs that reach it and whether it is a favourite. It is kept as `item`, not
    as `record`, since the policy would then ask the gate once more what was asked here.
    """

    def __init__(self, request: Request, entity: Entity, verb: str = "view") -> None:
        super().__init__(request, entity)
        number = int(request.matchdict["id"])
        row = self._load(number, trash=False)
        self.trashed = False
        if row is None and request.gate.may(entity, "delete"):
            row = self._load(number, trash=True)
            self.trashed = row is not None
        if row is None:
            self._follow_merge(number)
            raise HTTPNotFound
        self.item: Any = row[0]
        self.verbs = {name for name, held in zip(VERBS, row[3:], strict=True) if held}
        if self.trashed:
            self.verbs &= {"delete"}
        self.favourite: bool = bool(row[1])
        self.following: bool = bool(row[2])
        if verb not in ("view", *self.verbs):
            raise HTTPForbidden

    def allows(self, verb: str) -> bool:
        """Tell whether the verb reaches this record."""
        return verb in self.verbs

    @property
    def href(self) -> str:
        """Where its card is."""
        return f"{self.entity.url}/{self.item.id}"

    @property
    def label(self) -> str:
        """What it is called."""
        return str(getattr(self.item, self.entity.label) or f"№ {self.item.id}")

    def _load(self, number: int, *, trash: bool) -> Any:
        gate: Gate = self.request.gate
        model: Any = self.entity.model
        favourite = sa.exists().where(
            Favourite.user_id == gate.subject.user_id,
            Favourite.entity == self.entity.name,
            Favourite.record_id == model.id,
        )
        following = sa.exists().where(
            Follow.user_id == gate.subject.user_id,
            Follow.entity == self.entity.name,
            Follow.record_id == model.id,
        )
        statement = sa.select(
            model, favourite, following, *(_reach(gate, self.entity, verb).label(f"may_{verb}") for verb in VERBS)
        ).where(model.id == number, gate.criterion(self.entity, "view", trash=trash))
        return gate.session.execute(statement).one_or_none()

    def _follow_merge(self, number: int) -> None:
        into = self.request.db.scalar(
            sa.select(Merged.into_id).where(Merged.entity == self.entity.name, Merged.record_id == number)
        )
        if into is not None and self.request.gate.visible_ids(self.entity, [into]):
            raise HTTPSeeOther(f"{self.entity.url}/{into}")


def _reach(gate: Gate, entity: Entity, verb: str) -> Any:
    branches = gate.branches(entity, verb)
    return sa.or_(*(branch.criterion for branch in branches)) if branches else NEVER


def of_entity(entity: Entity) -> Any:
    """Return the factory of a route of many records."""
    return partial(_entity, entity=entity)


def of_record(entity: Entity, verb: str) -> Any:
    """Return the factory of a route of one record; who may see it but not do this is refused."""
    return partial(_record, entity=entity, verb=verb)


def _entity(request: Request, entity: Entity) -> EntityContext:
    return EntityContext(request, entity)


def _record(request: Request, entity: Entity, verb: str) -> RecordContext:
    return RecordContext(request, entity, verb)
