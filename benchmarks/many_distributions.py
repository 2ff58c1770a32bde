"""How long listing takes where a thousand distributions are installed, fifty of them plugins; whole processes.

    python benchmarks/many_distributions.py

Each command runs once per round, with the thousand and without. Of each plugin's components the descriptions are in the
cache; the plugins state which kplug they need.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli import KPLUG, measure
from record import machine, print_table, spread, write_result
from side_by_side import by_round, child_environment, take_turns

DISTRIBUTIONS, PLUGINS, COMPONENTS = 1000, 50, 5
TARGET = 250
"""Milliseconds that `kplug list` may take there."""

COMMANDS = {
    "kplug list": [KPLUG, "list"],
    "kplug plugins list": [KPLUG, "plugins", "list"],
}
_ABOUT = "\n".join(
    [
        "Metadata-Version: 2.4",
        "Name: {name}",
        "Version: 1.{number}.0",
        "Summary: A distribution as it is installed",
        "Requires-Python: >=3.9",
        *(f"Classifier: Topic :: Something :: Number {number}" for number in range(10)),
        "Requires-Dist: kplug<1,>=0.1",
        *(f"Requires-Dist: another-package-{number}>=1.{number}" for number in range(10)),
        "",
        "What a README says, at some length.\n" * 100,
    ]
)


def install(site: Path) -> None:
    """Make the distributions, as an installer would leave them."""
    for number in range(DISTRIBUTIONS):
        plugin = number < PLUGINS
        name = f"kplug-plugin{number}" if plugin else f"package{number}"
        info = site / f"{name.replace('-', '_')}-1.{number}.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(_ABOUT.format(name=name, number=number))
        (info / "RECORD").write_text(f"{info.name}/METADATA,,\n")
        if plugin:
            lines = [f"part{index} = plugin{number}_parts:part{index}" for index in range(COMPONENTS)]
            (info / "entry_points.txt").write_text("\n".join(["[kplug.losses]", *lines, ""]))
            parts = [f"def part{index}(y_true, y_pred):\n    'Part {index}.'\n" for index in range(COMPONENTS)]
            (site / f"plugin{number}_parts.py").write_text("".join(parts))
        elif number % 3 == 0:
            (info / "entry_points.txt").write_text(f"[console_scripts]\n{name} = {name}:main\n")


def describe_all(environment: Mapping[str, str]) -> None:
    """Put the descriptions of all components into the cache."""
    code = (
        "from kplug.catalog.description import describe_all; from kplug.catalog.discovery import components; "
        "assert not any(one.broken for one in describe_all(components()).values())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    where = machine()
    with tempfile.TemporaryDirectory() as folder:
        site, home = Path(folder, "site"), Path(folder, "home")
        site.mkdir()
        install(site)
        alone = {**child_environment(), "KPLUG_HOME": str(home)}
        among = {**alone, "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [alone.get("PYTHONPATH")])])}
        describe_all(among)
        turns = {}
        for name, command in COMMANDS.items():
            turns[f"{name}, among {DISTRIBUTIONS}"] = lambda command=command: measure(command, among)
            turns[name] = lambda command=command: measure(command, alone)
        take_turns(turns, rounds=1)
        times = take_turns(turns, arguments.rounds)
    figures: dict[str, dict[str, Any]] = {
        f"{name}, among {DISTRIBUTIONS}": {
            "min_ms": round(min(times[f"{name}, among {DISTRIBUTIONS}"]), 1),
            "median_ms": round(statistics.median(times[f"{name}, among {DISTRIBUTIONS}"]), 1),
            "ratio_to_without": by_round(times[f"{name}, among {DISTRIBUTIONS}"], times[name]),
            "target_ms": TARGET,
        }
        for name in COMMANDS
    }
    print_table(
        [
            {
                "command": name,
                "min ms": row["min_ms"],
                "median ms": row["median_ms"],
                "target ms": row["target_ms"],
                "of the same without them": spread(row["ratio_to_without"]),
            }
            for name, row in figures.items()
        ]
    )
    settings = {"rounds": arguments.rounds, "plugins": PLUGINS, "components_of_each": COMPONENTS}
    write_result("many_distributions", figures, where, settings)


if __name__ == "__main__":
    main()
