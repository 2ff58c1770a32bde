"""The in-memory pipelines: every sample once an epoch, in an order that follows from the seed."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from kplug.training.pipeline import (
    ArrayBatches,
    EpochOrder,
    epoch_order,
    fit_arguments,
    tensor_batches,
    training_arrays,
)

tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the pipeline is TensorFlow's own")


@pytest.fixture
def arrays():
    return np.arange(10, dtype="float32")[:, None], np.arange(10)


def through(batches):
    return [[np.asarray(part).ravel().tolist() for part in batch] for batch in batches]


def test_the_order_of_an_epoch_follows_from_seed_and_epoch():
    first = epoch_order(100, seed=1, epoch=0)
    assert sorted(first) == list(range(100))
    assert np.array_equal(first, epoch_order(100, seed=1, epoch=0))
    assert not np.array_equal(first, epoch_order(100, seed=1, epoch=1))
    assert not np.array_equal(first, epoch_order(100, seed=2, epoch=0))


@tensorflow_only
def test_tensor_batches_follow_the_order_and_keep_the_partial_batch(arrays):
    batches, use_order = tensor_batches(arrays, 4)
    order = np.array([3, 1, 4, 0, 5, 9, 2, 6, 8, 7], dtype="int32")
    use_order(order)
    assert len(batches) == 3
    assert through(batches) == [
        [[3.0, 1.0, 4.0, 0.0], [3, 1, 4, 0]],
        [[5.0, 9.0, 2.0, 6.0], [5, 9, 2, 6]],
        [[8.0, 7.0], [8, 7]],
    ]
    use_order(order[::-1].copy())
    assert through(batches)[0] == [[7.0, 8.0, 6.0, 2.0], [7, 8, 6, 2]]


def test_array_batches_follow_the_order_and_keep_the_partial_batch(arrays):
    batches = ArrayBatches(arrays, 4)
    batches.use_order(np.array([3, 1, 4, 0, 5, 9, 2, 6, 8, 7], dtype="int32"))
    assert len(batches) == 3
    assert through(batches[index] for index in range(3))[2] == [[8.0, 7.0], [8, 7]]


def test_dictionaries_of_arrays_are_batched_too():
    batches = ArrayBatches(({"a": np.arange(3), "b": np.arange(3) * 10}, np.arange(3)), 2)
    x, y = batches[1]
    assert (x["a"].tolist(), x["b"].tolist(), y.tolist()) == ([2], [20], [2])


def execution(pipeline, steps_per_execution=1):
    return SimpleNamespace(pipeline=pipeline, steps_per_execution=steps_per_execution, devices=1)


class Witness(keras.layers.Layer):
    """Writes down what it is given, in order."""

    def __init__(self, size):
        super().__init__()
        self.seen = self.add_weight(shape=(size,), initializer="zeros", trainable=False)
        self.count = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

    def call(self, inputs):
        values = keras.ops.reshape(inputs, (-1,))
        self.seen.assign(keras.ops.slice_update(self.seen.value, [self.count.value], values))
        self.count.assign(self.count.value + keras.ops.shape(values)[0])
        return inputs

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, inputs.dtype)


@pytest.mark.parametrize(
    ("pipeline", "steps_per_execution"),
    [
        pytest.param("tensor", 1, marks=tensorflow_only),
        pytest.param("tensor", 2, marks=tensorflow_only),
        pytest.param("tensor", 3, marks=tensorflow_only),
        ("array", 1),
    ],
)
def test_fit_sees_every_sample_once_an_epoch_in_the_runs_order(pipeline, steps_per_execution):
    witness = Witness(30)
    model = keras.Sequential([keras.Input((1,)), witness, keras.layers.Dense(1)])
    model.compile("sgd", "mse", steps_per_execution=steps_per_execution)
    x = np.arange(10, dtype="float32")[:, None]
    dataset = SimpleNamespace(train=(x, x), validation=None)
    how = execution(pipeline, steps_per_execution)
    data, callbacks = fit_arguments(dataset, training_arrays(dataset.train), how, batch_size=4, seed=7)
    model.fit(**data, epochs=3, callbacks=callbacks, verbose=0)
    expected = np.concatenate([epoch_order(10, 7, epoch) for epoch in range(3)])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(witness.seen), expected)


def test_weights_without_targets_stay_weights():
    x, weights = np.zeros((4, 2)), np.ones(4)
    dataset = SimpleNamespace(train=(x, None, weights), validation=None)
    assert training_arrays(dataset.train) is None
    data, _ = fit_arguments(dataset, None, execution("fit"), 2, 0)
    assert data["y"] is None
    assert data["sample_weight"] is weights
    assert len(training_arrays((x, None))) == 1


def test_training_arrays_become_floatx_and_anything_else_is_left_to_fit():
    x, y = training_arrays((np.zeros((2, 3)), np.array([1, 2])))
    assert (x.dtype, y.dtype.kind) == ("float32", "i")
    assert training_arrays(["no", "tuple"]) is None
    assert training_arrays((iter([]), None)) is None


def test_data_that_are_no_arrays_go_to_fit_as_they_are():
    train = object()
    data, callbacks = fit_arguments(SimpleNamespace(train=train, validation=None), None, execution("fit"), 4, 0)
    assert data == {"x": train, "validation_data": None}
    assert callbacks == []


def test_the_order_callback_hands_on_each_epochs_order():
    orders = []
    callback = EpochOrder(5, seed=3, use=orders.append)
    callback.on_epoch_begin(0)
    callback.on_epoch_begin(4)
    assert [order.tolist() for order in orders] == [epoch_order(5, 3, 0).tolist(), epoch_order(5, 3, 4).tolist()]


@tensorflow_only
@pytest.mark.parametrize("repeat", [False, True])
def test_no_thread_tunes_buffers_that_the_end_of_an_epoch_could_wait_for(arrays, repeat):
    assert tensor_batches(arrays, 4, repeat)[0].options().autotune.enabled is False
