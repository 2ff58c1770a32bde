"""Real workers on full disks, without their terminal, without their directory, and resumed by several at once."""

import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import keras
import numpy as np
import psutil
import pytest
from waiting import wait

from kplug.runs import Run, list_runs
from kplug.runs.completion import complete
from kplug.runs.directory import RunDirectory, create_run_directory
from kplug.runs.index import summaries
from kplug.runs.launch import launch
from kplug.runs.records import RecordReader
from kplug.runs.spec import spec_from
from kplug.training.checkpoints import Checkpoint, Checkpoints, _digest, _digest_of
from kplug.training.worker import _missing_records

pytestmark = [pytest.mark.neutral, pytest.mark.slow]

VALUES = {"model": "vae", "dataset": "digits", "epochs": 100_000, "batch_size": 16, "checkpoint_seconds": 0.3}
SETTINGS = ["model.architecture=dense", "model.units=[16]"]
RESUME = "import sys; from kplug.runs.launch import resume; from kplug.runs import *; from pathlib import Path; "


def start(root):
    return launch(complete({**VALUES, "backend": keras.backend.backend()}, SETTINGS), root)


def events(run, kind):
    return [record for record in RecordReader(run.directory.events).read() if record["event"] == kind]


def steps(run):
    reader = RecordReader(run.directory.metrics)
    found = [one.step for one in reader.read_metrics() if not one.epoch_end]
    assert reader.malformed == 0
    return found


def limit_files(process, size):
    """Let a process write no file beyond a size, as if the disk were full for all that is larger."""
    process.rlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A run whose disk was full for a while, then not, and that was killed in the end; and what was seen meanwhile."""
    run = start(tmp_path_factory.mktemp("runs"))
    wait(run, lambda run: len(events(run, "checkpoint")) > 1 and run.status.get("step", 0) > 100)
    process = psutil.Process(run.status["pid"])
    # Half a line has room.
    limit_files(process, run.directory.metrics.stat().st_size + 60)
    failed_before = len(events(run, "checkpoint failed"))
    wait(run, lambda run: len(events(run, "checkpoint failed")) > failed_before + 1)
    seen = SimpleNamespace(
        state=run.state,
        content=run.directory.metrics.read_bytes(),
        newest=Checkpoints(run.directory.checkpoints).newest(),
        problem=events(run, "checkpoint failed")[-1]["error"],
        step=run.status["step"],
    )
    limit_files(process, resource.RLIM_INFINITY)
    wait(run, lambda run: run.ended or (steps(run)[-1] > seen.step + 20 and run.status["step"] > seen.step))
    wait(run, lambda run: Checkpoints(run.directory.checkpoints).newest()[0].step > seen.step)
    seen.state_after = run.state
    process.kill()
    wait(run)
    return run, seen


def test_a_full_disk_costs_no_record_and_no_checkpoint_that_was_there(filled):
    run, seen = filled
    assert (seen.state, seen.state_after, run.state) == ("running", "running", "lost")
    assert seen.content.endswith(b"\n")
    assert all(json.loads(line) for line in seen.content.splitlines())
    assert seen.newest[0] is not None
    assert seen.newest[1] == []
    assert "File too large" in seen.problem
    found = steps(run)
    assert run.directory.metrics.read_bytes().startswith(seen.content)
    # Those that had no room were written later: none is missing.
    (distance,) = set(np.diff(found).tolist())
    assert found[0] in {distance, 1}
    assert f"process {run.status['pid']} on" in run.status["error"]


def test_a_killed_run_is_lost_and_its_records_are_whole(filled):
    run, _ = filled
    assert run.state == "lost"
    assert len(steps(run)) > 2


def test_of_five_processes_that_resume_one_starts_a_worker_that_ends_with_its_directory(filled, tmp_path):
    original, _ = filled
    shutil.copytree(original.directory.path, tmp_path / original.id)
    shutil.copytree(original.directory.path, tmp_path / "other")
    run = Run(RunDirectory(tmp_path / original.id))
    before = steps(run)
    code = RESUME + f"sys.stdin.read(); resume(Run(RunDirectory(Path({str(run.directory.path)!r}))))"
    code = code.replace("from kplug.runs import *", "from kplug.runs.run import Run, RunDirectory")
    resumers = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(5)
    ]
    for one in resumers:
        one.stdin.close()
    endings = [(one.wait(60), one.stderr.read()) for one in resumers]
    refused = [text for code, text in endings if code]
    assert len(refused) == 4
    assert all(f"{run.id} is " in text or "has a worker already" in text for text in refused)
    wait(run, lambda run: run.ended or len(steps(run)) > len(before))
    assert run.state == "running"
    assert len(events(run, "resumed")) == 1
    assert "already has a worker" not in run.log()
    assert steps(run)[: len(before) - 200] == before[: len(before) - 200]
    worker = psutil.Process(run.status["pid"])
    assert original.state == "lost"

    shutil.rmtree(run.directory.path, ignore_errors=True)
    shutil.rmtree(run.directory.path, ignore_errors=True)
    worker.wait(60)
    assert not run.directory.path.exists()
    assert [(one["id"], one["state"]) for one in summaries(tmp_path)] == [("other", "lost")]


def test_a_run_goes_on_when_its_terminal_dies(tmp_path):
    shell, terminal = os.forkpty()
    if not shell:
        command = [sys.executable, "-m", "kplug.cli.app", "train", "vae", "--data", "digits", "--epochs", "100000"]
        command += ["--set", SETTINGS[0], "--set", SETTINGS[1], "--runs-dir", str(tmp_path)]
        os.execvpe("sh", ["sh", "-c", f"{' '.join(map(repr, command))}; sleep 600"], os.environ)
    wait(SimpleNamespace(ended=False, status="", log=lambda: ""), lambda _: list_runs(tmp_path))
    (run,) = list_runs(tmp_path)
    try:
        wait(run, lambda run: run.ended or len(run.metrics()) > 2)
        pid = run.status["pid"]
        watching = psutil.Process(shell).children(recursive=True)
        assert pid not in {one.pid for one in watching} or os.getsid(pid) == pid
    finally:
        os.kill(shell, signal.SIGKILL)
        os.close(terminal)
    os.waitpid(shell, 0)
    psutil.wait_procs([one for one in watching if one.pid != pid], timeout=60)
    os.killpg(pid, signal.SIGHUP)
    before = len(run.metrics())
    wait(run, lambda run: run.ended or len(run.metrics()) > before + 2)
    assert [one["state"] for one in summaries(tmp_path)] == ["running"]
    run.stop()
    wait(run)
    assert run.state == "stopped", run.log()
    assert (run.directory.artifacts / "model.keras").exists()


@pytest.mark.parametrize(
    ("file", "error"),
    [
        ("events.jsonl", "events.jsonl cannot be written: Is a directory."),
        ("spec.json", "spec.json cannot be read: Is a directory."),
    ],
)
def test_a_worker_that_cannot_begin_says_why(tmp_path, file, error):
    run = Run(create_run_directory(tmp_path, spec_from({"model": "kplug/vae", "dataset": "kplug/digits"}), {}))
    (run.directory.path / file).unlink(missing_ok=True)
    (run.directory.path / file).mkdir()
    command = [sys.executable, "-m", "kplug.training.worker", str(run.directory.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert run.state == "failed"
    assert error in run.status["error"]
    assert f"failed: {run.status['error']}" in done.stdout


def test_records_that_are_missing_behind_a_checkpoint_are_told(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.metrics.write_bytes(b"x" * 70)
    checkpoint = Checkpoint(3, {"metrics_bytes": 100}, {})
    assert _missing_records(checkpoint, directory) == ["30 bytes of metrics.jsonl are missing: that much of the curves"]
    directory.metrics.write_bytes(b"x" * 100)
    assert _missing_records(checkpoint, directory) == []
    assert _missing_records(None, directory) == []


def test_a_print_that_has_no_room_does_no_harm():
    code = (
        "from kplug.training.console import keep_printing; keep_printing(); print('a\\ud800' * 9); print('x' * 10**6)"
    )
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_nothing_pickled_is_ever_loaded(tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "owned"),))

    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for step in (1, 2):
        checkpoints.save(Checkpoint(step, {}, {"weights": np.ones(3)}))
    record = tmp_path / "checkpoints" / "step-000000000002.json"
    np.savez(record.with_suffix(".npz"), weights=np.array([Evil()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(record.with_suffix(".npz"), "a") as archive:
        archive.writestr("more.npy", pickle.dumps(Evil()))
    content = json.loads(record.read_text())
    content["sha256"] = _digest(record.with_suffix(".npz"))
    content.pop("record_sha256")
    record.write_text(json.dumps({**content, "record_sha256": _digest_of(content)}))

    def refuse(*arguments, **options):
        raise AssertionError("something is unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    found, (problem,) = checkpoints.newest()
    assert found.step == 1
    assert "step-000000000002 is damaged" in problem
    assert not (tmp_path / "owned").exists()
