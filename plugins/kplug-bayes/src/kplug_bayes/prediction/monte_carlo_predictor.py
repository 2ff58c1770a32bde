"""Many predictions of one model, or of an ensemble, as one predictive distribution."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug_bayes.outputs.distribution_layer import DistributionLayer
from kplug_bayes.prediction.compiled_step import compiled_step
from kplug_bayes.prediction.prediction_task import TASKS, Task, check_can_vary, output_layer_of, task_of
from kplug_bayes.prediction.predictive_distribution import (
    ClassificationPrediction,
    RegressionPrediction,
    of_classes,
    of_numbers,
)
from kplug_bayes.variational.variational_layer import checked_count

Prediction = RegressionPrediction | ClassificationPrediction

_LARGEST_NUMBER_OF_DRAWS = 10_000_000
"""Numbers that one batch of draws may hold, 40 MB each for means, variances and targets."""


class MonteCarloPredictor:
    """Predicts many times, and says how far and why the predictions lie apart.

    It takes a model with variational layers or `MCDropout`, one that ends with an output layer such as
    `IndependentNormal`, one with both, or several models (a `DeepEnsemble`). The step that predicts is compiled when it
    is first called, and used for all draws and further calls. Results are reduced batch by batch, so that memory
    depends on the size of a batch and not on the number of samples. The model is left as it was: weights, seed
    generators, and what it was compiled with.

    Args:
        model: A built model, a list of such, or a `DeepEnsemble`.
        samples: Draws of each model, at least 1; by default 100 for a single model, and 100 over all members of an
            ensemble whose members draw. One that does not draw predicts once; its output layer's noise is drawn
            `samples` times.
        task: `"regression"`, `"classification"` (probabilities of classes that exclude each other) or `"binary"` (of
            such that do not); by default what the output layer or the last activation says.
        from_logits: Whether a model without an output layer puts out logits.
        quantiles: Levels of the quantiles, between 0 and 1; the lowest and the highest bound the credible interval.
        batch_size: Samples of one step.
        keep_draws: Whether results have all draws, in `draws`.
        seed: Whole number that makes the draws repeat from call to call, or `None`.

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
        batch_size: int = 256,
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
        self.batch_size = checked_count("batch_size", batch_size)
        self.keep_draws = keep_draws
        self.seed = seed
        draws = check_can_vary(self.models, self.layers[0])
        default = math.ceil(100 / len(self.models))
        self.samples = default if samples is None else checked_count("samples", samples)
        noise = self.layers[0] is not None and self.task == "regression"
        # Without noise to draw, another prediction of what does not draw is the same again.
        self.draws_of_each = self.samples if draws or noise else 1
        self._steps = [
            compiled_step(one, self._computing(layer)) for one, layer in zip(self.models, self.layers, strict=True)
        ]

    def __call__(self, x: Any) -> Any:
        """Return the predictive distribution.

        Args:
            x: Samples as the model takes them: an array, or a structure of arrays, of `n` samples.

        Returns:
            A `RegressionPrediction`, or a `ClassificationPrediction`.

        Raises:
            ValueError: If there are no samples, or outputs that should be probabilities are not.
        """
        x = keras.tree.map_structure(np.asarray, x)
        count = len(keras.tree.flatten(x)[0])
        if count == 0:
            raise ValueError("`x` must have one sample at least. Received: x with 0 samples")
        size = min(self.batch_size, count)
        with _left_as_they_were(self.models, self.seed):
            parts = [self._of_batch(x, start, min(start + size, count), size) for start in range(0, count, size)]
        return _joined(parts)

    def _of_batch(self, x: Any, start: int, stop: int, size: int) -> Prediction:
        # A last batch that is smaller is filled up: the step is compiled for one size.
        rows = np.minimum(np.arange(start, start + size), stop - 1)
        batch = keras.tree.map_structure(lambda array: ops.convert_to_tensor(array[rows]), x)
        draws: list[list[np.ndarray]] = []
        for step in self._steps:
            for _ in range(self.draws_of_each):
                draws.append([ops.convert_to_numpy(part)[: stop - start] for part in step(batch)])
                if draws[0][0].size * self.draws_of_each * len(self.models) > _LARGEST_NUMBER_OF_DRAWS:
                    raise ValueError(
                        f"A batch of {size} samples has too many numbers to hold {self.draws_of_each} draws of. "
                        f"Give a smaller one. Received: batch_size={self.batch_size}"
                    )
        stacked = [np.stack(part) for part in zip(*draws, strict=True)]
        if self.task == "regression":
            means, variances, targets = stacked
            return of_numbers(means, variances, targets, self.quantiles, self.keep_draws)
        self._check_probabilities(stacked[0])
        return of_classes(stacked[0], self.task == "binary", self.quantiles, self.keep_draws)

    def _computing(self, layer: DistributionLayer | None) -> Any:
        if self.task == "regression":
            return _numbers if layer is None else lambda outputs: _moments(layer, outputs)
        if layer is not None:
            return lambda outputs: [layer.mean(outputs)]
        if not self.from_logits:
            return lambda outputs: [_precise(outputs)]
        activation = ops.sigmoid if self.task == "binary" else ops.softmax
        return lambda outputs: [activation(_precise(outputs))]

    def _check_probabilities(self, values: np.ndarray) -> None:
        sums = values.sum(axis=-1) if self.task == "classification" else 1.0
        if values.min() < -1e-3 or values.max() > 1 + 1e-3 or not np.allclose(sums, 1.0, atol=1e-2):
            raise ValueError(
                f"The model's outputs are no probabilities for task={self.task!r}: they must be between 0 and 1, and "
                "those of classes that exclude each other add up to 1. For logits say from_logits=True. "
                f"Received: from_logits={self.from_logits}, outputs from {values.min():.4g} to {values.max():.4g}"
            )


def predict_distribution(model: Any, x: Any, samples: int | None = None, **options: Any) -> Any:
    """Return the predictive distribution of a model, or of an ensemble, for some samples.

    For several calls make one `MonteCarloPredictor`: it compiles the step that predicts once.

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


def _precise(outputs: Any) -> Any:
    return ops.cast(outputs, keras.backend.result_type(outputs.dtype, "float32"))


def _numbers(outputs: Any) -> list[Any]:
    numbers = _precise(outputs)
    return [numbers, ops.zeros_like(numbers), numbers]


def _moments(layer: DistributionLayer, outputs: Any) -> list[Any]:
    return [layer.mean(outputs), layer.variance(outputs), layer.sample(outputs)]


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


@contextmanager
def _left_as_they_were(models: list[keras.Model], seed: int | None) -> Iterator[None]:
    """Begin all seed generators anew, and put back what predictions have changed."""
    changing = [variable for model in models for variable in model.non_trainable_variables]
    before = [ops.convert_to_numpy(variable) for variable in changing]
    generators = [variable for variable in changing if variable.name == "seed_generator_state"]
    entropy = np.random.SeedSequence(seed)
    for variable, child in zip(generators, entropy.spawn(len(generators)), strict=True):
        variable.assign((child.generate_state(2) >> 1).astype(variable.dtype))
    try:
        yield
    finally:
        for variable, value in zip(changing, before, strict=True):
            variable.assign(value)


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
