"""The commands of ``crm``, in the order in which an administrator meets them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

import crm_core
from crm_core.cli.installation import Installation, plugins_of
from crm_core.settings import ConfigurationError, Settings, create, load

#: Findings of the change log that a person reads; programs get all.
SHOWN = 50

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(crm_core.__version__, prog_name="crm")
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="The ini file (or CRM_CONFIG).")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder (or CRM_DATA).")
@click.pass_context
def crm(context: click.Context, config: Path | None, data: Path | None) -> None:
    """Look after an installation of the CRM; without --config and --data the one in ./var."""
    from crm_core.cli.logs import configure_logging

    context.obj = {"config": config, "data": data}
    configure_logging("warning")


def place_options(command: Any) -> Any:
    """Let --config and --data stand after the command as well."""
    config = click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="The ini file.")
    data = click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder.")
    return config(data(command))


def installation_of(context: click.Context, **given: Any) -> Settings:
    """Return the settings of the installation that the command line names."""
    place = _place(context, given)
    return load(place["config"], place["data"])


def _place(context: click.Context, given: dict[str, Any]) -> dict[str, Any]:
    outer = context.find_root().obj or context.find_root().params
    return {name: given.get(name) or outer.get(name) for name in ("config", "data")}


# Running


@crm.command()
@place_options
@click.option("--host", help="Listen here instead of crm.host.")
@click.option("--port", type=click.IntRange(1, 65535), help="Listen here instead of crm.port.")
@click.option("--demo", is_flag=True, help="Make a new installation the demo company.")
@click.option("--end-with-parent", is_flag=True, hidden=True)
@click.pass_context
def serve(
    context: click.Context, host: str | None, port: int | None, demo: bool, end_with_parent: bool, **given: Any
) -> None:
    """Run everything: database, queue, pages, workers, schedule. Ctrl-C stops it all."""
    from crm_core.cli.logs import configure_logging
    from crm_core.cli.serving import ChildFailed, Parent, end_with_parent_process, make_ready

    if end_with_parent:
        end_with_parent_process()
    place = _place(context, given)
    overrides: dict[str, Any] = {"host": host, "port": port}
    settings = load(**place, **overrides) if _names_a_config(place) else create(place["data"], demo=demo, **overrides)
    if demo and not settings.demo:
        raise ConfigurationError(
            "--data",
            settings.data_dir,
            "holds an installation that is no demo",
            "choose another folder for the demo company (make: DATA=)",
        )
    configure_logging(settings.log_level)
    try:
        sys.exit(Parent(settings, say=_say).run(make_ready))
    except ChildFailed as error:
        click.echo(f"crm: {error}; the lines above say why", err=True)
        sys.exit(error.code if error.code > 0 else 1)


def _names_a_config(place: dict[str, Any]) -> bool:
    return bool(place["config"] or os.environ.get("CRM_CONFIG"))


def _say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


@crm.command()
@place_options
@click.option("--demo", is_flag=True, help="Make it the demo company.")
@click.pass_context
def init(context: click.Context, demo: bool, **given: Any) -> None:
    """Make an installation: its folder, its settings, its tables."""
    from crm_core.cli.installation import check_database, upgrade

    place = _place(context, given)
    settings = load(**place) if _names_a_config(place) else create(place["data"], demo=demo)
    plugins = plugins_of(settings)
    with Installation.of(settings).running() as installation:
        check_database(settings, installation.database_url)
        upgrade(settings, installation.database_url, plugins)
    settings.secret()
    click.echo(f"Ready: {settings.ini}. Start it with: crm serve --config {settings.ini}")


@crm.command(hidden=True)
@place_options
@click.option("--host")
@click.option("--port", type=int)
@click.pass_context
def web(context: click.Context, host: str | None, port: int | None, **given: Any) -> None:
    """Serve the pages; a child of serve."""
    from crm_core.cli.logs import configure_logging
    from crm_core.cli.web import serve_web

    place = _place(context, given)
    settings = load(**place, host=host, port=port)
    configure_logging(settings.log_level)
    installation = Installation.of(settings)
    try:
        serve_web(settings, installation.app_settings)
    except ConfigurationError as error:
        click.echo(f"crm: {error}", err=True)
        sys.exit(78)


@crm.command(name="try", hidden=True)
@place_options
@click.pass_context
def try_application(context: click.Context, **given: Any) -> None:
    """Assemble the application on current tables and end; asked before a restart."""
    from crm_core.app import configure
    from crm_core.cli.installation import check_database

    settings = installation_of(context, **given)
    installation = Installation.of(settings)
    check_database(settings, installation.database_url)
    with installation.session():
        configure(installation.app_settings).make_wsgi_app()


@crm.command()
@place_options
@click.pass_context
def worker(context: click.Context, **given: Any) -> None:
    """Run jobs until told to stop; more of these carry more."""
    from crm_core import jobs
    from crm_core.cli.logs import configure_logging

    settings = installation_of(context, **given)
    configure_logging(settings.log_level)
    jobs.run_worker(Installation.of(settings).app_settings)


@crm.command()
@place_options
@click.pass_context
def schedule(context: click.Context, **given: Any) -> None:
    """Enqueue what runs by the clock until told to stop."""
    from crm_core import jobs
    from crm_core.cli.logs import configure_logging

    settings = installation_of(context, **given)
    configure_logging(settings.log_level)
    jobs.run_scheduler(Installation.of(settings).app_settings)


@crm.command()
@place_options
@JSON_OPTION
@click.pass_context
def doctor(context: click.Context, as_json: bool, **given: Any) -> None:
    """Say what is wrong with an installation and what to do; the exit code is 1 when something is."""
    from crm_core.cli.doctor import examine

    place = _place(context, given)
    findings = examine(place["config"], place["data"])
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings], ensure_ascii=False, indent=2))
    else:
        for finding in findings:
            click.echo(finding.line())
    sys.exit(1 if any(finding.state == "wrong" for finding in findings) else 0)


# Tables


@crm.group()
def db() -> None:
    """Look after the tables."""


@db.command(name="upgrade")
@place_options
@click.pass_context
def db_upgrade(context: click.Context, **given: Any) -> None:
    """Bring the tables of every installed plugin to what its code expects."""
    from crm_core.cli.installation import check_database, upgrade

    settings = installation_of(context, **given)
    with Installation.of(settings).running() as installation:
        check_database(settings, installation.database_url)
        changed = upgrade(settings, installation.database_url, plugins_of(settings))
    click.echo(f"Changed: {', '.join(changed)}." if changed else "All tables are current.")


@db.command(name="current")
@place_options
@JSON_OPTION
@click.pass_context
def db_current(context: click.Context, as_json: bool, **given: Any) -> None:
    """Show at which revision the tables of each distribution stand."""
    import sqlalchemy as sa

    from crm_core import migrations
    from crm_core.db import make_engine

    settings = installation_of(context, **given)
    with Installation.of(settings).running() as installation:
        engine = make_engine(installation.database_url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            states = migrations.states(connection, plugins_of(settings))
        engine.dispose()
    if as_json:
        rows = [{"name": s.name, "current": s.current, "head": s.head, "behind": s.behind} for s in states]
        click.echo(json.dumps(rows, indent=2))
        return
    for state in states:
        note = "package missing" if state.package_missing else f"behind, needs {state.head}" if state.behind else ""
        click.echo(f"{state.name:16} {state.current or '-':32} {note}".rstrip())


@db.command(name="revision")
@place_options
@click.argument("branch")
@click.option("-m", "--message", required=True, help="What the migration does, in a few words.")
@click.pass_context
def db_revision(context: click.Context, branch: str, message: str, **given: Any) -> None:
    """Write a migration of BRANCH (core, or a plugin) from the difference between models and tables."""
    from crm_core import migrations

    os.umask(0o022)
    settings = installation_of(context, **given)
    with Installation.of(settings).running() as installation:
        path = migrations.revision(installation.database_url, plugins_of(settings), branch, message)
    click.echo(f"Written: {path}. Read it before it runs.")


# People


@crm.group()
def user() -> None:
    """Look after accounts."""


@user.command(name="add")
@place_options
@click.argument("email")
@click.option("--name", required=True, help="The person's name.")
@click.option("--role", "roles", multiple=True, default=["user"], help="A role that ships; several may be given.")
@click.option("--locale", type=click.Choice(["ru", "en"]), default="ru")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@click.pass_context
def user_add(
    context: click.Context,
    email: str,
    name: str,
    roles: tuple[str, ...],
    locale: str,
    password_stdin: bool,
    **given: Any,
) -> None:
    """Make an account that may sign in at once; the password is asked for, never an argument."""
    from crm_core.cli.people import add_account
    from crm_core.i18n import localizer_for, translate
    from crm_core.people import Refused

    settings = installation_of(context, **given)
    password = (
        sys.stdin.readline().rstrip("\n")
        if password_stdin
        else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    with Installation.of(settings).running() as installation, installation.session() as (session, _plugins):
        try:
            account = add_account(session, email=email, name=name, password=password, roles=roles, locale=locale)
        except Refused as error:
            raise click.ClickException(translate(localizer_for("en"), error.sentence)) from None
        click.echo(f"{account.email} may sign in as {', '.join(roles)}.")


# Records


@crm.command(name="import")
@place_options
@click.argument("entity")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would become of the rows; change nothing.")
@JSON_OPTION
@click.option("--strict", is_flag=True, help="Reject a row with a wrong value instead of taking it without the value.")
@click.option(
    "--mode",
    type=click.Choice(["both", "create", "update", "skip"]),
    default="both",
    help="Make and change records, only make, only change, or leave those that are there.",
)
@click.option("--key", "keys", multiple=True, help="What a record is found again by: phone, email, inn, name.")
@click.option("--user", "email", metavar="EMAIL", help="On whose behalf; otherwise the first administrator.")
@click.option("--encoding", help="The encoding, where the guess is wrong.")
@click.option("--delimiter", help="The sign between cells, where the guess is wrong.")
@click.option("--sheet", help="The sheet of a workbook; otherwise the first one with a table.")
@click.option("--header-row", type=click.IntRange(0), help="The row of the headers; 0: there are none.")
@click.pass_context
def import_(
    context: click.Context,
    entity: str,
    file: Path,
    dry_run: bool,
    as_json: bool,
    strict: bool,
    mode: str,
    keys: tuple[str, ...],
    email: str | None,
    encoding: str | None,
    delimiter: str | None,
    sheet: str | None,
    header_row: int | None,
    **given: Any,
) -> None:
    """Take the table in FILE in as records of ENTITY, such as clients.person; rejected rows go to FILE.rejected.csv.

    Cells are cleaned, records found again by phone, e-mail or number are changed instead of made a second time, and the
    import can be looked at and taken back in the browser. The exit code is 2 when the file cannot be read.
    """
    from crm_core.cli.importing import run_command
    from crm_core.cli.logs import configure_logging

    reading = {"encoding": encoding, "delimiter": delimiter, "sheet": sheet, "header_row": header_row}
    settings = installation_of(context, **given)
    configure_logging(settings.log_level)
    with Installation.of(settings).running() as installation:
        code = run_command(
            installation,
            file,
            entity,
            as_json=as_json,
            email=email,
            mode=mode,
            keys=keys,
            lenient=not strict,
            dry=dry_run,
            reading={name: value for name, value in reading.items() if value is not None},
        )
    sys.exit(code)


# The change log


@crm.group()
def audit() -> None:
    """Look after the change log."""


@audit.command(name="verify")
@place_options
@JSON_OPTION
@click.pass_context
def audit_verify(context: click.Context, as_json: bool, **given: Any) -> None:
    """Find rows of the change log that were altered, removed or inserted; the exit code is 1 when there are any."""
    from crm_core.records import sealing

    settings = installation_of(context, **given)
    with Installation.of(settings).running() as installation, installation.session() as (session, _plugins):
        verdict = sealing.verify(session)
    if as_json:
        findings = [{"block": f.block, "change": f.change, "problem": f.problem} for f in verdict.findings]
        summary = {"seals": verdict.seals, "rows": verdict.rows, "unsealed": verdict.unsealed, "findings": findings}
        click.echo(json.dumps(summary, indent=2))
    else:
        click.echo(f"{verdict.seals} seals over {verdict.rows} changes; {verdict.unsealed} not sealed yet.")
        for finding in verdict.findings[:SHOWN]:
            where = f"block {finding.block}" if finding.block else "not sealed"
            which = f", change {finding.change}" if finding.change else ""
            click.echo(f"{finding.problem}: {where}{which}")
        if len(verdict.findings) > SHOWN:
            click.echo(f"... and {len(verdict.findings) - SHOWN} more; --json lists all")
        click.echo("Nothing was tampered with." if not verdict.findings else "The log was tampered with.")
    sys.exit(1 if verdict.findings else 0)


# Plugins


@crm.group()
def plugin() -> None:
    """Look after plugins; crm.plugins in the ini file says which are on."""


@plugin.command(name="list")
@place_options
@JSON_OPTION
@click.pass_context
def plugin_list(context: click.Context, as_json: bool, **given: Any) -> None:
    """Show every plugin that is installed, listed or has tables here, and how it stands."""
    from crm_core.cli.plugins import known_plugins

    settings = installation_of(context, **given)
    rows = known_plugins(settings)
    if as_json:
        click.echo(json.dumps([row.as_dict() for row in rows], indent=2))
        return
    for row in rows:
        click.echo(f"{row.name:16} {row.version or '-':10} {row.distribution or '-':20} {row.sentence}")
    click.echo(f"Switch them in {settings.ini}: crm.plugins = {' '.join(settings.plugins)}")


@plugin.command(name="check")
@place_options
@click.pass_context
def plugin_check(context: click.Context, **given: Any) -> None:
    """Load, check, order and wire the plugins that are on, as a start does, and say what is wrong."""
    from crm_core.app import configure

    settings = installation_of(context, **given)
    plugins = plugins_of(settings)
    with Installation.of(settings).running() as installation:
        configure(installation.app_settings).make_wsgi_app()
    click.echo(f"All is well: {', '.join(plugins.names()) or 'no plugin is on'}.")


@plugin.command(name="archive")
@place_options
@click.argument("name")
@click.pass_context
def plugin_archive(context: click.Context, name: str, **given: Any) -> None:
    """Write the tables of a plugin that is off to a file; they stay until they are purged."""
    from crm_core import lifecycle

    settings = installation_of(context, **given)
    lifecycle.require_off(settings, name)
    with Installation.of(settings).running() as installation, installation.engine() as engine:
        path = lifecycle.archive(engine, settings, name)
    click.echo(f"Written: {path}")


@plugin.command(name="purge")
@place_options
@click.argument("name")
@click.option("--confirm", metavar="NAME", help="The name once more, for programs; a person is asked for it.")
@click.pass_context
def plugin_purge(context: click.Context, name: str, confirm: str | None, **given: Any) -> None:
    """Drop the tables of a plugin that is off, for good."""
    from crm_core import lifecycle

    settings = installation_of(context, **given)
    lifecycle.require_off(settings, name)
    with Installation.of(settings).running() as installation, installation.engine() as engine:
        with engine.connect() as connection:
            held = lifecycle.holdings(connection, name)
        lifecycle.require_no_dependants(held)
        for table, rows in [*held.tables.items(), *((table, rows) for (table, _c), rows in held.shared.items())]:
            click.echo(f"{rows:10}  {table}")
        if held.state != "archived":
            click.echo(f"There is no archive of it; to make one: crm plugin archive {name}")
        if confirm is None:
            confirm = click.prompt(
                "This cannot be undone. Type the plugin's name to go on", default="", show_default=False
            )
        if confirm != name:
            raise click.ClickException("The name was not typed; nothing was done.")
        lifecycle.purge(engine, settings, name)
    click.echo(f"{name} is purged.")


@plugin.command(name="new")
@click.argument("name")
@click.option("--title", help="Its title in English; default: the name.")
@click.option("--title-ru", help="Its title in Russian; default: the English one.")
@click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), help="The folder; default: plugins/NAME or crm-NAME."
)
def plugin_new(name: str, title: str | None, title_ru: str | None, into: Path | None) -> None:
    """Write a plugin with one entity, its migration, both languages and passing tests."""
    from crm_core import scaffold

    # Source code is for others to read, unlike what an installation writes.
    os.umask(0o022)
    folder = scaffold.write_plugin(name, title=title or "", title_ru=title_ru or "", into=into)
    click.echo(f"Written: {folder}")
    click.echo(f"Install it (pip install --no-deps -e {folder}), put {name} into crm.plugins, run: crm db upgrade")
    click.echo(f"Its tests: python -m pytest {folder}")
