"""How long a training step takes with variational layers, against the deterministic layer of the same size.

    python benchmarks/layers.py [STEPS] [BATCH_SIZE]

prints a JSON line per layer: seconds of the plain step and of its own (the medians of rounds that take turns), and
their ratio. The model is three layers of one size, trained by Adam. KERAS_BACKEND chooses the backend. Noise costs by
the weight, products by the weight and sample: the ratio of dense layers falls with the size of the batch.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import keras
import numpy as np

import kplug_bayes

WIDTH, FILTERS, ROUNDS = 512, 32, 7
DENSE = ["DenseReparameterization", "DenseFlipout", "DenseLocalReparameterization", "DenseVariational"]
IMAGES = ["Conv2DReparameterization", "Conv2DFlipout"]


def dense(name: str) -> Any:
    if name == "Dense":
        return keras.Sequential([keras.layers.Dense(WIDTH, activation="relu") for _ in range(3)])
    layer = getattr(kplug_bayes, name)
    return keras.Sequential([layer(WIDTH, activation="relu", kl_weight=1e-4) for _ in range(3)])


def convolutional(name: str) -> Any:
    if name == "Conv2D":
        return keras.Sequential([keras.layers.Conv2D(FILTERS, 3, activation="relu") for _ in range(3)])
    layer = getattr(kplug_bayes, name)
    return keras.Sequential([layer(FILTERS, 3, activation="relu", kl_weight=1e-4) for _ in range(3)])


def compiled(model: Any, x: np.ndarray) -> Any:
    y = np.zeros(model(x).shape, "float32")
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    model.train_on_batch(x, y)
    return model, x, y


def seconds(trained: Any, steps: int) -> float:
    model, x, y = trained
    start = time.perf_counter()
    for _ in range(steps):
        model.train_on_batch(x, y)
    return (time.perf_counter() - start) / steps


def compare(make: Any, plain: str, names: list[str], shape: tuple[int, ...], steps: int, batch: int) -> None:
    x = np.random.default_rng(0).normal(size=(batch, *shape)).astype("float32")
    models = {name: compiled(make(name), x) for name in [plain, *names]}
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, trained in models.items():
            times[name].append(seconds(trained, steps))
    base = statistics.median(times[plain])
    for name in names:
        ratios = [mine / other for mine, other in zip(times[name], times[plain], strict=True)]
        found = {
            "layer": name,
            "backend": keras.backend.backend(),
            "batch_size": batch,
            "plain_seconds": round(base, 6),
        }
        found |= {"seconds": round(statistics.median(times[name]), 6), "ratio": round(statistics.median(ratios), 3)}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    batch_size = int(sys.argv[2]) if len(sys.argv) > 2 else 128
    compare(dense, "Dense", DENSE, (WIDTH,), count, batch_size)
    compare(convolutional, "Conv2D", IMAGES, (16, 16, 16), count, batch_size)
