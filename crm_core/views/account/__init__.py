"""Pages about one's own account: getting in, getting a new password, profile, sessions, the first run."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden
from pyramid.request import Request

from crm_core.views.account.look import look_of


def includeme(config: Configurator) -> None:
    """Add the routes and views of these pages."""
    config.include("crm_core.views.toasts")
    config.registry["crm.look"] = look_of
    config.add_route("account.sign_in", "/sign-in")
    config.add_route("account.sign_out", "/sign-out")
    config.add_route("account.sign_up", "/sign-up")
    config.add_route("account.forgot", "/forgot")
    config.add_route("account.confirm", "/token/confirm/{secret}")
    config.add_route("account.reset", "/token/reset/{secret}")
    config.add_route("account.confirm_address", "/token/address/{secret}")
    config.add_route("account.invitation", "/token/invite/{secret}")
    config.add_route("account.setup", "/setup")
    config.add_route("account.prove", "/prove")
    config.add_route("account.first_steps", "/first-steps")
    config.add_route("account.profile", "/profile")
    config.add_route("account.photo", "/profile/photo")
    config.add_route("account.password", "/profile/password")
    config.add_route("account.address", "/profile/address")
    config.add_route("account.preferences", "/profile/preferences")
    config.add_route("account.notifications", "/profile/notifications")
    config.add_route("account.sessions", "/profile/sessions")
    config.add_route("account.end_session", "/profile/sessions/{id:[0-9]+}/end")
    config.add_route("account.end_others", "/profile/sessions/end-others")
    config.add_route("account.face", "/faces/{digest:[0-9a-f]{64}}.png")
    config.add_route("account.logo", "/logo.png")
    for room in ("doors", "links", "first_run", "profile", "notifications", "pictures"):
        config.scan(f"crm_core.views.account.{room}")
    if find_spec("crm_core.views.errors") is None:
        config.add_forbidden_view(_forbidden)


def _forbidden(context: Any, request: Request) -> Any:
    from crm_core.views.account.doors import ask_to_sign_in

    return ask_to_sign_in(request) or HTTPForbidden()
