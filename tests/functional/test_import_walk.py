"""Imports as a person does them in a browser without JavaScript, and as an administrator does from a console."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from webtest import Upload

from crm_core.models import ImportReject, ImportRun, JobRow, Operation
from crm_core.records.importing import engine
from crm_core.records.importing.guess import REPORT_COLUMNS
from crm_core.records.importing.readers import open_table

DATA = Path(__file__).parent.parent / "data"
PERSON = "clients.person"

SMALL = (
    "ФИО;Компания;ИНН;Телефон;E-mail;Бюджет\n"
    "Петров Пётр Петрович;ООО «Ромашка»;7707083893;8 927 123-45-67;petrov@example.com;1 200,50\n"
    "СИДОРОВА АННА;;;+7 (927) 765-43-21;нет почты;abc\n"
    "Петров Пётр;;;89271234567;;\n"
)


def upload(browser: Any, content: bytes | str, name: str = "clients.csv", entity: str = PERSON) -> Any:
    """Choose a file on the first page and return the page of columns."""
    page = browser.get(f"/imports/new?entity={entity}")
    form = page.forms["form"]
    form["entity"] = entity
    form["file"] = Upload(name, content.encode() if isinstance(content, str) else content)
    answer = form.submit(expect_errors=True)
    # WebOb leaves the temporary file of a large body to the collector, and pytest counts that as an error.
    answer.request.environ["wsgi.input"].close()
    return answer.follow() if answer.status_int == 303 else answer


def columns_form(page: Any) -> Any:
    return next(form for form in page.forms.values() if form.action.endswith("/columns"))


def form_to(page: Any, ending: str) -> Any:
    return next(form for form in page.forms.values() if form.action.endswith(ending))


def begin(browser: Any, content: bytes | str, name: str = "clients.csv", **choices: Any) -> Any:
    """Walk from the file to the running import and return its page."""
    page = upload(browser, content, name)
    form = columns_form(page)
    for field, value in choices.items():
        form[field] = value
    page = form.submit().follow()
    return form_to(page, "/start").submit().follow()


def hashes(db: Any) -> dict[str, dict[int, str]]:
    ignored = "ARRAY['version', 'updated_at', 'updated_by']"
    return {
        table: dict(db.execute(sa.text(f"SELECT id, md5((to_jsonb(t) - {ignored})::text) FROM {table} t")).all())
        for table in ("clients_person", "clients_company", "clients_membership")
    }


def test_a_file_goes_in_step_by_step_and_every_row_is_told_of(testapp: Any, login_as: Any, jobs: Any, db: Any) -> None:
    login_as("administrator")

    page = upload(testapp, SMALL)
    form = columns_form(page)
    assert [form[f"column-{n}"].value for n in range(6)] == [
        "full_name", "clients.company:name", "clients.company:inn", "phones", "emails", "budget",
    ]  # fmt: skip
    check = form.submit().follow()
    assert "+79271234567" in check
    assert "Import 3 rows" in check
    assert db.scalar(sa.text("SELECT count(*) FROM clients_person")) == 0

    running = form_to(check, "/start").submit().follow()
    assert "You may close this page" in running
    jobs.run_all()
    done = testapp.get(running.request.path)

    run = db.scalars(sa.select(ImportRun)).one()
    assert run.state == "done"
    assert {name: run.counts[name] for name in engine.OUTCOMES} == {
        "created": 2, "updated": 0, "unchanged": 1, "rejected": 0,
    }  # fmt: skip
    assert "is not an amount of money" in done
    names = db.scalars(sa.text("SELECT full_name FROM clients_person ORDER BY id")).all()
    assert names == ["Петров Пётр Петрович", "Сидорова Анна"]


@pytest.mark.parametrize("name", ["clients_utf8_bom.csv", "clients_cp1251.csv", "clients.xlsx", "clients.xls"])
def test_the_check_tells_what_the_import_then_does(testapp: Any, login_as: Any, jobs: Any, db: Any, name: str) -> None:
    login_as("administrator")
    total = open_table(DATA / name).count()

    page = upload(testapp, (DATA / name).read_bytes(), name)
    form = columns_form(page)
    form["lenient"] = "reject"
    check = form.submit().follow()
    jobs.run_all()
    told = db.scalars(sa.select(ImportRun)).one().options["check"]["counts"]
    form_to(testapp.get(check.request.path), "/start").submit()
    jobs.run_all()

    db.expire_all()
    counts = db.scalars(sa.select(ImportRun)).one().counts
    assert counts["rows"] == total
    assert sum(counts[outcome] for outcome in engine.OUTCOMES) == total
    assert {name: told[name] for name in engine.OUTCOMES} == {name: counts[name] for name in engine.OUTCOMES}


def test_a_large_file_is_checked_by_a_job_and_can_be_imported_without_waiting(
    testapp: Any, login_as: Any, jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_core.records.importing.trying.AT_ONCE", 2)
    login_as("administrator")

    check = columns_form(upload(testapp, SMALL)).submit().follow()
    assert "Checking all rows" in check
    assert "Import without waiting for the check" in check
    testapp.get(check.request.path)
    assert jobs.names.count("core.import_check") == 1
    jobs.run_all()

    assert "Import 3 rows" in testapp.get(check.request.path)


def test_rejected_rows_come_back_with_reasons_and_can_be_fed_in_again(
    testapp: Any, login_as: Any, jobs: Any, db: Any
) -> None:
    login_as("administrator", locale="ru")
    page = begin(testapp, SMALL, lenient="reject")
    jobs.run_all()
    first = db.scalars(sa.select(ImportRun)).one()

    answer = testapp.get(f"{page.request.path}/rejected.csv")
    assert answer.content_type == "text/csv"
    lines = answer.body.decode("utf-8-sig").splitlines()
    assert lines[0].endswith("Строка файла;Почему отклонена")
    assert len(lines) == 2
    assert "abc" in lines[1]

    mended = answer.body.replace(b"abc", b"700").replace("нет почты".encode(), b"anna@example.com")
    page = upload(testapp, mended, "clients - отклонённые.csv")
    form = columns_form(page)
    assert "column-6" not in form.fields
    form["lenient"] = "reject"
    form_to(form.submit().follow(), "/start").submit()
    jobs.run_all()

    assert first.counts["rejected"] == 1
    second = db.scalars(sa.select(ImportRun).order_by(ImportRun.id.desc()).limit(1)).one()
    assert second.counts["created"] == 1
    assert second.counts["rejected"] == 0


def test_the_columns_of_our_own_report_are_known_in_both_languages(plugins: Any) -> None:
    from crm_core.records.exporting import REPORT_TITLES
    from crm_core.records.work import speaker

    said = {speaker(locale, plugins)(title).lower() for locale in ("ru", "en") for title in REPORT_TITLES}

    assert said <= REPORT_COLUMNS


def test_an_import_is_put_back_as_it_was(testapp: Any, login_as: Any, jobs: Any, db: Any) -> None:
    login_as("administrator")
    begin(testapp, SMALL)
    jobs.run_all()
    before = hashes(db)

    page = begin(testapp, (DATA / "clients_utf8_bom.csv").read_bytes(), "more.csv")
    jobs.run_all()
    assert len(hashes(db)["clients_person"]) > 1000
    done = testapp.get(page.request.path)
    answer = form_to(done, "/undo").submit().follow()
    assert "Putting it back as it was" in answer
    jobs.run_all()

    assert hashes(db) == before
    after = testapp.get(page.request.path)
    assert "The import was put back" in after
    assert not [form for form in after.forms.values() if form.action.endswith("/undo")]


def test_a_second_click_starts_no_second_import(testapp: Any, login_as: Any, jobs: Any, db: Any) -> None:
    login_as("administrator")
    check = columns_form(upload(testapp, SMALL)).submit().follow()

    form_to(check, "/start").submit()
    form_to(check, "/start").submit()
    jobs.run_all()
    form_to(check, "/start").submit()
    jobs.run_all()

    assert db.scalar(sa.select(sa.func.count()).select_from(JobRow).where(JobRow.name == "core.import")) == 1
    assert db.scalar(sa.select(sa.func.count()).select_from(Operation).where(Operation.kind == "import")) == 1
    assert db.scalar(sa.text("SELECT count(*) FROM clients_person")) == 2


def test_a_waiting_import_is_stopped_at_once_and_goes_on_later(testapp: Any, login_as: Any, jobs: Any, db: Any) -> None:
    login_as("administrator")
    page = begin(testapp, SMALL)

    stopped = form_to(page, "/stop").submit().follow()
    jobs.run_all()
    assert "Stopped." in stopped
    assert db.scalar(sa.text("SELECT count(*) FROM clients_person")) == 0
    form_to(stopped, "/start").submit()
    jobs.run_all()

    assert db.scalars(sa.select(ImportRun)).one().counts["rows"] == 3


def test_a_stopped_import_goes_on_where_it_was(
    testapp: Any, login_as: Any, jobs: Any, db: Any, monkeypatch: Any
) -> None:
    login_as("administrator")
    batches = engine.Importer.batches
    monkeypatch.setattr(engine.Importer, "batches", lambda self, after=0, size=100: batches(self, after, size))
    page = begin(testapp, (DATA / "clients_utf8_bom.csv").read_bytes())
    step = engine.step

    def step_and_stop(importer: Any, run: Any, rows: Any, **more: Any) -> Any:
        counts = step(importer, run, rows, **more)
        if counts["rows"] == 500:
            importer.gate.session.execute(sa.update(JobRow).where(JobRow.name == "core.import").values(stop_asked=True))
            monkeypatch.setattr("crm_core.jobs.JobContext.stop_asked", property(lambda self: True))
        return counts

    monkeypatch.setattr("crm_core.records.importing.engine.step", step_and_stop)
    jobs.run_all()
    assert db.scalars(sa.select(ImportRun)).one().state == "stopped"
    assert db.scalars(sa.select(ImportRun)).one().counts["rows"] == 500
    monkeypatch.undo()

    form_to(testapp.get(page.request.path), "/start").submit()
    jobs.run_all()

    run = db.scalars(sa.select(ImportRun)).one()
    assert run.state == "done"
    assert run.counts["rows"] == open_table(DATA / "clients_utf8_bom.csv").count()
    assert db.scalar(sa.select(sa.func.count()).select_from(Operation).where(Operation.kind == "import")) == 1


def test_an_import_whose_file_is_gone_says_so_and_can_be_put_back_or_gone_on_with(
    testapp: Any, login_as: Any, jobs: Any, db: Any, app: Any
) -> None:
    login_as("administrator")
    page = begin(testapp, SMALL)
    stored = app.registry["crm.files"].path(db.scalars(sa.select(ImportRun.digest)).one())
    content = stored.read_bytes()
    stored.unlink()
    jobs.run_all()

    failed = testapp.get(page.request.path)
    assert "The file is no longer kept" in failed
    stored.write_bytes(content)
    form_to(failed, "/start").submit()
    jobs.run_all()

    assert db.scalars(sa.select(ImportRun)).one().counts["created"] == 2


def test_remarks_are_downloaded_with_the_records_they_are_about(testapp: Any, login_as: Any, jobs: Any) -> None:
    login_as("administrator")
    page = begin(testapp, SMALL)
    jobs.run_all()

    lines = testapp.get(f"{page.request.path}/remarks.csv").body.decode("utf-8-sig").splitlines()

    assert "/clients/people/" in lines[1]
    assert "is not an amount of money" in "".join(lines)


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "empty.csv", "is empty"),
        (b"%PDF-1.7 and so on", "offer.pdf", "is a PDF file"),
        (b"<html><table></table></html>", "list.xls", "is a web page"),
        (b"PK\x03\x04broken", "book.xlsx", "is damaged or not a table"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_words(
    testapp: Any, login_as: Any, db: Any, content: bytes, name: str, words: str
) -> None:
    login_as("administrator")

    page = upload(testapp, content, name)

    assert page.status_int == 422
    assert words in page
    assert db.scalar(sa.select(sa.func.count()).select_from(ImportRun)) == 0


def test_the_encoding_can_be_corrected_by_hand(testapp: Any, login_as: Any) -> None:
    login_as("administrator")
    page = upload(testapp, "Name;Phone\nПетров;89271234567\n".encode("koi8-r"))

    form = columns_form(page)
    form["encoding"] = "cp866"
    wrong = form.submit("read").follow()
    form = columns_form(wrong)
    form["encoding"] = "koi8-r"
    right = form.submit("read").follow()

    assert "Петров" not in wrong
    assert "Петров" in right


def test_two_columns_for_one_field_are_asked_about_and_two_phones_are_not(testapp: Any, login_as: Any) -> None:
    login_as("administrator")
    page = upload(testapp, "ФИО;Телефон;Телефон 2;Город\nПетров Пётр;89271234567;89271234568;Уфа\n")
    form = columns_form(page)
    assert [form[f"column-{n}"].value for n in range(3)] == ["full_name", "phones", "phones"]

    form["column-3"] = "full_name"
    refused = form.submit(expect_errors=True)

    assert refused.status_int == 422
    assert "Two columns are taken as" in refused


def test_the_mapping_of_such_a_file_is_remembered(testapp: Any, login_as: Any, jobs: Any) -> None:
    login_as("administrator")
    content = "Кто;Куда звонить;Что сказал\nПетров Пётр;89271234567;ничего\n"
    form = columns_form(upload(testapp, content))
    form["column-0"], form["column-1"], form["column-2"] = "full_name", "phones", "comment"
    form_to(form.submit().follow(), "/start").submit()
    jobs.run_all()

    form = columns_form(upload(testapp, content))

    assert [form[f"column-{n}"].value for n in range(3)] == ["full_name", "phones", "comment"]


def test_everything_gets_the_tag_and_the_responsible_that_were_chosen(
    testapp: Any, login_as: Any, factories: Any, jobs: Any, db: Any
) -> None:
    colleague = factories.user("manager", name="Ольга Сергеева")
    login_as("administrator")

    begin(testapp, SMALL, tags="выставка 2026", owner_id=str(colleague.id))
    jobs.run_all()

    statement = "SELECT p.owner_id, t.name FROM clients_person p JOIN core_tag t ON t.id = ANY(p.tags)"
    rows = db.execute(sa.text(statement)).all()
    assert rows == [(colleague.id, "выставка 2026")] * 2


@pytest.mark.parametrize("path", ["", "/columns", "/check", "/rejected.csv", "/remarks.csv"])
def test_nobody_else_knows_of_an_import(testapp: Any, login_as: Any, jobs: Any, db: Any, path: str) -> None:
    login_as("manager")
    begin(testapp, SMALL)
    jobs.run_all()
    number = db.scalars(sa.select(ImportRun.id)).one()
    login_as("manager")

    assert testapp.get(f"/imports/{number}{path}", expect_errors=True).status_int == 404
    for verb in ("start", "stop", "undo", "discard"):
        token = testapp.get("/imports/new").forms["form"]["csrf_token"].value
        answer = testapp.post(f"/imports/{number}/{verb}", {"csrf_token": token}, expect_errors=True)
        assert answer.status_int == 404

    assert db.scalar(sa.text("SELECT count(*) FROM clients_person")) == 2


def test_an_administrator_sees_all_imports_and_a_manager_his_own(testapp: Any, login_as: Any, jobs: Any) -> None:
    manager = login_as("manager", name="Пётр Ильин")
    begin(testapp, SMALL, "manager.csv")
    jobs.run_all()
    login_as("administrator")
    begin(testapp, SMALL, "boss.csv")
    jobs.run_all()

    everything = testapp.get("/imports")
    login_as(manager)
    own = testapp.get("/imports")

    assert "manager.csv" in everything
    assert "boss.csv" in everything
    assert "Пётр Ильин" in everything
    assert "manager.csv" in own
    assert "boss.csv" not in own


@pytest.mark.parametrize("role", ["marketer", "moderator", "user"])
def test_who_may_not_import_gets_no_page_of_it(testapp: Any, login_as: Any, role: str) -> None:
    login_as(role)

    assert testapp.get("/imports/new", expect_errors=True).status_int == 403
    assert testapp.get("/imports", expect_errors=True).status_int == 403


def test_what_an_import_made_is_found_in_the_list_by_its_number(
    db: Any, testapp: Any, login_as: Any, jobs: Any, plugins: Any, factories: Any
) -> None:
    from crm_core.records.gate import Gate
    from crm_core.records.listing import Condition, Listing, ListQuery

    boss = login_as("administrator")
    begin(testapp, SMALL)
    jobs.run_all()
    run = db.scalars(sa.select(ImportRun)).one()
    gate = Gate(db, factories.subject(boss), plugins)

    found = Listing(gate, plugins.entity(PERSON)).count(ListQuery((Condition("import", "is", (str(run.id),)),)))
    none = Listing(gate, plugins.entity(PERSON)).count(ListQuery((Condition("import", "is", ("999999",)),)))

    assert (found, none) == (2, 0)


def test_a_colleague_named_in_the_file_is_left_out_where_one_may_not_assign(
    testapp: Any, login_as: Any, factories: Any, jobs: Any, db: Any
) -> None:
    factories.user("manager", name="Ольга Сергеева")
    role = factories.role(("clients:view", "own"), ("clients:create", "all"), ("clients:import", "own"))
    from crm_core.models import UserRole

    person = factories.user(None)
    factories.make(UserRole, user_id=person.id, role_id=role.id)
    login_as(person)

    begin(testapp, "ФИО;Телефон;Ответственный\nПетров Пётр;89271234567;Ольга Сергеева\n")
    jobs.run_all()

    assert db.scalars(sa.text("SELECT owner_id FROM clients_person")).all() == [person.id]


# -- a worker that is killed -------------------------------------------------------------------------------------------


def test_an_import_whose_worker_dies_is_taken_over_and_no_row_comes_twice(
    committed_db: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crm_core import files
    from crm_core.records import work
    from crm_core.testing.factories import Factories

    class Killed(BaseException):
        pass

    database = committed_db
    batches, step = engine.Importer.batches, engine.step
    monkeypatch.setattr(engine.Importer, "batches", lambda self, after=0, size=200: batches(self, after, size))
    source = DATA / "clients_utf8_bom.csv"
    with database.session() as session:
        boss = Factories(session).user("administrator")
        with source.open("rb") as stream:
            digest, _size = files.store(session, work.files_of(database.settings), stream)
        gate = _gate(session, boss, database.plugins)
        entity, table = database.plugins.entity(PERSON), open_table(source)
        mapping = engine.guess(gate, entity, table, work.in_languages(database.plugins))
        options = engine.Options(mapping=mapping).to_json()
        run = ImportRun(entity=PERSON, user_id=boss.id, file_name="clients.csv", digest=digest, options=options)
        session.add(run)
        session.flush()
        run_id, job_id = run.id, work.start_import(session, run, boss.id)

    deaths = iter((3, 2))

    def mortal() -> Any:
        left = [next(deaths)]

        def step_or_die(importer: Any, run: Any, rows: Any, **more: Any) -> Any:
            counts = step(importer, run, rows, **more)
            left[0] -= 1
            if not left[0]:
                # Written but not committed: the way a kill in the middle of a transaction looks to the database.
                raise Killed
            return counts

        return step_or_die

    for _turn in range(2):
        monkeypatch.setattr("crm_core.records.importing.engine.step", mortal())
        runner = database.runner()
        runner.start()
        with pytest.raises(Killed):
            runner.run_one(job_id)
        runner.close()
        with database.session() as session:
            assert session.get_one(JobRow, job_id).state == "running"
    monkeypatch.setattr("crm_core.records.importing.engine.step", step)
    runner = database.runner()
    runner.start()
    runner.run_due()
    runner.close()

    with database.session() as session:
        run = session.get_one(ImportRun, run_id)
        counts, total = run.counts, table.count()
        made = session.scalar(sa.text("SELECT count(*) FROM clients_person"))
        rejects = session.scalar(sa.select(sa.func.count()).select_from(ImportReject))
        imports = session.scalar(sa.select(sa.func.count()).select_from(Operation).where(Operation.kind == "import"))
        assert (run.state, session.get_one(JobRow, job_id).fence) == ("done", 3)
    assert counts["rows"] == total
    assert sum(counts[outcome] for outcome in engine.OUTCOMES) == total
    assert (made, rejects, imports) == (counts["created"], counts["rejected"], 1)


def _gate(session: Any, user: Any, plugins: Any) -> Any:
    from crm_core.records.gate import Gate
    from crm_core.security.subject import load_subject

    session.flush()
    return Gate(session, load_subject(session, user.id), plugins)


# -- the console -------------------------------------------------------------------------------------------------------


@pytest.fixture
def console(committed_db: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `crm import` against a database of one's own."""
    from contextlib import nullcontext
    from types import SimpleNamespace

    from crm_core.cli import commands
    from crm_core.testing.factories import Factories

    with committed_db.session() as session:
        Factories(session).user("administrator", email="boss@example.com")
    settings = SimpleNamespace(log_level="error", ini="crm.ini")
    installation = SimpleNamespace(settings=settings, database_url=committed_db.url, app_settings=committed_db.settings)
    installation.running = lambda: nullcontext(installation)
    monkeypatch.setattr(commands, "installation_of", lambda context, **given: settings)
    monkeypatch.setattr(commands, "Installation", SimpleNamespace(of=lambda settings: installation))
    monkeypatch.setattr("crm_core.cli.importing.check_database", lambda *_: None)
    monkeypatch.setattr("crm_core.cli.logs.configure_logging", lambda level: None)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(commands.crm, ["import", *arguments])

    return run


def test_the_console_counts_every_row_and_keeps_the_rejected(console: Any, committed_db: Any, tmp_path: Path) -> None:
    path = tmp_path / "clients.csv"
    path.write_bytes((DATA / "clients_utf8_bom.csv").read_bytes())

    result = console(PERSON, str(path), "--json", "--strict")

    assert result.exit_code == 0, result.output
    # Logging is not set up here, so that its lines stand before the answer.
    told = json.loads(result.stdout[result.stdout.index("{") :])
    assert told["rows"] == open_table(path).count()
    assert sum(told[outcome] for outcome in engine.OUTCOMES) == told["rows"]
    assert told["rejected"] > 0
    assert open_table(Path(told["rejected_file"])).count() == told["rejected"]
    with committed_db.session() as session:
        run = session.scalars(sa.select(ImportRun)).one()
        assert (run.state, run.id) == ("done", told["import"])
        assert session.scalar(sa.text("SELECT count(*) FROM clients_person")) == told["created"]


def test_a_dry_run_of_the_console_changes_nothing(console: Any, committed_db: Any, tmp_path: Path) -> None:
    path = tmp_path / "clients.csv"
    path.write_text(SMALL, encoding="utf-8")

    result = console(PERSON, str(path), "--dry-run", "--user", "boss@example.com")

    assert result.exit_code == 0, result.output
    assert "2  created" in result.output
    with committed_db.session() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM clients_person")) == 0
        assert session.scalar(sa.select(sa.func.count()).select_from(ImportRun)) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "is damaged or not a table"),
        (("--user", "nobody@example.com"), "no active account"),
        (("--key", "shoe"), "--key"),
    ],
)
def test_what_cannot_begin_is_told_with_exit_code_2(
    console: Any, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    path = tmp_path / "clients.csv"
    path.write_bytes(b"\x00\x01\x02" * 500 if not arguments else SMALL.encode())

    result = console(PERSON, str(path), *arguments)

    assert result.exit_code == 2
    assert words in result.output
