"""The algorithms' losses and their gradients, against the papers' formulas in float64."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from float64_networks import (
    dense,
    exact,
    log_density,
    policy_variables,
    policy_weights,
    standardized,
    with_random_weights,
)
from keras import ops

import kplug

STATE_DIM, ACTION_DIM, SIZE = 3, 2, 16
BOUNDS = {"action_low": [-2.0, 0.5], "action_high": [2.0, 3.5]}
DISCOUNT, CLIP, TEMPERATURE = 0.9, 0.2, 0.3


def relu(values):
    return np.maximum(values, 0)


def drawn(shapes, seed=1):
    random = np.random.default_rng(seed)
    return {name: random.normal(size=(SIZE, *shape)).astype("float32") for name, shape in shapes.items()}


def losses(model, batch):
    """Return the loss and the logged numbers on NumPy."""
    loss, logs = model.losses({name: ops.convert_to_tensor(values) for name, values in batch.items()})
    return {name: float(ops.convert_to_numpy(value)) for name, value in {"loss": loss, **logs}.items()}


def gradients(gradient, model, batch, variables, term="loss"):
    """Return the gradients of the loss, or of one logged number, by variables."""
    batch = {name: ops.convert_to_tensor(values) for name, values in batch.items()}
    ends = np.cumsum([0, *(int(np.prod(one.shape)) for one in variables)]).tolist()
    parts = [(slice(*part), tuple(one.shape)) for part, one in zip(itertools.pairwise(ends), variables, strict=True)]

    def function(flat):
        values = [ops.reshape(flat[part], shape) for part, shape in parts]
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            loss, logs = model.losses(batch)
        return loss if term == "loss" else logs[term]

    # By all at once, which is much faster than one after the other.
    found = gradient(function, np.concatenate([ops.convert_to_numpy(one).ravel() for one in variables]))
    return [found[part].reshape(shape) for part, shape in parts]


def slopes(function, weights, step=1e-6):
    """Return the gradient of a function of a list of float64 arrays, by central differences."""
    found = [np.zeros_like(one) for one in weights]
    for number, one in enumerate(weights):
        for index in np.ndindex(one.shape):
            at = one[index]
            sides = []
            for sign in (1, -1):
                one[index] = at + sign * step
                sides.append(function(weights))
            one[index] = at
            found[number][index] = (sides[0] - sides[1]) / (2 * step)
    return found


def assert_logged(found, wanted):
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-4, err_msg=name)


def assert_all_close(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-5)


def reached(gradient, model, batch, groups, term):
    """Return the names of the groups of variables that the gradient of a logged number is not zero in."""
    names = [name for name, group in groups.items() for _ in group]
    found = gradients(gradient, model, batch, [one for group in groups.values() for one in group], term)
    return {name for name, one in zip(names, found, strict=True) if np.any(one != 0)}


def density_of(batch, policy):
    """Log-densities of the batch's actions before squashing, under a policy of these weights."""
    *network, log_std = policy
    mean = dense(network, np.float64(batch["states"]), np.tanh)
    return log_density(np.float64(batch["unsquashed"]), mean, log_std)


def entropy_of(policy):
    return np.sum(policy[-1] + 0.5 * np.log(2 * np.pi * np.e))


def on_policy(algorithm, **arguments):
    model = with_random_weights(algorithm(STATE_DIM, ACTION_DIM, units=(4,), entropy_weight=0.0, seed=0, **arguments))
    shapes = {"states": (STATE_DIM,), "unsquashed": (ACTION_DIM,), "noise": (ACTION_DIM,), "advantages": ()}
    return model, drawn(shapes)


def ppo():
    model, batch = on_policy(kplug.PPO, clip=CLIP)
    batch["returns"] = batch["advantages"] + 1
    # The ratio of the densities is near one, far above, and far below, for good actions and for bad ones.
    moved = np.tile([0.05, 0.5, -0.1, -0.7], SIZE // 4)
    batch["log_density"] = np.float32(density_of(batch, policy_weights(model.policy)) - moved)
    return model, batch


def ppo_terms(batch, policy, critic):
    """Schulman et al. (2017), equation 7, with standardised advantages, and the squared error of values."""
    arrays = {name: np.float64(values) for name, values in batch.items()}
    ratios = np.exp(density_of(batch, policy) - arrays["log_density"])
    advantages = (arrays["advantages"] - arrays["advantages"].mean()) / arrays["advantages"].std()
    gains = [
        min(ratio * advantage, min(max(ratio, 1 - CLIP), 1 + CLIP) * advantage)
        for ratio, advantage in zip(ratios, advantages, strict=True)
    ]
    values = dense(critic, arrays["states"], np.tanh)[:, 0]
    return {
        "policy_loss": -np.mean(gains),
        "value_loss": np.mean((values - arrays["returns"]) ** 2),
        "critic_value": values.mean(),
        "entropy": entropy_of(policy),
        "clipped": np.mean([not 1 - CLIP <= ratio <= 1 + CLIP for ratio in ratios]),
    }


def test_ppos_loss_is_the_clipped_objective_and_half_the_squared_error_of_values():
    model, batch = ppo()
    wanted = ppo_terms(batch, policy_weights(model.policy), exact(model.critic.weights))
    assert wanted["clipped"] == 0.5
    wanted["loss"] = wanted["policy_loss"] + 0.5 * wanted["value_loss"]
    assert_logged(losses(model, batch), wanted)


def test_ppos_gradient_is_that_of_the_clipped_objective(gradient):
    model, batch = ppo()
    policy, critic = policy_weights(model.policy), exact(model.critic.weights)
    assert_all_close(
        gradients(gradient, model, batch, policy_variables(model.policy)),
        slopes(lambda weights: ppo_terms(batch, weights, critic)["policy_loss"], policy),
    )
    assert_all_close(
        gradients(gradient, model, batch, model.critic.weights),
        slopes(lambda weights: 0.5 * ppo_terms(batch, policy, weights)["value_loss"], critic),
    )


def test_ppos_terms_reach_the_policy_and_the_values_apart(gradient):
    model, batch = ppo()
    groups = {"policy": policy_variables(model.policy), "critic": model.critic.weights}
    assert reached(gradient, model, batch, groups, "policy_loss") == {"policy"}
    assert reached(gradient, model, batch, groups, "value_loss") == {"critic"}


def test_steps_that_are_moved_far_enough_move_the_policy_no_further(gradient):
    model, batch = ppo()
    good = np.arange(SIZE) % 2 == 0
    batch["advantages"] = np.where(good, 1.0, -1.0).astype("float32")
    now = density_of(batch, policy_weights(model.policy))
    batch["log_density"] = np.float32(now - np.where(good, 0.3, -0.3))
    assert all(np.all(one == 0) for one in gradients(gradient, model, batch, policy_variables(model.policy)))
    # Moved the wrong way they are brought back, however far that is.
    batch["log_density"] = np.float32(now + np.where(good, 0.3, -0.3))
    assert all(np.any(one != 0) for one in gradients(gradient, model, batch, policy_variables(model.policy)))


def reinforce():
    model, batch = on_policy(kplug.Reinforce)
    # The last rows are padding, whatever stands in them.
    batch |= {"weights": np.float32([1] * 10 + [0] * 6), "baseline_error": np.float32([0.25] * 10 + [9] * 6)}
    return model, batch


def reinforce_terms(batch, policy):
    """Williams (1992): the mean of the advantages times the log-densities, over the rows that are steps."""
    gains = (np.float64(batch["advantages"]) * density_of(batch, policy))[:10]
    return {"policy_loss": -gains.mean(), "entropy": entropy_of(policy), "baseline_error": 0.25}


def test_reinforces_loss_and_gradient_are_those_of_the_steps_weighted_by_their_advantages(gradient):
    model, batch = reinforce()
    wanted = reinforce_terms(batch, policy_weights(model.policy))
    wanted["loss"] = wanted["policy_loss"]
    assert_logged(losses(model, batch), wanted)
    assert_all_close(
        gradients(gradient, model, batch, policy_variables(model.policy)),
        slopes(lambda weights: reinforce_terms(batch, weights)["policy_loss"], policy_weights(model.policy)),
    )


def moved_by_a_small_step(gradient, model, batch):
    """Return by how much the log-densities of a batch's actions grow."""
    uphill = gradients(gradient, model, batch, policy_variables(model.policy))
    before = policy_weights(model.policy)
    after = [weight - 1e-3 * slope for weight, slope in zip(before, uphill, strict=True)]
    return density_of(batch, after) - density_of(batch, before)


def only(batch, rows, advantages):
    """Return a batch of some of its rows again and again, with these advantages."""
    again = np.arange(SIZE) % len(rows)
    rows = {name: values[rows][again] for name, values in batch.items()}
    return {**rows, "advantages": np.float32(advantages)[again]}


def test_ppo_makes_the_better_action_more_probable_and_the_worse_one_less(gradient):
    model, batch = ppo()
    batch = only(batch, [0, 1], [3.0, 1.0])
    batch["log_density"] = np.float32(density_of(batch, policy_weights(model.policy)))
    better, worse = moved_by_a_small_step(gradient, model, batch)[:2]
    assert better > 0 > worse


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_reinforce_makes_an_action_more_probable_where_it_earned_more_than_expected(gradient, advantage):
    model, batch = reinforce()
    moved = moved_by_a_small_step(gradient, model, only(batch, [0], [advantage]))
    assert np.all(np.sign(moved) == advantage)


def soft_actor_critic(bounded=True, target_entropy=None):
    model = kplug.SoftActorCritic(
        STATE_DIM,
        ACTION_DIM,
        units=(4,),
        discount=DISCOUNT,
        target_entropy=target_entropy,
        seed=0,
        **(BOUNDS if bounded else {}),
    )
    with_random_weights(model)
    model.log_temperature.assign(np.log(TEMPERATURE))
    batch = drawn(
        {
            **dict.fromkeys(("states", "next_states"), (STATE_DIM,)),
            **dict.fromkeys(("actions", "noise", "next_noise"), (ACTION_DIM,)),
            "rewards": (),
        }
    )
    batch["terminated"] = np.float32(np.arange(SIZE) % 4 == 3)
    return model, batch


def sac_weights(model):
    return {
        "policy": policy_weights(model.policy),
        "critics": exact(model.critics.weights),
        "targets": exact(model.targets.weights),
    }


def sac_variables(model):
    return {
        "policy": policy_variables(model.policy),
        "critics": model.critics.weights,
        "targets": model.targets.weights,
        "temperature": [model.log_temperature],
    }


def sac_terms(model, batch, policy, critics, targets, wanted=None):
    """Haarnoja et al. (2018), equations 5 to 9 and 18, with log-densities of actions between -1 and 1.

    `wanted` are the critics' targets, where they are to be other ones than those of these weights.
    """
    arrays = {name: np.float64(values) for name, values in batch.items()}
    states, next_states = (standardized(model, arrays[name]) for name in ("states", "next_states"))

    def acting(states, noise):
        *network, kernel, bias = policy
        features = relu(states @ network[0] + network[1])
        mean, log_std = features @ network[2] + network[3], features @ kernel + bias
        unsquashed = mean + np.exp(log_std) * noise
        density = log_density(unsquashed, mean, log_std)
        if not model.policy.squash:
            return unsquashed, density
        return np.tanh(unsquashed), density - np.log(1 - np.tanh(unsquashed) ** 2).sum(axis=1)

    def values(weights, states, actions):
        both = np.concatenate([states, actions], axis=1)
        half = len(weights) // 2
        return [dense(part, both, relu)[:, 0] for part in (weights[:half], weights[half:])]

    following, following_density = acting(next_states, arrays["next_noise"])
    if wanted is None:
        soft_value = np.minimum(*values(targets, next_states, following)) - TEMPERATURE * following_density
        wanted = arrays["rewards"] + DISCOUNT * np.where(arrays["terminated"] == 1, 0, soft_value)
    found = values(critics, states, arrays["actions"])
    actions, density = acting(states, arrays["noise"])
    return {
        "wanted": wanted,
        "critic_loss": sum(np.mean(0.5 * (value - wanted) ** 2) for value in found),
        "actor_loss": np.mean(TEMPERATURE * density - np.minimum(*values(critics, states, actions))),
        "critic_value": found[0].mean(),
        "entropy": -density.mean(),
        "temperature": TEMPERATURE,
    }


@pytest.mark.parametrize("bounded", [True, False])
def test_the_soft_actor_critics_losses_are_those_of_the_paper(bounded):
    model, batch = soft_actor_critic(bounded)
    wanted = sac_terms(model, batch, **sac_weights(model))
    del wanted["wanted"]
    # What is learned is the temperature's logarithm. The target of the entropy is minus the number of actions.
    temperature_loss = np.log(TEMPERATURE) * (wanted["entropy"] + ACTION_DIM)
    wanted["loss"] = wanted["critic_loss"] + wanted["actor_loss"] + temperature_loss
    assert_logged(losses(model, batch), wanted)


def test_each_network_of_the_soft_actor_critic_has_the_gradient_of_its_own_loss(gradient):
    model, batch = soft_actor_critic()
    variables, weights = sac_variables(model), sac_weights(model)
    wanted = sac_terms(model, batch, **weights)["wanted"]

    def of(name, part):
        return slopes(
            lambda changed: sac_terms(model, batch, **{**weights, part: changed}, wanted=wanted)[name], weights[part]
        )

    assert_all_close(gradients(gradient, model, batch, variables["policy"]), of("actor_loss", "policy"))
    assert_all_close(gradients(gradient, model, batch, variables["critics"]), of("critic_loss", "critics"))
    assert all(np.all(one == 0) for one in gradients(gradient, model, batch, variables["targets"]))


def test_the_soft_actor_critics_terms_reach_one_network_each(gradient):
    model, batch = soft_actor_critic()
    groups = sac_variables(model)
    assert reached(gradient, model, batch, groups, "critic_loss") == {"critics"}
    assert reached(gradient, model, batch, groups, "actor_loss") == {"policy"}


@pytest.mark.parametrize("surplus", [0.5, -0.5])
def test_the_temperature_falls_while_there_is_more_entropy_than_wanted(gradient, surplus):
    model, batch = soft_actor_critic()
    entropy = sac_terms(model, batch, **sac_weights(model))["entropy"]
    model, batch = soft_actor_critic(target_entropy=entropy - surplus)
    (found,) = gradients(gradient, model, batch, [model.log_temperature])
    np.testing.assert_allclose(found, surplus, rtol=1e-3)
