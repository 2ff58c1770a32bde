"""Run directories: made whole, each with an id of its own."""

import os
import secrets
import time
from pathlib import Path

import pytest

from kplug.errors import RunStorageError
from kplug.runs import directory as directory_module
from kplug.runs.directory import create_run_directory, remove_leftovers, write_atomically
from kplug.runs.spec import spec_from


def test_two_runs_of_one_second_that_draw_the_same_id_get_two(tmp_path, monkeypatch):
    drawn = iter(["aaaa", "aaaa", "aaaa", "bbbb"])
    token = secrets.token_hex
    monkeypatch.setattr(secrets, "token_hex", lambda size: next(drawn) if size == 2 else token(size))
    monkeypatch.setattr(time, "strftime", lambda form: "20261121-120000")
    spec = spec_from({"model": "kplug/vae", "dataset": "kplug/digits"})
    ids = [create_run_directory(tmp_path, spec, {}).id for _ in range(2)]
    assert ids == ["20261121-120000-vae-digits-aaaa", "20261121-120000-vae-digits-bbbb"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ids


SPEC = spec_from({"model": "kplug/vae", "dataset": "kplug/digits"})


def test_a_run_that_cannot_be_made_leaves_the_one_that_another_process_makes(tmp_path, monkeypatch):
    monkeypatch.setattr(directory_module, "_new_id", lambda spec: "drawn-twice")
    monkeypatch.setattr(secrets, "token_hex", lambda size: "same")
    create_run_directory(tmp_path, SPEC, {}).path.rename(tmp_path / ".drawn-twice.same.new")  # half made by another
    with pytest.raises(RunStorageError, match="cannot be written"):
        create_run_directory(tmp_path, SPEC, {})
    assert (tmp_path / ".drawn-twice.same.new" / "spec.json").exists()


def test_what_must_outlast_a_loss_of_power_is_flushed_with_its_name(tmp_path, monkeypatch):
    flushed, real = [], os.fsync

    def fsync(descriptor):
        flushed.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "one", "1")
    assert flushed == []
    write_atomically(tmp_path / "one", "1", flush=True)
    assert len(flushed) == 2
    assert flushed[-1] == str(tmp_path)
    root = tmp_path / "runs"
    create_run_directory(root, SPEC, {})
    assert flushed[-1] == str(root)


def test_what_a_killed_process_has_left_is_removed(tmp_path):
    for name in (".status.json.12.new", ".status.json.ab34.new", "status.json", ".labels.json.ab34.new"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path / "status.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".labels.json.ab34.new", "status.json"]
