"""What the views of deals share: the deal of the address, forms that were read, and the answer when it is done."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from pyramid.httpexceptions import HTTPForbidden, HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response

from crm_core.forms import FieldInfo, InvalidValues
from crm_core.records import operations, saving
from crm_core.views.shapes import Choice, FieldView, FormPage, Section
from crm_deals.entities import DEAL, DEALS
from crm_deals.i18n import _
from crm_deals.models import Deal

FORM = "crm_deals:templates/form.pt"


def deal_of(request: Request, verb: str = "edit") -> Deal:
    """Return the deal of the address; 404 for whoever may not know of it, 403 for whoever may only see it."""
    deal = request.gate.get(DEAL, number(request.matchdict["id"]))
    if deal is None:
        raise HTTPNotFound
    if verb != "view" and not request.gate.allows(verb, deal):
        raise HTTPForbidden
    found: Deal = deal
    return found


def number(text: Any) -> int:
    """Return a number of an address or form; 0 for anything that is none."""
    text = str(text or "")
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def number_or_none(text: Any) -> int | None:
    """Return a number of a form; None where nothing is there."""
    return number(text) or None


def decimal(text: Any) -> Decimal | None:
    """Return an amount as people write it; None where it is none."""
    plain = str(text or "").replace("\u00a0", "").replace("\u202f", "").replace(" ", "").replace(",", ".")
    try:
        value = Decimal(plain)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def day(text: Any) -> dt.date | None:
    """Return a date of a form; None where it is none."""
    for pattern in ("%Y-%m-%d", "%d.%m.%Y"):
        try:
            return dt.datetime.strptime(str(text or "").strip(), pattern).date()  # noqa: DTZ007  a date has no zone
        except ValueError:
            continue
    return None


def undo_href(request: Request) -> str:
    """Return where what this request did is taken back; empty when it did nothing."""
    operation = operations.current(request.db)
    return f"/operations/{operation}/undo" if operation else ""


def done(request: Request, said: Any, where: str, *, go: bool = False) -> Any:
    """Say that it is done, with the way back; the page that asked loads itself again, or goes on with `go`."""
    request.toast(said, undo_href=undo_href(request))
    return answer(request, where, go=go)


def answer(request: Request, where: str, *, go: bool = False) -> Any:
    """Answer that there is nothing more to ask."""
    if not request.headers.get("HX-Request"):
        return HTTPSeeOther(where)
    headers = {"HX-Redirect": where} if go else {}
    return Response(status=204, headers=headers)


def refused(request: Request, said: Any, where: str) -> Any:
    """Say that it was not done and why."""
    request.toast(said, "warning")
    return answer(request, where)


def href_of(deal: Deal) -> str:
    """Return where the card of a deal is."""
    return f"{DEALS.url}/{deal.id}"


def choices(request: Request, pairs: Any) -> list[Choice]:
    """Return choices with their titles in the reader's language."""
    return [Choice(value=str(value), title=str(request.translate(title))) for value, title in pairs]


def field(request: Request, info: FieldInfo, value: Any = "", error: Any = "", **more: Any) -> FieldView:
    """Return the control of a field of deals in a form of this plugin's own."""
    say = request.translate
    made: dict[str, Any] = {
        "name": info.name,
        "title": say(info.title),
        "kind": "text" if info.kind == "inn" else info.kind,
        "value": value,
        "error": say(error) if error else "",
        "required": info.required,
        **more,
    }
    if info.kind == "choice":
        made["choices"] = choices(request, info.choices)
    elif info.kind == "user":
        made["options_href"] = "/options/people"
        made["choices"] = people(request, value)
    elif info.kind == "record":
        entity = request.gate.plugins.entities.get(info.entity)
        made["options_href"] = f"{entity.url}/options" if entity is not None else ""
        labels = request.gate.labels(entity, [number(value)]) if entity is not None and number(value) else {}
        made["choices"] = [Choice(value=str(one), title=label) for one, label in labels.items()]
    elif info.kind == "money":
        made["currency"] = request.company.currency
    elif info.kind == "longtext":
        made |= {"wide": True, "rows": 3}
    return FieldView(**made)


def people(request: Request, value: Any) -> list[Choice]:
    """Return the chosen colleague of a picker."""
    from crm_core.records.gate import user_names

    return [Choice(value=str(one), title=name) for one, name in user_names(request.db, [number(value) or None]).items()]


def form_page(
    request: Request,
    *,
    id: str,
    title: Any,
    action: str,
    submit: Any,
    fields: Sequence[FieldView],
    cancel: str,
    hidden: Sequence[tuple[str, str]] = (),
    errors: Mapping[str, Any] | None = None,
    intro: Any = "",
    **more: Any,
) -> dict[str, Any]:
    """Return the page of a form, for the template of forms."""
    above = [("", str(request.translate(message))) for name, message in (errors or {}).items() if not name]
    page = FormPage(
        id=id,
        title=title,
        action=action,
        submit=submit,
        sections=[Section(fields=fields)],
        hidden=list(hidden),
        cancel_href=cancel,
        errors=above,
        intro=str(request.translate(intro)) if intro else "",
        **more,
    )
    if errors:
        request.response.status_int = 422
    return {"title": title, "page": page}


def errors_of(problem: Exception) -> Mapping[str, Any]:
    """Return the errors of what was refused, by field; those of no field under an empty name."""
    if isinstance(problem, InvalidValues):
        return problem.errors
    if isinstance(problem, saving.NotAllowed):
        return {"": problem.message}
    return {"": _("This cannot be done.")}
