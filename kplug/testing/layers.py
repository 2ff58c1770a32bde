"""Checks of a layer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.testing.backends import agree_across_backends, from_portable, portable
from kplug.testing.gradients import check_gradient, gradient
from kplug.testing.small_models import Kept, saved_and_loaded, symbolic_inputs, ways_of_training


def check_layer(
    layer: keras.layers.Layer,
    inputs: Any,
    *,
    differentiable: bool = True,
    smooth: bool = True,
    random: bool = False,
    backends: Sequence[str] | None = None,
) -> None:
    """Check that a layer works in every way Keras uses one.

    Outputs of the shape that it announces, also symbolically and for another batch size; finite gradients that agree
    with differences; masks, if it says that it supports them; mixed precision; training with and without compilation;
    the configuration, and a saved model, give the same layer back; the same outputs, added losses and gradients on
    every backend that is installed.

    Args:
        layer: An instance, not built yet.
        inputs: One batch that it can have: an array, or a list or dictionary of arrays.
        differentiable: Whether gradients reach the inputs.
        smooth: Whether to compare the gradients with differences; turn it off for gradients that are meant to be
            others, such as straight-through ones.
        random: Whether it draws. With a seed its draws must then repeat after saving; backends draw differently, and
            are not compared.
        backends: Which other backends to compare with; by default all that are installed. The layer's module must be
            one that another process can import. Give `()` to compare with none.

    Raises:
        AssertionError: With what went wrong.

    Example:

    ```python
    def test_my_layer():
        kplug.testing.check_layer(Wavelet(levels=2), np.ones((4, 16, 1)))
    ```
    """
    inputs = keras.tree.map_structure(_as_given, inputs)
    config = layer.get_config()
    _check_shapes(_fresh(layer, config), inputs)
    if differentiable:
        compare = smooth and (not random or config.get("seed") is not None)
        for training in (False, True):
            _check_gradients(_fresh(layer, config), inputs, compare, training)
    if layer.supports_masking:
        _check_masks(_fresh(layer, config), inputs, random)
    _check_mixed_precision(layer, config, inputs, differentiable, random)
    _check_configuration(layer, config)
    _check_training(layer, config, inputs)
    _check_saving(_fresh(layer, config), inputs, random)
    if not random:
        _check_backends(_fresh(layer, config), inputs, differentiable, backends)


def _as_given(array: Any) -> np.ndarray:
    array = np.asarray(array)
    return array.astype("float32") if array.dtype.kind == "f" else array


def _fresh(layer: keras.layers.Layer, config: dict[str, Any], **changes: Any) -> keras.layers.Layer:
    return type(layer).from_config({**config, **changes})


def _tensors(inputs: Any) -> Any:
    return keras.tree.map_structure(ops.convert_to_tensor, inputs)


def _shapes(structure: Any) -> Any:
    return [tuple(leaf.shape) for leaf in keras.tree.flatten(structure)]


def _check_shapes(layer: keras.layers.Layer, inputs: Any) -> None:
    name = type(layer).__name__
    symbolic = layer(symbolic_inputs(inputs))
    for batch in (inputs, keras.tree.map_structure(lambda array: array[:1], inputs)):
        outputs = layer(_tensors(batch))
        in_training = layer(_tensors(batch), training=True)
        assert _shapes(in_training) == _shapes(outputs), (
            f"{name} puts out {_shapes(in_training)} in training and {_shapes(outputs)} else"
        )
        for leaf, announced in zip(keras.tree.flatten(outputs), keras.tree.flatten(symbolic), strict=True):
            expected, found = tuple(announced.shape), tuple(leaf.shape)
            fits = len(expected) == len(found) and all(
                side is None or side == other for side, other in zip(expected, found, strict=True)
            )
            assert fits, f"{name} announces outputs of shape {expected} and puts out {found}"
            values = ops.convert_to_numpy(ops.cast(leaf, "float32"))
            assert np.isfinite(values).all(), f"{name} puts out values that are not finite"
        if type(layer).compute_output_shape is keras.layers.Layer.compute_output_shape:
            continue
        shape = keras.tree.map_structure(lambda array: tuple(array.shape), batch)
        computed = layer.compute_output_shape(shape)
        flat = computed if isinstance(computed, tuple) and not isinstance(computed[0], tuple | list) else None
        if flat is not None:
            assert tuple(flat) == _shapes(outputs)[0], f"compute_output_shape of {name} says {flat}"


def _check_gradients(layer: keras.layers.Layer, inputs: Any, compare: bool, training: bool) -> None:
    name = type(layer).__name__ + (" in training" if training else "")
    for index, (of_leaf, leaf) in enumerate(_by_leaf(layer, inputs, training)):
        found = gradient(of_leaf, leaf)
        assert np.isfinite(found).all(), f"the gradient of {name} by its input {index} is not finite"
        assert np.any(found != 0), f"no gradient of {name} reaches its input {index}"
        if compare:
            check_gradient(of_leaf, leaf, f"{name} by its input {index}")


def _by_leaf(
    layer: keras.layers.Layer, inputs: Any, training: bool
) -> Iterator[tuple[Callable[[Any], Any], np.ndarray]]:
    """Yield each float input with the sum of the squared outputs and the added losses as a function of it alone.

    The function begins at one state each time: a layer that draws gives the same draws, one that counts the same count.
    """
    layer(_tensors(inputs))
    state = [(variable, ops.convert_to_numpy(variable)) for variable in _state(layer)]
    leaves = keras.tree.flatten(inputs)
    for index, leaf in enumerate(leaves):
        if leaf.dtype.kind != "f":
            continue

        def of_leaf(x: Any, index: int = index) -> Any:
            for variable, value in state:
                variable.assign(value)
            others = [ops.convert_to_tensor(other) for other in leaves]
            others[index] = x
            outputs = layer(keras.tree.pack_sequence_as(inputs, others), training=training)
            squares = sum(ops.sum(ops.square(ops.cast(part, "float32"))) for part in keras.tree.flatten(outputs))
            return squares + sum(ops.cast(ops.sum(added), "float32") for added in layer.losses)

        yield of_leaf, leaf


def _state(layer: keras.layers.Layer) -> list[Any]:
    """Return what a call may change: the variables that no optimizer does, with those of seed generators."""
    trained = {id(variable) for variable in layer.trainable_variables}
    return [variable for variable in layer.variables if id(variable) not in trained]


def _check_masks(layer: keras.layers.Layer, inputs: Any, random: bool) -> None:
    """Check that a mask over the samples is handed on, and that what it leaves out costs nothing."""
    name = type(layer).__name__
    leaves = keras.tree.flatten(inputs)
    kept = np.arange(len(leaves[0])) % 3 != 1

    def added(values: Any) -> float:
        masked = keras.tree.map_structure(lambda array: Kept()([_tensors(array), _tensors(kept)]), values)
        layer(masked)
        return float(sum(ops.sum(value) for value in layer.losses))

    symbolic = symbolic_inputs(inputs)
    mask = keras.Input((), dtype="bool")
    outputs = layer(keras.tree.map_structure(lambda tensor: Kept()([tensor, mask]), symbolic))
    for output in keras.tree.flatten(outputs):
        assert getattr(output, "_keras_mask", None) is not None, f"{name} supports masks and hands none on"
    if random:
        return
    changed = keras.tree.map_structure(lambda array: np.where(_like(kept, array), array, array + 1), inputs)
    before, after = added(inputs), added(changed)
    assert np.isclose(after, before, rtol=1e-5), (
        f"the loss that {name} adds counts samples that a mask leaves out: {before:.6g} became {after:.6g}"
    )


def _like(mask: np.ndarray, array: np.ndarray) -> np.ndarray:
    return mask.reshape((-1,) + (1,) * (array.ndim - 1))


def _check_backends(
    layer: keras.layers.Layer, inputs: Any, differentiable: bool, backends: Sequence[str] | None
) -> None:
    layer(_tensors(inputs))
    weights = [ops.convert_to_numpy(weight) for weight in layer.weights]
    for training in (False, True):
        case = ("kplug.testing.layers:what_it_does", *portable(layer), weights, inputs, differentiable, training)
        name = type(layer).__name__ + (" in training" if training else "")
        agree_across_backends({name: case}, atol=2e-6, backends=backends)


def what_it_does(
    module: str,
    serialized: dict[str, Any],
    weights: list[np.ndarray],
    inputs: Any,
    differentiable: bool,
    training: bool,
) -> list[Any]:
    """Return a portable layer's outputs and added losses, its weights after them, and the gradients by its inputs."""
    layer = from_portable(module, serialized)
    layer(_tensors(inputs))
    layer.set_weights(weights)
    outputs = layer(_tensors(inputs), training=training)
    results = [*keras.tree.flatten(outputs), *layer.losses, *map(ops.convert_to_numpy, layer.weights)]
    if differentiable:
        layer.set_weights(weights)
        results += [gradient(of_leaf, leaf) for of_leaf, leaf in _by_leaf(layer, inputs, training)]
    return results


def _check_mixed_precision(
    layer: keras.layers.Layer, config: dict[str, Any], inputs: Any, differentiable: bool, random: bool
) -> None:
    name = type(layer).__name__
    precise, mixed = _fresh(layer, config), _fresh(layer, config, dtype="mixed_float16")
    expected = keras.tree.flatten(precise(_tensors(inputs)))
    mixed(_tensors(inputs))
    mixed.set_weights(precise.get_weights())
    found = keras.tree.flatten(mixed(_tensors(inputs)))
    for mine, other in zip(found, expected, strict=True):
        if not keras.backend.is_float_dtype(mine.dtype):
            continue
        dtype = keras.backend.standardize_dtype(mine.dtype)
        assert dtype == "float16", f"under mixed_float16 {name} puts out {dtype}"
        values, exact = (ops.convert_to_numpy(ops.cast(one, "float32")) for one in (mine, other))
        assert np.isfinite(values).all(), f"under mixed_float16 {name} is not finite"
        if not random:
            scale = float(np.max(np.abs(exact), initial=0.0))
            np.testing.assert_allclose(
                values, exact, rtol=0.02, atol=0.01 * scale, err_msg=f"{name} under mixed_float16"
            )
    for weight in mixed.weights:
        if keras.backend.is_float_dtype(weight.dtype):
            assert weight.dtype == "float32", f"under mixed_float16 the weight {weight.path} is {weight.dtype}"
    if differentiable:
        for index, (of_leaf, leaf) in enumerate(_by_leaf(mixed, inputs, training=False)):
            grown = gradient(of_leaf, leaf)
            assert np.isfinite(grown).all() and np.any(grown != 0), (
                f"under mixed_float16 no finite gradient of {name} reaches its input {index}"
            )


def _check_configuration(layer: keras.layers.Layer, config: dict[str, Any]) -> None:
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    again = keras.saving.deserialize_keras_object(serialized)
    assert type(again) is type(layer), f"{type(layer).__name__} came back as {type(again).__name__}"
    assert again.get_config() == config, f"the configuration changed: {config} became {again.get_config()}"


def _model(layer: keras.layers.Layer, inputs: Any) -> keras.Model:
    symbolic = symbolic_inputs(inputs)
    outputs = keras.tree.flatten(layer(symbolic))
    flat = [keras.layers.Flatten()(output) if len(output.shape) > 2 else output for output in outputs]
    joined = keras.layers.Concatenate()(flat) if len(flat) > 1 else flat[0]
    return keras.Model(symbolic, keras.layers.Dense(1)(joined))


def _check_training(layer: keras.layers.Layer, config: dict[str, Any], inputs: Any) -> None:
    count = len(keras.tree.flatten(inputs)[0])
    for jit_compile, dtype in ways_of_training():
        model = _model(_fresh(layer, config, dtype=dtype), inputs)
        model.compile(keras.optimizers.SGD(1e-3), "mse", jit_compile=jit_compile)
        history = model.fit(inputs, np.ones((count, 1)), epochs=2, batch_size=count, verbose=0).history
        way = f"with jit_compile={jit_compile} and {dtype}"
        assert np.isfinite(history["loss"]).all(), f"training {way} gave losses {history['loss']}"


def _check_saving(layer: keras.layers.Layer, inputs: Any, random: bool) -> None:
    model = _model(layer, inputs)
    again = saved_and_loaded(model)
    assert [weight.path for weight in again.weights] == [weight.path for weight in model.weights]
    for mine, loaded in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(mine), ops.convert_to_numpy(loaded), err_msg=mine.path)
    if not random or layer.get_config().get("seed") is not None:
        expected, found = (one.predict(inputs, verbose=0) for one in (model, again))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7, err_msg="after saving and loading")
