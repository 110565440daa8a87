"""Accounts: from sign-up to deletion."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock, notify
from crm_core.company import APPROVAL, CLOSED, INVITATION, SIGN_UP, Company
from crm_core.i18n import LOCALES, _
from crm_core.models import Role, SignInEvent, Team, User, UserRole, UserSession
from crm_core.models.accounts import ACTIVE, DELETED, DISABLED, PENDING, UNCONFIRMED
from crm_core.notify.kinds import SECURITY
from crm_core.people import letters
from crm_core.people.reach import Denied, Refused, require, require_reach, whole
from crm_core.people.rights import require_administrator
from crm_core.records import operations
from crm_core.security import passwords, permissions, sessions, tokens
from crm_core.security.sessions import Device
from crm_core.security.subject import Subject

#: One sign, a host with a dot or an address of this machine; whether it is read by anybody only a letter can tell.
_EMAIL = re.compile(r"[^@\s<>\",;:\\()\[\]]{1,64}@[^@\s<>\",;:\\()\[\]]{1,190}")

THEMES = ("auto", "light", "dark")


def normal_email(email: str) -> str:
    """Return an address as it is stored and compared; refuse what cannot be one."""
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email) or ".." in email or email.endswith("."):
        raise Refused(_("Write an address such as name@example.com."), "email")
    return email


def by_email(session: Session, email: str) -> User | None:
    """Return the account of an address."""
    if not email:
        return None
    return session.scalars(sa.select(User).where(sa.func.lower(User.email) == email.lower())).one_or_none()


def account(session: Session, user_id: int) -> User | None:
    """Return an account that is not deleted."""
    user = session.get(User, user_id)
    return None if user is None or user.status == DELETED else user


def note_sign_in(session: Session, kind: str, device: Device, user_id: int | None = None) -> None:
    """Write down a sign-in, a failed one, a sign-out."""
    session.add(SignInEvent(kind=kind, address=device.address, device=device.name, user_id=user_id))


# -- sign-up -------------------------------------------------------------------------------------------------------


@whole
def accept_sign_up(
    session: Session, company: Company, post: letters.Post, *, email: str, name: str, password: str, locale: str = ""
) -> None:
    """Make an unconfirmed account and send the letter; the same happens to see when there is an account already."""
    if company.get(SIGN_UP) in (INVITATION, CLOSED):
        raise Refused(_("Accounts here are made by invitation; ask your administrator for one."))
    email, name = normal_email(email), _person_name(name)
    _check_password(password, email, name)
    # Hashed in both cases, so that the time tells nothing.
    hashed = passwords.hash_password(password)
    step = tokens.new_secret()[:16]
    known = by_email(session, email)
    if known is not None and known.status != UNCONFIRMED:
        post.write(
            session,
            letters.KNOWN,
            email,
            purpose="accounts.sign-up",
            step=step,
            path="/sign-in",
            locale=known.locale or locale,
            user_id=known.id,
        )
        return
    operations.describe(session, Subject.system("sign-up"), kind="sign-up", entity="core.user")
    if known is None:
        known = User(email=email, name=name, password_hash=hashed, status=UNCONFIRMED, locale=_locale(locale))
        session.add(known)
        session.flush()
        add_role(session, known, permissions.USER)
    # Signing up again before the confirmation replaces nothing: whoever confirms first with his own letter gets his
    # own password, for the letter carries the right and the password together.
    secret = tokens.issue(session, tokens.CONFIRM, user_id=known.id, payload={"hash": hashed, "name": name})
    post.write(
        session,
        letters.CONFIRM,
        email,
        purpose="accounts.sign-up",
        step=step,
        path=f"/token/confirm/{secret}",
        locale=known.locale or locale,
        user_id=known.id,
    )


def add_role(session: Session, user: User, role_name: str) -> None:
    """Give a role that ships by its name."""
    role_id = session.scalar(sa.select(Role.id).where(Role.name == role_name))
    if role_id is None:
        raise Refused(_("The role “${role}” is missing; run: crm db upgrade", mapping={"role": role_name}))
    session.add(UserRole(user_id=user.id, role_id=role_id))
    session.flush()


@whole
def confirm_email(session: Session, company: Company, secret: str) -> User:
    """Confirm the address of a sign-up; the account is then active or waits for approval."""
    token = tokens.use(session, tokens.CONFIRM, secret)
    user = session.get(User, token.user_id) if token is not None and token.user_id else None
    if token is None or user is None or user.status != UNCONFIRMED:
        raise Refused(_("This link was used already or is too old. Sign up again to get a new one."))
    operations.describe(
        session, Subject.system("address confirmed"), kind="confirm", entity="core.user", record_id=user.id
    )
    user.email_confirmed_at = clock.now()
    user.password_hash = token.payload.get("hash") or user.password_hash
    user.name = token.payload.get("name") or user.name
    user.status = PENDING if company.get(SIGN_UP) == APPROVAL else ACTIVE
    tokens.revoke(session, tokens.CONFIRM, user.id)
    session.flush()
    return user


@whole
def approve(session: Session, subject: Subject, post: letters.Post, user: User) -> None:
    """Let in somebody who signed up."""
    require(subject, permissions.USERS_APPROVE)
    if user.status not in (PENDING, UNCONFIRMED):
        raise Refused(_("This sign-up has been decided already."))
    operations.describe(session, subject, kind="approve", entity="core.user", record_id=user.id)
    user.status = ACTIVE
    session.flush()
    _write(session, post, letters.APPROVED, user, path="/sign-in")


@whole
def reject(session: Session, subject: Subject, post: letters.Post, user: User) -> None:
    """Decline a sign-up; what was typed is forgotten and the address may sign up again."""
    require(subject, permissions.USERS_APPROVE)
    if user.status not in (PENDING, UNCONFIRMED):
        raise Refused(_("This sign-up has been decided already."))
    operations.describe(session, subject, kind="reject", entity="core.user", record_id=user.id)
    if user.status == PENDING:
        _write(session, post, letters.REJECTED, user)
    _forget(session, user, "")


# -- sign-in -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SignIn:
    """What came of a try to sign in."""

    user: User | None = None
    secret: str = ""
    problem: str = ""


def sign_in(session: Session, email: str, password: str, device: Device, *, remember: bool = False) -> SignIn:
    """Open a session for the right address and password; takes as long and says the same for any wrong pair."""
    user = by_email(session, email.strip())
    right = passwords.verify_password(user.password_hash if user else None, password)
    if user is None or not right or user.status in (DISABLED, DELETED):
        note_sign_in(session, "failed", device, user.id if user else None)
        return SignIn(problem=_("The address or the password is not right."))
    # Told only to who knows the password.
    if user.status == UNCONFIRMED:
        return SignIn(problem=_("Confirm your address first: the link is in the letter we sent you."))
    if user.status == PENDING:
        return SignIn(problem=_("Your account waits for approval; you will get a letter."))
    if passwords.needs_rehash(user.password_hash or ""):
        operations.describe(
            session, Subject.system("stronger hash"), kind="password", entity="core.user", record_id=user.id
        )
        user.password_hash = passwords.hash_password(password)
    note_sign_in(session, "in", device, user.id)
    return SignIn(user, sessions.open_session(session, user.id, device, remember=remember))


def knows_address(session: Session, email: str, address: str) -> bool:
    """Tell whether the account has signed in from this network address lately."""
    statement = (
        sa.select(SignInEvent.id)
        .join(User, User.id == SignInEvent.user_id)
        .where(
            sa.func.lower(User.email) == email.strip().lower(),
            SignInEvent.kind == "in",
            SignInEvent.address == address,
            SignInEvent.at > clock.now() - sessions.IDLE_REMEMBERED,
        )
        .limit(1)
    )
    return session.scalar(statement) is not None


# -- passwords and addresses ---------------------------------------------------------------------------------------


def send_reset(session: Session, post: letters.Post, email: str) -> bool:
    """Send the letter that lets choose a new password; called by a job, so that no page's time tells who is known."""
    user = by_email(session, email.strip())
    if user is None or user.status not in (ACTIVE, PENDING):
        return False
    tokens.revoke(session, tokens.RESET, user.id)
    secret = tokens.issue(session, tokens.RESET, user_id=user.id)
    _write(session, post, letters.RESET, user, path=f"/token/reset/{secret}")
    return True


@whole
def reset_password(session: Session, post: letters.Post, secret: str, password: str) -> User:
    """Set a new password in place of a forgotten one; every session ends."""
    token = tokens.find(session, tokens.RESET, secret)
    user = session.get(User, token.user_id) if token is not None and token.user_id else None
    if user is None or user.status not in (ACTIVE, PENDING):
        raise Refused(_("This link was used already or is too old. Ask for a new one."))
    _check_password(password, user.email, user.name)
    if tokens.use(session, tokens.RESET, secret) is None:
        raise Refused(_("This link was used already or is too old. Ask for a new one."))
    subject = Subject.system("password reset by link")
    operations.describe(session, subject, kind="password", entity="core.user", record_id=user.id)
    _set_password(session, post, user, password)
    return user


@whole
def change_password(
    session: Session, subject: Subject, post: letters.Post, user: User, old: str, new: str, *, keep: int | None = None
) -> None:
    """Change one's own password, knowing the old one; other sessions end."""
    if user.id != subject.user_id:
        raise Denied(_("Nobody sets a password for another; send a link instead."))
    if not passwords.verify_password(user.password_hash, old):
        raise Refused(_("This is not your present password."), "old")
    _check_password(new, user.email, user.name)
    operations.describe(session, subject, kind="password", entity="core.user", record_id=user.id)
    _set_password(session, post, user, new, keep=keep)


def _set_password(session: Session, post: letters.Post, user: User, password: str, keep: int | None = None) -> None:
    user.password_hash = passwords.hash_password(password)
    if user.email_confirmed_at is None:
        user.email_confirmed_at = clock.now()
    session.flush()
    sessions.end_sessions(session, user.id, keep=keep)
    tokens.revoke(session, tokens.RESET, user.id)
    _warn(session, user, _("The password of your account was changed"))
    _write(session, post, letters.PASSWORD_CHANGED, user, path="/forgot")


@whole
def start_address_change(
    session: Session, subject: Subject, post: letters.Post, user: User, email: str, password: str
) -> None:
    """Send a letter to the new address of one's own account; the old one stays until it is confirmed."""
    if user.id != subject.user_id or not passwords.verify_password(user.password_hash, password):
        raise Refused(_("This is not your present password."), "password")
    email = normal_email(email)
    if email == user.email.lower():
        raise Refused(_("This is your address already."), "email")
    tokens.revoke(session, tokens.CHANGE_ADDRESS, user.id)
    step = tokens.new_secret()[:16]
    known = by_email(session, email)
    if known is not None:
        # Who else is here is not told; the owner of that address learns of the try.
        post.write(
            session,
            letters.KNOWN,
            email,
            purpose="accounts.address",
            step=step,
            path="/sign-in",
            locale=known.locale,
            user_id=known.id,
        )
        return
    secret = tokens.issue(session, tokens.CHANGE_ADDRESS, user_id=user.id, payload={"email": email})
    post.write(
        session,
        letters.CHANGE_ADDRESS,
        email,
        purpose="accounts.address",
        step=step,
        path=f"/token/address/{secret}",
        locale=user.locale,
        user_id=user.id,
    )


@whole
def confirm_address(session: Session, post: letters.Post, secret: str) -> User:
    """Take the new address that a letter confirmed; the old one is told."""
    token = tokens.use(session, tokens.CHANGE_ADDRESS, secret)
    user = session.get(User, token.user_id) if token is not None and token.user_id else None
    if token is None or user is None or user.status != ACTIVE:
        raise Refused(_("This link was used already or is too old. Ask for a new one."))
    email = token.payload["email"]
    if by_email(session, email) is not None:
        raise Refused(_("This address has been taken meanwhile."))
    operations.describe(
        session, Subject.system("address confirmed"), kind="address", entity="core.user", record_id=user.id
    )
    _write(session, post, letters.ADDRESS_CHANGED, user, email=email)
    _warn(session, user, _("The address of your account was changed"))
    user.email = email
    user.email_confirmed_at = clock.now()
    session.flush()
    return user


def _check_password(password: str, email: str, name: str) -> None:
    found = passwords.problems(password, email=email, name=name)
    if found:
        raise Refused(found[0], "password")


# -- profiles ------------------------------------------------------------------------------------------------------


@whole
def update_profile(
    session: Session, subject: Subject, user: User, *, move_records: bool = False, **values: Any
) -> None:
    """Change name, position, telephone, department, photo of an account, as far as the subject reaches it.

    With another department the person's records stay with the old one, unless `move_records` takes them along.
    """
    require_reach(session, subject, permissions.USERS_EDIT, user)
    old_team = user.team_id
    if "team_id" in values and values["team_id"] != old_team:
        # A department opens records; one's own is chosen by somebody who edits others.
        if user.id == subject.user_id and not subject.may(permissions.DEPARTMENTS_EDIT):
            raise Denied(_("Your department is chosen by an administrator."), "team_id")
        if values["team_id"] is not None and session.get(Team, values["team_id"]) is None:
            raise Refused(_("This department is no longer there."), "team_id")
    if "name" in values:
        values["name"] = _person_name(values["name"])
    operations.describe(session, subject, kind="edit", entity="core.user", record_id=user.id)
    for field in ("name", "job_title", "phone", "team_id", "photo"):
        if field in values:
            value = values[field]
            setattr(user, field, value.strip()[:200] if isinstance(value, str) else value)
    session.flush()
    if move_records and values.get("team_id", old_team) != old_team:
        _set_of_owned(session, user.id, "team_id", values["team_id"])


@whole
def update_preferences(
    session: Session,
    subject: Subject,
    user: User,
    *,
    locale: str | None = None,
    time_zone: str | None = None,
    theme: str | None = None,
) -> None:
    """Change one's own language, time zone and colours; what is None stays."""
    if user.id != subject.user_id:
        raise Denied(_("Preferences are everybody's own."))
    from crm_core.company import zones

    if locale is not None:
        user.locale = _locale(locale)
    if time_zone is not None:
        if time_zone and time_zone not in zones():
            raise Refused(_("There is no such time zone."), "time_zone")
        user.time_zone = time_zone
    if theme is not None:
        user.theme = theme if theme in THEMES else "auto"
    operations.describe(session, subject, kind="edit", entity="core.user", record_id=user.id)
    session.flush()


def _person_name(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise Refused(_("Write your name."), "name")
    if len(name) > 120 or "://" in name or "@" in name:
        raise Refused(_("Write a name, without links and addresses."), "name")
    return name


def _locale(locale: str) -> str:
    return locale if locale in LOCALES else ""


# -- the end -------------------------------------------------------------------------------------------------------


@whole
def disable(session: Session, subject: Subject, user: User) -> None:
    """Disable access; every session ends at once."""
    require_reach(session, subject, permissions.USERS_DISABLE, user)
    if user.id == subject.user_id:
        raise Refused(_("You cannot disable your own account."))
    if user.status != ACTIVE:
        raise Refused(_("This account is not active."))
    operations.describe(session, subject, kind="disable", entity="core.user", record_id=user.id)
    user.status = DISABLED
    session.flush()
    close_access(session, user.id)
    require_administrator(session)


@whole
def enable(session: Session, subject: Subject, user: User) -> None:
    """Give access back."""
    require_reach(session, subject, permissions.USERS_DISABLE, user)
    if user.status != DISABLED:
        raise Refused(_("This account is not disabled."))
    operations.describe(session, subject, kind="enable", entity="core.user", record_id=user.id)
    user.status = ACTIVE
    session.flush()


def close_access(session: Session, user_id: int) -> None:
    """End everything by which a person gets in: sessions and unused links."""
    sessions.end_sessions(session, user_id)
    for purpose in (tokens.RESET, tokens.CHANGE_ADDRESS, tokens.CONFIRM):
        tokens.revoke(session, purpose, user_id)


@whole
def delete(session: Session, subject: Subject, user: User, heir: User, left_name: str) -> int:
    """Delete an account: its records go to the heir, its name goes away, history stays; return how many records."""
    require_reach(session, subject, permissions.USERS_DELETE, user)
    if user.id == subject.user_id:
        raise Refused(_("You cannot delete your own account."))
    if heir.id == user.id or heir.status != ACTIVE:
        raise Refused(_("Choose somebody whose account is active."), "heir")
    operations.describe(
        session, subject, kind="delete", entity="core.user", record_id=user.id, detail={"heir": heir.id}
    )
    count = hand_over(session, user.id, heir.id)
    session.execute(sa.update(Team).where(Team.head_id == user.id).values(head_id=None))
    _forget(session, user, left_name)
    require_administrator(session)
    return count


def hand_over(session: Session, user_id: int, heir_id: int) -> int:
    """Make the heir responsible for everything the person was, also in tables of plugins that are off."""
    operations.ensure(session)
    session.execute(sa.text("DELETE FROM core_view WHERE owner_id = :user AND shared = ''"), {"user": user_id})
    count = _set_of_owned(session, user_id, "owner_id", heir_id)
    session.expire_all()
    return count


def _set_of_owned(session: Session, user_id: int, column: str, value: int | None) -> int:
    """Set a column of every record of an owner, set-wise, also in tables of plugins that are off."""
    operations.ensure(session)
    tables = session.scalars(
        sa.text(
            "SELECT c.conrelid::regclass::text FROM pg_constraint c "
            "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] "
            "WHERE c.contype = 'f' AND c.confrelid = 'core_user'::regclass AND a.attname = 'owner_id' "
            "AND EXISTS (SELECT 1 FROM pg_attribute t WHERE t.attrelid = c.conrelid AND t.attname = :column) ORDER BY 1"
        ),
        {"column": column},
    ).all()
    count = 0
    for table in tables:
        update = f"UPDATE {table} SET {column} = :value WHERE owner_id = :user RETURNING 1"
        count += session.scalar(
            sa.text(f"WITH done AS ({update}) SELECT count(*) FROM done"), {"value": value, "user": user_id}
        )
    session.execute(
        sa.text(f"UPDATE core_search SET {column} = :value WHERE owner_id = :user"), {"value": value, "user": user_id}
    )
    return count


def _forget(session: Session, user: User, left_name: str) -> None:
    close_access(session, user.id)
    session.execute(sa.delete(UserRole).where(UserRole.user_id == user.id))
    session.execute(sa.delete(UserSession).where(UserSession.user_id == user.id))
    for table in (
        "core_token",
        "core_preference",
        "core_favourite",
        "core_notification",
        "core_reminder",
        "core_follow",
        "core_notice_choice",
        "core_notice_hours",
    ):
        session.execute(sa.text(f"DELETE FROM {table} WHERE user_id = :user"), {"user": user.id})
    session.execute(sa.update(SignInEvent).where(SignInEvent.user_id == user.id).values(address="", device=""))
    user.name, user.email, user.phone, user.job_title, user.photo = left_name, "", "", "", ""
    user.password_hash, user.team_id, user.status = None, None, DELETED
    session.flush()


def _warn(session: Session, user: User, said: str) -> None:
    # Under the bell of every device where he is signed in; the letter goes to the address itself.
    key = f"security:{user.id}:{clock.now().timestamp():.3f}"
    notify.notify(session, user.id, key=key, kind=SECURITY, title=said, href="/profile/sessions")


def _write(session: Session, post: letters.Post, letter: letters.Letter, user: User, **options: Any) -> None:
    post.write(
        session,
        letter,
        user.email,
        purpose="accounts.letter",
        step=tokens.new_secret()[:16],
        locale=user.locale,
        user_id=user.id,
        **options,
    )
