"""What must hold of the focal loss whatever the numbers."""

from __future__ import annotations

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import kplug

SETTINGS = settings(max_examples=40)
SHAPES = [(3, 1), (2, 3), (2, 2, 3)]  # few: JAX compiles anew for each

fractions = st.floats(0, 1, width=32)
gammas = st.floats(0, 6, width=32)


@st.composite
def batches(draw, most=1e4):
    shape = draw(st.sampled_from(SHAPES))
    logits = draw(arrays("float32", shape, elements=st.floats(-most, most, width=32)))
    labels = draw(arrays("float32", shape, elements=st.sampled_from([0.0, 1.0])))
    return labels, logits


def loss_of(labels, logits, **arguments) -> np.ndarray:
    return keras.ops.convert_to_numpy(kplug.focal_loss(labels, logits, from_logits=True, **arguments))


@SETTINGS
@given(batch=batches(), alpha=st.none() | fractions, gamma=gammas, smoothing=fractions)
def test_finite_and_never_negative(batch, alpha, gamma, smoothing):
    loss = loss_of(*batch, alpha=alpha, gamma=gamma, label_smoothing=smoothing)
    assert np.isfinite(loss).all()
    assert (loss >= 0).all()


@SETTINGS
@given(batch=batches())
def test_without_gamma_and_alpha_it_is_binary_crossentropy(batch):
    labels, logits = (part.astype("float64") for part in batch)
    expected = np.mean(np.logaddexp(0, np.where(labels == 1, -logits, logits)), axis=-1)
    np.testing.assert_allclose(loss_of(*batch, alpha=None, gamma=0.0), expected, rtol=1e-5, atol=1e-7)


@SETTINGS
@given(batch=batches(), gamma=gammas, data=st.data())
def test_the_order_of_the_labels_does_not_matter(batch, gamma, data):
    labels, logits = batch
    order = data.draw(st.permutations(range(logits.shape[-1])))
    weights = data.draw(st.lists(fractions, min_size=len(order), max_size=len(order)))
    np.testing.assert_allclose(
        loss_of(labels[..., order], logits[..., order], gamma=gamma, alpha=[weights[one] for one in order]),
        loss_of(labels, logits, gamma=gamma, alpha=weights),
        rtol=1e-5,
        atol=1e-12,
    )


@SETTINGS
@given(batch=batches(), alpha=fractions, gamma=gammas)
def test_swapping_positives_and_negatives_swaps_alpha(batch, alpha, gamma):
    labels, logits = batch
    np.testing.assert_allclose(
        loss_of(1 - labels, -logits, alpha=1 - alpha, gamma=gamma),
        loss_of(labels, logits, alpha=alpha, gamma=gamma),
        rtol=1e-4,
        atol=1e-6,
    )


@SETTINGS
@given(batch=batches(), low=gammas, more=st.floats(0, 4, width=32))
def test_more_gamma_never_costs_more(batch, low, more):
    higher = loss_of(*batch, alpha=None, gamma=low + more)
    assert (higher <= loss_of(*batch, alpha=None, gamma=low) * (1 + 1e-5) + 1e-12).all()


@SETTINGS
@given(batch=batches(most=8.0), gamma=gammas)
def test_probabilities_and_their_logits_cost_the_same(batch, gamma):
    labels, logits = batch
    probabilities = (1 / (1 + np.exp(-logits.astype("float64")))).astype("float32")
    from_probabilities = keras.ops.convert_to_numpy(kplug.focal_loss(labels, probabilities, gamma=gamma))
    np.testing.assert_allclose(from_probabilities, loss_of(labels, logits, gamma=gamma), rtol=5e-3, atol=1e-6)
