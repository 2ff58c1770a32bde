"""What a person has set of the terminal, kept in a file that they may also edit."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from kplug.errors import KplugError
from kplug.places import settings_root
from kplug.runs.directory import write_atomically


@dataclass(frozen=True)
class Settings:
    """The settings.

    Attributes:
        theme: One of Textual's themes or of kplug's own.
        low_bandwidth: Whether to draw seldom, without motion, and to send only the cells that have changed, for a thin
            connection.
        metric: The metric that the table of runs shows.
        smoothing: How much curves are smoothed, from 0 to below 1.
        notify: Whether to say when a run ends.
        bell: Whether to ring the terminal's bell then.
        keys: Name of an action -> the keys for it, separated by commas; see the page of keys.
    """

    theme: str = "kplug-dark"
    low_bandwidth: bool = False
    metric: str = "val_loss"
    smoothing: float = 0.6
    notify: bool = True
    bell: bool = False
    keys: dict[str, str] = field(default_factory=dict)


def settings_file() -> Path:
    """Return where the settings are kept."""
    return settings_root() / "tui.toml"


def read_settings() -> tuple[Settings, list[str]]:
    """Return the settings, and what is wrong with the file, in words: a value that cannot be used is left out."""
    path = settings_file()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings(), []
    except (OSError, ValueError) as error:
        return Settings(), [f"{path} cannot be read: {error}. The usual settings are used."]
    settings, problems = Settings(), []
    known = {one.name: type(getattr(settings, one.name)) for one in fields(Settings)}
    for name, value in values.items():
        if name not in known:
            problems.append(f"{path}: there is no setting {name}. There are {', '.join(known)}.")
        elif not _fits(value, known[name]):
            problems.append(f"{path}: {name} = {value!r} is not possible: expected {known[name].__name__}.")
        else:
            settings = replace(settings, **{name: known[name](value)})
    if not 0.0 <= settings.smoothing < 1.0:
        problems.append(f"{path}: smoothing = {settings.smoothing} is not possible: expected 0 to below 1.")
        settings = replace(settings, smoothing=Settings.smoothing)
    return settings, problems


def write_settings(settings: Settings) -> None:
    """Keep the settings.

    Raises:
        KplugError: If the file cannot be written.
    """
    path = settings_file()
    values = asdict(settings)
    keys = values.pop("keys")
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    if keys:
        lines += ["", "[keys]", *(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in keys.items())]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _keep_damaged(path)
        write_atomically(path, "\n".join(lines) + "\n")
    except OSError as error:
        raise KplugError(f"{path} cannot be written: {error.strerror or error}.") from error


def _keep_damaged(path: Path) -> None:
    """Put a file that cannot be read aside instead of replacing it: somebody has written it."""
    try:
        tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        path.replace(path.with_name(f"{path.name}.damaged"))


def _fits(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is dict:
        return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    return isinstance(value, kind)
