"""Deals on their way: make one, move it, win, refuse, open again, make a copy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from crm_core import clock
from crm_core.db import UNGATED
from crm_core.forms import FieldInfo
from crm_core.records import saving
from crm_core.records.fields import all_fields
from crm_core.records.gate import Gate
from crm_core.records.history import changes_since
from crm_deals.entities import DEAL, REASON, STAGE
from crm_deals.i18n import _
from crm_deals.models import LOST, OPEN, WON, Deal, Line, Party, Stage, StageChange
from crm_deals.services import discounts
from crm_deals.services.discounts import NeedsApproval

#: What a copy of a deal takes over.
COPIED = (
    "company_id", "person_id", "currency", "vat_mode", "discount_percent", "source", "comment",
)  # fmt: skip


class NeedsFields(ValueError):
    """Tells which fields must be filled in before a deal enters the stage."""

    def __init__(self, fields: Sequence[str], stage: Stage) -> None:
        super().__init__(", ".join(fields))
        self.fields = tuple(fields)
        self.stage = stage


class NeedsReason(ValueError):
    """Tells that a deal is not refused without a reason."""

    def __init__(self, stage: Stage) -> None:
        super().__init__("a reason is needed")
        self.stage = stage


@dataclass(frozen=True)
class Moved:
    """A move: the deal, where it came from and where it is; `moved` is false where it was there already."""

    deal: Deal
    stage: Stage
    from_stage_id: int
    moved: bool = True
    filled: Mapping[str, Any] = field(default_factory=dict)
    """Fields that were filled in on entry."""


def create_deal(gate: Gate, **values: Any) -> Deal:
    """Make a deal of checked values; without a stage it begins in the first of its pipeline, or of the first pipeline.

    A deal without a name is called after its pipeline and client.
    """
    entity = gate.entity(DEAL)
    if not values.get("name"):
        values.pop("name", None)
    deal: Deal = saving.create(gate, entity, {name: value for name, value in values.items() if value is not None})
    return deal


def move(
    gate: Gate,
    deal: Deal,
    stage_id: int,
    *,
    version: int | None = None,
    values: Mapping[str, Any] | None = None,
    reason_id: int | None = None,
    reason_note: str = "",
) -> Moved:
    """Move a deal to a stage, of its own pipeline or of another one.

    `version` is the one its mover saw: raise `saving.Conflict` when somebody has moved it since. `values` are checked
    fields that the stage asks for. Raise `NeedsFields`, `NeedsReason`, `NeedsApproval`, or `saving.NotAllowed`.
    """
    session = gate.session
    entity = gate.entity(DEAL)
    if not gate.allows("edit", deal, entity):
        raise saving.NotAllowed(_("You may see this deal but not move it."))
    # Two who move it at once wait for one another here, and the second sees where the first has put it.
    session.flush()
    session.refresh(deal, with_for_update=True)
    target = _stage(gate, stage_id)
    if version is not None and version != deal.version and deal.stage_id != target.id:
        changed, _by = changes_since(session, entity, deal.id, version)
        if "stage_id" in changed:
            last = last_move(session, deal.id)
            by = last.user_id if last is not None else None
            raise saving.Conflict(deal, {"stage_id": deal.stage_id}, {"stage_id": target.id}, by)
    if deal.stage_id == target.id:
        return Moved(deal, target, deal.stage_id, moved=False)
    came_from = deal.stage_id
    _check_way(gate, deal, target)
    filled = dict(values or {})
    missing = missing_fields(gate, deal, target, filled)
    if missing:
        raise NeedsFields(missing, target)
    changes: dict[str, Any] = {**filled, "stage_id": target.id}
    if target.kind == LOST:
        if reason_id is None:
            raise NeedsReason(target)
        if not gate.visible_ids(REASON, [reason_id]):
            raise saving.NotAllowed(_("There is no such reason of refusal."))
        changes |= {"reason_id": reason_id, "reason_note": reason_note.strip()[:500] or None}
    if target.kind == WON:
        discounts.require_approved(gate, deal)
    saving.change(gate, entity, deal, changes)
    return Moved(deal, target, came_from, filled=filled)


def win(gate: Gate, deal: Deal, *, version: int | None = None, values: Mapping[str, Any] | None = None) -> Moved:
    """Move a deal to the stage of its pipeline that means it is won."""
    return move(gate, deal, closing_stage(gate, deal, WON).id, version=version, values=values)


def refuse(
    gate: Gate,
    deal: Deal,
    reason_id: int | None,
    note: str = "",
    *,
    version: int | None = None,
    values: Mapping[str, Any] | None = None,
) -> Moved:
    """Move a deal to the stage of its pipeline that means it is refused, with the reason."""
    target = closing_stage(gate, deal, LOST)
    return move(gate, deal, target.id, version=version, values=values, reason_id=reason_id, reason_note=note)


def reopen(gate: Gate, deal: Deal, stage_id: int | None = None, *, version: int | None = None) -> Moved:
    """Open a closed deal again: in a stage, or in the one it was closed from."""
    if deal.state == OPEN:
        raise saving.NotAllowed(_("This deal is open."))
    return move(gate, deal, stage_id or _last_open_stage(gate, deal), version=version)


def clone(gate: Gate, deal: Deal) -> Deal:
    """Make a copy of a deal with its lines and parties, in the first stage of its pipeline."""
    from crm_deals.services import lines  # lines know of deals

    session = gate.session
    values = {name: getattr(deal, name) for name in COPIED if getattr(deal, name) is not None}
    for name, entity in (("company_id", "clients.company"), ("person_id", "clients.person")):
        if name in values and not gate.visible_ids(entity, [values[name]]):
            del values[name]
    if deal.lines_total is None and deal.amount is not None:
        values["amount"] = deal.amount
    copy = create_deal(gate, name=deal.name, pipeline_id=deal.pipeline_id, **values)
    rows = session.scalars(sa.select(Line).where(Line.deal_id == deal.id).order_by(Line.position, Line.id)).all()
    if rows:
        lines.set_lines(gate, copy, [lines.DraftLine.of(row) for row in rows])
    for party in session.scalars(sa.select(Party).where(Party.deal_id == deal.id).order_by(Party.id)):
        session.add(
            Party(deal_id=copy.id, record_entity=party.record_entity, record_id=party.record_id, role=party.role)
        )
    session.flush()
    return copy


# -- the rules of stages -----------------------------------------------------------------------------------------------


def _stage(gate: Gate, stage_id: int) -> Stage:
    stage = gate.get(STAGE, stage_id)
    if stage is None:
        raise saving.NotAllowed(_("There is no such stage."))
    found: Stage = stage
    return found


def closing_stage(gate: Gate, deal: Deal, kind: str) -> Stage:
    """Return the stage of a deal's pipeline that means won or refused."""
    found = gate.session.scalars(
        gate.select(STAGE).where(Stage.pipeline_id == deal.pipeline_id, Stage.kind == kind).order_by(Stage.position)
    ).first()
    if found is None:
        raise saving.NotAllowed(_("The pipeline has no such stage."))
    stage: Stage = found
    return stage


def _last_open_stage(gate: Gate, deal: Deal) -> int:
    open_stages = gate.select(STAGE, Stage.id).where(Stage.pipeline_id == deal.pipeline_id, Stage.kind == OPEN)
    left = gate.session.scalar(
        sa.select(StageChange.from_stage_id)
        .where(StageChange.deal_id == deal.id, StageChange.from_stage_id.in_(open_stages))
        .order_by(StageChange.at.desc(), StageChange.id.desc())
        .limit(1)
    )
    found = left or gate.session.scalar(open_stages.order_by(Stage.position).limit(1))
    if found is None:
        raise saving.NotAllowed(_("The pipeline has no such stage."))
    return int(found)


def _check_way(gate: Gate, deal: Deal, target: Stage) -> None:
    subject = gate.subject
    if target.mover_roles is not None and not subject.is_system and not subject.roles & set(target.mover_roles):
        raise saving.NotAllowed(_("Your role may not move deals to this stage."))
    if target.kind == LOST or target.pipeline_id != deal.pipeline_id:
        return
    present = gate.session.get(
        Stage, deal.stage_id, execution_options={UNGATED: "the rules of the stage the deal is in"}
    )
    if present is not None and present.allowed_to is not None and target.id not in present.allowed_to:
        raise saving.NotAllowed(
            _(
                "From “${from}” deals do not go to “${to}”.",
                mapping={"from": present.name, "to": target.name},
            )
        )


def missing_fields(gate: Gate, deal: Deal, stage: Stage, values: Mapping[str, Any]) -> list[str]:
    """Return the fields that the stage asks for and that neither the deal nor the values have."""
    known = entry_fields(gate)
    return [
        name
        for name in stage.required_fields
        if name in known and _is_empty(values[name] if name in values else known[name].value(deal))
    ]


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or value == [] or value == {}


def entry_fields(gate: Gate) -> dict[str, FieldInfo]:
    """Return the fields of deals that a stage may ask for: those that are written by hand."""
    fields = all_fields(gate.session, gate.entity(DEAL))
    return {name: info for name, info in fields.items() if not info.readonly and name not in ("pipeline_id", "tags")}


# -- the history of stages ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stay:
    """One stay of a deal in a stage."""

    stage_id: int
    title: str
    since: Any
    seconds: int
    user_id: int | None
    current: bool = False


def stays(gate: Gate, deal: Deal) -> list[Stay]:
    """Return how long a deal has been in which stage, the newest first; one statement."""
    rows = gate.session.execute(
        sa.select(StageChange.to_stage_id, Stage.name, StageChange.at, StageChange.user_id)
        .join(Stage, Stage.id == StageChange.to_stage_id)
        .where(StageChange.deal_id == deal.id)
        .order_by(StageChange.at.desc(), StageChange.id.desc())
        .limit(100),
        execution_options={UNGATED: "names of stages, also of those that are gone, of a deal that is open"},
    ).all()
    found = []
    until = clock.now() if deal.state == OPEN else None
    for place, row in enumerate(rows):
        seconds = int((until - row.at).total_seconds()) if until is not None else 0
        found.append(Stay(row.to_stage_id, row.name, row.at, max(0, seconds), row.user_id, current=place == 0))
        until = row.at
    return found


def last_move(session: Any, deal_id: int) -> StageChange | None:
    """Return the last move of a deal: who put it where, and when."""
    found: StageChange | None = session.scalars(
        sa.select(StageChange)
        .where(StageChange.deal_id == deal_id)
        .order_by(StageChange.at.desc(), StageChange.id.desc())
        .limit(1)
    ).one_or_none()
    return found


def told(deal_ids: Iterable[int], operation_id: int) -> Any:
    """Return the statement that takes the moves of an operation that nobody has been told of, marking them told."""
    table = StageChange.__table__
    return (
        sa.update(table)
        .where(table.c.deal_id.in_(list(deal_ids)), table.c.operation_id == operation_id, table.c.told.is_(False))
        .values(told=True)
        .returning(
            table.c.deal_id, table.c.pipeline_id, table.c.from_stage_id, table.c.to_stage_id, table.c.from_state,
            table.c.to_state,
        )
    )  # fmt: skip


__all__ = [
    "Moved",
    "NeedsApproval",
    "NeedsFields",
    "NeedsReason",
    "Stay",
    "clone",
    "closing_stage",
    "create_deal",
    "entry_fields",
    "last_move",
    "missing_fields",
    "move",
    "refuse",
    "reopen",
    "stays",
    "win",
]
