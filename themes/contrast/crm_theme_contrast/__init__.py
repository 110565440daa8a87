"""The theme `contrast`: Strong lines, black on white or white on black, larger text: for eyes that need it."""

__version__ = "0.1.0"
