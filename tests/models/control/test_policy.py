"""The policy: densities against TensorFlow Probability and float64, acting, logged data, a plain Keras copy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

import kplug
from kplug.errors import ParameterError
from kplug.models.control.policy import ContinuousPolicy
from kplug.models.control.squashed_gaussian import log_tanh_slope
from kplug.testing import check_model

LOW, HIGH = np.array([-2.0, 0.5]), np.array([2.0, 3.5])
STATES = np.random.default_rng(0).normal(size=(7, 3)).astype("float32")
on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow Probability")


def small_policy(**arguments) -> ContinuousPolicy:
    return ContinuousPolicy(3, 2, **{"units": (8,), "action_low": LOW, "action_high": HIGH, "seed": 1, **arguments})


def exact_log_prob(unsquashed, mean, log_std):
    """The formula in float64, with 1 - tanh(u)^2 = 4 / (exp(u) + exp(-u))^2 in the form that nothing cancels in."""
    u, mean, log_std = (np.asarray(part, "float64") for part in (unsquashed, mean, log_std))
    gaussian = -0.5 * ((u - mean) / np.exp(log_std)) ** 2 - log_std - 0.5 * np.log(2 * np.pi)
    slope = np.log(4.0) - 2 * np.logaddexp(u, -u)
    return (gaussian - slope - np.log((HIGH - LOW) / 2)).sum(axis=-1)


def test_log_probabilities_are_the_exact_formulas_up_to_20():
    policy = small_policy()
    mean, log_std = (ops.convert_to_numpy(part) for part in policy(STATES))
    for size in (0.0, 0.1, 1.0, 5.0, 10.0, 20.0):
        unsquashed = np.full((7, 2), size, "float32") * [1, -1]
        found = ops.convert_to_numpy(policy.log_prob_unsquashed(STATES, unsquashed))
        np.testing.assert_allclose(found, exact_log_prob(unsquashed, mean, log_std), rtol=1e-6, atol=1e-5)


def test_the_slope_of_tanh_has_its_gradient_everywhere(gradient):
    unsquashed = np.array([-1e4, -20, -5, -1e-3, 0, 1e-3, 5, 20, 1e4], "float32")
    found = ops.convert_to_numpy(gradient(log_tanh_slope, unsquashed))
    np.testing.assert_allclose(found, -2 * np.tanh(unsquashed.astype("float64")), rtol=1e-5, atol=1e-6)


def test_log_probabilities_of_actions_undo_the_squashing():
    policy = small_policy()
    mean, log_std = (ops.convert_to_numpy(part) for part in policy(STATES))
    for size in (0.0, 1.0, 5.0):
        actions = ops.convert_to_numpy(policy.squashed(np.full((7, 2), size, "float32")))
        exact = 0.5 * np.log((actions.astype("float64") - LOW) / (HIGH - actions.astype("float64")))
        found = ops.convert_to_numpy(policy.log_prob(STATES, actions))
        np.testing.assert_allclose(found, exact_log_prob(exact, mean, log_std), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("squash", [True, False])
def test_a_drawn_action_has_the_log_probability_that_comes_with_it(squash):
    policy = small_policy(squash=squash, **({} if squash else {"action_low": None, "action_high": None}))
    actions, log_prob = policy.sample_action(STATES)
    assert tuple(actions.shape) == (7, 2) and tuple(log_prob.shape) == (7,)
    np.testing.assert_allclose(
        ops.convert_to_numpy(policy.log_prob(STATES, actions)), ops.convert_to_numpy(log_prob), rtol=1e-4, atol=1e-4
    )


def test_actions_on_the_bounds_have_finite_log_probabilities_and_gradients(gradient):
    policy = small_policy()
    actions = np.stack([LOW, HIGH]).astype("float32")
    assert np.isfinite(ops.convert_to_numpy(policy.log_prob(STATES[:2], actions))).all()
    found = gradient(lambda states: policy.log_prob(states, ops.convert_to_tensor(actions)), STATES[:2])
    assert np.isfinite(ops.convert_to_numpy(found)).all()


@on_tensorflow
def test_log_probabilities_are_those_of_tensorflow_probability():
    import tensorflow_probability as tfp

    policy = small_policy()
    mean, log_std = (ops.convert_to_numpy(part).astype("float64") for part in policy(STATES))
    tfb, tfd = tfp.bijectors, tfp.distributions
    peer = tfd.TransformedDistribution(
        tfd.MultivariateNormalDiag(mean, np.exp(log_std)),
        tfb.Chain([tfb.Shift((HIGH + LOW) / 2), tfb.Scale((HIGH - LOW) / 2), tfb.Tanh()]),
    )
    for size in (0.3, 2.0, 5.0):
        unsquashed = np.linspace(-size, size, 14).reshape(7, 2).astype("float32")
        actions = peer.bijector.forward(unsquashed.astype("float64")).numpy()
        found = policy.log_prob_unsquashed(STATES, unsquashed).numpy()
        np.testing.assert_allclose(found, peer.log_prob(actions).numpy(), atol=1e-5, rtol=1e-6)
    actions, log_prob = policy.sample_action(STATES)
    np.testing.assert_allclose(policy.distribution(STATES).log_prob(actions), log_prob, atol=1e-4)
    without = small_policy(squash=False, action_low=None, action_high=None)
    np.testing.assert_allclose(without.distribution(STATES).entropy(), without.entropy(STATES), rtol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch has no TensorFlow Probability")
def test_where_there_is_no_tensorflow_probability_the_error_says_so():
    with pytest.raises(ParameterError, match="TensorFlow Probability"):
        small_policy().distribution(STATES)


def test_the_entropy_is_the_gaussians():
    policy = small_policy(state_dependent_std=False, initial_log_std=0.5)
    exact = 2 * (0.5 + 0.5 * np.log(2 * np.pi * np.e))
    np.testing.assert_allclose(ops.convert_to_numpy(policy.entropy(STATES)), np.full(7, exact), rtol=1e-6)


def test_the_log_standard_deviation_stays_within_its_bounds():
    policy = small_policy(state_dependent_std=False, log_std_bounds=(-1.0, 1.0))
    policy.log_std.assign([-5.0, 5.0])
    np.testing.assert_allclose(ops.convert_to_numpy(policy(STATES)[1]), np.tile([-1.0, 1.0], (7, 1)))


def test_acting_on_numpy_is_the_middle_of_the_distribution():
    policy = small_policy(activation="tanh")
    policy.state_mean.assign([1.0, 2.0, 3.0])
    policy.state_scale.assign([2.0, 0.5, 1.0])
    exact = ops.convert_to_numpy(policy.squashed(policy(STATES)[0]))
    np.testing.assert_allclose(policy.act(STATES), exact, rtol=1e-5, atol=1e-6)
    assert policy.act(STATES[0]).shape == (2,)
    drawn = np.stack([policy.act(STATES[0], deterministic=False) for _ in range(20)])
    assert drawn.std(axis=0).min() > 0.1 and (drawn >= LOW).all() and (drawn <= HIGH).all()
    with pytest.raises(ValueError, match=r"\(3,\) or several"):
        policy.act(np.zeros(4))


def test_the_plain_keras_model_acts_alike_and_needs_no_kplug(tmp_path):
    policy = small_policy(seed=3)
    policy.state_mean.assign([1.0, 2.0, 3.0])
    policy.state_scale.assign([2.0, 0.5, 1.0])
    plain = policy.as_keras_model()
    np.testing.assert_allclose(plain.predict(STATES, verbose=0), policy.act(STATES), rtol=1e-4, atol=1e-5)
    plain.save(tmp_path / "plain.keras")
    registered = keras.saving.get_custom_objects()
    kept = {name: registered.pop(name) for name in list(registered) if name.startswith("kplug>")}
    try:
        again = keras.saving.load_model(tmp_path / "plain.keras")
    finally:
        registered.update(kept)
    np.testing.assert_array_equal(again.predict(STATES, verbose=0), plain.predict(STATES, verbose=0))


def test_logged_data_teach_the_policy_what_earned_most():
    keras.utils.set_random_seed(0)  # the order in which `fit` goes through them
    random = np.random.default_rng(0)
    states = random.normal(size=(400, 3)).astype("float32")
    actions = random.uniform(LOW, HIGH, size=(400, 2)).astype("float32")
    # Actions near the middle of the upper half of the bounds earn one, the others nothing.
    wanted = np.array([1.0, 2.75])
    rewards = (np.abs(actions - wanted) < 0.5).all(axis=1).astype("float32")
    policy = small_policy()
    policy.compile(keras.optimizers.Adam(0.01))
    before = float(ops.convert_to_numpy(policy.policy_gradient_loss(states, actions, rewards)))
    policy.fit(states, actions, sample_weight=rewards, epochs=30, batch_size=50, verbose=0)
    assert float(ops.convert_to_numpy(policy.policy_gradient_loss(states, actions, rewards))) < before
    np.testing.assert_allclose(policy.act(states[:50]).mean(axis=0), wanted, atol=0.2)


def test_the_loss_in_fit_is_the_policy_gradient_loss():
    policy = small_policy()
    actions = ops.convert_to_numpy(policy.sample_action(STATES)[0])
    rewards = np.linspace(-1, 1, 7).astype("float32")
    policy.compile("sgd")
    found = policy.evaluate(STATES, actions, sample_weight=rewards, verbose=0)
    exact = ops.convert_to_numpy(policy.policy_gradient_loss(STATES, actions, rewards))
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"action_low": [-np.inf, 0]}, "2 finite numbers"),
        ({"action_low": [0]}, "2 finite numbers"),
        ({"action_low": [5, 5]}, "2 finite numbers"),
        ({"squash": False}, "no bounds"),
        ({"units": [0]}, "`units`"),
        ({"log_std_bounds": (1, -1)}, "`log_std_bounds`"),
        ({"activation": "gelu"}, "`activation`"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        small_policy(**arguments)


@pytest.mark.slow
def test_the_policy_works_in_every_way_kplug_uses_a_model(other_backends):
    random = np.random.default_rng(0)
    states, actions = random.normal(size=(12, 3)).astype("float32"), random.uniform(LOW, HIGH, (12, 2))
    data = kplug.Dataset(train=(states, actions.astype("float32")))
    check_model(small_policy, data, compiled=False, backends=other_backends)
