"""The inbox of leads: taking, linking, rejecting; what is special to its list and cards; who answers how fast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config

from crm_core import clock
from crm_core.db import RecordRef
from crm_core.forms import InvalidValues
from crm_core.records import cleaning, saving
from crm_core.records.gate import user_names
from crm_core.specs import Entity
from crm_core.views.shapes import (
    Badge,
    CardPage,
    Cell,
    Choice,
    Column,
    FieldView,
    ListPage,
    Notice,
    PanelFrame,
    PersonView,
    Row,
)
from crm_deals.entities import LEAD, LEADS
from crm_deals.i18n import _
from crm_deals.lead_permissions import LEADS_FIGURES, LEADS_TAKE
from crm_deals.models import Lead
from crm_deals.models.leads import NEW
from crm_deals.schemas.leads import REASONS
from crm_deals.services import leads, worktime
from crm_deals.views.answers import (
    answer,
    choices,
    done,
    errors_of,
    form_page,
    number,
    number_or_none,
    refused,
    undo_href,
)

FORM = "crm_deals:templates/form.pt"
INBOX = f"{LEADS.url}?f=state:any:new"
DAYS = 30


def _lead(request: Request) -> Lead:
    lead = request.gate.get(LEAD, number(request.matchdict["id"]))
    if lead is None:
        raise HTTPNotFound
    found: Lead = lead
    return found


def _href(lead: Lead) -> str:
    return f"{LEADS.url}/{lead.id}"


# -- in one click ------------------------------------------------------------------------------------------------------


@view_config(route_name="deals.lead_take", request_method="POST", permission=LEADS_TAKE)
def take(request: Request) -> Any:
    """Take a lead: its client is found or made, and a deal is opened."""
    if (gone := _gone(request)) is not None:
        return gone
    lead = _lead(request)
    try:
        client = _ref(request)
        taken = leads.take(request.gate, lead, client=client, anew="anew" in request.POST)
    except leads.Gone as gone_now:
        return refused(request, gone_now.message, INBOX)
    except leads.ClientElsewhere as elsewhere:
        return refused(
            request,
            _(
                "This client is with ${who} already. Hand the lead over, or take it as a new client from “Link”.",
                mapping={"who": elsewhere.responsible or "—"},
            ),
            _href(lead),
        )
    except (saving.NotAllowed, InvalidValues) as problem:
        return refused(request, next(iter(errors_of(problem).values())), _href(lead))
    said = _("Taken: the client was here already.") if taken.found else _("The lead is taken.")
    deal = f"/deals/{taken.deal.id}"
    request.toast(said, undo_href=undo_href(request), href=deal, href_title=request.translate(_("To the deal")))
    # From the list one goes on with the next lead; from a form of one's own, to the deal.
    return answer(request, deal, go="client" in request.POST or "anew" in request.POST)


def _gone(request: Request) -> Any:
    """Answer who was faster, where the lead was nobody's a moment ago and is not open to this person any more."""
    if request.gate.get(LEAD, number(request.matchdict["id"])) is not None:
        return None
    gone = leads.whereabouts(request.gate, number(request.matchdict["id"]))
    return refused(request, gone.message, INBOX) if gone is not None else None


def _ref(request: Request) -> RecordRef | None:
    text = str(request.POST.get("client") or "")
    if not text:
        return None
    try:
        return RecordRef.parse(text)
    except ValueError:
        raise InvalidValues({"client": _("Choose from the list.")}) from None


@view_config(route_name="deals.lead_link", request_method="GET", permission=LEADS_TAKE, renderer=FORM)
def linking(request: Request) -> Any:
    """Show who probably asks, and the choice of another client."""
    if (gone := _gone(request)) is not None:
        return gone
    return _linking_page(request, _lead(request))


@view_config(route_name="deals.lead_link", request_method="POST", permission=LEADS_TAKE, renderer=FORM)
def link(request: Request) -> Any:
    """Link a lead to a client; with `deal` it is taken, and the deal is that client's."""
    if (gone := _gone(request)) is not None:
        return gone
    lead = _lead(request)
    try:
        client = _chosen(request)
        if "deal" in request.POST:
            taken = leads.take(request.gate, lead, client=client, anew="anew" in request.POST)
            request.toast(_("The lead is taken."), undo_href=undo_href(request))
            return answer(request, f"/deals/{taken.deal.id}", go=True)
        if client is None:
            raise InvalidValues({"person_id": _("Choose the client, or take the lead as a new one.")})
        leads.link(request.gate, lead, client)
    except leads.Gone as gone_now:
        return refused(request, gone_now.message, INBOX)
    except (saving.NotAllowed, InvalidValues) as problem:
        return _linking_page(request, lead, errors_of(problem))
    return done(request, _("The lead is linked to the client."), _href(lead))


def _chosen(request: Request) -> RecordRef | None:
    if (likely := _ref(request)) is not None:
        return likely
    for name, entity in (("person_id", leads.CLIENT), ("company_id", leads.COMPANY)):
        chosen = number_or_none(request.POST.get(name))
        if chosen is not None:
            return RecordRef(entity, chosen)
    return None


def _linking_page(request: Request, lead: Lead, errors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    errors = errors or {}
    say = request.translate
    likely = leads.probable_clients(request.gate, lead)
    hidden = next((one for one in likely if not one.visible), None)
    fields: list[FieldView] = []
    pairs = [
        Choice(value=f"{one.entity}:{one.id}", title=one.label, hint=" · ".join(_why(request, one)))
        for one in likely
        if one.visible
    ]
    if pairs:
        chosen = str(request.POST.get("client") or pairs[0].value) if request.method == "POST" else pairs[0].value
        fields.append(
            FieldView(
                name="client", title=say(_("Probably it is")), kind="radio", value=chosen,
                choices=[*pairs, Choice(value="", title=say(_("Somebody else")))],
            )
        )  # fmt: skip
    for name, entity_name, title in (
        ("person_id", leads.CLIENT, _("Client person")),
        ("company_id", leads.COMPANY, _("Company")),
    ):
        entity = request.gate.entity(entity_name)
        value = number(request.POST.get(name)) if request.method == "POST" else 0
        labels = request.gate.labels(entity, [value]) if value else {}
        fields.append(
            FieldView(
                name=name, title=say(title), kind="record", value=str(value or ""),
                choices=[Choice(value=str(one), title=label) for one, label in labels.items()],
                options_href=f"{entity.url}/options", error=say(errors[name]) if name in errors else "",
            )
        )  # fmt: skip
    fields.append(
        FieldView(
            name="deal", title=say(_("Take it into work: open a deal of this client")), kind="bool",
            value="deal" in request.POST,
        )
    )  # fmt: skip
    if hidden is not None:
        fields.append(
            FieldView(
                name="anew", title=say(_("It is a new client all the same")), kind="bool",
                help=say(
                    _("A client with the same phone or address is with ${who}.", mapping={"who": hidden.responsible})
                ),
                value="anew" in request.POST,
            )
        )  # fmt: skip
    return form_page(
        request, id="lead-link", title=_("Link the lead to a client"), action=f"{_href(lead)}/link",
        submit=_("Link"), fields=fields, cancel=_href(lead),
        errors={name: message for name, message in errors.items() if name not in ("person_id", "company_id")},
        intro=_summary(request, lead),
    )  # fmt: skip


def _why(request: Request, one: Any) -> list[str]:
    hint = [one.hint] if one.hint else []
    return [*hint, *(str(request.translate(reason)) for reason in one.reasons)]


def _summary(request: Request, lead: Lead) -> str:
    phones = [cleaning.write_phone(entry["value"]) for entry in lead.phones]
    parts = [lead.name, lead.company, *phones, *(entry["value"] for entry in lead.emails)]
    return " · ".join(part for part in parts if part) or lead.caption


@view_config(route_name="deals.lead_reject", request_method="GET", permission=LEADS_TAKE, renderer=FORM)
def rejecting(request: Request) -> Any:
    """Ask why a lead is nothing."""
    if (gone := _gone(request)) is not None:
        return gone
    return _rejecting_page(request, _lead(request))


@view_config(route_name="deals.lead_reject", request_method="POST", permission=LEADS_TAKE, renderer=FORM)
def reject(request: Request) -> Any:
    """Reject a lead."""
    if (gone := _gone(request)) is not None:
        return gone
    lead = _lead(request)
    try:
        leads.reject(request.gate, lead, str(request.POST.get("reason", "")), str(request.POST.get("note", "")))
    except leads.Gone as gone_now:
        return refused(request, gone_now.message, INBOX)
    except (saving.NotAllowed, InvalidValues) as problem:
        return _rejecting_page(request, lead, errors_of(problem))
    return done(request, _("The lead is rejected."), _href(lead))


def _rejecting_page(request: Request, lead: Lead, errors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    errors = errors or {}
    say = request.translate
    fields = [
        FieldView(
            name="reason", title=say(_("Why")), kind="radio", required=True, choices=choices(request, REASONS),
            value=str(request.POST.get("reason") or "spam") if request.method == "POST" else "spam",
            error=say(errors["reason"]) if "reason" in errors else "",
        ),
        FieldView(
            name="note", title=say(_("A word more")), maxlength=500, wide=True,
            value=str(request.POST.get("note", "")) if request.method == "POST" else "",
        ),
    ]  # fmt: skip
    return form_page(
        request, id="lead-reject", title=_("Reject the lead"), action=f"{_href(lead)}/reject", submit=_("Reject"),
        fields=fields, cancel=_href(lead), errors={"": errors[""]} if "" in errors else None,
        intro=_summary(request, lead),
    )  # fmt: skip


@view_config(route_name="deals.lead_renew", request_method="POST", permission=LEADS_TAKE)
def renew(request: Request) -> Any:
    """Let a lead wait again that was rejected or linked."""
    lead = _lead(request)
    try:
        leads.renew(request.gate, lead)
    except leads.Gone as gone:
        return refused(request, gone.message, _href(lead))
    except saving.NotAllowed as problem:
        return refused(request, problem.message, _href(lead))
    return done(request, _("The lead waits again."), _href(lead))


# -- what is special to the list and the card --------------------------------------------------------------------------


def late_text(request: Request, due_at: Any, work: worktime.WorkTime) -> str:
    """Return by how much a lead is late just now, in working time: "late by 25 min"."""
    return str(
        request.translate(_("late by ${time}", mapping={"time": spell(request, work.minutes(due_at, clock.now()))}))
    )


def spell(request: Request, minutes: int) -> str:
    """Return a length of working time: minutes, hours and minutes, or hours when they are many."""
    say = request.translate
    hours, rest = divmod(int(minutes), 60)
    if not hours:
        return str(say(_("${n} min", mapping={"n": rest})))
    if hours >= 10 or not rest:
        return str(say(_("${n} h", mapping={"n": request.formats.number(hours)})))
    return str(say(_("${h} h ${m} min", mapping={"h": hours, "m": rest})))


def _work(request: Request) -> worktime.WorkTime:
    return worktime.WorkTime(request.company.calendar, request.company.time_zone)


def dressed(entities: Iterable[Entity]) -> tuple[Entity, ...]:
    """Return the entities, leads with what is special to their list and cards; entities themselves know no pages."""
    return tuple(replace(one, dress=dress, dress_list=dress_list) if one.name == LEAD else one for one in entities)


def dress_list(request: Request, page: ListPage) -> ListPage:
    """Mark late leads in the list, and put under it who answers how fast."""
    shown = [column.name for column in page.columns if column.shown]
    late = leads.overdue(request.gate, [int(row.id) for row in page.rows]) if page.rows else {}
    if late and "due_at" in shown:
        place, work = shown.index("due_at"), _work(request)
        for row in page.rows:
            if row.id in late:
                hint = request.formats.datetime(late[int(row.id)])
                badge = Badge(text=late_text(request, late[int(row.id)], work), tone="danger", icon="alarm")
                row.cells = [
                    Cell(kind="badge", badges=[badge], hint=hint) if n == place else cell
                    for n, cell in enumerate(row.cells)
                ]
    below = None
    if request.subject.may(LEADS_FIGURES):
        below = PanelFrame(
            id="lead-figures", title=request.translate(_("Who answers how fast")), href="/deals/leads/figures"
        )
    return replace(page, below=below)


def dress(request: Request, lead: Lead, card: CardPage) -> CardPage:
    """Tell on the card of a lead that it is late."""
    if lead.state != NEW or lead.due_at is None or lead.due_at >= clock.now():
        return card
    text = late_text(request, lead.due_at, _work(request))
    said = _("This lead waits longer than it should: ${late}.", mapping={"late": text})
    notice = Notice(text=request.translate(said), tone="warning")
    return replace(card, notices=[*card.notices, notice])


# -- who answers how fast ----------------------------------------------------------------------------------------------

_COLUMNS = (
    Column(name="who", title=_("Who")),
    Column(name="answered", title=_("Answered"), kind="number"),
    Column(name="late", title=_("Late"), kind="number"),
    Column(name="average", title=_("Late on average"), kind="number"),
    Column(name="worst", title=_("At worst"), kind="number"),
    Column(name="waiting", title=_("Waiting now"), kind="number"),
    Column(name="overdue", title=_("Overdue now"), kind="number"),
)


@view_config(
    route_name="deals.lead_figures",
    request_method="GET",
    permission=LEADS_FIGURES,
    renderer="crm_deals:templates/leads_figures.pt",
)
def figures(request: Request) -> dict[str, Any]:
    """Show who answered how fast in the last month, as far as the viewer may count."""
    if request.headers.get("HX-Request-Type") == "partial":
        request.override_renderer = "crm_deals:templates/leads_figures_part.pt"
    found = leads.speeds(request.gate, DAYS)
    names = user_names(request.db, [one.user_id for one in found])
    say = request.translate
    return {
        "title": _("Who answers how fast"),
        "columns": [replace(column, title=say(column.title)) for column in _COLUMNS],
        "rows": [
            _speed_row(request, one, say(_("Nobody")) if one.user_id is None else names.get(one.user_id, ""))
            for one in found
        ],
        "days": say(_("For the last 30 days")),
        "inbox_href": INBOX,
    }


def _speed_row(request: Request, one: leads.Speed, name: str) -> Row:
    who = "owner_id:empty" if one.user_id is None else f"owner_id:any:{one.user_id}"

    def counted(value: int, *conditions: str, tone: str = "") -> Cell:
        query = "&".join(f"f={condition}" for condition in (who, *conditions))
        return Cell(
            kind="number",
            text=request.formats.number(value),
            href=f"{LEADS.url}?{query}" if conditions and value else "",
            tone=tone if value else "",
        )

    return Row(
        id=one.user_id or 0,
        href="",
        label=name,
        cells=[
            Cell(text=name, person=PersonView.of(name, one.user_id) if one.user_id is not None else None),
            counted(one.answered),
            counted(one.late, tone="danger"),
            Cell(kind="number", text=spell(request, one.late_minutes) if one.late else "—"),
            Cell(kind="number", text=spell(request, one.worst_minutes) if one.late else "—"),
            counted(one.waiting, "state:any:new"),
            counted(one.overdue, "overdue:is:1", tone="danger"),
        ],
    )
