"""The theme `default`: Light and dark, calm and dense; the accent is the company's choice."""

__version__ = "0.1.0"
