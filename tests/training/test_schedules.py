"""Learning rates on a schedule: begun at the optimizer's own, over the whole run."""

import math

import keras
import pytest

from kplug.errors import IncompatibleComponentsError, ParameterError
from kplug.runs.completion import complete
from kplug.training.assembly import assemble

DENSE = ["model.architecture=dense", "model.units=[32]"]
VAE = {"model": "vae", "dataset": "digits", "epochs": 4, "batch_size": 100}


@pytest.fixture
def optimizer():
    def built(values, *settings):
        return assemble(
            complete({"backend": keras.backend.backend(), **VAE, **values}, [*DENSE, *settings])
        ).compile_arguments["optimizer"]

    return built


def rate_at(optimizer, step):
    optimizer.iterations.assign(step)
    return float(optimizer.learning_rate)


def test_a_cosine_begins_at_the_optimizers_rate_and_ends_with_the_run(optimizer):
    cosine = optimizer({"schedule": "cosine_decay"}, "optimizer.learning_rate=0.004", "schedule.alpha=0.1")
    steps = cosine.get_config()["learning_rate"]["config"]["decay_steps"]
    assert steps % 4 == 0
    for share in (0.0, 0.25, 1.0):
        expected = 0.004 * (0.9 * 0.5 * (1 + math.cos(math.pi * share)) + 0.1)
        assert rate_at(cosine, round(share * steps)) == pytest.approx(expected, rel=1e-5)


def test_what_a_person_sets_wins(optimizer):
    chosen = optimizer(
        {"schedule": "exponential_decay"},
        "schedule.initial_learning_rate=0.5",
        "schedule.decay_steps=10",
        "schedule.decay_rate=0.9",
    )
    assert rate_at(chosen, 20) == pytest.approx(0.5 * 0.81, rel=1e-5)


def test_what_a_schedule_needs_is_asked_for():
    with pytest.raises(ParameterError, match=r"exponential_decay needs decay_rate: --set schedule\.decay_rate="):
        complete({**VAE, "schedule": "exponential_decay"})


def test_two_that_would_set_the_learning_rate_are_refused(optimizer):
    with pytest.raises(IncompatibleComponentsError, match="cosine_decay and callback ReduceLROnPlateau both set"):
        optimizer({"schedule": "cosine_decay", "callbacks": ["reduce_lr_on_plateau"]})
