"""The log of operations: who did what and when, each opened into its changes, with the way back."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_core.i18n import _
from crm_core.models import Operation, User
from crm_core.people.reach import reached
from crm_core.records import history, undo
from crm_core.security.permissions import LOG_VIEW
from crm_core.views.admin.index import CRUMB
from crm_core.views.filling import Filling, choices, post_button
from crm_core.views.shapes import (
    Badge,
    Cell,
    ChangeView,
    Column,
    Crumb,
    EmptyState,
    KeyValue,
    ListPage,
    PersonView,
    Row,
)

PAGE = 50

#: What operations are called; a kind of a plugin that stands not here is shown as it is.
KINDS: dict[str, str] = {
    "create": _("Created"),
    "purge": _("Plugin purged"),
    "edit": _("Changed"),
    "delete": _("Moved to the trash"),
    "restore": _("Taken from the trash"),
    "bulk": _("Changed many"),
    "import": _("Imported"),
    "merge": _("Merged"),
    "undo": _("Put back as it was"),
    "share": _("Shared"),
    "assign": _("Assigned"),
    "tag": _("Tagged"),
    "file": _("Added a file"),
    "settings": _("Changed settings"),
    "rights": _("Changed rights"),
    "setup": _("Made the first administrator"),
    "sign-up": _("Signed up"),
    "confirm": _("Confirmed an address"),
    "approve": _("Approved a sign-up"),
    "reject": _("Declined a sign-up"),
    "invitation": _("Accepted an invitation"),
    "password": _("Changed a password"),
    "address": _("Changed an address"),
    "disable": _("Disabled access"),
    "enable": _("Enabled access"),
}

SOURCES = {
    "web": _("in the browser"),
    "api": _("through the API"),
    "job": _("by a job"),
    "cli": _("on the console"),
    "migration": _("by an upgrade"),
}

_CORE_ENTITIES = {
    "core.user": _("Account"),
    "core.team": _("Department"),
    "core.role": _("Role"),
    "core.role_grant": _("Right of a role"),
    "core.user_role": _("Role of a person"),
    "core.grant": _("Share"),
    "core.tag": _("Tag"),
    "core.field": _("Custom field"),
    "core.file": _("File"),
    "core.view": _("Saved view"),
    "core.setting": _("Setting"),
}


def _reached(request: Request) -> Any:
    """Return the criterion of the operations that the log shows to this person; None for all of them."""
    if "all" in request.subject.scopes(LOG_VIEW):
        return None
    return Operation.user_id.in_(sa.select(User.id).where(reached(request.subject, LOG_VIEW)))


def entity_title(request: Request, name: str | None) -> str:
    """Return what the records of an entity are called, also of a plugin that is off."""
    entities = request.registry["crm.plugins"].entities
    if not name:
        return ""
    if name in entities:
        return str(request.translate(entities[name].title))
    return str(request.translate(_CORE_ENTITIES.get(name, name)))


def _day(value: str) -> dt.datetime | None:
    try:
        return dt.datetime.combine(dt.date.fromisoformat(value), dt.time(), tzinfo=dt.UTC)
    except ValueError:
        return None


@view_config(
    route_name="settings.log",
    request_method="GET",
    permission=LOG_VIEW,
    renderer="crm_core:templates/admin/list.pt",
)
def list_operations(request: Request) -> dict[str, Any]:
    """Show operations, newest first, as far as this person may see them."""
    get = {name: request.GET.get(name, "") for name in ("user", "kind", "entity", "since", "until", "before")}
    zone = request.formats.tz
    since, until = _day(get["since"]), _day(get["until"])
    found = history.operations_page(
        request.gate,
        user_id=int(get["user"]) if get["user"].isdecimal() and len(get["user"]) < 19 else None,
        kind=get["kind"],
        entity=get["entity"],
        since=since.replace(tzinfo=zone) if since else None,
        until=until.replace(tzinfo=zone) + dt.timedelta(days=1) if until else None,
        before=int(get["before"]) if get["before"].isdecimal() and len(get["before"]) < 19 else 0,
        limit=PAGE + 1,
        users=_reached(request),
    )
    shown, more = found[:PAGE], len(found) > PAGE
    keep = {name: value for name, value in get.items() if value and name != "before"}
    labels = _labels(request, [one for one, _name in shown])
    return {
        "title": _("Log of operations"),
        "crumbs": [CRUMB],
        "tabs": [],
        "selects": _selects(request, get),
        "page": ListPage(
            title=_("Log of operations"),
            href="/settings/log",
            icon="history",
            selectable=False,
            clear_href="/settings/log" if keep else "",
            columns=[
                Column(name="what", title=_("What"), kind="title"),
                Column(name="about", title=_("About")),
                Column(name="who", title=_("Who"), kind="person", phone=True),
                Column(name="at", title=_("When"), kind="date", phone=True),
                Column(name="state", title=_("State"), kind="badge"),
            ],
            rows=[_row(request, one, name, labels) for one, name in shown],
            next_href="/settings/log?" + urlencode({**keep, "before": shown[-1][0].id}) if more else "",
            first_href="/settings/log" + ("?" + urlencode(keep) if keep else "") if get["before"] else "",
            empty=EmptyState(title=_("Nothing found"), text=_("No operation fits these filters."), icon="history"),
        ),
    }


def _selects(request: Request, get: dict[str, str]) -> list[Any]:
    form = Filling(request)
    authors = request.db.execute(
        sa.select(User.id, User.name)
        .where(reached(request.subject, LOG_VIEW), User.name != "")
        .order_by(sa.func.lower(User.name))
        .limit(500)
    )
    entities = request.registry["crm.plugins"].entities
    nouns = [*((name, one.title_plural) for name, one in entities.items()), *_CORE_ENTITIES.items()]
    return [
        form.field("user", _("Who"), "choice", get["user"], choices=choices([("", _("Anybody")), *authors])),
        form.field("kind", _("What"), "choice", get["kind"], choices=choices([("", _("Anything")), *KINDS.items()])),
        form.field("entity", _("About"), "choice", get["entity"], choices=choices([("", _("Anything")), *nouns])),
        form.field("since", _("From"), "date", get["since"]),
        form.field("until", _("To"), "date", get["until"]),
    ]


def _labels(request: Request, found: list[Operation]) -> dict[tuple[str, int], str]:
    wanted: dict[str, set[int]] = {}
    for one in found:
        if one.entity and one.record_id:
            wanted.setdefault(one.entity, set()).add(one.record_id)
    labels: dict[tuple[str, int], str] = {}
    for entity, ids in wanted.items():
        if entity in request.registry["crm.plugins"].entities:
            labels |= {(entity, one): text for one, text in request.gate.labels(entity, ids).items()}
        elif entity == "core.user":
            rows = request.db.execute(sa.select(User.id, User.name).where(User.id.in_(ids)))
            labels |= {(entity, row.id): row.name for row in rows}
    return labels


def _row(request: Request, one: Operation, name: str, labels: dict[tuple[str, int], str]) -> Row:
    href = f"/settings/log/{one.id}"
    about = entity_title(request, one.entity)
    label = labels.get((one.entity or "", one.record_id or 0), "")
    who = name or request.translate(_("The system"))
    return Row(
        id=one.id,
        href=href,
        label=str(one.id),
        cells=[
            Cell(kind="title", text=KINDS.get(one.kind, one.kind), href=href),
            Cell(text=": ".join(part for part in (about, label or one.note) if part)),
            Cell(kind="person", text=who, person=PersonView.of(who, one.user_id)),
            Cell(
                kind="date",
                text=request.formats.relative(one.at),
                hint=request.formats.datetime(one.at),
                datetime=one.at.isoformat(),
            ),
            Cell(kind="badge", badges=_badges(one)),
        ],
    )


def _badges(one: Operation) -> list[Badge]:
    if one.undone_by is not None:
        return [Badge(text=_("Put back"), tone="muted")]
    if one.state == "running":
        return [Badge(text=_("Running"), tone="info")]
    if one.state == "stopped":
        return [Badge(text=_("Stopped"), tone="warning")]
    return []


@view_config(
    route_name="settings.operation",
    request_method="GET",
    permission=LOG_VIEW,
    renderer="crm_core:templates/admin/operation.pt",
)
def operation(request: Request) -> dict[str, Any]:
    """Show one operation with the changes that this person may know of."""
    statement = sa.select(Operation).where(Operation.id == int(request.matchdict["id"]))
    if (found := _reached(request)) is not None:
        statement = statement.where(found)
    one = request.db.scalars(statement).one_or_none()
    if one is None:
        raise HTTPNotFound
    after = request.GET.get("after", "0")
    changes = history.of_operation(request.gate, one.id, after=int(after) if after.isdecimal() else 0, limit=100)
    name = request.db.scalar(sa.select(User.name).where(User.id == one.user_id)) if one.user_id else None
    labels = _labels(request, [one])
    return {
        "title": KINDS.get(one.kind, one.kind),
        "crumbs": [CRUMB, Crumb(title=_("Log of operations"), href="/settings/log")],
        "badges": _badges(one),
        "facts": [
            KeyValue(title=_("Who"), value=name or _("The system")),
            KeyValue(title=_("When"), value=request.formats.datetime(one.at)),
            KeyValue(title=_("From where"), value=SOURCES.get(one.source, one.source)),
            *([KeyValue(title=_("Network address"), value=one.address)] if one.address else []),
            *(
                [
                    KeyValue(
                        title=_("About"),
                        value=labels.get((one.entity or "", one.record_id or 0)) or entity_title(request, one.entity),
                    )
                ]
                if one.entity
                else []
            ),
            *([KeyValue(title=_("Note"), value=one.note)] if one.note else []),
            *(
                [KeyValue(title=_("Put back by"), value=f"№ {one.undone_by}", href=f"/settings/log/{one.undone_by}")]
                if one.undone_by
                else []
            ),
            *(
                [KeyValue(title=_("Puts back"), value=f"№ {one.undoes_id}", href=f"/settings/log/{one.undoes_id}")]
                if one.undoes_id
                else []
            ),
        ],
        "undo": post_button(_("Put it back as it was"), f"/operations/{one.id}/undo", "arrow-back-up")
        if undo.may_undo(request.gate, one) and changes
        else None,
        "changes": [_change(request, change) for change in changes],
        "more": f"/settings/log/{one.id}?after={changes[-1].id}" if len(changes) >= 100 else "",
    }


_ACTIONS = {"insert": _("created"), "update": _("changed"), "delete": _("removed")}


def _change(request: Request, change: Any) -> dict[str, Any]:
    if change.entity in request.registry["crm.plugins"].entities:
        entity = request.registry["crm.plugins"].entities[change.entity]
        found = [
            ChangeView(title=one.title, before=_text(request, one.before), after=_text(request, one.after))
            for one in history.describe_change(request.gate, change)
        ]
        href = f"{entity.url}/{change.record_id}"
    else:
        fields = sorted((change.before or {}).keys() | (change.after or {}).keys())
        found = [
            ChangeView(
                title=name,
                before=_text(request, (change.before or {}).get(name)),
                after=_text(request, (change.after or {}).get(name)),
            )
            for name in fields
        ]
        href = f"/settings/users/{change.record_id}" if change.entity == "core.user" else ""
    return {
        "title": f"{entity_title(request, change.entity)} № {change.record_id}",
        "href": href,
        "action": _ACTIONS.get(change.action, change.action),
        "changes": found,
    }


def _text(request: Request, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(request.translate(_("Yes") if value else _("No")))
    if isinstance(value, list):
        return ", ".join(_text(request, one) for one in value)
    if isinstance(value, dict):
        return ", ".join(
            f"{name}: {_text(request, one)}" for name, one in value.items() if one not in (None, "", False)
        )
    return str(value)
