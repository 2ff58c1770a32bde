"""The values of the focal loss, against a slow float64 loop, closed forms and Keras."""

from __future__ import annotations

import math
from itertools import product

import keras
import numpy as np
import pytest

import kplug

LOGITS = [[-3.0, -0.7, 0.0], [0.4, 2.0, 6.0], [-8.0, 1.5, -0.1], [11.0, -12.0, 0.9]]
LABELS = [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]


def focal_term(y: float, logit: float, alpha: float | None, gamma: float) -> float:
    """Equation 5 of Lin et al. in Python floats; for a soft label with the means over both labels, as Keras has it."""
    p = 1 / (1 + math.exp(-logit))
    q = 1 / (1 + math.exp(logit))
    cross_entropy = -y * math.log(p) - (1 - y) * math.log(q)
    weight = 1.0 if alpha is None else y * alpha + (1 - y) * (1 - alpha)
    return weight * (y * q + (1 - y) * p) ** gamma * cross_entropy


def focal_by_loop(labels, logits, alpha=0.25, gamma=2.0, smoothing=0.0) -> np.ndarray:
    """The mean over the last axis, one label at a time; `alpha` may have one entry per label."""
    labels, logits = np.asarray(labels, "float64"), np.asarray(logits, "float64")
    out = np.zeros(logits.shape[:-1])
    for index in np.ndindex(*logits.shape):
        weight = alpha[index[-1]] if isinstance(alpha, (list, tuple)) else alpha
        y = labels[index] * (1 - smoothing) + smoothing / 2
        out[index[:-1]] += focal_term(y, logits[index], weight, gamma) / logits.shape[-1]
    return out


def sigmoid(logits) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(logits, "float64")))


def numbers(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("alpha", [0.25, 0.0, 1.0, 0.9, None, [0.1, 0.5, 0.8]], ids=str)
@pytest.mark.parametrize("gamma", [0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_equals_the_papers_formula_on_logits(alpha, gamma, smoothing):
    loss = kplug.focal_loss(LABELS, LOGITS, alpha=alpha, gamma=gamma, from_logits=True, label_smoothing=smoothing)
    np.testing.assert_allclose(numbers(loss), focal_by_loop(LABELS, LOGITS, alpha, gamma, smoothing), rtol=2e-5)


@pytest.mark.parametrize("alpha", [0.25, None, (0.1, 0.5, 0.8)], ids=str)
@pytest.mark.parametrize("gamma", [0, 0.5, 2.0, 5.0])
def test_equals_the_papers_formula_on_probabilities(alpha, gamma):
    probabilities = sigmoid(LOGITS).astype("float32")
    loss = kplug.focal_loss(LABELS, probabilities, alpha=alpha, gamma=gamma)
    # A float32 probability near 1 has lost digits of 1 - p: start the oracle from the same rounded number.
    given = probabilities.astype("float64")
    expected = focal_by_loop(LABELS, np.log(given / (1 - given)), alpha, gamma)
    np.testing.assert_allclose(numbers(loss), expected, rtol=1e-4)


@pytest.mark.parametrize("smoothing", [0.2, 1.0])
def test_label_smoothing_on_probabilities(smoothing):
    logits = np.clip(LOGITS, -4, 4)
    loss = kplug.focal_loss(LABELS, sigmoid(logits).astype("float32"), label_smoothing=smoothing)
    np.testing.assert_allclose(numbers(loss), focal_by_loop(LABELS, logits, smoothing=smoothing), rtol=1e-4)


def test_even_odds_by_hand():
    # p = 1/2: 0.25 * (1/2)^2 * ln 2 for a positive, 0.75 * (1/2)^2 * ln 2 for a negative.
    loss = kplug.focal_loss([[1.0], [0.0]], [[0.0], [0.0]], from_logits=True)
    np.testing.assert_allclose(numbers(loss), [0.0625 * math.log(2), 0.1875 * math.log(2)], rtol=1e-6)


def test_the_papers_down_weighting_of_easy_labels():
    # Lin et al., section 3.2: at gamma = 2, p_t = 0.9 weighs 100 times less than in cross-entropy.
    focal = kplug.focal_loss([[1.0]], [[0.9]], alpha=None, gamma=2.0)
    assert float(focal[0]) == pytest.approx(-math.log(0.9) / 100, rel=1e-5)


@pytest.mark.parametrize(("label", "logit"), [(1.0, -1e4), (0.0, 1e4), (1.0, -88.0), (0.0, 104.0)])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_a_confident_mistake_costs_its_logit(label, logit, gamma):
    loss = kplug.focal_loss([[label]], [[logit]], alpha=None, gamma=gamma, from_logits=True)
    assert float(loss[0]) == pytest.approx(abs(logit), rel=1e-6)


@pytest.mark.parametrize(("label", "logit"), [(1.0, 1e4), (0.0, -1e4)])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_a_confident_hit_costs_nothing(label, logit, gamma):
    assert float(kplug.focal_loss([[label]], [[logit]], gamma=gamma, from_logits=True)[0]) == 0.0


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("logit", [-30.0, 30.0])
def test_an_easy_label_keeps_its_digits(gamma, logit):
    # Right with odds e^30: (1 - p_t)^gamma * -log p_t = e^(-30 gamma) * e^-30, far below the rounding of 1.
    label = float(logit > 0)
    loss = kplug.focal_loss([[label]], [[logit]], alpha=None, gamma=gamma, from_logits=True)
    assert float(loss[0]) == pytest.approx(math.exp(-30 * (gamma + 1)), rel=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize(("label", "probability"), list(product([0.0, 1.0], [0.0, 1.0])))
def test_probabilities_of_exactly_0_and_1_count_as_epsilon_and_1_minus_epsilon(label, probability, gamma):
    loss = float(kplug.focal_loss([[label]], [[probability]], alpha=None, gamma=gamma)[0])
    if label == probability:
        assert 0 <= loss < 1e-6
    else:
        assert loss == pytest.approx(-math.log(keras.config.epsilon()), rel=0.02)  # 1 - 1e-7 is coarse in float32


@pytest.mark.parametrize("probability", [-5.0, -0.1, 1.5, 3.0, 40.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_predictions_outside_0_and_1_are_pulled_to_the_nearest_probability(label, probability):
    loss = float(kplug.focal_loss([[label]], [[probability]], alpha=None, gamma=2.0)[0])
    clipped = float(kplug.focal_loss([[label]], [[min(max(probability, 0.0), 1.0)]], alpha=None, gamma=2.0)[0])
    assert loss == pytest.approx(clipped, rel=0.02, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.25, 0.6, None])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_equals_keras_binary_focal_crossentropy(alpha, gamma, from_logits, smoothing):
    predictions = np.clip(LOGITS, -6, 6).astype("float32")
    if not from_logits:
        predictions = sigmoid(predictions).astype("float32")
    peer = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=alpha is not None,
        alpha=0.25 if alpha is None else alpha,
        gamma=gamma,
        from_logits=from_logits,
        label_smoothing=smoothing,
        reduction="none",
    )
    loss = kplug.focal_loss(
        LABELS, predictions, alpha=alpha, gamma=gamma, from_logits=from_logits, label_smoothing=smoothing
    )
    np.testing.assert_allclose(numbers(loss), numbers(peer(np.array(LABELS), predictions)), rtol=2e-4)


def test_a_single_column_counts_its_negatives():
    labels, logits = [[0.0], [0.0], [1.0]], [[2.0], [-1.0], [0.5]]
    loss = numbers(kplug.focal_loss(labels, logits, from_logits=True))
    np.testing.assert_allclose(loss, focal_by_loop(labels, logits), rtol=1e-5)
    assert loss[0] > 1.0


@pytest.mark.parametrize(
    ("label_shape", "prediction_shape", "loss_shape"),
    [
        ((4,), (4,), (4,)),
        ((4, 1), (4,), (4,)),
        ((4,), (4, 1), (4,)),
        ((4, 1), (4, 1), (4,)),
        ((1,), (1, 1), (1,)),
        ((4, 3), (4, 3), (4,)),
        ((4, 2, 3), (4, 2, 3), (4, 2)),
        ((4, 2), (4, 2, 1), (4, 2)),
        ((4, 2, 2, 3), (4, 2, 2, 3), (4, 2, 2)),
    ],
    ids=str,
)
def test_shapes(label_shape, prediction_shape, loss_shape):
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 2, label_shape), rng.normal(size=prediction_shape).astype("float32")
    loss = numbers(kplug.focal_loss(labels, logits, from_logits=True))
    assert loss.shape == loss_shape
    rows = logits if len(prediction_shape) > 1 else logits[:, np.newaxis]
    np.testing.assert_allclose(loss, focal_by_loop(labels.reshape(rows.shape), rows), rtol=1e-5)


@pytest.mark.parametrize("axis", [1, -2])
def test_axis_chooses_the_labels_axis(axis):
    rng = np.random.default_rng(1)
    labels, logits = rng.integers(0, 2, (2, 3, 4)), rng.normal(size=(2, 3, 4)).astype("float32")
    loss = kplug.focal_loss(labels, logits, alpha=[0.1, 0.5, 0.8], from_logits=True, axis=axis)
    expected = focal_by_loop(labels.swapaxes(1, 2), logits.swapaxes(1, 2), alpha=[0.1, 0.5, 0.8])
    np.testing.assert_allclose(numbers(loss), expected, rtol=1e-5)


@pytest.mark.parametrize("label_dtype", ["int32", "int64", "uint8", "bool", "float64"])
def test_labels_of_any_dtype(label_dtype):
    labels = np.asarray(LABELS).astype(label_dtype)
    loss = kplug.focal_loss(labels, np.asarray(LOGITS, "float32"), from_logits=True)
    np.testing.assert_allclose(numbers(loss), focal_by_loop(LABELS, LOGITS), rtol=1e-5)


def test_whole_number_predictions():
    loss = kplug.focal_loss([[1], [0]], np.array([[2], [-3]]), from_logits=True)
    np.testing.assert_allclose(numbers(loss), focal_by_loop([[1], [0]], [[2], [-3]]), rtol=1e-5)


@pytest.mark.parametrize(("dtype", "rtol"), [("float16", 5e-3), ("bfloat16", 4e-2)])
def test_half_precision(dtype, rtol):
    logits = keras.ops.cast(keras.ops.convert_to_tensor(np.array([[-2.0, 0.5, 3.0]], "float32")), dtype)
    loss = kplug.focal_loss([[1.0, 0.0, 0.0]], logits, from_logits=True)
    assert keras.backend.standardize_dtype(loss.dtype) == dtype
    expected = focal_by_loop([[1.0, 0.0, 0.0]], [[-2.0, 0.5, 3.0]])
    np.testing.assert_allclose(numbers(keras.ops.cast(loss, "float32")), expected, rtol=rtol)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"alpha": -0.1}, "alpha=-0.1"),
        ({"alpha": 1.5}, "alpha=1.5"),
        ({"alpha": float("nan")}, "alpha=nan"),
        ({"alpha": [0.2, 2.0]}, r"alpha=\[0.2, 2.0\]"),
        ({"gamma": -1.0}, "gamma=-1.0"),
        ({"gamma": float("nan")}, "gamma=nan"),
        ({"label_smoothing": -0.5}, "label_smoothing=-0.5"),
        ({"label_smoothing": 1.01}, "label_smoothing=1.01"),
    ],
    ids=str,
)
@pytest.mark.parametrize("make", ["function", "class"])
def test_parameters_out_of_range_are_named(arguments, named, make):
    with pytest.raises(ValueError, match=named):
        if make == "class":
            kplug.FocalLoss(**arguments)
        else:
            kplug.focal_loss([[0.0, 1.0]], [[0.5, 0.5]], **arguments)


@pytest.mark.parametrize(
    "labels", [np.zeros((4,)), np.zeros((4, 1)), np.zeros((4, 2)), np.zeros((4, 3, 3))], ids=np.shape
)
def test_shapes_that_do_not_fit_are_named(labels):
    with pytest.raises(ValueError, match=r"\(4, 3\)") as caught:
        kplug.focal_loss(labels, np.zeros((4, 3), "float32"), from_logits=True)
    assert str(labels.shape) in str(caught.value)


def test_as_many_alphas_as_labels_are_needed():
    with pytest.raises(ValueError, match=r"2 weights.*\(1, 3\)"):
        kplug.focal_loss([[0.0, 1.0, 0.0]], [[0.1, 0.2, 0.3]], alpha=[0.2, 0.3])


@pytest.mark.parametrize(
    "alpha", [np.float32(0.25), np.float64(0.25), np.array([0.25, 0.25, 0.25], "float32")], ids=repr
)
def test_alpha_may_come_from_numpy(alpha):
    loss = kplug.focal_loss(LABELS, LOGITS, alpha=alpha, from_logits=True)
    np.testing.assert_allclose(numbers(loss), focal_by_loop(LABELS, LOGITS), rtol=2e-5)
