"""This plugin's own pages: moving, lines, what belongs to a deal, short rows, settings."""
