"""Where leads come from: forms of the site, programs that sign what they send; and the rules of handing out, kept."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.orm import Session

from crm_core import clock
from crm_core.forms import InvalidValues
from crm_core.jobs import SECRETS
from crm_core.models.accounts import ACTIVE, User
from crm_core.records import cleaning, operations
from crm_core.records.gate import Gate
from crm_core.security.subject import Subject
from crm_deals.i18n import _
from crm_deals.models import LeadForm, LeadIntake, LeadRule
from crm_deals.models.leads import PERSON
from crm_deals.schemas.deals import SOURCES
from crm_deals.schemas.leads import WAYS
from crm_deals.services import leads

SECRET = "deals.lead_intake.secret"  # noqa: S105  names the purpose of sealing

OPTIONAL, REQUIRED = "optional", "required"

#: What a form may ask, in this order: name, title, kind of control, longest text.
ASKED: tuple[tuple[str, str, str, int], ...] = (
    ("name", _("Your name"), "text", 200),
    ("phone", _("Phone"), "phone", 60),
    ("email", _("E-mail"), "email", 200),
    ("company", _("Company"), "text", 300),
    ("text", _("What can we do for you?"), "longtext", 5000),
)

#: Seconds that a person needs at least, and for which a form that lies open may be sent.
FASTEST, OPEN_FOR = 2, 24 * 3600

TIMESTAMP, SIGNATURE, IDEMPOTENCY = "X-CRM-Timestamp", "X-CRM-Signature", "Idempotency-Key"
#: Seconds by which a program's clock may differ, and for which an overheard message could be sent again.
WINDOW = 300
MAX_BODY = 64 * 1024


# -- forms of the site -------------------------------------------------------------------------------------------------


def form_of(session: Session, token: str) -> LeadForm | None:
    """Return an open form by the name in its address."""
    if not 8 <= len(token) <= 60:
        return None
    return session.scalars(sa.select(LeadForm).where(LeadForm.token == token, LeadForm.active)).one_or_none()


def save_form(session: Session, subject: Subject, form: LeadForm | None, values: Mapping[str, Any]) -> LeadForm:
    """Make or change a form; another text of the consent is another version of it."""
    clean = _form_values(values)
    operations.describe(session, subject, kind="settings")
    if form is None:
        form = LeadForm(token=secrets.token_urlsafe(12), consent_text=clean["consent_text"], name=clean["name"])
        session.add(form)
    elif form.consent_text != clean["consent_text"]:
        form.consent_version += 1
    for name, value in clean.items():
        setattr(form, name, value)
    session.flush()
    return form


def _form_values(values: Mapping[str, Any]) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    clean: dict[str, Any] = {}
    for name, longest in (("name", 120), ("title", 200), ("intro", 2000), ("button", 60), ("thanks_text", 1000)):
        text = str(values.get(name) or "").replace("\x00", "").strip()
        if len(text) > longest:
            errors[name] = _("At most ${max} characters.", mapping={"max": longest})
        clean[name] = text
    if not clean["name"]:
        errors["name"] = _("Give it a name, by which you know it.")
    clean["consent_text"] = str(values.get("consent_text") or "").replace("\x00", "").strip()
    if not 20 <= len(clean["consent_text"]) <= 5000:
        errors["consent_text"] = _("Write what people agree to: who keeps what and why, and how to withdraw.")
    clean["thanks_url"] = str(values.get("thanks_url") or "").strip()
    if clean["thanks_url"] and not _is_url(clean["thanks_url"]):
        errors["thanks_url"] = _("Write a whole address that begins with https://.")
    clean["sites"], wrong = _sites(str(values.get("sites") or ""))
    if wrong:
        errors["sites"] = _("This is no address of a site: ${site}", mapping={"site": wrong})
    known = {name for name, *_rest in ASKED}
    fields = {name: how for name, how in dict(values.get("fields") or {}).items() if name in known and how}
    if not fields.keys() & {"phone", "email"}:
        errors["field-phone"] = _("Ask for a phone or an address: else nobody can answer.")
    clean["fields"] = {name: REQUIRED if how == REQUIRED else OPTIONAL for name, how in fields.items()}
    clean["source"] = values.get("source") if values.get("source") in dict(SOURCES) else "site"
    clean["pipeline_id"] = values.get("pipeline_id")
    clean["locale"] = values.get("locale") if values.get("locale") in ("ru", "en") else ""
    clean["active"] = bool(values.get("active", True))
    if errors:
        raise InvalidValues(errors, values)
    return clean


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("https", "http") and bool(parts.hostname) and text.isprintable() and " " not in text


def _sites(text: str) -> tuple[list[str], str]:
    """Return the origins that were written, one a line, and the first that is none."""
    found: list[str] = []
    for one in text.replace(",", " ").split():
        whole = one if "://" in one else f"https://{one}"
        try:
            parts = urlsplit(whole)
            port = parts.port
        except ValueError:
            return found, one
        host = (parts.hostname or "").encode("idna").decode() if _may_be_host(parts.hostname) else ""
        if not host or parts.scheme not in ("https", "http") or parts.path not in ("", "/") or parts.query:
            return found, one
        origin = f"{parts.scheme}://{host}{f':{port}' if port else ''}"
        if origin not in found:
            found.append(origin)
    return found[:20], ""


def _may_be_host(host: str | None) -> bool:
    if not host or len(host) > 200 or not all(sign.isalnum() or sign in ".-" for sign in host):
        return False
    return all(0 < len(part) < 60 for part in host.split("."))


@dataclass(frozen=True)
class Sent:
    """A form that was filled in: what it says, and under which name it came."""

    values: Mapping[str, str]
    key: str
    address: str
    utm: Mapping[str, str]
    agreed: bool


def read_form(form: LeadForm, sent: Sent) -> dict[str, Any]:
    """Return the columns of the lead that a filled form makes; raise `InvalidValues` that keeps what was typed."""
    errors: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, _title, kind, longest in ASKED:
        if name not in form.fields:
            continue
        text = str(sent.values.get(name) or "").replace("\x00", "").strip()
        if kind != "longtext":
            text = " ".join(text.split())
        if not text:
            if form.fields[name] == REQUIRED:
                errors[name] = _("Fill this in.")
            continue
        if len(text) > longest:
            errors[name] = _("At most ${max} characters.", mapping={"max": longest})
        elif kind == "phone" and not any(one.value for one in cleaning.clean_phones(text)):
            errors[name] = _("Write the phone with its code, like +7 999 123-45-67.")
        elif kind == "email" and not any(one.value for one in cleaning.clean_emails(text)):
            errors[name] = _("Write the address like name@example.com.")
        values[name] = text
    if not errors and not (values.get("phone") or values.get("email")):
        first = "phone" if "phone" in form.fields else "email"
        errors[first] = _("Leave a phone or an address, so that we can answer.")
    if not sent.agreed:
        errors["consent"] = _("Without your consent we may not keep what you write.")
    if errors:
        raise InvalidValues(errors, sent.values)
    phone, email = values.pop("phone", None), values.pop("email", None)
    return {
        **values,
        "phones": [phone] if phone else [],
        "emails": [email] if email else [],
        "source": form.source,
        "form_id": form.id,
        "pipeline_id": form.pipeline_id,
        "utm": dict(sent.utm),
        "consent_text": form.consent_text,
        "consent_version": form.consent_version,
        "consent_at": clock.now(),
        "consent_address": sent.address,
        "key": f"form:{form.id}:{sent.key}",
    }


def read_utm(values: Mapping[str, Any]) -> dict[str, str]:
    """Return where a visitor came from as far as the page told, cut to a decent length."""
    found = {}
    for name in leads.UTM_KEYS:
        text = values.get(name)
        if isinstance(text, str) and text.strip():
            found[name] = "".join(sign for sign in text.strip() if sign.isprintable())[:300]
    return found


# -- programs that sign ------------------------------------------------------------------------------------------------


class IntakeError(ValueError):
    """Tells which part of a message cannot be taken and why; in English, for whoever programs the other side."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


def save_intake(
    session: Session, subject: Subject, intake: LeadIntake | None, values: Mapping[str, Any]
) -> tuple[LeadIntake, str]:
    """Make or change a program that sends leads; return the secret of a new one, which cannot be read again."""
    name = str(values.get("name") or "").strip()
    if not name or len(name) > 120:
        raise InvalidValues({"name": _("Give it a name of at most 120 characters.")}, values)
    operations.describe(session, subject, kind="settings")
    secret = ""
    if intake is None:
        intake = LeadIntake(token=secrets.token_urlsafe(12), name=name)
        session.add(intake)
        secret = _seal_new(session, intake)
    intake.name = name
    source = str(values.get("source") or "")
    intake.source = source if source in dict(SOURCES) else "site"
    intake.pipeline_id = values.get("pipeline_id")
    intake.active = bool(values.get("active", True))
    session.flush()
    return intake, secret


def new_secret(session: Session, subject: Subject, intake: LeadIntake) -> str:
    """Give a program another secret and return it; the old one is worth nothing from now on."""
    operations.describe(session, subject, kind="settings")
    secret = _seal_new(session, intake)
    session.flush()
    return secret


def _seal_new(session: Session, intake: LeadIntake) -> str:
    secret = secrets.token_urlsafe(32)
    intake.secret = session.info[SECRETS].seal(SECRET, secret)
    return secret


def intake_of(session: Session, token: str) -> tuple[LeadIntake | None, str]:
    """Return a program that is on by the name in its address, and its secret."""
    found = session.scalars(
        sa.select(LeadIntake).where(LeadIntake.token == token, LeadIntake.active)
    ).one_or_none()
    if found is None or not found.secret:
        return found, ""
    try:
        return found, str(session.info[SECRETS].unseal(SECRET, found.secret))
    except ValueError:
        # Sealed by another key file: a new secret mends it, and until then nothing is signed rightly.
        return found, ""


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a message: what goes into the header."""
    return "sha256=" + hmac.digest(secret.encode(), timestamp.encode() + b"." + body, "sha256").hex()


def is_signed(secret: str, timestamp: str, signature: str, body: bytes, now: dt.datetime) -> bool:
    """Tell whether a message was signed with the secret a moment ago."""
    if not secret or not timestamp.isascii() or not timestamp.isdecimal() or len(timestamp) > 12:
        return False
    right = sign(secret, timestamp, body)
    same = hmac.compare_digest(right.encode(), signature.strip().encode("utf-8", "replace"))
    return same and abs(now.timestamp() - int(timestamp)) <= WINDOW


def read_message(intake: LeadIntake, body: bytes, idempotency: str, signature: str) -> dict[str, Any]:
    """Return the columns of the lead that a program sends; `IntakeError` names the part that is wrong."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise IntakeError("body", "is no JSON") from None
    if not isinstance(data, dict):
        raise IntakeError("body", "must be a JSON object")
    known = {"name", "company", "text", "phone", "phones", "email", "emails", "source", "utm", "received_at", "consent"}
    strange = sorted(set(data) - known)
    if strange:
        raise IntakeError(strange[0], f"is unknown; there are: {', '.join(sorted(known))}")
    if len(idempotency) > 200 or not idempotency.isprintable():
        raise IntakeError(IDEMPOTENCY, "must be at most 200 printable characters")
    values: dict[str, Any] = {
        "name": _line(data, "name", 200),
        "company": _line(data, "company", 300),
        "text": _text(data, "text", 10_000),
        "phones": _several(data, "phone", "phones"),
        "emails": _several(data, "email", "emails"),
    }
    if not any(values.values()):
        raise IntakeError("body", "says nothing of who asks: send at least one of name, phone, email, company, text")
    source = data.get("source") or intake.source
    if source not in dict(SOURCES):
        raise IntakeError("source", f"must be one of {', '.join(dict(SOURCES))}")
    utm = data.get("utm") or {}
    if not isinstance(utm, dict):
        raise IntakeError("utm", f"must be an object; taken are {', '.join(leads.UTM_KEYS)}")
    # Without a key of its own a message is known by its signature, so that the same one sent again is no second lead.
    key = idempotency.strip() or "s." + hashlib.sha256(signature.encode()).hexdigest()[:40]
    return {
        **values,
        **_consent(data),
        "source": source,
        "utm": read_utm(utm),
        "intake_id": intake.id,
        "pipeline_id": intake.pipeline_id,
        "received_at": _instant(data.get("received_at")),
        "key": f"in:{intake.id}:{key}",
        "digest": hashlib.sha256(body).hexdigest(),
    }


def _line(data: Mapping[str, Any], name: str, longest: int) -> str:
    return " ".join(_text(data, name, longest).split())


def _text(data: Mapping[str, Any], name: str, longest: int) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise IntakeError(name, f"must be a text of at most {longest} characters")
    return value.replace("\x00", "").strip()


def _several(data: Mapping[str, Any], one: str, many: str) -> list[str]:
    found = data.get(many) or []
    if not isinstance(found, list) or len(found) > 20 or not all(isinstance(x, str) and len(x) <= 200 for x in found):
        raise IntakeError(many, "must be at most 20 texts of at most 200 characters")
    single = _text(data, one, 200)
    return [text.replace("\x00", "").strip() for text in ([single] if single else []) + found if text.strip()]


def _consent(data: Mapping[str, Any]) -> dict[str, Any]:
    consent = data.get("consent")
    if consent is None:
        return {}
    if not isinstance(consent, dict):
        raise IntakeError("consent", "must be an object with text, version, at and address")
    version = consent.get("version")
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise IntakeError("consent.version", "must be a whole number")
    at = _instant(consent.get("at"), "consent.at") if consent.get("at") else clock.now()
    return {
        "consent_text": _text(consent, "text", 5000) or None,
        "consent_version": version,
        "consent_at": at,
        "consent_address": _line(consent, "address", 60) or None,
    }


def _instant(value: Any, field: str = "received_at") -> dt.datetime | None:
    if value is None:
        return None
    try:
        at = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
        if at is None or at.tzinfo is None:
            raise ValueError
        at = at.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise IntakeError(field, "must be an instant with its zone, like 2026-07-24T10:15:00+04:00") from None
    now = clock.now()
    if not now - dt.timedelta(days=366) <= at <= now + dt.timedelta(minutes=10):
        raise IntakeError(field, "lies ahead or more than a year ago")
    return at


# -- calls of unknown numbers ------------------------------------------------------------------------------------------


def of_call(gate: Gate, payload: Mapping[str, Any]) -> leads.Received:
    """Make a lead of a call from a number of nobody, once for each call."""
    at = payload.get("at")
    return leads.receive(
        gate,
        key=f"call:{payload['id']}",
        owner_id=payload.get("user_id"),
        received_at=dt.datetime.fromisoformat(at) if isinstance(at, str) and at else None,
        phones=[str(payload.get("number") or "")],
        source="call",
    )


# -- rules -------------------------------------------------------------------------------------------------------------


def rules(session: Session) -> Sequence[LeadRule]:
    """Return the rules in their order."""
    return session.scalars(sa.select(LeadRule).order_by(LeadRule.position, LeadRule.id)).all()


def save_rule(session: Session, subject: Subject, rule: LeadRule | None, values: Mapping[str, Any]) -> LeadRule:
    """Make or change a rule; a new one is asked last."""
    errors: dict[str, Any] = {}
    people = list(dict.fromkeys(values.get("user_ids") or ()))
    there = set(session.scalars(sa.select(User.id).where(User.id.in_(people), User.status == ACTIVE)))
    people = [one for one in people if one in there]
    way = values.get("way")
    if way not in dict(WAYS):
        errors["way"] = _("Choose from the list.")
    if not people:
        errors["user_ids"] = _("Choose who answers.")
    elif way == PERSON and len(people) > 1:
        errors["user_ids"] = _("Choose one person, or another way to choose.")
    term = values.get("term_minutes")
    if not isinstance(term, int) or not 1 <= term <= 10_000:
        errors["term_minutes"] = _("Write minutes of working time, from 1 to 10,000.")
    source = values.get("source") or None
    if source is not None and source not in dict(SOURCES):
        errors["source"] = _("Choose from the list.")
    if errors:
        raise InvalidValues(errors, values)
    operations.describe(session, subject, kind="settings")
    if rule is None:
        last = session.scalar(sa.select(sa.func.coalesce(sa.func.max(LeadRule.position), 0)))
        rule = LeadRule(position=int(last or 0) + 1)
        session.add(rule)
    rule.source, rule.way, rule.user_ids, rule.term_minutes = source, str(way), people, int(term or 30)
    rule.form_id, rule.intake_id = values.get("form_id"), values.get("intake_id")
    rule.active = bool(values.get("active", True))
    session.flush()
    return rule


def move_rule(session: Session, subject: Subject, rule: LeadRule, up: bool) -> None:
    """Let a rule be asked one place earlier or later."""
    ordered = list(rules(session))
    place = ordered.index(rule)
    other = place - 1 if up else place + 1
    if not 0 <= other < len(ordered):
        return
    ordered[place], ordered[other] = ordered[other], ordered[place]
    operations.describe(session, subject, kind="settings")
    for position, one in enumerate(ordered, 1):
        one.position = position
    session.flush()


def delete_rule(session: Session, subject: Subject, rule: LeadRule) -> None:
    """Take a rule away; leads that it handed out stay where they are."""
    from crm_deals.models import LeadTurn

    operations.describe(session, subject, kind="settings")
    session.connection().execute(sa.delete(LeadTurn.__table__).where(LeadTurn.rule_id == rule.id))
    session.delete(rule)
    session.flush()
