"""Themes lie over the packages file by file, and the address of a file follows the file that is really served."""

from __future__ import annotations

import re
from typing import Any

import pytest

from crm_core import themes


def test_a_theme_replaces_a_template_and_leaves_the_rest(client: Any) -> None:
    plain = client("default")
    strong = client("contrast")

    assert "crm-skip" not in plain.get("/plain").text
    assert "crm-skip" in strong.get("/plain").text
    assert 'class="crm-side"' in strong.get("/list").text


def test_a_theme_adds_its_style_after_that_of_its_base(client: Any) -> None:
    text = client("contrast").get("/list").text

    assert text.index("crm.css") < text.index("theme.css") < text.index("contrast.css")


def test_a_replaced_static_file_is_served_under_its_own_hash(client: Any) -> None:
    plain = client("default")
    strong = client("contrast")

    def icon(app: Any) -> str:
        return re.search(r'href="(/static/core/icon\.svg\?v=\w+)"', app.get("/list").text).group(1)

    assert icon(plain) != icon(strong)
    assert "#4453c9" in plain.get(icon(plain)).text
    assert "#000000" in strong.get(icon(strong)).text


def test_a_file_may_be_kept_for_a_year(client: Any) -> None:
    app = client()

    response = app.get("/static/core/icon.svg")

    assert "max-age=31536000" in response.headers["Cache-Control"]


def test_an_unknown_theme_is_refused_with_the_remedy() -> None:
    with pytest.raises(themes.ThemeError, match=r"crm\.theme = seaside: no theme of this name is installed.*default"):
        themes.load_chain("seaside")
