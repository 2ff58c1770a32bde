"""Checks of a metric."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.testing.models import compiled_ways, saved_and_loaded, stretching_model


def check_metric(
    metric: keras.metrics.Metric,
    y_true: Any,
    y_pred: Any,
    *,
    expected: Any = None,
    by_parts: bool = True,
    compiled: bool = True,
) -> None:
    """Check that a metric works in every way Keras uses one.

    A finite result; the same after a reset, from several parts of the data as from the whole, after serialization, and
    in `evaluate` of a compiled and of a saved model.

    Args:
        metric: An instance, without data yet.
        y_true: Targets, an array.
        y_pred: Predictions, a float array.
        expected: The right result, if it is known.
        by_parts: Whether parts of the data, one after the other, must give the result of the whole.
        compiled: Whether it can be given to `compile`.

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
    metric.reset_state()
    again = keras.metrics.deserialize(json.loads(json.dumps(keras.metrics.serialize(metric))))
    assert type(again) is type(metric), f"{type(metric).__name__} came back as {type(again).__name__}"
    assert again.get_config() == metric.get_config(), "the configuration changed"
    np.testing.assert_allclose(_result(again, [(y_true, y_pred)]), whole, rtol=1e-6, err_msg="after serialization")
    if compiled:
        _check_compiled(metric, y_true, y_pred, whole, cut if by_parts else len(y_true))


def _result(metric: keras.metrics.Metric, batches: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    metric.reset_state()
    for y_true, y_pred in batches:
        metric.update_state(y_true, y_pred)
    return ops.convert_to_numpy(metric.result())


def _check_compiled(
    metric: keras.metrics.Metric, y_true: np.ndarray, y_pred: np.ndarray, whole: np.ndarray, batch_size: int
) -> None:
    for jit_compile in compiled_ways():
        model = stretching_model(y_pred)
        own = type(metric).from_config(metric.get_config())
        model.compile("sgd", _no_loss, metrics=[own], jit_compile=jit_compile)
        for one in (model, saved_and_loaded(model)):
            results = one.evaluate(y_pred, y_true, batch_size=batch_size, verbose=0, return_dict=True)
            np.testing.assert_allclose(
                results[own.name], whole, rtol=1e-5, atol=1e-6, err_msg=f"evaluate with jit_compile={jit_compile}"
            )


@keras.saving.register_keras_serializable(package="kplug")
def _no_loss(y_true: Any, y_pred: Any) -> Any:
    del y_true
    return ops.zeros_like(ops.reshape(y_pred, (ops.shape(y_pred)[0], -1))[:, 0])
