"""The best model of a run, kept beside the last one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from kplug.errors import SpecError
from kplug.runs.direction import higher_is_better
from kplug.training.artifacts import BEST_MODEL_FILE, save_model


class BestModel(keras.callbacks.Callback):
    """Saves the model as `best.keras` whenever an epoch is the best so far.

    Args:
        metric: Name of a metric as the logs have it, such as `val_loss`, with `min:` or `max:` in front to say what is
            better. Without it, accuracies and their like are better when higher, everything else when lower.
        directory: Where artifacts go.
    """

    def __init__(self, metric: str, directory: Path) -> None:
        super().__init__()
        direction, colon, name = metric.partition(":")
        self._name = name if colon else metric
        usual = -1.0 if higher_is_better(self._name) else 1.0
        self._sign = {"min": 1.0, "max": -1.0}.get(direction, usual) if colon else usual
        self._directory = directory
        self._best = math.inf

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        logs = logs or {}
        if self._name not in logs:
            raise SpecError(f"best = {self._name!r}: there is no such metric. There are {', '.join(logs)}.")
        value = self._sign * float(logs[self._name])
        if value < self._best:
            try:
                save_model(self.model, self._directory, BEST_MODEL_FILE)
            except OSError as error:
                print(f"warning: the best model so far could not be kept: {error}", flush=True)
            else:
                self._best = value

    def training_state(self) -> float:
        """Return what `restore_training_state` takes back."""
        return self._best

    def restore_training_state(self, state: float) -> None:
        """Go on where another process stopped."""
        self._best = state
