"""Checks of a metric."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.testing.backends import agree_across_backends, from_portable, portable
from kplug.testing.small_models import compiled_ways, saved_and_loaded, stretching_model


def check_metric(
    metric: keras.metrics.Metric,
    y_true: Any,
    y_pred: Any,
    *,
    expected: Any = None,
    by_parts: bool = True,
    weighted: bool = True,
    compiled: bool = True,
    half_tolerance: float = 0.05,
    backends: Sequence[str] | None = None,
) -> None:
    """Check that a metric works in every way Keras uses one.

    A finite result; the same after a reset, from several parts of the data as from the whole, and after serialization;
    sample weights; float16 predictions; in `evaluate` of a compiled and of a saved model, with sample weights and under
    mixed precision; on every backend that is installed.

    Args:
        metric: An instance, without data yet.
        y_true: Targets, an array.
        y_pred: Predictions, a float array.
        expected: The right result, if it is known.
        by_parts: Whether parts of the data, one after the other, must give the result of the whole.
        weighted: Whether a sample of weight 0 is one that is not there, and one of weight 2 is two.
        compiled: Whether it can be given to `compile`.
        half_tolerance: Absolute difference allowed between float16 and float32 predictions.
        backends: Which other backends to compare with; by default all that are installed. The metric's module must be
            one that another process can import. Give `()` to compare with none.

    Raises:
        AssertionError: With what went wrong.

    Example:

    ```python
    def test_my_metric():
        kplug.testing.check_metric(Sharpness(), np.zeros((6, 1)), np.ones((6, 1)), expected=1.0)
    ```
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred, "float32")
    whole = _result(metric, [(y_true, y_pred)])
    assert np.isfinite(whole).all(), f"{type(metric).__name__} is not finite: {whole}"
    if expected is not None:
        np.testing.assert_allclose(whole, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(_result(metric, [(y_true, y_pred)]), whole, err_msg="after reset_state")
    cut = max(1, len(y_true) // 3)
    if by_parts:
        parts = [(y_true[:cut], y_pred[:cut]), (y_true[cut:], y_pred[cut:])]
        np.testing.assert_allclose(_result(metric, parts), whole, rtol=1e-5, atol=1e-6, err_msg="from two parts")
    _check_weights(metric, y_true, y_pred, whole, weighted)
    half = _result(metric, [(y_true, y_pred.astype("float16"))])
    np.testing.assert_allclose(half, whole, rtol=0, atol=half_tolerance, err_msg="float16 predictions")
    metric.reset_state()
    again = keras.metrics.deserialize(json.loads(json.dumps(keras.metrics.serialize(metric))))
    assert type(again) is type(metric), f"{type(metric).__name__} came back as {type(again).__name__}"
    assert again.get_config() == metric.get_config(), "the configuration changed"
    np.testing.assert_allclose(_result(again, [(y_true, y_pred)]), whole, rtol=1e-6, err_msg="after serialization")
    if compiled:
        _check_compiled(metric, y_true, y_pred, whole, cut if by_parts else len(y_true), half_tolerance)
        if weighted:
            _check_compiled_weights(metric, y_true, y_pred, len(y_true))
    case = ("kplug.testing.metrics:result", *portable(metric), y_true, y_pred)
    agree_across_backends({type(metric).__name__: case}, backends=backends)


def result(module: str, serialized: dict[str, Any], y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Return the result of a portable metric for a batch."""
    return _result(from_portable(module, serialized), [(y_true, y_pred)])


def _result(metric: keras.metrics.Metric, batches: Sequence[tuple[np.ndarray, ...]]) -> np.ndarray:
    metric.reset_state()
    for batch in batches:
        metric.update_state(*batch)
    return ops.convert_to_numpy(metric.result())


def _counts(size: int) -> np.ndarray:
    """Return how often each sample is to count: not at all, once or twice."""
    return np.arange(size) % 3


def _check_weights(
    metric: keras.metrics.Metric, y_true: np.ndarray, y_pred: np.ndarray, whole: np.ndarray, weighted: bool
) -> None:
    ones = np.ones(len(y_true), "float32")
    np.testing.assert_allclose(
        _result(metric, [(y_true, y_pred, ones)]), whole, rtol=1e-6, err_msg="with a weight of 1 for each sample"
    )
    if not weighted:
        return
    counts = _counts(len(y_true))
    rows = np.repeat(np.arange(len(y_true)), counts)
    repeated = _result(metric, [(y_true[rows], y_pred[rows])])
    for weights in (counts.astype("float32"), counts.astype("float32")[:, None]):
        found = _result(metric, [(y_true, y_pred, weights)])
        np.testing.assert_allclose(
            found, repeated, rtol=1e-5, atol=1e-6, err_msg="weights of 0, 1 and 2 beside samples left out and repeated"
        )


def _compiled(metric: keras.metrics.Metric, y_pred: np.ndarray, weighted: bool, **options: Any) -> keras.Model:
    model = stretching_model(y_pred, options.pop("dtype", None))
    own = type(metric).from_config(metric.get_config())
    model.compile("sgd", _no_loss, **{"weighted_metrics" if weighted else "metrics": [own]}, **options)
    return model


def _check_compiled(
    metric: keras.metrics.Metric,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    whole: np.ndarray,
    batch_size: int,
    half_tolerance: float,
) -> None:
    def evaluated(model: keras.Model) -> float:
        return model.evaluate(y_pred, y_true, batch_size=batch_size, verbose=0, return_dict=True)[metric.name]

    for jit_compile in compiled_ways():
        model = _compiled(metric, y_pred, weighted=False, jit_compile=jit_compile)
        way = f"evaluate with jit_compile={jit_compile}"
        np.testing.assert_allclose(evaluated(model), whole, rtol=1e-5, atol=1e-6, err_msg=way)
    np.testing.assert_allclose(
        evaluated(saved_and_loaded(model)), whole, rtol=1e-5, atol=1e-6, err_msg="evaluate of a saved model"
    )
    mixed = _compiled(metric, y_pred, weighted=False, dtype="mixed_float16")
    np.testing.assert_allclose(
        evaluated(mixed), whole, rtol=0, atol=half_tolerance, err_msg="evaluate under mixed_float16"
    )


def _check_compiled_weights(
    metric: keras.metrics.Metric, y_true: np.ndarray, y_pred: np.ndarray, batch_size: int
) -> None:
    weights = _counts(len(y_true)).astype("float32")
    expected = _result(metric, [(y_true, y_pred, weights)])
    model = _compiled(metric, y_pred, weighted=True)
    results = model.evaluate(y_pred, y_true, sample_weight=weights, batch_size=batch_size, verbose=0, return_dict=True)
    np.testing.assert_allclose(
        results[metric.name], expected, rtol=1e-5, atol=1e-6, err_msg="evaluate with sample weights"
    )


@keras.saving.register_keras_serializable(package="kplug")
def _no_loss(y_true: Any, y_pred: Any) -> Any:
    del y_true
    return ops.zeros_like(ops.reshape(y_pred, (ops.shape(y_pred)[0], -1))[:, 0])
