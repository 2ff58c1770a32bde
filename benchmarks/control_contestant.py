"""One training of `control.py`, which runs it as `python control_contestant.py CONTESTANT ENVIRONMENT STEPS SEED`.

It must run in an interpreter that has Stable-Baselines3 but neither Keras nor kplug, so every library is imported by
the contestant that needs it. The last line that it prints is JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

LEARNING_RATE = 1e-3
BATCH_SIZE = 256
EPISODES = range(10_000, 10_100)
"""Seeds of the evaluation episodes."""

Act = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Train, and print what came of it."""
    contestant, environment, steps, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    seconds, act = CONTESTANTS[contestant](environment, steps, seed)
    returns = evaluate(environment, act)
    figures = {
        "steps_per_second": steps / seconds,
        "return": float(np.mean(returns)),
        "std": float(np.std(returns)),
    }
    print(json.dumps(figures))


def evaluate(environment: str, act: Act) -> list[float]:
    """Return the returns of the evaluation episodes, in the actions' own unit."""
    import gymnasium

    env, returns = gymnasium.make(environment), []
    for seed in EPISODES:
        state, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            state, reward, terminated, truncated, _ = env.step(act(np.asarray(state, "float32")))
            total += float(reward)
            over = terminated or truncated
        returns.append(total)
    return returns


def kplug(environment: str, steps: int, seed: int) -> tuple[float, Act]:
    """kplug's soft actor-critic, with the threads and the fused Adam that a run has."""
    import os

    from kplug.training.performance import set_up_backend

    backend = os.environ["KERAS_BACKEND"]
    set_up_backend(backend)
    import keras

    import kplug

    keras.utils.set_random_seed(seed)
    data = kplug.datasets.gymnasium(environment, steps_per_epoch=steps, seed=seed)
    fitting = ("state_dim", "action_dim", "action_low", "action_high")
    model = kplug.SoftActorCritic(**{name: data.info[name] for name in fitting}, batch_size=BATCH_SIZE, seed=seed)
    model.compile(keras.optimizers.Adam(LEARNING_RATE))
    if backend == "tensorflow":
        from kplug.training.fused_adam import fuse

        fuse(model.optimizer)
    begun = time.perf_counter()
    model.fit(data.train, epochs=1, verbose=0)
    seconds = time.perf_counter() - begun
    return seconds, model.act


def sb3(environment: str, steps: int, seed: int) -> tuple[float, Act]:
    """Stable-Baselines3's, with its own defaults but for the learning rate."""
    from stable_baselines3 import SAC

    model = SAC("MlpPolicy", environment, learning_rate=LEARNING_RATE, batch_size=BATCH_SIZE, seed=seed, device="cpu")
    begun = time.perf_counter()
    model.learn(steps)
    seconds = time.perf_counter() - begun
    return seconds, lambda state: model.predict(state, deterministic=True)[0]


def sbx(environment: str, steps: int, seed: int) -> tuple[float, Act]:
    """Stable-Baselines3's on JAX."""
    from sbx import SAC

    model = SAC("MlpPolicy", environment, learning_rate=LEARNING_RATE, batch_size=BATCH_SIZE, seed=seed)
    begun = time.perf_counter()
    model.learn(steps)
    seconds = time.perf_counter() - begun
    return seconds, lambda state: model.predict(state, deterministic=True)[0]


CONTESTANTS = {"kplug": kplug, "sb3": sb3, "sbx": sbx}

if __name__ == "__main__":
    main()
