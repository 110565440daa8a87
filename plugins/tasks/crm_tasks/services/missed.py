"""A missed call becomes a task of whoever is responsible for the client, once for each call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from crm_core import clock
from crm_core.db import UNGATED, RecordRef
from crm_core.i18n import localizer_for, translate
from crm_core.models.accounts import ACTIVE, User
from crm_core.records.gate import Gate
from crm_tasks.i18n import _
from crm_tasks.models import Task
from crm_tasks.schemas import CALL, HIGH
from crm_tasks.services import tasks
from crm_tasks.services.company import ways_of

_WHY = {UNGATED: "whether the call has a task already does not depend on who asks"}


def call_back(gate: Gate, payload: Mapping[str, Any]) -> Task | None:
    """Make the task to call back; None where there is one already, or nobody to do it."""
    session = gate.session
    origin = f"calls.call:{payload['id']}"
    if session.scalar(sa.select(Task.id).where(Task.origin == origin), execution_options=_WHY) is not None:
        return None
    subject = _subject(gate, payload)
    owner = _responsible(gate, subject) or _active(gate, payload.get("user_id"))
    if owner is None:
        return None
    ways = ways_of(gate)
    at = payload.get("at")
    missed = dt.datetime.fromisoformat(at) if isinstance(at, str) and at else clock.now()
    due = max(missed, clock.now()) + dt.timedelta(minutes=ways.call_back_minutes)
    return tasks.create(
        gate,
        subject=subject,
        title=_title(session, owner, str(payload.get("number") or "")),
        kind=CALL,
        priority=HIGH,
        due_at=due,
        zone=_zone(session, owner) or ways.zone,
        duration_min=10,
        owner_id=owner,
        created_by=owner,
        origin=origin,
        remind=[0],
    )


def _subject(gate: Gate, payload: Mapping[str, Any]) -> RecordRef | None:
    entity, number = payload.get("entity"), payload.get("record_id")
    if not entity or not number or entity not in gate.plugins.entities:
        return None
    return RecordRef(str(entity), int(number)) if gate.visible_ids(str(entity), [int(number)]) else None


def _responsible(gate: Gate, subject: RecordRef | None) -> int | None:
    if subject is None:
        return None
    model: Any = gate.entity(subject.entity).model
    owner = gate.session.scalar(gate.select(subject.entity, model.owner_id).where(model.id == subject.id))
    return _active(gate, owner)


def _active(gate: Gate, user_id: Any) -> int | None:
    if user_id is None:
        return None
    statement = sa.select(User.id).where(User.id == int(user_id), User.status == ACTIVE)
    return gate.session.scalar(statement)


def _zone(session: Any, user_id: int) -> str:
    return session.scalar(sa.select(User.time_zone).where(User.id == user_id)) or ""


def _title(session: Any, user_id: int, number: str) -> str:
    # The title is text that stays, in the language of whoever is to call.
    locale = session.scalar(sa.select(User.locale).where(User.id == user_id)) or "ru"
    text = _("Call back: missed call from ${number}", mapping={"number": number}) if number else _("Call back")
    return translate(localizer_for(locale, packages=("crm_tasks",)), text)
