"""The step between columns and check: what words of the file mean that nobody here knows, such as names of stages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from pyramid.request import Request
from pyramid.view import view_config

from crm_core.forms import FieldInfo
from crm_core.i18n import _
from crm_core.models import User
from crm_core.models.accounts import ACTIVE
from crm_core.people import Refused
from crm_core.records import cleaning
from crm_core.records.importing import engine
from crm_core.security.permissions import SIGNED_IN
from crm_core.specs import Entity
from crm_core.views.filling import Filling, choices, go, typed
from crm_core.views.imports import RunContext
from crm_core.views.imports.begin import CRUMB, steps, target_title, unknown_words
from crm_core.views.shapes import Choice, Crumb, FieldView, FormPage, Section

WORDS = "crm_core:templates/imports/words.pt"

#: Said instead of a value: the word means nothing.
NOTHING = "-"


@view_config(route_name="imports.words", request_method="GET", permission=SIGNED_IN, renderer=WORDS)
def words(context: RunContext, request: Request) -> Any:
    """Ask what unknown words mean; where there are none, go on to the check."""
    run = context.run
    if run.state != "draft":
        return go(request, f"/imports/{run.id}")
    context.require_import(request)
    try:
        unknown = unknown_words(context, request)
    except Refused as refused:
        request.toast(refused.sentence, tone="danger")
        return go(request, f"/imports/{run.id}/columns")
    if not any(unknown.values()):
        return go(request, f"/imports/{run.id}/check")
    return _page(context, request, unknown)


@view_config(route_name="imports.words", request_method="POST", permission=SIGNED_IN, renderer=WORDS)
def give_meaning(context: RunContext, request: Request) -> Any:
    """Keep what the words mean and go on to the check."""
    run = context.run
    if run.state != "draft":
        return go(request, f"/imports/{run.id}")
    context.require_import(request)
    options = engine.Options.from_json(run.options)
    known = engine.targets(request.gate, context.entity(request))
    meanings = {}
    for target, found in unknown_words(context, request).items():
        allowed = {choice.value for choice in _meanings(request, known[target])}
        told = dict(options.words.get(target, {}))
        for word in found:
            key = cleaning.sort_key(word)
            value = typed(request, _field(target, word))
            if value == NOTHING:
                told[key] = ""
            elif value in allowed:
                told[key] = value
            else:
                told.pop(key, None)
        meanings[target] = told
    run.options = {**run.options, **replace(options, words={**options.words, **meanings}).to_json()}
    return go(request, f"/imports/{run.id}/check")


def _field(target: str, word: str) -> str:
    return f"word-{target}-{hashlib.sha256(cleaning.sort_key(word).encode()).hexdigest()[:12]}"


def _meanings(request: Request, info: FieldInfo) -> list[Choice]:
    if info.kind == "choice":
        return choices((value, request.translate(title)) for value, title in info.choices)
    if info.kind == "user":
        people = request.db.execute(
            sa.select(User.id, User.name).where(User.status == ACTIVE).order_by(sa.func.lower(User.name)).limit(1000)
        ).all()
        return choices(people)
    return _records(request, info)


def _records(request: Request, info: FieldInfo) -> list[Choice]:
    entities: Mapping[str, Entity] = request.gate.plugins.entities
    other = entities.get(info.entity)
    if other is None:
        return []
    rows = request.db.scalars(request.gate.select(other).limit(engine.MOST_WORDS))
    return choices((row.id, getattr(row, other.label)) for row in rows)


def _page(context: RunContext, request: Request, unknown: dict[str, dict[str, int]]) -> dict[str, Any]:
    run, entity, form = context.run, context.entity(request), Filling(request)
    known = engine.targets(request.gate, entity)
    options = engine.Options.from_json(run.options)
    sections: list[Section] = []
    for target, found in unknown.items():
        info, offered = known[target], _meanings(request, known[target])
        strict = info.feed is not None and info.feed.strict
        empty = Choice(value="", title=request.translate(_("Not said: reject the row") if strict else _("Leave out")))
        nothing = [Choice(value=NOTHING, title=request.translate(_("Means nothing: leave the field empty")))]
        fields: list[FieldView] = []
        for word, count in found.items():
            told = options.words.get(target, {}).get(cleaning.sort_key(word))
            fields.append(
                form.field(
                    _field(target, word),
                    word,
                    "choice",
                    NOTHING if told == "" else told or "",
                    choices=[empty, *offered, *(nothing if strict else ())],
                    help=request.plural("${n} row", "${n} rows", count),
                )
            )
        sections.append(
            Section(title=target_title(request, entity, target, known), id=f"words-{len(sections)}", fields=fields)
        )
    return {
        "title": run.file_name,
        "steps": steps(2),
        "page": FormPage(
            title=_("What these words mean"),
            intro=request.translate(_("The file has words that are not known here. What is chosen is kept.")),
            action=f"/imports/{run.id}/words",
            submit=_("Go on to the check"),
            crumbs=[CRUMB, Crumb(title=run.file_name, href=f"/imports/{run.id}/columns")],
            cancel_href=f"/imports/{run.id}/columns",
            sections=sections,
        ),
    }
