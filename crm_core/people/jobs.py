"""What is done about accounts outside requests."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.company import Company
from crm_core.i18n import _
from crm_core.models import SignInEvent, Token
from crm_core.people.accounts import send_reset
from crm_core.people.letters import Post
from crm_core.security.secrets import from_settings
from crm_core.security.sessions import forget_expired
from crm_core.specs import Job

if TYPE_CHECKING:
    from crm_core.jobs import JobContext

SEND_RESET = "core.accounts.send-reset"
CLEAN = "core.accounts.clean"

KEEP_SIGN_INS = dt.timedelta(days=400)
KEEP_TOKENS = dt.timedelta(days=30)


def _post(context: JobContext, session: Session, base_url: str) -> Post:
    from crm_core import mail

    settings = context.settings
    company = Company(
        session, context.plugins, from_settings(settings), base_url=str(settings.get("crm.base_url", "") or "")
    )
    return Post(
        send=mail.send,
        company=company.name,
        base_url=company.base_url or base_url,
        registry=context.registry,
        locale=company.locale,
    )


def run_send_reset(context: JobContext, email: str, base_url: str = "") -> dict[str, Any]:
    """Send the letter of a forgotten password, if there is such an account; the result does not tell which."""
    with context.transaction() as session:
        send_reset(session, _post(context, session, base_url), email)
    return {}


def run_clean(context: JobContext) -> dict[str, Any]:
    """Forget sessions and links that are over, and sign-ins of long ago."""
    now = clock.now()
    with context.transaction() as session:
        found = forget_expired(session)
        session.execute(sa.delete(Token).where(Token.expires_at < now - KEEP_TOKENS))
        session.execute(sa.delete(SignInEvent).where(SignInEvent.at < now - KEEP_SIGN_INS))
    return {"sessions": found}


JOBS = (
    Job(name=SEND_RESET, run=run_send_reset, title=_("Letter of a forgotten password")),
    Job(name=CLEAN, run=run_clean, title=_("Forget sessions that are over"), cron="17 4 * * *"),
)
"""The jobs of this package, for the core's `crm_jobs`."""
