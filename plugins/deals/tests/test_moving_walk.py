"""Moving in as people do it: in a browser without JavaScript, and from a console."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from webtest import Upload

from crm_core.models import ImportRun
from crm_core.records.importing import engine
from crm_core.records.importing.readers import open_table

DATA = Path(__file__).parent / "data"


def upload(browser: Any, name: str) -> Any:
    form = browser.get("/imports/new?entity=deals.deal").forms["form"]
    form["entity"] = "deals.deal"
    form["file"] = Upload(name, (DATA / name).read_bytes())
    answer = form.submit()
    # WebOb leaves the temporary file of a large body to the collector, and pytest counts that as an error.
    answer.request.environ["wsgi.input"].close()
    return answer.follow()


def form_to(page: Any, ending: str) -> Any:
    return next(form for form in page.forms.values() if form.action.endswith(ending))


def test_an_export_of_amocrm_goes_in_after_its_words_are_given_a_meaning(
    testapp: Any, login_as: Any, jobs: Any, db: Any, deals: Any
) -> None:
    login_as("administrator", locale="en")
    name = "amocrm_cp1251.csv"
    total = open_table(DATA / name).count()

    columns = upload(testapp, name)
    assert "an export of amoCRM" in columns
    words = form_to(columns, "/columns").submit().follow()
    assert words.request.path.endswith("/words")
    assert "Принимают решение" in words
    form = form_to(words, "/words")
    stage = deals.stages()["Согласование"]
    chosen = [key for key in form.fields if key and key.startswith("word-stage_id-")]
    assert len(chosen) == 2
    for key in chosen:
        form[key] = str(stage.id)
    (pipeline,) = [key for key in form.fields if key and key.startswith("word-pipeline_id-")]
    form[pipeline] = str(stage.pipeline_id)
    check = form.submit().follow()
    assert check.request.path.endswith("/check")
    form_to(check, "/start").submit()
    jobs.run_all()

    run = db.scalars(sa.select(ImportRun)).one()
    assert run.state == "done"
    assert run.counts["rows"] == total
    assert sum(run.counts[outcome] for outcome in engine.OUTCOMES) == total
    assert run.counts["created"] == 48
    assert db.scalar(sa.text("SELECT count(*) FROM deals_deal d JOIN deals_stage s ON s.id = d.stage_id "
                             "WHERE s.name = 'Согласование'")) == 18  # fmt: skip
    assert db.scalar(sa.text("SELECT count(*) FROM clients_interaction WHERE subject_entity = 'deals.deal'")) > 20

    # The next file of the same shape needs no question.
    again = form_to(upload(testapp, name), "/columns").submit().follow()
    again = form_to(again, "/words")
    assert all(again[key].value == str(stage.id) for key in chosen)


def test_a_file_whose_words_are_known_goes_straight_to_the_check(
    testapp: Any, login_as: Any, tmp_path: Path
) -> None:
    login_as("administrator", locale="en")
    form = testapp.get("/imports/new?entity=deals.deal").forms["form"]
    form["entity"] = "deals.deal"
    form["file"] = Upload("deals.csv", "Сделка;Этап\nПервая;Новая\n".encode())
    page = form_to(form.submit().follow(), "/columns").submit().follow()

    assert page.request.path.endswith("/check")


def test_a_console_takes_an_export_of_bitrix24_in(committed_db: Any, plugins: Any, tmp_path: Path) -> None:
    from crm_core.cli.importing import import_file
    from crm_core.files import Store
    from crm_core.people import sync_rights

    factory = committed_db.factory
    with factory() as session, session.begin():
        sync_rights(session, plugins)
    path = tmp_path / "deals.csv"
    path.write_bytes((DATA / "bitrix24_utf8_bom.csv").read_bytes())

    outcome = import_file(factory, plugins, Store(tmp_path / "files"), path, "deals.deal")

    told = outcome.as_json()
    assert told["rows"] == open_table(path).count()
    assert told["created"] + told["updated"] + told["unchanged"] + told["rejected"] == told["rows"]
    assert told["created"] > 20
    assert any(one["field"] == "stage_id" and one["rejects"] for one in told["reasons"])
    assert Path(told["rejected_file"]).is_file()
    assert json.dumps(told, ensure_ascii=False)
