"""In-memory training data, drawn by shuffled index: the order of every epoch follows from the seed alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import tree

from kplug.training.performance import Execution


class EpochOrder(keras.callbacks.Callback):
    """Sets the order of the samples at the beginning of each epoch.

    The order depends on the seed and on the epoch's number, and on nothing else, so that any epoch can be gone
    through again.

    Args:
        size: Number of samples.
        seed: The run's seed.
        use: Takes the order, an int32 array of shape `(size,)`.
    """

    def __init__(self, size: int, seed: int, use: Callable[[np.ndarray], None]) -> None:
        super().__init__()
        self._size = size
        self._seed = seed
        self._use = use

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._use(epoch_order(self._size, self._seed, epoch))


def epoch_order(size: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order in which an epoch goes through the samples."""
    return np.random.default_rng((seed, epoch)).permutation(size).astype("int32")


class ArrayBatches(keras.utils.PyDataset):
    """Batches gathered from NumPy arrays, for the backends that have no pipeline of their own.

    Args:
        arrays: Arrays of one length, in a tuple.
        batch_size: Samples per batch; the last batch of an epoch may be smaller.
        multiple: A number that divides the size of every batch; up to that many samples of an epoch are left out.
    """

    def __init__(self, arrays: Any, batch_size: int, multiple: int = 1) -> None:
        super().__init__()
        self._arrays = arrays
        self._batch_size = batch_size
        self._size = _size(arrays) // multiple * multiple
        self.order = np.arange(_size(arrays), dtype="int32")

    def __len__(self) -> int:
        return math.ceil(self._size / self._batch_size)

    def __getitem__(self, index: int) -> Any:
        chosen = self.order[index * self._batch_size : min((index + 1) * self._batch_size, self._size)]
        return tree.map_structure(lambda array: array[chosen], self._arrays)

    def use_order(self, order: np.ndarray) -> None:
        """Go through the samples in this order from now on."""
        self.order = order


def training_arrays(train: Any) -> Any:
    """Return a training split as a tuple of arrays that `fit` would batch itself, or `None` if it is something else.

    Tensors become arrays; floating-point arrays become `keras.config.floatx()`.
    """
    if not isinstance(train, tuple):
        return None
    parts = train
    while parts and parts[-1] is None:
        parts = parts[:-1]
    parts = tree.map_structure(_as_array, parts)
    leaves = tree.flatten(parts)
    if not leaves or not all(isinstance(leaf, np.ndarray) and leaf.ndim >= 1 for leaf in leaves):
        return None
    return tree.map_structure(_as_floatx, parts)


def tensor_batches(arrays: Any, batch_size: int, repeat: bool = False) -> tuple[Any, Callable[[np.ndarray], None]]:
    """Return a `tf.data.Dataset` of batches gathered inside TensorFlow, and what sets its order.

    Args:
        arrays: Arrays of one length, in a tuple.
        batch_size: Samples per batch; the last batch of an epoch may be smaller.
        repeat: Whether to begin anew at the end, without an end: one iterator then serves all epochs. Nothing is
            fetched ahead, so that a new order holds from the next batch.
    """
    import tensorflow as tf

    size = _size(arrays)
    with tf.device("CPU:0"):
        tensors = tree.map_structure(tf.constant, arrays)
        order = tf.Variable(tf.range(size, dtype=tf.int32), trainable=False)

    def batch(index: Any) -> Any:
        start = index * batch_size
        chosen = order[start : tf.minimum(start + batch_size, size)]
        return tree.map_structure(lambda tensor: tf.gather(tensor, chosen), tensors)

    options = tf.data.Options()
    # There is nothing to tune; and the end of an epoch may wait for the tuning thread's next turn (TensorFlow 2.21),
    # which comes later and later: as long again as the epoch has taken.
    options.autotune.enabled = False
    options.experimental_optimization.inject_prefetch = not repeat
    batches = tf.data.Dataset.range(math.ceil(size / batch_size), output_type=tf.int32).map(batch)
    return (batches.repeat() if repeat else batches.prefetch(2)).with_options(options), order.assign


class RestOfEpoch(keras.utils.PyDataset):
    """What a data set of batches has left when its first ones were gone through already.

    Attributes:
        batches: The whole data set.
    """

    def __init__(self, batches: keras.utils.PyDataset, done: int) -> None:
        super().__init__()
        self.batches = batches
        self._done = done

    def __len__(self) -> int:
        return max(0, len(self.batches) - self._done)

    def __getitem__(self, index: int) -> Any:
        return self.batches[index + self._done]

    def on_epoch_begin(self) -> None:
        self.batches.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.batches.on_epoch_end()


def rest_of_epoch(batches: Any, done: int) -> Any:
    """Return the batches of an epoch but for those that are done, or `None` if the data cannot be taken up there."""
    if isinstance(batches, keras.utils.PyDataset):
        return RestOfEpoch(batches, done)
    return batches.skip(done) if hasattr(batches, "skip") and hasattr(batches, "cardinality") else None


def steps_per_epoch(train: Any, arrays: Any, batch_size: int, devices: int = 1) -> int | None:
    """Return how many batches an epoch has, or `None` if the data do not say."""
    if arrays is not None:
        multiple = batch_multiple(devices)
        return math.ceil(_size(arrays) // multiple * multiple / batch_size)
    if isinstance(train, tuple):
        return math.ceil(len(tree.flatten(train)[0]) / batch_size)
    cardinality = getattr(train, "cardinality", None)
    if callable(cardinality):
        size = int(cardinality())
        return size if size >= 0 else None
    try:
        return len(train)
    except TypeError:
        return None


def fit_arguments(
    dataset: Any, arrays: Any, execution: Execution, batch_size: int, seed: int
) -> tuple[dict[str, Any], list]:
    """Return what `fit` is given for the data, and the callbacks that the data need.

    Args:
        dataset: What the data set component returned.
        arrays: Its training arrays, or `None`.
        execution: What `choose_execution` returned.
        batch_size: Samples per batch.
        seed: The run's seed.
    """
    held_out = shareable(dataset.validation, batch_size, execution.devices)
    validation = {"validation_data": held_out}
    if isinstance(held_out, tuple):
        validation["validation_batch_size"] = batch_size
    if execution.pipeline == "tensor":
        steps = math.ceil(_size(arrays) / batch_size)
        # Making an iterator takes longer than a short epoch. Keras keeps one only if it is told the number of steps,
        # and then runs past the epoch's end unless the executions divide it.
        whole = execution.steps_per_execution == steps
        batches, use_order = tensor_batches(arrays, batch_size, repeat=whole)
        data = {"x": batches, "shuffle": False, **validation, **({"steps_per_epoch": steps} if whole else {})}
        return data, [EpochOrder(_size(arrays), seed, use_order)]
    if execution.pipeline == "array":
        array_batches = ArrayBatches(arrays, batch_size, batch_multiple(execution.devices))
        return {"x": array_batches, "shuffle": False, **validation}, [
            EpochOrder(_size(arrays), seed, array_batches.use_order)
        ]
    if isinstance(dataset.train, tuple):
        named = dict(zip(("x", "y", "sample_weight"), dataset.train, strict=False))
        return {**named, "batch_size": batch_size, **validation}, []
    return {"x": dataset.train, **validation}, []


def first_batch(data: dict[str, Any]) -> Any:
    """Return the first batch of what `fit` is given, which `fit` goes through all the same.

    Args:
        data: What `fit_arguments` returned; a generator in it is replaced.
    """
    batches = data["x"]
    if "batch_size" in data:  # no batches yet
        named = [data[name] for name in ("x", "y", "sample_weight") if data.get(name) is not None]
        return tuple(tree.map_structure(lambda values: values[: data["batch_size"]], named))
    if isinstance(batches, keras.utils.PyDataset):
        return batches[0]
    batch = next(iter(batches))
    if isinstance(batches, Iterator):
        data["x"] = _with_first(batch, batches)
    return batch


def _with_first(batch: Any, others: Iterator[Any]) -> Iterator[Any]:
    yield batch
    yield from others


def batch_multiple(devices: int) -> int:
    """Return the number that must divide the size of every batch; JAX shares a batch equally or not at all."""
    return devices if keras.backend.backend() == "jax" else 1


def shareable(split: Any, batch_size: int, devices: int) -> Any:
    """Return a validation or test split whose batches several devices can share; of arrays up to some samples less."""
    multiple = batch_multiple(devices)
    arrays = training_arrays(split)
    return split if multiple == 1 or arrays is None else ArrayBatches(arrays, batch_size, multiple)


def _size(arrays: Any) -> int:
    return len(tree.flatten(arrays)[0])


def _as_array(values: Any) -> Any:
    dense = keras.ops.is_tensor(values) and not isinstance(values, keras.KerasTensor)
    return np.asarray(keras.ops.convert_to_numpy(values)) if dense else values


def _as_floatx(array: np.ndarray) -> np.ndarray:
    return array.astype(keras.config.floatx(), copy=False) if array.dtype.kind == "f" else array
