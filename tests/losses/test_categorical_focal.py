"""Focal loss for one class out of several: values against a loop and Keras, gradients at the ends of the scale."""

import keras
import numpy as np
import oracles
import pytest

import kplug

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(6, 4))
CLASSES = np.array([0, 1, 2, 3, 1, 0])
ONE_HOT = np.eye(4)[CLASSES]


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("alpha", [None, 0.25, [0.1, 0.5, 1.0, 2.0]], ids=str)
def test_values_are_the_papers(alpha, gamma):
    weights = np.broadcast_to(1.0 if alpha is None else alpha, 4)
    expected = [oracles.categorical_focal(y, row, weights, gamma) for y, row in zip(ONE_HOT, LOGITS, strict=True)]
    options = {"alpha": alpha, "gamma": gamma, "from_logits": True}
    logits = LOGITS.astype("float32")
    np.testing.assert_allclose(kplug.categorical_focal_loss(ONE_HOT, logits, **options), expected, rtol=2e-5)
    np.testing.assert_allclose(kplug.sparse_categorical_focal_loss(CLASSES, logits, **options), expected, rtol=2e-5)
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    options["from_logits"] = False
    found = kplug.categorical_focal_loss(ONE_HOT, probabilities.astype("float32"), **options)
    np.testing.assert_allclose(found, expected, rtol=2e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_values_are_keras_own(smoothing):
    options = {"alpha": 0.25, "gamma": 2.0, "label_smoothing": smoothing}
    probabilities = (np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)).astype("float32")
    expected = keras.losses.categorical_focal_crossentropy(ONE_HOT, probabilities, **options)
    np.testing.assert_allclose(kplug.categorical_focal_loss(ONE_HOT, probabilities, **options), expected, rtol=1e-4)


def test_classes_may_lie_along_another_axis():
    logits = RNG.normal(size=(2, 4, 3)).astype("float32")
    classes = RNG.integers(0, 4, (2, 3))
    found = kplug.sparse_categorical_focal_loss(classes, logits, alpha=[1.0, 2, 3, 4], from_logits=True, axis=1)
    expected = kplug.sparse_categorical_focal_loss(
        classes, np.moveaxis(logits, 1, -1), alpha=[1.0, 2, 3, 4], from_logits=True
    )
    assert tuple(found.shape) == (2, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("size", [1.0, 20.0, 100.0, 1e4])
def test_gradients_are_finite_and_pull_certain_mistakes_back(gamma, size, gradient):
    logits = np.array([[size, -size, 0.0], [-size, size, 0.0]], "float32")
    options = {"gamma": gamma, "alpha": None, "from_logits": True}
    found = gradient(lambda x: kplug.sparse_categorical_focal_loss([0, 0], x, **options), logits)
    assert np.isfinite(found).all()
    assert found[1, 0] < -0.1


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_gradients_are_finite_for_probabilities_of_exactly_zero_and_one(gamma, gradient):
    certain = np.array([[1.0, 0.0], [0.0, 1.0]], "float32")
    found = gradient(lambda x: kplug.sparse_categorical_focal_loss([0, 0], x, gamma=gamma), certain)
    assert np.isfinite(found).all()


def test_a_weight_too_few_is_named():
    with pytest.raises(ValueError, match="3 weights"):
        kplug.categorical_focal_loss(ONE_HOT, LOGITS.astype("float32"), alpha=[1.0, 2.0, 3.0])


def test_a_class_ruled_out_by_its_logit_costs_nothing(gradient):
    logits = np.array([[1.0, 2.0, -np.inf]])
    found = kplug.sparse_categorical_focal_loss([1], logits, from_logits=True)
    expected = kplug.sparse_categorical_focal_loss([1], logits[:, :2], from_logits=True)
    assert float(found[0]) == pytest.approx(float(expected[0]), rel=1e-6)
    slope = gradient(lambda z: kplug.sparse_categorical_focal_loss([1], z, from_logits=True), logits)
    assert np.isfinite(slope).all()
    assert slope[0, 2] == 0
