"""The callbacks of a run, kept together over an interruption."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from kplug.training import training_state
from kplug.training.position import Position


class RunCallbacks(keras.callbacks.CallbackList):
    """Callbacks to which a training that was interrupted looks like one that was not.

    An epoch that is taken up in its middle is a `fit` of its own, and what follows another one; here the callbacks
    meet one beginning and one end, batches numbered through, and their own state as it was.

    Args:
        callbacks: All callbacks, called in this order.
        kept: Those among them whose state belongs to that of the training.
        model: The model.
        epochs: Epochs of the whole run.
        steps: Steps of an epoch, or `None` if that is not known.
        position: Where the training begins.
        resumed: What `training_state.capture` returned, or `None` at the beginning of a run.
        restored: Called once the training is as it was, before its first batch.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        kept: Sequence[keras.callbacks.Callback],
        model: keras.Model,
        epochs: int,
        steps: int | None,
        position: Position,
        resumed: Mapping[str, Any] | None = None,
        restored: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(list(callbacks), add_history=True, model=model, verbose=0)
        super().set_params({"verbose": 0, "epochs": epochs, "steps": steps})
        self._kept = kept
        self._resumed = resumed
        self._restored = restored
        self._position = position
        self._first_batch = position.batch
        self._begun = False
        self._seen_batch = False
        self._results: dict[str, Any] = {}
        # At the beginning of an epoch, the data begin as they did.
        self._batch_begun = position.batch == 0

    def set_params(self, params: Any) -> None:
        """Do nothing: the parameters are the whole run's, not those of one `fit`."""

    def on_train_begin(self, logs: Any = None) -> None:
        if self._begun:
            return
        self._begun = True
        super().on_train_begin(logs)
        if self._resumed is not None:
            training_state.restore(self._resumed, self.model, self._kept)
        self._restored()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        if epoch > self._position.epoch:
            self._first_batch = 0
        elif self._resumed is not None and self._first_batch:
            # `fit` has just set them to zero; the epoch's means go on from the middle.
            training_state.assign(self.model.metrics_variables, self._resumed["metrics"], "compiled metrics")
            self._results = dict(self.model.get_metrics_result())
        self._seen_batch = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # Of data of unknown length, the checkpoint may be behind the epoch's last batch: then its means are these.
        super().on_epoch_end(epoch, logs if self._seen_batch else {**self._results, **(logs or {})})

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._resumed is not None and not self._batch_begun:
            # To begin with the data may take random numbers (a PyTorch loader's seed), which was done once before.
            training_state.restore_random_state(self._resumed["random"])
        self._batch_begun = True
        super().on_train_batch_begin(batch + self._first_batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._seen_batch = True
        super().on_train_batch_end(batch + self._first_batch, logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Do nothing: whether this `fit` was the last, `end` says."""

    def end(self) -> None:
        """Tell the callbacks that the training has ended."""
        super().on_train_end(None)
