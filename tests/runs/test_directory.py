"""Run directories: made whole, each with an id of its own."""

import secrets
import time

from kplug.runs.directory import create_run_directory
from kplug.runs.spec import spec_from


def test_two_runs_of_one_second_that_draw_the_same_id_get_two(tmp_path, monkeypatch):
    drawn = iter(["aaaa", "aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr(secrets, "token_hex", lambda size: next(drawn))
    monkeypatch.setattr(time, "strftime", lambda form: "20261121-120000")
    spec = spec_from({"model": "kplug/vae", "dataset": "kplug/digits"})
    ids = [create_run_directory(tmp_path, spec, {}).id for _ in range(2)]
    assert ids == ["20261121-120000-vae-digits-aaaa", "20261121-120000-vae-digits-bbbb"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ids
