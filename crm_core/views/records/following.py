"""Following a record: whoever follows it hears of its changes; the dialog says who does."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request

from crm_core import notify
from crm_core.i18n import _
from crm_core.people import may_name
from crm_core.views.filling import post_button
from crm_core.views.records.context import RecordContext
from crm_core.views.records.reading import Reader
from crm_core.views.shapes import Action


def follow_action(context: RecordContext) -> Action:
    """Return the button beside the name of a record."""
    return Action(
        title=_("You follow this: stop") if context.following else _("Follow: hear of changes"),
        href=f"{context.href}/follow",
        icon="bell-ringing" if context.following else "bell-plus",
        method="post",
        look="ghost",
        active=context.following,
    )


def show_followers(context: RecordContext, request: Request) -> dict[str, Any]:
    """Show who follows a record, to those who may know names."""
    found = notify.followers(request.db, context.entity.name, context.item.id)
    if not may_name(request.subject):
        found = [one for one in found if one == request.subject.user_id]
    reader = Reader(request)
    reader.names.want_ids("user", found)
    reader.names.load()
    title = _("Stop following") if context.following else _("Follow")
    icon = "bell-off" if context.following else "bell-plus"
    return {
        "title": context.label,
        "back": context.href,
        "people": [reader.person(one) for one in found],
        "button": post_button(title, f"{context.href}/follow", icon, "primary"),
    }


def follow(context: RecordContext, request: Request) -> Any:
    """Begin to follow a record, or stop."""
    user_id = request.subject.user_id or 0
    about = (context.entity.name, context.item.id)
    if context.following:
        notify.unfollow(request.db, user_id, *about)
        request.toast(_("You no longer follow this record."), "info")
    else:
        notify.follow(request.db, user_id, *about)
        request.toast(_("You follow this record: what changes comes under the bell."))
    return HTTPSeeOther(context.href)
