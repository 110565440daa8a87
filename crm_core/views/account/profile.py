"""One's own profile: name and photo, language and look, password, address, sessions."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import files, people
from crm_core.company import zones
from crm_core.i18n import _
from crm_core.models import User
from crm_core.people import Refused
from crm_core.people.accounts import update_preferences
from crm_core.people.reach import may_reach
from crm_core.security import limits, sessions
from crm_core.security.permissions import PREFERENCES_EDIT, USERS_EDIT
from crm_core.views.account.doors import TOO_MANY, post_of, referrer_path
from crm_core.views.filling import Filling, choices, go, post_button, say, typed
from crm_core.views.shapes import Badge, FormPage, KeyValue, PersonView, Section, Tab

FORM = "crm_core:templates/account/profile_form.pt"


def _me(request: Request) -> User:
    user = people.account(request.db, request.subject.user_id or 0)
    assert user is not None, "a session belongs to an account"
    return user


def tabs(active: str) -> list[Tab]:
    """Return the pages of one's own profile."""
    pages = (
        ("profile", _("Profile"), "/profile"),
        ("notifications", _("Notifications"), "/profile/notifications"),
        ("password", _("Password and address"), "/profile/password"),
        ("sessions", _("Devices"), "/profile/sessions"),
    )
    return [Tab(title=title, href=href, active=name == active) for name, title, href in pages]


def face(user: User) -> PersonView:
    """Return how a person looks in lists and heads."""
    return PersonView.of(user.name or "?", user.id, photo_href=f"/faces/{user.photo}.png" if user.photo else "")


# -- profile -------------------------------------------------------------------------------------------------------


def _profile_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    user, form = _me(request), Filling(request, refused)
    sections = []
    if may_reach(request.db, request.subject, USERS_EDIT, user):
        sections.append(
            Section(
                title=_("About you"),
                fields=[
                    form.field(
                        "name", _("Full name"), value=user.name, required=True, autocomplete="name", maxlength=120
                    ),
                    form.field("job_title", _("Position"), value=user.job_title, maxlength=200),
                    form.field("phone", _("Telephone"), "text", user.phone, autocomplete="tel", maxlength=40),
                ],
            )
        )
    sections.append(
        Section(
            title=_("Language and look"),
            fields=[
                form.field(
                    "locale",
                    _("Language"),
                    "choice",
                    user.locale,
                    choices=choices([("", _("As the company’s")), ("ru", "Русский"), ("en", "English")]),
                ),
                form.field(
                    "time_zone",
                    _("Time zone"),
                    "choice",
                    user.time_zone,
                    choices=choices([("", _("As the company’s")), *((zone, zone) for zone in zones())]),
                ),
                form.field(
                    "theme",
                    _("Colours"),
                    "radio",
                    user.theme,
                    choices=choices([("auto", _("As the device’s")), ("light", _("Light")), ("dark", _("Dark"))]),
                ),
            ],
        )
    )
    return {
        "title": _("Profile"),
        "tabs": tabs("profile"),
        "person": face(user),
        "photo": bool(user.photo),
        "photo_error": "",
        "page": FormPage(
            title=_("Profile"), action="/profile", submit=_("Save the profile"), errors=form.errors, sections=sections
        ),
    }


@view_config(route_name="account.profile", request_method="GET", renderer=FORM, permission=PREFERENCES_EDIT)
def profile_form(request: Request) -> dict[str, Any]:
    """Show one's own profile."""
    return _profile_page(request)


@view_config(route_name="account.profile", request_method="POST", renderer=FORM, permission=PREFERENCES_EDIT)
def profile(request: Request) -> Any:
    """Save one's own profile."""
    user, subject = _me(request), request.subject
    try:
        if may_reach(request.db, subject, USERS_EDIT, user):
            people.update_profile(
                request.db,
                subject,
                user,
                name=typed(request, "name"),
                job_title=typed(request, "job_title"),
                phone=typed(request, "phone"),
            )
        update_preferences(
            request.db,
            subject,
            user,
            locale=typed(request, "locale"),
            time_zone=typed(request, "time_zone"),
            theme=typed(request, "theme"),
        )
    except Refused as refused:
        return _profile_page(request, refused)
    request.toast(_("Your profile is saved."))
    return go(request, "/profile")


@view_config(route_name="account.preferences", request_method="POST", permission=PREFERENCES_EDIT)
def preferences(request: Request) -> Any:
    """Keep one choice that the shell offers: light or dark, the language."""
    update_preferences(
        request.db,
        request.subject,
        _me(request),
        theme=typed(request, "theme") if "theme" in request.POST else None,
        locale=typed(request, "locale") if "locale" in request.POST else None,
    )
    if request.headers.get("HX-Request") or request.headers.get("X-Requested-With"):
        request.response.status_int = 204
        return request.response
    return HTTPSeeOther(referrer_path(request))


@view_config(route_name="account.photo", request_method="POST", renderer=FORM, permission=PREFERENCES_EDIT)
def photo(request: Request) -> Any:
    """Take a new photo, re-encoded, or take the present one away."""
    user, digest = _me(request), ""
    upload = request.POST.get("photo")
    try:
        if "remove" not in request.POST:
            if upload is None or isinstance(upload, (str, bytes)):
                raise Refused(_("Choose a picture: PNG, JPEG, GIF or WebP."), "photo")
            digest = files.store_picture(request.db, request.file_store, upload.file)
        people.update_profile(request.db, request.subject, user, photo=digest)
    except (Refused, files.FileError) as problem:
        sentence = problem.sentence if isinstance(problem, Refused) else problem.message
        request.response.status_int = 422
        page = _profile_page(request)
        return {**page, "photo_error": say(request, sentence)}
    request.toast(_("The photo is saved.") if digest else _("The photo is removed."))
    return go(request, "/profile")


# -- password and address ------------------------------------------------------------------------------------------


def _password_page(request: Request, refused: Refused | None = None, of: str = "") -> dict[str, Any]:
    user = _me(request)
    password = Filling(request, refused if of == "password" else None)
    address = Filling(request, refused if of == "address" else None)
    return {
        "title": _("Password and address"),
        "tabs": tabs("password"),
        "pages": [
            FormPage(
                id="password-form",
                title=_("Password"),
                action="/profile/password",
                submit=_("Change the password"),
                intro=_("All your other sessions will end."),
                errors=password.errors if of == "password" else (),
                sections=[
                    Section(
                        fields=[
                            password.field(
                                "old", _("Present password"), "password", required=True, autocomplete="current-password"
                            ),
                            password.field(
                                "password",
                                _("New password"),
                                "password",
                                required=True,
                                autocomplete="new-password",
                                help=_("At least 8 characters; a phrase of several words is best."),
                            ),
                        ]
                    )
                ],
            ),
            FormPage(
                id="address-form",
                title=_("Address"),
                action="/profile/address",
                submit=_("Send a letter to the new address"),
                intro=_(
                    "You sign in as ${email}. The new address counts once you open the link in the letter.",
                    mapping={"email": user.email},
                ),
                errors=address.errors if of == "address" else (),
                sections=[
                    Section(
                        fields=[
                            address.field("email", _("New address"), "email", required=True, autocomplete="email"),
                            address.field(
                                "password",
                                _("Present password"),
                                "password",
                                required=True,
                                autocomplete="current-password",
                                id="f-address-password",
                            ),
                        ]
                    )
                ],
            ),
        ],
    }


PASSWORD = "crm_core:templates/account/password.pt"  # noqa: S105  a template


@view_config(route_name="account.password", request_method="GET", renderer=PASSWORD, permission=PREFERENCES_EDIT)
@view_config(route_name="account.address", request_method="GET", renderer=PASSWORD, permission=PREFERENCES_EDIT)
def password_form(request: Request) -> dict[str, Any]:
    """Show the forms of password and address."""
    return _password_page(request)


@view_config(route_name="account.password", request_method="POST", renderer=PASSWORD, permission=PREFERENCES_EDIT)
def change_password(request: Request) -> Any:
    """Change one's own password."""
    try:
        _limit(request)
        people.change_password(
            request.db,
            request.subject,
            post_of(request),
            _me(request),
            typed(request, "old"),
            typed(request, "password"),
            keep=request.signed_in.id if request.signed_in else None,
        )
    except Refused as refused:
        return _password_page(request, refused, "password")
    request.toast(_("The new password is saved; your other sessions have ended."))
    return go(request, "/profile/password")


@view_config(route_name="account.address", request_method="POST", renderer=PASSWORD, permission=PREFERENCES_EDIT)
def change_address(request: Request) -> Any:
    """Send the letter that confirms a new address."""
    email = typed(request, "email")
    try:
        _limit(request)
        people.start_address_change(
            request.db, request.subject, post_of(request), _me(request), email, typed(request, "password")
        )
    except Refused as refused:
        return _password_page(request, refused, "address")
    request.toast(_("We sent a letter to ${email}; open the link in it.", mapping={"email": email.strip()}))
    return go(request, "/profile/password")


def _limit(request: Request) -> None:
    if not request.limits.hit(limits.PROOF, request.subject.user_id):
        raise Refused(TOO_MANY)


# -- sessions ------------------------------------------------------------------------------------------------------


@view_config(
    route_name="account.sessions",
    request_method="GET",
    permission=PREFERENCES_EDIT,
    renderer="crm_core:templates/account/sessions.pt",
)
def list_sessions(request: Request) -> dict[str, Any]:
    """Show where one is signed in."""
    this = request.signed_in.id if request.signed_in else None
    found = sessions.open_sessions(request.db, request.subject.user_id or 0)
    return {
        "title": _("Devices"),
        "tabs": tabs("sessions"),
        "sessions": [
            {
                "title": one.device or _("Unknown device"),
                "facts": [
                    KeyValue(title=_("Network address"), value=one.address),
                    KeyValue(
                        title=_("Last seen"),
                        value=request.formats.relative(one.seen_at),
                        hint=request.formats.datetime(one.seen_at),
                    ),
                    KeyValue(title=_("Signed in"), value=request.formats.datetime(one.created_at)),
                ],
                "badge": Badge(text=_("This device"), tone="success") if one.id == this else None,
                "end": None
                if one.id == this
                else post_button(_("End this one"), f"/profile/sessions/{one.id}/end", "logout"),
            }
            for one in found
        ],
        "end_others": post_button(_("End all others"), "/profile/sessions/end-others", "logout")
        if len(found) > 1
        else None,
    }


@view_config(route_name="account.end_session", request_method="POST", permission=PREFERENCES_EDIT)
def end_session(request: Request) -> Any:
    """End one of one's own sessions."""
    if sessions.end_sessions(request.db, request.subject.user_id or 0, only=int(request.matchdict["id"])):
        request.toast(_("The session has ended."))
    return go(request, "/profile/sessions")


@view_config(route_name="account.end_others", request_method="POST", permission=PREFERENCES_EDIT)
def end_others(request: Request) -> Any:
    """End all of one's own sessions but this one."""
    keep = request.signed_in.id if request.signed_in else 0
    sessions.end_sessions(request.db, request.subject.user_id or 0, keep=keep)
    request.toast(_("All other sessions have ended."))
    return go(request, "/profile/sessions")
