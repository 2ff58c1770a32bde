"""Runs compared, exported and brought in."""

import csv
import json
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from kplug.errors import RunStorageError, SpecError
from kplug.runs import exchange
from kplug.runs.comparison import differences, last_metrics
from kplug.runs.directory import create_run_directory, write_atomically
from kplug.runs.exchange import export_run, import_run
from kplug.runs.process import draw
from kplug.runs.records import MetricRecord, RecordWriter
from kplug.runs.run import Run
from kplug.runs.spec import spec_from
from kplug.runs.summary import summary_of


def make(root, name="one", seed=0, **parameters):
    values = {
        "model": {"name": "kplug/vae", "parameters": parameters},
        "dataset": "kplug/digits",
        "name": name,
        "seed": seed,
    }
    directory = create_run_directory(root, spec_from(values), {})
    writer = RecordWriter(directory.metrics)
    for epoch in range(3):
        writer.write_metrics(MetricRecord(5 * epoch + 2, epoch, 1.5, {"loss": 9.0}))
        metrics = {"loss": seed + 1 / (epoch + 1), "odd": float("nan")}
        writer.write_metrics(MetricRecord(5 * epoch + 5, epoch, 2.5, metrics, epoch_end=True))
    writer.close()
    write_atomically(directory.status, json.dumps({"state": "completed", "test_metrics": {"loss": seed + 0.5}}))
    (directory.artifacts / "folder").mkdir()
    (directory.artifacts / "folder" / "note.txt").write_text("ink")
    return Run(directory)


def test_runs_are_compared(tmp_path):
    runs = [make(tmp_path, "$a$", 0, latent_dim=2), make(tmp_path, "b", 1, latent_dim=2, beta=4.0)]
    summaries = [summary_of(run) for run in runs]
    assert differences(summaries) == {"seed": [0, 1], "model.beta": [None, 4.0]}
    found = last_metrics(summaries)
    assert found["loss"] == [pytest.approx(1 / 3), pytest.approx(4 / 3)]
    assert found["odd"] == [None, None]
    assert found["test.loss"] == [0.5, 1.5]
    draw(runs, str(tmp_path / "plot.png"))
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(RunStorageError, match=r"plot\.xyz cannot be drawn: .*xyz"):
        draw(runs, str(tmp_path / "plot.xyz"), ["loss"])


def test_metrics_become_a_table(tmp_path):
    export_run(make(tmp_path / "runs"), tmp_path / "metrics.csv")
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert len(rows) == 6
    assert rows[1] == {"step": "5", "epoch": "0", "time": "2.5", "epoch_end": "True", "loss": "1.0", "odd": "nan"}
    assert rows[0]["odd"] == ""


def test_a_run_goes_out_and_comes_in_whole(tmp_path):
    run = make(tmp_path / "here")
    (run.directory.path / "lock").touch()
    export_run(run, tmp_path / "run.zip")
    found = import_run(tmp_path / "run.zip", tmp_path / "there")
    assert (found.id, found.state, found.spec) == (run.id, "completed", run.spec)
    assert found.directory.metrics.read_bytes() == run.directory.metrics.read_bytes()
    assert (found.directory.artifacts / "folder" / "note.txt").read_text() == "ink"
    assert not (found.directory.path / "lock").exists()
    with pytest.raises(RunStorageError, match=f"There is a run {run.id}"):
        import_run(tmp_path / "run.zip", tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").iterdir()] == [run.id]


@pytest.mark.parametrize(
    ("name", "file_format", "received"),
    [("metrics.txt", None, r"metrics\.txt"), ("metrics.csv", "excel", "--format excel"), ("a.b", "", r"a\.b")],
)
def test_an_unknown_format_is_refused(tmp_path, name, file_format, received):
    with pytest.raises(SpecError, match=rf"csv, parquet, tensorboard, zip\. Received: {received}\. .*--format"):
        export_run(make(tmp_path / "runs"), tmp_path / name, file_format)


def test_a_format_that_is_said_is_taken_whatever_the_name(tmp_path):
    export_run(make(tmp_path / "runs"), tmp_path / "metrics.txt", "csv")
    assert (tmp_path / "metrics.txt").read_text().startswith("step,epoch,time,epoch_end,loss,odd\n")


def test_what_is_cached_and_hidden_stays_at_home(tmp_path):
    run = make(tmp_path / "here")
    (run.directory.path / ".metrics.jsonl.columns").write_bytes(b"cache")
    export_run(run, tmp_path / "run.zip")
    assert not any("columns" in name for name in zipfile.ZipFile(tmp_path / "run.zip").namelist())


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(RunStorageError, match="nowhere"):
        export_run(make(tmp_path / "runs"), tmp_path / "nowhere" / "run.zip")


@pytest.mark.parametrize(
    "names",
    [
        ["../evil"],
        ["/etc/evil"],
        ["run/../../evil"],
        ["run\\..\\evil"],
        ["C:/evil"],
        ["a/spec.json", "b/x"],
        [".hidden/x"],
        [],
    ],
    ids=str,
)
def test_unsafe_archives_are_refused_and_leave_nothing(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "{}")
    with pytest.raises(SpecError, match=r"evil\.zip is (unsafe|no exported run)"):
        import_run(tmp_path / "evil.zip", tmp_path / "runs")
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())
    assert not (tmp_path / "evil").exists()


def test_links_are_refused(tmp_path):
    entry = zipfile.ZipInfo("run/spec.json")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(SpecError, match="is unsafe"):
        import_run(tmp_path / "link.zip", tmp_path / "runs")


@pytest.mark.parametrize(("content", "named"), [(None, "There is no file"), (b"no zip", "no zip file, or is damaged")])
def test_what_is_no_archive_is_refused(tmp_path, content, named):
    if content is not None:
        (tmp_path / "run.zip").write_bytes(content)
    with pytest.raises(SpecError, match=named):
        import_run(tmp_path / "run.zip", tmp_path / "runs")


def test_a_damaged_archive_leaves_nothing(tmp_path):
    export_run(make(tmp_path / "here"), tmp_path / "run.zip")
    content = bytearray((tmp_path / "run.zip").read_bytes())
    content[60:70] = b"x" * 10
    (tmp_path / "run.zip").write_bytes(bytes(content))
    with pytest.raises((SpecError, RunStorageError)):
        import_run(tmp_path / "run.zip", tmp_path / "there")
    assert not list((tmp_path / "there").iterdir())


@pytest.mark.parametrize("place", [".", "..", "/"])
def test_an_export_has_a_name(tmp_path, monkeypatch, place):
    run = make(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="is a directory that is there"):
        export_run(run, Path(place))
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_of_two_imports_of_one_run_the_second_takes_nothing_from_the_first(tmp_path, monkeypatch):
    run = make(tmp_path / "here")
    export_run(run, tmp_path / "run.zip")
    extract, depth = zipfile.ZipFile.extractall, []

    def slow(archive, folder):
        extract(archive, folder)
        depth.append(folder)
        if len(depth) == 1:
            import_run(tmp_path / "run.zip", tmp_path / "there")  # another process, meanwhile

    monkeypatch.setattr(zipfile.ZipFile, "extractall", slow)
    with pytest.raises(RunStorageError, match="already"):
        import_run(tmp_path / "run.zip", tmp_path / "there")
    assert depth[0] != depth[1]
    assert [path.name for path in (tmp_path / "there").iterdir()] == [run.id]
    assert Run(exchange.RunDirectory(tmp_path / "there" / run.id)).spec == run.spec


def test_an_archive_that_unpacks_to_more_than_there_is_room_for_is_refused(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run/spec.json", "{}")
        archive.writestr("run/metrics.jsonl", b"0" * 10**7)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=10**7))
    with pytest.raises(RunStorageError, match=r"room for 0\.0 GB"):
        import_run(tmp_path / "bomb.zip", tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []
