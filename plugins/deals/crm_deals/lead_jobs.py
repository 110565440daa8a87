"""Work by the clock: people are told of leads that wait longer than they should."""

from __future__ import annotations

from typing import Any

from crm_core.jobs import JobContext
from crm_core.records.gate import Gate
from crm_core.specs import Job
from crm_deals.i18n import _
from crm_deals.services import lead_rules

LATE = "deals.leads_late"


def tell_late(context: JobContext) -> dict[str, Any]:
    """Tell who is to answer, and the heads above him, of leads that wait too long."""
    done, after = 0, 0
    while True:
        context.check()
        with context.transaction() as session:
            told, after = lead_rules.tell_late(Gate(session, context.subject, context.plugins), after)
        done += told
        if not after:
            return {"told": done}


LEAD_JOBS: tuple[Job, ...] = (
    Job(name=LATE, run=tell_late, title=_("Tell of leads that wait too long"), cron="*/5 * * * *"),
)
