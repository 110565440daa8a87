"""Pipelines and stages as the company wants them: made from templates, ordered, ruled, and taken away with care."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crm_core import clock
from crm_core.db import UNGATED
from crm_core.forms import InvalidValues
from crm_core.records import index, operations, saving
from crm_core.records.gate import Gate
from crm_deals.entities import DEAL, PIPELINE, PIPELINES, STAGE
from crm_deals.i18n import _
from crm_deals.models import LOST, OPEN, WON, Deal, Pipeline, Stage
from crm_deals.permissions import SETTINGS

_ANY = {UNGATED: "settings are of the company, and the permission to edit them was asked for"}
_CLOSING = ((_("Won"), 100, "green", WON, None), (_("Refused"), 0, "red", LOST, None))

#: Name, probability, colour, meaning, days after which a deal is stuck.
TEMPLATES: Mapping[str, tuple[Any, tuple[tuple[Any, int, str, str, int | None], ...]]] = {
    "sales": (
        _("Sales"),
        (
            (_("New request"), 10, "blue", OPEN, 7),
            (_("Need is clear"), 30, "teal", OPEN, 7),
            (_("Offer is sent"), 50, "purple", OPEN, 10),
            (_("Negotiation"), 70, "orange", OPEN, 10),
            (_("Invoice is sent"), 90, "yellow", OPEN, 7),
            *_CLOSING,
        ),
    ),
    "project": (
        _("Turnkey work"),
        (
            (_("Visit is asked for"), 10, "blue", OPEN, 5),
            (_("Visit is appointed"), 20, "indigo", OPEN, 7),
            (_("Measured"), 35, "teal", OPEN, 7),
            (_("Estimate and offer"), 50, "purple", OPEN, 10),
            (_("Contract is negotiated"), 70, "orange", OPEN, 14),
            (_("Advance is paid"), 90, "yellow", OPEN, 14),
            (_("Work is done"), 95, "pink", OPEN, 30),
            *_CLOSING,
        ),
    ),
    "renewal": (
        _("Contracts of service"),
        (
            (_("Ends in 60 days"), 40, "blue", OPEN, 14),
            (_("Offer is sent"), 55, "purple", OPEN, 14),
            (_("Negotiation"), 75, "orange", OPEN, 14),
            *_CLOSING,
        ),
    ),
    "empty": (
        _("Empty"),
        ((_("New request"), 10, "blue", OPEN, None), *_CLOSING),
    ),
}


def require(gate: Gate) -> None:
    """Refuse whoever may not edit the settings of deals."""
    if not gate.subject.may(SETTINGS):
        raise saving.NotAllowed(_("Your role may not change the settings of deals."))


def find_pipeline(session: Any, number: int) -> Pipeline | None:
    """Return a pipeline for whoever edits pipelines; None where there is none."""
    found: Pipeline | None = session.get(Pipeline, number, execution_options=_ANY)
    return found if found is not None and found.deleted_at is None else None


def find_stage(session: Any, number: int) -> Stage | None:
    """Return a stage for whoever edits pipelines; None where there is none."""
    found: Stage | None = session.get(Stage, number, execution_options=_ANY)
    return found if found is not None and found.deleted_at is None else None


def all_pipelines(session: Any) -> list[Pipeline]:
    """Return the pipelines in their order."""
    return list(
        session.scalars(
            sa.select(Pipeline).where(Pipeline.deleted_at.is_(None)).order_by(Pipeline.position, Pipeline.id),
            execution_options=_ANY,
        )
    )


def stages_of(session: Any, pipeline_id: int | None = None) -> list[Stage]:
    """Return the stages of a pipeline, or of all, in their order."""
    statement = sa.select(Stage).where(Stage.deleted_at.is_(None)).order_by(Stage.place, Stage.position, Stage.id)
    if pipeline_id is not None:
        statement = statement.where(Stage.pipeline_id == pipeline_id)
    return list(session.scalars(statement, execution_options=_ANY))


def counts(session: Any) -> dict[int, int]:
    """Return how many deals are in each stage, those in the trash too: they come back into it."""
    rows = session.execute(
        sa.select(Deal.stage_id, sa.func.count()).group_by(Deal.stage_id),
        execution_options={UNGATED: "numbers for whoever edits stages; no deal is told of"},
    )
    return {row[0]: row[1] for row in rows}


def create_pipeline(gate: Gate, name: str, template: str = "sales", say: Any = str) -> Pipeline:
    """Make a pipeline with the stages of a template; `say` puts their names into the maker's language."""
    require(gate)
    name = name.strip()
    if not name:
        raise InvalidValues({"name": _("Fill this in.")})
    if template not in TEMPLATES:
        raise InvalidValues({"template": _("Choose from the list.")})
    session = gate.session
    operations.describe(session, gate.subject, kind="create", entity=PIPELINE)
    position = session.scalar(sa.select(sa.func.max(Pipeline.position)), execution_options=_ANY) or 0
    pipeline = Pipeline(name=name[:100], position=position + 1, created_by=gate.subject.user_id)
    session.add(pipeline)
    session.flush()
    for place, (title, probability, color, kind, rot) in enumerate(TEMPLATES[template][1], 1):
        session.add(
            Stage(
                pipeline_id=pipeline.id,
                name=str(say(title)),
                position=place,
                probability=probability,
                color=color,
                kind=kind,
                rot_days=rot,
                created_by=gate.subject.user_id,
            )
        )
    session.flush()
    operations.about(session, PIPELINE, pipeline.id)
    retitle(session)
    index.refresh(session, PIPELINES, [index.row_of(pipeline)], fresh=True)
    return pipeline


def retitle(session: Any) -> None:
    """Compute what stages are called outside their pipeline, and their order among all."""
    pipelines = {pipeline.id: pipeline for pipeline in all_pipelines(session)}
    for stage in stages_of(session):
        pipeline = pipelines.get(stage.pipeline_id)
        if pipeline is None:
            continue
        title = stage.name if len(pipelines) == 1 else f"{stage.name} · {pipeline.name}"
        place = pipeline.position * 1000 + stage.position
        if (stage.title, stage.place) != (title, place):
            stage.title, stage.place = title, place
    session.flush()


def order_pipelines(gate: Gate, ids: Sequence[int]) -> None:
    """Put pipelines in this order."""
    require(gate)
    operations.describe(gate.session, gate.subject, kind="edit", entity=PIPELINE)
    wanted = {number: place for place, number in enumerate(ids, 1)}
    for pipeline in all_pipelines(gate.session):
        pipeline.position = wanted.get(pipeline.id, len(wanted) + pipeline.position)
    gate.session.flush()
    retitle(gate.session)


@dataclass(frozen=True)
class StageRow:
    """A stage as it is typed in the table of stages; without an id it is a new one."""

    name: str
    probability: int
    color: str
    kind: str
    rot_days: int | None
    id: int | None = None
    key: str = ""
    """What the form calls it."""


def save_pipeline(
    gate: Gate, pipeline: Pipeline, *, name: str, active: bool, currency: str | None, stages: Sequence[StageRow]
) -> None:
    """Save a pipeline with its stages in the order in which they come; one that is missing is left as it is."""
    require(gate)
    session = gate.session
    _check_rows(name, stages)
    operations.describe(session, gate.subject, kind="edit", entity=PIPELINE, record_id=pipeline.id)
    pipeline.name, pipeline.active, pipeline.currency = name.strip()[:100], active, currency or None
    present = {stage.id: stage for stage in stages_of(session, pipeline.id)}
    _check_ways(stages, present)
    told = [present[row.id] for row in stages if row.id in present]
    rest = [stage for stage in present.values() if stage not in told]
    for place, row in enumerate(stages, 1):
        stage = present.get(row.id or 0)
        if stage is None:
            stage = Stage(pipeline_id=pipeline.id, created_by=gate.subject.user_id)
            session.add(stage)
        elif stage.kind != row.kind and _deals_in(session, stage.id):
            raise InvalidValues(
                {f"stage-{row.id}-kind": _("There are deals in this stage; what it means cannot be changed.")}
            )
        stage.name, stage.probability, stage.color = row.name.strip()[:100], row.probability, row.color
        stage.kind, stage.rot_days, stage.position = row.kind, row.rot_days, place
    for place, stage in enumerate(rest, len(stages) + 1):
        stage.position = place
    session.flush()
    retitle(session)
    index.refresh(session, PIPELINES, [index.row_of(pipeline)])


def _check_rows(name: str, stages: Sequence[StageRow]) -> None:
    errors: dict[str, Any] = {}
    if not name.strip():
        errors["name"] = _("Fill this in.")
    for row in stages:
        key = f"stage-{row.key or row.id}"
        if not row.name.strip():
            errors[f"{key}-name"] = _("Each stage needs a name.")
        if not 0 <= row.probability <= 100:
            errors[f"{key}-probability"] = _("A probability is from 0 to 100.")
        if row.kind not in (OPEN, WON, LOST):
            errors[f"{key}-kind"] = _("Choose from the list.")
    if errors:
        raise InvalidValues(errors)


def _check_ways(stages: Sequence[StageRow], present: Mapping[int, Stage]) -> None:
    kinds = [row.kind for row in stages]
    told = {row.id for row in stages}
    kinds += [stage.kind for number, stage in present.items() if number not in told]
    _require_kinds(kinds)


def _require_kinds(kinds: Iterable[str]) -> None:
    if not {OPEN, WON, LOST} <= set(kinds):
        raise InvalidValues({"": _("A pipeline needs a stage in work, one that means won and one that means refused.")})


def save_rules(
    gate: Gate,
    stage: Stage,
    *,
    required_fields: Sequence[str],
    allowed_to: Sequence[int] | None,
    mover_roles: Sequence[str] | None,
) -> None:
    """Save what is asked on entry of a stage, where one may go from it, and who may move deals to it."""
    require(gate)
    operations.describe(gate.session, gate.subject, kind="edit", entity=STAGE, record_id=stage.id)
    stage.required_fields = list(required_fields)
    stage.allowed_to = None if allowed_to is None else list(allowed_to)
    stage.mover_roles = None if mover_roles is None else list(mover_roles)
    gate.session.flush()


def _deals_in(session: Any, stage_id: int) -> bool:
    return bool(
        session.scalar(sa.select(sa.exists().where(Deal.stage_id == stage_id)), execution_options=_ANY)
    )


def delete_stage(gate: Gate, stage: Stage, move_to: int | None = None) -> int:
    """Take a stage away; its deals go to another one of the pipeline first. Return how many went."""
    require(gate)
    session = gate.session
    others = [one for one in stages_of(session, stage.pipeline_id) if one.id != stage.id]
    _require_kinds(one.kind for one in others)
    operations.describe(session, gate.subject, kind="delete", entity=STAGE, record_id=stage.id)
    operation = operations.ensure(session)
    moved = 0
    if _deals_in(session, stage.id):
        target = next((one for one in others if one.id == move_to), None)
        if target is None:
            raise InvalidValues({"move_to": _("There are deals in this stage. Choose where they go.")})
        moved = _move_all(gate, stage.id, target.id)
    for one in others:
        if one.allowed_to is not None and stage.id in one.allowed_to:
            one.allowed_to = [number for number in one.allowed_to if number != stage.id]
    stage.deleted_at, stage.deleted_op = clock.now(), operation
    session.flush()
    retitle(session)
    return moved


def _move_all(gate: Gate, from_stage: int, to_stage: int) -> int:
    session = gate.session
    table = Deal.__table__
    moved = 0
    while True:
        ids = list(
            session.scalars(
                sa.select(table.c.id).where(table.c.stage_id == from_stage).order_by(table.c.id).limit(saving.BATCH),
                execution_options=_ANY,
            )
        )
        if not ids:
            return moved
        session.execute(
            sa.update(table).where(table.c.id.in_(ids)).values(stage_id=to_stage),
            execution_options={UNGATED: "a stage does not vanish with the deals in it"},
        )
        for one in list(session.identity_map.values()):
            if isinstance(one, Deal):
                session.expire(one)
        saving.tell(gate, gate.entity(DEAL), "changed", ids)
        moved += len(ids)


def delete_pipeline(gate: Gate, pipeline: Pipeline) -> None:
    """Take a pipeline away that has no deals; one with deals can only stop taking new ones."""
    require(gate)
    session = gate.session
    if session.scalar(sa.select(sa.exists().where(Deal.pipeline_id == pipeline.id)), execution_options=_ANY):
        raise InvalidValues({"": _("There are deals in this pipeline. Let it take no new ones instead.")})
    if len(all_pipelines(session)) == 1:
        raise InvalidValues({"": _("The last pipeline stays.")})
    operations.describe(session, gate.subject, kind="delete", entity=PIPELINE, record_id=pipeline.id)
    operation = operations.ensure(session)
    now = clock.now()
    for stage in stages_of(session, pipeline.id):
        stage.deleted_at, stage.deleted_op = now, operation
    pipeline.deleted_at, pipeline.deleted_op = now, operation
    session.flush()
    retitle(session)
