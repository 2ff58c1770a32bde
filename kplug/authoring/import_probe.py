"""What an importing process does: import one module, and write down which heavy modules that has brought in.

It is asked for by the module's name, by `kplug.child_process`.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

HEAVY = ("keras", "tensorflow", "tensorflow_probability", "jax", "torch")
"""Modules whose import takes seconds."""


def main(name: str, result: Path) -> None:
    """Import the module that is asked for; see the module's docstring."""
    # A plugin may raise anything at import, SystemExit and KeyboardInterrupt included.
    try:
        importlib.import_module(name)
        record: dict[str, Any] = {"heavy": [heavy for heavy in HEAVY if heavy in sys.modules], "started": _started()}
    except BaseException as error:  # noqa: BLE001
        record = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    result.write_text(json.dumps(record) + "\n", encoding="utf-8")


def _started() -> list[str]:
    """Return the names of the processes that importing has started and that still run."""
    import psutil

    return sorted({child.name() for child in psutil.Process().children(recursive=True)})
