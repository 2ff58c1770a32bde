"""Where kplug keeps things on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def runs_root(chosen: str | os.PathLike | None = None) -> Path:
    """Return the directory that holds the runs.

    Args:
        chosen: What the person asked for (`--runs-dir`); wins over everything.

    Returns:
        `chosen`, else `$KPLUG_HOME/runs`, else `runs` in the platform's user data directory. It need not exist.
    """
    if chosen is not None:
        return Path(chosen).expanduser().absolute()
    home = os.environ.get("KPLUG_HOME")
    if home:
        return Path(home).expanduser().absolute() / "runs"
    import platformdirs

    return Path(platformdirs.user_data_dir("kplug", appauthor=False)) / "runs"


def cache_root() -> Path:
    """Return the directory of things that may be deleted at any time: `$KPLUG_HOME/cache`, or the platform's own."""
    home = os.environ.get("KPLUG_HOME")
    if home:
        return Path(home).expanduser().absolute() / "cache"
    import platformdirs

    return Path(platformdirs.user_cache_dir("kplug", appauthor=False))


def settings_root() -> Path:
    """Return the directory of what a person has set: `$KPLUG_HOME/settings`, or the platform's own for such things."""
    home = os.environ.get("KPLUG_HOME")
    if home:
        return Path(home).expanduser().absolute() / "settings"
    import platformdirs

    return Path(platformdirs.user_config_dir("kplug", appauthor=False))
