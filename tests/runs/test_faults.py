"""Every file of a run directory, damaged in every way: every command works or says in a line what is wrong."""

import json
import os
import stat
import sys
import time

import numpy as np
import pytest
import typer

from kplug.cli.app import app, main
from kplug.runs.directory import create_run_directory
from kplug.runs.index import summaries
from kplug.runs.labels import annotate, read_labels, rename, tag
from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.spec import spec_from
from kplug.training.checkpoints import Checkpoint, Checkpoints

pytestmark = pytest.mark.neutral

_NOBODY = 65534
FILES = [
    *("spec.json", "status.json", "labels.json", "metrics.jsonl", "system.jsonl", "events.jsonl", "output.log"),
    *("control", "lock", "artifacts", "artifacts/model.keras", "checkpoints"),
    *("checkpoints/step-000000000003.json", "checkpoints/step-000000000003.npz"),
    *("../.index.sqlite", "../.index.sqlite-wal", "../.index.sqlite-shm", "../.trash"),
]
FAULTS = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "binary": lambda content: bytes(range(256)) * 20,
    "zeros": lambda content: bytes(len(content)),
    "list": lambda content: b"[1, 2]\n",
    "deep": lambda content: b"[" * 100_000 + b"\n",
    "odd values": lambda content: b'{"state": [], "name": {}, "metrics": 3, "step": "x", "time": 1e999, "pid": true}\n',
    "half a letter": lambda content: (
        b'{"state": "stopped", "name": "\\ud800", "model": "\\udfff", "event": "\\udbff"}\n'
    ),
}
COMMANDS = {
    "list": ("list",),
    "list --json": ("list", "--json"),
    "list --where": ("list", "--where", "state=completed"),
    "show": ("show", "RUN"),
    "show --json": ("show", "RUN", "--json"),
    "log": ("log", "RUN"),
    "compare": ("compare", "RUN", "OTHER"),
    "export csv": ("export", "RUN", "FILE.csv"),
    "export zip": ("export", "RUN", "FILE.zip"),
    "note": ("note", "RUN"),
    "stop": ("stop", "RUN"),
    "kill": ("kill", "RUN"),
    "prune": ("prune", "--keep", "1", "--dry-run"),
    "trash": ("trash",),
}
CHANGES = {
    "rename": ("rename", "RUN", "another"),
    "tag": ("tag", "RUN", "more"),
    "note TEXT": ("note", "RUN", "words"),
    "clone": ("clone", "RUN", "--detach"),
    "resume": ("resume", "RUN", "--detach"),
    "delete": ("delete", "RUN", "--yes"),
}


@pytest.fixture(scope="module")
def command_line():
    """The commands, made of their functions once: that takes longer than most of them."""
    return typer.main.get_command(app)


def make(root, name, state):
    spec = spec_from({"model": "kplug/vae", "dataset": "kplug/digits", "name": name})
    directory = create_run_directory(root, spec, {})
    writer = RecordWriter(directory.metrics)
    for step in (1, 2, 3):
        writer.write_metrics(MetricRecord(step, step - 1, 5.0, {"loss": 4.0 - step}, epoch_end=True))
    size = writer.flushed_size()
    writer.close()
    for path in (directory.system, directory.events):
        path.write_text('{"time": 5.0, "event": "started"}\n')
    directory.log.write_text("epoch 3/10\n")
    directory.lock.touch()
    (directory.artifacts / "model.keras").write_bytes(b"PK" * 100)
    checkpoints = Checkpoints(directory.checkpoints)
    for step in (2, 3):
        state_of = {"position": {"epoch": step, "batch": 0, "step": step}, "metrics_bytes": size}
        checkpoints.save(Checkpoint(step, state_of, {"weights": np.ones(9)}))
    directory.status.write_text(json.dumps({"state": state, "created": time.time(), "epoch": 3, "step": 3}))
    return directory


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A stopped run, to be damaged, and a completed one; the index knows both, and one is in the trash."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr("kplug.runs.launch.start_worker", lambda directory, backend: None)
    monkeypatch.setattr("kplug.runs.completion.complete", lambda values, settings, source: spec_from(values, source))
    root = tmp_path / "runs"
    victim, other = make(root, "victim", "stopped"), make(root, "other", "completed")
    trashed = make(root, "trashed", "completed")
    (root / ".trash").mkdir()
    trashed.path.rename(root / ".trash" / trashed.id)
    summaries(root)
    rename(victim, "good name")
    tag(victim, ["good"])
    annotate(victim, "good note")
    victim.control.touch()
    return victim, other


@pytest.fixture
def kplug(runs, command_line, monkeypatch, capsys, tmp_path):
    """Run a command on the damaged run, and return its exit code and its output."""
    monkeypatch.setattr("kplug.cli.app.app", command_line)
    victim, other = runs
    words = {
        "RUN": victim.id,
        "OTHER": other.id,
        "FILE.csv": str(tmp_path / "a.csv"),
        "FILE.zip": str(tmp_path / "a.zip"),
    }

    def run(*command):
        arguments = [words.get(word, word) for word in command]
        monkeypatch.setattr(sys, "argv", ["kplug", "runs", *arguments, "--runs-dir", str(victim.path.parent)])
        code = 0
        try:
            main()
        except SystemExit as ending:
            code = ending.code or 0
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def damage(path, fault):
    """Put a fault where a file was, if it can be put there."""
    content = path.read_bytes() if path.is_file() else b"{}" * 50
    remove(path)
    if fault == "directory":
        path.mkdir()
        (path / "inside").write_text("{}")
    elif fault != "missing":
        path.write_bytes(FAULTS[fault](content))


def remove(path):
    if path.is_dir():
        for one in sorted(path.rglob("*"), reverse=True):
            one.rmdir() if one.is_dir() else one.unlink()
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def contents(folder):
    """All that is in a directory, but for what readers may write."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".index") and path.name != "lock"
    }


def check(command, code, out, err):
    assert code in {0, 2}, (command, out, err)
    assert "Traceback" not in out + err, (command, out, err)
    if code == 2:
        assert err.startswith("error: "), (command, err)
        assert err.count("\n") <= 10, (command, err)
        assert len(err) < 4000, (command, err)


def check_others(kplug, runs, is_listed=True):
    """Insist that all other runs are listed as they are."""
    victim, other = runs
    code, out, err = kplug("list", "--json")
    assert code == 0, err
    listed = {one["id"]: one for one in json.loads(out)}
    assert (victim.id in listed) == is_listed
    assert (listed[other.id]["state"], listed[other.id]["metrics"]) == ("completed", {"loss": 1.0})
    return listed


@pytest.mark.parametrize("fault", ["missing", "directory", *FAULTS])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_is_worked_with_or_named(kplug, runs, file, fault):
    victim, other = runs
    damage(victim.path / file, fault)
    root = victim.path.parent
    before = contents(root)
    for name, command in COMMANDS.items():
        check(name, *kplug(*command))
    after = contents(root)
    assert {path: content for path, content in after.items() if before.get(path) != content} == {}
    listed = check_others(kplug, runs)
    expected = "lost" if file == "status.json" and fault != "half a letter" else "stopped"
    assert listed[victim.id]["state"] == expected
    good = contents(victim.checkpoints) if file != "checkpoints" else {}
    for name, command in CHANGES.items():
        check(name, *kplug(*command))
    if victim.path.exists():
        assert good.items() <= contents(victim.checkpoints).items() if victim.checkpoints.is_dir() else True
    assert contents(other.path) == {
        path.partition("/")[2]: content for path, content in before.items() if path.startswith(other.id)
    }


@pytest.fixture
def unprivileged():
    """Act as somebody who may not do everything: the superuser takes another user's rights for the while."""
    given = []

    def become(folder):
        if os.geteuid() == 0:
            for path in (folder, *folder.rglob("*")):
                os.lchown(path, _NOBODY, _NOBODY)
            for parent in folder.parents:
                mode = parent.stat().st_mode
                if not mode & stat.S_IXOTH:
                    given.append((parent, mode))
                    parent.chmod(mode | stat.S_IXOTH)
            os.setegid(_NOBODY)
            os.seteuid(_NOBODY)

    yield become
    if os.getuid() == 0:
        os.seteuid(0)
        os.setegid(0)
    for parent, mode in given:
        parent.chmod(mode)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("file", [*(file for file in FILES if "sqlite-" not in file), "."])
def test_what_may_not_be_read_is_worked_with_or_named(kplug, runs, unprivileged, file):
    victim, _ = runs
    path = victim.path / file
    if not path.exists():
        path.touch()
    for command in (*COMMANDS.values(), ("show", "OTHER")):
        kplug(*command)  # what they import may not be readable later
    unprivileged(victim.path.parent.parent)
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        for name, command in (COMMANDS | CHANGES).items():
            check(name, *kplug(*command))
        check_others(kplug, runs, is_listed=file != "." and victim.path.exists())
    finally:
        if path.exists():
            path.chmod(mode)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_directory_that_may_not_be_written_is_read_and_named(kplug, runs, unprivileged):
    victim, _ = runs
    for command in (COMMANDS | CHANGES).values():
        if command[0] not in {"delete", "rename", "resume", "clone"}:
            kplug(*command)
    tagged = read_labels(victim)
    unprivileged(victim.path.parent.parent)
    folders = (victim.path, victim.path.parent)
    for folder in folders:
        folder.chmod(0o555)
    try:
        for name, command in COMMANDS.items():
            code, out, err = kplug(*command)
            check(name, code, out, err)
            assert (code == 0) == (name != "kill"), (name, err)
        for name, command in CHANGES.items():
            code, out, err = kplug(*command)
            check(name, code, out, err)
            assert (code, "Permission denied" in err) == (2, True), (name, err)
        assert read_labels(victim) == tagged
        assert check_others(kplug, runs)[victim.id]["state"] == "stopped"
    finally:
        for folder in folders:
            folder.chmod(0o755)
