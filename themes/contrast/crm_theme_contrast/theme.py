"""Says what the theme `contrast` is; found through the entry point group `crm.themes`."""

from crm_core.themes import ThemeInfo

THEME = ThemeInfo(
    name="contrast",
    title="High contrast",
    description="Strong lines, black on white or white on black, larger text: for eyes that need it.",
    base="default",
    styles=("contrast.css",),
)
