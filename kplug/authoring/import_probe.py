"""What an importing process does: import one module, and write down which heavy modules that has brought in.

Run as `python -m kplug.authoring.import_probe RESULT` with the module's name as JSON on standard input.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

HEAVY = ("keras", "tensorflow", "tensorflow_probability", "jax", "torch")
"""Modules whose import takes seconds."""


def main() -> None:
    """Import the module named on standard input; see the module's docstring."""
    name, result = json.load(sys.stdin), Path(sys.argv[1])
    # A plugin may raise anything at import, SystemExit and KeyboardInterrupt included.
    try:
        importlib.import_module(name)
        record: dict[str, Any] = {"heavy": [heavy for heavy in HEAVY if heavy in sys.modules]}
    except BaseException as error:  # noqa: BLE001
        record = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    result.write_text(json.dumps(record) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
    os._exit(0)  # a thread that the plugin has left behind is not waited for
