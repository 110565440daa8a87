"""The signed HTTP contract: exchanges and programs tell of calls here; README.md shows how."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from crm_calls import contract, gateways, services
from crm_calls.contract import ContractError
from crm_core import files
from crm_core.records import saving
from crm_core.security.limits import Rule

TOLD = Rule("calls-told", "1200 per minute")
"""Events of one gateway."""

WRONG = Rule("calls-wrong", "30 per 10 minutes")
"""Messages from one address whose signature is not right."""

_CHUNK = 1 << 20


def problem(status: int, title: str, detail: str, **more: Any) -> Response:
    """Return what was wrong as problem+json (RFC 9457), for a program."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    response = Response(json.dumps(body, ensure_ascii=False).encode(), status=status)
    response.content_type, response.charset = "application/problem+json", None
    if status == 429:
        response.headers["Retry-After"] = "60"
    return response


@view_config(
    route_name="calls.in",
    request_method="POST",
    permission=NO_PERMISSION_REQUIRED,
    proof="signature",
    renderer="json",
)
def take(request: Request) -> Any:
    """Take one event of a call from whoever knows the gateway's secret."""
    if (refused := _refused(request)) is not None:
        return refused
    gateway_id = int(request.matchdict["gateway"])
    try:
        event, sound = _read(request)
        gate = services.telephony(request.db, request.gate.plugins, source="api")
        call = services.take(gate, gateway_id, event)
        if sound is not None:
            services.keep_recording(gate, request.file_store, call, sound, limit=contract.MAX_RECORDING)
        gateways.heard(request.db, gateway_id)
    except ContractError as error:
        return _undone(request, problem(422, "The event cannot be taken", error.detail, field=error.field))
    except files.FileError as error:
        detail = request.localizer.translate(error.message)
        return _undone(request, problem(422, "The recording cannot be taken", detail, field="file"))
    except saving.Conflict:
        return _undone(request, problem(503, "Somebody writes to this call just now", "Send the event again."))
    return {"id": call.id, "status": call.status, "known": call.subject_id is not None}


def _undone(request: Request, response: Response) -> Response:
    # Half an event is none.
    request.tm.doom()
    return response


def _refused(request: Request) -> Response | None:
    address = request.client_addr or ""
    if not request.limits.allows(WRONG, address):
        return problem(429, "Too many wrong messages", "Wait ten minutes; look at the secret and the clock.")
    length = request.content_length
    if length is None:
        return problem(411, "The length is missing", "Send Content-Length.")
    if length > (contract.MAX_RECORDING + contract.MAX_EVENT if _is_multipart(request) else contract.MAX_EVENT):
        return problem(
            413, "Too large", f"At most {contract.MAX_EVENT} bytes, with a recording {contract.MAX_RECORDING}."
        )
    # The length of a stranger's message is bounded above; whether he is one is known when all of it is read.
    request.make_body_seekable()
    secret = gateways.signing_secret(request.db, int(request.matchdict["gateway"]))
    stamp, signature = request.headers.get(contract.TIMESTAMP, ""), request.headers.get(contract.SIGNATURE, "")
    if not contract.is_signed(secret, stamp, signature, _chunks(request), time.time()):
        request.limits.hit(WRONG, address)
        return problem(
            401, "The signature is not right",
            f"{contract.SIGNATURE} must be sha256= and the HMAC-SHA256 of {contract.TIMESTAMP}, a point and the body, "
            f"made within {contract.WINDOW} seconds by the secret of this gateway.",
        )  # fmt: skip
    if not request.limits.hit(TOLD, request.matchdict["gateway"]):
        return problem(429, "Too many events", "At most 1200 a minute.")
    return None


def _is_multipart(request: Request) -> bool:
    return str(request.content_type or "").startswith("multipart/form-data")


def _chunks(request: Request) -> Iterator[bytes]:
    request.body_file_seekable.seek(0)
    while chunk := request.body_file_seekable.read(_CHUNK):
        yield chunk
    request.body_file_seekable.seek(0)


def _read(request: Request) -> tuple[contract.CallEvent, Any]:
    sound = None
    if _is_multipart(request):
        text, upload = request.POST.get("event", ""), request.POST.get("file")
        if not isinstance(text, str) or len(text) > contract.MAX_EVENT:
            raise ContractError("event", "a part “event” with the JSON of the event is required")
        sound = getattr(upload, "file", None)
    else:
        text = request.body.decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise ContractError("body", "is no JSON") from None
    if sound is not None and isinstance(data, dict) and data.get("event") == contract.RECORDING:
        return _with_sound(data), sound
    return contract.read_event(data), sound


def _with_sound(data: dict[str, Any]) -> contract.CallEvent:
    event = contract.read_event(data)
    # The recording is here: whatever the event does not need is an event without effect on the call itself.
    return contract.CallEvent(
        event="", call=event.call, at=event.at, direction=event.direction, number=event.number, lines=event.lines
    )
