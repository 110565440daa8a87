"""Who sees a record and why, and with whom it is shared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPForbidden, HTTPNotFound, HTTPSeeOther
from pyramid.i18n import TranslationString
from pyramid.request import Request

from crm_core.i18n import _
from crm_core.models import Role, Team, User
from crm_core.models.accounts import ACTIVE
from crm_core.models.records import Grant
from crm_core.people import Refused, may_name
from crm_core.records import saving
from crm_core.records.gate import Reason
from crm_core.security.permissions import RIGHTS_EXPLAIN
from crm_core.views.filling import Filling, choices, post_button
from crm_core.views.records.context import RecordContext
from crm_core.views.records.editing import undo_href
from crm_core.views.records.reading import principal_names
from crm_core.views.shapes import Action, FormPage, PersonView, Section, WhyLine

LEVELS = (("view", _("may see")), ("edit", _("may see and change")))
_ICONS = {"user": "user", "team": "hierarchy-2", "role": "shield"}
_KINDS = {"user": _("Colleague"), "team": _("Department"), "role": _("Role")}


def may_explain(context: RecordContext, request: Request) -> bool:
    """Tell whether this person may ask who sees this record: of his own, of his department's, of all."""
    scopes = request.subject.scopes(RIGHTS_EXPLAIN)
    record = context.item
    return bool(
        "all" in scopes
        or (scopes & {"own", "team"} and record.owner_id == request.subject.user_id)
        or ("team" in scopes and record.team_id in request.subject.team_ids)
    )


def role_title(request: Request, title: str) -> str:
    """Return the title of a role: a message id where it ships, plain text for one's own."""
    return str(request.translate(TranslationString(title, domain="crm_core")))


def sentence(request: Request, reason: Reason) -> str:
    """Return a reason in words with the roles that give it."""
    say = request.translate
    values = {name: str(value) for name, value in reason.values.items()}
    words = say(reason.sentence, values) if values else say(reason.sentence)
    roles = ", ".join(role_title(request, title) for title in reason.roles)
    if not roles:
        return words
    return say(_("${why} (role: ${roles})", mapping={"why": words, "roles": roles}))


def show_access(context: RecordContext, request: Request) -> dict[str, Any]:
    """Show why one sees this record oneself and, to those who may ask, who else does."""
    gate, entity = request.gate, context.entity
    own = gate.why(entity, context.item.id, trash=context.trashed)
    lines = [WhyLine(text=sentence(request, reason), icon="eye") for reason in own]
    explain = may_explain(context, request) and not context.trashed
    who = []
    if explain:
        for viewer in gate.who(entity, context.item.id):
            text = "; ".join(sentence(request, reason) for reason in viewer.reasons)
            who.append(WhyLine(text=text, person=PersonView.of(viewer.name, viewer.user_id), icon="user"))
    return {
        "title": context.label,
        "back": context.href,
        "own": lines,
        "explain": explain,
        "who": who,
        "grants": _grants(context, request),
        "share": Action(title=_("Share"), href=f"{context.href}/share", icon="share", open="dialog")
        if context.allows("assign")
        else None,
    }


def _grants(context: RecordContext, request: Request) -> list[dict[str, Any]]:
    rows = request.db.execute(
        sa.select(Grant.id, Grant.principal_id, Grant.level)
        .where(Grant.entity == context.entity.name, Grant.record_id == context.item.id)
        .order_by(Grant.id)
    ).all()
    names = principal_names(request.gate, [row.principal_id for row in rows])
    say = request.translate
    found = []
    for row in rows:
        kind, name = names.get(row.principal_id, ("user", ""))
        found.append(
            {
                "icon": _ICONS.get(kind, "user"),
                "name": role_title(request, name) if kind == "role" else name,
                "text": f"{say(_KINDS.get(kind, kind))}, {say(dict(LEVELS).get(row.level, row.level))}",
                "remove": post_button(say(_("Stop sharing")), f"{context.href}/unshare/{row.id}", "x", "ghost")
                if context.allows("assign")
                else None,
            }
        )
    return found


# -- sharing -----------------------------------------------------------------------------------------------------------


def show_share(context: RecordContext, request: Request, refused: Refused | None = None) -> dict[str, Any]:
    """Show the form that shares a record."""
    form = Filling(request, refused)
    users = sa.select(User.id, User.name).where(User.status == ACTIVE, User.id != context.item.owner_id)
    if not may_name(request.subject):
        users = users.where(User.id == request.subject.user_id)
    say = request.translate
    people = [(f"user:{row.id}", row.name) for row in request.db.execute(users.order_by(sa.func.lower(User.name)))]
    teams = [
        (f"team:{row.id}", row.name)
        for row in request.db.execute(sa.select(Team.id, Team.name).order_by(sa.func.lower(Team.name)))
    ]
    roles = [
        (f"role:{row.id}", role_title(request, row.title) if row.ships else row.title)
        for row in request.db.execute(sa.select(Role.id, Role.title, Role.ships).order_by(Role.position, Role.id))
    ]
    options = [
        replace(choice, group=say(group))
        for group, pairs in ((_("Colleagues"), people), (_("Departments"), teams), (_("Roles"), roles))
        for choice in choices(pairs)
    ]
    return {
        "form": FormPage(
            id="share",
            title=_("Share: ${name}", mapping={"name": context.label}),
            action=f"{context.href}/share",
            submit=_("Share"),
            errors=form.errors,
            cancel_href=context.href,
            sections=[
                Section(
                    fields=[
                        form.field("who", _("With whom"), "choice", "", choices=options, required=True),
                        form.field("level", _("What they may"), "radio", "view", choices=choices(LEVELS)),
                    ]
                )
            ],
        ),
        "more": (),
        "more_open": False,
        "title": _("Share"),
        "grants": _grants(context, request),
    }


def share(context: RecordContext, request: Request) -> Any:
    """Share a record with a person, a department or a role."""
    kind, _colon, number = str(request.POST.get("who", "")).partition(":")
    level = str(request.POST.get("level", "view"))
    models: dict[str, Any] = {"user": User, "team": Team, "role": Role}
    known = kind in models and number.isdecimal() and len(number) < 19 and request.db.get(models[kind], int(number))
    if not known:
        return show_share(context, request, Refused(_("Choose one from the list."), "who"))
    if level not in dict(LEVELS):
        return show_share(context, request, Refused(_("Choose one from the list."), "level"))
    try:
        saving.share(request.gate, context.entity, context.item, kind, int(number), level)
    except saving.NotAllowed:
        raise HTTPForbidden from None
    name = role_title(request, known.title) if kind == "role" else known.name
    request.toast(_("Shared with ${who}.", mapping={"who": name}), undo_href=undo_href(request))
    return HTTPSeeOther(context.href)


def unshare(context: RecordContext, request: Request) -> Any:
    """Take a share back."""
    grant = request.db.get(Grant, int(request.matchdict["grant"]))
    if grant is None or (grant.entity, grant.record_id) != (context.entity.name, context.item.id):
        raise HTTPNotFound
    try:
        saving.unshare(request.gate, context.entity, context.item, grant.id)
    except saving.NotAllowed:
        raise HTTPForbidden from None
    request.toast(_("It is shared no longer."), undo_href=undo_href(request))
    return HTTPSeeOther(context.href)
