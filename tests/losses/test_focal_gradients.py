"""Gradients of the focal loss: finite everywhere, never lost on a confident mistake, right in between."""

from __future__ import annotations

import numpy as np
import pytest

import kplug

EXTREMES = [-1e4, -1e3, -200.0, -90.0, -50.0, -17.0, -1.0, 0.0, 1.0, 17.0, 50.0, 90.0, 200.0, 1e3, 1e4]
GAMMAS = [0.0, 0.5, 1.0, 2.0, 5.0]


def gradient_by_paper(label: float, logits: np.ndarray, gamma: float) -> np.ndarray:
    """Lin et al., appendix B: dFL/dx = y (1 - p_t)^gamma (gamma p_t log p_t + p_t - 1) with y = +-1, in float64."""
    sign = 2 * label - 1
    log_p = -np.logaddexp(0, -sign * logits)
    log_q = -np.logaddexp(0, sign * logits)
    return sign * np.exp(gamma * log_q) * (gamma * np.exp(log_p) * log_p - np.exp(log_q))


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_equals_the_papers_closed_form_at_any_logit(gradient, gamma, label):
    logits = np.array(EXTREMES + list(np.linspace(-12, 12, 49)))[:, np.newaxis]
    labels = np.full_like(logits, label)
    found = gradient(lambda z: kplug.focal_loss(labels, z, alpha=None, gamma=gamma, from_logits=True), logits)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, gradient_by_paper(label, logits, gamma), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize(("alpha", "smoothing"), [(0.25, 0.0), (None, 0.2), (0.7, 0.2)])
def test_equals_numeric_differences_at_moderate_logits(gradient, gamma, alpha, smoothing):
    logits = np.array([[-4.0, -1.0, 0.0, 0.3, 2.0, 5.0]])
    labels = np.array([[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]])

    def total(z: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-z))
        y = labels * (1 - smoothing) + smoothing / 2
        weight = 1 if alpha is None else y * alpha + (1 - y) * (1 - alpha)
        cross_entropy = -y * np.log(p) - (1 - y) * np.log1p(-p)
        terms = weight * (y * (1 - p) + (1 - y) * p) ** gamma * cross_entropy
        return float(np.mean(terms, axis=-1).sum())

    step = 1e-5
    numeric = [
        (total(logits + step * unit) - total(logits - step * unit)) / (2 * step) for unit in np.eye(6)[:, np.newaxis]
    ]
    found = gradient(
        lambda z: kplug.focal_loss(labels, z, alpha=alpha, gamma=gamma, from_logits=True, label_smoothing=smoothing),
        logits,
    )
    np.testing.assert_allclose(found[0], numeric, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_soft_labels_and_weights_leave_extreme_logits_finite(gradient, gamma, label):
    logits = np.array(EXTREMES)[:, np.newaxis]
    found = gradient(
        lambda z: kplug.focal_loss(
            np.full_like(logits, label), z, alpha=[0.3], gamma=gamma, from_logits=True, label_smoothing=0.1
        ),
        logits,
    )
    assert np.isfinite(found).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize(("label", "logit", "pull"), [(1.0, -50.0, -1.0), (0.0, 50.0, 1.0)])
def test_a_confident_mistake_keeps_its_full_gradient(gradient, gamma, label, logit, pull):
    found = gradient(
        lambda z: kplug.focal_loss([[label]], z, alpha=None, gamma=gamma, from_logits=True), np.array([[logit]])
    )
    assert found[0, 0] == pytest.approx(pull, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_certain_probabilities_have_finite_gradients_that_pull_towards_the_label(gradient, gamma, label):
    found = gradient(
        lambda p: kplug.focal_loss(np.full((2, 1), label), p, alpha=None, gamma=gamma), np.array([[0.0], [1.0]])
    )
    assert np.isfinite(found).all()
    wrong = found[int(1 - label), 0]
    assert wrong < -1e5 if label else wrong > 1e5


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_probabilities_have_the_formulas_gradient(gradient, gamma):
    p = np.array([[0.02], [0.3], [0.5], [0.8], [0.97]])
    found = gradient(lambda value: kplug.focal_loss(np.ones((5, 1)), value, alpha=None, gamma=gamma), p)
    expected = (1 - p) ** gamma * (gamma * np.log(p) / (1 - p) - 1 / p)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_half_precision_gradients_are_finite(gradient, dtype, gamma, label):
    logits = np.array(EXTREMES, "float32")[:, np.newaxis]
    labels = np.full_like(logits, label)
    found = gradient(lambda z: kplug.focal_loss(labels, z, gamma=gamma, from_logits=True), logits, dtype)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_half_precision_probabilities_of_0_and_1(gradient, dtype, label):
    def loss(p):
        return kplug.focal_loss(np.full((2, 1), label), p, gamma=0.5)

    assert np.isfinite(gradient(loss, np.array([[0.0], [1.0]]), dtype)).all()
