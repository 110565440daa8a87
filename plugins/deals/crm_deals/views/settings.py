"""Settings of deals: pipelines with their stages and rules, reasons, dates, VAT, rates, the limit of discounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import clock
from crm_core.company import CURRENCIES
from crm_core.forms import InvalidValues
from crm_core.records import operations
from crm_core.security.permissions import ROLES
from crm_core.views.shapes import COLORS, Action, Choice, Crumb, FieldView, Tab
from crm_deals.i18n import _
from crm_deals.models import LOST, Pipeline, Stage
from crm_deals.permissions import PIPELINES_VIEW
from crm_deals.permissions import SETTINGS as MAY_SET
from crm_deals.schemas import STAGE_KINDS, VAT_CODES
from crm_deals.services import belongings, discounts, lists, pipelines
from crm_deals.services.deals import entry_fields
from crm_deals.views.answers import FORM, choices, day, decimal, done, form_page, number, number_or_none, refused

_T = "crm_deals:templates/"
HOME = "/settings/deals"
PIPELINES = f"{HOME}/pipelines"

COLOR_TITLES: Mapping[str, str] = {
    "gray": _("Grey"),
    "red": _("Red"),
    "orange": _("Orange"),
    "yellow": _("Yellow"),
    "green": _("Green"),
    "teal": _("Teal"),
    "blue": _("Blue"),
    "indigo": _("Indigo"),
    "purple": _("Purple"),
    "pink": _("Pink"),
}


def _around(request: Request, here: str) -> dict[str, Any]:
    tabs = (
        ("pipelines", _("Pipelines"), PIPELINES),
        ("reasons", _("Reasons of refusal"), f"{HOME}/reasons"),
        ("dates", _("Dates"), f"{HOME}/dates"),
        ("vat", _("VAT"), f"{HOME}/vat"),
        ("rates", _("Rates of currencies"), f"{HOME}/rates"),
        ("discounts", _("Discounts"), f"{HOME}/discounts"),
    )
    return {
        "title": _("Settings of deals"),
        "crumbs": [Crumb(title=request.translate(_("Settings")), href="/settings")],
        "tabs": [Tab(title=request.translate(title), href=href, active=name == here) for name, title, href in tabs],
    }


# -- pipelines ---------------------------------------------------------------------------------------------------------


@view_config(route_name="deals.settings", request_method="GET", permission=MAY_SET, renderer=_T + "pipelines.pt")
def show_pipelines(request: Request) -> dict[str, Any]:
    """Show the pipelines, and the form that makes one."""
    return _pipelines_page(request)


def _pipelines_page(request: Request, errors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    errors = errors or {}
    say = request.translate
    counts = pipelines.counts(request.db)
    by_pipeline: dict[int, list[Stage]] = {}
    for stage in pipelines.stages_of(request.db):
        by_pipeline.setdefault(stage.pipeline_id, []).append(stage)
    found = [
        {
            "id": pipeline.id,
            "name": pipeline.name,
            "active": pipeline.active,
            "href": f"{HOME}/pipelines/{pipeline.id}",
            "stages": by_pipeline.get(pipeline.id, []),
            "deals_text": _deals(request, sum(counts.get(one.id, 0) for one in by_pipeline.get(pipeline.id, []))),
        }
        for pipeline in pipelines.all_pipelines(request.db)
    ]
    templates = [
        Choice(value=name, title=str(say(title)), hint=" → ".join(str(say(row[0])) for row in stages))
        for name, (title, stages) in pipelines.TEMPLATES.items()
    ]
    posted = request.POST if request.method == "POST" else {}
    form = form_page(
        request,
        id="new-pipeline",
        title=_("New pipeline"),
        action=PIPELINES,
        submit=_("Create the pipeline"),
        fields=[
            FieldView(
                name="name",
                title=say(_("Name")),
                value=str(posted.get("name", "")),
                required=True,
                maxlength=100,
                error=say(errors["name"]) if "name" in errors else "",
            ),
            FieldView(
                name="template",
                title=say(_("Stages as in")),
                kind="radio",
                value=str(posted.get("template", "sales")),
                choices=templates,
            ),
        ],
        cancel="",
        errors=errors,
    )["page"]
    return {**_around(request, "pipelines"), "pipelines": found, "form": form, "order_href": f"{HOME}/order"}


def _deals(request: Request, count: int) -> str:
    return str(request.plural("${n} deal", "${n} deals", count, domain="crm_deals"))


@view_config(route_name="deals.settings", request_method="POST", permission=MAY_SET, renderer=_T + "pipelines.pt")
def create_pipeline(request: Request) -> Any:
    """Make a pipeline from a template."""
    try:
        made = pipelines.create_pipeline(
            request.gate,
            str(request.POST.get("name", "")),
            str(request.POST.get("template", "sales")),
            request.translate,
        )
    except InvalidValues as invalid:
        return _pipelines_page(request, invalid.errors)
    said = _("The pipeline is made: ${name}", mapping={"name": made.name})
    return done(request, said, f"{HOME}/pipelines/{made.id}", go=True)


@view_config(route_name="deals.settings.order", request_method="POST", permission=MAY_SET)
def order_pipelines(request: Request) -> Any:
    """Put the pipelines in another order."""
    pipelines.order_pipelines(request.gate, [number(one) for one in request.POST.getall("order")])
    return done(request, _("The order is saved."), PIPELINES)


def _pipeline(request: Request) -> Pipeline:
    found = pipelines.find_pipeline(request.db, number(request.matchdict["id"]))
    if found is None:
        raise HTTPNotFound
    return found


@view_config(
    route_name="deals.settings.pipeline", request_method="GET", permission=MAY_SET, renderer=_T + "pipeline.pt"
)
def show_pipeline(request: Request) -> dict[str, Any]:
    """Show a pipeline with its stages as a table to write in."""
    pipeline = _pipeline(request)
    rows = [_typed_stage(stage) for stage in pipelines.stages_of(request.db, pipeline.id)]
    values = {"name": pipeline.name, "active": pipeline.active, "currency": pipeline.currency or ""}
    return _pipeline_page(request, pipeline, values, rows)


def _typed_stage(stage: Stage) -> dict[str, Any]:
    return {
        "key": str(stage.id),
        "name": stage.name,
        "probability": str(stage.probability),
        "color": stage.color,
        "kind": stage.kind,
        "rot_days": "" if stage.rot_days is None else str(stage.rot_days),
    }


def _pipeline_page(
    request: Request,
    pipeline: Pipeline,
    values: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    errors: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    errors = errors or {}
    say = request.translate
    counts = pipelines.counts(request.db)
    stages = {str(stage.id): stage for stage in pipelines.stages_of(request.db, pipeline.id)}
    shown = []
    for row in rows:
        stage = stages.get(row["key"])
        shown.append(
            {
                **row,
                "rules_href": f"{HOME}/stages/{stage.id}" if stage is not None else "",
                "delete_href": f"{HOME}/stages/{stage.id}/delete" if stage is not None else "",
                "rules": _rules_in_words(request, stage) if stage is not None else "",
                "deals": counts.get(stage.id, 0) if stage is not None else 0,
                "deals_text": _deals(request, counts.get(stage.id, 0)) if stage is not None else "",
                "errors": [str(say(text)) for name, text in errors.items() if name.startswith(f"stage-{row['key']}-")],
            }
        )
    if errors:
        request.response.status_int = 422
    blank = {"name": "", "probability": "50", "color": "blue", "kind": "open", "rot_days": "", "rules_href": "",
             "delete_href": "", "rules": "", "deals": 0, "deals_text": "", "errors": []}  # fmt: skip
    return {
        **_around(request, "pipelines"),
        "crumbs": [
            Crumb(title=say(_("Settings")), href="/settings"),
            Crumb(title=say(_("Settings of deals")), href=PIPELINES),
        ],
        "pipeline": pipeline,
        "values": values,
        "action": f"{HOME}/pipelines/{pipeline.id}",
        "delete": Action(
            title=_("Delete the pipeline"),
            href=f"{HOME}/pipelines/{pipeline.id}/delete",
            icon="trash",
            method="post",
            look="danger",
        )
        if not any(counts.get(stage.id) for stage in stages.values())
        else None,
        "rows": shown,
        "blank": {**blank, "key": "new0000"},
        "colors": [Choice(value=color, title=str(say(COLOR_TITLES[color]))) for color in COLORS],
        "kinds": choices(request, STAGE_KINDS),
        "currencies": [
            Choice(value="", title=str(say(_("The company's")))),
            *(Choice(value=code, title=code) for code in CURRENCIES),
        ],
        "errors": [str(say(text)) for name, text in errors.items() if not name or name == "name"],
    }


def _rules_in_words(request: Request, stage: Stage) -> str:
    say = request.translate
    parts = []
    if stage.required_fields:
        known = entry_fields(request.gate)
        names = [str(say(known[name].title)) for name in stage.required_fields if name in known]
        parts.append(str(say(_("asks for: ${fields}", mapping={"fields": ", ".join(names)}))))
    if stage.allowed_to is not None:
        parts.append(str(say(_("ways out: ${n}", mapping={"n": len(stage.allowed_to)}))))
    if stage.mover_roles is not None:
        parts.append(str(say(_("only certain roles"))))
    return "; ".join(parts)


@view_config(
    route_name="deals.settings.pipeline", request_method="POST", permission=MAY_SET, renderer=_T + "pipeline.pt"
)
def save_pipeline(request: Request) -> Any:
    """Save a pipeline with its stages in their order."""
    pipeline = _pipeline(request)
    rows = [_posted_stage(request, key) for key in request.POST.getall("order")]
    rows = [row for row in rows if row["name"] or not row["key"].startswith("new")]
    values = {
        "name": str(request.POST.get("name", "")),
        "active": request.POST.get("active") == "1",
        "currency": str(request.POST.get("currency", "")),
    }
    stages = [
        pipelines.StageRow(
            id=number_or_none(row["key"]),
            key=row["key"],
            name=row["name"],
            probability=_whole(row["probability"], -1),
            color=row["color"] if row["color"] in COLORS else "gray",
            kind=row["kind"],
            rot_days=_whole(row["rot_days"], 0) or None,
        )
        for row in rows
    ]
    currency = values["currency"] if values["currency"] in CURRENCIES else None
    try:
        with request.db.begin_nested():
            pipelines.save_pipeline(
                request.gate,
                pipeline,
                name=values["name"],
                active=values["active"],
                currency=currency,
                stages=stages,
            )
    except InvalidValues as invalid:
        return _pipeline_page(request, pipeline, values, rows, invalid.errors)
    said = _("Saved: ${name}", mapping={"name": pipeline.name})
    return done(request, said, f"{HOME}/pipelines/{pipeline.id}")


def _posted_stage(request: Request, key: str) -> dict[str, Any]:
    def of(name: str) -> str:
        return str(request.POST.get(f"stage-{key}-{name}", "")).strip()

    return {"key": key, **{name: of(name) for name in ("name", "probability", "color", "kind", "rot_days")}}


def _whole(text: str, otherwise: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 7 else otherwise


@view_config(route_name="deals.settings.pipeline_delete", request_method="POST", permission=MAY_SET)
def delete_pipeline(request: Request) -> Any:
    """Take away a pipeline without deals."""
    pipeline = _pipeline(request)
    try:
        pipelines.delete_pipeline(request.gate, pipeline)
    except InvalidValues as invalid:
        return refused(request, next(iter(invalid.errors.values())), f"{HOME}/pipelines/{pipeline.id}")
    return done(request, _("The pipeline is gone: ${name}", mapping={"name": pipeline.name}), PIPELINES, go=True)


# -- the rules of a stage ----------------------------------------------------------------------------------------------


def _stage(request: Request) -> Stage:
    found = pipelines.find_stage(request.db, number(request.matchdict["id"]))
    if found is None:
        raise HTTPNotFound
    return found


@view_config(route_name="deals.settings.stage", request_method="GET", permission=MAY_SET, renderer=FORM)
def show_rules(request: Request) -> dict[str, Any]:
    """Show what a stage asks for, where one may go from it and who may move deals to it."""
    stage = _stage(request)
    say = request.translate
    others = [
        one for one in pipelines.stages_of(request.db, stage.pipeline_id) if one.id != stage.id and one.kind != LOST
    ]
    fields = [
        FieldView(
            name="required_fields",
            title=say(_("Filled in on entry")),
            kind="choices",
            value=list(stage.required_fields),
            choices=choices(request, [(name, info.title) for name, info in entry_fields(request.gate).items()]),
            help=say(_("Whoever moves a deal here is asked for those that are empty.")),
        ),
        FieldView(
            name="allowed_to",
            title=say(_("From here deals go to")),
            kind="choices",
            value=[str(one) for one in stage.allowed_to or ()],
            choices=choices(request, [(one.id, one.name) for one in others]),
            help=say(_("None chosen: to any stage. Refusing is possible from everywhere.")),
        ),
        FieldView(
            name="mover_roles",
            title=say(_("Who moves deals here")),
            kind="choices",
            value=list(stage.mover_roles or ()),
            choices=choices(request, [(role.name, role.title) for role in ROLES[:4]]),
            help=say(_("None chosen: whoever may edit the deal.")),
        ),
    ]
    return form_page(
        request,
        id="rules",
        title=_("Rules of the stage “${name}”", mapping={"name": stage.name}),
        action=f"{HOME}/stages/{stage.id}",
        submit=_("Save the rules"),
        fields=fields,
        cancel=f"{HOME}/pipelines/{stage.pipeline_id}",
    )


@view_config(route_name="deals.settings.stage", request_method="POST", permission=MAY_SET, renderer=FORM)
def save_rules(request: Request) -> Any:
    """Save the rules of a stage."""
    stage = _stage(request)
    known = entry_fields(request.gate)
    ids = {one.id for one in pipelines.stages_of(request.db, stage.pipeline_id)}
    roles = {role.name for role in ROLES}
    allowed = [one for one in map(number, request.POST.getall("allowed_to")) if one in ids]
    movers = [one for one in request.POST.getall("mover_roles") if one in roles]
    pipelines.save_rules(
        request.gate,
        stage,
        required_fields=[one for one in request.POST.getall("required_fields") if one in known],
        allowed_to=allowed or None,
        mover_roles=movers or None,
    )
    return done(request, _("The rules are saved."), f"{HOME}/pipelines/{stage.pipeline_id}")


@view_config(route_name="deals.settings.stage_delete", request_method="GET", permission=MAY_SET, renderer=FORM)
def asking_where_deals_go(request: Request) -> dict[str, Any]:
    """Ask where the deals of a stage go before it is taken away."""
    return _delete_page(request, _stage(request))


@view_config(route_name="deals.settings.stage_delete", request_method="POST", permission=MAY_SET, renderer=FORM)
def delete_stage(request: Request) -> Any:
    """Take a stage away; its deals go where was said."""
    stage = _stage(request)
    try:
        moved = pipelines.delete_stage(request.gate, stage, number_or_none(request.POST.get("move_to")))
    except InvalidValues as invalid:
        return _delete_page(request, stage, invalid.errors)
    said = _("The stage “${name}” is gone. Deals moved: ${n}", mapping={"name": stage.name, "n": moved})
    return done(request, said, f"{HOME}/pipelines/{stage.pipeline_id}")


def _delete_page(request: Request, stage: Stage, errors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    errors = errors or {}
    say = request.translate
    count = pipelines.counts(request.db).get(stage.id, 0)
    fields = []
    if count:
        others = [
            (one.id, one.name) for one in pipelines.stages_of(request.db, stage.pipeline_id) if one.id != stage.id
        ]
        fields.append(
            FieldView(
                name="move_to",
                title=say(_("Its deals go to")),
                kind="choice",
                required=True,
                choices=choices(request, others),
                error=say(errors["move_to"]) if "move_to" in errors else "",
            )
        )
    return form_page(
        request,
        id="delete-stage",
        title=_("Delete the stage “${name}”", mapping={"name": stage.name}),
        action=f"{HOME}/stages/{stage.id}/delete",
        submit=_("Delete the stage"),
        fields=fields,
        cancel=f"{HOME}/pipelines/{stage.pipeline_id}",
        intro=_("Deals in it, those in the trash too: ${n}", mapping={"n": count})
        if count
        else _("There are no deals in it. Its past stays in the history of deals."),
        errors=errors,
        danger=True,
    )


# -- lists -------------------------------------------------------------------------------------------------------------


@view_config(route_name="deals.settings.reasons", request_method="GET", permission=MAY_SET, renderer=_T + "rows.pt")
def show_reasons(request: Request) -> dict[str, Any]:
    """Show the reasons of refusal."""
    counts = lists.reason_counts(request.db)
    rows = [(str(one.id), one.name, counts.get(one.id, 0)) for one in lists.reasons(request.db)]
    return _reasons_page(request, rows)


def _reasons_page(request: Request, rows: Sequence[tuple[str, str, int]], errors: Any = None) -> dict[str, Any]:
    say = request.translate
    if errors:
        request.response.status_int = 422
    return {
        **_around(request, "reasons"),
        "text": _("Whoever refuses a deal chooses one. A reason that is taken off stays with the deals that have it."),
        "action": f"{HOME}/reasons",
        "submit": _("Save the reasons"),
        "columns": [say(_("Reason")), say(_("Deals"))],
        "rows": [
            {
                "key": key,
                "cells": [
                    {"name": "name", "value": name, "kind": "text", "title": say(_("Reason")), "maxlength": 200},
                    {"kind": "static", "value": request.formats.number(count) if count else ""},
                ],
            }
            for key, name, count in [*rows, ("new0000", "", 0)]
        ],
        "removable": True,
        "errors": [str(say(text)) for text in (errors or {}).values()],
    }


@view_config(route_name="deals.settings.reasons", request_method="POST", permission=MAY_SET, renderer=_T + "rows.pt")
def save_reasons(request: Request) -> Any:
    """Save the reasons of refusal in their order."""
    rows = [(key, str(request.POST.get(f"row-{key}-name", ""))) for key in request.POST.getall("order")]
    try:
        with request.db.begin_nested():
            lists.save_reasons(request.gate, [(number_or_none(key), name) for key, name in rows])
    except InvalidValues as invalid:
        return _reasons_page(request, [(key, name, 0) for key, name in rows if name], invalid.errors)
    return done(request, _("The reasons are saved."), f"{HOME}/reasons")


@view_config(route_name="deals.settings.dates", request_method="GET", permission=MAY_SET, renderer=_T + "rows.pt")
def show_dates(request: Request) -> dict[str, Any]:
    """Show the kinds of dates that deals may have."""
    say = request.translate
    rows = [
        (
            str(kind.id),
            str(say(belongings.kind_title(kind))),
            "" if kind.remind_days is None else str(kind.remind_days),
            not kind.archived,
        )
        for kind in belongings.date_kinds(request.db, archived=True)
    ]
    return _dates_page(request, rows)


def _dates_page(
    request: Request, rows: Sequence[tuple[str, str, str, bool]], errors: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    say = request.translate
    if errors:
        request.response.status_int = 422
    titles = [say(_("Date")), say(_("Remind days before")), say(_("Offered"))]
    return {
        **_around(request, "dates"),
        "text": _("Days of a deal that matter. Its responsible is reminded so many days before, at nine."),
        "action": f"{HOME}/dates",
        "submit": _("Save the dates"),
        "columns": titles,
        "rows": [
            {
                "key": key,
                "cells": [
                    {"name": "title", "value": title, "kind": "text", "title": titles[0], "maxlength": 100},
                    {"name": "remind", "value": remind, "kind": "number", "title": titles[1], "maxlength": 3},
                    {"name": "offered", "value": offered, "kind": "bool", "title": titles[2]},
                ],
            }
            for key, title, remind, offered in [*rows, ("new0000", "", "1", True)]
        ],
        "removable": False,
        "errors": [str(say(text)) for text in (errors or {}).values()],
    }


@view_config(route_name="deals.settings.dates", request_method="POST", permission=MAY_SET, renderer=_T + "rows.pt")
def save_dates(request: Request) -> Any:
    """Save the kinds of dates in their order."""
    say = request.translate
    usual = {
        kind.id: str(say(belongings.TITLES[kind.code]))
        for kind in belongings.date_kinds(request.db, archived=True)
        if kind.code in belongings.TITLES
    }
    rows = []
    for key in request.POST.getall("order"):
        title = str(request.POST.get(f"row-{key}-title", "")).strip()
        typed = str(request.POST.get(f"row-{key}-remind", "")).strip()
        rows.append((key, title, typed, request.POST.get(f"row-{key}-offered") == "1"))
    try:
        with request.db.begin_nested():
            lists.save_date_kinds(
                request.gate,
                [
                    (
                        number_or_none(key),
                        "" if usual.get(number(key)) == title else title,
                        _whole(typed, -1) if typed else None,
                        offered,
                    )
                    for key, title, typed, offered in rows
                ],
            )
    except InvalidValues as invalid:
        return _dates_page(request, [row for row in rows if row[1]], invalid.errors)
    return done(request, _("The dates are saved."), f"{HOME}/dates")


@view_config(route_name="deals.settings.vat", request_method="GET", permission=MAY_SET, renderer=_T + "rates.pt")
def show_vat(request: Request) -> dict[str, Any]:
    """Show the dated table of VAT."""
    return _vat_page(request)


def _vat_page(request: Request, errors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    errors = errors or {}
    say, formats = request.translate, request.formats
    titles = dict(VAT_CODES)
    found = lists.vat_rates(request.db)
    first: dict[str, int] = {}
    for row in found:
        first.setdefault(row.code, row.id)
    posted = request.POST if request.method == "POST" else {}
    return {
        **_around(request, "vat"),
        "text": _("A deal has the rate of its day: of the day it was closed, or of the day it is expected to close."),
        "columns": [say(_("VAT")), say(_("From")), say(_("Rate"))],
        "rows": [
            {
                "cells": [
                    say(titles.get(row.code, row.code)),
                    formats.date(row.since),
                    say(_("without VAT")) if row.rate is None else f"{formats.number(row.rate)} %",
                ],
                "remove_href": f"{HOME}/vat/{row.id}/remove" if first[row.code] != row.id else "",
            }
            for row in found
        ],
        "form": form_page(
            request,
            id="vat",
            title=_("A new rate"),
            action=f"{HOME}/vat",
            submit=_("Add the rate"),
            fields=[
                FieldView(
                    name="code",
                    title=say(_("VAT")),
                    kind="choice",
                    required=True,
                    value=str(posted.get("code", "standard")),
                    choices=choices(request, [pair for pair in VAT_CODES if pair[0] != "none"]),
                    error=say(errors["code"]) if "code" in errors else "",
                ),
                *_since_and_rate(request, posted, errors, say(_("Rate, %"))),
            ],
            cancel="",
            errors=errors,
        )["page"],
    }


def _since_and_rate(request: Request, posted: Any, errors: Mapping[str, Any], title: str) -> list[FieldView]:
    say = request.translate
    return [
        FieldView(
            name="since",
            title=say(_("From")),
            kind="date",
            required=True,
            value=str(posted.get("since", "")) or clock.today(request.formats.tz).isoformat(),
            error=say(errors["since"]) if "since" in errors else "",
        ),
        FieldView(
            name="rate",
            title=title,
            kind="number",
            required=True,
            step="any",
            value=str(posted.get("rate", "")),
            error=say(errors["rate"]) if "rate" in errors else "",
        ),
    ]


@view_config(route_name="deals.settings.vat", request_method="POST", permission=MAY_SET, renderer=_T + "rates.pt")
def add_vat(request: Request) -> Any:
    """Add a rate of VAT that holds from a day on."""
    since = day(request.POST.get("since"))
    if since is None:
        return _vat_page(request, {"since": _("Write a date.")})
    try:
        lists.add_vat_rate(
            request.gate, str(request.POST.get("code", "")), decimal(request.POST.get("rate")), since
        )
    except InvalidValues as invalid:
        return _vat_page(request, invalid.errors)
    return done(request, _("The rate is in the table."), f"{HOME}/vat")


@view_config(route_name="deals.settings.vat_remove", request_method="POST", permission=MAY_SET)
def remove_vat(request: Request) -> Any:
    """Take a rate of VAT off the table."""
    try:
        lists.remove_vat_rate(request.gate, number(request.matchdict["row"]))
    except InvalidValues as invalid:
        return refused(request, next(iter(invalid.errors.values())), f"{HOME}/vat")
    return done(request, _("The rate is off the table."), f"{HOME}/vat")


@view_config(route_name="deals.settings.rates", request_method="GET", permission=MAY_SET, renderer=_T + "rates.pt")
def show_rates(request: Request) -> dict[str, Any]:
    """Show the rates of currencies."""
    return _rates_page(request)


def _rates_page(request: Request, errors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    errors = errors or {}
    say, formats = request.translate, request.formats
    own = request.company.currency
    posted = request.POST if request.method == "POST" else {}
    return {
        **_around(request, "rates"),
        "text": _(
            "Amounts in other currencies are also kept in ${currency}, at the rate of the day. Without a rate such a "
            "deal stands in no total.",
            mapping={"currency": own},
        ),
        "columns": [say(_("Currency")), say(_("From")), say(_("Rate"))],
        "rows": [
            {
                "cells": [row.currency, formats.date(row.since), f"{formats.number(row.rate)} {own}"],
                "remove_href": f"{HOME}/rates/{row.id}/remove",
            }
            for row in lists.rates(request.db)
        ],
        "form": form_page(
            request,
            id="rate",
            title=_("A new rate"),
            action=f"{HOME}/rates",
            submit=_("Add the rate"),
            fields=[
                FieldView(
                    name="currency",
                    title=say(_("Currency")),
                    kind="choice",
                    required=True,
                    value=str(posted.get("currency", "")),
                    choices=[Choice(value=code, title=code) for code in CURRENCIES if code != own],
                    error=say(errors["currency"]) if "currency" in errors else "",
                ),
                *_since_and_rate(
                    request, posted, errors, say(_("One unit in ${currency}", mapping={"currency": own}))
                ),
            ],
            cancel="",
            errors=errors,
        )["page"],
    }


@view_config(route_name="deals.settings.rates", request_method="POST", permission=MAY_SET, renderer=_T + "rates.pt")
def add_rate(request: Request) -> Any:
    """Add a rate of a currency that holds from a day on."""
    since = day(request.POST.get("since"))
    if since is None:
        return _rates_page(request, {"since": _("Write a date.")})
    try:
        lists.add_rate(
            request.gate, str(request.POST.get("currency", "")), decimal(request.POST.get("rate")), since
        )
    except InvalidValues as invalid:
        return _rates_page(request, invalid.errors)
    return done(request, _("The rate is in the table."), f"{HOME}/rates")


@view_config(route_name="deals.settings.rate_remove", request_method="POST", permission=MAY_SET)
def remove_rate(request: Request) -> Any:
    """Take a rate of a currency off the table."""
    lists.remove_rate(request.gate, number(request.matchdict["row"]))
    return done(request, _("The rate is off the table."), f"{HOME}/rates")


@view_config(
    route_name="deals.settings.discounts", request_method="GET", permission=MAY_SET, renderer=_T + "tabbed.pt"
)
def show_discounts(request: Request) -> dict[str, Any]:
    """Show the limit of discounts."""
    return _discounts_page(request, str(discounts.plain(Decimal(str(request.company.get(discounts.LIMIT))))))


def _discounts_page(request: Request, value: str, error: Any = "") -> dict[str, Any]:
    say = request.translate
    form = form_page(
        request,
        id="discounts",
        title=_("Limit of discounts"),
        action=f"{HOME}/discounts",
        submit=_("Save the limit"),
        fields=[
            FieldView(
                name="limit",
                title=say(_("Discounts over so many percent must be approved")),
                kind="percent",
                required=True,
                value=value,
                minimum="0",
                maximum="100",
                error=say(error) if error else "",
                help=say(
                    _("By the head of the department or the director. Until then the deal cannot be won, and no "
                      "offer of it goes out.")
                ),
            )
        ],
        cancel="",
        errors={"limit": error} if error else None,
    )["page"]  # fmt: skip
    return {**_around(request, "discounts"), "form": form}


@view_config(
    route_name="deals.settings.discounts", request_method="POST", permission=MAY_SET, renderer=_T + "tabbed.pt"
)
def save_discounts(request: Request) -> Any:
    """Save the limit of discounts."""
    typed = str(request.POST.get("limit", ""))
    value = decimal(typed)
    if value is None or not 0 <= value <= 100:
        return _discounts_page(request, typed, _("From 0 to 100 percent."))
    operations.describe(request.db, request.subject, kind="settings", entity="core.setting", note=discounts.LIMIT)
    request.company.set(discounts.LIMIT, int(value) if value == value.to_integral_value() else float(value))
    return done(request, _("The limit is saved."), f"{HOME}/discounts")


# -- where links of lists lead -----------------------------------------------------------------------------------------


@view_config(route_name="deals.stage_card", permission=PIPELINES_VIEW)
@view_config(route_name="deals.pipeline_card", permission=PIPELINES_VIEW)
@view_config(route_name="deals.reason_card", permission=PIPELINES_VIEW)
def go_to_deals(request: Request) -> Any:
    """Lead from the name of a stage, pipeline or reason to the deals that have it."""
    which = request.matched_route.name.removeprefix("deals.").removesuffix("_card")
    return HTTPSeeOther(f"/deals?f={which}_id:any:{number(request.matchdict['id'])}")

