"""What stands under the bell: news of what concerns one, each read, put away for an hour or followed to its record."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import sqlalchemy as sa
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from crm_core import clock, notify
from crm_core.i18n import TranslationString, _
from crm_core.models import Notification
from crm_core.notify import Item
from crm_core.security.permissions import PREFERENCES_EDIT
from crm_core.views.filling import safe_next, say
from crm_core.views.shapes import EmptyState, Tab

PAGE = 30
SNOOZE = dt.timedelta(hours=1)
LIST = "crm_core:templates/notifications/list.pt"

#: Icons of kinds; a kind of a plugin that stands not here has the bell.
ICONS = {
    "import": "file-import",
    "export": "download",
    "system": "alert-triangle",
    "account": "user-check",
    "sign-up": "user-plus",
    "mention": "at",
    "assigned": "user-check",
    "reminder": "alarm",
}


def in_words(request: Request, item: Item) -> str:
    """Return what a notification says, in the reader's language."""
    return say(request, TranslationString(item.title, domain=item.domain, mapping=dict(item.values)))


def entry(request: Request, item: Item) -> dict[str, Any]:
    """Return a notification as its template shows it."""
    return {
        "id": item.id,
        "title": in_words(request, item),
        "icon": ICONS.get(item.kind, "bell") if item.accessible else "eye-off",
        "href": f"/notifications/{item.id}" if item.href and item.accessible else "",
        "when": request.formats.relative(item.created_at),
        "exact": request.formats.datetime(item.created_at),
        "machine": item.created_at.isoformat() if item.created_at else "",
        "unread": item.read_at is None,
    }


def _page(request: Request) -> dict[str, Any]:
    user_id = request.subject.user_id or 0
    before = request.params.get("before", "")
    only_unread = request.params.get("show") == "unread"
    items = notify.listing(
        request.db,
        request.gate,
        user_id,
        limit=PAGE + 1,
        before=int(before) if before.isdecimal() and len(before) < 19 else None,
        unread=only_unread,
    )
    shown = items[:PAGE]
    show = "show=unread&" if only_unread else ""
    return {
        "title": _("Notifications"),
        "items": [entry(request, item) for item in shown],
        "waiting": any(item.read_at is None for item in shown),
        "show": "unread" if only_unread else "",
        "tabs": [
            Tab(title=_("All"), href="/notifications", active=not only_unread),
            Tab(title=_("Unread"), href="/notifications?show=unread", active=only_unread),
        ],
        "more_href": f"/notifications?{show}before={shown[-1].id}" if len(items) > PAGE else "",
        "empty": EmptyState(
            title=_("All is read") if only_unread else _("Nothing has happened yet"),
            text=_("What is assigned to you, answers of clients and finished imports come here."),
            icon="bell",
        ),
    }


@view_config(route_name="notifications.list", request_method="GET", renderer=LIST)
def list_notifications(request: Request) -> dict[str, Any]:
    """Show notifications, newest first; access to their records is asked anew."""
    return _page(request)


def _answer(request: Request) -> Any:
    """Answer the list anew where it stands in a side sheet, else go back to it."""
    if request.headers.get("HX-Request-Type") != "partial":
        show = "?show=unread" if request.POST.get("show") == "unread" else ""
        return HTTPSeeOther(f"/notifications{show}")
    unread = notify.unread_count(request.db, request.subject.user_id or 0)
    request.response.headers["HX-Trigger"] = json.dumps({"crm:live": {"unread": unread}})
    return _page(request)


@view_config(route_name="notifications.read", request_method="POST", renderer=LIST, permission=PREFERENCES_EDIT)
def read(request: Request) -> Any:
    """Mark one notification as read, or all of them."""
    number = request.POST.get("id", "")
    ids = [int(number)] if number.isdecimal() and len(number) < 19 else None
    notify.mark_read(request.db, request.subject.user_id or 0, ids)
    return _answer(request)


@view_config(route_name="notifications.snooze", request_method="POST", renderer=LIST, permission=PREFERENCES_EDIT)
def snooze(request: Request) -> Any:
    """Put a notification away for an hour; it comes back unread."""
    user_id = request.subject.user_id or 0
    if not notify.snooze(request.db, user_id, int(request.matchdict["id"]), clock.now() + SNOOZE):
        raise HTTPNotFound
    return _answer(request)


@view_config(route_name="notifications.open", request_method="GET")
def follow(request: Request) -> Response:
    """Mark a notification as read and go to what it is about, if that may still be seen."""
    user_id = request.subject.user_id or 0
    statement = sa.select(Notification).where(
        Notification.user_id == user_id, Notification.id == int(request.matchdict["id"])
    )
    found = request.db.scalars(statement).one_or_none()
    if found is None:
        raise HTTPNotFound
    notify.mark_read(request.db, user_id, [found.id])
    return HTTPSeeOther(safe_next(found.href))


def includeme(config: Configurator) -> None:
    """Add the addresses of notifications."""
    config.add_route("notifications.list", "/notifications")
    config.add_route("notifications.read", "/notifications/read")
    config.add_route("notifications.open", r"/notifications/{id:\d{1,18}}")
    config.add_route("notifications.snooze", r"/notifications/{id:\d{1,18}}/snooze")
    config.scan(__name__)
