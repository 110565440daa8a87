"""Colours are readable: text at 4.5 to 1 on its ground, edges of controls at 3, in light, dark and every accent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import crm_core

ROOT = Path(crm_core.__file__).parent
TOKENS = (ROOT / "frontend/src/tokens.css").read_text() + (ROOT / "frontend/src/base.css").read_text()
THEMES = ROOT.parent / "themes"

TEXT = [
    ("text", "surface"),
    ("text", "bg"),
    ("text-2", "surface"),
    ("text-2", "bg"),
    ("text-2", "surface-3"),
    ("text-3", "surface"),
    ("text-3", "surface-2"),
    ("text-3", "bg"),
    ("success", "success-soft"),
    ("warning", "warning-soft"),
    ("danger", "danger-soft"),
    ("info", "info-soft"),
    ("danger", "surface"),
]
ACCENT = [("accent", "surface"), ("accent-text", "accent-soft"), ("accent-text", "surface")]


def _colours(css: str) -> dict[str, tuple[str, str]]:
    found = {}
    for name, light, dark in re.findall(r"--crm-([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css):
        found[name] = (light, dark)
    return found


def _luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _check(colours: dict[str, tuple[str, str]], pairs: list[tuple[str, str]], least: float, what: str) -> None:
    for mode in (0, 1):
        for ink, ground in pairs:
            seen = _contrast(colours[ink][mode], colours[ground][mode])
            assert seen >= least, f"{what}, {('light', 'dark')[mode]}: {ink} on {ground} is {seen:.2f}"


def test_text_is_readable_everywhere() -> None:
    _check(_colours(TOKENS), TEXT, 4.5, "default")


def test_edges_of_controls_are_seen() -> None:
    _check(_colours(TOKENS), [("edge", "surface"), ("edge", "bg")], 3, "default")


def _accents() -> list[tuple[str, str]]:
    css = (THEMES / "default/crm_theme_default/static/theme.css").read_text()
    return [("indigo", ""), *re.findall(r'html\[data-accent="(\w+)"\] \{([^}]*)\}', css)]


@pytest.mark.parametrize(("name", "css"), _accents(), ids=lambda value: value if len(value) < 12 else "")
def test_every_accent_is_readable(name: str, css: str) -> None:
    colours = {**_colours(TOKENS), **_colours(css)}
    white = {"on-accent": ("#ffffff", "#ffffff")}

    _check(colours, ACCENT, 4.5, name)
    _check({**colours, **white}, [("on-accent", "accent-fill"), ("on-accent", "accent-fill-2")], 4.5, name)


def test_the_theme_contrast_is_stronger() -> None:
    css = (THEMES / "contrast/crm_theme_contrast/static/contrast.css").read_text()
    colours = {**_colours(TOKENS), **_colours(css)}

    _check(
        colours,
        [
            ("text", "surface"),
            ("text-2", "surface"),
            ("text-3", "surface"),
            ("accent", "surface"),
            ("success", "surface"),
            ("warning", "surface"),
            ("danger", "surface"),
        ],
        7,
        "contrast",
    )
    _check(colours, [("edge", "surface"), ("line-2", "surface")], 4.5, "contrast")


def test_colours_of_tags_are_readable() -> None:
    for name, soft_light, soft_dark, text_light, text_dark in re.findall(
        r'\[data-color="(\w+)"\] \{[^}]*--paint-soft: light-dark\((#\w+), (#\w+)\); '
        r"--paint-text: light-dark\((#\w+), (#\w+)\)",
        TOKENS,
    ):
        assert _contrast(text_light, soft_light) >= 4.5, name
        assert _contrast(text_dark, soft_dark) >= 4.5, name
