"""Runs whose model learns in an environment, through a real worker process."""

import os
import signal

import keras
import numpy as np
import pytest
from waiting import wait

import kplug
from kplug.errors import IncompatibleComponentsError
from kplug.runs.completion import complete
from kplug.runs.launch import launch, resume
from kplug.runs.records import RecordReader
from kplug.training.checkpoints import Checkpoints

pytestmark = pytest.mark.slow

SETTINGS = [
    "dataset.steps_per_epoch=240",
    "dataset.steps_per_block=20",
    "dataset.evaluation_episodes=2",
    "dataset.test_episodes=2",
    "model.units=[16]",
    "model.batch_size=16",
    "model.normalize_observations=true",
]


def start(root, settings=(), **values):
    values = {
        "model": "soft_actor_critic",
        "dataset": "pendulum",
        "epochs": 3,
        "backend": keras.backend.backend(),
        "checkpoint_seconds": 0.0,
        **values,
    }
    return launch(complete(values, [*SETTINGS, *settings]), root)


def in_the_middle(run):
    checkpoint = Checkpoints(run.directory.checkpoints).newest()[0]
    position = None if checkpoint is None else checkpoint.state["position"]
    return run.ended or (position is not None and position["epoch"] >= 1 and position["batch"] > 0)


def records(run):
    return [(one.step, one.epoch, dict(one.metrics)) for one in RecordReader(run.directory.metrics).read_metrics()]


@pytest.mark.neutral
def test_a_run_that_is_killed_goes_on_in_the_middle_of_an_episode_and_ends_alike_to_the_bit(tmp_path):
    whole = wait(start(tmp_path / "whole"))
    killed = start(tmp_path / "killed")
    wait(killed, in_the_middle)
    os.kill(killed.status["pid"], signal.SIGKILL)
    wait(killed)
    assert killed.state == "lost", killed.log()
    resume(killed)
    wait(killed)
    assert killed.state == whole.state == "completed", killed.log()
    assert records(killed) == records(whole)
    first, second = (Checkpoints(run.directory.checkpoints).newest()[0] for run in (whole, killed))
    # Weights, optimizer, replay buffer, environment, generators.
    assert first.arrays.keys() == second.arrays.keys() and len(first.arrays) > 60
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(second.arrays[name], array)
    assert killed.status["test_metrics"] == whole.status["test_metrics"]
    assert {path.name for path in whole.artifacts()} == {
        *("model.keras", "returns.png", "learning.png", "actions.png", "episode.gif")
    }


FAILING = """
import gymnasium
import numpy as np

import kplug


class Failing(gymnasium.Env):
    "Works for a while, and then gives NaN."

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def __init__(self):
        self.count = 0
        self.handle = object()

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, "float32"), {}

    def step(self, action):
        self.count += 1
        return np.zeros(1, "float32"), float("nan") if self.count == 450 else 0.0, False, False, {}


@kplug.component(tasks=["continuous-control"], provides=["state_dim", "action_dim", "action_low", "action_high"])
def failing(steps_per_epoch: int, steps_per_block: int, evaluation_episodes: int, test_episodes: int):
    "An environment of one's own."
    gymnasium.register("Failing-v0", entry_point=Failing)
    return kplug.datasets.gymnasium(
        "Failing-v0", None, 100, 1, steps_per_epoch, steps_per_block, evaluation_episodes, test_episodes
    )
"""


@pytest.mark.neutral
def test_a_run_fails_at_nan_naming_the_step_and_keeps_its_checkpoint(tmp_path):
    (tmp_path / "parts.py").write_text(FAILING)
    run = wait(start(tmp_path / "runs", dataset=f"{tmp_path / 'parts.py'}:failing", batch_size=32))
    assert run.state == "failed"
    assert "gave the reward nan in step 450 of copy 0" in run.status["error"]
    # Blocks have 20 steps: 440 were learned from.
    assert Checkpoints(run.directory.checkpoints).newest()[0].step == 22
    model = kplug.load_model(run.directory.artifacts / "model.keras")
    assert np.isfinite(model.act(np.zeros(model.policy.state_dim))).all()
    first, second = (event["message"] for event in run.events() if event["event"] == "warning")
    assert "batch_size=32 says nothing here" in first + second and "--set model.batch_size=32" in first + second
    assert "The state of environment Failing-v0 cannot be kept in checkpoints" in first + second


@pytest.mark.neutral
def test_a_run_is_refused_before_anything_is_trained(tmp_path):
    run = wait(start(tmp_path, ["dataset.environment=CartPole-v1"], dataset="gymnasium"))
    assert run.state == "failed" and run.status["refused"]
    assert "has the actions Discrete" in run.status["error"]


@pytest.mark.neutral
def test_environments_and_models_of_other_tasks_do_not_go_together():
    with pytest.raises(IncompatibleComponentsError, match="continuous-control"):
        complete({"model": "soft_actor_critic", "dataset": "digits"})
