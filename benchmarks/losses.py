"""Forward and backward time of each loss beside its peer, and the memory of those that compare a whole batch.

    python benchmarks/losses.py --peer-python PATH_TO_A_PYTHON_WITH_TORCH_AND_PYTORCH_METRIC_LEARNING

kplug and Keras compute compiled on TensorFlow, pytorch-metric-learning on PyTorch (`triplet_loss`: PyTorch's own); all
on the CPU, by turns. What neither has is written out with `keras.ops`, as a user would.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from record import machine, print_table, spread, write_result
from side_by_side import Contestant, ContestantEnded, by_round, has_modules, take_turns

PROGRAM = Path(__file__).with_name("losses_contestant.py")
PEERS = {
    "focal_loss": "keras",
    "categorical_focal_loss": "keras",
    "sparse_categorical_focal_loss": "keras",
    "triplet_loss": "pml",
    "contrastive_loss": "keras",
    "npairs_multilabel_loss": "keras",
    "length_penalty_loss": "keras",
    "elbo_loss": "keras",
    "iwae_loss": "keras",
    "triplet_semihard_loss": "pml",
    "triplet_hard_loss": "pml",
    "triplet_all_loss": "pml",
    "supervised_contrastive_loss": "pml",
    "ntxent_loss": "pml",
    "npairs_loss": "pml",
    "lifted_structure_loss": "pml",
    "multi_similarity_loss": "pml",
    "proxy_anchor_loss": "pml",
    "arcface_loss": "pml",
}
WHOLE_BATCH = (
    "triplet_semihard_loss",
    "triplet_hard_loss",
    "triplet_all_loss",
    "supervised_contrastive_loss",
    "lifted_structure_loss",
    "multi_similarity_loss",
)


def measure_speed(
    losses: list[str], batch_size: int, pythons: dict[str, str], rounds: int, seconds: float
) -> dict[str, Any]:
    """Return milliseconds per step of every loss and its peer, and the peer's time over kplug's round by round."""
    contestants = {name: _start(name, python, batch_size) for name, python in pythons.items()}
    figures = {}
    for loss in losses:
        peer = PEERS[loss]
        if peer not in contestants:
            continue
        steps = {"kplug": _steps(contestants["kplug"], loss, seconds)}

        def turn(name: str, loss: str = loss, steps: dict[str, int] = steps) -> float:
            return contestants[name].order(f"{loss} {steps[name]}")["seconds"] / steps[name] * 1000

        try:
            steps[peer] = _steps(contestants[peer], loss, seconds)
        except ContestantEnded as error:
            contestants[peer] = _start(peer, pythons[peer], batch_size)
            alone = take_turns({"kplug": lambda turn=turn: turn("kplug")}, rounds)
            kplug_ms = round(statistics.median(alone["kplug"]), 3)
            figures[loss] = {"kplug_ms": kplug_ms, "peer": peer, "peer_failed": _last_line(error)}
            continue

        times = take_turns({name: lambda name=name: turn(name) for name in ("kplug", peer)}, rounds)
        figures[loss] = {
            "kplug_ms": round(statistics.median(times["kplug"]), 3),
            "peer": peer,
            "peer_ms": round(statistics.median(times[peer]), 3),
            "peer_over_kplug": by_round(times[peer], times["kplug"]),
        }
    for contestant in contestants.values():
        contestant.close()
    return figures


def measure_memory(losses: list[str], batch_size: int, pythons: dict[str, str]) -> dict[str, Any]:
    """Return by how many MiB the peak of a fresh process rises through one loss, for kplug and its peer."""
    figures: dict[str, Any] = {}
    for loss in filter(losses.__contains__, WHOLE_BATCH):
        for name in ("kplug", PEERS[loss]):
            if name in pythons:
                contestant = _start(name, pythons[name], batch_size)
                try:
                    peak: Any = round(contestant.order(f"{loss} 2")["peak_mib"])
                    contestant.close()
                except ContestantEnded as error:
                    peak = _last_line(error)
                figures.setdefault(loss, {})[name] = peak
    return figures


def _last_line(error: ContestantEnded) -> str:
    return str(error).strip().splitlines()[-1]


def _start(name: str, python: str, batch_size: int) -> Contestant:
    return Contestant([python, str(PROGRAM), name, str(batch_size)])


def _steps(contestant: Contestant, loss: str, seconds: float) -> int:
    contestant.order(f"{loss} 2")
    return max(1, min(500, round(seconds / (contestant.order(f"{loss} 3")["seconds"] / 3))))


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter with pytorch-metric-learning")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="length of one turn")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[128, 1024])
    parser.add_argument("--losses", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--result", default="losses", help="name of the file in results/")
    arguments = parser.parse_args()
    where = machine()
    pythons = dict.fromkeys(("kplug", "keras"), sys.executable)
    peers = {}
    if has_modules(arguments.peer_python, "torch", "pytorch_metric_learning"):
        pythons["pml"] = arguments.peer_python
        code = "from importlib.metadata import version as v; print(v('torch'), v('pytorch-metric-learning'))"
        found = subprocess.run([arguments.peer_python, "-c", code], capture_output=True, text=True, check=True)
        peers = dict(zip(("torch", "pytorch-metric-learning"), found.stdout.split(), strict=True))
    else:
        print("pytorch-metric-learning is left out: the interpreter lacks it")
    figures: dict[str, Any] = {}
    for batch_size in arguments.batch_sizes:
        figures[f"batch_{batch_size}"] = measured = measure_speed(
            arguments.losses, batch_size, pythons, arguments.rounds, arguments.seconds
        )
        print(f"\nbatch {batch_size}: forward and backward")
        print_table(
            [
                {
                    "loss": loss,
                    "kplug ms": row.get("kplug_ms", ""),
                    "peer": row["peer"],
                    "peer ms": row.get("peer_ms", "failed"),
                    "peer/kplug": spread(row["peer_over_kplug"]) if "peer_over_kplug" in row else "",
                }
                for loss, row in measured.items()
            ]
        )
    largest = max(arguments.batch_sizes)
    figures[f"peak_mib_batch_{largest}"] = memory = measure_memory(arguments.losses, largest, pythons)
    if memory:
        print(f"\nbatch {largest}: rise of the process's peak memory, MiB")
        print_table([{"loss": loss, "kplug": row["kplug"], "peer": row.get("pml", "")} for loss, row in memory.items()])
    write_result(
        arguments.result, figures, where, {"rounds": arguments.rounds, "seconds_per_turn": arguments.seconds}, peers
    )


if __name__ == "__main__":
    main()
