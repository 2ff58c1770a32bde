"""Watching a run from the foreground."""

import io
import json
import math

import pytest
from rich.console import Console

from kplug import runs
from kplug.cli.follow import Progress, _picture, sparkline
from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.process import identity
from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.spec import spec_from


@pytest.fixture
def progress(tmp_path):
    spec = spec_from({"model": "kplug/vae", "dataset": "kplug/digits", "epochs": 4})
    directory = create_run_directory(tmp_path, spec, {})
    write_atomically(directory.status, json.dumps({"state": "running", "steps_per_epoch": 10, **identity()}))
    writer = RecordWriter(directory.metrics)
    writer.write_metrics(MetricRecord(5, 0, 100.0, {"loss": 9.0}))
    writer.write_metrics(MetricRecord(10, 0, 102.5, {"loss": 8.0, "val_loss": 7.0}, epoch_end=True))
    writer.write_metrics(MetricRecord(20, 1, 107.5, {"loss": 6.0, "val_loss": 6.5}, epoch_end=True))
    return Progress(runs.Run(directory))


def test_progress_counts_epochs_rate_and_time_left(progress):
    assert [record.epoch for record in progress.refresh()] == [0, 1]
    assert progress.refresh() == []
    assert progress.share == 0.5
    assert progress.batches_per_second == 2.0
    assert progress.seconds_left == 10.0


def test_the_picture_fits_80_columns_and_shows_all_that_matters(progress):
    progress.refresh()
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(_picture(progress))
    text = console.export_text()
    for part in ("50%", "epoch 3/4", "2 batches/s", "0:10 left", "training", "validation", "6.5", "█▁"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([1.0], "▁"),
        ([0.0, 7.0], "▁█"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([0.0, math.nan, 7.0], "▁ █"),
        ([math.nan, math.inf], "  "),
        ([0.0, 0.0, 7.0, 7.0], "▁▁██"),
    ],
)
def test_a_sparkline_scales_to_its_values(values, line):
    assert sparkline(values, 8) == line


def test_a_long_history_is_averaged_to_the_width():
    assert sparkline([0.0] * 50 + [1.0] * 50, 2) == "▁█"


def test_what_a_resumed_run_did_before_is_not_told_again_and_says_nothing_of_its_speed(progress):
    directory = progress.run.directory
    write_atomically(
        directory.status,
        json.dumps({"state": "running", "steps_per_epoch": 10, "resumed": 1000.0, "first_step": 20, **identity()}),
    )
    again = Progress(progress.run)
    assert again.refresh() == []
    assert again.batches_per_second is None
    writer = RecordWriter(directory.metrics)
    writer.write_metrics(MetricRecord(25, 2, 1001.0, {"loss": 5.5}))
    writer.write_metrics(MetricRecord(30, 2, 1002.0, {"loss": 5.0}, epoch_end=True))
    assert [record.epoch for record in again.refresh()] == [2]
    assert again.batches_per_second == 5.0
    assert again.share == 0.75
