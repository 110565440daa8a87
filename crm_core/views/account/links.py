"""Pages behind links in letters. Opening one changes nothing, for programs open links too; its button does."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from crm_core import notify, people
from crm_core.i18n import _
from crm_core.models import User
from crm_core.models.accounts import ACTIVE, PENDING
from crm_core.notify.kinds import SIGN_UP
from crm_core.people import Refused
from crm_core.people.invitations import invitation
from crm_core.security import limits, permissions, sessions, tokens
from crm_core.security.sessions import Device
from crm_core.views.account.doors import PLAIN, TOO_MANY, let_in, message, person_fields, plain, post_of
from crm_core.views.filling import Filling, say, typed
from crm_core.views.shapes import Action, FormPage, Section

SIGN_IN = Action(title=_("Sign in"), href="/sign-in")


def _may_try(request: Request) -> None:
    if not request.limits.hit(limits.TOKEN_ADDRESS, request.client_addr or ""):
        raise Refused(TOO_MANY)


def _gone(request: Request, refused: Refused) -> dict[str, Any]:
    request.response.status_int = 410
    return message(request, _("This link does not work"), say(request, refused.sentence), SIGN_IN, tone="warning")


def _signed_in(request: Request, user: User, where: str = "/") -> Any:
    device = Device.of(request)
    people.note_sign_in(request.db, "in", device, user.id)
    return let_in(request, sessions.open_session(request.db, user.id, device), where)


def _button_page(request: Request, title: str, text: str, button: str) -> dict[str, Any]:
    return plain(FormPage(title=title, action=request.path, submit=button, intro=text, sections=[]))


# -- confirming an address -----------------------------------------------------------------------------------------


@view_config(route_name="account.confirm", request_method="GET", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def confirm_form(request: Request) -> Any:
    """Show the button that confirms the address of a sign-up."""
    try:
        _may_try(request)
        if tokens.find(request.db, tokens.CONFIRM, request.matchdict["secret"]) is None:
            raise Refused(_("This link was used already or is too old. Sign up again to get a new one."))
    except Refused as refused:
        return _gone(request, refused)
    return _button_page(
        request, _("Confirm your address"), _("One click, and the address is confirmed."), _("Confirm the address")
    )


@view_config(route_name="account.confirm", request_method="POST", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def confirm(request: Request) -> Any:
    """Confirm the address of a sign-up."""
    try:
        _may_try(request)
        user = people.confirm_email(request.db, request.company, request.matchdict["secret"])
    except Refused as refused:
        return _gone(request, refused)
    if user.status == PENDING:
        notify.notify(
            request.db,
            notify.holders(request.db, permissions.USERS_APPROVE),
            key=f"sign-up:{user.id}",
            kind=SIGN_UP,
            title=_("${name} signed up and waits for approval", mapping={"name": user.name}),
            href=f"/settings/users/{user.id}",
        )
        return message(
            request,
            _("The address is confirmed"),
            _("Now somebody here approves your account; you will get a letter."),
            tone="success",
        )
    return message(
        request, _("The address is confirmed"), _("Your account is ready: sign in."), SIGN_IN, tone="success"
    )


@view_config(
    route_name="account.confirm_address", request_method="GET", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED
)
def confirm_address_form(request: Request) -> Any:
    """Show the button that takes a new address."""
    try:
        _may_try(request)
        if tokens.find(request.db, tokens.CHANGE_ADDRESS, request.matchdict["secret"]) is None:
            raise Refused(_("This link was used already or is too old. Ask for a new one."))
    except Refused as refused:
        return _gone(request, refused)
    return _button_page(
        request,
        _("Your new address"),
        _("One click, and you sign in with this address from now on."),
        _("Use this address"),
    )


@view_config(
    route_name="account.confirm_address", request_method="POST", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED
)
def confirm_address(request: Request) -> Any:
    """Take a new address."""
    try:
        _may_try(request)
        user = people.confirm_address(request.db, post_of(request), request.matchdict["secret"])
    except Refused as refused:
        return _gone(request, refused)
    return message(
        request,
        _("The address is changed"),
        _("From now on you sign in as ${email}.", mapping={"email": user.email}),
        SIGN_IN,
        tone="success",
    )


# -- a new password ------------------------------------------------------------------------------------------------


def _reset_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    form = Filling(request, refused)
    return plain(
        FormPage(
            title=_("Choose a new password"),
            action=request.path,
            submit=_("Save the password"),
            intro=_("All other sessions of this account will end."),
            errors=form.errors,
            sections=[
                Section(
                    fields=[
                        form.field(
                            "password",
                            _("New password"),
                            "password",
                            required=True,
                            autofocus=True,
                            autocomplete="new-password",
                            help=_("At least 8 characters; a phrase of several words is best."),
                        )
                    ]
                )
            ],
        )
    )


@view_config(route_name="account.reset", request_method="GET", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def reset_form(request: Request) -> Any:
    """Ask for a new password."""
    try:
        _may_try(request)
        if tokens.find(request.db, tokens.RESET, request.matchdict["secret"]) is None:
            raise Refused(_("This link was used already or is too old. Ask for a new one."))
    except Refused as refused:
        return _gone(request, refused)
    return _reset_page(request)


@view_config(route_name="account.reset", request_method="POST", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def reset(request: Request) -> Any:
    """Set a new password and sign the person in."""
    try:
        _may_try(request)
        user = people.reset_password(
            request.db, post_of(request), request.matchdict["secret"], typed(request, "password")
        )
    except Refused as refused:
        return _reset_page(request, refused) if refused.field else _gone(request, refused)
    if user.status != ACTIVE:
        return message(
            request, _("The password is saved"), _("Your account waits for approval; you will get a letter.")
        )
    request.toast(_("The new password is saved."))
    return _signed_in(request, user)


# -- invitations ---------------------------------------------------------------------------------------------------


def _invitation_page(request: Request, email: str, refused: Refused | None = None) -> dict[str, Any]:
    form = Filling(request, refused)
    return plain(
        FormPage(
            title=_("You are invited to ${company}", mapping={"company": request.company.name}),
            action=request.path,
            submit=_("Create my account"),
            errors=form.errors,
            sections=[Section(fields=person_fields(form, email=email))],
        )
    )


@view_config(route_name="account.invitation", request_method="GET", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def invitation_form(request: Request) -> Any:
    """Show the form of an invited person."""
    try:
        _may_try(request)
        token = invitation(request.db, request.matchdict["secret"])
    except Refused as refused:
        return _gone(request, refused)
    return _invitation_page(request, token.payload["email"])


@view_config(route_name="account.invitation", request_method="POST", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def accept_invitation(request: Request) -> Any:
    """Make the account of an invited person and sign him in."""
    try:
        _may_try(request)
        token = invitation(request.db, request.matchdict["secret"])
    except Refused as refused:
        return _gone(request, refused)
    email = token.payload["email"]
    try:
        user = people.accept_invitation(
            request.db,
            request.registry["crm.plugins"],
            request.matchdict["secret"],
            email=typed(request, "email"),
            name=typed(request, "name"),
            password=typed(request, "password"),
            locale=request.locale,
        )
    except Refused as refused:
        return _invitation_page(request, email, refused) if refused.field else _gone(request, refused)
    request.toast(_("Welcome, ${name}!", mapping={"name": user.name}))
    return _signed_in(request, user)
