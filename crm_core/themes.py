"""Finds the theme that the setting `crm.theme` names and lays it over the packages, file by file.

A theme is a distribution with an entry point in the group `crm.themes` whose value is a module with
`THEME = ThemeInfo(...)`. What stands in its folder `templates/<package>/` or `static_over/<package>/`
replaces the file of the same name of that package; what it lacks comes from its base theme, then from the
package. Its folder `static/` is its own.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pyramid.interfaces import IRoutesMapper
from pyramid_chameleon import zpt

from crm_core import assets
from crm_core.i18n import TranslationString, _
from crm_core.settings import ConfigurationError

if TYPE_CHECKING:
    from pyramid.config import Configurator
    from pyramid.events import BeforeRender
    from pyramid.request import Request

GROUP = "crm.themes"
SETTING = "crm.theme"
DEFAULT = "default"

#: Words of templates kept translated, for a package and a language.
_WORDS = 2000

ACCENTS = ("indigo", "blue", "teal", "green", "purple", "pink", "red", "orange", "graphite")
"""Accent colours a company may choose; each has its contrast checked in light and dark."""

MACRO_FILES = ("parts", "forms", "lists", "boards", "cards", "shell")


@dataclass(frozen=True, kw_only=True)
class Look:
    """How pages look for whoever asks; known before sign-in too."""

    mode: str = "auto"
    """`light`, `dark` or `auto`."""
    accent: str = ACCENTS[0]
    locale: str = "ru"
    company: str = "CRM"
    logo_href: str = ""


@dataclass(frozen=True, kw_only=True)
class ThemeInfo:
    """Says what a theme is; the module of its entry point holds one as `THEME`."""

    name: str
    """The same as the entry point's; the value of `crm.theme`."""
    title: str
    base: str = ""
    """Another theme that gives what this one lacks."""
    styles: tuple[str, ...] = ()
    """Style sheets in the theme's folder `static/`, after the core's; those of the base come before."""
    description: str = ""


@dataclass(frozen=True)
class Theme:
    """A theme that is installed and loaded."""

    info: ThemeInfo
    module: ModuleType

    @property
    def folder(self) -> Path:
        """The folder of its package."""
        return Path(str(self.module.__file__)).parent

    @property
    def package(self) -> str:
        """Its import name."""
        return str(self.module.__package__ or self.module.__name__)


class ThemeError(ConfigurationError):
    """A theme that cannot be used, told to the person who can change the setting."""


def discover() -> dict[str, importlib.metadata.EntryPoint]:
    """Return the installed themes by name, none imported."""
    return {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}


def load_chain(name: str) -> list[Theme]:
    """Load a theme and the themes it stands on, itself first."""
    installed = discover()
    chain: list[Theme] = []
    while name:
        if name not in installed:
            known = ", ".join(sorted(installed)) or "none"
            raise ThemeError(
                SETTING, name, "no theme of this name is installed", f"install it with pip or name another of {known}"
            )
        if name in {theme.info.name for theme in chain}:
            raise ThemeError(SETTING, name, "it is its own base", "set another `base` in its THEME")
        module = importlib.import_module(installed[name].module)
        info = getattr(module, "THEME", None)
        if not isinstance(info, ThemeInfo):
            raise ThemeError(SETTING, name, f"{module.__name__} has no THEME = ThemeInfo(...)", "update the theme")
        chain.append(Theme(info, module))
        name = info.base
    return chain


def _overlays(theme: Theme) -> Iterator[tuple[str, str, Path]]:
    for room, target in (("templates", "templates"), ("static_over", "static")):
        folder = theme.folder / room
        if folder.is_dir():
            for package in sorted(path for path in folder.iterdir() if path.is_dir()):
                yield package.name, target, package


def _lay_over(config: Configurator, theme: Theme) -> None:
    for package, target, folder in _overlays(theme):
        # A theme may dress plugins that are off or not installed; those are not to be imported for its sake.
        if package not in sys.modules:
            continue
        original = Path(str(sys.modules[package].__file__)).parent / target
        for path in folder.rglob("*") if target == "static" else ():
            squeezed = path.with_name(path.name + ".gz")
            if (original / squeezed.relative_to(folder)).exists() and not squeezed.exists():
                raise ThemeError(
                    SETTING,
                    theme.info.name,
                    f"it replaces {path.name} but not {squeezed.name}, which browsers get",
                    "put both into the theme",
                )
        config.override_asset(f"{package}:{target}/", f"{folder}/")


class Macros:
    """The macros of all macro files by one name each: `metal:use-macro="macros['field']"`."""

    def __init__(self, reload: bool) -> None:
        self.specs = [f"crm_core:templates/macros/{name}.pt" for name in MACRO_FILES]
        self.reload = reload
        self._known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        macro = self._known.get(name)
        if macro is None or self.reload:
            self._read()
            macro = self._known[name]
        return macro

    def names(self) -> list[str]:
        """Return the names of all macros."""
        self._read()
        return sorted(self._known)

    def _read(self) -> None:
        from pyramid.renderers import get_renderer

        found: dict[str, tuple[str, Any]] = {}
        for spec in self.specs:
            macros = get_renderer(spec).implementation().macros
            for name in macros.names:
                if name in found:
                    raise ThemeError("macro", name, f"stands both in {found[name][0]} and in {spec}", "rename one")
                found[name] = (spec, macros[name])
        self._known = {name: macro for name, (_, macro) in found.items()}


class Once:
    """Draws a macro once for each thing that stands many times on a page: the same person in fifty rows."""

    def __init__(self, macros: Macros) -> None:
        self._macros = macros
        self._drawn: dict[tuple[str, int], tuple[Any, str]] = {}

    def __call__(self, macro: str, name: str, thing: Any, scope: Any) -> str:
        """Return what the macro makes of the thing, called `name` in it; `scope` is the template's `econtext`."""
        found = self._drawn.get((macro, id(thing)))
        if found is None:
            within, stream = scope.copy(), []  # type: tuple[Any, list[str]]
            within[name] = thing
            self._macros[macro].include(stream, within, {}, "crm_core")
            # The thing is kept beside, so that its id stays its own while the page is drawn.
            found = self._drawn[macro, id(thing)] = thing, "".join(stream)
        return found[1]


def _template(spec: str) -> Any:
    from pyramid.renderers import get_renderer

    return get_renderer(spec).implementation()


def look_of(request: Request) -> Look:
    """Return how pages look for whoever asks: his own choice, else the company's."""
    made: Callable[[Request], Look] | None = request.registry.get("crm.look")
    if made is not None:
        return made(request)
    mode = request.cookies.get("crm_mode", "auto")
    return Look(
        mode=mode if mode in ("light", "dark", "auto") else "auto",
        accent=request.registry.settings.get("crm.accent", ACCENTS[0]),
        locale=getattr(request, "locale_name", "en"),
        company=request.registry.settings.get("crm.company", "CRM"),
    )


def add_globals(event: BeforeRender) -> None:
    """Give every template its layout, macros, icons and the shell around it."""
    request = event.get("request")
    # Answers in JSON are rendered too; they need none of this, and the words that wait are not theirs to take.
    if request is None or event.get("renderer_name") == "json":
        return
    registry = request.registry
    event["macros"] = registry["crm.macros"]
    event["once"] = Once(registry["crm.macros"])
    event["theme"] = registry["crm.theme"]
    # Whoever is asked for a part of a page (a dialog, a side sheet, a changed list) gets no shell around it.
    partial = request.headers.get("HX-Request-Type") == "partial"
    shell = None if partial else getattr(request, "shell", None)
    name = "layout_part" if partial else "layout" if shell is not None else "layout_plain"
    event["layout"] = _template(f"crm_core:templates/{name}.pt")
    event["layout_plain"] = _template(
        "crm_core:templates/layout_plain.pt" if not partial else "crm_core:templates/layout_part.pt"
    )
    event["shell"] = shell
    # Only whoever puts the answer into a page that stays may take the words that wait for the next page.
    event["toasts"] = request.take_toasts() if partial and "HX-Toasts" in request.headers else ()
    event["partial"] = partial
    event["look"] = look_of(request)
    event["asset"] = request.asset
    # The same few stand on a page a hundred times.
    event["icon"] = cache(lambda name, css="icon": assets.icon(request, name, css))
    event["import_map"] = lambda: assets.import_map(request)
    event["csp_nonce"] = getattr(request, "csp_nonce", "")
    event["csrf_token"] = _csrf_token(request)
    event["_"] = _speaker(event, request)
    event["words_json"] = lambda: words_json(request)
    event["has_route"] = lambda name: registry.queryUtility(IRoutesMapper).get_route(name) is not None
    event["page_styles"] = [*registry["crm.assets"].styles, *registry["crm.theme_styles"]]
    event["page_modules"] = registry["crm.assets"].modules


def _speaker(event: BeforeRender, request: Request) -> Callable[[str], str]:
    info = event.get("renderer_info")
    own = getattr(getattr(info, "package", None), "__name__", "").split(".")[0]
    name = str(event.get("renderer_name") or "")
    if ":" in name:
        own = name.split(":", 1)[0].split(".")[0]
    domains = ("crm_core",) if own in ("", "crm_core") else (own, "crm_core")
    known: dict[str, str] = request.registry.setdefault("crm.said", {}).setdefault((request.locale_name, own), {})

    def speak(text: str) -> str:
        if text.__class__ is not str:
            return say(text)
        said = known.get(text)
        if said is None:
            if len(known) > _WORDS:
                known.clear()
            said = known[text] = say(text)
        return said

    def say(text: str) -> str:
        # A page of a plugin uses macros of the core: its own catalogue is asked first, then the core's.
        for domain in domains:
            said = request.localizer.translate(TranslationString(text, domain=domain))
            if said != text:
                return str(said)
        return text

    return speak


def words_json(request: Request) -> assets.Html:
    """Return what scripts say, in the language of the request."""
    words = {
        "open": _("Open"),
        "undo": _("Put it back as it was"),
        "undone": _("It is as it was before."),
        "nothing_to_undo": _("There is nothing to put back."),
        "close": _("Close"),
        "remove": _("Remove"),
        "clear": _("Clear"),
        "copied": _("Copied"),
        "offline": _("No connection to the server. What you typed is kept; try again."),
        "failed": _("That did not work. Nothing was changed; try again or tell your administrator."),
        "forbidden": _("You have no access to that."),
        "gone": _("It is no longer there."),
        "frame_failed": _("This block could not be loaded."),
        "found": _("Found: {n}"),
        "nothing_found": _("Nothing found"),
        "quick": _("Create “{name}”"),
        "searching": _("Searching…"),
        "chosen": _("Selected: {n}"),
        "mentions": _("Colleagues"),
        "draft_found": _("You began this form earlier and did not save it."),
        "draft_take": _("Continue"),
        "draft_drop": _("Forget it"),
        "typed": _("Something is typed here. Press Esc once more to leave it."),
    }
    said = {key: request.localizer.translate(text) for key, text in words.items()}
    return assets.Html(json.dumps(said, ensure_ascii=False).replace("<", "\\u003c"))


def _csrf_token(request: Request) -> str:
    from pyramid.csrf import get_csrf_token

    try:
        return str(get_csrf_token(request))
    except Exception:
        return ""


class CookedInTurn(zpt.PyramidPageTemplateFile):
    """A template that is compiled while no other one is: Python 3.11 sometimes fails where two threads do."""

    _turn = threading.RLock()

    def cook(self, body: str) -> None:
        """Compile the template."""
        with self._turn:
            super().cook(body)


def includeme(config: Configurator) -> None:
    """Load the theme of the settings; after the plugins are imported, so that it can dress them."""
    # Its renderer makes templates by this name and offers no other way to say of which class.
    zpt.PyramidPageTemplateFile = CookedInTurn
    settings = config.registry.settings
    chain = load_chain(settings.get(SETTING, DEFAULT))
    styles: list[str] = []
    for theme in reversed(chain):
        _lay_over(config, theme)
        config.add_package_assets(theme.package)
        styles += [f"{theme.package}:static/{name}" for name in theme.info.styles]
    config.registry["crm.theme_styles"] = styles
    config.registry["crm.theme"] = chain[0].info
    config.registry["crm.themes"] = tuple(theme.info for theme in chain)
    config.registry["crm.macros"] = Macros(
        bool(settings.get("reload_templates") or settings.get("pyramid.reload_templates"))
    )
    config.add_subscriber(add_globals, "pyramid.events.BeforeRender")
