"""The commands that compare, name, delete and prune runs, on runs that were made by hand."""

import json
import time
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from kplug.cli.app import app
from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.spec import spec_from


@pytest.fixture
def root(tmp_path):
    """Two completed runs, `first` and `second`."""
    for seed, name in enumerate(("first", "second")):
        spec = spec_from({"model": "kplug/vae", "dataset": "kplug/digits", "name": name, "seed": seed})
        directory = create_run_directory(tmp_path / "runs", spec, {})
        writer = RecordWriter(directory.metrics)
        writer.write_metrics(MetricRecord(3, 0, 1.0, {"loss": 2.0 + seed}, epoch_end=True))
        writer.close()
        write_atomically(directory.status, json.dumps({"state": "completed", "created": time.time(), "epoch": 1}))
    return ["--runs-dir", str(tmp_path / "runs")]


def test_runs_are_compared_named_and_listed(run_kplug, root):
    compared = json.loads(run_kplug("runs", "compare", "first", "second", "--json", *root).stdout)
    assert compared["differences"] == {"seed": [0, 1]}
    assert compared["metrics"] == {"loss": [2.0, 3.0]}
    assert run_kplug("runs", "compare", "first", *root).returncode == 2
    assert run_kplug("runs", "tag", "first", "paper", "best", *root).stdout == "best paper\n"
    run_kplug("runs", "note", "first", "a [red]note[/red]", *root)
    assert run_kplug("runs", "note", "first", *root).stdout == "a [red]note[/red]\n"
    run_kplug("runs", "rename", "first", "chosen", *root)
    listed = run_kplug("runs", "list", "--where", "tags=paper", "--columns", "name,tags,loss", *root).stdout
    assert listed.splitlines()[1].split("  ") == ["chosen", "best, paper", "2"]
    refused = run_kplug("runs", "list", "--where", "los<3", *root)
    assert refused.returncode == 2
    assert "Did you mean loss" in refused.stderr
    sorted_ = json.loads(run_kplug("runs", "list", "--sort", "-loss", "--limit", "1", "--json", *root).stdout)
    assert [one["name"] for one in sorted_] == ["second"]


def test_runs_leave_and_come_back(run_kplug, root, tmp_path):
    assert run_kplug("runs", "export", "first", str(tmp_path / "first.zip"), *root).returncode == 0
    refused = run_kplug("runs", "import", str(tmp_path / "first.zip"), *root)
    assert refused.returncode == 2
    assert "already" in refused.stderr
    # Nobody can be asked.
    assert run_kplug("runs", "delete", "first", *root).returncode == 1
    deleted = run_kplug("runs", "delete", "first", "--yes", *root).stdout
    (trashed,) = json.loads(run_kplug("runs", "trash", "--json", *root).stdout)
    assert trashed["id"] in deleted
    assert "is back" in run_kplug("runs", "trash", "--restore", trashed["id"], *root).stdout
    assert len(run_kplug("runs", "prune", "--keep", "0", "--dry-run", *root).stdout.splitlines()) == 3
    assert len(json.loads(run_kplug("runs", "list", "--json", *root).stdout)) == 2
    assert run_kplug("runs", "prune", *root).returncode == 2
    run_kplug("runs", "prune", "--keep", "0", "--yes", *root)
    assert "2 runs removed" in run_kplug("runs", "trash", "--empty", "--yes", *root).stdout
    assert run_kplug("runs", "import", str(tmp_path / "first.zip"), *root).stdout.strip() == trashed["id"]


def test_one_run_that_cannot_go_keeps_no_other_from_going(run_kplug, root, tmp_path):
    newest, oldest = sorted((path for path in (tmp_path / "runs").iterdir() if path.name[0] != "."), reverse=True)
    (oldest / "lock").mkdir()  # nothing can be locked there
    pruned = run_kplug("runs", "prune", "--keep", "0", "--yes", *root)
    assert pruned.returncode == 2
    assert f"{oldest / 'lock'} cannot be locked" in pruned.stderr
    assert (newest.exists(), oldest.exists()) == (False, True)


def test_a_clone_takes_other_settings_than_the_old_run(root, tmp_path, monkeypatch):
    started = []

    def launch(spec, folder, max_running, parent):
        started.append((spec, parent))
        return SimpleNamespace(id="new")

    monkeypatch.setattr("kplug.runs.launch.launch", launch)
    monkeypatch.setattr("kplug.runs.completion.complete", lambda values, settings, source: spec_from(values, source))
    options = {
        **{"batch-size": 7, "epochs": 3, "precision": "mixed_bfloat16", "best": "val_loss", "backend": "jax"},
        **{
            "schedule": "kplug/cosine_decay",
            "optimizer": "kplug/sgd",
            "loss": "kplug/focal_loss",
            "data": "kplug/iris",
        },
    }
    typed = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = CliRunner().invoke(app, ["runs", "clone", "first", "--detach", "--no-jit", *typed, *root])
    assert done.exit_code == 0, done.output
    ((spec, parent),) = started
    assert parent in {path.name for path in (tmp_path / "runs").iterdir()}
    assert (spec.batch_size, spec.epochs, spec.precision, spec.best) == (7, 3, "mixed_bfloat16", "val_loss")
    assert (spec.backend, spec.jit, spec.model.name) == ("jax", False, "kplug/vae")
    chosen = [part.name for part in (spec.schedule, spec.optimizer, spec.loss, spec.dataset)]
    assert chosen == ["kplug/cosine_decay", "kplug/sgd", "kplug/focal_loss", "kplug/iris"]
