"""What every benchmark writes down: figures, and the machine and versions they were measured with."""

from __future__ import annotations

import datetime
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

RESULTS = Path(__file__).parent / "results"

_PACKAGES = ("kplug", "keras", "tensorflow", "jax", "numpy", "typer", "pydantic")


def write_result(name: str, figures: dict[str, Any], **peers: str) -> None:
    """Write `results/<name>.json`.

    Args:
        name: The benchmark.
        figures: What was measured.
        **peers: Versions of peers that are not installed in this environment.
    """
    record = {
        "benchmark": name,
        "date": datetime.date.today().isoformat(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30),
            "python": platform.python_version(),
        },
        "versions": {**{package: _version(package) for package in _PACKAGES}, **peers},
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows of one shape as aligned columns."""
    header = list(rows[0])
    lines = [header, *([_shown(row[name]) for name in header] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
