"""The commands that bring plugins into the running environment and take them out again."""

from __future__ import annotations

import importlib.util
import pickle
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from kplug.catalog.admission import normalized
from kplug.catalog.component import OWN_NAMESPACE
from kplug.catalog.plugins import Plugin, plugin
from kplug.errors import KplugError, UnknownPluginError

_LOOK = """
import pickle, sys
from kplug.catalog.plugins import plugins
sys.stdout.buffer.write(pickle.dumps(plugins()))
"""


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
        raise KplugError(f"{found.distribution} cannot be read, so no installer knows it. Remove it by hand.")
    return found


def plugins_afresh() -> tuple[Plugin, ...]:
    """Return what is installed as a new process finds it: on this one's path may be what an installer has removed.

    Raises:
        KplugError: If kplug does not start any more.
    """
    done = subprocess.run([sys.executable, "-c", _LOOK], capture_output=True, check=False)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise KplugError(f"kplug does not start any more with what is installed now: {last}")
    found: tuple[Plugin, ...] = pickle.loads(done.stdout)
    return found


def _installer(verb: str) -> list[str]:
    """Return a command of this environment's pip, or of uv where that made the environment or there is no pip."""
    uv = shutil.which("uv")
    has_pip = importlib.util.find_spec("pip") is not None
    if uv is not None and (not has_pip or _made_by_uv()):
        return ["uv", "pip", verb, "--python", sys.executable]
    if has_pip:
        return [sys.executable, "-m", "pip", verb]
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
    except (metadata.PackageNotFoundError, ValueError):
        return
    raise KplugError(f"{found.name} is installed, but is no plugin: it declares no components. Nothing was done.")
