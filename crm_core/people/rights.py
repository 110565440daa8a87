"""Roles: what they may, who has them, and what nobody may do with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.i18n import _
from crm_core.models import DefaultGrant, Role, RoleGrant, User, UserRole
from crm_core.people.reach import Denied, Refused, grants_of, require, require_reach, surplus, whole
from crm_core.plugins import Plugins
from crm_core.records import operations
from crm_core.security import permissions
from crm_core.security.administrators import administrator_left
from crm_core.security.permissions import POWERS, RIGHTS_EDIT, RIGHTS_GRANT, scope_covers
from crm_core.security.subject import Subject

#: Roles that a narrower scope of `rights:grant` or `rights:edit` names.
NAMED: Mapping[str, frozenset[str]] = {
    permissions.ROLE_USER: frozenset({permissions.USER}),
    permissions.ROLE_MODERATOR_USER: frozenset({permissions.USER, permissions.MODERATOR}),
}

Grants = Mapping[str, frozenset[str]]


def roles_by_position(session: Session) -> list[Role]:
    """Return all roles in the order in which pages show them."""
    return list(session.scalars(sa.select(Role).order_by(Role.position, Role.id)))


def role_grants(session: Session, role_id: int) -> dict[str, frozenset[str]]:
    """Return what one role allows."""
    return all_grants(session).get(role_id, {})


def all_grants(session: Session) -> dict[int, dict[str, frozenset[str]]]:
    """Return what every role allows, by its id."""
    found: dict[int, dict[str, set[str]]] = {}
    for grant in session.execute(sa.select(RoleGrant.role_id, RoleGrant.permission, RoleGrant.scope)):
        found.setdefault(grant.role_id, {}).setdefault(grant.permission, set()).add(grant.scope)
    return {role: {name: frozenset(scopes) for name, scopes in grants.items()} for role, grants in found.items()}


# -- who has which role --------------------------------------------------------------------------------------------


def grantable_roles(session: Session, subject: Subject, plugins: Plugins) -> list[Role]:
    """Return the roles that the subject may hand out to others."""
    grants = all_grants(session)
    return [role for role in roles_by_position(session) if _may_grant(subject, role, grants.get(role.id, {}), plugins)]


def _may_grant(subject: Subject, role: Role, grants: Grants, plugins: Plugins) -> bool:
    scopes = subject.scopes(RIGHTS_GRANT)
    named = any(role.name in NAMED.get(scope, ()) for scope in scopes)
    if not named and "all" not in scopes:
        return False
    if surplus(subject, grants):
        return False
    return all(
        scope_covers(subject.scopes(permission), scope)
        or _decides_all(subject)
        or (role.ships and _is_default(plugins, permission, role.name, scope))
        for permission, held in grants.items()
        if permission not in POWERS
        for scope in held
    )


def _decides_all(subject: Subject) -> bool:
    return "all" in subject.scopes(RIGHTS_GRANT) and "all" in subject.scopes(RIGHTS_EDIT)


def _is_default(plugins: Plugins, permission: str, role: str, scope: str) -> bool:
    declared = plugins.permissions.get(permission)
    if declared is None:
        return False
    default = declared.default.get(role, ())
    return scope in ((default,) if isinstance(default, str) else default)


@whole
def set_roles(session: Session, subject: Subject, plugins: Plugins, user: User, role_ids: Iterable[int]) -> None:
    """Give a person exactly these roles; only roles that the subject may hand out can come or go."""
    require(subject, RIGHTS_GRANT)
    wanted = set(role_ids)
    present = set(session.scalars(sa.select(UserRole.role_id).where(UserRole.user_id == user.id)))
    if wanted == present:
        return
    if user.id != subject.user_id and surplus(subject, grants_of(session, user.id)):
        raise Denied(_("This person has more rights than you; ask an administrator."))
    roles = {role.id: role for role in roles_by_position(session)}
    if not wanted <= roles.keys():
        raise Refused(_("One of these roles is no longer there."), "roles")
    allowed = {role.id for role in grantable_roles(session, subject, plugins)}
    foreign = [roles[one].title for one in (wanted ^ present) - allowed]
    if foreign:
        raise Denied(_("You may not grant or take away the role “${role}”.", mapping={"role": foreign[0]}), "roles")
    if user.id == subject.user_id and not _decides_all(subject):
        _refuse_widening(session, subject, wanted - present)
    operations.describe(session, subject, kind="rights", entity="core.user", record_id=user.id)
    session.execute(sa.delete(UserRole).where(UserRole.user_id == user.id, UserRole.role_id.in_(present - wanted)))
    session.add_all(UserRole(user_id=user.id, role_id=one) for one in sorted(wanted - present))
    session.flush()
    session.expire(user, ["roles"])
    require_administrator(session)


def _refuse_widening(session: Session, subject: Subject, added: set[int]) -> None:
    grants = all_grants(session)
    for role in added:
        for permission, scopes in grants.get(role, {}).items():
            if not all(scope_covers(subject.scopes(permission), scope) for scope in scopes):
                raise Denied(_("Nobody widens his own rights; ask somebody else who may."), "roles")


def require_administrator(session: Session) -> None:
    """Refuse what has just been done if now nobody is left who may manage everybody's rights."""
    if not administrator_left(session):
        raise Refused(_("This would leave nobody who manages rights. Make somebody else an administrator first."))


# -- what a role may -----------------------------------------------------------------------------------------------


def may_edit_role(subject: Subject, role: Role) -> bool:
    """Tell whether the subject may change what the role allows."""
    scopes = subject.scopes(RIGHTS_EDIT)
    return "all" in scopes or any(role.name in NAMED.get(scope, ()) for scope in scopes)


@whole
def set_role_grants(
    session: Session, subject: Subject, plugins: Plugins, role: Role, wanted: Mapping[str, Iterable[str]]
) -> None:
    """Let a role allow exactly this of what is declared; grants of plugins that are off stay as they are."""
    if not may_edit_role(subject, role):
        raise Denied(_("You may not edit this role."))
    present = {
        (permission, scope)
        for permission, scopes in role_grants(session, role.id).items()
        if permission in plugins.permissions
        for scope in scopes
    }
    asked = {(permission, scope) for permission, scopes in wanted.items() for scope in scopes}
    for permission, scope in asked:
        declared = plugins.permissions.get(permission)
        if declared is None or scope not in declared.scopes:
            raise Refused(_("There is no such right: ${right}.", mapping={"right": f"{permission} {scope}"}))
    added, removed = asked - present, present - asked
    for permission, scope in added:
        _refuse_grant(subject, role, plugins, permission, scope)
    if not added and not removed:
        return
    operations.describe(session, subject, kind="rights", entity="core.role", record_id=role.id)
    for permission, scope in sorted(removed):
        session.execute(
            sa.delete(RoleGrant).where(
                RoleGrant.role_id == role.id, RoleGrant.permission == permission, RoleGrant.scope == scope
            )
        )
    session.add_all(RoleGrant(role_id=role.id, permission=one, scope=scope) for one, scope in sorted(added))
    require_administrator(session)


def _refuse_grant(subject: Subject, role: Role, plugins: Plugins, permission: str, scope: str) -> None:
    title = plugins.permissions[permission].title
    if scope_covers(subject.scopes(permission), scope):
        return
    if role.id in subject.role_ids:
        raise Denied(_("Nobody widens his own role: “${right}”.", mapping={"right": title}))
    if permission in POWERS or not _decides_all(subject):
        raise Denied(_("You cannot grant what you do not have: “${right}”.", mapping={"right": title}))


@whole
def create_role(session: Session, subject: Subject, title: str, description: str = "") -> Role:
    """Make a role of one's own, which allows nothing yet."""
    _require_all(subject)
    title = _role_title(session, title)
    operations.describe(session, subject, kind="create", entity="core.role")
    position = (session.scalar(sa.select(sa.func.max(Role.position))) or 0) + 10
    role = Role(name=_role_name(session, title), title=title, description=description.strip(), position=position)
    session.add(role)
    session.flush()
    return role


@whole
def copy_role(session: Session, subject: Subject, plugins: Plugins, role: Role, title: str) -> Role:
    """Make a role of one's own that allows what another does, as far as the subject may grant it."""
    fresh = create_role(session, subject, title, role.description)
    declared = {name: scopes for name, scopes in role_grants(session, role.id).items() if name in plugins.permissions}
    set_role_grants(session, subject, plugins, fresh, declared)
    return fresh


@whole
def edit_role(session: Session, subject: Subject, role: Role, title: str, description: str) -> None:
    """Rename a role of one's own; those that ship keep their names, which are translated."""
    _require_all(subject)
    operations.describe(session, subject, kind="edit", entity="core.role", record_id=role.id)
    if not role.ships:
        role.title = _role_title(session, title, role.id)
        role.description = description.strip()
    session.flush()


@whole
def delete_role(session: Session, subject: Subject, role: Role) -> None:
    """Delete a role of one's own that nobody has."""
    _require_all(subject)
    if role.ships:
        raise Refused(_("Roles that ship cannot be deleted."))
    if session.scalar(sa.select(UserRole.id).where(UserRole.role_id == role.id).limit(1)):
        raise Refused(_("Somebody has this role; give these people another one first."))
    operations.describe(session, subject, kind="delete", entity="core.role", record_id=role.id, note=role.title)
    operations.ensure(session)
    session.execute(
        sa.text(
            "DELETE FROM core_grant WHERE principal_id IN "
            "(SELECT id FROM core_principal WHERE kind = 'role' AND ref_id = :role)"
        ),
        {"role": role.id},
    )
    session.execute(sa.text("DELETE FROM core_principal WHERE kind = 'role' AND ref_id = :role"), {"role": role.id})
    session.delete(role)
    session.flush()
    require_administrator(session)


def _require_all(subject: Subject) -> None:
    if "all" not in subject.scopes(RIGHTS_EDIT):
        raise Denied(_("You may not make or change roles."))


def _role_title(session: Session, title: str, but: int | None = None) -> str:
    title = " ".join(title.split())[:80]
    if not title:
        raise Refused(_("Fill this in."), "title")
    same = sa.select(Role.id).where(sa.func.lower(Role.title) == title.lower(), Role.id != (but or 0))
    if session.scalar(same):
        raise Refused(_("There is a role of this name."), "title")
    return title


def _role_name(session: Session, title: str) -> str:
    base = re.sub(r"\W+", "-", title.lower()).strip("-")[:40] or "role"
    taken = set(session.scalars(sa.select(Role.name)))
    name, number = f"own-{base}", 2
    while name in taken:
        name, number = f"own-{base}-{number}", number + 1
    return name


# -- what ships ----------------------------------------------------------------------------------------------------


def sync_rights(session: Session, plugins: Plugins) -> list[str]:
    """Make roles that ship and hand new permissions to their default roles, each once; return what was new.

    Called at start and after migrations. A permission that was handed out before is left as the administrator made it.
    """
    from crm_core.people.first_run import scoped_by_choice

    known = set(session.scalars(sa.select(DefaultGrant.permission)))
    new = [permission for name, permission in plugins.permissions.items() if name not in known]
    missing = set(plugins.roles) - set(session.scalars(sa.select(Role.name)))
    if not new and not missing:
        return []
    operations.begin(session, Subject.system("new rights"), kind="rights", source="migration", note="defaults")
    for name in plugins.roles:
        if name in missing:
            role = plugins.roles[name]
            session.execute(
                pg.insert(Role)
                .values(
                    name=name, title=str(role.title), description=str(role.description), ships=True, position=role.order
                )
                .on_conflict_do_nothing()
            )
    ids = dict(session.execute(sa.select(Role.name, Role.id)).all())
    for permission in new:
        # Of two processes that start at once, one hands it out.
        mine = session.execute(
            pg.insert(DefaultGrant)
            .values(permission=permission.name, granted_at=clock.now())
            .on_conflict_do_nothing()
            .returning(DefaultGrant.permission)
        ).one_or_none()
        if mine is None:
            continue
        for role_name, default in scoped_by_choice(session, permission).items():
            for scope in (default,) if isinstance(default, str) else default:
                if role_name in ids:
                    session.execute(
                        pg.insert(RoleGrant)
                        .values(role_id=ids[role_name], permission=permission.name, scope=scope)
                        .on_conflict_do_nothing()
                    )
    session.flush()
    return [permission.name for permission in new]


__all__ = [
    "all_grants",
    "copy_role",
    "create_role",
    "delete_role",
    "edit_role",
    "grantable_roles",
    "may_edit_role",
    "require_administrator",
    "require_reach",
    "role_grants",
    "roles_by_position",
    "set_role_grants",
    "set_roles",
    "sync_rights",
]
