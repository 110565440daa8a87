"""What strangers and programs may do: fill a form in, show it in a frame of their site, send a signed lead."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from crm_core import clock
from crm_core.forms import InvalidValues
from crm_core.security.limits import Rule
from crm_core.views.shapes import FieldView
from crm_deals.i18n import _
from crm_deals.models import LeadForm
from crm_deals.services import lead_sources, leads

FORM = "crm_deals:templates/lead_public.pt"

PER_ADDRESS = Rule("deals-form-address", "10 per hour")
"""Requests through one form from one address."""

PER_FORM = Rule("deals-form", "300 per hour")
"""Requests through one form from everywhere."""

TOLD = Rule("deals-intake", "600 per minute")
"""Leads of one program."""

WRONG = Rule("deals-intake-wrong", "30 per 10 minutes")
"""Messages from one address whose signature is not right."""

LOCALES = ("ru", "en")

#: Bytes of a filled form.
MOST = 64 * 1024

#: A field that no person sees; programs fill in whatever has a name.
TRAP = "website"

_PURPOSE = "deals.lead_form"


# -- the form ----------------------------------------------------------------------------------------------------------


def _form(request: Request) -> LeadForm:
    form = lead_sources.form_of(request.db, request.matchdict["token"])
    if form is None:
        raise HTTPNotFound
    return form


@view_config(route_name="deals.lead_form", request_method="GET", permission=NO_PERMISSION_REQUIRED, renderer=FORM)
def show_form(request: Request) -> dict[str, Any]:
    """Show a form: a page of ours, or inside a frame of a site that may."""
    return _page(request, _form(request))


@view_config(
    route_name="deals.lead_form",
    request_method="POST",
    permission=NO_PERMISSION_REQUIRED,
    proof="public-form",
    renderer=FORM,
)
def send_form(request: Request) -> Any:
    """Take a filled form; whatever is wrong with it, what was typed stays."""
    form = _form(request)
    if (request.content_length or 0) > MOST:
        request.response.status_int = 413
        return _page(request, form, {"": _("This is too long. Please write less.")}, typed={})
    typed = {name: value for name, value in request.POST.items() if isinstance(value, str)}
    if typed.get(TRAP):
        # A program has filled in what no person sees: it is thanked, and nothing is kept.
        return _thanks(request, form)
    nonce, problem = _read_stamp(request, form, typed.get("stamp", ""))
    if problem is not None:
        request.response.status_int = 422
        return _page(request, form, {"": problem}, typed)
    address = request.client_addr or ""
    sent = lead_sources.Sent(
        values=typed, key=nonce, address=address, utm=lead_sources.read_utm(typed), agreed=typed.get("consent") == "1"
    )
    try:
        values = lead_sources.read_form(form, sent)
    except InvalidValues as invalid:
        request.response.status_int = 422
        return _page(request, form, invalid.errors, typed)
    if not (request.limits.hit(PER_FORM, form.id) and request.limits.hit(PER_ADDRESS, form.id, address)):
        request.response.status_int = 429
        return _page(
            request, form, {"": _("Too many requests came from here. Wait a little and send this again.")}, typed
        )
    gate = leads.inbox(request.db, request.gate.plugins, source="form", address=address)
    leads.receive(gate, **values)
    return _thanks(request, form)


def _thanks(request: Request, form: LeadForm) -> Any:
    if form.thanks_url and "embed" not in request.GET:
        return HTTPSeeOther(form.thanks_url)
    return _page(request, form, sent=True)


def _stamp(request: Request, form: LeadForm, nonce: str = "") -> str:
    text = f"{form.id}:{int(clock.now().timestamp())}:{nonce or secrets.token_urlsafe(12)}"
    return str(request.secrets.sign(_PURPOSE, text))


def _read_stamp(request: Request, form: LeadForm, stamp: str) -> tuple[str, Any]:
    """Return by what the filling is known, and what is wrong with how long it took."""
    text = request.secrets.unsign(_PURPOSE, stamp[:400]) or ""
    number, _colon, rest = text.partition(":")
    at, _colon, nonce = rest.partition(":")
    if number != str(form.id) or not at.isdecimal() or not nonce:
        return "", _("This page has been open for too long. Please look it through and send it again.")
    passed = clock.now().timestamp() - int(at)
    if passed > lead_sources.OPEN_FOR:
        return "", _("This page has been open for too long. Please look it through and send it again.")
    if passed < lead_sources.FASTEST:
        return "", _("That was very quick. Please look it through and send it again.")
    return nonce, None


def _page(
    request: Request,
    form: LeadForm,
    errors: Mapping[str, Any] | None = None,
    typed: Mapping[str, str] | None = None,
    *,
    sent: bool = False,
) -> dict[str, Any]:
    _speak(request, form)
    errors, typed = errors or {}, typed or {}
    say = request.translate
    embedded = "embed" in request.GET
    _open_frames(request, form)
    fields = []
    for name, title, kind, longest in lead_sources.ASKED:
        if name in form.fields:
            fields.append(
                FieldView(
                    name=name,
                    title=say(title),
                    kind=kind,
                    value=typed.get(name, ""),
                    maxlength=longest,
                    rows=4,
                    required=form.fields[name] == lead_sources.REQUIRED,
                    error=say(errors[name]) if name in errors else "",
                    autocomplete=_AUTOCOMPLETE.get(name, ""),
                )
            )
    query = {"embed": "1"} if embedded else {}
    if request.GET.get("locale") in LOCALES:
        query["locale"] = request.GET["locale"]
    whence = lead_sources.read_utm(typed or request.GET)
    before = request.referrer or ""
    if not typed and "referrer" not in whence and before and not before.startswith(request.host_url):
        whence |= lead_sources.read_utm({"referrer": before})
    return {
        "title": form.title or form.name,
        "intro": form.intro,
        "fields": fields,
        "action": f"/deals/f/{form.token}" + (f"?{urlencode(query)}" if query else ""),
        "stamp": "" if sent else _stamp(request, form),
        "whence": sorted(whence.items()),
        "trap": TRAP,
        "consent": form.consent_text,
        "agreed": typed.get("consent") == "1",
        "consent_error": say(errors["consent"]) if "consent" in errors else "",
        "problem": say(errors[""]) if "" in errors else "",
        "button": form.button or say(_("Send")),
        "sent": sent,
        "thanks": form.thanks_text or say(_("Thank you! We have got your request and will answer soon.")),
        "embedded": embedded,
        "next_href": form.thanks_url if sent else "",
    }


def _speak(request: Request, form: LeadForm) -> None:
    """Speak the language of the address, of the form, else of the visitor's browser."""
    asked = request.GET.get("locale", "")
    locale = asked if asked in LOCALES else form.locale
    if not locale:
        locale = request.accept_language.lookup(LOCALES, default=request.company.locale)
    for name in ("locale_name", "localizer", "locale", "formats"):
        request.__dict__.pop(name, None)
    request._LOCALE_ = locale


_AUTOCOMPLETE = {"name": "name", "phone": "tel", "email": "email", "company": "organization"}


def _open_frames(request: Request, form: LeadForm) -> None:
    """Let the sites of the form show this page in a frame, and no other."""
    ancestors = " ".join(form.sites) or "'none'"
    headers = request.response.headers
    headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'nonce-{request.csp_nonce}'; style-src 'self'; img-src 'self' data:; "
        f"font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
    )
    if form.sites:
        # Browsers that know `frame-ancestors` do not look at this; the others must not refuse.
        headers["X-Frame-Options"] = f"ALLOW-FROM {form.sites[0]}"
    headers["Cache-Control"] = "no-store"
    headers["Referrer-Policy"] = "strict-origin-when-cross-origin"


_SCRIPT = """(function () {
  var me = document.currentScript, src = %(href)s, query = ["embed=1"], known = %(known)s;
  var here = new URLSearchParams(location.search);
  known.forEach(function (name) {
    if (here.get(name)) query.push(name + "=" + encodeURIComponent(here.get(name)));
  });
  query.push("page=" + encodeURIComponent((location.origin + location.pathname).slice(0, 300)));
  if (document.referrer) query.push("referrer=" + encodeURIComponent(document.referrer.slice(0, 300)));
  var frame = document.createElement("iframe");
  frame.src = src + "?" + query.join("&");
  frame.title = %(title)s;
  frame.width = "100%%";
  frame.height = "640";
  frame.style.border = "0";
  me.parentNode.insertBefore(frame, me);
  addEventListener("message", function (event) {
    if (event.source !== frame.contentWindow || event.origin !== new URL(src).origin) return;
    var height = Number(event.data && event.data.crmFormHeight);
    if (height > 0 && height < 10000) frame.height = String(Math.ceil(height));
    var next = event.data && event.data.crmFormNext;
    if (typeof next === "string" && /^https?:/.test(next)) location.href = next;
  });
})();
"""


@view_config(route_name="deals.lead_script", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def script(request: Request) -> Response:
    """Answer the small script that puts the form where it stands on a page."""
    form = _form(request)
    base = request.company.base_url or request.host_url
    text = _SCRIPT % {
        "href": json.dumps(f"{base}/deals/f/{form.token}"),
        "known": json.dumps([name for name in leads.UTM_KEYS if name.startswith("utm_")]),
        "title": json.dumps(form.title or form.name),
    }
    response = Response(text.encode(), content_type="text/javascript", charset="utf-8")
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


# -- programs ----------------------------------------------------------------------------------------------------------


def problem(status: int, title: str, detail: str, **more: Any) -> Response:
    """Return what was wrong as problem+json (RFC 9457), for a program."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    response = Response(json.dumps(body, ensure_ascii=False).encode(), status=status)
    response.content_type, response.charset = "application/problem+json", None
    if status == 429:
        response.headers["Retry-After"] = "60"
    return response


@view_config(
    route_name="deals.lead_intake",
    request_method="POST",
    permission=NO_PERMISSION_REQUIRED,
    proof="signature",
    renderer="json",
)
def take_in(request: Request) -> Any:
    """Take a lead from a program that signs it; README.md shows how."""
    address = request.client_addr or ""
    if not request.limits.allows(WRONG, address):
        return problem(429, "Too many wrong messages", "Wait ten minutes; look at the secret and the clock.")
    length = request.content_length
    if length is None:
        return problem(411, "The length is missing", "Send Content-Length.")
    if length > lead_sources.MAX_BODY:
        return problem(413, "Too large", f"At most {lead_sources.MAX_BODY} bytes.")
    intake, secret = lead_sources.intake_of(request.db, request.matchdict["token"])
    body = request.body
    stamp = request.headers.get(lead_sources.TIMESTAMP, "")
    signature = request.headers.get(lead_sources.SIGNATURE, "").strip()
    if intake is None or not lead_sources.is_signed(secret, stamp, signature, body, clock.now()):
        request.limits.hit(WRONG, address)
        return problem(
            401, "The signature is not right",
            f"{lead_sources.SIGNATURE} must be sha256= and the HMAC-SHA256 of {lead_sources.TIMESTAMP}, a point and "
            f"the body, made within {lead_sources.WINDOW} seconds by the secret of this source.",
        )  # fmt: skip
    if not request.limits.hit(TOLD, intake.id):
        return problem(429, "Too many leads", "At most 600 a minute.")
    try:
        key = request.headers.get(lead_sources.IDEMPOTENCY, "")
        values = lead_sources.read_message(intake, body, key, signature)
    except lead_sources.IntakeError as error:
        return problem(422, "The lead cannot be taken", error.detail, field=error.field)
    gate = leads.inbox(request.db, request.gate.plugins, source="api", address=address)
    received = leads.receive(gate, **values)
    if not received.fresh and received.lead.digest != values["digest"]:
        return problem(409, "This key was used for another lead", f"Send another {lead_sources.IDEMPOTENCY}.")
    request.response.status_int = 201 if received.fresh else 200
    return {"id": received.lead.id, "state": received.lead.state, "fresh": received.fresh}
