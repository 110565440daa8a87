"""The state of the system: versions, database, queue, workers, disk, last jobs, errors."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pyramid.i18n import TranslationString
from pyramid.request import Request
from pyramid.view import view_config

import crm_core
from crm_core import clock, jobs, migrations
from crm_core.delivery import FAILED as NOT_DELIVERED
from crm_core.delivery import UNCERTAIN
from crm_core.i18n import _
from crm_core.models import Delivery, JobRow, Schedule, UserSession
from crm_core.security.permissions import SYSTEM_VIEW
from crm_core.views.admin.index import CRUMB
from crm_core.views.shapes import Badge, Figure, KeyValue, Notice

_KINDS = {"worker": _("Worker"), "scheduler": _("Schedule")}

_JOB_STATES = {
    "waiting": Badge(text=_("Waiting"), tone="muted"),
    "running": Badge(text=_("Running"), tone="info"),
    "done": Badge(text=_("Done"), tone="success"),
    "failed": Badge(text=_("Failed"), tone="danger"),
    "cancelled": Badge(text=_("Stopped"), tone="warning"),
}


@view_config(
    route_name="settings.system",
    request_method="GET",
    permission=SYSTEM_VIEW,
    renderer="crm_core:templates/admin/system.pt",
)
def system(request: Request) -> dict[str, Any]:
    """Show how the system is; errors and what jobs were about only to who may see all of it."""
    whole = "all" in request.subject.scopes(SYSTEM_VIEW)
    queue = dict(request.db.execute(sa.select(JobRow.state, sa.func.count()).group_by(JobRow.state)).all())
    living = jobs.living(request.db)
    disk = shutil.disk_usage(_existing(Path(request.registry.settings.get("crm.data", "."))))
    late = request.db.scalar(
        sa.select(sa.func.min(JobRow.run_at)).where(JobRow.state == "waiting", JobRow.run_at <= clock.now())
    )
    workers = [one for one in living if one.kind == "worker"]
    formats = request.formats
    return {
        "title": _("State of the system"),
        "crumbs": [CRUMB],
        "notices": _problems(request, workers, living, late, disk.free),
        "figures": [
            Figure(
                title=_("Waiting jobs"),
                value=formats.number(queue.get("waiting", 0)),
                hint=formats.relative(late) if late else "",
            ),
            Figure(title=_("Running jobs"), value=formats.number(queue.get("running", 0))),
            Figure(
                title=_("Failed jobs"),
                value=formats.number(queue.get("failed", 0)),
                tone="danger" if queue.get("failed") else "",
            ),
            Figure(title=_("Workers"), value=formats.number(len(workers)), tone="" if workers else "danger"),
            Figure(title=_("Open sessions"), value=formats.number(_sessions(request))),
            Figure(
                title=_("Free on the disk"),
                value=formats.filesize(disk.free),
                tone="danger" if disk.free < disk.total // 20 else "",
            ),
        ],
        "versions": _versions(request),
        "database": _database(request),
        "processes": [
            KeyValue(
                title=one.name,
                value=_("since ${when}", mapping={"when": formats.relative(one.since)}),
                badge=Badge(text=_KINDS.get(one.kind, one.kind)),
            )
            for one in living
        ],
        "schedule": [
            KeyValue(
                title=request.translate(_job_title(request, row.name)),
                value=_("next ${when}", mapping={"when": formats.relative(row.next_at)}),
                hint=formats.datetime(row.next_at),
            )
            for row in request.db.scalars(sa.select(Schedule).order_by(Schedule.next_at))
        ],
        "jobs": _last_jobs(request, whole),
        "errors": _errors(request) if whole else [],
        "whole": whole,
    }


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _sessions(request: Request) -> int:
    return (
        request.db.scalar(
            sa.select(sa.func.count()).select_from(UserSession).where(UserSession.expires_at > clock.now())
        )
        or 0
    )


def _job_title(request: Request, name: str) -> str:
    spec = request.registry["crm.plugins"].jobs.get(name)
    return spec.title or name if spec else name


def _said(request: Request, row: JobRow, whole: bool) -> str:
    """Return what a job is called: its own title may name records, so it is told to those who may see all."""
    spec = request.registry["crm.plugins"].jobs.get(row.name)
    if not whole or not row.title or (spec is not None and row.title == str(spec.title)):
        return _job_title(request, row.name)
    return TranslationString(row.title, domain="crm_core")


def _problems(request: Request, workers: Any, living: Any, late: Any, free: int) -> list[Notice]:
    found = []
    if not workers:
        found.append(
            Notice(text=_("No worker runs: letters, imports and reminders wait. Start one: crm worker"), tone="danger")
        )
    if not any(one.kind == "scheduler" for one in living):
        found.append(Notice(text=_("No schedule runs: nothing begins by the clock."), tone="warning"))
    if late is not None and (clock.now() - late).total_seconds() > 300:
        found.append(
            Notice(
                text=_("A job has been waiting since ${when}.", mapping={"when": request.formats.relative(late)}),
                tone="warning",
            )
        )
    if free < 1_000_000_000:
        found.append(Notice(text=_("Less than one gigabyte is free on the disk."), tone="danger"))
    return found


def _versions(request: Request) -> list[KeyValue]:
    host = request.registry["crm.plugins"]
    postgres = request.db.scalar(sa.text("SELECT current_setting('server_version')"))
    return [
        KeyValue(title="CRM", value=crm_core.__version__),
        *(
            KeyValue(title=request.translate(one.info.title), value=one.info.version)
            for one in host.loaded
            if one.info.name != "core"
        ),
        KeyValue(title="Python", value=platform.python_version()),
        KeyValue(title="PostgreSQL", value=postgres),
        KeyValue(title="Redis", **_redis(request)),
    ]


def _redis(request: Request) -> dict[str, Any]:
    url = request.registry.settings.get("redis.url", "")
    if not url:
        return {"value": _("Not set"), "badge": Badge(text=_("Jobs are found by looking"), tone="muted")}
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=0.1, socket_connect_timeout=0.1) as server:
            info = server.info("server")
    except redis.RedisError:
        return {"value": "", "badge": Badge(text=_("Does not answer"), tone="warning")}
    version = info.get("valkey_version") or info.get("redis_version", "")
    return {"value": version, "badge": Badge(text=_("Answers"), tone="success")}


def _database(request: Request) -> list[KeyValue]:
    row = request.db.execute(
        sa.text(
            "SELECT pg_database_size(current_database()) AS size, "
            "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS connections, "
            "(SELECT max(block_at) FROM (SELECT max(at) AS block_at FROM core_seal) s) AS sealed"
        )
    ).one()
    host = request.registry["crm.plugins"]
    found = [
        KeyValue(title=_("Size"), value=request.formats.filesize(row.size)),
        KeyValue(title=_("Connections"), value=request.formats.number(row.connections)),
        KeyValue(
            title=_("Change log sealed"),
            value=request.formats.relative(row.sealed) if row.sealed else _("not yet"),
            hint=request.formats.datetime(row.sealed),
        ),
    ]
    for state in migrations.states(request.db.connection(), host):
        badge = Badge(text=_("behind"), tone="danger") if state.behind else None
        if state.package_missing:
            badge = Badge(text=_("package missing"), tone="warning")
        found.append(
            KeyValue(title=_("Tables of ${name}", mapping={"name": state.name}), value=state.current or "", badge=badge)
        )
    return found


def _last_jobs(request: Request, whole: bool) -> list[dict[str, Any]]:
    rows = request.db.scalars(sa.select(JobRow).order_by(JobRow.id.desc()).limit(30))
    return [
        {
            "title": request.translate(_said(request, row, whole)),
            "badge": _JOB_STATES.get(row.state, Badge(text=row.state)),
            "when": request.formats.relative(row.finished_at or row.started_at or row.created_at),
            "exact": request.formats.datetime(row.finished_at or row.started_at or row.created_at),
            "attempts": request.formats.number(row.attempts),
            "error": row.error.strip().split("\n")[-1][:300] if whole and row.error else "",
        }
        for row in rows
    ]


def _errors(request: Request) -> list[dict[str, Any]]:
    failed = request.db.scalars(
        sa.select(JobRow).where(JobRow.state == "failed").order_by(JobRow.finished_at.desc()).limit(20)
    )
    found = [
        {
            "title": request.translate(_said(request, row, True)),
            "when": request.formats.relative(row.finished_at),
            "exact": request.formats.datetime(row.finished_at),
            "text": row.error[:4000],
        }
        for row in failed
    ]
    letters = request.db.scalars(
        sa.select(Delivery).where(Delivery.state.in_([NOT_DELIVERED, UNCERTAIN])).order_by(Delivery.id.desc()).limit(20)
    )
    for row in letters:
        found.append(
            {
                "title": request.translate(
                    _("Letter to ${address}", mapping={"address": row.address or request.translate(_("erased"))})
                ),
                "when": request.formats.relative(row.finished_at or row.created_at),
                "exact": request.formats.datetime(row.finished_at or row.created_at),
                "text": f"{row.state} {row.code} {row.answer}".strip()[:4000],
            }
        )
    return found
