"""`kplug.register`: a script's own parts, known in its process by name."""

import keras
import numpy as np
import pytest

import kplug
from kplug.catalog import registration
from kplug.catalog.description import describe
from kplug.catalog.discovery import components
from kplug.catalog.resolution import resolve
from kplug.errors import KplugError, SavedModelError
from kplug.runs.launch import launch
from kplug.runs.spec import spec_from


@pytest.fixture(autouse=True)
def _forget():
    yield
    registration._registered.clear()


class OwnHinge(keras.losses.Loss):
    """Hinges.

    Args:
        margin: How far.
    """

    def __init__(self, margin: float = 1.0, name="own_hinge", reduction="sum_over_batch_size"):
        super().__init__(name=name, reduction=reduction)
        self.margin = margin

    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.maximum(self.margin - y_true * y_pred, 0.0), axis=-1)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}


def test_a_class_is_known_by_its_name_in_snake_case():
    assert kplug.register(OwnHinge) is OwnHinge
    assert resolve("own_hinge", "loss").id == "script/own_hinge"
    assert kplug.get("OwnHinge") is OwnHinge
    assert "script/own_hinge" in [one.id for one in kplug.components("losses")]


def test_it_is_described_without_a_child_process(monkeypatch):
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a child was started"))
    kplug.register(OwnHinge)
    description = describe(resolve("own_hinge"))
    assert description.summary == "Hinges."
    margin = description.parameters[0]
    assert (margin.name, margin.type, margin.help) == ("margin", "float", "How far.")


def test_as_a_decorator_with_kind_and_name():
    @kplug.register(kind="dataset", name="whorls")
    def spirals(turns: int = 2):
        """Turn."""

    assert kplug.get("script/whorls", "dataset") is spirals
    assert [one.name for one in describe(resolve("whorls")).parameters] == ["turns"]


@pytest.mark.parametrize(
    ("base", "kind"),
    [
        (keras.Model, "model"),
        (keras.layers.Layer, "layer"),
        (keras.losses.Loss, "loss"),
        (keras.metrics.Metric, "metric"),
        (keras.optimizers.SGD, "optimizer"),
        (keras.optimizers.schedules.LearningRateSchedule, "schedule"),
        (keras.callbacks.Callback, "callback"),
    ],
)
def test_a_keras_class_says_its_kind_itself(base, kind):
    kplug.register(type("Registered", (base,), {}))
    assert resolve("registered").kind == kind


def test_of_a_function_the_kind_must_be_said():
    def spirals():
        pass

    with pytest.raises(KplugError, match=r"of which kind spirals is.*kplug\.register\(spirals, kind='loss'\)"):
        kplug.register(spirals)


@pytest.mark.parametrize(
    ("described", "arguments", "message"),
    [
        (3, {"kind": "loss"}, "a class or a function, not int"),
        (lambda x: x, {"kind": "loss"}, "not in snake_case"),
        (OwnHinge, {"name": "Own Hinge"}, "not in snake_case"),
        (OwnHinge, {"kind": "widget"}, "no kind 'widget'"),
    ],
)
def test_what_cannot_be_registered_is_refused(described, arguments, message):
    with pytest.raises(KplugError, match=message):
        kplug.register(described, **arguments)
    assert registration.registered() == ()


def test_what_is_registered_anew_replaces_what_was_called_so():
    kplug.register(OwnHinge)
    again = kplug.register(type("OwnHinge", (OwnHinge,), {}))
    assert kplug.get("own_hinge") is again
    assert len(registration.registered()) == 1


def test_a_model_that_uses_it_is_loaded_in_the_same_process(tmp_path):
    kplug.register(OwnHinge)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", kplug.get("own_hinge")(margin=0.5))
    model.save(tmp_path / "model.keras")
    again = kplug.load_model(tmp_path / "model.keras")
    assert type(again.loss) is OwnHinge
    assert again.loss.margin == 0.5


def test_a_function_is_saved_by_name_too(tmp_path):
    @kplug.register(kind="loss")
    def own_distance(y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", kplug.get("own_distance"))
    model.save(tmp_path / "model.keras")
    again = kplug.load_model(tmp_path / "model.keras")
    assert np.isfinite(again.evaluate(np.ones((4, 3)), np.zeros((4, 2)), verbose=0))


def test_in_another_process_the_script_is_named_as_what_is_missing(tmp_path):
    kplug.register(OwnHinge)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", OwnHinge())
    model.save(tmp_path / "model.keras")
    del keras.saving.get_custom_objects()["script>OwnHinge"]
    registration._registered.clear()
    with pytest.raises(SavedModelError, match=r"needs script/OwnHinge, which a script registered with kplug\.register"):
        kplug.load_model(tmp_path / "model.keras")


def test_a_run_is_another_process_and_says_so(tmp_path):
    kplug.register(OwnHinge)
    spec = spec_from({"model": "kplug/vae", "dataset": "kplug/digits", "loss": "script/own_hinge"})
    with pytest.raises(KplugError, match=r"script/own_hinge is known in this process alone.*path/to/file\.py:Object"):
        launch(spec, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_namespace_is_no_plugins(install_plugin):
    install_plugin("kplug-script", {"kplug.losses": {"one": "one:One"}})
    (component,) = (one for one in components() if one.distribution == "kplug-script")
    assert component.fault == "the namespace 'script' is that of kplug.register"
