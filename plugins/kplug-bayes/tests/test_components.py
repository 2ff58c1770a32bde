"""The models and the data set that kplug's terminal offers."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import keras
import kplug
import numpy as np
import pandas
import pytest
from keras import ops
from kplug.testing import check_dataset, check_model

import kplug_bayes

RNG = np.random.default_rng(11)
IMAGES = RNG.random((12, 6, 6, 1)).astype("float32")
VECTORS = RNG.normal(size=(12, 3)).astype("float32")
LABELS = np.arange(12) % 3
NUMBERS = (50 + 10 * VECTORS[:, :1]).astype("float32")
COMPILED = keras.backend.backend() == "tensorflow"


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """One batch, of vectors."""

    def __init__(self, targets: np.ndarray) -> None:
        super().__init__()
        self.targets = targets

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return VECTORS, self.targets


def classifier(**options: Any) -> Any:
    return kplug_bayes.BayesianClassifier(3, **{"filters": (4,), "units": (5,), "seed": 0, **options})


def regressor(**options: Any) -> Any:
    return kplug_bayes.BayesianRegressor(**{"units": (6,), "seed": 0, **options})


@pytest.mark.slow
@pytest.mark.parametrize("x", [IMAGES, VECTORS], ids=["images", "vectors"])
def test_the_classifier_works_in_every_way_kplug_uses_a_model(x: np.ndarray) -> None:
    data = kplug.Dataset(train=(x, LABELS), info={"num_classes": 3})
    check_model(lambda: classifier(kl_warmup_steps=3), data, random=True, compiled=COMPILED and x is VECTORS)


@pytest.mark.slow
def test_the_regressor_works_in_every_way_kplug_uses_a_model() -> None:
    data = kplug.Dataset(train=(VECTORS, NUMBERS), test=(VECTORS, NUMBERS))
    check_model(lambda: regressor(kl_warmup_steps=3), data, random=True, compiled=COMPILED)


@pytest.mark.parametrize("parameters", [{}, {"heteroscedastic": True, "gap": 0.5, "num_samples": 50}, {"gap": 0.0}])
def test_the_data_set_is_one_as_kplug_uses_them(parameters: dict[str, Any]) -> None:
    check_dataset(kplug_bayes.gap_regression, parameters)


def test_the_samples_lie_on_a_noisy_wave_on_both_sides_of_the_gap() -> None:
    data = kplug_bayes.gap_regression(4000, gap=0.6, noise=0.2)
    x, y = data.train
    assert np.abs(x).min() >= 0.2999
    assert np.abs(x).max() <= 1
    assert (x > 0).mean() == pytest.approx(0.5, abs=0.05)
    noise = y - np.sin(4 * x)
    assert noise.std() == pytest.approx(0.2, rel=0.05)
    assert abs(np.corrcoef(np.abs(noise)[:, 0], x[:, 0])[0, 1]) < 0.1
    assert [len(part[0]) for part in (data.train, data.validation, data.test)] == [2880, 320, 800]


def test_the_noise_may_grow_to_the_right() -> None:
    x, y = kplug_bayes.gap_regression(4000, noise=0.1, heteroscedastic=True).train
    noise = (y - np.sin(4 * x)) / (1 + x)
    assert noise.std() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_samples": 10}, "num_samples=10"),
        ({"gap": 2.0}, "gap=2.0"),
        ({"noise": -1.0}, "noise=-1.0"),
        ({"seed": -1}, "seed=-1"),
        ({"test_fraction": 1.0}, "test_fraction=1.0"),
        ({"num_samples": 20, "test_fraction": 0.99}, "must leave samples to train on"),
    ],
)
def test_a_wrong_parameter_of_the_data_set_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kplug_bayes.gap_regression(**parameters)


def test_the_weight_of_the_divergence_is_that_of_the_training_samples() -> None:
    for options, scale in (({}, 0.001), ({"kl_scale": 1.0}, 1.0)):
        model = classifier(**options)
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
        model.fit(VECTORS, LABELS, verbose=0)
        assert [layer.kl_weight for layer in model.variational_layers] == pytest.approx([scale / 12] * 2)
    given = classifier(kl_weight=0.25)
    given.build((None, 3))
    given.adapt(VECTORS)
    assert [layer.kl_weight for layer in given.variational_layers] == [0.25] * 2


def test_the_weight_of_the_divergence_can_grow_from_nothing() -> None:
    model = classifier(kl_weight=0.5, kl_warmup_steps=4)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    weights = []
    for _ in range(6):
        model.fit(VECTORS, LABELS, batch_size=12, verbose=0)
        weights.append(model.variational_layers[0].kl_weight)
    assert weights == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5, 0.5])


def test_data_that_are_no_array_need_the_weight() -> None:
    model = classifier()
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    with pytest.raises(ValueError, match=r"kl_weight=0\.001 / number of training samples"):
        model.fit(Batches(LABELS), verbose=0)
    model.adapt(VECTORS)
    model.fit(Batches(LABELS), verbose=0)
    assert model.variational_layers[0].kl_weight == pytest.approx(0.001 / 12)


@pytest.mark.parametrize("kl_weight", [None, 0.1])
def test_a_regressor_needs_the_targets_of_data_that_are_no_array(kl_weight: float | None) -> None:
    model = regressor(kl_weight=kl_weight)
    model.compile("adam", jit_compile=False)
    model.adapt(VECTORS)
    with pytest.raises(ValueError, match=r"Mean and scale of the targets are not known.*adapt\(x, y\)"):
        model.fit(Batches(NUMBERS), verbose=0)
    model.adapt(VECTORS, NUMBERS)
    model.fit(Batches(NUMBERS), verbose=0)
    assert ops.convert_to_numpy(model.target_mean) == pytest.approx(NUMBERS.mean())


@pytest.mark.parametrize(
    "given", [np.ndarray.tolist, pandas.DataFrame, ops.convert_to_tensor], ids=["list", "frame", "tensor"]
)
def test_lists_frames_and_tensors_are_taken_for_arrays(given: Any) -> None:
    model = regressor()
    model.compile("sgd", jit_compile=False)
    model.fit(given(VECTORS), given(NUMBERS), verbose=0)
    assert model.variational_layers[0].kl_weight == pytest.approx(1 / 12)
    assert ops.convert_to_numpy(model.target_mean) == pytest.approx(NUMBERS.mean())


def test_a_frame_with_words_is_refused_by_name() -> None:
    model = regressor()
    model.compile("sgd", jit_compile=False)
    with pytest.raises(ValueError, match=r"`x` must be numbers.*Received: x=DataFrame.*'red'"):
        model.fit(pandas.DataFrame({"size": [1.0], "color": ["red"]}), [1.0])


def test_means_are_predicted_whatever_predicts_them() -> None:
    model = regressor(initial_untransformed_scale=-20.0)
    model.compile("sgd", jit_compile=False)
    model.adapt(VECTORS, NUMBERS)
    means = model.predict_on_batch(VECTORS)
    assert means.shape == (12, 1)
    np.testing.assert_allclose(model.predict(VECTORS, verbose=0), means, rtol=1e-4)


def test_a_split_for_validation_by_position_is_not_counted() -> None:
    model = classifier()
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(VECTORS, LABELS, 12, 1, 0, None, 0.5)
    assert model.variational_layers[0].kl_weight == pytest.approx(0.001 / 6)


@pytest.mark.parametrize("size", [1e-14, 1e18])
def test_targets_that_float32_does_not_hold_are_refused(size: float) -> None:
    model = regressor()
    model.compile("adam", jit_compile=False)
    with pytest.raises(ValueError, match=r"Targets must have standard deviations.*in another unit\. Received: "):
        model.fit(VECTORS, NUMBERS.astype("float64") * size, verbose=0)


@pytest.mark.skipif(not COMPILED, reason="strategies are TensorFlow's")
@pytest.mark.parametrize("make", [classifier, regressor, kplug_bayes.AnomalyDetector])
def test_a_model_made_under_a_strategy_is_adapted_there(make: Any) -> None:
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        model = make()
        loss = "sparse_categorical_crossentropy" if make is classifier else None
        model.compile("adam", loss, jit_compile=False)
    history = model.fit(VECTORS, LABELS if make is classifier else NUMBERS, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("make", [classifier, regressor, kplug_bayes.AnomalyDetector])
def test_it_trains_in_every_precision(make: Any, dtype: str) -> None:
    model = make(dtype=dtype)
    model.compile("adam", "sparse_categorical_crossentropy" if make is classifier else None, jit_compile=False)
    history = model.fit(VECTORS, LABELS if make is classifier else NUMBERS, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_a_classifier_without_a_loss_is_refused() -> None:
    model = classifier()
    model.compile("adam")
    with pytest.raises(ValueError, match=r"needs a loss beside the KL divergence.*sparse_categorical_crossentropy"):
        model.fit(VECTORS, LABELS, verbose=0)


@pytest.mark.parametrize("steps", [0, 3])
def test_a_batch_needs_the_weight_too(steps: int) -> None:
    model = classifier(kl_warmup_steps=steps)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    with pytest.raises(ValueError, match=r"KL divergence is not known.*adapt\(x\)"):
        model.train_on_batch(VECTORS, LABELS)
    model.adapt(VECTORS)
    model.train_on_batch(VECTORS, LABELS)
    weights = [layer.kl_weight for layer in model.variational_layers]
    assert weights == pytest.approx([0.001 / 12 / max(steps, 1)] * 2)


def test_a_loop_of_ones_own_needs_the_weight_too(tmp_path: Path) -> None:
    model = kplug_bayes.BayesianClassifier(2, units=(4,), seed=0)
    model(VECTORS)  # no training
    with pytest.raises(ValueError, match=r"KL divergence is not known.*adapt\(x\)"):
        model(VECTORS, training=True)
    model.adapt(VECTORS)
    model(VECTORS, training=True)
    model.save(tmp_path / "model.keras")
    kplug.load_model(tmp_path / "model.keras")(VECTORS, training=True)


def test_what_was_read_off_the_data_outlives_another_compile_and_saving(tmp_path: Path) -> None:
    x = RNG.normal(size=(200, 3)).astype("float32")
    model = regressor()
    model.compile("adam", jit_compile=False)
    model.fit(x, 50 + 10 * x[:, :1], verbose=0)
    model.save(tmp_path / "model.keras")
    before = model.predict_distribution(x, 20, seed=1).mean
    for one in (model, kplug.load_model(tmp_path / "model.keras")):
        one.compile(keras.optimizers.SGD(0.0), jit_compile=False)
        one.fit(x[:20], 7 + x[:20, :1], verbose=0)
        assert one.variational_layers[0].kl_weight == pytest.approx(1 / 200)
        np.testing.assert_allclose(one.predict_distribution(x, 20, seed=1).mean, before, rtol=1e-5)
    model.adapt(x[:20], 7 + x[:20, :1])
    assert model.variational_layers[0].kl_weight == pytest.approx(1 / 20)


@pytest.mark.slow
def test_the_regressor_predicts_in_the_unit_of_the_targets() -> None:
    x = RNG.normal(size=(300, 2)).astype("float32")
    y = (1000 + 200 * x[:, :1] + 20 * RNG.normal(size=(300, 1))).astype("float32")
    model = regressor(units=(16,), activation="tanh", input_scale=1.0)
    model.compile(keras.optimizers.Adam(0.02), metrics=["mean_absolute_error"])
    model.fit(x, y, epochs=80, batch_size=60, verbose=0)
    assert model.predict(x, verbose=0).shape == (300, 1)
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    assert found["mean_absolute_error"] < 100
    prediction = model.predict_distribution(x, samples=50, seed=0)
    assert np.abs(prediction.mean - y).mean() < 60
    assert 10 < np.median(prediction.aleatoric_std) < 100


def test_a_loss_of_ones_own_is_refused() -> None:
    model = regressor()
    with pytest.raises(ValueError, match=r"computes its own loss.*loss='mse'"):
        model.compile("adam", loss="mse")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((4, 2, 2, 2, 2), "float32"), LABELS[:4], r"Received: an array of shape \(4, 2, 2, 2, 2\)"),
        (np.full((4, 3), np.nan, "float32"), LABELS[:4], "NaN or infinity in sample 0"),
        (VECTORS, LABELS + 1, "whole numbers from 0 to 2. Received: 3 in sample 2"),
    ],
)
def test_the_classifier_refuses_what_it_cannot_use(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier().check_data(x, y)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (IMAGES, NUMBERS, "vectors of shape"),
        (VECTORS, np.ones((12, 2), "float32"), r"set num_outputs.*shape \(12, 2\)"),
        (VECTORS, np.full((12, 1), np.inf), "Targets must be finite.*sample 0"),
    ],
)
def test_the_regressor_refuses_what_it_cannot_use(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regressor().check_data(x, y)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (classifier, {"kl_weight": -1.0}, "kl_weight=-1.0"),
        (classifier, {"kl_scale": -1.0}, "kl_scale=-1.0"),
        (classifier, {"kl_warmup_steps": -1}, "kl_warmup_steps=-1"),
        (classifier, {"units": (0,)}, "units=0"),
        (regressor, {"num_outputs": 0}, "num_outputs=0"),
        (regressor, {"prior_scale": 0.0}, "prior_scale=0.0"),
    ],
)
def test_a_wrong_parameter_of_a_model_is_named(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


@pytest.mark.slow
def test_pictures_of_a_classifier(tmp_path: Path) -> None:
    model = classifier()
    model.build((None, 6, 6, 1))
    model.write_artifacts(tmp_path, kplug.Dataset(train=(IMAGES, LABELS), info={"num_classes": 3}))
    assert {path.name for path in tmp_path.iterdir()} == {"posteriors.png", "reliability.png", "uncertain.png"}


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "picture"), [(1, "bands.png"), (3, "predictions.png")])
def test_pictures_of_a_regressor(tmp_path: Path, columns: int, picture: str) -> None:
    model = regressor()
    model.build((None, columns))
    model.write_artifacts(tmp_path, kplug.Dataset(train=(VECTORS[:, :columns], NUMBERS)))
    assert {path.name for path in tmp_path.iterdir()} == {"posteriors.png", "coverage.png", picture}


def test_a_saved_regressor_predicts_alike(tmp_path: Path) -> None:
    model = regressor()
    model.compile("adam", jit_compile=False)
    model.fit(VECTORS, NUMBERS, verbose=0)
    model.save(tmp_path / "model.keras")
    again = kplug.load_model(tmp_path / "model.keras")
    mine, loaded = (one.predict_distribution(VECTORS, 20, seed=1) for one in (model, again))
    np.testing.assert_allclose(loaded.mean, mine.mean, rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(again.target_mean), NUMBERS.mean(), rtol=1e-5)


def test_the_step_that_predicts_is_compiled_once_for_the_same_options() -> None:
    class Counted(kplug_bayes.BayesianRegressor):
        traced = 0

        def call(self, inputs: Any, training: bool | None = None) -> Any:
            Counted.traced += 1
            return super().call(inputs, training=training)

    model = Counted(units=(6,), seed=0)
    model.adapt(VECTORS, NUMBERS)
    first = model.predict_distribution(VECTORS, 5, seed=1).mean
    once = Counted.traced
    again = model.predict_distribution(VECTORS, 5, seed=1).mean
    # PyTorch compiles nothing: each draw is a call, and the first time one more says whether the model draws.
    assert Counted.traced - once == (5 if keras.backend.backend() == "torch" else 0)
    np.testing.assert_array_equal(again, first)
    assert not np.array_equal(model.predict_distribution(VECTORS, 5, seed=2).mean, first)
    assert model.predict_distribution(VECTORS, 5, quantiles=[0.5]).quantiles.shape == (1, 12, 1)
    expected = kplug_bayes.predict_distribution(model, VECTORS, 5, seed=1).mean
    np.testing.assert_allclose(expected, first, rtol=1e-5)
    model.adapt(VECTORS, NUMBERS + 100)
    moved = model.predict_distribution(VECTORS, 5, seed=1, quantiles=[0.5]).mean
    np.testing.assert_allclose(moved, first + 100, rtol=1e-4)


@pytest.mark.slow
def test_what_is_not_known_grows_in_the_gap() -> None:
    data = kplug_bayes.gap_regression(seed=0)
    x, y = data.train
    model = kplug_bayes.BayesianRegressor(seed=0)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.02, 1000)))
    model.fit(x, y, epochs=250, batch_size=72, verbose=0)
    inside = np.linspace(-0.3, 0.3, 50, dtype="float32")[:, None]
    within, outside = (
        model.predict_distribution(x, samples=200, seed=0).epistemic_std.mean() for x in (inside, data.test[0])
    )
    assert within / outside > 4


@pytest.mark.slow
def test_the_example_of_turned_digits_knows_less_as_they_turn(tmp_path: Path, capsys: Any) -> None:
    example = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "rotated_digits.py"))
    example["main"](str(tmp_path / "digits.png"), epochs=10)
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "°" in line]
    right = {row[0]: float(row[1]) for row in rows}
    unknown = {row[0]: float(row[3]) for row in rows}
    assert len(rows) == 12
    assert right["0°"] > 0.9
    assert unknown["25°"] > 2 * unknown["0°"]
    assert (tmp_path / "digits.png").stat().st_size > 0
