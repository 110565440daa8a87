"""The first administrator, and the steps that make an empty installation a company's own."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.company import ADDRESS, CLIENT_ACCESS, FIRST_RUN, Company
from crm_core.i18n import _
from crm_core.models import Role, RoleGrant, SettingValue, Token, User
from crm_core.models.accounts import ACTIVE, DELETED
from crm_core.people.accounts import _check_password, _locale, _person_name, add_role, normal_email
from crm_core.people.reach import Refused, require, whole
from crm_core.people.rights import require_administrator
from crm_core.plugins import Plugins
from crm_core.records import operations
from crm_core.security import passwords, permissions, tokens
from crm_core.security.subject import Subject
from crm_core.specs import SCOPES, Permission

#: Without letters and digits that are taken for one another when typed from a screen.
_SIGNS = "abcdefghjkmnpqrstuvwxyz23456789"

#: What of a manager's follows the choice "who sees which clients": the lines of the roles marked as such.
SCOPED_BY_CHOICE = (
    "clients:view",
    "clients:edit",
    "consents:view",
    "consents:add",
    "consents:withdraw",
    "deals:view",
    "leads:view",
    "reports:sales",
)


@dataclass(frozen=True)
class Step:
    """One step of the first run."""

    id: str
    title: str
    text: str
    href: str
    icon: str
    permission: str


FIRST_STEPS: tuple[Step, ...] = (
    Step(
        "company",
        _("Tell about the company"),
        _("Name, currency, time zone, logo."),
        "/settings/company",
        "building",
        permissions.SETTINGS_EDIT,
    ),
    Step(
        "departments",
        _("Make departments"),
        _("Heads see what their departments own."),
        "/settings/departments",
        "hierarchy-2",
        permissions.DEPARTMENTS_EDIT,
    ),
    Step(
        "people",
        _("Invite colleagues"),
        _("A link to copy is enough; mail need not work yet."),
        "/settings/users/invite",
        "user-plus",
        permissions.USERS_INVITE,
    ),
    Step(
        "access",
        _("Choose who sees which clients"),
        _("All, those of the department, or one's own."),
        "/settings/accounts",
        "eye",
        permissions.SETTINGS_EDIT,
    ),
    Step(
        "import",
        _("Bring in your clients"),
        _("A table from Excel or another CRM, checked before it goes in."),
        "/imports/new",
        "file-import",
        "",
    ),
    Step(
        "mail",
        _("Connect mail"),
        _("Until then letters stay in the local mailbox."),
        "/settings/mail",
        "mail",
        permissions.SETTINGS_EDIT,
    ),
)


def needs_first_administrator(session: Session) -> bool:
    """Tell whether nobody has an account yet."""
    return session.scalar(sa.select(User.id).where(User.status != DELETED).limit(1)) is None


def first_code(session: Session) -> str | None:
    """Return a fresh one-time code that makes the first administrator; None once there is an account.

    `crm serve` prints it. Each call makes the earlier ones worthless, so that only the newest on the console works.
    """
    if not needs_first_administrator(session):
        return None
    session.execute(
        sa.update(Token).where(Token.purpose == tokens.SETUP, Token.used_at.is_(None)).values(used_at=clock.now())
    )
    code = "-".join("".join(secrets.choice(_SIGNS) for _n in range(6)) for _part in range(5))
    return tokens.issue(session, tokens.SETUP, secret=code)


@whole
def make_first_administrator(
    session: Session,
    company: Company,
    code: str,
    *,
    email: str,
    name: str,
    password: str,
    address: str,
    locale: str = "",
) -> User:
    """Make the first account, an administrator, for who can read the console."""
    code = code.strip().lower()
    if not needs_first_administrator(session) or tokens.find(session, tokens.SETUP, code) is None:
        raise Refused(_("This code is not right. The console shows the newest one when the CRM starts."), "code")
    email, name = normal_email(email), _person_name(name)
    _check_password(password, email, name)
    # Two who type the code at once wait for one another here, and the second finds it used.
    if tokens.use(session, tokens.SETUP, code) is None:
        raise Refused(_("This code is not right. The console shows the newest one when the CRM starts."), "code")
    operations.describe(session, Subject.system("first administrator"), kind="setup", entity="core.user")
    user = User(
        email=email,
        name=name,
        password_hash=passwords.hash_password(password),
        status=ACTIVE,
        email_confirmed_at=clock.now(),
        locale=_locale(locale),
    )
    session.add(user)
    session.flush()
    add_role(session, user, permissions.ADMINISTRATOR)
    if not company.base_url:
        company.set(ADDRESS, address)
    company.set(FIRST_RUN, {"done": [], "open": True})
    return user


@whole
def set_client_access(session: Session, subject: Subject, plugins: Plugins, company: Company, choice: str) -> None:
    """Let managers see all clients, those of their department, or their own: sets the role's scopes."""
    require(subject, permissions.SETTINGS_EDIT)
    if choice not in ("all", "team", "own"):
        raise Refused(_("Choose one of the three."), "choice")
    manager = session.scalars(sa.select(Role).where(Role.name == permissions.MANAGER)).one_or_none()
    company.set(CLIENT_ACCESS, choice)
    if manager is None:
        return
    operations.describe(session, subject, kind="rights", entity="core.role", record_id=manager.id, note=choice)
    for name in SCOPED_BY_CHOICE:
        declared = plugins.permissions.get(name)
        if declared is None:
            continue
        wanted = _scope(declared, choice)
        session.execute(
            sa.delete(RoleGrant).where(
                RoleGrant.role_id == manager.id,
                RoleGrant.permission == name,
                RoleGrant.scope.in_(SCOPES),
                RoleGrant.scope != wanted,
            )
        )
        present = sa.select(RoleGrant.id).where(
            RoleGrant.role_id == manager.id, RoleGrant.permission == name, RoleGrant.scope == wanted
        )
        if session.scalar(present) is None:
            session.add(RoleGrant(role_id=manager.id, permission=name, scope=wanted))
    require_administrator(session)


def _scope(declared: Permission, choice: str) -> str:
    # "His own" includes what colleagues share with him, where sharing is known.
    order = {"own": ("shared", "own"), "team": ("team",), "all": ("all",)}[choice]
    return next((scope for scope in order if scope in declared.scopes), "own")


def scoped_by_choice(session: Session, permission: Permission) -> Mapping[str, str | tuple[str, ...]]:
    """Return the default roles of a new permission, the manager's scope as the company chose it in the first run."""
    if permission.name not in SCOPED_BY_CHOICE or permissions.MANAGER not in permission.default:
        return permission.default
    choice = session.scalar(sa.select(SettingValue.value).where(SettingValue.key == CLIENT_ACCESS))
    if choice is None:
        return permission.default
    default = permission.default[permissions.MANAGER]
    others = tuple(one for one in ((default,) if isinstance(default, str) else default) if one not in SCOPES)
    return {**permission.default, permissions.MANAGER: (_scope(permission, choice), *others)}
