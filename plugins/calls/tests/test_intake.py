"""The signed HTTP contract, as the other side meets it: signature, replay, order, limits, recordings."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm_calls import gateways
from crm_calls.contract import MAX_EVENT, sign
from crm_core.models.log import Operation
from crm_core.security.subject import Subject

README = Path(__file__).parents[1] / "README.md"
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\x00" * 60


@pytest.fixture
def send(testapp: Any, office: Any) -> Any:
    """Send an event as an exchange does."""

    def send(data: Any, *, secret: str = "", ago: float = 0, gateway: int | None = None, **options: Any) -> Any:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        stamp = str(int(time.time() - ago))
        headers = {
            "Content-Type": "application/json",
            "X-CRM-Timestamp": stamp,
            "X-CRM-Signature": sign(secret or office.secret, stamp, body),
            **options.pop("headers", {}),
        }
        number = office.gateway.id if gateway is None else gateway
        return testapp.post(f"/calls/in/{number}", body, headers=headers, **options)

    return send


def event(name: str = "started", **more: Any) -> dict[str, Any]:
    return {"event": name, "call": "77.1", "direction": "in", "number": "8 945 000-00-44", "lines": ["101"], **more}


def test_a_call_is_told_from_ring_to_end(send: Any, office: Any) -> None:
    person = office.person()

    answer = send(event())
    send(event("answered"))
    last = send(event("ended", result="answered", seconds=42))

    (call,) = office.calls()
    assert answer.json == {"id": call.id, "status": "ringing", "known": True}
    assert last.json["status"] == "ended"
    assert (call.subject_id, call.duration_s, call.owner_id) == (person.id, 42, office.manager.id)


def test_what_telephony_did_stands_in_the_log_as_its_own(send: Any, office: Any, db: Any) -> None:
    send(event())

    operation = db.scalars(sa.select(Operation).order_by(Operation.id.desc())).first()
    assert (operation.source, operation.user_id, operation.entity) == ("api", None, "calls.call")


@pytest.mark.parametrize(
    "options",
    [
        {"secret": "another"},
        {"ago": 301},
        {"ago": -301},
        {"gateway": 999999},
        {"headers": {"X-CRM-Signature": ""}},
        {"headers": {"X-CRM-Signature": "sha256="}},
        {"headers": {"X-CRM-Signature": "sha256=" + "0" * 64}},
        {"headers": {"X-CRM-Timestamp": ""}},
        {"headers": {"X-CRM-Timestamp": "now"}},
        {"headers": {"X-CRM-Timestamp": "٣"}},
        {"headers": {"X-CRM-Timestamp": "9" * 20}},
    ],
)
def test_whoever_does_not_prove_himself_is_told_the_same(send: Any, office: Any, options: dict[str, Any]) -> None:
    headers = {key: value.encode().decode("latin-1") for key, value in options.pop("headers", {}).items()}

    answer = send(event(), **options, headers=headers, status=401)

    assert answer.content_type == "application/problem+json"
    assert answer.json["title"] == "The signature is not right"
    assert office.calls() == []


def test_the_body_of_a_signed_message_cannot_be_changed(send: Any, testapp: Any, office: Any) -> None:
    stamp, body = str(int(time.time())), json.dumps(event()).encode()
    headers = {"X-CRM-Timestamp": stamp, "X-CRM-Signature": sign(office.secret, stamp, body)}

    testapp.post(f"/calls/in/{office.gateway.id}", body.replace(b"101", b"102"), headers=headers, status=401)


def test_a_gateway_that_is_off_or_has_no_secret_takes_nothing(send: Any, office: Any, db: Any) -> None:
    office.gateway.active = False
    db.flush()
    send(event(), status=401)

    office.gateway.active, office.gateway.secret = True, None
    db.flush()
    send(event(), secret="x", status=401)


def test_a_fresh_secret_ends_the_old_one(send: Any, office: Any, db: Any) -> None:
    fresh = gateways.new_secret(db, Subject.system("tests"), office.gateway)

    send(event(), status=401)
    send(event(), secret=fresh)


def test_a_message_that_is_sent_again_changes_nothing(send: Any, office: Any, db: Any) -> None:
    send(event("ended", result="no_answer"))
    (call,) = office.calls()
    version = call.version
    operations = db.scalar(sa.select(sa.func.count()).select_from(Operation))

    again = send(event("ended", result="no_answer"))

    assert again.json["status"] == "missed"
    assert office.calls()[0].version == version
    assert db.scalar(sa.select(sa.func.count()).select_from(Operation)) == operations


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"{", "body"),
        (b"[1]", "body"),
        (b"[" * 5000, "body"),
        ({}, "event"),
        (event("dance"), "event"),
        (event(call=""), "call"),
        (event(call="x" * 121), "call"),
        (event(call="a\nb"), "call"),
        (event(at="yesterday"), "at"),
        (event(at="2026-07-24T10:00:00"), "at"),
        (event(at="1999-07-24T10:00:00+00:00"), "at"),
        (event(at="2099-07-24T10:00:00+00:00"), "at"),
        (event(direction="up"), "direction"),
        (event(direction=""), "direction"),
        (event(number=79450000044), "number"),
        (event(lines="x" * 41), "lines"),
        (event(lines=[1]), "lines"),
        (event("ended"), "result"),
        (event("ended", result="answered", seconds=-1), "seconds"),
        (event("ended", result="answered", seconds=True), "seconds"),
        (event("recording"), "recording_url"),
        (event("recording", recording_url="file:///etc/passwd"), "recording_url"),
    ],
)
def test_what_cannot_be_taken_is_named_and_leaves_nothing(send: Any, office: Any, data: Any, field: str) -> None:
    answer = send(data, status=422)

    assert answer.content_type == "application/problem+json"
    assert (answer.json["status"], answer.json["field"]) == (422, field)
    assert office.calls() == []


def test_sizes_and_rates_have_ends(send: Any, testapp: Any, office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from crm_calls.views import intake
    from crm_core.security.limits import Rule

    send(b"x" * (MAX_EVENT + 1), status=413)

    monkeypatch.setattr(intake, "TOLD", Rule("calls-told-test", "2 per minute"))
    send(event())
    send(event())
    answer = send(event(), status=429)
    assert answer.headers["Retry-After"]

    monkeypatch.setattr(intake, "WRONG", Rule("calls-wrong-test", "2 per minute"))
    for _time in range(2):
        send(event(), secret="wrong", status=401)
    send(event(), status=429)


def test_neither_a_cookie_nor_another_method_opens_it(testapp: Any, login_as: Any, office: Any) -> None:
    login_as(office.admin)

    testapp.post(f"/calls/in/{office.gateway.id}", b"{}", status=401)
    testapp.get(f"/calls/in/{office.gateway.id}", status=404)


# -- recordings --------------------------------------------------------------------------------------------------------


def multipart(data: Any, sound: bytes) -> tuple[bytes, str]:
    mark = "sound-of-a-call"
    body = io.BytesIO()
    body.write(f'--{mark}\r\nContent-Disposition: form-data; name="event"\r\n\r\n{json.dumps(data)}\r\n'.encode())
    body.write(f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'.encode())
    body.write(b"Content-Type: audio/wav\r\n\r\n" + sound + f"\r\n--{mark}--\r\n".encode())
    return body.getvalue(), f"multipart/form-data; boundary={mark}"


def test_a_recording_comes_with_its_event_and_may_be_listened_to_by_those_who_may(
    send: Any, office: Any, testapp: Any, login_as: Any
) -> None:
    send(event("ended", result="answered", seconds=42))
    body, kind = multipart(event("recording"), WAV)

    send(body, headers={"Content-Type": kind})
    send(body, headers={"Content-Type": kind})

    (call,) = office.calls()
    assert (call.recording_type, call.recording_size) == ("audio/wav", len(WAV))
    login_as(office.manager)
    answer = testapp.get(f"/calls/{call.id}/recording")
    assert (answer.body, answer.content_type) == (WAV, "audio/wav")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    part = testapp.get(f"/calls/{call.id}/recording", headers={"Range": "bytes=0-3"})
    assert (part.status_int, part.body) == (206, b"RIFF")
    assert "attachment" in testapp.get(f"/calls/{call.id}/recording?save=1").headers["Content-Disposition"]
    for other, status in ((office.colleague, 404), (office.stranger, 404), (office.head, 200), (office.admin, 200)):
        login_as(other)
        testapp.get(f"/calls/{call.id}/recording", status=status)
    login_as("marketer")
    testapp.get(f"/calls/{call.id}/recording", status=403)


def test_what_is_no_sound_is_refused_whatever_its_name(send: Any, office: Any) -> None:
    send(event("ended", result="answered", seconds=42))
    body, kind = multipart(event("recording"), b"<script>alert(1)</script>" + b" " * 60)

    answer = send(body, headers={"Content-Type": kind}, status=422)

    assert answer.json["field"] == "file"
    assert office.calls()[0].recording is None


def test_an_address_of_a_recording_is_fetched_by_a_job(send: Any, office: Any, jobs: Any) -> None:
    send(event("ended", result="answered", seconds=42, recording_url="https://pbx.example.org/1.wav"))
    send(event("recording", recording_url="https://pbx.example.org/1.wav"))

    (job,) = office.jobs("calls.fetch")
    assert job.arguments["url"] == "https://pbx.example.org/1.wav"


# -- the README is true ------------------------------------------------------------------------------------------------


def test_the_example_of_the_readme_signs_as_the_contract_wants(office: Any, testapp: Any) -> None:
    code = re.search(r"```python\n(import hashlib.*?)```", README.read_text("utf-8"), re.S)
    assert code is not None
    sent: list[Any] = []

    class Sink:
        def __init__(self, url: str, data: bytes, headers: dict[str, str], method: str = "POST") -> None:
            sent.append((url, data, headers))

    text = code.group(1).replace("import urllib.request\n", "")
    space: dict[str, Any] = {}
    import types

    urllib = types.SimpleNamespace(
        request=types.SimpleNamespace(Request=Sink, urlopen=lambda *_a, **_k: io.BytesIO(b"{}"))
    )
    exec(compile(text, "README", "exec"), {**space, "urllib": urllib, "SECRET_FOR_TESTS": office.secret})

    url, body, headers = sent[0]
    assert url.endswith("/calls/in/1")
    stamp = headers["X-CRM-Timestamp"]
    assert headers["X-CRM-Signature"] == sign("the secret of the gateway", stamp, body)


def test_the_shell_example_of_the_readme_signs_as_the_contract_wants() -> None:
    import subprocess

    code = re.search(r"```sh\n(.*?)```", README.read_text("utf-8"), re.S)
    assert code is not None
    script = code.group(1).replace("curl ", "echo ").replace("https://crm.example.org", "http://localhost")

    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=20)

    stamp = re.search(r"X-CRM-Timestamp: (\d+)", done.stdout)
    signature = re.search(r"X-CRM-Signature: (sha256=[0-9a-f]{64})", done.stdout)
    body = re.search(r"--data-binary (\{.*?\})\s*(?:https?://|$)", done.stdout, re.S)
    assert stamp is not None
    assert signature is not None
    assert body is not None
    assert signature.group(1) == sign("the secret of the gateway", stamp.group(1), body.group(1).strip().encode())
