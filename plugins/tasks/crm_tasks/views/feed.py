"""The feed for programs of calendars: the page that gives the address, and the address itself."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther, HTTPTooManyRequests
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from crm_core.security.limits import Rule
from crm_tasks.i18n import _
from crm_tasks.permissions import VIEW
from crm_tasks.services import feed
from crm_tasks.views.schedule import base_url

PAGE = "crm_tasks:templates/feed.pt"

TRIED = Rule("tasks-feed-address", "120 per 10 minutes")
"""Addresses of feeds tried from one address: offices stand behind one."""

READ = Rule("tasks-feed", "60 per hour")
"""Of one feed: programs ask every few minutes at most."""


def _page(request: Request, href: str = "") -> dict[str, Any]:
    found = feed.of(request.db, request.subject.user_id or 0)
    return {
        "title": _("In the calendar of my phone"),
        "href": href,
        "webcal": href.replace("https://", "webcal://").replace("http://", "webcal://") if href else "",
        "present": found is not None,
        "busy_only": bool(found is not None and found.busy_only),
        "details": bool(found is not None and found.details),
        "made": request.formats.datetime(found.created_at) if found is not None else "",
        "read": request.formats.datetime(found.read_at) if found is not None and found.read_at else "",
    }


@view_config(route_name="tasks.feed_settings", request_method="GET", renderer=PAGE, permission=VIEW)
def feed_settings(request: Request) -> dict[str, Any]:
    """Show whether the person has a feed, and how to get one."""
    return _page(request)


@view_config(route_name="tasks.feed_settings", request_method="POST", renderer=PAGE, permission=VIEW)
def issue_feed(request: Request) -> Any:
    """Make a new address, shown this once, or take the present one away."""
    if "revoke" in request.POST:
        feed.revoke(request.gate)
        request.toast(_("The address works no more."))
        return HTTPSeeOther("/tasks/schedule/feed")
    what = str(request.POST.get("what", ""))
    secret = feed.issue(request.gate, busy_only=what == "busy", details=what == "details")
    request.response.headers["Cache-Control"] = "no-store"
    return _page(request, f"{base_url(request)}/tasks/feed/{secret}.ics")


@view_config(route_name="tasks.feed", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def read_feed(request: Request) -> Response:
    """Answer a program for calendars with what its owner has to do; 304 where nothing has changed."""
    secret = request.matchdict["secret"]
    if not request.limits.hit(TRIED, request.client_addr):
        raise HTTPTooManyRequests
    found = feed.found(request.db, secret)
    if found is None:
        raise HTTPNotFound
    if not request.limits.hit(READ, found.id):
        raise HTTPTooManyRequests
    content = feed.read(request.db, request.registry["crm.plugins"], found)
    if content is None:
        raise HTTPNotFound
    response = Response(content_type="text/calendar", charset="utf-8", conditional_response=True)
    response.body = content
    response.etag = feed.etag(content)
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["X-Robots-Tag"] = "noindex"
    response.content_disposition = 'inline; filename="tasks.ics"'
    return response
