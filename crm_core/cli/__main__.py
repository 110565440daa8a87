"""Runs the command line as ``python -m crm_core.cli``."""

from crm_core.cli import main

main()
