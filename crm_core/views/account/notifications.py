"""What one is told, by which channel and when: one's own choices, and the hours in which one wants quiet."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from pyramid.request import Request
from pyramid.view import view_config

from crm_core import notify
from crm_core.i18n import _
from crm_core.notify import BELL, DIGEST, MAIL, Hours
from crm_core.people import Refused
from crm_core.security.permissions import PREFERENCES_EDIT
from crm_core.specs import EventType
from crm_core.views.account.profile import tabs
from crm_core.views.filling import Filling, choices, go, say, typed
from crm_core.views.shapes import FieldView, Section

TEMPLATE = "crm_core:templates/account/notifications.pt"


def kinds_for(request: Request) -> list[EventType]:
    """Return what this person may be told of and choose, by headings."""
    plugins = request.registry["crm.plugins"]
    found = [
        spec
        for spec in plugins.event_types.values()
        if notify.choosable(spec) and (not spec.told_to or request.subject.may(spec.told_to))
    ]
    order = {spec.group: place for place, spec in reversed(list(enumerate(found)))}
    return sorted(found, key=lambda spec: order[spec.group])


def channels_for(request: Request) -> list[tuple[str, str]]:
    """Return the channels that reach this person: the bell, mail at once, the daily letter, those of plugins."""
    plugins = request.registry["crm.plugins"]
    found = [(BELL, say(request, _("Bell")))]
    for channel in sorted(plugins.channels.values(), key=lambda one: (one.order, one.id)):
        if channel.id == MAIL:
            found.append((MAIL, say(request, channel.title)))
            found.append((DIGEST, say(request, _("Daily letter"))))
        elif channel.address(request.db, request.subject.user_id or 0):
            found.append((channel.id, say(request, channel.title)))
    return found


def _page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    user_id = request.subject.user_id or 0
    chosen = notify.choices_of(request.db, user_id)
    hours = notify.hours_of(request.db, user_id)
    channels = channels_for(request)
    groups: dict[str, list[dict[str, Any]]] = {}
    for spec in kinds_for(request):
        on = notify.channels_of(spec, chosen.get(spec.name))
        row = {
            "title": say(request, spec.title),
            "icon": spec.icon,
            "cells": [
                {
                    "name": f"{spec.name}|{channel}",
                    "title": title,
                    "on": channel in on,
                    "fixed": spec.mandatory and channel in spec.notify,
                    "changed": channel in chosen.get(spec.name, {}),
                }
                for channel, title in channels
            ],
        }
        groups.setdefault(say(request, spec.group) if spec.group else say(request, _("Other")), []).append(row)
    form = Filling(request, refused)
    return {
        "title": _("Notifications"),
        "tabs": tabs("notifications"),
        "channels": channels,
        "groups": list(groups.items()),
        "differs": bool(chosen),
        "errors": form.errors,
        "when": _when(form, hours),
    }


def _when(form: Filling, hours: Hours) -> Section:
    fields: list[FieldView] = [
        form.field("quiet_from", _("Quiet from"), "time", _clock(hours.quiet_from)),
        form.field("quiet_to", _("until"), "time", _clock(hours.quiet_to)),
        form.field("quiet_weekends", _("Quiet on Saturdays and Sundays"), "bool", hours.quiet_weekends, wide=True),
        form.field(
            "digest",
            _("The letter that gathers news comes"),
            "radio",
            hours.digest,
            choices=choices([("daily", _("once a day")), ("hourly", _("each hour"))]),
            wide=True,
        ),
        form.field("digest_at", _("at (once a day)"), "time", _clock(hours.digest_at)),
    ]
    return Section(title=_("When"), fields=fields)


def _clock(minutes: int | None) -> str:
    return "" if minutes is None else f"{minutes // 60:02}:{minutes % 60:02}"


def _minutes(request: Request, name: str) -> int | None:
    value = typed(request, name).strip()
    if not value:
        return None
    try:
        at = dt.time.fromisoformat(value)
    except ValueError:
        raise Refused(_("Write a time like 22:00."), name) from None
    return at.hour * 60 + at.minute


@view_config(
    route_name="account.notifications", request_method="GET", renderer=TEMPLATE, permission=PREFERENCES_EDIT
)
def show_choices(request: Request) -> dict[str, Any]:
    """Show what one is told."""
    return _page(request)


@view_config(
    route_name="account.notifications", request_method="POST", renderer=TEMPLATE, permission=PREFERENCES_EDIT
)
def save(request: Request) -> Any:
    """Keep what one wants to be told, and when."""
    user_id = request.subject.user_id or 0
    known = [name for name, _title in channels_for(request)]
    if "reset" in request.POST:
        notify.save_choices(
            request.db, user_id, kinds_for(request), {one.name: one.notify for one in kinds_for(request)}, known
        )
        request.toast(_("Everything comes as it does for everybody at first."))
        return go(request, "/profile/notifications")
    try:
        begin, end = _minutes(request, "quiet_from"), _minutes(request, "quiet_to")
        if (begin is None) != (end is None):
            missing = "quiet_from" if begin is None else "quiet_to"
            raise Refused(_("Say both when quiet begins and when it ends."), missing)
        at = _minutes(request, "digest_at")
    except Refused as refused:
        return _page(request, refused)
    hours = replace(
        notify.hours_of(request.db, user_id),
        quiet_from=begin,
        quiet_to=end,
        quiet_weekends="quiet_weekends" in request.POST,
        digest="hourly" if typed(request, "digest") == "hourly" else "daily",
        digest_at=9 * 60 if at is None else at,
    )
    notify.save_hours(request.db, user_id, hours)
    wanted: dict[str, set[str]] = {}
    for name in request.POST.getall("on"):
        kind, _bar, channel = str(name).partition("|")
        wanted.setdefault(kind, set()).add(channel)
    for spec in kinds_for(request):
        # A letter at once says it all: the daily one is then not asked about, and stays as it was.
        if MAIL in wanted.get(spec.name, ()) and DIGEST in spec.notify:
            wanted[spec.name].add(DIGEST)
    notify.save_choices(request.db, user_id, kinds_for(request), wanted, known)
    request.toast(_("Your notifications are saved."))
    return go(request, "/profile/notifications")
