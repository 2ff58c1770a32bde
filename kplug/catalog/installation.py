"""The commands that bring plugins into the running environment and take them out again."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from kplug.catalog.admission import normalized
from kplug.catalog.component import OWN_NAMESPACE, Component
from kplug.catalog.plugins import Plugin, plugin
from kplug.errors import KplugError, UnknownPluginError

_LOOK = """
import dataclasses, json, pathlib, sys
from kplug.catalog.plugins import plugins
pathlib.Path(sys.argv[1]).write_text(json.dumps([dataclasses.asdict(one) for one in plugins()]), encoding="utf-8")
"""
_LOOK_SECONDS = 120.0


def install_command(requirements: Sequence[str]) -> list[str]:
    """Return what installs requirements into the environment of this process.

    Args:
        requirements: As installers take them: `kplug-acme`, `kplug-acme==1.2`, a path, a URL.

    Raises:
        KplugError: If one is an option of the installer's, or there is no installer.
    """
    for requirement in requirements:
        if requirement.startswith("-"):
            raise KplugError(
                f"{requirement!r} is an option, not something to install. Give those to pip or uv yourself."
            )
    return [*_installer("install"), *requirements]


def uninstall_command(found: Plugin) -> list[str]:
    """Return what uninstalls a plugin from the environment of this process.

    Raises:
        KplugError: If there is no installer.
    """
    command = _installer("uninstall")
    return [*command, *(["--yes"] if "-m" in command else []), found.distribution]


def removable(name: str) -> Plugin:
    """Return the plugin that a person means to uninstall.

    Raises:
        UnknownPluginError: If no plugin is called that.
        KplugError: If it is kplug itself, or its metadata cannot be read.
    """
    try:
        found = plugin(name)
    except UnknownPluginError:
        _insist_no_other_package(name)
        raise
    if normalized(found.distribution) == OWN_NAMESPACE:
        raise KplugError("kplug itself is not uninstalled by kplug.")
    if not found.version:
        raise KplugError(f"{found.distribution}: {found.error}. No installer can remove that: delete the directory.")
    return found


def plugins_afresh() -> tuple[Plugin, ...]:
    """Return what is installed as a new process finds it: on this one's path may be what an installer has removed.

    Raises:
        KplugError: If kplug does not start any more, or that process cannot be started or does not answer.
    """
    unseen = "What is installed now could not be looked at ({}). See: kplug plugins list"
    with tempfile.TemporaryDirectory(prefix="kplug-") as folder:
        result = Path(folder) / "result"
        # -P: what lies in the working directory is not imported for it.
        command = [sys.executable, "-P", "-c", _LOOK, str(result)]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_LOOK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise KplugError(unseen.format(f"it took longer than {_LOOK_SECONDS:g} s")) from None
        except OSError as error:
            raise KplugError(unseen.format(error.strerror or error)) from error
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise KplugError(f"kplug does not start any more with what is installed now: {last}")
        try:
            return tuple(_plugin(record) for record in json.loads(result.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise KplugError(unseen.format(f"{type(error).__name__}: {error}")) from error


def _plugin(record: dict[str, Any]) -> Plugin:
    return Plugin(**{**record, "components": tuple(Component(**one) for one in record["components"])})


def _installer(verb: str) -> list[str]:
    """Return a command of this environment's pip, or of uv where that made the environment or there is no pip."""
    uv = shutil.which("uv")
    has_pip = importlib.util.find_spec("pip") is not None
    if uv is not None and (not has_pip or _made_by_uv()):
        return ["uv", "pip", verb, "--python", sys.executable]
    if has_pip:
        # -P: what lies in the working directory is not imported by pip.
        return [sys.executable, "-P", "-m", "pip", verb]
    raise KplugError(f"There is neither pip nor uv to install with. Get pip with: {sys.executable} -m ensurepip")


def _made_by_uv() -> bool:
    try:
        lines = Path(sys.prefix, "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    return any(line.partition("=")[0].strip() == "uv" for line in lines)


def _insist_no_other_package(name: str) -> None:
    try:
        found = metadata.distribution(name)
        called = found.name
    except (metadata.PackageNotFoundError, ValueError, OSError, KeyError, TypeError):
        return
    raise KplugError(f"{called} is installed, but is no plugin: it declares no components. Nothing was done.")
