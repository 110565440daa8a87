"""Sets of tasks: made together for a record, by hand or by a fact that another plugin tells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.db import UNGATED, RecordRef
from crm_core.models.accounts import ACTIVE, Role, User, UserRole
from crm_core.models.log import Operation
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject
from crm_core.specs import Event, EventType
from crm_tasks.entities import end_of_day
from crm_tasks.i18n import _
from crm_tasks.models import Task, Template, TemplateSet
from crm_tasks.services import tasks
from crm_tasks.services.company import Ways, ways_of, working_day_after

RESPONSIBLE, STARTER, ROLE, PERSON = "responsible", "starter", "role", "person"

ASSIGNEES = (
    (RESPONSIBLE, _("Responsible for the record")),
    (STARTER, _("Whoever starts the set")),
    (ROLE, _("Somebody of a role")),
    (PERSON, _("A certain person")),
)

_WAITED = "crm.tasks.waited_for"

_WHY = {UNGATED: "a set of tasks is made for whoever it says"}

#: Operations whose facts are no news: what comes from a file happened elsewhere, what is put back was there before.
_NO_NEWS = frozenset({"import", "undo"})


def sets_for(gate: Gate, entity: str) -> Sequence[TemplateSet]:
    """Return the sets that may be started by hand from a record of an entity (or from none), in their order."""
    statement = sa.select(TemplateSet).where(
        TemplateSet.active,
        sa.or_(TemplateSet.entity == "", TemplateSet.entity == entity),
        sa.exists().where(Template.set_id == TemplateSet.id),
    )
    return gate.session.scalars(statement.order_by(TemplateSet.position, TemplateSet.id)).all()


def lines_of(gate: Gate, set_id: int) -> Sequence[Template]:
    """Return the tasks of a set in their order."""
    return gate.session.scalars(
        sa.select(Template).where(Template.set_id == set_id).order_by(Template.position, Template.id)
    ).all()


def apply(
    gate: Gate,
    wanted: TemplateSet,
    subject: RecordRef | None,
    *,
    start: dt.date | None = None,
    starter: int | None = None,
    skip_open: bool = False,
) -> list[Task]:
    """Make the tasks of a set for a record; `skip_open` leaves out those of which one is still to be done there."""
    ways = ways_of(gate)
    zone = gate.subject.zone if gate.subject.user_id else ways.zone
    day = start or clock.today(zone)
    starter = starter or gate.subject.user_id
    there = _open_ones(gate, subject) if skip_open and subject is not None else set()
    made = []
    for line in lines_of(gate, wanted.id):
        if line.id in there:
            continue
        owner = _assignee(gate, line, subject, starter)
        if owner is None:
            continue
        due, all_day = _due(line, day, zone, ways)
        made.append(
            tasks.create(
                gate,
                subject=subject,
                checklist=line.checklist,
                title=line.title,
                kind=line.kind,
                priority=line.priority,
                duration_min=line.duration_min,
                text=line.text,
                due_at=due,
                all_day=all_day,
                zone=zone,
                owner_id=owner,
                created_by=starter or owner,
                template_id=line.id,
            )
        )
    return made


def _due(line: Template, day: dt.date, zone: str, ways: Ways) -> tuple[dt.datetime, bool]:
    when = working_day_after(ways.calendar, day, line.due_days)
    if not line.due_time:
        return end_of_day(when, zone), True
    wall = dt.time.fromisoformat(line.due_time)
    return dt.datetime.combine(when, wall, tzinfo=clock.zone(zone)).astimezone(dt.UTC), False


def _open_ones(gate: Gate, subject: RecordRef) -> set[int]:
    statement = sa.select(Task.template_id).where(
        Task.subject_entity == subject.entity,
        Task.subject_id == subject.id,
        Task.template_id.is_not(None),
        Task.completed_at.is_(None),
        Task.deleted_at.is_(None),
    )
    return {one for one in gate.session.scalars(statement, execution_options=_WHY) if one is not None}


def _assignee(gate: Gate, line: Template, subject: RecordRef | None, starter: int | None) -> int | None:
    responsible = _owner_of(gate, subject)
    if line.assignee == PERSON:
        return _active(gate, line.user_id) or responsible or starter
    if line.assignee == ROLE and line.role:
        return _least_busy(gate, line.role) or responsible or starter
    if line.assignee == STARTER:
        return starter or responsible
    return responsible or starter


def _owner_of(gate: Gate, subject: RecordRef | None) -> int | None:
    if subject is None or subject.entity not in gate.plugins.entities:
        return None
    model: Any = gate.entity(subject.entity).model
    owner = gate.session.scalar(gate.select(subject.entity, model.owner_id).where(model.id == subject.id))
    return _active(gate, owner)


def _active(gate: Gate, user_id: int | None) -> int | None:
    if user_id is None:
        return None
    return gate.session.scalar(sa.select(User.id).where(User.id == user_id, User.status == ACTIVE))


def _least_busy(gate: Gate, role: str) -> int | None:
    """Return whoever of a role has the fewest tasks to do."""
    busy = (
        sa.select(sa.func.count())
        .select_from(Task)
        .where(Task.owner_id == User.id, Task.completed_at.is_(None), Task.deleted_at.is_(None))
        .correlate(User)
        .scalar_subquery()
    )
    statement = (
        sa.select(User.id)
        .join(UserRole, UserRole.user_id == User.id)
        .join(Role, Role.id == UserRole.role_id)
        .where(Role.name == role, User.status == ACTIVE)
        .order_by(busy, User.id)
        .limit(1)
    )
    return gate.session.scalar(statement, execution_options=_WHY)


# -- by a fact ---------------------------------------------------------------------------------------------------------


def triggers(event_types: Mapping[str, EventType], entities: Iterable[str]) -> list[EventType]:
    """Return the facts that may start a set: those about records, whose entity is the beginning of their name."""
    known = set(entities)
    return [
        one
        for name, one in sorted(event_types.items())
        if name.rpartition(".")[0] in known and not name.startswith("tasks.") and {"id", "ids"} & set(one.payload)
    ]


def matches(wanted: TemplateSet, payload: Mapping[str, Any]) -> bool:
    """Tell whether the payload of a fact names the record that the set waits for: `stage` of `deals.stage`."""
    if not wanted.trigger_entity or wanted.trigger_id is None:
        return True
    noun = wanted.trigger_entity.rpartition(".")[2]
    return any(str(payload.get(name)) == str(wanted.trigger_id) for name in (noun, f"{noun}_id"))


def _waited_for(gate: Gate) -> set[str]:
    """Return the facts that some set waits for; asked once in a session, for facts come by hundreds."""
    known = gate.session.info.get(_WAITED)
    if known is None:
        names = sa.select(TemplateSet.trigger_event).where(TemplateSet.active, TemplateSet.trigger_event != "")
        known = gate.session.info[_WAITED] = set(gate.session.scalars(names))
    return known


def _is_no_news(session: Session) -> bool:
    operation = operations.current(session)
    if operation is None:
        return False
    return session.scalar(sa.select(Operation.kind).where(Operation.id == operation)) in _NO_NEWS


def react(gate: Gate, event: Event) -> list[Task]:
    """Start the sets that wait for a fact; one that still stands open at the record is not started twice."""
    session = gate.session
    if event.name not in _waited_for(gate) or _is_no_news(session):
        return []
    waiting = session.scalars(
        sa.select(TemplateSet)
        .where(TemplateSet.active, TemplateSet.trigger_event == event.name)
        .order_by(TemplateSet.position, TemplateSet.id)
    ).all()
    entity = event.name.rpartition(".")[0]
    ids = event.payload.get("ids") or [event.payload.get("id")]
    maker = Gate(session, Subject.system(f"a set of tasks started by {event.name}"), gate.plugins)
    made: list[Task] = []
    for wanted in waiting:
        if not matches(wanted, event.payload) or (wanted.entity and wanted.entity != entity):
            continue
        for number in ids:
            if number is None or not maker.visible_ids(entity, [int(number)]):
                continue
            subject = RecordRef(entity, int(number))
            made += apply(maker, wanted, subject, starter=gate.subject.user_id, skip_open=True)
    operations.describe(session, gate.subject)
    return made


# -- keeping sets ------------------------------------------------------------------------------------------------------


def require_keeper(gate: Gate) -> None:
    """Refuse to whoever may not edit sets."""
    if not gate.subject.may("tasks:templates"):
        raise saving.NotAllowed(_("Your role may not edit sets of tasks."))


def save_set(gate: Gate, wanted: TemplateSet | None, values: Mapping[str, Any]) -> TemplateSet:
    """Make or change a set."""
    require_keeper(gate)
    session = gate.session
    operations.describe(session, gate.subject, kind="edit")
    if wanted is None:
        last = session.scalar(sa.select(sa.func.coalesce(sa.func.max(TemplateSet.position), 0))) or 0
        wanted = TemplateSet(name="", position=last + 1)
        session.add(wanted)
    for name, value in values.items():
        setattr(wanted, name, value)
    session.flush()
    session.info.pop(_WAITED, None)
    return wanted


def remove_set(gate: Gate, wanted: TemplateSet) -> None:
    """Delete a set; tasks made by it stay."""
    require_keeper(gate)
    session = gate.session
    operations.describe(session, gate.subject, kind="delete")
    for line in lines_of(gate, wanted.id):
        session.delete(line)
    session.flush()
    session.delete(wanted)
    session.flush()
    session.info.pop(_WAITED, None)


def save_line(gate: Gate, wanted: TemplateSet, line: Template | None, values: Mapping[str, Any]) -> Template:
    """Make or change a task of a set."""
    require_keeper(gate)
    session = gate.session
    operations.describe(session, gate.subject, kind="edit")
    if line is None:
        last = session.scalar(
            sa.select(sa.func.coalesce(sa.func.max(Template.position), 0)).where(Template.set_id == wanted.id)
        )
        line = Template(set_id=wanted.id, title="", position=(last or 0) + 1)
        session.add(line)
    for name, value in values.items():
        setattr(line, name, value)
    session.flush()
    return line


def remove_line(gate: Gate, line: Template) -> None:
    """Take a task off a set; tasks made by it stay."""
    require_keeper(gate)
    operations.describe(gate.session, gate.subject, kind="edit")
    gate.session.delete(line)
    gate.session.flush()
