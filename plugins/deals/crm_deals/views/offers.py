"""Price offers: made and opened from the card of a deal; how they look is set on a page of settings."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.response import FileResponse
from pyramid.view import view_config

from crm_core import clock, company
from crm_core.files import FILE
from crm_core.records import operations, saving
from crm_core.records.work import speaker
from crm_core.typesetting import TypesettingError
from crm_core.views.shapes import Action, Choice, Crumb, FieldView, FormPage, Section, Tab
from crm_deals.i18n import _
from crm_deals.models.offers import Offer
from crm_deals.permissions import OFFER, VIEW
from crm_deals.permissions import SETTINGS as MAY_SET
from crm_deals.services import discounts, lines, offers
from crm_deals.services.discounts import NeedsApproval
from crm_deals.views.answers import FORM, day, deal_of, done, form_page, href_of, number

HOME = "/settings/deals/offers"
LOOK = "crm_deals:templates/offer_look.pt"

#: Columns that may be left out.
CHOSEN = tuple((name, title) for name, title in offers.COLUMNS if name not in offers.ALWAYS)


def paper_of(request: Request) -> offers.Paper:
    """Return what offers of this company are made with, in the company's language."""
    say = speaker(request.company.locale, request.gate.plugins)
    return offers.Paper(request.company, request.file_store, say, offers.look_of(request.company))


# -- on a deal ---------------------------------------------------------------------------------------------------------


@view_config(route_name="deals.offer_new", request_method="GET", permission=OFFER, renderer=FORM)
def making(request: Request) -> Any:
    """Ask until when the offer holds and what it begins with."""
    deal = deal_of(request, "offer")
    stopped = _stopped(request, deal)
    return _page(request, {"": stopped} if stopped else None)


@view_config(route_name="deals.offer_new", request_method="POST", permission=OFFER, renderer=FORM)
def make(request: Request) -> Any:
    """Make a price offer of a deal."""
    deal = deal_of(request, "offer")
    until = day(request.POST.get("valid_until"))
    today = clock.today(lines.zone_of(request.subject))
    if until is None or until < today:
        return _page(request, {"valid_until": _("Choose a day that is not over.")})
    try:
        made = offers.make_offer(
            request.gate,
            deal,
            paper_of(request),
            valid_until=until,
            intro=str(request.POST.get("intro", "")).strip()[:3000],
            seller=number(request.POST.get("seller")),
        )
    except saving.NotAllowed as problem:
        return _page(request, {"": problem.message})
    except (NeedsApproval, offers.NothingToOffer):
        return _page(request, {"": _stopped(request, deal)})
    except TypesettingError as problem:
        return _page(request, {"": _said(request, problem)})
    said = _("The offer no. ${number} is made.", mapping={"number": f"{made.number}-{made.version}"})
    return done(request, said, href_of(deal))


def _stopped(request: Request, deal: Any) -> Any:
    """Return why no offer of a deal can be made, if so."""
    if deal.lines_total is None:
        return _("The deal has no products: add them first, an offer is made of them.")
    if discounts.waits(request.gate, deal):
        return _(
            "The discount of ${n} % is over the limit of ${limit} % and not approved: no offer goes out until then.",
            mapping={
                "n": discounts.plain(deal.discount_total),
                "limit": discounts.plain(discounts.limit(request.gate)),
            },
        )
    return None


def _said(request: Request, problem: TypesettingError) -> str:
    say = request.translate
    found = [
        str(say(_("line ${n}: ${words}", mapping={"n": one.line, "words": one.message}))) if one.line else one.message
        for one in problem.mistakes[:5]
    ]
    return " ".join([str(say(problem.message)), *found])


def _page(request: Request, errors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    deal = deal_of(request, "offer")
    look, say = offers.look_of(request.company), request.translate
    posted = request.POST if request.method == "POST" else {}
    until = clock.today(lines.zone_of(request.subject)) + _days(look.valid_days)
    wrong = (errors or {}).get("valid_until")
    fields = [
        FieldView(
            name="valid_until", title=say(_("Valid until")), kind="date", required=True,
            value=str(posted.get("valid_until", until.isoformat())), error=say(wrong) if wrong else "",
        ),
        FieldView(
            name="intro", title=say(_("It begins with")), kind="longtext", rows=4, wide=True,
            value=str(posted.get("intro", look.intro)), maxlength=3000,
        ),
    ]  # fmt: skip
    legal = list(request.company.get(company.LEGAL_ENTITIES) or ())
    if len(legal) > 1:
        fields.append(
            FieldView(
                name="seller", title=say(_("On behalf of")), kind="choice", value=str(posted.get("seller", "0")),
                required=True,
                choices=[Choice(value=str(place), title=one.get("name", "")) for place, one in enumerate(legal)],
            )
        )  # fmt: skip
    return form_page(
        request,
        id="offer",
        title=_("Make an offer"),
        action=f"{href_of(deal)}/offers/new",
        submit=_("Make the offer as PDF"),
        fields=fields,
        cancel=href_of(deal),
        errors=errors,
    )


def _days(count: int) -> Any:
    import datetime as dt

    return dt.timedelta(days=count)


@view_config(route_name="deals.offer", request_method="GET", permission=VIEW)
def show(request: Request) -> Any:
    """Open an offer in the browser, or save it."""
    deal = deal_of(request, "view")
    offer = request.db.get(Offer, number(request.matchdict["offer"]))
    if offer is None or offer.deal_id != deal.id:
        raise HTTPNotFound
    file = request.gate.get(FILE, offer.file_id)
    if file is None:
        raise HTTPNotFound
    path = request.file_store.path(file.digest)
    if not path.is_file():
        raise HTTPNotFound
    response = FileResponse(str(path), request=request, content_type="application/pdf")
    how = "attachment" if request.matchdict["way"] == "save" else "inline"
    response.content_disposition = f"{how}; filename*=UTF-8''{quote(file.name)}"
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def panel(request: Request, deal: Any) -> Mapping[str, Any]:
    """Return the offers of a deal."""
    found = offers.offers_of(request.gate, deal.id)
    formats, say = request.formats, request.translate
    items = []
    for one in found:
        href = f"/deals/{deal.id}/offers/{one.offer.id}"
        until = say(_("until ${day}", mapping={"day": formats.date(one.offer.valid_until)}))
        items.append(
            {
                "label": say(_("Offer no. ${number}", mapping={"number": one.label})),
                "hint": f"{formats.date(one.offer.day)}, {until}",
                "aside": formats.money(one.offer.total, one.offer.currency),
                "href": f"{href}/open",
                "icon": "file-text",
                "actions": [
                    Action(title=_("Open"), icon="external-link", href=f"{href}/open"),
                    Action(title=_("Download"), icon="download", href=f"{href}/save"),
                ],
            }
        )
    return {
        "empty": _("No offers yet: they are made of the products of the deal."),
        "items": items,
        "count": len(items),
    }


# -- how they look -----------------------------------------------------------------------------------------------------


@view_config(route_name="deals.settings.offers", request_method="GET", permission=MAY_SET, renderer=LOOK)
def show_look(request: Request) -> dict[str, Any]:
    """Show how offers look, with an example."""
    return _look_page(request, offers.look_of(request.company))


@view_config(route_name="deals.settings.offers", request_method="POST", permission=MAY_SET, renderer=LOOK)
def save_look(request: Request) -> Any:
    """Save how offers look, or show an example of what was typed."""
    post = request.POST
    present = offers.look_of(request.company)
    days = number(post.get("valid_days"))
    look = replace(
        present,
        title=str(post.get("title", "")).strip()[:200] or offers.Look().title,
        intro=str(post.get("intro", "")).strip()[:3000],
        closing=str(post.get("closing", "")).strip()[:3000],
        columns=tuple(name for name, _title in CHOSEN if name in post.getall("columns")),
        valid_days=days,
        signatory=str(post.get("signatory", "")).strip()[:200],
        signatory_title=str(post.get("signatory_title", "")).strip()[:200],
        requisites=str(post.get("requisites", "")).strip()[:1000],
        with_logo="with_logo" in post,
    )
    if not 1 <= days <= 365:
        return _look_page(request, look, {"valid_days": _("From 1 to 365 days.")})
    if "preview" in post:
        return _look_page(request, look)
    _keep(request, look)
    return done(request, _("Offers look so from now on."), HOME)


@view_config(route_name="deals.settings.offer_template", request_method="GET", permission=MAY_SET, renderer=LOOK)
def show_template(request: Request) -> dict[str, Any]:
    """Show the template of offers to those who know typst."""
    look = offers.look_of(request.company)
    return _template_page(request, look, look.template or offers.own_template())


@view_config(route_name="deals.settings.offer_template", request_method="POST", permission=MAY_SET, renderer=LOOK)
def save_template(request: Request) -> Any:
    """Save the template when it makes an example, show the example, or put ours back."""
    look = offers.look_of(request.company)
    if "reset" in request.POST:
        _keep(request, replace(look, template=""))
        return done(request, _("Our template is back."), f"{HOME}/template")
    source = str(request.POST.get("template", "")).replace("\r\n", "\n").strip() + "\n"
    if source.strip() == offers.own_template().strip():
        source = ""
    tried = replace(look, template=source)
    if "preview" in request.POST:
        return _template_page(request, tried, source or offers.own_template())
    try:
        offers.preview(replace(paper_of(request), look=tried))
    except TypesettingError:
        return _template_page(request, tried, source)
    _keep(request, tried)
    return done(request, _("The template is saved."), f"{HOME}/template")


def _keep(request: Request, look: offers.Look) -> None:
    operations.describe(request.db, request.subject, kind="settings", entity="core.setting", note=offers.KEY)
    request.company.set(offers.KEY, look.as_value())


def _around(request: Request, here: str, look: offers.Look) -> dict[str, Any]:
    say = request.translate
    tabs = (("look", _("Texts and columns"), HOME), ("template", _("Template"), f"{HOME}/template"))
    return {
        "title": _("Price offers"),
        "crumbs": [Crumb(title=say(_("Settings")), href="/settings")],
        "tabs": [Tab(title=say(title), href=href, active=name == here) for name, title, href in tabs],
        **_example(request, look),
    }


def _example(request: Request, look: offers.Look) -> dict[str, Any]:
    """Return the pages of an example as the page shows them, or what is wrong with the template."""
    try:
        pages = offers.preview(replace(paper_of(request), look=look))
    except TypesettingError as problem:
        say = request.translate
        return {
            "pages": [],
            "problem": say(problem.message),
            "mistakes": [{"line": one.line, "words": one.message} for one in problem.mistakes],
        }
    shown = [
        {"src": "data:image/png;base64," + base64.b64encode(page).decode(), "key": hashlib.md5(page).hexdigest()[:8]}  # noqa: S324  a key of a picture
        for page in pages[:4]
    ]
    return {"pages": shown, "problem": "", "mistakes": []}


def _look_page(request: Request, look: offers.Look, errors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    say, errors = request.translate, errors or {}

    def field(name: str, title: Any, kind: str = "text", **more: Any) -> FieldView:
        wrong = say(errors[name]) if name in errors else ""
        value = more.pop("value", getattr(look, name))
        return FieldView(name=name, title=say(title), kind=kind, value=value, error=wrong, **more)

    fields = [
        field("title", _("Heading"), required=True, maxlength=200),
        field("intro", _("It begins with"), "longtext", rows=3, wide=True, maxlength=3000),
        field("closing", _("It ends with"), "longtext", rows=3, wide=True, maxlength=3000),
        field(
            "columns", _("Columns of the table"), "choices", value=tuple(look.columns),
            choices=[Choice(value=name, title=say(title)) for name, title in CHOSEN],
            help=say(_("The name and the total always stand in it.")),
        ),
        field("valid_days", _("Valid for so many days"), "number", value=str(look.valid_days), minimum="1",
              maximum="365", required=True),
        field("signatory_title", _("Office of who signs"), maxlength=200),
        field("signatory", _("Who signs"), maxlength=200, help=say(_("Empty: whoever signs for the legal entity."))),
        field("requisites", _("Further requisites"), "longtext", rows=3, wide=True, maxlength=1000,
              help=say(_("Those of the legal entity stand there already."))),
        field("with_logo", _("With the company's logo"), "bool", value=look.with_logo),
    ]  # fmt: skip
    form = _form(request, say(_("How offers look")), HOME, fields, [
        Action(title=_("Show an example"), href=HOME, values={"preview": "1"}),
    ], errors)  # fmt: skip
    return {**_around(request, "look", look), "form": form}


def _template_page(request: Request, look: offers.Look, source: str) -> dict[str, Any]:
    say = request.translate
    fields = [
        FieldView(
            name="template", title=say(_("Template in typst")), kind="longtext", value=source, rows=26, wide=True,
            help=say(_("What it reads stands in data.json; the logo in logo.png. It reads nothing else.")),
        )
    ]  # fmt: skip
    here = f"{HOME}/template"
    more = [Action(title=_("Show an example"), href=here, values={"preview": "1"})]
    if offers.look_of(request.company).template:
        more.append(Action(title=_("Put ours back"), href=here, values={"reset": "1"}))
    page = _around(request, "template", look)
    if page["problem"] and request.method == "POST":
        request.response.status_int = 422
    return {**page, "form": _form(request, say(_("Template")), here, fields, more)}


def _form(
    request: Request, title: str, action: str, fields: list[FieldView], more: list[Action], errors: Any = None
) -> FormPage:
    if errors:
        request.response.status_int = 422
    return FormPage(
        id="offers", title=title, action=action, submit=_("Save"), sections=[Section(fields=fields)], more=more
    )
