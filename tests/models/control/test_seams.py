"""Where things meet: blocks and episodes, rollouts and statistics, interruptions, other data sets, other dtypes."""

from __future__ import annotations

import gymnasium
import keras
import numpy as np
import pytest
from keras import ops
from odd_environments import ONE_STEP, OneStep, Uneven, learner, registered, small_ppo, uneven

import kplug
from kplug.datasets.environment_recipe import EnvironmentRecipe
from kplug.errors import DataError

registered = pytest.fixture(autouse=True)(registered)


def arrays(*values):
    return [ops.convert_to_numpy(value) for value in values]


def test_statistics_are_of_the_states_that_were_acted_in_and_unusual_ones_are_cut_off():
    data = kplug.datasets.gymnasium(ONE_STEP, copies=4, steps_per_block=80, steps_per_epoch=400)
    model = small_ppo(data)
    model.fit(data.train, epochs=1, verbose=0)
    mean, scale = arrays(model.policy.state_mean, model.policy.state_scale)
    assert 4.5 < mean[0] < 5.5 and 1.6 < scale[0] < 2.4
    states = np.float32([[-1e6], [5.0], [1e6]])
    np.testing.assert_allclose(arrays(model.policy.standardized(states))[0][[0, 2], 0], [-10, 10])
    plain = model.as_keras_model()
    np.testing.assert_allclose(plain.predict(states, verbose=0), model.act(states), rtol=1e-4, atol=1e-6)


def test_statistics_go_on_where_a_saved_model_left_them(tmp_path):
    data = kplug.datasets.pendulum(copies=2, steps_per_block=50, steps_per_epoch=200)
    model = learner("SoftActorCritic", data, batch_size=8, normalize_observations=True, normalize_rewards=True)
    model.fit(data.train, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = kplug.load_model(tmp_path / "model.keras")
    again.attach(data.train)
    for name in ("_reward_statistics", "_state_statistics"):
        was, now = getattr(model, name), getattr(again, name)
        assert was.count == now.count == 200
        np.testing.assert_allclose(now.mean, was.mean, rtol=1e-5)
        np.testing.assert_allclose(now.variance, was.variance, rtol=1e-4)
        assert np.abs(was.mean).max() > 0.05


def test_a_rollout_is_learned_from_as_the_networks_saw_it():
    data = kplug.datasets.pendulum(copies=2, steps_per_block=20, steps_per_epoch=40)
    model = small_ppo(data)
    batches = []
    model._gradient_steps = lambda given: batches.append(given) or {name: np.float32(0) for name in model.logged}
    model.fit(data.train, epochs=1, verbose=0)
    (batch,) = batches
    for index in range(len(batch["states"])):
        mean, log_std = arrays(*model.policy.of_standardized(batch["states"][index]))
        noise = (batch["unsquashed"][index] - mean) / np.exp(log_std)
        density = (-0.5 * noise**2 - log_std - 0.5 * np.log(2 * np.pi)).sum(axis=1)
        np.testing.assert_allclose(density, batch["log_density"][index], rtol=1e-4, atol=1e-5)


def test_reinforce_learns_from_whole_episodes_as_many_of_each_copy():
    data = uneven(copies=4)
    model = learner("Reinforce", data, episodes_per_update=6)
    model.attach(data.train)
    taken, take = [], model._rollout.take_episodes
    model._rollout.take_episodes = lambda count: taken.append(take(count)) or taken[-1]
    model.fit(data.train, epochs=2, verbose=0)
    assert len(taken) > 2
    for episodes in taken:
        assert len(episodes) == 8
        for episode in episodes:
            np.testing.assert_array_equal(episode["states"][:, 0], np.arange(len(episode["states"])))
            assert len(set(episode["states"][:, 1].tolist())) == 1
            assert len(episode["states"]) == (9 if episode["states"][0, 1] % 2 else 2)


def test_reinforce_refuses_an_environment_whose_episodes_do_not_end(monkeypatch):
    monkeypatch.setattr("kplug.models.control.reinforce._MOST_EPISODE_STEPS", 100)
    monkeypatch.setattr(OneStep, "step", lambda self, action: (np.zeros(1, "float32"), 0.0, False, False, {}))
    gymnasium.register("kplug-tests/Endless-v0", entry_point=OneStep)
    try:
        data = kplug.datasets.gymnasium("kplug-tests/Endless-v0")
        with pytest.raises(DataError, match=r"Endless-v0 has not ended 2 in 250 steps .*max_episode_steps=1000"):
            learner("Reinforce", data, episodes_per_update=2).fit(data.train, verbose=0)
    finally:
        del gymnasium.registry["kplug-tests/Endless-v0"]


@pytest.mark.parametrize("callback", [keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau])
def test_callbacks_that_watch_the_return_know_that_more_is_better(callback):
    data = kplug.datasets.pendulum(steps_per_block=20, steps_per_epoch=20, evaluation_episodes=1)
    watching = callback(monitor="val_return")
    model = learner("SoftActorCritic", data)
    model.fit(data.train, epochs=2, validation_data=data.validation, callbacks=[watching], verbose=0)
    assert watching.monitor_op(2.0, 1.0) and not watching.monitor_op(1.0, 2.0)


def test_where_an_environment_begins_anew_the_steps_before_are_cut_off_from_those_behind():
    data = uneven(copies=2, arguments={"handle": True})
    model = small_ppo(data, rollout_steps=80)
    with pytest.warns(UserWarning, match="cannot be kept in checkpoints"):
        model.fit(data.train, epochs=1, steps_per_epoch=1, verbose=0)
    state = model.training_state()
    again = small_ppo(data, rollout_steps=80)
    with pytest.warns(UserWarning, match="cannot be kept in checkpoints"):
        again.attach(data.train)
    again.restore_training_state(state)
    again.fit(data.train, epochs=1, steps_per_epoch=1, verbose=0)
    done = again._rollout.arrays()["done"]
    assert done.shape == (20, 2)
    assert done[9].tolist() == [1, 1] and not again._rollout.arrays()["terminated"][9].any()


@pytest.mark.parametrize("name", ["PPO", "Reinforce", "SoftActorCritic"])
def test_fit_goes_on_after_an_interruption(name, monkeypatch):
    data = uneven(copies=2)
    model = learner(name, data)
    model.attach(data.train)
    steps, usual = [], Uneven.step

    def interrupted(self, action):
        steps.append(action)
        if len(steps) == 27:
            raise KeyboardInterrupt
        return usual(self, action)

    monkeypatch.setattr(Uneven, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(data.train, epochs=1, verbose=0)
    kept = model.experience.steps
    model.fit(data.train, epochs=1, verbose=0)
    assert model.experience.steps == kept + 120
    if name == "PPO":
        assert model._rollout.arrays()["done"][9].tolist() == [1, 1]


def test_an_equal_data_set_is_the_same_environment_and_another_one_is_entered_anew():
    model = learner("SoftActorCritic", uneven(), batch_size=8, random_steps=10)
    model.fit(uneven().train, epochs=1, verbose=0)
    model.fit(uneven(steps_per_block=40).train, epochs=1, verbose=0)
    assert model.experience.steps == 240 and len(model._replay) == 240
    model.fit(uneven(seed=1).train, epochs=1, verbose=0)
    assert model.experience.steps == 120 and len(model._replay) == 120


def test_nan_at_the_beginning_of_an_episode_names_the_step():
    data = uneven(arguments={"nan_in_reset": 3})
    model = learner("SoftActorCritic", data)
    with pytest.raises(DataError, match=r"gave the state \[nan, nan\] in the reset after step 11 of copy 0"):
        model.fit(data.train, epochs=1, verbose=0)


def test_nothing_is_logged_of_what_was_not_learned_yet():
    data = kplug.datasets.pendulum(steps_per_block=20, steps_per_epoch=60)
    model = small_ppo(data, rollout_steps=120)
    history = model.fit(data.train, epochs=5, verbose=0).history
    assert history["environment_steps"] == [60, 120, 180, 240, 300]
    assert len(history["entropy"]) == 4 and min(history["value_loss"]) > 0
    assert history["entropy"][0] == history["entropy"][1]
    recorded = [one for one in model.experience.curves if "entropy" in one]
    assert [one["step"] for one in recorded] == [120, 240]


def test_splits_in_each_others_place_are_refused_before_anything_is_done():
    data = uneven()
    model = learner("SoftActorCritic", data)
    with pytest.raises(ValueError, match=r"`evaluate` takes the validation or test split .*EnvironmentSteps"):
        model.evaluate(data.train)
    with pytest.raises(ValueError, match=r"`fit` takes the training split .*EvaluationEpisodes"):
        model.fit(data.validation)
    with pytest.raises(ValueError, match=r"`validation_data` takes the validation or test split"):
        model.fit(data.train, validation_data=data.train)
    for on_batch in (model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match=r"not by batches: give `(fit|evaluate)` a split"):
            on_batch(np.zeros((2, 2), "float32"))
    assert model.experience is None


def test_an_argument_of_the_environment_gives_way_to_what_drawing_needs():
    recipe = EnvironmentRecipe("Pendulum-v1", {"render_mode": "human", "g": 9.0})
    environment = recipe.make(render_mode="rgb_array")
    assert (environment.render_mode, environment.unwrapped.g) == ("rgb_array", 9.0)


@pytest.mark.parametrize("std", [0.3, 0.87, 4.0])
def test_the_entropy_of_ppo_is_that_of_the_actions(std):
    model = kplug.PPO(1, 1, [-2.0], [2.0], units=(4,))
    noise = np.random.default_rng(0).standard_normal((200_000, 1)).astype("float32")
    log_std = np.full_like(noise, np.log(std))
    (found,) = arrays(ops.mean(model._entropy(*map(ops.convert_to_tensor, (log_std, 0.4 + std * noise)))))
    u = np.linspace(0.4 - 9 * std, 0.4 + 9 * std, 200_001)
    density = np.exp(-0.5 * ((u - 0.4) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    log_slope = 2 * (np.log(2) - np.abs(u) - np.log1p(np.exp(-2 * np.abs(u))))
    entropy = -np.trapezoid(density * (np.log(np.maximum(density, 1e-300)) - log_slope), u)
    np.testing.assert_allclose(found, entropy, atol=0.02)


def test_a_deviation_beyond_its_bounds_comes_back():
    model = kplug.PPO(1, 2, units=(4,))
    model.policy.log_std.assign(np.float32([5.0, -1.0]))
    model.end_step()
    np.testing.assert_allclose(arrays(model.policy.log_std)[0], [2.0, -1.0])


def test_actions_and_rewards_of_another_shape_or_beyond_the_bounds_are_refused():
    policy = kplug.ContinuousPolicy(2, 1, units=(4,), action_low=[-2.0], action_high=[2.0], seed=0)
    states, actions = np.zeros((5, 2), "float32"), np.linspace(-1.9, 1.9, 5).astype("float32")
    column, flat = arrays(policy.log_prob(states, actions[:, np.newaxis]), policy.log_prob(states, actions))
    np.testing.assert_array_equal(column, flat)
    assert flat.shape == (5,)
    policy.compile("sgd")
    assert np.isfinite(policy.evaluate(states, actions, verbose=0))
    with pytest.raises(ValueError, match=r"action_high=\[2.0\].*Received: 50.0 as number 0 of action 3"):
        policy.log_prob(states, np.float32([0, 0, 0, 50, 0]))
    with pytest.raises(ValueError, match=r"Received: -3.0 as number 0 of action 1"):
        policy.fit(states, np.float32([0, -3, 0, 0, 0]), verbose=0)
    with pytest.raises(ValueError, match=r"shape \(batch_size, 1\). Received: actions of shape \(5, 3\)"):
        policy.log_prob(states, np.zeros((5, 3), "float32"))
    for rewards in (np.ones(4), 1.0, np.ones((5, 5))):
        with pytest.raises(ValueError, match=r"one number for each action, of shape \(5,\)"):
            policy.policy_gradient_loss(states, actions, rewards)
    one, two = arrays(*(policy.policy_gradient_loss(states, actions, np.ones(s)) for s in ((5,), (5, 1))))
    np.testing.assert_allclose(one, two)


def test_states_that_are_not_finite_are_refused():
    policy = kplug.ContinuousPolicy(3, 1, units=(4,), seed=0)
    policy.compile("sgd")
    states, actions = np.zeros((5, 3), "float32"), np.zeros((5, 1), "float32")
    states[2, 1] = np.nan
    for use in (lambda: policy.fit(states, actions), lambda: policy.act(states)):
        with pytest.raises(ValueError, match=r"States must be finite. Received: nan at \[2, 1\]"):
            use()


def test_logged_actions_that_were_cut_off_at_a_bound_do_not_spoil_the_others():
    random = np.random.default_rng(0)
    states = random.normal(size=(500, 2)).astype("float32")
    actions = np.tanh(states[:, :1]).astype("float32")
    logged = actions.copy()
    logged[:25] = 1.0
    errors = {}
    for name, given in (("clean", actions), ("cut off", logged)):
        policy = kplug.ContinuousPolicy(2, 1, units=(32,), seed=0)
        policy.compile(keras.optimizers.Adam(0.01))
        policy.fit(states, given, epochs=15, verbose=0)
        errors[name] = np.abs(policy.act(states[25:]) - actions[25:]).mean()
    assert errors["cut off"] < 0.2, errors


def test_observations_of_several_parts_are_told_how_to_become_a_vector():
    with pytest.raises(ValueError, match=r"gymnasium\.spaces\.flatten"):
        kplug.ContinuousPolicy(2, 1, units=(4,)).act({"position": 1.0, "speed": 2.0})


@pytest.mark.parametrize("log_std", [-4.0, -10.0])
def test_densities_of_draws_are_exact_where_the_deviation_is_small(log_std):
    policy = kplug.ContinuousPolicy(2, 1, units=(4,), squash=False, initial_log_std=log_std, seed=0)
    states = np.random.default_rng(0).normal(size=(50, 2)).astype("float32")
    noise = np.random.default_rng(1).standard_normal((50, 1))
    _, found = arrays(*policy.sample_action(states, ops.convert_to_tensor(noise.astype("float32"))))
    _, log_std = arrays(*policy(states))
    exact = (-0.5 * noise**2 - log_std.astype("float64") - 0.5 * np.log(2 * np.pi)).sum(axis=1)
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["PPO", "Reinforce", "SoftActorCritic"])
def test_an_algorithm_computes_in_double_precision_too(name):
    if keras.backend.backend() == "jax":
        pytest.skip("JAX computes in double precision only if it is told to at its start")
    data = uneven(copies=2)
    model = learner(name, data, dtype="float64")
    history = model.fit(data.train, epochs=1, verbose=0).history
    assert np.isfinite([values[-1] for values in history.values()]).all()


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX computes in double precision only if it is told to")
def test_double_precision_tells_actions_from_their_bounds_further_out():
    policy = kplug.ContinuousPolicy(1, 1, units=(), dtype="float64", seed=0)
    states = np.zeros((3, 1))
    unsquashed = ops.convert_to_tensor(np.array([[2.0], [9.0], [12.0]]))
    there, back = arrays(
        policy.log_prob_unsquashed(states, unsquashed), policy.log_prob(states, policy.squashed(unsquashed))
    )
    np.testing.assert_allclose(back, there, rtol=1e-3)


def test_actions_are_within_the_environments_bounds_in_its_own_dtype():
    class Precise(OneStep):
        action_space = gymnasium.spaces.Box(-0.1, 0.1, (1,), "float64")

        def step(self, action):
            assert self.action_space.contains(action), action
            return super().step(action)

    class Wide(OneStep):
        largest = float(np.finfo("float32").max)
        action_space = gymnasium.spaces.Box(-largest, largest, (1,))

    for number, entry_point in enumerate((Precise, Wide)):
        name = f"kplug-tests/Bounds{number}-v0"
        gymnasium.register(name, entry_point=entry_point, max_episode_steps=5)
        try:
            data = kplug.datasets.gymnasium(name)
            copies = data.train.copies()
            copies.step(np.float32([[0.1]]))
            assert data.info["action_high"] == ([0.1] if entry_point is Precise else None)
        finally:
            del gymnasium.registry[name]


def test_a_loaded_model_compiles_as_the_saved_one_did(tmp_path):
    model = learner("SoftActorCritic", uneven())
    for choice in ("auto", True, False):
        model.compile("adam", jit_compile=choice)
        model.save(tmp_path / "model.keras")
        assert kplug.load_model(tmp_path / "model.keras")._compiling == choice


def test_a_plain_model_standardises_as_exactly_as_the_policy():
    policy = kplug.ContinuousPolicy(2, 1, units=(8,), seed=0)
    policy.state_mean.assign(np.float32([9.81, 1e4]))
    policy.state_scale.assign(np.float32([1e-4, 1.0]))
    states = np.float32([[9.81, 1e4], [9.8101, 1e4 + 1], [9.8099, 1e4 - 2]])
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        plain = policy.as_keras_model()
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_allclose(plain.predict(states, verbose=0), policy.act(states), atol=1e-5)
