"""What every benchmark leaves: a printed table, and a file with the figures, the machine and the versions."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

RESULTS = Path(__file__).parent / "results"

_PACKAGES = ("kplug", "keras", "tensorflow", "numpy", "typer", "pydantic")


def machine() -> dict[str, Any]:
    """Return what the figures depend on; call it before measuring, for the load that others put on the machine."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_average_before": [round(load, 1) for load in psutil.getloadavg()],
    }


def write_result(
    name: str,
    figures: Mapping[str, Any],
    where: Mapping[str, Any],
    settings: Mapping[str, Any],
    peers: Mapping[str, str] | None = None,
) -> None:
    """Write `results/<name>.json`.

    Args:
        name: The benchmark.
        figures: What was measured.
        where: What `machine` returned.
        settings: Rounds, epochs and the like.
        peers: Versions of peers that are not installed in this environment.
    """
    record = {
        "benchmark": name,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": where,
        "versions": {**{package: metadata.version(package) for package in _PACKAGES}, **(peers or {})},
        "settings": settings,
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows of one shape as aligned columns."""
    header = list(rows[0])
    lines = [header, *([_shown(row[name]) for name in header] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)), flush=True)


def spread(ratio: Mapping[str, float]) -> str:
    """Return a comparison in one cell: its median, and its quartiles in brackets."""
    return f"{ratio['median']:.3g} [{ratio['lower_quartile']:.3g}, {ratio['upper_quartile']:.3g}]"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    for line in information.read_text().splitlines() if information.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
