"""Saved views: a list with its filters, order and columns under a name, one's own or shared."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from webob.multidict import MultiDict

from crm_core.i18n import _
from crm_core.models.records import SavedView
from crm_core.people import Refused
from crm_core.records import operations
from crm_core.records.listing import Listing, ListQuery, QueryError
from crm_core.security.permissions import VIEWS_SHARE
from crm_core.views.filling import Filling, choices, typed
from crm_core.views.records.context import EntityContext
from crm_core.views.records.editing import undo_href
from crm_core.views.records.lists import differs, read_kept, view_href
from crm_core.views.shapes import Action, FormPage, Section

_LONGEST = 80


def _shares(request: Request) -> list[tuple[str, str]]:
    scopes = request.subject.scopes(VIEWS_SHARE)
    found = [("", _("only I"))]
    if scopes and request.subject.team_id is not None:
        found.append(("team", _("my department")))
    if "all" in scopes:
        found.append(("all", _("everybody")))
    return found


def _page(
    context: EntityContext,
    request: Request,
    query: str,
    found: SavedView | None = None,
    refused: Refused | None = None,
) -> dict[str, Any]:
    form = Filling(request, refused)
    url = context.entity.url
    fields = [
        form.field(
            "name",
            _("Name of the view"),
            value=found.name if found else "",
            required=True,
            maxlength=_LONGEST,
            autofocus=True,
            help="" if found else _("It keeps the filters, the order and the columns."),
        )
    ]
    shares = _shares(request)
    if len(shares) > 1:
        shared = found.shared if found else ""
        fields.append(form.field("shared", _("Who sees it"), "radio", shared, choices=choices(shares)))
    fields.append(form.field("pinned", _("Keep it in the menu at the left"), "bool", found.pinned if found else True))
    more = []
    if found is not None:
        if _is_another(request, found):
            href = f"{url}/views/{found.id}/keep"
            more.append(Action(title=_("Keep the present filters in it"), href=href, values={"keep": "1"}))
        more.append(Action(title=_("Delete the view"), href=f"{url}/views/{found.id}/delete", values={"delete": "1"}))
    return {
        "form": FormPage(
            id="saved-view",
            title=_("Change the view") if found else _("Save this view"),
            action=f"{url}/views/{found.id}" if found else f"{url}/views/new",
            submit=_("Save the view"),
            sections=[Section(fields=fields)],
            hidden=[("query", query)],
            errors=form.errors,
            cancel_href=url,
            more=more,
        ),
        "more": (),
        "more_open": False,
        "title": _("Saved view"),
    }


def _is_another(request: Request, view: SavedView) -> bool:
    try:
        return request.GET.get("view") == str(view.id) and differs(view, ListQuery.parse(request.GET))
    except QueryError:
        return False


def _read_query(context: EntityContext, request: Request, text: str) -> dict[str, Any]:
    """Return the list to keep; what it cannot show is refused here and not when the view is opened."""
    try:
        query = ListQuery.parse(MultiDict(parse_qsl(text)))
        Listing(request.gate, context.entity).count(query, limit=1)
    except QueryError:
        raise Refused(_("This list cannot be kept: its filters cannot be understood."), "name") from None
    kept = query.to_json()
    if "cols" not in kept:
        # The columns of the moment belong to the view, so that colleagues see the same.
        columns = read_kept(request, context.entity).columns
        if columns:
            kept["cols"] = list(columns)
    return kept


def _fill(request: Request, view: SavedView) -> None:
    view.name = typed(request, "name").strip()[:_LONGEST]
    if not view.name:
        raise Refused(_("Write a name."), "name")
    shared = typed(request, "shared")
    if shared not in dict(_shares(request)):
        raise Refused(_("Your role may not share views so widely."), "shared")
    view.shared = shared
    view.team_id = request.subject.team_id if shared == "team" else None
    view.pinned = "pinned" in request.POST


def new_view(context: EntityContext, request: Request) -> dict[str, Any]:
    """Show the form that saves the list as it is."""
    return _page(context, request, request.query_string)


def save_view(context: EntityContext, request: Request) -> Any:
    """Save the list under a name."""
    text = typed(request, "query")
    view = SavedView(entity=context.entity.name, owner_id=request.subject.user_id)
    operations.describe(request.db, request.subject, kind="view")
    try:
        _fill(request, view)
        view.query = _read_query(context, request, text)
    except Refused as refused:
        return _page(context, request, text, refused=refused)
    request.db.add(view)
    request.db.flush()
    request.toast(_("The view “${name}” is saved.", mapping={"name": view.name}))
    return _to(request, view_href(_look(context, text), view))


def _look(context: EntityContext, text: str) -> str:
    """Return where the view was saved: the list, or another look at it."""
    look = dict(parse_qsl(text)).get("look", "")
    known = any(look == one.href or look.startswith(f"{one.href}/") for one in context.entity.looks)
    return look if known else context.entity.url


def _own(context: EntityContext, request: Request) -> SavedView:
    view = request.db.get(SavedView, int(request.matchdict["view"]))
    if view is None or view.entity != context.entity.name or view.owner_id != request.subject.user_id:
        raise HTTPNotFound
    return view


def edit_view(context: EntityContext, request: Request) -> dict[str, Any]:
    """Show the form of one's own view."""
    return _page(context, request, request.query_string, _own(context, request))


def update_view(context: EntityContext, request: Request) -> Any:
    """Rename a view, share it, pin it."""
    view = _own(context, request)
    operations.describe(request.db, request.subject, kind="view", note=view.name)
    try:
        with request.db.no_autoflush:
            _fill(request, view)
    except Refused as refused:
        request.db.refresh(view)
        return _page(context, request, "", view, refused)
    request.db.flush()
    request.toast(_("The view “${name}” is saved.", mapping={"name": view.name}))
    return _to(request, view_href(context.entity.url, view))


def overwrite_view(context: EntityContext, request: Request) -> Any:
    """Keep the list as it is now in one's own view."""
    view = _own(context, request)
    operations.describe(request.db, request.subject, kind="view", note=view.name)
    try:
        view.query = _read_query(context, request, typed(request, "query"))
    except Refused:
        raise HTTPNotFound from None
    request.db.flush()
    request.toast(_("The view “${name}” is saved.", mapping={"name": view.name}), undo_href=undo_href(request))
    return _to(request, view_href(context.entity.url, view))


def delete_view(context: EntityContext, request: Request) -> Any:
    """Delete one's own view."""
    view = _own(context, request)
    operations.describe(request.db, request.subject, kind="view", note=view.name)
    name = view.name
    request.db.delete(view)
    request.db.flush()
    request.toast(_("The view “${name}” is deleted.", mapping={"name": name}), undo_href=undo_href(request))
    return _to(request, context.entity.url)


def _to(request: Request, where: str) -> Any:
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Redirect": where})
    return HTTPSeeOther(where)
