"""From records to curves: which metrics belong together, and what x is."""

import math

import numpy as np
import pytest

from kplug.runs.metric_arrays import MetricArrays
from kplug_tui.curves import metric_curves, metric_groups, moment, position_label, position_ticks
from kplug_tui.system_curves import system_curves, system_plots

pytestmark = pytest.mark.neutral


def records(epochs=3, length=4, begin=1000.0):
    """As a run writes them: the loss at each step, and both losses at the end of each epoch."""
    steps, ends, loss, val = [], [], [], []
    for epoch in range(epochs):
        for step in range(length):
            steps.append(epoch * length + step + 1)
            ends.append(False)
            loss.append(10.0 - steps[-1])
            val.append(math.nan)
        steps.append((epoch + 1) * length)
        ends.append(True)
        loss.append(100.0 + epoch)
        val.append(200.0 + epoch)
    steps, ends = np.array(steps), np.array(ends)
    return MetricArrays(
        steps, (steps - 1) // length, begin + 2.0 * steps, ends, {"loss": np.array(loss), "val_loss": np.array(val)}
    )


def test_training_and_validation_share_a_group_and_the_loss_is_first():
    assert metric_groups(["accuracy", "val_loss", "loss", "val_accuracy", "val_only"]) == ["loss", "accuracy", "only"]


def test_the_return_is_first_where_there_is_no_loss_and_environment_steps_are_no_chart():
    names = ["actor_loss", "environment_steps", "val_episode_length", "return", "val_return"]
    assert metric_groups(names) == ["return", "actor_loss", "episode_length"]


def test_a_policys_curves_go_by_environment_steps():
    by_blocks = records()
    metrics = {"return": by_blocks.metrics["loss"], "environment_steps": 50.0 * by_blocks.steps}
    metrics["environment_steps"][0] = math.nan  # not recorded, so it has no place
    made = MetricArrays(by_blocks.steps, by_blocks.epochs, by_blocks.times, by_blocks.epoch_end, metrics)
    (curve,) = metric_curves(made, "return")
    assert curve.x.tolist() == [50.0 * step for step in range(2, 13)]
    assert metric_curves(made, "return", "epoch")[0].x.tolist()[-1] == 3.0


def test_training_goes_by_step_and_validation_by_epoch():
    training, validation = metric_curves(records(), "loss")
    assert training.x.tolist() == list(range(1, 13))
    assert training.y.tolist() == [10.0 - step for step in range(1, 13)]
    assert validation.x.tolist() == [4, 8, 12]
    assert validation.y.tolist() == [200.0, 201.0, 202.0]
    assert (training.colour, validation.colour) == (0, 1)


def test_where_steps_were_not_recorded_training_goes_by_epoch():
    by_epoch = records()
    kept = by_epoch.epoch_end
    arrays = MetricArrays(
        by_epoch.steps[kept],
        by_epoch.epochs[kept],
        by_epoch.times[kept],
        kept[kept],
        {name: values[kept] for name, values in by_epoch.metrics.items()},
    )
    training, _ = metric_curves(arrays, "loss")
    assert training.y.tolist() == [100.0, 101.0, 102.0]


def test_x_as_epoch_has_fractions():
    training, validation = metric_curves(records(), "loss", "epoch")
    assert training.x[:4].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert validation.x.tolist() == [1.0, 2.0, 3.0]


def test_x_as_time_begins_at_the_first_record():
    training, _ = metric_curves(records(), "loss", "time")
    assert training.x[:3].tolist() == [0.0, 2.0, 4.0]


def test_what_is_smoothed_is_drawn_faintly_behind():
    curves = metric_curves(records(), "loss", smoothing=0.6)
    assert [(curve.name, curve.faint) for curve in curves] == [("loss", True), ("loss", False), ("val_loss", False)]
    assert curves[0].y.tolist() != curves[1].y.tolist()


def test_a_run_without_records_has_no_curves_that_are_drawn():
    none = np.array([])
    assert metric_curves(MetricArrays(none, none, none, none.astype(bool)), "loss", "time") == []


@pytest.mark.parametrize(
    ("axis", "position", "expected"),
    [
        ("step", 1234.4, "1234"),
        ("step", 20000, "20k"),
        ("step", 1_500_000, "1.5M"),
        ("step", 2e9, "2G"),
        ("epoch", 2.0, "2"),
        ("epoch", 2.25, "2.25"),
        ("time", 0.0, "0s"),
        ("time", 0.25, "0.25s"),
        ("time", 5400.0, "1h 30m"),
        ("time", -60.0, "-1m"),
    ],
)
def test_positions_in_words(axis, position, expected):
    assert position_label(axis)(position) == expected


def test_marks_of_steps_are_whole():
    assert position_ticks("step")(0, 2, 8) == pytest.approx([0, 1, 2])
    assert position_ticks("time")(0, 120, 4) == pytest.approx([0, 30, 60, 90, 120])
    assert moment(59.0) == "59s"


SAMPLES = (
    {"time": 10.0, "cpu_percent": 50.0, "memory_bytes": 2**30, "host_cpu_percent": 5.0, "host_memory_percent": 3.0},
    {"time": 12.0, "cpu_percent": None, "memory_bytes": 2**31, "host_cpu_percent": 7.0, "host_memory_percent": 4.0},
)


def test_the_machine_has_curves_of_processor_and_memory():
    assert system_plots(SAMPLES) == ["CPU %", "memory GiB", "host memory %"]
    host, run = system_curves(SAMPLES, "CPU %")
    assert host.y.tolist() == [5.0, 7.0]
    np.testing.assert_array_equal(run.y, [50.0, math.nan])
    (memory,) = system_curves(SAMPLES, "memory GiB")
    assert (memory.x.tolist(), memory.y.tolist()) == ([0.0, 2.0], [1.0, 2.0])


def test_each_gpu_has_a_curve_and_what_is_no_sample_is_left_out():
    gpus = [{"utilization_percent": 90.0, "memory_bytes": 2**30, "power_watts": 300.0}, {"utilization_percent": 10.0}]
    samples = (*SAMPLES, {"time": 14.0, "gpus": gpus}, {"time": "?", "gpus": ["?", None]}, {"time": 18.0, "gpus": gpus})
    assert "GPU power W" in system_plots(samples)
    first, second = system_curves(samples, "GPU utilisation %")
    np.testing.assert_array_equal(first.y, [math.nan, math.nan, 90.0, math.nan, 90.0])
    np.testing.assert_array_equal(second.y, [math.nan, math.nan, 10.0, math.nan, 10.0])
    assert np.isnan(system_curves(samples, "GPU temperature °C")[0].y).all()
    assert system_plots(()) == []
