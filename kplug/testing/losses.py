"""Checks of a loss."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.testing.backends import agree_across_backends, from_portable, portable
from kplug.testing.gradients import check_gradient, gradient
from kplug.testing.small_models import masked_model, saved_and_loaded, stretching_model, ways_of_training


def check_loss(
    loss: keras.losses.Loss,
    y_true: Any,
    y_pred: Any,
    *,
    smooth: bool = True,
    masked: bool = True,
    half_tolerance: float = 0.05,
    backends: Sequence[str] | None = None,
) -> None:
    """Check that a loss works in every way Keras uses one.

    One finite value per sample; the reductions and sample weights that follow from those; samples that a mask leaves
    out; a finite gradient that agrees with differences; float16 predictions; training with and without compilation,
    with sample weights and under mixed precision; the configuration, and a saved model, give the same loss back; the
    same values and gradients on every backend that is installed.

    Args:
        loss: An instance.
        y_true: One batch of targets, an array.
        y_pred: One batch of predictions, a float array or a dictionary of them, at a place where the loss has a
            gradient.
        smooth: Whether to compare the gradient with differences; turn it off where kinks are everywhere.
        masked: Whether a mask over the samples leaves samples out; turn it off for a loss that finds out itself what
            counts, such as one on sequences, whose predictions have a mask by position.
        half_tolerance: Difference allowed between float16 and float32 predictions, relative to the sample's value or
            a tenth of the largest one.
        backends: Which other backends to compare with; by default all that are installed. The loss' module must be one
            that another process can import. Give `()` to compare with none.

    Raises:
        AssertionError: With what went wrong.

    Example:

    ```python
    def test_my_loss():
        rng = np.random.default_rng(0)
        kplug.testing.check_loss(WaveletLoss(), rng.integers(0, 2, (8, 3)), rng.normal(size=(8, 3)))
    ```
    """
    assert isinstance(loss, keras.losses.Loss), (
        f"check_loss takes an instance of keras.losses.Loss; wrap a function in a class of it. Received: {loss!r}"
    )
    y_pred = keras.tree.map_structure(lambda array: np.asarray(array, "float32"), y_pred)
    values = _values(loss, y_true, y_pred)
    _check_values(loss, values, len(np.asarray(y_true)))
    _check_reductions(loss, y_true, y_pred, values)
    _check_gradients(loss, y_true, y_pred, smooth)
    _check_half_precision(loss, y_true, y_pred, values, half_tolerance)
    _check_configuration(loss, y_true, y_pred, values)
    _check_training(loss, y_true, y_pred, values, half_tolerance)
    if masked and not isinstance(y_pred, dict):
        _check_masks(loss, y_true, y_pred, values)
    case = ("kplug.testing.losses:values_and_gradients", *portable(loss), np.asarray(y_true), y_pred)
    agree_across_backends({type(loss).__name__: case}, atol=2e-6, backends=backends)


def values_and_gradients(module: str, serialized: dict[str, Any], y_true: Any, y_pred: Any) -> list[np.ndarray]:
    """Return a portable loss' values for each sample, and the gradients of their sum by each prediction."""
    loss = from_portable(module, serialized)
    by_prediction = [gradient(of_leaf, leaf) for of_leaf, leaf in _by_leaf(loss, y_true, y_pred)]
    return [_values(loss, y_true, y_pred), *by_prediction]


def _values(loss: keras.losses.Loss, y_true: Any, y_pred: Any) -> np.ndarray:
    tensors = keras.tree.map_structure(ops.convert_to_tensor, y_pred)
    return ops.convert_to_numpy(loss.call(ops.convert_to_tensor(y_true), tensors))


def _check_values(loss: keras.losses.Loss, values: np.ndarray, batch_size: int) -> None:
    name = type(loss).__name__
    assert values.ndim >= 1, f"{name} returns one number for the whole batch, which breaks sample weights"
    assert values.shape[0] == batch_size, f"{name} returns {values.shape[0]} values for {batch_size} samples"
    assert np.isfinite(values).all(), f"{name} is not finite: {values}"


def _check_reductions(loss: keras.losses.Loss, y_true: Any, y_pred: Any, values: np.ndarray) -> None:
    weights = np.linspace(0, 2, len(values), dtype="float32")
    spread = weights.reshape((-1,) + (1,) * (values.ndim - 1))
    for reduction, expected in (
        ("sum_over_batch_size", np.mean(values * spread)),
        ("sum", np.sum(values * spread)),
        (None, values * spread),
    ):
        reduced = type(loss).from_config({**loss.get_config(), "reduction": reduction})
        found = ops.convert_to_numpy(reduced(y_true, y_pred, sample_weight=weights))
        np.testing.assert_allclose(
            found, expected, rtol=1e-4, atol=1e-6, err_msg=f"weighted samples with reduction={reduction!r}"
        )


def _check_gradients(loss: keras.losses.Loss, y_true: Any, y_pred: Any, smooth: bool) -> None:
    for index, (of_leaf, leaf) in enumerate(_by_leaf(loss, y_true, y_pred)):
        check_gradient(of_leaf, leaf, f"{type(loss).__name__} by its prediction {index}", compare=smooth)


def _by_leaf(loss: keras.losses.Loss, y_true: Any, y_pred: Any) -> Iterator[tuple[Callable[[Any], Any], np.ndarray]]:
    """Yield each prediction with the loss as a function of it alone."""
    target = ops.convert_to_tensor(y_true)
    leaves = keras.tree.flatten(y_pred)
    for index, leaf in enumerate(leaves):

        def of_leaf(x: Any, index: int = index) -> Any:
            others = [ops.convert_to_tensor(other) for other in leaves]
            others[index] = x
            return loss.call(target, keras.tree.pack_sequence_as(y_pred, others))

        yield of_leaf, leaf


def _check_masks(loss: keras.losses.Loss, y_true: Any, y_pred: np.ndarray, values: np.ndarray) -> None:
    kept = np.arange(len(values)) % 3 != 1
    model = masked_model(y_pred)
    model.compile("sgd", loss)
    found = model.evaluate([y_pred, kept], y_true, batch_size=len(values), verbose=0)
    np.testing.assert_allclose(
        found, np.mean(values[kept]), rtol=1e-4, atol=1e-6, err_msg="the mean over the samples that a mask keeps"
    )


def _check_half_precision(
    loss: keras.losses.Loss, y_true: Any, y_pred: Any, values: np.ndarray, tolerance: float
) -> None:
    by_sample = type(loss).from_config({**loss.get_config(), "reduction": None})
    halves = keras.tree.map_structure(lambda array: ops.convert_to_tensor(array.astype("float16")), y_pred)
    half = ops.convert_to_numpy(by_sample(y_true, halves))
    assert np.isfinite(half).all(), f"{type(loss).__name__} is not finite for float16 predictions: {half}"
    scale = 0.1 * float(np.max(np.abs(values)))
    np.testing.assert_allclose(half, values, rtol=tolerance, atol=tolerance * scale, err_msg="float16 predictions")


def _check_configuration(loss: keras.losses.Loss, y_true: Any, y_pred: Any, values: np.ndarray) -> None:
    variadic = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    parameters = inspect.signature(type(loss).__init__).parameters.values()
    arguments = {one.name for one in parameters if one.kind not in variadic} - {"self", "dtype"}
    missing = arguments - set(loss.get_config())
    assert not missing, f"get_config of {type(loss).__name__} lacks {', '.join(sorted(missing))}"
    serialized = json.loads(json.dumps(keras.losses.serialize(loss)))
    again = keras.losses.deserialize(serialized)
    assert type(again) is type(loss), f"{type(loss).__name__} came back as {type(again).__name__}"
    np.testing.assert_array_equal(_values(again, y_true, y_pred), values, err_msg="after serialization")


def _check_training(loss: keras.losses.Loss, y_true: Any, y_pred: Any, values: np.ndarray, tolerance: float) -> None:
    mean = float(np.mean(values))
    batch_size = len(values)
    for jit_compile, dtype in ways_of_training():
        model = stretching_model(y_pred, dtype)
        model.compile("sgd", loss, jit_compile=jit_compile)
        way = f"with jit_compile={jit_compile} and {dtype}"
        history = model.fit(y_pred, y_true, batch_size=batch_size, epochs=1, shuffle=False, verbose=0).history
        allowed = 1e-4 if dtype == "float32" else tolerance
        np.testing.assert_allclose(history["loss"], [mean], rtol=allowed, err_msg=f"fit {way}")
        weights = [float(weight) for weight in model.trainable_weights]
        assert np.isfinite(weights).all(), f"fit {way} left weights {weights}"
    model = stretching_model(y_pred)
    model.compile("sgd", loss)
    expected = model.evaluate(y_pred, y_true, batch_size=batch_size, verbose=0)
    again = saved_and_loaded(model)
    found = again.evaluate(y_pred, y_true, batch_size=batch_size, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg="after saving and loading a model")
    doubled = model.evaluate(
        y_pred, y_true, batch_size=batch_size, sample_weight=np.full(batch_size, 2, "float32"), verbose=0
    )
    np.testing.assert_allclose(doubled, 2 * mean, rtol=1e-4, atol=1e-6, err_msg="evaluate with sample weights")
