"""Shared by the tests of metrics: results as numbers, models whose outputs are known, any way to compile them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import pytest

Updated = Callable[..., float]


@pytest.fixture(scope="session")
def updated() -> Updated:
    """Give `updated(metric, y_true, y_pred, sample_weight=None, batch_size=None)`: the result after these batches."""

    def result(
        metric: keras.Metric,
        y_true: Sequence,
        y_pred: Sequence,
        sample_weight: Sequence | None = None,
        batch_size: int | None = None,
    ) -> float:
        step = batch_size or len(y_pred)
        for start in range(0, len(y_pred), step):
            batch = slice(start, start + step)
            weight = None if sample_weight is None else sample_weight[batch]
            metric.update_state(y_true[batch], y_pred[batch], weight)
        return float(metric.result())

    return result


@pytest.fixture(scope="session")
def one_by_one(updated: Updated) -> Callable[..., float]:
    """Give `one_by_one(metric, labels, points)`: the result after a few points, one per batch, in four dimensions.

    With JAX each new shape costs seconds, so small cases share one.
    """

    def result(metric: keras.Metric, labels: Sequence, points: Sequence) -> float:
        points = np.asarray(points)
        padded = np.pad(points, ((0, 0), (0, 4 - points.shape[1])))
        return updated(metric, labels, padded, batch_size=1)

    return result


@pytest.fixture(scope="session")
def identity() -> Callable[..., keras.Model]:
    """Give `identity(width, **compile_arguments)`: a model whose outputs are its inputs, and stay so in `fit`."""

    def model(width: int, **arguments: object) -> keras.Model:
        layer = keras.layers.Dense(width, kernel_initializer="identity", use_bias=False)
        built = keras.Sequential([keras.Input((width,)), layer])
        built.compile(keras.optimizers.SGD(0.0), loss=_no_loss, **arguments)
        return built

    return model


@pytest.fixture(scope="session", params=["auto", True], ids=["auto", "jit"])
def jit_compile(request: pytest.FixtureRequest) -> str | bool:
    """Keras' own choice of compilation, and XLA asked for where that is another: with JAX it is Keras' choice."""
    if request.param is True and keras.backend.backend() != "tensorflow":
        pytest.skip("XLA is Keras' own choice with JAX; PyTorch has none")
    return request.param


def _no_loss(y_true: object, y_pred: object) -> object:
    return keras.ops.sum(y_pred, axis=-1) * 0


@pytest.fixture(scope="session")
def embeddings() -> tuple[np.ndarray, np.ndarray]:
    """Labels and embeddings of 45 samples of 6 classes that overlap; one label occurs once."""
    rng = np.random.default_rng(0)
    labels = np.append(rng.integers(0, 5, 44), 5)
    centres = rng.normal(size=(6, 4))
    return labels, (centres[labels] + rng.normal(size=(45, 4))).astype("float32")
