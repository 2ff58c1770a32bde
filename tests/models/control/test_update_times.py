"""When algorithms learn: behind which steps, and that they say so where they have not."""

from __future__ import annotations

import numpy as np
import pytest
from odd_environments import learner, registered, uneven

registered = pytest.fixture(autouse=True)(registered)


@pytest.mark.parametrize(
    ("name", "parameters", "when"),
    [
        ("SoftActorCritic", {"random_steps": 500}, "random_steps=500"),
        ("PPO", {"rollout_steps": 500}, "every rollout_steps=500"),
        ("Reinforce", {"episodes_per_update": 100}, "every episodes_per_update=100 whole episodes"),
    ],
)
def test_a_fit_that_has_learned_nothing_says_so(name, parameters, when):
    data = uneven()
    model = learner(name, data, **parameters)
    with pytest.warns(UserWarning, match=f"{name} has learned nothing yet: it took 120 environment steps, .* {when}"):
        model.fit(data.train, epochs=1, verbose=0)


@pytest.mark.parametrize(("copies", "every", "parts"), [(1, 5, 24), (2, 5, 24), (1, 30, 6), (4, 1, 30)])
def test_within_a_block_soft_actor_critic_learns_after_every_few_steps(copies, every, parts, monkeypatch):
    data = uneven(copies=copies)
    model = learner("SoftActorCritic", data, batch_size=8, random_steps=12, update_every=every, updates_per_step=0.5)
    actors, made = [], type(model.policy).numpy_actor
    monkeypatch.setattr(model.policy, "numpy_actor", lambda: actors.append(made(model.policy)) or actors[-1])
    history = model.fit(data.train, epochs=1, verbose=0).history
    # Six blocks of 20 steps: in fives; in 6, 6, 6 and 2; at once; in fours, since each copy takes a step.
    assert len(actors) == parts
    assert int(model.optimizer.iterations) == (120 - 12) / 2
    (one,) = [one for one in model.experience.curves if one["step"] == 20]
    assert np.isfinite(one["critic_loss"]) and np.isfinite(history["critic_loss"][0])
