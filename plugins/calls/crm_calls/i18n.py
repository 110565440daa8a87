"""Gives this plugin's texts their domain; `_("Call")` makes a message id that pages translate."""

from pyramid.i18n import TranslationStringFactory

DOMAIN = "crm_calls"

_ = TranslationStringFactory(DOMAIN)
