"""What stands under the bell: news of what concerns one, by record; read, put away for a while, followed to its record.

The same list is a page of its own and a side sheet; whoever wants quiet for a while says so here.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPBadRequest, HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from crm_core import clock, notify
from crm_core.i18n import _
from crm_core.models import Notification
from crm_core.notify import Item
from crm_core.security.permissions import PREFERENCES_EDIT
from crm_core.views.filling import safe_next, say
from crm_core.views.shapes import Action, EmptyState, Notice, Tab
from crm_core.views.shell import visible_labels

PAGE = 30
LIST = "crm_core:templates/notifications/list.pt"

HOUR, LATER, TOMORROW, WEEK, OFF = "hour", "later", "tomorrow", "week", "off"

#: For how long one may put a notification away, or want quiet.
AWAY = ((HOUR, _("For an hour")), (LATER, _("For three hours")), (TOMORROW, _("Until tomorrow, 9:00")),
        (WEEK, _("Until Monday, 9:00")))  # fmt: skip
QUIET = ((HOUR, _("Quiet for an hour")), (LATER, _("Quiet for three hours")), (TOMORROW, _("Quiet until tomorrow")))

#: Icons of kinds that no plugin declares; those of the others are in their `EventType`.
ICONS = {"reminder": "alarm"}


@dataclass
class Group:
    """News of one record, or one piece of news that is about none."""

    items: list[dict[str, Any]] = field(default_factory=list)
    title: str = ""
    """The name of the record, where there are several of it."""
    href: str = ""
    icon: str = ""

    @property
    def unread(self) -> list[int]:
        """The ids of those that wait."""
        return [item["id"] for item in self.items if item["unread"]]


def in_words(request: Request, item: Item) -> str:
    """Return what a notification says, in the reader's language."""
    values = {"count": item.count, **item.values}
    return notify.words(str(item.title), item.domain, values, lambda text: say(request, text))


def entry(request: Request, item: Item) -> dict[str, Any]:
    """Return a notification as its template shows it."""
    spec = request.registry["crm.plugins"].event_types.get(item.kind)
    icon = spec.icon if spec is not None else ICONS.get(item.kind.rpartition(".")[2], "bell")
    return {
        "id": item.id,
        "title": in_words(request, item),
        "icon": icon if item.accessible else "eye-off",
        "href": f"/notifications/{item.id}" if item.href and item.accessible else "",
        "when": request.formats.relative(item.created_at),
        "exact": request.formats.datetime(item.created_at),
        "machine": item.created_at.isoformat() if item.created_at else "",
        "unread": item.read_at is None,
        "count": item.count if item.count > 1 else 0,
    }


def grouped(request: Request, items: Sequence[Item], keep: dict[str, str]) -> list[Group]:
    """Return notifications by record, where the newest stands; one alone has no heading."""
    groups: dict[Any, Group] = {}
    for item in items:
        about = (item.entity, item.record_id) if item.entity and item.accessible else item.id
        shown = entry(request, item)
        shown["away"] = [
            Action(title=title, href=f"/notifications/{item.id}/snooze", method="post", values={"until": name, **keep})
            for name, title in AWAY
        ]
        groups.setdefault(about, Group()).items.append(shown)
    several = [about for about, group in groups.items() if len(group.items) > 1]
    labels = visible_labels(request.gate, several)
    for about in several:
        entity = request.gate.plugins.entities[about[0]]
        group = groups[about]
        group.title = labels.get(about) or f"№ {about[1]}"
        group.icon, group.href = entity.icon, f"{entity.url}/{about[1]}"
    return list(groups.values())


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
    keep = {"show": "unread"} if only_unread else {}
    muted = _muted(request, user_id)
    return {
        "title": _("Notifications"),
        "groups": grouped(request, shown, keep),
        "waiting": any(item.read_at is None for item in shown),
        "show": "unread" if only_unread else "",
        "tabs": [
            Tab(title=_("All"), href="/notifications", active=not only_unread),
            Tab(title=_("Unread"), href="/notifications?show=unread", active=only_unread),
        ],
        "notices": [muted] if muted else [],
        "quiet": [] if muted else [_mute(name, title, keep) for name, title in QUIET],
        "more_href": f"/notifications?{show}before={shown[-1].id}" if len(items) > PAGE else "",
        "empty": EmptyState(
            title=_("All is read") if only_unread else _("Nothing has happened yet"),
            text=_("What is assigned to you, answers of clients and finished imports come here."),
            icon="bell",
        ),
    }


def _mute(name: str, title: str, keep: dict[str, str]) -> Action:
    values = {"until": name, **keep}
    return Action(title=title, href="/notifications/mute", icon="bell-off", method="post", values=values)


def _muted(request: Request, user_id: int) -> Notice | None:
    until = notify.hours_of(request.db, user_id).muted_until
    if until is None or until <= clock.now():
        return None
    formats = request.formats
    today = until.astimezone(formats.tz).date() == clock.today(formats.tz)
    when = formats.time(until) if today else formats.datetime(until)
    return Notice(
        text=request.translate(
            _("Quiet until ${when}: letters wait, and the bell does not count.", mapping={"when": when})
        ),
        actions=[
            Action(
                title=_("End the quiet"), href="/notifications/mute", icon="bell", method="post", values={"until": OFF}
            )
        ],
    )


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
    """Mark some notifications as read, or all of them."""
    numbers = [int(one) for one in request.POST.getall("id") if one.isdecimal() and len(one) < 19]
    notify.mark_read(request.db, request.subject.user_id or 0, numbers or None)
    return _answer(request)


def until(request: Request, name: str) -> dt.datetime:
    """Return the instant until which something is put away, by the reader's clock."""
    now = clock.now()
    if name in (HOUR, ""):
        return now + dt.timedelta(hours=1)
    if name == LATER:
        return now + dt.timedelta(hours=3)
    zone = clock.zone(request.subject.zone)
    today = now.astimezone(zone)
    if name == TOMORROW:
        days = 1
    elif name == WEEK:
        days = 7 - today.weekday()
    else:
        raise HTTPBadRequest
    return clock.start_of_day(today.date() + dt.timedelta(days=days), zone) + dt.timedelta(hours=9)


@view_config(route_name="notifications.snooze", request_method="POST", renderer=LIST, permission=PREFERENCES_EDIT)
def snooze(request: Request) -> Any:
    """Put a notification away for a while; it comes back unread."""
    user_id = request.subject.user_id or 0
    at = until(request, str(request.POST.get("until", "")))
    if not notify.snooze(request.db, user_id, int(request.matchdict["id"]), at):
        raise HTTPNotFound
    return _answer(request)


@view_config(route_name="notifications.mute", request_method="POST", renderer=LIST, permission=PREFERENCES_EDIT)
def mute(request: Request) -> Any:
    """Leave one alone for a while, or end that."""
    name = str(request.POST.get("until", ""))
    notify.mute(request.db, request.subject.user_id or 0, None if name == OFF else until(request, name))
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
        # What gathers more news comes back under another number, and a letter may still have the old one.
        return HTTPSeeOther("/notifications")
    notify.mark_read(request.db, user_id, [found.id])
    return HTTPSeeOther(safe_next(found.href))


def includeme(config: Configurator) -> None:
    """Add the addresses of notifications."""
    config.add_route("notifications.list", "/notifications")
    config.add_route("notifications.read", "/notifications/read")
    config.add_route("notifications.mute", "/notifications/mute")
    config.add_route("notifications.open", r"/notifications/{id:\d{1,18}}")
    config.add_route("notifications.snooze", r"/notifications/{id:\d{1,18}}/snooze")
    config.scan(__name__)
