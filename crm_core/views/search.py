"""Ctrl-K and the search page: go (places of the menu and of settings), find (records through the gate), do (commands).

Words that we do not use lead to ours: whoever types «тикет» or «дашборд» finds what it is called here, also where the
module that has it is switched off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.view import view_config

from crm_core.i18n import LOCALES, TranslationString, _, localizer_for, translate
from crm_core.records import cleaning, searching
from crm_core.security import permissions
from crm_core.specs import Entity
from crm_core.views.admin.index import page_href, pages_for
from crm_core.views.shapes import EmptyState, PaletteGroup, PaletteItem
from crm_core.views.shell import create_actions, import_action, leads_somewhere, places

IN_PALETTE, ON_PAGE = 5, 25
MOST_PLACES, MOST_COMMANDS = 7, 5
LONGEST = 200


@dataclass(frozen=True)
class Alias:
    """A word that we do not use, and what we say instead."""

    stems: tuple[str, ...]
    """How it begins, in every form."""
    ours: str
    """What we call it."""
    seek: str
    """Words by which the place is found among titles and words of the menu."""


ALIASES: tuple[Alias, ...] = (
    Alias(("тикет", "заявк", "ticket"), _("Tickets"), "обращения"),
    Alias(("дашборд", "dashboard"), _("Home and dashboards"), "рабочий стол сводка сводки"),
    Alias(("бэкап", "бекап", "backup"), _("Backups"), "резервная копия резервные копии"),
    Alias(("контрагент",), _("Clients: people and companies"), "клиенты люди компании контакты"),
    Alias(("неразобран", "входящие лид"), _("Leads"), "лиды"),
    Alias(("канбан", "kanban"), _("Deals on the board"), "сделки воронка доска"),
    Alias(("стади",), _("Stages of a pipeline"), "этап этапы воронка воронки"),
    Alias(("плагин", "аддон", "addon", "расширени"), _("Modules"), "модули"),
    Alias(("аккаунт", "учетк", "учетная запись"), _("Users"), "пользователи"),
    Alias(("права", "доступы"), _("Roles"), "роли"),
    Alias(("аудит", "откат"), _("Log of operations"), "журнал операций"),
)


@dataclass(frozen=True)
class Place:
    """Somewhere to go or something to do, with all words that lead there."""

    item: PaletteItem
    words: str
    """Titles in every language and other words, as sort keys."""


# -- words ---------------------------------------------------------------------------------------------------------


def in_all_languages(request: Request, *texts: str) -> str:
    """Return texts in every language as one line to be searched in."""
    said = [translate(localizer_for(locale, request.registry), text) for locale in LOCALES for text in texts if text]
    return cleaning.sort_key(" ".join(said))


def readings(text: str) -> list[str]:
    """Return how typed words may be meant: as typed, and in the other keyboard layout."""
    return [" ".join(words) for words in searching.variants(text) if words]


def fits(words: str, text: str) -> int:
    """Tell how well typed words fit: 0 not at all, 2 each begins a word, 1 each is part of one."""
    wanted = text.split()
    if not wanted:
        return 0
    known = re.split(r"[\s:.,«»()/-]+", words)
    if all(any(one.startswith(word) for one in known) for word in wanted):
        return 2
    return 1 if all(len(word) > 2 and word in words for word in wanted) else 0


def alias_of(text: str) -> Alias | None:
    """Return the alias whose word was typed, whole or begun."""
    for reading in readings(text):
        for alias in ALIASES:
            for stem in alias.stems:
                if reading.startswith(stem) or (len(reading) > 3 and stem.startswith(reading)):
                    return alias
    return None


def chosen(places: Iterable[Place], text: str, most: int) -> list[PaletteItem]:
    """Return what fits the typed words, best first."""
    ranked = []
    for index, place in enumerate(places):
        best = max((fits(place.words, reading) for reading in readings(text)), default=0)
        if best:
            ranked.append((-best, index, place.item))
    return [item for _rank, _index, item in sorted(ranked, key=lambda one: one[:2])[:most]]


# -- go and do -----------------------------------------------------------------------------------------------------


def go_places(request: Request) -> list[Place]:
    """Return the places of the menu and of settings that the person may go to."""
    found = []
    taken = set()
    for place in places(request):
        spec = place.spec
        keys = f"G {spec.key.upper()}" if spec.key else "G H" if spec.href == "/" else ""
        item = PaletteItem(title=place.title, href=spec.href, icon=spec.icon, keys=keys)
        found.append(Place(item, in_all_languages(request, spec.title) + " " + cleaning.sort_key(spec.words)))
        taken.add(spec.href)
    for page in pages_for(request.registry["crm.plugins"], request.subject):
        href = page_href(page)
        if href in taken or not leads_somewhere(request, href):
            continue
        item = PaletteItem(title=request.translate(page.title), href=href, icon=page.icon,
                           hint=request.translate(_("Settings")))  # fmt: skip
        words = in_all_languages(request, page.title, page.description) + " " + cleaning.sort_key(page.words)
        found.append(Place(item, words))
    own: tuple[tuple[str, str, str, str], ...] = (
        (_("Profile"), "/profile", "user-circle", "профиль имя фото язык profile"),
        (_("Password and address"), "/profile/password", "key", "пароль почта password"),
        (_("Devices"), "/profile/sessions", "devices", "устройства сеансы выйти везде sessions"),
        (_("Notifications"), "/notifications", "bell", "уведомления колокольчик notifications"),
        (_("Jobs"), "/jobs", "activity", "задания импорт экспорт выгрузка jobs"),
    )
    for title, href, icon, words in own:
        item = PaletteItem(title=request.translate(title), href=href, icon=icon)
        found.append(Place(item, in_all_languages(request, title) + " " + cleaning.sort_key(words)))
    return found


def commands(request: Request) -> list[Place]:
    """Return what the person may do from anywhere."""
    found = []
    create = request.translate(_("Create"))
    for action in create_actions(request):
        title = f"{create}: {action.title[:1].lower()}{action.title[1:]}"
        item = PaletteItem(title=title, href=action.href, icon="plus", open=action.open)
        words = f"{action.title} создать добавить новый новая create add new"
        found.append(Place(item, cleaning.sort_key(words)))
    if (bring := import_action(request)) is not None:
        item = PaletteItem(title=bring.title, href=bring.href, icon=bring.icon)
        found.append(Place(item, cleaning.sort_key("импорт загрузить таблица excel csv import")))
    if request.subject.may(permissions.PREFERENCES_EDIT):
        for value, title, icon, words in (
            ("light", _("Light colours"), "sun", "светлая тема светлое оформление light theme"),
            ("dark", _("Dark colours"), "moon", "темная тема темное оформление ночь dark theme"),
            ("auto", _("Colours as the device's"), "circle-half", "авто тема как на устройстве auto theme"),
        ):
            item = PaletteItem(
                title=request.translate(title), href=f"/profile/preferences?theme={value}", icon=icon, method="post"
            )
            found.append(Place(item, in_all_languages(request, title) + " " + cleaning.sort_key(words)))
        other = "en" if request.locale == "ru" else "ru"
        title = {"en": "English", "ru": "Русский"}[other]
        item = PaletteItem(
            title=title, href=f"/profile/preferences?locale={other}", icon="language", method="post",
            hint=request.translate(_("Language")),
        )  # fmt: skip
        found.append(Place(item, cleaning.sort_key("english русский язык language английский")))
    item = PaletteItem(title=request.translate(_("Sign out")), href="/sign-out", icon="logout", method="post")
    found.append(Place(item, in_all_languages(request, _("Sign out")) + " " + cleaning.sort_key("выйти выход logout")))
    return found


def by_alias(request: Request, text: str, known: Sequence[Place]) -> list[PaletteItem]:
    """Return where a word that we do not use leads, or what it is called here where its module is off."""
    alias = alias_of(text)
    if alias is None:
        return []
    ours = request.translate(alias.ours)
    hint = request.translate(_("Here it is called: ${ours}", mapping={"ours": ours}))
    sought = alias.seek.split()
    found = [
        PaletteItem(title=place.item.title, href=place.item.href, icon=place.item.icon, hint=hint, keys=place.item.keys)
        for place in known
        if any(fits(place.words, word) == 2 for word in sought)
    ]
    if found:
        return found[:3]
    manages = request.subject.may(permissions.PLUGINS_VIEW)
    off = request.translate(_("The module is not switched on."))
    return [PaletteItem(title=hint, href="/settings/plugins" if manages else "/", icon="puzzle", hint=off)]


# -- find ----------------------------------------------------------------------------------------------------------


def record_item(entity: Entity, found: searching.Found) -> PaletteItem:
    """Return a record found as a line: its name, and beside it phones as people write them."""
    parts = [cleaning.write_phone(part) if part.startswith("+") else part for part in found.hint.split(" · ")]
    return PaletteItem(
        title=found.label, href=found.url, icon=entity.icon, hint=" · ".join(part for part in parts if part)
    )


def found_records(request: Request, text: str, limit: int) -> list[tuple[Entity, list[PaletteItem], bool]]:
    """Return records found, by entity, and whether there are more of it than are shown."""
    if len("".join(text.split())) < 2:
        return []
    by_entity: dict[str, list[searching.Found]] = {}
    for one in searching.find(request.gate, text, limit=limit + 1):
        by_entity.setdefault(one.entity, []).append(one)
    result = []
    for name, rows in by_entity.items():
        entity = request.gate.entity(name)
        result.append((entity, [record_item(entity, one) for one in rows[:limit]], len(rows) > limit))
    return result


@view_config(route_name="search.palette", request_method="GET", renderer="crm_core:templates/records/palette.pt")
def palette(request: Request) -> dict[str, Any]:
    """Answer the lines of Ctrl-K for what is typed so far."""
    text = request.GET.get("q", "").strip()[:LONGEST]
    known, doing = go_places(request), commands(request)
    groups: list[tuple[str, Sequence[PaletteItem], str]] = []
    if not text:
        groups.append((_("Go to"), [place.item for place in known if not place.item.hint][:9], ""))
        groups.append((_("Do"), [place.item for place in doing][:8], ""))
    else:
        aliased = by_alias(request, text, known)
        hrefs = {item.href for item in aliased}
        there = [*aliased, *(item for item in chosen(known, text, MOST_PLACES) if item.href not in hrefs)]
        groups.append((_("Go to"), there, ""))
        for entity, items, more in found_records(request, text, IN_PALETTE):
            groups.append((entity.title_plural, items, f"/search?q={quote(text)}" if more else ""))
        groups.append((_("Do"), chosen(doing, text, MOST_COMMANDS), ""))
    return {
        "palette_groups": [
            PaletteGroup(title=request.translate(title), items=items, more_href=more)
            for title, items, more in groups
            if items
        ]
    }


@view_config(route_name="search", request_method="GET", renderer="crm_core:templates/search/search.pt")
def search(request: Request) -> dict[str, Any]:
    """Show everything found by some words: records by kind, and places."""
    text = request.GET.get("q", "").strip()[:LONGEST]
    found = []
    for entity, items, more in found_records(request, text, ON_PAGE) if text else ():
        href = f"{entity.url}?q={quote(text)}"
        found.append({
            "title": request.translate(entity.title_plural), "items": items,
            "all_href": href if more and leads_somewhere(request, href) else "",
        })  # fmt: skip
    known = go_places(request)
    go = [*by_alias(request, text, known), *chosen(known, text, MOST_PLACES)] if text else []
    return {
        "title": _("Search"),
        "query": text,
        "groups": found,
        "places": list({item.href: item for item in reversed(go)}.values())[::-1],
        "empty": EmptyState(
            title=TranslationString(_("Nothing is found by “${text}”"), mapping={"text": text})
            if text
            else _("Search in everything"),
            text=_(
                "Any part of a name in any order, of a phone or of an address will do; a word typed in the wrong"
                " keyboard layout is understood too."
            ),
            icon="search",
        ),
    }


def includeme(config: Configurator) -> None:
    """Add the addresses of search."""
    config.add_route("search", "/search")
    config.add_route("search.palette", "/search/palette")
    config.scan(__name__)
