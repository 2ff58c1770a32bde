"""Soft actor-critic beside Stable-Baselines3 and sbx: return after 20,000 steps of Pendulum-v1, and steps per second.

    python benchmarks/control.py --peer-python PATH_TO_A_PYTHON_WITH_STABLE_BASELINES3

Every training is a process of its own (`control_contestant.py`); the contestants train by turns, seed by seed. Seconds
are those of the whole training, compilation included, from the first step to the last.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from record import machine, print_table, write_result
from side_by_side import child_environment, has_modules

PROGRAM = Path(__file__).with_name("control_contestant.py")
NEEDED = {"sb3": "stable_baselines3", "sbx": "sbx"}
PAUSE = 1.0


def train(name: str, python: str, environment: str, steps: int, seed: int) -> dict[str, Any]:
    """Return the steps per second of one training, and the returns of its 100 evaluation episodes."""
    time.sleep(PAUSE)
    backend = name.partition("-")[2] or "tensorflow"
    command = [python, str(PROGRAM), name.partition("-")[0], environment, str(steps), str(seed)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**child_environment(), "KERAS_BACKEND": backend},
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(
    pythons: dict[str, str], environment: str, steps: int, seeds: int, keep: Callable[[dict[str, Any]], None]
) -> None:
    """Hand over each contestant's figures whenever all have trained with one more seed."""
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
    for seed in range(seeds):
        for name in pythons if seed % 2 == 0 else reversed(list(pythons)):
            results[name].append(train(name, pythons[name], environment, steps, seed))
            last = results[name][-1]
            print(
                f"{environment}, seed {seed}, {name}: {last['return']:.1f}, {last['steps_per_second']:.0f}/s",
                flush=True,
            )
        figures = {name: _figures(runs, results.get("sb3")) for name, runs in results.items()}
        keep(figures)
    print_table(
        [
            {
                "contestant": name,
                "return": f"{row['return_mean']:.1f} +- {row['return_std_over_episodes']:.1f}",
                "steps/s": row["steps_per_second"],
                "times sb3": row.get("times_sb3", ""),
            }
            for name, row in figures.items()
        ]
    )


def _figures(runs: list[dict[str, Any]], peer: list[dict[str, Any]] | None) -> dict[str, Any]:
    rates = [run["steps_per_second"] for run in runs]
    figures: dict[str, Any] = {
        "return_mean": round(statistics.mean(run["return"] for run in runs), 1),
        "return_std_over_episodes": round(statistics.mean(run["std"] for run in runs), 1),
        "return_by_seed": [round(run["return"], 1) for run in runs],
        "steps_per_second": round(statistics.median(rates), 1),
        "steps_per_second_by_seed": [round(rate, 1) for rate in rates],
    }
    if peer:
        ratios = [mine / run["steps_per_second"] for mine, run in zip(rates, peer, strict=True)]
        figures["times_sb3"] = round(statistics.median(ratios), 2)
    return figures


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter with stable_baselines3, and sbx")
    parser.add_argument("--peers", nargs="+", choices=NEEDED, default=list(NEEDED))
    parser.add_argument("--name", default="control", help="what the result is called")
    parser.add_argument("--steps", type=int, default=20_000, help="of Pendulum-v1; 0 leaves it out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--backends", nargs="+", default=["tensorflow", "jax"])
    parser.add_argument("--second", default="InvertedDoublePendulum-v5", help="environment with more dimensions")
    parser.add_argument("--second-steps", type=int, default=10_000)
    arguments = parser.parse_args()
    where = machine()
    pythons = {f"kplug-{backend}": sys.executable for backend in arguments.backends}
    for name, module in [(one, NEEDED[one]) for one in arguments.peers]:
        if has_modules(arguments.peer_python, module):
            pythons[name] = arguments.peer_python
        else:
            print(f"{name} is left out: the interpreter lacks {module}")
    settings = {
        "steps": arguments.steps,
        "seeds": arguments.seeds,
        "evaluation_episodes": 100,
        "learning_rate": 1e-3,
        "batch_size": 256,
        "second_steps": arguments.second_steps,
        "cores_available": len(os.sched_getaffinity(0)),
    }
    versions = _versions(arguments.peer_python, pythons)
    figures: dict[str, Any] = {}

    def keep(environment: str, found: dict[str, Any]) -> None:
        # It takes an hour: what is there by then is not lost if it is interrupted.
        figures[environment] = found
        write_result(arguments.name, figures, where, settings, versions)

    if arguments.steps:
        compare(pythons, "Pendulum-v1", arguments.steps, arguments.seeds, partial(keep, "Pendulum-v1"))
    if arguments.second_steps:
        two = {name: python for name, python in pythons.items() if name in {"kplug-tensorflow", "sb3"}}
        compare(two, arguments.second, arguments.second_steps, 1, partial(keep, arguments.second))


def _versions(python: str, pythons: dict[str, str]) -> dict[str, str]:
    packages = {"sb3": "stable-baselines3", "sbx": "sbx-rl"}
    wanted = [packages[name] for name in packages if name in pythons]
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    said = subprocess.run([python, "-c", code, *wanted], capture_output=True, text=True, check=True).stdout
    return dict(zip(wanted, said.split(), strict=True))


if __name__ == "__main__":
    main()
