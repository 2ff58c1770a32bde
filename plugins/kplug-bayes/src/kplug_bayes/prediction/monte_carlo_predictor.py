"""Many predictions of one model, or of an ensemble, as one predictive distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug_bayes.checked_numbers import check_seed, checked_count
from kplug_bayes.prediction.batches import all_samples, in_batches
from kplug_bayes.prediction.prediction_step import prediction_step
from kplug_bayes.prediction.prediction_task import TASKS, Task, output_layer_of, refuse_without_spread, task_of
from kplug_bayes.prediction.predictive_distribution import (
    ClassificationPrediction,
    RegressionPrediction,
    of_classes,
    of_numbers,
)

Prediction = RegressionPrediction | ClassificationPrediction

_SAMPLES_OF_A_STEP = 256
_NUMBERS_OF_A_BATCH = 10_000_000
"""Numbers of the draws of a batch whose size is not given: 40 MB each for means, variances and targets."""
_LARGEST_NUMBER_OF_DRAWS = 100_000_000
"""Numbers that they may have at all: about 4 GB, with what is computed of them."""


class MonteCarloPredictor:
    """Predicts many times, and says how far and why the predictions lie apart.

    It takes a model with variational layers or `MCDropout`, one that ends with an output layer such as
    `IndependentNormal`, one with both, or several models (a `DeepEnsemble`). What draws is found out by predicting
    once: any layer with a `keras.random.SeedGenerator` of its own may, Keras' Dropout called with `training=True` too.
    The step that predicts is compiled when it is first called, and used for all draws and further calls, and by other
    predictors of the model until an attribute of one of its layers is set. Results are reduced batch by batch, so
    that memory depends on the size of a batch and not on the number of samples. The model is left as it was: weights,
    seed generators, and what it was compiled with.

    Args:
        model: A built model, a list of such, or a `DeepEnsemble`.
        samples: Draws of each model that draws, at least 1, and at least 2 of a single one; by default 100 for a single
            model, and 100 over all members of an ensemble. One that does not draw predicts once, and counts as much as
            the others; its output layer's noise is drawn `samples` times.
        task: `"regression"`, `"classification"` (probabilities of classes that exclude each other) or `"binary"` (of
            such that do not); by default what the output layer or the last activation says.
        from_logits: Whether a model without an output layer puts out logits.
        quantiles: Levels of the quantiles, between 0 and 1; the lowest and the highest bound the credible interval.
        batch_size: Samples of one step; by default 256, or fewer where outputs are large.
        keep_draws: Whether results have all draws, in `draws`.
        seed: Whole number that makes the draws repeat from call to call, or `None`. What draws from no generator of its
            own, as Keras' Dropout on PyTorch, follows `torch.manual_seed` or `keras.utils.set_random_seed` instead.

    Raises:
        ValueError: If a parameter is out of range, the models have no spread of any kind, or what they put out
            cannot be told.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), kplug_bayes.DenseFlipout(2), kplug_bayes.IndependentNormal(1)])
    >>> predictor = kplug_bayes.MonteCarloPredictor(model, samples=20, seed=0)
    >>> prediction = predictor(np.zeros((5, 3), "float32"))
    >>> prediction.mean.shape, prediction.epistemic_std.shape, prediction.quantiles.shape
    ((5, 1), (5, 1), (3, 5, 1))
    """

    def __init__(
        self,
        model: Any,
        samples: int | None = None,
        task: Task | None = None,
        from_logits: bool = False,
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        batch_size: int | None = None,
        keep_draws: bool = False,
        seed: int | None = None,
    ) -> None:
        self.models = _models_of(model)
        self.layers = [output_layer_of(one) for one in self.models]
        if len({type(layer) for layer in self.layers}) > 1:
            kinds = ", ".join(type(layer).__name__ for layer in self.layers)
            raise ValueError(f"The members of an ensemble must end with the same kind of layer. Received: {kinds}")
        if task is not None and task not in TASKS:
            raise ValueError(f"`task` must be one of {', '.join(map(repr, TASKS))}. Received: task={task!r}")
        self.task = task or task_of(self.models[0], self.layers[0])
        self.quantiles = _checked_levels(quantiles)
        self.from_logits = from_logits
        self.batch_size = None if batch_size is None else checked_count("batch_size", batch_size)
        self.keep_draws = keep_draws
        if seed is not None:
            check_seed(seed)
        self.seed = seed
        default = math.ceil(100 / len(self.models))
        self.samples = default if samples is None else checked_count("samples", samples)
        self._steps = [
            prediction_step(one, layer, self.task, from_logits)
            for one, layer in zip(self.models, self.layers, strict=True)
        ]

    def __call__(self, x: Any) -> Any:
        """Return the predictive distribution.

        Args:
            x: Samples as the model takes them: an array, a list of numbers, or a structure of arrays, of `n` samples;
                or batches of such with or without targets (a `tf.data.Dataset`, a `keras.utils.PyDataset`, a PyTorch
                `DataLoader`), which are all held at once.

        Returns:
            A `RegressionPrediction`, or a `ClassificationPrediction`.

        Raises:
            ValueError: If there are no samples, the model has no spread of any kind or several outputs, or outputs that
                should be probabilities are not.
        """
        if hasattr(x, "__next__"):
            raise ValueError(
                "`x` must be arrays, or batches that can be gone through again: a tf.data.Dataset, a "
                f"keras.utils.PyDataset or a DataLoader. Received: x={type(x).__name__}"
            )
        x = _arrays(all_samples(x) if in_batches(x) else x)
        count = len(keras.tree.flatten(x)[0])
        if count == 0:
            raise ValueError("`x` must have one sample at least. Received: x with 0 samples")
        size = min(self.batch_size or _SAMPLES_OF_A_STEP, count)
        states = self._beginnings()
        batch = _rows(x, 0, size, size)
        numbers = max(step.look(batch, mine) for step, mine in zip(self._steps, states, strict=True))
        times = self._times()
        size = self._fitting(size, numbers * max(times) * len(times))
        parts = [
            self._of_batch(x, start, min(start + size, count), size, times, states) for start in range(0, count, size)
        ]
        return _joined(parts)

    def _beginnings(self) -> list[list[Any]]:
        """Return new states of all seed generators."""
        children = iter(np.random.SeedSequence(self.seed).spawn(sum(len(step.generators) for step in self._steps)))
        return [
            [ops.convert_to_tensor((next(children).generate_state(2) >> 1), variable.dtype) for variable in generators]
            for generators in (step.generators for step in self._steps)
        ]

    def _times(self) -> list[int]:
        """Return how often each model predicts."""
        alone = len(self.models) == 1
        if alone and not self._steps[0].draws and self.layers[0] is None:
            refuse_without_spread(self.models[0])
        if alone and self._steps[0].draws and self.samples < 2:
            raise ValueError(
                "`samples` must be at least 2 of a model that draws: one draw has no spread. "
                f"Received: samples={self.samples}"
            )
        noise = self.layers[0] is not None and self.task == "regression"
        # Without noise to draw, another prediction of what does not draw is the same again.
        return [self.samples if step.draws or noise else 1 for step in self._steps]

    def _fitting(self, size: int, numbers: int) -> int:
        """Return the size of batches, by the numbers that all draws of one sample have."""
        if self.batch_size is None:
            size = max(1, min(size, _NUMBERS_OF_A_BATCH // numbers))
        if size * numbers > _LARGEST_NUMBER_OF_DRAWS:
            remedy = "Give fewer `samples`" if size == 1 else "Give a smaller `batch_size`, or None"
            raise ValueError(
                f"All draws of {size} samples have {size * numbers} numbers, more than the {_LARGEST_NUMBER_OF_DRAWS} "
                f"that are held at once. {remedy}. Received: batch_size={self.batch_size}, samples={self.samples}"
            )
        return size

    def _of_batch(
        self, x: Any, start: int, stop: int, size: int, times: list[int], states: list[list[Any]]
    ) -> Prediction:
        batch = _rows(x, start, stop, size)
        draws: list[list[np.ndarray]] = []
        for number, step in enumerate(self._steps):
            drawn = []
            for _ in range(times[number]):
                results, states[number] = step(batch, states[number])
                drawn.append([ops.convert_to_numpy(part)[: stop - start] for part in results])
            # A member that does not draw counts as much as one that does.
            draws.extend(drawn * (max(times) // len(drawn)))
        stacked = [np.stack(part) for part in zip(*draws, strict=True)]
        if self.task == "regression":
            means, variances, targets = stacked
            return of_numbers(means, variances, targets, self.quantiles, self.keep_draws)
        self._check_probabilities(stacked[0])
        return of_classes(stacked[0], self.task == "binary", self.quantiles, self.keep_draws)

    def _check_probabilities(self, values: np.ndarray) -> None:
        if np.isnan(values).any():
            raise ValueError(
                "The model puts out NaN. If its loss was NaN, its training went wrong: targets that the distribution "
                "cannot have (classes that there are not), values that are not finite, or too large a learning rate. "
                f"Received: NaN in {int(np.isnan(values).sum())} of {values.size} outputs"
            )
        sums = values.sum(axis=-1) if self.task == "classification" else 1.0
        if values.min() < -1e-3 or values.max() > 1 + 1e-3 or not np.allclose(sums, 1.0, atol=1e-2):
            raise ValueError(
                f"The model's outputs are no probabilities for task={self.task!r}: they must be between 0 and 1, and "
                "those of classes that exclude each other add up to 1. For logits say from_logits=True. "
                f"Received: from_logits={self.from_logits}, outputs from {values.min():.4g} to {values.max():.4g}"
            )


def predict_distribution(model: Any, x: Any, samples: int | None = None, **options: Any) -> Any:
    """Return the predictive distribution of a model, or of an ensemble, for some samples.

    The step that predicts is compiled once for a model, and again when an attribute of one of its layers has been set.

    Args:
        model: A built model, a list of such, or a `DeepEnsemble`.
        x: Samples as the model takes them.
        samples: Draws of each model; by default as many as make 100.
        **options: Further arguments of `MonteCarloPredictor` (`task`, `quantiles`, `seed`, …).

    Returns:
        A `RegressionPrediction` with mean, epistemic and aleatoric deviation and quantiles; or a
        `ClassificationPrediction` with mean probabilities, entropies and mutual information.

    Raises:
        ValueError: As `MonteCarloPredictor` does.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), kplug_bayes.MCDropout(0.5), keras.layers.Dense(2, "softmax")])
    >>> prediction = kplug_bayes.predict_distribution(model, np.ones((5, 3), "float32"), samples=10)
    >>> prediction.mean.shape, prediction.mutual_information.shape
    ((5, 2), (5,))
    """
    return MonteCarloPredictor(model, samples, **options)(x)


def _arrays(x: Any) -> Any:
    """Return a structure of arrays; a list, or lists in lists, of numbers is one array."""
    if isinstance(x, dict):
        return {name: _arrays(part) for name, part in x.items()}
    if isinstance(x, list | tuple) and any(np.ndim(leaf) for leaf in keras.tree.flatten(x)):
        return type(x)(_arrays(part) for part in x)
    return np.asarray(x)


def _rows(x: Any, start: int, stop: int, size: int) -> Any:
    """Return a batch; one that is smaller is filled up, as the step is compiled for one size."""
    rows = np.minimum(np.arange(start, start + size), stop - 1)
    return keras.tree.map_structure(lambda array: ops.convert_to_tensor(array[rows]), x)


def _models_of(given: Any) -> list[keras.Model]:
    models = list(getattr(given, "members", given if isinstance(given, list | tuple) else [given]))
    for model in models:
        if not isinstance(model, keras.Model):
            raise ValueError(
                "`model` must be a keras.Model, a list of such, or a DeepEnsemble. "
                f"Received: model={type(model).__name__}"
            )
        if not model.built:
            raise ValueError(
                "`model` must be built: train it, or call it on some samples, first. "
                f"Received: model={model.name}, which is not built"
            )
    if not models:
        raise ValueError("`model` must be one model at least. Received: model=[]")
    return models


def _checked_levels(levels: Sequence[float]) -> tuple[float, ...]:
    ordered = tuple(sorted(float(level) for level in levels))
    if not ordered or not all(0 <= level <= 1 for level in ordered):
        raise ValueError(f"`quantiles` must be one level or more between 0 and 1. Received: quantiles={levels}")
    return ordered


def _joined(parts: list[Prediction]) -> Prediction:
    """Join the results of batches."""
    first = parts[0]
    if len(parts) == 1:
        return first
    fields: dict[str, Any] = {}
    for name, value in vars(first).items():
        axis = 1 if name in {"quantiles", "draws"} else 0
        is_array = isinstance(value, np.ndarray)
        fields[name] = np.concatenate([getattr(part, name) for part in parts], axis=axis) if is_array else value
    return type(first)(**fields)
