"""How long a training step takes with variational layers, against the deterministic layer of the same size.

    python benchmarks/layers.py --batch-sizes 128 1024

The model is three layers of one size, trained by Adam. On TensorFlow the layers of `tfp.layers` take turns with them,
under tf-keras in a process of their own, and are compared with tf-keras' deterministic layer. The figures are printed
and kept in `benchmarks/results/layers_BACKEND.json`. KERAS_BACKEND chooses the backend. Noise costs by the weight,
products by the weight and sample: the ratio of dense layers falls with the size of the batch.
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
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

import kplug_bayes

WIDTH, FILTERS, ROUNDS = 512, 32, 7
RESULTS = Path(__file__).with_name("results")
KINDS = {
    "dense": ("Dense", ["DenseReparameterization", "DenseFlipout", "DenseLocalReparameterization", "DenseVariational"]),
    "convolution": ("Conv2D", ["Conv2DReparameterization", "Conv2DFlipout"]),
}
OF_TFP = {
    "DenseReparameterization": "DenseReparameterization",
    "DenseFlipout": "DenseFlipout",
    "DenseLocalReparameterization": "DenseLocalReparameterization",
    "Conv2DReparameterization": "Convolution2DReparameterization",
    "Conv2DFlipout": "Convolution2DFlipout",
}
Seconds = Callable[[int], float]
"""Takes a number of steps, and returns the seconds of one."""


def training(name: str, kind: str, batch_size: int) -> Seconds:
    """Return what measures a model of three layers of a name: of Keras, or of this package."""
    make = getattr(kplug_bayes, name, None) or getattr(keras.layers, name)
    own = {"kl_weight": 1e-4} if hasattr(kplug_bayes, name) else {}
    size: tuple[int, ...] = (WIDTH,) if kind == "dense" else (FILTERS, 3)
    shape = (WIDTH,) if kind == "dense" else (16, 16, 16)
    model = keras.Sequential([make(*size, activation="relu", **own) for _ in range(3)])
    x = np.random.default_rng(0).normal(size=(batch_size, *shape)).astype("float32")
    y = np.zeros(model(x).shape, "float32")
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    model.train_on_batch(x, y)

    def seconds(steps: int) -> float:
        begun = time.perf_counter()
        for _ in range(steps):
            model.train_on_batch(x, y)
        return (time.perf_counter() - begun) / steps

    return seconds


class Peer:
    """`tfp.layers` in a process of its own."""

    def __init__(self, names: list[tuple[str, str]], batch_size: int) -> None:
        asked = {"layers": names, "batch_size": batch_size, "width": WIDTH, "filters": FILTERS}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("tfp_trainings.py")), json.dumps(asked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self._answer()

    def training(self, index: int) -> Seconds:
        """Return what measures its model of this number."""

        def seconds(steps: int) -> float:
            assert self._process.stdin is not None
            self._process.stdin.write(f"{index} {steps}\n")
            self._process.stdin.flush()
            return float(self._answer())

        return seconds

    def end(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("tfp.layers could not be measured: does tf-keras go with this TensorFlow?")
        return line


def measured(trainings: dict[str, Seconds], steps: int) -> dict[str, list[float]]:
    """Return the seconds of a step of each, round by round, in the opposite order every other round."""
    times: dict[str, list[float]] = {name: [] for name in trainings}
    for number in range(ROUNDS):
        for name in list(trainings) if number % 2 == 0 else reversed(list(trainings)):
            times[name].append(trainings[name](steps))
    return times


def compare(kind: str, batch_size: int, steps: int) -> dict[str, Any]:
    """Return the figures of a kind of layers: seconds of a step, and how many times the plain layer's they are."""
    plain, names = KINDS[kind]
    trainings = {name: training(name, kind, batch_size) for name in [plain, *names]}
    peer = None
    if keras.backend.backend() == "tensorflow":
        theirs = [(plain, kind), *((OF_TFP[name], kind) for name in names if name in OF_TFP)]
        peer = Peer(theirs, batch_size)
        trainings |= {f"tfp {name}": peer.training(index) for index, (name, _) in enumerate(theirs)}
    times = measured(trainings, steps)
    if peer is not None:
        peer.end()
    figures = {}
    for name, seconds in times.items():
        base = times[f"tfp {plain}" if name.startswith("tfp ") else plain]
        ratios = [mine / other for mine, other in zip(seconds, base, strict=True)]
        figures[name] = {
            "milliseconds": round(1000 * statistics.median(seconds), 2),
            "times_plain": round(statistics.median(ratios), 2),
        }
        print(f"{kind}, batch {batch_size}: {name:34} {figures[name]}", flush=True)
    return figures


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[128, 1024])
    arguments = parser.parse_args()
    figures = {
        f"{kind}, batch {batch_size}": compare(kind, batch_size, arguments.steps)
        for kind in KINDS
        for batch_size in arguments.batch_sizes
        if kind == "dense" or batch_size == min(arguments.batch_sizes)
    }
    backend = keras.backend.backend()
    packages = ("keras", backend, "tensorflow-probability", "tf-keras")
    record = {
        "benchmark": "layers",
        "backend": backend,
        "cores": len(os.sched_getaffinity(0)),
        "versions": {name: version(name) for name in packages},
        "settings": {"width": WIDTH, "filters": FILTERS, "rounds": ROUNDS, "steps": arguments.steps},
        "figures": figures,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"layers_{backend}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
