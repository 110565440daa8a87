"""Finds, loads, checks, orders and wires plugins; `Plugins` is the typed door to what they offer.

Five steps, each with an error that names the setting, the value seen and the remedy: *discover* (entry points, nothing
imported) -> *load* (only what `crm.plugins` lists) -> *check* (requirements, contract version) -> *order* -> *wire*.
The instance lives on the registry as `registry["crm.plugins"]`; there is none at module level.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy
from pyramid.config import Configurator

from crm_core import hookspecs, specs
from crm_core.hooks import PROJECT
from crm_core.settings import ConfigurationError

if TYPE_CHECKING:
    from crm_core.specs import (
        Channel,
        Entity,
        EventType,
        Job,
        NavItem,
        Panel,
        Permission,
        PluginInfo,
        Role,
        Setting,
        SettingsPage,
        Widget,
    )

GROUP = "crm.plugins"
SETTING = "crm.plugins"

#: The module through which the core itself answers the hooks, by the same door as everyone.
CORE_PLUGIN = "crm_core.core_plugin"


#: Facts that every entity tells without declaring them: `clients.person.created` with `entity` and `ids`.
ENTITY_FACTS = ("created", "changed", "trashed", "restored", "assigned")


class PluginError(ConfigurationError):
    """A plugin that cannot be used, told to the person who can change the setting."""


@dataclass(frozen=True)
class Installed:
    """A plugin that pip installed, whether or not it is listed; nothing of it has been imported."""

    name: str
    module: str
    package: str
    distribution: str
    version: str


@dataclass(frozen=True)
class Loaded:
    """A plugin that is listed and imported."""

    info: PluginInfo
    module: ModuleType
    installed: Installed | None = None


def discover() -> dict[str, Installed]:
    """Return every installed plugin by name, without importing any."""
    found: dict[str, Installed] = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        dist = point.dist
        candidate = Installed(
            name=point.name,
            module=point.value,
            package=point.value.partition(".")[0],
            distribution=dist.name if dist else "",
            version=dist.version if dist else "",
        )
        other = found.get(point.name)
        if other is not None and other.module != candidate.module:
            raise PluginError(
                SETTING,
                point.name,
                f"two installed packages offer it: {other.distribution} and {candidate.distribution}",
                f"uninstall one of them: pip uninstall {candidate.distribution}",
            )
        found[point.name] = candidate
    return found


def load(names: Sequence[str], installed: Mapping[str, Installed]) -> list[Loaded]:
    """Import the listed plugins; the core's own answers come first."""
    loaded = [_load_core()]
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise PluginError(SETTING, name, "is listed twice", "name each plugin once")
        seen.add(name)
        if name not in installed:
            near = get_close_matches(name, installed, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise PluginError(
                SETTING,
                name,
                "no plugin of this name is installed",
                f"{hint}Install it with pip, or take the name out of the line; "
                f"installed: {', '.join(sorted(installed)) or 'none'}",
            )
        loaded.append(_load_one(installed[name]))
    return loaded


def _load_core() -> Loaded:
    module = importlib.import_module(CORE_PLUGIN)
    return Loaded(module.PLUGIN, module)


def _load_one(found: Installed) -> Loaded:
    try:
        module = importlib.import_module(found.module)
    except Exception as error:
        raise PluginError(
            SETTING,
            found.name,
            f"its module {found.module} cannot be imported ({type(error).__name__}: {error})",
            f"mend or update {found.distribution}, or take the name out of the line",
        ) from error
    info = getattr(module, "PLUGIN", None)
    if not isinstance(info, specs.PluginInfo):
        raise PluginError(
            SETTING, found.name, f"{found.module} has no PLUGIN = PluginInfo(...)", f"update {found.distribution}"
        )
    if info.name != found.name:
        raise PluginError(
            SETTING,
            found.name,
            f"its PluginInfo calls it {info.name!r}",
            "the entry point and PluginInfo.name must be the same",
        )
    return Loaded(info, module, found)


def check(loaded: Sequence[Loaded]) -> None:
    """Refuse a plugin whose requirements are not listed or that was written for another contract."""
    names = {one.info.name for one in loaded}
    for one in loaded:
        missing = [name for name in one.info.requires if name not in names]
        if missing:
            raise PluginError(
                SETTING,
                one.info.name,
                f"it requires {', '.join(missing)}, which the line does not list",
                f"add {' '.join(missing)} to {SETTING}, or take {one.info.name} out",
            )
        if one.info.core_api != specs.CORE_API:
            raise PluginError(
                SETTING,
                one.info.name,
                f"it was written for version {one.info.core_api} of the plugin contract, this is {specs.CORE_API}",
                f"install a release of {one.info.package} for this version",
            )


def order(loaded: Sequence[Loaded]) -> list[Loaded]:
    """Return the plugins so that each comes after those it requires; equal ones keep the order of the line."""
    by_name = {one.info.name: one for one in loaded}
    sorter = TopologicalSorter({name: one.info.requires for name, one in by_name.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise PluginError(SETTING, circle, "these plugins require one another", "take one of them out") from error
    position = {name: index for index, name in enumerate(by_name)}
    result: list[Loaded] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=lambda name: position[name])
        for name in ready:
            result.append(by_name[name])
            sorter.done(name)
    return result


def locate(package: str) -> Path | None:
    """Return the folder of a package without importing its plugin module; None when it is not there."""
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if found is None or not found.origin:
        return None
    return Path(found.origin).parent


@dataclass
class Plugins:
    """What the listed plugins offer, collected once at start."""

    loaded: list[Loaded]
    manager: pluggy.PluginManager
    permissions: dict[str, Permission] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    entities: dict[str, Entity] = field(default_factory=dict)
    event_types: dict[str, EventType] = field(default_factory=dict)
    nav_items: list[NavItem] = field(default_factory=list)
    widgets: dict[str, Widget] = field(default_factory=dict)
    panels: list[Panel] = field(default_factory=list)
    settings: dict[str, Setting] = field(default_factory=dict)
    settings_pages: dict[str, SettingsPage] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    source: dict[tuple[str, str], str] = field(default_factory=dict)
    """(kind, name) -> plugin that declared it: for the administrator's page."""

    @classmethod
    def build(cls, names: Sequence[str], *, extra: Iterable[Loaded] = ()) -> Plugins:
        """Go through discover, load, check, order and registration; `extra` are plugins that tests hand over."""
        listed = [*load(names, discover()), *extra]
        check(listed)
        ordered = order(listed)
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(hookspecs)
        for one in ordered:
            if one.info.hookspecs is not None:
                manager.add_hookspecs(one.info.hookspecs)
        # pluggy calls the last registered first, so those that others require are registered last.
        for one in reversed(ordered):
            manager.register(one.module, name=one.info.name)
        try:
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            plugin = manager.get_name(error.plugin) or "?"
            raise PluginError(
                SETTING, plugin, str(error), "mend the misspelled hook, or take the plugin out of the line"
            ) from error
        plugins = cls(ordered, manager)
        plugins._collect()
        return plugins

    def names(self) -> list[str]:
        """Return the names of the plugins that are on, the core's own first."""
        return [one.info.name for one in self.loaded]

    def info(self, name: str) -> PluginInfo:
        """Return what a plugin says of itself; KeyError when it is not on."""
        return next(one.info for one in self.loaded if one.info.name == name)

    def entity(self, name: str) -> Entity:
        """Return an entity by name; KeyError when its plugin is off."""
        return self.entities[name]

    def entity_of(self, model: type) -> Entity:
        """Return the entity of a mapped class; KeyError when there is none."""
        for entity in self.entities.values():
            if entity.model is model:
                return entity
        raise KeyError(f"{model.__name__} is the model of no entity")

    def panels_for(self, entity: str) -> list[Panel]:
        """Return the panels on the card of an entity, in their order."""
        return sorted((p for p in self.panels if p.entity in (entity, "*")), key=lambda p: (p.order, p.id))

    def domain(self, plugin: str) -> str:
        """Return the translation domain of a plugin's texts."""
        return self.info(plugin).package

    def _collect(self) -> None:
        for one in self.loaded:
            for kind, hook, target, key in (
                ("permission", "crm_permissions", self.permissions, "name"),
                ("role", "crm_roles", self.roles, "name"),
                ("entity", "crm_entities", self.entities, "name"),
                ("event", "crm_event_types", self.event_types, "name"),
                ("widget", "crm_widgets", self.widgets, "id"),
                ("job", "crm_jobs", self.jobs, "name"),
                ("channel", "crm_channels", self.channels, "id"),
            ):
                for spec in self._ask(one, hook):
                    self._add(one, kind, getattr(spec, key), spec, target)
            for spec in self._ask(one, "crm_settings"):
                if isinstance(spec, specs.SettingsPage):
                    self._add(one, "settings page", spec.id, spec, self.settings_pages)
                else:
                    self._add(one, "setting", spec.key, spec, self.settings)
            for item in self._ask(one, "crm_nav_items"):
                self.nav_items.append(item)
                self.source["nav", item.id] = one.info.name
            for panel in self._ask(one, "crm_panels"):
                self.panels.append(panel)
                self.source["panel", panel.id] = one.info.name
        for entity in self.entities.values():
            for verb in ENTITY_FACTS:
                spec = specs.EventType(name=f"{entity.name}.{verb}", title=entity.title, payload=("entity", "ids"))
                self.event_types.setdefault(spec.name, spec)
        self._check_specs()

    def _ask(self, one: Loaded, hook: str) -> Iterable[Any]:
        implementation = getattr(one.module, hook, None)
        return () if implementation is None else (implementation() or ())

    def _add(self, one: Loaded, kind: str, name: str, spec: Any, target: dict[str, Any]) -> None:
        if name in target:
            first = self.source[kind, name]
            raise PluginError(
                SETTING,
                one.info.name,
                f"it declares the {kind} {name!r}, which {first} declares already",
                f"take one of {first} and {one.info.name} out of the line",
            )
        target[name] = spec
        self.source[kind, name] = one.info.name

    def _check_specs(self) -> None:
        for entity in self.entities.values():
            plugin = self.source["entity", entity.name]
            if plugin != "core" and entity.name.partition(".")[0] != plugin:
                raise PluginError(
                    SETTING, plugin, f"its entity {entity.name!r} does not begin with {plugin!r}.", "rename the entity"
                )
            needed = f"{entity.permission_prefix}:view"
            if needed not in self.permissions:
                raise PluginError(
                    SETTING,
                    plugin,
                    f"its entity {entity.name!r} is read by the permission {needed!r}, which nobody declares",
                    "declare it in crm_permissions",
                )


def configured(config: Configurator) -> Plugins:
    """Return the plugins of an application that is being configured."""
    plugins: Plugins = config.registry["crm.plugins"]
    return plugins


def includeme(config: Configurator) -> None:
    """Build the host from the setting; plugins' own includes come later, by `include_plugins`."""
    settings = config.get_settings()
    ready = settings.get("crm.plugin_host")
    config.registry["crm.plugins"] = ready or Plugins.build(tuple(settings.get("crm.plugins", "").split()))


def include_plugins(config: Configurator) -> None:
    """Call `crm_include` of each plugin with a configurator of its own package, requirements first."""
    plugins = configured(config)
    for one in plugins.loaded:
        implementation = getattr(one.module, "crm_include", None)
        if implementation is not None:
            config.include(implementation)
