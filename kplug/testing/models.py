"""Checks of a model."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from kplug.catalog.facts import facts_of
from kplug.errors import DataError
from kplug.testing.backends import agree_across_backends, from_portable, portable
from kplug.testing.resuming import check_resuming
from kplug.testing.small_models import saved_and_loaded, ways_of_training
from kplug.training.assembly import default_loss_and_metrics, prepare
from kplug.training.pipeline import training_arrays


def check_model(
    make: Callable[[], keras.Model],
    dataset: Any,
    *,
    loss: Any = None,
    random: bool = False,
    compiled: bool = True,
    backends: Sequence[str] | None = None,
) -> None:
    """Check that a model works in every way kplug uses one.

    Training as a run does it, with the model's own defaults: with and without compilation, under mixed precision, with
    a last batch that is smaller; finite losses and predictions, the same whatever the batches; evaluation; the
    configuration, and a saved model, give the same model back, which can be trained further; pictures and tables, if
    it has `write_artifacts`; a run that is killed and taken up at its checkpoint ends in the same weights; the same
    predictions on every backend that is installed.

    Args:
        make: Makes the model, not compiled: `lambda: WaveletNet(num_classes=3)`. Keep it small: it is made and trained
            several times.
        dataset: A `kplug.Dataset` of arrays that it can be trained on, of a dozen samples or more.
        loss: What to train with, as `compile` takes it; by default what the component says.
        random: Whether its predictions are drawn. They are then not compared with those of other batches, of the saved
            model and of other backends.
        compiled: Whether to train it compiled by XLA as well, which takes seconds; turn it off where another test does.
        backends: Which other backends to compare with; by default all that are installed. The model's module must be
            one that another process can import. Give `()` to compare with none.

    Raises:
        AssertionError: With what went wrong.

    Example:

    ```python
    def test_my_model():
        images = np.random.default_rng(0).random((24, 8, 8, 1), "float32")
        data = kplug.Dataset(train=(images, np.arange(24) % 3), info={"num_classes": 3})
        kplug.testing.check_model(lambda: WaveletNet(num_classes=3), data)
    ```
    """
    arrays = training_arrays(dataset.train)
    assert arrays is not None, "check_model needs a data set of arrays: `kplug.Dataset(train=(x, y))`"

    def prepared() -> tuple[keras.Model, dict[str, Any]]:
        return _prepared(make, arrays, dataset, loss)

    model = _check_training(prepared, arrays, "float32", jit_compile=False)
    _check_evaluation(model, arrays)
    _check_predictions(model, arrays[0], random)
    _check_saving(model, arrays, random)
    _check_artifacts(model, dataset)
    for jit_compile, dtype in ways_of_training():
        if (compiled and jit_compile) or dtype != "float32":
            _check_training(prepared, arrays, dtype, jit_compile)
    check_resuming(prepared, dataset)
    if not random:
        _check_backends(prepared()[0], arrays[0], backends)


def _prepared(
    make: Callable[[], keras.Model], arrays: tuple, dataset: Any, loss: Any
) -> tuple[keras.Model, dict[str, Any]]:
    """Return a model as a run has it before it compiles it, equal each time, and what to compile it with."""
    keras.utils.set_random_seed(0)
    model = make()
    assert isinstance(model, keras.Model), f"a model component returns a keras.Model, not {type(model).__name__}"
    try:
        prepare(model, arrays)
    except DataError as error:
        raise AssertionError(str(error)) from error
    facts = facts_of(make)
    default_loss, metrics = default_loss_and_metrics(facts if facts.loss else facts_of(type(model)), dataset.info)
    optimizer = keras.optimizers.Adam(1e-3)
    return model, {"optimizer": optimizer, "loss": default_loss if loss is None else loss, "metrics": metrics}


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _uneven(samples: int) -> int:
    """Return a batch size that leaves a last batch of another size."""
    return max(2, next((size for size in range(samples // 3 + 1, samples) if samples % size), samples))


def _check_training(
    prepared: Callable[[], tuple[keras.Model, dict[str, Any]]], arrays: tuple, dtype: str, jit_compile: bool
) -> keras.Model:
    """Train for two batches of one size where it is compiled by XLA, which takes seconds for each size."""
    samples = _samples(arrays)
    size = samples // 2 if jit_compile else _uneven(samples)
    with _precision(dtype):
        model, compiling = prepared()
        name, way = type(model).__name__, f"with jit_compile={jit_compile} and {dtype}"
        before = [ops.convert_to_numpy(weight) for weight in model.trainable_weights]
        model.compile(**compiling, jit_compile=jit_compile)
        history = model.fit(
            *keras.tree.map_structure(lambda array: array[: 2 * size], arrays), batch_size=size, verbose=0
        )
        for metric, values in history.history.items():
            assert np.isfinite(values).all(), f"training {name} {way} gave {metric} {values}"
        after = [ops.convert_to_numpy(weight) for weight in model.trainable_weights]
        # In half precision the first steps may be passed over, until the loss is scaled right.
        changed = dtype != "float32" or len(before) != len(after) or any(map(_differ, before, after))
        assert changed, f"training {name} {way} changes no weight"
        if dtype != "float32":
            half = [weight.path for weight in model.weights if weight.dtype in {"float16", "bfloat16"}]
            assert not half, f"under {dtype} these weights of {name} are in half precision: {', '.join(half)}"
            _finite(f"of {name} {way}", _predicted(model, arrays[0], samples))
    return model


def _samples(data: Any) -> int:
    return len(keras.tree.flatten(data)[0])


def _check_evaluation(model: keras.Model, arrays: tuple) -> None:
    results = model.evaluate(*arrays, batch_size=_samples(arrays), verbose=0, return_dict=True)
    for metric, value in results.items():
        assert np.isfinite(value).all(), f"evaluating {type(model).__name__} gave {metric} {value}"


def _differ(one: np.ndarray, other: np.ndarray) -> bool:
    return not np.array_equal(one, other)


def _predicted(model: keras.Model, x: Any, batch_size: int) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in keras.tree.flatten(model.predict(x, batch_size=batch_size, verbose=0))]


def _finite(what: str, predictions: list[np.ndarray]) -> None:
    for leaf in predictions:
        assert np.isfinite(leaf.astype("float32")).all(), f"predictions {what} are not finite"


def _check_predictions(model: keras.Model, x: Any, random: bool) -> None:
    name, samples = type(model).__name__, _samples(x)
    whole = _predicted(model, x, samples)
    for leaf in whole:
        assert leaf.shape[:1] == (samples,), f"{name} predicts {leaf.shape[:1]} results for {samples} samples"
    _finite(f"of {name}", whole)
    if not random:
        for mine, other in zip(whole, _predicted(model, x, _uneven(samples)), strict=True):
            np.testing.assert_allclose(
                other, mine, rtol=1e-4, atol=_allowed(mine), err_msg=f"predictions of {name} in smaller batches"
            )


def _allowed(values: np.ndarray) -> float:
    return 1e-5 * float(np.max(np.abs(values), initial=0.0))


def _check_saving(model: keras.Model, arrays: tuple, random: bool) -> None:
    name = type(model).__name__
    again = saved_and_loaded(model)
    assert type(again) is type(model), f"{name} came back as {type(again).__name__}"
    assert again.get_config() == model.get_config(), (
        f"the configuration of {name} changed: {model.get_config()} became {again.get_config()}"
    )
    # Which layer is called what may differ; their order may not.
    assert len(again.weights) == len(model.weights), f"{name} has {len(again.weights)} weights after loading"
    for mine, loaded in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(loaded), ops.convert_to_numpy(mine), err_msg=f"{mine.path} of {name} after loading"
        )
    assert again.compiled, f"{name} is not compiled after loading: `compile_from_config` does nothing"
    if not random:
        samples = _samples(arrays)
        for mine, other in zip(*(_predicted(one, arrays[0], samples) for one in (model, again)), strict=True):
            np.testing.assert_allclose(
                other, mine, rtol=1e-5, atol=_allowed(mine), err_msg=f"predictions of {name} after loading"
            )
    steps = int(model.optimizer.iterations)
    assert int(again.optimizer.iterations) == steps, f"the optimizer of {name} begins anew after loading"
    losses = again.fit(*arrays, verbose=0).history["loss"]
    assert np.isfinite(losses).all(), f"training {name} further after loading gave losses {losses}"


def _check_artifacts(model: keras.Model, dataset: Any) -> None:
    if not hasattr(model, "write_artifacts"):
        return
    name = type(model).__name__
    before = [ops.convert_to_numpy(weight) for weight in model.weights]
    with tempfile.TemporaryDirectory(prefix="kplug-") as folder:
        try:
            model.write_artifacts(Path(folder), dataset)
        except Exception as error:
            raise AssertionError(f"write_artifacts of {name} failed: {type(error).__name__}: {error}") from error
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        assert files, f"write_artifacts of {name} wrote no file into the directory that it was given"
        empty = [path.name for path in files if path.stat().st_size == 0]
        assert not empty, f"write_artifacts of {name} left empty files: {', '.join(empty)}"
    after = [ops.convert_to_numpy(weight) for weight in model.weights]
    assert not any(map(_differ, before, after)), f"write_artifacts changes the weights of {name}"


def _check_backends(model: keras.Model, x: Any, backends: Sequence[str] | None) -> None:
    weights = [ops.convert_to_numpy(weight) for weight in model.weights]
    case = ("kplug.testing.models:predictions", *portable(model), weights, x)
    agree_across_backends({type(model).__name__: case}, rtol=1e-4, atol=1e-5, backends=backends)


def predictions(module: str, serialized: dict[str, Any], weights: list[np.ndarray], x: Any) -> Any:
    """Return what a portable model with these weights makes of data."""
    model = from_portable(module, serialized)
    inputs = keras.tree.map_structure(ops.convert_to_tensor, x)
    model(inputs)
    model.set_weights(weights)
    return model(inputs, training=False)
