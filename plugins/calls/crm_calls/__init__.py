"""Telephony of the CRM: who calls, calls by a click, missed calls that nobody forgets, recordings, figures."""

__version__ = "0.1.0"
