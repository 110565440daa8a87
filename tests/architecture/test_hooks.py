"""Hooks are few: each is documented with its exact signature, used by a plugin of this repository, and tested here."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from crm_core import hookspecs, specs
from crm_core.hooks import hookimpl
from crm_core.plugins import Loaded, PluginError, Plugins
from crm_core.specs import (
    Channel,
    Entity,
    Event,
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
from tests.architecture.tree import ROOT, Source

HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("crm_") and callable(hook)}
README = ROOT / "plugins/README.md"


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_the_hook_is_documented_with_its_exact_signature(name: str) -> None:
    parameters = ", ".join(
        f"{one.name}: {one.annotation}" for one in inspect.signature(HOOKS[name]).parameters.values()
    )
    returns = inspect.signature(HOOKS[name]).return_annotation
    text = README.read_text("utf-8")

    assert f"### `{name}({parameters}) -> {returns}`\n" in text
    assert re.search(rf"```python\n@hookimpl\ndef {name}\(", text), "show a short example"


def test_the_readme_names_no_other_hook() -> None:
    told = set(re.findall(r"\bcrm_[a-z_]+(?=\()", README.read_text("utf-8")))

    assert told - {"crm_plugin_name"} == HOOKS.keys()


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_the_hook_says_what_is_asked(name: str) -> None:
    sentence = (HOOKS[name].__doc__ or "").strip()

    assert sentence.endswith(".")
    assert len(sentence) > 20


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_the_hook_has_a_user_in_this_repository(name: str, sources: list[Source]) -> None:
    homes = [source for source in sources if source.name.endswith(("/plugin.py", "crm_core/core_plugin.py"))]

    assert [source.name for source in homes if re.search(rf"^@hookimpl\ndef {name}\(", source.text, re.M)]


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_the_hook_has_a_test(name: str) -> None:
    assert [test for test in globals() if test.startswith(f"test_{name}_")], f"write test_{name}_... below"


@pytest.mark.parametrize(
    "name", sorted(n for n, c in vars(specs).items() if inspect.isclass(c) and c.__module__ == specs.__name__)
)
def test_specs_are_frozen_and_documented(name: str) -> None:
    spec = getattr(specs, name)

    assert spec.__dataclass_params__.frozen
    assert spec.__doc__.strip().endswith(".")


# -- what the core makes of each answer ------------------------------------------------------------------------------


def test_crm_permissions_may_be_granted(answering: Callable[..., Plugins]) -> None:
    told = Permission(name="probe:view", title="See", group="Probe")

    host = answering(crm_permissions=lambda: [told])

    assert host.permissions["probe:view"] is told
    assert host.source["permission", "probe:view"] == "probe"


def test_crm_permissions_of_one_name_stop_the_start(answering: Callable[..., Plugins]) -> None:
    with pytest.raises(PluginError, match="declares the permission 'users:view', which core declares already"):
        answering(crm_permissions=lambda: [Permission(name="users:view", title="See", group="Probe")])


def test_crm_roles_ship(answering: Callable[..., Plugins]) -> None:
    assert answering(crm_roles=lambda: [Role(name="lawyer", title="Lawyer")]).roles["lawyer"].title == "Lawyer"


def test_crm_entities_are_known_by_name_and_model(answering: Callable[..., Plugins]) -> None:
    thing = _entity("probe.thing")

    host = answering(
        crm_entities=lambda: [thing],
        crm_permissions=lambda: [Permission(name="probe:view", title="See", group="Probe")],
    )

    assert host.entity("probe.thing") is thing
    assert host.entity_of(Thing) is thing
    assert "probe.thing.trashed" in host.event_types


def test_crm_entities_need_their_prefix_and_their_permission(answering: Callable[..., Plugins]) -> None:
    with pytest.raises(PluginError, match="does not begin with 'probe'"):
        answering(crm_entities=lambda: [_entity("other.thing")])
    with pytest.raises(PluginError, match="'probe:view', which nobody declares"):
        answering(crm_entities=lambda: [_entity("probe.thing")])


def test_crm_event_types_may_be_told(answering: Callable[..., Plugins]) -> None:
    host = answering(crm_event_types=lambda: [EventType(name="probe.thing.done", title="Done")])

    assert host.event_types["probe.thing.done"].title == "Done"


def test_crm_nav_items_stand_in_the_menu(answering: Callable[..., Plugins]) -> None:
    item = NavItem(id="probe.list", title="Things", href="/probe", icon="box", group="sales")

    assert item in answering(crm_nav_items=lambda: [item]).nav_items


def test_crm_widgets_are_known_by_id(answering: Callable[..., Plugins]) -> None:
    widget = Widget(id="probe.box", title="Box", load=lambda request: {}, template="x.pt")

    assert answering(crm_widgets=lambda: [widget]).widgets["probe.box"] is widget


def test_crm_panels_stand_on_their_cards_in_order(answering: Callable[..., Plugins]) -> None:
    last = Panel(id="probe.b", title="B", entity="*", load=lambda r, o: {}, template="x.pt", order=99)
    first = Panel(id="probe.a", title="A", entity="probe.thing", load=lambda r, o: {}, template="x.pt", order=1)

    host = answering(crm_panels=lambda: [last, first])

    assert [panel for panel in host.panels_for("probe.thing") if panel in (first, last)] == [first, last]
    assert first not in host.panels_for("clients.person")


def test_crm_settings_are_settings_and_pages(answering: Callable[..., Plugins]) -> None:
    page = SettingsPage(id="probe", title="Probe", permission="settings:edit")
    setting = Setting(key="probe.days", title="Days", kind="number", default=12, page="probe")

    host = answering(crm_settings=lambda: [page, setting])

    assert host.settings_pages["probe"] is page
    assert host.settings["probe.days"] is setting


def test_crm_jobs_run(answering: Callable[..., Plugins]) -> None:
    job = Job(name="probe.work", run=lambda context: None)

    assert answering(crm_jobs=lambda: [job]).jobs["probe.work"] is job


def test_crm_channels_are_known_by_id_beside_the_cores_own(answering: Callable[..., Plugins]) -> None:
    pigeon = Channel(id="pigeon", title="Pigeon", send=lambda message: None, address=lambda session, user_id: "loft")

    host = answering(crm_channels=lambda: [pigeon])

    assert list(host.channels) == ["mail", "pigeon"]
    assert host.channels["mail"].inside


def test_crm_include_adds_routes(answering: Callable[..., Plugins]) -> None:
    from pyramid.config import Configurator

    from crm_core.plugins import include_plugins

    def crm_include(config: Configurator) -> None:
        config.add_route("probe.list", "/probe")

    host = answering(crm_include=crm_include)
    config = Configurator()
    config.registry["crm.plugins"] = Plugins([one for one in host.loaded if one.info.name == "probe"], host.manager)

    include_plugins(config)
    config.commit()

    assert config.get_routes_mapper().get_route("probe.list").pattern == "/probe"


def test_crm_event_is_told_in_order_of_requirements(answering: Callable[..., Plugins], db: Any) -> None:
    from crm_core import events
    from crm_core.security.subject import Subject

    seen: list[Any] = []

    def crm_event(event: Event, context: Any) -> None:
        seen.append((event.name, dict(event.payload), context.session is db))

    host = answering(crm_event=crm_event, crm_event_types=lambda: [EventType(name="probe.thing.done", title="Done")])

    events.fire(db, Event("probe.thing.done", {"id": 7}), plugins=host, subject=Subject.system("a test"))

    assert seen == [("probe.thing.done", {"id": 7}, True)]


def test_a_misspelled_hook_stops_the_start(answering: Callable[..., Plugins]) -> None:
    with pytest.raises(PluginError, match="unknown hook 'crm_widget'"):
        answering(crm_widget=lambda: (1,))


class Thing:
    """Stands for a mapped class."""


def _entity(name: str) -> Entity:
    return Entity(
        name=name,
        title="Thing",
        title_plural="Things",
        model=Thing,
        schema=object,
        permission_prefix="probe",
        url="/probe",
    )


@pytest.fixture
def answering() -> Callable[..., Plugins]:
    """Build a host with one more plugin, whose answers the test gives."""

    def build(**answers: Callable[..., Any]) -> Plugins:
        module = ModuleType("crm_probe.plugin")
        info = PluginInfo(name="probe", package="crm_probe", title="Probe", migrations=False)
        module.PLUGIN = info  # type: ignore[attr-defined]
        for name, answer in answers.items():
            setattr(module, name, hookimpl(answer))
        return Plugins.build((), extra=[Loaded(info, module)])

    return build
