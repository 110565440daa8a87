"""The first steps of an import: what and which file, and what its columns are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPForbidden
from pyramid.request import Request
from pyramid.view import view_config

from crm_core.files import FileError, safe_name, store
from crm_core.forms import FieldInfo
from crm_core.i18n import _
from crm_core.models import ImportRun, Tag, User
from crm_core.models.accounts import ACTIVE
from crm_core.people import Refused
from crm_core.records.cleaning import cell_text
from crm_core.records.importing import engine
from crm_core.records.importing.guess import strip_report_columns
from crm_core.records.importing.readers import DELIMITERS, ENCODINGS, Table, TableError, open_table
from crm_core.records.work import in_languages
from crm_core.security.permissions import SIGNED_IN
from crm_core.specs import Entity, KnownExport
from crm_core.views.filling import Filling, choices, go, say, typed
from crm_core.views.imports import RunContext, importable
from crm_core.views.shapes import Choice, Crumb, FieldView, FormPage, Section

CRUMB = Crumb(title=_("Imports"), href="/imports")
STEPS = (_("File"), _("Columns"), _("Check"), _("Import"))

#: Largest file, bytes; the readers say so too, in their own words.
LIMIT = 200 * 1024 * 1024

ACCEPT = ".csv,.txt,.tsv,.xlsx,.xls,.ods,.vcf"

#: Rows that are looked through, and words of one column that are asked about; the rest is named by the check.
MOST_ROWS = 20_000
MOST_WORDS = 60

#: Rows shown above the columns, and from which their samples come.
PREVIEW = 8

MODES = {
    "both": (_("Create new ones and update those already there"), _("Empty cells erase nothing.")),
    "create": (_("Create all"), _("Also where the same record is there already.")),
    "update": (_("Only update those already there"), _("Rows that are not found are rejected.")),
    "skip": (_("Create new ones, leave those already there"), _("Doubles are skipped.")),
}

WRONG_VALUES = (
    Choice(value="take", title=_("Take the row without it"), hint=_("What was left out is listed.")),
    Choice(value="reject", title=_("Reject the row"), hint=_("Mend the rejected rows and feed them in again.")),
)

_DELIMITER_WORDS = {",": _("comma"), ";": _("semicolon"), "\t": _("tab"), "|": _("vertical bar")}

NEW = "crm_core:templates/imports/new.pt"
COLUMNS = "crm_core:templates/imports/columns.pt"


def steps(present: int) -> list[dict[str, Any]]:
    """Return the steps of an import with the one that is being taken."""
    return [
        {"title": title, "number": n, "done": n < present, "here": n == present} for n, title in enumerate(STEPS, 1)
    ]


# -- the file ----------------------------------------------------------------------------------------------------------


@view_config(route_name="imports.new", request_method="GET", permission=SIGNED_IN, renderer=NEW)
def new(request: Request) -> dict[str, Any]:
    """Ask what is imported and from which file."""
    return _new_page(request)


@view_config(route_name="imports.new", request_method="POST", permission=SIGNED_IN, renderer=NEW)
def upload(request: Request) -> Any:
    """Keep the file, look whether it can be read, and go on to its columns."""
    known = {one.name: one for one in _allowed(request)}
    try:
        entity = known.get(typed(request, "entity"))
        if entity is None:
            raise Refused(_("Choose what the file holds."), "entity")
        run = _keep(request, entity)
    except Refused as refused:
        return _new_page(request, refused)
    return go(request, f"/imports/{run.id}/columns")


def _allowed(request: Request) -> list[Entity]:
    found = importable(request)
    if not found:
        raise HTTPForbidden(detail=request.translate(_("Your role may not import.")))
    return found


def _keep(request: Request, entity: Entity) -> ImportRun:
    given = request.POST.get("file")
    if not hasattr(given, "filename") or not given.filename:
        raise Refused(_("Choose a file."), "file")
    name = safe_name(given.filename)
    # A request that is tried again finds the file where the first try has left it.
    given.file.seek(0)
    try:
        digest, size = store(request.db, request.file_store, given.file, limit=LIMIT)
        if not size:
            raise Refused(_("The file “${name}” is empty", mapping={"name": name}), "file")
        table = open_table(request.file_store.path(digest), name=name)
    except (FileError, TableError) as error:
        raise Refused(error.message, "file") from None
    options = engine.Options(
        mapping=engine.guess(request.gate, entity, table, in_languages(request.gate.plugins)),
        words=engine.remembered_words(request.db, entity, table),
    )
    run = ImportRun(
        entity=entity.name, user_id=request.subject.user_id, file_name=name, digest=digest, options=options.to_json()
    )
    request.db.add(run)
    request.db.flush()
    return run


def _new_page(request: Request, refused: Refused | None = None) -> dict[str, Any]:
    allowed, form = _allowed(request), Filling(request, refused)
    wanted = request.GET.get("entity", "")
    chosen = wanted if wanted in {one.name for one in allowed} else allowed[0].name
    return {
        "title": _("Import"),
        "steps": steps(1),
        "page": FormPage(
            title=_("Import from a file"),
            action="/imports/new",
            submit=_("Go on to the columns"),
            errors=form.errors,
            crumbs=[CRUMB],
            cancel_href=next(one.url for one in allowed if one.name == chosen),
            sections=[
                Section(
                    fields=[
                        form.field(
                            "entity",
                            _("What the file holds"),
                            "radio",
                            chosen,
                            required=True,
                            choices=choices((one.name, one.title_plural) for one in allowed),
                        ),
                        form.field(
                            "file",
                            _("File"),
                            "file",
                            required=True,
                            accept=ACCEPT,
                            help=_("CSV, XLSX, XLS, ODS or vCard, up to 200 MB. Encoding and delimiter are found out."),
                        ),
                    ]
                )
            ],
        ),
    }


# -- the columns -------------------------------------------------------------------------------------------------------


@view_config(route_name="imports.columns", request_method="GET", permission=SIGNED_IN, renderer=COLUMNS)
def columns(context: RunContext, request: Request) -> Any:
    """Show the first rows, what each column is taken as, and what to do with records that are there."""
    if context.run.state != "draft":
        return go(request, f"/imports/{context.run.id}")
    context.require_import(request)
    return _columns_page(context, request)


@view_config(route_name="imports.columns", request_method="POST", permission=SIGNED_IN, renderer=COLUMNS)
def choose(context: RunContext, request: Request) -> Any:
    """Keep what was chosen; read the file anew, or go on to the check."""
    run = context.run
    if run.state != "draft":
        return go(request, f"/imports/{run.id}")
    context.require_import(request)
    try:
        if "read" in request.POST:
            _read_anew(context, request)
            return go(request, f"/imports/{run.id}/columns")
        _keep_choices(context, request)
    except Refused as refused:
        return _columns_page(context, request, refused)
    step = "words" if any(unknown_words(context, request).values()) else "check"
    return go(request, f"/imports/{run.id}/{step}")


def unknown_words(context: RunContext, request: Request) -> dict[str, dict[str, int]]:
    """Return the words that nobody here knows by themselves, whatever was said of them before."""
    run: ImportRun = context.run
    table = opened(request, run)
    options = replace(engine.Options.from_json(run.options), words={})
    entity = context.entity(request)
    importer = engine.Importer(request.gate, entity, table, options, in_languages(request.gate.plugins))
    found = importer.unknown_words(islice(table.rows(), MOST_ROWS))
    return {
        target: dict(sorted(words.items(), key=lambda one: (-one[1], one[0]))[:MOST_WORDS])
        for target, words in found.items()
    }


def opened(request: Request, run: ImportRun) -> Table:
    """Open the file of a run; Refused when it cannot be read so."""
    try:
        return engine.open_run(request.file_store, run)
    except TableError as error:
        raise Refused(error.message) from None
    except OSError:
        raise Refused(_("The file is no longer kept: choose it once more.")) from None


def _read_anew(context: RunContext, request: Request) -> None:
    run, entity = context.run, context.entity(request)
    present = engine.Options.from_json(run.options)
    header = typed(request, "header_row").strip()
    if header and (not header.isdecimal() or int(header) > 1000):
        raise Refused(_("Write the number of a row."), "header_row")
    encoding, delimiter = typed(request, "encoding"), request.POST.get("delimiter", "")
    changed = replace(
        present,
        encoding=encoding if encoding in ENCODINGS else None,
        delimiter=delimiter if delimiter in DELIMITERS else None,
        sheet=typed(request, "sheet") or None,
        header_row=int(header) if header else None,
    )
    before = run.options
    run.options = {**run.options, **changed.to_json()}
    try:
        table = opened(request, run)
    except Refused:
        run.options = before
        raise
    mapping = engine.guess(request.gate, entity, table, in_languages(request.gate.plugins))
    run.options = {**run.options, **replace(changed, mapping=mapping).to_json()}


def _keep_choices(context: RunContext, request: Request) -> None:
    run, entity, post = context.run, context.entity(request), request.POST
    table = opened(request, run)
    known = engine.targets(request.gate, entity)
    mapping = {
        column: typed(request, f"column-{column}")
        for column in range(len(table.headers))
        if typed(request, f"column-{column}") in known
    }
    mode = typed(request, "mode")
    rules = [f"{rule.kind}:{rule.field}" for rule in entity.doubles]
    options = replace(
        engine.Options.from_json(run.options),
        mapping=mapping,
        mode=mode if mode in engine.MODES else "both",
        keys=tuple(key for key in rules if key in post.getall("keys")),
        lenient=typed(request, "lenient") != "reject",
        owner_id=_owner(request, entity),
        tags=(),
    )
    # What was chosen is kept even where something is to be mended, so that nothing is lost by a wrong column.
    run.options = {**run.options, **options.to_json(), "tag_names": _tag_names(request)}
    _check_mapping(request, entity, known, options)
    if options.mode != "create" and rules and not options.keys:
        raise Refused(_("Choose by what a record is found again."), "keys")


def _check_mapping(request: Request, entity: Entity, known: Mapping[str, FieldInfo], options: engine.Options) -> None:
    if not options.mapping:
        raise Refused(_("Say of one column at least what it holds."))
    taken: dict[str, int] = {}
    for column, target in options.mapping.items():
        if target in taken and known[target].kind not in engine.SEVERAL:
            title = target_title(request, entity, target, known)
            raise Refused(
                _("Two columns are taken as “${field}”: leave one of them out.", mapping={"field": title}),
                f"column-{column}",
            )
        taken[target] = column
    for name, info in known.items():
        if info.required and ":" not in name and name not in taken and options.mode != "update":
            title = request.translate(info.title)
            raise Refused(_("“${field}” is required: say which column holds it.", mapping={"field": title}))


def _owner(request: Request, entity: Entity) -> int | None:
    value = typed(request, "owner_id")
    if not value.isdecimal() or len(value) > 18 or not request.gate.may(entity, "assign"):
        return None
    statement = sa.select(User.id).where(User.id == int(value), User.status == ACTIVE)
    found: int | None = request.db.scalar(statement)
    return found


def _tag_names(request: Request) -> list[str]:
    names = (name.strip()[:60] for name in typed(request, "tags").split(","))
    return list(dict.fromkeys(name for name in names if name))[:10]


# -- how the page of columns looks -------------------------------------------------------------------------------------


def target_title(request: Request, entity: Entity, target: str, known: Mapping[str, FieldInfo]) -> str:
    """Return a target in words, with the record it belongs to when that is another one."""
    info = known.get(target)
    if info is None:
        return target
    title = request.translate(info.title)
    if ":" not in target:
        return str(title)
    other = request.registry["crm.plugins"].entity(target.partition(":")[0])
    return f"{request.translate(other.title)}: {title}"


def _targets(request: Request, entity: Entity, known: Mapping[str, FieldInfo]) -> list[Choice]:
    found = [
        Choice(value=name, title=request.translate(info.title), group=request.translate(entity.title))
        for name, info in known.items()
        if ":" not in name
    ]
    for link in entity.import_links:
        group = request.translate(link.title)
        for name in known:
            if name.startswith(f"{link.entity}:"):
                found.append(Choice(value=name, title=target_title(request, entity, name, known), group=group))
    return found


def _columns_page(context: RunContext, request: Request, refused: Refused | None = None) -> dict[str, Any]:
    run, entity, form = context.run, context.entity(request), Filling(request, refused)
    options = engine.Options.from_json(run.options)
    page: dict[str, Any] = {
        "title": run.file_name,
        "crumbs": [CRUMB],
        "steps": steps(2),
        "action": f"/imports/{run.id}/columns",
        "discard": f"/imports/{run.id}/discard",
        "errors": form.errors,
        "file": "",
        "columns": [],
        "preview": {"headers": [], "rows": []},
        "reading": [],
        "sections": [],
        "reading_open": False,
        "ours": False,
    }
    try:
        table = opened(request, run)
    except Refused as error:
        return {**page, "errors": [("", say(request, error.sentence))], "broken": True}
    known = engine.targets(request.gate, entity)
    sample = table.sample(PREVIEW)
    own = len(strip_report_columns(table.headers))
    offered = _targets(request, entity, known)
    page["broken"] = False
    page["file"] = _file_words(request, table, engine.recognised(entity, table))
    page["ours"] = own < len(table.headers)
    page["columns"] = [
        form.field(
            f"column-{column}",
            header,
            "choice",
            options.mapping.get(column, ""),
            placeholder=request.translate(_("Leave out")),
            choices=offered,
            help=_samples(sample, column) or request.translate(_("empty in the first rows")),
        )
        for column, header in enumerate(table.headers[:own])
    ]
    page["preview"] = {
        "headers": table.headers,
        "rows": [{"number": row.number, "cells": [cell_text(cell)[:80] for cell in row.cells]} for row in sample],
    }
    page["reading"] = _reading(request, form, options, table)
    page["reading_open"] = refused is not None and refused.field == "header_row"
    page["sections"] = _sections(request, form, run, entity, options)
    return page


def _samples(sample: list[Any], column: int) -> str:
    texts = (cell_text(row.cells[column]).strip() for row in sample if column < len(row.cells))
    return " · ".join(text[:40] for text in list(dict.fromkeys(text for text in texts if text))[:3])


def _file_words(request: Request, table: Table, export: KnownExport | None = None) -> str:
    words = [table.format.upper()]
    if export is not None:
        words.insert(0, request.translate(_("an export of ${name}", mapping={"name": export.name})))
    if table.sheet:
        words.append(request.translate(_("sheet “${name}”", mapping={"name": table.sheet})))
    if table.encoding:
        words.append(request.translate(_("encoding ${name}", mapping={"name": table.encoding})))
    if table.delimiter:
        sign = request.translate(_DELIMITER_WORDS.get(table.delimiter, table.delimiter))
        words.append(request.translate(_("delimiter: ${sign}", mapping={"sign": sign})))
    words.append(request.plural("${n} column", "${n} columns", len(table.headers)))
    return ", ".join(words)


def _reading(request: Request, form: Filling, options: engine.Options, table: Table) -> list[FieldView]:
    found = []
    guessed = request.translate(_("Find out"))
    if table.format in ("csv", "vcf"):
        found.append(
            form.field(
                "encoding",
                _("Encoding"),
                "choice",
                options.encoding or "",
                choices=choices([("", guessed), *((name, name) for name in ENCODINGS)]),
            )
        )
    if table.format == "csv":
        signs = [(sign, request.translate(_DELIMITER_WORDS[sign])) for sign in DELIMITERS]
        found.append(
            form.field(
                "delimiter", _("Delimiter"), "choice", options.delimiter or "", choices=choices([("", guessed), *signs])
            )
        )
    if len(table.sheets) > 1:
        sheets = [(name, name) for name in table.sheets]
        found.append(form.field("sheet", _("Sheet"), "choice", options.sheet or table.sheet, choices=choices(sheets)))
    if table.format != "vcf":
        found.append(
            form.field(
                "header_row",
                _("Row of the headers"),
                "number",
                "" if options.header_row is None else options.header_row,
                placeholder=request.translate(_("Find out")),
                help=_("0 when the first row is data already."),
            )
        )
    return found


def _sections(
    request: Request, form: Filling, run: ImportRun, entity: Entity, options: engine.Options
) -> list[Section]:
    strong = [f"{rule.kind}:{rule.field}" for rule in entity.doubles if rule.weight > 50]
    keys = request.POST.getall("keys") if form.typed else list(options.keys) or strong
    return [
        Section(
            title=_("Records that are there already"),
            id="doubles",
            fields=[
                form.field(
                    "mode",
                    _("What to do"),
                    "radio",
                    options.mode,
                    choices=[Choice(value=value, title=title, hint=hint) for value, (title, hint) in MODES.items()],
                ),
                FieldView(
                    name="keys",
                    title=_("A record is the same when it has"),
                    kind="checks",
                    value=tuple(keys),
                    error=dict(form.errors).get("f-keys", ""),
                    choices=[Choice(value=f"{rule.kind}:{rule.field}", title=rule.title) for rule in entity.doubles],
                ),
            ],
        ),
        Section(
            title=_("Wrong values"),
            fields=[
                form.field(
                    "lenient",
                    _("When a phone, date or number cannot be read"),
                    "radio",
                    "take" if options.lenient else "reject",
                    choices=WRONG_VALUES,
                )
            ],
        ),
        Section(title=_("For all rows"), fields=_for_all(request, form, run, entity, options)),
    ]  # fmt: skip


def _for_all(
    request: Request, form: Filling, run: ImportRun, entity: Entity, options: engine.Options
) -> list[FieldView]:
    found = []
    if request.gate.may(entity, "assign"):
        people = request.db.execute(
            sa.select(User.id, User.name).where(User.status == ACTIVE).order_by(sa.func.lower(User.name)).limit(1000)
        ).all()
        found.append(
            form.field(
                "owner_id",
                _("Responsible"),
                "choice",
                options.owner_id or request.subject.user_id,
                required=True,
                choices=choices(people),
                help=_("For new records of which the file does not say it."),
            )
        )
    tags = list(run.options.get("tag_names") or ())
    known = request.db.scalars(sa.select(Tag.name).order_by(sa.func.lower(Tag.name)).limit(8)).all()
    hint = request.translate(_("Separate several by commas."))
    if known:
        hint += " " + request.translate(_("There are: ${tags}", mapping={"tags": ", ".join(known)}))
    found.append(form.field("tags", _("Tag"), "text", ", ".join(tags), help=hint, maxlength=200))
    return found
