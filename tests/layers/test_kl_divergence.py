"""The KL layer: what it adds to the loss, free bits, and its annealing in compiled training."""

import keras
import numpy as np
import pytest

import kplug

RNG = np.random.default_rng(0)
MEAN, LOG_VAR = RNG.normal(size=(2, 6, 3)).astype("float32")
BY_DIMENSION = 0.5 * (np.exp(LOG_VAR) - 1 - LOG_VAR + MEAN**2)


def added(layer, **options):
    layer([MEAN, LOG_VAR], **options)
    return float(layer.losses[0])


def test_it_adds_the_batch_mean_of_the_sum_over_dimensions():
    assert added(kplug.KLDivergence(beta=2.0)) == pytest.approx(2 * BY_DIMENSION.sum(axis=1).mean(), rel=1e-5)


def test_the_prior_may_have_a_mean_and_a_variance():
    prior_mean, prior_log_var = [0.5, -0.5, 1.0], [0.2, 0.0, -1.0]
    ratio = np.exp(LOG_VAR - prior_log_var)
    expected = 0.5 * (ratio - 1 - np.log(ratio) + (MEAN - prior_mean) ** 2 / np.exp(prior_log_var))
    layer = kplug.KLDivergence(prior_mean=prior_mean, prior_log_var=prior_log_var)
    assert added(layer) == pytest.approx(expected.sum(axis=1).mean(), rel=1e-5)


def test_free_bits_are_by_dimension():
    free = float(np.median(BY_DIMENSION.mean(axis=0)))
    expected = np.maximum(free, BY_DIMENSION.mean(axis=0)).sum()
    assert added(kplug.KLDivergence(free_bits=free)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("cycles", "weights"), [(1, [0, 0.25, 0.5, 0.75, 1, 1]), (2, [0, 1, 0, 1, 1, 1])], ids=["once", "in cycles"]
)
def test_the_weight_is_annealed_by_training_steps_also_compiled(cycles, weights):
    inputs = [keras.Input((3,)), keras.Input((3,))]
    mean, log_var = kplug.KLDivergence(annealing_steps=4, cycles=cycles)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Concatenate()([mean, log_var])))
    model.compile(keras.optimizers.SGD(0.0), loss=lambda y_true, y_pred: 0 * y_pred[:, 0])
    history = model.fit([MEAN, LOG_VAR], np.zeros((6, 1)), batch_size=6, epochs=6, verbose=0).history["loss"]
    full = BY_DIMENSION.sum(axis=1).mean()
    np.testing.assert_allclose(history, np.array(weights) * full, rtol=1e-4, atol=1e-6)
    assert model.evaluate([MEAN, LOG_VAR], np.zeros((6, 1)), batch_size=6, verbose=0) == pytest.approx(full, rel=1e-4)


def test_extreme_log_variances_are_finite():
    for size in (-50.0, 50.0):
        layer = kplug.KLDivergence()
        layer([MEAN, np.full_like(MEAN, size)])
        assert np.isfinite(float(layer.losses[0]))


def test_free_bits_are_charged_for_steps_that_there_are():
    mask = np.zeros((6, 10), "bool")
    mask[:, :2] = True
    mask[0, 1] = False
    same = np.zeros((6, 10, 4), "float32")
    layer = kplug.KLDivergence(free_bits=0.5)
    layer([same, same], mask=[mask, None])
    # Four dimensions of two steps, the second one in five samples of six.
    assert float(layer.losses[0]) == pytest.approx(4 * 0.5 * (1 + 5 / 6), rel=1e-5)


def test_masked_steps_of_a_sequence_do_not_count():
    mask = np.array([[True, False], [True, True], [False, False]])
    mean, log_var = MEAN.reshape(3, 2, 3), LOG_VAR.reshape(3, 2, 3)
    layer = kplug.KLDivergence()
    layer([mean, log_var], mask=[mask, None])
    expected = (BY_DIMENSION.reshape(3, 2, 3).sum(axis=-1) * mask).sum() / 2  # samples that have a step
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-5)
