"""Operations: who changes something, when, from where and why; every write to a logged table happens in one.

A request, a job or a command says `describe(session, subject, ...)`; the row is made when the first write comes, so
that pages that only read leave no trace. `begin` makes it at once, for statements past the ORM and for work of many
transactions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

from crm_core import clock
from crm_core.db import GuardedSession
from crm_core.models.log import DONE, RUNNING, STOPPED, Operation
from crm_core.security.subject import Subject

_PLAN = "crm.operation.plan"
_CURRENT = "crm.operation.current"
#: Tables that nothing logs: what is written there alone is no operation, and the log of operations stays readable.
_NO_OPERATION = frozenset(
    {
        "core_address",
        "core_blob",
        "core_channel",
        "core_default_grant",
        "core_delivery",
        "core_favourite",
        "core_follow",
        "core_import",
        "core_import_preset",
        "core_import_reject",
        "core_import_warning",
        "core_job",
        "core_letter",
        "core_merged",
        "core_notice",
        "core_notice_choice",
        "core_notice_hours",
        "core_notification",
        "core_operation",
        "core_plugin",
        "core_preference",
        "core_principal",
        "core_reference",
        "core_reminder",
        "core_rights_epoch",
        "core_schedule",
        "core_seal",
        "core_search",
        "core_session",
        "core_sign_in",
        "core_snapshot",
        "core_snapshot_row",
        "core_token",
    }
)


@dataclass(frozen=True)
class Plan:
    """What will be written of the operation once something is changed."""

    user_id: int | None = None
    kind: str = "edit"
    source: str = "web"
    entity: str | None = None
    record_id: int | None = None
    note: str = ""
    address: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    state: str = DONE
    undoes_id: int | None = None


def describe(session: Session, subject: Subject | None = None, **plan: Any) -> None:
    """Say on whose behalf and why the coming writes are done; a later call refines what an earlier one said."""
    old: Plan = session.info.get(_PLAN) or Plan()
    if subject is not None:
        plan["user_id"] = subject.user_id
    session.info[_PLAN] = replace(old, **plan)


def begin(session: Session, subject: Subject | None = None, **plan: Any) -> int:
    """Make the operation now and return its id; the writes of this transaction belong to it."""
    describe(session, subject, **plan)
    session.info.pop(_CURRENT, None)
    return ensure(session)


def resume(session: Session, operation_id: int) -> None:
    """Let the writes of this transaction belong to an operation that exists: the next batch of a long one."""
    actor = session.execute(sa.select(Operation.user_id).where(Operation.id == operation_id)).scalar()
    _set(session, operation_id, actor)


def current(session: Session) -> int | None:
    """Return the operation of this transaction; None while nothing has been written."""
    known = session.info.get(_CURRENT)
    return None if known is None else known[0]


def ensure(session: Session) -> int:
    """Return the operation of this transaction, made if there is none yet."""
    known = session.info.get(_CURRENT)
    if known is not None:
        return int(known[0])
    plan: Plan = session.info.get(_PLAN) or Plan(source="job")
    statement = (
        sa.insert(Operation.__table__)
        .values(
            at=clock.now(),
            user_id=plan.user_id,
            kind=plan.kind,
            source=plan.source,
            entity=plan.entity,
            record_id=plan.record_id,
            note=plan.note,
            detail=plan.detail,
            state=plan.state,
            undoes_id=plan.undoes_id,
            address=plan.address,
        )
        .returning(Operation.id)
    )
    operation_id = int(session.connection().execute(statement).scalar_one())
    _set(session, operation_id, plan.user_id)
    return operation_id


def about(session: Session, entity: str, record_id: int, *, kind: str | None = None) -> None:
    """Say which record the operation is about, once it has a number."""
    operation_id = ensure(session)
    values: dict[str, Any] = {"entity": entity, "record_id": record_id}
    if kind is not None:
        values["kind"] = kind
    session.connection().execute(sa.update(Operation.__table__).where(Operation.id == operation_id).values(**values))


def finish(session: Session, operation_id: int, state: str = DONE, **detail: Any) -> None:
    """Close an operation of many transactions."""
    table = Operation.__table__
    values: dict[str, Any] = {"state": state}
    if detail:
        values["detail"] = table.c.detail.op("||")(sa.cast(detail, table.c.detail.type))
    session.connection().execute(sa.update(table).where(table.c.id == operation_id).values(**values))


def _set(session: Session, operation_id: int, actor: int | None) -> None:
    session.connection().execute(
        sa.text(
            "SELECT set_config('crm.operation', :operation, true), set_config('crm.at', :at, true), "
            "set_config('crm.actor', :actor, true)"
        ),
        {
            "operation": str(operation_id),
            "at": clock.now().isoformat(),
            "actor": "" if actor is None else str(actor),
        },
    )
    session.info[_CURRENT] = (operation_id, session.get_nested_transaction() or session.get_transaction())


@event.listens_for(GuardedSession, "before_flush")
def _before_flush(session: Session, _context: object, _instances: object) -> None:
    changed = [*session.new, *session.deleted, *(one for one in session.dirty if session.is_modified(one))]
    if any(one.__tablename__ not in _NO_OPERATION for one in changed):
        ensure(session)


@event.listens_for(GuardedSession, "do_orm_execute")
def _before_bulk(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        table = getattr(getattr(state.statement, "table", None), "name", "")
        if table not in _NO_OPERATION:
            ensure(state.session)


@event.listens_for(GuardedSession, "after_transaction_end")
def _forget(session: Session, transaction: SessionTransaction) -> None:
    known = session.info.get(_CURRENT)
    # What set_config wrote ends with the transaction or savepoint it was written in when that is rolled back; a
    # savepoint that is released keeps it, and making a second operation then would only split the history.
    if known is None:
        return
    if transaction.parent is None:
        session.info.pop(_CURRENT, None)
        session.info.pop(_PLAN, None)


@event.listens_for(GuardedSession, "after_soft_rollback")
def _forget_rolled_back(session: Session, previous: SessionTransaction) -> None:
    known = session.info.get(_CURRENT)
    if known is not None and known[1] is previous:
        session.info.pop(_CURRENT, None)


__all__ = ["DONE", "RUNNING", "STOPPED", "Plan", "about", "begin", "current", "describe", "ensure", "finish", "resume"]
