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
        crm(prog_name="crm")
    except ConfigurationError as error:
        click.echo(f"crm: {error}", err=True)
        sys.exit(78)
    except EmbeddedError as error:
        click.echo(f"crm: {error}", err=True)
        sys.exit(1)
