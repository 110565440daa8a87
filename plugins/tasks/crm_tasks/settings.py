"""How a company works with tasks: settings that an administrator changes in the browser."""

from __future__ import annotations

from crm_core.security.permissions import SETTINGS_EDIT
from crm_core.specs import Setting, SettingsPage
from crm_tasks.i18n import _
from crm_tasks.permissions import TEMPLATES
from crm_tasks.services.company import CALL_BACK_MINUTES, ESCALATE_DAYS, HORIZON_DAYS, MORNING, REMIND_MINUTES

SETTINGS: tuple[Setting | SettingsPage, ...] = (
    SettingsPage(
        id="tasks",
        title=_("Tasks"),
        permission=SETTINGS_EDIT,
        icon="checkbox",
        description=_("Reminders, overdue tasks, how far ahead repeated tasks are made."),
        words="задачи напоминания просрочено",
    ),
    SettingsPage(
        id="tasks-sets",
        title=_("Sets of tasks"),
        permission=TEMPLATES,
        icon="list-check",
        href="/settings/tasks/sets",
        description=_("Tasks that are made together: by hand or when a deal comes to a stage."),
        words="комплекты задач шаблоны автоматизация",
    ),
    Setting(
        key=REMIND_MINUTES, title=_("Remind so many minutes before"), kind="number", default=15, page="tasks",
        minimum=0, maximum=10_080, help=_("Of a task with an hour, unless it says otherwise."),
    ),
    Setting(
        key=MORNING, title=_("Remind in the morning at"), default="09:00", page="tasks",
        help=_("Of tasks for the whole day."),
    ),
    Setting(
        key=ESCALATE_DAYS, title=_("Tell the head after days overdue"), kind="number", default=3, page="tasks",
        minimum=0, maximum=365, help=_("0: heads are not told."),
    ),
    Setting(
        key=HORIZON_DAYS, title=_("Make repeated tasks so many days ahead"), kind="number", default=35, page="tasks",
        minimum=1, maximum=366,
    ),
    Setting(
        key=CALL_BACK_MINUTES, title=_("Call back within minutes"), kind="number", default=15, page="tasks",
        minimum=0, maximum=1440, help=_("A missed call becomes a task with this due."),
    ),
)  # fmt: skip
