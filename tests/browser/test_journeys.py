"""What people do most, done in the browser: a call recorded, a field changed and put back, a file imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[1] / "data"


def test_a_call_is_recorded_from_the_card(visit: Any, site: Any) -> None:
    visitor = visit("admin")
    visitor.go(f"/clients/people/{site.id_of('clients_person')}")
    page = visitor.page

    page.click(".crm-composer-prompt")
    page.wait_for_selector(".crm-composer-body textarea")
    problems = visitor.problems()
    page.fill(".crm-composer-body textarea", "Просил перезвонить после обеда")
    page.click('.crm-composer-body button[type="submit"]')
    visitor.until("document.getElementById('timeline').innerText.includes('Просил перезвонить после обеда')")

    assert not problems
    assert not visitor.problems()


def test_a_field_is_changed_in_its_place_and_put_back(visit: Any, site: Any) -> None:
    visitor = visit("admin")
    visitor.go(f"/clients/people/{site.id_of('clients_person')}")
    page = visitor.page
    place = '[data-field="city"]'
    before = page.inner_text(place)

    page.click(f"{place} .crm-edit")
    page.wait_for_selector(f"{place} form input[type=text], {place} form input:not([type=hidden])")
    problems = visitor.problems()
    page.fill(f"{place} form input:not([type=hidden])", "Новый Город")
    page.keyboard.press("Enter")
    visitor.until(f"document.querySelector('{place}').innerText.includes('Новый Город')")
    page.wait_for_selector("#toasts [data-undo]")
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    visitor.until(f"!document.querySelector('{place}').innerText.includes('Новый Город')")

    assert page.inner_text(place) == before
    assert not problems
    assert not visitor.problems()


# WebOb leaves the temporary file of an upload to the collector of garbage.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_file_is_imported_step_by_step(visit: Any, site: Any) -> None:
    visitor = visit("admin")
    visitor.go("/imports/new")
    page = visitor.page
    problems: dict[str, list[str]] = {}

    page.set_input_files('main input[type="file"]', DATA / "clients_utf8_bom.csv")
    for _step in range(6):
        path = page.url.removeprefix(site.url)
        if found := visitor.problems():
            problems[path] = found
        button = page.locator('main form button.btn-primary[type="submit"]')
        if button.count() == 0:
            break
        button.first.click()
        visitor.settle()
    runner = site.database.runner()
    runner.start()
    runner.run_due()
    runner.close()
    page.reload()
    visitor.settle()

    assert not problems
    assert not visitor.problems()
    assert "/imports/" in page.url
    with site.database.session() as session:
        from crm_core.models import ImportRun

        run = session.query(ImportRun).order_by(ImportRun.id.desc()).first()
        assert run.state == "done"
        counts = run.counts
    assert (
        sum(counts.get(name, 0) for name in ("created", "updated", "unchanged", "rejected", "skipped"))
        == counts["rows"]
    )
