"""What happened meanwhile: one cheap answer that visible pages ask for every few seconds; nothing is held open.

It tells how many notifications wait, how far one's own jobs are, which of them have ended, and which records that the
person may see were changed: at most two statements beside the one that knows who asks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import clock
from crm_core.db import Fixed
from crm_core.i18n import _
from crm_core.jobs import CANCELLED, FAILED, RUNNING, WAITING
from crm_core.records.gate import Gate
from crm_core.views.jobs import job_title, job_view, result_action, result_text
from crm_core.views.shapes import Toast
from crm_core.views.shell import live_since

#: Seconds until the page asks again: sooner while work of one's own goes on.
CALM, BUSY = 8, 3
MOST_CHANGES = 200
#: Changes are looked for in the newest partitions only: a page that slept longer is told to look anew by its reader.
LOOK_BACK = dt.timedelta(hours=12)

_STATE = Fixed(
    """
    SELECT
        (SELECT count(*) FROM (SELECT 1 FROM core_notification WHERE user_id = :user AND read_at IS NULL
            AND (snoozed_until IS NULL OR snoozed_until <= :now) AND NOT EXISTS (SELECT 1 FROM core_notice_hours h
            WHERE h.user_id = :user AND h.muted_until > :now) LIMIT 100) n) AS unread,
        (SELECT last_value FROM core_change_id_seq) AS change,
        (SELECT coalesce(jsonb_agg(j ORDER BY j.id DESC), '[]') FROM (
            SELECT id, name, title, state, done_units, total_units, message, started_at, finished_at, result, user_id
            FROM core_job WHERE user_id = :user AND visible
                AND (state IN ('waiting', 'running') OR id = ANY(:watched) OR id > :last_job)
            ORDER BY id DESC LIMIT 20) j) AS jobs,
        (SELECT coalesce(jsonb_agg(c), '[]') FROM (
            SELECT entity, record_id, max(id) AS id, bool_or(action = 'insert') AS made FROM (
                SELECT id, entity, record_id, action FROM core_change WHERE id > :since AND at > :recent
                UNION ALL
                SELECT id, parent_entity, parent_id, 'update' FROM core_change
                WHERE id > :since AND at > :recent AND parent_id IS NOT NULL
                ORDER BY id DESC LIMIT :most) all_of_them
            WHERE entity = ANY(:entities) GROUP BY entity, record_id) c) AS changes
    """
)


def read_since(text: str) -> tuple[int, int, list[int]]:
    """Read the place that the last answer gave; anything else begins now (a negative change)."""
    parts = text.split(".")
    if len(parts) != 3 or not all(part.isdecimal() and len(part) < 19 for part in parts[:2]):
        return -1, 0, []
    watched = [int(part) for part in parts[2].split("-") if part.isdecimal() and len(part) < 19]
    return int(parts[0]), int(parts[1]), watched[:20]


def visible_changes(gate: Gate, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those changes whose records the subject may see, in one statement."""
    by_entity: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        by_entity.setdefault(row["entity"], {})[row["record_id"]] = row
    parts = []
    for name, found in by_entity.items():
        model: Any = gate.entity(name).model
        parts.append(
            sa.select(sa.literal(name, sa.Text()), model.id).where(
                model.id.in_(sorted(found)), gate.criterion(name, "view")
            )
        )
    if not parts:
        return []
    statement = parts[0] if len(parts) == 1 else sa.union_all(*parts)
    seen = gate.session.execute(statement).all()
    return [
        {"kind": name, "id": number, "version": by_entity[name][number]["id"], "made": by_entity[name][number]["made"]}
        for name, number in seen
    ]


def ended_toast(request: Request, row: dict[str, Any]) -> Toast:
    """Return the word that a job has ended."""
    title = job_title(request, row["name"], row["title"])
    if row["state"] == FAILED:
        text = request.translate(_("${title}: it did not work out", mapping={"title": title}))
        return Toast(text=text, tone="danger", href=f"/jobs/{row['id']}", href_title=request.translate(_("Look")))
    said = result_text(request, row.get("result"))
    if row["state"] == CANCELLED:
        text, tone = request.translate(_("${title}: stopped", mapping={"title": title})), "warning"
    else:
        text, tone = request.translate(_("${title}: done", mapping={"title": title})), "success"
    action = result_action(request, row)
    return Toast(
        text=f"{text} ({said})" if said else text,
        tone=tone,
        href=action.href if action else f"/jobs/{row['id']}",
        href_title=action.title if action else request.translate(_("Look")),
    )


@view_config(route_name="live", request_method="GET", renderer="json")
def live(request: Request) -> dict[str, Any]:
    """Tell what happened since the last answer."""
    subject, gate = request.subject, request.gate
    since, last_job, watched = read_since(request.GET.get("since", ""))
    now = clock.now()
    fresh = since < 0
    state = _STATE.ask(
        request.db,
        user=subject.user_id,
        now=now,
        recent=now - LOOK_BACK,
        since=2**62 if fresh else since,
        last_job=2**62 if fresh else last_job,
        watched=watched,
        most=MOST_CHANGES,
        entities=[entity.name for entity in gate.plugins.entities.values() if gate.may(entity, "view")],
    ).one()
    running = [row for row in state.jobs if row["state"] in (WAITING, RUNNING)]
    ended = [row for row in state.jobs if row["state"] not in (WAITING, RUNNING)]
    changes = visible_changes(gate, state.changes)
    views = [job_view(request, row) for row in running]
    toasts = [ended_toast(request, row) for row in reversed(ended)]
    request.response.cache_control.no_store = True
    known = max([last_job, *(row["id"] for row in state.jobs)])
    return {
        "since": live_since(max(state.change, since), known, (row["id"] for row in running)),
        "wait": BUSY if running else CALM,
        "unread": state.unread,
        "jobs": [{"id": job.id, "title": job.title, "percent": job.percent, "text": job.text} for job in views],
        "toasts": [
            {"text": each.text, "tone": each.tone, "href": each.href, "href_title": each.href_title} for each in toasts
        ],
        "changes": changes,
    }


def includeme(config: Configurator) -> None:
    """Add the address that pages ask."""
    config.add_route("live", "/live")
    config.scan(__name__)
