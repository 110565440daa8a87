"""The tables of tasks."""

from __future__ import annotations

from crm_tasks.models.schedule import DayOff, Feed, Guest, GuestKey, Meeting
from crm_tasks.models.series import Series
from crm_tasks.models.tasks import ChecklistItem, Delegation, Dependency, Observer, OverdueMark, Reminder, Task
from crm_tasks.models.templates import Template, TemplateSet

__all__ = [
    "ChecklistItem",
    "DayOff",
    "Delegation",
    "Dependency",
    "Feed",
    "Guest",
    "GuestKey",
    "Meeting",
    "Observer",
    "OverdueMark",
    "Reminder",
    "Series",
    "Task",
    "Template",
    "TemplateSet",
]
