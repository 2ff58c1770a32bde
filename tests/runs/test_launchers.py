"""Launchers: what a plugin's is given, what it may do, and what its faults cost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from kplug.catalog.description import describe
from kplug.catalog.discovery import catalog
from kplug.catalog.resolution import resolve
from kplug.errors import BrokenComponentError, LauncherError, RunStateError, SpecError
from kplug.runs.completion import complete
from kplug.runs.launch import launch, resume
from kplug.runs.queue import Survey, runs_before
from kplug.runs.run import list_runs

pytestmark = pytest.mark.neutral

LAUNCHERS = """
    import json
    from pathlib import Path


    class Cluster:
        "Writes down what it was asked."

        def __init__(self, notes: str, answer: str | None = "job 7", fails: bool = False):
            self.notes, self.answer, self.fails = Path(notes), answer, fails

        def start(self, job):
            if self.fails:
                raise ConnectionError("the cluster does not answer")
            self.notes.write_text(json.dumps([job.run_id, str(job.directory), job.command, dict(job.environment)]))
            return self.answer

        def kill(self, job_id):
            if self.fails:
                raise ConnectionError("the cluster does not answer")
            self.notes.write_text(f"killed {job_id}")


    class Forgetful:
        "Has no way to end what it has begun, and no name for it."

        def start(self, job):
            pass


    class Numbering:
        "Calls its jobs by numbers."

        def start(self, job):
            return 7


    class Wrong:
        "Is none."
"""


@pytest.fixture
def cluster(install_plugin):
    names = {"cluster": "Cluster", "forgetful": "Forgetful", "numbering": "Numbering", "wrong": "Wrong"}
    entry_points = {name: f"far_launchers:{what}" for name, what in names.items()}
    install_plugin("kplug-far", {"kplug.launchers": entry_points}, {"far_launchers.py": LAUNCHERS})


def spec_with(launcher, *settings, **values):
    return complete({"model": "vae", "dataset": "digits", "launcher": launcher, **values}, settings)


def noted(path):
    return path / "notes.json", f"launcher.notes={path / 'notes.json'}"


def test_a_launcher_is_given_the_worker_and_what_that_needs(cluster, tmp_path):
    notes, setting = noted(tmp_path)
    run = launch(spec_with("far/cluster", setting, backend="jax"), tmp_path / "runs")
    run_id, directory, command, environment = json.loads(notes.read_text())
    assert (run_id, directory) == (run.id, str(run.directory.path))
    start = json.loads(run.directory.status.read_text())["start"]
    assert command[1:] == ["-P", "-m", "kplug.training.worker", directory, start]
    assert environment["KERAS_BACKEND"] == "jax"
    assert str(tmp_path / "site-packages") in environment["PYTHONPATH"]
    assert (run.status["state"], run.status["launcher"]) == ("starting", "far/cluster")
    assert json.loads(run.directory.job.read_text()) == {"id": "job 7"}


def test_what_waits_elsewhere_is_neither_lost_nor_in_the_way_here(cluster, tmp_path):
    root = tmp_path / "runs"
    run = launch(spec_with("far/cluster", noted(tmp_path)[1]), root)
    status = json.loads(run.directory.status.read_text())
    run.directory.status.write_text(json.dumps({**status, "created": time.time() - 86_400}))
    assert run.state == "starting"
    waits = launch(spec_with("far/forgetful"), root)
    known = Survey(root).look()
    for one in known:
        if one["id"] == waits.id:
            one["state"], one["host"] = "queued", None  # as one that waits on this machine
    assert runs_before(waits.id, known) == []


def test_it_is_killed_by_its_launcher(cluster, tmp_path):
    notes, setting = noted(tmp_path)
    run = launch(spec_with("far/cluster", setting), tmp_path / "runs")
    run.kill()
    assert notes.read_text() == "killed job 7"
    assert (run.state, run.status["error"]) == ("lost", "it was killed, as somebody asked")
    resume(run)
    assert run.state == "starting"
    assert json.loads(notes.read_text())[0] == run.id


@pytest.mark.parametrize("launcher", ["far/forgetful", "far/cluster"])
def test_what_no_launcher_can_end_is_not_said_to_be_killed(cluster, tmp_path, launcher):
    settings = [noted(tmp_path)[1], "launcher.answer=null"] if launcher == "far/cluster" else []
    run = launch(spec_with(launcher, *settings), tmp_path / "runs")
    with pytest.raises(
        RunStateError, match=r"there is no process to kill that .* could end\. To give it up: kplug runs stop"
    ):
        run.kill()
    assert run.state == "starting"
    assert not run.directory.control.exists()


def test_a_launcher_that_fails_leaves_no_run_behind(cluster, tmp_path):
    root = tmp_path / "runs"
    with pytest.raises(LauncherError, match=r"far/cluster: start\(\) failed: ConnectionError: the cluster does not"):
        launch(spec_with("far/cluster", noted(tmp_path)[1], "launcher.fails=true"), root)
    assert list(root.iterdir()) == []


def test_a_run_that_cannot_be_resumed_or_killed_stays_as_it_was(cluster, tmp_path, monkeypatch):
    notes, setting = noted(tmp_path)
    run = launch(spec_with("far/cluster", setting), tmp_path / "runs")
    notes.unlink()
    notes.mkdir()  # its launcher cannot write there now
    before = run.status
    with pytest.raises(LauncherError, match=r"kill\(\) failed: IsADirectoryError"):
        run.kill()
    assert run.status == before
    run.directory.control.write_text("kill\n")
    before = run.directory.status.read_bytes()
    with pytest.raises(LauncherError, match=r"start\(\) failed: IsADirectoryError"):
        resume(run)
    assert run.directory.status.read_bytes() == before


def test_a_number_is_a_jobs_id_too(cluster, tmp_path):
    run = launch(spec_with("far/numbering"), tmp_path / "runs")
    assert json.loads(run.directory.job.read_text()) == {"id": "7"}


@pytest.mark.parametrize("launcher", ["far/forgetful", "far/cluster"])
def test_what_waits_elsewhere_can_be_given_up_whatever_has_become_of_its_job(
    cluster, tmp_path, launcher, install_plugin
):
    settings = [noted(tmp_path)[1]] if launcher == "far/cluster" else []
    run = launch(spec_with(launcher, *settings), tmp_path / "runs")
    shutil.rmtree(tmp_path / "site-packages" / "kplug_far-1.0.dist-info")
    catalog.cache_clear()
    run.stop()
    assert run.state == "stopped"
    assert [event["event"] for event in run.events()] == ["stopped"]


def test_a_job_that_begins_late_finds_its_run_ended_or_started_anew(cluster, tmp_path):
    notes, setting = noted(tmp_path)
    run = launch(spec_with("far/cluster", setting), tmp_path / "runs")
    first = json.loads(notes.read_text())[2]
    run.stop()
    status = run.directory.status.read_bytes()

    def late(command):
        search = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(command, env=search, capture_output=True, text=True, check=False)

    done = late(first)
    assert done.returncode == 1
    assert "has ended, or was started anew, since this worker was asked for" in done.stdout
    assert run.directory.status.read_bytes() == status
    resume(run)
    status = run.directory.status.read_bytes()
    assert late(first).returncode == 1
    assert run.directory.status.read_bytes() == status


def test_a_kill_that_fails_takes_no_stop_back(cluster, tmp_path):
    notes, setting = noted(tmp_path)
    run = launch(spec_with("far/cluster", setting), tmp_path / "runs")
    run.directory.control.write_text("stop\n")
    notes.unlink()
    notes.mkdir()
    with pytest.raises(LauncherError):
        run.kill()
    assert run.directory.control.read_text() == "stop\n"


def test_an_interrupted_start_leaves_a_run_that_has_failed(cluster, tmp_path, monkeypatch):
    def interrupted(directory, spec):
        raise KeyboardInterrupt

    monkeypatch.setattr("kplug.runs.launch.start_worker", interrupted)
    with pytest.raises(KeyboardInterrupt):
        launch(spec_with("far/forgetful"), tmp_path / "runs")
    (run,) = list_runs(tmp_path / "runs")
    assert (run.state, run.status["error"]) == ("failed", "starting it was interrupted")


def test_a_class_that_cannot_start_anything_is_no_launcher(cluster):
    assert (
        describe(resolve("far/wrong")).error == "TypeError: declared as a launcher, but Wrong has no method start(job)"
    )
    with pytest.raises(BrokenComponentError, match="Wrong has no method start"):
        spec_with("far/wrong")


def test_gpus_of_another_machine_are_not_looked_for_here(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("kplug.runs.devices.gpus", list)
    assert spec_with("far/forgetful", device="gpu:0").device == "gpu:0"
    for launcher in ("local", None):
        with pytest.raises(SpecError, match="gpu"):
            spec_with(launcher, device="gpu:0")


def test_a_launcher_in_a_file_is_the_runs_own_copy(home, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from pathlib import Path\n\n\nclass Mine:\n    'Mine.'\n    def start(self, job):\n"
        "        (job.directory / 'started').write_text('x')\n"
    )
    run = launch(spec_with(f"{file}:Mine"), tmp_path / "runs")
    assert (run.directory.path / "started").exists()
    (run.directory.path / "started").unlink()
    file.unlink()
    run.directory.control.write_text("kill\n")
    resume(run)
    assert (run.directory.path / "started").exists()
