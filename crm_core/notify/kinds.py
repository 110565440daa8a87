"""What the core itself tells people: kinds of news, each with the channels it takes unless one chooses otherwise."""

from __future__ import annotations

from crm_core.i18n import _
from crm_core.specs import EventType

ASSIGNED = "core.record.assigned"
MENTIONED = "core.mentioned"
NOT_MENTIONED = "core.mentioned.unseen"
FOLLOWED = "core.followed.changed"
MISSED = "core.reminders.missed"
IMPORTED = "core.import.finished"
EXPORTED = "core.export.finished"
SIGN_UP = "core.sign-up.waiting"
FAULT = "core.system.fault"
SECURITY = "core.account.security"

WORK, SYSTEM, SAFETY = _("Work with records"), _("System"), _("Safety of the account")

KINDS = (
    EventType(
        name=ASSIGNED,
        title=_("I became responsible for a record"),
        payload=("entity", "ids"),
        notify=("bell", "digest"),
        group=WORK,
        icon="user-check",
    ),
    EventType(
        name=MENTIONED,
        title=_("A colleague mentions me"),
        payload=("entity", "id"),
        notify=("bell", "digest"),
        group=WORK,
        icon="at",
    ),
    # The answer to what one has just done: there is nothing to choose.
    EventType(name=NOT_MENTIONED, title=_("Whom I mention may not see the record"), icon="eye-off"),
    EventType(
        name=FOLLOWED,
        title=_("What I follow has changed"),
        payload=("entity", "id"),
        notify=("bell", "digest"),
        group=WORK,
        icon="bell-ringing",
    ),
    EventType(
        name=MISSED,
        title=_("Reminders that could not come in time"),
        payload=("count",),
        notify=("bell", "digest"),
        group=WORK,
        icon="alarm",
    ),
    EventType(name=IMPORTED, title=_("My import has ended"), notify=("bell",), group=SYSTEM, icon="file-import"),
    EventType(name=EXPORTED, title=_("My export is ready"), notify=("bell",), group=SYSTEM, icon="download"),
    EventType(
        name=SIGN_UP,
        title=_("Somebody signed up and waits for approval"),
        notify=("bell", "digest"),
        group=SYSTEM,
        icon="user-plus",
        told_to="users:approve",
    ),
    EventType(
        name=FAULT,
        title=_("A job or a plugin failed"),
        notify=("bell", "digest"),
        group=SYSTEM,
        icon="alert-triangle",
        told_to="plugins:manage",
    ),
    EventType(
        name=SECURITY,
        title=_("My password or address was changed"),
        notify=("bell",),
        mandatory=True,
        group=SAFETY,
        icon="shield-lock",
    ),
)
"""The kinds of this package, for the core's `crm_event_types`."""
