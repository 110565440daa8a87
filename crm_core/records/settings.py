"""Settings of lists and records that an administrator changes in the browser."""

from __future__ import annotations

from crm_core.i18n import _
from crm_core.security.permissions import SETTINGS_EDIT
from crm_core.specs import Setting, SettingsPage

NEW_TAGS = "records.new_tags"

SETTINGS: tuple[Setting | SettingsPage, ...] = (
    SettingsPage(
        id="lists",
        title=_("Lists and tags"),
        permission=SETTINGS_EDIT,
        icon="tags",
        description=_("Who may add new tags"),
        order=22,
        words="теги метки списки tags",
    ),
    Setting(
        key=NEW_TAGS,
        title=_("New tags"),
        kind="choice",
        page="lists",
        default="all",
        choices=(
            ("all", _("Whoever may change a record adds them")),
            ("settings", _("Only those who change settings add them")),
        ),
    ),
)
