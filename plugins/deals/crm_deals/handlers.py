"""What follows from facts: moves are told, and what deals keep of lines, dates and talks stays right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from crm_core.events import EventContext
from crm_core.records import operations
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject
from crm_core.specs import Event
from crm_deals import events as facts
from crm_deals.entities import DEAL, LEAD
from crm_deals.models import LOST, OPEN, WON
from crm_deals.services import activity, belongings, closing, lead_sources, leads, lines
from crm_deals.services.deals import told


def react(event: Event, context: EventContext) -> None:
    """Do what follows from a fact, if anything."""
    handler = HANDLERS.get(event.name)
    if handler is not None:
        handler(event, context)


def _deals_written(event: Event, context: EventContext) -> None:
    tell_moves(context, event.payload["ids"])
    lines.recount(context.session, event.payload["ids"], lines.zone_of(context.subject))
    _dates_moved(event, context)


def _dates_moved(event: Event, context: EventContext) -> None:
    belongings.refresh_reminders(
        context.session, belongings.with_dates(context.session, event.payload["ids"]), lines.zone_of(context.subject)
    )


def _closed(event: Event, context: EventContext) -> None:
    closing.tell_heads(context, event.payload["ids"], event.name)


def tell_moves(context: EventContext, ids: Iterable[int]) -> None:
    """Tell of the moves that this operation made of deals: whatever path they took, each is told once."""
    operation = operations.current(context.session)
    if operation is None:
        return
    moves: dict[tuple[int, int | None, int, str | None, str], list[int]] = defaultdict(list)
    for row in context.session.execute(told(ids, operation)):
        way = (row.pipeline_id, row.from_stage_id, row.to_stage_id, row.from_state, row.to_state)
        moves[way].append(row.deal_id)
    for (pipeline, from_stage, stage, was, state), deals in moves.items():
        where = {"ids": sorted(deals), "pipeline": pipeline, "stage": stage}
        context.fire(Event(facts.STAGE_CHANGED, {**where, "from_stage": from_stage, "state": state}))
        for name in _closing(was, state):
            context.fire(Event(name, where))


def _closing(was: str | None, state: str) -> Iterable[str]:
    if state == was:
        return ()
    if state == WON:
        return (facts.WON,)
    if state == LOST:
        return (facts.LOST,)
    return (facts.REOPENED,) if was in (WON, LOST) and state == OPEN else ()


def _talked(event: Event, context: EventContext) -> None:
    payload: Mapping[str, Any] = event.payload
    activity.happened(context.session, payload["subject_entity"], payload["subject_id"], payload["at"])


def _lead_handed(event: Event, context: EventContext) -> None:
    leads.handed(Gate(context.session, context.subject, context.plugins), event.payload["ids"])


def _lead_written(event: Event, context: EventContext) -> None:
    leads.complete(Gate(context.session, context.subject, context.plugins), event.payload["ids"])


def _unknown_number(event: Event, context: EventContext) -> None:
    subject = Subject.system("a call from a number of nobody becomes a lead")
    lead_sources.of_call(Gate(context.session, subject, context.plugins), event.payload)


HANDLERS: Mapping[str, Callable[[Event, EventContext], None]] = {
    **dict.fromkeys((f"{DEAL}.{verb}" for verb in ("created", "changed")), _deals_written),
    **dict.fromkeys((f"{DEAL}.{verb}" for verb in ("assigned", "trashed", "restored")), _dates_moved),
    facts.WON: _closed,
    facts.LOST: _closed,
    # Heard by name: the plugin of clients is not imported.
    "clients.interaction.recorded": _talked,
    "calls.number.unknown": _unknown_number,
    f"{LEAD}.assigned": _lead_handed,
    f"{LEAD}.created": _lead_written,
}
