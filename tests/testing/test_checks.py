"""The checks find what they are there to find."""

import importlib.util

import keras
import numpy as np
import pytest
from keras import ops

import kplug
from kplug import testing
from kplug.testing.gradients import check_gradient

RNG = np.random.default_rng(0)
Y, P = RNG.normal(size=(2, 6, 3)).astype("float32")


class Base(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_pred - y_true), axis=-1)


@keras.saving.register_keras_serializable(package="checks")
class Good(Base):
    pass


@keras.saving.register_keras_serializable(package="checks")
class OneNumber(Base):
    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_pred - y_true))


@keras.saving.register_keras_serializable(package="checks")
class WrongGradient(Base):
    def call(self, y_true, y_pred):
        return super().call(y_true, y_pred) + super().call(y_true, ops.stop_gradient(y_pred))


@keras.saving.register_keras_serializable(package="checks")
class NaNGradient(Base):
    def call(self, y_true, y_pred):
        return super().call(y_true, y_pred) + ops.sum(ops.sqrt(y_pred * 0), axis=-1)


@keras.saving.register_keras_serializable(package="checks")
class Forgetful(Base):
    def __init__(self, scale=1.0, name="forgetful", reduction="sum_over_batch_size", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.scale = scale


def test_a_good_loss_passes():
    testing.check_loss(Good(), Y, P)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (OneNumber(), "one number for the whole batch"),
        (WrongGradient(), "disagrees with differences"),
        (NaNGradient(), "is not finite"),
        (Forgetful(scale=2.0), "get_config of Forgetful lacks scale"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.losses.Loss) else "",
)
def test_a_bad_loss_is_found_out(loss, message):
    with pytest.raises(AssertionError, match=message):
        testing.check_loss(loss, Y, P)


@pytest.mark.parametrize("shape", [(2, 3), (128, 100)], ids=str)
def test_a_gradient_that_points_uphill_is_found_out_whatever_the_size(shape):
    x = np.random.default_rng(0).normal(size=shape)
    check_gradient(ops.square, x, "the square")
    with pytest.raises(AssertionError, match="disagrees with differences"):
        check_gradient(lambda z: 2 * ops.stop_gradient(ops.square(z)) - ops.square(z), x, "the square")


@keras.saving.register_keras_serializable(package="checks")
class Doubling(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


@keras.saving.register_keras_serializable(package="checks")
class LiesAboutItsShape(Doubling):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + 1)


@keras.saving.register_keras_serializable(package="checks")
class StopsGradients(Doubling):
    def call(self, inputs):
        return ops.stop_gradient(inputs)


@keras.saving.register_keras_serializable(package="checks")
class ForgetsItsFactor(Doubling):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return ops.cast(inputs, "float32") * self.factor


def test_a_good_layer_passes():
    testing.check_layer(Doubling(), P)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (LiesAboutItsShape(), "shape"),
        (StopsGradients(), "no gradient of StopsGradients reaches its input 0"),
        (ForgetsItsFactor(), "under mixed_float16 ForgetsItsFactor puts out float32"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.layers.Layer) else "",
)
def test_a_bad_layer_is_found_out(layer, message):
    with pytest.raises(AssertionError, match=message):
        testing.check_layer(layer, P)


@keras.saving.register_keras_serializable(package="checks")
class LastBatch(keras.metrics.Metric):
    def __init__(self, name="last_batch", **kwargs):
        super().__init__(name=name, **kwargs)
        self.value = self.add_weight(shape=(), initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.value.assign(ops.mean(y_pred))

    def result(self):
        return self.value.value


def test_a_good_metric_passes():
    testing.check_metric(keras.metrics.MeanSquaredError(), Y, P, expected=np.mean((Y - P) ** 2))


def test_a_metric_that_forgets_is_found_out():
    with pytest.raises(AssertionError, match="from two parts"):
        testing.check_metric(LastBatch(), Y, P)


def test_a_metric_that_is_wrong_is_found_out():
    with pytest.raises(AssertionError):
        testing.check_metric(keras.metrics.MeanSquaredError(), Y, P, expected=1.0)


def test_the_gradient_of_a_square():
    np.testing.assert_allclose(testing.gradient(ops.square, P), 2 * P, rtol=1e-6)
    np.testing.assert_array_equal(testing.gradient(lambda x: ops.zeros((2,)) + 0 * ops.sum(x), P), np.zeros_like(P))


LABELS = np.array([0, 0, 1, 1, 2, 2])
LOSSES = {
    name: (f"kplug.losses:{name}", LABELS, P)
    for name in (
        *("triplet_semihard_loss", "triplet_hard_loss", "triplet_all_loss", "supervised_contrastive_loss"),
        *("lifted_structure_loss", "multi_similarity_loss", "proxy_anchor_loss", "sparse_categorical_focal_loss"),
    )
}


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="one comparison covers all backends")
def test_losses_agree_on_every_backend_that_is_installed():
    cosines = {**LOSSES, "arcface_loss": ("kplug.losses:arcface_loss", LABELS, np.tanh(P))}
    cosines["focal_loss"] = ("kplug.losses:focal_loss", np.eye(3)[LABELS], 1 / (1 + np.exp(-P)))
    probabilities = np.exp(P) / np.exp(P).sum(axis=1, keepdims=True)
    cosines["sparse_categorical_focal_loss"] = (*LOSSES["sparse_categorical_focal_loss"][:2], probabilities)
    cosines["elbo_loss"] = ("kplug.losses:elbo_loss", (Y > 0).astype("float32"), P, P, Y)
    compared = testing.agree_across_backends(cosines, atol=2e-6)
    assert set(compared) == {name for name in ("jax", "torch") if importlib.util.find_spec(name)}


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="one comparison covers all backends")
def test_a_backend_that_differs_is_named(install_plugin):
    source = (
        "import keras\n\ndef part():\n    return keras.ops.convert_to_tensor(float(len(keras.backend.backend())))\n"
    )
    install_plugin("odd", {}, {"odd_part.py": source})
    with pytest.raises(AssertionError, match="odd: jax beside tensorflow"):
        testing.agree_across_backends({"odd": ("odd_part:part",)}, backends=["jax"])


def test_the_checks_are_reached_through_kplug():
    assert kplug.testing.check_loss is testing.check_loss
