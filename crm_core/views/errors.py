"""Pages of what went wrong: what happened, what was kept, what to do, and a number for the administrator."""

from __future__ import annotations

import secrets
from typing import Any

import structlog
from pyramid.config import Configurator
from pyramid.exceptions import BadCSRFOrigin, BadCSRFToken
from pyramid.httpexceptions import HTTPError
from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response
from pyramid_retry import is_error_retryable
from pyramid_tm import maybe_tag_retryable

from crm_core.company import Company
from crm_core.i18n import LOCALE_COOKIE, LOCALES, _
from crm_core.security.subject import ANONYMOUS
from crm_core.views.account.doors import ask_to_sign_in
from crm_core.views.shapes import Action

log = structlog.get_logger(__name__)

TEMPLATE = "crm_core:templates/errors/error.pt"
_SIGNS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

#: Status -> heading, and what to do.
WORDS: dict[int, tuple[str, str]] = {
    400: (_("This request cannot be understood"), _("Go back, load the page again and repeat what you did.")),
    403: (_("You have no access to this"), _("Your roles do not allow it. Ask your administrator if you need it.")),
    404: (
        _("This is not here"),
        _("The address is mistyped, the record was deleted, or it is not open to you."),
    ),
    405: (_("This cannot be opened like that"), _("Go back and use the button on the page.")),
    409: (
        _("Somebody was faster"),
        _("The record was changed meanwhile. Load the page again, look at it and repeat what you did."),
    ),
    413: (_("This is too large"), _("Send a smaller file, or divide it into parts.")),
    429: (_("Too often"), _("Wait a few minutes and try again.")),
    503: (_("The CRM is busy"), _("It will answer again in a moment; load the page once more.")),
}
BROKEN = (
    _("Something went wrong here"),
    _("It is our mistake, not yours. Try again; if it stays so, tell your administrator."),
)
STALE = (
    _("The page has grown old"),
    _("You signed in or out meanwhile, perhaps in another tab. Load the page again and repeat what you did."),
)


def new_number() -> str:
    """Return a short number by which an administrator finds an error in the log."""
    text = "".join(secrets.choice(_SIGNS) for _n in range(8))
    return f"{text[:4]}-{text[4:]}"


def _wants_json(request: Request) -> bool:
    accepted = request.headers.get("Accept", "")
    return request.path.startswith("/api/") or ("json" in accepted and "html" not in accepted)


def error_page(request: Request, status: int, words: tuple[str, str], *, number: str = "", kept: str = "") -> Response:
    """Return the page (or JSON) of an error, in the shell where that can still be made."""
    if _wants_json(request):
        body: dict[str, Any] = {"error": request.translate(words[0]), "status": status}
        if number:
            body["number"] = number
        return Response(status=status, json_body=body)
    back = Action(title=request.translate(_("To the home page")), href="/", look="primary", icon="home")
    actions = [back]
    if status >= 500 and request.method == "GET":
        again = Action(title=request.translate(_("Try again")), href=request.path_qs, icon="reload", look="primary")
        actions = [again, Action(title=back.title, href="/", icon="home")]
    values = {
        "error_status": str(status),
        "error_title": request.translate(words[0]),
        "error_text": request.translate(words[1]),
        "error_kept": request.translate(kept) if kept else "",
        "error_number": number,
        "error_actions": actions,
    }
    return Response(render(TEMPLATE, values, request=request), status=status, content_type="text/html", charset="utf-8")


def not_found(context: Any, request: Request) -> Response:
    """Say that nothing is here for this person; strangers are told nothing at all."""
    return error_page(request, 404, WORDS[404])


def forbidden(context: Any, request: Request) -> Any:
    """Ask strangers to sign in; tell others that they may not."""
    return ask_to_sign_in(request) or error_page(request, 403, WORDS[403])


def stale(context: Any, request: Request) -> Response:
    """Say that a form was too old to be believed."""
    if isinstance(context, BadCSRFOrigin):
        log.warning("foreign_form", path=request.path, detail=str(context.detail))
    return error_page(request, 400, STALE, kept=_("Nothing was changed. What you typed may be kept in this browser."))


def refused(context: Any, request: Request) -> Response:
    """Say in words what a status means."""
    words = WORDS.get(context.status_int) or (WORDS[400] if context.status_int < 500 else BROKEN)
    return error_page(request, context.status_int, words)


def will_be_retried(request: Request, error: Exception) -> bool:
    """Tell whether the request is tried again after this error, so that nobody need be told of it."""
    maybe_tag_retryable(request, (type(error), error, error.__traceback__))
    return bool(is_error_retryable(request, error))


def broken(context: Exception, request: Request) -> Response:
    """Write down a mistake of ours under a number and show the number."""
    if will_be_retried(request, context):
        # This answer is thrown away.
        return Response(status=503)
    number = new_number()
    log.error("page_failed", number=number, path=request.path, method=request.method, exc_info=context)
    kept = (
        ""
        if request.method in ("GET", "HEAD")
        else _("Nothing of it was saved. What you typed is kept in this browser.")
    )
    try:
        # What was begun is given up here, so that the page may ask the database who looks at it.
        request.tm.abort()
        request.tm.begin()
        return error_page(request, 500, BROKEN, number=number, kept=kept)
    except Exception as error:
        log.error("error_page_failed", number=number, exc_info=error)
    _expect_nothing(request)
    return error_page(request, 500, BROKEN, number=number, kept=kept)


def _expect_nothing(request: Request) -> None:
    """Make what is left of the request do without the database: nobody is known, nothing stands around the page."""
    cookie = request.cookies.get(LOCALE_COOKIE, "")
    settings = request.registry.settings
    locale = cookie if cookie in LOCALES else str(settings.get("crm.locale", "ru"))
    for name in ("locale_name", "localizer", "locale", "formats"):
        request.__dict__.pop(name, None)
    request.__dict__.update(
        subject=ANONYMOUS, _found_session=(None, ANONYMOUS), shell=None, _csrf_basis="-", _LOCALE_=locale,
        company=Company(request.db, request.registry["crm.plugins"], request.registry["crm.secrets"], values={}),
    )  # fmt: skip


def includeme(config: Configurator) -> None:
    """Show these pages instead of Pyramid's."""
    config.add_notfound_view(not_found)
    config.add_forbidden_view(forbidden)
    config.add_exception_view(stale, context=BadCSRFToken)
    config.add_exception_view(stale, context=BadCSRFOrigin)
    config.add_exception_view(refused, context=HTTPError)
    config.add_exception_view(broken, context=Exception)
