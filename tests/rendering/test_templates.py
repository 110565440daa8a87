"""The macros draw every kind of field, cell and page, in both languages and both themes, within the content policy."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from crm_core import assets
from crm_core.views import shapes

TEMPLATES = Path(shapes.__file__).parent.parent / "templates"


def test_every_sample_page_is_drawn(pages: Any) -> None:
    for path in pages.paths:
        response = pages.get(path)

        assert response.status_int == 200, path


def test_every_page_speaks_the_language_asked_for(pages: Any) -> None:
    russian = pages.get("/list?lang=ru")
    english = pages.get("/list?lang=en")

    assert "Столбцы" in russian.text
    assert "Columns" not in russian.text
    assert "Columns" in english.text
    assert "Столбцы" not in english.text


@pytest.mark.parametrize("kind", [kind for kind in shapes.FIELD_KINDS if kind != "static"])
def test_every_kind_of_field_has_a_control_of_its_name(pages: Any, kind: str) -> None:
    text = pages.get("/fields").text

    assert f'name="a_{kind}"' in text or f'name="a_{kind}-0-value"' in text


def test_repeated_rows_are_posted_with_their_flags_and_an_end(pages: Any) -> None:
    text = pages.get("/fields").text

    for name in ("a_phones-end", "a_phones-0-value", "a_phones-0-type", "a_phones-0-main", "a_phones-1-off"):
        assert f'name="{name}"' in text


def test_a_page_asked_for_as_a_part_has_no_shell_around_it(pages: Any) -> None:
    whole = pages.get("/form").text
    part = pages.get("/form", headers={"HX-Request-Type": "partial"}).text

    assert 'class="crm-side"' in whole
    assert 'class="crm-side"' not in part
    assert '<form class="crm-form' in part
    assert "<title>Новый контакт</title>" in part


class _Policy(HTMLParser):
    """Collects what a strict content policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if "style" in given or any(name.startswith(("on", "hx-on")) for name in given):
            self.refused.append(self.get_starttag_text() or tag)
        if tag == "script" and "nonce" not in given:
            self.refused.append(self.get_starttag_text() or tag)
        if any("js:" in (value or "") for name, value in attrs if name.startswith("hx-")):
            self.refused.append(self.get_starttag_text() or tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))


def test_no_page_has_what_the_content_policy_refuses(pages: Any) -> None:
    for path in pages.paths:
        parser = _Policy()
        parser.feed(pages.get(path).text)

        assert not parser.refused, (path, parser.refused)


def test_no_page_has_the_same_id_twice(pages: Any) -> None:
    for path in pages.paths:
        parser = _Policy()
        parser.feed(pages.get(path).text)

        twice = {each for each in parser.ids if parser.ids.count(each) > 1}
        # A <template> of repeated rows repeats ids on purpose; the script renames them.
        assert not {each for each in twice if not each.startswith("f-a_")} - {"f-phones"}, path


def test_templates_hold_no_style_attributes_and_no_inline_handlers() -> None:
    for path in TEMPLATES.rglob("*.pt"):
        text = path.read_text()

        assert not re.search(r"\sstyle=|\son[a-z]+=\"|hx-on", text), path


def test_every_macro_tells_its_arguments() -> None:
    internal = {"number", "options", "entries", "entry", "drop", "skeleton"}
    for path in (TEMPLATES / "macros").glob("*.pt"):
        if path.name == "shell.pt":
            continue
        text = path.read_text()
        for name in re.findall(r'define-macro="(\w+)"', text):
            assert name in internal or re.search(rf"<!--! {name}: ", text), f"{path.name}: {name}"


def test_icons_that_templates_and_specs_name_are_in_the_sprite() -> None:
    sprite = json.loads((assets.DIST / "icons.json").read_text())

    assert set(assets.used_icons()) <= set(sprite)
