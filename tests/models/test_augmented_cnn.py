"""The image classifier: shapes, augmentation in training only, mixing, losses, saving, bad data, pictures."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import kplug
from kplug.models.mixing import BatchMixing

RNG = np.random.default_rng(0)
IMAGES = RNG.random((20, 8, 8, 1)).astype("float32")
LABELS = np.arange(20) % 3


def classifier(num_classes=3, optimizer="sgd", loss="sparse_categorical_crossentropy", jit_compile=None, **options):
    keras.utils.set_random_seed(0)
    model = kplug.AugmentedCNN(num_classes, **{"filters": (4, 6), "seed": 0, **options})
    # On JAX every operation on its own would be compiled, which takes longer than all of them at once.
    jit_compile = keras.backend.backend() == "jax" if jit_compile is None else jit_compile
    model.compile(optimizer, loss=loss, metrics=["accuracy"], jit_compile=jit_compile)
    return model


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [("residual", (8, 8)), ("residual", (5, 7, 3)), ("plain", (17, 4, 1)), ("plain", (1, 1, 2))],
    ids=str,
)
def test_images_of_any_shape_give_probabilities(architecture, shape):
    model = classifier(architecture=architecture, filters=(4, 5, 6))
    found = ops.convert_to_numpy(model(RNG.random((3, *shape)).astype("float32")))
    assert found.shape == (3, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)


def test_it_learns_bright_from_dark():
    labels = np.arange(64) % 2
    images = (0.4 * RNG.random((64, 8, 8, 1)) + 0.5 * labels[:, None, None, None]).astype("float32")
    model = classifier(2, keras.optimizers.Adam(0.01))
    model.fit(images, labels, epochs=15, batch_size=16, verbose=0)
    assert model.evaluate(images, labels, verbose=0, return_dict=True)["accuracy"] == 1.0


def test_augmentation_acts_in_training_only():
    model = classifier(dropout=0.0)
    model.build(IMAGES.shape)
    still = [ops.convert_to_numpy(model(IMAGES, training=False)) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    moving = [ops.convert_to_numpy(model(IMAGES, training=True)) for _ in range(2)]
    assert np.abs(moving[0] - moving[1]).max() > 1e-6


def test_nothing_moves_where_all_amounts_are_zero():
    model = classifier(rotation=0.0, zoom=0.0, translation=0.0)
    np.testing.assert_array_equal(model.augmented(IMAGES), IMAGES)


def test_every_augmentation_changes_images_and_keeps_their_shape():
    none = {"rotation": 0.0, "zoom": 0.0, "translation": 0.0, "seed": 0}
    for change in (
        {"rotation": 20.0},
        {"zoom": 0.2},
        {"translation": 0.2},
        {"flip": "horizontal"},
        {"flip": "both"},
        {"contrast": 0.3},
        {"brightness": 0.3},
        {"noise": 0.1},
        {"erasing": 0.3},
    ):
        changed = ops.convert_to_numpy(kplug.augmentation(**{**none, **change})(IMAGES, training=True))
        assert changed.shape == IMAGES.shape
        assert np.abs(changed - IMAGES).max() > 1e-3, change


@pytest.mark.parametrize(
    ("one_hot", "loss", "options"),
    [
        (False, "sparse_categorical_crossentropy", {}),
        (True, "categorical_crossentropy", {"mixup": 0.3, "cutmix": 1.0}),
        (False, kplug.SparseCategoricalFocalLoss(), {"cutmix": 1.0, "label_smoothing": 0.1}),
        (True, kplug.CategoricalFocalLoss(), {"mixup": 0.3, "label_smoothing": 0.1}),
    ],
    ids=["numbers", "one-hot", "focal on numbers", "focal on one-hot"],
)
def test_it_trains_on_class_numbers_and_one_hot_labels(one_hot, loss, options):
    labels = np.eye(3, dtype="float32")[LABELS] if one_hot else LABELS
    model = classifier(loss=loss, **options)
    history = model.fit(IMAGES, labels, batch_size=10, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert 0 <= history["accuracy"][-1] <= 1


def still_classifier(**options):
    return classifier(
        rotation=0.0, zoom=0.0, translation=0.0, dropout=0.0, optimizer=keras.optimizers.SGD(0.0), **options
    )


@pytest.mark.parametrize("one_hot", [False, True])
def test_label_smoothing_is_that_of_keras_cross_entropy(one_hot):
    model = still_classifier(
        label_smoothing=0.2, loss="categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"
    )
    model.build(IMAGES.shape)
    # In training the batch statistics are the batch's, so that the oracle needs the same pass.
    predictions = model(IMAGES, training=True)
    hot = np.eye(3, dtype="float32")[LABELS]
    expected = float(keras.losses.CategoricalCrossentropy(label_smoothing=0.2)(hot, predictions))
    labels = hot if one_hot else LABELS
    found = float(model.compute_loss(IMAGES, ops.convert_to_tensor(labels), predictions, training=True))
    assert found == pytest.approx(expected, rel=1e-5)
    plain = float(model.compute_loss(IMAGES, ops.convert_to_tensor(labels), predictions, training=False))
    assert plain == pytest.approx(float(keras.losses.CategoricalCrossentropy()(hot, predictions)), rel=1e-5)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_of_mixed_images_counts_each_label_by_its_share_and_its_samples_weight(reduction, smoothing):
    loss = keras.losses.SparseCategoricalCrossentropy(reduction=reduction)
    model = still_classifier(mixup=0.4, label_smoothing=smoothing, loss=loss)
    model.build(IMAGES.shape)
    weights = np.linspace(0.5, 1.5, 20).astype("float32")
    predictions = model(IMAGES, training=True)
    partners, shares = (ops.convert_to_numpy(part) for part in model._step.mixture)
    labels, sample_weight = ops.convert_to_tensor(LABELS), ops.convert_to_tensor(weights)
    found = float(model.compute_loss(IMAGES, labels, predictions, sample_weight=sample_weight, training=True))
    log_p = np.log(ops.convert_to_numpy(predictions).astype("float64"))
    rows = np.arange(20)
    own, others = weights * shares, weights[partners] * (1 - shares)
    terms = (1 - smoothing) * (-own * log_p[rows, LABELS] - others * log_p[rows, LABELS[partners]])
    terms -= smoothing * weights * log_p.mean(axis=1)
    total = ((1 - smoothing) * (own + others) + smoothing * weights).sum()
    expected = terms.sum() / {"sum_over_batch_size": 20, "sum": 1, "mean_with_sample_weight": total}[reduction]
    assert found == pytest.approx(expected, rel=1e-4)
    assert model._step.mixture is None


def test_what_draws_in_training_draws_numbers_of_its_own():
    model = kplug.AugmentedCNN(3, mixup=0.2, noise=0.1, erasing=0.2, seed=4)
    drawing = [*model.augmentation.layers, model.mixing, model.dropping]
    generators = [getattr(layer, "seed_generator", None) or layer.generator for layer in drawing]
    states = {tuple(ops.convert_to_numpy(generator.state).tolist()) for generator in generators}
    assert len(states) == len(drawing) == 5


def test_test_time_augmentation_leaves_the_draws_of_the_training_alone():
    runs = []
    for looks in (False, True):
        model = classifier(seed=3)
        model.fit(IMAGES, LABELS, batch_size=8, shuffle=False, verbose=0)
        if looks:
            first, second = (model.predict_augmented(IMAGES, copies=2, seed=1) for _ in range(2))
            np.testing.assert_array_equal(first, second)
        model.fit(IMAGES, LABELS, batch_size=8, shuffle=False, verbose=0)
        runs.append(model.get_weights())
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_drawn_from_the_larger_half_of_a_beta_distribution(alpha):
    shares = ops.convert_to_numpy(BatchMixing(mixup=alpha, seed=0)(np.zeros((4000, 1, 1, 1), "float32"))[1].shares)
    both = np.concatenate([shares, 1 - shares])
    assert stats.kstest(both, stats.beta(alpha, alpha).cdf).statistic < 0.02


@pytest.mark.parametrize("options", [{"mixup": 0.4}, {"cutmix": 1.0}], ids=["mixup", "cutmix"])
def test_mixed_images_are_made_of_their_own_share_and_their_partners(options):
    ids = np.broadcast_to(np.arange(50.0)[:, None, None, None], (50, 16, 16, 1)).astype("float32")
    mixed, (partners, shares) = BatchMixing(**options, seed=0)(ids)
    mixed, partners, shares = (ops.convert_to_numpy(part) for part in (mixed, partners, shares))
    expected = shares * np.arange(50) + (1 - shares) * partners
    np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), expected, rtol=1e-4, atol=1e-3)
    assert sorted(partners) == list(range(50))
    assert shares.min() >= 0.5 - 1e-6
    assert shares.max() <= 1.0
    if "cutmix" in options:
        pasted = mixed[..., 0] != np.arange(50)[:, None, None]
        rectangles = pasted.any(axis=2)[:, :, None] & pasted.any(axis=1)[:, None, :]
        np.testing.assert_array_equal(pasted, rectangles)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_training_with_everything_on(jit_compile):
    if jit_compile and keras.backend.backend() == "torch":
        pytest.skip("PyTorch has no XLA")
    if not jit_compile and keras.backend.backend() == "jax":
        pytest.skip("JAX always compiles")
    model = classifier(jit_compile=jit_compile, mixup=0.2, cutmix=1.0, label_smoothing=0.1, noise=0.1)
    # 20 = 8 + 8 + 4: a last partial batch.
    losses = model.fit(IMAGES, LABELS, batch_size=8, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all()


def test_a_batch_of_one():
    model = classifier(mixup=0.2)
    assert np.isfinite(model.fit(IMAGES[:1], LABELS[:1], batch_size=1, verbose=0).history["loss"]).all()


def test_one_seed_gives_one_training():
    runs = [
        classifier(mixup=0.2).fit(IMAGES, LABELS, batch_size=8, epochs=2, verbose=0, shuffle=False) for _ in range(2)
    ]
    assert runs[0].history == runs[1].history


def test_mixed_precision():
    model = classifier(dtype="mixed_float16", label_smoothing=0.1)
    losses = model.fit(IMAGES, LABELS, batch_size=8, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert keras.backend.standardize_dtype(model(IMAGES[:2]).dtype) == "float32"


def test_it_is_saved_and_loaded_with_all_its_choices(tmp_path):
    model = classifier(
        architecture="plain",
        flip="horizontal",
        mixup=0.2,
        label_smoothing=0.1,
        classifier_activation=None,
        noise=0.1,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(IMAGES, LABELS, batch_size=8, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = kplug.load_model(tmp_path / "model.keras")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_allclose(
        loaded.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0), rtol=1e-5, atol=1e-6
    )
    loaded.fit(IMAGES, LABELS, batch_size=8, verbose=0)


def test_predictions_over_augmented_copies_are_a_mean_of_predictions():
    still = classifier(rotation=0.0, zoom=0.0, translation=0.0)
    np.testing.assert_allclose(
        still.predict_augmented(IMAGES, copies=2), still.predict(IMAGES, verbose=0), rtol=1e-4, atol=1e-6
    )
    moving = classifier()
    found = moving.predict_augmented(IMAGES[..., 0], copies=3, batch_size=7)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    assert np.abs(found - moving.predict(IMAGES, verbose=0)).max() > 1e-6


@pytest.mark.parametrize(
    ("x", "y", "named"),
    [
        (np.zeros((4, 3)), None, r"images of shape .* shape \(4, 3\)"),
        (IMAGES, np.array([0, 1, 3] * 5), "from 0 to 2. Received: 3 in sample 2"),
        (IMAGES, np.array([0, -1]), "Received: -1 in sample 1"),
        (IMAGES, np.zeros((4, 5)), r"one column for each of the 3 classes. Received: labels of shape \(4, 5\)"),
        (IMAGES, np.array(["cat", "dog"]), "class numbers or one-hot"),
        (IMAGES, np.array([0.0, 0.5]), "Received: 0.5 in sample 1"),
        (IMAGES, np.array([np.nan, 1.0]), "Received: nan in sample 0"),
        (IMAGES, np.full((4, 3), np.nan), "must be finite. Received: NaN or infinity in sample 0"),
        (IMAGES[:0], None, "one image at least"),
        (np.full_like(IMAGES, np.nan), None, r"Received: nan in image 0 at \(0, 0, 0\)"),
    ],
    ids=["table", "large", "negative", "columns", "text", "half", "NaN", "NaN in one-hot", "none", "NaN in an image"],
)
@pytest.mark.parametrize("use", ["fit", "evaluate", "validation"])
def test_data_that_do_not_fit_are_refused_with_the_reason(x, y, named, use):
    model = classifier()
    with pytest.raises(ValueError, match=named):
        if use == "validation":
            model.fit(IMAGES, LABELS, validation_data=(x, y), verbose=0)
        else:
            getattr(model, use)(x, y, verbose=0)


@pytest.mark.parametrize(
    "options",
    [
        {"num_classes": 1},
        {"architecture": "vgg"},
        {"filters": ()},
        {"blocks": 0},
        {"dropout": 1.0},
        {"mixup": -1.0},
        {"label_smoothing": 1.0},
        {"flip": "sideways"},
        {"rotation": 200.0},
        {"noise": -0.1},
        {"erasing": 1.0},
        {"classifier_activation": "relu"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_wrong_parameter_is_named(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=name) as caught:
        kplug.AugmentedCNN(**{"num_classes": 3, **options})
    assert str(value) in str(caught.value)


def test_it_leaves_pictures(tmp_path):
    model = classifier()
    names = ("one", "two", "three")
    dataset = kplug.Dataset((IMAGES, LABELS), test=(IMAGES, LABELS), info={"class_names": names})
    model.fit(*dataset.train, batch_size=8, verbose=0, validation_data=dataset.test)
    model.write_artifacts(tmp_path, dataset)
    for name in ("confusion_matrix", "worst_mistakes", "augmented_batch", "training_curves"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
