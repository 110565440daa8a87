"""What every view says of itself: who may call it, how he proves himself, which content policy its page wants."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from tests.architecture.conftest import View
from tests.architecture.tree import Source

#: What a stranger may call. Each is a decision; add a line only with one.
PUBLIC = {
    "account.sign_in": "the door itself",
    "account.sign_out": "leaving needs no right",
    "account.sign_up": "off, open or with approval, as the company chose",
    "account.forgot": "who forgot the password cannot sign in",
    "account.reset": "the token of the letter is the proof",
    "account.confirm": "the token of the letter is the proof",
    "account.confirm_address": "the token of the letter is the proof",
    "account.invitation": "the token of the link is the proof",
    "account.setup": "the first administrator has no account yet; a one-time code from the console is the proof",
    "account.logo": "the sign-in page shows it",
    "tasks.feed": "the secret of the address is the proof; only its digest is kept",
    "tasks.invitation": "the key of the letter is the proof; it opens one meeting to one guest",
    "locale": "the language of the sign-in page",
    "deals.lead_form": "the form of the company's site; what is sent is looked at, limited and kept with its consent",
    "deals.lead_script": "puts that form into a page of the site",
    "deals.lead_intake": "a program has no account; each message is signed by its secret",
    "calls.in": "telephony has no account; each message is signed by the secret of its gateway",
}

#: What every account may call, whatever its roles: pages of one's own, and doors that look for rights inside.
EVERYBODY = {
    "calls.present": "asked by the script of every page; answers nothing to whoever may not see calls",
    **dict.fromkeys(("account.face", "account.prove"), "one's own session"),
    **dict.fromkeys(("home", "home.arrange", "home.widget", "live"), "what it holds is asked for block by block"),
    **dict.fromkeys(("notifications.list", "notifications.open"), "one's own"),
    **dict.fromkeys(
        ("jobs.list", "jobs.show", "jobs.stop", "exports.show"), "one's own; the view looks whose they are"
    ),
    **dict.fromkeys(("search", "search.palette", "records.options.people"), "finds through the gate"),
    **dict.fromkeys(("records.options.departments", "records.options.tags"), "words for forms"),
    **dict.fromkeys(("operations.show", "operations.undo"), "the view asks who may see and take back an operation"),
    **dict.fromkeys(
        (
            *("imports.list", "imports.new", "imports.run", "imports.columns", "imports.words", "imports.check"),
            *("imports.start", "imports.stop", "imports.undo", "imports.discard", "imports.rejected"),
            "imports.remarks",
        ),
        "the right is that of the entity which the file is for; the context asks for it",
    ),
    **dict.fromkeys(("settings.index", "settings.page"), "each page of settings names its permission itself"),
    "settings.colleagues": "names for forms, narrowed by the permission to see them",
}

#: Views that change something and are not guarded by CSRF: how the caller proves himself instead.
PROVED: dict[str, str] = {
    "crm_calls.views.intake.take": "signature",
    "crm_deals.views.lead_public.send_form": "public-form",
    "crm_deals.views.lead_public.take_in": "signature",
}

#: Views whose pages may set styles inside elements.
LOOSE_STYLES: dict[str, str] = {}

SIGNED_IN = "core:signed-in"
NOBODY = "__no_permission_required__"


def test_every_view_declares_its_permission(views: list[View]) -> None:
    assert len(views) > 50, "the introspector shows too little to be true"

    assert {view.route for view in views if view.permission in (None, SIGNED_IN)} == set(EVERYBODY)


def test_every_permission_that_a_view_names_is_declared(views: list[View], plugins: Any) -> None:
    known = {*plugins.permissions, None, SIGNED_IN, NOBODY}

    assert not [f"{view.route}: {view.permission}" for view in views if view.permission not in known]


def test_a_view_that_names_no_permission_is_closed_to_strangers(app: Any) -> None:
    from pyramid.interfaces import IDefaultPermission

    assert app.registry.queryUtility(IDefaultPermission) == SIGNED_IN


def test_what_strangers_may_call_is_listed(views: list[View]) -> None:
    public = {view.route for view in views if view.permission == NOBODY}

    assert public == set(PUBLIC)


def test_views_without_csrf_say_how_the_caller_proves_himself(app: Any) -> None:
    proved = {_name(view): proof for view, proof in app.registry.get("crm.proofs", ())}

    assert proved == PROVED


def test_pages_with_a_looser_content_policy_are_listed(app: Any) -> None:
    loose = {_name(view): kind for view, kind in app.registry.get("crm.csp_views", ())}

    assert loose == LOOSE_STYLES


def _name(view: Any) -> str:
    return f"{getattr(view, '__module__', '')}.{getattr(view, '__qualname__', type(view).__qualname__)}"


def test_reading_changes_nothing(views: list[View]) -> None:
    """A view that answers GET and POST alike would let a link change data: it names its methods."""
    assert not [
        f"{view.route}: {view.callable}"
        for view in views
        if not view.methods
        and view.callable.rpartition(".")[2].startswith(("save", "delete", "create", "add", "remove"))
    ]


def test_csrf_is_on_for_every_view(app: Any) -> None:
    from pyramid.interfaces import IDefaultCSRFOptions

    options = app.registry.queryUtility(IDefaultCSRFOptions)

    assert options.require_csrf is True


def test_permissions_are_constants(sources: list[Source]) -> None:
    assert not list(_bare_permissions(sources))


def _bare_permissions(sources: list[Source]) -> Iterator[str]:
    for source in sources:
        if source.is_test:
            continue
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", getattr(node.func, "attr", "")) not in (
                "view_config",
                "add_view",
                "NavItem",
                "Panel",
                "Widget",
                "SettingsPage",
            ):
                continue
            for keyword in node.keywords:
                if keyword.arg == "permission" and isinstance(keyword.value, ast.Constant) and keyword.value.value:
                    yield f"{source.name}:{node.lineno} names the permission {keyword.value.value!r} as bare text"
