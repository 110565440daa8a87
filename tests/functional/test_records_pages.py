"""Lists, cards and forms of records, walked like a person does."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from crm_core.clock import now
from crm_core.db import UNGATED
from crm_core.models import JobRow
from crm_core.models.log import Operation
from crm_core.models.records import Favourite, Grant, Merged, SavedView, Tag
from crm_core.records import operations, saving
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject

PEOPLE = "/clients/people"
PART = {"HX-Request": "true", "HX-Request-Type": "partial"}
OPEN = {UNGATED: "a test"}


# -- lists -------------------------------------------------------------------------------------------------------------


def test_a_list_shows_what_one_may_see_and_opens_a_card(testapp: Any, me: Any, person_of: Any) -> None:
    person_of(me, last_name="Petrova", first_name="Anna", phones=["+7 846 200-01-00"])

    page = testapp.get(PEOPLE)
    card = page.click("Petrova Anna")

    assert "+7 846 200-01-00" in page.text
    assert "Petrova Anna" in card.html.find("h1").text


def test_records_of_another_department_are_neither_listed_nor_opened(
    testapp: Any, me: Any, person_of: Any, factories: Any
) -> None:
    other = factories.user("manager", team_id=factories.team().id)
    foreign = person_of(other, last_name="Hidden")
    mine = person_of(me, last_name="Mine")

    assert "Hidden" not in testapp.get(PEOPLE).text
    for path in ("", "/edit", "/timeline", "/history", "/access", "/as-of", "/fields/city", "/panels/files", "/share"):
        testapp.get(f"{PEOPLE}/{foreign.id}{path}", status=404)
    for path in ("/delete", "/favourite", "/restore", "/unshare/1"):
        testapp.post(f"{PEOPLE}/{foreign.id}{path}", {"csrf_token": token(testapp)}, status=404)
    testapp.get(f"{PEOPLE}/{mine.id}")
    testapp.get(f"{PEOPLE}/999999999", status=404)


def test_the_form_of_a_filter_becomes_an_address_that_can_be_sent(testapp: Any, me: Any, person_of: Any) -> None:
    person_of(me, last_name="Kazan", city="Kazan")
    person_of(me, last_name="Samara", city="Samara")

    form = testapp.get(f"{PEOPLE}/filter/city", headers=PART).forms[0]
    form["city"] = "kaz"
    page = form.submit().follow()

    assert page.request.query_string == "f=city%3Ahas%3Akaz"
    assert rows_of(page) == ["Kazan"]
    assert "contains “kaz”" in page.text
    taken_off = page.html.find("a", attrs={"aria-label": "Remove the filter: City"})["href"]
    assert rows_of(testapp.get(taken_off)) == ["Kazan", "Samara"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("f=owner_id:any:me", ["Adams", "Baker"]),
        ("f=owner_id:none:me", []),
        ("f=budget:between:100,200", ["Adams"]),
        ("f=birthday:between:1990-01-01,1990-12-31", ["Baker"]),
        ("f=birthday:empty", ["Adams"]),
        ("f=status:any:active,paused", ["Baker"]),
        ("f=no_contact:is:30", ["Adams", "Baker"]),
        ("f=has_phone:is:1", ["Adams"]),
        ("q=bak", ["Baker"]),
        ("q=%2B7+846", ["Adams"]),
        ("sort=-last_name", ["Baker", "Adams"]),
        ("sort=budget", ["Adams", "Baker"]),
        # What a plain form says means the same as an address.
        ("status=active&status-op=any", ["Baker"]),
        ("birthday-from=1990-01-01&birthday-to=1990-12-31", ["Baker"]),
    ],
)
def test_lists_answer_what_is_asked(testapp: Any, me: Any, person_of: Any, asked: str, found: list[str]) -> None:
    person_of(me, last_name="Adams", budget="150", phones=["+78462000100"])
    person_of(me, last_name="Baker", birthday="1990-05-05", status="active")

    page = testapp.get(f"{PEOPLE}?{asked}")
    page = page.follow() if page.status_int == 303 else page

    assert rows_of(page) == found


def test_every_filter_that_is_offered_has_its_form(testapp: Any, me: Any) -> None:
    page = testapp.get(f"{PEOPLE}/filters")
    offered = [link["href"] for link in page.html.select("main a.crm-item")]

    assert len(offered) > 20
    for href in offered:
        assert testapp.get(href, headers=PART).forms[0].action == PEOPLE


def test_an_address_that_cannot_be_understood_says_so_and_shows_the_list(testapp: Any, me: Any, person_of: Any) -> None:
    person_of(me, last_name="Adams")

    for asked in ("f=nonsense", "f=unknown:is:1", "sort=comment", "f=budget:between:x", "after=%21%21"):
        page = testapp.get(f"{PEOPLE}?{asked}", status=400)

        assert "cannot be understood" in page.text
        assert rows_of(page) == ["Adams"]


def test_pages_go_on_and_back(testapp: Any, me: Any, person_of: Any) -> None:
    names = [f"Name{number:02}" for number in range(7)]
    for name in names:
        person_of(me, last_name=name)

    first = testapp.get(f"{PEOPLE}?limit=3")
    second = testapp.get(link_of(first, "next") + "&limit=3")
    back = testapp.get(link_of(second, "prev") + "&limit=3")

    assert rows_of(first) == names[:3]
    assert rows_of(second) == names[3:6]
    assert rows_of(back) == names[:3]
    assert testapp.get(f"{PEOPLE}/count").text == "7"


def test_columns_are_kept_for_the_person_and_the_address_wins(testapp: Any, me: Any, person_of: Any) -> None:
    person_of(me, last_name="Adams", city="Kazan")

    page = testapp.post(f"{PEOPLE}/columns", {"csrf_token": token(testapp), "column": ["city", "no_such", "owner_id"]})

    assert headings_of(page.follow()) == ["Full name", "City", "Responsible"]
    assert headings_of(testapp.get(f"{PEOPLE}?cols=status")) == ["Full name", "Status"]


def test_a_view_is_saved_changed_shared_and_deleted(
    testapp: Any, db: Any, login_as: Any, person_of: Any, factories: Any
) -> None:
    team = factories.team()
    head = login_as("head", team_id=team.id)
    person_of(head, last_name="Adams", city="Kazan")
    person_of(head, last_name="Baker")

    form = testapp.get(f"{PEOPLE}/views/new?f=city:has:kaz").forms["saved-view"]
    form["name"] = "From Kazan"
    form["shared"] = "team"
    page = form.submit().follow()
    view = db.scalars(sa.select(SavedView)).one()

    assert rows_of(page) == ["Adams"]
    assert "From Kazan" in page.html.find("h1").parent.text
    assert (view.query, view.shared, view.pinned) == ({"f": ["city:has:kaz"]}, "team", True)

    login_as(factories.user("manager", team_id=team.id))
    assert "From Kazan" in testapp.get(PEOPLE).text
    testapp.get(f"{PEOPLE}/views/{view.id}", status=404)
    testapp.post(f"{PEOPLE}/views/{view.id}/delete", {"csrf_token": token(testapp)}, status=404)

    login_as(factories.user("manager", team_id=factories.team().id))
    assert "From Kazan" not in testapp.get(PEOPLE).text

    login_as(head)
    form = testapp.get(f"{PEOPLE}/views/{view.id}").forms["saved-view"]
    form["name"] = "Kazan"
    form.submit().follow()
    assert "Kazan" in testapp.get(PEOPLE).text
    testapp.post(f"{PEOPLE}/views/{view.id}/delete", {"csrf_token": token(testapp)})
    assert db.scalars(sa.select(SavedView)).all() == []


def test_a_manager_shares_no_views(testapp: Any, db: Any, me: Any) -> None:
    answer = testapp.post(
        f"{PEOPLE}/views/new", {"csrf_token": token(testapp), "name": "All", "shared": "all", "query": ""}, status=422
    )

    assert "may not share" in answer.text
    assert db.scalars(sa.select(SavedView)).all() == []


def test_an_empty_list_says_what_it_is_for_with_one_button_and_the_import(testapp: Any, me: Any) -> None:
    empty = testapp.get(PEOPLE).html.select_one(".crm-empty")

    assert "People you talk to" in empty.text
    assert [link["href"] for link in empty.select("a")] == ["/clients/people/new", "/imports/new?entity=clients.person"]


# -- many at once ------------------------------------------------------------------------------------------------------


def test_records_are_assigned_tagged_and_trashed_together_and_taken_back(
    testapp: Any, db: Any, me: Any, person_of: Any, factories: Any
) -> None:
    ids = [str(person_of(me, last_name=name).id) for name in ("Adams", "Baker")]
    other = factories.user("manager", team_id=factories.team().id, name="Other")

    assert "Records: 2" in testapp.get(f"{PEOPLE}/bulk/tag?" + "&".join(f"ids={one}" for one in ids)).text
    testapp.post(f"{PEOPLE}/bulk/tag", {"csrf_token": token(testapp), "ids": ids, "add": ["Key client"]}).follow()
    tag = db.scalar(sa.select(Tag.id).where(Tag.name == "Key client"))
    assert rows_of(testapp.get(f"{PEOPLE}?f=tags:any:{tag}")) == ["Adams", "Baker"]

    testapp.post(f"{PEOPLE}/bulk/trash", {"csrf_token": token(testapp), "ids": ids})
    assert rows_of(testapp.get(PEOPLE)) == []
    assert rows_of(testapp.get(f"{PEOPLE}?trash=1")) == ["Adams", "Baker"]
    testapp.post(f"{PEOPLE}/bulk/restore", {"csrf_token": token(testapp), "ids": ids})
    assert rows_of(testapp.get(PEOPLE)) == ["Adams", "Baker"]

    answer = testapp.post(
        f"{PEOPLE}/bulk/assign", {"csrf_token": token(testapp), "ids": ids, "owner_id": other.id}, headers=PART
    )
    assert answer.status_int == 204
    assert rows_of(testapp.get(PEOPLE)) == []
    operation = db.scalar(sa.select(sa.func.max(Operation.id)))
    testapp.post(f"/operations/{operation}/undo", {"csrf_token": token(testapp)})
    assert rows_of(testapp.get(PEOPLE)) == ["Adams", "Baker"]


def test_bulk_work_leaves_alone_what_one_may_not_change(
    testapp: Any, db: Any, login_as: Any, person_of: Any, factories: Any
) -> None:
    team = factories.team()
    me = login_as("manager", team_id=team.id)
    colleague = factories.user("manager", team_id=team.id)
    mine, theirs = person_of(me, last_name="Mine"), person_of(colleague, last_name="Theirs")

    testapp.post(f"{PEOPLE}/bulk/trash", {"csrf_token": token(testapp), "ids": [mine.id, theirs.id]})

    assert rows_of(testapp.get(PEOPLE)) == ["Theirs"]


def test_everything_a_list_finds_is_changed_by_a_job_when_it_is_much(
    testapp: Any, db: Any, me: Any, person_of: Any, jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crm_core.views.records import bulk

    monkeypatch.setattr(bulk, "AT_ONCE", 1)
    for name in ("Adams", "Baker", "Clark"):
        person_of(me, last_name=name, city="Kazan" if name != "Clark" else "Samara")

    testapp.post(f"{PEOPLE}/bulk/trash", {"csrf_token": token(testapp), "everything": "1", "f": "city:has:kaz"})
    jobs.run_all()

    assert rows_of(testapp.get(PEOPLE)) == ["Clark"]


@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_chosen_records_are_exported_at_once(testapp: Any, db: Any, me: Any, person_of: Any, format: str) -> None:
    person = person_of(me, last_name="=cmd|calc", city="Kazan")

    answer = testapp.post(
        f"{PEOPLE}/bulk/export",
        {"csrf_token": token(testapp), "ids": [person.id], "format": format, "columns": "all"},
        headers=PART,
    )
    job = db.scalars(sa.select(JobRow).where(JobRow.name == "core.export")).one()
    file = testapp.get(f"/exports/{job.id}")

    assert answer.status_int == 204
    assert file.headers["Content-Disposition"].startswith("attachment")
    if format == "csv":
        assert "'=cmd|calc" in file.body.decode("utf-8-sig")
    assert db.scalar(sa.select(sa.func.count()).where(Operation.kind == "export")) == 1


def test_much_is_exported_by_a_job(
    testapp: Any, db: Any, me: Any, person_of: Any, jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crm_core.views.records import bulk

    monkeypatch.setattr(bulk, "EXPORT_AT_ONCE", 1)
    for name in ("Adams", "Baker"):
        person_of(me, last_name=name)

    testapp.post(f"{PEOPLE}/bulk/export", {"csrf_token": token(testapp), "everything": "1", "format": "csv"})
    jobs.run_all()
    job = db.scalars(sa.select(JobRow).where(JobRow.name == "core.export")).one()

    assert job.result["rows"] == 2
    assert "Baker" in testapp.get(f"/exports/{job.id}").body.decode("utf-8-sig")


def test_a_role_without_the_right_does_no_bulk_work(testapp: Any, login_as: Any) -> None:
    login_as("marketer")

    for action in ("assign", "tag", "trash", "export", "restore"):
        testapp.get(f"{PEOPLE}/bulk/{action}?ids=1", status=403)
        testapp.post(f"{PEOPLE}/bulk/{action}", {"csrf_token": token(testapp), "ids": "1"}, status=403)
    testapp.get(f"{PEOPLE}/bulk/unknown", status=404)
    testapp.get(f"{PEOPLE}?trash=1", status=403)
    testapp.get(f"{PEOPLE}/new", status=403)


# -- making and changing -----------------------------------------------------------------------------------------------


def test_a_person_is_made_by_the_short_form(testapp: Any, db: Any, me: Any) -> None:
    form = testapp.get(f"{PEOPLE}/new").forms["new-record"]
    form["last_name"] = "Adams"
    form["phones-0-value"] = "8 846 200-01-00"
    values = [*form.submit_fields(), ("tags", "New word")]
    card = testapp.post(f"{PEOPLE}/new", values).follow()

    assert card.html.find("h1").text == "Adams"
    assert "+7 846 200-01-00" in card.text
    assert "New word" in card.text
    record = people(db)[0]
    assert (record.owner_id, record.status) == (me.id, "new")


def test_what_was_typed_comes_back_with_the_remedy_beside_it(testapp: Any, db: Any, me: Any) -> None:
    form = testapp.get(f"{PEOPLE}/new").forms["new-record"]
    form["last_name"] = "Adams"
    form["phones-0-value"] = "12"
    answer = testapp.post(f"{PEOPLE}/new", [*form.submit_fields(), ("tags", "Half-typed")], status=422)
    again = answer.forms["new-record"]

    assert again["last_name"].value == "Adams"
    assert again["phones-0-value"].value == "12"
    assert "Half-typed" in answer.text
    assert "too few digits" in answer.text
    assert people(db) == []


def test_a_form_sent_twice_makes_one_record(testapp: Any, db: Any, me: Any) -> None:
    form = testapp.get(f"{PEOPLE}/new").forms["new-record"]
    form["last_name"] = "Adams"

    first, second = form.submit(), form.submit()

    assert first.location == second.location
    assert len(people(db)) == 1


def test_the_address_fills_the_form(testapp: Any, me: Any, company_of: Any) -> None:
    company = company_of(me, name="Romashka")

    form = testapp.get(f"{PEOPLE}/new?company_id={company.id}&last_name=Adams").forms["new-record"]

    assert (form["company_id"].value, form["last_name"].value) == (str(company.id), "Adams")


def test_fields_that_are_not_on_any_form_are_never_taken(testapp: Any, db: Any, me: Any, person_of: Any) -> None:
    person = person_of(me, last_name="Adams")
    before = dict(
        db.execute(sa.text("SELECT * FROM clients_person WHERE id = :id"), {"id": person.id}).mappings().one()
    )
    forbidden = (
        "id",
        "full_name",
        "name_sort",
        "team_id",
        "created_by",
        "deleted_at",
        "version",
        "extra",
        "last_contact_at",
    )

    for name in forbidden:
        testapp.post(f"{PEOPLE}/{person.id}/fields/{name}", {"csrf_token": token(testapp), name: "1"}, status=404)
        testapp.post(f"{PEOPLE}/{person.id}/edit", {"csrf_token": token(testapp), name: "1", "version": person.version})
    after = db.execute(sa.text("SELECT * FROM clients_person WHERE id = :id"), {"id": person.id}).mappings().one()

    assert dict(after) == before
    testapp.post(f"{PEOPLE}/new", {"csrf_token": token(testapp), "last_name": "New", "created_by": "1", "team_id": "1"})
    made = next(one for one in people(db) if one.last_name == "New")
    assert (made.created_by, made.team_id) == (me.id, me.team_id)


def test_one_may_not_link_to_what_one_does_not_see(
    testapp: Any, db: Any, me: Any, person_of: Any, company_of: Any, factories: Any
) -> None:
    foreign = company_of(factories.user("manager", team_id=factories.team().id), name="Foreign")
    person = person_of(me, last_name="Adams")

    answer = testapp.post(
        f"{PEOPLE}/{person.id}/fields/company_id",
        {"csrf_token": token(testapp), "company_id": foreign.id, "version": person.version},
        headers=PART,
        status=422,
    )

    assert "may not see it" in answer.text
    assert "Foreign" not in answer.text


def test_a_linked_record_that_one_may_not_see_has_no_name(
    testapp: Any, db: Any, me: Any, person_of: Any, company_of: Any, factories: Any
) -> None:
    foreign = company_of(factories.user("manager", team_id=factories.team().id), name="Foreign")
    person = person_of(me, last_name="Adams", company_id=foreign.id)

    for path in (PEOPLE, f"{PEOPLE}/{person.id}", f"{PEOPLE}/{person.id}/history", f"{PEOPLE}/{person.id}/edit"):
        page = testapp.get(path)
        assert "No access" in page.text
        assert "Foreign" not in page.text


def test_a_field_is_edited_in_its_place_and_taken_back(testapp: Any, db: Any, me: Any, person_of: Any) -> None:
    person = person_of(me, last_name="Adams", city="Samara")

    form = testapp.get(f"{PEOPLE}/{person.id}/fields/city", headers=PART).forms[0]
    form["city"] = "Kazan"
    answer = form.submit(headers=PART)
    told = json.loads(answer.headers["HX-Trigger"])

    assert "Kazan" in answer.html.select_one("[data-field=city]").text
    assert people(db)[0].city == "Kazan"
    undone = testapp.post(told["crm:toast"]["undo_href"], {"csrf_token": token(testapp)}, headers=PART)
    assert "as it was" in json.loads(undone.headers["HX-Trigger"])["crm:toast"]["text"]
    assert people(db)[0].city == "Samara"


def test_the_second_saver_sees_both_versions_and_chooses(testapp: Any, db: Any, me: Any, person_of: Any) -> None:
    person = person_of(me, last_name="Adams", city="Samara", job_title="Buyer")
    mine = testapp.get(f"{PEOPLE}/{person.id}/edit").forms["edit-record"]
    theirs = testapp.get(f"{PEOPLE}/{person.id}/edit").forms["edit-record"]
    theirs["city"] = "Ufa"
    theirs["source"] = "site"
    theirs.submit().follow()

    mine["city"] = "Perm"
    mine["job_title"] = "Director"
    answer = mine.submit(status=409)

    assert "Ufa" in answer.text
    assert "Perm" in answer.text
    assert "Source" not in answer.text
    choice = next(form for form in answer.forms.values() if form.action.endswith("/resolve"))
    choice["keep-city"] = "theirs"
    choice.submit().follow()
    record = people(db)[0]
    assert (record.city, record.job_title, record.source) == ("Ufa", "Director", "site")


def test_changes_of_different_fields_do_not_get_in_one_anothers_way(
    testapp: Any, db: Any, me: Any, person_of: Any
) -> None:
    person = person_of(me, last_name="Adams", city="Samara", phones=["+78462000100"])
    mine = testapp.get(f"{PEOPLE}/{person.id}/edit").forms["edit-record"]
    theirs = testapp.get(f"{PEOPLE}/{person.id}/edit").forms["edit-record"]
    theirs["phones-0-value"] = "+7 846 200-02-00"
    theirs.submit().follow()

    mine["city"] = "Perm"
    mine.submit().follow()

    record = people(db)[0]
    assert (record.city, record.phones[0]["value"]) == ("Perm", "+78462000200")


def test_who_may_only_see_does_not_change(testapp: Any, db: Any, login_as: Any, person_of: Any, factories: Any) -> None:
    person = person_of(factories.user("manager"), last_name="Adams")
    login_as("marketer")

    page = testapp.get(f"{PEOPLE}/{person.id}")

    assert page.html.select("[data-edit]") == []
    for path in ("/edit", "/fields/city", "/share"):
        testapp.get(f"{PEOPLE}/{person.id}{path}", status=403)
    for path in ("/edit", "/delete", "/resolve", "/share"):
        testapp.post(f"{PEOPLE}/{person.id}{path}", {"csrf_token": token(testapp)}, status=403)


def test_probable_doubles_are_told_while_one_types(testapp: Any, me: Any, person_of: Any, factories: Any) -> None:
    person_of(me, last_name="Adams", first_name="John", phones=["+78462000100"])
    person_of(factories.user("manager", team_id=factories.team().id), last_name="Secret", emails=["x@example.com"])

    form = testapp.get(f"{PEOPLE}/new").html.select_one("#new-record")
    by_phone = testapp.get(f"{PEOPLE}/doubles?phones-0-value=88462000100")
    hidden = testapp.get(f"{PEOPLE}/doubles?emails-0-value=x@example.com")

    assert form.select_one("#f-phones")["data-check"] == f"{PEOPLE}/doubles"
    assert "Adams John" in by_phone.text
    assert "Secret" not in hidden.text
    assert "may not see" in hidden.text
    assert "crm-notice" not in testapp.get(f"{PEOPLE}/doubles?phones-0-value=+79990000000").text


def test_markup_in_values_is_only_text(testapp: Any, db: Any, me: Any, person_of: Any) -> None:
    nasty = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    person = person_of(me, last_name=nasty[:90], city=nasty, comment=nasty, job_title=nasty)
    tag = db.scalar(sa.insert(Tag).values(name=nasty[:60]).returning(Tag.id))
    saving.tag(
        Gate(db, Subject.system("a test"), testapp.app.registry["crm.plugins"]),
        testapp.app.registry["crm.plugins"].entity("clients.person"),
        [person.id],
        add=[tag],
    )
    db.commit()
    for path in (
        PEOPLE,
        f"{PEOPLE}?q=%3Cscript%3Ealert(1)",
        f"{PEOPLE}?f=city:has:%3Cscript%3E",
        f"{PEOPLE}?f=%3Cscript%3E:is:1",
        f"{PEOPLE}/{person.id}",
        f"{PEOPLE}/{person.id}/edit",
        f"{PEOPLE}/{person.id}/fields/city",
        f"{PEOPLE}/{person.id}/fields/tags",
        f"{PEOPLE}/{person.id}/history",
        f"{PEOPLE}/{person.id}/timeline",
        f"{PEOPLE}/{person.id}/as-of",
        f"{PEOPLE}/{person.id}/access",
        f"{PEOPLE}/new?last_name=%3Cscript%3Ealert(1)%3C/script%3E",
        f"{PEOPLE}/filter/city?at=0&f=city:has:%3Cscript%3E",
    ):
        text = testapp.get(path, expect_errors=True).text
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path


# -- the card ----------------------------------------------------------------------------------------------------------


def test_a_record_goes_to_the_trash_and_comes_back(testapp: Any, db: Any, me: Any, person_of: Any) -> None:
    person = person_of(me, last_name="Adams")

    testapp.post(f"{PEOPLE}/{person.id}/delete", {"csrf_token": token(testapp)})
    trashed = testapp.get(f"{PEOPLE}/{person.id}")

    assert rows_of(testapp.get(PEOPLE)) == []
    assert "in the trash" in trashed.text
    assert trashed.html.select("[data-edit]") == []
    testapp.get(f"{PEOPLE}/{person.id}/edit", status=403)
    testapp.post(f"{PEOPLE}/{person.id}/restore", {"csrf_token": token(testapp)})
    assert rows_of(testapp.get(PEOPLE)) == ["Adams"]


def test_a_record_is_shared_and_unshared(testapp: Any, db: Any, login_as: Any, person_of: Any, factories: Any) -> None:
    me = login_as("manager", team_id=factories.team().id)
    other = factories.user("manager", team_id=factories.team().id, name="Olga Other")
    person = person_of(me, last_name="Adams")

    form = testapp.get(f"{PEOPLE}/{person.id}/share").forms["share"]
    form["who"] = f"user:{other.id}"
    form.submit().follow()
    access = testapp.get(f"{PEOPLE}/{person.id}/access")

    assert "Olga Other" in access.text
    assert "the record was shared" in access.text
    assert "shared it with Olga Other" in testapp.get(f"{PEOPLE}/{person.id}/history").text
    login_as(other)
    assert rows_of(testapp.get(PEOPLE)) == ["Adams"]
    testapp.get(f"{PEOPLE}/{person.id}/edit", status=403)
    login_as(me)
    grant = db.scalar(sa.select(Grant.id))
    testapp.post(f"{PEOPLE}/{person.id}/unshare/{grant}", {"csrf_token": token(testapp)})
    login_as(other)
    testapp.get(f"{PEOPLE}/{person.id}", status=404)


def test_the_timeline_holds_what_was_said_files_and_changes(
    testapp: Any, db: Any, me: Any, person_of: Any, clock: Any
) -> None:
    person = person_of(me, last_name="Adams", city="Samara")
    clock.tick(minutes=1)
    testapp.post(
        "/clients/interactions/record/note",
        {"csrf_token": token(testapp), "subject": f"clients.person:{person.id}", "text": "Likes tea"},
    )
    clock.tick(minutes=1)
    testapp.post(
        f"/files/of/clients.person/{person.id}",
        {"csrf_token": token(testapp)},
        upload_files=[("file", "a.txt", b"text")],
    )
    clock.tick(minutes=1)
    testapp.post(f"{PEOPLE}/{person.id}/fields/city", {"csrf_token": token(testapp), "city": "Kazan"})

    events = [one.text for one in testapp.get(f"{PEOPLE}/{person.id}/timeline").html.select(".crm-event")]
    only_files = testapp.get(f"{PEOPLE}/{person.id}/timeline?kind=core.file").html.select(".crm-event")
    files = testapp.get(f"{PEOPLE}/{person.id}/panels/files", headers=PART)

    assert ["Kazan" in events[0], "a.txt" in events[1], "Likes tea" in events[2], "made this record" in events[3]] == [
        True
    ] * 4
    assert len(only_files) == 1
    assert "a.txt" in files.text


def test_the_timeline_goes_on_without_losing_or_repeating(
    testapp: Any, db: Any, me: Any, person_of: Any, clock: Any
) -> None:
    person = person_of(me, last_name="Adams")
    for number in range(70):
        clock.tick(minutes=1)
        if number % 2:
            testapp.post(f"{PEOPLE}/{person.id}/fields/city", {"csrf_token": token(testapp), "city": f"City{number}"})
        else:
            testapp.post(
                "/clients/interactions/record/note",
                {"csrf_token": token(testapp), "subject": f"clients.person:{person.id}", "text": f"Note{number}"},
            )

    seen: list[str] = []
    href = f"{PEOPLE}/{person.id}/timeline"
    while href:
        page = testapp.get(href, headers=PART)
        seen += [one["id"] for one in page.html.select(".crm-event")]
        more = page.html.find("a", attrs={"hx-target": "closest div"})
        href = more["href"] if more else ""

    assert len(seen) == len(set(seen))
    # Seventy things, and the making of the record.
    assert len(seen) == 71


def test_history_tells_who_changed_what_and_puts_it_back(testapp: Any, db: Any, me: Any, person_of: Any) -> None:
    person = person_of(me, last_name="Adams", status="new")
    testapp.post(f"{PEOPLE}/{person.id}/fields/status", {"csrf_token": token(testapp), "status": "active"})

    page = testapp.get(f"{PEOPLE}/{person.id}/history")
    change = page.html.select_one(".crm-event")

    assert me.name in change.text
    assert [one.text for one in change.select("del, ins")] == ["New", "In work"]
    undo = change.select_one("form[action$='/undo']")["action"]
    testapp.post(undo, {"csrf_token": token(testapp)}, headers={"Referer": f"http://localhost{PEOPLE}/{person.id}"})
    assert people(db)[0].status == "new"


def test_taking_back_the_making_of_a_record_leaves_its_page(testapp: Any, db: Any, me: Any) -> None:
    form = testapp.get(f"{PEOPLE}/new").forms["new-record"]
    form["last_name"] = "Adams"
    card = form.submit().follow()
    operation = db.scalar(sa.select(sa.func.max(Operation.id)).where(Operation.kind == "create"))

    answer = testapp.post(
        f"/operations/{operation}/undo", {"csrf_token": token(testapp)}, headers={**PART, "Referer": card.request.url}
    )

    assert answer.headers["HX-Redirect"] == PEOPLE
    assert people(db) == []


def test_what_others_did_is_not_taken_back_without_the_right(
    testapp: Any, db: Any, me: Any, person_of: Any, factories: Any
) -> None:
    person = person_of(factories.user("manager", team_id=factories.team().id), last_name="Adams")
    operation = db.scalar(sa.select(sa.func.max(Operation.id)))

    testapp.post(f"/operations/{operation}/undo", {"csrf_token": token(testapp)})
    testapp.post("/operations/999999999/undo", {"csrf_token": token(testapp)}, status=404)

    assert [one.id for one in people(db)] == [person.id]


def test_a_record_is_shown_as_it_stood_on_a_day(
    testapp: Any, login_as: Any, me: Any, person_of: Any, clock: Any
) -> None:
    person = person_of(me, last_name="Adams", city="Samara")
    made = now().date()
    clock.tick(days=3)
    login_as(me)
    testapp.post(f"{PEOPLE}/{person.id}/fields/city", {"csrf_token": token(testapp), "city": "Kazan"})

    then = testapp.get(f"{PEOPLE}/{person.id}/as-of?date={made + dt.timedelta(days=1)}")
    before = testapp.get(f"{PEOPLE}/{person.id}/as-of?date={made - dt.timedelta(days=2)}")

    changes = then.html.select_one(".crm-changes")
    assert [one.text for one in changes.select("del, ins")] == ["Samara", "Kazan"]
    assert "did not exist yet" in before.text


def test_a_favourite_is_put_into_the_menu_and_taken_out(testapp: Any, db: Any, me: Any, person_of: Any) -> None:
    person = person_of(me, last_name="Adams")

    testapp.post(f"{PEOPLE}/{person.id}/favourite", {"csrf_token": token(testapp)})
    assert db.scalars(sa.select(Favourite.title)).all() == ["Adams"]
    testapp.post(f"{PEOPLE}/{person.id}/favourite", {"csrf_token": token(testapp)})
    assert db.scalars(sa.select(Favourite)).all() == []


def test_next_and_previous_follow_the_list_the_card_was_opened_from(testapp: Any, me: Any, person_of: Any) -> None:
    ids = {
        name: person_of(me, last_name=name, city="Kazan" if name != "Baker" else "Ufa").id
        for name in ("Adams", "Baker", "Clark")
    }

    card = testapp.get(f"{PEOPLE}?f=city:has:kaz").click("Adams")
    following = testapp.get(card.html.find(attrs={"data-key": "j"})["href"])
    last = testapp.get(testapp.get(following.location).html.find(attrs={"data-key": "j"})["href"])

    assert following.location.startswith(f"http://localhost{PEOPLE}/{ids['Clark']}?")
    assert last.location == following.location
    assert "last one" in last.follow().text
    assert testapp.get(f"{PEOPLE}/{ids['Adams']}/next").location == f"http://localhost{PEOPLE}/{ids['Baker']}"
    assert testapp.get(f"{PEOPLE}/{ids['Baker']}/previous").location == f"http://localhost{PEOPLE}/{ids['Adams']}"


def test_a_fault_of_a_panel_is_told_in_its_place(
    testapp: Any, db: Any, me: Any, person_of: Any, plugins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = person_of(me, last_name="Adams")

    def broken(request: Any, _record: Any) -> Any:
        request.db.execute(sa.text("SELECT no_such_column"))

    panels = [replace(panel, load=broken) if panel.entity == "clients.person" else panel for panel in plugins.panels]
    monkeypatch.setattr(plugins, "panels", panels)
    panel = next(one for one in panels if one.entity == "clients.person")

    answer = testapp.get(f"{PEOPLE}/{person.id}/panels/{panel.id}", headers=PART)

    assert "could not be loaded" in answer.text
    testapp.get(f"{PEOPLE}/{person.id}")


def test_a_merged_record_leads_to_where_it_went(testapp: Any, db: Any, me: Any, person_of: Any) -> None:
    person = person_of(me, last_name="Adams")
    db.add(Merged(entity="clients.person", record_id=987654, into_id=person.id, operation_id=1))
    db.commit()

    answer = testapp.get(f"{PEOPLE}/987654")

    assert answer.location == f"http://localhost{PEOPLE}/{person.id}"


def test_pickers_offer_what_may_be_seen(testapp: Any, db: Any, me: Any, person_of: Any, factories: Any) -> None:
    person_of(me, last_name="Adams")
    person_of(factories.user("manager", team_id=factories.team().id), last_name="Adamson")
    db.add(Tag(name="Adored"))
    factories.user("manager", name="Ada Gone", status="disabled")

    assert [one["title"] for one in testapp.get(f"{PEOPLE}/options?q=adam").json["items"]] == ["Adams"]
    assert [one["title"] for one in testapp.get(f"{PEOPLE}/options").json["items"]] == ["Adams"]
    assert [one["title"] for one in testapp.get("/options/tags?q=ado").json["items"]] == ["Adored"]
    assert testapp.get("/options/people?q=ada").json["items"] == []
    assert testapp.get("/options/people?me=1").json["items"][0]["value"] == "me"
    testapp.get("/options/departments")


def test_new_tags_are_made_only_by_those_who_may(testapp: Any, db: Any, me: Any, person_of: Any, app: Any) -> None:
    from crm_core.models import SettingValue

    person = person_of(me, last_name="Adams")
    db.add(SettingValue(key="records.new_tags", value="settings"))
    db.commit()

    answer = testapp.post(
        f"{PEOPLE}/{person.id}/fields/tags",
        {"csrf_token": token(testapp), "tags": ["Mine"], "tags-end": "1"},
        headers=PART,
        status=422,
    )

    assert "only administrators" in answer.text
    assert db.scalars(sa.select(Tag)).all() == []


def test_what_hangs_on_a_record_is_changed_from_its_card(testapp: Any, db: Any, me: Any, person_of: Any) -> None:
    person = person_of(me, last_name="Adams")
    testapp.post(
        "/clients/interactions/record/note",
        {"csrf_token": token(testapp), "subject": f"clients.person:{person.id}", "text": "Likes tea"},
    )

    timeline = testapp.get(f"{PEOPLE}/{person.id}/timeline", headers=PART)
    form = testapp.get(timeline.html.find("a", href=re.compile("/edit"))["href"]).forms["edit-record"]
    form["text"] = "Likes coffee"
    card = form.submit()
    listed = testapp.get("/clients/interactions")

    assert card.location == f"http://localhost{PEOPLE}/{person.id}"
    assert "Likes coffee" in testapp.get(f"{PEOPLE}/{person.id}/timeline").text
    assert rows_of(listed) == ["Likes coffee"]
    assert "Adams" in listed.click("Likes coffee").text
    testapp.get("/clients/interactions/new", status=404)
    remove = testapp.get(f"{PEOPLE}/{person.id}/timeline").html.find(
        "form", action=re.compile("interactions/.*/delete")
    )
    testapp.post(remove["action"], {"csrf_token": token(testapp), "back": f"{PEOPLE}/{person.id}"})
    assert testapp.get(f"{PEOPLE}/{person.id}/timeline?kind=clients.interaction").html.select(".crm-event") == []


# -- speed and languages -----------------------------------------------------------------------------------------------


def test_a_page_takes_at_most_ten_statements(
    testapp: Any, db: Any, me: Any, person_of: Any, company_of: Any, query_counter: Any
) -> None:
    tag = db.scalar(sa.insert(Tag).values(name="Key").returning(Tag.id))
    for number in range(20):
        company = company_of(me, name=f"Firm {number}")
        person = person_of(me, last_name=f"Name{number}", company_id=company.id, tags=[tag])
    pages = (
        PEOPLE,
        f"{PEOPLE}?f=owner_id:any:me&f=tags:any:{tag}&sort=-created_at",
        f"{PEOPLE}?q=name",
        f"{PEOPLE}/{person.id}",
        f"{PEOPLE}/{person.id}/edit",
        f"{PEOPLE}/new",
    )
    for path in pages:
        testapp.get(path)

        with query_counter() as queries:
            testapp.get(path)

        assert queries.count <= 10, (path, queries.count, [one[:90] for one in queries.statements])


def test_every_page_speaks_both_languages(testapp: Any, db: Any, login_as: Any, person_of: Any) -> None:
    me = login_as("administrator", locale="ru")
    person = person_of(me, last_name="Иванов")
    for path in ("", "/edit", "/history", "/as-of", "/access", "/share", "/timeline"):
        page = testapp.get(f"{PEOPLE}/{person.id}{path}")
        assert page.html.html["lang"] == "ru"
    page = testapp.get(PEOPLE)

    assert "Добавить контакт" in page.text
    assert "Столбцы" in page.text
    assert "Показать" in testapp.get(f"{PEOPLE}/filter/city").text


# -- how ---------------------------------------------------------------------------------------------------------------


def token(testapp: Any) -> str:
    """Return the token of this session's forms."""
    return str(testapp.get("/profile").forms[0]["csrf_token"].value)


def rows_of(page: Any) -> list[str]:
    """Return the names in a list."""
    return [one.select_one("span:last-child").text for one in page.html.select(".crm-table .crm-first")]


def headings_of(page: Any) -> list[str]:
    """Return the headings of the columns."""
    return [one.text.strip() for one in page.html.select(".crm-table thead th:not(.is-check)")]


def link_of(page: Any, rel: str) -> str:
    """Return where the next or previous page is."""
    return str(page.html.find("a", rel=rel)["href"])


def people(db: Any) -> list[Any]:
    """Return all persons there are."""
    from crm_clients.models import Person

    return list(db.scalars(sa.select(Person).order_by(Person.id), execution_options=OPEN))


@pytest.fixture
def me(login_as: Any, factories: Any) -> Any:
    """A manager who is signed in, of a department of his own."""
    return login_as("manager", team_id=factories.team().id)


@pytest.fixture
def record_of(db: Any, plugins: Any) -> Callable[..., Any]:
    """Make a record that somebody owns."""

    def record_of(of: str, owner: Any, **values: Any) -> Any:
        db.commit()
        gate = Gate(db, Subject.system("a test"), plugins)
        operations.describe(db, gate.subject)
        entity = plugins.entity(of)
        checked = saving.check(gate, entity, values)
        checked["owner_id"] = owner.id if owner is not None else None
        record = saving.create(gate, entity, checked)
        db.commit()
        return record

    return record_of


@pytest.fixture
def person_of(record_of: Any) -> Callable[..., Any]:
    """Make a person whom somebody owns."""
    return lambda owner=None, **values: record_of("clients.person", owner, **values)


@pytest.fixture
def company_of(record_of: Any) -> Callable[..., Any]:
    """Make a company that somebody owns."""
    return lambda owner=None, **values: record_of("clients.company", owner, **values)
