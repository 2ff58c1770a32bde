"""The algorithms that learn in environments: what they learn, keep, log, leave and refuse."""

from __future__ import annotations

import inspect

import keras
import lqr
import numpy as np
import pytest
from keras import ops
from PIL import Image

import kplug
from kplug.errors import DataError
from kplug.models.control.gradient_steps import compiled, for_fit
from kplug.models.control.replay_buffer import ReplayBuffer
from kplug.testing.resuming import check_resuming

FITTING = ("state_dim", "action_dim", "action_low", "action_high")
SMALL = {
    "SoftActorCritic": {"units": (8,), "batch_size": 8, "random_steps": 20},
    "PPO": {"units": (8,), "rollout_steps": 60, "batch_size": 20, "passes": 2},
    "Reinforce": {"units": (8,), "episodes_per_update": 2},
}
every_algorithm = pytest.mark.parametrize("name", SMALL)


def pendulum(**arguments):
    few = {"steps_per_epoch": 240, "steps_per_block": 60, "evaluation_episodes": 2, "test_episodes": 2, "copies": 2}
    return kplug.datasets.gymnasium("Pendulum-v1", max_episode_steps=30, **{**few, **arguments})


def learner(name, data, **arguments):
    fitting = {one: data.info[one] for one in FITTING}
    model = getattr(kplug, name)(**{**fitting, **SMALL[name], "seed": 0, **arguments})
    model.compile(keras.optimizers.Adam(1e-3))
    return model


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch takes many times as long")
def test_soft_actor_critic_learns_to_hold_the_pendulum():
    keras.utils.set_random_seed(0)
    data = kplug.datasets.pendulum(copies=2, steps_per_block=100, steps_per_epoch=8000, test_episodes=20)
    model = learner("SoftActorCritic", data, units=(64, 64), batch_size=128, random_steps=200)
    model.compile(keras.optimizers.Adam(2e-3))
    model.fit(data.train, epochs=1, verbose=0)
    # Stable-Baselines3 reaches -134 +- 78 after 20,000 steps; acting at random gives -1200.
    assert model.evaluate(data.test, verbose=0, return_dict=True)["return"] > -250


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the losses are compared on every backend")
def test_ppo_learns_to_hold_the_pendulum():
    keras.utils.set_random_seed(0)
    data = kplug.datasets.pendulum(copies=8, steps_per_block=2048, steps_per_epoch=51_200)
    model = learner("PPO", data, units=(64, 64), rollout_steps=2048, batch_size=64, passes=10, discount=0.95)
    model.fit(data.train, epochs=1, verbose=0)
    assert model.evaluate(data.test, verbose=0, return_dict=True)["return"] > -250


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the pipeline is TensorFlow's own")
def test_blocks_are_handed_over_as_they_are_without_a_thread_that_tunes_buffers():
    blocks = pendulum().train
    handed = for_fit(blocks)
    assert handed.options().autotune.enabled is False
    assert len(handed) == len(blocks)
    for block, (numbers, seeds) in zip(blocks, handed, strict=False):
        np.testing.assert_array_equal(block[0], numbers)
        np.testing.assert_array_equal(block[1], seeds)


def lqr_gain_after(model, optimizer, epochs, block=1000):
    lqr.register()
    data = kplug.datasets.gymnasium(lqr.NAME, copies=50, steps_per_block=block, steps_per_epoch=10_000)
    model.compile(optimizer)
    model.fit(data.train, epochs=epochs, verbose=0)
    return -ops.convert_to_numpy(model.policy.mean_head.kernel).T


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the losses are compared on every backend")
def test_reinforce_learns_the_gain_of_the_riccati_equation():
    model = kplug.Reinforce(2, 2, units=(), episodes_per_update=50, discount=lqr.DISCOUNT, initial_log_std=-1.0, seed=0)
    found, best = lqr_gain_after(model, keras.optimizers.Adam(0.01), 14), lqr.best_gain()
    assert np.linalg.norm(found - best) < 0.05 * np.linalg.norm(best)


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the losses are compared on every backend")
def test_ppo_learns_the_gain_of_the_riccati_equation():
    # With less entropy the actions' deviation is gone before the gain is there.
    options = {"rollout_steps": 2000, "batch_size": 200, "initial_log_std": -1.0, "entropy_weight": 0.5}
    model = kplug.PPO(2, 2, linear_policy=True, discount=lqr.DISCOUNT, normalize_observations=False, seed=0, **options)
    slower = keras.optimizers.schedules.PolynomialDecay(0.01, 14 * 5 * 10 * 10, 1e-4)
    found, best = lqr_gain_after(model, keras.optimizers.Adam(slower), 14, block=2000), lqr.best_gain()
    assert np.linalg.norm(found - best) < 0.05 * np.linalg.norm(best)


def solve_by_iteration():
    """The discounted Riccati equation by iterating the Bellman equation, in float64."""
    p = np.zeros((2, 2))
    for _ in range(500):
        k = np.linalg.solve(lqr.R + lqr.DISCOUNT * lqr.B.T @ p @ lqr.B, lqr.DISCOUNT * lqr.B.T @ p @ lqr.A)
        p = lqr.Q + k.T @ lqr.R @ k + lqr.DISCOUNT * (lqr.A - lqr.B @ k).T @ p @ (lqr.A - lqr.B @ k)
    return k


@pytest.mark.neutral
def test_the_gain_that_is_compared_with_solves_the_bellman_equation():
    np.testing.assert_allclose(lqr.best_gain(), solve_by_iteration(), rtol=1e-8)


@every_algorithm
def test_an_algorithm_learns_through_fit_and_its_file_acts_alike(name, tmp_path):
    data = pendulum()
    model = learner(name, data, normalize_observations=True, normalize_rewards=True)
    before = model.policy.get_weights()
    history = model.fit(data.train, epochs=2, validation_data=data.validation, verbose=0).history
    assert set(model.logged) | {
        "environment_steps",
        "return",
        "val_return",
        "val_return_std",
        "val_episode_length",
    } == set(history)
    assert all(np.isfinite(values).all() for values in history.values())
    assert history["val_episode_length"] == [30, 30]
    assert any(not np.array_equal(one, two) for one, two in zip(before, model.policy.get_weights(), strict=True))
    # 480 steps of both copies, standardised by what was seen of them.
    assert float(ops.convert_to_numpy(model.state_count)) == 480
    assert ops.convert_to_numpy(model.policy.state_scale)[2] > 0.1

    model.save(tmp_path / "model.keras")
    again = kplug.load_model(tmp_path / "model.keras")
    states = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    np.testing.assert_array_equal(again.act(states), model.act(states))
    np.testing.assert_allclose(again.predict(states, verbose=0), model.act(states), rtol=1e-4, atol=1e-5)
    assert again.get_config() == model.get_config()
    assert again.evaluate(data.test, verbose=0, return_dict=True) == model.evaluate(
        data.test, verbose=0, return_dict=True
    )
    again.fit(data.train, epochs=1, verbose=0)  # goes on with its optimizer and statistics
    assert float(ops.convert_to_numpy(again.state_count)) == 720


@every_algorithm
def test_a_run_that_is_killed_and_resumed_ends_in_the_same_weights(name):
    data = pendulum()

    def prepared():
        keras.utils.set_random_seed(0)
        model = learner(name, data, normalize_observations=True, normalize_rewards=True)
        return model, {"optimizer": keras.optimizers.Adam(1e-3), "loss": None, "metrics": []}

    check_resuming(prepared, data)


def test_equal_seeds_give_equal_training():
    def trained():
        data = pendulum()
        model = learner("SoftActorCritic", data)
        model.fit(data.train, epochs=1, verbose=0)
        return model.get_weights()

    for one, two in zip(trained(), trained(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_critics_learn_from_the_smaller_target_and_the_targets_follow_slowly():
    model = learner("SoftActorCritic", pendulum(), polyak=0.25, units=(4,))
    random = np.random.default_rng(1)
    batch = {
        name: ops.convert_to_tensor(random.normal(size=shape).astype("float32"))
        for name, shape in {
            "states": (6, 3),
            "next_states": (6, 3),
            "actions": (6, 1),
            "noise": (6, 1),
            "next_noise": (6, 1),
            "rewards": (6,),
        }.items()
    }
    batch["terminated"] = ops.convert_to_tensor(np.float32([0, 0, 0, 1, 1, 0]))
    model.log_temperature.assign(np.log(0.3))
    _, logs = model.losses(batch)
    found = {name: float(ops.convert_to_numpy(value)) for name, value in logs.items()}
    arrays = {name: ops.convert_to_numpy(value).astype("float64") for name, value in batch.items()}
    critics, targets = (
        [np.float64(weight) for weight in part.get_weights()] for part in (model.critics, model.targets)
    )

    def value(weights, number, states, actions):
        first, first_bias, second, second_bias = weights[4 * number : 4 * number + 4]
        hidden = np.maximum(np.concatenate([states, actions], axis=1) @ first + first_bias, 0)
        return (hidden @ second + second_bias)[:, 0]

    def drawn(states, noise):
        """Draw in float64: actions between -1 and 1, and log-densities on that scale."""
        mean, log_std = (part.astype("float64") for part in model.policy.numpy_actor()(states.astype("float32")))
        u = mean + np.exp(log_std) * noise
        density = -0.5 * noise**2 - log_std - 0.5 * np.log(2 * np.pi) - np.log(1 - np.tanh(u) ** 2)
        return np.tanh(u), density.sum(axis=1)

    following, density = drawn(arrays["next_states"], arrays["next_noise"])
    least = np.minimum(*(value(targets, number, arrays["next_states"], following) for number in (0, 1)))
    wanted = arrays["rewards"] + 0.99 * (1 - arrays["terminated"]) * (least - 0.3 * density)
    errors = [value(critics, number, arrays["states"], arrays["actions"]) - wanted for number in (0, 1)]
    np.testing.assert_allclose(found["critic_loss"], 0.5 * sum((error**2).mean() for error in errors), rtol=1e-4)
    actions, density = drawn(arrays["states"], arrays["noise"])
    worth = np.minimum(*(value(critics, number, arrays["states"], actions) for number in (0, 1)))
    np.testing.assert_allclose(found["actor_loss"], (0.3 * density - worth).mean(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found["entropy"], -density.mean(), rtol=1e-4)
    np.testing.assert_allclose(found["temperature"], 0.3, rtol=1e-5)

    model.critics.set_weights([weight + 1 for weight in model.critics.get_weights()])
    before = model.targets.get_weights()
    model.end_step()
    for now, was in zip(model.targets.get_weights(), before, strict=True):
        np.testing.assert_allclose(now, was + 0.25, rtol=1e-5, atol=1e-6)


def test_gradient_steps_are_taken_in_order_one_behind_the_other():
    def drawn(batches):
        random = np.random.default_rng(2)
        shapes = {"states": 3, "next_states": 3, "actions": 1, "noise": 1, "next_noise": 1}
        batch = {name: random.normal(size=(batches, 64, size)) for name, size in shapes.items()}
        batch |= {"rewards": random.normal(size=(batches, 64)), "terminated": np.zeros((batches, 64))}
        return {name: values.astype("float32") for name, values in batch.items()}

    def after(groups):
        model = learner("SoftActorCritic", pendulum(), polyak=0.5, units=(16, 16))
        model.compile(keras.optimizers.SGD(0.1))
        steps, batches = compiled(model, keras.backend.backend() == "jax"), drawn(4)
        for group in groups:
            targets = model.targets.get_weights()
            steps({name: values[group] for name, values in batches.items()})
        if groups[-1] == slice(3, 4):
            # The targets follow the critics as they are after the step.
            for now, was, critic in zip(model.targets.get_weights(), targets, model.critics.get_weights(), strict=True):
                np.testing.assert_allclose(now, was + 0.5 * (critic - was), rtol=1e-5, atol=1e-6)
        return model.get_weights()

    one_by_one = after([slice(number, number + 1) for number in range(4)])
    for together in (after([slice(0, 4)]) for _ in range(3)):
        for one, other in zip(together, one_by_one, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scaling", [False, True])
def test_gradients_are_cut_down_to_their_norm_whatever_the_loss_was_scaled_by(scaling):
    model = kplug.PPO(3, 1, units=(4,), max_gradient_norm=0.5)
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024.0) if scaling else optimizer)
    scale = 1024.0 if scaling else 1.0
    large, small = [np.float32([3, 0]), np.float32([4])], [np.float32([0.1, 0]), np.float32([0.2])]
    found = [
        ops.convert_to_numpy(one) / scale for one in model.limited([ops.convert_to_tensor(g * scale) for g in large])
    ]
    np.testing.assert_allclose(np.concatenate(found), [0.3, 0, 0.4], rtol=1e-4)
    found = [
        ops.convert_to_numpy(one) / scale for one in model.limited([ops.convert_to_tensor(g * scale) for g in small])
    ]
    np.testing.assert_allclose(np.concatenate(found), [0.1, 0, 0.2], rtol=1e-4)


@pytest.mark.neutral
def test_a_full_replay_buffer_keeps_the_newest_steps():
    data = pendulum()
    copies, replay = data.train.copies(), ReplayBuffer(6, 3, 1)
    taken = [copies.step(np.full((2, 1), number / 10)) for number in range(5)]
    for step in taken:
        replay.add(step)
    drawn = replay.draw(np.random.default_rng(0), 40, 5)
    assert len(replay) == 6
    assert set(np.unique(drawn["actions"].round(3)).tolist()) == {np.float32(0.2), np.float32(0.3), np.float32(0.4)}
    assert drawn["states"].shape == (40, 5, 3) and drawn["rewards"].shape == (40, 5)


@pytest.mark.slow
def test_an_algorithm_leaves_pictures_and_one_episode_as_an_animation(tmp_path):
    data = pendulum()
    model = learner("SoftActorCritic", data)
    model.fit(data.train, epochs=1, validation_data=data.validation, verbose=0)
    model.write_artifacts(tmp_path, data)
    assert {path.name for path in tmp_path.iterdir()} == {"returns.png", "learning.png", "actions.png", "episode.gif"}
    with Image.open(tmp_path / "episode.gif") as animation:
        assert animation.n_frames == 30


def test_nan_from_an_environment_ends_the_training(monkeypatch):
    data = pendulum()
    model = learner("SoftActorCritic", data)
    model.attach(data.train)
    environment = model.experience.copies._environments[1].unwrapped
    monkeypatch.setattr(type(environment), "_get_obs", lambda self: np.full(3, np.nan, "float32"))
    with pytest.raises(DataError, match=r"gave the state .*nan.* in step 1 of copy 0"):
        model.fit(data.train, epochs=1, verbose=0)


def test_data_that_are_no_environment_are_refused():
    model = learner("SoftActorCritic", pendulum())
    with pytest.raises(ValueError, match=r"learns in environments.*Received: ndarray"):
        model.fit(np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"has state_dim=3 .*MountainCarContinuous-v0 has state_dim=2"):
        model.fit(kplug.datasets.gymnasium("MountainCarContinuous-v0").train)
    bounds = kplug.SoftActorCritic(3, 1, [-1.0], [1.0], units=(4,))
    bounds.compile()
    with pytest.raises(ValueError, match="action_low"):
        bounds.fit(pendulum().train)


@every_algorithm
def test_parameters_and_losses_that_cannot_be_meant_are_refused(name):
    with pytest.raises(ValueError, match="`discount`"):
        getattr(kplug, name)(3, 1, discount=1.5)
    with pytest.raises(ValueError, match="both `action_low` and `action_high`"):
        getattr(kplug, name)(3, 1, action_low=[-1.0])
    model = getattr(kplug, name)(3, 1, units=(4,))
    with pytest.raises(ValueError, match="computes its own loss"):
        model.compile("adam", "mse")
    with pytest.raises(ValueError, match="metrics of its own"):
        model.compile("adam", metrics=["mse"])


@every_algorithm
@pytest.mark.neutral
def test_what_is_logged_is_documented(name):
    documentation = inspect.getdoc(getattr(kplug, name))
    assert all(f"`{one}`" in documentation for one in getattr(kplug, name).logged)
