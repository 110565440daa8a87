"""The two pluggy markers of this project; a plugin imports `hookimpl` from here and nothing else."""

import pluggy

PROJECT = "crm"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
