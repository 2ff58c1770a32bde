"""The check of models finds what it is there to find."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

import kplug
from kplug.testing import check_model

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
DATA = kplug.Dataset(train=(X, X[:, :1]))


@keras.saving.register_keras_serializable(package="checks")
class Line(keras.Model):
    """One unit, with a factor before it."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.unit = keras.layers.Dense(1, dtype=self.dtype_policy)

    def build(self, input_shape):
        self.unit.build(input_shape)

    def call(self, inputs):
        return self.unit(self.factor * inputs)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def test_a_good_model_passes():
    check_model(lambda: Line(2.0), DATA, loss="mse", compiled=False, backends=())


@pytest.mark.neutral
def test_it_is_trained_with_the_loss_that_its_component_states():
    stated = kplug.component(loss="a_loss_that_is_not_there")(lambda: Line())  # noqa: PLW0108 - a class has its own
    with pytest.raises(ValueError, match="a_loss_that_is_not_there"):
        check_model(stated, DATA, compiled=False, backends=())


@keras.saving.register_keras_serializable(package="checks")
class Refuses(Line):
    def check_data(self, x):
        raise ValueError("only pictures of cats")


@keras.saving.register_keras_serializable(package="checks")
class Diverges(Line):
    def call(self, inputs):
        return ops.log(super().call(inputs) * 0 - 1)


@keras.saving.register_keras_serializable(package="checks")
class LearnsNothing(Line):
    def build(self, input_shape):
        super().build(input_shape)
        self.idle = self.add_weight(shape=())

    def call(self, inputs):
        return ops.stop_gradient(super().call(inputs)) + 0 * self.idle


@keras.saving.register_keras_serializable(package="checks")
class LooksAtTheBatch(Line):
    def call(self, inputs):
        return super().call(inputs - ops.mean(inputs, axis=0))


@keras.saving.register_keras_serializable(package="checks")
class Forgets(Line):
    def get_config(self):
        return keras.Model.get_config(self)


@keras.saving.register_keras_serializable(package="checks")
class DrawsNothing(Line):
    def write_artifacts(self, directory, dataset):
        (directory / "empty").mkdir()


@keras.saving.register_keras_serializable(package="checks")
class CannotDraw(Line):
    def write_artifacts(self, directory, dataset):
        dataset.test.shape  # noqa: B018 - there is none


@keras.saving.register_keras_serializable(package="checks")
class HalvesItsWeights(Line):
    def build(self, input_shape):
        super().build(input_shape)
        self.half = self.add_weight(shape=(), dtype=self.compute_dtype, name="half")

    def call(self, inputs):
        return super().call(inputs) + ops.cast(self.half, self.compute_dtype)


@keras.saving.register_keras_serializable(package="checks")
class RemembersInSecret(Line):
    """Counts its trainings' steps in a variable that Keras does not know."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.secret = SimpleNamespace(steps=keras.Variable(1.0, trainable=False))

    def call(self, inputs, training=None):
        if training:
            self.secret.steps.assign_add(1.0)
            return super().call(inputs) * self.secret.steps
        return super().call(inputs)


@pytest.mark.neutral
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (dict, r"returns a keras.Model, not dict"),
        (Refuses, r"does not fit model refuses: only pictures of cats"),
        (Diverges, r"training Diverges with jit_compile=False and float32 gave loss \[nan\]"),
        (LearnsNothing, "changes no weight"),
        (LooksAtTheBatch, "predictions of LooksAtTheBatch in smaller batches"),
        (lambda: Forgets(2.0), "predictions of Forgets after loading"),
        (DrawsNothing, "write_artifacts of DrawsNothing wrote no file"),
        (CannotDraw, "write_artifacts of CannotDraw failed: AttributeError"),
        (HalvesItsWeights, "under mixed_float16 these weights of HalvesItsWeights are in half precision: .*/half"),
        (RemembersInSecret, "of RemembersInSecret after a run that was killed and resumed"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_model_is_found_out(make, message):
    with pytest.raises(AssertionError, match=message):
        check_model(make, DATA, loss="mse", compiled=False, backends=())


@pytest.mark.neutral
def test_data_that_are_no_arrays_are_refused():
    with pytest.raises(AssertionError, match="needs a data set of arrays"):
        check_model(Line, kplug.Dataset(train=iter([])), loss="mse")
