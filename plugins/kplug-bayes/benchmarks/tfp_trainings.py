"""Training steps of `tfp.layers` under tf-keras, for `layers.py`, which starts this and says when.

Run with a JSON object `{"layers": [[name, kind], ...], "batch_size": ..., "width": ..., "filters": ...}`. Then each
line `INDEX STEPS` on the standard input is answered by a line with the seconds of one step.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import tensorflow_probability as tfp
import tf_keras


def training(name: str, kind: str, asked: dict[str, Any]) -> Any:
    """Return a compiled model of three layers, and a batch."""
    make = getattr(tf_keras.layers, name, None) or getattr(tfp.layers, name)
    own = {} if hasattr(tf_keras.layers, name) else {"kernel_divergence_fn": _scaled_divergence}
    size: tuple[int, ...] = (asked["width"],) if kind == "dense" else (asked["filters"], 3)
    shape = (asked["width"],) if kind == "dense" else (16, 16, 16)
    model = tf_keras.Sequential([make(*size, activation="relu", **own) for _ in range(3)])
    x = np.random.default_rng(0).normal(size=(asked["batch_size"], *shape)).astype("float32")
    y = np.zeros(model(x).shape, "float32")
    model.compile(tf_keras.optimizers.Adam(1e-3), "mse")
    model.train_on_batch(x, y)
    return model, x, y


def _scaled_divergence(posterior: Any, prior: Any, _: Any) -> Any:
    return 1e-4 * tfp.distributions.kl_divergence(posterior, prior)


def main() -> None:
    """Answer what is asked until there is no more."""
    asked = json.loads(sys.argv[1])
    trainings = [training(name, kind, asked) for name, kind in asked["layers"]]
    print("ready", flush=True)
    for line in sys.stdin:
        index, steps = map(int, line.split())
        model, x, y = trainings[index]
        begun = time.perf_counter()
        for _ in range(steps):
            model.train_on_batch(x, y)
        print((time.perf_counter() - begun) / steps, flush=True)


if __name__ == "__main__":
    main()
