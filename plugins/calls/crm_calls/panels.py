"""Blocks of cards: the recording of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyramid.request import Request

from crm_calls.entities import CALL
from crm_calls.i18n import _
from crm_calls.permissions import LISTEN
from crm_core.specs import Panel


def recording(request: Request, call: Any) -> Mapping[str, Any] | None:
    """Return the recording of a call; nothing where there is none, or where it is not for this person's ears."""
    if not call.recording or not request.gate.allows(LISTEN, call):
        return None
    return {
        "href": f"/calls/{call.id}/recording",
        "size": request.formats.filesize(call.recording_size),
        "title": request.translate(_("Recording of the call with ${number}", mapping={"number": call.caption})),
    }


PANELS: tuple[Panel, ...] = (
    Panel(
        id="calls.recording",
        title=_("Recording"),
        entity=CALL,
        load=recording,
        template="crm_calls:templates/recording.pt",
        permission=LISTEN,
        order=10,
    ),
)
