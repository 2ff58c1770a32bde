"""What the worker chooses by rule, and that it does not change the mathematics."""

import keras
import numpy as np
import pytest

import kplug
from kplug.training.cost import forward_flops
from kplug.training.performance import EXECUTION_SECONDS, Machine, choose_execution, record_every

CPU = Machine("cpu", 2, 2, 2)
tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's kernel")


def choose(model, samples=1437, batch_size=128, optimizer=None, machine=CPU, backend="tensorflow", shape=(64,)):
    arrays = (np.broadcast_to(np.float32(0), (samples, *shape)),)
    return choose_execution(backend, machine, model, optimizer or keras.optimizers.Adam(), arrays, batch_size)


def built(*layers, shape):
    return keras.Sequential([keras.Input(shape), *layers])


@pytest.fixture
def flops():
    """Give the counted operations of a model that takes samples of this shape."""

    def of(model, shape, dtype="float32"):
        return forward_flops(model, np.zeros((1, *shape), dtype))

    return of


@tensorflow_only
def test_flops_of_dense_layers_are_twice_their_kernels(flops):
    model = built(keras.layers.Dense(400), keras.layers.Dense(16), shape=(784,))
    assert flops(model, (784,)) == 2 * (784 * 400 + 400 * 16)


@tensorflow_only
def test_flops_of_convolutions_count_every_position(flops):
    conv = keras.layers.Conv2D(32, 3, strides=2, padding="same")
    transposed = keras.layers.Conv2DTranspose(8, 3, strides=2, padding="same")
    model = built(conv, transposed, shape=(28, 28, 1))
    assert flops(model, (28, 28, 1)) == 2 * (3 * 3 * 1 * 32) * 14 * 14 + 2 * (3 * 3 * 32 * 8) * 14 * 14


@tensorflow_only
def test_flops_of_depthwise_convolutions(flops):
    model = built(keras.layers.DepthwiseConv2D(3, padding="same"), shape=(8, 8, 4))
    assert flops(model, (8, 8, 4)) == 2 * (8 * 8 * 4) * 9


@tensorflow_only
def test_flops_of_attention_count_projections_and_products(flops):
    x = keras.Input((6, 8))
    model = keras.Model(x, keras.layers.MultiHeadAttention(2, 4)(x, x))
    projections = 4 * 2 * 6 * 8 * (2 * 4)
    products = 2 * 2 * 2 * 6 * 6 * 4
    assert flops(model, (6, 8)) == projections + products


@tensorflow_only
def test_flops_of_nested_models_are_counted(flops):
    vae = kplug.VAE(latent_dim=16, architecture="dense", units=(400,))
    assert flops(vae, (784,)) == 2 * (784 * 400 + 2 * 400 * 16 + 16 * 400 + 400 * 784)


@tensorflow_only
def test_flops_of_a_subclassed_model_are_counted_before_it_is_built(flops):
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = keras.layers.Conv1D(5, 3, padding="same")

        def call(self, inputs):
            return self.conv(inputs)

    assert flops(Subclassed(), (100, 2)) == 2 * 100 * 5 * (3 * 2)


@tensorflow_only
def test_the_cost_of_a_loop_is_unknown_and_takes_single_steps(flops):
    recurrent = built(keras.layers.LSTM(8), keras.layers.Dense(1), shape=(20, 3))
    assert flops(recurrent, (20, 3)) is None
    assert choose(recurrent, samples=128 * 100, shape=(20, 3)).steps_per_execution == 1


@tensorflow_only
def test_the_cost_of_a_model_that_cannot_be_called_is_unknown(flops):
    assert flops(built(keras.layers.Dense(3), shape=(4,)), (5,)) is None


@tensorflow_only
def test_small_models_take_many_steps_per_execution_and_large_ones_few():
    small = built(keras.layers.Dense(10), shape=(64,))
    # 3 * 128 * 2 * 4000 * 4000 operations take an eighth of a second: more than an execution may.
    large = built(keras.layers.Dense(4000), keras.layers.Dense(10), shape=(4000,))
    assert choose(small, samples=128 * 100).steps_per_execution > 20
    assert choose(large, samples=128 * 100, shape=(4000,)).steps_per_execution == 1


@tensorflow_only
def test_executions_of_an_epoch_are_of_nearly_equal_length():
    small = built(keras.layers.Dense(10), shape=(64,))
    assert choose(small, samples=128 * 33).steps_per_execution == 17
    assert choose(small, samples=100).steps_per_execution == 1


@tensorflow_only
def test_an_execution_stays_short_enough_to_stop_between():
    model = built(keras.layers.Dense(2000), keras.layers.Dense(2000), shape=(1000,))
    steps = choose(model, samples=128 * 1000, shape=(1000,)).steps_per_execution
    seconds = steps * 3 * 128 * 2 * (1000 * 2000 + 2000 * 2000) / 100e9
    assert steps >= 1
    assert seconds <= EXECUTION_SECONDS


def test_other_backends_and_other_data_keep_single_steps():
    small = built(keras.layers.Dense(10), shape=(64,))
    assert choose(small, backend="jax").steps_per_execution == 1
    assert choose(small, backend="jax").pipeline == "array"
    other = choose_execution("tensorflow", CPU, small, keras.optimizers.SGD(), None, 128)
    assert (other.pipeline, other.steps_per_execution, other.fused_adam) == ("fit", 1, False)


@pytest.mark.parametrize(
    ("seconds", "steps", "every"),
    [
        (None, 50, 10),
        (None, 200, 10),
        (None, 10_000, 50),
        (None, 4, 4),
        (None, None, 10),
        (0.01, 1000, 10),
        (0.001, 50, 50),
        (1.0, 50, 1),
    ],
)
def test_no_device_is_waited_for_at_every_step_unless_steps_are_long(seconds, steps, every):
    assert record_every(seconds, steps) == every


def test_other_backends_and_other_data_do_not_record_every_step():
    small = built(keras.layers.Dense(10), shape=(64,))
    assert choose(small, samples=128 * 50, backend="jax").record_every == 10
    other = choose_execution("tensorflow", CPU, small, keras.optimizers.SGD(), None, 128)
    assert other.record_every == 10


@tensorflow_only
def test_what_a_step_costs_is_counted_on_several_devices_too():
    large = built(keras.layers.Dense(4000), keras.layers.Dense(10), shape=(4000,))
    machine = Machine("gpu", 2, 2, 2, devices=2)
    chosen = choose(large, samples=3200 * 100, batch_size=3200, shape=(4000,), machine=machine)
    assert (chosen.pipeline, chosen.steps_per_execution) == ("array", 1)
    assert chosen.record_every == 4


@tensorflow_only
@pytest.mark.parametrize(
    ("optimizer", "fused"),
    [
        (keras.optimizers.Adam, True),
        (lambda: keras.optimizers.Adam(amsgrad=True), False),
        (keras.optimizers.AdamW, False),
        (keras.optimizers.SGD, False),
    ],
)
def test_only_plain_adam_is_fused(optimizer, fused):
    small = built(keras.layers.Dense(10), shape=(64,))
    assert choose(small, optimizer=optimizer()).fused_adam is fused


@tensorflow_only
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"weight_decay": 0.01, "clipnorm": 0.1},
        {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.5)},
        {"use_ema": True, "ema_momentum": 0.9},
    ],
)
def test_a_fused_adam_takes_the_same_steps(options):
    from kplug.training.fused_adam import fuse

    def trained(fused):
        keras.utils.set_random_seed(0)
        model = built(keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1), shape=(4,))
        model.compile(keras.optimizers.Adam(**options), "mse")
        if fused:
            fuse(model.optimizer)
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(64, 4)).astype("float32"), rng.normal(size=(64, 1)).astype("float32")
        model.fit(x, y, batch_size=16, epochs=5, shuffle=False, verbose=0)
        return model

    plain, fused = trained(False), trained(True)
    assert int(fused.optimizer.iterations) == 20
    for one, other in zip(plain.variables, fused.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    for one, other in zip(plain.optimizer.variables, fused.optimizer.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@tensorflow_only
def test_a_fused_adam_still_takes_sparse_gradients():
    from kplug.training.fused_adam import fuse

    model = built(keras.layers.Embedding(50, 4), keras.layers.Flatten(), keras.layers.Dense(1), shape=(3,))
    model.compile("adam", "mse")
    fuse(model.optimizer)
    before = keras.ops.convert_to_numpy(model.layers[0].embeddings)
    model.fit(np.ones((8, 3), "int32"), np.ones((8, 1)), epochs=1, verbose=0)
    assert not np.array_equal(before[1], keras.ops.convert_to_numpy(model.layers[0].embeddings)[1])
