"""Mail: the account letters are sent from, a test letter, and the local mailbox of what could not be sent."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import clock, company, people
from crm_core import mail as post
from crm_core.i18n import _
from crm_core.models import JobRow, Letter
from crm_core.people import Refused
from crm_core.security.permissions import RIGHTS_GRANT, SETTINGS_EDIT
from crm_core.views.account.doors import proved
from crm_core.views.account.first_run import step_done
from crm_core.views.admin.index import CRUMB, save_settings, setting_field
from crm_core.views.filling import Filling, go, typed
from crm_core.views.shapes import (
    Action,
    Badge,
    Cell,
    Column,
    Crumb,
    EmptyState,
    FormPage,
    KeyValue,
    ListPage,
    Notice,
    Row,
    Section,
)

MAIL = "crm_core:templates/admin/mail.pt"

#: Servers that people here use most: host, port, encryption, and where they make a password for the CRM.
PRESETS = (
    (
        "Яндекс 360",
        "smtp.yandex.ru",
        465,
        "tls",
        _("id.yandex.ru → Security → App passwords → Mail. In the mailbox allow mail programs (IMAP) first."),
    ),
    (
        "Mail.ru",
        "smtp.mail.ru",
        465,
        "tls",
        _("account.mail.ru → Security → Passwords for external applications. Full access to mail."),
    ),
    ("VK WorkSpace", "smtp.mail.ru", 465, "tls", _("As with Mail.ru, in the mailbox of your domain.")),
)

_KEYS = (
    company.MAIL_HOST,
    company.MAIL_PORT,
    company.MAIL_SECURITY,
    company.MAIL_USER,
    company.MAIL_PASSWORD,
    company.MAIL_SENDER,
)


def _mail_page(request: Request, refused: Refused | None = None, of: str = "account") -> dict[str, Any]:
    form = Filling(request, refused if of == "account" else None)
    test = Filling(request, refused if of == "test" else None)
    values = request.company
    preset = next((one for one in PRESETS if one[0] == request.GET.get("preset")), None)
    specs = [values.spec(key) for key in _KEYS]
    current = {spec.key: values.is_set(spec.key) if spec.kind == "secret" else values.get(spec.key) for spec in specs}
    if preset is not None:
        current |= {company.MAIL_HOST: preset[1], company.MAIL_PORT: preset[2], company.MAIL_SECURITY: preset[3]}
    account = post.account_of(request.db)
    return {
        "title": _("Mail"),
        "crumbs": [CRUMB],
        "state": Notice(text=_("Letters are sent through ${host}.", mapping={"host": account.host}), tone="success")
        if account
        else Notice(
            text=_("No mail server is set: letters stay in the local mailbox, where administrators read them."),
            tone="info",
        ),
        "presets": [
            Action(title=one[0], href=f"/settings/mail?preset={one[0]}", active=one is preset) for one in PRESETS
        ],
        "hint": preset[4] if preset else "",
        "page": FormPage(
            title=_("Mail account"),
            action="/settings/mail",
            submit=_("Save the mail account"),
            intro=_("An empty server means that letters stay here."),
            errors=form.errors if of == "account" else (),
            sections=[Section(fields=[setting_field(form, spec, current[spec.key]) for spec in specs])],
        ),
        "test": FormPage(
            id="test-form",
            title=_("Test letter"),
            action="/settings/mail/test",
            submit=_("Send a test letter"),
            errors=test.errors if of == "test" else (),
            sections=[
                Section(fields=[test.field("to", _("Recipient"), "email", request.subject.email, required=True)])
            ],
        ),
        "results": _test_results(request),
        "mailbox": Action(title=_("Local mailbox"), href="/settings/mailbox", icon="inbox"),
    }


def _test_results(request: Request) -> list[KeyValue]:
    rows = request.db.scalars(sa.select(JobRow).where(JobRow.name == post.TEST).order_by(JobRow.id.desc()).limit(3))
    tones = {"accepted": "success", "local": "info", "failed": "danger", "deferred": "warning", "uncertain": "warning"}
    words = {
        "accepted": _("The server took it"),
        "local": _("It stayed in the local mailbox"),
        "failed": _("The server refused it"),
        "deferred": _("The server asks to try later"),
        "uncertain": _("Nobody knows whether it arrived"),
    }
    found = []
    for row in rows:
        result = row.result or {}
        state = result.get("state", "")
        text = words.get(state) or (
            _("On its way") if row.state in ("waiting", "running") else _("It could not be sent")
        )
        answer = result.get("answer") or row.error.strip().split("\n")[-1][:300]
        found.append(
            KeyValue(
                title=request.formats.relative(row.created_at),
                value=answer,
                badge=Badge(text=request.translate(text), tone=tones.get(state, "muted")),
                hint=request.formats.datetime(row.created_at),
            )
        )
    return found


@view_config(route_name="settings.mail", request_method="GET", permission=SETTINGS_EDIT, renderer=MAIL)
def mail_form(request: Request) -> dict[str, Any]:
    """Show the mail account and how the last test letters went."""
    return _mail_page(request)


@view_config(route_name="settings.mail", request_method="POST", permission=SETTINGS_EDIT, renderer=MAIL)
@proved
def save_mail(request: Request) -> Any:
    """Save the mail account; the password is sealed and never shown again."""
    host = typed(request, company.MAIL_HOST).strip()
    try:
        if any(sign.isspace() or sign in "/@:" for sign in host):
            raise Refused(_("Write the name of the server alone, such as smtp.yandex.ru."), company.MAIL_HOST)
        sender = typed(request, company.MAIL_SENDER).strip()
        if host and sender:
            people.normal_email(sender.rpartition("<")[2].rstrip("> "))
        save_settings(request, [request.company.spec(key) for key in _KEYS])
        if not host:
            request.company.set(company.MAIL_PASSWORD, None)
    except Refused as refused:
        problem = Refused(refused.sentence, company.MAIL_SENDER if refused.field == "email" else refused.field)
        return _mail_page(request, problem)
    step_done(request, "mail")
    request.toast(_("The mail account is saved. Send a test letter now."))
    return go(request, "/settings/mail")


@view_config(route_name="settings.mail_test", request_method="POST", permission=SETTINGS_EDIT, renderer=MAIL)
def send_test(request: Request) -> Any:
    """Send a test letter by a job and show on this page what the server answered."""
    try:
        to = people.normal_email(typed(request, "to"))
    except Refused as refused:
        return _mail_page(request, Refused(refused.sentence, "to"), "test")
    text = request.translate(
        _(
            "This is a test letter from ${company}. If you can read it, mail works.",
            mapping={"company": request.company.name},
        )
    )
    post.test_letter(request.db, to, user_id=request.subject.user_id, text=text)
    request.toast(_("The test letter is on its way; what the server answers stands below in a moment."))
    return go(request, "/settings/mail")


# -- the local mailbox ---------------------------------------------------------------------------------------------


def _may_read_secrets(request: Request) -> bool:
    # A letter with a link that gives access is as good as the account itself.
    return "all" in request.subject.scopes(RIGHTS_GRANT)


@view_config(
    route_name="settings.mailbox",
    request_method="GET",
    permission=SETTINGS_EDIT,
    renderer="crm_core:templates/admin/list.pt",
)
def mailbox(request: Request) -> dict[str, Any]:
    """Show letters that stayed here, newest first."""
    before = request.GET.get("before", "")
    statement = sa.select(Letter).where(Letter.local).order_by(Letter.id.desc()).limit(51)
    if before.isdecimal() and len(before) < 19:
        statement = statement.where(Letter.id < int(before))
    found = list(request.db.scalars(statement))
    letters, more = found[:50], len(found) > 50
    return {
        "title": _("Local mailbox"),
        "crumbs": [CRUMB, Crumb(title=_("Mail"), href="/settings/mail")],
        "tabs": [],
        "selects": [],
        "page": ListPage(
            title=_("Local mailbox"),
            href="/settings/mailbox",
            icon="inbox",
            selectable=False,
            columns=[
                Column(name="subject", title=_("Subject"), kind="title"),
                Column(name="recipient", title=_("Recipient"), phone=True),
                Column(name="at", title=_("Written"), kind="date"),
            ],
            rows=[
                Row(
                    id=one.id,
                    href=f"/settings/mailbox/{one.id}",
                    label=one.subject,
                    cells=[
                        Cell(
                            kind="title",
                            text=one.subject,
                            href=f"/settings/mailbox/{one.id}",
                            icon="" if one.read_at else "point-filled",
                        ),
                        Cell(text=one.recipient),
                        Cell(
                            kind="date",
                            text=request.formats.relative(one.created_at),
                            hint=request.formats.datetime(one.created_at),
                        ),
                    ],
                )
                for one in letters
            ],
            next_href=f"/settings/mailbox?before={letters[-1].id}" if more else "",
            empty=EmptyState(
                title=_("No letters"),
                text=_("Letters come here while no mail server is set."),
                icon="inbox",
                action=Action(title=_("Connect mail"), href="/settings/mail"),
            ),
        ),
    }


@view_config(
    route_name="settings.letter",
    request_method="GET",
    permission=SETTINGS_EDIT,
    renderer="crm_core:templates/admin/letter.pt",
)
def letter(request: Request) -> dict[str, Any]:
    """Show one letter; links that give access only to who could grant any access himself."""
    found = request.db.get(Letter, int(request.matchdict["id"]))
    if found is None or not found.local:
        raise HTTPNotFound
    hidden = found.secret and not _may_read_secrets(request)
    return {
        "title": found.subject,
        "crumbs": [
            CRUMB,
            Crumb(title=_("Mail"), href="/settings/mail"),
            Crumb(title=_("Local mailbox"), href="/settings/mailbox"),
        ],
        "facts": [
            KeyValue(title=_("Sender"), value=found.sender),
            KeyValue(title=_("Recipient"), value=found.recipient),
            KeyValue(title=_("Written"), value=request.formats.datetime(found.created_at)),
        ],
        "parts": [] if hidden else _parts(found.text),
        "notice": Notice(
            text=_("This letter holds a link that gives access; only administrators read it."), tone="warning"
        )
        if hidden
        else Notice(text=_("The text was emptied, for its link has been used or is too old."), tone="muted")
        if not found.text
        else None,
        "mark": f"/settings/mailbox/{found.id}",
    }


def _parts(text: str) -> list[dict[str, str]]:
    # Links of our own letters stand alone on a line.
    return [
        {"text": line, "href": line if line.startswith(("http://", "https://")) and " " not in line else ""}
        for line in text.split("\n")
        if line.strip()
    ]


@view_config(route_name="settings.letter", request_method="POST", permission=SETTINGS_EDIT)
def mark_read(request: Request) -> Any:
    """Mark a letter as read."""
    request.db.execute(sa.update(Letter).where(Letter.id == int(request.matchdict["id"])).values(read_at=clock.now()))
    return go(request, "/settings/mailbox")
