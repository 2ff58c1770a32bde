"""Building a plugin's wheel, as who publishes it does, and unpacking it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

from kplug.errors import PluginError

_TIME_LIMIT = 600
_LEFT_OUT = ("build", "dist", "*.egg-info", "__pycache__", ".venv", "venv", ".tox", ".nox", ".*_cache", "node_modules")


def unpacked_wheel(source: Path, folder: Path) -> Path:
    """Build the wheel of a project and return the directory that it was unpacked into.

    The build works on a copy, so that it leaves nothing in the project and finds nothing of earlier builds.

    Args:
        source: The directory with the `pyproject.toml`.
        folder: An empty directory for all that is made.

    Raises:
        PluginError: If the wheel cannot be built, with what the build said last.
    """
    copy, built, contents = folder / "source", folder / "wheel", folder / "contents"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns(*_LEFT_OUT), symlinks=True)
    built.mkdir()
    command = build_command(copy, built)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIME_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        raise PluginError(f"Building the wheel of {source} took longer than {_TIME_LIMIT} seconds.") from None
    wheel = next(built.glob("*.whl"), None)
    if done.returncode or wheel is None:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise PluginError(f"The wheel of {source} cannot be built ({' '.join(command[:5])} …):\n{said}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(contents)
    return contents


def build_command(source: Path, into: Path) -> list[str]:
    """Return what builds a wheel here: pip, or else uv.

    Raises:
        PluginError: If there is neither.
    """
    # What is here already need not be fetched.
    isolation = ["--no-build-isolation"] if _requirements_met(source) else []
    if importlib.util.find_spec("pip") is not None:
        # -P: what lies in the working directory is not imported by pip.
        pip = [sys.executable, "-P", "-m", "pip", "wheel", "--no-deps", "--no-input", "--disable-pip-version-check"]
        return [*pip, *isolation, "--wheel-dir", str(into), str(source)]
    uv = shutil.which("uv")
    if uv is None:
        raise PluginError("Neither pip nor uv is here to build the wheel with. Install one: `python -m ensurepip`.")
    return [uv, "build", "--wheel", *isolation, "--python", sys.executable, "--out-dir", str(into), str(source)]


def _requirements_met(source: Path) -> bool:
    """Say whether all that a project is built with is installed here, in versions that it accepts."""
    import tomllib

    from packaging.requirements import InvalidRequirement, Requirement

    try:
        build = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
        for requirement in map(Requirement, build["requires"]):
            if not requirement.specifier.contains(metadata.version(requirement.name), prereleases=True):
                return False
    except (OSError, ValueError, KeyError, TypeError, InvalidRequirement, metadata.PackageNotFoundError):
        return False
    return True
