"""A run in short, from whatever its directory holds."""

import json
import sqlite3

import pytest

from kplug.runs import index_file, summary
from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.index import INDEX_FILE, summaries
from kplug.runs.run import Run
from kplug.runs.spec import RunSpec, spec_from
from kplug.runs.summary import FIELDS, summary_of

pytestmark = pytest.mark.neutral

SPEC = {
    "model": {"name": "kplug/vae", "parameters": {"latent_dim": 3}},
    "dataset": "kplug/digits",
    "optimizer": "kplug/adam",
    "metrics": [{"name": "kplug/recall_at_k", "parameters": {"k": 2}}],
    "callbacks": ["kplug/early_stopping"],
    "batch_size": 16,
    "name": "mine",
}


@pytest.fixture
def run(tmp_path):
    return Run(create_run_directory(tmp_path, spec_from(SPEC), {}))


def test_a_summary_says_what_was_asked(run):
    found = summary_of(run)
    assert tuple(found) == FIELDS
    asked = (
        "name",
        "model",
        "dataset",
        "loss_name",
        "optimizer",
        "schedule",
        "backend",
        "device",
        "batch_size",
        "seed",
    )
    assert [found[field] for field in asked] == [
        *("mine", "kplug/vae", "kplug/digits", None, "kplug/adam", None, "tensorflow", "auto", 16, 0),
    ]
    assert found["epochs"] == 10
    assert found["parameters"] == {"model.latent_dim": 3, "recall_at_k.k": 2}


def test_what_an_old_spec_does_not_say_is_as_in_every_spec():
    defaults = {name: RunSpec.model_fields[name].default for name in summary._DEFAULTS}
    assert defaults == summary._DEFAULTS


def test_a_damaged_spec_gives_what_it_can(run):
    values = json.loads(run.directory.spec.read_text())
    damage = {"dataset": 7, "loss": {"name": 3}, "batch_size": "many", "seed": True, "metrics": [None], "later": {}}
    write_atomically(run.directory.spec, json.dumps({**values, **damage}))
    found = summary_of(run)
    assert (found["model"], found["parameters"]) == ("kplug/vae", {"model.latent_dim": 3})
    assert [found[field] for field in ("dataset", "loss_name", "batch_size", "seed")] == [None] * 4
    write_atomically(run.directory.spec, "{")
    assert [summary_of(run)[field] for field in ("model", "backend", "epochs", "parameters")] == [None, None, None, {}]


def test_the_gpus_are_told_by_number_and_by_id(run):
    write_atomically(run.directory.status, json.dumps({"state": "failed", "gpus": [{"index": 1, "uuid": "GPU-1"}]}))
    found = summary_of(run)
    assert (found["gpus"], found["gpu_uuids"]) == ([1], ["GPU-1"])


def test_an_index_of_other_fields_is_made_anew(run, tmp_path):
    with sqlite3.connect(tmp_path / INDEX_FILE) as connection:
        connection.execute("CREATE TABLE runs (run INTEGER PRIMARY KEY, id TEXT, changed INTEGER, summary BLOB)")
        connection.execute("PRAGMA user_version=3")
    connection.close()
    (found,) = summaries(tmp_path)
    assert tuple(found) == FIELDS
    assert index_file._version_of([*FIELDS, "another"]) != index_file._VERSION
