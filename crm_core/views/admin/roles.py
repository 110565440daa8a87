"""Roles: the matrix in words, and the editor of one role."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import people
from crm_core.i18n import _
from crm_core.models import Role, UserRole
from crm_core.people import Refused
from crm_core.people.rights import all_grants, may_edit_role, role_grants
from crm_core.plugins import Plugins
from crm_core.security.permissions import RIGHTS_EDIT, SCOPE_TITLES, scope_covers
from crm_core.specs import SCOPES, Permission
from crm_core.views.account.doors import proved
from crm_core.views.admin.index import CRUMB
from crm_core.views.admin.users import role_title
from crm_core.views.filling import Filling, choices, go, post_button, say, typed, typed_number
from crm_core.views.shapes import Action, Badge, Crumb, FormPage, LinkCard, LinkGroup, Notice, Section

MATRIX = "crm_core:templates/admin/roles.pt"
ROLE = "crm_core:templates/admin/role.pt"
ROLES = Crumb(title=_("Roles"), href="/settings/roles")


def scope_title(plugins: Plugins, scope: str) -> str:
    """Return a scope in words: a general one, the core's own, or one that an entity names."""
    if scope in SCOPE_TITLES:
        return SCOPE_TITLES[scope]
    if scope == "parent":
        return _("With what it belongs to")
    named = (one for entity in plugins.entities.values() for one in entity.scopes if one.name == scope)
    return next((one.title for one in named), scope)


def by_group(plugins: Plugins) -> list[tuple[str, list[Permission]]]:
    """Return the permissions by group, the core's groups last, for everyday work comes first."""
    groups: dict[str, list[Permission]] = {}
    own: dict[str, list[Permission]] = {}
    for permission in plugins.permissions.values():
        target = own if plugins.source["permission", permission.name] == "core" else groups
        target.setdefault(permission.group, []).append(permission)
    return [*groups.items(), *own.items()]


def _words(request: Request, permission: Permission, scopes: frozenset[str]) -> str:
    if not scopes:
        return ""
    if permission.scopes == ("all",):
        return request.translate(_("Yes"))
    plugins = request.registry["crm.plugins"]
    ordered = [scope for scope in permission.scopes if scope in scopes]
    return " + ".join(request.translate(scope_title(plugins, scope)) for scope in ordered)


def _matrix(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    plugins: Plugins = request.registry["crm.plugins"]
    roles, grants = people.roles_by_position(request.db), all_grants(request.db)
    counts = dict(request.db.execute(sa.select(UserRole.role_id, sa.func.count()).group_by(UserRole.role_id)).all())
    form = Filling(request, refused)
    may_create = "all" in request.subject.scopes(RIGHTS_EDIT)
    return {
        "title": _("Roles"),
        "crumbs": [CRUMB],
        "roles": [
            {
                "title": role_title(role),
                "text": role_description(role),
                "href": f"/settings/roles/{role.id}",
            }
            for role in roles
        ],
        "cards": [
            LinkGroup(
                title="",
                items=[
                    LinkCard(
                        title=role_title(role),
                        href=f"/settings/roles/{role.id}",
                        text=role_description(role),
                        icon="shield-lock" if may_edit_role(request.subject, role) else "eye",
                        badge=Badge(text=request.plural("${n} person", "${n} people", counts.get(role.id, 0))),
                    )
                    for role in roles
                ],
            )
        ],
        "groups": [
            {
                "title": group,
                "rows": [
                    {
                        "title": permission.title,
                        "help": permission.help,
                        "cells": [
                            _words(request, permission, grants.get(role.id, {}).get(permission.name, frozenset()))
                            for role in roles
                        ],
                    }
                    for permission in found
                ],
            }
            for group, found in by_group(plugins)
        ],
        "page": FormPage(
            title=_("New role"),
            action="/settings/roles",
            submit=_("Create the role"),
            errors=form.errors,
            sections=[
                Section(
                    fields=[
                        form.field("title", _("Name"), required=True, maxlength=80),
                        form.field("description", _("What it is for"), maxlength=200),
                        form.field(
                            "like",
                            _("Begin like"),
                            "choice",
                            choices=choices(
                                [("", _("Nothing allowed")), *((r.id, request.translate(role_title(r))) for r in roles)]
                            ),
                        ),
                    ]
                )
            ],
        )
        if may_create
        else None,
    }


def role_description(role: Role) -> str:
    """Return the description of a role, translated where it ships."""
    from pyramid.i18n import TranslationString

    return (
        TranslationString(role.description, domain="crm_core") if role.ships and role.description else role.description
    )


@view_config(route_name="settings.roles", request_method="GET", permission=RIGHTS_EDIT, renderer=MATRIX)
def matrix(request: Request) -> dict[str, Any]:
    """Show what each role may, in words."""
    return _matrix(request)


@view_config(route_name="settings.roles", request_method="POST", permission=RIGHTS_EDIT, renderer=MATRIX)
def create(request: Request) -> Any:
    """Make a role of one's own."""
    subject, db = request.subject, request.db
    try:
        like = typed_number(request, "like")
        source = db.get(Role, like) if like else None
        if source is None:
            role = people.create_role(db, subject, typed(request, "title"), typed(request, "description"))
        else:
            role = people.copy_role(db, subject, request.registry["crm.plugins"], source, typed(request, "title"))
    except Refused as refused:
        return _matrix(request, refused)
    request.toast(_("The role is created. Now say what it may."))
    return go(request, f"/settings/roles/{role.id}")


# -- one role ------------------------------------------------------------------------------------------------------


def _role(request: Request) -> Role:
    role = request.db.get(Role, int(request.matchdict["id"]))
    if role is None:
        raise HTTPNotFound
    return role


def _may_add(request: Request, permission: str, scope: str) -> bool:
    return scope_covers(request.subject.scopes(permission), scope) or "all" in request.subject.scopes(RIGHTS_EDIT)


def _role_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    role, plugins, form = _role(request), request.registry["crm.plugins"], Filling(request, refused)
    held = role_grants(request.db, role.id)
    editable = may_edit_role(request.subject, role)
    own = not role.ships and "all" in request.subject.scopes(RIGHTS_EDIT)
    about = []
    if own:
        about = [
            Section(
                fields=[
                    form.field("title", _("Name"), value=role.title, required=True, maxlength=80),
                    form.field("description", _("What it is for"), value=role.description, maxlength=200),
                ]
            )
        ]
    return {
        "title": role_title(role),
        "text": role_description(role),
        "crumbs": [CRUMB, ROLES],
        "editable": editable,
        "action": request.path,
        "problem": say(request, refused.sentence) if refused else "",
        "about": about,
        "groups": [
            {
                "title": group,
                "rows": [
                    _choice(request, form, plugins, one, held.get(one.name, frozenset()), editable) for one in found
                ],
            }
            for group, found in by_group(plugins)
        ],
        "users_href": f"/settings/users?role={role.id}",
        "actions": [post_button(_("Delete the role"), f"/settings/roles/{role.id}/delete", "trash", "danger")]
        if own
        else [],
        "notices": [] if editable else [Notice(text=_("You see what this role may, but not change it."), tone="muted")],
        "more": Action(title=_("Who has it"), href=f"/settings/users?role={role.id}", icon="users"),
    }


def _choice(
    request: Request, form: Filling, plugins: Plugins, permission: Permission, held: frozenset[str], editable: bool
) -> dict[str, Any]:
    name = f"p:{permission.name}"
    chain = [scope for scope in SCOPES if scope in permission.scopes]
    named = [scope for scope in permission.scopes if scope not in SCOPES]
    common = {"readonly": not editable, "help": permission.help}
    found: dict[str, Any] = {
        "title": permission.title,
        "help": permission.help,
        "words": _words(request, permission, held),
    }
    if permission.scopes == ("all",):
        found["field"] = form.field(name, permission.title, "bool", "all" in held, **common)
    elif chain:
        present = next((scope for scope in reversed(chain) if scope in held), "")
        options = [("", _("No")), *((scope, scope_title(plugins, scope)) for scope in chain)]
        found["field"] = form.field(name, permission.title, "choice", present, choices=choices(options), **common)
    else:
        found["field"] = None
    found["named"] = [
        form.field(f"{name}:{scope}", scope_title(plugins, scope), "bool", scope in held, readonly=not editable)
        for scope in named
    ]
    return found


@view_config(route_name="settings.role", request_method="GET", permission=RIGHTS_EDIT, renderer=ROLE)
def role_page(request: Request) -> dict[str, Any]:
    """Show what one role may."""
    return _role_page(request)


@view_config(route_name="settings.role", request_method="POST", permission=RIGHTS_EDIT, renderer=ROLE)
@proved
def edit(request: Request) -> Any:
    """Save what one role may."""
    role, plugins, db = _role(request), request.registry["crm.plugins"], request.db
    wanted: dict[str, set[str]] = {}
    for permission in plugins.permissions.values():
        name = f"p:{permission.name}"
        scopes = {scope for scope in permission.scopes if f"{name}:{scope}" in request.POST}
        if permission.scopes == ("all",):
            scopes = {"all"} if name in request.POST else set()
        elif (chosen := typed(request, name)) and chosen in permission.scopes:
            scopes.add(chosen)
        if scopes:
            wanted[permission.name] = scopes
    try:
        with db.begin_nested():
            if not role.ships and "title" in request.POST:
                people.edit_role(db, request.subject, role, typed(request, "title"), typed(request, "description"))
            people.set_role_grants(db, request.subject, plugins, role, wanted)
    except Refused as refused:
        return _role_page(request, refused)
    request.toast(_("The role is saved; it counts from now on."))
    return go(request, f"/settings/roles/{role.id}")


@view_config(route_name="settings.role_delete", request_method="POST", permission=RIGHTS_EDIT, renderer=ROLE)
def delete(request: Request) -> Any:
    """Delete a role of one's own that nobody has."""
    try:
        people.delete_role(request.db, request.subject, _role(request))
    except Refused as refused:
        return _role_page(request, refused)
    request.toast(_("The role is deleted."))
    return go(request, "/settings/roles")
