"""Tasks: who does what by when, on any record or none."""

__version__ = "0.1.0"
