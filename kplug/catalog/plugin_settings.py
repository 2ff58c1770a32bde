"""Which plugins a person has disabled, in a file of their settings."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from kplug.errors import KplugError
from kplug.places import settings_root

_PATIENCE = 10.0


def settings_file() -> Path:
    """Return where it is kept."""
    return settings_root() / "plugins.json"


def read_disabled() -> frozenset[str]:
    """Return the names of the distributions that are disabled, normalized.

    Raises:
        KplugError: If the file cannot be read or holds something else.
    """
    return frozenset(_read()["disabled"])


def set_disabled(distribution: str, disabled: bool) -> None:
    """Keep that a distribution is disabled, or is not; what else the file holds stays.

    Args:
        distribution: Its normalized name.
        disabled: Whether it is disabled from now on.

    Raises:
        KplugError: If the file is damaged, which it then stays, or cannot be written.
    """
    # Every command reads this file, and hardly one writes it.
    from filelock import FileLock, Timeout

    path = settings_file()
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two processes may do this at the same time, and neither's change may go.
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=_PATIENCE):
            content = _read()
            names = {*content["disabled"]} - {distribution}
            content["disabled"] = sorted(names | {distribution} if disabled else names)
            try:
                with aside.open("w", encoding="utf-8") as file:
                    file.write(json.dumps(content, indent=2) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
    except Timeout:
        raise KplugError(f"{path} is being written by another process. Try again.") from None
    except OSError as error:
        raise KplugError(f"{path} cannot be written: {error.strerror or error}.") from error


def _read() -> dict[str, Any]:
    path = settings_file()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"disabled": []}
    except (OSError, ValueError, RecursionError) as error:
        raise KplugError(_damaged(path, str(error))) from error
    names = content.get("disabled", []) if isinstance(content, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise KplugError(_damaged(path, 'it holds no {"disabled": ["…"]}'))
    return {**content, "disabled": names}


def _damaged(path: Path, reason: str) -> str:
    return f"{path} does not say which plugins are disabled: {reason}. Repair it, or delete it to enable all."
