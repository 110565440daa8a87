"""The doors: sign-in, sign-out, sign-up, a forgotten password, and the password asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from pyramid.csrf import new_csrf_token
from pyramid.httpexceptions import HTTPForbidden, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from crm_core import company, jobs, people
from crm_core.i18n import _
from crm_core.people import Refused
from crm_core.people.accounts import knows_address
from crm_core.people.jobs import SEND_RESET
from crm_core.people.letters import Post
from crm_core.security import limits, passwords, sessions
from crm_core.security.sessions import Device
from crm_core.views.filling import Filling, go, safe_next, say, typed
from crm_core.views.shapes import Action, FormPage, Notice, Section

PLAIN = "crm_core:templates/account/plain_form.pt"

TOO_MANY = _("Too many tries. Wait a few minutes and try again.")


def post_of(request: Request) -> Post:
    """Return what letters about accounts are written by, for this request."""
    from crm_core import mail

    return Post(
        send=mail.send,
        company=request.company.name,
        base_url=request.company.base_url or request.application_url,
        registry=request.registry,
        locale=request.company.locale,
    )


def plain(page: FormPage, links: list[Action] | None = None) -> dict[str, Any]:
    """Return the variables of a page with one small form and nothing around it."""
    return {"title": page.title, "page": page, "links": links or []}


def message(request: Request, title: str, text: str, *links: Action, tone: str = "info") -> dict[str, Any]:
    """Return the variables of a page that only says something."""
    return {"title": title, "page": None, "notice": Notice(title=title, text=text, tone=tone), "links": list(links)}


def let_in(request: Request, secret: str, where: str, *, remember: bool = False) -> Response:
    """Send the browser on with its fresh session; the one it had before ends."""
    if old := sessions.read_cookie(request):
        sessions.end_session(request.db, old)
    response = HTTPSeeOther(where)
    sessions.set_cookie(request, response, secret, remember=remember)
    # What was derived before sign-in is worth nothing after it.
    new_csrf_token(request)
    return response


# -- sign-in -------------------------------------------------------------------------------------------------------


def _sign_in_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    form = Filling(request, refused)
    links = [Action(title=_("Forgot the password?"), href="/forgot")]
    if request.company.get(company.SIGN_UP) in (company.OPEN, company.APPROVAL):
        links.append(Action(title=_("Sign up"), href="/sign-up"))
    where = safe_next(request.params.get("next"))
    return plain(
        FormPage(
            title=_("Sign in"),
            action="/sign-in",
            submit=_("Sign in"),
            errors=form.errors,
            hidden=[("next", where)] if where != "/" else [],
            sections=[
                Section(
                    fields=[
                        form.field(
                            "email",
                            _("E-mail"),
                            "email",
                            required=True,
                            autocomplete="username",
                            autofocus=not form.typed,
                        ),
                        form.field(
                            "password",
                            _("Password"),
                            "password",
                            required=True,
                            autocomplete="current-password",
                            autofocus=bool(form.typed),
                        ),
                        form.field("remember", _("Keep me signed in on this device"), "bool"),
                    ]
                )
            ],
        ),
        links,
    )


@view_config(route_name="account.sign_in", request_method="GET", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def sign_in_form(request: Request) -> Any:
    """Show the sign-in page, or the way on for who is signed in."""
    if request.identity is not None:
        return HTTPSeeOther(safe_next(request.params.get("next")))
    if people.needs_first_administrator(request.db):
        return HTTPSeeOther("/setup")
    return _sign_in_page(request)


@view_config(route_name="account.sign_in", request_method="POST", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def sign_in(request: Request) -> Any:
    """Sign somebody in."""
    email, device = typed(request, "email"), Device.of(request)
    if not _may_try(request, email, device.address):
        return _sign_in_page(request, Refused(TOO_MANY))
    remember = "remember" in request.POST
    result = people.sign_in(request.db, email, typed(request, "password"), device, remember=remember)
    if result.user is None:
        return _sign_in_page(request, Refused(result.problem))
    request.limits.clear(limits.SIGN_IN_PAIR, email, device.address)
    return let_in(request, result.secret, safe_next(typed(request, "next")), remember=remember)


def _may_try(request: Request, email: str, address: str) -> bool:
    # All are counted each time, so that none of them tells which account there is.
    allowed = [
        request.limits.hit(limits.SIGN_IN_ALL),
        request.limits.hit(limits.SIGN_IN_ADDRESS, address),
        request.limits.hit(limits.SIGN_IN_PAIR, email, address),
    ]
    stranger = request.limits.hit(limits.SIGN_IN_ACCOUNT, email)
    known = knows_address(request.db, email, address)
    return all(allowed) and (stranger or known)


@view_config(route_name="account.sign_out", request_method="POST", permission=NO_PERMISSION_REQUIRED)
def sign_out(request: Request) -> Response:
    """End this session."""
    if request.signed_in is not None:
        people.note_sign_in(request.db, "out", Device.of(request), request.subject.user_id)
        sessions.end_session(request.db, sessions.read_cookie(request))
    response = HTTPSeeOther("/sign-in")
    sessions.drop_cookie(request, response)
    return response


# -- sign-up and forgotten passwords -------------------------------------------------------------------------------


def _sign_up_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    form = Filling(request, refused)
    return plain(
        FormPage(
            title=_("Sign up"),
            action="/sign-up",
            submit=_("Sign up"),
            errors=form.errors,
            sections=[Section(fields=person_fields(form))],
        ),
        [Action(title=_("I have an account already"), href="/sign-in")],
    )


def person_fields(form: Filling, *, email: str = "") -> list[Any]:
    """Return the fields by which a new person says who he is."""
    return [
        form.field("name", _("Your name"), required=True, autocomplete="name", autofocus=True, maxlength=120),
        form.field(
            "email",
            _("E-mail"),
            "email",
            email,
            required=True,
            autocomplete="username",
            readonly=bool(email),
            display=email,
        ),
        form.field(
            "password",
            _("Password"),
            "password",
            required=True,
            autocomplete="new-password",
            help=_("At least 8 characters; a phrase of several words is best."),
        ),
    ]


@view_config(route_name="account.sign_up", request_method="GET", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def sign_up_form(request: Request) -> Any:
    """Show the sign-up page, where anybody may sign up."""
    if request.identity is not None:
        return HTTPSeeOther("/")
    if request.company.get(company.SIGN_UP) not in (company.OPEN, company.APPROVAL):
        return message(
            request,
            _("Sign up"),
            _("Accounts here are made by invitation; ask your administrator for one."),
            Action(title=_("Sign in"), href="/sign-in"),
        )
    return _sign_up_page(request)


@view_config(route_name="account.sign_up", request_method="POST", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def sign_up(request: Request) -> Any:
    """Take a sign-up; the answer is the same whether or not the address is known."""
    email = typed(request, "email")
    if not _may_cause_letter(request, email):
        return _sign_up_page(request, Refused(TOO_MANY))
    try:
        people.accept_sign_up(
            request.db,
            request.company,
            post_of(request),
            email=email,
            name=typed(request, "name"),
            password=typed(request, "password"),
            locale=request.locale,
        )
    except Refused as refused:
        return _sign_up_page(request, refused)
    return message(
        request,
        _("Look into your mail"),
        _(
            "We sent a letter to ${email}. Open the link in it to confirm that the address is yours.",
            mapping={"email": email.strip()},
        ),
        Action(title=_("Sign in"), href="/sign-in"),
        tone="success",
    )


def _may_cause_letter(request: Request, email: str) -> bool:
    address = request.client_addr or ""
    return all(
        [
            request.limits.hit(limits.LETTER_ALL),
            request.limits.hit(limits.LETTER_ADDRESS, address),
            request.limits.hit(limits.LETTER_ACCOUNT, email.strip()),
        ]
    )


def _forgot_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    form = Filling(request, refused)
    return plain(
        FormPage(
            title=_("A new password"),
            action="/forgot",
            submit=_("Send me a link"),
            intro=_("Write the address of your account; we send a link to choose a new password."),
            errors=form.errors,
            sections=[
                Section(
                    fields=[
                        form.field(
                            "email", _("E-mail"), "email", required=True, autocomplete="username", autofocus=True
                        )
                    ]
                )
            ],
        ),
        [Action(title=_("Sign in"), href="/sign-in")],
    )


@view_config(route_name="account.forgot", request_method="GET", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def forgot_form(request: Request) -> Any:
    """Show the page of a forgotten password."""
    return _forgot_page(request)


@view_config(route_name="account.forgot", request_method="POST", renderer=PLAIN, permission=NO_PERMISSION_REQUIRED)
def forgot(request: Request) -> Any:
    """Let a job look whether the address is known, so that neither words nor time tell it here."""
    try:
        email = people.normal_email(typed(request, "email"))
    except Refused as refused:
        return _forgot_page(request, refused)
    if not _may_cause_letter(request, email):
        return _forgot_page(request, Refused(TOO_MANY))
    jobs.enqueue(request.db, SEND_RESET, email=email, base_url=post_of(request).base_url)
    return message(
        request,
        _("Look into your mail"),
        _(
            "If there is an account with this address, a letter with a link is on its way. "
            "The link works for two hours."
        ),
        Action(title=_("Sign in"), href="/sign-in"),
        tone="success",
    )


# -- the password asked again --------------------------------------------------------------------------------------


def proved(view: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Let a view be reached only shortly after the password was typed; else it is asked again."""

    def asking(request: Request) -> Any:
        if sessions.proved_lately(request.signed_in) or "crm.subject" in request.environ:
            return view(request)
        back = request.path_qs if request.method == "GET" else referrer_path(request)
        return go(request, f"/prove?next={quote(back, safe='/')}")

    asking.__name__, asking.__doc__, asking.__module__ = view.__name__, view.__doc__, view.__module__
    return asking


def referrer_path(request: Request) -> str:
    """Return the page of ours from which the request came, or the home."""
    start = request.host_url
    referrer = request.referrer or ""
    return safe_next(referrer[len(start) :]) if referrer.startswith(start + "/") else "/"


def _prove_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    form = Filling(request, refused)
    return plain(
        FormPage(
            title=_("Your password once more"),
            action="/prove",
            submit=_("Go on"),
            intro=_("This page changes who may do what. Type your password to show that it is you."),
            errors=form.errors,
            hidden=[("next", safe_next(request.params.get("next")))],
            sections=[
                Section(
                    fields=[
                        form.field(
                            "password",
                            _("Password"),
                            "password",
                            required=True,
                            autofocus=True,
                            autocomplete="current-password",
                        )
                    ]
                )
            ],
            cancel_href="/",
        )
    )


@view_config(route_name="account.prove", request_method="GET", renderer=PLAIN)
def prove_form(request: Request) -> Any:
    """Ask for the password again."""
    return _prove_page(request)


@view_config(route_name="account.prove", request_method="POST", renderer=PLAIN)
def prove(request: Request) -> Any:
    """Take the password and go on to where the person wanted to be."""
    if request.signed_in is None:
        raise HTTPForbidden
    if not request.limits.hit(limits.PROOF, request.subject.user_id):
        return _prove_page(request, Refused(TOO_MANY))
    user = people.account(request.db, request.subject.user_id or 0)
    if user is None or not passwords.verify_password(user.password_hash, typed(request, "password")):
        people.note_sign_in(request.db, "failed", Device.of(request), request.subject.user_id)
        return _prove_page(request, Refused(_("This is not your present password."), "password"))
    sessions.prove(request.db, request.signed_in.id)
    return HTTPSeeOther(safe_next(typed(request, "next")))


def ask_to_sign_in(request: Request) -> Response | None:
    """Return the way to the sign-in page for who is not signed in; None for who is: he may not, and is told so."""
    if request.identity is not None:
        return None
    # After signing in nobody wants to be at the address of a part of a page, or of a form that was sent.
    back = request.path_qs if request.method == "GET" and not request.headers.get("HX-Request") else ""
    where = "/sign-in" + (f"?next={quote(back, safe='/')}" if back not in ("", "/") else "")
    if request.headers.get("HX-Request"):
        return Response(status=401, headers={"HX-Redirect": where})
    wanted = request.headers.get("Accept", "")
    if request.path.startswith("/api/") or ("json" in wanted and "html" not in wanted):
        return Response(status=401, json_body={"error": "unauthorized"})
    return HTTPSeeOther(where)


__all__ = [
    "PLAIN",
    "SEND_RESET",
    "ask_to_sign_in",
    "let_in",
    "message",
    "person_fields",
    "plain",
    "post_of",
    "proved",
    "say",
]
