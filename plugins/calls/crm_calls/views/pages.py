"""Pages of calls: the recording, numbers of nobody, who called how much."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.response import FileResponse, Response
from pyramid.view import view_config

from crm_calls import services
from crm_calls.i18n import _
from crm_calls.permissions import FIGURES, LISTEN, VIEW
from crm_calls.views.now import new_client_href
from crm_core import clock
from crm_core.records import cleaning
from crm_core.views.shapes import Action, Cell, Column, EmptyState, FieldView, PersonView, Row

PAGE = 50
#: Days that one report may span.
LONGEST = 731


@view_config(route_name="calls.recording", request_method="GET", permission=LISTEN)
def recording(request: Request) -> Response:
    """Send the recording of a call to somebody who may listen; a player may ask for a part of it."""
    call = services.recording_of(request.gate, int(request.matchdict["id"]))
    if call is None or call.recording is None:
        raise HTTPNotFound
    path = request.file_store.path(call.recording)
    if not path.is_file():
        raise HTTPNotFound
    response = FileResponse(str(path), request=request, content_type=call.recording_type or "audio/mpeg")
    response.accept_ranges, response.conditional_response = "bytes", True
    ending = {"audio/mpeg": "mp3", "audio/wav": "wav", "audio/mp4": "m4a"}.get(call.recording_type or "", "")
    name = f"call-{call.id}.{ending or str(call.recording_type).rpartition('/')[2]}"
    kind = "attachment" if "save" in request.GET else "inline"
    response.headers["Content-Disposition"] = f'{kind}; filename="{name}"'
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Content-Security-Policy"] = "default-src 'none'; media-src 'self'; sandbox"
    return response


@view_config(
    route_name="calls.unknown", request_method="GET", permission=VIEW, renderer="crm_calls:templates/unknown.pt"
)
def unknown(request: Request) -> dict[str, Any]:
    """Show numbers that called and belong to no client."""
    before = _instant(request.GET.get("before", ""))
    found = services.unknown_numbers(request.gate, limit=PAGE + 1, offset_at=before)
    names = services.names_of(request.db, [one.owner_id for one in found])
    creates = request.gate.may("clients.person", "create")
    more = f"/calls/unknown?{urlencode({'before': found[PAGE - 1].last_at.isoformat()})}" if len(found) > PAGE else ""
    say, formats = request.translate, request.formats
    return {
        "title": _("Unknown numbers"),
        "items": [
            {
                "number": cleaning.write_phone(one.number),
                "tel": f"tel:{one.number}",
                "when": formats.relative(one.last_at),
                "exact": formats.datetime(one.last_at),
                "calls": request.plural("${n} call", "${n} calls", one.calls, domain="crm_calls"),
                "missed": request.plural("${n} missed", "${n} missed", one.missed, domain="crm_calls")
                if one.missed
                else "",
                "who": names.get(one.owner_id or 0, ""),
                "href": f"/calls/{one.last_id}",
                "create": Action(title=say(_("Create a client")), href=new_client_href(one.number), icon="user-plus")
                if creates
                else None,
            }
            for one in found[:PAGE]
        ],
        "more_href": more,
        "empty": EmptyState(
            title=_("No unknown numbers"),
            text=_("Here stand numbers that called in the last 90 days and belong to no client."),
            icon="phone-incoming",
            link=Action(title=_("All calls"), href="/calls"),
        ),
    }


def _instant(text: str) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


# -- who called how much -----------------------------------------------------------------------------------------------


@view_config(
    route_name="calls.report", request_method="GET", permission=FIGURES, renderer="crm_calls:templates/report.pt"
)
def report(request: Request) -> dict[str, Any]:
    """Show how much each person called in a time, as far as the viewer may count."""
    zone = request.formats.tz
    today = clock.today(zone)
    since = _day(request.GET.get("since", ""), today.replace(day=1))
    until = max(since, _day(request.GET.get("until", ""), today))
    until = min(until, since + dt.timedelta(days=LONGEST))
    figures = services.by_person(request.gate, _midnight(since, zone), _midnight(until + dt.timedelta(days=1), zone))
    names = services.names_of(request.db, [one.user_id for one in figures])
    say = request.translate
    rows = [
        _figures_row(
            request, one, say(_("Nobody")) if one.user_id is None else names.get(one.user_id, ""), since, until
        )
        for one in figures
    ]
    total = services.total(figures)
    if len(rows) > 1:
        rows.append(_figures_row(request, total, say(_("Together")), since, until, total=True))
    return {
        "title": _("Calls by person"),
        "since": FieldView(name="since", title=say(_("From")), kind="date", value=since.isoformat()),
        "until": FieldView(name="until", title=say(_("To")), kind="date", value=until.isoformat()),
        "presets": _presets(request, today),
        "columns": _COLUMNS,
        "rows": rows,
        "empty": EmptyState(
            title=_("No calls in these days"),
            text=_("Choose other days. Calls come here from telephony as soon as it is connected."),
            icon="phone",
        ),
    }


_COLUMNS = [
    Column(name="who", title=_("Who")),
    Column(name="incoming", title=_("Incoming calls"), kind="number"),
    Column(name="answered", title=_("Answered calls"), kind="number"),
    Column(name="missed", title=_("Missed calls"), kind="number"),
    Column(name="outgoing", title=_("Outgoing calls"), kind="number"),
    Column(name="reached", title=_("Reached calls"), kind="number"),
    Column(name="talk", title=_("Talk"), kind="number"),
    Column(name="average", title=_("A talk on average"), kind="number"),
]


def _figures_row(request: Request, one: Any, name: str, since: dt.date, until: dt.date, *, total: bool = False) -> Row:
    number = request.formats.number
    who = None if total or one.user_id is None else PersonView.of(name, one.user_id)

    def counted(value: int, *conditions: str, tone: str = "") -> Cell:
        # A figure leads to what it counts.
        person = [] if total else ["owner_id:empty" if one.user_id is None else f"owner_id:any:{one.user_id}"]
        days = f"started_at:between:{since.isoformat()},{until.isoformat()}"
        query = urlencode([("f", each) for each in (*person, days, *conditions)])
        return Cell(
            kind="number", text=number(value), href=f"/calls?{query}" if value else "", tone=tone if value else ""
        )

    return Row(
        id="total" if total else one.user_id or 0,
        href="",
        label=name,
        tone="total" if total else "",
        cells=[
            Cell(text=name, person=who),
            counted(one.incoming, "direction:any:in"),
            counted(one.answered, "direction:any:in", "status:any:ended,answered"),
            counted(one.missed, "status:any:missed", tone="danger"),
            counted(one.outgoing, "direction:any:out"),
            counted(one.reached, "direction:any:out", "status:any:ended,answered"),
            Cell(kind="number", text=spell(request, one.seconds)),
            Cell(kind="number", text=spell(request, one.seconds // one.talks) if one.talks else "—"),
        ],
    )


def spell(request: Request, seconds: int) -> str:
    """Return how long something took, `1:02:33` or `4:05`."""
    hours, rest = divmod(int(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def _presets(request: Request, today: dt.date) -> list[Action]:
    week = today - dt.timedelta(days=today.weekday())
    month = today.replace(day=1)
    before = (month - dt.timedelta(days=1)).replace(day=1)
    spans = (
        (_("Today"), today, today),
        (_("This week"), week, today),
        (_("This month"), month, today),
        (_("Last month"), before, month - dt.timedelta(days=1)),
    )
    chosen = request.GET.get("since"), request.GET.get("until")
    return [
        Action(
            title=title,
            href=f"/calls/report?since={since}&until={until}",
            active=chosen == (since.isoformat(), until.isoformat()),
        )
        for title, since, until in spans
    ]


def _day(text: str, otherwise: dt.date) -> dt.date:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return otherwise
    return day if 2000 <= day.year <= 2200 else otherwise


def _midnight(day: dt.date, zone: Any) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), tzinfo=zone).astimezone(dt.UTC)
