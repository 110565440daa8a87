"""Blocks of cards: companies of a person, people and branches of a company. Two statements each at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyramid.request import Request

from crm_clients import services
from crm_clients.entities import COMPANIES, COMPANY, PERSON, PERSONS
from crm_clients.i18n import _
from crm_clients.permissions import EDIT, VIEW
from crm_core.specs import Entity, Panel
from crm_core.views.shapes import Action

TEMPLATE = "crm_clients:templates/linked.pt"


def companies(request: Request, person: Any) -> Mapping[str, Any]:
    """Return the companies of a person."""
    found = services.companies_of(request.gate, person)
    may_edit = request.subject.may(EDIT)
    return {
        "empty": _("No company yet."),
        "items": [
            _item(
                request, COMPANIES, one, " · ".join(filter(None, (_main(request) if one.main else "", one.role))),
                _company_actions(person.id, one) if may_edit and one.label else (),
            )
            for one in found
        ],
        "count": len(found),
    }  # fmt: skip


def _main(request: Request) -> str:
    return str(request.translate(_("main")))


def _company_actions(person_id: int, one: services.Linked) -> list[Action]:
    actions = []
    if not one.main:
        actions.append(
            Action(
                title=_("Make it the main one"), icon="star", method="post",
                href=f"{PERSONS.url}/{person_id}/main/{one.id}",
            )
        )  # fmt: skip
    actions.append(
        Action(title=_("Take off"), icon="unlink", method="post", href=f"{PERSONS.url}/{person_id}/unlink/{one.id}")
    )
    return actions


def people(request: Request, company: Any) -> Mapping[str, Any]:
    """Return the people of a company."""
    found = services.people_of(request.gate, company)
    return {
        "empty": _("Nobody yet. Add the people you talk to."),
        "items": [
            _item(request, PERSONS, one, " · ".join(filter(None, (one.job_title, one.role))), ()) for one in found
        ],
        "count": len(found),
    }


def branches(request: Request, company: Any) -> Mapping[str, Any] | None:
    """Return the branches of a company; nothing to show where it has none."""
    found = services.branches_of(request.gate, company)
    if not found:
        return None
    return {"empty": "", "items": [_item(request, COMPANIES, one, one.role, ()) for one in found], "count": len(found)}


def _item(
    request: Request, entity: Entity, one: services.Linked, hint: str, actions: Sequence[Action]
) -> dict[str, Any]:
    phone = next((entry["value"] for entry in one.phones if not entry.get("off")), "")
    return {
        "id": one.id,
        "label": one.label or request.translate(_("No access")),
        "href": f"{entity.url}/{one.id}" if one.label else "",
        "hint": hint,
        "phone": phone,
        "icon": entity.icon,
        "actions": actions,
    }


PANELS: tuple[Panel, ...] = (
    Panel(
        id="clients.person_companies",
        title=_("Companies"),
        entity=PERSON,
        load=companies,
        template=TEMPLATE,
        permission=VIEW,
        order=10,
        create_href="/clients/people/{id}/link",
    ),
    Panel(
        id="clients.company_people",
        title=_("People"),
        entity=COMPANY,
        load=people,
        template=TEMPLATE,
        permission=VIEW,
        order=10,
        create_href="/clients/companies/{id}/link",
    ),
    Panel(
        id="clients.company_branches",
        title=_("Branches"),
        entity=COMPANY,
        load=branches,
        template=TEMPLATE,
        permission=VIEW,
        order=20,
    ),
)
