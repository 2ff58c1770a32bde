"""The variational autoencoder beside plain Keras, a plain PyTorch loop and pythae: samples per second, and test -ELBO.

Every contestant is a process of its own; they train by turns, so that a change in the machine's speed meets all alike.

    python benchmarks/vae.py --peer-python PATH_TO_A_PYTHON_WITH_TORCH_AND_PYTHAE
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from record import print_table, write_result

CONTESTANT = Path(__file__).with_name("vae_contestant.py")
SAMPLES = {"digits": 1437, "conv28": 1536, "mlp28": 10_000}
PEER_CONTESTANTS = ("torch", "pythae")
QUALITY_EPOCHS = 100
QUALITY_SEEDS = 3


class Contestant:
    """A contestant's process."""

    def __init__(self, name: str, protocol: str, python: str, seed: int = 0) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [python, str(CONTESTANT), name, protocol, str(SAMPLES[protocol]), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.read()  # the first epoch, with all that is done only once

    def train(self, epochs: int) -> float:
        """Train for some epochs and return the seconds they took."""
        self._order(str(epochs))
        return self.read()["seconds"]

    def test_loss(self) -> float:
        """Return the mean -ELBO on the test images, in nats."""
        self._order("test")
        return self.read()["loss"]

    def read(self) -> dict[str, float]:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with exit code {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()

    def _order(self, text: str) -> None:
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()


def measure_speed(protocol: str, pythons: dict[str, str], rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return samples per second of each contestant, and the median ratio of kplug's to each peer's, round by round."""
    contestants = [Contestant(name, protocol, python) for name, python in pythons.items()]
    epochs = {}
    for contestant in contestants:
        contestant.train(1)
        epochs[contestant.name] = max(1, round(seconds / contestant.train(1)))
    rates: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds):
        for contestant in contestants if number % 2 == 0 else reversed(contestants):
            count = epochs[contestant.name]
            rates[contestant.name].append(SAMPLES[protocol] * count / contestant.train(count))
    for contestant in contestants:
        contestant.close()
    return {
        name: {
            "samples_per_second": round(statistics.median(values)),
            "kplug_ratio": round(statistics.median(a / b for a, b in zip(rates["kplug"], values, strict=True)), 3),
        }
        for name, values in rates.items()
    }


def measure_quality(pythons: dict[str, str]) -> dict[str, list[float]]:
    """Return each contestant's test -ELBO in nats after the protocol's 100 epochs, one figure per seed."""
    losses: dict[str, list[float]] = {}
    for name, python in pythons.items():
        for seed in range(QUALITY_SEEDS):
            contestant = Contestant(name, "digits", python, seed)
            contestant.train(QUALITY_EPOCHS - 1)
            losses.setdefault(name, []).append(round(contestant.test_loss(), 3))
            contestant.close()
    return losses


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="interpreter that has torch and pythae; without it they are left out")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one turn")
    arguments = parser.parse_args()
    pythons = dict.fromkeys(("kplug", "keras"), sys.executable)
    if arguments.peer_python:
        pythons |= dict.fromkeys(PEER_CONTESTANTS, arguments.peer_python)

    figures: dict[str, object] = {}
    for protocol in SAMPLES:
        figures[protocol] = speeds = measure_speed(protocol, pythons, arguments.rounds, arguments.seconds)
        print(f"\n{protocol}")
        print_table([{"contestant": name, **row} for name, row in speeds.items()])
    figures["digits_test_negative_elbo"] = losses = measure_quality(pythons)
    print("\ndigits, test -ELBO in nats after 100 epochs, by seed")
    print_table(
        [{"contestant": name, "mean": statistics.mean(values), "seeds": values} for name, values in losses.items()]
    )
    write_result("vae", figures, **_peer_versions(arguments.peer_python))


def _peer_versions(python: str | None) -> dict[str, str]:
    if python is None:
        return {}
    code = "from importlib.metadata import version; print(version('torch'), version('pythae'))"
    torch, pythae = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return {"torch": torch, "pythae": pythae}


if __name__ == "__main__":
    main()
