"""The core's own blocks of the home page."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pyramid.request import Request

from crm_core import clock, company, jobs, notify
from crm_core.i18n import _
from crm_core.models import Change, JobRow, Operation, User
from crm_core.models.accounts import PENDING
from crm_core.people.first_run import FIRST_STEPS
from crm_core.people.reach import may_name, reached
from crm_core.records.listing import COUNT_TO, Listing, ListQuery
from crm_core.security import permissions
from crm_core.specs import Widget
from crm_core.views.admin.log import KINDS
from crm_core.views.notifications import entry
from crm_core.views.shapes import Badge, Figure, KeyValue, PersonView
from crm_core.views.shell import visible_labels

SHORT = 6

#: What of the log of operations is news of records; it is called as in the log.
_NEWS = ("create", "edit", "restore", "assign", "merge", "share", "tag", "file")


def figures(request: Request) -> Mapping[str, Any]:
    """Return how many records of each kind the person sees, exact to a limit."""
    found = []
    for entity in request.registry["crm.plugins"].entities.values():
        if not entity.in_menu or entity.parent or not request.gate.may(entity, "view"):
            continue
        count = Listing(request.gate, entity).count(ListQuery())
        number = request.formats.number(min(count, COUNT_TO))
        if count > COUNT_TO:
            number = request.translate(_("more than ${n}", mapping={"n": number}))
        found.append(Figure(title=request.translate(entity.title_plural), value=number, href=entity.url))
    return {"figures": found}


def news(request: Request) -> Mapping[str, Any]:
    """Return the newest notifications."""
    items = notify.listing(request.db, request.gate, request.subject.user_id or 0, limit=SHORT)
    return {"items": [entry(request, item) for item in items]}


def latest(request: Request) -> Mapping[str, Any]:
    """Return records that were made or changed last, by anybody, of those that the person may see."""
    return _latest(request, mine=False)


def mine(request: Request) -> Mapping[str, Any]:
    """Return records on which the person worked last."""
    return _latest(request, mine=True)


def _latest(request: Request, *, mine: bool) -> Mapping[str, Any]:
    plugins = request.registry["crm.plugins"]
    names = [
        entity.name
        for entity in plugins.entities.values()
        if entity.in_menu and not entity.parent and request.gate.may(entity, "view")
    ]
    # What was recorded on a client is work on the client: the change knows the parent.
    beneath = (
        sa.select(Change.parent_entity, Change.parent_id)
        .where(
            Change.operation_id == Operation.id,
            Change.entity == Operation.entity,
            Change.record_id == Operation.record_id,
            Change.at.between(Operation.at - dt.timedelta(minutes=1), Operation.at + dt.timedelta(days=1)),
            Operation.entity.not_in(names),
        )
        .limit(1)
        .lateral()
    )
    entity = sa.case((Operation.entity.in_(names), Operation.entity), else_=beneath.c.parent_entity).label("entity")
    number = sa.case((Operation.entity.in_(names), Operation.record_id), else_=beneath.c.parent_id).label("record_id")
    statement = (
        sa.select(Operation.at, Operation.kind, entity, number, User.name, Operation.entity.label("of"))
        .outerjoin(User, User.id == Operation.user_id)
        .outerjoin(beneath, sa.true())
        .where(
            Operation.entity.in_([each.name for each in plugins.entities.values()]),
            Operation.record_id.is_not(None),
            Operation.kind.in_(_NEWS),
        )
        .order_by(Operation.at.desc())
        .limit(80)
    )
    if mine:
        statement = statement.where(Operation.user_id == request.subject.user_id)
    rows = request.db.execute(statement).all() if names else []
    labels = visible_labels(request.gate, ((row.entity, row.record_id) for row in rows if row.record_id))
    named = may_name(request.subject)
    items: list[dict[str, Any]] = []
    taken: set[tuple[str, int]] = set()
    for row in rows:
        key = (row.entity, row.record_id)
        if key in taken or key not in labels:
            continue
        taken.add(key)
        entity = plugins.entities[row.entity]
        said = [request.translate(KINDS[row.kind] if row.of == row.entity else plugins.entities[row.of].title)]
        if named and not mine and row.name:
            said.append(row.name)
        items.append(
            {
                "href": f"{entity.url}/{row.record_id}",
                "label": labels[key],
                "icon": entity.icon,
                "text": " · ".join(said),
                "when": request.formats.relative(row.at),
                "exact": request.formats.datetime(row.at),
            }
        )
        if len(items) == SHORT + 1:
            break
    return {"items": items[:SHORT], "mine": mine}


def waiting(request: Request) -> Mapping[str, Any]:
    """Return those who signed up and wait for approval."""
    rows = request.db.scalars(
        sa.select(User)
        .where(User.status == PENDING, reached(request.subject, permissions.USERS_APPROVE))
        .order_by(User.created_at)
        .limit(SHORT)
    ).all()
    return {
        "people": [
            {
                "id": user.id,
                "person": PersonView.of(user.name or user.email, user.id),
                "email": user.email,
                "when": request.formats.relative(user.created_at),
            }
            for user in rows
        ]
    }


def health(request: Request) -> Mapping[str, Any]:
    """Return whether the parts of the installation do their work."""
    living = jobs.living(request.db)
    workers = sum(one.kind == "worker" for one in living)
    counts = dict(
        request.db.execute(
            sa.select(JobRow.state, sa.func.count())
            .where(JobRow.state.in_(("waiting", "failed")))
            .group_by(JobRow.state)
        ).all()
    )
    late = request.db.scalar(
        sa.select(sa.func.min(JobRow.run_at)).where(JobRow.state == "waiting", JobRow.run_at <= clock.now())
    )
    folder = Path(request.registry.settings.get("crm.data", "."))
    disk = shutil.disk_usage(folder if folder.exists() else ".")
    number = request.formats.number
    slow = late is not None and (clock.now() - late).total_seconds() > 300
    ok, attention = (
        Badge(text=_("In order"), tone="success"),
        Badge(text=_("Attention"), tone="warning", icon="alert-triangle"),
    )
    stopped = Badge(text=_("Stands still"), tone="danger", icon="alert-circle")
    return {
        "facts": [
            KeyValue(title=_("Workers"), value=number(workers), badge=ok if workers else stopped),
            KeyValue(title=_("Schedule"), badge=ok if any(one.kind == "scheduler" for one in living) else stopped),
            KeyValue(
                title=_("Waiting jobs"), value=number(counts.get("waiting", 0)), badge=attention if slow else None
            ),
            KeyValue(
                title=_("Failed jobs"),
                value=number(counts.get("failed", 0)),
                badge=attention if counts.get("failed") else None,
            ),
            KeyValue(
                title=_("Free on the disk"),
                value=request.formats.filesize(disk.free),
                badge=attention if disk.free < max(1_000_000_000, disk.total // 20) else None,
            ),
        ]
    }


def steps(request: Request) -> Mapping[str, Any] | None:
    """Return the steps of the first run that are left; nothing once the list is put away."""
    state = request.company.get(company.FIRST_RUN)
    if not state or not state.get("open"):
        return None
    done = set(state["done"])
    mine = [step for step in FIRST_STEPS if request.subject.may(step.permission)]
    return {
        "left": [step for step in mine if step.id not in done][:4],
        "done": sum(step.id in done for step in mine),
        "whole": len(mine),
    }


WIDGETS: tuple[Widget, ...] = (
    Widget(
        id="core.first-steps",
        title=_("First steps"),
        load=steps,
        template="crm_core:templates/home/steps.pt",
        permission=permissions.SETTINGS_EDIT,
        order=5,
    ),
    Widget(
        id="core.waiting",
        title=_("Wait for approval"),
        load=waiting,
        template="crm_core:templates/home/waiting.pt",
        permission=permissions.USERS_APPROVE,
        order=10,
    ),
    Widget(
        id="core.figures",
        title=_("Records open to you"),
        load=figures,
        template="crm_core:templates/home/figures.pt",
        order=90,
        wide=True,
        roles=(
            permissions.ADMINISTRATOR,
            permissions.DIRECTOR,
            permissions.HEAD,
            permissions.MANAGER,
            permissions.MARKETER,
            permissions.SPECIALIST,
        ),
    ),
    Widget(id="core.news", title=_("Notifications"), load=news, template="crm_core:templates/home/news.pt", order=20),
    Widget(
        id="core.mine",
        title=_("What I worked on"),
        load=mine,
        template="crm_core:templates/home/latest.pt",
        roles=(permissions.ADMINISTRATOR, permissions.HEAD, permissions.MANAGER, permissions.SPECIALIST),
        order=25,
    ),
    Widget(
        id="core.latest",
        title=_("What is new"),
        load=latest,
        template="crm_core:templates/home/latest.pt",
        roles=(
            permissions.ADMINISTRATOR,
            permissions.DIRECTOR,
            permissions.HEAD,
            permissions.MARKETER,
            permissions.USER,
        ),
        order=50,
    ),
    Widget(
        id="core.health",
        title=_("State of the system"),
        load=health,
        template="crm_core:templates/home/health.pt",
        permission=permissions.SYSTEM_VIEW,
        roles=(permissions.ADMINISTRATOR, permissions.SPECIALIST),
        order=60,
    ),
)
