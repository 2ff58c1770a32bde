"""Building a plugin's wheel, as who publishes it does, and unpacking it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
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
    command = _build_command(copy, built)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIME_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        raise PluginError(f"Building the wheel of {source} took longer than {_TIME_LIMIT} seconds.") from None
    wheel = next(built.glob("*.whl"), None)
    if done.returncode or wheel is None:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise PluginError(f"The wheel of {source} cannot be built ({' '.join(command[:4])} …):\n{said}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(contents)
    return contents


def _build_command(source: Path, into: Path) -> list[str]:
    """Return what builds a wheel here: pip, or else uv.

    Raises:
        PluginError: If there is neither.
    """
    if importlib.util.find_spec("pip") is not None:
        # Where setuptools is here already, pip need not fetch it.
        here = importlib.util.find_spec("setuptools") is not None and _by_setuptools(source)
        return [
            *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-input", "--disable-pip-version-check"),
            *(("--no-build-isolation",) if here else ()),
            *("--wheel-dir", str(into), str(source)),
        ]
    uv = shutil.which("uv")
    if uv is None:
        raise PluginError("Neither pip nor uv is here to build the wheel with. Install one: `python -m ensurepip`.")
    return [uv, "build", "--wheel", "--quiet", "--python", sys.executable, "--out-dir", str(into), str(source)]


def _by_setuptools(source: Path) -> bool:
    import tomllib

    try:
        build = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8")).get("build-system", {})
    except (OSError, ValueError):
        return False
    requires = [str(one).partition(">")[0].partition("=")[0].strip() for one in build.get("requires", ())]
    return build.get("build-backend") == "setuptools.build_meta" and set(requires) <= {"setuptools", "wheel"}
