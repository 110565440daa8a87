"""Notifications: who is told what, by which channel and when; reminders, mentions and followers of records.

:func:`notify` writes in the caller's transaction: a row for the bell and, as each person chose, what is to go out by
other channels (`crm_core.channels` sends that). :func:`remind` does the same at a later instant, exactly once. Whoever
may no longer see a record is told nothing of it: :func:`listing` and the senders ask the gate again.
"""

from __future__ import annotations

from crm_core.notify.choices import (
    BELL,
    DIGEST,
    MAIL,
    Hours,
    Reader,
    channels_of,
    choices_of,
    choosable,
    hours_of,
    mute,
    next_digest,
    quiet_until,
    readers,
    save_choices,
    save_hours,
)
from crm_core.notify.follows import follow, followed_by, followers, is_following, unfollow
from crm_core.notify.inbox import (
    Gate,
    Item,
    item_of,
    listing,
    mark_read,
    snooze,
    unread_count,
    visible,
    words,
)
from crm_core.notify.kinds import KINDS
from crm_core.notify.mentions import mentioned, pieces, plain, token
from crm_core.notify.reminders import FIRE, JOBS, fire_due, forget, remind
from crm_core.notify.telling import holders, notify

__all__ = [
    "BELL",
    "DIGEST",
    "FIRE",
    "JOBS",
    "KINDS",
    "MAIL",
    "Gate",
    "Hours",
    "Item",
    "Reader",
    "channels_of",
    "choices_of",
    "choosable",
    "fire_due",
    "follow",
    "followed_by",
    "followers",
    "forget",
    "holders",
    "hours_of",
    "is_following",
    "item_of",
    "listing",
    "mark_read",
    "mentioned",
    "mute",
    "next_digest",
    "notify",
    "pieces",
    "plain",
    "quiet_until",
    "readers",
    "remind",
    "save_choices",
    "save_hours",
    "snooze",
    "token",
    "unfollow",
    "unread_count",
    "visible",
    "words",
]
