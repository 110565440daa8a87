"""Settings of leads: the rules by which they are handed out, forms of the site, programs that send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from crm_core.forms import InvalidValues
from crm_core.i18n import localizer_for, translate
from crm_core.records import operations
from crm_core.records.gate import user_names
from crm_core.views.shapes import Action, Badge, Choice, Crumb, FieldView
from crm_deals.i18n import _
from crm_deals.models import LeadForm, LeadIntake, LeadRule
from crm_deals.models.leads import ROUND
from crm_deals.permissions import SETTINGS as MAY_SET
from crm_deals.schemas.deals import SOURCES
from crm_deals.schemas.leads import WAYS
from crm_deals.services import lead_rules, lead_sources
from crm_deals.views.answers import answer, choices, done, form_page, number, number_or_none, undo_href

FORM = "crm_deals:templates/form.pt"
_T = "crm_deals:templates/"
HOME = "/settings/deals/leads"

CONSENT = _(
    "I agree that my name, phone, address and request are kept and used to answer me. I may withdraw this at any time "
    "by writing to the company."
)


@view_config(
    route_name="deals.lead_settings", request_method="GET", permission=MAY_SET, renderer=_T + "lead_settings.pt"
)
def show(request: Request) -> dict[str, Any]:
    """Show the rules, forms and programs."""
    return _home(request)


def _home(request: Request, errors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    say = request.translate
    forms = request.db.scalars(sa.select(LeadForm).order_by(LeadForm.active.desc(), LeadForm.id)).all()
    intakes = request.db.scalars(sa.select(LeadIntake).order_by(LeadIntake.active.desc(), LeadIntake.id)).all()
    rules = lead_sources.rules(request.db)
    names = user_names(request.db, [one for rule in rules for one in rule.user_ids])
    by_form = {one.id: one.name for one in forms}
    by_intake = {one.id: one.name for one in intakes}
    term = FieldView(
        name="term", title=say(_("Minutes of working time to answer when no rule says so")), kind="number",
        value=str(request.company.get(lead_rules.TERM)), minimum="1", maximum="10000",
        error=say(errors["term"]) if errors and "term" in errors else "",
    )  # fmt: skip
    if errors:
        request.response.status_int = 422
    return {
        "title": _("Leads"),
        "crumbs": [Crumb(title=say(_("Settings")), href="/settings")],
        "rules": [
            {
                "href": f"{HOME}/rules/{rule.id}",
                "title": _rule_title(request, rule, by_form, by_intake),
                "hint": _rule_hint(request, rule, names),
                "off": None if rule.active else Badge(text=say(_("Off")), tone="muted"),
                "moves": [
                    Action(title=say(title), href=f"{HOME}/rules/{rule.id}/{way}", icon=icon, method="post")
                    for way, title, icon, possible in (
                        ("up", _("Earlier"), "chevron-up", place > 0),
                        ("down", _("Later"), "chevron-down", place < len(rules) - 1),
                    )
                    if possible
                ],
            }
            for place, rule in enumerate(rules)
        ],
        "forms": [
            {
                "href": f"{HOME}/forms/{one.id}",
                "title": one.name,
                "hint": f"/deals/f/{one.token}",
                "off": None if one.active else Badge(text=say(_("Closed")), tone="muted"),
                "open": Action(title=say(_("Open")), href=f"/deals/f/{one.token}", icon="external-link", look="ghost"),
            }
            for one in forms
        ],
        "intakes": [
            {
                "href": f"{HOME}/programs/{one.id}",
                "title": one.name,
                "hint": f"/deals/leads/in/{one.token}",
                "off": None if one.active else Badge(text=say(_("Off")), tone="muted"),
            }
            for one in intakes
        ],
        "new_rule": Action(title=say(_("Add a rule")), href=f"{HOME}/rules/new", icon="plus", open="dialog"),
        "new_form": Action(title=say(_("Add a form")), href=f"{HOME}/forms/new", icon="plus"),
        "new_intake": Action(title=say(_("Add a program")), href=f"{HOME}/programs/new", icon="plus", open="dialog"),
        "term": term,
        "term_action": f"{HOME}/term",
    }


def _rule_title(request: Request, rule: LeadRule, forms: Mapping[int, str], intakes: Mapping[int, str]) -> str:
    say = request.translate
    parts = []
    if rule.source:
        parts.append(say(dict(SOURCES).get(rule.source, rule.source)))
    if rule.form_id:
        parts.append(say(_("form “${name}”", mapping={"name": forms.get(rule.form_id, "")})))
    if rule.intake_id:
        parts.append(say(_("program “${name}”", mapping={"name": intakes.get(rule.intake_id, "")})))
    return ", ".join(parts) or say(_("All leads"))


def _rule_hint(request: Request, rule: LeadRule, names: Mapping[int, str]) -> str:
    say = request.translate
    people = ", ".join(names[one] for one in rule.user_ids if one in names)
    term = request.plural("${n} minute", "${n} minutes", rule.term_minutes, domain="crm_deals")
    return f"{say(dict(WAYS)[rule.way])}: {people} · {term}"


@view_config(route_name="deals.lead_term", request_method="POST", permission=MAY_SET, renderer=_T + "lead_settings.pt")
def save_term(request: Request) -> Any:
    """Keep in how many minutes a lead is answered when no rule says so."""
    minutes = number(request.POST.get("term"))
    if not 1 <= minutes <= 10_000:
        return _home(request, {"term": _("Write minutes of working time, from 1 to 10,000.")})
    operations.describe(request.db, request.subject, kind="settings")
    request.company.set(lead_rules.TERM, minutes)
    request.toast(_("The term is saved."), undo_href=undo_href(request))
    return HTTPSeeOther(HOME)


# -- rules -------------------------------------------------------------------------------------------------------------


def _of(request: Request, model: Any) -> Any:
    found = request.db.get(model, number(request.matchdict["id"]))
    if found is None:
        raise HTTPNotFound
    return found


@view_config(route_name="deals.lead_rule_new", request_method="GET", permission=MAY_SET, renderer=FORM)
def new_rule(request: Request) -> dict[str, Any]:
    """Show the form that makes a rule."""
    return _rule_page(request, None)


@view_config(route_name="deals.lead_rule_new", request_method="POST", permission=MAY_SET, renderer=FORM)
def make_rule(request: Request) -> Any:
    """Make a rule."""
    return _save_rule(request, None)


@view_config(route_name="deals.lead_rule", request_method="GET", permission=MAY_SET, renderer=FORM)
def edit_rule(request: Request) -> dict[str, Any]:
    """Show a rule."""
    return _rule_page(request, _of(request, LeadRule))


@view_config(route_name="deals.lead_rule", request_method="POST", permission=MAY_SET, renderer=FORM)
def change_rule(request: Request) -> Any:
    """Change a rule, or take it away."""
    rule = _of(request, LeadRule)
    if "remove" in request.POST:
        lead_sources.delete_rule(request.db, request.subject, rule)
        return done(request, _("The rule is taken away."), HOME, go=True)
    return _save_rule(request, rule)


def _save_rule(request: Request, rule: LeadRule | None) -> Any:
    post = request.POST
    values = {
        "source": str(post.get("source", "")),
        "form_id": _known(request, LeadForm, post.get("form_id")),
        "intake_id": _known(request, LeadIntake, post.get("intake_id")),
        "way": str(post.get("way", "")),
        "user_ids": [number(one) for one in post.getall("user_ids") if number(one)],
        "term_minutes": number(post.get("term_minutes")),
        "active": "active" in post,
    }
    try:
        lead_sources.save_rule(request.db, request.subject, rule, values)
    except InvalidValues as invalid:
        return _rule_page(request, rule, invalid.errors)
    return done(request, _("The rule is saved."), HOME, go=True)


def _known(request: Request, model: Any, text: Any) -> int | None:
    chosen = number_or_none(text)
    return chosen if chosen is not None and request.db.get(model, chosen) is not None else None


def _rule_page(request: Request, rule: LeadRule | None, errors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    say, errors = request.translate, errors or {}
    post = request.POST if request.method == "POST" else None

    def value(name: str, default: Any) -> str:
        if post is not None:
            return str(post.get(name, ""))
        return str((getattr(rule, name) if rule is not None else default) or "")

    def error(name: str) -> str:
        return say(errors[name]) if name in errors else ""

    if post is not None:
        people = [number(one) for one in post.getall("user_ids")]
    else:
        people = list(rule.user_ids) if rule is not None else []
    names = user_names(request.db, people)
    forms = request.db.execute(sa.select(LeadForm.id, LeadForm.name).where(LeadForm.active).order_by(LeadForm.id)).all()
    intakes = request.db.execute(
        sa.select(LeadIntake.id, LeadIntake.name).where(LeadIntake.active).order_by(LeadIntake.id)
    ).all()
    anything = say(_("Any"))
    fields = [
        FieldView(
            name="source", title=say(_("Leads from")), kind="choice", choices=choices(request, SOURCES),
            value=value("source", ""), placeholder=anything, error=error("source"),
        )
    ]  # fmt: skip
    for name, title, pairs in (("form_id", _("Through the form"), forms), ("intake_id", _("Of the program"), intakes)):
        if pairs:
            fields.append(
                FieldView(
                    name=name, title=say(title), kind="choice", value=value(name, ""), placeholder=anything,
                    choices=[Choice(value=str(number), title=label) for number, label in pairs],
                )
            )  # fmt: skip
    fields += [
        FieldView(
            name="way", title=say(_("Who answers")), kind="radio", choices=choices(request, WAYS), required=True,
            value=value("way", ROUND), error=error("way"),
        ),
        FieldView(
            name="user_ids", title=say(_("People")), kind="records", required=True, options_href="/options/people",
            value=[str(one) for one in people], error=error("user_ids"),
            choices=[Choice(value=str(one), title=names[one], selected=True) for one in people if one in names],
            help=say(_("Whoever has no active account is passed over.")), wide=True,
        ),
        FieldView(
            name="term_minutes", title=say(_("Answer within minutes of working time")), kind="number", required=True,
            value=value("term_minutes", 30), error=error("term_minutes"),
        ),
        FieldView(
            name="active", title=say(_("The rule is on")), kind="bool",
            value="active" in post if post is not None else rule is None or rule.active,
        ),
    ]  # fmt: skip
    action = f"{HOME}/rules/{rule.id}" if rule is not None else f"{HOME}/rules/new"
    more = [] if rule is None else [Action(title=say(_("Take the rule away")), href="", values={"remove": "1"})]
    return form_page(
        request, id="lead-rule", title=_("Rule of handing out") if rule is not None else _("Add a rule"),
        action=action, submit=_("Save the rule"), fields=fields, cancel=HOME, more=more,
        errors={"": say(_("Please mend what is marked."))} if errors else None,
    )  # fmt: skip


@view_config(route_name="deals.lead_rule_move", request_method="POST", permission=MAY_SET)
def move_rule(request: Request) -> Any:
    """Let a rule be asked earlier or later."""
    lead_sources.move_rule(request.db, request.subject, _of(request, LeadRule), request.matchdict["way"] == "up")
    return done(request, _("The order is saved."), HOME, go=True)


# -- forms -------------------------------------------------------------------------------------------------------------


@view_config(route_name="deals.lead_form_new", request_method="GET", permission=MAY_SET, renderer=_T + "lead_source.pt")
def new_form(request: Request) -> dict[str, Any]:
    """Show the form that makes a form of leads."""
    return _form_page(request, None)


@view_config(
    route_name="deals.lead_form_new", request_method="POST", permission=MAY_SET, renderer=_T + "lead_source.pt"
)
def make_form(request: Request) -> Any:
    """Make a form of leads."""
    return _save_form(request, None)


@view_config(
    route_name="deals.lead_form_edit", request_method="GET", permission=MAY_SET, renderer=_T + "lead_source.pt"
)
def edit_form(request: Request) -> dict[str, Any]:
    """Show a form of leads with what to put on the site."""
    return _form_page(request, _of(request, LeadForm))


@view_config(
    route_name="deals.lead_form_edit", request_method="POST", permission=MAY_SET, renderer=_T + "lead_source.pt"
)
def change_form(request: Request) -> Any:
    """Change a form of leads."""
    return _save_form(request, _of(request, LeadForm))


_TEXTS = ("name", "title", "intro", "button", "consent_text", "thanks_text", "thanks_url", "sites", "source", "locale")


def _save_form(request: Request, form: LeadForm | None) -> Any:
    post = request.POST
    values: dict[str, Any] = {name: str(post.get(name, "")) for name in _TEXTS}
    values["fields"] = {name: str(post.get(f"field-{name}", "")) for name, *_rest in lead_sources.ASKED}
    values["pipeline_id"] = _pipeline(request)
    values["active"] = "active" in post
    try:
        saved = lead_sources.save_form(request.db, request.subject, form, values)
    except InvalidValues as invalid:
        return _form_page(request, form, invalid.errors)
    return done(request, _("The form is saved."), f"{HOME}/forms/{saved.id}", go=True)


def _pipeline(request: Request) -> int | None:
    chosen = number_or_none(request.POST.get("pipeline_id"))
    return chosen if chosen is not None and request.gate.visible_ids("deals.pipeline", [chosen]) else None


def _form_page(request: Request, form: LeadForm | None, errors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    say, errors = request.translate, errors or {}
    post = request.POST if request.method == "POST" else None
    locale = request.locale
    first = {
        "name": say(_("Request from the site")),
        "title": say(_("Leave a request")),
        "consent_text": translate(localizer_for(locale, packages=("crm_deals",)), CONSENT),
        "source": "site",
    }

    def value(name: str) -> str:
        if post is not None:
            return str(post.get(name, ""))
        if form is None:
            return first.get(name, "")
        return "\n".join(form.sites) if name == "sites" else str(getattr(form, name) or "")

    def text(name: str, title: Any, kind: str = "text", **more: Any) -> FieldView:
        wide = kind == "longtext"
        return FieldView(
            name=name, title=say(title), kind=kind, value=value(name), wide=wide,
            error=say(errors[name]) if name in errors else "", **more,
        )  # fmt: skip

    how = (("", _("Not asked")), (lead_sources.OPTIONAL, _("May be left out")), (lead_sources.REQUIRED, _("Required")))
    asked = form.fields if form is not None else {"name": "optional", "phone": "required", "text": "optional"}
    fields = [
        text("name", _("Name for yourselves"), required=True, maxlength=120),
        text("title", _("Heading"), maxlength=200),
        text("intro", _("Text above the form"), "longtext", rows=2),
        *(
            FieldView(
                name=f"field-{name}", title=say(title), kind="choice", choices=choices(request, how[1:]),
                placeholder=say(how[0][1]),
                value=str(post.get(f"field-{name}", "")) if post is not None else asked.get(name, ""),
                error=say(errors[f"field-{name}"]) if f"field-{name}" in errors else "",
            )
            for name, title, *_rest in lead_sources.ASKED
        ),
        text("button", _("Word on the button"), maxlength=60, placeholder=say(_("Send"))),
        text(
            "consent_text", _("Consent to the processing of personal data"), "longtext", rows=4, required=True,
            help=say(_("It is kept with each lead, with its version, the time and the network address.")),
        ),
        text("thanks_text", _("What is said after sending"), "longtext", rows=2),
        text("thanks_url", _("Or the page to go to after sending"), "url"),
        text(
            "sites", _("Sites that may show the form"), "longtext", rows=2,
            help=say(_("One a line: https://www.example.com. Without any the form stands on its own page only.")),
        ),
        FieldView(
            name="source", title=say(_("Source")), kind="choice", choices=choices(request, SOURCES),
            value=value("source"), required=True,
        ),
        _pipeline_field(request, number_or_none(value("pipeline_id"))),
        FieldView(
            name="locale", title=say(_("Language")), kind="choice", value=value("locale"),
            choices=[Choice(value="ru", title="Русский"), Choice(value="en", title="English")],
            placeholder=say(_("As the visitor's browser says")),
        ),
        FieldView(
            name="active", title=say(_("The form is open")), kind="bool",
            value="active" in post if post is not None else form is None or form.active,
        ),
    ]  # fmt: skip
    page = form_page(
        request, id="lead-form", title=form.name if form is not None else _("Add a form"),
        action=f"{HOME}/forms/{form.id}" if form is not None else f"{HOME}/forms/new",
        submit=_("Save the form"), fields=fields, cancel=HOME, wide=True, crumbs=_crumbs(request),
        errors={"": say(_("Please mend what is marked."))} if errors else None,
    )  # fmt: skip
    snippets: list[dict[str, Any]] = []
    if form is not None:
        address = f"{_base(request)}/deals/f/{form.token}"
        snippets = [
            {"title": say(_("Page of the form")), "code": address, "href": address},
            {
                "title": say(_("To put it on a page of your site")),
                "code": f'<script src="{address}.js"></script>' if form.sites else "",
                "hint": say(_("Name the sites that may show it first.")) if not form.sites else "",
            },
            {
                "title": say(_("The same without scripts")),
                "code": f'<iframe src="{address}?embed=1" width="100%" height="640"></iframe>' if form.sites else "",
            },
            {
                "title": say(_("Version of the consent")),
                "code": str(form.consent_version),
            },
        ]
    return {**page, "snippets": [one for one in snippets if one["code"] or one.get("hint")], "secret": ""}


def _pipeline_field(request: Request, chosen: int | None) -> FieldView:
    entity = request.gate.entity("deals.pipeline")
    labels = request.gate.labels(entity, [chosen]) if chosen else {}
    return FieldView(
        name="pipeline_id", title=request.translate(_("Deals go to the pipeline")), kind="record",
        value=str(chosen or ""), options_href=f"{entity.url}/options",
        choices=[Choice(value=str(one), title=label) for one, label in labels.items()],
        placeholder=request.translate(_("The first one")),
    )  # fmt: skip


def _crumbs(request: Request) -> list[Crumb]:
    say = request.translate
    return [Crumb(title=say(_("Settings")), href="/settings"), Crumb(title=say(_("Leads")), href=HOME)]


def _base(request: Request) -> str:
    return str(request.company.base_url or request.host_url)


# -- programs ----------------------------------------------------------------------------------------------------------


@view_config(route_name="deals.lead_program_new", request_method="GET", permission=MAY_SET, renderer=FORM)
def new_intake(request: Request) -> dict[str, Any]:
    """Show the form that lets a program send leads."""
    return _intake_page(request, None)


@view_config(
    route_name="deals.lead_program_new", request_method="POST", permission=MAY_SET, renderer=_T + "lead_source.pt"
)
def make_intake(request: Request) -> Any:
    """Let a program send leads, and show its secret this once."""
    try:
        intake, secret = lead_sources.save_intake(request.db, request.subject, None, _intake_values(request))
    except InvalidValues as invalid:
        return {**_intake_page(request, None, invalid.errors), "snippets": [], "secret": ""}
    return _with_secret(request, intake, secret)


@view_config(
    route_name="deals.lead_program", request_method="GET", permission=MAY_SET, renderer=_T + "lead_source.pt"
)
def edit_intake(request: Request) -> dict[str, Any]:
    """Show a program that sends leads, and how it does."""
    intake = _of(request, LeadIntake)
    return {**_intake_page(request, intake), "snippets": _snippets(request, intake), "secret": ""}


@view_config(
    route_name="deals.lead_program", request_method="POST", permission=MAY_SET, renderer=_T + "lead_source.pt"
)
def change_intake(request: Request) -> Any:
    """Change a program that sends leads, or give it another secret."""
    intake = _of(request, LeadIntake)
    if "renew" in request.POST:
        return _with_secret(request, intake, lead_sources.new_secret(request.db, request.subject, intake))
    try:
        lead_sources.save_intake(request.db, request.subject, intake, _intake_values(request))
    except InvalidValues as invalid:
        page = _intake_page(request, intake, invalid.errors)
        return {**page, "snippets": _snippets(request, intake), "secret": ""}
    request.toast(_("The program is saved."), undo_href=undo_href(request))
    return answer(request, f"{HOME}/programs/{intake.id}", go=True)


def _with_secret(request: Request, intake: LeadIntake, secret: str) -> dict[str, Any]:
    # The secret stands on this answer and nowhere else: nobody may keep the page.
    request.response.cache_control.no_store = True
    page = _intake_page(request, intake, fresh=True)
    return {**page, "snippets": _snippets(request, intake), "secret": secret}


def _intake_values(request: Request) -> dict[str, Any]:
    post = request.POST
    return {
        "name": str(post.get("name", "")),
        "source": str(post.get("source", "")),
        "pipeline_id": _pipeline(request),
        "active": "active" in post,
    }


def _intake_page(
    request: Request, intake: LeadIntake | None, errors: Mapping[str, Any] | None = None, *, fresh: bool = False
) -> dict[str, Any]:
    say, errors = request.translate, errors or {}
    post = request.POST if request.method == "POST" and not fresh else None

    def value(name: str, default: str = "") -> str:
        if post is not None:
            return str(post.get(name, ""))
        return str((getattr(intake, name) if intake is not None else default) or "")

    fields = [
        FieldView(
            name="name", title=say(_("What sends leads")), value=value("name"), required=True, maxlength=120,
            error=say(errors["name"]) if "name" in errors else "",
        ),
        FieldView(
            name="source", title=say(_("Source")), kind="choice", choices=choices(request, SOURCES),
            value=value("source", "site"), required=True,
        ),
        _pipeline_field(request, number_or_none(value("pipeline_id"))),
        FieldView(
            name="active", title=say(_("Leads are taken from it")), kind="bool",
            value="active" in post if post is not None else intake is None or intake.active,
        ),
    ]  # fmt: skip
    more = [] if intake is None else [Action(title=say(_("Give it another secret")), href="", values={"renew": "1"})]
    return form_page(
        request, id="lead-program", title=intake.name if intake is not None else _("Add a program"),
        action=f"{HOME}/programs/{intake.id}" if intake is not None else f"{HOME}/programs/new",
        submit=_("Save") if intake is not None else _("Make it and show the secret"), fields=fields, cancel=HOME,
        more=more, crumbs=_crumbs(request),
        errors={"": say(_("Please mend what is marked."))} if errors else None,
    )  # fmt: skip


_EXAMPLE = """body='{"name":"Анна","phone":"+7 999 123-45-67","text":"…","utm":{"utm_source":"…"}}'
at=$(date +%s)
sign=$(printf '%s.%s' "$at" "$body" | openssl dgst -sha256 -hmac "$SECRET" -hex | sed 's/^.* //')
curl -X POST -H 'Content-Type: application/json' \\
  -H "X-CRM-Timestamp: $at" -H "X-CRM-Signature: sha256=$sign" -H 'Idempotency-Key: request-1' \\
  --data-raw "$body" """


def _snippets(request: Request, intake: LeadIntake) -> list[dict[str, Any]]:
    say = request.translate
    address = f"{_base(request)}/deals/leads/in/{intake.token}"
    return [
        {"title": say(_("Where to send")), "code": address},
        {
            "title": say(_("An example")),
            "code": _EXAMPLE + address,
            "hint": say(
                _(
                    "The signature is the HMAC-SHA256 of the time, a point and the body. The same Idempotency-Key "
                    "again is the same lead; a message older than five minutes is refused."
                )
            ),
        },
    ]
