"""Long work that a person started: how far it is, the button that stops it, what came of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import clock
from crm_core.i18n import TranslationString, _
from crm_core.jobs import CANCELLED, DONE, FAILED, RUNNING, WAITING, ask_to_stop
from crm_core.models import JobRow, User
from crm_core.security.permissions import SYSTEM_VIEW
from crm_core.security.subject import Subject
from crm_core.views.account.doors import referrer_path
from crm_core.views.filling import go
from crm_core.views.shapes import Action, EmptyState, JobView, Tab

PAGE = 30

#: States as pages call them.
STATES = {WAITING: "waiting", RUNNING: "running", DONE: "done", FAILED: "failed", CANCELLED: "stopped"}

_FIELDS = (
    "id", "name", "title", "state", "done_units", "total_units", "message", "started_at", "finished_at", "result",
    "error", "stop_asked", "user_id",
)  # fmt: skip


def sees_all(subject: Subject) -> bool:
    """Tell whether the subject may see everybody's jobs with their errors."""
    return "all" in subject.scopes(SYSTEM_VIEW)


def job_title(request: Request, name: str, title: str) -> str:
    """Return what a job is called: its kind, and what it is about where that was said."""
    spec = request.registry["crm.plugins"].jobs.get(name)
    kind = request.translate(spec.title) if spec and spec.title else ""
    if not title or (spec and title == str(spec.title)):
        return kind or name
    return f"{kind}: {title}" if kind else title


def _moment(value: Any) -> dt.datetime | None:
    return dt.datetime.fromisoformat(value) if isinstance(value, str) else value


def progress_text(request: Request, row: Mapping[str, Any]) -> str:
    """Return how far a job is and how long it may still take: "1 200 of 5 000, about 2 minutes left"."""
    if row["state"] == WAITING:
        return request.translate(_("Waits for a worker"))
    done, total = row.get("done_units") or 0, row.get("total_units")
    number = request.formats.number
    if not total:
        return request.translate(_("${n} done", mapping={"n": number(done)})) if done else ""
    text = request.translate(_("${done} of ${total}", mapping={"done": number(done), "total": number(total)}))
    started = _moment(row.get("started_at"))
    if row["state"] == RUNNING and started is not None and 0 < done < total:
        passed = (clock.now() - started).total_seconds()
        left = passed * (total - done) / done
        if passed > 3:
            text += ", " + _left(request, left)
    return text


def _left(request: Request, seconds: float) -> str:
    if seconds < 60:
        return request.translate(_("less than a minute left"))
    minutes = round(seconds / 60)
    return request.plural("about ${n} minute left", "about ${n} minutes left", minutes)


def result_text(request: Request, result: Mapping[str, Any] | None) -> str:
    """Return what came of a job, from the numbers it left."""
    result = result or {}
    number = request.formats.number
    words: list[str] = []
    counts = result.get("counts")
    if isinstance(counts, Mapping):
        for name, message in (
            ("created", _("created: ${n}")),
            ("updated", _("updated: ${n}")),
            ("unchanged", _("unchanged: ${n}")),
            ("rejected", _("rejected: ${n}")),
        ):
            if counts.get(name):
                words.append(request.translate(TranslationString(message, mapping={"n": number(counts[name])})))
    for name, message in (
        ("rows", _("rows: ${n}")),
        ("changed", _("changed: ${n}")),
        ("undone", _("put back: ${n}")),
        ("conflicts", _("changed since and left: ${n}")),
    ):
        if isinstance(result.get(name), int) and (result[name] or name != "conflicts"):
            words.append(request.translate(TranslationString(message, mapping={"n": number(result[name])})))
    return ", ".join(words)


def result_action(request: Request, row: Mapping[str, Any]) -> Action | None:
    """Return the way to what came of a job; None when it left nothing to look at."""
    from crm_core.views.shell import leads_somewhere

    result = row.get("result") or {}
    href = str(result.get("href") or "")
    if not href.startswith("/") or row["state"] not in (DONE, CANCELLED) or not leads_somewhere(request, href):
        return None
    if "digest" in result:
        if row.get("user_id") not in (None, request.subject.user_id):
            return None
        return Action(title=request.translate(_("Download")), href=href, icon="download")
    return Action(title=request.translate(_("Show the result")), href=href, icon="arrow-right")


def job_view(request: Request, job: JobRow | Mapping[str, Any], *, owner: str = "") -> JobView:
    """Return how a job is shown, on top of pages, on its own page and where it was started; it reads nothing."""
    row: Mapping[str, Any] = job if isinstance(job, Mapping) else {name: getattr(job, name) for name in _FIELDS}
    state = STATES.get(row["state"], row["state"])
    running = state in ("waiting", "running")
    action = result_action(request, row)
    title = job_title(request, row["name"], row["title"])
    text = progress_text(request, row) if running else ""
    if row.get("stop_asked") and running:
        text = request.translate(_("It stops at the next step."))
    said = [] if running else [result_text(request, row.get("result"))]
    finished = _moment(row.get("finished_at"))
    if finished is not None:
        said.append(request.formats.relative(finished))
    return JobView(
        id=row["id"],
        title=f"{title} · {owner}" if owner else title,
        state=state,
        done=row.get("done_units") or 0,
        total=row.get("total_units"),
        text=text,
        result=" · ".join(part for part in said if part),
        stop_href="" if row.get("stop_asked") else f"/jobs/{row['id']}/stop",
        poll_href=f"/jobs/{row['id']}",
        error=_error(request, row) if state == "failed" else "",
        actions=[action] if action else [],
    )


def _error(request: Request, row: Mapping[str, Any]) -> str:
    if sees_all(request.subject):
        return (row.get("error") or "").strip().split("\n")[-1][:300]
    return request.translate(
        _(
            "It did not work out. Tell your administrator the number of this job: ${number}.",
            mapping={"number": row["id"]},
        )
    )


# -- pages ---------------------------------------------------------------------------------------------------------


@view_config(route_name="jobs.list", request_method="GET", renderer="crm_core:templates/jobs/list.pt")
def list_jobs(request: Request) -> dict[str, Any]:
    """Show one's own jobs; administrators also those of all."""
    whole = sees_all(request.subject)
    everybody = whole and request.GET.get("of") == "all"
    statement = sa.select(JobRow, User.name).outerjoin(User, User.id == JobRow.user_id).order_by(JobRow.id.desc())
    if everybody:
        if request.GET.get("state") == FAILED:
            statement = statement.where(JobRow.state == FAILED)
    else:
        statement = statement.where(JobRow.user_id == request.subject.user_id, JobRow.visible)
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        statement = statement.where(JobRow.id < int(before))
    rows = request.db.execute(statement.limit(PAGE + 1)).all()
    more = len(rows) > PAGE
    mine = request.subject.user_id
    jobs = [
        job_view(request, job, owner=(name or "") if everybody and job.user_id != mine else "")
        for job, name in rows[:PAGE]
    ]
    failed = everybody and request.GET.get("state") == FAILED
    tabs = [
        Tab(title=_("Mine"), href="/jobs", active=not everybody),
        Tab(title=_("Everybody's"), href="/jobs?of=all", active=everybody and not failed),
        Tab(title=_("Failed"), href="/jobs?of=all&state=failed", active=failed),
    ]
    keep = "of=all&" + ("state=failed&" if failed else "") if everybody else ""
    return {
        "title": _("Jobs"),
        "tabs": tabs if whole else [],
        "jobs": jobs,
        "more_href": f"/jobs?{keep}before={rows[PAGE - 1][0].id}" if more else "",
        "empty": EmptyState(
            title=_("No long work"),
            text=_(
                "Imports, exports and changes of many records stand here while they run, and for a month afterwards."
            ),
            icon="activity",
        ),
    }


def _found(request: Request) -> JobRow:
    job = request.db.get(JobRow, int(request.matchdict["id"]))
    if job is None or (job.user_id != request.subject.user_id and not sees_all(request.subject)):
        raise HTTPNotFound
    return job


@view_config(route_name="jobs.show", request_method="GET", renderer="crm_core:templates/jobs/show.pt")
def show_job(request: Request) -> dict[str, Any]:
    """Show one job; asked for as a part of a page it is the moving line alone."""
    job = job_view(request, _found(request))
    if request.headers.get("HX-Request-Type") == "partial":
        request.override_renderer = "crm_core:templates/jobs/line.pt"
    return {"title": job.title, "job": job}


@view_config(route_name="jobs.stop", request_method="POST")
def stop_job(request: Request) -> Any:
    """Ask a job to stop at its next step; what it has done stays and can be taken back."""
    job = _found(request)
    if ask_to_stop(request.db, job.id, request.subject):
        request.toast(_("It stops at the next step. What is done stays and can be put back."), "info")
    else:
        request.toast(_("This job has ended already."), "info")
    where = referrer_path(request)
    return go(request, where if where != "/" else "/jobs")


def includeme(config: Configurator) -> None:
    """Add the addresses of jobs."""
    config.add_route("jobs.list", "/jobs")
    config.add_route("jobs.show", r"/jobs/{id:\d{1,18}}")
    config.add_route("jobs.stop", r"/jobs/{id:\d{1,18}}/stop")
    config.scan(__name__)
