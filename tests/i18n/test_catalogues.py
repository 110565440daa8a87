"""What the catalogue tools find in code and templates, and what the check says about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crm_core import catalogues
from crm_core.catalogues import Found, extract_python, extract_template
from crm_core.i18n import localizer_for, make_localizer, plural


def texts(found: Found) -> set[tuple[str | None, str]]:
    return {(text.domain, text.msgid) for text in found.used}


def test_texts_of_python_carry_the_domain_of_their_factory() -> None:
    found = Found()

    extract_python(
        'from crm_core.i18n import _ as core, TranslationStringFactory\n_ = TranslationStringFactory("crm_deals")\n'
        'a = _("Deal " "won")\nb = core("Save")\nc = plural(req, "${n} deal", "${n} deals", 5, domain="crm_deals")\n'
        'd = _(f"bad {a}")\n',
        "crm_deals",
        "x.py",
        found,
    )

    assert texts(found) == {("crm_deals", "Deal won"), ("crm_core", "Save"), ("crm_deals", "${n} deal")}
    assert found.problems == ["x.py:6: the text of _() is put together; use ${name} and mapping"]


def test_texts_of_a_template_are_those_chameleon_will_ask_for() -> None:
    found = Found()

    extract_template(
        """<div i18n:domain="crm_deals" title="Hint" i18n:attributes="title">
        <p i18n:translate="">Won  by
           <b i18n:name="who" tal:content="who"/> today</p>
        <i i18n:translate="" tal:content="label">Sample</i> <u i18n:translate="">${label}</u>
        <s i18n:domain="crm_core" i18n:translate="">Save &amp; close<br/></s>
        <em tal:content="plural('${n} deal', '${n} deals', n, domain='crm_deals')"></em>
        </div>""",
        "crm_deals",
        "x.pt",
        found,
    )

    assert found.problems == []
    assert texts(found) == {
        ("crm_deals", "Hint"),
        ("crm_deals", "Won by ${who} today"),
        ("crm_core", "Save &amp; close<br/>"),
        ("crm_deals", "${n} deal"),
    }


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ('<p i18n:domain="d" i18n:translate="">Hello ${name}</p>', "give it i18n:name"),
        ('<p i18n:domain="d" i18n:translate="">Hello <b tal:content="x"/></p>', "give it i18n:name"),
        ('<p i18n:translate="">Hello</p>', "no i18n:domain"),
        ('<p i18n:domain="d" i18n:attributes="title">Hello</p>', "does not have"),
    ],
)
def test_a_template_that_can_never_be_translated_is_a_problem(source: str, problem: str) -> None:
    found = Found()

    extract_template(source, "crm_deals", "x.pt", found)

    assert len(found.problems) == 1
    assert problem in found.problems[0]


def test_the_check_wants_every_text_in_both_languages_with_all_forms(package: Path, capsys) -> None:
    assert catalogues.check([str(package)]) == 1
    assert "missing" in capsys.readouterr().err

    source = package.parent / "ru.json"
    forms = {"msgid": "${n} deal", "plural": "${n} deals", "ru": ["${n} сделка", "${n} сделки", "${n} сделок"]}
    source.write_text(json.dumps({"Save": "Сохранить", "Gone": "Нет", "__plurals__": [forms]}), "utf-8")
    catalogues.translate(str(package), source)

    assert catalogues.check([str(package)]) == 0
    assert "dead: 'Gone'" in capsys.readouterr().out
    assert catalogues.check([str(package)], strict=True) == 1


def test_plural_forms_are_right_and_numbers_are_grouped(package: Path) -> None:
    source = package.parent / "ru.json"
    forms = {"msgid": "${n} deal", "plural": "${n} deals", "ru": ["${n} сделка", "${n} сделки", "${n} сделок"]}
    source.write_text(json.dumps({"__plurals__": [forms]}), "utf-8")
    catalogues.translate(str(package), source)
    catalogues.compile_stale(package / "locale")
    russian = make_localizer("ru", [str(package / "locale")])
    english = make_localizer("en", [str(package / "locale")])

    said = [plural(russian, "${n} deal", "${n} deals", n, domain="crm_sample") for n in (1, 2, 5, 1021)]

    assert said == ["1 сделка", "2 сделки", "5 сделок", "1\xa0021 сделка"]
    assert plural(english, "${n} deal", "${n} deals", 2, domain="crm_sample") == "2 deals"


def test_a_second_translation_replaces_the_first_and_leaves_the_file_else_unchanged(package: Path) -> None:
    source = package.parent / "ru.json"
    path = catalogues.catalogue_path(package, "ru")
    source.write_text(json.dumps({"Save": "Сохранить"}), "utf-8")
    catalogues.translate(str(package), source)
    first = path.read_text("utf-8")

    source.write_text(json.dumps({"Save": "Записать"}), "utf-8")
    catalogues.translate(str(package), source)

    assert path.read_text("utf-8") == first.replace("Сохранить", "Записать")


def test_the_core_speaks_russian() -> None:
    catalogues.compile_all(["crm_core"])

    assert localizer_for("ru").translate("yesterday", domain="crm_core") == "вчера"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "crm_sample"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        'from crm_core.i18n import TranslationStringFactory, plural\n_ = TranslationStringFactory("crm_sample")\n'
        'SAVE = _("Save")\n'
        'def count(r, n):\n    return plural(r, "${n} deal", "${n} deals", n, domain="crm_sample")\n',
        "utf-8",
    )
    return folder
