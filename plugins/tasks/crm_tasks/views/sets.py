"""Settings: sets of tasks, and what starts them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from crm_core.forms import InvalidValues
from crm_core.models.accounts import Role
from crm_core.records.gate import user_names
from crm_core.views.shapes import Action, Choice, Crumb, EmptyState, FieldView, FormPage, Section
from crm_tasks.i18n import _
from crm_tasks.models import Template, TemplateSet
from crm_tasks.permissions import TEMPLATES
from crm_tasks.schemas import ICONS, KINDS, NORMAL, PRIORITIES, TODO
from crm_tasks.services import templates
from crm_tasks.services.templates import ASSIGNEES, PERSON, RESPONSIBLE, ROLE
from crm_tasks.views.answers import FORM, REFUSALS, done, refused, undo_href
from crm_tasks.views.doing import choices

HOME = "/settings/tasks/sets"


def _set(request: Request) -> TemplateSet:
    found = request.db.get(TemplateSet, int(request.matchdict["id"][:18]))
    if found is None:
        raise HTTPNotFound
    return found


def _crumbs(request: Request, *more: Crumb) -> list[Crumb]:
    say = request.translate
    return [Crumb(title=say(_("Settings")), href="/settings"), *more]


def _event_title(request: Request, name: str) -> str:
    spec = request.gate.plugins.event_types.get(name)
    entity = request.gate.plugins.entities.get(name.rpartition(".")[0])
    title = request.translate(spec.title) if spec is not None else name
    if entity is None:
        return title
    return f"{request.translate(entity.title)}: {title}"


@view_config(
    route_name="tasks.sets", request_method="GET", renderer="crm_tasks:templates/sets.pt", permission=TEMPLATES
)
def show_sets(request: Request) -> dict[str, Any]:
    """Show the sets of tasks."""
    sets = request.db.scalars(sa.select(TemplateSet).order_by(TemplateSet.position, TemplateSet.id)).all()
    lines = request.db.scalars(sa.select(Template).order_by(Template.position, Template.id)).all()
    say = request.translate
    people = user_names(request.db, {line.user_id for line in lines})
    roles = {row.name: row.title for row in request.db.execute(sa.select(Role.name, Role.title))}
    shown = []
    for one in sets:
        shown.append(
            {
                "id": one.id,
                "name": one.name,
                "active": one.active,
                "when": _when(request, one),
                "href": f"{HOME}/{one.id}",
                "lines": [_line(request, line, people, roles) for line in lines if line.set_id == one.id],
                "add": Action(title=_("Add a task"), href=f"{HOME}/{one.id}/lines/new", icon="plus", open="dialog"),
                "menu": [
                    Action(title=_("Edit"), href=f"{HOME}/{one.id}", icon="pencil", open="dialog"),
                    Action(
                        title=_("Delete the set"), href=f"{HOME}/{one.id}/remove", icon="trash", method="post",
                        look="danger",
                    ),
                ],
            }
        )  # fmt: skip
    add = Action(title=_("Add a set"), href=f"{HOME}/new", icon="plus", look="primary", open="dialog", key="c")
    return {
        "title": say(_("Sets of tasks")),
        "crumbs": _crumbs(request),
        "sets": shown,
        "actions": [add],
        "empty": EmptyState(
            title=say(_("No sets of tasks yet")),
            text=say(_("What has to be done every time: when a deal comes to a stage, when a client is new.")),
            icon="list-check",
            action=add,
        ),
    }


def _when(request: Request, one: TemplateSet) -> str:
    say = request.translate
    if not one.trigger_event:
        return say(_("Started by hand"))
    title = _event_title(request, one.trigger_event)
    if one.trigger_entity and one.trigger_id and one.trigger_entity in request.gate.plugins.entities:
        label = request.gate.labels(one.trigger_entity, [one.trigger_id]).get(one.trigger_id, "")
        return f"{title}, {label}" if label else title
    return title


def _line(request: Request, line: Template, people: dict[int, str], roles: dict[str, str]) -> dict[str, Any]:
    say = request.translate
    who = say(dict(ASSIGNEES)[line.assignee])
    if line.assignee == PERSON and line.user_id in people:
        who = people[line.user_id]
    elif line.assignee == ROLE and line.role:
        who = say(roles.get(line.role, line.role))
    due = request.plural(
        "in ${n} working day", "in ${n} working days", line.due_days, domain="crm_tasks"
    ) if line.due_days else say(_("on the same day"))  # fmt: skip
    return {
        "id": line.id,
        "title": line.title,
        "icon": ICONS.get(line.kind, "checkbox"),
        "hint": " · ".join(part for part in (f"{due} {line.due_time}".strip(), who) if part),
        "edit_href": f"{HOME}/{line.set_id}/lines/{line.id}",
        "remove_href": f"{HOME}/{line.set_id}/lines/{line.id}/remove",
    }


# -- a set -------------------------------------------------------------------------------------------------------------


@view_config(route_name="tasks.set_new", request_method="GET", renderer=FORM, permission=TEMPLATES)
def naming(request: Request) -> dict[str, Any]:
    """Ask what a new set is called and what starts it."""
    return _set_page(request, None)


@view_config(route_name="tasks.set_new", request_method="POST", renderer=FORM, permission=TEMPLATES)
def make_set(request: Request) -> Any:
    """Make a set."""
    return _save_set(request, None)


@view_config(route_name="tasks.set", request_method="GET", renderer=FORM, permission=TEMPLATES)
def editing_set(request: Request) -> dict[str, Any]:
    """Show a set to be changed."""
    return _set_page(request, _set(request))


@view_config(route_name="tasks.set", request_method="POST", renderer=FORM, permission=TEMPLATES)
def change_set(request: Request) -> Any:
    """Change a set."""
    return _save_set(request, _set(request))


@view_config(route_name="tasks.set_remove", request_method="POST", permission=TEMPLATES)
def remove_set(request: Request) -> Any:
    """Delete a set; tasks made by it stay."""
    wanted = _set(request)
    name = wanted.name
    templates.remove_set(request.gate, wanted)
    request.toast(_("Deleted: ${name}", mapping={"name": name}), undo_href=undo_href(request))
    return HTTPSeeOther(HOME)


def _save_set(request: Request, wanted: TemplateSet | None) -> Any:
    posted = request.POST
    try:
        name = str(posted.get("name", "")).strip()[:200]
        if not name:
            raise InvalidValues({"name": _("Fill this in.")})
        trigger = str(posted.get("trigger", ""))
        known = {one.name for one in _triggers(request)}
        if trigger and trigger not in known and (wanted is None or trigger != wanted.trigger_event):
            raise InvalidValues({"trigger": _("Choose from the list.")})
        values: dict[str, Any] = {
            "name": name,
            "trigger_event": trigger,
            "entity": trigger.rpartition(".")[0] if trigger else _entity(request),
            "active": "active" in posted or wanted is None,
            **_beside(request, trigger),
        }
        templates.save_set(request.gate, wanted, values)
    except REFUSALS as error:
        request.response.status_int = 422
        return _set_page(request, wanted, error)
    return done(request, HOME, _("The set of tasks is kept."))


def _entity(request: Request) -> str:
    name = str(request.POST.get("entity", ""))
    return name if name in request.gate.plugins.entities else ""


def _beside(request: Request, trigger: str) -> dict[str, Any]:
    """Return the record that the fact must tell of beside its own."""
    chosen = str(request.POST.get("beside", ""))
    entity, _colon, number = chosen.rpartition(":")
    allowed = {one.name for one in _nouns(request, trigger)}
    if entity in allowed and number.isdecimal() and len(number) < 19:
        return {"trigger_entity": entity, "trigger_id": int(number)}
    return {"trigger_entity": None, "trigger_id": None}


def _triggers(request: Request) -> list[Any]:
    plugins = request.gate.plugins
    return [
        one for one in templates.triggers(plugins.event_types, plugins.entities) if not one.name.endswith(".changed")
    ]


def _nouns(request: Request, trigger: str) -> list[Any]:
    """Return the entities whose records a fact tells of by their noun: `stage` is `deals.stage`."""
    plugins = request.gate.plugins
    spec = plugins.event_types.get(trigger)
    if spec is None:
        return []
    plugin = trigger.partition(".")[0]
    names = {f"{plugin}.{part.removesuffix('_id')}" for part in spec.payload}
    return [entity for name, entity in plugins.entities.items() if name in names and name != trigger.rpartition(".")[0]]


def _set_page(request: Request, wanted: TemplateSet | None, error: Exception | None = None) -> dict[str, Any]:
    say = request.translate
    posted = request.POST if request.method == "POST" else {}
    errors = error.errors if isinstance(error, InvalidValues) else {"name": refused(error)} if error else {}

    def field(name: str, title: Any, value: Any = "", **more: Any) -> FieldView:
        problem = errors.get(name, "")
        return FieldView(
            name=name, title=say(title), value=posted.get(name, value), id=f"s-{name}",
            error=say(problem) if problem else "", **more,
        )  # fmt: skip

    triggers = _triggers(request)
    beside = _beside_choices(request, triggers)
    now = f"{wanted.trigger_entity}:{wanted.trigger_id}" if wanted is not None and wanted.trigger_entity else ""
    fields = [
        field(
            "name", _("Name"), wanted.name if wanted else "", required=True, maxlength=200, autofocus=True, wide=True
        ),
        field(
            "trigger", _("Started by"), wanted.trigger_event if wanted else "", kind="choice",
            placeholder=say(_("hand")),
            choices=[Choice(value=one.name, title=_event_title(request, one.name)) for one in triggers],
        ),
    ]  # fmt: skip
    if beside:
        fields.append(
            field(
                "beside", _("Only with"), now, kind="choice", placeholder=say(_("any")), choices=beside,
                help=say(_("The stage to which a deal must come.")),
            )
        )  # fmt: skip
    fields.append(
        field(
            "entity", _("Offered on cards of"), wanted.entity if wanted else "", kind="choice",
            placeholder=say(_("any record")),
            choices=[
                Choice(value=one.name, title=say(one.title_plural))
                for one in request.gate.plugins.entities.values()
                if not one.parent and not one.name.startswith(("core.", "tasks.")) and one.in_menu
            ],
        )
    )  # fmt: skip
    if wanted is not None:
        fields.append(
            FieldView(name="active", title=say(_("In use")), kind="bool", value=wanted.active, id="s-active")
        )
    page = FormPage(
        id="set",
        title=_("Set of tasks"),
        action=f"{HOME}/{wanted.id}" if wanted is not None else f"{HOME}/new",
        submit=_("Keep the set"),
        sections=[Section(fields=fields)],
        cancel_href=HOME,
    )
    return {"title": say(_("Set of tasks")), "page": page}


def _beside_choices(request: Request, triggers: list[Any]) -> list[Choice]:
    found: dict[str, Any] = {}
    for one in triggers:
        for entity in _nouns(request, one.name):
            found[entity.name] = entity
    made = []
    for name, entity in found.items():
        model: Any = entity.model
        rows = request.db.execute(
            request.gate.select(entity, model.id, getattr(model, entity.label).label("label"))
            .order_by(getattr(model, entity.sort), model.id)
            .limit(200)
        )
        group = request.translate(entity.title_plural)
        made += [Choice(value=f"{name}:{row.id}", title=str(row.label), group=group) for row in rows]
    return made


# -- a task of a set ---------------------------------------------------------------------------------------------------


def _template(request: Request) -> Template:
    found = request.db.get(Template, int(request.matchdict["line"][:18]))
    if found is None or found.set_id != _set(request).id:
        raise HTTPNotFound
    return found


@view_config(route_name="tasks.line_new", request_method="GET", renderer=FORM, permission=TEMPLATES)
def writing_line(request: Request) -> dict[str, Any]:
    """Ask for a task of a set."""
    return _line_page(request, _set(request), None)


@view_config(route_name="tasks.line_new", request_method="POST", renderer=FORM, permission=TEMPLATES)
def make_line(request: Request) -> Any:
    """Add a task to a set."""
    return _save_line(request, None)


@view_config(route_name="tasks.line", request_method="GET", renderer=FORM, permission=TEMPLATES)
def editing_line(request: Request) -> dict[str, Any]:
    """Show a task of a set to be changed."""
    return _line_page(request, _set(request), _template(request))


@view_config(route_name="tasks.line", request_method="POST", renderer=FORM, permission=TEMPLATES)
def change_line(request: Request) -> Any:
    """Change a task of a set."""
    return _save_line(request, _template(request))


@view_config(route_name="tasks.line_remove", request_method="POST", permission=TEMPLATES)
def remove_line(request: Request) -> Any:
    """Take a task off a set."""
    templates.remove_line(request.gate, _template(request))
    return done(request, HOME, _("The task is taken off the set."))


def _save_line(request: Request, line: Template | None) -> Any:
    wanted, posted = _set(request), request.POST
    try:
        values = _line_values(posted)
        templates.save_line(request.gate, wanted, line, values)
    except REFUSALS as error:
        request.response.status_int = 422
        return _line_page(request, wanted, line, error)
    return done(request, HOME, _("The set of tasks is kept."))


def _line_values(posted: Any) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    title = str(posted.get("title", "")).strip()[:300]
    if not title:
        errors["title"] = _("Fill this in.")
    days, time = str(posted.get("due_days", "0")).strip() or "0", str(posted.get("due_time", "")).strip()
    if not days.isdecimal() or int(days[:5]) > 3650:
        errors["due_days"] = _("Write a number of days.")
    if time:
        try:
            time = dt.time.fromisoformat(time).strftime("%H:%M")
        except ValueError:
            errors["due_time"] = _("Write a time like 15:00.")
    kind, priority = str(posted.get("kind", TODO)), str(posted.get("priority", NORMAL))
    assignee = str(posted.get("assignee", RESPONSIBLE))
    person, role = str(posted.get("user_id", "")), str(posted.get("role", ""))
    if assignee == PERSON and not person.isdecimal():
        errors["user_id"] = _("Choose from the list.")
    if assignee == ROLE and not role:
        errors["role"] = _("Choose from the list.")
    if errors:
        raise InvalidValues(errors, dict(posted))
    return {
        "title": title,
        "kind": kind if kind in dict(KINDS) else TODO,
        "priority": priority if priority in dict(PRIORITIES) else NORMAL,
        "due_days": int(days),
        "due_time": time,
        "assignee": assignee if assignee in dict(ASSIGNEES) else RESPONSIBLE,
        "role": role or None,
        "user_id": int(person) if assignee == PERSON else None,
        "text": str(posted.get("text", "")).strip() or None,
        "checklist": [one.strip()[:300] for one in str(posted.get("checklist", "")).splitlines() if one.strip()][:100],
    }


def _line_page(
    request: Request, wanted: TemplateSet, line: Template | None, error: Exception | None = None
) -> dict[str, Any]:
    say = request.translate
    posted = request.POST if request.method == "POST" else {}
    errors = error.errors if isinstance(error, InvalidValues) else {"title": refused(error)} if error else {}

    def field(name: str, title: Any, value: Any = "", **more: Any) -> FieldView:
        problem = errors.get(name, "")
        return FieldView(
            name=name, title=say(title), value=str(posted.get(name, "" if value is None else value)),
            id=f"l-{name.replace('_', '-')}", error=say(problem) if problem else "", **more,
        )  # fmt: skip

    old = line or Template(
        title="", kind=TODO, priority=NORMAL, due_days=1, due_time="", assignee=RESPONSIBLE, checklist=[]
    )
    person = str(posted.get("user_id", old.user_id or ""))
    names = user_names(request.db, [int(person)]) if person.isdecimal() and len(person) < 19 else {}
    roles = request.db.execute(sa.select(Role.name, Role.title).order_by(Role.position, Role.id))
    fields = [
        field("title", _("What is to be done"), old.title, required=True, maxlength=300, wide=True, autofocus=True),
        field("kind", _("Kind"), old.kind, kind="choice", choices=choices(request, KINDS), required=True),
        field(
            "priority", _("Priority"), old.priority, kind="choice", choices=choices(request, PRIORITIES), required=True
        ),
        field(
            "due_days", _("Due in working days"), old.due_days, kind="number", minimum="0",
            help=say(_("0: the same day.")),
        ),
        field("due_time", _("Time"), old.due_time, kind="time", help=say(_("Empty: any time of that day."))),
        field(
            "assignee", _("Who does it"), old.assignee, kind="choice", choices=choices(request, ASSIGNEES),
            required=True,
        ),
        field(
            "role", _("Role"), old.role, kind="choice", placeholder="—",
            choices=[Choice(value=row.name, title=say(row.title)) for row in roles],
            help=say(_("Whoever of the role has the fewest tasks.")),
        ),
        field(
            "user_id", _("Person"), old.user_id, kind="user", options_href="/options/people",
            choices=[Choice(value=str(number), title=name) for number, name in names.items()],
        ),
        field("text", _("Details"), old.text, kind="longtext", rows=2, wide=True),
        field(
            "checklist", _("Checklist"), "\n".join(old.checklist), kind="longtext", rows=3, wide=True,
            help=say(_("A line for each thing to tick.")),
        ),
    ]  # fmt: skip
    page = FormPage(
        id="line",
        title=_("Task of the set"),
        action=f"{HOME}/{wanted.id}/lines/{line.id}" if line is not None else f"{HOME}/{wanted.id}/lines/new",
        submit=_("Keep the task"),
        sections=[Section(fields=fields)],
        cancel_href=HOME,
        wide=True,
    )
    return {"title": say(_("Task of the set")), "page": page}
