"""Gives this plugin's texts their domain; `_("Task")` makes a message id that pages translate."""

from pyramid.i18n import TranslationStringFactory

DOMAIN = "crm_tasks"

_ = TranslationStringFactory(DOMAIN)
