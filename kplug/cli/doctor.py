"""`kplug doctor`."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from typing import Annotated, Any

import typer

from kplug import __version__
from kplug.cli.catalog import announce_inspection
from kplug.cli.output import print_fields, print_json
from kplug.cli.quick import QuickCommand
from kplug.places import cache_root, runs_root

_PACKAGES = ("keras", "tensorflow", "tensorflow-probability", "jax", "torch", "textual", "typer", "pydantic", "numpy")
_BACKENDS = ("tensorflow", "jax", "torch")


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("doctor", cls=QuickCommand)(doctor)


def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Report versions, backends, GPUs, plugins and their errors, and where things are kept.

    The exit code is 1 if a plugin is broken or the runs directory cannot be written.
    """
    from kplug.catalog.discovery import components

    announce_inspection(list(components()))
    report = _report()
    if json:
        print_json(report)
    else:
        _print(report)
    if any(plugin["errors"] for plugin in report["plugins"]) or not report["places"]["runs_writable"]:
        raise typer.Exit(1)


def _report() -> dict[str, Any]:
    runs = runs_root()
    return {
        "kplug": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "backends": {name: importlib.util.find_spec(name) is not None for name in _BACKENDS},
        "gpus": _gpus(),
        "plugins": _plugins(),
        "places": {"runs": str(runs), "runs_writable": _writable(runs), "cache": str(cache_root())},
    }


def _version(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _gpus() -> list[dict[str, Any]]:
    from kplug.runs.devices import gpus

    return [
        {
            "device": f"gpu:{gpu.index}",
            "name": gpu.name,
            "uuid": gpu.uuid,
            "memory_bytes": gpu.memory_bytes,
            "free_bytes": gpu.free_bytes,
        }
        for gpu in gpus()
    ]


def _plugins() -> list[dict[str, Any]]:
    from kplug.catalog.description import describe_all
    from kplug.catalog.discovery import catalog, components
    from kplug.catalog.plugins import plugins as installed

    descriptions = describe_all(components())
    plugins: dict[str, dict[str, Any]] = {}
    for component, description in descriptions.items():
        plugin = plugins.setdefault(
            component.distribution,
            {
                "distribution": component.distribution,
                "version": component.version,
                "state": "used",
                "components": 0,
                "errors": {},
            },
        )
        plugin["components"] += 1
        if description.broken:
            plugin["errors"][f"{component.kind} {component.id}"] = description.error
    for unreadable in catalog().unreadable:
        plugins[unreadable.name] = {
            "distribution": unreadable.name,
            "version": None,
            "state": "used",
            "components": 0,
            "errors": {"metadata": unreadable.error},
        }
    unused = [
        {
            "distribution": one.distribution,
            "version": one.version,
            "state": f"{one.state}: {one.error}" if one.error else one.state,
            "components": len(one.components),
            "errors": {},
        }
        for one in installed()
        if one.components and one.distribution not in plugins
    ]
    return [*plugins.values(), *unused]


def _writable(folder: Any) -> bool:
    import tempfile

    existing = next(parent for parent in (folder, *folder.parents) if os.path.exists(parent))  # noqa: PTH110
    try:
        with tempfile.TemporaryDirectory(prefix=".kplug-", dir=existing):
            return True
    except OSError:
        return False


def _print(report: dict[str, Any]) -> None:
    print_fields([("kplug", report["kplug"]), ("python", report["python"]), ("platform", report["platform"])])
    print("\npackages")
    print_fields([(name, version or "not installed") for name, version in report["packages"].items()], indent="  ")
    print("\nbackends")
    print_fields(
        [
            (name, "ready" if ready else f'missing: pip install "kplug[{name}]"')
            for name, ready in report["backends"].items()
        ],
        indent="  ",
    )
    print("\nGPUs")
    gpus = [
        (
            f"{gpu['device']} {gpu['name']}",
            f"{gpu['free_bytes'] / 2**30:.1f} of {(gpu['memory_bytes'] or 0) / 2**30:.1f} GiB free",
        )
        for gpu in report["gpus"]
    ]
    print_fields(gpus or [("none", "")], indent="  ")
    print("\nplugins")
    for plugin in report["plugins"]:
        broken = len(plugin["errors"])
        state = f"{broken} broken" if broken else "all fine"
        state = state if plugin["state"] == "used" else plugin["state"]
        print_fields(
            [(plugin["distribution"], f"{plugin['version'] or ''} {plugin['components']} components, {state}")],
            indent="  ",
        )
        print_fields(list(plugin["errors"].items()), indent="    ")
    places = report["places"]
    print("\nplaces")
    writable = "" if places["runs_writable"] else " (not writable: choose another with --runs-dir or KPLUG_HOME)"
    print_fields([("runs", places["runs"] + writable), ("cache", places["cache"])], indent="  ")
