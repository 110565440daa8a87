"""Pipelines, stages and reasons as others choose and name them; they are made on pages of settings."""

from __future__ import annotations

from crm_core.specs import Entity, Part
from crm_deals.i18n import _
from crm_deals.models import LossReason, Pipeline, Stage
from crm_deals.schemas import (
    DateKindSchema,
    PipelineSchema,
    RateSchema,
    ReasonSchema,
    StageSchema,
    TargetSchema,
    VatSchema,
)

PIPELINE, STAGE, REASON = "deals.pipeline", "deals.stage", "deals.reason"

PIPELINES = Entity(
    name=PIPELINE,
    title=_("Pipeline"),
    title_plural=_("Pipelines"),
    model=Pipeline,
    schema=PipelineSchema,
    permission_prefix="pipelines",
    url="/deals/pipelines",
    icon="filter",
    sort="position",
    columns=("name", "active"),
    parts=(
        Part(name="deals.vat", title=_("VAT"), schema=VatSchema),
        Part(name="deals.rate", title=_("Rate of a currency"), schema=RateSchema),
        Part(name="deals.date_kind", title=_("Kind of date"), schema=DateKindSchema),
        Part(name="deals.target", title=_("Target of sales"), schema=TargetSchema),
    ),
    own_pages=("card",),
    importable=False,
    searchable=False,
    in_menu=False,
)

STAGES = Entity(
    name=STAGE,
    title=_("Stage"),
    title_plural=_("Stages"),
    model=Stage,
    schema=StageSchema,
    permission_prefix="pipelines",
    url="/deals/stages",
    icon="progress",
    label="title",
    sort="place",
    columns=("title", "pipeline_id", "kind", "probability"),
    own_pages=("card",),
    importable=False,
    searchable=False,
    in_menu=False,
)

REASONS = Entity(
    name=REASON,
    title=_("Reason of refusal"),
    title_plural=_("Reasons of refusal"),
    model=LossReason,
    schema=ReasonSchema,
    permission_prefix="pipelines",
    url="/deals/reasons",
    icon="thumb-down",
    sort="position",
    columns=("name",),
    own_pages=("card",),
    importable=False,
    searchable=False,
    in_menu=False,
)
