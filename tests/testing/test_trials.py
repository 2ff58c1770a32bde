"""Components tried as they are by default, on data of the usual kinds."""

import keras
import numpy as np
import pytest
from keras import ops

import kplug
from kplug.testing.trials import NotTriedError, tried

pytestmark = [pytest.mark.slow, pytest.mark.neutral]


@pytest.fixture(autouse=True)
def _this_backend_alone(monkeypatch):
    """Compare with no other backend: that is tested where the comparison is."""
    from kplug.testing import layers, losses, metrics, models

    for module in (layers, losses, metrics, models):
        monkeypatch.setattr(module, "agree_across_backends", lambda *arguments, **options: [])


@keras.saving.register_keras_serializable(package="checks")
class NeedsLogits(keras.Model):
    """A classifier for a number of features that the data set gives."""

    def __init__(self, num_features, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.num_features = num_features
        self.num_classes = num_classes
        self.dense = keras.layers.Dense(num_classes, dtype=self.dtype_policy, activation="softmax")

    def build(self, input_shape):
        self.dense.build((None, self.num_features))

    def call(self, inputs):
        return self.dense(inputs)

    def get_config(self):
        return {**super().get_config(), "num_features": self.num_features, "num_classes": self.num_classes}


@keras.saving.register_keras_serializable(package="checks")
class NeedsUnits(NeedsLogits):
    """A classifier with a parameter that no data set gives."""

    def __init__(self, num_features, num_classes, units, **kwargs):
        super().__init__(num_features, num_classes, **kwargs)
        self.units = units
        self.hidden = keras.layers.Dense(units, dtype=self.dtype_policy, activation="relu")

    def build(self, input_shape):
        self.hidden.build((None, self.num_features))
        self.dense.build((None, self.units))

    def call(self, inputs):
        return self.dense(self.hidden(inputs))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="checks")
class Scaled(keras.layers.Layer):
    """Multiplies by what it is told."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return ops.cast(inputs, self.compute_dtype) * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="checks")
class Powered(keras.losses.Loss):
    """An even power of the differences."""

    def __init__(self, power, name="powered", **kwargs):
        super().__init__(name=name, **kwargs)
        self.power = power

    def call(self, y_true, y_pred):
        return ops.mean(ops.power(y_pred - ops.cast(y_true, y_pred.dtype), self.power), axis=-1)

    def get_config(self):
        return {**super().get_config(), "power": self.power}


@keras.saving.register_keras_serializable(package="checks")
class Tokens(keras.layers.Layer):
    """Takes whole numbers alone."""

    def build(self, input_shape):
        self.table = self.add_weight(shape=(4, 3), name="table")

    def call(self, inputs):
        if isinstance(inputs, list) or "int" not in keras.backend.standardize_dtype(inputs.dtype):
            raise ValueError("tokens are whole numbers")
        return ops.take(self.table, inputs, axis=0)


def test_a_good_loss_needs_no_allowance():
    assert tried("loss", kplug.get("focal_loss", "loss")) == ""


def test_an_allowance_is_named_with_what_is_wrong_without_it():
    note = tried("layer", kplug.get("gradient_reversal", "layer"))
    assert note.startswith(
        "it passes with smooth=False alone (the gradient of GradientReversal by its input 0 disagrees"
    )


def test_a_layer_for_whole_numbers_gets_them():
    assert tried("layer", Tokens) == ""


def test_a_model_is_tried_on_a_data_set_that_shares_a_task_and_fills_its_parameters():
    stated = kplug.component(tasks=["tabular-classification"], loss="sparse_categorical_crossentropy")
    assert tried("model", stated(NeedsLogits)) == ""


def test_what_has_no_default_is_taken_from_the_example():
    assert tried("layer", Scaled, {"factor": 2.0}) == ""
    assert tried("loss", Powered, {"power": 2}) == ""
    stated = kplug.component(tasks=["tabular-classification"], loss="sparse_categorical_crossentropy")
    assert tried("model", stated(NeedsUnits), {"units": 3}) == ""
    with pytest.raises(NotTriedError, match="gives num_features, num_classes, units"):
        tried("model", stated(NeedsUnits))


def test_what_cannot_be_tried_says_why():
    class Silent(keras.Model):
        pass

    @kplug.component(tasks=["continuous-control"], loss="mse")
    class Acts(keras.Model):
        def __init__(self, action_dim):
            super().__init__()

    class Picky(keras.losses.Loss):
        def call(self, y_true, y_pred):
            raise ValueError("only pictures of cats")

    for kind, component, message in (
        ("model", Silent, "it states no loss"),
        ("model", Acts, "shares a task with it and gives action_dim"),
        ("loss", Picky, "only pictures of cats"),
        ("idea", object, "no check of the kind idea"),
    ):
        with pytest.raises(NotTriedError, match=message):
            tried(kind, component)


def test_of_launchers_the_methods_are_looked_at_and_no_job_is_started():
    class Sound:
        def start(self, job):
            raise NotImplementedError

    class TakesNothing:
        def start(self):
            raise NotImplementedError

    assert tried("launcher", Sound) == ""
    with pytest.raises(AssertionError, match=r"is called as start\(job\)"):
        tried("launcher", TakesNothing)
    with pytest.raises(AssertionError, match=r"object has no method start\(job\)"):
        tried("launcher", object)


def test_callbacks_optimizers_and_schedules_are_used_in_a_training():
    class Raises(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyError(sorted(logs))

    class Explodes(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            variable.assign(variable * np.inf)

    assert tried("callback", keras.callbacks.TerminateOnNaN) == ""
    assert tried("optimizer", keras.optimizers.Adam) == ""
    assert tried("schedule", lambda: keras.optimizers.schedules.CosineDecay(0.1, 10)) == ""
    with pytest.raises(AssertionError, match="it is a dict, not a Keras callback"):
        tried("callback", dict)
    with pytest.raises(KeyError, match="val_loss"):
        tried("callback", Raises)
    with pytest.raises(AssertionError, match="weights that are not finite"):
        tried("optimizer", Explodes)
    with pytest.raises(AssertionError, match="learning rate of -1"):
        tried("schedule", lambda: lambda step: -1.0)
