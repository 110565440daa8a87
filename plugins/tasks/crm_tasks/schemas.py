"""The fields of a task, and the words for its kinds, states and priorities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_core import forms
from crm_tasks.i18n import _

CALL, MEETING, LETTER, TODO = "call", "meeting", "letter", "todo"

KINDS: forms.Choices = (
    (TODO, _("To do")),
    (CALL, _("Call")),
    (MEETING, _("Meeting")),
    (LETTER, _("Letter")),
)

ICONS: Mapping[str, str] = {CALL: "phone", MEETING: "users", LETTER: "mail", TODO: "checkbox"}

OPEN, IN_PROGRESS, WAITING, DONE, CANCELLED = "open", "in_progress", "waiting", "done", "cancelled"

STATES: forms.Choices = (
    (OPEN, _("To be done")),
    (IN_PROGRESS, _("In progress")),
    (WAITING, _("Waiting")),
    (DONE, _("Done")),
    (CANCELLED, _("Cancelled")),
)

OPEN_STATES = (OPEN, IN_PROGRESS, WAITING)
CLOSED_STATES = (DONE, CANCELLED)

STATE_TONES: Mapping[str, str] = {
    OPEN: "",
    IN_PROGRESS: "info",
    WAITING: "warning",
    DONE: "success",
    CANCELLED: "muted",
}

LOW, NORMAL, HIGH, URGENT = "low", "normal", "high", "urgent"

PRIORITIES: forms.Choices = (
    (LOW, _("Low")),
    (NORMAL, _("Normal")),
    (HIGH, _("High")),
    (URGENT, _("Urgent")),
)

PRIORITY_TONES: Mapping[str, str] = {LOW: "muted", NORMAL: "", HIGH: "warning", URGENT: "danger"}

_WHEN, _MORE = _("When"), _("More")


class TaskSchema(forms.RecordSchema):
    """What is to be done, by whom, by when."""

    title = forms.text(
        _("What is to be done"), required=True, maximum=300, searched=True, sorted=True,
        aliases=("задача", "название", "тема", "task", "title", "subject"),
    )  # fmt: skip
    kind = forms.choice(_("Kind"), KINDS, sorted=True, default=TODO, aliases=("вид", "тип задачи", "kind", "type"))
    state = forms.choice(_("State"), STATES, sorted=True, readonly=True, aliases=("состояние", "статус", "status"))
    priority = forms.choice(
        _("Priority"), PRIORITIES, sorted=True, default=NORMAL, aliases=("приоритет", "важность", "priority")
    )
    due_at = forms.datetime(
        _("Due"), sorted=True, section=_WHEN, aliases=("срок", "крайний срок", "дедлайн", "due", "deadline")
    )
    all_day = forms.boolean(_("Any time of that day"), section=_WHEN, on_create=False, listed=False)
    due_day = forms.date(_("Due day"), section=_WHEN, readonly=True, listed=False)
    start_at = forms.datetime(
        _("Start"), sorted=True, section=_WHEN, on_create=False, aliases=("начало", "дата начала", "start")
    )
    duration_min = forms.number(
        _("Duration, minutes"), whole=True, minimum=0, maximum=100_000, section=_WHEN, on_create=False,
        aliases=("длительность", "duration"),
    )  # fmt: skip
    owner_id = forms.user(
        _("Assignee"), sorted=True, aliases=("исполнитель", "ответственный", "assignee", "assigned to", "responsible")
    )
    progress = forms.number(
        _("Progress, %"), whole=True, minimum=0, maximum=100, sorted=True, readonly=True,
        aliases=("прогресс", "progress"),
    )  # fmt: skip
    place = forms.text(_("Place"), maximum=300, section=_MORE, on_create=False, listed=False)
    text = forms.longtext(
        _("Details"), searched=True, mentions=True, section=_MORE,
        aliases=("описание", "комментарий", "текст", "details", "notes"),
    )  # fmt: skip
    result = forms.longtext(
        _("Result"), searched=True, readonly=True, section=_MORE, aliases=("результат", "итог", "result")
    )
    completed_at = forms.datetime(
        _("Done at"), sorted=True, readonly=True, section=_MORE, aliases=("завершена", "выполнена", "completed")
    )
    completed_by = forms.user(_("Done by"), readonly=True, section=_MORE, listed=False)
    created_by = forms.user(_("Author"), readonly=True, section=_MORE, aliases=("автор", "постановщик", "author"))
    parent_id = forms.record(_("Part of the task"), "tasks.task", section=_MORE, on_create=False, listed=False)
    tags = forms.tags(_("Tags"), on_create=False, aliases=("теги", "tags"))

    @staticmethod
    def check(values: Mapping[str, Any]) -> dict[str, Any]:
        """Refuse a task that ends before it begins."""
        start, due = values.get("start_at"), values.get("due_at")
        if start is not None and due is not None and start > due:
            return {"start_at": _("This is after the due.")}
        return {}


class ChecklistSchema(forms.RecordSchema):
    """How changes of a checklist read in history."""

    title = forms.text(_("Line of the checklist"))
    done = forms.boolean(_("Done"))


class ObserverSchema(forms.RecordSchema):
    """How changes of observers read in history."""

    user_id = forms.user(_("Observer"))


class DependencySchema(forms.RecordSchema):
    """How changes of dependencies read in history."""

    needs_id = forms.record(_("Needs"), "tasks.task")


class ReminderSchema(forms.RecordSchema):
    """How changes of reminders read in history."""

    minutes_before = forms.number(_("Minutes before"), whole=True)
    user_id = forms.user(_("Who is reminded"))


class DelegationSchema(forms.RecordSchema):
    """How the way from hand to hand reads in history."""

    from_id = forms.user(_("From whom"))
    to_id = forms.user(_("To whom"))
    note = forms.text(_("Note"))


class GuestSchema(forms.RecordSchema):
    """How changes of guests read in history."""

    name = forms.text(_("Guest"))
    email = forms.text(_("E-mail"))
    answer = forms.choice(
        _("Answer"),
        (
            ("needs-action", _("No answer yet")),
            ("accepted", _("Will come")),
            ("tentative", _("Perhaps")),
            ("declined", _("Will not come")),
        ),
    )
    answered_at = forms.datetime(_("Answered"))


class DayOffSchema(forms.RecordSchema):
    """How changes of days off read in history."""

    user_id = forms.user(_("Who"))
    starts = forms.date(_("First day"))
    ends = forms.date(_("Last day"))


class SeriesSchema(forms.RecordSchema):
    """How changes of a series read in history."""

    rrule = forms.text(_("Rule"))
    starts = forms.text(_("First time"))
    active = forms.boolean(_("In use"))


class TemplateSetSchema(forms.RecordSchema):
    """How changes of a set of tasks read in history."""

    name = forms.text(_("Name"))
    trigger_event = forms.text(_("Started by"))
    active = forms.boolean(_("In use"))


class TemplateSchema(forms.RecordSchema):
    """How changes of a task of a set read in history."""

    title = forms.text(_("What is to be done"))
    due_days = forms.number(_("Due in working days"), whole=True)
    due_time = forms.text(_("Time"))
