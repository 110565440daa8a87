"""Gives this plugin's texts their domain; `_("Company")` makes a message id that pages translate."""

from pyramid.i18n import TranslationStringFactory

DOMAIN = "crm_clients"

_ = TranslationStringFactory(DOMAIN)
