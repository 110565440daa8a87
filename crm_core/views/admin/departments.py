"""Departments and their heads."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import people
from crm_core.i18n import _
from crm_core.models import Team, User
from crm_core.models.accounts import ACTIVE
from crm_core.people import Refused
from crm_core.security.permissions import DEPARTMENTS_EDIT
from crm_core.views.account.first_run import step_done
from crm_core.views.admin.index import CRUMB, FORM
from crm_core.views.filling import Filling, choices, go, post_button, typed, typed_number
from crm_core.views.shapes import Crumb, FormPage, Section

TREE = "crm_core:templates/admin/departments.pt"
DEPARTMENTS = Crumb(title=_("Departments"), href="/settings/departments")


def _fields(request: Request, form: Filling, team: Team | None = None) -> list[Any]:
    heads = request.db.execute(
        sa.select(User.id, User.name)
        .where(sa.or_(User.status == ACTIVE, User.id == (team.head_id if team else None)))
        .order_by(sa.func.lower(User.name))
    )
    above = [
        (one.team.id, "— " * one.depth + one.team.name)
        for one in people.department_tree(request.db)
        if team is None or one.team.id != team.id
    ]
    return [
        form.field("name", _("Name"), value=team.name if team else "", required=True, maxlength=120),
        form.field(
            "parent_id",
            _("Belongs to"),
            "choice",
            team.parent_id if team else "",
            choices=choices([("", _("Nothing above it")), *above]),
        ),
        form.field(
            "head_id",
            _("Head"),
            "choice",
            team.head_id if team else "",
            choices=choices([("", _("Nobody")), *heads]),
            help=_("Sees what this department and those below it own, if his role reaches departments."),
        ),
    ]


def _tree_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    form = Filling(request, refused)
    return {
        "title": _("Departments"),
        "crumbs": [CRUMB],
        "departments": [
            {
                "name": one.team.name,
                "href": f"/settings/departments/{one.team.id}",
                "users_href": f"/settings/users?team={one.team.id}",
                "head": one.head_name,
                "members": request.plural("${n} person", "${n} people", one.members),
                "depth": min(one.depth, 6),
            }
            for one in people.department_tree(request.db)
        ],
        "page": FormPage(
            title=_("New department"),
            action="/settings/departments",
            submit=_("Create the department"),
            errors=form.errors,
            sections=[Section(fields=_fields(request, form))],
        ),
    }


@view_config(route_name="settings.departments", request_method="GET", permission=DEPARTMENTS_EDIT, renderer=TREE)
def tree(request: Request) -> dict[str, Any]:
    """Show the tree of departments."""
    return _tree_page(request)


@view_config(route_name="settings.departments", request_method="POST", permission=DEPARTMENTS_EDIT, renderer=TREE)
def create(request: Request) -> Any:
    """Make a department."""
    try:
        people.create_department(
            request.db,
            request.subject,
            typed(request, "name"),
            parent_id=typed_number(request, "parent_id"),
            head_id=typed_number(request, "head_id"),
        )
    except Refused as refused:
        return _tree_page(request, refused)
    if request.subject.may("settings:edit"):
        step_done(request, "departments")
    request.toast(_("The department is created."))
    return go(request, "/settings/departments")


def _team(request: Request) -> Team:
    team = request.db.get(Team, int(request.matchdict["id"]))
    if team is None:
        raise HTTPNotFound
    return team


def _edit_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    team, form = _team(request), Filling(request, refused)
    return {
        "title": team.name,
        "page": FormPage(
            title=team.name,
            action=request.path,
            submit=_("Save the department"),
            errors=form.errors,
            crumbs=[CRUMB, DEPARTMENTS],
            cancel_href="/settings/departments",
            sections=[Section(fields=_fields(request, form, team))],
        ),
        "actions": [
            post_button(_("Delete the department"), f"/settings/departments/{team.id}/delete", "trash", "danger")
        ],
    }


@view_config(route_name="settings.department", request_method="GET", permission=DEPARTMENTS_EDIT, renderer=FORM)
def edit_form(request: Request) -> dict[str, Any]:
    """Show the form of one department."""
    return _edit_page(request)


@view_config(route_name="settings.department", request_method="POST", permission=DEPARTMENTS_EDIT, renderer=FORM)
def edit(request: Request) -> Any:
    """Save one department."""
    try:
        people.edit_department(
            request.db,
            request.subject,
            _team(request),
            name=typed(request, "name"),
            parent_id=typed_number(request, "parent_id"),
            head_id=typed_number(request, "head_id"),
        )
    except Refused as refused:
        return _edit_page(request, refused)
    request.toast(_("The department is saved."))
    return go(request, "/settings/departments")


@view_config(route_name="settings.department_delete", request_method="POST", permission=DEPARTMENTS_EDIT, renderer=FORM)
def delete(request: Request) -> Any:
    """Delete a department that nothing hangs on."""
    try:
        people.delete_department(request.db, request.subject, _team(request))
    except Refused as refused:
        return _edit_page(request, refused)
    request.toast(_("The department is deleted."))
    return go(request, "/settings/departments")
