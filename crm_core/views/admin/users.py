"""Accounts: the list, one account, invitations, and the picker of colleagues."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPNotFound
from pyramid.i18n import TranslationString
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import people
from crm_core.i18n import _, localizer_for, translate
from crm_core.models import Role, SignInEvent, Team, User, UserRole, UserSession
from crm_core.models.accounts import ACTIVE, DELETED, DISABLED, PENDING, UNCONFIRMED
from crm_core.people import Refused
from crm_core.people.reach import may_reach, reached, require_reach
from crm_core.people.rights import grantable_roles
from crm_core.security import limits, permissions, sessions
from crm_core.security.permissions import (
    LOG_VIEW,
    RIGHTS_GRANT,
    USERS_APPROVE,
    USERS_DELETE,
    USERS_DISABLE,
    USERS_EDIT,
    USERS_INVITE,
    USERS_VIEW,
)
from crm_core.views.account.doors import TOO_MANY, post_of, proved
from crm_core.views.account.first_run import step_done
from crm_core.views.account.profile import face
from crm_core.views.admin.index import CRUMB, FORM
from crm_core.views.filling import Filling, choices, go, post_button, say, typed, typed_number
from crm_core.views.shapes import (
    Action,
    Badge,
    Cell,
    Column,
    Crumb,
    EmptyState,
    FilterChip,
    FormPage,
    KeyValue,
    ListPage,
    Notice,
    Row,
    Section,
    Tab,
    TimelineItem,
)

USERS = Crumb(title=_("Users"), href="/settings/users")
PAGE = 50

STATUS: dict[str, Badge] = {
    ACTIVE: Badge(text=_("Active"), tone="success"),
    PENDING: Badge(text=_("Waits for approval"), tone="warning"),
    UNCONFIRMED: Badge(text=_("Address not confirmed"), tone="muted"),
    DISABLED: Badge(text=_("Access disabled"), tone="danger"),
    DELETED: Badge(text=_("Deleted"), tone="muted"),
}


def role_title(role: Role) -> str:
    """Return the title of a role: translated where it ships, as it was written for one's own."""
    return TranslationString(role.title, domain="crm_core") if role.ships else role.title


# -- the list ------------------------------------------------------------------------------------------------------


def _filtered(request: Request) -> sa.Select[Any]:
    statement = sa.select(User).where(reached(request.subject, USERS_VIEW))
    status = request.GET.get("status", "")
    statement = statement.where(User.status == status) if status in STATUS else statement.where(User.status != DELETED)
    if query := request.GET.get("q", "").strip().lower():
        pattern = "%" + query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        words = sa.or_(sa.func.lower(User.name).like(pattern), sa.func.lower(User.email).like(pattern))
        statement = statement.where(words)
    if (role := request.GET.get("role", "")).isdecimal():
        statement = statement.where(User.id.in_(sa.select(UserRole.user_id).where(UserRole.role_id == int(role[:18]))))
    if (team := request.GET.get("team", "")).isdecimal():
        statement = statement.where(User.team_id == int(team[:18]))
    return statement


@view_config(
    route_name="settings.users",
    request_method="GET",
    permission=USERS_VIEW,
    renderer="crm_core:templates/admin/list.pt",
)
def list_users(request: Request) -> dict[str, Any]:
    """Show the accounts that this person may see."""
    number = request.GET.get("page", "1")
    page = max(1, int(number)) if number.isdecimal() and len(number) < 7 else 1
    statement = _filtered(request).order_by(sa.func.lower(User.name), User.id)
    found = list(request.db.scalars(statement.offset((page - 1) * PAGE).limit(PAGE + 1)))
    users, more = found[:PAGE], len(found) > PAGE
    roles, teams = _roles_of(request, users), _teams(request)
    seen = _seen(request, users)
    keep = {name: value for name, value in request.GET.items() if name in ("q", "status", "role", "team") and value}

    def href(**change: Any) -> str:
        query = {name: value for name, value in {**keep, **change}.items() if value}
        return "/settings/users" + ("?" + urlencode(query) if query else "")

    return {
        "title": _("Users"),
        "crumbs": [CRUMB],
        "tabs": _tabs(request, "users"),
        "selects": [
            _select(request, "status", _("State"), [(name, badge.text) for name, badge in STATUS.items()]),
            _select(
                request,
                "role",
                _("Role"),
                [(role.id, role_title(role)) for role in people.roles_by_position(request.db)],
            ),
            _select(request, "team", _("Department"), teams.items()),
        ],
        "page": ListPage(
            title=_("Users"),
            href="/settings/users",
            icon="users",
            query=keep.get("q", ""),
            keep=[(name, value) for name, value in keep.items() if name != "q"],
            search_title=_("Name or address"),
            clear_href="/settings/users" if keep else "",
            filters=_chips(request, keep, href, teams),
            selectable=False,
            columns=[
                Column(name="name", title=_("Full name"), kind="person"),
                Column(name="email", title=_("E-mail"), kind="email"),
                Column(name="roles", title=_("Roles"), kind="tags"),
                Column(name="team", title=_("Department")),
                Column(name="status", title=_("State"), kind="badge", phone=True),
                Column(name="seen", title=_("Last seen"), kind="date"),
            ],
            rows=[
                Row(
                    id=user.id,
                    href=f"/settings/users/{user.id}",
                    label=user.name,
                    cells=[
                        Cell(kind="person", text=user.name, person=face(user), href=f"/settings/users/{user.id}"),
                        Cell(text=user.email),
                        Cell(
                            kind="tags",
                            badges=[Badge(text=request.translate(role_title(role))) for role in roles.get(user.id, [])],
                        ),
                        Cell(text=teams.get(user.team_id or 0, "")),
                        Cell(kind="badge", badges=[STATUS[user.status]]),
                        Cell(
                            kind="date",
                            text=request.formats.relative(seen.get(user.id)),
                            hint=request.formats.datetime(seen.get(user.id)),
                        ),
                    ],
                )
                for user in users
            ],
            previous_href=href(page=page - 1) if page > 1 else "",
            next_href=href(page=page + 1) if more else "",
            create=Action(title=_("Invite"), href="/settings/users/invite", icon="user-plus", look="primary")
            if request.subject.may(USERS_INVITE)
            else None,
            empty=EmptyState(title=_("Nobody found"), text=_("No account fits these filters."), icon="users"),
        ),
    }


def _tabs(request: Request, active: str) -> list[Tab]:
    found = [Tab(title=_("Accounts"), href="/settings/users", active=active == "users")]
    if request.subject.may(USERS_INVITE):
        found.append(Tab(title=_("Invitations"), href="/settings/users/invite", active=active == "invite"))
    return found


def _select(request: Request, name: str, title: str, pairs: Any) -> Any:
    form = Filling(request)
    return form.field(
        name, title, "choice", request.GET.get(name, ""), choices=choices([("", _("Any")), *pairs]), id=f"by-{name}"
    )


def _chips(request: Request, keep: dict[str, str], href: Any, teams: dict[int, str]) -> list[FilterChip]:
    words = {"status": _("State"), "role": _("Role"), "team": _("Department")}
    values = {"status": lambda v: STATUS[v].text if v in STATUS else v}
    roles = {str(role.id): role_title(role) for role in people.roles_by_position(request.db)} if "role" in keep else {}
    values["role"] = lambda v: roles.get(v, v)
    values["team"] = lambda v: teams.get(int(v), v) if v.isdecimal() else v
    return [
        FilterChip(
            title=title, value=request.translate(values[name](keep[name])), remove_href=href(**{name: ""}), name=name
        )
        for name, title in words.items()
        if name in keep
    ]


def _roles_of(request: Request, users: list[User]) -> dict[int, list[Role]]:
    found: dict[int, list[Role]] = {}
    if users:
        rows = request.db.execute(
            sa.select(UserRole.user_id, Role)
            .join(Role, Role.id == UserRole.role_id)
            .where(UserRole.user_id.in_([user.id for user in users]))
            .order_by(Role.position)
        )
        for user_id, role in rows:
            found.setdefault(user_id, []).append(role)
    return found


def _teams(request: Request) -> dict[int, str]:
    return dict(request.db.execute(sa.select(Team.id, Team.name).order_by(sa.func.lower(Team.name))).all())


def _seen(request: Request, users: list[User]) -> dict[int, Any]:
    if not users:
        return {}
    ids = [user.id for user in users]
    rows = request.db.execute(
        sa.select(UserSession.user_id, sa.func.max(UserSession.seen_at))
        .where(UserSession.user_id.in_(ids))
        .group_by(UserSession.user_id)
    )
    return dict(rows.all())


# -- one account ---------------------------------------------------------------------------------------------------


def _user(request: Request) -> User:
    user = people.account(request.db, int(request.matchdict["id"]))
    if user is None or not people.reaches(request.db, request.subject, USERS_VIEW, user.id):
        raise HTTPNotFound
    return user


def _user_page(request: Request, refused: Refused | None = None, of: str = "") -> dict[str, Any]:
    user, subject, db = _user(request), request.subject, request.db
    roles = _roles_of(request, [user]).get(user.id, [])
    teams = _teams(request)
    edits = may_reach(db, subject, USERS_EDIT, user)
    if refused is not None:
        request.response.status_int = refused.status
    form = Filling(request, refused if of == "profile" else None)
    pages = []
    if edits:
        fields = [
            form.field("name", _("Full name"), value=user.name, required=True, maxlength=120),
            form.field("job_title", _("Position"), value=user.job_title, maxlength=200),
            form.field("phone", _("Telephone"), "text", user.phone, maxlength=40),
        ]
        if user.id != subject.user_id or subject.may(permissions.DEPARTMENTS_EDIT):
            fields.append(
                form.field(
                    "team_id",
                    _("Department"),
                    "choice",
                    user.team_id,
                    choices=choices([("", _("None")), *teams.items()]),
                )
            )
            fields.append(
                form.field(
                    "move_records",
                    _("With another department, take the records along"),
                    "bool",
                    help=_("Otherwise they stay with the old department."),
                )
            )
        pages.append(
            FormPage(
                id="profile-form",
                title=_("Profile"),
                action=f"/settings/users/{user.id}",
                submit=_("Save the profile"),
                errors=form.errors if of == "profile" else (),
                sections=[Section(fields=fields)],
            )
        )
    grantable = grantable_roles(db, subject, request.registry["crm.plugins"]) if _may_grant(request, user) else []
    if grantable:
        pages.append(_roles_form(request, user, roles, grantable, refused if of == "roles" else None))
    return {
        "title": user.name or user.email,
        "crumbs": [CRUMB, USERS],
        "person": face(user),
        "status": STATUS[user.status],
        "facts": [
            KeyValue(title=_("E-mail"), value=user.email, href=f"mailto:{user.email}"),
            KeyValue(title=_("Department"), value=teams.get(user.team_id or 0, "")),
            KeyValue(title=_("Position"), value=user.job_title),
            KeyValue(title=_("Telephone"), value=user.phone),
            KeyValue(title=_("Roles"), value=", ".join(request.translate(role_title(role)) for role in roles)),
            KeyValue(title=_("Since"), value=request.formats.date(user.created_at)),
        ],
        "actions": _actions(request, user),
        "pages": pages,
        "problem": say(request, refused.sentence) if refused is not None and of == "" else "",
        "events": _events(request, user),
    }


def _may_grant(request: Request, user: User) -> bool:
    if not request.subject.may(RIGHTS_GRANT):
        return False
    from crm_core.people.reach import grants_of, surplus

    return user.id == request.subject.user_id or not surplus(request.subject, grants_of(request.db, user.id))


def _roles_form(
    request: Request, user: User, roles: list[Role], grantable: list[Role], refused: Refused | None
) -> FormPage:
    form = Filling(request, refused)
    held = {role.id for role in roles}
    free = {role.id for role in grantable}
    kept = [role for role in roles if role.id not in free]
    return FormPage(
        id="roles-form",
        title=_("Roles"),
        action=f"/settings/users/{user.id}/roles",
        submit=_("Save the roles"),
        intro=_("What any of the roles allows is allowed."),
        errors=form.errors,
        notices=[
            Notice(
                text=_(
                    "Roles that only others may change: ${roles}",
                    mapping={"roles": ", ".join(request.translate(role_title(role)) for role in kept)},
                ),
                tone="muted",
            )
        ]
        if kept
        else [],
        sections=[
            Section(
                fields=[
                    form.field(
                        "roles",
                        _("Roles"),
                        "choices",
                        [str(one) for one in held],
                        choices=choices((role.id, request.translate(role_title(role))) for role in grantable),
                    )
                ]
            )
        ],
    )


def _actions(request: Request, user: User) -> list[Action]:
    subject, db, base = request.subject, request.db, f"/settings/users/{user.id}"
    found: list[Action] = []
    if user.status in (PENDING, UNCONFIRMED) and subject.may(USERS_APPROVE):
        found.append(post_button(_("Approve"), f"{base}/approve", "check", "primary"))
        found.append(post_button(_("Decline"), f"{base}/reject", "x"))
    if user.id != subject.user_id and may_reach(db, subject, USERS_DISABLE, user):
        if user.status == ACTIVE:
            found.append(post_button(_("End all sessions"), f"{base}/end-sessions", "logout"))
            found.append(post_button(_("Disable access"), f"{base}/disable", "lock"))
        elif user.status == DISABLED:
            found.append(post_button(_("Enable access"), f"{base}/enable", "lock-open", "primary"))
    if user.id != subject.user_id and may_reach(db, subject, USERS_DELETE, user):
        found.append(Action(title=_("Delete the account"), href=f"{base}/delete", icon="trash", look="danger"))
    return found


_EVENT_WORDS = {
    "in": (_("Signed in"), "login"),
    "out": (_("Signed out"), "logout"),
    "failed": (_("Failed sign-in"), "alert-triangle"),
}


def _events(request: Request, user: User) -> list[TimelineItem]:
    subject = request.subject
    if user.id != subject.user_id and not people.reaches(request.db, subject, LOG_VIEW, user.id):
        return []
    rows = request.db.scalars(
        sa.select(SignInEvent).where(SignInEvent.user_id == user.id).order_by(SignInEvent.id.desc()).limit(20)
    )
    return [
        TimelineItem(
            id=f"s{row.id}",
            icon=_EVENT_WORDS.get(row.kind, (row.kind, "point"))[1],
            title=_EVENT_WORDS.get(row.kind, (row.kind, "point"))[0],
            when=request.formats.relative(row.at),
            when_exact=request.formats.datetime(row.at),
            when_machine=row.at.isoformat(),
            text=" · ".join(part for part in (row.device, row.address) if part),
            tone="warning" if row.kind == "failed" else "",
            small=True,
        )
        for row in rows
    ]


USER = "crm_core:templates/admin/user.pt"


@view_config(route_name="settings.user", request_method="GET", permission=USERS_VIEW, renderer=USER)
def user_page(request: Request) -> dict[str, Any]:
    """Show one account."""
    return _user_page(request)


@view_config(route_name="settings.user", request_method="POST", permission=USERS_EDIT, renderer=USER)
def edit_user(request: Request) -> Any:
    """Save the profile of an account."""
    user = _user(request)
    values: dict[str, Any] = {name: typed(request, name) for name in ("name", "job_title", "phone")}
    try:
        if "team_id" in request.POST:
            values["team_id"] = typed_number(request, "team_id")
        people.update_profile(request.db, request.subject, user, move_records="move_records" in request.POST, **values)
    except Refused as refused:
        return _user_page(request, refused, "profile")
    request.toast(_("The profile is saved."))
    return go(request, f"/settings/users/{user.id}")


@view_config(route_name="settings.user_roles", request_method="POST", permission=RIGHTS_GRANT, renderer=USER)
def grant_roles(request: Request) -> Any:
    """Give a person roles; those that this person may not hand out stay as they are."""
    user = _user(request)
    plugins = request.registry["crm.plugins"]
    free = {role.id for role in grantable_roles(request.db, request.subject, plugins)}
    held = set(request.db.scalars(sa.select(UserRole.role_id).where(UserRole.user_id == user.id)))
    asked = {int(one) for one in request.POST.getall("roles") if one.isdecimal() and len(one) < 19}
    try:
        people.set_roles(request.db, request.subject, plugins, user, asked | (held - free))
    except Refused as refused:
        return _user_page(request, refused, "roles")
    request.toast(_("The roles are saved."))
    return go(request, f"/settings/users/{user.id}")


@view_config(route_name="settings.user_do", request_method="POST", permission=USERS_VIEW, renderer=USER)
def act_on_user(request: Request) -> Any:
    """Approve, decline, disable, enable, or end the sessions of an account; the service asks for the right."""
    user, subject, db = _user(request), request.subject, request.db
    verb = request.matchdict["verb"]
    back = f"/settings/users/{user.id}"
    try:
        if verb == "approve":
            people.approve(db, subject, post_of(request), user)
            request.toast(_("The account is approved; a letter is on its way."))
        elif verb == "reject":
            people.reject(db, subject, post_of(request), user)
            request.toast(_("The sign-up is declined."))
            back = "/settings/users?status=pending"
        elif verb == "disable":
            people.disable(db, subject, user)
            request.toast(_("Access is disabled; all sessions have ended."))
        elif verb == "enable":
            people.enable(db, subject, user)
            request.toast(_("Access is enabled."))
        else:
            require_reach(db, subject, USERS_DISABLE, user)
            sessions.end_sessions(db, user.id)
            request.toast(_("All sessions of this person have ended."))
    except Refused as refused:
        return _user_page(request, refused)
    return go(request, back)


def _delete_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    user, form = _user(request), Filling(request, refused)
    others = request.db.execute(
        sa.select(User.id, User.name)
        .where(User.status == ACTIVE, User.id != user.id)
        .order_by(sa.func.lower(User.name))
    )
    return {
        "title": _("Delete the account of ${name}", mapping={"name": user.name}),
        "page": FormPage(
            title=_("Delete the account of ${name}", mapping={"name": user.name}),
            action=request.path,
            submit=_("Hand over and delete"),
            danger=True,
            intro=_(
                "Records are handed over, access ends at once, the name and address are forgotten. History stays. "
                "This cannot be undone."
            ),
            errors=form.errors,
            crumbs=[CRUMB, USERS, Crumb(title=user.name, href=f"/settings/users/{user.id}")],
            cancel_href=f"/settings/users/{user.id}",
            sections=[
                Section(
                    fields=[
                        form.field(
                            "heir",
                            _("Who takes over the records"),
                            "choice",
                            required=True,
                            choices=choices([("", ""), *others]),
                        ),
                        form.field(
                            "typed",
                            _("Type the name: ${name}", mapping={"name": user.name}),
                            required=True,
                            autocomplete="off",
                        ),
                    ]
                )
            ],
        ),
    }


@view_config(route_name="settings.user_delete", request_method="GET", permission=USERS_DELETE, renderer=FORM)
@proved
def delete_form(request: Request) -> dict[str, Any]:
    """Ask who takes over, and for the name."""
    return _delete_page(request)


@view_config(route_name="settings.user_delete", request_method="POST", permission=USERS_DELETE, renderer=FORM)
@proved
def delete_user(request: Request) -> Any:
    """Hand over an account's records and delete it."""
    user, db = _user(request), request.db
    try:
        if typed(request, "typed").strip() != user.name:
            raise Refused(_("This is not the name."), "typed")
        heir = people.account(db, typed_number(request, "heir") or 0)
        if heir is None:
            raise Refused(_("Choose somebody whose account is active."), "heir")
        left = translate(
            localizer_for(request.company.locale, request.registry),
            _("Former employee ${number}", mapping={"number": user.id}),
        )
        count = people.delete(db, request.subject, user, heir, left)
    except Refused as refused:
        return _delete_page(request, refused)
    request.toast(
        request.plural(
            "${n} record handed over, the account is deleted.",
            "${n} records handed over, the account is deleted.",
            count,
        )
    )
    return go(request, "/settings/users")


# -- invitations ---------------------------------------------------------------------------------------------------

INVITE = "crm_core:templates/admin/invite.pt"


def _invite_page(request: Request, refused: Refused | None = None, link: str = "") -> dict[str, Any]:
    form, subject, db = Filling(request, refused), request.subject, request.db
    roles = [role for role in people.roles_by_position(db) if role.name == permissions.USER]
    if "all" in subject.scopes(USERS_INVITE):
        free = {role.id for role in grantable_roles(db, subject, request.registry["crm.plugins"])}
        roles = [r for r in people.roles_by_position(db) if r.id in free or r.name == permissions.USER]
    default = next((role.id for role in roles if role.name == permissions.USER), "")
    return {
        "title": _("Invitations"),
        "crumbs": [CRUMB, USERS],
        "tabs": _tabs(request, "invite"),
        "link": link,
        "page": FormPage(
            title=_("Invite somebody"),
            action="/settings/users/invite",
            submit=_("Make the invitation"),
            intro=_(
                "With an address a letter is sent; without one you get a link to pass on. "
                "Everybody chooses his own password."
            ),
            errors=form.errors,
            sections=[
                Section(
                    fields=[
                        form.field("email", _("E-mail"), "email", help=_("May be left empty."), autocomplete="off"),
                        form.field(
                            "role_id",
                            _("Role"),
                            "choice",
                            default,
                            choices=choices((role.id, request.translate(role_title(role))) for role in roles),
                        ),
                        form.field(
                            "team_id",
                            _("Department"),
                            "choice",
                            choices=choices([("", _("None")), *_teams(request).items()]),
                        ),
                    ]
                )
            ],
        ),
        "invitations": [
            {
                "to": one.token.payload["email"] or _("whoever has the link"),
                "role": role_title(one.role) if one.role else "",
                "team": one.team.name if one.team else "",
                "by": one.by_name,
                "until": request.formats.datetime(one.token.expires_at),
                "withdraw": post_button(_("Withdraw"), f"/settings/users/invitations/{one.token.id}/withdraw", "x"),
            }
            for one in people.open_invitations(db, subject)
        ],
    }


@view_config(route_name="settings.invite", request_method="GET", permission=USERS_INVITE, renderer=INVITE)
def invite_form(request: Request) -> dict[str, Any]:
    """Show the form of invitations and those that nobody has used yet."""
    return _invite_page(request)


@view_config(route_name="settings.invite", request_method="POST", permission=USERS_INVITE, renderer=INVITE)
def invite(request: Request) -> Any:
    """Make an invitation and show its link, once."""
    try:
        if not request.limits.hit(limits.INVITE, request.subject.user_id):
            raise Refused(TOO_MANY)
        post = post_of(request)
        secret = people.invite(
            request.db,
            request.subject,
            request.registry["crm.plugins"],
            post,
            email=typed(request, "email"),
            role_id=typed_number(request, "role_id"),
            team_id=typed_number(request, "team_id"),
        )
    except Refused as refused:
        return _invite_page(request, refused)
    if request.subject.may(permissions.SETTINGS_EDIT):
        step_done(request, "people")
    return _invite_page(request, link=f"{post.base_url}/token/invite/{secret}")


@view_config(route_name="settings.withdraw", request_method="POST", permission=USERS_INVITE, renderer=INVITE)
def withdraw(request: Request) -> Any:
    """Make an invitation worthless."""
    try:
        people.withdraw_invitation(request.db, request.subject, int(request.matchdict["id"]))
    except Refused as refused:
        return _invite_page(request, refused)
    request.toast(_("The invitation is withdrawn."))
    return go(request, "/settings/users/invite")


# -- choosing a colleague ------------------------------------------------------------------------------------------


@view_config(route_name="settings.colleagues", request_method="GET", renderer="json")
def colleagues(request: Request) -> list[dict[str, Any]]:
    """Answer pickers with active colleagues whose name holds what was typed: all of them, or just oneself."""
    statement = sa.select(User).where(User.status == ACTIVE)
    if not people.may_name(request.subject):
        statement = statement.where(User.id == request.subject.user_id)
    if query := request.GET.get("q", "").strip().lower():
        pattern = "%" + query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        statement = statement.where(sa.func.lower(User.name).like(pattern))
    found = request.db.scalars(statement.order_by(sa.func.lower(User.name)).limit(30))
    return [
        {
            "value": str(user.id),
            "title": user.name,
            "hint": user.job_title,
            "photo_href": f"/faces/{user.photo}.png" if user.photo else "",
        }
        for user in found
    ]
