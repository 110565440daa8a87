"""Clients: people, companies and what was said with them."""

__version__ = "0.1.0"
