"""What stands around every page: menu, favourites, "create", running work, the bell, one's own menu.

`request.shell` is made when a page is drawn and never for parts of pages. It costs one statement, and a second one
where favourites are records whose access is asked anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.interfaces import IRoutesMapper
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.settings import asbool
from pyramid.view import view_config

from crm_core import clock
from crm_core.db import Fixed
from crm_core.i18n import LOCALE_COOKIE, LOCALES, _
from crm_core.jobs import RUNNING, WAITING
from crm_core.plugins import Plugins
from crm_core.records.gate import Gate
from crm_core.security import permissions
from crm_core.security.policy import reading_session
from crm_core.specs import NavItem as NavSpec
from crm_core.views.filling import safe_next
from crm_core.views.jobs import job_view
from crm_core.views.shapes import Action, NavGroup, NavItem, PersonView, Shell

#: The groups of the menu in their order; the first stands without a heading.
GROUPS: tuple[tuple[str, str], ...] = (
    ("home", ""),
    ("sales", _("Sales")),
    ("marketing", _("Marketing")),
    ("support", _("Support")),
    ("reports", _("Reports")),
    ("settings", _("Settings")),
)

HOME = NavSpec(
    id="home",
    title=_("Home"),
    href="/",
    icon="home",
    group="home",
    order=0,
    words="рабочий стол главная домой начало home desktop start",
)

#: The menu of an entity that its plugin gives no entry of its own.
DEFAULT_GROUP = "sales"
MOST_VIEWS = 12
MOST_FAVOURITES = 20
BOTTOM = 4
IMPORT = "/imports/new"

_STATE = Fixed(
    """
    SELECT
        (SELECT count(*) FROM (SELECT 1 FROM core_notification WHERE user_id = :user AND read_at IS NULL
            AND (snoozed_until IS NULL OR snoozed_until <= :now) AND NOT EXISTS (SELECT 1 FROM core_notice_hours h
            WHERE h.user_id = :user AND h.muted_until > :now) LIMIT 100) n) AS unread,
        (SELECT last_value FROM core_change_id_seq) AS change,
        (SELECT coalesce(max(id), 0) FROM core_job WHERE user_id = :user) AS last_job,
        (SELECT coalesce(jsonb_agg(j ORDER BY j.id DESC), '[]') FROM (
            SELECT id, name, title, state, done_units, total_units, message, started_at FROM core_job
            WHERE user_id = :user AND visible AND state IN ('waiting', 'running') ORDER BY id DESC LIMIT 10) j) AS jobs,
        (SELECT coalesce(jsonb_agg(f ORDER BY f.id), '[]') FROM (
            SELECT id, href, title, entity, record_id FROM core_favourite WHERE user_id = :user
            ORDER BY id LIMIT :favourites) f) AS favourites,
        (SELECT coalesce(jsonb_agg(v ORDER BY v.pinned DESC, v.position, v.name), '[]') FROM (
            SELECT id, entity, name, pinned, position FROM core_view
            WHERE owner_id = :user OR (pinned AND (shared = 'all' OR (shared = 'team' AND team_id = ANY(:teams))))
            ORDER BY pinned DESC, position, name LIMIT :views) v) AS views
    """
)


@dataclass(frozen=True)
class Place:
    """A place of the menu: a spec of a plugin, or an entity that has none."""

    spec: NavSpec
    title: str
    """In the reader's language."""


# -- the menu ------------------------------------------------------------------------------------------------------


def leads_somewhere(request: Request, href: str) -> bool:
    """Tell whether an address of ours has a page; a plugin that is off or a page not there gives no dead links."""
    path = href.partition("?")[0].partition("#")[0]
    known: dict[str, bool] = request.registry.setdefault("crm.known_places", {})
    found = known.get(path)
    if found is None:
        mapper = request.registry.queryUtility(IRoutesMapper)
        found = any(route.match(path) is not None for route in mapper.get_routes())
        # Addresses of records are many; what is kept are those of the menu.
        if len(known) < 500:
            known[path] = found
    return found


def places(request: Request) -> list[Place]:
    """Return all places of the menu that the person may go to, in their order."""
    plugins: Plugins = request.registry["crm.plugins"]
    subject = request.subject
    specs = [HOME, *(item for item in plugins.nav_items if subject.may(item.permission))]
    taken = {item.href.partition("?")[0] for item in plugins.nav_items}
    specs += [
        NavSpec(
            id=entity.name,
            title=entity.title_plural,
            href=entity.url,
            icon=entity.icon,
            group=DEFAULT_GROUP,
        )
        for entity in plugins.entities.values()
        if entity.in_menu and not entity.parent and entity.url not in taken
        and subject.may(f"{entity.permission_prefix}:view")
    ]  # fmt: skip
    position = {name: index for index, (name, _title) in enumerate(GROUPS)}
    specs.sort(key=lambda item: (position.get(item.group, len(position)), item.order, item.id))
    return [Place(item, request.translate(item.title)) for item in specs if leads_somewhere(request, item.href)]


def _active(request: Request, found: Sequence[Place]) -> str:
    path = request.path.rstrip("/") or "/"
    # A place may be a list as it is looked at first: what it is filtered by does not say where one is.
    bare = {place.spec.href: place.spec.href.partition("?")[0] for place in found}
    inside = [href for href, root in bare.items() if path == root or (root != "/" and path.startswith(root + "/"))]
    return max(inside, key=lambda href: len(bare[href]), default="")


def groups(request: Request, found: Sequence[Place], *, marked: bool = True) -> list[NavGroup]:
    """Return the menu in groups, empty ones left out; `marked` lights the place where the reader is."""
    active = _active(request, found) if marked else ""
    result = []
    for name, title in GROUPS:
        items = [
            NavItem(
                id=place.spec.id,
                title=place.title,
                href=place.spec.href,
                icon=place.spec.icon,
                key=place.spec.key,
                active=place.spec.href == active,
            )
            for place in found
            if place.spec.group == name or (name == "settings" and place.spec.group not in dict(GROUPS))
        ]
        if items:
            result.append(NavGroup(id=name, title=request.translate(title) if title else "", items=items))
    return result


def create_actions(request: Request) -> list[Action]:
    """Return what the person may make, from the entities he may make records of."""
    plugins: Plugins = request.registry["crm.plugins"]
    found = []
    for entity in plugins.entities.values():
        href = f"{entity.url}/new"
        if not entity.in_menu or entity.parent or not request.subject.may(f"{entity.permission_prefix}:create"):
            continue
        if leads_somewhere(request, href):
            found.append(Action(title=request.translate(entity.title), href=href, icon=entity.icon, open="dialog"))
    if request.subject.may(permissions.USERS_INVITE):
        title = request.translate(_("Invitation for a colleague"))
        found.append(Action(title=title, href="/settings/users/invite", icon="user-plus"))
    return found


def import_action(request: Request) -> Action | None:
    """Return the way to bring records in from a file; None for who may import nothing."""
    entities = request.registry["crm.plugins"].entities.values()
    may = any(one.importable and request.subject.may(f"{one.permission_prefix}:import") for one in entities)
    if not may or not leads_somewhere(request, IMPORT):
        return None
    return Action(title=request.translate(_("Import from a table")), href=IMPORT, icon="file-import")


def _bottom(request: Request, found: Sequence[NavGroup]) -> list[NavItem]:
    first = [item for group in found if group.id != "settings" for item in group.items]
    rest = [item for group in found if group.id == "settings" for item in group.items]
    # A word that fits beneath an icon on a phone.
    short = request.translate(_("Start"))
    return [replace(item, title=short) if item.href == "/" else item for item in [*first, *rest][:BOTTOM]]


# -- what is one's own ---------------------------------------------------------------------------------------------


def visible_labels(gate: Gate, refs: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """Return the names of those records of any entities that the subject may see, in one statement."""
    wanted: dict[str, set[int]] = {}
    for name, number in refs:
        if name in gate.plugins.entities:
            wanted.setdefault(name, set()).add(number)
    parts = []
    for name, numbers in wanted.items():
        entity = gate.entity(name)
        if not gate.may(entity, "view"):
            continue
        model: Any = entity.model
        parts.append(
            sa.select(sa.literal(name, sa.Text()), model.id, sa.cast(getattr(model, entity.label), sa.Text())).where(
                model.id.in_(sorted(numbers)), gate.criterion(entity, "view")
            )
        )
    if not parts:
        return {}
    statement = parts[0] if len(parts) == 1 else sa.union_all(*parts)
    return {(row[0], row[1]): row[2] or "" for row in gate.session.execute(statement)}


def _favourites(request: Request, gate: Gate, rows: Sequence[dict[str, Any]]) -> list[NavItem]:
    records = [(row["entity"], row["record_id"]) for row in rows if row["entity"] and row["record_id"]]
    labels = visible_labels(gate, records) if records else {}
    found = []
    for row in rows:
        title, icon = row["title"], "star"
        if row["entity"]:
            label = labels.get((row["entity"], row["record_id"]))
            if label is None:
                continue
            title, icon = label or title, gate.entity(row["entity"]).icon
        elif not leads_somewhere(request, row["href"]):
            continue
        found.append(NavItem(title=title, href=row["href"], icon=icon, active=request.path_qs == row["href"]))
    return found


def _views(request: Request, rows: Sequence[dict[str, Any]]) -> list[NavItem]:
    plugins: Plugins = request.registry["crm.plugins"]
    found = []
    for row in rows:
        entity = plugins.entities.get(row["entity"])
        if entity is None or not request.subject.may(f"{entity.permission_prefix}:view"):
            continue
        active = request.path == entity.url and request.GET.get("view") == str(row["id"])
        found.append(
            NavItem(
                title=row["name"],
                href=f"{entity.url}?view={row['id']}",
                icon="bookmark",
                hint=request.translate(entity.title_plural),
                active=active,
            )
        )
    return found


def role_titles(request: Request) -> str:
    """Return the roles of the person in words, those that ship; his address where he has none of them."""
    roles = request.registry["crm.plugins"].roles
    titles = [request.translate(roles[name].title) for name in sorted(request.subject.roles) if name in roles]
    return ", ".join(titles) or request.subject.email


def person_of(request: Request) -> PersonView:
    """Return the face of whoever asks."""
    subject = request.subject
    return PersonView.of(
        subject.name or subject.email or "?",
        subject.user_id,
        photo_href=f"/faces/{subject.photo}.png" if subject.photo else "",
        hint=role_titles(request),
    )


def live_since(change: int, last_job: int, running: Iterable[int]) -> str:
    """Return the place from which `/live` goes on telling: changes, jobs, and the jobs whose end is waited for."""
    return f"{change}.{last_job}.{'-'.join(str(number) for number in running)}"


def shell_of(request: Request) -> Shell | None:
    """Return what stands around a page; None before sign-in."""
    subject = request.subject
    if request.identity is None or subject.user_id is None:
        return None
    found = places(request)
    menu = groups(request, found)
    with reading_session(request) as session:
        state = _STATE.ask(
            session,
            user=subject.user_id,
            now=clock.now(),
            teams=sorted(subject.team_ids),
            favourites=MOST_FAVOURITES,
            views=MOST_VIEWS,
        ).one()
        gate = Gate(session, subject, request.registry["crm.plugins"])
        favourites = _favourites(request, gate, state.favourites)
    return Shell(
        person=person_of(request),
        groups=menu,
        favourites=favourites,
        saved_views=_views(request, state.views),
        create=[*create_actions(request), *filter(None, [import_action(request)])],
        bottom=_bottom(request, menu),
        company=request.company.name,
        live_href="/live",
        live_since=live_since(
            state.change,
            state.last_job,
            (row["id"] for row in state.jobs if row["state"] in (WAITING, RUNNING)),
        ),
        jobs=[job_view(request, row) for row in state.jobs],
        jobs_href="/jobs",
        bell_href="/notifications",
        unread=state.unread,
        profile=(
            Action(title=request.translate(_("Profile")), href="/profile", icon="user-circle"),
            Action(title=request.translate(_("Devices")), href="/profile/sessions", icon="devices"),
            Action(title=request.translate(_("My jobs")), href="/jobs", icon="activity"),
        ),
        preferences_href="/profile/preferences",
        demo=_demo(request),
        toasts=request.take_toasts(),
    )


def _demo(request: Request) -> str:
    if not asbool(request.registry.settings.get("crm.demo", "false")):
        return ""
    return request.translate(
        _(
            "An invented company: letters go nowhere. Your role: ${role}.",
            mapping={"role": role_titles(request)},
        )
    )


# -- the language before sign-in -----------------------------------------------------------------------------------


@view_config(route_name="locale", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def choose_locale(request: Request) -> Response:
    """Keep the language of the pages before sign-in in the browser."""
    wanted = request.GET.get("locale", "")
    response = HTTPSeeOther(safe_next(request.GET.get("back")))
    if wanted in LOCALES:
        response.set_cookie(
            LOCALE_COOKIE, wanted, max_age=365 * 24 * 3600, path="/", secure=request.scheme == "https", samesite="Lax"
        )
    return response


def includeme(config: Configurator) -> None:
    """Give requests `shell` and add the addresses that belong to it."""
    config.add_route("locale", "/locale")
    config.add_request_method(shell_of, "shell", reify=True)
    config.scan(__name__)
