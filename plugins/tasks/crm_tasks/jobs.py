"""Work by the clock: what is overdue is told, and series are made ahead."""

from __future__ import annotations

from typing import Any

from crm_core.jobs import JobContext
from crm_core.records import operations
from crm_core.records.gate import Gate
from crm_core.specs import Job
from crm_tasks.i18n import _
from crm_tasks.models import Series
from crm_tasks.services import overdue, series

OVERDUE, REPEAT = "tasks.overdue", "tasks.repeat"


def tell_overdue(context: JobContext) -> dict[str, Any]:
    """Tell of tasks that have become overdue, and heads of those that stay so."""
    done = 0
    for step in (overdue.mark, overdue.escalate):
        while True:
            context.check()
            with context.transaction() as session:
                gate = Gate(session, context.subject, context.plugins)
                some = step(gate)
            done += some
            if some < overdue.BATCH:
                break
    return {"told": done}


def repeat(context: JobContext) -> dict[str, Any]:
    """Make the occurrences of series up to the horizon, a series in a transaction."""
    made, after = 0, 0
    while True:
        with context.transaction() as session:
            ids = series.due_to_be_filled(Gate(session, context.subject, context.plugins), after)
        if not ids:
            return {"made": made}
        for number in ids:
            context.check()
            with context.transaction() as session:
                found = session.get(Series, number)
                if found is not None:
                    operations.describe(session, context.subject, kind="create", source="job", entity="tasks.task")
                    made += len(series.fill(Gate(session, context.subject, context.plugins), found))
            context.progress(made)
        after = ids[-1]


JOBS = (
    Job(name=OVERDUE, run=tell_overdue, title=_("Tell of overdue tasks"), cron="*/5 * * * *"),
    Job(name=REPEAT, run=repeat, title=_("Make repeated tasks ahead"), cron="20 2 * * *"),
)
