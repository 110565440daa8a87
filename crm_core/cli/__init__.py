"""The command ``crm``: starts an installation, looks after it, and does from a console what the pages do.

Every command is a few lines that find the installation and delegate; a wrong setting is told in one sentence.
"""

from __future__ import annotations

import os
import sys
import warnings

import click

from crm_core.settings import ConfigurationError

# Pyramid 2.1 imports pkg_resources and says so on every start; the lock holds a setuptools that has it.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")


def main() -> None:
    """Run the command line; the entry point of the script."""
    # What an installation writes is its owner's alone; folders that exist keep their mode.
    os.umask(0o077)
    from crm_core.cli.commands import crm
    from crm_core.embedded.child import EmbeddedError

    try:
        _add_commands_of_plugins(crm)
        crm(prog_name="crm")
    except ConfigurationError as error:
        click.echo(f"crm: {error}", err=True)
        sys.exit(78)
    except EmbeddedError as error:
        click.echo(f"crm: {error}", err=True)
        sys.exit(1)


def _add_commands_of_plugins(group: click.Group) -> None:
    """Let the plugins of the installation add commands, only when a command of theirs may be meant."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if not words or any(word in group.commands for word in words):
        return
    from crm_core.cli.commands import installation_of
    from crm_core.plugins import add_commands

    try:
        context = group.make_context("crm", sys.argv[1:], resilient_parsing=True)
        settings = installation_of(context)
    except (click.ClickException, ConfigurationError):
        return
    from crm_core.cli.installation import plugins_of

    add_commands(plugins_of(settings), group)
