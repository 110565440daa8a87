"""Deals: pipelines and stages, what is being sold, for how much, and how far it is."""

__version__ = "0.1.0"
