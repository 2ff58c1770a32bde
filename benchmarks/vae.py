"""The variational autoencoder beside plain Keras, a plain PyTorch loop and pythae: samples per second, and test -ELBO.

    python benchmarks/vae.py --peer-python PATH_TO_A_PYTHON_WITH_TORCH_AND_PYTHAE

Every contestant is a process of its own (`vae_contestant.py`); they train by turns.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from record import machine, print_table, spread, write_result
from side_by_side import Contestant, by_round, has_modules, take_turns

PROGRAM = Path(__file__).with_name("vae_contestant.py")
SAMPLES = {"digits": 1437, "conv28": 1536, "mlp28": 10_000}
NEEDED = {"torch": ("numpy", "sklearn", "torch"), "pythae": ("numpy", "sklearn", "torch", "pythae")}
QUALITY_EPOCHS = 100


def measure_speed(protocol: str, pythons: dict[str, str], rounds: int, seconds: float) -> dict[str, Any]:
    """Return each contestant's samples per second, and the ratio of kplug's to it round by round."""
    contestants = {name: _start(name, protocol, python) for name, python in pythons.items()}
    epochs = {}
    for name, contestant in contestants.items():
        contestant.train(1)
        epochs[name] = max(1, round(seconds / contestant.train(1)))

    def turn(name: str) -> float:
        return SAMPLES[protocol] * epochs[name] / contestants[name].train(epochs[name])

    rates = take_turns({name: lambda name=name: turn(name) for name in contestants}, rounds)
    for contestant in contestants.values():
        contestant.close()
    return {
        name: {
            "samples_per_second": round(statistics.median(values)),
            "by_round": [round(value) for value in values],
            "kplug_ratio": by_round(rates["kplug"], values),
        }
        for name, values in rates.items()
    }


def measure_quality(pythons: dict[str, str], seeds: int, peer_seeds: int) -> dict[str, list[float]]:
    """Return each contestant's test -ELBO in nats after the digits protocol's 100 epochs, one figure per seed."""
    return {
        name: [_trained(name, python, seed) for seed in range(seeds if name == "kplug" else peer_seeds)]
        for name, python in pythons.items()
    }


def _trained(name: str, python: str, seed: int) -> float:
    contestant = _start(name, "digits", python, seed)
    contestant.train(QUALITY_EPOCHS - 1)  # one epoch is trained without an order
    loss = contestant.evaluate()
    contestant.close()
    return round(loss, 3)


def _start(name: str, protocol: str, python: str, seed: int = 0) -> Contestant:
    return Contestant([python, str(PROGRAM), name, protocol, str(SAMPLES[protocol]), str(seed)])


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter with torch and pythae")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one turn")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of kplug's test -ELBO")
    parser.add_argument("--peer-seeds", type=int, default=1, help="seeds of the peers' test -ELBO")
    arguments = parser.parse_args()
    where = machine()
    pythons = dict.fromkeys(("kplug", "keras"), sys.executable)
    for name, modules in NEEDED.items():
        if has_modules(arguments.peer_python, *modules):
            pythons[name] = arguments.peer_python
        else:
            print(f"{name} is left out: the interpreter lacks one of {', '.join(modules)}")

    figures: dict[str, Any] = {}
    for protocol in SAMPLES:
        figures[protocol] = measure_speed(protocol, pythons, arguments.rounds, arguments.seconds)
        print(f"\n{protocol}")
        print_table(
            [
                {
                    "contestant": name,
                    "samples/s": row["samples_per_second"],
                    "kplug's ratio": spread(row["kplug_ratio"]),
                }
                for name, row in figures[protocol].items()
            ]
        )
    losses = measure_quality(pythons, arguments.seeds, arguments.peer_seeds)
    figures["digits_test_negative_elbo"] = {
        name: {"mean": round(statistics.mean(values), 3), "by_seed": values} for name, values in losses.items()
    }
    print(f"\ndigits, test -ELBO in nats after {QUALITY_EPOCHS} epochs")
    print_table([{"contestant": name, **row} for name, row in figures["digits_test_negative_elbo"].items()])
    settings = {"rounds": arguments.rounds, "seconds_per_turn": arguments.seconds, "quality_epochs": QUALITY_EPOCHS}
    write_result("vae", figures, where, settings, _versions(arguments.peer_python, pythons))


def _versions(python: str, pythons: dict[str, str]) -> dict[str, str]:
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    peers = [name for name in NEEDED if name in pythons]
    said = subprocess.run([python, "-c", code, *peers], capture_output=True, text=True, check=True).stdout
    return dict(zip(peers, said.split(), strict=True))


if __name__ == "__main__":
    main()
