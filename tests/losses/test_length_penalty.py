"""Length penalties: values against a loop over the tokens, and gradients where sequences end at once or never."""

import keras
import numpy as np
import oracles
import pytest

import kplug

RNG = np.random.default_rng(2)
TOKENS = np.array([[1, 2, 3, 0, 0], [2, 2, 1, 3, 1], [0, 0, 0, 0, 0], [3, 1, 1, 1, 2]])
LOGITS = RNG.normal(size=(4, 5, 4))


@pytest.mark.parametrize("options", [{}, {"end_id": 3}, {"padding_id": None, "end_id": 3}], ids=str)
@pytest.mark.parametrize("alpha", [0.0, 0.1, 2.0])
def test_values_are_cross_entropy_plus_the_squared_difference_of_lengths(alpha, options):
    found = kplug.length_penalty_loss(TOKENS, LOGITS.astype("float32"), alpha=alpha, **options)
    expected = [
        oracles.length_penalty(tokens, logits, alpha, **options) for tokens, logits in zip(TOKENS, LOGITS, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_probabilities_give_what_their_logits_give():
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(
        kplug.length_penalty_loss(TOKENS, probabilities.astype("float32"), from_logits=False, end_id=3),
        kplug.length_penalty_loss(TOKENS, LOGITS.astype("float32"), end_id=3),
        rtol=1e-5,
    )


@pytest.mark.parametrize("options", [{}, {"end_id": 3}, {"from_logits": False}], ids=str)
@pytest.mark.parametrize("winner", [0, 1, 3])
def test_gradients_are_finite_for_certain_predictions(options, winner, gradient):
    certain = np.eye(4)[np.full((4, 5), winner)]
    predictions = certain if "from_logits" in options else 1e4 * (2 * certain - 1)
    found = gradient(lambda x: kplug.length_penalty_loss(TOKENS, x, **options), predictions.astype("float32"))
    assert np.isfinite(found).all()


def test_a_sequence_expected_too_long_is_pushed_to_end_earlier(gradient):
    logits = np.zeros((1, 5, 4), "float32")
    target = np.array([[1, 0, 0, 0, 0]])
    found = gradient(lambda x: kplug.length_penalty_loss(target, x, alpha=1.0), logits)
    assert (found[0, 1:, 0] < 0).all()


def test_a_mask_on_the_predictions_does_not_change_the_loss():
    inputs = keras.Input((5,), dtype="int32")
    hidden = keras.layers.Embedding(4, 3, mask_zero=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(4)(hidden))
    model.compile("sgd", kplug.LengthPenaltyLoss())
    logits = model.predict(TOKENS, verbose=0)
    expected = float(keras.ops.mean(kplug.length_penalty_loss(TOKENS, logits)))
    assert model.evaluate(TOKENS, TOKENS, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_the_decoding_penalty_is_wus():
    lengths = np.array([1, 2, 5, 10, 50])
    for alpha in (0.0, 0.6, 1.0):
        expected = [((5 + length) / 6) ** alpha for length in lengths]
        np.testing.assert_allclose(kplug.length_penalty(lengths, alpha), expected, rtol=1e-6)


def test_banned_tokens_cost_nothing_where_they_are_not_meant(gradient):
    tokens = np.array([[1, 2, 0]])
    logits = np.random.default_rng(0).normal(size=(1, 3, 5))
    logits[..., 4] = -np.inf
    found = kplug.length_penalty_loss(tokens, logits)
    expected = kplug.length_penalty_loss(tokens, logits[..., :4])
    assert float(found[0]) == pytest.approx(float(expected[0]), rel=1e-5)
    assert np.isfinite(gradient(lambda z: kplug.length_penalty_loss(tokens, z), logits)).all()
