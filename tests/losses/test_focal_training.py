"""The focal loss in Keras models: every way to compile it, mixed precision, XLA, saving."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kplug

X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
Y = (X[:, :2] > 0).astype("float32")


def classifier(labels: int = 2, activation: str | None = None, **arguments) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(labels, activation=activation, **arguments)])


def numbers(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def focal_by_hand(labels, p, alpha=0.25, gamma=2.0) -> np.ndarray:
    p = np.asarray(p, "float64")
    terms = np.where(labels == 1, alpha * (1 - p) ** gamma * -np.log(p), (1 - alpha) * p**gamma * -np.log1p(-p))
    return terms.mean(axis=-1)


@pytest.mark.parametrize(
    "loss",
    [
        kplug.focal_loss,
        kplug.FocalLoss,
        kplug.FocalLoss(),
        kplug.get("focal_loss"),
        kplug.get("kplug/focal_loss", kind="loss"),
    ],
    ids=["function", "class", "instance", "get", "get with namespace"],
)
def test_every_way_to_compile(loss):
    model = classifier(activation="sigmoid")
    model.compile("sgd", loss=loss)
    expected = focal_by_hand(Y, numbers(model(X))).mean()
    assert model.evaluate(X, Y, batch_size=24, verbose=0) == pytest.approx(expected, rel=1e-4)
    history = model.fit(X, Y, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_training_separates_a_rare_class():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(256, 3)).astype("float32")
    y = (x[:, :1] > 1.6).astype("float32")
    model = classifier(labels=1)
    model.compile(keras.optimizers.Adam(0.1), loss=kplug.FocalLoss(from_logits=True))
    model.fit(x, y[:, 0], epochs=40, batch_size=64, verbose=0)
    logits = numbers(model(x))
    assert logits[y == 1].min() > logits[y == 0].mean()
    assert ((logits > 0) == (y == 1)).mean() > 0.95


def test_sample_weight_and_class_weight_in_fit():
    model = classifier(labels=1)
    model.compile(keras.optimizers.SGD(0.0), loss=kplug.FocalLoss(from_logits=True))
    y = Y[:, 0]
    losses = focal_by_hand(Y[:, :1], 1 / (1 + np.exp(-numbers(model(X)).astype("float64"))))
    weights = np.where(y == 1, 3.0, 0.5)
    by_sample = model.fit(X, y, sample_weight=weights, batch_size=24, verbose=0).history["loss"][0]
    by_class = model.fit(X, y, class_weight={0: 0.5, 1: 3.0}, batch_size=24, verbose=0).history["loss"][0]
    assert by_sample == pytest.approx((losses * weights).mean(), rel=1e-4)
    assert by_class == pytest.approx((losses * weights).mean(), rel=1e-4)


def test_a_keras_mask_leaves_padded_steps_out():
    tokens = np.array([[1, 2, 0, 0], [3, 0, 0, 0]])
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,), dtype="int32")
    hidden = keras.layers.Embedding(4, 3, mask_zero=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="sigmoid")(hidden))
    model.compile("sgd", loss=kplug.FocalLoss())
    y = np.random.default_rng(0).integers(0, 2, (2, 4, 2)).astype("float32")
    expected = focal_by_hand(y, numbers(model(tokens)))[tokens > 0].mean()
    assert model.evaluate(tokens, y, verbose=0) == pytest.approx(expected, rel=1e-4)


def two_headed() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    first = keras.layers.Dense(2, name="first")(inputs)
    second = keras.layers.Dense(1, activation="sigmoid", name="second")(inputs)
    return keras.Model(inputs, {"first": first, "second": second})


def test_one_loss_per_output():
    model = two_headed()
    model.compile(
        "sgd",
        loss={"first": kplug.FocalLoss(from_logits=True), "second": kplug.focal_loss},
        loss_weights={"first": 1.0, "second": 2.0},
    )
    y = {"first": Y, "second": Y[:, :1]}
    outputs = {name: numbers(output) for name, output in model(X).items()}
    first = focal_by_hand(Y, 1 / (1 + np.exp(-outputs["first"].astype("float64")))).mean()
    second = focal_by_hand(Y[:, :1], outputs["second"]).mean()
    assert model.evaluate(X, y, batch_size=24, verbose=0, return_dict=True)["loss"] == pytest.approx(
        first + 2 * second, rel=1e-4
    )
    assert np.isfinite(model.fit(X, y, verbose=0).history["loss"]).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_mixed_precision_stays_finite(set_dtype_policy, policy, from_logits, gamma):
    set_dtype_policy(policy)
    model = classifier(activation=None if from_logits else "sigmoid")
    model.compile(keras.optimizers.SGD(0.1), loss=kplug.FocalLoss(gamma=gamma, from_logits=from_logits))
    # Far out, so that half-precision probabilities are exactly 0 and 1.
    losses = model.fit(X * 100, Y, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.usefixtures("on_xla")
@pytest.mark.parametrize("from_logits", [True, False])
def test_compiled_by_xla(from_logits):
    losses = {}
    for jit_compile in (True, False):
        model = classifier(activation=None if from_logits else "sigmoid")
        model.compile("sgd", loss=kplug.FocalLoss(from_logits=from_logits), jit_compile=jit_compile)
        losses[jit_compile] = model.fit(X * 30, Y, epochs=2, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(losses[True], losses[False], rtol=1e-4)


@pytest.mark.usefixtures("on_xla")
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_certain_predictions_survive_xla(gamma):
    """Compilers may rearrange the arithmetic that keeps probabilities away from 0 and 1."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(1e-9), loss=kplug.FocalLoss(gamma=gamma), jit_compile=True)
    x = np.array([[0.0], [1.0], [0.0], [1.0]], "float32")
    y = np.array([[0.0], [1.0], [1.0], [0.0]], "float32")
    assert np.isfinite(model.fit(x, y, epochs=2, verbose=0).history["loss"]).all()
    assert np.isfinite(model.get_weights()[0]).all()


def test_saved_and_loaded_in_a_model(tmp_path):
    model = classifier()
    model.compile("sgd", loss=kplug.FocalLoss(alpha=[0.3, 0.9], gamma=1.5, from_logits=True))
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.loss) is kplug.FocalLoss
    assert (again.loss.alpha, again.loss.gamma, again.loss.from_logits) == ([0.3, 0.9], 1.5, True)
    assert again.evaluate(X, Y, verbose=0) == pytest.approx(model.evaluate(X, Y, verbose=0))


def test_the_function_saved_and_loaded_in_a_model(tmp_path):
    model = classifier(activation="sigmoid")
    model.compile("sgd", loss=kplug.focal_loss)
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = kplug.load_model(tmp_path / "model.keras")
    assert again.evaluate(X, Y, verbose=0) == pytest.approx(model.evaluate(X, Y, verbose=0))
