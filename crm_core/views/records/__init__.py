"""The pages of any entity: list, card, form and all that belongs to them, made from what the entity says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyramid.config import Configurator

from crm_core.plugins import Plugins, configured
from crm_core.records.quick import is_nameable
from crm_core.specs import Entity
from crm_core.views.records import bulk, cards, changes, editing, following, lists, options, rights, saved
from crm_core.views.records.context import of_entity, of_record

_T = "crm_core:templates/records/"


@dataclass(frozen=True)
class Page:
    """A page that every entity has: the name of its route, where it lives under the entity, who may open it."""

    name: str
    path: str
    verb: str
    get: Callable[..., Any] | None = None
    post: Callable[..., Any] | None = None
    template: str = ""
    """Of the answer to GET, and of POST where it shows the form again; `json` for pickers; empty: the view answers."""
    record: bool = False


#: Pages of many records; fixed addresses before patterns.
_MANY = (
    Page("list", "", "view", get=lists.show_list, template="list.pt"),
    Page("count", "/count", "view", get=lists.count),
    Page("filters", "/filters", "view", get=lists.show_filters, template="filters.pt"),
    Page("filter", "/filter/{name:[a-z][a-z0-9_]*}", "view", get=lists.show_filter, template="filter.pt"),
    Page("columns", "/columns", "view", post=lists.keep_columns),
    Page("options", "/options", "view", get=options.records, template="json"),
    Page("doubles", "/doubles", "view", get=editing.show_doubles, template="doubles.pt"),
    Page("new", "/new", "create", get=editing.new, post=editing.create, template="form.pt"),
    Page("quick", "/quick", "create", post=editing.quick),
    Page("view_new", "/views/new", "view", get=saved.new_view, post=saved.save_view, template="form.pt"),
    Page("view", r"/views/{view:\d{1,18}}", "view", get=saved.edit_view, post=saved.update_view, template="form.pt"),
    Page("view_keep", r"/views/{view:\d{1,18}}/keep", "view", post=saved.overwrite_view),
    Page("view_delete", r"/views/{view:\d{1,18}}/delete", "view", post=saved.delete_view),
    Page("bulk", "/bulk/{action:[a-z]+}", "view", get=bulk.show, post=bulk.do, template="bulk.pt"),
)

#: Pages of one record.
_ONE = (
    Page("card", "", "view", get=cards.show_card, template="card.pt", record=True),
    Page("edit", "/edit", "edit", get=editing.edit, post=editing.update, template="form.pt", record=True),
    Page("resolve", "/resolve", "edit", post=editing.resolve, record=True),
    Page(
        "field",
        "/fields/{field:[a-z][a-z0-9_]*}",
        "edit",
        get=editing.edit_field,
        post=editing.save_field,
        template="field_edit.pt",
        record=True,
    ),
    Page("timeline", "/timeline", "view", get=changes.show_timeline, template="timeline.pt", record=True),
    Page("history", "/history", "view", get=changes.show_history, template="history.pt", record=True),
    Page("as_of", "/as-of", "view", get=changes.show_as_of, template="as_of.pt", record=True),
    Page("panel", "/panels/{panel:[a-z0-9_.]+}", "view", get=cards.show_panel, record=True),
    Page("access", "/access", "view", get=rights.show_access, template="why.pt", record=True),
    Page("share", "/share", "assign", get=rights.show_share, post=rights.share, template="form.pt", record=True),
    Page("unshare", r"/unshare/{grant:\d{1,18}}", "assign", post=rights.unshare, record=True),
    Page("step", "/{way:next|previous}", "view", get=cards.step, record=True),
    Page(
        "follow",
        "/follow",
        "view",
        get=following.show_followers,
        post=following.follow,
        template="followers.pt",
        record=True,
    ),
    Page("favourite", "/favourite", "view", post=cards.favourite, record=True),
    Page("delete", "/delete", "delete", post=cards.delete, record=True),
    Page("restore", "/restore", "delete", post=cards.restore, record=True),
)


def has_pages(entity: Entity) -> bool:
    """Tell whether the core makes the pages of an entity; its own files have theirs elsewhere."""
    return not entity.name.startswith("core.")


def hangs_on_records(entity: Entity) -> bool:
    """Tell whether records of the entity hang on others by a soft link: they are made from the cards of those."""
    return bool(entity.parent) and "=" not in entity.parent


def add_entity(config: Configurator, entity: Entity, plugins: Plugins) -> None:
    """Add the routes and views of an entity: those whose permission somebody declares."""
    for page in (*_MANY, *_ONE):
        permission = f"{entity.permission_prefix}:{page.verb}"
        if permission not in plugins.permissions or (page.name == "new" and hangs_on_records(entity)):
            continue
        if page.name in entity.own_pages or (page.name == "quick" and not is_nameable(entity)):
            continue
        route = f"records.{entity.name}.{page.name}"
        if page.record:
            config.add_route(route, entity.url + r"/{id:\d{1,18}}" + page.path, factory=of_record(entity, page.verb))
        else:
            config.add_route(route, entity.url + page.path, factory=of_entity(entity))
        renderer = page.template if page.template in ("", "json") else _T + page.template
        for method, view in (("GET", page.get), ("POST", page.post)):
            if view is not None:
                config.add_view(
                    view,
                    route_name=route,
                    request_method=method,
                    permission=permission,
                    renderer=renderer or None,
                )


def includeme(config: Configurator) -> None:
    """Add the pages of every entity, and what pickers of all of them share."""
    plugins = configured(config)
    for name, path, view in (
        ("people", "/options/people", options.colleagues),
        ("departments", "/options/departments", options.departments),
        ("tags", "/options/tags", options.tags),
    ):
        config.add_route(f"records.options.{name}", path)
        config.add_view(view, route_name=f"records.options.{name}", request_method="GET", renderer="json")
    for entity in plugins.entities.values():
        if has_pages(entity):
            add_entity(config, entity, plugins)
