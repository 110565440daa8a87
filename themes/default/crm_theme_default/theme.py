"""Says what the theme `default` is; found through the entry point group `crm.themes`."""

from crm_core.themes import ThemeInfo

THEME = ThemeInfo(
    name="default",
    title="Default",
    description="Light and dark, calm and dense; the accent is the company's choice.",
    styles=("theme.css",),
)
