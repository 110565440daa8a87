"""What is special to the card of a deal: its way as a bar, the next step, what it waits for, winning and refusing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pyramid.request import Request

from crm_core import clock
from crm_core.records.gate import Gate
from crm_core.specs import Entity
from crm_core.views.shapes import Action, CardPage, FieldView, Figure, Notice, Step
from crm_deals.entities import DEAL, STAGE
from crm_deals.i18n import _
from crm_deals.models import LOST, OPEN, WON, Deal, Stage
from crm_deals.permissions import CREATE
from crm_deals.services import discounts
from crm_deals.services.deals import missing_fields
from crm_deals.services.steps import next_steps, provider

#: Fields that say nothing of most deals.
_OF_CLOSED = ("closed_at", "reason_id", "reason_note", "discount_total", "vat_amount", "next_date")


def dressed(entities: Iterable[Entity]) -> tuple[Entity, ...]:
    """Return the entities, the deal with what is special to its card; entities themselves know no pages."""
    return tuple(replace(one, dress=dress) if one.name == DEAL else one for one in entities)


def dress(request: Request, deal: Deal, card: CardPage) -> CardPage:
    """Return the card of a deal with its way, its figures and what can be done with it."""
    gate: Gate = request.gate
    stages = list(
        gate.session.scalars(
            gate.select(STAGE).where(Stage.pipeline_id == deal.pipeline_id).order_by(Stage.position, Stage.id)
        )
    )
    may_edit = deal.deleted_at is None and gate.allows("edit", deal)
    present = next((stage for stage in stages if stage.id == deal.stage_id), None)
    actions = _actions(request, deal, stages) if may_edit else []
    menu = list(card.menu)
    if request.subject.may(CREATE):
        menu.insert(0, Action(title=_("Make a copy"), href=f"/deals/{deal.id}/clone", icon="copy", method="post"))
    return replace(
        card,
        steps=_steps(gate, deal, stages, present, may_edit),
        figures=[*card.figures, *_figures(request, deal, present)],
        notices=[*card.notices, *_notices(request, deal, may_edit)],
        main=actions[0] if actions else card.main,
        actions=[*actions[1:], *card.actions],
        menu=menu,
        sections=[replace(one, fields=_fields(deal, one.fields)) for one in card.sections],
    )


def _fields(deal: Deal, fields: Iterable[FieldView]) -> list[FieldView]:
    found = []
    for one in fields:
        if one.is_empty and one.name in _OF_CLOSED:
            continue
        if one.name == "amount" and deal.lines_total is not None:
            # With lines the amount is their sum: writing it by hand would come to nothing.
            one = replace(one, edit_href="")
        found.append(one)
    return found


def _actions(request: Request, deal: Deal, stages: list[Stage]) -> list[Action]:
    version = {"version": str(deal.version)}
    if deal.state != OPEN:
        return [
            Action(
                title=_("Open again"), href=f"/deals/{deal.id}/reopen", icon="arrow-back-up", method="post",
                values=version, part=True,
            )
        ]  # fmt: skip
    won = next((stage for stage in stages if stage.kind == WON), None)
    asks = won is not None and missing_fields(request.gate, deal, won, {})
    found = []
    if won is not None and asks:
        found.append(
            Action(
                title=_("Won"), href=f"/deals/{deal.id}/{WON}", icon="trophy", look="primary", open="dialog", id="win"
            )
        )
    elif won is not None:
        found.append(
            Action(
                title=_("Won"), href=f"/deals/{deal.id}/{WON}", icon="trophy", look="primary", method="post",
                values=version, part=True, id="win",
            )
        )  # fmt: skip
    if any(stage.kind == LOST for stage in stages):
        found.append(
            Action(title=_("Refused"), href=f"/deals/{deal.id}/{LOST}", icon="thumb-down", open="dialog", id="refuse")
        )
    return found


def _steps(gate: Gate, deal: Deal, stages: list[Stage], present: Stage | None, may_edit: bool) -> list[Step]:
    here = present.position if present is not None else 0
    found = []
    for stage in stages:
        state = ""
        if stage.id == deal.stage_id:
            state = "current"
        elif stage.kind == OPEN and stage.position < here and deal.state != LOST:
            state = "done"
        found.append(
            Step(
                title=stage.name,
                state=state,
                color=stage.color,
                icon={WON: "trophy", LOST: "thumb-down"}.get(stage.kind, ""),
                action=_step_action(gate, deal, stage, present) if may_edit and state != "current" else None,
            )
        )
    return found


def _step_action(gate: Gate, deal: Deal, stage: Stage, present: Stage | None) -> Action | None:
    roles = stage.mover_roles
    if roles is not None and not gate.subject.is_system and not gate.subject.roles & set(roles):
        return None
    ways = present.allowed_to if present is not None else None
    if ways is not None and stage.kind != LOST and stage.id not in ways:
        return None
    href = f"/deals/{deal.id}/move"
    if stage.kind == LOST or missing_fields(gate, deal, stage, {}):
        return Action(title=stage.name, href=f"{href}?stage={stage.id}", open="dialog")
    return Action(
        title=stage.name, href=href, method="post", values={"stage": str(stage.id), "version": str(deal.version)}
    )


def _figures(request: Request, deal: Deal, present: Stage | None) -> list[Figure]:
    say, formats = request.translate, request.formats
    found = []
    if deal.state == OPEN:
        if provider(request.gate) is not None:
            step = next_steps(request.gate, [deal.id]).get(deal.id)
            if step is None:
                found.append(Figure(title=say(_("Next step")), value=say(_("None yet")), tone="danger"))
            else:
                when = formats.relative(step.at) if step.at is not None else ""
                late = step.at is not None and step.at < clock.now()
                found.append(
                    Figure(
                        title=say(_("Next step")), value=step.label or when or "—", hint=when if step.label else "",
                        href=step.href, tone="danger" if late else "",
                    )
                )  # fmt: skip
        days = max(0, (clock.now() - deal.stage_since).days)
        rots = present is not None and present.rot_days is not None and days >= present.rot_days
        value = request.plural("${n} day", "${n} days", days, domain="crm_deals")
        found.append(
            Figure(
                title=say(_("In the stage")),
                value=value,
                tone="warning" if rots else "",
                hint=say(_("Stuck: longer than is usual for this stage")) if rots else "",
            )
        )
    elif deal.closed_at is not None:
        found.append(Figure(title=say(_("Closed")), value=formats.date(deal.closed_at.astimezone(formats.tz).date())))
    return found


def _notices(request: Request, deal: Deal, may_edit: bool) -> list[Notice]:
    if deal.state != OPEN or not discounts.waits(request.gate, deal):
        return []
    say = request.translate
    percent = discounts.plain(deal.discount_total)
    limit = discounts.plain(discounts.limit(request.gate))
    href = f"/deals/{deal.id}/discount"
    actions = []
    text = say(_("Until it is approved the deal cannot be won, and no offer of it goes out."))
    if request.gate.allows("discount", deal):
        actions = [
            Action(title=_("Approve"), href=f"{href}/approve", icon="check", method="post", look="primary", part=True),
            Action(title=_("Decline"), href=f"{href}/decline", icon="x", method="post", part=True),
        ]
    elif deal.discount_asked_at is not None:
        when = request.formats.relative(deal.discount_asked_at)
        text = say(_("Asked for approval: ${when}.", mapping={"when": when}))
    elif may_edit:
        actions = [
            Action(
                title=_("Ask for approval"), href=f"{href}/ask", icon="send", method="post", look="primary", part=True
            )
        ]
    return [
        Notice(
            title=say(
                _("The discount of ${n} % is over the limit of ${limit} %.", mapping={"n": percent, "limit": limit})
            ),
            text=" " + text,
            tone="warning",
            actions=actions,
        )
    ]
