"""Gives this plugin's texts their domain; `_("Deal")` makes a message id that pages translate."""

from pyramid.i18n import TranslationStringFactory

DOMAIN = "crm_deals"

_ = TranslationStringFactory(DOMAIN)
