"""The checks find what they are there to find."""

import importlib
import importlib.util
import textwrap

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


@keras.saving.register_keras_serializable(package="checks")
class DropsMasks(Base):
    def __call__(self, y_true, y_pred, sample_weight=None):
        return super().__call__(y_true, ops.copy(y_pred), sample_weight)


@keras.saving.register_keras_serializable(package="checks")
class ImpreciseInHalfPrecision(Base):
    def __call__(self, y_true, y_pred, sample_weight=None):
        half = ops.convert_to_tensor(y_pred).dtype == ops.cast(0, "float16").dtype
        return super().__call__(y_true, y_pred, sample_weight) * (1.0 if not half else 1.4)


def test_a_good_loss_passes(other_backends):
    testing.check_loss(Good(), Y, P, backends=other_backends)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (OneNumber(), "one number for the whole batch"),
        (WrongGradient(), "disagrees with differences"),
        (NaNGradient(), "is not finite"),
        (Forgetful(scale=2.0), "get_config of Forgetful lacks scale"),
        (DropsMasks(), "the samples that a mask keeps"),
        (ImpreciseInHalfPrecision(), "float16 predictions"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.losses.Loss) else "",
)
def test_a_bad_loss_is_found_out(loss, message):
    with pytest.raises(AssertionError, match=message):
        testing.check_loss(loss, Y, P, backends=())


@pytest.mark.parametrize("shape", [(12, 3), (128, 5)], ids=str)
def test_a_gradient_that_is_slightly_wrong_or_lacks_a_sample_is_found_out(shape):
    x = np.random.default_rng(0).normal(size=shape)
    check_gradient(lambda z: ops.sum(ops.exp(z), axis=1), x, "the exponential")
    with pytest.raises(AssertionError, match="disagrees with differences"):
        check_gradient(lambda z: 0.9 * ops.square(z) + 0.1 * ops.stop_gradient(ops.square(z)), x, "the square")
    kept = np.ones((shape[0], 1), "float32")
    kept[: shape[0] // 2] = 0
    kept = ops.convert_to_tensor(kept)

    def half_of_them(z):
        return kept * ops.square(z) + (1 - kept) * ops.stop_gradient(ops.square(z))

    with pytest.raises(AssertionError, match="disagrees with differences"):
        check_gradient(half_of_them, x, "half of them")


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


@keras.saving.register_keras_serializable(package="checks")
class HalvesGradients(Doubling):
    def call(self, inputs):
        return inputs + ops.stop_gradient(inputs)


@keras.saving.register_keras_serializable(package="checks")
class KeepsTheMask(Doubling):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, inputs, previous_mask=None):
        return None


@keras.saving.register_keras_serializable(package="checks")
class CountsMaskedSamples(Doubling):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs):
        self.add_loss(ops.sum(ops.square(inputs)))
        return 2 * inputs


@keras.saving.register_keras_serializable(package="checks")
class ZeroInHalfPrecision(Doubling):
    def call(self, inputs):
        return 2 * inputs * (0.0 if self.compute_dtype == "float16" else 1.0)


@keras.saving.register_keras_serializable(package="checks")
class StopsInTraining(Doubling):
    def call(self, inputs, training=None):
        return ops.stop_gradient(2 * inputs) if training else 2 * inputs


@keras.saving.register_keras_serializable(package="checks")
class DropsMasksAndDraws(KeepsTheMask):
    def __init__(self, seed=1, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


def test_a_good_layer_passes(other_backends):
    testing.check_layer(Doubling(), P, backends=other_backends)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (LiesAboutItsShape(), "shape"),
        (HalvesGradients(), "the gradient of HalvesGradients by its input 0 disagrees with differences"),
        (KeepsTheMask(), "supports masks and hands none on"),
        (CountsMaskedSamples(), "counts samples that a mask leaves out"),
        (ZeroInHalfPrecision(), "under mixed_float16"),
        (StopsInTraining(), "no gradient of StopsInTraining in training reaches its input 0"),
        (StopsGradients(), "no gradient of StopsGradients reaches its input 0"),
        (ForgetsItsFactor(), "under mixed_float16 ForgetsItsFactor puts out float32"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.layers.Layer) else "",
)
def test_a_bad_layer_is_found_out(layer, message):
    with pytest.raises(AssertionError, match=message):
        testing.check_layer(layer, P, backends=())


def test_a_layer_that_draws_must_hand_its_mask_on_too():
    with pytest.raises(AssertionError, match="supports masks and hands none on"):
        testing.check_layer(DropsMasksAndDraws(), P, random=True, backends=())


@keras.saving.register_keras_serializable(package="checks")
class LastBatch(keras.metrics.Metric):
    def __init__(self, name="last_batch", **kwargs):
        super().__init__(name=name, **kwargs)
        self.value = self.add_weight(shape=(), initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.value.assign(ops.mean(y_pred))

    def result(self):
        return self.value.value


@keras.saving.register_keras_serializable(package="checks")
class IgnoresWeights(LastBatch):
    def __init__(self, name="ignores_weights", **kwargs):
        super().__init__(name=name, **kwargs)
        self.count = self.add_weight(shape=(), initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.value.assign_add(ops.sum(ops.cast(y_pred, "float32")))
        self.count.assign_add(y_pred.shape[0])

    def result(self):
        return self.value / self.count


def test_a_good_metric_passes(other_backends):
    metric = keras.metrics.MeanSquaredError()
    testing.check_metric(metric, Y, P, expected=np.mean((Y - P) ** 2), backends=other_backends)


@pytest.mark.parametrize(
    ("metric", "message"),
    [(LastBatch(), "from two parts"), (IgnoresWeights(), "weights of 0, 1 and 2 beside samples left out and repeated")],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.metrics.Metric) else "",
)
def test_a_bad_metric_is_found_out(metric, message):
    with pytest.raises(AssertionError, match=message):
        testing.check_metric(metric, Y, P, backends=())


def test_a_metric_that_is_wrong_is_found_out():
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        testing.check_metric(keras.metrics.MeanSquaredError(), Y, P, expected=1.0)


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="one comparison covers all backends")
@pytest.mark.parametrize(
    ("check", "component"),
    [("check_loss", "Loss"), ("check_layer", "Layer"), ("check_metric", "Metric")],
)
def test_a_component_that_differs_by_backend_is_found_out(install_plugin, check, component):
    source = {
        "Loss": """
            class OddLoss(keras.losses.Loss):
                def call(self, y_true, y_pred):
                    return keras.ops.sum(y_pred, axis=-1) * len(keras.backend.backend())
            """,
        "Layer": """
            class OddLayer(keras.layers.Layer):
                def call(self, inputs):
                    return inputs * len(keras.backend.backend())
            """,
        "Metric": """
            class OddMetric(keras.metrics.Mean):
                def update_state(self, y_true, y_pred, sample_weight=None):
                    return super().update_state(y_pred * len(keras.backend.backend()), sample_weight)
            """,
    }[component]
    name = f"odd_{component.lower()}_module"
    registered = "import keras\n\n@keras.saving.register_keras_serializable('odd')" + textwrap.dedent(source)
    install_plugin(name, {}, {f"{name}.py": registered})
    odd = getattr(importlib.import_module(name), f"Odd{component}")()
    data = (P,) if component == "Layer" else (Y, P)
    with pytest.raises(AssertionError, match=f"Odd{component}: jax beside tensorflow"):
        getattr(testing, check)(odd, *data, backends=["jax"])


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
